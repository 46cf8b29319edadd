"""A fitted variant: how it was drawn, what its checks say, and the summaries of its parameters."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hbm_stan.attempts import attempts_in_words
from hbm_stan.diagnose import Diagnosis, parameters
from hbm_stan.engines import NOT_DIRECT
from hbm_stan.fit import Fit
from hbm_stan.results.entry import Entry
from hbm_stan.verdicts import Verdict, worst

if TYPE_CHECKING:
    import pandas as pd

_PARAMETER = (
    "mean", "sd", "mcse_mean", "mcse_sd", "q05", "q50", "q95", "mcse_q05", "mcse_q50", "mcse_q95",
    "ess_bulk", "ess_tail", "rhat",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Fitted(Entry):
    """An entry of ``fits``."""

    status: str
    seconds: float
    key: str
    program_sha256: str
    adapt_delta: float
    earlier: list[dict[str, Any]]
    attempts: str
    divergences: int | None
    direct: dict[str, Any] | None
    not_direct: str
    verdicts: list[dict[str, Any]]
    parameters: dict[str, dict[str, float]]


def fitted_of(fit: Fit, diagnosis: Diagnosis, verdicts: list[Verdict]) -> Fitted:
    """A variant with all verdicts on it."""
    return Fitted(
        status=worst(verdicts),
        seconds=fit.seconds,
        key=fit.key,
        program_sha256=fit.program_sha256,
        adapt_delta=fit.sampling.adapt_delta,
        earlier=[asdict(attempt) for attempt in fit.earlier],
        attempts=attempts_in_words(fit),
        divergences=None if fit.direct else int(fit.chains["sample_stats"]["diverging"].sum()),
        direct=fit.about if fit.direct else None,
        not_direct=str(fit.about.get(NOT_DIRECT, "")),
        verdicts=[v.as_dict() for v in verdicts],
        parameters={str(name): {k: row[k] for k in _PARAMETER} for name, row in _listed(fit, diagnosis).iterrows()},
    )


def _listed(fit: Fit, diagnosis: Diagnosis) -> pd.DataFrame:
    """Every parameter; of very many groups those of the population, for ``tables/groups.csv`` has the groups."""
    return diagnosis.summary if fit.every is None else diagnosis.summary.loc[parameters(fit)[0]]
