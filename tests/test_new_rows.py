"""Prediction of rows: expected values by hand, levels never seen by quadrature, rows read as the fit's own were."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from formula_data import dense_covariance, dense_mean, eta_row_by_row
from row_fits import LEFT, N, frame, random_fit
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm

from hbm_stan.attempts import fit
from hbm_stan.data import Dataset
from hbm_stan.engines import Engine, Sampling
from hbm_stan.families.terms.effects import terms_of
from hbm_stan.fit import Fit
from hbm_stan.named import NamedTree
from hbm_stan.new_rows.predict import predict
from hbm_stan.reading import make_reading

ARM = {"levels": {"arm": ["placebo", "drug", "both"]}}
# Monte Carlo errors that are allowed: a family error of 1e-3 over 500 comparisons in this file.
MCSES = norm.isf(1e-3 / (2 * 500))


def shares(eta: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """The share of each category, (N, K), by its cumulative definition."""
    below = np.column_stack([np.zeros(len(eta)), expit(thresholds - eta[:, None]), np.ones(len(eta))])
    return np.diff(below, axis=1)


# The expected value of rows at one draw, from the definition of each likelihood: (eta, data, draw).
EXPECTED: dict[str, Callable[[np.ndarray, Any, Any], np.ndarray]] = {
    "normal": lambda eta, _d, _p: eta,
    "normal_sampled": lambda eta, _d, _p: eta,
    "student_t": lambda eta, _d, _p: eta,
    "estimates_sampled": lambda eta, _d, _p: eta,
    "lognormal_sampled": lambda eta, _d, p: np.exp(eta + p["sigma"] ** 2 / 2),
    "estimates": lambda eta, _d, _p: eta,
    "lognormal": lambda eta, _d, p: np.exp(eta + p["sigma"] ** 2 / 2),
    "gamma": lambda eta, _d, _p: np.exp(eta),
    "beta": lambda eta, _d, _p: 1 / (1 + np.exp(-eta)),
    "binomial": lambda eta, d, _p: d["n"] / (1 + np.exp(-eta)),
    "beta_binomial_rows": lambda eta, d, _p: d["n"] / (1 + np.exp(-eta)),
    "poisson": lambda eta, d, _p: d["hours"] * np.exp(eta),
    "negative_binomial": lambda eta, d, _p: d["hours"] * np.exp(eta),
    "zero_inflated_poisson": lambda eta, d, p: d["hours"] * np.exp(eta) / (1 + np.exp(_zi(d, p))),
    "zero_inflated_negative_binomial": lambda eta, d, p: d["hours"] * np.exp(eta) / (1 + np.exp(_zi(d, p))),
    "cumulative": lambda eta, _d, p: shares(eta, p["threshold"]),
}


def _zi(data: pd.DataFrame, draw: Any) -> np.ndarray:
    return np.asarray(draw["zi"][0] + draw["zi"][1] * (data["w"] - data["w"].mean()))


def one(fit_: Fit, s: int) -> dict[str, Any]:
    return {name: values[s] for name, values in fit_.draws().items()}


def expected_of(prediction: Any) -> np.ndarray:
    """The draws of the expected value, (S, N[, K])."""
    values = prediction.draws["expected"].values
    return np.asarray(values.reshape(-1, *values.shape[2:]))


def test_every_likelihood_has_an_expected_value_by_hand() -> None:
    from hbm_stan.likelihoods import likelihoods

    assert set(EXPECTED) == set(LEFT) == set(likelihoods())


@pytest.mark.parametrize(
    ("name", "variant"),
    [(name, "partial_pooling") for name in EXPECTED]
    + [(name, v) for name in ("normal", "cumulative") for v in ("no_pooling", "complete_pooling")],
)
def test_rows_of_known_levels_are_the_fits_own(name: str, variant: str) -> None:
    fit_, data = random_fit(name, variant=variant, size=10, **ARM), frame()
    draws = fit_.draws()
    truth = np.array([
        EXPECTED[name](eta_row_by_row(fit_.data, draws, s), data, one(fit_, s)) for s in range(fit_.n_draws)
    ])  # fmt: skip
    # In another order, with other columns beside: the coding is the fit's, whatever levels and means the rows have.
    order = np.random.default_rng(3).permutation(N)[:25]
    prediction = predict(fit_, data.iloc[order].assign(note="a").sample(frac=1, axis=1, random_state=1))
    np.testing.assert_allclose(expected_of(prediction), truth[:, order], rtol=1e-9, atol=1e-12)
    first = "share[bad]_mean" if name == "cumulative" else "expected_mean"
    of_first = truth[:, order, 0] if name == "cumulative" else truth[:, order]
    np.testing.assert_allclose(prediction.table[first], of_first.mean(axis=0), rtol=1e-9)
    alone = predict(fit_, data.iloc[order[:1]])
    np.testing.assert_allclose(expected_of(alone)[:, 0], truth[:, order[0]], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", list(EXPECTED))
def test_a_new_observation_has_the_expected_value_as_its_mean(name: str) -> None:
    fit_ = random_fit(name, "1 + (1 | g)", size=20_000, alike=True)
    fit_ = _without_spread_of_draws(fit_)
    data = frame().iloc[:4]
    prediction = predict(fit_, data)
    new = prediction.draws["new"].values.reshape(-1, 4)
    mean = expected_of(prediction).mean(axis=0)
    if name == "cumulative":
        for k in range(4):
            share = (new == k + 1).mean(axis=0)
            assert (np.abs(share - mean[:, k]) < MCSES * np.sqrt(mean[:, k] / len(new)) + 1e-9).all()
        return
    assert (np.abs(new.mean(axis=0) - mean) < MCSES * new.std(axis=0) / np.sqrt(len(new))).all()
    for statistic, value in (("mean", new.mean(axis=0)), ("sd", new.std(axis=0, ddof=1))):
        np.testing.assert_allclose(prediction.table[f"new_{statistic}"], value)
    np.testing.assert_allclose(prediction.table["new_q25"], np.quantile(new, 0.25, axis=0))


def _without_spread_of_draws(fit_: Fit) -> Fit:
    """The fit with its first draw in the place of all others; residual parameters of moderate size."""
    tree = fit_.tree.copy()
    posterior = tree["posterior"].to_dataset()
    posterior = posterior.isel(chain=[0], draw=[0]).isel(chain=[0, 0], draw=np.zeros(posterior.sizes["draw"], int))
    if "nu" in posterior:
        posterior["nu"] = posterior["nu"] * 0 + 6.0
    tree["posterior"] = posterior.assign_coords(chain=[0, 1], draw=np.arange(posterior.sizes["draw"]))
    return replace(fit_, named=NamedTree.of(tree))


def test_rows_of_one_new_level_are_correlated_as_the_model_says_and_of_others_not() -> None:
    size = 10_000
    fit_ = random_fit("normal", size=size, alike=True, **ARM)
    data = frame().iloc[[0, 1, 2, 3, 4, 5]].assign(g=["new 1", "new 1", "new 2", "new 1", "new 2", "new 1"])
    data = data.assign(unit=[1, 1, 1, 2, 1, 1], h="p")
    expected = expected_of(predict(fit_, data, group="new"))
    # The same rows as data of the fit's kind: levels of g and g:unit by label; h is known and has its own effect.
    terms = terms_of(fit_.data)
    level = np.array([[1, 1, 2, 1, 2, 1], [1, 1, 2, 3, 2, 1]])
    rows = {**fit_.data, "N": 6, "level": [level[0], level[1], np.arange(6)]}
    rows["Z"] = np.hstack([t.level.columns for t in terms])[:6]
    truth = dense_covariance(rows, fit_.draws(), 0, terms=[0, 1])
    h = fit_.draws()["effect"][:, terms[2].effects][:, :1]  # of level p, which draws know and which varies between them
    expected = expected - h * rows["Z"][:, -1]
    se = np.sqrt((np.outer(np.diag(truth), np.diag(truth)) + truth**2) / (2 * size))
    assert (np.abs(np.cov(expected.T) - truth) < MCSES * se).all()
    rows |= {"X": fit_.data["X"][:6], "offset_": fit_.data["offset_"][:6]}
    mean = dense_mean(rows, fit_.draws(), 0)
    assert (np.abs(expected.mean(axis=0) - mean) < MCSES * np.sqrt(np.diag(truth) / (2 * size))).all()
    assert truth[0, 1] > 0 == truth[0, 2]


def test_terms_and_factors_of_one_new_label_are_drawn_apart() -> None:
    size = 10_000
    fit_ = random_fit("normal", "x + (1 + x || g) + (1 | h)", size=size, alike=True)
    rows = pd.DataFrame({"g": "z", "h": ["z", "z", "u"], "x": [7.0, 13.0, 13.0]})
    expected = expected_of(predict(fit_, rows, groups={"g": "new", "h": "new"}))
    x, draws = rows["x"].to_numpy() - frame()["x"].mean(), fit_.draws()
    (intercept, slope), sd = draws["tau"][0], draws["sd"][0, 0]
    truth = intercept**2 + slope**2 * np.outer(x, x) + sd**2 * (rows["h"].to_numpy()[:, None] == rows["h"].to_numpy())
    se = np.sqrt((np.outer(np.diag(truth), np.diag(truth)) + truth**2) / (2 * size))
    assert (np.abs(np.cov(expected.T) - truth) < MCSES * se).all()


def test_a_new_level_follows_each_draws_own_population() -> None:
    fit_ = random_fit("normal", "1 + (1 | g)", size=10_000)
    draws = fit_.draws()
    eta = expected_of(predict(fit_, {"g": ["z"]}, group="new"))[:, 0]
    z = (eta - draws["beta"][:, 0]) / draws["tau"][:, 0]
    assert abs(z.mean()) < MCSES / np.sqrt(len(z))
    assert abs(z.std() - 1) < MCSES / np.sqrt(2 * len(z))


def test_a_new_level_has_the_same_draws_whatever_stands_beside_it() -> None:
    fit_ = random_fit("normal", "x + (1 + x | g) + (1 | h)", size=30)
    data = pd.DataFrame({"g": ["u", "v", "w"], "h": "p", "x": [9.0, 10.0, 12.0]})
    together = expected_of(predict(fit_, data, group="new"))
    for i, order in enumerate(([2, 0, 1], [1, 2, 0])):
        shuffled = expected_of(predict(fit_, data.iloc[order], groups={"g": "new"}))
        np.testing.assert_array_equal(shuffled, together[:, order], err_msg=str(i))
    assert not np.isclose(together[:, 0], together[:, 1]).any()
    np.testing.assert_array_equal(expected_of(predict(fit_, data.iloc[1:2], group=["v"]))[:, 0], together[:, 1])


def test_units_inside_a_new_group_are_new_and_share_its_draw() -> None:
    fit_ = random_fit("normal", "1 + (1 | g) + (1 | g:unit)", size=10_000, alike=True)
    rows = pd.DataFrame({"g": ["z", "z", "a", "a"], "unit": [1, 2, 1, "spare"]})
    expected = expected_of(predict(fit_, rows, groups={"g": ["z"], "unit": ["spare"]}))
    draws, known = fit_.draws(), fit_.table.pooled.labels.index("a")
    cov = np.cov(expected[:, :2].T)
    tau, sd = draws["tau"][0, 0], draws["sd"][0, 0]
    assert cov[0, 1] == pytest.approx(tau**2, rel=0.1)
    assert cov[0, 0] == pytest.approx(tau**2 + sd**2, rel=0.1)
    spare = expected[:, 3] - draws["theta"][:, known, 0]
    assert spare.std() == pytest.approx(sd, rel=0.05)
    assert abs(np.corrcoef(spare, expected[:, 0])[0, 1]) < 0.05


def test_the_innermost_state_counts() -> None:
    fit_ = random_fit("normal", "1 + (1 | g) + (1 | g:unit)", size=10_000, alike=True)
    rows = pd.DataFrame({"g": ["z"], "unit": [1]})
    expected = expected_of(predict(fit_, rows, groups={"g": "new", "unit": "population"}))[:, 0]
    assert expected.std() == pytest.approx(fit_.draws()["tau"][0, 0], rel=MCSES / np.sqrt(2 * len(expected)))


def test_many_rows_are_predicted_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    fit_, data = random_fit("poisson", size=10, **ARM), frame()
    whole = predict(fit_, data)
    monkeypatch.setattr("hbm_stan.new_rows.predict._AT_ONCE", 7 * fit_.n_draws)
    np.testing.assert_allclose(expected_of(predict(fit_, data)), expected_of(whole), rtol=1e-12)
    assert len(predict(fit_, data, draws=False).table) == N


@pytest.mark.parametrize("name", ["binomial", "poisson", "zero_inflated_poisson", "lognormal", "cumulative", "normal"])
def test_population_and_average_are_what_their_names_say(name: str) -> None:
    fit_, data = random_fit(name, "x + (1 + x | g) + (1 | h)", size=10), frame().iloc[:2]
    middle = expected_of(predict(fit_, data, group="population", groups={"h": "population"}))
    mean = expected_of(predict(fit_, data, at={"g": "averaged", "h": "averaged"}))
    rows = {**fit_.data, "N": 2} | {k: fit_.data[k][:2] for k in ("X", "Z", "offset_")}
    rows["level"] = fit_.data["level"][:, :2]
    full = frame()
    for s in range(3):
        eta, draw = dense_mean(rows, fit_.draws(), s), one(fit_, s)
        sd = np.sqrt(np.diag(dense_covariance(rows, fit_.draws(), s)))

        def at(u: float, i: int, k: int, eta: Any = eta, sd: Any = sd, draw: Any = draw) -> float:
            line = full["o"].to_numpy() * 0
            line[:] = eta[i] + u * sd[i]
            value = EXPECTED[name](line, full, draw)
            return float(value[i, k] if name == "cumulative" else np.asarray(value)[i])

        for i in range(2):
            for k in range(4 if name == "cumulative" else 1):
                got = (middle[s, i], mean[s, i]) if name != "cumulative" else (middle[s, i, k], mean[s, i, k])
                assert got[0] == pytest.approx(at(0.0, i, k), rel=1e-9)
                truth = quad(lambda u, i=i, k=k: norm.pdf(u) * at(u, i, k), -12, 12, limit=400, epsabs=1e-12)[0]
                assert got[1] == pytest.approx(truth, rel=1e-6)
    assert np.allclose(middle, mean) == (name == "normal")


def test_an_average_is_the_mean_over_many_new_groups() -> None:
    fit_ = random_fit("binomial", "x + (1 + x | g)", size=5_000, alike=True)
    row = frame().iloc[:1].assign(g="z")
    new = predict(fit_, row, group="new")
    mean = expected_of(predict(fit_, row, group="averaged"))[:, 0]
    values = expected_of(new)[:, 0]
    assert abs(values.mean() - mean[0]) < MCSES * values.std() / np.sqrt(len(values))
    assert mean.std() < 1e-9 < values.std()
    # A new observation of an average is one of a row in a group drawn for it alone: as spread as that of a new group.
    averaged = predict(fit_, row, group="averaged").draws["new"].values.ravel()
    assert averaged.std() == pytest.approx(new.draws["new"].values.std(), rel=0.05)


def test_nothing_moves_with_the_origin_of_a_column() -> None:
    right = "x + arm + poly(w, 2) + (1 + x + w | g) + (0 + x | h)"
    base = random_fit("binomial", right, size=10, **ARM)
    moved = random_fit("binomial", right, frame().assign(x=frame()["x"] + 1000, w=frame()["w"] - 50), size=10, **ARM)
    moved = replace(moved, named=base.named)
    data = frame().iloc[:7]
    one_, two = predict(base, data), predict(moved, data.assign(x=data["x"] + 1000, w=data["w"] - 50))
    np.testing.assert_allclose(expected_of(two), expected_of(one_), rtol=1e-7)


def test_splines_and_scaling_are_remembered_and_go_on_beyond_the_data() -> None:
    right = "bs(x, df = 4) + ns(w, df = 3) + scale(o) + (1 | g)"
    fit_, data = random_fit("normal", right, size=10), frame()
    whole = expected_of(predict(fit_, data))
    np.testing.assert_allclose(expected_of(predict(fit_, data.iloc[[4, 9]])), whole[:, [4, 9]], rtol=1e-9)
    beyond = predict(fit_, data.iloc[:1].assign(x=99.0))
    assert np.isfinite(beyond.table["expected_mean"]).all()
    (note,) = [n for n in beyond.notes if n.startswith("x: outside the data")]
    assert "99.0" in note


def test_rows_of_a_real_fit_are_its_replications_in_distribution(stanli: Engine) -> None:
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"g": np.repeat(list("abcdef"), 5), "t": np.tile(np.arange(5.0), 6)})
    data["y"] = 10 + 2 * data["t"] + np.repeat(rng.normal(0, 3, 6), 5) + rng.normal(0, 1, 30)
    dataset = Dataset.from_frame(data).read_as(make_reading(formula="y ~ t + (1 + t | g)"))
    fit_ = fit("normal", dataset, sampling=Sampling(seed=4), engine=stanli)
    prediction = predict(fit_, data)
    draws = fit_.draws()
    theta, group = draws["theta"], fit_.table.pooled.level
    t = data["t"].to_numpy() - data["t"].mean()
    np.testing.assert_allclose(expected_of(prediction), theta[:, group, 0] + theta[:, group, 1] * t, rtol=1e-9)
    y_rep = fit_.tree["posterior_predictive"]["y"].values.reshape(-1, 30)
    new = prediction.draws["new"].values.reshape(-1, 30)
    assert (np.abs(y_rep.mean(axis=0) - new.mean(axis=0)) < MCSES * y_rep.std(axis=0) * np.sqrt(2 / 1000)).all()
    np.testing.assert_allclose(y_rep.std(axis=0), new.std(axis=0), rtol=MCSES / np.sqrt(1000))
