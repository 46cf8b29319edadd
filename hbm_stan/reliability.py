"""Do shares come true? Rows of 0 and 1, or successes of trials, by the probability that all other rows give them.

CORP: Dimitriadis, Gneiting & Jordan (2021), PNAS 118(8) e2016191118. The curve is the isotonic regression of what
happened on the leave-one-out probabilities (pool adjacent violators), so that no bins are chosen; the consistency band
holds the middle 90 % of such curves, point by point, of data that the probabilities are right of.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_stan.errors import ComparisonError
from hbm_stan.fit import Fit
from hbm_stan.later import isotonic_regression
from hbm_stan.loo_pit import LEAST_ROWS, MISFIT_P, MOST_UNRELIABLE, p_in_words, trials
from hbm_stan.loo_predictive import LooPredictive, loo_predictive, looked_at, why_not
from hbm_stan.table import FloatArray
from hbm_stan.verdicts import CALIBRATION, Verdict

if TYPE_CHECKING:
    import pandas as pd
else:
    from hbm_stan.later import pd

# The band's probability, point by point; data sets that are drawn for it, so many that a p below 0.01 can be told;
# points of the curve (ours).
BAND, _SETS, _POINTS = 0.90, 999, 100
_HISTOGRAM = 20
# Shares that are predicted within so much of each other are the same (ours).
_FLAT = 0.05
_PURPOSE = "calibration"


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """How often what was predicted happened.

    ``curve``: p (the probability), observed (the share that happened, by isotonic regression), low, high (the band).
    ``bins``: low, high, rows (how many have such a probability). ``brier`` is the mean squared error of the
    probabilities, the sum of miscalibration, less discrimination, plus uncertainty (CORP, eq. 5); ``p_value`` is the
    share of data sets with a miscalibration at least as large where the probabilities are right. ``place`` are the
    probability, the share that happened and the rows of the level that adds most to the miscalibration.
    """

    variant: str
    n_rows: int
    of: int
    left_out: int
    curve: pd.DataFrame
    bins: pd.DataFrame
    brier: float
    miscalibration: float
    discrimination: float
    uncertainty: float
    p_value: float
    place: tuple[float, float, int]
    shift: float
    slope: float

    @property
    def blind(self) -> bool:
        """Whether it says nothing: too many rows have no probability that can be trusted, or all have the same."""
        return self.flat or self.left_out > MOST_UNRELIABLE * (self.n_rows + self.left_out)

    @property
    def flat(self) -> bool:
        """Whether all rows are predicted nearly the same share."""
        return float(self.curve["p"].iloc[-1] - self.curve["p"].iloc[0]) < _FLAT

    @property
    def departs(self) -> bool:
        """Whether right probabilities would be so far off in less than one of a hundred tables."""
        return not self.blind and self.p_value < MISFIT_P

    def sentences(self) -> list[str]:
        """What was looked at, and what it says."""
        looked = looked_at(self.n_rows + self.left_out, self.of)
        if self.left_out:
            rows = f"{self.left_out} {'row' if self.left_out == 1 else 'rows'}"
            looked.append(f"The curve lacks {rows} with importance weights that cannot be trusted (Pareto k).")
        if self.flat:
            return [*looked, "All rows are predicted nearly the same share, so that there is no more to say."]
        if self.blind:
            return [*looked, "These are too many for the rest to say anything."]
        if not self.departs:
            return [*looked, "What was predicted happened about as often as predicted."]
        return [*looked, f"{self._words()}."]

    def _words(self) -> str:
        """How the probabilities are wrong, and where most."""
        predicted, happened, rows = self.place
        how = self._how()
        where = f"where {_share(predicted)} was predicted, {_share(happened)} happened ({rows:,} rows)"
        return f"Predictions are {how}: {where}; p {p_in_words(self.p_value)}"

    def _how(self) -> str:
        if abs(self.shift) >= abs(self.slope):
            return "too low" if self.shift > 0 else "too high"
        return "too timid" if self.slope > 0 else "too extreme"

    def verdict(self) -> Verdict:
        """A warning where the probabilities do not come true."""
        if not self.departs:
            return Verdict(
                name=CALIBRATION, status="pass", value=None if self.blind else self.p_value, threshold=MISFIT_P
            )
        hint = f"{self._words()}. Is a column missing, or its curve, or does an effect differ between groups?"
        return Verdict(name=CALIBRATION, status="warn", value=self.p_value, threshold=MISFIT_P, hint=hint)

    def as_dict(self) -> dict[str, Any]:
        """The curve and its numbers for JSON."""
        numbers = ("variant", "n_rows", "of", "left_out", "blind", "brier", "miscalibration", "discrimination",
                   "uncertainty", "p_value")  # fmt: skip
        own = {name: getattr(self, name) for name in numbers}
        curve, bins = self.curve.to_dict("records"), self.bins.to_dict("records")
        how = self._how() if self.departs else ""
        return own | {"band": BAND, "curve": curve, "bins": bins, "departure": how, "sentences": self.sentences()}


@dataclass(frozen=True)
class _Levels:
    """Rows by their probability: its distinct values ``p``, and the trials of each."""

    p: FloatArray
    trials: FloatArray
    order: Any
    starts: Any

    def shares(self, successes: FloatArray) -> FloatArray:
        """The share of successes of each level, (..., level), from those of rows."""
        return np.asarray(np.add.reduceat(successes[..., self.order], self.starts, axis=-1) / self.trials)

    def pooled(self, shares: FloatArray) -> FloatArray:
        """The isotonic regression of the shares of levels."""
        return np.asarray(isotonic_regression(shares, weights=self.trials).x)

    def miscalibration(self, shares: FloatArray, pooled: FloatArray) -> float:
        """By how much the Brier score of the probabilities exceeds that of the regression."""
        gain = (self.p - shares) ** 2 - (pooled - shares) ** 2
        return float(np.sum(self.trials * gain) / self.trials.sum())


def why_no_reliability(fit: Fit) -> str:
    """Why a fit has no calibration; empty where it has one."""
    of = trials(fit)
    if of is None:
        return "rows are no successes: it is of 0 and 1, and of successes of trials"
    if fit.table.n_rows < LEAST_ROWS:
        return f"{fit.table.n_rows} rows are too few: {LEAST_ROWS} are needed"
    if not 0 < fit.y.sum() < of.sum():
        return "all rows are alike"
    return why_not(fit)


def reliability(fit: Fit, predictive: LooPredictive | None = None) -> Reliability:
    """The calibration of the leave-one-out probabilities of a fit of 0 and 1 or of successes of trials.

    Raises ComparisonError for other fits, and for fewer than 20 rows (``why_no_reliability``).
    """
    if reason := why_no_reliability(fit):
        raise ComparisonError(f"{fit.variant}: there is no calibration, for {reason}.")
    given = predictive or loo_predictive(fit)
    of = trials(fit)[given.rows]
    binary, rng = bool(of.max() <= 1), fit.rng(_PURPOSE)
    p = _probabilities(given) if binary else given.mean() / of
    sets = rng.random((_SETS, len(p))) < p if binary else given.drawn(rng, _SETS)
    known = given.reliable
    return compared(
        p[known], given.y[known], of[known], np.asarray(sets[:, known], dtype=float),
        variant=fit.variant, of_all=fit.table.n_rows, left_out=int((~known).sum()),
    )  # fmt: skip


def _probabilities(given: LooPredictive) -> FloatArray:
    """Of rows of 0 and 1: the density of what was observed is its probability, with less noise than replications."""
    seen = np.clip(np.exp(given.elpd_i), 0, 1)
    return np.where(given.y == 1, seen, 1 - seen)


def compared(
    p: FloatArray, successes: FloatArray, of: FloatArray, sets: FloatArray,
    *, variant: str = "", of_all: int = 0, left_out: int = 0,
) -> Reliability:  # fmt: skip
    """Probabilities (N,) against successes of trials, beside data sets (S, N) drawn from what they predict."""
    levels = _levels(p, of)
    shares = levels.shares(successes)
    pooled = levels.pooled(shares)
    drawn = levels.shares(sets)
    curves = np.stack([levels.pooled(row) for row in drawn])
    off = levels.miscalibration(shares, pooled)
    by_chance = np.array([levels.miscalibration(s, c) for s, c in zip(drawn, curves, strict=True)])
    mean = float(successes.sum() / of.sum())
    spread = float(np.sum(of * (successes / of) * (1 - successes / of)) / of.sum())  # of trials within a row
    brier = float(np.sum(of * (p - successes / of) ** 2) / of.sum()) + spread
    uncertainty = mean * (1 - mean)
    shown = np.unique(np.linspace(0, len(levels.p) - 1, min(_POINTS, len(levels.p))).round().astype(int))
    low, high = np.quantile(curves[:, shown], [(1 - BAND) / 2, (1 + BAND) / 2], axis=0)
    residual, centred = shares - levels.p, levels.p - np.average(levels.p, weights=levels.trials)
    variance = np.average(centred**2, weights=levels.trials)
    return Reliability(
        variant=variant,
        n_rows=len(p),
        of=of_all or len(p),
        left_out=left_out,
        curve=pd.DataFrame({"p": levels.p[shown], "observed": pooled[shown], "low": low, "high": high}),
        bins=_histogram(p),
        brier=brier,
        miscalibration=off,
        discrimination=uncertainty - (brier - off),
        uncertainty=uncertainty,
        p_value=float((1 + np.sum(by_chance >= off - 1e-12)) / (1 + len(by_chance))),
        place=_place(levels, pooled, p),
        shift=float(np.average(residual, weights=levels.trials)),
        slope=float(np.average(residual * centred, weights=levels.trials) / math.sqrt(variance)) if variance else 0.0,
    )


def _levels(p: FloatArray, of: FloatArray) -> _Levels:
    order = np.argsort(p, kind="stable")
    values, starts = np.unique(p[order], return_index=True)
    return _Levels(values, np.add.reduceat(of[order], starts), order, starts)


def _histogram(p: FloatArray) -> pd.DataFrame:
    edges = np.linspace(0, 1, _HISTOGRAM + 1)
    return pd.DataFrame({"low": edges[:-1], "high": edges[1:], "rows": np.histogram(p, edges)[0]})


def _place(levels: _Levels, pooled: FloatArray, p: FloatArray) -> tuple[float, float, int]:
    """The level of the regression that adds most to the miscalibration: mean probability, share, rows."""
    best = (-1.0, 0.0, 0.0, 0)
    for value in np.unique(pooled):
        own = pooled == value
        mean = float(np.average(levels.p[own], weights=levels.trials[own]))
        rows = int(np.sum((p >= levels.p[own].min()) & (p <= levels.p[own].max())))
        best = max(best, (float(levels.trials[own].sum()) * (mean - float(value)) ** 2, mean, float(value), rows))
    return best[1:]


def _share(value: float) -> str:
    return f"{100 * value:.0f} %"
