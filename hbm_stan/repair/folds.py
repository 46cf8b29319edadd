"""Ten-fold cross-validation: folds stratified by group, or patches of a map.

Stratified folds take the place of more refits than are allowed: every one holds a tenth of each group's rows, and so
mimics leaving one row out (Vehtari, rats case study). Patches are areas side by side, left out with their neighbours.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, replace

import numpy as np
import numpy.typing as npt

from hbm_stan.budget import Budget
from hbm_stan.data import Dataset
from hbm_stan.errors import ComparisonError
from hbm_stan.executor import answered, in_turn
from hbm_stan.fit import Fit, Job
from hbm_stan.leave_one_out import LeftOut, mean_error
from hbm_stan.log_sums import log_sum_exp
from hbm_stan.neighbours import Neighbours
from hbm_stan.patches import patches
from hbm_stan.repair.bridge import tail_of
from hbm_stan.repair.jobs import Say, job_without
from hbm_stan.repair.refits import held_out, keep_note, note_name, note_of, passed, without_draws
from hbm_stan.scores import FOLDS, Route
from hbm_stan.store import FitStore


def folds_of(fit: Fit) -> npt.NDArray[np.int64]:
    """The fold of each row, 0 to 9: the same for all variants of the same data."""
    rng = np.random.default_rng(20261121)
    shuffled = rng.permutation(fit.table.n_rows)
    in_order = shuffled[np.argsort(fit.table.pooled.level[shuffled], kind="stable")]
    folds = np.empty(len(in_order), dtype=np.int64)
    folds[in_order] = np.arange(len(in_order)) % FOLDS
    return folds


@dataclass(frozen=True)
class Folds:
    """The fold of each row, (N,), counted from 0; the route that scores by them go by, and what one is called."""

    of: npt.NDArray[np.int64]
    route: Route = Route.FOLDS
    noun: str = "fold"

    @property
    def n(self) -> int:
        """How many folds there are."""
        return int(self.of.max()) + 1


def stratified(fit: Fit) -> Folds:
    """Ten folds, each with a tenth of every group's rows."""
    return Folds(folds_of(fit))


def neighbours_of(dataset: Dataset) -> Neighbours:
    """The neighbours of a map; raises ComparisonError where there is none."""
    if dataset.reading.neighbours is None:
        raise ComparisonError(
            "The target patch leaves out areas with their neighbours: it is for maps (the family disease_mapping), and "
            "these fits have no list of neighbours."
        )
    return dataset.reading.neighbours


def patches_of(fit: Fit) -> Folds:
    """Ten patches of areas side by side; raises ComparisonError where there is no map."""
    there = fit.table.pooled.labels
    patch = patches(there, neighbours_of(fit.table.dataset).among(there).pairs, FOLDS)
    return Folds(patch[fit.table.pooled.level], Route.PATCHES, "patch")


def by_folds(
    fits: Mapping[str, Fit], scores: Mapping[str, LeftOut], budget: Budget, store: FitStore, say: Say,
    waive: Mapping[str, Collection[str]] | None = None, divide: Callable[[Fit], Folds] = stratified,
) -> dict[str, LeftOut]:  # fmt: skip
    """The scores of all variants by the same folds, ``divide`` of the first one, in place of those given.

    Raises ComparisonError where a variant cannot be scored so, or where it would take longer than the budget allows.
    """
    folds = divide(next(iter(fits.values())))
    seconds = folds.n * sum(fit.seconds for fit in fits.values())
    if seconds > budget.seconds_left:
        raise ComparisonError(
            f"refits without each {folds.noun} in turn would take some {seconds / 60:.0f} minutes, more than are left "
            "(--minutes)"
        )
    for fit in fits.values():
        if fit.table.units is not None:
            raise ComparisonError(f"no {folds.noun} is left out: rows of units are scored one by one only")
        fit.family.need("pointwise", "a score of rows that were left out")
    waived = waive or {}
    return {n: _scored(fit, folds, scores[n], budget, store, say, waived.get(n, ())) for n, fit in fits.items()}


def _scored(
    fit: Fit, folds: Folds, scores: LeftOut, budget: Budget, store: FitStore, say: Say, waive: Collection[str]
) -> LeftOut:
    """The scores of all rows; a density whose right tail is too heavy for its mean stays marked by its Pareto k."""
    elpd_i, pareto_k, mcse = *np.empty((2, fit.table.n_rows)), 0.0
    by_fold = {k: rows for k in range(folds.n) if len(rows := np.flatnonzero(folds.of == k))}
    names = [f"{folds.noun} {k + 1} of {folds.n}" for k in by_fold]
    scored = _folds(fit, names, list(by_fold.values()), store, say, waive, lambda: budget.spent)
    for name, rows in zip(names, by_fold.values(), strict=True):
        if (fold := next(scored, None)) is None:
            raise ComparisonError(f"{name}: {budget.minutes:g} minutes are over (--minutes)")
        elpd_i[rows], pareto_k[rows], mcse = fold.elpd, fold.pareto_k, math.hypot(mcse, fold.mcse)
    return replace(
        scores, elpd_i=elpd_i, lppd_i=np.full(len(elpd_i), math.nan), pareto_k=pareto_k, route=folds.route, mcse=mcse,
        note="", repairs={}, reasons={}, quadrature=None,
    )  # fmt: skip


@dataclass(frozen=True)
class _Fold:
    """The scores of a fold's rows and their Pareto k, (rows,) each, and the error of their sum: they share draws."""

    elpd: list[float]
    pareto_k: list[float]
    mcse: float


def _folds(
    fit: Fit, names: Sequence[str], rows: Sequence[npt.NDArray[np.int64]], store: FitStore, say: Say,
    waive: Collection[str], stop: Callable[[], bool],
) -> Iterator[_Fold]:  # fmt: skip
    """The scores of the rows of each fold, in order, made side by side; from notes where these are kept."""
    keys: list[str] = []

    def units() -> Iterator[tuple[Fit, Job, list[int], tuple[str, ...]] | Future[_Fold]]:
        for name, own in zip(names, rows, strict=True):
            # What is left out is scored too: its values are in the key of the whole fit only.
            job = job_without(fit, own)
            key = hashlib.sha256(f"{fit.key} {job.key} fold".encode()).hexdigest()
            note = note_of(store, note_name(fit, key), key)
            keys.append("" if note is not None else key)
            if note is not None:
                yield answered(_Fold(note["elpd"], note["pareto_k"], note["mcse"]))
            else:
                say(f"{fit.variant}: {name}")
                yield without_draws(fit), job, [int(i) for i in own], tuple(waive)

    for i, future in enumerate(in_turn(score_fold, units(), fit.family, fit.engine, fit.sampling.chains, stop)):
        fold: _Fold = future.result()
        if keys[i]:
            keep_note(store, note_name(fit, keys[i]), {"key": keys[i], "left out": names[i], **asdict(fold)}, say)
        yield fold


def score_fold(fit: Fit, job: Job, rows: list[int], waive: Collection[str]) -> _Fold:
    """The scores of rows by the fit of a job without them; ``fit`` needs no draws."""
    density = held_out(fit, passed(job, waive), "observation", rows, apart=True)
    elpd = log_sum_exp(density, axis=0) - math.log(len(density))
    error = mean_error(np.exp(density - elpd).sum(axis=1), fit.sampling.chains)
    return _Fold(elpd.tolist(), [tail_of(column) for column in density.T], error)
