"""What a repair may cost: a number of refits for each variant, and minutes in all."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from hbm_stan.errors import ComparisonError


@dataclass(frozen=True)
class Budget:
    """``max_refits`` exact refits of each variant and target, ``minutes`` in all; 0 refits: nothing is repaired.

    Ten refits is what brms does before it turns to 10-fold cross-validation.
    """

    max_refits: int = 10
    minutes: float = 10.0
    started: float = field(default_factory=time.monotonic, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.max_refits, bool) or not isinstance(self.max_refits, int) or self.max_refits < 0:
            raise ComparisonError(f"max_refits must be a whole number, 0 or more; got {self.max_refits!r}.")
        number = isinstance(self.minutes, int | float) and not isinstance(self.minutes, bool)
        if not number or not 0 <= self.minutes < math.inf:
            raise ComparisonError(f"minutes must be a number, 0 or more; got {self.minutes!r}.")

    @property
    def seconds_left(self) -> float:
        """What is left of the minutes, counted from when the budget was made."""
        return 60 * self.minutes - (time.monotonic() - self.started)

    @property
    def spent(self) -> bool:
        """Whether the minutes are over."""
        return self.seconds_left <= 0
