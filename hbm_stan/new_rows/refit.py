"""New rows that weights cannot follow: the same model fitted to all rows together, which gives the answer exactly.

The variant, the priors, the coding of columns, the settings, the engine and the seed are those of the fit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

from hbm_stan.attempts import VariantProgress, run_attempts
from hbm_stan.budget import Budget
from hbm_stan.checks import check
from hbm_stan.engines import ENGINES, Sampling, choose
from hbm_stan.errors import DiagnosticError, ModelError
from hbm_stan.fit import Fit, Job, job_of
from hbm_stan.memory import refuse_too_large
from hbm_stan.new_rows.new_groups import NewGroups
from hbm_stan.new_rows.weigh import Weights
from hbm_stan.store import FitStore

# As many as any fit has that names none.
_CHAINS = Sampling().chains


def _silent(_text: str) -> None:
    return None


def _no_bar(_name: str) -> None:
    return None


@dataclass(frozen=True, kw_only=True)
class Means:
    """What a repair may cost, where its fit is kept (by default in the user's cache folder) and who is told of it.

    ``budget`` is that of ``compare``: with ``Budget(max_refits=0)`` nothing is fitted again, and a fit that would take
    more than its minutes is not begun. ``waive`` names the checks that were waived of the fit; ``progress`` starts a
    bar by its name.
    """

    budget: Budget = field(default_factory=Budget)
    store: FitStore | None = None
    say: Callable[[str], None] = _silent
    progress: VariantProgress = _no_bar
    waive: Collection[str] = ()

    @classmethod
    def of(cls, budget: Budget | None, store: FitStore | None, say: Callable[[str], None] | None) -> Means:
        """Those that a caller in Python names; raises ModelError for a budget that is none."""
        if budget is not None and not isinstance(budget, Budget):
            raise ModelError(f"budget must be a Budget, such as Budget(max_refits=0); got {budget!r}.")
        return cls(budget=budget or Budget(), store=store, say=say or _silent)


@dataclass(frozen=True, kw_only=True)
class Repaired:
    """What was fitted again: the ``groups`` whose rows were added, those that called for it (``moved``), the reason in
    words, the rows in all, and the seconds of the fit."""

    groups: tuple[str, ...]
    moved: tuple[str, ...]
    reason: str
    rows: int
    seconds: float


def refitted(fit: Fit, new: NewGroups, weights: Weights, means: Means) -> tuple[Fit, Repaired]:
    """The fit of all rows, those of the new groups behind the others; kept in the store like any other.

    Raises DiagnosticError, with what the weights failed by, where that is not to be done or where it failed its checks.
    """
    if reason := _not_allowed(fit, new, means.budget):
        raise DiagnosticError(_withheld(new, weights, reason))
    noun = fit.table.noun
    many = noun.many if len(new.labels) > 1 else noun.one
    means.say(f"{fit.variant}: {weights.failure}")
    means.say(f"{fit.variant}: fitting again with the {new.rows.n:,} rows of {len(new.labels):,} new {many}")
    store = means.store or FitStore.for_user(fit.family.name, fit.table.dataset.name)
    job = job_with(fit, new)
    job.engine.build([job.program], means.say)
    refit = run_attempts(
        job, store, means.say, means.progress, minutes=max(means.budget.seconds_left, 0) / 60, waive=means.waive
    )
    # As of the weights, what is asked is whether the draws can be trusted: whether the model fits is a question to the
    # fit itself.
    failed = [v.name for v in check(refit, means.waive, model=False).failed]
    if failed:
        words = f"fitted again with the rows, the model failed its checks ({', '.join(failed)})"
        raise DiagnosticError(
            f"{new.where}: {weights.failure}, and it is not repaired: {words}. Fit a table with the rows, and see what "
            "its checks say; more draws, or another form of the model, may do."
        )
    return refit, Repaired(
        groups=new.labels, moved=weights.moved, reason=weights.failure, rows=refit.table.n_all, seconds=refit.seconds
    )


def job_with(fit: Fit, new: NewGroups) -> Job:
    """The job that made a fit, with the rows of the new groups behind its own."""
    settle = fit.family.groups.settle
    return job_of(
        fit.family, fit.variant, new.table, fit.priors, _sampling(fit), choose(fit.engine),
        None if settle is None else lambda data: settle(data, fit.data, new.where),
    )  # fmt: skip


def _sampling(fit: Fit) -> Sampling:
    """The settings of the fit; four chains in place of one, which cannot be checked: weighted draws stand in one."""
    own = fit.sampling
    return own if own.chains > 1 else replace(own, chains=_CHAINS, draws=max(10, math.ceil(own.draws / _CHAINS)))


def _not_allowed(fit: Fit, new: NewGroups, budget: Budget) -> str:
    """Why a fit with the rows is not to be made; empty where it is."""
    if budget.max_refits == 0:
        return "nothing was to be repaired (--max-refits 0)"
    if fit.engine not in ENGINES:
        return f"the engine {fit.engine} is not one that a fit can be made with again"
    refuse_too_large(fit.family, new.table, (fit.variant,), fit.sampling)
    seconds = fit.seconds * new.table.n_all / fit.table.n_all
    if seconds > budget.seconds_left:
        return (
            f"a fit with the rows would take some {seconds / 60:.1f} minutes, more than are left of the "
            f"{budget.minutes:g} allowed (--minutes)"
        )
    return ""


def _withheld(new: NewGroups, weights: Weights, reason: str) -> str:
    fewer = ", or condition on fewer groups at once" * (len(new.labels) > 1)
    more = " More draws may do, too." if weights.draws_help else ""
    return (
        f"{new.where}: {weights.failure}, and it is not repaired: {reason}. Add the rows to the table and fit again"
        f"{fewer}.{more}"
    )


def note_of(repaired: Repaired, noun_one: str, noun_many: str) -> str:
    """What was repaired and how, in a sentence."""
    n = len(repaired.groups)
    which = f"the new {noun_one} {repaired.groups[0]!r}" if n == 1 else f"the {n:,} new {noun_many}"
    return (
        f"Repaired by a refit: {repaired.reason}. The model was fitted again with the rows of {which}, with the same "
        f"priors, settings and seed ({repaired.rows:,} rows in all, {repaired.seconds:.1f} s). What is reported, of "
        "known ones too, is of that fit."
    )
