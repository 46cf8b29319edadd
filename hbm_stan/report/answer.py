"""The answer in words, from numbers that passed their checks; and what a reader must know before any number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hbm_stan.diagnose import parameters
from hbm_stan.predict import NewGroup, raw_spread
from hbm_stan.report.digits import format_estimate, format_probability, significant
from hbm_stan.report.lacking import lacking
from hbm_stan.scores import few_observations, plain

if TYPE_CHECKING:
    import pandas as pd

    from hbm_stan.fit import Fit
    from hbm_stan.report.analysis import Analysis
    from hbm_stan.report.found import Findings

# A tau below this share of the sd of the estimates is as good as none (decision-rules, pitfall 17: ours) ...
NEAR_ZERO = 0.1
# ... and is mentioned where it has at least this probability.
MENTIONED = 0.05
# Of many terms the answer names so many; the tables have them all.
_SENTENCES = 3


def answer(analysis: Analysis, found: Findings) -> list[str]:
    """Sentences for page one; where a check failed, why there is no answer."""
    if found.withheld:
        failed = [name for name, d in found.diagnoses.items() if d.status == "fail"]
        named = ", ".join(plain(name) for name in failed)
        return [f"No conclusion is drawn: {named} did not pass {'their' if len(failed) > 1 else 'its'} checks."]
    main = found.fits[analysis.main_variant]
    pooling = main.family.variant(main.variant).pooling
    unit = quantity_unit(main)
    summary = found.diagnoses[main.variant].summary
    said = []
    if pooling == "no":
        said.append(
            "Without pooling, each group is estimated by itself: there is no common answer, and none for a new group."
        )
    else:
        said += _averages(main, summary, unit) or _population(main, summary)
    if pooling == "partial":
        said += _spreads(main, summary, unit)
        said += [] if found.new_group is None else _new(main, found.new_group, unit)
    if found.comparison is not None:
        warning = few_observations(found.comparison.n_observations)
        said += [s for s in found.comparison.verdict if s != warning]
    return said


def _with_unit(text: str, unit: str) -> str:
    return f"{text} {unit}".strip()


def _interval(row: pd.Series[float]) -> str:
    # Both ends with the digits that the less certain one allows.
    mcse = max(row["mcse_q05"], row["mcse_q95"])
    return f"90 % interval {format_estimate(row['q05'], mcse)} to {format_estimate(row['q95'], mcse)}"


def quantity_unit(fit: Fit) -> str:
    """The unit of the group quantity: the outcome's, unless that is divided by trials or exposure or transformed."""
    family = fit.family
    other = family.size or family.discrete or not family.same_unit
    return "" if other else fit.table.dataset.unit(family.outcome(fit.table))


def _of_terms(fit: Fit, summary: pd.DataFrame, name: str) -> dict[str, str]:
    """The rows of the summary that belong to a population parameter: term (empty for a single one) -> row."""
    rows = [str(row) for row in summary.index if str(row).partition("[")[0] == name]
    return {row.partition("[")[2].removesuffix("]"): row for row in rows[:_SENTENCES]}


def _subject(fit: Fit, term: str) -> str:
    if not term:
        return f"average {fit.family.group_meaning}" if fit.family.group_meaning != "value" else "average"
    return "average intercept" if term == "intercept" else f"average coefficient of {term}"


def _averages(fit: Fit, summary: pd.DataFrame, unit: str) -> list[str]:
    said = []
    for term, row in _of_terms(fit, summary, "mu").items():
        mu = summary.loc[row]
        centre = _with_unit(format_estimate(mu["q50"], mu["mcse_q50"]), unit if not term else "")
        if fit.pooling == "complete":
            what = f"The {_subject(fit, term).removeprefix('average ')}" if term else "The value"
            what += " that all groups are assumed to share"
        else:
            what = f"The {_subject(fit, term)} over the population of groups"
        sentence = f"{what} is about {centre} (posterior median; {_interval(mu)})"
        said.append(sentence + _above_zero(fit, row, term))
    return said


def _population(fit: Fit, summary: pd.DataFrame) -> list[str]:
    """Of a family without mu (a user's own): its first population parameters by their names."""
    rows = [row for name in fit.family.population for row in _of_terms(fit, summary, name).values()]
    return [
        f"{row} is about {format_estimate(summary.loc[row, 'q50'], summary.loc[row, 'mcse_q50'])} "
        f"(posterior median; {_interval(summary.loc[row])})."
        for row in rows[:_SENTENCES]
    ]


def _above_zero(fit: Fit, row: str, term: str) -> str:
    """The probability that it is above zero, where zero means something: not for rates, nor for an intercept."""
    if not fit.family.signed or term == "intercept":
        return "."
    names, draws = parameters(fit)
    positive = format_probability(float(np.mean(draws[names.index(row)] > 0)), fit.n_draws)
    return f"; the probability that it is above zero is {positive}."


def _spreads(fit: Fit, summary: pd.DataFrame, unit: str) -> list[str]:
    """How much groups differ; an interval of a scale never holds 0, so what is near 0 is said in words."""
    said = []
    names, draws = parameters(fit)
    raw = raw_spread(fit)
    for term, row in _of_terms(fit, summary, fit.family.population_scale).items():
        tau = summary.loc[row]
        centre = _with_unit(format_estimate(tau["q50"], tau["mcse_q50"]), unit if not term else "")
        subject = "Group values vary" if not term else f"The {'intercept' if term == 'intercept' else term} varies"
        if term and term != "intercept":
            subject = f"The coefficient of {term} varies"
        sentence = f"{subject} around that average with a standard deviation {row} of about {centre}"
        sentence += f" ({_interval(tau)})"
        small = NEAR_ZERO * raw.get(term, np.nan)
        near = float(np.mean(draws[names.index(row)] < small)) if np.isfinite(small) else 0.0
        if near >= MENTIONED:
            limit = _with_unit(significant(small, 2), unit if not term else "")
            probability = format_probability(near, fit.n_draws)
            sentence += f"; it is below {limit} with probability {probability}, so the groups may hardly differ at all"
        said.append(sentence + ".")
    return said


def _new(fit: Fit, prediction: NewGroup, unit: str) -> list[str]:
    said = []
    for name, row in prediction.quantities.iloc[:_SENTENCES].iterrows():
        if str(name) == "y_new":
            break
        term = str(name).partition("[")[2].removesuffix("]")
        centre = _with_unit(format_estimate(row["q50"], row["mcse_q50"]), unit if not term else "")
        what = "For a new group of the same kind the predictive median"
        what += f" of the {_subject(fit, term).removeprefix('average ')}" if term else ""
        sentence = f"{what} is {centre} ({_interval(row)})"
        if fit.family.signed and term != "intercept":
            positive = format_probability(row["p_positive"], fit.n_draws)
            sentence += f"; the probability that {'it' if term else 'its value'} is above zero is {positive}"
        said.append(sentence + ".")
    return said


def notices(found: Findings) -> list[str]:
    """Waived checks, warnings of the data, every failed check with its hint, and what a user's family cannot do."""
    said = []
    for name, verdicts in found.verdicts.items():
        for v in verdicts:
            if v.waived:
                said.append(
                    f"{plain(name).capitalize()}: the failed check “{v.name}” was waived by the analyst. {v.hint}"
                )
            elif v.status != "pass":
                said.append(f"{plain(name).capitalize()}, {v.name}: {v.hint}")
    table = next(iter(found.fits.values())).table
    said += [v.hint for v in table.verdicts if v.status != "pass"]
    said += lacking(found.fits)
    if found.comparison is not None:
        warning = few_observations(found.comparison.n_observations)
        said += [s for s in found.comparison.verdict if s == warning]
    return said
