"""Proofs that need no posterior: structure, log density and pointwise likelihood of a program against NumPy."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from hbm_stan.certificate import Truth
from hbm_stan.density import N_POINTS, SHORT_TRAJECTORIES, SPREAD, log_density_spread, short_run
from hbm_stan.elements import base_of
from hbm_stan.errors import HbmError
from hbm_stan.model import Draws, Family, StanData
from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior, parse_prior
from hbm_stan.program import Program
from hbm_stan.table import FloatArray

# Largest relative difference of log_lik from NumPy's: rounding of sums of a few hundred terms.
POINTWISE = 1e-9
# log_lik is compared draw by draw, so that draws need not have converged.
_DRAWS = 50
_EFFECTS = (("group",), ("unit",))  # dims of effects
_POINTS = 5  # draws at which the likelihood is compared with the sum of its rows
# One choice of every distribution, for the parameters of prior tables: not the defaults, so that a mix-up shows.
_ARGUMENTS = {
    "normal": "0.7, 3", "half_normal": "1.7", "half_cauchy": "1.3", "half_student_t": "4, 1.6", "uniform": "0, 40",
    "exponential": "0.8", "gamma": "2.5, 1.4", "lognormal": "0.3, 0.9", "beta": "2.5, 3.5", "lkj": "1.8",
    "fixed": "4.5", "dirichlet": "1.7",
}  # fmt: skip
_DATA_BLOCK = re.compile(r"^data\s*\{.*?^\}", re.S | re.M)


def structure(family: Family, variant: str) -> Truth:
    """Whether a program is what its variant is called, and has the data block of the family's other programs."""
    program = family.program(variant)
    # A family of the user's has names of its own for the population and for sizes.
    scales = family.programs.population if family.source else ("tau",)
    pooling = family.variant(variant).pooling
    shared = family.shared_rows(variant)
    faults = terms_faults(pooling, program) if family.terms else structure_faults(pooling, program, scales, shared)
    if data_block(program) != data_block(family.program(family.programs.variants[0].name)) and not family.source:
        faults.append(f"its data block is not that of {family.programs.variants[0].name}")
    return Truth(kind="structure", status="fail" if faults else "pass", detail="; ".join(faults))


def structure_faults(
    pooling: str, program: Program, scales: Sequence[str] = ("tau",), common: Sequence[str] = ()
) -> list[str]:
    """Whether a program is what it is called; ``scales`` are names of which partial pooling declares one.

    ``common`` are parameters that all groups share in every pooling, and that their variant or family names.
    Groups are counted by J or M; in a program that declares neither, what is shared cannot be told.
    """
    parameters = program.block("parameters")
    if pooling != "partial" and not {"J", "M"} & {d.name for d in program.block("data")}:
        return []
    by_group = [d.name for d in parameters if any(re.search(r"\bJ\b|\bM\b", size) for size in d.dims)]
    others = {*common, *(f"{name}_raw" for name in common)}
    shared = [d.name for d in parameters if d.name not in by_group and d.name not in others]
    if pooling == "complete" and by_group:
        return [f"complete pooling has group effects: {by_group}"]
    if pooling == "no" and shared:
        return [f"no pooling shares {shared} between groups"]
    declared = any(re.search(rf"\b(real|vector)\b[^;(]*\b{name}\b", program.code) for name in scales)
    if pooling == "partial" and scales and not declared:
        return [f"partial pooling declares none of {', '.join(scales)}"]
    return []


def terms_faults(pooling: str, program: Program) -> list[str]:
    """Whether a program of formulas is what it is called: pooling asks about the group's terms, others stay.

    Complete pooling has no coefficients of groups, and only partial pooling learns how far they spread.
    """
    parameters = program.block("parameters")
    names = {d.name for d in parameters}
    if pooling == "complete" and (by_group := [d.name for d in parameters if any("J" in size for size in d.dims)]):
        return [f"complete pooling has group effects: {by_group}"]
    if pooling != "partial" and (learnt := sorted(names & {"tau_raw", "partial"})):
        return [f"{pooling} pooling learns {learnt} of the groups"]
    if pooling == "no" and (common := sorted(names & {"beta_raw", "beta_standard"})):
        return [f"no pooling shares {common} between groups"]
    return [] if pooling != "partial" or "tau_raw" in names else ["partial pooling declares none of tau"]


def data_block(program: Program) -> str:
    """The text of a program's data block; empty where none is found."""
    match = _DATA_BLOCK.search(program.code)
    return match[0] if match else ""


def with_prior(family: Family, table: Prepared, chosen: Mapping[str, str] | None = None) -> dict[str, Prior]:
    """The priors of the table, with distributions chosen by row."""
    priors = family.priors(table)
    rows = {r.name: r for r in family.programs.prior_rows}
    for name in priors:
        base = base_of(name)
        if base in (chosen or {}):
            distribution = (chosen or {})[base]
            priors[name] = parse_prior(f"{distribution}({_ARGUMENTS[distribution]})", rows[base], name)
    return priors


def prior_choices(family: Family, variant: str) -> list[dict[str, str]]:
    """Sets of distributions that together name every distribution of every row that a variant uses."""
    used = {base_of(name) for name in family.variant(variant).priors}
    rows = [r for r in family.programs.prior_rows if r.name in used]
    longest = max((len(r.distributions) for r in rows), default=1)
    return [{r.name: r.distributions[i % len(r.distributions)] for r in rows} for i in range(longest)]


def log_density(family: Family, table: Prepared, variant: str) -> Truth:
    """The program's log density minus ``log_joint`` at random points, under every prior, also prior only."""
    kind = "log density"
    if family.twin.log_joint is None:
        return Truth(kind=kind, status="not applicable", detail="the family has no log_joint()")
    worst, count, at = 0.0, 0, ""
    try:
        for chosen in prior_choices(family, variant):
            stan_data = family.stan_data(table, with_prior(family, table, chosen), variant)
            for use in (0, 1) if "use_likelihood" in stan_data else (1,):
                data = stan_data | ({"use_likelihood": use} if "use_likelihood" in stan_data else {})
                spread = log_density_spread(family.program(variant), family, variant, data)
                count += 1
                if not spread <= worst:
                    priors = ", ".join(f"{k} {v}" for k, v in chosen.items())
                    worst, at = spread, f"{'with the likelihood' if use else 'prior only'}, {priors}"
    except HbmError as error:
        return Truth(kind=kind, status="fail", detail=str(error))
    fine = worst < SPREAD
    detail = f"{count} sets of priors and switches, {N_POINTS} points each" + ("" if fine else f"; worst: {at}")
    return Truth(kind=kind, status="pass" if fine else "fail", value=worst, threshold=SPREAD, detail=detail)


def pointwise(family: Family, table: Prepared, variant: str, draws: Draws | None = None) -> Truth:
    """``log_lik`` of the program against ``pointwise`` of the same draws, and the likelihood against its sum.

    The likelihood is that in ``log_joint``, which the log density is compared with. Where a program integrates group
    effects out, it is no sum of rows given these, and only the first comparison is made. Without ``draws`` a short run
    makes some.
    """
    kind = "pointwise"
    if family.twin.pointwise is None:
        return Truth(kind=kind, status="not applicable", detail="the family has no pointwise()")
    data = family.stan_data(table, family.priors(table), variant)
    try:
        draws = draws or short_run(family, variant, data, draws=_DRAWS, warmup=_DRAWS, max_treedepth=SHORT_TRAJECTORIES)
    except HbmError as error:
        return Truth(kind=kind, status="fail", detail=str(error))
    ours, log_lik = family.twin.pointwise(draws, data), draws.get(family.programs.log_lik)
    if log_lik is None or log_lik.shape != ours.shape:
        shape = "none" if log_lik is None else str(log_lik.shape)
        return Truth(
            kind=kind, status="fail", detail=f"{family.programs.log_lik} has shape {shape}, pointwise() {ours.shape}"
        )
    worst, detail = _relative(log_lik, ours), f"{log_lik.size:,} values"
    gap = _likelihood_gap(family, variant, data, draws)
    if gap is not None:
        worst, detail = max(worst, gap), f"{detail}, and their sums"
    return Truth(
        kind=kind, status="pass" if worst < POINTWISE else "fail", value=worst, threshold=POINTWISE, detail=detail
    )


def _relative(a: FloatArray, b: FloatArray) -> float:
    return float(np.max(np.abs(a - b) / np.maximum(1.0, np.abs(b))))


def _likelihood_gap(family: Family, variant: str, data: StanData, draws: Mapping[str, FloatArray]) -> float | None:
    """How far the likelihood in ``log_joint`` is from the sum of ``pointwise``, at some draws, relatively.

    None where the density has effects of groups or units integrated out.
    """
    if family.twin.log_joint is None or family.twin.pointwise is None or "use_likelihood" not in data:
        return None
    program = family.program(variant)
    if _draws_rows(family, program):
        return None
    # Of a formula complete pooling has effects too, those of other factors.
    if family.terms and family.programs.draw_groups is not None:
        return None
    if family.variant(variant).pooling != "complete" and _integrates(family, program, set(draws)):
        return None
    empty = {d.name: np.zeros(0) for d in program.block("parameters") if d.name not in draws}
    worst = 0.0
    for s in np.linspace(0, len(draws[family.programs.log_lik]) - 1, _POINTS).astype(int):
        one = empty | {name: values[s] for name, values in draws.items()}
        one |= family.twin.transformed(one, data) if family.twin.transformed is not None else {}
        whole, prior = (family.twin.log_joint(one, data | {"use_likelihood": use}, variant) for use in (1, 0))
        total = float(draws[family.programs.log_lik][s].sum())
        if family.twin.beside_rows is not None:
            point = {name: np.asarray(value, dtype=float)[None] for name, value in one.items()}
            total += float(family.twin.beside_rows(point, data).sum())
        worst = max(worst, abs(whole - prior - total) / max(1.0, abs(whole)))
    return worst


def _draws_rows(family: Family, program: Program) -> bool:
    """Whether what rows are about, the values of a curve, is drawn afterwards."""
    own, generated = family.programs, {d.name for d in program.generated}
    return any(dims == ("observation",) for n, dims in own.dims.items() if n in generated - {own.log_lik, own.y_rep})


def _integrates(family: Family, program: Program, drawn: set[str]) -> bool:
    """Whether effects of groups or units are drawn afterwards, or what is sampled stands for them given the rows."""
    before, _, after = program.code.partition("generated quantities")
    if "use_likelihood" in before.partition("transformed parameters")[2].partition("model {")[0]:
        return True
    own = family.programs
    effects = {n for n in drawn - {own.log_lik, own.y_rep} if own.dims.get(n, ())[:1] in _EFFECTS}
    return any(re.search(rf"\b{name}\b[^;=]*=[^;]*_rng\(", after) for name in effects)
