"""Repaired scores against exact leave-one-out: every unit refitted without it; run by hand.

``python tests/tools/exact_leave_one_out.py [FILE]`` prints a Markdown table, or writes it into a file. It runs on the
embedded engine; exact scores have a seed of their own, so that they share no draw with those of the ladder, and four
times as many but for the two slowest models. Some tables are made: one group, or one row, lies far from the others.
"""

from __future__ import annotations

import math
import re
import sys
import tempfile
import time
import warnings
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.extend(str(Path(__file__).parents[1] / folder) for folder in (".", "oracles"))
from left_out_truth import GROUPED, MEANS, grouped_dataset, grouped_table, means_dataset

from hbm_stan.attempts import fit
from hbm_stan.budget import Budget
from hbm_stan.data import Dataset
from hbm_stan.densities import Unit, unit_labels
from hbm_stan.engines import Sampling
from hbm_stan.examples import analyses
from hbm_stan.fit import Fit
from hbm_stan.leave_one_out import LeftOut, logo, loo
from hbm_stan.repair import repaired
from hbm_stan.repair.bridge import Exact
from hbm_stan.repair.refits import exact_score
from hbm_stan.store import FitStore

ROOT = Path(__file__).parents[2]
SAMPLING = Sampling(adapt_delta=0.95, seed=20261121)
OTHER_SEED = 20261122
HEAD = (
    "data set", "target", "units", "high k", "repaired", "largest error, repaired units", "largest error, all units",
    "sum, repaired", "sum, exact", "MCSE of the difference", "z",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Case:
    """A table, its family, priors and variant, and what is left out."""

    title: str
    unit: Unit
    family: str
    dataset: Dataset
    priors: dict[str, str]
    variant: str = "partial_pooling"
    exact_draws: int = 4000


def shipped(name: str, unit: Unit, variant: str = "partial_pooling", exact_draws: int = 4000) -> Case:
    """A shipped analysis with its priors."""
    a = analyses()[name]
    title = name if variant == "partial_pooling" else f"{name}, {variant.replace('_', ' ')}"
    return Case(
        title=title,
        unit=unit,
        family=a.family.name,
        dataset=a.dataset,
        priors=dict(a.priors),
        variant=variant,
        exact_draws=exact_draws,
    )


def cases() -> list[Case]:
    """Shipped analyses, two data sets that have none, and made tables."""
    rats, batches = (pd.read_csv(ROOT / "data" / name / "data.csv") for name in ("rats", "dyestuff"))
    growth = Dataset.from_frame(rats, group="rat", outcome="weight_g", predictors=["age_centered"])
    yields = Dataset.from_frame(batches, group="batch", outcome="yield_g")
    rows = grouped_dataset(grouped_table(6.0))
    return [
        *(shipped(name, "observation") for name in ("eight_schools", "bcg", "pumps")),
        shipped("sleepstudy", "group"),
        shipped("sleepstudy", "group", "complete_pooling"),
        shipped("pastes", "group"),
        Case(title="dyestuff", unit="group", family="grouped_normal", dataset=yields, priors={}),
        Case(title="rats", unit="group", family="linear_regression", dataset=growth, priors={}, exact_draws=1000),
        Case(
            title="made: a group 7 standard errors off",
            unit="observation",
            family="normal_means",
            dataset=means_dataset(),
            priors=MEANS,
        ),
        Case(title="made: a row 6 sds off", unit="observation", family="grouped_normal", dataset=rows, priors=GROUPED),
        Case(title="made: a row 6 sds off", unit="group", family="grouped_normal", dataset=rows, priors=GROUPED),
        shipped("city_prices", "group", exact_draws=1000),
    ]


def fitted(case: Case, sampling: Sampling, store: FitStore) -> Fit:
    """The fit of a table."""
    return fit(
        case.family, case.dataset, case.variant, priors=case.priors, sampling=sampling, engine="stanli", store=store
    )


def exact_scores(fit: Fit, unit: Unit, store: FitStore) -> list[Exact]:
    """The score of every unit from a fit that has not seen it."""
    return [exact_score(fit, unit, i, store, lambda _: None) for i in range(len(unit_labels(fit, unit)))]


def routes(scores: LeftOut) -> str:
    """How many units were repaired in which way, and how many were not."""
    by = [f"{route.words} {n}" for route, n in Counter(r.route for r in scores.repairs.values()).items()]
    left = int(scores.high.sum())
    return ", ".join([*by, *([f"none {left}"] if left else [])]) or "0"


def row(case: Case, store: FitStore) -> str:
    """One table with one target."""
    sampling = replace(SAMPLING, seed=OTHER_SEED, draws=case.exact_draws)
    fit, other = fitted(case, SAMPLING, store), fitted(case, sampling, store)
    before = loo(fit) if case.unit == "observation" else logo(fit)
    assert before is not None
    after = repaired(fit, before, Budget(minutes=1e6), store, lambda _: None)
    started = time.perf_counter()
    exact = exact_scores(other, case.unit, store)
    seconds = time.perf_counter() - started
    elpd, error = np.array([e.elpd for e in exact]), math.hypot(after.mcse, math.hypot(*(e.mcse for e in exact)))
    apart = np.abs(after.elpd_i - elpd)
    labels, mended = unit_labels(fit, case.unit), list(after.repairs)
    cells = [
        case.title, case.unit, str(len(labels)), str(int(before.high.sum())), routes(after),
        _largest(apart, labels, mended), _largest(apart, labels, range(len(labels))), f"{after.elpd:.2f}",
        f"{elpd.sum():.2f}", f"{error:.3f}", f"{(after.elpd - elpd.sum()) / error:+.1f}",
    ]  # fmt: skip
    print(f"{case.title}: {fit.seconds:.1f} s for the fit, {seconds:.0f} s for the refits", file=sys.stderr)
    for i in mended:
        print(f"  {labels[i]}: {after.repairs[i]}; exact {exact[i]}", file=sys.stderr)
    return f"| {' | '.join(cells)} |"


def _largest(apart: np.ndarray, labels: list[str], among: object) -> str:
    taken = list(among)  # type: ignore[call-overload]
    if not taken:
        return "–"
    worst = max(taken, key=lambda i: apart[i])
    return f"{apart[worst]:.3f} ({labels[worst]})"


def main() -> None:
    warnings.simplefilter("ignore")
    lines = [f"| {' | '.join(HEAD)} |", "|" + "---|" * len(HEAD)]
    with tempfile.TemporaryDirectory() as folder:
        for case in cases():
            lines.append(row(case, FitStore(Path(folder) / re.sub(r"\W", "_", case.title))))
            print(lines[-1], file=sys.stderr, flush=True)
    text = "\n".join(lines) + "\n"
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
