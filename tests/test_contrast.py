"""Contrasts of two settings against what their draws say, worked out beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from row_fits import frame, random_fit
from scipy.special import expit

from hbm_stan.errors import HbmError
from hbm_stan.new_rows.contrast import contrast, split_contrast
from hbm_stan.new_rows.predict import predict

ARM = {"levels": {"arm": ["placebo", "drug", "both"]}}
RIGHT = "x + arm + (1 + x | g) + (1 | h)"


def draws_of(difference: Any) -> np.ndarray:
    values = difference.draws["contrast"].values
    return np.asarray(values.reshape(-1, values.shape[2]))


def test_a_difference_of_a_linear_model_is_its_coefficient() -> None:
    fit_ = random_fit("normal", RIGHT, size=200, **ARM)
    difference = contrast(fit_, "arm = both - arm = drug", region=(-0.5, 1.5))
    beta = fit_.draws()["beta"][:, [fit_.table.design.names.index(f"arm={a}") for a in ("both", "drug")]]
    truth = beta[:, 0] - beta[:, 1]
    np.testing.assert_allclose(draws_of(difference)[:, 0], truth, rtol=1e-9, atol=1e-12)
    line = difference.table.iloc[0]
    assert (line["g"], line["h"]) == ("population", "population")
    assert line["mean"] == pytest.approx(truth.mean())
    assert line["sd"] == pytest.approx(truth.std(ddof=1))
    for q in (5, 25, 50, 75, 95):
        assert line[f"q{q:02d}"] == pytest.approx(np.quantile(truth, q / 100))
    above = (truth > 0).mean()
    assert line["p_direction"] == pytest.approx(max(above, 1 - above))
    assert line["direction"] == ("above" if above > 0.5 else "below")
    assert line["p_region"] == pytest.approx(((truth >= -0.5) & (truth <= 1.5)).mean())
    turned = contrast(fit_, "arm = drug - arm = both").table.iloc[0]
    assert turned["mean"] == pytest.approx(-truth.mean())
    assert turned["direction"] != line["direction"]


def test_ratio_and_link_of_counts() -> None:
    fit_ = random_fit("poisson", RIGHT, size=100, **ARM)
    beta = fit_.draws()["beta"][:, fit_.table.design.names.index("arm=drug")]
    link = contrast(fit_, "arm = drug - arm = placebo", scale="link", at="hours = 7")
    np.testing.assert_allclose(draws_of(link)[:, 0], beta, rtol=1e-9, atol=1e-12)
    assert any("exp of it is a rate ratio" in note for note in link.notes)
    ratio = contrast(fit_, "arm = drug - arm = placebo", scale="ratio")
    assert list(ratio.table["g"]) == ["population"]
    assert "Averaged over levels drawn from the population it is the same number." in ratio.notes
    assert not any("They differ" in note for note in ratio.notes)
    np.testing.assert_allclose(draws_of(ratio), np.exp(beta)[:, None], rtol=1e-7)
    above = (beta > 0).mean()
    assert ratio.table["p_direction"][0] == pytest.approx(max(above, 1 - above))
    assert ratio.table["direction"][0] == ("above" if above > 0.5 else "below")


def test_the_middle_and_the_average_of_probabilities_differ_and_both_are_named() -> None:
    fit_ = random_fit("binomial", "arm + (1 | g)", size=50, **ARM)
    difference = contrast(fit_, "arm = drug - arm = placebo")
    design, draws = fit_.table.design, fit_.draws()
    column, mean = design.names.index("arm=drug"), design.means
    base = draws["beta"][:, 0] - draws["beta"] @ mean
    slope = draws["beta"][:, column]
    middle = expit(base + slope) - expit(base)
    np.testing.assert_allclose(draws_of(difference)[:, 0], middle, rtol=1e-9)
    # Gauss and Hermite, which the code does not use.
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    u = draws["tau"] * nodes
    means = [(expit(eta[:, None] + u) * weights).sum(axis=1) / weights.sum() for eta in (base + slope, base)]
    np.testing.assert_allclose(draws_of(difference)[:, 1], means[0] - means[1], atol=1e-6)
    assert any("They differ" in note for note in difference.notes)
    assert any("n = 1" in note for note in difference.notes)


def test_a_new_group_is_the_same_one_on_both_sides() -> None:
    fit_ = random_fit("normal", RIGHT, size=400, **ARM)
    difference = contrast(fit_, "x = 12 - x = 11", at={"g": "new", "h": "averaged"})
    draws = fit_.draws()
    slope = draws_of(difference)[:, 0]
    z = (slope - draws["beta"][:, 1]) / draws["tau"][:, 1]  # the slope of x varies by its own sd; intercepts cancel
    assert abs(z.mean()) < 5 / np.sqrt(len(z))
    assert z.std() == pytest.approx(1, abs=5 / np.sqrt(2 * len(z)))
    known = contrast(fit_, "x = 12 - x = 11", at="g = a, h = q")
    label = fit_.table.pooled.labels.index("a")
    np.testing.assert_allclose(draws_of(known)[:, 0], draws["theta"][:, label, 1], rtol=1e-9, atol=1e-12)
    between = contrast(fit_, "g = a - g = b", at="x = 9 14, h = population")
    assert list(between.table["x"]) == [9, 14]
    a, b = (predict(fit_, grid=f"x = 9 14, g = {g}, h = population").draws for g in "ab")
    assert a is not None
    assert b is not None
    np.testing.assert_allclose(between.draws["contrast"].values, (a["expected"] - b["expected"]).values)


def test_categories_have_a_line_each_that_adds_up_to_nothing() -> None:
    fit_ = random_fit("cumulative", "x + (1 | g)", size=30)
    differences = contrast(fit_, "x = 12 - x = 8")
    assert list(differences.table["category"]) == ["bad", "poor", "fair", "good"] * 2
    assert list(differences.table["g"]) == ["population"] * 4 + ["averaged"] * 4
    one, two = (predict(fit_, grid=f"x = {x}, g = population").draws for x in (12, 8))
    assert one is not None
    assert two is not None
    truth = (one["expected"] - two["expected"]).values.reshape(60, 4)
    np.testing.assert_allclose(draws_of(differences)[:, :4], truth, atol=1e-12)
    np.testing.assert_allclose(draws_of(differences)[:, 4:].sum(axis=1), 0, atol=1e-12)


def test_the_minus_is_found_whatever_labels_hold() -> None:
    columns = ("arm", "x", "g:unit", "my col")
    assert split_contrast("arm = pre - post - arm = low - x", columns) == ("arm = pre - post", "arm = low - x")
    assert split_contrast("x = -1 - x = -2", columns) == ("x = -1", "x = -2")
    assert split_contrast("`my col` = 1, x = 2 - `my col` = 2, x = 2", columns)[1] == "`my col` = 2, x = 2"


@pytest.mark.parametrize(
    ("settings", "keys", "message"),
    [
        ("arm = drug", {}, "is not one setting less another"),
        ("arm = drug-arm = placebo", {}, "with blanks around the minus"),
        ("arm = drug - age = 3", {}, "is not one setting less another"),
        ("arm = drug - x = 3", {}, "names 'arm' on one side only"),
        ("amr = drug - arm = placebo", {}, "names 'amr', and there is no such column. Did you mean 'arm'"),
        ("arm = drug both - arm = placebo", {}, "names 2 settings on one side"),
        ("arm = drog - arm = placebo", {}, "Did you mean 'drug'"),
        ("arm = drug - arm = placebo", {"at": "arm = both"}, "stands in the contrast and in --at"),
        ("arm = drug - arm = placebo", {"at": "g = z"}, "'z' is none of the 5 known levels"),
        ("arm = drug - arm = placebo", {"scale": "ratios"}, "Did you mean 'ratio'"),
        ("arm = drug - arm = placebo", {"region": (2.0, 1.0)}, "the lower limit must be below the upper"),
        ("arm = drug - arm = placebo", {"scale": "ratio"}, "A ratio needs expected values above 0"),
    ],
)
def test_mistakes_are_said(settings: str, keys: dict[str, Any], message: str) -> None:
    fit_ = random_fit("normal", RIGHT, size=20, **ARM)
    with pytest.raises(HbmError, match=message) as caught:
        contrast(fit_, settings, **keys)
    assert caught.value.exit_code == 2


def test_settings_may_be_values_by_column() -> None:
    fit_ = random_fit("normal", RIGHT, size=20, **ARM)
    by_text = contrast(fit_, "arm = drug, x = 10 - arm = placebo, x = 12")
    by_value = contrast(fit_, ({"arm": "drug", "x": 10}, {"arm": "placebo", "x": 12}))
    np.testing.assert_array_equal(draws_of(by_text), draws_of(by_value))
    assert frame()["x"].mean() != 10


def test_numbers_outside_the_data_alone_ask_for_no_average() -> None:
    fit_ = random_fit("poisson", RIGHT, size=100, **ARM)
    g, h = (fit_.table.design.factors[k].labels[0] for k in (0, 1))
    ratio = contrast(fit_, "x = 4 - x = 5", at={"g": g, "h": h}, scale="ratio")
    assert any("outside the data" in note for note in ratio.notes)
    assert not any("Averaged over levels" in note for note in ratio.notes)
    unsaid = contrast(fit_, "x = 4 - x = 5", scale="ratio")
    assert list(unsaid.table["g"]) == ["population", "averaged"]  # slopes vary
    # What both lines say of the factors takes the place of the note on the first one.
    assert any("outside the data" in note for note in unsaid.notes)
    assert not any("as nothing is said of it" in note for note in unsaid.notes)
