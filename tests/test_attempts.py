"""A second attempt: what fails by its step alone is sampled again at a smaller one, and nothing else is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fake_fits import FakeEngine, small_dataset

from hbm_stan.attempts import SMALLER_STEPS, attempts_in_words, fit, fit_anew, fit_variants, smaller_step
from hbm_stan.data import Dataset
from hbm_stan.diagnose import check, summarise
from hbm_stan.engines import EngineDraws, Sampling
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.families import family
from hbm_stan.fit import Fit, jobs_of
from hbm_stan.repair import refit_without
from hbm_stan.store import FitStore

# Six sites at 0 %, and the mirror image; what is right by quadrature (gemtc, discussions of all-zero arms).
SITES = {"A": 40, "B": 55, "C": 13, "D": 120, "E": 22, "F": 1}
MEDIAN, LOW, HIGH = 0.00327, 0.00024, 0.0164
# Events and patients by arm with empty cells: 4 to 15 divergent transitions of 4,000 at the default step.
ARMS = [
    ("01", 0, 15, 2, 13), ("02", 2, 13, 0, 15), ("03", 0, 44, 0, 41), ("04", 5, 120, 11, 118), ("05", 1, 60, 4, 58),
    ("06", 9, 210, 15, 205),
]  # fmt: skip


class SteppedEngine(FakeEngine):
    """Made draws that diverge once at any larger step than ``fine``; remembers the settings that it was given."""

    def __init__(self, fine: float, **changes: Any) -> None:
        super().__init__(**changes)
        self.fine, self.asked = fine, list[Sampling]()

    def sample(self, program: Any, data: dict[str, Any], sampling: Sampling, progress: Any = None) -> EngineDraws:
        """The draws of the seed, so that draws of one seed are the same at every step."""
        self.asked.append(sampling)
        drawn = super().sample(program, data, sampling, progress)
        diverging = np.zeros((sampling.chains, sampling.draws))
        diverging[1, 7] = sampling.adapt_delta < self.fine
        return replace(drawn, sample_stats={**drawn.sample_stats, "diverging": diverging})

    @property
    def steps(self) -> list[float]:
        return [sampling.adapt_delta for sampling in self.asked]


def slow(x: np.ndarray) -> np.ndarray:
    return np.repeat(x[:, :25], 40, axis=1)


def apart(x: np.ndarray) -> np.ndarray:
    return x + np.array([0, 0, 0, 2.0])[:, None]


def stepped_fit(engine: SteppedEngine, store: FitStore, delta: float = 0.9, **options: Any) -> Fit:
    sampling = Sampling(seed=7, adapt_delta=delta)
    return fit("normal_means", small_dataset(), sampling=sampling, engine=engine, store=store, **options)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> FitStore:
    return FitStore(tmp_path)


@pytest.mark.parametrize(
    ("fine", "asked", "steps", "status"),
    [
        (0.9, 0.9, [0.9], "pass"),
        (0.99, 0.9, [0.9, 0.99], "pass"),
        (0.999, 0.9, [0.9, 0.99, 0.999], "pass"),
        (1.0, 0.9, [0.9, 0.99, 0.999], "fail"),  # what remains is a failed check
        (0.999, 0.99, [0.99, 0.999], "pass"),  # a user who begins higher goes on from there
        (0.999, 0.995, [0.995, 0.999], "pass"),
        (1.0, 0.9995, [0.9995], "fail"),
    ],
)
def test_a_fit_with_a_divergence_is_sampled_again_at_smaller_steps(
    store: FitStore, fine: float, asked: float, steps: list[float], status: str
) -> None:
    engine = SteppedEngine(fine)
    fit = stepped_fit(engine, store, asked)
    assert engine.steps == steps
    assert {s.seed for s in engine.asked} == {7}
    assert (fit.sampling.adapt_delta, fit.asked.adapt_delta) == (steps[-1], asked)
    assert [a.adapt_delta for a in fit.earlier] == steps[:-1]
    assert check(fit).status == status


@pytest.mark.parametrize(
    ("name", "changes"),
    [("R-hat", {"mu": apart}), ("bulk ESS", {"mu": slow}), ("R-hat", {"mu": lambda x: 0 * x + 4})],
)
def test_no_smaller_step_is_tried_where_another_check_failed_too(
    store: FitStore, name: str, changes: dict[str, Callable[[np.ndarray], np.ndarray]]
) -> None:
    engine = SteppedEngine(0.99, **changes)
    fit = stepped_fit(engine, store)
    assert engine.steps == [0.9]
    failed = {v.name for v in check(fit).verdicts if v.status == "fail"}
    assert {name, "divergences"} <= failed


def test_what_only_warns_is_no_reason_for_a_smaller_step(store: FitStore) -> None:
    engine = SteppedEngine(0.5, reached_max_treedepth=lambda x: x + 1, energy=lambda x: np.cumsum(x, axis=1))
    assert check(stepped_fit(engine, store)).status == "warn"
    assert engine.steps == [0.9]


@pytest.mark.parametrize(
    ("failed", "delta", "expected"),
    [
        ([], 0.9, None),
        (["divergences"], 0.9, 0.99),
        (["divergences", "E-BFMI", "tree depth"], 0.9, 0.99),
        (["E-BFMI"], 0.99, 0.999),
        (["divergences", "R-hat"], 0.9, None),
        (["tail ESS"], 0.9, None),
        (["divergences"], 0.999, None),
    ],
)
def test_the_rule_takes_the_three_checks_of_the_sampler_alone(
    failed: list[str], delta: float, expected: float | None
) -> None:
    assert smaller_step(failed, delta) == expected


def test_a_second_run_reads_the_second_attempt_and_samples_nothing(store: FitStore) -> None:
    engine = SteppedEngine(0.99)
    first = stepped_fit(engine, store)
    again = stepped_fit(engine, store)
    assert engine.steps == [0.9, 0.99]
    assert again.reused
    assert (again.key, again.sampling, again.earlier) == (first.key, first.sampling, first.earlier)
    np.testing.assert_array_equal(again.draws("mu")["mu"], first.draws("mu")["mu"])
    assert again.earlier[0].failed == "1 divergent transition of 4,000"


def test_the_key_is_that_of_the_settings_asked_for(store: FitStore, tmp_path: Path) -> None:
    fine, again = SteppedEngine(0.9), SteppedEngine(0.99)
    again.version = fine.version  # a made engine's version is in the key
    assert stepped_fit(again, store).key == stepped_fit(fine, FitStore(tmp_path / "other")).key


def test_a_first_attempt_that_an_earlier_version_kept_is_judged_when_it_is_read(store: FitStore) -> None:
    engine = SteppedEngine(0.99)
    assert not stepped_fit(engine, store, minutes=0).earlier
    assert stepped_fit(engine, store).sampling.adapt_delta == 0.99
    assert engine.steps == [0.9, 0.99]


def test_other_fits_keep_their_seed_their_step_and_their_draws(store: FitStore, tmp_path: Path) -> None:
    class OneDiverges(SteppedEngine):
        def sample(self, program: Any, data: dict[str, Any], sampling: Sampling, progress: Any = None) -> EngineDraws:
            self.fine = 0.99 if program.name == "no_pooling" else 0.5
            return super().sample(program, data, sampling, progress)

    def fits(engine: SteppedEngine, place: Path) -> dict[str, Fit]:
        sampling = Sampling(seed=7)
        return fit_variants("normal_means", small_dataset(), sampling=sampling, engine=engine, store=FitStore(place))  # type: ignore[arg-type]

    mixed, plain = fits(OneDiverges(0.5), tmp_path / "a"), fits(SteppedEngine(0.5), tmp_path / "b")
    assert {name: f.sampling.adapt_delta for name, f in mixed.items()} == {
        "complete_pooling": 0.9, "no_pooling": 0.99, "partial_pooling": 0.9,
    }  # fmt: skip
    for name in plain:
        assert mixed[name].sampling.seed == 7
        for variable, draws in plain[name].draws().items():
            np.testing.assert_array_equal(mixed[name].draws()[variable], draws)


def test_minutes_bound_the_attempts_and_the_fit_says_so(store: FitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(np.arange(0, 1e6, 240.0))  # every attempt takes four minutes
    monkeypatch.setattr(sys.modules["hbm_stan.draw"], "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    engine = SteppedEngine(1.0)
    stopped = stepped_fit(engine, store, minutes=10)
    assert engine.steps == [0.9]  # 16 minutes are expected
    assert "adapt_delta 0.99" in stopped.stopped
    assert "10 are allowed" in stopped.stopped
    assert stopped.stopped in attempts_in_words(stopped)
    assert stepped_fit(engine, store, minutes=17).sampling.adapt_delta == 0.99  # then 4 are spent and 16 more expected
    assert engine.steps == [0.9, 0.99]
    assert stepped_fit(engine, store, minutes=30).sampling.adapt_delta == 0.999


def test_no_minutes_mean_the_first_attempt_even_where_a_later_one_is_kept(store: FitStore) -> None:
    engine = SteppedEngine(0.99)
    stepped_fit(engine, store)
    first = stepped_fit(engine, store, minutes=0)
    assert not first.earlier
    assert engine.steps == [0.9, 0.99, 0.9]
    assert check(first).status == "fail"


def test_a_waived_check_is_no_reason(store: FitStore) -> None:
    engine = SteppedEngine(0.99)
    stepped_fit(engine, store, waive=["divergences"])
    assert engine.steps == [0.9]


def test_each_attempt_is_said_and_has_a_bar_of_its_own(store: FitStore) -> None:
    log, bars = list[str](), list[str]()
    fit_variants(
        "normal_means", small_dataset(), ["partial_pooling"], engine=SteppedEngine(0.99), store=store, say=log.append,  # type: ignore[arg-type]
        progress=bars.append,
    )  # fmt: skip
    assert log[-1] == "partial_pooling: 1 divergent transition of 4,000 with adapt_delta 0.9; sampling again with 0.99"
    assert bars == ["partial_pooling", "partial_pooling, adapt_delta 0.99"]


def test_words_name_variant_step_and_reason(store: FitStore) -> None:
    assert attempts_in_words(stepped_fit(SteppedEngine(0.999), store)) == (
        "partial_pooling was sampled again with a smaller step (adapt_delta 0.999): with adapt_delta 0.9 it had "
        "1 divergent transition of 4,000; with adapt_delta 0.99 it had 1 divergent transition of 4,000."
    )


def test_the_hint_after_the_last_attempt_does_not_ask_for_what_was_done(store: FitStore) -> None:
    hint = next(v.hint for v in check(stepped_fit(SteppedEngine(1.0), store)).verdicts if v.name == "divergences")
    assert "They stay with an adapt_delta of 0.999" in hint
    assert "Raise adapt_delta" not in hint


def test_refits_and_fits_of_proofs_go_by_the_same_rule(store: FitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = SteppedEngine(0.999)
    job = jobs_of(family("normal_means"), small_dataset(), ["partial_pooling"], None, Sampling(seed=7), engine)[0]  # type: ignore[arg-type]
    assert fit_anew(job).sampling.adapt_delta == 0.999
    assert engine.steps == [0.9, *SMALLER_STEPS]
    whole = stepped_fit(SteppedEngine(0.5), store)
    monkeypatch.setattr("hbm_stan.repair.jobs.choose", lambda _name: engine)
    assert refit_without(whole, [0]).sampling.adapt_delta == 0.999


@pytest.mark.parametrize("mirrored", [False, True])
def test_all_zero_and_its_mirror_image_pass_with_the_right_answer(mirrored: bool, stanli: StanliEngine) -> None:
    n = np.array(list(SITES.values()))
    frame = pd.DataFrame({"site": list(SITES), "events": n if mirrored else 0 * n, "n": n})
    sites = Dataset.from_frame(frame, group="site", successes="events", trials="n")
    sites_fit = fit("beta_binomial", sites, sampling=Sampling(seed=1), engine=stanli)
    diagnosis = check(sites_fit)
    assert diagnosis.status == "pass", [v for v in diagnosis.verdicts if v.status != "pass"]
    mu = sites_fit.tree["posterior"]["mu"].values
    rate = summarise(["rate"], (1 - mu if mirrored else mu)[None]).loc["rate"]
    for quantile, value in {"q05": LOW, "q50": MEDIAN, "q95": HIGH}.items():
        # Six comparisons; the values have two or three digits.
        assert abs(rate[quantile] - value) < 4 * rate[f"mcse_{quantile}"] + 0.005 * value + 5e-6


def test_arms_with_empty_cells_diverge_at_the_default_step_and_pass_at_a_smaller_one() -> None:
    rows = [(s, arm, e, n) for s, te, tn, pe, pn in ARMS for arm, e, n in (("treated", te, tn), ("placebo", pe, pn))]
    frame = pd.DataFrame(rows, columns=["study", "arm", "events", "n"])
    table = Dataset.from_frame(frame, group="study", successes="events", trials="n", predictors=["arm"])
    arms_fit = fit("logistic_regression", table, sampling=Sampling(seed=1), engine="stanli")
    assert arms_fit.earlier
    assert check(arms_fit).status == "pass"
