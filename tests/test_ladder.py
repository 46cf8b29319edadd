"""Which likelihood the rows call for: the same formula with each that its outcome can have."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from hbm_stan.analysis.new import new_analysis
from hbm_stan.attempts import family_and_data
from hbm_stan.cli.app import app
from hbm_stan.engines import Sampling
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.errors import ComparisonError
from hbm_stan.judge import Kind, Pair
from hbm_stan.ladder import (
    LikelihoodComparison,
    _of_extra_zeros,
    compare_likelihoods,
    fit_ladder,
    judge_ladder,
    ladder_of,
)
from hbm_stan.store import FitStore

SAMPLING = Sampling(warmup=300, draws=500, seed=20261128)
COUNTS = ["negative_binomial", "poisson", "zero_inflated_negative_binomial", "zero_inflated_poisson"]
FORMULA = "calls ~ x + (1 | site)"
WIDE, PLAIN = "the model of negative binomial counts", "the model of Poisson counts"
ZEROS = "the model of zero-inflated Poisson counts"
WIDE_ZEROS = "the model of zero-inflated negative binomial counts"


def counts(overdispersion: float) -> pd.DataFrame:
    """300 counts of 24 sites of unlike size, rows in no order."""
    rng = np.random.default_rng(20261128)
    site, x = rng.integers(0, 24, 300), rng.normal(size=300)
    mean = np.exp(1 + 0.6 * rng.normal(size=24)[site] + 0.3 * x)
    square = max(overdispersion**2, 1e-9)
    y = rng.poisson(mean * rng.gamma(1 / square, square, 300))
    return pd.DataFrame({"site": [f"s{k:02}" for k in site], "x": x, "calls": y})


@pytest.fixture(scope="module")
def spread(tmp_path_factory: pytest.TempPathFactory) -> LikelihoodComparison:
    store = FitStore(tmp_path_factory.mktemp("fits"))
    return compare_likelihoods(FORMULA, counts(0.9), sampling=SAMPLING, engine=StanliEngine(), store=store)


def test_counts_that_spread_are_better_described_by_what_lets_them(spread: LikelihoodComparison) -> None:
    pair = spread.comparisons["observation"].pair(WIDE, PLAIN)
    assert pair is not None
    assert (pair.better, pair.kind) == (WIDE, "better")
    assert pair.elpd_diff > 50
    sentences = spread.rows
    assert sentences[0] == "The model of negative binomial counts: its rows are what it expects."
    assert "Rows spread more than Poisson counts do (over-dispersion): negative binomial counts" in sentences[1]
    assert 'likelihood = "negative_binomial" in analysis.toml' in sentences[1]
    words = f"A share of extra zeros is not needed: {WIDE} predicts as well as {WIDE_ZEROS} (elpd difference "
    assert spread.extra_zeros[0].startswith(words)
    assert spread.verdict[-1] == spread.extra_zeros[0]
    # That Poisson rows do not fit is the question here: it withholds nothing.
    assert not spread.withheld
    assert set(spread.comparisons) == {"observation", "group"}


def test_poisson_counts_are_not_worse_described_by_poisson(tmp_path: Path) -> None:
    comparison = compare_likelihoods(
        FORMULA, counts(0), target="observation", sampling=SAMPLING, engine=StanliEngine(), store=FitStore(tmp_path)
    )
    pair = comparison.comparisons["observation"].pair(WIDE, PLAIN)
    assert pair is not None
    assert pair.kind == "alike"
    assert "not needed" in comparison.extra_zeros[0]
    assert all(sentence.endswith("its rows are what it expects.") for sentence in comparison.rows)


def test_extra_zeros_are_needed_where_there_are_some(tmp_path: Path) -> None:
    rng = np.random.default_rng(20261130)
    site = np.repeat(np.arange(24), 6)
    y = rng.poisson(np.exp(1.8 + 0.3 * rng.normal(size=24)[site])) * (rng.uniform(size=144) > 0.35)
    frame = pd.DataFrame({"site": [f"s{k:02}" for k in site], "y": y})
    ladder = ladder_of(*family_and_data("y ~ 1 + (1 | site)", frame))
    some = tuple(rung for rung in ladder.rungs if rung.name in {WIDE, ZEROS})
    ladder = replace(ladder, rungs=some)
    fits = fit_ladder(ladder, sampling=SAMPLING, engine=StanliEngine(), store=FitStore(tmp_path))
    comparison = judge_ladder(ladder, fits, "observation")
    (sentence,) = comparison.extra_zeros
    assert sentence.startswith(
        f"A share of extra zeros is needed: {ZEROS} predicts better than {WIDE} (elpd difference "
    )
    assert comparison.as_dict()["extra_zeros"] == [sentence]


@pytest.mark.parametrize(
    ("better", "kind", "words"),
    [(WIDE, "alike", f"not needed: {WIDE} predicts as well as {ZEROS}"),
     (ZEROS, "alike", f"not needed: {WIDE} predicts as well as {ZEROS}"),
     (WIDE, "better_here", f"not needed: {WIDE} predicts better than {ZEROS}"),
     (ZEROS, "better", f"is needed: {ZEROS} predicts better than {WIDE}"),
     (ZEROS, "not_told_apart", "do not tell whether"), (WIDE, "not_told_apart", "do not tell whether")],
)  # fmt: skip
def test_what_is_said_of_extra_zeros_is_what_the_pair_says(better: str, kind: Kind, words: str) -> None:
    pair = Pair(better=better, other=ZEROS if better == WIDE else WIDE, kind=kind, elpd_diff=3.21)
    sentence = _of_extra_zeros(pair, without=WIDE)
    assert words in sentence
    assert "(elpd difference 3.2)" in sentence


def test_the_comparison_as_json_names_likelihoods_and_forms(spread: LikelihoodComparison) -> None:
    comparison = json.loads(json.dumps(spread.as_dict()))
    assert [row["likelihood"] for row in comparison["likelihoods"]] == COUNTS
    assert all(row["variant"].startswith("partial_pooling") for row in comparison["likelihoods"])
    assert set(comparison["rows"]) == set(spread.rows)
    assert comparison["observation"]["scores"][0]["variant"] == WIDE


def test_what_an_outcome_cannot_be_is_left_out_with_its_reason() -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"g": list("abcdef") * 8, "y": rng.normal(10, 1, 48)})
    above = ladder_of(*family_and_data("y ~ 1 + (1 | g)", frame))
    assert {"normal", "gamma", "lognormal"} <= {rung.likelihood for rung in above.rungs}
    assert [reason[:29] for reason in above.left_out] == ["The model of beta shares is left out"[:29]]
    frame.loc[5, "y"] = -0.5
    below = ladder_of(*family_and_data("y ~ 1 + (1 | g)", frame))
    assert not {"gamma", "lognormal"} & {rung.likelihood for rung in below.rungs}
    assert any("must be above zero" in reason and "-0.5" in reason for reason in below.left_out)


def test_a_formula_of_extra_zeros_is_read_by_the_likelihoods_that_have_some() -> None:
    frame = counts(0.9).assign(arm=["a", "b", "c"] * 100)
    model_and_data = family_and_data(
        FORMULA, frame, likelihood="zero_inflated_poisson", zi="~ arm", levels={"arm": ["b", "a", "c"]}
    )
    read = {rung.likelihood: rung.dataset.reading for rung in ladder_of(*model_and_data).rungs}
    assert {name for name, reading in read.items() if reading.zi == "~ arm"} == {n for n in COUNTS if "zero" in n}
    assert all((reading.levels == {}) == (not reading.zi) for reading in read.values())
    full = ladder_of(*family_and_data(FORMULA, frame.assign(calls=frame["calls"] + 1)))
    assert [rung.likelihood for rung in full.rungs] == ["negative_binomial", "poisson"]
    assert all("no count is 0" in reason for reason in full.left_out)


def test_one_likelihood_and_no_formula_are_refused() -> None:
    frame = pd.DataFrame({"g": list("abcd") * 2, "y": range(8), "s": 1.0})
    with pytest.raises(ComparisonError, match="can have one likelihood only"):
        ladder_of(*family_and_data("y | se(s) ~ 1 + (1 | g)", frame))
    _, data = family_and_data("y | se(s) ~ 1 + (1 | g)", frame)
    with pytest.raises(ComparisonError, match=r"takes none. Write the model as a formula"):
        ladder_of(family_and_data("grouped_normal", data)[0], data)


def test_the_command_says_what_python_says(spread: LikelihoodComparison, tmp_path: Path) -> None:
    counts(0.9).to_csv(tmp_path / "calls.csv", index=False)
    new_analysis(str(tmp_path / "calls.csv"), "", {}, tmp_path / "calls", formula=FORMULA)
    file = tmp_path / "calls" / "analysis.toml"
    text = file.read_text()
    assert 'likelihood = "negative_binomial"' in text
    for old, new in (("warmup = 1000", "warmup = 300"), ("draws = 1000", "draws = 500")):
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)
    completed = CliRunner().invoke(
        app,
        [
            "compare",
            str(file.parent),
            "--likelihoods",
            "--engine",
            "stanli",
            "--target",
            "observation",
            "--json",
            str(tmp_path / "out.json"),
        ],
    )
    assert completed.exit_code == 0, completed.output
    assert "A share of extra zeros is not needed" in " ".join(completed.output.split())
    comparison = json.loads((tmp_path / "out.json").read_text())
    assert [row["name"] for row in comparison["likelihoods"]] == [rung.name for rung in spread.ladder.rungs]
    assert comparison["observation"]["scores"][0]["variant"] == WIDE
    both = CliRunner().invoke(app, ["compare", str(file.parent), "--likelihoods", "--factors"])
    assert both.exit_code == 2
    assert "two questions" in both.output
