"""``--condition`` of ``hbm predict`` and ``hbm contrast`` as users give it: files, JSON, exit codes, early mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner, Result

from hbm_stan.cli.app import app

pytestmark = pytest.mark.usefixtures("stanli")


def hbm(*words: object) -> Result:
    return CliRunner().invoke(app, [str(w) for w in words], catch_exceptions=False)


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An analysis of ten clinics, and beside it the rows of two more and of one that is known."""
    folder = tmp_path_factory.mktemp("trial")
    rng = np.random.default_rng(7)
    labels = [*"ABCDEFGHIJ", "new one", "new two"]
    data = pd.DataFrame({"clinic": np.repeat(labels, [8] * 10 + [1, 5])})
    data["age"] = rng.integers(30, 60, len(data))
    effect = dict(zip(labels, rng.normal(0, 2, len(labels)), strict=True))
    data["score"] = (5 + 0.1 * data["age"] + data["clinic"].map(effect) + rng.normal(0, 1, len(data))).round(3)
    new = data["clinic"].str.startswith("new")
    data[~new].to_csv(folder / "trial.csv", index=False)
    data[new].to_csv(folder / "new.csv", index=False)
    data[data["clinic"] == "A"].to_csv(folder / "known.csv", index=False)
    call = ("new", folder / "trial.csv", "score ~ age + (1 | clinic)", "--to", folder / "a")
    assert hbm(*call).exit_code == 0
    return folder / "a"


def run(trial: Path, *words: object, code: int = 0) -> Result:
    done = hbm("predict", trial, *words, "--engine", "stanli")
    assert done.exit_code == code, done.output
    return done


def test_new_groups_become_tables_draws_and_json(trial: Path, tmp_path: Path) -> None:
    to, groups, nc, out = (tmp_path / name for name in ("p.csv", "g.csv", "d.nc", "o.json"))
    words = ("--condition", trial.parent / "new.csv", "--to", to, "--groups-to", groups, "--draws", nc, "--json", out)
    done = run(trial, *words)
    assert "conditioning on 2 new clinics (6 rows)" in done.output
    assert "Coefficient of each new clinic given its rows." in done.output
    assert "Not fitted again" in done.output
    table, own = pd.read_csv(to), pd.read_csv(groups)
    assert list(table["clinic"]) == ["new one"] + ["new two"] * 5
    assert list(own["group"]) == ["new one", "new two"]
    assert own["sd"][0] > own["sd"][1]
    written = json.loads(out.read_text())
    assert [line["group"] for line in written["condition"]["groups"]] == ["new one", "new two"]
    assert written["condition"]["groups"][0]["mean"] == pytest.approx(own["mean"][0])
    assert written["condition"]["threshold"] == 0.7
    assert written["condition"]["effective_draws"] > 400
    assert len(written["rows"]) == 6
    with xr.open_dataset(nc, engine="h5netcdf") as draws:
        np.testing.assert_allclose(draws["theta"].mean(("chain", "draw")).values[:, 0], own["mean"], rtol=1e-8)
        assert draws["expected"].dims == ("chain", "draw", "row")
    again = run(trial, *words)  # over its own files, from kept draws
    assert "used again" in again.output
    assert pd.read_csv(groups).equals(own)
    assert run(trial, "--condition", trial.parent / "new.csv", "--quiet").output == ""


def test_a_contrast_of_a_new_group_with_a_known_one_is_that_of_their_predictions(trial: Path, tmp_path: Path) -> None:
    out, nc = tmp_path / "o.json", tmp_path / "d.nc"
    call = ("contrast", trial, "clinic = new two - clinic = A", "--condition", trial.parent / "new.csv", "--json", out)
    done = hbm(*call, "--at", "age = 40", "--engine", "stanli")
    assert done.exit_code == 0, done.output
    assert "Coefficient of each new clinic given its rows." in done.output
    [line] = json.loads(out.read_text())["lines"]
    assert [g["group"] for g in json.loads(out.read_text())["condition"]["groups"]] == ["new one", "new two"]
    rows = tmp_path / "rows.csv"
    rows.write_text("clinic,age\nnew two,40\nA,40\n")
    run(trial, rows, "--condition", trial.parent / "new.csv", "--draws", nc)
    with xr.open_dataset(nc, engine="h5netcdf") as draws:
        expected = draws["expected"].values
    assert line["mean"] == pytest.approx(float(np.mean(expected[..., 0] - expected[..., 1])))
    # Without its rows a clinic of that name is not known.
    refused = hbm("contrast", trial, 'clinic = "new two" - clinic = A', "--engine", "stanli")
    assert refused.exit_code == 2, refused.output
    assert "none of the 10 known levels" in refused.output


def test_other_rows_and_grids_know_the_new_groups(trial: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("clinic,age\nnew one,40\nA,40\nQ,40\n")
    done = run(trial, rows, "--condition", trial.parent / "new.csv", "--new", "clinic=Q", "--json", tmp_path / "o.json")
    assert [line["clinic"] for line in json.loads((tmp_path / "o.json").read_text())["rows"]] == ["new one", "A", "Q"]
    assert "new one" in done.output
    grid = run(trial, "--condition", trial.parent / "new.csv", "--grid", 'clinic = "new one" "new two" population')
    assert "new two" in grid.output
    assert "none of the 10 known levels" in run(trial, rows, "--new", "clinic=Q", code=2).output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--condition", "none.csv"), "none.csv: no such file"),
        (("--condition", "KNOWN"), "a known level of clinic: its rows were fitted"),
        (("--condition", "NEW", "--variant", "complete_pooling"), "nothing of its own"),
        (("--condition", "NEW", "--variant", "no_pooling"), "no population is learnt"),
        (("--condition", "NEW", "--to", "NEW"), "new.csv is there already and is not a table of predictions"),
        (("--condition", "NEW", "--groups-to", "nowhere/g.csv"), "there is no folder nowhere"),
        (("--grid", "age = 40", "--groups-to", "g.csv"), "--groups-to is for the groups of --condition"),
        (("--condition", "NEW", "--to", "x.csv", "--groups-to", "x.csv"), "both name x.csv"),
    ],
)
def test_mistakes_are_said_before_sampling(trial: Path, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    call = ("new", trial.parent / "trial.csv", "score ~ age + (1 | clinic)", "--to", tmp_path / "b")
    assert hbm(*call).exit_code == 0
    places = {"KNOWN": trial.parent / "known.csv", "NEW": trial.parent / "new.csv"}
    done = hbm("predict", tmp_path / "b", *(places.get(word, word) for word in words))
    assert done.exit_code == 2
    (line,) = [line for line in done.output.splitlines() if line.startswith("hbm:")]
    assert message in line
    assert not (tmp_path / "b" / "fits").exists()


def test_rows_that_weights_cannot_follow_are_fitted_too(trial: Path, tmp_path: Path) -> None:
    far = pd.read_csv(trial.parent / "new.csv").tail(5).assign(score=[900.0, -900.0, 500.0, -300.0, 10.0])
    far.to_csv(tmp_path / "far.csv", index=False)
    words = ("--condition", tmp_path / "far.csv", "--to", tmp_path / "p.csv", "--json", tmp_path / "o.json")
    for off in (("--max-refits", 0), ("--minutes", 0)):
        done = run(trial, *words, *off, code=1)
        assert f"({off[0]}" in done.output
        assert "fit again" in done.output
        assert not (tmp_path / "p.csv").exists()
        assert json.loads((tmp_path / "o.json").read_text())["withheld"] is True
    done = run(trial, *words)
    assert "fitting again with the 5 rows of 1 new clinic" in done.output
    assert "Repaired by a refit: the rows move the population too far" in done.output
    written = json.loads((tmp_path / "o.json").read_text())
    assert written["condition"]["repaired"]["how"] == "refit"
    assert written["condition"]["repaired"]["groups"] == written["condition"]["repaired"]["moved"] == ["new two"]
    assert written["condition"]["pareto_k"] is None  # one draw has all of the weight: k is infinite
    assert "(Pareto k infinite, allowed below 0.70; " in written["condition"]["repaired"]["reason"]
    assert len(pd.read_csv(tmp_path / "p.csv")) == 5
    call = ("contrast", trial, "clinic = new two - clinic = A", "--condition", tmp_path / "far.csv", "--at", "age = 40")
    done = hbm(*call, "--json", tmp_path / "c.json", "--engine", "stanli")
    assert done.exit_code == 0, done.output
    assert "used again" in done.output  # the refit is kept
    assert json.loads((tmp_path / "c.json").read_text())["condition"]["repaired"]["how"] == "refit"
    assert hbm(*call, "--max-refits", 0, "--engine", "stanli").exit_code == 1


def test_steps_are_lines_in_a_pipe(trial: Path) -> None:
    done = run(trial, "--condition", trial.parent / "new.csv")
    lines = done.stderr.splitlines()
    assert "partial_pooling: conditioning on 2 new clinics (6 rows)" in lines
    assert "partial_pooling: drawing 2 new clinics given their rows" in lines
