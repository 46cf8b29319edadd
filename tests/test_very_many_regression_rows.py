"""Very many rows of linear_regression: what test_very_many_rows.py shows of normal rows in groups, with predictors.

Bounds are set low, so that a few thousand rows are very many; groups are of unequal sizes, one of one row, shuffled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import stanli
from test_statistics_of_checks import Planted
from test_very_many_rows import all_at_once, assert_same_units

from hbm_stan import densities, diagnose, leave_one_out, memory, outlook
from hbm_stan.attempts import attempts_in_words, fit
from hbm_stan.budget import Budget
from hbm_stan.data import Dataset
from hbm_stan.engines import Sampling, choose, plain_data
from hbm_stan.engines import sums as engine_sums
from hbm_stan.families import families, integrated_normal, left_out, own_lines, varying_terms
from hbm_stan.fit import Fit, Job, jobs_of, prepare_table
from hbm_stan.leave_one_out import logo, loo
from hbm_stan.model import Evidence
from hbm_stan.outlook import many_groups
from hbm_stan.repair.ladder import Ladder
from hbm_stan.results import r_squared
from hbm_stan.scores import Route
from hbm_stan.store import FitStore

SAMPLING = Sampling(warmup=300, draws=250)
COMPLETE, UNPOOLED, POOLED, INTERCEPT = (
    "complete_pooling", "no_pooling", "partial_pooling", "partial_pooling_intercept",
)  # fmt: skip
VARIANTS = (COMPLETE, UNPOOLED, POOLED, INTERCEPT)
N, GROUPS = 6000, 12


def rows_with_predictors(n: int = N, groups: int = GROUPS) -> pd.DataFrame:
    """Groups of unequal sizes, one of them of one row, in a random order; two predictors of rows, one of groups."""
    rng = np.random.default_rng(8)
    share = rng.dirichlet(np.full(groups - 1, 2.0))
    group = np.append(rng.choice(groups - 1, n - 1, p=share), groups - 1)
    above = rng.normal(size=groups)
    intercept, slope = rng.normal(20 + 3 * above, 2), rng.normal(-1, 0.8, groups)
    x, z = rng.normal(3, 1.5, n), rng.uniform(-1, 1, n)
    y = rng.normal(intercept[group] + slope[group] * x + 0.5 * z, 5)
    rows = pd.DataFrame({"g": [f"g{j}" for j in group], "y": y, "x": x, "z": z, "u": above[group]})
    return rows.sample(frac=1, random_state=3)


def data_of(rows: pd.DataFrame, x: tuple[str, ...] = ("x", "z"), u: tuple[str, ...] = ("u",)) -> Dataset:
    roles: dict[str, Any] = {"group": "g", "outcome": "y", "predictors": list(x), "group_predictors": list(u)}
    return Dataset.from_frame(rows, {name: columns for name, columns in roles.items() if columns})


def jobs(rows: pd.DataFrame, variants: tuple[str, ...] | None = VARIANTS, **columns: tuple[str, ...]) -> list[Job]:
    family = families()["linear_regression"]
    return jobs_of(family, data_of(rows, **columns), variants, None, SAMPLING, choose("stanli"))


@pytest.mark.parametrize("columns", [{}, {"x": ("x",), "u": ()}, {"x": (), "u": ()}, {"x": ()}], ids=str)
def test_a_program_that_is_handed_its_sums_of_products_has_the_same_log_density(
    columns: dict[str, tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_sums, "MANY_ROWS", 100)
    rng, every = np.random.default_rng(9), [v.name for v in families()["linear_regression"].programs.variants]
    possible = [v for v in every if columns.get("x", ("x",)) or v != INTERCEPT]
    for job in jobs(rows_with_predictors(700), tuple(possible), **columns):
        code, given = engine_sums.with_sums(job.program.code, job.data)
        assert "y_mean" in given
        assert [name in given for name in ("S", "T")] == [job.variant != COMPLETE, job.variant != UNPOOLED]
        assert "matrix[N, K + L + 1] Z" not in code and "crossprod(Z)" not in code  # noqa: PT018
        theirs, ours = (
            stanli.Model(mir=stanli.stan_to_mir(text), data=plain_data(values))
            for text, values in ((job.program.code, job.data), (code, given))
        )
        for _ in range(3):
            point = rng.normal(size=theirs.n_unconstrained) * 0.1
            (one, slope), (other, other_slope) = theirs.log_prob_grad(point), ours.log_prob_grad(point)
            assert one == pytest.approx(other, rel=1e-11)
            np.testing.assert_allclose(slope, other_slope, rtol=1e-9, atol=1e-9 * np.abs(slope).max())
        off = {**job.data, "use_likelihood": 0}
        _, given = engine_sums.with_sums(job.program.code, off)
        assert not np.any(given["T" if job.variant == COMPLETE else "S"])


def test_products_that_are_needed_in_another_form_stay_in_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_sums, "MANY_ROWS", 100)
    job = jobs(rows_with_predictors(300), (POOLED,))[0]
    code = job.program.code
    used = code.replace("target += lprior;", "target += lprior + 0 * Z[1, 1];")
    other = code.replace("mean(y);", "mean(y) + 1;")
    scaled = code.replace("crossprod(Z);", "2 * crossprod(Z);")
    for changed in (used, other, scaled):
        assert changed != code
        assert engine_sums.with_sums(changed, job.data)[0] == changed
    infinite = {**job.data, "y": np.where(np.arange(300) == 7, 1e200, job.data["y"])}
    assert engine_sums.with_sums(code, infinite)[0] == code
    assert engine_sums.with_sums(code, {**job.data, "N": 99})[0] == code


@cache
def fitted(variant: str) -> Fit:
    """A fit by the sampler, also where the posterior is known."""
    family = families()["linear_regression"]
    family = replace(family, programs=replace(family.programs, independent=None))
    return fit(family, data_of(rows_with_predictors()), variant, sampling=SAMPLING, engine=choose("stanli"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_rows_scored_block_by_block_have_the_scores_of_all_at_once(
    variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = fitted(variant)
    assert given.rows_on_request
    whole = loo(all_at_once(given))
    monkeypatch.setattr("hbm_stan.psis._READ", 1000 * 700)
    monkeypatch.setattr("hbm_stan.densities._AVERAGED", 1000 * 410)
    blocks = loo(given)
    assert_same_units(blocks, whole)
    assert [blocks.p_loo, blocks.elpd, blocks.mcse] == pytest.approx([whole.p_loo, whole.elpd, whole.mcse], rel=1e-8)
    some = np.array([5, 17, 4000])
    columns = densities.log_lik_of(given)
    assert not isinstance(columns, np.ndarray)  # nothing of all draws and all rows is held
    together = np.asarray(densities.log_lik_of(all_at_once(given)))
    np.testing.assert_allclose(columns[:, some], together[:, some], rtol=1e-10)
    np.testing.assert_array_equal(columns[:, 17], columns[:, some][:, 1])
    np.testing.assert_allclose(densities.total_log_lik(given), together.sum(axis=1), rtol=1e-12)


def drawn_populations(job: Job, draws: int = 7) -> dict[str, np.ndarray[Any, Any]]:
    """Populations near those that made the table: no sampler is needed for a density."""
    rng, size, above = np.random.default_rng(3), job.data["K"], job.data["L"]
    if job.variant == UNPOOLED:
        return {"sigma_group": rng.uniform(3, 7, (draws, job.data["J"]))}
    population = {
        "mu": rng.normal([20, *[-1] * (size - 1)], 0.3, (draws, size)),
        "gamma": rng.normal(3, 0.2, (draws, above)),
        "sigma": rng.uniform(4.5, 5.5, draws),
    }
    if job.variant == COMPLETE:
        return population
    tau = rng.uniform(0.5, 2, (draws, size)) * (np.arange(size) == 0 if job.variant == INTERCEPT else 1)
    rho = {} if job.variant == INTERCEPT else {"rho": rng.uniform(-0.3, 0.3, (draws, size * (size - 1) // 2))}
    return {**population, "tau": tau, **rho}


@pytest.mark.parametrize("variant", [POOLED, INTERCEPT])
def test_a_row_given_the_others_of_its_group_has_the_density_that_dense_matrices_give(variant: str) -> None:
    job = jobs(rows_with_predictors(90), (variant,))[0]
    data, draws = job.data, drawn_populations(job)
    groups = job.family.groups
    assert groups.loo_log_lik is not None and groups.loo_draws is not None  # noqa: PT018
    ours = groups.loo_log_lik(draws, data, variant)
    settled = groups.loo_draws(draws, data)
    some = job.family.twin.some_rows(data, np.array([40, 3]))  # type: ignore[misc]
    for given in (draws, settled):
        np.testing.assert_array_equal(groups.loo_log_lik(given, some, variant), ours[:, [40, 3]])
    group, x, y = np.asarray(data["group_idx"]) - 1, np.asarray(data["X"]), np.asarray(data["y"])
    for s in (0, 3):
        tau, at = draws["tau"][s], draws["mu"][s]
        omega = np.eye(3)
        if "rho" in draws:
            for value, (k, m) in zip(draws["rho"][s], [(1, 0), (2, 0), (2, 1)], strict=True):
                omega[k, m] = omega[m, k] = value
        mean = x @ at + np.asarray(data["U"])[group] @ draws["gamma"][s]
        covariance = x @ (np.outer(tau, tau) * omega) @ x.T * (group[:, None] == group)
        covariance += draws["sigma"][s] ** 2 * np.eye(len(y))
        for i in range(len(y)):
            rest = np.flatnonzero((group == group[i]) & (np.arange(len(y)) != i))
            weight = np.linalg.solve(covariance[np.ix_(rest, rest)], covariance[rest, i]) if len(rest) else np.zeros(0)
            variance = covariance[i, i] - weight @ covariance[rest, i]
            residual = y[i] - mean[i] - weight @ (y[rest] - mean[rest])
            expected = -0.5 * (np.log(2 * np.pi * variance) + residual**2 / variance)
            assert ours[s, i] == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("variant", [COMPLETE, UNPOOLED, POOLED, INTERCEPT])
def test_groups_worked_out_some_at_a_time_are_those_of_all_together(
    variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = jobs(rows_with_predictors(500), (variant,))[0]
    draws, groups, draw = drawn_populations(job), job.family.groups, job.family.programs.draw_groups
    settled = job.family.twin.some_rows(job.data, slice(0, 3))  # type: ignore[misc]

    def worked_out(data: Any) -> list[Any]:
        rng = np.random.default_rng(1)
        each = [integrated_normal.integrated(draws, data), draw(rng, draws, data)]  # type: ignore[misc]
        return [*each, groups.shrinkage_factor(draws, data)]  # type: ignore[misc]

    together = worked_out(job.data)
    monkeypatch.setattr(integrated_normal, "_AT_ONCE", 5 * 7 * 9)  # five groups
    for data in (job.data, settled):
        for ours, theirs in zip(worked_out(data), together, strict=True):
            assert ours.shape[:2] == (7, GROUPS)
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def test_rows_of_large_groups_have_the_exact_scores_that_the_whole_range_of_the_sd_gives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for job in jobs(rows_with_predictors(), (COMPLETE, UNPOOLED)):
        assert np.bincount(job.data["group_idx"]).max() > left_out._MANY
        ours = integrated_normal.exact_loo(job.data, job.variant)
        with monkeypatch.context() as patch:
            patch.setattr(left_out, "_MANY", 10**9)
            patch.setattr("hbm_stan.portions.AT_ONCE", 999)
            theirs = integrated_normal.exact_loo(job.data, job.variant)
        assert ours is not None and theirs is not None  # noqa: PT018
        np.testing.assert_allclose(ours, theirs, atol=1e-8)


@pytest.mark.parametrize("columns", [{}, {"x": ("x",), "u": ()}], ids=str)
def test_what_complete_pooling_says_of_a_group_that_is_left_out_is_the_ratio_of_two_evidences(
    columns: dict[str, tuple[str, ...]],
) -> None:
    job = jobs(rows_with_predictors(900), (COMPLETE,), **columns)[0]
    ours = integrated_normal.exact_logo(job.data, COMPLETE)
    assert ours is not None and integrated_normal.exact_logo(job.data, POOLED) is None  # noqa: PT018
    x, y, one, prior = integrated_normal.shared_columns(job.data)
    group, scale = np.asarray(job.data["group_idx"]) - 1, integrated_normal.scale_of("sigma", job.data)
    whole = left_out.whole_groups(x, y, one, prior, *scale)[0]
    for j in range(GROUPS):
        rest = group != j
        without = left_out.whole_groups(x[rest], y[rest], one[rest], prior, *scale)[0]
        assert ours[j] == pytest.approx(whole - without, abs=1e-7)
    # Far from 0 the sums of squares are large: no digits may be lost.
    far = {**job.data, "y": job.data["y"] + 1e6, "prior_mu": np.array(job.data["prior_mu"], dtype=float)}
    far["prior_mu"][0, 0] += 1e6
    np.testing.assert_allclose(integrated_normal.exact_logo(far, COMPLETE), ours, atol=1e-5)


def very_many(monkeypatch: pytest.MonkeyPatch, values: int) -> None:
    """So many numbers of rows are worked out at most; 3,000 rows are very many."""
    for module in ("memory", "leave_one_out", "loo_predictive", "results.r_squared", "draw", "outlook", "prepare"):
        monkeypatch.setattr(f"hbm_stan.{module}.VERY_MANY_ROWS", 3000)
    monkeypatch.setattr("hbm_stan.memory.MAX_ROW_VALUES", values)


def test_of_very_many_rows_nothing_lies_on_the_disk_and_what_they_take_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    very_many(monkeypatch, 400 * N)
    given, sampling = fitted(POOLED), Sampling()
    family, prepared = given.family, given.table
    some = loo(given)
    assert (given.of_rows.n_draws, some.k_threshold) == (400, leave_one_out.good_k(400))
    assert memory.row_bytes(family, prepared, VARIANTS, sampling) == 0
    assert memory.scratch_bytes(family, prepared, VARIANTS, sampling) == 0
    (words,) = many_groups(family, prepared, VARIANTS, sampling)
    assert words.startswith("Scores and replications of 6,000 rows are made of 400 of 4,000 draws. A report of 4 ")
    assert "of the disk" not in words
    before = memory.bytes_needed(family, prepared, VARIANTS, sampling)
    with monkeypatch.context() as patch:  # x, z and u
        patch.setattr(memory, "EACH_VALUE", memory.EACH_VALUE + 1000)
        assert memory.bytes_needed(family, prepared, VARIANTS, sampling) == before + 3 * 1000 * N
        patch.setattr(outlook, "_SECONDS_OF_NORMAL_ROW", 60 / N)
        patch.setattr(outlook, "_SECONDS_OF_VALUE", 0.0)
        patch.setattr(outlook, "_SECONDS_OF_GROUP", 0.0)
        (words,) = many_groups(family, prepared, VARIANTS, sampling)
    assert words.endswith("some 16 minutes of a core.")
    monkeypatch.undo()
    whole = loo(given)
    assert abs(some.elpd - whole.elpd) < 4 * np.hypot(some.mcse, whole.mcse)
    assert np.max(np.abs(some.elpd_i - whole.elpd_i)) < 0.05


def test_what_many_groups_take_counts_their_predictors(monkeypatch: pytest.MonkeyPatch) -> None:
    # 9,705 groups with two predictors: of a minute that was said a report took more than three.
    family, prepared = (
        families()["linear_regression"],
        prepare_table(families()["linear_regression"], data_of(rows_with_predictors())),
    )
    monkeypatch.setattr(outlook, "held_draws", lambda *_: 100)
    monkeypatch.setattr(outlook, "_SECONDS_OF_NORMAL_ROW", 30 / N)
    monkeypatch.setattr(outlook, "_SECONDS_OF_VALUE", 30 / N / 400)  # of four chains
    monkeypatch.setattr(outlook, "_SECONDS_OF_GROUP", 60 / GROUPS)
    (words,) = many_groups(family, prepared, VARIANTS, Sampling())
    assert words.startswith("Of 12 groups 400 of 4,000 draws are held. A report of 4 variants takes about ")
    assert words.endswith("some 20 minutes of a core.")  # of each variant: x, z, u, one more, and the groups


def test_a_group_that_complete_pooling_leaves_out_has_its_exact_score_among_very_many_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = fitted(COMPLETE)
    weighted = logo(given)
    very_many(monkeypatch, 1000 * N)
    exact = logo(given)
    assert weighted is not None and exact is not None  # noqa: PT018
    assert (exact.route, exact.pareto_k, exact.mcse) == (Route.EXACT, None, 0.0)
    assert weighted.pareto_k is not None
    good = weighted.pareto_k < 0.4
    assert good.any()
    np.testing.assert_allclose(exact.elpd_i[good], weighted.elpd_i[good], atol=0.15)


def test_columns_of_very_many_rows_are_known_by_their_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = rows_with_predictors()
    swapped, moved, exchanged = rows.copy(), rows.copy(), rows.copy()
    swapped.iloc[[3, 4]] = swapped.iloc[[4, 3]].to_numpy()
    moved.iloc[-1, moved.columns.get_loc("z")] += 1e-6
    exchanged[["x", "z"]] = rows[["z", "x"]]
    tables = (rows, rows.copy(), swapped, moved, exchanged)

    def keys() -> list[str]:
        return [jobs(table, (POOLED,))[0].key for table in tables]

    before = keys()
    monkeypatch.setattr("hbm_stan.identity.VERY_MANY_ROWS", 3000)
    after = keys()
    assert [after.index(k) for k in after] == [before.index(k) for k in before] == [0, 0, 2, 3, 4]
    assert jobs(rows, (POOLED,))[0].parts["data"]["X"].startswith("6,000 x 3 numbers with the hash ")


def test_r_squared_of_some_rows_is_that_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    given = fitted(POOLED)
    whole = r_squared.r_squared(given)
    monkeypatch.setattr("hbm_stan.results.r_squared.VERY_MANY_ROWS", 1000)
    some = r_squared.r_squared(given)
    assert whole is not None and some is not None  # noqa: PT018
    sd = (whole.known.q95 - whole.known.q05) / 3.29
    # Five times the root mean square over 28 seeds: rows are a sixth of all, and new groups are drawn anew for them.
    for kind, far in (("known", 0.4), ("new", 2.5)):
        for quantile in ("q05", "q50", "q95"):
            one, other = getattr(getattr(some, kind), quantile), getattr(getattr(whole, kind), quantile)
            assert abs(one - other) < far * sd


@pytest.mark.parametrize("variant", [COMPLETE, UNPOOLED])
def test_independent_draws_are_those_that_a_sampler_draws(variant: str, tmp_path: Path) -> None:
    sampled = fitted(variant)
    known = fit("linear_regression", sampled.table.dataset, variant, sampling=SAMPLING, engine=choose("stanli"),
                store=FitStore(tmp_path))  # fmt: skip
    assert (known.independent, sampled.independent, known.n_draws) == (True, False, 1000)
    assert set(known.draws()) <= set(sampled.draws())
    for name, values in known.draws().items():
        ours, theirs = values.reshape(1000, -1), sampled.draws(name)[name].reshape(1000, -1)
        # A sampler's 1,000 draws of a value are worth 300 at least; of the group of one row the sd has heavy tails.
        apart = np.abs(np.median(ours, axis=0) - np.median(theirs, axis=0)) / theirs.std(axis=0)
        assert apart.max() < 5 * 1.25 * np.sqrt(1 / 300 + 1 / 1000), name
        widths = [np.ptp(np.quantile(some, [0.1, 0.9], axis=0), axis=0) for some in (ours, theirs)]
        assert np.max(np.abs(np.log(widths[0] / widths[1]))) < 0.35, name


def test_where_a_sampler_would_take_minutes_populations_are_drawn_directly(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Eleven parameters: two predictors whose slopes vary, and one of groups."""
    rows = rows_with_predictors(20_000, 400)
    group, rng = rows["g"].str[1:].astype(int).to_numpy(), np.random.default_rng(4)
    for name, sd in (("x", 1), ("z", 4)):
        rows["y"] += rng.normal(0, sd, 400)[group] * rows[name]
    dataset = data_of(rows)
    how = {"sampling": SAMPLING, "engine": choose("stanli"), "store": FitStore(tmp_path)}
    sampled = fit("linear_regression", dataset, POOLED, **how)
    monkeypatch.setattr("hbm_stan.draw._MANY_SQUARES", sampled.table.n_groups * 3**2)
    assert fit("linear_regression", dataset, POOLED, **{**how, "store": FitStore(tmp_path / "few")}).direct is False
    monkeypatch.setattr("hbm_stan.draw._MANY_SQUARES", sampled.table.n_groups * 3**2 - 1)
    drawn = fit("linear_regression", dataset, POOLED, **{**how, "store": FitStore(tmp_path / "many")})
    assert (sampled.direct, drawn.direct) == (False, True)
    assert "direct draws, by importance weights" in attempts_in_words(drawn)
    for name in ("mu", "tau", "rho", "gamma", "sigma", "theta"):
        ours, theirs = (f.draws(name)[name].reshape(1000, -1) for f in (drawn, sampled))
        apart = np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) / theirs.std(axis=0)
        assert apart.max() < 5 * np.sqrt(2 / 300), name  # 1,000 draws of either are worth 300 at least
        assert np.abs(np.log(ours.std(axis=0) / theirs.std(axis=0))).max() < 0.35, name


def test_independent_draws_without_group_predictors_pass_the_checks_of_draws(tmp_path: Path) -> None:
    dataset = data_of(rows_with_predictors(), ("x",), ())
    for variant in (COMPLETE, UNPOOLED):
        known = fit(
            "linear_regression", dataset, variant, sampling=SAMPLING, engine=choose("stanli"), store=FitStore(tmp_path)
        )
        assert known.independent
        assert not diagnose.check(known).failed


@pytest.mark.parametrize("uniform", [False, True])
@pytest.mark.parametrize("variant", [COMPLETE, UNPOOLED])
def test_independent_draws_have_the_moments_of_coefficients_given_the_sd(variant: str, uniform: bool) -> None:
    job = jobs(rows_with_predictors(400), (variant,))[0]
    name, terms = ("sigma", "mu") if variant == COMPLETE else ("sigma_group", "theta")
    data = {**job.data, f"prior_{name}_family": 4, f"prior_{name}": [9.0, 1.0]} if uniform else job.data
    draws = own_lines.independent(np.random.default_rng(1), data, variant, 40_000)
    assert draws is not None and (draws[name] > 0).all()  # noqa: PT018
    assert not uniform or draws[name].max() < 9
    group, x, y = np.asarray(data["group_idx"]) - 1, np.asarray(data["X"]), np.asarray(data["y"])
    priors, own = (np.asarray(data[f"prior_{terms}"]), np.ones(len(y), bool))
    j = int(np.argmin(np.abs(np.bincount(group) - 20)))  # of few rows: the prior counts
    sd, given = (draws[name], draws["mu"]) if variant == COMPLETE else (draws[name][:, j], draws["theta"][:, j])
    if variant == COMPLETE:
        x, priors = np.hstack([x, np.asarray(data["U"])[group]]), np.vstack([priors, data["prior_gamma"]])
        given = np.hstack([given, draws["gamma"]])
        lines = draws["mu"][:, 0, None] + draws["gamma"] @ np.asarray(data["U"]).T
        np.testing.assert_allclose(draws["theta"][:, :, 0], lines)
    else:
        own = group == j
    # Each draw in units of its distribution given its sd is standard normal.
    precision = np.einsum("nk,nm->km", x[own], x[own]) / sd[:, None, None] ** 2 + np.diag(priors[:, 1] ** -2)
    pull = x[own].T @ y[own] / sd[:, None] ** 2 + priors[:, 0] / priors[:, 1] ** 2
    mean = np.linalg.solve(precision, pull[..., None])[..., 0]
    z = np.einsum("skm,sk->sm", np.linalg.cholesky(precision), given - mean)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=5 / 200)
    np.testing.assert_allclose(np.cov(z.T), np.eye(z.shape[1]), atol=5 * np.sqrt(2) / 200)
    # The sd has the density that its evidence is the integral of.
    sets = left_out.Sets(*(np.atleast_1d(a) for a in _dense_set(x[own], y[own], priors)))
    integrand, log_sd = left_out.sd_integrand(sets, *integrated_normal.scale_of(name, data))
    v = np.linspace(-8, 12, 40_001)
    density = np.exp(integrand(v)[0] - integrand(v)[0].max())
    below = np.interp(np.log(sd), log_sd(v), np.cumsum(density) / density.sum())
    assert np.max(np.abs(np.sort(below) - np.arange(0.5, 40_000) / 40_000)) < 1.95 / 200  # Kolmogorov, p 0.001


def _dense_set(x: Any, y: Any, priors: Any) -> tuple[Any, ...]:
    """Rows as a set, by the singular values of their terms."""
    u, s, _ = np.linalg.svd(x * priors[:, 1], full_matrices=False)
    r = y - x @ priors[:, 0]
    return float(len(y)), float(r @ r - np.sum((u.T @ r) ** 2)), s[None] ** 2, (u.T @ r)[None] ** 2


def only_some_rows(of: Callable[..., Any], most: int) -> Callable[..., Any]:
    """The log density, which fails where it is asked for more rows."""

    def some(draws: Any, data: Any) -> Any:
        assert data["N"] <= most
        return of(draws, data)

    return some


@pytest.mark.parametrize("variant", [COMPLETE, POOLED])
def test_of_a_row_that_a_refit_has_not_seen_no_other_density_is_worked_out(variant: str) -> None:
    given, rows = fitted(variant), np.array([4000, 3, 17])
    density = densities.density_of(given, "observation").of
    assert isinstance(density, densities.OfRows)
    whole = density(given.draws(), given.data)[:, rows]
    few = replace(density, of=only_some_rows(density.of, len(rows)))
    np.testing.assert_allclose(densities.at_draws_of(given, few, given.draws(), rows), whole, rtol=1e-10)


@pytest.mark.parametrize("route", [Route.MOMENT_MATCHING, Route.REFIT])
def test_a_row_of_many_is_repaired_by_moments_or_by_a_refit(
    route: Route, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = fitted(POOLED)
    scores = loo(given)
    assert scores.pareto_k is not None
    worst = int(np.argmax(scores.pareto_k))
    high = replace(scores, pareto_k=np.where(np.arange(N) == worst, 0.9, scores.pareto_k))
    assert list(np.flatnonzero(high.high)) == [worst]
    if route is Route.REFIT:
        monkeypatch.setattr(Ladder, "_match_moments", lambda _ladder, _scores: None)
    store = FitStore(tmp_path)
    ladder = Ladder(fit=given, budget=Budget(), store=store, say=lambda _words: None, waive=("tail ESS",))
    ladder._match_moments(high)
    ladder._refit(high)
    assert not ladder.reasons
    ((row, repair),) = (ladder.routes | ladder.unsure).items()
    assert (row, repair.route) == (worst, route)
    assert repair.elpd == pytest.approx(scores.elpd_i[worst], abs=0.02)


_DENSE = test_a_row_given_the_others_of_its_group_has_the_density_that_dense_matrices_give
_GROUPS = test_groups_worked_out_some_at_a_time_are_those_of_all_together
_SUMS = test_a_program_that_is_handed_its_sums_of_products_has_the_same_log_density
_EXACT = test_rows_of_large_groups_have_the_exact_scores_that_the_whole_range_of_the_sd_gives
_MOMENTS = test_independent_draws_have_the_moments_of_coefficients_given_the_sd
_LOGO = test_what_complete_pooling_says_of_a_group_that_is_left_out_is_the_ratio_of_two_evidences

PLANTED: dict[str, tuple[Any, str, str, str, Callable[[pytest.MonkeyPatch], None]]] = {
    "products of the block's own rows": (
        integrated_normal, "some_rows", "_products(data)}",
        '_products({k: v for k, v in {**data, **own}.items() if k != "of_groups"})}',
        lambda _patch: _DENSE(POOLED)),
    "columns of all rows for those of some": (
        integrated_normal, "some_rows", '("X", "y", "group_idx")', '("y", "group_idx")',
        lambda _patch: _DENSE(POOLED)),
    "a pair of terms that counts once": (
        integrated_normal, "loo_draws", "(1 if k == other else 2)", "1", lambda _patch: _DENSE(POOLED)),
    "a variance that is not in units of the residual one": (
        integrated_normal, "loo_draws", " / sigma[..., None, None] ** 2", "", lambda _patch: _DENSE(INTERCEPT)),
    "rows of another group": (
        integrated_normal, "loo_log_lik", "own, at = group[rows]", "own, at = np.roll(group, 1)[rows]",
        lambda _patch: _DENSE(POOLED)),
    "the means of the first groups again and again": (
        integrated_normal, "_by_group", "mean[:, groups]", "mean[:, : groups.stop - groups.start]",
        lambda patch: _GROUPS(POOLED, patch)),
    "random numbers in another order": (
        integrated_normal, "draw_groups", "size=(c.shape[1], len(c), c.shape[2])), 0, 1)",
        "size=(len(c), c.shape[1], c.shape[2])), 0, 0)", lambda patch: _GROUPS(POOLED, patch)),
    "the mean of the outcome left in": (
        engine_sums, "_columns", " - centre", "", lambda patch: _SUMS({}, patch)),
    "group predictors of the next group": (
        engine_sums, "_columns", '["index"]]) - 1]', '["index"]]) - 2]', lambda patch: _SUMS({}, patch)),
    "products of the last columns": (
        engine_sums, "_by_group", "[:, :first]", "[:, -first:]", lambda patch: _SUMS({}, patch)),
    "a likelihood that cannot be switched off": (
        engine_sums, "_columns", 'data["use_likelihood"] * ', "", lambda patch: _SUMS({}, patch)),
    "leverages of the first rows again and again": (
        left_out, "_without_each", "scaled = u[rows]", "scaled = u[: rows.stop - rows.start]", _EXACT),
    "a mass that is cut off": (left_out, "where_mass_is", "- _TAIL", "- 2.0", _EXACT),
    "rows in the order of the table": (
        densities, "at_draws_of", "settled_data, units)", "settled_data, np.sort(units))",
        lambda _patch: test_of_a_row_that_a_refit_has_not_seen_no_other_density_is_worked_out(POOLED)),
    "rows that stand nearest to the middle": (
        r_squared, "_rows", "np.sort(order[spaced])", "order[len(order) // 2 - 500 : len(order) // 2 + 500]",
        test_r_squared_of_some_rows_is_that_of_all),
    "rows in the order of the table, evenly spaced": (
        r_squared, "_rows", "np.sort(order[spaced])", "spaced",
        test_r_squared_of_some_rows_is_that_of_all),
    "coefficients without their own error": (
        own_lines._Lines, "draw", "rng.standard_normal((*sd.shape, along.shape[1]))", "0",
        lambda _patch: _MOMENTS(UNPOOLED, False)),
    "a precision without the prior": (
        own_lines._Lines, "draw", "self.c / (along + var)", "self.c / along", lambda _patch: _MOMENTS(UNPOOLED, False)),
    "an sd on another scale": (
        own_lines._Lines, "_sds", "np.exp(log_sd(", "np.exp(0 * low + (", lambda _patch: _MOMENTS(COMPLETE, False)),
    "group predictors that are left out": (
        own_lines, "independent", "of_groups[:, :, 0] += ", "of_groups[:, :, 0] += 0 * ",
        lambda _patch: _MOMENTS(COMPLETE, True)),
    "the next group left out": (
        left_out, "groups_left_out", "total - own,", "total - np.roll(own, 1, axis=0),", lambda _patch: _LOGO({})),
    "residuals about the fit of all": (
        left_out, "_of_products", " - (about**2 / divisor).sum(axis=1)", "", lambda _patch: _LOGO({})),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, function, right, wrong, test = PLANTED[name]
    fitted(POOLED)  # before the fault
    Planted(owner=owner, name=function, right=right, wrong=wrong, test=test).plant(monkeypatch)
    if function in vars(integrated_normal):
        monkeypatch.setattr(integrated_normal, function, vars(owner)[function])
    family = families()["linear_regression"]
    for part in (family.twin, family.groups, family.programs):  # which have the function by its name
        if function in vars(part):
            monkeypatch.setitem(vars(part), function, vars(owner)[function])
    caught = (AssertionError, ValueError, IndexError, RuntimeError, RuntimeWarning)
    with pytest.raises(caught), pytest.MonkeyPatch.context() as own:
        test(own)


def test_of_a_group_of_many_rows_some_are_drawn_and_it_is_said() -> None:
    rng = np.random.default_rng(5)
    sizes = {"a": 1000, "b": 401, "c": 400, "d": 7}
    labels = rng.permutation(np.repeat(list(sizes), list(sizes.values())))
    frame = pd.DataFrame({"g": labels, "x": rng.normal(size=len(labels)), "y": np.arange(len(labels), dtype=float)})
    family = families()["linear_regression"]
    table = prepare_table(family, Dataset.from_frame(frame, group="g", outcome="y", predictors=["x"]))
    data = family.stan_data(table, family.priors(table), POOLED)
    draws = {"theta": rng.normal(size=(20, 4, 2))}
    evidence = Evidence(variant=POOLED, draws=draws, data=data, table=table, options={}, rng=rng)
    (finding,) = varying_terms.lines(evidence, np.asarray, "y")
    assert finding.points is not None
    shown = {panel: own["y"].to_numpy() for panel, own in finding.points.groupby("panel")}
    assert {panel: len(y) for panel, y in shown.items()} == {"a": 400, "b": 400, "c": 400, "d": 7}
    for panel, y in shown.items():  # outcomes are the places of rows: each of its own group, once, both ends among them
        own = np.flatnonzero(labels == panel)
        assert set(y) <= set(own)
        assert len(set(y)) == len(y)
        assert (y[0], y[-1]) == (own[0], own[-1])
    assert "Of more than 400 rows in a panel 400 are drawn" in finding.sentences[0]
