"""Every number of the report, in one dict: the schema is in reports/results-schema.md.

A module beside this one builds each section; here they are put together.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pandas as pd

from hbm_stan.analysis.read import Analysis
from hbm_stan.fit import Fit
from hbm_stan.predict import population_names, shrinkage_notes
from hbm_stan.results.answer import answer
from hbm_stan.results.brief import page_one
from hbm_stan.results.caterpillars import caterpillars_of
from hbm_stan.results.certified import certified, failed_proofs
from hbm_stan.results.coefficients import coefficients_of
from hbm_stan.results.collect import Findings
from hbm_stan.results.conditional import conditional_effects
from hbm_stan.results.data_shown import data_of
from hbm_stan.results.fitted import fitted_of
from hbm_stan.results.meanings import prior_rows
from hbm_stan.results.model import model_of
from hbm_stan.results.new_group import new_group_of
from hbm_stan.results.notices import About, Notice, influential, notices
from hbm_stan.results.own import own_of
from hbm_stan.results.r_squared import r_squared
from hbm_stan.results.ratios import average_ratio
from hbm_stan.results.replicated import replicated_of
from hbm_stan.results.reproduction import program_of, reproduction_of
from hbm_stan.results.shares import shares_of
from hbm_stan.verdicts import for_json, worst

SCHEMA = 2


def results(analysis: Analysis, findings: Findings) -> dict[str, Any]:
    """The results of an analysis as plain values, ready for JSON."""
    main = findings.fits[analysis.main_variant]
    verdicts = findings.verdicts
    programs = [program_of(fit) for fit in findings.fits.values()]
    proofs = certified(analysis, programs)
    sections = {
        "schema": SCHEMA,
        "analysis": analysis.name,
        "family": analysis.family.name,
        "title": analysis.title,
        "question": analysis.question,
        "status": worst([*(v for rows in verdicts.values() for v in rows), *main.table.verdicts]),
        "withheld": findings.withheld,
        "answer": answer(analysis, findings),
        **_notices(findings, proofs),
        "main_variant": analysis.main_variant,
        "engine": {"name": main.engine, "version": main.engine_version},
        "settings": main.asked.as_dict(),
        "data": data_of(main).as_dict(),
        "model": model_of(analysis, main).as_dict(),
        "population": population_names(main),
        "priors": prior_rows(analysis, main),
        "fits": {n: fitted_of(fit, findings.diagnoses[n], verdicts[n]).as_dict() for n, fit in findings.fits.items()},
        "comparison": findings.comparison.as_dict() if findings.comparison else None,
        "group_comparison": findings.group_comparison.as_dict() if findings.group_comparison else None,
        "sensitivity": findings.sensitivity,
        "new_group": new_group_of(findings.new_group, main).as_dict() if findings.new_group else None,
        **_as_read(analysis, main, findings.diagnoses[main.variant].summary),
        "shrinkage": findings.shrinkage.to_dict("records"),
        "shrinkage_notes": shrinkage_notes(findings.shrinkage, main.table.noun),
        "ppc": replicated_of(findings.ppc, main).as_dict() if findings.ppc else None,
        "loo_pit": findings.loo_pit.as_dict() if findings.loo_pit else None,
        "calibration": findings.reliability.as_dict() if findings.reliability else None,
        "prior_check": findings.prior_check.to_dict("records"),
        "parameterisation": asdict(analysis.choice) if analysis.choice else None,
        "findings": [own_of(finding) for finding in findings.own],
        **reproduction_of(analysis, main, programs, proofs).as_dict(),
    }
    document: dict[str, Any] = for_json(sections)
    return document | {"page_one": for_json(page_one(analysis, findings, document))}


def _notices(findings: Findings, proofs: dict[str, Any]) -> dict[str, list[str]]:
    """The sentences that a reader needs before any number, and what each is about."""
    all_notices = [
        *notices(findings),
        *(Notice(About.CERTIFICATE, text) for text in failed_proofs(proofs)),
        *(Notice(About.GROUPS, text) for text in influential(findings.sensitivity)),
    ]
    return {
        "notices": [notice.text for notice in all_notices],
        "notices_about": [notice.about for notice in all_notices],
    }


def _as_read(analysis: Analysis, fit: Fit, summary: pd.DataFrame) -> dict[str, Any]:
    """Answers as a reader wants them: as ratios; of a formula its coefficients, and where the variance lies."""
    return {
        "ratios": average_ratio(fit, summary),
        "coefficients": coefficients_of(fit),
        "variance_shares": shares_of(fit),
        "r_squared": r_squared(fit),
        "conditional_effects": conditional_effects(fit, analysis.prediction),
        "caterpillars": caterpillars_of(fit, analysis.caterpillars),
    }
