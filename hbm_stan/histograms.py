"""How often rows have each value, observed and replicated: counts of rows in bins that both share.

Of counts the bins are whole numbers, and the figure of their square roots is a rootogram: Kleiber & Zeileis (2016),
American Statistician 70:296.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hbm_stan.table import FloatArray

if TYPE_CHECKING:
    import pandas as pd
else:
    from hbm_stan.later import pd

# Fewer rows show no shape; bins of numbers, fewest and most, and the share of the range that they reach beyond (ours).
LEAST_ROWS, _FEWEST, _BINS, _BEYOND = 20, 10, 30, 0.15
# Counts up to so many have a bin each (ours).
_WHOLE = 40
_SHOWN = (0.05, 0.25, 0.5, 0.75, 0.95)


def edges_of(y: FloatArray) -> FloatArray | None:
    """The edges of the bins for observed rows y (N,); None where they are too few, or have two values at most."""
    values = np.unique(y)
    if len(y) < LEAST_ROWS or len(values) <= 2:
        return None
    low, high = float(values[0]), float(values[-1])
    if is_whole(y):
        width = max(1, math.ceil((high - low + 1) / _bins_of(len(y), _WHOLE)))
        bins = math.ceil((high - low + 1) * (1 + _BEYOND) / width)
        return low - 0.5 + width * np.arange(bins + 1.0)
    beyond = _BEYOND * (high - low)
    first = max(low - beyond, 0.0) if low >= 0 else low - beyond
    return np.linspace(first, high + beyond, _bins_of(len(y), _BINS) + 1)


def _bins_of(n: int, most: int) -> int:
    """How many bins n rows are worth: two roots of n, no fewer than ten (ours)."""
    return min(most, max(_FEWEST, math.ceil(2 * math.sqrt(n))))


def is_whole(y: FloatArray) -> bool:
    """Whether all rows are whole numbers."""
    return bool(np.all(y == np.round(y)))


def counted(y: FloatArray, edges: FloatArray) -> FloatArray:
    """How many rows of each data set y (S, N) lie in each bin, (S, bins); those beyond the bins are in none."""
    ends, bins = (float(edges[0]), float(edges[-1])), len(edges) - 1
    # Bins of one width need no search: NumPy counts the same, ten times as fast.
    given = {"bins": bins, "range": ends} if np.array_equal(edges, np.linspace(*ends, bins + 1)) else {"bins": edges}
    return np.stack([np.histogram(row, **given)[0] for row in y]).astype(float)


def table_of(y: FloatArray, edges: FloatArray, replicated: FloatArray) -> pd.DataFrame:
    """Columns low, high, observed, q05, q25, q50, q75, q95: of rows y (N,), and of counts of replications (S, bins)."""
    table = pd.DataFrame({"low": edges[:-1], "high": edges[1:], "observed": counted(y[None], edges)[0]})
    for prob, values in zip(_SHOWN, np.quantile(replicated, _SHOWN, axis=0), strict=True):
        table[f"q{round(100 * prob):02d}"] = values
    return table
