"""Data and draws of formula models for tests, from columns: no formula is parsed, no program is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hbm_stan.design import Design, Term, make_design, make_factor

Rows = dict[str, Any]


def term(labels: Sequence[Any], correlated: bool = True, name: str = "", **columns: Any) -> Term:
    """A term of a factor with these labels; ``intercept=1`` is a column of ones."""
    values = [np.broadcast_to(np.asarray(c, dtype=float), len(labels)) for c in columns.values()]
    factor = make_factor(name or "factor", [str(x) for x in labels])
    return Term(factor, tuple(columns), np.column_stack(values), correlated and len(columns) > 1)


def design_of(common: dict[str, Any], terms: Sequence[Term], n: int, **keys: Any) -> Design:
    columns = {name: np.broadcast_to(np.asarray(c, dtype=float), n) for name, c in common.items()}
    return make_design(columns, terms, **keys)


def data_of(design: Design, y: Any, sd: float = 1.0, shape: float = 2.0, **rows: Any) -> Rows:
    """Stan data of a design with normal(0, 10 sd) priors of coefficients and half_normal(sd) of scales."""
    terms, group = design.terms, design.n_group_terms
    widths = [len(t.names) for t in terms]
    n_own, n_other = sum(widths[:group]), sum(widths[group:])
    p = design.X.shape[1]
    return {
        "N": len(design.X), "P": p, "X": design.X, "offset_": design.offset, "y": np.asarray(y),
        "T": len(terms), "G": group, "J": len(design.pooled.labels), "K": np.array(widths),
        "L": np.array([len(t.factor.labels) for t in terms]), "Z": design.Z,
        "level": np.stack([t.factor.level for t in terms]) + 1, "KG": n_own,
        "correlated": np.array([int(t.correlated) for t in terms]), "own": design.own[:n_own] + 1,
        "other_own": design.own[n_own:] + 1, "M": sum(len(t.names) * len(t.factor.labels) for t in terms[group:]),
        "centered": np.zeros(len(terms), dtype=int), "inside": inside_groups(design),
        "prior_beta": np.tile([0.0, 10 * sd], (p, 1)),
        "prior_tau_family": np.ones(n_own, dtype=int), "prior_tau": np.tile([sd, 1.0], (n_own, 1)),
        "prior_sd_family": np.ones(n_other, dtype=int), "prior_sd": np.tile([sd, 1.0], (n_other, 1)),
        "prior_rho": shape, "prior_theta": np.tile([0.0, 5 * sd], (n_own, 1)),
        "prior_sigma_family": 1, "prior_sigma": [sd, 1.0],
        "prior_overdispersion_family": 1, "prior_overdispersion": [1.0, 1.0],
        "prior_variation_family": 1, "prior_variation": [1.0, 1.0],
        "prior_spread_family": 1, "prior_spread": [1.0, 1.0],
        "P_zi": 2, "prior_zi": np.array([[-1.0, 1.5], [0.0, 2.0]]),
        "X_zi": np.column_stack([np.ones(len(design.X)), np.cos(np.arange(len(design.X)))]),
        "prior_nu_family": 6, "prior_nu": [20.0, 2.0], "nu_free": 1,
        "categories": 4, "prior_threshold": 2.0,
        "use_likelihood": 1, "generate": 0, **rows,
    }  # fmt: skip


def inside_groups(design: Design) -> np.ndarray:
    """What common columns that are not the group's are of the group's own columns, group by group: (KG J, PS)."""
    own = sum(len(t.names) for t in design.terms[: design.n_group_terms])
    shared = [p for p in range(design.X.shape[1]) if p not in design.own[:own]]
    weights = np.zeros((own, len(design.pooled.labels), len(shared)))
    for i, p in enumerate(shared):
        fits = [
            (np.linalg.lstsq(z, x, rcond=None)[0], z, x)
            for z, x in ((design.Z[rows, :own], design.X[rows, p])
                         for rows in (design.pooled.level == j for j in range(weights.shape[1])))
        ]  # fmt: skip
        if all(np.allclose(z @ w, x, atol=1e-10) for w, z, x in fits):
            weights[:, :, i] = np.array([w for w, _, _ in fits]).T
    return weights.reshape(own * weights.shape[1], len(shared))


def population(rng: np.random.Generator, data: Rows, size: int, pooling: str = "partial") -> Rows:
    """Random population parameters, (size, ...), as draws of a program have them."""

    def pairs(terms: slice) -> int:
        return int(sum(k * (k - 1) // 2 * c for k, c in zip(data["K"][terms], data["correlated"][terms], strict=True)))

    group, other = slice(0, data["G"]), slice(data["G"], None)
    n_other = int(sum(data["K"][other]))
    shared = data["P"] - int((np.asarray(data["own"]) > 0).sum())
    draws: Rows = {"beta": rng.normal(size=(size, data["P"])), "tau": np.exp(rng.normal(-0.5, 0.5, (size, data["KG"]))),
                   "rho": _correlations(rng, size, data["K"][group], data["correlated"][group])}  # fmt: skip
    if pooling == "complete":
        draws = {"beta": draws["beta"]}
    if pooling == "no":
        draws = {"beta_shared": rng.normal(size=(size, shared))}
    draws["sd"] = np.exp(rng.normal(-0.5, 0.5, (size, n_other)))
    draws["rho_other"] = _correlations(rng, size, data["K"][other], data["correlated"][other])
    for name in ("sigma", "overdispersion", "variation", "spread"):
        draws[name] = np.exp(rng.normal(-0.5, 0.3, size))
    draws["zi"] = np.random.default_rng([size, 1]).normal(-0.5, 0.5, (size, 2))
    draws["nu"] = 2 + np.exp(np.random.default_rng(size).normal(0.5, 0.5, size))
    draws["threshold"] = np.sort(np.random.default_rng(size).normal(size=(size, 3)), axis=1)
    assert draws["rho_other"].shape[1] == pairs(other)
    return {name: values for name, values in draws.items() if np.size(values)}


def _correlations(rng: np.random.Generator, size: int, widths: Any, correlated: Any) -> np.ndarray:
    parts = [np.empty((size, 0))]
    for k, yes in zip(widths, correlated, strict=True):
        if yes:
            z = rng.normal(size=(size, k, k + 2))
            z /= np.linalg.norm(z, axis=2, keepdims=True)
            omega = z @ np.swapaxes(z, 1, 2)
            parts.append(np.stack([omega[:, i, j] for i in range(k) for j in range(i)], axis=1))
    return np.concatenate(parts, axis=1)


def dense_covariance(data: Rows, draws: Rows, s: int, terms: Sequence[int] | None = None) -> np.ndarray:
    """Covariance of eta of all rows at draw s from the coefficients of ``terms`` (all), rows x rows, term by term."""
    n, column, at, pair = data["N"], 0, {True: 0, False: 0}, {True: 0, False: 0}
    total = np.zeros((n, n))
    for t, (k, correlated) in enumerate(zip(data["K"], data["correlated"], strict=True)):
        pooled, z = t < data["G"], data["Z"][:, column : column + k]
        omega = np.eye(k)
        if pooled and "tau" not in draws:
            sd = data["prior_theta"][at[True] : at[True] + k, 1] * ("beta" not in draws)
        else:
            sd = draws["tau" if pooled else "sd"][s, at[pooled] : at[pooled] + k]
            if correlated:
                for i in range(k):
                    for j in range(i):
                        rho = draws["rho" if pooled else "rho_other"][s, pair[pooled]]
                        omega[i, j] = omega[j, i] = rho
                        pair[pooled] += 1
        column, at[pooled] = column + k, at[pooled] + k
        if terms is None or t in terms:
            same = data["level"][t][:, None] == data["level"][t][None, :]
            total += same * (z @ (sd[:, None] * omega * sd) @ z.T)
    return total


def dense_mean(data: Rows, draws: Rows, s: int) -> np.ndarray:
    """eta where no coefficient deviates from its population, (N,)."""
    if "beta" in draws:
        return np.asarray(data["offset_"] + data["X"] @ draws["beta"][s])
    own = np.asarray(data["own"])
    shared = [p for p in range(data["P"]) if p + 1 not in own]
    beta = draws["beta_shared"][s] if shared else np.empty(0)
    return np.asarray(
        data["offset_"] + data["X"][:, shared] @ beta + data["Z"][:, : data["KG"]] @ data["prior_theta"][:, 0]
    )


def n_effects(data: Rows) -> int:
    """The number of deviations of other factors' levels."""
    return int(sum(k * size for k, size in zip(data["K"][data["G"] :], data["L"][data["G"] :], strict=True)))


def with_coefficients(rng: np.random.Generator, data: Rows, draws: Rows) -> Rows:
    """The draws with random theta and effect."""
    size = len(next(iter(draws.values())))
    theta = rng.normal(size=(size, data["J"], data["KG"]))
    if not {"tau", "beta_shared"} & set(draws) and "beta" in draws:  # complete pooling: all groups are alike
        own = np.hstack([np.zeros((size, 1)), draws["beta"]])[:, np.asarray(data["own"])]
        theta = np.repeat(own[:, None], data["J"], axis=1)
    parameters = {**draws, "theta": theta}
    return parameters | ({"effect": rng.normal(size=(size, n_effects(data)))} if n_effects(data) else {})


def eta_row_by_row(data: Rows, draws: Rows, s: int, terms: Sequence[int] | None = None) -> np.ndarray:
    """eta at draw s from theta and effect by loops; only ``terms`` of other factors are counted, where given."""
    own, eta = np.asarray(data["own"]), np.array(data["offset_"], dtype=float)
    shared = [p for p in range(data["P"]) if p + 1 not in own]
    beta = draws["beta_shared"][s] if "beta_shared" in draws else draws["beta"][s][shared] if shared else []
    for n in range(data["N"]):
        eta[n] += sum(data["X"][n, p] * b for p, b in zip(shared, beta, strict=True))
        eta[n] += data["Z"][n, : data["KG"]] @ draws["theta"][s, data["level"][0][n] - 1]
        start, column = 0, data["KG"]
        for t in range(data["G"], data["T"]):
            k = data["K"][t]
            if terms is None or t in terms:
                first = start + (data["level"][t][n] - 1) * k
                eta[n] += data["Z"][n, column : column + k] @ draws["effect"][s, first : first + k]
            start, column = start + data["L"][t] * k, column + k
    return eta


class UnitNoise:
    """Stands for a generator: its standard normal numbers are 0 in the first draw, in draw m all 0 but the m-th."""

    def __init__(self) -> None:
        self.taken = 0

    def normal(self, size: tuple[int, ...]) -> np.ndarray:
        values = np.zeros((size[0], int(np.prod(size[1:]))))
        for m in range(values.shape[1]):
            if self.taken + m + 1 < size[0]:
                values[self.taken + m + 1, m] = 1.0
        self.taken += values.shape[1]
        return values.reshape(size)
