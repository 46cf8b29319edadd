"""The reference engine: Stan programs compiled by CmdStan, one process for each chain."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from hbm_stan.engines import EngineDraws, Progress, Sampling, plain_data, sample_stats
from hbm_stan.engines.chains import Chain, run_chains
from hbm_stan.errors import EngineError
from hbm_stan.program import Program
from hbm_stan.resources import cache_folder

_DIGITS = 17  # enough for a double to survive the trip through text


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
        return cache_folder("programs") / f"cmdstan-{self.version}" / program.sha256[:20] / program.name

    def build(self, programs: Sequence[Program], say: Callable[[str], None]) -> None:
        """Compile the programs that are not compiled yet, as many at once as there are cores."""
        todo = [p for p in programs if not self.executable(p).exists()]
        if not todo:
            return
        say(f"Compiling {len(todo)} Stan program{'s' * (len(todo) > 1)} with CmdStan {self.version}")
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            list(pool.map(self._compile, todo))

    def _compile(self, program: Program) -> Path:
        target = self.executable(program)
        target.parent.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.parent.with_suffix(".lock")):
            if target.exists():
                return target
            # Compiled beside and renamed: a half-written executable is never taken for a whole one.
            with tempfile.TemporaryDirectory(dir=target.parent.parent, prefix="compiling-") as folder:
                source = Path(folder) / "new" / f"{program.name}.stan"
                source.parent.mkdir()
                source.write_text(program.code, encoding="utf-8")
                self._make(program, source)
                shutil.rmtree(target.parent, ignore_errors=True)
                source.parent.rename(target.parent)
        return target

    def _make(self, program: Program, source: Path) -> None:
        import cmdstanpy

        cmdstanpy.utils.get_logger().setLevel(logging.CRITICAL)
        cmdstanpy.set_cmdstan_path(str(self.path))
        stanc = subprocess.run(
            [str(self.path / "bin" / "stanc"), f"--o={os.devnull}", str(source)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if stanc.returncode != 0:
            words = (stanc.stderr or stanc.stdout).replace(str(source), program.path.name).strip()
            raise EngineError(f"{program.path} does not compile. The Stan compiler says:\n{words}")
        try:
            cmdstanpy.compile_stan_file(source, force=True)
        except (ValueError, RuntimeError, OSError) as error:
            tail = "\n".join(str(error).strip().splitlines()[-15:])
            raise EngineError(f"{program.path}: the C++ compiler failed. It says:\n{tail}") from error

    def sample(
        self, program: Program, data: Mapping[str, Any], sampling: Sampling, progress: Progress | None = None
    ) -> EngineDraws:
        """Draw from the posterior of a program, chains side by side."""
        executable = self._compile(program)
        with tempfile.TemporaryDirectory(prefix="hbm-stan-") as name:
            folder = Path(name)
            (folder / "data.json").write_text(json.dumps(plain_data(data)))
            chains = [_chain(i, executable, folder, sampling) for i in range(1, sampling.chains + 1)]
            run_chains(program.path.name, chains, sampling.warmup + sampling.draws, progress)
            return _read([c.output for c in chains], sampling)


def _chain(number: int, executable: Path, folder: Path, sampling: Sampling) -> Chain:
    output = folder / f"chain-{number}.csv"
    total = sampling.warmup + sampling.draws
    command = [
        str(executable), f"id={number}", "random", f"seed={sampling.seed}",
        "data", f"file={folder / 'data.json'}",
        "output", f"file={output}", f"sig_figs={_DIGITS}", f"refresh={max(1, total // 50)}",
        "method=sample", f"num_samples={sampling.draws}", f"num_warmup={sampling.warmup}",
        "adapt", f"delta={sampling.adapt_delta}",
        "algorithm=hmc", "engine=nuts", f"max_depth={sampling.max_treedepth}",
    ]  # fmt: skip
    return Chain(number, command, output)


def _read(outputs: Sequence[Path], sampling: Sampling) -> EngineDraws:
    """The draws of all chains from CmdStan's CSV files."""
    import cmdstanpy

    read = cmdstanpy.from_csv([str(o) for o in outputs])
    shape = (read.chains, read.num_draws_sampling)
    if shape != (sampling.chains, sampling.draws):
        raise EngineError(f"CmdStan wrote {shape} draws where {(sampling.chains, sampling.draws)} were asked for.")
    variables = {}
    for name in read.metadata.stan_vars:
        joined = read.stan_variable(name)  # chains one after the other
        variables[name] = np.ascontiguousarray(joined, dtype=float).reshape(*shape, *joined.shape[1:])
    columns = {name: np.swapaxes(values, 0, 1) for name, values in read.method_variables().items()}
    return EngineDraws(variables, sample_stats(columns, sampling))
