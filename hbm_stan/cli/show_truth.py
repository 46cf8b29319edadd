"""References, regressions and proofs as tables on standard output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from hbm_stan.certificate import KINDS
from hbm_stan.cli.screen import OUT
from hbm_stan.cli.show import plain_table, status_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from hbm_stan.certificate import Certificate, ProgramProof
    from hbm_stan.cli.run import Run
    from hbm_stan.reference import Reference, Regression


def show_reference(run: Run, held: Reference, notes: Sequence[str] = ()) -> None:
    """What a reference file holds, and what was said when it was made."""
    run.show(Text(f"{held.title}\n{held.path}: {held.kind}, {held.source}. {held.method}."))
    right = ("parameters", "R-hat", "correlation", "divergences", "smallest ESS")
    table = plain_table("variant", *right, right=right)
    for posterior in held.posteriors:
        about = posterior.about
        figures = (
            _figure(about, "largest_rhat", ".4f"), _figure(about, "largest_autocorrelation", ".3f"),
            _figure(about, "divergences", "d"), _figure(about, "smallest_ess", ",.0f"),
        )  # fmt: skip
        table.add_row(", ".join(posterior.variants), str(len(posterior.table)), *figures)
    run.show(table, *(Text(note) for note in notes))


def _figure(about: Mapping[str, Any], name: str, digits: str) -> str:
    """A figure of a run, or nothing where it is not known."""
    value = about.get(name)
    return "" if value is None else format(value, digits)


def show_regression(run: Run, regression: Regression, without: Sequence[str]) -> None:
    """How each variant agrees with the reference, what moved, and which variants have no reference."""
    numbers = ("comparisons", "largest z", "allowed")
    table = plain_table("variant", *numbers, "status", right=numbers)
    for name, agreement in regression.agreements.items():
        status = status_text("pass" if agreement.agrees else "fail")
        figures = (f"{len(agreement.table):,}", f"{agreement.largest:.2f}", f"{agreement.threshold:.2f}")
        table.add_row(name, *figures, status)
    run.show(table, *(Text(note) for note in (*regression.notes, *regression.unchecked)))
    for name, agreement in regression.agreements.items():
        if not agreement.agrees:
            run.show(Text(f"{name}: {agreement.words}"))
    held = regression.reference
    if not regression.moved:
        run.show(Text(f"No posterior moved against {held.path} (z in Monte Carlo standard errors)."))
    if without:
        run.show(Text(f"Not compared, for the reference has none of them: {', '.join(without)}."))


_WIDTH_OF_TABLE = 150  # columns of a terminal: names are long, and there are nine kinds
_MARKS = {"pass": "pass", "fail": "FAIL", "not applicable": "–", "not run": "not run"}
_STYLES = {"pass": "green", "fail": "bold red", "not applicable": "dim", "not run": "dim"}


def show_certificate(run: Run, certificate: Certificate, files: Sequence[Path]) -> None:
    """Family, variant and each kind of truth; what failed in words; where the certificate is."""
    kinds = [k for k in KINDS if any(p.truth(k).status != "not run" for p in certificate.programs)]
    if OUT.width < _WIDTH_OF_TABLE:
        run.show(*(_in_lines(program, kinds) for program in certificate.programs))
    else:
        table = plain_table("family", "variant", *kinds)
        for program in certificate.programs:
            cells = [Text(_MARKS[t.status], style=_STYLES[t.status]) for t in map(program.truth, kinds)]
            table.add_row(program.family, program.variant, *cells)
        run.show(table)
    for program in certificate.failed:
        for truth in program.truths:
            if truth.status == "fail":
                value = "" if truth.value is None or truth.threshold is None else (
                    f" {truth.value:.3g} (allowed: {truth.threshold:.3g})"
                )  # fmt: skip
                run.show(
                    Text(f"{program.family}, {program.variant} ({program.file}): {truth.kind}{value}: {truth.detail}")
                )
    certified = sum(p.certified for p in certificate.programs)
    compared = f"{certificate.comparisons:,} numbers compared with known posteriors"
    run.show(Text(f"{certified} of {len(certificate.programs)} programs certified, {compared}."))
    run.show(*(Text(note) for note in certificate.notes), *(Text(str(f)) for f in files))


def _in_lines(program: ProgramProof, kinds: Sequence[str]) -> Text:
    """A program on lines of its own, where a table would be cut."""
    lines = Text(f"{program.family}, {program.variant}:\n ")
    for status, mark in _MARKS.items():
        named = [k for k in kinds if program.truth(k).status == status]
        if named:
            lines += Text(f" {'n/a' if mark == '–' else mark}: {', '.join(named)}.", style=_STYLES[status])
    return lines
