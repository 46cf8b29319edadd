"""Other priors that an analysis is tried under: named ones of the scale between groups, rescaled ones of the rest."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hbm_stan.elements import base_of
from hbm_stan.fit import Fit
from hbm_stan.model import Family
from hbm_stan.priors import SCALES, Prior, PriorRow, two_digits

# The usual "uninformative" choice, kept as a warning: Gelman (2006), Bayesian Analysis 1:515, on few groups.
WIDE = 100.0
# A uniform prior that ends nearer than so many of the current prior's scales would not be wide.
_NOT_WIDE = 10.0
_UPPER_QUARTILE = 0.6744897501960817  # of the standard normal distribution
FACTORS = (0.5, 2.0)


@dataclass(frozen=True)
class Rival:
    """Another prior of one parameter, or of all terms of it: a label, texts by name, the variants that use it."""

    label: str
    priors: Mapping[str, str]
    variants: tuple[str, ...]
    warning: bool = False

    @property
    def text(self) -> str:
        """The priors as they would be written in analysis.toml."""
        return ", ".join(f"{name} = {text}" for name, text in self.priors.items())

    @property
    def shown(self) -> str:
        """What tables and sentences call it: its text, or its label where several priors change together."""
        return self.text if len(self.priors) == 1 else self.label

    @property
    def place(self) -> str:
        """A folder's name for its fits; those of others with the same name are told apart by their keys."""
        return re.sub(r"[^\w.-]+", "_", self.text)[:80].strip("_")


def rivals(main: Fit, variants: Sequence[str]) -> tuple[list[Rival], list[str]]:
    """The rivals of the main variant's priors, for these variants; and the priors that are not varied.

    The named ones replace the prior of the scale between groups, each term by itself: half-normal with half and twice
    the scale s, half-Cauchy and half-Student-t with s, and uniform to 100 (to 100 s, where 100 is less than 10 s); s is
    the scale of the half-normal with the current prior's median. Of others the scale is halved and doubled, all terms
    of a parameter together.
    """
    family, used = main.family, main.family.priors_of(main.variant, main.priors)
    rows = {row.name: row for row in family.programs.prior_rows}
    spread = spread_rows(family, main.variant)
    rival_priors: list[Rival] = []
    unvaried: list[str] = []
    for base in dict.fromkeys(base_of(name) for name in used):
        own = {name: prior for name, prior in used.items() if base_of(name) == base}
        of_base = _named(own, rows[base]) if base in spread else _rescaled(base, own)
        unvaried += [] if of_base else list(own)
        rival_priors += [replace(r, variants=_users(main, r, variants)) for r in of_base]
    return rival_priors, unvaried


def spread_rows(family: Family, variant: str) -> set[str]:
    """The rows of the prior table that say how much groups differ.

    The population's scale where it has a prior; else scales that partial pooling alone has, and that any named prior
    may be given to: a concentration, a shape.
    """
    used = family.variant(variant).priors
    names = {base_of(name) for name in used}
    if family.groups.population_scale in names:
        return {family.groups.population_scale}
    shared = {base_of(n) for v in family.programs.variants if v.pooling != "partial" for n in v.priors}
    own = [row for row in family.programs.prior_rows if row.name in names - shared]
    return {row.name for row in own if set(SCALES) <= set(row.distributions)}


def matched_scale(prior: Prior) -> float:
    """The scale of the half-normal distribution that has the prior's median, two digits."""
    low, high = 0.0, 1.0
    while prior.cumulative(high) < 0.5:
        low, high = high, 2 * high
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if prior.cumulative(middle) < 0.5 else (low, middle)
    return two_digits(high / _UPPER_QUARTILE)


def _named(priors: Mapping[str, Prior], row: PriorRow) -> list[Rival]:
    """The named priors of a scale, those left out that the family does not offer or that are there already."""
    rival_priors = []
    for name, prior in priors.items():
        s = matched_scale(prior)
        end = WIDE * s if s > WIDE / _NOT_WIDE else WIDE
        listed = [
            (
                f"{name}: half-normal x {factor:g}",
                Prior(name=name, distribution="half_normal", arguments=(two_digits(factor * s),)),
            )
            for factor in FACTORS
        ]
        listed += [
            (f"{name}: half-Cauchy", Prior(name=name, distribution="half_cauchy", arguments=(s,))),
            (f"{name}: half-t4", Prior(name=name, distribution="half_student_t", arguments=(4.0, s))),
            (f"{name}: uniform", Prior(name=name, distribution="uniform", arguments=(0.0, end))),
        ]
        rival_priors += [
            Rival(label, {name: other.text}, (), other.distribution == "uniform")
            for label, other in listed
            if other.distribution in row.distributions and other.text != prior.text
        ]
    return rival_priors


def _rescaled(base: str, priors: Mapping[str, Prior]) -> list[Rival]:
    """The same distributions with half and twice the scale; none where one of them has no scale."""
    rival_priors = []
    for factor in FACTORS:
        others = {name: rescaled(prior, factor) for name, prior in priors.items()}
        texts = {name: other.text for name, other in others.items() if other is not None}
        if len(texts) == len(priors):
            rival_priors.append(Rival(f"{base}: scale x {factor:g}", texts, ()))
    return rival_priors


def rescaled(prior: Prior, factor: float) -> Prior | None:
    """The prior with ``factor`` times its scale; None where it has none (beta, lkj, a fixed value)."""
    a = prior.arguments
    arguments: dict[str, tuple[float, ...]] = {
        "normal": (a[0], factor * a[-1]),
        "half_normal": (factor * a[0],),
        "half_cauchy": (factor * a[0],),
        "half_student_t": (a[0], factor * a[-1]),
        "uniform": (a[0], factor * a[-1]),
        "exponential": (a[0] / factor,),
        "gamma": (a[0], a[-1] / factor),
        "lognormal": (round(a[0] + math.log(factor), 3), a[-1]),
    }
    if prior.distribution not in arguments:
        return None
    other = replace(prior, arguments=arguments[prior.distribution])
    return other if other.above > 0 else None  # a uniform prior that would end below the lower end


def _users(main: Fit, rival: Rival, variants: Sequence[str]) -> tuple[str, ...]:
    """Those of the variants whose prior it replaces: the others need no refit."""
    return tuple(v for v in variants if set(rival.priors) & set(main.family.priors_of(v, main.priors)))
