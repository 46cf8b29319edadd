"""Counts with extra zeros: a row is 0 with probability zi, else a count of another likelihood (Lambert 1992).

The log odds of an extra zero are a sum of columns of their own. A row of 0 may be either: log p is log(zi + (1 - zi)
p0), which is not log-concave in eta, for a row that is an extra zero says nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hbm_stan.later import expit
from hbm_stan.likelihoods.coefficients import coefficients, combined
from hbm_stan.likelihoods.likelihood import OWN_COLUMNS, Likelihood, Own, Residual, Rows, some_rows
from hbm_stan.priors import PriorRow
from hbm_stan.table import FloatArray

ZI = "zi"
CITATION = "Lambert (1992), Technometrics 34:1"
# Events that a row of 0 is taken to expect where a search for maxima begins with what rows say: its log p is greatest
# at none, and there within a tenth of that (ours).
_FEW = 0.1
# Where rows are fitted without a posterior: steps, and the sd of log odds that keeps them finite, that of the default
# prior for one sd of a column.
_STEPS, _WIDE = 20, 1.5
_NEVER = 1e-100  # probability of a count that rounding leaves: weights stay above 0

# What counts have of their own by moments, each row counted with its probability: (eta, rows, probability, freedom)
About = Callable[[FloatArray, Rows, FloatArray, float], Own]


def shares(rows: Rows, own: Own) -> FloatArray:
    """The probability that a row is an extra zero, (..., N)."""
    return np.asarray(expit(combined(ZI, rows, own)))


def count_shares(plain: Likelihood, eta: FloatArray, rows: Rows, own: Own) -> FloatArray:
    """The probability that a row is a count and no extra zero, given its outcome, the shape of eta."""
    probability, zero = np.ones(eta.shape), _rows_of_zero(rows)
    some = some_rows(rows, zero)
    odds = expit(plain.kernel(eta[..., zero], some, own) - combined(ZI, some, own))
    probability[..., zero] = np.maximum(odds, _NEVER)
    return probability


def _rows_of_zero(rows: Rows) -> npt.NDArray[np.int64]:
    return np.flatnonzero(np.equal(rows["y"], 0))


def zero_inflated(plain: Likelihood, name: str, title: str, about: About, **changed: Any) -> Likelihood:
    """The likelihood with extra zeros of one of counts, whose kernel is the whole log probability of 0."""

    def kernel(eta: FloatArray, rows: Rows, own: Own) -> FloatArray:
        log_odds, log_p, zero = combined(ZI, rows, own), plain.kernel(eta, rows, own), _rows_of_zero(rows)
        log_p[..., zero] = np.logaddexp(log_odds[..., zero], log_p[..., zero])
        return np.asarray(log_p - np.logaddexp(0, log_odds))

    def of_counts(function: Callable[..., FloatArray]) -> Callable[[FloatArray, Rows, Own], FloatArray]:
        """What a row says times the probability that it is a count: the score, and what is expected of minus the second
        derivative if it were known which rows are extra zeros, which is never below that of log p."""
        return lambda eta, rows, own: np.asarray(count_shares(plain, eta, rows, own) * function(eta, rows, own))

    def expected(eta: FloatArray, rows: Rows, own: Own) -> FloatArray:
        none = {**rows, "y": np.zeros(np.shape(rows["y"]))}
        p0, slope = np.exp(plain.kernel(eta, none, own)), plain.score(eta, none, own)
        lost = p0 * slope**2 * (1 - count_shares(plain, eta, none, own))
        return np.asarray((1 - shares(rows, own)) * (plain.information(eta, rows, own) - lost))

    def moments(eta: FloatArray, rows: Rows, own: Own) -> tuple[FloatArray, FloatArray]:
        (mean, variance), zi = plain.moments(eta, rows, own), shares(rows, own)
        return np.asarray((1 - zi) * mean), np.asarray((1 - zi) * (variance + zi * mean**2))

    def simulate(rng: np.random.Generator, eta: FloatArray, rows: Rows, own: Own) -> FloatArray:
        extra = rng.uniform(size=eta.shape) < shares(rows, own)
        return np.where(extra, 0.0, plain.simulate(rng, eta, rows, own))

    likelihood = replace(
        plain, name=name, title=title, citation=CITATION, kernel=kernel, score=of_counts(plain.score),
        weight=of_counts(plain.weight), expected=expected, simulate=simulate, moments=moments, peak=_peak,
        own_about=_own_about(plain, about), residual=_residual(plain), counts=plain,
        vectors=(coefficients(ROW, "extra zeros"),),
        measure=replace(plain.measure, apart="extra zeros apart"), wider="",
        rows_words=f"zero-inflated {plain.rows_words}",
    )  # fmt: skip
    return replace(likelihood, **changed)


ROW = PriorRow(
    name=ZI,
    distributions=("normal",),
    meaning="log odds of an extra zero, by column; the intercept's at the means of the columns",
    source=CITATION,
)


def _peak(rows: Rows) -> FloatArray:
    return np.asarray(np.log(np.maximum(rows["y"], _FEW) / rows["exposure"]))


def _residual(plain: Likelihood) -> Residual:
    """That of a single count: its variance over its squared mean is 1/m + (zi + overdispersion^2) / (1 - zi)."""

    def variance(rows: Rows, own: Own) -> FloatArray:
        zi = expit(np.asarray(own[ZI]) @ np.asarray(rows[f"{OWN_COLUMNS}{ZI}"], dtype=float).T).mean(axis=-1)
        y = np.asarray(rows["y"], dtype=float)
        of_mean = len(y) / (y.sum() + 0.5)
        beyond = np.expm1(plain.residual.variance(rows, own)) - of_mean
        return np.asarray(np.log1p(of_mean + (beyond + zi) / (1 - zi)))

    note = (
        "On the scale of log rates a single count has the variance log(1 + v/m²), m and v being mean and variance of "
        "the counts, extra zeros among them (the lognormal approximation of Nakagawa, Johnson & Schielzeth 2017)."
    )
    return Residual(name=plain.residual.name, note=note, variance=variance)


def _own_about(plain: Likelihood, about: About) -> Callable[[FloatArray, Rows, float, Own], Own]:
    """By expectation and maximisation: which zeros are counts, then log odds and what counts have of their own."""

    def own_about(eta: FloatArray, rows: Rows, freedom: float, _fixed: Own) -> Own:
        x = np.asarray(rows[f"{OWN_COLUMNS}{ZI}"], dtype=float)
        precision = np.diag((np.sqrt((x**2).mean(axis=0)) / _WIDE) ** 2)
        zi = np.zeros(x.shape[1])
        count_own = about(eta, rows, np.ones(len(x)), freedom)
        for _ in range(_STEPS):
            own = {**count_own, ZI: zi[None]}
            count, expected = count_shares(plain, eta, rows, own), expit(x @ zi)
            gradient = x.T @ (1 - count - expected) - precision @ zi
            zi = zi + np.linalg.solve((x.T * (expected * (1 - expected))) @ x + precision, gradient)
            count_own = about(eta, rows, count, freedom)
        return {**count_own, ZI: zi[None]}

    return own_about
