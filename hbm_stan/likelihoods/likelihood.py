"""How a row depends on its linear predictor eta: what the models of all formulas need of a distribution, in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hbm_stan.prepare import Role
from hbm_stan.priors import PriorRow
from hbm_stan.table import FloatArray

Rows = Mapping[str, Any]  # data by row: y, and trials, exposure or se, (N,)
# The likelihood's own parameters, in a shape that fits eta's; a vector has its elements beyond the axis of rows.
Own = Mapping[str, FloatArray]

# What data hold by row: the outcome, what it comes from, and columns of own parameters, X_ and the parameter's name.
_BY_ROW, OWN_COLUMNS = ("y", "trials", "exposure", "se"), "X_"

# Stan's poisson_log_rng takes log means up to 30 log(2), expected counts of 2^30; only priors alone go beyond.
LARGEST_MEAN = 2.0**30


def some_rows(rows: Rows, taken: Any) -> dict[str, Any]:
    """The data of rows, of some of them only."""
    by_row = (name for name in rows if name in _BY_ROW or name.startswith(OWN_COLUMNS))
    return {name: np.asarray(rows[name])[taken] for name in by_row}


@dataclass(frozen=True, kw_only=True)
class Residual:
    """What factors leave of the variance of a row, on the scale of eta: what a share of variance is a share of.

    ``variance(rows, own)`` is a number or (S,), ``name`` its row in a table, ``note`` how it is known.
    """

    name: str
    note: str
    variance: Callable[[Rows, Own], FloatArray]


# Columns whose names say no more than that something was counted.
_COUNTS = {"count", "counts", "n", "number"}


@dataclass(frozen=True)
class Measure:
    """What a number of the outcome is called: ``rate`` (of calls), ``mean`` (cost); ``apart`` is what it leaves out."""

    word: str
    of: bool = True  # whether it is that "of" the outcome
    plural: bool = False
    apart: str = ""

    @property
    def words(self) -> str:
        """The measure, to stand before "of" and its value."""
        return f"{self.word}, {self.apart}," if self.apart else self.word

    def of_outcome(self, outcome: str) -> str:
        """The measure of an outcome: rate of calls, mean cost; of a column that is called count the rate alone."""
        if self.of and outcome.casefold() in _COUNTS and self.word == "rate":
            return self.word
        return f"{self.word} {'of ' * self.of}{outcome}"


MEAN, MEDIAN = Measure("mean", of=False), Measure("median", of=False)
RATE, RATIO, ODDS = Measure("rate"), Measure("ratio"), Measure("odds", plural=True)


@dataclass(frozen=True, kw_only=True)
class OwnVector:
    """An own parameter that is a vector of real numbers, as ``Likelihood.own`` has those that are positive scales.

    log_prior(value, data)   the log density of its prior at one point (size,)
    draw(rng, data, size)    draws from its prior, (size, elements)
    from_raw(raw, data)      the vector at one point from what programs sample, called ``<name>_raw``; None where
                             they sample the vector itself
    start(data)              a value that no fit was needed for, (1, elements)
    """

    row: PriorRow
    dim: str  # what its elements are called in a family's dims; their labels are among the family's coords
    log_prior: Callable[[FloatArray, Rows], float]
    draw: Callable[[np.random.Generator, Rows, int], FloatArray]
    from_raw: Callable[[FloatArray, Rows], FloatArray] | None = None
    start: Callable[[Rows], FloatArray]
    by_formula: bool = False  # coefficients of columns that a formula of its own gives, ``X_<name>`` (N, elements)
    share: str = ""  # where they add up to log odds: what has these odds, such as extra zeros


@dataclass(frozen=True, kw_only=True)
class Likelihood:
    """A distribution of rows given eta. One file for each; the functions are written from ``citation``.

    eta has any shape that ends with the rows, (..., N); own parameters come in a shape that fits it.

    kernel(eta, rows, own)   log p(y | eta) but for what does not depend on eta nor on own parameters
    constant(rows)           the rest, (N,): log p is the sum of the two
    score(eta, rows, own)    first derivative of log p in eta
    weight(eta, rows, own)   minus its second derivative, above 0; where that can be below 0, what is expected of it, of
                             rows that may be extra zeros given their outcome (``counts``)
    expected(eta, rows, own)  what is expected of minus the second derivative, the Fisher information of eta, where that
                             is not minus the second derivative itself, as it is of canonical links; None too where
                             it has no closed form, and what is seen stands for it
    majorant(eta, rows, own)  of a likelihood that is not log-concave: the weights of parabolas that touch log p at eta
                             and lie below it everywhere: steps to their maximum never go down (Lange, Hunter & Yang
                             2000, Journal of Computational and Graphical Statistics 9:1). None where weight serves
    peak(rows)               of a likelihood that is not log-concave: the eta with the greatest log p of each row, or
                             all but that, (N,)
    counts                   of a likelihood with extra zeros: that of the rows that are none; its weight times the
                             probability of one is the weight
    row_weights(eta, rows, own)  how much a row says of eta as a share of what one at its mean would, 0 to 1; None where
                             all say the same, whatever their outcome
    simulate(rng, eta, rows, own)  outcomes
    moments(eta, rows, own)  mean and variance of an outcome
    own_about(eta, rows, freedom, fixed)  own parameters that fit rows about eta (N,) with so many degrees of freedom,
                             (1,) each (of vectors (1, elements)), those in ``fixed`` being known; nan where rows do
                             not tell
    precision(rows)          of a likelihood that is normal about eta: 1 / variance of each row, times sigma^2 where
                             sigma is an own parameter. None for others: their integrals have no closed form
    logs                     of such a likelihood, whether what is normal is the log of the outcome
    """

    name: str
    title: str
    citation: str
    math: tuple[str, ...]  # Typst mathematics
    roles: tuple[Role, ...]  # of the left-hand side, the outcome first
    kernel: Callable[[FloatArray, Rows, Own], FloatArray]
    constant: Callable[[Rows], FloatArray]
    score: Callable[[FloatArray, Rows, Own], FloatArray]
    weight: Callable[[FloatArray, Rows, Own], FloatArray]
    expected: Callable[[FloatArray, Rows, Own], FloatArray] | None = None
    simulate: Callable[[np.random.Generator, FloatArray, Rows, Own], FloatArray]
    moments: Callable[[FloatArray, Rows, Own], tuple[FloatArray, FloatArray]]
    precision: Callable[[Rows], FloatArray] | None = None
    logs: bool = False
    majorant: Callable[[FloatArray, Rows, Own], FloatArray] | None = None
    peak: Callable[[Rows], FloatArray] | None = None
    row_weights: Callable[[FloatArray, Rows, Own], FloatArray] | None = None
    inverse_link: Callable[[FloatArray], FloatArray]  # eta -> the mean of one trial or one unit of exposure
    residual: Residual
    counts: Likelihood | None = None
    own: tuple[PriorRow, ...] = ()  # rows of the prior table for own parameters that are positive numbers
    vectors: tuple[OwnVector, ...] = ()  # own parameters that are vectors of real numbers
    own_about: Callable[[FloatArray, Rows, float, Own], Own] = lambda _eta, _rows, _freedom, _fixed: {}
    known_residual: bool = True  # no residual scale: a row says something by itself
    size: str = ""  # data that the outcome is divided by before groups are compared: trials, exposure
    eta_unit: str = ""  # log odds, log rate; empty: the unit of the outcome
    measure: Measure = MEAN  # what the inverse link of eta is: probability, rate
    shared_words: str = ""  # what groups share without pooling too, which none could learn alone
    ratio_words: str = ""  # what exp(coefficient) is: odds ratio, rate ratio; empty where it is nothing
    factor: Measure | None = None  # what exp(coefficient) multiplies: the odds, the rate; None where it is nothing
    ratio_note: str = ""  # what it is a ratio of, where the outcome does not say: odds of a higher category
    rows_words: str  # what rows are: Poisson counts
    ladder: str  # the kind of outcome; likelihoods of one kind can be compared for the same rows
    wider: str = ""  # the likelihood whose rows spread more
    sampled: bool = False  # those of other factors than the group are sampled, although all have a closed integral
    many_crossed: str = ""  # the same likelihood with that, for more crossed coefficients than can be integrated out

    @property
    def integrated(self) -> bool:
        """Whether programs have varying coefficients integrated out, in closed form."""
        return self.precision is not None and not self.sampled

    @property
    def own_formulas(self) -> tuple[str, ...]:
        """The own parameters that are coefficients of columns by a formula of their own."""
        return tuple(vector.row.name for vector in self.vectors if vector.by_formula)

    @property
    def shares(self) -> dict[str, str]:
        """The own parameters that add up to the log odds of a share, and what it is the share of."""
        return {vector.row.name: vector.share for vector in self.vectors if vector.share}

    @property
    def own_rows(self) -> tuple[PriorRow, ...]:
        """The rows of the prior table for all own parameters, vectors last."""
        return (*self.own, *(vector.row for vector in self.vectors))

    def information(self, eta: FloatArray, rows: Rows, own: Own) -> FloatArray:
        """The Fisher information of eta, the shape of eta."""
        return np.asarray((self.expected or self.weight)(eta, rows, own))

    def normal_outcome(self, rows: Rows) -> FloatArray:
        """What is normal about eta, (N,): the outcome or its log."""
        y = np.asarray(rows["y"], dtype=float)
        return np.log(y) if self.logs else y

    def log_scale(self, rows: Rows) -> FloatArray:
        """log of 1 / sd of each row, times sigma where it is an own parameter, and of the Jacobian of logs, (N,)."""
        if self.precision is None:
            raise TypeError(f"{self.name} is not normal: its integrals have no closed form")
        return np.asarray(np.log(self.precision(rows)) / 2 - (self.normal_outcome(rows) if self.logs else 0.0))

    def log_p(self, eta: FloatArray, rows: Rows, own: Own) -> FloatArray:
        """log p(y_n | eta_n), the shape of eta."""
        return np.asarray(self.kernel(eta, rows, own) + self.constant(rows))

    @property
    def full_steps(self) -> bool:
        """Whether a full step never goes down: log p is a parabola in eta, or the step is that of one below it."""
        return self.precision is not None or self.majorant is not None

    def step_weight(self, eta: FloatArray, rows: Rows, own: Own) -> FloatArray:
        """The weights of rows in a step towards the maximum over eta: Newton's, or those of parabolas below log p."""
        return (self.majorant or self.weight)(eta, rows, own)
