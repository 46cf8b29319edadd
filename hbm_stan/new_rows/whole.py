"""Rows of families that are no formula: what they need, and expected values and observations by the family itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hbm_stan.encoding import IntArray
from hbm_stan.errors import DataError, ModelError
from hbm_stan.families.usual_row import usual
from hbm_stan.fit import Fit
from hbm_stan.formula.expression import Column
from hbm_stan.later import logit
from hbm_stan.model import Draws, Family, StanData
from hbm_stan.new_rows.curves import CURVE, curve_of, on_curves
from hbm_stan.new_rows.needs import SIZES, Grouping, Needs, Size
from hbm_stan.new_rows.places import AVERAGE, CENTRE, Place
from hbm_stan.new_rows.read import Rows
from hbm_stan.new_rows.terms import rng_of_level
from hbm_stan.new_rows.units import UNIT, Units, units_of
from hbm_stan.predict import of_new_groups
from hbm_stan.prepare import Prepared
from hbm_stan.table import FloatArray

_WHOLE, _COUNTED = ("trials", "tested"), ("trials", "exposure", "expected", "tested")
_ROLES = ("predictors", "group_predictors")
# Groups drawn from the population for each draw, over which an expected value that is not linear is averaged (ours).
_GROUPS = 100


def needs_of_family(family: Family, read: Prepared, asked: Mapping[str, Any]) -> Needs:
    """What a row needs; raises ModelError for a family whose rows cannot be predicted."""
    if expected_of(family) is None:
        raise ModelError(
            f"{family.name} gives no mean_of_rows(), row_moments() or expected_of_rows(): rows cannot be predicted one "
            "by one. Add one of them to the family; hbm report predicts a new group."
        )
    known = read.levels
    columns = [c for role in _ROLES if role in read.predictors for c in read.dataset.listed(role)]
    numbers = {c: read.dataset.table.numbers(c) for c in columns if c not in known}
    middle = {c: float(usual(x[:, None])[0]) for c, x in numbers.items()}
    beside = {read.dataset.column(role): role for role in family.groups.row_data if role in read}
    numbers |= {c: read[role] for c, role in beside.items()}
    middle |= {c: float(asked.get(role, np.median(read[role]))) for c, role in beside.items()}
    parts = {} if family.groups.parts is None else {family.groups.parts.column: read.parts}
    column, labels = read.dataset.column("group"), read.pooled.labels
    grouping = Grouping(column, (column,), {(label,): j for j, label in enumerate(labels)}, len(labels))
    return Needs(
        numbers=tuple(numbers), levels={**known, **parts}, every=tuple(parts),
        ranges={c: (float(x.min()), float(x.max())) for c, x in numbers.items()},
        usual={**{c: own[0] for c, own in (known | parts).items()}, **middle, **_named(asked, known)},
        sizes=_sizes(family, read, asked), groupings={column: grouping, **units_of(read)},
    )  # fmt: skip


def _named(asked: Mapping[str, Any], levels: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """Where columns stand by [prediction], whose names are those of coefficients: ``arm=drug``."""
    indicators = {f"{column}={level}": (column, level) for column, own in levels.items() for level in own}
    named = {name: value for role in _ROLES for name, value in asked.get(role, {}).items()}
    chosen = dict(indicators[name] for name, value in named.items() if name in indicators and value == 1)
    return {**{name: value for name, value in named.items() if name not in indicators}, **chosen}


def _sizes(family: Family, read: Prepared, asked: Mapping[str, Any]) -> tuple[Size, ...]:
    """The sizes that the data have; a standard error that was made of limits has its role's name."""
    sizes = []
    for role, datum in SIZES.items():
        given = read.dataset.column(role)
        if role in read.values and (given or role == "standard_error"):
            middle = 1.0 if role == "trials" and family.words.quantity_unit else float(np.median(read[role]))
            middle = float(round(middle)) if role == "trials" else middle
            middle = float(asked.get(role, middle))
            sizes.append(Size(role=role, datum=datum, node=Column(given or role), usual=middle))
    return (*sizes, *_sizes_of_parts(family, read))


def _sizes_of_parts(family: Family, read: Prepared) -> list[Size]:
    """What rows of parts are out of or beside, where that has a column."""
    if family.groups.parts is None:
        return []
    data = family.programs.prepare(read, family.priors(read))
    return [
        Size(
            role=role, datum=role, node=Column(read.dataset.column(role)), usual=one.usual, whole=one.whole, blank=True
        )
        for role, one in family.groups.parts.sizes(data).items()
        if read.dataset.column(role)
    ]


def mean_of_rows(family: Family) -> Callable[[Draws, StanData], FloatArray] | None:
    """What gives the expected value of rows; None where the family has nothing that does."""
    moments = family.twin.row_moments
    return family.twin.mean_of_rows or (None if moments is None else lambda draws, data: moments(draws, data)[0])


def expected_of(family: Family) -> Callable[[Draws, StanData], FloatArray] | None:
    """What gives the expected value of rows that are predicted; None where the family has nothing that does."""
    return mean_of_rows(family) or family.groups.expected_of_rows


def is_curved(family: Family) -> bool:
    """Whether expected values are no linear function of the group quantity: a logit or the like lies between."""
    return bool(family.words.quantity_unit) or not family.words.same_unit


def _mean(fit: Fit, draws: Draws, data: StanData) -> FloatArray:
    """The expected value of rows, (S, N)."""
    mean = expected_of(fit.family)
    assert mean is not None  # needs_of_family refused others
    return np.array(mean(draws, data))


@dataclass(frozen=True)
class RowDraws:
    """Draws of some rows: the expected value and a new observation, (S, n) each."""

    expected: FloatArray
    new: FloatArray


class _Means:
    """Stands for a generator: what it gives is the mean of the distribution that is asked for."""

    def normal(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> FloatArray:
        return np.broadcast_to(loc, np.broadcast_shapes(np.shape(loc), np.shape(scale)) if size is None else size)

    def beta(self, a: Any, b: Any, size: Any = None) -> FloatArray:
        return np.broadcast_to(np.asarray(a) / (np.asarray(a) + b), np.shape(a) if size is None else size)

    def gamma(self, shape: Any, scale: Any, size: Any = None) -> FloatArray:
        return np.broadcast_to(np.asarray(shape) * scale, np.shape(shape) if size is None else size)


def draws_of_rows(fit: Fit, draws: Draws, rows: Rows, portions: Iterable[slice]) -> Iterator[RowDraws]:
    """Expected values and observations, some rows at a time: each row is a group of its own with its theta."""
    rng = fit.rng("new observations")
    for some in portions:
        yield _draws_of_some(fit, draws, rows, np.arange(some.start, some.stop), rng)


def _draws_of_some(fit: Fit, draws: Draws, rows: Rows, some: IntArray, rng: np.random.Generator) -> RowDraws:
    place = rows.places[fit.table.dataset.column("group")]
    level, data = place.level[some], _data(fit, rows, some)
    own = _by_row(fit, draws, data, level, place, rows)
    theta = fit.family.groups.group_quantity
    units = None if fit.table.units is None else Units.of(fit, draws, own, rows, some)
    if units is not None:
        own[UNIT] = own[theta] + units.deviation
    curved = fit.family.groups.curve_at is not None
    if curved:
        own[CURVE] = on_curves(fit, draws, own, data, level, place, _Means())
    mean = _mean(fit, own, data)
    averaged = np.flatnonzero(level == AVERAGE)
    if averaged.size:
        part = _take(fit, data, averaged)
        of_part = {**own, **{name: own[name][:, averaged] for name in _of_groups(fit, own)}}
        if is_curved(fit.family):
            mean[:, averaged] = _average(fit, draws, of_part, part, rng)
        own[theta][:, averaged] = _new(fit, rng, draws, part)
        if curved and fit.pooling == "partial":  # each such row is of a curve drawn for it
            for row in averaged:
                own[CURVE][:, [row]] = curve_of(fit, rng, draws, own, data, np.array([row]))
    if units is not None:
        own[UNIT] = own[theta] + units.deviation + units.fresh(rng)
    return RowDraws(mean, fit.family.need("simulate", "a prediction of rows")(rng, own, data))


def _data(fit: Fit, rows: Rows, some: IntArray) -> StanData:
    """The rows as data of the family, each a group, and a unit, of its own."""
    n = len(some)
    each = np.arange(1, n + 1)
    data: StanData = {**fit.data, "N": n, "J": n, "group_idx": each, "y": np.zeros(n)}
    if fit.table.units is not None:
        data |= {"M": n, "unit_idx": each, "unit_group": each}
    data |= {datum: np.ones(n, dtype=np.int64) for datum in _COUNTED if datum in fit.data}
    if "place" in fit.data:  # on a map: rows of known areas have their own theta, new ones lie nowhere on it
        data["place"] = np.zeros(n, dtype=np.int64)
    if "given_seen" in fit.data:  # a new row may be one whose outcome nobody would see
        data["given_seen"] = 0
    if "seen" in fit.data:  # a new event is one of the population, seen or not, and its row an estimate
        data |= {"G": 0, "seen": np.zeros(0), "sampled": 0}
    for role, datum in (("predictors", "X"), ("group_predictors", "U")):
        if datum in fit.data:
            data[datum] = _columns(fit.table, role, rows, some)
    if "X" in data:
        data["X"] = np.column_stack([np.ones(n), data["X"]])
    for role, datum in fit.family.groups.row_data.items():  # without a column all rows of the fit have the same
        column = fit.table.dataset.column(role)
        data[datum] = rows.values[column][some] if column else np.full(n, np.asarray(fit.data[datum])[0])
    if fit.family.groups.parts is not None:
        return data | _of_parts(fit, rows, some)
    return {
        **data,
        **{datum: size[some].astype(np.int64 if datum in _WHOLE else float) for datum, size in rows.sizes.items()},
    }


def _of_parts(fit: Fit, rows: Rows, some: IntArray) -> StanData:
    """The data of rows that each are of a part."""
    parts = fit.family.groups.parts
    assert parts is not None
    part = np.asarray(rows.values[parts.column], dtype=np.int64)[some]
    given = {role: size[some] for role, size in rows.sizes.items()}
    return parts.data(fit.data, part, given, rows.table.where)


def _columns(read: Prepared, role: str, rows: Rows, some: IntArray) -> FloatArray:
    """The columns of a role: numbers, and indicators of all levels but the first."""
    columns = [np.empty((len(some), 0))]
    for column in read.dataset.listed(role):
        value: npt.NDArray[Any] = rows.values[column][some]
        levels = read.levels.get(column)
        columns += (
            [value] if levels is None else [np.equal(value, k).astype(float) for k in range(1, max(2, len(levels)))]
        )
    return np.column_stack(columns)


def _take(fit: Fit, data: StanData, rows: IntArray) -> StanData:
    """Some of the rows."""
    parts = fit.family.groups.parts
    of_parts = () if parts is None else parts.by_row
    n, by_row = len(rows), ("y", *_COUNTED, "se", "X", "U", "place", *fit.family.groups.row_data.values(), *of_parts)
    each = np.arange(1, n + 1)
    cut: StanData = {k: np.asarray(data[k])[rows] for k in by_row if k in data}
    cut |= {"M": n, "unit_idx": each, "unit_group": each} if fit.table.units is not None else {}
    return {**data, **cut, "N": n, "J": n, "group_idx": each}


def _of_groups(fit: Fit, draws: Draws) -> list[str]:
    """The draws that each group has of its own."""
    return [name for name in draws if fit.family.programs.dims.get(name, ())[:1] == ("group",)]


def _by_row(
    fit: Fit, draws: Draws, data: StanData, level: IntArray, place: Place, rows: Rows
) -> dict[str, FloatArray]:  # fmt: skip
    """The draws with what groups have of their own row by row."""
    known = (level >= 0) & (level < place.n_known)
    safe = np.where(known, level, 0)
    own = {**draws, **{name: np.array(draws[name][:, safe]) for name in _of_groups(fit, draws)}}
    theta = fit.family.groups.group_quantity
    centre = np.flatnonzero((level == CENTRE) | (level == AVERAGE))
    if centre.size:
        own[theta][:, centre] = _new(fit, _Means(), draws, _take(fit, data, centre))
    for j in np.unique(level[level >= place.n_known]):
        mine = np.flatnonzero(level == j)
        part = _take(fit, data, mine)
        if "U" in part and np.ptp(part["U"], axis=0).any():
            raise DataError(
                f"{rows.table.where}: group predictors differ between rows of the new {fit.table.noun.one} "
                f"{place.new[j - place.n_known]!r}. They belong to the group: give its rows one value."
            )
        rng = rng_of_level(fit, fit.family.groups.group_quantity, place.new[j - place.n_known])
        own[theta][:, mine] = _new(fit, rng, draws, _take(fit, part, np.zeros(1, dtype=np.int64)))
        for name, values in of_new_groups(fit, draws, {"J": 1}, rng).items():
            own[name][:, mine] = values
    return own


def _new(fit: Fit, rng: Any, draws: Draws, data: StanData) -> FloatArray:
    """theta of groups never seen, (S, J[, K])."""
    theta: FloatArray = fit.family.need("new_group", "a prediction of rows")(rng, draws, data, fit.variant)
    return theta


def _average(fit: Fit, draws: Draws, own: Draws, data: StanData, rng: np.random.Generator) -> FloatArray:
    """The mean of the expected value over groups drawn from the population, (S, n)."""
    total = np.zeros((fit.n_draws, data["N"]))
    for _ in range(_GROUPS):
        total += _mean(fit, {**own, fit.family.groups.group_quantity: _new(fit, rng, draws, data)}, data)
    return total / _GROUPS


def link_of(fit: Fit, rows: Rows, mean: FloatArray) -> FloatArray:
    """The expected value on the scale of the coefficients: log odds where these are, else as it is."""
    if fit.family.twin.link is not None:
        return fit.family.twin.link(mean, {**fit.data, **rows.sizes})
    if not fit.family.words.quantity_unit:
        return mean
    return np.asarray(logit(mean / rows.sizes.get("trials", np.ones(rows.n))))
