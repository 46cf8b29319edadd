"""Both engines against the same program: shapes, seeds, progress, Stan's words, and how they end."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from processes import Child, until

from hbm_stan.engines import Engine, EngineDraws, Sampling, choose
from hbm_stan.engines.cmdstan import CmdStanEngine
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.engines.translated import translated
from hbm_stan.errors import EngineError, HbmError, ModelError, StorageError
from hbm_stan.program import Program

PROGRAMS = Path(__file__).parent / "programs"
SHAPES = Program.read(PROGRAMS / "shapes.stan")
DATA: dict[str, Any] = {"fault": 0, "N": 3, "y": np.array([0.5, -1.0, 2.0])}
SHORT = Sampling(chains=3, warmup=100, draws=60, seed=7)


def say_nothing(_text: str) -> None:
    pass


def draw(engine: Engine, sampling: Sampling = SHORT, **data: Any) -> EngineDraws:
    return engine.sample(SHAPES, {**DATA, **data}, sampling)


def line_of(text: str) -> int:
    return next(i for i, line in enumerate(SHAPES.code.splitlines(), start=1) if text in line)


# What comes back


def test_draws_have_the_declared_shape_and_order(engine: Engine) -> None:
    got = draw(engine)
    i, j, layer = np.arange(1, 3), np.arange(1, 4), np.arange(1, 3)
    matrix = 10 * i[:, None] + j
    expected = {
        "m": matrix,
        "a": matrix,
        "k": 10 * j[:, None] + i,
        "b": 100 * layer[:, None, None] + matrix,
        "r": np.array([1, 2, 3]),
        "broken": np.array(np.inf),
    }
    assert set(got.variables) == {"mu", "v", "copy", *expected}
    for name, values in expected.items():
        assert got.variables[name].shape == (3, 60, *values.shape), name
        assert (got.variables[name] == values).all(), name
    assert got.variables["mu"].shape == (3, 60)
    assert got.variables["v"].shape == (3, 60, 2)
    assert (got.variables["copy"] == got.variables["mu"][..., None]).all()
    assert all(v.dtype == np.float64 and v.flags.c_contiguous for v in got.variables.values())


def test_statistics_have_arvizs_names(engine: Engine) -> None:
    stats = draw(engine).sample_stats
    assert set(stats) == {
        "lp", "acceptance_rate", "step_size", "tree_depth", "n_steps", "diverging", "energy", "reached_max_treedepth",
    }  # fmt: skip
    assert all(v.shape == (3, 60) and np.isfinite(v).all() for v in stats.values())
    assert set(np.unique(stats["diverging"])) <= {0.0, 1.0}
    assert ((stats["acceptance_rate"] >= 0) & (stats["acceptance_rate"] <= 1)).all()
    # The step is fixed after warm-up, for each chain at its own value.
    assert (stats["step_size"] == stats["step_size"][:, :1]).all()
    assert len(set(stats["step_size"][:, 0])) == 3


def test_a_saturated_tree_is_marked(engine: Engine) -> None:
    stats = draw(engine, replace(SHORT, max_treedepth=1)).sample_stats
    assert (stats["reached_max_treedepth"] == (stats["tree_depth"] >= 1)).all()
    assert stats["reached_max_treedepth"].any()


def test_a_seed_gives_the_same_draws_again_and_another_one_others(engine: Engine) -> None:
    first, again, other = draw(engine), draw(engine), draw(engine, replace(SHORT, seed=8))
    assert (first.variables["v"] == again.variables["v"]).all()
    assert (first.sample_stats["lp"] == again.sample_stats["lp"]).all()
    assert not np.isin(first.variables["v"], other.variables["v"]).any()


def test_chains_differ(engine: Engine) -> None:
    mu = draw(engine).variables["mu"]
    assert not any(np.isin(mu[i], mu[j]).any() for i, j in ((0, 1), (0, 2), (1, 2)))


def test_a_chain_does_not_depend_on_how_many_there_are(engine: Engine) -> None:
    one, three = draw(engine, replace(SHORT, chains=1)), draw(engine)
    assert (one.variables["v"][0] == three.variables["v"][0]).all()


@pytest.mark.parametrize("seed", [0, 2**31 - 1])
def test_the_seeds_at_both_ends_are_taken(engine: Engine, seed: int) -> None:
    assert draw(engine, replace(SHORT, seed=seed)).variables["mu"].shape == (3, 60)


def test_the_engines_agree_on_the_posterior(cmdstan: CmdStanEngine, stanli: StanliEngine) -> None:
    long = Sampling(chains=4, warmup=500, draws=2500, seed=1)
    a, b = (draw(e, long).variables["mu"] for e in (cmdstan, stanli))
    # Conjugate: marginal prior N(0, 1), three observations with sd 1.
    for mu in (a, b):
        # Standard error of a mean of 10,000 draws with sd 1/2 and an efficiency of a third or more, five times.
        assert abs(mu.mean() - 1.5 / 4) < 5 * 0.5 / np.sqrt(10_000 / 3)
        assert abs(mu.std() - 0.5) < 5 * 0.5 / np.sqrt(2 * 10_000 / 3)


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The programs that stanli is asked to translate, from an empty cache on."""
    import stanli as package

    asked: list[str] = []
    translate = package.stan_to_mir
    monkeypatch.setattr(package, "stan_to_mir", lambda code: asked.append(code) or translate(code))
    monkeypatch.setenv("HBM_CACHE", str(tmp_path / "own"))
    translated.cache_clear()
    return asked


def test_a_program_is_translated_once_for_all_data_and_draws_are_those_of_its_text(
    stanli: StanliEngine, texts: list[str]
) -> None:
    import stanli as package

    same, other = (replace(SHAPES, code=SHAPES.code + f"// {comment}") for comment in ("one", "another"))
    data = {**DATA, "y": np.array([2.0, 2.5, 9.0])}
    drawn = [stanli.sample(program, d, SHORT).variables["mu"] for program in (same, other) for d in (DATA, data)]
    assert texts == [same.code, other.code]
    plain = {key: np.asarray(value).tolist() for key, value in data.items()}
    model = package.Model(stan_code=SHAPES.code, data=plain)
    direct = model.sample(chains=3, seed=SHORT.seed, warmup=SHORT.warmup, samples=SHORT.draws, delta=SHORT.adapt_delta)
    for mu in (drawn[1], drawn[3]):
        np.testing.assert_array_equal(mu, direct.draws("mu"))
    assert not np.array_equal(drawn[0], drawn[1])


def test_the_next_command_finds_the_translation_and_a_damaged_one_is_made_again(
    stanli: StanliEngine, texts: list[str], tmp_path: Path
) -> None:
    first = stanli.sample(SHAPES, DATA, SHORT).variables["mu"]
    [translation] = tmp_path.glob("own/programs/stanli-*/*")
    whole = translation.read_bytes()
    for content, times in ((whole, 1), (whole[:-9], 2), (b"\xff" + whole, 3), (whole.replace(b"STANLI", b"STANLO"), 4)):
        translation.write_bytes(content)
        translated.cache_clear()  # as another process has it
        np.testing.assert_array_equal(stanli.sample(SHAPES, DATA, SHORT).variables["mu"], first)
        assert len(texts) == times
        assert [f.read_bytes() for f in translation.parent.iterdir()] == [whole]


def test_where_nothing_can_be_kept_a_program_is_translated_all_the_same(
    stanli: StanliEngine, texts: list[str], tmp_path: Path
) -> None:
    (tmp_path / "own").write_text("no folder")
    assert stanli.sample(SHAPES, DATA, SHORT).variables["mu"].shape == (3, 60)
    assert len(texts) == 1


def test_values_survive_the_way_through_text(cmdstan: CmdStanEngine) -> None:
    mu = draw(cmdstan).variables["mu"]
    # Seventeen digits, so hardly any value is one of few digits.
    assert (np.round(mu, 12) != mu).mean() > 0.99


# Progress


@pytest.mark.parametrize(("warmup", "draws"), [(100, 60), (1, 10), (37, 64)])
def test_progress_grows_to_the_total_in_every_chain(engine: Engine, warmup: int, draws: int) -> None:
    seen: dict[int, list[int]] = {}

    def progress(chain: int, iteration: int, total: int) -> None:
        assert total == warmup + draws
        seen.setdefault(chain, []).append(iteration)

    engine.sample(SHAPES, DATA, replace(SHORT, warmup=warmup, draws=draws), progress)
    assert sorted(seen) == [1, 2, 3]
    for iterations in seen.values():
        assert iterations == sorted(set(iterations))
        assert iterations[-1] == warmup + draws
        assert len(iterations) <= 60


def test_progress_changes_no_draw_and_prints_nothing(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    with_progress = engine.sample(SHAPES, DATA, SHORT, lambda *_values: None)
    assert (with_progress.variables["v"] == draw(engine).variables["v"]).all()
    assert capfd.readouterr() == ("", "")


def test_an_error_in_the_callers_progress_is_the_callers(engine: Engine) -> None:
    def progress(*_values: int) -> None:
        raise LookupError("the caller's own")

    with pytest.raises(LookupError, match="the caller's own"):
        engine.sample(SHAPES, DATA, SHORT, progress)


# Stan's own words


def broken(tmp_path: Path, code: str) -> Program:
    path = tmp_path / "my model.stan"
    path.write_text(code)
    return Program.read(path)


FAULTY = {
    "syntax": ("parameters {\n  real mu\n}\n", "Syntax error in 'my model.stan', line 3", "expected"),
    "semantic": ("model {\n  target += sigma;\n}\n", "Semantic error in 'my model.stan', line 2", "sigma"),
    "type": (
        "parameters {\n  real x;\n}\nmodel {\n  int n = x;\n}\n",
        "Semantic error in 'my model.stan', line 5",
        "n",
    ),
    "function": (
        "model {\n  target += nrmal_lpdf(1 | 0, 1);\n}\n",
        "Semantic error in 'my model.stan', line 2",
        "nrmal",
    ),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_a_program_that_does_not_compile(engine: Engine, tmp_path: Path, cache: Path, fault: str) -> None:
    code, place, word = FAULTY[fault]
    program = broken(tmp_path, code)
    for attempt in (engine.sample, lambda p, _d, _s: engine.build([p], say_nothing)):
        if engine.name == "stanli" and attempt is not engine.sample:
            continue  # it compiles together with the data
        with pytest.raises(EngineError) as error:
            attempt(program, {}, SHORT)
        message = str(error.value)
        assert message.startswith(f"{program.path} does not compile. The Stan compiler says:\n")
        assert place in message
        assert word in message
        assert "model.stan'" not in message.replace("'my model.stan'", "")
        assert "string" not in message
    assert not list((cache / "programs").glob("*/my model-*"))


def test_reject_in_the_model_fails_at_the_first_values(engine: Engine) -> None:
    with pytest.raises(EngineError) as error:
        draw(engine, fault=1)
    message = str(error.value)
    assert message.startswith(f"{SHAPES.path}: ")
    assert "never satisfied, mu = " in message
    assert "100 attempts" in message
    if engine.name == "cmdstan":
        line = line_of("never satisfied")
        assert f"in 'shapes.stan', line {line}" in message
        assert f'Line {line}: reject("never satisfied, mu = ", mu);' in message
        assert "num_samples" not in message


def test_reject_in_transformed_data(engine: Engine) -> None:
    with pytest.raises(EngineError) as error:
        draw(engine, fault=2)
    assert "these data are refused, N = 3" in str(error.value)
    if engine.name == "cmdstan":
        assert f'Line {line_of("refused, N")}: reject("these data are refused, N = ", N);' in str(error.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"y": [1.0, 2.0]}, "mismatch in dimension declared and found in context"),
        ({"fault": 9}, "fault"),
        ({"N": 1.5}, "int"),
    ],
)
def test_data_that_do_not_fit_the_program(engine: Engine, change: dict[str, Any], words: str) -> None:
    with pytest.raises(EngineError) as error:
        draw(engine, **change)
    assert words in str(error.value)
    assert "compile" not in str(error.value)


def test_missing_data(engine: Engine) -> None:
    with pytest.raises(EngineError, match="y"):
        engine.sample(SHAPES, {"fault": 0, "N": 3}, SHORT)


def test_nan_in_generated_quantities_is_given_as_it_is(engine: Engine) -> None:
    got = draw(engine, fault=3).variables
    assert np.isnan(got["broken"]).all()
    assert np.isfinite(got["mu"]).all()
    assert (got["m"][..., 1, 2] == 23).all()


def test_reject_in_generated_quantities_leaves_nan_never_another_draws_values(engine: Engine) -> None:
    got = draw(engine, fault=4).variables
    refused = np.isnan(got["copy"][..., 0]) | np.isnan(got["broken"])
    assert refused.any()
    assert (got["mu"][~refused] <= 0).all()


# How an engine is interrupted

SAMPLE = """
import sys
from pathlib import Path
from test_engines import DATA, SHAPES
from hbm_stan.engines import Sampling, choose
long = Sampling(chains=3, warmup=1_000_000, draws=10, seed=1)
begun = Path(sys.argv[2])
try:
    choose(sys.argv[1]).sample(SHAPES, DATA, long, lambda *_: begun.touch())
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    folder = tmp_path / "temp"
    folder.mkdir()
    return folder


def sampling_child(engine: Engine, tmp_path: Path, temporary: Path) -> Child:
    engine.build([SHAPES], say_nothing)
    begun = tmp_path / "begun"
    child = Child(["-c", SAMPLE, engine.name, str(begun)], {"TMPDIR": str(temporary)})
    until(begun.exists, child)
    return child


@pytest.mark.parametrize("group", [False, True], ids=["parent only", "whole group"])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupted_engine_leaves_nothing(
    engine: Engine, tmp_path: Path, temporary: Path, name: str, group: bool
) -> None:
    child = sampling_child(engine, tmp_path, temporary)
    child.send(getattr(signal, name), group=group)
    started = time.monotonic()
    assert child.end() == (0, "interrupted\n", "")
    assert time.monotonic() - started < 3
    assert child.descendants() == []
    assert list(temporary.iterdir()) == []


def test_a_chain_that_is_killed_is_an_error(cmdstan: CmdStanEngine, tmp_path: Path, temporary: Path) -> None:
    child = sampling_child(cmdstan, tmp_path, temporary)
    os.kill(child.descendants("shapes-")[0], signal.SIGKILL)
    code, _, err = child.end()
    assert code == 1
    assert "EngineError" in err
    assert "of 3 was ended by SIGKILL" in err
    assert child.descendants() == []
    assert list(temporary.iterdir()) == []


def test_kill_9_of_the_parent_ends_the_chains_and_the_next_run_clears_up(
    cmdstan: CmdStanEngine, tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = sampling_child(cmdstan, tmp_path, temporary)
    child.send(signal.SIGKILL)
    child.end()
    until(lambda: child.descendants() == [])
    (left,) = temporary.glob("hbm-stan-*")
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr("tempfile.tempdir", None)
    draw(cmdstan)
    assert left.exists()  # so young that its process may not have locked it yet
    os.utime(left, (1, 1))
    with FileLock(left / ".lock"):
        draw(cmdstan)
    assert left.exists()  # its process lives
    os.utime(left, (1, 1))
    draw(cmdstan)
    assert list(temporary.glob("hbm-stan-*")) == []


# Folders that make things hard


@pytest.mark.parametrize("name", ["with a space", "q'uo\"te", "ümlaut $HOME #1"])
def test_temporary_and_cache_folders_of_any_name(
    engine: Engine, tmp_path: Path, compiled_programs: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    engine.build([SHAPES], say_nothing)
    before = draw(engine)
    for variable in ("HBM_CACHE", "TMPDIR"):
        (tmp_path / name / variable).mkdir(parents=True)
        monkeypatch.setenv(variable, str(tmp_path / name / variable))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / name / "HBM_CACHE" / "programs").symlink_to(compiled_programs)
    assert (draw(engine).variables["v"] == before.variables["v"]).all()
    assert list((tmp_path / name / "TMPDIR").iterdir()) == []


def test_a_full_disk_under_the_chains_is_not_taken_for_draws(
    cmdstan: CmdStanEngine, tiny_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(cmdstan)
    monkeypatch.setenv("TMPDIR", str(tiny_disk))
    monkeypatch.setattr("tempfile.tempdir", None)
    with pytest.raises(StorageError, match=r"not written to their end: the disk .* is full"):
        draw(cmdstan, replace(SHORT, draws=1000))
    assert list(tiny_disk.iterdir()) == []
    (tiny_disk / "ballast").write_bytes(bytes(64 * 1024))
    with pytest.raises(StorageError, match="No space left on device"):
        draw(cmdstan)


def test_a_cut_off_file_of_draws_is_refused(cmdstan: CmdStanEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    from hbm_stan.engines import cmdstan as module

    def cut(program: Program, chains: Any, progress: Any) -> None:
        run(program, chains, progress)
        output = chains[1].folder / "chain-2.csv"
        text = output.read_text()
        last_row = [line for line in text.splitlines() if line and line[0] != "#"][-1]
        # The last number of the last row lacks a digit: it would pass for a number.
        output.write_text(text[: text.index(last_row) + len(last_row) - 1])

    run = module.run_chains
    monkeypatch.setattr(module, "run_chains", cut)
    with pytest.raises(StorageError, match="not written to their end"):
        draw(cmdstan)


@pytest.mark.parametrize("bad", ["a file", "read-only"])
def test_a_cache_that_cannot_be_written(
    cmdstan: CmdStanEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: str
) -> None:
    place = tmp_path / "cache"
    if bad == "a file":
        place.write_text("")
    else:
        place.mkdir()
        monkeypatch.setattr(
            Path, "mkdir", lambda *_a, **_k: (_ for _ in ()).throw(PermissionError(13, "Permission denied"))
        )
    monkeypatch.setenv("HBM_CACHE", str(place))
    with pytest.raises(StorageError, match="Set HBM_CACHE to a folder that can be"):
        draw(cmdstan)


# Which engine


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without CmdStan and a PATH with make and g++ only."""
    for name in ("bin", "home"):
        (tmp_path / name).mkdir()
    for name in ("make", "g++"):
        (tmp_path / "bin" / name).write_text("#!/bin/sh\n")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("CMDSTAN", "CXX", "MAKE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def fake_cmdstan(root: Path, version: str = "2.40.0") -> Path:
    """The least that counts as a built CmdStan."""
    for part in (
        "bin/stanc",
        "bin/stansummary",
        "bin/diagnose",
        "src/cmdstan/main.o",
        "stan/lib/stan_math/lib/tbb/libtbb.so.2",
    ):
        (root / part).parent.mkdir(parents=True, exist_ok=True)
        (root / part).write_text("#!/bin/sh\n")
        (root / part).chmod(0o755)
    (root / "makefile").write_text(f"CMDSTAN_VERSION := {version}\n")
    return root


def test_auto_takes_stanli_where_there_is_no_cmdstan(bare: Path) -> None:
    assert choose("auto").name == "stanli"
    with pytest.raises(EngineError, match="none is installed"):
        choose("cmdstan")


def test_auto_takes_cmdstan_where_it_is(bare: Path) -> None:
    root = fake_cmdstan(bare / "home" / ".cmdstan" / "cmdstan-2.40.0")
    for name in ("auto", "cmdstan"):
        assert choose(name) == CmdStanEngine(root)
    assert choose("auto").version == "2.40.0"
    assert choose("stanli").name == "stanli"


def test_the_named_cmdstan_goes_first(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_cmdstan(bare / "home" / ".cmdstan" / "cmdstan-2.40.0")
    monkeypatch.setenv("CMDSTAN", str(fake_cmdstan(bare / "elsewhere", "2.30.1")))
    assert choose("auto").version == "2.30.1"
    monkeypatch.setenv("CMDSTAN", str(bare / "nowhere"))
    for name in ("auto", "cmdstan"):
        with pytest.raises(EngineError, match=r"CMDSTAN is set to .*nowhere"):
            choose(name)
    assert choose("stanli").name == "stanli"


@pytest.mark.parametrize("tool", ["make", "g++"])
def test_without_a_compiler_auto_takes_stanli(bare: Path, tool: str) -> None:
    fake_cmdstan(bare / "home" / ".cmdstan" / "cmdstan-2.40.0")
    (bare / "bin" / tool).unlink()
    assert choose("auto").name == "stanli"
    with pytest.raises(EngineError, match=rf"it needs {tool.replace('+', '.')}"):
        choose("cmdstan")


def test_an_unknown_engine_names_the_nearest() -> None:
    with pytest.raises(ModelError, match="Did you mean 'cmdstan'"):
        choose("cmdstann")


def test_every_error_of_an_engine_is_one_of_ours() -> None:
    assert issubclass(EngineError, HbmError)
    assert (EngineError.exit_code, StorageError.exit_code) == (3, 3)
