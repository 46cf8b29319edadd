"""The verdicts on fits that gate what may be concluded: on the draws, and on what the model says of the data."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from hbm_stan import constants, diagnose, group_means, histograms, mixing, replicate, rhat, rows, steps
from hbm_stan.diagnosis import Diagnosis, noted
from hbm_stan.fit import Fit
from hbm_stan.model import Evidence
from hbm_stan.replicate import can_replicate, predictive_check
from hbm_stan.verdicts import Verdict

# Groups less different than in the lowest hundredth of tables without differences are said to be (ours).
LESS_ALIKE_P = 0.01


def check(fit: Fit, waive: Iterable[str] = (), *, model: bool | None = None) -> Diagnosis:
    """The verdicts on a fit. A check named in ``waive`` keeps its status and no longer withholds the conclusion.

    ``model`` says whether data replicated from the fit are held against the observed too; by default they are, but for
    complete pooling: that groups differ is what a comparison is to show. Nothing is replicated from draws that failed
    a check.
    """
    names, asked = set(waive), fit.pooling != "complete" if model is None else model
    modules = (
        sys.modules[__name__],
        diagnose,
        constants,
        group_means,
        histograms,
        mixing,
        replicate,
        rhat,
        rows,
        steps,
    )
    name = "draws and model" if asked else "draws and family"
    return noted(fit, name, names, modules, lambda own: _check(own, names, asked))


def _check(fit: Fit, names: Collection[str], asked: bool) -> Diagnosis:
    diagnosis = diagnose.check(fit, names)
    if fit.family.check_draws is not None and diagnosis.status != "fail":
        own = [_waived(v, names) for v in fit.family.check_draws(fit.draws(), fit.data, fit.table)]
        diagnosis = replace(diagnosis, verdicts=(*diagnosis.verdicts, *own))
    if not asked or diagnosis.status == "fail" or not can_replicate(fit):
        return diagnosis
    ppc = predictive_check(fit)
    own = [_waived(v, names) for v in (ppc.verdict, *check_model(fit))]
    return replace(diagnosis, verdicts=(*diagnosis.verdicts, *own, *check_likeness(fit)), ppc=ppc)


def check_model(fit: Fit) -> list[Verdict]:
    """What only this family checks of how its model fits."""
    judge = fit.family.check_model
    if judge is None:
        return []
    evidence = Evidence(
        variant=fit.variant, draws=fit.draws(), data=fit.data, table=fit.table, options={}, rng=fit.rng("own checks")
    )
    return list(judge(evidence))


def _waived(verdict: Verdict, names: Collection[str]) -> Verdict:
    return replace(verdict, waived=verdict.status == "fail" and verdict.name in names)


def check_likeness(fit: Fit) -> list[Verdict]:
    """A warning where groups differ less than chance alone would make them, which partial pooling cannot say."""
    test = fit.family.groups.less_alike
    told = test(fit.data) if test is not None and fit.pooling == "partial" else None
    if told is None or told[1] >= LESS_ALIKE_P:
        return []
    (ratio, p), noun = told, fit.table.noun
    hint = (
        f"{noun.fill('{Groups}')} differ less than chance alone would make them: the variance between them is "
        f"{ratio:.2g} times what it would be if they did not differ at all (p {p:.1g}). Rows of one {noun.one} are "
        f"less alike than rows of different {noun.many} (a negative intraclass correlation); an sd between {noun.many} "
        f"cannot say that and piles up at 0. Were rows matched, balanced or ranked within {noun.many}, are they parts "
        "of a fixed total, or are standard errors too large?"
    )
    return [Verdict(name="intraclass correlation", status="warn", value=p, threshold=LESS_ALIKE_P, hint=hint)]


def check_fits(fits: Mapping[str, Fit], waive: Iterable[str] = ()) -> dict[str, Diagnosis]:
    """The verdicts on fits to be compared; data are replicated from one of them, that which assumes least of groups.

    That is the first with partial pooling, else the first without pooling. The others are what it is compared with.
    """
    names = tuple(waive)
    by_pooling: dict[str, str] = {}
    for name, fit in fits.items():
        by_pooling.setdefault(fit.pooling, name)
    held = next((by_pooling[p] for p in ("partial", "no", "complete") if p in by_pooling), "")
    return {name: check(fit, names, model=name == held) for name, fit in fits.items()}
