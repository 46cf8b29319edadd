"""The tree of a fit: dims and labels, and what is drawn after sampling where a table is large."""

from __future__ import annotations

import sys
import tracemalloc
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hbm_stan.attempts import fit
from hbm_stan.data import Dataset
from hbm_stan.diagnose import check
from hbm_stan.engines import Engine, Sampling
from hbm_stan.families import families, family
from hbm_stan.fit import prepare_table
from hbm_stan.leave_one_out import loo
from hbm_stan.model import Draws, StanData
from hbm_stan.tree import complete

SAMPLING = Sampling(draws=1000, seed=20261121)


def dataset(n: int = 60) -> Dataset:
    rng = np.random.default_rng(2)
    g = np.arange(n) % 6
    frame = pd.DataFrame({"g": [f"g{i}" for i in g], "y": rng.normal(g, 2.0), "x": rng.normal(size=n)})
    return Dataset.from_frame(frame, group="g", outcome="y", predictors=["x"])


def test_groups_terms_and_rows_have_their_names(stanli: Engine) -> None:
    made = fit("linear_regression", dataset(), sampling=SAMPLING, engine=stanli)
    theta = made.tree["posterior"]["theta"]
    assert theta.dims == ("chain", "draw", "group", "term")
    assert theta.sel(group="g3", term="x").shape == (4, 1000)
    assert made.tree["log_likelihood"]["y"].dims == ("chain", "draw", "observation")
    assert made.tree["posterior_predictive"]["y"].coords["observation"].values.tolist() == list(range(1, 61))
    names = set(check(made).summary.index)
    assert {"mu[intercept]", "mu[x]", "tau[x]", "theta[g3, x]", "sigma"} <= names


@pytest.mark.parametrize("variant", ["complete_pooling", "no_pooling", "partial_pooling", "partial_pooling_centered"])
def test_what_is_drawn_afterwards_is_what_the_program_draws(
    stanli: Engine, monkeypatch: pytest.MonkeyPatch, variant: str
) -> None:
    small = fit("grouped_normal", dataset().with_columns({"group": "g", "outcome": "y"}), variant, engine=stanli)
    monkeypatch.setattr(sys.modules["hbm_stan.fit"], "MANY_ROWS", 10)
    large = fit("grouped_normal", dataset().with_columns({"group": "g", "outcome": "y"}), variant, engine=stanli)
    assert (small.data["generate"], large.data["generate"]) == (1, 0)
    assert small.key != large.key
    for group, name in (("posterior", "theta"), ("posterior_predictive", "y"), ("log_likelihood", "y")):
        one, other = small.tree[group][name], large.tree[group][name]
        assert one.dims == other.dims
        se = np.hypot(one.std(("chain", "draw")), other.std(("chain", "draw"))) / np.sqrt(300)
        assert float((np.abs(one.mean(("chain", "draw")) - other.mean(("chain", "draw"))) / (se + 1e-12)).max()) < 5
    assert loo(large).elpd == pytest.approx(loo(small).elpd, abs=1.0)


def test_a_family_may_draw_more_than_group_effects_afterwards() -> None:
    found = family("grouped_normal")
    table = prepare_table(found, dataset().with_columns({"group": "g", "outcome": "y"}))
    data = found.stan_data(table, found.priors(table), "partial_pooling", generate=False)
    population = {name: np.full((2, 5), value) for name, value in (("mu", 1.0), ("tau", 2.0), ("sigma", 1.0))}

    def both(rng: np.random.Generator, draws: Draws, given: StanData) -> dict[str, np.ndarray]:
        return {
            "theta": found.need("draw_groups", "")(rng, draws, given),
            "effect": draws["mu"][:, None] + np.arange(3),
        }

    alone = complete(found, data, population, seed=3)
    more = complete(replace(found, draw_groups=both), data, population, seed=3)
    assert more["effect"].shape == (2, 5, 3)
    for name, values in alone.items():
        np.testing.assert_array_equal(values, more[name])


def test_what_is_drawn_afterwards_is_held_once() -> None:
    """Chains that are put together at the end would be held twice."""
    shape, size = (50, 1000), 8 * 4 * 50 * 1000
    family = replace(
        families()["grouped_normal"],
        draw_groups=lambda _rng, _draws, _data: np.ones(shape),
        pointwise=lambda _draws, _data: np.ones(shape),
        simulate=lambda _rng, _draws, _data: np.ones(shape),
    )
    tracemalloc.start()
    made = complete(family, {}, {"mu": np.zeros((4, 50))}, seed=1)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert {name: v.shape for name, v in made.items()} == dict.fromkeys(("theta", "log_lik", "y_rep"), (4, *shape))
    assert held >= 3 * size
    assert peak < held + size
