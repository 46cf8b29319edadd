"""Which file an analysis is: looked at before anything that takes long to import."""

from __future__ import annotations

import os
from pathlib import Path

from hbm_stan.errors import ModelError


def analysis_file(path: str | Path) -> Path:
    """The analysis.toml that a path names. Results stand beside it, so that a folder holds one analysis."""
    given = Path(path)
    file = given / "analysis.toml" if os.path.isdir(given) else given
    if os.path.exists(file) and not os.path.isfile(file):
        raise ModelError(f"{file} is no file (a pipe, a device or a folder): an analysis must be a file.")
    if not os.path.isfile(file):
        raise ModelError(
            f"{path}: there is no analysis here. Name a folder with an analysis.toml, or make one with `hbm new`."
        )
    if file.suffix.lower() in {".csv", ".tsv", ".txt"}:
        raise ModelError(f"{path} is a table, not an analysis. Make an analysis of it with `hbm new {path}`.")
    if file.name != "analysis.toml":
        raise ModelError(
            f"{path}: an analysis is a file analysis.toml in a folder of its own: the report is written beside it. "
            "Move this file into a new folder under that name."
        )
    return file
