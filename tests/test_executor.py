"""Refits, folds, levels left out, alternatives and variants through one executor: the same numbers wherever made."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from distributed import LocalCluster
from typer.testing import CliRunner

import hbm_stan as hbm
from hbm_stan.attempts import fit, fit_variants, record_of_attempts
from hbm_stan.budget import Budget
from hbm_stan.cli.app import app
from hbm_stan.data import Dataset
from hbm_stan.engines import Sampling, choose
from hbm_stan.errors import DataError, EngineError, HbmError, ModelError
from hbm_stan.executor import answered, crew, in_turn, on_cluster, refused
from hbm_stan.executor.cluster import of_this_version, version
from hbm_stan.executor.processes import Processes
from hbm_stan.executor.travel import packed, stays_here, unpacked
from hbm_stan.families import families
from hbm_stan.fit import Fit, jobs_of
from hbm_stan.leave_one_out import loo
from hbm_stan.repair.folds import by_folds
from hbm_stan.repair.refits import exact_scores
from hbm_stan.sensitivity.influence import influence
from hbm_stan.store import FitStore

FEW = Sampling(chains=4, warmup=500, draws=1000, adapt_delta=0.95, seed=3)
MEANS = families()["normal_means"]


def silent(_text: str) -> None:
    pass


def schools(rows: int = 8) -> Dataset:
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(
        {"school": [f"s{i}" for i in range(rows)], "effect": 8 * rng.normal(size=rows), "error": 5 + rng.random(rows)}
    )
    return Dataset.from_frame(frame, group="school", estimate="effect", standard_error="error")


@pytest.fixture(scope="module")
def scheduler() -> Iterator[LocalCluster]:
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as local:
        yield local


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Fit:
    return fit(MEANS, schools(), sampling=FEW, engine="stanli", store=FitStore(tmp_path_factory.mktemp("fits")))


def scores_of(one: Fit, folder: Path, indices: tuple[int, ...] = (0, 2, 5)) -> list[Any]:
    return [score() for score in exact_scores(one, "observation", indices, FitStore(folder), silent)]


def test_exact_refits_of_a_cluster_are_those_of_this_process(scheduler: Any, whole: Fit, tmp_path: Path) -> None:
    here = scores_of(whole, tmp_path / "here")
    with on_cluster(scheduler.scheduler_address):
        there = scores_of(whole, tmp_path / "there")
        again = scores_of(whole, tmp_path / "there")
    assert there == here == again
    names = {path.name for path in (tmp_path / "here").glob("*.json")}
    assert len(names) == 3
    assert names == {path.name for path in (tmp_path / "there").glob("*.json")}


def test_exact_refits_of_processes_are_those_of_this_process(
    whole: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = scores_of(whole, tmp_path / "here")
    monkeypatch.setattr(crew, "cores", lambda: 4)
    monkeypatch.setattr(crew, "_LITTLE", 0.0)
    assert scores_of(whole, tmp_path / "there") == here


def test_folds_and_groups_left_out_are_the_same_on_a_cluster(
    scheduler: Any, whole: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No weight is reliable, so that every group is left out by a refit.
    monkeypatch.setattr(import_module("hbm_stan.sensitivity.influence"), "good_k", lambda _draws: -10.0)

    def numbers(folder: str) -> tuple[Any, Any]:
        scores = by_folds({"a": whole}, {"a": loo(whole)}, Budget(), FitStore(tmp_path / folder), silent)["a"]
        return scores.elpd_i.tolist(), influence(whole, max_refits=8).as_dict()

    here = numbers("here")
    assert {row["route"] for row in here[1]["rows"]} == {"refit"}
    with on_cluster(scheduler.scheduler_address):
        assert numbers("there") == here


def test_variants_of_a_cluster_are_those_of_this_process(scheduler: Any, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"sampling": FEW, "engine": "stanli"}
    here = fit_variants(MEANS, schools(), store=FitStore(tmp_path / "here"), **settings)
    told: list[str] = []
    with on_cluster(scheduler.scheduler_address):
        there = fit_variants(MEANS, schools(), store=FitStore(tmp_path / "there"), say=told.append, **settings)
    for name, one in here.items():
        assert (one.key, one.reused, one.reason) == (there[name].key, there[name].reused, there[name].reason)
        for variable, draws in one.draws().items():
            np.testing.assert_array_equal(there[name].draws()[variable], draws)
    assert told == [f"{name}: sampling on the cluster (no earlier draws)" for name in here]


def toml(folder: Path) -> Path:
    rng = np.random.default_rng(5)
    rows = [f"s{i},{8 * rng.normal():.3f},{5 + rng.random():.3f}" for i in range(8)]
    (folder / "schools.csv").write_text("school,effect,error\n" + "\n".join(rows) + "\n")
    (folder / "analysis.toml").write_text(
        'family = "normal_means"\ndata = "schools.csv"\n[columns]\ngroup = "school"\nestimate = "effect"\n'
        'standard_error = "error"\n[sampling]\nseed = 3\nadapt_delta = 0.95\nengine = "stanli"\n'
    )
    return folder


def test_sensitivity_and_comparison_are_the_same_on_a_cluster(scheduler: Any, tmp_path: Path) -> None:
    texts = {}
    for place, more in (("here", []), ("there", ["--cluster", scheduler.scheduler_address])):
        (tmp_path / place).mkdir()
        folder = toml(tmp_path / place)
        for command in ("sensitivity", "compare"):
            out = folder / f"{command}.json"
            outcome = CliRunner().invoke(app, [command, str(folder), "--quiet", "--json", str(out), *more])
            assert outcome.exit_code == 0, outcome.output
            texts[place, command] = out.read_text()
    assert texts["there", "sensitivity"] == texts["here", "sensitivity"]
    assert texts["there", "compare"] == texts["here", "compare"]


def test_what_is_made_to_be_kept_elsewhere_arrives_as_it_would_be_kept_here(tmp_path: Path) -> None:
    [job] = jobs_of(MEANS, schools(), ("partial_pooling",), None, FEW, choose("stanli"))
    record = unpacked(packed(record_of_attempts(job, 10.0, ())))
    store = FitStore(tmp_path)
    here = fit(MEANS, schools(), sampling=FEW, engine="stanli", store=store)
    assert record.key == here.key
    for name, values in record.named["posterior"].items():
        np.testing.assert_array_equal(values.values, here.named["posterior"][name].values)


# ---- the order, and what ends work -------------------------------------------------------------------------------


def double(number: int, seconds: float = 0.0) -> int:
    time.sleep(seconds)
    if number < 0:
        raise DataError("below zero")
    return 2 * number


def pid_once(folder: str, number: int) -> int:
    """Ends its process the first time that it is asked for each number."""
    mark = Path(folder) / str(number)
    if not mark.exists():
        mark.write_text("")
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * number


def ends(_number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def mixed() -> Iterator[tuple[Any, ...] | Future[Any]]:
    yield 1, 0.3
    yield answered(-7)
    yield (-1,)
    yield refused(DataError("refused here"))
    yield (5,)


def results(futures: Any) -> list[Any]:
    return [str(f.exception()) if f.exception() else f.result() for f in futures]


EXPECTED = [2, -7, "below zero", "refused here", 10]


def test_results_come_in_order_with_their_errors(scheduler: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "cores", lambda: 1)
    assert results(in_turn(double, mixed(), MEANS, "stanli", 1)) == EXPECTED
    with on_cluster(scheduler.scheduler_address):
        assert results(in_turn(double, mixed(), MEANS, "stanli", 1)) == EXPECTED
    monkeypatch.setattr(crew, "cores", lambda: 2)
    for little in (0.0, 60.0):
        monkeypatch.setattr(crew, "_LITTLE", little)
        assert results(in_turn(double, mixed(), MEANS, "stanli", 1)) == EXPECTED


def test_chains_and_fits_fill_the_cores_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    widths: list[int] = []

    class Noted(Processes):
        def __init__(self, width: int) -> None:
            widths.append(width)
            super().__init__(width)

    monkeypatch.setattr("hbm_stan.executor.processes.Processes", Noted)
    monkeypatch.setattr(crew, "_LITTLE", 0.0)
    for cores, chains, width in ((16, 4, 4), (8, 4, 2), (7, 4, 1), (2, 4, 1), (2, 1, 2), (9, 4, 2)):
        widths.clear()
        monkeypatch.setattr(crew, "cores", lambda cores=cores: cores)
        assert results(in_turn(double, [(1,), (2,), (3,)], MEANS, "stanli", chains)) == [2, 4, 6]
        assert (widths or [1]) == [width]
        assert crew.side_by_side(chains) == (width > 1)


def test_no_unit_is_begun_after_the_time_is_over(scheduler: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []

    def units() -> Iterator[tuple[int]]:
        for i in range(50):
            begun.append(i)
            yield (i,)

    def stop() -> bool:
        return len(begun) > 6

    with on_cluster(scheduler.scheduler_address):
        assert results(in_turn(double, units(), MEANS, "stanli", 1, stop)) == [2 * i for i in range(7)]
    assert begun == list(range(7))


def test_a_process_that_dies_in_the_middle_loses_nothing(tmp_path: Path) -> None:
    with Processes(2) as pool:
        futures = [pool.submit(pid_once, str(tmp_path), i) for i in range(5)]
        assert [future.result() for future in futures] == [0, 2, 4, 6, 8]
        assert len(pool.pids) <= 2
    assert pool.pids == []


def test_a_unit_that_kills_every_process_is_named() -> None:
    with Processes(1) as pool, pytest.raises(EngineError, match=r"4 processes died one after the other.*SIGKILL"):
        pool.submit(ends, 1).result()


def test_an_error_in_a_process_is_raised_and_the_process_goes_on() -> None:
    with Processes(1) as pool:
        with pytest.raises(ZeroDivisionError):
            pool.submit(divmod, 1, 0).result()
        assert pool.submit(divmod, 7, 2).result() == (3, 1)
        assert len(pool.pids) == 1


def test_processes_end_with_their_executor() -> None:
    with Processes(2) as pool:
        futures = [pool.submit(double, i, 60.0) for i in range(3)]
        while len(pool.pids) < 2:
            time.sleep(0.05)
        pids = pool.pids
    assert all(future.done() for future in futures)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_worker_of_a_cluster_that_is_killed_loses_nothing(whole: Fit, tmp_path: Path) -> None:
    here = scores_of(whole, tmp_path / "here", (0, 1, 2, 3))
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as own,
        on_cluster(own.scheduler_address),
    ):
        scores = exact_scores(whole, "observation", (0, 1, 2, 3), FitStore(tmp_path / "there"), silent)
        there = [next(scores)()]
        os.kill(own.workers[0].process.pid, signal.SIGKILL)
        there += [score() for score in scores]
    assert there == here


def test_a_worker_of_another_version_refuses_its_unit() -> None:
    assert of_this_version(version(), "tcp://c:1", double, 4) == 8
    with pytest.raises(
        ModelError, match=r"--cluster tcp://c:1: a worker has hbm-stan .*; asked for was hbm-stan 0.0.1"
    ):
        of_this_version("hbm-stan 0.0.1", "tcp://c:1", double, 4)


def test_what_cannot_travel_is_said_in_words_and_made_here_without_a_cluster(scheduler: Any) -> None:
    own = replace(MEANS)

    class Mine:
        name = "mine"
        version = "1"

    assert "made in this process" in stays_here(own, "stanli")
    assert "The engine mine is none of ours" in stays_here(MEANS, Mine())  # type: ignore[arg-type]
    assert stays_here(MEANS, choose("stanli")) == ""
    assert results(in_turn(double, [(2,)], own, "stanli", 1)) == [4]
    with on_cluster(scheduler.scheduler_address):
        for family, engine in ((own, "stanli"), (MEANS, "mine")):
            assert results(in_turn(double, [answered(3)], family, engine, 1)) == [3]
            with pytest.raises(ModelError, match=r"--cluster tcp://.* or leave the cluster out"):
                results(in_turn(double, [(2,)], family, engine, 1))
    with pytest.raises(ModelError, match="made in this process"):
        packed(own)


def test_draws_travel_once_and_give_the_same_tree_there() -> None:
    given = fit("normal_means", schools(), sampling=FEW, engine="stanli")
    size = len(packed(given))
    expected = given.tree
    assert len(packed(given)) < 1.01 * size
    assert unpacked(packed(given)).tree.identical(expected)


def test_a_family_arrives_as_that_of_the_worker() -> None:
    job, family = unpacked(packed(({"a": schools().columns}, MEANS)))
    assert family is MEANS
    assert job["a"] == schools().columns


def test_a_cluster_that_does_not_answer_is_said_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hbm_stan.executor.cluster._PATIENCE", 1)
    outcome = CliRunner().invoke(app, ["compare", str(toml(tmp_path)), "--cluster", "tcp://127.0.0.1:9"])
    assert outcome.exit_code == 2
    assert "--cluster tcp://127.0.0.1:9: no scheduler with a worker answers there" in outcome.output
    with pytest.raises(HbmError, match="no scheduler"), hbm.on_cluster("nonsense"):
        pass


def test_without_an_address_nothing_changes() -> None:
    with on_cluster(None):
        assert not crew.working_on_cluster()


def test_tables_of_a_worker_that_has_pyarrow_arrive_where_there_is_none() -> None:
    """In this process there is none (conftest.py), in the other one pandas keeps texts by it."""
    work = (
        "import sys, pandas as pd; from hbm_stan.executor.travel import packed\n"
        "table = pd.DataFrame({'a': ['x', None, 'ß']}, index=['mu', 'tau', 'theta[A]'])\n"
        "assert table['a'].dtype.storage == 'pyarrow'\n"
        "sys.stdout.buffer.write(packed(table))"
    )
    content = subprocess.run([sys.executable, "-c", work], check=True, stdout=subprocess.PIPE).stdout
    expected = pd.DataFrame({"a": ["x", None, "ß"]}, index=["mu", "tau", "theta[A]"])
    pd.testing.assert_frame_equal(unpacked(content), expected)
