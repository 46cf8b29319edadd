"""Cockroaches in 262 apartments: maxima and leave-one-out of counts that others published.

Data: Gelman & Hill 2007, Data Analysis Using Regression and Multilevel/Hierarchical Models, section 8.3, as in roaches
of the R package rstanarm 2.21.3. There is no grouping factor: complete pooling of any groups is the model. Maxima:
glmmTMB 1.1.5 on R 4.2. Leave-one-out: the vignette "Using the loo package" (loo 2.5.1), whose fits have rstanarm's
priors, normal and as wide as ours.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hbm_stan as hbm
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.leave_one_out import loo
from hbm_stan.likelihoods import likelihood
from hbm_stan.replicate import predictive_check
from hbm_stan.store import FitStore

FORMULA = "y ~ roach100 + treatment + senior + offset(log(exposure2)) + (1 | block)"
# Intercept, roach100, treatment, senior with standard errors; log likelihood; overdispersion 1 / sqrt(phi).
MAXIMA = {
    "poisson": (
        [3.0892453068, 0.69828791139, -0.51672597571, -0.37986962415],
        [0.021234043676, 0.0088744943647, 0.024739056778, 0.033419333407], -6091.9776355834, None,
    ),
    "negative_binomial": (
        [2.8387829634, 1.2881672605, -0.77678853076, -0.34437283148],
        [0.22908504371, 0.24745869918, 0.24500933371, 0.26168085697], -889.2917345891, 0.27426474983,
    ),
}  # fmt: skip


def roaches() -> pd.DataFrame:
    frame = pd.read_csv(Path(__file__).parent / "oracles" / "fits" / "roaches.csv")
    # Groups that mean nothing: rows are dealt out to them in turn.
    blocks = [f"block {k:02}" for k in np.arange(len(frame)) % 20]
    return frame.assign(roach100=frame["roach1"] / 100, block=blocks)


@pytest.mark.parametrize("name", sorted(MAXIMA))
def test_published_maxima_are_ours(name: str) -> None:
    frame = roaches()
    beta, errors, log_lik, phi = MAXIMA[name]
    rows = {"y": frame["y"].to_numpy(float), "exposure": np.ones(len(frame))}
    columns = np.column_stack([np.ones(len(frame)), frame[["roach100", "treatment", "senior"]]])
    eta = columns @ beta + np.log(frame["exposure2"].to_numpy())
    own = {} if phi is None else {"overdispersion": np.array([1 / np.sqrt(phi)])}
    model = likelihood(name)
    assert (model.kernel(eta, rows, own) + model.constant(rows)).sum() == pytest.approx(log_lik, rel=1e-8)
    curvature = columns.T @ (model.weight(eta, rows, own)[:, None] * columns)
    step = np.linalg.solve(curvature, columns.T @ model.score(eta, rows, own))
    assert np.abs(step / errors).max() < 1e-3
    if phi is None:  # else the errors are also of an overdispersion that is not known
        assert np.sqrt(np.diag(np.linalg.inv(curvature))) == pytest.approx(errors, rel=1e-3)


@pytest.mark.usefixtures("stanli")
def test_leave_one_out_and_checks_are_those_of_the_vignette(tmp_path: Path) -> None:
    fits = {
        name: hbm.fit(
            FORMULA, roaches(), "complete_pooling", likelihood=name, engine=StanliEngine(), store=FitStore(tmp_path)
        )
        for name in MAXIMA
    }
    spread = loo(fits["negative_binomial"])
    assert spread.elpd == pytest.approx(-895.5, abs=1)
    assert spread.se == pytest.approx(37.7, abs=0.5)
    assert spread.p_loo == pytest.approx(6.6, abs=0.5)
    # Of Poisson counts 17 Pareto k are above 0.7 there, and elpd (-6247.8) is no number to hold another one to.
    plain = loo(fits["poisson"])
    assert 8 <= plain.high_at_first <= 26
    assert plain.p_loo > 200
    failed = predictive_check(fits["poisson"]).verdict
    assert failed.status == "fail"
    assert 'likelihood = "negative_binomial"' in failed.hint
    assert predictive_check(fits["negative_binomial"]).verdict.status != "fail"
