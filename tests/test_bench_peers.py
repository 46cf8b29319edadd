"""The bench beside peers: cases, agreement of posteriors, tables, how it goes on, and our side; no peer is needed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_peers import __main__ as command
from bench_peers import agreement, ours, runs, table
from bench_peers.agreement import MOST_MCSE, computed, distance, figures_of, pooled, void
from bench_peers.by_textbook import PROGRAMS, QUANTITIES, data_of
from bench_peers.cases import CASES, Case
from bench_peers.measured import LONG, Measured, split, twice
from bench_peers.runs import LINES, Record, Unit, append, finished, in_words, measure, read, run, to_do
from bench_peers.sides import SIDES
from bench_peers.worker import write

SEED = 20261130
EIGHT = "eight schools"
STANLI, CMDSTAN, TEXTBOOK, NUTPIE = "hbm_stan, stanli", "hbm_stan, CmdStan", "textbook, CmdStan", "PyMC, nutpie"
DIRECT = "hbm_stan, direct"

# --- cases ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [c for c in CASES.values() if "10,000 c" not in c.name], ids=lambda c: c.name)
def test_a_case_has_the_data_of_its_program_and_our_priors(case: Case) -> None:
    frame = case.read()
    assert frame.notna().all().all()
    source = (PROGRAMS / f"{case.structure}.stan").read_text(encoding="utf-8")
    block = source[source.index("data {") : source.index("}")]
    declared = set(re.findall(r"(\w+);", block))
    given = data_of(case, frame, "centered")
    assert declared <= set(given)
    assert all(len(given[name]) == len(frame) for name in declared & {"y", "g", "h", "x", "s", "n", "nu"})
    assert all(re.fullmatch(r"\w+\([\d., -]+\)", words) for words in ours.priors(case).values())
    assert case.form in {"", "centered", "non-centered"}
    assert bool(case.form) == ("centered" in declared)


def test_our_priors_are_those_of_the_programs() -> None:
    others = [case for case in CASES.values() if "Penicillin" not in case.name]
    by_structure = {case.structure: ours.priors(case) for case in others}
    assert by_structure == {
        "normal_means": {"mu": "normal(0, 5)", "tau": "half_cauchy(5)"},
        "beta_binomial": {"mu": "beta(1, 1)", "kappa": "lognormal(3.4, 2.0)"},
        "slopes_logistic": {"beta": "normal(0, 2.5)", "tau": "half_normal(1)", "rho": "lkj(2)"},
        "slopes": {"beta": "normal(0, 5)", "tau": "half_normal(1)", "sigma": "half_normal(1)", "rho": "lkj(2)"},
        "crossed": {
            "beta": "normal(0, 5)", "tau": "half_normal(2)", "sd": "half_normal(2)", "sigma": "half_normal(2)",
        },
        "planck": {"alpha": "exponential(1)", "beta": "exponential(1)", "sigma": "exponential(1)"},
    }  # fmt: skip
    lines = {
        "normal_means": "tau ~ cauchy(0, prior_tau);",
        "beta_binomial": "kappa ~ lognormal(prior_kappa[1], prior_kappa[2]);",
        "slopes": "sigma ~ normal(0, scale);", "slopes_logistic": "tau ~ normal(0, scale);",
        "crossed": "sd ~ normal(0, scale);", "planck": "rate ~ exponential(prior_rate);",
    }  # fmt: skip
    for structure, line in lines.items():
        assert line in (PROGRAMS / f"{structure}.stan").read_text(encoding="utf-8")


def test_cases_are_as_large_as_they_say() -> None:
    groups = {name: case.read()["g"].nunique() for name, case in CASES.items() if "cities" in name or "group" in name}
    assert {name: int(re.findall(r"\d[\d,]*", name)[0].replace(",", "")) for name in groups} == groups
    crossed = CASES["crossed, 2,972 x 1,128, 73,421 rows"].read()
    assert (crossed["g"].nunique(), crossed["h"].nunique(), len(crossed)) == (2972, 1128, 73_421)


# --- posteriors agree, or they do not count -------------------------------------------------------------------------


def posterior(seed: int, shift: float = 0.0, scale: float = 1.0) -> dict[str, list[float]]:
    """Figures of 4 chains of 1,000 independent draws of a mean and of a scale."""
    rng = np.random.default_rng([SEED, seed])
    mu, tau = rng.normal(3 + shift, 2 * scale, (4, 1000)), np.exp(rng.normal(0, 1, (4, 1000)))
    return figures_of("mu", mu)[0] | figures_of("tau", tau)[0]


def test_figures_are_means_and_sds_with_their_errors_of_scales_the_logarithms() -> None:
    figures = posterior(1)
    assert [*figures] == ["mu", "tau"]
    mean, sd, mean_error, sd_error = figures["mu"]
    assert abs(mean - 3) < 4 * mean_error
    assert abs(sd - 2) < 4 * sd_error
    assert mean_error == pytest.approx(2 / np.sqrt(4000), rel=0.1)
    assert sd_error == pytest.approx(2 / np.sqrt(8000), rel=0.15)
    assert abs(figures["tau"][0]) < 4 * figures["tau"][2]  # log tau is normal(0, 1)
    of_terms, rhat = figures_of("theta", np.random.default_rng(SEED).normal(size=(4, 1000, 3, 2)))
    assert [*of_terms][:3] == ["theta[0,0]", "theta[0,1]", "theta[1,0]"]
    assert rhat < 1.01
    stuck = np.arange(4)[:, None] + np.random.default_rng(SEED).normal(0, 0.1, (4, 1000))
    assert figures_of("mu", stuck)[1] > 1.5


def test_equal_posteriors_lie_within_the_limit_in_all_of_many_pairs() -> None:
    apart = [distance(posterior(2 * k), posterior(2 * k + 1)).mcse for k in range(50)]
    assert max(apart) < MOST_MCSE
    assert np.median(apart) > 0.5  # four standard normal distances: the largest is near 1.5


@pytest.mark.parametrize(
    ("wrong", "what"),
    [({"shift": 0.4}, "mean of mu"), ({"scale": 1.2}, "sd of mu"), ({"scale": 0.8}, "sd of mu")],
    ids=str,
)
def test_a_planted_fault_is_seen(wrong: dict[str, float], what: str) -> None:
    apart = distance(posterior(1), posterior(2, **wrong))
    assert apart.mcse > MOST_MCSE
    assert apart.what == what


def test_other_quantities_and_errors_that_are_no_numbers_are_no_agreement() -> None:
    one = posterior(1)
    missing = distance(one, {"mu": one["mu"]})
    assert missing.mcse == np.inf
    assert "tau" in missing.what
    nothing = {name: [mean, sd, np.nan, error] for name, (mean, sd, _, error) in one.items()}
    assert distance(one, nothing).mcse == np.inf
    exact = {"mu": [3.0, 2.0, 0.0, 0.0]}
    assert distance(exact, exact).mcse == 0
    assert distance(exact, {"mu": [3.1, 2.0, 0.0, 0.0]}).mcse == np.inf


def test_one_wrong_posterior_of_four_is_void_alone_and_of_two_both() -> None:
    right, good = {f"side {k}": posterior(k) for k in range(3)}, dict.fromkeys(["0", "1", "2", "3"], 1.0)
    rhats = dict.fromkeys((*right, "wrong"), 1.0)
    assert void(right, good) == {}
    four = void({**right, "wrong": posterior(9, shift=1)}, rhats)
    assert [*four] == ["wrong"]
    assert re.fullmatch(r"posterior unlike side \d's: mean of mu, \d\d\.\d MCSE apart", four["wrong"])
    two = void({"one": posterior(1), "other": posterior(2, shift=1)}, {"one": 1.0, "other": 1.0})
    assert [*two] == ["one", "other"]
    assert void({"one": posterior(1)}, {"one": 1.0}) == {}


def test_chains_that_disagree_are_void_and_make_no_other_so() -> None:
    reasons = void({"one": posterior(1), "stuck": posterior(2, shift=1)}, {"one": 1.0, "stuck": 1.3})
    assert reasons == {"stuck": "chains disagree, R-hat 1.30"}
    assert "one" in void({"one": posterior(1)}, {"one": float("nan")})


def test_rounds_are_pooled_with_a_smaller_error() -> None:
    rounds = [posterior(k) for k in range(4)]
    together = pooled(rounds)
    assert together["mu"][0] == pytest.approx(np.mean([r["mu"][0] for r in rounds]))
    assert together["mu"][2] == pytest.approx(np.mean([r["mu"][2] for r in rounds]) / 2, rel=0.1)


def drawn(folder: Path, slow: int) -> None:
    """Independent draws of a population and of 100 groups, of which one moves slowly."""
    rng = np.random.default_rng(SEED)
    theta = rng.normal(size=(4, 500, 100, 2))
    steps = rng.normal(size=(4, 500))
    for t in range(1, 500):
        steps[:, t] += 0.9 * steps[:, t - 1]
    theta[:, :, slow, 1] = steps
    write(folder, Measured(1, 1, *split({"mu": rng.normal(size=(4, 500)), "theta": theta})), 0.1)


@pytest.mark.parametrize("slow", [3, 97])
def test_the_smallest_effective_sample_size_is_of_the_slowest_effect_wherever_it_is(tmp_path: Path, slow: int) -> None:
    drawn(tmp_path, slow)
    of = computed(tmp_path)
    assert of["ess_of"] == f"theta[{slow},1]"
    assert 40 < of["ess"] < 250  # 2,000 draws, autocorrelation time 19
    assert len(of["figures"]) == 1 + 2 * agreement.COMPARED_GROUPS


def test_draws_that_are_no_numbers_are_a_failure(tmp_path: Path) -> None:
    drawn(tmp_path, 3)
    theta = np.load(tmp_path / "effects-theta.npy")
    theta[2, 7, 99, 0] = np.nan
    np.save(tmp_path / "effects-theta.npy", theta)
    assert computed(tmp_path) == {"failed": "draws of theta are not finite"}


# --- it goes on where it was cut short ------------------------------------------------------------------------------


def measured(unit: Unit, _peer: str = "", _limit: float = 1.0, **more: Any) -> Record:
    """A measurement that nobody took; its posterior is right."""
    number = sum(unit.case.encode()) + 100 * unit.round + 7 * [*SIDES].index(unit.side)
    record = {**unit.__dict__, "state": SIDES[unit.side].state(), "load": 1.5, "seconds": 2.0 * unit.round}
    figures = {"figures": posterior(number), "ess": 400.0, "ess_of": "tau", "rhat": 1.0}
    return record | {"sampling": 0.5, "versions": "peer 1.0"} | (figures if SIDES[unit.side].draws else {}) | more


def units(folder: Path, rounds: int = 2, form: str = "") -> list[Unit]:
    sides = [SIDES[name] for name in (STANLI, NUTPIE)]
    return to_do(folder, [EIGHT, "normal means, 50 groups"], sides, rounds, form)


def silent(_text: str) -> None:
    pass


def test_sides_take_turns_within_a_case() -> None:
    first = units(Path("nowhere"))
    assert [(u.side, u.round) for u in first[:4]] == [(STANLI, 1), (NUTPIE, 1), (STANLI, 2), (NUTPIE, 2)]
    assert [u.case for u in first] == [EIGHT] * 4 + ["normal means, 50 groups"] * 4
    assert [u.form for u in first[:2]] == ["", "non-centered"]
    assert [u.form for u in units(Path("nowhere"), form="centered")[:2]] == ["", "centered"]


def test_a_side_has_only_the_structures_that_it_can_write() -> None:
    bambi = to_do(Path("nowhere"), [*CASES], [SIDES["Bambi, nutpie"]], 1)
    assert {CASES[u.case].structure for u in bambi} == {"crossed"}
    dense = to_do(Path("nowhere"), [*CASES], [SIDES["statsmodels"]], 1)
    assert [u.case for u in dense] == ["radon, correlated slopes", "Penicillin, 24 x 6"]
    assert [u.form for u in to_do(Path("nowhere"), [*CASES], [SIDES["statsmodels"]], 1, "centered")] == [""] * 2


def test_the_same_call_goes_on_after_it_was_cut_short(tmp_path: Path) -> None:
    going = run(tmp_path, units(tmp_path), "", silent, measuring=measured)
    for _ in range(3):
        next(going)
    going.close()
    with (tmp_path / LINES).open("a", encoding="utf-8") as lines:
        lines.write('{"case": "eight schools", "si')  # what a cut leaves
    assert len(read(tmp_path)) == 3
    left = units(tmp_path)
    assert left == units(Path("nowhere"))[3:]
    progress: list[str] = []
    assert len([*run(tmp_path, left, "", progress.append, measuring=measured)]) == 5
    assert units(tmp_path) == []
    assert len(read(tmp_path)) == 8
    assert progress[0] == "1 of 5: eight schools: PyMC, nutpie, round 2 ..."
    assert "smallest bulk ESS 400 (tau)" in progress[1]


def test_what_failed_is_tried_again_and_what_did_not_finish_is_not(tmp_path: Path) -> None:
    def measuring(unit: Unit, peer: str, limit: float) -> Record:
        if unit.side == NUTPIE and unit.case == EIGHT:
            return {**unit.__dict__, "state": SIDES[NUTPIE].state(), "load": 1.0, "unfinished": limit}
        if unit.side == STANLI and unit.round == 2:
            return {**unit.__dict__, "state": SIDES[STANLI].state(), "load": 1.0, "failed": "no memory"}
        return measured(unit)

    records = [*run(tmp_path, units(tmp_path), "", silent, measuring=measuring)]
    assert [(r["side"], r["round"]) for r in records if r["case"] == EIGHT] == [(STANLI, 1), (NUTPIE, 1), (STANLI, 2)]
    assert [(u.side, u.round) for u in units(tmp_path)] == [(STANLI, 2), (STANLI, 2)]
    assert in_words(records[1]) == "did not finish within 300 s"
    assert in_words(records[2]) == "failed: no memory"


def test_measurements_of_other_code_do_not_count(tmp_path: Path) -> None:
    first = units(tmp_path)[0]
    append(tmp_path, measured(first) | {"state": "of yesterday"})
    append(tmp_path, measured(first) | {"side": "a side that is gone"})
    assert read(tmp_path) == []
    append(tmp_path, measured(first))
    assert len(read(tmp_path)) == 1
    assert len({side.state() for side in SIDES.values()}) > 5


def test_after_its_minutes_nothing_new_is_begun(tmp_path: Path) -> None:
    progress: list[str] = []
    assert [*run(tmp_path, units(tmp_path), "", progress.append, minutes=-1, measuring=measured)] == []
    assert progress == ["-1 minutes are over: the same call goes on with the 8 that are left"]


def test_at_the_limit_a_process_ends_with_its_children(tmp_path: Path) -> None:
    child = f"import time; time.sleep(6); open({str(tmp_path / 'late')!r}, 'w')"
    code = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)"
    start = time.monotonic()
    assert finished([sys.executable, "-c", code], 3, tmp_path) == (None, "")
    assert time.monotonic() - start < 20
    time.sleep(5)
    assert not (tmp_path / "late").exists()


def test_the_last_line_of_an_error_is_kept(tmp_path: Path) -> None:
    assert finished([sys.executable, "-c", "raise ValueError('of this')"], 60, tmp_path) == (1, "ValueError: of this")
    assert finished([sys.executable, "-c", ""], 60, tmp_path) == (0, "")


def test_a_call_is_repeated_unless_it_was_long(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []
    _, first, second = twice(seeds.append, 5)
    assert second is not None
    assert seeds == [5, 1_000_005]
    monkeypatch.setattr("bench_peers.measured.LONG", -1.0)
    assert twice(seeds.append, 6)[2] is None
    assert seeds[2:] == [6]
    assert first < LONG


# --- the tables -----------------------------------------------------------------------------------------------------


def fill(folder: Path, sides: list[str], wrong: Callable[[Unit], dict[str, Any]] = lambda _unit: {}) -> None:
    for unit in to_do(folder, [EIGHT], [SIDES[name] for name in sides], 3):
        append(folder, measured(unit) | wrong(unit))


def test_tables_have_medians_and_what_was_not_run(tmp_path: Path) -> None:
    fill(tmp_path, [STANLI, CMDSTAN, NUTPIE])
    lines = table.table(tmp_path).splitlines()
    assert lines[0] == f"| smallest bulk ESS per second of sampling | {STANLI} | {CMDSTAN} | {NUTPIE} |"
    assert lines[1] == "|---|---|---|---|"
    assert lines[2] == "| eight schools | 800 | 800 | 800 |"
    assert lines[6] == "| eight schools | 4.00 | 4.00 | 4.00 |"  # 2, 4 and 6 seconds
    assert "* Repeats of each: 3. Load before a measurement, in the median: 1.5 (1.5 to 1.5)." in lines
    assert "* Versions: peer 1.0." in lines
    assert any(line.startswith("* Not run here: ") and "lme4 (needs R); glmmTMB (needs R)" in line for line in lines)


def test_a_wrong_posterior_has_no_number_in_any_table(tmp_path: Path) -> None:
    def wrong(unit: Unit) -> dict[str, Any]:
        return {"figures": posterior(900 + unit.round, shift=1)} if unit.side == NUTPIE else {}

    fill(tmp_path, [STANLI, CMDSTAN, TEXTBOOK, NUTPIE], wrong)
    text = table.table(tmp_path)
    assert text.count("| 800 | 800 | 800 | void |") == 1
    assert text.count("| 4.00 | 4.00 | 4.00 | void |") == 1
    assert re.search(r"\* eight schools, PyMC, nutpie: posterior unlike .*'s: mean of mu, \d+\.\d MCSE apart\.", text)


def test_what_did_not_finish_or_failed_is_a_result(tmp_path: Path) -> None:
    def wrong(unit: Unit) -> dict[str, Any]:
        return {NUTPIE: {"unfinished": 300.0}, CMDSTAN: {"failed": "no compiler"}}.get(unit.side, {})

    fill(tmp_path, [STANLI, CMDSTAN, NUTPIE], wrong)
    text = table.table(tmp_path)
    assert text.count("| 800 | failed | did not finish |") == 1
    assert "* eight schools, PyMC, nutpie: did not finish within 300 s." in text
    assert "* eight schools, hbm_stan, CmdStan: failed: no compiler." in text


def test_the_better_form_of_a_peer_stands_in_the_table(tmp_path: Path) -> None:
    fill(tmp_path, [STANLI, CMDSTAN, NUTPIE])
    for unit in to_do(tmp_path, [EIGHT], [SIDES[NUTPIE]], 3, "centered"):
        append(tmp_path, measured(unit) | {"ess": 600.0})
    assert "| eight schools | 800 | 800 | 1,200 |" in table.table(tmp_path)


def test_point_estimates_are_called_so_and_have_seconds_alone(tmp_path: Path) -> None:
    for unit in to_do(tmp_path, ["radon, correlated slopes"], [SIDES[STANLI], SIDES["statsmodels"]], 1):
        append(tmp_path, measured(unit))
    lines = table.table(tmp_path).splitlines()
    assert lines[0].endswith(f"| {STANLI} |")
    assert lines[4].endswith(f"| {STANLI} | statsmodels (point estimates) |")


def test_readme_gets_the_tables_between_its_lines(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n", encoding="utf-8")
    fill(tmp_path, [STANLI])
    for _ in range(2):
        table.write_readme(tmp_path, readme)
        assert readme.read_text(encoding="utf-8") == (
            f"before\n{table.BEGIN}\n{table.table(tmp_path)}\n{table.END}\nafter\n"
        )
    text = table.README.read_text(encoding="utf-8")
    assert text.count(table.BEGIN) == text.count(table.END) == 1


def test_cases_of_fewer_repeats_are_named(tmp_path: Path) -> None:
    fill(tmp_path, [STANLI, NUTPIE])
    for unit in to_do(tmp_path, ["normal means, 50 groups"], [SIDES[STANLI]], 3):
        append(tmp_path, measured(unit))
    for unit in to_do(tmp_path, ["Planck, 20 spectra"], [SIDES[STANLI], SIDES[NUTPIE]], 2)[:3]:
        append(tmp_path, measured(unit))
    assert "* Repeats of each: 3, 1 to 2 of Planck, 20 spectra. Load" in table.table(tmp_path)


def test_without_measurements_the_table_says_so(tmp_path: Path) -> None:
    assert table.table(tmp_path) == "No measurements yet."


@pytest.mark.parametrize(
    ("value", "words"),
    [(12_345.6, "12,300"), (800.0, "800"), (83.71, "83.7"), (4.567, "4.57"), (0.4567, "0.46"), (99.96, "100.0")],
)
def test_numbers_have_three_digits(value: float, words: str) -> None:
    assert table.three_digits(value) == words


# --- our side, and what is at hand ----------------------------------------------------------------------------------


def test_our_side_runs_in_a_process_of_its_own() -> None:
    record = measure(Unit(EIGHT, STANLI, "", 1), "no peer", 300)
    assert "failed" not in record, record
    assert 0 < record["sampling"] < record["seconds"] < 300
    assert 400 < record["ess"] < 8000
    assert record["rhat"] < 1.02
    assert {"mu", "tau", "theta[0]", "theta[7]"} <= set(record["figures"])
    mean, _, error, _ = record["figures"]["mu"]
    # posteriordb's eight_schools-eight_schools_noncentered: the mean of mu is 4.42.
    assert abs(mean - 4.42) < 5 * np.hypot(error, 0.02)
    json.dumps(record, allow_nan=False)


@pytest.mark.parametrize("name", ["beta-binomial, 71 rat tumour groups", "radon, correlated slopes",
                                  "Penicillin, 24 x 6", "Planck, 20 spectra"])  # fmt: skip
def test_our_quantities_have_the_names_and_shapes_of_the_textbook_programs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ours, "WARMUP", 300)
    case = replace(CASES[name], draws=200)
    frame = case.read()
    draws = ours.named(case, ours.fit(case, frame, "stanli", 1, tmp_path))
    groups = frame["g"].nunique()
    shapes = {
        "beta": (2,) if case.structure == "slopes" else (), "tau": (2,) if case.structure == "slopes" else (),
        "theta": (groups, 2) if case.structure == "slopes" else (groups,), "T": (groups,),
        "effect": (frame["h"].nunique() if "h" in frame else 0,),
    }  # fmt: skip
    expected = {quantity: (4, 200, *shapes.get(quantity, ())) for quantity in QUANTITIES[case.structure]}
    assert {quantity: values.shape for quantity, values in draws.items()} == expected


def test_a_side_that_cannot_be_run_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench_peers.by_r.shutil.which", lambda _name: None)
    there = command.at_hand([*SIDES.values()], "")
    assert [side.name for side in there] == [STANLI, CMDSTAN, DIRECT, TEXTBOOK]
    progress = capsys.readouterr().err
    assert "NumPyro is left out, for it needs --peer, a Python with the extra peers." in progress
    assert "lme4 is left out, for it needs Rscript." in progress
    assert command.lacking(SIDES["Bambi, nutpie"], "no/such/python") == "no/such/python, which does not run"
    unlikely = SIDES["NumPyro"].__class__("x", "x", needs=("no_such_package", "json"))
    assert command.lacking(unlikely, sys.executable) == "no_such_package"


def test_the_command_prints_the_table_of_what_is_there(tmp_path: Path) -> None:
    fill(tmp_path, [STANLI])
    done = subprocess.run(
        [sys.executable, str(runs.HERE), "--table", "--to", str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"| smallest bulk ESS per second of sampling | {STANLI} |")
    assert done.stderr == ""
