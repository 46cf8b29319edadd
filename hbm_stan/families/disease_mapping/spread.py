"""What counts that spread more than Poisson counts say of overdispersion and of the unstructured effects of areas.

With one row an area both let a count be off what its neighbours and predictors lead to expect: with a gamma or a
log-normal factor of the rate. Only the sum of the two variances is told by the counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from hbm_stan.families.disease_mapping.density import overdispersion_of
from hbm_stan.model import Evidence, Finding, StanData
from hbm_stan.nouns import Noun
from hbm_stan.priors import decode_scale
from hbm_stan.table import FloatArray

if TYPE_CHECKING:
    import pandas as pd
else:
    from hbm_stan.later import pd

_TITLE = "Overdispersion and the unstructured effects"
_INTERVAL = (0.05, 0.5, 0.95)
_PRIOR_DRAWS = 10_000


def variances(draws: Mapping[str, FloatArray]) -> tuple[FloatArray, FloatArray] | None:
    """Of the factor of a rate, draws (S,): the variance that is overdispersion, and that of the unstructured effects.

    None where counts have no overdispersion; the second is 0 where areas have no effects of a population.
    """
    spread = overdispersion_of(draws)
    if spread is None:
        return None
    own = spread[:, 0] ** 2
    if "tau" not in draws:
        return own, np.zeros(len(own))
    return own, np.asarray(draws["tau"] ** 2 * (1 - draws["rho"] if "rho" in draws else 1.0))


def spread_findings(evidence: Evidence) -> list[Finding]:
    """The two and their sum with intervals, their share before and after the counts were seen; nothing of others."""
    both = variances(evidence.draws)
    if both is None:
        return []
    own, effects = both
    if "tau" not in evidence.draws:
        return [Finding(title=_TITLE, sentences=(_alone(evidence, own), _no_rows(evidence.table.noun)))]
    parts = {"overdispersion": own, "unstructured effects": effects, "both together": own + effects}
    quantiles = {name: np.sqrt(np.quantile(values, _INTERVAL)) for name, values in parts.items()}
    table = pd.DataFrame({
        "part of the spread": list(quantiles), "median": [q[1] for q in quantiles.values()],
        "q05": [q[0] for q in quantiles.values()], "q95": [q[2] for q in quantiles.values()],
    })  # fmt: skip
    caption = (
        "Posterior median and 90 % interval of standard deviations on the log scale: of what overdispersion and the "
        "unstructured effects add to a rate, and the root of the sum of their squares."
    )
    sentences = (
        _alike(evidence.table.noun), _shares(evidence, own, effects, quantiles["both together"]),
        _chance(evidence.table.noun), _no_rows(evidence.table.noun),
    )  # fmt: skip
    digits = dict.fromkeys(("median", "q05", "q95"), 2)
    return [Finding(title=_TITLE, sentences=sentences, table=table, caption=caption, digits=digits)]


def _alike(noun: Noun) -> str:
    return (
        f"With one row for each {noun.one}, overdispersion and the unstructured effects say nearly the same: both let "
        "its count be off what all else leads to expect. The counts tell the sum of their variances; how it is shared "
        "between the two is mostly a matter of their priors."
    )


def _shares(evidence: Evidence, own: FloatArray, effects: FloatArray, together: FloatArray) -> str:
    low, middle, high = together
    share = 100 * np.quantile(own / (own + effects), _INTERVAL)
    before_own, before_effects = _before(evidence.rng, evidence.data, with_space="rho" in evidence.draws)
    before = 100 * np.quantile(before_own / (before_own + before_effects), _INTERVAL)
    with np.errstate(invalid="ignore"):
        correlation = float(np.corrcoef(own, effects)[0, 1])
    return (
        f"Together they have an sd of {middle:.2f} on the log scale (90 % interval {low:.2f} to {high:.2f}). "
        f"Overdispersion has {share[1]:.0f} % of that variance (90 % interval {share[0]:.0f} to {share[2]:.0f} %; "
        f"before the counts were seen {before[1]:.0f} %, {before[0]:.0f} to {before[2]:.0f} %). Over the draws the two "
        f"variances have a correlation of {correlation:.2f}."
    )


def _before(rng: np.random.Generator, data: StanData, *, with_space: bool) -> tuple[FloatArray, FloatArray]:
    """Draws of both variances from their priors."""
    tau, own = (
        decode_scale(name, data[f"prior_{name}_family"], data[f"prior_{name}"]).draw(rng, _PRIOR_DRAWS)
        for name in ("tau", "overdispersion")
    )
    a, b = data["prior_rho"]
    rho = rng.beta(a, b, size=_PRIOR_DRAWS) if with_space else 0.0
    return own**2, np.asarray(tau**2 * (1 - rho))


def _chance(noun: Noun) -> str:
    return (
        f"What is overdispersion is chance in a count and no part of the rate of its {noun.one}: the more of it, the "
        "closer together the smoothed rates. With Poisson counts all of it would be taken for differences of rates."
    )


def _no_rows(noun: Noun) -> str:
    return (
        f"Only several rows for each {noun.one} (years, sexes) tell the two apart. A map takes one; a formula with the "
        f"likelihood negative_binomial and (1 | {noun.one}) takes several, without neighbours."
    )


def _alone(evidence: Evidence, own: FloatArray) -> str:
    low, middle, high = np.sqrt(np.quantile(own, _INTERVAL))
    what = f"Overdispersion is {middle:.2f} (90 % interval {low:.2f} to {high:.2f}). "
    noun = evidence.table.noun
    if "mu" in evidence.draws:
        return what + f"Rates of {noun.many} differ by their predictors alone here: all else is overdispersion."
    return what + (
        f"Each {noun.one} has a rate of its own here, under a fixed, wide prior, which leaves overdispersion next to "
        "nothing to explain: what is told of it is mostly its prior."
    )
