"""Normal means: one estimate with a known standard error for each group (eight schools, meta-analysis).

Written from Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., section 5.4, not from the Stan programs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from hbm_stan.families.alike import alike_estimates
from hbm_stan.families.normal_population import new_group
from hbm_stan.model import Draws, Family, Groups, Option, Programs, StanData, Twin, Variant, Words
from hbm_stan.normal_density import normal_logpdf
from hbm_stan.prepare import Prepared, Role
from hbm_stan.priors import SCALES, Prior, PriorRow, decode_scale, encode_scale, raw_support, to_decimals, two_digits
from hbm_stan.resources import share
from hbm_stan.standard_errors import UNINFORMATIVE, informative
from hbm_stan.table import FloatArray


def _prepare(table: Prepared, priors: Mapping[str, Prior]) -> StanData:
    tau_family, tau_arguments = encode_scale(priors["tau"])
    return {
        "J": table.n_groups,
        "y": table["estimate"],
        "se": table["standard_error"],
        "prior_mu": list(priors["mu"].arguments),
        "prior_tau_family": tau_family,
        "prior_tau": tau_arguments,
        "prior_theta": list(priors["theta"].arguments),
    }


def _default_priors(table: Prepared) -> dict[str, Prior]:
    """Weakly informative on the scale of the data: sd of the estimates, or their standard errors if larger.

    Of the estimates that are measured well enough: one of 30 with a standard error of 40 says nothing of how much
    others differ that are known to a tenth.
    """
    y, se = table["estimate"], table["standard_error"]
    known = informative(se)
    scale = two_digits(max(float(np.std(y[known], ddof=1)), float(np.median(se[known]))))
    # To a hundredth of the scale: rounded by its own size, a centre of 1012.4 would become 1000.
    centre = to_decimals(float(np.average(y, weights=1 / se**2)), 2 - math.floor(math.log10(scale)))
    scale_text = f"scale of the data {scale:g} (the larger of the sd of the estimates and their median standard error"
    scale_text += f"{_left_out(known)})"
    return {
        "mu": Prior(
            name="mu",
            distribution="normal",
            arguments=(centre, two_digits(2.5 * scale)),
            reason=f"centred on the precision-weighted mean of the estimates, 2.5 times the {scale_text}",
            default=True,
        ),
        "tau": Prior(
            name="tau",
            distribution="half_normal",
            arguments=(scale,),
            reason=f"the {scale_text}; allows {{groups}} to differ as much as the raw estimates do",
            default=True,
        ),
        "theta": Prior(
            name="theta",
            distribution="normal",
            arguments=(centre, two_digits(5 * scale)),
            reason=f"no pooling: fixed and wide, 5 times the {scale_text}",
            default=True,
        ),
    }


def _left_out(known: npt.NDArray[np.bool_]) -> str:
    """How many estimates the scale of the data is not taken from, and why; empty where it is taken from all."""
    n = int(np.sum(~known))
    if not n:
        return ""
    which = f"{n} of {len(known)} estimates that say" if n > 1 else f"1 of {len(known)} estimates that says"
    limit = f"{UNINFORMATIVE:g} times the lower quartile of all"
    return f"; without {which} nothing of it, the standard error being above {limit}"


def _tau_prior(data: StanData) -> Prior:
    return decode_scale("tau", data["prior_tau_family"], data["prior_tau"])


def _simulate(rng: np.random.Generator, draws: Draws, design: StanData) -> FloatArray:
    """Estimates given theta and the design's standard errors, (S, J)."""
    return np.asarray(rng.normal(draws["theta"], np.asarray(design["se"])), dtype=float)


def _log_joint(params: Draws, data: StanData, variant: str) -> float:
    """Log prior plus log likelihood at one point, on the constrained scale."""
    y, se = np.asarray(data["y"]), np.asarray(data["se"])
    if variant == "no_pooling":
        total = normal_logpdf(params["theta"], *data["prior_theta"]).sum()
        return float(total + data["use_likelihood"] * normal_logpdf(y, params["theta"], se).sum())
    mu = params["mu"]
    total = normal_logpdf(mu, *data["prior_mu"])
    if variant == "complete_pooling":
        return float(total + data["use_likelihood"] * normal_logpdf(y, mu, se).sum())
    tau = params["tau"]
    total += _tau_prior(data).log_density(tau)
    if variant == "partial_pooling":
        return float(total + data["use_likelihood"] * normal_logpdf(y, mu, np.hypot(se, tau)).sum())
    if variant == "partial_pooling_centered":
        theta = params["theta"]
        total += normal_logpdf(theta, mu, tau).sum()
    else:
        theta = mu + tau * params["theta_raw"]
        total += normal_logpdf(params["theta_raw"]).sum()
    return float(total + data["use_likelihood"] * normal_logpdf(y, theta, se).sum())


def _pointwise(draws: Draws, data: StanData) -> FloatArray:
    return np.asarray(normal_logpdf(np.asarray(data["y"]), draws["theta"], np.asarray(data["se"])))


def _group_log_lik(draws: Draws, data: StanData) -> FloatArray:
    """log N(y_j | mu, se_j^2 + tau^2): BDA3 eq. 5.19, one term a group; without tau, complete pooling."""
    mu = draws["mu"][:, None]
    tau = draws["tau"][:, None] if "tau" in draws else 0.0
    return np.asarray(normal_logpdf(np.asarray(data["y"]), mu, np.hypot(np.asarray(data["se"]), tau)))


def _new_row(data: StanData, options: Mapping[str, Any]) -> tuple[StanData, str]:
    """One estimate in a new group, measured with the standard error of the options or the median of the data."""
    se = float(options.get("standard_error", np.median(data["se"])))
    design = {**data, "J": 1, "y": np.zeros(1), "se": np.array([se])}
    return design, f"estimate in a new {{group}}, measured with standard error {se:.3g}"


def _prior_draws(
    rng: np.random.Generator, priors: Mapping[str, Prior], _data: StanData, size: int
) -> dict[str, FloatArray]:
    return {name: priors[name].draw(rng, size) for name in ("mu", "tau")}


def _raw(data: StanData) -> tuple[FloatArray, FloatArray]:
    return np.asarray(data["y"], dtype=float), np.asarray(data["se"], dtype=float)


def _draw_groups(rng: np.random.Generator, draws: Draws, data: StanData) -> FloatArray:
    """theta given mu, tau and y: BDA3 eq. 5.17."""
    mu, weight = draws["mu"][:, None], data["use_likelihood"] * (1 - _shrinkage_factor(draws, data))
    centre = mu + weight * (np.asarray(data["y"]) - mu)
    return np.asarray(rng.normal(centre, draws["tau"][:, None] * np.sqrt(1 - weight)))


def _independent(rng: np.random.Generator, data: StanData, variant: str, size: int) -> Draws | None:
    """theta given y where each has a fixed normal prior, and mu where all groups have one: BDA3 eq. 2.9 to 2.12."""
    precision, y = data["use_likelihood"] / np.asarray(data["se"]) ** 2, np.asarray(data["y"])
    if variant == "no_pooling":
        location, scale = data["prior_theta"]
        variance = 1 / (1 / scale**2 + precision)
        mean = variance * (location / scale**2 + precision * y)
        return {"theta": rng.normal(mean, np.sqrt(variance), size=(size, len(mean)))}
    if variant == "complete_pooling":
        location, scale = data["prior_mu"]
        variance = 1 / (1 / scale**2 + precision.sum())
        mu = rng.normal(variance * (location / scale**2 + precision @ y), np.sqrt(variance), size=size)
        return {"mu": mu, "theta": np.broadcast_to(mu[:, None], (size, len(y)))}
    return None


def _shrinkage_factor(draws: Draws, data: StanData) -> FloatArray:
    """se^2 / (se^2 + tau^2): BDA3 eq. 5.17, the weight of mu in the conditional mean of theta_j."""
    variance = np.asarray(data["se"]) ** 2
    return np.asarray(variance / (variance + draws["tau"][:, None] ** 2))


def _exact_loo(data: StanData, variant: str) -> FloatArray | None:
    """log p(y_j | the other rows) where it is a normal density in closed form (BDA3, section 2.5).

    Without pooling, leaving the only row of a group out leaves its prior. With complete pooling, mu given the others is
    normal. With partial pooling tau is in the way, and the answer is None.
    """
    y, variance = np.asarray(data["y"]), np.asarray(data["se"]) ** 2
    if variant == "no_pooling":
        location, scale = data["prior_theta"]
        return np.asarray(normal_logpdf(y, location, np.sqrt(scale**2 + variance)))
    if variant == "complete_pooling":
        location, scale = data["prior_mu"]
        precision = 1 / scale**2 + np.sum(1 / variance) - 1 / variance
        mean = (location / scale**2 + np.sum(y / variance) - y / variance) / precision
        return np.asarray(normal_logpdf(y, mean, np.sqrt(1 / precision + variance)))
    return None


def _prior_group_log_lik(data: StanData, variant: str) -> FloatArray | None:
    """A group is its only row: what is left when it is left out without pooling."""
    return _exact_loo(data, variant) if variant == "no_pooling" else None


def _support(data: StanData) -> dict[str, tuple[float, float]]:
    return {"tau_raw": raw_support(data["prior_tau_family"])}


def _transformed(params: Draws, data: StanData) -> dict[str, FloatArray]:
    """tau from tau_raw, where the program has it: its prior's scale times the raw value."""
    return {"tau": data["prior_tau"][0] * params["tau_raw"]} if "tau_raw" in params else {}


_PARTIAL = (
    'theta_j tilde "normal"(mu, tau)',
    "mu tilde p(mu), quad tau tilde p(tau)",
)
_PARTIAL_ASSUMPTION = "{Groups} are draws from one population, whose location and scale are learnt from all of them."

_VARIANTS = (
    Variant(name="complete_pooling", title="Complete pooling", pooling="complete", parameterisation="mu itself",
            assumption="All {groups} share one value; they differ by measurement error only.",
            math=("theta_j = mu", "mu tilde p(mu)"), priors=("mu",)),
    Variant(name="no_pooling", title="No pooling", pooling="no", parameterisation="theta itself",
            assumption="{Groups} share nothing; each has its own fixed, wide prior.", math=("theta_j tilde p(theta)",),
            priors=("theta",)),
    Variant(name="partial_pooling", title="Partial pooling", pooling="partial",
            parameterisation="marginal: {group} values integrated out, drawn afterwards",
            assumption=_PARTIAL_ASSUMPTION, math=_PARTIAL, priors=("mu", "tau")),
    Variant(name="partial_pooling_centered", title="Partial pooling, centered", pooling="partial",
            parameterisation="centered: theta itself", assumption=_PARTIAL_ASSUMPTION, math=_PARTIAL,
            priors=("mu", "tau"),
            better="partial_pooling ({group} values integrated out) or partial_pooling_noncentered"),
    Variant(name="partial_pooling_noncentered", title="Partial pooling, non-centered", pooling="partial",
            parameterisation="non-centered: theta = mu + tau * theta_raw", assumption=_PARTIAL_ASSUMPTION,
            math=_PARTIAL, priors=("mu", "tau"), better="partial_pooling ({group} values integrated out)"),
)  # fmt: skip
_PRIOR_ROWS = (
    PriorRow(name="mu", distributions=("normal",), meaning="location of the population",
             source="Gelman et al. (2013), section 5.5", role="estimate"),
    PriorRow(name="tau", distributions=SCALES, meaning="scale of the population: how much {groups} differ",
             source="Gelman (2006), Bayesian Analysis 1:515", role="estimate"),
    PriorRow(name="theta", distributions=("normal",), meaning="value of each {group} without pooling",
             source="fixed and wide", role="estimate"),
)  # fmt: skip

FAMILY = Family(
    name="normal_means",
    roles=(
        Role(name="group", kind="label", meaning="name of the group"),
        Role(name="estimate", kind="number", meaning="estimate of the group's quantity"),
        Role(name="standard_error", kind="positive", meaning="standard error of the estimate, taken as known",
             optional=True, instead=(("variance",), ("lower", "upper"))),
        Role(name="variance", kind="positive", meaning="variance of the estimate, instead of its standard error",
             optional=True),
        Role(name="lower", kind="number",
             meaning="lower limit of the estimate, with upper instead of its standard error", optional=True),
        Role(name="upper", kind="number", meaning="upper limit of the estimate", optional=True),
    ),
    outcomes=("estimate",),
    one_row_per_group=True,
    known_residual=True,
    programs=Programs(
        folder=share("stan") / "normal_means",
        variants=_VARIANTS,
        prior_rows=_PRIOR_ROWS,
        dims={"theta": ("group",), "theta_raw": ("group",), "y_rep": ("group",), "log_lik": ("group",)},
        population=("mu", "tau"),
        prepare=_prepare,
        default_priors=_default_priors,
        draw_groups=_draw_groups,
        independent=_independent,
    ),
    twin=Twin(
        log_joint=_log_joint,
        support=_support,
        transformed=_transformed,
        prior_draws=_prior_draws,
        simulate=_simulate,
        pointwise=_pointwise,
        mean_of_rows=lambda draws, _data: draws["theta"],
        calibration={"mu": "normal(8, 10)", "tau": "half_normal(10)", "theta": "normal(8, 15)"},
    ),
    groups=Groups(
        prediction={"standard_error": Option("of the estimate in a new group; by default the median of the data")},
        new_group=new_group,
        new_row=_new_row,
        raw=_raw,
        shrinkage_factor=_shrinkage_factor,
        less_alike=alike_estimates,
        group_log_lik=_group_log_lik,
        prior_group_log_lik=_prior_group_log_lik,
        exact_loo=_exact_loo,
    ),
    words=Words(
        title="Normal means: one estimate with a known standard error for each group",
        citation="Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., sections 5.4 and 5.5; Rubin (1981).",
        likelihood=('y_j tilde "normal"(theta_j, "se"_j), quad j = 1, dots, J',),
    ),
)  # fmt: skip
