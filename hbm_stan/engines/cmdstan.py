"""The reference engine: Stan programs compiled by CmdStan, one process for each chain."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import logging
import platform
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hbm_stan.engines import EngineDraws, Progress, Sampling, plain_data, sample_stats
from hbm_stan.engines.chains import Task, run_chains
from hbm_stan.engines.cmdstan_compile import compile_programs
from hbm_stan.engines.workplace import storing, work_folder
from hbm_stan.errors import EngineError, StorageError
from hbm_stan.program import Program
from hbm_stan.resources import cache_folder

_DIGITS = 17  # enough for a double to survive the trip through text
_UPDATES = 50  # progress reports of a chain
_LAST_LINE = b"(Total)"  # CmdStan ends its file with the seconds that it took in all
_TAIL_BYTES = 200
_AHEAD = ("pandas", "xarray", "h5py", "scipy.special")  # what takes half a second to be imported after the first draws


@dataclass(frozen=True)
class CmdStanEngine:
    """CmdStan in ``path``; compiled programs are kept in the user's cache folder by the hash of their text."""

    path: Path
    name = "cmdstan"

    @cached_property
    def version(self) -> str:
        """The version of this CmdStan."""
        from hbm_stan.engines.install import cmdstan_version

        return cmdstan_version(self.path)

    def executable(self, program: Program) -> Path:
        """Where the compiled program is, or will be."""
        with storing(Path()):
            programs = cache_folder("programs")
        # Executables look for libraries in the CmdStan that made them, and run on its kind of machine only.
        place = hashlib.sha256(f"{self.path} {platform.machine()}".encode()).hexdigest()[:8]
        return programs / f"cmdstan-{self.version}-{place}" / f"{program.name}-{program.sha256[:20]}"

    def build(self, programs: Sequence[Program], say: Callable[[str], None]) -> None:
        """Compile the programs that are not compiled yet, as many at once as there are cores."""
        wanted = {self.executable(p): p for p in programs}
        todo = {target: p for target, p in wanted.items() if not target.exists()}
        if todo:
            say(f"Compiling {len(todo)} Stan program{'s' * (len(todo) > 1)} with CmdStan {self.version}")
            # The compiler does not leave a core to itself all the time, and draws will be read and kept by these.
            threading.Thread(target=_import_ahead, daemon=True).start()
            compile_programs(self.path, todo)

    def sample(
        self, program: Program, data: Mapping[str, Any], sampling: Sampling, progress: Progress | None = None
    ) -> EngineDraws:
        """Draw from the posterior of a program, chains side by side."""
        self.build([program], lambda _text: None)
        with work_folder() as folder:
            with storing(folder):
                (folder / "data.json").write_text(json.dumps(plain_data(data)))
            outputs = [folder / f"chain-{i}.csv" for i in range(1, sampling.chains + 1)]
            executable = self.executable(program)
            chains = [_chain(i, executable, output, sampling) for i, output in enumerate(outputs, start=1)]
            run_chains(program, chains, progress)
            return _read(outputs, sampling)


def _import_ahead() -> None:
    for name in _AHEAD:
        with contextlib.suppress(ImportError):  # said where it is needed
            importlib.import_module(name)


def _chain(number: int, executable: Path, output: Path, sampling: Sampling) -> Task:
    total = sampling.warmup + sampling.draws
    command = [
        str(executable), f"id={number}", "random", f"seed={sampling.seed}",
        "data", "file=data.json",
        "output", f"file={output.name}", f"sig_figs={_DIGITS}", f"refresh={max(1, total // _UPDATES)}",
        "method=sample", f"num_samples={sampling.draws}", f"num_warmup={sampling.warmup}",
        "adapt", f"delta={sampling.adapt_delta}",
        "algorithm=hmc", "engine=nuts", f"max_depth={sampling.max_treedepth}",
    ]  # fmt: skip
    return Task(str(number), command, output.parent)


def _read(outputs: Sequence[Path], sampling: Sampling) -> EngineDraws:
    """The draws of all chains from CmdStan's CSV files."""
    import cmdstanpy

    _refuse_cut_off(outputs)
    cmdstanpy.utils.get_logger().setLevel(logging.CRITICAL)
    try:
        read = cmdstanpy.from_csv([str(o) for o in outputs])
    except (ValueError, OSError) as error:
        raise EngineError(f"What CmdStan wrote cannot be read: {error}") from error
    shape = (read.chains, read.num_draws_sampling)
    if shape != (sampling.chains, sampling.draws):
        raise EngineError(f"CmdStan wrote {shape} draws where {(sampling.chains, sampling.draws)} were asked for.")
    variables = {}
    for name in read.metadata.stan_vars:
        joined = read.stan_variable(name)  # chains one after the other
        variables[name] = np.ascontiguousarray(joined, dtype=float).reshape(*shape, *joined.shape[1:])
    columns = {name: np.swapaxes(values, 0, 1) for name, values in read.method_variables().items()}
    return EngineDraws(variables, sample_stats(columns, sampling))


def _refuse_cut_off(outputs: Sequence[Path]) -> None:
    """CmdStan does not notice a full disk: it ends well, and its file just stops."""
    for output in outputs:
        if not _is_whole(output):
            raise StorageError(
                f"The draws were not written to their end: the disk of {output.parent.parent} is full. "
                "Free some space there, or name another folder in TMPDIR."
            )


def _is_whole(output: Path) -> bool:
    if not output.is_file():
        return False
    with output.open("rb") as file:
        file.seek(max(0, output.stat().st_size - _TAIL_BYTES))
        return _LAST_LINE in file.read()
