"""Planted faults in the functions and names of families: each with what the contract must say of it.

The Stan programs are right; a program with a fault is in broken/. test_contract.py asserts what is said here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hbm_stan.families import families
from hbm_stan.model import Draws, Family, StanData, Variant
from hbm_stan.verify import functions, names
from hbm_stan.verify.names import Claim
from hbm_stan.verify.raw import raw_estimates


@dataclass(frozen=True, kw_only=True)
class FunctionFault:
    """A family with one fault: the variant it is looked for in, the check that must catch it, and words of that."""

    name: str
    family: str
    variant: str
    by: Callable[[Claim], list[str]]
    change: Callable[[Family], Family]
    words: str

    @property
    def wrong(self) -> Family:
        """The family with the fault."""
        return self.change(families()[self.family])


def with_function(name: str, wrong: Callable[..., Any]) -> Callable[[Family], Family]:
    """A family whose function gets the result of the right one and gives ``wrong(result, *its arguments)``."""

    def change(family: Family) -> Family:
        right = family.need(name, "a fault")
        return family.with_fields(**{name: lambda *arguments: wrong(right(*arguments), *arguments)})

    return change


def with_fields(**fields: Any) -> Callable[[Family], Family]:
    """A family with other fields."""
    return lambda family: family.with_fields(**fields)


def with_dims(**dims: Any) -> Callable[[Family], Family]:
    """A family with other dims; None takes the entry of a variable away."""
    return lambda f: f.with_fields(dims={k: v for k, v in {**f.programs.dims, **dims}.items() if v is not None})


def with_priors(variant: str, *priors: str) -> Callable[[Family], Family]:
    """A family that names other priors for a variant."""

    def other(v: Variant) -> Variant:
        return replace(v, priors=priors) if v.name == variant else v

    return lambda family: family.with_fields(variants=tuple(map(other, family.programs.variants)))


def of_the_mean(*parameters: str) -> Callable[[Family], Family]:
    """A family that draws new groups from the posterior mean of these parameters."""

    def change(family: Family) -> Family:
        right = family.need("new_group", "a fault")

        def new_group(rng: np.random.Generator, draws: Draws, design: StanData, variant: str) -> Any:
            means = {n: np.full_like(draws[n], draws[n].mean()) for n in parameters}
            return right(rng, {**draws, **means}, design, variant)

        return family.with_fields(new_group=new_group)

    return change


def spread_squared(family: Family) -> Family:
    """A family that takes tau for a variance."""
    right = family.need("new_group", "a fault")

    def new_group(rng: np.random.Generator, draws: Draws, design: StanData, variant: str) -> Any:
        return right(rng, {**draws, "tau": draws["tau"] ** 2}, design, variant)

    return family.with_fields(new_group=new_group)


def _row_with(**factors: float) -> Callable[[Family], Family]:
    def wrong(right: tuple[StanData, str], *_: Any) -> tuple[StanData, str]:
        design, words = right
        return {**design, **{k: factor * np.asarray(design[k]) for k, factor in factors.items()}}, words

    return with_function("new_row", wrong)


def _without_options(family: Family) -> Family:
    right = family.need("new_row", "a fault")

    def new_row(data: StanData, options: Mapping[str, Any]) -> Any:
        return right(data, {"coords": options.get("coords", {})})

    return family.with_fields(new_row=new_row)


def _per_row(right: Any, data: StanData) -> Any:
    estimate, se = right
    return estimate, se * np.sqrt(np.bincount(np.asarray(data["group_idx"]) - 1))


def _sign(right: Any, *_: Any) -> Any:
    return -right[0], right[1]


def _one_less(right: Any, *_: Any) -> Any:
    return 1 - right


def _nothing(right: Any, *_: Any) -> Any:
    return 0 * right


_PARTIAL, _NO = "partial_pooling", "no_pooling"
_ALL = (
    FunctionFault(name="population misspelt", family="normal_means", variant=_PARTIAL, by=names.parameters_exist,
                  change=with_fields(population=("mu", "tua")), words="population names 'tua'"),
    FunctionFault(name="hidden misspelt", family="linear_regression", variant=_PARTIAL, by=names.parameters_exist,
                  change=with_fields(hidden=("L_Omegga",)), words="hidden names 'L_Omegga'"),
    FunctionFault(name="prior of no row", family="normal_means", variant=_PARTIAL, by=names.parameters_exist,
                  change=with_priors(_PARTIAL, "mu", "tauu"), words="no row of the prior table"),
    FunctionFault(name="prior of another variant", family="grouped_normal", variant=_PARTIAL, by=names.parameters_exist,
                  change=with_priors(_PARTIAL, "mu", "tau", "sigma", "sigma_spread"),
                  words="'sigma_spread', which the program"),
    FunctionFault(name="prior forgotten", family="grouped_normal", variant=_PARTIAL, by=names.priors_are_named,
                  change=with_priors(_PARTIAL, "mu", "tau"), words="the program has a prior of sigma"),
    FunctionFault(name="priors of all terms forgotten", family="linear_regression", variant=_PARTIAL,
                  by=names.priors_are_named, change=with_priors(_PARTIAL, "mu", "rho", "gamma", "sigma"),
                  words="the program has a prior of tau,"),
    FunctionFault(name="prior too many", family="normal_means", variant="complete_pooling", by=names.priors_are_named,
                  change=with_priors("complete_pooling", "mu", "theta"), words="the variant names a prior of theta"),
    FunctionFault(name="dims missing", family="normal_means", variant=_PARTIAL, by=names.dims_match_shapes,
                  change=with_dims(theta=None), words="dims has no entry for theta"),
    FunctionFault(name="dims of another size", family="grouped_normal", variant=_PARTIAL, by=names.dims_match_shapes,
                  change=with_dims(theta=("observation",)), words="dims of theta are observation 89"),
    FunctionFault(name="dims without labels", family="linear_regression", variant=_PARTIAL, by=names.dims_match_shapes,
                  change=with_dims(tau=("terms",)), words="no labels of 'terms'. Did you mean 'term'"),
    FunctionFault(name="rule missing", family="logistic_regression", variant=_PARTIAL, by=names.rule_decides,
                  change=with_fields(rule=None), words="there is no rule()"),
    FunctionFault(name="rule names no variant", family="planck", variant=_PARTIAL, by=names.rule_decides,
                  change=with_fields(rule=lambda _: ("partial", "because")), words="rule() chose 'partial'"),
    FunctionFault(name="rule without reason", family="planck", variant=_PARTIAL, by=names.rule_decides,
                  change=with_fields(rule=lambda _: ("partial_pooling", "")), words="gives no reason"),
    FunctionFault(name="pilot without pooling", family="planck", variant=_PARTIAL, by=names.rule_decides,
                  change=with_fields(pilot=("partial_pooling", "no_pooling")),
                  words="'no_pooling', which is no partial pooling"),
    FunctionFault(name="raw of the other sign", family="normal_means", variant=_NO, by=raw_estimates,
                  change=with_function("raw", _sign), words="raw() is not the estimate"),
    FunctionFault(name="raw of failures", family="beta_binomial", variant=_NO, by=raw_estimates,
                  change=with_function("raw", lambda right, _: (1 - right[0], right[1])),
                  words="raw() is not the estimate"),
    FunctionFault(name="raw of log odds with the other sign", family="logistic_regression", variant=_NO,
                  by=raw_estimates, change=with_function("raw", _sign), words="raw() is not the estimate"),
    FunctionFault(name="standard error without its root of n", family="grouped_normal", variant=_NO, by=raw_estimates,
                  change=with_function("raw", _per_row), words="the standard error of raw() is"),
    FunctionFault(name="finer integral is nothing", family="logistic_regression", variant=_PARTIAL,
                  by=functions.finer_integrals, change=with_function("finer_group_log_lik", _nothing),
                  words="finer_group_log_lik() is"),
    FunctionFault(name="finer integral of own scales is nothing", family="grouped_normal",
                  variant="partial_pooling_sigma_by_group", by=functions.finer_integrals,
                  change=with_function("finer_group_log_lik", _nothing), words="finer_group_log_lik() is"),
    FunctionFault(name="integral without its constant", family="gamma_poisson", variant=_PARTIAL,
                  by=functions.group_integrals, change=with_function("group_log_lik", lambda right, *_: right + 0.5),
                  words="where an integral over new_group()"),
    FunctionFault(name="exposure doubled", family="gamma_poisson", variant="complete_pooling", by=functions.new_rows,
                  change=_row_with(exposure=2), words="new_row() with exposure"),
    FunctionFault(name="trials halved", family="beta_binomial", variant="complete_pooling", by=functions.new_rows,
                  change=_row_with(trials=0.5), words="new_row() with trials"),
    FunctionFault(name="standard error squared", family="normal_means", variant="complete_pooling",
                  by=functions.new_rows,
                  change=with_function(
                      "new_row", lambda right, *_: ({**right[0], "se": right[0]["se"] ** 2}, right[1])),
                  words="new_row() with standard_error"),
    FunctionFault(name="frequency left out", family="planck", variant="complete_pooling", by=functions.new_rows,
                  change=_without_options, words="does not honour frequency"),
    FunctionFault(name="predictors left out", family="linear_regression", variant="complete_pooling",
                  by=functions.new_rows, change=_without_options, words="does not honour predictors.days"),
    FunctionFault(name="new group of the mean rate", family="gamma_poisson", variant=_PARTIAL, by=functions.new_groups,
                  change=of_the_mean("alpha", "beta"), words="of new_group() is not"),
    FunctionFault(name="new group of the mean proportion", family="beta_binomial", variant=_PARTIAL,
                  by=functions.new_groups, change=of_the_mean("mu", "kappa"), words="of new_group() is not"),
    FunctionFault(name="new group of the mean location", family="normal_means", variant=_PARTIAL,
                  by=functions.new_groups, change=of_the_mean("mu", "tau"), words="of new_group() is not"),
    FunctionFault(name="new group with the variance for the sd", family="grouped_normal", variant=_PARTIAL,
                  by=functions.new_groups, change=spread_squared, words="the sd of new_group() is not the tau"),
    FunctionFault(name="shrinkage of rates inverted", family="gamma_poisson", variant=_PARTIAL, by=functions.shrinkage,
                  change=with_function("shrinkage_factor", _one_less), words="shrinkage_factor() is not"),
    FunctionFault(name="shrinkage of proportions inverted", family="beta_binomial", variant=_PARTIAL,
                  by=functions.shrinkage, change=with_function("shrinkage_factor", _one_less),
                  words="shrinkage_factor() is not"),
    FunctionFault(name="shrinkage of means inverted", family="grouped_normal", variant=_PARTIAL, by=functions.shrinkage,
                  change=with_function("shrinkage_factor", _one_less), words="shrinkage_factor() is not"),
    FunctionFault(name="shrinkage of estimates inverted", family="normal_means", variant=_PARTIAL,
                  by=functions.shrinkage, change=with_function("shrinkage_factor", _one_less),
                  words="shrinkage_factor() is not"),
    FunctionFault(name="groups drawn without what rows say", family="gamma_poisson", variant=_PARTIAL,
                  by=functions.groups_given_rows,
                  change=lambda f: f.with_fields(
                      draw_groups=lambda rng, draws, data: f.need("new_group", "")(rng, draws, data, _PARTIAL)),
                  words="is not that of draw_groups()"),
    FunctionFault(name="tau of kappa", family="beta_binomial", variant=_PARTIAL, by=functions.derived_quantities,
                  change=with_function("transformed", lambda right, params, _: {
                      **right, "tau": np.sqrt(params["mu"] * (1 - params["mu"]) / right["kappa"])}),
                  words="tau of the program is not that of transformed()"),
)  # fmt: skip
FUNCTION_FAULTS: dict[str, FunctionFault] = {fault.name: fault for fault in _ALL}
