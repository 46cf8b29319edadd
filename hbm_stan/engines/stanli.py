"""The embedded engine: stanli compiles and samples Stan programs in this process, without a C++ toolchain."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np

from hbm_stan.engines import EngineDraws, Progress, Sampling, plain_data, sample_stats
from hbm_stan.engines.stopping import orderly_stop
from hbm_stan.engines.sums import with_sums
from hbm_stan.engines.translated import translated
from hbm_stan.engines.warm_start import iterations_of_walks, warm_start
from hbm_stan.engines.words import in_program
from hbm_stan.errors import EngineError
from hbm_stan.program import Program
from hbm_stan.resources import cores, installed_version
from hbm_stan.table import FloatArray

_PROGRESS = re.compile(r"Chain \[(\d+)\] Iteration:\s*(\d+) / (\d+)")
_UPDATES = 50  # progress reports of a chain


class StanliEngine:
    """NUTS by stanli: chains in parallel threads, cores permitting."""

    name = "stanli"

    @cached_property
    def version(self) -> str:
        """The version of the installed package."""
        return installed_version("stanli")

    def build(self, programs: Sequence[Program], say: Callable[[str], None]) -> None:
        """Nothing to do: a program is compiled, in milliseconds, together with its data."""

    def model(self, program: Program, data: Mapping[str, Any]) -> Any:
        """The compiled program with its data; gives ``log_prob_grad`` and ``unconstrain`` too."""
        import stanli

        code, given = with_sums(program.code, data)
        try:
            return stanli.Model(mir=translated(code), data=plain_data(given))
        except (RuntimeError, ValueError) as error:
            raise EngineError(_refusal(program, str(error).strip())) from error

    def sample(
        self, program: Program, data: Mapping[str, Any], sampling: Sampling, progress: Progress | None = None
    ) -> EngineDraws:
        """Draw from the posterior of a program."""
        with orderly_stop(), warnings.catch_warnings(record=True) as notes:
            warnings.simplefilter("always")
            model = self.model(program, data)
            walks = iterations_of_walks(model, sampling)
            total = sum(walks) + sampling.warmup + sampling.draws
            every = max(1, total // _UPDATES) if progress else 0
            listen = partial(_listen, progress, total=total)
            start = warm_start(model, [d.name for d in program.block("parameters")], sampling, listen, every)
            notes.clear()  # of what was only tried
            try:
                with listen(sum(walks)):
                    fit = model.sample(
                        chains=sampling.chains,
                        seed=sampling.seed,
                        warmup=sampling.warmup,
                        samples=sampling.draws,
                        delta=sampling.adapt_delta,
                        max_depth=sampling.max_treedepth,
                        parallel_chains=min(sampling.chains, cores()),
                        refresh=every,
                        **start,
                    )
            except (RuntimeError, ValueError) as error:
                words = in_program(str(error), program)
                raise EngineError(f"{program.path}: sampling failed. Stan says:\n{words}") from error
        variables = {name: _array(fit.draws(name)) for name in fit.variables}
        messages = tuple(str(note.message) for note in notes)
        return EngineDraws(variables, sample_stats(_columns(fit), sampling), messages)


def _refusal(program: Program, message: str) -> str:
    """What to say where stanli makes no model: the program is wrong, or it is too much for stanli, or the data are."""
    words = in_program(message, program)
    if "error in 'string', line" in message:
        return f"{program.path} does not compile. The Stan compiler says:\n{words}"
    if message.startswith("stanli compile"):
        return f"{program.path}: the embedded engine cannot run this program; CmdStan can. stanli says:\n{words}"
    return f"{program.path}: sampling cannot begin with these data. Stan says:\n{words}"


def _array(values: Any) -> FloatArray:
    return np.ascontiguousarray(values, dtype=float)


def _columns(fit: Any) -> dict[str, FloatArray]:
    import stanli

    return {name: fit.sampler_stats[:, :, i] for i, name in enumerate(stanli.SAMPLER_COLUMNS)}


class _Listener(io.TextIOBase):
    """Takes stanli's progress lines, which it prints, and turns them into calls: of ``total``, ``done`` went before."""

    def __init__(self, progress: Progress, done: int, total: int) -> None:
        self.progress, self.done, self.total = progress, done, total

    def write(self, text: str) -> int:
        """Report the iteration that a printed line names."""
        if match := _PROGRESS.search(text):
            self.progress(int(match[1]), self.done + int(match[2]), self.total)
        return len(text)


@contextlib.contextmanager
def _listen(progress: Progress | None, done: int, total: int) -> Iterator[None]:
    if progress is None:
        yield
        return
    with contextlib.redirect_stdout(_Listener(progress, done, total)):
        yield
