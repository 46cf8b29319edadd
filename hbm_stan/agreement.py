"""Is it the same posterior? Two sets of draws, or draws and a reference, compared in units of Monte Carlo error.

z = (m - m_ref) / sqrt(mcse^2 + mcse_ref^2) for the mean and the sd of each parameter, with ArviZ's MCSE. Errors are
those that a right posterior would have. For quantiles, that is on the scale of probability: the share of draws below
the reference's quantile against 0.05, 0.5 or 0.95. For the sd, ArviZ's error in relation to the sd drawn, times the sd
of the reference. In the long tail of a scale, a quantile or an sd that came out small brings a small MCSE with it: in
units of that, 4 of 200 right runs were called wrong where 0.2 should be (reports/truth.md).

Among m comparisons, one is called moved where |z| > Phi^-1(1 - alpha / 2m): a right posterior is refused in a share
alpha of all suites at most, however its comparisons depend on each other (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hbm_stan.diagnose import estimates
from hbm_stan.errors import ModelError
from hbm_stan.later import ndtri
from hbm_stan.mixing import QUANTILES, ess_mean
from hbm_stan.table import FloatArray

STATISTICS = ("mean", "sd", *QUANTILES)
# How often a right posterior may be refused, over all comparisons of a suite.
FAMILY_ERROR = 1e-3
_SHOWN = 8


@dataclass(frozen=True)
class Agreement:
    """All comparisons of two posteriors: ``table`` has parameter, statistic, value, reference, mcse and z.

    ``mcse`` is that of the difference, in the parameter's unit. ``threshold`` is the largest |z| that chance explains
    among ``n`` comparisons; ``n`` may count more than this table has, where it is a part of a larger suite.
    """

    table: pd.DataFrame
    threshold: float
    n: int

    def among(self, n: int) -> Agreement:
        """The same comparisons as a part of a suite of ``n``."""
        return Agreement(self.table, threshold(n), n)

    @property
    def moved(self) -> pd.DataFrame:
        """The comparisons beyond the threshold (or without a finite z), the farthest first."""
        far = self.table[~(self.table["z"].abs() <= self.threshold)]
        return far.sort_values("z", key=lambda z: -z.abs().fillna(np.inf), kind="stable")

    @property
    def largest(self) -> float:
        """The largest |z|; nan where one is not finite."""
        z = np.abs(self.table["z"].to_numpy(dtype=float))
        return float(z.max()) if z.size else 0.0

    @property
    def agrees(self) -> bool:
        """Whether chance explains all differences."""
        return bool(self.moved.empty)

    @property
    def words(self) -> str:
        """What was found, with the parameters that moved, by how many MCSE, and the threshold."""
        bound = f"{self.threshold:.2f} MCSE, exceeded by chance in {FAMILY_ERROR:g} of suites of {self.n:,} comparisons"
        if self.agrees:
            largest = f"the largest of {len(self.table):,} differences is {self.largest:.2f} MCSE"
            return f"The posteriors agree: {largest} (allowed: {bound})."
        rows = [
            f"  {r.parameter}: {r.statistic} {r.value:.6g} against {r.reference:.6g} ({r.z:+.1f} MCSE)"
            for r in self.moved.head(_SHOWN).itertuples()
        ]
        more = len(self.moved) - len(rows)
        rows += [f"  and {more} more"] if more > 0 else []
        parameters = self.moved["parameter"].nunique()
        head = f"{parameters} {'parameters' if parameters > 1 else 'parameter'} moved by more than {bound}:"
        return "\n".join([head, *rows])


def threshold(n: int, family_error: float = FAMILY_ERROR) -> float:
    """The largest |z| that chance explains among n comparisons."""
    return -float(ndtri(family_error / (2 * max(n, 1))))


def compare_with_reference(
    names: Sequence[str], draws: FloatArray, reference: pd.DataFrame, n: int | None = None
) -> Agreement:
    """Compare draws, shape (parameter, chain, draw), with a table of a reference, for the parameters that it has.

    ``reference`` is indexed by parameter and has some of the columns mean, sd, q05, q50, q95 and of each its MCSE
    (``mcse_mean``; 0 where it is exact), nan where a statistic is not known. ``n`` counts the comparisons of the whole
    suite, where this is a part of it. Raises ModelError where the draws lack a parameter of the reference.
    """
    _all_there(reference.index, names, "the draws")
    index = [list(names).index(name) for name in reference.index]
    chosen = np.asarray(draws)[index]
    summary = estimates(list(reference.index), chosen)
    rows = []
    for statistic in [s for s in STATISTICS if s in reference]:
        target = reference[statistic].to_numpy(dtype=float)
        error_ref = reference.get(f"mcse_{statistic}", pd.Series(np.nan, reference.index)).to_numpy(dtype=float)
        error = summary[f"mcse_{statistic}"].to_numpy(dtype=float)
        value = summary[statistic].to_numpy(dtype=float)
        if statistic in QUANTILES:
            z = _shares(chosen, target, QUANTILES[statistic])[0] / np.sqrt(1 + (error_ref / error) ** 2)
        else:
            null = error * target / value if statistic == "sd" else error
            z = _ratio(value - target, np.hypot(null, error_ref))
        comparisons = _rows(reference.index, statistic, value, target, np.hypot(error, error_ref), z)
        rows.append(comparisons[np.isfinite(target)])
    return _agreement(rows, n)


def compare_draws(names: Sequence[str], draws: FloatArray, other: FloatArray, n: int | None = None) -> Agreement:
    """Compare two sets of draws of the same parameters, each of shape (parameter, chain, draw).

    Quantiles are compared by the shares of either below the quantile of both together.
    """
    ours, theirs = (estimates(list(names), np.asarray(d)) for d in (draws, other))
    both = np.concatenate([np.reshape(d, (len(names), -1)) for d in (draws, other)], axis=1)
    rows = []
    for statistic in STATISTICS:
        a, b = (s[statistic].to_numpy(dtype=float) for s in (ours, theirs))
        error = np.hypot(ours[f"mcse_{statistic}"].to_numpy(dtype=float), theirs[f"mcse_{statistic}"].to_numpy(float))
        z = _ratio(a - b, error)
        if statistic == "sd":
            middle = (a + b) / 2
            z = _ratio(a - b, middle * np.hypot(*(s["mcse_sd"].to_numpy(float) / s["sd"] for s in (ours, theirs))))
        if statistic in QUANTILES:
            middle = np.quantile(both, QUANTILES[statistic], axis=1)
            (_, share_a, se_a), (_, share_b, se_b) = (
                _shares(np.asarray(d), middle, QUANTILES[statistic]) for d in (draws, other)
            )
            z = _ratio(share_b - share_a, np.hypot(se_a, se_b))
        rows.append(_rows(names, statistic, a, b, error, z))
    return _agreement(rows, n)


def _shares(draws: FloatArray, quantile: FloatArray, prob: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """z of the shares of draws below a value of each parameter, against ``prob``; the shares and their errors.

    z is positive where the draws lie above the reference's. A draw that equals the value counts half.
    """
    at = np.asarray(quantile)[:, None, None]
    below = (draws < at) + 0.5 * (draws == at)
    share = below.mean(axis=(1, 2))
    size = draws[0].size
    ess = ess_mean(below)
    # Where all draws lie on one side their dependence cannot be seen; the share is far off whatever it is.
    ess = np.where(np.isfinite(ess), ess, size)
    error = np.sqrt(prob * (1 - prob) / ess)
    share = np.where(np.isfinite(quantile), share, np.nan)
    return _ratio(prob - share, error), share, error


def _ratio(difference: FloatArray, error: FloatArray) -> FloatArray:
    """z; 0 where both are the same constant."""
    with np.errstate(all="ignore"):
        return np.where((difference == 0) & ~(error > 0), 0.0, difference / error)


def _rows(
    names: Sequence[str], statistic: str, value: FloatArray, reference: FloatArray, mcse: FloatArray, z: FloatArray
) -> pd.DataFrame:
    return pd.DataFrame({
        "parameter": list(names), "statistic": statistic, "value": value, "reference": reference, "mcse": mcse, "z": z,
    })  # fmt: skip


def _agreement(rows: list[pd.DataFrame], n: int | None) -> Agreement:
    table = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=["parameter", "statistic", "z"])
    counted = n or len(table)
    return Agreement(table, threshold(counted), counted)


def _all_there(asked: Sequence[str], names: Sequence[str], where: str) -> None:
    missing = [name for name in asked if name not in set(names)]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise ModelError(
            f"Missing in {where}: {', '.join(missing[:5])}{more}. They have {', '.join(list(names)[:5])} ..."
        )
