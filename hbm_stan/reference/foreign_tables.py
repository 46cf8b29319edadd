"""Draws and summaries in tables: CSV (CmdStan's own with its comments, too) and NetCDF as ArviZ writes it."""

from __future__ import annotations

import csv
import itertools
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hbm_stan.errors import ModelError
from hbm_stan.reference.foreign import NAME_COLUMNS, Draws, Summary, checked, summary_of
from hbm_stan.table import shorten

_CHAIN = {".chain", "chain", "chain__", "chain_id"}
_MISSING = {"", "na", "nan", "-nan", "."}
_DRAW = {".iteration", "iteration", "iter", ".draw", "draw", "draw__", "iter__"}


def read_csv_file(path: Path, text: str) -> Draws | Summary:
    """Draws with a column for each parameter, or a summary with a row for each."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if re.search(r"^#\s*save_warmup\s*=\s*(1|true)\b", text, re.M):
        raise ModelError(f"{path} holds draws of the warm-up (save_warmup). Write the draws after it only.")
    names, *rows = [[cell.strip() for cell in row] for row in csv.reader(lines, skipinitialspace=True)] or [[]]
    if not rows:
        raise ModelError(f"{path} has a header but no rows.")
    for i, row in enumerate(rows):
        if len(row) != len(names):
            raise ModelError(
                f"{path} is no table with commas between its columns: row {i + 1} has {len(row)} cells, the header "
                f"{len(names)}."
            )
    repeated = [n for n in names if names.count(n) > 1]
    if repeated:
        raise ModelError(f"{path}: the column {shorten(repeated[0])!r} appears more than once.")
    table = pd.DataFrame({n: _column(cells) for n, cells in zip(names, zip(*rows, strict=True), strict=True)})
    first = names[0]
    if any(n.lower() in NAME_COLUMNS for n in names) and table[first].map(lambda v: isinstance(v, str)).any():
        return summary_of(str(path), table)
    return _draws(str(path), table)


def _column(cells: Sequence[str]) -> Any:
    """Numbers where all cells are some, missing ones aside; else texts."""
    try:
        return np.array([math.nan if cell.lower() in _MISSING else float(cell) for cell in cells])
    except ValueError:
        return list(cells)


def _draws(where: str, table: pd.DataFrame) -> Draws:
    lower = {str(c): str(c).lower() for c in table.columns}
    chain = next((c for c, n in lower.items() if n in _CHAIN), None)
    order = [c for c, n in lower.items() if n in _DRAW]
    no_parameters = {chain, *order, *(c for c, n in lower.items() if n.startswith("unnamed:") or n == "")}
    names = [c for c in lower if c not in no_parameters and not c.endswith("__")]
    texts = [c for c in names if not pd.api.types.is_numeric_dtype(table[c])]
    if texts or not names:
        what = f"the column {shorten(texts[0])!r} is none of numbers" if texts else "there is no column of a parameter"
        raise ModelError(
            f"{where}: {what}. Draws have a column of numbers for each parameter; a summary has a column `name` and "
            "mean, sd, ..."
        )
    parts = [part for _, part in table.groupby(chain, sort=True)] if chain else [table]
    if order:
        parts = [part.sort_values(order, kind="stable") for part in parts]
    lengths = {len(part) for part in parts}
    if len(lengths) > 1:
        counts = " and ".join(f"{n:,}" for n in sorted(lengths)[:2])
        raise ModelError(f"{where}: chains of {counts} draws. All must have as many.")
    values = np.stack([part[names].to_numpy(dtype=float).T for part in parts], axis=1)
    return checked(where, names, values)


def read_netcdf(path: Path) -> Draws:
    """The posterior of a NetCDF file: the group ``posterior``, or the file itself, with dims chain and draw."""
    import xarray as xr

    if not path.is_file():
        raise ModelError(f"{path}: there is no such file.")
    try:
        with xr.open_datatree(path, engine="h5netcdf") as tree:
            node = tree["posterior"] if "posterior" in tree.children else tree
            posterior = node.to_dataset().load()
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        raise ModelError(f"{path} is no NetCDF-4 file with a posterior that can be read ({error}).") from error
    names: list[str] = []
    columns: list[Any] = []
    for name, variable in posterior.data_vars.items():
        if not {"chain", "draw"} <= set(variable.dims):
            continue
        inner = [d for d in variable.dims if d not in ("chain", "draw")]
        values = variable.transpose("chain", "draw", *inner).to_numpy()
        if values.dtype.kind not in "iuf":
            raise ModelError(f"{path}: {shorten(name)} holds no numbers.")
        flat = np.moveaxis(values.reshape(*values.shape[:2], -1).astype(float), 2, 0)
        names += _elements(str(name), [_labels(variable, str(d)) for d in inner])
        columns.append(flat)
    if not columns:
        raise ModelError(f"{path}: no variable has the dims chain and draw.")
    return checked(str(path), names, np.concatenate(columns))


def _labels(variable: Any, dim: str) -> list[str]:
    """Labels where they are texts; else places, counted from 1: ArviZ counts dims without labels from 0."""
    if dim in variable.coords and variable.coords[dim].dtype.kind in "UOST":
        return [str(v) for v in variable.coords[dim].to_numpy()]
    return [str(i + 1) for i in range(variable.sizes[dim])]


def _elements(name: str, labels: list[list[str]]) -> list[str]:
    return [f"{name}[{', '.join(e)}]" if e else name for e in itertools.product(*labels)]
