"""Nested normal data: rows in units in groups, as assays of mice of lines, or tests of casks of batches.

Written from Gelman and Hill (2007), sections 12.5 and 22.4, and Snedecor and Cochran (1989), Statistical Methods, 8th
ed., section 13.10 (cost and precision of a nested design), not from the Stan programs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from hbm_stan.errors import DataError
from hbm_stan.families.alike import alike_units
from hbm_stan.families.left_out import nested_rows
from hbm_stan.families.nested_normal.exact import exact_loo, whole_groups
from hbm_stan.families.nested_normal.findings import findings
from hbm_stan.families.nested_normal.variants import POPULATION, PRIOR_ROWS, VARIANTS
from hbm_stan.families.normal_population import new_group
from hbm_stan.model import Draws, Family, GivenRows, Groups, Option, Programs, StanData, Twin, Words
from hbm_stan.normal_density import normal_logpdf
from hbm_stan.prepare import Prepared, Role
from hbm_stan.priors import Prior, decode_scale, encode_scale, raw_support, to_decimals, two_digits
from hbm_stan.resources import share
from hbm_stan.table import FloatArray

_SCALES = ("tau", "tau_unit", "sigma")
_SEED = 20261121  # for units drawn afterwards
_ROUNDING = 1e-12  # an sd below this share of the largest value is rounding error


def _prepare(table: Prepared, priors: Mapping[str, Prior]) -> StanData:
    y, units = table["outcome"], table.units
    assert units is not None
    unit = units.unit + 1
    if len(y) > len(units.labels) and len(set(zip(unit, y, strict=True))) == len(units.labels):
        raise DataError(
            f"{table.dataset.table.where}, column {table.dataset.column('outcome')!r}: the rows of each unit are all "
            "equal, so nothing is known of the scale within units. Was one value written into every row of its unit?"
        )
    data: StanData = {
        "N": len(y), "M": len(units.labels), "J": table.n_groups, "unit_idx": unit, "unit_group": units.group + 1,
        "group_idx": table.group_idx, "y": y,
    }  # fmt: skip
    data |= {f"prior_{name}": list(priors[name].arguments) for name in ("mu", "theta")}
    for name in _SCALES:
        data[f"prior_{name}_family"], data[f"prior_{name}"] = encode_scale(priors[name])
    return data


def _default_priors(table: Prepared) -> dict[str, Prior]:
    """Weakly informative on the scale of the data: the sd of all rows."""
    y = table["outcome"]
    largest, sd = float(np.max(np.abs(y))) or 1.0, float(np.std(y, ddof=1))
    scale = two_digits(sd if sd > _ROUNDING * largest else largest)
    centre = to_decimals(float(np.mean(y)), 2 - math.floor(math.log10(scale)))
    sd_text = f"the sd of all rows, {scale:g}"
    rows = (
        ("mu", "normal", (centre, 2.5 * scale), f"centred on the mean of all rows, 2.5 times {sd_text}"),
        ("tau", "half_normal", (scale,), f"{sd_text}: {{groups}} may differ as much as the rows do"),
        ("tau_unit", "half_normal", (scale,), f"{sd_text}: units of {{groups}} may differ as much as rows over all"),
        ("sigma", "half_normal", (scale,), f"{sd_text}: rows may differ as much within a unit as over all"),
        ("theta", "normal", (centre, 5 * scale), f"no pooling: fixed and wide, 5 times {sd_text}"),
    )
    return {
        name: Prior(name=name, distribution=distribution, arguments=args, reason=reason, default=True)
        for name, distribution, args, reason in rows
    }


def _prior(name: str, data: StanData) -> Prior:
    return decode_scale(name, data[f"prior_{name}_family"], data[f"prior_{name}"])


def _units(data: StanData) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Number of rows, mean, and sum of squares about it of each unit, (M,) each."""
    y, unit = np.asarray(data["y"], dtype=float), np.asarray(data["unit_idx"]) - 1
    n = np.bincount(unit, minlength=data["M"]).astype(float)
    mean = np.bincount(unit, weights=y, minlength=data["M"]) / n
    return n, mean, np.bincount(unit, weights=(y - mean[unit]) ** 2, minlength=data["M"])


def _by_group(x: FloatArray, data: StanData) -> FloatArray:
    """Sums over the units of each group, (..., M) to (..., J)."""
    member = np.asarray(data["unit_group"])[:, None] == np.arange(1, data["J"] + 1)
    return np.asarray(x @ member.astype(float))


def _scales(draws: Draws, data: StanData) -> tuple[FloatArray, FloatArray]:
    """sds of units and of rows for each unit, (..., 1) or (..., M); units do not differ with complete pooling."""
    if "sigma_group" in draws:
        group = np.asarray(data["unit_group"]) - 1
        return draws["tau_unit_group"][..., group], draws["sigma_group"][..., group]
    sigma = np.asarray(draws["sigma"])[..., None]
    return np.asarray(draws["tau_unit"])[..., None] if "tau_unit" in draws else 0 * sigma, sigma


def _combined(draws: Draws, data: StanData) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Variance of a unit's mean given theta; precision and mean of a group's units combined by it."""
    tau_unit, sigma = _scales(draws, data)
    n, mean, _ = _units(data)
    v = tau_unit**2 + sigma**2 / n
    precision = _by_group(1 / v, data)
    return v, precision, _by_group(mean / v, data) / precision


def _marginal(draws: Draws, data: StanData, location: Any, spread: Any) -> FloatArray:
    """log p(rows of each group) with its units, and theta ~ normal(location, spread), integrated out, (..., J)."""
    n, mean, ss = _units(data)
    (v, precision, centre), sigma = _combined(draws, data), _scales(draws, data)[1]
    own = normal_logpdf(mean, centre[..., np.asarray(data["unit_group"]) - 1], np.sqrt(v)) - 0.5 * ss / sigma**2
    own = own - (n - 1) * (np.log(sigma) + 0.5 * math.log(2 * math.pi)) - 0.5 * np.log(n)
    between = normal_logpdf(centre, location, np.sqrt(spread**2 + 1 / precision))
    return np.asarray(_by_group(own, data) + 0.5 * np.log(2 * math.pi / precision) + between)


def _log_joint(params: Draws, data: StanData, variant: str) -> float:
    """Log prior plus log likelihood at one point, on the constrained scale."""
    names, on = FAMILY.variant(variant).priors, data["use_likelihood"]
    own = {k: params[k if k in params else f"{k}_group"] for k in names}
    total = sum(float(np.sum(_prior(k, data).log_density(own[k]))) for k in names if k in _SCALES)
    if variant == "no_pooling":  # theta_raw is the parameter: p(theta | rows), and p(rows) is what is left
        if not on:
            return float(total + normal_logpdf(params["theta"], *data["prior_theta"]).sum())
        location, spread = data["prior_theta"]
        return float(total + normal_logpdf(params["theta_raw"]).sum() + _marginal(params, data, location, spread).sum())
    total += normal_logpdf(params["mu"], *data["prior_mu"])
    if variant == "partial_pooling":
        return float(total + (_marginal(params, data, params["mu"], params["tau"]).sum() if on else 0.0))
    location = params["mu"]
    if variant == "partial_pooling_centered":
        above = params["theta"][np.asarray(data["unit_group"]) - 1]
        total += normal_logpdf(params["theta"], params["mu"], params["tau"]).sum()
        total += normal_logpdf(params["theta_unit"], above, params["tau_unit"]).sum()
    elif variant == "partial_pooling_noncentered":
        total += normal_logpdf(params["theta_raw"]).sum() + normal_logpdf(params["theta_unit_raw"]).sum()
    if variant != "complete_pooling":
        location = params["theta_unit"][np.asarray(data["unit_idx"]) - 1]
    return float(total + (normal_logpdf(np.asarray(data["y"]), location, params["sigma"]).sum() if on else 0.0))


def _transformed(params: Draws, data: StanData) -> dict[str, FloatArray]:
    derived: dict[str, FloatArray] = {}
    for name in _SCALES:
        for own in (name, f"{name}_group"):
            if f"{own}_raw" in params:
                derived[own] = data[f"prior_{name}"][0] * params[f"{own}_raw"]
    if "sigma_group" in derived:
        location, spread = data["prior_theta"]
        derived["theta"] = _given_rows(derived, data, location, spread, params["theta_raw"])
    elif "theta_raw" in params:
        derived["theta"] = params["mu"] + derived["tau"] * params["theta_raw"]
        above = derived["theta"][np.asarray(data["unit_group"]) - 1]
        derived["theta_unit"] = above + derived["tau_unit"] * params["theta_unit_raw"]
    return derived


def _given_rows(draws: Draws, data: StanData, location: Any, spread: Any, z: FloatArray) -> FloatArray:
    """theta from standard normal z: its prior and the combined units weighed by precision."""
    _, precision, centre = _combined(draws, data)
    own = 1 / (1 + data["use_likelihood"] * spread**2 * precision)
    return np.asarray(location + (1 - own) * (centre - location) + spread * np.sqrt(own) * z)


def _draw_units(rng: np.random.Generator, draws: Draws, data: StanData, on: int) -> FloatArray:
    """Values of the units given theta and, where ``on``, their rows, (S, M); theta itself with complete pooling."""
    above, tau_unit = draws["theta"][:, np.asarray(data["unit_group"]) - 1], _scales(draws, data)[0]
    weight = on * tau_unit**2 / _combined(draws, data)[0]
    centre = above + weight * (_units(data)[1] - above)
    return np.asarray(rng.normal(centre, tau_unit * np.sqrt(1 - weight)))


def _rows(draws: Draws, data: StanData, theta_unit: FloatArray) -> tuple[FloatArray, FloatArray]:
    unit = np.asarray(data["unit_idx"]) - 1
    sigma = _scales(draws, data)[1]
    return theta_unit[:, unit], sigma[:, unit] if sigma.shape[1] > 1 else sigma


def _pointwise(draws: Draws, data: StanData) -> FloatArray:
    """log p(y_n | the value of its unit, sigma); values that a program left out are drawn given the rest."""
    given = draws.get("theta_unit")
    units = _draw_units(np.random.default_rng(_SEED), draws, data, data["use_likelihood"]) if given is None else given
    location, sd = _rows(draws, data, units)
    return np.asarray(normal_logpdf(np.asarray(data["y"]), location, sd))


def _simulate(rng: np.random.Generator, draws: Draws, design: StanData) -> FloatArray:
    """Rows given theta, (S, N), of the units known; of new ones where the design has others, or none are given."""
    size = (len(draws["theta"]), design["J"])
    if "sigma_group" in draws and draws["sigma_group"].shape != size:  # other groups than those fitted
        new = {f"{k}_group": _prior(k, design).draw(rng, math.prod(size)).reshape(size) for k in ("tau_unit", "sigma")}
        draws = {**draws, **new}
    known = "theta_unit" in draws and draws["theta_unit"].shape == (size[0], design["M"])
    # A marginal program that was told not to draw its units has left v, the variances of the known units' means.
    left = "v" in draws and draws["v"].shape == (size[0], design["M"])
    units = draws["theta_unit"] if known else _draw_units(rng, draws, design, left * design["use_likelihood"])
    location, sd = _rows(draws, design, units)
    return np.asarray(rng.normal(location, sd), dtype=float)


def _new_row(data: StanData, _options: Mapping[str, Any]) -> tuple[StanData, str]:
    one = dict.fromkeys(("unit_idx", "unit_group", "group_idx"), np.ones(1, dtype=int))
    return {**data, **one, "N": 1, "M": 1, "J": 1, "y": np.zeros(1)}, "a row of a new unit in a new {group}"


def _group_log_lik(draws: Draws, data: StanData) -> FloatArray:
    tau = draws["tau"] if "tau" in draws else np.zeros(len(draws["mu"]))
    return _marginal(draws, data, draws["mu"][:, None], tau[:, None])


def _raw(data: StanData) -> tuple[FloatArray, FloatArray]:
    """Mean of the means of a group's units, and its standard error by these: none for one unit."""
    mean, count = _units(data)[1], _by_group(np.ones(data["M"]), data)
    raw = _by_group(mean, data) / count
    ss = _by_group((mean - raw[np.asarray(data["unit_group"]) - 1]) ** 2, data)
    return raw, np.sqrt(ss / np.where(count > 1, (count - 1) * count, np.nan))


def _given_rows_of_groups(_rng: np.random.Generator, draws: Draws, data: StanData) -> GivenRows:
    """theta given the rows, units integrated out, then the units given theta and their rows: exactly."""

    def draw(rng: np.random.Generator, at: Any) -> dict[str, FloatArray]:
        some = {name: np.asarray(draws[name])[at] for name in POPULATION}
        z = rng.normal(size=(len(at), data["J"]))
        some["theta"] = _given_rows(some, data, some["mu"][:, None], some["tau"][:, None], z)
        return {"theta": some["theta"], "theta_unit": _draw_units(rng, some, data, 1)}

    return GivenRows(_group_log_lik(draws, data), draw)


def _loo_log_lik(draws: Draws, data: StanData, _variant: str) -> FloatArray:
    """log p(y_n | the other rows of its group, scales), (S, N); without pooling the scales are those of the group."""
    mu, tau = (np.asarray(draws.get(k, data["prior_theta"][i])).reshape(-1, 1) for i, k in enumerate(("mu", "tau")))
    y, unit, group = (np.asarray(data[k]) for k in ("y", "unit_idx", "unit_group"))
    return nested_rows(y, unit - 1, group - 1, mu, tau, *_scales(draws, data))


def _exact_loo(data: StanData, variant: str) -> FloatArray | None:
    return exact_loo(data, _own_scales(data), _marginal) if variant == "no_pooling" else None


def _own_scales(data: StanData) -> dict[str, tuple[Prior, float]]:
    return {k: (_prior(k, data), data[f"prior_{k}"][0]) for k in ("tau_unit", "sigma")}


def _prior_group_log_lik(data: StanData, variant: str) -> FloatArray | None:
    return whole_groups(data, _own_scales(data), _marginal) if variant == "no_pooling" else None


FAMILY = Family(
    name="nested_normal",
    roles=(
        Role(name="group", kind="label", meaning="name of the group"),
        Role(name="unit", kind="unit", meaning="name of the unit within its group"),
        Role(name="outcome", kind="number", meaning="measured value of the row"),
    ),
    programs=Programs(
        variants=VARIANTS, prior_rows=PRIOR_ROWS,
        dims={**dict.fromkeys(("theta", "theta_raw", "precision", "centre", "w", "tau_unit_group", "tau_unit_group_raw",
                               "sigma_group", "sigma_group_raw"), ("group",)),
              **dict.fromkeys(("theta_unit", "theta_unit_raw", "v"), ("unit",)),
              "y_rep": ("observation",), "log_lik": ("observation",)},
        population=POPULATION, hidden=("v", "precision", "centre", "w"), folder=share("stan") / "nested_normal",
        coords=lambda table: {"unit": table.units.labels if table.units else ()}, prepare=_prepare,
        default_priors=_default_priors,
        draw_groups=lambda rng, draws, data: _given_rows(
            draws, data, draws["mu"][:, None], draws["tau"][:, None], rng.normal(size=(len(draws["mu"]), data["J"]))
        ),
    ),
    twin=Twin(
        calibration={"mu": "normal(60, 5)", "tau": "half_normal(2)", "tau_unit": "half_normal(3)",
                     "sigma": "gamma(4, 4)", "theta": "normal(60, 8)"},
        log_joint=_log_joint, transformed=_transformed,
        support=lambda data: {
            f"{name}{own}_raw": raw_support(data[f"prior_{name}_family"]) for name in _SCALES for own in ("", "_group")
        },
        prior_draws=lambda rng, priors, _data, size: {k: priors[k].draw(rng, size) for k in POPULATION if k in priors},
        latent=lambda rng, draws, data, _: {"theta_unit": _draw_units(rng, draws, data, 0)}, simulate=_simulate,
        pointwise=_pointwise,
    ),
    groups=Groups(
        prediction={"cost_unit": Option("cost of one more unit", of_row=False),
                    "cost_row": Option("cost of one more row of a unit", of_row=False)},
        new_group=new_group, group_log_lik=_group_log_lik, prior_group_log_lik=_prior_group_log_lik, new_row=_new_row,
        raw=_raw, exact_loo=_exact_loo, loo_log_lik=_loo_log_lik, less_alike=alike_units,
        given_rows=_given_rows_of_groups,
        known_units=lambda rng, draws, data: _draw_units(rng, draws, data, data["use_likelihood"]),
        expected_of_rows=lambda draws, data: draws["theta_unit"][:, np.asarray(data["unit_idx"]) - 1],
        shrinkage_factor=lambda draws, data: 1 / (1 + draws["tau"][:, None] ** 2 * _combined(draws, data)[1]),
    ),
    words=Words(
        title="Nested normal data: rows in units in groups",
        citation="Gelman and Hill (2007), Data Analysis Using Regression and Multilevel/Hierarchical Models, "
        "section 12.5.",
        likelihood=('y_i tilde "normal"(phi_(u[i]), sigma), quad i = 1, dots, N',), group_meaning="mean",
        findings=findings,
    ),
)  # fmt: skip
