"""What a family is: a frozen value with its programs, priors, names, and the model written a second time in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hbm_stan.errors import DataError, ModelError, nearest
from hbm_stan.prepare import Prepared, Role
from hbm_stan.priors import Prior, PriorRow, parse_prior
from hbm_stan.program import Program
from hbm_stan.resources import share
from hbm_stan.table import FloatArray
from hbm_stan.verdicts import Verdict

if TYPE_CHECKING:
    import pandas as pd

Pooling = Literal["complete", "no", "partial"]
StanData = dict[str, Any]
_Parameters = dict[str, FloatArray]
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

    @property
    def in_words(self) -> str:
        """What it assumes, and its parameterisation."""
        return f"{self.assumption} Parameterisation: {self.parameterisation}."


@dataclass(frozen=True)
class Option:
    """A key of ``[prediction]`` in analysis.toml: what it means, and whether it is a number above zero or a table.

    ``of_row`` says that ``new_row`` reads it: its row is then another one; else only ``findings`` do.
    """

    meaning: str
    kind: Literal["positive", "number", "table"] = "positive"
    of_row: bool = True


@dataclass(frozen=True)
class Evidence:
    """What a family's ``findings`` are made from: the posterior draws of one variant, chains joined."""

    variant: str
    draws: Draws
    data: StanData
    table: Prepared
    options: Mapping[str, Any]
    rng: np.random.Generator


@dataclass(frozen=True)
class Finding:
    """A section of the report that only this family has: sentences, and a table or curves if there are any.

    Small multiples: ``curves`` has columns panel, x, q10, q25, q50, q75, q90, ``points`` panel, x, y, kind.
    """

    title: str
    sentences: tuple[str, ...]
    table: pd.DataFrame | None = None  # shown as it stands
    caption: str = ""
    digits: Mapping[str, int] = field(default_factory=dict)  # column of the table -> decimals of its numbers
    curves: pd.DataFrame | None = None
    points: pd.DataFrame | None = None  # of a kind such as observed, truth
    x_label: str = ""
    y_label: str = ""
    first: str = ""  # what page one says, where the first text of ``sentences`` is more than one sentence


@dataclass(frozen=True, kw_only=True)
class Family:
    """A model family. The functions are written from the citation, not from the Stan programs.

    S is the number of draws, N of rows, J of groups, K of terms (coefficients of a group) where there are several.
    Draws always have the draw as first dimension, also where it is one. The group quantity ``theta`` has the shape
    (S, J) or, with terms, (S, J, K); ``mu`` and ``tau``, its mean and sd in the population, (S,) or (S, K).

    prepare(table, priors)            Stan data without ``use_likelihood`` and ``generate``; ``y`` is the outcome (N,)
    default_priors(table)             a Prior for each parameter: by the name of its row, or ``row[term]``
    coords(table)                     labels of the dims other than group and observation: {"term": (...)}
    log_joint(params, data, variant)  at one point (no draw dimension): log prior plus, where ``use_likelihood`` is 1,
                                      log likelihood, on the constrained scale, no Jacobian
    support(data)                     bounded scalar or vector parameters of the programs -> (lower, upper)
    transformed(params, data)         what the programs derive from those declared, at one point: tau from tau_raw ...
    prior_draws(rng, priors, data, size)  population parameters from the priors, as partial pooling programs have them
    new_group(rng, draws, design, variant)  theta of ``design["J"]`` unseen groups, (S, J[, K]); without pooling from
                                      the prior; draws hold all parameters of the variant
    latent(rng, draws, data, variant)  what lies between theta and the rows, given the rest, (S, J) or (S, M), by name
    simulate(rng, draws, design)      outcome of the design's rows given theta and the other parameters, (S, N)
    row_moments(draws, data)          mean and variance of each row, (S, N) each; mean_of_rows is the mean alone
    row_weights(draws, data)          how much each row says, 1 at its mean, the mean over draws, (N,); None: all alike
    pointwise(draws, data)            log p(y_n | theta, parameters), (S, N)
    group_log_lik(draws, data)        log p(y_group | population), group effects integrated out, (S, J)
    group_loo_log_lik(draws, data)    log p(y_group | other groups, population), crossed effects integrated out, (S, J)
    finer_group_log_lik(draws, data)  group_log_lik with twice the nodes, which shows its error; None where it is exact,
                                      nan where it is too much work
    prior_group_log_lik(data, variant)  log p(y_group) under the fixed prior of a group alone, (J,): what no pooling
                                      says of a new group; None where groups are pooled or it cannot be computed well
    loo_log_lik(draws, data, variant)  log p(y_n | other rows of its group, population), group effects integrated out,
                                      (S, N): leave-one-out of rows then weighs the population only
    new_row(data, options)            the design (data of J = 1 group, N = 1 row) of a new observation in a new group,
                                      and what it is in words; options["coords"] holds the labels of every dim
    raw(data)                         raw estimate of each group and its standard error, (J[, K]) each; nan where none
    shrinkage_factor(draws, data)     weight of the population in each group's estimate, (S, J[, K]), or None
    exact_loo(data, variant)          log p(y_n | the other rows) where it has a closed form (N,), else None; must be
                                      given without pooling where every group has one row
    draw_groups(rng, draws, data)     theta given the population exactly, (S, J), for marginal programs that were told
                                      not to (``generate`` = 0); or by name all that such a program leaves to be drawn
    independent(rng, data, variant, size)  all that a variant's program declares, ``size`` independent draws where the
                                      posterior is a known distribution, by name; None where it is not
    rule(data)                        the variant of partial pooling that the data call for, and the reason
    less_alike(data)                  the variance between groups as a ratio of that which chance alone leaves, and the
                                      probability of one as small; None where it cannot be told
    findings(evidence), check_table(table)  sections of the report, and verdicts on a table, that only this family has
    unlearnable(table, variant)       why a Variant cannot be learnt from the rows, and which can; empty where it can
    ``calibration`` are priors as in analysis.toml under which outcomes drawn for the family's example look like data
    that people meet: default priors are so wide that most simulated data would be absurd.
    """

    name: str
    title: str
    citation: str
    roles: tuple[Role, ...]
    variants: tuple[Variant, ...]
    prior_rows: tuple[PriorRow, ...]
    dims: Mapping[str, tuple[str, ...]]  # of every variable with dimensions: group, observation, term, unit ...
    likelihood: tuple[str, ...]  # Typst mathematics
    population: tuple[str, ...]  # parameters of the population and the residual, in the order to be shown
    folder: Path
    prepare: Callable[[Prepared, Mapping[str, Prior]], StanData]
    default_priors: Callable[[Prepared], dict[str, Prior]]
    outcomes: tuple[str, ...] = ("outcome",)  # the role that is compared and replicated; the first that has a column
    observed: str = "y"  # what the programs call the outcome, each row's log density and its replication
    log_lik: str = "log_lik"
    y_rep: str = "y_rep"
    source: str = ""  # of a user's own family: the hash of its family.py or family.toml
    group_quantity: str = "theta"
    population_scale: str = "tau"
    group_meaning: str = "value"  # what theta is of a group, in words: value, rate, log odds, coefficient
    hidden: tuple[str, ...] = ()  # variables that are no parameters to check: Cholesky factors and the like
    quantity_unit: str = ""  # of theta, where it has one of its own: log odds
    same_unit: bool = True  # whether theta has the unit of the outcome; a log or a logit of it has none
    signed: bool = True  # whether theta may lie on both sides of zero, so that P(> 0) says something
    discrete: bool = False  # 0/1 rows: replicated group means are looked at, not rows
    size: str = ""  # data that the outcome is divided by before groups are compared: trials, exposure
    one_row_per_group: bool = False  # repeated groups are an error
    known_residual: bool = False  # no residual scale is estimated
    terms: bool = False  # a formula gives its structure: Prepared.design, never None
    own_formulas: tuple[str, ...] = ()  # a likelihood's own parameters with a formula of their own, such as zi
    pilot: tuple[str, ...] = ()  # forms of partial pooling that a pilot decides between; empty: the default stands
    prediction: Mapping[str, Option] = field(default_factory=dict)
    calibration: Mapping[str, str] = field(default_factory=dict)  # priors of `hbm calibrate FAMILY`
    coords: Callable[[Prepared], dict[str, tuple[str, ...]]] = lambda _table: {}
    log_joint: Callable[[Draws, StanData, str], float] | None = None
    support: Callable[[StanData], dict[str, tuple[float, float]]] | None = None
    transformed: Callable[[Draws, StanData], dict[str, FloatArray]] | None = None
    prior_draws: Callable[[np.random.Generator, Mapping[str, Prior], StanData, int], _Parameters] | None = None
    new_group: Callable[[np.random.Generator, Draws, StanData, str], FloatArray] | None = None
    latent: Callable[[np.random.Generator, Draws, StanData, str], dict[str, FloatArray]] | None = None
    simulate: Callable[[np.random.Generator, Draws, StanData], FloatArray] | None = None
    mean_of_rows: Callable[[Draws, StanData], FloatArray] | None = None
    row_moments: Callable[[Draws, StanData], tuple[FloatArray, FloatArray]] | None = None
    row_weights: Callable[[Draws, StanData], FloatArray | None] | None = None
    pointwise: Callable[[Draws, StanData], FloatArray] | None = None
    group_log_lik: Callable[[Draws, StanData], FloatArray] | None = None
    group_loo_log_lik: Callable[[Draws, StanData], FloatArray] | None = None
    finer_group_log_lik: Callable[[Draws, StanData], FloatArray | None] | None = None
    prior_group_log_lik: Callable[[StanData, str], FloatArray | None] | None = None
    loo_log_lik: Callable[[Draws, StanData, str], FloatArray] | None = None
    new_row: Callable[[StanData, Mapping[str, Any]], tuple[StanData, str]] | None = None
    raw: Callable[[StanData], tuple[FloatArray, FloatArray]] | None = None
    shrinkage_factor: Callable[[Draws, StanData], FloatArray | None] | None = None
    exact_loo: Callable[[StanData, str], FloatArray | None] | None = None
    draw_groups: Callable[[np.random.Generator, Draws, StanData], FloatArray | Draws] | None = None
    independent: Callable[[np.random.Generator, StanData, str, int], Draws | None] | None = None
    rule: Callable[[StanData], tuple[str, str]] | None = None
    less_alike: Callable[[StanData], tuple[float, float] | None] | None = None
    findings: Callable[[Evidence], Sequence[Finding]] | None = None
    check_table: Callable[[Prepared], Sequence[Verdict]] | None = None
    unlearnable: Callable[[Prepared, Variant], str] | None = None

    def need(self, function: str, purpose: str) -> Callable[..., Any]:
        """The function of that name; a family without it (a user's own) cannot serve the purpose."""
        found = getattr(self, function)
        if found is None:
            raise ModelError(f"{self.name} has no {function}(): {purpose} cannot be done. Add it to the family.")
        return found  # type: ignore[no-any-return]

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

    def variants_for(self, table: Prepared) -> tuple[str, ...]:
        """The default variants for a table: of each pooling the first that can be learnt from its rows."""
        first: dict[str, str] = {}
        for variant in self.variants:
            if not self._unlearnable(table, variant):
                first.setdefault(variant.pooling, variant.name)
        return tuple(first.values())

    def refuse_unlearnable(self, table: Prepared, name: str) -> None:
        """Raise DataError for a variant that cannot be learnt from the rows, before anything is sampled."""
        if reason := self._unlearnable(table, self.variant(name)):
            raise DataError(f"{table.dataset.table.where}: {name} cannot be learnt from these rows: {reason}.")

    def left_out(self, table: Prepared) -> list[str]:
        """Notes on default variants that the rows cannot teach, with the reason."""
        reasons = {name: self._unlearnable(table, self.variant(name)) for name in self.default_variants}
        return [f"{name} cannot be learnt from these rows: {reason}." for name, reason in reasons.items() if reason]

    def _unlearnable(self, table: Prepared, variant: Variant) -> str:
        return self.unlearnable(table, variant) if self.unlearnable is not None else ""

    def program(self, variant: str) -> Program:
        """The Stan program of a variant, includes inlined."""
        found = self.variant(variant)
        return Program.read(self.folder / f"{found.program or found.name}.stan", (share("stan") / "lib",))

    def stan_data(self, table: Prepared, priors: Mapping[str, Prior], variant: str, generate: bool = True) -> StanData:
        """Everything that the program of a variant reads: prepared data, the variant's settings, both switches."""
        data = self.prepare(table, priors)
        for name, value in self.variant(variant).settings.items():
            data[name] = np.full(np.shape(data[name]), value) if np.ndim(data[name]) else value
        asked = {d.name for d in self.program(variant).block("data")}
        if self.source:  # a user's own programs may each read a part of the data
            data = {name: value for name, value in data.items() if name in asked}
        switches = {"use_likelihood": 1, "generate": int(generate)}
        return {**data, **{name: value for name, value in switches.items() if name in asked}}

    def outcome(self, table: Prepared) -> str:
        """The role of the outcome: the first of ``outcomes`` that has a column."""
        return next((role for role in self.outcomes if role in table.dataset.columns), self.outcomes[0])

    def coordinates(self, table: Prepared) -> dict[str, Sequence[Any]]:
        """The labels of every dim: groups, rows (counted from 1), and what the family adds."""
        rows = list(range(1, len(table.group) + 1))
        return {"group": list(table.labels), "observation": rows, **self.coords(table)}

    def priors(self, table: Prepared, chosen: Mapping[str, str] | None = None) -> dict[str, Prior]:
        """The prior table for these data: the defaults, with those that the analysis chose instead.

        ``mu`` is chosen for all terms of ``mu``, ``mu[floor]`` for one; the latter counts where both are.
        """
        rows = {r.name: r for r in self.prior_rows}
        priors = {n: replace(p, reason=table.noun.fill(p.reason)) for n, p in self.default_priors(table).items()}
        for name, text in sorted((chosen or {}).items(), key=lambda item: "[" in item[0]):
            named = [p for p in priors if p == name or p.partition("[")[0] == name]
            if not named:
                raise ModelError(f"Priors: {self.name} has no prior named {name!r}. {nearest(name, [*rows, *priors])}")
            for parameter in named:
                priors[parameter] = parse_prior(text, rows[parameter.partition("[")[0]], parameter)
        return priors

    def priors_of(self, variant: str, priors: Mapping[str, Prior]) -> dict[str, Prior]:
        """Those of the priors that a variant uses: it names ``tau`` for all terms, or ``tau[intercept]`` for one."""
        used = self.variant(variant).priors
        return {name: prior for name, prior in priors.items() if {name, name.partition("[")[0]} & set(used)}

    def prior_texts(self, variant: str, priors: Mapping[str, Prior]) -> dict[str, str]:
        """The priors that a variant uses as texts, by name."""
        return {name: prior.text for name, prior in self.priors_of(variant, priors).items()}
