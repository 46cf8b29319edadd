"""Programs compiled together: which of them, the C++ that they share, and the same draws as apart."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from test_language import newest

from hbm_stan.engines import Sampling
from hbm_stan.engines.chains import Ended, Listener, Task, run_together
from hbm_stan.engines.cmdstan import CmdStanEngine
from hbm_stan.engines.cmdstan_units import compiled_before, density_once, shared_out
from hbm_stan.program import Program

# Three programs that differ in all that a unit could confuse: data, number of parameters, function of one name, draws.
CODES = {
    "one": (
        "functions { real twice(real x) { return 2 * x; } }\ndata { int<lower=1> n; vector[n] y; }\n"
        "parameters { real mu; }\nmodel { y ~ normal(mu, 1); }\ngenerated quantities { real z = twice(mu); }\n"
    ),
    "two": (
        "functions { real twice(real x) { return 2 * x + 1; } }\ndata { int<lower=1> n; vector[n] y; }\n"
        "parameters { real mu; real<lower=0> sigma; }\nmodel { mu ~ normal(0, 9); sigma ~ exponential(1);\n"
        "  y ~ normal(mu, sigma); }\ngenerated quantities { real z = twice(mu) + normal_rng(0, 1); }\n"
    ),
    "three": (
        "data { int<lower=1> n; vector[n] y; }\nparameters { vector<lower=-9, upper=9>[n] mu; }\n"
        "model { y ~ normal(mu, 1); profile(\"prior\") { mu ~ normal(0, 3); } }\n"
    ),
}  # fmt: skip
DATA = {"n": 4, "y": [0.3, -1.1, 2.0, 0.4]}
SAMPLING = Sampling(chains=2, warmup=200, draws=100, seed=8)


def test_programs_are_shared_out_evenly() -> None:
    assert shared_out({"a": 9, "b": 6, "c": 5}, 2) == [["a"], ["b", "c"]]
    assert shared_out({"a": 1, "b": 6, "c": 5}, 2) == [["b"], ["c", "a"]]
    assert shared_out({"a": 9, "b": 6, "c": 5}, 4) == [["a"], ["b"], ["c"]]
    assert shared_out({"a": 9}, 2) == [["a"]]


@pytest.mark.parametrize("n", [1, 3, 4, 5, 9, 40])
@pytest.mark.parametrize("at_once", [1, 2, 16])
def test_every_program_is_in_one_unit_of_four_at_most(n: int, at_once: int) -> None:
    units = shared_out({i: 100 // (i + 1) for i in range(n)}, at_once)
    assert sorted(i for unit in units for i in unit) == list(range(n))
    assert all(1 <= len(unit) <= 4 for unit in units)
    assert len(units) >= min(n, at_once)


def translated(stanc: Path, folder: Path, name: str = "two") -> str:
    source = folder / "model.stan"
    source.write_text(CODES[name])
    subprocess.run([stanc, f"--o={folder / 'model.hpp'}", source], check=True, capture_output=True)
    return (folder / "model.hpp").read_text()


@pytest.fixture(params=["CmdStan's", "today's"])
def stanc(request: pytest.FixtureRequest) -> Path:
    """The compiler of CmdStan here, and one of Stan 2.35 or later."""
    if request.param == "today's":
        return newest()
    engine: CmdStanEngine = request.getfixturevalue("cmdstan")
    return engine.path / "bin" / "stanc"


def test_no_density_is_compiled_for_both_kinds_of_vectors(stanc: Path, tmp_path: Path) -> None:
    before = translated(stanc, tmp_path)
    after = density_once(before)
    assert before.count("return log_prob_impl<propto__, jacobian__>(params_r, params_i, pstream);") == 2
    assert after.count("return log_prob_impl<propto__, jacobian__>(params_r, params_i, pstream);") == 1
    assert after.count("return log_prob<propto__, jacobian__>(values, pstream);") == 1
    assert after.count("write_array_impl(base_rng, values,") == 1
    assert density_once(after) == after
    assert density_once("int main() {}") == "int main() {}"


def test_what_is_linked_to_every_program_is_not_compiled_again(cmdstan: CmdStanEngine, tmp_path: Path) -> None:
    lines = compiled_before(cmdstan.path / "src" / "cmdstan" / "main.o")
    assert any("lgamma_initializer<double" in line for line in lines)
    assert all(line.startswith("extern template struct boost::math::") and line.endswith(";") for line in lines)
    assert compiled_before(tmp_path / "none.o") == []


def drawn(engine: CmdStanEngine, cache: Path, at_once: int) -> tuple[list[int], list[dict[str, np.ndarray]]]:
    """How many programs each call of make was given, none of which failed; and draws of the three programs."""
    given: list[int] = []

    def run(tasks: Sequence[Task], listen: Listener) -> list[Ended]:
        ended = run_together(tasks, listen)
        assert [e.code for e in ended] == [0] * len(tasks)
        given.extend(sum(word.startswith("/") and not word.endswith(".mk") for word in t.command) for t in tasks)
        return ended

    programs = [Program(name, Path(f"/where/{name}.stan"), code) for name, code in CODES.items()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HBM_CACHE", str(cache))
        patch.setattr("hbm_stan.engines.cmdstan_compile.cores", lambda: at_once)
        patch.setattr("hbm_stan.engines.cmdstan_compile.run_together", run)
        engine.build(programs, lambda _text: None)
        return given, [dict(engine.sample(p, DATA, SAMPLING).variables) for p in programs]


def test_draws_are_those_of_programs_that_plain_make_compiles(
    cmdstan: CmdStanEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit, whichever place a program has in its unit."""
    given, together = drawn(cmdstan, tmp_path / "together", 1)
    assert given == [3, 3]  # translated, then compiled
    monkeypatch.setattr("hbm_stan.engines.cmdstan_compile.density_once", lambda text: text)
    monkeypatch.setattr("hbm_stan.engines.cmdstan_compile.compiled_before", lambda _main: [])
    given, apart = drawn(cmdstan, tmp_path / "apart", 3)
    assert given == [3, 1, 1, 1]
    assert [sorted(d) for d in together] == [["mu", "z"], ["mu", "sigma", "z"], ["mu"]]
    for draws, same in zip(together, apart, strict=True):
        assert draws.keys() == same.keys()
        for name, values in draws.items():
            np.testing.assert_array_equal(values, same[name])
