"""A report as its table grows: seconds, processor seconds, largest memory, pages, bytes, and the slope of time on N.

``python tests/benches/bench_growth.py [GROUPS ...]`` writes a table of so many estimates for each number (by default
10,000 and 1,000,000), has ``hbm report`` fit, check, compare and predict it with three variants, in turns as they are
named, and prints what each took. A million takes some ten minutes of a core and 12 GiB of the disk for a while.
``--shares`` takes successes of trials with two rows a group in the place of estimates, ``--rows`` numbers of normal
rows in the place of groups (by default 1,000 to 1,000,000), in 100 groups or as many as ``--within`` says;
``--regression`` rows with predictors whose slopes vary (one, or as many as ``--predictors`` says), in groups of unequal
sizes. ``--plot FILE`` draws seconds and memory.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import matplotlib as mpl
import numpy as np
from pypdf import PdfReader

SEED = 20261130
ESTIMATES = ("--family", "normal_means", "--group", "site", "--estimate", "effect", "--standard-error", "error")
ROWS = ("--family", "grouped_normal", "--group", "store", "--outcome", "sales")
LINES = ("--family", "linear_regression", "--group", "store", "--outcome", "sales", "--predictors")
PREDICTORS = ("price", "discount", "rain")
SHARES = ("--family", "beta_binomial", "--group", "site", "--successes", "hits", "--trials", "trials")
DEFAULT = {True: [1000, 10_000, 100_000, 1_000_000], False: [10_000, 1_000_000]}


@dataclass(frozen=True)
class Took:
    """What one report took: seconds, seconds of a core, GiB of memory; and its pages and megabytes."""

    n: int
    seconds: float
    core: float
    memory: float
    pages: int
    size: float
    tables: float

    def line(self, what: str) -> str:
        """All of it in a line."""
        return (
            f"{self.n:>10,} {what}: {self.seconds:7.1f} s, {self.core:7.1f} s of a core, {self.memory:5.2f} GiB, "
            f"{self.pages} pages, {self.size:.2f} MB, tables {self.tables:.1f} MB"
        )


def write_estimates(groups: int, path: Path) -> None:
    """Columns site, effect and error: mean 0.3, sd between sites 0.8, standard errors of 0.3 to 1.2."""
    rng = np.random.default_rng(SEED)
    theta, error = rng.normal(0.3, 0.8, groups), rng.uniform(0.3, 1.2, groups)
    effect = rng.normal(theta, error)
    rows = (f"s{i:07d},{y:.4f},{s:.3f}\n" for i, (y, s) in enumerate(zip(effect, error, strict=True)))
    path.write_text("site,effect,error\n" + "".join(rows))


def write_rows(groups: int, n: int, path: Path) -> None:
    """Columns store and sales: mean 10, sd between stores 2, within them 5; rows in a random order."""
    rng = np.random.default_rng(SEED)
    theta, group = rng.normal(10, 2, groups), rng.integers(0, groups, n)
    sales = rng.normal(theta[group], 5)
    with path.open("w") as file:
        file.write("store,sales\n")
        file.writelines(f"s{j:05d},{y:.3f}\n" for j, y in zip(group, sales, strict=True))


def write_lines(groups: int, predictors: int, n: int, path: Path) -> None:
    """Columns store, predictors and sales: intercepts 10 (sd 2), slopes -0.8 (sd 0.5), rows about them: sd 5."""
    rng = np.random.default_rng(SEED)
    intercept, slope = rng.normal(10, 2, groups), rng.normal(-0.8, 0.5, (predictors, groups))
    group, x = rng.choice(groups, n, p=rng.dirichlet(np.full(groups, 2.0))), rng.normal(3, 1.5, (predictors, n))
    sales = rng.normal(intercept[group] + (slope[:, group] * x).sum(axis=0), 5)
    with path.open("w") as file:
        file.write(f"store,{','.join(PREDICTORS[:predictors])},sales\n")
        cells = zip(group, *x, sales, strict=True)
        file.writelines(f"s{j:05d},{','.join(f'{value:.3f}' for value in values)}\n" for j, *values in cells)


def write_shares(groups: int, path: Path) -> None:
    """Columns site, hits and trials: two rows a site in no order, of 1 to 20 trials, rates from beta(3, 7)."""
    rng = np.random.default_rng(SEED)
    theta, site = rng.beta(3, 7, groups), rng.permutation(np.repeat(np.arange(groups), 2))
    trials = rng.integers(1, 20, 2 * groups, endpoint=True)
    hits = rng.binomial(trials, theta[site])
    rows = (f"s{i:07d},{y},{n}\n" for i, y, n in zip(site, hits, trials, strict=True))
    path.write_text("site,hits,trials\n" + "".join(rows))


def hbm(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "hbm_stan", *arguments], check=True, stdout=subprocess.DEVNULL)


def measured(n: int, write: Callable[[int, Path], None], roles: tuple[str, ...], folder: Path) -> Took:
    """What one report took; in a process of its own, for the largest memory is that of all before."""
    table, analysis = folder / f"{n}.csv", folder / str(n)
    write(n, table)
    hbm("new", str(table), *roles, "--to", str(analysis), "--engine", "stanli", "--force", "--quiet")
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    hbm("report", str(analysis), "--engine", "stanli", "--force", "--quiet")
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    core = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    report = analysis / "report.pdf"
    tables = sum(file.stat().st_size for file in (analysis / "tables").iterdir()) / 1e6
    pages, size = len(PdfReader(report).pages), report.stat().st_size / 1e6
    return Took(n, seconds, core, after.ru_maxrss / 2**20, pages, size, tables)


def slopes(took: list[Took]) -> str:
    """The slope of log seconds of a core on log N, over all and between neighbours."""
    n, core = (np.log([getattr(t, name) for t in took]) for name in ("n", "core"))
    each = ", ".join(f"{b:.2f}" for b in np.diff(core) / np.diff(n))
    return f"slope of log seconds of a core on log N: {np.polyfit(n, core, 1)[0]:.2f} (between neighbours {each})"


def plot(took: list[Took], what: str, file: Path) -> None:
    """Seconds of a core and GiB of memory over N, on logarithmic scales, with a line of slope one."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(7, 2.6), layout="constrained")
    n = np.array([t.n for t in took])
    for ax, name, words in zip(axes, ("core", "memory"), ("seconds of a core", "GiB of memory"), strict=True):
        values = np.array([getattr(t, name) for t in took])
        ax.loglog(n, values, "o-", color="#20639b", ms=4)
        ax.set(xlabel=what, title=words)
        ax.title.set_size(9)
        if name == "core":
            ax.loglog(n, values[-1] * n / n[-1], ":", color="grey", label="as N")
            ax.set_ylim(values.min() / 2, values.max() * 2)
            ax.legend(frameon=False, fontsize=8)
        else:
            ax.set_yscale("linear")
            ax.axhline(4, ls=":", color="grey")
            ax.set_ylim(0, 5)
    figure.savefig(file, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("numbers", nargs="*", type=int)
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--rows", action="store_true")
    kind.add_argument("--regression", action="store_true")
    kind.add_argument("--shares", action="store_true")
    parser.add_argument("--within", type=int, default=100)
    parser.add_argument("--predictors", type=int, default=1, choices=(1, 2, 3))
    parser.add_argument("--plot", type=Path)
    asked = parser.parse_args()
    by_rows = asked.rows or asked.regression
    what, all_took = "rows" if by_rows else "groups", list[Took]()
    write, roles = (write_shares, SHARES) if asked.shares else (write_estimates, ESTIMATES)
    if by_rows:
        lines = partial(write_lines, asked.within, asked.predictors)
        own = (*LINES, ",".join(PREDICTORS[: asked.predictors]))
        write, roles = (partial(write_rows, asked.within), ROWS) if asked.rows else (lines, own)
    with tempfile.TemporaryDirectory() as folder:
        for n in asked.numbers or DEFAULT[by_rows]:
            note = Path(folder) / f"{n}.json"
            child = os.fork()
            if not child:
                note.write_text(json.dumps(asdict(measured(n, write, roles, Path(folder)))))
                os._exit(0)
            os.waitpid(child, 0)
            all_took.append(Took(**json.loads(note.read_text())))
            print(all_took[-1].line(what), flush=True)
    if len(all_took) > 1:
        print(slopes(all_took))
    if asked.plot:
        plot(all_took, what, asked.plot)


if __name__ == "__main__":
    main()
