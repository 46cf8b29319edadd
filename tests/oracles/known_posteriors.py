"""What ``make_references.py`` writes: posteriors in closed form; ``known_quadratures``, ``known_regressions`` add more.

Where a closed form needs a known scale, its prior is log-normal with a scale of 0.001: the scale is then known to
0.1 %, which moves means by less than 1e-3 and widens sds by less than 1e-5 posterior sds.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gaussian_quadrature as gaussian
import numpy as np
import pandas as pd
from scipy import stats

ROOT = Path(__file__).parents[2]
REFERENCE = Path(__file__).parents[1] / "reference"
Reference = dict[str, Any]
Rows = dict[str, dict[str, float]]
BUILDERS: dict[str, Callable[[], Reference]] = {}
KNOWN = "Scales that the closed form takes as known have log-normal priors of scale 0.001 about their values"
OURS = "SciPy, by the quadratures of this project's tests: independent of its Stan programs and of its families"


def builds(name: str) -> Callable[[Callable[[], Reference]], Callable[[], Reference]]:
    """Registers what makes the file of that name."""

    def register(build: Callable[[], Reference]) -> Callable[[], Reference]:
        BUILDERS[name] = build
        return build

    return register


def frame(dataset: str) -> pd.DataFrame:
    """The table of a shipped data set, or of a CSV of the references."""
    return pd.read_csv(place_of(dataset))


def place_of(dataset: str) -> Path:
    """A shipped data set, or a CSV of the references (its name ends in .csv)."""
    return REFERENCE / "data" / dataset if dataset.endswith(".csv") else ROOT / "data" / dataset / "data.csv"


def data_of(dataset: str, columns: dict[str, Any], **reading: Any) -> dict[str, Any]:
    """What a file says of its data: where they are, the columns of the roles, a formula, how many rows, which bytes."""
    content = place_of(dataset).read_bytes()
    place = {"file": f"data/{dataset}"} if dataset.endswith(".csv") else {"dataset": dataset}
    known = {"rows": len(content.splitlines()) - 1, "csv_sha256": hashlib.sha256(content).hexdigest()}
    return place | {"columns": columns} | reading | known


def reference(
    title: str, kind: str, method: str, family: str, dataset: str, columns: dict[str, Any], priors: dict[str, str],
    posteriors: Sequence[tuple[Sequence[str], Rows]], source: str = OURS, sampling: dict[str, Any] | None = None,
    **reading: Any,
) -> Reference:  # fmt: skip
    extra = {"sampling": sampling} if sampling else {}
    return {
        "format": 1, "title": title, "kind": kind, "source": source, "method": method, "exact": True, "family": family,
        "data": data_of(dataset, columns, **reading), "priors": priors,
        "posteriors": [{"variants": list(v), **extra, "parameters": p} for v, p in posteriors],
    }  # fmt: skip


def known(value: float) -> str:
    """The prior of a scale that is known: its value, to 0.1 %."""
    return f"lognormal({math.log(value)!r}, 0.001)"


def of(distribution: Any) -> dict[str, float]:
    """Summary of a frozen SciPy distribution."""
    moments = {"mean": float(distribution.mean()), "sd": float(distribution.std())}
    return moments | {q: float(distribution.ppf(p)) for q, p in gaussian.QUANTILES.items()}


PARTIAL = ("partial_pooling", "partial_pooling_noncentered", "partial_pooling_centered")
SCHOOLS = {"group": "school", "estimate": "effect", "standard_error": "se"}
PLAYERS = {"group": "player", "successes": "hits", "trials": "at_bats"}
CLINICS = {"group": "clinic", "successes": "adherent", "trials": "patients"}
PUMPS = {"group": "pump", "count": "failures", "exposure": "time_1000h"}
DYESTUFF = {"group": "batch", "outcome": "yield_g"}
PASTES = {"group": "batch", "unit": "sample", "outcome": "strength"}
RADON = {"group": "county", "outcome": "log_radon", "predictors": ["floor"],
         "group_predictors": ["log_uranium", "floor_by_county"]}  # fmt: skip


def indicators(labels: pd.Series) -> tuple[list[str], np.ndarray]:
    """Labels in order of appearance, and a column for each that is 1 in its rows."""
    names = list(dict.fromkeys(labels))
    return names, (labels.to_numpy()[:, None] == np.array(names)).astype(float)


@builds("eight_schools-conjugate")
def _() -> Reference:
    given = frame("eight_schools")
    y, se, one = given["effect"].to_numpy(float), given["se"].to_numpy(float), np.eye(len(given))
    mu = gaussian.given_scales(np.ones((len(y), 1)), y, se, np.zeros(1), np.full(1, 5.0), {"mu": np.ones(1)})
    names = [f"theta[{s}]" for s in given["school"]]
    alone = dict(zip(names, one, strict=True))
    theta = gaussian.given_scales(one, y, se, np.full(len(y), 3.0), np.full(len(y), 50.0), alone)
    return reference(
        "Eight schools, complete and no pooling", "closed form", "normal mean with known variances, normal prior",
        "normal_means", "eight_schools", SCHOOLS, {"mu": "normal(0, 5)", "theta": "normal(3, 50)"},
        [(["complete_pooling"], mu), (["no_pooling"], theta)],
    )  # fmt: skip


@builds("eight_schools-known_tau")
def _() -> Reference:
    given, tau = frame("eight_schools"), 8.0
    y, se = given["effect"].to_numpy(float), given["se"].to_numpy(float)
    names, own = indicators(given["school"])
    design = np.hstack([np.ones((len(y), 1)), own])
    wanted = {"mu": np.eye(9)[0]} | {f"theta[{s}]": design[j] for j, s in enumerate(names)}
    partial = gaussian.given_scales(design, y, se, np.zeros(9), np.array([5.0] + [tau] * 8), wanted)
    return reference(
        "Eight schools, tau known", "closed form", f"all is normal given tau = {tau:g}. {KNOWN}", "normal_means",
        "eight_schools", SCHOOLS, {"mu": "normal(0, 5)", "tau": known(tau)}, [(PARTIAL, partial)],
    )  # fmt: skip


def beta_rows(given: pd.DataFrame, columns: dict[str, str], a: float, b: float) -> Rows:
    y, n = given[columns["successes"]], given[columns["trials"]]
    rows = zip(given[columns["group"]], y, n, strict=True)
    return {f"theta[{label}]": of(stats.beta(a + hits, b + trials - hits)) for label, hits, trials in rows}


@builds("baseball-conjugate")
def _() -> Reference:
    given = frame("baseball")
    hits, at_bats = given["hits"].sum(), given["at_bats"].sum()
    return reference(
        "Batters of 1970, complete and no pooling", "closed form", "beta posterior of a binomial rate",
        "beta_binomial", "baseball", PLAYERS, {"mu": "beta(2, 3)", "theta": "beta(0.5, 4)"},
        [(["complete_pooling"], {"mu": of(stats.beta(2 + hits, 3 + at_bats - hits))}),
         (["no_pooling"], beta_rows(given, PLAYERS, 0.5, 4))],
    )  # fmt: skip


@builds("clinics-beta_8_12")
def _() -> Reference:
    # 1 of 2 comes to 9/22, 50 of 100 to 58/120: without pooling, and with a population that is known.
    rates = beta_rows(frame("clinics"), CLINICS, 8, 12)
    return reference(
        "Clinics with rates from beta(8, 12)", "closed form",
        "beta posterior of a binomial rate: 1 of 2 gives 9/22, 50 of 100 gives 58/120. With partial pooling the "
        f"population is known: mu ~ beta(8e5, 12e5), kappa = 20. {KNOWN}",
        "beta_binomial", "clinics", CLINICS,
        {"theta": "beta(8, 12)", "mu": "beta(800000, 1200000)", "kappa": known(20)},
        [(["no_pooling"], rates), (["partial_pooling", "partial_pooling_centered"], rates)],
    )  # fmt: skip


@builds("pumps-conjugate")
def _() -> Reference:
    given = frame("pumps")
    y, e = given["failures"], given["time_1000h"]
    rows = list(zip(given["pump"], y, e, strict=True))
    alone = {f"theta[{label}]": of(stats.gamma(0.7 + n, scale=1 / (0.9 + t))) for label, n, t in rows}
    return reference(
        "Pumps, complete and no pooling, and a known population", "closed form",
        f"gamma posterior of a Poisson rate. With partial pooling alpha = 0.7 and beta = 0.9 are known. {KNOWN}",
        "gamma_poisson", "pumps", PUMPS,
        {"mu": "gamma(2, 1.5)", "theta": "gamma(0.7, 0.9)", "alpha": known(0.7), "beta": known(0.9)},
        [(["complete_pooling"], {"mu": of(stats.gamma(2 + y.sum(), scale=1 / (1.5 + e.sum())))}),
         (["no_pooling"], alone), (["partial_pooling", "partial_pooling_centered"], alone)],
    )  # fmt: skip


@builds("dyestuff-known_scales")
def _() -> Reference:
    given, tau, sigma = frame("dyestuff"), 40.0, 50.0
    y = given["yield_g"].to_numpy(float)
    names, own = indicators(given["batch"])
    ones, six = np.ones((len(y), 1)), np.eye(6)
    theta = {f"theta[{b}]": six[j] for j, b in enumerate(names)}
    design, size = np.hstack([ones, own]), np.array([200.0] + [tau] * 6)
    wanted = {"mu": np.eye(7)[0]} | {name: np.append(1, row) for name, row in theta.items()}
    at = np.array([1500.0])
    partial = gaussian.given_scales(design, y, sigma, np.append(at, np.zeros(6)), size, wanted)
    return reference(
        "Dyestuff, scales known", "closed form", f"all is normal given tau = {tau:g}, sigma = {sigma:g}. {KNOWN}",
        "grouped_normal", "dyestuff", DYESTUFF,
        {"mu": "normal(1500, 200)", "theta": "normal(1500, 200)", "tau": known(tau), "sigma": known(sigma),
         "sigma_group": known(sigma), "sigma_spread": known(0.001)},
        [(["complete_pooling"], gaussian.given_scales(ones, y, sigma, at, np.array([200.0]), {"mu": np.ones(1)})),
         (["no_pooling"], gaussian.given_scales(own, y, sigma, np.full(6, 1500.0), np.full(6, 200.0), theta)),
         ((*PARTIAL, "partial_pooling_sigma_by_group"), partial)],
    )  # fmt: skip


@builds("pastes-known_scales")
def _() -> Reference:
    given, tau, tau_unit, sigma = frame("pastes"), 1.5, 2.5, 0.8
    y = given["strength"].to_numpy(float)
    names, own = indicators(given["batch"])
    units, casks = indicators(given["batch"] + ": " + given["sample"])
    theta = {f"theta[{b}]": np.eye(10)[j] for j, b in enumerate(names)}
    first = [int(np.flatnonzero(column)[0]) for column in casks.T]

    def posterior(design: np.ndarray, at: np.ndarray, size: np.ndarray, wanted: dict[str, np.ndarray]) -> Rows:
        # of theta (and mu), then of every unit: the group's value and the unit's deviation
        zero = np.zeros(casks.shape[1])
        full, wide = np.hstack([design, casks]), np.append(size, zero + tau_unit)
        rows = {name: np.append(row, zero) for name, row in wanted.items()}
        rows |= {f"theta_unit[{u}]": full[i] for u, i in zip(units, first, strict=True)}
        return gaussian.given_scales(full, y, sigma, np.append(at, zero), wide, rows)

    alone = posterior(own, np.full(10, 60.0), np.full(10, 10.0), theta)
    wanted = {"mu": np.eye(11)[0]} | {name: np.append(1, row) for name, row in theta.items()}
    ones = np.ones((len(y), 1))
    partial = posterior(np.hstack([ones, own]), np.append(60.0, np.zeros(10)), np.array([10.0] + [tau] * 10), wanted)
    return reference(
        "Pastes, scales known", "closed form",
        f"all is normal given tau = {tau:g}, tau_unit = {tau_unit:g}, sigma = {sigma:g}. {KNOWN}",
        "nested_normal", "pastes", PASTES,
        {"mu": "normal(60, 10)", "theta": "normal(60, 10)", "tau": known(tau), "tau_unit": known(tau_unit),
         "sigma": known(sigma)},
        [(["no_pooling"], alone), (PARTIAL, partial)],
    )  # fmt: skip


@builds("radon-known_scales")
def _() -> Reference:
    given, tau, sigma = frame("radon_contextual.csv"), (0.15, 0.25), 0.75
    y, floor = given["log_radon"].to_numpy(float), given["floor"].to_numpy(float)
    names, own = indicators(given["county"])
    above = given[["log_uranium", "floor_by_county"]].to_numpy(float)
    first = [int(np.flatnonzero(column)[0]) for column in own.T]
    shared = np.hstack([np.ones((len(y), 1)), floor[:, None], above])
    at, size = np.array([1.0, -0.5, 0.5, 0.0]), np.array([1.0, 0.5, 1.0, 1.0])
    hyper = dict(zip(("mu[intercept]", "mu[floor]", "gamma[log_uranium]", "gamma[floor_by_county]"), np.eye(4),
                     strict=True))  # fmt: skip
    complete = gaussian.given_scales(shared, y, sigma, at, size, hyper)

    def partial(slopes: bool) -> Rows:
        effects = [own, own * floor[:, None]] if slopes else [own]
        design = np.hstack([shared, *effects])
        zero = np.zeros(len(effects) * len(names))
        scale = np.append(size, np.repeat(tau[: len(effects)], len(names)))
        wanted = {name: np.append(row, zero) for name, row in hyper.items()}
        for j, county in enumerate(names):
            unit = np.eye(len(zero))
            wanted[f"theta[{county}, intercept]"] = np.concatenate([[1, 0], above[first[j]], unit[j]])
            if slopes:
                wanted[f"theta[{county}, floor]"] = np.concatenate([[0, 1, 0, 0], unit[len(names) + j]])
        return gaussian.given_scales(design, y, sigma, np.append(at, zero), scale, wanted)

    alone: Rows = {}
    for county, mask in zip(names, own.T.astype(bool), strict=True):
        wanted = {f"theta[{county}, {term}]": row for term, row in zip(("intercept", "floor"), np.eye(2), strict=True)}
        alone |= gaussian.given_scales(shared[mask][:, :2], y[mask], sigma, at[:2], 2 * size[:2], wanted)
    return reference(
        "Radon in Minnesota, scales known", "closed form",
        f"all is normal given tau = {tau[0]:g} and {tau[1]:g}, sigma = {sigma:g} and no correlation, which is the "
        f"prior lkj(10000): sd 0.007. {KNOWN}",
        "linear_regression", "radon_contextual.csv", RADON,
        {"mu[intercept]": "normal(1, 1)", "mu[floor]": "normal(-0.5, 0.5)", "gamma[log_uranium]": "normal(0.5, 1)",
         "gamma[floor_by_county]": "normal(0, 1)", "theta[intercept]": "normal(1, 2)",
         "theta[floor]": "normal(-0.5, 1)", "tau[intercept]": known(tau[0]), "tau[floor]": known(tau[1]),
         "rho": "lkj(10000)", "sigma": known(sigma), "sigma_group": known(sigma)},
        [(["complete_pooling"], complete), (["no_pooling"], alone), (["partial_pooling_intercept"], partial(False)),
         ((*PARTIAL, "partial_pooling_by_term"), partial(True))],
        sampling={"draws": 1000, "adapt_delta": 0.9},
    )  # fmt: skip
