"""The known posteriors in tests/reference: well formed, of the data that they name, right by a second source, remade.

``hbm verify`` fits every program to them; here they are checked themselves.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import gaussian_quadrature as gaussian
import known_curves
import known_events
import known_formulas
import known_maps
import known_missing
import known_ordered
import known_posteriors
import known_quadratures
import known_regressions
import known_streams
import numpy as np
import pandas as pd
import pytest
import quadrature
from known_posteriors import BUILDERS, REFERENCE, data_of, frame
from scipy import stats
from scipy.special import expit
from scipy.stats import norm

from hbm_stan.agreement import compare_with_reference
from hbm_stan.attempts import fit
from hbm_stan.diagnose import parameters
from hbm_stan.engines import Engine, Sampling
from hbm_stan.families import families, family
from hbm_stan.fit import prepare_table
from hbm_stan.priors import Prior
from hbm_stan.reading import KEYS
from hbm_stan.reference import read_reference, shipped

STATISTICS = ("mean", "sd", "q05", "q50", "q95")
NAMES = sorted(path.stem for path in REFERENCE.glob("*.json"))
KINDS = {"closed form", "quadrature", "foreign"}
FAMILY_ERROR = 1e-3
# Made anew here; the others take from ten seconds to a minute each (``tests/tools/make_references.py`` makes all).
FAST = (
    "eight_schools-conjugate", "eight_schools-known_tau", "eight_schools-lognormal", "eight_schools-gamma",
    "eight_schools_precise", "baseball-conjugate", "clinics-beta_8_12", "pumps-conjugate", "dyestuff-known_scales",
    "dyestuff_near-half_normal", "pastes-known_scales", "sleepstudy-not_partial", "penicillin-crossed_known_scales",
    "penicillin-crossed_sampled",
    "bcg-latitude_known_scale",
)  # fmt: skip


@cache
def contents(name: str) -> dict[str, Any]:
    reference: dict[str, Any] = json.loads((REFERENCE / f"{name}.json").read_text(encoding="utf-8"))
    return reference


def rows(reference: dict[str, Any]) -> Iterator[tuple[str, dict[str, float]]]:
    for posterior in reference["posteriors"]:
        yield from posterior["parameters"].items()


def table_of(name: str) -> tuple[Any, Any, Any]:
    """Family, prepared data and priors of a reference."""
    reference = read_reference(REFERENCE / f"{name}.json")
    model = family(reference.family)
    table = prepare_table(model, reference.dataset())
    return model, table, model.priors(table, reference.priors)


def test_every_family_has_a_reference_that_needs_no_sampler() -> None:
    exact = {
        (contents(n)["family"], v)
        for n in NAMES
        if contents(n)["exact"]
        for p in contents(n)["posteriors"]
        for v in p["variants"]
    }
    missing = {(f.name, v.name) for f in families().values() for v in f.programs.variants} - exact
    # Truncated fluxes are checked by their density, their calibration and both engines; so is the non-centered form of
    # Planck curves, which does not mix on these spectra (R-hat says so).
    truncated = {("planck", f"{p}_pooling_truncated") for p in ("complete", "no", "partial")}
    assert missing == {*truncated, ("planck", "partial_pooling_noncentered")}


@pytest.mark.parametrize("name", NAMES)
def test_a_reference_is_well_formed(name: str) -> None:
    reference = contents(name)
    assert reference["format"] == 1
    assert reference["kind"] in KINDS
    assert all(len(reference[key]) > 10 for key in ("title", "source", "method"))
    for parameter, row in rows(reference):
        assert set(row) <= {*STATISTICS, *(f"mcse_{s}" for s in STATISTICS)}, parameter
        assert all(math.isfinite(x) for x in row.values()), parameter
        assert row["q05"] < row["q50"] < row["q95"], parameter
        if "sd" in row:
            assert row["sd"] > 0, parameter
            assert (row["q95"] - row["q05"]) / row["sd"] == pytest.approx(3.29, abs=0.9), parameter
        if "mean" in row:
            assert row["q05"] < row["mean"] < row["q95"], parameter
        errors = [row.get(f"mcse_{s}", 0.0) for s in STATISTICS if s in row]
        assert all(e == 0 for e in errors) if reference["exact"] else all(e > 0 for e in errors), parameter
    assert len({v for p in reference["posteriors"] for v in p["variants"]}) == sum(
        len(p["variants"]) for p in reference["posteriors"]
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_reference_is_of_the_data_and_priors_that_it_names(name: str) -> None:
    reference = contents(name)
    model, table, priors = table_of(name)
    data = reference["data"]
    reading = {key: data[key] for key in KEYS if key in data}
    assert data == data_of(data.get("dataset") or Path(data["file"]).name, data["columns"], **reading)
    assert table.dataset.table.n_rows == data["rows"]
    labels = {label for values in model.coordinates(table).values() for label in map(str, values)}
    for posterior in reference["posteriors"]:
        for variant in posterior["variants"]:
            used = model.priors_of(variant, priors)
            written = {n for n in used if n in reference["priors"] or n.partition("[")[0] in reference["priors"]}
            # A default prior may change; a reference says all that its variants use. One term has no correlation.
            assert written == set(used), variant
        for parameter in posterior["parameters"]:
            base, _, label = parameter.removesuffix("]").partition("[")
            assert base in {*model.programs.population, *model.programs.dims, model.groups.group_quantity}, parameter
            assert not label or label in labels or all(part in labels for part in label.split(", ")), parameter


def test_the_reader_of_the_package_takes_all_of_them() -> None:
    assert sorted(r.path.stem for r in shipped(REFERENCE)) == NAMES


def close(ours: dict[str, Any], theirs: dict[str, Any], relative: float) -> dict[str, float]:
    """Statistics that differ by more than this, in sds (or, where there is none, in a third of the 90 % interval)."""
    distances = {}
    for a, b in zip(ours["posteriors"], theirs["posteriors"], strict=True):
        assert a["variants"] == b["variants"]
        assert set(a["parameters"]) == set(b["parameters"])
        for parameter, row in a["parameters"].items():
            other = b["parameters"][parameter]
            assert set(row) == set(other)
            scale = row.get("sd", (row["q95"] - row["q05"]) / 3)
            distances |= {f"{s} of {parameter}": abs(row[s] - other[s]) / scale for s in row}
    return {what: off for what, off in distances.items() if off > relative}


@pytest.mark.parametrize("name", FAST)
def test_a_reference_is_what_the_maker_makes(name: str) -> None:
    reference = BUILDERS[name]()
    assert close(reference, contents(name), 1e-6) == {}
    assert {k: v for k, v in reference.items() if k != "posteriors"} == {
        k: v for k, v in contents(name).items() if k != "posteriors"
    }


def test_all_files_but_the_foreign_ones_have_a_maker() -> None:
    assert known_regressions.__name__  # which register some
    assert known_curves.__name__
    assert known_formulas.__name__
    assert known_events.__name__
    assert known_maps.__name__
    assert known_missing.__name__
    assert known_ordered.__name__
    assert known_streams.__name__
    assert set(BUILDERS) == {name for name in NAMES if contents(name)["kind"] != "foreign"}


def test_the_data_made_from_shipped_ones_are_what_the_maker_makes() -> None:
    for name, make in known_quadratures.TABLES.items():
        pd.testing.assert_frame_equal(make(), frame(name), check_dtype=False)


def test_the_comparison_with_the_maker_catches_planted_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    right = contents("eight_schools-lognormal")
    swapped = json.loads(json.dumps(right))
    own = swapped["posteriors"][0]["parameters"]
    own["theta[A]"], own["theta[C]"] = own["theta[C]"], own["theta[A]"]
    assert "mean of theta[A]" in close(right, swapped, 1e-6)
    wrong = ("lognormal", (1.5, 0.801), (0.0, 20.0))  # a prior scale off by a thousandth
    monkeypatch.setitem(known_quadratures.SCALE_PRIORS, "lognormal", wrong)
    assert "mean of tau" in close(BUILDERS["eight_schools-lognormal"](), right, 1e-6)


# A second source.


def z_of(theirs: dict[str, dict[str, float]], ours: dict[str, dict[str, float]]) -> dict[str, float]:
    """(theirs - ours) / their Monte Carlo error."""
    return {
        f"{s} of {name}": (row[s] - ours[name][s]) / row[f"mcse_{s}"]
        for name, row in theirs.items()
        for s in STATISTICS
    }


def moved(z: dict[str, float]) -> dict[str, float]:
    limit = norm.isf(FAMILY_ERROR / (2 * len(z)))
    return {what: round(value, 1) for what, value in z.items() if not abs(value) < limit}


def regression(name: str, without_priors: bool = False) -> dict[str, dict[str, float]]:
    """Complete pooling of a linear regression by quadrature, from the data and priors that its file names."""
    model, table, priors = table_of(name)
    terms = model.programs.coords(table)["term"]
    x = np.column_stack([np.ones(table.n_rows), table.predictors["predictors"].values])
    location, scale = np.array([priors[f"mu[{term}]"].arguments for term in terms]).T
    sigma: Prior = priors["sigma"]
    if without_priors:
        location, scale = np.zeros(len(terms)), 1e4 * scale

    def log_prior(sd: np.ndarray) -> np.ndarray:
        flat = without_priors and sigma.distribution == "uniform"
        return np.zeros_like(sd) if flat else sigma.log_density(sd)

    y = table["outcome"]
    rest = float(np.std(y - x @ np.linalg.lstsq(x, y, rcond=None)[0]))
    means, sd = gaussian.regression(x, y, location, scale, log_prior, (rest / 3, rest * 4))
    return {f"mu[{term}]": row for term, row in zip(terms, means, strict=True)} | {"sigma": sd}


POOLED = [n for n in NAMES if contents(n)["family"] == "linear_regression" and contents(n)["kind"] == "foreign"
          and contents(n)["posteriors"][0]["variants"] == ["complete_pooling"]]  # fmt: skip


@pytest.mark.parametrize("name", POOLED)
def test_regressions_of_others_equal_quadrature(name: str) -> None:
    theirs, ours = contents(name)["posteriors"][0]["parameters"], regression(name)
    if contents(name)["exact"]:
        off = {(p, s): abs(row[s] - ours[p][s]) / row["sd"] for p, row in theirs.items() for s in STATISTICS}
        assert max(off.values()) < 1e-4
        return
    z = z_of(theirs, ours)
    # Shares of draws below a quantile are compared elsewhere; here a quantile's own error is all there is, which is
    # small where the quantile came out small: it is compared for the mean and the sd only.
    assert moved({what: value for what, value in z.items() if what.startswith(("mean", "sd"))}) == {}
    far = [abs(v) for what, v in z.items() if what.startswith("q")]
    assert np.sqrt(np.mean(np.square(far))) < 2


@pytest.mark.parametrize("name", [n for n in POOLED if "flat priors" in contents(n)["method"]])
def test_wide_priors_in_place_of_flat_ones_change_nothing(name: str) -> None:
    ours, flat = regression(name), regression(name, without_priors=True)
    off = {(p, s): abs(row[s] - ours[p][s]) / row["sd"] for p, row in flat.items() for s in STATISTICS}
    assert max(off.values()) < 2e-4, max(off, key=lambda k: off[k])


def test_posteriordb_s_draws_of_eight_schools_equal_quadrature() -> None:
    theirs = contents("eight_schools-posteriordb_draws")["posteriors"][0]["parameters"]
    assert moved(z_of(theirs, quadrature.exact().summaries())) == {}
    # A planted fault: two schools exchanged.
    a, c = theirs["theta[A]"], theirs["theta[C]"]
    assert "mean of theta[A]" in moved(z_of({**theirs, "theta[A]": c, "theta[C]": a}, quadrature.exact().summaries()))


@pytest.mark.parametrize(
    ("name", "tau", "arguments", "mu"),
    [
        ("eight_schools-normal5_halfcauchy5", "half_cauchy", (5.0,), (0.0, 5.0)),
        ("eight_schools-flat_flat", "uniform", (0.0, 1000.0), (0.0, 1000.0)),
    ],
)
def test_exact_figures_of_others_equal_quadrature(
    name: str, tau: str, arguments: tuple[float, ...], mu: tuple[float, float]
) -> None:
    ours = quadrature.exact(tau, arguments, mu).summaries()
    for parameter, row in contents(name)["posteriors"][0]["parameters"].items():
        sd = ours[parameter]["sd"]
        assert all(abs(row[s] - ours[parameter][s]) < 1.5e-4 * sd for s in row), parameter


def test_bcg_of_others_equals_quadrature() -> None:
    given = frame("bcg")
    y, se = given["log_risk_ratio"].to_numpy(), given["standard_error"].to_numpy()
    ours = quadrature.exact("half_normal", (1.0,), (0.0, 1.0), y, se).summaries(tuple(given["trial_name"]))
    for parameter, row in contents("bcg")["posteriors"][0]["parameters"].items():
        assert all(abs(row[s] - ours[parameter][s]) < 1e-3 * row["sd"] for s in STATISTICS), parameter


def test_clinics_have_the_rates_that_arithmetic_gives() -> None:
    for posterior in contents("clinics-beta_8_12")["posteriors"]:
        assert posterior["parameters"]["theta[Clinic 01]"]["mean"] == pytest.approx(9 / 22, abs=1e-9)
        assert posterior["parameters"]["theta[Clinic 02]"]["mean"] == pytest.approx(58 / 120, abs=1e-9)


def test_a_normal_mean_of_many_rows_is_student_s_t_under_flat_priors() -> None:
    # The rule over sigma against its closed form: flat mu and 1/sigma give t with n - 1 degrees of freedom.
    y = np.array([3.1, 4.0, 2.2, 5.3, 4.4, 3.0, 2.7])
    means, sigma = gaussian.regression(
        np.ones((7, 1)), y, np.zeros(1), np.full(1, 1e6), lambda s: -np.log(s), (0.05, 200)
    )
    exact = stats.t(6, y.mean(), y.std(ddof=1) / np.sqrt(7))
    for q, p in quadrature.QUANTILES.items():
        assert means[0][q] == pytest.approx(exact.ppf(p), rel=1e-8)
    # sigma^2 is then scaled inverse chi-squared
    assert sigma["q50"] == pytest.approx(np.sqrt(6 * y.var(ddof=1) / stats.chi2(6).ppf(0.5)), rel=1e-6)


def test_grids_of_log_odds_equal_beta_posteriors() -> None:
    # An intercept alone whose logistic prior is a uniform one of the rate: p = expit(b) is then beta.
    from grid_quadrature import summaries

    def log_density(points: np.ndarray) -> np.ndarray:
        p = expit(points[0])
        return np.asarray(8 * np.log(p) + 4 * np.log1p(-p))  # 7 of 10, times p (1 - p), the Jacobian

    ours = summaries(log_density, (0.0,), (expit,), reach=20.0)[0]
    exact = known_posteriors.of(stats.beta(8, 4))
    assert ours == pytest.approx(exact, rel=1e-7)


def test_a_grid_that_is_too_coarse_for_a_peak_is_refused() -> None:
    # A narrow peak on a wide foot, as of a temperature without pooling: 700 nodes over both once moved a median by half
    # the width of the peak.
    from grid_quadrature import of_axis

    axis = np.linspace(-8, 6, 700)
    with pytest.raises(ValueError, match="too coarse"):
        of_axis(axis, norm.pdf(axis, 0.77, 0.005), np.exp)


def test_a_fit_is_compared_and_a_swapped_label_or_wrong_prior_is_caught(stanli: Engine) -> None:
    reference = read_reference(REFERENCE / "eight_schools-half_normal.json")
    posterior = reference.posterior("partial_pooling")
    sampling = Sampling(draws=5000, adapt_delta=0.95, seed=20261121)
    dataset = reference.dataset()
    schools_fit = fit(
        "normal_means", dataset, "partial_pooling", priors=reference.priors, sampling=sampling, engine=stanli
    )
    assert compare_with_reference(*parameters(schools_fit), posterior.table).agrees
    exchanged = posterior.table.rename(index={"theta[A]": "theta[C]", "theta[C]": "theta[A]"})
    assert "theta[A]" in set(compare_with_reference(*parameters(schools_fit), exchanged).moved["parameter"])
    wrong = {**reference.priors, "tau": "half_normal(12)"}
    other = fit("normal_means", dataset, "partial_pooling", priors=wrong, sampling=sampling, engine=stanli)
    assert "tau" in set(compare_with_reference(*parameters(other), posterior.table).moved["parameter"])
