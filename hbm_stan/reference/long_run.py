"""A long run of one's own becomes a reference, if it meets the criteria of posteriordb's reference posteriors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hbm_stan.agreement import STATISTICS
from hbm_stan.attempts import smaller_step
from hbm_stan.diagnose import parameters, summarise
from hbm_stan.draw import fit_of_draws
from hbm_stan.engines import EngineDraws, Progress
from hbm_stan.errors import DiagnosticError, ModelError
from hbm_stan.fit import Fit, Job
from hbm_stan.identity import data_hash
from hbm_stan.reference.files import Posterior, Reference
from hbm_stan.reference.match import same_prior
from hbm_stan.resources import cores
from hbm_stan.results.reproduction import versions
from hbm_stan.table import FloatArray

# posteriordb, REFERENCE_POSTERIOR_DEFINITION.md: 10,000 draws of 10 chains, R-hat below 1.01, lag-1 autocorrelation of
# the kept draws below 0.05 in absolute value, no divergent transition; E-BFMI below 0.2 is refused (Betancourt 2016).
CHAINS, DRAWS, THIN, WARMUP = 10, 1000, 10, 2000
# One divergent transition in 100,000 costs the reference: the run is then made again with a smaller step.
_ADAPT_DELTA = 0.95
MAX_RHAT, MAX_AUTOCORRELATION, MIN_EBFMI = 1.01, 0.05, 0.2
# Where the kept draws still depend on each other, the run is made this much longer, and once more.
_LONGER, _MOST_THIN = 2, 40


@dataclass(frozen=True)
class LongRun:
    """A run of 10 chains, draws thinned; ``about`` says how it meets the criteria, ``faults`` where it does not."""

    fit: Fit
    about: Mapping[str, Any]
    faults: tuple[str, ...]


def long_run(
    job: Job,
    say: Callable[[str], None] | None = None,
    progress: Progress | None = None,
    *,
    draws: int = DRAWS,
    thin: int = THIN,
) -> LongRun:
    """Ten chains of ``draws`` draws, thinned until draws no longer depend on the one before.

    Draws are thinned after sampling, so that every divergent transition is counted.
    """
    tell, delta = say or (lambda _text: None), max(job.sampling.adapt_delta, _ADAPT_DELTA)
    while True:
        run = _run(job, draws, thin, delta, progress)
        step = smaller_step(["divergences"] if run.about["divergences"] else [], delta)
        if step is not None:
            delta = step
            tell(f"{job.variant}: divergent transitions; again with adapt_delta {delta}")
            continue
        if run.about["largest_autocorrelation"] < MAX_AUTOCORRELATION or thin * _LONGER > _MOST_THIN:
            return run
        thin *= _LONGER
        tell(f"{job.variant}: draws depend on each other; keeping every {thin}th")


def _run(job: Job, draws: int, thin: int, delta: float, progress: Progress | None) -> LongRun:
    settings = replace(job.sampling, chains=cores(), warmup=WARMUP, draws=draws * thin, adapt_delta=delta)
    variables: dict[str, list[FloatArray]] = {}
    stats: dict[str, list[FloatArray]] = {}
    divergent, energies, done = 0, [], 0
    while done < CHAINS:
        batch = replace(settings, chains=min(settings.chains, CHAINS - done), seed=(settings.seed + done) % 2**31)
        drawn = job.engine.sample(job.program, job.data, batch, _shifted(progress, done))
        divergent += int(drawn.sample_stats["diverging"].sum())
        energies.append(drawn.sample_stats["energy"])
        for into, values in ((variables, drawn.variables), (stats, drawn.sample_stats)):
            for name, array in values.items():
                into.setdefault(name, []).append(array[:, thin - 1 :: thin])
        done += batch.chains
    joined = EngineDraws(_joined(variables), _joined(stats))
    fit = fit_of_draws(job, joined, replace(settings, chains=CHAINS, draws=draws))
    return _judged(fit, thin, divergent, np.concatenate(energies))


def _joined(values: Mapping[str, list[FloatArray]]) -> dict[str, FloatArray]:
    return {name: np.concatenate(chains) for name, chains in values.items()}


def _shifted(progress: Progress | None, done: int) -> Progress | None:
    """The progress of a batch as that of its chains among all."""
    if progress is None:
        return None
    return lambda chain, iteration, total: progress(chain + done, iteration, total)


def _judged(fit: Fit, thin: int, divergent: int, energy: FloatArray) -> LongRun:
    from arviz_stats.base import array_stats as az

    names, draws = parameters(fit)
    summary = summarise(names, draws)
    autocorrelation = np.abs(np.asarray(az.autocorr(draws))[..., 1].mean(axis=1))
    bfmi = float(np.min((np.diff(energy, axis=1) ** 2).mean(axis=1) / energy.var(axis=1)))
    worst = int(np.argmax(autocorrelation))
    rhat, correlation = float(summary["rhat"].max()), float(autocorrelation[worst])
    about = {
        "program_sha256": fit.program_sha256, "thin": thin, "iterations": thin * fit.sampling.draws,
        "divergences": divergent,
        "largest_rhat": rhat, "largest_autocorrelation": correlation,
        "smallest_ess": float(summary[["ess_bulk", "ess_tail"]].min(axis=None)), "smallest_ebfmi": bfmi,
    }  # fmt: skip
    faults = [
        (divergent > 0, f"{divergent} divergent transitions (allowed: none)"),
        (not rhat < MAX_RHAT, f"R-hat of {summary['rhat'].idxmax()} is {rhat:.4f} (allowed: below {MAX_RHAT})"),
        (not correlation < MAX_AUTOCORRELATION,
         f"neighbouring draws of {names[worst]} correlate by {correlation:.3f} (allowed: below {MAX_AUTOCORRELATION})"),
        (not bfmi >= MIN_EBFMI, f"E-BFMI is {bfmi:.2f} (allowed: {MIN_EBFMI} or more)"),
    ]  # fmt: skip
    return LongRun(fit, about, tuple(words for wrong, words in faults if wrong))


def reference_of(title: str, runs: Sequence[LongRun], path: Path) -> Reference:
    """The reference that long runs of an analysis make. DiagnosticError where one does not meet the criteria."""
    for run in runs:
        if run.faults:
            raise DiagnosticError(
                f"The long run of {run.fit.variant} is no reference: {'; '.join(run.faults)}. Use another "
                "parameterisation, a larger adapt_delta, or leave the variant out with --variant."
            )
    fit = runs[0].fit
    dataset = fit.table.dataset
    priors: dict[str, str] = {}
    for run in runs:
        priors |= run.fit.family.prior_texts(run.fit.variant, run.fit.priors)
    settings = {k: v for k, v in fit.sampling.as_dict().items() if k != "seed"}
    return Reference(
        path=path, title=title, kind="long run", source=f"hbm reference, {fit.engine} {fit.engine_version}",
        method=f"{CHAINS * fit.sampling.draws:,} draws of {CHAINS} chains, thinned; meets the criteria of "
        "posteriordb's reference posteriors",
        exact=False, family=fit.family.name,
        data={"name": dataset.name, "rows": fit.table.n_read, "file_sha256": dataset.sha256,
              "sha256": data_hash(fit.family, fit.variant, fit.table, fit.data)},
        priors=priors, posteriors=tuple(_posterior(run) for run in runs),
        about={"seed": fit.sampling.seed, "settings": settings, "engine": f"{fit.engine} {fit.engine_version}",
               "versions": versions()},
    )  # fmt: skip


def joined(new_reference: Reference, held: Reference) -> Reference:
    """The new reference with the posteriors of other variants that the old one holds.

    Raises ModelError where the old one is of other data or priors: together they would be no reference of anything.
    """
    new = {v for p in new_reference.posteriors for v in p.variants}
    old_posteriors = tuple(p for p in held.posteriors if not new & set(p.variants))
    same = (
        held.kind == new_reference.kind
        and held.family == new_reference.family
        and held.data.get("sha256") == new_reference.data["sha256"]
    )
    if old_posteriors and not (
        same and all(same_prior(new_reference.priors.get(n, text), text) for n, text in held.priors.items())
    ):
        others = ", ".join(v for p in old_posteriors for v in p.variants)
        raise ModelError(
            f"{held.path} holds {others} of other data or priors. Save all variants together (without --variant), or "
            "name another file with --file."
        )
    priors = {**held.priors, **new_reference.priors} if old_posteriors else new_reference.priors
    return replace(new_reference, posteriors=(*new_reference.posteriors, *old_posteriors), priors=priors)


def _posterior(run: LongRun) -> Posterior:
    """What a run says; a quantile that many draws share, as of a value among samples, has no error and is left out."""
    names, draws = parameters(run.fit)
    table = summarise(names, draws)
    for statistic in STATISTICS:
        table.loc[table[f"mcse_{statistic}"] == 0, [statistic, f"mcse_{statistic}"]] = np.nan
    return Posterior((run.fit.variant,), table, {}, run.about)
