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


@dataclass(frozen=True)
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
    FunctionFault("population misspelt", "normal_means", _PARTIAL, names.parameters_exist,
                  with_fields(population=("mu", "tua")), "population names 'tua'"),
    FunctionFault("hidden misspelt", "linear_regression", _PARTIAL, names.parameters_exist,
                  with_fields(hidden=("L_Omegga",)), "hidden names 'L_Omegga'"),
    FunctionFault("prior of no row", "normal_means", _PARTIAL, names.parameters_exist,
                  with_priors(_PARTIAL, "mu", "tauu"), "no row of the prior table"),
    FunctionFault("prior of another variant", "grouped_normal", _PARTIAL, names.parameters_exist,
                  with_priors(_PARTIAL, "mu", "tau", "sigma", "sigma_spread"), "'sigma_spread', which the program"),
    FunctionFault("prior forgotten", "grouped_normal", _PARTIAL, names.priors_are_named,
                  with_priors(_PARTIAL, "mu", "tau"), "the program has a prior of sigma"),
    FunctionFault("priors of all terms forgotten", "linear_regression", _PARTIAL, names.priors_are_named,
                  with_priors(_PARTIAL, "mu", "rho", "gamma", "sigma"), "the program has a prior of tau,"),
    FunctionFault("prior too many", "normal_means", "complete_pooling", names.priors_are_named,
                  with_priors("complete_pooling", "mu", "theta"), "the variant names a prior of theta"),
    FunctionFault("dims missing", "normal_means", _PARTIAL, names.dims_match_shapes,
                  with_dims(theta=None), "dims has no entry for theta"),
    FunctionFault("dims of another size", "grouped_normal", _PARTIAL, names.dims_match_shapes,
                  with_dims(theta=("observation",)), "dims of theta are observation 89"),
    FunctionFault("dims without labels", "linear_regression", _PARTIAL, names.dims_match_shapes,
                  with_dims(tau=("terms",)), "no labels of 'terms'. Did you mean 'term'"),
    FunctionFault("rule missing", "logistic_regression", _PARTIAL, names.rule_decides,
                  with_fields(rule=None), "there is no rule()"),
    FunctionFault("rule names no variant", "planck", _PARTIAL, names.rule_decides,
                  with_fields(rule=lambda _: ("partial", "because")), "rule() chose 'partial'"),
    FunctionFault("rule without reason", "planck", _PARTIAL, names.rule_decides,
                  with_fields(rule=lambda _: ("partial_pooling", "")), "gives no reason"),
    FunctionFault("pilot without pooling", "planck", _PARTIAL, names.rule_decides,
                  with_fields(pilot=("partial_pooling", "no_pooling")), "'no_pooling', which is no partial pooling"),
    FunctionFault("raw of the other sign", "normal_means", _NO, raw_estimates,
                  with_function("raw", _sign), "raw() is not the estimate"),
    FunctionFault("raw of failures", "beta_binomial", _NO, raw_estimates,
                  with_function("raw", lambda right, _: (1 - right[0], right[1])), "raw() is not the estimate"),
    FunctionFault("raw of log odds with the other sign", "logistic_regression", _NO, raw_estimates,
                  with_function("raw", _sign), "raw() is not the estimate"),
    FunctionFault("standard error without its root of n", "grouped_normal", _NO, raw_estimates,
                  with_function("raw", _per_row), "the standard error of raw() is"),
    FunctionFault("finer integral is nothing", "logistic_regression", _PARTIAL, functions.finer_integrals,
                  with_function("finer_group_log_lik", _nothing), "finer_group_log_lik() is"),
    FunctionFault("finer integral of own scales is nothing", "grouped_normal", "partial_pooling_sigma_by_group",
                  functions.finer_integrals,
                  with_function("finer_group_log_lik", _nothing), "finer_group_log_lik() is"),
    FunctionFault("integral without its constant", "gamma_poisson", _PARTIAL, functions.group_integrals,
                  with_function("group_log_lik", lambda right, *_: right + 0.5), "where an integral over new_group()"),
    FunctionFault("exposure doubled", "gamma_poisson", "complete_pooling", functions.new_rows,
                  _row_with(exposure=2), "new_row() with exposure"),
    FunctionFault("trials halved", "beta_binomial", "complete_pooling", functions.new_rows,
                  _row_with(trials=0.5), "new_row() with trials"),
    FunctionFault("standard error squared", "normal_means", "complete_pooling", functions.new_rows,
                  with_function("new_row", lambda right, *_: ({**right[0], "se": right[0]["se"] ** 2}, right[1])),
                  "new_row() with standard_error"),
    FunctionFault("frequency left out", "planck", "complete_pooling", functions.new_rows,
                  _without_options, "does not honour frequency"),
    FunctionFault("predictors left out", "linear_regression", "complete_pooling", functions.new_rows,
                  _without_options, "does not honour predictors.days"),
    FunctionFault("new group of the mean rate", "gamma_poisson", _PARTIAL, functions.new_groups,
                  of_the_mean("alpha", "beta"), "of new_group() is not"),
    FunctionFault("new group of the mean proportion", "beta_binomial", _PARTIAL, functions.new_groups,
                  of_the_mean("mu", "kappa"), "of new_group() is not"),
    FunctionFault("new group of the mean location", "normal_means", _PARTIAL, functions.new_groups,
                  of_the_mean("mu", "tau"), "of new_group() is not"),
    FunctionFault("new group with the variance for the sd", "grouped_normal", _PARTIAL, functions.new_groups,
                  spread_squared, "the sd of new_group() is not the tau"),
    FunctionFault("shrinkage of rates inverted", "gamma_poisson", _PARTIAL, functions.shrinkage,
                  with_function("shrinkage_factor", _one_less), "shrinkage_factor() is not"),
    FunctionFault("shrinkage of proportions inverted", "beta_binomial", _PARTIAL, functions.shrinkage,
                  with_function("shrinkage_factor", _one_less), "shrinkage_factor() is not"),
    FunctionFault("shrinkage of means inverted", "grouped_normal", _PARTIAL, functions.shrinkage,
                  with_function("shrinkage_factor", _one_less), "shrinkage_factor() is not"),
    FunctionFault("shrinkage of estimates inverted", "normal_means", _PARTIAL, functions.shrinkage,
                  with_function("shrinkage_factor", _one_less), "shrinkage_factor() is not"),
    FunctionFault("groups drawn without what rows say", "gamma_poisson", _PARTIAL, functions.groups_given_rows,
                  lambda f: f.with_fields(draw_groups=lambda rng, draws, data: f.need("new_group", "")(
                      rng, draws, data, _PARTIAL)), "is not that of draw_groups()"),
    FunctionFault("tau of kappa", "beta_binomial", _PARTIAL, functions.derived_quantities,
                  with_function("transformed", lambda right, params, _: {
                      **right, "tau": np.sqrt(params["mu"] * (1 - params["mu"]) / right["kappa"])}),
                  "tau of the program is not that of transformed()"),
)  # fmt: skip
FUNCTION_FAULTS: dict[str, FunctionFault] = {fault.name: fault for fault in _ALL}
