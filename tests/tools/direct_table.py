"""Makes reports/direct.md: direct draws of shipped programs against known posteriors, and beside the sampler.

``python tests/tools/direct_table.py [posteriors] [spread] [seconds]`` (some ten minutes). The first table has every
posterior that is known and hard priors of a scale, the second the spread of errors over seeds, the third seconds beside
the embedded engine's sampler.
"""

from __future__ import annotations

import gc
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.extend(str(Path(__file__).parents[1] / folder) for folder in (".", "oracles"))
from fake_fits import COLUMNS
from quadrature import SE, Y, exact

from hbm_stan.agreement import compare_with_reference
from hbm_stan.analysis.read import read_analysis
from hbm_stan.attempts import fit_anew, run_attempts
from hbm_stan.data import Dataset
from hbm_stan.diagnose import check, parameters
from hbm_stan.direct.streams import MAX_DIMENSION
from hbm_stan.engines import NOT_DIRECT, PARETO_K, PARETO_K_SQUARES, Engine, Sampling
from hbm_stan.engines.direct import DirectEngine
from hbm_stan.engines.points import Points
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.errors import HbmError
from hbm_stan.families import families, family
from hbm_stan.fit import Job, jobs_of
from hbm_stan.store import FitStore
from hbm_stan.verify.known import Case, shipped_cases

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "reports" / "direct.md"
DIRECT, SAMPLER = DirectEngine(), StanliEngine()
USUAL = Sampling(seed=20261129)
SEEDS, _MOST = 100, 12
# Priors of tau that leave it a long tail, with few groups and with eight.
HARD = (
    (2, "half_cauchy", (5.0,), (0.0, 5.0)), (3, "half_cauchy", (5.0,), (0.0, 5.0)),
    (3, "half_cauchy", (25.0,), (0.0, 100.0)), (3, "uniform", (0.0, 1000.0), (0.0, 100.0)),
    (8, "half_cauchy", (25.0,), (0.0, 100.0)), (8, "uniform", (0.0, 1000.0), (0.0, 100.0)),
    (8, "half_normal", (100.0,), (0.0, 50.0)), (8, "exponential", (0.2,), (0.0, 5.0)),
)  # fmt: skip
# Analyses whose group effects are integrated out, or that are of one variant of that kind.
MARGINAL = (
    ("eight_schools", "partial_pooling"), ("bcg", "partial_pooling"), ("store_satisfaction", "partial_pooling"),
    ("treatment_sites", "partial_pooling"), ("grouped_data", "partial_pooling"), ("segments", "partial_pooling"),
    ("baseball", "partial_pooling"), ("rat_tumour", "partial_pooling"), ("clinics", "partial_pooling"),
    ("ab_test", "partial_pooling"), ("pumps", "partial_pooling"), ("gene_expression", "partial_pooling"),
    ("pastes", "partial_pooling"), ("radon", "partial_pooling_intercept"), ("radon", "partial_pooling"),
    ("radon", "complete_pooling"), ("sleepstudy", "partial_pooling"), ("penicillin", "partial_pooling"),
    ("bcg_latitude", "partial_pooling"), ("repair_costs_lognormal", "partial_pooling"), ("petrol", "complete_pooling"),
)  # fmt: skip


@dataclass(frozen=True)
class Known:
    """A job and its posterior as a reference has it."""

    name: str
    job: Job
    table: pd.DataFrame


def job_of(case: Case, engine: Engine, sampling: Sampling = USUAL) -> Job:
    settings = replace(sampling, **case.posterior.sampling)
    return jobs_of(case.family, case.dataset, (case.variant,), case.priors, settings, engine)[0]


def dimension(job: Job) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return Points(SAMPLER.model(job.program, job.data)).dimension


def shipped() -> Iterator[Known]:
    """Every shipped posterior of a program with few enough parameters."""
    for case in shipped_cases(tuple(families())):
        try:
            job = job_of(case, DIRECT)
        except HbmError:
            continue
        if 0 < dimension(job) <= MAX_DIMENSION:
            where = case.reference.path
            name = where.stem if where.stem != "reference" else f"{where.parent.name} (long run)"
            yield Known(name, job, case.posterior.table)


def hard(groups: int, prior: str, args: tuple[float, ...], mu: tuple[float, float], seed: int = USUAL.seed) -> Known:
    """Normal means of the first schools under a prior of tau, by quadrature."""
    text = f"{prior}({', '.join(f'{a:g}' for a in args)})"
    y, se, labels = Y[:groups], SE[:groups], tuple("ABCDEFGH"[:groups])
    dataset = Dataset.from_frame(pd.DataFrame({"school": labels, "effect": y, "se": se}), COLUMNS)
    priors = {"mu": f"normal({mu[0]:g}, {mu[1]:g})", "tau": text}
    sampling = replace(USUAL, seed=seed)
    job = jobs_of(family("normal_means"), dataset, ("partial_pooling",), priors, sampling, DIRECT)[0]
    table = pd.DataFrame(exact(prior, args, mu, y, se, nodes=3000).summaries(labels)).T
    table = table.assign(**{f"mcse_{s}": 0.0 for s in table.columns})
    if groups < 4 and prior == "half_cauchy":
        table.loc["tau", "sd"] = np.nan  # no error of it can be stated: tau has no fourth moment
    return Known(f"{groups} schools, tau ~ {text}", job, table)


def row_of(known: Known) -> str:
    """A row: parameters, k, share, ESS, error of means in sds, largest of all differences in Monte Carlo errors."""
    fit = fit_anew(known.job)
    summary = check(fit).summary
    names, draws = parameters(fit)
    there = known.table[known.table.index.isin(names)]
    comparison = compare_with_reference(names, draws, there)
    means = comparison.table[comparison.table["statistic"] == "mean"]
    sds = there.loc[means["parameter"], "sd"].to_numpy(float)
    error = np.nanmax(np.abs(means["value"] - means["reference"]).to_numpy(float) / sds)
    about = fit.about
    how = (
        f"{about[PARETO_K]:.2f} | {about[PARETO_K_SQUARES]:.2f} | {about['share']:.2f}"
        if fit.direct
        else f"sampled: {about[NOT_DIRECT]} | | "
    )
    return (
        f"| {known.job.family.name} | {known.job.variant} | {known.name} | {dimension(known.job)} | {how} "
        f"| {summary['ess_bulk'].min():,.0f} | {error:.3f} | {comparison.largest:.1f} ({len(comparison.table)}) |"
    )


def spread(name: str, make: Callable[[int], Known]) -> str:
    """A row: the root mean square over seeds of errors in stated errors, by statistic: median and largest parameter."""
    rows, direct = [], 0
    for seed in range(1, SEEDS + 1):
        known = make(seed)
        fit = fit_anew(known.job)
        if not fit.direct:
            continue
        direct += 1
        # Of many counties a few: all share what is uncertain of the population.
        table = known.table.loc[list(known.table.index[:_MOST])]
        rows.append(compare_with_reference(*parameters(fit), table).table)
    every = pd.concat(rows)
    rms = every.groupby(["parameter", "statistic"])["z"].apply(lambda z: float(np.sqrt(np.mean(np.square(z)))))
    cells = " | ".join(
        f"{rms.xs(s, level='statistic').median():.2f}, {rms.xs(s, level='statistic').max():.2f}"
        for s in ("mean", "sd", "q05", "q95")
    )
    return f"| {name} | {direct} | {cells} |"


def of_case(name: str, variant: str) -> Callable[[int], Known]:
    case = next(c for c in shipped_cases(tuple(families())) if c.reference.path.stem == name and c.variant == variant)
    return lambda seed: Known(name, job_of(case, DIRECT, replace(USUAL, seed=seed)), case.posterior.table)


def checked(analysis: str, variant: str, engine: Engine, folder: Path) -> tuple[float, float, float]:
    """Seconds from the table to a fit that is kept and checked, those of drawing alone, and its smallest bulk ESS."""
    read = read_analysis(ROOT / "reports" / analysis)
    gc.collect()
    started = time.perf_counter()
    job = jobs_of(read.family, read.dataset, (variant,), read.priors, read.sampling, engine)[0]
    fit = run_attempts(job, FitStore(folder), lambda _text: None)
    diagnosis = check(fit)
    return time.perf_counter() - started, fit.seconds, float(diagnosis.summary["ess_bulk"].min())


def beside_the_sampler(analysis: str, variant: str) -> str:
    runs: dict[str, list[tuple[float, float, float]]] = {"stanli": [], "direct": []}
    for _ in range(3):
        for engine in (SAMPLER, DIRECT):
            with tempfile.TemporaryDirectory() as folder:
                runs[engine.name].append(checked(analysis, variant, engine, Path(folder)))
    (s, s_draw, s_ess), (d, d_draw, d_ess) = (
        tuple(statistics.median(r[i] for r in runs[n]) for i in range(3)) for n in ("stanli", "direct")
    )
    return (
        f"| {analysis} | {variant} | {1e3 * s_draw:.0f} | {1e3 * d_draw:.0f} | {s_draw / d_draw:.1f} "
        f"| {1e3 * s:.0f} | {1e3 * d:.0f} | {s / d:.1f} | {d_ess / d_draw / (s_ess / s_draw):.1f} |"
    )


def main() -> None:
    """Print the tables."""
    warnings.simplefilter("ignore")
    parts = {"posteriors": posteriors, "spread": spreads, "seconds": seconds}
    for name in sys.argv[1:] or parts:
        parts[name]()


def posteriors() -> None:
    """Every known posterior, and hard priors."""
    print("| family | variant | posterior | parameters | k | k of squares | share | ESS | error of means, sds | z |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for known in [*(hard(*h) for h in HARD), *shipped()]:
        print(row_of(known), flush=True)


def spreads() -> None:
    """Errors over seeds, in stated errors."""
    print("\n| posterior | direct | mean | sd | q05 | q95 |\n|---|---|---|---|---|---|")
    print(spread("eight schools", of_case("eight_schools-normal5_halfcauchy5", "partial_pooling")), flush=True)
    for h in (HARD[2], HARD[3]):
        print(spread(hard(*h).name, lambda seed, h=h: hard(*h, seed=seed)), flush=True)
    print(spread("radon", of_case("radon-county_intercept", "partial_pooling_intercept")), flush=True)


def seconds() -> None:
    """Beside the sampler: drawing alone, and from the table to a fit that is kept and checked."""
    print("\n| analysis | variant | sampler | direct | ratio | in all | in all | ratio | ESS a second, ratio |")
    print("|---|---|---|---|---|---|---|---|---|")
    for analysis, variant in MARGINAL:
        print(beside_the_sampler(analysis, variant), flush=True)


if __name__ == "__main__":
    main()
