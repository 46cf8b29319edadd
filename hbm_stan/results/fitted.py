"""A fitted variant: how it was drawn, what its checks say, and the summaries of its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, cast

from hbm_stan.attempts import attempts_in_words
from hbm_stan.diagnose import parameters
from hbm_stan.diagnosis import Diagnosis
from hbm_stan.engines import NOT_DIRECT
from hbm_stan.fit import Attempt, Fit
from hbm_stan.results.entry import OPTIONAL, Entry
from hbm_stan.verdicts import Status, Verdict, worst

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Parameter(Entry):
    """A parameter: the numbers of ``hbm_stan.results.summary.Summary``, errors of quantiles after the quantiles.

    ``tables/parameters.csv`` has its columns in this order.
    """

    mean: float
    sd: float
    mcse_mean: float
    mcse_sd: float
    q05: float
    q50: float
    q95: float
    mcse_q05: float
    mcse_q50: float
    mcse_q95: float
    ess_bulk: float
    ess_tail: float
    rhat: float


@dataclass(frozen=True, kw_only=True)
class DirectDraws(Entry):
    """What importance weights say of direct draws: the Pareto k of the weights, and of weights times squared distances.

    ``share`` is the effective share of the draws, ``evaluations`` how often the density was evaluated. Of draws with
    groups integrated out by nodes, ``nodes_apart`` is how far log densities by nodes laid anew lie from those by nodes
    that stay, and ``first_left`` the largest share of a group's draws that may still be first proposals.
    """

    pareto_k: float
    pareto_k_squares: float
    share: float
    evaluations: float
    nodes_apart: float | None = field(default=None, metadata=OPTIONAL)
    first_left: float | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, kw_only=True)
class Fitted(Entry):
    """An entry of ``fits``: times are in seconds; ``adapt_delta`` is that of the draws, ``earlier`` those before.

    ``direct`` is None of draws of a sampler, for which ``divergences`` counts transitions.
    """

    status: Status
    seconds: float
    key: str
    program_sha256: str
    adapt_delta: float
    earlier: list[Attempt]
    attempts: str
    divergences: int | None
    direct: DirectDraws | None
    not_direct: str
    verdicts: list[Verdict]
    parameters: dict[str, Parameter]


def fitted_of(fit: Fit, diagnosis: Diagnosis, verdicts: list[Verdict]) -> Fitted:
    """A variant with all verdicts on it."""
    return Fitted(
        status=worst(verdicts),
        seconds=fit.seconds,
        key=fit.key,
        program_sha256=fit.program_sha256,
        adapt_delta=fit.sampling.adapt_delta,
        earlier=list(fit.earlier),
        attempts=attempts_in_words(fit),
        divergences=fit.divergences,
        direct=DirectDraws(**cast(dict[str, Any], fit.about)) if fit.direct else None,
        not_direct=str(fit.about.get(NOT_DIRECT, "")),
        verdicts=list(verdicts),
        parameters={str(name): _parameter(row) for name, row in _listed(fit, diagnosis).iterrows()},
    )


def _parameter(row: Mapping[str, Any]) -> Parameter:
    return Parameter(**{field.name: row[field.name] for field in fields(Parameter)})


def _listed(fit: Fit, diagnosis: Diagnosis) -> pd.DataFrame:
    """Every parameter; of very many groups those of the population, for ``tables/groups.csv`` has the groups."""
    return diagnosis.summary if fit.every is None else diagnosis.summary.loc[parameters(fit)[0]]
