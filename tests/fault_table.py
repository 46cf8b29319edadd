"""Every check on every planted fault and on the shipped programs, as the table of reports/truth.md; run by hand.

``python tests/fault_table.py [REPLICATIONS] [--write] [--no-engines]`` prints the table, or puts it into its place in
the page. It needs CmdStan for the column "engines" and takes about half an hour on two cores; calibrations and compiled
programs are kept in the user's cache, so that it goes on where it was stopped.
"""

from __future__ import annotations

import re
import sys
import warnings
from functools import partial
from pathlib import Path

from fault_checks import (
    Check,
    Found,
    calibration,
    engines,
    known_posterior,
    log_density,
    pointwise,
    replications,
    structure,
)
from faults import CHECKS, FAULTS, Fault

from hbm_stan.engines import choose
from hbm_stan.program import Program

PAGE = Path(__file__).parents[1] / "reports" / "truth.md"
BEGIN, END = "<!-- fault_table.py: begin -->", "<!-- fault_table.py: end -->"
REPLICATIONS = 200
NOT_RUN = "not run"


def cell(found: Found) -> str:
    """What one check says, bold where it caught the program."""
    if found.caught:
        return f"**{found.figure}**"
    return NOT_RUN if found.figure == NOT_RUN else f"no: {found.figure}" if found.figure else "no"


def row(name: str, fault: Fault, program: Program, checks: dict[str, Check]) -> str:
    """A row of the table; each cell is shown on stderr as it is found."""
    cells = [name]
    for check in CHECKS:
        cells.append(cell(checks[check](fault, program)))
        print(f"{name}, {check}: {cells[-1]}", file=sys.stderr, flush=True)
    return f"| {' | '.join(cells)} |"


def shipped_name(fault: Fault) -> str:
    """What a row about a right program is called: its variant, and the priors that are not those of its example."""
    priors = "".join(f", {name} {text}" for name, text in fault.priors.items())
    return f"none: {fault.family}, {fault.variant}{priors}"


def table(number: int, with_engines: bool) -> str:
    """The whole table in Markdown: the faults, then the right programs under the same settings."""
    right = {shipped_name(f): f for f in FAULTS.values()}
    checks: dict[str, Check] = {
        "structure": structure,
        "log density": log_density,
        "pointwise": pointwise,
        "replications": replications,
        "known posterior": known_posterior,
        "engines": lambda _fault, _program: Found(False, NOT_RUN),
        "calibration": partial(calibration, number=number),
    }
    if with_engines:
        cmdstan = choose("cmdstan")
        programs = [f.program for f in FAULTS.values()] + [f.shipped for f in right.values()]
        cmdstan.build(programs, lambda text: print(text, file=sys.stderr))
        checks["engines"] = partial(engines, other=cmdstan)
    lines = [f"| fault | {' | '.join(CHECKS)} |", "|---" * (1 + len(CHECKS)) + "|"]
    lines += [row(f"`{f.file}`", f, f.program, checks) for f in FAULTS.values()]
    lines += [row(name, f, f.shipped, checks) for name, f in right.items()]
    return "\n".join(lines)


def meanings() -> str:
    """What is wrong in each program, as a table."""
    lines = ["| fault | pretends to be | what is wrong |", "|---|---|---|"]
    lines += [f"| `{f.file}` | {f.family}, {f.variant} | {f.wrong} |" for f in FAULTS.values()]
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Print the tables, or write them to the page between its two marks."""
    numbers = [int(a) for a in arguments if a.isdigit()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # that generated quantities run slowly on the embedded engine
        made = f"{meanings()}\n\n{table(numbers[0] if numbers else REPLICATIONS, '--no-engines' not in arguments)}"
    if "--write" not in arguments:
        print(made)
        return
    page = PAGE.read_text(encoding="utf-8")
    inside = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.S)
    PAGE.write_text(inside.sub(lambda _: f"{BEGIN}\n{made}\n{END}", page), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
