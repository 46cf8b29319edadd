"""Leaving one observation or one group out: exact where it can be, else PSIS, group effects integrated out if possible.

What ``loo`` and ``logo`` return is a score as the draws of one fit give it; ``hbm_stan.repair`` mends what PSIS cannot.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hbm_stan.densities import Unit, density_of, evaluated, log_lik_of, log_mean_density, refuse_not_finite
from hbm_stan.fit import Fit
from hbm_stan.log_sums import softmax
from hbm_stan.mixing import mcse_mean
from hbm_stan.nouns import GROUPS, Noun
from hbm_stan.portions import VERY_MANY_ROWS, portions
from hbm_stan.psis import Columns, psis_loo
from hbm_stan.scores import Route, badly_misspecified, most_p_loo, read_score
from hbm_stan.table import FloatArray
from hbm_stan.verdicts import Verdict

# Vehtari et al. (2024), JMLR 25(72): above this k no practical number of draws makes PSIS reliable.
MORE_DRAWS_HELP = 0.7
# Draws that the accuracy of an integral over groups is checked on, and the change of an elpd that matters (ours: the
# error that a repaired score of one observation may have).
_CHECKED_DRAWS, QUADRATURE_MATTERS = 50, 0.1


@dataclass(frozen=True, kw_only=True)
class Repair:
    """How the score of one unit was repaired: by which route, from what to what, and the Pareto k of the new one."""

    route: Route
    pareto_k: float
    pareto_k_after: float
    elpd_before: float
    elpd: float
    mcse: float


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """The score of one fit when each unit (observation or group) is left out in turn.

    ``elpd_i`` and ``lppd_i`` have one value for each unit; ``pareto_k`` is None where nothing was estimated by PSIS.
    ``prior`` names the prior that the score is made of, where leaving a unit out leaves nothing else; ``note`` says it
    in words of some rows. ``mcse`` is the Monte Carlo error of the sum, nan while a unit is unrepaired. ``repairs``
    holds what was repaired, by unit; ``reasons`` why others were not. ``quadrature`` is by how much elpd changes when
    the integrals over groups take twice the nodes.
    """

    elpd_i: FloatArray
    lppd_i: FloatArray
    pareto_k: FloatArray | None
    k_threshold: float
    route: Route
    n_parameters: int
    prior: str = ""
    note: str = ""
    unit: Unit = "observation"
    mcse: float = math.nan
    repairs: Mapping[int, Repair] = field(default_factory=dict)
    reasons: Mapping[int, str] = field(default_factory=dict)
    quadrature: float | None = None

    @property
    def elpd(self) -> float:
        """The expected log predictive density, summed over units."""
        return float(self.elpd_i.sum())

    @property
    def se(self) -> float:
        """Its standard error: sqrt(N) sd(elpd_i), ddof 1, over the units."""
        return standard_error(self.elpd_i)

    @property
    def p_loo(self) -> float:
        """The effective number of parameters: lppd - elpd."""
        return float(self.lppd_i.sum()) - self.elpd

    @property
    def rough(self) -> bool:
        """Whether integrals over groups are not accurate enough, or not known to be."""
        return self.quadrature is not None and not self.quadrature <= QUADRATURE_MATTERS

    @property
    def high_at_first(self) -> int:
        """How many units had a Pareto k that is not good, those included that were repaired since."""
        return 0 if self.pareto_k is None else int((~(self.pareto_k < self.k_threshold)).sum())

    @property
    def high(self) -> npt.NDArray[np.bool_]:
        """Which units have a Pareto k that is not good and was not repaired; none where the score is exact."""
        if self.pareto_k is None:
            return np.zeros(self.elpd_i.shape, dtype=bool)
        # A k that is not a number is no good k.
        too_high = ~(self.pareto_k < self.k_threshold)
        too_high[list(self.repairs)] = False
        return too_high


def standard_error(pointwise: FloatArray) -> float:
    """sqrt(N) times the sd (ddof 1) of pointwise values: Vehtari et al. (2017), eq. 24."""
    return math.sqrt(pointwise.size) * float(np.std(pointwise, ddof=1))


def good_k(n_draws: int) -> float:
    """The Pareto k below which PSIS is reliable with this many draws: Vehtari et al. (2024), JMLR 25(72), eq. 13."""
    return min(1 - 1 / math.log10(n_draws), MORE_DRAWS_HELP)


def loo(fit: Fit) -> LeftOut:
    """Leave-one-out of the rows of a fit, with r_eff = 1 as R's loo (2.7 and later) has it by default.

    Where every group has one row, leaving the row out leaves the group out: the group effect is integrated out
    (Merkle, Furr & Rabe-Hesketh 2019), which has the same target and a smaller error. Where leaving the row out
    leaves the prior (no pooling), the prior predictive density is exact and PSIS is biased. Of very many rows some
    draws stand for all (``Fit.of_rows``): the Monte Carlo error of the score is theirs.
    """
    fit = fit.of_rows
    conditional = log_lik_of(fit)
    lppd_i, size = log_mean_density(conditional), _n_parameters(fit)
    threshold, one_row = good_k(fit.n_draws), fit.table.one_row_per_group
    exact = fit.family.groups.exact_loo(fit.data, fit.variant) if fit.family.groups.exact_loo is not None else None
    if exact is not None:
        alone = one_row and fit.pooling == "no"
        route = Route.ROW_PRIOR if alone else Route.EXACT
        prior, note = (priors_of(fit), "") if alone else ("", _rows_alone(fit, exact))
        return LeftOut(
            elpd_i=exact, lppd_i=lppd_i, pareto_k=None, k_threshold=threshold, route=route, n_parameters=size,
            prior=prior, note=note, mcse=0.0,
        )  # fmt: skip
    density = density_of(fit, "observation")
    log_lik = conditional if density.own or density.of is None else evaluated(fit, density.of)
    if one_row and fit.pooling == "no":
        scored = psis_loo(log_lik)
        return LeftOut(
            elpd_i=scored.elpd_i, lppd_i=lppd_i, pareto_k=scored.pareto_k, k_threshold=threshold, route=Route.BIASED,
            n_parameters=size, prior=priors_of(fit),
        )  # fmt: skip
    return _scored(fit, log_lik, lppd_i, density.route, size, "observation")


def logo(fit: Fit) -> LeftOut | None:
    """Leave-one-group-out of a fit: log p(y_group | the other groups), jointly over the rows of the group.

    Group effects are integrated out: PSIS on the sum of a group's conditional log_lik fails (its Pareto k is nearly
    always high, and elpd too high). Without pooling a group that is left out has nothing but its prior, and what a
    formula's model, or instruments, share beside it; None where the family does not give the density of that.
    """
    threshold, groups = good_k(fit.n_draws), fit.table.n_groups
    if fit.pooling == "no":
        alone = fit.family.groups.prior_group_log_lik
        prior_log_lik = None if alone is None else alone(fit.data, fit.variant)
        if prior_log_lik is not None:
            own = np.full(groups, math.nan)
            return LeftOut(
                elpd_i=prior_log_lik, lppd_i=own, pareto_k=None, k_threshold=threshold, route=Route.GROUP_PRIOR,
                n_parameters=0, prior=priors_of(fit), unit="group", mcse=0.0,
            )  # fmt: skip
        if not (fit.family.terms or fit.family.programs.shared):
            return None
        # More than the prior is left: common columns, other factors, the residual sd; how instruments measure.
    density, size = density_of(fit, "group"), _n_parameters(fit, groups_too=False)
    if density.own or density.of is None:
        none, bad = np.full(groups, math.nan), np.full(groups, math.inf)
        # Nothing of the sum comes from these draws: its error is that of the refits.
        return LeftOut(
            elpd_i=none, lppd_i=none, pareto_k=bad, k_threshold=threshold, route=Route.NEEDS_REFITS, n_parameters=size,
            unit="group", mcse=0.0,
        )  # fmt: skip
    log_lik = evaluated(fit, density.of)
    lppd_i, exact_logo = log_mean_density(log_lik), fit.family.groups.exact_logo
    exact = None
    if exact_logo is not None and fit.table.n_rows > VERY_MANY_ROWS:
        exact = exact_logo(fit.settled_data, fit.variant)
    if exact is not None:
        return LeftOut(
            elpd_i=exact, lppd_i=lppd_i, pareto_k=None, k_threshold=threshold, route=Route.EXACT, n_parameters=size,
            unit="group", mcse=0.0,
        )  # fmt: skip
    return _scored(fit, log_lik, lppd_i, density.route, size, "group")


def _scored(fit: Fit, log_lik: Columns, lppd_i: FloatArray, route: Route, size: int, unit: Unit) -> LeftOut:
    refuse_not_finite(fit, log_lik, unit)
    scored, threshold = psis_loo(log_lik), good_k(log_lik.shape[0])
    bad = np.flatnonzero(~(scored.pareto_k < threshold))
    # Units that are to be repaired bring an error of their own; that of the others is what this one is of.
    series = scored.series
    for some in portions(len(bad), log_lik.shape[0]):
        series = series - log_lik.shape[0] * softmax(-log_lik[:, bad[some]], axis=0).sum(axis=1)
    return LeftOut(
        elpd_i=scored.elpd_i, lppd_i=lppd_i, pareto_k=scored.pareto_k, k_threshold=threshold, route=route,
        n_parameters=size, unit=unit, note="" if unit == "group" else _rows_alone(fit, scored.elpd_i),
        mcse=mean_error(series, fit.sampling.chains),
        quadrature=_quadrature_error(fit, log_lik, unit) if route is Route.INTEGRATED else None,
    )  # fmt: skip


def mean_error(series: FloatArray, chains: int) -> float:
    """The Monte Carlo standard error of the mean of a series of draws, chains joined, shape (S,)."""
    return 0.0 if np.ptp(series) == 0 else float(mcse_mean(series.reshape(1, chains, -1))[0])


def _quadrature_error(fit: Fit, log_lik: Columns, unit: Unit) -> float | None:
    """The change of elpd, summed over units, when integrals take twice the nodes; None where they are closed forms.

    To first order: the mean change of a log density over the draws without the unit.
    """
    finer = fit.family.groups.finer_group_log_lik
    if finer is None or (unit == "observation" and not fit.table.one_row_per_group):
        return None
    taken = np.linspace(0, fit.n_draws - 1, min(_CHECKED_DRAWS, fit.n_draws)).astype(int)
    exact = finer({name: values[taken] for name, values in fit.draws().items()}, fit.data)
    if exact is None:
        return None
    exact = exact if unit == "group" else exact[:, fit.table.pooled.level]
    given = log_lik[:, :][taken]
    change = softmax(-given, axis=0) * (exact - given)
    return float(np.abs(change.sum(axis=0)).sum())


def priors_of(fit: Fit) -> str:
    """The priors that a variant uses, as one text."""
    return ", ".join(fit.family.prior_texts(fit.variant, fit.priors).values()) or "as the program has it"


def _rows_alone(fit: Fit, elpd_i: FloatArray) -> str:
    """What must be said of rows that are the only one of their group, without pooling."""
    alone = fit.table.alone
    if fit.pooling != "no" or not alone.any():
        return ""
    one, share, noun = alone.sum() == 1, f"({elpd_i[alone].sum():.1f} of {elpd_i.sum():.1f})", fit.table.noun
    rows = "1 row is the only one of its" if one else f"{alone.sum()} rows are the only one of their"
    return (
        f"{rows} {noun.one}: without pooling {'its' if one else 'their'} score {share} is that of the prior alone, "
        f"{priors_of(fit)}, and would change with that choice."
    )


def _n_parameters(fit: Fit, *, groups_too: bool = True) -> int:
    """Parameters: the population's, effects of other factors, and those of groups unless pooling is complete."""
    posterior = fit.named["posterior"]
    names = [n for n in (*fit.family.programs.population, *(("effect",) if fit.family.terms else ())) if n in posterior]
    if groups_too and fit.pooling != "complete" and fit.family.groups.group_quantity in posterior:
        names.append(fit.family.groups.group_quantity)
    if groups_too:  # values of a curve at the rows
        names += [n for n, dims in fit.family.programs.dims.items() if dims == ("observation",) and n in posterior]
    return sum(math.prod(posterior[n].shape[2:]) for n in names)


def check_pareto_k(left_out: LeftOut, labels: Sequence[str], noun: Noun = GROUPS) -> Verdict:
    """Whether the score of every unit can be believed: PSIS was good, or what was not is repaired."""
    name = "Pareto k" if left_out.unit == "observation" else "Pareto k, groups"
    if left_out.pareto_k is None or left_out.prior:
        return Verdict(name=name, status="pass", value=None, threshold=left_out.k_threshold)
    value = float(np.max(left_out.pareto_k))
    if not left_out.high.any():
        return Verdict(name=name, status="pass", value=value, threshold=left_out.k_threshold)
    named = [labels[int(i)] for i in np.flatnonzero(left_out.high)]
    shown = ", ".join(named[:5]) + (f" and {len(named) - 5} more" if len(named) > 5 else "")
    what = "observations" if left_out.unit == "observation" else noun.many
    # More draws raise the threshold up to 0.7; beyond it they do not help (Vehtari et al. 2024).
    advice = "Draw more." if value < MORE_DRAWS_HELP else f"These {what} surprise the model: look at them."
    reasons = sorted(set(left_out.reasons.values()))
    why = f" They are not repaired: {'; '.join(reasons)}." if reasons else ""
    hint = (
        f"Pareto k is too high for {len(named)} of {len(labels)} {what} ({shown}): their leave-one-out "
        f"scores are unreliable and no ranking is given.{why} {advice}"
    )
    return Verdict(name=name, status="warn", value=value, threshold=left_out.k_threshold, hint=hint, subject=named[0])


def check_p_loo(left_out: LeftOut) -> list[Verdict]:
    """Whether p_loo, beside high Pareto k, says that the model is badly misspecified; nothing of an exact score.

    Where every k is low, p_loo says nothing of misfit, and there is nothing to check.
    """
    if left_out.pareto_k is None or left_out.prior or not left_out.high_at_first:
        return []
    name = "p_loo" if left_out.unit == "observation" else "p_loo, groups"
    if not badly_misspecified(left_out.p_loo, left_out.n_parameters, left_out.high_at_first):
        return [Verdict(name=name, status="pass", value=left_out.p_loo, threshold=most_p_loo(left_out.n_parameters))]
    hint = read_score(left_out.p_loo, left_out.n_parameters, left_out.elpd_i.size, left_out.high_at_first)
    return [
        Verdict(name=name, status="warn", value=left_out.p_loo, threshold=most_p_loo(left_out.n_parameters), hint=hint)
    ]
