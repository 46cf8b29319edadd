"""The tables of README, made of the measurements that are there: medians, and what does not count with its reason."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench_peers.agreement import pooled, void
from bench_peers.cases import CASES
from bench_peers.runs import Record, read
from bench_peers.sides import MOST_ROWS, SIDES

README = Path(__file__).parents[3] / "README.md"
# Lines of README between which the tables stand.
BEGIN, END = "<!-- bench_peers -->", "<!-- /bench_peers -->"
Rounds = list[Record]
Cases = dict[str, dict[str, Rounds]]


def by_case(records: Iterable[Record]) -> Cases:
    """Rounds by case and side; of several forms of a side the one with most effective draws per second."""
    groups: dict[str, dict[str, dict[str, Rounds]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for record in records:
        groups[record["case"]][record["side"]][record["form"]].append(record)
    return {
        case: {side: max(groups[case][side].values(), key=rate) for side in SIDES if side in groups[case]}
        for case in CASES if case in groups
    }  # fmt: skip


def rate(rounds: Rounds) -> float:
    """Median of the smallest bulk ESS per second of sampling; -1 where nothing was drawn."""
    rates = [r["ess"] / r["sampling"] for r in rounds if "ess" in r]
    return statistics.median(rates) if rates else -1.0


def reasons(sides: dict[str, Rounds]) -> dict[str, str]:
    """Why sides of a case have no number: they did not finish, failed, or have another posterior."""
    words = {}
    for side, rounds in sides.items():
        if any("unfinished" in r for r in rounds):
            words[side] = f"did not finish within {max(r.get('unfinished', 0) for r in rounds):.0f} s"
        elif failed := [r["failed"] for r in rounds if "failed" in r]:
            words[side] = f"failed: {failed[-1]}"
    drawn = {side: rounds for side, rounds in sides.items() if side not in words and SIDES[side].draws}
    return words | void(
        {side: pooled([r["figures"] for r in rounds]) for side, rounds in drawn.items()},
        {side: max(r["rhat"] for r in rounds) for side, rounds in drawn.items()},
    )


def short(reason: str) -> str:
    """What stands in a cell in the place of a number; the reason stands below the table."""
    return {"did": "did not finish", "failed:": "failed"}.get(reason.split(maxsplit=1)[0], "void")


def three_digits(value: float) -> str:
    """A number to three digits, in full: 12,300, 4.56."""
    digits = max(0, 2 - len(str(int(abs(value)))) + 1)
    whole = float(f"{value:.3g}")
    return f"{whole:,.{digits if abs(value) >= 1 else 2}f}"


def grid(corner: str, names: Sequence[str], rows: dict[str, list[str]]) -> list[str]:
    """A table in Markdown."""
    lines = [f"| {' | '.join([corner, *names])} |", f"|{'---|' * (len(names) + 1)}"]
    return lines + [f"| {' | '.join([name, *cells])} |" for name, cells in rows.items()]


def cell(side: str, rounds: Rounds | None, words: dict[str, str], figure: Any) -> str:
    """A median, a word in its place, or nothing where a side has no such model or was not run."""
    if rounds is None:
        return ""
    return short(words[side]) if side in words else three_digits(figure(rounds))


def seconds(rounds: Rounds) -> float:
    """Median seconds from the table to the draws."""
    return statistics.median(r["seconds"] for r in rounds)


def loads(records: Sequence[Record]) -> str:
    """The loads before the measurements: the median, and from where to where."""
    values = [r["load"] for r in records]
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def repeats(cases: Cases) -> str:
    """How often what finished was measured: of most cases, then of the others."""
    counts = {}
    for case, sides in cases.items():
        numbers = {len(rounds) for rounds in sides.values() if not any("unfinished" in r for r in rounds)} or {0}
        counts[case] = " to ".join(dict.fromkeys([str(min(numbers)), str(max(numbers))]))
    usual = statistics.mode(counts.values())
    others = "".join(f", {number} of {case}" for case, number in counts.items() if number != usual)
    return f"Repeats of each: {usual}{others}."


def notes(cases: Cases, words: dict[str, dict[str, str]], records: Sequence[Record]) -> list[str]:
    """Below the tables: repeats, load, versions, what is void and why, and what a case is."""
    versions = sorted({part for r in records if "versions" in r for part in r["versions"].split(", ")})
    lines = [
        f"* {repeats(cases)} Load before a measurement, in the median: {loads(records)}.",
        f"* Versions: {', '.join(versions)}.",
    ]
    lines += [f"* {case}: {CASES[case].note}." for case in cases if CASES[case].note]
    lines += [f"* {case}, {side}: {reason}." for case in cases for side, reason in words[case].items()]
    absent = [side for side in SIDES if not any(side in sides for sides in cases.values())]
    limited = [side for side in SIDES.values() if side.rows < MOST_ROWS and side.name not in absent]
    lines += [f"* {side.name} is not tried on tables of more than {side.rows:,} rows." for side in limited]
    absent = [f"{side} (needs R)" if SIDES[side].r_package else side for side in absent]
    return lines + ([f"* Not run here: {'; '.join(absent)}."] if absent else [])


def table(folder: Path) -> str:
    """Both tables and their notes, of the measurements in a folder."""
    records = read(folder)
    if not records:
        return "No measurements yet."
    cases = by_case(records)
    words = {case: reasons(sides) for case, sides in cases.items()}
    there = [side for side in SIDES if any(side in sides for sides in cases.values())]
    drawing = [side for side in there if SIDES[side].draws]

    def rows(names: list[str], figure: Any) -> dict[str, list[str]]:
        return {case: [cell(n, cases[case].get(n), words[case], figure) for n in names] for case in cases}

    heads = [side if SIDES[side].draws else f"{side} (point estimates)" for side in there]
    return "\n".join([
        *grid("smallest bulk ESS per second of sampling", drawing, rows(drawing, rate)), "",
        *grid("seconds from the table to the draws", heads, rows(there, seconds)), "",
        *notes(cases, words, records),
    ])  # fmt: skip


def write_readme(folder: Path, readme: Path = README) -> None:
    """Put the tables into README, between their two lines."""
    text = readme.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    readme.write_text(f"{before}{BEGIN}\n{table(folder)}\n{END}{after}", encoding="utf-8")
