"""Where the variance lies: its share by factor, with the interval of each."""

from __future__ import annotations

from dataclasses import dataclass, field

from hbm_stan.fit import Fit
from hbm_stan.predictors import INTERCEPT
from hbm_stan.results.entry import OPTIONAL, Entry
from hbm_stan.results.meanings import levels_words
from hbm_stan.results.summary import Named, Summary
from hbm_stan.shares import variance_shares


@dataclass(frozen=True, kw_only=True)
class Share(Summary, Named):
    """The share of the variance of a factor, between 0 and 1, or of what is left of a row.

    ``levels`` is the number of levels, ``many`` what they are called: 0 and no name of what is left. ``sd_q50`` is the
    median of the sd, in the unit of the linear predictor.
    """

    levels: int
    sd_q50: float
    many: str | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, kw_only=True)
class VarianceShares(Entry):
    """The section ``variance_shares``: the shares, what is left of a row last; ``whole`` is what they are of."""

    rows: list[Share]
    note: str
    whole: str


def shares_of(fit: Fit) -> VarianceShares | None:
    """The shares of variance of a fit; None where there are none."""
    shares, design = variance_shares(fit), fit.table.design
    if shares is None or design is None:
        return None
    rows = [
        Share(name=name, many=levels_words(name, design, fit.table.noun) if row["levels"] else None, **row)
        for name, row in zip(map(str, shares.table.index), shares.table.to_dict("records"), strict=True)
    ]
    unit = fit.family.words.quantity_unit
    whole = "the variance" + (" that common columns leave" if set(design.names) - {INTERCEPT} else "")
    return VarianceShares(
        rows=rows, note=shares.note, whole=whole + (f" on the scale of {_plural(unit)}" if unit else "")
    )


def _plural(unit: str) -> str:
    return unit if unit.endswith("s") else f"{unit}s"
