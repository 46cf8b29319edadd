"""The distribution of a group's rows with its normal coefficients integrated out, and of these given the rows.

Lindley & Smith (1972), Journal of the Royal Statistical Society B 34:1; Rasmussen & Williams (2006), appendix A.3, for
the inversion lemma. Data and draws are those of linear_regression.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from hbm_stan.families.left_out import exact_rows, groups_left_out, whole_groups
from hbm_stan.families.varying_terms import correlation_matrix
from hbm_stan.model import Draws, StanData
from hbm_stan.normal_density import normal_logpdf
from hbm_stan.portions import portions
from hbm_stan.priors import Prior, decode_scale
from hbm_stan.products import products_by
from hbm_stan.scratch import give_back, room
from hbm_stan.table import FloatArray

# Numbers of a draw's matrices that are worked on together: half a megabyte, which stays near the processor (measured).
_AT_ONCE = 64_000


def population(draws: Draws, data: StanData) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean (S, J, K) and a factor of the covariance (S, K, K) of theta, and the residual sd (S, J).

    Without pooling they are those of its fixed prior, with complete pooling the covariance is 0. Not to be changed:
    what is the same in all groups is held once.
    """
    groups, size = data["J"], data["K"]
    if "mu" not in draws:
        prior, sigma = np.asarray(data["prior_theta"]), draws["sigma_group"]
        mean = np.broadcast_to(prior[:, 0], (len(sigma), groups, size))
        return mean, np.tile(np.diag(prior[:, 1]), (len(sigma), 1, 1)), sigma
    mean = np.broadcast_to(draws["mu"][:, None, :], (len(draws["mu"]), groups, size))
    if data["L"]:
        mean = np.array(mean)
        mean[:, :, 0] += draws["gamma"] @ np.asarray(data["U"]).T
    tau = draws.get("tau", np.zeros((len(mean), size)))
    rho = draws.get("rho", np.zeros((len(mean), math.comb(size, 2))))
    factor = tau[:, :, None] * np.linalg.cholesky(correlation_matrix(rho, size))
    return mean, factor, np.broadcast_to(np.asarray(draws["sigma"])[:, None], mean.shape[:2])


def _products(data: StanData) -> tuple[FloatArray, FloatArray]:
    """Products of the columns of (X, y - X b) summed by group, (J, K + 1, K + 1), and b, a fit to all rows.

    Of some rows those of all: see ``some_rows``.
    """
    if "of_groups" in data:
        return data["of_groups"]  # type: ignore[no-any-return]
    x, y = np.asarray(data["X"], dtype=float), np.asarray(data["y"], dtype=float)
    b = np.linalg.lstsq(x, y, rcond=None)[0]
    return products_by(np.column_stack([x, y - x @ b]), np.asarray(data["group_idx"]) - 1, data["J"]), b


def some_rows(data: StanData, rows: Any) -> StanData:
    """The data of some rows, with the sums of products of all of them."""
    own = {name: np.asarray(data[name])[rows] for name in ("X", "y", "group_idx")}
    return {**data, **own, "N": len(own["y"]), "of_groups": _products(data)}


def _by_group(draws: Draws, data: StanData) -> Iterator[tuple[slice, tuple[FloatArray, ...]]]:
    """Some groups after others: their places; factor F, X'X, M = I + F'X'XF / sigma^2, F'X'r / sigma^2, r'r, sigma.

    Here r = y - X E(theta), and shapes are (S, groups, ...). Given the rows, theta is E(theta) + F e, with e
    normal(M^-1 F'X'r / sigma^2, M^-1) (Lindley & Smith, section 2).
    """
    mean, factor, sigmas = population(draws, data)
    products, b = _products(data)
    # F'X'XF of a draw is one product of matrices: X'X of the groups times the products of two entries of F.
    pairs = np.einsum("ski,slm->sklim", factor, factor).reshape(len(factor), len(b) ** 2, len(b) ** 2)
    factor = factor[:, None]
    for groups in portions(len(products), factor.size, _AT_ONCE):
        p, d, sigma = products[groups], mean[:, groups] - b, sigmas[:, groups]
        xx = p[:, :-1, :-1]
        xr = p[:, :-1, -1] - (d[:, :, None] @ xx)[:, :, 0]
        rr = p[:, -1, -1] - np.einsum("sgk,sgk->sg", d, p[:, :-1, -1] + xr)
        scale = 1 / sigma**2
        shape = (*sigma.shape, len(b), len(b))
        m = np.eye(len(b)) + (xx.reshape(len(xx), -1) @ pairs).reshape(shape) * scale[:, :, None, None]
        yield groups, (factor, xx, m, np.einsum("ski,sgk->sgi", factor[:, 0], xr) * scale[:, :, None], rr, sigma)


def _forward(lower: FloatArray, b: FloatArray) -> FloatArray:
    """L^-1 b of many small triangular matrices, (..., K, K) and (..., K); LAPACK, called for each, takes longer."""
    x = np.empty(b.shape)
    for k in range(b.shape[-1]):
        x[..., k] = (b[..., k] - np.einsum("...i,...i->...", lower[..., k, :k], x[..., :k])) / lower[..., k, k]
    return x


def _backward(lower: FloatArray, b: FloatArray) -> FloatArray:
    """L'^-1 b, of the same shapes."""
    x = np.empty(b.shape)
    for k in reversed(range(b.shape[-1])):
        above = np.einsum("...i,...i->...", lower[..., k + 1 :, k], x[..., k + 1 :])
        x[..., k] = (b[..., k] - above) / lower[..., k, k]
    return x


def group_log_lik(draws: Draws, data: StanData) -> FloatArray:
    """log p(y_j | population), (S, J); without pooling the residual sd of a group that was not seen has its prior."""
    if "mu" not in draws:
        shape, prior = draws["sigma_group"].shape, scale_of("sigma_group", data)[0]
        draws = {"sigma_group": prior.draw(np.random.default_rng(0), math.prod(shape)).reshape(shape)}
    return integrated(draws, data)


def integrated(draws: Draws, data: StanData) -> FloatArray:
    """log N(y_j | X_j E(theta_j), sigma^2 I + X_j Sigma X_j'), (S, J), by the determinant and the inversion lemma."""
    log_lik = np.empty((len(next(iter(draws.values()))), data["J"]))
    for groups, (_, xx, m, c, rr, sigma) in _by_group(draws, data):
        lower, n = np.linalg.cholesky(m), xx[:, 0, 0]
        fitted = np.sum(_forward(lower, c) ** 2, axis=2)
        log_det = 2 * (n * np.log(sigma) + np.log(np.diagonal(lower, axis1=2, axis2=3)).sum(axis=2))
        log_lik[:, groups] = -0.5 * (n * math.log(2 * math.pi) + log_det + rr / sigma**2 - fitted)
    return log_lik


def draw_groups(rng: np.random.Generator, draws: Draws, data: StanData) -> FloatArray:
    """theta given the rows and the population, exactly, (S, J, K)."""
    if data.get("use_likelihood", 1) == 0:
        return new_group(rng, draws, data, "partial_pooling" if "mu" in draws else "no_pooling")
    theta = np.array(population(draws, data)[0])
    for groups, (factor, _, m, c, _, _) in _by_group(draws, data):
        z = np.swapaxes(rng.normal(size=(c.shape[1], len(c), c.shape[2])), 0, 1)  # group by group
        lower = np.linalg.cholesky(m)
        e = _backward(lower, _forward(lower, c) + z)
        theta[:, groups] += np.einsum("ski,sgi->sgk", factor[:, 0], e)
    return theta


def shrinkage_factor(draws: Draws, data: StanData) -> FloatArray:
    """Diagonal of the weight of E(theta) in E(theta | y), I - F M^-1 F'X'X / sigma^2; 1 where a term is shared."""
    weights = []
    for _, (factor, xx, m, _, _, sigma) in _by_group(draws, data):
        own = factor @ np.linalg.solve(m, np.swapaxes(factor, 2, 3)) @ xx / sigma[:, :, None, None] ** 2
        weights.append(1 - np.diagonal(own, axis1=2, axis2=3))
    return np.concatenate(weights, axis=1)


def new_group(rng: np.random.Generator, draws: Draws, data: StanData, variant: str) -> FloatArray:
    """theta of unseen groups, (S, J, K): from the population, or from its prior where nothing is pooled."""
    given = {k: v for k, v in draws.items() if variant != "no_pooling" or k == "sigma_group"}
    mean, factor, _ = population(given, data)
    return np.asarray(mean + rng.normal(size=mean.shape) @ np.swapaxes(factor, 1, 2))


def raw(data: StanData) -> tuple[FloatArray, FloatArray]:
    """Least squares in each group where it determines a term; standard errors from the pooled residual variance."""
    x, y, group = np.asarray(data["X"]), np.asarray(data["y"]), np.asarray(data["group_idx"]) - 1
    estimates, factor = (np.full((data["J"], data["K"]), np.nan) for _ in range(2))
    rss, freedom = 0.0, 0
    order = np.argsort(group, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(group, minlength=data["J"]))[:-1])
    for j, rows in enumerate(members):
        own, inverse = x[rows], np.linalg.pinv(x[rows])
        fit = inverse @ y[rows]
        known = np.abs(np.diagonal(inverse @ own) - 1) < 1e-8
        estimates[j, known], factor[j, known] = fit[known], np.sqrt(np.sum(inverse**2, axis=1))[known]
        rss += float(np.sum((y[rows] - own @ fit) ** 2))
        freedom += len(own) - int(np.linalg.matrix_rank(own))
    return estimates, factor * (math.sqrt(rss / freedom) if freedom else math.nan)


def loo_draws(draws: Draws, data: StanData) -> Draws:
    """The draws with what ``loo_log_lik`` takes of each group: E(theta | rows), and its variance in units of sigma^2.

    ``given_mean`` is (K, J, S), ``given_variance`` (K (K + 1) / 2, J, S): pairs k <= m, those with k < m twice. Groups
    come before draws, so that some of them after others fill a file from its beginning to its end.
    """
    mean, size = population(draws, data)[0], data["K"]
    pairs = [(k, m) for k in range(size) for m in range(k, size)]
    what, shape = f"what rows say of {data['J']:,} groups", mean.shape[1::-1]
    both = room((size + len(pairs), *shape), what)
    given, variance = both[:size], both[size:]
    for groups, (factor, _, m, c, _, sigma) in _by_group(draws, data):
        spread = factor @ np.linalg.solve(m, np.swapaxes(factor, 2, 3)) / sigma[..., None, None] ** 2
        theta = mean[:, groups] + (factor @ np.linalg.solve(m, c[..., None]))[..., 0]
        given[:, groups] = theta.T
        for place, (k, other) in enumerate(pairs):
            variance[place, groups] = spread[..., k, other].T * (1 if k == other else 2)
        give_back(both)
    return {**draws, "given_mean": given, "given_variance": variance}


def loo_log_lik(draws: Draws, data: StanData, _variant: str) -> FloatArray:
    """log p(y_n | the other rows of its group, population), (S, N), by Rasmussen & Williams (2006), eq. 5.12.

    1 / [K^-1]_nn, the variance, is sigma^2 / (1 - h), and y_n less the mean is (y_n - fitted) / (1 - h), where h is
    the leverage of the row, x' var(theta | rows) x / sigma^2.
    """
    draws = draws if "given_mean" in draws else loo_draws(draws, data)
    x, y, group = np.asarray(data["X"]), np.asarray(data["y"], dtype=float), np.asarray(data["group_idx"]) - 1
    pairs = [(k, m) for k in range(x.shape[1]) for m in range(k, x.shape[1])]
    log_lik = np.empty((draws["given_mean"].shape[2], len(y)))
    for rows in portions(len(y), len(log_lik)):
        own, at = group[rows], x[rows, :, None]
        fitted = sum(mean[own] * at[:, k] for k, mean in enumerate(draws["given_mean"]))
        by_pair = zip(pairs, draws["given_variance"], strict=True)
        left = 1 - sum(variance[own] * (at[:, k] * at[:, m]) for (k, m), variance in by_pair)
        sd = np.asarray(draws["sigma"]) if "sigma" in draws else draws["sigma_group"][:, own].T
        log_lik[:, rows] = normal_logpdf((y[rows, None] - fitted) / left, 0, sd / np.sqrt(left)).T
        give_back(draws["given_mean"], draws["given_variance"])
    return log_lik


def exact_loo(data: StanData, variant: str) -> FloatArray | None:
    """log p(y_n | the other rows), (N,), without pooling or, all rows one group, with complete pooling."""
    x, y, group = np.asarray(data["X"]), np.asarray(data["y"], dtype=float), np.asarray(data["group_idx"]) - 1
    if variant == "no_pooling":
        return exact_rows(x, y, group, np.asarray(data["prior_theta"]), *scale_of("sigma_group", data))
    if variant != "complete_pooling":
        return None
    return exact_rows(*shared_columns(data), *scale_of("sigma", data))


def exact_logo(data: StanData, variant: str) -> FloatArray | None:
    """log p(y_j | the other groups), (J,), with complete pooling: the evidence of all rows over that of the others."""
    if variant != "complete_pooling":
        return None
    x, y, _, prior = shared_columns(data)
    return groups_left_out(x, y, np.asarray(data["group_idx"]) - 1, prior, *scale_of("sigma", data))


def shared_columns(data: StanData) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Columns of all terms and group predictors, outcome, one group, and the priors of what all rows share."""
    group = np.asarray(data["group_idx"]) - 1
    x = np.hstack([np.asarray(data["X"]), np.asarray(data["U"]).reshape(data["J"], -1)[group]])
    prior = np.vstack([data["prior_mu"], data["prior_gamma"]])
    return x, np.asarray(data["y"], dtype=float), np.zeros_like(group), prior


def scale_of(name: str, data: StanData) -> tuple[Prior, float]:
    """The prior of a residual sd, and its scale."""
    encoded = data[f"prior_{name}"]
    return decode_scale(name, data[f"prior_{name}_family"], encoded), float(encoded[0])


def prior_group_log_lik(data: StanData, variant: str) -> FloatArray | None:
    """log p(y_j) where coefficients and residual sd of the group have their fixed priors, (J,); None where pooled."""
    if variant != "no_pooling":
        return None
    x, y, group = np.asarray(data["X"]), np.asarray(data["y"], dtype=float), np.asarray(data["group_idx"]) - 1
    return whole_groups(x, y, group, np.asarray(data["prior_theta"]), *scale_of("sigma_group", data))
