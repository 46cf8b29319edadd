"""Another form of the same model where draws of the one that pilots chose fail their checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fake_fits import fake_fit
from typer.testing import CliRunner

from hbm_stan import forms
from hbm_stan.cli.app import app
from hbm_stan.engines import Engine, Sampling
from hbm_stan.errors import EngineError
from hbm_stan.families import family
from hbm_stan.fit import Fit
from hbm_stan.forms import passing_form
from hbm_stan.parameterise import Choice, Pilot

CENTERED, OTHER = "partial_pooling_centered", "partial_pooling_noncentered"
PILOTS = (Pilot(CENTERED, 0.0, 0.04), Pilot(OTHER, 0.0, 0.02), Pilot("partial_pooling", 0.0, 0.01))
CHOICE = Choice(CENTERED, "A short pilot finds centered best.", PILOTS)


def stuck(draws: np.ndarray) -> np.ndarray:
    return draws + np.arange(len(draws))[:, None] * draws.std()


class Fits:
    """Fits of variants, of which some fail their R-hat, or another check, and some cannot be made."""

    def __init__(self, failing: tuple[str, ...] = (), broken: tuple[str, ...] = (), fault: Any = stuck) -> None:
        self.failing, self.broken, self.fault, self.asked = failing, broken, fault, list[str]()

    def __call__(self, name: str) -> Fit:
        self.asked.append(name)
        if name in self.broken:
            raise EngineError("it cannot start")
        changes: dict[str, Any] = {"mu": self.fault} if name in self.failing else {}
        return fake_fit("partial_pooling", sampling=Sampling(draws=300, seed=2), **changes)


def settled(fits: Fits, choice: Choice = CHOICE, waive: tuple[str, ...] = ()) -> tuple[Choice, list[str]]:
    messages: list[str] = []
    return passing_form(family("normal_means"), choice, fits, waive, messages.append), messages


def test_a_form_that_passes_stays_and_no_other_is_tried() -> None:
    fits = Fits()
    choice, messages = settled(fits)
    assert choice == CHOICE
    assert (fits.asked, messages) == ([CENTERED], [])


def test_a_form_that_fails_gives_way_to_the_next_best_that_passes() -> None:
    fits = Fits(failing=(CENTERED,))
    choice, messages = settled(fits)
    assert choice.variant == OTHER
    assert fits.asked == [CENTERED, OTHER]
    assert "failed their checks (R-hat" in choice.reason
    assert choice.reason.startswith(CHOICE.reason)
    assert "It is the same model." in choice.reason
    assert messages[0].startswith(f"{CENTERED} failed its checks (R-hat")
    third, _ = settled(Fits(failing=(CENTERED,), broken=(OTHER,)))
    assert third.variant == "partial_pooling"


def test_where_none_passes_the_choice_stands_and_a_waived_check_is_no_failure() -> None:
    assert settled(Fits(failing=(CENTERED, OTHER, "partial_pooling")))[0] == CHOICE
    fits = Fits(failing=(CENTERED,))
    assert settled(fits, waive=("R-hat", "bulk ESS", "tail ESS", "MCSE"))[0] == CHOICE
    assert fits.asked == [CENTERED]


def slow(draws: np.ndarray) -> np.ndarray:
    """Chains that hold the same 30 values in each half, each five times: they agree, and are worth too few draws."""
    return np.tile(np.repeat(draws[0, :30], 5), (len(draws), 2))


@pytest.mark.parametrize(("worse", "asked"), [(8, [CENTERED, OTHER]), (12, [CENTERED])])
def test_a_form_that_is_far_worse_is_not_tried_where_draws_are_only_too_few(worse: float, asked: list[str]) -> None:
    fits = Fits(failing=(CENTERED,), fault=slow)
    pilots = (Pilot(CENTERED, 0.0, 0.04), Pilot(OTHER, 0.0, 0.04 / worse))
    settled(fits, Choice(CENTERED, "A short pilot finds centered best.", pilots))
    assert fits.asked == asked
    stuck_fits = Fits(failing=(CENTERED,))  # R-hat fails: that is no matter of few draws
    settled(stuck_fits, Choice(CENTERED, "A short pilot finds centered best.", pilots))
    assert stuck_fits.asked == [CENTERED, OTHER]


def test_nothing_is_fitted_where_there_is_no_other_form() -> None:
    fits = Fits(failing=(CENTERED,))
    assert settled(fits, Choice(CENTERED, "Asked for by name: centered."))[0].variant == CENTERED
    assert fits.asked == []


def test_commands_answer_in_the_form_that_passes(
    tmp_path: Path, stanli: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(20261129)
    ward = rng.permutation(np.repeat(np.arange(12), 6))
    rate = np.exp(1 + 0.5 * (ward % 2) + rng.normal(0, 0.5, 12)[ward])
    frame = pd.DataFrame({"ward": [f"w{k:02d}" for k in ward], "arm": np.where(ward % 2, "a", "b")})
    frame.assign(falls=rng.poisson(rate)).to_csv(tmp_path / "trial.csv", index=False)
    run, folder, tried = CliRunner(), tmp_path / "trial", list[str]()

    def first_fails(fit: Fit, _waive: object) -> str:
        tried.append(fit.variant)
        return "R-hat" if fit.variant == tried[0] else ""

    monkeypatch.setattr(forms, "_failed", first_fails)
    asked = [str(tmp_path / "trial.csv"), "falls ~ arm + (1 | ward)", "--likelihood", "poisson", "--to", str(folder)]
    assert run.invoke(app, ["new", *asked]).exit_code == 0
    done = run.invoke(app, ["fit", str(folder), "--engine", stanli.name])
    assert done.exit_code == 0, done.output
    first, other = tried
    shown = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("partial_pooling")]
    assert shown == [other]
    # What was tried is kept: nothing is sampled again.
    again = run.invoke(app, ["fit", str(folder), "--engine", stanli.name])
    assert again.output.count("(reused)") == 3
    assert first != other
