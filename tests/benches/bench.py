"""`make bench`: how long a report takes, cached and anew, on both engines; rounds interleaved, medians printed.

Each measurement is a process of its own with an empty cache, so that imports, compiling and sampling are all paid.
The alternatives to compare with are the rows themselves: machines differ, ratios within one run do not.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROUNDS = int(os.environ.get("HBM_BENCH_ROUNDS", "3"))
# Runs one report and prints the seconds of each phase, as its progress messages mark them.
CHILD = """
import json, sys, time
marks = [("imports", time.perf_counter())]
from hbm_stan.report.build import report
marks.append(("fits and data", time.perf_counter()))
names = {"Compiling": "compiling", "Checking": "checks", "Drawing": "figures", "Setting": "pages"}
def say(text):
    word = names.get(text.split()[0]) or ("sampling" if "sampling" in text else None)
    if word and marks[-1][0] != word:
        marks.append((word, time.perf_counter()))
report(sys.argv[1], engine=sys.argv[2], say=say)
marks.append(("end", time.perf_counter()))
phases = {}
for (name, start), (_, end) in zip(marks, marks[1:]):
    phases[name] = phases.get(name, 0) + end - start
print(json.dumps(phases))
"""


def timed(command: list[str], cache: Path) -> tuple[float, str]:
    """Wall seconds of a command, and what it printed."""
    started = time.perf_counter()
    done = subprocess.run(
        command, env={**os.environ, "HBM_CACHE": str(cache)}, capture_output=True, text=True, check=True, cwd=ROOT
    )
    return time.perf_counter() - started, done.stdout


def copy_of_sample(parent: Path) -> Path:
    """The sample analysis without anything that it built."""
    folder = parent / "eight_schools"
    folder.mkdir()
    shutil.copy(ROOT / "data" / "eight_schools" / "data.csv", folder)
    text = (ROOT / "reports" / "eight_schools" / "analysis.toml").read_text(encoding="utf-8")
    (folder / "analysis.toml").write_text(text.replace("../../data/eight_schools", "data.csv"), encoding="utf-8")
    return folder


def one_round(engines: list[str]) -> dict[str, tuple[float, dict[str, float]]]:
    """Every row once, one after the other."""
    timings: dict[str, tuple[float, dict[str, float]]] = {}
    for engine in engines:
        with tempfile.TemporaryDirectory() as name:
            folder, cache = copy_of_sample(Path(name)), Path(name) / "cache"
            child = [sys.executable, "-c", CHILD, str(folder), engine]
            for row in (f"first report, {engine}", f"cached report, {engine}"):
                seconds, printed = timed(child, cache)
                timings[row] = (seconds, json.loads(printed))
            (folder / "report.pdf").unlink()
            seconds, printed = timed(child, cache)
            timings[f"new pages from kept draws, {engine}"] = (seconds, json.loads(printed))
    with tempfile.TemporaryDirectory() as name:
        for row, command in (
            ("python -c pass", ["-c", "pass"]),
            ("import hbm_stan", ["-c", "import hbm_stan"]),
            ("hbm --help", ["-m", "hbm_stan", "--help"]),
        ):
            timings[row] = (timed([sys.executable, *command], Path(name))[0], {})
    return timings


def main() -> None:
    """Print the medians of all rounds."""
    from hbm_stan.engines.install import find_cmdstan, toolchain_missing

    engines = ["stanli"] + (["cmdstan"] if find_cmdstan() and not toolchain_missing() else [])
    rounds = []
    for i in range(ROUNDS):
        print(f"round {i + 1} of {ROUNDS}", file=sys.stderr)
        rounds.append(one_round(engines))
    print(f"{'median of ' + str(ROUNDS):<40} {'seconds':>8}   what dominates")
    for row in rounds[0]:
        phases = {p: statistics.median(r[row][1].get(p, 0) for r in rounds) for p in rounds[0][row][1]}
        largest = sorted(phases.items(), key=lambda item: -item[1])[:3]
        phases_text = ", ".join(f"{name} {seconds:.1f}" for name, seconds in largest)
        print(f"{row:<40} {statistics.median(r[row][0] for r in rounds):>8.2f}   {phases_text}")


if __name__ == "__main__":
    main()
