"""Where a new row stands by default: categories at their reference, named; numbers at their mean, said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hbm_stan.data import Dataset
from hbm_stan.families import family
from hbm_stan.fit import prepare_table
from hbm_stan.prepare import Prepared

LINEAR = family("linear_regression")
# machine B is the commonest, A comes first; Female is the commonest, Male comes first.
FRAME = pd.DataFrame({
    "site": list("aabbccddee"), "y": np.arange(10.0) ** 1.5, "age": [1.0, 4, 2, 8, 3, 7, 5, 9, 6, 10],
    "machine": list("ABBCBBABCB"),
    "sex": ["Male", "Female", "Female", "Female", "Male", "Female", "Female", "Male", "Female", "Female"],
    "smoker": [0, 1, 0, 0, 1, 0, 0, 1, 0, 0],
})  # fmt: skip


def row(options: Mapping[str, Any], table: Prepared | None = None) -> tuple[dict[str, float], str]:
    """The values of the predictors of the new row by name, and what it is."""
    prepared = table or prepare_table(
        LINEAR, Dataset.from_frame(FRAME, group="site", outcome="y", predictors=["age", "machine", "sex", "smoker"])
    )
    data = LINEAR.programs.prepare(prepared, LINEAR.priors(prepared))
    coords = LINEAR.coordinates(prepared)
    design, words = LINEAR.need("new_row", "a test")(data, {**options, "coords": coords, "levels": prepared.levels})
    names = (*coords["term"], *coords["group_predictor"])
    return dict(zip(names, np.concatenate([design["X"][0], design["U"][0]]), strict=True)), words


def test_categories_stand_at_their_reference_and_numbers_at_their_mean() -> None:
    values, words = row({})
    assert values == {
        "intercept": 1, "age": 5.5, "machine=B": 0, "machine=C": 0, "sex=Female": 0, "smoker": 0,
    }  # fmt: skip
    assert words.endswith("age = 5.5 (the mean), machine = A (the reference), sex = Male (the reference), smoker = 0")


def test_what_was_asked_for_is_said_as_the_level_that_it_is() -> None:
    values, words = row({"predictors": {"machine=C": 1.0, "age": 3.0, "smoker": 1.0}})
    assert (values["machine=B"], values["machine=C"], values["age"], values["smoker"]) == (0, 1, 3, 1)
    assert words.endswith("age = 3, machine = C, sex = Male (the reference), smoker = 1")
    assert "sex" in row({"predictors": {"machine=C": 0.0}})[1]
    assert "machine = A," in row({"predictors": {"machine=C": 0.0}})[1]


def test_a_mixture_that_was_asked_for_is_shown_as_it_is() -> None:
    assert "machine=B = 0.5, machine=C = 0.5" in row({"predictors": {"machine=B": 0.5, "machine=C": 0.5}})[1]


def test_predictors_of_groups_stand_likewise() -> None:
    frame = FRAME.assign(region=[*"nnnnssssss"], height=[1.0, 1, 2, 2, 3, 3, 4, 4, 5, 5])
    dataset = Dataset.from_frame(frame, group="site", outcome="y", group_predictors=["region", "height"])
    values, words = row({}, prepare_table(LINEAR, dataset))
    assert values == {"intercept": 1, "region=s": 0, "height": 3}
    assert words.endswith("region = n (the reference), height = 3 (the mean)")


@pytest.mark.parametrize("codes", [[-0.5, 0.5], [1, 2]])
def test_two_other_values_have_a_mean_as_numbers_do(codes: list[float]) -> None:
    frame = FRAME.assign(code=np.where(FRAME["smoker"] == 1, codes[1], codes[0]))
    dataset = Dataset.from_frame(frame, group="site", outcome="y", predictors=["code"])
    values, words = row({}, prepare_table(LINEAR, dataset))
    assert values["code"] == pytest.approx(np.mean(frame["code"]))
    assert words.endswith("(the mean)")
