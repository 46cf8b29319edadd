"""The model in NumPy: densities, integrals over groups, and draws of groups, rows and priors."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from hbm_stan.families.logistic_regression.columns import of_row
from hbm_stan.families.logistic_regression.estimates import cells
from hbm_stan.families.varying_terms import correlation_matrix, draw_lkj, log_lkj, pairs_of
from hbm_stan.integrate import MOST_FINER, Integrand, Nested, finer_nodes, log_integral, usual_nodes
from hbm_stan.integrate.structure import Level
from hbm_stan.later import expit
from hbm_stan.likelihoods import likelihood
from hbm_stan.model import Draws, StanData
from hbm_stan.normal_density import normal_logpdf
from hbm_stan.priors import Prior, decode_scale, raw_support
from hbm_stan.table import FloatArray

# The same where the population is the prior of no pooling, wide, which is integrated over once and not for each draw.
_NODES_OF_PRIOR = {1: 161, 2: 61, 3: 25, 4: 13, 5: 9}
_CLOSE = 0.05  # by how much half as many may differ: the error falls to a fourth or less with twice the nodes
_RANK = 1e-9  # a share of the largest singular value that is rounding error
_BINOMIAL = likelihood("binomial")


def _eta(theta: FloatArray, data: StanData) -> FloatArray:
    """Log odds of each row, (S, N); term by term, for all terms of all rows at once may be too much to hold."""
    row, x = np.asarray(data["group_idx"]) - 1, np.asarray(data["X"])
    return np.asarray(sum(theta[:, row, k] * x[:, k] for k in range(x.shape[1])))


def pointwise(draws: Draws, data: StanData) -> FloatArray:
    """log p(y_n | theta), (S, N)."""
    return _BINOMIAL.log_p(_eta(draws["theta"], data), data, {})


def simulate(rng: np.random.Generator, draws: Draws, design: StanData) -> FloatArray:
    """Successes of the design's rows given theta, (S, N)."""
    return np.asarray(rng.binomial(np.asarray(design["trials"]), expit(_eta(draws["theta"], design))), dtype=float)


def row_moments(draws: Draws, data: StanData) -> tuple[FloatArray, FloatArray]:
    """n p and n p (1 - p) of each row, (S, N) each."""
    eta, trials = _eta(draws["theta"], data), np.asarray(data["trials"])
    # 1 - p would be 0 where p is near 1.
    mean = trials * expit(eta)
    return mean, mean * expit(-eta)


def mean_of(draws: Draws, data: StanData) -> FloatArray:
    """Mean of theta in the population, (S, J, K): group predictors move the intercept."""
    mean = np.repeat(draws["mu"][:, None, :], data["J"], axis=1)
    if data["L"]:
        mean[:, :, 0] += draws["gamma"] @ np.asarray(data["U"]).T
    return mean


def factor_of(draws: Draws) -> FloatArray:
    """A matrix A with A A' = covariance of theta in the population, (S, K, V), V terms varying; V is 0 without tau."""
    tau = draws.get("tau", np.zeros_like(draws["mu"]))
    varying = np.flatnonzero(tau.any(axis=0))
    terms = tau.shape[1]
    rho = draws.get("rho", np.zeros((len(tau), terms * (terms - 1) // 2)))
    # A correlation that rounding made one has no Cholesky factor.
    correlation = correlation_matrix(rho * (1 - 1e-12), terms)
    return np.asarray((tau[:, :, None] * np.linalg.cholesky(correlation))[:, :, varying])


def new_group(rng: np.random.Generator, draws: Draws, design: StanData, variant: str) -> FloatArray:
    """theta of unseen groups, (S, J, K); without pooling from the prior, with complete pooling its mean."""
    if variant == "no_pooling":
        size = (len(draws["theta"]), design["J"], design["K"])
        return rng.normal(design["prior_theta_location"], design["prior_theta_scale"], size=size)
    mean, factor = mean_of(draws, design), factor_of(draws)
    return np.asarray(mean + rng.normal(size=(*mean.shape[:2], factor.shape[2])) @ factor.transpose(0, 2, 1))


def group_log_lik(draws: Draws, data: StanData) -> FloatArray:
    """log of the integral of a group's binomials over theta given the population, (S, J)."""
    return _over_groups(draws, data, usual_nodes)


def finer_group_log_lik(draws: Draws, data: StanData) -> FloatArray | None:
    """The same with twice the nodes in each direction, three for Laplace's one; None without an integral.

    nan in more directions than three nodes each can be taken in: the error is not known there.
    """
    size = factor_of(draws).shape[2]
    if size > MOST_FINER:
        return np.full((len(draws["mu"]), data["J"]), np.nan)
    return _over_groups(draws, data, finer_nodes) if size else None


def _over_groups(draws: Draws, data: StanData, nodes: Callable[[int], int]) -> FloatArray:
    """log p(y_group | population), (S, J), by so many nodes in each of the directions that vary."""
    x, group, y, trials = cells(data)
    mean = mean_of(draws, data)
    eta = np.asarray(sum(mean[:, group, k] * x[:, k] for k in range(x.shape[1])))
    given = Integrand(_BINOMIAL, {"y": y, "trials": trials}, {}, eta)
    log_lik = log_integral(Nested.of([Level(x, group, data["J"])]), [factor_of(draws)], given, nodes)
    return _log_choose_of_groups(data) + log_lik


def _log_choose_of_groups(data: StanData) -> FloatArray:
    log_choose = np.bincount(np.asarray(data["group_idx"]) - 1, weights=_BINOMIAL.constant(data), minlength=data["J"])
    return np.asarray(log_choose)


def prior_group_log_lik(data: StanData, variant: str) -> FloatArray | None:
    """log of the integral of a group's binomials over theta at its fixed prior, (J,); None where pooled."""
    if variant != "no_pooling":
        return None
    total = _log_choose_of_groups(data)
    x, group, y, trials = cells(data)
    for j in range(data["J"]):
        own = group == j
        offset = x[own] @ np.asarray(data["prior_theta_location"])
        # Coefficients matter through the log odds of the cells alone: as many directions as the rank of these.
        u, s, _ = np.linalg.svd(x[own] * np.asarray(data["prior_theta_scale"]), full_matrices=False)
        slope = (u * s)[:, s > _RANK * s[0]]
        # Wide priors and outcomes that a term separates make integrands with an edge, which Laplace's method misses.
        count = _NODES_OF_PRIOR.get(slope.shape[1], 1)
        level = Nested.of([Level(slope, np.zeros(len(slope), dtype=np.int64), 1)])
        given = Integrand(_BINOMIAL, {"y": y[own], "trials": trials[own]}, {}, offset[None])
        log_lik, coarser = (
            float(log_integral(level, [np.eye(slope.shape[1])[None]], given, partial(_always, n))[0, 0])
            for n in (count, math.ceil(count / 2))
        )
        if count == 1 or abs(log_lik - coarser) > _CLOSE:
            return None
        total[j] += log_lik
    return np.asarray(total)


def _always(count: int, _size: int) -> int:
    return count


def exact_loo(data: StanData, variant: str) -> FloatArray | None:
    """Without pooling and with one row in each group: the prior probability of each row, an integral over its eta."""
    log_lik = prior_group_log_lik(data, variant) if data["N"] == data["J"] else None
    return None if log_lik is None else log_lik[np.asarray(data["group_idx"]) - 1]


def log_joint(params: Draws, data: StanData, variant: str) -> float:
    """Log prior plus log likelihood at one point, on the constrained scale."""
    if variant == "no_pooling":
        theta = np.asarray(params["theta"])
        total = normal_logpdf(theta, data["prior_theta_location"], data["prior_theta_scale"]).sum()
    else:
        total = normal_logpdf(params["mu"], data["prior_mu_location"], data["prior_mu_scale"]).sum()
        if data["L"]:
            total += normal_logpdf(params["gamma"], data["prior_gamma_location"], data["prior_gamma_scale"]).sum()
        theta = mean_of({name: np.asarray(value)[None] for name, value in params.items()}, data)[0]
    if "intercept_raw" in params:
        total += normal_logpdf(params["intercept_raw"]).sum() + _log_prior_tau(params, data, 1)
        theta[:, 0] += params["tau"][0] * params["intercept_raw"]
    elif "theta_raw" in params:
        theta, density = _conditionally(params, data, theta)
        total += density + _log_prior_tau(params, data, data["K"]) + log_lkj(params["L_Omega"], data["prior_rho"])
    return float(total + data["use_likelihood"] * pointwise({"theta": theta[None]}, data).sum())


def _log_prior_tau(params: Draws, data: StanData, terms: int) -> float:
    coded = zip(data["prior_tau_family"], data["prior_tau"], params["tau"], strict=True)
    return float(sum(decode_scale("tau", *c[:2]).log_density(c[2]) for c in itertools.islice(coded, terms)))


def _conditionally(params: Draws, data: StanData, mean: FloatArray) -> tuple[FloatArray, float]:
    """theta (J, K) from what is sampled, term by term given those before it, and the log density of the latter."""
    factor = params["tau"][:, None] * params["L_Omega"]
    covariance, raw, theta, density = factor @ factor.T, params["theta_raw"], np.empty_like(mean), 0.0
    for k in range(data["K"]):
        weights = np.linalg.solve(covariance[:k, :k], covariance[:k, k])
        location = mean[:, k] + (theta[:, :k] - mean[:, :k]) @ weights
        sd = math.sqrt(covariance[k, k] - covariance[:k, k] @ weights)
        centered = data["centered"][k]
        theta[:, k] = raw[:, k] if centered else location + sd * raw[:, k]
        density += (normal_logpdf(raw[:, k], location, sd) if centered else normal_logpdf(raw[:, k])).sum()
    return theta, float(density)


def support(data: StanData) -> dict[str, Any]:
    """Ranges of the raw scales; arrays by term only where a uniform prior ends some of them and not others."""
    ends = [raw_support(code) for code in data["prior_tau_family"]]
    all_alike = len(set(ends)) == 1
    by_term = ends[0] if all_alike else tuple(np.array(ends).T)
    return {"tau_raw": by_term, "tau_intercept_raw": ends[0]}


def transformed(params: Draws, data: StanData) -> dict[str, FloatArray]:
    """tau, gamma and rho from what is declared; a tau of zero for the terms that do not vary."""
    raw = params.get("tau_raw")
    if "tau_intercept_raw" in params:
        raw = np.append(params["tau_intercept_raw"], np.zeros(data["K"] - 1))
    derived = {} if raw is None else {"tau": np.asarray(data["prior_tau"])[:, 0] * raw}
    if "gamma_raw" in params:
        location, scale = (np.asarray(data[f"prior_gamma_{name}"]) for name in ("location", "scale"))
        derived["gamma"] = location + scale * params["gamma_raw"]
    if "L_Omega" in params:
        omega = np.asarray(params["L_Omega"]) @ np.asarray(params["L_Omega"]).T
        derived["rho"] = np.array([omega[pair] for pair in pairs_of(data["K"])])
    return derived


def prior_draws(
    rng: np.random.Generator, priors: Mapping[str, Prior], data: StanData, size: int
) -> dict[str, FloatArray]:
    """Population parameters from their priors: mu and tau (size, K), gamma (size, L) and rho (size, pairs)."""
    named = {name: of_row(priors, name) for name in ("mu", "gamma", "tau")}
    draws = {
        name: np.column_stack([p.draw(rng, size) for p in row_priors])
        for name, row_priors in named.items()
        if row_priors
    }
    if data["K"] > 1:
        draws["rho"] = draw_lkj(rng, data["prior_rho"], size, data["K"])
    return draws
