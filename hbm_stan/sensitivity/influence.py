"""How the population moves when one group is left out: from group-out weights, or a refit where they fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from hbm_stan.densities import density_of, evaluated
from hbm_stan.diagnose import check
from hbm_stan.directly import directly_in_words, fit_directly
from hbm_stan.elements import base_of
from hbm_stan.engines import PARETO_K
from hbm_stan.errors import DataError, NotDirectError
from hbm_stan.executor import in_turn
from hbm_stan.fit import Fit
from hbm_stan.leave_one_out import good_k
from hbm_stan.nouns import GROUPS, Noun
from hbm_stan.portions import portions
from hbm_stan.psis import Columns, smooth
from hbm_stan.repair import refit_without
from hbm_stan.repair.jobs import job_without
from hbm_stan.repair.refits import without_draws
from hbm_stan.scratch import give_back
from hbm_stan.sensitivity.conclusion import Interval, interval, varying
from hbm_stan.sensitivity.quantities import location_and_scale, location_of, side
from hbm_stan.sensitivity.way import RELIABLE, Way
from hbm_stan.table import FloatArray

# A group that moves a parameter by more posterior sds than this is said to carry it.
LARGE_MOVE = 1.0
_NAMED = 5  # groups that a sentence names
MOST_LISTED = 1000  # and those that results.json lists, of more the ones that move the population most (ours)


@dataclass(frozen=True, kw_only=True)
class Without:
    """The population without one group: intervals by parameter, and how far each mean moves, in posterior sds.

    Of a refit by direct draws ``direct`` is the Pareto k of their weights; of another, ``sampled`` says why it is none.
    """

    group: str
    route: Way
    pareto_k: float | None
    intervals: Mapping[str, Interval]
    moves: Mapping[str, float]
    flips: tuple[str, ...]
    direct: float | None = None
    sampled: str = ""

    @property
    def reliable(self) -> bool:
        """Whether anything may be concluded from it."""
        return self.route in RELIABLE

    @property
    def largest(self) -> str:
        """The parameter that moves most."""
        return max(self.moves, key=lambda n: abs(self.moves[n]), default="")

    @property
    def moved(self) -> float:
        """By how many posterior sds that parameter moves."""
        return self.moves.get(self.largest, 0.0)

    def as_dict(self) -> dict[str, Any]:
        """The row for JSON."""
        how = {"route": self.route.words, "route_kind": self.route.value, "reliable": self.reliable}
        return asdict(self) | how | {"largest_move": self.largest, "moved": self.moved}


@dataclass(frozen=True, kw_only=True)
class Influence:
    """The population as it stands, and without each group, the largest move first.

    ``rows`` are those of all groups, of very many those that move the population most.
    """

    base: Mapping[str, Interval]
    rows: tuple[Without, ...]
    n_groups: int
    k_threshold: float
    sentences: tuple[str, ...]
    columns: tuple[str, ...] = ()  # parameters for a table: those of terms that differ between groups
    page_one: tuple[str, ...] = ()  # the sentences that page one must have: who moves it alone, who was not judged
    noun: Noun = GROUPS  # what a group is called

    def as_dict(self) -> dict[str, Any]:
        """The table for JSON, of very many groups those that move the population most."""
        return {
            "base": {n: asdict(i) for n, i in self.base.items()}, "groups": self.n_groups,
            "rows": [r.as_dict() for r in self.rows[:MOST_LISTED]],
            "k_threshold": self.k_threshold, "sentences": list(self.sentences), "columns": list(self.columns),
            "page_one": list(self.page_one),
        }  # fmt: skip


def influence(
    fit: Fit, max_refits: int = 0, say: Callable[[str], None] | None = None, waive: Collection[str] = ()
) -> Influence:
    """How location and scale move without each group; those with a Pareto k that is not good are refitted, to a number.

    Where the family cannot integrate its groups out, every group needs a refit: ``max_refits`` must allow them all.
    Checks in ``waive`` need not be passed by refits either.
    """
    tell = say or (lambda _text: None)
    draws, labels = location_and_scale(fit), fit.table.pooled.labels
    base = {name: interval(values) for name, values in draws.items()}
    threshold, n_groups, noun = good_k(fit.n_draws), len(labels), fit.table.noun
    density = density_of(fit, "group").of
    if density is None and max_refits < n_groups:
        scale = fit.family.groups.population_scale
        unseen = (
            f"How {location_of(fit.family)} and {scale} move without each {noun.one} was not looked at: "
            f"{fit.family.name} has no group_log_lik(), so that this needs {n_groups} refits. Ask for them: "
            f"`hbm sensitivity` with --refit-groups {n_groups}."
        )
        return Influence(base=base, rows=(), n_groups=0, k_threshold=threshold, sentences=(unseen,), noun=noun)
    if density is not None:
        rows, routes = _weighted(fit, evaluated(fit, density), draws, base, threshold, max_refits)
    else:
        rows = [
            Without(group=label, route=Way.UNRELIABLE, pareto_k=None, intervals={}, moves={}, flips=())
            for label in labels
        ]
        routes = Counter(row.route for row in rows)
    asked = [j for j, row in enumerate(rows) if not row.reliable][:max_refits]
    for j, row in zip(asked, _refits(fit, [rows[j] for j in asked], base, waive, tell), strict=True):
        routes.subtract([rows[j].route])
        routes.update([row.route])
        rows[j] = row
    rows.sort(key=lambda row: -abs(row.moved))
    columns = tuple(varying(base, fit.family.groups.population_scale))
    sentences, first = _sentences(rows, routes, threshold, noun)
    ks, reasons = [row.direct for row in rows if row.direct is not None], [row.sampled for row in rows if row.sampled]
    sentences += directly_in_words(f"Refits without a {noun.one}", ks, reasons)
    return Influence(
        base=base, rows=tuple(rows), n_groups=n_groups, k_threshold=threshold, sentences=tuple(sentences),
        columns=columns, page_one=tuple(first), noun=noun,
    )  # fmt: skip


def _weighted(
    fit: Fit,
    density: Columns,
    draws: Mapping[str, FloatArray],
    base: Mapping[str, Interval],
    threshold: float,
    max_refits: int,
) -> tuple[list[Without], Counter[Way]]:
    """From weights 1 / p(y_group | population), smoothed: leaving a group out is to leave out this factor.

    ``density`` (S, J) is the log density that a comparison leaves groups out by. With crossed factors it is given the
    other groups' rows, where the family can: given effects of the draws the weights would be right too, and rougher.
    Of very many groups those come back that can be told of; and how many went which way.
    """
    rows, routes, labels = list[Without](), Counter[Way](), fit.table.pooled.labels
    for some in portions(len(labels), fit.n_draws):
        log_weights, k = smooth(-density[:, some])
        weights = np.exp(log_weights)
        intervals_by_name = {name: weighted_intervals(values, weights) for name, values in draws.items()}
        for j, label in enumerate(labels[some]):
            now = {name: intervals[j] for name, intervals in intervals_by_name.items()}
            route = Way.WEIGHTS if k[j] < threshold else Way.UNRELIABLE
            rows.append(_without(fit, label, route, float(k[j]), now, base))
            routes.update([route])
        rows = _to_be_told(rows, max_refits)
        give_back(density)
    return rows, routes


def _to_be_told(rows: list[Without], max_refits: int) -> list[Without]:
    """Those that move the population most, of either reliability and of those that flip it; the first to be refitted.

    In their order. Of a million groups there is no memory for all.
    """
    if len(rows) <= MOST_LISTED:
        return rows
    by_move = sorted(range(len(rows)), key=lambda j: -abs(rows[j].moved))
    sure, unsure = ([j for j in by_move if rows[j].reliable is side] for side in (True, False))
    flips, refits = [j for j in sure if rows[j].flips], sorted(unsure)[:max_refits]
    return [rows[j] for j in sorted({*(j for kind in (sure, unsure, flips) for j in kind[:MOST_LISTED]), *refits})]


def weighted_intervals(draws: FloatArray, weights: FloatArray) -> list[Interval]:
    """Mean, sd, median and 90 % interval of draws, (S,), under each column of weights, (S, J), that sum to 1."""
    mean = draws @ weights
    sd = np.sqrt(np.maximum(draws**2 @ weights - mean**2, 0))
    order = np.argsort(draws)
    ordered, below = draws[order], np.cumsum(weights[order], axis=0)
    # The middle of each draw's own weight: the median of equal weights is then the usual one.
    at = below - weights[order] / 2
    quantiles = [np.interp((0.05, 0.5, 0.95), at[:, j], ordered) for j in range(weights.shape[1])]
    return [
        Interval(mean=float(m), sd=float(s), q05=float(q05), q50=float(q50), q95=float(q95))
        for m, s, (q05, q50, q95) in zip(mean, sd, quantiles, strict=True)
    ]


def _refits(
    fit: Fit, rows: list[Without], base: Mapping[str, Interval], waive: Collection[str], say: Callable[[str], None]
) -> Iterator[Without]:
    """The population without the group of each of these rows, in order, by refits that are made side by side."""
    bare, places = without_draws(fit), {label: j for j, label in enumerate(fit.table.pooled.labels)}

    def units() -> Iterator[tuple[Any, ...]]:
        for i, row in enumerate(rows, 1):
            say(f"{i} of {len(rows)}: refitting without {row.group}")
            yield bare, places[row.group], base, row.pareto_k, tuple(waive)

    for future in in_turn(refitted, units(), fit.family, fit.engine, fit.sampling.chains):
        yield future.result()


def refitted(fit: Fit, j: int, base: Mapping[str, Interval], k: float | None, waive: Collection[str]) -> Without:
    """The population without a group, by a fit without its rows; ``fit`` needs no draws."""
    label = fit.table.pooled.labels[j]
    rows, sampled = np.flatnonzero(fit.table.pooled.level == j), ""
    try:
        refit, diagnosis = fit_directly(job_without(fit, rows), waive, rows=False)
    except NotDirectError as reason:
        refit, sampled = refit_without(fit, rows), str(reason)
        diagnosis = check(refit, waive)
    except DataError:  # the others are too few, or all alike
        return Without(group=label, route=Way.UNKNOWN, pareto_k=k, intervals={}, moves={}, flips=())
    if diagnosis.status == "fail":
        return Without(group=label, route=Way.UNKNOWN, pareto_k=k, intervals={}, moves={}, flips=())
    now = {name: interval(values) for name, values in location_and_scale(refit).items() if name in base}
    without = _without(fit, label, Way.REFIT, k, now, base)
    return replace(without, direct=float(refit.about[PARETO_K]) if refit.direct else None, sampled=sampled)


def _without(
    fit: Fit, label: str, route: Way, k: float | None, now: Mapping[str, Interval], base: Mapping[str, Interval]
) -> Without:
    moves = {n: (now[n].mean - base[n].mean) / base[n].sd for n in now}
    flips = []
    for name in now:
        before, after = (side(i.q05, i.q95) for i in (base[name], now[name]))
        if fit.family.words.signed and base_of(name) == location_of(fit.family) and before != after:
            flips.append(f"the 90 % interval of {name} lies {after.words} (with it: {before.words})")
    return Without(group=label, route=route, pareto_k=k, intervals=now, moves=moves, flips=tuple(flips))


def _sentences(
    rows: list[Without], routes: Mapping[Way, int], threshold: float, noun: Noun
) -> tuple[list[str], list[str]]:
    """Which groups carry the population alone, and which could not be judged; then those of page one."""
    n_sure = sum(n for way, n in routes.items() if way in RELIABLE)
    sure = [r for r in rows if r.reliable]
    large = [r for r in sure if abs(r.moved) > LARGE_MOVE]
    alone = [
        f"{noun.named(r.group, first=True)} alone moves {r.largest} by {abs(r.moved):.1f} posterior sds: without "
        f"it, its mean is {r.intervals[r.largest].mean:.3g}."
        for r in large[:_NAMED]
    ]
    sentences = [*alone, *[f"Without {noun.named(r.group)}, {'; '.join(r.flips)}." for r in sure if r.flips][:_NAMED]]
    if not sentences and sure:
        some = (
            f"None of the {n_sure} {noun.many} that could be judged"
            if n_sure < sum(routes.values())
            else f"No {noun.one}"
        )
        sentences = [
            f"{some} alone moves the population by more than one posterior sd; {noun.named(sure[0].group)} moves "
            f"it most "
            f"({sure[0].largest}, {abs(sure[0].moved):.2f} sds)."
        ]
    unsure = [noun.named(r.group) for r in rows if r.route is Way.UNRELIABLE]
    unjudged = []
    if unsure:
        n_unsure = routes[Way.UNRELIABLE]
        more = f" and {n_unsure - _NAMED} more" if n_unsure > _NAMED else ""
        unjudged.append(
            f"How the answer would change without {', '.join(unsure[:_NAMED])}{more} is not known: weights cannot tell "
            f"(Pareto k above {threshold:.2f}), and no model was fitted without {'it' if len(unsure) == 1 else 'them'}."
        )
    sentences += unjudged
    lost = [noun.named(r.group) for r in rows if r.route is Way.UNKNOWN]
    if lost:
        sentences.append(f"Refits could not be made, or did not pass their checks, without {', '.join(lost)}.")
    return sentences, [*alone, *unjudged]
