"""Priors as data: a text such as ``half_cauchy(5)``, checked, with its density."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hbm_stan.cells import number
from hbm_stan.distributions import Located, located
from hbm_stan.errors import ModelError, nearest
from hbm_stan.rounding import nine_digits
from hbm_stan.table import FloatArray, shorten
from hbm_stan.thresholds import log_induced_dirichlet
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
        Distribution("dirichlet", ("concentration",), ("concentration",)),
        Distribution("fixed", ("value",), ("value",)),
    )
}

# What a prior of a positive quantity may be, and its code in stan/lib/scale_prior.stanfunctions.
SCALE_CODES: Mapping[str, int] = {
    "half_normal": 1, "half_cauchy": 2, "half_student_t": 3, "uniform": 4, "exponential": 5, "gamma": 6, "lognormal": 7,
}  # fmt: skip
SCALES = tuple(SCALE_CODES)
# A positive quantity that is known and not sampled; only rows that name it offer it, and only some programs take it.
FIXED = "fixed"
_CODES = {**SCALE_CODES, FIXED: 1 + len(SCALE_CODES)}
_JUST_BELOW = 1 - 1e-12  # a draw at a lower end may be below it by rounding
# Of a prior that a lower end cuts, the least that must lie above it: with less the prior is hardly meant (ours).
_LEAST_ABOVE = 1e-6
_LARGEST_LOG = 700.0  # of a double


def encode_scale(prior: Prior) -> tuple[int, list[float]]:
    """The prior of a positive quantity as Stan data: its code, and [scale in the quantity's unit, second argument].

    The first is the scale, the upper end, the mean (exponential, gamma), the median (lognormal) or the value of what is
    fixed: programs sample the quantity divided by it. The second is the degrees of freedom, the shape, or the scale of
    the logarithm; else 1.
    """
    a, last = prior.arguments[0], prior.arguments[-1]
    encoded = {
        "half_student_t": [last, a],
        "uniform": [last, 1.0],
        "exponential": [1 / a if a else 0.0, 1.0],
        "gamma": [a / last, a],
        "lognormal": [math.exp(min(a, _LARGEST_LOG)), last],
    }
    return _CODES[prior.distribution], encoded.get(prior.distribution, [a, 1.0])


def decode_scale(name: str, code: int, encoded: Sequence[float], lower: float = 0.0) -> Prior:
    """The prior that ``encode_scale`` turned into data, of a quantity that begins at ``lower``."""
    distribution = next(k for k, v in _CODES.items() if v == code)
    scale, second = encoded
    arguments = {
        "half_student_t": (second, scale),
        "uniform": (0.0, scale),
        "exponential": (1 / scale,),
        "gamma": (second, second / scale),
        "lognormal": (math.log(scale), second),
    }
    return Prior(name=name, distribution=distribution, arguments=arguments.get(distribution, (scale,)), lower=lower)


def raw_support(code: int, lower: float = 0.0) -> tuple[float, float]:
    """The range of a positive quantity in units of its prior's scale, ``lower`` too: a uniform prior ends at 1."""
    return (lower, 1.0 if code == SCALE_CODES["uniform"] else math.inf)


@dataclass(frozen=True)
class PriorRow:
    """A row of a family's prior table: which parameter, what may be said, what it means, where it comes from.

    The meaning may have slots for one element's term (``elements.in_term``) and for what a group is called.
    """

    name: str
    distributions: tuple[str, ...]
    meaning: str
    source: str
    role: str = ""  # the column role whose unit the parameter has; empty: no unit
    lower: float = 0.0  # of a positive quantity: where its range begins; its prior is what it is above that, normalised

    @property
    def may_be_fixed(self) -> bool:
        """Whether a value may be given in place of a prior."""
        return FIXED in self.distributions


@dataclass(frozen=True)
class Prior:
    """A chosen prior: distribution and arguments, the reason, and whether it is the family's default.

    Above ``lower`` the distribution is cut and normalised; 0 cuts nothing.
    """

    name: str
    distribution: str
    arguments: tuple[float, ...]
    reason: str = ""
    default: bool = False
    lower: float = 0.0

    @property
    def text(self) -> str:
        """The prior as it is written in analysis.toml: ``normal(0, 5)``; a default one, computed, to nine digits."""
        arguments = map(nine_digits, self.arguments) if self.default else self.arguments
        return f"{self.distribution}({', '.join(_shortest(a) for a in arguments)})"

    @property
    def of_all(self) -> bool:
        """Whether it is of all elements of a vector together, the thresholds between categories: none has its own."""
        return self.distribution == "dirichlet"

    @property
    def _located(self) -> Located:
        return located(self.distribution, self.arguments)

    def log_density(self, x: FloatArray | float) -> FloatArray:
        """The normalised log density at ``x``, same shape; minus infinity outside the support.

        Of what is fixed, the log probability: 0 at its value. Where it is ``of_all`` elements, the last axis has one.
        """
        value = np.asarray(x, dtype=float)
        if self.of_all:
            return log_induced_dirichlet(value, self.arguments[0])[..., None]
        if self.distribution == FIXED:
            return np.where(value == self.arguments[0], 0.0, -np.inf)
        log_density = self._located.logpdf(value)
        if self.lower:
            return np.where(value < _JUST_BELOW * self.lower, -np.inf, log_density - math.log(self.above))
        return log_density

    @property
    def above(self) -> float:
        """The probability above ``lower`` of the distribution that is not cut there."""
        if self.distribution == FIXED or not self.lower:
            return 1.0
        return float(self._located.sf(self.lower))

    def cumulative(self, x: float) -> float:
        """The probability of a value up to ``x``."""
        if self.distribution == FIXED:
            return float(x >= self.arguments[0])
        if self.lower:
            whole = replace(self, lower=0.0)
            return max(whole.cumulative(x) - whole.cumulative(self.lower), 0.0) / self.above
        return float(self._located.cdf(x))

    def draw(self, rng: np.random.Generator, size: int) -> FloatArray:
        """``size`` independent draws."""
        if self.distribution == FIXED:
            return np.full(size, self.arguments[0])
        if self.lower:  # by the inverse of what the distribution has above
            return self._located.isf(rng.uniform(0, self.above, size))
        return self._located.draw(rng, size)


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
    given = _arguments(match[2], DISTRIBUTIONS[name], where)
    prior = Prior(name=parameter, distribution=name, arguments=given, reason="chosen in the analysis", lower=row.lower)
    _refuse_below(prior, where)
    return prior


def _refuse_below(prior: Prior, where: str) -> None:
    """Raise ModelError for a prior that has nothing, or nearly nothing, where its quantity may be."""
    if prior.distribution == FIXED and prior.arguments[0] < prior.lower:
        raise ModelError(f"{where}: {prior.text} is below {prior.lower:g}, the least that it may be.")
    if prior.above < _LEAST_ABOVE:
        raise ModelError(
            f"{where}: {prior.text} has next to nothing above {prior.lower:g}, the least that {prior.name} may be. "
            "Choose one that reaches further."
        )


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
