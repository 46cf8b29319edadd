"""Integrals of curves: kernels against quadrature, curves against dense linear algebra, bad input, next points.

The known posterior of three short curves is in tests/oracles/known_curves.py.
"""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats
from test_cli import hbm

import hbm_stan
from hbm_stan.data import Dataset
from hbm_stan.engines import Sampling
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.errors import DataError
from hbm_stan.examples import analyses
from hbm_stan.families import family
from hbm_stan.families.gp_integral import curves, evidence, kernels, left_out, new_curves, next_point
from hbm_stan.families.gp_integral.columns import combined, raw, trapezoid
from hbm_stan.fit import Fit, prepare_table
from hbm_stan.integrals import KERNELS, Integral, make_integral

MODEL = family("gp_integral")
VARIANTS = ("complete_pooling", "no_pooling", "partial_pooling")
SEED = 20261130
KERNEL_CODES = (kernels.SQUARED_EXPONENTIAL, kernels.MATERN_32, kernels.MATERN_52)
SHORT = Sampling(warmup=400, draws=500, seed=3)


def frame(seed: int = 1, sizes: tuple[int, ...] = (6, 3, 5, 8)) -> pd.DataFrame:
    """Curves of unequal sizes at points in no order, shuffled."""
    rng = np.random.default_rng([SEED, seed])
    run = np.repeat([f"r{k}" for k in range(len(sizes))], sizes)
    x = rng.uniform(0, 2, len(run)).round(3)
    level = dict(zip(dict.fromkeys(run), rng.normal(5, 2, len(sizes)), strict=True))
    y = np.array([level[r] for r in run]) - 3 * x + np.sin(3 * x) + rng.normal(0, 0.3, len(run))
    table = pd.DataFrame({"run": run, "x": x, "y": y.round(3), "se": rng.uniform(0.2, 0.5, len(run)).round(3)})
    return table.sample(frac=1, random_state=7).reset_index(drop=True)


def of_frame(table: pd.DataFrame, **integral: Any) -> Dataset:
    roles = {"group": "run", "point": "x", "estimate": "y", "standard_error": "se"}
    return Dataset.from_frame(table, **roles, integral={"lower": 0.0, "upper": 2.0, **integral})


def data_of(dataset: Dataset, variant: str = "partial_pooling", **priors: str) -> dict[str, Any]:
    table = prepare_table(MODEL, dataset)
    return MODEL.stan_data(table, MODEL.priors(table, priors), variant)


def few_draws(data: dict[str, Any], variant: str, size: int = 3) -> dict[str, np.ndarray]:
    """Hyperparameters made by hand."""
    rng = np.random.default_rng(4)
    own = {"amplitude": rng.uniform(0.5, 2, size), "length_scale": rng.uniform(0.3, 1.5, size)}
    if variant == "no_pooling":
        return {f"{n}_group": np.stack([v * (1 + 0.1 * j) for j in range(data["J"])], axis=1) for n, v in own.items()}
    own |= {"level": rng.normal(5, 1, size)} | ({"slope": rng.normal(-5, 1, (size, 1))} if data["T"] else {})
    if variant == "complete_pooling":
        return own
    slopes = {"slope_sd": rng.uniform(0.5, 2, (size, 1))} if data["T"] else {}
    return own | slopes | {"level_sd": rng.uniform(0.5, 2, size)}


def dense(h: curves.Hyper, s: int, x: np.ndarray, data: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of a curve at points and of its integral, the covariance function integrated numerically."""
    low, high = data["limits"]
    middle, width = (low + high) / 2, high - low

    def mean(t: float) -> float:
        return float(h.level[s] + h.slope[s] * (t - middle) / width)

    def cov(t: float, u: float) -> float:
        r = float(kernels.correlation(np.array(t - u), data["kernel"], h.length_scale[s]))
        lines = h.slope_sd[s] ** 2 * (t - middle) * (u - middle) / width**2
        return float(h.level_sd[s] ** 2 + lines + h.amplitude[s] ** 2 * r)

    def area(f: Any, *breaks: float) -> float:
        inside = [b for b in breaks if low < b < high]
        return float(integrate.quad(f, low, high, points=inside or None, epsabs=1e-11, epsrel=1e-11)[0])

    n = len(x)
    m, c = np.empty(n + 1), np.empty((n + 1, n + 1))
    m[:n], m[n] = [mean(t) for t in x], area(mean)
    c[:n, :n] = [[cov(t, u) for u in x] for t in x]
    c[:n, n] = c[n, :n] = [area(lambda u, t=t: cov(t, u), t) for t in x]
    c[n, n] = area(lambda t: area(lambda u: cov(t, u), t))
    return m, c


# Kernels


@pytest.mark.parametrize("kernel", KERNEL_CODES)
@pytest.mark.parametrize("length", [0.02, 0.3, 1.0, 40.0])
@pytest.mark.parametrize("limits", [(0.0, 1.0), (-2.5, 0.7)])
def test_integrals_of_kernels_are_those_of_adaptive_quadrature(
    kernel: int, length: float, limits: tuple[float, float]
) -> None:
    low, high = limits
    ell = np.array(length)
    near = [c * length for c in (0.1, 0.3, 1, 3, 10)]

    def r(d: float) -> float:
        return float(kernels.correlation(np.array(d), kernel, ell))

    for x in (low, 0.4, high, high + 0.8, low - 0.3):  # inside, at the ends, and outside
        breaks = sorted({b for b in (x, *(x + s * d for d in near for s in (-1, 1))) if low < b < high})
        edges = [low, *breaks, high]
        known = sum(
            integrate.quad(lambda t, x=x: r(x - t), a, b, epsabs=0, epsrel=1e-12)[0] for a, b in pairwise(edges)
        )
        assert kernels.area_with(np.array(x), limits, kernel, ell) == pytest.approx(known, rel=1e-9, abs=1e-13)
    width = high - low
    edges = [0.0, *(d for d in near if d < width), width]
    twice = 2 * sum(
        integrate.quad(lambda d: (width - d) * r(d), a, b, epsabs=0, epsrel=1e-12)[0] for a, b in pairwise(edges)
    )
    assert kernels.area_of_area(limits, kernel, ell) == pytest.approx(twice, rel=1e-9)


@pytest.mark.parametrize("kernel", KERNEL_CODES)
def test_a_curve_that_hardly_turns_has_the_area_of_its_width(kernel: int) -> None:
    ell = np.array(1e4)
    assert kernels.area_of_area((0.0, 2.0), kernel, ell) == pytest.approx(4.0, rel=1e-3)
    assert kernels.area_with(np.array(0.5), (0.0, 2.0), kernel, ell) == pytest.approx(2.0, rel=1e-3)


# Curves and their integrals


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("mean", ["constant", "linear"])
def test_a_curve_and_its_integral_are_jointly_normal_as_quadrature_has_it(kernel: str, mean: str) -> None:
    data = data_of(of_frame(frame(), kernel=kernel, mean=mean))
    h = curves.hyper(few_draws(data, "partial_pooling", 2), data, 0)
    x = np.array([0.1, 1.3, 2.4])
    centre, cov = curves.joint(h, x, data)
    known_centre, known_cov = dense(h, 1, x, data)
    np.testing.assert_allclose(centre[1], known_centre, rtol=1e-9)
    np.testing.assert_allclose(cov[1], known_cov, rtol=1e-8)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("mean", ["constant", "linear"])
def test_integrals_given_rows_follow_from_all_rows_together(variant: str, mean: str) -> None:
    """Each curve and its integral as one normal, whatever the order of rows: conditioned by pseudo-inverses."""
    data = data_of(of_frame(frame(), mean=mean), variant)
    draws = few_draws(data, variant)
    centre, sd = curves.integral_given_rows(draws, data)
    density = left_out.group_log_lik(draws, data)
    x, y, se = (np.asarray(data[k], dtype=float) for k in ("x", "y", "se"))
    group = np.zeros(data["N"], dtype=int) if variant == "complete_pooling" else np.asarray(data["group_idx"]) - 1
    for s in range(3):
        total = 0.0
        for j in np.unique(group):
            own = group == j
            m, c = dense(curves.hyper(draws, data, int(j)), s, x[own], data)
            n = int(own.sum())
            noisy = c[:n, :n] + np.diag(se[own] ** 2)
            gain = c[n, :n] @ np.linalg.pinv(noisy)
            assert centre[s, j] == pytest.approx(m[n] + gain @ (y[own] - m[:n]), rel=1e-7)
            assert sd[s, j] ** 2 == pytest.approx(c[n, n] - gain @ c[:n, n], rel=1e-5)
            total += float(stats.multivariate_normal.logpdf(y[own], m[:n], noisy))
        assert density[s].sum() == pytest.approx(total, abs=1e-6)


@pytest.mark.parametrize("variant", VARIANTS)
def test_draws_of_curves_have_the_moments_of_their_integrals(variant: str) -> None:
    data = data_of(of_frame(frame()), variant)
    once = few_draws(data, variant, 1)
    many = {name: np.repeat(values, 20_000, axis=0) for name, values in once.items()}
    centre, sd = curves.integral_given_rows(once, data)
    drawn = curves.draw_curves(np.random.default_rng(5), many, data)
    z = (drawn["theta"].mean(axis=0) - centre[0]) / (sd[0] / math.sqrt(20_000))
    assert np.abs(z).max() < 4.5
    np.testing.assert_allclose(drawn["theta"].std(axis=0), sd[0], rtol=0.03)


def test_a_row_left_out_is_the_quotient_of_two_densities() -> None:
    data = data_of(of_frame(frame(), kernel="matern_32"))
    draws = few_draws(data, "partial_pooling")
    rows = left_out.loo_log_lik(draws, data, "partial_pooling")
    for n in (0, 7, 15):
        without = {k: np.delete(v, n) if np.shape(v)[:1] == (data["N"],) else v for k, v in data.items()}
        without |= {"N": data["N"] - 1}
        j = data["group_idx"][n] - 1
        quotient = left_out.group_log_lik(draws, data)[:, j] - left_out.group_log_lik(draws, without)[:, j]
        np.testing.assert_allclose(rows[:, n], quotient, atol=1e-8)


def test_replications_of_a_row_left_out_have_the_density_that_is_scored() -> None:
    data = data_of(of_frame(frame()))
    once = few_draws(data, "partial_pooling", 1)
    many = {name: np.repeat(values, 20_000, axis=0) for name, values in once.items()}
    drawn = left_out.loo_rep(np.random.default_rng(3), many, data, "partial_pooling", np.arange(data["N"]))
    density = left_out.loo_log_lik(once, data, "partial_pooling")[0]
    mean, sd = drawn.mean(axis=0), drawn.std(axis=0)
    np.testing.assert_allclose(stats.norm.logpdf(data["y"], mean, sd), density, atol=0.15)


def test_a_group_left_out_of_one_shared_curve_is_scored_given_the_others() -> None:
    data = data_of(of_frame(frame()), "complete_pooling")
    draws = few_draws(data, "complete_pooling")
    np.testing.assert_allclose(
        left_out.group_log_lik(draws, data).sum(axis=1),
        left_out.log_rows(curves.hyper(draws, data, 0), data, np.arange(data["N"])), rtol=1e-10,
    )  # fmt: skip
    given_others = left_out.group_loo_log_lik(draws, data)
    order = [*range(1, data["J"]), 0]  # the first curve as the last of the chain
    moved = {**data, "group_idx": np.array([order.index(j - 1) + 1 for j in data["group_idx"]])}
    np.testing.assert_allclose(given_others[:, 0], left_out.group_log_lik(draws, moved)[:, -1], atol=1e-8)


def test_scores_without_pooling_are_integrals_over_both_priors() -> None:
    """Draws from the priors, a hundred thousand: the mean density of a curve, and of it without a row."""
    data = data_of(of_frame(frame(sizes=(3, 4))), "no_pooling", amplitude="lognormal(0, 0.5)")
    rng = np.random.default_rng(11)
    size = 100_000
    draws = {
        f"{name}_group": np.repeat(new_curves.prior(data, name).draw(rng, size)[:, None], 2, axis=1)
        for name in ("amplitude", "length_scale")
    }
    whole = left_out.group_log_lik(draws, data)
    known = evidence.prior_group_log_lik(data, "no_pooling")
    assert known is not None
    for j in range(2):
        p = np.exp(whole[:, j])
        assert abs(np.exp(known[j]) - p.mean()) < 4.5 * p.std() / math.sqrt(size)
    rows = left_out.loo_log_lik(draws, data, "no_pooling")
    exact = evidence.exact_loo(data, "no_pooling")
    assert exact is not None
    for n in range(data["N"]):
        j = data["group_idx"][n] - 1
        without = np.exp(whole[:, j] - rows[:, n])
        estimate = np.log(np.exp(whole[:, j]).mean() / without.mean())
        assert exact[n] == pytest.approx(estimate, abs=0.05)
    assert evidence.exact_loo(data, "partial_pooling") is None


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_predicted_curve_has_the_integral_of_its_own_draw(variant: str) -> None:
    """Values at 81 new points, drawn given theta and rows, add up to theta by Simpson's rule in every draw."""
    data = data_of(of_frame(frame(), kernel="squared_exponential"), variant)
    draws = few_draws(data, variant, 40)
    drawn = {**draws, **curves.draw_curves(np.random.default_rng(2), draws, data)}
    x = np.linspace(0, 2, 81)
    new = {**data, "x": x, "N": len(x)}
    for j in (0, data["J"] - 1):
        f = new_curves.curve_at(np.random.default_rng(j), drawn, new, data, j, variant)
        np.testing.assert_allclose(integrate.simpson(f, x=x, axis=1), drawn["theta"][:, j], atol=2e-3)


def test_a_new_curve_has_the_integral_that_was_drawn_for_it() -> None:
    data = data_of(of_frame(frame(), kernel="squared_exponential", mean="linear"))
    draws = few_draws(data, "partial_pooling", 40)
    theta = new_curves.new_group(np.random.default_rng(1), draws, {**data, "J": 1}, "partial_pooling")
    x = np.linspace(0, 2, 81)
    new = {**data, "x": x, "N": len(x), "J": 1, "group_idx": np.ones(len(x), dtype=int)}
    f = new_curves.curve_at(np.random.default_rng(2), {**draws, "theta": theta}, new, data, -1, "partial_pooling")
    np.testing.assert_allclose(integrate.simpson(f, x=x, axis=1), theta[:, 0], atol=2e-3)


# Rules and next points


def test_the_trapezoid_rule_is_numpys_with_constant_ends() -> None:
    rng = np.random.default_rng(8)
    x, y = rng.uniform(0.2, 1.8, 7), rng.normal(size=7)
    order = np.argsort(x)
    known = np.trapezoid(np.r_[y[order[0]], y[order], y[order[-1]]], np.r_[0.0, x[order], 2.0])
    assert trapezoid(x, (0.0, 2.0)) @ y == pytest.approx(known, rel=1e-12)
    outside = np.array([-1.0, 0.5, 3.0])  # the line between points is cut at the limits
    line = np.interp([0.0, 0.5, 2.0], outside, [2.0, 1.0, 4.0])
    assert trapezoid(outside, (0.0, 2.0)) @ [2.0, 1.0, 4.0] == pytest.approx(np.trapezoid(line, [0.0, 0.5, 2.0]))


def test_several_estimates_at_a_point_are_their_precision_weighted_mean() -> None:
    table = frame()
    twice = pd.concat([table, table.iloc[[2, 5]].assign(y=lambda t: t["y"] + 0.1, se=0.6)], ignore_index=True)
    once = []
    for run, own in twice.groupby("run"):
        x, y, se = combined(*(own[k].to_numpy(float) for k in ("x", "y", "se")))
        once.append(pd.DataFrame({"run": run, "x": x, "y": y, "se": se}))
    both, one = data_of(of_frame(twice)), data_of(of_frame(pd.concat(once, ignore_index=True)))
    draws = few_draws(both, "partial_pooling")
    order = [sorted(set(twice["run"])).index(r) for r in dict.fromkeys(twice["run"])]
    for mine, other in zip(
        curves.integral_given_rows(draws, both), curves.integral_given_rows(draws, one), strict=True
    ):
        np.testing.assert_allclose(mine, other[:, order], rtol=1e-9)
    np.testing.assert_allclose(raw(both)[0], raw(one)[0][order], rtol=1e-12)


def test_the_expected_reduction_is_what_a_new_row_does() -> None:
    """The variance of the integral with a row more at the point, whatever its value: no formula of the update."""
    data = data_of(of_frame(frame()))
    draws = few_draws(data, "partial_pooling", 2)
    h, rows, points = curves.hyper(draws, data, 0), np.flatnonzero(data["group_idx"] == 1), np.array([0.1, 0.9, 1.7])
    less = next_point.reduction(h, data, rows, points, 0.25)
    now = curves.integral_given_rows(draws, data)[1][:, 0] ** 2
    for k, point in enumerate(points):
        more = {**data, "N": data["N"] + 1, "group_idx": np.append(data["group_idx"], 1)}
        more |= {name: np.append(data[name], v) for name, v in (("x", point), ("y", -7.0), ("se", 0.25))}
        after = curves.integral_given_rows(draws, more)[1][:, 0] ** 2
        assert less[k] == pytest.approx(float(np.mean(now - after)), rel=1e-6)


def test_the_next_point_lies_in_the_largest_gap() -> None:
    table = pd.DataFrame({"run": "a", "x": [0.0, 0.2, 0.4, 1.6, 1.8, 2.0], "y": [1.0, 2, 1, 2, 1, 2], "se": 0.1})
    table = pd.concat([table, table.assign(run="b", x=table["x"] * 0.9)], ignore_index=True)
    data = data_of(of_frame(table))
    draws = few_draws(data, "partial_pooling", 50)
    draws |= curves.draw_curves(np.random.default_rng(3), draws, data)
    best = next_point.next_points(draws, data)
    assert [b.group for b in best] == [0, 1]
    assert all(0.6 < b.point < 1.4 for b in best)
    assert all(b.after < b.now for b in best)


# What a table and an integral may be


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"lower": 1, "upper": 0}, "runs backwards. Write lower = 0 and upper = 1"),
        ({"lower": 1, "upper": 1}, "over nothing"),
        ({"lower": "a", "upper": 1}, "must be a finite number, found 'a'"),
        ({"lower": True}, "must be a finite number"),
        ({"upper": math.inf}, "must be a finite number"),
        ({"kernel": "matern_72"}, "Did you mean 'matern_52'"),
        ({"mean": "quadratic"}, "Allowed: 'constant', 'linear'"),
        ({"from": 0}, "integral has no 'from'"),
        ([0, 1], "must be a table such as"),
        ("0 to 1", "is no setting. Write key = value"),
    ],
)
def test_an_integral_that_cannot_be_is_refused_in_words(given: Any, words: str) -> None:
    with pytest.raises(DataError, match="integral") as error:
        make_integral(given)
    assert words in str(error.value) or words.replace("Did you mean", "Do you mean") in str(error.value)


def test_an_integral_is_read_from_a_text_and_written_as_it_is_read() -> None:
    asked = make_integral("lower = 0, upper = 1.5, kernel = Matern 5/2, mean = linear")
    assert asked == Integral(0.0, 1.5, "matern_52", "linear")
    assert make_integral("kernel = squared exponential") == Integral(kernel="squared_exponential")
    assert make_integral("") is None
    assert make_integral(asked) is asked
    assert asked is not None
    assert asked.text == '{ lower = 0.0, upper = 1.5, kernel = "matern_52", mean = "linear" }'


def test_limits_are_the_outermost_points_where_none_are_given() -> None:
    table = frame()
    roles = {"group": "run", "point": "x", "estimate": "y", "standard_error": "se"}
    whole = prepare_table(MODEL, Dataset.from_frame(table, **roles))
    limits = MODEL.programs.prepare(whole, MODEL.priors(whole))["limits"]
    assert limits == [table["x"].min(), table["x"].max()]
    without = whole.without([int(table["x"].argmin())])  # a row that is left out does not move them
    assert MODEL.programs.prepare(without, MODEL.priors(whole))["limits"] == limits


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.assign(se=t["se"].where(t.index != 4, 0.0)), "take half the last digit"),
        (lambda t: t[t["run"].isin(["r1"])].iloc[:2], "no run has 3 points or more ('r1' has 2"),
        (lambda t: t.assign(x=t["x"] + 10), "no point lies between 0 and 2"),
        (lambda t: t.assign(x=t["x"].where(t.index != 3, np.nan)), "x"),
    ],
)  # fmt: skip
def test_tables_of_which_no_integral_is_known_are_refused(change: Any, words: str) -> None:
    with pytest.raises(DataError) as error:
        prepare_table(MODEL, of_frame(change(frame())))
    assert words in str(error.value)


def warnings_of(table: pd.DataFrame, **integral: Any) -> dict[str, str]:
    prepared = prepare_table(MODEL, of_frame(table, **integral))
    return {v.name: v.hint for v in prepared.verdicts if v.status == "warn"}


def test_points_that_mislead_are_warned_of_and_named() -> None:
    table = frame()
    assert "points outside the interval" not in warnings_of(table)
    assert "rows lie outside the interval from 0 to 1" in warnings_of(table, upper=1.0)["points outside the interval"]
    ends = warnings_of(table, upper=9.0)["ends without points"]
    assert "is extrapolated" in ends
    few = warnings_of(pd.concat([table, table.iloc[:2].assign(run="z")]))
    assert "run z: fewer than 3 points" in few["few points"]
    apart = pd.concat([table, table.iloc[[0]].assign(y=table["y"][0] + 9)])
    assert "further apart than their errors explain" in warnings_of(apart)["values at one point"]
    near = pd.concat([table, table.iloc[[0]].assign(y=table["y"][0] + 0.01)])
    assert "values at one point" not in warnings_of(near)
    assert "written twice" in warnings_of(pd.concat([table, table.iloc[[0]]]))["equal rows"]


def test_a_curve_of_two_points_is_not_learnt_alone_and_one_curve_not_pooled() -> None:
    table = pd.concat([frame(), frame().iloc[:2].assign(run="z")], ignore_index=True)
    prepared = prepare_table(MODEL, of_frame(table))
    assert MODEL.variants_for(prepared) == ("complete_pooling", "partial_pooling")
    with pytest.raises(DataError, match="run z has fewer than 3 points"):
        MODEL.refuse_unlearnable(prepared, "no_pooling")
    alone = prepare_table(MODEL, of_frame(frame()[lambda t: t["run"] == "r3"]))
    assert MODEL.variants_for(alone) == ("no_pooling",)
    with pytest.raises(DataError, match="nothing to be pooled"):
        MODEL.refuse_unlearnable(alone, "partial_pooling")


def test_another_family_has_no_integral() -> None:
    with pytest.raises(DataError, match="integral is for curves"):
        hbm_stan.fit("grouped_normal", Dataset.from_frame(frame(), group="run", outcome="y", integral={"lower": 0}))


# From the table to the answer


@pytest.fixture(scope="module")
def fit() -> Fit:
    analysis = analyses()["hydration_ti"]
    return hbm_stan.fit("gp_integral", analysis.dataset, engine=StanliEngine(), sampling=SHORT)


def test_the_shipped_integrals_hold_the_truth(fit: Fit) -> None:
    truth = pd.read_csv(Path(__file__).parents[1] / "data" / "hydration_ti" / "truth.csv").set_index("group")["value"]
    theta = fit.draws("theta")["theta"]
    z = (theta.mean(axis=0) - truth[list(fit.table.pooled.labels)].to_numpy()) / theta.std(axis=0)
    assert np.abs(z).max() < 3


def test_rows_of_one_curve_are_predicted_together(fit: Fit) -> None:
    x = np.linspace(0, 1, 21)
    rows = pd.DataFrame({"molecule": "phenol", "lambda": x, "standard_error": 1.0})
    drawn = hbm_stan.predict(fit, rows).draws["expected"].values.reshape(fit.n_draws, -1)
    theta = fit.draws("theta")["theta"][:, list(fit.table.pooled.labels).index("phenol")]
    off = integrate.simpson(drawn, x=x, axis=1) - theta
    assert off.std() < 0.1 * theta.std()
    middle = hbm_stan.predict(fit, grid="molecule = population averaged, lambda = 0.5").table
    assert middle["expected_mean"].iloc[0] == pytest.approx(middle["expected_mean"].iloc[1], rel=1e-9)
    assert middle["new_sd"].iloc[1] > 2 * middle["new_sd"].iloc[0]


def test_a_new_analysis_spells_the_integral_out(tmp_path: Path) -> None:
    frame().to_csv(tmp_path / "runs.csv", index=False)
    done = hbm(
        "new", str(tmp_path / "runs.csv"), "--family", "gp_integral", "--group", "run", "--point", "x",
        "--estimate", "y", "--standard-error", "se", "--integral", "upper = 2, kernel = matern 3/2",
        "--to", str(tmp_path / "a"),
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    text = (tmp_path / "a" / "analysis.toml").read_text()
    low = float(frame()["x"].min())
    assert f'integral = {{ lower = {low!r}, upper = 2.0, kernel = "matern_32", mean = "constant" }}' in text
    reversed_ = hbm(
        "new", str(tmp_path / "runs.csv"), "--family", "gp_integral", "--group", "run", "--point", "x",
        "--estimate", "y", "--standard-error", "se", "--integral", "lower = 2, upper = 0", "--to", str(tmp_path / "b"),
    )  # fmt: skip
    assert reversed_.exit_code == 2
    assert "runs backwards" in reversed_.output
    assert "Traceback" not in reversed_.output
