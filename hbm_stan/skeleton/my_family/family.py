"""my_family: the model of the Stan programs beside this file, written a second time in NumPy.

This is a working example. Rows are waiting times, exponential with the mean exp(theta) of their group; theta, the log
of the mean waiting time, is normal in the population of groups. Change the programs and this file together; then run
pytest on this folder: it compares the two.

Shapes: S draws, N rows, J groups. Draws have the draw as first dimension: mu (S,), theta (S, J).
What a function below is for stands in its first line. Those marked (optional) may be deleted: the report then says what
could not be done.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import expon, halfnorm, norm

from hbm_stan.model import Draws, Family, Groups, Option, Programs, StanData, Twin, Variant, Words
from hbm_stan.prepare import Prepared, Role
from hbm_stan.priors import Prior, PriorRow
from hbm_stan.table import FloatArray

# What a table must have. Kinds: label (the group), number, positive, count, binary, predictors, group_predictors.
ROLES = (
    Role(name="group", kind="label", meaning="name of the group"),
    Role(name="waiting_time", kind="positive", meaning="waiting time of one row"),
)

# What may be written under [priors] in analysis.toml: name, distributions, meaning, source, role with the same unit.
PRIOR_ROWS = (
    PriorRow(
        name="mu",
        distributions=("normal",),
        meaning="log of the mean waiting time, location of the population",
        source="weakly informative",
    ),
    PriorRow(
        name="tau",
        distributions=("half_normal",),
        meaning="how much the logs of {groups} differ",
        source="weakly informative",
    ),
    PriorRow(
        name="theta",
        distributions=("normal",),
        meaning="log of the mean waiting time of each {group} without pooling",
        source="fixed and wide",
    ),
)


def prepare(table: Prepared, priors: Mapping[str, Prior]) -> StanData:
    """Everything that the data blocks ask for, but use_likelihood; y is the outcome, one value for each row."""
    return {
        "N": table.n_rows,
        "J": table.n_groups,
        "group_idx": table.group_idx,  # counted from 1, as Stan does; table.pooled.level counts from 0
        "y": table["waiting_time"],
        "prior_mu": list(priors["mu"].arguments),
        "prior_tau": priors["tau"].arguments[0],
        "prior_theta": list(priors["theta"].arguments),
    }


def default_priors(table: Prepared) -> dict[str, Prior]:
    """A prior for each parameter, on the scale of these data; the report prints the reason."""
    centre = round(float(np.log(np.mean(table["waiting_time"]))), 1)
    reason = f"centred on the log of the mean waiting time, {centre:g}"
    return {
        "mu": Prior(
            name="mu",
            distribution="normal",
            arguments=(centre, 1.5),
            reason=f"{reason}; within a factor of 20 either way",
            default=True,
        ),
        "tau": Prior(
            name="tau",
            distribution="half_normal",
            arguments=(1.0,),
            reason="{groups} may differ by factors of up to about 7",
            default=True,
        ),
        "theta": Prior(
            name="theta",
            distribution="normal",
            arguments=(centre, 2.5),
            reason=f"{reason}; within a factor of 150 either way",
            default=True,
        ),
    }


def log_joint(params: Draws, data: StanData, variant: str) -> float:
    """Log prior plus log likelihood at one point (optional): proves that the programs have the density that is meant.

    On the constrained scale, with no Jacobian; params are the declared parameters, without a draw dimension.
    """
    if variant == "no_pooling":
        theta = params["theta"]
        total = norm.logpdf(theta, *data["prior_theta"]).sum()
    else:
        theta = np.full(data["J"], params["mu"])
        total = norm.logpdf(params["mu"], *data["prior_mu"])
    if variant == "partial_pooling":
        theta = theta + params["tau"] * params["theta_raw"]
        total += halfnorm.logpdf(params["tau"], 0, data["prior_tau"]) + norm.logpdf(params["theta_raw"]).sum()
    rows = expon.logpdf(data["y"], scale=np.exp(theta[_group(data)]))
    return float(total + data["use_likelihood"] * rows.sum())


def _group(data: StanData) -> Any:
    """The 0-based group of each row."""
    return np.asarray(data["group_idx"]) - 1


def pointwise(draws: Draws, data: StanData) -> FloatArray:
    """Log density of each row given theta, (S, N) (optional): proves log_lik."""
    mean = np.exp(draws["theta"][:, _group(data)])
    return np.asarray(expon.logpdf(np.asarray(data["y"]), scale=mean))


def simulate(rng: np.random.Generator, draws: Draws, design: StanData) -> FloatArray:
    """Rows drawn given theta, (S, N) (optional): predictions and predictive checks."""
    return rng.exponential(np.exp(draws["theta"][:, _group(design)]))


def new_group(rng: np.random.Generator, draws: Draws, design: StanData, variant: str) -> FloatArray:
    """Theta of design["J"] unseen groups, (S, J) (optional): predictions for a new group."""
    size = (len(next(iter(draws.values()))), design["J"])
    if variant == "no_pooling":  # nothing is known of a new group but its prior
        return rng.normal(*design["prior_theta"], size=size)
    mu = np.repeat(draws["mu"][:, None], size[1], axis=1)
    return rng.normal(mu, draws["tau"][:, None]) if "tau" in draws else mu


def new_row(data: StanData, options: Mapping[str, Any]) -> tuple[StanData, str]:
    """The data of one new row in one new group, and what it is in words (optional): predictions for a new group.

    options are the keys of [prediction] in analysis.toml; this family has none (see PREDICTION).
    """
    return {**data, "N": 1, "J": 1, "group_idx": np.array([1]), "y": np.ones(1)}, "one waiting time in a new {group}"


PREDICTION: dict[str, Option] = {}  # such as {"dose": Option("of the new row")}


def prior_draws(
    rng: np.random.Generator, priors: Mapping[str, Prior], data: StanData, size: int
) -> dict[str, FloatArray]:
    """Population parameters drawn from their priors, (size,) each (optional): the prior predictive check."""
    return {name: priors[name].draw(rng, size) for name in ("mu", "tau")}


def raw(data: StanData) -> tuple[FloatArray, FloatArray]:
    """Each group's own estimate of theta and its standard error, (J,) each (optional): what pooling is compared with.

    The log of the group's mean; its standard error is 1 / sqrt(rows), by the delta method.
    """
    rows = np.bincount(_group(data), minlength=data["J"])
    sums = np.bincount(_group(data), weights=np.asarray(data["y"]), minlength=data["J"])
    return np.log(sums / rows), 1 / np.sqrt(rows)


# The mathematics is Typst's: words in quotes, tilde for "is distributed as".
VARIANTS = (
    Variant(
        name="complete_pooling",  # and the program complete_pooling.stan
        title="Complete pooling",
        pooling="complete",
        parameterisation="mu itself",
        assumption="All {groups} have the same mean waiting time.",
        math=("theta_j = mu", "mu tilde p(mu)"),
        priors=("mu",),  # the rows of PRIOR_ROWS that the program reads
    ),
    Variant(
        name="no_pooling",
        title="No pooling",
        pooling="no",
        parameterisation="theta itself",
        assumption="{Groups} share nothing; each has its own fixed, wide prior.",
        math=("theta_j tilde p(theta)",),
        priors=("theta",),
    ),
    Variant(
        name="partial_pooling",
        title="Partial pooling",
        pooling="partial",
        parameterisation="non-centered: theta = mu + tau * theta_raw",
        assumption="{Groups} are draws from one population, whose location and scale are learnt from all of them.",
        math=('theta_j tilde "normal"(mu, tau)', "mu tilde p(mu), quad tau tilde p(tau)"),
        priors=("mu", "tau"),
    ),
)

FAMILY = Family(
    name="my_family",
    roles=ROLES,
    outcomes=("waiting_time",),  # the role of the outcome
    # What is sampled.
    programs=Programs(
        folder=Path(__file__).parent,  # where the programs are
        variants=VARIANTS,
        prior_rows=PRIOR_ROWS,
        # What each dimension of a variable counts; scalars need no entry.
        dims={"theta": ("group",), "theta_raw": ("group",), "y_rep": ("observation",), "log_lik": ("observation",)},
        population=("mu", "tau"),  # shown in this order; mu and tau are the mean and the sd of theta in the population
        prepare=prepare,
        default_priors=default_priors,
    ),
    # The model a second time, in NumPy.
    twin=Twin(
        log_joint=log_joint,
        pointwise=pointwise,
        simulate=simulate,
        prior_draws=prior_draws,
    ),
    # What is known of each group, and of a new one.
    groups=Groups(
        prediction=PREDICTION,
        new_group=new_group,
        new_row=new_row,
        raw=raw,
    ),
    # What the report says.
    words=Words(
        title="Waiting times: exponential rows in groups",
        citation="Say here where the model is from.",
        likelihood=('y_i tilde "exponential"(e^(-theta_(j[i])))',),
        group_meaning="log mean",  # what theta is of a group, in words
        same_unit=False,  # a log has not the unit of the outcome
        signed=False,  # whether it says something that theta is above zero
    ),
)
