"""Every number of the report, in one dict: the schema is in reports/results-schema.md."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hbm_stan.analysis.read import Analysis
from hbm_stan.analysis.told import missing_unit
from hbm_stan.attempts import attempts_in_words
from hbm_stan.data import ColumnInfo
from hbm_stan.diagnose import Diagnosis
from hbm_stan.elements import term_of
from hbm_stan.engines import NOT_DIRECT
from hbm_stan.estimates import ESTIMATE, STANDARD_ERROR
from hbm_stan.fit import Fit
from hbm_stan.formula import structure_in_words
from hbm_stan.model import Finding
from hbm_stan.predict import NewGroup, population_names, shrinkage_notes
from hbm_stan.replicate import by_group
from hbm_stan.report.answer import answer, notices
from hbm_stan.report.brief import page_one
from hbm_stan.report.caterpillars import caterpillars_of
from hbm_stan.report.certified import certified, failed_proofs
from hbm_stan.report.coefficients import coefficients_of
from hbm_stan.report.columns import columns_of, numbers_of_formula
from hbm_stan.report.conditional import conditional_effects
from hbm_stan.report.found import Findings
from hbm_stan.report.meanings import parameter_meanings, prior_rows
from hbm_stan.report.r_squared import r_squared
from hbm_stan.report.ratios import average_ratio
from hbm_stan.report.sensitivity import influential
from hbm_stan.report.shares import shares_of
from hbm_stan.report.terms import term_words
from hbm_stan.report.units import (
    far_from_zero,
    observed_quantity,
    observed_unit,
    outcome_unit,
    quantity_unit,
    zero_matters,
)
from hbm_stan.verdicts import Verdict, for_json, worst

SCHEMA = 2
_ROWS_SHOWN = 60
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


def results(analysis: Analysis, found: Findings) -> dict[str, Any]:
    """The results of an analysis as plain values, ready for JSON."""
    main = found.fits[analysis.main_variant]
    verdicts = found.verdicts
    flat = [v for rows in verdicts.values() for v in rows]
    programs = [_program(fit) for fit in found.fits.values()]
    proofs = certified(analysis, programs)
    made = {
        "schema": SCHEMA,
        "analysis": analysis.name,
        "family": analysis.family.name,
        "title": analysis.title,
        "question": analysis.question,
        "status": worst([*flat, *main.table.verdicts]),
        "withheld": found.withheld,
        "answer": answer(analysis, found),
        "notices": [*notices(found), *failed_proofs(proofs), *influential(found.sensitivity)],
        "main_variant": analysis.main_variant,
        "engine": {"name": main.engine, "version": main.engine_version},
        "settings": main.asked.as_dict(),
        "data": {**_data(main), "noun": main.table.noun.as_dict()},
        "model": _model(analysis, main),
        "population": population_names(main),
        "priors": prior_rows(analysis, main),
        "fits": {name: _fit(fit, found.diagnoses[name], verdicts[name]) for name, fit in found.fits.items()},
        "comparison": found.comparison.as_dict() if found.comparison else None,
        "group_comparison": found.group_comparison.as_dict() if found.group_comparison else None,
        "sensitivity": found.sensitivity,
        "new_group": _new_group(found.new_group, main),
        **_as_read(analysis, main, found.diagnoses[main.variant].summary),
        "shrinkage": found.shrinkage.to_dict("records"),
        "shrinkage_notes": shrinkage_notes(found.shrinkage, main.table.noun),
        "ppc": _ppc(found, main),
        "prior_check": found.prior_check.to_dict("records"),
        "parameterisation": None if analysis.choice is None else asdict(analysis.choice),
        "findings": [_finding(f) for f in found.own],
        "versions": versions(),
        "programs": programs,
        "certificate": proofs,
        "appendix": analysis.appendix,
        "command": (
            f"hbm report {shlex.quote(_place(analysis.folder))} --engine {main.engine} --seed {main.sampling.seed}"
        ),
    }
    said: dict[str, Any] = for_json(made | {"page_one": page_one(analysis, found, for_json(made))})
    return said


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

    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed as a package"
    return found


def _data(fit: Fit) -> dict[str, Any]:
    table, dataset = fit.table, fit.table.dataset
    return {
        "name": dataset.name,
        "title": dataset.title,
        "source": dataset.source,
        "sha256": dataset.sha256,
        "n_rows": len(table.group),
        "n_groups": len(table.labels),
        "rows_per_group": {
            "least": int(table.sizes.min()),
            "median": float(np.median(table.sizes)),
            "most": int(table.sizes.max()),
        },
        "columns": [
            {
                "role": role,
                "column": column,
                "meaning": dataset.meaning(column),
                "unit": dataset.info.get(column, ColumnInfo()).unit,
            }
            for role, column in columns_of(fit)
        ],
        "unit": outcome_unit(fit),
        "quantity_unit": quantity_unit(fit),
        "observed": observed_quantity(fit),
        "observed_unit": observed_unit(fit),
        "notes": [*dataset.table.notes, *table.notes, *missing_unit(table, fit.family)],
        "verdicts": [v.as_dict() for v in table.verdicts],
        "rows": _rows(fit) if table.one_row_per_group else [],
        "groups": [] if table.one_row_per_group else _groups(fit),
    }


def _rows(fit: Fit) -> list[dict[str, Any]]:
    """The first rows of the table, by column."""
    dataset = fit.table.dataset
    group = dataset.column(next(r.name for r in fit.family.roles if r.kind == "label"))
    columns = {c: dataset.table.column(c) for _, c in columns_of(fit) if c != group}
    given = {r.name for r in fit.family.roles if r.name in fit.table} & set(dataset.columns)
    numbers = {dataset.column(role): fit.table[role] for role in given}
    numbers |= {c: dataset.table.numbers(c) for c in numbers_of_formula(fit)}
    if dataset.reading.log_scale:  # the column is shown as it stands, its logs beside it
        ratio = dataset.column(ESTIMATE)
        numbers |= {ratio: dataset.table.numbers(ratio), dataset.unit(ESTIMATE): fit.table[ESTIMATE]}
    if STANDARD_ERROR in fit.table and STANDARD_ERROR not in given:
        numbers[STANDARD_ERROR.replace("_", " ")] = fit.table[STANDARD_ERROR]
    values: dict[str, Any] = {**columns, **numbers}
    shown = range(min(_ROWS_SHOWN, len(fit.table.group)))
    return [{group: fit.table.labels[fit.table.group[i]], **{c: v[i] for c, v in values.items()}} for i in shown]


def _groups(fit: Fit) -> list[dict[str, Any]]:
    """The first groups: how many rows, and the mean of the outcome (its rate, where there are trials or exposure)."""
    means, sizes = by_group(fit, fit.y[None])[0], fit.table.sizes
    sds = _within_sd(fit)
    shown = range(min(_ROWS_SHOWN, len(fit.table.labels)))
    return [{"group": fit.table.labels[j], "rows": sizes[j], "mean": means[j], "sd": sds[j]} for j in shown]


def _within_sd(fit: Fit) -> Any:
    """The sd of each group's rows, nan where it says nothing: one row, or counts and 0/1 values."""
    sizes = fit.table.sizes
    if fit.family.discrete or fit.family.size:
        return np.full(len(sizes), np.nan)
    centred = fit.y - by_group(fit, fit.y[None])[0][fit.table.group]
    with np.errstate(invalid="ignore", divide="ignore"):
        sd = np.sqrt(np.bincount(fit.table.group, weights=centred**2) / (sizes - 1))
    return np.where(sizes > 1, sd, np.nan)


def _ppc(found: Findings, main: Fit) -> dict[str, Any] | None:
    if found.ppc is None:
        return None
    return {
        "variant": found.ppc.variant,
        "statistics": found.ppc.statistics.to_dict("records"),
        "groups": found.ppc.groups.to_dict("records"),
        "note": found.ppc.note,
        "quantity": observed_quantity(main),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    """A family's own section, as plain values."""
    frames = {name: getattr(finding, name) for name in ("table", "curves", "points")}
    kept = {name: None if frame is None else frame.to_dict("records") for name, frame in frames.items()}
    words = {name: getattr(finding, name) for name in ("title", "caption", "x_label", "y_label")}
    return {**words, **kept, "sentences": list(finding.sentences), "digits": dict(finding.digits)}


def _model(analysis: Analysis, fit: Fit) -> dict[str, Any]:
    family = analysis.family
    fill = analysis.noun.fill
    variants = [asdict(family.variant(name)) for name in analysis.variants]
    keys = ("name", "title", "pooling", "math")
    return {
        "title": family.title,
        "citation": family.citation,
        "likelihood": list(family.likelihood),
        "formula": fit.table.dataset.reading.formula,
        "words": structure_in_words(fit.table.dataset, fit.table.design) if fit.table.design is not None else [],
        "quantity": family.group_meaning,
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
        observed = row["name"].startswith("y_new")
        row["sign"] = fit.family.signed and not far_from_zero(fit) if observed else zero_matters(fit, term)
    return {"quantities": rows, "note": prediction.note, "n_draws": fit.n_draws, "signed": fit.family.signed}


def _place(folder: Path) -> str:
    """The analysis folder as a reader would name it: from where the command was given, if it lies below."""
    try:
        return str(folder.resolve().relative_to(Path.cwd()))
    except ValueError:
        return folder.resolve().name


def _program(fit: Fit) -> dict[str, str]:
    program = fit.family.program(fit.variant)
    said = {"variant": fit.variant, "file": program.path.name, "sha256": program.sha256, "code": program.code}
    return said | {"source": program.path.read_text(encoding="utf-8")}
