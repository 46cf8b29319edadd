"""The log density of a normal, which nearly every family asks for.

SciPy's ``norm.logpdf`` gives the same numbers to rounding in three times the time, and ``scipy.stats`` takes a tenth of
a report's seconds to import.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

_HALF_LOG_2_PI = 0.5 * math.log(2 * math.pi)


def normal_logpdf(x: npt.ArrayLike, location: npt.ArrayLike = 0.0, scale: npt.ArrayLike = 1.0) -> Any:
    """log of the normal density at ``x``, in the shape that the three arguments broadcast to.

    ``scale`` is the standard deviation; where it is not above zero the answer is nan, as SciPy's is.
    """
    sd = np.asarray(scale, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        z = (np.asarray(x, dtype=float) - location) / sd
        return -0.5 * z * z - np.log(sd) - _HALF_LOG_2_PI
