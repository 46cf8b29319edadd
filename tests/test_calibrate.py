"""Simulation-based calibration: envelope, truths, ranks, what is kept, bad input; programs with a planted fault."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from arviz_stats.ecdf_utils import get_pointwise_confidence_band, simulate_confidence_bands
from scipy.stats import binom, ks_2samp, norm
from typer.testing import CliRunner

from hbm_stan.attempts import family_and_data, fit
from hbm_stan.calibrate import Calibration, calibrate, crew, posterior_calibration, run
from hbm_stan.calibrate.crew import run_all
from hbm_stan.calibrate.design import default_design
from hbm_stan.calibrate.engine import SAMPLING
from hbm_stan.calibrate.journal import Journal
from hbm_stan.calibrate.replication import rank, replicate
from hbm_stan.calibrate.scenario import Setup, groups_again, rows_again
from hbm_stan.calibrate.truths import draw_truths
from hbm_stan.cli.app import app
from hbm_stan.data import Dataset
from hbm_stan.engines import Engine, EngineDraws, Sampling
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.envelope import counts_below, envelope, p_value
from hbm_stan.errors import EngineError, ModelError, StorageError
from hbm_stan.families import families, family
from hbm_stan.fit import prepare_table
from hbm_stan.generated import complete
from hbm_stan.model import Family
from hbm_stan.plots import figure_bytes, plot_calibration
from hbm_stan.program import Program
from hbm_stan.resources import share

BROKEN = Path(__file__).parent / "broken"
SEED = 20261121
FEW = Sampling(chains=1, warmup=300, draws=500, adapt_delta=0.9)


def setup_of(name: str, variant: str, **changes: Any) -> Setup:
    model = family(name)
    table, _ = default_design(model)
    priors = model.priors(table, model.twin.calibration)
    design = model.stan_data(table, priors, variant)
    setup = Setup(
        family=model,
        variant=variant,
        table=table,
        priors=priors,
        program=model.program(variant),
        design=design,
        sampling=SAMPLING,
        n_draws=99,
        seed=SEED,
    )
    return replace(setup, **changes)


class Exact:
    """Draws from the posterior of normal means with complete pooling, in closed form, or from a wrong one."""

    name, version = "exact", "1"

    def __init__(self, shift: float = 0.0, width: float = 1.0, memory: float = 0.0) -> None:
        self.shift, self.width, self.memory = shift, width, memory
        self.lengths: list[int] = []

    def build(self, programs: Any, say: Any) -> None:
        """Nothing to build."""

    def sample(
        self, program: Program, data: Mapping[str, Any], sampling: Sampling, progress: Any = None
    ) -> EngineDraws:
        """mu | y is normal (Gelman et al. 2013, section 2.5); with ``memory`` as an AR(1) chain."""
        self.lengths.append(sampling.draws)
        y, variance = np.asarray(data["y"]), np.asarray(data["se"]) ** 2
        location, scale = data["prior_mu"]
        precision = 1 / scale**2 + np.sum(1 / variance)
        mean, sd = (location / scale**2 + np.sum(y / variance)) / precision, precision**-0.5
        rng = np.random.default_rng(sampling.seed)
        z = rng.normal(size=sampling.draws)
        for i in range(1, len(z)):
            z[i] = self.memory * z[i - 1] + (1 - self.memory**2) ** 0.5 * z[i]
        mu = (mean + self.shift * sd + self.width * sd * z)[None]
        log_lik = norm.logpdf(y, mu[..., None], np.sqrt(variance))
        none = np.zeros_like(mu)
        stats = {"diverging": none, "reached_max_treedepth": none}
        return EngineDraws({"mu": mu, "theta": np.repeat(mu[..., None], len(y), 2), "log_lik": log_lik}, stats)


def closed_form(folder: Path, replications: int = 100, **wrong: float) -> Calibration:
    return calibrate("normal_means", "complete_pooling", engine=Exact(**wrong), replications=replications,
                     folder=folder, sampling=Sampling(chains=1, draws=200, warmup=1))  # fmt: skip


def broken(name: str) -> Program:
    return Program.read(BROKEN / f"{name}.stan", (share("stan") / "lib",))


# The envelope.


@pytest.mark.parametrize(("n", "draws", "trials"), [(60, 19, 1000), (100, 99, 300)])
def test_uniform_ranks_leave_the_envelope_as_often_as_it_says(n: int, draws: int, trials: int) -> None:
    rng = np.random.default_rng(SEED)
    p = np.array([p_value(rng.integers(0, draws + 1, n), draws) for _ in range(trials)])
    for error in (0.5, 0.1, 0.02):
        # p-values of counts are discrete: the probability of one up to the error is a little below it.
        low, high = binom.ppf([5e-4, 1 - 5e-4], trials, [0.85 * error, error])
        assert low <= np.sum(p <= error) <= high, error


def test_a_p_value_is_small_exactly_where_the_ranks_leave_the_envelope() -> None:
    rng, band = np.random.default_rng(SEED), envelope(80, 19, 0.05)
    seen = set()
    for _ in range(300):
        ranks = np.minimum((rng.random(80) ** rng.choice([1, 1.3]) * 20).astype(int), 19)
        share_below = counts_below(ranks, 19) / 80
        outside = bool(((share_below < band.low - 1e-12) | (share_below > band.high + 1e-12)).any())
        assert outside == (p_value(ranks, 19) <= 0.05)
        seen.add(outside)
    assert seen == {True, False}


def test_the_envelope_is_that_of_arviz_where_its_points_are_ours() -> None:
    n, draws, rng = 100, 24, np.random.default_rng(SEED)
    band = envelope(n, draws, 0.05)
    level = simulate_confidence_bands(n, 1, band.points, 0.95, 4000, rng)
    low, high = get_pointwise_confidence_band(level, n, band.points)
    assert np.abs(np.concatenate([low - band.low, high - band.high])).max() <= 1 / n + 1e-12


@pytest.mark.parametrize(("shift", "width"), [(0.35, 1.0), (-0.35, 1.0), (0.0, 0.7), (0.0, 1.5)])
def test_shifted_narrow_and_wide_posteriors_are_caught(shift: float, width: float) -> None:
    rng = np.random.default_rng(SEED)
    ranks = [rank(rng, rng.normal(), shift + width * rng.normal(size=99)) for _ in range(500)]
    assert p_value(ranks, 99) < 0.001


def test_what_the_message_on_replications_promises() -> None:
    # 500 replications find a shift by a quarter of an sd, at a limit of 0.01 over ten quantities.
    rng = np.random.default_rng(SEED)
    detections = 0
    for _ in range(40):
        z, draws = rng.normal(size=500), 0.25 + rng.normal(size=(500, 99))
        detections += p_value((draws < z[:, None]).sum(axis=1), 99) <= 0.001
    assert detections >= 32


def test_ties_are_broken_at_random() -> None:
    rng = np.random.default_rng(SEED)
    ranks = [rank(rng, float(v), rng.poisson(1.0, 49).astype(float)) for v in rng.poisson(1.0, 800)]
    assert p_value(ranks, 49) > 0.01
    assert {rank(rng, 1.0, np.ones(3)) for _ in range(100)} == {0, 1, 2, 3}


# Ranks without Stan.


def test_an_exact_posterior_is_calibrated_and_says_so(tmp_path: Path) -> None:
    calibration = closed_form(tmp_path, 200)
    assert calibration.status == "pass"
    assert list(calibration.ranks.columns) == ["mu", "log likelihood"]
    assert "which are mu" in calibration.left_out
    assert calibration.sentence.startswith("Calibrated")
    json.dumps(calibration.as_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"shift": 0.5}, "too large"), ({"shift": -0.5}, "too small"), ({"width": 0.6}, "narrow"), ({"width": 2}, "wide")],
)
def test_a_wrong_posterior_is_refused_and_named(tmp_path: Path, wrong: dict[str, float], words: str) -> None:
    calibration = closed_form(tmp_path, **wrong)
    assert calibration.status == "fail"
    assert words in next(v.hint for v in calibration.verdicts if v.subject == "mu")
    assert "NOT calibrated" in calibration.sentence


def test_a_correlated_chain_is_drawn_for_longer_and_then_thinned(tmp_path: Path) -> None:
    engine = Exact(memory=0.9)
    calibration = calibrate("normal_means", "complete_pooling", engine=engine, replications=50, folder=tmp_path,
                            sampling=Sampling(chains=1, draws=500, warmup=1))  # fmt: skip
    assert max(engine.lengths) >= 4000
    assert calibration.correlated == 0
    stuck = calibrate("normal_means", "complete_pooling", engine=Exact(memory=0.999), replications=50, folder=tmp_path,
                      seed=1, sampling=Sampling(chains=1, draws=100, warmup=1))  # fmt: skip
    assert stuck.correlated == 50
    assert next(v for v in stuck.verdicts if v.name == "thinning").status == "warn"


def test_what_cannot_be_used_is_counted_and_named(tmp_path: Path) -> None:
    class Fragile(Exact):
        def sample(self, program: Any, data: Any, sampling: Any, progress: Any = None) -> EngineDraws:
            if np.mean(data["y"]) > 12:
                raise EngineError("sampling cannot begin")
            return super().sample(program, data, sampling, progress)

    calibration = calibrate("normal_means", "complete_pooling", engine=Fragile(), replications=120, folder=tmp_path,
                            sampling=Sampling(chains=1, draws=200, warmup=1))  # fmt: skip
    assert len(calibration.refused) + len(calibration.ranks) == 120
    assert len(calibration.refused) > 10
    assert calibration.status == "warn"  # ranks stay uniform: what is refused depends on the outcome alone
    assert "sampling cannot begin" in next(v.hint for v in calibration.verdicts if v.name == "refused replications")


def test_an_engine_that_always_fails_ends_it_at_once(tmp_path: Path) -> None:
    class Dead(Exact):
        def sample(self, program: Any, data: Any, sampling: Any, progress: Any = None) -> EngineDraws:
            raise EngineError("no such function")

    with pytest.raises(EngineError, match=r"none of the first 3 .* no such function"):
        calibrate("normal_means", "complete_pooling", engine=Dead(), folder=tmp_path)


# Truths.

_VARIANTS = [(f.name, v) for f in families().values() for v in f.programs.variants]
MODELS = list({(name, v.pooling, v.math): (name, v.name) for name, v in _VARIANTS}.values())


@pytest.mark.parametrize(("name", "variant"), MODELS, ids=str)
def test_truths_have_the_distribution_that_the_program_gives_without_the_data(name: str, variant: str) -> None:
    model = family(name)
    maths = model.variant(variant).math
    same = next(v for v in model.programs.variants if v.math == maths)  # the default parameterisation
    setup = setup_of(name, same.name)
    rng = np.random.default_rng([SEED, 7])
    truths = draw_truths(rng, setup.family, same.name, setup.priors, setup.design, 4000)
    sampling = replace(SAMPLING, draws=4000, seed=3)
    drawn = StanliEngine().sample(setup.program, setup.design | {"use_likelihood": 0}, sampling).variables
    if model.terms:
        drawn |= complete(model, setup.design | {"use_likelihood": 0}, drawn, seed=4, rows=False)
    compared = {
        key: (values.reshape(4000, -1), drawn[key].reshape(4000, -1))
        for key, values in truths.items()
        if values.size and key in drawn
    }
    assert model.groups.group_quantity in compared
    count = sum(min(a.shape[1], 4) for a, _ in compared.values())
    for key, (ours, theirs) in compared.items():
        for i in range(min(ours.shape[1], 4)):
            if np.ptp(theirs[:, i]) > 0:
                # One in twenty: nearly independent, so that the test's p-value holds.
                p = ks_2samp(ours[:, i], theirs[::20, i]).pvalue
                assert p > 1e-3 / count / len(MODELS), f"{name}, {variant}: {key}[{i}]"


@pytest.mark.parametrize("name", list(families()))
def test_parameterisations_of_one_model_share_their_truths(name: str) -> None:
    by_model: dict[Any, dict[str, Any]] = {}
    for v in family(name).programs.variants:
        setup = setup_of(name, v.name)
        truths = draw_truths(np.random.default_rng(1), setup.family, v.name, setup.priors, setup.design)
        first = by_model.setdefault((v.pooling, v.math), truths)
        assert truths.keys() == first.keys()
        for key, values in truths.items():
            np.testing.assert_array_equal(values, first[key])


def test_truths_of_another_prior_are_told_apart() -> None:
    setup = setup_of("normal_means", "partial_pooling")
    wrong = setup.design | {"use_likelihood": 0, "prior_tau": [20.0, 1.0]}
    drawn = StanliEngine().sample(setup.program, wrong, replace(SAMPLING, draws=4000, seed=3)).variables["tau"]
    rng = np.random.default_rng([SEED, 7])
    truths = draw_truths(rng, setup.family, "partial_pooling", setup.priors, setup.design, 4000)
    assert ks_2samp(truths["tau"], drawn[0, ::20]).pvalue < 1e-6


# Programs.


def test_partial_pooling_of_normal_means_is_calibrated(tmp_path: Path) -> None:
    calibration = calibrate("normal_means", replications=100, folder=tmp_path)
    assert calibration.status == "pass", calibration.table
    assert list(calibration.ranks.columns) == ["mu", "tau", "theta[A]", "log likelihood", "new group"]


@pytest.mark.parametrize(
    ("fault", "variant", "where"),
    [
        ("sd_for_variance", "partial_pooling", "tau"),
        ("log_lik_without_constant", "no_pooling", "log likelihood"),
        ("theta_without_its_spread", "partial_pooling", "theta[A]"),
    ],
)
def test_a_planted_fault_is_refused(tmp_path: Path, fault: str, variant: str, where: str) -> None:
    calibration = calibrate(
        "normal_means", variant, program=broken(fault), replications=60, folder=tmp_path, sampling=FEW
    )
    assert calibration.status == "fail"
    assert where in {v.subject for v in calibration.verdicts if v.status == "fail"}


# What is kept.


def test_a_calibration_goes_on_where_it_stopped(tmp_path: Path) -> None:
    whole = closed_form(tmp_path / "whole", 120)
    closed_form(tmp_path / "parts", 60)
    (file,) = (tmp_path / "parts").glob("*.jsonl")
    contents = file.read_bytes()
    file.write_bytes(contents[: contents.rindex(b'"ranks"')])  # torn in its last line, as by kill -9
    engine = Exact()
    parts = calibrate("normal_means", "complete_pooling", engine=engine, replications=120, folder=tmp_path / "parts",
                      sampling=Sampling(chains=1, draws=200, warmup=1))  # fmt: skip
    assert engine.lengths.count(200) == 61
    assert parts.ranks.equals(whole.ranks)
    lines = file.read_bytes().decode().splitlines()
    assert sum('"ranks"' in line and line.endswith("}") for line in lines) == 120
    again = Exact()
    calibrate("normal_means", "complete_pooling", engine=again, replications=100, folder=tmp_path / "parts",
              sampling=Sampling(chains=1, draws=200, warmup=1))  # fmt: skip
    assert again.lengths == []


def test_ctrl_c_keeps_what_is_done(tmp_path: Path) -> None:
    def stop(done: int, _all: int) -> None:
        if done == 70:
            raise KeyboardInterrupt

    settings = {"engine": Exact(), "folder": tmp_path, "sampling": Sampling(chains=1, draws=200, warmup=1)}
    with pytest.raises(KeyboardInterrupt):
        calibrate("normal_means", "complete_pooling", replications=120, progress=stop, **settings)  # type: ignore[arg-type]
    (file,) = tmp_path.glob("*.jsonl")
    assert len(file.read_text().splitlines()) == 71


def test_other_programs_priors_seeds_and_settings_are_other_calibrations(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"replications": 50, "folder": tmp_path, "engine": Exact()}
    settings["sampling"] = Sampling(chains=1, draws=200, warmup=1)
    for changed in ({}, {"seed": 2}, {"priors": {"mu": "normal(0, 3)"}}, {"n_draws": 49},
                    {"program": broken("pools_a_subset")}):  # fmt: skip
        calibrate("normal_means", "complete_pooling", **settings | changed)
    assert len(list(tmp_path.glob("*.jsonl"))) == 5


def test_processes_give_the_ranks_that_one_gives(tmp_path: Path) -> None:
    setup = setup_of("beta_binomial", "complete_pooling", sampling=FEW)
    side_by_side: dict[int, Any] = {}

    def keep(record: dict[str, Any]) -> None:
        side_by_side[record["replication"]] = record["ranks"]

    run_all(setup, StanliEngine(), range(30), keep, workers=2)
    assert sorted(side_by_side) == list(range(30))
    for number in (0, 7, 29):
        assert replicate(setup, StanliEngine(), number)["ranks"] == side_by_side[number]


def test_a_process_that_crashes_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "CALL", "import os; print('{\"begins\": 5}', flush=True); os.abort()")
    setup = setup_of("beta_binomial", "complete_pooling", sampling=FEW)
    with pytest.raises(EngineError, match="SIGABRT in replication 5"):
        run_all(setup, StanliEngine(), range(30), [].append, workers=2)


def test_a_folder_that_takes_nothing_is_a_storage_error(tiny_disk: Path) -> None:
    (tiny_disk / "full").write_bytes(b"x" * 50_000)
    with pytest.raises(StorageError, match="cannot be written"):
        closed_form(tiny_disk, 500)


def test_a_journal_that_is_another_thing_is_begun_anew(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "a-b", {"x": 1})
    tmp_path.joinpath(journal.path.name).write_bytes(b"\x00\xff garbage")
    assert journal.read() == {}
    journal.repair()
    journal.add({"replication": 0, "ranks": {"mu": 1}})
    assert journal.read() == {0: {"replication": 0, "ranks": {"mu": 1}}}


# Posterior calibration.


def test_posterior_calibration_with_rows_of_known_groups(tmp_path: Path) -> None:
    model = family("beta_binomial")
    table, _ = default_design(model)
    pooled = fit(model, table.dataset, "complete_pooling", engine="stanli", sampling=Sampling(draws=1000, seed=SEED))
    result = posterior_calibration(pooled, replications=60, folder=tmp_path, sampling=FEW)
    assert result.kind == "posterior"
    assert "the same groups again" in result.design
    assert result.status == "pass", result.table


def test_posterior_calibration_with_new_groups(tmp_path: Path) -> None:
    model = family("normal_means")
    table, _ = default_design(model)
    partial = fit(model, table.dataset, "partial_pooling", engine="stanli", sampling=Sampling(draws=1000, seed=SEED))
    result = posterior_calibration(partial, replications=50, folder=tmp_path)
    assert "as many new groups" in result.design
    assert result.status == "pass", result.table
    assert "theta[A]" in result.ranks
    wrong = posterior_calibration(partial, replications=50, folder=tmp_path, program=broken("sd_for_variance"))
    assert wrong.status == "fail"
    with pytest.raises(ModelError, match="independent draws of the posterior are needed"):
        posterior_calibration(partial, replications=5000, folder=tmp_path)


def small_crossed(formula: str) -> tuple[Family, Dataset]:
    rng = np.random.default_rng(SEED)
    g, h = np.repeat(np.arange(6), 5), np.tile(np.arange(5), 6)
    y = 3 * rng.normal(size=5)[h] + 2 * rng.normal(size=6)[g] + rng.normal(size=30)
    frame = pd.DataFrame({"g": [f"g{i}" for i in g], "h": [f"h{i}" for i in h], "x": rng.normal(size=30), "y": y})
    return family_and_data(formula, frame)


def test_a_design_holds_every_row_twice() -> None:
    table = prepare_table(*small_crossed("y ~ x + (1 + x || g) + (1 | h) + offset(2 * x)"))
    one, two = table.design, rows_again(table).design
    assert one is not None
    assert two is not None
    for name in ("X", "Z", "offset"):
        np.testing.assert_array_equal(getattr(two, name), np.concatenate([getattr(one, name)] * 2), err_msg=name)
    for a, b in zip(one.terms, two.terms, strict=True):
        assert (b.factor.labels, b.names, b.correlated) == (a.factor.labels, a.names, a.correlated)
        np.testing.assert_array_equal(b.factor.level, np.tile(a.factor.level, 2))
    np.testing.assert_array_equal(two.without(range(30)).X, one.X)  # centred as before


def test_posterior_calibration_of_crossed_factors(tmp_path: Path) -> None:
    model, dataset = small_crossed("y ~ 1 + (1 | g) + (1 | h)")
    crossed = fit(model, dataset, "partial_pooling", engine="stanli", sampling=Sampling(draws=500, seed=SEED))
    result = posterior_calibration(crossed, replications=50, n_draws=19, folder=tmp_path, sampling=FEW)
    assert "the same groups again" in result.design
    assert result.status == "pass", result.table
    assert {"sd[h: intercept]", "tau[intercept]", "sigma"} <= set(result.ranks)


def test_joined_tables_hold_every_row_twice() -> None:
    table, _ = default_design(family("nested_normal"))
    rows, groups = rows_again(table), groups_again(table)
    assert rows.units is not None
    assert groups.units is not None
    assert (rows.n_rows, rows.n_groups, len(rows.units.labels)) == (
        2 * table.n_rows,
        10,
        len(table.units.labels),
    )  # type: ignore[union-attr]
    assert (groups.n_groups, int(groups.pooled.level.max()) + 1) == (20, 20)
    assert len(set(groups.pooled.labels)) == 20
    np.testing.assert_array_equal(groups.units.group[groups.units.unit], groups.pooled.level)


# Bad input and the command line.


def test_bad_calls_say_what_to_do(tmp_path: Path) -> None:
    for call, words in (
        ({"variant": "partial"}, "Did you mean 'partial_pooling'"),
        ({"replications": 10}, "from 50 to"),
        ({"n_draws": 3}, "9 to 9999"),
        ({"priors": {"tua": "half_normal(1)"}}, "Did you mean 'tau'"),
    ):
        with pytest.raises(ModelError, match=words):
            calibrate("normal_means", folder=tmp_path, **call)  # type: ignore[arg-type]


def test_a_family_without_its_functions_says_which_and_what_is_left(tmp_path: Path) -> None:
    bare = family("normal_means").with_fields(simulate=None, prior_draws=None)
    with pytest.raises(ModelError, match=r"no simulate\(.*no prior_draws\(.*can still be checked.*assert_log_density"):
        calibrate(bare, folder=tmp_path)
    with pytest.raises(ModelError, match=r"no simulate\(rng"):
        calibrate(bare, "complete_pooling", folder=tmp_path)


def test_a_family_without_a_shipped_analysis_asks_for_a_table(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="Name an analysis of yours"):
        calibrate(replace(family("normal_means"), name="mine"), folder=tmp_path)


@pytest.mark.parametrize("name", list(families()))
def test_a_family_s_own_design_and_priors_give_outcomes_that_are_possible(name: str) -> None:
    for variant in family(name).default_variants:
        setup = setup_of(name, variant, sampling=Sampling(chains=1, warmup=100, draws=200))
        record = replicate(setup, StanliEngine(), 1)
        assert "ranks" in record, record
        json.dumps(record, allow_nan=False)  # as the journal keeps it
        assert all(0 <= r <= 99 for r in record["ranks"].values())


def test_the_command_writes_json_and_a_figure(tmp_path: Path) -> None:
    out, figure = tmp_path / "c.json", tmp_path / "c.png"
    call = ["calibrate", "normal_means", "--variant", "complete_pooling", "--replications", "50", "--json", str(out)]
    done = CliRunner().invoke(app, [*call, "--plot", str(figure)])
    assert done.exit_code == 0, done.output
    assert "Calibrated" in done.output
    held = json.loads(out.read_text())
    assert (held["status"], held["completed"], sorted(held["ranks"])) == ("pass", 50, ["log likelihood", "mu"])
    assert figure.read_bytes()[:4] == b"\x89PNG"
    assert CliRunner().invoke(app, [*call, "--quiet"]).output == ""


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (["nobody"], "no family"),
        (["normal_means", "--variant", "full"], "no variant"),
        (["normal_means", "--replications", "5"], "from 50"),
        (["normal_means", "--posterior"], "needs the data of an analysis"),
        (["normal_means", "--plot", "x.gif"], "must end in"),
        (["normal_means", "--engine", "jags"], "no engine"),
    ],
)
def test_a_bad_call_is_exit_code_2(call: list[str], words: str) -> None:
    done = CliRunner().invoke(app, ["calibrate", *call])
    assert done.exit_code == 2
    assert words in done.output


def test_a_program_that_is_not_calibrated_is_exit_code_1(monkeypatch: pytest.MonkeyPatch, analysis: Path) -> None:
    monkeypatch.setattr(run, "engine_and_settings", lambda *_: (Exact(shift=1.0), SAMPLING))
    done = CliRunner().invoke(
        app, ["calibrate", str(analysis), "--variant", "complete_pooling", "--replications", "60"]
    )
    assert done.exit_code == 1, done.output
    assert "NOT calibrated" in done.output
    assert "8 groups, 8 rows of" in done.output


def test_the_figure_shows_every_quantity_and_those_outside_first(tmp_path: Path) -> None:
    calibration = closed_form(tmp_path, shift=0.5)
    statuses = dict(zip(calibration.table["quantity"], calibration.table["status"], strict=True))
    svg = figure_bytes(plot_calibration(calibration.curves, statuses), "svg")
    assert svg == figure_bytes(plot_calibration(calibration.curves, statuses), "svg")
    many = calibration.curves.assign(quantity=lambda t: t["quantity"] + " of a group with a very long name indeed")
    figure = plot_calibration(many, {})
    assert figure_bytes(figure, "pdf")[:4] == b"%PDF"


def test_the_engine_protocol_is_met() -> None:
    engine: Engine = Exact()
    assert engine.name == "exact"
