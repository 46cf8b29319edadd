"""Rows and groups left out of our own fits, by the way of `hbm compare`, against exact values of published posteriors.

The exact values (``oracles/fits/posteriors.json``) were computed apart from this project, without sampling. Ours must
be within the Monte Carlo error that the comparison itself states, repairs included.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from oracle_fits import ORACLE
from oracle_posteriors import POSTERIORS
from scipy.stats import norm

from hbm_stan.attempts import family_and_data, fit_variants
from hbm_stan.budget import Budget
from hbm_stan.compare import compare
from hbm_stan.comparison import Comparison
from hbm_stan.densities import Unit, density_of
from hbm_stan.engines import Engine, Sampling
from hbm_stan.fit import Fit
from hbm_stan.leave_one_out import mean_error
from hbm_stan.scores import Score

SAMPLING = Sampling(draws=600, seed=20261128)
PARTIAL = "partial_pooling"
PRIORS = {
    "penicillin-crossed": {"beta": "normal(20, 10)", "tau": "half_normal(3)", "sd": "half_normal(3)",
                           "sigma": "half_normal(3)"},
    "pastes-nested": {"beta": "normal(60, 10)", "tau": "half_normal(3)", "sd": "half_normal(3)",
                      "sigma": "half_normal(3)"},
    "sleepstudy-uncorrelated": {"beta[intercept]": "normal(250, 100)", "beta[days]": "normal(0, 50)",
                                "tau[intercept]": "half_normal(50)", "tau[days]": "half_normal(20)",
                                "sigma": "half_normal(50)"},
}  # fmt: skip
# An elpd is so many of its Monte Carlo errors off once in ten thousand tries; of single units, once in a thousand.
MOST, RARE = 4.0, 1e-3
CASES = [
    ("penicillin-crossed", "plate", "group"), ("penicillin-crossed", "sample", "group"),
    ("penicillin-crossed", "plate", "observation"), ("pastes-nested", "batch", "group"),
    ("pastes-nested", "batch", "observation"), ("sleepstudy-uncorrelated", "subject", "group"),
    ("sleepstudy-uncorrelated", "subject", "observation"),
]  # fmt: skip


@cache
def fits(name: str, group: str) -> dict[str, Fit]:
    frame = pd.read_csv(ORACLE / f"{POSTERIORS[name]['data']}.csv")
    family, data = family_and_data(POSTERIORS[name]["formula"], frame, group=group, centre=False)
    return fit_variants(
        family, data, (PARTIAL, "complete_pooling"), priors=PRIORS[name], sampling=SAMPLING, engine="stanli"
    )


@cache
def compared(name: str, group: str, unit: Unit) -> Comparison:
    # Complete pooling is the other fit that a comparison needs: its scores are not looked at, nor repaired by refits.
    return compare(fits(name, group), target=unit, budget=Budget(max_refits=1))


def score_of(comparison: Comparison) -> Score:
    return next(score for score in comparison.scores if score.variant == PARTIAL)


def exact_of(name: str, group: str, unit: Unit) -> tuple[np.ndarray, float]:
    if unit == "observation":
        case = POSTERIORS[name]["loo"]
        return np.array(case["pointwise"]), case.get("error", 0.0) * len(case["pointwise"])
    case = POSTERIORS[name]["logo"][group]
    labels = fits(name, group)[PARTIAL].table.pooled.labels
    return np.array([case["by_group"][label] for label in labels]), case.get("error", 0.0)


@pytest.mark.parametrize(("name", "group", "unit"), CASES)
def test_a_score_is_exact_within_the_error_that_it_states(stanli: Engine, name: str, group: str, unit: Unit) -> None:
    score = score_of(compared(name, group, unit))
    exact, error = exact_of(name, group, unit)
    assert score.pareto_k_high == 0  # a high one is repaired
    assert score.elpd == pytest.approx(exact.sum(), abs=MOST * score.mcse + error)
    assert score.mcse < 0.5  # an error so large that it covers everything would be no test


def z_of_units(comparison: Comparison, fit: Fit, exact: np.ndarray) -> np.ndarray:
    """The error of each unit that PSIS scored, in Monte Carlo errors of its own."""
    own, density = comparison.pointwise[PARTIAL], density_of(fit, comparison.unit)
    assert density.of is not None
    log_density = density.of(fit.draws(), fit.data)
    ratios = np.exp(own.elpd_i - log_density)  # 1 / density, about 1 in the mean
    scored = [i for i in range(len(exact)) if i not in own.repairs]
    errors = np.array([mean_error(ratios[:, i], fit.sampling.chains) for i in scored])
    return np.abs(own.elpd_i[scored] - exact[scored]) / errors


@pytest.mark.parametrize(("name", "group", "unit"), CASES)
def test_each_unit_is_exact_within_its_error(stanli: Engine, name: str, group: str, unit: Unit) -> None:
    comparison, fit = compared(name, group, unit), fits(name, group)[PARTIAL]
    exact, _ = exact_of(name, group, unit)
    limit = norm.isf(RARE / 2 / len(exact))
    assert z_of_units(comparison, fit, exact).max() < limit
    # A planted fault: units in another order.
    assert z_of_units(comparison, fit, np.roll(exact, 1)).max() > limit
