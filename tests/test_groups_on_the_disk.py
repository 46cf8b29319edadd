"""Effects of groups that are too many for memory: on the disk and in blocks they give what they give in memory.

Bounds are set low, so that forty groups are too many. Each comparison fails by a planted fault.
"""

from __future__ import annotations

import inspect
import mmap
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_statistics_of_checks import Planted
from test_tree import SAMPLING, estimates_of_groups
from test_very_many_groups import counts_of_groups

from hbm_stan import densities, generated, group_means, independent, memory, mixing, psis, replicate
from hbm_stan.attempts import fit
from hbm_stan.checks import check
from hbm_stan.data import Dataset
from hbm_stan.engines import choose
from hbm_stan.errors import ModelError, StorageError
from hbm_stan.export import write_draws
from hbm_stan.families import families
from hbm_stan.fit import Fit, prepare_table
from hbm_stan.group_means import GroupMeans
from hbm_stan.leave_one_out import loo
from hbm_stan.predict import shrinkage_table
from hbm_stan.results import excerpts
from hbm_stan.scratch import give_back, room
from hbm_stan.sensitivity import influence as influences
from hbm_stan.sensitivity.power import likelihood_component

predict = import_module("hbm_stan.predict")  # hbm_stan.predict is the function
POOLED, UNPOOLED, COMPLETE = "partial_pooling", "no_pooling", "complete_pooling"
COLUMNS = {"beta_binomial": {"successes": "y", "trials": "n"}, "gamma_poisson": {"count": "y", "exposure": "n"}}
FAMILIES = ("normal_means", *COLUMNS)


def many(patch: pytest.MonkeyPatch) -> None:
    """Forty groups are very many: 200 draws of each chain are held."""
    patch.setattr("hbm_stan.tree.MANY_GROUPS", 10)
    patch.setattr("hbm_stan.memory.MAX_GROUP_BYTES", 4 * 200 * 8 * 40)


def too_many(patch: pytest.MonkeyPatch) -> None:
    """And too many for memory: they lie on the disk, and blocks have 9 draws of all or 3 groups with all draws."""
    many(patch)
    patch.setattr("hbm_stan.scratch.IN_MEMORY", 1000)
    patch.setattr("hbm_stan.generated.WHOLE_CHAIN", 1000)
    patch.setattr("hbm_stan.portions.WHOLE", 1000)
    for block in ("psis._READ", "densities._AVERAGED", "mixing._BLOCK"):
        patch.setattr(f"hbm_stan.{block}", 8 * 800)
    for module in ("portions", "generated"):
        patch.setattr(f"hbm_stan.{module}.AT_ONCE", 9 * 40 * (1 + 1 * (module == "portions")))


@cache
def data_of(family: str) -> Dataset:
    if family == "normal_means":
        return estimates_of_groups()
    return Dataset.from_frame(counts_of_groups(), group="g", **COLUMNS[family])


@cache
def in_memory(family: str, variant: str) -> Fit:
    with pytest.MonkeyPatch.context() as patch:
        many(patch)
        return fit(family, data_of(family), variant, sampling=SAMPLING, engine=choose("stanli"))


def on_disk(family: str, variant: str) -> Fit:
    return fit(family, data_of(family), variant, sampling=SAMPLING, engine=choose("stanli"))


def lies_on_disk(array: Any) -> bool:
    while isinstance(array, np.ndarray) and array.base is not None:
        array = array.base
    return isinstance(array, mmap.mmap)


@pytest.mark.parametrize("variant", [POOLED, UNPOOLED, COMPLETE])
@pytest.mark.parametrize("family", FAMILIES)
def test_draws_on_the_disk_are_those_in_memory_to_the_last_bit(
    family: str, variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = in_memory(family, variant)
    too_many(monkeypatch)
    blocks = on_disk(family, variant)
    assert set(blocks.draws()) == set(whole.draws())
    for name, values in whole.draws().items():
        np.testing.assert_array_equal(blocks.draws(name)[name], values)
    theta = blocks.tree["posterior"]["theta"].values
    assert theta.shape == (4, 200, 40)
    # What all groups share is held once; effects of groups are on the disk.
    assert (theta.strides[2] == 0) is (variant == COMPLETE)
    assert lies_on_disk(theta) is (variant != COMPLETE)
    energy = [np.asarray(f.chains["sample_stats"]["energy"]) for f in (blocks, whole)]
    np.testing.assert_allclose(*energy, rtol=1e-12)


def test_summaries_of_groups_on_the_disk_are_those_of_groups_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    many(monkeypatch)
    whole = {name: in_memory("normal_means", name) for name in (COMPLETE, UNPOOLED, POOLED)}
    tables, parts, summaries = (
        shrinkage_table(whole),
        figures(whole[POOLED]),
        [check(f).summary for f in whole.values()],
    )
    too_many(monkeypatch)
    blocks = {name: on_disk("normal_means", name) for name in whole}
    pd.testing.assert_frame_equal(shrinkage_table(blocks), tables, rtol=1e-12)
    for own, other in zip([check(f).summary for f in blocks.values()], summaries, strict=True):
        pd.testing.assert_frame_equal(own, other, rtol=1e-12)
    for name, values in figures(blocks[POOLED]).items():
        np.testing.assert_allclose(values, parts[name], rtol=1e-9, err_msg=name)


def figures(fit: Fit) -> dict[str, Any]:
    """Scores, log likelihoods, and how each group moves the population."""
    scored, moved = loo(fit), influences.influence(fit)
    return {
        "elpd": scored.elpd_i, "k": scored.pareto_k, "lppd": scored.lppd_i, "error": scored.mcse,
        "likelihood": likelihood_component(fit)[0], "moves": [row.moves["mu"] for row in moved.rows],
        "k of groups": [row.pareto_k for row in moved.rows], "groups": [int(row.group[1:]) for row in moved.rows],
    }  # fmt: skip


def test_neither_groups_on_the_disk_nor_log_densities_of_their_rows_count_as_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, sampling = families()["beta_binomial"], SAMPLING
    table = prepare_table(model, data_of("beta_binomial"))
    many(monkeypatch)
    before = memory.bytes_needed(model, table, (POOLED,), sampling)
    monkeypatch.setattr(memory, "IN_MEMORY", 1000)
    held = 8 * 4 * 200
    # Twice the effects of 40 groups lie in memory no more; log densities of 80 rows are worked on in blocks.
    assert memory.bytes_needed(model, table, (POOLED,), sampling) == before - 2 * held * 40


def test_draws_on_the_disk_are_no_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fits = {name: in_memory("normal_means", name) for name in (COMPLETE, POOLED)}
    monkeypatch.setattr("hbm_stan.export.IN_MEMORY", 40 * 800)
    write_draws(fits, tmp_path / "draws.csv")
    monkeypatch.setattr("hbm_stan.export.IN_MEMORY", 40 * 800 - 1)
    write_draws({COMPLETE: fits[COMPLETE]}, tmp_path / "draws.csv")  # has no column for each
    with pytest.raises(ModelError, match=r"draws of partial_pooling are too many .* 40 groups\. .*tables/groups\.csv"):
        write_draws(fits, tmp_path / "draws.csv")


def test_replicated_means_of_very_many_groups_are_at_equal_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hbm_stan.group_means.LEAST", 20)
    monkeypatch.setattr("hbm_stan.group_means.MEANS", 10)
    monkeypatch.setattr("hbm_stan.scratch.IN_MEMORY", 10)
    values = np.arange(100.0)[:, None] + np.array([0, 1000, 2000])
    held = GroupMeans(3, 50, 100, very_many=True)
    for start in range(0, 100, 7):
        block = held.chosen(values[start : start + 7])
        if len(block):
            held.hold(block)
    ends = held.quantiles([0, 0.5, 1])
    np.testing.assert_array_equal(ends, [[0, 1000, 2000], [47.5, 1047.5, 2047.5], [95, 1095, 2095]])


def test_intervals_of_replicated_groups_hold_few_of_many_replications(monkeypatch: pytest.MonkeyPatch) -> None:
    many(monkeypatch)
    pooled = in_memory("normal_means", POOLED)
    whole = replicate.predictive_check(pooled)
    monkeypatch.setattr("hbm_stan.scratch.IN_MEMORY", 1000)
    monkeypatch.setattr("hbm_stan.group_means.MEANS", 40)
    few = replicate.predictive_check(pooled)
    pd.testing.assert_frame_equal(few.statistics, whole.statistics)  # these are of all replications
    width = whole.groups["q95"] - whole.groups["q05"]
    for quantile in ("q05", "q25", "q50", "q75", "q95"):
        # The 5 % quantile of 400 normal draws has an error of a tenth of an sd, a thirtieth of the interval.
        apart = (few.groups[quantile] - whole.groups[quantile]) / width
        assert apart.abs().max() < 4 / 30
        assert (apart != 0).any()


def test_hundreds_of_replications_leave_more_groups_outside_their_intervals_than_a_tenth() -> None:
    rng = np.random.default_rng(3)
    few, held = GroupMeans(50_000, 40, 40, very_many=True), rng.normal(size=(40, 50_000))
    few.hold(few.chosen(held))
    low, high = few.quantiles([0.05, 0.95])
    y = rng.normal(size=50_000)
    share = np.mean((y < low) | (y > high))
    assert few.outside == pytest.approx(2 * 2.95 / 41)
    assert abs(share - few.outside) < 4 * np.sqrt(0.144 * 0.856 / 50_000)
    assert GroupMeans(8, 4000, 4000, very_many=False).outside == 0.1


def table_of(rows: int) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    terms = np.tile(["intercept", "x"], rows)
    return pd.DataFrame({"group": np.repeat(np.arange(rows), 2), "term": terms, "q50": rng.normal(size=2 * rows)})


def test_of_long_tables_both_ends_of_each_term_are_listed_in_the_order_of_the_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hbm_stan.results.excerpts.MOST_ROWS", 100)
    monkeypatch.setattr("hbm_stan.results.excerpts.AT_EITHER_END", 3)
    pd.testing.assert_frame_equal(excerpts.shrinkage_listed(table_of(50)), table_of(50))
    table = table_of(51)
    listed = excerpts.shrinkage_listed(table)
    assert listed.index.is_monotonic_increasing
    for term, own in table.groupby("term"):
        ordered = own.sort_values("q50")
        ends = pd.concat([ordered.head(3), ordered.tail(3)])
        assert set(listed[listed["term"] == term].index) == set(ends.index)
    groups = pd.DataFrame({"observed": np.arange(101.0), "q05": -1.0, "q50": 0.0, "q95": 1.0})
    groups.loc[50, ["q05", "q50", "q95"]] = (-300, -200, -100)  # far above an interval that is wide
    assert excerpts.replicated_listed(groups)["observed"].tolist() == [0, 1, 2, 98, 99, 100]
    groups.loc[50, ["q05", "q95"]] = (-200.5, -199.5)
    assert excerpts.replicated_listed(groups)["observed"].tolist() == [0, 1, 2, 50, 99, 100]


def test_arrays_on_the_disk_stay_what_they_are_when_memory_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hbm_stan.scratch.IN_MEMORY", 100)
    assert not lies_on_disk(room((10, 10), "x"))
    array = room((2, 3, 17), "x")
    array[:] = np.arange(102).reshape(2, 3, 17)
    view = np.asarray(array).reshape(6, 17)[1:]
    give_back(view, np.zeros(3))
    np.testing.assert_array_equal(view, np.arange(17, 102).reshape(5, 17))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux, which says what is resident")
def test_memory_is_given_back() -> None:
    def resident() -> int:
        line = next(s for s in Path("/proc/self/status").read_text().splitlines() if s.startswith("RssFile"))
        return 1024 * int(line.split()[1])

    before, array = resident(), room((2**16, 1025), "x")  # half a GiB and a little
    array[::2] = 1.0
    assert resident() - before > 2**27
    give_back(array)
    assert resident() - before < 2**24
    assert array[::2].sum() == 2**15 * 1025


def test_a_disk_without_room_for_draws_is_said_before_it_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hbm_stan.scratch.IN_MEMORY", 100)
    for name in ("hbm_stan.scratch.try_to_write", "os.posix_fallocate"):
        with monkeypatch.context() as patch:
            patch.setattr(name, full)
            with pytest.raises(StorageError, match=r"draws of 7 groups \(No space.*TMPDIR"):
                room((11, 10), "the draws of 7 groups")


def _draws(monkeypatch: pytest.MonkeyPatch) -> None:
    for variant in (POOLED, UNPOOLED):
        with monkeypatch.context() as own:
            test_draws_on_the_disk_are_those_in_memory_to_the_last_bit("normal_means", variant, own)


_SUMMARIES = test_summaries_of_groups_on_the_disk_are_those_of_groups_in_memory
_DISTANCES = test_replicated_means_of_very_many_groups_are_at_equal_distances
_LISTED = test_of_long_tables_both_ends_of_each_term_are_listed_in_the_order_of_the_table
PLANTED: dict[str, tuple[Any, str, str, str, Callable[..., None]]] = {
    "each block of a known posterior anew from the seed": (
        independent, "independent_draws", "independent(rng,", "independent(np.random.default_rng([seed, 2]),", _draws),
    "a known posterior whose blocks are swapped": (
        independent, "independent_draws", "given[name][part] = some",
        "given[name][size - part.stop : size - part.start] = some", _draws),
    "a known posterior of another variant": (
        independent, "independent_draws", "data, variant, part.stop", "data, 'complete_pooling', part.stop", _draws),
    "the energy of the last block alone": (
        independent, "independent_stats", "energy += 0.5", "energy = 0.5", _draws),
    "groups given the population of the first draws": (
        generated, "complete", "values[chain, part] for", "values[chain, : part.stop - part.start] for", _draws),
    "groups of each chain in the place of the first": (
        generated, "complete", "additions[name][chain, part]", "additions[name][0, part]", _draws),
    "a block of groups one draw too far": (
        generated, "complete", "additions[name][chain, part] = values",
        "additions[name][chain, part] = np.roll(values, 1, axis=0)", _draws),
    "log densities of each block in the place of the first": (
        densities, "evaluated", "values[part]", "values[: part.stop - part.start]", _SUMMARIES),
    "the total of the last block for that of all": (
        densities, "totals_of", "block.sum(axis=1) for _,", "block.sum(axis=1)[::-1] for _,", _SUMMARIES),
    "scores of the next block": (
        psis, "psis_loo", "log_lik[:, part]", "log_lik[:, : part.stop - part.start]", _SUMMARIES),
    "densities of the first block averaged for all": (
        densities, "log_mean_density", "log_density[:, some]", "log_density[:, : some.stop - some.start]", _SUMMARIES),
    "summaries of the first block for all": (
        mixing, "_in_blocks", "draws[some]", "draws[: some.stop - some.start]", _SUMMARIES),
    "means of groups without the last block": (
        predict, "_by_column", "figures(draws[:, some])", "figures(draws[:, some][:, ::-1])", _SUMMARIES),
    "the weight of the population over some draws": (
        predict, "_factor", "total / fit.n_draws", "total / fit.sampling.draws", _SUMMARIES),
    "moves of groups under the labels of the first block": (
        influences, "_weighted", "labels[some]", "labels[: some.stop - some.start]", _SUMMARIES),
    "replications at distances counted in each block": (
        group_means.GroupMeans, "chosen", "-self._seen % self._every", "0", _DISTANCES),
    "replicated means of a block before its place": (
        group_means.GroupMeans, "hold", "end - len(means) : end", "end - len(means) - 1 : end - 1", _DISTANCES),
    "the lowest twice for both ends": (
        excerpts, "_ends", "ordered[-AT_EITHER_END:]", "ordered[:AT_EITHER_END]", _LISTED),
    "ends of all terms together": (
        excerpts, "shrinkage_listed", 'table["term"] == term', 'table["term"] != ""', _LISTED),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, function, right, wrong, test = PLANTED[name]
    for family in FAMILIES[:1]:  # before the fault
        for variant in (POOLED, UNPOOLED, COMPLETE):
            in_memory(family, variant)
    Planted(owner=owner, name=function, right=right, wrong=wrong, test=test).plant(monkeypatch)
    # Another module may have the function by its name.
    for module in ("fit", "tree", "densities", "sensitivity.power", "sensitivity.influence", "leave_one_out"):
        there = import_module(f"hbm_stan.{module}")
        if function in vars(there):
            monkeypatch.setattr(there, function, vars(owner)[function])
    with pytest.raises((AssertionError, ValueError)), pytest.MonkeyPatch.context() as own:
        test(own) if inspect.signature(test).parameters else test()
