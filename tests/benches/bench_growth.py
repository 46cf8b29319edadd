"""A report of estimates of many groups, as the groups grow: seconds, processor seconds, largest memory, pages, bytes.

``python tests/benches/bench_growth.py [GROUPS ...]`` writes a table of so many estimates for each number (by default
10,000 and 1,000,000), has ``hbm report`` fit, check, compare and predict it with three variants, in turns as they are
named, and prints what each took. A million takes some ten minutes of a core and 12 GiB of the disk for a while.
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


def hbm(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "hbm_stan", *arguments], check=True, stdout=subprocess.DEVNULL)


def measured(groups: int, folder: Path) -> str:
    """What one report took; in a process of its own, for the largest memory is that of all before."""
    table, analysis = folder / f"{groups}.csv", folder / str(groups)
    write_table(groups, table)
    hbm("new", str(table), *ROLES, "--to", str(analysis), "--engine", "stanli", "--force", "--quiet")
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    hbm("report", str(analysis), "--engine", "stanli", "--force", "--quiet")
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    core = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    report = analysis / "report.pdf"
    return (
        f"{groups:>9,} groups: {seconds:7.1f} s, {core:7.1f} s of a core, {after.ru_maxrss / 2**20:5.2f} GiB, "
        f"{len(PdfReader(report).pages)} pages, {report.stat().st_size / 1e6:.2f} MB"
    )


def main(groups: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for n in groups:
            child = os.fork()
            if not child:
                print(measured(n, Path(folder)), flush=True)
                os._exit(0)
            os.waitpid(child, 0)


if __name__ == "__main__":
    main([int(n) for n in sys.argv[1:]] or [10_000, 1_000_000])
