"""Integrals of 500 simulated curves by Gaussian processes and by rules: error and coverage of 90 % intervals.

``python tests/tools/integral_rules.py [CURVES]`` prints the tables of reports/integrals.md. Curves are no draws of a
Gaussian process: a line, a bump and a wave, as dU/dlambda of a molecule that is decoupled has. A rule's interval is
that of the errors of its estimates, which is what is quoted for it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.integrate import simpson
from scipy.special import log_softmax
from scipy.stats import norm

import hbm_stan as hbm
from hbm_stan.data import Dataset
from hbm_stan.engines import Sampling
from hbm_stan.families import family as find_family
from hbm_stan.families.gp_integral.columns import trapezoid
from hbm_stan.families.gp_integral.curves import integral_given_rows
from hbm_stan.families.gp_integral.left_out import group_log_lik
from hbm_stan.fit import prepare_table
from hbm_stan.table import FloatArray

SIZES, SEED, SET = (5, 9, 15), 20261130, 10
ERRORS = ((0.4, 1.6), (0.1, 0.4))  # of the estimates, uniform, kJ/mol: short and long simulations
KERNELS = ("squared_exponential", "matern_32", "matern_52")
_Z = float(norm.isf(0.05))
_NODES = 20  # of each; with 64 every limit stays to within 0.0005


@dataclass(frozen=True)
class Curve:
    """A line, a bump and a wave over 0 to 1."""

    level: float
    rise: float
    height: float
    centre: float
    width: float
    wave: float

    def at(self, x: FloatArray) -> FloatArray:
        """Its values at points."""
        bump = self.height * np.exp(-0.5 * ((x - self.centre) / self.width) ** 2)
        return np.asarray(self.level + self.rise * (x - 0.5) + bump + self.wave * np.sin(2 * math.pi * x))

    @property
    def area(self) -> float:
        """Its integral from 0 to 1, in closed form."""
        share = norm.cdf((1 - self.centre) / self.width) - norm.cdf(-self.centre / self.width)
        return float(self.level + self.height * self.width * math.sqrt(2 * math.pi) * share)


def draw_curve(rng: np.random.Generator) -> Curve:
    """A curve as those of data/hydration_ti."""
    return Curve(
        rng.normal(22, 9), rng.normal(-30, 8), rng.normal(16, 4), rng.uniform(0.25, 0.45), rng.uniform(0.12, 0.2),
        rng.normal(0, 1.5),
    )  # fmt: skip


def dataset(sets: Mapping[str, tuple[FloatArray, FloatArray, FloatArray]], kernel: str, mean: str) -> Dataset:
    """A table of curves: points, estimates, standard errors by name."""
    parts = [pd.DataFrame({"curve": name, "x": x, "y": y, "s": s}) for name, (x, y, s) in sets.items()]
    return Dataset.from_frame(
        pd.concat(parts, ignore_index=True), group="curve", point="x", estimate="y", standard_error="s",
        integral={"lower": 0, "upper": 1, "kernel": kernel, "mean": mean},
    )  # fmt: skip


def by_quadrature(data: Dataset) -> tuple[float, float, float]:
    """Median and 90 % interval of the integral of one curve, amplitude and length scale by a grid of their logs."""
    family = find_family("gp_integral")
    table = prepare_table(family, data)
    priors = family.priors(table)
    stan = {**family.stan_data(table, priors, "no_pooling"), "use_likelihood": 1}
    scale = stan["prior_amplitude"][0]
    a, ell = (g.ravel() for g in np.meshgrid(
        scale * np.geomspace(0.01, 4, _NODES), stan["prior_length_scale"][0] * np.geomspace(0.09, 9, _NODES)
    ))  # fmt: skip
    draws = {"amplitude_group": a[:, None], "length_scale_group": ell[:, None]}
    log_weight = group_log_lik(draws, stan)[:, 0] + np.log(a) + np.log(ell)
    log_weight += priors["amplitude"].log_density(a) + priors["length_scale"].log_density(ell)
    mean, sd = (v[:, 0] for v in integral_given_rows(draws, stan))
    weight = np.exp(log_softmax(log_weight))
    return tuple(_quantile(p, weight, mean, sd) for p in (0.5, 0.05, 0.95))  # type: ignore[return-value]


def _quantile(p: float, weight: FloatArray, mean: FloatArray, sd: FloatArray) -> float:
    """A quantile of a mixture of normals by bisection."""
    low, high = float(np.min(mean - 8 * sd)), float(np.max(mean + 8 * sd))
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if float(weight @ norm.cdf(middle, mean, sd)) < p else (low, middle)
    return middle


def by_rule(weight: FloatArray, y: FloatArray, s: FloatArray) -> tuple[float, float, float]:
    """The sum of weighted estimates, and the interval of their errors."""
    middle, error = float(weight @ y), float(np.sqrt(weight**2 @ s**2))
    return middle, middle - _Z * error, middle + _Z * error


@dataclass(frozen=True)
class Measured:
    """A curve and its estimates at evenly spaced points (x, y, s), and at those of Gauss and Legendre."""

    curve: Curve
    even: tuple[FloatArray, FloatArray, FloatArray]
    gauss: tuple[FloatArray, FloatArray, FloatArray]


def measured(n: int, k: int, errors: tuple[float, float]) -> Measured:
    """The k-th curve at n points."""
    rng = np.random.default_rng([SEED, n, k])
    curve, s = draw_curve(rng), rng.uniform(*errors, size=n)
    both = np.linspace(0, 1, n), (np.polynomial.legendre.leggauss(n)[0] + 1) / 2
    even, gauss = ((x, rng.normal(curve.at(x), s), s) for x in both)
    return Measured(curve, even, gauss)


def of_curve(one: Measured) -> Iterator[tuple[str, tuple[float, float, float]]]:
    """The answers of all rules and processes for one curve."""
    x, y, s = one.even
    weights = np.polynomial.legendre.leggauss(len(x))[1] / 2
    yield "trapezoid", by_rule(trapezoid(x, (0.0, 1.0)), y, s)
    yield "Simpson", by_rule(simpson(np.eye(len(x)), x=x), y, s)
    yield "Gauss-Legendre", by_rule(weights, *one.gauss[1:])
    for kernel in KERNELS:
        yield f"process, {kernel}", by_quadrature(dataset({"A": one.even}, kernel, "linear"))
    gauss_data = dataset({"A": one.gauss}, "matern_52", "linear")
    yield "process, matern_52, at Gauss-Legendre points", by_quadrature(gauss_data)


def of_set(several: list[Measured], seed: int) -> list[tuple[float, float, float]]:
    """The answers of partial pooling for several curves together, in their order."""
    sets = {f"c{i}": one.even for i, one in enumerate(several)}
    fit = hbm.fit(
        "gp_integral", dataset(sets, "matern_52", "linear"), "partial_pooling", engine="direct",
        sampling=Sampling(draws=500, seed=seed),
    )  # fmt: skip
    q = np.quantile(fit.draws("theta")["theta"], (0.5, 0.05, 0.95), axis=0).T
    by_label = dict(zip(fit.table.pooled.labels, map(tuple, q.tolist()), strict=True))
    return [by_label[name] for name in sets]


def summary(answers: Mapping[str, list[tuple[float, float, float, float]]]) -> pd.DataFrame:
    """Error and coverage of each way: (truth, median, q05, q95) of each curve."""
    rows = []
    for name, own in answers.items():
        truth, middle, low, high = np.array(own).T
        inside = int(np.sum((low <= truth) & (truth <= high)))
        rows.append({
            "way": name, "curves": len(own), "rmse": np.sqrt(np.mean((middle - truth) ** 2)),
            "bias": np.mean(middle - truth), "width": np.mean(high - low), "inside": inside / len(own),
        })  # fmt: skip
    return pd.DataFrame(rows)


def main(n_curves: int) -> None:
    """Print a table for each range of errors and number of points."""
    for errors in ERRORS:
        for n in SIZES:
            answers: dict[str, list[tuple[float, float, float, float]]] = {}
            every = [measured(n, k, errors) for k in range(n_curves)]
            for one in every:
                for name, answer in of_curve(one):
                    answers.setdefault(name, []).append((one.curve.area, *answer))
            for start in range(0, n_curves - SET + 1, SET):
                several = every[start : start + SET]
                own, truths = of_set(several, start + 1), [one.curve.area for one in several]
                pooled = answers.setdefault(f"process, matern_52, {SET} curves pooled", [])
                pooled.extend((truth, *answer) for truth, answer in zip(truths, own, strict=True))
            print(f"\nerrors of {errors[0]:g} to {errors[1]:g}, {n} points, {n_curves} curves")
            print(summary(answers).round(3).to_string(index=False), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
