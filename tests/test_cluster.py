"""Replications on a Dask cluster, a real one: the same as here, whatever happens to its workers."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from distributed import Client, LocalCluster
from typer.testing import CliRunner

from hbm_stan.calibrate import calibrate
from hbm_stan.cli.app import app
from hbm_stan.engines import Sampling
from hbm_stan.errors import EngineError, HbmError, ModelError
from hbm_stan.executor import cluster
from hbm_stan.families import families

FEW = Sampling(chains=2, warmup=200, draws=200)
SETTINGS: dict[str, Any] = {"replications": 60, "sampling": FEW, "n_draws": 19, "engine": "stanli", "seed": 5}


@pytest.fixture(scope="module")
def scheduler() -> Iterator[LocalCluster]:
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as local:
        yield local


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return calibrate("normal_means", folder=tmp_path_factory.mktemp("here"), workers=1, **SETTINGS).ranks


def test_ranks_are_those_that_this_process_makes(scheduler: LocalCluster, here: pd.DataFrame, tmp_path: Path) -> None:
    there = calibrate("normal_means", folder=tmp_path, cluster=scheduler.scheduler_address, **SETTINGS)
    pd.testing.assert_frame_equal(there.ranks, here)


def test_a_worker_that_is_killed_loses_nothing(here: pd.DataFrame, tmp_path: Path) -> None:
    killed: list[int] = []
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as own:

        def progress(done: int, _total: int) -> None:
            if done == 20:
                killed.append(own.workers[0].process.pid)
                os.kill(killed[0], signal.SIGKILL)

        address = own.scheduler_address
        there = calibrate("normal_means", folder=tmp_path, cluster=address, progress=progress, **SETTINGS)
    assert len(killed) == 1
    pd.testing.assert_frame_equal(there.ranks, here)


def test_an_error_of_a_replication_ends_the_work_in_its_own_words(scheduler: LocalCluster) -> None:
    records: list[dict[str, Any]] = []
    cluster.run_on(scheduler.scheduler_address, of_number, b"3", range(5), records.append)
    assert sorted(record["replication"] for record in records) == [0, 3, 6, 9, 12]
    with pytest.raises(ZeroDivisionError):
        cluster.run_on(scheduler.scheduler_address, over_number, b"3", range(5), records.append)


def of_number(job: bytes, number: int) -> dict[str, Any]:
    return {"replication": int(job) * number}


def over_number(job: bytes, number: int) -> dict[str, Any]:
    return {"replication": int(job) / number}


def test_work_that_kills_every_worker_is_named() -> None:
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as own,
        pytest.raises(EngineError, match="workers died one after the other"),
    ):
        cluster.run_on(own.scheduler_address, dies, b"", range(3), lambda _record: None)


def dies(_job: bytes, _number: int) -> dict[str, Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_PATIENCE", 1)
    for address in ("tcp://127.0.0.1:9", "nonsense"):
        with pytest.raises(ModelError, match=f"--cluster {address}: no scheduler with a worker answers there"):
            cluster.run_on(address, of_number, b"1", [1], lambda _record: None)
        # No client is left that was half made: one that goes while another is made blocks both.
        assert [own for own in gc.get_objects() if type(own) is Client] == []


def test_a_scheduler_without_workers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_PATIENCE", 1)
    with LocalCluster(n_workers=0, dashboard_address=":0") as own, pytest.raises(ModelError, match="with a worker"):
        cluster.run_on(own.scheduler_address, of_number, b"1", [1], lambda _record: None)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("hbm-stan 0.0.1 (0123456789ab), stanli 0.24.0, Python 3.13", "has hbm-stan 0.0.1"),
        (ModuleNotFoundError("No module named 'hbm_stan'"), "No module named 'hbm_stan'"),
    ],
)
def test_workers_of_another_version_are_refused(answer: Any, words: str) -> None:
    answers = {"tcp://a:1": cluster.version(), "tcp://b:2": answer}
    client = SimpleNamespace(run=lambda _function, on_error: answers)
    with pytest.raises(ModelError, match="1 of its workers cannot do this work; the first, tcp://b:2") as error:
        cluster._refuse_other_versions(client, "tcp://c:3")
    assert words in str(error.value)
    assert "Install the same version" in str(error.value)


def test_workers_of_this_version_are_not_refused(scheduler: LocalCluster) -> None:
    with Client(scheduler.scheduler_address, set_as_default=False) as client:
        cluster._refuse_other_versions(client, "here")


def test_a_family_of_this_process_alone_is_refused(tmp_path: Path) -> None:
    own = replace(families()["normal_means"])
    with pytest.raises(ModelError, match="made in this process and cannot be sent"):
        calibrate(own, folder=tmp_path, cluster="local", **SETTINGS)


def test_without_dask_the_command_says_how_to_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(HbmError, match=r"pip install 'hbm-stan\[dask\]'"):
        cluster.run_on("local", of_number, b"1", [1], lambda _record: None)


def test_the_command_takes_a_cluster(scheduler: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HBM_CACHE", str(tmp_path))
    given = ["calibrate", "normal_means", "--replications", "50", "--quiet", "--json", str(tmp_path / "r.json")]
    outcome = CliRunner().invoke(app, [*given, "--cluster", scheduler.scheduler_address])
    assert outcome.exit_code == 0, outcome.output
    assert '"replications": 50' in (tmp_path / "r.json").read_text()
