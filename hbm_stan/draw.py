"""The fit of a job: its draws are read where they are kept by their content, else sampled and kept."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np

from hbm_stan.deferred import Deferred
from hbm_stan.engines import ENGINES, EngineDraws, Progress, Sampling
from hbm_stan.fit import Attempt, Fit, Job, Reporter
from hbm_stan.generated import rows_are_drawn
from hbm_stan.independent import without_sampler
from hbm_stan.memory import held_draws
from hbm_stan.named import NamedTree
from hbm_stan.portions import VERY_MANY_ROWS
from hbm_stan.store import FitRecord, FitStore
from hbm_stan.tree import draws_tree, is_large, thinned, with_effects, with_rows

# Groups times squared coefficients of each: beyond, a sampler takes minutes (10,000 groups with two predictors: over
# ten, and direct draws half of one).
_MANY_SQUARES = 50_000


def run_job(job: Job, store: FitStore, say: Reporter, progress: Progress | None = None, *, first: bool = False) -> Fit:
    """The fit of a job: read from the store where it is kept, else sampled and kept.

    What is kept may be a later attempt, with a smaller step than the job asks for; ``first`` refuses one.
    """
    record = _look_up(job, store, first)
    if record is None:
        with store.lock(job.variant, say):
            record = _look_up(job, store, first)  # another process may have made it while we waited
            if record is None:
                return _sample(job, store, say, progress)
    say(f"{job.variant}: draws kept from an earlier run are used again")
    return _fit(job, record, reused=True, reason="nothing changed")


def _look_up(job: Job, store: FitStore, first: bool) -> FitRecord | None:
    record = store.read(job.variant, job.key)
    return None if record is not None and first and record.earlier else record


def _sample(job: Job, store: FitStore, say: Reporter, progress: Progress | None) -> Fit:
    reason = store.why(job.variant, job.key, job.parts)
    say(f"{job.variant}: sampling ({reason})")
    record = _drawn(job, job.sampling, progress)
    return _fit(job, store.write(job.variant, record), reused=False, reason=reason)


def _drawn(job: Job, sampling: Sampling, progress: Progress | None, earlier: Sequence[Attempt] = ()) -> FitRecord:
    started = time.perf_counter()
    whole = not is_large(job.family, job.table)
    held = replace(sampling, draws=held_draws(job.family, job.table, job.variant, sampling))
    known = None if whole else without_sampler(job.family, job.data, job.variant, held, job.table.n_groups)
    if known is None and not whole and job.engine.name in ENGINES:  # what a user's engine draws is what is wanted
        from hbm_stan.by_nodes import draws_by_nodes, draws_directly  # of large tables only: a start is not to wait

        known = draws_by_nodes(job.family, job.table, job.data, job.variant, sampling, progress)
        if known is None and (held.draws < sampling.draws or _is_slow(job)):
            known = draws_directly(job.engine, job.program, job.data, sampling, progress)
    if known is None and job.engine.name == "direct":
        from hbm_stan.by_following_nodes import draw_directly

        known = draw_directly(job, sampling, progress)
    draws = job.engine.sample(job.program, job.data, sampling, progress) if known is None else known
    rows = whole and not rows_are_drawn(job.family, job.data)
    tree = draws_tree(job.family, job.table, job.data, draws, sampling.seed, rows=rows, effects=whole)
    seconds = time.perf_counter() - started  # of effects too, which are drawn after sampling
    return FitRecord(named=tree, parts=job.parts, key=job.key, seconds=seconds, adapt_delta=sampling.adapt_delta,
                     earlier=tuple(asdict(a) for a in earlier))  # fmt: skip


def _is_slow(job: Job) -> bool:
    """Whether a gradient of a program of few parameters takes long, and a sampler, which asks for many, minutes."""
    few = job.family.programs.draw_groups is not None and job.family.variant(job.variant).pooling != "no"
    squares = job.table.n_groups * int(np.sum(job.data.get("K", 1))) ** 2  # of coefficients that are integrated out
    return few and (job.table.n_rows > VERY_MANY_ROWS or squares > _MANY_SQUARES)


def run_again(job: Job, last: Fit, failed: Attempt, step: float, store: FitStore, progress: Progress | None) -> Fit:
    """The fit of a job sampled again with a smaller step, kept in the place of the last attempt, under its key."""
    earlier = (*last.earlier, failed)
    with store.lock(job.variant, lambda _text: None):
        record = _drawn(job, replace(job.sampling, adapt_delta=step), progress, earlier)
        record = store.write(job.variant, record)
    return _fit(job, record, reused=False, reason=last.reason)


def fit_unkept(job: Job) -> Fit:
    """The fit of a job with its rows, sampled now and kept nowhere."""
    return _fit(job, _drawn(job, job.sampling, None), reused=False, reason="not kept")


def fit_of_draws(job: Job, drawn: EngineDraws, sampling: Sampling) -> Fit:
    """A Fit of parameters alone, kept nowhere: for proofs and long runs, which need no log_lik and no y_rep."""
    tree = draws_tree(job.family, job.table, job.data, drawn, sampling.seed, rows=False)
    record = FitRecord(named=tree, parts={}, key=job.key, seconds=0.0)
    return _fit(replace(job, sampling=sampling), record, reused=False, reason="not kept")


def _fit(job: Job, record: FitRecord, *, reused: bool, reason: str) -> Fit:
    sampling = job.sampling if record.adapt_delta is None else replace(job.sampling, adapt_delta=record.adapt_delta)
    earlier = tuple(Attempt(**a) for a in record.earlier)
    every = _every(job, record, sampling)
    return Fit(
        family=job.family, variant=job.variant, table=job.table, data=job.data, priors=job.priors, sampling=sampling,
        engine=job.engine.name, engine_version=job.engine.version, named=_named(job, record, sampling, every),
        key=job.key, program_sha256=job.program.sha256, seconds=record.seconds, reused=reused, reason=reason,
        earlier=earlier, every=every, read_from=record.file,
    )  # fmt: skip


def _every(job: Job, record: FitRecord, sampling: Sampling) -> NamedTree | None:
    """All draws of the population, where only some are held with effects of groups."""
    return record.named if held_draws(job.family, job.table, job.variant, sampling) < sampling.draws else None


def _named(job: Job, record: FitRecord, sampling: Sampling, every: NamedTree | None) -> Deferred[NamedTree]:
    """The draws that a fit holds, made when they are asked for; of a large table, effects of groups are drawn then."""
    if not is_large(job.family, job.table):
        if not rows_are_drawn(job.family, job.data):
            return Deferred(lambda: record.named)
        return Deferred(lambda: with_rows(job.family, job.table, job.data, record.named, sampling.seed))

    def held() -> NamedTree:
        draws = held_draws(job.family, job.table, job.variant, sampling)
        tree = record.named if every is None else thinned(every, draws)
        return with_effects(job.family, job.table, job.data, tree, sampling.seed, job.variant)

    return Deferred(held)
