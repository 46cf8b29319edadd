"""Planted faults: wrong programs of broken/, each with one fault, the priors and data that show it, what must catch it.

Each file is the shipped program of a variant with one fault, named at its place by a comment ``// FAULT: ...``; where
that place is in an included file, the lines of that file stand in it.
fault_checks.py runs the checks on them, test_faults.py asserts what is said here, fault_table.py prints it all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hbm_stan.data import Dataset, load
from hbm_stan.examples import shuffled
from hbm_stan.families import families
from hbm_stan.fit import prepare_table
from hbm_stan.model import Draws, Family, StanData
from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior
from hbm_stan.program import Program
from hbm_stan.resources import share

_SHUFFLED, _THREE, _LEFT, _ONE = "shuffled", "three terms", "two areas without a row", "one factor"
_SPREAD = "negative binomial"
BROKEN = Path(__file__).parents[1] / "broken"
SEED = 20261121
CHECKS = (
    "structure", "log density", "pointwise", "contract", "replications", "known posterior", "engines", "calibration",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A wrong program: the family and variant that it pretends to be, and which checks must catch it."""

    file: str
    family: str
    variant: str
    wrong: str
    caught_by: tuple[str, ...]
    priors: Mapping[str, str] = field(default_factory=dict)  # beside those of the family's example
    adapt: Callable[[Family], Family] = lambda family: family  # where its parameters are not those of the variant
    on: str = ""  # what the table is that shows it, where it is not that of the family

    @property
    def program(self) -> Program:
        """The wrong program."""
        return Program.read(BROKEN / f"{self.file}.stan", (share("stan") / "lib",))

    @property
    def shipped(self) -> Program:
        """The right one."""
        return families()[self.family].program(self.variant)

    @property
    def table(self) -> Prepared:
        """The data that show it."""
        return example(", ".join(filter(None, (self.family, self.on))))

    @property
    def chosen(self) -> dict[str, str]:
        """All priors that are not the defaults, of what the table has: one factor has no other's sd."""
        has = {name.partition("[")[0] for name in families()[self.family].priors(self.table)}
        usual = {name: text for name, text in PRIORS[self.family].items() if name.partition("[")[0] in has}
        return {**usual, **self.priors}

    @property
    def settled(self) -> dict[str, Prior]:
        """All priors, chosen and default."""
        return families()[self.family].priors(self.table, self.chosen)

    @property
    def data(self) -> StanData:
        """The Stan data that show it."""
        return families()[self.family].stan_data(self.table, self.settled, self.variant)

    @property
    def adapted(self) -> Family:
        """The family with the parameters of the wrong program, for the check of the log density."""
        return self.adapt(families()[self.family])


# Priors that say something, so that data simulated from them are data that one could meet. Scales are not 1: a fault
# in their power would not show.
PRIORS: dict[str, dict[str, str]] = {
    "normal_means": {"mu": "normal(0, 10)", "tau": "half_normal(10)", "theta": "normal(0, 20)"},
    "grouped_normal": {
        "mu": "normal(0, 5)", "tau": "half_normal(3)", "sigma": "half_normal(2)", "theta": "normal(0, 5)",
        "sigma_group": "lognormal(0.5, 0.7)",
    },
    "nested_normal": {
        "mu": "normal(0, 5)", "tau": "half_normal(3)", "tau_unit": "half_normal(0.5)", "sigma": "half_normal(0.5)",
    },
    "linear_regression": {
        "mu": "normal(0, 3)", "tau": "half_normal(3)", "gamma": "normal(0, 3)", "sigma": "half_normal(2)",
        "rho": "lkj(2)",
    },
    "logistic_regression": {"mu": "normal(0, 1)", "tau": "half_normal(1.5)", "rho": "lkj(1)"},
    "beta_binomial": {"mu": "beta(2, 4)", "kappa": "lognormal(2, 0.8)"},
    "gamma_poisson": {"alpha": "gamma(4, 2)", "beta": "gamma(4, 1)"},
    "planck": {"alpha": "gamma(16, 2.67)", "beta": "gamma(16, 5.33)", "sigma": "gamma(9, 18)"},
    "normal": {"beta": "normal(0, 3)", "tau": "half_normal(0.7)", "sd": "half_normal(3)", "sigma": "half_normal(2)"},
    "normal_sampled": {
        "beta": "normal(0, 3)", "tau": "half_normal(0.7)", "sd": "half_normal(3)", "sigma": "half_normal(2)",
    },
    "estimates": {"beta": "normal(0, 3)", "tau": "half_normal(1.5)", "sd": "half_normal(3)"},
    "estimates_sampled": {"beta": "normal(0, 3)", "tau": "half_normal(1.5)", "sd": "half_normal(3)"},
    "binomial": {"beta": "normal(0, 1)", "tau": "half_normal(1.5)", "sd": "half_normal(0.7)"},
    "poisson": {"beta": "normal(0, 1)", "tau": "half_normal(0.7)", "sd": "half_normal(1.5)"},
    "negative_binomial": {
        "beta": "normal(0, 1)", "tau": "half_normal(0.7)", "sd": "half_normal(1.5)",
        "overdispersion": "half_normal(0.7)",
    },
    "beta_binomial_rows": {
        "beta": "normal(0, 1)", "tau": "half_normal(1.5)", "sd": "half_normal(0.7)",
        "overdispersion": "half_normal(0.7)",
    },
    "gamma": {
        "beta": "normal(0, 1)", "tau": "half_normal(0.7)", "sd": "half_normal(1.5)", "variation": "half_normal(0.7)",
    },
    "lognormal": {"beta": "normal(0, 3)", "tau": "half_normal(0.7)", "sd": "half_normal(3)", "sigma": "half_normal(2)"},
    "lognormal_sampled": {
        "beta": "normal(0, 3)", "tau": "half_normal(0.7)", "sd": "half_normal(3)", "sigma": "half_normal(2)",
    },
    "beta": {
        "beta": "normal(0, 1)", "tau": "half_normal(0.7)", "sd": "half_normal(1.5)", "spread": "half_normal(0.7)",
    },
    "student_t": {
        "beta": "normal(0, 3)", "tau": "half_normal(0.7)", "sd": "half_normal(3)", "sigma": "half_normal(2)",
        "nu": "gamma(2, 0.5)",
    },
    "zero_inflated_poisson": {
        "beta": "normal(0, 1)", "tau": "half_normal(0.7)", "sd": "half_normal(1.5)", "zi": "normal(-1, 0.7)",
    },
    "zero_inflated_negative_binomial": {
        "beta": "normal(0, 1)", "tau": "half_normal(0.7)", "sd": "half_normal(1.5)", "zi": "normal(-1, 0.7)",
        "overdispersion": "half_normal(0.7)",
    },
    "cumulative": {
        "beta": "normal(0, 1)", "tau": "half_normal(1.5)", "sd": "half_normal(0.7)", "threshold": "dirichlet(2)",
    },
    "event_population": {"mu": "beta(2, 3)", "kappa": "lognormal(2, 0.7)"},
    "disease_mapping": {"mu": "normal(0, 1)", "gamma": "normal(0, 1)", "tau": "half_normal(1.5)", "rho": "beta(2, 2)",
                        "overdispersion": "gamma(6, 9)"},
    "missing_outcomes": {
        "mu": "normal(0, 5)", "tau": "half_normal(3)", "beta": "normal(0, 3)", "sigma": "half_normal(2)",
        "eta": "normal(-0.5, 0.7)", "theta": "normal(0, 5)",
    },
    "joint_infection": {
        "mu": "normal(2, 0.7)", "gamma": "normal(0, 0.7)", "tau": "half_normal(1)", "alpha": "normal(-0.3, 0.7)",
        "beta": "gamma(8, 12)", "overdispersion": "gamma(9, 6)",
    },
    "gp_integral": {
        "level": "normal(10, 5)", "level_sd": "half_normal(4)", "slope": "normal(0, 8)", "slope_sd": "half_normal(4)",
        "amplitude": "half_normal(4)", "length_scale": "lognormal(-1, 0.4)",
    },
}  # fmt: skip


@cache
def example(name: str) -> Prepared:
    """A small table of a family: eight schools, or made with a fixed seed; ``family, shuffled`` in another order."""
    family, _, on = name.partition(", ")
    dataset = shuffled(_DATA[family]()) if on == _SHUFFLED else _DATA[family]() if on == _LEFT else _DATA[name]()
    table = prepare_table(families()[family], dataset)
    return table.without([2, 7]) if on == _LEFT else table


def _schools() -> Dataset:
    return load("eight_schools", {"group": "school", "estimate": "effect", "standard_error": "se"})


def _normal_rows() -> Dataset:
    """Nine groups of 2 to 6 rows."""
    rng = np.random.default_rng([SEED, 1])
    group = np.repeat(np.arange(9), [2, 3, 4, 5, 6, 2, 3, 4, 6])
    y = rng.normal(rng.normal(2, 3, 9)[group], 1.5)
    return Dataset.from_frame(pd.DataFrame({"g": [f"g{j}" for j in group], "y": y}), group="g", outcome="y")


def _units() -> Dataset:
    """Eight groups, three units each, three rows each."""
    rng = np.random.default_rng([SEED, 2])
    group, unit = np.repeat(np.arange(8), 9), np.repeat(np.arange(24), 3)
    y = rng.normal(rng.normal(1, 3, 8)[group] + rng.normal(0, 0.5, 24)[unit], 0.4)
    frame = pd.DataFrame({"g": [f"g{j}" for j in group], "u": [f"u{m % 3}" for m in unit], "y": y})
    return Dataset.from_frame(frame, group="g", unit="u", outcome="y", unit_labels="repeat")


def _lines() -> Dataset:
    """Twelve groups of 4 rows, one predictor, one group predictor that is not sorted."""
    rng = np.random.default_rng([SEED, 3])
    group = np.repeat(np.arange(12), 4)
    x, u = rng.normal(size=48), rng.normal(size=12)
    theta = rng.normal([1, -1], [2, 1.5], (12, 2))
    y = rng.normal(theta[group, 0] + 3 * u[group] + theta[group, 1] * x, 1.0)
    frame = pd.DataFrame({"g": [f"g{j:02}" for j in group], "x": x, "u": u[group], "y": y})
    return Dataset.from_frame(frame, group="g", outcome="y", predictors=["x"], group_predictors=["u"])


def _log_odds() -> Dataset:
    """Sixteen groups of 4 rows of 25 trials, one predictor; the coefficients of a group have correlation 0.8."""
    rng = np.random.default_rng([SEED, 4])
    group = np.repeat(np.arange(16), 4)
    x = np.tile([-1.5, -0.5, 0.5, 1.5], 16)
    theta = rng.multivariate_normal([0, 0.5], [[1, 0.8], [0.8, 1]], 16)
    y = rng.binomial(25, 1 / (1 + np.exp(-theta[group, 0] - theta[group, 1] * x)))
    frame = pd.DataFrame({"g": [f"g{j:02}" for j in group], "x": x, "y": y, "n": 25})
    return Dataset.from_frame(frame, group="g", successes="y", trials="n", predictors=["x"])


def _three_terms(n_groups: int = 16, size: int = 6) -> pd.DataFrame:
    """Groups with two predictors; of their coefficients the first and third have correlation 0.8, the others -0.5, 0.

    ``eta`` is the value on the line of the row.
    """
    rng = np.random.default_rng([SEED, 8])
    group, x = np.repeat(np.arange(n_groups), size), rng.normal(size=(n_groups * size, 2))
    theta = rng.multivariate_normal([0, 0.5, -0.5], [[1, 0, 0.8], [0, 1, -0.5], [0.8, -0.5, 1]], n_groups)
    eta = theta[group, 0] + np.sum(theta[group, 1:] * x, axis=1)
    return pd.DataFrame({"g": [f"g{j:02}" for j in group], "a": x[:, 0], "b": x[:, 1], "eta": eta})


def _three_lines() -> Dataset:
    """The outcome is the value on the line and a small error; a group predictor says nothing."""
    frame, rng = _three_terms(), np.random.default_rng([SEED, 9])
    frame["y"] = rng.normal(frame["eta"], 0.5)
    frame["u"] = frame["g"].map(dict(zip(frame["g"].unique(), rng.normal(size=16), strict=True)))
    return Dataset.from_frame(frame, group="g", outcome="y", predictors=["a", "b"], group_predictors=["u"])


def _three_log_odds() -> Dataset:
    """Successes of 25 trials, the value on the line their log odds."""
    frame = _three_terms()
    frame["y"] = np.random.default_rng([SEED, 10]).binomial(25, 1 / (1 + np.exp(-frame["eta"])))
    return Dataset.from_frame(frame.assign(n=25), group="g", successes="y", trials="n", predictors=["a", "b"])


def _rates() -> Dataset:
    """Twenty groups of 6 or 8 trials, so that equal counts are frequent."""
    rng = np.random.default_rng([SEED, 5])
    n = np.tile([6, 8], 10)
    frame = pd.DataFrame({"g": [f"g{j:02}" for j in range(20)], "y": rng.binomial(n, rng.beta(2, 5, 20)), "n": n})
    return Dataset.from_frame(frame, group="g", successes="y", trials="n")


def _counts() -> Dataset:
    """Ten groups of unlike exposure."""
    rng = np.random.default_rng([SEED, 6])
    exposure = np.round(rng.uniform(1, 20, 10), 1)
    y = rng.poisson(rng.gamma(2, 1 / 4, 10) * exposure)
    frame = pd.DataFrame({"g": [f"g{j}" for j in range(10)], "y": y, "e": exposure})
    return Dataset.from_frame(frame, group="g", count="y", exposure="e")


def _spectra() -> Dataset:
    """Six spectra of 5 fluxes between 0 and 50, most near to an end of that range."""
    rng = np.random.default_rng([SEED, 7])
    group = np.repeat(np.arange(6), 5)
    nu, temperature = rng.uniform(0.3, 9, 30), rng.gamma(6, 1 / 2, 6)[group]
    flux = np.clip(nu**3 / np.expm1(nu / temperature) + rng.normal(0, 0.5, 30), 0.1, 49.9)
    frame = pd.DataFrame({"spectrum": [f"s{j}" for j in group], "nu": nu, "flux": flux})
    return Dataset.from_frame(frame, group="spectrum", frequency="nu", flux="flux")


def _crossed(left: str, terms: str = "(1 | g) + (1 | i)") -> Callable[[], Dataset]:
    """Twelve groups crossed with five items, rows of unlike groups beside each other, one predictor, a known offset."""

    def crossed() -> Dataset:
        rng = np.random.default_rng([SEED, 11])
        group, item = rng.permutation(np.arange(72) % 12), rng.integers(0, 5, 72)
        x, o, e, n = rng.normal(size=72), rng.normal(0, 0.7, 72), rng.uniform(0.5, 3, 72), rng.integers(5, 20, 72)
        eta = rng.normal(0.5, 0.8, 12)[group] + rng.normal(0, 0.8, 5)[item] + 0.4 * x + o
        outcomes = {
            "y": rng.normal(eta, 0.5), "m": rng.normal(eta, e), "k": rng.binomial(n, 1 / (1 + np.exp(-eta))),
            "c": rng.poisson(e * np.exp(eta)),
        }  # fmt: skip
        p = 1 / (1 + np.exp(-eta))
        outcomes |= {
            "c2": rng.poisson(e * np.exp(eta) * rng.gamma(4, 1 / 4, 72)),
            "k2": rng.binomial(n, rng.beta(4 * p, 4 - 4 * p)), "v": rng.gamma(4, np.exp(eta) / 4),
            "w": rng.lognormal(eta, 0.5), "t": eta + 0.5 * rng.standard_t(3, 72), "s": rng.beta(6 * p, 6 - 6 * p),
        }  # fmt: skip
        outcomes["z"] = rng.poisson(e * np.exp(eta)) * (rng.uniform(size=72) > 0.3)
        outcomes["z2"] = outcomes["c2"] * (rng.uniform(size=72) > 0.3)
        outcomes["r"] = 1 + np.digitize(rng.logistic(eta), [-1, 0.5, 2])
        labels = {"g": [f"g{j:02}" for j in group], "i": [f"i{j}" for j in item]}
        frame = pd.DataFrame({**labels, "x": x, "o": o, "e": e, "n": n, **outcomes})
        return Dataset.from_frame(frame, formula=f"{left} ~ x + offset(o) + {terms}")

    return crossed


def _map(**reading: str) -> Dataset:
    """Sixteen areas of a grid and two islands, in another order than their names, neighbours alike; one predictor."""
    rng = np.random.default_rng([SEED, 15])
    names = np.array([f"a{k:02}" for k in range(18)])
    pairs = [(k, k + step) for k in range(16) for step in (1, 4) if k + step < 16 and (step == 4 or k % 4 < 3)]
    x, expected = rng.normal(size=18), rng.uniform(2, 30, 18)
    level = np.append(np.add.outer(np.linspace(-1, 1, 4), np.linspace(-0.5, 0.5, 4)).ravel(), [0.5, -0.5])
    cases = rng.poisson(expected * np.exp(0.2 + level + 0.4 * x + rng.normal(0, 0.2, 18)))
    frame = pd.DataFrame({"area": names, "cases": cases, "expected": expected, "x": x}).iloc[rng.permutation(18)]
    neighbours = [(names[a], names[b]) for a, b in pairs]
    return Dataset.from_frame(
        frame, group="area", count="cases", expected="expected", group_predictors=["x"], neighbours=neighbours,
        **reading,
    )  # fmt: skip


def _unseen() -> Dataset:
    """Nine groups of unequal size, rows shuffled, two predictors; low outcomes of one arm are missing more often."""
    rng = np.random.default_rng([SEED, 155])
    group = rng.permutation(np.repeat(np.arange(9), [3, 4, 6, 7, 8, 9, 11, 13, 15]))
    arm, x = rng.integers(0, 2, 76), rng.normal(0.6, 0.8, 76)
    y = 2.5 + rng.normal(0, 1.2, 9)[group] + 1.1 * arm - 0.7 * x + rng.normal(0, 1.7, 76)
    unseen = rng.normal(size=76) < -0.9 + 0.3 * x + arm * (0.5 - 0.45 * (y - 2.5))
    names = np.array([f"g{j}" for j in (4, 8, 0, 6, 2, 7, 3, 1, 5)])
    frame = pd.DataFrame({
        "g": names[group], "arm": np.array(["usual", "new"])[arm], "x": x, "y": np.where(unseen, np.nan, y),
    })  # fmt: skip
    missing = {"form": "selection", "delta": -0.45, "rows": "arm = new", "contrast": "arm = new - arm = usual"}
    return Dataset.from_frame(
        frame, group="g", outcome="y", predictors=["arm", "x"], reference={"arm": "usual"}, missing=missing
    )


def _events() -> Dataset:
    """Fourteen events in another order than their names, one known to a thousandth; large values are seen more."""
    rng = np.random.default_rng([SEED, 16])
    names = np.array([f"e{k:02}" for k in range(14)])
    error = np.append(rng.uniform(0.03, 0.2, 13), 0.001)
    frame = pd.DataFrame({"event": names, "value": rng.normal(rng.beta(1.5, 4, 14), error), "error": error})
    return Dataset.from_frame(
        frame.iloc[rng.permutation(14)], group="event", estimate="value", standard_error="error",
        selection=[(0, 0.1), (0.4, 0.2), (1, 0.9)],
    )  # fmt: skip


def _streams() -> Dataset:
    """18 villages in no order, each with one, two or three of the streams."""
    rng = np.random.default_rng([SEED, 16])
    x = rng.normal(size=18)
    theta = 2 + 0.5 * x + rng.normal(size=18)
    people, tests, snails = (rng.integers(low, 2 * low, 18) for low in (15, 20, 30))
    p = 1 / (1 + np.exp(-(0.2 + 0.9 * (theta - 2))))
    frame = pd.DataFrame({
        "village": [f"v{k:02}" for k in range(18)], "x": x,
        "eggs": rng.poisson(rng.gamma(people / 2.25, 2.25 * np.exp(theta))), "people": people,
        "positive": rng.binomial(tests, 0.7 * p + 0.05 * (1 - p)), "tests": tests, "sure": 0.7, "sound": 0.95,
        "infected": rng.binomial(snails, 1 / (1 + np.exp(-(-1.5 + 0.5 * (theta - 2))))), "snails": snails,
    })  # fmt: skip
    lacking = rng.permutation(np.repeat([0, 1, 2, 3, 4], [5, 4, 4, 3, 2]))
    columns = {(1, 4): ["eggs", "people"], (2, 4): ["positive", "tests"], (3,): ["infected", "snails"]}
    for kinds, own in columns.items():
        frame.loc[np.isin(lacking, kinds), own] = np.nan
    return Dataset.from_frame(
        frame.iloc[rng.permutation(18)], group="village", eggs="eggs", examined="people", positive="positive",
        blood_tests="tests", sensitivity="sure", specificity="sound", infected="infected", snails="snails",
        group_predictors=["x"],
    )  # fmt: skip


def _curves() -> Dataset:
    """Six curves about lines at four to seven points each, in no order, with known errors."""
    rng = np.random.default_rng([SEED, 16])
    run = np.repeat(np.array(["p", "k", "s", "c", "m", "d"]), [6, 4, 7, 5, 6, 5])
    x = np.round(rng.uniform(0, 1, len(run)), 2)
    own = {name: (rng.normal(10, 3), rng.normal(-5, 3), rng.uniform(1, 3)) for name in dict.fromkeys(run)}
    level, rise, wave = np.array([own[name] for name in run]).T
    error = np.round(rng.uniform(0.3, 0.8, len(run)), 2)
    y = np.round(rng.normal(level + rise * (x - 0.5) + wave * np.sin(7 * x + level), error), 2)
    frame = pd.DataFrame({"run": run, "x": x, "y": y, "se": error}).iloc[rng.permutation(len(run))]
    integral = {"lower": 0, "upper": 1, "kernel": "squared_exponential", "mean": "linear"}
    return Dataset.from_frame(frame, group="run", point="x", estimate="y", standard_error="se", integral=integral)


_DATA: dict[str, Callable[[], Dataset]] = {
    "normal_means": _schools, "grouped_normal": _normal_rows, "nested_normal": _units, "linear_regression": _lines,
    "logistic_regression": _log_odds, "beta_binomial": _rates, "gamma_poisson": _counts, "planck": _spectra,
    "normal": _crossed("y"), "normal_sampled": _crossed("y"), "estimates": _crossed("m | se(e)"),
    "estimates_sampled": _crossed("m | se(e)"), "lognormal_sampled": _crossed("w"),
    "binomial": _crossed("k | trials(n)"),
    "poisson": _crossed("c | rate(e)"), "negative_binomial": _crossed("c2 | rate(e)"),
    "beta_binomial_rows": _crossed("k2 | trials(n)"), "gamma": _crossed("v"), "lognormal": _crossed("w"),
    "beta": _crossed("s"), "student_t": _crossed("t"), "zero_inflated_poisson": _crossed("z | rate(e)"),
    "zero_inflated_negative_binomial": _crossed("z2 | rate(e)"),
    "cumulative": _crossed("r"), "disease_mapping": _map,
    f"disease_mapping, {_SPREAD}": lambda: _map(likelihood="negative_binomial"),
    "missing_outcomes": _unseen,
    "event_population": _events,
    "joint_infection": _streams,
    "gp_integral": _curves,
    f"estimates, {_ONE}": _crossed("m | se(e)", "(1 + x | g)"),
    f"linear_regression, {_THREE}": _three_lines, f"logistic_regression, {_THREE}": _three_log_odds,
}  # fmt: skip


def _sampled_as_log_tau(family: Family) -> Family:
    """normal_means where log_tau is declared; its density is that of tau, times tau."""
    joint = family.need("log_joint", "a test")

    def transformed(params: Draws, data: StanData) -> dict[str, Any]:
        tau = np.exp(params["log_tau"])
        return {"tau": tau, "tau_raw": tau / data["prior_tau"][0]}

    def log_joint(params: Draws, data: StanData, variant: str) -> float:
        return float(joint(params, data, variant) + params["log_tau"])

    return family.with_fields(transformed=transformed, log_joint=log_joint)


def _sampled_with_one_scale(family: Family) -> Family:
    """grouped_normal without pooling where one residual scale is declared for all groups."""
    transformed = family.need("transformed", "a test")

    def shared(params: Draws, data: StanData) -> dict[str, Any]:
        scales = np.full(data["J"], params["sigma_group_raw"])
        return {"sigma_group_raw": scales, **transformed({**params, "sigma_group_raw": scales}, data)}

    return family.with_fields(transformed=shared)


_DENSITY, _CONTRACT, _KNOWN, _SBC = "log density", "contract", "known posterior", "calibration"
_ALL_THREE = (_DENSITY, _KNOWN, _SBC)
_ALL_FOUR = (_DENSITY, _CONTRACT, _KNOWN, _SBC)
_ALL = (
    Fault(file="sd_for_variance", family="normal_means", variant="partial_pooling",
          wrong="a variance stands where normal() takes an sd", caught_by=_ALL_THREE),
    Fault(file="missing_jacobian", family="normal_means", variant="partial_pooling_noncentered",
          wrong="log tau is sampled, its Jacobian is missing", caught_by=_ALL_THREE, priors={"tau": "lognormal(2, 1)"},
          adapt=_sampled_as_log_tau),
    Fault(file="shifted_index", family="normal_means", variant="partial_pooling_centered",
          wrong="an estimate is taken for that of the group before", caught_by=_ALL_FOUR,
          priors={"tau": "lognormal(2.5, 0.5)"}),
    Fault(file="wrong_prior_scale", family="normal_means", variant="partial_pooling",
          wrong="the prior of tau is twice as wide as said", caught_by=_ALL_THREE),
    Fault(file="missing_likelihood_term", family="normal_means", variant="no_pooling",
          wrong="the first estimate is not in the likelihood", caught_by=_ALL_THREE),
    Fault(file="log_lik_without_constant", family="normal_means", variant="no_pooling",
          wrong="log_lik lacks its constant and log(se)", caught_by=("pointwise", _SBC)),
    Fault(file="pools_a_subset", family="normal_means", variant="complete_pooling",
          wrong="complete pooling pools two groups only", caught_by=("structure", *_ALL_FOUR)),
    Fault(file="shared_scale", family="grouped_normal", variant="no_pooling",
          wrong="no pooling has one residual scale for all groups", caught_by=("structure", *_ALL_FOUR), priors={},
          adapt=_sampled_with_one_scale),
    Fault(file="half_normal_for_half_cauchy", family="normal_means", variant="partial_pooling",
          wrong="tau has a half-normal prior where half-Cauchy is said", caught_by=_ALL_THREE,
          priors={"tau": "half_cauchy(5)"}),
    Fault(file="noncentered_without_mu", family="normal_means", variant="partial_pooling_noncentered",
          wrong="non-centered theta without mu", caught_by=_ALL_FOUR),
    Fault(file="planck_truncated_without_normaliser", family="planck", variant="partial_pooling_truncated",
          wrong="a truncated likelihood without its normaliser", caught_by=_ALL_THREE),
    Fault(file="tau_twice", family="linear_regression", variant="partial_pooling",
          wrong="correlated effects are multiplied by tau twice", caught_by=_ALL_THREE),
    Fault(file="group_predictor_out_of_order", family="linear_regression", variant="partial_pooling",
          wrong="group predictors are sorted, groups are not", caught_by=_ALL_FOUR),
    Fault(file="correlations_left_out", family="logistic_regression", variant="partial_pooling",
          wrong="correlations have a prior and no use in the likelihood", caught_by=_ALL_THREE),
    Fault(file="missing_determinant", family="nested_normal", variant="partial_pooling",
          wrong="units are integrated out without the determinant that this leaves", caught_by=_ALL_THREE),
    Fault(file="sd_of_a_row_for_that_of_a_mean", family="grouped_normal", variant="partial_pooling",
          wrong="the mean of a group is taken to vary as one row", caught_by=_ALL_THREE),
    Fault(file="equal_counts_once", family="beta_binomial", variant="partial_pooling",
          wrong="of groups with equally many successes one counts only", caught_by=_ALL_THREE),
    Fault(file="scale_for_rate", family="gamma_poisson", variant="partial_pooling",
          wrong="beta is taken for the scale of the gamma distribution", caught_by=_ALL_THREE),
    Fault(file="no_jacobian_of_beta", family="gamma_poisson", variant="partial_pooling",
          wrong="the Jacobian of beta = alpha / mu is missing", caught_by=_ALL_THREE),
    Fault(file="theta_without_its_spread", family="normal_means", variant="partial_pooling",
          wrong="theta is its conditional mean, not a draw", caught_by=(_CONTRACT, _KNOWN, _SBC)),
    Fault(file="y_rep_from_the_wrong_scale", family="grouped_normal", variant="partial_pooling",
          wrong="rows are replicated with tau in place of sigma", caught_by=("replications",)),
    Fault(file="one_residual_for_all_rows", family="grouped_normal", variant="partial_pooling",
          wrong="replicated rows share one residual", caught_by=("replications",)),
    Fault(file="sorted_rows", family="grouped_normal", variant="partial_pooling",
          wrong="rows are given the groups in sorted order", caught_by=(_DENSITY, _CONTRACT, _KNOWN), on=_SHUFFLED),
    Fault(file="sorted_cells", family="logistic_regression", variant="partial_pooling",
          wrong="cells are given the groups of sorted rows", caught_by=(_DENSITY, _KNOWN), on=_SHUFFLED),
    Fault(file="sorted_rows_generated", family="logistic_regression", variant="partial_pooling",
          wrong="rows are given the groups in sorted order after sampling", caught_by=("pointwise", "replications"),
          on=_SHUFFLED),
    Fault(file="swapped_correlations", family="linear_regression", variant="partial_pooling",
          wrong="of three correlations the second and the third are exchanged", caught_by=(_CONTRACT, _KNOWN),
          on=_THREE),
    Fault(file="swapped_correlations_of_log_odds", family="logistic_regression", variant="partial_pooling",
          wrong="of three correlations the second and the third are exchanged", caught_by=(_CONTRACT, _KNOWN),
          on=_THREE),
    Fault(file="theta_spread_not_square_rooted", family="grouped_normal", variant="partial_pooling",
          wrong="given its rows theta has the sd tau (1 - w)", caught_by=(_CONTRACT, _KNOWN, _SBC)),
    Fault(file="unit_spread_not_square_rooted", family="nested_normal", variant="partial_pooling",
          wrong="given its rows a unit has the sd tau_unit (1 - u)", caught_by=(_KNOWN,)),
    Fault(file="tau_of_kappa", family="beta_binomial", variant="partial_pooling",
          wrong="the sd of the rates has kappa for kappa + 1", caught_by=(_CONTRACT, _KNOWN, _SBC)),
    Fault(file="prior_of_the_other_factor", family="normal", variant="partial_pooling",
          wrong="sds of another factor have the prior of the group's", caught_by=(_DENSITY, _KNOWN)),
    Fault(file="estimates_not_weighted", family="estimates", variant="partial_pooling",
          wrong="varying coefficients are not weighted by standard errors", caught_by=(_DENSITY, _KNOWN)),
    Fault(file="unit_of_common_forgotten", family="estimates", variant="partial_pooling",
          wrong="the unit of common coefficients is left out of the density", caught_by=(_DENSITY, _KNOWN), on=_ONE),
    Fault(file="levels_of_sorted_cells", family="binomial", variant="partial_pooling",
          wrong="cells are given the levels of sorted rows", caught_by=(_DENSITY, _KNOWN)),
    Fault(file="offset_forgotten", family="poisson", variant="partial_pooling", wrong="the offset is forgotten",
          caught_by=(_DENSITY, _KNOWN)),
    Fault(file="overdispersion_not_squared", family="negative_binomial", variant="partial_pooling",
          wrong="overdispersion stands in one place where its square does", caught_by=(_DENSITY, _KNOWN)),
    Fault(file="sizes_of_trials_forgotten", family="beta_binomial_rows", variant="partial_pooling",
          wrong="what trials and overdispersion have in common is forgotten", caught_by=(_DENSITY, _KNOWN)),
    Fault(file="variance_for_variation", family="gamma", variant="partial_pooling",
          wrong="variation is taken for the variance over the squared mean", caught_by=(_DENSITY, _KNOWN)),
    Fault(file="variance_of_sampled_rows", family="normal_sampled", variant="partial_pooling",
          wrong="sigma is taken for the variance of rows", caught_by=(_DENSITY, _KNOWN)),
    Fault(file="errors_for_weights", family="estimates_sampled", variant="partial_pooling",
          wrong="cells are weighted by roots of their weights", caught_by=(_DENSITY, _KNOWN)),
    Fault(file="groups_with_sds_of_others", family="lognormal_sampled", variant="partial_pooling",
          wrong="the sd of another factor is taken for the group's", caught_by=(_DENSITY, _KNOWN)),
    Fault(file="offset_before_the_log", family="lognormal", variant="partial_pooling",
          wrong="the offset is taken off the amount in place of its log", caught_by=(_DENSITY, _KNOWN)),
    Fault(file="shares_of_the_rest", family="beta", variant="partial_pooling",
          wrong="a share is taken for what it leaves", caught_by=(_DENSITY, _KNOWN)),
    Fault(file="zeros_counted_twice", family="zero_inflated_poisson", variant="partial_pooling",
          wrong="rows of 0 are counted as extra zeros and as counts", caught_by=(_DENSITY, _KNOWN)),
    Fault(file="zeros_of_phi_one", family="zero_inflated_negative_binomial", variant="partial_pooling",
          wrong="overdispersion is left out of the exponent of the probability of 0", caught_by=(_DENSITY, _KNOWN)),
    Fault(file="thresholds_without_jacobian", family="cumulative", variant="partial_pooling",
          wrong="the prior of shares is one of thresholds without its Jacobian", caught_by=(_DENSITY, _KNOWN)),
    Fault(file="scaling_not_rooted", family="disease_mapping", variant="partial_pooling",
          wrong="structured effects are divided by the scaling factor, not its root",
          caught_by=(_DENSITY, _CONTRACT, _KNOWN)),
    Fault(file="rho_not_rooted", family="disease_mapping", variant="partial_pooling",
          wrong="the share of the variance is taken for one of the sd", caught_by=(_DENSITY, _CONTRACT, _KNOWN)),
    Fault(file="areas_in_sorted_order", family="disease_mapping", variant="partial_pooling",
          wrong="areas with a row are taken to be the first ones of the map", caught_by=(_DENSITY, _CONTRACT, _KNOWN),
          on=_LEFT),
    Fault(file="expected_without_log", family="disease_mapping", variant="partial_pooling",
          wrong="expected numbers are added to the log rates as they are", caught_by=(_DENSITY, _KNOWN)),
    Fault(file="spread_of_areas_not_squared", family="disease_mapping", variant="partial_pooling",
          wrong="overdispersion is taken for its square", caught_by=(_DENSITY, _KNOWN), on=_SPREAD),
    Fault(file="log_lik_without_spread", family="disease_mapping", variant="partial_pooling",
          wrong="log_lik is of Poisson counts, whatever spreads more", caught_by=("pointwise",), on=_SPREAD),
    Fault(file="replicated_without_spread", family="disease_mapping", variant="partial_pooling",
          wrong="replicated counts are Poisson counts, whatever spreads more", caught_by=("replications",),
          on=_SPREAD),
    Fault(file="unseen_about_their_mean", family="missing_outcomes", variant="partial_pooling",
          wrong="an unseen outcome is put at its mean: its sd is not in the probit", caught_by=(_DENSITY, _KNOWN)),
    Fault(file="selection_of_all_rows", family="missing_outcomes", variant="partial_pooling",
          wrong="delta is taken to be of all rows, not of those that are named",
          caught_by=(_DENSITY, "pointwise", "replications", _KNOWN)),
    Fault(file="unseen_rows_in_order", family="missing_outcomes", variant="partial_pooling",
          wrong="unseen rows are taken to belong to the groups of the first seen ones", caught_by=(_DENSITY, _KNOWN)),
    Fault(file="being_seen_left_out", family="missing_outcomes", variant="partial_pooling",
          wrong="log_lik is of the outcome alone, and not of its being seen", caught_by=("pointwise",)),
    Fault(file="replicated_as_if_all_were_seen", family="missing_outcomes", variant="partial_pooling",
          wrong="replicated rows are not known to be seen", caught_by=("replications",)),
    Fault(file="shapes_exchanged", family="event_population", variant="partial_pooling",
          wrong="alpha and beta are exchanged", caught_by=(_DENSITY, _KNOWN)),
    Fault(file="selection_forgotten", family="event_population", variant="partial_pooling",
          wrong="the share of the population that is seen is left out", caught_by=(_DENSITY, _KNOWN)),
    Fault(file="seen_share_once", family="event_population", variant="partial_pooling",
          wrong="the share of the population that is seen counts once, not for each event",
          caught_by=(_DENSITY, _KNOWN)),
    Fault(file="event_nodes_early", family="event_population", variant="partial_pooling",
          wrong="the nodes of an event begin one too early", caught_by=(_DENSITY,)),
    Fault(file="specificity_for_sensitivity", family="joint_infection", variant="partial_pooling",
          wrong="sensitivity and specificity are swapped", caught_by=(_DENSITY, "pointwise", "replications", _KNOWN)),
    Fault(file="no_stream_missing", family="joint_infection", variant="partial_pooling",
          wrong="rows are counted as if every village had every stream",
          caught_by=(_DENSITY, "pointwise", "replications", _KNOWN)),
    Fault(file="village_after", family="joint_infection", variant="partial_pooling",
          wrong="each row has the intensity of the next village",
          caught_by=(_DENSITY, "pointwise", "replications", _KNOWN)),
    Fault(file="overdispersion_for_size", family="joint_infection", variant="partial_pooling",
          wrong="the square of the overdispersion is taken for the size of the counts",
          caught_by=(_DENSITY, "pointwise", "replications", _KNOWN)),
    Fault(file="slopes_of_streams_forgotten", family="joint_infection", variant="partial_pooling",
          wrong="all streams rise with the intensity alike", caught_by=(_DENSITY, "pointwise", "replications", _KNOWN)),
    Fault(file="length_scale_squared_twice", family="gp_integral", variant="partial_pooling",
          wrong="the length scale is squared before the kernel squares it", caught_by=(_DENSITY, _CONTRACT, _KNOWN)),
    Fault(file="noise_forgotten", family="gp_integral", variant="partial_pooling",
          wrong="estimates are taken to have next to no error", caught_by=(_DENSITY, _KNOWN)),
    Fault(file="mean_not_integrated", family="gp_integral", variant="partial_pooling",
          wrong="the integral of the mean function is left out of that of a curve", caught_by=(_CONTRACT, _KNOWN)),
    Fault(file="one_end_of_the_interval", family="gp_integral", variant="complete_pooling",
          wrong="a curve is integrated up to each point, and not on to the upper limit", caught_by=(_KNOWN,)),
    Fault(file="amplitude_not_squared", family="gp_integral", variant="no_pooling",
          wrong="the covariance with the integral has the amplitude and not its square", caught_by=(_CONTRACT, _KNOWN)),
    Fault(file="sd_for_scale", family="student_t", variant="partial_pooling", wrong="sigma is taken for the sd of rows",
          caught_by=(_DENSITY, _KNOWN)),
)  # fmt: skip
FAULTS: dict[str, Fault] = {fault.file: fault for fault in _ALL}
