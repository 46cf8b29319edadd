"""Ways to leave a group out, beside refits without it, as the tables of reports/comparison.md; run by hand.

``python tests/tools/group_out_table.py [--integrals] [--write]`` prints the table, or puts it into its place in the
page. It runs on the embedded engine, fits each model once and once more without each group, and takes some minutes.
With ``--integrals`` it is the table of the error of integrals over groups, which needs no refits.
"""

from __future__ import annotations

import math
import re
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hbm_stan.attempts import fit
from hbm_stan.data import Dataset, load
from hbm_stan.engines import Sampling
from hbm_stan.examples import analyses
from hbm_stan.fit import Fit
from hbm_stan.leave_one_out import MORE_DRAWS_HELP, mean_error
from hbm_stan.psis import psis_loo
from hbm_stan.repair import refit_without
from hbm_stan.repair.refits import Exact, score_of
from hbm_stan.store import FitStore
from hbm_stan.tree import posterior_draws

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "reports" / "comparison.md"
MARK = "<!-- group_out_table.py{}: {} -->"
SAMPLING = Sampling(seed=20261121)
HEAD = (
    "data and variant", "rows: PSIS on log_lik", "groups: PSIS on the sum of log_lik", "groups: PSIS on group_log_lik",
    "groups: refits", "seconds of refits", "largest error of a group",
)  # fmt: skip
CHECKED = 50  # draws that the error of integrals is looked at in
USE = {"group": "district", "outcome": "use"}
INTEGRALS: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("contraception", "logistic_regression", "partial_pooling_intercept", {**USE, "predictors": ["urban"]}),
    ("contraception", "logistic_regression", "partial_pooling", {**USE, "predictors": ["urban"]}),
    ("city_prices", "logistic_regression", "partial_pooling",
     {"group": "city", "outcome": "bought", "predictors": ["price_centered"]}),
    ("contraception", "logistic_regression", "partial_pooling", {**USE, "predictors": ["urban", "age10"]}),
    ("contraception", "logistic_regression", "partial_pooling", {**USE, "predictors": ["urban", "age10", "livch1"]}),
    ("segments", "grouped_normal", "partial_pooling_sigma_by_group", {}),
    ("planck", "planck", "partial_pooling", {}),
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A table, a family for it, and the variants that are compared."""

    title: str
    family: str
    dataset: Dataset
    variants: tuple[str, ...]


def cases() -> list[Case]:
    """Growth of rats; use of contraception by district, woman by woman and as counts by number of children."""
    rats, women = (pd.read_csv(ROOT / "data" / name / "data.csv") for name in ("rats", "contraception"))
    counts = women.groupby(["district", "livch"], as_index=False).agg(use=("use", "sum"), women=("use", "size"))
    names = ("complete_pooling", "partial_pooling_intercept", "partial_pooling")
    growth = Dataset.from_frame(rats, group="rat", outcome="weight_g", predictors=["age_centered"])
    use = Dataset.from_frame(women, group="district", outcome="use", predictors=["urban"])
    shares = Dataset.from_frame(counts, group="district", successes="use", trials="women")
    return [
        Case("rats", "linear_regression", growth, names),
        Case("contraception", "logistic_regression", use, names[:2]),
        Case("contraception, counts", "beta_binomial", shares, ("complete_pooling", "partial_pooling")),
    ]


def by_psis(log_lik: np.ndarray) -> tuple[np.ndarray, str]:
    """elpd of each unit; its sum with the Monte Carlo error, and the number of Pareto k above the threshold."""
    psis = psis_loo(log_lik)
    high = int(np.sum(~(psis.pareto_k < MORE_DRAWS_HELP)))
    error = mean_error(psis.series, SAMPLING.chains)
    return psis.elpd_i, f"{psis.elpd_i.sum():.1f} ± {error:.1f} ({high} of {log_lik.shape[1]})"


def by_refits(fit: Fit) -> list[Exact]:
    """elpd of each group from a fit that has not seen it."""
    group_log_lik = fit.family.need("group_log_lik", "the table")
    scores = []
    for j in range(fit.table.n_groups):
        other = refit_without(fit, np.flatnonzero(fit.table.pooled.level == j))
        scores.append(score_of(group_log_lik(other.draws(), fit.data)[:, j], SAMPLING.chains))
    return scores


def row(case: Case, variant: str, store: FitStore) -> str:
    """One variant of one table."""
    case_fit = fit(case.family, case.dataset, variant, sampling=SAMPLING, engine="stanli", store=store)
    rows = posterior_draws(case_fit.tree["log_likelihood"].to_dataset(), ["y"])["y"]
    members = case_fit.table.pooled.level[:, None] == np.arange(case_fit.table.n_groups)
    integrated = case_fit.family.need("group_log_lik", "the table")(case_fit.draws(), case_fit.data)
    started = time.perf_counter()
    refits = by_refits(case_fit)
    seconds = time.perf_counter() - started
    (_, by_rows), (_, summed), (ours, good) = (by_psis(x) for x in (rows, rows @ members, integrated))
    exact, error = np.array([r.elpd for r in refits]), math.hypot(*(r.mcse for r in refits))
    worst = int(np.argmax(np.abs(ours - exact)))
    largest = f"{abs(ours[worst] - exact[worst]):.2f} ({case_fit.table.pooled.labels[worst]})"
    truth = f"{exact.sum():.1f} ± {error:.1f}"
    cells = (f"{case.title}: {variant}", by_rows, summed, good, truth, f"{seconds:.0f}", largest)
    print(cells, file=sys.stderr, flush=True)
    return f"| {' | '.join(cells)} |"


def table() -> str:
    """The whole table in Markdown."""
    lines = [f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|"]
    with tempfile.TemporaryDirectory() as folder:
        store = FitStore(Path(folder))
        lines += [row(case, variant, store) for case in cases() for variant in case.variants]
    return "\n".join(lines)


def integral(name: str, family: str, variant: str, roles: dict[str, Any], store: FitStore) -> str:
    """What twice the nodes change in one model."""
    dataset = load(name, roles) if roles else analyses()[name].dataset
    case_fit = fit(family, dataset, variant, sampling=SAMPLING, engine="stanli", store=store)
    taken = np.linspace(0, case_fit.n_draws - 1, CHECKED).astype(int)
    draws = {name: values[taken] for name, values in case_fit.draws().items()}
    ours, finer = (case_fit.family.need(f"{k}group_log_lik", "the table")(draws, case_fit.data) for k in ("", "finer_"))
    change = finer - ours
    varying = 1 if variant.endswith("intercept") else case_fit.data.get("K", 1)
    cells = (f"{name}: {family}, {variant}", str(varying), str(int(np.bincount(case_fit.table.pooled.level).max())),
             f"{np.abs(change).max():.0e}", f"{np.abs(change.mean(axis=0)).sum():.0e}")  # fmt: skip
    print(cells, file=sys.stderr, flush=True)
    return f"| {' | '.join(cells)} |"


def integrals() -> str:
    """The table of the error of integrals."""
    head = (
        "data, family and variant", "directions", "rows of the largest group", "largest change of a group in a draw",
        "change of all groups, mean over draws",
    )  # fmt: skip
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    with tempfile.TemporaryDirectory() as folder:
        lines += [integral(*case, FitStore(Path(folder) / str(i))) for i, case in enumerate(INTEGRALS)]
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Print the table, or put it into its page."""
    warnings.simplefilter("ignore")
    which = " --integrals" if "--integrals" in arguments else ""
    content = integrals() if which else table()
    if "--write" not in arguments:
        print(content)
        return
    text = PAGE.read_text(encoding="utf-8")
    begin, end = (MARK.format(which, word) for word in ("begin", "end"))
    new, count = re.subn(f"(?s){re.escape(begin)}.*?{re.escape(end)}", lambda _: f"{begin}\n{content}\n{end}", text)
    assert count == 1, f"{PAGE} has no place for the table"
    PAGE.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
