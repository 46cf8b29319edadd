"""Sensitivity: power-scaling against ArviZ, influence against refits, other priors against direct fits, and words."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import arviz_stats
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from fake_fits import fake_fit
from scipy.stats import norm

from hbm_stan import directly
from hbm_stan.analysis.read import Analysis, read_analysis
from hbm_stan.attempts import fit, fit_variants
from hbm_stan.budget import Budget
from hbm_stan.compare import compare
from hbm_stan.data import Dataset
from hbm_stan.diagnose import check
from hbm_stan.diagnosis import Diagnosis
from hbm_stan.directly import directly_in_words
from hbm_stan.engines import Engine, Sampling
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.errors import ModelError, NotDirectError
from hbm_stan.families import family
from hbm_stan.fit import Fit, Job
from hbm_stan.named import NamedTree
from hbm_stan.priors import Prior
from hbm_stan.repair import refit_without
from hbm_stan.report.build import fit_analysis
from hbm_stan.results.collect import find
from hbm_stan.sensitivity import alternatives as refits
from hbm_stan.sensitivity import distance as distances
from hbm_stan.sensitivity import power as scaling
from hbm_stan.sensitivity.conclusion import Conclusion, Decision, Interval, changes, interval
from hbm_stan.sensitivity.distance import sensitivity as sensitivity_of
from hbm_stan.sensitivity.influence import Without, influence
from hbm_stan.sensitivity.power import ALL_PRIORS, LIKELIHOOD, Power, power_scaling, prior_components
from hbm_stan.sensitivity.quantities import Side, means_of_groups, watched
from hbm_stan.sensitivity.reading import disagrees, read, unexpected
from hbm_stan.sensitivity.rivals import matched_scale, rescaled, rivals
from hbm_stan.sensitivity.run import Sensitivity, earlier_sensitivity, quick_look, sensitivity
from hbm_stan.sensitivity.way import Way
from hbm_stan.store import FitStore
from hbm_stan.verdicts import for_json

ROOT = Path(__file__).parent.parent
SEED = 20261121
SAMPLING = Sampling(seed=SEED, adapt_delta=0.95)
COLUMNS = {"group": "school", "estimate": "effect", "standard_error": "se"}
EFFECTS, ERRORS = (28.0, 8, -3, 7, -1, 1, 18, 12), (15.0, 10, 16, 11, 9, 11, 10, 18)
CHOSEN = {"mu": "normal(0, 5)", "tau": "half_cauchy(5)", "theta": "normal(0, 50)"}
# A fiftieth of the limit: ArviZ smooths both tails of the weights, of a length by their own effective sample size.
SMOOTHING = 1e-3


def schools(effects: tuple[float, ...] = EFFECTS, errors: tuple[float, ...] = ERRORS) -> Dataset:
    labels = [chr(65 + i) for i in range(len(effects))]
    return Dataset.from_frame(pd.DataFrame({"school": labels, "effect": effects, "se": errors}), COLUMNS)


def fitted(dataset: Dataset, priors: dict[str, str], engine: Engine, sampling: Sampling = SAMPLING) -> Fit:
    return fit("normal_means", dataset, priors=priors, sampling=sampling, engine=engine)


@pytest.fixture(scope="module")
def eight(tmp_path_factory: pytest.TempPathFactory) -> Fit:
    """Eight schools, fitted once for all tests."""
    store = FitStore(tmp_path_factory.mktemp("eight"))
    return fit("normal_means", schools(), priors=CHOSEN, sampling=SAMPLING, engine=StanliEngine(), store=store)


def test_a_flat_prior_has_no_pareto_k_and_is_plain_json(eight: Fit) -> None:
    flat = replace(
        eight, priors={**eight.priors, "tau": Prior(name="tau", distribution="uniform", arguments=(0.0, 1e6))}
    )
    record = Sensitivity(variant="partial_pooling", power=power_scaling(flat)).as_dict()
    assert any(row["pareto_k"] is None for row in record["power"]["rows"])
    json.dumps(record, allow_nan=False)


def test_without_a_population_nothing_is_scaled() -> None:
    assert scaling.scaled({}, {ALL_PRIORS: np.zeros(10)}) == []


def test_a_ranking_that_a_pareto_k_withholds_is_no_change() -> None:
    base = Conclusion(intervals={}, decision=Decision.BETTER, elpd_diff=10.0, se_diff=2.0, other="no_pooling")
    assert changes(base, replace(base, decision=Decision.WITHHELD)) == []
    assert changes(replace(base, decision=Decision.WITHHELD), base) == []


# --- power-scaling ------------------------------------------------------------------------------------------


def arviz_tree(fit: Fit) -> xr.DataTree:
    """The same draws and log densities as ArviZ reads them."""
    shape = (fit.sampling.chains, fit.sampling.draws)
    parts, _ = prior_components(fit)
    density = fit.family.groups.group_log_lik(fit.draws(), fit.data)

    def dataset(values: dict[str, np.ndarray]) -> xr.Dataset:
        return xr.Dataset({n: (("chain", "draw"), v.reshape(shape)) for n, v in values.items()})

    priors = dataset({n.replace(" ", "_"): v for n, v in parts.items()})
    rows = xr.Dataset({"y": (("chain", "draw", "group"), density.reshape(*shape, -1))})
    return xr.DataTree.from_dict({"posterior": dataset(watched(fit, {})), "log_prior": priors, "log_likelihood": rows})


def arviz_values(fit: Fit) -> dict[tuple[str, str], float]:
    tree, sensitivities = arviz_tree(fit), {}
    for component in ("mu", "tau", ALL_PRIORS, LIKELIHOOD):
        group = (
            {"group": "likelihood"} if component == LIKELIHOOD else {"group_var_names": [component.replace(" ", "_")]}
        )
        sensitive = arviz_stats.psense(tree, **group)
        sensitivities |= {(str(q), component): float(v) for q, v in sensitive.data_vars.items()}
    return sensitivities


def differences(fit: Fit, table: pd.DataFrame) -> float:
    """The largest difference from ArviZ's sensitivities."""
    own = {(r["quantity"], r["component"]): r["value"] for r in table.to_dict("records")}
    truth = arviz_values(fit)
    assert own.keys() == truth.keys()
    return max(abs(own[key] - truth[key]) for key in truth)


def test_power_scaling_equals_arviz(eight: Fit) -> None:
    power = power_scaling(eight)
    assert differences(eight, power.table) < SMOOTHING
    summary = arviz_stats.psense_summary(arviz_tree(eight), prior_var_names=["all_priors"], round_to=6)
    # ArviZ knows no difference between a conflict and a prior that has a say beside the data.
    both, strong = "potential prior-data conflict", "potential strong prior / weak likelihood"
    words = {"conflict": both, "both": both, "strong prior": strong}
    for row in power.readings.to_dict("records"):
        assert summary.loc[row["quantity"], "diagnosis"] == words.get(row["reading"], "✓")


def unlike_arviz() -> float:
    """The largest difference of the distance from ArviZ's over draws of several shapes, ties among them."""
    from arviz_stats.base import array_stats as az

    rng = np.random.default_rng(6)
    draws = np.stack([rng.normal(3, 2, 500), rng.gamma(0.3, 5, 500), rng.integers(0, 4, 500).astype(float)])
    lower, upper = (np.exp(p * rng.normal(0, 2, 500)) for p in (-0.01, 0.01))
    own = sensitivity_of(draws, lower, upper, scaling.ALPHAS)
    both = (np.broadcast_to(w, draws.shape)[:, None] for w in (lower, upper))
    return float(np.abs(own - az.power_scale_sense(draws[:, None], *both, *scaling.ALPHAS)).max())


def test_the_distance_is_that_of_arviz() -> None:
    assert unlike_arviz() < 1e-10


@pytest.mark.parametrize("fault", ["natural logs", "one side alone"])
def test_faults_in_the_distance_are_seen(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    if fault == "natural logs":
        monkeypatch.setattr(distances, "_log2", np.log)
    else:
        right = distances._from_below
        monkeypatch.setattr(distances, "distance", lambda v, w: right(np.diff(np.sort(v)), w[np.argsort(v)]))
    assert unlike_arviz() > 1e-6


def test_power_scaling_catches_planted_faults(eight: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    priors, _ = prior_components(eight)
    likelihood, _ = scaling.likelihood_component(eight)
    assert likelihood is not None
    exchanged = {**priors, ALL_PRIORS: likelihood, LIKELIHOOD: priors[ALL_PRIORS]}
    assert differences(eight, pd.DataFrame(scaling.scaled(watched(eight, {}), exchanged))) > SMOOTHING
    halved = {**priors, LIKELIHOOD: likelihood / 2}
    assert differences(eight, pd.DataFrame(scaling.scaled(watched(eight, {}), halved))) > SMOOTHING
    monkeypatch.setattr(scaling, "ALPHAS", (1.01, 1.01))
    assert differences(eight, power_scaling(eight).table) > SMOOTHING


@pytest.mark.parametrize(
    "name", ["eight_schools", "rat_tumour", "pumps", "pastes", "sleepstudy", "city_prices", "planck"]
)
def test_the_priors_add_up_to_lprior(name: str, stanli: Engine) -> None:
    read = read_analysis(ROOT / "reports" / name)
    sampling = replace(read.sampling, warmup=50, draws=10, chains=1)
    analysis_fit = fit(
        read.family, read.dataset, read.main_variant, priors=read.priors, sampling=sampling, engine=stanli
    )
    parts, missing = prior_components(analysis_fit)
    together = parts.pop(ALL_PRIORS)
    assert missing == []
    assert set(parts) == set(analysis_fit.family.priors_of(analysis_fit.variant, analysis_fit.priors))
    np.testing.assert_allclose(np.sum(list(parts.values()), axis=0), together, rtol=1e-12, atol=1e-10)
    # One part less is not the whole.
    assert np.abs(np.sum(list(parts.values())[:-1], axis=0) - together).max() > 1e-6


def reading(power: Power, quantity: str) -> Any:
    return power.readings.set_index("quantity").loc[quantity, "reading"]


def test_a_prior_far_from_the_data_is_a_conflict(stanli: Engine) -> None:
    power = power_scaling(fitted(schools(), {"mu": "normal(-30, 5)", "tau": "half_normal(5)"}, stanli))
    assert reading(power, "mu") == "conflict"
    assert any("conflict: mu" in s and "prior of mu" in s for s in power.sentences)


def test_a_default_prior_that_counts_is_no_conflict(stanli: Engine) -> None:
    """Both sensitivities are above the limit, as with any ten groups; the data put tau where its prior expects it."""
    effects = tuple(10 + 5 * norm.ppf((np.arange(10) + 0.5) / 10))
    power = power_scaling(fitted(schools(effects, (2.0,) * 10), {}, stanli))
    row = power.readings.set_index("quantity").loc["tau"]
    assert min(row["prior_value"], row["likelihood"]) > scaling.THRESHOLD
    assert row["reading"] == "both"
    assert not any("conflict" in s for s in power.sentences)
    assert any(s.startswith("Prior and data both count: tau (prior of tau") for s in power.sentences)


@pytest.mark.parametrize(
    ("priors", "quantity"),
    [
        ({"mu": "normal(100, 2)"}, "mu"),
        ({"mu": "normal(100, 2)", "tau": "half_cauchy(50)"}, "mu"),  # mu stays at 100, and tau makes up for it
        ({"tau": "half_normal(0.5)"}, "tau"),
        ({"tau": "lognormal(-1, 0.3)"}, "tau"),
    ],
)
def test_priors_that_the_data_contradict_are_conflicts(priors: dict[str, str], quantity: str, stanli: Engine) -> None:
    effects = tuple(10 + 8 * norm.ppf((np.arange(8) + 0.5) / 8))
    power = power_scaling(fitted(schools(effects, (2.0,) * 8), priors, stanli))
    assert reading(power, quantity) == "conflict"


@pytest.mark.parametrize(
    ("own", "groups", "conflicting"),
    [
        (0.06, (10.0, 15.0), True),
        (0.04, (10.0, 15.0), False),  # the prior does not pull
        (0.06, (94.1, 2.3), False),  # 2.6 of the groups' sds away, but the prior has one too: sqrt(2^2 + 2.3^2)
        (0.06, (93.9, 2.3), True),
        (0.06, None, False),
    ],
)
def test_groups_far_from_a_prior_of_their_mean_disagree_with_it(
    own: float, groups: tuple[float, float] | None, conflicting: bool
) -> None:
    stays = norm.ppf((np.arange(1000) + 0.5) / 1000, 99, 2)
    assert disagrees(Prior(name="mu", distribution="normal", arguments=(100.0, 2.0)), own, stays, groups) == conflicting


def test_the_mean_of_groups_is_that_of_their_draws(eight: Fit) -> None:
    draws = eight.draws("theta", "tau")
    expected = (draws["theta"].mean(), np.sqrt(np.mean(draws["tau"] ** 2) / 8))
    assert means_of_groups(eight) == {"mu": pytest.approx(expected)}


# Emergence of insects by treatment; with sucrose all of 11 emerged (Cross Validated, question 132677).
EMERGED = {
    "control": ("1:1 2:1 3:1 4:0 8:0 10:1 13:1 15:1 16:0 17:0 18:1"),
    "protein": ("1:0 2:1 3:1 5:1 6:1 8:1 10:1 13:0 15:1 16:1 17:1 18:1 20:0 24:1"),
    "sucrose": ("1:1 3:1 4:1 5:1 10:1 11:1 13:1 16:1 17:1 18:1 22:1"),
    "no_injection": ("1:1 2:1 3:1 4:1 6:1 10:1 11:1 13:0 16:1 17:1 18:1 20:0 22:1 24:1"),
}


def test_a_separated_coefficient_is_a_conflict(stanli: Engine) -> None:
    rows = [(t, *cell.split(":")) for t, cells in EMERGED.items() for cell in cells.split()]
    frame = pd.DataFrame(rows, columns=["treatment", "nest", "y"]).astype({"y": int})
    data = Dataset.from_frame(frame, group="nest", outcome="y", predictors="treatment")
    power = power_scaling(
        fit("logistic_regression", data, "partial_pooling_intercept", sampling=SAMPLING, engine=stanli)
    )
    assert reading(power, "mu[treatment=sucrose]") == "conflict"
    conflicts = power.readings["quantity"][power.readings["reading"] == "conflict"]
    assert list(conflicts) == ["mu[treatment=sucrose]"]


def test_a_tight_prior_on_weak_data_is_a_strong_prior(stanli: Engine) -> None:
    power = power_scaling(fitted(schools(), {"mu": "normal(0, 50)", "tau": "half_normal(0.1)"}, stanli))
    assert reading(power, "tau") == "strong prior"
    assert reading(power, "mu") == "none"
    assert any(s.startswith("Strong prior or weak likelihood: tau (prior of tau") for s in power.sentences)


def test_wide_priors_on_many_groups_are_harmless(stanli: Engine) -> None:
    effects = tuple(10 + 5 * norm.ppf((np.arange(30) + 0.5) / 30))
    wide_fit = fitted(schools(effects, (1.0,) * 30), {"mu": "normal(0, 100)", "tau": "half_normal(50)"}, stanli)
    power = power_scaling(wide_fit)
    assert (power.readings["reading"] == "none").all()
    assert power.sentences[0].startswith("No prior matters much")
    # A flat prior stays what it is, raised to any power.
    flat = power_scaling(fitted(schools(), {"tau": "uniform(0, 100)"}, stanli)).table
    assert (flat[flat["component"] == "tau"]["value"] == 0).all()


@pytest.mark.parametrize(
    ("prior", "likelihood", "disagree", "words"),
    [
        (0.05, 0.05, True, "conflict"),
        (0.05, 0.049, True, "conflict"),
        (0.05, 0.05, False, "both"),
        (0.05, 0.049, False, "strong prior"),
        (0.049, 0.9, True, "none"),
        (0.9, np.nan, True, "unknown"),
        (np.nan, 0.9, True, "unknown"),
    ],
)
def test_two_sensitivities_are_read_together(prior: float, likelihood: float, disagree: bool, words: str) -> None:
    assert read(prior, likelihood, disagree) == words


@pytest.mark.parametrize(
    ("distribution", "arguments", "centre", "spread", "surprising"),
    [
        ("normal", (0.0, 2.5), 1.0, 1.0, False),  # the interval of 1 +- 1.64 holds the prior's centre
        ("normal", (0.0, 2.5), 2.0, 1.0, True),
        ("normal", (0.0, 2.5), -2.0, 1.0, True),
        ("half_normal", (1.0,), 1.9, 0.1, False),  # the upper 5 % of the prior begin at 1.96
        ("half_normal", (1.0,), 2.1, 0.1, True),
        ("half_normal", (1.0,), 0.01, 0.001, False),  # near 0, where the prior is highest
        ("half_cauchy", (1.0,), 13.0, 0.1, True),  # begin at 12.7
        ("half_student_t", (4.0, 1.0), 2.6, 0.1, False),  # at 2.78
        ("half_student_t", (4.0, 1.0), 3.0, 0.1, True),
        ("uniform", (0.0, 10.0), 9.6, 0.1, True),
        ("exponential", (1.0,), 2.9, 0.1, False),  # at 3.0
        ("exponential", (1.0,), 3.1, 0.1, True),
        ("lognormal", (0.0, 1.0), 7.3, 0.1, True),  # its outer 5 % lie beyond 0.14 and 7.1
        ("lognormal", (0.0, 1.0), 0.13, 0.001, True),
        ("lognormal", (0.0, 1.0), 6.0, 0.1, False),
        ("gamma", (2.0, 1.0), 0.2, 0.01, True),  # 0.24 and 5.6
        ("beta", (1.0, 1.0), 0.5, 0.1, False),
    ],
)
def test_what_a_prior_did_not_expect(
    distribution: str, arguments: tuple[float, ...], centre: float, spread: float, surprising: bool
) -> None:
    draws = norm.ppf((np.arange(1000) + 0.5) / 1000, centre, spread)
    prior = Prior(name="x", distribution=distribution, arguments=arguments)
    assert unexpected(prior, draws) == surprising
    for own, enough in ((0.2, True), (0.04, False)):
        assert disagrees(prior, own, draws) == (surprising and enough)
    # A location has to be pulled by a quarter of an sd, another quantity by half of that.
    assert disagrees(prior, 0.07, draws) == (surprising and distribution != "normal")


def test_a_high_pareto_k_of_the_weights_is_said(eight: Fit) -> None:
    heavy = np.random.default_rng(SEED).pareto(0.8, eight.n_draws)
    rows = scaling.scaled(watched(eight, {}), {"mu": 200 * np.log(heavy)})
    assert max(row["pareto_k"] for row in rows) > scaling.MAX_K
    sentences = scaling._sentences(rows, scaling._readings(rows), [], "given the population")
    assert any("above 0.5: its sensitivities are not reliable" in s for s in sentences)


# --- influence ----------------------------------------------------------------------------------------------

OUTLIER = schools((4.0, 6, 5, 7, 5.5, 6.5, 4.5, 13), (2.0,) * 8)
LAST = 7


def errors_of_a_refit(fit: Fit, row: Without) -> list[float]:
    """(weights - refit) / Monte Carlo error of both, of the mean and the median of mu and tau."""
    without = refit_without(fit, [LAST])
    exact, own = check(without).summary, check(fit).summary
    density = fit.family.groups.group_log_lik(fit.draws(), fit.data)[:, LAST]
    weights = np.exp(-density - np.log(np.exp(-density).sum()))
    errors = []
    for name in ("mu", "tau"):
        draws, now = fit.draws(name)[name], row.intervals[name]
        slack = fit.n_draws / own.loc[name, "ess_bulk"]  # draws depend on each other
        mcse = np.sqrt(np.sum((weights * (draws - now.mean)) ** 2) * slack)
        errors.append((now.mean - exact.loc[name, "mean"]) / np.hypot(mcse, exact.loc[name, "mcse_mean"]))
        below = np.sqrt(np.sum((weights * ((draws < now.q50) - 0.5)) ** 2) * slack) / 0.5  # as a share of the interval
        width = (now.q95 - now.q05) / 2
        errors.append((now.q50 - exact.loc[name, "q50"]) / np.hypot(below * width, exact.loc[name, "mcse_q50"]))
    return [abs(z) for z in errors]


def test_groups_are_left_out_some_at_a_time(monkeypatch: pytest.MonkeyPatch, eight: Fit) -> None:
    whole = influence(eight).rows
    monkeypatch.setattr("hbm_stan.portions.AT_ONCE", 3 * eight.n_draws)  # 3, 3 and 2
    for one, other in zip(whole, influence(eight).rows, strict=True):
        assert (one.group, one.route) == (other.group, other.route)
        assert one.moves == pytest.approx(other.moves, rel=1e-9)


def test_influence_of_an_outlier_equals_a_refit(stanli: Engine) -> None:
    outlier_fit = fitted(OUTLIER, {"mu": "normal(5, 10)", "tau": "half_normal(5)"}, stanli)
    influences = influence(outlier_fit)
    row = next(r for r in influences.rows if r.group == "H")
    assert influences.rows[0] == row
    assert row.route is Way.WEIGHTS
    limit = norm.isf(1e-3 / (2 * 4))
    assert max(errors_of_a_refit(outlier_fit, row)) < limit
    # Planted faults: another group's weights; weights with the sign of the ratio exchanged.
    other = next(r for r in influences.rows if r.group == "A")
    assert max(errors_of_a_refit(outlier_fit, other)) > limit
    density = outlier_fit.family.groups.group_log_lik
    assert density is not None
    turned = replace(
        outlier_fit, family=outlier_fit.family.with_fields(group_log_lik=lambda d, data: -density(d, data))
    )
    wrong = next(r for r in influence(turned).rows if r.group == "H")
    assert max(errors_of_a_refit(outlier_fit, wrong)) > limit


def test_a_group_that_carries_the_answer_is_named_and_refitted(stanli: Engine) -> None:
    extreme = schools((0.5, -0.5, 1, 0, 0.8, 40.0), (1.0,) * 6)
    extreme_fit = fitted(extreme, {"mu": "normal(0, 50)", "tau": "half_cauchy(1)"}, stanli)
    cheap = influence(extreme_fit)
    row = next(r for r in cheap.rows if r.group == "F")
    assert row.route is Way.UNRELIABLE
    assert not row.reliable
    assert any(s.startswith("How the answer would change without F is not known") for s in cheap.sentences)
    assert not any("F alone" in s for s in cheap.sentences)
    messages: list[str] = []
    exact = influence(extreme_fit, max_refits=6, say=messages.append)
    assert any("refitting without F" in s for s in messages)
    assert exact.rows[0].group == "F"
    assert exact.rows[0].route is Way.REFIT
    assert exact.rows[0].direct is not None
    assert any(t.startswith("Refits without a school are direct draws, by importance weights") for t in exact.sentences)
    assert any(s.startswith("F alone moves tau by") for s in exact.sentences)


def test_a_group_that_flips_the_sign_is_named(stanli: Engine) -> None:
    # Without E the 5 % quantile of mu is about -0.5, with it about 1: far from zero beside any Monte Carlo error.
    one = schools((1.5, 2.5, 0.5, 2.0, 12.0), (2.5,) * 4 + (3.0,))
    sign_fit = fitted(one, {"mu": "normal(0, 10)", "tau": "half_normal(1)"}, stanli)
    rows = {r.group: r for r in influence(sign_fit).rows}
    assert rows["E"].flips == ("the 90 % interval of mu lies on both sides of zero (with it: above zero)",)
    assert rows["C"].flips == ()


def test_a_family_that_cannot_leave_groups_out_needs_refits(eight: Fit) -> None:
    bare = replace(eight, family=eight.family.with_fields(group_log_lik=None))
    influences = influence(bare)
    assert influences.rows == ()
    assert "needs 8 refits" in influences.sentences[0]
    influences = influence(bare, max_refits=8)
    assert {r.route for r in influences.rows} == {Way.REFIT}
    weighted = {r.group: r for r in influence(eight).rows}
    for row in influences.rows:  # in posterior sds: each with an error of about 1 / sqrt(1000)
        assert row.moves["mu"] == pytest.approx(weighted[row.group].moves["mu"], abs=5 * np.sqrt(2 / 1000))


# --- other priors -------------------------------------------------------------------------------------------


def analysis_of(
    dataset: Dataset, folder: Path, priors: dict[str, str] | None = None, variants: tuple[str, ...] = ()
) -> Analysis:
    names = variants or ("complete_pooling", "no_pooling", "partial_pooling")
    return Analysis(
        name="test", family=family("normal_means"), dataset=dataset, variants=names, priors=priors or CHOSEN,
        sampling=SAMPLING, compared=names, folder=folder,
    )  # fmt: skip


def test_rivals_are_named_and_matched_to_the_prior(eight: Fit) -> None:
    rival_priors, unvaried = rivals(eight, ("complete_pooling", "no_pooling", "partial_pooling"))
    # The median of half_cauchy(5) is 5: 5 / 0.6745 = 7.4.
    assert [r.text for r in rival_priors] == [
        "mu = normal(0, 2.5)", "mu = normal(0, 10)", "tau = half_normal(3.7)", "tau = half_normal(15)",
        "tau = half_cauchy(7.4)", "tau = half_student_t(4, 7.4)", "tau = uniform(0, 100)",
    ]  # fmt: skip
    assert unvaried == []
    assert {r.variants for r in rival_priors if r.text.startswith("mu")} == {("complete_pooling", "partial_pooling")}
    assert {r.variants for r in rival_priors if r.text.startswith("tau")} == {("partial_pooling",)}
    assert [r.text for r in rival_priors if r.warning] == ["tau = uniform(0, 100)"]


@pytest.mark.parametrize("text", ["half_normal(3)", "half_cauchy(0.02)", "half_student_t(4, 800)", "lognormal(4.5, 2)"])
def test_the_matched_scale_has_the_median_of_the_prior(text: str) -> None:
    row = next(r for r in family("normal_means").programs.prior_rows if r.name == "tau")
    from hbm_stan.priors import parse_prior

    prior = parse_prior(text, row)
    matched = Prior(name="tau", distribution="half_normal", arguments=(matched_scale(prior),))
    median = matched_scale(prior) * norm.ppf(0.75)
    assert matched.cumulative(median) == pytest.approx(0.5)
    assert prior.cumulative(median) == pytest.approx(0.5, abs=0.02)  # two digits of the scale


@pytest.mark.parametrize(
    "prior",
    [
        Prior(name="x", distribution=distribution, arguments=arguments)
        for distribution, arguments in (
            ("normal", (3.0, 2.0)), ("half_normal", (2.0,)), ("half_student_t", (4.0, 2.0)), ("half_cauchy", (2.0,)),
            ("uniform", (0.0, 2.0)), ("exponential", (0.5,)), ("gamma", (3.0, 0.5)), ("lognormal", (1.0, 0.5)),
        )
    ],
)  # fmt: skip
def test_a_rescaled_prior_is_that_of_the_scaled_quantity(prior: Prior) -> None:
    other = rescaled(prior, 2.0)
    assert other is not None
    centre = prior.arguments[0] if prior.distribution == "normal" else 0.0
    for x in (0.3, 1.0, 1.9):
        assert other.cumulative(centre + 2 * x) == pytest.approx(prior.cumulative(centre + x), abs=5e-4)


def test_the_engine_of_the_analysis_fits_where_none_is_asked_for(tmp_path: Path) -> None:
    asked = analysis_of(schools((15.0, 8.0, 1.0), (8.0, 8.0, 8.0)), tmp_path)
    assert sensitivity(replace(asked, engine="direct"), quick=True).influence is not None
    assert all(fit.reused for fit in fit_analysis(asked, engine="direct").values())


def test_a_prior_without_a_scale_is_not_varied() -> None:
    assert rescaled(Prior(name="rho", distribution="lkj", arguments=(2.0,)), 2.0) is None
    assert rescaled(Prior(name="mu", distribution="beta", arguments=(1.0, 1.0)), 0.5) is None


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> tuple[Analysis, Sensitivity]:
    """Three groups, whose spread is hardly known, under all rivals."""
    data = schools((15.0, 8.0, 1.0), (8.0, 8.0, 8.0))
    folder = tmp_path_factory.mktemp("three")
    asked = analysis_of(data, folder, {"mu": "normal(0, 20)", "tau": "half_normal(10)", "theta": "normal(0, 50)"})
    asked = replace(asked, sampling=replace(SAMPLING, adapt_delta=0.99))
    return asked, sensitivity(asked, engine=StanliEngine())


def test_rows_equal_fits_by_direct_draws_with_that_prior(three: tuple[Analysis, Sensitivity]) -> None:
    asked, sensitivity = three
    assert sensitivity.alternatives is not None
    rows, ranked = {r.rival.text: r for r in sensitivity.alternatives.rows}, []
    for text in ("tau = half_cauchy(10)", "mu = normal(0, 10)"):
        name, _, prior = text.partition(" = ")
        direct = fit_variants(
            "normal_means", asked.dataset, asked.variants, priors={**asked.priors, name: prior},
            sampling=asked.sampling, engine="direct",
        )  # fmt: skip
        conclusion = rows[text].conclusion
        assert conclusion is not None
        main = direct["partial_pooling"]
        assert {n: interval(d) for n, d in watched(main, {}).items()} == dict(conclusion.intervals)
        compared = compare(direct, budget=Budget(max_refits=0))
        scores = {s.variant: s for s in compared.scores}
        gap = scores["partial_pooling"].elpd - scores["complete_pooling"].elpd
        # Of three groups one may have a high Pareto k: then there is no difference to be told in either.
        assert conclusion.elpd_diff == (None if compared.withheld else pytest.approx(gap))
        ranked.append(not compared.withheld)
        # The row of another prior is not this one.
        assert conclusion.intervals != sensitivity.alternatives.base.intervals
    assert any(ranked)


def test_a_wide_uniform_prior_on_three_groups_widens_tau_and_is_said(three: tuple[Analysis, Sensitivity]) -> None:
    _, sensitivity = three
    assert sensitivity.alternatives is not None
    row = next(r for r in sensitivity.alternatives.rows if r.rival.warning)
    assert row.rival.text == "tau = uniform(0, 100)"
    assert row.conclusion is not None
    assert row.conclusion.intervals["tau"].q95 > 1.5 * sensitivity.alternatives.base.intervals["tau"].q95
    assert any("is the warning example" in s and "3 schools do not bound it" in s for s in sensitivity.sentences)


def test_refits_by_direct_draws_evict_no_fit_of_the_analysis_and_are_kept_nowhere(
    three: tuple[Analysis, Sensitivity],
) -> None:
    asked, _ = three
    stored = sorted(p.name.partition("-")[0] for p in asked.store.folder.glob("*.nc"))
    assert stored == sorted(asked.variants)
    again = fit_variants(
        asked.family, asked.dataset, asked.variants, priors=asked.priors, sampling=asked.sampling,
        engine=StanliEngine(), store=asked.store,
    )  # fmt: skip
    assert all(f.reused for f in again.values())
    assert not list((asked.store.folder / "sensitivity").glob("*/*.nc"))


def test_how_refits_were_made_is_said(three: tuple[Analysis, Sensitivity]) -> None:
    _, sensitivity = three
    assert sensitivity.alternatives is not None
    rows = sensitivity.alternatives.rows
    ks = [k for r in rows for k in r.direct.values()]
    # mu is a prior of two variants, tau of one.
    assert len(ks) + sum(len(r.sampled) for r in rows) == 2 * 2 + 5
    sentence = (
        f"Fits under other priors are direct draws, by importance weights (their largest Pareto k is {max(ks):.2f})"
    )
    assert any(s.startswith(sentence) for s in sensitivity.sentences)
    assert [r["direct"] for r in sensitivity.as_dict()["alternatives"]["rows"]] == [dict(r.direct) for r in rows]
    assert directly_in_words("Refits", [0.2, 0.5], ["no mode was found"]) == [
        "Refits are direct draws, by importance weights (their largest Pareto k is 0.50); 1 of 3 were sampled (no mode "
        "was found)."
    ]
    assert directly_in_words("Refits", [], ["no mode was found"]) == []


def never_directly(_job: Job, _waive: Any = ()) -> Any:
    raise NotDirectError("planted")


def test_the_report_takes_what_was_found_of_the_same_fits(three: tuple[Analysis, Sensitivity], stanli: Engine) -> None:
    asked, sensitivity = three
    fits = fit_variants(
        asked.family, asked.dataset, asked.variants, priors=asked.priors, sampling=asked.sampling, engine=stanli,
        store=asked.store,
    )  # fmt: skip
    held = earlier_sensitivity(asked, fits)
    assert held is not None
    assert held["sentences"] == list(sensitivity.sentences)
    shown = find(asked, fits).sensitivity
    assert shown is not None
    assert for_json(shown.as_dict()) == held
    other = {n: replace(f, key="0" * 64) for n, f in fits.items()}
    assert earlier_sensitivity(asked, other) is None
    quick = find(asked, other).sensitivity
    assert quick is not None
    assert quick.alternatives is None


def test_a_refit_that_failed_its_checks_concludes_nothing(
    eight: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(fit: Fit, waive: Any = ()) -> Diagnosis:
        diagnosis = check(fit, waive)
        if fit.priors["tau"].text != "half_normal(15)":
            return diagnosis
        return replace(diagnosis, verdicts=(replace(diagnosis.verdicts[0], name="R-hat", status="fail", hint="."),))

    monkeypatch.setattr(refits, "check", failing)
    monkeypatch.setattr(directly, "fit_directly", never_directly)
    # Effects about zero: no end of an interval lies so near to it that a conclusion changes by chance.
    about_zero = schools(tuple(effect - 8 for effect in EFFECTS))
    asked = analysis_of(about_zero, tmp_path, variants=("partial_pooling",))
    alternatives = sensitivity(asked, engine=StanliEngine()).alternatives
    assert alternatives is not None
    row = next(r for r in alternatives.rows if r.rival.text == "tau = half_normal(15)")
    assert row.conclusion is None
    assert row.changes == ()
    assert "partial_pooling did not pass its checks (R-hat)" in row.failed
    assert any("so that nothing is concluded from it" in s for s in alternatives.sentences)
    assert alternatives.sentences[0] == "No conclusion changes under any of 6 other priors."
    # What was sampled is kept, each prior in a folder of its own, and says why it is no direct draw.
    assert len(list((asked.store.folder / "sensitivity").glob("*/*.nc"))) == 7
    assert {*(r.sampled["partial_pooling"] for r in alternatives.rows)} == {"planted"}


def conclusion(low: float, high: float, decision: Decision = Decision.BETTER, sign: Side = Side.ABOVE) -> Conclusion:
    middle = Interval(mean=(low + high) / 2, sd=(high - low) / 3.3, q05=low, q50=(low + high) / 2, q95=high)
    return Conclusion(
        intervals={"mu": middle, "tau": middle}, decision=decision, other="complete_pooling", locations=("mu",),
        scales=("tau",), signs={"mu": sign},
    )  # fmt: skip


def test_each_change_of_a_conclusion_is_said() -> None:
    base = conclusion(1, 3)
    assert changes(base, base) == []
    assert changes(base, conclusion(1, 3, Decision.NOT_TOLD_APART)) == [
        "the comparison: not told apart from complete pooling (before: better than complete pooling)"
    ]
    assert changes(base, conclusion(-1, 3, sign=Side.BOTH)) == [
        "the 90 % interval of mu lies on both sides of zero (before: above zero)"
    ]
    assert changes(base, conclusion(4, 6)) == [
        "the 90 % intervals of mu do not overlap", "the 90 % intervals of tau do not overlap",
    ]  # fmt: skip


# --- bad input ----------------------------------------------------------------------------------------------


def test_an_analysis_without_partial_pooling_is_refused(tmp_path: Path) -> None:
    asked = analysis_of(schools(), tmp_path, variants=("complete_pooling", "no_pooling"))
    with pytest.raises(ModelError, match="Add partial_pooling to variants"):
        sensitivity(asked, engine=StanliEngine())


def test_nothing_is_concluded_from_a_fit_that_failed_its_checks(tmp_path: Path) -> None:
    bad = fake_fit(diverging=lambda x: x + 1)
    asked = analysis_of(schools(), tmp_path, variants=("partial_pooling",))
    sensitivity = quick_look(asked, {"partial_pooling": bad}, {"partial_pooling": check(bad)})
    assert sensitivity.power is None
    assert sensitivity.influence is None
    assert sensitivity.sentences == (sensitivity.withheld,)
    assert "partial_pooling did not pass its checks (divergences" in sensitivity.withheld


def test_what_a_family_of_ones_own_lacks_is_said(eight: Fit) -> None:
    bare = eight.family.with_fields(group_log_lik=None, new_row=None)
    children = {n: c.to_dataset() for n, c in eight.tree.children.items() if n != "log_likelihood"}
    children["posterior"] = children["posterior"].drop_vars(["lprior", "tau", "tau_raw"])
    poor = replace(eight, family=bare, named=NamedTree.of(xr.DataTree.from_dict(children)))
    power = power_scaling(poor)
    assert set(power.table["component"]) == {"mu"}
    assert list(power.readings["quantity"]) == ["mu"]
    assert any("the posterior holds no draws of them: the priors of tau" in s for s in power.sentences)
    assert any("neither log_lik nor group_log_lik()" in s for s in power.sentences)
    rows = power_scaling(replace(eight, family=bare))
    assert rows.likelihood == "of the rows given their schools"
