"""The distribution of a group's rows with its normal coefficients integrated out, and of these given the rows.

Lindley & Smith (1972), Journal of the Royal Statistical Society B 34:1; Rasmussen & Williams (2006), appendix A.3, for
the inversion lemma. Data and draws are those of linear_regression.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from hbm_stan.families.left_out import exact_rows, whole_groups
from hbm_stan.families.varying_terms import correlation_matrix
from hbm_stan.model import Draws, StanData
from hbm_stan.normal_density import normal_logpdf
from hbm_stan.priors import Prior, decode_scale
from hbm_stan.table import FloatArray


def population(draws: Draws, data: StanData) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean (S, J, K) and a factor of the covariance (S, K, K) of theta, and the residual sd (S, J).

    Without pooling they are those of its fixed prior, with complete pooling the covariance is 0.
    """
    groups, size = data["J"], data["K"]
    if "mu" not in draws:
        prior, sigma = np.asarray(data["prior_theta"]), draws["sigma_group"]
        mean = np.tile(prior[:, 0], (len(sigma), groups, 1))
        return mean, np.tile(np.diag(prior[:, 1]), (len(sigma), 1, 1)), sigma
    mean = np.repeat(draws["mu"][:, None, :], groups, axis=1)
    if data["L"]:
        mean[:, :, 0] += draws["gamma"] @ np.asarray(data["U"]).T
    tau = draws.get("tau", np.zeros((len(mean), size)))
    rho = draws.get("rho", np.zeros((len(mean), math.comb(size, 2))))
    factor = tau[:, :, None] * np.linalg.cholesky(correlation_matrix(rho, size))
    return mean, factor, np.repeat(np.asarray(draws["sigma"])[:, None], groups, axis=1)


def _products(data: StanData) -> tuple[FloatArray, FloatArray]:
    """Products of the columns of (X, y - X b) summed by group, (J, K + 1, K + 1), and b, a fit to all rows."""
    x, y = np.asarray(data["X"], dtype=float), np.asarray(data["y"], dtype=float)
    b = np.linalg.lstsq(x, y, rcond=None)[0]
    z = np.column_stack([x, y - x @ b])
    products = np.zeros((data["J"], z.shape[1], z.shape[1]))
    np.add.at(products, np.asarray(data["group_idx"]) - 1, z[:, :, None] * z[:, None, :])
    return products, b


def _by_group(draws: Draws, data: StanData) -> Iterator[tuple[FloatArray, ...]]:
    """For each group: factor F, X'X, M = I + F'X'XF / sigma^2, F'X'r / sigma^2, r'r, sigma; r = y - X E(theta).

    Given the rows, theta is E(theta) + F e, with e normal(M^-1 F'X'r / sigma^2, M^-1) (Lindley & Smith, section 2).
    """
    mean, factor, sigmas = population(draws, data)
    products, b = _products(data)
    size = len(b)
    # F'X'XF of all draws is one product of matrices: X'X of the group times the products of two entries of F.
    pairs = np.einsum("ski,slm->klsim", factor, factor).reshape(size * size, -1)
    for j, p in enumerate(products):
        xx, d, sigma = p[:-1, :-1], mean[:, j] - b, sigmas[:, j]
        xr = p[:-1, -1] - d @ xx
        rr = p[-1, -1] - np.einsum("sk,sk->s", d, p[:-1, -1] + xr)
        scale = 1 / sigma**2
        m = np.eye(size) + (xx.ravel() @ pairs).reshape(factor.shape) * scale[:, None, None]
        yield factor, xx, m, np.einsum("ski,sk->si", factor, xr) * scale[:, None], rr, sigma


def _forward(lower: FloatArray, b: FloatArray) -> FloatArray:
    """L^-1 b of many small triangular matrices, (S, K, K) and (S, K); LAPACK is called for each, and takes longer."""
    x = np.empty(b.shape)
    for k in range(b.shape[1]):
        x[:, k] = (b[:, k] - np.einsum("si,si->s", lower[:, k, :k], x[:, :k])) / lower[:, k, k]
    return x


def _backward(lower: FloatArray, b: FloatArray) -> FloatArray:
    """L'^-1 b, of the same shapes."""
    x = np.empty(b.shape)
    for k in reversed(range(b.shape[1])):
        x[:, k] = (b[:, k] - np.einsum("si,si->s", lower[:, k + 1 :, k], x[:, k + 1 :])) / lower[:, k, k]
    return x


def _sigma_group(data: StanData) -> Prior:
    return decode_scale("sigma_group", data["prior_sigma_group_family"], data["prior_sigma_group"])


def group_log_lik(draws: Draws, data: StanData) -> FloatArray:
    """log p(y_j | population), (S, J); without pooling the residual sd of a group that was not seen has its prior."""
    if "mu" not in draws:
        shape = draws["sigma_group"].shape
        draws = {"sigma_group": _sigma_group(data).draw(np.random.default_rng(0), math.prod(shape)).reshape(shape)}
    return integrated(draws, data)


def integrated(draws: Draws, data: StanData) -> FloatArray:
    """log N(y_j | X_j E(theta_j), sigma^2 I + X_j Sigma X_j'), (S, J), by the determinant and the inversion lemma."""
    columns = []
    for _, xx, m, c, rr, sigma in _by_group(draws, data):
        lower = np.linalg.cholesky(m)
        fitted = np.sum(_forward(lower, c) ** 2, axis=1)
        log_det = 2 * (xx[0, 0] * np.log(sigma) + np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(axis=1))
        columns.append(-0.5 * (xx[0, 0] * math.log(2 * math.pi) + log_det + rr / sigma**2 - fitted))
    return np.stack(columns, axis=1)


def draw_groups(rng: np.random.Generator, draws: Draws, data: StanData) -> FloatArray:
    """theta given the rows and the population, exactly, (S, J, K)."""
    theta = population(draws, data)[0]
    if data.get("use_likelihood", 1) == 0:
        return new_group(rng, draws, data, "partial_pooling" if "mu" in draws else "no_pooling")
    for j, (factor, _, m, c, _, _) in enumerate(_by_group(draws, data)):
        lower = np.linalg.cholesky(m)
        e = _backward(lower, _forward(lower, c) + rng.normal(size=c.shape))
        theta[:, j] += np.einsum("ski,si->sk", factor, e)
    return theta


def shrinkage_factor(draws: Draws, data: StanData) -> FloatArray:
    """Diagonal of the weight of E(theta) in E(theta | y), I - F M^-1 F'X'X / sigma^2; 1 where a term is shared."""
    weights = []
    for factor, xx, m, _, _, sigma in _by_group(draws, data):
        own = factor @ np.linalg.solve(m, np.swapaxes(factor, 1, 2)) @ xx / sigma[:, None, None] ** 2
        weights.append(1 - np.diagonal(own, axis1=1, axis2=2))
    return np.stack(weights, axis=1)


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
    for j in range(data["J"]):
        own, inverse = x[group == j], np.linalg.pinv(x[group == j])
        fit = inverse @ y[group == j]
        known = np.abs(np.diagonal(inverse @ own) - 1) < 1e-8
        estimates[j, known], factor[j, known] = fit[known], np.sqrt(np.sum(inverse**2, axis=1))[known]
        rss += float(np.sum((y[group == j] - own @ fit) ** 2))
        freedom += len(own) - int(np.linalg.matrix_rank(own))
    return estimates, factor * (math.sqrt(rss / freedom) if freedom else math.nan)


def loo_log_lik(draws: Draws, data: StanData, _variant: str) -> FloatArray:
    """log p(y_n | the other rows of its group, population), (S, N), by Rasmussen & Williams (2006), eq. 5.12.

    1 / [K^-1]_nn, the variance, is sigma^2 / (1 - h), and y_n less the mean is (y_n - fitted) / (1 - h), where h is
    the leverage of the row, x' var(theta | rows) x / sigma^2.
    """
    x, y, group = np.asarray(data["X"]), np.asarray(data["y"], dtype=float), np.asarray(data["group_idx"]) - 1
    mean = population(draws, data)[0]
    log_lik = np.empty((len(mean), len(y)))
    order = np.argsort(group, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(group, minlength=data["J"]))[:-1])
    for j, (factor, _, m, c, _, sigma) in enumerate(_by_group(draws, data)):
        own = members[j]
        spread = factor @ np.linalg.solve(m, np.swapaxes(factor, 1, 2))
        lower = np.linalg.cholesky(m)
        theta = mean[:, j] + np.einsum("ski,si->sk", factor, _backward(lower, _forward(lower, c)))
        pairs = x[own][:, :, None] * x[own][:, None, :]
        variance, sd = spread.reshape(len(spread), -1) @ pairs.reshape(len(own), -1).T, sigma[:, None]
        left = 1 - variance / sd**2
        log_lik[:, own] = normal_logpdf((y[own] - theta @ x[own].T) / left, 0, sd / np.sqrt(left))
    return log_lik


def exact_loo(data: StanData, variant: str) -> FloatArray | None:
    """log p(y_n | the other rows), (N,), without pooling or, all rows one group, with complete pooling."""
    x, y, group = np.asarray(data["X"]), np.asarray(data["y"], dtype=float), np.asarray(data["group_idx"]) - 1
    if variant == "no_pooling":
        prior, name = np.asarray(data["prior_theta"]), "sigma_group"
    elif variant == "complete_pooling":
        prior, name = np.vstack([data["prior_mu"], data["prior_gamma"]]), "sigma"
        x, group = np.hstack([x, np.asarray(data["U"]).reshape(data["J"], -1)[group]]), np.zeros_like(group)
    else:
        return None
    encoded = data[f"prior_{name}"]
    return exact_rows(x, y, group, prior, decode_scale(name, data[f"prior_{name}_family"], encoded), encoded[0])


def prior_group_log_lik(data: StanData, variant: str) -> FloatArray | None:
    """log p(y_j) where coefficients and residual sd of the group have their fixed priors, (J,); None where pooled."""
    if variant != "no_pooling":
        return None
    x, y, group = np.asarray(data["X"]), np.asarray(data["y"], dtype=float), np.asarray(data["group_idx"]) - 1
    sd, scale = _sigma_group(data), data["prior_sigma_group"][0]
    return whole_groups(x, y, group, np.asarray(data["prior_theta"]), sd, scale)
