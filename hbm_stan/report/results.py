"""Every number of the report, in one dict: the schema is in reports/results-schema.md."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from hbm_stan.analysis.read import Analysis
from hbm_stan.attempts import attempts_in_words
from hbm_stan.diagnose import Diagnosis
from hbm_stan.elements import term_of, term_words
from hbm_stan.engines import NOT_DIRECT
from hbm_stan.fit import Fit
from hbm_stan.formula import structure_in_words
from hbm_stan.model import Finding
from hbm_stan.predict import Y_NEW, NewGroup, population_names, shrinkage_notes
from hbm_stan.report.answer import answer
from hbm_stan.report.brief import page_one
from hbm_stan.report.caterpillars import caterpillars_of
from hbm_stan.report.certified import certified, failed_proofs
from hbm_stan.report.coefficients import coefficients_of
from hbm_stan.report.collect import Findings
from hbm_stan.report.conditional import conditional_effects
from hbm_stan.report.data_shown import data_of
from hbm_stan.report.meanings import parameter_meanings, prior_rows
from hbm_stan.report.notices import About, Notice, notices
from hbm_stan.report.r_squared import r_squared
from hbm_stan.report.ratios import average_ratio
from hbm_stan.report.sensitivity import influential
from hbm_stan.report.shares import shares_of
from hbm_stan.report.units import (
    far_from_zero,
    observed_quantity,
    zero_matters,
)
from hbm_stan.verdicts import Verdict, for_json, worst

SCHEMA = 2
# Texts of a variant that speak of groups.
_WORDS = ("parameterisation", "assumption")
_PACKAGES = (
    "hbm-stan",
    "arviz",
    "arviz-stats",
    "cmdstanpy",
    "numpy",
    "pandas",
    "plotnine",
    "scipy",
    "stanli",
    "typst",
    "xarray",
)
_PARAMETER = (
    "mean", "sd", "mcse_mean", "mcse_sd", "q05", "q50", "q95", "mcse_q05", "mcse_q50", "mcse_q95",
    "ess_bulk", "ess_tail", "rhat",
)  # fmt: skip


def results(analysis: Analysis, findings: Findings) -> dict[str, Any]:
    """The results of an analysis as plain values, ready for JSON."""
    main = findings.fits[analysis.main_variant]
    verdicts = findings.verdicts
    flat = [v for rows in verdicts.values() for v in rows]
    programs = [_program(fit) for fit in findings.fits.values()]
    proofs = certified(analysis, programs)
    sections = {
        "schema": SCHEMA,
        "analysis": analysis.name,
        "family": analysis.family.name,
        "title": analysis.title,
        "question": analysis.question,
        "status": worst([*flat, *main.table.verdicts]),
        "withheld": findings.withheld,
        "answer": answer(analysis, findings),
        **_notices(findings, proofs),
        "main_variant": analysis.main_variant,
        "engine": {"name": main.engine, "version": main.engine_version},
        "settings": main.asked.as_dict(),
        "data": {**data_of(main), "noun": main.table.noun.as_dict()},
        "model": _model(analysis, main),
        "population": population_names(main),
        "priors": prior_rows(analysis, main),
        "fits": {name: _fit(fit, findings.diagnoses[name], verdicts[name]) for name, fit in findings.fits.items()},
        "comparison": findings.comparison.as_dict() if findings.comparison else None,
        "group_comparison": findings.group_comparison.as_dict() if findings.group_comparison else None,
        "sensitivity": findings.sensitivity,
        "new_group": _new_group(findings.new_group, main),
        **_as_read(analysis, main, findings.diagnoses[main.variant].summary),
        "shrinkage": findings.shrinkage.to_dict("records"),
        "shrinkage_notes": shrinkage_notes(findings.shrinkage, main.table.noun),
        "ppc": _ppc(findings, main),
        "loo_pit": None if findings.loo_pit is None else findings.loo_pit.as_dict(),
        "calibration": None if findings.reliability is None else findings.reliability.as_dict(),
        "prior_check": findings.prior_check.to_dict("records"),
        "parameterisation": None if analysis.choice is None else asdict(analysis.choice),
        "findings": [_finding(f) for f in findings.own],
        **_reproduction(analysis, main, programs, proofs),
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


def _reproduction(
    analysis: Analysis, main: Fit, programs: list[dict[str, str]], proofs: dict[str, Any]
) -> dict[str, Any]:
    """What the appendix prints, and how much of it."""
    return {
        "versions": versions(),
        "programs": programs,
        "certificate": proofs,
        "appendix": analysis.appendix,
        "command": (
            f"hbm report {shlex.quote(_place(analysis.folder))} --engine {main.engine} --seed {main.sampling.seed}"
        ),
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


@cache
def versions() -> dict[str, str]:
    """The versions of everything that a number of the report went through."""
    import platform

    installed = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            installed[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            installed[package] = "not installed as a package"
    return installed


def _ppc(findings: Findings, main: Fit) -> dict[str, Any] | None:
    if findings.ppc is None:
        return None
    return {
        "variant": findings.ppc.variant,
        "statistics": findings.ppc.statistics.to_dict("records"),
        "groups": findings.ppc.groups.to_dict("records"),
        "rows": [] if findings.ppc.rows is None else findings.ppc.rows.to_dict("records"),
        "note": findings.ppc.note,
        "quantity": observed_quantity(main),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    """A family's own section, as plain values."""
    names = ("table", "curves", "points", "areas", "borders", "sweep", "intervals")
    frames = {name: getattr(finding, name) for name in names}
    records = {name: None if frame is None else frame.to_dict("records") for name, frame in frames.items()}
    words = {name: getattr(finding, name) for name in ("title", "caption", "x_label", "y_label")}
    return {**words, **records, "sentences": list(finding.sentences), "digits": dict(finding.digits)}


def _model(analysis: Analysis, fit: Fit) -> dict[str, Any]:
    family = analysis.family
    fill = analysis.noun.fill
    variants = [asdict(family.variant(name)) for name in analysis.variants]
    keys = ("name", "title", "pooling", "math")
    return {
        "title": family.words.title,
        "citation": family.words.citation,
        "likelihood": list(family.words.likelihood),
        "formula": fit.table.dataset.reading.formula,
        "words": structure_in_words(fit.table.dataset, fit.table.design) if fit.table.design is not None else [],
        "quantity": family.words.group_meaning,
        "meanings": parameter_meanings(analysis, fit),
        "variants": [{k: v[k] for k in keys} | {k: fill(v[k]) for k in _WORDS} for v in variants],
    }


def _fit(fit: Fit, diagnosis: Diagnosis, verdicts: list[Verdict]) -> dict[str, Any]:
    return {
        "status": worst(verdicts),
        "seconds": fit.seconds,
        "key": fit.key,
        "program_sha256": fit.program_sha256,
        "adapt_delta": fit.sampling.adapt_delta,
        "earlier": [asdict(attempt) for attempt in fit.earlier],
        "attempts": attempts_in_words(fit),
        "divergences": None if fit.direct else int(fit.tree["sample_stats"]["diverging"].sum()),
        "direct": fit.about if fit.direct else None,
        "not_direct": fit.about.get(NOT_DIRECT, ""),
        "verdicts": [v.as_dict() for v in verdicts],
        "parameters": {str(name): {k: row[k] for k in _PARAMETER} for name, row in diagnosis.summary.iterrows()},
    }


def _new_group(prediction: NewGroup | None, fit: Fit) -> dict[str, Any] | None:
    if prediction is None:
        return None
    rows = [{"name": str(name), **row} for name, row in prediction.quantities.to_dict("index").items()]
    for row in rows:
        term = term_of(row["name"])
        row["meaning"] = f"{term_words(term)} of a new {fit.table.noun.one}" if term else row["meaning"]
        observed = row["name"] == Y_NEW
        row["sign"] = fit.family.words.signed and not far_from_zero(fit) if observed else zero_matters(fit, term)
    return {"quantities": rows, "note": prediction.note, "n_draws": fit.n_draws, "signed": fit.family.words.signed}


def _place(folder: Path) -> str:
    """The analysis folder as a reader would name it: from where the command was given, if it lies below."""
    try:
        return str(folder.resolve().relative_to(Path.cwd()))
    except ValueError:
        return folder.resolve().name


def _program(fit: Fit) -> dict[str, str]:
    program = fit.family.program(fit.variant)
    entry = {"variant": fit.variant, "file": program.path.name, "sha256": program.sha256, "code": program.code}
    return entry | {"source": program.path.read_text(encoding="utf-8")}
