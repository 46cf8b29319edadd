"""Which variant would predict a new observation better? Scores side by side, and what may be concluded from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from hbm_stan.diagnose import Diagnosis, check
from hbm_stan.errors import ComparisonError
from hbm_stan.fit import Fit
from hbm_stan.leave_one_out import Loo, loo, standard_error
from hbm_stan.scores import FEW_OBSERVATIONS, FEW_WIDENING, Score, distinguishable, read_score, verdict_in_words
from hbm_stan.weights import stacking_weights

KNOWN_GROUP = "a new observation in a known group (leave-one-out)"
LEFT_OUT_GROUP = (
    "the estimate of a group that is left out: each group has one row, so leave-one-out leaves it out whole"
)


@dataclass(frozen=True)
class Comparison:
    """Scores, best first, and the verdict in words; ``withheld`` where it may not be read as a ranking."""

    target: str
    n_observations: int
    scores: tuple[Score, ...]
    verdict: tuple[str, ...]
    withheld: bool
    k_threshold: float
    pointwise: Mapping[str, Loo] = field(repr=False)

    def as_dict(self) -> dict[str, Any]:
        """The comparison for JSON; where the ranking is withheld, without the differences that would rank."""
        hidden = dict.fromkeys(("elpd_diff", "se_diff", "se_diff_used")) if self.withheld else {}
        return {
            "target": self.target,
            "n_observations": self.n_observations,
            "scores": [asdict(s) | hidden | {"ranked": s.ranked} for s in self.scores],
            "verdict": list(self.verdict),
            "withheld": self.withheld,
            "k_threshold": self.k_threshold,
        }


def compare(fits: Mapping[str, Fit], diagnoses: Mapping[str, Diagnosis] | None = None) -> Comparison:
    """Compare fits of the same data on leave-one-out; ``diagnoses`` saves checking them again.

    Raises ComparisonError for fewer than two fits or fits of different data, row order or outcome, and
    DiagnosticError for a fit that did not pass its checks and was not waived.
    """
    if not isinstance(fits, Mapping) or len(fits) < 2:
        raise ComparisonError("A comparison needs two fits at least, by name: what fit_variants gives.")
    _refuse_different_data(list(fits.values()))
    for name, fit in fits.items():
        (diagnoses[name] if diagnoses else check(fit)).require()
    pointwise = {name: loo(fit) for name, fit in fits.items()}
    one_row = next(iter(fits.values())).table.one_row_per_group
    return score(pointwise, LEFT_OUT_GROUP if one_row else KNOWN_GROUP)


def score(pointwise: Mapping[str, Loo], target: str = KNOWN_GROUP) -> Comparison:
    """The comparison of leave-one-out results that are known to belong to the same observations."""
    order = sorted(pointwise, key=lambda name: (bool(pointwise[name].prior), -pointwise[name].elpd))
    best = pointwise[order[0]]
    n = best.elpd_i.size
    scores = [_score(name, pointwise[name], best, n) for name in order]
    ranked = [s for s in scores if s.ranked]
    withheld = any(s.pareto_k_high for s in ranked)
    if len(ranked) > 1 and not withheld and all(distinguishable(s) for s in ranked[1:]):
        weights = stacking_weights(np.array([pointwise[s.variant].elpd_i for s in ranked]))
        weighted = {s.variant: replace(s, weight=float(w)) for s, w in zip(ranked, weights, strict=True)}
        scores = [weighted.get(s.variant, s) for s in scores]
    said = tuple(verdict_in_words(scores, n))
    return Comparison(target, n, tuple(scores), said, withheld, best.k_threshold, dict(pointwise))


def _score(name: str, own: Loo, best: Loo, n: int) -> Score:
    difference = own.elpd_i - best.elpd_i
    se = standard_error(difference)
    high = int(own.high.sum())
    return Score(
        variant=name,
        elpd=own.elpd,
        se=own.se,
        elpd_diff=float(difference.sum()),
        se_diff=se,
        se_diff_used=se * FEW_WIDENING if n < FEW_OBSERVATIONS else se,
        p_loo=own.p_loo,
        weight=None,
        pareto_k_high=high,
        pareto_k_max=None if own.pareto_k is None else float(np.max(own.pareto_k)),
        route=own.route,
        prior=own.prior,
        reading=" ".join(s for s in (own.note, read_score(own.p_loo, own.n_parameters, n, high)) if s),
    )


def _refuse_different_data(fits: Sequence[Fit]) -> None:
    first = fits[0]
    for other in fits[1:]:
        difference = _groups_differ(first, other) or _outcomes_differ(first, other) or _values_differ(first, other)
        if difference:
            raise ComparisonError(f"{first.variant} and {other.variant} were fitted to different {difference}")


def _groups_differ(a: Fit, b: Fit) -> str:
    if [a.table.labels[g] for g in a.table.group] == [b.table.labels[g] for g in b.table.group]:
        return ""
    if sorted(a.table.labels) == sorted(b.table.labels):
        return "row order: the same groups stand in another order. Fit both to the same table."
    return f"data: {len(a.table.labels)} and {len(b.table.labels)} groups, not the same ones."


def _outcomes_differ(a: Fit, b: Fit) -> str:
    columns = tuple(f.table.dataset.column(f.family.outcome(f.table)) for f in (a, b))
    if columns[0] == columns[1] or np.array_equal(a.y, b.y):
        return ""
    return (
        f"outcome scales: the outcome is {columns[0]!r} in one and {columns[1]!r} in the other. "
        "If one is a transform of the other, add its log Jacobian, or refit."
    )


def _values_differ(a: Fit, b: Fit) -> str:
    for role, values in a.table.values.items():
        i = next(iter(np.flatnonzero(values != b.table.values[role])), None)
        if i is not None:
            label = a.table.labels[int(a.table.group[i])]
            return (
                f"data: the {role.replace('_', ' ')} of group {label!r} is {values[i]:g} in one "
                f"and {b.table.values[role][i]:g} in the other."
            )
    return ""
