"""What is named or refused before anything is sampled: separation, more effects than rows, crossed units.

Tables follow public threads: Cross Validated questions 132677 (a treatment with successes only), 38493 (one failure
against 22) and 488428 (each subject has each treatment once).
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from hbm_stan.analysis.read import read_analysis
from hbm_stan.cli.app import app
from hbm_stan.data import Dataset
from hbm_stan.engines import Sampling
from hbm_stan.errors import DataError
from hbm_stan.examples import analyses
from hbm_stan.families import family
from hbm_stan.fit import jobs_of, prepare_table
from hbm_stan.parameterise import choose_parameterisation

SAMPLING = Sampling()
DEFAULT = ("complete_pooling", "no_pooling", "partial_pooling")
INTERCEPT = (*DEFAULT[:2], "partial_pooling_intercept")


def separated(frame: pd.DataFrame, **roles: Any) -> list[tuple[str, str]]:
    """Subject and hint of each warning of separation."""
    dataset = Dataset.from_frame(frame, {"group": "g", **({} if "successes" in roles else {"outcome": "y"}), **roles})
    prepared = prepare_table(family("logistic_regression"), dataset)
    return [(v.subject, v.hint) for v in prepared.verdicts if v.name == "separation" and v.status == "warn"]


def outcomes(counts: dict[str, tuple[int, int]], seed: int = 1, **more: Any) -> pd.DataFrame:
    """Rows of 0 and 1 with so many successes of so many in each level, shuffled, in five groups."""
    cells = [(level, int(i < won)) for level, (won, total) in counts.items() for i in range(total)]
    rng = np.random.default_rng(seed)
    rows = [cells[i] for i in rng.permutation(len(cells))]
    frame = pd.DataFrame(rows, columns=["arm", "y"])
    return frame.assign(g=[f"g{i % 5}" for i in range(len(frame))], **more)


NESTS = {"control": (6, 13), "protein": (7, 13), "sucrose": (11, 11), "no_injection": (10, 13)}


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (NESTS, "arm = sucrose: 11 of 11 are successes."),
        ({**NESTS, "sucrose": (0, 11)}, "arm = sucrose: 0 of 11 are successes."),
        ({**NESTS, "protein": (0, 13)}, "0 of 13"),
        ({"few": (231, 232), "many": (210, 232)}, ""),
        ({**NESTS, "sucrose": (10, 11)}, ""),
    ],
)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_level_of_successes_only_is_named_with_its_counts(
    counts: dict[str, tuple[int, int]], words: str, seed: int
) -> None:
    warnings = separated(outcomes(counts, seed), predictors=["arm"])
    assert [subject for subject, _ in warnings] == ["arm"] * bool(words)
    assert all(words in hint and "hbm sensitivity" in hint for _, hint in warnings)


def test_the_reference_may_be_what_separates() -> None:
    frame = outcomes({"a": (9, 9), "b": (4, 9), "c": (5, 9)})
    dataset = Dataset.from_frame(frame, group="g", outcome="y", predictors=["arm"], reference={"arm": "a"})
    [verdict] = [v for v in prepare_table(family("logistic_regression"), dataset).verdicts if v.name == "separation"]
    assert "arm = a: 9 of 9 are successes. It is the level that the others are compared with." in verdict.hint


def test_successes_of_trials_are_counted_in_trials() -> None:
    frame = pd.DataFrame({
        "g": list("ABCABC"), "arm": ["x", "x", "x", "z", "z", "z"], "s": [3, 5, 2, 1, 0, 2], "n": [3, 5, 2, 4, 4, 4],
    })  # fmt: skip
    [(subject, hint)] = separated(frame, successes="s", trials="n", predictors=["arm"])
    assert (subject, "arm = x: 10 of 10 are successes" in hint) == ("arm", True)


@pytest.mark.parametrize(("s", "words"), [([0, 1, 2, 4], ""), ([0, 0, 2, 4], "from 3"), ([0, 0, 4, 4], "from 3")])
def test_a_row_of_trials_may_lie_on_both_sides(s: list[int], words: str) -> None:
    frame = pd.DataFrame({"g": list("ABAB"), "x": [1.0, 2.0, 3.0, 4.0], "s": s, "n": 4})
    warnings = separated(frame, successes="s", trials="n", predictors=["x"])
    assert [words in hint for _, hint in warnings] == [True] * bool(words)


@pytest.mark.parametrize(
    ("y", "x", "words"),
    [
        ([0, 0, 0, 1, 1, 1], [1, 2, 3, 4, 5, 6], "all successes lie from 4, all failures up to 3"),
        ([1, 1, 1, 0, 0, 0], [1, 2, 3, 4, 5, 6], "all successes lie up to 3, all failures from 4"),
        ([0, 0, 0, 1, 1, 1], [1, 2, 3, 3, 5, 6], "all successes lie from 3, all failures up to 3"),
        ([0, 0, 1, 0, 1, 1], [1, 2, 3, 4, 5, 6], ""),
        ([0, 0, 1, 1, 1, 1], [0, 0, 0, 1, 1, 1], "x = 1: 3 of 3 are successes"),
        ([1, 1, 0, 0, 0, 0], [0, 0, 0, 1, 1, 1], "x = 1: 0 of 3 are successes"),
        ([1, 1, 0, 1, 0, 0], [0, 0, 0, 1, 1, 1], ""),
    ],
)
@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5], [3, 0, 5, 1, 4, 2]])
def test_a_number_that_splits_the_outcome_is_named(y: list[int], x: list[float], words: str, order: list[int]) -> None:
    frame = pd.DataFrame({"g": list("ABABAB"), "y": np.array(y)[order], "x": np.array(x, dtype=float)[order]})
    warnings = separated(frame, predictors=["x"])
    assert [subject for subject, _ in warnings] == ["x"] * bool(words)
    assert all(words in hint for _, hint in warnings)


def test_an_outcome_of_one_value_is_named_once() -> None:
    warnings = separated(outcomes({"a": (5, 5), "b": (5, 5)}), predictors=["arm"])
    assert [(subject, "10 of 10 are successes" in hint) for subject, hint in warnings] == [("y", True)]


def test_no_shipped_analysis_is_separated_or_has_too_many_effects() -> None:
    for name, analysis in analyses().items():
        if analysis.family.check_table or analysis.family.programs.unlearnable:
            table = prepare_table(analysis.family, analysis.dataset)
            assert not [v for v in table.verdicts if v.name == "separation"], name
            by_samples = "sample" in analysis.dataset.columns  # which are the posterior without pooling already
            expected = ("partial_pooling",) if by_samples else analysis.family.default_variants
            assert analysis.family.variants_for(table) == expected, name


# As many effects as rows


def once(ids: int = 12, levels: str = "ABCDE", times: int = 1, drop: int = 0, seed: int = 3) -> pd.DataFrame:
    """Each id has each treatment so many times, but for some rows that are missing; shuffled."""
    rows = [(f"ID{i}", level) for i in range(ids) for level in levels for _ in range(times)]
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame([rows[i] for i in rng.permutation(len(rows))][drop:], columns=["g", "arm"])
    return frame.assign(y=rng.normal(size=len(frame)), z=(rng.random(len(frame)) < 0.5).astype(int))


@pytest.mark.parametrize(
    ("frame", "fits"),
    [
        (once(), False),
        (once(drop=7), False),
        (once(levels="AB"), False),
        (once(times=2), True),
        (pd.concat([once(levels="AB"), once(ids=3, levels="A")]), True),
        (once(levels="A").assign(arm=["A", "B"] * 6), False),
    ],
    ids=["once", "once with gaps", "before and after", "twice", "some twice", "one row each"],
)
def test_slopes_seen_once_in_each_group_are_refused_before_sampling(frame: pd.DataFrame, fits: bool) -> None:
    model = family("linear_regression")
    dataset = Dataset.from_frame(frame, group="g", outcome="y", predictors=["arm"])
    table = prepare_table(model, dataset)
    assert model.variants_for(table) == (DEFAULT if fits else INTERCEPT)
    assert bool(model.left_out(table)) != fits
    assert len(jobs_of(model, dataset, INTERCEPT, None, SAMPLING, Named())) == 3  # type: ignore[arg-type]
    for name in ("partial_pooling", "partial_pooling_noncentered", "partial_pooling_by_term"):
        if fits:
            model.refuse_unlearnable(table, name)
            continue
        with pytest.raises(DataError, match="partial_pooling_intercept works") as caught:
            jobs_of(model, dataset, [name], None, SAMPLING, Named())  # type: ignore[arg-type]
        assert name in str(caught.value)


def test_of_0_and_1_trials_count_not_rows() -> None:
    """Arms in studies, each once, with patients in them: the usual analysis, and one that can be made."""
    frame = once(levels="AB")
    model = family("logistic_regression")
    single = Dataset.from_frame(frame, group="g", outcome="z", predictors=["arm"])
    assert model.variants_for(prepare_table(model, single)) == INTERCEPT
    with pytest.raises(DataError, match="partial_pooling_intercept works"):
        choose_parameterisation(model, single)
    many = Dataset.from_frame(frame.assign(n=9, s=3 + frame["z"]), group="g", successes="s", trials="n",
                              predictors=["arm"])  # fmt: skip
    assert model.variants_for(prepare_table(model, many)) == DEFAULT


class Named:
    """As much of an engine as a job needs."""

    name, version = "none", "0"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    once().to_csv(tmp_path / "once.csv", index=False)
    subjects = [(f"s{i}", f"i{j}", i + 0.5 * j + k / 9) for i in range(6) for j in range(3) for k in range(2)]
    pd.DataFrame(subjects, columns=["subject", "item", "y"]).to_csv(tmp_path / "items.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def hbm(*words: str) -> Any:
    return CliRunner().invoke(app, list(words))


def test_new_writes_variants_that_work_and_says_why(place: Path) -> None:
    roles = ["--group", "g", "--outcome", "y", "--predictors", "arm"]
    done = hbm("new", "once.csv", "--family", "linear_regression", *roles, "--to", "a")
    assert done.exit_code == 0, done.output
    assert "Partial pooling cannot be learnt from these rows" in done.stdout
    text = (place / "a" / "analysis.toml").read_text()
    settings = tomllib.loads(text)
    assert settings["variants"] == settings["comparison"]["variants"] == list(INTERCEPT)
    assert "# Partial pooling cannot be learnt from these rows" in text
    assert read_analysis(place / "a").main_variant == "partial_pooling_intercept"
    lean = "\n".join(line for line in text.splitlines() if not line.startswith("variants"))
    (place / "a" / "analysis.toml").write_text(lean)
    assert read_analysis(place / "a").variants == INTERCEPT
    (place / "a" / "analysis.toml").write_text(text.replace("partial_pooling_intercept", "partial_pooling"))
    for command in ("report", "check", "fit"):
        done = hbm(command, "a", "--engine", "stanli")
        assert done.exit_code == 2, done.output
        assert "partial_pooling_intercept works" in " ".join(done.output.split())
        assert not (place / "a" / "fits").exists()


# Units that recur


def test_units_that_recur_in_groups_are_refused_unless_labels_repeat(place: Path) -> None:
    """Items that all subjects answer came out as a mean of 3.7 (sd 0.17) where 5 (0.44) is right."""
    call = ["new", "items.csv", "--family", "nested_normal", "--group", "subject", "--unit", "item", "--outcome", "y"]
    done = hbm(*call, "--to", "a")
    assert done.exit_code == 2
    message = " ".join(done.output.split())
    assert "'item': the unit 'i0' stands in 6 groups ('s0', 's1', 's2', ...)" in message
    assert "--unit-labels repeat" in message
    assert "crossed" in message
    done = hbm(*call, "--to", "a", "--unit-labels", "repeat")
    assert done.exit_code == 0, done.output
    read = read_analysis(place / "a")
    units = prepare_table(read.family, read.dataset).units
    assert units is not None
    assert len(units.labels) == 18
    done = hbm(*call, "--to", "b", "--unit-labels", "again")
    assert done.exit_code == 2
    assert "Did you mean 'repeat'?" in done.output or "'repeat'" in done.output


@pytest.mark.parametrize("labels", [["a1", "a2", "b1", "a2"], ["a1", "a1", "a1", "a1"]])
def test_one_label_that_recurs_is_enough(labels: list[str]) -> None:
    frame = pd.DataFrame({"g": list("AABB"), "u": labels, "y": [1.0, 2.0, 3.0, 4.0]})
    roles = {"group": "g", "unit": "u", "outcome": "y"}
    with pytest.raises(DataError, match="stands in 2 groups"):
        prepare_table(family("nested_normal"), Dataset.from_frame(frame, roles))
    assert prepare_table(family("nested_normal"), Dataset.from_frame(frame, roles, unit_labels="repeat")).units


def test_families_without_units_have_no_labels_of_units() -> None:
    frame = pd.DataFrame({"g": list("AABB"), "y": [1.0, 2.0, 3.0, 4.0]})
    with pytest.raises(DataError, match="unit_labels is for units"):
        prepare_table(family("grouped_normal"), Dataset.from_frame(frame, group="g", outcome="y", unit_labels="repeat"))
