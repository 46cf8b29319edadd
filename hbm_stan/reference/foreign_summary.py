"""A summary that others made becomes the figures of a reference: its statistics by our names, and their errors."""

from __future__ import annotations

import itertools
import math
import re

import numpy as np
import pandas as pd
from scipy.stats import norm

from hbm_stan.agreement import STATISTICS
from hbm_stan.errors import ModelError
from hbm_stan.mixing import QUANTILES

# What the statistics are called elsewhere, in lower case and without blanks, dots and underscores.
_NAMES = {
    "mean": {"mean", "meanvalue", "average", "estimate", "postmean"},
    "sd": {"sd", "sdvalue", "std", "stddev", "stdev", "esterror", "postsd"},
    "mcse_mean": {"mcsemean", "semean", "mcse", "mcerror", "mcsemeanvalue"},
    "mcse_sd": {"mcsesd"},
    "mcse_q05": {"mcseq05", "mcseq5", "mcse5%"}, "mcse_q50": {"mcseq50", "mcsemedian", "mcse50%"},
    "mcse_q95": {"mcseq95", "mcse95%"},
    "q50": {"median", "medianvalue"},
    "ess": {"ess", "neff", "essmean", "essbulk", "bulkess"},
    "rhat": {"rhat", "psrf"},
}  # fmt: skip
_QUANTILE = re.compile(r"(?:q|p|quantile|x)?(\d*[.,]?\d+)(%?)", re.ASCII)
ASSUMED = "errors of sds and quantiles that the file does not give are those of a normal posterior of that ESS"


def figures(where: str, table: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...], bool]:
    """Our statistics with their errors, indexed as the table is; the columns left over; whether errors are assumed.

    Where the error of the mean is not given it is sd / sqrt(ESS), and where the ESS is not, (sd / MCSE of the mean)^2.
    Those of an sd and of quantiles are then of a normal posterior: sd / sqrt(2 ESS), and sqrt(p (1 - p) / ESS) over its
    density there (Vehtari et al. 2021, Bayesian Analysis 16:667, for the ESS of each).
    """
    called = {c: _statistic(str(c)) for c in table.columns}
    left = tuple(str(c) for c, name in called.items() if not name)
    repeated = [n for n in called.values() if n and list(called.values()).count(n) > 1]
    if repeated:
        both = [str(c) for c, name in called.items() if name == repeated[0]]
        raise ModelError(f"{where}: the columns {both[0]!r} and {both[1]!r} are both {repeated[0]}. Leave one out.")
    summary = table[[c for c, name in called.items() if name]].rename(columns=called)
    known = [s for s in STATISTICS if s in summary]
    if not known:
        raise ModelError(f"{where}: no column is a mean, sd or quantile (5 %, 50 %, 95 %). Found: {', '.join(left)}.")
    summary = summary[summary[known].notna().any(axis=1)]
    _check(where, summary, known)
    summary, assumed = _with_errors(where, summary, known)
    return summary[[*known, *(f"mcse_{s}" for s in known)]], left, assumed


def _statistic(column: str) -> str:
    """Our name of a column, empty where it is none of ours: of quantiles only 5 %, 50 % and 95 % are."""
    plain = re.sub(r"[\s_.]|(?<=\W)", "", column.lower()) if not re.search(r"\d\.\d|^\.\d", column) else column.lower()
    for name, names in _NAMES.items():
        if plain in names:
            return name
    match = _QUANTILE.fullmatch(column.lower().strip().replace("_", "").replace(" ", ""))
    if not match:
        return ""
    number = float(match[1].replace(",", "."))
    whole = bool(match[2]) or not re.search(r"[.,]", match[1])  # 5, 05 and 5% are of a hundred, 0.05 of one
    share = number / 100 if whole else number
    return next((name for name, prob in QUANTILES.items() if math.isclose(share, prob)), "")


def _check(where: str, summary: pd.DataFrame, known: list[str]) -> None:
    """Raise ModelError for figures that no posterior has: an sd of zero or less, quantiles not in their order."""
    if summary.empty:
        raise ModelError(f"{where}: no row has a figure.")
    if "sd" in summary:
        bad = summary.index[summary["sd"].le(0)]
        if len(bad):
            raise ModelError(f"{where}: the sd of {bad[0]} is {summary.loc[bad[0], 'sd']:g}; it must be above zero.")
    ordered = [q for q in QUANTILES if q in known]
    for low, high in itertools.pairwise(ordered):
        bad = summary.index[summary[low] > summary[high]]
        if len(bad):
            raise ModelError(
                f"{where}: {low} of {bad[0]} is {summary.loc[bad[0], low]:g}, above its {high}, "
                f"{summary.loc[bad[0], high]:g}. Are columns exchanged?"
            )


def _with_errors(where: str, summary: pd.DataFrame, known: list[str]) -> tuple[pd.DataFrame, bool]:
    nothing = pd.Series(np.nan, summary.index)
    sd, mcse, ess = (summary.get(name, nothing) for name in ("sd", "mcse_mean", "ess"))
    ess = ess.fillna((sd / mcse) ** 2)
    mcse = mcse.fillna(sd / np.sqrt(ess))
    given = {f"mcse_{s}": summary.get(f"mcse_{s}", nothing) for s in known}
    normal = {"mean": mcse, "sd": sd / np.sqrt(2 * ess)}
    for name, prob in QUANTILES.items():
        normal[name] = np.sqrt(prob * (1 - prob) / ess) * sd / norm.pdf(norm.ppf(prob))
    errors = {f"mcse_{s}": given[f"mcse_{s}"].fillna(normal[s]) for s in known}
    others = [f"mcse_{s}" for s in known if s != "mean"]
    assumed = any((errors[name].notna() & given[name].isna()).any() for name in others)
    summary = summary.assign(**errors)
    for s in known:
        bad = summary.index[summary[s].notna() & ~(summary[f"mcse_{s}"] > 0)]
        if len(bad):
            raise ModelError(
                f"{where}: nothing says how exact the {s} of {bad[0]} is. Add a column mcse_mean or ess (n_eff) and "
                "the sd: a difference is judged in Monte Carlo errors. Figures without one, of a quadrature say, are "
                'written as a reference file with "exact": true.'
            )
    return summary, assumed
