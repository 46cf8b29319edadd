"""Power-scaling: how the posterior moves when a prior, or the likelihood, is raised to a power near one; no refit.

Kallioinen, Paananen, Buerkner & Vehtari (2024), Statistics and Computing 34:57, 10.1007/s11222-023-10366-5.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_stan.densities import has_log_lik, total_log_lik, totals_of
from hbm_stan.elements import base_of, element_names
from hbm_stan.families.varying_terms import correlation_matrix
from hbm_stan.fit import Fit
from hbm_stan.priors import Prior
from hbm_stan.psis import smooth
from hbm_stan.sensitivity.distance import sensitivity
from hbm_stan.sensitivity.quantities import means_of_groups, watched
from hbm_stan.sensitivity.reading import ADVICE, THRESHOLD, WORDS, disagrees, read
from hbm_stan.table import FloatArray

if TYPE_CHECKING:
    import pandas as pd
else:
    from hbm_stan.later import pd

Row = dict[str, Any]

# The powers between which the derivative at 1 is taken: the same source.
ALPHAS = (0.99, 1.01)
# priorsense warns of weights above this Pareto k: so near to power 1 it should be far below.
MAX_K = 0.5
ALL_PRIORS, LIKELIHOOD = "all priors", "likelihood"
_NAMED = 6  # quantities that a sentence names


@dataclass(frozen=True)
class Power:
    """Power-scaling sensitivities and what they say.

    ``rows`` are of each quantity and component (a prior, all priors, the likelihood): value, pareto_k. ``read`` has
    one for each quantity: the strongest prior and its value, likelihood, reading. ``table`` and ``readings`` are the
    same as tables.
    """

    rows: Sequence[Row]
    read: Sequence[Row]
    likelihood: str
    sentences: tuple[str, ...]

    @property
    def table(self) -> pd.DataFrame:
        """One row for each quantity and component."""
        return pd.DataFrame(list(self.rows), columns=["quantity", "component", "value", "pareto_k"])

    @property
    def readings(self) -> pd.DataFrame:
        """One row for each quantity."""
        return pd.DataFrame(list(self.read))

    def as_dict(self) -> dict[str, Any]:
        """Power-scaling for JSON."""
        return {
            "threshold": THRESHOLD, "alphas": list(ALPHAS), "likelihood": self.likelihood,
            "rows": [dict(row) for row in self.rows], "readings": [dict(row) for row in self.read],
            "sentences": list(self.sentences),
        }  # fmt: skip


def power_scaling(fit: Fit, options: Mapping[str, Any] | None = None) -> Power:
    """Power-scaling of each top-level prior, of all together, and of the likelihood, for every watched quantity."""
    priors, missing = prior_components(fit)
    likelihood, words = likelihood_component(fit)
    components = priors | ({} if likelihood is None else {LIKELIHOOD: likelihood})
    draws = watched(fit, options or {})
    rows = scaled(draws, components)
    read = _readings(rows, _against_priors(fit, rows, draws))
    return Power(rows, read, words, tuple(_sentences(rows, read, missing, words)))


def prior_components(fit: Fit) -> tuple[dict[str, FloatArray], list[str]]:
    """The log density of each prior at the draws, (S,), and of all together; and the priors that have no draws."""
    densities, missing = {}, []
    for name, prior in fit.family.priors_of(fit.variant, fit.priors).items():
        density = log_prior(fit, name, prior)
        if density is None:
            missing.append(name)
        else:
            densities[name] = density
    together = fit.draws("lprior").get("lprior")
    if together is None and densities and not missing:
        together = np.sum(list(densities.values()), axis=0)
    return densities | ({} if together is None else {ALL_PRIORS: together}), missing


def log_prior(fit: Fit, name: str, prior: Prior) -> FloatArray | None:
    """The log density of one prior at the draws, (S,); None where the posterior has no parameter of that name.

    ``tau[floor]`` is one element; a prior of a whole vector is that of each element. Constants do not matter here.
    """
    base, _, term = name.partition("[")
    draws = fit.draws(base).get(base)
    if draws is None:
        return None
    flat = draws.reshape(len(draws), -1)
    if term:
        names = element_names(base, fit.named["posterior"][base])
        if name not in names:
            return None
        flat = flat[:, [names.index(name)]]
    if prior.distribution == "lkj" and flat.shape[1] > 1:
        size = round((1 + np.sqrt(1 + 8 * flat.shape[1])) / 2)
        return np.asarray((prior.arguments[0] - 1) * np.linalg.slogdet(correlation_matrix(flat, size))[1])
    return np.asarray(prior.log_density(flat).sum(axis=1))


def likelihood_component(fit: Fit) -> tuple[FloatArray | None, str]:
    """The log likelihood at the draws, (S,), and which one it is.

    Given the population where the family can integrate its groups out: all forms of one model then agree.
    """
    if fit.family.groups.group_log_lik is not None:
        return totals_of(
            fit, fit.family.groups.group_log_lik
        ), "of the data given the population, group effects integrated out"
    if has_log_lik(fit):
        return total_log_lik(fit), f"of the rows given their {fit.table.noun.many}"
    return None, ""


def scaled(draws: Mapping[str, FloatArray], components: Mapping[str, FloatArray]) -> list[Row]:
    """The sensitivity of each quantity to each component, and the largest Pareto k of the component's weights."""
    values, rows = np.array(list(draws.values())), list[Row]()
    if not draws:
        return rows
    for component, density in components.items():
        sensitivity, k = _sensitivity(values, density)
        rows += [
            {"quantity": name, "component": component, "value": value, "pareto_k": k}
            for name, value in zip(draws, sensitivity.tolist(), strict=True)
        ]
    return rows


def _sensitivity(values: FloatArray, density: FloatArray) -> tuple[FloatArray, float | None]:
    """Of each row of values, (Q, S): the mean derivative of the distance, to either side of power 1; and Pareto k."""
    if not np.isfinite(density).all():
        return np.full(len(values), np.nan), None
    if np.ptp(density) <= 1e-12 * max(1.0, float(np.abs(density).max())):
        return np.zeros(len(values)), None  # flat, such as a uniform prior: raised to a power it stays what it was
    smoothed = [smooth((alpha - 1) * density) for alpha in ALPHAS]
    lower, upper = (np.exp(log_weights) for log_weights, _ in smoothed)
    return sensitivity(values, lower, upper, ALPHAS), max(float(k) for _, k in smoothed)


def _against_priors(fit: Fit, rows: Sequence[Row], draws: Mapping[str, FloatArray]) -> set[str]:
    """The quantities that their own prior pulls away from where the data put them."""
    priors, groups = fit.family.priors_of(fit.variant, fit.priors), means_of_groups(fit)
    values = {(r["quantity"], r["component"]): r["value"] for r in rows}
    own = {name: name if name in priors else base_of(name) for name in draws}
    return {
        name
        for name, prior in own.items()
        if np.isfinite(values.get((name, prior), np.nan))
        and disagrees(priors[prior], values[name, prior], draws[name], groups.get(name))
    }


def _readings(rows: Sequence[Row], pulled: Collection[str] = ()) -> list[Row]:
    """One row for each quantity: its strongest prior, all priors, the likelihood, and what they say together.

    ``pulled`` are those that their own prior pulls away from the data.
    """
    by_quantity: dict[str, dict[str, float]] = {}
    for row in rows:
        by_quantity.setdefault(row["quantity"], {})[row["component"]] = row["value"]
    readings = []
    for quantity, values in by_quantity.items():
        likelihood = values.pop(LIKELIHOOD, np.nan)
        together = values.pop(ALL_PRIORS, np.nan)
        known = {n: v for n, v in values.items() if np.isfinite(v)}
        strongest = max(known, key=lambda n: known[n], default="")
        prior = max([*known.values(), *([together] if np.isfinite(together) else [])], default=np.nan)
        readings.append({
            "quantity": quantity, "prior": strongest, "prior_value": known.get(strongest, np.nan),
            "all_priors": together, "likelihood": likelihood, "reading": read(prior, likelihood, quantity in pulled),
        })  # fmt: skip
    return readings


def _sentences(rows: Sequence[Row], readings: Sequence[Row], missing: list[str], likelihood: str) -> list[str]:
    sentences = [
        _flagged(reading, own)
        for reading in ("conflict", "strong prior", "both", "unknown")
        if (own := [r for r in readings if r["reading"] == reading])
    ]
    priors = [r for r in rows if r["component"] != LIKELIHOOD and not np.isnan(r["value"])]
    if not sentences and priors:
        most = max(priors, key=lambda r: r["value"])
        sentences = [
            f"No prior matters much: no power-scaling sensitivity to a prior reaches {THRESHOLD:g} (the largest is "
            f"{most['value']:.3f}, of {most['quantity']} to {_named(str(most['component']))})."
        ]
    largest = {r["component"]: r["pareto_k"] for r in rows if r["pareto_k"] is not None}  # one for all of a component
    sentences += [
        f"The weights that scale {_named(component)} have a Pareto k of {k:.2f}, above {MAX_K:g}: its sensitivities "
        "are not reliable. Draw more."
        for component, k in largest.items()
        if k > MAX_K
    ]
    unknown = dict.fromkeys(r["component"] for r in rows if np.isnan(r["value"]))
    sentences += [f"Not finite at every draw, and not scaled: {_named(c)}." for c in unknown]
    if missing:
        sentences.append(f"Not scaled, for the posterior holds no draws of them: the priors of {', '.join(missing)}.")
    if not likelihood:
        sentences.append("The likelihood was not scaled: the family gives neither log_lik nor group_log_lik().")
    return sentences


def _flagged(reading: str, rows: list[Row]) -> str:
    """One sentence on the quantities that have one reading."""
    each = [f"{r['quantity']} ({_to(r)})" for r in rows[:_NAMED]]
    more = f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
    words = WORDS[reading]
    return (
        f"{words[0].upper()}{words[1:]}: {', '.join(each)}{more}; power-scaling sensitivities, limit {THRESHOLD:g}. "
        f"{ADVICE[reading]}"
    )


def _to(row: Row) -> str:
    if not np.isfinite(row["prior_value"]) and not np.isfinite(row["all_priors"]):
        return "prior not scaled" + (f", likelihood {row['likelihood']:.2f}" if np.isfinite(row["likelihood"]) else "")
    alone = np.isfinite(row["prior_value"]) and row["prior_value"] >= THRESHOLD
    prior = f"prior of {row['prior']} {row['prior_value']:.2f}" if alone else f"all priors {row['all_priors']:.2f}"
    return prior + (f", likelihood {row['likelihood']:.2f}" if np.isfinite(row["likelihood"]) else "")


def _named(component: str) -> str:
    if component == LIKELIHOOD:
        return "the likelihood"
    return "all priors together" if component == ALL_PRIORS else f"the prior of {component}"
