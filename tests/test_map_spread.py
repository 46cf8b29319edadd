"""Maps of counts that spread more than Poisson counts: densities, integrals, scores, and what the product says."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats
from scipy.special import logsumexp
from test_cli import hbm
from test_disease_mapping import DISTRICTS, MODEL, PAIRS, ROWS, SEED, counts, data_of, draws_of, refused
from test_disease_mapping import of_frame as of_map
from test_patches import LABELS, table
from test_patches import PAIRS as GRID

import hbm_stan
from hbm_stan.analysis.read import read_analysis
from hbm_stan.automatic import fit
from hbm_stan.budget import Budget
from hbm_stan.calibrate import calibrate
from hbm_stan.calibrate.design import smaller
from hbm_stan.compare import compare
from hbm_stan.data import Dataset, load
from hbm_stan.density import log_density_spread, random_point
from hbm_stan.engines import Engine, Sampling
from hbm_stan.errors import DataError, ModelError
from hbm_stan.examples import analyses, irregular, shuffled, smallest_analysis
from hbm_stan.families.disease_mapping import alone, conditional
from hbm_stan.families.disease_mapping.density import log_count, pointwise, row_moments, simulate
from hbm_stan.families.disease_mapping.findings import findings
from hbm_stan.families.disease_mapping.spread import variances
from hbm_stan.fit import Fit, prepare_table
from hbm_stan.identity import data_hash
from hbm_stan.leave_one_out import QUADRATURE_MATTERS, loo
from hbm_stan.model import Evidence
from hbm_stan.new_rows.predict import predict
from hbm_stan.patches import patches
from hbm_stan.repair import refit_without
from hbm_stan.repair.folds import by_folds, patches_of
from hbm_stan.store import FitStore

NB: dict[str, Any] = {"likelihood": "negative_binomial"}
VARIANTS = [v.name for v in MODEL.programs.variants]
SPREAD = "overdispersion[counts]"


def spread_data(variant: str = "partial_pooling", **priors: str) -> dict[str, Any]:
    return data_of(counts(**NB), variant, priors)


def spread_draws(data: dict[str, Any], size: int = 4) -> dict[str, Any]:
    rng = np.random.default_rng(SEED + 1)
    theta = rng.normal(0, 0.6, (size, data["J"]))
    return {**draws_of(data, size), "theta": theta, "overdispersion": rng.uniform(0.2, 1.2, (size, 1))}


def log_nb(y: Any, mean: Any, spread: Any) -> Any:
    """SciPy's negative binomial: a size of 1 / spread^2."""
    size = spread**-2.0
    return stats.nbinom.logpmf(y, size, size / (size + mean))


# Densities


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("prior", ["half_normal(0.7)", "uniform(0, 3)", "lognormal(-1, 0.8)"])
def test_programs_have_the_density_of_the_twin(variant: str, prior: str) -> None:
    for dataset in (counts(**NB), shuffled(counts(**NB))):  # an island, two pieces; rows in two orders
        data = data_of(dataset, variant, {"overdispersion": prior})
        assert (data["overdispersed"], data["N"]) == (1, 7)
        for on in (0, 1):
            assert log_density_spread(MODEL.program(variant), MODEL, variant, data | {"use_likelihood": on}) < 1e-9
    prepared = prepare_table(MODEL, counts(**NB))  # two areas of the map without a row
    data = MODEL.stan_data(prepared.without([0, 4]), MODEL.priors(prepared, {"overdispersion": prior}), variant)
    assert (data["J"], data["A"]) == (5, 7)
    assert log_density_spread(MODEL.program(variant), MODEL, variant, data) < 1e-9


@pytest.mark.parametrize("variant", ["no_pooling", "partial_pooling", "partial_pooling_iid"])
def test_effects_are_drawn_in_units_of_what_their_counts_leave_unknown(variant: str) -> None:
    """The density of theta by differences of what is declared: its units are those that the twin says."""
    data = spread_data(variant)
    name = "deviation_raw" if variant == "partial_pooling" else "theta_raw"
    point = random_point(MODEL.program(variant), MODEL, data, np.random.default_rng(SEED))
    step, size = 1e-5, data["A"] if variant == "partial_pooling" else data["J"]
    far = point | {name: np.asarray(point[name]) + step}
    one, other = (MODEL.twin.transformed(p, data) for p in (point, far))  # type: ignore[misc]
    which = "deviation" if variant == "partial_pooling" else "theta"
    moved = (np.asarray(other[which]) - one[which]) / step
    own = 1 / (np.asarray(data["y"]) + 0.5) + one["overdispersion"] ** 2
    if variant == "partial_pooling":
        sd = one["tau"] * np.sqrt(1 - point["rho"] * (1 - np.asarray(data["island"])))
        own = own[np.argsort(np.asarray(data["place"])[np.asarray(data["group_idx"]) - 1])]
    else:
        sd = np.full(size, data["prior_theta"][1] if variant == "no_pooling" else one["tau"])
        own = own[np.argsort(data["group_idx"])]
    np.testing.assert_allclose(moved, (sd**-2.0 + 1 / own) ** -0.5, rtol=1e-6)


def test_rows_have_the_density_and_moments_of_a_gamma_mixture() -> None:
    data = spread_data()
    draws = spread_draws(data)
    row = np.asarray(data["group_idx"]) - 1
    mean = data["expected"] * np.exp(draws["theta"][:, row])
    np.testing.assert_allclose(pointwise(draws, data), log_nb(data["y"], mean, draws["overdispersion"]), rtol=1e-10)
    ours = row_moments(draws, data)
    np.testing.assert_allclose(ours[0], mean)
    np.testing.assert_allclose(ours[1], mean + (draws["overdispersion"] * mean) ** 2)
    many = {name: np.repeat(values[:1], 40_000, axis=0) for name, values in draws.items()}
    y = simulate(np.random.default_rng(SEED), many, data)
    size = draws["overdispersion"][0, 0] ** -2.0
    fourth = stats.nbinom.stats(size, size / (size + mean[0]), moments="k") + 2  # of the variance of a variance
    assert np.abs((y.mean(axis=0) - mean[0]) / np.sqrt(ours[1][0] / 40_000)).max() < 4.5
    assert np.abs((y.var(axis=0) / ours[1][0] - 1) / np.sqrt(fourth / 40_000)).max() < 4.5
    # A rate whose sd is the overdispersion, not its square: the fault would be seen.
    assert np.abs(log_nb(data["y"], mean, draws["overdispersion"] ** 0.5) - pointwise(draws, data)).max() > 0.05


def test_without_overdispersion_counts_are_poisson_counts() -> None:
    data = spread_data()
    theta = spread_draws(data)["theta"]
    none = log_count(theta, data, slice(None))
    for spread, close in ((1e-3, 1e-3), (1e-6, 1e-8), (1e-12, 1e-9)):
        near = log_count(theta, data, slice(None), np.full((4, 1), spread))
        np.testing.assert_allclose(near, none, atol=close)


# Integrals over an area


def by_quad(data: dict[str, Any], j: int, mean: float, sd: float, spread: float) -> float:
    """log of the integral of p(y | theta) over a normal theta, by SciPy; rows are in the order of areas."""

    def density(theta: float) -> float:
        log_p = log_nb(data["y"][j], data["expected"][j] * math.exp(theta), spread)
        return math.exp(log_p + stats.norm.logpdf(theta, mean, sd))

    middle = (mean - 9 * sd, mean + 9 * sd)
    return math.log(integrate.quad(density, *middle, epsabs=0, epsrel=1e-10, limit=400)[0])


def test_integrals_over_an_area_are_those_of_scipy() -> None:
    data = spread_data()
    draws = spread_draws(data)
    of_space = conditional.given_others(draws, data)
    without = {name: values for name, values in draws.items() if name not in {"rho", "deviation"}}
    of_none = conditional.given_others(without, data)
    alone_draws = {name: draws[name] for name in ("theta", "overdispersion")}
    of_prior = tuple(np.full((4, 7), value) for value in data["prior_theta"])
    for given, (mean, sd) in ((draws, of_space), (without, of_none), (alone_draws, of_prior)):
        ours = MODEL.need("group_log_lik", "a test")(given, data)
        for s, j in ((0, 0), (1, 1), (2, 6), (3, 5)):
            truth = by_quad(data, j, mean[s, j], sd[s, j], draws["overdispersion"][s, 0])
            assert ours[s, j] == pytest.approx(truth, abs=1e-7)
    complete = {name: draws[name] for name in ("mu", "gamma", "theta", "overdispersion")}
    mean = complete["mu"][:, None] + complete["gamma"] @ np.asarray(data["U"]).T
    ours = MODEL.need("group_log_lik", "a test")(complete, data)
    np.testing.assert_allclose(ours, log_nb(data["y"], data["expected"] * np.exp(mean), draws["overdispersion"]))


@pytest.mark.parametrize("y", [0, 1, 3, 200, 100_000])
def test_integrals_hold_for_counts_of_any_size(y: int) -> None:
    data = data_of(counts(frame=ROWS.assign(cases=y), **NB))
    for spread in (1e-4, 0.05, 0.7, 3.0):
        for mean, sd in ((-3.0, 0.01), (0.0, 1.0), (2.0, 4.0)):
            level = np.full((1, 7), mean), np.full((1, 7), sd)
            near, far = (
                conditional._by_sinh(*level, data, np.full((1, 1), spread), np.linspace(-reach, reach, nodes))
                for reach, nodes in ((4.0, 41), (7.5, 1201))
            )
            np.testing.assert_allclose(near, far, atol=QUADRATURE_MATTERS / 100)


def by_sum(data: dict[str, Any], j: int, theta: np.ndarray, spread: float) -> float:
    """The same by a sum over even steps of theta, which are to be multiplied with, under a prior normal(0.2, 0.8)."""
    rate = data["expected"][j] * np.exp(theta)
    # SciPy's negative binomial is noise where its size is above 1e10; the difference is below 1e-9 there.
    log_p = log_nb(data["y"][j], rate, spread) if spread > 1e-5 else stats.poisson.logpmf(data["y"][j], rate)
    return float(logsumexp(log_p + stats.norm.logpdf(theta, 0.2, 0.8)))


@pytest.mark.parametrize("prior", ["half_normal(0.5)", "uniform(0, 2)", "half_cauchy(0.3)", "gamma(0.5, 1)"])
def test_rows_left_out_without_pooling_have_the_overdispersion_integrated_out(prior: str) -> None:
    """Against a sum over a fine grid of overdispersions, with SciPy's integrals of the rates."""
    frame = ROWS.assign(expected=[2.0, 3, 4, 5, 6, 7, 8]).iloc[[4, 2, 6]]
    data = data_of(of_map(frame=frame, pairs=[("a", "b")], expected="expected", **NB), "no_pooling",
                   {"overdispersion": prior, "theta": "normal(0.2, 0.8)"})  # fmt: skip
    ours = MODEL.need("exact_loo", "a test")(data, "no_pooling")
    assert ours is not None
    given = MODEL.priors(prepare_table(MODEL, counts(**NB)), {"overdispersion": prior})[SPREAD]
    x, w = np.polynomial.legendre.leggauss(60)
    end = 2.0 if "uniform" in prior else 60.0
    edges = np.array([1e-14, 1e-9, 1e-5, 1e-3, 1e-2, 0.1, 0.4, 1, 2, 5, 15, 60])
    edges = edges[edges <= end]
    half = np.diff(np.log(edges))[:, None] / 2
    log_s = ((np.log(edges)[:-1, None] + half) + half * x).ravel()
    weight = np.log((half * w).ravel()) + log_s + given.log_density(np.exp(log_s))
    theta, step = np.linspace(0.2 - 9 * 0.8, 0.2 + 9 * 0.8, 4001, retstep=True)
    rows = np.array([[by_sum(data, j, theta, s) for j in range(3)] for s in np.exp(log_s)]) + math.log(step)
    whole = logsumexp(weight + rows.sum(axis=1))
    for n, j in enumerate(np.asarray(data["group_idx"]) - 1):
        others = logsumexp(weight + rows.sum(axis=1) - rows[:, j])
        assert ours[n] == pytest.approx(whole - others, abs=1e-6)
    # What Poisson counts would have is another number: rows do say something of each other.
    assert np.abs(alone.exact_loo(data | {"overdispersed": 0}, "no_pooling") - ours).max() > 0.01  # type: ignore[operator]


# Fits


@cache
def fitted(engine: Engine, variant: str = "partial_pooling") -> Fit:
    analysis = analyses()["scottish_lip_cancer"]
    sampling = Sampling(draws=2500, adapt_delta=0.99, seed=SEED)
    return fit(
        MODEL.name, analysis.dataset, variant, priors=analysis.priors, sampling=sampling, engine=engine, **NB
    )  # fmt: skip


def test_an_area_left_out_scores_as_its_refit_does(stanli: Engine) -> None:
    result = fitted(stanli)
    scored = compare({name: fitted(stanli, name) for name in ("partial_pooling", "no_pooling")})
    pointwise_scores = scored.pointwise["partial_pooling"]
    for i in (0, 24, 48):
        refit = refit_without(result, [i])
        draws, data = refit.draws(), result.data
        # Independent of the integral: a draw of the unseen deviation is in the refit; the mean of its likelihood.
        level = draws["mu"] + draws["gamma"] @ data["U"][i] + draws["deviation"][:, data["place"][i] - 1]
        density = np.exp(log_nb(data["y"][i], data["expected"][i] * np.exp(level), draws["overdispersion"][:, 0]))
        error = density.std() / density.mean() / math.sqrt(1000)
        assert abs(pointwise_scores.elpd_i[i] - math.log(density.mean())) < 4.5 * error, i


def test_the_sum_is_known_and_its_parts_are_not(stanli: Engine) -> None:
    """In Scotland: the two variances change places over the draws, and their sum is known better than either."""
    draws = fitted(stanli, "partial_pooling_iid").draws()
    both = variances(draws)
    assert both is not None
    own, effects = both
    assert np.corrcoef(own, effects)[0, 1] < -0.5
    relative = [np.subtract(*np.quantile(v, (0.95, 0.05))) / np.median(v) for v in (own, effects, own + effects)]
    assert relative[2] < 0.75 * min(relative[:2])
    share = np.quantile(own / (own + effects), (0.05, 0.95))
    assert share[1] - share[0] > 0.5
    # The same sum as that of Poisson counts, where all of it is tau.
    poisson = fit(MODEL.name, analyses()["scottish_lip_cancer"].dataset, "partial_pooling_iid",
                  priors=analyses()["scottish_lip_cancer"].priors, sampling=Sampling(draws=2500, seed=SEED),
                  engine=stanli)  # fmt: skip
    assert np.median(np.sqrt(own + effects)) == pytest.approx(np.median(poisson.draws()["tau"]), rel=0.2)


@cache
def on_a_grid(engine: Engine) -> Fit:
    dataset = Dataset.from_frame(table(), group="area", count="cases", expected="expected", neighbours=GRID, **NB)
    priors = {"theta": "normal(0, 0.5)", "overdispersion": "half_normal(0.5)"}
    return fit("disease_mapping", dataset, "no_pooling", priors=priors, sampling=Sampling(seed=SEED), engine=engine)


def test_a_patch_left_out_without_pooling_is_scored_as_quadrature_says(tmp_path: Path, stanli: Engine) -> None:
    one = on_a_grid(stanli)
    store = FitStore(tmp_path)
    scores = by_folds({"a": one}, {"a": loo(one)}, Budget(), store, lambda _text: None, divide=patches_of)["a"]
    spread = (np.arange(2000) + 0.5) * 2.5 / 2000
    rows = conditional.under_prior(one.data, spread[:, None])[:, np.asarray(one.data["group_idx"]) - 1]
    prior = stats.halfnorm.logpdf(spread, scale=0.5)
    patch = dict(zip(LABELS, patches(LABELS, GRID, 10), strict=True))
    own = table()["area"].map(patch).to_numpy()
    truth = sum(
        logsumexp(prior + rows[:, own != own[i]].sum(axis=1) + rows[:, i])
        - logsumexp(prior + rows[:, own != own[i]].sum(axis=1))
        for i in range(len(own))
    )
    assert abs(scores.elpd - truth) < 4.5 * scores.mcse
    # One row at a time there is no Monte Carlo error at all.
    exact = loo(one)
    alone_truth = [
        logsumexp(prior + rows.sum(axis=1)) - logsumexp(prior + rows.sum(axis=1) - rows[:, i]) for i in range(len(own))
    ]
    np.testing.assert_allclose(exact.elpd_i, alone_truth, atol=1e-5)


def test_rows_of_known_and_of_new_areas_are_predicted(stanli: Engine) -> None:
    result = fit(MODEL.name, counts(**NB), sampling=Sampling(draws=1000, seed=1), engine=stanli)
    rows = pd.DataFrame({"area": ["f", "zz"], "expected": [400.0, 400.0], "x": [1.2, 1.2]})
    prediction = predict(result, rows, groups={"area": ["zz"]})
    expected = prediction.draws["expected"].values.reshape(-1, 2)
    drawn = prediction.draws["new"].values.reshape(-1, 2)
    j = list(result.table.pooled.labels).index("f")
    np.testing.assert_allclose(expected[:, 0], 400 * np.exp(result.draws("theta")["theta"][:, j]))
    spread = result.draws()["overdispersion"][:, 0]
    ratio = drawn[:, 0] / expected[:, 0] - 1
    error = (ratio**2 - 1 / expected[:, 0] - spread**2).std() / math.sqrt(len(ratio))
    assert abs(np.mean(ratio**2 - 1 / expected[:, 0] - spread**2)) < 4.5 * error
    assert np.mean(spread**2) > 10 * error  # and Poisson draws would be seen


@pytest.mark.parametrize("variant", VARIANTS)
def test_overdispersion_is_calibrated(variant: str, tmp_path: Path) -> None:
    """Ranks of truths drawn in NumPy; 300 replications of each program are in reports/truth.md."""
    example = smallest_analysis("disease_mapping").dataset
    ten = irregular(smaller(example.read_as(replace(example.reading, **NB)), MODEL), MODEL)
    priors = {**MODEL.twin.calibration, "overdispersion": "half_normal(0.5)"}
    result = calibrate(
        MODEL, variant, table=ten, priors=priors, replications=60, seed=SEED, workers=1, folder=tmp_path
    )  # fmt: skip
    assert result.status != "fail"
    assert result.divergent <= 3


# What is refused, and what is said


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: of_map(tested="tested", **NB), "leave no choice of one. It is for counts beside a column for the"),
        (lambda: counts(likelihood="binomial"), "likelihood is 'binomial'. Did you mean 'negative_binomial'?"),
        (lambda: counts(likelihood="gamma"), "likelihood is 'gamma'. Allowed: 'poisson', 'negative_binomial'."),
        (lambda: counts(likelihood=3), "likelihood must be a text such as 'negative_binomial', found 3."),
        (lambda: counts(frame=pd.concat([ROWS, ROWS.iloc[:1]]), **NB), "the group 'd' stands in 2 rows"),
    ],
)  # fmt: skip
def test_a_likelihood_that_cannot_be_is_refused_in_words(make: Any, words: str) -> None:
    assert words in refused(make)


def test_other_families_leave_no_choice() -> None:
    rows = Dataset.from_frame(ROWS, group="area", count="cases", exposure="expected", **NB)
    with pytest.raises(DataError, match="It is for counts beside a column for the role expected"):
        hbm_stan.fit("gamma_poisson", rows)


def test_a_prior_of_what_there_is_not_is_refused() -> None:
    with pytest.raises(ModelError, match="has 'overdispersion' with other columns or choices only"):
        MODEL.priors(prepare_table(MODEL, counts()), {"overdispersion": "half_normal(1)"})


def test_the_identity_of_a_posterior_has_the_likelihood_in_it() -> None:
    def identity(**reading: Any) -> str:
        return data_hash(MODEL, "partial_pooling", prepare_table(MODEL, counts(**reading)), {})

    assert identity() == identity(likelihood="poisson")
    assert identity() != identity(**NB)


def test_poisson_is_the_default_and_has_no_overdispersion() -> None:
    data, chosen = data_of(counts()), spread_data()
    assert (data["overdispersed"], chosen["overdispersed"]) == (0, 1)
    assert SPREAD not in MODEL.priors(prepare_table(MODEL, counts()))
    assert SPREAD in MODEL.priors(prepare_table(MODEL, counts(**NB)))
    same = {name for name in data if name not in {"overdispersed"}}
    for name in same:
        np.testing.assert_array_equal(data[name], chosen[name])


def words_of(variant: str, data: dict[str, Any], draws: dict[str, Any], dataset: Dataset) -> str:
    evidence = Evidence(variant, draws, data, prepare_table(MODEL, dataset), {}, np.random.default_rng(1))
    return " ".join(sentence for one in findings(evidence) for sentence in one.sentences)


def test_findings_say_what_is_known_of_overdispersion() -> None:
    data = spread_data()
    draws = spread_draws(data, 400)
    whole = words_of("partial_pooling", data, draws, counts(**NB))
    own, effects = draws["overdispersion"][:, 0] ** 2, draws["tau"] ** 2 * (1 - draws["rho"])
    low, middle, high = np.sqrt(np.quantile(own + effects, (0.05, 0.5, 0.95)))
    share = 100 * np.quantile(own / (own + effects), 0.5)
    assert f"an sd of {middle:.2f} on the log scale (90 % interval {low:.2f} to {high:.2f})" in whole
    assert f"Overdispersion has {share:.0f} % of that variance" in whole
    assert f"a correlation of {np.corrcoef(own, effects)[0, 1]:.2f}" in whole
    assert "With one row for each area, overdispersion and the unstructured effects say nearly the same" in whole
    assert "A map takes one; a formula with the likelihood negative_binomial and (1 | area) takes several" in whole
    complete = {name: draws[name] for name in ("mu", "gamma", "theta", "overdispersion")}
    assert "differ by their predictors alone here" in words_of("complete_pooling", data, complete, counts(**NB))
    alone_draws = {name: draws[name] for name in ("theta", "overdispersion")}
    assert "what is told of it is mostly its prior" in words_of("no_pooling", data, alone_draws, counts(**NB))
    poisson = {name: values for name, values in draws.items() if name != "overdispersion"}
    assert "verdispersion" not in words_of("partial_pooling", data_of(counts()), poisson, counts())


# Commands


def test_a_map_of_counts_that_spread_goes_from_a_csv_to_a_report(tmp_path: Path, stanli: Engine) -> None:
    ROWS.to_csv(tmp_path / "areas.csv", index=False)
    pd.DataFrame(PAIRS, columns=["one", "other"]).to_csv(tmp_path / "beside.csv", index=False)
    words = ("new", tmp_path / "areas.csv", "--family", "disease_mapping", "--group", "area", "--count", "cases")
    lists = ("--neighbours", tmp_path / "beside.csv", "--group-predictors", "x")
    usual = hbm(*words, "--expected", "expected", *lists, "--to", tmp_path / "poisson")
    assert usual.exit_code == 0, usual.output
    assert 'likelihood = "poisson"  # or negative_binomial' in (tmp_path / "poisson" / "analysis.toml").read_text()
    asked = ("--expected", "expected", *lists, "--likelihood", "negative_binomial", "--to", tmp_path / "map")
    result = hbm(*words, *asked)
    assert result.exit_code == 0, result.output
    text = (tmp_path / "map" / "analysis.toml").read_text()
    assert 'likelihood = "negative_binomial"  # or poisson' in text
    assert '"overdispersion[counts]" = "half_normal(0.5)"' in text
    assert read_analysis(tmp_path / "map").dataset.reading.likelihood == "negative_binomial"
    report = hbm("report", tmp_path / "map", "--engine", "stanli", "--quiet")
    assert (tmp_path / "map" / "report.pdf").read_bytes().startswith(b"%PDF"), report.output
    results = (tmp_path / "map" / "results.json").read_text()
    assert "overdispersion[counts]" in results
    assert json.loads(results)
    wrong = hbm(*words, "--tested", "tested", *lists, "--likelihood", "negative_binomial", "--to", tmp_path / "other")
    assert wrong.exit_code == 2
    assert "leave no choice" in " ".join(wrong.output.split())
    other = hbm("new", tmp_path / "areas.csv", "--family", "gamma_poisson", "--likelihood", "poisson", "--to", tmp_path)
    assert other.exit_code == 2
    assert "leave --family out" in " ".join(other.output.split())


def test_a_family_with_a_choice_takes_its_likelihood_by_a_keyword(stanli: Engine) -> None:
    sampling = Sampling(draws=100, warmup=100, chains=2, seed=1)
    one = fit(MODEL.name, counts(), "complete_pooling", sampling=sampling, engine=stanli, **NB)
    assert one.draws()["overdispersion"].shape == (200, 1)
    loaded = load("scottish_lip_cancer", DISTRICTS, neighbours="neighbours.csv", **NB)
    assert prepare_table(MODEL, loaded).dataset.reading.likelihood == "negative_binomial"
