"""Populations of many groups by nodes that stay, and coefficients given them: quadrature, the sampler, faults."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import hbm_stan as hbm
from hbm_stan import by_nodes, tree
from hbm_stan.data import Dataset
from hbm_stan.draw import fit_unkept
from hbm_stan.engines import FIRST_LEFT, NODES_APART, Engine, Sampling, choose
from hbm_stan.families import families
from hbm_stan.families.terms import population
from hbm_stan.families.terms.integrals import by_quadrature
from hbm_stan.families.terms.nodes import density, effects, levels
from hbm_stan.families.terms.nodes.population import PopulationPrior
from hbm_stan.fit import Job, jobs_of
from hbm_stan.likelihoods import likelihood
from hbm_stan.model import StanData

LEFT = {"binomial": "k | trials(m)", "poisson": "c | rate(e)"}
RIGHT = {
    "intercepts": "1 + (1 | g)",
    "correlated": "x + (1 + x | g)",
    "uncorrelated": "x + (1 + x || g)",
    "no common intercept": "0 + x + (1 + x | g) + offset(o)",
    "three": "x + w + (1 + x + w | g)",
}
# In each direction: the two integrals lay them along other axes, and agree where there are enough.
NODES = {1: 21, 2: 13, 3: 9}
PRIORS = {"beta": "normal(0.2, 1.3)", "rho": "lkj(1.7)"}


def frame(groups: int = 14, rows: int = 150) -> pd.DataFrame:
    """Rows in no order, groups of unlike size."""
    rng = np.random.default_rng(20261130)
    g = rng.permutation(np.append(np.arange(groups), rng.choice(groups, rows - groups, p=_shares(groups))))
    theta = rng.multivariate_normal([-0.5, 0.4, 0], np.diag([0.5, 0.2, 0.1]), groups)
    x, w, o = rng.normal(size=(3, rows))
    eta = theta[g, 0] + theta[g, 1] * x + theta[g, 2] * w
    m, e = rng.integers(1, 6, rows), rng.uniform(0.5, 2, rows)
    return pd.DataFrame({
        "g": [f"g{(7 * j) % groups:03d}" for j in g], "x": x, "w": w, "o": 0.1 * o, "m": m, "e": e,
        "k": rng.binomial(m, expit(eta)), "c": rng.poisson(e * np.exp(eta)),
    })  # fmt: skip


def _shares(groups: int) -> np.ndarray:
    shares = np.arange(1.0, groups + 1)
    return np.asarray(shares / shares.sum())


def job(name: str, case: str, variant: str = "partial_pooling", priors: dict[str, str] | None = None,
        table: pd.DataFrame | None = None, sampling: Sampling | None = None) -> Job:  # fmt: skip
    dataset = Dataset.from_frame(frame() if table is None else table, formula=f"{LEFT[name]} ~ {RIGHT[case]}")
    chosen = {**PRIORS, **(priors or {})}
    if "rho" in chosen and case in {"intercepts", "uncorrelated"}:
        del chosen["rho"]
    settings = sampling or Sampling()
    return jobs_of(families()[name], dataset, [variant], chosen, settings, choose("stanli"))[0]


def draws_at(prior: PopulationPrior, x: np.ndarray) -> dict[str, np.ndarray]:
    beta, tau, partial = prior.split(x)
    return {"beta": beta, "tau": tau} | ({"rho": prior.rho(partial), "partial": partial} if prior.pairs else {})


def by_quadrature_anew(name: str, data: StanData, x: np.ndarray) -> np.ndarray:
    """Log posterior density at coordinates (n, d) by the integrals that leave groups out, without Jacobians."""
    prior, rows = PopulationPrior.of(data), likelihood(name)
    draws = draws_at(prior, x)
    whole = by_quadrature(rows, {k: v for k, v in draws.items() if k != "partial"}, data, NODES.__getitem__).sum(axis=1)
    one = [{name: values[i] for name, values in draws.items()} for i in range(len(x))]
    return np.asarray(whole - rows.constant(data).sum() + [population.log_prior(rows, params, data) for params in one])


def log_jacobian(prior: PopulationPrior, x: np.ndarray) -> np.ndarray:
    """log |d (beta, tau, partial) / d coordinates| by differences of each element, (n,)."""
    step, total = 1e-6, np.zeros(len(x))
    for i in range(len(prior.beta), x.shape[1]):
        shift = np.zeros(x.shape[1])
        shift[i] = step
        high, low = (np.hstack(prior.split(at))[:, i] for at in (x + shift, x - shift))
        total += np.log((high - low) / (2 * step))
    return total


def laid_at(name: str, data: StanData, x: np.ndarray) -> density.Posterior:
    """The posterior by as many nodes as those of the integrals, about the modes at one point (d,)."""
    groups, prior = levels.GroupRows.of(likelihood(name), data), PopulationPrior.of(data)
    beta, tau, partial = prior.split(x[None])
    factor = prior.factor(tau, partial)[0]
    start = np.tile(prior.mean(beta)[0], (groups.n_groups, 1))
    modes = levels.find_level_modes(groups, prior.mean(beta)[0], np.linalg.inv(factor @ factor.T), start)
    return density.Posterior(prior, density.Nodes.about(groups, modes, NODES[data["KG"]]), x)


def apart(name: str, case: str, priors: dict[str, str] | None = None) -> float:
    """The largest difference between both densities at four populations, Jacobians taken off."""
    data = job(name, case, priors=priors).data
    prior = PopulationPrior.of(data)
    x = np.random.default_rng(4).normal(0, 0.5, (4, prior.dimension))
    ours = [laid_at(name, data, point)(np.zeros((1, len(point))))[0][0] for point in x] - log_jacobian(prior, x)
    return float(np.abs(ours - by_quadrature_anew(name, data, x)).max())


@pytest.mark.parametrize("name", LEFT)
@pytest.mark.parametrize("case", RIGHT)
def test_the_density_is_that_of_integrals_and_priors(case: str, name: str) -> None:
    assert apart(name, case) < 1e-5


@pytest.mark.parametrize("tau", ["half_cauchy(0.7)", "half_student_t(4, 2)", "uniform(0, 3)", "exponential(0.8)",
                                 "gamma(2, 3)", "lognormal(-0.5, 0.6)"])  # fmt: skip
def test_every_prior_of_a_scale_is_that_of_the_programs(tau: str) -> None:
    assert apart("binomial", "correlated", {"tau": tau}) < 1e-5


FAULTS: dict[str, tuple[object, str, Callable[..., object]]] = {
    "the Jacobian of log tau left out": (
        PopulationPrior, "log_density",
        lambda real: lambda self, x: real(self, x) - x[:, len(self.beta) : len(self.beta) + len(self.tau)].sum(axis=1),
    ),
    "weights of nodes over no density": (
        density, "grid", lambda real: lambda count, size: (real(count, size)[0], 0 * real(count, size)[1]),
    ),
    "the prior's place forgotten": (
        PopulationPrior, "mean", lambda real: lambda self, beta: 0 * real(self, beta),
    ),
    "columns of the factor in the other order": (
        PopulationPrior, "factor", lambda real: lambda self, tau, partial: real(self, tau[:, ::-1], partial),
    ),
    "rows of the group before": (
        levels.GroupRows, "by_group", lambda real: lambda self, values: np.roll(real(self, values), 1, axis=-1),
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_move_the_density(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, what, wrong = FAULTS[fault]
    monkeypatch.setattr(where, what, wrong(getattr(where, what)))
    assert not apart("poisson", "correlated") < 1e-3


def test_populations_that_numbers_cannot_tell_have_no_density() -> None:
    # An sd of nothing, and one without end, made a matrix that has no inverse: the search for modes begins far out.
    data = job("poisson", "correlated").data
    groups, prior = levels.GroupRows.of(likelihood("poisson"), data), PopulationPrior.of(data)
    centre, nodes = density.pilot(groups, prior)
    far = np.zeros((8, len(centre)))
    for row, value in zip(far[1:], (-60, 60, -800, 800, np.nan), strict=False):
        row[2] = value  # log tau of the intercept
    far[6:, 4] = -30, 30  # partial correlations of one, by rounding
    values, slopes = density.Posterior(prior, nodes, centre)(far)
    assert np.isfinite(values[0])
    assert (values[1:] == -np.inf).all()
    assert np.isfinite(slopes).all()
    assert density.Posterior(prior, nodes, centre)(far[1:])[0].max() == -np.inf


@pytest.mark.parametrize("case", ["intercepts", "three"])
def test_the_density_does_not_depend_on_how_much_is_worked_out_at_once(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = job("poisson", case).data
    groups, prior = levels.GroupRows.of(likelihood("poisson"), data), PopulationPrior.of(data)
    centre, nodes = density.pilot(groups, prior)
    posterior = density.Posterior(prior, nodes, centre)
    points = np.random.default_rng(3).normal(0, 0.3, (5, len(centre)))
    values, slopes = posterior(points)
    for at_once in (1, 3 * nodes.log_rows.shape[1], 11 * nodes.log_rows.shape[1]):
        monkeypatch.setattr(density, "_AT_ONCE", at_once)
        monkeypatch.setattr(density, "_POINTS_AT_ONCE", 2)
        np.testing.assert_allclose(posterior(points)[0], values, rtol=1e-13)
        np.testing.assert_allclose(posterior(points)[1], slopes, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(posterior.values(points), values, rtol=1e-13)


@pytest.mark.parametrize("case", RIGHT)
def test_slopes_are_those_of_the_density(case: str) -> None:
    data = job("poisson", case).data
    groups, prior = levels.GroupRows.of(likelihood("poisson"), data), PopulationPrior.of(data)
    centre, nodes = density.pilot(groups, prior)
    scale = np.random.default_rng(2).normal(size=(len(centre), len(centre)))
    posterior = density.Posterior(prior, nodes, centre, scale)
    points, step = np.random.default_rng(3).normal(0, 0.1, (3, len(centre))), 1e-5
    _, slopes = posterior(points)
    for i in range(len(centre)):
        shift = step * np.eye(len(centre))[i]
        by_difference = (posterior(points + shift)[0] - posterior(points - shift)[0]) / (2 * step)
        np.testing.assert_allclose(slopes[:, i], by_difference, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", LEFT)
def test_coordinates_come_back(name: str) -> None:
    for tau in ("half_normal(1)", "uniform(0, 3)"):
        prior = PopulationPrior.of(job(name, "three", priors={"tau": tau}).data)
        x = np.random.default_rng(5).normal(0, 0.6, (2, prior.dimension))
        beta, scales, partial = prior.split(x)
        np.testing.assert_allclose(prior.joined(beta[1], scales[1], partial[1]), x[1], rtol=1e-9)


def test_coefficients_given_a_population_have_the_moments_of_quadrature() -> None:
    """Groups of one row and of many, one of them without a success."""
    table = frame(groups=9, rows=90)
    table.loc[table["g"] == table["g"].iloc[0], "k"] = 0
    data = job("binomial", "intercepts", table=table).data
    groups = levels.GroupRows.of(likelihood("binomial"), data)
    mean, sd, n = -0.4, 1.6, 6000
    modes = levels.find_level_modes(groups, np.array([mean]), np.array([[sd**-2.0]]), np.zeros((9, 1)))
    given = effects.Populations(np.full((n, 1), mean), np.full((n, 1, 1), sd))
    drawn = effects.draw_coefficients(np.random.default_rng(6), groups, modes, given)
    grid = np.linspace(-12, 8, 4001)
    log_density = (
        np.array([groups.log_lik(np.full((9, 1), t)) for t in grid]) - 0.5 * ((grid[:, None] - mean) / sd) ** 2
    )
    weights = np.exp(log_density - log_density.max(axis=0))
    weights /= weights.sum(axis=0)
    first, second = (weights * grid[:, None]).sum(axis=0), (weights * grid[:, None] ** 2).sum(axis=0)
    theta = drawn.theta[:, :, 0]
    for values, exact in ((theta, first), (theta**2, second)):
        error = values.std(axis=0) / math.sqrt(n)
        assert np.abs((values.mean(axis=0) - exact) / error).max() < 4
    assert drawn.left <= effects.LEFT


def test_a_population_that_moves_takes_its_groups_along() -> None:
    """Half of the draws with another mean and sd: groups given these, by a pilot that is near the first half."""
    data = job("poisson", "intercepts").data
    groups, n = levels.GroupRows.of(likelihood("poisson"), data), 4000
    modes = levels.find_level_modes(groups, np.array([-0.5]), np.array([[2.0]]), np.zeros((groups.n_groups, 1)))
    mean, sd = np.repeat([-0.5, -0.2], n // 2), np.repeat([0.7, 0.9], n // 2)
    given = effects.Populations(mean[:, None], sd[:, None, None])
    theta = effects.draw_coefficients(np.random.default_rng(7), groups, modes, given).theta[:, :, 0]
    grid = np.linspace(-9, 6, 3001)
    log_lik = np.array([groups.log_lik(np.full((groups.n_groups, 1), t)) for t in grid])
    for half, (m, s) in zip(np.split(theta, 2), ((-0.5, 0.7), (-0.2, 0.9)), strict=True):
        weights = np.exp(log_lik - 0.5 * ((grid[:, None] - m) / s) ** 2 - log_lik.max(axis=0))
        exact = (weights * grid[:, None]).sum(axis=0) / weights.sum(axis=0)
        error = half.std(axis=0) / math.sqrt(n // 2)
        assert np.abs((half.mean(axis=0) - exact) / error).max() < 4.2


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "MANY_GROUPS", 20)


@pytest.mark.parametrize("variant", ["partial_pooling", "no_pooling"])
@pytest.mark.parametrize("name", LEFT)
def test_draws_are_those_of_the_sampler(name: str, variant: str, large: None, stanli: Engine) -> None:
    task = job(name, "correlated", variant, table=frame(groups=80, rows=1200), sampling=Sampling(seed=3))
    fit = fit_unkept(task)
    sampled = task.engine.sample(task.program, task.data, replace(task.sampling, draws=2000))
    assert FIRST_LEFT in fit.about
    assert fit.direct == (variant == "partial_pooling")
    ours = {k: v.values for k, v in fit.tree["posterior"].data_vars.items()}
    names = ["beta", "theta", *(["tau", "rho", "lprior"] if variant == "partial_pooling" else [])]
    assert set(names) <= set(ours)
    for key in names:
        a, b = ours[key].reshape(4, 1000, -1), np.asarray(sampled.variables[key]).reshape(4, 2000, -1)
        for k in range(a.shape[2]):
            error = math.hypot(*(x[..., k].std() / math.sqrt(hbm_ess(x[..., k])) for x in (a, b)))
            assert abs(a[..., k].mean() - b[..., k].mean()) < 4.8 * error, (key, k)
            ratio = a[..., k].std() / b[..., k].std()
            assert 0.85 < ratio < 1.18, (key, k)
    assert not hbm.check(fit).failed


def hbm_ess(values: np.ndarray) -> float:
    from arviz_stats.base import array_stats

    return float(array_stats.ess(values, chain_axis=0, draw_axis=1))


def test_few_groups_are_sampled(stanli: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of six groups the rows do not say how far they spread: nodes that stay would miss a part of the posterior."""
    monkeypatch.setattr(tree, "MANY_ROWS", 100)
    task = job("binomial", "correlated", table=frame(groups=6, rows=200), sampling=Sampling(warmup=200, draws=100))
    assert tree.is_by_nodes(task.family, task.table, task.variant)
    fit = fit_unkept(task)
    assert not fit.about
    assert not fit.direct
    assert np.asarray(fit.tree["sample_stats"]["n_steps"]).any()


def test_nodes_that_are_too_few_are_seen(large: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(density, "NODES", {1: 3, 2: 2, 3: 2})
    monkeypatch.setattr(density, "_MOST_NODES", {1: 3, 2: 2, 3: 2})
    task = job("binomial", "correlated", table=frame(groups=80, rows=1200))
    assert by_nodes.draws_by_nodes(task.family, task.table, task.data, task.variant, task.sampling) is None


@pytest.mark.parametrize("variant", ["partial_pooling", "no_pooling"])
def test_groups_without_a_common_coefficient(variant: str, large: None) -> None:
    table = frame(groups=80, rows=1200)
    dataset = Dataset.from_frame(table, formula="k | trials(m) ~ 0 + (1 | g)")
    [task] = jobs_of(families()["binomial"], dataset, [variant], None, Sampling(draws=250), choose("stanli"))
    fit = fit_unkept(task)
    assert FIRST_LEFT in fit.about
    assert "beta" not in fit.tree["posterior"]
    assert np.isfinite(fit.tree["sample_stats"]["energy"].values).all()


def test_whichever_engine_is_asked_for_no_sampler_is_run(large: None) -> None:
    task = job("binomial", "correlated", table=frame(groups=80, rows=1200), sampling=Sampling(draws=100))

    class Idle:
        name, version = "cmdstan", "2"

    assert FIRST_LEFT in fit_unkept(replace(task, engine=Idle())).about


def test_an_engine_of_the_user_draws_itself(large: None) -> None:
    task = job("binomial", "correlated", table=frame(groups=80, rows=1200), sampling=Sampling(warmup=50, draws=20))

    class Own:
        name, version, sample, build = "own", "1", task.engine.sample, task.engine.build

    assert FIRST_LEFT not in fit_unkept(replace(task, engine=Own())).about


@pytest.mark.parametrize("case", ["columns that all share", "another factor", "complete pooling", "a small table"])
def test_other_models_are_left_to_the_sampler(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "MANY_GROUPS", 1000 if case == "a small table" else 10)
    right = {"columns that all share": "x + w + (1 + x | g)", "another factor": "x + (1 + x | g) + (1 | h)"}
    table = frame().assign(h=lambda t: t["m"].astype(str) + "h")
    dataset = Dataset.from_frame(table, formula=f"k | trials(m) ~ {right.get(case, 'x + (1 + x | g)')}")
    variant = "complete_pooling" if case == "complete pooling" else "partial_pooling"
    [task] = jobs_of(families()["binomial"], dataset, [variant], None, Sampling(), choose("stanli"))
    assert not tree.is_by_nodes(task.family, task.table, variant)
    assert by_nodes.draws_by_nodes(task.family, task.table, task.data, variant, task.sampling) is None


def test_how_a_fit_was_done_is_told(large: None) -> None:
    from hbm_stan.attempts import attempts_in_words

    table = frame(groups=80, rows=1200)
    task = fit_unkept(job("binomial", "correlated", table=table))
    assert f"at most {task.about[NODES_APART]:.2g}" in attempts_in_words(task)
    assert "80 gs integrated out by nodes" in attempts_in_words(task).replace("groups", "gs")
    without = fit_unkept(job("binomial", "correlated", "no_pooling", table=table))
    assert "each by themselves, without a sampler" in attempts_in_words(without)
