"""What runs Stan. An engine takes a program, a data dict and settings, and knows no family."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from hbm_stan.errors import EngineError, ModelError, nearest

if TYPE_CHECKING:
    from hbm_stan.program import Program
    from hbm_stan.table import FloatArray

ENGINES = ("auto", "cmdstan", "stanli", "direct")
# What draws say of themselves: the Pareto k of their importance weights, or why they are a sampler's after all.
PARETO_K, PARETO_K_SQUARES, NOT_DIRECT = "pareto_k", "pareto_k_squares", "not_direct"
# How far log densities by nodes that stay lie from those by nodes laid anew, where groups were integrated out by them.
NODES_APART = "nodes_apart"
# The largest share of a group's draws that may still be first proposals, where these were drawn given the rest.
FIRST_LEFT = "first_left"
Progress = Callable[[int, int, int], None]  # chain (from 1), iterations done, iterations in all


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the No-U-Turn sampler is run; the defaults are those of Stan but for a smaller step."""

    chains: int = 4
    warmup: int = 1000
    draws: int = 1000
    adapt_delta: float = 0.9
    max_treedepth: int = 10
    seed: int = 1

    def __post_init__(self) -> None:
        limits = {
            "chains": (1, 64),
            "warmup": (1, 1_000_000),
            "draws": (10, 1_000_000),
            "max_treedepth": (1, 30),
            "seed": (0, 2**31 - 1),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                raise ModelError(f"Sampling: {name} must be a whole number from {low} to {high}, got {value!r}.")
        if not isinstance(self.adapt_delta, int | float) or not 0 < self.adapt_delta < 1:
            raise ModelError(f"Sampling: adapt_delta must lie between 0 and 1, got {self.adapt_delta!r}.")

    def as_dict(self) -> dict[str, Any]:
        """The settings for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class EngineDraws:
    """What an engine returns: ``variables`` and ``sample_stats`` by name, shape (chain, draw, ...).

    ``about`` holds numbers and words on all draws together, kept with them: of direct draws what their importance
    weights say.
    """

    variables: Mapping[str, FloatArray]
    sample_stats: Mapping[str, FloatArray]
    messages: tuple[str, ...] = field(default=())
    about: Mapping[str, float | str] = field(default_factory=dict)


class Engine(Protocol):
    """Anything that samples Stan programs."""

    @property
    def name(self) -> str:
        """The name of the engine: cmdstan, stanli or direct."""
        ...

    @property
    def version(self) -> str:
        """Its version: draws of different versions differ within Monte Carlo error."""
        ...

    def build(self, programs: Sequence[Program], say: Callable[[str], None]) -> None:
        """Compile what is not compiled yet, side by side where there are cores."""
        ...

    def sample(
        self, program: Program, data: Mapping[str, Any], sampling: Sampling, progress: Progress | None = None
    ) -> EngineDraws:
        """Draw from the posterior; raises EngineError with Stan's own words where that fails."""
        ...


def writes_text(engine: Engine) -> bool:
    """Whether the engine hands all that a program generates over as text, number by number."""
    return engine.name == "cmdstan"


# Stan's sampler columns and the names that ArviZ gives them.
_STATS = {
    "lp__": "lp",
    "accept_stat__": "acceptance_rate",
    "stepsize__": "step_size",
    "treedepth__": "tree_depth",
    "n_leapfrog__": "n_steps",
    "divergent__": "diverging",
    "energy__": "energy",
}


def sample_stats(columns: Mapping[str, FloatArray], sampling: Sampling) -> dict[str, FloatArray]:
    """Stan's sampler columns, shape (chain, draw), under the names that ArviZ gives them."""
    import numpy as np

    stats = {ours: np.ascontiguousarray(columns[theirs], dtype=float) for theirs, ours in _STATS.items()}
    stats["reached_max_treedepth"] = (stats["tree_depth"] >= sampling.max_treedepth).astype(float)
    return stats


def plain_data(data: Mapping[str, Any]) -> dict[str, Any]:
    """Stan data as plain numbers and lists, for JSON."""
    import numpy as np

    return {k: v.tolist() if isinstance(v, np.ndarray | np.generic) else v for k, v in data.items()}


def choose(name: str = "auto") -> Engine:
    """The engine of that name; ``auto`` takes CmdStan where one is installed, else the embedded stanli."""
    if name not in ENGINES:
        raise ModelError(f"There is no engine {name!r}. {nearest(name, ENGINES)}")
    if name == "stanli":
        return _stanli()
    if name == "direct":
        from hbm_stan.engines.direct import DirectEngine

        return DirectEngine()
    from hbm_stan.engines.install import find_cmdstan, toolchain_missing

    path = find_cmdstan()
    missing = toolchain_missing()
    if path is not None and not missing:
        from hbm_stan.engines.cmdstan import CmdStanEngine

        return CmdStanEngine(path)
    if name == "cmdstan":
        lack = f"it needs {' and '.join(missing)}" if missing else "none is installed"
        raise EngineError(
            f"CmdStan cannot be used: {lack}. Install it with `hbm install-cmdstan`, or use --engine stanli, "
            "which needs no compiler."
        )
    return _stanli()


def _stanli() -> Engine:
    from hbm_stan.engines.stanli import StanliEngine

    return StanliEngine()
