"""The common coefficients of a formula's model: their summaries, as ratios too, and what a forest of them shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from hbm_stan.coefficients import coefficient_table, sd_table, share_table
from hbm_stan.fit import Fit
from hbm_stan.likelihoods import likelihood
from hbm_stan.predictors import INTERCEPT
from hbm_stan.results.entry import OPTIONAL, Entry, rows_of
from hbm_stan.results.intervals import estimate
from hbm_stan.results.meanings import levels_words
from hbm_stan.results.summary import Interval, Named, Summary

# Intervals of which one is so many times as wide as another are drawn for one sd of each column (ours).
_ALIKE = 8.0


@dataclass(frozen=True, kw_only=True)
class Coefficient(Summary, Named):
    """A common coefficient, on the scale of the linear predictor for one unit more of its column.

    ``place`` is where an intercept stands; ``indicator`` says that a level of a category is in the column.
    ``p_positive`` is a probability, ``column_sd`` in the unit of the column. The ratio is the exponential of the
    coefficient: there where the likelihood has one, nan of the intercept.
    """

    place: str
    indicator: bool
    q25: float
    q75: float
    p_positive: float
    column_sd: float
    ratio_q50: float | None = field(default=None, metadata=OPTIONAL)
    ratio_q05: float | None = field(default=None, metadata=OPTIONAL)
    ratio_q95: float | None = field(default=None, metadata=OPTIONAL)
    ratio_mcse_q50: float | None = field(default=None, metadata=OPTIONAL)
    ratio_mcse_q05: float | None = field(default=None, metadata=OPTIONAL)
    ratio_mcse_q95: float | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, kw_only=True)
class ShareCoefficient(Summary, Named):
    """A coefficient of the log odds of a share, and its odds ratio; of the intercept the share itself in its place."""

    indicator: bool
    p_positive: float
    ratio_q50: float
    ratio_q05: float
    ratio_q95: float
    ratio_mcse_q50: float
    ratio_mcse_q05: float
    ratio_mcse_q95: float


@dataclass(frozen=True, kw_only=True)
class RowShare(Entry):
    """A share of the rows that a likelihood has (of extra zeros): its name, what it is of, and its coefficients."""

    name: str
    what: str
    rows: list[ShareCoefficient]


@dataclass(frozen=True, kw_only=True)
class _OfFactor(Entry):
    factor: str


@dataclass(frozen=True, kw_only=True)
class InterceptSd(Summary, _OfFactor):
    """The sd of the intercept between levels of a factor with slopes, in one place; ``many`` are these levels."""

    place: str
    many: str


@dataclass(frozen=True, kw_only=True)
class Coefficients(Entry):
    """The section ``coefficients``.

    ``ratio`` is what the exponential of a coefficient is, empty where it is nothing, and ``ratio_note`` what it is a
    ratio of; ``references`` are the levels that the others are compared with, by column.
    """

    rows: list[Coefficient]
    ratio: str
    ratio_note: str
    sds: list[InterceptSd]
    references: dict[str, str]
    offset: bool
    shares: list[RowShare]
    n_draws: int

    @property
    def slopes(self) -> list[Coefficient]:
        """The coefficients that a forest shows: all but the intercept."""
        return [row for row in self.rows if row.name != INTERCEPT]


def coefficients_of(fit: Fit) -> Coefficients | None:
    """The common coefficients of a fit; None where a family has no formula, or the formula no columns."""
    rows = coefficient_table(fit)
    design = fit.table.design
    if rows.empty or design is None:
        return None
    sds = sd_table(fit)
    if not sds.empty:
        sds = sds.assign(many=[levels_words(str(name), design, fit.table.noun) for name in sds["factor"]])
    given = likelihood(fit.family.name)
    return Coefficients(
        rows=rows_of(Coefficient, rows),
        ratio=given.ratio_words,
        ratio_note=given.ratio_note,
        sds=rows_of(InterceptSd, sds),
        references={name: own[0] for name, own in getattr(design.encode, "levels", {}).items()},
        offset=bool(design.offset.any()),
        shares=[
            RowShare(name=name, what=what, rows=rows_of(ShareCoefficient, share_table(fit, name)))
            for name, what in given.shares.items()
        ],
        n_draws=fit.n_draws,
    )


def for_one_more(row: Coefficient | ShareCoefficient) -> str:
    """What a ratio belongs to: an indicator of a level, or one unit more of a column."""
    return f"of {row.name}" if row.indicator else f"for one unit more of {row.name}"


def of_ratio(row: Coefficient | ShareCoefficient) -> Interval:
    """Median, interval and their errors of the ratio in a row that has one."""
    ratio = {key.removeprefix("ratio_"): value for key, value in row.as_dict().items() if key.startswith("ratio_")}
    return Interval(**ratio)


def per_sd(rows: Sequence[Coefficient]) -> bool:
    """Whether a forest is of coefficients for one sd of their columns: as they are, some would be too short to see."""
    widths = [row.q95 - row.q05 for row in rows]
    return bool(max(widths) > _ALIKE * min(widths))


def forest_table(rows: Sequence[Coefficient]) -> pd.DataFrame:
    """What the forest draws: name, q05, q25, q50, q75, q95, as they are or for one sd of the column."""
    scaled = per_sd(rows)
    return pd.DataFrame([
        {"name": row.name}
        | {key: getattr(row, key) * (row.column_sd if scaled else 1.0) for key in ("q05", "q25", "q50", "q75", "q95")}
        for row in rows
    ])  # fmt: skip


def how_large(share: RowShare) -> str:
    """How large a share is where its columns are at their means; what it depends on where there is no intercept."""
    columns = [row.name for row in share.rows]
    where = ", at the means of its columns," if len(columns) > 1 else ""
    for row in share.rows:
        if row.name == INTERCEPT:
            return f"The share of {share.what}{where} is about {estimate(of_ratio(row))}."
    return f"The share of {share.what} depends on {', '.join(columns)}."
