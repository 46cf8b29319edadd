"""``python tests/benches/planck_study [--to FOLDER] [--collections 20] [--workers 2] [--only PART] [--table]``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

# One thread of linear algebra a process: there is a process for each core.
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
sys.path.insert(0, str(Path(__file__).parents[1]))  # where the package planck_study lies; processes inherit neither
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [sys.path[0], os.environ.get("PYTHONPATH", "")]))

from planck_study.runs import COLLECTIONS, PARTS, lacking, run


def main() -> None:
    """Run what is missing, then write the page with its figures."""
    parser = argparse.ArgumentParser(prog="planck_study", description="Poolings and networks on simulated spectra.")
    parser.add_argument("--to", type=Path, default=Path(__file__).parent / "runs", help="folder of results by part")
    parser.add_argument("--collections", type=int, default=COLLECTIONS, help="how many simulated collections")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--only", action="append", choices=[*PARTS], help="run this part only (repeatable)")
    parser.add_argument("--table", action="store_true", help="run nothing: write the page from what is there")
    given = parser.parse_args()
    parts = [name for name in given.only or PARTS if not (PARTS[name].needs_extra and lacking())]
    # Compiling the networks takes as long as training them: each function is compiled once for all processes.
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str((given.to / "compiled").resolve()))
    failed: list[str] = []
    if not given.table:
        if lacking() and len(parts) < len(given.only or PARTS):
            print(f'Without {" and ".join(lacking())} the networks are left out: pip install ".[baselines]"')
        failed = run(given.to, given.collections, parts, given.workers, lambda text: print(text, flush=True))
    from planck_study.page import write

    write(given.to, given.collections, lambda text: print(text, flush=True))
    if failed:
        print("\n".join(["Failed; run it again for these alone:", *failed]), file=sys.stderr)
        sys.exit(3)


if __name__ == "__main__":
    main()
