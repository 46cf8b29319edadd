"""On which scale a reader thinks of a group's coefficient, and what it is called: the words and units of the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hbm_stan.between import intercept_place
from hbm_stan.coefficients import intercept_place as formula_place
from hbm_stan.fit import Fit
from hbm_stan.later import expit
from hbm_stan.likelihoods import likelihood
from hbm_stan.likelihoods.likelihood import ODDS, RATE, RATIO, Measure
from hbm_stan.nouns import singular
from hbm_stan.predict import is_ratio
from hbm_stan.predictors import INTERCEPT
from hbm_stan.results.columns import parts_of
from hbm_stan.results.ratios import ratio_name
from hbm_stan.results.units import observed_unit, own_meaning, quantity_unit, rate_unit
from hbm_stan.table import FloatArray

_NAMED = 3  # predictors whose places are named


@dataclass(frozen=True, kw_only=True)
class Scale:
    """What a term is called, its unit, and the rising function from the scale of the model to that of the reader.

    ``factor`` says that a difference on the model's scale is a factor on the reader's: of what, in a word.
    """

    words: str
    unit: str
    back: Callable[[FloatArray], FloatArray] = np.asarray
    factor: str = ""
    place: str = ""  # where an intercept stands: at floor = 0


def outcome_words(fit: Fit) -> str:
    """The column of the outcome as words, without its unit at the end: reaction_ms -> reaction.

    Where outcomes stand in several columns, what a reader thinks of the groups' quantity as.
    """
    if fit.table.parts and fit.family.words.scale is not None:
        return fit.family.words.scale(fit.data)[0]
    dataset = fit.table.dataset
    column, unit = dataset.column(fit.family.outcome(fit.table)), dataset.unit(fit.family.outcome(fit.table))
    words = column.replace("_", " ").strip()
    shorter = words.removesuffix(f" {unit}") if unit else words
    return shorter or column


def scale_of(fit: Fit, term: str = "") -> Scale:
    """The scale of a term of the group quantity; the empty term is a group's only quantity."""
    if is_ratio(fit):
        return Scale(words=ratio_name(fit), unit="", back=np.exp, factor=RATIO.word)
    if fit.family.words.scale is not None:
        words, back, factor = fit.family.words.scale(fit.data)
        return Scale(words=words, unit="", back=back, factor=factor)
    if term and term != INTERCEPT:
        return Scale(words=f"effect of {term}", unit=per(fit, term), factor=_factor_word(fit))
    if term == INTERCEPT:
        return _intercept(fit)
    meaning, outcome = own_meaning(fit), outcome_words(fit)
    words = (meaning if fit.family.words.apart else f"{meaning} of {outcome}") if meaning else outcome
    return Scale(words=words, unit=quantity_unit(fit) or rate_unit(fit), place=_at_zero(fit))


def _at_zero(fit: Fit) -> str:
    """Where predictors stand whose slopes all groups share: (arm = placebo, dose = 0); nothing where there are none."""
    predictors = fit.table.predictors.get("predictors")
    if predictors is None or not predictors.names:
        return ""
    numbers = [name for name in predictors.names if name not in predictors.indicators]
    places = [*(f"{column} = {own[0]}" for column, own in predictors.levels.items()), *(f"{n} = 0" for n in numbers)]
    return f"({', '.join(places)})" if len(places) <= _NAMED else "(where predictors are 0)"


def per(fit: Fit, term: str) -> str:
    """The unit of a coefficient: ms per day, log pCi/L per floor; of a level of a category that of the outcome."""
    unit = quantity_unit(fit)
    if not unit or any(part.level is not None for part in parts_of(fit, term)):
        return unit
    return f"{unit} per {singular(term) if term.isalpha() else f'unit of {term}'}"


def factor_of(fit: Fit) -> Measure | None:
    """What is multiplied by the exponential of a coefficient: the odds, the rate, the mean; None where nothing is."""
    if is_ratio(fit):
        return RATIO
    if fit.family.words.scale is not None:
        return {measure.word: measure for measure in (RATE, ODDS)}[fit.family.words.scale(fit.data)[2]]
    if fit.family.name == "logistic_regression":
        return ODDS
    return likelihood(fit.family.name).factor if fit.table.design is not None else None


def _factor_word(fit: Fit) -> str:
    factor = factor_of(fit)
    return "" if factor is None else factor.word


def _intercept(fit: Fit) -> Scale:
    """An intercept as the mean of a row where a link can be taken back."""
    design, outcome = fit.table.design, outcome_words(fit)
    if design is None:
        link = fit.family.name == "logistic_regression"
        words = f"probability of {outcome}" if link else outcome
        unit = "" if link else quantity_unit(fit)
        return Scale(
            words=words,
            unit=unit,
            back=expit if link else np.asarray,
            factor=_factor_word(fit),
            place=intercept_place(fit),
        )
    given = likelihood(fit.family.name)
    if INTERCEPT not in design.names:  # thresholds, or nothing, stand in an average's place
        return Scale(words="deviation from the average", unit=quantity_unit(fit), factor=_factor_word(fit))
    place = formula_place(design)
    if given.factor is None:
        return Scale(words=outcome, unit=quantity_unit(fit), place=place)
    return Scale(
        words=_measured(given.measure, outcome),
        unit=observed_unit(fit) or (rate_unit(fit) if given.measure.word == RATE.word else ""),
        back=given.inverse_link,
        factor=_factor_word(fit),
        place=place,
    )


def _measured(measure: Measure, outcome: str) -> str:
    """What the mean of a row is called: probability of infection, mean cost, rate of calls (extra zeros apart)."""
    name = measure.word if outcome in measure.word.split() else measure.of_outcome(outcome)
    return name + (f" ({measure.apart})" if measure.apart else "")
