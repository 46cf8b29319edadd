"""Of which fit a figure is, which of several it is, and what is said where there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hbm_stan.errors import ModelError, nearest
from hbm_stan.fit import Fit
from hbm_stan.predict import NewGroup, predicts_groups
from hbm_stan.predict import new_group as new_group_of

if TYPE_CHECKING:
    import pandas as pd

Fits = Fit | Mapping[str, Fit]
# What [prediction] of an analysis says: where new rows and new groups stand.
Prediction = Mapping[str, Any]


def named(fits: Fits) -> tuple[str, dict[str, Fit]]:
    """The name of the fit that a figure is of, and all fits by name."""
    if isinstance(fits, Fit):
        return fits.variant, {fits.variant: fits}
    if not isinstance(fits, Mapping) or not fits or not all(isinstance(f, Fit) for f in fits.values()):
        raise ModelError(f"A figure is of a fit, or of fits by variant as hbm.fit_variants gives them; got {fits!r}.")
    order = ("partial", "no", "complete")
    return min(fits, key=lambda name: order.index(fits[name].pooling)), dict(fits)


def main_of(fits: Fits) -> Fit:
    """The fit that a figure is of."""
    name, by_name = named(fits)
    return by_name[name]


def lacks(fit: Fit, figure: str, why: str) -> ModelError:
    """The error for a figure that a fit has not, with the reason."""
    return ModelError(f"hbm.plot.{figure}: {fit.variant} of {fit.family.name} has no such figure, for {why}.")


def one_of(asked: str | None, known: Sequence[str], figure: str, why_none: str) -> str:
    """What was asked for, by default the first there is."""
    if not known:
        raise ModelError(f"hbm.plot.{figure}: this fit has no such figure, for {why_none}.")
    if asked is not None and asked not in known:
        raise ModelError(f"hbm.plot.{figure}: there is no {asked!r}. {nearest(asked, known)}")
    return known[0] if asked is None else asked


def predicted_for(fit: Fit, prediction: Prediction | None) -> NewGroup | None:
    """A group that was not seen; None where the family does not say how it is drawn."""
    return new_group_of(fit, prediction) if predicts_groups(fit.family) else None


def with_table(figure: Any, table: pd.DataFrame) -> Any:
    """The figure with its table as ``.data``; its layers have their own, made of that."""
    figure.data = table
    return figure
