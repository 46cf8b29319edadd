"""What a report calls its groups."""

from __future__ import annotations

import pytest

from hbm_stan.report.nouns import Noun, noun_of, plural


@pytest.mark.parametrize(
    ("column", "one", "many"),
    [
        ("school", "school", "schools"), ("county", "county", "counties"), ("Batch", "batch", "batches"),
        ("trial_name", "trial", "trials"), ("school id", "school", "schools"), ("SchoolID", "school", "schools"),
        ("age_group", "age group", "age groups"), ("countyCode", "county", "counties"),
        ("spectrum", "spectrum", "spectra"),
        ("child", "child", "children"), ("day", "day", "days"), ("box", "box", "boxes"),
        ("species", "species", "species"),
        ("g", "group", "groups"), ("id", "group", "groups"), ("group", "group", "groups"), ("x1", "group", "groups"),
        ("Q17: which of these schools did you attend", "group", "groups"), ("", "group", "groups"),
        ("école", "école", "écoles"),
    ],
)  # fmt: skip
def test_the_noun_is_that_of_the_column(column: str, one: str, many: str) -> None:
    assert noun_of(column) == Noun(one, many)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("pupil", Noun("pupil", "pupils")), ("goose, geese", Noun("goose", "geese")), (" ", Noun("school", "schools")),
        ("Landkreis , Landkreise", Noun("Landkreis", "Landkreise")),
    ],
)  # fmt: skip
def test_a_name_that_was_given_counts_more(given: str, expected: Noun) -> None:
    assert noun_of("school", given) == expected


def test_a_plural_is_that_of_the_last_word() -> None:
    assert plural("control city") == "control cities"
