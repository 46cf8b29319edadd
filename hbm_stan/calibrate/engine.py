"""What replications are made with: the engine that does them soonest, and settings that suit it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hbm_stan.direct.grid import MAX_COORDINATES
from hbm_stan.engines import Engine, Sampling, choose
from hbm_stan.engines.points import Points
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.errors import EngineError
from hbm_stan.program import Program

# One chain: replications run side by side, not chains. Small steps, as one program meets all kinds of data.
SAMPLING = Sampling(chains=1, warmup=500, draws=1000, adapt_delta=0.95)
# Direct draws are all but independent: twice as many as are kept, and room for the error of their effective number.
DIRECT = Sampling(chains=1, warmup=500, draws=400, adapt_delta=0.95)


def engine_and_settings(
    engine: Engine | str, sampling: Sampling | None, program: Program, data: Mapping[str, Any]
) -> tuple[Engine, Sampling]:
    """The engine and settings of a calibration, where these are not given.

    ``auto`` is direct draws where a grid holds the whole posterior; else the embedded engine's sampler: it compiles in
    milliseconds.
    """
    if isinstance(engine, str):
        engine = choose(("direct" if _has_a_grid(program, data) else "stanli") if engine == "auto" else engine)
    return engine, sampling or (DIRECT if engine.name == "direct" else SAMPLING)


def _has_a_grid(program: Program, data: Mapping[str, Any]) -> bool:
    """Whether a program has so few parameters; what is wrong with it is for its first replication to say."""
    try:
        return 0 < Points(StanliEngine().model(program, data)).dimension <= MAX_COORDINATES
    except EngineError:
        return False
