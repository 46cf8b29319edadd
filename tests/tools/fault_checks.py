"""The checks of truth, each on a program that claims to be a variant: whether it catches it, and with which figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from contract import with_program
from faults import FAULTS, SEED, Fault
from scipy.stats import norm

from hbm_stan.agreement import FAMILY_ERROR, compare_draws
from hbm_stan.calibrate import Calibration, calibrate
from hbm_stan.calibrate.result import verdicts_on
from hbm_stan.density import SPREAD, log_density_spread
from hbm_stan.engines import Engine, Sampling
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.families import families
from hbm_stan.generated import complete
from hbm_stan.program import Program
from hbm_stan.table import FloatArray
from hbm_stan.verify.contract import contract_faults
from hbm_stan.verify.names import Claim
from hbm_stan.verify.programs import structure_faults, terms_faults

SHORT = Sampling(chains=4, warmup=500, draws=500, adapt_delta=0.95, seed=SEED)
LONG = Sampling(chains=4, warmup=1000, draws=2000, adapt_delta=0.95, seed=SEED)
# Families whose draws take seconds: their posteriors are compared in short runs.
COSTLY = ("planck", "nested_normal", "linear_regression", "logistic_regression")
# Numbers of replications that are tried, to say how few catch a fault.
NUMBERS = (50, 100, 150, 200, 300, 400, 500, 700, 1000)
# log_lik and its NumPy counterpart may differ by rounding: the tolerance of the issue and of the contract.
ROUNDING = 1e-9
# One in so many draws of a short run is enough for the contract.
_EVERY = 5


@dataclass(frozen=True)
class Detection:
    """What a check says of a program."""

    caught: bool
    figure: str


Check = Callable[[Fault, Program], Detection]


def structure(fault: Fault, program: Program) -> Detection:
    """Whether the parameters are those of complete, no or partial pooling."""
    family = families()[fault.family]
    pooling = family.variant(fault.variant).pooling
    shared = family.shared_rows(fault.variant)
    faults = terms_faults(pooling, program) if family.terms else structure_faults(pooling, program, common=shared)
    return Detection(bool(faults), faults[0] if faults else "")


def log_density(fault: Fault, program: Program) -> Detection:
    """Relative spread of the engine's log density minus log_joint, prior only and with the likelihood."""
    family = fault.adapted if program.code == fault.program.code else families()[fault.family]
    spreads = (log_density_spread(program, family, fault.variant, fault.data | {"use_likelihood": on}) for on in (0, 1))
    largest = max(spreads)
    return Detection(largest > SPREAD, f"spread {largest:.2g}")


def pointwise(fault: Fault, program: Program) -> Detection:
    """Largest difference of log_lik from NumPy's, at the program's own draws."""
    draws = flat(fault.file, program)
    ours = families()[fault.family].need("pointwise", "a check")(draws, fault.data)
    largest = float(np.abs(draws["log_lik"] - ours).max())
    close = np.allclose(draws["log_lik"], ours, rtol=ROUNDING, atol=ROUNDING)
    return Detection(not close, f"off by {largest:.2g}")


def contract(fault: Fault, program: Program) -> Detection:
    """Names and functions of the family with this program in the place of its own, at draws of a short run."""
    family = with_program(families()[fault.family], fault.variant, program)
    few = {name: values[::_EVERY] for name, values in flat(fault.file, program).items()}
    faults = contract_faults(
        Claim(family=family, table=fault.table, variant=fault.variant, priors=fault.settled, data=fault.data, draws=few)
    )
    return Detection(bool(faults), faults[0] if faults else "")


def replications(fault: Fault, program: Program) -> Detection:
    """y_rep against ``simulate`` of the same draws: mean and mean square of rows, and what rows have in common."""
    draws = flat(fault.file, program)
    simulated = families()[fault.family].need("simulate", "a check")(np.random.default_rng(SEED), draws, fault.data)
    z = []
    for a, b in zip(_moments(simulated), _moments(draws["y_rep"]), strict=True):
        difference = a - b
        se = difference.std(axis=0, ddof=1) / np.sqrt(len(a))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.abs(difference.mean(axis=0)) / se
        z.append(np.where(np.isnan(ratio), 0.0, ratio))  # 0 / 0: the same constant in both
    every = np.concatenate(z)
    limit = float(norm.isf(FAMILY_ERROR / (2 * len(every))))
    return Detection(float(every.max()) > limit, f"z {every.max():.1f} of {limit:.1f}")


def _moments(y: FloatArray) -> tuple[FloatArray, ...]:
    """Of replications (draw, row): each row, its square, and the variance over rows within a draw."""
    return y, y**2, y.var(axis=1, keepdims=True)


def known_posterior(fault: Fault, program: Program, length: Sampling | None = None) -> Detection:
    """Its posterior against a run of the right program with the same data, in Monte Carlo standard errors."""
    return _compared(
        posterior(fault.file, program, SEED, length), posterior(fault.file, fault.shipped, SEED + 1, length)
    )


def known_posterior_shortly(fault: Fault, program: Program) -> Detection:
    """The same by short runs: most faults are caught in them, and a right program is refused as seldom."""
    return known_posterior(fault, program, SHORT)


def engines(fault: Fault, program: Program, other: Engine) -> Detection:
    """The same program on both engines: a fault that both sample alike is none to them."""
    return _compared(posterior(fault.file, program, SEED), _drawn(fault, program, other, SEED + 1))


def _compared(ours: Mapping[str, FloatArray], theirs: Mapping[str, FloatArray]) -> Detection:
    same = [name for name in ours if name in theirs]
    one, other = (np.stack([draws[name] for name in same]) for draws in (ours, theirs))
    comparison = compare_draws(same, one, other)
    largest = float(np.nanmax(np.abs(comparison.table["z"])))
    return Detection(not comparison.agrees, f"z {largest:.1f} of {comparison.threshold:.1f}")


@cache
def posterior(fault_file: str, program: Program, seed: int, length: Sampling | None = None) -> dict[str, FloatArray]:
    """Draws of each parameter by the embedded engine: ``theta[1]``, ``theta[2]``, ..., shape (chain, draw)."""
    return _drawn(FAULTS[fault_file], program, StanliEngine(), seed, length)


def _drawn(
    fault: Fault, program: Program, engine: Engine, seed: int, length: Sampling | None = None
) -> dict[str, FloatArray]:
    hidden = {"log_lik", "y_rep", "lprior", *families()[fault.family].programs.hidden}
    sampling = replace(length or (SHORT if fault.family in COSTLY else LONG), seed=seed)
    draws = {}
    for name, values in engine.sample(program, fault.data, sampling).variables.items():
        if name in hidden or name.endswith("_raw") or not values.size:
            continue
        elements = np.moveaxis(values.reshape(*values.shape[:2], -1), 2, 0)
        for k, element in enumerate(elements, start=1):
            draws[name if values.ndim == 2 else f"{name}[{k}]"] = element
    return draws


def calibration(fault: Fault, program: Program, number: int, workers: int | None = None) -> Detection:
    """Simulation-based calibration: ranks of truths drawn in NumPy among the program's draws, as ``hbm calibrate``.

    The figure is the smallest p-value of all quantities, and how many replications of these are enough to catch it.
    """
    family = families()[fault.family]
    calibrated = calibrate(
        family, fault.variant, table=fault.table, priors=fault.chosen, replications=number, seed=SEED,
        program=program, workers=workers,
    )  # fmt: skip
    lowest = calibrated.table.sort_values("p", kind="stable").iloc[0]
    # Smaller ones are the rounding error of one minus a sum of probabilities.
    p = f"p {lowest['p']:.1g}" if lowest["p"] > 1e-12 else "p < 1e-12"
    figure = f"{p} of {calibrated.error:.1g} ({lowest['quantity']})"
    caught = calibrated.status == "fail"
    enough = next((n for n in NUMBERS if n < number and _fails(calibrated, n)), number)
    return Detection(caught, f"{figure}, {enough} replications" if caught else figure)


def _fails(calibrated: Calibration, number: int) -> bool:
    """Whether the first replications alone would have shown it."""
    verdicts = verdicts_on(calibrated.ranks.iloc[:number], calibrated.draws, {}, 0, 0, calibrated.family_error)
    return any(v.status == "fail" for v in verdicts)


@cache
def flat(fault_file: str, program: Program) -> dict[str, FloatArray]:
    """Draws of a short run, chains joined."""
    fault = FAULTS[fault_file]
    drawn = {n: v for n, v in StanliEngine().sample(program, fault.data, SHORT).variables.items() if v.size}
    if (family := families()[fault.family]).terms:  # whose programs leave out what can be drawn afterwards
        drawn |= complete(family, fault.data, drawn, SEED)
    return {name: v.reshape(-1, *v.shape[2:]) for name, v in drawn.items()}
