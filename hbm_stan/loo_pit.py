"""Where each row lies in what all others predict of it: leave-one-out probability integral transforms.

Gelman et al. (2014), Bayesian Data Analysis, 3rd ed., section 6.3; the band: Säilynoja, Bürkner & Vehtari (2022),
Statistics and Computing 32:32. Where outcomes are whole numbers, a row is spread evenly from the probability of less
than it to that of at most it (Czado, Gneiting & Held 2009, Biometrics 65:1254): the mean over all randomised transforms
(ArviZ 1.3, ``loo_pit``, draws one), so that no seed decides. The band then holds more than it says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hbm_stan.envelope import envelope, p_of_counts
from hbm_stan.errors import ComparisonError
from hbm_stan.fit import Fit
from hbm_stan.loo_predictive import LooPredictive, loo_predictive, looked_at, why_not
from hbm_stan.table import FloatArray
from hbm_stan.verdicts import LOO_PIT, Verdict

if TYPE_CHECKING:
    import pandas as pd
else:
    from hbm_stan.later import pd

# Of fewer rows the band holds nearly every curve (ours).
LEAST_ROWS = 20
# The curve is looked at at 0.01, 0.02, ..., 0.99; the band that is drawn, and the p below which a verdict warns (ours:
# reports/loo-pit.md counts how often a right model is warned of).
_POINTS, BAND, MISFIT_P = 99, 0.95, 0.01
# Where more rows than this share have no reliable weight, the curve says nothing (ours).
MOST_UNRELIABLE = 0.25
_ROUNDING = 1e-9
_NAMED = 5  # rows that a sentence names
_FAR = 0.01  # on either side: as heavy tails widen a model, few rows are elsewhere but some still lie far out (ours)


class Departure(StrEnum):
    """How the transforms depart from uniform ones."""

    LOWER = "lower"
    HIGHER = "higher"
    NARROW = "too narrow"
    WIDE = "too wide"
    SKEWED_HIGH = "tail of high values"
    SKEWED_LOW = "tail of low values"
    HEAVY = "heavy tails"
    LIGHT = "light tails"


_KINDS = (
    (Departure.LOWER, Departure.HIGHER), (Departure.WIDE, Departure.NARROW),
    (Departure.SKEWED_LOW, Departure.SKEWED_HIGH), (Departure.LIGHT, Departure.HEAVY),
)  # fmt: skip
WORDS: Mapping[Departure, str] = {
    Departure.LOWER: "predictions are shifted: rows lie lower than is predicted of them",
    Departure.HIGHER: "predictions are shifted: rows lie higher than is predicted of them",
    Departure.NARROW: "predictions are too narrow: more rows lie in their tails than should",
    Departure.WIDE: "predictions are too wide: more rows lie in their middle than should",
    Departure.SKEWED_HIGH: "rows have a longer tail of high values than the model's",
    Departure.SKEWED_LOW: "rows have a longer tail of low values than the model's",
    Departure.HEAVY: "more rows than should lie both in the middle and far out: heavy tails, or spreads that differ",
    Departure.LIGHT: "fewer rows than should lie in the middle and far out: light tails, or two humps",
}
# What may describe such rows.
_REMEDIES: Mapping[Departure, str] = {
    Departure.LOWER: "Look at the mean: is a column missing, or its curve?",
    Departure.HIGHER: "Look at the mean: is a column missing, or its curve?",
    Departure.NARROW: "Let rows spread more: another likelihood, or a factor or column that is missing.",
    Departure.WIDE: "Do standard errors overstate, or have a few rows far off widened the spread (student_t)?",
    Departure.SKEWED_HIGH: "Try the log of the outcome (lognormal), gamma, or counts that spread more.",
    Departure.SKEWED_LOW: "Try a transformed outcome: is there an upper limit?",
    Departure.HEAVY: "Try student_t, or let the spread differ between groups.",
    Departure.LIGHT: "Is a category missing that splits the rows in two?",
}


@dataclass(frozen=True, kw_only=True)
class LooPit:
    """Transforms of rows and how they lie together.

    ``rows``: row, low, high (equal unless outcomes are whole numbers), pareto_k, reliable. ``curve``: x, low, high (the
    ECDF less x; apart by the rows whose place is not known), band_low, band_high. ``scores`` are the first four
    components of Neyman's smooth test, standard normal of uniform transforms; ``departure`` is the largest's.
    """

    variant: str
    of: int
    discrete: bool
    rows: pd.DataFrame
    curve: pd.DataFrame
    scores: tuple[float, ...]
    p_value: float
    departure: Departure

    @property
    def unreliable(self) -> tuple[str, ...]:
        """The rows whose weights cannot be trusted."""
        return tuple(self.rows.loc[~self.rows["reliable"], "row"])

    @property
    def blind(self) -> bool:
        """Whether too many rows have no place for the curve to say anything."""
        return len(self.unreliable) > MOST_UNRELIABLE * len(self.rows)

    @property
    def departs(self) -> bool:
        """Whether a right model would give such transforms in less than one of a hundred tables."""
        return not self.blind and self.p_value < MISFIT_P

    def sentences(self) -> list[str]:
        """What was looked at, what it says, and what could not be looked at."""
        n, bad = len(self.rows), self.unreliable
        looked = looked_at(n, self.of)
        if bad:
            # Names of rows may have commas of their own: a village, its stream.
            names = "; ".join(bad[:_NAMED]) + (f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else "")
            looked.append(
                f"{len(bad)} {'row' if len(bad) == 1 else 'rows'} may lie anywhere (so thick is the curve), as "
                f"importance weights cannot be trusted (Pareto k; {names})."
            )
        if self.blind:
            return [*looked, "These are too many for the rest to say anything."]
        if not self.departs:
            if self._inside():
                return [*looked, "The curve stays in its band: rows lie where they should."]
            return [
                *looked,
                f"The curve leaves its band a little (p {p_in_words(self.p_value)}; below {MISFIT_P:g} would be a "
                f"misfit): if anything, {WORDS[self.departure]}.",
            ]
        return [*looked, f"The curve leaves its band (p {p_in_words(self.p_value)}): {WORDS[self.departure]}."]

    def _inside(self) -> bool:
        c = self.curve
        return bool(((c["low"] <= c["band_high"] + _ROUNDING) & (c["high"] >= c["band_low"] - _ROUNDING)).all())

    def verdict(self) -> Verdict:
        """A warning where the transforms depart from uniform ones."""
        if not self.departs:
            return Verdict(name=LOO_PIT, status="pass", value=None if self.blind else self.p_value, threshold=MISFIT_P)
        hint = f"Left out, rows do not lie in their predictions as they should: {WORDS[self.departure]}. "
        return Verdict(
            name=LOO_PIT, status="warn", value=self.p_value, threshold=MISFIT_P, hint=hint + _REMEDIES[self.departure]
        )

    def as_dict(self) -> dict[str, Any]:
        """The transforms for JSON, rows left out."""
        return {
            "variant": self.variant, "n_rows": len(self.rows), "of": self.of, "discrete": self.discrete,
            "unreliable": list(self.unreliable), "blind": self.blind, "band": BAND,
            "curve": self.curve.to_dict("records"), "scores": list(self.scores), "p_value": self.p_value,
            "departure": str(self.departure) if self.departs else "", "sentences": self.sentences(),
        }  # fmt: skip


def why_no_pit(fit: Fit) -> str:
    """Why a fit has no transforms of rows; empty where it has some."""
    if trials(fit) is not None and int(np.max(trials(fit))) <= 1:
        return "rows are 0 or 1, whose transforms say nothing: calibration does"
    if fit.table.n_rows < LEAST_ROWS:
        return f"{fit.table.n_rows} rows are too few to show a shape: {LEAST_ROWS} are needed"
    return why_not(fit)


def trials(fit: Fit) -> Any:
    """The trials of each row, (N,), ones where rows are 0 or 1; None where rows are no successes."""
    if fit.family.size == "trials":
        return np.asarray(fit.data["trials"], dtype=float)
    return np.ones(fit.table.n_rows) if fit.family.discrete else None


def loo_pit(fit: Fit, predictive: LooPredictive | None = None) -> LooPit:
    """Leave-one-out probability integral transforms of the rows of a fit.

    Raises ComparisonError where there are none: rows of 0 and 1, fewer than 20 rows, no log density or no replications
    of rows, and groups of one row without pooling.
    """
    if reason := why_no_pit(fit):
        raise ComparisonError(f"{fit.variant}: there is no LOO-PIT, for {reason}.")
    given = predictive or loo_predictive(fit)
    low, high = given.below()
    names = fit.table.row_names
    rows = pd.DataFrame({"row": [names[i] for i in given.rows], "low": low, "high": high})
    rows = rows.assign(pareto_k=given.pareto_k, reliable=given.reliable)
    known = given.reliable
    curve, p = _compared(low[known], high[known], len(rows))
    scores = smooth_scores(low[known], high[known])
    return LooPit(
        variant=fit.variant,
        of=fit.table.n_rows,
        discrete=bool((high > low).any()),
        rows=rows,
        curve=curve,
        scores=scores,
        p_value=p,
        departure=_departure(scores, _far_out(low[known], high[known])),
    )


def counts_below(low: FloatArray, high: FloatArray, points: FloatArray) -> FloatArray:
    """How many transforms lie below each point, (points,): of a row spread from low to high its share below it."""
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.clip((points[:, None] - low) / (high - low), 0, 1)
    return np.asarray(np.where(high > low, shares, low < points[:, None]).sum(axis=1))


def _compared(low: FloatArray, high: FloatArray, n: int) -> tuple[pd.DataFrame, float]:
    """The curve with its band, and its p: of n rows those with a low and a high have a place, the others any."""
    band = envelope(n, _POINTS, 1 - BAND)
    counts = counts_below(low, high, band.points)
    least, most = counts, counts + (n - len(low))
    whole = (np.floor(least + _ROUNDING).astype(np.int64), np.ceil(most - _ROUNDING).astype(np.int64))
    columns = {"low": least / n, "high": most / n, "band_low": band.low, "band_high": band.high}
    ends = {name: np.concatenate([[0.0], values - band.points, [0.0]]) for name, values in columns.items()}
    ends["high"][0], ends["low"][-1] = most[0] / n - counts[0] / n, (len(low) - n) / n
    return pd.DataFrame({"x": np.concatenate([[0.0], band.points, [1.0]]), **ends}), p_of_counts(*whole, n)


def smooth_scores(low: FloatArray, high: FloatArray) -> tuple[float, ...]:
    """The first four components of Neyman's smooth test (Rayner & Best 1989): location, spread, skewness, tails.

    sqrt(n) times the mean of the k-th normalised Legendre polynomial; of a row that is spread, its mean over that.
    """
    if not len(low):
        return (0.0,) * len(_LEGENDRE)
    width = high - low
    scores = []
    for k, coefficients in enumerate(_LEGENDRE, start=1):
        polynomial = np.polynomial.Polynomial(coefficients) * math.sqrt(2 * k + 1)
        whole = polynomial.integ()
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = (whole(high) - whole(low)) / width
        scores.append(float(np.where(width > _ROUNDING, spread, polynomial(low)).sum() / math.sqrt(len(low))))
    return tuple(scores)


# Legendre polynomials of 2 u - 1, by rising power of u.
_LEGENDRE = ((-1, 2), (1, -6, 6), (-1, 12, -30, 20), (1, -20, 90, -140, 70))


def _departure(scores: npt.ArrayLike, far_out: float) -> Departure:
    """The kind of the largest score; where predictions are too wide, yet rows lie far out, tails are heavy."""
    largest = int(np.argmax(np.abs(scores)))
    kind = _KINDS[largest][int(np.asarray(scores)[largest] > 0)]
    return Departure.HEAVY if kind is Departure.WIDE and far_out >= 2 * _FAR else kind


def _far_out(low: FloatArray, high: FloatArray) -> float:
    """The share of rows in the outermost hundredth of their predictions, on either side."""
    below, inside = counts_below(low, high, np.array([_FAR, 1 - _FAR]))
    return float(1 - (inside - below) / max(len(low), 1))


def p_in_words(value: float) -> str:
    """A p value to one digit."""
    return "below 0.001" if value < 0.001 else f"{value:.1g}"
