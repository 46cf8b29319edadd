"""Every check on every planted fault and on the shipped programs, as the table of reports/truth.md; run by hand.

``python tests/tools/fault_table.py [REPLICATIONS] [FAULT ...] [--write] [--no-engines] [--no-calibration]`` prints the
table, or puts it into its place in the page; with names of faults, the rows of these and of the right programs that
they stand for. It needs CmdStan for the column "engines" and takes about half an hour on two cores; calibrations and
compiled programs are kept in the user's cache, so that it goes on where it was stopped.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path

from fault_checks import (
    Check,
    Detection,
    calibration,
    contract,
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

PAGE = Path(__file__).parents[2] / "reports" / "truth.md"
BEGIN, END = "<!-- fault_table.py: begin -->", "<!-- fault_table.py: end -->"
REPLICATIONS = 200
NOT_RUN = "not run"
HEAD = [f"| fault | {' | '.join(CHECKS)} |", "|---" * (1 + len(CHECKS)) + "|"]


def cell(detection: Detection) -> str:
    """What one check says, bold where it caught the program."""
    if detection.caught:
        return f"**{detection.figure}**"
    return NOT_RUN if detection.figure == NOT_RUN else f"no: {detection.figure}" if detection.figure else "no"


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
    on = f", {fault.on}" if fault.on else ""
    return f"none: {fault.family}, {fault.variant}{on}{priors}"


def rows(faults: Sequence[Fault], checks: dict[str, Check]) -> list[str]:
    """The rows of these faults, then of the right programs under the same settings."""
    right = {shipped_name(f): f for f in faults}
    table_rows = [row(f"`{f.file}`", f, f.program, checks) for f in faults]
    return table_rows + [row(name, f, f.shipped, checks) for name, f in right.items()]


def all_checks(faults: Sequence[Fault], number: int, left_out: Collection[str]) -> dict[str, Check]:
    """The checks by name; those left out say so."""
    checks: dict[str, Check] = {
        "structure": structure,
        "log density": log_density,
        "pointwise": pointwise,
        "contract": contract,
        "replications": replications,
        "known posterior": known_posterior,
        "calibration": partial(calibration, number=number),
    }
    if "engines" not in left_out:
        cmdstan = choose("cmdstan")
        programs = [p for f in faults for p in (f.program, f.shipped)]
        cmdstan.build(programs, lambda text: print(text, file=sys.stderr))
        checks["engines"] = partial(engines, other=cmdstan)
    return checks | {name: lambda _fault, _program: Detection(False, NOT_RUN) for name in left_out}


def meanings() -> str:
    """What is wrong in each program, as a table."""
    lines = ["| fault | pretends to be | what is wrong |", "|---|---|---|"]
    lines += [f"| `{f.file}` | {f.family}, {f.variant} | {f.wrong} |" for f in FAULTS.values()]
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Print the tables, or write them to the page between its two marks."""
    if unknown := {a for a in arguments if a.startswith("-")} - {"--write", "--no-engines", "--no-calibration"}:
        sys.exit(f"{', '.join(sorted(unknown))}: there is no such option.\n{__doc__}")
    number = next((int(a) for a in arguments if a.isdigit()), REPLICATIONS)
    left_out = [name for name in ("engines", "calibration") if f"--no-{name}" in arguments]
    chosen = [FAULTS[name] for name in arguments if not name.isdigit() and not name.startswith("--")]
    faults = chosen or list(FAULTS.values())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # that generated quantities run slowly on the embedded engine
        table_rows = rows(faults, all_checks(faults, number, left_out))
    if "--write" not in arguments:
        print("\n".join([meanings(), "", *HEAD, *table_rows]))
        return
    page = PAGE.read_text(encoding="utf-8")
    if chosen:
        table_rows = merged([line for line in page.splitlines() if len(cells(line)) == 1 + len(CHECKS)][2:], table_rows)
    inside = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.S)
    body = "\n".join([BEGIN, meanings(), "", *HEAD, *table_rows, END])
    PAGE.write_text(inside.sub(lambda _: body, page), encoding="utf-8")


def cells(line: str) -> list[str]:
    """The cells of a row of a table; none of another line."""
    return [c.strip() for c in line.strip().strip("|").split("|")] if line.startswith("|") else []


def merged(before: Sequence[str], fresh: Sequence[str]) -> list[str]:
    """The rows of a page with those that were made in their place: faults in their order, then right programs."""
    held = {cells(line)[0]: line for line in [*before, *fresh]}
    names = [f"`{name}`" for name in FAULTS] + [shipped_name(f) for f in FAULTS.values()]
    return [held[name] for name in dict.fromkeys(names) if name in held]


if __name__ == "__main__":
    main(sys.argv[1:])
