"""Where the variance lies: its share by factor, with the interval of each."""

from __future__ import annotations

from typing import Any

from hbm_stan.fit import Fit
from hbm_stan.predictors import INTERCEPT
from hbm_stan.results.meanings import levels_words
from hbm_stan.shares import variance_shares


def shares_of(fit: Fit) -> dict[str, Any] | None:
    """The shares of variance for JSON; None where there are none."""
    shares, design = variance_shares(fit), fit.table.design
    if shares is None or design is None:
        return None
    names = [str(name) for name in shares.table.index]
    rows = [{"name": name, **row} for name, row in zip(names, shares.table.to_dict("records"), strict=True)]
    for row in rows[:-1]:
        row["many"] = levels_words(row["name"], design, fit.table.noun)
    unit = fit.family.words.quantity_unit
    whole = "the variance" + (" that common columns leave" if set(design.names) - {INTERCEPT} else "")
    return {"rows": rows, "note": shares.note, "whole": whole + (f" on the scale of {_plural(unit)}" if unit else "")}


def _plural(unit: str) -> str:
    return unit if unit.endswith("s") else f"{unit}s"
