"""Gamma-Poisson: counts with their exposure in each group, rates drawn from a gamma distribution (failures, accidents).

Written from George, Makov and Smith (1993), Scandinavian Journal of Statistics 20:147, and Gelman et al. (2013),
Bayesian Data Analysis, 3rd ed., section 2.6, not from the Stan programs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from hbm_stan.families.alike import alike_rates
from hbm_stan.families.conjugate import known_rates
from hbm_stan.families.rates_left_out import LARGEST_MEAN, counts, counts_drawn, exact_rows, of_groups
from hbm_stan.families.totals import row_index, totals
from hbm_stan.later import gamma, gammaln, poisson, xlogy
from hbm_stan.model import Draws, Family, Groups, Option, Programs, StanData, Twin, Variant, Words
from hbm_stan.prepare import Prepared, Role
from hbm_stan.priors import SCALES, Prior, PriorRow, decode_scale, encode_scale, raw_support, to_decimals, two_digits
from hbm_stan.resources import share
from hbm_stan.table import FloatArray

# What the prior of beta may be: alpha and mu are sampled, and an end of beta would cut mu off at alpha / end.
_ENDLESS = tuple(name for name in SCALES if name != "uniform")


def _exposure(table: Prepared) -> FloatArray:
    """The exposure of each row: 1 where no column is named for it."""
    return table["exposure"] if "exposure" in table else np.ones(table.n_rows)


def _prepare(table: Prepared, priors: Mapping[str, Prior]) -> StanData:
    data: StanData = {
        "N": table.n_rows, "J": table.n_groups, "group_idx": table.group_idx, "y": table["count"].astype(np.int64),
        "exposure": _exposure(table),
    }  # fmt: skip
    for name in ("mu", "theta"):
        data[f"prior_{name}"] = list(priors[name].arguments)
    for name in ("alpha", "beta"):
        data[f"prior_{name}_family"], data[f"prior_{name}"] = encode_scale(priors[name])
    return data


def _default_priors(table: Prepared) -> dict[str, Prior]:
    """For alpha what a coefficient of variation of about 1/2 comes to; for beta that, over the pooled rate."""
    pooled = (table["count"].sum() + 0.5) / _exposure(table).sum()  # never 0
    half = two_digits(0.5 / pooled)
    beta = Prior(
        name="beta", distribution="lognormal", arguments=(to_decimals(math.log(4 / pooled), 1), 2.0),
        reason=f"4 over the pooled rate {pooled:.3g}: with alpha, 90 % of the mean rate within a factor of 110 of it",
        default=True,
    )  # fmt: skip
    return {
        "mu": Prior(
            name="mu", distribution="gamma", arguments=(0.5, half),
            reason=f"mean at the pooled rate {pooled:.3g}; worth half an event", default=True,
        ),
        "alpha": Prior(
            name="alpha", distribution="lognormal", arguments=(1.4, 2.0),
            reason="coefficient of variation 1/sqrt(alpha) of the rates about 0.5, 90 % of it between 0.1 and 2.6",
            default=True,
        ),
        "beta": beta,
        "theta": Prior(
            name="theta", distribution="gamma", arguments=(0.5, half),
            reason=f"no pooling: fixed, mean at the pooled rate {pooled:.3g}; worth half an event", default=True,
        ),
    }  # fmt: skip


def _moments(alpha: FloatArray, beta: FloatArray) -> dict[str, FloatArray]:
    """Mean and sd of the population's gamma distribution: Gelman et al. (2013), appendix A."""
    return {"mu": alpha / beta, "tau": np.sqrt(alpha) / beta}


def _log_joint(params: Draws, data: StanData, variant: str) -> float:
    """Log prior plus log likelihood at one point, on the constrained scale.

    With partial pooling it is the density of alpha and mu, the pair that is declared: that of alpha and beta times
    d beta / d mu = alpha / mu^2.
    """
    use, y, exposure = data["use_likelihood"], np.asarray(data["y"]), np.asarray(data["exposure"])
    if variant == "complete_pooling":
        total = _gamma(data["prior_mu"]).logpdf(params["mu"])
        return float(total + use * poisson.logpmf(y, params["mu"] * exposure).sum())
    if variant == "no_pooling":
        total = _gamma(data["prior_theta"]).logpdf(params["theta"]).sum()
    else:
        total = sum(
            decode_scale(name, data[f"prior_{name}_family"], data[f"prior_{name}"]).log_density(params[name])
            for name in ("alpha", "beta")
        )
        total = total + np.log(params["alpha"]) - 2 * np.log(params["mu"])
        if variant == "partial_pooling":
            one = {k: np.asarray([params[k]]) for k in ("alpha", "beta")}
            return float(total + use * _group_log_lik(one, data).sum())
        total = total + _gamma((params["alpha"], params["beta"])).logpdf(params["theta"]).sum()
    return float(total + use * poisson.logpmf(y, params["theta"][row_index(data)] * exposure).sum())


def _gamma(shape_and_rate: Any) -> Any:
    """The gamma distribution with this shape and rate."""
    shape, rate = shape_and_rate
    return gamma(shape, scale=1 / rate)


def _pointwise(draws: Draws, data: StanData) -> FloatArray:
    y, rate = np.asarray(data["y"]), draws["theta"][:, row_index(data)] * data["exposure"]
    return np.asarray(xlogy(y, rate) - rate - gammaln(y + 1))


def _group_log_lik(draws: Draws, data: StanData) -> FloatArray:
    """The Poisson probabilities of a group's rows with theta integrated out (BDA3, section 2.6); else at the shared mu.

    With one row it is negative binomial.
    """
    y, exposure = np.asarray(data["y"], dtype=float), np.asarray(data["exposure"], dtype=float)
    own = np.bincount(row_index(data), weights=y * np.log(exposure) - gammaln(y + 1), minlength=data["J"])
    events, total = totals(data, "exposure")
    if "alpha" not in draws:
        mu = draws["mu"][:, None]
        return np.asarray(own + events * np.log(mu) - total * mu)
    alpha, beta = draws["alpha"][:, None], draws["beta"][:, None]
    integral = gammaln(alpha + events) - gammaln(alpha) + alpha * np.log(beta) - (alpha + events) * np.log(beta + total)
    return np.asarray(own + integral)


def _prior_group_log_lik(data: StanData, variant: str) -> FloatArray | None:
    """The same integral at the fixed prior of theta."""
    fixed = {name: np.array([value]) for name, value in zip(("alpha", "beta"), data["prior_theta"], strict=True)}
    return np.asarray(_group_log_lik(fixed, data)[0]) if variant == "no_pooling" else None


def _simulate(rng: np.random.Generator, draws: Draws, design: StanData) -> FloatArray:
    mean = draws["theta"][:, row_index(design)] * np.asarray(design["exposure"])
    return np.asarray(rng.poisson(np.minimum(mean, LARGEST_MEAN)), dtype=float)


def _row_moments(draws: Draws, data: StanData) -> tuple[FloatArray, FloatArray]:
    """Of a Poisson count the variance is the mean."""
    mean = draws["theta"][:, row_index(data)] * np.asarray(data["exposure"])
    return mean, mean


def _new_group(rng: np.random.Generator, draws: Draws, design: StanData, variant: str) -> FloatArray:
    """Rates of unseen groups, (S, J); without pooling from the prior of theta, with complete pooling mu."""
    if variant == "no_pooling":
        shape, rate = design["prior_theta"]
        return rng.gamma(shape, 1 / rate, size=(len(draws["theta"]), design["J"]))
    if "alpha" not in draws:
        return np.repeat(draws["mu"][:, None], design["J"], axis=1)
    alpha, beta = draws["alpha"][:, None], draws["beta"][:, None]
    return np.asarray(rng.gamma(alpha, 1 / beta, size=(len(alpha), design["J"])))


def _draw_groups(rng: np.random.Generator, draws: Draws, data: StanData) -> FloatArray:
    """theta given alpha, beta and the counts: gamma again, events added to the shape, exposure to the rate."""
    events, total = (data["use_likelihood"] * s for s in totals(data, "exposure"))
    return np.asarray(rng.gamma(draws["alpha"][:, None] + events, 1 / (draws["beta"][:, None] + total)))


def _independent(rng: np.random.Generator, data: StanData, variant: str, size: int) -> Draws | None:
    """Gamma again, events added to the shape, exposure to the rate: BDA3, section 2.6."""
    return known_rates(
        lambda prior, y, t, shape: rng.gamma(prior[0] + y, 1 / (prior[1] + t), shape), data, "exposure", variant, size
    )


def _new_row(data: StanData, options: Mapping[str, Any]) -> tuple[StanData, str]:
    """A count in a new group, with the exposure of the options or the median of the data."""
    exposure = float(options.get("exposure", np.median(data["exposure"])))
    one = np.ones(1, dtype=np.int64)
    design = {**data, "N": 1, "J": 1, "group_idx": one, "y": 0 * one, "exposure": exposure * np.ones(1)}
    return design, f"count in a new {{group}}, with exposure {exposure:g}"


def _prior_draws(
    rng: np.random.Generator, priors: Mapping[str, Prior], _data: StanData, size: int
) -> dict[str, FloatArray]:
    alpha, beta = (priors[name].draw(rng, size) for name in ("alpha", "beta"))
    return {"alpha": alpha, "beta": beta, **_moments(alpha, beta)}


def _raw(data: StanData) -> tuple[FloatArray, FloatArray]:
    """Events per exposure with the Poisson standard error, which has no use where there was no event."""
    events, total = totals(data, "exposure")
    return events / total, np.sqrt(np.where(events > 0, events, np.nan)) / total


def _shrinkage_factor(draws: Draws, data: StanData) -> FloatArray:
    """beta / (beta + exposure): the weight of mu in the conditional mean of theta_j (BDA3, section 2.6)."""
    beta = draws["beta"][:, None]
    return np.asarray(beta / (beta + totals(data, "exposure")[1]))


def _gamma_of_groups(draws: Draws, data: StanData) -> tuple[FloatArray, FloatArray]:
    """Shape and rate of the gamma that rates of groups come from, (S, 1) each; without pooling those of their prior."""
    return of_groups((draws["alpha"], draws["beta"]) if "alpha" in draws else None, draws, data)


def _support(data: StanData) -> dict[str, tuple[float, float]]:
    rates = dict.fromkeys(("mu_raw", "theta_raw"), (0.0, math.inf))
    return rates | {"alpha_raw": raw_support(data["prior_alpha_family"])}


def _transformed(params: Draws, data: StanData) -> dict[str, FloatArray]:
    """What the programs sample in units of a prior, in its own unit; mu and tau of the population."""
    derived: dict[str, FloatArray] = {}
    name = "alpha" if "alpha_raw" in params else "mu" if "mu_raw" in params else "theta"
    first, second = data[f"prior_{name}"]
    unit = first / second  # the mean of a gamma prior
    if name == "alpha":
        unit = first / data["prior_beta"][0]
        alpha, mu = first * params["alpha_raw"], unit * params["mu_raw"]
        derived = {"alpha": alpha, "beta": alpha / mu, **_moments(alpha, alpha / mu)}
    elif name == "mu":
        derived["mu"] = unit * params["mu_raw"]
    if "theta_raw" in params:
        derived["theta"] = unit * params["theta_raw"]
    return derived


_PARTIAL = (
    'theta_j tilde "gamma"(alpha, beta)',
    "alpha tilde p(alpha), quad beta tilde p(beta)",
    "mu = alpha \\/ beta, quad tau = sqrt(alpha) \\/ beta",
)
_PARTIAL_ASSUMPTION = "{Groups} are draws from one population, whose shape and rate are learnt from all of them."
_SOURCE = "George, Makov and Smith (1993)"

_VARIANTS = (
    Variant(name="complete_pooling", title="Complete pooling", pooling="complete", parameterisation="mu itself",
            assumption="All {groups} share one rate; they differ by chance only.",
            math=("theta_j = mu", "mu tilde p(mu)"), priors=("mu",)),
    Variant(name="no_pooling", title="No pooling", pooling="no", parameterisation="theta itself",
            assumption="{Groups} share nothing; each has its own fixed prior.", math=("theta_j tilde p(theta)",),
            priors=("theta",)),
    Variant(name="partial_pooling", title="Partial pooling", pooling="partial",
            parameterisation="marginal: rates integrated out, drawn afterwards", assumption=_PARTIAL_ASSUMPTION,
            math=_PARTIAL, priors=("alpha", "beta")),
    Variant(name="partial_pooling_centered", title="Partial pooling, centered", pooling="partial",
            parameterisation="centered: theta itself, sampled as its logarithm", assumption=_PARTIAL_ASSUMPTION,
            math=_PARTIAL, priors=("alpha", "beta"), better="partial_pooling (rates integrated out)"),
)  # fmt: skip
_PRIOR_ROWS = (
    PriorRow(name="mu", distributions=("gamma",), meaning="rate that all {groups} share with complete pooling",
             source="Gelman et al. (2013), 2.6"),
    PriorRow(name="alpha", distributions=SCALES,
             meaning="shape of the population: 1/sqrt(alpha) is its coefficient of variation", source=_SOURCE),
    PriorRow(name="beta", distributions=_ENDLESS, meaning="inverse scale of the population: exposure that it is worth",
             source=_SOURCE, role="exposure"),
    PriorRow(name="theta", distributions=("gamma",), meaning="rate of each {group} without pooling", source="fixed"),
)  # fmt: skip

FAMILY = Family(
    name="gamma_poisson",
    roles=(
        Role(name="group", kind="label", meaning="name of the group"),
        Role(name="count", kind="count", meaning="number of events"),
        Role(name="exposure", kind="positive", meaning="time, area or number that the count comes from; 1 if left out",
             optional=True),
    ),
    outcomes=("count",), size="exposure", known_residual=True,
    programs=Programs(
        variants=_VARIANTS, prior_rows=_PRIOR_ROWS,
        dims=dict.fromkeys(("theta", "theta_raw"), ("group",)) | dict.fromkeys(("y_rep", "log_lik"), ("observation",)),
        population=("mu", "tau", "alpha", "beta"), folder=share("stan") / "gamma_poisson", prepare=_prepare,
        default_priors=_default_priors, draw_groups=_draw_groups, independent=_independent,
    ),
    twin=Twin(
        calibration={
            "mu": "gamma(3, 6)", "alpha": "lognormal(0.5, 0.7)", "beta": "lognormal(1, 0.7)", "theta": "gamma(1.5, 3)",
        },
        log_joint=_log_joint, support=_support, transformed=_transformed, prior_draws=_prior_draws, simulate=_simulate,
        row_moments=_row_moments, pointwise=_pointwise,
    ),
    groups=Groups(
        prediction={"exposure": Option("of the observation in a new group; by default the median")},
        new_group=_new_group, group_log_lik=_group_log_lik, prior_group_log_lik=_prior_group_log_lik, new_row=_new_row,
        raw=_raw, less_alike=alike_rates, shrinkage_factor=_shrinkage_factor, exact_loo=partial(exact_rows, counts),
        loo_log_lik=lambda draws, data, _: counts(_gamma_of_groups(draws, data), data),
        loo_rep=lambda rng, draws, data, _, rows: counts_drawn(rng, _gamma_of_groups(draws, data), data, rows),
    ),
    words=Words(
        title="Gamma-Poisson: counts with their exposure in each group",
        citation="George, Makov and Smith (1993), Scandinavian Journal of Statistics 20:147; "
        "Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., section 2.6.",
        likelihood=('y_n tilde "Poisson"(theta_(j[n]) "exposure"_n), quad n = 1, dots, N',), group_meaning="rate",
        signed=False,
    ),
)  # fmt: skip
