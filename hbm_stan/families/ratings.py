"""Are small whole numbers ratings, or counts? By which of the two makes their shares likelier."""

from __future__ import annotations

import math

import numpy as np

from hbm_stan.later import gammaln, logsumexp
from hbm_stan.table import FloatArray

# Scales of answers seldom have more steps; of those up to the highest that occurs at most one, or such a share, is
# without a row (ours).
MOST, UNUSED = 10, 0.2
# Ratings are taken for ratings where their shares are so many times as likely as those of counts (ours). Of simulated
# tables of 40 to 1,000 rows that is so for at most 1.2 % of counts, also of those that have no 0 by design, and from 72
# rows on for at least 93 % of most ratings (reports/ratings.md); a test simulates some of each.
LIKELIER = 20.0
# Counts of this mean, and of variance mean + mean^2 / shape, the last as good as Poisson: what is averaged over (ours).
_MEANS = np.exp(np.linspace(math.log(0.2), math.log(12.0), 40))
_SHAPES = np.array([0.7, 1.5, 3.0, 8.0, 30.0, 1e4])


def is_scale(values: FloatArray) -> bool:
    """Whether numbers could be steps of a scale: whole, from 0 or 1 to at most 10, nearly all of them used."""
    if not np.all(values == np.floor(values)) or values.min() < 0 or values.max() > MOST:
        return False
    used, steps = len(np.unique(values)), values.max() + 1 - _first(values)
    return bool(used > 1 and steps - used <= max(1, UNUSED * steps))


def are_ratings(values: FloatArray) -> bool:
    """Whether steps of a scale are ratings rather than counts."""
    return is_scale(values) and log_odds(values) > math.log(LIKELIER)


def log_odds(values: FloatArray) -> float:
    """log of p(values | ratings) / p(values | counts) of a scale.

    Ratings: shares of 1 (or 0) to K, all alike likely, K any up to 10. Counts: negative binomial as they are, or, of a
    scale from 1, those above 0 only, whichever is likelier.
    """
    first, rows = _first(values), np.bincount(values.astype(np.int64))
    steps, last = len(rows) - first, len(rows) - 1
    ratings = gammaln(steps) + gammaln(rows[first:] + 1).sum() - gammaln(len(values) + steps) - math.log(MOST - 1)
    count, mean, shape = np.arange(last + 1)[:, None, None], _MEANS[:, None], _SHAPES
    log_p = (
        gammaln(count + shape) - gammaln(shape) - gammaln(count + 1)
        + shape * np.log(shape / (shape + mean)) + count * np.log(mean / (shape + mean))
    )  # fmt: skip
    counts = np.tensordot(rows, log_p, axes=1)
    above_zero = counts - first * len(values) * np.log1p(-np.exp(log_p[0]))
    return float(ratings - max(logsumexp(counts), logsumexp(above_zero)) + math.log(counts.size))


def _first(values: FloatArray) -> int:
    """The first step of the scale: 1, or 0 where that occurs."""
    return min(1, int(values.min()))
