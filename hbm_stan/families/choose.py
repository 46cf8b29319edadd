"""The likelihood that the outcome of a formula calls for, and why: what ``hbm new`` proposes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from hbm_stan.cells import kind, number, truth
from hbm_stan.data import Dataset
from hbm_stan.errors import DataError, ModelError
from hbm_stan.families import families
from hbm_stan.families.crossed import of_size
from hbm_stan.families.divided import successes_of_trials
from hbm_stan.families.ratings import are_ratings, is_scale
from hbm_stan.families.terms.dispersion import pearson
from hbm_stan.families.terms.effects import take_rows
from hbm_stan.formula import columns_read, with_formula
from hbm_stan.formula.checks import refuse_beside
from hbm_stan.formula.coding import refuse_unknown
from hbm_stan.formula.expression import Column
from hbm_stan.formula.parse import Formula, parse
from hbm_stan.likelihoods import likelihood, likelihoods, with_extra_zeros
from hbm_stan.likelihoods.above_zero import ABOVE_ZERO
from hbm_stan.likelihoods.likelihood import Likelihood
from hbm_stan.ordered import MOST_CATEGORIES, is_ordered
from hbm_stan.prepared import prepared_for
from hbm_stan.reading import make_reading
from hbm_stan.table import FloatArray

_AS_WRITTEN = {"trials": "| trials(n)", "exposure": "| rate(exposure)", "standard_error": "| se(s)"}
# Counts are over-dispersed beyond chance: the probability of so large a Pearson chi-squared, and the least dispersion
# that changes intervals by more than a tenth (ours).
_BEYOND_CHANCE, _LEAST_DISPERSION = 0.001, 1.25
# Rows from which on the test of skewness is one (D'Agostino 1970, Biometrika 57:679, says 8; ours, for groups).
_FEWEST_SKEWED = 20
# A row so many sds from its group is none of normal rows (ours). In 1,497 simulated tables of 4 to 39 groups of 1 to 19
# normal rows none had one, and 88 % of those with 3 % of rows of ten times the sd had; a test simulates some of each.
GROSS = 8.0
_MEDIAN_DISTANCE = 0.6745  # of normal rows from their mean, in sds


def of_formula(formula: str, data: Any, likelihood: str = "", group: str = "", **reading: Any) -> tuple[str, Dataset]:
    """The likelihood and the dataset of a formula and a DataFrame, or a Dataset whose reading it joins.

    ``reading`` says how to read the table: ``centre``, ``levels``, ``reference``, ``weights``.
    """
    if not isinstance(data, Dataset):
        data = Dataset.from_frame(data, formula=formula, **reading)
    else:
        own = make_reading(formula=formula, **reading)
        levels = {**data.reading.levels, **own.levels}
        joined = replace(data.reading, formula=own.formula, centre=own.centre, levels=levels)
        weights, zi = own.weights or joined.weights, own.zi or joined.zi
        data = data.read_as(replace(joined, weights=weights, zi=zi))
    dataset = with_formula(data, group)
    return likelihood_of(dataset, likelihood)[0], dataset


def choose_likelihood(dataset: Dataset, named: str = "", *, counts: bool = False) -> tuple[str, str]:
    """``likelihood_of``, and with the reason what else rows that are shares, or skewed amounts, may be taken as."""
    name, why = likelihood_of(dataset, named, counts=counts)
    return name, why if named or name not in {"normal", "normal_sampled"} else f"{why}{_or_else(dataset)}"


def likelihood_of(dataset: Dataset, named: str = "", *, counts: bool = False) -> tuple[str, str]:
    """The likelihood of a formula's outcome, and why: as named, or as the left side and the outcome's values say.

    ``counts``: the outcome was named as a number of events.
    """
    formula = parse(dataset.reading.formula)
    beside = next(iter(formula.additions), "")
    if len(formula.additions) > 1:
        both = " and ".join(_AS_WRITTEN[role] for role in formula.additions)
        raise ModelError(f"The left side of the formula has {both}, which no likelihood has together.")
    for column in columns_read(dataset):
        refuse_unknown(dataset, column)
    if named:
        _refuse_other_sides(likelihood(named), beside)
        _refuse_own_formulas(dataset, likelihood(named))
        return of_size(dataset, named, "as asked")
    if beside:
        plain = next(
            name
            for name, known in likelihoods().items()
            if beside in _beside(known) and not (known.own_rows or known.sampled)
        )
        choice = plain, f"the formula has {_AS_WRITTEN[beside]}"
    elif counts:
        choice = "poisson", f"{formula.outcome} is named as a count"
    else:
        choice = _of_values(dataset, formula)
    choice = _with_extra_zeros(dataset, *choice) if dataset.reading.beside else _if_dispersed(dataset, *choice)
    return of_size(dataset, *choice)


def _refuse_own_formulas(dataset: Dataset, known: Likelihood) -> None:
    """Raise DataError for the formula of a parameter that the likelihood does not have, naming those that do."""
    beside, every = dataset.reading.beside, likelihoods()
    takers = {name: " or ".join(n for n, other in every.items() if name in other.own_formulas) for name in beside}
    refuse_beside(dataset.table.where, beside, known.own_formulas, known.name, takers)


def _with_extra_zeros(dataset: Dataset, name: str, why: str) -> tuple[str, str]:
    """The likelihood with extra zeros of that one, whose share is given a formula.

    Extra zeros spread counts: whether these spread more than Poisson counts is asked of the rows above 0.
    """
    plain = likelihood(name)
    inflated = with_extra_zeros(plain)
    if inflated is None:
        raise _no_extra_zeros(dataset, name, why)
    why = f"{why}; the share of extra zeros has a formula"
    dispersion = _dispersion(dataset, above_zero=True)
    if not dispersion:
        return inflated.name, why
    return inflated.wider, (
        f"{why}; the counts above 0 spread {dispersion:.3g} times as much as those of Poisson counts do about what "
        f"columns and factors explain, beyond chance; --likelihood {inflated.name} takes them as Poisson counts"
    )


def _no_extra_zeros(dataset: Dataset, name: str, why: str) -> DataError:
    """The error of a formula for the share of extra zeros where the outcome is chosen to have none."""
    formula = parse(dataset.reading.formula)
    takers = " or ".join(taker for taker, known in likelihoods().items() if "zi" in known.own_formulas)
    advice = f"Leave zi out, or, if {formula.outcome} counts something, name --likelihood {takers}."
    if name == "binomial":
        advice = (
            "Leave zi out: an extra 0 cannot be told from a trial without success. Columns that make a 0 likelier go "
            "into the formula."
        )
    elif formula.additions:
        advice = "Leave zi out."
    return DataError(
        f"{dataset.table.where}: zi = {dataset.reading.zi!r} is for extra zeros of counts, and {why}: the likelihood "
        f"{name} has none. {advice}"
    )


def _beside(known: Likelihood) -> dict[str, bool]:
    """The roles beside the outcome on the left side, and whether they may be left out."""
    return {role.name: role.optional for role in known.roles if role.name in _AS_WRITTEN}


def _refuse_other_sides(known: Likelihood, beside: str) -> None:
    """Raise ModelError where the left side has what the likelihood does not take, or lacks what it needs."""
    if beside and beside not in _beside(known):
        takers = " or ".join(name for name, other in likelihoods().items() if beside in _beside(other))
        raise ModelError(
            f"{_AS_WRITTEN[beside]} on the left side of the formula goes with the likelihood {takers}, not "
            f"{known.name}."
        )
    for role, optional in _beside(known).items():
        if not optional and beside != role:
            raise ModelError(
                f"The likelihood {known.name} needs {role.replace('_', ' ')}s: write y {_AS_WRITTEN[role]} ~ ..., with "
                "their column."
            )


def _of_values(dataset: Dataset, formula: Formula) -> tuple[str, str]:
    """The likelihood that the values of the outcome call for."""
    if not isinstance(formula.outcome, Column):
        return "normal", f"{formula.outcome} is a number on a scale"
    name = formula.outcome.name
    refuse_unknown(dataset, name)
    if is_ordered(dataset, name):
        return "cumulative", f"{name} has categories in a stated order"
    cells = dataset.table.column(name)
    if any(truth(cell) for cell in cells):
        return "binomial", f"{name} has two words, each row one trial (Bernoulli)"
    if all(kind(cell) == "text" for cell in cells) and len(set(cells)) <= MOST_CATEGORIES:
        return "cumulative", f"{name} has words"
    values = np.array([number(cell, dataset.table.decimal_comma) for cell in cells])
    return _of_numbers(name, values, counted=bool(formula.offsets or dataset.reading.beside))


def _of_numbers(name: str, values: FloatArray, *, counted: bool) -> tuple[str, str]:
    """The likelihood that numbers call for, (N,); ``counted``: the formula has what goes with counts only."""
    if not np.all(np.isfinite(values)):
        return "normal", f"{name} is a number"
    if set(np.unique(values)) <= {0.0, 1.0}:
        return "binomial", f"{name} is 0 or 1, each row one trial (Bernoulli)"
    if values.min() >= 1 and are_ratings(values) and not counted:
        return "cumulative", (
            f"{name} has the whole numbers from {values.min():g} to {values.max():g} and no others, in shares that "
            "counts hardly have: ratings, ordered categories; this is a choice: --likelihood poisson, or likelihood in "
            "analysis.toml, if they are counts, normal if they are a score or a measurement"
        )
    if looks_like_counts(values):
        return "poisson", (
            f"{name} has whole numbers from {values.min():g} on that look like counts; this is a choice: "
            "--likelihood normal, or likelihood in analysis.toml, if they are a score or a measurement"
            f"{_or_ratings(values)}"
        )
    return "normal", f"{name} is a number on a scale{_or_ratings(values)}"


def _or_ratings(values: FloatArray) -> str:
    """What to do where whole numbers may be ratings; empty where they cannot be, or look like counts from 0 on."""
    if not (are_ratings(values) if values.min() < 1 else is_scale(values)):
        return ""
    asked = f"is it a scale from {values.min():g} to {values.max():g} (grades, answers)?"
    return f"; {asked} --likelihood cumulative takes its steps as ordered categories"


def _or_else(dataset: Dataset) -> str:
    """What else normal rows may be taken as, to follow the reason; empty where nothing suggests it."""
    if shares := successes_of_trials(dataset):
        return shares
    table = prepared_for(dataset, families()["normal"])
    y = table["outcome"]
    if y.min() > 0 and y.max() < 1:
        return "; strictly between 0 and 1 in every row: if it is a share, --likelihood beta takes it as one"
    skewed = y.min() > 0 and is_skewed(y, table.pooled.level)
    row, distance = farthest(np.log(y) if skewed else y, table.pooled.level)
    gross = ""
    if distance > GROSS:
        gross = (
            f"; {dataset.table.row(row)} lies {distance:.2g} times as far from the middle of its {table.noun.one} as a "
            "sd of the rows but for such ones: if rows can be gross errors, --likelihood student_t lets them weigh less"
        )
    if skewed:
        return gross + (
            "; above 0 in every row and skewed to the right about its groups, beyond chance: --likelihood gamma "
            "takes it as amounts whose sd grows with their mean, --likelihood lognormal as amounts whose log is normal"
        )
    return gross


def farthest(y: FloatArray, group: Any) -> tuple[int, float]:
    """The row that lies farthest from the median of its group, and how far in sds of such rows; 0.0 where few tell.

    The sd is that of a normal distribution with their median distance, which gross errors hardly move.
    """
    sizes = np.bincount(group)
    ordered, start = y[np.lexsort((y, group))], np.cumsum(sizes) - sizes
    middle = (ordered[start + (sizes - 1) // 2] + ordered[start + sizes // 2]) / 2
    told = np.flatnonzero(sizes[group] > 2)
    distance = (np.abs(y - middle[group]) * np.sqrt(sizes / np.maximum(sizes - 1, 1))[group])[told]
    usual = float(np.median(distance)) / _MEDIAN_DISTANCE if len(told) >= _FEWEST_SKEWED else 0.0
    return (int(told[distance.argmax()]), float(distance.max()) / usual) if usual > 0 else (0, 0.0)


def is_skewed(y: FloatArray, group: Any) -> bool:
    """Whether rows (N,) are skewed to the right about the means of their groups, by D'Agostino's test."""
    from scipy.stats import skewtest

    sizes = np.bincount(group)
    residual = y - (np.bincount(group, weights=y) / sizes)[group]
    # Rows of large groups as they are: those of groups of two are symmetric, whatever they are drawn from.
    residual = (residual * np.sqrt(sizes / np.maximum(sizes - 1, 1))[group])[sizes[group] > 2]
    return len(residual) >= _FEWEST_SKEWED and float(skewtest(residual, alternative="greater").pvalue) < _BEYOND_CHANCE


def _if_dispersed(dataset: Dataset, name: str, why: str) -> tuple[str, str]:
    """Negative binomial in place of Poisson where counts spread beyond chance about what Poisson expects of them."""
    dispersion = _dispersion(dataset) if name == "poisson" else 0.0
    if not dispersion:
        return name, why
    return "negative_binomial", (
        f"{why}; the counts spread {dispersion:.3g} times as much as Poisson counts do about what columns and "
        f"factors explain, beyond chance; --likelihood poisson takes them as Poisson counts"
    )


def _dispersion(dataset: Dataset, *, above_zero: bool = False) -> float:
    """How much counts, or those above 0, spread as a multiple of what Poisson ones do; 0.0 where it may be chance."""
    from scipy.stats import chi2

    dataset = replace(dataset, reading=dataset.reading.only_beside(()))
    family, counts = families()["poisson"], likelihood("poisson")
    table = prepared_for(dataset, family)
    data = family.stan_data(table, family.priors(table), "partial_pooling")
    if above_zero:
        counts, data = ABOVE_ZERO, take_rows(data, np.flatnonzero(data["y"]))
    squares, freedom = pearson(counts, data) if data["N"] else (0.0, 0.0)
    dispersion = squares / freedom if freedom > 0 else 0.0
    beyond = dispersion > _LEAST_DISPERSION and chi2.sf(squares, freedom) <= _BEYOND_CHANCE
    return dispersion if beyond else 0.0


def looks_like_counts(values: Any) -> bool:
    """Whether numbers look like counts: whole, none below 0, and 0 or 1 among them.

    Scores and measurements that are rounded to whole numbers (blood pressure, milliseconds) lie far from 0.
    """
    return bool(np.all(values == np.floor(values)) and values.min() >= 0 and values.min() <= 1)
