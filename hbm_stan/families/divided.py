"""An outcome that is one count divided by another: successes of trials, of which a share keeps too little."""

from __future__ import annotations

from hbm_stan.data import Dataset
from hbm_stan.formula.expression import Column, Operation
from hbm_stan.formula.parse import parse


def successes_of_trials(dataset: Dataset) -> str:
    """How to write successes of trials where the outcome is one count divided by another; empty where it is not."""
    outcome = parse(dataset.reading.formula).outcome
    if not (isinstance(outcome, Operation) and outcome.symbol == "/"):
        return ""
    parts = (outcome.left, outcome.right)
    if not all(isinstance(part, Column) for part in parts):
        return ""
    some, whole = (dataset.table.numbers(part.name) for part in parts if isinstance(part, Column))
    if (some % 1).any() or (whole % 1).any() or not ((some >= 0) & (some <= whole)).all():
        return ""
    return (
        f"; whole numbers of others: if {outcome.left} are successes of {outcome.right} trials, write "
        f"{outcome.left} | trials({outcome.right}) ~ ..., which keeps of how many a share is one"
    )
