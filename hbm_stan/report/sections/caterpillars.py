"""The section on the levels of other factors than the group: a caterpillar for each that the analysis asks for."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import pandas as pd

from hbm_stan.elements import term_words
from hbm_stan.nouns import capital
from hbm_stan.report.blocks import Block, Span, figure, heading, prose, ref
from hbm_stan.report.section import Drawings, Section
from hbm_stan.results.collect import Findings
from hbm_stan.results.terms import unit_of_term


def figure_name(k: int) -> str:
    """The name of the figure of the k-th entry."""
    return f"caterpillar_{k}"


def axis_of(column: str, unit: str) -> tuple[str, str]:
    """What the axis of a caterpillar of a column shows, and its unit."""
    return f"deviation of the {term_words(column)}", unit_of_term(column, unit)


def section(results: dict[str, Any], figures: Iterable[str]) -> list[Block]:
    """How far each level lies from the mean of its population."""
    caterpillars = results["caterpillars"]
    if not caterpillars:
        return []
    intro: list[Span] = ["How far the levels of a factor lie from the mean of their population"]
    shown = [figure_name(k) for k in range(len(caterpillars)) if figure_name(k) in figures]
    for k, name in enumerate(shown):
        intro += [", " if k else " (", ref(name)]
    intro.append(f"{')' * bool(shown)}: each is drawn towards it, the more the less its rows say.")
    blocks = [heading("Levels of other factors"), prose(*intro)]
    for k, entry in enumerate(caterpillars):
        what = f"{capital(term_words(entry['column']))}: deviations of the {len(entry['rows'])} {entry['many']}"
        caption = f"{what}, medians; bars hold 50 % and 90 % of the posterior."
        blocks += figure(figure_name(k), figures, [caption], f"{what}, with their intervals.")
    return blocks


def drawings(_findings: Findings, results: dict[str, Any]) -> Drawings:
    """The figures of the levels of other factors that the analysis asks for."""
    from hbm_stan import plots

    drawn: Drawings = {}
    for k, entry in enumerate(results["caterpillars"]):
        what, unit = axis_of(entry["column"], results["data"]["quantity_unit"])
        drawn[figure_name(k)] = partial(plots.plot_caterpillar, pd.DataFrame(entry["rows"]), what, unit, entry["many"])
    return drawn


SECTION = Section(section, drawings)
