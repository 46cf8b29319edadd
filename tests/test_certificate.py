"""The certificate's pages, and what a report says of its programs: certified, or why not."""

from __future__ import annotations

import io
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from example_certificate import example_certificate, with_truth
from pypdf import PdfReader
from records import filled

from hbm_stan.analysis.read import Analysis, read_analysis
from hbm_stan.certificate import FILE, KINDS, REQUIRED, Certificate, ProgramProof, Truth, read_certificate
from hbm_stan.engines import Engine
from hbm_stan.errors import HbmError, ModelError
from hbm_stan.families import families
from hbm_stan.report.build import report
from hbm_stan.report.typeset import TEMPLATE, compile_pdf
from hbm_stan.results import certified as certified_module
from hbm_stan.results.certified import ProgramStanding, Standing, certified, failed_proofs
from hbm_stan.results.reproduction import ProgramText
from hbm_stan.verify.certificate_front import MEANING
from hbm_stan.verify.certificate_pages import (
    HASH,
    certificate_view,
    write_certificate,
    write_certificate_pdf,
)

FAILED = Truth(kind="quadrature", status="fail", value=7.91, threshold=5.21, detail="tau: mean 7.91 errors away")


def pages_of(certificate: Certificate) -> list[str]:
    """The text of each page without white space: line breaks are the layout's."""
    pdf = compile_pdf(certificate_view(certificate) | {"date": None}, {})
    return [squeezed(page.extract_text()) for page in PdfReader(io.BytesIO(pdf)).pages]


def squeezed(text: str) -> str:
    return "".join(text.split())


# --- the pages ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pages() -> list[str]:
    return pages_of(example_certificate())


def front_and_rest(pages: list[str]) -> tuple[str, str]:
    """Page one, and the pages of the table of programs."""
    return pages[0], "".join(pages[1:])


def test_all_shipped_programs_take_few_pages_and_are_all_there(pages: list[str]) -> None:
    first, second = front_and_rest(pages)
    certificate = example_certificate()
    # A page has room for some 73 rows: one of each program, and one that begins each family.
    assert len(pages) <= 1 + math.ceil((len(certificate.programs) + len(families())) / 73)
    assert len(certificate.programs) == sum(len(f.programs.variants) for f in families().values())
    for proof in certificate.programs:
        assert proof.sha256[:HASH] in second
        assert squeezed(proof.variant) in second
    for name in families():
        assert name in first
        assert name in second
    assert "certificate.json" in second


def test_page_one_says_what_was_proven_when_and_with_what(pages: list[str]) -> None:
    certificate = example_certificate()
    n = len(certificate.programs)
    for text in [
        f"Certificate of {n} Stan programs", f"{n} of {n} programs are certified", certificate.date,
        "Engine: stanli 0.24.0", "python 3.13.9", "|z| = 5.21", "5 312 numbers", "one of 1 000 such certificates",
        "20261121", "Nothing failed.",
        f"not run calibration: {n - len(families())} of {n} programs (beta 4, beta_binomial 3",
        *KINDS, *MEANING.values(),
    ]:  # fmt: skip
        assert squeezed(text) in pages[0], text
    assert tuple(MEANING) == KINDS


def row_of(page: str, proof: ProgramProof) -> str:
    """What stands after a program's hash."""
    return page.partition(proof.variant + proof.sha256[:HASH])[2][:80]


def test_a_program_s_row_has_its_figures(pages: list[str]) -> None:
    proof = example_certificate(["planck"]).programs[2]
    figures = [p.truth("log density").value for p in (proof,)]
    row = row_of("".join(pages[1:]), proof)
    assert row.startswith(f"pass{figures[0]:.0e}".replace("e-", "e−"))
    assert f"{proof.truth('quadrature').value:.2f}" in row


def test_what_failed_stands_on_both_pages_in_words() -> None:
    certificate = with_truth(example_certificate(), "planck", "partial_pooling", FAILED)
    first, second = front_and_rest(pages_of(certificate))
    n = len(certificate.programs)
    assert squeezed(f"{n - 1} of {n} programs are certified") in first
    assert squeezed("FAIL planck, partial_pooling, quadrature: 7.91, allowed 5.21. tau: mean 7.91 errors") in first
    assert "1FAIL" in first
    assert "Nothingfailed" not in first
    row = row_of(
        second, next(p for p in certificate.programs if (p.family, p.variant) == ("planck", "partial_pooling"))
    )
    assert "FAIL7.91" in row
    assert "yes" not in row.partition("partial_pooling_centered")[0]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_a_failure_without_a_number_is_a_failure(value: float | None) -> None:
    certificate = with_truth(
        example_certificate(["planck"]),
        "planck",
        "no_pooling",
        Truth(kind="log density", status="fail", value=value, threshold=1e-9),
    )
    text = "".join(pages_of(certificate))
    assert "FAILplanck,no_pooling,logdensity:" in text
    assert not {"nan", "inf", "None"} & set(json.dumps(certificate_view(certificate)).replace('"', " ").split())


def test_many_failures_are_counted_and_the_table_has_them_all() -> None:
    certificate = example_certificate()
    for proof in certificate.programs:
        certificate = with_truth(certificate, proof.family, proof.variant, replace(FAILED, detail="word " * 200))
    pages = pages_of(certificate)
    assert squeezed(f"{len(certificate.programs) - 12} more failures: see the table of programs.") in "".join(pages)
    assert "".join(pages).count("FAIL7.91") == len(certificate.programs)


def test_what_a_family_lacks_is_said() -> None:
    certificate = example_certificate(["normal_means"])
    for proof in certificate.programs:
        lacking = Truth(kind="log density", status="not applicable", detail="the family has no log_joint()")
        certificate = with_truth(certificate, proof.family, proof.variant, lacking)
    first = pages_of(certificate)[0]
    assert squeezed("0 of 5 programs are certified") in first
    assert squeezed("n/a log density: all programs (the family has no log_joint())") in first


def test_no_comparisons_and_notes_and_a_single_program() -> None:
    certificate = example_certificate(["planck"], comparisons=0, threshold=0.0, notes=("Quick: $not$ #compared [x].",))
    certificate = replace(certificate, programs=certificate.programs[:1], versions={})
    pages = pages_of(certificate)
    assert len(pages) == 2
    for text in ("Certificate of 1 Stan program", "1 of 1 program is certified", "No posterior was compared",
                 "Quick: $not$ #compared [x].", "not noted"):  # fmt: skip
        assert squeezed(text) in pages[0], text


def test_more_programs_flow_to_more_pages() -> None:
    certificate = example_certificate()
    again = [
        replace(p, family=f"own_{k}_{p.family}_of_{'very_' * 8}long_name")
        for k in range(3)
        for p in certificate.programs
    ]
    certificate = replace(certificate, programs=(*certificate.programs, *again))
    pages = pages_of(certificate)
    assert len(pages) > 3
    assert sum(page.count(certificate.programs[0].sha256[:HASH]) for page in pages) == 4


def assert_readable(template: Path = TEMPLATE) -> None:
    """No type is smaller than 7 pt, and all text begins within the margins."""
    pdf = compile_pdf(certificate_view(example_certificate()) | {"date": None}, {}, template)
    seen = []

    def note(text: str, cm: Any, tm: Any, _font: Any, size: float) -> None:
        if text.strip():
            seen.append((abs(size * tm[3] * cm[3]), cm[0] * tm[4] + cm[4]))

    for page in PdfReader(io.BytesIO(pdf)).pages:
        page.extract_text(visitor_text=note)
    assert len(seen) > 100
    assert min(size for size, _ in seen) >= 6.99
    margin = 15 / 25.4 * 72
    assert margin - 1 <= min(x for _, x in seen)
    assert max(x for _, x in seen) <= 595.3 - margin


def test_no_type_is_smaller_than_seven_points_and_all_begins_within_the_margins() -> None:
    assert_readable()


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("size: 8pt, hyphenate", "size: 6.5pt, hyphenate"), ("(x: 15mm, y: 18mm)", "(x: 12mm, y: 18mm)")],
)
def test_small_type_and_narrow_margins_would_be_seen(right: str, wrong: str, tmp_path: Path) -> None:
    source = TEMPLATE.read_text(encoding="utf-8")
    assert source.count(right) == 1
    broken = tmp_path / "broken.typ"
    broken.write_text(source.replace(right, wrong), encoding="utf-8")
    with pytest.raises(AssertionError):
        assert_readable(broken)


def test_the_pages_pass_the_accessibility_standard(monkeypatch: pytest.MonkeyPatch) -> None:
    import typst

    compiled, standards = typst.compile, {"pdf_standards": ["ua-1"]}
    monkeypatch.setattr(typst, "compile", lambda *a, **k: compiled(*a, **k, **standards))
    pages_of(with_truth(example_certificate(), "planck", "partial_pooling", FAILED))


def test_same_certificate_same_bytes_and_the_date_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    certificate = example_certificate(["planck"])
    path, pdf = write_certificate(certificate, tmp_path)
    before = pdf.read_bytes()
    write_certificate_pdf(read_certificate(path), pdf)
    assert pdf.read_bytes() == before
    assert PdfReader(pdf).metadata.creation_date is None
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    write_certificate_pdf(certificate, pdf)
    assert PdfReader(pdf).metadata.creation_date.year == 1970
    write_certificate_pdf(certificate, pdf, timestamp=1_700_000_000)
    assert PdfReader(pdf).metadata.creation_date.year == 2023
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "tomorrow")
    with pytest.raises(HbmError, match="SOURCE_DATE_EPOCH"):
        write_certificate_pdf(certificate, pdf)


def test_the_json_says_the_same_as_the_certificate_and_writes_no_nan(tmp_path: Path) -> None:
    certificate = example_certificate(["planck"])
    path, pdf = write_certificate(certificate, tmp_path)
    assert (path.name, pdf.name) == (FILE, "certificate.pdf")
    assert read_certificate(path) == certificate
    failed = with_truth(
        certificate, "planck", "no_pooling", Truth(kind="pointwise", status="fail", value=float("nan"), threshold=1e-9)
    )
    write_certificate(failed, tmp_path)
    assert "NaN" not in path.read_text()
    assert len(read_certificate(path).failed) == 1


# --- what a report says of its programs ---------------------------------------------------------------------


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the shipped certificate is for this test: nothing is there yet."""
    path = tmp_path / "shipped" / FILE
    path.parent.mkdir()
    monkeypatch.setattr(certified_module, "shipped_certificate", lambda: path)
    return path


def proof_row(analysis: Analysis, variant: str = "partial_pooling") -> ProgramStanding:
    """The row of one variant's program."""
    program = filled(ProgramText, variant=variant, sha256=analysis.family.program(variant).sha256)
    (row,) = certified(analysis, [program]).programs
    assert (row.variant, row.sha256) == (variant, program.sha256)
    return row


def test_a_certified_program_is_said_to_be_so(analysis: Path, shipped: Path) -> None:
    write_certificate(example_certificate(), shipped.parent)
    read = read_analysis(analysis)
    row = proof_row(read)
    assert row.certified
    assert row.words.startswith("certified: structure, log density (spread ")
    assert row.words.endswith("engines, calibration on 2026-11-20 with stanli 0.24.0")
    assert proof_row(read, "no_pooling").words.endswith("; not run: calibration")
    assert certified(read, []).of == "that comes along"
    assert str(shipped.parent) not in json.dumps(certified(read, []).as_dict())


def test_one_byte_of_the_program_is_enough_to_lose_the_certificate(
    analysis: Path, shipped: Path, tmp_path: Path
) -> None:
    write_certificate(example_certificate(), shipped.parent)
    read = read_analysis(analysis)
    folder = tmp_path / "programs"
    shutil.copytree(read.family.programs.folder, folder)
    read = replace(read, family=read.family.with_fields(folder=folder))
    assert proof_row(read).certified
    program = folder / "partial_pooling.stan"
    program.write_text(program.read_text() + " ")
    row = proof_row(read)
    assert not row.certified
    assert row.words == "not certified: this program is not in the certificate of 2026-11-20 (its hash differs)"


def test_no_certificate(analysis: Path, shipped: Path) -> None:
    section = certified(read_analysis(analysis), [filled(ProgramText, variant="no_pooling", sha256="0" * 64)])
    assert (section.date, section.engine, section.of) == (None, None, None)
    assert [r.words for r in section.programs] == ["not certified: there is no certificate"]


def test_a_program_that_failed_is_not_certified_and_the_figure_is_given(analysis: Path, shipped: Path) -> None:
    certificate = with_truth(example_certificate(), "normal_means", "partial_pooling", FAILED)
    write_certificate(certificate, shipped.parent)
    row = proof_row(read_analysis(analysis))
    assert not row.certified
    assert row.words == "not certified: quadrature failed (7.91, allowed 5.21) on 2026-11-20 with stanli 0.24.0"
    programs = [row, proof_row(read_analysis(analysis), "no_pooling")]
    notice = failed_proofs(Standing(date=None, engine=None, of=None, programs=programs))
    assert len(notice) == 1
    assert notice[0].startswith("The program of partial_pooling failed a proof")
    assert "quadrature failed (7.91, allowed 5.21)" in notice[0]
    assert proof_row(read_analysis(analysis), "no_pooling").certified


@pytest.mark.parametrize("kind", REQUIRED)
def test_what_is_required_and_was_not_run_is_said(analysis: Path, shipped: Path, kind: str) -> None:
    certificate = with_truth(
        example_certificate(), "normal_means", "partial_pooling", Truth(kind=kind, status="not run")
    )
    write_certificate(certificate, shipped.parent)
    row = proof_row(read_analysis(analysis))
    assert not row.certified
    assert row.words.startswith(f"not certified: {kind} was not run on 2026-11-20")


def test_the_proof_of_one_variant_is_none_of_another_that_shares_its_program(analysis: Path, shipped: Path) -> None:
    certificate = example_certificate(["logistic_regression"])
    certificate = replace(
        certificate, programs=tuple(p for p in certificate.programs if p.variant != "partial_pooling_centered")
    )
    write_certificate(certificate, shipped.parent)
    read = replace(read_analysis(analysis), family=families()["logistic_regression"])
    assert proof_row(read, "partial_pooling_noncentered").certified
    row = proof_row(read, "partial_pooling_centered")
    assert not row.certified
    assert row.words.endswith("(only as partial_pooling, with other settings)")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"format": 7}', b'{"format": 1}', b"null"])
def test_a_damaged_certificate_is_a_plain_sentence(analysis: Path, shipped: Path, content: bytes) -> None:
    write_certificate(example_certificate(), shipped.parent)
    (analysis / FILE).write_bytes(content)
    row = proof_row(read_analysis(analysis))
    assert not row.certified
    assert row.words.startswith("not certified: the file certificate.json of this analysis cannot be read")
    assert str(analysis) not in row.words
    with pytest.raises(ModelError):
        read_certificate(analysis / FILE)


def test_a_folder_of_that_name_is_no_certificate(analysis: Path, shipped: Path) -> None:
    (analysis / FILE).mkdir()
    assert "cannot be read" in proof_row(read_analysis(analysis)).words


def test_the_analysis_s_own_certificate_comes_first_then_its_family_s(
    analysis: Path, shipped: Path, tmp_path: Path
) -> None:
    write_certificate(example_certificate(), shipped.parent)
    read = read_analysis(analysis)
    folder = tmp_path / "programs"
    shutil.copytree(read.family.programs.folder, folder)
    own = replace(read, family=read.family.with_fields(folder=folder, source="a hash"))
    assert proof_row(own).words == "not certified: there is no certificate"
    write_certificate(example_certificate(date="2026-01-02"), folder)
    assert certified(own, []).date == "2026-01-02"
    assert certified(own, []).of == "of its family"
    write_certificate(example_certificate(date="2026-01-03"), analysis)
    assert certified(own, []).date == certified(read, []).date == "2026-01-03"


@pytest.mark.usefixtures("undrawn")
def test_a_new_certificate_makes_a_new_report_whose_last_page_has_it(
    analysis: Path, shipped: Path, stanli: Engine
) -> None:
    text = (analysis / "analysis.toml").read_text()
    variants = '["complete_pooling", "no_pooling", "partial_pooling"]'
    assert variants in text
    (analysis / "analysis.toml").write_text(text.replace(variants, '["complete_pooling"]'))

    def last_page(path: Path) -> str:
        return squeezed(PdfReader(path).pages[-1].extract_text())

    document = report(analysis, engine=stanli)
    assert squeezed("Not certified: there is no certificate") in last_page(document.pdf)
    write_certificate(example_certificate(["normal_means"]), shipped.parent)
    document = report(analysis, engine=stanli)
    assert document.fresh
    assert not report(analysis, engine=stanli).fresh
    assert json.loads(document.json.read_text())["certificate"] == document.results["certificate"]
    (row,) = document.results["certificate"]["programs"]
    assert row["certified"]
    page = last_page(document.pdf)
    assert squeezed(row["words"][1:].replace("e-", "e−")) in page
    assert row["sha256"][:HASH] in page
