"""The tree of a fit: dims and labels, and what is drawn after sampling where a table is large."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hbm_stan import diagnose
from hbm_stan.attempts import attempts_in_words, fit
from hbm_stan.checks import check
from hbm_stan.data import Dataset
from hbm_stan.densities import log_lik_of
from hbm_stan.draw import fit_of_draws
from hbm_stan.engines import Engine, EngineDraws, Sampling
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.errors import StorageError
from hbm_stan.executor.travel import packed, unpacked
from hbm_stan.families import families, family
from hbm_stan.fit import Fit, jobs_of, prepare_table
from hbm_stan.generated import complete
from hbm_stan.leave_one_out import loo
from hbm_stan.model import Draws, StanData
from hbm_stan.store import FitStore
from hbm_stan.verdicts import PREDICTIVE_CHECK

SAMPLING = Sampling(draws=1000, seed=20261121)


def dataset(n: int = 60) -> Dataset:
    rng = np.random.default_rng(2)
    g = np.arange(n) % 6
    frame = pd.DataFrame({"g": [f"g{i}" for i in g], "y": rng.normal(g, 2.0), "x": rng.normal(size=n)})
    return Dataset.from_frame(frame, group="g", outcome="y", predictors=["x"])


def test_groups_terms_and_rows_have_their_names(stanli: Engine) -> None:
    regression_fit = fit("linear_regression", dataset(), sampling=SAMPLING, engine=stanli)
    theta = regression_fit.tree["posterior"]["theta"]
    assert theta.dims == ("chain", "draw", "group", "term")
    assert theta.sel(group="g3", term="x").shape == (4, 1000)
    assert regression_fit.tree["log_likelihood"]["y"].dims == ("chain", "draw", "observation")
    assert regression_fit.tree["posterior_predictive"]["y"].coords["observation"].values.tolist() == list(range(1, 61))
    names = set(check(regression_fit).summary.index)
    assert {"mu[intercept]", "mu[x]", "tau[x]", "theta[g3, x]", "sigma"} <= names


@pytest.mark.parametrize("variant", ["complete_pooling", "no_pooling", "partial_pooling", "partial_pooling_centered"])
def test_what_is_drawn_afterwards_is_what_the_program_draws(
    stanli: Engine, monkeypatch: pytest.MonkeyPatch, variant: str
) -> None:
    # A user's own family has its program generate all of it.
    own = replace(family("grouped_normal"), source="somewhere")
    small = fit(own, dataset().with_columns({"group": "g", "outcome": "y"}), variant, engine=stanli)
    monkeypatch.setattr("hbm_stan.tree.MANY_ROWS", 10)
    large = fit("grouped_normal", dataset().with_columns({"group": "g", "outcome": "y"}), variant, engine=stanli)
    assert (small.data["generate"], large.data["generate"]) == (1, 0)
    assert small.key != large.key
    one, other = small.tree["posterior"]["theta"], large.tree["posterior"]["theta"]
    assert one.dims == other.dims
    effects = [np.asarray(theta).reshape(4000, -1) for theta in (one, other)]
    for mine, theirs in (effects, [log_lik_of(fitted)[:, :] for fitted in (small, large)]):
        se = np.hypot(mine.std(axis=0), theirs.std(axis=0)) / np.sqrt(300)
        assert (np.abs(mine.mean(axis=0) - theirs.mean(axis=0)) / (se + 1e-12)).max() < 5
    assert loo(large).elpd == pytest.approx(loo(small).elpd, abs=1.0)
    if variant != "complete_pooling":
        verdicts = [next(v for v in check(whole).verdicts if v.name == PREDICTIVE_CHECK) for whole in (small, large)]
        assert [v.status for v in verdicts] == ["pass", "pass"]
        assert verdicts[0].value == pytest.approx(verdicts[1].value, abs=0.1)


@pytest.mark.parametrize("family_name", ["grouped_normal", "linear_regression"])
def test_rows_of_small_tables_are_made_when_they_are_asked_for_and_not_kept(
    stanli: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family_name: str
) -> None:
    data, store = dataset().with_columns({"group": "g", "outcome": "y"}), FitStore(tmp_path)
    data = dataset() if family_name == "linear_regression" else data
    small = fit(family_name, data, sampling=SAMPLING, engine=stanli, store=store)
    assert small.data["generate"] == 0
    assert not small.rows_on_request
    stored = store.read("partial_pooling", small.key)
    assert stored is not None
    assert set(stored.named) == {"posterior", "sample_stats", "observed_data", "constant_data"}
    assert "theta" in stored.named["posterior"]
    np.testing.assert_allclose(log_lik_of(small), small.family.need("pointwise", "")(small.draws(), small.data))
    # Read again, and one before the other: the same numbers.
    again = fit(family_name, data, sampling=SAMPLING, engine=stanli, store=store)
    assert again.reused
    for group in ("posterior_predictive", "log_likelihood"):
        np.testing.assert_array_equal(small.named[group]["y"].values, again.named[group]["y"].values)
        np.testing.assert_array_equal(small.tree[group]["y"].values, again.named[group]["y"].values)
    # Replications are of their own draws: they follow the expected value of their row, and differ between chains.
    y_rep = small.named["posterior_predictive"]["y"].values
    theta = small.named["posterior"]["theta"].values
    if family_name == "grouped_normal":
        row = int(np.flatnonzero(small.table.pooled.level == 5)[0])
        assert np.corrcoef(y_rep[:, :, row].ravel(), theta[:, :, 5].ravel())[0, 1] > 0.1
    assert (y_rep[0] != y_rep[1]).all()
    # Whoever looks at parameters alone waits for no row.
    monkeypatch.setattr("hbm_stan.tree.drawn_rows", lambda *_args: pytest.fail("made though nobody asked"))
    unread = fit(family_name, data, sampling=SAMPLING, engine=stanli, store=store)
    assert "sigma" in diagnose.check(unread).summary.index
    assert "log_likelihood" in unread.named
    # Nor does one who sends the fit to another process: they are made there, if somebody asks.
    sent = packed(unread)
    monkeypatch.undo()
    assert len(sent) < 2 * len(packed(unread.named["posterior"])) + 200_000
    np.testing.assert_array_equal(unpacked(sent).named["posterior_predictive"]["y"].values, y_rep)


def test_effects_of_groups_are_drawn_each_about_its_own(stanli: Engine) -> None:
    data = dataset().with_columns({"group": "g", "outcome": "y"})
    grouped_fit = fit("grouped_normal", data, engine=stanli)
    # As many draws of groups as of the population, in their order: each about its own.
    draws = grouped_fit.draws("mu", "tau", "theta", "sigma")
    around = (draws["theta"] - draws["mu"][:, None]).mean(axis=1)
    expected = (grouped_fit.y.mean() - draws["mu"]) * draws["tau"] ** 2 / (draws["tau"] ** 2 + draws["sigma"] ** 2 / 10)
    assert np.corrcoef(around, expected)[0, 1] > 0.5


def test_programs_of_the_user_give_what_they_generate_on_every_engine() -> None:
    own = replace(family("grouped_normal"), source="somewhere")
    data = dataset().with_columns({"group": "g", "outcome": "y"})
    (job,) = jobs_of(own, data, ("partial_pooling",), None, SAMPLING, StanliEngine())
    assert job.data["generate"] == 1


def test_of_a_large_table_is_kept_what_was_sampled_and_the_rest_is_the_same_again(
    stanli: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("hbm_stan.tree.MANY_ROWS", 10)
    monkeypatch.setattr("hbm_stan.portions.AT_ONCE", 4000)  # 66 draws of 60 rows at once
    store = FitStore(tmp_path)
    asked: dict[str, Any] = {"sampling": SAMPLING, "engine": stanli, "store": store}
    first, again = (fit("linear_regression", dataset(), **asked) for _ in range(2))
    assert (first.reused, again.reused) == (False, True)
    for name, values in first.draws().items():
        np.testing.assert_array_equal(values, again.draws(name)[name])
    stored = store.read("partial_pooling", first.key)
    assert stored is not None
    assert set(stored.named) == {"posterior", "sample_stats", "observed_data", "constant_data"}
    assert "theta" not in stored.named["posterior"]
    assert "theta" in first.tree["posterior"]
    # Blocks or not, in memory or on the disk: the same log densities, of these draws.
    direct = first.family.need("pointwise", "")(first.draws(), first.data)
    np.testing.assert_array_equal(log_lik_of(again)[:, :], direct)
    together = all_rows_together(again)
    np.testing.assert_array_equal(log_lik_of(together), direct)
    monkeypatch.setattr("hbm_stan.scratch.IN_MEMORY", 1000)
    on_disk = log_lik_of(together)
    assert isinstance(on_disk, np.memmap)
    np.testing.assert_array_equal(on_disk, direct)


def all_rows_together(given: Fit) -> Fit:
    """The same fit of a family that gives no density of some rows alone."""
    twin = replace(given.family.twin, some_rows=None)
    return replace(given, named=given.named, family=replace(given.family, twin=twin))


def test_a_disk_without_room_for_log_densities_is_said(stanli: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hbm_stan.tree.MANY_ROWS", 10)
    regression_fit = all_rows_together(fit("linear_regression", dataset(), sampling=SAMPLING, engine=stanli))
    monkeypatch.setattr("hbm_stan.scratch.IN_MEMORY", 1000)

    def full(_folder: Path, _size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hbm_stan.scratch.try_to_write", full)
    with pytest.raises(StorageError, match=r"60 units \(No space left on device.*TMPDIR"):
        loo(regression_fit)


def test_a_family_may_draw_more_than_group_effects_afterwards() -> None:
    grouped = family("grouped_normal")
    table = prepare_table(grouped, dataset().with_columns({"group": "g", "outcome": "y"}))
    data = grouped.stan_data(table, grouped.priors(table), "partial_pooling", generate=False)
    population = {name: np.full((2, 5), value) for name, value in (("mu", 1.0), ("tau", 2.0), ("sigma", 1.0))}

    def both(rng: np.random.Generator, draws: Draws, given: StanData) -> dict[str, np.ndarray]:
        return {
            "theta": grouped.need("draw_groups", "")(rng, draws, given),
            "effect": draws["mu"][:, None] + np.arange(3),
        }

    alone = complete(grouped, data, population, seed=3)
    more = complete(grouped.with_fields(draw_groups=both), data, population, seed=3)
    assert more["effect"].shape == (2, 5, 3)
    for name, values in alone.items():
        np.testing.assert_array_equal(values, more[name])


def test_what_is_drawn_afterwards_is_held_once() -> None:
    """Chains that are put together at the end would be held twice."""
    shape, size = (50, 1000), 8 * 4 * 50 * 1000
    family = families()["grouped_normal"].with_fields(
        draw_groups=lambda _rng, _draws, _data: np.ones(shape),
        pointwise=lambda _draws, _data: np.ones(shape),
        simulate=lambda _rng, _draws, _data: np.ones(shape),
    )
    tracemalloc.start()
    draws = complete(family, {}, {"mu": np.zeros((4, 50))}, seed=1)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert {name: v.shape for name, v in draws.items()} == dict.fromkeys(("theta", "log_lik", "y_rep"), (4, *shape))
    assert held >= 3 * size
    assert peak < held + size


def estimates_of_groups(groups: int = 40) -> Dataset:
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"g": [f"g{i}" for i in range(groups)], "y": rng.normal(3, 2, groups)})
    frame["se"] = rng.uniform(0.3, 3.0, groups)
    frame = frame.sample(frac=1, random_state=1)
    return Dataset.from_frame(frame, group="g", estimate="y", standard_error="se")


def moved_from(first: Fit, other: Fit) -> float:
    """The largest difference of means and of sds of two fits, in Monte Carlo errors of 4,000 draws."""
    one, two = (fit.draws("theta")["theta"] for fit in (first, other))
    means = np.abs(one.mean(axis=0) - two.mean(axis=0)) / np.hypot(one.std(axis=0), two.std(axis=0))
    sds = np.abs(np.log(one.std(axis=0) / two.std(axis=0)))
    return float(np.maximum(means, sds).max() * np.sqrt(4000))


def test_what_has_a_known_posterior_needs_no_sampler_where_a_table_is_large(
    stanli: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = estimates_of_groups()
    asked: dict[str, Any] = {"sampling": SAMPLING, "engine": stanli, "priors": {"theta": "normal(0, 1)"}}
    small = fit("normal_means", data, "no_pooling", **asked)
    monkeypatch.setattr("hbm_stan.tree.MANY_GROUPS", 10)
    asked["store"] = FitStore(tmp_path)
    large, again = (fit("normal_means", data, "no_pooling", **asked) for _ in range(2))
    assert (small.independent, large.independent, again.reused) == (False, True, True)
    np.testing.assert_array_equal(large.draws("theta")["theta"], again.draws("theta")["theta"])
    # 80 comparisons of chains that are all but independent: the largest of so many normal ones.
    assert moved_from(large, small) < 5
    assert [v for v in check(large, model=False).verdicts if v.status != "pass"] == []
    assert attempts_in_words(large) == (
        "no_pooling: its posterior is known; the draws are independent ones of it, without a sampler."
    )
    assert attempts_in_words(small) == ""
    # Draws of a sampler, as a long run or an earlier version has them, are left as they are.
    job = jobs_of(large.family, data, ["no_pooling"], asked["priors"], SAMPLING, stanli)[0]
    theta = np.zeros((4, 1000, 40))
    stats = {name: values.values for name, values in small.tree["sample_stats"].data_vars.items()}
    np.testing.assert_array_equal(fit_of_draws(job, EngineDraws({"theta": theta}, stats), SAMPLING).draws()["theta"], 0)
    # Partial pooling is sampled, at any size.
    assert not fit("normal_means", data, "partial_pooling", **asked).independent
    # Planted fault: the prior is forgotten.
    drawn: Any = large.family.programs.independent
    flat = large.family.with_fields(independent=lambda rng, d, v, n: drawn(rng, {**d, "prior_theta": [0.0, 1e6]}, v, n))
    assert moved_from(fit(flat, data, "no_pooling", **asked | {"store": FitStore(tmp_path / "f")}), small) > 5
