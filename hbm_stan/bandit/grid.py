"""Where the nodes of the population's grid lie: about the mode, on log scales, as wide as the posterior is there.

The rule is the trapezoidal one, which is exact to rounding for a smooth density whose ends carry no mass, once the
nodes are at most about one sd apart (Trefethen and Weideman 2014, SIAM Review 56). The width of mu depends strongly on
kappa: two arms with thousands of trials know mu to a percent if arms are alike, and hardly at all if they are not. So
the log odds of mu have, at each kappa, nodes of their own: about their mode there, in units of their sd there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hbm_stan.bandit.evidence import Evidence
from hbm_stan.errors import ModelError
from hbm_stan.later import logit
from hbm_stan.table import FloatArray

# Kappa by mu. For steps few, for a decision four times as many, so that single rates too are smooth mixtures.
STEPS, DECISION = (41, 29), (81, 61)
# Where the density has fallen by this logarithm, 2e-9 of its height, a grid may end.
_NOTHING = 20.0
_FIRST = (-12.0, 24.0)  # of log kappa: where the mass is first looked for
_WIDEST = 650.0  # of log kappa: exp of more is no number
_REACH, _GROW = 2.0, 1.15  # in sds: where the search for such an end starts, and the factor of its steps
_ROUNDS = 60
_CLOSE = 1e-3  # sds: a mode is near enough
_LEAST_CURVATURE = 1e-2  # an sd of 10 log odds: from rates of 0 to rates of 1
_LOG_ODDS = 300.0  # beyond these a rate is 0 or 1


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Nodes of log odds of mu, shape (Z, T), and of log kappa, (Z, 1); log weight of each slice of kappa, (Z, 1)."""

    logit: FloatArray
    log_kappa: FloatArray
    log_width: FloatArray
    log_density: FloatArray

    @property
    def ends(self) -> tuple[float, float]:
        """The lowest and the highest log kappa."""
        return float(self.log_kappa[0, 0]), float(self.log_kappa[-1, 0])


def lay_grid(evidence: Evidence, shape: tuple[int, int] = STEPS, about: tuple[float, float] = _FIRST) -> Grid:
    """The grid of a population, ``shape`` nodes of kappa by mu; ``about`` is where log kappa is looked for first."""
    low, high = _ends_of_kappa(evidence, about, shape[0])
    log_kappa = np.linspace(low, high, shape[0])
    mode, sd = _modes(evidence, log_kappa)
    z = log_kappa[:, None]
    below, above = _ends_of_mu(evidence, z, mode, sd)
    nodes = below + (above - below) * np.linspace(0, 1, shape[1])
    log_density = evidence.log_density(nodes, z)
    return Grid(logit=nodes, log_kappa=z, log_width=np.log(above - below), log_density=log_density)


def _ends_of_mu(
    evidence: Evidence, log_kappa: FloatArray, mode: FloatArray, sd: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Where, at each kappa, the density of log odds has fallen to nothing on either side of its mode, (Z, 1) each."""
    m, s = mode[:, None], sd[:, None]
    least = evidence.log_density(m, log_kappa).max() - _NOTHING
    reach = np.repeat([[-_REACH, _REACH]], len(mode), axis=0)
    for _ in range(_ROUNDS):
        ends = np.clip(m + s * reach, -_LOG_ODDS, _LOG_ODDS)
        grow = evidence.log_density(ends, log_kappa) > least
        if not grow.any():
            return ends[:, :1], ends[:, 1:]
        if (grow & (np.abs(ends) >= _LOG_ODDS)).any():
            break
        reach = np.where(grow, _GROW * reach, reach)
    raise ModelError(
        f"The posterior of mu has no end: its prior {evidence.prior_mu.text} leaves mass at rates beyond all numbers. "
        "Take one with larger arguments, such as beta(1, 1)."
    )


def _ends_of_kappa(evidence: Evidence, about: tuple[float, float], n: int) -> tuple[float, float]:
    """The range of log kappa that holds the mass: widened while an end holds some, narrowed to what holds some.

    The mass at a kappa is that of a normal density about its mode (Laplace); only to find a range.
    """
    low, high = about
    for _ in range(_ROUNDS):
        log_kappa = np.linspace(low, high, n)
        mode, width = _modes(evidence, log_kappa)
        profile = evidence.log_density(mode[:, None], log_kappa[:, None])[:, 0] + np.log(width)
        held = np.flatnonzero(profile > profile.max() - _NOTHING)
        first, last, step = held[0], held[-1], log_kappa[1] - log_kappa[0]
        grow = (high - low) / 2
        if first == 0 or last == n - 1:
            low, high = low - grow * (first == 0), high + grow * (last == n - 1)
        elif last - first >= n // 2:
            return float(log_kappa[first - 1]), float(log_kappa[last + 1])
        else:
            low, high = log_kappa[first] - step, log_kappa[last] + step
        if max(-low, high) > _WIDEST:
            break
    raise ModelError(
        f"The posterior of kappa has no end: its prior {evidence.prior_kappa.text} leaves mass beyond all numbers. "
        "Take a prior with lighter tails, such as lognormal(3, 2)."
    )


def _modes(evidence: Evidence, log_kappa: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The mode of the log odds of mu at each kappa, and the sd there by the curvature, shape (Z,) each.

    The density of mu is log-concave at each kappa (sums of log(mu kappa + i) are), so there is one mode: Newton's
    steps where they stay in the bracket, halves of it elsewhere.
    """
    a, b = evidence.powers
    x = np.full(log_kappa.shape, float(logit(a / (a + b))))
    low, high = np.full_like(x, -_LOG_ODDS), np.full_like(x, _LOG_ODDS)
    for _ in range(_ROUNDS):
        first, second = evidence.slope(x, log_kappa)
        low, high = np.where(first > 0, x, low), np.where(first > 0, high, x)
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = x - first / second
        good = (second < 0) & (newton >= low) & (newton <= high)
        moved = np.where(good, newton, (low + high) / 2) - x
        x = x + moved
        if ((second < 0) & (moved**2 * -second < _CLOSE**2)).all():
            break
    _, second = evidence.slope(x, log_kappa)
    return x, 1 / np.sqrt(np.maximum(-second, _LEAST_CURVATURE))
