"""Calibrates the programs of all families and prints a table; run by hand, it takes minutes.

    python tests/tools/calibrate_families.py [--replications 300] [--every] [--crossed] [FAMILY ...]

Without ``--every`` the default programs, partial_pooling, alone. ``--crossed`` calibrates formulas on a table of two
crossed factors and a predictor, in place of the shipped ones: 48 rows, groups of unlike size. Replications are kept in
the user's cache folder: the same call, or one that asks for more, goes on. The exit code is 1 where a program is not
calibrated.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.extend(str(Path(__file__).parents[1] / folder) for folder in (".", "oracles"))
from test_terms_programs import CHOSEN, LEFT, RIGHT, ZI, frame

from hbm_stan.calibrate import Calibration, calibrate
from hbm_stan.data import Dataset
from hbm_stan.families import families
from hbm_stan.fit import prepare_table
from hbm_stan.model import Family

# In place of those of CHOSEN: with a spread of 2 and more, many simulated shares are nearer to 1 than numbers tell, and
# what is written down, the last number before 1, is not from the model.
FEASIBLE = {"spread": "half_normal(0.3)"}


def crossed(family: Family, variant: str, replications: int) -> Calibration:
    """A formula of two crossed factors, under priors with which outcomes stay possible."""
    beside = dict.fromkeys(family.own_formulas, ZI)
    formula = f"{LEFT[family.name]} ~ {RIGHT['crossed']}"
    table = prepare_table(family, Dataset.from_frame(frame(), formula=formula, **beside))
    rows = {name.partition("[")[0] for name in family.priors(table)}
    priors = {row: text for row, text in (CHOSEN | FEASIBLE).items() if row in rows}
    return calibrate(family, variant, table=table, priors=priors, replications=replications)


def main() -> int:
    """Print a line for each program as it is done."""
    parser = argparse.ArgumentParser()
    parser.add_argument("families", nargs="*")
    parser.add_argument("--replications", type=int, default=300)
    parser.add_argument("--every", action="store_true", help="every variant")
    parser.add_argument("--crossed", action="store_true", help="formulas, on two crossed factors")
    asked = parser.parse_args()
    print(f"{'family':<20} {'variant':<31} {'done':>5} {'refused':>7} {'divergent':>9} {'correlated':>10} "
          f"{'CPU s':>6} {'s':>6} {'smallest p':>10} {'limit':>7} verdict")  # fmt: skip
    failed = False
    for name in asked.families or (LEFT if asked.crossed else families()):
        family = families()[name]
        for variant in [v.name for v in family.programs.variants] if asked.every else ["partial_pooling"]:
            started = time.perf_counter()
            c = (crossed if asked.crossed else calibrate)(family, variant, replications=asked.replications)
            print(f"{name:<20} {variant:<31} {len(c.ranks):>5} {len(c.refused):>7} {c.divergent:>9} {c.correlated:>10} "
                  f"{c.seconds:>6.0f} {time.perf_counter() - started:>6.0f} {c.worst.value:>10.2g} {c.error:>7.1g} "
                  f"{c.status} ({c.worst.subject})", flush=True)  # fmt: skip
            failed |= c.status == "fail"
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
