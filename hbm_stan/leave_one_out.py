"""Leave-one-out of one fit: exact where it can be, else PSIS with group effects integrated out, else plain PSIS."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from hbm_stan.errors import ComparisonError
from hbm_stan.fit import Fit
from hbm_stan.model import posterior_draws
from hbm_stan.table import FloatArray
from hbm_stan.verdicts import Verdict

# Vehtari et al. (2024), JMLR 25(72): above this k no practical number of draws makes PSIS reliable.
MORE_DRAWS_HELP = 0.7


@dataclass(frozen=True)
class Loo:
    """Leave-one-out of one fit: pointwise elpd and Pareto k (None where it was computed exactly), and the route.

    ``prior`` names the prior that the score is made of, where leaving an observation out leaves nothing else; ``note``
    says it in words of some rows, where others have more.
    """

    elpd_i: FloatArray
    lppd_i: FloatArray
    pareto_k: FloatArray | None
    k_threshold: float
    route: str
    n_parameters: int
    prior: str = ""
    note: str = ""

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
        return Loo(exact, lppd_i, None, threshold, "exact: its prior alone", size, _priors(fit))
    if exact is not None:
        return Loo(
            exact, lppd_i, None, threshold, "exact: closed form or quadrature", size, note=_rows_alone(fit, exact)
        )
    route, log_lik = "PSIS", conditional
    integrated = "PSIS, group effects integrated out"
    if fit.pooling == "partial" and one_row and family.group_log_lik is not None:
        # One row a group, in any order: to the order of the rows.
        route, log_lik = integrated, family.group_log_lik(fit.draws(), fit.data)[:, fit.table.group]
    elif fit.pooling != "complete" and family.loo_log_lik is not None:
        route, log_lik = integrated, family.loo_log_lik(fit.draws(), fit.data, fit.variant)
    elpd_i, pareto_k = psis(log_lik)
    if one_row and fit.pooling == "no":
        return Loo(elpd_i, lppd_i, pareto_k, threshold, "PSIS, biased here: needs exact_loo()", size, _priors(fit))
    return Loo(elpd_i, lppd_i, pareto_k, threshold, route, size, note=_rows_alone(fit, elpd_i))


def _priors(fit: Fit) -> str:
    priors = fit.family.priors_of(fit.variant, fit.priors).values()
    return ", ".join(p.text for p in priors) or "as the program has it"


def _rows_alone(fit: Fit, elpd_i: FloatArray) -> str:
    """What must be said of rows that are the only one of their group, without pooling."""
    alone = np.bincount(fit.table.group)[fit.table.group] == 1
    if fit.pooling != "no" or not alone.any():
        return ""
    one, share = alone.sum() == 1, f"({elpd_i[alone].sum():.1f} of {elpd_i.sum():.1f})"
    rows = "1 row is the only one of its" if one else f"{alone.sum()} rows are the only one of their"
    return (
        f"{rows} group: without pooling {'its' if one else 'their'} score {share} is that of the prior alone, "
        f"{_priors(fit)}, and would change with that choice."
    )


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


def psis(log_lik: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(elpd_i, Pareto k) from log_lik, shape (draw, observation)."""
    from arviz_stats.base import array_stats as az

    # psislw takes the log likelihood and negates it to the log ratios of leaving an observation out.
    log_weights, pareto_k = az.psislw(log_lik.T, r_eff=1.0)
    return np.asarray(logsumexp(log_weights + log_lik.T, axis=1)), np.atleast_1d(np.asarray(pareto_k))
