"""A Family for a likelihood: structure comes from the table's formula, functions from likelihood and terms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from hbm_stan.design import Design
from hbm_stan.families.terms.data import design_of, names_of, own_prior_data
from hbm_stan.families.terms.functions import functions_of
from hbm_stan.families.terms.priors import Scale, default_priors
from hbm_stan.families.terms.rule import rule
from hbm_stan.families.terms.usual import new_row, prediction_of
from hbm_stan.families.terms.variants import POPULATION, prior_rows_of, variants_of
from hbm_stan.likelihoods.likelihood import Likelihood
from hbm_stan.model import Evidence, Family, Finding, Groups, Programs, StanData, Twin, Words
from hbm_stan.prepare import Prepared, Role
from hbm_stan.priors import Prior
from hbm_stan.resources import share
from hbm_stan.verdicts import Verdict

_GROUP = Role(name="group", kind="label", meaning="factor whose pooling is asked; by default the first of the formula")
_DIMS: Mapping[str, tuple[str, ...]] = {
    "beta": ("column",), "beta_raw": ("column",), "beta_standard": ("column",), "beta_precision": ("column",),
    "beta_shared": ("shared",), "beta_shared_raw": ("shared",),
    "tau": ("term",), "tau_raw": ("term",), "sd": ("other_term",), "sd_raw": ("other_term",),
    "rho": ("pair",), "partial": ("pair",), "rho_other": ("other_pair",), "partial_other": ("other_pair",),
    "theta": ("group", "term"), "effect": ("other_effect",), "shift": ("column",),
    "y_rep": ("observation",), "log_lik": ("observation",),
}  # fmt: skip
_HIDDEN = ("partial", "partial_other", "all_rho", "beta_shared")
_STANDARD = ("beta_standard", "beta_precision")  # of estimates, whose common coefficients are sampled as standard ones
_HIDDEN_SAMPLED = (*_HIDDEN, "sampled", "shift")


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a likelihood's family has of its own: how its outcome becomes Stan data, its priors.

    outcome(table, priors)  the Stan data but for the priors of the likelihood's own parameters
    scale(table, design)    the scale that default priors of coefficients have
    own_priors(scale)       default priors of the likelihood's own parameters
    column_priors(design)   those of own parameters that are coefficients of columns
    calibration             priors for its shipped example, on the scale of what is measured there
    coords(table)           labels of the elements of own parameters that are vectors, by dim
    findings(evidence)      sections of the report that only this likelihood has
    check_table(table)      verdicts that only this likelihood has; raises DataError for what it cannot learn
    """

    outcome: Callable[[Prepared, Mapping[str, Prior]], StanData]
    scale: Callable[[Prepared, Design], Scale]
    own_priors: Callable[[Scale], dict[str, Prior]] = lambda _scale: {}
    column_priors: Callable[[Design], dict[str, Prior]] = lambda _design: {}
    calibration: Mapping[str, str]
    coords: Callable[[Prepared], dict[str, tuple[str, ...]]] = lambda _table: {}
    findings: Callable[[Evidence], Sequence[Finding]] | None = None
    check_table: Callable[[Prepared], Sequence[Verdict]] = lambda _table: ()


def _own_dims(given: Likelihood) -> dict[str, tuple[str, ...]]:
    """The dims of the likelihood's own parameters that have some."""
    free: dict[str, tuple[str, ...]] = {f"{row.name}_raw": ("free",) for row in given.own if row.may_be_fixed}
    raw = {f"{v.row.name}_raw": (v.dim,) for v in given.vectors if v.from_raw is not None}
    return free | {v.row.name: (v.dim,) for v in given.vectors} | raw


def coords(parts: Parts, table: Prepared) -> dict[str, tuple[str, ...]]:
    """Labels of columns, terms, pairs and effects, and of what the likelihood has of its own."""
    names = names_of(design_of(table))
    return {
        "free": ("free",),
        "column": names.beta, "shared": names.shared, "term": names.tau, "other_term": names.sd, "pair": names.rho,
        "other_pair": names.rho_other, "other_effect": names.effect, **parts.coords(table),
    }  # fmt: skip


def _prepare(given: Likelihood, parts: Parts, table: Prepared, priors: Mapping[str, Prior]) -> StanData:
    return {**parts.outcome(table, priors), **own_prior_data(given.own, priors)}


def _default_priors(parts: Parts, table: Prepared) -> dict[str, Prior]:
    design = design_of(table)
    scale = parts.scale(table, design)
    return default_priors(design, scale) | parts.own_priors(scale) | parts.column_priors(design)


def _hidden(given: Likelihood) -> tuple[str, ...]:
    """What programs declare beside what anyone asks for."""
    if not given.integrated:
        return _HIDDEN_SAMPLED
    return (*_HIDDEN, *_STANDARD) if given.known_residual else _HIDDEN


def _programs(given: Likelihood, parts: Parts) -> Programs:
    return Programs(
        folder=share("stan") / given.name,
        variants=variants_of(given),
        prior_rows=prior_rows_of(given),
        dims={**_DIMS, **_own_dims(given)},
        population=(*POPULATION, *(row.name for row in given.own_rows)),
        hidden=_hidden(given),
        pilot=() if given.integrated else ("partial_pooling", "partial_pooling_centered"),
        prepare=partial(_prepare, given, parts),
        default_priors=partial(_default_priors, parts),
        coords=partial(coords, parts),
    )


def family_of(given: Likelihood, parts: Parts) -> Family:
    """The family of a likelihood."""
    family = Family(
        name=given.name,
        roles=(_GROUP, *given.roles),
        discrete=given.size == "trials",
        size=given.size,
        known_residual=given.known_residual,
        terms=True,
        own_formulas=given.own_formulas,
        check_table=parts.check_table,
        programs=_programs(given, parts),
        twin=Twin(calibration=parts.calibration),
        groups=Groups(prediction=prediction_of(given), new_row=partial(new_row, given)),
        words=Words(
            title=f"{given.title}: terms of a formula",
            citation=given.citation,
            likelihood=given.math,
            group_meaning="coefficient",
            quantity_unit=given.eta_unit,
            same_unit=not given.eta_unit,
            findings=parts.findings,
        ),
    )
    functions: dict[str, Any] = functions_of(given)
    if family.programs.pilot:
        functions["rule"] = partial(rule, given)
    return family.with_fields(**functions)
