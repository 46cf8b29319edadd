"""Verdicts that are noted beside a fit: those that would be worked out now, or none."""

from __future__ import annotations

import json
import os
import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from spy import Spy
from typer.testing import CliRunner

from hbm_stan import checks, diagnose, fit_file, mixing, resources, rhat, sealed
from hbm_stan.analysis.read import read_analysis
from hbm_stan.attempts import failed_checks
from hbm_stan.checks import check, check_fits
from hbm_stan.cli.app import app
from hbm_stan.deferred import Deferred, Later, is_pending
from hbm_stan.diagnosis import Diagnosis
from hbm_stan.errors import StorageError
from hbm_stan.fit import Fit
from hbm_stan.fit_file import FitFile, beside
from hbm_stan.named import NamedTree
from hbm_stan.nouns import Noun
from hbm_stan.report.build import fit_analysis
from hbm_stan.store import FitStore

ANALYSIS = """
family = "normal_means"
data = "schools.csv"
variants = ["complete_pooling", "partial_pooling"]
columns = { group = "school", estimate = "effect", standard_error = "se" }
priors = { mu = "normal(0, 5)", tau = "half_cauchy(5)", theta = "normal(0, 50)" }

[sampling]
chains = 4
warmup = 200
draws = 300
seed = 5
"""
CSV = "school,effect,se\nA,28,15\nB,8,10\nC,-3,16\nD,7,11\nE,-1,9\nF,1,11\nG,18,10\nH,12,18\n"
MAIN = "partial_pooling"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An analysis whose fits are there and were checked once."""
    (tmp_path / "analysis.toml").write_text(ANALYSIS)
    (tmp_path / "schools.csv").write_text(CSV)
    check_fits(fits_in(tmp_path))
    return tmp_path


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Has no draws summarised from then on: whoever would is caught."""

    def summarised(*_draws: object, **_options: object) -> None:
        raise AssertionError("the draws were summarised again")

    return lambda: monkeypatch.setattr(mixing, "summarised", summarised)


def fits_in(folder: Path, spy: Spy | None = None) -> dict[str, Fit]:
    return fit_analysis(read_analysis(folder), engine=spy or Spy())


def notes_of(folder: Path, variant: str = MAIN) -> Path:
    (path,) = (folder / "fits").glob(f"{variant}-*.json")
    return path


def rows(diagnosis: Diagnosis) -> list[dict[str, Any]]:
    return [v.as_dict() for v in diagnosis.verdicts]


def worked_out(fit: Fit) -> Fit:
    """The same fit with draws that were read, of which no notes are asked."""
    own = replace(fit)
    assert own.file is None
    return own


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


def put_in_place(folder: Path, edit: Callable[[xr.Dataset], xr.Dataset], variant: str = MAIN) -> None:
    """Keep other draws under the key of a fit, sealed as they should be."""
    fit = fits_in(folder)[variant]
    store = FitStore(folder / "fits")
    record = store.read(variant, fit.key)
    assert record is not None
    tree = record.named.as_xarray()
    tree = tree.assign({"posterior": xr.DataTree(edit(tree["posterior"].to_dataset()))})
    store.write(variant, replace(record, named=NamedTree.of(tree)))


# The same verdicts


def test_noted_verdicts_are_those_that_are_worked_out(folder: Path, idle: Callable[[], None]) -> None:
    fits = fits_in(folder)
    fresh = check_fits({name: worked_out(fit) for name, fit in fits.items()})
    again = fits_in(folder)
    assert all(fit.file is not None for fit in again.values())
    idle()
    noted = check_fits(again)
    assert noted.keys() == fresh.keys()
    for name, diagnosis in noted.items():
        assert diagnosis.verdicts == fresh[name].verdicts
        assert json.dumps(rows(diagnosis)) == json.dumps(rows(fresh[name]))
        assert [type(v.value) for v in diagnosis.verdicts] == [type(v.value) for v in fresh[name].verdicts]
        assert is_pending(again[name], "named"), "the draws were read"


def test_tables_behind_noted_verdicts_are_made_when_they_are_asked_for(folder: Path) -> None:
    fit = fits_in(folder)[MAIN]
    noted, fresh = check(fit), check(worked_out(fit))
    assert is_pending(noted, "summary")
    pd.testing.assert_frame_equal(noted.summary, fresh.summary)
    assert noted.ppc is not None
    assert fresh.ppc is not None
    pd.testing.assert_frame_equal(noted.ppc.statistics, fresh.ppc.statistics)
    assert noted.ppc.verdict == fresh.ppc.verdict
    complete = check(fits_in(folder)["complete_pooling"])
    assert not is_pending(complete, "ppc")  # nobody has to read draws to learn that nothing was replicated
    assert complete.ppc is None
    assert repr(noted) == repr(fresh)


def test_failed_checks_are_noted_with_what_to_do(folder: Path, idle: Callable[[], None]) -> None:
    put_in_place(folder, stuck)
    fresh = check_fits(fits_in(folder))[MAIN]
    assert {v.name for v in fresh.failed} >= {"moving chains", "R-hat"}
    idle()
    noted = check_fits(fits_in(folder))[MAIN]
    assert noted.verdicts == fresh.verdicts
    assert all(v.hint for v in noted.failed)


def test_what_is_not_finite_is_noted_as_it_is(folder: Path) -> None:
    file = fits_in(folder)[MAIN].file
    assert file is not None
    assert file.facts is not None
    value = {"a": np.float64(0.1) + 0.2, "b": float("nan"), "c": np.float64("-inf"), "d": np.int64(3), "e": None}
    file.note(replace(file.facts, about={"pareto_k": np.float64(0.1)}), "q", value)  # type: ignore[dict-item]
    back = FitFile.at(file.path, file.digest)
    assert back.facts is not None
    assert back.facts.about == {"pareto_k": 0.1}
    assert repr(back.answer("q")) == repr({"a": 0.1 + 0.2, "b": float("nan"), "c": float("-inf"), "d": 3, "e": None})


@pytest.mark.parametrize("command", ["check", "summary", "compare"])
def test_commands_say_the_same_with_notes_and_without(command: str, folder: Path, tmp_path: Path) -> None:
    outputs = []
    for place in ("without", "first", "second"):
        if place == "without":
            for notes in (folder / "fits").glob("p*_pooling-*.json"):
                notes.unlink()
        target = tmp_path / f"{place}.json"
        words = [command, str(folder), "--engine", "stanli", "--json", str(target)]
        done = CliRunner().invoke(app, words, catch_exceptions=False)
        outputs.append((done.exit_code, done.stdout, target.read_bytes()))
        if place == "without":
            continue
        assert outputs[-1] == outputs[0]


# What may not be read again


def stuck(posterior: xr.Dataset) -> xr.Dataset:
    first = posterior["mu"].isel(draw=0)
    return posterior.assign(mu=posterior["mu"].where(posterior["chain"] != 1, first))


def reversed_chains(posterior: xr.Dataset) -> xr.Dataset:
    return posterior.map(lambda v: v.copy(data=v.values[::-1]))


@pytest.mark.parametrize("edit", [stuck, reversed_chains])
def test_notes_of_other_draws_are_none(edit: Callable[[xr.Dataset], xr.Dataset], folder: Path) -> None:
    before = check(fits_in(folder)[MAIN])
    put_in_place(folder, edit)
    fit = fits_in(folder)[MAIN]
    assert fit.facts is None
    after = check(fit)
    assert after.verdicts == check(worked_out(fit)).verdicts
    assert after.verdicts != before.verdicts  # of chains in another order, other data are replicated
    assert fits_in(folder)[MAIN].facts is not None


@pytest.mark.parametrize("cut", [lambda whole: whole[:-1], lambda whole: whole[:5000] + b"x" + whole[5001:]])
def test_a_damaged_fit_is_sampled_again_as_without_notes(cut: Callable[[bytes], bytes], folder: Path) -> None:
    path = notes_of(folder).with_suffix(".nc")
    path.write_bytes(cut(path.read_bytes()))
    spy = Spy()
    fits = fits_in(folder, spy)
    assert spy.sampled == [MAIN]
    assert "damaged" in fits[MAIN].reason
    check_fits(fits)
    assert fits_in(folder, spy)[MAIN].facts is not None
    assert spy.sampled == [MAIN]


@pytest.mark.parametrize(
    ("module", "name", "value"), [(rhat, "MIN_ESS_PER_CHAIN", 10**6), (diagnose, "MAX_MCSE", 1e-6),
                                  (checks, "LESS_ALIKE_P", 1.0)],
)  # fmt: skip
def test_other_thresholds_are_another_question(
    module: Any, name: str, value: float, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = check(fits_in(folder)[MAIN])
    for holder in {module, diagnose} if hasattr(diagnose, name) else {module}:
        monkeypatch.setattr(holder, name, value)
    after = check(fits_in(folder)[MAIN])
    assert after.verdicts != before.verdicts
    assert after.verdicts == check(worked_out(fits_in(folder)[MAIN])).verdicts


def test_waived_checks_are_another_question(folder: Path) -> None:
    put_in_place(folder, stuck)
    waived = [v.name for v in check(fits_in(folder)[MAIN]).failed]
    assert check(fits_in(folder)[MAIN], waived).status != "fail"
    assert check(fits_in(folder)[MAIN]).status == "fail"
    assert check(fits_in(folder)[MAIN], waived).failed == []


def test_each_check_is_a_question_of_its_own(folder: Path) -> None:
    model = [check, lambda fit: check(fit, model=False), diagnose.check]
    for ask in (*model, *reversed(model)):
        assert ask(fits_in(folder)[MAIN]).verdicts == ask(worked_out(fits_in(folder)[MAIN])).verdicts
    assert len(json.loads(notes_of(folder).read_text().splitlines()[0])["answers"]) == 3


def test_a_check_leaves_draws_as_nobody_read_them(folder: Path) -> None:
    for notes in (folder / "fits").glob("*_pooling-*.json"):
        notes.unlink()
    fit = fits_in(folder)[MAIN]
    for _ in range(2):
        check(fit)
        assert fit.file is not None
    assert failed_checks(fit) == []
    assert fit.file is not None


def test_what_sentences_call_a_group_is_part_of_the_question(folder: Path, idle: Callable[[], None]) -> None:
    fit = fits_in(folder)[MAIN]
    vars(fit)["table"] = replace(fit.table, noun=Noun("college", "colleges"))  # draws stay as nobody read them
    idle()
    with pytest.raises(AssertionError, match="summarised again"):
        check(fit)


def test_the_noun_of_groups_is_part_of_the_question(folder: Path) -> None:
    change(folder / "schools.csv", "A,28,", "A,2800,")
    before = check(fits_in(folder)[MAIN])
    change(folder / "analysis.toml", "\nfamily", '\ngroup_name = "college, colleges"\nfamily')
    spy = Spy()
    fit = fits_in(folder, spy)[MAIN]
    assert spy.sampled == []
    after = check(fit)
    assert [v.status for v in after.verdicts] == [v.status for v in before.verdicts]
    assert any("school" in v.hint for v in before.verdicts)
    assert any("college" in v.hint for v in after.verdicts)
    assert not any("school" in v.hint for v in after.verdicts)


def reader(other: str) -> Callable[[], str]:
    return lambda: other


@pytest.mark.parametrize("part", ["code", "SciPy"])
def test_other_code_reads_no_notes(part: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fit_file._reader.cache_clear()
    if part == "code":
        monkeypatch.setattr(fit_file, "own_code", reader("of tomorrow"))
    else:
        monkeypatch.setattr(fit_file, "installed_version", lambda _name: "99.0")
    assert fits_in(folder)[MAIN].facts is None
    fit_file._reader.cache_clear()


def test_own_code_is_every_file_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.py").write_text("1")
    (tmp_path / "deep" / "page.html").write_text("2")
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path)
    seen = set()
    for name, text in (("a.py", "1"), ("a.py", "3"), ("deep/page.html", "4"), ("deep/b.py", ""), ("notes.txt", "5")):
        (tmp_path / name).write_text(text)
        seen.add(resources.own_code.__wrapped__())
    assert len(seen) == 4


@pytest.mark.parametrize("name", ["scipy", "stanli", "numpy", "xarray"])
def test_versions_are_those_of_importlib(name: str) -> None:
    assert resources.installed_version(name) == metadata.version(name)


def test_the_version_is_that_of_the_package_which_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first on the path; a package of stubs has another name."""
    for number, (folder, name) in enumerate((("a", "thing_stubs"), ("b", "thing"), ("c", "thing"))):
        place = tmp_path / folder / f"{name}-{number}.0.dist-info"
        place.mkdir(parents=True)
        (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}.0\n\nVersion: 9\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path / folder) for folder in "abc"])
    assert resources.installed_version.__wrapped__("thing") == "1.0" == metadata.version("thing")
    with pytest.raises(metadata.PackageNotFoundError):
        resources.installed_version.__wrapped__("nothing")


def an_edit(text: str) -> str:
    assert '"status": "pass"' in text
    return text.replace('"status": "pass"', '"status": "fail"', 1)


@pytest.mark.parametrize(
    "damage", [an_edit, lambda text: text[: len(text) // 2], lambda _text: "", lambda _text: "{}\n{}\n",
               lambda text: text.splitlines()[0]],
)  # fmt: skip
def test_damaged_notes_are_none(damage: Callable[[str], str], folder: Path) -> None:
    before = check_fits(fits_in(folder))
    notes = notes_of(folder)
    notes.write_text(damage(notes.read_text()))
    fits = fits_in(folder)
    assert fits[MAIN].facts is None
    assert [d.verdicts for d in check_fits(fits).values()] == [d.verdicts for d in before.values()]
    assert fits_in(folder)[MAIN].facts is not None


def test_draws_that_somebody_changed_are_looked_at(folder: Path) -> None:
    fit = fits_in(folder)[MAIN]
    fit.tree["posterior"]["mu"].values[1] = 0.5
    assert {v.name for v in check(fit).failed} >= {"moving chains"}
    assert check(fits_in(folder)[MAIN]).status == "pass"  # and nothing of it was noted
    other = fits_in(folder)[MAIN]
    tree = xr.DataTree.from_dict({"posterior": stuck(other.tree["posterior"].to_dataset()),
                                  "sample_stats": other.tree["sample_stats"].to_dataset()})  # fmt: skip
    assert {v.name for v in check(replace(fits_in(folder)[MAIN], named=NamedTree.of(tree))).failed} >= {"moving chains"}


def test_a_family_of_the_users_own_is_checked_each_time(folder: Path) -> None:
    fit = fits_in(folder)[MAIN]
    notes_of(folder).unlink()
    own = fits_in(folder)[MAIN]
    vars(own)["family"] = replace(fit.family, source="print('code may be anywhere')")
    assert check(own).status == "pass"
    assert list((folder / "fits").glob(f"{MAIN}-*.json")) == []


# Where they stand


def test_notes_go_with_their_fit(folder: Path) -> None:
    first = notes_of(folder)
    for seed in range(10, 14):
        change(folder / "analysis.toml", f"seed = {5 if seed == 10 else seed - 1}", f"seed = {seed}")
        check_fits(fits_in(folder))
    assert not first.exists()
    fits, notes = ({p.stem for p in (folder / "fits").glob(f"{MAIN}-*{end}")} for end in (".nc", ".json"))
    assert len(fits) == 4
    assert notes == fits


def test_where_nothing_can_be_noted_verdicts_are_worked_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = check(fits_in(folder)[MAIN])
    notes_of(folder).unlink()

    def full(*_arguments: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(fit_file, "write_text_whole", full)
    assert check(fits_in(folder)[MAIN]).verdicts == before.verdicts


def test_the_last_answers_are_noted(folder: Path) -> None:
    file = fits_in(folder)[MAIN].file
    assert file is not None
    assert file.facts is not None
    for number in range(12):
        file.note(file.facts, f"question {number}", number)
    assert [file.answer(f"question {n}") for n in range(12)] == [None] * 4 + list(range(4, 12))
    assert beside(file.path) == notes_of(folder)


def test_a_fit_that_libraries_do_not_understand_any_more_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = fits_in(folder)[MAIN]

    def confused(_file: object) -> None:
        raise ValueError("no such layout")

    monkeypatch.setattr(sealed, "read_tree", confused)
    with pytest.raises(StorageError, match=r"no such layout.*Remove .*\.nc, and run this again") as error:
        fit.draws()
    assert error.value.exit_code == 3


# Fields that are worked out later


@dataclass(frozen=True)
class Record:
    """One field that is worked out later, and one with a default."""

    name: str
    values: Later[list[int]] = Later()  # noqa: RUF009
    note: Later[str | None] = Later(None)  # noqa: RUF009


def test_a_deferred_field_is_worked_out_once_and_travels_as_its_value() -> None:
    calls = []

    def work() -> list[int]:
        calls.append(1)
        return [1, 2]

    record = Record("a", Deferred(work))  # type: ignore[arg-type]
    assert (is_pending(record, "values"), record.note, calls) == (True, None, [])
    back = pickle.loads(pickle.dumps(record))
    assert (back.values, is_pending(back, "values")) == ([1, 2], False)
    assert is_pending(record, "values")
    assert record.values is record.values
    assert replace(record, name="b").values is record.values
    assert calls == [1]
    with pytest.raises(TypeError, match="values"):
        Record("a")  # type: ignore[call-arg]
