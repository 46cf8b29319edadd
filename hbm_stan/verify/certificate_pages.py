"""A certificate as files: certificate.json, and a PDF of what was proven, what was not, and every program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hbm_stan import __version__
from hbm_stan.certificate import FILE, KINDS, Certificate, ProgramProof, Truth
from hbm_stan.files import write_beside, write_json
from hbm_stan.plots.style import PALETTE
from hbm_stan.report.blocks import (
    Block,
    Spans,
    column,
    dense,
    heading,
    mono,
    new_page,
    prose,
    status,
    table,
)
from hbm_stan.report.pages import document_date
from hbm_stan.report.typeset import compile_pdf
from hbm_stan.results.digits import counted
from hbm_stan.verdicts import for_json
from hbm_stan.verify.certificate_front import (
    NOT_APPLICABLE,
    by_family,
    figure_text,
    front,
    kind_column,
    limits_of,
    not_run,
)  # fmt: skip

PAGES = "certificate.pdf"
HASH = 12  # hex digits shown; 48 bits tell any number of programs apart


def write_certificate(certificate: Certificate, folder: Path) -> tuple[Path, Path]:
    """Write certificate.json and certificate.pdf into a folder, and give their paths; raises StorageError, HbmError."""
    json_file, pages = folder / FILE, folder / PAGES
    write_json(json_file, for_json(certificate.as_dict()), indent=1)
    write_certificate_pdf(certificate, pages)
    return json_file, pages


def write_certificate_pdf(certificate: Certificate, path: Path, *, timestamp: int | None = None) -> None:
    """Write the pages of a certificate, whole or not at all: the same bytes for the same certificate.

    The date of the proof is the certificate's; the file's own is ``timestamp``, else SOURCE_DATE_EPOCH, else there is
    none. Raises HbmError where the pages cannot be set, StorageError where the file cannot be written.
    """
    view = certificate_view(certificate) | {"date": document_date(timestamp)}
    write_beside(path, compile_pdf(view, {}))


def certificate_view(certificate: Certificate) -> dict[str, Any]:
    """What the template lays out: every figure as the text that is printed."""
    title = f"Certificate of {counted(len(certificate.programs), 'Stan program')}"
    return {
        "title": title,
        "short_title": f"{title}, {certificate.date}",
        "author": f"hbm_stan {__version__}",
        "withheld": not all(p.certified for p in certificate.programs),
        "compact": True,
        "colours": PALETTE,
        "front": front(certificate),
        "body": [new_page(), *_programs(certificate)],
        "appendix": [],
        "figures": [],
    }


def _programs(certificate: Certificate) -> list[Block]:
    limits = limits_of(certificate)
    rows: list[list[Any]] = []
    for family, proofs in by_family(certificate).items():
        rows += [[[{"strong": family}]], *(_program_row(p, limits) for p in proofs)]
    heads = [column("Variant"), column("SHA-256"), *map(kind_column, KINDS), column("Certified")]
    common = "; ".join(f"{kind} {thresholds[0]}" for kind, thresholds in limits.items() if len(thresholds) == 1)
    caption = (
        f"Every program with the figure of each truth.{f' Allowed at most: {common}.' if common else ''} "
        f"{NOT_APPLICABLE}: this truth does not apply, or none of its kind is known."
    )
    about = prose(
        f"The first {HASH} digits of the SHA-256 of each program, with its includes inlined, are shown. The full "
        "hashes, and what each program was held against, are in ", mono(FILE), ". A program with another hash is not "
        "certified by this certificate.",
    )  # fmt: skip
    return [heading("Programs", 2), about, dense(table([caption], heads, rows))]


def _program_row(proof: ProgramProof, limits: Mapping[str, Sequence[str]]) -> list[Any]:
    certified = status("pass", text="yes") if proof.certified else status("fail", text="no")
    cells = [_program_cell(proof.truth(kind), len(limits[kind]) > 1) for kind in KINDS]
    return [proof.variant, proof.sha256[:HASH], *cells, [certified]]


def _program_cell(truth: Truth, own_limit: bool) -> Spans:
    """The figure, with its threshold where programs have different ones; or the word for there being none."""
    if truth.status == "not applicable":
        return [NOT_APPLICABLE]
    if truth.status == "not run":
        return [not_run()]
    figure = figure_text(truth.value)
    if figure and own_limit and truth.threshold is not None:
        figure += f" ≤\N{NO-BREAK SPACE}{figure_text(truth.threshold)}"
    if truth.status == "fail":
        return [status("fail", text=f"FAIL {figure}".strip())]
    return [figure or "pass"]
