"""The page on which model answers which question: its commands run, and its analyses are there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from test_cli import hbm

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "reports" / "which-model.md").read_text(encoding="utf-8")
LINES = [line for line in PAGE.splitlines() if line.startswith("| ") and "`hbm " in line]
COMMANDS = [re.findall(r"`hbm ([^`]+)`", line)[0].replace("\\|", "|") for line in LINES]


def test_every_question_has_a_command_and_a_page() -> None:
    assert len(LINES) >= 20
    for line in LINES:
        pages = re.findall(r"`([^`]+)`", line.rsplit(" | ", 1)[1])
        assert pages or "hbm decide" in line
        assert all((ROOT / "reports" / name / "analysis.toml").exists() for name in pages), line


@pytest.mark.parametrize("command", COMMANDS)
def test_its_command_runs(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    words = shlex.split(command)
    to = ["--to", str(tmp_path / "analysis")] if words[0] == "new" else ["--quiet"]
    done = hbm(*words, *to)
    assert done.exit_code == 0, done.output
    assert words[0] != "new" or (tmp_path / "analysis" / "analysis.toml").exists()
