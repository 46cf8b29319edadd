"""Known standard errors: which estimates say something of the scale of the data, and whether they are credible."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hbm_stan.table import FloatArray, shorten
from hbm_stan.verdicts import Verdict

# An estimate with a standard error above so many times the lower quartile of all of them has less than 1/25 of the
# weight of a good one, and says nothing of how much groups differ (ours). The quartile, for it holds where up to three
# quarters of the estimates say nothing, and no single estimate moves it far, however exact.
UNINFORMATIVE = 5.0
# Six orders of magnitude between standard errors are rather two units in one column, or a placeholder (ours).
SPAN = 1e6


def informative(se: FloatArray) -> npt.NDArray[np.bool_]:
    """Which estimates are measured well enough to say something of the scale of the data, (J,); two at least."""
    return np.asarray(se <= UNINFORMATIVE * np.quantile(se, 0.25))


def check_standard_errors(se: FloatArray, labels: Sequence[str], column: str) -> list[Verdict]:
    """A warning where the standard errors span more than six orders of magnitude."""
    low, high = int(np.argmin(se)), int(np.argmax(se))
    span = float(se[high] / se[low])
    if span <= SPAN:
        return []
    hint = (
        f"The standard errors in {column!r} span {np.log10(span):.0f} orders of magnitude: {se[low]:g} of "
        f"{shorten(labels[low])!r}, {se[high]:g} of {shorten(labels[high])!r}. The first is taken as known almost "
        "exactly, the other as saying nothing. Are both in the unit of the estimate, and is neither a placeholder?"
    )
    return [
        Verdict(name="span of standard errors", status="warn", value=span, threshold=SPAN, hint=hint, subject=column)
    ]
