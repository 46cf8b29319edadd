"""The family and the data of an analysis: a table by its path, columns by role, or a formula that gives both."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hbm_stan.analysis.keys import list_of_texts, texts, within
from hbm_stan.analysis.place import data_path
from hbm_stan.analysis.told import with_unit
from hbm_stan.data import Dataset, load
from hbm_stan.families import family as find_family
from hbm_stan.families.choose import likelihood_of
from hbm_stan.formula import with_formula
from hbm_stan.model import Family
from hbm_stan.neighbours import located
from hbm_stan.prepare import LIST_KINDS, check_mapping
from hbm_stan.reading import KEYS, LISTS, make_reading


def family_and_dataset(file: Path, entries: Mapping[str, Any]) -> tuple[Family, Dataset]:
    """The family of an analysis, and its dataset with columns mapped to roles."""
    if "formula" in entries:
        dataset = _read(file, entries)
        with within(f"{file}"):
            dataset = with_formula(dataset, entries.get("group", ""))
            family = find_family(likelihood_of(dataset, entries.get("likelihood", ""))[0])
    else:
        with within(f"{file}"):
            family = find_family(entries["family"], file.parent)
        dataset = _read(file, entries)
    columns = _columns(file, entries.get("columns", {}), family)
    with within(f"{file}: [columns]"):
        mapped = dataset.with_columns({**dataset.columns, **columns})
        mapped = check_mapping(with_formula(mapped) if family.terms else mapped, family.roles)
    return family, with_unit(mapped, family, entries.get("unit", ""))


def _read(file: Path, entries: Mapping[str, Any]) -> Dataset:
    """The table that an analysis names, and how it is to be read."""
    place = data_path(file, entries["data"])
    if not os.path.isfile(place):
        with within(f"{file}: data"):
            dataset = load(place)
    else:
        dataset = load(place)
    of_formula = {"likelihood"} if "formula" in entries else set()  # which chooses its family
    given = {key: entries[key] for key in KEYS if key in entries and key not in of_formula}
    for key in given.keys() & LISTS:
        beside = Path(place) if os.path.isdir(place) else Path(place).parent
        given[key] = located(given[key], file.parent, beside)
    with within(f"{file}"):
        return dataset.read_as(make_reading(**given))


def _columns(file: Path, section: Mapping[str, Any], family: Family) -> dict[str, str | tuple[str, ...]]:
    """Role -> column; a role that takes several has a list of them, or a text with commas."""
    lists = {r.name for r in family.roles if r.kind in LIST_KINDS}
    words = {k: v for k, v in section.items() if not (k in lists and isinstance(v, list))}
    columns: dict[str, str | tuple[str, ...]] = {**texts(file, "columns", words, [r.name for r in family.roles])}
    for role in section.keys() - words.keys():
        columns[role] = tuple(list_of_texts(file, f"[columns] {role}", section[role]))
    return columns
