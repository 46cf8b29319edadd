"""Programs of formulas: their log density is that of the model in NumPy, whatever the structure; faults are seen."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import stanli
from scipy.special import expit

from hbm_stan.data import Dataset
from hbm_stan.density import SPREAD, log_density_spread, random_point, short_run
from hbm_stan.families import families
from hbm_stan.families.terms import blocks
from hbm_stan.families.terms.sampled import log_sampled
from hbm_stan.fit import prepare_table
from hbm_stan.model import Family, StanData
from hbm_stan.program import Program

FUNCTION = Path(__file__).parents[1] / "stan" / "lib" / "log_one_plus_exp.stanfunctions"
LEFT = {
    "normal": "y",
    "estimates": "y | se(s)",
    "binomial": "k | trials(m)",
    "poisson": "k | rate(e)",
    "negative_binomial": "k | rate(e)",
    "beta_binomial_rows": "k | trials(m)",
    "gamma": "a",
    "lognormal": "a",
    "beta": "b",
    "student_t": "whole",
    "normal_sampled": "r",
    "lognormal_sampled": "a",
    "estimates_sampled": "r | se(s)",
    "zero_inflated_poisson": "k | rate(e)",
    "zero_inflated_negative_binomial": "k | rate(e)",
    "cumulative": "o",
}
ZI = "~ c"  # of likelihoods with extra zeros
POOLINGS = ("complete_pooling", "no_pooling", "partial_pooling")
# One, two and three factors; one to three columns; correlated and not; columns of groups that are no common ones.
RIGHT = {
    "one factor": "x + (1 | g)",
    "correlated": "x + (1 + x | g)",
    "uncorrelated": "x + (1 + x || g)",
    "three columns, categories, an interaction": "x * w + c + (1 + x + w | g)",
    "no common column": "0 + (1 | g)",
    "only the common columns of groups": "1 + (1 | g)",
    "no intercept": "0 + x + (0 + x | g) + (1 | h)",
    "crossed": "x + (1 | g) + (1 | h)",
    "crossed slopes": "x + w + (1 + x | g) + (1 + w | h)",
    "nested": "x + (1 | g/u)",
    "three crossed": "x + w + (1 + x | g) + (1 + x + w | h) + (1 | i)",
    "nested in a crossed one": "x + (1 + z | g) + (1 | u) + (1 | h) + offset(w)",
    "columns of groups": "x + v + v:x + (1 + x | g) + (1 + v | h)",
    "three slopes and a crossed factor": "x + w + z + (1 + x + w | g) + (0 + z | g) + (1 | h)",
    "five columns": "x + w + z + x:w + (1 + x + w + z + x:w | g)",
}  # fmt: skip
# Priors under which counts and amounts at random points stay numbers, of several distributions.
CHOSEN = {
    "beta": "normal(0.1, 0.3)", "theta": "normal(0.2, 0.4)", "tau": "half_cauchy(0.2)", "sd": "half_normal(0.3)",
    "variation": "half_student_t(4, 3)", "spread": "half_cauchy(1)", "threshold": "dirichlet(1.7)",
}  # fmt: skip
NU_PRIORS = {
    "gamma": "2, 0.1", "half_normal": "9", "half_cauchy": "3", "half_student_t": "3, 4", "uniform": "0, 30",
    "exponential": "0.1", "lognormal": "2, 1",
}  # fmt: skip


@cache
def frame() -> pd.DataFrame:
    """Rows in no order, groups of unlike size."""
    rng = np.random.default_rng(5)
    n = 48
    g, h = rng.permutation(np.append(np.arange(6), rng.integers(0, 6, n - 6))), rng.integers(0, 5, n)
    table = pd.DataFrame({
        "g": [f"g{i}" for i in g], "h": [f"h{i}" for i in h], "i": [f"i{k}" for k in rng.integers(0, 4, n)],
        "u": [f"u{a}{b}" for a, b in zip(g, rng.integers(0, 3, n), strict=True)], "x": rng.normal(2, 1, n),
        "w": rng.normal(size=n), "z": rng.normal(size=n), "v": rng.normal(size=6)[g],
        "c": [f"c{k}" for k in rng.integers(0, 3, n)],
        "y": rng.normal(10, 2, n), "s": rng.uniform(0.5, 1, n), "k": rng.integers(0, 4, n),
        "m": rng.integers(4, 9, n), "e": rng.choice([1.0, 2.5], n),
        "a": rng.gamma(2, 0.6, n), "b": rng.beta(2, 1.5, n), "o": rng.choice([3, 4, 5, 7], n),
    })  # fmt: skip
    whole = table["y"].round()  # of which some rows of a group are alike
    return table.assign(whole=whole, r=whole + rng.normal(0, 0.3, n))


@cache
def data_of(name: str, case: str, variant: str) -> tuple[Family, StanData]:
    family = families()[name]
    beside = dict.fromkeys(family.own_formulas, ZI)
    table = prepare_table(family, Dataset.from_frame(frame(), formula=f"{LEFT[name]} ~ {RIGHT[case]}", **beside))
    chosen = {key: text for key, text in CHOSEN.items() if any(p.startswith(key) for p in family.priors(table))}
    return family, family.stan_data(table, family.priors(table, chosen), variant)


def spread(name: str, case: str, variant: str, code: str = "", **changed: object) -> float:
    family, data = data_of(name, case, variant)
    program = family.program(variant)
    return log_density_spread(replace(program, code=code or program.code), family, variant, {**data, **changed})


# Likelihoods share all functions of structure, and poolings all but what they leave out.
FEW = ("no common column", "three crossed", "nested in a crossed one", "columns of groups")
CASES = [
    (name, variant, case) for name in LEFT for variant in POOLINGS for case in RIGHT
    if case in FEW or (variant == "partial_pooling" and name in {"normal", "estimates", "binomial", "normal_sampled"})
]  # fmt: skip


@pytest.mark.parametrize(("name", "variant", "case"), CASES)
def test_log_density_is_that_of_the_model_in_numpy(name: str, variant: str, case: str) -> None:
    assert spread(name, case, variant) < SPREAD


@pytest.mark.parametrize("case", ["three crossed", "columns of groups"])
@pytest.mark.parametrize("variant", POOLINGS)
def test_centered_terms_have_the_same_model(variant: str, case: str) -> None:
    terms = np.arange(len(data_of("binomial", case, variant)[1]["centered"]))
    for some in (terms >= 0, terms % 2 == 0, terms % 2 == 1):
        assert spread("binomial", case, variant, centered=some.astype(int)) < SPREAD


@pytest.mark.parametrize("variant", POOLINGS)
def test_shares_have_one_density_however_close_to_their_means(variant: str) -> None:
    for concentrated in (0, 1):
        assert spread("beta", "three crossed", variant, concentrated=concentrated) < SPREAD


@pytest.mark.parametrize("case", ["crossed slopes", "three crossed", "nested in a crossed one"])
@pytest.mark.parametrize(("concentration", "concentrated"), [(300.0, 0), (1e5, 1), (1e9, 1)])
def test_shares_that_lie_close_to_their_means_are_told_from_others(
    case: str, concentration: float, concentrated: int
) -> None:
    rng, table = np.random.default_rng(8), pd.concat([frame()] * 5, ignore_index=True)
    mean = 1 / (1 + np.exp(1 - 0.7 * table["x"] - (table["h"] == "h1")))  # a level's own too
    shares = rng.beta(concentration * mean, concentration * (1 - mean))
    formula = f"b ~ {RIGHT[case].replace(' + offset(w)', '')}"
    family = families()["beta"]
    prepared = prepare_table(family, Dataset.from_frame(table.assign(b=shares), formula=formula))
    data = family.stan_data(prepared, family.priors(prepared), "partial_pooling")
    assert data["concentrated"] == concentrated


def test_shares_with_fewer_rows_than_coefficients_may_lie_close_to_their_means() -> None:
    assert data_of("beta", "three crossed", "partial_pooling")[1]["concentrated"] == 0
    few = frame().head(12)
    family = families()["beta"]
    prepared = prepare_table(family, Dataset.from_frame(few, formula="b ~ x + (1 + x | g) + (1 | h)"))
    assert family.stan_data(prepared, family.priors(prepared), "partial_pooling")["concentrated"] == 1


SOFTPLUS = """
functions {
  #include log_one_plus_exp.stanfunctions
}
data {
  int n;
  vector[n] at;
}
parameters {
  real x;
}
model {
  target += sum(log_one_plus_exp(x + at));
}
"""


@pytest.mark.parametrize("x", [0.0, 1e-9, -1e-9, 0.7, -3.0, 36.0, -36.0, 700.0, -700.0, 1e4, -1e4])
def test_the_log_of_one_plus_an_exponential_holds_for_any_number(x: float) -> None:
    code = SOFTPLUS.replace("  #include log_one_plus_exp.stanfunctions\n", FUNCTION.read_text())
    model = stanli.Model(mir=stanli.stan_to_mir(code), data={"n": 1, "at": [0.0]})
    value, slope = model.log_prob_grad(np.array([x]))[:2]
    # Alone a logarithm of 1 and so little is rounded as 1 is; beside others of a sum that is nothing.
    assert value == pytest.approx(np.logaddexp(0, x), rel=1e-14, abs=np.finfo(float).eps)
    assert np.ravel(slope)[0] == pytest.approx(expit(x), rel=1e-12, abs=np.finfo(float).eps)


COUNTS = {"a few": 9, "as many as stand one by one": 17, "one more": 19, "hundreds": 900, "millions": 3_000_000}


@pytest.mark.parametrize("scale", ["1e20", "1", "0.03", "1e-4", "1e-9"])
@pytest.mark.parametrize("most", COUNTS.values(), ids=COUNTS)
def test_successes_have_one_density_however_many_and_however_little_they_spread(most: int, scale: str) -> None:
    assert mixed_spread(most, scale) < SPREAD


def mixed_spread(most: int, scale: str, code: str = "") -> float:
    """Of cells with no success, with no failure, and of any number between, in rows that stand twice."""
    rng = np.random.default_rng(most)
    trials = rng.integers(1, most, 48)
    successes = np.array([rng.integers(0, n + 1) for n in trials])
    successes[:6] = [0, 0, *trials[2:4], min(16, trials[4]), min(17, trials[5])]
    table = pd.concat([frame().assign(k=successes, m=trials)] * 2, ignore_index=True)
    family = families()["beta_binomial_rows"]
    prepared = prepare_table(family, Dataset.from_frame(table, formula="k | trials(m) ~ x + (1 | g) + (1 | h)"))
    priors = family.priors(prepared, {"overdispersion": f"half_normal({scale})", "beta": "normal(0.1, 0.3)"})
    data = family.stan_data(prepared, priors, "partial_pooling")
    assert data["NC"] < len(table)
    program = family.program("partial_pooling")
    return log_density_spread(replace(program, code=code or program.code), family, "partial_pooling", data)


MIXED_FAULTS = {
    "a factor too few": (19, "p + i * step);\n        }", "p + (i + 1) * step);\n        }"),
    "a logarithm forgotten": (19, "total += dot_product(n_rows[a : b], log(product));\n          product", "product"),
    "large counts as the last that stand one by one": (900, "if (c > n_factors())", "if (c > 1000)"),
    "Stirling's series at one end only": (900, "+ binet_series(z + m) - binet_series(z)", "+ binet_series(z + m)"),
    "the rest from one factor too late": (900, "share / s + n_factors()", "share / s + n_factors() + 1"),
    "multiples of one and a step, not counted": (19, "* sum(n_rows[a : b]) * log(unit);", "* 0;"),
    "cells in the order of the table": (19, "by_rest = sort_indices_asc(cell_rest)", "by_rest = by_y"),
}


@pytest.mark.parametrize(("most", "right", "wrong"), MIXED_FAULTS.values(), ids=MIXED_FAULTS)
def test_faults_in_products_of_successes_are_seen(most: int, right: str, wrong: str) -> None:
    code = families()["beta_binomial_rows"].program("partial_pooling").code
    assert code.count(right) == 1
    assert mixed_spread(most, "1", code.replace(right, wrong)) > SPREAD


def test_columns_of_groups_are_found_and_no_others() -> None:
    _, data = data_of("binomial", "columns of groups", "partial_pooling")
    (v, interaction), group = data["inside"].reshape(2, 6, 2).transpose(2, 0, 1), data["level"][0] - 1
    z = data["Z"][:, :2]
    shared = data["X"][:, data["shared"] - 1]
    for weights, column in ((v, shared[:, 0]), (interaction, shared[:, 1])):
        np.testing.assert_allclose((z * weights.T[group]).sum(axis=1), column, atol=1e-12)
    assert not data_of("binomial", "nested in a crossed one", "partial_pooling")[1]["inside"].any()


@pytest.mark.parametrize("factor", ["g", "h", "i"])
def test_it_does_not_matter_which_factor_s_levels_are_the_blocks(factor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_cost", lambda candidate: float(candidate.factor.name != factor))
    family = families()["normal"]
    dataset = Dataset.from_frame(frame(), formula=f"y ~ {RIGHT['three crossed']}")
    table = prepare_table(family, dataset)
    data = family.stan_data(table, family.priors(table), "partial_pooling")
    assert data["B"] == len(set(frame()[factor]))
    assert log_density_spread(family.program("partial_pooling"), family, "partial_pooling", data) < SPREAD


def test_products_that_are_too_many_to_hold_are_made_each_time() -> None:
    for case in ("crossed", "crossed slopes", "three slopes and a crossed factor"):
        code = data_of("normal", case, "partial_pooling")[0].program("partial_pooling").code
        assert "40000000" in code
        assert spread("normal", case, "partial_pooling", code.replace("40000000", "1")) < SPREAD


@pytest.mark.parametrize("case", ["three columns, categories, an interaction", "three slopes and a crossed factor"])
def test_factors_of_blocks_are_the_same_one_by_one(case: str) -> None:
    code = data_of("normal", case, "partial_pooling")[0].program("partial_pooling").code
    assert code.count("V <= 4") == 1
    assert spread("normal", case, "partial_pooling", code.replace("V <= 4", "V <= 0")) < SPREAD


@pytest.mark.parametrize("rule", ["20 * V", "0 * V"])
def test_five_columns_have_one_density_at_once_and_one_by_one(rule: str) -> None:
    code = data_of("normal", "five columns", "partial_pooling")[0].program("partial_pooling").code
    assert code.count("20 * V") == 1
    assert spread("normal", "five columns", "partial_pooling", code.replace("20 * V", rule)) < SPREAD


# A planted fault in a program: the likelihood, what stands there, what stands there instead.
FAULTS = {
    "Schur's term dropped": ("normal", "square_sum -= dot_self(mdivide_left_tri_low(chol, Q' * m / sigma));", ""),
    "determinant of crossed columns dropped": (
        "normal", "    log_det += 2 * sum(log(diagonal(chol)));\n  }", "  }",
    ),
    "sds of crossed terms of one column left out of the determinant": ("normal", "log_det += 2 * sum(log(q));", ""),
    "variance for precision of crossed terms of one column": (
        "normal", "add_diag(M, inv_square(q))", "add_diag(M, inv(q))",
    ),
    "sigma left out of sds of crossed terms of one column": (
        "normal", "F[t, 1, 1] / sigma, 1e-100", "F[t, 1, 1], 1e-100",
    ),
    "the lower triangle of crossed terms of one column moved": (
        "normal", "M[c : C, c] -= triangle[first : (first + C - c)]", "M[c : C, c] -= triangle[c : C]",
    ),
    "the upper triangle of crossed terms of one column left": (
        "normal", "M[c, (c + 1) : C] -= triangle[(first + 1) : (first + C - c)]'", "M[c, c] -= 0",
    ),
    "products of crossed terms of one column counted twice": (
        "normal", "triangle = E * weight;", "triangle = E * (2 * weight);",
    ),
    "order of correlations swapped": (
        "normal", "C[t, k, l] = partial[pair] * left", "C[t, l, k] = partial[pair] * left",
    ),
    "column of the vine counted from 0": ("normal", "0.5 * (K[t] - 1 - l)", "0.5 * (K[t] - l)"),
    "offset forgotten": ("normal", "y - offset_ - X * start", "y - X * start"),
    "offset of counts forgotten": ("poisson", "eta = offset_[cell_row] + X_cell", "eta = X_cell"),
    "levels of the factor before": ("poisson", "coefficient[place[k]]", "coefficient[place[max(k - 1, 1)]]"),
    "crossed levels of the row before": (
        "normal", "beside_local(Z[n], place[ : , n]", "beside_local(Z[n], place[ : , n > 1 ? n - 1 : 1]",
    ),
    "rows not weighted by their errors": ("estimates", "matrix[N, KG + KO] W = diag_pre_multiply(inv(se), Z)",
                                          "matrix[N, KG + KO] W = Z"),
    "the unit of standard common coefficients forgotten": ("estimates", "-0.5 * sum(log(beta_precision))", "0"),
    "sd for variance of standard common coefficients": ("estimates", "square(tau[mover])", "tau[mover]"),
    "standard common coefficients moved by the first column only": (
        "estimates", "mover[own[k]] = k;", "mover[own[k]] = 1;",
    ),
    "levels of standard common coefficients unweighted": ("estimates", "square(d[l]) / g[l]", "square(d[l])"),
    "standard common coefficients of levels that are all spread": (
        "estimates", "far += square(d[l] / g[l])", "far += square(d[l]) / g[l]",
    ),
    "one term's residuals about nothing": (
        "estimates", "one_term(S[1], U, append_row(start - beta, 1)", "one_term(S[1], U, append_row(start, 1)",
    ),
    "one term's shrinkage forgotten": ("estimates", "- p * sum(square(b) ./ det)", ""),
    "means of other levels stay in the common coefficient": ("poisson", "beta_raw - shift;", "beta_raw;"),
    "the mirror too short": ("poisson", "/ (sqrt(L) - 1)", "/ sqrt(L)"),
    "a sum over levels, not over its root": ("poisson", "(x[L] - sum(x) / sqrt(L))", "(x[L] - sum(x) / L)"),
    "the last level not reflected": ("poisson", "value[L] -= sqrt(L) * along;", ""),
    "the mean in standard units": (
        "poisson", "if (centered[t] == 0) {\n        level_mean", "if (centered[t] > 1) {\n        level_mean",
    ),
    "dispersion upside down": (
        "negative_binomial", "spread = square(overdispersion)", "spread = inv_square(overdispersion)",
    ),
    "variance of rates for their sd": (
        "negative_binomial", "spread = square(overdispersion)", "spread = overdispersion",
    ),
    "equal rows counted once": ("negative_binomial", "dot_product(cell_rows, log_dispersion)", "sum(log_dispersion)"),
    "what counts say of the spread forgotten": ("negative_binomial", "dot_product(cell_y, log_dispersion)", "0"),
    "equal successes counted once": (
        "beta_binomial_rows", "rows_by_y = cell_rows[by_y]", "rows_by_y = ones_vector(NC)",
    ),
    "failures with the probability of successes": (
        "beta_binomial_rows", "inv_logit(-eta[by_rest])", "inv_logit(eta[by_rest])",
    ),
    "equal counts counted once": ("negative_binomial", "found[k, 2] += 1;", "found[k, 2] = 1;"),
    "the prior of dispersion forgotten": (
        "negative_binomial", "lprior += scale_prior_lpdf(overdispersion | prior_overdispersion_family,", "//",
    ),
    "columns of groups carried by other groups": (
        "poisson", "segment(held, (column - 1) * L[t] + 1, L[t])'", "reverse(segment(held, 1, L[t]))'",
    ),
    "what groups carry without what other levels share": (
        "poisson", "carry * (beta + shift)[shared]", "carry * beta[shared]",
    ),
    "variance for variation": ("gamma", "shape = inv_square(variation)", "shape = inv(variation)"),
    "what amounts differ inside equal rows": ("gamma", " - shortfall)", ")"),
    "equal amounts counted once": ("gamma", "dot_product(n_rows, above - expm1(above))", "sum(above - expm1(above))"),
    "the prior of variation forgotten": (
        "gamma", "lprior += scale_prior_lpdf(variation | prior_variation_family,", "//",
    ),
    "spread for its square": ("beta", "concentration = inv_square(spread)", "concentration = inv(spread)"),
    "what shares differ inside equal rows, concentrated": ("beta", " + shortfall)", ")"),
    "what shares differ inside equal rows, not concentrated": ("beta", " - shortfall)", ")"),
    "shares of the other end": (
        "beta", "lgamma(1 + concentration * inv_logit(-eta))", "lgamma(1 + concentration * mean_share)",
    ),
    "the slope of the mean forgotten": ("beta", "eta - 2 * log_one_plus_exp(eta)", "eta - log_one_plus_exp(eta)"),
    "the mean of shares forgotten": (
        "beta", "dot_product(n_rows .* mean_logit, mean_share)", "dot_product(n_rows, mean_share)",
    ),
    "the constant of equal shares counted once": (
        "beta", "sum(n_rows) * (lgamma(concentration)", "rows(eta) * (lgamma(concentration)",
    ),
    "shares of the other end, concentrated": (
        "beta", "binet(log(concentration) + log_rest)", "binet(log(concentration) + log_mean)",
    ),
    "slope of the mean forgotten, concentrated": ("beta", "(log_mean + log_rest)", "(log_rest)"),
    "large deviations cut, concentrated": ("beta", "log1p_exp(eta + fmax(deviation, 1))", "log1p_exp(eta + 1)"),
    "large deviations below cut, concentrated": ("beta", "log1p_exp(eta + fmin(deviation, -1))", "log1p_exp(eta - 1)"),
    "the prior of spread forgotten": ("beta", "lprior += scale_prior_lpdf(spread | prior_spread_family,", "//"),
    "amounts for their logs": ("lognormal", "log(y) - offset_", "y - offset_"),
    "rows counted as cells": ("normal_sampled", "-n * log(sigma) - 0.5 * (log_det", "-J * log(sigma) - 0.5 * (log_det"),
    "equal rows of one mean counted once": (
        "normal_sampled", "dot_product(weight, square(off))) / square(sigma)", "dot_self(off)) / square(sigma)",
    ),
    "what outcomes differ inside equal rows": ("normal_sampled", "fitted + (squares +", "fitted + (0 +"),
    "variance for sd of sampled rows": ("normal_sampled", "square(off))) / square(sigma)", "square(off))) / sigma"),
    "sums of the next group": ("normal_sampled", "first = last[j] + 1;", "first = last[j] + 2;"),
    "the determinant of one coefficient": (
        "normal_sampled", "log_det = sum(log(det));\n    fitted = p *", "log_det = 0;\n    fitted = p *",
    ),
    "standard errors for variances": (
        "estimates_sampled", "dot_product(weight, square(off))", "dot_product(sqrt(weight), square(off))",
    ),
    "the group's other columns unweighted": ("estimates_sampled", "W[k] = weight .* Z[ : , k];", "W[k] = Z[ : , k];"),
    "the prior of sigma forgotten": ("normal_sampled", "lprior += scale_prior_lpdf(sigma |", "//"),
    "sigma counted once": ("student_t", "-n * (lbeta(", "-1 * (lbeta("),
    "degrees of freedom outside": ("student_t", "/ sigma) / nu)", "/ sigma))"),
    "equal rows of one outcome counted once": (
        "student_t", "0.5 * (nu + 1) * dot_product(n_rows, log1p", "0.5 * (nu + 1) * dot_product(n_rows .^ 0, log1p",
    ),
    "variance for scale": ("student_t", "log(sigma)", "log(square(sigma))"),
    "extra zeros without their complement": (
        "zero_inflated_poisson", "inv_logit(-log_odds)[zero_share] .* exp", "exp",
    ),
    "rows that are no extra zeros forgotten": (
        "zero_inflated_poisson", "- dot_product(other_rows, log_one", "- 0 * sum(log_one",
    ),
    "equal rows of 0 counted once": ("zero_inflated_poisson", "dot_product(zero_rows, log(", "sum(log("),
    "equal rows of one share counted once": ("zero_inflated_poisson", "dot_product(other_rows, log_one", "sum(log_one"),
    "the sign of zi": ("zero_inflated_poisson", "X_zi_zero * zi", "-X_zi_zero * zi"),
    "the sign of zi where no row is 0": ("zero_inflated_poisson", "X_zi_other * zi", "-X_zi_other * zi"),
    "columns of zi sorted": ("zero_inflated_poisson", "X_zi_zero * zi", "X_zi_zero * reverse(zi)"),
    "columns of zi of sorted rows": ("zero_inflated_poisson", "X_zi[other_row]", "X_zi[sort_desc(other_row)]"),
    "columns of zi of rows of 0 sorted": ("zero_inflated_poisson", "X_zi[share_row]", "X_zi[sort_desc(share_row)]"),
    "shares of cells in another order": (
        "zero_inflated_poisson", "(log_odds)[zero_share]", "(log_odds)[reverse(zero_share)]",
    ),
    "rates of the first cells": ("zero_inflated_poisson", "log_p0[zero_cell]", "head(log_p0, NZ)"),
    "zeros counted in both": (
        "zero_inflated_poisson", "+ dot_product(cell_others, log_p0)",
        "+ dot_product(cell_others, log_p0) + dot_product(zero_rows, log_p0[zero_cell])",
    ),
    "the prior of zi forgotten": ("zero_inflated_poisson", "lprior += normal_priors_lpdf(zi | prior_zi);", ""),
    "extra zeros among what counts spread": (
        "zero_inflated_negative_binomial", "- dot_product(cell_others, log_dispersion) / spread",
        "- (dot_product(cell_others, log_dispersion) + dot_product(zero_rows, log_dispersion[zero_cell])) / spread",
    ),
    "spread of counts of 0 forgotten": (
        "zero_inflated_negative_binomial",
        "log_dispersion[zero_cell] / -spread", "-(cell_exposure .* exp(eta))[zero_cell]",
    ),
    "what counts say of the spread beside extra zeros forgotten": (
        "zero_inflated_negative_binomial", "dot_product(cell_y, log_dispersion)", "0",
    ),
    "overdispersion for its square": (
        "zero_inflated_negative_binomial", "spread = square(overdispersion)", "spread = overdispersion",
    ),
    "the prior of zi beside overdispersion forgotten": (
        "zero_inflated_negative_binomial", "+ normal_priors_lpdf(zi | prior_zi);", ";",
    ),
    "the last category as the first": ("cumulative", "at_end[c] = -0.5 * n_rows[c];", "at_end[c] = 0.5 * n_rows[c];"),
    "the ends as categories between": ("cumulative", "cell_rows - sqrt(square(end_rows))", "cell_rows"),
    "thresholds twice as far apart": ("cumulative", "= exp(0.5 * (head", "= exp((head"),
    "equal ratings counted once": ("cumulative", "- dot_product(n_rows, log(constant", "- sum(log(constant"),
    "half a row of an end": ("cumulative", "constant[1] = 1;", "constant[1] = 0.5;"),
    "exposure left out of cells": ("poisson", "dot_product(cell_exposure, exp(eta))", "sum(exp(eta))"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_seen(fault: str) -> None:
    name, right, wrong = FAULTS[fault]
    case = "three crossed" if "correl" in fault or "vine" in fault else "nested in a crossed one"
    once = {fault for fault in FAULTS if fault.startswith("equal ")} - {"equal counts counted once"}
    once |= {"rows counted as cells", "what outcomes differ inside equal rows"}
    once |= {fault for fault in FAULTS if fault.startswith("what shares differ") or "equal shares" in fault}
    inside = {*once, "what amounts differ inside equal rows", "the determinant of one coefficient"}
    case = "only the common columns of groups" if fault in inside else case
    case = "crossed" if "of one column" in fault else case
    case = "correlated" if "standard common" in fault else "one factor" if "one term" in fault else case
    changed: dict[str, object] = {"concentrated": int("not conc" not in fault)} if "concentrated" in fault else {}
    if "carr" in fault:  # by centered terms only
        case, changed = "columns of groups", {"centered": np.ones(2, dtype=int)}
    code = data_of(name, case, "partial_pooling")[0].program("partial_pooling").code
    assert code.count(right) >= 1
    try:
        largest = spread(name, case, "partial_pooling", code.replace(right, wrong), **changed)
    except RuntimeError:  # what is no covariance matrix has no density at all
        largest = np.inf
    assert not largest < SPREAD  # nan is no agreement either


@pytest.mark.parametrize("variant", POOLINGS)
def test_levels_of_the_last_factor_that_are_shifted_are_seen(variant: str) -> None:
    _, data = data_of("poisson", "three crossed", variant)
    place = data["place"].copy()
    place[-1] = place[-1].min() + (place[-1] - place[-1].min() + 1) % data["L"][-1]
    assert not spread("poisson", "three crossed", variant, place=place) < SPREAD


def with_nu(text: str) -> tuple[Family, StanData]:
    family = families()["student_t"]
    table = prepare_table(family, Dataset.from_frame(frame(), formula=f"whole ~ {RIGHT['crossed']}"))
    return family, family.stan_data(table, family.priors(table, {"nu": text}), "partial_pooling")


@pytest.mark.parametrize("text", ["fixed(2)", "fixed(7)", *(f"{d}({a})" for d, a in NU_PRIORS.items())])
def test_a_parameter_of_rows_that_begins_at_two_or_is_known(text: str) -> None:
    family, data = with_nu(text)
    program = family.program("partial_pooling")
    assert log_density_spread(program, family, "partial_pooling", data) < SPREAD
    # lprior is normalised above 2: at any point it is the log density of the priors in NumPy.
    point = random_point(program, family, data, np.random.default_rng(3))
    assert np.size(point["nu_raw"]) == data["nu_free"]
    drawn = short_run(family, "partial_pooling", data, draws=10, warmup=10, chains=1)
    likelihood = families()["student_t"].twin.log_joint
    assert likelihood is not None
    prior_only = {**data, "use_likelihood": 0}
    for s in range(10):
        at = {name: values[s] for name, values in drawn.items()} | {"nu_raw": drawn.get("nu_raw", np.empty((10, 0)))[s]}
        exact = likelihood(at, prior_only, "partial_pooling") - log_sampled(at, data)
        assert drawn["lprior"][s] == pytest.approx(exact, rel=1e-9)


def test_a_prior_that_is_not_normalised_above_its_end_is_seen() -> None:
    family, data = with_nu("gamma(2, 0.1)")
    code = family.program("partial_pooling").code
    assert code.count(" - log_above;") == 1
    assert "log_scale_prior_above(2, prior_nu_family, prior_nu)" in code
    drawn = short_run(family, "partial_pooling", data, draws=10, warmup=10, chains=1)
    at = {name: values[0] for name, values in drawn.items()}
    assert family.twin.log_joint is not None
    exact = family.twin.log_joint(at, {**data, "use_likelihood": 0}, "partial_pooling") - log_sampled(at, data)
    assert abs(drawn["lprior"][0] - exact) < 1e-9 < abs(drawn["lprior"][0] + np.log(1.2) - 0.2 - exact)


@pytest.mark.parametrize("name", LEFT)
def test_data_blocks_are_equal(name: str) -> None:
    family = families()[name]

    def block(program: Program) -> str:
        return program.code.partition("\ndata {")[2].partition("\n}")[0]

    assert len({block(family.program(variant)) for variant in POOLINGS}) == 1
