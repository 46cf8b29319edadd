"""Verdicts: good draws pass, and each planted fault is caught by the check that is named for it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fake_fits import fake_fit, with_variant

from hbm_stan.attempts import fit
from hbm_stan.checks import check
from hbm_stan.data import load
from hbm_stan.diagnose import draws_of, parameters
from hbm_stan.diagnosis import Diagnosis
from hbm_stan.engines import Engine, Sampling
from hbm_stan.errors import DiagnosticError, ModelError
from hbm_stan.verdicts import AGREEMENT, CHECKS, EVENT_WEIGHTS, QUADRATURE, Verdict, worst


def verdict(diagnosis: Diagnosis, name: str) -> Verdict:
    return next(v for v in diagnosis.verdicts if v.name == name)


def test_good_draws_pass_every_check() -> None:
    diagnosis = check(fake_fit())
    assert diagnosis.status == "pass", [v for v in diagnosis.verdicts if v.status != "pass"]
    # What is checked of a sampler; direct draws have importance weights in the place of steps (test_direct_engine.py).
    # Some checks are of one family only.
    others = {"importance weights", EVENT_WEIGHTS, QUADRATURE, AGREEMENT}
    assert [v.name for v in diagnosis.verdicts] == [name for name in CHECKS if name not in others]
    assert list(diagnosis.summary.index) == ["mu", "tau", "theta[A]", "theta[B]", "theta[C]"]


def stuck_chain(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x[2] = x[2, 0]
    return x


def slow(x: np.ndarray) -> np.ndarray:
    """Every draw repeated 40 times: 25 distinct ones a chain."""
    return np.repeat(x[:, :25], 40, axis=1)


def with_nan(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x[1, 7] = np.nan
    return x


FAULTS = {
    "NaN draws": ({"mu": with_nan}, "finite draws", "fail", "mu"),
    "infinite draws": ({"tau": lambda x: np.where(x > 9, np.inf, x)}, "finite draws", "fail", "tau"),
    "constant parameter": ({"mu": lambda x: 0 * x + 4}, "moving chains", "fail", "mu"),
    "stuck chain": ({"mu": stuck_chain}, "moving chains", "fail", "mu"),
    "R-hat not computable": ({"mu": lambda x: 0 * x + 4}, "R-hat", "fail", "mu"),
    "one chain elsewhere": ({"mu": lambda x: x + np.array([0, 0, 0, 2.0])[:, None]}, "R-hat", "fail", "mu"),
    "slow bulk": ({"mu": slow}, "bulk ESS", "fail", "mu"),
    "slow tail": ({"tau": slow}, "tail ESS", "fail", "tau"),
    "large error": ({"mu": slow}, "MCSE", "warn", "mu"),
    "one divergence": (
        {"diverging": lambda x: np.where(np.arange(x.size).reshape(x.shape) == 5, 1, 0)},
        "divergences",
        "fail",
        "tau",
    ),
    "tree depth": ({"reached_max_treedepth": lambda x: x + 1}, "tree depth", "warn", ""),
    "slow energy": ({"energy": lambda x: np.cumsum(x, axis=1)}, "E-BFMI", "warn", "chain"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_planted_faults_are_caught_by_their_check(name: str) -> None:
    changes, check_name, status, subject = FAULTS[name]
    outcome = verdict(check(fake_fit(**changes)), check_name)
    assert outcome.status == status
    assert outcome.hint
    assert outcome.subject.startswith(subject)


def test_all_transitions_at_the_maximum_depth_are_named() -> None:
    hint = verdict(check(fake_fit(reached_max_treedepth=lambda x: x + 1)), "tree depth").hint
    assert hint.startswith("All transitions")


@pytest.mark.parametrize(("chains", "status"), [(1, "warn"), (3, "warn"), (4, "pass")])
def test_few_chains_are_named(chains: int, status: str) -> None:
    diagnosis = check(fake_fit(sampling=Sampling(chains=chains, seed=1)))
    assert verdict(diagnosis, "number of chains").status == status
    # One chain fails whatever it looks like: there is nothing to compare it with.
    assert verdict(diagnosis, "R-hat").status == ("fail" if chains == 1 else "pass")


def test_a_short_warm_up_is_named() -> None:
    assert verdict(check(fake_fit(sampling=Sampling(warmup=100, seed=1))), "warm-up").status == "warn"


def test_divergences_say_where_they_sit_and_what_to_use() -> None:
    low = fake_fit()
    tau = low.tree["posterior"]["tau"].values
    neck = tau <= np.quantile(tau, 0.04)
    centered_fit = with_variant(fake_fit(diverging=lambda _x: neck), "partial_pooling_centered")
    hint = verdict(check(centered_fit), "divergences").hint
    assert f"{neck.sum()} of them with log tau in its lowest 5 %: a funnel" in hint
    assert "partial_pooling_noncentered" in hint


def test_divergences_that_are_spread_out_are_no_funnel() -> None:
    rng = np.random.default_rng(1)
    hint = verdict(check(fake_fit(diverging=lambda x: rng.random(x.shape) < 0.01)), "divergences").hint
    assert "a funnel" not in hint


def test_the_centered_program_is_caught_on_eight_schools(engine: Engine) -> None:
    schools = load("eight_schools", group="school", estimate="effect", standard_error="se")
    schools_fit = fit(
        "normal_means", schools, "partial_pooling_centered", priors={"mu": "normal(0, 5)", "tau": "half_cauchy(5)"},
        sampling=Sampling(seed=20261121), engine=engine,
    )  # fmt: skip
    diagnosis = check(schools_fit)
    divergences = verdict(diagnosis, "divergences")
    assert diagnosis.status == "fail"
    assert divergences.subject == "tau"
    assert "partial_pooling_noncentered" in divergences.hint
    with pytest.raises(DiagnosticError, match="divergences"):
        diagnosis.require()


def test_a_waived_check_keeps_its_status_and_does_not_withhold() -> None:
    fit = fake_fit(diverging=lambda x: np.where(np.arange(x.size).reshape(x.shape) == 5, 1, 0))
    diagnosis = check(fit, waive=["divergences"])
    assert verdict(diagnosis, "divergences").status == "fail"
    assert verdict(diagnosis, "divergences").waived
    assert diagnosis.status == "pass"
    diagnosis.require()


def test_waiving_an_unknown_check_names_the_nearest() -> None:
    with pytest.raises(ModelError, match="divergences"):
        check(fake_fit(), waive=["divergence"])


def test_summary_is_invariant_to_the_order_of_chains_and_draws() -> None:
    rng = np.random.default_rng(3)
    plain = check(fake_fit()).summary
    shuffled = check(fake_fit(mu=lambda x: x[rng.permutation(4)])).summary
    for column in ("mean", "sd", "q05", "q50", "q95", "rhat"):
        assert shuffled.loc["mu", column] == pytest.approx(plain.loc["mu", column], rel=1e-12)


def test_ess_and_rhat_are_those_of_the_reference_implementation() -> None:
    # R's posterior 1.x rule, from Vehtari et al. (2021): for independent draws ESS is near their number.
    summary = check(fake_fit()).summary
    assert summary.loc["mu", "ess_bulk"] == pytest.approx(4000, rel=0.15)
    assert summary.loc["mu", "mcse_mean"] == pytest.approx(2 / np.sqrt(4000), rel=0.1)


def test_worst_ignores_what_was_waived() -> None:
    assert worst([Verdict(name="a", status="fail", waived=True), Verdict(name="b", status="warn")]) == "warn"
    assert worst([]) == "pass"


def test_a_verdict_for_json_has_no_nan() -> None:
    assert Verdict(name="a", status="fail", value=float("nan"), threshold=1.0).as_dict()["value"] is None


def test_draws_of_one_parameter_are_those_among_all(stanli: Engine) -> None:
    rng = np.random.default_rng(20261129)
    group = rng.permutation(np.repeat(["a[1]", "b, c", "d"], [4, 7, 9]))
    frame = pd.DataFrame({"g": group, "x": rng.normal(size=20), "z": rng.normal(size=20), "y": rng.normal(size=20)})
    settings = Sampling(warmup=50, draws=20, seed=1)
    slopes_fit = fit("y ~ x + z + (x | g)", frame, "partial_pooling", sampling=settings, engine=stanli)
    names, draws = parameters(slopes_fit)
    assert {"sigma", "tau[x]", "theta[a[1], x]", "theta[b, c, intercept]"} <= set(names)
    for name, values in zip(names, draws, strict=True):
        np.testing.assert_array_equal(draws_of(slopes_fit, name), values)
