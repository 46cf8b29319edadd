"""How often is the predictive check wrong about rows of each likelihood? ``nice python tests/tools/row_misfit.py``.

Data sets are simulated from known values, fitted with partial pooling and default priors on stanli (one chain of 500
draws), and checked. On data of the right model a failed check, or a warning, is a false alarm; on data of a wrong one,
a failed check is what is wanted: rows with 2, 3 and 5 times the variance (negative binomial, beta-binomial), and a
fifth of the rows set to 0. Printed are the shares of data sets, in per cent.

``python tests/tools/row_misfit.py counts trials`` takes the kinds of rows whose names hold one of these words;
``--formulas`` those of formulas alone. ``HBM_ROW_SETS=20`` data sets a line (200 unless told, a quarter as many of
wrong models). The seed was fixed before the first run.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from row_tables import answers

from hbm_stan.attempts import fit
from hbm_stan.data import Dataset
from hbm_stan.engines import Sampling
from hbm_stan.replicate import predictive_check
from hbm_stan.store import FitRecord, FitStore

SEED = 20261128
SAMPLING = Sampling(chains=1, warmup=300, draws=500, seed=SEED)
# Most groups are of several rows and of unequal size.
MOST_GROUPS, MOST_ROWS = 15, 12
# Spread between groups: sd of log rates and of log odds.
SPREAD = 0.5
INFLATED = 0.2

_Rng = np.random.Generator
_Frame = pd.DataFrame


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of rows: family, variant, roles of columns, and a simulator of (rng, times the variance, share of 0).

    ``wrong`` are the names of the faults that can be simulated in it.
    """

    name: str
    family: str
    variant: str
    roles: dict[str, str | list[str]]
    simulate: Callable[[_Rng, float, float], _Frame]
    wrong: tuple[str, ...] = ("2 times the variance", "5 times the variance", "20 % zeros")


def groups(rng: _Rng, single: bool) -> np.ndarray:
    """The group of each row, in no order."""
    n = int(rng.integers(6, MOST_GROUPS, endpoint=True))
    sizes = np.ones(n, dtype=int) if single else rng.integers(1, MOST_ROWS, n, endpoint=True)
    return rng.permutation(np.repeat(np.arange(n), sizes))


def labels(group: np.ndarray) -> list[str]:
    return [f"group {j + 1:02d}" for j in group]


def counts(rng: _Rng, times: float, zeros: float, *, exposed: bool = False, single: bool = False) -> _Frame:
    """Counts about 1 to 10 a row; with ``times`` the variance, negative binomial with the same mean."""
    group = groups(rng, single)
    exposure = rng.lognormal(0, 0.8, group.size) if exposed else np.ones(group.size)
    level = rng.uniform(np.log(1), np.log(10))
    mean = np.exp(level + SPREAD * rng.normal(size=group.max() + 1))[group] * exposure
    rate = mean if times == 1 else rng.gamma(mean / (times - 1), times - 1)
    y = rng.poisson(rate) * (rng.uniform(size=group.size) >= zeros)
    return pd.DataFrame({"g": labels(group), "y": y, "e": exposure})


def many_counts(rng: _Rng, times: float, _zeros: float) -> _Frame:
    """Two hundred counts about 1 to 10 in 10 groups, with a predictor; with ``times`` the variance."""
    group, x = rng.permutation(np.repeat(np.arange(10), 20)), rng.normal(size=200)
    mean = np.exp(rng.uniform(np.log(1), np.log(10)) + SPREAD * rng.normal(size=10)[group] + 0.3 * x)
    rate = mean if times == 1 else rng.gamma(mean / (times - 1), times - 1)
    return pd.DataFrame({"g": labels(group), "y": rng.poisson(rate), "x": x})


def of_formula(draw: Callable[[_Rng, np.ndarray], dict[str, np.ndarray]]) -> Callable[[_Rng, float, float], _Frame]:
    """Rows of a likelihood: ``draw`` makes the outcome from the linear predictor, a predictor and groups crossed."""

    def simulate(rng: _Rng, _times: float, _zeros: float) -> _Frame:
        group = groups(rng, False)
        item, x = rng.integers(0, 5, group.size), rng.normal(size=group.size)
        eta = rng.uniform(0, 1.5) + SPREAD * rng.normal(size=group.max() + 1)[group] + 0.3 * rng.normal(size=5)[item]
        columns = draw(rng, eta + 0.3 * x)
        return pd.DataFrame({"g": labels(group), "i": [f"i{k}" for k in item], "x": x, **columns})

    return simulate


def _share(eta: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-(eta - 0.75))))


def _of_trials(rng: _Rng, eta: np.ndarray, concentration: float) -> dict[str, np.ndarray]:
    n, p = rng.integers(5, 30, eta.size, endpoint=True), _share(eta)
    if np.isfinite(concentration):
        p = rng.beta(p * concentration, (1 - p) * concentration)
    return {"y": rng.binomial(n, p), "n": n}


def _with_zeros(y: np.ndarray, rng: _Rng) -> dict[str, np.ndarray]:
    """A fifth of the rows are extra zeros."""
    return {"y": y * (rng.uniform(size=y.size) >= INFLATED)}


def _with_errors(rng: _Rng, eta: np.ndarray) -> dict[str, np.ndarray]:
    se = rng.uniform(0.2, 1.0, eta.size)
    return {"y": rng.normal(eta, se), "s": se}


DRAWS: dict[str, tuple[str, Callable[[_Rng, np.ndarray], dict[str, np.ndarray]]]] = {
    "normal": ("y", lambda rng, eta: {"y": rng.normal(eta, 0.5)}),
    "estimates": ("y | se(s)", _with_errors),
    "binomial": ("y | trials(n)", lambda rng, eta: _of_trials(rng, eta, np.inf)),
    "poisson": ("y", lambda rng, eta: {"y": rng.poisson(np.exp(eta))}),
    "negative_binomial": ("y", lambda rng, eta: {"y": rng.poisson(np.exp(eta) * rng.gamma(2, 1 / 2, eta.size))}),
    "beta_binomial_rows": ("y | trials(n)", lambda rng, eta: _of_trials(rng, eta, 10.0)),
    "gamma": ("y", lambda rng, eta: {"y": rng.gamma(6, np.exp(eta) / 6)}),
    "lognormal": ("y", lambda rng, eta: {"y": rng.lognormal(eta, 0.5)}),
    "beta": ("y", lambda rng, eta: {"y": rng.beta(10 * _share(eta), 10 * (1 - _share(eta)))}),
    "student_t": ("y", lambda rng, eta: {"y": eta + 0.5 * rng.standard_t(4, eta.size)}),
    "cumulative": (
        "y",
        lambda rng, eta: {"y": 1 + np.searchsorted([-1, 0.2, 1.2, 2.4], eta + rng.logistic(size=eta.size))},
    ),
    "zero_inflated_poisson": ("y", lambda rng, eta: _with_zeros(rng.poisson(np.exp(eta)), rng)),
    "zero_inflated_negative_binomial": (
        "y",
        lambda rng, eta: _with_zeros(rng.poisson(np.exp(eta) * rng.gamma(2, 1 / 2, eta.size)), rng),
    ),
}


def unlike_answers(rng: _Rng, times: float, _zeros: float) -> _Frame:
    """Ratings from 1 to 5 of 12 raters; those of every other one have 2 times the latent sd, the others half of it."""
    return answers(rng, (1, 1) if times == 1 else (times**-0.5, times**0.5))


def successes(
    rng: _Rng, times: float, zeros: float, *, most: int = 30, single: bool = False, slope: float = 0.0
) -> _Frame:
    """Successes of 5 to ``most`` trials a row (of one where that is 1); with ``times`` the variance, beta-binomial."""
    group = groups(rng, single)
    n = rng.integers(5, most, group.size, endpoint=True) if most > 1 else np.ones(group.size, dtype=int)
    x = rng.integers(-5, 5, group.size, endpoint=True) / 5
    eta = rng.uniform(-1.5, 1) + SPREAD * rng.normal(size=group.max() + 1)[group] + slope * x
    p = 1 / (1 + np.exp(-eta))
    if times > 1:
        # 1 + (n - 1) rho times the binomial variance.
        size = (n - 1) / np.minimum(times - 1, 0.9 * (n - 1)) - 1
        p = rng.beta(p * size, (1 - p) * size)
    y = rng.binomial(n, p) * (rng.uniform(size=group.size) >= zeros)
    return pd.DataFrame({"g": labels(group), "y": y, "n": n, "x": x})


_COUNTS: dict[str, str | list[str]] = {"group": "g", "count": "y"}
_EXPOSED = {**_COUNTS, "exposure": "e"}
_TRIALS: dict[str, str | list[str]] = {"group": "g", "successes": "y", "trials": "n"}
_X: dict[str, str | list[str]] = {"predictors": ["x"]}
_POISSON = {"family": "gamma_poisson", "variant": "partial_pooling"}
_BETA = {"family": "beta_binomial", "variant": "partial_pooling"}
_LOGISTIC = {"family": "logistic_regression", "variant": "partial_pooling_by_term"}
KINDS = (
    Kind(name="counts", **_POISSON, roles=_COUNTS, simulate=counts),
    Kind(name="counts with exposure", **_POISSON, roles=_EXPOSED, simulate=lambda *a: counts(*a, exposed=True)),
    Kind(name="counts with exposure, one row a group", **_POISSON, roles=_EXPOSED,
         simulate=lambda *a: counts(*a, exposed=True, single=True), wrong=()),
    Kind(name="trials", **_BETA, roles=_TRIALS, simulate=successes),
    Kind(name="trials, one row a group", **_BETA, roles=_TRIALS, simulate=lambda *a: successes(*a, single=True),
         wrong=()),
    Kind(name="0/1", **_BETA, roles=_TRIALS, simulate=lambda *a: successes(*a, most=1), wrong=()),
    Kind(name="trials", **_LOGISTIC, roles=_TRIALS, simulate=successes),
    Kind(name="trials with a predictor", **_LOGISTIC, roles=_TRIALS | _X,
         simulate=lambda *a: successes(*a, slope=0.8)),
    Kind(name="0/1 with a predictor", **_LOGISTIC, roles={"group": "g", "outcome": "y"} | _X,
         simulate=lambda *a: successes(*a, most=1, slope=0.8), wrong=()),
    Kind(name="200 counts with a predictor", family="poisson", variant="partial_pooling",
         roles={"formula": "y ~ x + (1 | g)"}, simulate=many_counts, wrong=("3 times the variance",)),
    Kind(name="ratings by 12 raters", family="cumulative", variant="partial_pooling",
         roles={"formula": "y ~ 1 + (1 | rater)"}, simulate=unlike_answers,
         wrong=("4 times the variance in every other rater",)),
    *(
        Kind(name="two crossed factors", family=name, variant="partial_pooling",
             roles={"formula": f"{left} ~ x + (1 | g) + (1 | i)"}, simulate=of_formula(draw), wrong=())
        for name, (left, draw) in DRAWS.items()
    ),
)  # fmt: skip
FAULTS = {
    "2 times the variance": (2.0, 0.0), "3 times the variance": (3.0, 0.0), "5 times the variance": (5.0, 0.0),
    "20 % zeros": (1.0, INFLATED), "4 times the variance in every other rater": (2.0, 0.0),
}  # fmt: skip


class _Nowhere(FitStore):
    """A store that keeps nothing: writing a fit takes longer than sampling it."""

    def write(self, variant: str, stored: FitRecord) -> None:
        """Forget the fit."""


def statuses(kind: Kind, times: float, zeros: float, sets: int) -> list[str]:
    """The status of the predictive check on each data set."""
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        for k in range(sets):
            rng = np.random.default_rng([SEED, k, *f"{kind.name} {kind.family}".encode()])
            data = Dataset.from_frame(kind.simulate(rng, times, zeros), **kind.roles)
            row_fit = fit(
                kind.family, data, kind.variant, sampling=SAMPLING, engine="stanli", store=_Nowhere(Path(folder))
            )
            outcomes.append(predictive_check(row_fit).verdict.status)
    return outcomes


def share(outcomes: Sequence[str], status: str) -> str:
    return f"{100 * outcomes.count(status) / len(outcomes):.1f} %"


def main() -> None:
    """Print the table, a line at a time."""
    sets = int(os.environ.get("HBM_ROW_SETS", "200"))
    words = [word for word in sys.argv[1:] if word != "--formulas"]
    asked = [kind for kind in KINDS if not words or any(word in f"{kind.name}, {kind.family}" for word in words)]
    asked = [kind for kind in asked if "--formulas" not in sys.argv or "formula" in kind.roles]
    print("| rows | family | data | sets | failed | warning |\n|---|---|---|---|---|---|", flush=True)
    lines = [(kind, "right", (1.0, 0.0)) for kind in asked]
    lines += [(kind, what, fault) for kind in asked for what, fault in FAULTS.items() if what in kind.wrong]
    for kind, what, (times, zeros) in lines:
        outcomes = statuses(kind, times, zeros, sets if what == "right" else max(sets // 4, 1))
        line = (kind.name, kind.family, what, str(len(outcomes)), share(outcomes, "fail"), share(outcomes, "warn"))
        print("| " + " | ".join(line) + " |", flush=True)


if __name__ == "__main__":
    main()
