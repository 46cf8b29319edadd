"""Linear regression with intercepts and slopes that vary between groups, correlated.

Written from Gelman & Hill (2007), ch. 12 and 13, not from the Stan programs. Group predictors act on the intercept.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from hbm_stan.families.alike import alike_rows
from hbm_stan.families.integrated_normal import (
    draw_groups,
    exact_logo,
    exact_loo,
    group_log_lik,
    integrated,
    loo_draws,
    loo_log_lik,
    new_group,
    population,
    prior_group_log_lik,
    raw,
    shrinkage_factor,
    some_rows,
)
from hbm_stan.families.linear_regression.variants import POPULATION, PRIOR_ROWS, ROW, VARIANTS
from hbm_stan.families.own_lines import independent
from hbm_stan.families.usual_row import new_row
from hbm_stan.families.varying_terms import (
    PREDICTION,
    carried,
    coords,
    design,
    draw_lkj,
    effects_beyond,
    explained,
    lines,
    log_lkj,
    not_carried,
    pairs_of,
)
from hbm_stan.integrate.structure import Level
from hbm_stan.later import solve_triangular
from hbm_stan.model import Draws, Evidence, Family, Finding, Groups, Programs, StanData, Twin, Words
from hbm_stan.normal_density import normal_logpdf
from hbm_stan.prepare import Prepared, Role
from hbm_stan.priors import Prior, decode_scale, encode_scale, raw_support, to_decimals, two_digits
from hbm_stan.resources import share
from hbm_stan.table import FloatArray


def _prepare(table: Prepared, priors: Mapping[str, Prior]) -> StanData:
    terms, above, x, u = design(table)
    data: StanData = {"N": len(x), "J": len(u), "K": len(terms), "L": len(above), "group_idx": table.group_idx}
    data |= {"y": table["outcome"], "X": x, "U": u}
    for name, labels in (("mu", terms), ("gamma", above), ("theta", terms)):
        rows = [priors[f"{name}[{label}]"].arguments for label in labels]
        data[f"prior_{name}"] = np.array(rows, dtype=float).reshape(len(labels), 2)
    codes, scales = zip(*(encode_scale(priors[f"tau[{term}]"]) for term in terms), strict=True)
    data |= {"prior_tau_family": np.array(codes), "prior_tau": np.array(scales, dtype=float)}
    for name in ("sigma", "sigma_group"):
        data[f"prior_{name}_family"], data[f"prior_{name}"] = encode_scale(priors[name])
    data["prior_rho"] = priors["rho"].arguments[0] if "rho" in priors else 1.0
    data["centered"] = np.array([_informed(*term) for term in zip(*(a.T for a in raw(data)), strict=True)], dtype=int)
    return data


def _informed(estimate: FloatArray, se: FloatArray) -> bool:
    """Whether groups, on average, know more of a term than half: the weight tau^2 / (tau^2 + se^2), tau by moments."""
    known = np.isfinite(se)
    if not known.any():
        return False
    tau2 = max(float(np.var(estimate[known]) - np.mean(se[known] ** 2)), 0.0)
    return float(np.sum(tau2 / (tau2 + se[known] ** 2))) > 0.5 * len(se) if tau2 else False


def _default_priors(table: Prepared) -> dict[str, Prior]:
    """Weakly informative on the scale of the data: sd(outcome) / sd(predictor) for each term."""
    terms, above, x, u = design(table)
    y = table["outcome"]
    s = two_digits(float(np.std(y, ddof=1)) or float(np.abs(y).max()) or 1.0)
    sd = np.std(x[:, 1:], axis=0, ddof=1)
    sd_above = np.where(np.ptp(u, axis=0) > 0, np.std(u, axis=0, ddof=1), 1.0) if u.size else np.ones(len(above))
    # The intercept stands where predictors are 0, which may be far from the data.
    offsets = x[:, 1:].mean(axis=0) / sd
    reach = math.sqrt(1 + float(np.sum(offsets**2)))
    between = s * math.sqrt(1 + float(np.sum(carried(offsets))))
    farther = math.sqrt(reach**2 + float(np.sum((u.mean(axis=0) / sd_above) ** 2)))
    centre = to_decimals(float(np.mean(y)), 2 - math.floor(math.log10(s)))
    priors: dict[str, Prior] = {}

    def add(name: str, distribution: str, arguments: tuple[float, ...], reason: str) -> None:
        priors[name] = Prior(name=name, distribution=distribution, arguments=arguments, reason=reason, default=True)

    for k, term in enumerate(terms):
        unit, far = (s / sd[k - 1], s / sd[k - 1]) if k else (s * reach, s * farther)
        unit_text = (
            f"sd(outcome) / sd({term})" if k else f"the sd of the outcome, {s:g}, carried to where predictors are 0"
        )
        where, at = (0.0, "centred on no effect") if k else (centre, "centred on the mean of the outcome")
        add(f"mu[{term}]", "normal", (where, two_digits(2.5 * far)), f"{at}, 2.5 times {unit_text}")
        scale, but = (unit, "") if k else (between, not_carried(terms[1:], offsets))
        add(f"tau[{term}]", "half_normal", (two_digits(scale),), f"{unit_text}{but}: {{groups}} may differ that much")
        add(
            f"theta[{term}]",
            "normal",
            (where, two_digits(5 * unit)),
            f"no pooling: fixed and wide, 5 times {unit_text}",
        )
    for name, spread in zip(above, sd_above, strict=True):
        reason = f"centred on no effect, 2.5 times sd(outcome) / sd({name})"
        add(f"gamma[{name}]", "normal", (0.0, two_digits(2.5 * s / float(spread))), reason)
    if len(terms) > 1:
        add("rho", "lkj", (2.0,), "weak: correlations near -1 and 1 are a little less likely than others")
    add("sigma", "half_normal", (s,), f"the sd of the outcome, {s:g}: predictors and {{groups}} may explain nothing")
    # A density that is not 0 at sigma_group = 0 would let groups that their own line fits exactly score without bound.
    reason = f"no pooling: median of half the sd of the outcome, {s:g}; log-normal, as few rows say little"
    add("sigma_group", "lognormal", (to_decimals(math.log(s / 2), 2), 1.0), reason)
    return priors


def _scale(name: str, data: StanData) -> Prior:
    return decode_scale(name, data[f"prior_{name}_family"], data[f"prior_{name}"])


def _tau_priors(data: StanData) -> list[Prior]:
    rows = zip(data["prior_tau_family"], np.asarray(data["prior_tau"]), strict=True)
    return [decode_scale("tau", int(code), row) for code, row in rows]


def _rows(draws: Draws, data: StanData) -> tuple[FloatArray, FloatArray]:
    """Mean and residual sd of each row, (S, N) and a shape that fits it."""
    group, x = np.asarray(data["group_idx"]) - 1, np.asarray(data["X"])
    mean = Level(x, group, data["J"]).rows(draws["theta"])
    return mean, np.asarray(draws["sigma"])[:, None] if "sigma" in draws else draws["sigma_group"][:, group]


def _simulate(rng: np.random.Generator, draws: Draws, data: StanData) -> FloatArray:
    mean, sd = _rows(draws, data)
    y = rng.standard_normal(mean.shape)
    y *= sd
    y += mean
    return y


def _pointwise(draws: Draws, data: StanData) -> FloatArray:
    return np.asarray(normal_logpdf(np.asarray(data["y"]), *_rows(draws, data)))


def _log_joint(params: Draws, data: StanData, variant: str) -> float:
    """Log prior plus log likelihood at one point, on the constrained scale."""
    one = {name: np.asarray(value, dtype=float)[None] for name, value in params.items()}
    if variant == "no_pooling":
        total = float(np.sum(_scale("sigma_group", data).log_density(params["sigma_group"])))
        return total + float(integrated(one, data).sum() if data["use_likelihood"] else 0.0)
    total = float(_scale("sigma", data).log_density(params["sigma"]))
    total += sum(float(normal_logpdf(params[name], *data[f"prior_{name}"].T).sum()) for name in ("mu", "gamma"))
    if variant.startswith("partial"):
        varying = slice(1) if variant == "partial_pooling_intercept" else slice(None)
        terms = zip(_tau_priors(data)[varying], params["tau"][varying], strict=True)
        total += sum(float(prior.log_density(tau)) for prior, tau in terms)
        total += log_lkj(params["L_Omega"], data["prior_rho"]) if "L_Omega" in params else 0.0
    if "theta_raw" in params:
        total += _log_effects(params, population(one, data)[0][0], data)
        return total + float(_pointwise(one, data).sum() if data["use_likelihood"] else 0.0)
    return total + float(integrated(one, data).sum() if data["use_likelihood"] else 0.0)


def _log_effects(params: Draws, means: FloatArray, data: StanData) -> float:
    """Of theta_raw: each term given those before it, standard normal or, where centered, in units of mu's prior."""
    factor = params["tau"][:, None] * params["L_Omega"]
    z = solve_triangular(factor, (params["theta"] - means).T, lower=True).T
    total = 0.0
    for k, (location, scale) in enumerate(data["prior_mu"]):
        sd = factor[k, k]
        given = ((params["theta"][:, k] - sd * z[:, k] - location) / scale, sd / scale)
        total += float(normal_logpdf(params["theta_raw"][:, k], *(given if data["centered"][k] else (0, 1))).sum())
    return total


def _transformed(params: Draws, data: StanData) -> dict[str, FloatArray]:
    derived: dict[str, FloatArray] = {}
    for name in ("sigma", "sigma_group"):
        if f"{name}_raw" in params:
            derived[name] = np.asarray(data[f"prior_{name}"][0] * params[f"{name}_raw"])
    if "gamma_raw" in params:
        derived["gamma"] = data["prior_gamma"][:, 0] + data["prior_gamma"][:, 1] * params["gamma_raw"]
    if "tau_intercept_raw" in params:
        derived["tau"] = np.eye(data["K"])[0] * data["prior_tau"][0, 0] * params["tau_intercept_raw"]
    elif "tau_raw" in params:
        derived["tau"] = data["prior_tau"][:, 0] * params["tau_raw"]
        omega = params["L_Omega"] @ params["L_Omega"].T
        derived["rho"] = np.array([omega[pair] for pair in pairs_of(data["K"])])
    if "theta_raw" in params:
        factor, z = derived["tau"][:, None] * params["L_Omega"], np.array(params["theta_raw"])
        theta = np.tile(params["mu"], (data["J"], 1))
        theta[:, 0] += np.asarray(data["U"]) @ derived["gamma"]
        for k, (location, scale) in enumerate(data["prior_mu"]):
            theta[:, k] += z[:, :k] @ factor[k, :k]
            if data["centered"][k]:
                z[:, k] = (location + scale * z[:, k] - theta[:, k]) / factor[k, k]
            theta[:, k] += factor[k, k] * z[:, k]
        derived["theta"] = theta
    return derived


def _support(data: StanData) -> dict[str, tuple[float, float]]:
    codes = np.asarray(data["prior_tau_family"])
    ends = {f"{name}_raw": raw_support(data[f"prior_{name}_family"]) for name in ("sigma", "sigma_group")}
    first = raw_support(int(codes[0]))
    return ends | {"tau_intercept_raw": first, "tau_raw": min(raw_support(int(code)) for code in codes)}


def _prior_draws(
    rng: np.random.Generator, priors: Mapping[str, Prior], data: StanData, size: int
) -> dict[str, FloatArray]:
    draws: dict[str, FloatArray] = {"sigma": priors["sigma"].draw(rng, size)}
    for name in ("mu", "tau", "gamma"):
        rows = [prior.draw(rng, size) for label, prior in priors.items() if label.partition("[")[0] == name]
        draws[name] = np.stack(rows, axis=1) if rows else np.zeros((size, 0))
    return draws | {"rho": draw_lkj(rng, float(data["prior_rho"]), size, data["K"])}


def _rule(_data: StanData) -> tuple[str, str]:
    return "partial_pooling", "the outcome is normal, so that coefficients of {groups} are integrated out exactly"


def _findings(evidence: Evidence) -> Sequence[Finding]:
    return [*explained(evidence), *lines(evidence, np.asarray, "the mean")]


FAMILY = Family(
    name="linear_regression",
    roles=(
        Role(name="group", kind="label", meaning="name of the group"),
        Role(name="outcome", kind="number", meaning="outcome of the row"),
        Role(name="predictors", kind="predictors", meaning="predictors of the row, whose slopes vary between groups",
             optional=True),
        Role(name="group_predictors", kind="group_predictors", meaning="predictors of the group's intercept",
             optional=True),
    ),
    programs=Programs(
        variants=VARIANTS, prior_rows=PRIOR_ROWS,
        dims={
            **dict.fromkeys(("mu", "tau", "tau_raw"), ("term",)),
            **dict.fromkeys(("theta", "theta_raw", "z", "m"), ("group", "term")),
            **dict.fromkeys(("L_Omega", "C"), ("term", "other_term")),
            **dict.fromkeys(("gamma", "gamma_raw"), ("group_predictor",)),
            **dict.fromkeys(("sigma_group", "sigma_group_raw"), ("group",)),
            "rho": ("pair",), "y_rep": ("observation",), "log_lik": ("observation",),
        },
        population=POPULATION, hidden=("L_Omega", "C", "z", "m", "tau_intercept_raw"),
        folder=share("stan") / "linear_regression", coords=coords, prepare=_prepare, default_priors=_default_priors,
        draw_groups=draw_groups, rule=_rule, independent=independent,
        own_scales=("sigma_group",),
        unlearnable=lambda table, variant: effects_beyond(table, variant, table.n_rows),
    ),
    twin=Twin(
        calibration={
            "mu[intercept]": "normal(300, 40)", "mu[days]": "normal(10, 10)", "tau[intercept]": "half_normal(30)",
            "tau[days]": "half_normal(8)", "rho": "lkj(2)", "sigma": "gamma(4, 0.15)",
            "sigma_group": "lognormal(3.3, 0.5)",
            "theta[intercept]": "normal(300, 60)", "theta[days]": "normal(10, 15)",
        },
        log_joint=_log_joint, transformed=_transformed, support=_support, prior_draws=_prior_draws, simulate=_simulate,
        pointwise=_pointwise, mean_of_rows=lambda d, x: _rows(d, x)[0],
        some_rows=some_rows,
    ),
    groups=Groups(
        prediction=PREDICTION, new_row=new_row, new_group=new_group, group_log_lik=group_log_lik,
        prior_group_log_lik=prior_group_log_lik, raw=raw, shrinkage_factor=shrinkage_factor, exact_loo=exact_loo,
        exact_logo=exact_logo,
        loo_log_lik=loo_log_lik, loo_draws=loo_draws, less_alike=alike_rows,
    ),
    words=Words(
        title="Linear regression: intercepts and slopes that vary between groups",
        citation="Gelman & Hill (2007), Data Analysis Using Regression and Multilevel/Hierarchical Models, ch. 12 and "
        "13.",
        likelihood=(f"{ROW}, quad i = 1, dots, N",), group_meaning="coefficient", findings=_findings,
    ),
)  # fmt: skip
