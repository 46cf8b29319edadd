"""The sentences of page one: what they say of each pooling, and that both ends of an interval are rounded alike."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hbm_stan.engines import Engine
from hbm_stan.report.build import report


def answer(analysis: Path, engine: Engine, variants: str) -> list[str]:
    text = (analysis / "analysis.toml").read_text()
    (analysis / "analysis.toml").write_text(re.sub(r"variants = \[.*\]", f"variants = {variants}", text))
    sentences: list[str] = report(analysis, engine=engine).results["answer"]
    return sentences


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


@pytest.mark.parametrize(
    ("variants", "words"),
    [('["complete_pooling"]', "all schools are assumed to share"), ('["no_pooling"]', "there is no common answer")],
)
def test_the_other_poolings_say_what_they_cannot(analysis: Path, stanli: Engine, variants: str, words: str) -> None:
    (only,) = answer(analysis, stanli, variants)
    assert words in only
    assert "population of schools" not in only
