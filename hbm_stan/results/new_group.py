"""What is predicted of a new group: each quantity with its meaning, and whether its sign says anything."""

from __future__ import annotations

from dataclasses import dataclass, field

from hbm_stan.elements import term_of, term_words
from hbm_stan.fit import Fit
from hbm_stan.predict import Y_NEW, NewGroup
from hbm_stan.results.entry import OPTIONAL, Entry
from hbm_stan.results.summary import Named, Summary
from hbm_stan.results.units import far_from_zero, zero_matters


@dataclass(frozen=True, kw_only=True)
class NewQuantity(Summary, Named):
    """A quantity of a new group, in the unit of the group quantity, or of the outcome (``y_new``).

    ``p_positive`` is the probability of a value above zero, ``sign`` whether anybody would ask for it. ``ratio`` is the
    median as a ratio, with its 90 % interval, where estimates are ratios analysed as their logs.
    """

    q25: float
    q75: float
    p_positive: float
    ratio: float | None = field(default=None, metadata=OPTIONAL)
    ratio_q05: float | None = field(default=None, metadata=OPTIONAL)
    ratio_q95: float | None = field(default=None, metadata=OPTIONAL)
    meaning: str
    sign: bool


@dataclass(frozen=True, kw_only=True)
class Predicted(Entry):
    """The section ``new_group``: its quantities, the outcome last; ``signed`` says that values below zero can be."""

    quantities: list[NewQuantity]
    note: str
    n_draws: int
    signed: bool


def new_group_of(prediction: NewGroup, fit: Fit) -> Predicted:
    """The prediction from a fit for a group that was not seen."""
    quantities = []
    for name, row in prediction.quantities.to_dict("index").items():
        term, observed = term_of(str(name)), name == Y_NEW
        meaning = f"{term_words(term)} of a new {fit.table.noun.one}" if term else row["meaning"]
        sign = fit.family.words.signed and not far_from_zero(fit) if observed else zero_matters(fit, term)
        quantities.append(NewQuantity(**{**row, "name": str(name), "meaning": meaning, "sign": sign}))
    return Predicted(quantities=quantities, note=prediction.note, n_draws=fit.n_draws, signed=fit.family.words.signed)
