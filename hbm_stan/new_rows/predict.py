"""Rows that nobody has observed: the expected value of each, and a new observation, from the draws of a fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_stan.budget import Budget
from hbm_stan.errors import DataError, ModelError
from hbm_stan.fit import Fit
from hbm_stan.formula.left import computed
from hbm_stan.likelihoods import likelihood
from hbm_stan.mixing import WITH_QUARTILES
from hbm_stan.model import Draws, Family
from hbm_stan.new_rows.asked import Asked, of_grid, of_table, settings_of, table_of
from hbm_stan.new_rows.condition import Conditioned, condition_on
from hbm_stan.new_rows.expected import expected, is_linear, observed
from hbm_stan.new_rows.needs import Needs, needs_of_formula
from hbm_stan.new_rows.new_groups import NewGroups, read_condition
from hbm_stan.new_rows.places import AVERAGE, CENTRE
from hbm_stan.new_rows.read import Rows, read_rows
from hbm_stan.new_rows.refit import Means
from hbm_stan.new_rows.terms import Predictor, encode, predictor
from hbm_stan.new_rows.whole import RowDraws, draws_of_rows, is_curved, needs_of_family
from hbm_stan.notebook import card
from hbm_stan.portions import portions
from hbm_stan.predict import NOTES
from hbm_stan.prepare import Prepared
from hbm_stan.store import FitStore
from hbm_stan.table import FloatArray

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
else:
    from hbm_stan.later import pd, xr

# Numbers of a slice of rows that are worked out at once: 32 MB for each array of draws (ours).
_AT_ONCE = 4_000_000
# Draws beyond this are not kept: 800 MB for each of the two (ours).
MOST_DRAWS = 100_000_000
# Draws that rows are not predicted from.
_NOT_READ = ("lprior", "shift", "sampled")


@dataclass(frozen=True, kw_only=True, repr=False)
class Prediction:
    """A line for each row in ``table``: what was asked, then mean, sd and quantiles of the expected value and of a new
    observation. ``draws`` has ``expected`` (chain, draw, row), of ordered categories with their shares (..., category),
    and ``new`` (chain, draw, row); None where they were not asked for. ``summarised`` are the names of what has a mean
    and quantiles in the table, ``conditioned`` the new groups whose rows it was conditioned on."""

    table: pd.DataFrame
    draws: xr.Dataset | None
    notes: tuple[str, ...]
    summarised: tuple[str, ...] = ()
    conditioned: Conditioned | None = None

    def __repr__(self) -> str:
        return f"<Prediction of {len(self.table):,} rows; .table, .draws, .notes>"

    def _repr_html_(self) -> str:
        return card(f"Prediction of {len(self.table):,} rows", self.notes, self.table)


def predict(
    fit: Fit,
    rows: Any = None,
    *,
    condition: Any = None,
    grid: str | Mapping[str, Any] | None = None,
    group: str | Sequence[str] = "",
    groups: Mapping[str, Any] | None = None,
    at: str | Mapping[str, Any] | None = None,
    prediction: Mapping[str, Any] | None = None,
    draws: bool = True,
    budget: Budget | None = None,
    store: FitStore | None = None,
    say: Callable[[str], None] | None = None,
) -> Prediction:
    """The expected value and a new observation of each row of a CSV file, a DataFrame or a grid.

    ``group`` says of the factor that is pooled, and ``groups`` of any factor by its column, what its labels are:
    "known" (the default), "new" (all of them), a list of those that are new, "population" (no coefficient deviates) or
    "averaged" (the mean over levels drawn from the population). ``at`` are columns that all rows share, ``prediction``
    where a grid's other columns stand, as under [prediction]. ``condition`` are rows of new groups with their
    outcomes, which the prediction is given too, without another fit: these groups are known then, and their own rows
    are predicted where no others are named; ``budget``, ``store`` and ``say`` are those of ``condition``. Raises
    DataError or ModelError naming column and row.
    """
    if not isinstance(fit, Fit):
        raise ModelError(f"predict takes one Fit, got {type(fit).__name__}: name one, as in fits['partial_pooling'].")
    new = None if condition is None else read_condition(fit.family, fit.variant, fit.table, condition)
    needs = needs_given(fit.family, fit.table, new, prediction)
    if new is not None and rows is None and grid is None:
        rows = new.own_rows
    asked = read_rows(needs, ask(needs, rows, grid, _groups(fit, group, groups), at))
    return (
        predict_rows(fit, asked, keep=draws)
        if new is None
        else predict_given(condition_on(fit, new, Means.of(budget, store, say)), asked, keep=draws)
    )


def needs_given(
    family: Family, read: Prepared, new: NewGroups | None, prediction: Mapping[str, Any] | None = None
) -> Needs:
    """What a row of a model needs, its groups among the levels that are known."""
    needs = needs_of(family, read, prediction)
    return needs if new is None else replace(needs, groupings=needs_of(family, new.table).groupings)


def predict_given(conditioned: Conditioned, rows: Rows, *, keep: bool = True) -> Prediction:
    """The prediction of these rows given the rows of new groups too; the draws that are kept have both."""
    prediction = predict_rows(conditioned.fit, rows, keep=keep)
    draws = None if prediction.draws is None else prediction.draws.merge(conditioned.draws)
    notes = tuple(note for note in prediction.notes if note not in conditioned.notes)
    return replace(prediction, draws=draws, notes=notes, conditioned=conditioned)


def needs_of(family: Family, read: Prepared, prediction: Mapping[str, Any] | None = None) -> Needs:
    """What a row of a model needs; ``prediction`` are options as under [prediction]: where a row usually is."""
    return (needs_of_formula if family.terms else needs_of_family)(family, read, dict(prediction or {}))


_MIDDLES = {
    CENTRE: "population is the expected value where no coefficient deviates",
    AVERAGE: "averaged is the mean of the expected value over levels drawn from the population",
}
_DIFFER = "they differ, as the link is not linear."
_OTHER = "the other middle, of the two, has another value, as the link is not linear."


def averages_differ(family: Family) -> bool:
    """Whether an average over groups is another number than the group in the middle: the link is not linear."""
    return not is_linear(likelihood(family.name)) if family.terms else is_curved(family)


def _groups(fit: Fit, group: str | Sequence[str], groups: Mapping[str, Any] | None) -> dict[str, Any]:
    pooled = fit.table.dataset.column("group")
    if group and pooled in (groups or {}):
        raise ModelError(f"group= and groups= both say what the levels of {pooled!r} are. Leave one out.")
    return {**(groups or {}), **({pooled: group} if group else {})}


def ask(
    needs: Needs, rows: Any, grid: str | Mapping[str, Any] | None, groups: Mapping[str, Any],
    at: str | Mapping[str, Any] | None,
) -> Asked:  # fmt: skip
    """The rows of a file, a frame or a grid as one table."""
    settings = settings_of(at, "--at")
    if (rows is None) == (grid is None):
        raise ModelError("Name the rows to predict: a CSV file or a DataFrame, or else a grid, such as days = 0:9.")
    if grid is None:
        return of_table(needs, table_of(rows), groups, settings)
    named = settings_of(grid, "--grid")
    both = [name for name in (*settings, *groups) if name in named]
    if both:
        raise ModelError(f"{both[0]!r} stands in the grid and beside it. Leave one out.")
    grid_settings = {
        **named,
        **settings,
        **{name: " ".join([state] if isinstance(state, str) else state) for name, state in groups.items()},
    }
    return of_grid(needs, grid_settings)


def predict_rows(fit: Fit, rows: Rows, *, keep: bool = True) -> Prediction:
    """The prediction of these rows; with ``keep`` the draws too."""
    refuse_without_population(fit, rows)
    if keep and fit.n_draws * rows.n > MOST_DRAWS:
        raise DataError(
            f"{rows.table.where}: {rows.n:,} rows with {fit.n_draws:,} draws each are too many to keep. Predict fewer "
            "rows, or without draws (in Python: draws=False)."
        )
    draws, parts = list[RowDraws](), list[pd.DataFrame]()
    for some in slices(fit, rows):
        parts.append(_summary(fit, some))
        if keep:
            draws.append(some)
    table = pd.concat([shown(rows), pd.concat(parts, ignore_index=True)], axis=1)
    twice = [str(name) for name in table.columns[table.columns.duplicated()]]
    if twice:
        raise DataError(f"{rows.table.where}: the column {twice[0]!r} has the name of a result. Rename it.")
    named = tuple(map(_share, categories_of(fit))) or ("expected", "new")
    notes = (*rows.notes, *_notes(fit, rows))
    return Prediction(
        table=table, draws=_as_xarray(fit, draws) if keep else None, notes=notes, summarised=named
    )  # fmt: skip


def refuse_without_population(fit: Fit, rows: Rows) -> None:
    """Raise ModelError where the middle of a population is asked for and none was learnt."""
    pooled = fit.table.dataset.column("group")
    level = rows.places[pooled].level
    if fit.pooling == "no" and bool(np.isin(level, (CENTRE, AVERAGE)).any()):
        raise ModelError(
            f"{fit.variant} learns no population of {fit.table.noun.many}: predict known ones, or new ones (which is "
            "its prior), or take a variant with partial pooling."
        )


def slices(fit: Fit, rows: Rows) -> Iterator[RowDraws]:
    """The draws of the rows, some at a time."""
    draws = read_draws(fit)
    if not fit.family.terms:
        yield from draws_of_rows(fit, draws, rows, portions(rows.n, fit.n_draws, _AT_ONCE))
        return
    given, rng = likelihood(fit.family.name), fit.rng("new observations")
    for linear_predictor in predictors(fit, draws, rows):
        yield RowDraws(expected(given, draws, linear_predictor), observed(given, rng, draws, linear_predictor))


def predictors(fit: Fit, draws: Draws, rows: Rows) -> Iterator[Predictor]:
    """The linear predictors of the rows, some at a time."""
    columns = encode(fit, rows)
    for some in portions(rows.n, fit.n_draws, _AT_ONCE):
        yield predictor(fit, draws, columns, rows, some)


def read_draws(fit: Fit) -> Draws:
    """The draws that rows are predicted from."""
    return {name: values for name, values in fit.draws().items() if name not in _NOT_READ}


def _summary(fit: Fit, some: RowDraws) -> pd.DataFrame:
    """Mean, sd and quantiles of both, by row."""
    categories = categories_of(fit)
    if not categories:
        return pd.DataFrame({**summarise("expected", some.expected), **summarise("new", some.new)})
    statistics: dict[str, Any] = {}
    for k, category in enumerate(categories):
        statistics |= summarise(_share(category), some.expected[:, :, k])
    number = np.quantile(some.new, list(WITH_QUARTILES.values()), axis=0, method="inverted_cdf").astype(int)
    named = np.array(categories, dtype=object)[number - 1]
    return pd.DataFrame({**statistics, **{f"new_{q}": own for q, own in zip(WITH_QUARTILES, named, strict=True)}})


def _share(category: str) -> str:
    return f"share[{category}]"


def summarise(name: str, draws: FloatArray) -> dict[str, FloatArray]:
    """Mean, sd and quantiles of draws (S, n), by name."""
    with np.errstate(over="ignore", invalid="ignore"):
        moments = {f"{name}_mean": draws.mean(axis=0), f"{name}_sd": draws.std(axis=0, ddof=1)}
        quantiles = np.quantile(draws, list(WITH_QUARTILES.values()), axis=0)
    return moments | {f"{name}_{q}": own for q, own in zip(WITH_QUARTILES, quantiles, strict=True)}


def categories_of(fit: Fit) -> tuple[str, ...]:
    """The categories of an ordered outcome; none for others."""
    return next(iter(fit.table.ordered.values()), ())


def shown(rows: Rows) -> pd.DataFrame:
    """What was asked, column by column."""
    return pd.DataFrame({name: cells for name, cells in zip(rows.table.names, rows.table.cells, strict=True) if name})


def _as_xarray(fit: Fit, draws: Sequence[RowDraws]) -> xr.Dataset:
    shape, categories = fit.shape, categories_of(fit)
    expected_ = np.concatenate([some.expected for some in draws], axis=1)
    new = np.concatenate([some.new for some in draws], axis=1)
    dims = ("chain", "draw", "row")
    coords: dict[str, Any] = {"category": list(categories)} if categories else {}
    coords |= {dim: np.arange(n) for dim, n in zip(dims, (*shape, new.shape[1]), strict=True)}
    arrays = {
        "expected": ((*dims, "category") if categories else dims, expected_.reshape(*shape, *expected_.shape[1:])),
        "new": (dims, new.reshape(*shape, *new.shape[1:])),
    }
    return xr.Dataset(arrays, coords)


def _notes(fit: Fit, rows: Rows) -> list[str]:
    """What has to be said of the variant, and of the two middles of a population."""
    level, noun = rows.places[fit.table.dataset.column("group")].level, fit.table.noun
    notes = []
    new = level >= rows.places[fit.table.dataset.column("group")].n_known
    if new.any() and fit.pooling != "partial":
        notes.append(noun.fill(NOTES[fit.pooling]))
    states = {code for place in rows.places.values() for code in np.unique(place.level) if code < 0}
    if states and averages_differ(fit.family):
        middles = [words for code, words in _MIDDLES.items() if code in states]
        notes.append(f"{', '.join(middles)}: {_DIFFER if len(middles) > 1 else _OTHER}")
    return [*notes, *scale_notes(fit)]


def scale_notes(fit: Fit) -> list[str]:
    """What values are on, where that is not the column of the table: a function of it, or the logs of ratios."""
    dataset = fit.table.dataset
    outcome = dataset.column("outcome")
    notes = [f"The outcome is {outcome}."] if fit.family.terms and outcome in computed(dataset) else []
    if dataset.reading.log_scale:
        notes.append(f"Values are logs of {dataset.column('estimate')}: their exponentials are ratios.")
    return notes
