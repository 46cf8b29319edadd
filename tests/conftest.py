"""What the tests share: engines, and a cache folder of its own for every test.

``cmdstan`` and ``stanli`` are engines; ``engine`` runs a test on both. Without a CmdStan they skip, and fail
where HBM_REQUIRE_ENGINE=1. Programs that CmdStan compiled stay in pytest's own cache folder by the hash of
their text: nothing compiles twice, and ``pytest --cache-clear`` (or ``make clean``) forgets them. ``reported`` is the
sample analysis with its report; ``undrawn`` is for reports of which the figures do not matter. ``tiny_disk`` is a
folder that is soon full.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from hbm_stan.engines import Engine
from hbm_stan.engines.cmdstan import CmdStanEngine
from hbm_stan.engines.install import find_cmdstan, toolchain_missing
from hbm_stan.engines.stanli import StanliEngine

ROOT = Path(__file__).parent.parent
# Not every user has pyarrow, and with it pandas holds texts in another way. Tests run without it, what they start in a
# process of its own runs with it; tests/test_parquet.py asks for it.
sys.modules.setdefault("pyarrow", None)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def compiled_programs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where compiled CmdStan programs are kept for all tests."""
    cache = getattr(request.config, "cache", None)
    return Path(cache.mkdir("programs")) if cache is not None else tmp_path_factory.mktemp("programs")


@pytest.fixture(scope="session", autouse=True)
def shared_runs(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A folder of this session for draws that several workers look at; contract.py keeps them there."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "runs"
    folder.mkdir(exist_ok=True)
    os.environ["HBM_TEST_RUNS"] = str(folder)


@pytest.fixture(autouse=True)
def cache(
    tmp_path_factory: pytest.TempPathFactory, compiled_programs: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """An empty HBM_CACHE of this test's own, but for the compiled programs, which all tests share.

    It goes with the test, as the folders of tests that passed do (pyproject.toml): together they would be 6 GB.
    """
    folder = tmp_path_factory.mktemp("cache")
    (folder / "programs").symlink_to(compiled_programs, target_is_directory=True)
    monkeypatch.setenv("HBM_CACHE", str(folder))
    monkeypatch.delenv("HBM_ENGINE", raising=False)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _lacking(what: str) -> None:
    if os.environ.get("HBM_REQUIRE_ENGINE") == "1":
        pytest.fail(f"HBM_REQUIRE_ENGINE=1, but {what}")
    pytest.skip(what)


@pytest.fixture(scope="session")
def _cmdstan_path() -> Path | None:
    return None if toolchain_missing() else find_cmdstan()


@pytest.fixture
def cmdstan(_cmdstan_path: Path | None) -> CmdStanEngine:
    """The CmdStan of this machine."""
    if _cmdstan_path is None:
        _lacking("there is no CmdStan, or no compiler for it")
    assert _cmdstan_path is not None
    return CmdStanEngine(_cmdstan_path)


@pytest.fixture
def stanli() -> StanliEngine:
    """The embedded engine."""
    try:
        import stanli as package  # noqa: F401
    except ImportError:
        _lacking("stanli cannot be imported")
    return StanliEngine()


@pytest.fixture(params=["cmdstan", "stanli"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Both engines, one after the other."""
    chosen: Engine = request.getfixturevalue(request.param)
    return chosen


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB; needs the right to mount."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def analysis(tmp_path: Path) -> Path:
    """A copy of the sample analysis, in a folder with a space, with its data beside it."""
    folder = tmp_path / "eight schools"
    folder.mkdir()
    shutil.copy(ROOT / "data" / "eight_schools" / "data.csv", folder)
    text = (ROOT / "reports" / "eight_schools" / "analysis.toml").read_text()
    (folder / "analysis.toml").write_text(text.replace("../../data/eight_schools", "data.csv"))
    return folder


@pytest.fixture
def reported(analysis: Path, stanli: StanliEngine) -> Path:
    """That copy with its report by the embedded engine, which one worker makes for all tests that look at it."""
    from hbm_stan.report.build import report

    shared = Path(os.environ["HBM_TEST_RUNS"]) / analysis.name
    with FileLock(f"{shared}.lock"):
        if not shared.exists():
            shutil.copytree(analysis, shared)
        report(shared, engine=stanli)  # the second time nothing has changed
    shutil.copytree(shared, analysis, dirs_exist_ok=True)
    return analysis


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports show a rectangle where a figure would be: most of a report's time goes into rendering its figures.

    Their tables are computed and their layers are put together all the same. Not beside ``reported``.
    """
    from hbm_stan import plots

    empty = b'<svg xmlns="http://www.w3.org/2000/svg" width="460" height="230"><rect width="9" height="9"/></svg>'
    monkeypatch.setattr(plots, "save_svg", lambda _figure: empty)
