"""The table of events as Stan data, default priors, and what no population can be learnt from."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hbm_stan.errors import DataError
from hbm_stan.families.event_population.nodes import of_estimates, of_samples
from hbm_stan.model import StanData, Variant
from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior, encode_scale
from hbm_stan.table import shorten

# Two events cannot tell a mean, a spread and an error apart (ours).
LEAST_EVENTS = 3
# Standard errors outside 0 .. 1 that an estimate of something inside may lie: one in 3.5 million lies further.
_OUTSIDE = 5.0


def prepare(table: Prepared, priors: Mapping[str, Prior]) -> StanData:
    """Stan data of events in the order of the table; raises DataError for tables that say nothing of a population."""
    _refuse_few(table)
    role = "estimate" if table.samples is None else "sample"
    y, se = table[role], table["standard_error"]
    selection = table.dataset.reading.selection
    chance = None if selection is None else selection.of
    if table.samples is None:
        _refuse_outside(table)
        nodes = of_estimates(y, se, chance)
    else:
        nodes = of_samples(table.samples, table.n_groups, chance)
    _refuse_unseen(table, nodes)
    kappa_family, kappa = encode_scale(priors["kappa"])
    return {
        "J": table.n_groups, "y": y, "se": se, "sampled": int(table.samples is not None), **nodes,
        "prior_mu": list(priors["mu"].arguments), "prior_kappa_family": kappa_family, "prior_kappa": kappa,
        "prior_theta": list(priors["theta"].arguments),
    }  # fmt: skip


def _refuse_few(table: Prepared) -> None:
    """Raise DataError for a table of too few events; one of which some are left out may have fewer."""
    dataset = table.dataset
    n = len(set(dataset.table.labels(dataset.column("group"))))
    if n < LEAST_EVENTS:
        raise DataError(
            f"{dataset.table.where}: {n} {table.noun.many} cannot tell of a population how much it spreads. At least "
            f"{LEAST_EVENTS} are needed, and ten or more for an answer that does not hang on the prior."
        )


def _refuse_outside(table: Prepared) -> None:
    """Raise DataError for estimates so far from 0 .. 1 that no value in there explains them."""
    y, se = table["estimate"], table["standard_error"]
    bad = np.flatnonzero((y < -_OUTSIDE * se) | (y > 1 + _OUTSIDE * se))
    if bad.size:
        i = int(bad[0])
        percent = " Percent are shares times 100: divide by 100." if (y > 1).all() and (y <= 100).all() else ""
        raise DataError(
            f"{table.dataset.table.where}, column {table.dataset.column('estimate')!r}: the estimate of "
            f"{shorten(table.row_names[i])} is {y[i]:g} with a standard error of {se[i]:g}, more than {_OUTSIDE:g} of "
            f"these outside 0 to 1, where the quantity lies. Correct it, or divide by its largest value.{percent}"
        )


def _refuse_unseen(table: Prepared, nodes: StanData) -> None:
    """Raise DataError where an event of the table could not have been seen by the detection probabilities given."""
    selection = table.dataset.reading.selection
    if selection is None:
        return
    starts = np.concatenate([[0], np.cumsum(nodes["size"])[:-1]])
    for j, start in enumerate(starts):
        label = shorten(table.pooled.labels[table.pooled.level[j]])
        if table.samples is None:
            unseen, what = not nodes["weight"][start : start + nodes["size"][j]].any(), "its estimate allows"
        else:
            unseen = not selection.of(table.samples.value[table.samples.event == j]).any()
            what = "its samples have"
        if unseen:
            raise DataError(
                f"{selection.where}: the detection probability is 0 at all values that {what} for {label!r}, which was "
                f"seen ({table.dataset.table.where}). A probability of a seen {table.noun.one} is above 0: correct it "
                "there, or take the row out."
            )


def default_priors(_table: Prepared) -> dict[str, Prior]:
    """Of a quantity between 0 and 1, whatever the events: uniform mean, and from nearly alike to piled at both ends."""
    return {
        "mu": Prior(
            name="mu", distribution="beta", arguments=(1.0, 1.0), reason="uniform: no mean is preferred", default=True,
        ),
        "kappa": Prior(
            name="kappa", distribution="lognormal", arguments=(1.8, 1.3),
            reason="at a mean of 0.5 an sd of about 0.19, 90 % of it between 0.07 and 0.38: from {groups} nearly alike "
            "to values piled up at 0 and 1; 2 is a uniform population",
            default=True,
        ),
        "theta": Prior(
            name="theta", distribution="beta", arguments=(1.0, 1.0),
            reason="no pooling: fixed and uniform, of {groups} that are seen", default=True,
        ),
    }  # fmt: skip


def unlearnable(table: Prepared, variant: Variant) -> str:
    """Why events given as samples have partial pooling alone; empty where a variant can be learnt."""
    if table.samples is None or variant.pooling == "partial":
        return ""
    if variant.pooling == "complete":
        return (
            "complete pooling needs the likelihood of each event at any one value, and samples of its posterior give "
            "it as a mean over many values only; give estimates with standard errors"
        )
    return "without pooling the value of an event has the posterior that its samples are drawn from: nothing is left"
