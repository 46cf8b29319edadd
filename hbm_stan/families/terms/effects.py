"""Terms of a formula's model as draws and data have them: coefficients of groups, effects of other factors' levels.

``theta`` (S, J, KG) are the coefficients of groups: the common coefficient, where there is one, plus the group's
deviation. ``effect`` (S, M) are the deviations of all other terms: term by term, level by level, column fastest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hbm_stan.errors import ModelError
from hbm_stan.families.varying_terms import correlation_matrix
from hbm_stan.integrate.elimination import scaled
from hbm_stan.integrate.structure import IntArray, Level
from hbm_stan.likelihoods.likelihood import some_rows
from hbm_stan.model import Draws, Pooling, StanData
from hbm_stan.table import FloatArray

# A correlation that rounding made one has no Cholesky factor.
_BELOW_ONE = 1 - 1e-12


@dataclass(frozen=True, kw_only=True)
class Term:
    """Coefficients that vary between the levels of a factor; ``level`` of a row is -1 where it is one never seen.

    ``pooled`` says that the factor is the group. ``at`` are its places in tau (sd for other factors), ``pairs`` in rho
    (rho_other), ``effects`` in effect, of a term that is not pooled.
    """

    level: Level
    pooled: bool
    at: slice
    pairs: slice
    effects: slice

    @property
    def n_pairs(self) -> int:
        """The number of correlations."""
        return int(self.pairs.stop - self.pairs.start)


def terms_of(data: StanData) -> tuple[Term, ...]:
    """The terms, those of the group first."""
    z, level = np.asarray(data["Z"], dtype=float), np.asarray(data["level"]).reshape(data["T"], -1) - 1
    terms, column, at, pairs, effects = [], 0, {True: 0, False: 0}, {True: 0, False: 0}, 0
    for t, (width, size, correlated) in enumerate(zip(data["K"], data["L"], data["correlated"], strict=True)):
        k, pooled, n_pairs = int(width), t < data["G"], int(width) * (int(width) - 1) // 2 if correlated else 0
        held = 0 if pooled else k * int(size)
        terms.append(Term(
            level=Level(z[:, column : column + k], level[t], int(size)), pooled=pooled,
            at=slice(at[pooled], at[pooled] + k), pairs=slice(pairs[pooled], pairs[pooled] + n_pairs),
            effects=slice(effects, effects + held),
        ))  # fmt: skip
        column, effects = column + k, effects + held
        at[pooled] += k
        pairs[pooled] += n_pairs
    return tuple(terms)


def take_rows(data: StanData, rows: IntArray) -> StanData:
    """The data of some rows only, levels and groups counted as before."""
    some = {name: np.asarray(data[name])[rows] for name in ("offset_", "X", "Z")} | some_rows(data, rows)
    return {**data, **some, "level": np.asarray(data["level"]).reshape(data["T"], -1)[:, rows], "N": len(rows)}


def shared_columns(data: StanData) -> IntArray:
    """Common columns that are no columns of the group's terms, 0-based."""
    return np.setdiff1d(np.arange(data["P"]), np.asarray(data["own"], dtype=np.int64) - 1)


def pooling_of(draws: Draws) -> Pooling:
    """The pooling that draws are of: only partial pooling has tau, and with complete pooling all groups are alike.

    Before theta is drawn: without pooling beta is not drawn itself.
    """
    if "tau" in draws:
        return "partial"
    if "beta" not in draws or "beta_shared" in draws:
        return "no"
    return "no" if "theta" in draws and np.ptp(np.asarray(draws["theta"])[0], axis=0).any() else "complete"


def n_draws(draws: Draws) -> int:
    """The number of draws."""
    return len(next(iter(draws.values())))


def factor_of(term: Term, draws: Draws, data: StanData) -> FloatArray:
    """A lower triangular matrix A of a term, A A' the covariance of a level's deviations, (S, K, K).

    That of the group's terms is 0 with complete pooling, and the fixed prior's without pooling.
    """
    size = term.level.width
    if term.pooled and (pooling := pooling_of(draws)) != "partial":
        sd = np.asarray(data["prior_theta"], dtype=float)[term.at, 1] * (pooling == "no")
        return np.broadcast_to(np.diag(sd), (n_draws(draws), size, size))
    scale, rho = ("tau", "rho") if term.pooled else ("sd", "rho_other")
    sds = np.asarray(draws[scale])[:, term.at]
    if not term.n_pairs:
        return np.asarray(sds[:, :, None] * np.eye(size))
    correlation = correlation_matrix(np.asarray(draws[rho])[:, term.pairs] * _BELOW_ONE, size)
    return np.asarray(sds[:, :, None] * np.linalg.cholesky(correlation))


def _common(draws: Draws, data: StanData) -> FloatArray:
    """offset + X beta of the columns that are not the group's own, (S, N)."""
    shared = shared_columns(data)
    x = np.asarray(data["X"], dtype=float).reshape(data["N"], data["P"])[:, shared]
    known = np.asarray(data["offset_"], dtype=float) + np.zeros((n_draws(draws), 1))
    if not len(shared):
        return np.asarray(known)
    beta = draws["beta_shared"] if "beta_shared" in draws else np.asarray(draws["beta"])[:, shared]
    return np.asarray(known + beta @ x.T)


def theta_mean(draws: Draws, data: StanData) -> FloatArray:
    """The mean of a group's coefficients in the population, (S, KG): beta where they have a common one, else 0.

    Without pooling that of the fixed prior.
    """
    own = np.asarray(data["own"], dtype=np.int64)
    if pooling_of(draws) == "no":
        return np.tile(np.asarray(data["prior_theta"], dtype=float)[:, 0], (n_draws(draws), 1))
    beta = draws.get("beta", np.empty((n_draws(draws), 0)))
    return np.asarray(np.hstack([np.zeros((len(beta), 1)), beta])[:, own])


def middle(draws: Draws, data: StanData) -> FloatArray:
    """eta of each row where no coefficient deviates from its population's mean, (S, N)."""
    z = np.asarray(data["Z"], dtype=float)[:, : len(data["own"])]
    return np.asarray(_common(draws, data) + theta_mean(draws, data) @ z.T)


def effects_of(term: Term, draws: Draws) -> FloatArray:
    """Deviations of the levels of a term that is not the group's, (S, L, K)."""
    effect = np.asarray(draws["effect"])[:, term.effects]
    return effect.reshape(len(effect), term.level.size, term.level.width)


def rows_of(terms: Sequence[Term], draws: Draws) -> FloatArray | float:
    """The part of eta that terms of other factors have, (S, N); 0 where there are none."""
    for term in terms:
        if term.level.level.min(initial=0) < 0:
            raise ModelError("A level of a factor that was never seen has no effect yet: draw its rows by simulate().")
    return sum((term.level.rows(effects_of(term, draws)) for term in terms), 0.0)


def linear_predictor(draws: Draws, data: StanData, others: Sequence[Term] | None = None) -> FloatArray:
    """eta of each row given theta and the effects of other factors, (S, N); ``others`` are those that are counted."""
    group = groups_of(data)
    z, theta = np.asarray(data["Z"], dtype=float), np.asarray(draws["theta"])
    eta = _common(draws, data)
    for k in range(len(data["own"])):
        eta += theta[:, group, k] * z[:, k]
    return np.asarray(eta + rows_of([t for t in terms_of(data) if not t.pooled] if others is None else others, draws))


def groups_of(data: StanData) -> IntArray:
    """The group of each row, 0-based."""
    level: IntArray = np.asarray(data["level"], dtype=np.int64).reshape(data["T"], -1)[0] - 1
    return level


def draw_level(rng: np.random.Generator, term: Term, draws: Draws, data: StanData, size: int) -> FloatArray:
    """Deviations of ``size`` levels never seen, from their population, (S, size, K)."""
    factor = factor_of(term, draws, data)
    return scaled(factor, rng.normal(size=(len(factor), size, term.level.width)))


def new_group(rng: np.random.Generator, draws: Draws, data: StanData, _variant: str) -> FloatArray:
    """theta of groups never seen, (S, J, KG): from the population; without pooling from the prior."""
    theta = np.repeat(theta_mean(draws, data)[:, None, :], data["J"], axis=1)
    for term in terms_of(data):
        if term.pooled:
            theta[:, :, term.at] += draw_level(rng, term, draws, data, data["J"])
    return np.asarray(theta)


def latent(rng: np.random.Generator, draws: Draws, data: StanData, _variant: str = "") -> dict[str, FloatArray]:
    """effect of all levels of other factors, drawn from their populations, (S, M); nothing where there are none.

    Without pooling beta too, once theta is there.
    """
    others = [term for term in terms_of(data) if not term.pooled]
    parts = [draw_level(rng, t, draws, data, t.level.size).reshape(n_draws(draws), -1) for t in others]
    effects = {"effect": np.concatenate(parts, axis=1)} if parts else {}
    return effects | (beta_of_groups(draws, data, np.asarray(draws["theta"])) if "theta" in draws else {})


def beta_of_groups(draws: Draws, data: StanData, theta: FloatArray) -> dict[str, FloatArray]:
    """Without pooling, beta: of the group's own columns the mean over groups, of the others what was sampled."""
    if pooling_of(draws) != "no" or not data["P"]:
        return {}
    beta, own = np.empty((len(theta), data["P"])), np.asarray(data["own"], dtype=np.int64)
    shared = shared_columns(data)
    if len(shared):
        beta[:, shared] = draws["beta_shared"]
    beta[:, own[own > 0] - 1] = theta.mean(axis=1)[:, own > 0]
    return {"beta": beta}


def simulated_predictor(rng: np.random.Generator, draws: Draws, data: StanData) -> FloatArray:
    """eta of each row given theta, (S, N); each row of a level never seen (0 in ``level``) has an effect of its own.

    Draws without ``effect`` (from priors) get one from the populations.
    """
    others = [term for term in terms_of(data) if not term.pooled]
    drawn = draws if "effect" in draws or not others else {**draws, **latent(rng, draws, data)}
    unseen = [term.level.level < 0 for term in others]
    eta = linear_predictor(drawn, data, [t for t, new in zip(others, unseen, strict=True) if not new.any()])
    for term, new in zip(others, unseen, strict=True):
        if new.any():
            rows, columns = np.flatnonzero(new), term.level.columns
            eta[:, rows] += (draw_level(rng, term, drawn, data, len(rows)) * columns[rows]).sum(axis=2)
            known = np.flatnonzero(~new)
            if len(known):
                seen = Level(columns[known], term.level.level[known], term.level.size)
                eta[:, known] += seen.rows(effects_of(term, drawn))
    return eta
