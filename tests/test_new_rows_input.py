"""What is asked of a prediction: rows of files and frames, grids, and mistakes that are said in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fake_fits import fake_fit
from row_fits import frame, random_fit

from hbm_stan.errors import DataError, HbmError, ModelError
from hbm_stan.fit import Fit
from hbm_stan.new_rows.predict import predict
from hbm_stan.new_rows.settings import numbers_in, read_settings


@pytest.fixture(scope="module")
def counts() -> Fit:
    return random_fit("poisson", "log(x) + arm + (1 | g) + (1 | g:unit) + (1 | h)", size=10)


@pytest.fixture
def rows() -> pd.DataFrame:
    return frame().iloc[:4].reset_index(drop=True)


FREE = {"unit": "population", "h": "population"}


def test_a_grid_crosses_what_is_named_and_says_where_the_rest_stands(counts: Fit) -> None:
    prediction = predict(counts, grid="x = 1:2:0.25, arm = all, g = known new, unit = population, h = averaged")
    assert len(prediction.table) == 5 * 3 * (5 + 1)
    assert list(prediction.table["x"].unique()) == [1, 1.25, 1.5, 1.75, 2]
    assert list(prediction.table["g"].unique()) == [*counts.table.pooled.labels, "new"]
    assert (prediction.table["hours"] == np.median(frame()["hours"])).all()
    assert prediction.draws is not None
    assert prediction.draws["expected"].sizes["row"] == 90
    middle = predict(counts, grid="arm = drug")
    assert [n.split(":")[0] for n in middle.notes if "deviates from" in n] == ["g", "g", "h"]
    assert middle.table.loc[0, "x"] == pytest.approx(frame()["x"].mean())
    moved = predict(counts, grid="arm = drug", prediction={"predictors": {"x": 3.0}, "exposure": 2.0})
    assert (moved.table.loc[0, "x"], moved.table.loc[0, "hours"]) == (3.0, 2.0)


def test_known_levels_of_nested_factors_are_those_that_there_are(counts: Fit) -> None:
    prediction = predict(counts, grid="g = known, unit = known, h = p")
    pairs = frame()[["g", "unit"]].astype(str).drop_duplicates()
    assert {tuple(p) for p in prediction.table[["g", "unit"]].to_numpy()} == {tuple(p) for p in pairs.to_numpy()}
    assert len(prediction.table) == len(pairs)
    groups = predict(counts, grid="g = known, h = p")
    assert list(groups.table["g"]) == list(counts.table.pooled.labels)  # of units nothing is said: no deviation


def test_a_mapping_and_a_file_say_the_same_as_a_text(counts: Fit, rows: pd.DataFrame, tmp_path: Path) -> None:
    text = predict(counts, grid="x = 1 2, g = a b, h = population")
    values = predict(counts, grid={"x": [1, 2], "g": ["a", "b"], "h": "population"})
    pd.testing.assert_frame_equal(text.table, values.table)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    numbers = predict(counts, rows).table.filter(like="expected")
    pd.testing.assert_frame_equal(predict(counts, tmp_path / "rows.csv").table.filter(like="expected"), numbers)


def test_what_all_rows_share_may_be_said_beside_them(counts: Fit, rows: pd.DataFrame) -> None:
    beside = predict(counts, rows.drop(columns=["hours", "h"]), at={"hours": 2, "h": "q"})
    inside = predict(counts, rows.assign(hours=2, h="q"))
    np.testing.assert_array_equal(beside.table["expected_mean"], inside.table["expected_mean"])
    double = predict(counts, rows.assign(hours=4, h="q"))
    np.testing.assert_allclose(double.table["expected_mean"], 2 * inside.table["expected_mean"])


def test_a_number_outside_the_data_is_a_note(counts: Fit, rows: pd.DataFrame) -> None:
    prediction = predict(counts, rows.assign(x=[10, 10, 1000, 10]))
    (note,) = prediction.notes
    assert "x: outside the data" in note
    assert "row 3: '1000'" in note
    assert predict(counts, rows).notes == ()
    (low,) = predict(counts, rows.assign(x=[10, 0.5, 10, 10])).notes
    assert "row 2: '0.5'" in low


def test_an_outcome_that_is_computed_is_named() -> None:
    fit_ = random_fit("normal", "x + (1 | g)", frame().assign(y=np.exp(frame()["y"])), size=10, left="log(y)")
    assert "The outcome is log(y)." in predict(fit_, grid="x = 10").notes
    assert predict(fake_fit(), grid="school = A").notes == ()


def test_draws_are_left_out_on_request(counts: Fit, rows: pd.DataFrame) -> None:
    assert predict(counts, rows, draws=False).draws is None


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "no column": (
        {"drop": "x"}, r"the rows: there is no column 'x', which the model reads\. Add it, or .*--at x=",
    ),
    "no exposure": ({"drop": "hours"}, r"no column 'hours', the exposure of a row"),
    "no label": ({"drop": "h"}, r"no column 'h' with labels of h\. .*--at \"h = new\", population or averaged"),
    "no unit": ({"drop": "unit"}, r"no column 'unit' with labels of g:unit"),
    "unknown level": ({"arm": "drugs"}, r"column 'arm': no such level .* row 1: 'drugs'.* Did you mean 'drug'\?"),
    "no level": ({"arm": ["drug", None, "drug", "drug"]}, r"column 'arm': no value in row 2"),
    "no number": ({"x": [1, 2, np.nan, 4]}, r"column 'x': no value in row 3"),
    "a word": ({"x": [1, 2, "many", 4]}, r"column 'x': not a number: row 3: 'many'"),
    "no logarithm": ({"x": [1, 2, -3, 4]}, r"log\(x\) is no finite number in row 3"),
    "no hours": ({"hours": [1, 0, 1, 1]}, r"exposure \(hours\) must be a number above 0; found row 2: '0'"),
    "unknown label": ({"h": ["p", "q", "z", "r"]}, r"column 'h', row 3: 'z' is none of the 3 known levels .*new h=z"),
    "unknown unit": ({"unit": 9}, r"row 1: '[abcde]: 9' is none of the \d+ known levels of g:unit"),
    "known, declared new": ({"group": "new"}, r"column 'g', row 1: '[abcde]' was declared new, but it is"),
    "new, not there": ({"groups": {"h": ["zz"]}}, r"column 'h': no row has the new label 'zz'"),
    "no such factor": ({"groups": {"arms": "new"}}, r"no grouping factor 'arms' to be new"),
    "no such state": ({"groups": {"h": "fresh"}}, r"h: 'fresh' is none of known, new"),
    "twice": ({"at": {"x": 3}}, r"the column 'x' is there, and --at says '3' of it"),
    "unknown beside": ({"at": "age = 3"}, r"--at: the model has no column 'age'"),
    "both": ({"grid": "x = 1"}, r"Name the rows to predict"),
    "a result's name": ({"new_mean": 1.0}, r"column 'new_mean' has the name of a result"),
    "empty": ({"rows": 0}, r"has no rows"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", list(MISTAKES))
def test_mistakes_in_rows_are_said(counts: Fit, rows: pd.DataFrame, mistake: str) -> None:
    changes, message = MISTAKES[mistake]
    keys = {k: changes[k] for k in ("group", "groups", "at", "grid") if k in changes}
    cells = {k: v for k, v in changes.items() if k not in (*keys, "drop", "rows")}
    wrong_rows = rows.drop(columns=changes.get("drop", [])).assign(**cells).iloc[: changes.get("rows", 4)]
    with pytest.raises(HbmError, match=message) as caught:
        predict(counts, wrong_rows, **keys)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_mistakes_in_a_file_name_it_and_the_line(counts: Fit, rows: pd.DataFrame, tmp_path: Path) -> None:
    rows.assign(h=["p", "q", "P", "q"]).to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(DataError, match=r"rows\.csv, column 'h', line 4: 'P' is none .* Did you mean 'p'\?"):
        predict(counts, tmp_path / "rows.csv")
    (tmp_path / "none.csv").write_text("x,arm\n")
    with pytest.raises(DataError, match="a header but no rows"):
        predict(counts, tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ("x", "'x' is not column = value"),
        ("x = 1, x = 2", "'x' stands there twice"),
        ("", "--grid is empty"),
        ("x = 9:1", "must run upwards"),
        ("x = 1:9:0", "a step above 0"),
        ("x = one", "'one' is no number and no range"),
        ("x = 1:2:3:4", "no number and no range"),
        ("days = 1", r"no column 'days'\."),
        ("arm = drog", r"'arm' has no level 'drog'\. Did you mean 'drug'"),
        ("g = z", r"column 'g', row 1: 'z' is none of the 5 known levels"),
        ("x = 0:1:0.000001", "1,000,000 values; a grid has 100,000 rows at most"),
        ("x = 1:1000, o = 1", "no column 'o'"),
        ("x = 1:1000, hours = 1:101", r"the grid has 101,000 rows; 100,000 are taken at most"),
        ('arm = "drug', "a quote is opened and not closed"),
        ("g:unit = 3", "g:unit = 3: name new, population, averaged"),
    ],
)
def test_mistakes_in_a_grid_are_said(counts: Fit, grid: str, message: str) -> None:
    with pytest.raises(HbmError, match=message):
        predict(counts, grid=grid)


def test_settings_are_read_as_they_are_written() -> None:
    assert read_settings('a = 1:3, `my col` = x y, g:unit = new, h = "p, q"', "--grid") == {
        "a": "1:3", "my col": "x y", "g:unit": "new", "h": '"p, q"',
    }  # fmt: skip
    assert numbers_in("x", "0:1:0.1", "--grid")[3] == 0.3
    assert numbers_in("x", "-2:2 7", "--grid") == [-2, -1, 0, 1, 2, 7]
    assert len(numbers_in("x", "0:1:0.3", "--grid")) == 4


def test_a_label_that_reads_as_a_state_stands_in_quotes() -> None:
    data = frame().assign(g=frame()["g"].replace({"a": "new", "b": "two words"}))
    fit_ = random_fit("normal", "1 + (1 | g)", data, size=10)
    theta = fit_.draws()["theta"][:, :, 0].mean(axis=0)
    means = predict(fit_, grid='g = "new" new "two words"').table["expected_mean"]
    labels = fit_.table.pooled.labels
    assert means[0] == pytest.approx(theta[labels.index("new")])
    assert means[2] == pytest.approx(theta[labels.index("two words")])
    assert predict(fit_, grid="g = two words").table["expected_mean"][0] == pytest.approx(means[2])


def test_without_partial_pooling_new_groups_are_what_they_are() -> None:
    right = "x + (1 | g)"
    complete, no = (
        random_fit("normal", right, variant=f"{v}_pooling", size=3000, alike=True) for v in ("complete", "no")
    )
    row = frame().iloc[:1].assign(g="z")
    one, two = predict(complete, row, group="new"), predict(no, row, group="new")
    known = predict(complete, frame().iloc[:1])
    np.testing.assert_allclose(one.table["expected_mean"], known.table["expected_mean"])
    assert "denies that" in one.notes[0]
    assert two.table["expected_sd"][0] == pytest.approx(no.data["prior_theta"][0, 1], rel=0.1)
    assert "this is the prior" in two.notes[0]
    for state in ("population", "averaged"):
        with pytest.raises(ModelError, match="learns no population"):
            predict(no, row, group=state)


def test_rows_without_a_column_for_a_new_group_are_of_one_group() -> None:
    fit_ = random_fit("normal", "x + (1 | g)", size=50)
    prediction = predict(fit_, frame()[["x"]].iloc[:3].assign(x=10.0), group="new")
    assert prediction.draws is not None
    values = prediction.draws["expected"].values
    np.testing.assert_array_equal(values[..., 0], values[..., 1])


def test_what_is_no_fit_of_a_formula_is_refused() -> None:
    with pytest.raises(ModelError, match="predict takes one Fit, got dict"):
        predict({"partial_pooling": 1}, grid="x = 1")  # type: ignore[arg-type]


def test_trials_are_whole_numbers_and_categories_have_their_labels() -> None:
    trials = random_fit("binomial", "x + (1 | g)", size=10)
    with pytest.raises(DataError, match=r"trials \(n\) must be a whole number from 1; found row 2: '2\.5'"):
        predict(trials, frame().iloc[:2].assign(n=[3, 2.5]))
    assert predict(trials, grid="x = 10, g = a").table["n"][0] == 1
    wine = predict(random_fit("cumulative", "x + (1 | g)", size=400), grid="x = 9 11, g = a")
    columns = [f"share[{c}]_mean" for c in ("bad", "poor", "fair", "good")]
    np.testing.assert_allclose(wine.table[columns].sum(axis=1), 1)
    assert set(wine.table["new_q50"]) <= {"bad", "poor", "fair", "good"}
    assert wine.draws is not None
    rank = {label: k for k, label in enumerate(("bad", "poor", "fair", "good"), 1)}
    numbers = np.quantile(wine.draws["new"].values.reshape(-1, 2), [0.25, 0.75], axis=0, method="inverted_cdf")
    assert [[rank[c] for c in wine.table[f"new_{q}"]] for q in ("q25", "q75")] == numbers.tolist()
    assert list(wine.draws["category"].values) == ["bad", "poor", "fair", "good"]


def test_a_grid_of_a_family_without_predictors_names_groups() -> None:
    fit_ = fake_fit()
    prediction = predict(fit_, grid="school = known new population, se = 2")
    theta = fit_.draws("theta")["theta"].mean(axis=0)
    np.testing.assert_allclose(prediction.table["expected_mean"][:3], theta)
    assert prediction.table["expected_mean"][4] == pytest.approx(fit_.draws("mu")["mu"].mean())
    with pytest.raises(ModelError, match="no column 'x'"):
        predict(fit_, grid="x = 1")
