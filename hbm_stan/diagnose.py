"""Did the chains converge? Summaries of the draws, and verdicts as data.

R-hat, effective sample sizes and Monte Carlo standard errors (mixing.py) are those of Vehtari et al. (2021,
10.1214/20-BA1221); which values may pass is decided here.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hbm_stan import constants, mixing, rhat, steps
from hbm_stan.constants import fixed_elements
from hbm_stan.deferred import Deferred
from hbm_stan.diagnosis import Diagnosis, noted
from hbm_stan.direct import MAX_K
from hbm_stan.elements import base_of, element_names
from hbm_stan.engines import PARETO_K
from hbm_stan.errors import ModelError, nearest
from hbm_stan.fit import Fit
from hbm_stan.named import NamedSet, NamedTree
from hbm_stan.rhat import MIN_ESS_PER_CHAIN, check_rhat
from hbm_stan.scratch import give_back
from hbm_stan.steps import check_steps
from hbm_stan.table import FloatArray
from hbm_stan.verdicts import CHECKS, Verdict

if TYPE_CHECKING:
    import pandas as pd
else:
    from hbm_stan.later import pd

# Vehtari et al. (2021) recommend four chains at least; R-hat of fewer misses more.
MIN_CHAINS = 4
_COLUMNS = [
    "mean", "sd", "mcse_mean", "mcse_sd", "q05", "mcse_q05", "q50", "mcse_q50", "q95", "mcse_q95", "ess_bulk",
    "ess_tail", "rhat",
]  # fmt: skip
# Stan adapts no metric in shorter warm-ups.
MIN_WARMUP = 150
# MCSE of the mean in posterior sds; an ESS of 400 gives 1/sqrt(400).
MAX_MCSE = 0.05


def check(fit: Fit, waive: Iterable[str] = ()) -> Diagnosis:
    """The verdicts on the draws of a fit. A check named in ``waive`` keeps its status and withholds nothing."""
    if not isinstance(fit, Fit):
        raise ModelError(
            f"check takes one Fit, got {type(fit).__name__}: name one, as in check(fits['partial_pooling'])."
        )
    waived = _known_checks(waive)
    modules = (sys.modules[__name__], constants, mixing, rhat, steps)
    return noted(fit, "draws", waived, modules, lambda own: _check(own, waived))


def _check(fit: Fit, waived: Collection[str]) -> Diagnosis:
    names, draws = parameters(fit)
    figures = mixing.diagnosed(draws) if names else {}
    verdicts = [
        *(_check_chain_by_chain(names, draws, figures, fit.sampling.chains) if names else ()),
        *([] if fit.direct else check_steps(fit)),
        _check_chains(fit.sampling.chains),
        _check_weights(fit) if fit.direct else _check_warmup(fit.sampling.warmup),
    ]
    marked = (replace(v, waived=v.status == "fail" and v.name in waived) for v in verdicts)
    # Draws of very many groups are summarised at once: they are not held for whoever may ask.
    summary = Deferred(lambda: _summary_of(fit, figures))
    return Diagnosis(fit.variant, tuple(marked), summary if fit.every is None else summary.value())


def _summary_of(fit: Fit, figures: Mapping[str, FloatArray]) -> pd.DataFrame:
    names, draws = parameters(fit)
    own = [_table(names, mixing.summarised(draws, known=figures))] if names else []
    return pd.concat([*own, *_of_thinned(fit)])


def _check_chain_by_chain(
    names: list[str], draws: FloatArray, figures: Mapping[str, FloatArray], chains: int
) -> list[Verdict]:
    """What the draws of parameters say, (parameter, chain, draw), and the figures made of them."""
    sizes = [_check_ess(names, figures[f"ess_{kind}"], kind, chains) for kind in ("bulk", "tail")]
    with np.errstate(invalid="ignore"):  # of a constant
        ratio = figures["mcse_mean"] / figures["sd"]
    return [*_check_draws(names, draws), check_rhat(names, figures, chains, draws), *sizes, _check_mcse(names, ratio)]


def _of_thinned(fit: Fit) -> list[pd.DataFrame]:
    """Estimates of what ``parameters`` leaves to the population: group effects of which only some draws are held."""
    if fit.every is None:
        return []
    population, tables = set(parameters(fit)[0]), []
    for names, draws in _by_variable(fit, fit.named):  # one by one: together they would be held twice
        others = np.array([n not in population for n in names], dtype=bool)
        if others.any():
            some = draws if others.all() else draws[others]
            tables.append(estimates([n for n in names if n not in population], some).reindex(columns=_COLUMNS))
    return tables


def _known_checks(waive: Iterable[str]) -> set[str]:
    names = set(waive)
    for name in names:
        if name not in CHECKS:
            raise ModelError(f"Waived checks: there is no check {name!r}. {nearest(name, CHECKS)}")
    return names


def parameters(fit: Fit) -> tuple[list[str], FloatArray]:
    """Names, group parameters by label (``theta[A]``), and draws of all parameters, shape (parameter, chain, draw).

    Quantities that are constant by construction are left out: no chain could move them. Of very many groups, of which
    ``fit.named`` holds some draws only, there are the parameters of the population alone: effects of groups are drawn
    from them, independently given each draw, and mix as these do.
    """
    return _parameters(fit, fit.chains)


def held_parameters(fit: Fit) -> tuple[list[str], FloatArray]:
    """Names and draws of all parameters that ``fit.named`` holds, group effects of very many groups among them."""
    return _parameters(fit, fit.named)


def _parameters(fit: Fit, tree: NamedTree) -> tuple[list[str], FloatArray]:
    parts = list(_by_variable(fit, tree))
    none = np.empty((0, fit.sampling.chains, fit.sampling.draws))
    return [n for names, _ in parts for n in names], np.concatenate([draws for _, draws in parts]) if parts else none


def _by_variable(fit: Fit, tree: NamedTree) -> Iterator[tuple[list[str], FloatArray]]:
    """Names and draws of the elements of each variable that are parameters."""
    posterior = tree.get("posterior", NamedSet({}))
    # What is no parameter, or repeats one draw for draw, would be counted twice.
    population, hidden = fit.family.programs.population, fit.family.programs.hidden
    skipped = {"lprior", *hidden, *(f"{name}_raw" for name in posterior)}
    if fit.pooling == "complete":
        skipped.add(fit.family.groups.group_quantity)
    for name, variable in posterior.items():
        if name not in skipped:
            values = np.asarray(variable.values, dtype=float)
            elements = np.moveaxis(values.reshape(*values.shape[:2], -1), 2, 0)
            # A term that does not vary between groups, by the variant's assumption, has a tau of 0 and no correlation.
            varying = (elements != 0).any(axis=(1, 2)) if name in population else np.full(len(elements), True)
            varying &= ~fixed_elements(fit, name, values)
            names = [n for n, keep in zip(element_names(name, variable), varying, strict=True) if keep]
            yield names, elements if varying.all() else elements[varying]


def draws_of(fit: Fit, name: str) -> FloatArray:
    """The draws of one of ``parameters`` by its name, (chain, draw), without those of all others."""
    variable = fit.named["posterior"][base_of(name)]
    values = np.asarray(variable.values, dtype=float)
    place = element_names(variable.name, variable).index(name)
    own = values.reshape(*values.shape[:2], -1)[..., place].copy()
    give_back(values)
    return own


def summarise(names: list[str], draws: FloatArray) -> pd.DataFrame:
    """Mean, sd, quantiles, their MCSE, ESS and R-hat of each parameter; draws (parameter, chain, draw)."""
    return _table(names, mixing.summarised(draws))


def estimates(names: list[str], draws: FloatArray) -> pd.DataFrame:
    """Mean, sd and quantiles of each parameter with their MCSE; draws (parameter, chain, draw)."""
    return _table(names, mixing.summarised(draws, diagnostics=False))


def _table(names: list[str], columns: Mapping[str, FloatArray]) -> pd.DataFrame:
    return pd.DataFrame(columns, index=pd.Index(names, name="parameter"))


def _check_draws(names: list[str], draws: FloatArray) -> list[Verdict]:
    bad = ~np.isfinite(draws).all(axis=(1, 2))
    with np.errstate(invalid="ignore"):  # of infinite draws
        stuck = np.isfinite(draws).all(axis=2) & (np.ptp(draws, axis=2) == 0)  # (parameter, chain)
    verdicts = [_none("finite draws")]
    if bad.any():
        first = names[int(np.flatnonzero(bad)[0])]
        count = int(bad.sum())
        hint = f"{count} parameter(s) have draws that are not finite, {first} first: no summary of them means anything."
        verdicts = [Verdict(name="finite draws", status="fail", value=count, threshold=0, hint=hint, subject=first)]
    if not stuck.any():
        return [*verdicts, _none("moving chains")]
    parameter, chain = (int(i) for i in np.argwhere(stuck)[0])
    all_equal = bool(stuck[parameter].all())
    where = "all draws are equal" if all_equal and np.ptp(draws[parameter]) == 0 else f"chain {chain + 1} never moved"
    hint = (
        f"{names[parameter]}: {where}. A chain is stuck, or the quantity is constant and is no parameter. "
        "Start again with another seed, and look at its initial values."
    )
    return [
        *verdicts,
        Verdict(
            name="moving chains", status="fail", value=float(stuck.sum()), threshold=0, hint=hint,
            subject=names[parameter],
        ),
    ]  # fmt: skip


def _none(name: str) -> Verdict:
    return Verdict(name=name, status="pass", value=0, threshold=0)


def _check_ess(names: list[str], ess: FloatArray, kind: str, chains: int) -> Verdict:
    threshold = MIN_ESS_PER_CHAIN * chains
    if np.isnan(ess).any():
        subject = names[int(np.isnan(ess).argmax())]
        hint = f"{kind} ESS of {subject} cannot be computed."
        return Verdict(name=f"{kind} ESS", status="fail", value=None, threshold=threshold, hint=hint, subject=subject)
    subject, value = names[int(ess.argmin())], float(ess.min())
    if value >= threshold:
        return Verdict(name=f"{kind} ESS", status="pass", value=value, threshold=threshold, hint="", subject=subject)
    what = "means and medians" if kind == "bulk" else "the ends of intervals"
    hint = (
        f"{int((ess < threshold).sum())} of {len(ess)} parameters have a {kind} ESS below "
        f"{threshold}; the lowest is {math.floor(value)} "
        f"({subject}): {what} are not reliable. Draw more, or use a parameterisation that mixes better."
    )
    return Verdict(name=f"{kind} ESS", status="fail", value=value, threshold=threshold, hint=hint, subject=subject)


def _check_mcse(names: list[str], ratio: FloatArray) -> Verdict:
    """The Monte Carlo error of each mean over its sd."""
    if np.isnan(ratio).any():
        subject = names[int(np.isnan(ratio).argmax())]
        return Verdict(
            name="MCSE",
            status="fail",
            value=None,
            threshold=MAX_MCSE,
            hint=f"The Monte Carlo error of {subject} cannot be computed.",
            subject=subject,
        )
    subject, value = names[int(ratio.argmax())], float(ratio.max())
    hint = f"The mean of {subject} is known to {value:.2f} posterior sds only. Draw more before reporting it."
    return Verdict(
        name="MCSE",
        status="warn" if value > MAX_MCSE else "pass",
        value=value,
        threshold=MAX_MCSE,
        hint=hint if value > MAX_MCSE else "",
        subject=subject,
    )


def _check_weights(fit: Fit) -> Verdict:
    """The Pareto k of the importance weights that direct draws are made by (Vehtari et al. 2024)."""
    k = float(fit.about[PARETO_K])
    good = k < MAX_K
    hint = (
        f"The importance weights of the draws have a Pareto k of {k:.2f}: a part of the posterior may be "
        "missing. Sample it with another engine (--engine stanli)."
    )
    return Verdict(
        name="importance weights", status="pass" if good else "fail", value=k, threshold=MAX_K,
        hint="" if good else hint,
    )  # fmt: skip


def _check_chains(chains: int) -> Verdict:
    few = chains < MIN_CHAINS
    hint = f"{chains} chain(s): R-hat compares chains and sees less with fewer than {MIN_CHAINS}."
    return Verdict(
        name="number of chains", status="warn" if few else "pass", value=chains, threshold=MIN_CHAINS,
        hint=hint if few else "",
    )  # fmt: skip


def _check_warmup(warmup: int) -> Verdict:
    short = warmup < MIN_WARMUP
    hint = f"A warm-up of {warmup} iterations is too short for Stan to adapt its metric."
    return Verdict(
        name="warm-up", status="warn" if short else "pass", value=warmup, threshold=MIN_WARMUP,
        hint=hint if short else "",
    )  # fmt: skip
