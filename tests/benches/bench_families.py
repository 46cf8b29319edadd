"""Effective draws per second of the families' default forms on the embedded engine; run by hand.

    python tests/benches/bench_families.py [rounds]

Cases take turns, so that a busy moment of the machine hits all of them; medians are printed. Smallest bulk ESS of
the population's parameters and of the first 400 elements of the group quantity, over the seconds of sampling alone, and
over all seconds of ``fit`` (group effects, replications and log likelihoods drawn, everything stored).
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from bench_peers.tables import counts, normal_means

from hbm_stan.analysis.read import read_analysis
from hbm_stan.attempts import fit
from hbm_stan.data import Dataset
from hbm_stan.engines import Sampling
from hbm_stan.fit import Fit
from hbm_stan.store import FitStore

REPORTS = Path(__file__).parents[2] / "reports"
_MOST_ELEMENTS = 400


def _means(groups: int) -> Dataset:
    return Dataset.from_frame(normal_means(groups), group="g", estimate="y", standard_error="s")


def _counts(groups: int) -> Dataset:
    return Dataset.from_frame(counts(groups), group="g", successes="y", trials="n")


def cases() -> dict[str, tuple[str, Dataset, str]]:
    """Name -> family, data, variant."""
    shipped = {n: read_analysis(REPORTS / n).dataset for n in ("radon", "rat_tumour", "city_prices")}
    return {
        "normal means, 50 groups": ("normal_means", _means(50), "partial_pooling"),
        "normal means, 10,000 groups": ("normal_means", _means(10_000), "partial_pooling"),
        "linear regression, radon": ("linear_regression", shipped["radon"], "partial_pooling"),
        "beta-binomial, rat tumours": ("beta_binomial", shipped["rat_tumour"], "partial_pooling"),
        "beta-binomial, 10,000 groups": ("beta_binomial", _counts(10_000), "partial_pooling"),
        "logistic regression, city prices": ("logistic_regression", shipped["city_prices"], "partial_pooling_by_term"),
    }


def smallest_ess(fit: Fit) -> float:
    """The smallest bulk ESS of the population's parameters and of some group effects."""
    from arviz_stats.base import array_stats as az

    posterior = fit.tree["posterior"]
    names = [n for n in (*fit.family.programs.population, fit.family.groups.group_quantity) if n in posterior]
    columns = [posterior[n].values.reshape(*posterior[n].shape[:2], -1)[..., :_MOST_ELEMENTS] for n in names]
    return float(np.min(az.ess(np.moveaxis(np.concatenate(columns, axis=2), 2, 0), method="bulk")))


def main(rounds: int) -> None:
    """Time every case in turn, ``rounds`` times, and print medians."""
    rates: dict[str, list[tuple[float, float]]] = {}
    for seed in range(1, rounds + 1):
        for name, (family, data, variant) in cases().items():
            with tempfile.TemporaryDirectory() as folder:
                begin = time.perf_counter()
                store = FitStore(Path(folder))
                variant_fit = fit(family, data, variant, sampling=Sampling(seed=seed), engine="stanli", store=store)
                total = time.perf_counter() - begin
            ess = smallest_ess(variant_fit)
            rates.setdefault(name, []).append((ess / variant_fit.seconds, ess / total))
    print(f"{'':36}{'sampling':>10}{'in all':>10}   smallest bulk ESS per second, medians of {rounds}")
    for name, pairs in rates.items():
        alone, in_all = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(f"{name:36}{alone:10,.0f}{in_all:10,.0f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
