"""Numbers that were computed, rounded until they are the same on every machine.

The last bits of a sum, a logarithm or a least-squares estimate depend on the processor and on the builds of NumPy and
SciPy. What two machines are to agree on, identities and default priors, is taken to nine significant digits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

DIGITS = 9
# Rounded to these first: an exact half in the tenth digit (1/1024 = 0.0009765625), which a last bit would send either
# way, is then one number.
_MORE_DIGITS = 12
# What equal numbers leave when they are subtracted, as a share of the largest number of an array: fifty last bits.
_NOISE = 50 * 2.0**-52
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
    if array.dtype.kind != "f":
        return array.tolist()
    size = np.abs(array[np.isfinite(array)])
    least = _NOISE * float(size.max()) if size.size else 0.0
    rounded = [0.0 if abs(x) < least else nine_digits(x) for x in array.ravel().tolist()]
    return np.array(rounded).reshape(array.shape).tolist()
