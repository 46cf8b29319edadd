"""A family: what it asks of a table, and its parts by who reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from hbm_stan.errors import DataError, ModelError, nearest
from hbm_stan.model.groups import Groups
from hbm_stan.model.programs import Draws, Programs, StanData, Variant
from hbm_stan.model.twin import Twin
from hbm_stan.model.words import Evidence, Words
from hbm_stan.prepare import Prepared, Role
from hbm_stan.priors import Prior, parse_prior
from hbm_stan.program import Program
from hbm_stan.resources import share
from hbm_stan.verdicts import Verdict

PARTS: Mapping[str, type] = {"programs": Programs, "twin": Twin, "groups": Groups, "words": Words}
_PLACES = {f.name: part for part, kind in PARTS.items() for f in fields(kind)}


def place_of(name: str) -> str:
    """The part of a family that has a field of this name; empty where none has."""
    return _PLACES.get(name, "")


def _first_of_each(variants: Iterable[Variant]) -> tuple[str, ...]:
    first: dict[str, str] = {}
    for variant in variants:
        first.setdefault(variant.name if variant.by_default else variant.pooling, variant.name)
    return tuple(first.values())


@dataclass(frozen=True, kw_only=True)
class Family:
    """A model family: its name, what it asks of a table, and four parts.

    ``programs`` is what is sampled, ``twin`` the same model in NumPy, ``groups`` what is compared and predicted, and
    ``words`` what the report says. A family of Stan programs alone has the first and the last.
    ``check_table(table)`` gives verdicts on a table that only this family has, ``check_draws(draws, data, table)`` on
    draws of a variant, of what its programs compute by sums that may be too coarse.
    ``check_model(evidence)`` gives verdicts on how the model fits, of the variant that data are replicated from.
    ``unfold(table)`` makes several rows of each of the table, where its columns hold several outcomes (``parts``).
    """

    name: str
    roles: tuple[Role, ...]
    programs: Programs
    twin: Twin = field(default_factory=Twin)
    groups: Groups = field(default_factory=Groups)
    words: Words
    outcomes: tuple[str, ...] = ("outcome",)  # the role that is compared and replicated; the first that has a column
    discrete: bool = False  # 0/1 rows: replicated group means are looked at, not rows
    size: str = ""  # data that the outcome is divided by before groups are compared: trials, exposure
    one_row_per_group: bool = False  # repeated groups are an error
    known_residual: bool = False  # no residual scale is estimated
    terms: bool = False  # a formula gives its structure: Prepared.design, never None
    own_formulas: tuple[str, ...] = ()  # a likelihood's own parameters with a formula of their own, such as zi
    source: str = ""  # of a user's own family: the hash of its family.py or family.toml
    check_table: Callable[[Prepared], Sequence[Verdict]] | None = None
    check_draws: Callable[[Draws, StanData, Prepared], Sequence[Verdict]] | None = None
    check_model: Callable[[Evidence], Sequence[Verdict]] | None = None
    unfold: Callable[[Prepared], Prepared] | None = None

    def function(self, name: str) -> Callable[..., Any] | None:
        """The function of that name in whichever part it stands; None where the family has none."""
        part = place_of(name)
        return getattr(getattr(self, part) if part else self, name)  # type: ignore[no-any-return]

    def missing(self, functions: Iterable[str]) -> list[str]:
        """Those of the functions that the family does not have."""
        return [name for name in functions if self.function(name) is None]

    def need(self, function: str, purpose: str) -> Callable[..., Any]:
        """The function of that name; a family without it (a user's own) cannot serve the purpose."""
        implementation = self.function(function)
        if implementation is None:
            raise ModelError(f"{self.name} has no {function}(): {purpose} cannot be done. Add it to the family.")
        return implementation

    def with_fields(self, **changes: Any) -> Family:
        """The family with other functions and names, each in the part that has it."""
        family = self
        for name, value in changes.items():
            part = place_of(name)
            changed = {part: replace(getattr(family, part), **{name: value})} if part else {name: value}
            family = replace(family, **changed)
        return family

    def shared_rows(self, variant: str) -> tuple[str, ...]:
        """The rows of the prior table that groups share without pooling all the same, as the variant or all have it."""
        return (*self.variant(variant).shared, *self.programs.shared)

    def variant(self, name: str) -> Variant:
        """The variant of that name; an unknown one is an error that names the nearest."""
        for variant in self.programs.variants:
            if variant.name == name:
                return variant
        known = [variant.name for variant in self.programs.variants]
        raise ModelError(f"{self.name}: there is no variant {name!r}. {nearest(name, known)}")

    @property
    def default_variants(self) -> tuple[str, ...]:
        """Complete, no and partial pooling: the first variant of each, and others that are fitted by default."""
        return _first_of_each(self.programs.variants)

    def variants_for(self, table: Prepared) -> tuple[str, ...]:
        """The default variants for a table: of each pooling the first that can be learnt from its rows."""
        return _first_of_each([v for v in self.programs.variants if not self._unlearnable(table, v)])

    def refuse_unlearnable(self, table: Prepared, name: str) -> None:
        """Raise DataError for a variant that cannot be learnt from the rows, before anything is sampled."""
        if reason := self._unlearnable(table, self.variant(name)):
            raise DataError(f"{table.dataset.table.where}: {name} cannot be learnt from these rows: {reason}.")

    def left_out(self, table: Prepared) -> list[str]:
        """Notes on default variants that the rows cannot teach, with the reason."""
        reasons = {name: self._unlearnable(table, self.variant(name)) for name in self.default_variants}
        return [
            f"{name.replace('_', ' ').capitalize()} cannot be learnt from these rows: {reason}."
            for name, reason in reasons.items()
            if reason
        ]

    def _unlearnable(self, table: Prepared, variant: Variant) -> str:
        return self.programs.unlearnable(table, variant) if self.programs.unlearnable is not None else ""

    def program(self, variant: str) -> Program:
        """The Stan program of a variant, includes inlined."""
        definition = self.variant(variant)
        return Program.read(
            self.programs.folder / f"{definition.program or definition.name}.stan", (share("stan") / "lib",)
        )

    def stan_data(self, table: Prepared, priors: Mapping[str, Prior], variant: str, generate: bool = True) -> StanData:
        """Everything that the program of a variant reads: prepared data, the variant's settings, both switches."""
        data = self.programs.prepare(table, priors)
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
        rows = range(1, table.n_rows + 1)
        return {"group": list(table.pooled.labels), "observation": rows, **self.programs.coords(table)}

    def priors(self, table: Prepared, chosen: Mapping[str, str] | None = None) -> dict[str, Prior]:
        """The prior table for these data: the defaults, with those that the analysis chose instead.

        ``mu`` is chosen for all terms of ``mu``, ``mu[floor]`` for one; the latter counts where both are.
        """
        rows = {r.name: r for r in self.programs.prior_rows}
        default = self.programs.default_priors(table)
        priors = {name: replace(prior, reason=table.noun.fill(prior.reason)) for name, prior in default.items()}
        for name, text in sorted((chosen or {}).items(), key=lambda item: "[" in item[0]):
            named = [p for p in priors if p == name or p.partition("[")[0] == name]
            if not named and name in rows:
                raise ModelError(
                    f"Priors: {self.name} has {name!r} with other columns or choices only; `hbm families {self.name}` "
                    "says what it is of. Leave it out here."
                )
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
