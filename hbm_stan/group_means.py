"""The means of groups in replicated data sets, for their intervals: of many groups not those of every data set."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hbm_stan.portions import portions
from hbm_stan.scratch import give_back, room
from hbm_stan.table import FloatArray

# Means that are held at once, and replications that are held in any case: for intervals hundreds are enough (ours).
MEANS, LEAST = 10**7, 400


class GroupMeans:
    """Means of groups in some of ``total`` replications, which come in blocks, each from equal distances.

    Of very many groups, the distances are counted through all blocks, for a block has few replications then.
    """

    def __init__(self, n_groups: int, n_draws: int, total: int, *, very_many: bool) -> None:
        self._every, self._seen, self._blocks = max(1, n_draws * n_groups // MEANS), 0, list[FloatArray]()
        self._held: FloatArray | None = None
        if very_many:
            self._every = math.ceil(total / max(LEAST, MEANS // n_groups))
            self._held = room((math.ceil(total / self._every), n_groups), f"replications of {n_groups:,} groups")

    def chosen(self, block: FloatArray) -> FloatArray:
        """The replications of the next block, (S, N), whose means are to be held."""
        first = 0 if self._held is None else -self._seen % self._every
        self._seen += len(block)
        return block[first :: self._every]

    def hold(self, means: FloatArray) -> None:
        """Hold the means, (S, J), of what was chosen last."""
        if self._held is None:
            self._blocks.append(means)
            return
        end = math.ceil(self._seen / self._every)
        self._held[end - len(means) : end] = means
        give_back(self._held)

    @property
    def outside(self) -> float:
        """The share of groups that chance alone leaves outside their 90 % interval.

        Of n replications that are like the data, a quantile of probability p has 1 + (n - 1) p of n + 1 below it in the
        mean, as it is interpolated (type 7 of Hyndman & Fan 1996, 10.2307/2684934): of hundreds more lie outside than a
        tenth, of thousands as good as a tenth.
        """
        if self._held is None:
            return 0.1
        n = len(self._held)
        return 2 * (1 + 0.05 * (n - 1)) / (n + 1)

    def quantiles(self, probabilities: Sequence[float]) -> FloatArray:
        """Quantiles over the replications, (probability, J)."""
        held = np.concatenate(self._blocks) if self._held is None else self._held
        quantiles = np.empty((len(probabilities), held.shape[1]))
        for some in portions(held.shape[1], len(held)):
            quantiles[:, some] = np.quantile(held[:, some], probabilities, axis=0)
            give_back(held)
        return quantiles
