"""The engine of direct draws: the program's own density, known posteriors, hard ones, what is said where it fails."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_fits import COLUMNS, small_dataset
from quadrature import SE, Y, exact
from scipy import stats

from hbm_stan.agreement import compare_with_reference
from hbm_stan.analysis.read import read_analysis
from hbm_stan.attempts import attempts_in_words, fit, fit_anew
from hbm_stan.calibrate import calibrate
from hbm_stan.checks import check
from hbm_stan.data import Dataset
from hbm_stan.direct import independence
from hbm_stan.direct.streams import MAX_DIMENSION
from hbm_stan.engines import NOT_DIRECT, PARETO_K, EngineDraws, Sampling, choose
from hbm_stan.engines.direct import DirectEngine
from hbm_stan.engines.points import Points
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.families import families, family
from hbm_stan.fit import Fit, Job, jobs_of
from hbm_stan.program import Program
from hbm_stan.report.build import report
from hbm_stan.store import FitStore
from hbm_stan.verify.known import Case, compare_case, shipped_cases

DIRECT = DirectEngine()
SHAPES = Program.read(Path(__file__).parent / "programs" / "shapes.stan")
SHORT = Sampling(chains=3, draws=60, seed=7)


def job(priors: dict[str, str] | None = None, y: np.ndarray = Y, se: np.ndarray = SE, draws: int = 1000) -> Job:
    frame = pd.DataFrame({"school": [f"s{i}" for i in range(len(y))], "effect": y, "se": se})
    dataset = Dataset.from_frame(frame, COLUMNS)
    priors = priors or {"mu": "normal(0, 5)", "tau": "half_cauchy(5)"}
    (own,) = jobs_of(family("normal_means"), dataset, ("partial_pooling",), priors, Sampling(draws=draws), DIRECT)
    return replace(own, data={**own.data, "generate": 1})  # what the program generates is looked at too


def sample(of: Job, seed: int = 1) -> EngineDraws:
    return DIRECT.sample(of.program, of.data, replace(of.sampling, seed=seed))


def points_of(of: Job) -> Points:
    return Points(StanliEngine().model(of.program, of.data))


def test_densities_of_many_points_are_those_of_single_ones() -> None:
    points = points_of(job())
    x = np.random.default_rng(1).normal(size=(25, 2))
    values, gradients = points(x)
    for one, value, gradient in zip(x, values, gradients, strict=True):
        density, slope = points._model.log_prob_grad(one)
        assert value == density
        assert (gradient == slope).all()
    assert points(np.array([[800.0, 0.0], [np.nan, 0.0]]))[0].tolist() == [-np.inf, -np.inf]


def test_what_is_written_at_points_is_what_stan_makes_of_them() -> None:
    given = job()
    points = points_of(given)
    x = np.random.default_rng(2).normal(size=(4, 500, 2))
    variables = points.variables(x, seed=3)
    scale = given.data["prior_tau"][0]
    assert variables["tau"] == pytest.approx(scale * np.exp(x[:, :, 0]))
    pairs = zip(variables["tau"][0], variables["mu"][0], strict=True)
    back = [points._model.unconstrain({"tau_raw": t / scale, "mu": m}) for t, m in pairs]
    assert np.array(back) == pytest.approx(x[0])
    # What is generated: theta given mu and tau is normal with this mean and sd (Gelman et al. 2013, eq. 5.17).
    mu, tau = variables["mu"][..., None], variables["tau"][..., None]
    w = tau**2 / (tau**2 + SE**2)
    z = (variables["theta"] - mu - w * (Y - mu)) / (tau * np.sqrt(1 - w))
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-4
    assert np.abs(np.corrcoef(z.reshape(-1, 8).T) - np.eye(8)).max() < 5 / np.sqrt(2000)
    again, other = points.variables(x, seed=3), points.variables(x, seed=4)
    assert (again["theta"] == variables["theta"]).all()
    assert not (other["theta"] == variables["theta"]).any()


def test_the_draws_have_the_density_of_the_program() -> None:
    given = job(draws=50)
    drawn = sample(given)
    points = points_of(given)
    scale = given.data["prior_tau"][0]
    for chain, draw in [(0, 0), (1, 10), (3, 49)]:
        place = {"tau_raw": drawn.variables["tau"][chain, draw] / scale, "mu": drawn.variables["mu"][chain, draw]}
        lp = points(points._model.unconstrain(place)[None])[0][0]
        assert drawn.sample_stats["lp"][chain, draw] == pytest.approx(lp, abs=1e-9)


def test_an_engine_like_the_others() -> None:
    given = job(draws=60)
    one, again, other = sample(given), sample(given), sample(given, seed=2)
    stanli = StanliEngine().sample(given.program, given.data, replace(SHORT, warmup=100))
    assert set(one.sample_stats) == set(stanli.sample_stats)
    assert {n: v.shape[2:] for n, v in one.variables.items()} == {n: v.shape[2:] for n, v in stanli.variables.items()}
    assert all(v.shape == (4, 60) and np.isfinite(v).all() for v in one.sample_stats.values())
    assert all((one.variables[n] == again.variables[n]).all() for n in one.variables)
    assert not (one.variables["mu"] == other.variables["mu"]).any()
    assert choose("direct").version == DIRECT.version
    assert StanliEngine().version in DIRECT.version


def test_what_a_program_generates_without_a_value_is_left_to_the_sampler() -> None:
    data = {"fault": 0, "N": 3, "y": np.array([0.5, -1.0, 2.0])}
    drawn = DIRECT.sample(SHAPES, data, replace(SHORT, warmup=100))
    assert "not finite" in str(drawn.about[NOT_DIRECT])
    assert (drawn.variables["broken"] == np.inf).all()


# Posteriors that are hard: heavy tails, few groups, groups that are alike, one that is far off.
FAR, PRECISE = np.append(np.zeros(11), 60.0), SE / 100
HARD = {
    "two groups": (Y[:2], SE[:2], "half_cauchy", (5.0,), (0.0, 5.0)),
    "three groups, half-Cauchy(25)": (Y[:3], SE[:3], "half_cauchy", (25.0,), (0.0, 100.0)),
    "three groups, uniform(0, 1000)": (Y[:3], SE[:3], "uniform", (0.0, 1000.0), (0.0, 100.0)),
    "uniform(0, 1000)": (Y, SE, "uniform", (0.0, 1000.0), (0.0, 20.0)),
    "alike": (3 + np.arange(8) / 10, SE, "half_cauchy", (5.0,), (0.0, 5.0)),
    "almost known": (Y, PRECISE, "half_cauchy", (5.0,), (0.0, 5.0)),
    "one far off": (FAR, np.ones(12), "half_cauchy", (5.0,), (0.0, 50.0)),
}


@pytest.mark.parametrize("name", HARD)
@pytest.mark.parametrize("seed", [1, 2])
def test_hard_posteriors_are_drawn_right_or_left_to_the_sampler(name: str, seed: int) -> None:
    y, se, prior, args, mu = HARD[name]
    text = f"{prior}({', '.join(f'{a:g}' for a in args)})"
    drawn = sample(job({"mu": f"normal({mu[0]:g}, {mu[1]:g})", "tau": text}, y, se), seed)
    if NOT_DIRECT in drawn.about:
        return
    known = exact(prior, args, mu, y, se, nodes=3000).summaries(tuple(f"s{i}" for i in range(len(y))))
    table = pd.DataFrame(known).T
    if len(y) < 4 and prior == "half_cauchy":
        table.loc["tau", "sd"] = np.nan  # tau has no fourth moment, or no second one: no error of its sd can be stated
    names = list(table.index)
    columns = [drawn.variables["mu"], drawn.variables["tau"], *np.moveaxis(drawn.variables["theta"], 2, 0)]
    comparison = compare_with_reference(
        names, np.stack(columns), table.assign(**{f"mcse_{s}": 0.0 for s in table.columns})
    )
    assert comparison.agrees, comparison.words


@cache
def quick_cases() -> dict[str, Case]:
    """Of each program that can be drawn directly one known posterior, the one of the smallest table."""
    smallest: dict[str, Case] = {}
    sizes: dict[str, int] = {}
    for case in shipped_cases(tuple(families())):
        if case.reference.exact or case.reference.kind == "long run":
            name = f"{case.family.name} {case.variant}"
            size = case.dataset.table.n_rows
            if size < 200 and (name not in smallest or size < sizes[name]):
                smallest[name], sizes[name] = case, size
    return smallest


def test_known_posteriors_of_all_programs_that_can_be_drawn_directly() -> None:
    direct, wrong = [], []
    cases = quick_cases()
    n = sum(c.posterior.comparisons for c in cases.values())
    for name, case in cases.items():
        direct_job = jobs_of(case.family, case.dataset, (case.variant,), case.priors, case.sampling, DIRECT)[0]
        if not 0 < points_of(direct_job).dimension <= MAX_DIMENSION:
            continue
        usual = replace(case.posterior, sampling={**case.posterior.sampling, "draws": 1000})
        compared = compare_case(replace(case, posterior=usual), DIRECT, 7, n)
        direct.append(name)
        if compared.agreement is None or not compared.agreement.agrees:
            wrong.append(compared.words)
    assert wrong == []
    # Programs whose group effects are integrated out, of every family that has them, and complete pooling of all.
    integrated = {
        "normal_means", "grouped_normal", "nested_normal", "beta_binomial", "gamma_poisson", "normal", "estimates",
        "lognormal", "linear_regression",
    }  # fmt: skip
    assert integrated <= {d.split()[0] for d in direct if d.endswith(" partial_pooling")}
    assert len([d for d in direct if d.endswith("complete_pooling")]) >= 12


def test_a_fit_says_how_it_was_drawn_and_is_checked_by_its_weights(tmp_path: Path) -> None:
    store, of = FitStore(tmp_path), small_dataset()
    first = fit("normal_means", of, engine="direct", store=store)
    again = fit("normal_means", of, engine="direct", store=store)
    for direct_fit in (first, again):
        assert (direct_fit.direct, direct_fit.independent, direct_fit.engine) == (True, False, "direct")
        assert direct_fit.about == first.about
        assert direct_fit.about[PARETO_K] < 0.7
        assert f"Pareto k {direct_fit.about[PARETO_K]:.2f}" in attempts_in_words(direct_fit)
    assert again.reused
    names = [v.name for v in check(first).verdicts]
    assert "importance weights" in names
    assert not {"divergences", "tree depth", "E-BFMI", "warm-up"} & set(names)
    assert check(first).status == "pass"


def with_k(fit: Fit, k: float) -> Fit:
    stats = fit.named["sample_stats"]
    changed = replace(stats, attrs={**stats.attrs, PARETO_K: k})
    return replace(fit, named=fit.named.changed(sample_stats=changed))


def test_a_high_k_fails_the_check_and_says_what_to_do() -> None:
    poor_fit = with_k(fit("normal_means", small_dataset(), engine="direct"), 0.8)
    verdict = next(v for v in check(poor_fit).verdicts if v.name == "importance weights")
    assert (verdict.status, verdict.value, verdict.threshold) == ("fail", 0.8, 0.7)
    assert "0.80" in verdict.hint
    assert "--engine stanli" in verdict.hint


def test_what_cannot_be_drawn_directly_is_sampled_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    of = small_dataset()
    short = Sampling(warmup=200, draws=100, seed=3)
    with monkeypatch.context() as patch:
        patch.setattr(independence, "MAX_K", -5.0)
        fallback = fit("normal_means", of, sampling=short, engine="direct")
    assert not fallback.direct
    assert "the Pareto k of weights is" in fallback.about[NOT_DIRECT]
    assert fallback.about[NOT_DIRECT] in attempts_in_words(fallback)
    assert "divergences" in [v.name for v in check(fallback).verdicts]
    sampled = fit("normal_means", of, sampling=short, engine="stanli")
    assert (fallback.draws("mu")["mu"] == sampled.draws("mu")["mu"]).all()


def test_many_parameters_are_left_to_the_sampler() -> None:
    direct_job = jobs_of(
        family("normal_means"), read_analysis("reports/store_satisfaction").dataset, ("no_pooling",), None,
        Sampling(warmup=150, draws=50), DIRECT,
    )[0]  # fmt: skip
    assert "50 unconstrained parameters" in fit_anew(direct_job).about[NOT_DIRECT]


def test_ranks_of_truths_among_direct_draws_are_uniform(tmp_path: Path) -> None:
    # By itself: a program of two parameters. Many of these posteriors have a tau that may be nothing.
    calibration = calibrate("normal_means", replications=200, workers=1, folder=tmp_path)
    assert (calibration.engine, calibration.not_direct, calibration.refused) == ("direct", 0, {})
    assert {v.status for v in calibration.verdicts} == {"pass"}


def test_programs_of_more_parameters_are_calibrated_by_the_sampler_unless_asked(tmp_path: Path) -> None:
    calibration = calibrate("estimates", replications=50, workers=1, folder=tmp_path)
    assert calibration.engine == "stanli"
    asked = calibrate("normal_means", replications=50, workers=1, folder=tmp_path, engine="stanli")
    assert asked.engine == "stanli"


def test_a_report_of_direct_draws(analysis: Path, undrawn: None) -> None:
    file = analysis / "analysis.toml"
    file.write_text(file.read_text().replace("[sampling]", '[sampling]\nengine = "direct"'))
    document = report(analysis)
    contents = json.loads(document.json.read_text())
    assert contents["engine"]["name"] == "direct"
    for one in contents["fits"].values():
        assert one["direct"]["pareto_k"] < 0.7
        assert one["not_direct"] == ""
        assert one["divergences"] is None
    assert contents["engine"]["version"] == DIRECT.version
