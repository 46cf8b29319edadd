"""Which file an analysis is, and where its data are: looked at before anything that takes long to import."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

from hbm_stan.errors import DataError, ModelError
from hbm_stan.resources import find_data, share


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


def refuse_no_data(file: Path) -> None:
    """Raise DataError where an analysis names data that are not there; a file that says nothing of them passes.

    What else is wrong with the file is said where it is read.
    """
    try:
        named = tomllib.loads(file.read_text(encoding="utf-8-sig")).get("data")
    except (OSError, ValueError, RecursionError):
        return
    if not isinstance(named, str):
        return
    place = data_path(file, named)
    if not os.path.exists(place):
        try:
            find_data(place)
        except DataError as error:
            raise DataError(f"{file}: data: {error}") from error


def data_path(file: Path, data: str) -> Path:
    """A path seen from the file's folder, never from where the command is given; else a shipped dataset's name."""
    if not data.strip():
        raise DataError(f"{file}: data is empty. Name a CSV file or a dataset folder, as seen from this file.")
    if "://" in data:
        raise DataError(f"{file}: data is {data!r}. Download the file, and name it as seen from this file.")
    beside = file.parent / os.path.expanduser(data)
    if os.path.exists(beside):
        return beside
    if "\\" in data and os.path.exists(file.parent / data.replace("\\", "/")):
        return file.parent / data.replace("\\", "/")
    shipped = share("data") / data
    return shipped if len(Path(data).parts) == 1 and os.path.isdir(shipped) else beside
