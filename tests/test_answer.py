"""The sentences of page one: what they say of each pooling, and that both ends of an interval are rounded alike."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from fake_fits import loo_of

from hbm_stan.compare import score
from hbm_stan.comparison import Comparison
from hbm_stan.engines import Engine
from hbm_stan.report.build import report
from hbm_stan.results import together
from hbm_stan.results.answer import comparison_sentences


def answer(analysis: Path, engine: Engine, variants: str) -> list[str]:
    text = (analysis / "analysis.toml").read_text()
    (analysis / "analysis.toml").write_text(re.sub(r"variants = \[.*\]", f"variants = {variants}", text))
    sentences: list[str] = report(analysis, engine=engine).results["answer"]
    return sentences


@pytest.mark.usefixtures("undrawn")
def test_partial_pooling_answers_the_average_the_spread_and_a_new_group(analysis: Path, stanli: Engine) -> None:
    average, spread, new = answer(analysis, stanli, '["partial_pooling"]')
    assert "average over the population of schools" in average
    assert "probability that it is above zero" in average
    assert "may hardly differ at all" in spread  # P(tau < 0.1 sd(y)) is about 0.2 on eight schools
    assert new.startswith("For a new school of the same kind the predictive median")
    for sentence in (average, spread, new):
        ends = re.search(r"90 % interval (\S+) to ([\d.]+)", sentence)
        assert ends is not None
        low, high = (len(end.partition(".")[2]) for end in ends.groups())
        assert low == high, sentence


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("variants", "words"),
    [('["complete_pooling"]', "all schools are assumed to share"), ('["no_pooling"]', "there is no common answer")],
)
def test_the_other_poolings_say_what_they_cannot(analysis: Path, stanli: Engine, variants: str, words: str) -> None:
    (only,) = answer(analysis, stanli, variants)
    assert words in only
    assert "population of schools" not in only


# ---- differences between groups and scores in one sentence --------------------------------------------------------

NAMES = ("partial_pooling", "complete_pooling")
POOLING = {"partial_pooling": "partial", "complete_pooling": "complete", "no_pooling": "no"}
SPREAD = "Group values vary around that average with a standard deviation tau of about 2."


def compared(lead: float, k: float = 0.0, unit: str = "observation") -> Comparison:
    """Partial pooling ``lead`` ahead of complete pooling over 40 units, and no pooling 80 behind both."""
    scores = {
        name: loo_of(np.full(40, value / 40), np.full(40, k))
        for name, value in zip((*NAMES, "no_pooling"), (lead, 0.0, -80.0), strict=True)
    }
    return score(scores, unit=unit, pooling=POOLING)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lead", "words"),
    [
        (
            0.5,
            "about 2; for prediction that makes little difference: partial pooling and complete pooling predict alike",
        ),
        (40.0, "tau of about 2, and partial pooling predicts better than complete pooling (elpd difference 40.0"),
        (-40.0, "tau of about 2; yet complete pooling predicts better than partial pooling (elpd difference 40.0"),
    ],
)
def test_what_tau_and_what_the_scores_say_is_one_sentence(lead: float, words: str) -> None:
    pairs = together.pairs_of([compared(lead)], *NAMES)
    (sentence,) = together.joined([SPREAD], pairs, NAMES[0], noun="")
    assert words in sentence
    assert sentence.endswith(".")
    assert together.differ(pairs, NAMES[0]) == (lead > 4)
    # What is said there is not said again; the other pair is.
    rest = comparison_sentences([compared(lead)], [pair for _, pair in pairs], noun="")
    assert [s.split(" (")[0] for s in rest] == [
        f"{'Complete' if lead < 0 else 'Partial'} pooling predicts better than no pooling"
    ]


def test_both_targets_are_named_in_it() -> None:
    comparisons = [compared(40.0), compared(0.5, unit="group")]
    pairs = together.pairs_of(comparisons, *NAMES)
    (sentence,) = together.joined([SPREAD], pairs, NAMES[0], noun="group")
    assert "tau of about 2, and to predict a known group, partial pooling predicts better than complete" in sentence
    assert "; to predict a new group, partial pooling and complete pooling predict alike" in sentence


def test_a_ranking_that_is_withheld_says_only_that() -> None:
    comparison = compared(40.0, k=0.9)
    assert together.pairs_of([comparison], *NAMES) == []
    assert together.joined([SPREAD], [], NAMES[0], noun="") == [SPREAD]
    (only,) = comparison_sentences([comparison], [], noun="")
    assert only.startswith("The ranking is withheld")
