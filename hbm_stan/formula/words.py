"""The model of a formula in words: what is common, what varies by what, and where columns are zero."""

from __future__ import annotations

from hbm_stan.data import Dataset
from hbm_stan.design import Columns, Design, Term
from hbm_stan.formula.parse import parse
from hbm_stan.predictors import INTERCEPT

_MANY = 12  # names that a sentence lists
_ROUNDING = 1e-9  # of a column's sd: a mean below it is one of 0, but for rounding


def model_in_words(dataset: Dataset, design: Design, likelihood: str, why: str) -> list[str]:
    """Sentences on the model, before anything is sampled."""
    outcome = parse(dataset.reading.formula).outcome
    return [f"Model: {outcome}, likelihood {likelihood} ({why}).", *structure_in_words(dataset, design)]


def structure_in_words(dataset: Dataset, design: Design) -> list[str]:
    """Sentences on what is common to all rows and what varies by which factor."""
    offsets = "".join(f" {node} is added as it is (offset)." for node in parse(dataset.reading.formula).offsets)
    sentences = [
        f"Common to all rows: {listed(design.names) or 'nothing'}.{offsets}{_centred(design)}",
        *(_varies(design, term) for term in design.terms),
        *(_of_own(name, own) for name, own in design.beside.items()),
    ]
    return sentences + _uncorrelated(design)


def listed(names: tuple[str, ...]) -> str:
    """Names with commas; many are cut off."""
    more = f" and {len(names) - _MANY} more" if len(names) > _MANY else ""
    return ", ".join(names[:_MANY]) + more


def _varies(design: Design, term: Term) -> str:
    pooled = "; the factor that is pooled" if term.factor.name == design.pooled.name else ""
    together = ", with correlations" if term.correlated else ""
    return f"Varies by {term.factor.name} ({len(term.factor.labels):,} levels{pooled}): {listed(term.names)}{together}."


def _of_own(name: str, own: Columns) -> str:
    """What an own parameter of the likelihood depends on."""
    if own.names == (INTERCEPT,):
        return f"The same for all rows: {name}."
    return f"{name} depends on: {listed(own.names)}{', centred at their means' if own.means.any() else ''}."


def _centred(design: Design) -> str:
    """Where the intercept is, or the thresholds that stand in its place."""
    # The mean of the indicator of a level is the share of its rows; of products what they are made of is said.
    columns = [
        (name, mean, design.encode.parts_of(name)) for name, mean in zip(design.names, design.means, strict=True)
    ]
    at = [
        f"{name} {_rounded(mean, sd)}" if parts[0].level is None else f"{name} {mean:.2f}"
        for (name, mean, parts), sd in zip(columns, design.X.std(axis=0), strict=True)
        if mean and len(parts) == 1
    ]
    if not design.means.any():
        return ""
    where = f" ({', '.join(at[:_MANY])})" if at else ""
    what = "the intercept is the one" if INTERCEPT in design.names else "the thresholds are those"
    return f" Columns are centred at their means{where}: {what} there."


def _rounded(mean: float, sd: float) -> str:
    """A mean with four digits; 0 where it is no more than the rounding of the column, as of orthogonal ones."""
    return f"{mean:.4g}" if abs(mean) > _ROUNDING * sd else "0"


def _uncorrelated(design: Design) -> list[str]:
    """A sentence where a model without correlations depends on where its columns are zero, and they are centred."""
    apart: dict[str, list[str]] = {}
    means = iter(design.term_means)
    for term in design.terms:
        for name in term.names:
            if next(means) and not (term.correlated and INTERCEPT in term.names):
                apart.setdefault(term.factor.name, []).append(name)
    return [
        f"What varies by {factor} has no correlations with its intercept, or no intercept: such a model depends on "
        f"where {listed(tuple(names))} is 0, here at the mean. centre = false takes columns as they are."
        for factor, names in apart.items()
    ]
