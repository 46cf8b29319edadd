"""Simulated tables that benches share: of NumPy and pandas alone, for peers read them too."""

from __future__ import annotations

import numpy as np
import pandas as pd

SEED = 20261121


def normal_means(groups: int) -> pd.DataFrame:
    """Columns g, y and s: estimates of groups whose values differ as much as their standard errors."""
    rng = np.random.default_rng([SEED, groups])
    se = rng.uniform(0.5, 2, groups)
    return pd.DataFrame({"g": [f"g{j}" for j in range(groups)], "y": rng.normal(rng.normal(0, 1, groups), se), "s": se})


def counts(groups: int) -> pd.DataFrame:
    """Columns g, y and n: successes of 5 to 50 trials, rates with mean 0.2 and concentration 20."""
    rng = np.random.default_rng([SEED, groups, 1])
    n = rng.integers(5, 51, groups)
    rates = rng.beta(4, 16, groups)
    return pd.DataFrame({"g": [f"g{j}" for j in range(groups)], "y": rng.binomial(n, rates), "n": n})
