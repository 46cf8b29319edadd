"""The section on the model: its formula and likelihood, the pooling variants, priors and posteriors."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import partial
from typing import Any

import pandas as pd

from hbm_stan.elements import base_of
from hbm_stan.nouns import capital, of_results
from hbm_stan.plots.labels import cells
from hbm_stan.report.blocks import (
    Block,
    bullets,
    column,
    equations,
    figure,
    heading,
    mono,
    parameter,
    prose,
    ref,
    sentence,
    table,
)
from hbm_stan.report.section import Drawings, Section, When
from hbm_stan.results.collect import Findings
from hbm_stan.results.digits import DASH
from hbm_stan.results.draw_tables import population_table, prior_tables

# All arguments of these but the degrees of freedom are in the unit of the parameter.
_IN_UNITS = {"normal", "half_normal", "half_cauchy", "half_student_t", "uniform"}
_TITLE_CELLS = 24  # letters of a variant's title that may stand in one line
_LIKE = 4  # priors of one parameter that the table shows: intercept, coefficients


def section(results: dict[str, Any], figures: Iterable[str]) -> list[Block]:
    """Likelihood, pooling variants and what each assumes, priors with their reasons."""
    m = results["model"]
    rows = [
        [
            [{"strong": v["title"]}],
            [{"lines": v["math"]}] if v["math"] else DASH,
            sentence(v["assumption"]),
        ]
        for v in m["variants"]
    ]
    # The formulae are the longest: a line of them that breaks takes more room than one of words.
    short = all(cells(v["title"]) <= _TITLE_CELLS for v in m["variants"])
    heads = [
        column("Variant", width="auto" if short else "2fr"),
        column(capital(of_results(results).many), width="5fr"),
        column("What it assumes", width="4fr"),
    ]
    return [
        heading("Model"),
        *_likelihood(m),
        *_formula(m),
        table(
            [
                "The pooling variants. They differ in what ties the "
                f"{of_results(results).many} together, and in the prior of "
                "what is not tied."
            ],
            heads,
            rows,
        ),
        *_priors(results, () if results["withheld"] else figures),
    ]


def _likelihood(m: dict[str, Any]) -> list[Block]:
    """The family, where it comes from, and the likelihood that its variants share."""
    sentences = [f"{m['title']}.", _sentence(m["citation"])]
    if not m["likelihood"]:
        return [prose(" ".join(filter(None, sentences)))]
    sentences.append("The likelihood, where the table below has no other:")
    return [prose(" ".join(filter(None, sentences))), equations(m["likelihood"])]


def _formula(m: dict[str, Any]) -> list[Block]:
    """The formula, and what it says in words."""
    if not m["formula"]:
        return []
    return [prose("The formula is ", mono(m["formula"]), ", which says:"), *bullets(m["words"])]


def _priors(results: dict[str, Any], figures: Iterable[str]) -> list[Block]:
    kinds = {v["name"]: v["pooling"] for v in results["model"]["variants"]}
    rows, of_base = [], Counter[str]()
    all_defaults = all(p["default"] for p in results["priors"])
    for p in results["priors"]:
        base = base_of(p["name"])
        of_base[base] += 1
        if of_base[base] > _LIKE:
            continue
        text = p["text"] + (f" {p['unit']}" if p["unit"] and p["distribution"] in _IN_UNITS else "")
        every = len(p["variants"]) == len(kinds) > 1
        used = "all" if every else ", ".join(dict.fromkeys(kinds.get(v, v) for v in p["variants"]))
        reason = sentence(f"{_sentence(p['meaning'])} {_sentence(p['reason'])}")
        marked = " Default." if p["default"] and not all_defaults else ""
        rows.append([parameter(p["name"]), text, [*reason, marked], used])
    if not rows:
        return [prose("The priors are those that the Stan programs in the appendix hold.")]
    more = [f"{n - _LIKE} more of {base}" for base, n in of_base.items() if n > _LIKE]
    title = "Priors, all of them defaults" if all_defaults else "Priors"
    title += f"; {', '.join(more)}, made as the last of it, are in results.json." if more else "."
    heads = [column(""), column("Prior"), column("Meaning and reason", width="1fr"), column("Pooling")]
    if "population" not in figures:
        return [table([title], heads, rows)]
    clause = "Where a posterior looks like its prior, the data have said little about it"
    caption = "Posterior draws of the main variant and prior densities, without the outermost 0.1 % at each end."
    alt = "Posterior histograms of the population parameters with their priors."
    return [
        prose(clause, " (", ref("population"), ")."),
        # The table after it fills what is left of a page that the figure has no room on.
        *(block | {"floating": True} for block in figure("population", figures, [caption], alt)),
        table([title], heads, rows),
    ]


def _sentence(text: str) -> str:
    text = re.sub(r"^sd\b", "SD", text.strip().rstrip("."))
    return text[:1].upper() + text[1:] + "." if text else ""


def drawings(findings: Findings, results: dict[str, Any]) -> Drawings:
    """Posteriors of the population's parameters beside their priors."""
    from hbm_stan import plots

    main = findings.fits[results["main_variant"]]
    population = pd.DataFrame() if findings.withheld else population_table(main)
    if population.empty:
        return {}
    mixed = any("[" in name for name in results["population"])
    unit = "" if mixed else results["data"]["quantity_unit"]
    return {"population": partial(plots.plot_population, population, prior_tables(main, population), unit)}


SECTION = Section(section, drawings, When.ALWAYS)
