"""The command `hbm sensitivity`, and what the report takes from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pypdf import PdfReader
from typer.testing import CliRunner, Result

from hbm_stan.cli.app import app


def hbm(*words: object) -> Result:
    return CliRunner().invoke(app, [*map(str, words), "--engine", "stanli"], catch_exceptions=False)


def pages(analysis: Path) -> str:
    return "".join("".join(p.extract_text().split()) for p in PdfReader(analysis / "report.pdf").pages)


def edit(analysis: Path, old: str, new: str) -> None:
    path = analysis / "analysis.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.usefixtures("undrawn")
def test_the_report_shows_other_priors_once_they_were_tried(analysis: Path, tmp_path: Path) -> None:
    assert hbm("report", analysis).exit_code == 0
    assert "Otherpriorswerenottried" in pages(analysis)
    done = hbm("sensitivity", analysis, "--json", tmp_path / "found.json")
    assert done.exit_code == 0, done.output
    for phrase in ("mu = normal(0, 2.5)", "tau = uniform(0, 100)", "not told apart from complete pooling",
                 "prior and data both count", "No conclusion changes under any of 7 other priors.",
                 "No school alone moves the population"):  # fmt: skip
        assert phrase in done.output, phrase
    record = json.loads((tmp_path / "found.json").read_text())
    assert len(record["alternatives"]["rows"]) == 7
    # Something changed: the report is made again.
    assert hbm("report", analysis).exit_code == 0
    text = pages(analysis)
    assert "Otherpriorswerenottried" not in text
    assert "Noconclusionchangesunderanyof7otherpriors." in text
    results = json.loads((analysis / "results.json").read_text())
    assert results["sensitivity"] == record


def test_quick_needs_no_refit_and_quiet_says_nothing(analysis: Path) -> None:
    done = hbm("sensitivity", analysis, "--quick")
    assert done.exit_code == 0
    assert "power-scaling sensitivity" in done.output
    assert "Other priors" not in done.output
    assert not (analysis / "fits" / "sensitivity").exists()
    assert hbm("sensitivity", analysis, "--quick", "--quiet").output == ""


@pytest.mark.parametrize("quick", [True, False])
def test_a_fit_that_failed_its_checks_gives_exit_code_one(analysis: Path, tmp_path: Path, quick: bool) -> None:
    edit(analysis, '"partial_pooling"]', '"partial_pooling_centered"]')
    edit(analysis, "adapt_delta = 0.9", "adapt_delta = 0.6")
    done = hbm("sensitivity", analysis, "--json", tmp_path / "found.json", *(["--quick"] if quick else []))
    assert done.exit_code == 1
    assert "Nothing is concluded: partial_pooling_centered did not pass its checks" in done.output
    record = json.loads((tmp_path / "found.json").read_text())
    assert record["withheld"]
    assert (record["power"], record["alternatives"], record["influence"]) == (None, None, None)


def test_without_partial_pooling_there_is_nothing_to_ask(analysis: Path) -> None:
    edit(analysis, ', "partial_pooling"]', "]")
    done = hbm("sensitivity", analysis)
    assert done.exit_code == 2
    assert "Add partial_pooling to variants" in done.output
