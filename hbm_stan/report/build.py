"""analysis.toml -> fits, findings, figures -> report.pdf and results.json; nothing is made twice without a reason."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hbm_stan.analysis.read import Analysis, read_analysis
from hbm_stan.attempts import fit_variants
from hbm_stan.engines import Engine, Progress, choose
from hbm_stan.errors import ModelError, StorageError, nearest
from hbm_stan.files import write_json
from hbm_stan.fit import Fit, jobs_of, prepare_table
from hbm_stan.forms import passing_form
from hbm_stan.memory import refuse_too_large
from hbm_stan.parameterise import Choice, choose_parameterisation, named_parameterisation, settle
from hbm_stan.resources import own_code, try_to_write

FORMATS = ("pdf", "html")
_VariantProgress = Callable[[str], Progress | None]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a report run left: the files, the results, and whether anything had to be made."""

    pdf: Path
    json: Path
    results: dict[str, Any]
    fresh: bool
    html: Path | None = None


def fit_analysis(
    analysis: Analysis,
    variants: tuple[str, ...] | None = None,
    *,
    engine: Engine | str = "auto",
    say: Callable[[str], None] | None = None,
    progress: _VariantProgress | None = None,
) -> dict[str, Fit]:
    """The fits of an analysis, by its own engine where ``auto`` is asked for; draws are kept in ``fits/``."""
    return fit_variants(
        analysis.family, analysis.dataset, variants or analysis.variants, priors=analysis.priors,
        sampling=analysis.sampling, engine=analysis.engine_for(engine), store=analysis.store, say=say,
        progress=progress, minutes=analysis.minutes, waive=analysis.waived,
    )  # fmt: skip


def settled(
    analysis: Analysis,
    parameterisation: str | None = None,
    say: Callable[[str], None] | None = None,
    *,
    engine: Engine | str | None = None,
    progress: _VariantProgress | None = None,
) -> Analysis:
    """The analysis with ``partial_pooling`` in the form that the parameterisation names, or that the data call for.

    With an ``engine``, a form that pilots chose is fitted too, and kept: one that fails gives way to another form.
    """
    name = parameterisation or analysis.parameterisation
    named = named_parameterisation(analysis.family, name)
    if "partial_pooling" not in (*analysis.variants, *analysis.compared):
        return analysis
    if named is not None:
        choice = Choice(named, f"Asked for by name: {name}.")
    else:
        table = prepare_table(analysis.family, analysis.dataset)
        refuse_too_large(analysis.family, table, analysis.variants, analysis.sampling)  # before a pilot
        choice = choose_parameterisation(
            analysis.family, analysis.dataset, priors=analysis.priors, seed=analysis.sampling.seed,
            store=analysis.store, say=say, table=table, direct=_is_direct(analysis, engine or "auto"),
        )  # fmt: skip

        def fit_with(name: str) -> Fit:
            return fit_analysis(analysis, (name,), engine=engine or "auto", say=say, progress=progress)[name]

        if engine is not None:
            choice = passing_form(analysis.family, choice, fit_with, analysis.waived, say or (lambda _text: None))
    return replace(
        analysis, variants=settle(analysis.variants, choice.variant),
        compared=settle(analysis.compared, choice.variant), choice=choice,
    )  # fmt: skip


def _is_direct(analysis: Analysis, engine: Engine | str) -> bool:
    """Whether direct draws are asked for, by the call or by the analysis."""
    return (analysis.engine_for(engine) if isinstance(engine, str) else engine.name) == "direct"


def report(
    analysis: Analysis | str | Path,
    *,
    engine: Engine | str = "auto",
    seed: int | None = None,
    force: bool = False,
    sensitivity: bool = False,
    parameterisation: str | None = None,
    formats: Sequence[str] = ("pdf",),
    say: Callable[[str], None] | None = None,
    progress: _VariantProgress | None = None,
) -> Report:
    """Write report.pdf and results.json of an analysis into its folder, with ``("pdf", "html")`` report.html too.

    Where they are there already and were made from the same data, priors, settings, engine and program code, nothing
    is done; an HTML file that is there is kept in step. ``sensitivity`` fits the analysis under other priors first.
    Raises HbmError.
    """
    read = (analysis if isinstance(analysis, Analysis) else read_analysis(analysis)).with_seed(seed)
    chosen = choose(read.engine_for(engine)) if isinstance(engine, str) else engine
    tell = say or (lambda _text: None)
    if read.family.source:
        from hbm_stan.report.typeset import check_mathematics

        check_mathematics(read.family)
    read = settled(read, parameterisation, tell, engine=chosen, progress=progress)
    if sensitivity:
        from hbm_stan.sensitivity.run import sensitivity as try_other_priors

        try_other_priors(read, engine=chosen, say=tell, progress=progress)
    pdf, results_file = read.folder / "report.pdf", read.folder / "results.json"
    html = pdf.with_suffix(".html")
    pages = {"pdf": pdf} | ({"html": html} if "html" in refuse_unknown(formats) or html.exists() else {})
    inputs = _inputs(read, chosen)
    before = None if force else _up_to_date(pages, results_file, inputs)
    if before is not None:
        tell("Nothing changed since the report was written.")
        return Report(pdf=pdf, json=results_file, results=before, fresh=False, html=pages.get("html"))
    try:
        try_to_write(read.folder)
    except OSError as error:
        raise StorageError(f"{read.folder}: no report can be written there ({error.strerror or error}).") from error
    fits = fit_analysis(read, engine=chosen, say=tell, progress=progress)
    results = _make(read, fits, inputs, tell, pages, results_file)
    return Report(pdf=pdf, json=results_file, results=results, fresh=True, html=pages.get("html"))


def refuse_unknown(formats: Sequence[str]) -> Sequence[str]:
    """The formats as they are; raises ModelError for one that there is not."""
    for name in formats:
        if name not in FORMATS:
            raise ModelError(f"There is no format {name!r} of a report. {nearest(name, FORMATS)}")
    return formats


def _make(
    analysis: Analysis, fits: Mapping[str, Fit], inputs: str, tell: Callable[[str], None],
    pages: Mapping[str, Path], results_file: Path,
) -> dict[str, Any]:  # fmt: skip
    from hbm_stan.report.figures import draw_figures
    from hbm_stan.report.pages import write_html, write_pdf
    from hbm_stan.results.collect import find
    from hbm_stan.results.document import Files, results
    from hbm_stan.results.excerpts import whole_tables
    from hbm_stan.results.tables import write_tables

    tell("Checking, comparing, predicting")
    findings = find(analysis, fits, tell)
    document = results(analysis, findings).for_json()
    tell("Drawing the figures")
    figures = draw_figures(findings, document)
    tell("Setting the pages")
    tables = write_tables(document, analysis.folder, whole_tables(findings), tell)
    # results.json is written last and names the hashes of the pages: together they are whole, or made again.
    write = {"pdf": write_pdf, "html": write_html}
    hashes = {f"{name}_sha256": write[name](document, figures, path) for name, path in pages.items()}
    document["report"] = Files(inputs=inputs, **hashes, tables=tables).as_dict()
    write_json(results_file, document, indent=1)
    return document


def _inputs(analysis: Analysis, engine: Engine) -> str:
    """A hash of everything that the report depends on: the fits' keys, the words around them, and our own code."""
    from hbm_stan.results.certified import certificate_bytes  # of reports only: a check is not to wait for them
    from hbm_stan.sensitivity.asked import note_bytes

    jobs = jobs_of(analysis.family, analysis.dataset, analysis.variants, analysis.priors, analysis.sampling, engine)
    inputs = [
        *(job.key for job in jobs), *(p.text for p in jobs[0].priors.values()), analysis.dataset.sha256,
        analysis.name, analysis.title, analysis.question, str(analysis.noun), str(analysis.compared),
        str((analysis.max_refits, analysis.minutes)), str(analysis.caterpillars), analysis.appendix,
        str(sorted(analysis.prediction.items())), str(analysis.choice), str(analysis.waived),
        str(analysis.dataset.reading.missing),
        str(sorted(analysis.reasons.items())),
        str(sorted(analysis.dataset.columns.items())), str(sorted(analysis.dataset.info.items())),
        analysis.family.source, own_code(),
        hashlib.sha256(certificate_bytes(analysis)).hexdigest(), hashlib.sha256(note_bytes(analysis)).hexdigest(),
    ]  # fmt: skip
    return hashlib.sha256("\0".join(inputs).encode()).hexdigest()


def _up_to_date(pages: Mapping[str, Path], results_file: Path, inputs: str) -> dict[str, Any] | None:
    """The results that are there, if they were made from these inputs and the pages are those made with them."""
    try:
        before: dict[str, Any] = json.loads(results_file.read_text(encoding="utf-8"))
        record = before["report"]
        same = record["inputs"] == inputs and all(
            record[f"{name}_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest() for name, path in pages.items()
        )
        same = same and all((results_file.parent / name).exists() for name in record.get("tables", []))
    except (OSError, ValueError, KeyError, TypeError):
        # Absent, damaged, or of another make: written anew.
        return None
    return before if same else None
