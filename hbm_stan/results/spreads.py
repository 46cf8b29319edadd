"""How much groups differ, and whether that may be next to nothing: of one term of the group quantity."""

from __future__ import annotations

import numpy as np

from hbm_stan.between import Differences, over_the_data
from hbm_stan.diagnose import draws_of
from hbm_stan.fit import Fit
from hbm_stan.predict import raw_spread
from hbm_stan.predictors import INTERCEPT


def differences(fit: Fit, row: str, term: str) -> tuple[Differences, bool]:
    """The sd between groups of the term whose population scale is the parameter ``row``, beside that of the raw groups.

    Of an intercept it is the sd between the lines of groups over the data, for no data may be where it is; the second
    value says so.
    """
    lines = over_the_data(fit) if term == INTERCEPT else None
    if lines is not None:
        return lines, True
    return Differences(draws_of(fit, row), raw_spread(fit).get(term, np.nan)), False
