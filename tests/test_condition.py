"""Conditioning on new groups without a fit: against quadrature of all rows together, and against refits with them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import count_quadrature
import grouped_quadrature
import numpy as np
import pandas as pd
import pytest
import quadrature
from condition_cases import FORMULAS, NEW, ROLES, SAMPLING, fit_case, frame, parts
from scipy.stats import beta, halfnorm, lognorm, norm

from hbm_stan.attempts import fit
from hbm_stan.data import Dataset, load
from hbm_stan.engines import Engine, Sampling
from hbm_stan.errors import DataError, ModelError
from hbm_stan.fit import Fit
from hbm_stan.mixing import ess_bulk
from hbm_stan.new_rows import condition as module
from hbm_stan.new_rows.condition import Conditioned, condition
from hbm_stan.new_rows.contrast import contrast
from hbm_stan.new_rows.predict import predict
from hbm_stan.new_rows.weigh import Weights

# z of means and sds: a family error of 1e-3 over 200 comparisons in this file.
LIMIT = norm.isf(1e-3 / (2 * 200))
MANY = Sampling(warmup=500, draws=5000, seed=7)


def share(fit_: Fit, name: str) -> float:
    """Effective draws over draws of a parameter: the smallest of its elements, at most 1."""
    values = fit_.tree["posterior"][name].values
    chains = np.moveaxis(values.reshape(*values.shape[:2], -1), 2, 0)
    smallest = np.min([ess_bulk(own[None])[0] for own in chains if np.ptp(own) > 0])
    return float(min(1.0, smallest / fit_.n_draws))


def effective(fit_: Fit, given: Conditioned) -> float:
    """What the weighted draws are worth: those of the weights, less the autocorrelation of the population's chains."""
    names = [name for name in fit_.family.programs.population if name in fit_.tree["posterior"]]
    return given.effective * min(share(fit_, name) for name in names)


def zs(values: np.ndarray, worth: float, mean: float, sd: float, other: float = np.inf) -> tuple[float, float]:
    """z of the mean and of the sd of draws against the truth, or against other draws worth ``other``.

    The variance of a variance has the fourth moment, which groups from a heavy-tailed population make large.
    """
    away = values - values.mean()
    spread = float(np.sqrt(np.mean(away**4) / np.mean(away**2) ** 2 - 1)) * np.mean(away**2)
    error = np.sqrt(1 / worth + 1 / other)
    return (float(values.mean()) - mean) / (float(values.std()) * error), (values.var() - sd**2) / (spread * error)


def theta(given: Conditioned, label: str) -> np.ndarray:
    """Draws of the coefficients of a new group, (S, K)."""
    values = given.draws[given.fit.family.groups.group_quantity].sel(group=label).values[0]
    return np.asarray(values.reshape(len(values), -1))


# Closed forms and quadrature -----------------------------------------------------------------------------------------

SCHOOLS = {"group": "school", "estimate": "effect", "standard_error": "se"}
TAU, MU = ("half_normal", (10.0,)), (8.0, 25.0)


def schools(engine: Engine, variant: str = "partial_pooling") -> Fit:
    priors = {"tau": "half_normal(10)", "mu": "normal(8, 25)"}
    return fit("normal_means", load("eight_schools", SCHOOLS), variant, priors=priors, sampling=MANY, engine=engine)


def new_schools() -> pd.DataFrame:
    return pd.DataFrame({"school": ["X", "Y", "Z"], "effect": [45.0, -20.0, 10.0], "se": [9.0, 12.0, 200.0]})


def exact_schools() -> dict[str, dict[str, float]]:
    new = new_schools()
    y, se = (np.concatenate([old, new[c]]) for old, c in ((quadrature.Y, "effect"), (quadrature.SE, "se")))
    return quadrature.exact(*TAU, MU, y, se).summaries((*quadrature.LABELS, "X", "Y", "Z"))


def off(fit_: Fit, given: Conditioned, truth: dict[str, dict[str, float]]) -> float:
    """The largest z of mean and sd of new groups and of the population, against exact ones."""
    worth = effective(fit_, given)
    named = {f"theta[{label}]": theta(given, label)[:, 0] for label in given.groups["group"].unique()}
    named |= {name: v for name, v in given.fit.draws("mu", "tau").items() if name in truth}
    known = given.fit.table.pooled.labels[: fit_.table.n_groups]
    drawn = given.fit.draws("theta")["theta"]
    named |= {f"theta[{g}]": drawn[:, j] for j, g in enumerate(known) if f"theta[{g}]" in truth}
    return max(abs(z) for n, v in named.items() for z in zs(v, worth, truth[n]["mean"], truth[n]["sd"]))


def test_new_schools_are_those_of_the_quadrature_of_all(stanli: Engine) -> None:
    truth = exact_schools()
    for variant in ("partial_pooling", "partial_pooling_noncentered"):
        fit_ = schools(stanli, variant)
        given = condition(fit_, new_schools().sample(frac=1, random_state=1))
        assert off(fit_, given, truth) < LIMIT
        assert given.pareto_k < given.threshold
        for line in given.groups.to_dict("records"):
            exact = truth[f"theta[{line['group']}]"]
            for q in ("q05", "q50", "q95"):  # the density at a quantile bounds its error: 0.1 at least, of a normal
                error = np.sqrt(0.25 / effective(fit_, given)) * exact["sd"] / 0.1
                assert abs(line[q] - exact[q]) < LIMIT * error


FAULTS: dict[str, Callable[[Fit, pytest.MonkeyPatch], None]] = {
    "no weights": lambda _fit, patch: patch.setattr(
        module, "weigh", lambda log_lik, new, right=module.weigh: right(0 * log_lik, new)
    ),
    "weights that are not normalised": lambda _fit, patch: patch.setattr(
        module, "weigh", lambda log_lik, new, right=module.weigh: _halved(right(log_lik, new))
    ),
    "weights squared": lambda _fit, patch: patch.setattr(
        module, "weigh", lambda log_lik, new, right=module.weigh: right(2 * log_lik, new)
    ),
    "a prior used twice": lambda fit_, patch: patch.setattr(
        module, "weigh", lambda log_lik, new, right=module.weigh: right(_with_prior(fit_, log_lik), new)
    ),
    "rows in another order": lambda _fit, patch: patch.setattr(
        module, "rows_data", lambda f, new, right=module.rows_data: _rolled(right(f, new))
    ),
    "the population in place of the group": lambda _fit, patch: patch.setattr(module, "_given", _unread),
}  # fmt: skip


def _halved(weights: Weights) -> Weights:
    return replace(weights, of_draws=weights.of_draws / 2)


def _with_prior(fit_: Fit, log_lik: np.ndarray) -> np.ndarray:
    draws = fit_.draws("mu", "tau")
    log_prior = halfnorm.logpdf(draws["tau"], scale=10) + norm.logpdf(draws["mu"], *MU)
    return np.asarray(np.column_stack([log_lik, log_prior]))


def _rolled(data: Any) -> Any:
    return {**data, "y": np.roll(data["y"], 1)}


def _unread(fit_: Fit, _rng: Any, draws: Any, data: Any, right: Any = module._given) -> Any:
    given = right(fit_, _rng, draws, data)
    mu, tau = draws["mu"], draws["tau"]
    return replace(given, draw=lambda rng, at: {"theta": rng.normal(mu[at], tau[at], (3, len(at))).T})


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_caught_by_the_quadrature(
    fault: str, stanli: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit_ = schools(stanli)
    FAULTS[fault](fit_, monkeypatch)
    assert off(fit_, condition(fit_, new_schools()), exact_schools()) > LIMIT


def test_new_batches_are_those_of_the_quadrature_of_all(stanli: Engine) -> None:
    data = pd.read_csv(load("dyestuff").table.where)
    priors = {"mu": "normal(1500, 200)", "tau": "half_normal(80)", "sigma": "half_normal(80)"}
    roles = {"group": "batch", "outcome": "yield_g"}
    fit_ = fit("grouped_normal", Dataset.from_frame(data, roles), priors=priors, sampling=MANY, engine=stanli)
    new = pd.DataFrame({"batch": list("YXYY"), "yield_g": [1430.0, 1680.0, 1400.0, 1475.0]})
    given = condition(fit_, new)
    both = pd.concat([data, new])
    rows = grouped_quadrature.rows_of(both["yield_g"].to_numpy(float), both["batch"].to_numpy())
    prior = halfnorm(scale=80).logpdf
    truth = grouped_quadrature.exact(rows, prior, prior, (1500, 200), (1e-4, 700), (15, 250), "ABCDEFYX")
    assert off(fit_, given, truth) < LIMIT
    assert list(given.groups["rows"]) == [3, 1]


def test_new_experiments_are_those_of_the_quadrature_of_all(stanli: Engine) -> None:
    data = pd.read_csv(load("rat_tumour").table.where).head(30)
    roles = {"group": "experiment", "successes": "tumours", "trials": "rats"}
    priors = {"mu": "beta(1, 1)", "kappa": "lognormal(3, 1)"}
    fit_ = fit("beta_binomial", Dataset.from_frame(data, roles), priors=priors, sampling=MANY, engine=stanli)
    new = pd.DataFrame({"experiment": ["n1", "n2", "n2"], "tumours": [9, 1, 0], "rats": [20, 30, 4]})
    given = condition(fit_, new)
    y, n = (
        np.append(data[column].to_numpy(), [9, 1][:2] if column == "tumours" else [20, 34]) for column in roles_of()
    )
    nodes = count_quadrature.beta_binomial(
        y, n, lambda mu, kappa: beta.logpdf(mu, 1, 1) + lognorm.logpdf(kappa, 1, scale=np.exp(3))
    )
    alpha, b = nodes.values["alpha"], nodes.values["beta"]
    truth = {f"theta[n{i}]": nodes.mixture("beta", alpha + s, b + t - s) for i, s, t in ((1, 9, 20), (2, 1, 34))}
    truth |= {name: nodes.summary(name) for name in ("mu", "tau")}
    assert off(fit_, given, truth) < LIMIT


def roles_of() -> Iterator[str]:
    yield from ("tumours", "rats")


# Refits --------------------------------------------------------------------------------------------------------------


def against_refit(fit_: Fit, given: Conditioned, refit: Fit) -> float:
    """The largest z of means and sds of the coefficients of new groups against a fit with their rows."""
    quantity = refit.family.groups.group_quantity
    drawn = refit.draws(quantity)[quantity]
    worst = 0.0
    for label in given.groups["group"].unique():
        j = refit.table.pooled.labels.index(label)
        ours, theirs = theta(given, label), drawn[:, j].reshape(len(drawn), -1)
        chains = (
            refit.tree["posterior"][quantity].values[:, :, j].reshape(*refit.tree["posterior"][quantity].shape[:2], -1)
        )
        for k in range(ours.shape[1]):
            other = float(ess_bulk(chains[None, :, :, k])[0])
            z = zs(ours[:, k], effective(fit_, given), theirs[:, k].mean(), theirs[:, k].std(), min(other, len(drawn)))
            worst = max(worst, *map(abs, z))
    return worst


@pytest.mark.parametrize("case", [*ROLES, *FORMULAS])
def test_conditioning_equals_a_refit_with_the_rows(case: str, stanli: Engine) -> None:
    old, new = parts()
    fit_ = fit_case(case, stanli, old)
    given = condition(fit_, new)
    whole = pd.concat([old, new.sample(frac=1, random_state=3)], ignore_index=True)
    assert against_refit(fit_, given, fit_case(case, stanli, whole, like=fit_)) < LIMIT
    assert set(given.groups["group"]) == set(NEW)


@pytest.mark.parametrize("case", ["gamma_poisson", "poisson", "logistic_regression"])
def test_rows_in_another_order_are_caught_by_refits(case: str, stanli: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    data = frame().copy()
    one = data["g"] == "N1"
    two = data["g"] == "N2"
    data.loc[one, ["count", "n", "hits"]] = 9, 12, 11  # the two new groups differ, to be seen
    data.loc[two, ["count", "n", "hits"]] = 1, 12, 1
    old, new = parts(data)
    fit_ = fit_case(case, stanli, old)
    refit = fit_case(case, stanli, data, like=fit_)
    assert against_refit(fit_, condition(fit_, new), refit) < LIMIT
    # Planted fault: the outcome of the first row goes to the next, that of the last to the first.
    monkeypatch.setattr(module, "rows_data", lambda f, n, right=module.rows_data: _permuted(right(f, n)))
    assert against_refit(fit_, condition(fit_, new), refit) > LIMIT


def _permuted(data: Any) -> Any:
    """Outcomes of the rows turned round, and of cells where a program reads these."""
    names = [name for name in ("y", "cell_y") if name in data]
    return {**data, **{name: np.asarray(data[name])[::-1] for name in names}}


# What is predicted, in words, and refused ----------------------------------------------------------------------------


def test_predictions_know_the_new_groups_and_are_given_their_rows(stanli: Engine) -> None:
    old, new = parts()
    fit_ = fit_case("normal", stanli, old)
    rows = pd.DataFrame({"g": ["N1", "g3", "N2", "Q"], "x": [0.5, 0.5, -1.0, 0.0]})
    prediction = predict(fit_, rows, condition=new, groups={"g": ["Q"]})
    given = prediction.conditioned
    assert given is not None
    expected = prediction.draws["expected"].values[0]
    coefficients = theta(given, "N1")
    np.testing.assert_allclose(expected[:, 0], coefficients @ [1.0, 0.5], rtol=1e-9)
    assert {"theta", "expected", "new"} <= set(prediction.draws.data_vars)
    own = predict(fit_, condition=new)  # without rows those of the new groups
    assert list(own.table["g"]) == list(new["g"])
    assert len(predict(fit_, grid="g = N2 population, x = 0:2", condition=new).table) == 6
    difference = contrast(given.fit, "g = N2 - g = N1", at="x = 0")
    np.testing.assert_allclose(
        difference.draws["contrast"].values.ravel(), theta(given, "N2")[:, 0] - coefficients[:, 0], rtol=1e-9
    )
    without = predict(fit_, rows, group="", groups={"g": ["N1", "N2", "Q"]})
    assert without.table["expected_sd"][2] > prediction.table["expected_sd"][2]
    again = condition(fit_, new)
    pd.testing.assert_frame_equal(again.groups, given.groups)
    assert [line["sd"] for line in given.groups.to_dict("records")] == pytest.approx(
        [theta(given, g)[:, k].std(ddof=1) for g in given.groups["group"].unique() for k in (0, 1)]
    )


def test_units_of_a_new_group_are_known_where_its_rows_were(stanli: Engine) -> None:
    old, new = parts()
    fit_ = fit_case("nested_normal", stanli, old)
    prediction = predict(fit_, condition=new)
    expected = prediction.draws["expected"].values[0]
    same = new["unit"].to_numpy()[:, None] == new["unit"].to_numpy()
    correlation = np.corrcoef(expected.T)
    assert np.allclose(correlation[same], 1)
    assert (correlation[~same] < 0.999).all()
    # Given the batch and the scales, a unit is normal about its rows and its batch, weighed by precision.
    draws = given_of(prediction).fit.draws("tau_unit", "sigma")
    for unit, rows in new.groupby("unit"):
        mine = int(np.flatnonzero(new["unit"] == unit)[0])
        weight = draws["tau_unit"] ** 2 / (draws["tau_unit"] ** 2 + draws["sigma"] ** 2 / len(rows))
        batch = theta(given_of(prediction), str(rows["g"].iloc[0]))[:, 0]
        centre = batch + weight * (rows["by_unit"].mean() - batch)
        z = (expected[:, mine] - centre) / (draws["tau_unit"] * np.sqrt(1 - weight))
        assert abs(z.mean()) < LIMIT / np.sqrt(len(z))
        assert abs(z.std() - 1) < LIMIT / np.sqrt(2 * len(z))


def given_of(prediction: Any) -> Conditioned:
    assert prediction.conditioned is not None
    return prediction.conditioned  # type: ignore[no-any-return]


def test_a_group_without_information_is_not_determined_and_one_of_many_rows_is(stanli: Engine) -> None:
    given = condition(schools(stanli), new_schools())
    state = dict(zip(given.groups["group"], given.groups["determined"], strict=True))
    assert state["Z"] == "no"
    assert state["X"] in {"partly", "mostly", "moved"}
    (words,) = [sentence for sentence in given.sentences if " of Z:" in sentence]
    assert "not determined" in words
    assert "above 0.9 of that of a new school" in given.sentences[-1]
    assert not any("one by one" in sentence for sentence in given.sentences)
    old, new = parts()
    lines = condition(fit_case("normal", stanli, old), new).sentences
    assert lines[0].startswith("N1, intercept: ") or lines[0].startswith("N2, intercept: ")
    assert any("may be known better: look at those of the rows of a g" in line for line in lines)
    assert "Pareto k" in given.notes[0]


def test_a_group_of_many_rows_like_the_fitted_ones_needs_no_refit(stanli: Engine) -> None:
    old, _ = parts()
    fit_ = fit_case("grouped_normal", stanli, old)
    quiet = pd.DataFrame({"g": "N9", "y": np.random.default_rng(2).normal(0.4, 0.7, 500).round(3)})
    given = condition(fit_, quiet)
    refit = fit_case("grouped_normal", stanli, pd.concat([old, quiet], ignore_index=True), like=fit_)
    assert against_refit(fit_, given, refit) < LIMIT
    assert "fewer than 400" in given.notes[0]
    assert given.repaired is None


def test_weights_of_a_high_k_have_a_reason_and_equal_ones_have_none() -> None:
    from types import SimpleNamespace

    new: Any = SimpleNamespace(where="new.csv", labels=("a", "b"), rows=None)
    rng = np.random.default_rng(1)
    heavy = rng.pareto(0.8, (4000, 1))  # k is 1.25
    weights = module.weigh(np.log(np.hstack([heavy, np.ones((4000, 1))])), new)
    assert re.search(r"^the rows move .*Pareto k 1\.\d\d, allowed below 0\.70; .*from 'a'\)$", weights.failure)
    assert weights.moved == ("a",)
    assert not weights.draws_help
    few = replace(weights, pareto_k=0.2, of_draws=np.repeat([1 / 50, 0.0], [50, 3950]))
    assert "worth 50, and at least 100 are needed" in few.failure
    assert replace(weights, pareto_k=np.nan).high
    even = module.weigh(np.zeros((4000, 2)), new)
    assert even.pareto_k == -np.inf
    assert even.failure == ""
    np.testing.assert_allclose(even.of_draws, 1 / 4000)
    assert even.effective == pytest.approx(4000)
    with pytest.raises(DataError, match="no density under any draw"):
        module.weigh(np.full((100, 1), -np.inf), new)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"g": ["g3"], "x": [0.1], "count": [3], "hours": [1.0]}, "a known level of g: its rows were fitted"),
        ({"g": ["N"], "count": [3], "hours": [1.0]}, "no column 'x'"),
        ({"g": ["N"], "x": [0.1], "hours": [1.0]}, "no column 'count'"),
        ({"x": [0.1], "count": [3], "hours": [1.0]}, "no column 'g'"),
        ({"g": ["N"], "x": [np.nan], "count": [3], "hours": [1.0]}, "column 'x': no value in row 1"),
        ({"g": ["N"], "x": [0.1], "count": [np.nan], "hours": [1.0]}, "column 'count': no value in row 1"),
        ({"g": ["N"], "x": [0.1], "count": [-3], "hours": [1.0]}, "a count cannot be negative"),
        ({"g": ["N"], "x": [0.1], "count": [3], "hours": [0.0]}, "must be a number above 0"),
        ({"g": [""], "x": [0.1], "count": [3], "hours": [1.0]}, "no label in row 1"),
        ({"g": [], "x": [], "count": [], "hours": []}, "has no rows"),
    ],
)
def test_bad_rows_are_refused_by_name(rows: dict[str, Any], message: str, stanli: Engine) -> None:
    fit_ = fit_case("poisson", stanli, parts()[0])
    with pytest.raises(DataError, match=message):
        condition(fit_, pd.DataFrame(rows))


def test_bad_rows_of_other_models(stanli: Engine) -> None:
    old, new = parts()
    means = schools(stanli)
    twice = pd.DataFrame({"school": ["X", "X"], "effect": [1.0, 2.0], "se": [1.0, 1.0]})
    with pytest.raises(DataError, match="the group 'X' stands in 2 rows"):
        condition(means, twice)
    with pytest.raises(DataError, match="column 'se'"):
        condition(means, twice.head(1).assign(se=-1.0))
    crossed = fit_case("normal_sampled", stanli, old)
    with pytest.raises(DataError, match="none of the 4 known levels of w"):
        condition(crossed, new.assign(w="q"))
    units = fit_case("poisson, units", stanli, old)
    with pytest.raises(DataError, match="lies in two new groups"):
        condition(units, new.assign(unit="same"))
    with pytest.raises(DataError, match="a known level of unit"):
        condition(units, new.assign(unit=old["unit"][0]))
    rating = fit_case("cumulative", stanli, old)
    with pytest.raises(DataError, match="no such category"):
        condition(rating, new.assign(rating=9))
    nested = fit_case("nested_normal", stanli, old)
    with pytest.raises(DataError, match="known level"):
        condition(nested, new.assign(g=old["g"][0]))


@pytest.mark.parametrize(
    ("variant", "why"), [("complete_pooling", "nothing of its own"), ("no_pooling", "no population")]
)
def test_other_poolings_say_why_not(variant: str, why: str, stanli: Engine) -> None:
    with pytest.raises(ModelError, match=f"{why}.*Take partial_pooling"):
        condition(schools(stanli, variant), new_schools())


def test_a_family_without_the_pieces_says_which(stanli: Engine) -> None:
    fit_ = schools(stanli)
    without = replace(fit_, family=fit_.family.with_fields(group_log_lik=None))
    with pytest.raises(ModelError, match=r"normal_means gives no group_log_lik\(\)"):
        condition(without, new_schools())
    with pytest.raises(ModelError, match="condition takes one Fit"):
        condition({"partial_pooling": fit_}, new_schools())  # type: ignore[arg-type]


# Spectra -------------------------------------------------------------------------------------------------------------

SPECTRA = {"group": "spectrum", "frequency": "frequency", "flux": "flux"}
EXPONENTIAL = {"alpha": "exponential(1)", "beta": "exponential(1)", "sigma": "exponential(1)"}


def test_the_six_hard_spectra_are_those_of_a_refit(stanli: Engine) -> None:
    sampling = replace(SAMPLING, draws=1500)
    old, new = (pd.read_csv(load(name).table.where) for name in ("planck", "planck_new"))
    truth = pd.read_csv(load("planck_new").table.where.replace("data.csv", "truth.csv")).query("name == 'T'")
    fit_ = fit("planck", Dataset.from_frame(old, SPECTRA), priors=EXPONENTIAL, sampling=sampling, engine=stanli)
    given = condition(fit_, new.sample(frac=1, random_state=1))
    both = pd.concat([old, new], ignore_index=True)
    refit = fit("planck", Dataset.from_frame(both, SPECTRA), priors=EXPONENTIAL, sampling=sampling, engine=stanli)
    assert against_refit(fit_, given, refit) < LIMIT
    state = dict(zip(given.groups["group"], given.groups["determined"], strict=True))
    assert state.pop("N6") == "no"  # the single point of low signal
    assert set(state.values()) == {"mostly"}
    assert any("Temperature of N6: not determined" in sentence for sentence in given.sentences)
    for label, temperature in zip(truth["group"], truth["value"], strict=True):
        low, high = np.quantile(theta(given, label), (0.0005, 0.9995))
        assert low < temperature < high
    rows = pd.DataFrame({"spectrum": "N1", "frequency": [2.0, 8.0]})
    curve = predict(fit_, rows, condition=new).draws["expected"].values[0]
    nu, temperature_draws = (
        np.array([2.0, 8.0]),
        predict(fit_, rows, condition=new).draws["T"].sel(group="N1").values[0],
    )
    np.testing.assert_allclose(curve, nu**3 / np.expm1(nu / temperature_draws[:, None]), rtol=1e-9)


def test_truncated_spectra_have_the_range_of_the_fitted_ones(stanli: Engine) -> None:
    old = pd.read_csv(load("planck").table.where)
    sampling = Sampling(warmup=150, draws=250, seed=3)
    fit_ = fit(
        "planck", Dataset.from_frame(old.head(40), SPECTRA), "partial_pooling_truncated", priors=EXPONENTIAL,
        sampling=sampling, engine=stanli,
    )  # fmt: skip
    new = pd.DataFrame({"spectrum": "N", "frequency": [2.0, 4.0], "flux": [4.0, 11.0]})
    assert condition(fit_, new).groups["determined"][0] == "mostly"
    with pytest.raises(DataError, match="the flux 80 does not lie between the smallest and largest"):
        condition(fit_, new.assign(flux=[4.0, 80.0]))
