"""The family and the data of an analysis: a table by its path, columns by role, or a formula that gives both."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hbm_stan.data import Dataset, load
from hbm_stan.errors import DataError
from hbm_stan.families import family as find_family
from hbm_stan.formula import choose_likelihood, with_formula
from hbm_stan.model import Family
from hbm_stan.prepare import LIST_KINDS, check_mapping
from hbm_stan.reading import KEYS, make_reading
from hbm_stan.report.keys import list_of_texts, texts, within
from hbm_stan.report.told import with_unit
from hbm_stan.resources import share


def family_and_dataset(file: Path, said: Mapping[str, Any]) -> tuple[Family, Dataset]:
    """The family of an analysis, and its dataset with columns mapped to roles."""
    if "formula" in said:
        dataset = _read(file, said)
        with within(f"{file}"):
            dataset = with_formula(dataset, said.get("group", ""))
            family = find_family(choose_likelihood(dataset, said.get("likelihood", ""))[0])
    else:
        with within(f"{file}"):
            family = find_family(said["family"], file.parent)
        dataset = _read(file, said)
    columns = _columns(file, said.get("columns", {}), family)
    with within(f"{file}: [columns]"):
        mapped = dataset.with_columns({**dataset.columns, **columns})
        mapped = check_mapping(with_formula(mapped) if family.terms else mapped, family.roles)
    return family, with_unit(mapped, family, said.get("unit", ""))


def _read(file: Path, said: Mapping[str, Any]) -> Dataset:
    """The table that an analysis names, and how it is to be read."""
    place = _data_path(file, said["data"])
    if not os.path.isfile(place):
        with within(f"{file}: data"):
            dataset = load(place)
    else:
        dataset = load(place)
    with within(f"{file}"):
        return replace(dataset, reading=make_reading(**{key: said[key] for key in KEYS if key in said}))


def _columns(file: Path, section: Mapping[str, Any], family: Family) -> dict[str, str | tuple[str, ...]]:
    """Role -> column; a role that takes several has a list of them, or a text with commas."""
    lists = {r.name for r in family.roles if r.kind in LIST_KINDS}
    words = {k: v for k, v in section.items() if not (k in lists and isinstance(v, list))}
    columns: dict[str, str | tuple[str, ...]] = {**texts(file, "columns", words, [r.name for r in family.roles])}
    for role in section.keys() - words.keys():
        columns[role] = tuple(list_of_texts(file, f"[columns] {role}", section[role]))
    return columns


def _data_path(file: Path, data: str) -> Path:
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
