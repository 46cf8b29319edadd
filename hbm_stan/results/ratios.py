"""Where estimates are ratios, analysed as logs: the average as a ratio, and the answers in sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from hbm_stan.estimates import ESTIMATE
from hbm_stan.fit import Fit
from hbm_stan.nouns import Noun, capital
from hbm_stan.predict import NewGroup, is_ratio
from hbm_stan.results.digits import format_estimate, format_probability
from hbm_stan.results.entry import Entry
from hbm_stan.results.summary import Interval

_KEYS = ("q50", "q05", "q95")


@dataclass(frozen=True, kw_only=True)
class AverageRatio(Interval):
    """The ratio at the mean of the logs (the geometric mean over groups), and the probability that it is above 1."""

    p_above_one: float


@dataclass(frozen=True, kw_only=True)
class Ratios(Entry):
    """The section ``ratios``: what the ratio is called, and its average; None where the variant has no mean."""

    name: str
    average: AverageRatio | None


def ratio_name(fit: Fit) -> str:
    """What the analyst calls the ratio: the meaning of its column, or the name."""
    dataset = fit.table.dataset
    return dataset.meaning(dataset.column(ESTIMATE))


def average_ratio(fit: Fit, summary: pd.DataFrame) -> Ratios | None:
    """The average of a fit as a ratio; None where estimates are no ratios."""
    if not is_ratio(fit):
        return None
    if "mu" not in summary.index:
        return Ratios(name=ratio_name(fit), average=None)
    above = float(np.mean(fit.draws("mu")["mu"] > 0))
    return Ratios(name=ratio_name(fit), average=AverageRatio(**_as_ratio(summary.loc["mu"]), p_above_one=above))


def _as_ratio(log: Mapping[str, Any]) -> dict[str, float]:
    """Median, interval and their errors of a ratio, from those of its log."""
    ratio = {key: math.exp(log[key]) for key in _KEYS}
    return ratio | {f"mcse_{key}": ratio[key] * log[f"mcse_{key}"] for key in _KEYS}


def ratio_answer(fit: Fit, summary: pd.DataFrame, new: NewGroup | None, near: str, noun: Noun) -> list[str]:
    """Sentences of page one; ``near`` is what is said of a tau that may be next to none."""
    name, ratio = ratio_name(fit), average_ratio(fit, summary)
    mean = ratio.average if ratio else None
    if mean is None:
        return []
    what = f"The average {name} over the population of {noun.many} (their geometric mean)"
    if fit.pooling == "complete":
        what = f"The {name} that all {noun.many} are assumed to share"
    sentences = [f"{what} is about {_interval(mean, 'posterior median; ')}{_above_one(mean.p_above_one, fit.n_draws)}."]
    if fit.pooling != "partial":
        return sentences
    tau = summary.loc["tau"]
    factor, logs = Interval(**_as_ratio(tau)), Interval(**{key.name: tau[key.name] for key in fields(Interval)})
    sentences.append(
        f"{capital(noun.many)} differ from that average by a factor of about {_interval(factor)}: their logs have a "
        f"standard deviation tau of about {_interval(logs)}{near}."
    )
    if new is not None:
        row = new.quantities.iloc[0]
        ahead = Interval(**_as_ratio(row))
        sentences.append(
            f"For a new {noun.one} of the same kind the predictive median of the {name} is {_interval(ahead)}"
            f"{_above_one(row['p_positive'], fit.n_draws)}."
        )
    return sentences


def _above_one(probability: float, n_draws: int) -> str:
    return f"; the probability that it is above 1 is {format_probability(probability, n_draws)}"


def _interval(values: Interval, first: str = "") -> str:
    """The median, and in brackets the 90 % interval, with the digits that all three have."""
    error = max(values.mcse_q50, values.mcse_q05, values.mcse_q95)
    centre, low, high = (format_estimate(value, error) for value in (values.q50, values.q05, values.q95))
    return f"{centre} ({first}90 % interval {low} to {high})"
