"""Which variant would predict better? Scores side by side for a stated target, and what may be concluded from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from hbm_stan.budget import Budget
from hbm_stan.checks import check_fits
from hbm_stan.comparable import notes_beside, refuse_different_data
from hbm_stan.comparison import Comparison
from hbm_stan.densities import Unit, unit_labels
from hbm_stan.diagnosis import Diagnosis
from hbm_stan.errors import ComparisonError, HbmError, nearest
from hbm_stan.fit import Fit
from hbm_stan.judge import Pair, judge
from hbm_stan.leave_one_out import LeftOut, logo, loo, standard_error
from hbm_stan.nouns import GROUPS, Noun, capital
from hbm_stan.repair import repaired
from hbm_stan.repair.folds import Folds, by_folds, patches_of, stratified
from hbm_stan.scores import FEW_UNITS, FEW_WIDENING, Route, Score, read_score
from hbm_stan.sentences import Sentence, chance_in_words, sentences
from hbm_stan.store import FitStore
from hbm_stan.table import FloatArray
from hbm_stan.weights import best_by_chance, bootstrap_difference, pseudo_bma_weights, stacking_weights

TARGETS = ("observation", "group", "patch")
# What is predicted; sentences have the noun of the groups in its place.
KNOWN_GROUP = "a new observation in a known {group} (leave-one-out)"
KNOWN_GROUP_FOLDS = f"a new observation in a known {{group}} ({Route.FOLDS.words})"
NEW_GROUP = "a new {group}, all its rows together (leave-one-group-out, joint score)"
PATCH = f"the count of an area whose neighbours are left out too ({Route.PATCHES.words})"
LEFT_OUT_GROUP = "the estimate of a left-out {group}: each {group} has one row, so leave-one-out leaves it out whole"


def compare(
    fits: Mapping[str, Fit],
    diagnoses: Mapping[str, Diagnosis] | None = None,
    target: str = "observation",
    *,
    budget: Budget | None = None,
    store: FitStore | None = None,
    say: Callable[[str], None] | None = None,
) -> Comparison:
    """Compare fits of the same data by leaving each observation, each group or, of a map, each patch of areas out.

    ``diagnoses`` saves checking them again. A high Pareto k is repaired within ``budget`` (``Budget(max_refits=0)``
    repairs nothing); results of refits are kept in ``store``, by default in the user's cache folder.
    Raises ComparisonError for fewer than two fits or fits of different data, row order or outcome, and
    DiagnosticError for a fit that did not pass its checks and was not waived.
    """
    unit = unit_of(target)
    if budget is not None and not isinstance(budget, Budget):
        raise ComparisonError(f"budget must be a Budget, such as Budget(max_refits=30); got {budget!r}.")
    if not isinstance(fits, Mapping) or len(fits) < 2:
        raise ComparisonError("A comparison needs two fits at least, by name: what fit_variants gives.")
    refuse_different_data(list(fits.values()))
    given = {name: d for name, d in (diagnoses or {}).items() if name in fits}
    checked = given if len(given) == len(fits) else check_fits(fits) | given
    for diagnosis in checked.values():
        diagnosis.require()
    waived = {name: [v.name for v in d.verdicts if v.waived] for name, d in checked.items()}
    first, allowed, tell = next(iter(fits.values())), budget or Budget(), say or (lambda _text: None)
    store = store or FitStore.for_user(first.family.name, first.table.dataset.name)
    words, scored, notes = _scores(fits, target, unit, allowed, store, tell, waived)
    pooled, pooling = first.table.pooled, {name: fit.pooling for name, fit in fits.items()}
    return score(
        scored, words, unit=unit, n_observations=len(pooled.level), labels=unit_labels(first, unit), notes=notes,
        group=None if unit == "group" else pooled.level, groups=pooled.labels, pooling=pooling, noun=first.table.noun,
    )  # fmt: skip


def _scores(
    fits: Mapping[str, Fit], target: str, unit: Unit, budget: Budget, store: FitStore, say: Callable[[str], None],
    waived: Mapping[str, Sequence[str]],
) -> tuple[str, dict[str, LeftOut], list[str]]:  # fmt: skip
    """What is predicted in words, the scores of what has one, repaired, and what must be said beside them."""
    table = next(iter(fits.values())).table
    words = LEFT_OUT_GROUP if table.one_row_per_group else NEW_GROUP if unit == "group" else KNOWN_GROUP
    raw = {name: _left_out(fit, unit) for name, fit in fits.items()}
    there = {name: left_out for name, left_out in raw.items() if left_out is not None}

    def by(divide: Callable[[Fit], Folds], some: Mapping[str, LeftOut]) -> dict[str, LeftOut]:
        """Those that are more than a prior by folds, the others as they are."""
        many = {n: f for n, f in some.items() if not f.prior}
        return {**some, **by_folds({n: fits[n] for n in many}, many, budget, store, say, waived, divide)}

    if target == "patch":
        scored = by(patches_of, there)
        return PATCH, scored, notes_beside(fits, raw | scored, unit)
    by_rows = unit == "observation" or table.one_row_per_group
    given = {n: fits[n].of_rows if by_rows else fits[n] for n in there}
    scored = {n: repaired(given[n], f, budget, store, say, waived[n]) for n, f in there.items()}
    notes = notes_beside(fits, raw | scored, unit)
    if unit == "observation" and any(f.high.sum() > budget.max_refits > 0 and not f.prior for f in scored.values()):
        try:
            return KNOWN_GROUP_FOLDS, by(stratified, scored), notes
        except HbmError as error:
            notes.append(f"Scores that could not be repaired stay: {str(error).rstrip('.')}.")
    return words, scored, notes


def unit_of(target: str) -> Unit:
    """The unit that a target leaves out; raises ComparisonError for a target that there is not."""
    if str(target).lower() == "waic":
        raise ComparisonError(
            "WAIC is not offered: it fails where PSIS-LOO fails, without saying so (Vehtari et al. 2017). "
            "The targets are observation (leave-one-out) and group (leave-one-group-out); of a map, patch too."
        )
    if target not in TARGETS:
        raise ComparisonError(f"There is no target {target!r}. {nearest(str(target), TARGETS)}")
    return "group" if target == "group" else "observation"


def units_of(fit: Fit, only: Unit | None = None) -> tuple[Unit, ...]:
    """What is left out: both, or ``only`` one; with one row for each group they are the same."""
    return (only,) if only else ("observation",) if fit.table.one_row_per_group else ("observation", "group")


def both_targets(
    fits: Mapping[str, Fit],
    diagnoses: Mapping[str, Diagnosis] | None = None,
    only: Unit | None = None,
    budget: Budget | None = None,
    store: FitStore | None = None,
    say: Callable[[str], None] | None = None,
) -> dict[Unit, Comparison]:
    """The comparisons by target, both or ``only`` one; with one row for each group they are the same, and made once.

    A new group that only refits could score is left out where it was not asked for by name; a note says so.
    """
    units = units_of(next(iter(fits.values())), only)
    comparisons = {unit: compare(fits, diagnoses, unit, budget=budget, store=store, say=say) for unit in units}
    if only is None and any(s.route is Route.NEEDS_REFITS for c in comparisons.values() for s in c.scores):
        rows, unscored = comparisons["observation"], comparisons.pop("group")
        comparisons["observation"] = replace(rows, notes=(*rows.notes, *unscored.notes))
    return comparisons


def _left_out(fit: Fit, unit: Unit) -> LeftOut | None:
    """The score of a fit; with one row for each group, to leave the group out is to leave its row out."""
    if unit == "observation":
        return loo(fit)
    return replace(loo(fit), unit="group") if fit.table.one_row_per_group else logo(fit)


def score(
    pointwise: Mapping[str, LeftOut],
    target: str = KNOWN_GROUP,
    *,
    unit: Unit = "observation",
    n_observations: int | None = None,
    labels: Sequence[str] = (),
    group: npt.NDArray[np.int64] | None = None,
    groups: Sequence[str] = (),
    pooling: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    noun: Noun = GROUPS,
) -> Comparison:
    """The comparison of scores that are known to belong to the same units.

    ``group`` is the group of each observation, ``groups`` are their names, ``pooling`` is that of each variant,
    ``noun`` what a group is called.
    """
    if not pointwise:
        raise ComparisonError("No variant has a score for this target. " + " ".join(notes))
    order = sorted(pointwise, key=lambda name: (bool(pointwise[name].prior), -_number(pointwise[name].elpd)))
    best = pointwise[order[0]]
    ranked_names = [name for name in order if not pointwise[name].prior]
    rough = any(pointwise[name].rough for name in ranked_names)
    withheld = any(pointwise[name].high.any() for name in ranked_names) or rough
    # What may not be ranked stands in the order in which it was given.
    order = list(pointwise) if withheld else order
    ranked_names = [name for name in order if not pointwise[name].prior]
    names = labels or tuple(str(i + 1) for i in range(best.elpd_i.size))
    kinds, group_names = pooling or {}, groups or (names if group is None else ())
    pairs = [_pair(a, b, pointwise, group, group_names, kinds, withheld) for a, b in _set_against(ranked_names, kinds)]
    scores = [_score(name, pointwise[name], best, names, group) for name in order]
    ranked = [s for s in scores if s.ranked]
    if pairs and all(p.kind == "better" for p in pairs if p.better == ranked_names[0]):
        scores = _weighted(scores, pointwise)
    statements = sentences(scores, pairs, len(names), unit, noun=noun, rough=rough)
    if not withheld and best_by_chance(np.array([s.elpd for s in ranked])):
        statements.append(Sentence("chance", chance_in_words(len(ranked))))
    return Comparison(
        target=noun.fill(target), n_observations=n_observations or len(names), scores=tuple(scores), pairs=tuple(pairs),
        sentences=tuple(statements), withheld=withheld, k_threshold=min(p.k_threshold for p in pointwise.values()),
        pointwise=dict(pointwise), unit=unit, labels=names, notes=tuple(notes), noun=noun,
    )  # fmt: skip


def _weighted(scores: Sequence[Score], pointwise: Mapping[str, LeftOut]) -> list[Score]:
    """The scores, those that are ranked with their weights."""
    ranked = [s for s in scores if s.ranked]
    elpd_i = np.array([pointwise[s.variant].elpd_i for s in ranked])
    weights = zip(ranked, stacking_weights(elpd_i), pseudo_bma_weights(elpd_i), strict=True)
    weighted = {s.variant: replace(s, weight=float(w), weight_bma=float(b)) for s, w, b in weights}
    return [weighted.get(s.variant, s) for s in scores]


def _set_against(ranked: Sequence[str], pooling: Mapping[str, str]) -> list[tuple[str, str]]:
    """The pairs that are judged, the better first: the best with each other one, partial with complete pooling."""
    pairs = [(one, other) for one in ranked[:1] for other in ranked[1:]]
    for i, one in enumerate(ranked[1:], 1):
        rest = [other for other in ranked[i + 1 :] if {pooling.get(one), pooling.get(other)} == {"partial", "complete"}]
        pairs += [(one, other) for other in rest]
    return pairs


def _pair(
    better: str, other: str, pointwise: Mapping[str, LeftOut], group: npt.NDArray[np.int64] | None,
    groups: Sequence[str], pooling: Mapping[str, str], withheld: bool,
) -> Pair:  # fmt: skip
    if withheld:
        return Pair(better=better, other=other, kind="withheld")
    one, another = pointwise[better], pointwise[other]
    lead, limit = one.elpd_i - another.elpd_i, (pooling.get(better), pooling.get(other)) == ("partial", "complete")
    mcse = math.hypot(one.mcse, another.mcse)
    return judge(better, other, lead, se=_se_used(lead), mcse=mcse, group=group, labels=groups, limit=limit)


def _se_used(difference: FloatArray) -> float:
    """The standard error of a difference, doubled where units are few."""
    return standard_error(difference) * (FEW_WIDENING if difference.size < FEW_UNITS else 1)


def _number(value: float) -> float:
    return -math.inf if math.isnan(value) else value


def _score(name: str, own: LeftOut, best: LeftOut, labels: Sequence[str], group: npt.NDArray[np.int64] | None) -> Score:
    difference, n = own.elpd_i - best.elpd_i, own.elpd_i.size
    high = int(own.high.sum())
    by_group = difference if group is None else np.bincount(group, weights=difference)
    return Score(
        variant=name,
        elpd=own.elpd,
        se=own.se,
        elpd_diff=float(difference.sum()),
        se_diff=standard_error(difference),
        se_diff_used=_se_used(difference),
        p_loo=own.p_loo,
        weight=None,
        pareto_k_high=high,
        pareto_k_max=None if own.pareto_k is None else float(np.max(own.pareto_k)),
        route=own.route,
        prior=own.prior,
        reading=_reading(own, n),
        mcse=math.nan if high else own.mcse,
        mcse_diff=0.0 if own is best else math.nan if high else math.hypot(own.mcse, best.mcse),
        # Rows of a group err together: the bootstrap is over groups, the standard error over rows.
        bootstrap=_bootstrap(by_group) if len(by_group) > 1 and own is not best else None,
        repaired=len(own.repairs),
        unrepaired=tuple(labels[int(i)] for i in np.flatnonzero(own.high)),
    )


def _reading(own: LeftOut, n: int) -> str:
    """What must be known of a score: its note, and what p_loo says, a sentence of its own where both stand."""
    read = read_score(own.p_loo, own.n_parameters, n, own.high_at_first)
    return f"{own.note} {capital(read)}".strip() if own.note else read


def _bootstrap(difference: FloatArray) -> tuple[float, float, float]:
    """The bootstrap of a difference by group, with the ends of the lead that the verdict speaks of turned round."""
    low, high, _ = bootstrap_difference(-difference)
    return -high, -low, bootstrap_difference(difference)[2]
