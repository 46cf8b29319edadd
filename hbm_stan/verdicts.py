"""A verdict is data, not text on a screen: what was checked, what was found, and what to do about it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from hbm_stan.nouns import Noun

Status = Literal["pass", "warn", "fail"]
_LINES, _LETTERS = 16, 110  # of what is shown in a notebook (ours)
_ORDER: dict[str, int] = {"pass": 0, "warn": 1, "fail": 2}

# The checks that a report may waive, by name: of draws, and of data replicated from the model.
SAMPLING_CHECKS = (
    "finite draws", "moving chains", "R-hat", "bulk ESS", "tail ESS", "MCSE", "divergences",
    "tree depth", "E-BFMI", "number of chains", "warm-up", "importance weights",
)  # fmt: skip
PREDICTIVE_CHECK = "predictive check"
# Of rows that are left out: where they lie in what is predicted of them, and how often 0 and 1 come true.
LOO_PIT, CALIBRATION = "LOO-PIT", "calibration"
# Of sums that stand for integrals in the programs of some families, at the draws.
EVENT_WEIGHTS, QUADRATURE = "event weights", "quadrature"
# Of several streams of data on one quantity: whether each is what the others let expect.
AGREEMENT = "agreement of the streams"
CHECKS = (*SAMPLING_CHECKS, EVENT_WEIGHTS, QUADRATURE, PREDICTIVE_CHECK, AGREEMENT)

# How a report calls checks of groups; a verdict's own name is the same whatever they are called.
_TITLES = {
    "number of groups": "number of {groups}", "groups of one row": "{groups} of one row",
    "group order": "order of {groups}", "Pareto k, groups": "Pareto k, {groups}", "p_loo, groups": "p_loo, {groups}",
}  # fmt: skip
# How the value of a check is written, by the check's name; of others a whole number is a count.
Figure = Literal["rhat", "probability", "ratio", "count", "number"]
_FIGURES: Mapping[str, Figure] = {
    "R-hat": "rhat", PREDICTIVE_CHECK: "probability", LOO_PIT: "probability", CALIBRATION: "probability",
    "intraclass correlation": "probability", AGREEMENT: "probability", "E-BFMI": "ratio",
    EVENT_WEIGHTS: "ratio", QUADRATURE: "ratio",
    "MCSE": "ratio", "Pareto k": "ratio", "Pareto k, groups": "ratio", "importance weights": "ratio",
    "bulk ESS": "count", "tail ESS": "count",
}  # fmt: skip
# The checks whose subject is a parameter or an element of one; that of others is a group, a column or a chain.
OF_PARAMETERS = frozenset({
    "finite draws", "moving chains", "R-hat", "bulk ESS", "tail ESS", "MCSE", "divergences", "prior of a scale",
})  # fmt: skip


def figure_of(name: str) -> Figure:
    """How the value of a check is written."""
    return _FIGURES.get(name, "number")


def check_title(name: str, noun: Noun) -> str:
    """What a check is called where the groups have this noun."""
    return noun.fill(_TITLES.get(name, name))


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
        row: dict[str, Any] = for_json(asdict(self))
        return row


def worst(verdicts: Iterable[Verdict]) -> Status:
    """The worst status among verdicts that were not waived; "pass" where there is none."""
    live = [v.status for v in verdicts if not v.waived]
    return max(live, key=_ORDER.__getitem__, default="pass")


def on_a_screen(verdicts: Iterable[Verdict]) -> list[str]:
    """A line for each verdict, those that did not pass first and with what to do, cut to what a screen holds."""
    ordered = sorted(verdicts, key=lambda v: -_ORDER[v.status])
    lines = [f"  {v.status + ', waived' * v.waived:<5} {v.name:<17} {v.hint or v.subject}" for v in ordered]
    more = [f"  ... and {len(lines) - _LINES} more in .verdicts"] if len(lines) > _LINES else []
    return [line.rstrip() if len(line) <= _LETTERS else line[:_LETTERS] + "…" for line in [*lines[:_LINES], *more]]


def for_json(value: Any) -> Any:
    """Plain JSON values: NumPy's made Python's, and what is not finite made None."""
    if isinstance(value, Mapping):
        return {str(k): for_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [for_json(v) for v in value]
    if isinstance(value, np.generic):
        return for_json(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
