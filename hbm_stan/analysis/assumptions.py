"""Lines of a new analysis.toml on what is assumed: of missing outcomes, and the likelihood where there is a choice."""

from __future__ import annotations

import json
from collections.abc import Sequence

from hbm_stan.data import Dataset
from hbm_stan.families.missing_outcomes.columns import assumed, default_sweep
from hbm_stan.missingness import FORMS_IN_WORDS, PATTERN, SELECTION
from hbm_stan.prepare import Prepared
from hbm_stan.values import Role


def missing_lines(table: Prepared) -> list[str]:
    """The lines of [missing], where a table has rows without an outcome; none elsewhere."""
    if table.unseen is None:
        return []
    assumption = assumed(table)
    prior = json.dumps(assumption.prior or "normal(0, 1)")
    sweep = ", ".join(repr(delta) for delta in assumption.sweep or default_sweep(table))
    return [
        "[missing]  # how outcomes came to be missing. No row tells it: it is assumed, and varied",
        f"form = {json.dumps(assumption.form)}  # one of:",
        *(f"#   {form}: {FORMS_IN_WORDS[form]}" for form in (PATTERN, SELECTION)),
        f"delta = {assumption.delta!r}  # at which all is reported; 0: missing outcomes are like those that were seen",
        f"rows = {json.dumps(assumption.rows)}  # whose missing outcomes differ, such as arm = drug; empty: all rows",
        f"contrast = {json.dumps(assumption.contrast or two_levels(table))}  # of what; empty: mean of all rows",
        f"threshold = {assumption.threshold!r}  # the conclusion is on which side of it that lies",
        f"sweep = [{sweep}]  # deltas that are tried; hbm sensitivity and the report say where the conclusion tips",
        f"{'' if assumption.prior else '# '}prior = {prior}  # of delta, which no row updates",
        "",
    ]


def likelihood_lines(roles: Sequence[Role], dataset: Dataset) -> list[str]:
    """The likelihood where the columns leave a choice of one, with what else there is to choose."""
    offered = next((r.likelihoods for r in roles if r.likelihoods and r.name in dataset.columns), ())
    if not offered:
        return []
    asked = dataset.reading.likelihood or offered[0]
    return [f"likelihood = {json.dumps(asked)}  # or {', '.join(name for name in offered if name != asked)}"]


def two_levels(table: Prepared) -> str:
    """The contrast of the only category with two levels among the predictors; empty where there is another number."""
    pairs = [(column, levels) for column, levels in table.levels.items() if len(levels) == 2]
    if len(pairs) != 1:
        return ""
    ((column, (first, second)),) = pairs
    return f"{column} = {second} - {column} = {first}"
