"""Small whole numbers are taken as ratings, or as counts: how often either is wrong, and what is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rating_tables import ANSWERS, COUNTS, share_of_ratings

from hbm_stan.analysis.new import New, new_analysis
from hbm_stan.errors import DataError
from hbm_stan.families.choose import of_formula
from hbm_stan.families.ratings import is_scale, log_odds

TABLES, ROWS = 150, 100
GROUP = np.arange(ROWS) % 20


@pytest.mark.parametrize("kind", COUNTS)
def test_counts_are_seldom_taken_for_ratings(kind: str) -> None:
    # At a rate of 1 in 100 more than 7 of 150 tables have a probability of 2e-4.
    assert share_of_ratings(COUNTS[kind], ROWS, TABLES, 1) <= 7 / TABLES


@pytest.mark.parametrize("kind", ANSWERS)
def test_ratings_are_mostly_taken_for_ratings(kind: str) -> None:
    assert share_of_ratings(ANSWERS[kind], ROWS, TABLES, 2) >= 0.9


def test_what_could_be_a_scale() -> None:
    assert is_scale(np.array([1.0, 2, 3, 5]))  # 4 of 5 steps
    assert is_scale(np.array([2.0, 3, 4, 5]))
    assert is_scale(np.array([0.0, 1, 2]))
    assert is_scale(np.array([2.0, 3, 4]))
    for no in ([1, 5], [1, 4], [4, 5], [1, 2, 3.5], [1, 2, 3, 4, 11], [-1, 0, 1], [3, 3, 3], [6, 7, 8, 9]):
        assert not is_scale(np.array(no, dtype=float)), no


def test_the_odds_are_those_of_two_closed_forms() -> None:
    # Ratings 1 and 2, once each: the integral of p (1 - p) is 1/6, and the scale is one of nine.
    rows = np.array([1.0, 2.0])
    rng = np.random.default_rng(3)
    mean = np.exp(np.linspace(np.log(0.2), np.log(12), 40))[:, None]
    shape = np.array([0.7, 1.5, 3, 8, 30, 1e4])
    zero, one = (shape / (shape + mean)) ** shape, mean * (shape / (shape + mean)) ** (shape + 1)
    two = one * (shape + 1) / 2 * mean / (shape + mean)
    counts = max((one * two).mean(), (one * two / (1 - zero) ** 2).mean())
    assert log_odds(rows) == pytest.approx(np.log(1 / 6 / 9 / counts), rel=1e-9)
    assert log_odds(rng.permutation(np.tile(rows, 20))) == pytest.approx(log_odds(np.sort(np.tile(rows, 20))))


FRAME = pd.DataFrame({
    "g": [f"g{i}" for i in GROUP], "x": np.random.default_rng(4).normal(size=ROWS),
    "rating": ANSWERS["5, high"](np.random.default_rng(5), ROWS), "flag": GROUP % 2,
    "few": np.tile([1, 2, 3, 4, 5], 20)[:ROWS], "calls": COUNTS["Poisson, mean 2"](np.random.default_rng(6), ROWS),
    "pain": 10 - COUNTS["above 0 only, mean 2"](np.random.default_rng(7), ROWS).clip(0, 10),
    "hours": np.linspace(1, 2, ROWS),
})  # fmt: skip


def new(to: Path, formula: str, likelihood: str = "", frame: pd.DataFrame = FRAME, **reading: Any) -> New:
    frame.to_csv(to / "t.csv", index=False)
    return new_analysis(str(to / "t.csv"), likelihood, {}, to / "a", formula=formula, **reading)


def chosen(formula: str, frame: pd.DataFrame = FRAME) -> str:
    return of_formula(formula, frame)[0]


def test_ratings_become_ordered_categories_and_how_to_have_counts_is_said(tmp_path: Path) -> None:
    analysis = new(tmp_path, "rating ~ x + (1 | g)")
    note = analysis.notes[0]
    assert note.startswith(
        "Model: rating, likelihood cumulative (rating has the whole numbers from 1 to 5 and no others"
    )
    assert "--likelihood poisson" in note
    assert 'likelihood = "cumulative"' in analysis.path.read_text()
    assert 'likelihood = "poisson"' in new(tmp_path, "rating ~ x + (1 | g)", "poisson", force=True).path.read_text()


@pytest.mark.parametrize(
    ("formula", "likelihood"),
    [
        ("rating ~ x + (1 | g)", "cumulative"),
        ("rating | rate(hours) ~ x + (1 | g)", "poisson"),
        ("rating ~ x + offset(log(hours)) + (1 | g)", "poisson"),
        ("calls ~ x + (1 | g)", "poisson"),
        ("flag ~ x + (1 | g)", "binomial"),
        ("I(rating + 0) ~ x + (1 | g)", "normal"),
    ],
)
def test_what_says_counts_or_a_number_is_heard(formula: str, likelihood: str) -> None:
    assert chosen(formula) == likelihood


def test_where_a_scale_may_be_meant_it_is_asked(tmp_path: Path) -> None:
    few = FRAME.iloc[:8].assign(few=[1, 2, 3, 1, 2, 3, 4, 4], g=list("abababab"))
    note = new(tmp_path, "few ~ 1 + (1 | g)", frame=few).notes[0]
    assert "likelihood poisson" in note
    assert "is it a scale from 1 to 4 (grades, answers)? --likelihood cumulative" in note
    high = FRAME.assign(score=FRAME["rating"].where(FRAME["rating"] > 1, 5) - 1)
    zero = new(tmp_path, "score ~ x + (1 | g)", frame=high.assign(score=high["score"] - 1), force=True).notes[0]
    assert "is it a scale from 0 to 3" in zero
    assert "is it a scale" not in new(tmp_path, "calls ~ x + (1 | g)", force=True).notes[0]


def test_extra_zeros_of_0_and_1_are_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"flag is 0 or 1.*Leave zi out: an extra 0 cannot be told.*go into the formula"
    ):
        new(tmp_path, "flag ~ x + (1 | g)", zi="~ x")
    with pytest.raises(DataError, match=r"x is a number on a scale.*if x counts something, name --likelihood zero_inf"):
        new(tmp_path, "x ~ rating + (1 | g)", zi="~ hours")
    with pytest.raises(DataError, match=r"has [|] trials\(n\): the likelihood binomial has none. Leave zi out"):
        new(tmp_path, "flag | trials(rating) ~ x + (1 | g)", zi="~ x")
