"""Fits without some rows, and the density of what was left out: exact, kept as small notes beside the fits."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from hbm_stan.attempts import fit_anew
from hbm_stan.densities import (
    Unit,
    at_draws_of,
    density_of,
    evaluated,
    log_lik_of,
    of_rows,
    rows_of,
    sum_by_group,
    unit_labels,
)
from hbm_stan.diagnose import check
from hbm_stan.errors import ComparisonError, HbmError, StorageError
from hbm_stan.executor import answered, in_turn, refused
from hbm_stan.fit import Fit, Job
from hbm_stan.named import NamedTree
from hbm_stan.prepare import Prepared
from hbm_stan.repair.bridge import Exact, bridged, score_of
from hbm_stan.repair.jobs import Say, job_without
from hbm_stan.scores import Route
from hbm_stan.store import FitStore
from hbm_stan.table import FloatArray

# Half of the error that a repaired score may have (0.1, ours): beyond it a refit is made again with more draws.
_PRECISE, _MORE = 0.05, 4


def refit_without(fit: Fit, rows: npt.ArrayLike) -> Fit:
    """The same variant with the same priors, settings and engine, fitted without some rows (counted from 0).

    What fails by its step alone is sampled again at a smaller one. Raises DataError where the other rows cannot be
    fitted.
    """
    return fit_anew(job_without(fit, rows))


def passed(job: Job, waive: Collection[str]) -> Fit:
    """The fit of a job, as ``refit_without`` makes it; raises ComparisonError where it did not pass its checks."""
    refit = fit_anew(job)
    refuse_failed(refit, waive)
    return refit


def exact_scores(
    fit: Fit, unit: Unit, indices: Sequence[int], store: FitStore, say: Say, waive: Collection[str] = (),
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Callable[[], Exact]]:  # fmt: skip
    """The score of each unit, in order, by a fit without it, bridged with the whole fit; called for, it is given.

    The fits are made side by side; a result that is kept is used again. Where ``stop`` says so no more are begun, and
    there are fewer scores than indices. A call raises ComparisonError where the fit failed its checks or the family
    cannot score what it has not seen, and what the fit without the unit raised.
    """
    notes: list[dict[str, str]] = []

    def units() -> Iterator[tuple[_Unseen] | Future[Exact]]:
        for index in indices:
            label = unit_labels(fit, unit)[index]
            try:
                one = _unseen(fit, unit, index, waive)
            except HbmError as error:
                notes.append({})
                yield refused(error)
                continue
            note = note_of(store, note_name(fit, one.key), one.key)
            notes.append({} if note is not None else {"key": one.key, "left out": label})
            if note is not None:
                yield answered(Exact(note["elpd"], note["mcse"], note["pareto_k"]))
            else:
                say(f"{fit.variant}: fitting without {label}")
                yield (one,)

    for i, future in enumerate(in_turn(scored, units(), fit.family, fit.engine, fit.sampling.chains, stop)):
        yield partial(_noted, future, notes[i], fit, store, say)


def _noted(future: Future[Exact], note: Mapping[str, str], fit: Fit, store: FitStore, say: Say) -> Exact:
    """The score, with its note kept where it is a new one."""
    score = future.result()
    if note:
        keep_note(store, note_name(fit, note["key"]), {**note, **asdict(score)}, say)
    return score


@dataclass(frozen=True, kw_only=True)
class _Unseen:
    """What the score of a unit is made of by whoever makes it: ``fit`` without its draws, the job of the fit without
    the unit, the log density of the unit at the whole fit's draws (S,) where there is one, and ``key`` of the note."""

    fit: Fit
    job: Job
    unit: Unit
    index: int
    seen: FloatArray | None
    waive: tuple[str, ...]
    key: str


def note_name(fit: Fit, key: str) -> str:
    """What a note on a score without something is called."""
    return f"{fit.variant}-without-{key[:16]}"


def without_draws(fit: Fit) -> Fit:
    """The fit as it travels to where refits of it are scored: they ask for its data, not for its draws."""
    return replace(fit, named=NamedTree({}))


def _unseen(fit: Fit, unit: Unit, index: int, waive: Collection[str]) -> _Unseen:
    require_functions(fit, unit)
    job = job_without(fit, rows_of(fit, unit, index))
    density = density_of(fit, unit)
    route = density.route if density.of is not None else Route.REFITS
    key = hashlib.sha256(f"{fit.key} {job.key} {unit} {index} {route}".encode()).hexdigest()
    return _Unseen(
        fit=without_draws(fit), job=job, unit=unit, index=index, seen=_seen(fit, job.table, unit, index),
        waive=tuple(waive), key=key,
    )  # fmt: skip


def scored(one: _Unseen) -> Exact:
    """The score of a unit by a fit without it, made again with more draws where its error is large."""
    score = _bridged(one, one.job)
    if score.mcse > _PRECISE:
        more = replace(one.job.sampling, draws=_MORE * one.job.sampling.draws)
        score = _bridged(one, replace(one.job, sampling=more))
    return score


def require_functions(fit: Fit, unit: Unit) -> None:
    """Raise ModelError, before anything is sampled, where the family cannot score what a refit has not seen."""
    density, purpose = density_of(fit, unit), f"a score of a {unit} that was left out"
    if density.of is None or density.own:
        fit.family.need("pointwise", purpose)
    if unit == "group" and density.of is None:
        fit.family.need("new_group", purpose)


def keep_note(store: FitStore, name: str, note: dict[str, Any], say: Say) -> None:
    """Keep a result beside the fits; where it cannot be kept, it is said, and the result stands."""
    try:
        store.write_note(name, note)
    except StorageError as error:
        say(str(error))


def _bridged(one: _Unseen, job: Job) -> Exact:
    refit, chains = passed(job, one.waive), one.fit.sampling.chains
    unseen = held_out(one.fit, refit, one.unit, [one.index])[:, 0]
    return score_of(unseen, chains) if one.seen is None else bridged(unseen, one.seen, chains)


def note_of(store: FitStore, name: str, key: str) -> dict[str, Any] | None:
    """The note of that name if it is whole and of this key."""
    note = store.read_note(name)
    return note if isinstance(note, dict) and note.get("key") == key else None


def refuse_failed(refit: Fit, waive: Collection[str] = ()) -> None:
    """Raise ComparisonError where a refit did not pass its checks, those aside that were waived of the whole fit."""
    if failed := [v.name for v in check(refit, waive).failed]:
        raise ComparisonError(f"a refit failed its checks ({', '.join(failed)})")


def _seen(fit: Fit, table: Prepared, unit: Unit, index: int) -> FloatArray | None:
    """The density of the same unit at the draws that have seen it, (S,); None where it takes what a fit of ``table``
    lacks."""
    density = density_of(fit, unit)
    if density.of is not None and not density.own:
        return np.asarray(evaluated(fit, density.of)[:, index])
    if unit == "group" or fit.table.pooled.row_labels[index] not in table.pooled.labels:
        return None
    return np.asarray(log_lik_of(fit)[:, index])


def held_out(fit: Fit, refit: Fit, unit: Unit, indices: Sequence[int], *, apart: bool = False) -> FloatArray:
    """The log density of units that a refit has not seen, (S, units).

    ``apart`` asks for rows given the parameters alone: where other rows of the group are left out too, a density that
    takes them as known would know too much.
    """
    density, draws = density_of(fit, unit), with_effects(fit, refit)
    if unit == "group":
        return (density.of(draws, fit.data) if density.of is not None else _new_groups(fit, draws))[:, list(indices)]
    there = np.isin(np.asarray(fit.table.pooled.row_labels)[list(indices)], refit.table.pooled.labels)
    if there.all() and not density.own and not apart:
        assert density.of is not None
        return at_draws_of(fit, density.of, draws, np.asarray(indices))
    log_densities = np.empty((refit.n_draws, len(indices)))
    rows = np.asarray(indices)
    if there.any():
        pointwise = of_rows(fit, fit.family.need("pointwise", "a score of a row that was left out"))
        log_densities[:, there] = at_draws_of(fit, pointwise, expanded(fit, refit), rows[there])
    if not there.all():
        log_densities[:, ~there] = _alone(fit, draws)[:, fit.table.pooled.level[rows[~there]]]
    return log_densities


def _alone(fit: Fit, draws: Any) -> FloatArray:
    """The density of groups of one row that a refit has not seen, (S, J) or (1, J)."""
    if fit.pooling == "no":
        alone = fit.family.need("prior_group_log_lik", "a score of a group that was left out")(fit.data, fit.variant)
        if alone is None and not fit.family.programs.shared:  # what groups share is in the draws
            raise ComparisonError("without pooling the family gives no density of a group under its prior")
        if alone is not None:
            return np.asarray(alone)[None]
    density = density_of(fit, "group")
    return density.of(draws, fit.data) if density.of is not None else _new_groups(fit, draws)


def _new_groups(fit: Fit, draws: Any) -> FloatArray:
    """The density of each group's rows given a draw of its effect from the population: right, and noisy."""
    family = fit.family
    drawn = family.need("new_group", "a score of a group that was left out")(
        np.random.default_rng(fit.sampling.seed), draws, fit.data, fit.variant
    )
    rows = family.need("pointwise", "a score of a group that was left out")(
        {**draws, family.groups.group_quantity: drawn}, fit.data
    )
    return sum_by_group(fit, rows)


def with_effects(fit: Fit, refit: Fit) -> dict[str, FloatArray]:
    """The draws of a refit with the effects of all levels of other factors, at their places in the whole table.

    Those of levels that it has not seen are drawn from their population.
    """
    draws = refit.draws()
    if not fit.family.terms or fit.family.twin.latent is None or "effect" not in draws:
        return draws
    (dim,) = fit.family.programs.dims["effect"]
    labels, seen = (f.family.coordinates(f.table)[dim] for f in (fit, refit))
    if list(labels) == list(seen):
        return draws
    whole = fit.family.twin.latent(np.random.default_rng(fit.sampling.seed), draws, fit.data, fit.variant)["effect"]
    place = {label: i for i, label in enumerate(labels)}
    whole[:, [place[label] for label in seen]] = draws["effect"]
    return {**draws, "effect": whole}


def expanded(fit: Fit, refit: Fit) -> dict[str, FloatArray]:
    """The draws of a refit with a place for every group of the whole table: nan for those that it has not seen."""
    draws, dims = with_effects(fit, refit), fit.family.programs.dims
    if refit.table.pooled.labels == fit.table.pooled.labels:
        return draws
    at = [fit.table.pooled.labels.index(label) for label in refit.table.pooled.labels]
    for name, values in draws.items():
        if dims.get(name, ())[:1] == ("group",):
            whole = np.full((len(values), fit.table.n_groups, *values.shape[2:]), math.nan)
            whole[:, at] = values
            draws[name] = whole
    return draws
