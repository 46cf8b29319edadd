"""Calibration of 0 and 1 and of successes: brute force, invariance, known probabilities, false alarms, words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from hbm_stan.attempts import fit
from hbm_stan.data import Dataset
from hbm_stan.engines import Engine, Sampling
from hbm_stan.errors import ComparisonError
from hbm_stan.loo_predictive import loo_predictive
from hbm_stan.reliability import Reliability, _probabilities, compared, reliability
from hbm_stan.verdicts import CALIBRATION

SEED = 20261129
ERRORS = 4.5


def rows(n: int = 300, seed: int = SEED) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, some of them alike, and what happened of what they say."""
    rng = np.random.default_rng(seed)
    p = np.round(rng.beta(1.5, 2, n), 2)
    return p, (rng.random(n) < p).astype(float)


def of(p: np.ndarray, y: np.ndarray, trials: np.ndarray | None = None, sets: int = 199, seed: int = 1) -> Reliability:
    trials = np.ones(len(p)) if trials is None else trials
    return compared(p, y, trials, np.random.default_rng(seed).binomial(trials.astype(int), p, (sets, len(p))) * 1.0)


def min_max(p: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The isotonic regression by its formula: the largest from the left of the smallest means to the right."""
    levels = np.unique(p)
    sums = [(y[p == v].sum(), (p == v).sum()) for v in levels]

    def mean(s: int, t: int) -> float:
        part = sums[s : t + 1]
        return float(sum(a for a, _ in part) / sum(b for _, b in part))

    n = len(levels)
    return levels, np.array([max(min(mean(s, t) for t in range(i, n)) for s in range(i + 1)) for i in range(n)])


def test_the_curve_is_the_isotonic_regression() -> None:
    p, y = rows()
    own, (levels, curve) = of(p, y), min_max(p, y)
    assert own.curve["p"].to_numpy() == pytest.approx(levels)
    assert own.curve["observed"].to_numpy() == pytest.approx(curve, abs=1e-12)
    assert own.brier == pytest.approx(np.mean((p - y) ** 2))
    assert own.miscalibration == pytest.approx(own.brier - np.mean((curve[np.searchsorted(levels, p)] - y) ** 2))
    assert own.uncertainty == pytest.approx(np.var(y))
    assert own.brier == pytest.approx(own.miscalibration - own.discrimination + own.uncertainty)
    assert own.bins["rows"].sum() == len(p)


def test_rows_in_another_order_and_trials_written_out_are_the_same() -> None:
    rng = np.random.default_rng(SEED)
    trials = rng.integers(1, 9, 60)
    p = rng.random(60)
    successes = rng.binomial(trials, p).astype(float)
    one = of(p, successes, trials.astype(float))
    order = rng.permutation(60)
    other = of(p[order], successes[order], trials[order].astype(float))
    written = [np.repeat([1.0, 0.0], [s, t - s]) for s, t in zip(successes.astype(int), trials, strict=True)]
    expanded = of(np.repeat(p, trials), np.concatenate(written))
    for again in (other, expanded):
        for name in ("brier", "miscalibration", "discrimination", "uncertainty", "shift", "slope"):
            assert getattr(again, name) == pytest.approx(getattr(one, name), abs=1e-12), name
        assert again.curve["observed"].to_numpy() == pytest.approx(one.curve["observed"].to_numpy())


def test_right_probabilities_are_off_by_chance_as_often_as_the_p_says() -> None:
    p_values = [of(*rows(150, seed), sets=99, seed=seed).p_value for seed in range(400)]
    for level in (0.05, 0.2, 0.5):
        assert np.mean(np.array(p_values) <= level) == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 400))


@pytest.mark.parametrize(
    ("stated", "word"),
    [
        (lambda p: expit(2.2 * logit(p)), "too extreme"), (lambda p: expit(0.4 * logit(p)), "too timid"),
        (lambda p: expit(logit(p) - 1), "too low"), (lambda p: expit(logit(p) + 1), "too high"),
    ],
)  # fmt: skip
def test_each_fault_has_its_word_and_its_place(stated, word: str) -> None:  # type: ignore[no-untyped-def]
    p, y = rows(800)
    own = of(stated(np.clip(p, 0.01, 0.99)), y, sets=999)
    assert own.departs
    assert own.sentences()[-1].startswith(f"Predictions are {word}: where ")
    assert (own.verdict().name, own.verdict().status, own.as_dict()["departure"]) == (CALIBRATION, "warn", word)
    assert of(np.clip(p, 0.01, 0.99), y, sets=999).verdict().status == "pass"


def test_the_band_holds_nine_of_ten_curves() -> None:
    p, _ = rows(200)
    rng, inside = np.random.default_rng(SEED), []
    for _ in range(150):
        own = of(p, (rng.random(200) < p).astype(float), sets=199)
        inside.append(own.curve["observed"].between(own.curve["low"] - 1e-12, own.curve["high"] + 1e-12).mean())
    assert np.mean(inside) == pytest.approx(0.9, abs=0.03)


def test_leave_one_out_probabilities_are_those_of_a_conjugate_model(stanli: Engine) -> None:
    """One share for all rows with the prior beta(2, 3): (2 + other successes) / (5 + other trials)."""
    rng = np.random.default_rng(SEED)
    n = rng.integers(2, 15, 30)
    frame = pd.DataFrame({"g": np.arange(30), "n": n, "y": rng.binomial(n, 0.3)})
    data = Dataset.from_frame(frame, {"group": "g", "successes": "y", "trials": "n"})
    own = fit("beta_binomial", data, "complete_pooling", sampling=Sampling(seed=5), engine=stanli)
    prior = next(iter(own.priors.values())).arguments
    y = own.y
    truth = (prior[0] + y.sum() - y) / (sum(prior) + n.sum() - n)
    given = loo_predictive(own)
    spread = np.sqrt(n * 0.3 * 0.7) / n
    assert (np.abs(given.mean() / n - truth) < ERRORS * spread / np.sqrt(1500)).all()
    drawn = given.drawn(np.random.default_rng(1), 4000) / n
    assert (np.abs(drawn.mean(axis=0) - truth) < 2 * ERRORS * spread / np.sqrt(1500)).all()


def test_of_single_rows_it_is_the_density_of_what_was_seen(stanli: Engine) -> None:
    rng = np.random.default_rng(SEED)
    frame = pd.DataFrame({"g": np.arange(80) % 4, "n": 1, "y": rng.integers(0, 2, 80)})
    data = Dataset.from_frame(frame, {"group": "g", "successes": "y", "trials": "n"})
    own = fit("beta_binomial", data, "complete_pooling", sampling=Sampling(seed=6), engine=stanli)
    prior = next(iter(own.priors.values())).arguments
    truth = (prior[0] + own.y.sum() - own.y) / (sum(prior) + 79)
    assert _probabilities(loo_predictive(own)) == pytest.approx(truth, abs=ERRORS * 0.5 / np.sqrt(80 * 1500))
    # Without leaving out, what happened would be the likelier for it.
    assert ((truth < 0.5 + (own.y.mean() - 0.5)) == (own.y == 1)).all()
    looked = reliability(own)
    assert (looked.flat, looked.blind) == (True, True)
    assert looked.sentences() == ["All rows are predicted nearly the same share, so that there is no more to say."]


def test_what_has_no_calibration_is_told_why(stanli: Engine) -> None:
    frame = pd.DataFrame({"g": np.arange(40) % 5, "y": np.arange(40) % 7})
    sampling = Sampling(seed=1, draws=100)
    own = fit("poisson", Dataset.from_frame(frame, formula="y ~ 1 + (1 | g)"), sampling=sampling, engine=stanli)
    with pytest.raises(ComparisonError, match="rows are no successes: it is of 0 and 1, and of successes of trials"):
        reliability(own)
