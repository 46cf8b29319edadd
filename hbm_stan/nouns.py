"""What messages and reports call the groups: the noun of the column (school, county), or the one that was given."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

# What a column's name says beside the noun: school_id, trial_name, county code.
_BESIDE = re.compile(r"[ _.-]+(id|nr|no|num|number|name|code|key|label|idx|index)$", re.IGNORECASE)
# Names that say nothing of what the groups are.
_EMPTY = {"id", "nr", "no", "name", "code", "key", "label", "idx", "index", "group", "grp", "unit", "level", "cluster"}
# A noun is at least this long, and at most: others are abbreviations, or sentences.
_SHORTEST, _LONGEST = 3, 24
_SAME = {"aircraft", "deer", "fish", "news", "offspring", "series", "sheep", "species", "staff"}
_IRREGULAR = {
    "alga": "algae", "child": "children", "criterion": "criteria", "foot": "feet", "goose": "geese", "half": "halves",
    "hero": "heroes", "human": "humans", "knife": "knives", "larva": "larvae", "leaf": "leaves", "life": "lives",
    "man": "men", "mouse": "mice", "nucleus": "nuclei", "person": "people", "phenomenon": "phenomena",
    "potato": "potatoes", "quiz": "quizzes", "shelf": "shelves", "spectrum": "spectra", "stimulus": "stimuli",
    "taxon": "taxa", "tomato": "tomatoes", "tooth": "teeth", "wife": "wives", "wolf": "wolves", "woman": "women",
}  # fmt: skip
_SINGULAR = {many: one for one, many in _IRREGULAR.items()}
# Ends of compounds that change as the word alone does (grandchild, salesperson), and words that only look like one.
_ENDS = {"child": "children", "person": "people", "man": "men"}
_NO_MAN = {"german", "human", "norman", "roman", "shaman"}
_SLOT = re.compile(r"\{(group|groups|Group|Groups)\}")


@dataclass(frozen=True)
class Noun:
    """The word for one group, and for several."""

    one: str = "group"
    many: str = "groups"

    def as_dict(self) -> dict[str, str]:
        """The noun for JSON."""
        return asdict(self)

    def named(self, label: str, *, first: bool = False) -> str:
        """A group by its label in a sentence, ``first`` in it or not: district 49 where the label is only a number."""
        if not label.strip().isdigit():
            return label
        return f"{capital(self.one) if first else self.one} {label}"

    def fill(self, text: str) -> str:
        """A text with this noun where it leaves a place for one: ``{group}``, ``{groups}``, ``{Group}``, ``{Groups}``.

        Families write their texts so: "sd between {groups}".
        """
        words = {"group": self.one, "groups": self.many, "Group": capital(self.one), "Groups": capital(self.many)}
        return _SLOT.sub(lambda slot: words[slot[1]], text)


GROUPS = Noun()


def noun_of(column: str, given: str = "") -> Noun:
    """The noun that the analyst gives (``child`` or ``child, children``), else that of the column of the groups.

    A column whose name is no word (g, id, Group 1) has groups.
    """
    if given.strip():
        one, _, many = (part.strip() for part in given.partition(","))
        return Noun(one, many or plural(one))
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", column.strip())
    name = re.sub(r"[ _.-]+", " ", _BESIDE.sub("", name)).strip().lower()
    word = name.replace(" ", "").isalpha() and _SHORTEST <= len(name) <= _LONGEST
    if not word or name in _EMPTY or singular(name) in _EMPTY:
        return GROUPS
    one = singular(name)
    return Noun(one, plural(one))


def plural(noun: str) -> str:
    """The plural of an English noun: county -> counties, batch -> batches; of several words that of the last."""
    before, space, last = noun.rpartition(" ")
    if last in _SAME:
        many = last
    elif last in _IRREGULAR:
        many = _IRREGULAR[last]
    elif (end := _end(last, _ENDS)) and last not in _NO_MAN:
        many = last.removesuffix(end) + _ENDS[end]
    elif re.search(r"[^aeiou]y$", last):
        many = f"{last[:-1]}ies"
    elif re.search(r"[a-z]{2}sis$", last):  # analysis, hypothesis
        many = f"{last[:-2]}es"
    elif re.search(r"(s|x|z|ch|sh)$", last):
        many = f"{last}es"
    else:
        many = f"{last}s"
    return f"{before}{space}{many}"


def singular(noun: str) -> str:
    """The singular of an English noun that may be a plural: schools -> school, batches -> batch; others stay."""
    before, space, last = noun.rpartition(" ")
    if last in _SAME or re.search(r"(ss|us|is|[^aeiou]as|lens|gas)$", last):
        one = last
    elif last in _SINGULAR:
        one = _SINGULAR[last]
    elif end := _end(last, _ENDS.values()):
        one = last.removesuffix(end) + next(word for word, many in _ENDS.items() if many == end)
    elif re.search(r"[a-z]{2}(y|the)ses$", last):  # analyses, hypotheses
        one = f"{last[:-2]}is"
    elif re.search(r"[^aeiou]ies$", last):
        one = f"{last[:-3]}y"
    elif re.search(r"(ss|x|ch|sh)es$", last):
        one = last[:-2]
    else:
        one = last.removesuffix("s")
    return f"{before}{space}{one}"


def of_results(results: Mapping[str, Any]) -> Noun:
    """The noun of a report; group where the results name none."""
    return Noun(**results["data"].get("noun", {}))


def _end(word: str, ends: Iterable[str]) -> str:
    """The one of these that a word ends with, or an empty text."""
    return next((end for end in ends if word.endswith(end)), "")


def capital(text: str) -> str:
    """The text with a capital first letter, the rest as it is."""
    return text[:1].upper() + text[1:]
