"""Patches of neighbours left out together: what a patch is, and scores against quadrature and plain refits."""

from __future__ import annotations

import itertools
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import logsumexp
from test_cli import hbm

from hbm_stan.automatic import fit
from hbm_stan.budget import Budget
from hbm_stan.compare import compare
from hbm_stan.data import Dataset
from hbm_stan.engines import Engine, Sampling
from hbm_stan.errors import ComparisonError
from hbm_stan.fit import Fit
from hbm_stan.leave_one_out import loo
from hbm_stan.patches import patches
from hbm_stan.repair import folds, refit_without
from hbm_stan.repair.folds import Folds, by_folds, patches_of
from hbm_stan.scores import Route
from hbm_stan.store import FitStore

EXAMPLES = Path(__file__).parents[1] / "reports"
SEED = 20261130
SIDE = 6
LABELS = [f"{r}{c}" for r, c in itertools.product(range(SIDE), repeat=2)]
PAIRS = [
    (f"{r}{c}", f"{r + dr}{c + dc}")
    for r, c in itertools.product(range(SIDE), repeat=2)
    for dr, dc in ((0, 1), (1, 0))
    if r + dr < SIDE and c + dc < SIDE
]


def connected(areas: set[str], pairs: list[tuple[str, str]]) -> bool:
    seen, border = set(), [next(iter(areas))]
    while border:
        area = border.pop()
        seen.add(area)
        beside = {b if a == area else a for a, b in pairs if area in (a, b)}
        border += [b for b in beside if b in areas and b not in seen]
    return seen == areas


def sets_of(labels: list[str], pairs: list[tuple[str, str]], most: int) -> set[frozenset[str]]:
    patch = patches(labels, pairs, most)
    return {frozenset(a for a, p in zip(labels, patch, strict=True) if p == k) for k in set(patch.tolist())}


def test_patches_of_a_grid_hang_together_and_are_of_one_size() -> None:
    sets = sets_of(LABELS, PAIRS, 10)
    assert sorted(len(s) for s in sets) == [3] * 4 + [4] * 6
    assert all(connected(set(s), PAIRS) for s in sets)


def test_patches_do_not_depend_on_the_order_of_rows_or_pairs() -> None:
    rng = np.random.default_rng(SEED)
    labels = [str(label) for label in rng.permutation(LABELS)]
    pairs = [PAIRS[i][:: rng.choice([-1, 1])] for i in rng.permutation(len(PAIRS))]
    assert sets_of(labels, pairs, 10) == sets_of(LABELS, PAIRS, 10)


def test_islands_and_few_areas_have_patches_too() -> None:
    assert sets_of(["a", "b", "c"], [("a", "b")], 10) == {frozenset("a"), frozenset("b"), frozenset("c")}
    assert sets_of(["a", "b", "c", "d"], [("a", "b")], 2) == {frozenset("cd"), frozenset("ab")}


def table() -> pd.DataFrame:
    rng = np.random.default_rng(SEED)
    at = np.array([[int(label[0]), int(label[1])] for label in LABELS])
    theta = 0.2 * (at[:, 0] - 2.5) + rng.normal(0, 0.3, len(LABELS))
    expected = rng.uniform(2, 30, len(LABELS))
    frame = pd.DataFrame({"area": LABELS, "expected": expected, "cases": rng.poisson(expected * np.exp(theta))})
    return frame.sample(frac=1, random_state=SEED).reset_index(drop=True)


def dataset() -> Dataset:
    return Dataset.from_frame(table(), group="area", count="cases", expected="expected", neighbours=PAIRS)


PRIORS = {"mu": "normal(0, 1)", "tau": "half_normal(0.5)"}


@cache
def fitted(variant: str) -> Fit:
    priors = {"mu": PRIORS["mu"]} if variant == "complete_pooling" else PRIORS
    if variant == "no_pooling":
        priors = {"theta": "normal(0, 1)"}
    return fit("disease_mapping", dataset(), variant, priors=priors, sampling=Sampling(seed=SEED), engine="stanli")


def score_of(variant: str, tmp_path: Path, divide: Any = patches_of) -> Any:
    one = fitted(variant)
    store = FitStore(tmp_path / "fits")
    return by_folds({"a": one}, {"a": loo(one)}, Budget(), store, lambda _text: None, divide=divide)["a"]


def truth_without_differences() -> np.ndarray:
    """log p(y_i | counts outside its patch), all areas alike: mu by quadrature."""
    frame = table()
    patch = dict(zip(LABELS, patches(LABELS, PAIRS, 10), strict=True))
    own = frame["area"].map(patch).to_numpy()
    mu = np.linspace(-2, 2, 4001)
    log_p = stats.poisson.logpmf(frame["cases"].to_numpy()[:, None], frame["expected"].to_numpy()[:, None] * np.exp(mu))
    prior = stats.norm.logpdf(mu)
    without = np.array([logsumexp(prior + log_p[own != own[i]].sum(axis=0)) for i in range(len(own))])
    with_it = np.array([logsumexp(prior + log_p[own != own[i]].sum(axis=0) + log_p[i]) for i in range(len(own))])
    return with_it - without


def test_a_patch_left_out_is_scored_as_quadrature_says(tmp_path: Path, stanli: Engine) -> None:
    scores, truth = score_of("complete_pooling", tmp_path), truth_without_differences()
    assert scores.route is Route.PATCHES
    assert abs(scores.elpd - truth.sum()) < 4 * scores.mcse
    np.testing.assert_allclose(scores.elpd_i, truth, atol=0.05)


def test_patches_in_the_order_of_rows_would_be_seen(tmp_path: Path, stanli: Engine) -> None:
    """A planted fault: the patches of sorted areas, taken for those of the table's rows."""

    def in_order(one: Fit) -> Folds:
        return Folds(patches(LABELS, PAIRS, 10), Route.PATCHES, "patch")

    assert list(table()["area"]) != LABELS
    wrong, truth = score_of("complete_pooling", tmp_path, in_order), truth_without_differences()
    assert np.abs(wrong.elpd_i - truth).max() > 0.05


@cache
def plain_scores() -> tuple[np.ndarray, np.ndarray]:
    """Scores and their Monte Carlo errors from refits: areas without a count are drawn by the program itself."""
    one, frame = fitted("partial_pooling"), table()
    patch = patches_of(one).of
    elpd, error = np.empty((2, len(frame)))
    for k in set(patch.tolist()):
        rows = np.flatnonzero(patch == k)
        refit = refit_without(one, rows)
        draws = refit.draws()
        place = np.asarray(one.data["place"]) - 1
        for i in rows:
            j = one.table.pooled.level[i]
            theta = draws["mu"] + draws["deviation"][:, place[j]]
            p = stats.poisson.pmf(frame["cases"][i], frame["expected"][i] * np.exp(theta))
            elpd[i], error[i] = math.log(p.mean()), p.std() / p.mean() / math.sqrt(len(p) / 4)
    return elpd, error


def test_a_map_without_a_patch_is_scored_as_its_refits_say(tmp_path: Path, stanli: Engine) -> None:
    one = fitted("partial_pooling")
    scores = score_of("partial_pooling", tmp_path)
    elpd, error = plain_scores()
    z = (scores.elpd_i - elpd) / error
    assert np.abs(z).max() < 4.5
    # Each area by itself is guessed better, from its neighbours.
    assert loo(one).elpd > scores.elpd


def test_neighbours_that_are_left_in_would_be_seen(
    tmp_path: Path, stanli: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A planted fault: only the area itself is left out."""
    monkeypatch.setattr(folds, "passed", lambda _job, _waive: fitted("partial_pooling"))
    scores = score_of("partial_pooling", tmp_path)
    elpd, error = plain_scores()
    assert np.abs((scores.elpd_i - elpd) / error).max() > 4.5


def test_variants_are_compared_by_patches(tmp_path: Path, stanli: Engine) -> None:
    fits = {v: fitted(v) for v in ("complete_pooling", "no_pooling", "partial_pooling", "partial_pooling_iid")}
    comparison = compare(fits, target="patch", store=FitStore(tmp_path / "fits"))
    assert "whose neighbours are left out too" in comparison.target
    routes = {s.variant: s.route for s in comparison.scores}
    assert routes.pop("no_pooling") is Route.ROW_PRIOR  # its prior alone, whatever else is left out
    assert set(routes.values()) == {Route.PATCHES}


def test_patches_are_for_maps(stanli: Engine) -> None:
    rng = np.random.default_rng(SEED)
    frame = pd.DataFrame({"g": np.repeat(list("abcdef"), 5), "y": rng.normal(size=30)})
    rows = Dataset.from_frame(frame, group="g", outcome="y")
    fits = {
        v: fit("grouped_normal", rows, v, sampling=Sampling(seed=SEED), engine="stanli")
        for v in ("complete_pooling", "partial_pooling")
    }
    with pytest.raises(ComparisonError, match="it is for maps"):
        compare(fits, target="patch")


def test_patches_without_a_map_are_refused_before_anything_is_sampled() -> None:
    refused = hbm("compare", EXAMPLES / "radon", "--target", "patch", "--engine", "stanli")
    assert refused.exit_code == 2
    words = " ".join(refused.output.split())
    assert "it is for maps" in words
    assert "sampling" not in words
    assert "pilot" not in words


def test_patches_are_no_question_of_factors() -> None:
    refused = hbm("compare", EXAMPLES / "scottish_lip_cancer", "--target", "patch", "--factors")
    assert refused.exit_code == 2
    assert "patches of a map are left out of its variants only" in " ".join(refused.output.split())
