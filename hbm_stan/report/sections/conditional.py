"""The section on effects on the outcome: what is expected over each column, with the data."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from hbm_stan.fit import Fit
from hbm_stan.nouns import of_results
from hbm_stan.report.blocks import Block, Span, figure, heading, prose, ref
from hbm_stan.report.section import Drawings, Section
from hbm_stan.results.collect import Findings
from hbm_stan.results.conditional import Effect, axis_words, observed_rows
from hbm_stan.results.entry import read
from hbm_stan.results.units import of_rates


def section(results: dict[str, Any], figures: Iterable[str]) -> list[Block]:
    """The figure over each column, and in words what stands where."""
    effects = results["conditional_effects"]
    if not effects or "conditional" not in figures:
        return []
    many = of_results(results).many
    intro: list[Span] = [
        "What the model expects over each column (", ref("conditional"),
        f"), averaged over {many}; the other columns stand at their means, categories at the level that others are "
        "compared with.",
    ]  # fmt: skip
    caption = "Expected values with bands that hold 50 % and 90 %, and rows of the data as points. "
    if results["data"]["observed"] not in {"share", "rate"}:
        caption += f"Dashed: 90 % of new observations in new {many}."
    names = ", ".join(effect["column"] for effect in effects)
    alt = f"The expected outcome over {names}, with bands, and the data."
    return [heading("Effects on the outcome"), prose(*intro), *figure("conditional", figures, [caption], alt)]


def drawings(findings: Findings, results: dict[str, Any]) -> Drawings:
    """The figure of the conditional effects."""
    from hbm_stan import plots

    fit = findings.fits[results["main_variant"]]
    panels = effect_panels(fit, [read(Effect, effect) for effect in results["conditional_effects"]])
    return {"conditional": partial(plots.plot_effects, panels, *axis_words(fit))} if panels else {}


def effect_panels(fit: Fit, effects: Iterable[Effect]) -> list[dict[str, Any]]:
    """What the conditional effects draw; new observations of 0 or 1 or of counts would hide them."""
    panels = []
    for effect in effects:
        rows = pd.DataFrame([row.as_dict() for row in effect.rows])
        if of_rates(fit):
            rows[["new_q05", "new_q95"]] = np.nan
        points = observed_rows(fit, effect.column, effect.levels)
        unit = fit.table.dataset.unit_of(effect.column)
        panels.append({
            "column": effect.column, "unit": unit, "levels": effect.levels, "rows": rows, "points": points,
        })  # fmt: skip
    return panels


SECTION = Section(section, drawings)
