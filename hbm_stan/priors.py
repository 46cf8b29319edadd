"""Priors as data: a text such as ``half_cauchy(5)``, checked, with its density in NumPy and SciPy."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hbm_stan.cells import number
from hbm_stan.errors import ModelError, nearest
from hbm_stan.rounding import nine_digits
from hbm_stan.table import FloatArray, shorten
from hbm_stan.values import LARGEST, SMALLEST


@dataclass(frozen=True)
class Distribution:
    """A distribution that priors may name: its arguments in order, and which of them must be positive."""

    name: str
    arguments: tuple[str, ...]
    positive: tuple[str, ...]


DISTRIBUTIONS: Mapping[str, Distribution] = {
    d.name: d
    for d in (
        Distribution("normal", ("location", "scale"), ("scale",)),
        Distribution("half_normal", ("scale",), ("scale",)),
        Distribution("half_cauchy", ("scale",), ("scale",)),
        Distribution("half_student_t", ("degrees_of_freedom", "scale"), ("degrees_of_freedom", "scale")),
        Distribution("uniform", ("lower", "upper"), ("upper",)),
        Distribution("exponential", ("rate",), ("rate",)),
        Distribution("gamma", ("shape", "rate"), ("shape", "rate")),
        Distribution("lognormal", ("location", "scale"), ("scale",)),
        Distribution("beta", ("a", "b"), ("a", "b")),
        Distribution("lkj", ("shape",), ("shape",)),
    )
}

# What a prior of a positive quantity may be, and its code in stan/lib/scale_prior.stanfunctions.
SCALE_CODES: Mapping[str, int] = {
    "half_normal": 1, "half_cauchy": 2, "half_student_t": 3, "uniform": 4, "exponential": 5, "gamma": 6, "lognormal": 7,
}  # fmt: skip
SCALES = tuple(SCALE_CODES)
_LARGEST_LOG = 700.0  # of a double


def encode_scale(prior: Prior) -> tuple[int, list[float]]:
    """The prior of a positive quantity as Stan data: its code, and [scale in the quantity's unit, second argument].

    The first is the scale, the upper end, the mean (exponential, gamma) or the median (lognormal): programs sample the
    quantity divided by it. The second is the degrees of freedom, the shape, or the scale of the logarithm; else 1.
    """
    a, last = prior.arguments[0], prior.arguments[-1]
    encoded = {
        "half_student_t": [last, a],
        "uniform": [last, 1.0],
        "exponential": [1 / a if a else 0.0, 1.0],
        "gamma": [a / last, a],
        "lognormal": [math.exp(min(a, _LARGEST_LOG)), last],
    }
    return SCALE_CODES[prior.distribution], encoded.get(prior.distribution, [a, 1.0])


def decode_scale(name: str, code: int, encoded: Sequence[float]) -> Prior:
    """The prior that ``encode_scale`` turned into data."""
    distribution = next(k for k, v in SCALE_CODES.items() if v == code)
    scale, second = encoded
    arguments = {
        "half_student_t": (second, scale),
        "uniform": (0.0, scale),
        "exponential": (1 / scale,),
        "gamma": (second, second / scale),
        "lognormal": (math.log(scale), second),
    }
    return Prior(name, distribution, arguments.get(distribution, (scale,)))


def raw_support(code: int) -> tuple[float, float]:
    """The range of a positive quantity in units of its prior's scale: a uniform prior ends at 1."""
    return (0.0, 1.0 if code == SCALE_CODES["uniform"] else math.inf)


@dataclass(frozen=True)
class PriorRow:
    """A row of a family's prior table: which parameter, what may be said, what it means, where it comes from."""

    name: str
    distributions: tuple[str, ...]
    meaning: str
    source: str
    role: str = ""  # the column role whose unit the parameter has; empty: no unit


@dataclass(frozen=True)
class Prior:
    """A chosen prior: distribution and arguments, the reason, and whether it is the family's default."""

    name: str
    distribution: str
    arguments: tuple[float, ...]
    reason: str = ""
    default: bool = False

    @property
    def text(self) -> str:
        """The prior as it is written in analysis.toml: ``normal(0, 5)``; a default one, computed, to nine digits."""
        arguments = map(nine_digits, self.arguments) if self.default else self.arguments
        return f"{self.distribution}({', '.join(_shortest(a) for a in arguments)})"

    def _frozen(self) -> Any:
        from scipy import stats

        a = self.arguments
        return {
            "normal": lambda: stats.norm(*a),
            "half_normal": lambda: stats.halfnorm(0, *a),
            "half_cauchy": lambda: stats.halfcauchy(0, *a),
            "half_student_t": lambda: stats.t(a[0], 0, a[-1]),
            "uniform": lambda: stats.uniform(a[0], a[-1] - a[0]),
            "exponential": lambda: stats.expon(0, 1 / a[0]),
            "gamma": lambda: stats.gamma(a[0], 0, 1 / a[-1]),
            "lognormal": lambda: stats.lognorm(a[-1], 0, math.exp(a[0])),
            "beta": lambda: stats.beta(*a),
            # Of one correlation in a 2 x 2 matrix; marginally so in larger ones only near enough for a picture.
            "lkj": lambda: stats.beta(a[0], a[0], -1, 2),
        }[self.distribution]()

    def log_density(self, x: FloatArray | float) -> FloatArray:
        """The normalised log density at ``x``, same shape; minus infinity outside the support."""
        value = np.asarray(x, dtype=float)
        log_density = np.asarray(self._frozen().logpdf(value))
        if self.distribution == "half_student_t":
            return np.where(value < 0, -np.inf, math.log(2) + log_density)
        return log_density

    def cumulative(self, x: float) -> float:
        """The probability of a value up to ``x``."""
        below = float(self._frozen().cdf(x))
        return max(2 * below - 1, 0.0) if self.distribution == "half_student_t" else below

    def draw(self, rng: np.random.Generator, size: int) -> FloatArray:
        """``size`` independent draws."""
        draws = np.asarray(self._frozen().rvs(size=size, random_state=rng), dtype=float)
        return np.abs(draws) if self.distribution == "half_student_t" else draws


def two_digits(x: float) -> float:
    """A positive number to two significant digits: what default priors are rounded to, so that they can be read."""
    return float(f"{nine_digits(x):.2g}")


def to_decimals(x: float, decimals: int) -> float:
    """A number to so many decimals, by its first nine digits: a half goes the same way on every machine."""
    return round(nine_digits(x), decimals)


def parse_prior(text: str, row: PriorRow, name: str = "") -> Prior:
    """The prior in a text such as ``normal(0, 5)``, checked against what the family's row allows.

    ``name`` is the parameter's, where the row has several: ``mu[floor]``.
    """
    parameter = name or row.name
    where = f"Prior of {parameter}"
    match = re.fullmatch(r"\s*([A-Za-z][\w-]*)\s*\(([^()]*)\)\s*", text, re.ASCII)
    allowed = [f"{n}({', '.join(DISTRIBUTIONS[n].arguments)})" for n in row.distributions]
    if match is None:
        raise ModelError(f"{where}: {shorten(text)!r} is not understood. Write one of: {'; '.join(allowed)}.")
    name = match[1].lower().replace("-", "_")
    if name not in row.distributions:
        raise ModelError(
            f"{where}: {shorten(name)!r} is not offered. {nearest(name, row.distributions)} "
            f"Offered: {'; '.join(allowed)}."
        )
    arguments = _arguments(match[2], DISTRIBUTIONS[name], where)
    return Prior(parameter, name, arguments, "chosen in the analysis")


def _arguments(text: str, distribution: Distribution, where: str) -> tuple[float, ...]:
    pieces = [piece.strip() for piece in text.split(",")] if text.strip() else []
    n = len(distribution.arguments)
    if len(pieces) != n:
        raise ModelError(
            f"{where}: {distribution.name} takes {n} argument{'s' if n > 1 else ''} "
            f"({', '.join(distribution.arguments)}), got {len(pieces)}. "
            "Commas stand between arguments; numbers have a decimal point."
        )
    values = tuple(number(piece) for piece in pieces)
    for name, piece, value in zip(distribution.arguments, pieces, values, strict=True):
        positive = name in distribution.positive
        if not math.isfinite(value) or (positive and value <= 0):
            need = "a finite number" + (" above zero" if positive else "")
            raise ModelError(f"{where}: {name} of {distribution.name} must be {need}, found {shorten(piece)!r}.")
        if fault := _beyond(value, positive, distribution.name == "lognormal" and name == "location"):
            raise ModelError(
                f"{where}: {name} of {distribution.name} is {shorten(piece)!r}, and no sampler can work with that: "
                f"{fault}. Write the prior in the unit of the data."
            )
    if distribution.name == "uniform" and values[0] != 0:
        raise ModelError(f"{where}: a uniform prior of a scale starts at 0, found {pieces[0]!r}.")
    return values


def _beyond(value: float, positive: bool, log: bool) -> str:
    """What an argument would have to be for products and squares of it to stay numbers; nothing where it is."""
    largest = math.log(LARGEST) if log else LARGEST
    if abs(value) > largest:
        return f"it may be {largest:.4g} at most" + ", the logarithm of the quantity" * log
    return f"it must be {SMALLEST:g} at least" if positive and value < SMALLEST else ""


def _shortest(value: float) -> str:
    """The shortest text that gives the number back: two priors with one text would share their draws."""
    short = f"{value:g}"
    return short if float(short) == value else repr(value)
