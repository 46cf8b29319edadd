"""Successes of trials, or 0 and 1, with the common and varying coefficients of a formula."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hbm_stan.errors import DataError
from hbm_stan.families.terms.data import summed_cells
from hbm_stan.families.terms.family import Parts, family_of
from hbm_stan.families.terms.priors import scale_of_successes
from hbm_stan.likelihoods.binomial import LIKELIHOOD
from hbm_stan.model import StanData
from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior


def refuse_no_trials(table: Prepared) -> None:
    """Raise DataError where a row has no trials."""
    none = np.flatnonzero(table["trials"] == 0)
    if len(none):
        row = table.row_names[int(none[0])]
        raise DataError(
            f"{table.dataset.table.where}, column {table.dataset.column('trials')!r}: {row} has 0 trials, which say "
            "nothing about a probability. Take the row out."
        )


def _outcome(table: Prepared, priors: Mapping[str, Prior]) -> StanData:
    """Raises DataError where a row has no trials."""
    refuse_no_trials(table)
    rows = {"y": table["outcome"].astype(np.int64), "trials": table["trials"].astype(np.int64)}
    return {**summed_cells(table, priors, "trials"), **rows}


FAMILY = family_of(
    LIKELIHOOD,
    Parts(
        outcome=_outcome,
        scale=scale_of_successes,
        calibration={
            "beta": "normal(0, 0.7)", "beta[anger]": "normal(0.05, 0.1)", "tau": "half_normal(1)",
            "sd": "half_normal(1)", "theta": "normal(0, 1.5)",
        },
    ),
)  # fmt: skip
