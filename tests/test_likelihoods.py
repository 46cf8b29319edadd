"""Each likelihood against SciPy's distribution, its derivatives by differences, its draws by their moments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import polygamma

from hbm_stan.errors import ModelError
from hbm_stan.likelihoods import likelihood, likelihoods
from hbm_stan.likelihoods.coefficients import combined
from hbm_stan.likelihoods.likelihood import Likelihood
from hbm_stan.likelihoods.rising import trigamma
from hbm_stan.resources import share as place_of

ROWS: dict[str, Any] = {
    "y": np.array([0, 2, 5, 1]), "trials": np.array([1, 2, 9, 1]), "exposure": np.array([0.5, 1.0, 4.0, 2.0]),
    "se": np.array([0.5, 1.0, 0.2, 3.0]), "categories": 6, "offset_": np.zeros(4),
    "X_zi": np.array([[1.0, 0.2], [1.0, -1.1], [1.0, 0.5], [1.0, 1.4]]),
}  # fmt: skip
OWN = {
    "sigma": np.array([[0.7], [1.3], [2.0]]), "overdispersion": np.array([[0.3], [1.1], [0.02]]),
    "variation": np.array([[0.5], [1.4], [0.2]]), "spread": np.array([[0.7], [0.3], [0.1]]),
    "nu": np.array([[9.5], [12.0], [400.0]]),  # with so many the fourth power of a row has a variance
    "zi": np.array([[[-0.4, 0.3]], [[0.5, -0.2]], [[-1.5, 0.8]]]),
    "threshold": np.array([[-1.5, -0.7, 0.2, 0.9, 2.5], [-3, -1, 0, 1, 3], [0.1, 0.2, 1, 1.5, 2]])[:, None],
}  # fmt: skip
ETA = np.array([[0.3, -1.0, 2.0, 0.1], [-0.4, 0.2, 1.0, 3.0], [0.4, 0.5, -2.0, -0.2]])
DRAWS = 4_000
# Of 24 means and 24 variances the largest z is above this once in a thousand tries.
MOST = 4.3


def rows_of(density: Likelihood) -> dict[str, Any]:
    """Rows with outcomes of the kind that the likelihood takes."""
    of_kind = {"positive": ROWS["y"] + 0.3, "share": (ROWS["y"] + 0.5) / 8, "ordered": ROWS["y"] + 1}
    y = of_kind.get(density.roles[0].kind, ROWS["y"])
    return {**ROWS, "y": y}


def is_discrete(density: Likelihood) -> bool:
    return density.roles[0].kind in {"count", "ordered"}


class ExtraZeros:
    """SciPy's distribution ``counts`` with extra zeros, whose log odds are what OWN's coefficients add up to."""

    def __init__(self, counts: Any) -> None:
        log_odds = np.array([[sum(b * x for b, x in zip(zi[0], row, strict=True)) for row in ROWS["X_zi"]]
                             for zi in OWN["zi"]])  # fmt: skip
        self.counts, self.zi = counts, 1 / (1 + np.exp(-log_odds))

    def logpmf(self, y: np.ndarray) -> np.ndarray:
        return np.log(self.zi * (y == 0) + (1 - self.zi) * self.counts.pmf(y))

    def mean(self) -> np.ndarray:
        return np.asarray((1 - self.zi) * self.counts.mean())

    def var(self) -> np.ndarray:
        squares = self.counts.var() + self.counts.mean() ** 2
        return np.asarray((1 - self.zi) * squares - self.mean() ** 2)


class Cut:
    """SciPy's logistic distribution about ETA, cut at thresholds: its categories count from 1."""

    def __init__(self) -> None:
        cuts = np.broadcast_to(OWN["threshold"], (3, 4, 5))
        below = stats.logistic(ETA[..., None]).cdf(np.concatenate([cuts, np.full((3, 4, 1), np.inf)], axis=2))
        self.shares, self.number = np.diff(below, axis=2, prepend=0.0), np.arange(1, 7)

    def logpmf(self, y: np.ndarray) -> np.ndarray:
        return np.asarray(np.log(self.shares[:, np.arange(4), y - 1]))

    def mean(self) -> np.ndarray:
        return np.asarray(self.shares @ self.number)

    def var(self) -> np.ndarray:
        return np.asarray(self.shares @ self.number**2 - self.mean() ** 2)


def scipy_of(name: str) -> Any:
    """SciPy's distribution of the rows at ETA."""
    if (counts := likelihood(name).counts) is not None:
        return ExtraZeros(scipy_of(counts.name))
    if name == "cumulative":
        return Cut()
    p, phi = 1 / (1 + np.exp(-ETA)), OWN["overdispersion"] ** -2
    return {
        "normal": stats.norm(ETA, OWN["sigma"]),
        "normal_sampled": stats.norm(ETA, OWN["sigma"]),
        "lognormal_sampled": stats.lognorm(OWN["sigma"], scale=np.exp(ETA)),
        "estimates_sampled": stats.norm(ETA, ROWS["se"]),
        "estimates": stats.norm(ETA, ROWS["se"]),
        "binomial": stats.binom(ROWS["trials"], p),
        "poisson": stats.poisson(ROWS["exposure"] * np.exp(ETA)),
        "beta_binomial_rows": stats.betabinom(ROWS["trials"], p * phi, (1 - p) * phi),
        "negative_binomial": stats.nbinom(phi, phi / (phi + ROWS["exposure"] * np.exp(ETA))),
        "beta": stats.beta(p / OWN["spread"] ** 2, (1 - p) / OWN["spread"] ** 2),
        "lognormal": stats.lognorm(OWN["sigma"], scale=np.exp(ETA)),
        "gamma": stats.gamma(OWN["variation"] ** -2, scale=OWN["variation"] ** 2 * np.exp(ETA)),
        "student_t": stats.t(OWN["nu"], ETA, OWN["sigma"]),
    }[name]


def log_p_error(density: Likelihood) -> float:
    exact, rows = scipy_of(density.name), rows_of(density)
    logs = exact.logpmf(rows["y"]) if is_discrete(density) else exact.logpdf(rows["y"])
    return float(np.abs(density.log_p(ETA, rows, OWN) - logs).max())


def derivative_error(density: Likelihood) -> float:
    """Differences of the log density against the score, and of the score against the weight."""
    h, rows = 1e-4, rows_of(density)
    first = (density.kernel(ETA + h, rows, OWN) - density.kernel(ETA - h, rows, OWN)) / (2 * h)
    second = (density.score(ETA + h, rows, OWN) - density.score(ETA - h, rows, OWN)) / (2 * h)
    error = float(np.abs(density.score(ETA, rows, OWN) - first).max())
    if density.majorant is not None:  # not log-concave: the weight is what is expected of minus the second derivative
        second = expected_second(density)
    elif density.counts is not None:
        second = weight_of_counts(density, second)
    elif density.expected is density.weight:  # minus the second derivative may be below 0
        return error
    return error + float(np.abs(density.weight(ETA, rows, OWN) + second).max())


def expected_second(density: Likelihood) -> np.ndarray:
    """The second derivative of log p averaged over outcomes y ~ p, by the trapezoidal rule."""
    h, grid = 1e-3, np.sinh(np.linspace(-12, 12, 4_001))
    total = np.zeros(ETA.shape)
    for y, step in zip(grid, np.gradient(grid), strict=True):
        rows = {**ROWS, "y": ETA + y}
        up, at, down = (density.kernel(ETA + d, rows, OWN) for d in (h, 0, -h))
        total += step * np.exp(at + density.constant(ROWS)) * (up - 2 * at + down) / h**2
    return total


def weight_of_counts(density: Likelihood, second: np.ndarray) -> np.ndarray:
    """Minus the weight of a row that may be an extra zero: that of a count times the probability that it is one.

    It is never below minus the second derivative of log p, which it is where the row is known to be a count.
    """
    mixed, y = scipy_of(density.name), ROWS["y"]
    probability = (1 - mixed.zi) * mixed.counts.pmf(y) / np.exp(mixed.logpmf(y))
    assert density.counts is not None
    of_counts = -probability * density.counts.weight(ETA, ROWS, OWN)
    wrong = (of_counts > second + 1e-6) | ((y > 0) & (np.abs(of_counts - second) > 1e-5))
    return np.where(wrong, np.inf, of_counts)


def majorant_error(density: Likelihood) -> float:
    """How far the parabola that touches log p at ETA with the majorant's weight rises above log p anywhere."""
    if density.majorant is None:
        return 0.0
    at, slope, weight = (f(ETA, ROWS, OWN) for f in (density.kernel, density.score, density.majorant))
    steps = np.linspace(-30, 30, 601)[:, None, None]
    return float((at + slope * steps - weight * steps**2 / 2 - density.kernel(ETA + steps, ROWS, OWN)).max())


def row_weights_error(density: Likelihood) -> float:
    """Of a likelihood that weighs rows: the slope of log p over that of one whose slope goes on as it begins."""
    if density.row_weights is None:
        return 0.0
    near = {**ROWS, "y": ETA + 1e-6}
    straight = density.score(ETA, near, OWN) / 1e-6 * (ROWS["y"] - ETA)
    return float(np.abs(density.row_weights(ETA, ROWS, OWN) - density.score(ETA, ROWS, OWN) / straight).max())


def moments_error(density: Likelihood) -> float:
    mean, variance = density.moments(ETA, rows_of(density), OWN)
    exact = scipy_of(density.name)
    return float(np.abs(mean - exact.mean()).max() + np.abs(variance - exact.var()).max())


def simulation_error(density: Likelihood) -> float:
    """The largest z of means and variances of draws; of continuous ones, of their uniform probabilities."""
    rng, rows = np.random.default_rng(20261128), rows_of(density)
    y = np.stack([density.simulate(rng, ETA, rows, OWN) for _ in range(DRAWS)])
    mean, variance = density.moments(ETA, rows, OWN)
    if not is_discrete(density):  # few draws of a long tail decide its variance
        y, mean, variance = scipy_of(density.name).cdf(y), 0.5 + 0 * ETA, 1 / 12 + 0 * ETA
    squares = (y - mean) ** 2
    z = np.abs(y.mean(axis=0) - mean) / np.sqrt(variance / DRAWS)
    z2 = np.abs(squares.mean(axis=0) - variance) / (squares.std(axis=0) / np.sqrt(DRAWS))
    return float(max(z.max(), z2.max()))


def information_error(density: Likelihood) -> float:
    """The largest z of the mean and of the variance of the score over draws: 0, and the Fisher information."""
    rng, rows = np.random.default_rng(20261128), rows_of(density)
    seen, other = (density.weight(ETA, {**rows, "y": y}, OWN) for y in (rows["y"], rows["y"][[3, 0, 1, 2]]))
    if density.expected is None and not np.array_equal(seen, other):  # what is expected has no closed form
        return 0.0
    many = {name: np.concatenate([values] * DRAWS) if np.ndim(values) else values for name, values in rows.items()}
    scores = []
    for s, at in enumerate(ETA):
        eta, own = np.tile(at, DRAWS)[None], {name: values[s : s + 1] for name, values in OWN.items()}
        y = density.simulate(rng, eta, many, own)[0]
        scores.append(density.score(eta, {**many, "y": y}, own).reshape(DRAWS, len(at)))
    score = np.stack(scores, axis=1)
    z = np.abs(score.mean(axis=0)) / (score.std(axis=0) / np.sqrt(DRAWS))
    z2 = np.abs((score**2).mean(axis=0) - density.information(ETA, rows, OWN)) / (
        (score**2).std(axis=0) / np.sqrt(DRAWS)
    )
    return float(max(z.max(), z2.max()))


CHECKS: dict[str, tuple[Callable[[Likelihood], float], float]] = {
    "log density": (log_p_error, 1e-10),
    "derivatives": (derivative_error, 1e-4),
    "moments": (moments_error, 1e-10),
    "parabolas below": (majorant_error, 1e-12),
    "weights of rows": (row_weights_error, 1e-8),
    "draws": (simulation_error, MOST),
    "information": (information_error, MOST),
}


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", likelihoods())
def test_a_likelihood_is_what_it_says(name: str, check: str) -> None:
    error, allowed = CHECKS[check]
    assert error(likelihood(name)) < allowed


def _of(function: str, change: Callable[..., Any]) -> Callable[[Likelihood], Likelihood]:
    """The likelihood with what one of its functions gives changed."""
    return lambda density: replace(
        density,
        **{function: lambda *given: change(getattr(density, function)(*given), *given)},  # type: ignore[arg-type]
    )


def _with_own(function: str, change: Callable[[Any], Any]) -> Callable[[Likelihood], Likelihood]:
    """The likelihood with one of its functions given other own parameters, which come last."""
    return lambda density: replace(
        density,
        **{function: lambda *given: getattr(density, function)(*given[:-1], change(given[-1]))},  # type: ignore[arg-type]
    )


FAULTS: dict[str, tuple[str, str, Callable[[Likelihood], Likelihood]]] = {
    "exposure forgotten": ("poisson", "log density", _of("kernel", lambda right, eta, rows, _: (
        right + (rows["exposure"] - 1) * np.exp(eta)))),
    "sd for variance": ("normal", "moments", _of("moments", lambda right, *_: (right[0], np.sqrt(right[1])))),
    "score of the other sign": ("binomial", "derivatives", _of("score", lambda right, *_: -right)),
    "weight of one trial": ("binomial", "derivatives", _of("weight", lambda right, _, rows, __: (
        right / rows["trials"]))),
    "square of the standard error": ("estimates", "draws", lambda f: replace(
        f, simulate=lambda rng, eta, rows, own: f.simulate(rng, eta, {**rows, "se": rows["se"] ** 2}, own))),
    "dispersion upside down": ("negative_binomial", "log density", _with_own(
        "kernel", lambda own: {"overdispersion": 1 / own["overdispersion"]})),
    "variance for sd of the rates": ("negative_binomial", "moments", _with_own(
        "moments", lambda own: {"overdispersion": own["overdispersion"] ** 2})),
    "rates of draws without their spread": ("negative_binomial", "draws", _with_own(
        "simulate", lambda own: {"overdispersion": 0.01 * own["overdispersion"]})),
    "what y says of dispersion forgotten": ("negative_binomial", "log density", _of(
        "kernel", lambda right, eta, rows, own: right - np.log1p(own["overdispersion"] ** 2) * (rows["y"] > 1))),
    "concentration for its inverse root": ("beta_binomial_rows", "log density", _with_own(
        "kernel", lambda own: {"overdispersion": own["overdispersion"] ** 2})),
    "failures of the wrong end": ("beta_binomial_rows", "derivatives", _of("score", lambda right, eta, rows, own: (
        likelihood("beta_binomial_rows").score(-eta, rows, own)))),
    "intraclass correlation without its rest": ("beta_binomial_rows", "moments", _of("moments", lambda right, *_: (
        right[0], right[1] * 1.01))),
    "variance for variation": ("gamma", "log density", _with_own(
        "kernel", lambda own: {"variation": own["variation"] ** 2})),
    "spread for its square": ("beta", "log density", _with_own(
        "kernel", lambda own: {"spread": own["spread"] ** 2})),
    "the other end of shares": ("beta", "derivatives", _of("score", lambda right, *_: -right)),
    "density of the logit": ("beta", "log density", _of("constant", lambda right, *_: 0 * right)),
    "variance without the 1": ("beta", "moments", _of("moments", lambda right, eta, _, own: (
        right[0], right[0] * (1 - right[0]) * own["spread"] ** 2))),
    "draws of twice the concentration": ("beta", "draws", _with_own(
        "simulate", lambda own: {"spread": own["spread"] / np.sqrt(2)})),
    "information of a trial": ("beta", "information", lambda f: replace(
        f, expected=lambda eta, rows, own: f.moments(eta, rows, own)[0] * (1 - f.moments(eta, rows, own)[0]))),
    "the Jacobian of logs forgotten": ("lognormal", "log density", lambda f: replace(
        f, constant=likelihood("normal").constant)),
    "median for mean": ("lognormal", "moments", _of("moments", lambda right, eta, *_: (np.exp(eta), right[1]))),
    "draws that are logs": ("lognormal", "draws", _of("simulate", lambda right, *_: np.log(right))),
    "amounts as logs": ("gamma", "log density", _of("constant", lambda right, *_: 0 * right)),
    "sd of the same size everywhere": ("gamma", "moments", _of(
        "moments", lambda right, eta, _, own: (right[0], own["variation"] ** 2 + 0 * eta))),
    "draws of the shape's inverse": ("gamma", "draws", _with_own(
        "simulate", lambda own: {"variation": 1 / own["variation"]})),
    "what is expected for what is seen": ("gamma", "derivatives", _of(
        "weight", lambda right, eta, rows, own: own["variation"] ** -2 + 0 * eta)),
    "information of amounts as seen, not as expected": (
        "gamma", "information", lambda f: replace(f, expected=f.weight)),
    "information of counts as seen, not as expected": (
        "negative_binomial", "information", lambda f: replace(f, expected=f.weight)),
    "scale squared": ("student_t", "log density", _with_own("kernel", lambda own: {**own, "sigma": own["sigma"] ** 2})),
    "normalisation that forgets nu": ("student_t", "log density", _of(
        "kernel", lambda right, eta, rows, own: right + np.log(own["nu"]) / 2)),
    "sigma for the sd of rows": ("student_t", "moments", _with_own(
        "moments", lambda own: {**own, "nu": 1e9 + 0 * own["nu"]})),
    "normal information": ("student_t", "derivatives", _of(
        "weight", lambda right, _, __, own: 0 * right + own["sigma"] ** -2)),
    "draws with too many degrees of freedom": ("student_t", "draws", _with_own(
        "simulate", lambda own: {**own, "nu": 2 * own["nu"]})),
    "the curvature for a parabola below": ("student_t", "parabolas below", lambda f: replace(f, majorant=f.weight)),
    "weights of rows that go on from sigma squared": ("student_t", "weights of rows", _with_own(
        "row_weights", lambda own: {**own, "sigma": own["sigma"] ** 2})),
    "extra zeros without their complement": ("zero_inflated_poisson", "log density", _of(
        "kernel", lambda right, _, rows, own: right + (rows["y"] > 0) * np.logaddexp(0, combined("zi", rows, own)))),
    "the sign of zi": ("zero_inflated_poisson", "log density", _with_own(
        "kernel", lambda own: {**own, "zi": -own["zi"]})),
    "columns of zi sorted": ("zero_inflated_poisson", "log density", _of("kernel", lambda right, eta, rows, own: (
        likelihood("zero_inflated_poisson").kernel(eta, {**rows, "X_zi": rows["X_zi"][:, ::-1]}, own)))),
    "zeros counted in both": ("zero_inflated_poisson", "log density", _of("kernel", lambda right, eta, rows, own: (
        right + (rows["y"] == 0) * likelihood("poisson").kernel(eta, rows, own)))),
    "a row of 0 that says what a count of 0 would": ("zero_inflated_poisson", "derivatives", lambda f: replace(
        f, score=likelihood("poisson").score)),
    "a row of 0 that weighs what a count of 0 would": ("zero_inflated_poisson", "derivatives", lambda f: replace(
        f, weight=likelihood("poisson").weight)),
    "variance of the counts alone": ("zero_inflated_poisson", "moments", lambda f: replace(
        f, moments=lambda eta, rows, own: (f.moments(eta, rows, own)[0], f.moments(eta, rows, own)[0]))),
    "draws of another share": ("zero_inflated_poisson", "draws", _with_own(
        "simulate", lambda own: {**own, "zi": own["zi"] + 0.1})),
    "information of counts without extra zeros": ("zero_inflated_poisson", "information", lambda f: replace(
        f, expected=likelihood("poisson").weight)),
    "extra zeros of counts that do not spread": ("zero_inflated_negative_binomial", "log density", _of(
        "kernel", lambda right, eta, rows, own: np.where(
            rows["y"] == 0, likelihood("zero_inflated_poisson").kernel(eta, rows, own), right))),
    "overdispersion upside down beside extra zeros": ("zero_inflated_negative_binomial", "log density", _with_own(
        "kernel", lambda own: {**own, "overdispersion": 1 / own["overdispersion"]})),
    "a row of 0 that says what a Poisson one would": ("zero_inflated_negative_binomial", "derivatives", lambda f: (
        replace(f, score=likelihood("zero_inflated_poisson").score))),
    "variance of Poisson counts and extra zeros": ("zero_inflated_negative_binomial", "moments", lambda f: replace(
        f, moments=likelihood("zero_inflated_poisson").moments)),
    "draws of Poisson counts and extra zeros": ("zero_inflated_negative_binomial", "draws", lambda f: replace(
        f, simulate=likelihood("zero_inflated_poisson").simulate)),
    "information of spread counts without extra zeros": ("zero_inflated_negative_binomial", "information", lambda f: (
        replace(f, expected=likelihood("negative_binomial").expected))),
    "thresholds shifted by one": ("cumulative", "log density", _of("kernel", lambda right, eta, rows, own: (
        likelihood("cumulative").kernel(eta, {**rows, "y": np.maximum(rows["y"] - 1, 1)}, own)))),
    "eta of the other sign": ("cumulative", "log density", lambda f: replace(
        f, kernel=lambda eta, rows, own: f.kernel(-eta, rows, own))),
    "the score of the upper threshold alone": ("cumulative", "derivatives", _of("score", lambda right, eta, rows, own: (
        right - 1 / (1 + np.exp(eta - own["threshold"][:, 0, 0, None]))))),
    "the weight of one threshold": ("cumulative", "derivatives", _of("weight", lambda right, *_: right / 2)),
    "categories from 0": ("cumulative", "moments", _of("moments", lambda right, *_: (right[0] - 1, right[1]))),
    "draws of a normal variable": ("cumulative", "draws", lambda f: replace(
        f, simulate=lambda rng, eta, rows, own: f.simulate(rng, eta / 1.7, rows, {
            "threshold": own["threshold"] / 1.7}))),
    "information of categories as seen, not as expected": (
        "cumulative", "information", lambda f: replace(f, expected=f.weight)),
    "binomial coefficient forgotten": ("binomial", "log density", _of("constant", lambda right, *_: 0 * right)),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_likelihood_is_caught(fault: str) -> None:
    name, check, plant = FAULTS[fault]
    error, allowed = CHECKS[check]
    assert not error(plant(likelihood(name))) < allowed


def test_an_unknown_likelihood_names_the_nearest() -> None:
    with pytest.raises(ModelError, match="Did you mean 'poisson'"):
        likelihood("poison")


def test_large_counts_and_certain_outcomes_stay_numbers() -> None:
    eta = np.array([[800.0, -800.0]])
    rows = {"y": np.array([1, 0]), "trials": np.array([1, 1])}
    density = likelihood("binomial")
    for values in (density.log_p(eta, rows, {}), density.score(eta, rows, {}), density.weight(eta, rows, {})):
        assert np.isfinite(values).all()


def test_the_derivative_of_the_digamma_is_scipy_s() -> None:
    x = np.geomspace(1e-6, 1e9, 400)
    np.testing.assert_allclose(trigamma(x), polygamma(1, x), rtol=1e-11)


def test_dispersion_goes_to_none() -> None:
    # Counts of a million and overdispersions down to none: Poisson and binomial log densities to nine digits.
    eta, y = np.array([[13.8, 2.0, -3.0]]), np.array([1_000_000, 7, 0])
    rows = {"y": y, "exposure": np.ones(3), "trials": np.maximum(2 * y, 1)}
    for wide, plain in (("negative_binomial", "poisson"), ("beta_binomial_rows", "binomial")):
        at = np.minimum(eta, 0.1) if plain == "binomial" else eta
        limit = likelihood(plain).log_p(at, rows, {})
        for small in (1e-8, 1e-12):
            own = {"overdispersion": np.array([[small]])}
            np.testing.assert_allclose(likelihood(wide).log_p(at, rows, own), limit, rtol=1e-9, atol=1e-7)
            scores = (likelihood(name).score(at, rows, own) for name in (wide, plain))
            np.testing.assert_allclose(next(scores), next(scores), rtol=1e-5, atol=1e-3)


EXTRA = [name for name, density in likelihoods().items() if density.counts is not None]


def share(log_odds: float, n: int) -> dict[str, Any]:
    """The data and the parameter of a constant share of extra zeros."""
    return {"X_zi": np.ones((n, 1)), "zi": np.array([[[log_odds]]])}


@pytest.mark.parametrize("name", EXTRA)
def test_no_extra_zeros_are_the_counts_alone(name: str) -> None:
    density, y, own = likelihood(name), np.array([1_000_000, 7, 0, 0]), {"overdispersion": np.array([[0.4]])}
    rows = {"y": y, "exposure": np.array([1.0, 2.0, 1e-9, 3.0])}
    eta = np.array([[13.8, 2.0, -3.0, 0.5]])
    assert density.counts is not None
    for log_odds in (-40.0, -300.0, -5_000.0):
        none = share(log_odds, 4)
        own_of, rows_of = own | {"zi": none["zi"]}, rows | {"X_zi": none["X_zi"]}
        for function in ("log_p", "score", "weight", "information"):
            inflated, plain = (
                getattr(density, function)(eta, rows_of, own_of),
                getattr(density.counts, function)(eta, rows, own),
            )
            np.testing.assert_allclose(inflated, plain, rtol=1e-12, atol=1e-15, err_msg=function)


@pytest.mark.parametrize("name", EXTRA)
def test_far_shares_and_rates_stay_numbers(name: str) -> None:
    density, own = likelihood(name), {"overdispersion": np.array([[0.4]])}
    rows = {"y": np.array([0, 0, 3, 0]), "exposure": np.array([1e-12, 1.0, 1.0, 1e6]), **share(0, 4)}
    for log_odds in (-700.0, 0.0, 700.0):
        for eta in (-300.0, 0.0, 9.0):
            at, given = np.full((1, 4), eta), {**own, "zi": share(log_odds, 4)["zi"]}
            for function in (density.log_p, density.score, density.weight):
                assert np.isfinite(function(at, rows, given)).all()
            assert (density.weight(at, rows, given) > 0).all()
    # All but certainly an extra zero: a row of 0 says nothing of the rate, and its log probability is 0.
    certain = {**own, "zi": share(700.0, 4)["zi"]}
    assert density.log_p(np.zeros((1, 4)), rows, certain)[0, 1] == pytest.approx(0, abs=1e-12)
    # So many counts, or so few exposures, that only an extra zero, or any row, is 0.
    half = {**own, "zi": share(0.0, 4)["zi"]}
    assert density.log_p(np.zeros((1, 4)), rows, half)[0, [0, 3]] == pytest.approx([0, np.log(0.5)], abs=1e-4)


@pytest.mark.parametrize("name", EXTRA)
def test_rows_tell_the_share_and_what_counts_have_of_their_own(name: str) -> None:
    density, rng, n = likelihood(name), np.random.default_rng(20261129), 20_000
    x, eta = np.column_stack([np.ones(n), rng.normal(size=n)]), rng.normal(0.6, 0.5, n)
    true = {"overdispersion": np.array([[0.6]]), "zi": np.array([[[-0.5, 0.7]]])}
    rows = {"y": np.zeros(n), "exposure": rng.choice([1.0, 3.0], n), "X_zi": x}
    rows["y"] = density.simulate(rng, eta[None], rows, true)[0]
    about = density.own_about(eta, rows, n, {})
    # The share of a row that is no extra zero is known but for its zeros: sds of these estimates are below 0.04.
    np.testing.assert_allclose(about["zi"], true["zi"][0], atol=0.15)
    if density.own:
        assert about["overdispersion"][0] == pytest.approx(0.6, abs=0.1)


@pytest.mark.parametrize("variation", [1e-2, 1e-4, 1e-6])
def test_amounts_that_hardly_vary_keep_their_digits(variation: float) -> None:
    """Against the normal distribution that a gamma of so large a shape is, one term of the Edgeworth series further."""
    density, z = likelihood("gamma"), np.array([-2.0, -0.5, 0.0, 1.0, 3.0])
    rows, own = {"y": 700.0 * (1 + variation * z)}, {"variation": np.array([variation])}
    exact = stats.norm.logpdf(z) - np.log(700.0 * variation) + np.log1p(variation / 3 * (z**3 - 3 * z))
    assert np.abs(density.log_p(np.log(700.0) + np.zeros(5), rows, own) - exact).max() < 20 * variation**2 + 1e-8


@pytest.mark.parametrize(
    ("spread", "eta"), [(1e-2, 0.4), (1e-4, -9.0), (1e-4, 0.4), (1e-4, 9.0), (1e-6, -9.0), (1e-6, 0.4), (1e-6, 9.0)]
)
def test_shares_that_hardly_spread_keep_their_digits(spread: float, eta: float) -> None:
    """Against the normal distribution that a beta of so large a concentration is about its mean."""
    density, z, mean = likelihood("beta"), np.array([-2.0, -0.5, 0.0, 1.0, 3.0]), 1 / (1 + np.exp(-eta))
    sd = spread / np.sqrt(1 + spread**2) * np.exp(eta / 2) / (1 + np.exp(eta))
    skewness = (1 - 2 * mean) * sd / (mean * (1 - mean)) * 2
    rows, own = {"y": mean + sd * z}, {"spread": np.array([spread])}
    exact = stats.norm.logpdf(z) - np.log(sd) + np.log1p(skewness / 6 * (z**3 - 3 * z))
    error = np.abs(density.log_p(eta + np.zeros(5), rows, own) - exact).max()
    assert error < 20 * (skewness**2 + spread**2) + 1e-15 / sd * 20


def test_the_published_maximum_of_a_beta_regression() -> None:
    """Cribari-Neto & Zeileis (2010), Journal of Statistical Software 34(2), section 4: petrol by crude and end."""
    table = pd.read_csv(place_of("data") / "petrol" / "data.csv")
    crude = [1.72773, 1.32260, 1.57231, 1.05971, 1.13375, 1.04016, 0.54369, 0.49590, 0.38579, 0.0]
    eta = -6.15957 + 0.0109669 * table["end_point"] + table["crude"].map(dict(zip("ABCDEFGHIJ", crude, strict=True)))
    rows, own = {"y": table["share"].to_numpy()}, {"spread": np.array([1 / np.sqrt(440.28)])}
    density = likelihood("beta")
    assert float(density.log_p(eta.to_numpy(), rows, own).sum()) == pytest.approx(84.80, abs=0.005)
    gradient = density.score(eta.to_numpy(), rows, own)
    information = density.information(eta.to_numpy(), rows, own)
    for of_crude in (table["crude"] == name for name in "ABCDEFGHI"):
        assert abs(gradient[of_crude].sum()) < 0.01 * np.sqrt(information[of_crude].sum())


def test_a_row_far_away_weighs_little_and_one_at_its_mean_all() -> None:
    density, own = likelihood("student_t"), {"sigma": np.array([[2.0]]), "nu": np.array([[4.0]])}
    weights = density.row_weights(np.zeros((1, 4)), {"y": np.array([0.0, 4.0, -4.0, 2e6])}, own)  # type: ignore[misc]
    np.testing.assert_allclose(weights[0, :3], [1.0, 0.5, 0.5], rtol=1e-12)
    assert 0 < weights[0, 3] < 1e-11


def test_two_degrees_of_freedom_are_an_infinite_variance_and_so_many_are_a_normal_row() -> None:
    density, rows, eta = likelihood("student_t"), {"y": np.array([3.0])}, np.array([[1.0]])
    own = {"sigma": np.array([[1.5]]), "nu": np.array([[2.0]])}
    assert np.isinf(density.moments(eta, rows, own)[1]).all()
    assert np.isfinite(density.residual.variance(rows, own)).all()
    normal = stats.norm(1, 1.5).logpdf(3.0)
    for nu in (1e8, 1e12, 1e16):
        far = density.log_p(eta, rows, {**own, "nu": np.array([[nu]])})
        assert far[0, 0] == pytest.approx(normal, abs=1e-7)


def test_rows_tell_scale_and_degrees_of_freedom_but_for_what_is_fixed() -> None:
    density, rng = likelihood("student_t"), np.random.default_rng(20261129)
    rows = {"y": 10 + 2 * rng.standard_t(4, 20_000)}
    about = density.own_about(np.full(20_000, 10.0), rows, 20_000, {})
    assert about["nu"] == [4.0]
    # The sd of the logarithm of the scale's estimate is sqrt((nu + 3) / (2 nu n)).
    assert abs(np.log(about["sigma"][0] / 2)) < 4 * np.sqrt(7 / 8 / 20_000)
    assert density.own_about(np.full(20_000, 10.0), rows, 20_000, {"nu": np.array([3.0])})["nu"] == [3.0]
    assert np.isnan(density.own_about(np.zeros(2), {"y": np.arange(2.0)}, 0, {})["sigma"]).all()
