"""Results as tables on standard output, and as plain values for --json."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from math import floor
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table
from rich.text import Text

from hbm_stan.engines import NOT_DIRECT
from hbm_stan.verdicts import Verdict, check_title, figure_of

if TYPE_CHECKING:
    from hbm_stan.analysis.read import Analysis
    from hbm_stan.cli.run import Run
    from hbm_stan.diagnosis import Diagnosis
    from hbm_stan.fit import Fit
    from hbm_stan.nouns import Noun
    from hbm_stan.report.build import Report

_COLOURS = {"pass": "green", "warn": "yellow", "fail": "bold red"}


def plain_table(*columns: str, right: Iterable[str] = ()) -> Table:
    """A table without lines."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        # Names and numbers are never cut; on a narrow terminal the last column folds.
        last = column == columns[-1]
        table.add_column(
            Text(column), justify="right" if column in set(right) else "left", no_wrap=not last, overflow="fold"
        )
    return table


def status_text(status: str, waived: bool = False) -> Text:
    """A status in its colour."""
    return Text(status + (", waived" if waived else ""), style=_COLOURS[status])


def _number(value: float | None, name: str = "") -> str:
    if value is None or not np.isfinite(value):
        return "–"
    figure = figure_of(name)
    if figure == "probability":
        return f"{value:.1g}"
    # Two decimals of R-hat would hide 1.0149 beside a limit of 1.01.
    return f"{value:.3f}" if figure in {"rhat", "ratio"} else f"{floor(value):,}"


def show_report(run: Run, report: Report) -> None:
    """What page one says: the answer, how sure the comparison is, what the checks say; and where the files are."""
    results = report.results
    first = results["page_one"]
    sentences = results["answer"] if results["withheld"] else [*first["said"], " ".join(first["comparison"])]
    run.show(*(Text(sentence) for sentence in sentences if sentence))
    if results["withheld"] or results["status"] != "pass":
        run.show(*(Text(notice) for notice in results["notices"]))
    run.show(*(Text(fit["attempts"]) for fit in results["fits"].values() if fit.get("attempts")))
    run.show(Text("Checks: ") + status_text(results["status"]))
    engine = results["engine"]
    run.show(Text(f"Engine: {engine['name']} {engine['version']}"))
    run.show(Text("\n".join(str(path) for path in (report.pdf, report.html, report.json) if path is not None)))


def show_fits(run: Run, analysis: Analysis, fits: Mapping[str, Fit]) -> None:
    """Each fit: draws, seconds, and where they are kept."""
    table = plain_table(
        "variant", "engine", "draws", "seconds", "divergences", "kept in", right=("draws", "seconds", "divergences")
    )
    for name, fit in fits.items():
        row = _fit_row(analysis, fit)
        table.add_row(
            name, (
                f"{fit.engine} "
                f"{fit.engine_version}"
            ), f"{row['draws']:,}", f"{fit.seconds:.2f}" + (" (reused)" if fit.reused else ""),
            "–" if row["divergences"] is None else str(row["divergences"]), Text(row["file"]),
        )  # fmt: skip
    run.show(table)
    show_attempts(run, fits)


def show_attempts(run: Run, fits: Mapping[str, Fit]) -> None:
    """Which fits were sampled again with a smaller step, and why."""
    from hbm_stan.attempts import attempts_in_words

    run.show(*(Text(words) for words in map(attempts_in_words, fits.values()) if words))


def _fit_row(analysis: Analysis, fit: Fit) -> dict[str, Any]:
    return {
        "engine": {"name": fit.engine, "version": fit.engine_version},
        "draws": fit.n_draws,
        "seconds": fit.seconds,
        "reused": fit.reused,
        "reason": fit.reason,
        "adapt_delta": fit.sampling.adapt_delta,
        "earlier": [asdict(attempt) for attempt in fit.earlier],
        "divergences": fit.divergences,
        "direct": fit.about if fit.direct else None,
        "not_direct": fit.about.get(NOT_DIRECT, ""),
        "key": fit.key,
        "file": str(analysis.store.path(fit.variant, fit.key)),
    }


def fits_as_dict(analysis: Analysis, fits: Mapping[str, Fit]) -> dict[str, Any]:
    """The fits for --json."""
    return {name: _fit_row(analysis, fit) for name, fit in fits.items()}


def show_verdicts(run: Run, data: Iterable[Verdict], diagnoses: Mapping[str, Diagnosis], noun: Noun) -> None:
    """A table of verdicts for each variant, with what to do under it."""
    rows = [("data", v) for v in data]
    rows += [(name, v) for name, d in diagnoses.items() for v in d.verdicts]
    table = plain_table("variant", "check", "status", "value", "limit", "where", right=("value", "limit"))
    for name, v in rows:
        table.add_row(
            name,
            check_title(v.name, noun),
            status_text(v.status, v.waived),
            _number(v.value, v.name),
            _number(v.threshold, v.name),
            Text(v.subject),
        )
    run.show(table)
    for name, v in rows:
        if v.hint:
            run.show(Text(f"{name}, {check_title(v.name, noun)}: {v.hint}"))


def verdicts_as_dict(data: Iterable[Verdict], diagnoses: Mapping[str, Diagnosis]) -> dict[str, Any]:
    """The verdicts for --json."""
    fits = {name: {"status": d.status, "verdicts": [v.as_dict() for v in d.verdicts]} for name, d in diagnoses.items()}
    return {"data": [v.as_dict() for v in data], "fits": fits}
