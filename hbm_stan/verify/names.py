"""Whether the names of a family are those of its programs: parameters, dims, priors, and the rule between variants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hbm_stan.elements import base_of
from hbm_stan.errors import HbmError, nearest
from hbm_stan.families.varying_terms import correlation_matrix, log_lkj
from hbm_stan.model import Draws, Family, StanData
from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior
from hbm_stan.table import FloatArray

_CLOSE = 1e-8  # of two sums of log densities: rounding


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A variant of a family with data, and draws of its program, chains joined: what the functions are held against."""

    family: Family
    table: Prepared
    variant: str
    priors: Mapping[str, Prior]
    data: StanData
    draws: Draws

    @property
    def pooling(self) -> str:
        """What the variant assumes."""
        return self.family.variant(self.variant).pooling


def parameters_exist(claim: Claim) -> list[str]:
    """Names in ``population`` and ``hidden`` that no program declares, and priors of what this one does not have."""
    family, here = claim.family, {d.name for d in claim.family.program(claim.variant).outputs}
    everywhere = {d.name for v in family.programs.variants for d in family.program(v.name).outputs}
    problems = [
        f"{field} names {name!r}, which no program declares. {nearest(name, sorted(everywhere))}"
        for field in ("population", "hidden")
        for name in getattr(family.programs, field)
        if name not in everywhere
    ]
    rows = {row.name for row in family.programs.prior_rows}
    for name in family.variant(claim.variant).priors:
        base = base_of(name)
        if base not in rows:
            problems.append(f"priors name {name!r}, which is no row of the prior table. {nearest(base, sorted(rows))}")
        elif not _names_of(claim, base) & here and not _is_shared(claim, base):
            problems.append(f"priors name {name!r}, which the program does not declare. {nearest(base, sorted(here))}")
    return problems


def _names_of(claim: Claim, base: str) -> set[str]:
    """The variables of which a row of the prior table may be the prior; with terms, those of other factors too.

    Coefficients of groups that have a fixed prior may be integrated out: they are drawn after the residual sd.
    """
    family = claim.family
    of_terms = {"beta": {"beta_shared"}, "rho": {"rho_other"}}.get(base, set()) if family.terms else set()
    drawn = base == family.groups.group_quantity and family.terms and family.programs.draw_groups is not None
    return {base, f"{base}_group", *of_terms, *(("lprior",) if drawn else ())}


def _is_shared(claim: Claim, base: str) -> bool:
    """With complete pooling the prior of the group quantity is that of the shared ``mu``."""
    return claim.pooling == "complete" and base == claim.family.groups.group_quantity


def dims_match_shapes(claim: Claim) -> list[str]:
    """Variables whose shape is not what ``dims`` and the labels say; raw ones and hidden ones may lack an entry."""
    family, problems = claim.family, []
    labels = family.coordinates(claim.table)
    for name, values in claim.draws.items():
        axes = family.programs.dims.get({family.programs.y_rep: family.programs.log_lik}.get(name, name))
        unknown = [a for a in axes or () if a not in labels]
        if axes is None and values.ndim > 1 and name not in family.programs.hidden and not name.endswith("_raw"):
            problems.append(f"dims has no entry for {name}, which has shape {values.shape[1:]}")
        elif unknown:
            problems.append(
                f"dims of {name}: coords() has no labels of {unknown[0]!r}. {nearest(unknown[0], [*labels])}"
            )
        elif axes is not None and values.shape[1:] != tuple(len(labels[a]) for a in axes):
            sizes = ", ".join(f"{a} {len(labels[a])}" for a in axes) or "none"
            problems.append(f"dims of {name} are {sizes}; the program's has shape {values.shape[1:]}")
    return problems


def rule_decides(claim: Claim) -> list[str]:
    """Whether variants that a pilot run decides between exist, and have a rule that names one of them."""
    family, pilot, rule = claim.family, claim.family.programs.pilot, claim.family.programs.rule
    if not pilot:
        return []
    try:
        others = [v for v in pilot if family.variant(v).pooling != "partial"]
    except HbmError as error:
        return [f"pilot: {error}"]
    if others:
        return [f"pilot names {others[0]!r}, which is no partial pooling"]
    if rule is None:
        return [f"pilot names {', '.join(pilot)}, and there is no rule() to choose between them"]
    chosen, reason = rule(claim.data)
    problems = [] if chosen in pilot else [f"rule() chose {chosen!r}. {nearest(chosen, pilot)}"]
    return problems + ([] if reason else ["rule() gives no reason"])


def priors_are_named(claim: Claim) -> list[str]:
    """The prior that makes the program's ``lprior`` another number than the priors of the variant add up to."""
    family, total = claim.family, claim.draws.get("lprior")
    if total is None or family.terms:  # with terms one row may be of several matrices: tests/test_terms_programs.py
        return []
    every = claim.priors
    used = family.priors_of(claim.variant, every)
    densities = {name: _log_prior(claim, name, prior) for name, prior in every.items()}
    if any(densities[name] is None for name in used):
        return []  # of what the program lacks: said by parameters_exist
    gap = total - sum((density for name in used if (density := densities[name]) is not None), np.zeros(len(total)))
    # A scale that rounding took to 0 or beyond all numbers has no density: such draws say nothing here.
    finite = np.isfinite(gap)
    gap, size = gap[finite], float(np.abs(total[finite]).max(initial=0.0))
    if np.allclose(gap, 0, rtol=0, atol=_CLOSE * (1 + size)):
        return []
    for name, parts in ((n, density[finite]) for n, density in _rows_and_terms(densities).items()):
        if name not in used and np.allclose(gap, parts, rtol=_CLOSE, atol=_CLOSE):
            return [f"the program has a prior of {name}, which the priors of the variant do not name"]
        if np.allclose(gap, -parts, rtol=_CLOSE, atol=_CLOSE):
            return [f"the variant names a prior of {name}, which lprior leaves out"]
    far = float(np.abs(gap).max())
    return [f"lprior is not the sum of the priors of {', '.join(used)}: it differs by up to {far:.3g}"]


def _rows_and_terms(densities: dict[str, FloatArray | None]) -> dict[str, FloatArray]:
    """Log densities of each prior, and of all terms of a parameter together: ``mu`` of ``mu[a]`` and ``mu[b]``."""
    totals: dict[str, FloatArray] = {}
    for name, density in densities.items():
        if density is not None:
            base = base_of(name)
            totals[base] = density if base not in totals else totals[base] + density
            totals[name] = density
    return totals


def _log_prior(claim: Claim, parameter: str, prior: Prior) -> FloatArray | None:
    """The log density of a prior at the draws, (S,); None where the program has no such parameter."""
    base, _, term = parameter.partition("[")
    name = next((n for n in (base, f"{base}_group") if n in claim.draws), None)
    name = "mu" if _is_shared(claim, base) and "mu" in claim.draws else name
    if name is None:
        return None
    values = claim.draws[name]
    if term:
        axis = claim.family.programs.dims.get(name, ("",))[-1]
        terms, label = list(claim.family.coordinates(claim.table).get(axis, ())), term.removesuffix("]")
        if label not in terms:
            return None  # said by dims_match_shapes
        values = values[..., terms.index(label)]
    if prior.distribution == "lkj" and values.ndim > 1 and values.shape[1] > 1:  # of the Cholesky factor, as in Stan
        size = round((1 + np.sqrt(1 + 8 * values.shape[1])) / 2)
        factors = np.linalg.cholesky(correlation_matrix(values * (1 - 1e-12), size))
        return np.array([log_lkj(factor, prior.arguments[0]) for factor in factors])
    return np.asarray(prior.log_density(values).reshape(len(values), -1).sum(axis=1))
