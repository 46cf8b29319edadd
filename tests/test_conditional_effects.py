"""Conditional effects and R-squared: recomputed from the draws by another path, and drawn with words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hbm_stan import plots
from hbm_stan.analysis.read import read_analysis
from hbm_stan.attempts import fit as fit_variant
from hbm_stan.data import Dataset
from hbm_stan.engines import Engine, Sampling
from hbm_stan.fit import Fit
from hbm_stan.report.build import fit_analysis, settled
from hbm_stan.report.sections.conditional import effect_panels
from hbm_stan.results import conditional, r_squared
from hbm_stan.results.conditional import Effect, conditional_effects, observed_rows


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    shop = np.repeat(np.arange(10), 12)
    price, arm = rng.uniform(1, 3, 120).round(2), np.tile(["a", "b"], 60)
    effect = rng.normal(0, 0.7, 10)[shop]
    mean = 4 - 1.5 * price + 0.8 * (arm == "b") + effect
    return pd.DataFrame({
        "shop": [f"s{k}" for k in shop], "price": price, "arm": arm, "sales": mean + rng.normal(0, 0.5, 120),
        "seen": 20, "bought": rng.binomial(20, 1 / (1 + np.exp(-(mean - 2)))),
    })  # fmt: skip


def fitted(folder: Path, formula: str, engine: Engine) -> Fit:
    folder.mkdir(exist_ok=True)
    frame().to_csv(folder / "data.csv", index=False)
    (folder / "analysis.toml").write_text(
        f'formula = "{formula}"\ndata = "data.csv"\nvariants = ["partial_pooling"]\n[sampling]\nseed = 3\ndraws = 250\n'
    )
    (fit,) = fit_analysis(settled(read_analysis(folder)), engine=engine).values()
    return fit


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("effects")


@pytest.fixture
def normal(folder: Path, stanli: Engine) -> Fit:
    return fitted(folder / "normal", "sales ~ price + arm + (1 | shop)", stanli)  # sampled once: the draws are kept


@pytest.fixture
def binomial(folder: Path, stanli: Engine) -> Fit:
    return fitted(folder / "binomial", "bought | trials(seen) ~ price + (1 | shop)", stanli)


def by_column(fit: Fit) -> dict[str, Effect]:
    return {effect.column: effect for effect in conditional_effects(fit, {})}


def test_a_linear_effect_is_that_of_the_coefficients(normal: Fit) -> None:
    effects, beta, table = by_column(normal), normal.draws("beta")["beta"], frame()
    assert list(effects) == ["arm", "price"]
    is_b = (table["arm"] == "b").mean()
    for row in effects["price"].rows:  # the category stands at its reference, and columns are centred inside
        mean = beta[:, 0] + beta[:, 1] * (row.x - table["price"].mean()) - beta[:, 2] * is_b
        assert [getattr(row, k) for k in ("q05", "q25", "q50", "q75", "q95")] == pytest.approx(
            np.quantile(mean, [0.05, 0.25, 0.5, 0.75, 0.95])
        )
    a, b = effects["arm"].rows
    assert (a.x, b.x) == ("a", "b")
    assert b.q50 == pytest.approx(np.median(beta[:, 0] + beta[:, 2] * (1 - is_b)))
    width = [row.new_q95 - row.new_q05 for row in effects["price"].rows]
    sd = np.sqrt(normal.draws("sigma")["sigma"] ** 2 + normal.draws("tau")["tau"].ravel() ** 2)
    assert np.mean(width) == pytest.approx(2 * 1.645 * sd.mean(), rel=0.1)


def assert_averaged(fit: Fit) -> None:
    """The expected share over the price is the mean over a normal population of log odds."""
    (effect,) = conditional_effects(fit, {})
    beta, tau = fit.draws("beta")["beta"], fit.draws("tau")["tau"].ravel()
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    for row in effect.rows[::6]:
        eta = beta[:, 0] + beta[:, 1] * (row.x - frame()["price"].mean())
        p = (1 / (1 + np.exp(-(eta[:, None] + tau[:, None] * nodes))) * weights).sum(axis=1) / weights.sum()
        assert [row.q05, row.q95] == pytest.approx(np.quantile(p, [0.05, 0.95]), abs=1e-4)


def test_an_effect_on_a_probability_is_averaged_over_groups(binomial: Fit) -> None:
    assert_averaged(binomial)


@pytest.mark.parametrize("fault", ["the group in the middle", "another unit"])
def test_planted_faults_are_seen(binomial: Fit, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    if fault == "another unit":
        monkeypatch.setattr(conditional, "summarise", lambda name, d: {k: 20 * v for k, v in _right(name, d).items()})
    else:
        monkeypatch.setattr(conditional, "AVERAGED", "population")
    with pytest.raises(AssertionError):
        assert_averaged(binomial)


_right = conditional.summarise


def test_the_data_beside_an_effect_are_the_rows_of_the_table(normal: Fit, binomial: Fit) -> None:
    points, table = observed_rows(normal, "price", []), frame()
    assert points["x"].tolist() == table["price"].tolist()
    assert points["y"].tolist() == pytest.approx(table["sales"].tolist())
    levels = observed_rows(normal, "arm", ["a", "b"])
    assert levels["x"].tolist() == (table["arm"] == "b").astype(float).tolist()
    shares = observed_rows(binomial, "price", [])
    assert shares["y"].tolist() == pytest.approx((table["bought"] / 20).tolist())


def test_the_figure_has_words_for_its_axes_and_levels_by_name(normal: Fit) -> None:
    panels = effect_panels(normal, conditional_effects(normal, {}))
    figure = plots.plot_effects(panels, "sales", "EUR").draw()
    arm, price = figure.axes
    assert arm.get_title("left") == "sales (EUR)"
    assert [t.get_text() for t in arm.get_xticklabels()] == ["a", "b"]
    assert (arm.get_xlabel(), price.get_xlabel()) == ("arm", "price")
    units = [{**panel, "unit": unit} for panel, unit in zip(panels, ("", "EUR"), strict=True)]
    assert [a.get_xlabel() for a in plots.plot_effects(units).draw().axes] == ["arm", "price (EUR)"]
    same = [{**panel, "unit": "Price"} for panel in panels]
    assert plots.plot_effects(same).draw().axes[1].get_xlabel() == "price"


def test_without_columns_or_population_there_is_none(reported: Path, stanli: Engine) -> None:
    fits = fit_analysis(settled(read_analysis(reported)), engine=stanli)
    assert all(conditional_effects(fit, {}) == [] for fit in fits.values())


# --- R-squared -------------------------------------------------------------------------------------------------------


def assert_r_squared(fit: Fit) -> None:
    """Of a normal model both have a closed form, given the draws; new groups are drawn, hence the tolerance."""
    table, step = frame(), max(1, fit.n_draws // r_squared._DRAWS)
    draws = {name: values[::step] for name, values in fit.draws().items()}
    x = np.column_stack([table["price"] - table["price"].mean(), (table["arm"] == "b") - (table["arm"] == "b").mean()])
    common = draws["beta"][:, [0]] + draws["beta"][:, 1:] @ x.T
    theta, shop = draws["theta"].reshape(len(common), -1), [int(s[1:]) for s in table["shop"]]
    mean = common - draws["beta"][:, [0]] + theta[:, shop]
    residual, tau = draws["sigma"] ** 2, draws["tau"].ravel() ** 2
    known = mean.var(axis=1) / (mean.var(axis=1) + residual)
    new = common.var(axis=1) / (common.var(axis=1) + tau + residual)
    explained = r_squared.r_squared(fit)
    assert explained is not None
    for key, p in (("q05", 0.05), ("q50", 0.5), ("q95", 0.95)):
        assert getattr(explained.known, key) == pytest.approx(np.quantile(known, p))
        assert getattr(explained.new, key) == pytest.approx(np.quantile(new, p), abs=0.02)
    assert explained.new.q50 < explained.known.q50


def test_r_squared_of_known_and_of_new_groups_has_the_closed_form(normal: Fit) -> None:
    assert_r_squared(normal)


@pytest.mark.parametrize("fault", ["sd for variance", "groups left out of what is not explained"])
def test_faults_in_r_squared_are_seen(normal: Fit, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    right = r_squared.share
    if fault == "sd for variance":
        monkeypatch.setattr(r_squared, "share", lambda mean, variance, *e: right(mean, np.sqrt(variance), *e))
    else:
        whole = r_squared._of_new_groups
        monkeypatch.setattr(r_squared, "_of_new_groups", lambda *a: (whole(*a)[0], np.zeros_like(whole(*a)[1])))
    with pytest.raises(AssertionError):
        assert_r_squared(normal)


def test_r_squared_of_many_groups_is_made_some_draws_at_a_time_and_from_fewer_populations(
    monkeypatch: pytest.MonkeyPatch, stanli: Engine
) -> None:
    """Shares with two rows a group: a new group's expected rate is mu in every row, which explains nothing."""
    rng = np.random.default_rng(5)
    shop, trials = rng.permutation(np.repeat(np.arange(80), 2)), rng.integers(5, 21, 160)
    sold = rng.binomial(trials, rng.beta(2, 3, 80)[shop])
    rows = pd.DataFrame({"shop": shop, "sold": sold, "trials": trials})
    roles = {"group": "shop", "successes": "sold", "trials": "trials"}
    few = Sampling(draws=200, seed=3)
    own = fit_variant("beta_binomial", Dataset.from_frame(rows, roles), "partial_pooling", sampling=few, engine=stanli)
    monkeypatch.setattr("hbm_stan.portions.AT_ONCE", 160 * 7)  # seven draws at a time
    monkeypatch.setattr(r_squared, "_GROUPS", 80 * 5)  # five populations
    explained = r_squared.r_squared(own)
    assert explained is not None
    theta = own.draws()["theta"][:: own.n_draws // r_squared._DRAWS][:, own.table.pooled.level]
    variance = (theta * (1 - theta) / trials).mean(axis=1)
    known = theta.var(axis=1) / (theta.var(axis=1) + variance)
    assert explained.n_draws == len(known)
    for key, p in (("q05", 0.05), ("q50", 0.5), ("q95", 0.95)):
        assert getattr(explained.known, key) == pytest.approx(np.quantile(known, p))
    assert explained.known.q50 > 0.5
    # By chance the means of five populations spread by a fifth of the groups' variance, which is taken off: what is
    # left has an sd of a fifth of that, times the root of two over the groups.
    assert explained.new.q50 < 0.02
    assert explained.new.q95 < 4 * 0.2 * np.sqrt(2 / 80)


def test_groups_of_one_row_have_no_r_squared(reported: Path, stanli: Engine) -> None:
    fits = fit_analysis(settled(read_analysis(reported)), engine=stanli)
    assert r_squared.r_squared(fits["partial_pooling"]) is None
