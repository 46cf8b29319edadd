"""What a family is: a frozen value with its programs, priors, names, and the model written a second time in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hbm_stan.errors import ModelError, nearest
from hbm_stan.prepare import Prepared, Role
from hbm_stan.priors import Prior, PriorRow, parse_prior
from hbm_stan.program import Program
from hbm_stan.resources import share
from hbm_stan.table import FloatArray

Pooling = Literal["complete", "no", "partial"]
StanData = dict[str, Any]
Draws = Mapping[str, FloatArray]  # parameter -> draws, first dimension the draw


@dataclass(frozen=True)
class Variant:
    """One Stan program of a family: what it assumes, how it is parameterised, what to use where it fails."""

    name: str
    title: str
    pooling: Pooling
    parameterisation: str
    assumption: str
    math: tuple[str, ...]  # Typst mathematics, one line each
    priors: tuple[str, ...]
    better: str = ""  # the variant to use where this one meets divergences


@dataclass(frozen=True)
class Family:
    """A model family. The functions are written from the citation, not from the Stan programs.

    prepare(table, priors)            Stan data without ``use_likelihood``
    default_priors(table)             a Prior for each row of the prior table, on the scale of the data
    simulate(rng, params, design)     outcome given parameters, one for each row of the design
    log_joint(params, data, variant)  log prior plus log likelihood on the constrained scale, no Jacobian
    pointwise(draws, data)            log p(y_n | parameters), shape (draw, observation)
    group_log_lik(draws, data)        log p(y_group | population), group effects integrated out, (draw, group)
    new_group(rng, population, variant)  group quantity of an unseen group, one draw for each posterior draw
    shrinkage_factor(draws, data)     weight of the population in each group's estimate, shape (draw, group)
    exact_loo(data, variant)          log p(y_n | the other rows) where it has a closed form, else None
    support(data)                     bounded parameters of the programs -> (lower, upper)
    transformed(params, data)         parameters that the programs derive from standardised ones
    """

    name: str
    title: str
    citation: str
    roles: tuple[Role, ...]
    variants: tuple[Variant, ...]
    prior_rows: tuple[PriorRow, ...]
    dims: Mapping[str, tuple[str, ...]]
    likelihood: tuple[str, ...]  # Typst mathematics
    population: tuple[str, ...]
    group_quantity: str
    population_scale: str
    outcome: str  # the role that is compared and replicated
    folder: Path
    one_row_per_group: bool
    known_residual: bool
    prepare: Callable[[Prepared, Mapping[str, Prior]], StanData]
    default_priors: Callable[[Prepared], dict[str, Prior]]
    simulate: Callable[[np.random.Generator, Draws, StanData], FloatArray]
    log_joint: Callable[[Draws, StanData, str], float]
    pointwise: Callable[[Draws, StanData], FloatArray]
    group_log_lik: Callable[[Draws, StanData], FloatArray]
    new_group: Callable[[np.random.Generator, Draws, StanData, str], FloatArray]
    shrinkage_factor: Callable[[Draws, StanData], FloatArray]
    exact_loo: Callable[[StanData, str], FloatArray | None]
    support: Callable[[StanData], dict[str, tuple[float, float]]]
    transformed: Callable[[Draws, StanData], dict[str, FloatArray]]

    def variant(self, name: str) -> Variant:
        """The variant of that name; an unknown one is an error that names the nearest."""
        for variant in self.variants:
            if variant.name == name:
                return variant
        raise ModelError(f"{self.name}: there is no variant {name!r}. {nearest(name, [v.name for v in self.variants])}")

    @property
    def default_variants(self) -> tuple[str, ...]:
        """Complete, no and partial pooling: one variant of each, the default parameterisation first."""
        first: dict[str, str] = {}
        for variant in self.variants:
            first.setdefault(variant.pooling, variant.name)
        return tuple(first.values())

    def program(self, variant: str) -> Program:
        """The Stan program of a variant, includes inlined."""
        return Program.read(self.folder / f"{self.variant(variant).name}.stan", (share("stan") / "lib",))

    def priors(self, table: Prepared, chosen: Mapping[str, str] | None = None) -> dict[str, Prior]:
        """The prior table for these data: the defaults, with the rows that the analysis chose instead."""
        rows = {r.name: r for r in self.prior_rows}
        priors = self.default_priors(table)
        for name, text in (chosen or {}).items():
            if name not in rows:
                raise ModelError(f"Priors: {self.name} has no prior named {name!r}. {nearest(name, rows)}")
            priors[name] = parse_prior(text, rows[name])
        return priors


def posterior_draws(posterior: Any, names: Sequence[str]) -> dict[str, FloatArray]:
    """The variables of an xarray posterior with chains joined: shape (draw, ...)."""
    draws = {}
    for name in names:
        if name in posterior:
            values = np.asarray(posterior[name].values, dtype=float)
            draws[name] = values.reshape(-1, *values.shape[2:])
    return draws
