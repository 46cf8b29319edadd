"""Do the streams agree? Each count is left out, predicted from the other streams of its village, and compared.

The mixed predictive check of Marshall & Spiegelhalter (2007), Bayesian Analysis 2:409, at the node that splits the
streams of a village (Presanis, Ohlssen, Spiegelhalter & De Angelis 2013, Statistical Science 28:376): the intensity is
drawn anew given the other streams, and the population is weighted as if the count had not been there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hbm_stan.families.joint_infection.conditional import OF_POPULATION, has_stream, log_integral, on_nodes, strands
from hbm_stan.families.joint_infection.density import levels_and_slopes, number_of, overdispersion_of
from hbm_stan.families.joint_infection.streams import BY_KIND, below
from hbm_stan.later import chdtrc, ndtr, ndtri
from hbm_stan.model import Draws, Evidence, StanData
from hbm_stan.portions import portions
from hbm_stan.table import FloatArray
from hbm_stan.verdicts import AGREEMENT, Verdict

# Below the first a warning, below the second a failed check (ours, as of replicated rows; the rates of false alarms
# and of detections are in reports/streams.md).
CONFLICT_P, STRONG_P = 0.01, 0.001
_DRAWS = 120  # of the population, evenly spaced: what a single village says of it is little
_LEAST_P = 1e-12
_HELD = 2**21
_NAMED, _FAR = 3, 2.5  # villages that a sentence names, and from which z on (ours)


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """``z`` (S, J) of each stream in each village given its other streams; nan where there is none, or no other.

    A positive z lies above what the others let expect. ``p_sum`` (S,) is of the sum of squares of a stream's z,
    ``p_far`` (S,) of its largest, ``p_along`` (S, L) of its correlation with each predictor of villages; nan without
    any. ``p_value`` takes all of these together (Bonferroni).
    """

    streams: tuple[str, ...]
    z: FloatArray
    p_sum: FloatArray
    p_far: FloatArray
    p_along: FloatArray
    p_value: float

    @property
    def worst(self) -> int:
        """The stream that agrees least with the others."""
        return int(np.nanargmin(np.nanmin(self._every, axis=1)))

    @property
    def along(self) -> int | None:
        """The predictor along which the stream that agrees least departs, where that is how it departs most."""
        own = self._every[self.worst]
        return int(np.nanargmin(own)) - 2 if np.nanargmin(own) > 1 else None

    @property
    def _every(self) -> FloatArray:
        """All p values, (S, 2 + L); 1 where there is none."""
        return np.nan_to_num(np.column_stack([self.p_sum, self.p_far, self.p_along]), nan=1.0)

    def furthest(self, stream: int) -> list[int]:
        """The villages in which a stream lies furthest from the others, the furthest first."""
        size = np.nan_to_num(np.abs(self.z[stream]), nan=0.0)
        return [int(j) for j in np.argsort(-size, kind="stable")[:_NAMED] if size[j] > _FAR]


def compared(draws: Draws, data: StanData) -> Conflict | None:
    """The streams compared with each other; None where no village has two, or theta is not a village's own."""
    has = has_stream(data)
    several = has.sum(axis=0) > 1
    if not several.any() or ("mu" in draws and "tau" not in draws):
        return None
    size = number_of(draws)
    chosen = np.unique(np.linspace(0, size - 1, min(size, _DRAWS)).round().astype(np.int64))
    some = {name: np.asarray(draws[name])[chosen] for name in OF_POPULATION if name in draws}
    parts = [
        _of_draws({name: values[part] for name, values in some.items()}, data)
        for part in portions(len(chosen), 50 * int(data["N"]), _HELD)
    ]
    share, log_weight = (np.concatenate(both) for both in zip(*parts, strict=True))
    u = np.clip(np.sum(_weights(log_weight) * share, axis=0), _LEAST_P, 1 - _LEAST_P)
    z = np.where(has & several, ndtri(u), np.nan)
    kinds = {strand.stream: BY_KIND[strand.kind].name for strand in strands(data)}
    return conflict(tuple(kinds.get(s, "") for s in range(1, len(z) + 1)), z, np.asarray(data["U"]))


def conflict(streams: tuple[str, ...], z: FloatArray, predictors: FloatArray) -> Conflict:
    """The tests of z scores (S, J): their sum of squares, the largest, and along the predictors of villages (J, L)."""
    n = np.isfinite(z).sum(axis=1)
    total, largest = np.nansum(z**2, axis=1), np.nanmax(np.where(np.isfinite(z), np.abs(z), 0.0), axis=1)
    p_sum = np.where(n > 0, chdtrc(np.maximum(n, 1), total), np.nan)
    p_far = np.where(n > 0, -np.expm1(n * np.log1p(-2 * ndtr(-largest))), np.nan)
    p_along = np.array([[_along(own, u) for u in predictors.T] for own in z]).reshape(len(z), -1)
    every = np.concatenate([p_sum, p_far, p_along.ravel()])
    p = float(min(1.0, np.isfinite(every).sum() * np.nanmin(every)))
    return Conflict(streams=streams, z=z, p_sum=p_sum, p_far=p_far, p_along=p_along, p_value=p)


def _along(z: FloatArray, u: FloatArray) -> float:
    """The two-sided p of the slope of standard normal z on a predictor, both (J,); nan where it cannot be told."""
    known = np.isfinite(z)
    off = u[known] - u[known].mean() if known.any() else np.zeros(0)
    size = float(np.sqrt(off @ off))
    return float(2 * ndtr(-abs(float(z[known] @ off)) / size)) if size > 0 else math.nan


def _of_draws(draws: Draws, data: StanData) -> tuple[FloatArray, FloatArray]:
    """Where each count lies in what the village's other streams predict, and the log weight of each draw, (D, S, J)."""
    has, centre = has_stream(data), float(data["prior_mu"][0])
    share, log_weight = np.full((2, number_of(draws), *has.shape), 0.5)
    whole, (level, slope) = log_integral(draws, data, has), levels_and_slopes(draws, centre)
    for strand in strands(data):
        s, others = strand.stream - 1, has.copy()
        others[s] = False
        log_weight[:, s] = log_integral(draws, data, others) - whole  # 1 / p(count | the others, population)
        t, weights, mode, width = on_nodes(draws, data, others)
        theta = mode[..., None] + width[..., None] * np.sinh(t)
        eta = level[:, s, None, None] + slope[:, s, None, None] * (theta - centre)
        at = strand.village
        row = {name: values[:, None] for name, values in strand.row.items()}
        spread = overdispersion_of(draws)[:, :, None]
        share[:, s, at] = np.sum(weights[:, at] * below(strand.kind, eta[:, at], row, spread), axis=-1)
    return share, log_weight


def _weights(log_weight: FloatArray) -> FloatArray:
    """Normalised weights of draws, first axis, truncated: Ionides (2008), J. Comp. Graphical Statistics 17:295."""
    weight = np.exp(log_weight - log_weight.max(axis=0))
    weight = np.minimum(weight, np.sqrt(len(weight)) * weight.mean(axis=0))
    return np.asarray(weight / weight.sum(axis=0))


def check_model(evidence: Evidence) -> Sequence[Verdict]:
    """Whether the streams agree: a warning below a p of 0.01, a failed check below 0.001."""
    both = compared(evidence.draws, evidence.data)
    if both is None:
        return []
    p = both.p_value
    if p >= CONFLICT_P:
        return [Verdict(name=AGREEMENT, status="pass", value=p, threshold=CONFLICT_P)]
    strong = p < STRONG_P
    return [
        Verdict(
            name=AGREEMENT, status="fail" if strong else "warn", value=p, threshold=STRONG_P if strong else CONFLICT_P,
            hint=in_words(both, evidence), subject=both.streams[both.worst],
        )
    ]  # fmt: skip


def in_words(both: Conflict, evidence: Evidence) -> str:
    """Which stream does not fit the others, where most, and what that may be."""
    noun, labels = evidence.table.noun, evidence.table.pooled.labels
    name, others = both.streams[both.worst], [s for k, s in enumerate(both.streams) if k != both.worst]
    named = [f"{labels[j]} ({'above' if both.z[both.worst, j] > 0 else 'below'}, z {both.z[both.worst, j]:+.1f})"
             for j in both.furthest(both.worst)]  # fmt: skip
    where = f" Furthest from what the others predict: {', '.join(named)}." if named else ""
    if both.along is not None:
        where = f" The difference follows {evidence.table.predictors['group_predictors'].names[both.along]}.{where}"
    which = (
        f"{name} and {others[0]} do not agree, and two streams cannot say which of them is wrong"
        if len(both.streams) == 2
        else f"{name} do not agree with {' and '.join(others)}"
    )
    return (
        f"Left out and predicted from other streams of a {noun.one}, {which} (p {p_in_words(both.p_value)}).{where} "
        f"Was the stream measured alike in all {noun.many} (laboratory, season, where snails were collected), are "
        "sensitivity and specificity those of this test here? Fit without the stream, and see what changes."
    )


def p_in_words(p: float) -> str:
    """A p value with one digit, small ones as such."""
    return "below 0.001" if p < STRONG_P else f"{p:.1g}" if p < 0.1 else f"{p:.2f}"
