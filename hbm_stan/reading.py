"""How a table is to be read where it cannot say so itself: order of levels, ratios, labels of units, a formula."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from hbm_stan.errors import DataError, nearest
from hbm_stan.integrals import Integral, make_integral
from hbm_stan.missingness import Missingness, make_missingness
from hbm_stan.neighbours import Neighbours, make_neighbours
from hbm_stan.selection import Selection, make_selection

# What `load`, `Dataset.from_frame` and analysis.toml take beside the columns; ``reference`` is short for levels.
KEYS = (
    "levels", "reference", "log_scale", "level", "unit_labels", "group_name", "formula", "centre", "weights", "zi",
    "neighbours", "missing", "selection", "integral", "likelihood",
)  # fmt: skip
# Those that may name a CSV beside the table.
LISTS = frozenset({"neighbours", "selection"})
REPEAT = "repeat"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """``levels``: of categories, by column; the first is what the others are compared with, those not named follow.

    ``log_scale``: estimates are ratios, to be taken to logs. ``level``: of the limits of estimates, None for 95 %.
    ``unit_labels``: "repeat" where equal labels of units in two groups are two units. ``group_name``: what a group is,
    where the name of its column does not say it. ``formula``: the outcome, what is common and what varies, for families
    with terms; ``centre``: their columns are centred at their means. ``weights``: the column that says how many times a
    row counts, by which rows are repeated. ``zi``: what the share of extra zeros depends on, where
    the likelihood has some: ``~ x``. ``neighbours``: which areas lie beside which, for families of maps. ``missing``:
    how outcomes came to be missing, for the family that takes such rows. ``selection``: how likely
    an event of a value is seen, for families of events.
    ``integral``: limits, kernel and mean function, for curves that are integrated. ``likelihood``: of counts, for
    families that leave a choice; that of a formula is no matter of reading.
    """

    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    log_scale: bool = False
    level: float | None = None
    unit_labels: str = ""
    group_name: str = ""
    formula: str = ""
    centre: bool = True
    weights: str = ""
    zi: str = ""
    neighbours: Neighbours | None = None
    missing: Missingness | None = None
    selection: Selection | None = None
    integral: Integral | None = None
    likelihood: str = ""

    @property
    def beside(self) -> dict[str, str]:
        """The formulas that own parameters of a likelihood are given, by parameter."""
        return {"zi": self.zi} if self.zi else {}

    def only_beside(self, names: Collection[str]) -> Reading:
        """The same with no other such formulas than those of these parameters."""
        return replace(self, zi=self.zi if "zi" in names else "")


def make_reading(
    levels: Mapping[str, Any] | None = None,
    reference: Mapping[str, str] | None = None,
    log_scale: Any = False,
    level: Any = None,
    unit_labels: Any = "",
    group_name: Any = "",
    formula: Any = "",
    centre: Any = True,
    weights: Any = "",
    zi: Any = "",
    neighbours: Any = None,
    missing: Any = None,
    selection: Any = None,
    integral: Any = None,
    likelihood: Any = "",
) -> Reading:
    """A Reading, its values checked; raises DataError naming the key."""
    for key, flag in (("log_scale", log_scale), ("centre", centre)):
        if not isinstance(flag, bool):
            raise DataError(f"{key} must be true or false, found {flag!r}.")
    examples = (
        ("formula", formula, "y ~ x + (1 | group)"), ("zi", zi, "~ x"), ("group_name", group_name, "child, children"),
        ("likelihood", likelihood, "negative_binomial"),
    )  # fmt: skip
    for key, text, example in examples:
        if not isinstance(text, str):
            raise DataError(f"{key} must be a text such as {example!r}, found {text!r}.")
    if zi and not formula:
        raise DataError("zi goes with a formula, and there is none.")
    if unit_labels not in ("", REPEAT):
        raise DataError(f"unit_labels is {unit_labels!r}. {nearest(str(unit_labels), [REPEAT])}")
    if not isinstance(weights, str):
        raise DataError(f"weights must name the column that says how many times a row counts, found {weights!r}.")
    named = {**_mapping("levels", levels), **_mapping("reference", reference)}
    orders = {str(column): _order(str(column), order) for column, order in named.items()}
    return Reading(
        levels=MappingProxyType(orders), log_scale=log_scale, level=None if level is None else _share(level),
        unit_labels=unit_labels, group_name=group_name, formula=formula.strip(), centre=centre,
        weights=weights, zi=zi.strip(), neighbours=make_neighbours(neighbours),
        missing=make_missingness(missing),
        selection=make_selection(selection),
        integral=make_integral(integral),
        likelihood=likelihood.strip(),
    )  # fmt: skip


def _mapping(key: str, value: Any) -> Mapping[Any, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise DataError(f"{key} must name levels by column, such as {{arm = placebo}}, found {value!r}.")
    return value or {}


def _order(column: str, order: Any) -> tuple[str, ...]:
    """The order of a category's levels; a single one is the reference."""
    named = tuple(str(level).strip() for level in order) if isinstance(order, list | tuple) else (str(order).strip(),)
    repeated = [level for level in named if named.count(level) > 1]
    if not named or "" in named or repeated:
        problem = f"{repeated[0]!r} twice" if repeated else repr(order)
        raise DataError(f"levels of {column!r}: found {problem}. Name each level once, the one to compare with first.")
    return named


def _share(level: Any) -> float:
    """The level of limits as a share: 95 and 0.95 are 95 %."""
    known = isinstance(level, int | float) and not isinstance(level, bool)
    share = (level / 100 if level > 1 else float(level)) if known else 0.0
    # Nobody reports limits of half or less; 0.05 and 5 are the error, not the level.
    if not 0.5 < share < 1:
        raise DataError(f"level is {level!r}: the share that limits hold, such as 0.95 or 95, above 0.5 and below 1.")
    return share
