"""The quantities that page one speaks of, as draws on the scale that a reader thinks in, and their summaries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hbm_stan.diagnose import estimates
from hbm_stan.fit import Fit
from hbm_stan.predict import NewGroup, group_draws, terms_of
from hbm_stan.results.entry import Entry
from hbm_stan.results.scales import Scale, scale_of
from hbm_stan.scratch import give_back
from hbm_stan.table import FloatArray

_KEYS = ("q05", "q50", "q95", "mcse_q05", "mcse_q50", "mcse_q95")


@dataclass(frozen=True, kw_only=True)
class Quantiles(Entry):
    """Quantiles of a quantity on the reader's scale, their errors, and the share of draws above zero (a ratio: 1)."""

    q05: float
    q50: float
    q95: float
    mcse_q05: float
    mcse_q50: float
    mcse_q95: float
    q25: float
    q75: float
    p_above: float


@dataclass(frozen=True, kw_only=True)
class _Words(Entry):
    name: str
    term: str
    words: str
    unit: str


@dataclass(frozen=True, kw_only=True)
class Number(Quantiles, _Words):
    """A number of page one: its name, its term, what it is in words, its unit, and its quantiles in that unit."""


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """What is spoken of: its name in results.json, the term and the scale it belongs to, its summary, and its group."""

    name: str
    term: str
    scale: Scale
    row: Quantiles
    group: str = ""

    @property
    def number(self) -> Number:
        """The quantity as page one has it."""
        words, unit = self.scale.words, self.scale.unit
        return Number(name=self.name, term=self.term, words=words, unit=unit, **self.row.as_dict())


def summary_of(fit: Fit, draws: FloatArray, against: float = 0.0) -> Quantiles:
    """Quantiles of draws (S,) with their Monte Carlo errors, and the share of draws above ``against``."""
    shape = (1, fit.sampling.chains, -1)
    row = estimates(["value"], np.asarray(draws, dtype=float).reshape(shape)).iloc[0]
    summary = {key: float(row[key]) for key in _KEYS}
    q25, q75 = (float(np.quantile(draws, p)) for p in (0.25, 0.75))
    return Quantiles(**summary, q25=q25, q75=q75, p_above=float(np.mean(np.asarray(draws) > against)))


def quantity(fit: Fit, name: str, term: str, draws: FloatArray) -> Quantity:
    """A quantity from its draws on the scale of the model, (S,)."""
    scale = scale_of(fit, term)
    back = scale.back(draws)
    return Quantity(name=name, term=term, scale=scale, row=summary_of(fit, back, float(scale.back(np.zeros(1))[0])))


def average_draws(fit: Fit, term: str) -> FloatArray | None:
    """The mean of the term over the population of groups, (S,); None where the model has none."""
    design = fit.table.design
    if design is not None:
        return fit.draws("beta")["beta"][:, design.names.index(term)] if term in design.names else None
    if "mu" not in fit.named["posterior"]:
        return None
    mu = fit.draws("mu")["mu"]
    if mu.ndim == 1 and "gamma" in fit.named["posterior"]:  # predictors of groups at their means
        return np.asarray(mu + fit.draws("gamma")["gamma"] @ np.mean(fit.data["U"], axis=0))
    return mu if mu.ndim == 1 else mu[:, terms_of(fit).index(term)]


def averages(fit: Fit, terms: Sequence[str]) -> list[Quantity]:
    """The averages of these terms over the population."""
    by_term = [(term, average_draws(fit, term)) for term in terms]
    return [quantity(fit, _named("average", term), term, draws) for term, draws in by_term if draws is not None]


def of_new_group(fit: Fit, new: NewGroup | None, terms: Sequence[str]) -> list[Quantity]:
    """These terms of a group that was not seen."""
    base = f"{fit.family.groups.group_quantity}_new"
    names = [(term, _named(base, term)) for term in terms]
    return [quantity(fit, _named("new", t), t, new.draws[name]) for t, name in names if new and name in new.draws]


def of_group(fit: Fit, label: str, term: str) -> Quantity:
    """A term of a known group."""
    theta = group_draws(fit)
    draws = theta[:, list(fit.table.pooled.labels).index(label), terms_of(fit).index(term)].copy()
    give_back(theta)
    return replace(quantity(fit, f"{_named('group', term)}: {label}", term, draws), group=label)


def _named(base: str, term: str) -> str:
    return f"{base}[{term}]" if term else base
