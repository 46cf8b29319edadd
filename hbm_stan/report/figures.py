"""The figures of a report: each section draws its own."""

from __future__ import annotations

from typing import Any

from hbm_stan.report.contents import SECTIONS
from hbm_stan.report.section import Drawings
from hbm_stan.report.sections import front
from hbm_stan.results.collect import Findings


def draw_figures(findings: Findings, results: dict[str, Any]) -> dict[str, bytes]:
    """All figures that the results call for, as SVG by name."""
    from hbm_stan import plots

    drawn: Drawings = {} if findings.withheld else front.drawings(findings, results)
    for section in SECTIONS:
        if section.stands(findings.withheld):
            drawn |= section.drawings(findings, results)
    return {name: plots.save_svg(draw()) for name, draw in drawn.items()}
