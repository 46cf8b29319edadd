"""``python tests/benches/bench_peers [--peer PYTHON] [--to DIR] [--only WORD] [--minutes M] [--table | --readme]``."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # where the package bench_peers lies

from bench_peers.cases import CASES
from bench_peers.runs import LIMIT, ROUNDS, run, to_do
from bench_peers.sides import SIDES, Side


def say(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)


def lacking(side: Side, peer: str) -> str:
    """What a side needs and is not there; empty if all is."""
    if side.r_package:
        from bench_peers.by_r import lacking as lacking_in_r

        return lacking_in_r(side.r_package)
    if not side.needs:
        return ""
    if not peer:
        return "--peer, a Python with the extra peers"
    code = f"import importlib.util as u; print(*[n for n in {side.needs!r} if u.find_spec(n) is None])"
    try:
        return subprocess.run([peer, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return f"{peer}, which does not run"


def at_hand(sides: list[Side], peer: str) -> list[Side]:
    """The sides that can be run here; the others are named."""
    there = []
    for side in sides:
        if lack := lacking(side, peer):
            say(f"{side.name} is left out, for it needs {lack}.")
        else:
            there.append(side)
    return there


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench_peers", description="hbm_stan beside others on equal posteriors.")
    parser.add_argument("--peer", default="", help="a Python that has the extra peers")
    parser.add_argument("--to", type=Path, default=Path(__file__).parent / "runs", help="folder of the measurements")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="repeats of each measurement")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds after which a measurement is ended")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin nothing new after so many")
    parser.add_argument("--only", action="append", metavar="WORD", help="cases with this word (repeatable)")
    parser.add_argument("--side", action="append", choices=[*SIDES], help="this side only (repeatable)")
    parser.add_argument("--form", choices=("centered", "non-centered"), default="", help="peers write effects so")
    parser.add_argument("--table", action="store_true", help="run nothing: print the table of what is there")
    parser.add_argument("--readme", action="store_true", help="run nothing: write the table into README.md")
    parser.add_argument("--profile", metavar="CASE", help="run nothing: profile our fit of the case with this word")
    return parser.parse_args()


def main() -> None:
    """Measure what is missing, then print the table."""
    if sys.argv[1:2] == ["--worker"]:
        from bench_peers.worker import work

        case, side, form, seed, folder = sys.argv[2:]
        return work(case, side, form, int(seed), Path(folder))
    from bench_peers.table import table, write_readme

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a worker does not outlive us
    given = arguments()
    if given.profile:
        from bench_peers.profiles import profile

        case = next((case for name, case in CASES.items() if given.profile in name), None)
        return profile(case) if case else sys.exit(f"No case has {given.profile!r} in its name: {'; '.join(CASES)}")
    if not (given.table or given.readme):
        cases = [name for name in CASES if not given.only or any(word in name for word in given.only)]
        sides = at_hand([SIDES[name] for name in given.side or SIDES], given.peer)
        for _ in run(given.to, to_do(given.to, cases, sides, given.rounds, given.form), given.peer, say, given.limit,
                     given.minutes):  # fmt: skip
            pass
    write_readme(given.to) if given.readme else print(table(given.to))
    return None


if __name__ == "__main__":
    main()
