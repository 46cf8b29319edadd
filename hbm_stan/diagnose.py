"""Did the chains converge? Summaries of the draws, and verdicts as data.

R-hat, effective sample sizes and Monte Carlo standard errors (mixing.py) are those of Vehtari et al. (2021,
10.1214/20-BA1221); which values may pass is decided here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_stan import mixing
from hbm_stan.constants import fixed_elements
from hbm_stan.direct import MAX_K
from hbm_stan.elements import base_of, element_names
from hbm_stan.engines import PARETO_K
from hbm_stan.errors import DiagnosticError, ModelError, nearest
from hbm_stan.fit import Fit
from hbm_stan.funnel import where_divergences_sit
from hbm_stan.notebook import card, verdict_table
from hbm_stan.replicate import PredictiveCheck
from hbm_stan.rhat import MIN_ESS_PER_CHAIN, check_rhat
from hbm_stan.table import FloatArray
from hbm_stan.verdicts import CHECKS, Status, Verdict, on_a_screen, worst

if TYPE_CHECKING:
    import pandas as pd
else:
    from hbm_stan.later import pd

# Vehtari et al. (2021) recommend four chains at least; R-hat of fewer misses more.
MIN_CHAINS = 4
# Betancourt (2016), arXiv:1604.00695; 0.3 is CmdStan's and ArviZ's value.
MIN_EBFMI = 0.3
# Stan adapts no metric in shorter warm-ups.
MIN_WARMUP = 150
# MCSE of the mean in posterior sds; an ESS of 400 gives 1/sqrt(400).
MAX_MCSE = 0.05

# From this adapt_delta on, a larger one is no advice any more (ours).
_SMALL_STEP = 0.99


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """The verdicts on one fit, and what they were made from: the summary table (one row for each parameter), and
    replicated data, None where these were not asked for."""

    variant: str
    verdicts: tuple[Verdict, ...]
    summary: pd.DataFrame
    ppc: PredictiveCheck | None = None

    def __repr__(self) -> str:
        head = f"<Diagnosis of {self.variant}: {self.status}; {len(self.summary):,} parameters in .summary>"
        return "\n".join([head, *on_a_screen(self.verdicts)])

    def _repr_html_(self) -> str:
        head = f"{self.variant}: {self.status}; {len(self.summary):,} parameters in .summary"
        return card(head, table=verdict_table(self.verdicts))

    @property
    def status(self) -> Status:
        """The worst verdict that was not waived."""
        return worst(self.verdicts)

    @property
    def failed(self) -> list[Verdict]:
        """The checks that failed and were not waived."""
        return [v for v in self.verdicts if v.status == "fail" and not v.waived]

    def require(self) -> None:
        """Raise DiagnosticError if a check failed and was not waived."""
        if self.failed:
            failures = " ".join(f"{v.name}: {v.hint}" for v in self.failed)
            raise DiagnosticError(f"{self.variant} did not pass its checks. {failures}")


def check(fit: Fit, waive: Iterable[str] = ()) -> Diagnosis:
    """The verdicts on the draws of a fit. A check named in ``waive`` keeps its status and withholds nothing."""
    if not isinstance(fit, Fit):
        raise ModelError(
            f"check takes one Fit, got {type(fit).__name__}: name one, as in check(fits['partial_pooling'])."
        )
    waived = _known_checks(waive)
    names, draws = parameters(fit)
    summary = summarise(names, draws)
    verdicts = [
        *_check_draws(names, draws),
        check_rhat(summary, fit.sampling.chains, draws),
        _check_ess(summary, "bulk", fit.sampling.chains),
        _check_ess(summary, "tail", fit.sampling.chains),
        _check_mcse(summary),
        *([] if fit.direct else _check_steps(fit)),
        _check_chains(fit.sampling.chains),
        _check_weights(fit) if fit.direct else _check_warmup(fit.sampling.warmup),
    ]
    marked = (replace(v, waived=v.status == "fail" and v.name in waived) for v in verdicts)
    return Diagnosis(fit.variant, tuple(marked), summary)


def _known_checks(waive: Iterable[str]) -> set[str]:
    names = set(waive)
    for name in names:
        if name not in CHECKS:
            raise ModelError(f"Waived checks: there is no check {name!r}. {nearest(name, CHECKS)}")
    return names


def parameters(fit: Fit) -> tuple[list[str], FloatArray]:
    """Names, group parameters by label (``theta[A]``), and draws of all parameters, shape (parameter, chain, draw).

    Quantities that are constant by construction are left out: no chain could move them.
    """
    posterior = fit.tree["posterior"].data_vars
    # What is no parameter, or repeats one draw for draw, would be counted twice.
    population, hidden = fit.family.programs.population, fit.family.programs.hidden
    skipped = {"lprior", *hidden, *(f"{name}_raw" for name in posterior)}
    if fit.pooling == "complete":
        skipped.add(fit.family.groups.group_quantity)
    names: list[str] = []
    columns: list[FloatArray] = []
    for name, variable in posterior.items():
        if name not in skipped:
            values = np.asarray(variable.values, dtype=float)
            elements = np.moveaxis(values.reshape(*values.shape[:2], -1), 2, 0)
            # A term that does not vary between groups, by the variant's assumption, has a tau of 0 and no correlation.
            varying = (elements != 0).any(axis=(1, 2)) if name in population else np.full(len(elements), True)
            varying &= ~fixed_elements(fit, str(name), values)
            names += [n for n, keep in zip(element_names(str(name), variable), varying, strict=True) if keep]
            columns.append(elements if varying.all() else elements[varying])
    return names, np.concatenate(columns)


def draws_of(fit: Fit, name: str) -> FloatArray:
    """The draws of one of ``parameters`` by its name, (chain, draw), without those of all others."""
    variable = fit.tree["posterior"][base_of(name)]
    values = np.asarray(variable.values, dtype=float)
    return values.reshape(*values.shape[:2], -1)[..., element_names(str(variable.name), variable).index(name)]


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
        hint = (
            f"{int(bad.sum())} parameter(s) have draws that are not finite, {first} first: no summary of "
            "them means anything."
        )
        verdicts = [Verdict("finite draws", "fail", float(bad.sum()), 0, hint, first)]
    if not stuck.any():
        return [*verdicts, _none("moving chains")]
    parameter, chain = (int(i) for i in np.argwhere(stuck)[0])
    all_equal = bool(stuck[parameter].all())
    where = "all draws are equal" if all_equal and np.ptp(draws[parameter]) == 0 else f"chain {chain + 1} never moved"
    hint = (
        f"{names[parameter]}: {where}. A chain is stuck, or the quantity is constant and is no parameter. "
        "Start again with another seed, and look at its initial values."
    )
    return [*verdicts, Verdict("moving chains", "fail", float(stuck.sum()), 0, hint, names[parameter])]


def _none(name: str) -> Verdict:
    return Verdict(name, "pass", 0, 0)


def _check_ess(summary: pd.DataFrame, kind: str, chains: int) -> Verdict:
    ess = summary[f"ess_{kind}"]
    threshold = MIN_ESS_PER_CHAIN * chains
    if ess.isna().any():
        subject = str(ess.index[ess.isna()][0])
        return Verdict(f"{kind} ESS", "fail", None, threshold, f"{kind} ESS of {subject} cannot be computed.", subject)
    subject, value = str(ess.idxmin()), float(ess.min())
    if value >= threshold:
        return Verdict(f"{kind} ESS", "pass", value, threshold, "", subject)
    what = "means and medians" if kind == "bulk" else "the ends of intervals"
    hint = (
        f"{int((ess < threshold).sum())} of {len(ess)} parameters have a {kind} ESS below "
        f"{threshold}; the lowest is {math.floor(value)} "
        f"({subject}): {what} are not reliable. Draw more, or use a parameterisation that mixes better."
    )
    return Verdict(f"{kind} ESS", "fail", value, threshold, hint, subject)


def _check_mcse(summary: pd.DataFrame) -> Verdict:
    ratio = summary["mcse_mean"] / summary["sd"]
    if ratio.isna().any():
        subject = str(ratio.index[ratio.isna()][0])
        return Verdict(
            "MCSE", "fail", None, MAX_MCSE, f"The Monte Carlo error of {subject} cannot be computed.", subject
        )
    subject, value = str(ratio.idxmax()), float(ratio.max())
    hint = f"The mean of {subject} is known to {value:.2f} posterior sds only. Draw more before reporting it."
    return Verdict(
        "MCSE", "warn" if value > MAX_MCSE else "pass", value, MAX_MCSE, hint if value > MAX_MCSE else "", subject
    )


def _check_weights(fit: Fit) -> Verdict:
    """The Pareto k of the importance weights that direct draws are made by (Vehtari et al. 2024)."""
    k = float(fit.about[PARETO_K])
    good = k < MAX_K
    hint = (
        f"The importance weights of the draws have a Pareto k of {k:.2f}: a part of the posterior may be "
        "missing. Sample it with another engine (--engine stanli)."
    )
    return Verdict("importance weights", "pass" if good else "fail", k, MAX_K, "" if good else hint)


def _check_steps(fit: Fit) -> list[Verdict]:
    """Of a sampler's steps: divergences, tree depth, energy."""
    stats = {name: np.asarray(v.values) for name, v in fit.tree["sample_stats"].data_vars.items()}
    return [
        _check_divergences(fit, stats["diverging"]),
        _check_treedepth(stats["reached_max_treedepth"], fit.sampling.max_treedepth),
        _check_ebfmi(stats["energy"], fit.family.groups.population_scale),
    ]


def _check_divergences(fit: Fit, diverging: np.ndarray[Any, Any]) -> Verdict:
    count = int(diverging.sum())
    if count == 0:
        return _none("divergences")
    subject, sentence = where_divergences_sit(fit, diverging)
    better = fit.family.variant(fit.variant).better
    region = "the posterior has a region that the sampler cannot enter."
    if better:
        advice = f"Use {fit.table.noun.fill(better)} instead."
    elif fit.sampling.adapt_delta < _SMALL_STEP:
        advice = f"Raise adapt_delta, under [sampling], towards {_SMALL_STEP}; if they stay, {region}"
    else:
        advice = f"They stay with an adapt_delta of {fit.sampling.adapt_delta:g}: {region}"
    transitions = "transition" if count == 1 else "transitions"
    hint = f"{count} divergent {transitions} of {diverging.size}; {sentence} {advice}"
    return Verdict("divergences", "fail", count, 0, hint, subject)


def _check_treedepth(reached: np.ndarray[Any, Any], limit: int) -> Verdict:
    count = int(reached.sum())
    if count == 0:
        return _none("tree depth")
    share = "All" if count == reached.size else f"{count} of {reached.size}"
    hint = (
        f"{share} transitions ended at the maximum tree depth of {limit}: the sampler was cut short. This costs "
        "efficiency first; where it is most transitions, the scales of the parameters differ too much."
    )
    return Verdict("tree depth", "warn", count, 0, hint)


def _check_ebfmi(energy: FloatArray, scale: str) -> Verdict:
    """E-BFMI of each chain, which must not be small (Betancourt 2016)."""
    values = mixing.ebfmi(energy)
    if not np.isfinite(values).all():
        return Verdict("E-BFMI", "fail", None, MIN_EBFMI, "E-BFMI cannot be computed: the energy does not move.")
    lowest = int(values.argmin())
    subject = f"chain {lowest + 1}"
    if values[lowest] >= MIN_EBFMI:
        return Verdict("E-BFMI", "pass", float(values[lowest]), MIN_EBFMI, "", subject)
    low = ", ".join(str(i + 1) for i in np.flatnonzero(values < MIN_EBFMI))
    hint = (
        f"Energy mixes poorly in chain {low}: the posterior has a heavy tail or a funnel in {scale} that the sampler "
        "explores slowly."
    )
    return Verdict("E-BFMI", "warn", float(values[lowest]), MIN_EBFMI, hint, subject)


def _check_chains(chains: int) -> Verdict:
    few = chains < MIN_CHAINS
    hint = f"{chains} chain(s): R-hat compares chains and sees less with fewer than {MIN_CHAINS}."
    return Verdict("number of chains", "warn" if few else "pass", chains, MIN_CHAINS, hint if few else "")


def _check_warmup(warmup: int) -> Verdict:
    short = warmup < MIN_WARMUP
    hint = f"A warm-up of {warmup} iterations is too short for Stan to adapt its metric."
    return Verdict("warm-up", "warn" if short else "pass", warmup, MIN_WARMUP, hint if short else "")
