"""Population parameters of a formula's model: their priors, what the programs derive from them, draws from priors.

Correlations are sampled as canonical partial correlations, whose LKJ density is a product of beta densities
(Lewandowski, Kurowicka & Joe 2009, Journal of Multivariate Analysis 100:1989, section 2.4).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from hbm_stan.families.terms.effects import Term, shared_columns, terms_of
from hbm_stan.families.terms.sampled import coefficients, shift_of_common
from hbm_stan.families.terms.standard_common import precision_of_common
from hbm_stan.families.varying_terms import draw_lkj, pairs_of
from hbm_stan.later import betaln
from hbm_stan.likelihoods.likelihood import Likelihood
from hbm_stan.model import Draws, StanData
from hbm_stan.normal_density import normal_logpdf
from hbm_stan.priors import FIXED, Prior, PriorRow, decode_scale, raw_support
from hbm_stan.table import FloatArray

_SCALES = {"tau": "tau_raw", "sd": "sd_raw"}
_CORRELATIONS = {"rho": "partial", "rho_other": "partial_other"}


def correlations(partial: FloatArray, size: int) -> FloatArray:
    """Correlations (1, 2), (1, 3), (2, 3), ... from canonical partial correlations in the same order."""
    factor = np.eye(size)
    for (k, m), p in zip(pairs_of(size), partial, strict=True):
        factor[k, m] = p * factor[k, k]
        factor[k, k] *= math.sqrt(1 - p**2)
    return np.array([factor[k] @ factor[m] for k, m in pairs_of(size)])


def log_lkj_partial(partial: FloatArray, size: int, shape: float) -> float:
    """Log density of the canonical partial correlations of an LKJ(shape) matrix, normalised."""
    total = 0.0
    for (_, m), p in zip(pairs_of(size), partial, strict=True):
        b = shape + (size - 2 - m) / 2
        total += (b - 1) * math.log1p(-(p**2)) - (2 * b - 1) * math.log(2) - float(betaln(b, b))
    return total


def scale_priors(data: StanData, name: str) -> list[Prior]:
    """The priors of tau or sd, column by column."""
    codes = np.asarray(data[f"prior_{name}_family"], dtype=np.int64).ravel()
    rows = np.asarray(data[f"prior_{name}"], dtype=float).reshape(-1, 2)
    return [decode_scale(name, int(code), row.tolist()) for code, row in zip(codes, rows, strict=True)]


def own_prior(data: StanData, row: PriorRow) -> Prior:
    """The prior of a likelihood's own parameter."""
    code, encoded = int(data[f"prior_{row.name}_family"]), [float(x) for x in data[f"prior_{row.name}"]]
    return decode_scale(row.name, code, encoded, row.lower)


def fixed_own(likelihood: Likelihood, data: StanData) -> dict[str, FloatArray]:
    """The likelihood's own parameters that are given and not learnt, (1,) each."""
    priors = (own_prior(data, row) for row in likelihood.own if row.may_be_fixed)
    return {prior.name: np.array(prior.arguments) for prior in priors if prior.distribution == FIXED}


def _varying(data: StanData, params: Draws) -> list[Term]:
    """The terms whose sds are parameters: those of the group only with partial pooling."""
    return [term for term in terms_of(data) if not term.pooled or "tau" in params]


def log_prior(likelihood: Likelihood, params: Draws, data: StanData) -> float:
    """The log density of all population parameters at one point."""
    prior, total = np.asarray(data["prior_beta"], dtype=float).reshape(-1, 2), 0.0
    if "beta_shared" in params:
        prior = prior[shared_columns(data)]
    beta = np.ravel(params["beta_shared"] if "beta_shared" in params else params.get("beta", np.empty(0)))
    if len(beta):
        total += float(normal_logpdf(beta, prior[:, 0], prior[:, 1]).sum())
    for name in _SCALES:
        if name in params:
            values = zip(scale_priors(data, name), np.ravel(params[name]), strict=True)
            total += sum(float(p.log_density(x)) for p, x in values)
    for term in _varying(data, params):
        if term.n_pairs:
            partial = np.asarray(params["partial" if term.pooled else "partial_other"])[term.pairs]
            total += log_lkj_partial(partial, term.level.width, float(data["prior_rho"]))
    total += sum(float(own_prior(data, row).log_density(params[row.name])) for row in likelihood.own)
    return total + sum(vector.log_prior(np.ravel(params[vector.row.name]), data) for vector in likelihood.vectors)


def support(likelihood: Likelihood, data: StanData) -> dict[str, Any]:
    """Ranges of raw scales: arrays by column only where a uniform prior ends some of them and not others."""
    ranges: dict[str, Any] = {}
    for name, raw in _SCALES.items():
        ends = [raw_support(int(code)) for code in np.ravel(data[f"prior_{name}_family"])]
        alike = len(set(ends)) <= 1
        ranges[raw] = (ends[0] if ends else (0.0, math.inf)) if alike else tuple(np.array(ends).T)
    for row in likelihood.own:
        ranges[f"{row.name}_raw"] = raw_support(
            int(data[f"prior_{row.name}_family"]), row.lower / float(data[f"prior_{row.name}"][0])
        )
    return ranges


def transformed(likelihood: Likelihood, params: Draws, data: StanData) -> dict[str, FloatArray]:
    """What programs derive at one point: scales, correlations and, from ``sampled``, theta and effect."""
    derived: dict[str, FloatArray] = {}
    prior = np.asarray(data["prior_beta"], dtype=float).reshape(-1, 2)
    for name, columns in (("beta", np.arange(data["P"])), ("beta_shared", shared_columns(data))):
        if f"{name}_raw" in params:
            derived[name] = prior[columns, 0] + prior[columns, 1] * np.asarray(params[f"{name}_raw"])
    for name, raw in _SCALES.items():
        if raw in params:
            derived[name] = np.asarray(data[f"prior_{name}"], dtype=float).reshape(-1, 2)[:, 0] * params[raw]
    if "beta_standard" in params:
        derived |= _of_standard(likelihood, np.asarray(params["beta_standard"]), derived["tau"], data)
    fixed = fixed_own(likelihood, data)
    for row in likelihood.own:
        raw_value = 1.0 if row.name in fixed else np.sum(params[f"{row.name}_raw"])  # a number, or an array of one
        derived[row.name] = np.asarray(data[f"prior_{row.name}"][0] * raw_value)
    for vector in likelihood.vectors:
        if vector.from_raw is not None:
            derived[vector.row.name] = vector.from_raw(np.asarray(params[f"{vector.row.name}_raw"]), data)
    for name, source in _CORRELATIONS.items():
        if source in params:
            own = [t for t in terms_of(data) if t.pooled == (name == "rho") and t.n_pairs]
            parts = [correlations(np.asarray(params[source])[t.pairs], t.level.width) for t in own]
            derived[name] = np.concatenate([np.empty(0), *parts])
    return derived | (_of_sampled({**params, **derived}, data) if "sampled" in params else {})


def _of_standard(
    likelihood: Likelihood, standard: FloatArray, tau: FloatArray, data: StanData
) -> dict[str, FloatArray]:
    """Common coefficients from standard ones, about least squares pulled to the priors, and their precision."""
    if likelihood.precision is None:
        raise TypeError(f"{likelihood.name} is not normal: its common coefficients are not sampled as standard ones")
    precision = precision_of_common(data, likelihood.precision(data), tau)
    prior, start = np.asarray(data["prior_beta"], dtype=float).reshape(-1, 2), np.asarray(data["start"], dtype=float)
    pull = (prior[:, 0] - start) / prior[:, 1] ** 2
    return {"beta": start + pull / precision + standard / np.sqrt(precision), "beta_precision": precision}


def _of_sampled(params: Draws, data: StanData) -> dict[str, FloatArray]:
    """shift, the common coefficients without it, theta and effect."""
    shift = shift_of_common(params, data)
    derived = {"shift": shift}
    for name, columns in (("beta", slice(None)), ("beta_shared", shared_columns(data))):
        if f"{name}_raw" in params:
            derived[name] = np.asarray(params[name]) - shift[columns]
    return derived | coefficients({**params, **derived}, data)


def prior_draws(
    likelihood: Likelihood, rng: np.random.Generator, _priors: Mapping[str, Prior], data: StanData, size: int
) -> dict[str, FloatArray]:
    """Population parameters of partial pooling from the priors that the data hold."""
    beta = np.asarray(data["prior_beta"], dtype=float).reshape(-1, 2)
    draws = {"beta": rng.normal(beta[:, 0], beta[:, 1], size=(size, len(beta)))}
    for name in _SCALES:
        parts = [p.draw(rng, size)[:, None] for p in scale_priors(data, name)]
        draws[name] = np.concatenate([np.empty((size, 0)), *parts], axis=1)
    for name in _CORRELATIONS:
        own = [t for t in terms_of(data) if t.pooled == (name == "rho") and t.n_pairs]
        parts = [draw_lkj(rng, float(data["prior_rho"]), size, t.level.width) for t in own]
        draws[name] = np.concatenate([np.empty((size, 0)), *parts], axis=1)
    own_draws = {row.name: own_prior(data, row).draw(rng, size) for row in likelihood.own}
    own_draws |= {vector.row.name: vector.draw(rng, data, size) for vector in likelihood.vectors}
    return {name: values for name, values in draws.items() if values.size} | own_draws
