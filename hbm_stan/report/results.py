"""Every number of the report, in one dict: the schema is in reports/results-schema.md."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from hbm_stan.diagnose import Diagnosis
from hbm_stan.fit import Fit
from hbm_stan.predict import NewGroup, shrinkage_notes
from hbm_stan.report.analysis import Analysis
from hbm_stan.report.answer import answer, notices
from hbm_stan.report.found import Findings
from hbm_stan.verdicts import Verdict, worst

SCHEMA = 1
_ROWS_SHOWN = 60
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
    made = {
        "schema": SCHEMA,
        "analysis": analysis.name,
        "family": analysis.family.name,
        "title": analysis.title,
        "question": analysis.question,
        "status": worst([*flat, *main.table.verdicts]),
        "withheld": found.withheld,
        "answer": answer(analysis, found),
        "notices": notices(found),
        "main_variant": analysis.main_variant,
        "engine": {"name": main.engine, "version": main.engine_version},
        "settings": main.sampling.as_dict(),
        "data": _data(main),
        "model": _model(analysis),
        "priors": _priors(analysis, main),
        "fits": {name: _fit(fit, found.diagnoses[name], verdicts[name]) for name, fit in found.fits.items()},
        "comparison": found.comparison.as_dict() if found.comparison else None,
        "new_group": _new_group(found.new_group, main),
        "shrinkage": found.shrinkage.to_dict("records"),
        "shrinkage_notes": shrinkage_notes(found.shrinkage),
        "ppc": {
            "statistics": found.ppc.statistics.to_dict("records"),
            "groups": found.ppc.groups.to_dict("records"),
            "note": found.ppc.note,
        },
        "versions": versions(),
        "programs": [_program(fit) for fit in found.fits.values()],
        "command": (
            f"hbm report {shlex.quote(_place(analysis.folder))} --engine {main.engine} --seed {main.sampling.seed}"
        ),
    }
    plain: dict[str, Any] = _plain(made)
    return plain


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


def _plain(value: Any) -> Any:
    """Plain JSON values: NumPy's made Python's, and what is not finite made None."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _data(fit: Fit) -> dict[str, Any]:
    table, dataset = fit.table, fit.table.dataset
    rows = [
        {"group": label, "estimate": y, "standard_error": se}
        for label, y, se in zip(table.labels, fit.data["y"], fit.data["se"], strict=True)
    ]
    return {
        "name": dataset.name,
        "title": dataset.title,
        "source": dataset.source,
        "sha256": dataset.sha256,
        "n_rows": len(table.group),
        "n_groups": len(table.labels),
        "columns": [
            {
                "role": r.name,
                "column": dataset.columns[r.name],
                "meaning": dataset.meaning(r.name),
                "unit": dataset.unit(r.name),
            }
            for r in fit.family.roles
        ],
        "unit": dataset.unit(fit.family.outcome),
        "notes": list(dataset.table.notes),
        "verdicts": [v.as_dict() for v in table.verdicts],
        "rows": rows[:_ROWS_SHOWN],
    }


def _model(analysis: Analysis) -> dict[str, Any]:
    family = analysis.family
    variants = [asdict(family.variant(name)) for name in analysis.variants]
    keys = ("name", "title", "pooling", "parameterisation", "assumption", "math")
    return {
        "title": family.title,
        "citation": family.citation,
        "likelihood": list(family.likelihood),
        "variants": [{k: v[k] for k in keys} for v in variants],
    }


def _priors(analysis: Analysis, fit: Fit) -> list[dict[str, Any]]:
    rows = []
    for row in analysis.family.prior_rows:
        prior = fit.priors[row.name]
        used = [name for name in analysis.variants if row.name in analysis.family.variant(name).priors]
        if used:
            rows.append({
                "name": row.name, "distribution": prior.distribution, "arguments": list(prior.arguments),
                "text": prior.text, "meaning": row.meaning, "unit": fit.table.dataset.unit(row.role),
                "reason": analysis.reasons.get(row.name, prior.reason), "default": prior.default, "variants": used,
            })  # fmt: skip
    return rows


def _fit(fit: Fit, diagnosis: Diagnosis, verdicts: list[Verdict]) -> dict[str, Any]:
    return {
        "status": worst(verdicts),
        "seconds": fit.seconds,
        "key": fit.key,
        "program_sha256": fit.program_sha256,
        "divergences": int(fit.tree["sample_stats"]["diverging"].sum()),
        "verdicts": [v.as_dict() for v in verdicts],
        "parameters": {str(name): {k: row[k] for k in _PARAMETER} for name, row in diagnosis.summary.iterrows()},
    }


def _new_group(prediction: NewGroup, fit: Fit) -> dict[str, Any]:
    rows = [{"name": str(name), **row} for name, row in prediction.quantities.to_dict("index").items()]
    return {"quantities": rows, "note": prediction.note, "n_draws": fit.n_draws}


def _place(folder: Path) -> str:
    """The analysis folder as a reader would name it: from where the command was given, if it lies below."""
    try:
        return str(folder.resolve().relative_to(Path.cwd()))
    except ValueError:
        return folder.resolve().name


def _program(fit: Fit) -> dict[str, str]:
    program = fit.family.program(fit.variant)
    return {"variant": fit.variant, "file": program.path.name, "sha256": program.sha256, "code": program.code}
