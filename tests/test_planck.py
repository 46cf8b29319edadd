"""Planck curves: log densities, the truncated normal, the integral over temperatures, the coverage of the bands."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import erfcx, ndtr
from scipy.stats import norm

from hbm_stan.agreement import compare_draws
from hbm_stan.data import Dataset, load
from hbm_stan.engines import Engine, Sampling
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.errors import DataError
from hbm_stan.families.planck import FAMILY
from hbm_stan.fit import prepare_table
from hbm_stan.model import Evidence
from hbm_stan.program import Program
from hbm_stan.resources import share

SEED = 20261121
SPREAD = 1e-9
N_COLLECTIONS = 40
MODERATE = {"alpha": "gamma(16, 2.67)", "beta": "gamma(16, 5.33)", "sigma": "gamma(9, 18)"}


def small(sizes: tuple[int, ...] = (1, 2, 5), seed: int = SEED, **roles: str) -> Dataset:
    """Spectra whose fluxes lie between 0 and 50."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(len(sizes)), sizes)
    nu, temperature = rng.uniform(1, 8, len(group)), rng.uniform(1, 2.5, len(sizes))[group]
    flux = np.clip(nu**3 / np.expm1(nu / temperature) + rng.normal(0, 0.5, len(group)), 0.1, 49.9)
    frame = pd.DataFrame({"spectrum": [f"s{g}" for g in group], "nu": nu, "flux": flux, "low": 0.05, "high": 49.95})
    return Dataset.from_frame(frame, group="spectrum", frequency="nu", flux="flux", **roles)


def stan_data(dataset: Dataset, variant: str, priors: dict[str, str] | None = None) -> dict[str, Any]:
    table = prepare_table(FAMILY, dataset)
    return FAMILY.stan_data(table, FAMILY.priors(table, priors), variant)


def spread(program: Program, variant: str, data: dict[str, Any]) -> float:
    """How far the engine's log density minus log_joint and the Jacobian is from one constant, over random points."""
    model, rng = StanliEngine().model(program, data), np.random.default_rng(1)
    differences, size = [], 1.0
    for _ in range(25):
        params, jacobian = {}, 0.0
        for d in program.block("parameters"):
            shape = data["J"] if d.dims else ()
            low, high = FAMILY.twin.support(data).get(d.name, (-np.inf, np.inf))
            q = rng.normal(0, 0.7, shape)
            if np.isinf(low):
                params[d.name] = q
            elif np.isinf(high):
                params[d.name], jacobian = np.exp(q), jacobian + np.sum(q)
            else:
                params[d.name] = 1 / (1 + np.exp(-q))
                jacobian += np.sum(np.log(params[d.name] * (1 - params[d.name])))
        q = model.unconstrain({k: np.asarray(v).tolist() for k, v in params.items()})
        ours = FAMILY.twin.log_joint({**params, **FAMILY.twin.transformed(params, data)}, data, variant) + jacobian
        differences.append(model.log_prob_grad(q)[0] - ours)
        size = max(size, abs(ours))
    return float(np.ptp(differences)) / size


@pytest.mark.parametrize("use_likelihood", [0, 1])
@pytest.mark.parametrize("variant", [v.name for v in FAMILY.programs.variants])
def test_log_density_equals_log_joint(variant: str, use_likelihood: int) -> None:
    for sigma in ("exponential(1)", "uniform(0, 3)"):
        data = stan_data(small(), variant, {"sigma": sigma, "sigma_group": sigma}) | {"use_likelihood": use_likelihood}
        assert spread(FAMILY.program(variant), variant, data) < SPREAD


@pytest.mark.parametrize(("f", "sigma"), [(0.0, 0.5), (25.0, 30.0), (50.2, 0.5), (400.0, 0.5), (4e6, 0.5)])
def test_truncated_fluxes_have_the_density_that_is_scored(f: float, sigma: float) -> None:
    data = stan_data(small((1, 1)), "partial_pooling_truncated")
    nu, y = np.array([0.001, 0.001]), np.array([20.0, 30.0])  # nu^2 T = f at frequencies near zero
    draws = {"T": np.full((1, 2), f * 1e6 + 5e-4), "sigma": np.array([sigma])}
    log_lik = FAMILY.twin.pointwise(draws, {**data, "nu": nu, "y": y})
    f = float(nu[0] ** 3 / np.expm1(nu[0] / draws["T"][0, 0]))
    # Dense at both ends; as a ratio to the density at the end that is nearer to f, or at f itself.
    x = np.unique(np.concatenate([np.linspace(0, 50, 100_001), np.geomspace(1e-12, 50, 100_001)]))
    x = np.unique(np.concatenate([x, 50 - x]))
    top = min(f, 50.0)
    exact = -(y - top) * (y + top - 2 * f) / (2 * sigma**2)
    exact -= np.log(np.trapezoid(np.exp(-(x - top) * (x + top - 2 * f) / (2 * sigma**2)), x))
    np.testing.assert_allclose(log_lik[0], exact, rtol=1e-6, atol=1e-6)


def test_replicated_fluxes_stay_in_range_and_follow_the_truncated_normal(stanli: StanliEngine) -> None:
    data = stan_data(small((1, 1)), "partial_pooling_truncated")
    size, rng = 20_000, np.random.default_rng(SEED)
    for f, sigma in ((0.0, 0.5), (25.0, 30.0), (50.2, 0.5), (400.0, 0.5)):
        draws = {"T": np.full((size, 2), f * 1e6 + 5e-4), "sigma": np.full(size, sigma)}
        y = FAMILY.twin.simulate(rng, draws, {**data, "nu": np.array([0.001, 0.001])})
        assert y.min() >= 0
        assert y.max() <= 50
        exact = stats.truncnorm(-f / sigma, (50 - f) / sigma, f, sigma)
        assert stats.kstest(y.ravel(), exact.cdf).pvalue > 1e-3
    drawn = stanli.sample(
        FAMILY.program("partial_pooling_truncated"),
        stan_data(small((5, 5, 8, 8)), "partial_pooling_truncated"),
        Sampling(chains=2, warmup=300, draws=200, seed=SEED),
    )
    flat = {k: v.reshape(-1, *v.shape[2:]) for k, v in drawn.variables.items()}
    data = stan_data(small((5, 5, 8, 8)), "partial_pooling_truncated")
    np.testing.assert_allclose(flat["log_lik"], FAMILY.twin.pointwise(flat, data), rtol=1e-9, atol=1e-9)
    u = np.array([np.mean(flat["y_rep"] <= np.median(FAMILY.twin.simulate(rng, flat, data), axis=0), axis=0)])
    assert np.all(np.abs(u - 0.5) < stats.norm.isf(1e-3 / 52) * np.sqrt(2 * 0.25 / 400))


@pytest.mark.parametrize("variant", ["partial_pooling", "partial_pooling_truncated"])
def test_group_log_lik_is_the_integral_over_temperature(variant: str) -> None:
    data = stan_data(small((1, 2, 5, 20)), variant)
    rng = np.random.default_rng(SEED)
    draws = {"alpha": rng.gamma(4, 1.5, 3), "beta": rng.gamma(6, 0.5, 3), "sigma": np.exp(rng.normal(-0.7, 0.8, 3))}
    draws["alpha"][0], draws["sigma"][1] = 0.2, 0.05
    ours, pointwise = FAMILY.groups.group_log_lik(draws, data), FAMILY.twin.pointwise
    index = data["group_idx"] - 1
    for s in range(3):
        for j in range(4):
            fine = np.log(data["T_fit"][j]) + np.linspace(-0.5, 0.5, 20_001)  # where the likelihood is narrow
            u = np.unique(np.concatenate([np.linspace(-60, 6, 20_001), fine]))
            prior = stats.gamma.logpdf(np.exp(u), draws["alpha"][s], scale=1 / draws["beta"][s]) + u
            rows = index == j
            part = {**data, "nu": data["nu"][rows], "y": data["y"][rows], "group_idx": np.ones(rows.sum(), int)}
            part |= {"y_lower": data["y_lower"][rows], "y_upper": data["y_upper"][rows]}
            log_density = prior + np.concatenate(
                [
                    pointwise({"T": np.exp(c)[:, None], "sigma": np.full(len(c), draws["sigma"][s])}, part).sum(axis=1)
                    for c in np.array_split(u, 20)
                ]
            )
            top = log_density.max()
            exact = top + np.log(np.trapezoid(np.exp(log_density - top), u))
            assert ours[s, j] == pytest.approx(exact, abs=1e-3)


def test_leave_one_out_without_pooling_is_the_integral_over_both_priors() -> None:
    data = stan_data(small((1, 1, 1)), "no_pooling", {"T": "lognormal(0.5, 0.6)", "sigma_group": "gamma(3, 4)"})
    rng = np.random.default_rng(SEED)
    size = 400_000
    draws = {"T": rng.lognormal(0.5, 0.6, (size, 3)), "sigma_group": rng.gamma(3, 1 / 4, (size, 3))}
    density = np.exp(FAMILY.twin.pointwise(draws, data))
    exact = FAMILY.groups.exact_loo(data, "no_pooling")
    z = (density.mean(axis=0) - np.exp(exact)) / (density.std(axis=0) / np.sqrt(size))
    assert np.all(np.abs(z) < stats.norm.isf(1e-3 / 6))
    assert FAMILY.groups.exact_loo(stan_data(small(), "no_pooling"), "no_pooling") is None


def test_the_curve_is_finite_and_exact_at_its_ends(stanli: StanliEngine) -> None:
    data = stan_data(small((1, 1)), "partial_pooling")
    nu = np.array([1e-8, 12.0])
    temperature = np.array([[1e6, 1e-3]])
    draws = {"T": temperature, "sigma": np.array([1e-300])}
    y = FAMILY.twin.simulate(np.random.default_rng(1), draws, {**data, "nu": nu})
    np.testing.assert_allclose(y[0], [1e-16 * 1e6, 0.0], rtol=1e-12, atol=1e-290)
    model = stanli.model(FAMILY.program("partial_pooling"), {**data, "nu": nu})
    for log_temperature in (-300.0, -20.0, 0.0, 20.0):
        value, gradient = model.log_prob_grad(np.array([0.0, 0.0, 0.0, log_temperature, log_temperature]))
        assert np.isfinite(value)
        assert np.all(np.isfinite(gradient))


# How far the curve lies beyond an end of a range from 2 to 50, in sds: to where erfc is cut off (36.77 sds, 26 sqrt(2))
# and far beyond (the short form ends at 35.36); below zero it lies inside, or beyond the other end. The last
# scales make the range narrow, and nearly nothing.
SCALES = [0.01, 0.5, 40.0, 3000.0, 3e7, 1e8, 1e18]
IN_SDS = [-1e4, -400.0, -36.8, -36.7, -34.0, -5.0, -1e-3, 0.0, 0.3, 1.0, 5.0, 34.0, 36.7, 36.8, 100.0, 1000.0, 1e4]
LIBRARY = share("stan") / "lib" / "planck.stanfunctions"


def exact_mass(f: float, sigma: float) -> list[float]:
    """log P(2 < y < 50) of normal(f, sigma), and its derivatives in f and log sigma: by erfcx where f lies beyond."""
    a, b, side = (2 - f) / sigma, (50 - f) / sigma, 1
    if b < 0:
        a, b, side = -b, -a, -1
    if (width := 48 / sigma) < 1e-5:  # normal(t) = normal(middle) exp(-middle (t - middle)) to a part in 1e11 there
        middle = (26 - f) / sigma
        u = middle * width / 2
        slope = u / 3 - u**3 / 45  # coth(u) - 1 / u, of log(sinh(u) / u)
        mass = norm.logpdf(middle) + np.log(width) + np.log1p(u**2 / 6 + u**4 / 120)
        return [mass, (middle - slope * width / 2) / sigma, middle**2 - 1 - 2 * u * slope]
    if a <= 0:
        mass = np.log(ndtr(b) - ndtr(a))
        at_a, at_b = norm.pdf([a, b]) / np.exp(mass)
    else:
        tail, rest = erfcx(a / np.sqrt(2)), np.exp(-(b - a) * (b + a) / 2) * erfcx(b / np.sqrt(2))
        mass = -a * a / 2 + np.log((tail - rest) / 2)
        at_a, at_b = np.sqrt(2 / np.pi) * np.array([1, np.exp(-(b - a) * (b + a) / 2)]) / (tail - rest)
    return [mass, side * (at_a - at_b) / sigma, a * at_a - b * at_b]


def worst_of_mass(functions: str, folder: Path) -> float:
    """The largest relative error of a range's probability and its gradient, by the embedded engine; infinite where nan.

    In the three functions that use it: fluxes with one sigma or more, which have a short form where no row is far out,
    and log densities by row.
    """
    code = f"""functions {{ {functions} }}
    data {{ int form; }}
    parameters {{ real f; real<lower=0> sigma; }}
    model {{
      vector[1] at = rep_vector(f, 1); // a flux on its curve: what is left of the density is 1 / sigma and the range
      vector[1] sds = rep_vector(sigma, 1);
      vector[1] low = rep_vector(2, 1);
      vector[1] high = rep_vector(50, 1);
      real density = form == 0 ? flux_lpdf(at | at, sds, 1, low, high)
                     : form == 1 ? flux_of_one_sigma_lpdf(at | at, sigma, 1, low, high, 48)
                     : flux_log_lik(at, at, sds, 1, low, high)[1];
      target += -density - 0.5 * log(2 * pi()) - 2 * log(sigma); // the Jacobian of its bound is taken back, too
    }}"""
    (folder / "mass.stan").write_text(code)
    models = [StanliEngine().model(Program.read(folder / "mass.stan"), {"form": form}) for form in range(3)]
    worst = 0.0
    for model, sigma, sds, end in product(models, SCALES, IN_SDS, (-2, 50)):
        f = abs(end) + np.sign(end) * sds * sigma
        value, gradient = model.log_prob_grad(np.array([f, np.log(sigma)]))
        exact = np.array(exact_mass(f, sigma))
        errors = np.abs(np.array([value, *gradient]) - exact) / (1 + np.abs(exact))
        worst = max(worst, float(np.nan_to_num(errors, nan=np.inf).max()))
    return worst


def test_the_probability_of_a_range_has_value_and_gradient_in_far_tails(stanli: StanliEngine, tmp_path: Path) -> None:
    assert worst_of_mass(LIBRARY.read_text(), tmp_path) < SPREAD


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("edge = rep_vector(26,", "edge = rep_vector(27,"),  # erfc is zero before it is cut off
        ("edge = rep_vector(26,", "edge = rep_vector(3,"),  # the series is used too early
        ("fmax(low - f, f - high)", "(low - f)"),  # one bound only
        ("w = (high - low)", "w = high"),
        ("sqrt2() * sigma", "sigma"),
        (" || narrowest < 1e-5", ""),  # the difference of equal numbers is taken
        ("log(w) - square(x + 0.5 * w)", "-square(x + 0.5 * w)"),
        ("- square(x + 0.5 * w)", "- square(x)"),
        ("narrowest * scale", "narrowest"),
        ("min(w)", "min(x)"),
        ("rep_vector(1e-5,", "rep_vector(1e-9,"),
        ("max(x) > 25", "max(x) > 27"),  # the short form is used too far out
        ("+ square(edge) - square(fmax(x, edge))", ""),
        (" - num_elements(w) * log2()", ""),
        ("erfc(x + w) + 1e-300", "erfc(x + w) + 1e-200"),
        ("-w .* (2 * x + w)", "-w .* (2 * x)"),
        ("1 - p .* (1", "1 + p .* (1"),  # the sign of the first term of the series
    ],
)
def test_the_check_of_the_range_catches_a_fault(right: str, wrong: str, stanli: StanliEngine, tmp_path: Path) -> None:
    text = LIBRARY.read_text()
    places = text.split(right)
    assert len(places) > 1
    for place in range(1, len(places)):  # of a thing that stands more than once, each is wrong in turn
        broken = right.join(places[:place]) + wrong + right.join(places[place:])
        assert worst_of_mass(broken, tmp_path) > SPREAD


@pytest.mark.parametrize("variant", [v.name for v in FAMILY.programs.variants if v.settings])
def test_truncated_programs_equal_log_joint_in_far_tails(variant: str) -> None:
    for sigma in ("exponential(30)", "exponential(0.01)"):  # rows hundreds of sds beyond the range, and a narrow range
        data = stan_data(small(), variant, {"sigma": sigma, "sigma_group": sigma})
        assert spread(FAMILY.program(variant), variant, data) < SPREAD


def test_truncated_fluxes_take_no_branch_by_row(stanli: StanliEngine) -> None:
    # A branch by row made the gradient 20 times slower where rows differ; without one it is five times the plain one's.
    data, rng = stan_data(small((200, 200, 200)), "partial_pooling") | {"generate": 0}, np.random.default_rng(SEED)
    points = rng.uniform(-2, 2, (20, 6))
    models = [stanli.model(FAMILY.program("partial_pooling"), {**data, "truncated": cut}) for cut in (0, 1)]
    seconds: list[list[float]] = [[], []]
    for _ in range(7):
        for model, times in zip(models, seconds, strict=True):
            start = perf_counter()
            for point in points:
                model.log_prob_grad(point)
            times.append(perf_counter() - start)
    assert min(seconds[1]) < 20 * min(seconds[0])


@pytest.mark.long
def test_both_engines_sample_truncated_fluxes_alike(stanli: StanliEngine, cmdstan: Engine) -> None:
    # Stan 2.27's own gradient of std_normal_lcdf in the far tail held 5 of 12 chains where they began, undiverged.
    from faults import FAULTS

    data = FAULTS["planck_truncated_without_normaliser"].data
    program = FAMILY.program("partial_pooling_truncated")
    drawn = [
        engine.sample(program, data, Sampling(draws=500, adapt_delta=0.95, seed=seed)).variables
        for engine, seed in ((stanli, 1), (cmdstan, 2), (cmdstan, 3))
    ]
    names = ["alpha", "beta", "sigma"]
    ours, *others = (np.stack([d[n] for n in names]) for d in drawn)
    for other in others:
        assert compare_draws(names, ours, other).agrees


def test_raw_estimates_are_the_least_squares_fit_where_there_is_one() -> None:
    nu = np.array([3.0, 3.0, 1.0, 2.0, 4.0, 6.0])
    flux = np.array([-0.2, 5.0, 0.6, 2.2, 9.5, 16.0])
    frame = pd.DataFrame({"g": list("abcccc"), "nu": nu, "flux": flux})
    dataset = Dataset.from_frame(frame, group="g", frequency="nu", flux="flux")
    raw, se = FAMILY.groups.raw(stan_data(dataset, "no_pooling"))
    assert np.isnan(raw[0])
    assert np.isnan(se[0])
    assert 27 / np.expm1(3 / raw[1]) == pytest.approx(5.0)
    from scipy.optimize import curve_fit

    estimates, covariance = curve_fit(lambda x, t: x**3 / np.expm1(x / t), nu[2:], flux[2:], 1.5)
    assert raw[2] == pytest.approx(estimates[0], rel=1e-6)
    assert se[2] == pytest.approx(np.sqrt(covariance[0, 0]), rel=1e-3)


def test_bounds_are_read_checked_and_widened() -> None:
    data = stan_data(small(lower="low", upper="high"), "partial_pooling_truncated")
    assert (data["y_lower"][0], data["y_upper"][0], data["truncated"]) == (0.05, 49.95, 1)
    frame = pd.DataFrame({"g": ["a", "b"], "nu": [1.0, 2.0], "flux": [-0.5, 60.2], "low": 0.0})
    wide = stan_data(Dataset.from_frame(frame, group="g", frequency="nu", flux="flux"), "partial_pooling")
    assert (wide["y_lower"][0], wide["y_upper"][0]) == (-1, 61)
    with pytest.raises(DataError, match=r"the flux -0\.5 does not lie between"):
        stan_data(Dataset.from_frame(frame, group="g", frequency="nu", flux="flux", lower="low"), "partial_pooling")


def test_findings_show_curves_points_and_truth() -> None:
    table = prepare_table(FAMILY, load("planck", {"group": "spectrum", "frequency": "frequency", "flux": "flux"}))
    data = FAMILY.stan_data(table, FAMILY.priors(table), "partial_pooling")
    draws = {"T": np.random.default_rng(SEED).gamma(6, 1 / 3, (50, 20))}
    (finding,) = FAMILY.words.findings(
        Evidence(
            variant="partial_pooling", draws=draws, data=data, table=table, options={}, rng=np.random.default_rng(1)
        )
    )
    assert finding.curves is not None
    assert finding.points is not None
    assert set(finding.points["kind"]) == {"observed", "truth"}
    assert finding.curves["panel"].nunique() == 20
    assert (finding.curves["q10"] <= finding.curves["q90"]).all()


def coverage(n_collections: int, seed: int, stanli: StanliEngine) -> tuple[int, dict[str, int]]:
    """How often 50 % and 80 % intervals of T, of the curve at 5 and of a new flux there hold the truth.

    All parameters are drawn from the priors. One spectrum of each collection is counted, so that counts are
    independent. The curve rises with T at every frequency: its interval holds the truth where that of T does.
    """
    rng, inside = (
        np.random.default_rng(seed),
        {f"{what} {level} %": 0 for what in ("T", "curve", "flux") for level in (50, 80)},
    )
    sizes = np.array([1, 1, 2, 3, 5, 8, 12, 20])
    group = np.repeat(np.arange(8), sizes)
    for i in range(n_collections):
        alpha, beta, sigma = rng.gamma(16, 1 / 2.67), rng.gamma(16, 1 / 5.33), rng.gamma(9, 1 / 18)
        truth, nu = rng.gamma(alpha, 1 / beta, 8), rng.uniform(0.1, 12, len(group))
        flux = rng.normal(nu**3 / np.expm1(nu / truth[group]), sigma)
        frame = pd.DataFrame({"g": [f"s{g}" for g in group], "nu": nu, "flux": flux})
        data = stan_data(
            Dataset.from_frame(frame, group="g", frequency="nu", flux="flux"), "partial_pooling", MODERATE
        ) | {"generate": 0}
        settings = Sampling(chains=2, warmup=300, draws=300, seed=i + 1)
        drawn = stanli.sample(FAMILY.program("partial_pooling"), data, settings).variables
        j, x = i % 8, 5.0
        temperature = drawn["T"][:, :, j].ravel()
        curve, true_curve = x**3 / np.expm1(x / temperature), x**3 / np.expm1(x / truth[j])
        for what, value, draws in (
            ("T", truth[j], temperature),
            ("curve", true_curve, curve),
            ("flux", rng.normal(true_curve, sigma), rng.normal(curve, drawn["sigma"].ravel())),
        ):
            for level in (50, 80):
                low, high = np.quantile(draws, [0.5 - level / 200, 0.5 + level / 200])
                inside[f"{what} {level} %"] += int(low <= value <= high)
    return n_collections, inside


def outside_its_band(n: int, inside: dict[str, int]) -> dict[str, int]:
    """The counts that lie outside the central 99.9 % of their binomial distribution."""
    return {
        name: count for name, count in inside.items()
        if not stats.binom.ppf(5e-4, n, int(name.split()[1]) / 100) <= count
        <= stats.binom.ppf(1 - 5e-4, n, int(name.split()[1]) / 100)
    }  # fmt: skip


def test_bands_cover_the_truth_as_often_as_they_say(stanli: StanliEngine) -> None:
    assert outside_its_band(*coverage(N_COLLECTIONS, SEED, stanli)) == {}
