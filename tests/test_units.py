"""Captions and axes state the unit of what is shown, and nobody is told on which side of zero a travel time is."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from example_results import example_results
from fake_fits import fake_fit, small_dataset

from hbm_stan.attempts import family_and_data
from hbm_stan.data import Dataset
from hbm_stan.families import family
from hbm_stan.fit import prepare_table
from hbm_stan.report import words as report_words
from hbm_stan.report.sections import data, front, groups, new_group
from hbm_stan.results import units


def fit_of(name: str, frame: pd.DataFrame, **roles: Any) -> Any:
    """What these functions read of a fit."""
    model = family(name)
    table = prepare_table(model, Dataset.from_frame(frame, **roles))
    data = model.programs.prepare(table, model.priors(table))
    return SimpleNamespace(family=model, table=table, data=data, y=data[model.programs.observed])


SHARES = pd.DataFrame({"district": list("aabbcc"), "y": [0, 1, 1, 1, 0, 1]})


def logistic() -> Any:
    return fit_of("logistic_regression", SHARES, group="district", outcome="y")


def measured(values: list[float]) -> Any:
    return fit_of("grouped_normal", pd.DataFrame({"g": list("aabbcc"), "y": values}), group="g", outcome="y")


def test_a_share_has_no_unit_though_its_coefficients_are_log_odds() -> None:
    shares_fit = logistic()
    assert units.quantity_unit(shares_fit) == "log odds"
    assert units.observed_unit(shares_fit) == ""
    assert units.observed_quantity(shares_fit) == "share"


def captions(blocks: Any) -> str:
    return json.dumps(blocks, default=str)


def test_the_table_of_shares_is_not_in_log_odds() -> None:
    results = example_results()
    rows = [{"group": g, "rows": 10, "mean": 0.4, "sd": None} for g in "abc"]
    results["data"] |= {
        "rows": [], "groups": rows, "unit": "", "quantity_unit": "log odds", "observed": "share", "observed_unit": "",
        "noun": {"one": "district", "many": "districts"}, "n_groups": 3,
    }  # fmt: skip
    shown = captions(data.section(results, []))
    assert "log odds" not in shown
    assert "Share" in shown
    assert "District" in shown
    results["data"]["n_groups"] = 80
    assert "District" not in captions(data.section(results, []))  # so many are in tables/groups.csv


def test_a_caption_names_the_units_of_all_that_it_holds() -> None:
    results = example_results()
    results["data"] |= {"unit": "", "quantity_unit": "log odds"}
    names = ["mu[intercept]", "mu[age]", "rho[intercept, age]", "y_new"]
    assert report_words.caption_unit(results, names) == (
        "log odds; coefficients per unit of their predictor; correlations have no unit; the new observation as it is "
        "counted"
    )
    assert report_words.caption_unit(results, ["mu[intercept]"]) == "log odds"
    results["data"] |= {"unit": "ms", "quantity_unit": "ms"}
    assert report_words.caption_unit(results, ["mu", "y_new"]) == "ms"


def test_a_caption_says_that_a_share_of_extra_zeros_is_not_in_the_unit_of_the_rest() -> None:
    results = example_results()
    results["data"] |= {"unit": "", "quantity_unit": "log rate"}
    results["priors"] = [{"name": "overdispersion", "unit": ""}, {"name": "tau[intercept]", "unit": "log rate"}]
    results["coefficients"] = {"shares": [{"name": "zi", "what": "extra zeros"}]}
    names = ["beta[intercept]", "tau[intercept]", "overdispersion", "zi[intercept]"]
    assert report_words.caption_unit(results, names) == (
        "log rate; zi in log odds of extra zeros; overdispersion has no unit"
    )
    assert report_words.caption_unit(results, names[:2]) == "log rate"


@pytest.mark.parametrize(
    ("values", "asked"),
    [
        ([310.0, 250.0, 2900.0, 90.0, 40.0, 500.0], False),  # travel times: positive throughout
        ([-5.0, -7.0, -1.0, -2.0, -9.0, -4.0], False),
        ([-1.0, 99.0, 101.0, 102.0, 98.0, 100.0], True),
        ([-1.0, 2.0, 3.0, -4.0, 5.0, 0.5], True),
    ],
)
def test_the_side_of_zero_of_what_is_measured(values: list[float], asked: bool) -> None:
    assert units.zero_matters(measured(values), "") is asked


def test_an_effect_is_asked_about_even_where_all_estimates_are_positive() -> None:
    assert units.zero_matters(fake_fit(dataset=small_dataset(y=(3.0, 4.0, 5.0))), "")  # errors 2, 3, 4
    assert not units.zero_matters(fake_fit(dataset=small_dataset(y=(70.0, 71.0, 72.0))), "")
    assert units.zero_matters(fake_fit(dataset=small_dataset(y=(-70.0, 71.0, 72.0))), "")


def test_coefficients_are_asked_about_and_intercepts_are_not() -> None:
    assert units.zero_matters(logistic(), "age")
    assert not units.zero_matters(logistic(), "intercept")
    counts = pd.DataFrame({"g": list("abc"), "n": [3, 4, 5]})
    assert not units.zero_matters(fit_of("gamma_poisson", counts, group="g", count="n"), "")


def test_the_numbers_of_categories_are_not_asked_about() -> None:
    ratings = pd.DataFrame({"g": list("aabbcc"), "x": [1, 2, 4, 3, 1, 2], "rating": [1, 2, 1, 3, 2, 3]})
    model, dataset = family_and_data("rating ~ x + (1 | g)", ratings, likelihood="cumulative")
    ordered: Any = SimpleNamespace(family=model, table=prepare_table(model, dataset), y=ratings["rating"].to_numpy())
    assert units.of_categories(ordered)
    assert units.far_from_zero(ordered)
    assert not units.of_categories(measured([-1.0, 2.0, 3.0, -4.0, 5.0, 0.5]))


def test_a_new_group_shows_a_probability_only_where_zero_matters() -> None:
    results = example_results()
    words = "The probability of a value above zero"
    assert words in captions(new_group.section(results, []))
    for quantity in results["new_group"]["quantities"]:
        quantity["sign"] = quantity["name"] == "y_new"
    assert words in captions(new_group.section(results, []))
    results["new_group"]["quantities"][-1]["sign"] = False
    assert words not in captions(new_group.section(results, []))


def test_page_one_and_captions_use_the_noun() -> None:
    results = example_results()
    results["data"]["noun"] = {"one": "county", "many": "counties"}
    shown = captions([new_group.section(results, []), groups.section(results, []), data.section(results, [])])
    shown += captions(front.page(results)["meta"])
    for words in (
        "The population and a new county",
        "what the counties share, and a new county",
        "Estimates of the counties",
        "8 counties",
        "County",
    ):
        assert words in shown, words
    assert "The population and a new group" not in shown


def test_nobody_is_told_on_which_side_of_zero_counts_per_head_are() -> None:
    cases = [116, 45, 90, 60, 75, 81, 40, 52, 66]
    frame = pd.DataFrame({"county": list("aaabbbccc"), "cases": cases, "people": 70_000})
    for name in ("poisson", "negative_binomial"):
        fit = fit_of(name, frame, formula="cases | rate(people) ~ 1 + (1 | county)")
        assert units.far_from_zero(fit)
    estimates = frame.assign(y=frame["cases"] / 10, se=0.5, x=range(9))
    assert units.far_from_zero(fit_of("estimates", estimates, formula="y | se(se) ~ x + (1 + x || county)")) is False
