"""Grouped normal data: rows of a measurement in groups, as in a one-way analysis of variance with random groups.

Written from Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., sections 3.2, 5.4 and 11.6, not from the Stan
programs. A group of n rows enters through n, their mean, and their sum of squares about it, which are sufficient.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hbm_stan.errors import DataError
from hbm_stan.families.alike import alike_rows
from hbm_stan.families.grouped_normal.evidence import (
    exact_logo,
    exact_loo,
    independent,
    prior_group_log_lik,
    prior_of,
    some_rows,
    statistics,
)
from hbm_stan.families.grouped_normal.variants import POPULATION, PRIOR_ROWS, VARIANTS
from hbm_stan.families.left_out import grouped_rows
from hbm_stan.families.normal_population import new_group
from hbm_stan.families.own_scale import NODES, given_scales, log_rows, over_sd
from hbm_stan.model import Draws, Evidence, Family, Finding, Groups, Programs, StanData, Twin, Words
from hbm_stan.normal_density import normal_logpdf
from hbm_stan.prepare import Prepared, Role
from hbm_stan.priors import Prior, encode_scale, raw_support, to_decimals, two_digits
from hbm_stan.resources import share
from hbm_stan.table import FloatArray

_SCALES = ("tau", "sigma", "sigma_spread", "sigma_group")
_ROUNDING = 1e-12  # an sd below this share of the largest value is rounding error


def _prepare(table: Prepared, priors: Mapping[str, Prior]) -> StanData:
    y, group, n_groups = table["outcome"], table.group_idx, table.n_groups
    data: StanData = {"N": len(y), "J": n_groups, "group_idx": group, "y": y}
    if len(y) > n_groups and not np.ptp(y - y[np.unique(group, return_index=True)[1]][group - 1]):
        raise DataError(
            f"{table.dataset.table.where}, column {table.dataset.column('outcome')!r}: the rows of each group are all "
            "equal, so nothing is known of the scale within groups. Was one value written into every row of its group?"
        )
    data |= {f"prior_{name}": list(priors[name].arguments) for name in ("mu", "theta")}
    for name in _SCALES:
        data[f"prior_{name}_family"], data[f"prior_{name}"] = encode_scale(priors[name])
    return data


def _default_priors(table: Prepared) -> dict[str, Prior]:
    """Weakly informative on the scale of the data: the sd of all rows, and for single groups that within groups."""
    y, n_groups = table["outcome"], table.n_groups
    largest = float(np.max(np.abs(y))) or 1.0
    ss = statistics({"y": y, "group_idx": table.group_idx, "J": n_groups})[2].sum()
    scale, within = float(np.std(y, ddof=1)), math.sqrt(ss / max(len(y) - n_groups, 1))
    scale = two_digits(scale if scale > _ROUNDING * largest else largest)
    within = within if within > _ROUNDING * largest else scale
    centre = to_decimals(float(np.mean(y)), 2 - math.floor(math.log10(scale)))
    sd_text = f"sd of all rows, {scale:g}"
    rows = (
        ("mu", "normal", (centre, 2.5 * scale), f"centred on the mean of all rows, 2.5 times the {sd_text}"),
        ("tau", "half_normal", (scale,), f"the {sd_text}: {{groups}} may differ as much as the rows do"),
        ("sigma", "half_normal", (scale,), f"the {sd_text}: rows may differ as much within one {{group}} as over all"),
        ("sigma_spread", "half_normal", (0.5,), "sds of {groups} that differ twofold are usual, tenfold a surprise"),
        ("theta", "normal", (centre, 5 * scale), f"no pooling: fixed and wide, 5 times the {sd_text}"),
        ("sigma_group", "lognormal", (to_decimals(math.log(within), 2), 1.0),
         f"no pooling: median {within:.3g}, the sd within {{groups}}; log-normal: equal rows do not speak against 0"),
    )  # fmt: skip
    return {
        name: Prior(name=name, distribution=distribution, arguments=args, reason=reason, default=True)
        for name, distribution, args, reason in rows
    }


def _sd(draws: Draws, width: int) -> FloatArray:
    """The sd within groups, (S, J): each group's own where the variant has one, else sigma for all of ``width``."""
    return draws["sigma_group"] if "sigma_group" in draws else np.repeat(draws["sigma"][:, None], width, axis=1)


def _at_rows(sd: FloatArray, group: npt.NDArray[np.int64]) -> FloatArray:
    """The sd of each row, (S, N), or (S, 1) where all rows have one."""
    return sd if sd.shape[1] == 1 else sd.take(group, axis=1)


def _log_joint(params: Draws, data: StanData, variant: str) -> float:
    """Log prior plus log likelihood at one point, on the constrained scale."""
    names, on = FAMILY.variant(variant).priors, data["use_likelihood"]
    total = sum(float(np.sum(prior_of(name, data).log_density(params[name]))) for name in names if name in _SCALES)
    if "mu" in names:
        total += normal_logpdf(params["mu"], *data["prior_mu"])
    elif not on:
        return float(total + normal_logpdf(params["theta"], *data["prior_theta"]).sum())
    if variant == "partial_pooling_centered":
        total += normal_logpdf(params["theta"], params["mu"], params["tau"]).sum()
    total += normal_logpdf(params["theta_raw"]).sum() if "theta_raw" in params else 0.0
    if "log_sigma_raw" in params:  # the parameter; d (log sd) / d log_sigma_raw is what the second term is of
        k, z = params["sigma_spread"], np.log(params["sigma_group"] / params["sigma"]) / params["sigma_spread"]
        total += normal_logpdf(z).sum() - 0.5 * np.log1p(2 * on * k**2 * (statistics(data)[0] - 1)).sum()
    if not on:
        return float(total)
    if variant.endswith("centered") or variant == "complete_pooling":
        location = params["theta"][np.asarray(data["group_idx"]) - 1] if "tau" in params else params["mu"]
        return float(total + normal_logpdf(np.asarray(data["y"]), location, params["sigma"]).sum())
    # Without pooling theta_raw is p(theta | rows), above, and p(rows) is what is left, as with partial pooling.
    location, spread = (params["mu"], params["tau"]) if "tau" in params else data["prior_theta"]
    sd = params["sigma_group"] if "sigma_group" in params else params["sigma"]
    return float(total + np.sum(log_rows(*statistics(data), location, spread, sd)))


def _transformed(params: Draws, data: StanData) -> dict[str, FloatArray]:
    given = [name for name in _SCALES if f"{name}_raw" in params]
    derived: dict[str, FloatArray] = {name: data[f"prior_{name}"][0] * params[f"{name}_raw"] for name in given}
    if "log_sigma_raw" in params:
        (n, _, ss), k = statistics(data), derived["sigma_spread"]
        weight = 1 - 1 / (1 + 2 * data["use_likelihood"] * k**2 * (n - 1))
        seen = weight * np.log(np.sqrt((ss + data["prior_sigma"][0] ** 2) / n) / derived["sigma"])
        derived["sigma_group"] = derived["sigma"] * np.exp(seen + k * np.sqrt(1 - weight) * params["log_sigma_raw"])
    elif "sigma_group" in derived:
        location, spread = data["prior_theta"]
        derived["theta"] = _given_rows(location, spread, derived["sigma_group"], data, params["theta_raw"])
    elif "theta_raw" in params:
        derived["theta"] = params["mu"] + derived["tau"] * params["theta_raw"]
    return derived


def _given_rows(location: Any, spread: Any, sd: Any, data: StanData, z: FloatArray) -> FloatArray:
    """theta from standard normal z: its prior normal(location, spread) and the group's mean weighed by precision."""
    n, mean, _ = statistics(data)
    weight = data["use_likelihood"] * spread**2 / (spread**2 + sd**2 / n)
    return np.asarray(location + weight * (mean - location) + spread * np.sqrt(1 - weight) * z)


def _simulate(rng: np.random.Generator, draws: Draws, design: StanData) -> FloatArray:
    """Rows given theta, (S, N); where groups have their own sds, those of groups other than the fitted are drawn."""
    group, size = np.asarray(design["group_idx"]) - 1, (len(draws["theta"]), design["J"])
    if "sigma_group" in draws and draws["sigma_group"].shape == size:
        sd = draws["sigma_group"]
    elif "sigma_spread" in draws:
        sd = _own_sds(rng, draws, design)
    elif "sigma" in draws:
        sd = _sd(draws, 1)
    else:
        sd = prior_of("sigma_group", design).draw(rng, math.prod(size)).reshape(size)
    y = rng.standard_normal((size[0], len(group)))
    y *= _at_rows(sd, group)
    y += draws["theta"].take(group, axis=1)
    return y


def _mean_of_rows(draws: Draws, data: StanData) -> FloatArray:
    return np.asarray(draws["theta"].take(np.asarray(data["group_idx"]) - 1, axis=1))


def _own_sds(rng: np.random.Generator, draws: Draws, data: StanData) -> FloatArray:
    spread = draws["sigma_spread"][:, None] * rng.normal(size=(len(draws["sigma"]), data["J"]))
    return np.asarray(draws["sigma"][:, None] * np.exp(spread))


def _pointwise(draws: Draws, data: StanData) -> FloatArray:
    group = np.asarray(data["group_idx"]) - 1
    theta = draws["theta"].take(group, axis=1)
    return np.asarray(normal_logpdf(np.asarray(data["y"]), theta, _at_rows(_sd(draws, 1), group)))


def _group_log_lik(draws: Draws, data: StanData, nodes: int = NODES) -> FloatArray:
    """log p(rows of group j | population), theta and, where it varies, the group's sd integrated out, (S, J)."""
    n, mean, ss = statistics(data)
    mu, tau, sigma = draws["mu"], draws.get("tau", np.zeros(len(draws["mu"]))), draws["sigma"]
    if "sigma_spread" not in draws:
        return np.asarray(log_rows(n, mean, ss, mu[:, None], tau[:, None], sigma[:, None]))
    groups = zip(n, mean, ss, strict=True)
    rest = (mu, tau, sigma, draws["sigma_spread"])
    return np.stack([over_sd(*group, *rest, nodes=nodes) for group in groups], axis=1)


def _finer_group_log_lik(draws: Draws, data: StanData) -> FloatArray | None:
    """With twice the nodes where groups have their own sds; what they share one in is a closed form."""
    return _group_log_lik(draws, data, 2 * NODES) if "sigma_spread" in draws else None


def _loo_log_lik(draws: Draws, data: StanData, _variant: str) -> FloatArray:
    return grouped_rows(draws, data, statistics(data))


def _raw(data: StanData) -> tuple[FloatArray, FloatArray]:
    n, mean, ss = statistics(data)
    return mean, np.sqrt(ss / np.where(n > 1, (n - 1) * n, np.nan))


def _draw_groups(rng: np.random.Generator, draws: Draws, data: StanData) -> FloatArray:
    sd = _sd(draws, data["J"])
    return _given_rows(draws["mu"][:, None], draws["tau"][:, None], sd, data, rng.normal(size=sd.shape))


def _shrinkage_factor(draws: Draws, data: StanData) -> FloatArray:
    """(sd^2 / n) / (sd^2 / n + tau^2): the weight of mu in the conditional mean of theta."""
    variance = _sd(draws, data["J"]) ** 2 / statistics(data)[0]
    return np.asarray(variance / (variance + draws["tau"][:, None] ** 2))


def _findings(evidence: Evidence) -> Sequence[Finding]:
    """How the variance of a row splits into groups and rows (their mean variance where groups have their own)."""
    draws = evidence.draws
    if "tau" not in draws or "sigma" not in draws:
        return ()
    within = np.mean(_sd(draws, 1) ** 2, axis=1)
    low, mid, high = np.quantile(100 * draws["tau"] ** 2 / (draws["tau"] ** 2 + within), (0.05, 0.5, 0.95))
    fill = evidence.table.noun.fill
    share_text = f"account for {mid:.0f} % of the variance of a row (90 % interval {low:.0f} to {high:.0f} %)."
    return (
        Finding(title=fill("Variation between and within {groups}"), sentences=(f"{fill('{Groups}')} {share_text}",)),
    )


_NEW_ROW = "a new row in a new {group}"

FAMILY = Family(
    name="grouped_normal",
    roles=(
        Role(name="group", kind="label", meaning="name of the group"),
        Role(name="outcome", kind="number", meaning="measured value of the row"),
    ),
    programs=Programs(
        variants=VARIANTS, prior_rows=PRIOR_ROWS,
        dims={**dict.fromkeys(("theta", "theta_raw", "sigma_group", "sigma_group_raw", "log_sigma_raw"), ("group",)),
              "y_rep": ("observation",), "log_lik": ("observation",)},
        population=POPULATION, folder=share("stan") / "grouped_normal", prepare=_prepare,
        default_priors=_default_priors, draw_groups=_draw_groups,
        independent=independent, own_scales=("sigma_group",),
    ),
    twin=Twin(
        calibration={"mu": "normal(55, 10)", "tau": "half_normal(6)", "sigma": "gamma(4, 0.8)",
                     "theta": "normal(55, 15)", "sigma_spread": "half_normal(0.5)",
                     "sigma_group": "lognormal(1.6, 0.5)"},
        latent=lambda rng, draws, data, _: (
            {"sigma_group": _own_sds(rng, draws, data)} if "sigma_spread" in draws else {}
        ),
        log_joint=_log_joint, transformed=_transformed,
        support=lambda data: {f"{name}_raw": raw_support(data[f"prior_{name}_family"]) for name in _SCALES},
        prior_draws=lambda rng, priors, _data, size: {k: priors[k].draw(rng, size) for k in POPULATION if k in priors},
        simulate=_simulate, pointwise=_pointwise, mean_of_rows=_mean_of_rows, some_rows=some_rows,
    ),
    groups=Groups(
        new_row=lambda data, _: ({**data, "N": 1, "J": 1, "group_idx": np.ones(1, int), "y": np.zeros(1)}, _NEW_ROW),
        new_group=new_group, group_log_lik=_group_log_lik, finer_group_log_lik=_finer_group_log_lik,
        prior_group_log_lik=prior_group_log_lik, raw=_raw, shrinkage_factor=_shrinkage_factor, less_alike=alike_rows,
        exact_loo=exact_loo, exact_logo=exact_logo, loo_log_lik=_loo_log_lik,
        given_rows=lambda _rng, draws, data: given_scales(draws, statistics(data), _group_log_lik(draws, data)),
    ),
    words=Words(
        title="Grouped normal data: rows of a measurement in groups",
        citation="Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., sections 3.2, 5.4 and 11.6.",
        likelihood=('y_i tilde "normal"(theta_(j[i]), sigma), quad i = 1, dots, N',), group_meaning="mean",
        findings=_findings,
    ),
)  # fmt: skip
