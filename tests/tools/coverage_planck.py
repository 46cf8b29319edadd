"""The coverage of planck's bands over 200 simulated collections, printed: ``python tests/tools/coverage_planck.py``.

Parameters are drawn from the priors, so that intervals hold the truth exactly as often as they say.
"""

from __future__ import annotations

import sys
from pathlib import Path

from scipy.stats import binom

sys.path.extend(str(Path(__file__).parents[1] / folder) for folder in (".", "oracles"))
from test_planck import SEED, coverage, outside_its_band

from hbm_stan.engines.stanli import StanliEngine

N_COLLECTIONS = 200


def main() -> None:
    """Print each count with its share and the central 99.9 % of its binomial distribution."""
    n, inside = coverage(N_COLLECTIONS, SEED, StanliEngine())
    for name, count in inside.items():
        p = int(name.split()[1]) / 100
        low, high = binom.ppf([5e-4, 1 - 5e-4], n, p).astype(int)
        print(f"{name} interval: {count} of {n} ({count / n:.1%}); chance allows {low} to {high}")
    print(f"outside: {outside_its_band(n, inside) or 'none'}")


if __name__ == "__main__":
    main()
