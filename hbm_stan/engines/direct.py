"""The engine of direct draws: importance weights on the program's own density, without the steps of a sampler.

For programs with few parameters, such as those whose group effects are integrated out. The density is the Stan
program's, evaluated by the embedded engine, so that no second one has to be compared with it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from hbm_stan.direct.independence import Streams
from hbm_stan.direct.streams import draw_nearly_normal, draw_streams
from hbm_stan.engines import NOT_DIRECT, PARETO_K, PARETO_K_SQUARES, EngineDraws, Progress, Sampling
from hbm_stan.engines.points import Points
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.engines.stopping import orderly_stop
from hbm_stan.errors import NotDirectError
from hbm_stan.program import Program
from hbm_stan.table import FloatArray

# Of the draws: another method gives others from the same seed.
_METHOD = 3


class DirectEngine:
    """Draws by importance weights where these can be trusted; else by the embedded engine's sampler, which is said.

    ``alone`` has NotDirectError raised in the place of the sampler's draws; ``nearly_normal`` tries proposals about the
    mode first.
    """

    name = "direct"

    def __init__(self, *, alone: bool = False, nearly_normal: bool = False) -> None:
        self._sampler, self._alone = StanliEngine(), alone
        self._draw = draw_nearly_normal if nearly_normal else draw_streams

    @cached_property
    def version(self) -> str:
        """The version of the method and of what evaluates the density."""
        return f"{_METHOD} (stanli {self._sampler.version})"

    def build(self, programs: Sequence[Program], say: Callable[[str], None]) -> None:
        """Nothing to do: a program is compiled, in milliseconds, together with its data."""

    def sample(
        self, program: Program, data: Mapping[str, Any], sampling: Sampling, progress: Progress | None = None
    ) -> EngineDraws:
        """Draw from the posterior of a program; ``about`` says by which way, and why if not directly."""
        with orderly_stop(), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # that generated quantities run slowly
            points = Points(self._sampler.model(program, data))
            drawn = self._draw(points, points.dimension, sampling.chains, sampling.draws, sampling.seed)
            if not drawn.trouble:
                variables = points.variables(drawn.points, sampling.seed)
                if all(np.isfinite(values).all() for values in variables.values()):
                    return EngineDraws(variables, stats_of(drawn), about=about_of(drawn))
                drawn = replace(drawn, trouble="what the program generates is not finite at some draws")
        return self.sampled(drawn.trouble, program, data, sampling, progress)

    def sampled(
        self, reason: str, program: Program, data: Mapping[str, Any], sampling: Sampling, progress: Progress | None
    ) -> EngineDraws:
        """The sampler's draws, which tell why they are not direct ones; NotDirectError where these alone were asked."""
        if self._alone:
            raise NotDirectError(reason)
        return replace(self._sampler.sample(program, data, sampling, progress), about={NOT_DIRECT: reason})


def about_of(drawn: Streams) -> dict[str, float]:
    """What the weights say of all draws together."""
    return {
        PARETO_K: drawn.pareto_k, PARETO_K_SQUARES: drawn.pareto_k_squares, "share": drawn.share,
        "evaluations": float(drawn.evaluations),
    }  # fmt: skip


def stats_of(drawn: Streams) -> dict[str, FloatArray]:
    """What a sampler's columns say of draws without its steps; the energy is minus their log density."""
    none = np.zeros(drawn.log_density.shape)
    moved = np.any(np.diff(drawn.points, axis=1, prepend=np.nan) != 0, axis=2)
    return {
        "energy": -drawn.log_density, "lp": drawn.log_density, "acceptance_rate": moved.astype(float),
        "step_size": none, "tree_depth": none, "n_steps": none, "diverging": none, "reached_max_treedepth": none,
    }  # fmt: skip
