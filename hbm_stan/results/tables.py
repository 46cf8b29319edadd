"""The long tables beside the report: all groups, parameters and checks, as CSV; very long ones as Parquet too."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from hbm_stan.files import write_beside, writes_parquet

FOLDER = "tables"
GROUPS, PARAMETERS, CHECKS = (f"{FOLDER}/{name}.csv" for name in ("groups", "parameters", "checks"))
# Observed means of groups beside replicated ones, where these are too many for results.json.
REPLICATED = f"{FOLDER}/replicated.csv"
# A table of more rows is written as Parquet too (ours): a spreadsheet takes long to open it, or shows a part.
MANY_ROWS = 100_000


def tables_of(results: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """The tables by their place beside the report; none of what a failed check withholds."""
    tables = {CHECKS: pd.DataFrame(_checks(results))}
    if not results["withheld"]:
        fits = results["fits"].items()
        tables[PARAMETERS] = pd.DataFrame(
            [{"variant": v, "parameter": name, **row} for v, fit in fits for name, row in fit["parameters"].items()]
        )
        if results["shrinkage"]:
            tables[GROUPS] = pd.DataFrame(results["shrinkage"])
    return tables


def _checks(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = [{"of": "data", **verdict} for verdict in results["data"]["verdicts"]]
    return rows + [{"of": v, **verdict} for v, fit in results["fits"].items() for verdict in fit["verdicts"]]


def write_tables(
    results: Mapping[str, Any], folder: Path, whole: Mapping[str, pd.DataFrame] | None = None,
    say: Callable[[str], None] = lambda _text: None,
) -> list[str]:  # fmt: skip
    """Write the tables into the folder of the report; their places. What is withheld now leaves no table of before.

    ``whole`` are those of which the results list the ends. ``say`` is told where a library for Parquet would be of use.
    """
    tables = tables_of(results) | dict(whole or {})
    long = {name: len(table) for name, table in tables.items() if len(table) > MANY_ROWS}
    files = {name: table.to_csv(index=False).encode("utf-8", "backslashreplace") for name, table in tables.items()}
    if writes_parquet():
        files |= {_parquet(name): _as_parquet(tables[name]) for name in long}
    elif long:
        say(_advice(long))
    for name, content in files.items():
        write_beside(folder / name, content)
    for name in (CHECKS, GROUPS, PARAMETERS, REPLICATED):
        for file in {name, _parquet(name)} - files.keys():
            (folder / file).unlink(missing_ok=True)
    return sorted(files)


def _parquet(name: str) -> str:
    return name.removesuffix(".csv") + ".parquet"


def _as_parquet(table: pd.DataFrame) -> bytes:
    """The bytes of a table as Parquet; what is not valid text (a label of odd bytes) is escaped, as it is in CSV."""
    texts = table.select_dtypes(["object", "string"])
    content = io.BytesIO()
    table.assign(**{str(name): texts[name].map(_escaped) for name in texts}).to_parquet(content, index=False)
    return content.getvalue()


def _escaped(value: Any) -> Any:
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def _advice(long: Mapping[str, int]) -> str:
    """How to have the long tables (rows by place) as Parquet."""
    (first, rows), *others = long.items()
    named = ", ".join([f"{first} has {rows:,} rows", *(f"{name} {n:,}" for name, n in others)])
    return (
        f"{named}: with the package pyarrow (pip install pyarrow) such tables are written as Parquet too, which is "
        "read faster. Once it is there, run this again with --force."
    )
