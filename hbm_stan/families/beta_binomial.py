"""Beta-binomial: successes of trials in each group, rates drawn from a beta distribution (clinics, variants, batters).

Written from Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., sections 2.4 and 5.3, not from the Stan programs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from hbm_stan.errors import DataError, ModelError
from hbm_stan.families.alike import alike_rates
from hbm_stan.families.conjugate import known_rates
from hbm_stan.families.ranking import which_is_highest
from hbm_stan.families.rates_left_out import exact_rows, log_choose, of_groups, successes, successes_drawn
from hbm_stan.families.totals import row_index, totals
from hbm_stan.later import beta, betaln, binom, xlog1py, xlogy
from hbm_stan.model import Draws, Family, Groups, Option, Programs, StanData, Twin, Variant, Words
from hbm_stan.prepare import Prepared, Role
from hbm_stan.priors import SCALES, Prior, PriorRow, decode_scale, encode_scale, raw_support, to_decimals
from hbm_stan.resources import share
from hbm_stan.table import FloatArray


def _prepare(table: Prepared, priors: Mapping[str, Prior]) -> StanData:
    trials = table["trials"]
    if (trials == 0).any():
        row = table.row_names[int(np.flatnonzero(trials == 0)[0])]
        raise DataError(
            f"{table.dataset.table.where}, column {table.dataset.column('trials')!r}: {row} has 0 trials, which say "
            "nothing about a rate. Take the row out."
        )
    kappa_family, kappa = encode_scale(priors["kappa"])
    return {
        "N": len(trials),
        "J": table.n_groups,
        "group_idx": table.group_idx,
        "y": table["successes"].astype(np.int64),
        "trials": trials.astype(np.int64),
        "prior_mu": list(priors["mu"].arguments),
        "prior_kappa_family": kappa_family,
        "prior_kappa": kappa,
        "prior_theta": list(priors["theta"].arguments),
    }


def _default_priors(table: Prepared) -> dict[str, Prior]:
    return usual_priors(table["successes"].sum(), table["trials"].sum())


def usual_priors(successes: float, trials: float) -> dict[str, Prior]:
    """Uniform rates; for kappa what an sd of about 1/2 between the groups' log odds comes to at the pooled rate.

    By the delta method the sd of the log odds is tau / (mu (1 - mu)) = 1 / sqrt(mu (1 - mu) (kappa + 1)).
    """
    pooled = (successes + 1) / (trials + 2)  # the rule of succession: never 0 or 1
    median = 4 / (pooled * (1 - pooled))
    kappa = Prior(
        name="kappa", distribution="lognormal", arguments=(to_decimals(math.log(median), 1), 2.0),
        reason=f"log odds of {{groups}} with an sd of about 0.5 at the pooled rate {pooled:.3g}, 90 % of it between "
        "0.1 and 2.6: from {groups} nearly alike to rates from near 0 to near 1",
        default=True,
    )  # fmt: skip
    return {
        "mu": Prior(
            name="mu",
            distribution="beta",
            arguments=(1.0, 1.0),
            reason="uniform: no mean rate is preferred; worth two trials",
            default=True,
        ),
        "kappa": kappa,
        "theta": Prior(
            name="theta",
            distribution="beta",
            arguments=(1.0, 1.0),
            reason="no pooling: fixed and uniform; worth two trials",
            default=True,
        ),
    }


def _shapes(draws: Draws) -> tuple[Any, Any]:
    """The two shapes of the population's beta distribution."""
    return draws["mu"] * draws["kappa"], (1 - draws["mu"]) * draws["kappa"]


def _log_joint(params: Draws, data: StanData, variant: str) -> float:
    """Log prior plus log likelihood at one point, on the constrained scale."""
    use, row = data["use_likelihood"], row_index(data)
    y, trials = np.asarray(data["y"]), np.asarray(data["trials"])
    if variant == "no_pooling":
        total = beta.logpdf(params["theta"], *data["prior_theta"]).sum()
        return float(total + use * binom.logpmf(y, trials, params["theta"][row]).sum())
    total = beta.logpdf(params["mu"], *data["prior_mu"])
    if variant == "complete_pooling":
        return float(total + use * binom.logpmf(y, trials, params["mu"]).sum())
    total += decode_scale("kappa", data["prior_kappa_family"], data["prior_kappa"]).log_density(params["kappa"])
    if variant == "partial_pooling":
        one = {k: np.asarray([params[k]]) for k in ("mu", "kappa")}
        return float(total + use * _group_log_lik(one, data).sum())
    total += beta.logpdf(params["theta"], *_shapes(params)).sum()
    return float(total + use * binom.logpmf(y, trials, params["theta"][row]).sum())


def _pointwise(draws: Draws, data: StanData) -> FloatArray:
    y, theta = np.asarray(data["y"]), draws["theta"][:, row_index(data)]
    return np.asarray(log_choose(data) + xlogy(y, theta) + xlog1py(np.asarray(data["trials"]) - y, -theta))


def _group_log_lik(draws: Draws, data: StanData) -> FloatArray:
    """BDA3 eq. 5.8, one factor a group: the binomials of its rows with theta integrated out; else at the shared mu."""
    successes, trials = totals(data, "trials")
    choose = np.bincount(row_index(data), weights=log_choose(data), minlength=data["J"])
    if "kappa" not in draws:
        mu = draws["mu"][:, None]
        return np.asarray(choose + successes * np.log(mu) + (trials - successes) * np.log1p(-mu))
    a, b = (s[:, None] for s in _shapes(draws))
    return np.asarray(choose + betaln(a + successes, b + trials - successes) - betaln(a, b))


def _prior_group_log_lik(data: StanData, variant: str) -> FloatArray | None:
    """BDA3 eq. 5.8 again, at the fixed prior of theta."""
    a, b = data["prior_theta"]
    fixed = {"mu": np.array([a / (a + b)]), "kappa": np.array([a + b])}
    return np.asarray(_group_log_lik(fixed, data)[0]) if variant == "no_pooling" else None


def _simulate(rng: np.random.Generator, draws: Draws, design: StanData) -> FloatArray:
    return np.asarray(rng.binomial(np.asarray(design["trials"]), draws["theta"][:, row_index(design)]), dtype=float)


def _row_moments(draws: Draws, data: StanData) -> tuple[FloatArray, FloatArray]:
    """n p and n p (1 - p)."""
    theta, trials = draws["theta"][:, row_index(data)], np.asarray(data["trials"])
    return trials * theta, trials * theta * (1 - theta)


def _new_group(rng: np.random.Generator, draws: Draws, design: StanData, variant: str) -> FloatArray:
    """Rates of unseen groups, (S, J); without pooling from the prior of theta, with complete pooling mu."""
    if variant == "no_pooling":
        a, b = design["prior_theta"]
        return rng.beta(a, b, size=(len(draws["theta"]), design["J"]))
    if "kappa" not in draws:
        return np.repeat(draws["mu"][:, None], design["J"], axis=1)
    a, b = _shapes(draws)
    return np.asarray(rng.beta(a[:, None], b[:, None], size=(len(a), design["J"])))


def _draw_groups(rng: np.random.Generator, draws: Draws, data: StanData) -> FloatArray:
    """theta given mu, kappa and the counts: BDA3 eq. 5.7."""
    successes, trials = (data["use_likelihood"] * s for s in totals(data, "trials"))
    a, b = (s[:, None] for s in _shapes(draws))
    return np.asarray(rng.beta(a + successes, b + trials - successes))


def _independent(rng: np.random.Generator, data: StanData, variant: str, size: int) -> Draws | None:
    """Beta again, successes added to the first shape, failures to the second: BDA3, section 2.4."""
    return known_rates(
        lambda prior, y, n, shape: rng.beta(prior[0] + y, prior[1] + n - y, shape), data, "trials", variant, size
    )


def _new_row(data: StanData, options: Mapping[str, Any]) -> tuple[StanData, str]:
    """Successes in a new group, out of the trials of the options or the median of the data."""
    trials = float(options.get("trials", np.ceil(np.median(data["trials"]))))
    if not 1 <= trials < 2**31 or trials != int(trials):
        raise ModelError(f"prediction.trials must be a whole number above zero, found {trials:g}.")
    one = np.ones(1, dtype=np.int64)
    design = {**data, "N": 1, "J": 1, "group_idx": one, "y": 0 * one, "trials": int(trials) * one}
    return design, f"successes out of {int(trials):,} trials in a new {{group}}"


def _tau(mu: FloatArray, kappa: FloatArray) -> FloatArray:
    """sd of the population's beta distribution: BDA3, appendix A."""
    return np.sqrt(mu * (1 - mu) / (kappa + 1))


def _prior_draws(
    rng: np.random.Generator, priors: Mapping[str, Prior], _data: StanData, size: int
) -> dict[str, FloatArray]:
    mu, kappa = (priors[name].draw(rng, size) for name in ("mu", "kappa"))
    return {"mu": mu, "kappa": kappa, "tau": _tau(mu, kappa)}


def _raw(data: StanData) -> tuple[FloatArray, FloatArray]:
    """Successes per trial with the binomial standard error, which has no use where the rate is 0 or 1."""
    successes, trials = totals(data, "trials")
    rate = successes / trials
    variance = rate * (1 - rate) / trials
    return rate, np.sqrt(np.where(variance > 0, variance, np.nan))


def _shrinkage_factor(draws: Draws, data: StanData) -> FloatArray:
    """kappa / (kappa + trials): the weight of mu in the conditional mean of theta_j (BDA3, section 2.4)."""
    kappa = draws["kappa"][:, None]
    return np.asarray(kappa / (kappa + totals(data, "trials")[1]))


def _shapes_of_groups(draws: Draws, data: StanData) -> tuple[FloatArray, FloatArray]:
    """The shapes that rates of groups come from at each draw, (S, 1) each; without pooling those of their prior."""
    return of_groups(_shapes(draws) if "kappa" in draws else None, draws, data)


def _support(data: StanData) -> dict[str, tuple[float, float]]:
    return {"mu": (0.0, 1.0), "theta": (0.0, 1.0), "kappa_raw": raw_support(data["prior_kappa_family"])}


def _transformed(params: Draws, data: StanData) -> dict[str, FloatArray]:
    """kappa from kappa_raw, and tau, where the program has them."""
    if "kappa_raw" not in params:
        return {}
    kappa = data["prior_kappa"][0] * params["kappa_raw"]
    return {"kappa": kappa, "tau": _tau(params["mu"], kappa)}


_PARTIAL = (
    'theta_j tilde "beta"(mu kappa, (1 - mu) kappa)',
    "mu tilde p(mu), quad kappa tilde p(kappa)",
    "tau = sqrt(mu (1 - mu) \\/ (kappa + 1))",
)
_PARTIAL_ASSUMPTION = (
    "{Groups} are draws from one population, whose mean and concentration are learnt from all of them."
)

_VARIANTS = (
    Variant(name="complete_pooling", title="Complete pooling", pooling="complete", parameterisation="mu itself",
            assumption="All {groups} share one rate; they differ by chance only.",
            math=("theta_j = mu", "mu tilde p(mu)"), priors=("mu",)),
    Variant(name="no_pooling", title="No pooling", pooling="no", parameterisation="theta itself",
            assumption="{Groups} share nothing; each has its own fixed prior.", math=("theta_j tilde p(theta)",),
            priors=("theta",)),
    Variant(name="partial_pooling", title="Partial pooling", pooling="partial",
            parameterisation="marginal: rates integrated out, drawn afterwards", assumption=_PARTIAL_ASSUMPTION,
            math=_PARTIAL, priors=("mu", "kappa")),
    Variant(name="partial_pooling_centered", title="Partial pooling, centered", pooling="partial",
            parameterisation="centered: theta itself, sampled as its log odds", assumption=_PARTIAL_ASSUMPTION,
            math=_PARTIAL, priors=("mu", "kappa"), better="partial_pooling (rates integrated out)"),
)  # fmt: skip
_PRIOR_ROWS = (
    PriorRow(name="mu", distributions=("beta",), meaning="mean rate of the population",
             source="Gelman et al. (2013), section 2.4"),
    PriorRow(name="kappa", distributions=SCALES,
             meaning="concentration of the population: it weighs as much as so many trials",
             source="Gelman et al. (2013), section 5.3"),
    PriorRow(name="theta", distributions=("beta",), meaning="rate of each {group} without pooling", source="fixed"),
)  # fmt: skip

FAMILY = Family(
    name="beta_binomial",
    roles=(
        Role(name="group", kind="label", meaning="name of the group"),
        Role(name="successes", kind="count", meaning="number of successes", at_most="trials"),
        Role(name="trials", kind="count", meaning="number of trials that the successes are out of"),
    ),
    outcomes=("successes",), size="trials", known_residual=True,
    programs=Programs(
        variants=_VARIANTS, prior_rows=_PRIOR_ROWS,
        dims={"theta": ("group",), "y_rep": ("observation",), "log_lik": ("observation",)},
        population=("mu", "tau", "kappa"), folder=share("stan") / "beta_binomial", prepare=_prepare,
        default_priors=_default_priors, draw_groups=_draw_groups, independent=_independent,
    ),
    twin=Twin(
        calibration={"mu": "beta(3, 4)", "kappa": "lognormal(2.5, 1)", "theta": "beta(2, 3)"}, log_joint=_log_joint,
        support=_support, transformed=_transformed, prior_draws=_prior_draws, simulate=_simulate,
        row_moments=_row_moments, pointwise=_pointwise,
    ),
    groups=Groups(
        prediction={"trials": Option("of the observation in a new group, a whole number; by default the median")},
        new_group=_new_group, group_log_lik=_group_log_lik, prior_group_log_lik=_prior_group_log_lik, new_row=_new_row,
        raw=_raw, less_alike=alike_rates, shrinkage_factor=_shrinkage_factor, exact_loo=partial(exact_rows, successes),
        loo_log_lik=lambda draws, data, _: successes(_shapes_of_groups(draws, data), data),
        loo_rep=lambda rng, draws, data, _, rows: successes_drawn(rng, _shapes_of_groups(draws, data), data, rows),
    ),
    words=Words(
        title="Beta-binomial: successes of trials in each group",
        citation="Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., sections 2.4 and 5.3; Tarone (1982).",
        likelihood=('y_n tilde "binomial"("trials"_n, theta_(j[n])), quad n = 1, dots, N',), group_meaning="rate",
        signed=False, findings=which_is_highest,
    ),
)  # fmt: skip
