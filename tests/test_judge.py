"""The verdict on two variants: each answer with its sentence, known cases, and what must not change an answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fake_fits import loo_of
from verdict_table import DESIGNS, SHAPES, complete, equals, left_out, partial, pooled

from hbm_stan.attempts import fit
from hbm_stan.checks import check_fits
from hbm_stan.compare import compare, score
from hbm_stan.data import Dataset
from hbm_stan.engines import Engine, Sampling
from hbm_stan.judge import MANY_GROUPS, Pair, corrected_z, judge, one_sided, stands
from hbm_stan.leave_one_out import standard_error
from hbm_stan.nouns import GROUPS
from hbm_stan.sentences import clause

POOLING = {"partial_pooling": "partial", "complete_pooling": "complete"}


def judged(lead: np.ndarray, **options: object) -> Pair:
    return judge("a", "b", np.asarray(lead, dtype=float), se=1.0, **options)  # type: ignore[arg-type]


def spread(n: int, total: float, noise: float = 0.0) -> np.ndarray:
    """n leads that add up to ``total``, above and below their mean by turns."""
    return total / n + noise * np.resize([1.0, -1.0], n) * (np.arange(n) < n - n % 2)


@pytest.mark.parametrize(
    ("lead", "kind", "reason", "words"),
    [
        (spread(40, 3.9), "alike", "", "a and b predict alike (elpd difference 3.9"),
        (spread(40, 4.1), "better", "", "a predicts better than b (elpd difference 4.1"),
        (spread(40, 40.0, 1.5), "better", "", "a predicts better than b (elpd difference 40.0"),
        (spread(40, 6.0, 3.0), "not_told_apart", "both_sides", "but groups speak for either: not told apart"),
        (spread(MANY_GROUPS - 1, 40.0), "better_here", "few", "here, but by how much is uncertain"),
        (spread(MANY_GROUPS, 40.0), "better", "", "a predicts better than b"),
        (spread(4, 400.0), "not_told_apart", "too_few", "4 groups are too few to tell them apart"),
        (spread(5, 400.0), "better_here", "few", "it rests on 5 groups"),
        # One group has nearly all of the lead; without it the others lean to the same side, and do not.
        (np.r_[500.0, spread(30, 3.0, 0.5)], "better_here", "unequal", "99 % of it rests on 1 of 31 groups, group 1"),
        (np.r_[500.0, spread(30, -3.0, 0.5)], "not_told_apart", "both_sides", "one group alone makes it: not told"),
    ],
)  # fmt: skip
def test_each_answer_has_its_sentence(lead: np.ndarray, kind: str, reason: str, words: str) -> None:
    pair = judged(lead)
    assert (pair.kind, pair.reason) == (kind, reason)
    assert words in clause(pair, GROUPS)
    assert bool(pair.rests_on) == (kind == "better_here")


def test_a_group_that_decides_alone_is_named() -> None:
    against = judged(np.r_[np.linspace(1.2, 2.6, 19), -2.2], labels=[f"g{k}" for k in range(20)])
    assert (against.kind, against.reason, against.n_for) == ("not_told_apart", "both_sides", 19)
    words = clause(against, GROUPS)
    assert "but g19 speaks against it, and some more groups like it would undo it: not told apart" in words
    own = judged(np.r_[np.linspace(-0.3, 0.2, 19), 30.0], labels=[f"g{k}" for k in range(20)])
    assert "but g19 alone makes it: not told apart on these data" in clause(own, GROUPS)
    # Rows decide where groups are few: they have no names.
    group = np.arange(60) % 3
    rows = judged(np.r_[np.full(59, 0.7), -4.0], group=group, labels=list("ABC"))
    assert (rows.kind, rows.decides, rows.side) == ("not_told_apart", "", "against")
    assert "one observation speaks against it, and some more observations like it" in clause(rows, GROUPS)


def test_a_monte_carlo_error_asks_for_more_draws() -> None:
    pair = judged(spread(40, 5.0), mcse=0.6)
    assert (pair.kind, pair.reason) == ("not_told_apart", "draws")
    assert "Monte Carlo error of 0.6: not told apart with these draws; draw more" in clause(pair, GROUPS)
    assert judged(spread(40, 5.0), mcse=0.5).kind == "better"


def test_the_groups_that_make_half_of_the_lead_are_named_the_largest_first() -> None:
    lead = np.array([1.0, 8, 3, 20, 2, -1, 12])
    pair = judged(lead, labels=list("ABCDEFG"))
    assert pair.rests_on == (("D", pytest.approx(20 / 45)), ("G", pytest.approx(12 / 45)))
    assert clause(pair, GROUPS).endswith("it rests on 7 groups, 71 % of it on D and G")
    many = judged(np.full(12, 3.0), labels=list("ABCDEFGHIJKL"))
    assert clause(many, GROUPS).endswith("it rests on 12 groups, 50 % of it on A, B, C and 3 more")


def test_the_order_of_groups_and_of_rows_changes_nothing() -> None:
    rng = np.random.default_rng(8)
    group = np.repeat(np.arange(12), 4)
    lead = rng.exponential(2.0, 48) + np.repeat(rng.normal(1, 1, 12), 4)
    labels = [f"g{j}" for j in range(12)]
    rows, groups = rng.permutation(48), rng.permutation(12)
    one = judged(lead, group=group, labels=labels)
    moved = judged(lead[rows], group=group[rows], labels=labels)
    # Group j has become group place[j]; its label went along.
    place = np.argsort(groups)
    renamed = judged(lead, group=place[group], labels=[labels[j] for j in groups])
    for other in (moved, renamed):
        assert (other.kind, other.reason, other.n_groups) == (one.kind, one.reason, 12)
        assert [label for label, _ in other.rests_on] == [label for label, _ in one.rests_on]
        assert other.bootstrap == pytest.approx(one.bootstrap)
    sums = {label: lead[group == j].sum() for j, label in enumerate(labels)}
    assert [label for label, _ in one.rests_on] == sorted(sums, key=lambda name: -sums[name])[: len(one.rests_on)]


def test_the_better_one_is_the_one_with_the_higher_score() -> None:
    high, low = loo_of(-np.ones(40)), loo_of(-3 * np.ones(40) + spread(40, 0, 0.5))
    for given in ({"one": high, "two": low}, {"two": low, "one": high}):
        (pair,) = score(given).pairs
        assert (pair.better, pair.other, pair.kind) == ("one", "two", "better")
        assert pair.elpd_diff == pytest.approx(80)
        assert pair.bootstrap is not None
        assert 0 < pair.bootstrap[0] < 80 < pair.bootstrap[1]
        other = next(s for s in score(given).scores if s.variant == "two")
        assert pair.se_diff_used == pytest.approx(2 * standard_error(high.elpd_i - low.elpd_i))
        assert (pair.elpd_diff, pair.se_diff_used) == pytest.approx((-other.elpd_diff, other.se_diff_used))
        assert other.bootstrap is not None
        assert (pair.bootstrap[0], pair.bootstrap[1]) == (-other.bootstrap[1], -other.bootstrap[0])
    errors = {"one": replace(high, mcse=0.3), "two": replace(low, mcse=0.4)}
    assert score(errors).pairs[0].mcse_diff == pytest.approx(0.5)


def test_rows_that_err_together_are_one_group() -> None:
    # Forty groups of five rows with one lead each: rows alone would call it better, groups do not.
    rng = np.random.default_rng(4)
    by_group = rng.normal(0.35, 1.0, 40)
    lead, group = np.repeat(by_group, 5), np.repeat(np.arange(40), 5)
    assert judged(lead).kind == "better"
    assert judged(lead, group=group).kind == "not_told_apart"
    # Of fewer than five known groups, rows say what is so here.
    here = judged(np.full(60, 2.0), group=np.repeat(np.arange(3), 20), labels=["A", "B", "C"])
    assert (here.kind, here.reason, here.n_groups) == ("better_here", "few", 3)


def test_complete_pooling_is_a_limit_of_partial_pooling() -> None:
    lead = np.r_[9.0, -0.2, np.zeros(8)]
    assert judged(lead).kind == "not_told_apart"
    assert judged(lead, limit=True).kind == "better_here"
    assert judged(np.r_[9.0, -1.0, np.zeros(8)], limit=True).kind == "not_told_apart"
    assert judged(np.array([80.0, 14, 12, -2]), limit=True).kind == "better_here"
    # It takes more than one group to be better everywhere.
    assert judged(np.r_[9.0, -0.2, np.zeros(38)], limit=True).kind == "better_here"
    partial_scores, complete_scores = loo_of(lead - 9), loo_of(np.full(10, -9.0))
    names = {"partial_pooling": partial_scores, "complete_pooling": complete_scores}
    assert score(names, pooling=POOLING).pairs[0].kind == "better_here"
    assert score(names).pairs[0].kind == "not_told_apart"
    other_way = {"partial_pooling": complete_scores, "complete_pooling": partial_scores}
    assert score(other_way, pooling=POOLING).pairs[0].kind == "not_told_apart"


def test_partial_and_complete_pooling_are_set_against_each_other_behind_another_best() -> None:
    wave = spread(40, 0, 0.1)
    given = {
        "no_pooling": loo_of(-np.ones(40)),
        "partial_pooling": loo_of(-2 + wave),
        "complete_pooling": loo_of(-4 - wave),
    }
    comparison = score(given, pooling={**POOLING, "no_pooling": "no"})
    assert [(p.better, p.other) for p in comparison.pairs] == [
        ("no_pooling", "partial_pooling"), ("no_pooling", "complete_pooling"), ("partial_pooling", "complete_pooling"),
    ]  # fmt: skip
    assert comparison.pair("complete_pooling", "partial_pooling") is comparison.pairs[2]
    assert [s.text for s in comparison.sentences if s.pair is comparison.pairs[2]] == [
        "Partial pooling predicts better than complete pooling ("
        f"{clause(comparison.pairs[2], GROUPS).partition(' (')[2]}."
    ]
    rows = comparison.as_dict()["pairs"]
    assert [row["kind"] for row in rows] == ["better"] * 3
    k = np.zeros(40)
    k[3] = 0.9
    hidden = score({**given, "no_pooling": loo_of(-np.ones(40), k)}, pooling=POOLING).as_dict()["pairs"]
    assert all(row["kind"] == "withheld" and row["elpd_diff"] is None and not row["rests_on"] for row in hidden)


def test_the_corrected_standard_error_in_closed_cases() -> None:
    symmetric = spread(30, 30.0, 2.0)
    assert corrected_z(symmetric) == pytest.approx(np.sqrt(30) * symmetric.mean() / symmetric.std(ddof=1))
    # Johnson (1978), eq. 2.4, by hand: mean 2, sd 2, third moment 6 of (1, 1, 1, 5).
    z, skewness = 2.0, 6 / 8
    assert corrected_z(np.array([1.0, 1, 1, 5])) == pytest.approx(z + skewness / (6 * 2) + skewness * z**2 / (3 * 2))
    assert corrected_z(np.ones(5)) == np.inf


def test_the_bootstrap_counts_the_worst_group_again_and_the_best_one_not_alone() -> None:
    assert one_sided(np.r_[np.full(20, 1.0), -1.0])
    assert not one_sided(np.r_[np.full(20, 1.0), -4.0])
    # Nine times more: a loss of 1.1 stands that, and not ten times; one of 1.2 stands seven times only.
    assert [one_sided(np.r_[np.full(20, 1.0), -loss]) for loss in (1.1, 1.2)] == [True, False]
    assert stands(np.r_[np.full(20, 1.0), -1.2], against=7)
    assert not stands(np.r_[np.full(20, 1.0), -1.1], against=10)
    assert one_sided(np.r_[np.full(20, 1.0), 80.0])
    assert not one_sided(np.r_[np.full(20, -1.0), 80.0])
    assert not one_sided(np.r_[np.full(20, 1.0), np.inf])


# Log odds ratios of death with intravenous magnesium after a heart attack, from the counts of sixteen trials: Egger,
# Davey Smith & Altman (2001), Systematic Reviews in Health Care (metadat's dat.egger2001): deaths and patients
# treated, deaths and patients of the control group.
MAGNESIUM = (
    (1, 40, 2, 36), (9, 135, 23, 135), (2, 200, 7, 200), (1, 48, 1, 46), (10, 150, 8, 148), (1, 59, 9, 56),
    (1, 25, 3, 23), (0, 22, 1, 21), (6, 76, 11, 75), (1, 27, 7, 27), (2, 89, 12, 80), (5, 23, 13, 33),
    (4, 130, 8, 122), (90, 1159, 118, 1157), (4, 107, 17, 108), (2216, 29011, 2103, 29039),
)  # fmt: skip
# Days in hospital after a stroke in nine trials of specialist care: Normand (1999), Statistics in Medicine 18:321,
# (metadat's dat.normand1999): patients, mean and sd, with specialist and with routine care.
STROKE = (
    (155, 55, 47, 156, 75, 64), (31, 27, 7, 32, 29, 4), (75, 64, 17, 71, 119, 29), (18, 66, 20, 18, 137, 48),
    (8, 14, 8, 13, 18, 11), (57, 19, 7, 52, 18, 4), (34, 52, 45, 33, 41, 34),
    (110, 21, 16, 183, 31, 27), (60, 30, 27, 52, 23, 20),
)  # fmt: skip


def pair_of_trials(y: np.ndarray, variance: np.ndarray) -> tuple[Pair, np.ndarray]:
    """Partial against complete pooling of estimates, in units of their sd, by quadrature; and the pointwise lead."""
    n, y = np.var(y) / variance, (y - y.mean()) / np.std(y)
    left = left_out(y, n, np.arange(y.size), by_row=False)
    a, b = partial(left, y, n), complete(left, y, n)
    names = {"partial_pooling": loo_of(a), "complete_pooling": loo_of(b)}
    return score(names, labels=tuple(f"trial {j + 1}" for j in range(y.size)), pooling=POOLING).pairs[0], a - b


def test_a_meta_analysis_of_sixteen_trials_is_better_here() -> None:
    a, n1, c, n2 = np.array(MAGNESIUM, dtype=float).T
    half = 0.5 * (a == 0)
    a, b, c, d = a + half, n1 - a + half, c + half, n2 - c + half
    pair, lead = pair_of_trials(np.log(a * d / (b * c)), 1 / a + 1 / b + 1 / c + 1 / d)
    assert (pair.better, pair.kind, pair.reason) == ("partial_pooling", "better_here", "few")
    assert pair.elpd_diff == pytest.approx(22.1, abs=0.5)
    assert (lead > 0).sum() == 14
    assert pair.rests_on[0][0] == "trial 16"


def test_a_meta_analysis_that_one_trial_decides_names_it() -> None:
    n1, y1, s1, n2, y2, s2 = np.array(STROKE, dtype=float).T
    y, variance = y1 - y2, s1**2 / n1 + s2**2 / n2
    w = 1 / variance
    assert np.sum(w * (y - (w * y).sum() / w.sum()) ** 2) == pytest.approx(239, abs=0.5)  # Cochran's Q, 8 df
    pair, _ = pair_of_trials(y, variance)
    assert (pair.better, pair.kind) == ("partial_pooling", "better_here")
    assert pair.elpd_diff == pytest.approx(109, abs=1)
    assert "it rests on 9 groups, 77 % of it on trial 3" in clause(pair, GROUPS)


# Deaths and person-years (exposure) of children by age and birth cohort in Colombia: an example of a public thread on
# counts with an offset (brms, issue 689).
AGES = ("0-1", "1-3", "3-6", "6-12", "12-24", "24-60", "60-120")
DEATHS = (168, 48, 63, 89, 102, 81, 40, 197, 48, 62, 81, 97, 103, 39, 195, 55, 58, 85, 87, 70, 10)
EXPOSURE = (
    278.4, 538.8, 794.4, 1550.8, 3006, 8743.5, 14270, 403.2, 786, 1165.3, 2294.8, 4500.5, 13201.5, 19525, 495.3, 956.7,
    1381.4, 2604.5, 4618.5, 9814.5, 5802.5,
)  # fmt: skip


def test_rates_that_differ_two_hundredfold_are_better_pooled_partially(stanli: Engine) -> None:
    frame = pd.DataFrame({"age": AGES * 3, "deaths": DEATHS, "exposure": EXPOSURE})
    dataset = Dataset.from_frame(frame, group="age", count="deaths", exposure="exposure")
    fits = {
        name: fit("gamma_poisson", dataset, name, sampling=Sampling(draws=500, seed=20261121), engine=stanli)
        for name in POOLING
    }
    # Single rows are over-dispersed, which is said of its own: chi-squared 77 on 14 df within ages.
    diagnoses = check_fits(fits, ["predictive check"])
    for target in ("observation", "group"):
        pair = compare(fits, diagnoses, target=target).pair(*POOLING)
        assert pair is not None
        assert (pair.better, pair.kind, pair.reason) == ("partial_pooling", "better_here", "few")
        assert pair.n_groups == 7
        assert pair.rests_on[0][0] == "0-1"
        if target == "observation":
            assert pair.elpd_diff == pytest.approx(2161, abs=5)


def test_simulated_sets_without_differences_never_have_a_better_one() -> None:
    rng = np.random.default_rng(20261121)
    for i in range(13):
        a, b, group = pooled((8, 20, 60)[i % 3], SHAPES[i % 2], DESIGNS[i % 2], 0.0, rng)
        names = {"partial_pooling": loo_of(a), "complete_pooling": loo_of(b)}
        assert score(names, group=group, pooling=POOLING).pairs[0].kind == "alike"


def share(kind: str, sets: int, make: object) -> float:
    """The share of simulated sets with an answer."""
    rng = np.random.default_rng(20261121)
    kinds = []
    for _ in range(sets):
        a, b, group = make(rng)  # type: ignore[operator]
        kinds.append(score({"partial_pooling": loo_of(a), "complete_pooling": loo_of(b)}, group=group).pairs[0].kind)
    return kinds.count(kind) / sets


@pytest.mark.parametrize("kind", ["location, t3", "spread, normal", "group means, normal"])
def test_equals_are_seldom_called_better(kind: str) -> None:
    # At 5 %, 60 sets have 9 or more by chance in 4 of 1,000; reports/comparison.md has the rates themselves.
    rate = share("better", 60, lambda rng: equals(kind, 20, "one huge", "new groups", rng))
    assert rate <= 8 / 60


def test_differences_of_three_times_the_noise_are_nearly_always_seen() -> None:
    # At 95 %, 60 sets miss 8 or more by chance in 1 of 100.
    rate = share("better", 60, lambda rng: pooled(20, "equal", "one row a group", 3.0, rng))
    assert rate >= 53 / 60
