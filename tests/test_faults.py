"""Every planted fault is caught by the checks named for it; the shipped program of the same variant passes them."""

from __future__ import annotations

import difflib
import re
from dataclasses import replace

import pytest
from fault_checks import (
    Check,
    calibration,
    contract,
    known_posterior,
    known_posterior_shortly,
    log_density,
    pointwise,
    replications,
    structure,
)
from fault_table import PAGE, cells
from faults import BROKEN, CHECKS, FAULTS

from hbm_stan.families import families

QUICK: dict[str, Check] = {
    "structure": structure,
    "log density": log_density,
    "pointwise": pointwise,
    "contract": contract,
    "replications": replications,
    "known posterior": known_posterior_shortly,
}
DATA_BLOCK = re.compile(r"^data \{\n.*?^\}", re.S | re.M)


def test_every_broken_program_is_in_the_registry() -> None:
    assert {path.stem for path in BROKEN.glob("*.stan")} == set(FAULTS)
    assert len(FAULTS) >= 12
    assert all(fault.caught_by and set(fault.caught_by) <= set(CHECKS) for fault in FAULTS.values())
    assert {fault.family for fault in FAULTS.values()} == set(families())


@pytest.mark.parametrize("name", FAULTS)
def test_a_broken_program_is_the_shipped_one_with_one_fault(name: str) -> None:
    fault = FAULTS[name]
    broken, shipped = (p.code.splitlines() for p in (fault.program, fault.shipped))
    assert broken[0].startswith("// Planted fault: ")
    assert broken[0].endswith(f"; otherwise {fault.shipped.path.stem}.")
    changed = [line[2:] for line in difflib.ndiff(shipped, broken[1:]) if line[:2] in {"- ", "+ "}]
    assert 1 <= len(changed) <= 16
    assert sum("// FAULT: " in line for line in broken) == 1
    assert max(map(len, fault.program.path.read_text().splitlines())) <= 120  # included lines are indented
    blocks = [DATA_BLOCK.search(p.code) for p in (fault.program, fault.shipped)]
    assert blocks[0] is not None
    assert blocks[1] is not None
    assert blocks[0][0] == blocks[1][0]


@pytest.mark.parametrize(
    ("name", "check"), [(f.file, check) for f in FAULTS.values() for check in f.caught_by if check in QUICK]
)
def test_a_planted_fault_is_caught_by_its_check(name: str, check: str) -> None:
    outcome = QUICK[check](FAULTS[name], FAULTS[name].program)
    if check == "known posterior" and not outcome.caught:
        outcome = known_posterior(FAULTS[name], FAULTS[name].program)
    assert outcome.caught, outcome.figure


# One fault stands for all that pretend to be the same variant with the same priors.
SHIPPED = {(f.family, f.variant, f.on, tuple(f.priors.items())): f.file for f in FAULTS.values()}
# On the example of a family with its default priors, test_families.py shows the same of every shipped program.
PASSED_THERE = ("structure", "log density", "pointwise", "contract", "replications")


@pytest.mark.parametrize(
    ("name", "check"),
    [
        (file, check)
        for (_, _, on, priors), file in SHIPPED.items()
        for check in QUICK
        if on or priors or check not in PASSED_THERE
    ],
)
def test_the_shipped_program_passes_the_same_checks(name: str, check: str) -> None:
    outcome = QUICK[check](FAULTS[name], FAULTS[name].shipped)
    assert not outcome.caught, outcome.figure


# As few replications as calibrate() takes; the page says how many the other faults need.
@pytest.mark.parametrize("name", ["sd_for_variance", "log_lik_without_constant", "theta_without_its_spread"])
def test_a_calibration_in_few_replications_catches_what_it_is_named_for(name: str) -> None:
    fault = FAULTS[name]
    assert calibration(fault, fault.program, 50, workers=1).caught
    right = calibration(fault, fault.shipped, 50, workers=1)
    assert not right.caught, right.figure


def test_a_fault_of_replications_alone_is_seen_by_nothing_else() -> None:
    """Why the check is there: density, log_lik and posterior of these programs are right."""
    for fault in (f for f in FAULTS.values() if f.caught_by == ("replications",)):
        for check in ("structure", "log density", "pointwise"):
            assert not QUICK[check](fault, fault.program).caught


def test_a_truncated_likelihood_without_its_normaliser_is_right_where_nothing_is_truncated() -> None:
    """The fault of this file is its only one."""
    fault = replace(FAULTS["planck_truncated_without_normaliser"], variant="partial_pooling")
    assert not log_density(fault, fault.program).caught


def test_the_table_names_every_fault_and_shows_each_caught() -> None:
    rows = {r[0].strip("` "): r[1:] for r in map(cells, PAGE.read_text().splitlines()) if len(r) == 1 + len(CHECKS)}
    head = rows["fault"]
    assert tuple(head) == CHECKS
    for fault in FAULTS.values():
        caught = {check for check, cell in zip(head, rows[fault.file], strict=True) if cell.startswith("**")}
        assert caught == set(fault.caught_by), fault.file
    by_calibration = [r for f, r in rows.items() if f in FAULTS and r[CHECKS.index("calibration")].startswith("**")]
    assert len(by_calibration) >= 9
