"""What priors alone expect: data sets drawn from them beside the observed one, and warnings on priors of scales."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from hbm_stan.elements import base_of, term_of
from hbm_stan.fit import Fit
from hbm_stan.levels import FEW_GROUPS
from hbm_stan.memory import draws_of_rows
from hbm_stan.portions import portions
from hbm_stan.predict import raw_spread
from hbm_stan.replicate import compared, in_words, statistics_of
from hbm_stan.verdicts import Verdict

# Data sets drawn from the prior: the ends of a 90 % interval are then known to about one part in a hundred. Of very
# many rows there are as many as posterior draws stand for all, 400 at least.
PRIOR_SETS = 1000


def prior_check(fit: Fit) -> pd.DataFrame:
    """What the priors alone expect of the data: the statistics of data sets drawn from them, beside the observed.

    Empty where the family cannot draw from its priors. Columns as the statistics of the posterior predictive check.
    """
    family = fit.family
    prior_draws, new_group, simulate = family.twin.prior_draws, family.groups.new_group, family.twin.simulate
    if prior_draws is None or new_group is None or simulate is None or fit.pooling != "partial":
        return pd.DataFrame()
    rng = fit.rng("prior predictive check")
    one, sets = statistics_of(fit, fit.y[None]), []
    with np.errstate(over="ignore", invalid="ignore"):
        n_sets = draws_of_rows(fit.table.n_rows, 1, PRIOR_SETS)
        every = prior_draws(rng, family.priors_of(fit.variant, fit.priors), fit.data, n_sets)
        for part in portions(n_sets, fit.table.n_rows):
            draws = {name: values[part] for name, values in every.items()}
            theta = new_group(rng, draws, fit.data, fit.variant)
            y = simulate(rng, {**draws, family.groups.group_quantity: theta}, fit.data)
            sets.append(statistics_of(fit, y[np.isfinite(y).all(axis=1)]))
    return compared({k: (one[k], np.concatenate([some[k] for some in sets])) for k in one}, partial(in_words, fit))


def check_priors(fit: Fit) -> list[Verdict]:
    """Warnings on priors of how much groups differ: flat ones, and heavy-tailed ones with few groups.

    Gelman (2006), Bayesian Analysis 1:515; decision-rules, pitfall 15. The share of the prior beyond the sd of the raw
    estimates says how much it favours groups that differ by more than the data show at first sight.
    """
    spread = raw_spread(fit)
    verdicts = []
    for name, prior in fit.family.priors_of(fit.variant, fit.priors).items():
        base = base_of(name)
        sd = spread.get(term_of(name), np.nan) if base == fit.family.groups.population_scale else np.nan
        few = fit.table.n_groups < FEW_GROUPS
        if prior.distribution != "uniform" and not (prior.distribution == "half_cauchy" and few):
            continue
        beyond = float(1 - prior.cumulative(sd)) if np.isfinite(sd) else None
        share = (
            "" if beyond is None else f" {100 * beyond:.0f} % of it lies above {sd:.3g}, the sd of the raw estimates."
        )
        why = (
            "a flat prior has an end that nobody believes in and favours large values"
            if prior.distribution == "uniform"
            else f"with {fit.table.n_groups} {fit.table.noun.many} its tail decides how large {name} may be"
        )
        advice = "A half-normal on the scale of the data is the usual choice."
        hint = f"The prior of {name} is {prior.text}: {why}.{share} {advice}"
        verdicts.append(
            Verdict(name="prior of a scale", status="warn", value=beyond, threshold=None, hint=hint, subject=name)
        )
    return verdicts
