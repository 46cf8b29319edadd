"""Priors as text: what is understood, what is refused in words, and that no digit is lost."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

from hbm_stan.data import Dataset
from hbm_stan.errors import ModelError
from hbm_stan.families import family
from hbm_stan.fit import prepare_table
from hbm_stan.priors import (
    DISTRIBUTIONS,
    SCALES,
    Prior,
    PriorRow,
    decode_scale,
    encode_scale,
    parse_prior,
    raw_support,
)  # fmt: skip

LOCATION, SCALE, _ = family("normal_means").programs.prior_rows
POSITIVE = st.floats(min_value=1e-100, max_value=1e100)


@pytest.mark.parametrize(
    ("text", "row", "distribution", "arguments"),
    [
        ("normal(0, 5)", LOCATION, "normal", (0, 5)),
        (" Normal ( -1.5 ,2e1 ) ", LOCATION, "normal", (-1.5, 20)),
        ("normal(\u22123, 1)", LOCATION, "normal", (-3, 1)),
        ("half_cauchy(5)", SCALE, "half_cauchy", (5,)),
        ("half-Cauchy(5)", SCALE, "half_cauchy", (5,)),
        ("half_student_t(3, 2.5)", SCALE, "half_student_t", (3, 2.5)),
        ("uniform(0, 100)", SCALE, "uniform", (0, 100)),
    ],
)
def test_a_prior_is_read(text: str, row: PriorRow, distribution: str, arguments: tuple[float, ...]) -> None:
    prior = parse_prior(text, row)
    assert (prior.name, prior.distribution, prior.arguments) == (row.name, distribution, arguments)
    assert not prior.default


@pytest.mark.parametrize(
    ("text", "row", "words"),
    [
        ("", LOCATION, ("'' is not understood", "normal(location, scale)")),
        ("normal", LOCATION, ("'normal' is not understood", "normal(location, scale)")),
        ("normal(0, 5", LOCATION, ("is not understood",)),
        ("normal(0, 5) + 1", LOCATION, ("is not understood",)),
        ("normal((0), 5)", LOCATION, ("is not understood",)),
        ("nromal(0, 5)", LOCATION, ("'nromal' is not offered", "Did you mean 'normal'?")),
        ("cauchy(5)", SCALE, ("'cauchy' is not offered", "half_cauchy(scale)")),
        ("beta(1, 2)", SCALE, ("'beta' is not offered", "half_normal(scale)")),
        ("normal(0, 5)", SCALE, ("'normal' is not offered", "Did you mean")),
        ("normal(5)", LOCATION, ("takes 2 arguments (location, scale)", "got 1")),
        ("normal()", LOCATION, ("takes 2 arguments", "got 0")),
        ("normal(0, 5, 1)", LOCATION, ("takes 2 arguments", "got 3")),
        ("half_normal(0, 5)", SCALE, ("takes 1 argument (scale)", "got 2")),
        ("normal(0, five)", LOCATION, ("scale", "'five'", "must be a finite number")),
        ("normal(0, )", LOCATION, ("scale", "must be a finite number")),
        ("normal(1_0, 5)", LOCATION, ("location", "'1_0'")),
        ("normal(١, 5)", LOCATION, ("location", "'١'")),
        ("normal(0,5, 2)", LOCATION, ("got 3", "decimal point")),
        ("normal(0, sd=5)", LOCATION, ("'sd=5'",)),
        ("normal(nan, 5)", LOCATION, ("location", "'nan'")),
        ("normal(0, inf)", LOCATION, ("scale", "'inf'")),
        ("normal(0, 1e400)", LOCATION, ("scale", "'1e400'", "finite")),
        ("normal(0, 0)", LOCATION, ("scale", "above zero", "'0'")),
        ("normal(0, 1e-400)", LOCATION, ("scale", "above zero", "'1e-400'")),
        ("normal(0, 1e-320)", LOCATION, ("Prior of mu: scale of normal is '1e-320'", "no sampler", "1e-100 at least")),
        ("normal(1e200, 1)", LOCATION, ("location of normal", "no sampler", "1e+100 at most")),
        (
            "half_normal(1e308)",
            SCALE,
            ("Prior of tau: scale of half_normal is '1e308'", "no sampler", "1e+100 at most"),
        ),
        ("lognormal(300, 1)", SCALE, ("location of lognormal", "no sampler", "230.3 at most, the logarithm")),
        ("uniform(0, 1e150)", SCALE, ("upper of uniform", "no sampler")),
        ("half_cauchy(-5)", SCALE, ("scale", "above zero", "'-5'")),
        ("half_student_t(-1, 5)", SCALE, ("degrees_of_freedom", "above zero", "'-1'")),
        ("uniform(1, 5)", SCALE, ("starts at 0", "'1'")),
        ("uniform(0, -5)", SCALE, ("upper", "above zero")),
        ("uniform(5, 0)", SCALE, ("upper", "above zero")),
        ("normal(0, 5)\nmore", LOCATION, ("is not understood",)),
        ("x" * 5000, LOCATION, ("is not understood",)),
    ],
)
def test_a_bad_prior_is_refused_in_words(text: str, row: PriorRow, words: tuple[str, ...]) -> None:
    with pytest.raises(ModelError) as caught:
        parse_prior(text, row)
    message = str(caught.value)
    assert message.startswith(f"Prior of {row.name}: ")
    assert "\n" not in message
    assert len(message) < 500
    for word in words:
        assert word in message, message


@given(st.floats(min_value=-1e100, max_value=1e100), POSITIVE)
def test_the_text_of_a_prior_gives_it_back(location: float, scale: float) -> None:
    prior = Prior(name="mu", distribution="normal", arguments=(location, scale))
    assert parse_prior(prior.text, LOCATION).arguments == (location, scale)


@pytest.mark.parametrize(
    ("value", "text"), [(5.0, "5"), (0.25, "0.25"), (1e6, "1e+06"), (1.2345678, "1.2345678"), (-0.1, "-0.1")]
)
def test_the_text_is_as_short_as_it_can_be(value: float, text: str) -> None:
    assert Prior(name="mu", distribution="normal", arguments=(value, 1)).text == f"normal({text}, 1)"


ARGUMENTS = {
    "half_student_t": (3.0, 2.0), "uniform": (0.0, 2.0), "gamma": (2.5, 1.5), "lognormal": (0.2, 0.7),
    "beta": (2.0, 3.0),
}  # fmt: skip


@pytest.mark.parametrize("distribution", sorted(set(DISTRIBUTIONS) - {"normal", "lkj", "fixed", "dirichlet"}))
def test_a_density_integrates_to_one_and_has_the_draws_it_says(distribution: str) -> None:
    prior = Prior(name="tau", distribution=distribution, arguments=ARGUMENTS.get(distribution, (2.0,)))
    upper = {"uniform": 2.0, "beta": 1.0}.get(distribution, math.inf)
    mass = integrate.quad(lambda x: float(np.exp(prior.log_density(x))), 0, upper, limit=200)[0]
    assert mass == pytest.approx(1, abs=1e-6)
    assert prior.log_density(-1.0) == -np.inf
    draws = prior.draw(np.random.default_rng(1), 40_000)
    below = integrate.quad(lambda x: float(np.exp(prior.log_density(x))), 0, 0.5)[0]
    # Five standard errors of a share of 40,000 draws.
    assert np.mean(draws <= 0.5) == pytest.approx(below, abs=5 * math.sqrt(below * (1 - below) / 40_000))
    assert prior.cumulative(0.5) == pytest.approx(below, abs=1e-6)
    assert draws.min() >= 0


@pytest.mark.parametrize("distribution", SCALES)
def test_a_prior_of_a_scale_comes_back_from_its_data(distribution: str) -> None:
    prior = Prior(name="tau", distribution=distribution, arguments=ARGUMENTS.get(distribution, (2.0,)))
    code, encoded = encode_scale(prior)
    back = decode_scale("tau", code, encoded)
    assert back.distribution == distribution
    np.testing.assert_allclose(back.arguments, prior.arguments)
    # The first number is in the unit of the quantity: in another unit, only it changes.
    assert len(encoded) == 2
    assert encoded[0] > 0
    assert raw_support(code)[1] == (1.0 if distribution == "uniform" else math.inf)


def test_one_text_may_be_the_prior_of_all_terms_or_of_one() -> None:
    row = PriorRow(name="mu", distributions=("normal",), meaning="coefficient", source="none")
    assert parse_prior("normal(0, 2)", row, "mu[floor]").name == "mu[floor]"
    with pytest.raises(ModelError, match=r"Prior of mu\[floor\]"):
        parse_prior("normal(0, -2)", row, "mu[floor]")


NU = PriorRow(name="nu", distributions=(*SCALES, "fixed"), meaning="degrees of freedom", source="none", lower=2.0)


@pytest.mark.parametrize("distribution", SCALES)
def test_a_prior_that_begins_at_an_end_is_cut_and_normalised_there(distribution: str) -> None:
    arguments = {"uniform": (0.0, 7.0), "gamma": (2.0, 0.1)}.get(distribution, ARGUMENTS.get(distribution, (1.5,)))
    prior = Prior(name="nu", distribution=distribution, arguments=arguments, lower=2.0)
    whole = replace(prior, lower=0.0)
    mass = 1 - integrate.quad(lambda x: float(np.exp(whole.log_density(x))), 0, 2, limit=200)[0]
    points = np.array([2.0, 2.5, 6.0])
    np.testing.assert_allclose(prior.log_density(points), whole.log_density(points) - math.log(mass), rtol=1e-8)
    assert prior.log_density(1.99) == -np.inf
    draws = prior.draw(np.random.default_rng(1), 40_000)
    assert draws.min() >= 2
    below = integrate.quad(lambda x: float(np.exp(prior.log_density(x))), 2, 3)[0]
    assert np.mean(draws <= 3) == pytest.approx(below, abs=5 * math.sqrt(below * (1 - below) / 40_000))
    assert prior.cumulative(3.0) == pytest.approx(below, abs=1e-6)
    assert prior.cumulative(1.0) == 0
    code, encoded = encode_scale(prior)
    assert decode_scale("nu", code, encoded, 2.0).log_density(3.0) == pytest.approx(prior.log_density(3.0))
    assert raw_support(code, 2.0 / encoded[0])[0] * encoded[0] == pytest.approx(2)


def test_a_value_may_be_given_in_place_of_a_prior_where_the_row_says_so() -> None:
    known = parse_prior("fixed(4)", NU)
    assert known.text == "fixed(4)"
    assert [float(known.log_density(x)) for x in (3.0, 4.0)] == [-np.inf, 0.0]
    assert [known.cumulative(x) for x in (3.9, 4.0)] == [0.0, 1.0]
    assert known.draw(np.random.default_rng(1), 3).tolist() == [4.0] * 3
    code, encoded = encode_scale(known)
    assert decode_scale("nu", code, encoded, 2.0).arguments == (4.0,)
    assert encode_scale(Prior(name="nu", distribution="lognormal", arguments=(1.0, 1.0)))[0] < code
    with pytest.raises(ModelError, match="'fixed' is not offered"):
        parse_prior("fixed(4)", LOCATION)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fixed(1.5)", "fixed(1.5) is below 2, the least"),
        ("uniform(0, 1.9)", "next to nothing above 2"),
        ("half_normal(0.2)", "next to nothing above 2"),
        ("fixed(4, 5)", "takes 1 argument"),
        ("fixed(-4)", "must be a finite number above zero"),
    ],
)
def test_a_prior_that_has_nothing_above_the_least_value_is_refused(text: str, message: str) -> None:
    with pytest.raises(ModelError, match=re.escape(message)):
        parse_prior(text, NU)


def test_a_row_of_priors_that_this_model_lacks_is_not_its_own_advice() -> None:
    # Of one factor only there is no sd of another factor's levels, though the prior table of formulas has the row.
    frame = pd.DataFrame({"g": list("abcd") * 3, "y": range(12)})
    model = family("normal")
    table = prepare_table(model, Dataset.from_frame(frame, formula="y ~ 1 + (1 | g)"))
    with pytest.raises(ModelError, match="normal has 'sd' with other columns or choices only") as caught:
        model.priors(table, {"sd": "half_normal(1)"})
    assert "Did you mean 'sd'" not in str(caught.value)
