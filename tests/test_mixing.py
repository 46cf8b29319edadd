"""R-hat, effective sample sizes and Monte Carlo errors are those of ArviZ, parameter by parameter."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
from arviz_stats.base import array_stats as az

from hbm_stan import mixing
from hbm_stan.mixing import QUANTILES, ess_bulk, ess_mean, mcse_mean, summarised


def chains(n: int, n_chains: int, n_draws: int, correlation: float, seed: int = 20261129) -> np.ndarray:
    """Autoregressive series, (parameter, chain, draw)."""
    noise = np.random.default_rng(seed).normal(size=(n, n_chains, n_draws))
    draws = noise.copy()
    for t in range(1, n_draws):
        draws[..., t] += correlation * draws[..., t - 1]
    return draws


def odd_ones() -> np.ndarray:
    """Draws that are constant, stuck in one chain, missing, infinite, or nearly always 0."""
    draws = chains(8, 4, 200, 0.3)
    draws[0] = 3
    draws[1, 2] = 1
    draws[2, 0, 0] = np.nan
    draws[3, 1, 5] = np.inf
    draws[4] = np.nan
    draws[5] = np.random.default_rng(1).uniform(size=draws[5].shape) < 0.01
    draws[6] = np.inf
    return draws


CASES: dict[str, Callable[[], np.ndarray]] = {
    "independent": lambda: chains(20, 4, 1000, 0.0),
    "correlated": lambda: chains(20, 4, 500, 0.6),
    "antithetic": lambda: chains(20, 4, 500, -0.7),
    "slow": lambda: chains(20, 4, 300, 0.99),
    "an odd number of draws": lambda: chains(20, 3, 301, 0.3),
    "one chain": lambda: chains(10, 1, 200, 0.2),
    "chains apart": lambda: chains(10, 4, 200, 0.3) + np.arange(4)[:, None],
    "ties": lambda: np.round(chains(20, 4, 200, 0.3)),
    "zeros and ones": lambda: (chains(20, 4, 200, 0.3) > 0).astype(float),
    "odd ones": odd_ones,
    **{f"{n} draws": lambda n=n: chains(60, 3, n, -0.8) for n in (3, 4, 5, 6, 7, 8, 9, 11)},  # type: ignore[misc]
    **{f"{n} slow draws": lambda n=n: chains(60, 2, n, 0.9) for n in (6, 9, 25, 28)},  # type: ignore[misc]
}


def of_arviz(draws: np.ndarray) -> dict[str, np.ndarray]:
    with np.errstate(all="ignore"):
        statistics = {"mean": draws.mean(axis=(1, 2)), "sd": draws.std(axis=(1, 2), ddof=1)}
        statistics |= {"mcse_mean": az.mcse(draws, method="mean"), "mcse_sd": az.mcse(draws, method="sd")}
        for name, prob in QUANTILES.items():
            statistics[name] = np.quantile(draws, prob, axis=(1, 2))
            statistics[f"mcse_{name}"] = az.mcse(draws, method="quantile", prob=prob)
        statistics["ess_bulk"] = az.ess(draws, method="bulk")
        statistics["ess_tail"] = az.ess(draws, method="tail", prob=(0.05, 0.95))
        # One chain cannot be told from a stuck one: no R-hat, though ArviZ would split it in two.
        statistics["rhat"] = az.rhat(draws) if draws.shape[1] > 1 else np.full(len(draws), np.nan)
        statistics["ess_mean"] = az.ess(draws, method="mean")
    return statistics


def ours(draws: np.ndarray, of: SimpleNamespace | None = None) -> dict[str, np.ndarray]:
    module = of or mixing
    return {**module.summarised(draws), "ess_mean": module.ess_mean(draws)}


def differing(draws: np.ndarray, of: SimpleNamespace | None = None) -> set[str]:
    theirs, own = of_arviz(draws), ours(draws, of)
    assert set(theirs) == set(own)
    return {k for k in theirs if not np.allclose(theirs[k], own[k], rtol=1e-10, atol=0, equal_nan=True)}


# ArviZ says in the log, and numbers that are not finite warn, what the figures say as nan.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES)
def test_all_figures_are_those_of_arviz(case: str) -> None:
    assert differing(CASES[case]()) == set()


def test_each_figure_by_itself_is_that_of_the_summary_whatever_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = chains(23, 4, 50, 0.4)
    whole = summarised(draws)
    monkeypatch.setattr(mixing, "_BLOCK", 5 * draws[0].size)
    for name, values in summarised(draws).items():
        np.testing.assert_array_equal(values, whole[name])
    np.testing.assert_array_equal(ess_bulk(draws), whole["ess_bulk"])
    np.testing.assert_array_equal(mcse_mean(draws), whole["mcse_mean"])
    np.testing.assert_array_equal(ess_mean(draws[:1]), ess_mean(draws)[:1])
    assert "rhat" not in summarised(draws, diagnostics=False)
    assert ess_bulk(draws[:0]).shape == (0,)


FAULTS = {
    "chains are not split": ("half = draws.shape[2] // 2", "half = draws.shape[2]", "ess_mean"),
    "between chains forgotten": ("variance * (n - 1) / n + between", "variance * (n - 1) / n", "ess_mean"),
    "not monotone": ("np.minimum.accumulate(sums, axis=1)", "sums", "ess_mean"),
    "the last even one forgotten": ("(own > 0) | (at_last >= 0)", "at_last >= 0", "ess_mean"),
    "one pair too few": ("(n - 1) // 2)  #", "(n - 1) // 2 - 1)  #", "ess_mean"),
    "not folded": ("np.abs(self.ordered - median)", "(self.ordered - median)", "rhat"),
    "one middle for the median": ("[(size - 1) // 2, size // 2]", "[size // 2, size // 2]", "rhat"),
    "distances not in the order of draws": ("in (distances, self.order))", "in (distances, order))", "rhat"),
    "the draw in the middle left out": ("if halves.size == draws.size else", "if True else", "ess_tail"),
    "ranks of ties as they come": ("np.flatnonzero(~first.all(axis=1))", "()", "ess_bulk"),
    "the first rank for all ties": ("begin + 1 + end", "2 * (begin + 1)", "ess_bulk"),
    "scores in the order of the ranks": (
        "(normal_scores, self.order, scores", "(normal_scores, self.order.argsort(axis=1), scores", "ess_bulk"
    ),
    "another offset of ranks": ("_BLOM = 3 / 8", "_BLOM = 1 / 2", "ess_bulk"),
    "sd for the error of the mean": ("sd / np.sqrt(_ess(halves))", "sd", "mcse_mean"),
    "half the distance forgotten": ("(above - below) / 2", "above - below", "mcse_q05"),
    "one tail only": (
        'np.where(figures["ess_q95"] < figures["ess_q05"], figures["ess_q95"], figures["ess_q05"])',
        'figures["ess_q05"]', "ess_tail",
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_seen(fault: str) -> None:
    right, wrong, figure = FAULTS[fault]
    text = inspect.getsource(mixing)
    assert text.count(right) == 1
    planted: dict[str, object] = {"__name__": "planted"}
    exec(compile(ast.parse(text.replace(right, wrong)), "planted", "exec"), planted)
    cases = ("correlated", "slow", "chains apart", "ties", "9 draws", "9 slow draws")
    assert any(figure in differing(CASES[case](), SimpleNamespace(**planted)) for case in cases)
