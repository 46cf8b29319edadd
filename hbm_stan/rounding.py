"""Numbers that were computed, rounded until they are the same on every machine.

The last bits of a sum, a logarithm or a least-squares estimate depend on the processor and on the builds of NumPy and
SciPy. What two machines are to agree on, identities and default priors, is taken to nine significant digits.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

DIGITS = 9
# Rounded to these first: an exact half in the tenth digit (1/1024 = 0.0009765625), which a last bit would send either
# way, is then one number.
_MORE_DIGITS = 12
# What equal numbers leave when they are subtracted, as a share of the largest number of an array: fifty last bits.
_NOISE = 50 * 2.0**-52
_MANY = 10_000  # numbers of an array that may be asked for again
_SMALLEST = 2.0**-1022  # below it doubles have fewer digits


def nine_digits(x: float) -> float:
    """A number to nine significant digits; zero has no sign, and what is too small to have nine digits is zero."""
    if abs(x) < _SMALLEST:
        return 0.0
    return float(f"{float(f'{x:.{_MORE_DIGITS}g}'):.{DIGITS}g}") + 0.0


def same_number(a: float, b: float) -> bool:
    """Whether two numbers are equal to nine significant digits."""
    return nine_digits(a) == nine_digits(b)


def to_nine_digits(value: Any) -> Any:
    """A number, array or list as plain numbers and lists, fractions to nine digits; whole numbers and texts stay.

    What is nothing against the largest number of its array is zero.
    """
    array = np.asarray(value)
    return rounded_to_nine_digits(array).tolist() if array.dtype.kind == "f" else array.tolist()


def rounded_to_nine_digits(array: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """``to_nine_digits`` of fractions, as an array of the same shape."""
    size = np.abs(array[np.isfinite(array)])
    least = _NOISE * float(size.max()) if size.size else 0.0
    content = np.asarray(array, dtype=float).tobytes()
    rounded = (_rounded if array.size < _MANY else _rounded_before)(content, least)
    return rounded.reshape(array.shape)


def _rounded(content: bytes, least: float) -> npt.NDArray[np.float64]:
    """Numbers, the bytes of doubles, to nine digits; those below ``least`` are zero. Equal ones are rounded once."""
    distinct, back = np.unique(np.frombuffer(content), return_inverse=True)
    rounded = distinct + 0.0
    # Whole numbers of so many digits are what they are.
    others = np.flatnonzero(~((np.abs(distinct) < 10**DIGITS) & (distinct == np.floor(distinct))))
    rounded[others] = [nine_digits(x) for x in distinct[others].tolist()]
    rounded[np.abs(distinct) < least] = 0.0
    return np.asarray(rounded[back])


# The variants of an analysis have the same columns.
_rounded_before = lru_cache(maxsize=16)(_rounded)
