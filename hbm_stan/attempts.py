"""Fits, with a second attempt: what fails by the size of its steps alone is sampled again at a smaller one.

The posterior is the same and so is the seed; only the step adapts to a higher acceptance (``adapt_delta``). A fit with
any other failed check stays as it is: a smaller step does not mend chains that have not mixed, and too few draws ask
for more of them. What warns without failing (tree depth, a low E-BFMI) is no reason either: trees only grow deeper.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hbm_stan.data import Dataset
from hbm_stan.diagnose import check
from hbm_stan.draw import fit_of_draws, run_again, run_job
from hbm_stan.engines import FIRST_LEFT, NODES_APART, NOT_DIRECT, PARETO_K, Engine, Progress, Sampling, choose
from hbm_stan.executor import in_turn, working_on_cluster
from hbm_stan.families import family as find_family
from hbm_stan.families.choose import of_formula
from hbm_stan.fit import Attempt, Fit, Job, Reporter, jobs_of, unread
from hbm_stan.memory import stored_bytes
from hbm_stan.model import Family
from hbm_stan.nouns import capital
from hbm_stan.outlook import many_groups
from hbm_stan.store import FitRecord, FitStore, Unwritten
from hbm_stan.verdicts import Verdict

if TYPE_CHECKING:
    import pandas as pd

# The adapt_delta of the second attempt and of the third (Stan's warning on divergences: "increasing adapt_delta").
SMALLER_STEPS = (0.99, 0.999)
# What a smaller step may mend.
STEP_CHECKS = ("divergences", "tree depth", "E-BFMI")
# Minutes that later attempts of one fit may take: as [comparison] minutes, which an analysis gives instead.
MINUTES = 10.0
# A smaller step is expected to take so many times as long as the attempt before: a cautious guess (ours).
_SLOWER = 4.0

VariantProgress = Callable[[str], Progress | None]


def smaller_step(failed: Collection[str], adapt_delta: float) -> float | None:
    """The adapt_delta of the next attempt; None where other checks failed too, none did, or no step is smaller."""
    if not failed or not set(failed) <= set(STEP_CHECKS):
        return None
    return next((step for step in SMALLER_STEPS if step > adapt_delta), None)


def until_passed(attempt: Fit, again: Callable[[Fit, Verdict, float], Fit | None], waive: Collection[str] = ()) -> Fit:
    """The fit or, while it fails by its step alone, what ``again`` makes of it at the next smaller one.

    ``again`` takes the last attempt, the verdict that it failed and the new adapt_delta; None from it ends the row.
    """
    while True:
        failed = failed_checks(attempt, waive)
        step = smaller_step([v.name for v in failed], attempt.sampling.adapt_delta)
        following = None if step is None else again(attempt, failed[0], step)
        if following is None:
            return attempt
        attempt = following


def failed_checks(fit: Fit, waive: Collection[str] = ()) -> list[Verdict]:
    """The checks that a fit failed and that were not waived; none are run where its sampler shows no trouble."""
    return check(fit, waive).failed if unread(fit).trouble else []


def run_attempts(
    job: Job, store: FitStore, say: Reporter, progress: VariantProgress | None = None, *, minutes: float = MINUTES,
    waive: Collection[str] = (),
) -> Fit:  # fmt: skip
    """The fit of a job, sampled again at smaller steps where that is called for; kept under the job's own key.

    An attempt is made where the last one's seconds allow to expect that all later ones end within ``minutes``.
    """
    bars = progress or (lambda _variant: None)
    fit = run_job(job, store, say, bars(job.variant), first=minutes == 0)
    stopped = ""

    def again(last: Fit, failed: Verdict, step: float) -> Fit | None:
        nonlocal stopped
        spent = last.seconds * bool(last.earlier) + sum(a.seconds for a in last.earlier[1:])
        expected = (spent + _SLOWER * last.seconds) / 60
        if expected > minutes:
            stopped = (
                f"A smaller step (adapt_delta {step:g}) was not tried: it would take some {max(expected, 0.1):.1g} "
                f"minutes, and {minutes:g} are allowed (minutes, under [comparison])."
            )
            return None
        attempt = Attempt(last.sampling.adapt_delta, in_words(last, failed), last.seconds)
        say(f"{job.variant}: {attempt.failed} with adapt_delta {attempt.adapt_delta:g}; sampling again with {step:g}")
        return run_again(job, last, attempt, step, store, bars(f"{job.variant}, adapt_delta {step:g}"))

    fit = until_passed(fit, again, waive)
    return replace(fit, stopped=stopped) if stopped else fit


def record_of_attempts(job: Job, minutes: float, waive: Collection[str]) -> FitRecord:
    """The fit of a job as ``run_attempts`` makes it, for somebody else to keep."""
    store = Unwritten()
    run_attempts(job, store, lambda _text: None, minutes=minutes, waive=waive)
    return store.records[job.key]


def keep(job: Job, record: FitRecord, store: FitStore) -> None:
    """Keep the fit of a job that was made elsewhere."""
    with store.lock(job.variant, lambda _text: None):
        store.write(job.variant, record)


def _fetch(
    jobs: Sequence[Job], store: FitStore, say: Reporter, minutes: float, waive: Collection[str]
) -> dict[str, str]:
    """Have jobs made by a cluster and kept; why each was made, by variant."""
    reasons: dict[str, str] = {}

    def units() -> Iterator[tuple[Job, float, tuple[str, ...]]]:
        for job in jobs:
            reasons[job.variant] = store.why(job.variant, job.key, job.parts)
            say(f"{job.variant}: sampling on the cluster ({reasons[job.variant]})")
            yield job, minutes, tuple(waive)

    if jobs:
        first = jobs[0]
        records = in_turn(record_of_attempts, units(), first.family, first.engine, first.sampling.chains)
        for job, record in zip(jobs, records, strict=True):
            keep(job, record.result(), store)
    return reasons


def fit_anew(job: Job) -> Fit:
    """The fit of a job sampled afresh and kept nowhere, at a smaller step where that is called for."""

    from hbm_stan.by_following_nodes import draw_directly  # what is asked for once in a while is no part of a start

    def drawn(sampling: Sampling) -> Fit:
        return fit_of_draws(job, draw_directly(job, sampling), sampling)

    def again(_last: Fit, _failed: Verdict, step: float) -> Fit:
        return drawn(replace(job.sampling, adapt_delta=step))

    return until_passed(drawn(job.sampling), again)


def in_words(fit: Fit, failed: Verdict) -> str:
    """How an attempt failed: ``1 divergent transition of 4,000``."""
    if failed.name != "divergences":
        return failed.name
    count = int(failed.value or 0)
    return f"{count:,} divergent transition{'s' * (count != 1)} of {fit.sampling.chains * fit.sampling.draws:,}"


def attempts_in_words(fit: Fit) -> str:
    """How a fit was made that the sampler did not make at the first attempt, in a sentence or two; else empty."""
    sentences = []
    if FIRST_LEFT in fit.about:
        sentences.append(_by_nodes_in_words(fit))
    elif fit.independent:
        sentences.append(
            f"{fit.variant}: its posterior is known; the draws are independent ones of it, without a sampler."
        )
    elif fit.direct:
        sentences.append(
            f"{fit.variant}: direct draws, by importance weights on the program's density (Pareto k "
            f"{fit.about[PARETO_K]:.2f}), without the steps of a sampler."
        )
    if reason := fit.about.get(NOT_DIRECT):
        by = "the embedded engine" if fit.engine in {"direct", "stanli"} else fit.engine
        sentences.append(f"{fit.variant}: direct draws cannot be had ({reason}); {by} sampled it.")
    if fit.earlier:
        before = "; ".join(f"with adapt_delta {a.adapt_delta:g} it had {a.failed}" for a in fit.earlier)
        sentences.append(
            f"{fit.variant} was sampled again with a smaller step (adapt_delta {fit.sampling.adapt_delta:g}): {before}."
        )
    if fit.every is not None and fit.pooling != "complete":
        sentences.append(
            f"{fit.variant}: of its {fit.table.n_groups:,} {fit.table.noun.many} {fit.shape[1]:,} of "
            f"{fit.sampling.draws:,} draws of each chain are held; checks look at all draws of what they share."
        )
    if fit.every is None and fit.row_draws < fit.shape[1]:
        sentences.append(
            f"{fit.variant}: {fit.row_draws:,} of {fit.shape[1]:,} draws of each chain, at equal distances, stand for "
            f"all in scores and replications of {fit.table.n_rows:,} rows; Monte Carlo errors of scores are theirs."
        )
    return " ".join([*sentences, *([f"{fit.variant}: {fit.stopped}"] if fit.stopped else [])])


def fit(
    family: Family | str,
    dataset: Dataset | pd.DataFrame,
    variant: str = "partial_pooling",
    *,
    priors: Mapping[str, str] | None = None,
    sampling: Sampling | None = None,
    engine: Engine | str = "auto",
    store: FitStore | None = None,
    say: Reporter | None = None,
    progress: Progress | None = None,
    minutes: float = MINUTES,
    waive: Collection[str] = (),
    **formula: Any,
) -> Fit:
    """Fit one variant of a family to a dataset whose columns are mapped to roles, or of a formula to a DataFrame.

    ``fit("y ~ x + (1 | g)", frame)`` takes ``likelihood``, ``group``, ``centre``, ``levels``, ``reference`` and
    ``weights`` (the column that says how often a row counts) too.
    ``priors`` replaces rows of the family's prior table (``{"tau": "half_cauchy(5)"}``). A fit whose program, data,
    priors, settings, seed, engine and version are known already is read from ``store`` (the user's cache folder).
    A fit with divergent transitions and no other failed check is sampled again at a smaller step, where that is
    expected to take less than ``minutes`` (0: never); ``Fit.earlier`` says so. Checks in ``waive`` need not be passed.
    Raises DataError, ModelError or EngineError.
    """
    fits = fit_variants(
        family, dataset, (variant,), priors=priors, sampling=sampling, engine=engine, store=store, say=say,
        progress=None if progress is None else (lambda _variant: progress), minutes=minutes, waive=waive, **formula,
    )  # fmt: skip
    return fits[variant]


def fit_variants(
    family: Family | str,
    dataset: Dataset | pd.DataFrame,
    variants: Sequence[str] | None = None,
    *,
    priors: Mapping[str, str] | None = None,
    sampling: Sampling | None = None,
    engine: Engine | str = "auto",
    store: FitStore | None = None,
    say: Reporter | None = None,
    progress: VariantProgress | None = None,
    minutes: float = MINUTES,
    waive: Collection[str] = (),
    **formula: Any,
) -> dict[str, Fit]:
    """Fit several variants (by default complete, no and partial pooling) to the same data, priors and settings.

    ``minutes`` bounds the second attempts of each variant, as in ``fit``. A formula in the place of the family goes
    with a DataFrame or a Dataset, and with ``likelihood`` (by default as the outcome is), ``group`` (the factor that
    is pooled; by default the first), ``centre``, ``levels``, ``reference`` and ``weights``.
    """
    model, dataset = family_and_data(family, dataset, **formula)
    chosen = choose(engine) if isinstance(engine, str) else engine
    jobs = jobs_of(model, dataset, variants, priors, sampling or Sampling(), chosen)
    fit_store = store or FitStore.for_user(model.name, dataset.name)
    quiet = say or (lambda _text: None)
    new = [job for job in jobs if not fit_store.has(job.variant, job.key)]
    if new:
        fit_store.refuse_unwritable(sum(stored_bytes(job.family, job.table, job.variant, job.sampling) for job in new))
        for sentence in many_groups(model, new[0].table, [job.variant for job in jobs], new[0].sampling):
            quiet(sentence)
    chosen.build([job.program for job in new], quiet)
    reasons = _fetch(new, fit_store, quiet, minutes, waive) if working_on_cluster() else {}
    fits = {}
    for job in jobs:
        tell = (lambda _text: None) if job.variant in reasons else quiet
        fits[job.variant] = run_attempts(job, fit_store, tell, progress, minutes=minutes, waive=waive)
    fresh = {name: replace(fits[name], reused=False, reason=reason) for name, reason in reasons.items()}
    return {**fits, **fresh}


def fit_named(
    name: str, family: Family, dataset: Dataset, variant: str, *, say: Reporter | None = None,
    progress: VariantProgress | None = None, **settings: Any,
) -> Fit:  # fmt: skip
    """The fit of one variant as ``fit_variants`` makes it, spoken of as ``name`` by ``say`` and ``progress``."""
    bars, tell = progress or (lambda _name: None), say or (lambda _text: None)
    return fit_variants(
        family, dataset, (variant,), progress=lambda _variant: bars(name),
        say=lambda text: tell(f"{capital(name)}: {text}"), **settings,
    )[variant]  # fmt: skip


def family_and_data(family: Family | str, dataset: Dataset | pd.DataFrame, **formula: Any) -> tuple[Family, Dataset]:
    """The family of that name and the dataset as it is, or those of a formula and a DataFrame or Dataset.

    ``likelihood`` is for families too that leave a choice of one.
    """
    if isinstance(family, str) and "~" in family:
        family, dataset = of_formula(family, dataset, **formula)
    elif set(formula) == {"likelihood"} and isinstance(dataset, Dataset):
        dataset = dataset.read_as(replace(dataset.reading, likelihood=str(formula["likelihood"])))
    elif formula:
        raise TypeError(f"{next(iter(formula))} goes with a formula such as 'y ~ x + (1 | group)'.")
    return find_family(family) if isinstance(family, str) else family, dataset


def _by_nodes_in_words(fit: Fit) -> str:
    """How a fit of many groups was made without a sampler, in a sentence or two."""
    groups = f"the coefficients of its {fit.table.n_groups:,} {fit.table.noun.many}"
    if fit.pooling == "no":
        return f"{fit.variant}: {groups} share nothing, and were drawn each by themselves, without a sampler."
    return (
        f"{fit.variant}: direct draws of the population, by importance weights (Pareto k {fit.about[PARETO_K]:.2f}), "
        f"with {groups} integrated out by nodes about their modes: with more nodes, laid anew, log densities of draws "
        f"differ by at most {fit.about[NODES_APART]:.2g}. The coefficients were then drawn given it and the rows."
    )
