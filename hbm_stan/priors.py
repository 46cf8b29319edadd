"""Priors as data: a text such as ``half_cauchy(5)``, checked, with its density in NumPy and SciPy."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hbm_stan.errors import ModelError, nearest
from hbm_stan.table import FloatArray, number, shorten


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
    )
}


@dataclass(frozen=True)
class PriorRow:
    """A row of a family's prior table: which parameter, what may be said, what it means, where it comes from."""

    name: str
    distributions: tuple[str, ...]
    meaning: str
    source: str
    role: str  # the column role whose unit the parameter has


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
        """The prior as it is written in analysis.toml: ``normal(0, 5)``."""
        return f"{self.distribution}({', '.join(_shortest(a) for a in self.arguments)})"

    @property
    def scale(self) -> float:
        """The argument that sets the width: the scale, or the upper end of a uniform."""
        return self.arguments[-1]

    @property
    def upper(self) -> float:
        """The end of the support: infinite for all but the uniform."""
        return self.arguments[1] if self.distribution == "uniform" else math.inf

    def _frozen(self) -> Any:
        from scipy import stats

        a = self.arguments
        return {
            "normal": lambda: stats.norm(*a),
            "half_normal": lambda: stats.halfnorm(0, *a),
            "half_cauchy": lambda: stats.halfcauchy(0, *a),
            "half_student_t": lambda: stats.t(a[0], 0, a[-1]),
            "uniform": lambda: stats.uniform(a[0], a[-1] - a[0]),
        }[self.distribution]()

    def log_density(self, x: FloatArray | float) -> FloatArray:
        """The normalised log density at ``x``, same shape; minus infinity outside the support."""
        value = np.asarray(x, dtype=float)
        log_density = np.asarray(self._frozen().logpdf(value))
        if self.distribution == "half_student_t":
            return np.where(value < 0, -np.inf, math.log(2) + log_density)
        return log_density

    def draw(self, rng: np.random.Generator, size: int) -> FloatArray:
        """``size`` independent draws."""
        draws = np.asarray(self._frozen().rvs(size=size, random_state=rng), dtype=float)
        return np.abs(draws) if self.distribution == "half_student_t" else draws


def parse_prior(text: str, row: PriorRow) -> Prior:
    """The prior in a text such as ``normal(0, 5)``, checked against what the family's row allows."""
    where = f"Prior of {row.name}"
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
    return Prior(row.name, name, arguments, "chosen in the analysis")


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
    if distribution.name == "uniform" and values[0] != 0:
        raise ModelError(f"{where}: a uniform prior of a scale starts at 0, found {pieces[0]!r}.")
    return values


def _shortest(value: float) -> str:
    """The shortest text that gives the number back: two priors with one text would share their draws."""
    short = f"{value:g}"
    return short if float(short) == value else repr(value)
