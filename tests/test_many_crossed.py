"""Normal rows with more crossed coefficients than can be integrated out: those of other factors are sampled."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from oracle_fits import ORACLE
from oracle_posteriors import POSTERIORS

from hbm_stan.agreement import compare_draws
from hbm_stan.analysis.new import new_analysis
from hbm_stan.analysis.read import read_analysis
from hbm_stan.attempts import family_and_data, fit
from hbm_stan.checks import check
from hbm_stan.data import Dataset
from hbm_stan.densities import log_lik_of
from hbm_stan.diagnose import parameters as parameters_of
from hbm_stan.engines import Engine, Sampling
from hbm_stan.errors import DataError
from hbm_stan.families import families
from hbm_stan.families.choose import choose_likelihood, of_formula
from hbm_stan.families.terms.blocks import MOST_CROSSED
from hbm_stan.fit import Fit, prepare_table
from hbm_stan.ladder import ladder_of
from hbm_stan.leave_one_out import logo, loo
from hbm_stan.memory import held_bytes, refuse_too_large, stored_bytes
from hbm_stan.outlook import outlook
from hbm_stan.store import FitStore

FORMULA = "y ~ x + (1 | s) + (1 | d)"
PLATES = "diameter_mm ~ 1 + (1 | plate) + (1 | sample)"
PRIORS = {"beta": "normal(20, 10)", "tau": "half_normal(3)", "sd": "half_normal(3)", "sigma": "half_normal(3)"}
# Two elpds, each a sum over units, are so many of their Monte Carlo errors apart once in ten thousand tries.
MOST = 4.0


@cache
def rows(students: int, lecturers: int, n: int) -> pd.DataFrame:
    """Ratings of lecturers by students, every one of them with a row at least."""
    rng = np.random.default_rng([students, lecturers, n])
    s = rng.permutation(np.append(np.arange(students), rng.integers(0, students, n - students)))
    d = rng.permutation(np.append(np.arange(lecturers), rng.integers(0, lecturers, n - lecturers)))
    x = rng.normal(size=n)
    y = 3 + 0.3 * x + rng.normal(0, 0.6, students)[s] + rng.normal(0, 0.5, lecturers)[d] + rng.normal(0, 1, n)
    return pd.DataFrame({"s": [f"s{k}" for k in s], "d": [f"d{k}" for k in d], "x": x, "y": y, "se": 1.0})


def test_coefficients_are_sampled_where_too_many_are_crossed() -> None:
    many = Dataset.from_frame(rows(400, 350, 2000), formula=FORMULA)
    name, why = choose_likelihood(many)
    assert name == "normal_sampled"
    assert "s (400 levels), d (350 levels) are crossed" in why
    assert "350 coefficients of the others are left, and 300 can be integrated out" in why
    assert choose_likelihood(many, "normal")[0] == "normal_sampled"
    assert of_formula(FORMULA, rows(400, 350, 2000))[0] == "normal_sampled"
    assert family_and_data(FORMULA, rows(400, 350, 2000), likelihood="student_t")[0].name == "student_t"


@pytest.mark.parametrize(("students", "lecturers"), [(400, MOST_CROSSED), (MOST_CROSSED, 350), (30, 20)])
def test_as_many_as_can_be_are_integrated_out(students: int, lecturers: int) -> None:
    assert choose_likelihood(Dataset.from_frame(rows(students, lecturers, 2000), formula=FORMULA))[0] == "normal"


def test_a_slope_counts_as_many_coefficients_as_levels() -> None:
    formula = "y ~ x + (1 + x | s) + (1 + x | d)"
    assert choose_likelihood(Dataset.from_frame(rows(200, 160, 2000), formula=formula))[0] == "normal_sampled"
    assert choose_likelihood(Dataset.from_frame(rows(200, 140, 2000), formula=formula))[0] == "normal"


def test_an_analysis_says_so_and_reads_it_again(tmp_path: Path) -> None:
    rows(400, 350, 2000).to_csv(tmp_path / "ratings.csv", index=False)
    analysis = new_analysis(str(tmp_path / "ratings.csv"), "", {}, tmp_path / "made", formula=FORMULA)
    assert "coefficients are sampled: s (400 levels), d (350 levels) are crossed" in " ".join(analysis.notes)
    text = analysis.path.read_text()
    assert 'likelihood = "normal_sampled"' in text
    assert read_analysis(analysis.path.parent).family.name == "normal_sampled"
    analysis.path.write_text(text.replace('"normal_sampled"', '"normal"'))
    assert read_analysis(analysis.path.parent).family.name == "normal_sampled"


def outlook_text(frame: pd.DataFrame, name: str, sampling: Sampling) -> str:
    family = families()[name]
    table = prepare_table(family, Dataset.from_frame(frame, formula=FORMULA))
    return " ".join(outlook(family, table, family.default_variants, sampling))


def test_what_a_large_table_takes_is_said_before_anything_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    many = rows(700, 400, 3000)
    words = outlook_text(many, "normal_sampled", Sampling())
    assert words.startswith(
        "400 coefficients are sampled, and 700 of s integrated out and drawn afterwards. 4 chains of 1,000 draws of 3 "
        "variants need "
    )
    every = rows(700, 400, 3000).assign(y=lambda f: f["y"].round().abs())
    assert outlook_text(every, "poisson", Sampling()).startswith(
        "1,100 coefficients are sampled. 4 chains of 1,000 draws"
    )
    assert words.endswith("the limit is 4.0 GiB. Sampling takes a minute at most.")
    monkeypatch.setattr("hbm_stan.outlook._SECONDS", 1e-6)  # as of three hundred times as many rows
    assert re.search(r"Sampling takes about \d+ minutes here\.$", outlook_text(many, "normal_sampled", Sampling()))
    assert outlook_text(many, "normal", Sampling()).startswith(
        "1,100 coefficients are integrated out, and drawn afterwards. 4"
    )
    assert not outlook_text(rows(400, 350, 2000), "normal_sampled", Sampling())


def test_the_draws_that_fit_are_those_that_are_not_refused() -> None:
    many, family = rows(700, 400, 3000), families()["normal_sampled"]
    table = prepare_table(family, Dataset.from_frame(many, formula=FORMULA))
    asked = Sampling(draws=20_000)
    match = re.search(r"so that this is refused: ([\d,]+) draws a chain fit, or ([\d,]+) of partial_pooling alone",
                      outlook_text(many, "normal_sampled", asked))  # fmt: skip
    assert match is not None
    for text, variants in zip(match.groups(), (family.default_variants, ("partial_pooling",)), strict=True):
        draws = int(text.replace(",", ""))
        refuse_too_large(family, table, variants, replace(asked, draws=draws))
        with pytest.raises(DataError, match="would need about"):
            refuse_too_large(family, table, variants, replace(asked, draws=draws + 2))


@pytest.mark.parametrize("formula", [FORMULA, "y ~ x + (1 + x | s) + (1 | d)"])
def test_the_memory_of_a_fit_is_what_its_draws_take(formula: str, stanli: Engine) -> None:
    dataset, family = Dataset.from_frame(rows(60, 50, 300), formula=formula), families()["normal_sampled"]
    sampling = Sampling(chains=1, warmup=20, draws=20)
    terms_fit = fit(family, dataset, "partial_pooling", sampling=sampling, engine=stanli)
    size = sum(own.values.nbytes for own in terms_fit.named["posterior"].values() if own.values.ndim > 2)
    assert stored_bytes(family, terms_fit.table, "partial_pooling", sampling) == pytest.approx(size, rel=0.1)


@pytest.mark.parametrize("name", ["estimates", "lognormal"])
def test_other_normal_rows_are_sampled_too_and_refused_else(name: str) -> None:
    given = rows(400, 350, 2000).assign(y=lambda f: np.exp(f["y"]))
    left = "y | se(se)" if name == "estimates" else "y"
    family, dataset = family_and_data(f"{left} ~ 1 + (1 | s) + (1 | d)", given, likelihood=name)
    assert family.name == f"{name}_sampled"
    table = prepare_table(family, dataset)
    assert family.programs.prepare(table, family.priors(table))["M"] == 350
    integrated = families()[name]
    with pytest.raises(DataError, match=r"350 coefficients.* 300 can be .* Leave a factor out, combine"):
        integrated.programs.prepare(table, integrated.priors(table))


@pytest.mark.parametrize("name", ["normal_sampled", "lognormal_sampled", "estimates_sampled"])
@pytest.mark.parametrize(("lecturers", "form"), [(8, "partial_pooling_centered"), (150, "partial_pooling")])
def test_the_form_is_what_levels_of_other_factors_call_for(name: str, lecturers: int, form: str) -> None:
    given = rows(100, lecturers, 200)  # 25 rows of a lecturer say much, one or two little; of students all say little
    left = "y | se(se)" if name == "estimates_sampled" else "y"
    given = given.assign(y=lambda f: np.exp(f["y"])) if name == "lognormal_sampled" else given
    family = families()[name]
    table = prepare_table(family, Dataset.from_frame(given, formula=f"{left} ~ x + (1 | s) + (1 | d)"))
    data = family.stan_data(table, family.priors(table), "partial_pooling")
    assert family.programs.rule is not None
    chosen, why = family.programs.rule(data)
    assert chosen == form
    assert why.startswith("In the middle level of another factor the data weigh ")


def test_without_other_factors_there_is_nothing_to_choose() -> None:
    family = families()["normal_sampled"]
    table = prepare_table(family, Dataset.from_frame(rows(12, 10, 80), formula="y ~ x + (1 + x | s)"))
    data = family.stan_data(table, family.priors(table), "partial_pooling")
    assert family.programs.rule is not None
    assert family.programs.rule(data) == ("partial_pooling", "No coefficients of other factors are sampled")


def test_likelihoods_are_compared_in_the_form_that_the_table_calls_for() -> None:
    for frame, form in ((rows(400, 350, 2000), "normal_sampled"), (rows(30, 20, 200), "normal")):
        dataset = Dataset.from_frame(frame, formula=FORMULA)
        for name in ("normal", "normal_sampled"):
            ladder = ladder_of(families()[name], dataset)
            assert [rung.likelihood for rung in ladder.rungs] == [form, "student_t"]
            assert ladder.rungs[0].name == "the model of normal rows"


@cache
def plates(name: str, group: str, variant: str = "partial_pooling", draws: int = 1000, **settings: Any) -> Fit:
    dataset = Dataset.from_frame(pd.read_csv(ORACLE / "penicillin.csv"), formula=PLATES, group=group)
    sampling = Sampling(draws=draws, seed=20261129)
    return fit(families()[name], dataset, variant, priors=PRIORS, sampling=sampling, **settings)


@pytest.mark.parametrize("variant", ["partial_pooling_centered", "partial_pooling_noncentered"])
def test_the_posterior_is_that_of_coefficients_integrated_out(stanli: Engine, variant: str) -> None:
    sampled, integrated = (
        plates("normal_sampled", "plate", variant, engine=stanli),
        plates("normal", "plate", engine=stanli),
    )
    (names, draws), (others, other) = parameters_of(sampled), parameters_of(integrated)
    assert {"beta[intercept]", "tau[intercept]", "sd[sample: intercept]", "sigma"} < set(names)
    assert set(names) == set(others)
    agreement = compare_draws(names, draws, other[[others.index(name) for name in names]])
    assert agreement.agrees, agreement.words


@pytest.mark.parametrize("group", ["plate", "sample"])
def test_a_level_of_a_crossed_factor_is_left_out_as_exactly(stanli: Engine, group: str) -> None:
    # Of six samples each tells the plates, which are given, a sixth part: their Pareto k lie about the limit, on either
    # side by chance, where weights of 4,000 draws do not tell their own error.
    plates_fit = plates("normal_sampled", group, engine=stanli, draws=1000 if group == "plate" else 8000)
    left_out = logo(plates_fit)
    exact = POSTERIORS["penicillin-crossed"]["logo"][group]["by_group"]
    assert left_out is not None
    values = np.array([exact[label] for label in plates_fit.table.pooled.labels])
    # mcse is that of units whose Pareto k is low.
    good = ~left_out.high
    assert good.all() if group == "plate" else good.any()
    assert left_out.elpd_i[good].sum() == pytest.approx(values[good].sum(), abs=MOST * left_out.mcse)


def test_rows_are_left_out_as_exactly(stanli: Engine) -> None:
    left_out = loo(plates("normal_sampled", "plate", engine=stanli))
    exact = np.array(POSTERIORS["penicillin-crossed"]["loo"]["pointwise"])
    assert not left_out.high.any()
    assert left_out.elpd == pytest.approx(exact.sum(), abs=MOST * left_out.mcse)


@pytest.mark.parametrize("variant", ["complete_pooling", "no_pooling", "partial_pooling"])
def test_rows_of_a_large_table_are_not_kept_and_are_scored_alike(
    stanli: Engine, variant: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    dataset, family = Dataset.from_frame(rows(12, 10, 80), formula=FORMULA), families()["normal_sampled"]
    asked: dict[str, Any] = {"sampling": Sampling(chains=2, warmup=200, draws=100), "engine": stanli}
    small = fit(family, dataset, variant, store=FitStore(tmp_path / "small"), **asked)
    monkeypatch.setattr("hbm_stan.tree.MANY_ROWS", 10)
    large, again = (fit(family, dataset, variant, store=FitStore(tmp_path / "large"), **asked) for _ in range(2))
    assert again.reused
    assert "log_likelihood" not in large.tree.children
    for name, values in small.draws().items():
        drawn = large.draws(name)[name]
        np.testing.assert_array_equal(drawn, again.draws(name)[name])
        # theta is drawn after sampling, with the same random numbers as replications of rows where these are kept.
        if variant == "complete_pooling" or name not in {"theta", "beta"}:
            np.testing.assert_array_equal(values, drawn)
    np.testing.assert_array_equal(log_lik_of(large), log_lik_of(again))
    np.testing.assert_allclose(loo(small).elpd_i, loo(large).elpd_i, rtol=1e-9)
    assert held_bytes(family, large.table, variant, asked["sampling"]) == pytest.approx(
        large.tree["posterior"].to_dataset().nbytes, rel=0.2
    )


def test_three_crossed_factors_do_not_trade_places(stanli: Engine) -> None:
    rng, frame = np.random.default_rng(20261129), rows(60, 50, 1500)
    third = rng.integers(0, 40, len(frame))
    frame = frame.assign(t=[f"t{k}" for k in third], y=frame["y"] + rng.normal(0, 0.8, 40)[third])
    crossed_fit = fit(
        f"{FORMULA} + (1 | t)", frame, "partial_pooling_centered", likelihood="normal_sampled", engine=stanli,
        sampling=Sampling(seed=20261129),
    )  # fmt: skip
    check(
        crossed_fit
    ).require()  # R-hat and effective sample sizes of all coefficients, and of what they have in common
