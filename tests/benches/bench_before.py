"""Seconds beside an earlier commit, in turns: `hbm sensitivity`, 200 calibrations, and from a table to a checked fit.

``python tests/benches/bench_before.py COMMIT [ROUNDS]``: the commit is unpacked into a temporary folder, and imported
from there in processes of its own. Of it the embedded engine's sampler is measured, of today's code that and direct
draws. Seconds are those of a core: other work on the machine counts less. The first two lines are of whole commands,
the others are without imports.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
ANALYSES = (
    ("eight_schools", "partial_pooling"), ("rat_tumour", "partial_pooling"), ("sleepstudy", "partial_pooling"),
    ("radon", "partial_pooling_intercept"),
)  # fmt: skip
REPEATS = 9  # fits of one process, each with a seed of its own; the first two warm it up
# Runs in a process of its own with the package of either commit in its path, whose modules may lie elsewhere.
CHILD = """
import json, statistics, sys, tempfile, time
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from hbm_stan.attempts import run_attempts
from hbm_stan.diagnose import check
from hbm_stan.fit import jobs_of
from hbm_stan.store import FitStore
folder, variant, engine, repeats = *sys.argv[1:4], int(sys.argv[4])
try:
    from hbm_stan.analysis.read import read_analysis
except ImportError:
    from hbm_stan.report.analysis import read_analysis
names = {"stanli": "StanliEngine", "direct": "DirectEngine"}
drawer = getattr(import_module(f"hbm_stan.engines.{engine}"), names[engine])()
analysis, seconds = read_analysis(Path(folder)), []
for seed in range(100, 100 + repeats):
    started = time.process_time()
    settings = replace(analysis.sampling, seed=seed)
    job = jobs_of(analysis.family, analysis.dataset, (variant,), analysis.priors, settings, drawer)[0]
    with tempfile.TemporaryDirectory() as kept_in:
        check(run_attempts(job, FitStore(Path(kept_in)), lambda _: None))
        seconds.append(time.process_time() - started)
print(json.dumps(statistics.median(seconds[2:])))
"""


def run(package: Path, *words: str) -> str:
    """What Python prints with a package in its path, in an environment without the user's caches."""
    with tempfile.TemporaryDirectory() as cache:
        given = {**os.environ, "PYTHONPATH": str(package), "XDG_CACHE_HOME": cache}
        done = subprocess.run(
            [sys.executable, *words], env=given, check=True, stdout=subprocess.PIPE, text=True, cwd=package
        )
    return done.stdout


def fitted(package: Path, analysis: str, variant: str, engine: str) -> float:
    """Seconds of a core from the table to a fit that is kept and has passed its checks, the median of seeds."""
    words = (str(package / "reports" / analysis), variant, engine, str(REPEATS))
    return float(json.loads(run(package, "-c", CHILD, *words)))


def sensitivity(package: Path) -> float:
    """Seconds of a core of `hbm sensitivity` of eight schools, whose fits are there and checked, imports and all."""
    folder = package / "reports" / "eight_schools"
    words = ("-m", "hbm_stan", "sensitivity", str(folder), "--engine", "stanli", "--quiet")
    shutil.rmtree(folder / "fits", ignore_errors=True)
    run(package, *words)
    for refits in (folder / "fits" / "sensitivity", folder / "fits" / "sensitivity.json"):
        shutil.rmtree(refits) if refits.is_dir() else refits.unlink(missing_ok=True)
    return of_command(package, *words)


def calibration(package: Path) -> float:
    """Seconds of a core of 200 replications of normal means, imports and all."""
    return of_command(package, "-m", "hbm_stan", "calibrate", "normal_means", "--replications", "200", "--quiet")


def of_command(package: Path, *words: str) -> float:
    """Seconds of a core that a command takes, its processes counted."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(package, *words)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def beside(name: str, before: list[float], **now: list[float]) -> str:
    """A line: the median before, and for each way of today its median and what share of the time before that is."""
    base = statistics.median(before)
    ways = (f"{way} {1000 * statistics.median(s):,.0f} ({statistics.median(s) / base:.2f})" for way, s in now.items())
    return f"{name}: before {1000 * base:,.0f}; {'; '.join(ways)} ms"


def unpacked(commit: str, place: Path) -> Path:
    """The files of a commit."""
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    place.mkdir()
    subprocess.run(["tar", "-x"], cwd=place, input=archive, check=True)
    return place


def main() -> None:
    """Print a line for each command, then one for each analysis."""
    commit, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3
    with tempfile.TemporaryDirectory() as folder:
        old, new = unpacked(commit, Path(folder, "old")), unpacked("HEAD", Path(folder, "new"))
        for name, command in (("hbm sensitivity", sensitivity), ("hbm calibrate, 200", calibration)):
            pairs = [(command(old), command(new)) for _ in range(rounds)]
            print(beside(name, [a for a, _ in pairs], now=[b for _, b in pairs]), flush=True)
        for analysis, variant in ANALYSES:
            three = [
                (fitted(old, analysis, variant, "stanli"), fitted(new, analysis, variant, "stanli"),
                 fitted(new, analysis, variant, "direct"))
                for _ in range(rounds)
            ]  # fmt: skip
            before, sampler, direct = (list(column) for column in zip(*three, strict=True))
            print(beside(f"{analysis}, {variant}", before, sampler=sampler, direct=direct), flush=True)


if __name__ == "__main__":
    main()
