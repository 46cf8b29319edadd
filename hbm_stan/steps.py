"""What the steps of a sampler tell: divergences, tree depth, energy."""

from __future__ import annotations

from typing import Any

import numpy as np

from hbm_stan import mixing
from hbm_stan.fit import Fit
from hbm_stan.funnel import where_divergences_sit
from hbm_stan.table import FloatArray
from hbm_stan.verdicts import Verdict

# Betancourt (2016), arXiv:1604.00695; 0.3 is CmdStan's and ArviZ's value.
MIN_EBFMI = 0.3
# From this adapt_delta on, a larger one is no advice any more (ours).
_SMALL_STEP = 0.99


def check_steps(fit: Fit) -> list[Verdict]:
    """The verdicts on the steps of a fit that a sampler made."""
    stats = {name: np.asarray(v.values) for name, v in fit.chains["sample_stats"].items()}
    return [
        _check_divergences(fit, stats["diverging"]),
        _check_treedepth(stats["reached_max_treedepth"], fit.sampling.max_treedepth),
        _check_ebfmi(stats["energy"], fit.family.groups.population_scale),
    ]


def _check_divergences(fit: Fit, diverging: np.ndarray[Any, Any]) -> Verdict:
    count = int(diverging.sum())
    if count == 0:
        return Verdict(name="divergences", status="pass", value=0, threshold=0)
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
    return Verdict(name="divergences", status="fail", value=count, threshold=0, hint=hint, subject=subject)


def _check_treedepth(reached: np.ndarray[Any, Any], limit: int) -> Verdict:
    count = int(reached.sum())
    if count == 0:
        return Verdict(name="tree depth", status="pass", value=0, threshold=0)
    share = "All" if count == reached.size else f"{count} of {reached.size}"
    hint = (
        f"{share} transitions ended at the maximum tree depth of {limit}: the sampler was cut short. This costs "
        "efficiency first; where it is most transitions, the scales of the parameters differ too much."
    )
    return Verdict(name="tree depth", status="warn", value=count, threshold=0, hint=hint)


def _check_ebfmi(energy: FloatArray, scale: str) -> Verdict:
    """E-BFMI of each chain, which must not be small (Betancourt 2016)."""
    values = mixing.ebfmi(energy)
    if not np.isfinite(values).all():
        return Verdict(
            name="E-BFMI",
            status="fail",
            value=None,
            threshold=MIN_EBFMI,
            hint="E-BFMI cannot be computed: the energy does not move.",
        )
    lowest = int(values.argmin())
    subject = f"chain {lowest + 1}"
    if values[lowest] >= MIN_EBFMI:
        return Verdict(
            name="E-BFMI", status="pass", value=float(values[lowest]), threshold=MIN_EBFMI, hint="", subject=subject
        )
    low = ", ".join(str(i + 1) for i in np.flatnonzero(values < MIN_EBFMI))
    hint = (
        f"Energy mixes poorly in chain {low}: the posterior has a heavy tail or a funnel in {scale} that the sampler "
        "explores slowly."
    )
    return Verdict(
        name="E-BFMI", status="warn", value=float(values[lowest]), threshold=MIN_EBFMI, hint=hint, subject=subject
    )
