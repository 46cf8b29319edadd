"""The contract of a family, for every family and variant found: programs, log density, pointwise likelihood, words."""

from __future__ import annotations

import re

import numpy as np
import pytest
from contract import CASES, DOUBLES, IDS, claim, short_run
from scipy.special import logsumexp

from hbm_stan.density import short_run as run_shortly
from hbm_stan.examples import analyses, example, few_rows, smallest_analysis
from hbm_stan.families import families
from hbm_stan.fit import prepare_table
from hbm_stan.program import check_data
from hbm_stan.verify.contract import contract_faults
from hbm_stan.verify.functions import limit
from hbm_stan.verify.programs import log_density, pointwise, structure

FAMILIES = list(families())


# The quick proofs of `hbm verify`, one by one; test_faults.py shows that they can fail.
@pytest.mark.parametrize(("name", "variant"), CASES, ids=IDS)
def test_log_density_equals_log_joint_under_every_prior(name: str, variant: str) -> None:
    truth = log_density(*example(name), variant)
    assert truth.status == "pass", truth


@pytest.mark.parametrize(("name", "variant"), CASES, ids=IDS)
def test_pointwise_likelihood_equals_numpy(name: str, variant: str) -> None:
    truth = pointwise(*example(name), variant, claim(name, variant).draws)
    assert truth.status == "pass", truth


@pytest.mark.parametrize(("name", "variant"), CASES, ids=IDS)
def test_names_and_functions_keep_the_contract(name: str, variant: str) -> None:
    assert contract_faults(claim(name, variant)) == []


@pytest.mark.parametrize("name", FAMILIES)
def test_all_programs_share_one_data_block_byte_for_byte(name: str) -> None:
    family = families()[name]
    codes = [family.program(v.name).code for v in family.programs.variants]
    blocks = {re.search(r"^data \{\n.*?^\}", code, re.S | re.M)[0] for code in codes}  # type: ignore[index]
    assert len(blocks) == 1


@pytest.mark.parametrize(("name", "variant"), CASES, ids=IDS)
def test_the_prepared_data_are_what_the_programs_ask_for(name: str, variant: str) -> None:
    family, table = example(name)
    check_data(family.program(variant), family.stan_data(table, family.priors(table), variant))


@pytest.mark.parametrize(("name", "variant"), CASES, ids=IDS)
def test_programs_are_short_commented_and_what_they_are_called(name: str, variant: str) -> None:
    family = families()[name]
    path = family.program(variant).path
    text = path.read_text()
    assert len(text.splitlines()) <= (115 if family.terms else 85)  # the data of terms alone are some 40 lines
    assert max(map(len, text.splitlines())) <= 120
    assert text.startswith("//")
    assert "// Pooling:" in text
    assert "// Parameterisation:" in text
    for line in text.splitlines():
        if re.match(r"\s+(int|real|vector|array|matrix)\b[^(]*;", line):
            assert "//" in line, f"{path.name}: no meaning and unit at {line.strip()!r}"
    assert structure(family, variant).detail == ""


@pytest.mark.parametrize(("name", "variant"), DOUBLES)
def test_a_second_name_has_the_program_and_the_data_of_the_first(name: str, variant: str) -> None:
    family, table = example(name)
    first = DOUBLES[name, variant]
    assert family.program(variant) == family.program(first)
    same, other = (family.stan_data(table, family.priors(table), v) for v in (variant, first))
    assert set(same) == set(other)
    assert all(np.array_equal(same[key], other[key]) for key in same)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_program_belongs_to_a_variant(name: str) -> None:
    family = families()[name]
    named = {family.program(v.name).path.name for v in family.programs.variants}
    assert {p.name for p in family.programs.folder.glob("*.stan")} == named
    assert [v.name for v in family.programs.variants][:3] == ["complete_pooling", "no_pooling", "partial_pooling"]


@pytest.mark.parametrize("name", FAMILIES)
def test_every_variable_has_dims_and_every_row_and_prior_words(name: str) -> None:
    family, table = example(name)
    for v in family.programs.variants:
        data, draws = short_run(name, v.name)
        known = {"y_rep", *family.programs.dims, *family.programs.hidden}
        assert [n for n, values in draws.items() if values.ndim > 1 and n not in known] == []
        assert family.groups.group_quantity in draws
        if v.pooling == "partial":
            assert {"beta" if family.terms else "mu", family.groups.population_scale} <= set(draws)
        assert data["y"].shape == (table.n_rows,)
    for prior in family.priors(table).values():
        assert prior.reason
        assert prior.default
        assert np.isfinite(prior.arguments).all()
    for row in family.programs.prior_rows:
        assert row.meaning
        assert row.source


@pytest.mark.parametrize(("name", "variant"), CASES, ids=IDS)
def test_replications_are_those_of_the_program(name: str, variant: str) -> None:
    family, _ = example(name)
    data, draws = short_run(name, variant)
    y = family.need("simulate", "a test")(np.random.default_rng(7), draws, data)
    assert y.shape == draws["y_rep"].shape
    compare_moments(y, draws["y_rep"])


def compare_moments(a: np.ndarray, b: np.ndarray) -> None:
    """Moments of columns made from the same draws differ by their own noise only.

    Mean and mean square of each column about one centre, for a far zero would drown what differs; the variance over
    the columns of a draw, which shows noise that they share.
    """
    n, centre = a.shape[1], a.mean(axis=0)
    for one, other in (
        (a, b),
        ((a - centre) ** 2, (b - centre) ** 2),
        (a.var(axis=1, keepdims=True), b.var(axis=1, keepdims=True)),
    ):
        difference = one - other
        se = difference.std(axis=0, ddof=1) / np.sqrt(len(a))
        assert np.all(np.abs(difference.mean(axis=0)) <= limit(2 * n) * se + 1e-12)


@pytest.mark.parametrize("name", FAMILIES)
def test_draws_from_the_priors_are_those_of_the_program_without_likelihood(name: str) -> None:
    family, table = example(name)
    data, draws = short_run(name, "partial_pooling", 0)
    ours = family.need("prior_draws", "a test")(
        np.random.default_rng(9), family.priors(table), data, len(draws["lprior"])
    )
    from arviz_stats.base import array_stats as az

    z = {}
    for parameter in family.programs.population:
        if parameter not in draws:
            continue
        assert parameter in ours, f"prior_draws gives no {parameter}"
        for k in range(int(np.prod(draws[parameter].shape[1:], dtype=int))):
            a = draws[parameter].reshape(len(draws["lprior"]), -1)[:, k]
            b = ours[parameter].reshape(len(a), -1)[:, k]
            for prob in (0.1, 0.5, 0.9):
                error = np.hypot(*(az.mcse(x.reshape(4, -1), method="quantile", prob=prob) for x in (a, b)))
                z[f"{parameter}[{k}], {prob}"] = float((np.quantile(a, prob) - np.quantile(b, prob)) / error)
    assert {n: v for n, v in z.items() if abs(v) > limit(len(z))} == {}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_row_left_out_of_no_pooling_has_an_exact_score_where_groups_have_one_row(name: str) -> None:
    smallest = smallest_analysis(name)
    family, table = smallest.family, prepare_table(smallest.family, few_rows(smallest.dataset, smallest.family))
    beside = table.design is not None and len(table.design.factors) > 1  # whose sds would have to be integrated over
    if not table.one_row_per_group or beside:
        return
    data = family.stan_data(table, family.priors(table), "no_pooling")
    draws = run_shortly(family, "no_pooling", data)
    exact = family.need("exact_loo", "a test")(data, "no_pooling")
    assert exact.shape == (table.n_rows,)
    # Leaving the only row out leaves the prior: the identity E_posterior[1 / p(y | theta)] = 1 / p(y).
    inverse = logsumexp(-draws["log_lik"], axis=0) - np.log(len(draws["log_lik"]))
    assert np.all(-inverse > exact - 5)


def test_every_analysis_names_a_family_that_is_there() -> None:
    assert {a.family.name for a in analyses().values()} == set(FAMILIES)


@pytest.mark.parametrize("name", families())
def test_priors_of_the_calibration_are_those_of_the_shipped_example(name: str) -> None:
    model, table = example(name)
    assert model.priors(table, model.twin.calibration)
