"""Of very many groups results.json lists the ends of long tables; the whole tables stand beside the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hbm_stan.results.collect import Findings
from hbm_stan.results.tables import GROUPS, REPLICATED

if TYPE_CHECKING:
    import pandas as pd

# Rows of a table that are listed: of more the lowest and the highest, so many each. A million records take gigabytes of
# memory, and a file that hardly anything reads (ours).
MOST_ROWS, AT_EITHER_END = 50_000, 500


def shrinkage_listed(table: pd.DataFrame) -> pd.DataFrame:
    """The shrinkage table, of very many rows the groups with the lowest and the highest medians of each term."""
    if len(table) <= MOST_ROWS:
        return table
    ends = [_ends(np.flatnonzero(table["term"] == term), table["q50"]) for term in table["term"].unique()]
    return table.iloc[np.sort(np.concatenate(ends))]


def replicated_listed(groups: pd.DataFrame) -> pd.DataFrame:
    """Observed and replicated means of groups, of very many those that lie lowest and highest in their intervals."""
    if len(groups) <= MOST_ROWS:
        return groups
    place = (groups["observed"] - groups["q50"]) / (groups["q95"] - groups["q05"])
    return groups.iloc[np.sort(_ends(np.arange(len(groups)), place))]


def _ends(places: npt.NDArray[np.int64], values: pd.Series) -> npt.NDArray[np.int64]:
    ordered = places[np.argsort(values.to_numpy()[places], kind="stable")]
    return np.concatenate([ordered[:AT_EITHER_END], ordered[-AT_EITHER_END:]])


def whole_tables(findings: Findings) -> dict[str, pd.DataFrame]:
    """The tables of which results.json lists the ends, by their place beside the report."""
    tables = {GROUPS: findings.shrinkage}
    if findings.ppc is not None:
        tables[REPLICATED] = findings.ppc.groups
    return {name: table for name, table in tables.items() if len(table) > MOST_ROWS and not findings.withheld}
