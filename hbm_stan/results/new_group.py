"""What is predicted of a new group: each quantity with its meaning, and whether its sign says anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hbm_stan.elements import term_of, term_words
from hbm_stan.fit import Fit
from hbm_stan.predict import Y_NEW, NewGroup
from hbm_stan.results.entry import Entry
from hbm_stan.results.units import far_from_zero, zero_matters


@dataclass(frozen=True)
class Predicted(Entry):
    """The section ``new_group``."""

    quantities: list[dict[str, Any]]
    note: str
    n_draws: int
    signed: bool


def new_group_of(prediction: NewGroup, fit: Fit) -> Predicted:
    """The prediction from a fit for a group that was not seen."""
    rows = [{"name": str(name), **row} for name, row in prediction.quantities.to_dict("index").items()]
    for row in rows:
        term = term_of(row["name"])
        row["meaning"] = f"{term_words(term)} of a new {fit.table.noun.one}" if term else row["meaning"]
        observed = row["name"] == Y_NEW
        row["sign"] = fit.family.words.signed and not far_from_zero(fit) if observed else zero_matters(fit, term)
    return Predicted(quantities=rows, note=prediction.note, n_draws=fit.n_draws, signed=fit.family.words.signed)
