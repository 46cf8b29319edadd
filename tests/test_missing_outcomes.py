"""Missing outcomes: integrals by quadrature, delta = 0 beside regressions that ignore them, a trial and its truth.

The trial is data/kidney_trial; its truth, outcomes of lost patients included, is in truth.csv.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from faults import example
from scipy import integrate, stats
from scipy.special import log_ndtr, ndtr
from test_cli import hbm

from hbm_stan.agreement import compare_draws
from hbm_stan.attempts import run_attempts
from hbm_stan.automatic import fit
from hbm_stan.compare import compare
from hbm_stan.data import Dataset
from hbm_stan.engines import Engine, Sampling
from hbm_stan.errors import DataError, ModelError
from hbm_stan.examples import analyses
from hbm_stan.families import family
from hbm_stan.families.missing_outcomes import density, left_out
from hbm_stan.families.missing_outcomes.columns import at_level, default_sweep, indicator
from hbm_stan.families.missing_outcomes.estimand import ALL, rows_of
from hbm_stan.families.missing_outcomes.given_rows import given_rows
from hbm_stan.fit import Fit, prepare_table
from hbm_stan.identity import data_hash
from hbm_stan.model import Estimand, Evidence
from hbm_stan.new_rows.condition import Conditioned, condition
from hbm_stan.new_rows.contrast import contrast
from hbm_stan.new_rows.new_groups import read_condition
from hbm_stan.new_rows.predict import predict
from hbm_stan.new_rows.refit import job_with
from hbm_stan.plots import plot_tipping, save_svg
from hbm_stan.repair import refit_without
from hbm_stan.sensitivity.tipping import row_of, side_of, tips_of
from hbm_stan.sensitivity.unseen import _nodes, unseen
from hbm_stan.sensitivity.unseen_words import finding_of, sentences
from hbm_stan.store import FitStore
from hbm_stan.verify.programs import log_density

MODEL = family("missing_outcomes")
SEED = 20261121
DATA = Path(__file__).parents[1] / "data" / "kidney_trial"
FRAME = pd.DataFrame({
    "ward": list("bacbacabcbaccab"), "arm": ["new", "old"] * 7 + ["new"],
    "y": [2.1, np.nan, 3.3, 0.4, 1.9, np.nan, 2.8, 1.0, 4.1, np.nan, 0.7, 2.2, np.nan, 1.6, 2.5],
})  # fmt: skip


def of_frame(frame: pd.DataFrame = FRAME, missing: Any = None, **roles: Any) -> Dataset:
    roles = {"group": "ward", "outcome": "y", "predictors": ["arm"], "reference": {"arm": "old"}} | roles
    return Dataset.from_frame(frame, missing=missing, **{role: given for role, given in roles.items() if given})


def data_of(dataset: Dataset, variant: str = "partial_pooling") -> dict[str, Any]:
    table = prepare_table(MODEL, dataset)
    return MODEL.stan_data(table, MODEL.priors(table), variant)


def under(dataset: Dataset, **assumed: Any) -> Dataset:
    """The same rows under other assumptions."""
    reading = dataset.reading
    assert reading.missing is not None
    return replace(dataset, reading=replace(reading, missing=replace(reading.missing, **assumed)))


def some_draws(data: dict[str, Any], size: int = 6) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(SEED)
    return {
        "mu": rng.normal(2, 1, size), "tau": rng.uniform(0.3, 2, size), "sigma": rng.uniform(0.7, 2, size),
        "beta": rng.normal(0, 1, (size, data["K"] - 1)), "eta": rng.normal(-0.4, 0.6, (size, data["K"])),
        "theta": rng.normal(2, 1, (size, data["J"])),
    }  # fmt: skip


def example_data(**assumed: Any) -> dict[str, Any]:
    table = example("missing_outcomes")
    table = replace(table, dataset=under(table.dataset, **assumed))
    return MODEL.stan_data(table, MODEL.priors(table), "partial_pooling")


# Integrals


@pytest.mark.parametrize("delta", [-0.45, 0.0, 1.3])
def test_the_density_of_a_group_is_an_integral_over_its_value(delta: float) -> None:
    data = example_data(delta=delta, rows="")
    draws = some_draws(data)
    ours = left_out.group_log_lik(draws, data)
    x, x_unseen = np.asarray(data["X"]), np.asarray(data["X_unseen"])
    for s, j in ((0, 0), (3, 4), (5, 8)):
        one = {name: values[s] for name, values in draws.items()}
        own, other = data["group_idx"] == j + 1, data["group_idx_unseen"] == j + 1

        def log_density(theta: float, one: Any = one, own: Any = own, other: Any = other) -> float:
            mean = theta + x[own, 1:] @ one["beta"]
            total = stats.norm.logpdf(theta, one["mu"], one["tau"])
            total += stats.norm.logpdf(data["y"][own], mean, one["sigma"]).sum()
            total += log_ndtr(-(x[own] @ one["eta"] + delta * (data["y"][own] - data["y_centre"]))).sum()
            for row in x_unseen[other]:  # what nobody saw is integrated out by brute force, not by a closed form
                m = theta + row[1:] @ one["beta"]
                ys = np.linspace(m - 9 * one["sigma"], m + 9 * one["sigma"], 801)
                p = stats.norm.pdf(ys, m, one["sigma"]) * ndtr(row @ one["eta"] + delta * (ys - data["y_centre"]))
                total += math.log(np.trapezoid(p, ys))
            return float(total)

        thetas = np.linspace(one["mu"] - 8 * one["tau"], one["mu"] + 8 * one["tau"], 1201)
        logs = np.array([log_density(t) for t in thetas])
        brute = logs.max() + math.log(np.trapezoid(np.exp(logs - logs.max()), thetas))
        assert ours[s, j] == pytest.approx(brute, abs=2e-6)


def test_too_few_nodes_are_seen() -> None:
    data = example_data(delta=-3.0, rows="")
    draws = some_draws(data)
    fine = left_out.finer_group_log_lik(draws, data)
    assert fine is not None
    assert np.abs(left_out.group_log_lik(draws, data) - fine).max() < 1e-4
    assert np.abs(left_out.group_log_lik(draws, data, nodes=2) - fine).max() > 0.01


def test_outcomes_of_seen_rows_have_the_mean_and_the_distribution_of_those_that_were_not_taken_out() -> None:
    """Given that a row is seen, against rejection and against quadrature; the planted fault: no selection at all."""
    data = example_data(delta=-0.9)
    draws = {name: np.repeat(values[:1], 40_000, axis=0) for name, values in some_draws(data).items()}
    rng = np.random.default_rng(SEED)
    y = density.simulate(rng, draws, data)
    free = density.simulate(rng, draws, {**data, "given_seen": 0})
    mean = density.mean_of_rows({k: v[:1] for k, v in draws.items()}, data)[0]
    d = density.slope_of(data, np.asarray(data["X"]))
    assert (d != 0).any()
    assert (d == 0).any()
    for n in (*np.flatnonzero(d)[:3], *np.flatnonzero(d == 0)[:1]):
        a = np.asarray(data["X"][n]) @ draws["eta"][0]
        m = draws["theta"][0, data["group_idx"][n] - 1] + np.asarray(data["X"][n, 1:]) @ draws["beta"][0]
        weight = lambda v, a=a, n=n: ndtr(-(a + d[n] * (v - data["y_centre"])))  # noqa: E731
        p = lambda v, m=m, w=weight: stats.norm.pdf(v, m, draws["sigma"][0]) * w(v)  # noqa: E731
        span = (m - 9 * draws["sigma"][0], m + 9 * draws["sigma"][0])
        whole = integrate.quad(p, *span)[0]
        exact = integrate.quad(lambda v: v * p(v), *span)[0] / whole  # noqa: B023
        assert mean[n] == pytest.approx(exact, abs=1e-7)
        seen = free[rng.uniform(size=len(free)) < weight(free[:, n]), n]
        assert stats.ks_2samp(y[:, n], seen).pvalue > 1e-4
        assert abs(y[:, n].mean() - exact) < 4.5 * y[:, n].std() / 200
        if d[n]:
            assert stats.ks_2samp(y[:, n], free[:, n]).pvalue < 1e-6
    # Unseen rows are on the other side: both means weigh up to that of all rows.
    x, one = np.asarray(data["X"]), {k: v[:1] for k, v in draws.items()}
    fitted = density.fitted(one["theta"][:, data["group_idx"] - 1], one, x)
    seen_shift, unseen_shift = density.shift(one, data, x, fitted)
    share = ndtr(density.probit_unseen(one, data, x, fitted))
    np.testing.assert_allclose(share * unseen_shift + (1 - share) * seen_shift, 0, atol=1e-9)


@pytest.mark.parametrize("variant", [v.name for v in MODEL.programs.variants])
def test_programs_take_a_table_without_predictors(variant: str) -> None:
    """Empty vectors with an offset and a multiplier had no log density on the embedded engine."""
    frame = FRAME.drop(columns="arm")
    table = prepare_table(MODEL, of_frame(frame, missing="selection", predictors=None, reference=None))
    truth_of = log_density(MODEL, table, variant)
    assert truth_of.status == "pass", truth_of


def test_raw_estimates_are_least_squares_with_a_column_for_each_group() -> None:
    data = example_data()
    raw, se = left_out.raw(data)
    dummies = (data["group_idx"][:, None] == np.arange(1, data["J"] + 1)).astype(float)
    x = np.hstack([dummies, np.asarray(data["X"])[:, 1:]])
    b, rss, *_ = np.linalg.lstsq(x, data["y"], rcond=None)
    variance = float(rss[0]) / (len(x) - x.shape[1])
    np.testing.assert_allclose(raw, b[: data["J"]], rtol=1e-9)
    np.testing.assert_allclose(se, np.sqrt(variance * np.diag(np.linalg.inv(x.T @ x)))[: data["J"]], rtol=1e-9)


def test_drawn_tables_have_the_outcomes_and_the_unseen_rows_of_the_truth() -> None:
    table = example("missing_outcomes")
    data = MODEL.stan_data(table, MODEL.priors(table), "partial_pooling")
    truth = {name: values[:1] for name, values in some_draws(data).items()}
    x, group = rows_of(data)
    mean = density.fitted(truth["theta"][:, group], truth, x)
    expected = float(ndtr(density.probit_unseen(truth, data, x, mean)).sum())
    rng, counts = np.random.default_rng(SEED), []
    for _ in range(400):
        try:
            drawn = density.drawn_table(rng, truth, table, data)
        except DataError:  # where no row of a group is seen
            continue
        assert drawn.unseen is not None
        assert drawn.n_rows + drawn.unseen.n_rows == len(x)
        assert drawn.pooled.labels == table.pooled.labels
        counts.append(drawn.unseen.n_rows)
    assert abs(np.mean(counts) - expected) < 4.5 * np.std(counts) / math.sqrt(len(counts)) + 0.3  # refusals bend it


# A delta of 0 is the model that ignores what is missing


def test_at_a_delta_of_zero_the_density_is_that_of_the_regression_of_seen_rows() -> None:
    """Exactly, with theta integrated out on both sides; the planted fault is a delta of 0.01."""
    table = example("missing_outcomes")
    seen = Dataset.from_frame(
        pd.DataFrame({
            "g": table.pooled.row_labels, "y": table["outcome"], "new": table.predictors["predictors"].values[:, 0],
            "x": table.predictors["predictors"].values[:, 1],
        }), group="g", outcome="y", predictors=["new", "x"],
    )  # fmt: skip
    regression = family("linear_regression")
    plain = prepare_table(regression, seen)
    priors = {"mu[intercept]": "normal(1, 4)", "mu[new]": "normal(0, 3)", "mu[x]": "normal(0, 2)"}
    priors |= {"tau[intercept]": "half_normal(2)", "sigma": "half_normal(2)"}
    same = {"mu": "normal(1, 4)", "beta[arm=new]": "normal(0, 3)", "beta[x]": "normal(0, 2)", "tau": "half_normal(2)"}
    same |= {"sigma": "half_normal(2)"}
    variant = "partial_pooling_intercept"
    theirs = regression.stan_data(plain, regression.priors(plain, priors), variant)

    def apart(delta: float) -> np.ndarray:
        own = replace(table, dataset=under(table.dataset, delta=delta))
        data = MODEL.stan_data(own, MODEL.priors(own, same), "partial_pooling")
        draws, log_joint = some_draws(data), regression.twin.log_joint
        assert log_joint is not None
        difference = []
        for s in range(6):
            one = {name: values[s] for name, values in draws.items()}
            params = {
                "mu": np.array([one["mu"], *one["beta"]]), "tau": np.array([one["tau"], 0.0, 0.0]),
                "sigma": one["sigma"], "gamma": np.zeros(0),
            }  # fmt: skip
            alone = {name: values[s : s + 1] for name, values in draws.items()}
            whole = left_out.group_log_lik(alone, data).sum()
            seen_rows = density.log_being_seen(alone, data).sum()
            unseen = log_ndtr(np.asarray(data["X_unseen"]) @ one["eta"]).sum()
            prior = stats.norm.logpdf(params["mu"], [1, 0, 0], [4, 3, 2]).sum()
            prior += stats.halfnorm.logpdf(one["tau"], 0, 2) + stats.halfnorm.logpdf(one["sigma"], 0, 2)
            difference.append(whole + prior - seen_rows - unseen - log_joint(params, theirs, variant))
        return np.array(difference)

    np.testing.assert_allclose(apart(0.0), 0, atol=1e-9)
    assert np.abs(apart(0.01)).max() > 1e-4


def test_at_a_delta_of_zero_both_forms_have_the_same_draws_and_no_shift_moves_them(stanli: Engine) -> None:
    settings = {"sampling": Sampling(draws=200, warmup=200, seed=5), "engine": stanli}
    base = of_frame(missing={"form": "selection", "delta": 0.0})
    one = fit(MODEL.name, base, "partial_pooling", **settings).draws()
    for missing in ({"form": "pattern_mixture", "delta": 0.0}, {"form": "pattern_mixture", "delta": -2.0}):
        other = fit(MODEL.name, of_frame(missing=missing), "partial_pooling", **settings).draws()
        assert all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("predictors", [["arm"], []])
def test_at_a_delta_of_zero_the_fit_is_that_of_a_regression(stanli: Engine, predictors: list[str]) -> None:
    """Beside linear_regression and, without predictors, grouped_normal; the fault: the same rows under a delta."""
    name, variant = ("linear_regression", "partial_pooling_intercept") if predictors else ("grouped_normal", None)
    settings = {"sampling": Sampling(draws=2500, seed=SEED), "engine": stanli}
    tau = "tau[intercept]" if predictors else "tau"
    mu = "mu[intercept]" if predictors else "mu"
    same = {"mu": "normal(2, 3)", "tau": "half_normal(1)", "sigma": "half_normal(1)"}
    theirs = {mu: same["mu"], tau: same["tau"], "sigma": same["sigma"]}
    if predictors:
        same["beta[arm=new]"] = theirs["mu[arm=new]"] = "normal(0, 1)"
    seen = of_frame(FRAME.dropna(), predictors=predictors, reference={"arm": "old"} if predictors else None)
    plain = fit(name, seen, variant or "partial_pooling", priors=theirs, **settings)
    names = ["mu", "tau", "sigma", *(f"theta[{j}]" for j in range(3)), *predictors]

    def of(result: Fit) -> np.ndarray:
        d = result.draws()
        regression = result.family.name == "linear_regression"
        rows = [d["mu"][:, 0], d["tau"][:, 0]] if regression else [d["mu"], d["tau"]]
        theta = d["theta"][:, :, 0] if regression else d["theta"]
        at = [list(result.table.pooled.labels).index(g) for g in "abc"]
        rows += [d["sigma"], *theta[:, at].T]
        if predictors:
            rows.append(d["mu"][:, 1] if regression else d["beta"][:, 0])
        return np.stack(rows).reshape(len(rows), 4, -1)

    def ours(delta: float) -> np.ndarray:
        missing = {"form": "selection", "delta": delta}
        dataset = of_frame(missing=missing, predictors=predictors, reference={"arm": "old"} if predictors else None)
        return of(fit(MODEL.name, dataset, "partial_pooling", priors=same, **settings))

    assert compare_draws(names, ours(0.0), of(plain)).agrees
    assert not compare_draws(names, ours(-1.5), of(plain)).agrees


# What is concluded


def evidence_of(dataset: Dataset, draws: dict[str, np.ndarray] | None = None) -> Evidence:
    table = prepare_table(MODEL, dataset)
    data = MODEL.stan_data(table, MODEL.priors(table), "partial_pooling")
    given = some_draws(data) if draws is None else draws
    rng = np.random.default_rng(SEED)
    return Evidence(variant="partial_pooling", draws=given, data=data, table=table, options={}, rng=rng)


def estimand_of(dataset: Dataset, delta: np.ndarray | None = None) -> Estimand:
    assert MODEL.words.estimand is not None
    return MODEL.words.estimand(evidence_of(dataset), delta)


CONTRAST = "arm = new - arm = old"


def test_the_difference_over_all_rows_is_that_of_all_rows_one_by_one() -> None:
    evidence = evidence_of(of_frame(missing={"form": "pattern_mixture", "contrast": CONTRAST, "rows": "arm = new"}))
    draws, data = evidence.draws, evidence.data
    delta = np.array([-2.0, -1.0, 0.0, 0.5, 1.0, 3.0])
    group = np.concatenate([data["group_idx"], data["group_idx_unseen"]]) - 1
    means = np.zeros((2, 6))
    for s in range(6):
        for arm in (0, 1):
            p = ndtr(draws["eta"][s, 0] + draws["eta"][s, 1] * arm)
            rows = [draws["theta"][s, j] + draws["beta"][s, 0] * arm + p * delta[s] * arm for j in group]
            means[arm, s] = np.mean(rows)
    ours = estimand_of(evidence.table.dataset, delta)
    np.testing.assert_allclose(ours.values, means[1] - means[0])
    np.testing.assert_allclose(ours.parts["arm = old"], means[0])
    np.testing.assert_allclose(ours.gap, delta)
    # In a selection model the regression is of all rows: the difference is its coefficient, whatever delta is.
    selects = estimand_of(of_frame(missing={"form": "selection", "delta": -0.7, "contrast": CONTRAST}))
    np.testing.assert_allclose(selects.values, draws["beta"][:, 0])
    assert (selects.gap < 0).all()
    assert selects.name == CONTRAST
    whole = estimand_of(of_frame(missing={"form": "selection", "delta": -0.7}))
    share = np.bincount(group, minlength=3) / 15
    arms = np.concatenate([data["X"][:, 1], data["X_unseen"][:, 1]])
    np.testing.assert_allclose(whole.values, draws["theta"] @ share + draws["beta"][:, 0] * arms.mean())
    assert whole.name == ALL


def test_rows_are_named_by_a_level_of_a_category_or_by_0_and_1() -> None:
    table = prepare_table(MODEL, of_frame())
    np.testing.assert_array_equal(indicator(table, "arm", "old", "rows"), [1, -1])
    np.testing.assert_array_equal(indicator(table, "arm", "new", "rows"), [0, 1])
    three = of_frame(FRAME.assign(arm=list("uvwuvwuvwuvwuvw")), reference={"arm": "u"})
    other = prepare_table(MODEL, three)
    np.testing.assert_array_equal(indicator(other, "arm", "u", "rows"), [1, -1, -1])
    np.testing.assert_array_equal(at_level(np.ones((2, 3)), other, "arm", "w"), [[1, 0, 1]] * 2)
    numeric = FRAME.assign(arm=(FRAME["arm"] == "new").astype(int))
    numbers = prepare_table(MODEL, of_frame(numeric, reference=None))
    np.testing.assert_array_equal(indicator(numbers, "arm", "0", "rows"), [1, -1])
    np.testing.assert_array_equal(at_level(np.zeros((1, 2)), numbers, "arm", "1"), [[0, 1]])


def rows_at(deltas: Any, centre: Any, threshold: float = 0.0, broken: Any = ()) -> list[Any]:
    """Rows whose estimate is normal about ``centre(delta)``; its 90 % interval is 1.645 wide on each side."""
    z = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    estimands = [
        None if d in broken else Estimand(name="e", values=centre(d) + z, parts={}, gap=2 * d + 0 * z) for d in deltas
    ]
    return [row_of(float(d), e, threshold) for d, e in zip(deltas, estimands, strict=True)]


def test_a_conclusion_tips_where_the_end_of_its_interval_crosses_the_threshold() -> None:
    deltas, low = np.arange(-4, 5), stats.norm.ppf(0.95)
    tips = tips_of(rows_at(deltas, lambda d: 3 + d), 0.0)
    assert tips.below == pytest.approx(low - 3, abs=1e-3)
    assert tips.gap_below == pytest.approx(2 * (low - 3), abs=2e-3)
    assert math.isnan(tips.above)
    assert not tips.stopped
    # Below the threshold, another threshold, and no conclusion at 0, which comes on either side.
    assert tips_of(rows_at(deltas, lambda d: -3 + d), 0.0).above == pytest.approx(3 - low, abs=1e-3)
    assert tips_of(rows_at(deltas, lambda d: 3 + d, 1.0), 1.0).below == pytest.approx(low - 2, abs=1e-3)
    both = tips_of(rows_at(deltas, lambda d: 1.0 * d), 0.0)
    assert (both.below, both.above) == pytest.approx((-low, low), abs=1e-3)
    # Nothing is read off across a fit that failed.
    stopped = tips_of(rows_at(deltas, lambda d: 3 + d, broken=(-1,)), 0.0)
    assert math.isnan(stopped.below)
    assert stopped.stopped
    assert [side_of(0.1, 1, 0), side_of(-2, -1, 0), side_of(-1, 1, 0)] == ["above", "below", "open"]


@cache
def trial(engine: Engine, name: str = "kidney_trial_shift", **_: Any) -> Fit:
    analysis = analyses()[name]
    return fit(MODEL.name, analysis.dataset, "partial_pooling", sampling=Sampling(seed=SEED), engine=engine)


def truth() -> pd.Series:
    rows = pd.read_csv(DATA / "truth.csv")
    return rows.set_index(["name", "of"])["value"]


def test_ignoring_lost_patients_concludes_what_is_not_true_and_a_sweep_shows_it(stanli: Engine, tmp_path: Path) -> None:
    """Without losses arms differ by 0.2; those seen by 2.9. The drug does nothing."""
    told = truth()
    frame = pd.read_csv(DATA / "data.csv")
    lost = told["y"]
    whole = frame.set_index("patient")["change"].fillna(lost)
    means = whole.groupby(frame.set_index("patient")["arm"]).mean()
    for arm in ("drug", "placebo"):
        assert means[arm] == pytest.approx(told["mean", arm], abs=0.01)
    swept = unseen(trial(stanli), FitStore(tmp_path))
    assert swept is not None
    at_zero = next(row for row in swept.rows if row.delta == 0)
    assert at_zero.side == "above"
    assert at_zero.q05 > told["beta", "arm=drug"] + 1
    # By hand: completed with a shift, the difference of means of arms moves by the share that is lost in one of them.
    share = frame.loc[frame["arm"] == "drug", "change"].isna().mean()
    slope = np.polyfit([row.delta for row in swept.rows], [row.q50 for row in swept.rows], 1)[0]
    assert slope == pytest.approx(share, abs=0.02)
    assert -6 < swept.tips.below < -4
    assert math.isnan(swept.tips.above)
    # The tip is where the interval itself ends at 0, found between deltas.
    near = estimand_at(trial(stanli), swept.tips.below)
    assert abs(np.quantile(near.values, 0.05)) < 0.05
    first = sentences(swept)[0]
    assert "that conclusion no longer holds from delta = -4" in first
    assert "(of arm = drug) lie 4" in first


def estimand_at(result: Fit, delta: float) -> Estimand:
    assert MODEL.words.estimand is not None
    evidence = Evidence(
        variant=result.variant, draws=result.draws(), data=result.data, table=result.table, options={},
        rng=np.random.default_rng(1),
    )  # fmt: skip
    return MODEL.words.estimand(evidence, np.full(result.n_draws, delta))


def test_at_the_true_delta_the_selection_form_covers_the_truth(stanli: Engine) -> None:
    told, analysis = truth(), analyses()["kidney_trial"]
    dataset = under(analysis.dataset, delta=told["delta", "arm = drug"])
    draws = fit(MODEL.name, dataset, "partial_pooling", sampling=Sampling(seed=SEED), engine=stanli).draws()
    for name, value in (
        ("beta", told["beta"].to_numpy()), ("mu", told["mu"].to_numpy()[0]), ("sigma", told["sigma"].to_numpy()[0]),
        ("tau", told["tau"].to_numpy()[0]),
    ):  # fmt: skip
        low, high = np.quantile(draws[name], (0.005, 0.995), axis=0)
        assert (low < value).all(), name
        assert (value < high).all(), name


def test_a_sweep_of_a_selection_is_of_refits_and_kept(stanli: Engine, tmp_path: Path) -> None:
    missing = {
        "form": "selection", "delta": -0.3, "sweep": [-0.6, -0.3], "contrast": CONTRAST, "prior": "normal(-0.3, 0.1)",
    }  # fmt: skip
    dataset = of_frame(missing=missing)
    result = fit(MODEL.name, dataset, "partial_pooling", sampling=Sampling(seed=SEED), engine=stanli)
    notes: list[str] = []
    swept = unseen(result, FitStore(tmp_path), notes.append)
    assert swept is not None
    assert [row.delta for row in swept.rows] == [-0.6, -0.3, 0.0]
    by_delta = {row.delta: row for row in swept.rows}
    assert by_delta[-0.3].q50 == pytest.approx(np.median(result.draws("beta")["beta"]))  # that of the fit itself
    other = fit(MODEL.name, under(dataset, delta=-0.6), "partial_pooling", sampling=Sampling(seed=7), engine=stanli)
    beta = other.draws("beta")["beta"][:, 0]
    assert abs(by_delta[-0.6].q50 - np.median(beta)) < 0.15 * beta.std()
    assert by_delta[-0.6].gap < by_delta[-0.3].gap < by_delta[0.0].gap == 0
    over = swept.over_prior
    assert over is not None
    assert over.n_draws == 11 * 4000
    low, high = sorted((by_delta[-0.6].q50, by_delta[0.0].q50))
    assert low - 0.1 < over.q50 < high + 0.1
    fits = len(notes)
    again = unseen(result, FitStore(tmp_path), notes.append)
    assert again is not None
    assert json.dumps(again.as_dict()) == json.dumps(swept.as_dict())
    assert len(notes) == fits


def test_slices_of_a_prior_have_its_mean_and_its_sd_and_a_shift_has_it_exactly(stanli: Engine, tmp_path: Path) -> None:
    nodes = np.array(_nodes(-3, 0.4))
    assert (nodes.mean(), nodes.std()) == pytest.approx((-3, 0.4), abs=1e-8)  # to nine digits
    swept = unseen(trial(stanli), FitStore(tmp_path))  # prior normal(-3, 2)
    assert swept is not None
    assert swept.over_prior is not None
    result = trial(stanli)
    p = ndtr(result.draws("eta")["eta"] @ np.array([1.0, 1.0, 0.0])).mean()
    base = estimand_at(result, -3.0).values
    assert swept.over_prior.q50 == pytest.approx(np.median(base), abs=0.06)
    width = (swept.over_prior.q95 - swept.over_prior.q05) / (2 * 1.645)
    assert width == pytest.approx(math.hypot(base.std(), 2 * p), rel=0.05)


def test_a_sweep_is_a_table_and_a_figure(stanli: Engine, tmp_path: Path) -> None:
    swept = unseen(trial(stanli), FitStore(tmp_path))
    assert swept is not None
    finding = finding_of(swept)
    assert finding.table is not None
    assert set(finding.table["conclusion"]) == {"below 0", "open", "above 0", "above 0*"}
    assert (finding.table["conclusion"] == "above 0*").sum() == 1
    assert finding.sweep is not None
    svg = save_svg(plot_tipping(finding.sweep, finding.x_label, finding.y_label))
    without = save_svg(plot_tipping(finding.sweep.assign(tips=[[]] * len(finding.sweep))))
    assert len(svg) > len(without)  # the line where it tips, and its words
    assert type(swept).of_dict(json.loads(json.dumps(swept.as_dict()))).tips.below == swept.tips.below


# Leaving out, and prediction


def test_rows_and_groups_left_out_score_as_their_refits_do(stanli: Engine) -> None:
    table = example("missing_outcomes")
    dataset = table.dataset
    settings = {"sampling": Sampling(draws=2000, seed=SEED), "engine": stanli}
    fits = {v: fit(MODEL.name, dataset, v, **settings) for v in ("partial_pooling", "complete_pooling")}
    result = fits["partial_pooling"]
    rows, groups = compare(fits), compare(fits, target="group")
    rng = np.random.default_rng(1)
    for n in (3, 30):
        refit = refit_without(result, [n])
        assert refit.data["N_unseen"] == result.data["N_unseen"]
        draws = refit.draws()
        score = density.pointwise(draws, result.data)[:, n]
        error = 4.5 * np.exp(score).std() / np.exp(score).mean() / math.sqrt(1000)
        assert abs(rows.pointwise["partial_pooling"].elpd_i[n] - math.log(np.exp(score).mean())) < error + 0.02
    j = 2
    refit = refit_without(result, np.flatnonzero(result.table.pooled.level == j))
    assert refit.data["J"] == result.data["J"] - 1
    assert refit.data["N_unseen"] < result.data["N_unseen"]
    draws = refit.draws()
    theta = rng.normal(draws["mu"], draws["tau"])[:, None] + np.zeros((1, result.data["J"]))
    given = {**draws, "theta": theta}
    own = density.pointwise(given, result.data)[:, result.table.pooled.level == j].sum(axis=1)
    own = own + density.beside_rows(given, result.data)[:, j]
    error = 4.5 * np.exp(own).std() / np.exp(own).mean() / math.sqrt(len(own))
    assert abs(groups.pointwise["partial_pooling"].elpd_i[j] - math.log(np.exp(own).mean())) < error + 0.05


def test_rows_of_known_and_of_new_groups_are_predicted_seen_or_not(stanli: Engine) -> None:
    settings = {"sampling": Sampling(draws=1000, seed=1), "engine": stanli}
    rows = pd.DataFrame({"ward": ["a", "zz"], "arm": ["new", "old"]})
    shifted = fit(MODEL.name, of_frame(missing={"delta": -2.0, "rows": "arm = new"}), "partial_pooling", **settings)
    draws = shifted.draws()
    prediction = predict(shifted, rows, groups={"ward": ["zz"]})
    expected = prediction.draws["expected"].values.reshape(-1, 2)
    j = list(shifted.table.pooled.labels).index("a")
    p = ndtr(draws["eta"].sum(axis=1))
    np.testing.assert_allclose(expected[:, 0], draws["theta"][:, j] + draws["beta"][:, 0] - 2 * p)
    assert expected[:, 1].std() > draws["mu"].std()
    asked = contrast(shifted, CONTRAST)
    assert asked.table["mean"].iloc[0] == pytest.approx((draws["beta"][:, 0] - 2 * p).mean(), rel=1e-9)
    selected = fit(MODEL.name, of_frame(missing={"form": "selection", "delta": -0.8}), "partial_pooling", **settings)
    draws = selected.draws()
    new = predict(selected, rows, groups={"ward": ["zz"]}).draws
    np.testing.assert_allclose(
        new["expected"].values.reshape(-1, 2)[:, 0], draws["theta"][:, j] + draws["beta"][:, 0]
    )  # of any row, though those that are seen lie higher


# New groups given their rows
@cache
def wards() -> pd.DataFrame:
    """Sixteen wards, low outcomes of which go unseen more often; the last two are to be new."""
    rng = np.random.default_rng(SEED)
    effect = dict(zip((f"w{j}" for j in range(16)), rng.normal(0, 1, 16), strict=True))
    frame = pd.DataFrame({"ward": np.repeat(list(effect), rng.integers(5, 16, 16)), "arm": "old"})
    frame.loc[rng.uniform(size=len(frame)) < 0.5, "arm"] = "new"
    y = 2 + frame["ward"].map(effect) + 0.5 * (frame["arm"] == "new") + rng.normal(0, 1, len(frame))
    unseen = rng.normal(size=len(frame)) < 0.6 * (2 - y) - 0.5
    frame["y"] = y.round(3).mask(unseen)
    return frame


def parted(missing: dict[str, Any], engine: Engine) -> tuple[Fit, pd.DataFrame]:
    """The fit of fourteen wards, and the rows of the two others."""
    new = wards()["ward"].isin(["w14", "w15"])
    dataset = of_frame(wards()[~new].reset_index(drop=True), missing=missing)
    sampling = Sampling(warmup=500, draws=2000, seed=5)
    return fit(MODEL.name, dataset, "partial_pooling", sampling=sampling, engine=engine), wards()[new]


SELECTION, MIXTURE = {"form": "selection", "delta": -0.6}, {"form": "pattern_mixture", "delta": -1.0}


def far_from_refit(given: Conditioned, fitted: Fit, rows: pd.DataFrame, store: FitStore) -> float:
    """The largest z of means of new wards and of what all share against a fit of all rows with the same assumptions."""
    refit = run_attempts(job_with(fitted, read_condition(MODEL, fitted.variant, fitted.table, rows)), store, print)
    ours, theirs, worst = given.fit.draws(), refit.draws(), 0.0
    for name in ("mu", "tau", "sigma", "beta", "eta", "theta"):
        a, b = ours[name].reshape(len(ours[name]), -1), theirs[name].reshape(len(theirs[name]), -1)
        error = b.std(axis=0) * np.sqrt(1 / min(given.effective, 2000) + 1 / 2000)
        worst = max(worst, float(np.max(np.abs(a.mean(axis=0) - b.mean(axis=0)) / error)))
    return worst


@pytest.mark.parametrize("missing", [SELECTION, MIXTURE], ids=lambda own: own["form"])
def test_new_groups_with_rows_that_nobody_saw_are_those_of_a_fit_with_them(
    missing: dict[str, Any], stanli: Engine, tmp_path: Path
) -> None:
    fitted, rows = parted(missing, stanli)
    store, limit = FitStore(tmp_path), stats.norm.isf(1e-3 / (2 * 200))
    given = condition(fitted, rows)
    assert given.repaired is None
    assert far_from_refit(given, fitted, rows, store) < limit
    assert list(given.groups["rows"]) == list(rows.groupby("ward").size())  # seen or not
    table = predict(fitted, condition=rows).table
    assert len(table) == len(rows)
    # Planted fault: rows that nobody saw are taken for rows that are not there.
    seen = rows[rows["y"].notna()]
    assert len(seen) < len(rows)
    if missing is SELECTION:
        assert far_from_refit(condition(fitted, seen), fitted, rows, store) > limit


def test_proposals_for_a_group_with_unseen_rows_have_its_integral_and_its_moments() -> None:
    """Of each draw, many rows unseen or none: quadrature over theta of all factors, one by one."""
    rows = pd.DataFrame({
        "ward": list("aaaabbbbbb"), "arm": ["new", "old"] * 5,
        "y": [2.1, np.nan, 1.3, 0.4, 1.9, np.nan, np.nan, np.nan, np.nan, np.nan],
    })  # fmt: skip
    data = data_of(of_frame(rows, missing={"form": "selection", "delta": -1.5}))
    draws = some_draws(data, 3)
    many = {name: np.repeat(values, 4000, axis=0) for name, values in draws.items() if name != "theta"}
    given = given_rows(np.random.default_rng(1), many, data)
    theta = given.draw(np.random.default_rng(2), np.arange(12_000))["theta"].reshape(3, 4000, 2)
    log_lik = given.log_lik.reshape(3, 4000, 2)
    np.testing.assert_allclose(
        np.log(np.exp(log_lik).mean(axis=1)), left_out.group_log_lik(draws, data, 60), atol=0.02
    )  # fmt: skip
    at = np.linspace(-15, 15, 6001)
    for s in range(3):
        own = {name: np.repeat(values[[s]], len(at), axis=0) for name, values in draws.items()}
        own["theta"] = np.repeat(at[:, None], 2, axis=1)
        rest = stats.norm.logpdf(own["theta"], draws["mu"][s], draws["tau"][s]) + density.beside_rows(own, data)
        np.add.at(rest.T, np.asarray(data["group_idx"]) - 1, density.pointwise(own, data).T)
        weight = np.exp(rest - rest.max(axis=0))
        weight /= weight.sum(axis=0)
        mean = weight.T @ at
        sd = np.sqrt((weight.T @ at**2) - mean**2)
        np.testing.assert_allclose(theta[s].mean(axis=0), mean, atol=5 * float(sd.max()) / np.sqrt(3000))
        np.testing.assert_allclose(theta[s].std(axis=0), sd, rtol=0.06)


# What is refused, and what is said


def refused(make: Any) -> str:
    with pytest.raises((DataError, ModelError)) as error:
        data_of(make())
    return str(error.value)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: of_frame(FRAME.dropna()), "no outcome is missing, so that there is nothing to assume of any"),
        (lambda: of_frame(FRAME.assign(y=np.nan)), "the outcome is missing in every row"),
        (
            lambda: of_frame(FRAME.assign(y=FRAME["y"].where(FRAME["ward"] != "b"))),
            "all 5 outcomes of the group 'b' are missing. No row says where its outcomes lie",
        ),
        (lambda: of_frame(FRAME.assign(y=FRAME["y"].where(FRAME.index > 0, np.inf))), "not finite: row 1"),
        (lambda: of_frame(FRAME.assign(y=[*["lost"], *FRAME["y"][1:]])), "not a number: row 1: 'lost'"),
        (lambda: of_frame(FRAME.assign(arm=[None, *FRAME["arm"][1:]])), "column 'arm'"),
        (lambda: of_frame(FRAME.assign(ward=["", *FRAME["ward"][1:]])), "no label in row 1"),
        (lambda: of_frame(missing={"delta": math.inf}), "missing.delta must be a finite number, found inf"),
        (lambda: of_frame(missing={"sweep": [0, math.nan]}), "missing.sweep must be a finite number, found nan"),
        (lambda: of_frame(missing={"sweep": "all"}), "missing.sweep must be a list of numbers"),
        (lambda: of_frame(missing={"form": "selecting"}), "missing.form is 'selecting'. Did you mean 'selection'?"),
        (lambda: of_frame(missing={"shift": 1}), "missing: there is no key 'shift'"),
        (lambda: of_frame(missing={"rows": "arm"}), "Write column = level"),
        (lambda: of_frame(missing={"rows": "arm = neu"}), "missing.rows: 'arm' has no level 'neu'. Did you mean"),
        (lambda: of_frame(missing={"rows": "arn = new"}), "missing.rows: 'arn' is no predictor. Did you mean 'arm'?"),
        (lambda: of_frame(missing={"contrast": "arm = new"}), "Write column = level - column = level"),
        (lambda: of_frame(missing={"contrast": "arm = new - arm = new"}), "at two of its levels"),
        (lambda: of_frame(missing={"contrast": "arm = new - arm = ald"}), "missing.contrast: 'arm' has no level"),
        (lambda: of_frame(missing={"prior": "cauchy(0, 1)"}), "Prior of delta: 'cauchy' is not offered"),
        (lambda: of_frame(missing={"rows": 3}), "missing.rows must be a text"),
        (lambda: of_frame(missing=["selection"]), "missing must be a table"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_words(make: Any, words: str) -> None:
    assert words in refused(make)


def test_other_families_refuse_missing_outcomes_and_what_is_assumed_of_them() -> None:
    with pytest.raises(DataError, match="no value in row 2"):
        prepare_table(family("linear_regression"), of_frame())
    with pytest.raises(DataError, match="missing is for outcomes that are missing"):
        prepare_table(family("linear_regression"), of_frame(FRAME.dropna(), missing="selection"))


def test_many_missing_outcomes_are_warned_of_and_rows_keep_their_places() -> None:
    few = FRAME.assign(y=FRAME["y"].where(FRAME.index < 6))
    table = prepare_table(MODEL, of_frame(few))
    assert table.unseen is not None
    assert (table.n_rows, table.unseen.n_rows) == (4, 11)
    (warned,) = [v for v in table.verdicts if v.name == "missing outcomes"]
    assert "73 % of the outcomes are missing" in warned.hint
    assert any("11 of 15 rows have no outcome" in note for note in table.notes)
    assert table.row_names[1] == "row 3 (c)"  # row 2 has no outcome
    smaller = table.without([0])  # with the last outcome of a ward its unseen rows go
    assert "b" in table.pooled.labels
    assert smaller.unseen is not None
    left = set(smaller.pooled.labels)
    assert smaller.unseen.n_rows == sum(w in left for w in few.loc[few["y"].isna(), "ward"])
    np.testing.assert_array_equal(smaller.unseen.level, [smaller.pooled.labels.index(w) for w, y in zip(
        few["ward"], few["y"], strict=True) if np.isnan(y) and w in left])  # fmt: skip


def test_the_identity_of_a_posterior_has_the_unseen_rows_and_delta_in_it() -> None:
    def identity(dataset: Dataset) -> str:
        return data_hash(MODEL, "partial_pooling", prepare_table(MODEL, dataset), {})

    base = of_frame(missing={"delta": 0.0})
    shuffled = FRAME.iloc[np.random.default_rng(1).permutation(15)]
    assert identity(base) == identity(of_frame(shuffled, missing={"delta": 0.0}))
    assert identity(base) != identity(of_frame(missing={"delta": 0.1}))
    assert identity(base) != identity(of_frame(FRAME.drop(index=1), missing={"delta": 0.0}))


def test_default_deltas_are_on_the_scale_of_the_outcome() -> None:
    for scale in (1.0, 1000.0):
        frame = FRAME.assign(y=scale * FRAME["y"])
        sd = frame["y"].std()
        shifts = np.array(default_sweep(prepare_table(MODEL, of_frame(frame))))
        probits = np.array(default_sweep(prepare_table(MODEL, of_frame(frame, missing="selection"))))
        assert 0 in shifts
        assert 0 in probits
        assert 1.2 * sd < shifts.max() < 2 * sd
        assert 1.2 / sd < probits.max() < 2 / sd


# Commands


def test_a_trial_goes_from_a_csv_with_empty_cells_to_a_sweep_and_a_report(tmp_path: Path, stanli: Engine) -> None:
    FRAME.to_csv(tmp_path / "trial.csv", index=False)
    words = ("new", tmp_path / "trial.csv", "--family", "missing_outcomes", "--group", "ward", "--outcome", "y")
    words = (*words, "--predictors", "arm", "--reference", "arm=old", "--to", tmp_path / "trial")
    result = hbm(*words)
    assert result.exit_code == 0, result.output
    assert "4 of 15 rows have no outcome" in result.output
    file = tmp_path / "trial" / "analysis.toml"
    text = file.read_text()
    assert 'form = "pattern_mixture"' in text
    assert f'contrast = "{CONTRAST}"' in text
    short = ("--engine", "stanli", "--quiet")
    swept = hbm("sensitivity", tmp_path / "trial", "--engine", "stanli", "--json", tmp_path / "out.json")
    assert swept.exit_code in {0, 1}, swept.output
    if swept.exit_code == 0:
        content = json.loads((tmp_path / "out.json").read_text())
        assert content["unseen"]["name"] == CONTRAST
        assert "If missing outcomes are like seen ones" in " ".join(swept.output.split())
    report = hbm("report", tmp_path / "trial", *short)
    assert (tmp_path / "trial" / "report.pdf").read_bytes().startswith(b"%PDF"), report.output
    file.write_text(text.replace("delta = 0.0", "delta = inf"))
    wrong = hbm("check", tmp_path / "trial", *short)
    assert wrong.exit_code == 2
    assert "missing.delta must be a finite number, found inf" in " ".join(wrong.output.split())
    assert "Traceback" not in wrong.output
