"""The sections of the report in their order: one that is added stands in a file of its own, and here."""

from __future__ import annotations

from hbm_stan.report.section import Section
from hbm_stan.report.sections import (
    caterpillars,
    coefficients,
    comparison,
    conditional,
    data,
    diagnostics,
    fit,
    groups,
    model,
    new_group,
    own,
    ratios,
    sensitivity,
    shares,
    withheld,
)

SECTIONS: tuple[Section, ...] = (
    data.SECTION, model.SECTION, withheld.SECTION, coefficients.SECTION, conditional.SECTION, groups.SECTION,
    caterpillars.SECTION, ratios.SECTION, new_group.SECTION, shares.SECTION, own.SECTION, fit.SECTION,
    comparison.SECTION, sensitivity.SECTION, diagnostics.SECTION,
)  # fmt: skip
