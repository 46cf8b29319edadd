"""Populations of many groups whose coefficients have no closed form: integrated out by nodes, and drawn afterwards."""

from __future__ import annotations

from hbm_stan.design import Design
from hbm_stan.families.terms.data import names_of
from hbm_stan.likelihoods.likelihood import Likelihood
from hbm_stan.model import Pooling

# The most coefficients of a group that are integrated out by nodes in each direction.
MOST_COEFFICIENTS = 3


def nodes_serve(likelihood: Likelihood, design: Design, pooling: Pooling) -> bool:
    """Whether nodes that stay can stand for the coefficients of a model's groups: of log-concave rows without own
    parameters, one grouping factor whose columns are all the common ones there are, and groups that differ."""
    return _one_factor(likelihood, design) and not names_of(design).shared and pooling != "complete"


def nodes_follow(likelihood: Likelihood, design: Design, pooling: Pooling) -> bool:
    """Whether nodes that follow the population can: there may be other common columns, too."""
    return _one_factor(likelihood, design) and pooling == "partial"


def _one_factor(likelihood: Likelihood, design: Design) -> bool:
    rows = not likelihood.own_rows and likelihood.precision is None and likelihood.peak is None
    return rows and len(design.terms) == design.n_group_terms and len(names_of(design).tau) <= MOST_COEFFICIENTS
