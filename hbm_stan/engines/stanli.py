"""The embedded engine: stanli compiles and samples Stan programs in this process, without a C++ toolchain."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from importlib import metadata
from typing import Any

import numpy as np

from hbm_stan.engines import EngineDraws, Progress, Sampling, plain_data, sample_stats
from hbm_stan.errors import EngineError
from hbm_stan.program import Program
from hbm_stan.table import FloatArray

_PROGRESS = re.compile(r"Chain \[(\d+)\] Iteration:\s*(\d+) / (\d+)")
_UPDATES = 50  # progress reports of a chain


class StanliEngine:
    """NUTS by stanli: chains in parallel threads, cores permitting."""

    name = "stanli"

    @cached_property
    def version(self) -> str:
        """The version of the installed package."""
        return metadata.version("stanli")

    def build(self, programs: Sequence[Program], say: Callable[[str], None]) -> None:
        """Nothing to do: a program is compiled, in milliseconds, together with its data."""

    def model(self, program: Program, data: Mapping[str, Any]) -> Any:
        """The compiled program with its data; gives ``log_prob_grad`` and ``unconstrain`` too."""
        import stanli

        try:
            return stanli.Model(stan_code=program.code, data=plain_data(data))
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"{program.path.name} does not compile with stanli:\n{str(error).strip()}") from error

    def sample(
        self, program: Program, data: Mapping[str, Any], sampling: Sampling, progress: Progress | None = None
    ) -> EngineDraws:
        """Draw from the posterior of a program."""
        model = self.model(program, data)
        total = sampling.warmup + sampling.draws
        try:
            with _listen(progress):
                fit = model.sample(
                    chains=sampling.chains,
                    seed=sampling.seed,
                    warmup=sampling.warmup,
                    samples=sampling.draws,
                    delta=sampling.adapt_delta,
                    max_depth=sampling.max_treedepth,
                    refresh=max(1, total // _UPDATES) if progress else 0,
                )
        except RuntimeError as error:
            raise EngineError(f"{program.path.name}: sampling failed. Stan says:\n{str(error).strip()}") from error
        return EngineDraws(
            {name: _array(fit.draws(name)) for name in fit.variables}, sample_stats(_columns(fit), sampling)
        )


def _array(values: Any) -> FloatArray:
    return np.ascontiguousarray(values, dtype=float)


def _columns(fit: Any) -> dict[str, FloatArray]:
    import stanli

    return {name: fit.sampler_stats[:, :, i] for i, name in enumerate(stanli.SAMPLER_COLUMNS)}


class _Listener(io.TextIOBase):
    """Takes stanli's progress lines, which it prints, and turns them into calls."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def write(self, text: str) -> int:
        """Report the iteration that a printed line names."""
        if match := _PROGRESS.search(text):
            self.progress(int(match[1]), int(match[2]), int(match[3]))
        return len(text)


@contextlib.contextmanager
def _listen(progress: Progress | None) -> Iterator[None]:
    if progress is None:
        yield
        return
    with contextlib.redirect_stdout(_Listener(progress)):
        yield
