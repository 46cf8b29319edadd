"""What a report calls its groups."""

from __future__ import annotations

import pytest

from hbm_stan.nouns import GROUPS, Noun, noun_of, plural, singular


@pytest.mark.parametrize(
    ("column", "one", "many"),
    [
        ("school", "school", "schools"), ("county", "county", "counties"), ("Batch", "batch", "batches"),
        ("trial_name", "trial", "trials"), ("school id", "school", "schools"), ("SchoolID", "school", "schools"),
        ("age_group", "age group", "age groups"), ("countyCode", "county", "counties"),
        ("spectrum", "spectrum", "spectra"),
        ("child", "child", "children"), ("day", "day", "days"), ("box", "box", "boxes"),
        ("species", "species", "species"), ("schools", "school", "schools"), ("Counties", "county", "counties"),
        ("batches", "batch", "batches"), ("children", "child", "children"), ("mice", "mouse", "mice"),
        ("bus", "bus", "buses"), ("class", "class", "classes"), ("analysis", "analysis", "analyses"),
        ("grandchild", "grandchild", "grandchildren"), ("salesperson", "salesperson", "salespeople"),
        ("human", "human", "humans"), ("postman", "postman", "postmen"), ("groups", "group", "groups"),
        ("areas", "area", "areas"), ("campus", "campus", "campuses"), ("hypothesis", "hypothesis", "hypotheses"),
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


@pytest.mark.parametrize("many", ["schools", "counties", "batches", "boxes", "people", "women", "sites", "houses"])
def test_the_singular_of_a_plural_has_that_plural(many: str) -> None:
    assert plural(singular(many)) == many


def test_a_text_has_the_noun_where_it_leaves_a_place_for_one() -> None:
    text = "{Groups} share {groups}; a new {group}; {other}; {}"
    assert Noun("child", "children").fill(text) == "Children share children; a new child; {other}; {}"
    assert GROUPS.fill("{Group} predictor") == "Group predictor"


def test_a_group_whose_label_is_only_a_number_is_named_with_the_noun() -> None:
    judge = Noun("judge", "judges")
    assert (judge.named("7"), judge.named("7", first=True), judge.named("p12", first=True)) == (
        "judge 7",
        "Judge 7",
        "p12",
    )
