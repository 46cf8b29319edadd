"""How often does a right model fail a check? Every shipped analysis with 20 seeds.

``python tests/tools/false_alarms.py`` finds out. A report is made but for its comparison and its pages, on stanli: the
parameterisation is settled by pilots of its own, all variants are fitted, second attempts included, and diagnostics,
priors and the predictive check are looked at. One line of JSON is kept for each analysis and seed, in the file of
``--out``; what is there already is not made again, so that it may be stopped and started. ``--table`` prints the table
of what is there. ``--analyses radon,bcg``, ``--seeds 5`` restrict it; planck, which is slow, comes last. The seeds are
1, 2, 3 ...; none was picked. The exit code is 1 where more than one report in 50 has a failed check.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hbm_stan.analysis.read import Analysis
from hbm_stan.checks import check_fits
from hbm_stan.examples import analyses
from hbm_stan.fit import Fit
from hbm_stan.prior_predictive import check_priors
from hbm_stan.report.build import fit_analysis, settled

SEEDS = 20
# Asked for: a failed check in at most one report of 50.
MOST = 1 / 50
LAST = ("planck",)
BAD = ("fail", "warn")


def alarms(analysis: Analysis, seed: int) -> dict[str, Any]:
    """What one report would show: checks that did not pass, by variant, and what was sampled again."""
    with tempfile.TemporaryDirectory() as folder:
        asked = settled(replace(analysis, folder=Path(folder)).with_seed(seed))
        started = time.perf_counter()
        fits = fit_analysis(asked, engine="stanli")
        seconds = time.perf_counter() - started
        judged = check_fits(fits, asked.waived)
        verdicts = {n: [*judged[n].verdicts, *check_priors(f)] for n, f in fits.items()}
    return {
        "analysis": analysis.name, "seed": seed, "seconds": round(seconds, 1),
        "alarms": [
            [n, v.name, v.status, v.value, v.subject] for n, vs in verdicts.items() for v in vs if v.status in BAD
        ],
        "again": {n: _steps(f) for n, f in fits.items() if f.earlier},
    }  # fmt: skip


def _steps(fit: Fit) -> list[list[Any]]:
    """The attempts at a fit, the last one too: adapt_delta, how it failed, seconds."""
    last = [fit.sampling.adapt_delta, "", round(fit.seconds, 2)]
    return [*([a.adapt_delta, a.failed, round(a.seconds, 2)] for a in fit.earlier), last]


def read(path: Path) -> list[dict[str, Any]]:
    """The lines that were kept."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown: by analysis, reports with a failed check and with a warning, which, and fits sampled again."""
    lines = ["| analysis | reports | failed | warned | which | sampled again |", "|---|---|---|---|---|---|"]
    names = list(dict.fromkeys(row["analysis"] for row in rows))
    for name in sorted(names):
        own = [row for row in rows if row["analysis"] == name]
        lines.append(
            f"| {name} | {len(own)} | {_count(own, 'fail')} | {_count(own, 'warn')} | {_which(own)} | {_again(own)} |"
        )
    failed = _count(rows, "fail")
    lines.append(f"| all | {len(rows)} | {failed} | {_count(rows, 'warn')} | {_which(rows)} | {_again(rows)} |")
    return "\n".join(lines)


def _count(rows: Sequence[dict[str, Any]], status: str) -> int:
    return sum(any(alarm[2] == status for alarm in row["alarms"]) for row in rows)


def _which(rows: Sequence[dict[str, Any]]) -> str:
    """Check and status with the number of reports that show it."""
    seen = Counter(key for row in rows for key in {(alarm[1], alarm[2]) for alarm in row["alarms"]})
    return ", ".join(f"{name} {status} {n}" for (name, status), n in seen.most_common()) or "–"


def _again(rows: Sequence[dict[str, Any]]) -> str:
    """How many fits were sampled again, at which last step."""
    steps = Counter(attempts[-1][0] for row in rows for attempts in row["again"].values())
    return ", ".join(f"{n} at {step:g}" for step, n in sorted(steps.items())) or "–"


def main() -> None:
    """Make what is missing, then print the table."""
    parser = argparse.ArgumentParser(description="False alarms of the checks on the shipped analyses.")
    parser.add_argument("--analyses", default="", help="names with commas; else all")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--out", type=Path, default=Path("false_alarms.jsonl"))
    parser.add_argument("--table", action="store_true", help="print the table of what is there")
    options = parser.parse_args()
    known = analyses()
    chosen = [n for n in options.analyses.split(",") if n] or sorted(known, key=lambda n: (n in LAST, n))
    done = {(row["analysis"], row["seed"]) for row in read(options.out)}
    # One seed of every analysis, then the next: what is there when it is stopped is of all of them.
    slow = [n for n in chosen if n in LAST]
    wanted = [(n, s) for s in range(1, options.seeds + 1) for n in chosen if n not in LAST]
    wanted += [(n, s) for n in slow for s in range(1, options.seeds + 1)]
    for name, seed in () if options.table else wanted:
        if (name, seed) not in done:
            row = alarms(known[name], seed)
            with options.out.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(name, seed, row["alarms"], row["again"], flush=True)
    rows = [row for row in read(options.out) if row["analysis"] in chosen and row["seed"] <= options.seeds]
    print(table(rows))
    sys.exit(_count(rows, "fail") > MOST * len(rows))


if __name__ == "__main__":
    main()
