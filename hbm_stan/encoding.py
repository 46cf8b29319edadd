"""New rows of a design: what makes their columns, and the columns themselves. Knows no formula."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from hbm_stan.errors import DataError, nearest
from hbm_stan.predictors import INTERCEPT
from hbm_stan.table import FloatArray

IntArray = npt.NDArray[np.int64]
OFFSET = "offset()"  # among the columns of a new row


@dataclass(frozen=True)
class Part:
    """What a column is made of: a number or the indicator of a category's ``level``; a column is a product of these.

    ``written`` is what a formula names; with ``whole`` the category has all its levels, compared with none.
    """

    label: str
    written: str
    level: str | None = None
    whole: bool = False


class Encode(Protocol):
    """Makes the columns of a new row of what is named of it."""

    def __call__(self, named: Mapping[str, Any], /) -> Mapping[str, float]:
        """The value of each column, not centred, by name."""

    def rows(self, values: Mapping[str, npt.NDArray[Any]], n: int, /) -> Mapping[str, FloatArray]:
        """The columns of n new rows, not centred, by name; ``values`` are numbers, or 0-based levels of a category."""

    def words(self, named: Mapping[str, Any], /) -> list[str]:
        """Where the row stands, a phrase for each column of the table."""

    def parts_of(self, name: str, /) -> tuple[Part, ...]:
        """What the column of that name is a product of; nothing of an intercept."""


@dataclass(frozen=True)
class Usual:
    """The row of a design made of plain columns: each named value, else its mean; the intercept is 1."""

    values: Mapping[str, float]

    def __call__(self, named: Mapping[str, Any]) -> dict[str, float]:
        """The value of each column, not centred, by name."""
        for name in named:
            if name not in self.values:
                raise DataError(f"A new row: there is no column {name!r}. {nearest(name, self.values)}")
        return {**self.values, **{name: float(value) for name, value in named.items()}}

    def rows(self, values: Mapping[str, npt.NDArray[Any]], n: int) -> dict[str, FloatArray]:
        """The columns of n new rows, not centred, by name."""
        return {name: np.broadcast_to(values.get(name, mean), n) for name, mean in self.values.items()}

    def words(self, named: Mapping[str, Any]) -> list[str]:
        """Where the row stands: ``days = 4.5 (the mean)``."""
        rest = {name: f"{value:.3g} (the mean)" for name, value in self.values.items() if name != INTERCEPT}
        return [f"{name} = {value}" for name, value in {**rest, **named}.items()]

    def parts_of(self, name: str) -> tuple[Part, ...]:
        """The column itself, a number."""
        return () if name == INTERCEPT else (Part(name, name),)


@dataclass(frozen=True)
class NewRows:
    """New rows of a design, centred as its own: ``X`` (N, P), ``Z`` (N, sum K), ``offset`` (N,), and the columns of
    own parameters, by parameter."""

    X: FloatArray
    Z: FloatArray
    offset: FloatArray
    beside: Mapping[str, FloatArray]


def side_by_side(columns: Sequence[npt.ArrayLike], n: int) -> FloatArray:
    """The columns as a matrix (n, their number), which may be 0."""
    return np.column_stack([np.empty((n, 0)), *(np.asarray(c, dtype=float) for c in columns)])
