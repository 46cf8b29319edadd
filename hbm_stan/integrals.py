"""What an integral of curves is asked for: its limits, the kernel of the curves, and their mean function."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hbm_stan.cells import number
from hbm_stan.errors import DataError, nearest
from hbm_stan.table import FloatArray, Table, shorten

# In the order in which stan/lib/curves.stanfunctions counts them.
KERNELS = ("squared_exponential", "matern_32", "matern_52")
MEANS = ("constant", "linear")
_KEYS = ("lower", "upper", "kernel", "mean")


@dataclass(frozen=True)
class Integral:
    """The integral from ``lower`` to ``upper``; a limit that is None is the smallest or the largest point of the table.

    ``kernel`` is one of KERNELS, ``mean`` one of MEANS: constant, or a line.
    """

    lower: float | None = None
    upper: float | None = None
    kernel: str = "matern_52"
    mean: str = "constant"

    @property
    def limits(self) -> tuple[float, float]:
        """Both limits, once they are known."""
        assert self.lower is not None
        assert self.upper is not None
        return self.lower, self.upper

    @property
    def text(self) -> str:
        """As it is written in analysis.toml: an inline table."""
        limits = "".join(f"{k} = {v!r}, " for k, v in (("lower", self.lower), ("upper", self.upper)) if v is not None)
        return f'{{ {limits}kernel = "{self.kernel}", mean = "{self.mean}" }}'

    @property
    def line(self) -> str:
        """The line of analysis.toml, with what else there is to choose."""
        return f"integral = {self.text}  # kernels: {', '.join(KERNELS)}; means: {', '.join(MEANS)}"

    def over(self, points: FloatArray, where: str) -> Integral:
        """The same with its limits known; raises DataError where they leave nothing to integrate over."""
        lower = float(np.min(points)) if self.lower is None else self.lower
        upper = float(np.max(points)) if self.upper is None else self.upper
        if lower == upper:
            raise DataError(f"{where}: the integral from {lower:g} to {upper:g} is over nothing. Name two limits.")
        if lower > upper:
            raise DataError(
                f"{where}: the integral from {lower:g} to {upper:g} runs backwards. Write lower = {upper:g} and upper "
                f"= {lower:g}; the integral from {lower:g} to {upper:g} is minus that one."
            )
        return replace(self, lower=lower, upper=upper)


def integral_over(given: Integral | None, table: Table, column: str) -> Integral:
    """What was asked for, or the default, with its limits: the outermost points of the column where none are named."""
    return (given or Integral()).over(table.numbers(column), table.where)


def make_integral(given: Any) -> Integral | None:
    """The integral of a mapping, or of a text such as "lower = 0, upper = 1, kernel = matern_52"; None where none is.

    Raises DataError for an unknown key or name, a limit that is no number, and limits that are equal or reversed.
    """
    if given is None or isinstance(given, Integral):
        return given
    entries = _of_text(given) if isinstance(given, str) else given
    if not isinstance(entries, Mapping):
        raise DataError(f"integral must be a table such as {{lower = 0, upper = 1}}, found {shorten(repr(given))}.")
    if not entries:
        return None
    for key in entries:
        if key not in _KEYS:
            raise DataError(f"integral has no {shorten(str(key))!r}. {nearest(str(key), _KEYS)}")
    limits = {key: _limit(key, entries[key]) for key in ("lower", "upper") if key in entries}
    integral = Integral(
        **limits, kernel=_name("kernel", entries.get("kernel", Integral.kernel), KERNELS),
        mean=_name("mean", entries.get("mean", Integral.mean), MEANS),
    )  # fmt: skip
    return integral.over(np.array(integral.limits), "integral") if len(limits) == 2 else integral


def refuse_integral(where: str, given: Integral | None, wanted: bool) -> None:
    """Raise DataError where another family than that of integrals is told of one."""
    if given is not None and not wanted:
        raise DataError(f"{where}: integral is for curves (the family gp_integral). Leave it out here.")


def _of_text(text: str) -> dict[str, str]:
    """The entries of "key = value, key = value"."""
    pieces = [piece.partition("=") for piece in text.split(",") if piece.strip()]
    bad = next((key for key, sign, _ in pieces if not sign), None)
    if bad is not None:
        raise DataError(
            f"integral: {shorten(bad.strip())!r} is no setting. Write key = value, with commas between: lower = 0, "
            "upper = 1, kernel = matern_52, mean = linear."
        )
    return {key.strip(): value.strip() for key, _, value in pieces}


def _limit(key: str, value: Any) -> float:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    limit = float(value) if known else number(str(value))
    if not math.isfinite(limit):
        raise DataError(f"integral: {key} must be a finite number, found {shorten(str(value))!r}.")
    return limit


def _name(key: str, value: Any, names: tuple[str, ...]) -> str:
    """One of the names, however it is spelled: Matern 5/2 is matern_52."""
    plain = "".join(c for c in str(value).lower() if c.isalnum())
    by_plain = {name.replace("_", ""): name for name in names}
    if plain not in by_plain:
        raise DataError(f"integral: {key} is {shorten(str(value))!r}. {nearest(str(value), names)}")
    return by_plain[plain]
