"""Very many groups: some draws of each are held, all draws of the population are kept and checked."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_tree import SAMPLING, estimates_of_groups, moved_from

from hbm_stan import plots
from hbm_stan.attempts import attempts_in_words, fit
from hbm_stan.checks import check
from hbm_stan.compare import compare
from hbm_stan.data import Dataset
from hbm_stan.engines import Engine, Sampling
from hbm_stan.errors import NotDirectError
from hbm_stan.export import draws_table
from hbm_stan.families import families
from hbm_stan.fit import prepare_table
from hbm_stan.memory import held_bytes, held_draws
from hbm_stan.portions import drawn_places
from hbm_stan.precision import precision_of
from hbm_stan.report.words import drawn_in_words
from hbm_stan.results.draw_tables import rank_table
from hbm_stan.store import FitStore


def test_of_very_many_groups_some_draws_are_held_and_the_population_is_checked_by_all(
    stanli: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = estimates_of_groups()
    asked: dict[str, Any] = {"sampling": SAMPLING, "engine": stanli, "store": FitStore(tmp_path)}
    monkeypatch.setattr("hbm_stan.tree.MANY_GROUPS", 10)
    names = ("complete_pooling", "no_pooling", "partial_pooling")
    whole = {name: fit("normal_means", data, name, **asked) for name in names}
    monkeypatch.setattr("hbm_stan.memory.MAX_GROUP_BYTES", 4 * 200 * 8 * 40)  # 200 draws a chain of 40 groups
    some = {name: fit("normal_means", data, name, **asked) for name in names}
    assert [f.shape for f in whole.values()] == [(4, 1000)] * 3
    assert [(f.shape, f.n_draws, f.reused) for f in some.values()] == [((4, 200), 800, True)] * 3
    pooled, thin = whole["partial_pooling"], some["partial_pooling"]
    # Every fifth draw of a chain, its last one among them; groups are drawn from the population of the same draw.
    np.testing.assert_array_equal(thin.tree["posterior"]["mu"], pooled.tree["posterior"]["mu"][:, 4::5])
    np.testing.assert_array_equal(thin.chains["posterior"]["mu"], pooled.tree["posterior"]["mu"])
    for name in names:
        # Means of 800 draws beside those of 4,000, in errors of the former; 40 groups of each variant.
        assert moved_from(some[name], whole[name]) * np.sqrt(800 / 4000) < 5
    before, after = check(pooled, model=False), check(thin, model=False)
    population = ["mu", "tau"]
    pd.testing.assert_frame_equal(after.summary.loc[population], before.summary.loc[population])
    assert list(after.summary.index) == list(before.summary.index)
    assert after.summary.drop(index=population)[["ess_bulk", "rhat"]].isna().all(axis=None)
    assert [v.status for v in after.verdicts] == ["pass"] * len(before.verdicts)
    assert "of its 40 groups 200 of 1,000 draws of each chain are held" in attempts_in_words(thin)
    assert [v.name for v in check(some["no_pooling"], model=False).verdicts][:1] == ["divergences"]
    assert len(draws_table({"partial_pooling": thin})) == 800
    # What is known needs no more draws, and has no chains to be ranked.
    assert precision_of(some).variant == "partial_pooling"
    assert rank_table(some["no_pooling"], check(some["no_pooling"], model=False).summary).empty
    scores = compare(some).pointwise["partial_pooling"]
    assert abs(sum(scores.elpd_i) - sum(compare(whole).pointwise["partial_pooling"].elpd_i)) < 0.5


def test_a_population_that_did_not_mix_is_seen_where_few_draws_are_held(
    stanli: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A planted fault: one chain elsewhere in the draws that are not held fails the checks all the same."""
    monkeypatch.setattr("hbm_stan.tree.MANY_GROUPS", 10)
    monkeypatch.setattr("hbm_stan.memory.MAX_GROUP_BYTES", 4 * 200 * 8 * 40)
    fitted = fit("normal_means", estimates_of_groups(), sampling=SAMPLING, engine=stanli)
    assert fitted.every is not None
    posterior = fitted.every["posterior"]
    mu, off = posterior["mu"].values.copy(), np.arange(1000) % 5 != 4
    mu[0, off] += 10 * mu.std()
    elsewhere = replace(posterior, arrays={**posterior.arrays, "mu": (posterior["mu"].dims, mu)})
    moved = replace(fitted, every=fitted.every.changed(posterior=elsewhere))
    np.testing.assert_array_equal(moved.draws("mu")["mu"], fitted.draws("mu")["mu"])
    assert {v.name for v in check(moved, model=False).failed} >= {"R-hat", "bulk ESS"}


def test_the_population_of_very_many_groups_is_drawn_directly_and_else_sampled_with_the_reason(
    stanli: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = estimates_of_groups()
    asked: dict[str, Any] = {"sampling": SAMPLING, "engine": stanli}
    stores = [FitStore(tmp_path / name) for name in "abc"]
    sampled = fit("normal_means", data, store=stores[0], **asked)
    monkeypatch.setattr("hbm_stan.tree.MANY_GROUPS", 10)
    monkeypatch.setattr("hbm_stan.memory.MAX_GROUP_BYTES", 4 * 200 * 8 * 40)
    direct = fit("normal_means", data, store=stores[1], **asked)
    assert (direct.direct, direct.engine, sampled.direct) == (True, "stanli", False)
    for name in ("mu", "tau"):
        ours, theirs = (np.asarray(f.chains["posterior"][name]).ravel() for f in (direct, sampled))
        # In errors of the sampler's mean, whose draws are worth a thousand at least.
        assert abs(ours.mean() - theirs.mean()) < 4 * theirs.std() / np.sqrt(1000)
    assert "by importance weights" in attempts_in_words(direct)

    def none(*_args: Any, **_named: Any) -> None:
        raise NotDirectError("a planted reason")

    monkeypatch.setattr("hbm_stan.engines.direct.DirectEngine.sample", none)
    other = fit("normal_means", data, store=stores[2], **asked)
    assert not other.direct
    assert np.asarray(other.chains["sample_stats"]["n_steps"]).all()  # a sampler took steps
    assert "cannot be had (a planted reason); the embedded engine sampled it" in attempts_in_words(other)


def test_as_many_draws_are_held_as_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    family = families()["normal_means"]
    table = prepare_table(family, estimates_of_groups(1200))
    variant, one = "partial_pooling", 4 * 8 * 1200
    for room, held in ((1000 * one, 1000), (1000 * one - 1, 999), (500 * one + 1, 500), (one, 100), (0, 100)):
        monkeypatch.setattr("hbm_stan.memory.MAX_GROUP_BYTES", room)
        assert held_draws(family, table, variant, Sampling()) == held
        assert held_bytes(family, table, variant, Sampling()) == held * one
    # 400 of all chains together are the fewest; fewer than were asked for are never more.
    assert held_draws(family, table, variant, Sampling(chains=3)) == 134
    assert held_draws(family, table, variant, Sampling(draws=50)) == 50
    # A small table is there whole, and what a program samples of groups.
    few = prepare_table(family, estimates_of_groups(40))
    assert held_draws(family, few, variant, Sampling()) == 1000


def counts_of_groups(groups: int = 40) -> pd.DataFrame:
    """Two rows a group, of unequal sizes, in a random order."""
    rng = np.random.default_rng(6)
    rate, size = np.repeat(rng.beta(4, 8, groups), 2), rng.integers(3, 40, 2 * groups)
    frame = pd.DataFrame({"g": [f"g{i // 2}" for i in range(2 * groups)], "y": rng.binomial(size, rate), "n": size})
    return frame.sample(frac=1, random_state=2)


@pytest.mark.parametrize("variant", ["complete_pooling", "no_pooling"])
@pytest.mark.parametrize("name", ["normal_means", "beta_binomial", "gamma_poisson"])
def test_conjugate_posteriors_of_large_tables_are_those_that_a_sampler_draws(
    name: str, variant: str, stanli: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    columns = {
        "beta_binomial": {"successes": "y", "trials": "n"}, "gamma_poisson": {"count": "y", "exposure": "n"},
    }  # fmt: skip
    data = (
        estimates_of_groups()
        if name == "normal_means"
        else Dataset.from_frame(counts_of_groups(), group="g", **columns[name])
    )
    asked: dict[str, Any] = {"sampling": SAMPLING, "engine": stanli}
    sampled = fit(name, data, variant, **asked, store=FitStore(tmp_path / "sampled"))
    monkeypatch.setattr("hbm_stan.tree.MANY_GROUPS", 10)
    known = fit(name, data, variant, **asked, store=FitStore(tmp_path / "known"))
    assert (sampled.independent, known.independent) == (False, True)
    assert moved_from(known, sampled) < 5
    assert set(check(known, model=False).summary.index) == set(check(sampled, model=False).summary.index)
    assert [v for v in check(known, model=False).verdicts if v.status != "pass"] == []


def test_figures_draw_some_of_very_many_groups_and_captions_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawn_places(3000).tolist() == list(range(3000))
    places = drawn_places(10_000)
    assert (len(places), places[0], places[-1]) == (3000, 0, 9999)
    assert set(np.diff(places)) == {3, 4}
    monkeypatch.setattr("hbm_stan.portions.MOST_DRAWN", 50)
    monkeypatch.setattr(sys.modules["hbm_stan.report.words"], "MOST_DRAWN", 50)
    rng, n = np.random.default_rng(1), 400
    middle = rng.normal(size=n)
    groups = pd.DataFrame({"group": [f"g{i}" for i in range(n)], "raw": middle * 1.5, "rows": rng.integers(1, 9, n)})
    groups = groups.assign(q05=middle - 2, q25=middle - 1, q50=middle, q75=middle + 1, q95=middle + 2)
    left, right = plots.plot_strips([{"groups": groups, "words": "effect", "unit": ""}], "site", "sites").draw().axes
    dots = next(line for line in left.lines if line.get_marker() == ".")
    assert dots.get_xdata().tolist() == (drawn_places(n) + 1).tolist()  # the places among all 400
    assert dots.get_ydata().tolist() == np.sort(middle)[drawn_places(n)].tolist()
    assert len(right.lines[-1].get_xdata()) == 50
    assert "50 of the 400 sites are drawn" in drawn_in_words(400, "sites")
    assert drawn_in_words(50, "sites") == ""


def test_what_very_many_groups_will_take_is_said_before_they_are_fitted(
    stanli: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: dict[str, Any] = {"sampling": SAMPLING, "engine": stanli, "store": FitStore(tmp_path)}
    lines: list[str] = []
    few = {**asked, "store": FitStore(tmp_path / "few")}
    fit("normal_means", estimates_of_groups(), **few, say=lines.append)
    assert not any("of memory" in line for line in lines)
    monkeypatch.setattr("hbm_stan.tree.MANY_GROUPS", 10)
    monkeypatch.setattr("hbm_stan.memory.MAX_GROUP_BYTES", 4 * 200 * 8 * 40)
    monkeypatch.setattr("hbm_stan.memory.IN_MEMORY", 1000)
    for sentences in (1, 0):  # nothing is said of what is there already
        lines.clear()
        fit("normal_means", estimates_of_groups(), **asked, say=lines.append)
        words = [line for line in lines if "of memory" in line]
        assert len(words) == sentences
    lines.clear()
    fit("normal_means", estimates_of_groups(), "no_pooling", **asked, say=lines.append)
    assert lines[0].startswith("Of 40 groups 800 of 4,000 draws are held. A report of 1 variant takes about 1.5 GiB")
    assert re.search(r"the limit is 4\.0 GiB\), 0\.0 GiB of the disk in \S+ for a while, and some 1 minute ", lines[0])
