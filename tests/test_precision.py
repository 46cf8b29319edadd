"""Draws until the Monte Carlo error of every mean is as small as asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_fits import fake_fit
from typer.testing import CliRunner

from hbm_stan.cli.app import app
from hbm_stan.diagnose import check
from hbm_stan.engines import Engine, Sampling
from hbm_stan.errors import DataError, ModelError
from hbm_stan.fit import Fit
from hbm_stan.precision import precision_of, until_precise

FEW = Sampling(draws=200, warmup=500, seed=20261129)


class Fits:
    """Independent draws of two variants, as many as asked for; ``seconds`` are said of each fit of 1,000 iterations."""

    def __init__(self, seconds: float = 0.0, most: int = 10**9) -> None:
        self.asked: list[int] = []
        self.seconds, self.most = seconds, most

    def __call__(self, sampling: Sampling) -> Mapping[str, Fit]:
        if sampling.draws > self.most:
            raise DataError("my.csv: 5.1 GiB of memory; the limit is 4.0 GiB.")
        self.asked.append(sampling.draws)
        took = self.seconds * (sampling.warmup + sampling.draws) / 1000
        return {
            name: replace(fake_fit(name, sampling=sampling), seconds=took, reused=False)
            for name in ("partial_pooling", "no_pooling")
        }


def quiet(_text: str) -> None:
    """Say nothing."""


def test_the_least_precise_mean_of_all_is_found() -> None:
    fits = dict(Fits()(FEW))
    # Every draw of tau twice in a row: half as many independent ones.
    fits["no_pooling"] = fake_fit("no_pooling", sampling=FEW, tau=lambda tau: np.repeat(tau[:, ::2], 2, axis=1))
    precision = precision_of(fits)
    assert (precision.parameter, precision.variant) == ("tau", "no_pooling")
    summary = check(fits["no_pooling"]).summary
    assert precision.share == pytest.approx(summary.loc["tau", "mcse_mean"] / summary.loc["tau", "sd"])
    assert precision.share > max((s["mcse_mean"] / s["sd"]).max() for s in [check(fits["partial_pooling"]).summary])


def test_draws_grow_as_the_square_says_until_the_target_is_met() -> None:
    fits, messages = Fits(), []
    reached = until_precise(fits, FEW, 0.02, 10, messages.append)
    assert reached.precision.share <= 0.02
    assert not reached.stopped
    # 2,500 independent draws of four chains, with what ESS varies by.
    assert fits.asked[0] == 200
    assert 600 <= fits.asked[-1] <= 1200
    assert reached.sampling.draws == fits.asked[-1]
    assert len(messages) == len(fits.asked) - 1 <= 3
    assert f"draws = {fits.asked[-1]} under [sampling]" in reached.words
    one = Fits()
    assert until_precise(one, FEW, 0.2, 0, quiet).fits
    assert one.asked == [200]


def test_what_cannot_be_reached_says_how_far_it_came() -> None:
    slow = until_precise(Fits(seconds=100.0), FEW, 0.01, 5, quiet)
    assert slow.sampling.draws == 200
    assert "With 4 x 200 draws the largest is 0.0" in slow.words
    assert "minutes more, and 5 are allowed in all (--minutes)" in slow.words
    large = until_precise(Fits(most=500), FEW, 0.01, 5, quiet)
    assert large.sampling.draws == 200
    assert "cannot be had: my.csv: 5.1 GiB" in large.words
    many = until_precise(Fits(), replace(FEW, chains=1, draws=10), 0.001, 5, quiet)
    assert many.sampling.draws == 10
    assert "1,000,000 are the most" in many.words
    assert large.as_dict()["reached"] is False


def test_draws_that_do_not_help_are_asked_for_four_times_more() -> None:
    asked = []

    def no_better(sampling: Sampling) -> Mapping[str, Fit]:
        asked.append(sampling.draws)
        return Fits()(FEW)

    reached = until_precise(no_better, FEW, 0.9 * precision_of(Fits()(FEW)).share, 10, quiet)
    assert "4 rounds were made." in reached.words
    assert asked == sorted(set(asked))
    assert len(asked) == 5
    assert reached.sampling.draws == asked[-1]


def test_means_without_a_known_error_ask_for_no_more_draws() -> None:
    stuck = fake_fit(sampling=FEW, mu=lambda mu: np.where(mu > mu.mean(), np.nan, mu))
    reached = until_precise(lambda _sampling: {"partial_pooling": stuck}, FEW, 0.02, 10, quiet)
    assert "The error of the mean of mu of partial_pooling is not known" in reached.words


@pytest.mark.parametrize("share", [0, 2, -0.02, True, float("nan"), "0.02"])
def test_a_share_that_cannot_be_meant_is_refused(share: object) -> None:
    with pytest.raises(ModelError, match=r"0.02 is 2 % of the sd"):
        until_precise(Fits(), FEW, share, 10, quiet)  # type: ignore[arg-type]


def test_the_command_draws_to_the_target_and_keeps_the_draws(tmp_path: Path, stanli: Engine) -> None:
    folder = tmp_path / "schools"
    run = CliRunner()
    words = ["--group", "school", "--estimate", "effect", "--standard-error", "se", "--family", "normal_means"]
    assert run.invoke(app, ["new", "eight_schools", *words, "--to", str(folder)]).exit_code == 0
    toml = folder / "analysis.toml"
    toml.write_text(toml.read_text().replace("draws = 1000", "draws = 150"))
    out = tmp_path / "out.json"
    asked = ["fit", str(folder), "--engine", "stanli", "--mcse", "0.04", "--json", str(out)]
    done = run.invoke(app, asked)
    assert done.exit_code == 0, done.output
    told = json.loads(out.read_text())["mcse"]
    assert told["reached"]
    assert told["share"] <= 0.04
    assert told["draws"] > 150
    assert f"draws = {told['draws']} under [sampling]" in " ".join(done.output.split())
    again = run.invoke(app, [*asked, "--mcse", "0.005", "--minutes", "0"])
    assert again.exit_code == 1
    assert "MCSE 0.005 of the sd was not reached" in " ".join(again.output.split())
    assert run.invoke(app, [*asked[:4], "--mcse", "7"]).exit_code == 2
    toml.write_text(toml.read_text().replace("draws = 150", f"draws = {told['draws']}"))
    completed = run.invoke(app, ["fit", str(folder), "--engine", "stanli", "--json", str(out)])
    assert completed.exit_code == 0
    assert json.loads(out.read_text()).get("mcse") is None
