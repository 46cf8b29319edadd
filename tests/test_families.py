"""The contract of a family, for every family and variant found: programs, log density, pointwise likelihood, words."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from contract import CASES, IDS, short_run
from scipy.special import logsumexp
from scipy.stats import norm

from hbm_stan.examples import analyses, example
from hbm_stan.families import families
from hbm_stan.program import check_data
from hbm_stan.verify.programs import log_density, pointwise, structure_faults

FAMILIES = list(families())
PARTIAL = [(f, v) for f, v in CASES if families()[f].variant(v).pooling == "partial"]
# How often a test of chance may fail although all is right, over all comparisons of one test.
FAMILY_ERROR = 1e-4


def limit(n: int) -> float:
    """The largest z that chance explains among n comparisons."""
    return float(norm.isf(FAMILY_ERROR / (2 * n)))


# The quick proofs of `hbm verify`, one by one; test_faults.py shows that they can fail.
@pytest.mark.parametrize(("name", "variant"), CASES, ids=IDS)
def test_log_density_equals_log_joint_under_every_prior(name: str, variant: str) -> None:
    found = log_density(*example(name), variant)
    assert found.status == "pass", found


@pytest.mark.parametrize(("name", "variant"), CASES, ids=IDS)
def test_pointwise_likelihood_equals_numpy(name: str, variant: str) -> None:
    found = pointwise(*example(name), variant)
    assert found.status == "pass", found


@pytest.mark.parametrize(("name", "variant"), CASES, ids=IDS)
def test_lprior_is_the_sum_of_the_top_level_priors(name: str, variant: str) -> None:
    family, table = example(name)
    _, draws = short_run(name, variant)
    expected = np.zeros(len(draws["lprior"]))
    for parameter, prior in family.priors_of(variant, family.priors(table)).items():
        values = element(family, table, draws, parameter)
        expected += prior.log_density(values).reshape(len(values), -1).sum(axis=1)
    np.testing.assert_allclose(draws["lprior"], expected, rtol=1e-8, atol=1e-8)


def element(family: Any, table: Any, draws: dict[str, Any], parameter: str) -> Any:
    """Draws of what a prior is of: mu, mu[floor], the theta of all groups, the residual scales of all groups."""
    base, _, term = parameter.partition("[")
    name = base if base in draws else f"{base}_group"
    if base == family.group_quantity and "mu" in draws and family.population_scale not in draws:
        name = "mu"  # complete pooling: the prior of the group quantity is that of the shared one
    values = draws[name]
    if not term:
        return values
    terms = family.coordinates(table)[family.dims[name][-1]]
    return values[..., list(terms).index(term.removesuffix("]"))]


@pytest.mark.parametrize("name", FAMILIES)
def test_all_programs_share_one_data_block_byte_for_byte(name: str) -> None:
    family = families()[name]
    blocks = {re.search(r"^data \{\n.*?^\}", family.program(v.name).code, re.S | re.M)[0] for v in family.variants}  # type: ignore[index]
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
    assert len(text.splitlines()) <= 85
    assert max(map(len, text.splitlines())) <= 120
    assert text.startswith("//")
    assert "// Pooling:" in text
    assert "// Parameterisation:" in text
    for line in text.splitlines():
        if re.match(r"\s+(int|real|vector|array|matrix)\b[^(]*;", line):
            assert "//" in line, f"{path.name}: no meaning and unit at {line.strip()!r}"
    assert structure_faults(family.variant(variant).pooling, family.program(variant)) == []


@pytest.mark.parametrize("name", FAMILIES)
def test_every_program_belongs_to_a_variant(name: str) -> None:
    family = families()[name]
    assert {p.name for p in family.folder.glob("*.stan")} == {family.program(v.name).path.name for v in family.variants}
    assert [v.name for v in family.variants][:3] == ["complete_pooling", "no_pooling", "partial_pooling"]


@pytest.mark.parametrize("name", FAMILIES)
def test_names_dims_and_words_are_complete(name: str) -> None:
    family, table = example(name)
    coords = family.coordinates(table)
    for v in family.variants:
        data, draws = short_run(name, v.name)
        for variable, values in draws.items():
            axes = family.dims.get({"y_rep": "log_lik"}.get(variable, variable), ())
            assert values.shape[1:] == tuple(len(coords[d]) for d in axes), f"{v.name}: dims of {variable}"
        assert family.group_quantity in draws
        if v.pooling == "partial":
            assert set(family.population) & set(draws)
            assert {"mu", family.population_scale} <= set(draws)
        assert data["y"].shape == (len(table.group),)
    for prior in family.priors(table).values():
        assert prior.reason
        assert prior.default
        assert np.isfinite(prior.arguments).all()
    for row in family.prior_rows:
        assert row.meaning
        assert row.source


@pytest.mark.parametrize(("name", "variant"), PARTIAL, ids=[f"{f}-{v}" for f, v in PARTIAL])
def test_a_new_group_has_the_population_s_mean_and_sd(name: str, variant: str) -> None:
    family, _ = example(name)
    data, draws = short_run(name, variant)
    design, words = family.need("new_row", "a test")(data, {})
    assert words
    size = 20_000
    one = {k: np.repeat(v[:1], size, axis=0) for k, v in draws.items()}
    if "gamma" in one:
        one["gamma"] = np.zeros_like(one["gamma"])
    theta = family.need("new_group", "a test")(np.random.default_rng(5), one, design, variant)[:, 0]
    mu, tau = (one[n][0] for n in ("mu", "tau"))
    shared = np.asarray(tau) == 0  # a term that does not vary
    se = np.where(shared, 1e-9, tau / np.sqrt(size))
    assert np.all(np.abs(theta.mean(axis=0) - mu) <= limit(10) * se + 1e-9)
    squares = (theta - mu) ** 2
    error = np.maximum(squares.std(axis=0) / np.sqrt(size), 1e-12)
    assert np.all(np.abs(squares.mean(axis=0) - tau**2) <= limit(10) * error)
    y = family.need("simulate", "a test")(
        np.random.default_rng(6), {**one, family.group_quantity: theta[:, None]}, design
    )
    assert y.shape == (size, 1)


def others_by_group(family: Any, draws: dict[str, Any]) -> list[str]:
    """Effects of groups or units beside the group quantity: values of units, residual scales of groups."""
    own = {family.group_quantity, *family.hidden}
    names = [n for n in draws if n not in own and not n.endswith("_raw")]
    return [n for n in names if {"group", "unit"} & set(family.dims.get(n, ())) and n not in {"log_lik", "y_rep"}]


@pytest.mark.parametrize(("name", "variant"), PARTIAL, ids=[f"{f}-{v}" for f, v in PARTIAL])
def test_group_log_lik_is_the_integral_over_the_group_effects(name: str, variant: str) -> None:
    family, table = example(name)
    data, draws = short_run(name, variant)
    if others_by_group(family, draws):
        return  # they are integrated out too; the family's own tests compare it with dense integrals
    size, checked = 4000, 0
    n_draws = len(draws[family.population[0]])
    for s in (0, 7 * n_draws // 20, 7 * n_draws // 10):
        one = {k: np.repeat(v[s : s + 1], size, axis=0) for k, v in draws.items()}
        theta = family.need("new_group", "a test")(np.random.default_rng(s), one, data, variant)
        rows = family.need("pointwise", "a test")({**one, family.group_quantity: theta}, data)
        ours = family.need("group_log_lik", "a test")({k: v[s : s + 1] for k, v in draws.items()}, data)[0]
        by_group = np.stack([rows[:, table.group == j].sum(axis=1) for j in range(len(table.labels))], axis=1)
        integral = logsumexp(by_group, axis=0) - np.log(size)
        error = np.exp(by_group - integral).std(axis=0) / np.sqrt(size)
        fine = error < 0.1  # elsewhere the Monte Carlo integral itself is not to be trusted
        checked += int(fine.sum())
        # Quadrature may be off by a thousandth.
        assert np.all(np.abs(ours - integral)[fine] < limit(3 * len(fine)) * error[fine] + 2e-3)
    assert checked >= 3


@pytest.mark.parametrize(("name", "variant"), CASES, ids=IDS)
def test_replications_are_those_of_the_program(name: str, variant: str) -> None:
    family, _ = example(name)
    data, draws = short_run(name, variant)
    y = family.need("simulate", "a test")(np.random.default_rng(7), draws, data)
    assert y.shape == draws["y_rep"].shape
    compare_moments(y, draws["y_rep"])


def compare_moments(a: np.ndarray, b: np.ndarray) -> None:
    """Moments of columns made from the same draws differ by their own noise only.

    Mean and mean square of each column; the variance over the columns of a draw, which shows noise that they share.
    """
    n = a.shape[1]
    for one, other in ((a, b), (a**2, b**2), (a.var(axis=1, keepdims=True), b.var(axis=1, keepdims=True))):
        difference = one - other
        se = difference.std(axis=0, ddof=1) / np.sqrt(len(a))
        assert np.all(np.abs(difference.mean(axis=0)) <= limit(2 * n) * se + 1e-12)


@pytest.mark.parametrize("name", [n for n in FAMILIES if families()[n].draw_groups is not None])
def test_group_effects_drawn_afterwards_are_those_of_the_program(name: str) -> None:
    family, _ = example(name)
    data, draws = short_run(name, "partial_pooling")
    drawn = family.need("draw_groups", "a test")(
        np.random.default_rng(8), {k: v for k, v in draws.items() if k != family.group_quantity}, data
    )
    own = draws[family.group_quantity]
    assert drawn.shape == own.shape
    compare_moments(drawn.reshape(len(own), -1), own.reshape(len(own), -1))


@pytest.mark.parametrize("name", FAMILIES)
def test_draws_from_the_priors_are_those_of_the_program_without_likelihood(name: str) -> None:
    family, table = example(name)
    data, draws = short_run(name, "partial_pooling", 0)
    ours = family.need("prior_draws", "a test")(np.random.default_rng(9), family.priors(table), data, len(draws["mu"]))
    from arviz_stats.base import array_stats as az

    z = {}
    for parameter in family.population:
        if parameter not in draws:
            continue
        assert parameter in ours, f"prior_draws gives no {parameter}"
        for k in range(int(np.prod(draws[parameter].shape[1:], dtype=int))):
            a = draws[parameter].reshape(len(draws["mu"]), -1)[:, k]
            b = ours[parameter].reshape(len(a), -1)[:, k]
            for prob in (0.1, 0.5, 0.9):
                error = np.hypot(*(az.mcse(x.reshape(4, -1), method="quantile", prob=prob) for x in (a, b)))
                z[f"{parameter}[{k}], {prob}"] = float((np.quantile(a, prob) - np.quantile(b, prob)) / error)
    assert {n: v for n, v in z.items() if abs(v) > limit(len(z))} == {}


@pytest.mark.parametrize("name", FAMILIES)
def test_the_choice_of_a_parameterisation_is_explained(name: str) -> None:
    family, table = example(name)
    if not family.pilot:
        return
    variant, reason = family.need("rule", "a choice")(family.prepare(table, family.priors(table)))
    assert variant in family.pilot
    assert reason
    assert all(family.variant(v).pooling == "partial" for v in family.pilot)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_row_left_out_of_no_pooling_has_an_exact_score_where_groups_have_one_row(name: str) -> None:
    family, table = example(name)
    if not table.one_row_per_group:
        return
    data, draws = short_run(name, "no_pooling")
    exact = family.need("exact_loo", "a test")(data, "no_pooling")
    assert exact.shape == (len(table.group),)
    # Leaving the only row out leaves the prior: the identity E_posterior[1 / p(y | theta)] = 1 / p(y).
    inverse = logsumexp(-draws["log_lik"], axis=0) - np.log(len(draws["log_lik"]))
    assert np.all(-inverse > exact - 5)


def test_every_analysis_names_a_family_that_is_there() -> None:
    assert {a.family.name for a in analyses().values()} == set(FAMILIES)
