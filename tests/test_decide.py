"""``hbm decide``: what it says, what it refuses, and the state that goes on from one day to the next."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_cli_errors import HEAVY, hbm, one_paragraph

from hbm_stan import files
from hbm_stan.bandit.arms import COLUMNS, read_arms
from hbm_stan.bandit.decision import decide
from hbm_stan.bandit.state import VERSION, State, first_day, next_day, read_state, retire, write_state
from hbm_stan.bandit.thompson import Bandit
from hbm_stan.errors import DataError

MONDAY = "arm,successes,trials\nred,4,40\nblue,9,50\ngreen,0,3\nwhite,2,10\nblack,0,25\n"
TUESDAY = "arm,successes,trials\nblue,3,20\ngrey,1,4\nred,0,5\n"
AB_TEST = ("--arm", "variant", "--successes", "conversions", "--trials", "visitors")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "monday.csv").write_text(MONDAY)
    (tmp_path / "tuesday.csv").write_text(TUESDAY)
    return tmp_path


def decided(*words: object) -> dict[str, Any]:
    done = hbm("decide", *words, "--json", "out.json")
    assert done.exit_code == 0, done.output
    return {**json.loads(Path("out.json").read_text()), "stdout": done.stdout}


# --- what it says ---------------------------------------------------------------------------------------------------


def test_a_shipped_table_is_decided(place: Path) -> None:
    result = decided("ab_test", *AB_TEST)
    rows = {row["arm"]: row for row in result["arms"]}
    assert len(rows) == 20
    assert sum(result["next"].values()) == 1
    assert sum(row["p_best"] for row in rows.values()) == pytest.approx(1)
    stop = result["stop"]
    assert stop["arm"] == result["arms"][0]["arm"] == "Variant 20"
    assert stop["loss"] == min(row["loss"] for row in rows.values())
    assert f"Next: {next(iter(result['next']))} (drawn by Thompson sampling" in result["stdout"]
    assert "If you stop now, keep Variant 20" in result["stdout"]
    assert "An arm that was never tried has an expected rate of 0.047" in result["stdout"]
    assert result["priors"] == {"mu": "beta(1, 1)", "kappa": "lognormal(4.5, 2)"}


def test_the_order_of_rows_changes_names_and_nothing_else(place: Path) -> None:
    head, *rows = MONDAY.splitlines()
    Path("turned.csv").write_text("\n".join([head, *rows[::-1]]))
    one, other = ({row["arm"]: row for row in decided(name)["arms"]} for name in ("monday.csv", "turned.csv"))
    for arm, row in one.items():
        assert row["mean"] == pytest.approx(other[arm]["mean"], rel=1e-9)
        error = np.hypot(row["p_best_mcse"], other[arm]["p_best_mcse"])
        assert abs(row["p_best"] - other[arm]["p_best"]) < 4 * error + 1e-9


def test_a_batch_is_shared_out_and_the_same_call_decides_alike(place: Path) -> None:
    one, again, other = (decided("monday.csv", "--batch", 500, "--seed", seed) for seed in (1, 1, 2))
    assert sum(one["next"].values()) == 500
    assert one == again
    assert one["next"] != other["next"]
    assert "The next 500 trials go to" in one["stdout"]
    rows = {row["arm"]: row for row in one["arms"]}
    for arm, row in rows.items():
        p = row["p_best"]
        assert abs(one["next"].get(arm, 0) / 500 - p) < 4 * np.sqrt(p * (1 - p) / 500) + 1e-9


def test_equal_columns_of_other_names_give_the_same_and_the_python_way_too(place: Path) -> None:
    Path("named.csv").write_text(MONDAY.replace("arm,successes,trials", "shop,sold,asked"))
    by_role = decided("named.csv", "--arm", "shop", "--successes", "sold", "--trials", "asked")
    by_name = decided("monday.csv")
    assert by_role["arms"] == by_name["arms"]
    arms = read_arms("monday.csv")
    mean = decide(Bandit(arms.labels, arms.hits, arms.trials), draws=100).table["mean"]
    np.testing.assert_allclose(mean, [row["mean"] for row in by_name["arms"]], rtol=1e-9)


def test_arms_without_any_trial_have_equal_chances(place: Path) -> None:
    Path("new.csv").write_text("arm,successes,trials\n" + "".join(f"a{j},0,0\n" for j in range(8)))
    result = decided("new.csv")
    for row in result["arms"]:
        assert abs(row["p_best"] - 1 / 8) < 4 * row["p_best_mcse"]
        assert row["mean"] == pytest.approx(0.5, abs=1e-9)


def test_few_arms_and_names_that_look_alike_are_warned_of(place: Path) -> None:
    Path("few.csv").write_text("arm,successes,trials\nBlue,1,20\nblue,2,20\nTotal,3,40\n")
    out = decided("few.csv")["stdout"]
    assert "Warning: 3 arms say little of how much arms differ" in out
    assert "'Blue' and 'blue'" in out
    assert "'Total'" in out


def test_another_prior_changes_the_answer(place: Path) -> None:
    alike = decided("monday.csv", "--prior", "kappa=lognormal(9, 0.1)")
    assert alike["priors"]["kappa"] == "lognormal(9, 0.1)"
    means = [row["mean"] for row in alike["arms"]]
    assert max(means) - min(means) < 0.01 < np.ptp([row["mean"] for row in decided("monday.csv")["arms"]])


def test_of_many_arms_the_best_are_shown_and_all_are_in_json(place: Path) -> None:
    rows = "".join(f"a{j},{j % 7},{20 + j}\n" for j in range(60))
    Path("many.csv").write_text("arm,successes,trials\n" + rows)
    result = decided("many.csv")
    assert len(result["arms"]) == 60
    assert "more arms stand in --json PATH." in result["stdout"]


# --- the state ------------------------------------------------------------------------------------------------------


def test_two_days_equal_one_table_of_both(place: Path) -> None:
    decided("monday.csv", "--state", "s.json")
    second = decided("tuesday.csv", "--state", "s.json")
    assert "29 new trials are added to 128 of before." in second["notes"]
    assert "New arms: 'grey'." in second["notes"]
    silent = "Not in the table, without new results, and still in play: 'green', 'white', 'black'."
    assert silent in second["notes"]
    both = "arm,successes,trials\nred,4,45\nblue,12,70\ngreen,0,3\nwhite,2,10\nblack,0,25\ngrey,1,4\n"
    Path("both.csv").write_text(both)
    # The priors of the first day go on: those of the whole table would be others.
    prior = second["priors"]["kappa"]
    whole = decided("both.csv", "--prior", f"kappa={prior}")
    assert second["arms"] == whole["arms"]
    assert decided("--state", "s.json")["arms"] == whole["arms"]
    totals = decided("both.csv", "--state", "s.json", "--totals")
    assert "0 trials are new since before." in totals["notes"]
    assert totals["arms"] == whole["arms"]


def test_columns_are_remembered(place: Path) -> None:
    Path("named.csv").write_text(MONDAY.replace("arm,successes,trials", "shop,sold,asked"))
    decided("named.csv", "--state", "s.json", "--arm", "shop", "--successes", "sold", "--trials", "asked")
    Path("later.csv").write_text(TUESDAY.replace("arm,successes,trials", "shop,sold,asked"))
    assert len(decided("later.csv", "--state", "s.json")["arms"]) == 6
    Path("renamed.csv").write_text("place,sold,asked\nred,1,6\n")
    decided("renamed.csv", "--state", "s.json", "--arm", "place")
    Path("renamed.csv").write_text("place,sold,asked\nred,2,6\n")
    assert sum(row["trials"] for row in decided("renamed.csv", "--state", "s.json")["arms"]) == 128 + 29 + 12


def test_arms_that_are_gone_are_retired_by_name_and_may_come_back(place: Path) -> None:
    decided("monday.csv", "--state", "s.json")
    Path("totals.csv").write_text("arm,successes,trials\nred,5,44\nblue,9,50\nwhite,2,10\n")
    gone = decided("totals.csv", "--state", "s.json", "--totals")
    assert "Not in the table, and so retired: 'green', 'black'. What they taught of the others stays." in gone["notes"]
    assert gone["retired"] == ["green", "black"]
    assert [row["arm"] for row in gone["arms"]] == ["blue", "white", "red"]
    # What they taught stays: without their counts the others' rates would be higher.
    without = {row["arm"]: row for row in decided("totals.csv", "--prior", f"kappa={gone['priors']['kappa']}")["arms"]}
    assert all(row["mean"] < without[row["arm"]]["mean"] for row in gone["arms"])
    named = decided("--state", "s.json", "--retire", "white")
    assert named["retired"] == ["green", "black", "white"]
    Path("back.csv").write_text("arm,successes,trials\ngreen,2,9\n")
    back = decided("back.csv", "--state", "s.json")
    assert "In play again: 'green'." in back["notes"]
    assert {row["arm"]: row["trials"] for row in back["arms"]} == {"red": 44, "blue": 50, "green": 12}


def test_the_same_table_twice_does_not_count_twice(place: Path) -> None:
    decided("monday.csv", "--state", "s.json")
    before = Path("s.json").read_bytes()
    one_paragraph(hbm("decide", "monday.csv", "--state", "s.json"), "monday.csv", "count twice", "--again", "--totals")
    assert Path("s.json").read_bytes() == before
    again = decided("monday.csv", "--state", "s.json", "--again")
    assert sum(row["trials"] for row in again["arms"]) == 2 * 128


def test_a_state_of_other_arms_is_refused(place: Path) -> None:
    decided("monday.csv", "--state", "s.json")
    Path("other.csv").write_text("arm,successes,trials\ncat,1,2\ndog,0,5\n")
    one_paragraph(
        hbm("decide", "other.csv", "--state", "s.json"), "other.csv", "none of its arms ('cat', 'dog')", "'red'"
    )


def test_totals_that_fell_are_refused(place: Path) -> None:
    decided("monday.csv", "--state", "s.json")
    message = "'blue' has 3 successes of 20 trials, and had 9 of 50 before. Totals do not fall"
    one_paragraph(hbm("decide", "tuesday.csv", "--state", "s.json", "--totals"), message)
    # More successes, but fewer failures.
    Path("odd.csv").write_text(MONDAY.replace("blue,9,50", "blue,30,60"))
    one_paragraph(hbm("decide", "odd.csv", "--state", "s.json", "--totals"), "had 9 of 50 before")


def damaged(change: Any) -> None:
    content = json.loads(Path("s.json").read_text())
    change(content)
    Path("s.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "fragments"),
    [
        (lambda c: c.update(version=VERSION + 1), (f"version {VERSION + 1}", f"reads version {VERSION}")),
        (lambda c: c["state"]["arms"][1].update(trials=49), ("damaged, or was changed by hand",)),
        (lambda c: c["state"]["arms"].pop(), ("damaged, or was changed by hand",)),
        (lambda c: c["state"]["priors"].update(kappa="lognormal(1, 1)"), ("damaged, or was changed by hand",)),
        (lambda c: c.pop("sha256"), ("damaged",)),
        (lambda c: c.pop("state"), ("damaged",)),
        (lambda c: c.pop("kind"), ("no state file",)),
    ],
)
def test_another_version_and_a_changed_state_are_refused(place: Path, change: Any, fragments: tuple[str, ...]) -> None:
    decided("monday.csv", "--state", "s.json")
    damaged(change)
    before = Path("s.json").read_bytes()
    one_paragraph(hbm("decide", "tuesday.csv", "--state", "s.json"), "s.json", *fragments)
    assert Path("s.json").read_bytes() == before


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_state_cut_short_is_refused(place: Path, share: float) -> None:
    decided("monday.csv", "--state", "s.json")
    whole = Path("s.json").read_bytes()
    Path("s.json").write_bytes(whole[: int(share * len(whole))])
    one_paragraph(hbm("decide", "tuesday.csv", "--state", "s.json"), "s.json", "damaged", "begin anew")


def test_a_state_is_never_half_written(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decided("monday.csv", "--state", "s.json")
    before = Path("s.json").read_bytes()

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    one_paragraph(hbm("decide", "tuesday.csv", "--state", "s.json"), "No space left on device", code=3)
    assert Path("s.json").read_bytes() == before
    assert [p.name for p in place.iterdir() if p.name.startswith(".")] == []


def test_a_write_that_is_not_whole_would_be_caught(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Planted fault: the state is written in its place, and the disk is full half way.
    decided("monday.csv", "--state", "s.json")
    before = Path("s.json").read_bytes()

    def in_place(path: Path, content: bytes) -> None:
        path.write_bytes(content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "_replace", in_place)
    assert hbm("decide", "tuesday.csv", "--state", "s.json").exit_code == 3
    assert Path("s.json").read_bytes() != before


def test_a_state_that_another_call_changed_meanwhile_is_not_written_over(place: Path) -> None:
    arms = read_arms("monday.csv")
    state = first_day(arms, {"mu": "beta(1, 1)", "kappa": "lognormal(3, 2)"}, COLUMNS)
    path = Path("s.json")
    write_state(path, state, None)
    read, raw = read_state(path)
    assert read == state
    write_state(path, next_day(read, read_arms("tuesday.csv")).state, raw)
    for before in (raw, None):
        with pytest.raises(DataError, match="changed by another call meanwhile"):
            write_state(path, state, before)


def test_a_state_of_many_arms_is_read_back(place: Path) -> None:
    labels = tuple(f"arm {j}, “ä” \\ \t{j}" for j in range(3000))
    state = State(
        labels=labels, successes=tuple(range(3000)), trials=tuple(range(1, 3001)), priors={"mu": "beta(1, 1)"},
        columns=COLUMNS, retired=labels[:5], tables=("0" * 64,),
    )  # fmt: skip
    write_state(Path("s.json"), state, None)
    assert read_state(Path("s.json"))[0] == state
    with pytest.raises(DataError, match="no arm 'arm x'"):
        retire(state, ["arm x"])


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "fragments"),
    [
        ("arm,successes,trials\na,5,4\nb,1,3\n", ("column 'successes'", "above 'trials'", "line 2: '5'")),
        ("arm,successes,trials\na,1,4\nb,1.5,3\n", ("a count is a whole number", "line 3: '1.5'")),
        ("arm,successes,trials\na,1,4\nb,-1,3\n", ("cannot be negative", "line 3")),
        ("arm,successes,trials\na,1,4\nb,,3\n", ("no value in line 3",)),
        ("arm,successes,trials\na,1,4\nb,x,3\n", ("not a number", "line 3: 'x'")),
        ("arm,successes,trials\na,1,4\n,1,3\n", ("no label in line 3",)),
        ("arm,successes,trials\na,1,4\nb,1,5\na,2,3\n", ("the arm 'a' stands in 2 rows", "line 2, line 4")),
        ("arm,successes,trials\n", ("no rows",)),
        ("", ("the file is empty",)),
        ("arm,successes,trials\na,1,4\n", ("one arm in play only ('a')",)),
        ("arm,sucesses,trials\na,1,4\nb,1,5\n", ("'successes'", "Did you mean 'sucesses'?", "--successes COLUMN")),
        ("name,successes,trials\na,1,4\nb,1,5\n", ("no column 'arm'", "The columns are", "--arm COLUMN")),
    ],
)
def test_a_wrong_table_is_refused_in_words(place: Path, content: str, fragments: tuple[str, ...]) -> None:
    Path("arms.csv").write_text(content)
    one_paragraph(
        hbm("decide", "arms.csv", "--state", "s.json"), "arms.csv" if "in play" not in fragments[0] else "", *fragments
    )
    assert not Path("s.json").exists()


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        ((), ("A table of arms is needed", "hbm decide ARMS.csv")),
        (("--state", "gone.json"), ("A table of arms is needed", "there is no file gone.json")),
        (("gone.csv",), ("gone.csv", "no such file")),
        (("monday.csv", "--totals"), ("--totals", "there is none")),
        (("monday.csv", "--again"), ("--again", "there is none")),
        (("monday.csv", "--retire", "redd"), ("no arm 'redd'", "Did you mean 'red'?")),
        (("monday.csv", "--prior", "kappa"), ("write NAME=PRIOR",)),
        (("monday.csv", "--prior", "kapa=lognormal(3, 1)"), ("no prior named 'kapa'", "Did you mean 'kappa'?")),
        (("monday.csv", "--prior", "kappa=uniform(0, 9)"), ("uniform(0, 9) ends at a number",)),
        (("monday.csv", "--state", "tuesday.csv"), ("tuesday.csv", "not a state file", "It is kept")),
        (("monday.csv", "--state", "no/s.json"), ("there is no folder no",)),
        (("monday.csv", "--state", "s.json", "--json", "./s.json"), ("--json and --state both name",)),
        (("monday.csv", "--successes", "trials"), ("'trials' is named by --successes and --trials",)),
        (("monday.csv", "--engine", "stan"), ("no engine 'stan'",)),
    ],
)
def test_a_wrong_call_is_refused_in_words(place: Path, words: tuple[str, ...], fragments: tuple[str, ...]) -> None:
    before = {p.name: p.read_bytes() for p in place.iterdir()}
    one_paragraph(hbm("decide", *words), *fragments)
    assert {p.name: p.read_bytes() for p in place.iterdir()} == before


def test_a_prior_goes_with_the_first_day_only(place: Path) -> None:
    decided("monday.csv", "--state", "s.json", "--prior", "kappa=lognormal(4, 1)")
    one_paragraph(
        hbm("decide", "tuesday.csv", "--state", "s.json", "--prior", "kappa=lognormal(5, 1)"), "those of its first day"
    )
    assert decided("tuesday.csv", "--state", "s.json")["priors"]["kappa"] == "lognormal(4, 1)"


def test_a_mistyped_path_is_refused_before_any_library_is_imported(place: Path) -> None:
    program = (
        "import sys\nfrom typer.testing import CliRunner\nfrom hbm_stan.cli.app import app\n"
        "done = CliRunner().invoke(app, ['decide', 'gone.csv'])\nassert done.exit_code == 2, done.output\n"
        f"print(sorted(set(sys.modules) & {HEAVY!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )  # fmt: skip
    assert done.stdout.strip() == "[]"
