"""Posterior draws for other programs: a table with a line for each draw, or NetCDF with ArviZ's groups."""

from __future__ import annotations

import gzip
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hbm_stan.diagnose import held_parameters
from hbm_stan.errors import ModelError
from hbm_stan.files import write_beside, writes_parquet
from hbm_stan.fit import Fit
from hbm_stan.netcdf import write_tree
from hbm_stan.scratch import IN_MEMORY

if TYPE_CHECKING:
    import pandas as pd
else:
    from hbm_stan.later import pd

FORMATS = (".csv", ".csv.gz", ".parquet", ".nc")


def check_draws_file(path: Path, variants: int = 1) -> str:
    """The format that a file's name asks for; raises ModelError for another, or one that cannot be written here."""
    ending = next((e for e in FORMATS if path.name.lower().endswith(e)), None)
    if ending is None:
        raise ModelError(f"{path}: draws are written as {', '.join(FORMATS)}; the name of the file says which.")
    if ending == ".parquet" and not writes_parquet():
        raise ModelError(f"{path}: Parquet needs the package pyarrow (pip install pyarrow). CSV needs none: .csv.gz")
    if ending == ".nc" and variants > 1:
        raise ModelError(
            f"{path}: NetCDF with ArviZ's groups holds the draws of one variant, and {variants} are asked for. Name "
            "one (--variant partial_pooling), or write a table (.csv.gz), which has a column for the variant."
        )
    return ending


def draws_table(fits: Mapping[str, Fit]) -> pd.DataFrame:
    """Chain and draw, both from 1, and every parameter by the name that tables of checks have (``theta[A]``).

    With several variants the first column names them, and what a variant does not have is empty. What is constant by
    construction is left out.
    """
    tables = []
    for variant, fit in fits.items():
        names, draws = held_parameters(fit)
        chains, size = draws.shape[1:]
        place = {"chain": np.repeat(np.arange(1, chains + 1), size), "draw": np.tile(np.arange(1, size + 1), chains)}
        own = pd.DataFrame(draws.reshape(len(names), -1).T, columns=names)
        head = {"variant": variant, **place} if len(fits) > 1 else place
        tables.append(pd.concat([pd.DataFrame(head, index=own.index), own], axis=1))
    return pd.concat(tables, ignore_index=True)


def write_draws(fits: Mapping[str, Fit], path: Path) -> None:
    """Write the draws of these fits, whole or not at all; numbers are those that were drawn, to the last bit.

    NetCDF has the log densities and replications of rows too, but of large tables, where they are made in blocks.
    """
    ending = check_draws_file(path, len(fits))
    if ending == ".nc":
        whole = io.BytesIO()
        write_tree(next(iter(fits.values())).named, whole)
        write_beside(path, whole.getvalue())
        return
    for variant, fit in fits.items():
        if fit.pooling != "complete" and any(values.size > IN_MEMORY for values in fit.draws().values()):
            raise ModelError(
                f"{path}: draws of {variant} are too many for a table in memory, which would have a column for each of "
                f"{fit.table.n_groups:,} {fit.table.noun.many}. They are kept, and tables/groups.csv of a report has "
                "their summaries."
            )
    table, out = draws_table(fits), io.BytesIO()
    if ending == ".parquet":
        table.to_parquet(out, index=False)
        write_beside(path, out.getvalue())
        return
    text = table.to_csv(index=False).encode("utf-8", "surrogatepass")
    # Without a time, so that the same draws are the same bytes.
    write_beside(path, gzip.compress(text, mtime=0) if ending == ".csv.gz" else text)
