"""Ordered outcomes: how their categories are read and refused, thresholds and their prior, and two categories."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from decimal import Decimal, localcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import expit

from hbm_stan import thresholds
from hbm_stan.analysis.new import new_analysis
from hbm_stan.attempts import family_and_data
from hbm_stan.cli.roles import orders
from hbm_stan.data import Dataset
from hbm_stan.errors import DataError, ModelError
from hbm_stan.families import family
from hbm_stan.families.cumulative import findings, shares_at_means
from hbm_stan.families.terms.density import pointwise
from hbm_stan.families.terms.effects import theta_mean
from hbm_stan.fit import prepare_table
from hbm_stan.likelihoods import likelihood
from hbm_stan.likelihoods.cumulative import THRESHOLD
from hbm_stan.model import Evidence
from hbm_stan.ordered import read_ordered
from hbm_stan.prepare import Prepared
from hbm_stan.results.answer import _quantity

CUMULATIVE, FORMULA = family("cumulative"), "rating ~ x + (1 | g)"
ORDER = ["poor", "fair", "good"]  # sorted as words it would be fair, good, poor
NUMBERS = np.array([2, 3, 1, 1, 2, 3, 3, 2, 2, 1, 3, 1])


def frame(**columns: Any) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    table = pd.DataFrame({"g": [f"g{i % 4}" for i in range(12)], "x": rng.normal(size=12), "rating": NUMBERS})
    return table.assign(words=[ORDER[k - 1] for k in NUMBERS]).assign(**columns)


def prepared(table: pd.DataFrame, formula: str = FORMULA, **keys: Any) -> Prepared:
    return prepare_table(*family_and_data(formula, table, likelihood="cumulative", **keys))


def order_of(table: pd.DataFrame, column: str, **keys: Any) -> tuple[tuple[str, ...], list[int]]:
    ordered = read_ordered(Dataset.from_frame(table, formula=FORMULA, **keys), column)
    return ordered.categories, [int(value) for value in ordered.values]


# How categories are read.


def test_words_are_in_the_order_that_is_stated_and_not_in_that_of_words() -> None:
    stated = order_of(frame(), "words", levels={"words": ORDER})
    assert stated == (tuple(ORDER), list(NUMBERS))
    assert stated != order_of(frame(), "words", levels={"words": sorted(ORDER)})
    category = frame(words=pd.Categorical(frame()["words"], categories=ORDER, ordered=True))
    assert order_of(category, "words") == stated
    # What the analyst states goes before what a frame says.
    assert order_of(category, "words", levels={"words": ORDER[::-1]})[1] == list(4 - NUMBERS)


def test_a_frame_whose_category_has_no_order_states_none() -> None:
    category = frame(words=pd.Categorical(frame()["words"], categories=ORDER))
    with pytest.raises(DataError, match="words have no order of their own"):
        order_of(category, "words")


def test_whole_numbers_are_in_order_with_those_that_nobody_chose() -> None:
    table = frame(rating=NUMBERS + 2 * (NUMBERS == 3) + 3)  # 4, 5 and 8
    ordered = read_ordered(Dataset.from_frame(table, formula=FORMULA), "rating")
    assert ordered.categories == ("4", "5", "6", "7", "8")
    assert ordered.unused == ["6", "7"]
    assert any("no row has the categories 6, 7. What is said of them comes from the prior" in n for n in ordered.notes)
    as_words = frame(rating=[f"{k}.0" for k in NUMBERS])
    assert order_of(as_words, "rating", levels={"rating": ["1", "2", "3"]})[1] == list(NUMBERS)


@pytest.mark.parametrize(
    ("values", "levels", "words"),
    [
        (frame()["words"], [], r'column \'rating\': words have no order.*--levels "rating=fair,good,poor".*\[levels\]'),
        ([*frame()["words"][:11], "god"], ORDER, r"row 12: 'god'.*Did you mean 'good'\?.*lowest first: poor, fair, g"),
        ([*NUMBERS[:11], "many"], [], "other rows have numbers; found row 12: 'many'"),
        (NUMBERS + 0.5, [], "whole numbers or words; found row 1: '2.5'.*--likelihood normal"),
        (NUMBERS * 20, [], "whole numbers from 20 to 60 are too many categories; at most 20"),
        ([f"c{k}" for k in range(12)], [f"c{k}" for k in range(21)], "21 categories; at most 20"),
        ([2] * 12, [], "is '2' in every row"),
        ([None, *NUMBERS[1:]], [], "no value in row 1"),
    ],
)
def test_what_is_no_ordered_category_is_refused_in_words(values: Any, levels: list[str], words: str) -> None:
    keys = {"levels": {"rating": levels}} if levels else {}
    with pytest.raises(DataError, match=words):
        prepared(frame(rating=values), **keys)


def test_the_option_of_levels_takes_orders_of_columns() -> None:
    assert orders(["rating=poor, fair,good", "arm=b,a"]) == {"rating": ORDER, "arm": ["b", "a"]}
    for wrong in ("rating", "=poor,fair", "rating=poor"):
        with pytest.raises(ModelError, match="name a column and its levels in order"):
            orders([wrong])
    with pytest.raises(ModelError, match="two orders of rating"):
        orders(["rating=poor,fair", "rating=fair,poor"])


def test_a_new_analysis_proposes_categories_where_words_have_an_order(tmp_path: Path) -> None:
    table = tmp_path / "ratings.csv"
    frame(grade=NUMBERS + 1, zero=NUMBERS - 1).to_csv(table, index=False)
    words = "words ~ x + (1 | g)"
    new = new_analysis(str(table), "", {}, tmp_path / "a", formula=words, levels={"words": ORDER})
    assert new.notes[0].startswith("Model: words, likelihood cumulative")
    assert 'words = ["poor", "fair", "good"]  # the outcome, the lowest first' in new.path.read_text()
    with pytest.raises(DataError, match=r"words have no order of their own\. State it"):
        new_analysis(str(table), "", {}, tmp_path / "b", formula=words)
    for column, mentioned in (("grade", True), ("zero", False), ("x", False)):
        notes = new_analysis(str(table), "", {}, tmp_path / column, formula=f"{column} ~ 1 + (1 | g)").notes
        assert not notes[0].startswith(f"Model: {column}, likelihood cumulative")
        assert any("--likelihood cumulative" in note for note in notes) == mentioned, notes


def test_two_categories_are_told_that_binomial_says_the_same() -> None:
    assert any("--likelihood binomial says the same" in n for n in prepared(frame(rating=np.minimum(NUMBERS, 2))).notes)


# Structure: thresholds stand in the intercept's place.


@pytest.mark.parametrize("formula", [FORMULA, "rating ~ 0 + x + (1 | g)", "rating ~ 1 + x + (1 + x | g)"])
def test_common_columns_are_those_of_the_formula_without_an_intercept(formula: str) -> None:
    table = prepared(frame(), formula)
    assert table.design is not None
    assert table.design.names == ("x",)
    np.testing.assert_allclose(table.design.X[:, 0], frame()["x"] - frame()["x"].mean(), atol=1e-15)
    assert table.design.terms[0].names[0] == "intercept"
    assert CUMULATIVE.stan_data(table, CUMULATIVE.priors(table), "partial_pooling")["categories"] == 3


def test_rows_left_out_keep_every_category_of_the_outcome() -> None:
    dataset = family_and_data(FORMULA, frame(rating=[5, *NUMBERS[1:]]), likelihood="cumulative")[1]
    short = prepared(
        frame(words=["good", *frame()["words"][1:]]), "words ~ x + (1 | g)", levels={"words": [*ORDER, "best"]}
    )
    assert prepare_table(CUMULATIVE, short.dataset.take(range(1, 12))).ordered == {"words": (*ORDER, "best")}
    assert prepare_table(CUMULATIVE, dataset).ordered == {"rating": ("1", "2", "3", "4", "5")}


def test_words_are_numbers_and_rows_in_another_order_the_same_rows() -> None:
    rng = np.random.default_rng(8)
    shuffled = rng.permutation(12)
    of_words = prepared(frame(), "words ~ x + (1 | g)", levels={"words": ORDER})
    tables = [prepared(frame()), of_words, prepared(frame().iloc[shuffled].reset_index(drop=True))]
    rows = []
    for table in tables:
        data = CUMULATIVE.stan_data(table, CUMULATIVE.priors(table), "partial_pooling")
        order = [table.pooled.labels.index(f"g{j}") for j in range(4)]
        theta = np.empty((2, 4, 1))
        theta[:, order, 0] = np.array([[-1, 0.3, 2, 0], [1, 1.5, -2, 0.2]])
        draws = {"beta": np.array([[0.7], [-1.2]]), "theta": theta, "threshold": np.array([[-0.5, 1], [0, 0.2]])}
        rows.append(pointwise(likelihood("cumulative"), draws, data))
    np.testing.assert_allclose(rows[1], rows[0], rtol=1e-14)
    np.testing.assert_allclose(rows[2], rows[0][:, shuffled], rtol=1e-13)
    assert not np.allclose(rows[2], rows[0])


# Thresholds.


def exact(lower: float, upper: float) -> float:
    """log(inv_logit(upper) - inv_logit(lower)) with 700 digits."""
    with localcontext() as context:
        context.prec = 700
        below, above = (1 / (1 + (-Decimal(end)).exp()) for end in (lower, upper))
        return float((above - below).ln())


@pytest.mark.parametrize("eta", [-700.0, -30.0, 0.0, 1e-9, 30.0, 700.0])
@pytest.mark.parametrize("gap", [1e-9, 1.0, 50.0])
def test_the_probability_of_a_category_keeps_its_digits_far_out(eta: float, gap: float) -> None:
    lower, upper = np.array([0.3]), np.array([0.3 + gap])
    for shift in (eta, eta - 0.3):
        low, high = lower - shift, upper - shift
        assert thresholds.log_between(low, high)[0] == pytest.approx(exact(low[0], high[0]), rel=1e-12)
    own = {"threshold": np.concatenate([lower, upper])[None, None]}
    density = likelihood("cumulative")
    ends = [0.3 - eta, 0.3 + gap - eta]
    for y, (below, above) in enumerate(itertools.pairwise([-np.inf, *ends, np.inf]), 1):
        rows = {"y": np.array([y]), "categories": 3}
        score = density.score(np.array([[eta]]), rows, own)[0, 0]
        assert score == pytest.approx(expit(below) - expit(-above), abs=1e-15)
        assert np.isfinite(density.log_p(np.array([[eta]]), rows, own)).all()
        assert density.weight(np.array([[eta]]), rows, own)[0, 0] >= 0


def without_jacobian(value: np.ndarray, a: float) -> np.ndarray:
    slopes = np.log(expit(value)) + np.log(expit(-value))
    return np.asarray(thresholds.log_induced_dirichlet(value, a) - slopes.sum(axis=-1))


def mass(log_density: Callable[[np.ndarray, float], np.ndarray], a: float) -> float:
    """The integral over two thresholds in order, by the trapezoidal rule over the first and the log of the gap."""
    first, log_gap = np.linspace(-30, 30, 401), np.linspace(-25, 5, 401)
    low, gap = np.meshgrid(first, np.exp(log_gap), indexing="ij")
    values = np.exp(log_density(np.stack([low, low + gap], axis=-1), a)) * gap
    return float(np.trapezoid(np.trapezoid(values, log_gap), first))


@pytest.mark.parametrize("a", [1.0, 2.5])
def test_the_prior_of_thresholds_integrates_to_one_and_without_its_jacobian_does_not(a: float) -> None:
    assert mass(thresholds.log_induced_dirichlet, a) == pytest.approx(1, abs=1e-6)
    assert abs(mass(without_jacobian, a) - 1) > 0.1


def test_the_prior_of_one_threshold_is_logistic() -> None:
    at = np.linspace(-5, 5, 11)[:, None]
    np.testing.assert_allclose(thresholds.log_induced_dirichlet(at, 1.0), stats.logistic.logpdf(at[:, 0]), rtol=1e-13)


def test_thresholds_drawn_from_the_prior_have_dirichlet_shares() -> None:
    data = {"categories": 4, "prior_threshold": 1.7}
    drawn = THRESHOLD.draw(np.random.default_rng(4), data, 5)
    shares = np.random.default_rng(4).dirichlet([1.7] * 4, 5)
    np.testing.assert_allclose(np.exp(thresholds.log_shares(drawn)), shares, rtol=1e-12)
    assert (np.diff(drawn) > 0).all()


def test_thresholds_that_fit_rows_expect_as_many_up_to_each() -> None:
    eta, below = np.random.default_rng(6).normal(0, 3, 40), np.array([0.2, 7.0, 39.5])
    cutpoints = thresholds.fitting(eta, below)
    np.testing.assert_allclose(expit(cutpoints[:, None] - eta).sum(axis=1), below, rtol=1e-9)


# Two categories are Bernoulli rows.


def test_two_categories_are_bernoulli_rows() -> None:
    ordered, binary = likelihood("cumulative"), likelihood("binomial")
    eta, threshold = np.array([[0.3, -2.0, 5.0, 0.0], [-30, 1.0, 0.4, 2.2]]), np.array([0.8, -1.1])
    rows, y = {"categories": 2, "y": np.array([1, 2, 2, 1])}, np.array([0, 1, 1, 0])
    own, other = {"threshold": threshold[:, None, None]}, {"y": y, "trials": np.ones(4)}
    about = eta - threshold[:, None]
    for name in ("log_p", "score", "weight", "information"):
        np.testing.assert_allclose(
            getattr(ordered, name)(eta, rows, own), getattr(binary, name)(about, other, {}), rtol=1e-12, err_msg=name
        )
    for moment, known, from_one in zip(
        ordered.moments(eta, rows, own), binary.moments(about, other, {}), (1, 0), strict=True
    ):
        np.testing.assert_allclose(moment - from_one, known, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("fault", [False, True])
def test_two_categories_have_the_integrals_of_bernoulli_rows(fault: bool) -> None:
    table = frame(rating=np.minimum(NUMBERS, 2), y=np.minimum(NUMBERS, 2) - 1)
    bernoulli = family("binomial")
    plain = prepare_table(*family_and_data("y ~ x + (1 | g)", table, likelihood="binomial"))
    scale, slope, cut = np.array([[0.8], [1.4]]), np.array([[0.5], [-2.0]]), np.array([[0.4], [-1.0]])
    of_ordered = {"beta": slope, "tau": scale, "threshold": cut}
    of_binary = {"beta": np.hstack([cut if fault else -cut, slope]), "tau": scale}
    log_liks = [
        known.need("group_log_lik", "a test")(
            draws, known.stan_data(prepared_table, known.priors(prepared_table), "partial_pooling")
        )
        for known, prepared_table, draws in ((CUMULATIVE, prepared(table), of_ordered), (bernoulli, plain, of_binary))
    ]
    assert np.allclose(log_liks[0], log_liks[1], rtol=1e-10) != fault


# What the report says of categories.


@pytest.mark.parametrize("formula", ["rating ~ x + (1 | g)", "rating ~ x + (1 + x | g)", "rating ~ 1 + (1 | g)"])
def test_shares_of_categories_are_those_at_the_means_whether_columns_are_centred_or_not(formula: str) -> None:
    slope, cuts = np.array([[0.7], [-1.2]]), np.array([[-0.5, 1.0], [0.0, 0.2]])
    shares = []
    for centre in (True, False):
        table = prepared(frame(x=frame()["x"] + 3), formula, centre=centre)
        data = CUMULATIVE.stan_data(table, CUMULATIVE.priors(table), "partial_pooling")
        beta = slope[:, : data["P"]]
        mean = 0.0 if centre else beta.sum(axis=1, keepdims=True) * frame()["x"].add(3).mean()
        draws = {"beta": beta, "tau": np.full((2, data["KG"]), 0.5), "threshold": cuts + mean}
        shares.append(shares_at_means(draws, data, theta_mean(draws, data)))
    below = expit(cuts)
    np.testing.assert_allclose(shares[0], np.diff(below, prepend=0, append=1), rtol=1e-12)
    np.testing.assert_allclose(shares[1], shares[0], rtol=1e-12)


def test_shares_are_told_of_an_average_and_a_new_group_and_thresholds_in_words() -> None:
    table = prepared(frame(), "words ~ x + (1 | g)", levels={"words": [*ORDER, "best"]})
    data = CUMULATIVE.stan_data(table, CUMULATIVE.priors(table), "partial_pooling")
    draws = {"beta": np.full((400, 1), 0.7), "tau": np.full((400, 1), 1.5),
             "threshold": np.tile([-1.0, 0.5, 2.0], (400, 1))}  # fmt: skip
    (finding,) = findings(
        Evidence(
            variant="partial_pooling", draws=draws, data=data, table=table, options={}, rng=np.random.default_rng(1)
        )
    )
    assert finding.table is not None
    rows = finding.table.set_index(["in", "category"])
    average, new = rows.loc["average group"], rows.loc["new group"]
    np.testing.assert_allclose(average["mean"], np.diff(expit([-1.0, 0.5, 2.0]), prepend=0, append=1), rtol=1e-12)
    assert list(average["share of rows"]) == [4 / 12, 4 / 12, 4 / 12, 0]
    assert new["mean"].sum() == pytest.approx(1)
    assert (new["q95"] - new["q05"] > 0.1).all()
    # A wide spread of groups moves shares to the ends.
    assert new["mean"]["poor"] > average["mean"]["poor"] + 0.02
    assert "between poor and fair is about -1.00, so that 26.9 % of such rows are poor" in finding.sentences[0]
    assert "at the means of the columns" in finding.sentences[0]
    complete = {name: values for name, values in draws.items() if name != "tau"}
    complete["theta"] = np.zeros((400, 4, 1))
    (alone,) = findings(
        Evidence(
            variant="complete_pooling", draws=complete, data=data, table=table, options={}, rng=np.random.default_rng(1)
        )
    )
    assert alone.table is not None
    assert set(alone.table["in"]) == {"average group"}


@pytest.mark.parametrize(("formula", "words"), [
    ("y ~ x + (1 | g)", "intercept (at the mean of x)"),
    ("y ~ 0 + x + (1 | g)", "intercept's deviation from the average"),
])  # fmt: skip
def test_an_intercept_without_an_average_is_called_a_deviation(formula: str, words: str) -> None:
    frame = pd.DataFrame({"g": list("aabbcc"), "x": [1.0, 2, 3, 4, 5, 7], "y": [1.0, 3, 2, 4, 3, 5]})
    model, dataset = family_and_data(formula, frame)
    fit: Any = SimpleNamespace(table=prepare_table(model, dataset), family=model)
    assert _quantity(fit, "intercept") == words
    assert "deviation" not in _quantity(fit, "intercept", spread=True)
