"""A verdict is data, not text on a screen: what was checked, what was found, and what to do about it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

Status = Literal["pass", "warn", "fail"]
_ORDER: dict[str, int] = {"pass": 0, "warn": 1, "fail": 2}


@dataclass(frozen=True)
class Verdict:
    """One check: its name, status, the value found, the threshold, what to do, and what it is about."""

    name: str
    status: Status
    value: float | None = None
    threshold: float | None = None
    hint: str = ""
    subject: str = ""
    waived: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The verdict for JSON: a value that is not finite becomes None."""
        row = asdict(self)
        for key in ("value", "threshold"):
            if row[key] is not None and not math.isfinite(row[key]):
                row[key] = None
        return row


def worst(verdicts: Iterable[Verdict]) -> Status:
    """The worst status among verdicts that were not waived; "pass" where there is none."""
    live = [v.status for v in verdicts if not v.waived]
    return max(live, key=_ORDER.__getitem__, default="pass")
