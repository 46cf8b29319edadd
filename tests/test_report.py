"""The main job end to end: analysis.toml -> report.pdf and results.json."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from hbm_stan.engines import Engine
from hbm_stan.report.build import _up_to_date, report
from hbm_stan.results.document import Results
from hbm_stan.results.entry import read

ROOT = Path(__file__).parent.parent
PARAMETER = {
    "mean", "sd", "mcse_mean", "mcse_sd", "q05", "q50", "q95", "mcse_q05", "mcse_q50", "mcse_q95", "ess_bulk",
    "ess_tail", "rhat",
}  # fmt: skip


class Counting:
    """An engine that counts how often it samples."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.samples = engine, 0
        self.name, self.version, self.build = engine.name, engine.version, engine.build

    def sample(self, *args: Any, **kwargs: Any) -> Any:
        self.samples += 1
        return self.engine.sample(*args, **kwargs)


def edit(folder: Path, old: str, new: str, name: str = "analysis.toml") -> None:
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))


def pdf_text(path: Path) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(path).pages)


@pytest.mark.usefixtures("undrawn")
def test_results_obey_the_documented_schema(analysis: Path, engine: Engine) -> None:
    document = report(analysis, engine=engine)
    results = json.loads(document.json.read_text())
    assert results == json.loads(json.dumps(document.results))
    assert read(Results, results).for_json() == results
    assert results["schema"] == 2
    assert results["status"] in {"pass", "warn"}
    assert not results["withheld"]
    assert results["engine"] == {"name": engine.name, "version": engine.version}
    assert (results["data"]["n_rows"], results["data"]["n_groups"]) == (8, 8)
    assert set(results["fits"]) == {"complete_pooling", "no_pooling", "partial_pooling"}
    for fit in results["fits"].values():
        assert all(set(row) == PARAMETER for row in fit["parameters"].values())
        assert {v["name"] for v in fit["verdicts"]} >= {"R-hat", "bulk ESS", "tail ESS", "divergences", "E-BFMI"}
    assert "theta[A]" in results["fits"]["partial_pooling"]["parameters"]
    assert [s["variant"] for s in results["comparison"]["scores"]][-1] == "no_pooling"
    assert [row["group"] for row in results["shrinkage"]] == list("ABCDEFGH")
    assert results["new_group"]["quantities"][0]["name"] == "theta_new"


def test_the_report_says_what_a_reader_needs(reported: Path, stanli: Engine) -> None:
    document = report(reported, engine=stanli)
    first = " ".join(PdfReader(document.pdf).pages[0].extract_text().split())
    assert "Does coaching raise SAT scores" in first
    assert "90 % interval" in first
    whole = " ".join(pdf_text(document.pdf).split())
    for words in (
        "Rubin",
        "half_cauchy(5)",
        "predict alike",
        "stanli",
        "Stan programs",
        "hbm report",
        "20261121",
    ):
        assert words in whole, words
    assert "partial_pooling.stan" in whole


def test_a_damaged_results_file_is_written_anew_with_the_same_bytes_from_the_same_draws(
    reported: Path, stanli: Engine
) -> None:
    engine = Counting(stanli)
    document = report(reported, engine=engine)
    assert not document.fresh
    before = document.pdf.read_bytes(), document.json.read_bytes()
    document.json.write_text(document.json.read_text()[:500])
    again = report(reported, engine=engine)
    assert engine.samples == 0
    assert again.fresh
    assert (again.pdf.read_bytes(), again.json.read_bytes()) == before


@pytest.mark.parametrize(
    "what", ["whole", "pdf missing", "pdf altered", "html missing", "html altered", "results missing", "other inputs"]
)
def test_only_a_whole_report_of_the_same_inputs_is_up_to_date(tmp_path: Path, what: str) -> None:
    pages = {name: tmp_path / f"report.{name}" for name in ("pdf", "html")}
    results = tmp_path / "results.json"
    hashes = {}
    for name, path in pages.items():
        path.write_bytes(name.encode())
        hashes[f"{name}_sha256"] = hashlib.sha256(name.encode()).hexdigest()
    record = {"report": {"inputs": "a", **hashes}}
    results.write_text(json.dumps(record))
    which, _, change = what.partition(" ")
    target = pages.get(which, results)
    if change == "altered":
        target.write_bytes(b"%PDF ")
    elif change == "missing":
        target.unlink()
    reusable = _up_to_date(pages, results, "b" if what == "other inputs" else "a")
    assert reusable == (record if what == "whole" else None)
    if which == "html":  # which was not asked for
        assert _up_to_date({"pdf": pages["pdf"]}, results, "a") == record


# test_reuse.py has the other changes, without the pages.
@pytest.mark.usefixtures("undrawn")
def test_a_change_refits_what_it_touches_and_says_why(analysis: Path, stanli: Engine) -> None:
    report(analysis, engine=stanli)
    edit(analysis, "half_cauchy(5)", "half_normal(5)")
    engine, messages = Counting(stanli), []
    document = report(analysis, engine=engine, say=messages.append)
    assert document.fresh
    assert engine.samples == 1
    reason = "the prior of tau changed from half_cauchy(5) to half_normal(5)"
    assert any(reason in line for line in messages), messages


def test_a_failed_check_is_on_page_one_and_withholds_the_conclusion(analysis: Path, stanli: Engine) -> None:
    edit(analysis, '"partial_pooling"]', '"partial_pooling_centered"]')
    document = report(analysis, engine=stanli)
    assert document.results["status"] == "fail"
    assert document.results["withheld"]
    assert document.results["comparison"] is None
    first = " ".join(PdfReader(document.pdf).pages[0].extract_text().split())
    assert "No conclusion is drawn" in first
    assert "divergent" in first
    assert "partial_pooling_noncentered" in first
    assert "90 % interval" not in first
    assert "predicts better" not in pdf_text(document.pdf)


@pytest.mark.usefixtures("undrawn")
def test_a_waived_check_is_named_on_page_one(analysis: Path, stanli: Engine) -> None:
    edit(analysis, '"partial_pooling"]', '"partial_pooling_centered"]')
    text = (analysis / "analysis.toml").read_text()
    names = '["divergences", "bulk ESS", "tail ESS", "R-hat"]'
    (analysis / "analysis.toml").write_text(text + f"\n[checks]\nwaive = {names}\n")
    document = report(analysis, engine=stanli)
    assert not document.results["withheld"]
    first = " ".join(PdfReader(document.pdf).pages[0].extract_text().split())
    assert "waived" in first
    assert "90 % interval" in first


@pytest.mark.parametrize(
    "variants",
    [["complete_pooling"], ["no_pooling"], ["partial_pooling"], ["partial_pooling", "partial_pooling_noncentered"]],
)
def test_fewer_variants_make_a_report_too(analysis: Path, stanli: Engine, variants: list[str]) -> None:
    edit(analysis, '["complete_pooling", "no_pooling", "partial_pooling"]', json.dumps(variants))
    document = report(analysis, engine=stanli)
    # Two parameterisations of one model are no rivals: there is nothing to compare.
    assert document.results["comparison"] is None
    assert document.pdf.read_bytes().startswith(b"%PDF")


def test_the_wheel_carries_programs_and_data_and_runs_elsewhere(tmp_path: Path, cache: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(site)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import hbm_stan;"
        "assert hbm_stan.__file__.startswith(sys.argv[1]);"
        "d = hbm_stan.load('eight_schools', group='school', estimate='effect', standard_error='se');"
        "f = hbm_stan.fit('normal_means', d, engine='stanli'); print(hbm_stan.check(f).status);"
        "from hbm_stan.report.typeset import compile_pdf"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(site)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "pass"
    assert (site / "hbm_stan" / "report" / "template.typ").exists()
