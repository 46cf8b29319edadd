"""What columns do, in one or two sentences of page one: common coefficients, slopes of the population, of groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hbm_stan.encoding import Part
from hbm_stan.likelihoods import likelihood
from hbm_stan.likelihoods.likelihood import RATE, Measure
from hbm_stan.nouns import capital
from hbm_stan.predict import terms_of
from hbm_stan.predictors import INTERCEPT
from hbm_stan.results.coefficients import Coefficients
from hbm_stan.results.columns import parts_of
from hbm_stan.results.digits import format_probability
from hbm_stan.results.intervals import estimate, in_unit, numbers
from hbm_stan.results.quantities import Quantity, average_draws, summary_of
from hbm_stan.results.scales import Scale, factor_of, outcome_words, per
from hbm_stan.results.units import quantity_unit

if TYPE_CHECKING:
    from hbm_stan.fit import Fit
    from hbm_stan.table import FloatArray

_LISTED = 5  # effects that a sentence lists; more are counted (ours)


@dataclass(frozen=True)
class Effects:
    """The sentences, and the quantities in them."""

    sentences: list[str]
    numbers: list[Quantity]


def effect_sentences(fit: Fit, coefficients: Coefficients | None) -> Effects:
    """What one unit more of each column adds to the outcome, or multiplies; nothing where there are no columns."""
    slopes, curved = _apart(fit, _slopes(fit))
    measure = factor_of(fit)
    factor = "" if measure is None else measure.word
    against = references(fit, coefficients)
    quantities = []
    for name, draws in slopes:
        row = summary_of(fit, np.exp(draws) if factor else draws, 1.0 if factor else 0.0)
        unit = "" if factor else per(fit, name)
        quantities.append(
            Quantity(
                name=f"effect[{name}]",
                term=name,
                scale=Scale(words=f"effect of {name}", unit=unit, factor=factor),
                row=row,
            )
        )
    shown = _clearest(quantities)
    if not shown:
        return Effects(curved, [])
    sentence = _one(fit, shown[0], against) if len(quantities) == 1 else _several(fit, shown, against, len(quantities))
    return Effects([sentence, *curved], shown)


def _apart(fit: Fit, slopes: list[tuple[str, FloatArray]]) -> tuple[list[tuple[str, FloatArray]], list[str]]:
    """The slopes of columns, and a sentence on curves, of whose columns a unit means nothing."""
    parts = {name: parts_of(fit, name) for name, _ in slopes}
    bases = {n: [p.written for p in own if p.level is None and p.label != p.written] for n, own in parts.items()}
    written = list(dict.fromkeys(text for own in bases.values() for text in own))
    sentence = f"The {outcome_words(fit)} follows a curve, {' and '.join(written)}: see the effects on the outcome."
    return [(name, draws) for name, draws in slopes if not bases[name]], [sentence] * bool(written)


def _slopes(fit: Fit) -> list[tuple[str, FloatArray]]:
    """The coefficients of columns, common or averaged over groups, then those of predictors of groups."""
    design = fit.table.design
    names = design.names if design is not None else terms_of(fit) if "mu" in fit.named["posterior"] else ()
    candidates = [(name, average_draws(fit, name)) for name in names if name not in {"", INTERCEPT}]
    slopes = [(name, draws) for name, draws in candidates if draws is not None]
    if "gamma" in fit.family.programs.dims and "gamma" in fit.named["posterior"]:
        gamma = fit.draws("gamma")["gamma"]
        labels = fit.family.coordinates(fit.table)[fit.family.programs.dims["gamma"][0]]
        slopes += [(str(label), gamma[:, k]) for k, label in enumerate(labels)]
    return slopes


def references(fit: Fit, coefficients: Coefficients | None) -> dict[str, str]:
    """The level that the others of a category are compared with, by column."""
    if coefficients:
        return {name: str(level) for name, level in coefficients.references.items()}
    all_predictors = fit.table.predictors.values()
    return {column: str(levels[0]) for predictors in all_predictors for column, levels in predictors.levels.items()}


def _one(fit: Fit, q: Quantity, against: Mapping[str, str]) -> str:
    probability, where = format_probability(q.row.p_above, fit.n_draws), _where(fit, q.term, against)
    if factor := factor_of(fit):
        clause = f"{_multiplied(fit, factor)} {estimate(q.row)} {where}"
        return f"{clause}; the probability that this is above 1 is {probability}."
    value = estimate(q.row, quantity_unit(fit))
    clause = f"{capital(where)}, the {outcome_words(fit)} changes by about {value}"
    return f"{clause}; this is above zero with probability {probability}."


def _multiplied(fit: Fit, factor: Measure) -> str:
    """What is multiplied: the odds of infection, the mean cost."""
    outcome = outcome_words(fit)
    if fit.table.design is not None and likelihood(fit.family.name).ladder == "ordered":
        outcome = f"a higher {outcome}"
    if fit.table.parts and factor is RATE:  # the outcome's words are those of the rate itself
        return f"The {outcome} is multiplied by about"
    return f"The {factor.of_outcome(outcome)} {'are' if factor.plural else 'is'} multiplied by about"


def _where(fit: Fit, name: str, against: Mapping[str, str]) -> str:
    """For what an effect is: one unit more of a column, or a level instead of the one compared with."""
    parts = parts_of(fit, name)
    if any(part.level is None for part in parts):
        return f"for one unit more of {name}{_of_unit(fit, parts)}"
    if len(parts) > 1:
        return f"more where {' and '.join(f'{part.written} = {part.level}' for part in parts)} meet"
    (part,) = parts
    instead = f" instead of {against[part.written]}" if part.written in against else ""
    return f"with {part.written} = {part.level}{instead}"


def _of_unit(fit: Fit, parts: Sequence[Part]) -> str:
    """The unit of a column that stands by itself, in brackets, unless it is the column's name."""
    unit = fit.table.dataset.unit_of(parts[0].written) if len(parts) == 1 else ""
    return f" ({unit})" if unit and unit.casefold() != parts[0].written.casefold() else ""


def _clearest(quantities: Sequence[Quantity]) -> list[Quantity]:
    """Of more effects than a sentence lists those that are surest to have their sign, in their order."""

    def doubt(k: int) -> tuple[float, float]:
        row = quantities[k].row
        null = 1.0 if quantities[k].scale.factor else 0.0
        low, middle, high = (np.log(v) if null else v for v in (row.q05, row.q50, row.q95))
        return min(row.p_above, 1 - row.p_above), -abs(middle) / max(high - low, 1e-300)

    return [quantities[k] for k in sorted(sorted(range(len(quantities)), key=doubt)[:_LISTED])]


def _several(fit: Fit, shown: Sequence[Quantity], against: Mapping[str, str], count: int) -> str:
    """The effects of several columns in one sentence."""
    factor, unit = factor_of(fit), quantity_unit(fit)
    parts = []
    for k, q in enumerate(shown):
        centre, low, high = numbers(q.row)
        value = centre if factor else in_unit(centre, unit)
        parts.append(f"{value} ({'90 % interval ' * (k == 0)}{low} to {high}) {_where(fit, q.term, against)}")
    rest = count - len(shown)
    more = f", and there {'is 1 effect' if rest == 1 else f'are {rest} effects'} more" if rest else ""
    what = _multiplied(fit, factor) if factor is not None else f"The {outcome_words(fit)} changes by about"
    return f"{what} {', '.join(parts[:-1])} and {parts[-1]}{more}."
