"""A report of estimates of many groups, as the groups grow: seconds, processor seconds, largest memory, pages, bytes.

``python tests/benches/bench_growth.py [GROUPS ...]`` writes a table of so many estimates for each number (by default
10,000 and 1,000,000), has ``hbm report`` fit, check, compare and predict it with three variants, in turns as they are
named, and prints what each took. A million takes some ten minutes of a core and 12 GiB of the disk for a while.
``shares=GROUPS`` is a table of successes of trials with two rows a group instead.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from pypdf import PdfReader

SEED = 20261130
ROLES = ("--family", "normal_means", "--group", "site", "--estimate", "effect", "--standard-error", "error")


def write_table(groups: int, path: Path) -> None:
    """Columns site, effect and error: mean 0.3, sd between sites 0.8, standard errors of 0.3 to 1.2."""
    rng = np.random.default_rng(SEED)
    theta, error = rng.normal(0.3, 0.8, groups), rng.uniform(0.3, 1.2, groups)
    effect = rng.normal(theta, error)
    rows = (f"s{i:07d},{y:.4f},{s:.3f}\n" for i, (y, s) in enumerate(zip(effect, error, strict=True)))
    path.write_text("site,effect,error\n" + "".join(rows))


SHARES = ("--family", "beta_binomial", "--group", "site", "--successes", "hits", "--trials", "trials")


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


def measured(asked: str, folder: Path) -> str:
    """What one report took; in a process of its own, for the largest memory is that of all before."""
    kind, _, number = asked.rpartition("=")
    groups, (write, roles) = int(number), (write_shares, SHARES) if kind == "shares" else (write_table, ROLES)
    table, analysis = folder / f"{asked}.csv", folder / asked
    write(groups, table)
    hbm("new", str(table), *roles, "--to", str(analysis), "--engine", "stanli", "--force", "--quiet")
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    hbm("report", str(analysis), "--engine", "stanli", "--force", "--quiet")
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    core = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    report = analysis / "report.pdf"
    return (
        f"{groups:>9,} {kind or 'estimates'}: {seconds:7.1f} s, {core:7.1f} s of a core, "
        f"{after.ru_maxrss / 2**20:5.2f} GiB, {len(PdfReader(report).pages)} pages, "
        f"{report.stat().st_size / 1e6:.2f} MB"
    )


def main(tables: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for asked in tables:
            child = os.fork()
            if not child:
                print(measured(asked, Path(folder)), flush=True)
                os._exit(0)
            os.waitpid(child, 0)


if __name__ == "__main__":
    main(sys.argv[1:] or ["10000", "1000000"])
