"""The normal means family on real data: the BCG trials against foreign answers, and simulated truth."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom
from test_truth import STATISTICS, differences, moved

from hbm_stan.attempts import fit
from hbm_stan.diagnose import check
from hbm_stan.engines import Engine, Sampling
from hbm_stan.fit import Fit
from hbm_stan.predict import new_group, shrinkage_table
from hbm_stan.report.analysis import Analysis, read_analysis

ROOT = Path(__file__).parents[1]
BCG = json.loads((ROOT / "tests" / "reference" / "bcg.json").read_text())
SAMPLING = Sampling(draws=5000, adapt_delta=0.95, seed=20261121)


def analysis(name: str) -> Analysis:
    return read_analysis(ROOT / "reports" / name)


def partial(name: str, engine: Engine, variant: str = "partial_pooling", **priors: str) -> Fit:
    a = analysis(name)
    return fit(a.family, a.dataset, variant, priors={**a.priors, **priors}, sampling=SAMPLING, engine=engine)


@pytest.mark.parametrize("variant", ["partial_pooling", "partial_pooling_noncentered"])
def test_the_bcg_trials_equal_the_exact_posterior(stanli: Engine, variant: str) -> None:
    exact = BCG["posteriors"][0]["parameters"]
    z = differences(partial("bcg", stanli, variant), exact)
    assert moved(z, 2 * len(exact) * len(STATISTICS)) == {}


def test_the_bcg_trials_reproduce_restricted_maximum_likelihood(stanli: Engine) -> None:
    table = check(partial("bcg", stanli)).summary
    assert table.loc["mu", "q50"] == pytest.approx(BCG["reml"]["mu"], abs=0.05)
    assert table.loc["tau", "q05"] < np.sqrt(BCG["reml"]["tau2"]) < table.loc["tau", "q95"]


def truth(name: str) -> tuple[dict[str, float], dict[str, float]]:
    """The population and the groups that a simulated data set was drawn from."""
    with (ROOT / "data" / name / "truth.csv").open() as file:
        rows = list(csv.DictReader(file))
    population = {r["name"]: float(r["value"]) for r in rows if not r["group"]}
    return population, {r["group"]: float(r["value"]) for r in rows if r["group"]}


@pytest.mark.parametrize("name", ["store_satisfaction", "treatment_sites"])
def test_intervals_hold_the_truth_of_simulated_groups(stanli: Engine, name: str) -> None:
    made = partial(name, stanli)
    population, groups = truth(name)
    table = shrinkage_table({"partial_pooling": made}, "partial_pooling").set_index("group")
    inside = sum(table.loc[g, "q05"] < value < table.loc[g, "q95"] for g, value in groups.items())
    assert len(groups) == len(table)
    assert inside >= binom.ppf(1e-3, len(groups), 0.9)
    # Shrunken estimates are nearer to the truth than raw ones: what partial pooling is for.
    values = np.array([groups[g] for g in table.index])
    assert np.mean((table["partial_pooling"] - values) ** 2) < np.mean((table["raw"] - values) ** 2)
    summary = check(made).summary
    for parameter in ("mu", "tau"):
        z = abs(summary.loc[parameter, "mean"] - population[parameter]) / summary.loc[parameter, "sd"]
        assert z < 4  # two quantities of two data sets


def test_a_treatment_helps_at_a_new_hospital_with_a_probability(stanli: Engine) -> None:
    made = partial("treatment_sites", stanli)
    row = new_group(made).quantities.loc["theta_new"]
    draws = made.draws("mu", "tau")
    from scipy.stats import norm

    expected = norm.cdf(draws["mu"] / draws["tau"]).mean()
    assert row["p_positive"] == pytest.approx(expected, abs=5 / np.sqrt(4 * made.n_draws))
