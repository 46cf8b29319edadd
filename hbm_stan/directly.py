"""Fits of which many are asked for and none is shown by itself: direct draws, kept nowhere, for they are soon made.

Where direct draws cannot be had, or do not pass their checks, the caller fits as it would without them, and says so.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from hbm_stan.attempts import record_of_attempts
from hbm_stan.diagnose import check
from hbm_stan.diagnosis import Diagnosis
from hbm_stan.draw import fit_of_draws, fit_unkept
from hbm_stan.engines import ENGINES
from hbm_stan.engines.direct import DirectEngine
from hbm_stan.errors import NotDirectError
from hbm_stan.fit import Fit, Job
from hbm_stan.store import FitRecord


def fit_directly(job: Job, waive: Collection[str] = (), *, rows: bool = True) -> tuple[Fit, Diagnosis]:
    """The fit of a job by direct draws, whatever engine it names, and the verdicts on it, of which none failed.

    Without ``rows`` it has parameters alone, as ``fit_anew`` makes it.

    Raises NotDirectError where direct draws cannot be had or failed a check that was not waived, and where the job's
    engine is none of ours: what that draws is what is wanted.
    """
    from hbm_stan.by_following_nodes import draw_directly  # it takes more to be loaded than a start should

    if job.engine.name not in ENGINES:
        raise NotDirectError(f"the engine {job.engine.name} was asked for")
    direct = replace(job, engine=DirectEngine(alone=True))
    fit = fit_unkept(direct) if rows else fit_of_draws(direct, draw_directly(direct, job.sampling), job.sampling)
    diagnosis = check(fit, waive)
    if failed := [v.name for v in diagnosis.failed]:
        raise NotDirectError(f"direct draws did not pass their checks: {', '.join(failed)}")
    return fit, diagnosis


@dataclass(frozen=True)
class Outcome:
    """A fit by direct draws with the verdicts on it, or why there is none; and then what a sampler made, if asked."""

    fit: Fit | None = None
    diagnosis: Diagnosis | None = None
    reason: str = ""
    sampled: FitRecord | None = None


def directly_or_sampled(job: Job, waive: Collection[str], minutes: float | None) -> Outcome:
    """The fit of a job by direct draws; else, with ``minutes``, what ``record_of_attempts`` makes of it within them."""
    try:
        return Outcome(*fit_directly(job, waive))
    except NotDirectError as reason:
        record = None if minutes is None else record_of_attempts(job, minutes, waive)
        return Outcome(reason=str(reason), sampled=record)


def directly_in_words(what: str, pareto_k: Sequence[float], reasons: Sequence[str]) -> list[str]:
    """How refits were made, in a sentence: direct draws with their largest Pareto k, and how many were sampled, why."""
    if not pareto_k:
        return []
    sentence = f"{what} are direct draws, by importance weights (their largest Pareto k is {max(pareto_k):.2f})"
    if reasons:
        sentence += f"; {len(reasons)} of {len(pareto_k) + len(reasons)} were sampled ({reasons[0]})"
    return [f"{sentence}."]
