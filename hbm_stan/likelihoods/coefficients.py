"""Own parameters that are coefficients of columns by a formula of their own, with a normal prior each."""

from __future__ import annotations

import numpy as np

from hbm_stan.likelihoods.likelihood import OWN_COLUMNS, Own, OwnVector, Rows
from hbm_stan.normal_density import normal_logpdf
from hbm_stan.priors import PriorRow
from hbm_stan.table import FloatArray


def coefficients(row: PriorRow, share: str = "") -> OwnVector:
    """The vector of a row of the prior table: programs sample it in units of the priors in ``prior_<name>`` (Q, 2).

    ``share`` is what has the odds whose logs they add up to.
    """

    def prior(data: Rows) -> FloatArray:
        """Locations and scales, (2, Q)."""
        return np.asarray(data[f"prior_{row.name}"], dtype=float).reshape(-1, 2).T

    def from_raw(raw: FloatArray, data: Rows) -> FloatArray:
        location, scale = prior(data)
        return np.asarray(location + scale * raw)

    return OwnVector(
        row=row,
        dim=f"{row.name}_column",
        log_prior=lambda value, data: float(normal_logpdf(value, *prior(data)).sum()),
        draw=lambda rng, data, size: rng.normal(*prior(data), size=(size, prior(data).shape[1])),
        from_raw=from_raw,
        start=lambda data: np.zeros((1, prior(data).shape[1])),
        by_formula=True,
        share=share,
    )


def combined(name: str, rows: Rows, own: Own) -> FloatArray:
    """What the coefficients of that name add up to in each row, (..., N)."""
    return np.asarray(np.asarray(own[name])[..., 0, :] @ np.asarray(rows[f"{OWN_COLUMNS}{name}"], dtype=float).T)
