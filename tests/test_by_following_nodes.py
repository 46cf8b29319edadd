"""Direct draws of counts and successes in few groups, by nodes that follow: quadrature, the sampler, faults."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_by_nodes import FAULTS as STAYING
from test_by_nodes import LEFT, NODES, by_quadrature_anew, frame, hbm_ess, log_jacobian

import hbm_stan as hbm
from hbm_stan import by_following_nodes as following
from hbm_stan.analysis.read import read_analysis
from hbm_stan.attempts import attempts_in_words
from hbm_stan.by_following_nodes import draw_directly
from hbm_stan.data import Dataset
from hbm_stan.directly import fit_directly
from hbm_stan.draw import fit_unkept
from hbm_stan.engines import FIRST_LEFT, NODES_APART, NOT_DIRECT, PARETO_K, Sampling, choose
from hbm_stan.engines.direct import DirectEngine
from hbm_stan.errors import NotDirectError
from hbm_stan.families import families
from hbm_stan.families.terms.nodes import effects
from hbm_stan.families.terms.nodes.following import Following, Shared, rows_of_cells
from hbm_stan.families.terms.nodes.population import PopulationPrior
from hbm_stan.fit import Job, jobs_of
from hbm_stan.likelihoods import likelihood
from hbm_stan.report.build import settled
from hbm_stan.verify.known import compare_case, shipped_cases

RIGHT = {
    "intercepts": "1 + (1 | g)",
    "shared": "x + w + (1 | g) + offset(o)",
    "slopes": "x + (1 + x | g)",
    "shared and slopes": "w + x + (0 + x | g)",
    "three": "x + w + (1 + x + w || g)",
}
PRIORS = {"beta": "normal(0.2, 1.3)"}


def table(groups: int = 8, rows: int = 90) -> pd.DataFrame:
    """Few groups, of unlike size and in no order; some rows have equal columns, and are one cell."""
    some = frame(groups, rows)
    some["x"], some["w"] = some["x"].round(0), some["w"].round(0)
    some["o"] = (some["o"] * 5).round(0) / 5
    return some


def job(name: str, case: str, variant: str = "partial_pooling", priors: dict[str, str] | None = None,
        rows: pd.DataFrame | None = None, sampling: Sampling | None = None) -> Job:  # fmt: skip
    dataset = Dataset.from_frame(table() if rows is None else rows, formula=f"{LEFT[name]} ~ {RIGHT[case]}")
    settings = sampling or Sampling(seed=5)
    engine = DirectEngine(alone=True)
    return jobs_of(families()[name], dataset, [variant], {**PRIORS, **(priors or {})}, settings, engine)[0]


def density_of(task: Job, count: int | None = None) -> Following:
    groups, shared = rows_of_cells(likelihood(task.family.name), task.data)
    prior = PopulationPrior.of(task.data)
    nodes = count or NODES[len(prior.tau)]
    return Following(groups, shared, prior, np.zeros(prior.dimension), np.eye(prior.dimension), nodes)


def apart(name: str, case: str, priors: dict[str, str] | None = None) -> float:
    """The largest difference to integrals over rows, at populations that spread little and as usual."""
    task = job(name, case, priors=priors)
    density = density_of(task)
    x = np.random.default_rng(4).normal(0, 0.5, (4, density.prior.dimension))
    at = slice(len(density.prior.beta), len(density.prior.beta) + len(density.prior.tau))
    x[1, at], x[2, at] = x[1, at] - 4, 0.3
    ours = density(x)[0] - log_jacobian(density.prior, x)
    return float(np.abs(ours - by_quadrature_anew(name, task.data, x)).max())


@pytest.mark.parametrize("name", LEFT)
@pytest.mark.parametrize("case", RIGHT)
def test_the_density_is_that_of_integrals_and_priors(case: str, name: str) -> None:
    assert apart(name, case) < 2e-4


@pytest.mark.parametrize("tau", ["half_cauchy(0.7)", "uniform(0, 30)", "exponential(0.8)", "lognormal(-0.5, 0.6)"])
def test_every_prior_of_a_scale_is_that_of_the_programs(tau: str) -> None:
    assert apart("binomial", "shared", {"tau": tau}) < 2e-4


def test_cells_stand_for_their_rows() -> None:
    groups, shared = rows_of_cells(likelihood("binomial"), job("binomial", "shared").data)
    assert len(groups.columns) == len(shared.columns) < 90
    assert groups.sizes.sum() == len(groups.columns)
    assert np.asarray(groups.rows["trials"]).sum() == table()["m"].sum()


FAULTS: dict[str, tuple[object, str, Callable[..., object]]] = {
    "shared columns in the order of cells": (
        following, "rows_of_cells",
        lambda real: lambda *a: (real(*a)[0], replace(real(*a)[1], columns=real(*a)[1].columns[::-1])),
    ),
    "shared columns at the places of others": (
        following, "rows_of_cells",
        lambda real: lambda *a: (real(*a)[0], Shared(columns=real(*a)[1].columns, places=real(*a)[1].places[::-1])),
    ),
    **{name: STAYING[name] for name in (
        "the prior's place forgotten", "weights of nodes over no density", "rows of the group before",
    )},
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_move_the_density(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, what, wrong = FAULTS[fault]
    changed = wrong(getattr(where, what))
    monkeypatch.setattr(where, what, changed)
    if what == "rows_of_cells":
        monkeypatch.setattr("test_by_following_nodes.rows_of_cells", changed)
    assert not apart("poisson", "shared") < 1e-2


@pytest.mark.parametrize("case", RIGHT)
def test_slopes_are_those_of_the_density(case: str) -> None:
    """So many nodes that what they lie about does not matter; also of groups that hardly differ."""
    start = density_of(job("poisson", case))
    prior = start.prior
    scale = np.random.default_rng(2).normal(size=(prior.dimension, prior.dimension))
    density = start.about(prior.middle, scale)
    points, step = np.random.default_rng(3).normal(0, 0.1, (4, prior.dimension)), 1e-5
    little = prior.joined(prior.beta[:, 0], np.full(len(prior.tau), 1e-4), np.zeros(len(prior.pairs)))
    points[3] = np.linalg.solve(scale, little - prior.middle)
    slopes = density(points)[1]
    for i in range(prior.dimension):
        shift = step * np.eye(prior.dimension)[i]
        by_difference = (density(points + shift)[0] - density(points - shift)[0]) / (2 * step)
        np.testing.assert_allclose(slopes[:, i], by_difference, rtol=2e-3, atol=5e-3)


@pytest.mark.parametrize("tau", [1e-5, 1e-9])
def test_groups_that_do_not_differ_are_pooled(tau: float) -> None:
    """Squares of coefficients over tau squared would be all rounding: this was a pole, where modes were sought."""
    density = density_of(job("binomial", "slopes"))
    prior = density.prior
    x = prior.joined(np.array([-0.8, 0.4]), np.full(2, tau), np.zeros(1))
    groups, _ = rows_of_cells(likelihood("binomial"), job("binomial", "slopes").data)
    alike = groups.log_lik(np.tile([-0.8, 0.4], (groups.n_groups, 1))).sum()
    values, slopes = density(x[None])
    assert values[0] - prior.log_density(x[None])[0] == pytest.approx(alike, abs=1e-4)
    at = slice(2, 4)  # what tau moves then is its own prior and Jacobian
    assert slopes[0, at] == pytest.approx(1.0, abs=1e-3)


def test_no_population_without_a_spread_has_a_density() -> None:
    density = density_of(job("binomial", "intercepts"))
    x = np.array([[0.0, -30.0], [0.0, 30.0], [np.nan, 0.0], [0.0, 0.0]])
    assert np.isfinite(density(x)[0]).tolist() == [False, False, False, True]


def test_coefficients_given_their_populations_have_the_moments_of_quadrature() -> None:
    """Populations that spread very little and very much side by side, with a coefficient that all groups share."""
    task = job("binomial", "shared")
    density, n = density_of(task), 4000
    prior = density.prior
    beta = np.array([[-0.4, 0.3, 0.5], [0.6, -0.2, 0.1]])
    sd = np.array([0.05, 3.0])
    x = np.stack([prior.joined(b, np.array([s]), np.empty(0)) for b, s in zip(beta, sd, strict=True)])
    drawn = density.coefficients(np.random.default_rng(6), np.repeat(x, n, axis=0))
    groups, shared = rows_of_cells(likelihood("binomial"), task.data)
    for half in range(2):
        at = replace(groups, offset=groups.offset + shared.columns @ beta[half, shared.places])
        mean = prior.mean(beta)[half, 0]
        grid = np.linspace(mean - 9 * sd[half], mean + 9 * sd[half], 3001)
        log_density = np.array([at.log_lik(np.full((groups.n_groups, 1), t)) for t in grid])
        log_density -= 0.5 * ((grid[:, None] - mean) / sd[half]) ** 2
        weights = np.exp(log_density - log_density.max(axis=0))
        weights /= weights.sum(axis=0)
        theta = drawn.theta[half * n : (half + 1) * n, :, 0]
        for power in (1, 2):
            exact = (weights * grid[:, None] ** power).sum(axis=0)
            error = (theta**power).std(axis=0) / math.sqrt(n)
            assert np.abs(((theta**power).mean(axis=0) - exact) / error).max() < 4.2
    assert drawn.left <= effects.LEFT


def test_what_the_weights_lack_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their mean is one: without the integrals, or the scale of proposals, they would say that first draws stay."""
    task = job("binomial", "slopes")
    seen = []
    real = effects.left_after
    from hbm_stan.families.terms.nodes import following as module

    monkeypatch.setattr(module, "left_after", lambda weights, moves: seen.append(weights) or real(weights, moves))
    density = density_of(task, 9)
    x = np.random.default_rng(8).normal(0, 0.4, (3000, density.prior.dimension))
    density.coefficients(np.random.default_rng(9), x)
    # In two dimensions the constants of normal and Student-t densities are alike.
    assert np.exp(seen[0]).mean(axis=0) == pytest.approx(1.0, abs=0.06)
    by_draw = np.exp(seen[0]).mean(axis=1)
    assert np.abs(by_draw[x[:, 2] < 0].mean() - by_draw[x[:, 2] > 0].mean()) < 0.05


@pytest.mark.parametrize(
    ("name", "case", "variant"),
    [("binomial", "slopes", "partial_pooling"), ("binomial", "slopes", "no_pooling"),
     ("poisson", "shared", "partial_pooling"), ("poisson", "intercepts", "no_pooling"),
     ("binomial", "intercepts", "partial_pooling")],
)  # fmt: skip
def test_draws_are_those_of_the_sampler(name: str, case: str, variant: str) -> None:
    task = job(name, case, variant, sampling=Sampling(seed=3))
    fit = fit_unkept(task)
    stanli = choose("stanli")
    sampled = stanli.sample(task.program, task.data, replace(task.sampling, draws=2500, adapt_delta=0.95))
    assert FIRST_LEFT in fit.about
    assert fit.direct == (variant == "partial_pooling")
    ours = {k: v.values for k, v in fit.tree["posterior"].data_vars.items()}
    names = {"beta", "theta"} | ({"tau", "lprior"} if variant == "partial_pooling" else set())
    names |= {"rho"} if (variant, case) == ("partial_pooling", "slopes") else set()
    assert names <= set(ours)
    for key in names:
        a, b = ours[key].reshape(4, 1000, -1), np.asarray(sampled.variables[key]).reshape(4, 2500, -1)
        for k in range(a.shape[2]):
            error = math.hypot(*(v[..., k].std() / math.sqrt(hbm_ess(v[..., k])) for v in (a, b)))
            assert abs(a[..., k].mean() - b[..., k].mean()) < 4.8 * error, (key, k)
            assert 0.8 < a[..., k].std() / b[..., k].std() < 1.25, (key, k)
    assert not hbm.check(fit).failed
    assert fit.tree["log_likelihood"]["y"].shape == (4, 1000, 90)


@pytest.mark.parametrize("variant", ["no_pooling", "partial_pooling"])
@pytest.mark.parametrize("name", LEFT)
def test_known_posteriors_of_clinics_and_pumps(name: str, variant: str) -> None:
    """Quadrature of the shipped references, rows shuffled; by nodes alone, not by the sampler in their place."""
    cases = [case for case in shipped_cases((name,)) if case.variant == variant and case.reference.kind == "quadrature"]
    assert len(cases) == 1
    usual = replace(cases[0].posterior, sampling={**cases[0].posterior.sampling, "draws": 1000})
    compared = compare_case(replace(cases[0], posterior=usual), DirectEngine(alone=True), 7, 240)
    assert compared.agreement is not None, compared.words
    assert compared.agreement.agrees, compared.words


def test_how_a_fit_was_done_is_told() -> None:
    fit = fit_unkept(job("poisson", "shared"))
    words = attempts_in_words(fit)
    assert "direct draws of the population" in words
    assert "integrated out by nodes about their modes" in words
    assert fit.about[NODES_APART] < 0.1
    assert fit.about[PARETO_K] < 0.7


def test_refits_without_a_group_are_direct_ones() -> None:
    fit, diagnosis = fit_directly(job("binomial", "shared"), rows=False)
    assert FIRST_LEFT in fit.about
    assert not diagnosis.failed
    assert "theta" in fit.tree["posterior"]


@pytest.mark.parametrize(("engine", "pilots"), [("direct", False), ("stanli", True)])
def test_no_pilot_of_a_form_is_run_for_direct_draws_by_nodes(engine: str, pilots: bool, tmp_path: Path) -> None:
    analysis = tmp_path / "analysis.toml"
    table().to_csv(tmp_path / "table.csv", index=False)
    analysis.write_text(
        f'formula = "{LEFT["binomial"]} ~ {RIGHT["slopes"]}"\ndata = "table.csv"\nvariants = ["partial_pooling"]\n'
        "sampling = { warmup = 200, draws = 200 }\n"
    )
    choice = settled(read_analysis(analysis), engine=engine).choice
    assert choice is not None
    assert bool(choice.pilots) == pilots
    assert ("No pilot is needed" in choice.reason) != pilots


REASONS = {
    "columns": ("k | trials(m) ~ " + " + ".join(f"c{i}" for i in range(8)) + " + (1 | g)", "10 parameters of the"),
    "rows": ("k | trials(m) ~ z + (1 | g)", "need 15,750 values a population; 10,000 may be"),
}


@pytest.mark.parametrize("case", REASONS)
def test_what_is_too_much_goes_to_the_sampler_with_the_reason(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    formula, reason = REASONS[case]
    monkeypatch.setattr(following, "_MOST", 10_000)
    rng = np.random.default_rng(1)
    rows = frame(8, 1050 if case == "rows" else 90)
    rows = rows.assign(z=rng.normal(size=len(rows)), **{f"c{i}": rng.normal(size=len(rows)) for i in range(8)})
    dataset = Dataset.from_frame(rows, formula=formula)
    settings = Sampling(warmup=150, draws=50)
    tasks = jobs_of(families()["binomial"], dataset, ["partial_pooling"], None, settings, DirectEngine(alone=True))
    with pytest.raises(NotDirectError, match=reason):
        draw_directly(tasks[0], settings)
    drawn = draw_directly(replace(tasks[0], engine=DirectEngine()), settings)
    assert reason in drawn.about[NOT_DIRECT]
    assert drawn.variables["beta"].shape[:2] == (4, 50)


def test_too_few_nodes_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "NODES", {1: 2, 2: 2, 3: 2})
    with pytest.raises(NotDirectError, match="by more nodes log densities differ"):
        draw_directly(job("binomial", "slopes", rows=table(8, 30)), Sampling(seed=2))


@pytest.mark.parametrize("formula", ["k | trials(m) ~ x + (1 | g) + (1 | h)", "c ~ x + (1 | g)"])
def test_other_models_are_drawn_as_before(formula: str) -> None:
    """Another factor; a likelihood with a parameter of its own."""
    rows = table().assign(h=lambda t: t["m"].astype(str) + "h")
    name = "negative_binomial" if formula.startswith("c") else "binomial"
    dataset = Dataset.from_frame(rows, formula=formula)
    [task] = jobs_of(families()[name], dataset, ["partial_pooling"], None, Sampling(), DirectEngine(alone=True))
    with pytest.raises(NotDirectError, match="unconstrained parameters, where 1 to 8 can be"):
        draw_directly(task, task.sampling)
