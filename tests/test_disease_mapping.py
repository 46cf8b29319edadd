"""Maps: scaling and basis against dense inverses, areas given all others against brute force, published posteriors.

Data, priors and answers of the Scottish lip cancer case are in data/scottish_lip_cancer and below with their source.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats
from scipy.special import expit
from test_cli import hbm

from hbm_stan.automatic import fit
from hbm_stan.compare import compare
from hbm_stan.data import Dataset, load
from hbm_stan.diagnose import summarise
from hbm_stan.engines import Engine, Sampling
from hbm_stan.errors import DataError
from hbm_stan.examples import analyses
from hbm_stan.families import family
from hbm_stan.families.disease_mapping import conditional
from hbm_stan.families.disease_mapping.graph import Graph, graph_of, laplacian_of
from hbm_stan.families.disease_mapping.layout import layout
from hbm_stan.fit import Fit, prepare_table
from hbm_stan.leave_one_out import QUADRATURE_MATTERS
from hbm_stan.new_rows.contrast import contrast
from hbm_stan.new_rows.predict import predict
from hbm_stan.plots import plot_map, save_svg
from hbm_stan.repair import refit_without
from hbm_stan.results import conditional as effects_of
from hbm_stan.tree import posterior_draws

MODEL = family("disease_mapping")
SEED = 20261121
DISTRICTS: dict[str, Any] = {
    "group": "district", "count": "cases", "expected": "expected", "group_predictors": ["aff_tenths"],
}  # fmt: skip
# Two pieces and an island; rows in another order than the list of neighbours has areas.
PAIRS = [("a", "b"), ("b", "c"), ("c", "d"), ("b", "d"), ("e", "f")]
ROWS = pd.DataFrame({
    "area": list("dgbfaec"), "cases": [9, 0, 4, 12, 2, 7, 30], "expected": [5.5, 3.0, 6.0, 8.0, 2.5, 9.0, 14.0],
    "x": [0.3, -1.0, 0.5, 1.2, -0.4, 0.0, 0.9], "tested": [20, 15, 11, 40, 9, 33, 60],
})  # fmt: skip


def of_frame(frame: pd.DataFrame = ROWS, pairs: Any = PAIRS, **roles: Any) -> Dataset:
    return Dataset.from_frame(frame, **({"group": "area", "count": "cases", "neighbours": pairs} | roles))


def counts(**roles: Any) -> Dataset:
    return of_frame(**({"expected": "expected", "group_predictors": ["x"]} | roles))


def data_of(dataset: Dataset, variant: str = "partial_pooling", priors: dict[str, str] | None = None) -> dict[str, Any]:
    table = prepare_table(MODEL, dataset)
    return MODEL.stan_data(table, MODEL.priors(table, priors), variant)


def dense(graph: Graph) -> tuple[np.ndarray, np.ndarray]:
    """The generalised inverse of the precision by dense linear algebra, and its geometric mean in each area's piece."""
    n = len(graph.piece)
    precision = np.zeros((n, n))
    for a, b in graph.edges:
        precision[a, a] += 1
        precision[b, b] += 1
        precision[a, b] = precision[b, a] = -1
    inverse = np.linalg.pinv(precision, rcond=1e-10, hermitian=True)
    scaling = np.ones(n)
    for a in range(n):
        own = [b for b in range(n) if graph.piece[b] == graph.piece[a]]
        if len(own) > 1:
            scaling[a] = math.exp(np.mean(np.log(np.diagonal(inverse)[own])))
    return inverse, scaling


def map_graph(dataset: Dataset) -> Graph:
    labels = tuple(dataset.table.labels(dataset.column("group")))
    assert dataset.reading.neighbours is not None
    return graph_of(labels, dataset.reading.neighbours.pairs)


def scotland(neighbours: str = "neighbours.csv") -> Dataset:
    return load("scottish_lip_cancer", DISTRICTS, neighbours=neighbours)


# The graph


@pytest.mark.parametrize(
    ("neighbours", "published", "islands", "pairs"),
    [("neighbours.csv", 0.4853, 0, 132), ("neighbours_islands.csv", 0.4504, 3, 126)],
)
def test_the_scaling_factor_of_scotland_is_the_published_one(
    neighbours: str, published: float, islands: int, pairs: int
) -> None:
    # stan-dev/example-models, knitr/car-iar-poisson; Freni-Sterrantino et al. (2018) of the graph with islands.
    graph = map_graph(scotland(neighbours))
    assert len(graph.edges) == pairs
    assert graph.island.sum() == islands
    assert graph.scaling[~graph.island] == pytest.approx(published, abs=5e-5)
    assert np.all(graph.scaling[graph.island] == 1)
    assert graph.basis.shape == (56, 55 - islands)


@pytest.mark.parametrize("dataset", [scotland("neighbours_islands.csv"), counts()], ids=["scotland", "pieces"])
def test_basis_and_scaling_are_those_of_a_dense_generalised_inverse(dataset: Dataset) -> None:
    graph = map_graph(dataset)
    inverse, scaling = dense(graph)
    np.testing.assert_allclose(graph.basis @ graph.basis.T, inverse, atol=1e-9)
    np.testing.assert_allclose(graph.scaling, scaling, rtol=1e-10)
    for piece in set(graph.piece.tolist()):
        np.testing.assert_allclose(graph.basis[graph.piece == piece].sum(axis=0), 0, atol=1e-9)
    # The density of an intrinsic autoregression is that of its coordinates: sums of squared differences.
    z = np.random.default_rng(SEED).normal(size=graph.basis.shape[1])
    phi = graph.basis @ z
    assert np.sum((phi[graph.edges[:, 0]] - phi[graph.edges[:, 1]]) ** 2) == pytest.approx(z @ z, rel=1e-9)


def test_a_scaling_without_the_constraint_would_be_seen() -> None:
    """The planted fault: variances given that the first area is 0, from which means are not taken off."""
    graph = map_graph(scotland())
    reduced = laplacian_of(graph.edges, 56)[1:, 1:].toarray()
    wrong = math.exp(np.mean(np.log(np.diagonal(np.linalg.inv(reduced)))))
    assert abs(wrong - 0.4853) > 0.1


def test_areas_of_a_layout_lie_near_their_neighbours() -> None:
    graph = map_graph(scotland("neighbours_islands.csv"))
    at = layout(graph)
    apart = np.linalg.norm(at[:, None] - at[None], axis=2)
    beside = apart[graph.edges[:, 0], graph.edges[:, 1]]
    assert np.isfinite(at).all()
    assert np.array_equal(at, layout(graph))
    assert np.median(beside) < 0.5 * np.median(apart[np.triu_indices(56, 1)])
    assert apart[np.triu_indices(56, 1)].min() > 0.1


# An area given all others


def draws_of(data: dict[str, Any], size: int = 4, rho: Any = None) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(SEED)
    return {
        "mu": rng.normal(0, 0.5, size), "gamma": rng.normal(0, 0.5, (size, data["L"])),
        "tau": rng.uniform(0.3, 1.5, size), "rho": rng.uniform(0.1, 0.99, size) if rho is None else np.full(size, rho),
        "deviation": rng.normal(0, 0.7, (size, data["A"])),
    }  # fmt: skip


def brute_force(data: dict[str, Any], draws: dict[str, np.ndarray], s: int, dataset: Dataset) -> tuple[Any, Any]:
    """Mean and sd of theta of each area of the table given all others, by conditioning of a dense joint normal."""
    graph = map_graph(dataset)
    inverse, scaling = dense(graph)
    rho, tau, (location, scale) = draws["rho"][s], draws["tau"][s], data["prior_mu"]
    covariance = tau**2 * (rho * inverse / scaling[:, None] + (1 - rho) * np.eye(len(scaling)))
    covariance[graph.island, graph.island] = tau**2
    covariance += scale**2
    value, means, sds = draws["mu"][s] + draws["deviation"][s], [], []
    for a in range(len(scaling)):
        rest = np.delete(np.arange(len(scaling)), a)
        weights = np.linalg.solve(covariance[np.ix_(rest, rest)], covariance[rest, a])
        means.append(location + weights @ (value[rest] - location))
        sds.append(math.sqrt(covariance[a, a] - weights @ covariance[rest, a]))
    place = np.asarray(data["place"]) - 1
    return np.array(means)[place] + np.asarray(data["U"]) @ draws["gamma"][s], np.array(sds)[place]


@pytest.mark.parametrize("rho", [None, 1 - 1e-6], ids=["any", "all spatial"])
@pytest.mark.parametrize("dataset", [counts(), scotland("neighbours_islands.csv")], ids=["pieces", "scotland"])
def test_an_area_given_all_others_is_a_conditional_normal(dataset: Dataset, rho: Any) -> None:
    data = data_of(dataset)
    draws = draws_of(data, rho=rho)
    mean, sd = conditional.given_others(draws, data)
    for s in range(4):
        ours = brute_force(data, draws, s, dataset)
        np.testing.assert_allclose(mean[s], ours[0], rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(sd[s], ours[1], rtol=1e-6)
    # The own deviation of an area says nothing of it given the others.
    moved = draws | {"deviation": draws["deviation"] + 3 * (np.arange(data["A"]) == data["place"][0] - 1)}
    np.testing.assert_allclose(conditional.given_others(moved, data)[0][:, 0], mean[:, 0], atol=1e-6)


def test_areas_keep_what_is_said_of_them_when_rows_are_shuffled() -> None:
    data, other = data_of(counts()), data_of(counts(frame=ROWS.iloc[::-1].reset_index(drop=True)))
    draws = draws_of(data)
    ours = MODEL.need("group_log_lik", "a test")(draws, data)
    theirs = MODEL.need("group_log_lik", "a test")(draws | {"deviation": draws["deviation"][:, ::-1]}, other)
    np.testing.assert_allclose(ours, theirs[:, ::-1], rtol=1e-8)


LIKELIHOODS = [counts(), of_frame(tested="tested")]


@pytest.mark.parametrize("dataset", LIKELIHOODS, ids=["counts", "tested"])
def test_integrals_over_an_area_are_those_of_scipy(dataset: Dataset) -> None:
    data = data_of(dataset)
    draws = draws_of(data)
    mean, sd = conditional.given_others(draws, data)
    ours = MODEL.need("group_log_lik", "a test")(draws, data)
    for s, j in ((0, 0), (1, 1), (2, 6), (3, 5)):
        assert ours[s, j] == pytest.approx(by_quad(data, j, mean[s, j], sd[s, j]), abs=1e-7)
    prior = MODEL.need("prior_group_log_lik", "a test")(data, "no_pooling")
    for j in range(7):
        assert prior[j] == pytest.approx(by_quad(data, j, *data["prior_theta"]), abs=1e-7)


def by_quad(data: dict[str, Any], j: int, mean: float, sd: float) -> float:
    """log of the integral of p(y | theta) over a normal theta; rows are in the order of areas."""

    def density(theta: float) -> float:
        y = data["y"][j]
        if data["counted"]:
            row = stats.poisson.pmf(y, data["expected"][j] * math.exp(theta))
        else:
            row = stats.binom.pmf(y, data["tested"][j], expit(theta))
        return float(row * stats.norm.pdf(theta, mean, sd))

    return math.log(integrate.quad(density, mean - 9 * sd, mean + 9 * sd, epsabs=0, epsrel=1e-10, limit=400)[0])


@pytest.mark.parametrize("y", [0, 1, 3, 200, 100_000])
def test_integrals_hold_for_counts_of_any_size(y: int) -> None:
    frame = ROWS.assign(cases=y)
    data = data_of(counts(frame=frame))
    for mean, sd in ((-3.0, 0.01), (0.0, 1.0), (2.0, 4.0)):
        near, far = (
            conditional._over_normal(np.full((1, 7), mean), np.full((1, 7), sd), data, np.arange(7), nodes)
            for nodes in (21, 81)
        )
        # A thousandth for each of a hundred areas is what the comparison takes for an error that matters.
        np.testing.assert_allclose(near, far, atol=QUADRATURE_MATTERS / 100)


def test_too_few_nodes_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    data = data_of(counts())
    draws = draws_of(data)
    ours, finer = (MODEL.need(f"{kind}group_log_lik", "a test") for kind in ("", "finer_"))
    assert np.abs(ours(draws, data) - finer(draws, data)).max() < QUADRATURE_MATTERS / 100
    monkeypatch.setattr(conditional, "_NODES", 2)
    assert np.abs(ours(draws, data) - finer(draws, data)).max() > QUADRATURE_MATTERS / 100


def test_new_areas_are_draws_of_what_is_known_of_them() -> None:
    data = data_of(counts())
    draws = {name: np.repeat(values[:1], 20_000, axis=0) for name, values in draws_of(data).items()}
    new_group = MODEL.need("new_group", "a test")
    known = new_group(np.random.default_rng(1), draws, data, "partial_pooling")
    mean, sd = conditional.given_others({k: v[:1] for k, v in draws.items()}, data)
    assert np.abs((known.mean(axis=0) - mean[0]) / sd[0] * math.sqrt(20_000)).max() < 4.5
    # From the prior the whole map is drawn at once: its covariance is the model's.
    whole = new_group(np.random.default_rng(2), {k: v for k, v in draws.items() if k != "deviation"}, data, "partial")
    graph = map_graph(counts())
    inverse, scaling = dense(graph)
    rho, tau = draws["rho"][0], draws["tau"][0]
    expected = tau**2 * (rho * inverse / scaling[:, None] + (1 - rho) * np.eye(7))
    expected[graph.island, graph.island] = tau**2
    error = np.sqrt((np.outer(np.diag(expected), np.diag(expected)) + expected**2) / 20_000)
    assert np.abs((np.cov(whole.T) - expected) / error).max() < 4.5


# Fits


@cache
def fitted(engine: Engine, variant: str = "partial_pooling") -> Fit:
    analysis = analyses()["scottish_lip_cancer"]
    sampling = Sampling(draws=2500, adapt_delta=0.99, seed=SEED)
    return fit(MODEL.name, analysis.dataset, variant, priors=analysis.priors, sampling=sampling, engine=engine)


# stan-dev/example-models, knitr/car-iar-poisson/icar_stan.html (Morris et al. 2019): mean and sd, BYM2 with betas
# N(0, 1), sigma N+(0, 1), rho Beta(.5, .5). The page prints no Monte Carlo errors.
PUBLISHED = {
    "mu": (-0.217, 0.129), "gamma[aff_tenths]": (0.365, 0.134), "tau": (0.514, 0.0885), "rho": (0.878, 0.144),
}  # fmt: skip
MU5, INLA = 13.8, (-0.2216, 0.1265)  # fitted cases of district 5; the intercept by INLA on the same page
# Its 4 chains of 1,000 draws are worth no fewer than so many independent ones, as R-hat of 1 to two digits asks.
WORTH = 400


def test_the_posterior_of_scotland_is_the_published_one(stanli: Engine) -> None:
    result = fitted(stanli)
    draws = posterior_draws(result.tree["posterior"].to_dataset(), ["mu", "gamma", "tau", "rho", "theta"])
    series = {"mu": draws["mu"], "gamma[aff_tenths]": draws["gamma"][:, 0], "tau": draws["tau"], "rho": draws["rho"]}
    shape = (result.sampling.chains, result.sampling.draws)
    rows = summarise(list(series), np.array([values.reshape(shape) for values in series.values()]))
    for name, (mean, sd) in PUBLISHED.items():
        error = math.hypot(rows.loc[name, "mcse_mean"], sd / math.sqrt(WORTH))
        assert abs(rows.loc[name, "mean"] - mean) < 3 * error, name
        assert abs(rows.loc[name, "sd"] / sd - 1) < 3 * math.sqrt(2 / (2 * WORTH)), name
    expected = result.table["expected"][4] * np.exp(draws["theta"][:, 4])
    assert abs(expected.mean() - MU5) < 3 * expected.std() / math.sqrt(WORTH) + 0.05  # printed to a tenth
    assert abs(rows.loc["mu", "mean"] - INLA[0]) < 3 * rows.loc["mu", "mcse_mean"] + 0.05 * INLA[1]


def test_an_area_left_out_scores_as_its_refit_does(stanli: Engine) -> None:
    """The integrated score, by importance weights, against a fit in which the district has no count."""
    result = fitted(stanli)
    scored = compare({name: fitted(stanli, name) for name in ("partial_pooling", "partial_pooling_iid")})
    pointwise = scored.pointwise["partial_pooling"]
    for i in (0, 24, 48):
        refit = refit_without(result, [i])
        assert (refit.data["J"], refit.data["A"]) == (55, 56)
        draws, data = refit.draws(), result.data
        # Independent of the integral: a draw of the unseen deviation is in the refit; the mean of its likelihood.
        level = draws["mu"] + draws["gamma"] @ data["U"][i] + draws["deviation"][:, data["place"][i] - 1]
        density = stats.poisson.pmf(data["y"][i], data["expected"][i] * np.exp(level))
        error = density.std() / density.mean() / math.sqrt(1000)
        assert abs(pointwise.elpd_i[i] - math.log(density.mean())) < 4.5 * error, i


def test_a_map_beats_every_other_pooling_where_samples_are_tiny(stanli: Engine) -> None:
    """0 or 1 case of ten in most villages: how far each estimate is from the truth, as a root mean square."""
    analysis = analyses()["epilepsy_prevalence"]
    truth = pd.read_csv(Path(__file__).parents[1] / "data" / "epilepsy_prevalence" / "truth.csv")
    theta = truth[truth["name"] == "theta"].set_index("group")["value"]
    share = analysis.dataset.table.numbers("cases") / 10
    error = {"raw": np.sqrt(np.mean((share - expit(theta.to_numpy())) ** 2))}
    for variant in MODEL.default_variants:
        result = fit(MODEL.name, analysis.dataset, variant, sampling=Sampling(seed=SEED), engine=stanli)
        prevalence = pd.Series(expit(result.draws("theta")["theta"]).mean(axis=0), result.table.pooled.labels)
        error[variant] = np.sqrt(np.mean((prevalence - expit(theta[list(prevalence.index)])) ** 2))
    ordered = ["partial_pooling", "partial_pooling_iid", "no_pooling", "complete_pooling", "raw"]
    assert sorted(error, key=lambda name: error[name]) == ordered
    assert error["partial_pooling"] < 0.7 * error["raw"]


def test_rows_of_known_and_of_new_areas_are_predicted(stanli: Engine) -> None:
    result = fit(MODEL.name, counts(), sampling=Sampling(draws=300, seed=1), engine=stanli)
    rows = pd.DataFrame({"area": ["f", "zz"], "expected": [4.0, 4.0], "x": [1.2, 1.2]})
    prediction = predict(result, rows, groups={"area": ["zz"]})
    expected = prediction.draws["expected"].values.reshape(-1, 2)
    j = list(result.table.pooled.labels).index("f")
    np.testing.assert_allclose(expected[:, 0], 4 * np.exp(result.draws("theta")["theta"][:, j]))
    assert np.std(np.log(expected[:, 1])) > np.std(np.log(expected[:, 0]))
    # One unit more of the predictor multiplies the rate by exp(gamma), wherever the area lies.
    effect = result.draws("gamma")["gamma"][:, 0]
    for scale, draws in (("link", effect), ("ratio", np.exp(effect))):
        asked = contrast(result, "x = 1 - x = 0", at="area = population", scale=scale)
        assert asked.table["mean"].iloc[0] == pytest.approx(draws.mean(), rel=1e-9)
    assert any("exp of it is a rate ratio" in note for note in contrast(result, "x = 1 - x = 0", scale="link").notes)


# What is refused, and what is said


def refused(dataset: Any) -> str:
    with pytest.raises(DataError) as error:
        data_of(dataset() if callable(dataset) else dataset)
    return str(error.value)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: counts(pairs=[*PAIRS, ("a", "Dd")]), "the area 'Dd' has no row in the DataFrame. Did you mean 'd'?"),
        (lambda: counts(pairs=[("a", "a")]), "'a' is listed as its own neighbour"),
        (lambda: counts(pairs=[("a", "")]), "an area has no name"),
        (lambda: counts(pairs=[("a", "b", "c")]), "or pairs of areas such as [('A', 'B'), ('B', 'C')]"),
        (lambda: counts(pairs=[]), "no two areas of the DataFrame are neighbours"),
        (lambda: counts(pairs=None), "which areas are neighbours? Name a CSV"),
        (lambda: counts(frame=pd.concat([ROWS, ROWS.iloc[:1]])), "the group 'd' stands in 2 rows"),
        (lambda: counts(frame=ROWS.assign(expected=0.0)), "must be above zero; found row 1: '0.0'"),
        (lambda: counts(frame=ROWS.assign(expected=0.0)), "join the area with a neighbour"),
        (lambda: of_frame(tested="tested", expected="expected"), "found count and expected and tested"),
        (of_frame, "either expected (how many were expected) or tested"),
        (lambda: of_frame(frame=ROWS.assign(tested=0, cases=0), tested="tested"), "nobody was tested"),
        (lambda: of_frame(frame=ROWS.assign(tested=1), tested="tested"), "above 'tested' of the same row"),
    ],
)  # fmt: skip
def test_a_map_that_cannot_be_is_refused_in_words(make: Any, words: str) -> None:
    assert words in refused(make)


def test_neighbours_go_with_maps_only() -> None:
    data = Dataset.from_frame(ROWS, group="area", count="cases", neighbours=PAIRS)
    with pytest.raises(DataError, match="neighbours are for maps"):
        prepare_table(family("gamma_poisson"), data)


def test_a_list_in_one_direction_in_part_is_completed_and_said() -> None:
    both = [pair for a, b in PAIRS for pair in ((a, b), (b, a))]
    whole, part, twice = (counts(pairs=pairs) for pairs in (both, both[:-1], [*PAIRS, PAIRS[0]]))
    once = prepare_table(MODEL, counts())
    for dataset in (whole, part, twice):
        np.testing.assert_array_equal(map_graph(dataset).basis, map_graph(counts()).basis)
    assert not [note for note in once.notes if "neighbours" in note]
    assert not [note for note in prepare_table(MODEL, whole).notes if "neighbours" in note]
    (note,) = [note for note in prepare_table(MODEL, part).notes if "neighbours" in note]
    assert "1 of 9 entries are in one direction only (e and f). Neighbours are mutual" in note
    (note,) = [note for note in prepare_table(MODEL, twice).notes if "neighbours" in note]
    assert "listed more than once, and counted once: a and b" in note


def test_islands_and_pieces_are_said() -> None:
    verdicts = {v.name: v.hint for v in prepare_table(MODEL, counts()).verdicts}
    assert "1 of 7 areas has no neighbours (g)" in verdicts["areas without neighbours"]
    assert "The map falls into 2 pieces beside islands" in verdicts["pieces of the map"]
    assert not {"areas without neighbours", "pieces of the map"} & {
        v.name for v in prepare_table(MODEL, scotland()).verdicts
    }


def test_an_area_without_a_row_stays_on_the_map_and_a_smaller_table_has_a_smaller_one() -> None:
    table = prepare_table(MODEL, counts())
    data = MODEL.stan_data(table.without([0]), MODEL.priors(table), "partial_pooling")
    assert (data["J"], data["N"], data["A"]) == (6, 6, 7)
    assert list(data["place"]) == [2, 3, 4, 5, 6, 7]
    smaller = counts().take([0, 2, 4])  # d, b and a
    assert smaller.reading.neighbours is not None
    assert set(smaller.reading.neighbours.pairs) == {("a", "b"), ("b", "d")}


def test_the_identity_of_a_posterior_has_the_map_in_it() -> None:
    from hbm_stan.identity import data_hash

    def identity(pairs: Any) -> str:
        table = prepare_table(MODEL, counts(pairs=pairs))
        return data_hash(MODEL, "partial_pooling", table, {})

    assert identity(PAIRS) == identity([pair[::-1] for pair in PAIRS][::-1])
    assert identity(PAIRS) != identity(PAIRS[:-1])


# Commands


def test_a_map_goes_from_two_csv_files_to_a_report(tmp_path: Path, stanli: Engine) -> None:
    ROWS.to_csv(tmp_path / "areas.csv", index=False)
    pd.DataFrame(PAIRS, columns=["one", "other"]).to_csv(tmp_path / "beside.csv", index=False)
    words = ("new", tmp_path / "areas.csv", "--family", "disease_mapping", "--group", "area", "--count", "cases")
    lists = ("--expected", "expected", "--group-predictors", "x", "--neighbours", tmp_path / "beside.csv")
    result = hbm(*words, *lists, "--to", tmp_path / "map")
    assert result.exit_code == 0, result.output
    assert "1 of 7 areas has no neighbours" in " ".join(result.output.split())
    text = (tmp_path / "map" / "analysis.toml").read_text()
    assert 'neighbours = "../beside.csv"' in text
    assert '"partial_pooling", "partial_pooling_iid"]' in text
    report = hbm("report", tmp_path / "map", "--engine", "stanli", "--quiet")
    assert (tmp_path / "map" / "report.pdf").read_bytes().startswith(b"%PDF"), report.output
    wrong = hbm(*words, *lists[:-1], tmp_path / "none.csv", "--to", tmp_path / "other")
    assert wrong.exit_code == 2
    assert "none.csv" in wrong.output
    assert "Traceback" not in wrong.output


def test_a_map_is_drawn_with_the_ends_of_its_colours() -> None:
    rng = np.random.default_rng(SEED)
    areas = pd.DataFrame({
        "east": np.arange(6.0), "north": rng.normal(size=6), "raw": [0.0, 1, 2, 3, 4, 5],
        "smoothed": rng.uniform(0.5, 2, 6), "excess": rng.uniform(size=6), "size": np.arange(1.0, 7),
    })  # fmt: skip
    borders = pd.DataFrame({"east": [0.0], "north": [0.0], "to_east": [1.0], "to_north": [0.5]})
    drawn = save_svg(plot_map(areas, borders, "rate ratio", "probability above 1"))
    assert drawn.startswith(b"<?xml")
    assert drawn == save_svg(plot_map(areas, borders, "rate ratio", "probability above 1"))


@pytest.mark.parametrize("fault", [False, True])
def test_the_effect_of_a_predictor_stands_beside_rates_of_its_own_scale(
    stanli: Engine, monkeypatch: pytest.MonkeyPatch, fault: bool
) -> None:
    fit = fitted(stanli)
    if fault:  # expected cases beside rates, as once drawn
        monkeypatch.setattr(effects_of, "_OUT_OF", ("trials", "exposure"))
    (effect,) = effects_of.conditional_effects(fit, {})
    rates = effects_of.observed_rows(fit, "aff_tenths", [])["y"]
    among = rates.quantile(0.25) < np.median([row.q50 for row in effect.rows]) < rates.quantile(0.9)
    assert among != fault
    assert effects_of.axis_words(fit) == ("rate ratio", "")
