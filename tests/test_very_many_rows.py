"""Very many rows: they are scored and replicated block by block, from some draws, and sums of them are handed over.

Bounds are set low, so that a few thousand rows are very many. Each comparison fails by a planted fault.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pytest
import stanli
from test_statistics_of_checks import Planted

from hbm_stan import densities, leave_one_out, memory, replicate, tree
from hbm_stan.attempts import attempts_in_words, fit
from hbm_stan.data import Dataset
from hbm_stan.engines import Sampling, choose, plain_data
from hbm_stan.engines import sums as engine_sums
from hbm_stan.errors import DataError, HbmError
from hbm_stan.families import families
from hbm_stan.families.grouped_normal import evidence
from hbm_stan.families.left_out import grouped_rows, nested_rows
from hbm_stan.fit import Fit, jobs_of, prepare_table
from hbm_stan.histograms import counted
from hbm_stan.leave_one_out import LeftOut, logo, loo
from hbm_stan.loo_predictive import loo_predictive
from hbm_stan.outlook import many_groups
from hbm_stan.prior_predictive import prior_check
from hbm_stan.results import r_squared
from hbm_stan.store import FitStore
from hbm_stan.table import read_csv

SAMPLING = Sampling(warmup=300, draws=250)
COMPLETE, UNPOOLED, POOLED, BY_GROUP = (
    "complete_pooling", "no_pooling", "partial_pooling", "partial_pooling_sigma_by_group",
)  # fmt: skip
N = 6000


def rows_in_groups(n: int = N, groups: int = 12) -> pd.DataFrame:
    """Groups of unequal sizes, one of them of one row, in a random order."""
    rng = np.random.default_rng(8)
    share = rng.dirichlet(np.full(groups - 1, 2.0))
    group = np.append(rng.choice(groups - 1, n - 1, p=share), groups - 1)
    y = rng.normal(rng.normal(20, 2, groups)[group], 5)
    return pd.DataFrame({"g": [f"g{j}" for j in group], "y": y}).sample(frac=1, random_state=3)


def table(n: int = N, groups: int = 12) -> Dataset:
    return Dataset.from_frame(rows_in_groups(n, groups), group="g", outcome="y")


@cache
def fitted(variant: str) -> Fit:
    """A fit by the sampler, also where the posterior is known."""
    family = families()["grouped_normal"]
    family = replace(family, programs=replace(family.programs, independent=None))
    return fit(family, table(), variant, sampling=SAMPLING, engine=choose("stanli"))


def all_at_once(given: Fit) -> Fit:
    """The same fit whose family scores all rows together."""
    twin = replace(given.family.twin, some_rows=None)
    return replace(given, named=given.named, family=replace(given.family, twin=twin))


def assert_same_units(blocks: LeftOut, whole: LeftOut) -> None:
    """Both have the same score and Pareto k of each unit, or both no k."""
    for name in ("elpd_i", "lppd_i", "pareto_k"):
        ours, theirs = getattr(blocks, name), getattr(whole, name)
        if theirs is None:
            assert ours is None
        else:
            np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("variant", [COMPLETE, UNPOOLED, POOLED, BY_GROUP])
def test_rows_scored_block_by_block_have_the_scores_of_all_at_once(
    variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = fitted(variant)
    assert given.rows_on_request
    whole = loo(all_at_once(given))
    monkeypatch.setattr("hbm_stan.psis._READ", 1000 * 70)
    monkeypatch.setattr("hbm_stan.densities._AVERAGED", 1000 * 41)
    blocks = loo(given)
    assert_same_units(blocks, whole)
    np.testing.assert_allclose(
        [blocks.p_loo, blocks.elpd, blocks.mcse], [whole.p_loo, whole.elpd, whole.mcse], rtol=1e-8, atol=1e-8
    )
    some = np.array([5, 17, 4000])
    columns = densities.log_lik_of(given)
    assert not isinstance(columns, np.ndarray)  # nothing of all draws and all rows is held
    np.testing.assert_array_equal(columns[:, some], np.asarray(densities.log_lik_of(all_at_once(given)))[:, some])
    np.testing.assert_allclose(densities.total_log_lik(given), densities.total_log_lik(all_at_once(given)), rtol=1e-12)


@pytest.mark.parametrize("variant", [POOLED, BY_GROUP])
def test_rows_given_the_others_of_their_group_are_those_of_units_in_one_group_each(variant: str) -> None:
    given = fitted(variant)
    draws, data = {name: values[:50] for name, values in given.draws().items()}, given.data
    y, group = np.asarray(data["y"]), np.asarray(data["group_idx"]) - 1
    sd = draws["sigma_group"] if "sigma_group" in draws else draws["sigma"][:, None]
    mu, tau = draws["mu"][:, None], draws["tau"][:, None]
    theirs = nested_rows(y, group, np.arange(data["J"]), mu, 0 * tau, tau, sd)
    ours = grouped_rows(draws, data, evidence.statistics(data))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def very_many(monkeypatch: pytest.MonkeyPatch, values: int) -> None:
    """So many numbers of rows are worked out at most; 3,000 rows are very many."""
    for module in (
        "memory",
        "leave_one_out",
        "loo_predictive",
        "results.r_squared",
        "draw",
        "outlook",
        "identity",
        "prepare",
    ):
        monkeypatch.setattr(f"hbm_stan.{module}.VERY_MANY_ROWS", 3000)
    monkeypatch.setattr("hbm_stan.memory.MAX_ROW_VALUES", values)


def test_of_very_many_rows_some_draws_at_equal_distances_stand_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    for rows, draws in ((50_000, 1000), (50_001, 999), (100_000, 500), (500_000, 100), (10_000_000, 100)):
        assert memory.draws_of_rows(rows, 4, 1000) == draws
    assert memory.draws_of_rows(10**7, 3, 1000) == 134
    assert memory.draws_of_rows(10**7, 4, 50) == 50
    given = fitted(POOLED)
    assert given.of_rows is given
    very_many(monkeypatch, 500 * N)
    some = given.of_rows
    assert (some.shape, some.n_draws, given.shape) == ((4, 125), 500, (4, 250))
    np.testing.assert_array_equal(some.tree["posterior"]["mu"], given.tree["posterior"]["mu"][:, 1::2])
    np.testing.assert_array_equal(some.chains["posterior"]["mu"], given.tree["posterior"]["mu"])
    assert some.of_rows is some


def test_scores_of_some_draws_are_those_of_all_within_their_monte_carlo_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = fitted(POOLED)
    whole = loo(given)
    very_many(monkeypatch, 400 * N)
    some = loo(given)
    assert some.k_threshold < whole.k_threshold == leave_one_out.good_k(1000)
    assert 0 < some.mcse < 0.2
    assert abs(some.elpd - whole.elpd) < 4 * np.hypot(some.mcse, whole.mcse)
    assert abs(some.p_loo - whole.p_loo) < 1
    assert some.elpd_i.shape == some.pareto_k.shape == (N,)  # of every row  # type: ignore[union-attr]
    assert np.max(np.abs(some.elpd_i - whole.elpd_i)) < 0.05


def test_rows_of_a_formula_are_scored_from_some_draws_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    frame = rows_in_groups(5200, 10)
    given = fit("y ~ 1 + (1 | g)", frame, sampling=SAMPLING, engine=choose("stanli"), store=FitStore(tmp_path))
    assert given.rows_on_request
    assert given.family.twin.some_rows is None
    whole, before = loo(given), replicate.predictive_check(given)
    very_many(monkeypatch, 400 * 5200)
    some, after = loo(given), replicate.predictive_check(given)
    assert given.of_rows.n_draws == 400
    assert some.k_threshold == leave_one_out.good_k(400)
    assert abs(some.elpd - whole.elpd) < 4 * np.hypot(some.mcse, whole.mcse)
    assert list(after.statistics["observed"]) == list(before.statistics["observed"])
    assert memory.row_bytes(given.family, given.table, (POOLED,), SAMPLING) == 8 * 400 * 5200


def test_replications_of_some_draws_are_like_those_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    given = fitted(POOLED)
    whole = replicate.predictive_check(given)
    very_many(monkeypatch, 400 * N)
    some = replicate.predictive_check(given)
    assert list(some.statistics["kind"]) == list(whole.statistics["kind"])
    for before, after in zip(whole.statistics.itertuples(), some.statistics.itertuples(), strict=True):
        assert before.observed == pytest.approx(after.observed, rel=1e-12)
        sd = (before.q95 - before.q05) / 3.29
        assert abs(before.replicated_mean - after.replicated_mean) < 4 * sd * np.sqrt(1 / 400 + 1 / 1000)
    assert (some.groups["q95"] > some.groups["q05"]).all()


def test_what_complete_pooling_says_of_a_group_that_is_left_out_is_what_importance_weights_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = fitted(COMPLETE)
    weighted = logo(given)
    very_many(monkeypatch, 1000 * N)
    exact = logo(given)
    assert weighted is not None and exact is not None  # noqa: PT018
    assert (exact.route, exact.pareto_k, exact.mcse) == (leave_one_out.Route.EXACT, None, 0.0)
    assert weighted.pareto_k is not None
    good = weighted.pareto_k < 0.4
    assert good.sum() > 3
    np.testing.assert_allclose(exact.elpd_i[good], weighted.elpd_i[good], atol=0.15)
    # All groups but one, one after the other, by the evidence of all rows: the chain rule closes.
    n, mean, ss = evidence.statistics(given.data)
    assert np.isfinite(exact.elpd_i).all()
    rest = (*given.data["prior_mu"], given.data["prior_sigma"][0], 1.0, evidence.prior_of("sigma", given.data))
    y, group = np.asarray(given.data["y"]), np.asarray(given.data["group_idx"]) - 1
    for j in (0, 5, 11):
        both = [
            float(evidence.over_sd(len(own), own.mean(), ((own - own.mean()) ** 2).sum(), *rest))
            for own in (y, y[group != j])
        ]
        assert exact.elpd_i[j] == pytest.approx(both[0] - both[1], abs=1e-6)
    assert (n > 0).all() and len(mean) == len(ss) == 12  # noqa: PT018


def test_rows_of_large_groups_have_the_exact_scores_that_more_nodes_give(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    group = np.repeat([0, 1, 2, 3], [3000, 1200, 40, 1])
    y = rng.normal(np.array([5, -2, 3, 9])[group], 4)
    frame = pd.DataFrame({"g": [f"g{j}" for j in group], "y": y}).sample(frac=1, random_state=1)
    jobs = jobs_of(
        families()["grouped_normal"], Dataset.from_frame(frame, group="g", outcome="y"), (COMPLETE, UNPOOLED), None,
        SAMPLING, choose("stanli"),
    )  # fmt: skip
    for job in jobs:
        ours = evidence.exact_loo(job.data, job.variant)
        with monkeypatch.context() as patch:
            patch.setattr(evidence, "_MANY", 10**9)
            theirs = evidence.exact_loo(job.data, job.variant)
        assert ours is not None and theirs is not None  # noqa: PT018
        np.testing.assert_allclose(ours, theirs, atol=1e-9)
        # A million rows of a group lose digits in evidences of that size, not in nodes.
        np.testing.assert_array_equal(evidence.exact_loo(evidence.some_rows(job.data, slice(None)), job.variant), ours)


def counts_table() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    group = rng.integers(0, 9, 400)
    group[:9] = np.arange(9)
    unit = group * 3 + rng.integers(0, 3, 400)
    return pd.DataFrame({
        "g": [f"g{j}" for j in group], "u": [f"u{i}" for i in unit], "y": rng.normal(group, 2.0),
        "n": rng.integers(5, 20, 400), "k": rng.integers(0, 5, 400),
    })  # fmt: skip


SUMMED = {
    "grouped_normal": {"group": "g", "outcome": "y"},
    "nested_normal": {"group": "g", "unit": "u", "outcome": "y"},
    "gamma_poisson": {"group": "g", "count": "k", "exposure": "n"},
    "beta_binomial": {"group": "g", "successes": "k", "trials": "n"},
}


@pytest.mark.parametrize("name", SUMMED)
def test_a_program_that_is_handed_its_sums_has_the_log_density_to_the_last_bit(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    family, rng = families()[name], np.random.default_rng(9)
    data = Dataset.from_frame(counts_table(), SUMMED[name])
    monkeypatch.setattr(engine_sums, "MANY_ROWS", 100)
    moved = set()
    for job in jobs_of(family, data, None, None, SAMPLING, choose("stanli")):
        code, given = engine_sums.with_sums(job.program.code, job.data)
        moved |= set(given) - set(job.data)
        before, after = (text.count("= group_sum(") for text in (job.program.code, code))
        assert after < before or code == job.program.code
        theirs, ours = (
            stanli.Model(mir=stanli.stan_to_mir(text), data=plain_data(values))
            for text, values in ((job.program.code, job.data), (code, given))
        )
        for _ in range(3):
            point = rng.normal(size=theirs.n_unconstrained) * 0.1
            (one, slope), (other, other_slope) = theirs.log_prob_grad(point), ours.log_prob_grad(point)
            assert one == other
            np.testing.assert_array_equal(slope, other_slope)
    assert len(moved) >= 2


def test_few_rows_and_sums_of_another_form_stay_in_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    job = jobs_of(families()["grouped_normal"], table(), (POOLED,), None, SAMPLING, choose("stanli"))[0]
    assert engine_sums.with_sums(job.program.code, {**job.data, "N": 4999})[0] == job.program.code
    code = job.program.code.replace("square(y - ybar[group_idx])", "sqrt(square(y - ybar[group_idx]))")
    changed, given = engine_sums.with_sums(code, job.data)
    assert {"n", "ybar"} <= set(given)
    assert "ss" not in given
    assert "vector[J] ss = group_sum(sqrt(" in changed


def test_r_squared_of_groups_by_their_sizes_is_that_of_all_rows() -> None:
    given = fitted(POOLED)
    ours, theirs = r_squared.r_squared(given), r_squared.r_squared(all_at_once(given))
    assert ours is not None and theirs is not None  # noqa: PT018
    for kind in ("known", "new"):
        for quantile in ("q05", "q50", "q95"):
            one, other = getattr(getattr(ours, kind), quantile), getattr(getattr(theirs, kind), quantile)
            assert one == pytest.approx(other, rel=1e-9)


def test_bins_of_one_width_count_what_a_search_counts_and_means_of_groups_do_not_depend_on_the_way() -> None:
    rng, given = np.random.default_rng(1), fitted(POOLED)
    y = np.round(rng.normal(20, 5, (3, N)), 1)
    edges = np.linspace(2, 38, 31)
    by_search = np.stack([np.histogram(row, edges)[0] for row in y])
    np.testing.assert_array_equal(counted(y, edges), by_search)
    np.testing.assert_array_equal(counted(y, edges**1.01), np.stack([np.histogram(r, edges**1.01)[0] for r in y]))
    means = replicate.by_group(given, y)
    level = given.table.pooled.level
    np.testing.assert_allclose(means, np.stack([y[:, level == j].mean(axis=1) for j in range(12)], axis=1), rtol=1e-12)


def test_of_very_many_rows_those_that_are_looked_at_are_replicated_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    given = fitted(POOLED)
    whole = loo_predictive(given)
    very_many(monkeypatch, 10**9)
    some = loo_predictive(given)
    np.testing.assert_array_equal(some.rows, whole.rows)
    np.testing.assert_allclose(some.pareto_k, whole.pareto_k, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(some.elpd_i, whole.elpd_i, rtol=1e-10)
    ours, theirs = some.y_rep.mean(axis=0), whole.y_rep.mean(axis=0)
    sd = whole.y_rep.std(axis=0) * np.sqrt(2 / len(some.y_rep))
    assert np.max(np.abs(ours - theirs) / sd) < 5  # of 2,000 rows
    assert len(prior_check(given)) > 0


def test_very_many_rows_are_known_by_their_hash_and_named_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = rows_in_groups()
    swapped = frame.copy()
    swapped.iloc[[3, 4]] = swapped.iloc[[4, 3]].to_numpy()
    last = frame.copy()
    last.iloc[-1, 1] += 1e-6
    datasets = [Dataset.from_frame(f, group="g", outcome="y") for f in (frame, frame, swapped, last)]

    def keys() -> list[str]:
        family = families()["grouped_normal"]
        return [jobs_of(family, d, (POOLED,), None, SAMPLING, choose("stanli"))[0].key for d in datasets]

    names = prepare_table(families()["grouped_normal"], datasets[0]).row_names
    before = keys()
    assert len(set(before)) == 3
    very_many(monkeypatch, 10**9)
    after = keys()
    assert [after.index(k) for k in after] == [before.index(k) for k in before] == [0, 0, 2, 3]
    job = jobs_of(families()["grouped_normal"], datasets[0], (POOLED,), None, SAMPLING, choose("stanli"))[0]
    assert job.parts["data"]["y"].startswith("6,000 numbers with the hash ")
    lazy = job.table.row_names
    assert not isinstance(lazy, list)
    assert (len(lazy), list(lazy), lazy[5:7], lazy[-1]) == (N, list(names), names[5:7], names[-1])


def test_a_file_is_read_by_columns(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("g,y\n" + "".join(f"g{i % 3},{i}\n" for i in range(9)))
    whole, _ = read_csv(path)
    assert whole.cells == (tuple(f"g{i % 3}" for i in range(9)), tuple(str(i) for i in range(9)))
    assert whole.lines == range(2, 11)
    assert len({id(cell) for cell in whole.column("g")}) == 3
    path.write_text("g,y\na,1\n\nb,2,\n\nc,x\n")
    gaps, _ = read_csv(path)
    assert [gaps.row(i) for i in range(3)] == ["line 2", "line 4", "line 6"]
    assert gaps.cells == (("a", "b", "c"), ("1", "2", "x"))
    with pytest.raises(DataError, match="line 6: 'x'"):
        gaps.numbers("y")
    values = whole.numbers("y")
    values[0] = 100  # a reader's own copy
    assert whole.numbers("y")[0] == 0


def test_what_very_many_rows_take_is_said_and_what_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    family, variants = families()["grouped_normal"], (COMPLETE, UNPOOLED, POOLED)
    prepared, sampling = prepare_table(family, table()), Sampling()
    assert many_groups(family, prepared, variants, sampling) == ()
    very_many(monkeypatch, 400 * N)
    (words,) = many_groups(family, prepared, variants, sampling)
    assert words.startswith(
        "Scores and replications of 6,000 rows are made of 400 of 4,000 draws. A report of 3 variants "
    )
    assert re.search(r"takes about 1\.5 GiB of memory \(the limit is 4\.0 GiB\), and some 1 minute of a core\.$", words)
    # Nothing of all draws and all rows lies on the disk, where rows can be had alone.
    assert memory.row_bytes(family, prepared, variants, sampling) == 0
    assert memory.scratch_bytes(family, prepared, variants, sampling) == 0
    together = replace(family, twin=replace(family.twin, some_rows=None))
    assert memory.row_bytes(together, prepared, variants, sampling) == 8 * 400 * N
    before = memory.bytes_needed(family, prepared, variants, sampling)
    monkeypatch.setattr(memory, "EACH_ROW", memory.EACH_ROW + 1000)
    assert memory.bytes_needed(family, prepared, variants, sampling) == before + 1000 * N
    monkeypatch.setattr(memory, "MAX_BYTES", before)
    with pytest.raises(DataError, match=r"12 groups in 6,000 rows .* of memory; .* Ask for fewer draws or variants"):
        memory.refuse_too_large(family, prepared, variants, sampling)


def test_a_fit_of_very_many_rows_is_drawn_directly_and_says_which_draws_score_its_rows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sampled = fitted(POOLED)
    assert attempts_in_words(sampled) == ""
    very_many(monkeypatch, 400 * N)
    direct = fit(
        "grouped_normal", table(), POOLED, sampling=SAMPLING, engine=choose("stanli"), store=FitStore(tmp_path)
    )
    assert (direct.direct, direct.n_draws, sampled.direct) == (True, 1000, False)
    words = attempts_in_words(direct)
    assert (
        "100 of 250 draws of each chain, at equal distances, stand for all in scores and replications of 6,000" in words
    )
    for name in ("mu", "tau", "sigma"):
        ours, theirs = direct.draws(name)[name], sampled.draws(name)[name]
        assert abs(ours.mean() - theirs.mean()) < 5 * theirs.std() / np.sqrt(400)
        assert 0.8 < ours.std() / theirs.std() < 1.25


@pytest.mark.parametrize("variant", [COMPLETE, UNPOOLED])
def test_independent_draws_of_very_many_rows_are_those_that_a_sampler_draws(variant: str, tmp_path: Path) -> None:
    sampled = fitted(variant)
    store = FitStore(tmp_path)
    known = fit("grouped_normal", table(), variant, sampling=SAMPLING, engine=choose("stanli"), store=store)
    assert (known.independent, sampled.independent, known.n_draws) == (True, False, 1000)
    for name, values in known.draws().items():
        ours, theirs = values.reshape(1000, -1), sampled.draws(name)[name].reshape(1000, -1)
        sd = theirs.std(axis=0)
        # A sampler's 1,000 draws of a value are worth 300 at least; of the group of one row the sd has heavy tails.
        apart = np.abs(np.median(ours, axis=0) - np.median(theirs, axis=0)) / sd
        assert apart.max() < 5 * 1.25 * np.sqrt(1 / 300 + 1 / 1000)
        widths = [np.ptp(np.quantile(some, [0.1, 0.9], axis=0), axis=0) for some in (ours, theirs)]
        assert np.max(np.abs(np.log(widths[0] / widths[1]))) < 0.35
    # The sd of all rows, or of a group's, about its own: chi-square of many rows.
    draws = evidence.independent(np.random.default_rng(1), sampled.data, variant, 100_000)
    assert draws is not None
    of_groups = evidence.statistics(sampled.data)
    n, _, ss = (np.atleast_1d(a) for a in (evidence._of_all(of_groups) if variant == COMPLETE else of_groups))
    sd = draws["sigma" if variant == COMPLETE else "sigma_group"].reshape(100_000, -1)
    many = n > 300
    spread = np.std(np.log(sd), axis=0)[many] * np.sqrt(2 * n[many])
    assert many.any()
    np.testing.assert_allclose(spread, 1, atol=0.02)
    np.testing.assert_allclose(np.median(sd, axis=0)[many], np.sqrt(ss[many] / (n[many] - 1)), rtol=0.01)


_BLOCKS = test_rows_scored_block_by_block_have_the_scores_of_all_at_once
_THINNED = test_of_very_many_rows_some_draws_at_equal_distances_stand_for_all
_LOGO = test_what_complete_pooling_says_of_a_group_that_is_left_out_is_what_importance_weights_say
_KNOWN = test_very_many_rows_are_known_by_their_hash_and_named_when_asked


def _scores(variant: str) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: _BLOCKS(variant, patch)


def _density(patch: pytest.MonkeyPatch) -> None:
    test_a_program_that_is_handed_its_sums_has_the_log_density_to_the_last_bit("grouped_normal", patch)


def _known(_patch: pytest.MonkeyPatch) -> None:
    with TemporaryDirectory() as folder:
        test_independent_draws_of_very_many_rows_are_those_that_a_sampler_draws(UNPOOLED, Path(folder))


PLANTED: dict[str, tuple[Any, str, str, str, Callable[..., None]]] = {
    "rows of the first block again and again": (
        densities.RowsAsked, "__getitem__", "self._some_rows(self._data, rows)",
        "self._some_rows(self._data, slice(0, rows.stop - rows.start) if isinstance(rows, slice) else rows)",
        _scores(POOLED)),
    "a block one row too far": (
        densities.RowsAsked, "__getitem__", "self._some_rows(self._data, rows)",
        "self._some_rows(self._data, (np.arange(self.shape[1])[rows] + 1) % self.shape[1])", _scores(UNPOOLED)),
    "rows of a block in the wrong order": (
        densities.RowsAsked, "__getitem__", "return values", "return values[:, ::-1]", _scores(POOLED)),
    "a block that is skipped": (
        densities, "log_mean_density", "portions(units, n_draws, _AVERAGED)",
        "list(portions(units, n_draws, _AVERAGED))[1:]", _scores(COMPLETE)),
    "statistics of the block's own rows": (
        evidence, "some_rows", '"of_groups": statistics(data)',
        '"of_groups": statistics({"J": data["J"], "y": y, "group_idx": group})', _scores(POOLED)),
    "the first draws for those at equal distances": (
        tree, "thinned", "spaced_places(draws, size)", "np.arange(draws)", _THINNED),
    "all draws that were held where all are asked for": (
        Fit, "of_rows", "every=self.chains", "every=thinned(self.named, some)", _THINNED),
    "rows given their own value": (
        evidence, "exact_logo", "mean - others", "mean - overall", _LOGO),
    "squares about the mean of the next group": (
        engine_sums, "_rows", "centre[index - 1]", "np.roll(centre, 1)[index - 1]", _density),
    "sums that are not divided": (
        engine_sums, "_summed", "sums = sums / np.asarray", "sums = sums + 0 * np.asarray", _density),
    "a location without its own error": (
        evidence, "independent", "rng.standard_normal(sd.shape)", "0.0",
        _known),
    "groups that count once": (
        r_squared, "_rows", "counts.astype(float)", "np.ones(len(counts))",
        test_r_squared_of_groups_by_their_sizes_is_that_of_all_rows),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, function, right, wrong, test = PLANTED[name]
    for variant in (COMPLETE, UNPOOLED, POOLED):  # before the fault
        fitted(variant)
    Planted(owner=owner, name=function, right=right, wrong=wrong, test=test).plant(monkeypatch)
    # Another module, or the family, may have the function by its name.
    for module in ("fit", "leave_one_out", "tree"):
        there = import_module(f"hbm_stan.{module}")
        if function in vars(there):
            monkeypatch.setattr(there, function, vars(owner)[function])
    family = families()["grouped_normal"]
    for part in (family.twin, family.groups, family.programs, fitted(POOLED).family.programs):
        if function in vars(part):
            monkeypatch.setitem(vars(part), function, vars(owner)[function])
    with pytest.raises((AssertionError, ValueError, HbmError, RuntimeWarning)), pytest.MonkeyPatch.context() as own:
        test(own) if inspect.signature(test).parameters else test()
