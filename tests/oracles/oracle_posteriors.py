"""Evidence, rows and groups left out of crossed and nested models by quadrature over our own densities, no sampling.

``fits/posteriors.json`` holds exact values made apart from this project's code: coefficients by dense linear algebra,
sds by composite Gauss-Legendre on two grids, whose difference is the ``error`` beside them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from formula_data import data_of
from oracle_fits import ORACLE
from scipy.special import logsumexp
from scipy.stats import halfnorm, norm

from hbm_stan.data import Dataset
from hbm_stan.families.terms import closed_form
from hbm_stan.families.terms.effects import take_rows
from hbm_stan.formula import read_structure
from hbm_stan.likelihoods import likelihood

POSTERIORS: dict[str, dict[str, Any]] = json.loads((ORACLE / "posteriors.json").read_text())
# Nodes for each sd, by their number, and for each common coefficient, by theirs.
NODES, COEFFICIENT_NODES = {1: 100, 2: 36, 3: 20}, {1: 9, 2: 15}
# How far from its mean an sd is integrated, in posterior sds: the residual one is nearly normal, others are skewed.
BELOW, ABOVE, ABOVE_RESIDUAL = 5.0, 10.0, 7.0


@dataclass(frozen=True)
class Grid:
    """Nodes of the scales (S, d) with log weights, prior included, for one posterior and some of its rows."""

    case: dict[str, Any]
    data: dict[str, Any]

    @cached_property
    def scales(self) -> tuple[np.ndarray, np.ndarray]:
        """Gauss-Legendre in each direction, from 0 where that is near."""
        given = self.case["parameters"]
        names = [name for name in given if name.startswith(("sd", "tau"))] + ["sigma"] * ("sigma" in given)
        x, w = np.polynomial.legendre.leggauss(NODES[len(names)])
        low = [max(given[name][0] - BELOW * given[name][1], 0.0) for name in names]
        high = [given[name][0] + (ABOVE_RESIDUAL if name == "sigma" else ABOVE) * given[name][1] for name in names]
        axes = [(a + (b - a) * (x + 1) / 2, w * (b - a) / 2) for a, b in zip(low, high, strict=True)]
        points = np.stack(np.meshgrid(*[p for p, _ in axes], indexing="ij"), axis=-1).reshape(-1, len(axes))
        weights = np.stack(np.meshgrid(*[v for _, v in axes], indexing="ij"), axis=-1).reshape(-1, len(axes))
        prior = halfnorm.logpdf(points, scale=self.case["scales"]).sum(axis=1)
        return points, np.log(weights).sum(axis=1) + prior

    def draws(self, beta: np.ndarray, scales: np.ndarray) -> dict[str, Any]:
        own, both = self.data["KG"], int(sum(self.data["K"]))
        draws = {"beta": beta, "tau": scales[:, :own], "sd": scales[:, own:both], "sigma": scales[:, -1]}
        return {name: values for name, values in draws.items() if values.size}

    def log_joint(self, beta: np.ndarray, scales: np.ndarray) -> np.ndarray:
        """log p(rows, beta | scales), (S,)."""
        prior = np.array(self.case["beta"], dtype=float)
        rows = closed_form.log_marginal(likelihood(self.case["family"]), self.draws(beta, scales), self.data)
        return np.asarray(rows + norm.logpdf(beta, prior[:, 0], prior[:, 1]).sum(axis=1))

    @cached_property
    def coefficients(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean (S, P) and covariance (S, P, P) of beta given the scales and the rows: log_joint is quadratic in it."""
        start, step = (np.array(self.case["beta"], dtype=float)[:, i] for i in (0, 1))
        scales, p = self.scales[0], len(start)
        unit = np.eye(p)

        def at(moves: np.ndarray) -> np.ndarray:
            return self.log_joint(np.tile(start + moves * step, (len(scales), 1)), scales)

        middle, first, second = at(np.zeros(p)), np.empty((len(scales), p)), np.empty((len(scales), p, p))
        for i in range(p):
            up, down = at(unit[i]), at(-unit[i])
            first[:, i], second[:, i, i] = (up - down) / 2, up + down - 2 * middle
            for j in range(i):
                both = at(unit[i] + unit[j]) - up - at(unit[j]) + middle
                second[:, i, j] = second[:, j, i] = both
        covariance = np.linalg.inv(-second)
        mean = (covariance @ first[:, :, None])[:, :, 0]
        return start + step * mean, covariance * np.outer(step, step)

    @property
    def log_evidence(self) -> float:
        """log p(rows)."""
        scales, weights = self.scales
        mean, covariance = self.coefficients
        volume = (mean.shape[1] * np.log(2 * np.pi) + np.linalg.slogdet(covariance)[1]) / 2
        return float(logsumexp(weights + self.log_joint(mean, scales) + volume))

    def pieces(self) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
        """Draws and log weights of the joint posterior: Gauss-Hermite in beta about its mean at each node."""
        scales, weights = self.scales
        mean, covariance = self.coefficients
        root, p = np.linalg.cholesky(covariance), mean.shape[1]
        x, w = np.polynomial.hermite_e.hermegauss(COEFFICIENT_NODES[p])
        points = np.stack(np.meshgrid(*[x] * p, indexing="ij"), axis=-1).reshape(-1, p)
        each = np.stack(np.meshgrid(*[np.log(w) + x**2 / 2] * p, indexing="ij"), axis=-1).reshape(-1, p).sum(axis=1)
        log_root = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
        for point, log_weight in zip(points, each, strict=True):
            beta = mean + (root @ point[:, None])[:, :, 0]
            yield self.draws(beta, scales), weights + self.log_joint(beta, scales) + log_weight + log_root

    def left_out(self, name: str) -> np.ndarray:
        """log p(unit | all other rows): harmonic means over the posterior of our density of each unit given others."""
        model = likelihood(self.case["family"])
        whole, others = [], []
        for draws, weights in self.pieces():
            unit = (
                closed_form.loo_log_lik(model, draws, self.data, "")
                if name == "row"
                else closed_form.group_log_lik(model, draws, self.data)
            )
            whole.append(logsumexp(weights))
            others.append(logsumexp(weights[:, None] - unit, axis=0))
        return np.asarray(logsumexp(whole) - logsumexp(others, axis=0))


def grid_of(name: str) -> tuple[Grid, list[str]]:
    """The grid of a posterior with all its rows, and the labels of its groups."""
    case = POSTERIORS[name]
    frame = pd.read_csv(next(ORACLE.glob(f"{case['data']}.csv*")))
    dataset = Dataset.from_frame(frame, formula=case["formula"], centre=False)
    design = read_structure(dataset, known_residual=case["family"] == "estimates").design
    y = frame[case["formula"].split()[0]].to_numpy(dtype=float)
    rows = {"se": frame["se"].to_numpy(dtype=float)} if "se" in frame else {}
    return Grid(case, data_of(design, y, **rows)), list(design.pooled.labels)


def without(grid: Grid, factor: int, level: int) -> Grid:
    """The grid without the rows of a level of a term's factor."""
    return Grid(grid.case, take_rows(grid.data, np.flatnonzero(grid.data["level"][factor] != level)))
