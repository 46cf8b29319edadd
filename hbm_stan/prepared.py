"""The columns of a dataset as a family asks for them."""

from __future__ import annotations

from hbm_stan.data import Dataset
from hbm_stan.errors import DataError
from hbm_stan.model import Family
from hbm_stan.prepare import Prepared, prepare


def prepared_for(dataset: Dataset, family: Family) -> Prepared:
    """The columns, checked for what the family's roles ask, in the rows that the family makes of them.

    What only the family can see is not looked at.
    """
    table = prepare(
        dataset, family.roles, one_row_per_group=family.one_row_per_group, known_residual=family.known_residual,
        terms=family.terms, own_formulas=family.own_formulas,
    )  # fmt: skip
    return table if family.unfold is None else family.unfold(table)


def refuse_what_is_no_dataset(given: object) -> None:
    """Raise DataError unless it is a Dataset."""
    if not isinstance(given, Dataset):
        type_name = type(given).__name__
        raise DataError(
            f"A Dataset is needed, got {type_name}: use hbm_stan.load(path, ...) or Dataset.from_frame(frame, ...)."
        )
