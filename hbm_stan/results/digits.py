"""How many digits a number deserves, and its text: what Monte Carlo error makes uncertain is not shown.

The rule is ArviZ 1.x's (``summary(round_to="auto")``) after Vehtari's case study "How many iterations to run and
how many digits to report": an estimate keeps the digits up to the first significant digit of twice its Monte Carlo
standard error, the half-width of a 95 % interval of the error. So a last digit shown is uncertain by at most about
half a unit to five units of itself, never more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

MINUS = "\N{MINUS SIGN}"
DASH = "\N{EN DASH}"  # stands for "no number"
MAX_DIGITS = 6  # significant digits: more are never shown, however small the error
_GIVEN_DIGITS = 5  # of a number that was written, not computed
_FREE_DIGITS = 3  # significant digits of a number whose error is not known
# Numbers from 10 to this power up to (not including) that one are written out; others have a power of ten (ours).
_PLAIN_FROM, _PLAIN_TO = -5, 7
_COLUMN_DIGITS = 4  # of a computed column whose numbers have a power of ten


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def decimals_for(mcse: float | None) -> int | None:
    """Decimals that a Monte Carlo standard error allows (negative: tens, hundreds); None where it is not known."""
    if mcse is None or not math.isfinite(mcse) or mcse <= 0:
        return None
    return -math.floor(math.log10(2 * mcse))


def fixed(value: float | None, decimals: int) -> str:
    """The value with so many decimals and a typographic minus; a rounded zero has no sign."""
    if value is None or not math.isfinite(value):
        return DASH
    text = f"{round(value, decimals):.{max(decimals, 0)}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def _exponent(value: float) -> int:
    return math.floor(math.log10(abs(value)))


def format_estimate(value: float | None, mcse: float | None) -> str:
    """An estimate with the digits that its Monte Carlo standard error allows."""
    decimals = decimals_for(mcse)
    if decimals is None or value is None or not math.isfinite(value):
        return significant(value)
    if abs(value) < 0.5 * 10.0**-decimals:  # nothing of it is certain
        return fixed(0.0, decimals) if decimals <= -_PLAIN_FROM else "0"
    leading = _exponent(value)
    if not _PLAIN_FROM <= leading < _PLAIN_TO:
        return significant(value, min(max(leading + decimals + 1, 1), MAX_DIGITS))
    return fixed(value, min(decimals, MAX_DIGITS - 1 - leading))


def format_summary(values: Mapping[str, float | None]) -> list[str]:
    """Mean, sd, 5 %, 50 % and 95 % quantile of a parameter, each by its own error; no sd finer than its mean."""
    mcse = {key: values.get(f"mcse_{key}") for key in ("mean", "sd", "q05", "q50", "q95")}
    mcse["sd"] = max(mcse["mean"] or 0.0, mcse["sd"] or 0.0) or None
    return [format_estimate(values.get(key), error) for key, error in mcse.items()]


def significant(value: float | None, digits: int = _FREE_DIGITS) -> str:
    """The value with so many significant digits, and a power of ten only where it is very large or small."""
    if value is None or not math.isfinite(value):
        return DASH
    if value == 0:
        return "0"
    exponent = _exponent(value)
    if not _PLAIN_FROM <= exponent < _PLAIN_TO:
        mantissa, power = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa}e{int(power)}".replace("-", MINUS)
    return fixed(value, min(max(digits - 1 - exponent, 0), 8))


def format_mcse(mcse: float | None) -> str:
    """A Monte Carlo standard error: two significant digits."""
    return significant(mcse, 2) if _finite(mcse) else DASH


def format_data(value: float | None, digits: int = 10) -> str:
    """A number of the data as it was given, up to so many significant digits."""
    if value is None or not math.isfinite(value):
        return DASH
    return f"{value:.{digits}g}".replace("-", MINUS)


def format_column(values: Sequence[float | None], like: Sequence[float | None] = ()) -> list[str]:
    """Numbers of the data as given; computed ones with a thousandth of the range that they (or ``like``) span."""
    shown = [format_data(v) for v in values]
    if all(sum(c.isdigit() for c in text.lstrip(f"{MINUS}0.")) <= _GIVEN_DIGITS for text in shown):
        return shown
    known = [float(v) for v in (like or values) if v is not None and math.isfinite(v)]
    largest = max(map(abs, known))
    if largest and not _PLAIN_FROM <= _exponent(largest) < _PLAIN_TO:
        return [significant(v, _COLUMN_DIGITS) for v in values]
    span = (max(known) - min(known)) or largest
    return [fixed(v, min(max(3 - math.floor(math.log10(span or 1.0)), 0), 8)) for v in values]


def format_count(value: float | None) -> str:
    """A whole number, thousands set apart by a thin space; an effective sample size is rounded down."""
    if value is None or not math.isfinite(value):
        return DASH
    return f"{math.floor(value):,}".replace(",", "\N{NARROW NO-BREAK SPACE}").replace("-", MINUS)


def counted(value: float | None, noun: str) -> str:
    """A count with its noun, which gets an s unless there is one."""
    return f"{format_count(value)} {noun}" + ("" if value == 1 else "s")


def format_rhat(value: float | None) -> str:
    """R-hat with three decimals: beside a limit of 1.01, two would hide 1.0149."""
    return fixed(value, 3)


def format_probability(p: float | None, draws: int | None = None) -> str:
    """A probability with the digits that the number of draws allows, two at most; 0 and 1 are written as bounds."""
    if p is None or not math.isfinite(p):
        return DASH
    mcse = math.sqrt(max(p * (1 - p), 1e-9) / draws) if draws else 0.0
    decimals = min(2, max(1, decimals_for(mcse) or 2))
    smallest = 10.0**-decimals
    if p < smallest / 2:
        return f"<\N{HAIR SPACE}{smallest:.{decimals}f}"
    if p > 1 - smallest / 2:
        return f">\N{HAIR SPACE}{1 - smallest:.{decimals}f}"
    return fixed(p, decimals)
