"""Numbers with gross errors, fitted: against a posterior by another sampler, known degrees of freedom, row weights."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from arviz_stats.base import array_stats as az
from oracle_fits import ORACLE

from hbm_stan.attempts import fit
from hbm_stan.data import Dataset
from hbm_stan.diagnose import check
from hbm_stan.engines import Engine, Sampling
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.families import family
from hbm_stan.fit import Fit, prepare_table
from hbm_stan.leave_one_out import QUADRATURE_MATTERS, logo
from hbm_stan.sensitivity import rivals

OTHER: dict[str, Any] = json.loads((ORACLE / "student_t_posterior.json").read_text())
STUDENT = family("student_t")
SHORT = Sampling(chains=4, warmup=500, draws=500, seed=20261129)
# Of 54 means and 18 quantiles the largest z is above this once in a few hundred tries.
MOST = 4.5


def table_of(**keys: Any) -> Any:
    frame = pd.read_csv(ORACLE / "sleepstudy.csv", dtype={"subject": str})
    return Dataset.from_frame(frame, formula=OTHER["formula"], **keys)


def largest_z(engine: Engine, end: str) -> tuple[float, str]:
    """How far means and quantiles are from the other sampler's, with nu from ``end`` on, in Monte Carlo errors."""
    table = prepare_table(STUDENT, table_of(centre=False))
    data = STUDENT.stan_data(table, STUDENT.priors(table, OTHER["priors"]), "partial_pooling")
    program = STUDENT.program("partial_pooling")
    # The other sampler's prior of nu begins at 0: 4 % of its posterior lie below 2.
    code = program.code.replace("lower=2 / prior_nu[1]", f"lower={end} / prior_nu[1]")
    code = code.replace("log_scale_prior_above(2,", f"log_scale_prior_above({end},")
    sampling = Sampling(chains=4, warmup=400, draws=700, seed=20261129)
    drawn = engine.sample(replace(program, code=code), data, sampling).variables
    theta = drawn["theta"] - drawn["beta"][:, :, None]
    own = {"beta[intercept]": drawn["beta"][..., 0], "beta[days]": drawn["beta"][..., 1],
           "tau[intercept]": drawn["tau"][..., 0], "tau[days]": drawn["tau"][..., 1], "sigma": drawn["sigma"],
           "nu": drawn["nu"]}  # fmt: skip
    subjects = list(table.pooled.labels)
    for name in OTHER["deviations"]:
        kind, _, label = name.rstrip("]").partition("[")
        own[name] = theta[:, :, subjects.index(label), 0 if kind == "subject_intercept" else 1]
    z = {}
    for name, theirs in (OTHER["parameters"] | OTHER["deviations"]).items():
        error = float(az.mcse(own[name], chain_axis=0, draw_axis=1, method="mean"))
        z[f"mean of {name}"] = abs(own[name].mean() - theirs["mean"]) / np.hypot(error, theirs["mcse_mean"])
        for q in (0.05, 0.5, 0.95) if "q50" in theirs else ():
            error = float(az.mcse(own[name], chain_axis=0, draw_axis=1, method="quantile", prob=q))
            key = f"q{round(100 * q):02d}"
            z[f"{key} of {name}"] = abs(np.quantile(own[name], q) - theirs[key]) / np.hypot(
                error, theirs[f"mcse_{key}"]
            )
    worst = max(z, key=lambda name: z[name])
    return float(z[worst]), worst


def test_the_posterior_is_that_of_another_sampler_where_the_prior_begins_at_0(stanli: Engine) -> None:
    assert largest_z(stanli, "0")[0] < MOST


def test_the_comparison_sees_where_the_prior_begins(stanli: Engine) -> None:
    z, name = largest_z(stanli, "2")
    assert z > MOST
    assert name in {"mean of nu", "q05 of nu", "q50 of nu"}


@cache
def fitted(engine: Engine, text: str) -> Fit:
    return fit(STUDENT, table_of(), "partial_pooling", priors={"nu": text}, sampling=SHORT, engine=engine)


@cache
def engine_once() -> Engine:
    return StanliEngine()


@pytest.fixture
def sleep_fits(stanli: Engine) -> dict[str, Fit]:
    """Partial pooling of sleepstudy, with nu learnt, and with nu given."""
    assert stanli.name == engine_once().name
    return {text: fitted(engine_once(), text) for text in ("gamma(2, 0.1)", "fixed(4)")}


def test_known_degrees_of_freedom_are_no_stuck_chain_and_stand_in_the_draws(sleep_fits: dict[str, Fit]) -> None:
    known = sleep_fits["fixed(4)"]
    assert np.unique(known.draws("nu")["nu"]).tolist() == [4.0]
    assert "nu_raw" not in known.tree["posterior"]
    diagnosis = check(known)
    assert "nu" not in diagnosis.summary.index
    assert not [v for v in diagnosis.verdicts if v.status == "fail" and v.name in {"rhat", "draws"}]
    assert "nu" in check(sleep_fits["gamma(2, 0.1)"]).summary.index
    varied, unvaried = rivals.rivals(known, ["partial_pooling"])
    assert "nu" in unvaried
    assert not any("nu" in rival.priors for rival in varied)
    free, _ = rivals.rivals(sleep_fits["gamma(2, 0.1)"], ["partial_pooling"])
    assert {rival.priors["nu"] for rival in free if "nu" in rival.priors} == {"gamma(2, 0.2)", "gamma(2, 0.05)"}


def test_a_stuck_chain_is_still_seen_where_nothing_is_fixed(sleep_fits: dict[str, Fit]) -> None:
    stuck = sleep_fits["fixed(4)"]
    assert "nu" in stuck.priors
    same = replace(stuck, priors={**stuck.priors, "nu": sleep_fits["gamma(2, 0.1)"].priors["nu"]})
    assert any(v.status == "fail" for v in check(same).verdicts)


def test_chains_begin_where_they_mix(sleep_fits: dict[str, Fit]) -> None:
    summary = check(sleep_fits["gamma(2, 0.1)"]).summary
    assert summary["rhat"].max() < 1.02
    assert sleep_fits["gamma(2, 0.1)"].draws("nu")["nu"].min() >= 2


def test_rows_far_from_their_line_say_little(sleep_fits: dict[str, Fit]) -> None:
    fit = sleep_fits["gamma(2, 0.1)"]
    assert STUDENT.twin.row_weights is not None
    weights = STUDENT.twin.row_weights(fit.draws(), fit.data)
    assert weights is not None
    draws = fit.draws()
    z = (fit.data["y"] - eta_of(fit)) / draws["sigma"][:, None]
    exact = np.mean(draws["nu"][:, None] / (draws["nu"][:, None] + z**2), axis=0)
    np.testing.assert_allclose(weights, exact, rtol=1e-10)
    # Subject 332 on day 6 and 308 on days 4 to 6 are known for their distance from a line.
    frame = pd.read_csv(ORACLE / "sleepstudy.csv", dtype={"subject": str})
    lowest = frame.assign(weight=weights).nsmallest(4, "weight")
    assert ("332", 6) in set(zip(lowest["subject"], lowest["days"], strict=True))
    assert lowest["weight"].max() < 0.2 < np.median(weights)
    normal = family("normal")
    assert normal.twin.row_weights is not None
    assert normal.twin.row_weights(draws, fit.data) is None


def eta_of(fit: Fit) -> np.ndarray:
    """The mean of each row at each draw, from theta alone: both columns vary between subjects."""
    draws = fit.draws()
    return np.asarray(np.einsum("snk,nk->sn", draws["theta"][:, fit.table.pooled.level], fit.data["Z"]))


def test_groups_are_left_out_by_integrals_that_are_close_enough(sleep_fits: dict[str, Fit]) -> None:
    groups = logo(sleep_fits["gamma(2, 0.1)"])
    assert groups is not None
    assert groups.quadrature is not None
    assert groups.quadrature < QUADRATURE_MATTERS
