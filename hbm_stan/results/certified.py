"""Whether the programs of an analysis are certified, in words: its certificate is found, read, and looked up."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hbm_stan.analysis.read import Analysis
from hbm_stan.certificate import (
    FILE,
    KINDS,
    REQUIRED,
    Certificate,
    ProgramProof,
    Truth,
    read_certificate,
    shipped_certificate,
)
from hbm_stan.errors import ModelError
from hbm_stan.results.digits import significant
from hbm_stan.results.entry import Entry
from hbm_stan.results.reproduction import ProgramText

_DAMAGED = (
    f"not certified: the file {FILE} %s cannot be read as a certificate. Run `hbm verify` again, which writes one."
)


@dataclass(frozen=True, kw_only=True)
class ProgramStanding(Entry):
    """Whether a program is certified, whether a proof of it failed, and what was proven, without its full stop."""

    variant: str
    sha256: str
    certified: bool
    failed: bool
    words: str


@dataclass(frozen=True, kw_only=True)
class Standing(Entry):
    """The section ``certificate``: its date, its engine, whose it is, and what it says of each program.

    None of these where there is no certificate; date and engine are None where it cannot be read.
    """

    date: str | None
    engine: str | None
    of: str | None
    programs: list[ProgramStanding]


def certificate_file(analysis: Analysis) -> tuple[Path, str] | None:
    """The certificate that an analysis goes by, and whose it is in words; None where there is none.

    That of its folder, else that of the family's folder, else, for a family that comes along, the shipped one.
    """
    places = [(analysis.folder / FILE, "of this analysis"), (analysis.family.programs.folder / FILE, "of its family")]
    if not analysis.family.source:
        places.append((shipped_certificate(), "that comes along"))
    return next(((path, whose) for path, whose in places if os.path.lexists(path)), None)


def certificate_bytes(analysis: Analysis) -> bytes:
    """The content of that file, for a hash: empty where there is none or where it cannot be read."""
    location = certificate_file(analysis)
    try:
        return location[0].read_bytes() if location else b""
    except OSError:
        # The report then says that it cannot be read: the same words until it can be.
        return b"unreadable"


def certified(analysis: Analysis, programs: Sequence[ProgramText]) -> Standing:
    """What the certificate says of these programs, by the variant and the hash of each."""
    location = certificate_file(analysis)
    held, problem = None, "not certified: there is no certificate"
    if location:
        try:
            held = read_certificate(location[0])
        except ModelError:
            # Its message names the place on this machine; a report does not.
            problem = _DAMAGED % location[1]
    rows = []
    for program in programs:
        variant, sha256 = program.variant, program.sha256
        proof = proof_of(held, analysis.family.name, variant, sha256) if held else None
        words = certified_words(held, analysis.family.name, variant, sha256) if held else problem
        failed = proof is not None and any(truth.status == "fail" for truth in proof.truths)
        certain = proof is not None and proof.certified
        rows.append(ProgramStanding(variant=variant, sha256=sha256, certified=certain, failed=failed, words=words))
    origin = (held.date, held.engine) if held else (None, None)
    return Standing(date=origin[0], engine=origin[1], of=location[1] if location else None, programs=rows)


def failed_proofs(standing: Standing) -> list[str]:
    """A sentence for page one on each program that failed a proof: its numbers are those of another model."""
    return [
        f"The program of {row.variant} failed a proof, and what is said here may be of another model than is meant: "
        f"{row.words}."
        for row in standing.programs
        if row.failed
    ]


def proof_of(certificate: Certificate, family: str, variant: str, sha256: str) -> ProgramProof | None:
    """The proof of a variant's program: of the same text under the same variant, its own family's first.

    One program may serve several variants, with other switches in its data: the proof of one is none of another.
    """
    same = [p for p in certificate.programs if (p.variant, p.sha256) == (variant, sha256)]
    return max(same, key=lambda p: (p.family == family, p.certified), default=None)


def certified_words(certificate: Certificate, family: str, variant: str, sha256: str) -> str:
    """One sentence, without its full stop."""
    proof = proof_of(certificate, family, variant, sha256)
    when = f"on {certificate.date} with {certificate.engine}"
    if proof is None:
        others = [p for p in certificate.programs if p.sha256 == sha256]
        why = f"only as {others[0].variant}, with other settings" if others else "its hash differs"
        if not others and not any((p.family, p.variant) == (family, variant) for p in certificate.programs):
            why = "none of this family and variant is"
        return f"not certified: this program is not in the certificate of {certificate.date} ({why})"
    if proof.certified:
        return f"certified: {', '.join(_passed(proof))} {when}{_missing(proof)}"
    return f"not certified: {'; '.join(_faults(proof))} {when}"


def _passed(proof: ProgramProof) -> list[str]:
    """The kinds that passed; the log density with its figure."""
    truths = [proof.truth(kind) for kind in KINDS]
    return [
        f"log density (spread {significant(t.value, 1)})" if t.kind == "log density" and t.value is not None else t.kind
        for t in truths
        if t.status == "pass"
    ]


def _missing(proof: ProgramProof) -> str:
    missing = [kind for kind in KINDS if proof.truth(kind).status == "not run"]
    return f"; not run: {', '.join(missing)}" if missing else ""


def _faults(proof: ProgramProof) -> list[str]:
    """What failed, and what a certificate needs but was not run or does not apply."""
    failed = [t for t in proof.truths if t.status == "fail"]
    lacking = [t for t in map(proof.truth, REQUIRED) if t.status in {"not run", "not applicable"}]
    return [f"{t.kind} failed{_figures(t)}" for t in failed] + [
        f"{t.kind} was not run" if t.status == "not run" else f"{t.kind} does not apply" for t in lacking
    ]


def _figures(truth: Truth) -> str:
    if truth.value is None or truth.threshold is None:
        return ""
    return f" ({significant(truth.value)}, allowed {significant(truth.threshold)})"
