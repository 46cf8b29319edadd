"""The groups of a family: what is known of each, of one that is left out, and of one that nobody has observed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from hbm_stan.model.programs import Draws, StanData
from hbm_stan.table import FloatArray


@dataclass(frozen=True)
class Option:
    """A key of ``[prediction]`` in analysis.toml: what it means, and whether it is a number above zero or a table.

    ``of_row`` says that ``new_row`` reads it: its row is then another one; else only ``findings`` do.
    """

    meaning: str
    kind: Literal["positive", "number", "table"] = "positive"
    of_row: bool = True


@dataclass(frozen=True)
class PartSize:
    """What a row of a part is out of, or beside: where it usually is, and whether it is a whole number."""

    usual: float
    whole: bool


@dataclass(frozen=True)
class Parts:
    """Rows that are predicted where a row of the table holds several parts, each with its own outcome.

    ``column`` says which part a predicted row is; a table without it asks for all. ``sizes(data)`` are what rows are
    out of or beside, by role; ``data(fitted, part, sizes, where)`` are the data of rows of these parts (n,), counted
    from 0, with their sizes by role; ``by_row`` names those data.
    """

    column: str
    sizes: Callable[[StanData], Mapping[str, PartSize]]
    data: Callable[[StanData, npt.NDArray[np.int64], Mapping[str, FloatArray], str], StanData]
    by_row: tuple[str, ...]


@dataclass(frozen=True)
class GivenRows:
    """Groups given their rows, for each of S draws of the population.

    ``log_lik`` (S, J) is log p(y_group | population), or the log of an estimate of that density without bias.
    ``draw(rng, at)`` draws what groups have of their own given their rows and the draws at these places (R,), which may
    repeat, by name: (R, J, ...), of units (R, M).
    """

    log_lik: FloatArray
    draw: Callable[[np.random.Generator, npt.NDArray[np.int64]], dict[str, FloatArray]]


@dataclass(frozen=True, kw_only=True)
class Groups:
    """What compare and predict read: values of groups, and densities of rows and groups that are left out.

    new_group(rng, draws, design, variant)  theta of ``design["J"]`` unseen groups, (S, J[, K]); without pooling from
                                      the prior; draws hold all parameters of the variant
    new_row(data, options)            the design (data of J = 1 group, N = 1 row) of a new observation in a new group,
                                      and what it is in words; options["coords"] holds the labels of every dim
    raw(data)                         raw estimate of each group and its standard error, (J[, K]) each; nan where none
    shrinkage_factor(draws, data)     weight of the population in each group's estimate, (S, J[, K]), or None
    less_alike(data)                  the variance between groups as a ratio of that which chance alone leaves, and the
                                      probability of one as small; None where it cannot be told
    group_log_lik(draws, data)        log p(y_group | population), group effects integrated out, (S, J)
    group_loo_log_lik(draws, data)    log p(y_group | other groups, population), crossed effects integrated out, (S, J)
    finer_group_log_lik(draws, data)  group_log_lik with twice the nodes, which shows its error; None where it is exact,
                                      nan where it is too much work
    prior_group_log_lik(data, variant)  log p(y_group) under the fixed prior of a group alone, (J,): what no pooling
                                      says of a new group; None where groups are pooled or it cannot be computed well
    loo_log_lik(draws, data, variant)  log p(y_n | other rows of its group, population), group effects integrated out,
                                      (S, N): leave-one-out of rows then weighs the population only
    loo_draws(draws, data)            the draws with what ``loo_log_lik`` takes of each group, worked out once where its
                                      rows are asked for some at a time (``Twin.some_rows``); it takes such draws too
    loo_rep(rng, draws, data, variant, rows)  replications of rows at these places (R,), each given the other rows of
                                      its group and the population, (S, R), as ``loo_log_lik`` has their density
    given_rows(rng, draws, data)      GivenRows of groups that were not fitted, of draws of the population; None where
                                      ``group_log_lik`` and ``draw_groups`` say all of it
    settle(data, fitted, where)       data of new rows with what the fitted data settle for all rows; raises DataError
    known_units(rng, draws, data)     values of units within groups given theta and their rows, (S, M)
    expected_of_rows(draws, data)     the expected value of rows that are predicted, (S, N), where ``Twin`` has none
    curve_at(rng, draws, data, fitted, j, variant)  what lies between theta and rows of one group, (S, N), where it is
                                      more than theta: of the j-th group of the fitted data, from 0, or of one never
                                      seen with the only theta of the draws (S, 1), j = -1
    exact_loo(data, variant)          log p(y_n | the other rows) where it has a closed form (N,), else None; must be
                                      given without pooling where every group has one row
    exact_logo(data, variant)         log p(y_group | the other groups), (J,), where it has a closed form, else None: of
                                      very many rows, among which a group may weigh too much for importance weights
    """

    group_quantity: str = "theta"  # what the programs call the value of a group, and its sd in the population
    population_scale: str = "tau"
    prediction: Mapping[str, Option] = field(default_factory=dict)
    new_group: Callable[[np.random.Generator, Draws, StanData, str], FloatArray] | None = None
    new_row: Callable[[StanData, Mapping[str, Any]], tuple[StanData, str]] | None = None
    raw: Callable[[StanData], tuple[FloatArray, FloatArray]] | None = None
    shrinkage_factor: Callable[[Draws, StanData], FloatArray | None] | None = None
    less_alike: Callable[[StanData], tuple[float, float] | None] | None = None
    group_log_lik: Callable[[Draws, StanData], FloatArray] | None = None
    group_loo_log_lik: Callable[[Draws, StanData], FloatArray] | None = None
    finer_group_log_lik: Callable[[Draws, StanData], FloatArray | None] | None = None
    prior_group_log_lik: Callable[[StanData, str], FloatArray | None] | None = None
    loo_log_lik: Callable[[Draws, StanData, str], FloatArray] | None = None
    loo_draws: Callable[[Draws, StanData], Draws] | None = None
    loo_rep: Callable[[np.random.Generator, Draws, StanData, str, npt.NDArray[np.int64]], FloatArray] | None = None
    given_rows: Callable[[np.random.Generator, Draws, StanData], GivenRows] | None = None
    settle: Callable[[StanData, StanData, str], StanData] | None = None
    row_data: Mapping[str, str] = field(default_factory=dict)  # numbers of a row that predictions need: role -> datum
    parts: Parts | None = None  # of families whose ``unfold`` makes several rows of one
    known_units: Callable[[np.random.Generator, Draws, StanData], FloatArray] | None = None
    expected_of_rows: Callable[[Draws, StanData], FloatArray] | None = None
    curve_at: Callable[[Any, Draws, StanData, StanData, int, str], FloatArray] | None = None
    exact_loo: Callable[[StanData, str], FloatArray | None] | None = None
    exact_logo: Callable[[StanData, str], FloatArray | None] | None = None
