"""Posteriors against quadrature, on both engines: means, sds and quantiles of mu, tau and every theta."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import quadrature
from scipy.stats import norm

from hbm_stan.attempts import fit
from hbm_stan.data import Dataset
from hbm_stan.diagnose import check
from hbm_stan.engines import Engine, Sampling
from hbm_stan.families import family
from hbm_stan.fit import Fit

REFERENCE = Path(__file__).parent / "reference"
STATISTICS = ("mean", "sd", "q05", "q50", "q95")
SAMPLING = Sampling(draws=5000, adapt_delta=0.95, seed=20261121)
FAMILY_ERROR = 1e-3

# (tau prior, its arguments, mu prior): posteriordb's; BDA3's flat priors, as wide proper ones; Gelman (2006); a
# weakly informative half-normal; a half-Student-t.
PRIORS = {
    "posteriordb": ("half_cauchy", (5.0,), (0.0, 5.0)),
    "BDA3": ("uniform", (0.0, 1000.0), (0.0, 1000.0)),
    "Gelman 2006": ("half_cauchy", (25.0,), (0.0, 100.0)),
    "half-normal": ("half_normal", (10.0,), (8.0, 25.0)),
    "half-Student-t": ("half_student_t", (4.0, 10.0), (0.0, 20.0)),
}
GOOD_EVERYWHERE = ("partial_pooling", "partial_pooling_noncentered")
N_COMPARISONS = len(PRIORS) * len(GOOD_EVERYWHERE) * 10 * len(STATISTICS)


def dataset(y: np.ndarray = quadrature.Y, se: np.ndarray = quadrature.SE) -> Dataset:
    frame = pd.DataFrame({"school": list(quadrature.LABELS), "effect": y, "se": se})
    return Dataset.from_frame(frame, group="school", estimate="effect", standard_error="se")


def priors(tau: str, tau_args: tuple[float, ...], mu: tuple[float, float]) -> dict[str, str]:
    return {"mu": f"normal({mu[0]}, {mu[1]})", "tau": f"{tau}({', '.join(map(str, tau_args))})"}


def differences(fit: Fit, truth: dict[str, dict[str, float]]) -> dict[str, float]:
    """(estimate - truth) / MCSE for every statistic of every parameter."""
    table = check(fit).summary
    return {
        f"{statistic} of {name}": (table.loc[name, statistic] - truth[name][statistic])
        / table.loc[name, f"mcse_{statistic}"]
        for name in truth
        for statistic in STATISTICS
    }


def moved(z: dict[str, float], n_comparisons: int) -> dict[str, float]:
    """The statistics that differ by more than chance allows, given how many are compared."""
    limit = norm.isf(FAMILY_ERROR / (2 * n_comparisons))
    return {name: round(value, 1) for name, value in z.items() if not abs(value) < limit}


@pytest.mark.parametrize("name", PRIORS)
@pytest.mark.parametrize("variant", GOOD_EVERYWHERE)
def test_partial_pooling_equals_quadrature(engine: Engine, variant: str, name: str) -> None:
    tau, tau_args, mu = PRIORS[name]
    schools_fit = fit(
        "normal_means", dataset(), variant, priors=priors(tau, tau_args, mu), sampling=SAMPLING, engine=engine
    )
    truth = quadrature.exact(tau, tau_args, mu).summaries()
    assert moved(differences(schools_fit, truth), N_COMPARISONS) == {}


def test_all_three_parameterisations_agree_where_the_centered_one_samples_well(engine: Engine) -> None:
    # On eight schools itself no setting makes the centered program reliable (with adapt_delta 0.999 it still diverges
    # in every run, and its 5 % quantile of tau is off by up to hundreds of MCSE), which test_diagnose shows to be
    # caught. With standard errors of a fifth, groups are measured well and it may be compared.
    se = quadrature.SE / 5
    truth = quadrature.exact("half_normal", (20.0,), (0.0, 20.0), se=se).summaries()
    for variant in ("partial_pooling", "partial_pooling_noncentered", "partial_pooling_centered"):
        schools_fit = fit(
            "normal_means", dataset(se=se), variant, priors=priors("half_normal", (20.0,), (0.0, 20.0)),
            sampling=SAMPLING, engine=engine,
        )  # fmt: skip
        assert moved(differences(schools_fit, truth), 150) == {}, variant


def test_complete_and_no_pooling_equal_their_closed_forms(engine: Engine) -> None:
    chosen = {"mu": "normal(0, 5)", "theta": "normal(3, 50)"}
    z: dict[str, float] = {}
    for variant, names, (mean, sd) in (
        (
            "complete_pooling",
            ["mu"],
            conjugate(0, 5, np.sum(quadrature.Y / quadrature.SE**2), np.sum(1 / quadrature.SE**2)),
        ),
        (
            "no_pooling",
            [f"theta[{s}]" for s in quadrature.LABELS],
            conjugate(3, 50, quadrature.Y / quadrature.SE**2, 1 / quadrature.SE**2),
        ),
    ):
        schools_fit = fit("normal_means", dataset(), variant, priors=chosen, sampling=SAMPLING, engine=engine)
        rows = zip(names, np.atleast_1d(mean), np.atleast_1d(sd), strict=True)
        truth = {
            n: {"mean": m, "sd": s} | {q: norm.ppf(p, m, s) for q, p in quadrature.QUANTILES.items()}
            for n, m, s in rows
        }
        z |= differences(schools_fit, truth)
    assert moved(z, len(z)) == {}


def conjugate(
    location: float, scale: float, weighted_sum: np.ndarray, precision: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Posterior mean and sd of a normal mean with known variances."""
    total = precision + 1 / scale**2
    return (weighted_sum + location / scale**2) / total, np.sqrt(1 / total)


def test_the_comparison_catches_a_wrong_prior_scale(stanli: Engine) -> None:
    # Planted fault: half-Cauchy(0, 5) sampled, half-Cauchy(0, 6) claimed.
    schools_fit = fit(
        "normal_means", dataset(), priors=priors("half_cauchy", (5.0,), (0.0, 5.0)), sampling=SAMPLING, engine=stanli
    )
    wrong = quadrature.exact("half_cauchy", (6.0,), (0.0, 5.0)).summaries()
    assert "mean of tau" in moved(differences(schools_fit, wrong), N_COMPARISONS)


@pytest.mark.parametrize(
    ("name", "file"),
    [("posteriordb", "eight_schools-normal5_halfcauchy5.json"), ("BDA3", "eight_schools-flat_flat.json")],
)
def test_our_quadrature_equals_an_independent_one(name: str, file: str) -> None:
    # Foreign answers: Gauss-Legendre on another grid, by other hands; see tests/reference/README.md.
    theirs = json.loads((REFERENCE / file).read_text())["posteriors"][0]["parameters"]
    ours = quadrature.exact(*PRIORS[name]).summaries()
    assert set(ours) == set(theirs)
    for parameter, row in theirs.items():
        for statistic, value in row.items():
            within = 1e-4 * ours[parameter]["sd"]
            assert ours[parameter][statistic] == pytest.approx(value, abs=within), (parameter, statistic)


def test_one_dimensional_quadrature_equals_two_dimensional() -> None:
    ours = quadrature.exact(*PRIORS["posteriordb"]).summaries()
    for name, (mean, sd) in quadrature.brute_force(*PRIORS["posteriordb"]).items():
        assert ours[name]["mean"] == pytest.approx(mean, abs=1e-6)
        assert ours[name]["sd"] == pytest.approx(sd, abs=1e-6)


def test_default_priors_are_weak_on_the_scale_of_the_data() -> None:
    # Rescaling the outcome rescales the priors alike, so the posterior does not depend on the unit.
    from hbm_stan.fit import prepare_table

    model = family("normal_means")
    points = model.priors(prepare_table(model, dataset()))
    hundredths = model.priors(prepare_table(model, dataset(quadrature.Y * 100, quadrature.SE * 100)))
    for name in points:
        assert hundredths[name].arguments == pytest.approx([100 * a for a in points[name].arguments])
    assert points["tau"].arguments[-1] >= np.std(quadrature.Y, ddof=1) * 0.99


def test_default_priors_are_centred_on_estimates_that_lie_far_from_zero() -> None:
    # Rounding the centre by its own size once gave mu ~ normal(1000, 0.2) for estimates of 1012.3 to 1012.5.
    from hbm_stan.fit import prepare_table

    model = family("normal_means")
    y = 1012.3 + 0.2 * np.arange(8) / 7
    centre, scale = model.priors(prepare_table(model, dataset(y, np.full(8, 0.01))))["mu"].arguments
    assert abs(centre - y.mean()) < 0.05 * scale
