"""What a report calls its groups: the noun of the column (school, county), or the one that the analysis gives."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

# What a column's name says beside the noun: school_id, trial_name, county code.
_BESIDE = re.compile(r"[ _.-]+(id|nr|no|num|number|name|code|key|label|idx|index)$", re.IGNORECASE)
# Names that say nothing of what the groups are.
_EMPTY = {"id", "nr", "no", "name", "code", "key", "label", "idx", "index", "group", "grp", "unit", "level", "cluster"}
# A noun is at least this long, and at most: others are abbreviations, or sentences.
_SHORTEST, _LONGEST = 3, 24
_IRREGULAR = {"child": "children", "person": "people", "man": "men", "woman": "women", "spectrum": "spectra"}


@dataclass(frozen=True)
class Noun:
    """The word for one group, and for several."""

    one: str = "group"
    many: str = "groups"

    def as_dict(self) -> dict[str, str]:
        """The noun for JSON."""
        return asdict(self)


GROUPS = Noun()


def noun_of(column: str, given: str = "") -> Noun:
    """The noun that the analysis gives (``child`` or ``child, children``), else that of the column of the groups.

    A column whose name is no word (g, id, Group 1) has groups.
    """
    if given.strip():
        one, _, many = (part.strip() for part in given.partition(","))
        return Noun(one, many or plural(one))
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", column.strip())
    name = re.sub(r"[ _.-]+", " ", _BESIDE.sub("", name)).strip().lower()
    word = name.replace(" ", "").isalpha() and _SHORTEST <= len(name) <= _LONGEST
    if not word or name in _EMPTY:
        return GROUPS
    return Noun(name, plural(name))


def plural(noun: str) -> str:
    """The plural of an English noun: county -> counties, batch -> batches; of several words that of the last."""
    before, space, last = noun.rpartition(" ")
    if last in _IRREGULAR:
        many = _IRREGULAR[last]
    elif re.search(r"[^aeiou]y$", last):
        many = f"{last[:-1]}ies"
    elif re.search(r"(s|x|z|ch|sh)$", last):
        many = last if last in {"series", "species"} else f"{last}es"
    else:
        many = f"{last}s"
    return f"{before}{space}{many}"


def of_results(results: Mapping[str, Any]) -> Noun:
    """The noun of a report; group where the results name none."""
    return Noun(**results["data"].get("noun", {}))
