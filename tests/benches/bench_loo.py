"""`python tests/benches/bench_loo.py`: leave-one-out of 4,000 draws and 100,000 units, by hbm_stan, ArviZ and R's loo.

The log densities are those of a linear model (three parameters) at simulated rows, some of which surprise it, in a
file that is deleted at the end (3.2 GB; `--units 10000` for less). Each measurement is a process of its own that has
loaded its numbers before its clock starts; rounds are interleaved and medians printed. Machines differ and others may
use them: trust ratios, and those of CPU seconds before those of wall seconds. R's loo keeps all weights several times
(25 GB for 100,000 units): it is given the first of the units, and its ratios are those of seconds a unit. Without R its
row is left out.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SEED = 20261121
# R's loo smooths 190 of 4,000 draws and ArviZ 189 (3 sqrt(4000) is 189.7): "as R", with r_eff 0.99, we smooth 190 too.
PYTHON = """
import json, sys, time
import numpy as np
way, path, draws, units, out = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
rows = np.memmap(path, dtype=np.float64, mode="r", shape=(draws, units))
if way == "arviz":
    import arviz, warnings
    warnings.simplefilter("ignore")  # of k above 0.7
    tree = arviz.from_dict({
        "posterior": {"mu": np.zeros((4, draws // 4))},
        "log_likelihood": {"y": np.array(rows).reshape(4, draws // 4, units)},
    })
    run = lambda: arviz.loo(tree, reff=1.0, pointwise=True)
else:
    from hbm_stan.psis import psis_loo
    given = rows if way == "map" else np.array(rows)
    run = lambda: psis_loo(given, r_eff=0.99 if way == "as R" else 1.0)
wall, cpu = time.perf_counter(), time.process_time()
found = run()
times = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
np.concatenate([np.ravel(found.elpd_i), np.ravel(found.pareto_k)]).tofile(out)
print(json.dumps(times))
"""
R = """
suppressMessages(library(loo))
a <- commandArgs(trailingOnly = TRUE)
x <- readBin(a[1], "double", as.numeric(a[2]) * as.numeric(a[3]))
dim(x) <- as.numeric(a[2:3])
t <- proc.time()
f <- suppressWarnings(loo(x, r_eff = rep(1, ncol(x)), save_psis = FALSE, cores = 2))
t <- proc.time() - t
writeBin(c(f$pointwise[, "elpd_loo"], f$diagnostics$pareto_k), a[4])
cat(sprintf('{"wall": %f, "cpu": %f}', t[[3]], t[[1]] + t[[2]] + t[[4]] + t[[5]]))
"""
NAMES = {
    "memory": "hbm_stan, in memory", "map": "hbm_stan, memory map", "arviz": "arviz.loo", "R": "R loo",
}  # fmt: skip


def simulate(path: Path, draws: int, units: int) -> None:
    """Write log densities, shape (draw, unit), of a normal linear model whose parameters are known to about a tenth."""
    rng = np.random.default_rng(SEED)
    x = rng.standard_normal(units)
    y = 1 + 0.5 * x + rng.standard_t(4, size=units)
    rows = np.memmap(path, dtype=np.float64, mode="w+", shape=(draws, units))
    for row in rows:
        intercept, slope, log_sigma = rng.normal([1, 0.5, 0.2], [0.1, 0.1, 0.07])
        row[:] = -0.5 * ((y - intercept - slope * x) / np.exp(log_sigma)) ** 2 - log_sigma - 0.5 * np.log(2 * np.pi)
    rows.flush()


def for_r(path: Path, turned: Path, draws: int, units: int, few: int) -> None:
    """The numbers of the first units with the draws of a unit side by side, as R keeps a matrix."""
    rows = np.memmap(path, dtype=np.float64, mode="r", shape=(draws, units))
    np.ascontiguousarray(rows[:, :few].T).tofile(turned)


def memory(pid: int) -> int:
    """Bytes of a process and its children that are theirs: without the pages of a mapped file, shared ones once."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:  # it has ended, or this is no Linux
        return 0
    own = sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss_Anon:"))
    return own + sum(memory(int(child)) for child in children)


def measure(way: str, files: dict[str, Path], draws: int, units: int) -> dict[str, float]:
    """Wall and CPU seconds, and the largest memory seen (two looks a second)."""
    out = files["out"] / way
    if way == "R":
        command = ["Rscript", "-e", R, str(files["turned"]), str(draws), str(units), str(out)]
    else:
        command = [sys.executable, "-c", PYTHON, way, str(files["rows"]), str(draws), str(units), str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        peak = 0
        while process.poll() is None:
            peak = max(peak, memory(process.pid))
            time.sleep(0.5)
        assert process.stdout is not None
        printed = process.stdout.read()
    if process.returncode:
        raise SystemExit(f"{NAMES.get(way, way)} ended with {process.returncode}.")
    return {**json.loads(printed), "memory": peak, "units": units}


def difference(folder: Path, one: str, other: str) -> str:
    """The largest differences of elpd and k between two of the ways."""
    a, b = (np.fromfile(folder / way).reshape(2, -1) for way in (one, other))
    a, b = a[:, : b.shape[1]], b[:, : a.shape[1]]
    if not np.array_equal(np.isfinite(a), np.isfinite(b)):
        return "not finite at different units"
    elpd, k = np.nanmax(np.abs(a - b), axis=1)
    return f"{elpd:.1e} in elpd_i, {k:.1e} in k"


def has_r() -> bool:
    if shutil.which("Rscript") is None:
        return False
    return subprocess.run(["Rscript", "-e", "library(loo)"], capture_output=True, check=False).returncode == 0


def show(runs: dict[str, list[dict[str, float]]], folder: Path) -> None:
    median = {w: {k: statistics.median(r[k] for r in rounds) for k in rounds[0]} for w, rounds in runs.items()}
    ours = median["memory"]
    print(f"{'':24}{'units':>8}{'wall s':>9}{'CPU s':>9}{'memory GB':>11}{'x wall':>8}{'x CPU':>8}")
    for way, m in median.items():
        ratios = "".join(f"{m[clock] / m['units'] * ours['units'] / ours[clock]:8.1f}" for clock in ("wall", "cpu"))
        figures = f"{m['units']:8.0f}{m['wall']:9.2f}{m['cpu']:9.2f}{m['memory'] / 1e9:11.2f}"
        print(f"{NAMES[way]:24}{figures}{ratios}")
    elpd, k = np.fromfile(folder / "memory").reshape(2, -1)
    print(f"elpd {elpd.sum():.2f}; k from {k.min():.2f} to {k.max():.2f}, {np.sum(k > 0.7)} above 0.7")
    print(f"largest difference, in memory to memory map: {difference(folder, 'memory', 'map')}")
    if "arviz" in runs:
        print(f"largest difference to ArviZ: {difference(folder, 'memory', 'arviz')}")
    if "R" in runs:
        print(f"largest difference to R with tails of as many draws: {difference(folder, 'as R', 'R')}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=4000)
    parser.add_argument("--units", type=int, default=100_000)
    parser.add_argument("--r-units", type=int, default=10_000, help="how many of the units R is given")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without", nargs="*", default=[], choices=["arviz", "R"])
    asked = parser.parse_args()
    ways = [w for w in NAMES if w not in asked.without]
    if "R" in ways and not has_r():
        print("R with its package loo is not installed: left out (Debian: r-cran-loo).")
        ways.remove("R")
    with tempfile.TemporaryDirectory(prefix="bench_loo") as name:
        files = {"rows": Path(name) / "rows", "turned": Path(name) / "turned", "out": Path(name)}
        simulate(files["rows"], asked.draws, asked.units)
        units = dict.fromkeys(ways, asked.units) | {"R": min(asked.r_units, asked.units)}
        if "R" in ways:
            for_r(files["rows"], files["turned"], asked.draws, asked.units, units["R"])
            measure("as R", files, asked.draws, asked.units)
        runs: dict[str, list[dict[str, float]]] = {w: [] for w in ways}
        for number in range(asked.rounds):
            for way in ways:
                runs[way].append(measure(way, files, asked.draws, units[way]))
                print(f"round {number + 1}, {NAMES[way]}: {runs[way][-1]['wall']:.2f} s", file=sys.stderr, flush=True)
        print(f"{asked.draws} draws, {asked.units} units, {asked.rounds} rounds, medians")
        show(runs, Path(name))


if __name__ == "__main__":
    main()
