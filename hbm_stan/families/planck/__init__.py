"""Planck curves: spectra of several sources, each with a temperature, fluxes with normal errors, truncated if need be.

Written from Planck (1901), Annalen der Physik 309:553, and Gelman et al. (2013), Bayesian Data Analysis, chapter 5 (the
population) and section 2.8 (gamma), not from the Stan programs. ``u`` is log T throughout.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from hbm_stan.errors import DataError
from hbm_stan.families.planck.curve import draw_flux, least_squares, log_mass, planck_curve
from hbm_stan.families.planck.evidence import finer_group_log_lik, group_log_lik, prior_group_log_lik
from hbm_stan.families.planck.findings import findings
from hbm_stan.families.planck.fits import index, raw, rule, shrinkage_factor
from hbm_stan.families.planck.given_rows import given_rows, settle
from hbm_stan.families.planck.variants import variants
from hbm_stan.later import gamma
from hbm_stan.model import Draws, Family, Groups, Option, Programs, StanData, Twin, Words
from hbm_stan.normal_density import normal_logpdf
from hbm_stan.prepare import Prepared, Role
from hbm_stan.priors import SCALES, Prior, PriorRow, decode_scale, encode_scale, raw_support, to_decimals, two_digits
from hbm_stan.resources import share
from hbm_stan.table import FloatArray

# What can be recorded where rows are truncated and no columns say so; widened to hold the data.
RANGE = (0.0, 50.0)
_PRIORS = ("alpha", "beta", "sigma", "T", "sigma_group")
_OPEN = tuple(name for name in SCALES if name != "uniform")  # for what is not bounded by its own declaration


def _prepare(table: Prepared, priors: Mapping[str, Prior]) -> StanData:
    nu, y = table["frequency"], table["flux"]
    low = table["lower"] if "lower" in table else np.full(len(y), min(RANGE[0], math.floor(y.min())))
    high = table["upper"] if "upper" in table else np.full(len(y), max(RANGE[1], math.ceil(y.max())))
    bad = np.flatnonzero((y < low) | (y > high) | (low >= high))
    if bad.size:
        i = int(bad[0])
        raise DataError(
            f"{table.dataset.table.where}, {table.row_names[i]}: the flux {y[i]:g} does not lie between the "
            f"smallest and largest that can be recorded there, {low[i]:g} and {high[i]:g}. "
            "Correct the columns of lower and upper."
        )
    u, information = least_squares(nu, y, table.pooled.level, table.n_groups)
    data: StanData = {
        "N": len(y), "J": table.n_groups, "group_idx": table.group_idx, "nu": nu, "y": y,
        "T_fit": np.exp(np.nan_to_num(u)), "T_information": np.nan_to_num(information),
        "truncated": 0, "y_lower": low, "y_upper": high,
    }  # fmt: skip
    for name in _PRIORS:
        data[f"prior_{name}_family"], data[f"prior_{name}"] = encode_scale(priors[name])
    return data


def _default_priors(table: Prepared) -> dict[str, Prior]:
    """Weakly informative: temperatures about that of all fluxes together, errors up to the spread of the fluxes."""
    nu, y = table["frequency"], table["flux"]
    u, _ = least_squares(nu, y, np.zeros(len(y), dtype=int), 1)
    # Without a best fit, the temperature whose curve is highest at the median frequency: Wien's displacement law.
    typical = two_digits(float(np.exp(u[0])) if np.isfinite(u[0]) else float(np.median(nu)) / 2.82)
    spread = float(np.std(y)) or float(np.abs(y).max()) or typical**3
    scale, best_fit = two_digits(spread), f"{typical:g}, the temperature that fits all fluxes best"
    return {
        "alpha": Prior(
            name="alpha", distribution="gamma", arguments=(2.0, 0.5),
            reason="mean 4, so that temperatures differ by half their mean; keeps off zero, where they would differ by "
            "orders of magnitude",
            default=True,
        ),
        "beta": Prior(
            name="beta", distribution="gamma", arguments=(2.0, two_digits(0.5 * typical)),
            reason=f"alpha / beta is then about {best_fit}", default=True,
        ),
        "sigma": Prior(
            name="sigma", distribution="half_normal", arguments=(scale,),
            reason=f"sd of the fluxes {scale:g}: more than the errors", default=True,
        ),
        "T": Prior(
            name="T", distribution="lognormal", arguments=(to_decimals(math.log(typical), 3), 1.0),
            reason=f"fixed and wide: median {best_fit}, two thirds within a factor of 2.7 of it", default=True,
        ),
        "sigma_group": Prior(
            name="sigma_group", distribution="gamma", arguments=(2.0, two_digits(4 / scale)),
            reason=f"no pooling: fixed, mean half the sd of the fluxes ({scale:g}); off zero, for one point is fitted "
            "without error",
            default=True,
        ),
    }  # fmt: skip


def _prior(data: StanData, name: str) -> Prior:
    return decode_scale(name, data[f"prior_{name}_family"], data[f"prior_{name}"])


def _sigma(draws: Draws, data: StanData) -> FloatArray:
    """The residual scale of each row, (..., N) or (..., 1)."""
    if "sigma_group" in draws:
        return np.asarray(draws["sigma_group"])[..., index(data)]
    return np.asarray(draws["sigma"])[..., None]


def _curves(draws: Draws, data: StanData) -> FloatArray:
    """The curve at each row's frequency, (S, N): the flux without errors, whether rows are truncated or not."""
    return planck_curve(np.asarray(data["nu"]), np.asarray(draws["T"])[..., index(data)])


def _pointwise(draws: Draws, data: StanData) -> FloatArray:
    """log p(y_n | T, sigma): the normal density over the probability of the range, where rows are truncated."""
    f, sigma = planck_curve(np.asarray(data["nu"]), np.asarray(draws["T"])[..., index(data)]), _sigma(draws, data)
    return np.asarray(normal_logpdf(np.asarray(data["y"]), f, sigma) - log_mass(f, sigma, data))


def _simulate(rng: np.random.Generator, draws: Draws, design: StanData) -> FloatArray:
    """Fluxes given T and sigma, (S, N); truncated ones by the inverse of the distribution function."""
    f = planck_curve(np.asarray(design["nu"]), np.asarray(draws["T"])[..., index(design)])
    if "sigma_group" in draws and draws["sigma_group"].shape[1] != design["J"]:  # of new groups: from its prior
        fresh = _prior(design, "sigma_group").draw(rng, f.shape[0] * design["J"])
        draws = {**draws, "sigma_group": fresh.reshape(-1, design["J"])}
    return draw_flux(rng, f, _sigma(draws, design), design)


def _log_joint(params: Draws, data: StanData, variant: str) -> float:
    """Log density of what the program samples; where that is not what the priors are of, with the Jacobian."""
    temperature, total = np.asarray(params["T"]), 0.0
    if variant.startswith("no_pooling"):
        total += float(_prior(data, "T").log_density(temperature).sum())
        total += _prior(data, "sigma_group").log_density(params["sigma_group"]).sum()
        total += np.log(temperature * _standard(params["sigma_group"], data)[1]).sum()  # d T / d T_raw
    elif variant.startswith("complete_pooling"):
        total += sum(float(_prior(data, n).log_density(params[k])) for n, k in (("T", "mu"), ("sigma", "sigma")))
    else:
        alpha, beta = params["alpha"], params["beta"]
        total += sum(float(_prior(data, name).log_density(params[name])) for name in ("alpha", "beta", "sigma"))
        total += gamma.logpdf(temperature, alpha, scale=1 / beta).sum()
        if "mu_raw" in params:
            total += math.log(alpha / params["mu"] ** 2)  # d beta / d mu
        if "T_deviation" in params:
            total += np.log(temperature * math.sqrt(1 + alpha) / alpha).sum()  # d T / d T_deviation
    return float(total + (_pointwise(params, data).sum() if data["use_likelihood"] else 0.0))


def _standard(sigma: Any, data: StanData) -> tuple[FloatArray, FloatArray]:
    """Centre and sd of log T, (J,), from its least squares fit and a normal of sd 1 about the scale of T's prior."""
    fit = data["use_likelihood"] * np.asarray(data["T_information"]) / np.asarray(sigma) ** 2
    return (math.log(data["prior_T"][0]) + fit * np.log(data["T_fit"])) / (1 + fit), (1 + fit) ** -0.5


def _transformed(params: Draws, data: StanData) -> dict[str, FloatArray]:
    """What the programs derive: parameters from their raw ones, T from T_raw, T_scaled or T_deviation."""
    scales = {name: data[f"prior_{name}"][0] for name in _PRIORS}
    derived = {n: scale * np.asarray(params[f"{n}_raw"]) for n, scale in scales.items() if f"{n}_raw" in params}
    if "sigma_group" in derived:
        centre, sd = _standard(derived["sigma_group"], data)
        return {**derived, "T": np.exp(centre + sd * params["T_raw"])}
    if "alpha" not in derived:
        mu = scales["T"] * np.asarray(params["mu_raw"])
        return {**derived, "mu": mu, "T": np.full(data["J"], mu)}
    alpha, scale = derived["alpha"], scales["alpha"] / scales["beta"]
    mu = scale * np.asarray(params["mu_raw"]) if "mu_raw" in params else alpha / derived["beta"]
    derived |= {"mu": mu, "beta": alpha / mu, "tau": mu / np.sqrt(alpha)}
    if "T_scaled" in params:
        return {**derived, "T": scale * np.asarray(params["T_scaled"])}
    return {**derived, "T": mu * np.exp(np.sqrt(1 + alpha) / alpha * params["T_deviation"])}


def _support(data: StanData) -> dict[str, tuple[float, float]]:
    bounded = {f"{n}_raw": raw_support(data[f"prior_{n}_family"]) for n in ("alpha", "beta", "sigma", "sigma_group")}
    return {**bounded, "mu_raw": (0.0, math.inf), "T_scaled": (0.0, math.inf)}


def _prior_draws(
    rng: np.random.Generator, priors: Mapping[str, Prior], _data: StanData, size: int
) -> dict[str, FloatArray]:
    drawn = {name: priors[name].draw(rng, size) for name in ("alpha", "beta", "sigma")}
    return {**drawn, "mu": drawn["alpha"] / drawn["beta"], "tau": np.sqrt(drawn["alpha"]) / drawn["beta"]}


def _new_group(rng: np.random.Generator, draws: Draws, design: StanData, variant: str) -> FloatArray:
    """T of unseen groups, (S, J): a draw from the gamma population, mu with complete pooling, else from its prior."""
    if "alpha" in draws:
        return rng.gamma(draws["alpha"][:, None], 1 / draws["beta"][:, None], (len(draws["alpha"]), design["J"]))
    if variant.startswith("complete"):
        return np.repeat(draws["mu"][:, None], design["J"], axis=1)
    shape = (len(draws["sigma_group"]), design["J"])
    return _prior(design, "T").draw(rng, math.prod(shape)).reshape(shape)


def _exact_loo(data: StanData, variant: str) -> FloatArray | None:
    """Without pooling, where each group has one row: the integral over the priors of T and sigma_group, (N,)."""
    log_lik = prior_group_log_lik(data, variant) if data["N"] == data["J"] else None
    return None if log_lik is None else log_lik[index(data)]


def _new_row(data: StanData, options: Mapping[str, Any]) -> tuple[StanData, str]:
    """A flux of a new spectrum at the frequency of the options or the median of the data."""
    nu = float(options.get("frequency", np.median(data["nu"])))
    one = {"nu": nu, "y": 0.0, "y_lower": np.median(data["y_lower"]), "y_upper": np.median(data["y_upper"]),
           "T_fit": 1.0, "T_information": 0.0}  # fmt: skip
    design = {**data, "N": 1, "J": 1, "group_idx": np.array([1]), **{k: np.array([v]) for k, v in one.items()}}
    return design, f"flux of a new spectrum at frequency {nu:g}"


def _row(name: str, distributions: tuple[str, ...], meaning: str, role: str = "") -> PriorRow:
    return PriorRow(
        name=name,
        distributions=distributions,
        meaning=meaning,
        source="Gelman et al. (2013), sections 2.9 and 5.7",
        role=role,
    )


FAMILY = Family(
    name="planck",
    roles=(
        Role(name="group", kind="label", meaning="name of the spectrum"),
        Role(name="frequency", kind="positive", meaning="frequency, in the unit that temperatures are wanted in"),
        Role(name="flux", kind="number", meaning="measured flux, in units of frequency cubed"),
        Role(name="lower", kind="number", meaning="smallest flux that can be recorded, where rows are truncated",
             optional=True),
        Role(name="upper", kind="number", meaning="largest flux that can be recorded, where rows are truncated",
             optional=True),
    ),
    outcomes=("flux",),
    programs=Programs(
        variants=variants(),
        prior_rows=(
            _row("alpha", SCALES, "shape of the population of temperatures: 1 / (coefficient of variation)^2"),
            _row("beta", _OPEN, "rate of the population of temperatures: alpha / beta is their mean"),
            _row("sigma", SCALES, "residual scale of a flux", "flux"),
            _row("T", _OPEN, "temperature with complete pooling, of each spectrum without pooling", "frequency"),
            _row("sigma_group", SCALES, "residual scale of each spectrum without pooling", "flux"),
        ),
        dims={
            "T": ("group",), "T_raw": ("group",), "T_scaled": ("group",), "T_deviation": ("group",), "fit": ("group",),
            "sigma_group": ("group",), "sigma_group_raw": ("group",),
            "y_rep": ("observation",), "log_lik": ("observation",),
        },
        population=("mu", "tau", "alpha", "beta", "sigma"), hidden=("fit", "T_scaled", "T_deviation"),
        folder=share("stan") / "planck", pilot=("partial_pooling", "partial_pooling_noncentered"), prepare=_prepare,
        default_priors=_default_priors, rule=rule,
    ),
    twin=Twin(
        calibration={"alpha": "gamma(6, 1)", "beta": "gamma(6, 3)", "sigma": "gamma(4, 2)", "T": "lognormal(1, 0.4)",
                     "sigma_group": "gamma(4, 2)"},
        log_joint=_log_joint, support=_support, transformed=_transformed, prior_draws=_prior_draws, simulate=_simulate,
        pointwise=_pointwise,
    ),
    groups=Groups(
        group_quantity="T",
        prediction={"frequency": Option("of the flux of a new spectrum; by default the median of the data")},
        new_group=_new_group, group_log_lik=lambda draws, data: group_log_lik(draws, data, _pointwise),
        finer_group_log_lik=finer_group_log_lik, prior_group_log_lik=prior_group_log_lik, new_row=_new_row, raw=raw,
        shrinkage_factor=shrinkage_factor, exact_loo=_exact_loo, given_rows=given_rows, settle=settle,
        row_data={"frequency": "nu", "lower": "y_lower", "upper": "y_upper"}, expected_of_rows=_curves,
    ),
    words=Words(
        title="Planck curves: spectra with a temperature each",
        citation="Planck (1901), Annalen der Physik 309:553; Gelman et al. (2013), Bayesian Data Analysis, chapter 5.",
        likelihood=('y_n tilde "normal"(f(nu_n, T_j), sigma), quad f(nu, T) = nu^3 "/" (exp(nu "/" T) - 1)',),
        group_meaning="temperature", signed=False, same_unit=False, apart=True, findings=findings,
    ),
)  # fmt: skip
