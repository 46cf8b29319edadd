"""Draws by importance weights: mixtures against SciPy, modes, and streams against distributions that are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from hbm_stan.agreement import compare_with_reference, threshold
from hbm_stan.direct import adapt, independence, split, streams
from hbm_stan.direct.grid import Grid, grid_about
from hbm_stan.direct.independence import Streams
from hbm_stan.direct.mixture import Mixture, fitted, latin_hypercube
from hbm_stan.direct.mode import Density, Mode, find_modes
from hbm_stan.direct.streams import MAX_DIMENSION, MOST_NEARLY_NORMAL, draw_nearly_normal, draw_streams

Log = Callable[[np.ndarray], np.ndarray]
TWO = Mixture(
    np.array([0.7, 0.3]), np.array([[0.0, 1.0], [2.0, -1.0]]),
    np.array([[[1.0, 0.0], [0.5, 0.8]], [[0.6, 0.0], [-0.4, 1.2]]]), np.array([4.0, 30.0]),
)  # fmt: skip


@pytest.fixture
def by_mixture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mixtures with one and two coordinates too, which are drawn by a grid else."""
    monkeypatch.setattr(streams, "MAX_COORDINATES", 0)


@pytest.fixture(params=["grid", "mixture"])
def way(request: pytest.FixtureRequest) -> str:
    """Either way of drawing with one and two coordinates."""
    if request.param == "mixture":
        request.getfixturevalue("by_mixture")
    return str(request.param)


def with_differences(log: Log, step: float = 1e-5) -> Density:
    """A density whose gradient is taken by differences of its log (n, d) -> (n,)."""

    def density(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        shifts = step * np.eye(points.shape[1])
        with np.errstate(all="ignore"):  # where a point has no density
            slopes = [(log(points + s) - log(points - s)) / (2 * step) for s in shifts]
            return log(points), np.stack(slopes, axis=1)

    return density


def normal(mean: np.ndarray, cov: np.ndarray) -> Density:
    return with_differences(lambda x: -0.5 * np.einsum("ni,ij,nj->n", x - mean, np.linalg.inv(cov), x - mean))


def summary(distribution: object) -> dict[str, float]:
    moments = {"mean": distribution.mean(), "sd": distribution.std()}  # type: ignore[attr-defined]
    return moments | {q: distribution.ppf(p) for q, p in (("q05", 0.05), ("q50", 0.5), ("q95", 0.95))}  # type: ignore[attr-defined]


def distances(streams: Streams, known: dict[str, object], columns: np.ndarray | None = None) -> np.ndarray:
    """How far draws of coordinates lie from known distributions in Monte Carlo errors, all statistics together."""
    table = pd.DataFrame({name: summary(d) for name, d in known.items()}).T
    table = table.assign(**{f"mcse_{c}": 0.0 for c in table.columns})
    draws = np.moveaxis(streams.points if columns is None else columns, 2, 0)
    with np.errstate(invalid="ignore"):  # a stream that stands still has no error
        z = compare_with_reference(list(known), draws, table).table["z"]
    return np.nan_to_num(np.asarray(z), nan=np.inf)


def agrees(z: np.ndarray) -> bool:
    return bool(np.abs(z).max() < threshold(z.size))


def log_gamma(shape: float) -> Density:
    """The log of a gamma variable and a normal one: a tail that falls off as exp(-|x|) to the left, and a short one."""
    return with_differences(lambda x: shape * x[:, 0] - np.exp(x[:, 0]) - x[:, 1] ** 2 / 2)


def test_a_mixture_has_the_density_that_scipy_gives() -> None:
    points = np.random.default_rng(1).normal(size=(50, 2)) * 3
    parts = [
        w * stats.multivariate_t(m, f @ f.T, nu).pdf(points)
        for w, m, f, nu in zip(TWO.weights, TWO.locations, TWO.factors, TWO.degrees, strict=True)
    ]
    assert TWO.log_density(points) == pytest.approx(np.log(sum(parts)), abs=1e-12)


def test_points_of_a_mixture_are_its_draws() -> None:
    points = TWO.draw(np.random.default_rng(2), 20_000)
    expected = TWO.weights @ TWO.locations
    assert points.mean(axis=0) == pytest.approx(expected, abs=0.02)
    # Of each component by itself the first coordinate is Student's t.
    share = np.mean(points[:, 0] < 1.0)
    by_part = stats.t(TWO.degrees, TWO.locations[:, 0], TWO.factors[:, 0, 0]).cdf(1.0)
    assert share == pytest.approx(TWO.weights @ by_part, abs=0.01)


def test_a_latin_hypercube_is_even_along_each_axis_and_in_random_order() -> None:
    u = latin_hypercube(np.random.default_rng(3), 4000, 3)
    assert u.min() > 0
    assert u.max() < 1
    for column in u.T:
        assert (np.bincount((4000 * column).astype(int), minlength=4000) == 1).all()
        assert abs(np.corrcoef(column[1:], column[:-1])[0, 1]) < 0.06


def test_a_fit_finds_the_mixture_that_points_are_of_and_weights_count() -> None:
    rng = np.random.default_rng(4)
    points = rng.normal(size=(20_000, 2)) * 3
    target = TWO.log_density(points)
    weights = np.exp(target - stats.norm(scale=3).logpdf(points).sum(axis=1))
    weights /= weights.sum()
    begin = replace(TWO, locations=TWO.locations + 0.7, weights=np.array([0.5, 0.5]), factors=1.5 * TWO.factors)
    mixture = fitted(begin, points, weights, 100)
    assert mixture.weights == pytest.approx(TWO.weights, abs=0.1)
    assert mixture.locations == pytest.approx(TWO.locations, abs=0.25)
    assert weights @ mixture.log_density(points) > weights @ begin.log_density(points)


def test_starts_lead_to_the_modes_that_there_are() -> None:
    def two(x: np.ndarray) -> np.ndarray:
        return np.logaddexp(-0.5 * ((x - 3) ** 2).sum(axis=1), -2 * ((x + 3) ** 2).sum(axis=1) + 1)

    starts = np.random.default_rng(5).uniform(-6, 6, (12, 2))
    modes = find_modes(with_differences(two), starts)
    assert sorted(m.point.round(3).tolist() for m in modes) == [[-3, -3], [3, 3]]
    # mass: exp(1) * (2 pi / 4) against 2 pi
    assert modes[0].log_mass - modes[1].log_mass == pytest.approx(np.log(4) - 1, abs=1e-3)
    assert find_modes(with_differences(lambda x: x[:, 0]), starts) == []
    # Densities so large that rounding hides the last of their rise.
    large = find_modes(with_differences(lambda x: -1e9 - (x**2).sum(axis=1), 1e-2), starts)
    assert len(large) == 1
    assert large[0].point == pytest.approx([0, 0], abs=0.01)
    assert find_modes(with_differences(lambda x: np.full(len(x), -np.inf)), starts) == []


@pytest.mark.parametrize("dimension", [1, 2, MAX_DIMENSION])
def test_streams_of_a_normal_distribution_have_its_moments_and_quantiles(dimension: int, way: str) -> None:
    rng = np.random.default_rng(dimension)
    root = rng.normal(size=(dimension, dimension)) + 2 * np.eye(dimension)
    mean, cov = rng.normal(size=dimension) * 50, root @ root.T
    draws = draw_streams(normal(mean, cov), dimension, 4, 1000, 1)
    assert draws.trouble == ""
    assert draws.points.shape == (4, 1000, dimension)
    known = {f"x{i}": stats.norm(m, s) for i, (m, s) in enumerate(zip(mean, np.sqrt(np.diag(cov)), strict=True))}
    assert agrees(distances(draws, known))
    around = draws.points - mean
    assert draws.log_density == pytest.approx(-0.5 * np.einsum("cni,ij,cnj->cn", around, np.linalg.inv(cov), around))


@pytest.mark.parametrize("shape", [0.7, 1.0, 3.0])
def test_streams_follow_a_tail_that_is_long_on_one_side(shape: float, way: str) -> None:
    draws = draw_streams(log_gamma(shape), 2, 4, 1000, 2)
    assert draws.trouble == ""
    assert agrees(distances(draws, {"u": stats.loggamma(shape), "z": stats.norm()}))
    assert agrees(distances(draws, {"x": stats.gamma(shape)}, np.exp(draws.points[:, :, :1])))


def test_streams_repeat_for_a_seed_differ_among_themselves_and_have_any_number_of_draws(way: str) -> None:
    density = log_gamma(2.0)
    one, again, other = (draw_streams(density, 2, 3, 500, seed) for seed in (7, 7, 8))
    assert np.array_equal(one.points, again.points)
    assert not np.array_equal(one.points, other.points)
    assert one.points.shape == (3, 500, 2)
    assert not np.isclose(one.points[0], one.points[1]).any()
    assert draw_streams(density, 2, 1, 10, 1).points.shape == (1, 10, 2)


def test_errors_are_those_that_are_stated(way: str) -> None:
    # Quasi-random points can only make them smaller.
    known = {"u": stats.loggamma(1.5), "z": stats.norm()}
    z = np.array([distances(draw_streams(log_gamma(1.5), 2, 4, 250, seed), known) for seed in range(40)])
    spread = np.sqrt((z**2).mean(axis=0))
    assert (spread < 1.1 * np.sqrt(stats.chi2(40).ppf(0.999) / 40)).all()
    assert np.sqrt((z**2).mean()) < 1.1


def two_modes(apart: float) -> Density:
    return with_differences(
        lambda x: np.logaddexp(-0.5 * (x[:, 0] - apart) ** 2, -0.5 * (x[:, 0] + apart) ** 2) - x[:, 1] ** 2 / 2
    )


def test_two_modes_with_a_valley_between_them_are_refused_and_close_ones_are_drawn(way: str) -> None:
    assert "2 modes with a valley" in draw_streams(two_modes(4), 2, 4, 200, 1).trouble
    draws = draw_streams(two_modes(2), 2, 4, 1000, 1)
    assert draws.trouble == ""
    x = draws.points[:, :, 0]
    assert x.mean() == pytest.approx(0, abs=0.15)
    assert np.mean(x**2) == pytest.approx(5, abs=0.3)


def funnel(dimension: int) -> Density:
    """Neal (2003): v ~ normal(0, 3), the others normal(0, exp(v / 2))."""

    def log(x: np.ndarray) -> np.ndarray:
        v = x[:, 0]
        return -(v**2) / 18 - (dimension - 1) * v / 2 - 0.5 * np.exp(-v) * (x[:, 1:] ** 2).sum(axis=1)

    return with_differences(log)


@pytest.mark.parametrize("dimension", [2, 3, 6])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_funnel_is_refused_or_drawn_right(dimension: int, seed: int, way: str) -> None:
    draws = draw_streams(funnel(dimension), dimension, 4, 1000, seed)
    assert draws.trouble or agrees(distances(draws, {"v": stats.norm(0, 3)}, draws.points[:, :, :1]))


def test_tails_that_no_mixture_bounds_are_refused(way: str) -> None:
    # The density of log|x| falls off as 1 / |x|^0.5: no moments, and nothing that a Student-t distribution covers.
    draws = draw_streams(with_differences(lambda x: -1.02 * np.log1p(np.abs(x[:, 0]) ** 1.0)), 1, 4, 1000, 1)
    assert draws.trouble


def test_what_cannot_be_drawn_is_said() -> None:
    flat = with_differences(lambda x: np.zeros(len(x)))
    assert "9 unconstrained parameters" in draw_streams(flat, MAX_DIMENSION + 1, 4, 100, 1).trouble
    assert "0 unconstrained parameters" in draw_streams(flat, 0, 4, 100, 1).trouble
    assert "no mode" in draw_streams(with_differences(lambda x: x[:, 0]), 2, 4, 100, 1).trouble
    assert "no mode" in draw_streams(with_differences(lambda x: np.full(len(x), np.nan)), 2, 4, 100, 1).trouble


def test_a_pole_and_a_mixture_that_degenerates_are_refused(by_mixture: None, monkeypatch: pytest.MonkeyPatch) -> None:
    pole = with_differences(lambda x: -1.5 * np.log(np.abs(x[:, 0])) - np.abs(x[:, 0]))
    assert draw_streams(pole, 1, 4, 500, 1).trouble

    def degenerate(*_: object) -> Mixture:
        raise np.linalg.LinAlgError("planted")

    monkeypatch.setattr(streams, "adapted", degenerate)
    assert "no mixture" in draw_streams(log_gamma(1.0), 2, 4, 500, 1).trouble


def test_points_without_a_density_are_no_draws(way: str) -> None:
    half = with_differences(lambda x: np.where(x[:, 0] > 0, -(x[:, 0] ** 2) / 2 + np.log(np.abs(x[:, 0])), np.nan))
    draws = draw_streams(half, 1, 4, 1000, 1)
    assert draws.trouble == ""
    assert agrees(distances(draws, {"x": stats.rayleigh()}))


def test_streams_that_differ_are_refused() -> None:
    rng = np.random.default_rng(1)
    points, weights = rng.normal(size=(4, 1000, 2)), rng.normal(size=(4, 1000)) / 10
    assert independence._gate(points, weights)[2] == ""
    points[2, :, 1] += 0.3
    assert "streams differ" in independence._gate(points, weights)[2]


def skewed(shapes: np.ndarray) -> Density:
    """Logs of independent gamma variables: less normal the smaller their shapes."""
    return with_differences(lambda x: (shapes * x - np.exp(x)).sum(axis=1))


@pytest.mark.parametrize("dimension", [2, MAX_DIMENSION + 2, MOST_NEARLY_NORMAL])
def test_what_is_all_but_normal_is_drawn_about_its_mode_with_many_coordinates(dimension: int) -> None:
    shapes = np.linspace(300, 3000, dimension)
    draws = draw_nearly_normal(skewed(shapes), dimension, 4, 1000, 1)
    assert draws.trouble == ""
    assert draws.evaluations < 4400 + 60 * (2 * dimension + 12) * 3
    assert agrees(distances(draws, {f"x{i}": stats.loggamma(shape) for i, shape in enumerate(shapes)}))


def test_what_is_not_all_but_normal_is_drawn_by_a_mixture_or_refused() -> None:
    known = {"u": stats.loggamma(0.3), "z": stats.norm()}
    draws = draw_nearly_normal(log_gamma(0.3), 2, 4, 1000, 1)
    assert np.array_equal(draws.points, draw_streams(log_gamma(0.3), 2, 4, 1000, 1).points)
    assert agrees(distances(draws, known))
    many = MAX_DIMENSION + 2
    assert draw_nearly_normal(skewed(np.full(many, 0.3)), many, 4, 1000, 1).trouble
    assert "proposals count for 0 %" in draw_nearly_normal(funnel(many), many, 4, 1000, 1).trouble
    assert "no mode" in draw_nearly_normal(with_differences(lambda x: x[:, 0]), many, 4, 100, 1).trouble
    assert "31 unconstrained parameters, where 1 to 30" in draw_nearly_normal(skewed(np.ones(31)), 31, 4, 9, 1).trouble


def test_a_mode_apart_from_the_one_that_is_drawn_about_is_not_lost() -> None:
    draws = draw_nearly_normal(two_modes(4), 2, 4, 500, 1)
    assert "2 modes" in draws.trouble
    many = with_differences(
        lambda x: np.logaddexp(-0.5 * (x[:, 0] - 4) ** 2, -0.5 * (x[:, 0] + 4) ** 2) - (x[:, 1:] ** 2).sum(axis=1) / 2
    )
    for seed in range(5):
        assert "2 modes" in draw_nearly_normal(many, MAX_DIMENSION + 2, 4, 500, seed).trouble


def test_planted_faults_of_draws_about_a_mode_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = np.linspace(8, 80, 10)
    known = {f"x{i}": stats.loggamma(shape) for i, shape in enumerate(shapes)}

    def wrong() -> bool:
        draws = draw_nearly_normal(skewed(shapes), 10, 4, 1000, 3)
        return bool(draws.trouble) or draws.share < 0.8 or not agrees(distances(draws, known))

    assert not wrong()
    right = split.Split.log_density
    with monkeypatch.context() as patch:  # a proposal with another density than is said
        patch.setattr(split.Split, "log_density", lambda m, x: right(m, x) + 2 * x[:, 0])
        assert wrong()
    with monkeypatch.context() as patch:  # draws without their weights
        patch.setattr(independence, "_chain", lambda w, _t: list(range(len(w))))
        patch.setattr(split, "COMPONENTS", ((1.3, 1.0, 30.0),))
        assert wrong()
    with monkeypatch.context() as patch:  # half as wide
        patch.setattr(split, "COMPONENTS", ((0.5, 1.0, 30.0),))
        assert wrong()
    with monkeypatch.context() as patch:  # the sides in each other's place
        about = split.split_about
        patch.setattr(streams, "split_about", lambda f, m: replace(about(f, m), sides=about(f, m).sides[::-1]))
        assert wrong()


def test_points_of_split_proposals_are_draws_from_the_density_that_they_state() -> None:
    number = 40_000
    root = np.array([[2.0, 0.5], [0.3, 1.0]])
    proposals = split.Split(np.array([3.0, -2.0]), root, np.array([[0.6, 1.0], [1.9, 2.5]]))
    points = proposals.draw(np.random.default_rng(1), number)
    # Against points of a wide distribution: means by importance weights are those of draws.
    wide = stats.multivariate_t(proposals.centre, 9 * root @ root.T, df=5, seed=2)
    others = wide.rvs(400_000)
    weights = np.exp(proposals.log_density(others) - wide.logpdf(others))
    share = weights.sum() ** 2 / (weights**2).sum() / number
    for power in (1, 2):
        expected = weights @ others**power / weights.sum()
        error = (points**power).std(axis=0) / np.sqrt(number) * np.sqrt(1 + 1 / share)
        assert (np.abs((points**power).mean(axis=0) - expected) < 5 * error).all()
    away = np.linalg.solve(root, (points - proposals.centre).T)
    assert (away > 0).mean(axis=1) == pytest.approx([0.5, 0.5], abs=0.01)


def test_planted_faults_are_caught(by_mixture: None, monkeypatch: pytest.MonkeyPatch) -> None:
    density, known = log_gamma(1.0), {"u": stats.loggamma(1.0), "z": stats.norm()}

    def wrong() -> bool:
        draws = draw_streams(density, 2, 4, 1000, 3)
        return bool(draws.trouble) or not agrees(distances(draws, known))

    monkeypatch.setattr(adapt, "_MOST_ROUNDS", 0)  # or the mixture is so good that weights hardly matter
    assert not wrong()
    right = Mixture.log_density
    with monkeypatch.context() as patch:  # a proposal with another density than is said
        patch.setattr(Mixture, "log_density", lambda m, x: right(m, x) + 0.3 * x[:, 0])
        assert wrong()
    with monkeypatch.context() as patch:  # draws without their weights
        patch.setattr(independence, "_chain", lambda w, _t: list(range(len(w))))
        assert wrong()
    with monkeypatch.context() as patch:  # the proposal that was left, not the one that was taken
        chain = independence._chain
        patch.setattr(independence, "_chain", lambda w, t: chain(-w, t))
        assert wrong()
    with monkeypatch.context() as patch:  # a mixture that is narrower than the density
        patch.setattr(adapt, "_FIRST", ((0.5, 1.0),))
        patch.setattr(adapt, "_FIRST_DEGREES", 100.0)
        assert wrong()


# A grid, with one and two coordinates


def skewed_two(x: np.ndarray) -> np.ndarray:
    """Two unlike logs of gamma variables, turned: neither axis is the other's."""
    u, v = x[:, 0] + 0.4 * x[:, 1], x[:, 1]
    return 1.3 * u - np.exp(u) + 4 * v - np.exp(v)


def grid_of(density: Density, dimension: int) -> Grid:
    return grid_about(density, find_modes(density, np.zeros((1, dimension)) + 0.3)[0])


@pytest.mark.parametrize("dimension", [1, 2])
def test_points_of_a_grid_are_draws_from_the_density_that_it_states(dimension: int) -> None:
    # A grid of any values: cells next to each other that have unlike ones, and none at the ends.
    values = np.pad(np.random.default_rng(1).uniform(size=(13,) * dimension) ** 4, 1)
    factor = np.array([[2.0, 0.0], [-1.0, 0.5]])[:dimension, :dimension]
    grid = Grid(values, np.array([3.0, -2.0])[:dimension], factor)
    points = grid.draw(np.random.default_rng(2), 40_000)
    # Against points that are uniform on a box: means by importance weights are those of draws.
    low, high = points.min(axis=0) - 0.1, points.max(axis=0) + 0.1
    uniform = low + (high - low) * latin_hypercube(np.random.default_rng(3), 400_000, dimension)
    weights = np.exp(grid.log_density(uniform))
    for power in (1, 2, 3):
        expected = weights @ uniform**power / weights.sum()
        error = (points**power).std(axis=0) / np.sqrt(40_000)
        assert (np.abs((points**power).mean(axis=0) - expected) < 5 * error).all()
    products = points.prod(axis=1)
    assert abs(products.mean() - weights @ uniform.prod(axis=1) / weights.sum()) < 5 * products.std() / 200
    assert (grid.log_density(np.vstack([low - 50, high + 50])) == -np.inf).all()


@pytest.mark.parametrize("dimension", [1, 2])
def test_weights_of_a_grid_are_all_but_one(dimension: int) -> None:
    logs = {1: lambda x: 0.5 * x[:, 0] - np.exp(x[:, 0]), 2: skewed_two}
    draws = draw_streams(with_differences(logs[dimension]), dimension, 4, 1000, 1)
    assert draws.trouble == ""
    assert draws.share > 0.97
    assert draws.pareto_k < 0
    assert draws.evaluations < 2000 + 4100


def test_a_grid_follows_two_unlike_coordinates_that_are_turned() -> None:
    draws = draw_streams(with_differences(skewed_two), 2, 4, 1000, 4)
    apart = np.stack([draws.points[..., 0] + 0.4 * draws.points[..., 1], draws.points[..., 1]], axis=2)
    assert agrees(distances(draws, {"u": stats.loggamma(1.3), "v": stats.loggamma(4)}, apart))


def test_what_a_grid_does_not_hold_is_drawn_by_a_mixture_or_refused() -> None:
    heavy = with_differences(lambda x: -1.6 * np.log1p(x[:, 0] ** 2))  # falls off as x^-3.2: beyond 40 sds still there
    assert grid_of(heavy, 1).reaches_beyond
    ridge = with_differences(lambda x: -0.5 * x[:, 0] ** 2 - 500 * (x[:, 1] - x[:, 0] ** 2) ** 2)
    mode = Mode(np.zeros(2), 0.0, np.diag([1.0, 1000.0]))
    curved, _ = independence.from_proposals(ridge, grid_about(ridge, mode), 4, 1000, 1, 25, [1])
    assert curved.trouble


def test_planted_faults_of_a_grid_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    density, known = with_differences(skewed_two), {"u": stats.loggamma(1.3), "v": stats.loggamma(4)}

    def wrong() -> bool:
        drawn, _ = independence.from_proposals(density, grid_of(density, 2), 4, 1000, 1, 25, [3])
        apart = np.stack([drawn.points[..., 0] + 0.4 * drawn.points[..., 1], drawn.points[..., 1]], axis=2)
        return bool(drawn.trouble) or drawn.share < 0.97 or not agrees(distances(drawn, known, apart))

    assert not wrong()
    right, draw = Grid.log_density, Grid.draw
    with monkeypatch.context() as patch:  # the length of a step of t in u forgotten
        patch.setattr(Grid, "log_density", lambda g, x: right(g, x) + 0.4 * np.log1p(((x - g.centre) ** 2).sum(axis=1)))
        assert wrong()
    with monkeypatch.context() as patch:  # the axes in the other order
        patch.setattr(Grid, "draw", lambda g, r, n: draw(replace(g, values=g.values.T), r, n))
        assert wrong()
    with monkeypatch.context() as patch:  # half a step aside
        patch.setattr(Grid, "draw", lambda g, r, n: draw(g, r, n) + 0.15 * g.factor[0])
        assert wrong()
    with monkeypatch.context() as patch:  # the ends of a grid that is too small cut off
        patch.setattr("hbm_stan.direct.grid._STEPS", 3)
        assert wrong() or grid_of(density, 2).reaches_beyond
