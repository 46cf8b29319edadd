"""Ordered categories, with the common and varying coefficients of a formula and thresholds in the intercept's place."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from hbm_stan.families.terms.data import counted_cells
from hbm_stan.families.terms.family import Parts, family_of
from hbm_stan.families.terms.priors import Scale, scale_of_categories
from hbm_stan.likelihoods.cumulative import LIKELIHOOD
from hbm_stan.model import StanData
from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior


def _categories(table: Prepared) -> tuple[str, ...]:
    return table.ordered[table.dataset.column("outcome")]


def _outcome(table: Prepared, priors: Mapping[str, Prior]) -> StanData:
    y = table["outcome"]
    return {
        **counted_cells(table, priors, y)[0], "y": y.astype(np.int64), "categories": len(_categories(table)),
        "prior_threshold": priors["threshold"].arguments[0],
    }  # fmt: skip


def _own_priors(_scale: Scale) -> dict[str, Prior]:
    said = "of the shares of the categories where columns are at their means: all sets of shares are as likely"
    return {"threshold": Prior("threshold", "dirichlet", (1.0,), said, True)}


def _coords(table: Prepared) -> dict[str, tuple[str, ...]]:
    """A threshold is called by the categories that it lies between."""
    names = _categories(table)
    return {"cut": tuple(f"{below}|{above}" for below, above in pairwise(names))}


FAMILY = family_of(
    LIKELIHOOD,
    Parts(
        outcome=_outcome,
        scale=scale_of_categories,
        own_priors=_own_priors,
        coords=_coords,
        calibration={
            "beta": "normal(0, 1)", "tau": "half_normal(1)", "theta": "normal(0, 1.5)", "threshold": "dirichlet(4)",
        },
    ),
)  # fmt: skip
