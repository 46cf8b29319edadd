"""The model of a family a second time, in NumPy: what the programs are held against, and what rows are drawn with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hbm_stan.model.programs import Draws, StanData
from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior
from hbm_stan.table import FloatArray

_Parameters = dict[str, FloatArray]


@dataclass(frozen=True, kw_only=True)
class Twin:
    """The model a second time, written from the citation and not from the Stan programs.

    log_joint(params, data, variant)  at one point (no draw dimension): log prior plus, where ``use_likelihood`` is 1,
                                      log likelihood, on the constrained scale, no Jacobian
    support(data)                     bounded scalar or vector parameters of the programs -> (lower, upper)
    transformed(params, data)         what the programs derive from those declared, at one point: tau from tau_raw ...
    prior_draws(rng, priors, data, size)  population parameters from the priors, as partial pooling programs have them
    latent(rng, draws, data, variant)  what lies between theta and the rows, given the rest, (S, J) or (S, M), by name
    simulate(rng, draws, design)      outcome of the design's rows given theta and the other parameters, (S, N)
    pointwise(draws, data)            log p(y_n | theta, parameters), (S, N)
    row_moments(draws, data)          mean and variance of each row, (S, N) each; mean_of_rows is the mean alone
    link(mean, data)                  the linear predictor of rows with these means, (..., N), where theta is no mean
    drawn_table(rng, truth, table, data)  the table with its outcome drawn anew from the truth (one draw), where which
                                      rows are seen is drawn too
    beside_rows(draws, data)          log density of what is known of a group beside its rows, given theta, (S, J): that
                                      others are unseen
    of_groups(y, data)                what data sets y (S, N) say of each group, (S, J), where a mean of its rows says
                                      nothing, as they are of several kinds
    row_weights(draws, data)          how much each row says, 1 at its mean, the mean over draws, (N,); None: all alike
    some_rows(data, rows)             the data of the rows at these places, a slice or indices, with what all rows say
                                      of each group beside: ``pointwise``, ``simulate`` and ``loo_log_lik`` of them give
                                      the columns of these rows; None: only all rows together
    ``calibration`` are priors as in analysis.toml under which outcomes drawn for the family's example look like data
    that people meet: default priors are so wide that most simulated data would be absurd.
    """

    log_joint: Callable[[Draws, StanData, str], float] | None = None
    support: Callable[[StanData], dict[str, tuple[float, float]]] | None = None
    transformed: Callable[[Draws, StanData], dict[str, FloatArray]] | None = None
    prior_draws: Callable[[np.random.Generator, Mapping[str, Prior], StanData, int], _Parameters] | None = None
    latent: Callable[[np.random.Generator, Draws, StanData, str], dict[str, FloatArray]] | None = None
    simulate: Callable[[np.random.Generator, Draws, StanData], FloatArray] | None = None
    pointwise: Callable[[Draws, StanData], FloatArray] | None = None
    row_moments: Callable[[Draws, StanData], tuple[FloatArray, FloatArray]] | None = None
    mean_of_rows: Callable[[Draws, StanData], FloatArray] | None = None
    link: Callable[[FloatArray, StanData], FloatArray] | None = None
    drawn_table: Callable[[np.random.Generator, Draws, Prepared, StanData], Prepared] | None = None
    beside_rows: Callable[[Draws, StanData], FloatArray] | None = None
    of_groups: Callable[[FloatArray, StanData], FloatArray] | None = None
    row_weights: Callable[[Draws, StanData], FloatArray | None] | None = None
    some_rows: Callable[[StanData, Any], StanData] | None = None
    calibration: Mapping[str, str] = field(default_factory=dict)  # priors of `hbm calibrate FAMILY`
