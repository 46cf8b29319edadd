"""The model in NumPy: densities, integrals over groups, and draws of groups, rows and priors."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hbm_stan.families.logistic_regression.columns import of_row
from hbm_stan.families.logistic_regression.estimates import cells
from hbm_stan.families.varying_terms import correlation_matrix, draw_lkj, log_lkj, pairs_of
from hbm_stan.later import expit, gammaln, logsumexp, norm
from hbm_stan.model import Draws, StanData
from hbm_stan.priors import Prior, decode_scale, raw_support
from hbm_stan.table import FloatArray

# Nodes in each direction of a group's integral, by its dimension; one node, in more dimensions, is Laplace's method.
_NODES = {1: 21, 2: 9, 3: 5}
_MOST_FINER = 7  # directions that three nodes each are taken in: 2,187 in all
# The same where the population is the prior of no pooling, wide, which is integrated over once and not for each draw.
_NODES_OF_PRIOR = {1: 161, 2: 61, 3: 25, 4: 13, 5: 9}
_CLOSE = 0.05  # by how much half as many may differ: the error falls to a fourth or less with twice the nodes
_RANK = 1e-9  # a share of the largest singular value that is rounding error
_CHUNK = 20_000  # values at a time
# Newton's method: its longest step in log odds, most steps, and the step at which it has arrived.
_STEP, _STEPS, _ROUNDING = 2.0, 60, 1e-6


def _eta(theta: FloatArray, data: StanData) -> FloatArray:
    """Log odds of each row, (S, N); term by term, for all terms of all rows at once may be too much to hold."""
    row, x = np.asarray(data["group_idx"]) - 1, np.asarray(data["X"])
    return np.asarray(sum(theta[:, row, k] * x[:, k] for k in range(x.shape[1])))


def _log_choose(data: StanData) -> FloatArray:
    y, trials = np.asarray(data["y"], dtype=float), np.asarray(data["trials"], dtype=float)
    return np.asarray(gammaln(trials + 1) - gammaln(y + 1) - gammaln(trials - y + 1))


def _log_binomial(eta: FloatArray, y: FloatArray, trials: FloatArray) -> FloatArray:
    """log of p^y (1 - p)^(trials - y) where eta is the log odds of p."""
    # log(1 + exp(eta)), three times as quick as np.logaddexp and as exact.
    return np.asarray(y * eta - trials * (np.maximum(eta, 0) + np.log1p(np.exp(-np.abs(eta)))))


def pointwise(draws: Draws, data: StanData) -> FloatArray:
    """log p(y_n | theta), (S, N)."""
    return _log_choose(data) + _log_binomial(
        _eta(draws["theta"], data), np.asarray(data["y"]), np.asarray(data["trials"])
    )


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
    return _over_groups(draws, data, lambda size: _NODES.get(size, 1))


def finer_group_log_lik(draws: Draws, data: StanData) -> FloatArray | None:
    """The same with twice the nodes in each direction, three for Laplace's one; None without an integral.

    nan in more directions than three nodes each can be taken in: the error is not known there.
    """
    size = factor_of(draws).shape[2]
    if size > _MOST_FINER:
        return np.full((len(draws["mu"]), data["J"]), np.nan)
    return _over_groups(draws, data, lambda size: 2 * _NODES[size] if size in _NODES else 3) if size else None


def _over_groups(draws: Draws, data: StanData, nodes: Callable[[int], int]) -> FloatArray:
    """log p(y_group | population), (S, J), by so many nodes in each of the directions that vary."""
    x, group, y, trials = cells(data)
    mean, factor = mean_of(draws, data), factor_of(draws)
    count, total = nodes(factor.shape[2]), np.tile(_log_choose_of_groups(data), (len(mean), 1))
    for j in range(data["J"]):
        own = group == j
        total[:, j] += _log_integral(mean[:, j] @ x[own].T, x[own] @ factor, y[own], trials[own], count)
    return total


def _log_choose_of_groups(data: StanData) -> FloatArray:
    found = np.bincount(np.asarray(data["group_idx"]) - 1, weights=_log_choose(data), minlength=data["J"])
    return np.asarray(found)


def _log_integral(offset: FloatArray, slope: FloatArray, y: FloatArray, trials: FloatArray, count: int) -> FloatArray:
    """log of the integral of the binomials at log odds offset + slope z over standard normal z, (S,).

    ``offset`` has the shape (S, C) for C cells, ``slope`` (S, C, V). ``count`` nodes in each direction are placed about
    the maximum of the integrand by its curvature there (Pinheiro & Bates 1995, section 2.4).
    """
    size = slope.shape[2]
    z = np.zeros((len(offset), size))
    for _ in range(_STEPS if size else 0):
        curvature, score = _curvature(offset, slope, z, y, trials)
        step = np.linalg.solve(curvature, score[:, :, None])[:, :, 0]
        length = np.abs(_along(slope, step)).max(axis=1)
        z += step / np.maximum(1, length / _STEP)[:, None]
        if length.max() < _ROUNDING:
            break
    root = np.linalg.cholesky(_curvature(offset, slope, z, y, trials)[0])
    spread = np.linalg.inv(root).transpose(0, 2, 1)  # spread spread' is the inverse of the curvature
    nodes, log_weights = _grid(count, size)
    terms = []
    pieces = min(len(nodes), math.ceil(len(nodes) * offset.size / _CHUNK))
    for part in np.array_split(np.arange(len(nodes)), pieces):
        at = z[:, None] + np.swapaxes(spread @ nodes[part].T, 1, 2)
        log_weight = log_weights[part] - (at**2).sum(axis=2) / 2
        eta = offset[:, None] + _along(slope[:, None], at)
        terms.append(log_weight + _log_binomial(eta, y, trials).sum(axis=2))
    found = logsumexp(np.hstack(terms), axis=1)
    return np.asarray(found - np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1))


def _grid(count: int, size: int) -> tuple[FloatArray, FloatArray]:
    """Gauss-Hermite nodes in every direction (P, V), and the logarithms of weights over standard normal densities."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(count)
    log_weights = np.log(weights) - math.log(2 * math.pi) / 2 + nodes**2 / 2
    each = [np.array(list(itertools.product(a, repeat=size))).reshape(count**size, size) for a in (nodes, log_weights)]
    return each[0], each[1].sum(axis=1)


def _along(slope: FloatArray, z: FloatArray) -> Any:
    """slope z, (..., C): a sum of products, far quicker than many products of small matrices."""
    return sum(slope[..., v] * z[..., v, None] for v in range(slope.shape[-1]))


def _curvature(
    offset: FloatArray, slope: FloatArray, z: FloatArray, y: FloatArray, trials: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Minus the second derivatives (S, V, V), and the first (S, V), of the log integrand at z."""
    p = expit(offset + _along(slope, z))
    weight, residual = trials * p * (1 - p), y - trials * p
    curvature = np.eye(slope.shape[2]) + np.einsum("sc,scv,scw->svw", weight, slope, slope)
    return curvature, np.einsum("sc,scv->sv", residual, slope) - z


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
        given = (offset[None], slope[None], y[own], trials[own])
        found, coarser = (_log_integral(*given, n)[0] for n in (count, math.ceil(count / 2)))
        if count == 1 or abs(found - coarser) > _CLOSE:
            return None
        total[j] += found
    return np.asarray(total)


def exact_loo(data: StanData, variant: str) -> FloatArray | None:
    """Without pooling and with one row in each group: the prior probability of each row, an integral over its eta."""
    found = prior_group_log_lik(data, variant) if data["N"] == data["J"] else None
    return None if found is None else found[np.asarray(data["group_idx"]) - 1]


def log_joint(params: Draws, data: StanData, variant: str) -> float:
    """Log prior plus log likelihood at one point, on the constrained scale."""
    if variant == "no_pooling":
        theta = np.asarray(params["theta"])
        total = norm.logpdf(theta, data["prior_theta_location"], data["prior_theta_scale"]).sum()
    else:
        total = norm.logpdf(params["mu"], data["prior_mu_location"], data["prior_mu_scale"]).sum()
        if data["L"]:
            total += norm.logpdf(params["gamma"], data["prior_gamma_location"], data["prior_gamma_scale"]).sum()
        theta = mean_of({name: np.asarray(value)[None] for name, value in params.items()}, data)[0]
    if "intercept_raw" in params:
        total += norm.logpdf(params["intercept_raw"]).sum() + _log_prior_tau(params, data, 1)
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
        density += (norm.logpdf(raw[:, k], location, sd) if centered else norm.logpdf(raw[:, k])).sum()
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
    made = {} if raw is None else {"tau": np.asarray(data["prior_tau"])[:, 0] * raw}
    if "gamma_raw" in params:
        location, scale = (np.asarray(data[f"prior_gamma_{name}"]) for name in ("location", "scale"))
        made["gamma"] = location + scale * params["gamma_raw"]
    if "L_Omega" in params:
        omega = np.asarray(params["L_Omega"]) @ np.asarray(params["L_Omega"]).T
        made["rho"] = np.array([omega[pair] for pair in pairs_of(data["K"])])
    return made


def prior_draws(
    rng: np.random.Generator, priors: Mapping[str, Prior], data: StanData, size: int
) -> dict[str, FloatArray]:
    """Population parameters from their priors: mu and tau (size, K), gamma (size, L) and rho (size, pairs)."""
    named = {name: of_row(priors, name) for name in ("mu", "gamma", "tau")}
    draws = {name: np.column_stack([p.draw(rng, size) for p in found]) for name, found in named.items() if found}
    if data["K"] > 1:
        draws["rho"] = draw_lkj(rng, data["prior_rho"], size, data["K"])
    return draws
