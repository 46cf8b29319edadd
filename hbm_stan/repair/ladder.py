"""The ladder for high Pareto k: more draws where they can help, moment matching, exact refits; then it stops."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

import numpy as np

from hbm_stan.budget import Budget
from hbm_stan.densities import Unit, density_of, evaluated, log_lik_of, rows_of, unit_labels
from hbm_stan.errors import HbmError
from hbm_stan.fit import Fit
from hbm_stan.leave_one_out import MORE_DRAWS_HELP, LeftOut, Repair, logo, loo
from hbm_stan.psis import Columns
from hbm_stan.repair.bridge import Exact
from hbm_stan.repair.jobs import Say, with_more_draws
from hbm_stan.repair.moments import Unconstrained, moment_matched
from hbm_stan.repair.refits import exact_scores, refuse_failed
from hbm_stan.scores import SMALL_DIFFERENCE, Route
from hbm_stan.store import FitStore

# So many draws make any Pareto k below 0.7 good (Vehtari et al. 2024).
ENOUGH_DRAWS = 2200
# Ours. Weights whose tail has the shape k have moments below the order 1 / k: with a third one, a Monte Carlo error
# made of them can be believed. Above that moment matching may miss a tail that only the posterior without the unit has,
# like that of tau near 0 without an outlier.
SURE = 1 / 3
# A score with a larger Monte Carlo error is none: half of the difference below which nothing is told apart (ours). The
# error of a smaller one counts in that of the difference; a refit's own high Pareto k is told beside it.
_IMPRECISE = SMALL_DIFFERENCE / 2
_ENGINES = ("cmdstan", "stanli", "direct")


@dataclass(kw_only=True)
class Ladder:
    """One fit and what it may cost to repair its scores; ``store`` keeps the results of refits."""

    fit: Fit
    budget: Budget
    store: FitStore
    say: Say
    waive: Collection[str] = ()
    routes: dict[int, Repair] = field(default_factory=dict)
    reasons: dict[int, str] = field(default_factory=dict)
    unsure: dict[int, Repair] = field(default_factory=dict)

    def climb(self, scores: LeftOut) -> LeftOut:
        """The score with every unit repaired that the budget allows."""
        if not scores.high.any() or scores.prior or self.fit.engine not in _ENGINES:
            return scores
        if self.budget.max_refits == 0:
            return replace(
                scores, reasons=dict.fromkeys(self._high(scores), "nothing was to be repaired (--max-refits 0)")
            )
        before, scores = scores, self._more_draws(scores)
        self._take_priors(scores)
        self._match_moments(scores)
        self._refit(scores)
        # A k of moment matching that is good but not sure: better than none.
        self.routes = self.unsure | self.routes
        return self._repaired(before, scores)

    def _more_draws(self, scores: LeftOut) -> LeftOut:
        """Only a k between the threshold and 0.7 is helped by draws, and only up to 2,200 of them."""
        k = scores.pareto_k
        as_many_as_fit = self.fit.every is not None  # of very many groups no more are held, however many are drawn
        if (
            k is None
            or as_many_as_fit
            or self.fit.n_draws >= ENOUGH_DRAWS
            or not (k[scores.high] < MORE_DRAWS_HELP).any()
        ):
            return scores
        self.say(f"{self.fit.variant}: sampling again with {ENOUGH_DRAWS:,} draws, for Pareto k")
        try:
            longer = with_more_draws(
                self.fit, ENOUGH_DRAWS, self.store, self.say, max(self.budget.seconds_left, 0) / 60
            )
            refuse_failed(longer, self.waive)
        except HbmError as error:
            self.reasons |= dict.fromkeys(self._high(scores), f"more draws: {error}")
            return scores
        self.fit = longer
        again = loo(self.fit) if scores.unit == "observation" else logo(self.fit)
        assert again is not None
        assert again.pareto_k is not None
        for i in self._high(scores):
            if not again.high[i]:
                new = float(again.pareto_k[i])
                self.routes[i] = Repair(
                    route=Route.MORE_DRAWS,
                    pareto_k=float(k[i]),
                    pareto_k_after=new,
                    elpd_before=scores.elpd_i[i],
                    elpd=again.elpd_i[i],
                    mcse=0.0,
                )  # its error is in that of the sum
        return again

    def _take_priors(self, scores: LeftOut) -> None:
        """Without pooling, what is the only row of its group leaves a prior behind, whose density needs no refit."""
        alone = self.fit.table.alone
        density = self.fit.family.groups.prior_group_log_lik
        if self.fit.pooling != "no" or density is None or scores.unit == "group":
            return
        priors = density(self.fit.data, self.fit.variant) if alone[self._high(scores)].any() else None
        if priors is None:
            return
        for i in self._high(scores):
            if alone[i]:
                value = float(priors[self.fit.table.pooled.level[i]])
                self._try(scores, i, Route.ROW_PRIOR, lambda value=value: Exact(value, 0.0, 0.0))  # type: ignore[misc]

    def _match_moments(self, scores: LeftOut) -> None:
        left, columns = self._high(scores), self._columns(scores.unit)
        if not left or not columns:
            return
        try:
            whole = Unconstrained(self.fit)
            for i in left:
                if self.budget.spent:
                    return
                self.say(f"{self.fit.variant}: moment matching for {unit_labels(self.fit, scores.unit)[i]}")
                candidates = [c[:, i] for c in columns]
                self._try(scores, i, Route.MOMENT_MATCHING, lambda i=i, c=candidates: moment_matched(  # type: ignore[misc]
                    whole, rows_of(self.fit, scores.unit, i), c, scores.k_threshold
                ))  # fmt: skip
        except HbmError as error:
            self.reasons |= dict.fromkeys(left, str(error))

    def _refit(self, scores: LeftOut) -> None:
        left, most = self._high(scores), self.budget.max_refits
        if len(left) > most:
            left = [i for i in left if i not in self.unsure]
        if len(left) > most:
            words = f"{len(left)} are left, more than the {most} refit{'s' * (most > 1)} allowed (--max-refits)"
            self.reasons |= dict.fromkeys(left, words)
            return
        exact = exact_scores(self.fit, scores.unit, left, self.store, self.say, self.waive, lambda: self.budget.spent)
        tried = 0
        for i, score in zip(left, exact, strict=False):
            self._try(scores, i, Route.REFIT, score)
            tried += 1
        if tried < len(left):
            over = f"{self.budget.minutes:g} minutes are over (--minutes)"
            self.reasons |= dict.fromkeys(self._high(scores), over)

    def _try(self, scores: LeftOut, i: int, route: Route, score: Callable[[], Exact]) -> None:
        try:
            exact = score()
        except HbmError as error:
            self.reasons[i] = str(error)
            return
        if i in self.unsure and not exact.pareto_k < scores.k_threshold:
            return  # few draws carry the refit's score too: what moment matching gave stays
        if not exact.mcse < _IMPRECISE:
            self.reasons[i] = f"{route.words}: its score has a Monte Carlo error of {exact.mcse:.1f}; draw more"
            return
        assert scores.pareto_k is not None
        unsure = route is Route.MOMENT_MATCHING and not exact.pareto_k < SURE
        (self.unsure if unsure else self.routes)[i] = Repair(
            route=route,
            pareto_k=float(scores.pareto_k[i]),
            pareto_k_after=exact.pareto_k,
            elpd_before=float(scores.elpd_i[i]),
            elpd=exact.elpd,
            mcse=exact.mcse,
        )

    def _high(self, scores: LeftOut) -> list[int]:
        return [int(i) for i in np.flatnonzero(scores.high) if i not in self.routes]

    def _columns(self, unit: Unit) -> list[Columns]:
        """Log densities of the units at the draws, each in the forms that the program may hold."""
        density = density_of(self.fit, unit)
        known: list[Columns] = [] if density.of is None else [evaluated(self.fit, density.of)]
        return known if unit == "group" else [*known, log_lik_of(self.fit)]

    def _repaired(self, before: LeftOut, scores: LeftOut) -> LeftOut:
        elpd_i = scores.elpd_i.copy()
        for i, repair in self.routes.items():
            elpd_i[i] = repair.elpd
        routes = {
            i: replace(r, pareto_k=float(before.pareto_k[i]), elpd_before=float(before.elpd_i[i]))
            for i, r in sorted(self.routes.items())
            if before.pareto_k is not None
        }
        reasons = {i: words for i, words in self.reasons.items() if i not in routes}
        new_scores = replace(scores, elpd_i=elpd_i, repairs=routes, reasons=reasons)
        mcse = math.sqrt(scores.mcse**2 + sum(r.mcse**2 for r in routes.values()))
        if scores.route is Route.NEEDS_REFITS and routes:
            new_scores = replace(new_scores, route=Route.REFITS)
        return replace(new_scores, mcse=math.nan if new_scores.high.any() else mcse)


def repaired(
    fit: Fit, scores: LeftOut, budget: Budget, store: FitStore, say: Say, waive: Collection[str] = ()
) -> LeftOut:
    """The score of a fit with every high Pareto k repaired that the budget allows; what is left says why.

    ``waive`` names the checks that were waived of the fit: its refits need not pass them either.
    """
    return Ladder(fit=fit, budget=budget, store=store, say=say, waive=waive).climb(scores)
