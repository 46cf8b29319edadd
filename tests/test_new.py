"""`hbm new` and the writing of files: what is written loads at once, and what was there before is kept whole."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest

from hbm_stan.analysis.new import new_analysis
from hbm_stan.analysis.read import read_analysis
from hbm_stan.data import load
from hbm_stan.engines import Sampling
from hbm_stan.errors import HbmError, ModelError, StorageError
from hbm_stan.families import family
from hbm_stan.files import refuse_place, write_beside
from hbm_stan.fit import jobs_of, prepare_table

TABLE = "school,effect,se\nA,28,15\nB,8,10\nC,-3,16\nD,7,11\nE,-1,9\n"
ROLES = {"group": "school", "estimate": "effect", "standard_error": "se"}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "schools.csv"
    path.write_text(TABLE)
    return path


def new(data: object, to: Path, columns: dict[str, str] | None = None, **options: Any) -> Path:
    return new_analysis(str(data), "normal_means", columns or ROLES, to, **options).path


def test_every_default_is_spelled_out(table: Path, tmp_path: Path) -> None:
    settings = tomllib.loads(new(table, tmp_path / "a").read_text())
    model = family("normal_means")
    defaults = model.priors(prepare_table(model, load(table, ROLES)))
    assert settings["family"] == "normal_means"
    assert settings["variants"] == settings["comparison"]["variants"] == list(model.default_variants)
    assert settings["columns"] == ROLES
    assert settings["priors"] == {name: prior.text for name, prior in defaults.items()}
    assert set(settings["reasons"]) == set(defaults)
    assert settings["sampling"] == {**Sampling().as_dict(), "engine": "auto"}
    assert (settings["title"], settings["question"], settings["checks"]) == ("schools", "", {"waive": []})


def test_what_is_written_means_what_is_left_out(table: Path, tmp_path: Path) -> None:
    """The fits of a new analysis are those of one that says nothing but family, data and columns."""
    written = read_analysis(new(table, tmp_path / "a").parent)
    model = family("normal_means")
    data = {
        job.variant: job.data
        for job in jobs_of(model, written.dataset, written.variants, written.priors, written.sampling, Named())
    }
    plain = {
        job.variant: job.data
        for job in jobs_of(model, load(table, ROLES), model.default_variants, None, Sampling(), Named())
    }
    assert str(data) == str(plain)
    assert written.compared == model.default_variants


class Named:
    """As much of an engine as a job's key needs."""

    name, version = "none", "0"

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} is not needed")


@pytest.mark.parametrize("seed", [0, 11, 2**31 - 1])
def test_a_seed_is_written(table: Path, tmp_path: Path, seed: int) -> None:
    assert read_analysis(new(table, tmp_path / "a", seed=seed).parent).sampling.seed == seed


@pytest.mark.parametrize("where", ["beside", "below", "above", "linked"])
def test_the_data_are_found_from_any_working_directory(
    tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here is é"
    (here / "deep").mkdir(parents=True)
    data = {"above": "../schools 1.csv", "below": "deep/schools 1.csv"}.get(where, "schools 1.csv")
    (here / data).write_text(TABLE)
    to = Path("deep/er/analysis")
    if where == "linked":
        (tmp_path / "far" / "off").mkdir(parents=True)
        (here / "link").symlink_to(tmp_path / "far" / "off")
        to = Path("link/analysis")
    monkeypatch.chdir(here)
    target = (here / new(data, to)).resolve()
    monkeypatch.chdir("/")
    assert read_analysis(target).dataset.table.n_rows == 5
    assert not Path(tomllib.loads(target.read_text())["data"]).is_absolute()


def test_a_link_to_the_data_stays_a_link(table: Path, tmp_path: Path) -> None:
    (tmp_path / "newest.csv").symlink_to(table)
    assert tomllib.loads(new(tmp_path / "newest.csv", tmp_path / "a").read_text())["data"] == "../newest.csv"


def test_a_shipped_dataset_keeps_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    target = new("eight_schools", tmp_path / "a")
    settings = tomllib.loads(target.read_text())
    assert (settings["data"], settings["title"]) == ("eight_schools", "Coaching for the SAT in eight schools")
    assert read_analysis(target).dataset.unit("estimate") == "points"


@pytest.mark.parametrize(
    "name", ['a "quoted" one', "with # and $", "back\\slash", "new\nline", "é日本", "x" * 200, "'", "\x7f"]
)
def test_odd_names_of_files_and_columns_are_written_and_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.csv"
    cell = '"' + name.replace('"', '""') + '"'
    path.write_text(TABLE.replace("effect", cell), newline="")
    target = new(path, tmp_path / "a", {**ROLES, "estimate": name})
    read = read_analysis(target)
    assert (read.title, read.dataset.columns["estimate"]) == (name, name)


@pytest.mark.parametrize(
    ("data", "columns", "words"),
    [
        ("gone.csv", ROLES, ("gone.csv", "no such file")),
        ("", ROLES, ("need a name",)),
        ("schools.csv", {**ROLES, "estimate": "effct"}, ("'effct'", "Did you mean 'effect'?")),
        ("schools.csv", {"group": "school", "estimate": "effect"}, ("'standard_error'", "'school', 'effect', 'se'")),
        ("schools.csv", {**ROLES, "estimate": "school"}, ("2 roles",)),
        ("schools.csv", {**ROLES, "group": "effect", "estimate": "school"}, ("'school'", "not a number")),
    ],
)
@pytest.mark.parametrize("force", [False, True])
def test_nothing_is_written_where_something_is_wrong(
    table: Path, tmp_path: Path, data: str, columns: dict[str, str], words: tuple[str, ...], force: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    to = tmp_path / "a"
    if force:
        to.mkdir()
        (to / "analysis.toml").write_text("old")
    with pytest.raises(HbmError) as caught:
        new(data, to, columns, force=force)
    assert caught.value.exit_code == 2
    for word in words:
        assert word in str(caught.value)
    assert (to / "analysis.toml").read_text() == "old" if force else not to.exists()


def test_an_analysis_that_is_there_is_kept_unless_forced(table: Path, tmp_path: Path) -> None:
    target = new(table, tmp_path / "a")
    target.write_text("mine")
    with pytest.raises(ModelError, match=r"analysis\.toml is there already.*--force"):
        new(table, tmp_path / "a")
    assert target.read_text() == "mine"
    new(table, tmp_path / "a", force=True)
    assert read_analysis(target).title == "schools"
    assert sorted(p.name for p in target.parent.iterdir()) == ["analysis.toml"]


@pytest.mark.parametrize("to", ["schools.csv", "schools.csv/deeper"])
def test_a_file_is_no_folder(table: Path, tmp_path: Path, to: str) -> None:
    with pytest.raises(ModelError, match=r"schools\.csv is a file.*--to"):
        new(table, tmp_path / to)
    assert table.read_text() == TABLE


def test_home_is_understood(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert new("~/schools.csv", Path("~/a")) == tmp_path / "a" / "analysis.toml"


def test_a_name_that_no_text_can_hold_is_refused(tmp_path: Path) -> None:
    try:
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.csv"))
        path.write_text(TABLE)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    with pytest.raises(ModelError, match="UTF-8"):
        new(path, tmp_path / "a")
    assert not (tmp_path / "a").exists()


# Writing


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "results.json"
    write_beside(path, b"old")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"results\.json cannot be written \(No space left on device\)"):
        write_beside(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["results.json"]


def test_a_folder_that_may_not_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        write_beside(tmp_path / "file" / "x.json", b"new")
    with pytest.raises(StorageError, match="cannot be written"):
        write_beside(tmp_path, b"new")
    with pytest.raises(StorageError, match="cannot be written"):
        write_beside(Path("/proc/nowhere/x.json"), b"new")


def test_a_link_is_written_through(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (real / "x.json").write_text("old")
    (tmp_path / "link.json").symlink_to(real / "x.json")
    write_beside(tmp_path / "link.json", b"new")
    assert (tmp_path / "link.json").is_symlink()
    assert (real / "x.json").read_bytes() == b"new"


def test_rights_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "private.json"
    write_beside(path, b"old")
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    path.chmod(0o600)
    write_beside(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_is_write_protected_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "results.json"
    write_beside(path, b"old")
    path.chmod(0o444)
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write to everything
    with pytest.raises(StorageError, match="write-protected"):
        write_beside(path, b"new")
    assert path.read_bytes() == b"old"


def test_a_pipe_or_a_device_is_written_to_and_never_replaced(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    write_beside(Path(f"/dev/fd/{writing}"), b"new")
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == b"new"
    write_beside(Path(os.devnull), b"new")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_a_name_as_long_as_the_system_allows_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 125 + ".json")
    write_beside(path, b"new")
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: p, "is a folder"),
        (lambda p: p / "data.csv", "not JSON"),
        (lambda p: p / "data.csv" / "x.json", "cannot be written"),
        (lambda _: Path("/proc/nowhere/x.json"), "cannot be written"),
        (lambda p: p / ("x" * 300), "cannot be written"),
    ],
)
def test_a_place_that_would_not_do_is_refused_before_the_work(tmp_path: Path, make: Any, words: str) -> None:
    (tmp_path / "data.csv").write_text(TABLE)
    with pytest.raises(HbmError, match=words) as caught:
        refuse_place(make(tmp_path), "--json")
    assert caught.value.exit_code == 2
    assert "--json" in str(caught.value)
    assert (tmp_path / "data.csv").read_text() == TABLE
    assert [p.name for p in tmp_path.iterdir()] == ["data.csv"]


@pytest.mark.parametrize(
    "make",
    [lambda p: p / "new.json", lambda p: p / "a" / "b.json", lambda p: p / "old.json", lambda _: Path(os.devnull)],
)
def test_a_place_that_will_do_is_left_as_it_is(tmp_path: Path, make: Any) -> None:
    (tmp_path / "old.json").write_text(' {"a": 1}')
    refuse_place(make(tmp_path), "--json")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("old.json", ' {"a": 1}')]
