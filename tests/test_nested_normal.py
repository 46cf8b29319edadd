"""Nested normal data: pastes against quadrature and published results, and what belongs to this family alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from contract import short_run, with_program
from faults import FAULTS
from nested_quadrature import exact
from scipy import stats
from scipy.optimize import minimize
from test_truth import differences, moved

from hbm_stan.attempts import fit
from hbm_stan.data import Dataset
from hbm_stan.density import short_run as run_shortly
from hbm_stan.engines import Engine, Sampling
from hbm_stan.errors import DataError
from hbm_stan.families import family
from hbm_stan.fit import prepare_table
from hbm_stan.model import Evidence

ROOT = Path(__file__).parents[1]
FAMILY = family("nested_normal")
FRAME = pd.read_csv(ROOT / "data" / "pastes" / "data.csv")
CUBE = FRAME["strength"].to_numpy(dtype=float).reshape(10, 3, 2)
THEIRS = json.loads((Path(__file__).parent / "reference" / "other" / "pastes-lme4.json").read_text())["parameters"]
PRIORS = {"mu": "normal(60, 10)", "tau": "half_normal(3)", "tau_unit": "half_normal(3)", "sigma": "half_normal(3)"}
SAMPLING = Sampling(draws=5000, adapt_delta=0.95, seed=20261121)


def dataset(frame: pd.DataFrame = FRAME, columns: tuple[str, str, str] = ("batch", "sample", "strength")) -> Dataset:
    return Dataset.from_frame(frame, dict(zip(("group", "unit", "outcome"), columns, strict=True)))


def data_of(source: Dataset, variant: str = "partial_pooling") -> dict[str, Any]:
    table = prepare_table(FAMILY, source)
    return FAMILY.stan_data(table, FAMILY.priors(table), variant)


def test_partial_pooling_equals_quadrature(stanli: Engine) -> None:
    # The centered form is left out here: tau may be near 0, where it has a funnel.
    prior = stats.halfnorm(scale=3).logpdf
    truth = exact(CUBE, (prior, prior, prior), (60, 10), ((1e-5, 25), (0.8, 12), (0.4, 2.5)))
    # A draw of the noncentered form takes five times as long, and 2,000 show the same wrong prior scales as 5,000.
    for variant, draws in {"partial_pooling": 5000, "partial_pooling_noncentered": 2000}.items():
        sampling = replace(SAMPLING, draws=draws)
        nested_fit = fit(FAMILY, dataset(), variant, priors=PRIORS, sampling=sampling, engine=stanli)
        z = differences(nested_fit, truth)
        assert moved(z, 2 * len(z)) == {}, variant


def test_the_centered_form_agrees_where_it_samples_well(stanli: Engine) -> None:
    # Batches moved apart from each other fivefold: tau is then far from 0.
    far = CUBE + 4 * (CUBE.mean(axis=(1, 2)) - CUBE.mean())[:, None, None]
    prior = stats.halfnorm(scale=10).logpdf
    truth = exact(far, (prior, prior, prior), (60, 30), ((0.5, 60), (0.8, 12), (0.4, 2.5)))
    chosen = {"mu": "normal(60, 30)", **dict.fromkeys(("tau", "tau_unit", "sigma"), "half_normal(10)")}
    source = dataset(FRAME.assign(strength=far.ravel()))
    for variant in ("partial_pooling", "partial_pooling_centered"):
        nested_fit = fit(FAMILY, source, variant, priors=chosen, sampling=SAMPLING, engine=stanli)
        z = differences(nested_fit, truth)
        assert moved(z, 2 * len(z)) == {}, variant


def test_the_comparison_catches_a_wrong_prior_scale(stanli: Engine) -> None:
    # Planted fault: half-normal(0, 3) of tau sampled, half-normal(0, 4) claimed.
    prior, wrong = (stats.halfnorm(scale=s).logpdf for s in (3, 4))
    truth = exact(CUBE, (wrong, prior, prior), (60, 10), ((1e-5, 25), (0.8, 12), (0.4, 2.5)))
    nested_fit = fit(FAMILY, dataset(), "partial_pooling", priors=PRIORS, sampling=SAMPLING, engine=stanli)
    assert "mean of tau" in moved(differences(nested_fit, truth), 20)


def dense(data: dict[str, Any], mu: float, tau: float, tau_unit: float, sigma: float) -> np.ndarray:
    """log p(rows of each group), from the covariance matrix of its rows written out."""
    log_densities = []
    for j in range(data["J"]):
        rows = np.flatnonzero(data["group_idx"] == j + 1)
        unit = data["unit_idx"][rows]
        covariance = tau**2 + tau_unit**2 * (unit[:, None] == unit) + sigma**2 * np.eye(len(rows))
        log_densities.append(stats.multivariate_normal.logpdf(data["y"][rows], np.full(len(rows), mu), covariance))
    return np.array(log_densities)


def test_group_log_lik_is_the_normal_density_of_all_rows_of_a_group() -> None:
    uneven = FRAME.iloc[[0, 2, 3, 4, 5, 6, 7, *range(12, 25), 30, 31, 40, 59]]
    data = data_of(dataset(uneven))
    for mu, tau, tau_unit, sigma in ((60.0, 1.3, 2.9, 0.8), (55.0, 4.0, 0.1, 3.0), (62.0, 0.01, 1.0, 1.0)):
        draws = {"mu": mu, "tau": tau, "tau_unit": tau_unit, "sigma": sigma}
        ours = FAMILY.need("group_log_lik", "a test")({k: np.array([v]) for k, v in draws.items()}, data)[0]
        np.testing.assert_allclose(ours, dense(data, **draws), rtol=1e-9)
    complete = FAMILY.need("group_log_lik", "a test")({"mu": np.array([60.0]), "sigma": np.array([3.0])}, data)[0]
    np.testing.assert_allclose(complete, dense(data, 60.0, 0.0, 0.0, 3.0), rtol=1e-9)


def test_the_mode_under_flat_priors_is_the_restricted_maximum_likelihood_of_lme4() -> None:
    data = data_of(dataset())

    def of_mu(tau: float, tau_unit: float, sigma: float) -> tuple[float, float, float]:
        """log of the integral over mu, which is normal given the scales, with its mean and sd."""
        scales = {"tau": tau, "tau_unit": tau_unit, "sigma": sigma}
        draws = {"mu": np.array([59.0, 60.0, 61.0])} | {k: np.full(3, v) for k, v in scales.items()}
        below, at, above = FAMILY.need("group_log_lik", "a test")(draws, data).sum(axis=1)
        sd = 1 / np.sqrt(2 * at - below - above)
        slope = (above - below) / 2
        return at + slope**2 * sd**2 / 2 + np.log(sd), 60 + slope * sd**2, sd

    best = minimize(lambda x: -of_mu(*np.exp(x))[0], np.zeros(3), method="Nelder-Mead", tol=1e-10)
    _, mean, se = of_mu(*np.exp(best.x))
    expected = [THEIRS[k] for k in ("tau", "tau_unit", "sigma")]
    np.testing.assert_allclose(np.exp(best.x), expected, atol=5.1e-5)  # half a unit of the last digit printed
    np.testing.assert_allclose([mean, se], [THEIRS["mu"]["estimate"], THEIRS["mu"]["se"]], atol=5.1e-4)


def test_posteriors_of_pastes_lie_about_the_published_estimates(stanli: Engine) -> None:
    # Default priors: half-normal with the sd of all rows, 3.2 or so; the mode of tau is not its median.
    pastes_fit = fit(FAMILY, dataset(), "partial_pooling", sampling=Sampling(seed=20261121), engine=stanli)
    for name, value in (("mu", THEIRS["mu"]["estimate"]), *((k, THEIRS[k]) for k in ("tau", "tau_unit", "sigma"))):
        low, middle, high = np.quantile(pastes_fit.draws(name)[name], [0.25, 0.5, 0.75])
        assert low < value < high or abs(value - middle) < 0.3 * pastes_fit.draws(name)[name].std(), name


def test_the_planted_variation_of_the_gene_is_found(stanli: Engine) -> None:
    frame = pd.read_csv(ROOT / "data" / "gene_expression" / "data.csv")
    truth = pd.read_csv(ROOT / "data" / "gene_expression" / "truth.csv")
    mice_fit = fit(FAMILY, dataset(frame, ("line", "mouse", "log2_expression")), "partial_pooling",
               sampling=Sampling(seed=20261121), engine=stanli)  # fmt: skip
    assert not mice_fit.tree["sample_stats"]["diverging"].any()
    for group, name in (("line_mean", "theta"), ("mouse_mean", "theta_unit")):
        planted = truth.loc[truth["name"] == group, "value"].to_numpy()
        low, high = np.quantile(mice_fit.draws(name)[name], [0.05, 0.95], axis=0)
        inside = int(np.sum((low < planted) & (planted < high)))
        # Fewer than this many of the intervals of 90 % inside: once in a thousand times.
        assert inside >= stats.binom.ppf(1e-3, len(planted), 0.9), name


def test_the_best_design_is_the_textbook_s() -> None:
    # sd of units 2, of rows 4; a unit costs 4, a row 1: sqrt(4 / 1) * 4 / 2 = 4 rows of a unit (Snedecor and Cochran).
    table = prepare_table(FAMILY, dataset())
    draws = {"mu": 60.0, "tau": 1.0, "tau_unit": 2.0, "sigma": 4.0}
    evidence = Evidence(
        variant="partial_pooling", draws={k: np.full(50, v) for k, v in draws.items()}, data=data_of(dataset()),
        table=table, options={"cost_unit": 4.0, "cost_row": 1.0}, rng=np.random.default_rng(1),
    )  # fmt: skip
    split, designs = FAMILY.need("findings", "a test")(evidence)
    assert split.table["share"].tolist() == pytest.approx([100 / 21, 400 / 21, 1600 / 21])
    assert split.sentences[0].startswith("Most of the variance lies between rows of a sample: 76 % (")
    assert "best number of rows of a sample is 4 " in designs.sentences[2]
    # Three casks of two tests cost 18 and give sqrt(4 / 3 + 16 / 6) = 2; two casks of four cost 16 and give 2 as well.
    assert "standard error of 2." in designs.sentences[0]
    assert "2 samples with 4 rows each, for 16" in designs.sentences[1]
    row = designs.table[(designs.table["samples a batch"] == 2) & (designs.table["rows a sample"] == 4)]
    assert row[["cost", "se"]].to_numpy()[0] == pytest.approx([16, 2])


def test_equal_names_of_units_in_two_groups_are_two_units() -> None:
    frame = FRAME.assign(sample=[label.split(":")[1] for label in FRAME["sample"]])
    with pytest.raises(DataError, match="stands in 10 groups"):
        data_of(dataset(frame))
    repeating = Dataset.from_frame(frame, group="batch", unit="sample", outcome="strength", unit_labels="repeat")
    ours, plain = data_of(repeating), data_of(dataset())
    assert ours["M"] == plain["M"] == 30
    np.testing.assert_array_equal(ours["unit_idx"], plain["unit_idx"])


def test_a_row_alone_in_its_group_is_scored_by_its_prior_without_pooling() -> None:
    frame = pd.DataFrame({"batch": list("abcd"), "sample": list("wxyz"), "strength": [1.0, 2.0, 4.0, 9.0]})
    data = data_of(dataset(frame), "no_pooling")
    ours = FAMILY.need("exact_loo", "a test")(data, "no_pooling")
    rng = np.random.default_rng(7)
    location, spread = data["prior_theta"]
    scale = data["prior_sigma"][0]
    sd = np.sqrt(spread**2 + np.sum((scale * rng.normal(size=(2, 200_000))) ** 2, axis=0))
    density = stats.norm.pdf(data["y"][:, None], location, sd)
    error = density.std(axis=1) / density.mean(axis=1) / np.sqrt(20_000)
    assert np.all(np.abs(ours - np.log(density.mean(axis=1))) < 5 * error)


def test_a_value_written_into_every_row_of_its_unit_is_refused() -> None:
    frame = pd.DataFrame({"batch": list("aabb"), "sample": list("xxyy"), "strength": [0.1, 0.1, 0.3, 0.3]})
    with pytest.raises(DataError, match="rows of each unit are all equal"):
        data_of(dataset(frame))


def standardised_units(draws: dict[str, Any], data: Any) -> np.ndarray:
    """Values of units less their mean given theta and their rows, in the sd that they then have, (S, M).

    Gelman & Hill (2007), section 12.5: precisions add up, and means are weighed by them.
    """
    unit, above = np.asarray(data["unit_idx"]) - 1, np.asarray(data["unit_group"]) - 1
    n, total = np.bincount(unit), np.bincount(unit, weights=np.asarray(data["y"]))
    tau_unit, sigma = draws["tau_unit"][:, None], draws["sigma"][:, None]
    precision = 1 / tau_unit**2 + n / sigma**2
    mean = (draws["theta"][:, above] / tau_unit**2 + total / sigma**2) / precision
    return np.asarray((draws["theta_unit"] - mean) * np.sqrt(precision))


def test_units_are_drawn_with_the_spread_that_their_rows_leave() -> None:
    data, draws = short_run("nested_normal", "partial_pooling")
    z = standardised_units(draws, data)
    limit = 5 / np.sqrt(z.size)
    assert abs(z.mean()) < limit
    assert abs(np.mean(z**2) - 1) < limit * np.sqrt(2)
    fault = FAULTS["unit_spread_not_square_rooted"]
    wrong = run_shortly(with_program(FAMILY, fault.variant, fault.program), fault.variant, data, draws=100)
    assert np.mean(standardised_units(wrong, data) ** 2) < 0.9
