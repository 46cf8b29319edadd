"""What the contract tests of the families share: an example of each, its priors, a short run, its structure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from hbm_stan.data import Dataset
from hbm_stan.families import families
from hbm_stan.fit import prepare_table
from hbm_stan.model import Family, StanData
from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior, parse_prior
from hbm_stan.program import Program
from hbm_stan.report.analysis import Analysis, read_analysis
from hbm_stan.testing import SPREAD, log_density_spread
from hbm_stan.testing import short_run as run_shortly

__all__ = ["SPREAD", "spread"]
spread = log_density_spread
_MOST_ROWS, _LEAST_GROUPS = 200, 6
REPORTS = Path(__file__).parents[1] / "reports"
# One choice of every distribution, for the parameters of prior tables: not the defaults, so that a mix-up shows.
ARGUMENTS = {
    "normal": "0.7, 3", "half_normal": "1.7", "half_cauchy": "1.3", "half_student_t": "4, 1.6", "uniform": "0, 40",
    "exponential": "0.8", "gamma": "2.5, 1.4", "lognormal": "0.3, 0.9", "beta": "2.5, 3.5", "lkj": "1.8",
}  # fmt: skip


@cache
def analyses() -> dict[str, Analysis]:
    """The shipped analyses by name."""
    return {p.parent.name: read_analysis(p.parent) for p in sorted(REPORTS.glob("*/analysis.toml"))}


@cache
def example(name: str) -> tuple[Family, Prepared]:
    """A family with the smallest table that an analysis in reports/ gives it."""
    own = [a for a in analyses().values() if a.family.name == name]
    if not own:
        raise AssertionError(f"no analysis in reports/ uses the family {name}")
    smallest = min(own, key=lambda a: a.dataset.table.n_rows)
    return smallest.family, prepare_table(smallest.family, few_rows(smallest.dataset, smallest.family))


def few_rows(dataset: Dataset, family: Family) -> Dataset:
    """The smallest groups of a table, whole, up to a number of rows: what the contract asks needs no more."""
    groups = pd.Series(dataset.table.labels(dataset.column(next(r.name for r in family.roles if r.kind == "label"))))
    sizes = groups.value_counts().sort_values(kind="stable")
    kept = sizes.index[: max(_LEAST_GROUPS, int((sizes.cumsum() <= _MOST_ROWS).sum()))]
    table = dataset.table
    inside = np.flatnonzero(groups.isin(kept))
    if len(inside) == table.n_rows:
        return dataset
    frame = pd.DataFrame({name: [table.column(name)[i] for i in inside] for name in table.names})
    return Dataset.from_frame(frame, dataset.columns, name=dataset.name)


CASES = [(f.name, v.name) for f in families().values() for v in f.variants]
IDS = [f"{f}-{v}" for f, v in CASES]


def with_prior(family: Family, table: Prepared, chosen: Mapping[str, str] | None = None) -> dict[str, Prior]:
    """The priors of the table, with distributions chosen by row."""
    priors = family.priors(table)
    rows = {r.name: r for r in family.prior_rows}
    for name in priors:
        base = name.partition("[")[0]
        if base in (chosen or {}):
            distribution = (chosen or {})[base]
            priors[name] = parse_prior(f"{distribution}({ARGUMENTS[distribution]})", rows[base], name)
    return priors


def prior_choices(family: Family, variant: str) -> list[dict[str, str]]:
    """Sets of distributions that together name every distribution of every row that a variant uses."""
    used = {name.partition("[")[0] for name in family.variant(variant).priors}
    rows = [r for r in family.prior_rows if r.name in used]
    longest = max(len(r.distributions) for r in rows)
    return [{r.name: r.distributions[i % len(r.distributions)] for r in rows} for i in range(longest)]


@cache
def short_run(name: str, variant: str, use_likelihood: int = 1) -> tuple[StanData, dict[str, np.ndarray]]:
    """Data of the example and draws of one variant, chains joined; cached for the tests that look at them."""
    family, table = example(name)
    data = family.stan_data(table, family.priors(table), variant) | {"use_likelihood": use_likelihood}
    return data, run_shortly(family, variant, data)


def structure_faults(pooling: str, program: Program) -> list[str]:
    """Whether a program is what it is called: decision-rules, pitfall 16."""
    parameters = program.block("parameters")
    by_group = [d.name for d in parameters if any(re.search(r"\bJ\b|\bM\b", size) for size in d.dims)]
    shared = [d.name for d in parameters if d.name not in by_group]
    if pooling == "complete" and by_group:
        return [f"complete pooling has group effects: {by_group}"]
    if pooling == "no" and shared:
        return [f"no pooling shares {shared} between groups"]
    if pooling == "partial" and not re.search(r"^\s*(real|vector)\b[^;(]*\btau\b", program.code, re.M):
        return ["partial pooling has no population scale"]
    return []
