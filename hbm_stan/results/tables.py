"""The long tables that stand beside the report: every group, every parameter, every check, as CSV."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from hbm_stan.files import write_beside

FOLDER = "tables"
GROUPS, PARAMETERS, CHECKS = (f"{FOLDER}/{name}.csv" for name in ("groups", "parameters", "checks"))
# Observed means of groups beside replicated ones, where these are too many for results.json.
REPLICATED = f"{FOLDER}/replicated.csv"


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
    results: Mapping[str, Any], folder: Path, whole: Mapping[str, pd.DataFrame] | None = None
) -> list[str]:
    """Write the tables into the folder of the report; their places. What is withheld now leaves no table of before.

    ``whole`` are those of which the results list the ends.
    """
    tables = tables_of(results) | dict(whole or {})
    for name, table in tables.items():
        write_beside(folder / name, table.to_csv(index=False).encode("utf-8", "backslashreplace"))
    for name in {GROUPS, PARAMETERS, REPLICATED} - tables.keys():
        (folder / name).unlink(missing_ok=True)
    return sorted(tables)
