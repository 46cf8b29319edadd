"""A family in parts: each field stands in one of them, and is found, needed and changed there by its name alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields

import pytest

from hbm_stan.errors import ModelError
from hbm_stan.families import family
from hbm_stan.model import PARTS, Family, place_of

MODEL = family("normal_means")
OF_PARTS = [(part, f.name) for part, kind in PARTS.items() for f in fields(kind)]


def test_a_name_stands_in_one_place() -> None:
    names = Counter([*(f.name for f in fields(Family)), *(name for _, name in OF_PARTS)])
    assert max(names.values()) == 1
    assert {*PARTS} <= {f.name for f in fields(Family)}
    assert [place_of(name) for _, name in OF_PARTS] == [part for part, _ in OF_PARTS]
    assert place_of("roles") == place_of("nothing_here") == ""


@pytest.mark.parametrize(("part", "name"), OF_PARTS)
def test_a_change_is_made_in_the_part_that_has_the_name(part: str, name: str) -> None:
    mark = object()
    changed = MODEL.with_fields(**{name: mark, "size": "trials"})
    assert getattr(getattr(changed, part), name) is mark
    assert changed.size == "trials"
    assert all(getattr(changed, other) is getattr(MODEL, other) for other in PARTS if other != part)
    same = {f.name for f in fields(PARTS[part])} - {name}
    assert all(getattr(getattr(changed, part), n) is getattr(getattr(MODEL, part), n) for n in same)


def test_a_function_is_found_wherever_it_stands() -> None:
    assert MODEL.need("simulate", "a test") is MODEL.twin.simulate
    assert MODEL.need("raw", "a test") is MODEL.groups.raw
    assert MODEL.need("prepare", "a test") is MODEL.programs.prepare
    assert MODEL.function("findings") is None
    assert MODEL.missing(("rule", "raw", "check_table", "findings")) == ["rule", "check_table", "findings"]
    with pytest.raises(ModelError, match=r"normal_means has no rule\(\): a test cannot be done\. Add it to the family"):
        MODEL.need("rule", "a test")
    with pytest.raises(TypeError, match="nothing_here"):
        MODEL.with_fields(nothing_here=1)
