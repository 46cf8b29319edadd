"""Which variant would predict a new observation better? PSIS-LOO, and what may be concluded from it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from hbm_stan.diagnose import Diagnosis, check
from hbm_stan.errors import ComparisonError
from hbm_stan.fit import Fit
from hbm_stan.model import posterior_draws
from hbm_stan.scores import FEW_OBSERVATIONS, FEW_WIDENING, Score, distinguishable, read_score, verdict_in_words
from hbm_stan.table import FloatArray
from hbm_stan.verdicts import Verdict
from hbm_stan.weights import stacking_weights

# Vehtari et al. (2024), JMLR 25(72): above this k no practical number of draws makes PSIS reliable.
MORE_DRAWS_HELP = 0.7
KNOWN_GROUP = "a new observation in a known group (leave-one-out)"
LEFT_OUT_GROUP = (
    "the estimate of a group that is left out: each group has one row, so leave-one-out leaves it out whole"
)


@dataclass(frozen=True)
class Loo:
    """Leave-one-out of one fit: pointwise elpd and Pareto k (None where it was computed exactly), and the route.

    ``prior`` names the prior that the score is made of, where leaving an observation out leaves nothing else.
    """

    elpd_i: FloatArray
    lppd_i: FloatArray
    pareto_k: FloatArray | None
    k_threshold: float
    route: str
    n_parameters: int
    prior: str = ""

    @property
    def elpd(self) -> float:
        """The expected log predictive density, summed over observations."""
        return float(self.elpd_i.sum())

    @property
    def se(self) -> float:
        """Its standard error: sqrt(N) sd(elpd_i), ddof 1."""
        return standard_error(self.elpd_i)

    @property
    def p_loo(self) -> float:
        """The effective number of parameters: lppd - elpd."""
        return float(self.lppd_i.sum()) - self.elpd

    @property
    def high(self) -> npt.NDArray[np.bool_]:
        """Which observations have a Pareto k that is not good; none where the score is exact."""
        if self.pareto_k is None:
            return np.zeros(self.elpd_i.shape, dtype=bool)
        # A k that is not a number is no good k.
        return ~(self.pareto_k < self.k_threshold)


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


def standard_error(pointwise: FloatArray) -> float:
    """sqrt(N) times the sd (ddof 1) of pointwise values: Vehtari et al. (2017), eq. 24."""
    return math.sqrt(pointwise.size) * float(np.std(pointwise, ddof=1))


def good_k(n_draws: int) -> float:
    """The Pareto k below which PSIS is reliable with this many draws: Vehtari et al. (2024), JMLR 25(72), eq. 13."""
    return min(1 - 1 / math.log10(n_draws), MORE_DRAWS_HELP)


def loo(fit: Fit) -> Loo:
    """PSIS-LOO of a fit, with r_eff = 1 as R's loo (2.7 and later) has it by default.

    Where every group has one row, leaving the row out leaves the group out: the group effect is integrated out
    (Merkle, Furr & Rabe-Hesketh 2019), which has the same target and a smaller error. Where leaving the row out
    leaves the prior (no pooling), the prior predictive density is exact and PSIS is biased.
    """
    conditional = _log_lik(fit)
    lppd_i = np.asarray(logsumexp(conditional, axis=0)) - math.log(conditional.shape[0])
    threshold, size = good_k(conditional.shape[0]), _n_parameters(fit)
    one_row, family = fit.table.one_row_per_group, fit.family
    exact = family.exact_loo(fit.data, fit.variant) if family.exact_loo is not None else None
    if exact is not None and one_row and fit.pooling == "no":
        prior = ", ".join(p.text for p in family.priors_of(fit.variant, fit.priors).values())
        return Loo(exact, lppd_i, None, threshold, "exact: its prior alone", size, prior)
    if exact is not None:
        return Loo(exact, lppd_i, None, threshold, "exact: closed form", size)
    route, log_lik = "PSIS", conditional
    integrated = "PSIS, group effects integrated out"
    if fit.pooling == "partial" and one_row and family.group_log_lik is not None:
        # One row a group, in any order: to the order of the rows.
        route, log_lik = integrated, family.group_log_lik(fit.draws(), fit.data)[:, fit.table.group]
    elif fit.pooling != "complete" and family.loo_log_lik is not None:
        route, log_lik = integrated, family.loo_log_lik(fit.draws(), fit.data, fit.variant)
    elpd_i, pareto_k = _psis(log_lik)
    if one_row and fit.pooling == "no":
        prior = ", ".join(p.text for p in family.priors_of(fit.variant, fit.priors).values())
        route = "PSIS, biased here: needs exact_loo()"
        return Loo(elpd_i, lppd_i, pareto_k, threshold, route, size, prior or "as the program has it")
    return Loo(elpd_i, lppd_i, pareto_k, threshold, route, size)


def _n_parameters(fit: Fit) -> int:
    """Parameters of the model: the population's, and those of each group unless pooling is complete."""
    posterior = fit.tree["posterior"]
    names = [n for n in fit.family.population if n in posterior]
    if fit.pooling != "complete" and fit.family.group_quantity in posterior:
        names.append(fit.family.group_quantity)
    return sum(math.prod(posterior[n].shape[2:]) for n in names)


def check_pareto_k(found: Loo, labels: Sequence[str]) -> Verdict:
    """Whether PSIS can be believed for every observation; an exact score needs no such check."""
    if found.pareto_k is None or found.prior:
        return Verdict("Pareto k", "pass", None, found.k_threshold)
    value = float(np.max(found.pareto_k))
    if not found.high.any():
        return Verdict("Pareto k", "pass", value, found.k_threshold)
    named = [label for label, high in zip(labels, found.high, strict=True) if high]
    shown = ", ".join(named[:5]) + (f" and {len(named) - 5} more" if len(named) > 5 else "")
    # More draws raise the threshold up to 0.7; beyond it they do not help (Vehtari et al. 2024).
    advice = "Draw more." if value < MORE_DRAWS_HELP else "These observations surprise the model: look at them."
    hint = (
        f"Pareto k is too high for {len(named)} of {len(labels)} observations ({shown}): their leave-one-out "
        f"scores are unreliable and no ranking is given. {advice}"
    )
    return Verdict("Pareto k", "warn", value, found.k_threshold, hint, named[0])


def has_log_lik(fit: Fit) -> bool:
    """Whether the program gave the log density of each row; a user's own may not."""
    return "log_likelihood" in fit.tree.children


def _log_lik(fit: Fit) -> FloatArray:
    if not has_log_lik(fit):
        raise ComparisonError(
            f"{fit.variant}: {fit.family.name} gives no {fit.family.log_lik}: it cannot be compared. Give the log "
            "density of each row in generated quantities, or say in the family what the program calls it."
        )
    values = posterior_draws(fit.tree["log_likelihood"].to_dataset(), ["y"])["y"]
    bad = np.argwhere(~np.isfinite(values))
    if bad.size:
        label = fit.table.row_names[int(bad[0][1])]
        raise ComparisonError(
            f"{fit.variant}: log_lik of {label!r} is {values[tuple(bad[0])]} in draw {int(bad[0][0]) + 1}. "
            "A finite log density for every draw and observation is needed."
        )
    return values


def _psis(log_lik: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(elpd_i, Pareto k) from log_lik, shape (draw, observation)."""
    from arviz_stats.base import array_stats as az

    # psislw takes the log likelihood and negates it to the log ratios of leaving an observation out.
    log_weights, pareto_k = az.psislw(log_lik.T, r_eff=1.0)
    return np.asarray(logsumexp(log_weights + log_lik.T, axis=1)), np.atleast_1d(np.asarray(pareto_k))


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
        reading=read_score(own.p_loo, own.n_parameters, n, high),
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
