"""The Stan programs of a family: what fit and the engines read of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior, PriorRow
from hbm_stan.table import FloatArray

Pooling = Literal["complete", "no", "partial"]
StanData = dict[str, Any]
Draws = Mapping[str, FloatArray]  # parameter -> draws, first dimension the draw


@dataclass(frozen=True)
class Variant:
    """One pooling assumption in one parameterisation: its Stan program, and what to use where it fails.

    ``program`` names the Stan file (by default that of the variant's name). ``settings`` are Stan data that this
    variant fixes, each broadcast to the shape of what ``prepare`` gives (``{"centered": 1}``). Texts leave places for
    the noun of the groups, here and elsewhere in a family: "sd between {groups}" (``Noun.fill``).
    """

    name: str
    title: str
    pooling: Pooling
    parameterisation: str
    assumption: str
    math: tuple[str, ...]  # Typst mathematics, one line each
    priors: tuple[str, ...]  # rows of the prior table that it uses, those of the population first
    better: str = ""  # the variant to use where this one meets divergences
    program: str = ""
    settings: Mapping[str, int] = field(default_factory=dict)
    shared: tuple[str, ...] = ()  # of these rows those that no pooling shares between groups all the same: slopes
    by_default: bool = False  # fitted too where nothing is chosen, though it is not the first of its pooling

    @property
    def in_words(self) -> str:
        """What it assumes, and its parameterisation."""
        return f"{self.assumption} Parameterisation: {self.parameterisation}."


@dataclass(frozen=True, kw_only=True)
class Programs:
    """The Stan programs: their variants, data, priors and names, and what is drawn in place of or after sampling.

    prepare(table, priors)            Stan data without ``use_likelihood`` and ``generate``; ``y`` is the outcome (N,)
    default_priors(table)             a Prior for each parameter: by the name of its row, or ``row[term]``
    coords(table)                     labels of the dims other than group and observation: {"term": (...)}
    rule(data)                        the variant of partial pooling that the data call for, and the reason
    unlearnable(table, variant)       why a Variant cannot be learnt from the rows, and which can; empty where it can
    draw_groups(rng, draws, data)     theta given the population exactly, (S, J), for marginal programs that were told
                                      not to (``generate`` = 0); or by name all that such a program leaves to be drawn
    shared                            rows of the prior table that all groups share in every pooling: of instruments
    independent(rng, data, variant, size)  all that a variant's program declares, ``size`` independent draws where the
                                      posterior is a known distribution, by name; None where it is not. It is asked
                                      for of large tables
    """

    folder: Path
    variants: tuple[Variant, ...]
    prior_rows: tuple[PriorRow, ...]
    dims: Mapping[str, tuple[str, ...]]  # of every variable with dimensions: group, observation, term, unit ...
    population: tuple[str, ...]  # parameters of the population and the residual, in the order to be shown
    hidden: tuple[str, ...] = ()  # variables that are no parameters to check: Cholesky factors and the like
    observed: str = "y"  # what the programs call the outcome, each row's log density and its replication
    log_lik: str = "log_lik"
    y_rep: str = "y_rep"
    shared: tuple[str, ...] = ()
    pilot: tuple[str, ...] = ()  # forms of partial pooling that a pilot decides between; empty: the default stands
    prepare: Callable[[Prepared, Mapping[str, Prior]], StanData]
    default_priors: Callable[[Prepared], dict[str, Prior]]
    coords: Callable[[Prepared], dict[str, tuple[str, ...]]] = lambda _table: {}
    rule: Callable[[StanData], tuple[str, str]] | None = None
    unlearnable: Callable[[Prepared, Variant], str] | None = None
    draw_groups: Callable[[np.random.Generator, Draws, StanData], FloatArray | Draws] | None = None
    independent: Callable[[np.random.Generator, StanData, str, int], Draws | None] | None = None
    own_scales: tuple[str, ...] = ()  # what groups have beside their value without pooling, where that is drawn so
