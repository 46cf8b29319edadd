"""Whether a family's raw estimates are those without pooling, where its priors are flat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from hbm_stan.density import short_run
from hbm_stan.design import Design
from hbm_stan.elements import base_of
from hbm_stan.families.terms.data import inside_groups
from hbm_stan.table import FloatArray
from hbm_stan.verify.names import Claim

# Priors so many times wider are flat. A raw estimate is one of no pooling if it lies within one of its sds in the
# middle group, and its standard error within a factor of 2 of that sd (ours).
_WIDER, _NEAR, _FACTOR = 10.0, 1.0, 2.0


def _raw_is_no_pooling(design: Design) -> bool:
    """Whether raw estimates are those without pooling.

    They leave out the levels of other factors, and columns of the groups, which nothing tells from the groups' own
    coefficients where all priors are flat.
    """
    return len(design.factors) == 1 and not inside_groups(design).any()


def raw_estimates(claim: Claim) -> list[str]:
    """``raw`` is what no pooling says where its priors are flat, and its standard error the sd there."""
    family = claim.family
    if claim.pooling != "no" or family.groups.raw is None or family.groups.group_quantity not in claim.draws:
        return []
    if claim.table.design is not None and not _raw_is_no_pooling(claim.table.design):
        return []
    draws = _flat_draws(claim)[family.groups.group_quantity]
    raw, se = (np.asarray(v, dtype=float) for v in family.groups.raw(claim.data))
    mean, sd = draws.mean(axis=0), _sd_apart(draws)
    if raw.shape != mean.shape:
        return [f"raw() gives shape {raw.shape}; {family.groups.group_quantity} has {mean.shape}"]
    problems, z, ratio = [], np.abs(raw - mean) / sd, se / sd
    known, sized = np.isfinite(z), np.isfinite(ratio)
    if known.sum() > 1 and np.median(z[known]) > _NEAR:
        at = np.unravel_index(int(np.nanargmax(z)), z.shape)
        where = f"{raw[at]:.3g} for {claim.table.pooled.labels[at[0]]}, no pooling under flat priors {mean[at]:.3g}"
        problems.append(f"raw() is not the estimate without pooling: {where} with sd {sd[at]:.2g}")
    middle = float(np.median(ratio[sized])) if sized.sum() > 1 else 1.0
    if not 1 / _FACTOR <= middle <= _FACTOR:
        problems.append(f"the standard error of raw() is {middle:.2g} of the posterior sd without pooling, flat priors")
    return problems


def _sd_apart(draws: FloatArray) -> FloatArray:
    """The sd of each group's quantity, (J, ...), without what the draws of all groups have in common.

    The thresholds of ordered categories move with all groups at once; a group's own rows say nothing of that.
    """
    deviation = draws - draws.mean(axis=1, keepdims=True)
    apart = deviation.std(axis=0, ddof=1) * np.sqrt(draws.shape[1] / max(draws.shape[1] - 1, 1))
    return np.asarray(np.minimum(draws.std(axis=0, ddof=1), apart if draws.shape[1] > 1 else np.inf))


def _flat_draws(claim: Claim) -> Mapping[str, FloatArray]:
    """Draws of no pooling where normal priors of the group quantity are far wider; as they are where there are none."""
    family, priors = claim.family, claim.priors
    wide = {
        name: replace(prior, arguments=(prior.arguments[0], _WIDER * prior.arguments[1]))
        for name, prior in family.priors_of(claim.variant, priors).items()
        if base_of(name) == family.groups.group_quantity and prior.distribution == "normal"
    }
    if not wide:
        return claim.draws
    data = family.stan_data(claim.table, {**priors, **wide}, claim.variant)
    return short_run(family, claim.variant, data, draws=200, warmup=300, chains=2)
