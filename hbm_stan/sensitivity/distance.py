"""How far weighted draws lie from the same draws without weights: the cumulative Jensen-Shannon distance.

Kallioinen, Paananen, Buerkner & Vehtari (2024), Statistics and Computing 34:57, equations 9 to 11; of ECDFs as in R's
priorsense and in ArviZ. The logs are to base 2.
"""

from __future__ import annotations

import math

import numpy as np

from hbm_stan.table import FloatArray


def distance(values: FloatArray, weights: FloatArray) -> float:
    """The distance between the draws ``values``, shape (S,), and the same with weights, (S,): 0 to 1.

    It is not the same from below and from above: the larger of the two.
    """
    order = np.argsort(values)
    widths, sorted_weights = np.diff(values[order]), weights[order]
    return max(_from_below(widths, sorted_weights), _from_below(widths[::-1], sorted_weights[::-1]))


def _from_below(widths: FloatArray, weights: FloatArray) -> float:
    """The distance of two ECDFs from the gaps between draws, (S - 1,), and the weights of draws in that order, (S,)."""
    plain = np.linspace(1 / len(weights), 1 - 1 / len(weights), len(widths))
    weighted = np.cumsum(weights / weights.sum())[:-1]
    areas = float(widths @ plain), float(widths @ weighted)
    log_middle = _log2((plain + weighted) / 2)
    excess = (areas[1] - areas[0]) / (2 * math.log(2))
    one = float(widths @ (plain * (_log2(plain) - log_middle))) + excess
    other = float(widths @ (weighted * (_log2(weighted) - log_middle))) - excess
    with np.errstate(invalid="ignore"):  # draws that are all equal lie nowhere
        return float(np.sqrt((max(0.0, one) + max(0.0, other)) / (areas[0] + areas[1])))


def _log2(share: FloatArray) -> FloatArray:
    """log2, 0 where the share is 0: it multiplies that share."""
    return np.log2(share, out=np.zeros_like(share), where=share != 0)


def sensitivity(values: FloatArray, lower: FloatArray, upper: FloatArray, alphas: tuple[float, float]) -> FloatArray:
    """The mean derivative of the distance at power 1, of each row of values (Q, S), in log2 of the power.

    ``lower`` and ``upper`` are the weights (S,) under the powers ``alphas`` below and above 1.
    """
    derivatives = [
        (distance(row, upper) / np.log2(alphas[1]) - distance(row, lower) / np.log2(alphas[0])) / 2 for row in values
    ]
    return np.array(derivatives, dtype=float)
