"""Rows and groups left out of fits of formulas: against exact values, without pooling too, and by refits."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from oracle_fits import ORACLE
from oracle_posteriors import POSTERIORS

from hbm_stan.attempts import fit
from hbm_stan.data import Dataset
from hbm_stan.engines import Engine, Sampling
from hbm_stan.families.terms import integrals
from hbm_stan.families.terms.effects import pooling_of
from hbm_stan.families.terms.family import family_of
from hbm_stan.fit import Fit
from hbm_stan.leave_one_out import logo, loo
from hbm_stan.likelihoods import likelihood
from hbm_stan.repair.refits import with_effects

SAMPLING = Sampling(draws=1000, seed=20261128)
PRIORS = {
    "beta[intercept]": "normal(20, 10)",
    "tau": "half_normal(3)",
    "sd": "half_normal(3)",
    "sigma": "half_normal(3)",
}
# Two elpds, each a sum over units, are so many of their Monte Carlo errors apart once in ten thousand tries.
MOST = 4.0


@cache
def rows() -> pd.DataFrame:
    return pd.read_csv(ORACLE / "penicillin.csv")


@cache
def penicillin(group: str, variant: str = "partial_pooling", without: str = "") -> Fit:
    frame = rows()[rows()["sample"] != without] if without else rows()
    dataset = Dataset.from_frame(frame, formula="diameter_mm ~ 1 + (1 | plate) + (1 | sample)", group=group)
    chosen = PRIORS if variant == "partial_pooling" else {}
    return fit(family_of("normal"), dataset, variant, priors=chosen, sampling=SAMPLING, engine="stanli")


@pytest.mark.parametrize("group", ["plate", "sample"])
def test_a_group_of_a_crossed_factor_is_left_out(stanli: Engine, group: str) -> None:
    made = penicillin(group)
    found = logo(made)
    by_group = POSTERIORS["penicillin-crossed"]["logo"][group]["by_group"]
    exact = np.array([by_group[label] for label in made.table.labels])
    assert found is not None
    good = ~found.high  # mcse is that of units whose Pareto k is low: one of six samples is far from the others
    assert good.sum() >= len(exact) - 1
    assert found.elpd_i[good].sum() == pytest.approx(exact[good].sum(), abs=MOST * found.mcse)


def test_rows_are_left_out_with_all_coefficients_integrated(stanli: Engine) -> None:
    found = loo(penicillin("plate"))
    exact = POSTERIORS["penicillin-crossed"]["loo"]["pointwise"]
    assert not found.high.any()
    assert found.elpd == pytest.approx(sum(exact), abs=MOST * found.mcse)
    # Nothing but the four population parameters is left to weigh: far less error than with effects given.
    assert found.mcse < 0.1


def test_without_pooling_a_group_has_its_prior_and_what_is_shared(stanli: Engine) -> None:
    made = penicillin("plate", "no_pooling")
    assert pooling_of(made.draws()) == "no"
    found = logo(made)
    assert found is not None
    ours = integrals.group_log_lik(likelihood("normal"), made.draws(), made.data)
    assert ours.std(axis=0).max() > 0.01  # sigma and the samples are learnt, so that it is no constant
    assert found.elpd == pytest.approx(float(-np.log(np.exp(-ours).mean(axis=0)).sum()), abs=0.1)


def test_effects_of_a_refit_stand_where_the_whole_table_has_them(stanli: Engine) -> None:
    whole, refit = penicillin("plate"), penicillin("plate", without="B")
    draws = with_effects(whole, refit)
    assert draws["effect"].shape[1] == 6
    np.testing.assert_array_equal(np.delete(draws["effect"], 1, axis=1), refit.draws()["effect"])
    new = draws["effect"][:, 1] / refit.draws()["sd"][:, 0]
    assert abs(new.mean()) < 4 / np.sqrt(len(new))
    assert abs(new.std() - 1) < 4 / np.sqrt(2 * len(new))
