"""Rows of units in groups, and of spectra: known, new and in the middle, by hand, by moments and by quadrature."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import gamma, norm

from hbm_stan.attempts import fit
from hbm_stan.data import load
from hbm_stan.engines import Engine, Sampling
from hbm_stan.errors import DataError, ModelError
from hbm_stan.fit import Fit
from hbm_stan.new_rows import units, whole
from hbm_stan.new_rows.contrast import contrast
from hbm_stan.new_rows.predict import predict

SAMPLING = Sampling(warmup=300, draws=1000, seed=11)
# Of 4,000 draws worth 1,000 at least; 60 comparisons at a family error of 1e-3.
MCSES = norm.isf(1e-3 / (2 * 60)) / np.sqrt(1000)
PASTES = {"group": "batch", "unit": "sample", "outcome": "strength"}
SPECTRA = {"group": "spectrum", "frequency": "frequency", "flux": "flux"}
PRIORS = {"alpha": "exponential(1)", "beta": "exponential(1)", "sigma": "exponential(1)"}


def pastes(engine: Engine, variant: str = "partial_pooling") -> Fit:
    return fit("nested_normal", load("pastes", PASTES), variant, sampling=SAMPLING, engine=engine)


def spectra(engine: Engine, variant: str = "partial_pooling") -> Fit:
    return fit("planck", load("planck", SPECTRA), variant, priors=PRIORS, sampling=SAMPLING, engine=engine)


def rows_of(fit_: Fit, rows: list[int]) -> pd.DataFrame:
    table = fit_.table.dataset.table
    return pd.DataFrame({name: [table.column(name)[i] for i in rows] for name in table.names})


def draws_of(prediction: Any, name: str = "expected") -> np.ndarray:
    values = prediction.draws[name].values
    return np.asarray(values.reshape(-1, values.shape[2]))


def close(values: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Whether means of draws (S, n) are those of ``truth`` (S, n), within Monte Carlo error of both."""
    spread = np.sqrt(values.var(axis=0) + truth.var(axis=0))
    return np.asarray(np.abs(values.mean(axis=0) - truth.mean(axis=0)) < MCSES * spread)


@pytest.mark.parametrize("variant", ["partial_pooling", "no_pooling", "complete_pooling"])
def test_rows_of_known_units(variant: str, stanli: Engine) -> None:
    fit_ = pastes(stanli, variant)
    at = [41, 3, 17, 58, 4]
    prediction = predict(fit_, rows_of(fit_, at))
    draws = fit_.draws()
    unit = draws.get("theta_unit", draws["theta"][:, fit_.table.units.group])[:, fit_.table.units.unit[at]]
    np.testing.assert_allclose(draws_of(prediction), unit, rtol=1e-12)
    y_rep = fit_.tree["posterior_predictive"]["y"].values.reshape(fit_.n_draws, -1)[:, at]
    new = draws_of(prediction, "new")
    assert close(new, y_rep).all()
    assert close((new - unit) ** 2, (y_rep - unit) ** 2).all()


def test_units_that_a_program_left_out_are_drawn_given_their_rows(stanli: Engine) -> None:
    fit_ = pastes(stanli)
    posterior = fit_.named["posterior"]
    arrays = {name: a for name, a in posterior.arrays.items() if name != "theta_unit"}
    without = replace(fit_, named=fit_.named.changed(posterior=replace(posterior, arrays=arrays)))
    rows = rows_of(fit_, [0, 20, 40])
    both = [draws_of(predict(f, rows)) for f in (fit_, without)]
    assert close(*both).all()
    assert close(both[0] ** 2, both[1] ** 2).all()


def moments_of_new_units(fit_: Fit) -> dict[str, bool]:
    """Whether covariances of rows of new units and batches are what the model says, given each draw."""
    batch, unit = ["A", "A", "A", "Z", "Z", "Z", "Y"], ["u", "u", "v", "w", "w", "x", "y"]
    rows = pd.DataFrame({"batch": batch, "sample": unit})
    prediction = predict(fit_, rows, groups={"batch": ["Z", "Y"], "sample": ["u", "v", "w", "x", "y"]})
    draws, expected = fit_.draws(), draws_of(prediction)
    mean = np.column_stack([*[draws["theta"][:, 0]] * 3, *[draws["mu"]] * 4])
    away, new = expected - mean, draws_of(prediction, "new") - mean
    tau, unit_sd, sigma = (draws[name] ** 2 for name in ("tau", "tau_unit", "sigma"))
    right = {
        "the centre": close(away, np.zeros_like(away)).all(),
        "one unit": np.allclose(away[:, 0], away[:, 1]) and np.allclose(away[:, 3], away[:, 4]),
        "two units of a known batch": close(away[:, [0]] * away[:, [2]], 0 * away[:, :1]).all(),
        "a unit of a known batch": close(away[:, [0]] ** 2, unit_sd[:, None]).all(),
        "a unit of a new batch": close(away[:, [3]] ** 2, (tau + unit_sd)[:, None]).all(),
        "two units of a new batch": close(away[:, [3]] * away[:, [5]], tau[:, None]).all(),
        "two batches": close(away[:, [3]] * away[:, [6]], 0 * away[:, :1]).all(),
        "a row": close(new[:, [6]] ** 2, (tau + unit_sd + sigma)[:, None]).all(),
    }
    return {name: bool(value) for name, value in right.items()}


def test_new_units_and_batches_vary_and_correlate_as_the_model_says(
    stanli: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit_ = pastes(stanli)
    assert moments_of_new_units(fit_) == dict.fromkeys(moments_of_new_units(fit_), True)
    # Planted faults: all new units share their draw; each row has one of its own; units lie at their batch.
    rng_of_level = units.rng_of_level
    monkeypatch.setattr(units, "rng_of_level", lambda f, term, _label: rng_of_level(f, term, "one"))
    assert not moments_of_new_units(fit_)["two units of a known batch"]
    monkeypatch.setattr(units, "rng_of_level", rng_of_level)
    monkeypatch.setattr(units, "_sd", lambda _own, theta: np.zeros(theta.shape))
    assert not moments_of_new_units(fit_)["a unit of a known batch"]


def test_the_middle_of_a_batch_and_of_the_population(stanli: Engine) -> None:
    fit_ = pastes(stanli)
    draws = fit_.draws()
    grid = predict(fit_, grid="batch = population A averaged, sample = population averaged")
    expected, new = draws_of(grid), draws_of(grid, "new")
    mu, a = draws["mu"], draws["theta"][:, 0]
    np.testing.assert_allclose(expected, np.column_stack([mu, mu, a, a, mu, mu]), rtol=1e-12)
    own = [draws[name] ** 2 for name in ("tau", "tau_unit", "sigma")]
    spread = np.array([[0, 0, 1], [0, 1, 1], [0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]]) @ own
    assert close((new - expected) ** 2, spread.T).all()
    one = contrast(fit_, "batch = A - batch = B")
    np.testing.assert_allclose(one.draws["contrast"].values.ravel(), (a - draws["theta"][:, 1]), rtol=1e-9)
    shown = predict(fit_, grid="batch = new A").table
    assert list(shown["sample"]) == ["new", "population"]  # all is new in a new batch
    with pytest.raises(DataError, match=r"'u' is none of the 30 known levels|A: u"):
        predict(fit_, pd.DataFrame({"batch": ["A"], "sample": ["u"]}))
    with pytest.raises(ModelError, match="learns no population"):
        predict(pastes(stanli, "no_pooling"), grid="batch = population")


def curve(nu: np.ndarray, temperature: np.ndarray) -> np.ndarray:
    return np.asarray(nu**3 / np.expm1(nu / temperature))


@pytest.mark.parametrize("variant", ["partial_pooling", "no_pooling", "complete_pooling"])
def test_rows_of_known_spectra(variant: str, stanli: Engine) -> None:
    fit_ = spectra(stanli, variant)
    at = [300, 2, 77, 400]
    rows = rows_of(fit_, at)
    prediction = predict(fit_, rows)
    temperature = fit_.draws()["T"][:, fit_.table.pooled.level[at]]
    np.testing.assert_allclose(
        draws_of(prediction), curve(rows["frequency"].to_numpy(float), temperature), rtol=1e-9, atol=1e-12
    )
    y_rep = fit_.tree["posterior_predictive"]["y"].values.reshape(fit_.n_draws, -1)[:, at]
    assert close(draws_of(prediction, "new"), y_rep).all()
    assert close(draws_of(prediction, "new") ** 2, y_rep**2).all()


def test_new_spectra_and_averages_over_them(stanli: Engine) -> None:
    fit_ = spectra(stanli)
    draws = fit_.draws()
    rows = pd.DataFrame({"spectrum": ["u", "u", "v"], "frequency": [2.0, 6.0, 6.0]})
    first, second, third = draws_of(predict(fit_, rows, group="new")).T
    with np.errstate(divide="ignore"):  # a curve may be 0 at very low temperatures
        temperature = 2.0 / np.log1p(8.0 / first)  # of the curve at frequency 2, turned round
    seen = first > 1e-100
    np.testing.assert_allclose(second[seen], curve(6.0, temperature[seen]), rtol=1e-6, atol=1e-9)
    assert np.isclose(second[seen], third[seen]).mean() < 0.01  # two spectra, two temperatures
    # T of both is a draw from the gamma population: its distribution function is even.
    u = gamma.cdf(temperature, draws["alpha"], scale=1 / draws["beta"])
    assert np.max(np.abs(np.sort(u) - (np.arange(len(u)) + 0.5) / len(u))) < 1.95 / np.sqrt(len(u))
    prediction = predict(fit_, grid="spectrum = population averaged, frequency = 1 4")
    middle, average = draws_of(prediction)[:, :2], draws_of(prediction)[:, 2:]
    np.testing.assert_allclose(middle, curve(np.array([1.0, 4.0]), draws["mu"][:, None]), rtol=1e-9)
    u = np.linspace(-5, 5, 800)  # the trapezoidal rule over log T
    density = (
        gamma.pdf(np.exp(u), draws["alpha"][:, None], scale=1 / draws["beta"][:, None]) * np.exp(u) * (u[1] - u[0])
    )
    truth = np.stack([density @ curve(nu, np.exp(u)) for nu in (1.0, 4.0)], axis=1)
    away = average - truth  # by the groups that are drawn for each draw, which no other draw has
    assert (np.abs(away.mean(axis=0)) < norm.isf(1e-3 / 4) * away.std(axis=0) / np.sqrt(len(away))).all()
    assert any("the link is not linear" in note for note in prediction.notes)


def test_truncated_rows_lie_in_their_range_and_expected_ones_on_the_curve(stanli: Engine) -> None:
    fit_ = fit(
        "planck", load("planck", SPECTRA), "complete_pooling_truncated", priors=PRIORS,
        sampling=Sampling(warmup=200, draws=100, seed=1), engine=stanli,
    )  # fmt: skip
    prediction = predict(fit_, grid="spectrum = S01, frequency = 0.2 12")
    new = draws_of(prediction, "new")
    low, high = fit_.data["y_lower"][0], fit_.data["y_upper"][0]
    assert new.min() >= low
    assert new.max() <= high
    np.testing.assert_allclose(draws_of(prediction)[:, 0], curve(0.2, fit_.draws()["mu"]), rtol=1e-9)


def test_bad_rows_of_spectra_and_the_planted_fault_of_a_frequency_that_is_not_read(
    stanli: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit_ = spectra(stanli)
    with pytest.raises(DataError, match="there is no column 'frequency'"):
        predict(fit_, pd.DataFrame({"spectrum": ["S01"]}))
    with pytest.raises(DataError, match="column 'frequency': no value in row 1"):
        predict(fit_, pd.DataFrame({"spectrum": ["S01"], "frequency": [np.nan]}))
    (note,) = predict(fit_, grid="spectrum = S01, frequency = 40").notes
    assert "frequency: outside the data" in note
    right = draws_of(predict(fit_, grid="spectrum = S01, frequency = 2 3"))
    data_of = whole._data
    monkeypatch.setattr(whole, "_data", lambda f, r, s: {**data_of(f, r, s), "nu": np.full(len(s), 2.0)})
    assert not np.allclose(draws_of(predict(fit_, grid="spectrum = S01, frequency = 2 3")), right)
