"""Rows of families that are no formula: expected values by hand, new groups as ``new_group`` draws them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from scipy.stats import norm

from hbm_stan.attempts import fit
from hbm_stan.data import Dataset, load
from hbm_stan.engines import Engine, Sampling
from hbm_stan.errors import DataError, ModelError
from hbm_stan.fit import Fit
from hbm_stan.new_rows.contrast import contrast
from hbm_stan.new_rows.predict import predict
from hbm_stan.predict import new_group

SAMPLING = Sampling(warmup=300, draws=500, seed=11)
# Means of 2,000 draws with a quarter as many effective ones at least; 60 comparisons at a family error of 1e-3.
MCSES = norm.isf(1e-3 / (2 * 60)) * np.sqrt(2 / 500)
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "normal_means": ("eight_schools", {"group": "school", "estimate": "effect", "standard_error": "se"}),
    "grouped_normal": ("dyestuff", {"group": "batch", "outcome": "yield_g"}),
    "linear_regression": ("radon", {"group": "county", "outcome": "log_radon", "predictors": ["floor"],
                                    "group_predictors": ["log_uranium"]}),
    "beta_binomial": ("rat_tumour", {"group": "experiment", "successes": "tumours", "trials": "rats"}),
    "gamma_poisson": ("pumps", {"group": "pump", "count": "failures", "exposure": "time_1000h"}),
}  # fmt: skip


FAMILIES = (*CASES, "logistic_regression")


def users() -> Dataset:
    """Successes of five trials in twelve districts, with a predictor of 0 and 1 and a number."""
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"district": np.repeat([f"D{j}" for j in range(12)], 5), "urban": np.tile([0, 1, 0, 1, 1], 12)})
    data["age"] = rng.normal(3, 1, 60).round(2)
    eta = -0.5 + 0.8 * data["urban"] + np.repeat(rng.normal(0, 0.7, 12), 5) + 0.3 * (data["age"] - 3)
    data["use"], data["asked"] = rng.binomial(5, expit(eta)), 5
    roles = {"group": "district", "successes": "use", "trials": "asked", "predictors": ["urban", "age"]}
    return Dataset.from_frame(data, roles)


def fit_of(family: str, engine: Engine, variant: str = "partial_pooling") -> Fit:
    dataset = load(*CASES[family]) if family in CASES else users()
    return fit(family, dataset, variant, sampling=SAMPLING, engine=engine)


def expected_of(prediction: Any) -> np.ndarray:
    values = prediction.draws["expected"].values
    return np.asarray(values.reshape(-1, values.shape[2]))


def frame_of(fit_: Fit) -> pd.DataFrame:
    table = fit_.table.dataset.table
    return pd.DataFrame({name: list(cells) for name, cells in zip(table.names, table.cells, strict=True) if name})


def by_hand(fit_: Fit, rows: np.ndarray) -> np.ndarray:
    """The expected value of rows of the fit, (S, n), from its draws and data."""
    draws, data = fit_.draws(), fit_.data
    theta = draws["theta"][:, fit_.table.pooled.level[rows]]
    eta = np.einsum("nk,snk->sn", data["X"][rows], theta) if "X" in data else theta
    if fit_.family.name == "logistic_regression":
        return np.asarray(data["trials"][rows] * expit(eta))
    size = {"beta_binomial": "trials", "gamma_poisson": "exposure"}.get(fit_.family.name)
    return np.asarray(eta if size is None else eta * data[size][rows])


@pytest.mark.parametrize("family", FAMILIES)
def test_known_and_new_rows_are_what_the_family_says(family: str, stanli: Engine) -> None:
    fit_ = fit_of(family, stanli)
    data = frame_of(fit_)
    rows = np.random.default_rng(1).permutation(len(data))[:6]
    known = predict(fit_, data.iloc[rows])
    np.testing.assert_allclose(expected_of(known), by_hand(fit_, rows), rtol=1e-9)
    y_rep = fit_.tree["posterior_predictive"]["y"].values.reshape(fit_.n_draws, -1)[:, rows]
    new = known.draws["new"].values.reshape(fit_.n_draws, -1)
    assert (np.abs(new.mean(axis=0) - y_rep.mean(axis=0)) < MCSES * y_rep.std(axis=0)).all()

    column = fit_.table.dataset.column("group")
    unseen = predict(fit_, grid=f"{column} = new")
    report = new_group(fit_)
    mine, theirs = unseen.draws["new"].values.ravel(), report.draws["y_new"]
    assert abs(mine.mean() - theirs.mean()) < MCSES * theirs.std()
    assert expected_of(unseen).std() > 0
    pair = predict(fit_, pd.concat([data.iloc[rows[:1]]] * 3).assign(**{column: ["u", "u", "v"]}), group="new")
    u, again, v = expected_of(pair).T
    np.testing.assert_allclose(u, again)
    assert abs(np.corrcoef(u, v)[0, 1]) < 0.9
    assert not np.isclose(u, v).all()


def test_the_middle_and_the_average_of_log_odds(stanli: Engine) -> None:
    fit_ = fit_of("logistic_regression", stanli)
    table = predict(fit_, grid="district = population averaged, urban = 1").table
    draws = fit_.draws()
    x = np.array([1.0, 1.0, frame_of(fit_)["age"].astype(float).mean()])
    middle = expit(draws["mu"] @ x)
    assert table["expected_mean"][0] == pytest.approx(middle.mean(), rel=1e-6)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    corr = np.eye(3)[None].repeat(len(middle), 0)
    for k, (i, j) in enumerate(((1, 0), (2, 0), (2, 1))):
        corr[:, i, j] = corr[:, j, i] = draws["rho"][:, k]
    sd = np.sqrt(np.einsum("i,si,sij,sj,j->s", x, draws["tau"], corr, draws["tau"], x))
    at_nodes = expit((draws["mu"] @ x)[:, None] + sd[:, None] * nodes)
    mean, square = ((at_nodes**power @ weights).mean() / weights.sum() for power in (1, 2))
    groups = 100 * fit_.n_draws  # are drawn for it
    assert abs(table["expected_mean"][1] - mean) < MCSES * np.sqrt(500 / 2) * np.sqrt((square - mean**2) / groups)
    odds = contrast(fit_, "urban = 1 - urban = 0", scale="link", at="district = population")
    np.testing.assert_allclose(odds.draws["contrast"].values.ravel(), draws["mu"][:, 1], rtol=1e-6)
    both = contrast(fit_, "urban = 1 - urban = 0")
    assert list(both.table["district"]) == ["population", "averaged"]
    assert logit(table["expected_mean"][0]) == pytest.approx(logit(middle.mean()))


@pytest.mark.parametrize("family", list(CASES))
def test_the_middle_of_a_population_is_its_mean(family: str, stanli: Engine) -> None:
    fit_ = fit_of(family, stanli)
    column, draws = fit_.table.dataset.column("group"), fit_.draws()
    expected = expected_of(predict(fit_, grid=f"{column} = population averaged"))
    np.testing.assert_allclose(expected[:, 0], expected[:, 1], rtol=1e-9)
    mu = draws["mu"]
    if family == "linear_regression":
        u = float(np.mean(fit_.table.predictors["group_predictors"].values))
        mu = mu[:, 0] + draws["gamma"][:, 0] * u  # floor is 0 and 1: a usual row has 0
    size = {"beta_binomial": "trials", "gamma_poisson": "exposure"}.get(family)
    np.testing.assert_allclose(expected[:, 0], mu * (1 if size is None else np.median(fit_.data[size])), rtol=1e-6)


def test_predictions_of_logs_of_ratios_say_so(stanli: Engine) -> None:
    frame = pd.DataFrame({"trial": list("abcdef"), "or_": [0.7, 0.9, 0.5, 1.2, 0.8, 0.6]})
    frame["low"], frame["high"] = frame["or_"] / 1.5, frame["or_"] * 1.5
    roles = {"group": "trial", "estimate": "or_", "lower": "low", "upper": "high"}
    ratio_fit = fit("normal_means", Dataset.from_frame(frame, roles, log_scale=True), sampling=SAMPLING, engine=stanli)
    note = "Values are logs of or_: their exponentials are ratios."
    assert note in predict(ratio_fit, grid="trial = new").notes
    assert note in contrast(ratio_fit, "trial = a - trial = b").notes


def test_the_note_on_middles_names_what_was_asked(stanli: Engine) -> None:
    fit_ = fit_of("logistic_regression", stanli)
    (averaged,) = [n for n in predict(fit_, grid="district = averaged").notes if "link" in n]
    assert averaged.startswith("averaged is the mean")
    assert "population is the expected value" not in averaged
    (both,) = [n for n in predict(fit_, grid="district = population averaged").notes if "link" in n]
    assert "they differ, as the link is not linear" in both


def test_what_cannot_be_predicted_is_said(stanli: Engine) -> None:
    fit_ = fit_of("linear_regression", stanli, "complete_pooling")
    data = frame_of(fit_).iloc[:2].assign(county="Atlantis", log_uranium=[0.0, 1.0])
    with pytest.raises(DataError, match="group predictors differ between rows of the new county 'Atlantis'"):
        predict(fit_, data, group="new")
    without = replace(fit_, family=fit_.family.with_fields(mean_of_rows=None))  # as a family of a user's may be
    with pytest.raises(ModelError, match=r"linear_regression gives no mean_of_rows\(\), row_moments\(\) or"):
        predict(without, grid="county = new")
