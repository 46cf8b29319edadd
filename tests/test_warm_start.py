"""Where chains of models with many parameters begin: the metric is the curvature, the posterior stays the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hbm_stan.engines import Sampling, plain_data
from hbm_stan.engines.points import Points
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.engines.warm_start import MANY_PARAMETERS, _curvature, warm_start
from hbm_stan.program import Program

# Independent normals of unlike sds, and two parameters that all of them move: a sum is known far better than each.
CODE = """
data { int<lower=1> N; vector<lower=0>[N] s; real<lower=0> known; }
parameters { vector[N] z; real a; vector[0] none; real<lower=0> scale; }
model {
  z ~ normal(0, s);
  a ~ normal(0, 5);
  scale ~ lognormal(0, 0.01);
  target += normal_lpdf(a + z[1] | 0, known);
}
"""
SCALES = np.geomspace(1e-3, 10, MANY_PARAMETERS)


def program(tmp_path: Path, code: str = CODE) -> Program:
    path = tmp_path / "many.stan"
    path.write_text(code)
    return Program.read(path, ())


def model(tmp_path: Path, n: int = MANY_PARAMETERS, code: str = CODE) -> Any:
    data = {"N": n, "s": SCALES[:n], "known": 0.01}
    return StanliEngine().model(program(tmp_path, code), plain_data(data))


def test_the_metric_is_the_curvature_of_the_log_density(tmp_path: Path) -> None:
    scaled_model = model(tmp_path)
    start = warm_start(scaled_model, ["z", "a", "none", "scale"], Sampling(chains=2))
    exact = np.r_[SCALES**2, 1 / (0.04 + 1e4), 1e-4]
    exact[0] = 1 / (SCALES[0] ** -2 + 1e4)
    assert start["inits"].shape == (2, MANY_PARAMETERS + 2)
    expected = np.minimum(exact, 1)  # what is wider than 1 keeps 1
    np.testing.assert_allclose(start["inv_metric"], expected, rtol=0.05)


def test_the_curvature_is_that_of_each_coordinate_beside_stiff_ones(tmp_path: Path) -> None:
    points = Points(model(tmp_path))
    rng = np.random.default_rng(5)
    curvature = _curvature(points, rng.normal(size=points.dimension) * 1e-3, rng)
    np.testing.assert_allclose(curvature[1:-2], SCALES[1:] ** -2, rtol=1e-4)


def test_few_parameters_are_left_to_the_sampler(tmp_path: Path) -> None:
    assert warm_start(model(tmp_path, MANY_PARAMETERS - 3), ["z", "a", "none", "scale"], Sampling()) == {}
    assert warm_start(model(tmp_path, MANY_PARAMETERS - 2), ["z", "a", "none", "scale"], Sampling(chains=1))


def test_draws_have_the_same_posterior_after_far_shorter_trajectories(tmp_path: Path) -> None:
    data = {"N": MANY_PARAMETERS, "s": SCALES, "known": 0.01}
    drawn = StanliEngine().sample(program(tmp_path), data, Sampling(chains=4, warmup=200, draws=250, seed=3))
    z = drawn.variables["z"].reshape(-1, MANY_PARAMETERS)
    exact = SCALES.copy()
    exact[0] = (SCALES[0] ** -2 + 1 / (25 + 1e-4)) ** -0.5
    # 1,000 draws, of independent normals hardly dependent ones: a variance within five of its errors, of 300.
    np.testing.assert_allclose(np.var(z, axis=0) / exact**2, 1, atol=5 * np.sqrt(2 / 1000) * 1.5)
    assert drawn.sample_stats["n_steps"].mean() < 64
    cold = model(tmp_path).sample(chains=1, warmup=75, samples=10, seed=3, refresh=0)
    assert np.mean(cold.sampler_stats[0, :, 4]) > 500  # where nothing is known of scales


def test_the_same_seed_gives_the_same_draws(tmp_path: Path) -> None:
    data = {"N": MANY_PARAMETERS, "s": SCALES, "known": 0.01}
    sampling = Sampling(chains=2, warmup=50, draws=10, seed=8)
    one, two = (StanliEngine().sample(program(tmp_path), data, sampling).variables["z"] for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one[0], one[1])


def test_a_model_that_cannot_begin_is_left_to_the_sampler_s_words(tmp_path: Path) -> None:
    code = CODE.replace("a ~ normal(0, 5);", 'reject("never");')
    assert warm_start(model(tmp_path, code=code), ["z", "a", "none", "scale"], Sampling(chains=1)) == {}


@pytest.mark.parametrize("probe", ["signs", "alone"])
def test_a_fault_in_the_probes_is_seen(tmp_path: Path, probe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hbm_stan.engines.warm_start._MOST_STIFF", 0 if probe == "alone" else 50)
    if probe == "signs":
        monkeypatch.setattr("hbm_stan.engines.warm_start._STEP", 1.0)
        code = CODE.replace("z ~ normal(0, s);", "z ~ student_t(3, 0, s);")
    else:
        code = CODE.replace("a + z[1]", "a + sum(z)")
    points = Points(model(tmp_path, code=code))
    at = np.zeros(points.dimension)
    curvature = _curvature(points, at, np.random.default_rng(5))[1:-2]
    exact = (4 / 3 if probe == "signs" else 1) * SCALES[1:] ** -2 + (1e4 if probe == "alone" else 0)
    assert np.abs(curvature / exact - 1).max() > 0.2


def test_progress_counts_the_walks_too_and_never_goes_back(tmp_path: Path) -> None:
    shown: list[tuple[int, int, int]] = []
    sampling = Sampling(chains=2, warmup=100, draws=50, seed=3)
    data = {"N": MANY_PARAMETERS, "s": SCALES, "known": 0.01}
    StanliEngine().sample(program(tmp_path), data, sampling, lambda *at: shown.append(at))
    total = 76 + 51 + 150
    assert {n for _, _, n in shown} == {total}
    for chain in (1, 2):
        places = [place for number, place, _ in shown if number == chain]
        assert places == sorted(places)
        assert min(places) <= 10
        assert sum(place <= 76 + 51 for place in places) >= 20
        assert places[-1] == total
