"""The Planck study: its simulations, scores, wrong law, single point, cities, and how it is run and written down."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from planck_study import cities, page, runs, single_point, truncation
from planck_study.models import COEFFICIENTS, WRONG_PROGRAM, law_data, priors_of, roles, sample, wrong_curve, wrong_data
from planck_study.scores import of_draws, of_ensemble, scores
from planck_study.spectra import KINDS, PEAK, SIZES, Collection, collection, curve, places, table
from scipy import stats

import hbm_stan as hbm
from hbm_stan.engines import Engine, Sampling
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.families.planck import FAMILY
from hbm_stan.mixing import summarised
from hbm_stan.program import Program
from hbm_stan.store import FitStore

SEED = 20261130

# --- simulations ----------------------------------------------------------------------------------------------------


def test_new_sets_are_what_their_kinds_say() -> None:
    for number in range(1, 21):
        of = collection(number)
        assert tuple(len(s.nu) for s in of.training) == SIZES
        new = {s.kind: s for s in of.new}
        assert tuple(new) == KINDS
        assert [len(new[k].nu) for k in KINDS] == [80, 25, 5, 40, 1, 1]
        temperatures = {k: s.temperature for k, s in new.items()}
        assert min(temperatures, key=temperatures.__getitem__) == "noisy"
        assert max(temperatures, key=temperatures.__getitem__) == "single high"
        assert new["censored"].nu.max() <= 0.8 * PEAK * temperatures["censored"]
        assert new["single high"].nu[0] == pytest.approx(PEAK * temperatures["single high"])
    first, again = collection(3), collection(3)
    assert all((a.flux == b.flux).all() for a, b in zip(first.new, again.new, strict=True))
    assert collection(4).new[0].temperature != first.new[0].temperature


def chance(shape: float, rate: float) -> float:
    """How likely so large a distance of all temperatures from a gamma distribution is, the smaller of both roles."""
    of = [collection(number) for number in range(1, 41)]
    drawn = ([s.temperature for c in of for s in c.training], [s.temperature for c in of for s in c.new])
    return min(stats.kstest(t, stats.gamma(shape, scale=1 / rate).cdf).pvalue for t in drawn)


def test_temperatures_are_those_of_the_population() -> None:
    assert chance(6, 3) > 1e-3
    assert chance(6, 1 / 3) < 1e-3  # planted fault: the scale for the rate
    assert chance(3, 1.5) < 1e-3


def test_errors_have_their_sd() -> None:
    errors = np.concatenate([s.flux - curve(s.nu, s.temperature) for n in range(1, 11) for s in collection(n).training])
    assert stats.kstest(errors, stats.norm(0, 0.5).cdf).pvalue > 1e-3
    assert stats.kstest(errors, stats.norm(0, 0.25).cdf).pvalue < 1e-3


def test_places_lie_inside_and_outside_of_the_points() -> None:
    for spectrum in collection(1).new:
        at, low, high = places(spectrum), spectrum.nu.min(), spectrum.nu.max()
        assert at["inside"].min() == low
        assert at["inside"].max() == high
        assert ((at["outside"] < low) | (at["outside"] > high)).all()
        assert at["outside"].max() > 12  # beyond all points


def test_truncated_fluxes_lie_within_their_limits_and_are_all_there() -> None:
    spectra = truncation.truncated_spectra(1)
    assert [len(s.nu) for s in spectra] == list(truncation.SIZES)
    flux = np.concatenate([s.flux for s in spectra])
    assert truncation.LIMITS[0] < flux.min() < 0.5
    assert flux.max() < truncation.LIMITS[1]
    # Where the curve is zero, fluxes are half normal.
    cold = [s for n in range(1, 31) for s in truncation.truncated_spectra(n) if s.temperature < 1]
    dark = np.concatenate([s.flux[curve(s.nu, s.temperature) < 1e-3] for s in cold])
    assert stats.kstest(dark, stats.halfnorm(0, truncation.SIGMA).cdf).pvalue > 1e-3


# --- scores ---------------------------------------------------------------------------------------------------------


def normal_score(mean: np.ndarray, sd: float, truth: np.ndarray, sigma: float) -> float:
    """The expected log density of normal(mean, sd) at y ~ normal(truth, sigma)."""
    return float(np.mean(-np.log(sd * np.sqrt(2 * np.pi)) - ((truth - mean) ** 2 + sigma**2) / (2 * sd**2)))


def test_scores_are_those_of_a_normal_in_closed_form() -> None:
    truth, mean = np.array([1.0, 2.0, 5.0]), np.array([1.3, 2.0, 4.0])
    one = scores(of_draws(np.tile(mean, (40, 1)), np.full(40, 0.7)), truth, 0.5)
    assert one["rmse"] == pytest.approx(np.sqrt((0.09 + 1) / 3))
    assert one["log_score"] == pytest.approx(normal_score(mean, 0.7, truth, 0.5), rel=1e-10)
    assert one["log_score"] != pytest.approx(normal_score(mean, 0.49, truth, 0.5), rel=1e-3)  # variance for sd
    assert one["log_score"] != pytest.approx(normal_score(mean, 0.7, truth, 0.25), rel=1e-3)
    assert (one["coverage"], one["width"]) == (pytest.approx(1 / 3), 0)
    five = np.array([[0.0, 1, 2, 3, 4]]).T + mean
    ensemble = scores(of_ensemble(five, np.array([0.3, 0.4, 0.5, 0.6, 0.7])), truth, 0.5)
    total = float(np.sqrt(2.5 + np.mean(np.square([0.3, 0.4, 0.5, 0.6, 0.7]))))
    assert ensemble["log_score"] == pytest.approx(normal_score(mean + 2, total, truth, 0.5), rel=1e-10)
    assert ensemble["width"] == pytest.approx(2 * 1.2815515655 * np.sqrt(2.5))


def test_a_mixture_is_scored_as_one_and_its_band_covers_as_it_says() -> None:
    rng = np.random.default_rng(SEED)
    draws, sigma = rng.normal(3, 1, (4000, 1)), np.full(4000, 0.5)
    forecast = of_draws(draws, sigma)
    mixed = scores(forecast, np.array([3.5]), 0.5)["log_score"]
    assert mixed == pytest.approx(normal_score(np.array([3.0]), np.sqrt(1.25), np.array([3.5]), 0.5), abs=0.02)
    truth = rng.normal(3, 1, 20_000)
    inside = np.mean((forecast.low <= truth) & (truth <= forecast.high))
    assert inside == pytest.approx(0.8, abs=0.03)


# --- the wrong law --------------------------------------------------------------------------------------------------


def test_the_wrong_law_peaks_where_it_says() -> None:
    nu, height, place, power = np.linspace(0.01, 12, 24_000), np.log(7.0), np.log(3.0), np.log(2.5)
    f = wrong_curve(nu, height, place, power)
    assert nu[f.argmax()] == pytest.approx(3, abs=1e-3)
    assert f.max() == pytest.approx(7)
    b, c = 2.5, 3 / 2.5
    np.testing.assert_allclose(f, 7 / (3**b * np.exp(-b)) * nu**b * np.exp(-nu / c), rtol=1e-9)


def wrong_joint(p: dict[str, Any], data: dict[str, Any]) -> float:
    """Log density of the wrong law's parameters, written from its head comment, but for constants."""
    theta = np.array([p[name] for name in COEFFICIENTS])
    at, scale, wide = data["prior_mu"], np.array(data["prior_mu_scale"]), np.array(data["prior_tau"])
    total = stats.norm.logpdf(p["mu"], at, scale).sum() + stats.norm.logpdf(p["tau"], 0, wide).sum()
    # lkj(2) of a correlation matrix is its determinant; with the Jacobian of its Cholesky factor, row by row.
    total += sum(np.log(p["L"][k, k]) * (3 - k - 1 + 2) for k in range(1, 3))
    if data["pooled"]:
        factor = np.diag(p["tau"]) @ p["L"]
        total += sum(stats.multivariate_normal.logpdf(t, p["mu"], factor @ factor.T) for t in theta.T)
        # power is sampled as power_raw: d power / d power_raw
        total += data["J"] * np.log(p["tau"][2] * p["L"][2, 2])
        total += stats.norm.logpdf(p["sigma"][0], 0, data["prior_sigma"])
        sigma = np.full(data["N"], p["sigma"][0])
    else:
        sds = np.hypot(scale, wide)
        total += sum(stats.norm.logpdf(t, at, sds).sum() for t in theta.T) + data["J"] * np.log(sds[2])
        total += stats.gamma.logpdf(p["sigma"], 2, scale=data["prior_sigma"] / 4).sum()
        sigma = np.asarray(p["sigma"])[data["group_idx"] - 1]
    f = wrong_curve(data["nu"], *theta[:, data["group_idx"] - 1])
    return float(total + stats.norm.logpdf(data["y"], f, sigma).sum())


def wrong_spread(code: str, pooled: int, folder: Path) -> float:
    """How far the program's log density less ``wrong_joint`` and Jacobians of bounds is from one constant."""
    of = collection(2)
    data = wrong_data(of.training[3:7], pooled, of.training)
    (folder / "wrong.stan").write_text(code)
    model, rng, differences = (
        StanliEngine().model(Program.read(folder / "wrong.stan"), data),
        np.random.default_rng(1),
        [],
    )
    for _ in range(20):
        corr = stats.random_correlation.rvs((0.6, 0.9, 1.5), random_state=rng)
        p: dict[str, Any] = {
            "mu": rng.normal(1, 0.5, 3), "tau": np.exp(rng.normal(-0.5, 0.5, 3)), "L": np.linalg.cholesky(corr),
            "height": rng.normal(2, 0.5, 4), "place": rng.normal(1, 0.4, 4), "power_raw": rng.normal(0, 0.5, 4),
            "sigma": np.exp(rng.normal(0, 0.5, 1 if pooled else 4)),
        }  # fmt: skip
        mean, sds = np.array(data["prior_mu"]), np.hypot(data["prior_mu_scale"], data["prior_tau"])
        mean, sds, corr_factor = (p["mu"], p["tau"], p["L"]) if pooled else (mean, sds, np.eye(3))
        u = (p["height"] - mean[0]) / sds[0]
        v = ((p["place"] - mean[1]) / sds[1] - corr_factor[1, 0] * u) / corr_factor[1, 1]
        given = corr_factor[2, 0] * u + corr_factor[2, 1] * v + corr_factor[2, 2] * p["power_raw"]
        q = model.unconstrain({k: np.asarray(x).tolist() for k, x in p.items()})
        p["power"] = mean[2] + sds[2] * given
        # Of the bounds of tau and sigma, and of the partial correlations (Stan's reference: cholesky_factor_corr).
        partial = [p["L"][1, 0], p["L"][2, 0], p["L"][2, 1] / np.sqrt(1 - p["L"][2, 0] ** 2)]
        jacobian = np.log(p["tau"]).sum() + np.log(p["sigma"]).sum() + np.log1p(-np.square(partial)).sum()
        jacobian += 0.5 * np.log1p(-(p["L"][2, 0] ** 2))
        differences.append(model.log_prob_grad(np.asarray(q))[0] - wrong_joint(p, data) - jacobian)
    return float(np.ptp(differences) / max(1, np.max(np.abs(differences))))


@pytest.mark.parametrize("pooled", [0, 1])
def test_the_wrong_law_has_the_density_of_its_head_comment(pooled: int, stanli: Engine, tmp_path: Path) -> None:
    assert wrong_spread(WRONG_PROGRAM.read_text(), pooled, tmp_path) < 1e-9


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("target += -J * (log(s[1]) + log(s[2]) + log(C[2, 2]));", ""),
        ("+ log(C[2, 2])", ""),
        ("- C[2, 1] * u) / C[2, 2]", "- C[2, 1] * u)"),
        ("(x + 1 - exp(x))", "(x - exp(x))"),
        ("C[3, 3] * power_raw", "power_raw"),
        ("rep_vector(sigma[1], N)", "rep_vector(square(sigma[1]), N)"),
    ],
)
def test_a_planted_fault_in_the_wrong_law_is_seen(right: str, wrong: str, stanli: Engine, tmp_path: Path) -> None:
    text = WRONG_PROGRAM.read_text()
    assert text.count(right) == 1
    assert wrong_spread(text.replace(right, wrong), 1, tmp_path) > 1e-6


# --- partial pooling as the product conditions it --------------------------------------------------------------------


def test_conditioning_says_of_new_sets_what_the_fit_with_them_says(stanli: Engine, tmp_path: Path) -> None:
    of = collection(1)
    few = Collection(of.training[6:14], (of.new[2], of.new[4]))
    priors = {name: prior.text for name, prior in priors_of(few.training).items()}
    fit = hbm.fit(
        "planck", roles(few.training), priors=priors, parameterisation="partial_pooling", engine=stanli,
        store=FitStore(tmp_path), sampling=Sampling(draws=1500, seed=SEED),
    )  # fmt: skip
    given = hbm.condition(fit, table(few.new)).draws["T"]
    together = (*few.training, *few.new)
    drawn = sample(FAMILY.program("partial_pooling"), law_data(together, "partial_pooling", priors_of(few.training)), 2)
    for j, new in enumerate(few.new):
        refit = summarised(np.asarray(drawn.variables["T"])[None, :, :, len(few.training) + j])
        ours = np.asarray(given.sel(group=new.name)).ravel()
        z = (ours.mean() - refit["mean"][0]) / np.hypot(ours.std() / np.sqrt(400), refit["mcse_mean"][0])
        assert abs(z) < stats.norm.isf(1e-3 / 4), new.kind


# --- the single point -----------------------------------------------------------------------------------------------


def test_a_point_of_no_weight_leaves_the_population_and_one_without_error_gives_its_temperature() -> None:
    alpha, beta = np.full(3, 6.0), np.full(3, 3.0)
    nothing = single_point.given_flux(9.0, 5.0, alpha, beta, np.full((3, 1), 1e5))
    np.testing.assert_allclose(
        single_point.quantiles(nothing, (0.1, 0.5, 0.9)), stats.gamma(6, scale=1 / 3).ppf((0.1, 0.5, 0.9)), rtol=2e-3
    )
    exact = single_point.given_flux(9.0, float(curve(np.array(9.0), 2.2)), alpha, beta, np.full((3, 1), 1e-2))
    assert single_point.quantiles(exact, (0.5,))[0] == pytest.approx(2.2, rel=1e-3)


def test_the_single_point_is_weighed_as_quadrature_weighs_it() -> None:
    def density(t: np.ndarray) -> np.ndarray:
        return stats.gamma(6, scale=1 / 3).pdf(t) * stats.norm.pdf(5.0, curve(np.array(9.0), t), 2.0)

    t = np.linspace(0.01, 12, 200_001)
    mass = np.cumsum(density(t))
    exact = np.interp([0.1, 0.5, 0.9], mass / mass[-1], t)
    ours = single_point.given_flux(9.0, 5.0, np.array([6.0]), np.array([3.0]), np.array([[2.0]]))
    np.testing.assert_allclose(single_point.quantiles(ours, (0.1, 0.5, 0.9)), exact, rtol=2e-3)
    wrong = single_point.given_flux(9.0, 5.0, np.array([6.0]), np.array([3.0]), np.array([[4.0]]))  # variance for sd
    assert abs(single_point.quantiles(wrong, (0.1,))[0] / exact[0] - 1) > 2e-2


def test_the_point_is_the_one_of_the_shipped_data() -> None:
    nu, flux, temperature = single_point.point()
    assert nu == pytest.approx(4 * temperature, abs=1e-3)
    assert abs(flux - curve(np.array(nu), temperature)) < 4 * 0.5
    assert len(single_point.training()) == 20


# --- cities ---------------------------------------------------------------------------------------------------------


def test_the_expected_log_loss_is_that_of_many_new_rows() -> None:
    of, rng = cities.cities(1), np.random.default_rng(SEED)
    told, truth = np.full(len(cities.PRICES), 0.4), of.known[3]
    at = rng.integers(0, len(cities.PRICES), 400_000)
    bought = rng.binomial(1, truth[at])
    rows = -np.where(bought, np.log(told[at]), np.log(1 - told[at]))
    assert abs(rows.mean() - cities.log_loss(truth, told)) < 4 * rows.std() / np.sqrt(len(rows))
    assert cities.losses(of, of.known, of.new) == dict.fromkeys([*cities.GROUPS, cities.NEW], 0.0)
    assert min(cities.losses(of, np.clip(of.known + 0.1, 0, 0.99), of.new * 0.9).values()) > 0
    assert sum(len(cities.PRICES) == len(row) for row in of.known) == len(cities.SIZES) == 12
    assert all(any(low <= n <= high for low, high in cities.GROUPS.values()) for n in cities.SIZES)


def test_poolings_of_cities_are_scored(stanli: Engine) -> None:
    of = cities.cities(1)
    rows = {pooling: cities.pooled(of, pooling, 1) for pooling in cities.POOLINGS}
    small, large = "5 to 20 users", "101 to 500 users"
    assert rows["partial_pooling"][small] < rows["no_pooling"][small]
    assert rows["partial_pooling"][large] < rows["complete_pooling"][large]
    assert rows["partial_pooling"][cities.NEW] < rows["no_pooling"][cities.NEW]
    assert all(r["rhat"] < 1.05 for r in rows.values())


# --- runs and the page ----------------------------------------------------------------------------------------------


def fake_parts(calls: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch, fails: tuple[str, int] = ("", 0)) -> None:
    """Parts that write down that they were called, and have the scores of made-up methods."""

    def runs_as(name: str, methods: tuple[str, ...]) -> Any:
        def part(number: int) -> list[dict[str, Any]]:
            calls.append((name, number))
            if (name, number) == fails:
                raise ValueError("no luck")
            rows: list[dict[str, Any]] = []
            for k, method in enumerate(methods, start=1):
                rows.append(
                    {"method": method, "seconds": 9.0, "cpu": 2.0 * k, "rhat": 1.0 + k / 100, "divergent": k - 1}
                )
                figures = {"rmse": k + number, "coverage": 0.5, "width": 2.0, "log_score": -k - number}
                rows += [
                    {"method": method, "kind": kind, "where": w, **figures}
                    for kind in KINDS
                    for w in ("inside", "outside")
                ]
            return rows

        return part

    parts = {
        "models": runs.Part(runs_as("models", ("no pooling", "partial pooling")), ("spectra.py",)),
        "rivals": runs.Part(runs_as("rivals", ("hypernetwork",)), ("scores.py",), needs_extra=True),
    }
    monkeypatch.setattr(runs, "PARTS", parts)
    monkeypatch.setattr(page, "PARTS", {**parts, "truncation": parts["models"], "cities": None, "cities_network": None})
    monkeypatch.setattr(
        page, "gathered",
        lambda f, p, n, right=page.gathered: right(f, p, n) if p in parts else pd.DataFrame(),
    )  # fmt: skip


def test_what_has_been_run_is_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, int]] = []
    lines: list[str] = []
    fake_parts(calls, monkeypatch, fails=("rivals", 2))
    how = (tmp_path / "runs", 3, ("models", "rivals"), 2, lines.append, ThreadPoolExecutor)
    failed = runs.run(*how)
    assert sorted(calls) == [(p, n) for p in ("models", "rivals") for n in (1, 2, 3)]
    assert failed == ["rivals 2: ValueError('no luck')"]
    assert sum("minutes left" in line for line in lines) == 5
    fake_parts(calls, monkeypatch)
    calls.clear()
    (tmp_path / "runs" / "models-01.json").write_text('{"state": ')  # cut short by a full disk
    (tmp_path / "runs" / "models-03.json").write_text(json.dumps({"state": "of other code", "rows": []}))
    assert runs.run(*how) == []
    assert sorted(calls) == [("models", 1), ("models", 3), ("rivals", 2)]
    calls.clear()
    assert runs.run(*how) == []
    assert calls == []
    assert lines[-1].startswith("6 of 6 parts are there")
    assert not [p for p in (tmp_path / "runs").iterdir() if p.suffix != ".json"]


def test_collections_are_run_one_after_the_other(tmp_path: Path) -> None:
    first = list(runs.to_do(tmp_path, 2, tuple(runs.PARTS)))
    assert [number for _, number in first] == [1] * 5 + [2] * 5


def test_a_result_is_of_the_code_that_it_depends_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, int]] = []
    fake_parts(calls, monkeypatch)
    (tmp_path / "spectra.py").write_text("first")
    (tmp_path / "scores.py").write_text("first")
    monkeypatch.setattr(runs, "HERE", tmp_path)
    runs.run_one(tmp_path, "models", 1)
    assert runs.result(tmp_path, "models", 1)
    (tmp_path / "spectra.py").write_text("second")
    assert runs.result(tmp_path, "models", 1) is None


def test_every_part_names_the_files_that_it_depends_on() -> None:
    for part in runs.PARTS.values():
        todo, known = list(part.files), set()
        while todo:
            name = todo.pop()
            known.add(name)
            text = (runs.HERE / name).read_text()
            names = {f"{p.stem}.py" for p in runs.HERE.glob("*.py") if f"from planck_study.{p.stem} import" in text}
            todo += names - known
        assert known == set(part.files) | {"rise_and_fall.stan"} & known, part


def test_the_page_has_means_and_spreads_of_what_has_been_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_parts([], monkeypatch)
    weights = {way: np.full(3000, 1 / 3000) for way in single_point.WAYS}
    monkeypatch.setattr(page, "posteriors", lambda: weights)
    (tmp_path / "reports" / "sample").mkdir(parents=True)
    path = tmp_path / "reports" / "planck_study.md"
    marks = [f"<!-- {name}: {end} -->" for name in ("verdict", "tables") for end in ("begin", "end")]
    path.write_text("before\n{}\nold\n{}\nbetween\n{}\nold\n{}\nafter\n".format(*marks))
    for number in (1, 2):
        runs.run_one(tmp_path, "models", number)
    runs.run_one(tmp_path, "rivals", 1)
    page.write(tmp_path, 20, lambda _: None, tmp_path)
    text = path.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "\nbetween\n" in text
    # Of the one collection that all have been run on.
    assert "Collections: 1 only, too few for a verdict. Inside the range of its points a set is predicted best" in text
    assert "by hypernetwork (big, noisy, small, censored, single high, single low); the best of the networks" in text
    assert "old" not in text
    assert "of 20: models 2, rivals 1" in text
    # Of both collections: 1 + 1 and 1 + 2, 2 + 1 and 2 + 2; the rival of one has no spread.
    assert "| no pooling | 2.50 ± 0.71 | 50 ± 0 | 2.00 ± 0.00 | -2.50 ± 0.71 | 2 ± 0 |" in text
    assert "| partial pooling | 3.50 ± 0.71 |" in text
    assert "| hypernetwork | 2.00 | 50 | 2.00 | -2.00 | 2 |" in text
    assert "| no pooling | 0 of 2 | 0 of 2 | 0 of 2 | 0 of 2 |" in text
    assert (
        "| no pooling | – | 2.50 ± 0.71 | – | 2.50 ± 0.71 | – | -2.50 ± 0.71 | – | -2.50 ± 0.71 |" in text
    )  # wrong, right
    assert "partial pooling 2 and 2 (largest R-hat 1.020" in text
    assert (tmp_path / "reports" / "sample" / "planck_study-scores.png").stat().st_size > 10_000
    assert (tmp_path / "reports" / "sample" / "planck_study-single_point.png").stat().st_size > 10_000


def test_the_verdict_is_by_the_best_mean_log_score_of_each_kind() -> None:
    best = {"big": "hypernetwork", "small": "partial pooling"}
    rows = [
        {"collection": n, "method": m, "kind": k, "where": w, "log_score": float(best.get(k, "no pooling") == m) - n}
        for n in range(1, 13) for m in ("no pooling", "partial pooling", "hypernetwork") for k in KINDS
        for w in ("inside", "outside")
    ]  # fmt: skip
    text = page.verdict(pd.DataFrame(rows))
    assert "too few" not in text
    assert (
        "by hypernetwork (big), no pooling (noisy, censored, single high, single low), partial pooling (small)" in text
    )
    assert "the best of the networks, hypernetwork, is worse than partial pooling in 0 of 12 collections" in text
    assert text.count(".") == 2
    without = pd.DataFrame(rows).query("method != 'hypernetwork'")
    assert page.verdict(without).startswith("No verdict")


def test_without_any_result_the_page_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = {way: np.full(3000, 1 / 3000) for way in single_point.WAYS}
    assert "of 20: models 0, rivals 0" in page.body(tmp_path, 20, weights)


# --- networks: with the extra baselines only ------------------------------------------------------------------------


@pytest.fixture
def jax() -> Any:
    pytest.importorskip("optax")
    return pytest.importorskip("jax")


def test_descent_gives_what_is_best_on_held_out_points(jax: Any) -> None:
    from planck_study.training import descend

    # Learning goes to 3, held-out points are best at 1; without any, the parameters are those of a step.
    trained = descend(lambda p: (p - 3) ** 2, lambda p: (p - 1) ** 2, jax.numpy.asarray(0.0), 400, 0.05, 0)
    assert float(trained.params) == pytest.approx(1, abs=0.05)
    assert float(trained.held) == pytest.approx(0, abs=0.003)
    assert 0 < int(trained.step) < 100
    infinite = descend(lambda p: (p - 3) ** 2, lambda p: jax.numpy.inf + 0 * p, jax.numpy.asarray(0.0), 400, 0.05, 7)
    assert int(infinite.step) == 7
    assert float(infinite.params) == pytest.approx(7 * 0.05, rel=0.1)


def test_a_fifth_is_held_out_where_there_are_five_points(jax: Any) -> None:
    from planck_study.training import padded

    sets = [(np.arange(n, dtype=float), np.ones(n)) for n in (1, 4, 5, 30)]
    points = padded(sets, np.random.default_rng(1), 40)
    assert points.held.sum(axis=1).tolist() == [0, 0, 1, 6]
    assert points.use.sum(axis=1).tolist() == [1, 4, 4, 24]
    assert float((points.use * points.held).sum()) == 0
    few = padded(sets[2:], np.random.default_rng(1), 40, learn=5)
    assert few.use.sum(axis=1).tolist() == [5, 5]


def test_a_heavy_penalty_ties_heads_and_a_light_one_does_not(jax: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from planck_study import rivals
    from planck_study.training import padded

    monkeypatch.setitem(rivals.STEPS, "joint", 300)
    x = np.linspace(-1.5, 1.5, 30)
    points = padded([(x, np.sin(x) + c) for c in (-1.0, 0.0, 1.0)], np.random.default_rng(1), 30)
    setting = rivals.Setting(8, 0, 0.0)
    apart = []
    for penalty in (1e4, 1e-4):
        trained = rivals._together(jax.random.split(jax.random.key(1), 1), points, penalty, "tied heads", setting)
        shared, codes = trained.params
        apart.append(float(abs(codes - shared["head"][:, None]).max()))
    assert apart[0] < 0.02
    assert apart[1] > 0.2


@pytest.mark.parametrize("kind", ["hypernetwork", "tied heads"])
def test_shared_networks_learn_new_sets_by_their_codes(kind: str, jax: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from functools import partial

    from planck_study import rivals
    from planck_study.training import padded

    monkeypatch.setitem(rivals.STEPS, "joint", 1500)
    x, rng = np.linspace(-1.5, 1.5, 40), np.random.default_rng(1)
    points = padded([(x, c * np.exp(-(x**2))) for c in (0.5, 1.0, 1.5, 2.0, 2.5)], rng, 40)
    setting = rivals.Setting(16, 2, 0.0)
    trained = rivals._together(jax.random.split(jax.random.key(1), 2), points, 1e-4, kind, setting)
    assert float(trained.held.max()) < 2e-3
    new = padded([(x[::8], 1.8 * np.exp(-(x[::8] ** 2)))], rng, 40)
    code = rivals._adapt(trained.params, new, 1e-4, 0, kind).params[0, 0]
    shared = jax.tree.map(lambda a: a[0], trained.params[0])
    curve_ = np.asarray(partial(rivals._curve, kind)(shared, code, x))
    assert np.sqrt(np.mean((curve_ - 1.8 * np.exp(-(x**2))) ** 2)) < 0.15  # of a height of 1.8, from 5 points
