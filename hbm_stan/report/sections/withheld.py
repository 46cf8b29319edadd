"""What stands in the place of the findings where a check failed that was not waived."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hbm_stan.nouns import of_results
from hbm_stan.report.blocks import Block, bullets, heading, prose
from hbm_stan.report.section import Section, When
from hbm_stan.report.sections import fit
from hbm_stan.verdicts import PREDICTIVE_CHECK


def section(results: dict[str, Any], figures: Iterable[str]) -> list[Block]:
    """One section in the place of the findings: what is not shown, and why; replicated data, where these failed."""
    misfit = any(
        v["name"] == PREDICTIVE_CHECK and v["status"] == "fail" and not v["waived"]
        for fit in results["fits"].values()
        for v in fit["verdicts"]
    )
    sections = "Pooled estimates, the posterior of the population, the prediction for a new "
    sections += of_results(results).one
    sections += " and " if misfit else ", the predictive check and "
    return [
        heading("Findings withheld"),
        prose(sections, "the comparison are left out of this report, because a check failed that was not waived."),
        *bullets(results["answer"]),
        prose("The data above and the diagnostics below hold whatever the checks say."),
        *(fit.section(results, figures) if misfit else fit.prior_alone(results)),
    ]


SECTION = Section(section, when=When.WITHHELD)
