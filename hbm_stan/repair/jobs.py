"""The job of a fit made again: without some rows, or with more draws."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy.typing as npt

from hbm_stan.attempts import run_attempts
from hbm_stan.engines import Sampling, choose
from hbm_stan.fit import Fit, Job
from hbm_stan.program import check_data
from hbm_stan.store import FitStore

Say = Callable[[str], None]


def job_without(fit: Fit, rows: npt.ArrayLike, sampling: Sampling | None = None) -> Job:
    """The job that made a fit, without some rows of its table (counted from 0): the same priors, settings and engine.

    Raises DataError where the rows that are left cannot be fitted, and ModelError for an engine that is not ours.
    """
    table, family = fit.table.without(rows), fit.family
    program, data = family.program(fit.variant), family.stan_data(table, fit.priors, fit.variant, generate=False)
    check_data(program, data)
    return Job(
        family=family,
        variant=fit.variant,
        table=table,
        priors=fit.priors,
        sampling=sampling or fit.sampling,
        engine=choose(fit.engine),
        program=program,
        data=data,
    )


def with_more_draws(fit: Fit, draws: int, store: FitStore, say: Say, minutes: float) -> Fit:
    """The same fit with that many draws in all chains together, at least; kept like any other.

    ``minutes`` bounds attempts at a smaller step.
    """
    sampling = replace(fit.sampling, draws=math.ceil(draws / fit.sampling.chains))
    program = fit.family.program(fit.variant)
    job = Job(
        family=fit.family,
        variant=fit.variant,
        table=fit.table,
        priors=fit.priors,
        sampling=sampling,
        engine=choose(fit.engine),
        program=program,
        data=fit.data,
    )
    return run_attempts(job, store, say, minutes=minutes)
