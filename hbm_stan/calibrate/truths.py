"""True values drawn from the priors, in NumPy: never by the Stan program, so that a wrong program is caught."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from hbm_stan.elements import base_of
from hbm_stan.errors import ModelError
from hbm_stan.model import Family, StanData
from hbm_stan.priors import Prior
from hbm_stan.table import FloatArray

# Where the group quantity has a prior of its own with complete pooling, it is that of the shared value.
_LOCATION = "mu"


def draw_truths(
    rng: np.random.Generator, family: Family, variant: str, priors: Mapping[str, Prior], design: StanData, size: int = 1
) -> dict[str, FloatArray]:
    """``size`` draws of every parameter that a variant has, from its priors and populations; first dimension the draw.

    Population parameters by the family's ``prior_draws`` (partial pooling, formulas) or row by row of the prior table,
    group effects by ``new_group``, scales and units of groups by ``latent``.
    """
    pooling = family.variant(variant).pooling
    if family.terms:
        draws = _of_formula(rng, family, variant, priors, design, size)
    elif pooling == "partial":
        draws = _population(rng, family, variant, priors, design, size)
    elif pooling == "complete":
        draws = {_named(family, row): values for row, values in _rows(rng, family, variant, priors, size).items()}
    else:
        draws = _by_group(rng, family, variant, priors, design, size)
    new_group = family.need("new_group", "simulation-based calibration")
    draws[family.groups.group_quantity] = np.asarray(new_group(rng, draws, design, variant), dtype=float)
    if family.twin.latent is not None:
        draws |= family.twin.latent(rng, draws, design, variant)
    return draws


def _of_formula(
    rng: np.random.Generator, family: Family, variant: str, priors: Mapping[str, Prior], design: StanData, size: int
) -> dict[str, FloatArray]:
    """The population of a formula's model: coefficients of shared columns and other factors are in every pooling.

    The group's own sds and correlations are with partial pooling only; without pooling its columns have no common
    coefficient of their own.
    """
    pooling = family.variant(variant).pooling
    drawn: dict[str, FloatArray] = family.need("prior_draws", "simulation-based calibration")(rng, priors, design, size)
    if pooling == "partial":
        return drawn
    population = {name: values for name, values in drawn.items() if name not in {"tau", "rho"}}
    if pooling == "no":
        beta = population.pop("beta", np.empty((size, 0)))
        population["beta_shared"] = beta[:, np.asarray(design["shared"], dtype=np.int64) - 1]
    return population


def _population(
    rng: np.random.Generator, family: Family, variant: str, priors: Mapping[str, Prior], design: StanData, size: int
) -> dict[str, FloatArray]:
    """What ``prior_draws`` gives of what this variant has; terms that it does not let vary are 0."""
    prior_draws = family.need("prior_draws", "simulation-based calibration with partial pooling")
    drawn: dict[str, FloatArray] = prior_draws(rng, priors, design, size)
    declared = {d.name for d in family.program(variant).outputs}
    used = set(family.variant(variant).priors)
    population = {name: np.array(values, dtype=float) for name, values in drawn.items() if name in declared}
    for name, values in population.items():
        own = {u for u in used if base_of(u) == name and "[" in u}
        if own:
            terms = [p for p in priors if base_of(p) == name]
            values[:, [term not in own for term in terms]] = 0.0
    return population


def _rows(
    rng: np.random.Generator, family: Family, variant: str, priors: Mapping[str, Prior], size: int,
    only: Collection[str] | None = None,
) -> dict[str, FloatArray]:  # fmt: skip
    """The rows of the prior table that a variant uses, drawn: (size,), or (size, terms) where a row has terms."""
    draws: dict[str, FloatArray] = {}
    for row in (r for r in family.variant(variant).priors if only is None or r in only):
        terms = [p for name, p in priors.items() if base_of(name) == row]
        if row in priors:
            draws[row] = priors[row].draw(rng, size)
        elif row in family.programs.dims:
            draws[row] = np.stack([p.draw(rng, size) for p in terms], axis=1) if terms else np.zeros((size, 0))
    return draws


def _named(family: Family, row: str) -> str:
    return _LOCATION if row == family.groups.group_quantity and row not in family.programs.population else row


def _by_group(
    rng: np.random.Generator, family: Family, variant: str, priors: Mapping[str, Prior], design: StanData, size: int
) -> dict[str, FloatArray]:
    """Without pooling: what each group has besides its effect, (size, J), by the name of the row or ``row_group``."""
    groups = int(design["J"])
    shared = family.shared_rows(variant)
    of_all = _rows(rng, family, variant, priors, size, only=shared)
    # new_group() tells the number of draws by what it is given.
    draws: dict[str, FloatArray] = {**of_all, family.groups.group_quantity: np.zeros((size, groups))}
    for row in family.variant(variant).priors:
        if row == family.groups.group_quantity or row in shared:
            continue
        name = next((n for n in (row, f"{row}_group") if family.programs.dims.get(n) == ("group",)), "")
        if name and row not in priors:  # a term that these data do not have
            continue
        if not name or row not in priors:
            raise ModelError(
                f"{family.name}, {variant}: the prior of {row!r} belongs to no variable by group. For simulation-based "
                f"calibration dims must name {row!r} or '{row}_group' as ('group',)."
            )
        draws[name] = priors[row].draw(rng, size * groups).reshape(size, groups)
    return draws


def missing_functions(family: Family, variant: str) -> list[str]:
    """The functions that the family lacks for the calibration of a variant."""
    needed = ["simulate", "new_group"]
    if family.variant(variant).pooling == "partial" or family.terms:
        needed.append("prior_draws")
    return family.missing(needed)


def refuse_incomplete(family: Family, variant: str) -> None:
    """Raise ModelError where a function is missing: which, what it does, and what can still be checked."""
    missing = missing_functions(family, variant)
    if not missing:
        return
    purpose = {
        "simulate": "simulate(rng, draws, design), which draws outcomes",
        "new_group": "new_group(rng, draws, design, variant), which draws group effects",
        "prior_draws": "prior_draws(rng, priors, data, size), which draws the population from its priors",
    }
    still = {
        "log_joint": "its log density (assert_log_density)",
        "pointwise": "its log_lik (assert_pointwise)",
        "prepare": "its data (assert_data)",
    }
    can = [words for name, words in still.items() if family.function(name) is not None]
    raise ModelError(
        f"{family.name} cannot be calibrated: it has no {'; no '.join(purpose[name] for name in missing)}. Add "
        f"{'them' if len(missing) > 1 else 'it'} to a family.py. What can still be checked, in hbm_stan.testing: "
        f"{', '.join(can)}."
    )
