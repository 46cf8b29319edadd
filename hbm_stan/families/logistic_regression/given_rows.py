"""Coefficients of groups that were not fitted, given their rows and draws of the population."""

from __future__ import annotations

import numpy as np

from hbm_stan.counting import counted
from hbm_stan.families.logistic_regression.density import factor_of, mean_of
from hbm_stan.families.logistic_regression.estimates import cells
from hbm_stan.integrate import Integrand
from hbm_stan.integrate.given_rows import Proposals, propose, propose_each
from hbm_stan.integrate.structure import IntArray, Level, structure
from hbm_stan.likelihoods import likelihood
from hbm_stan.model import Draws, GivenRows, StanData
from hbm_stan.table import FloatArray


def given_rows(rng: np.random.Generator, draws: Draws, data: StanData) -> GivenRows:
    """theta of each group by proposals about its maximum: of the terms that vary, about the population's mean."""
    binomial = likelihood("binomial")
    x, group, y, trials = cells(data)
    mean, factor = mean_of(draws, data), factor_of(draws)
    constants = np.bincount(
        np.asarray(data["group_idx"]) - 1, weights=binomial.constant(data), minlength=data["J"]
    )  # fmt: skip

    def one(generator: np.random.Generator, j: int) -> Proposals:
        own = group == j
        level = Level(x[own], np.zeros(int(own.sum()), dtype=np.int64), 1)
        given = Integrand(binomial, {"y": y[own], "trials": trials[own]}, {}, mean[:, j] @ x[own].T)
        s = structure([level], (), level.level, 1)
        return propose(generator, s, [factor], given, float(constants[j]))

    proposals = propose_each(rng, int(data["J"]), one)

    def draw(again: np.random.Generator, at: IntArray) -> dict[str, FloatArray]:
        deviations = [own.choose(again, at)[0] for own in counted(proposals, len(proposals))]
        return {"theta": mean[at] + np.concatenate(deviations, axis=1)}

    return GivenRows(np.stack([own.log_integral for own in proposals], axis=1), draw)
