"""Constants by construction are no stuck chains, and no stuck chain is taken for one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake_fits import fake_fit, with_variant

from hbm_stan.attempts import fit
from hbm_stan.data import Dataset, load
from hbm_stan.diagnose import check, parameters
from hbm_stan.engines import Sampling
from hbm_stan.families import family
from hbm_stan.fit import Fit
from hbm_stan.funnel import where_divergences_sit

# A family of a user whose correlation matrix has ones on its diagonal (rstan, issue 749: R-hat of Omega[1,1] is NaN).
PROGRAM = """
data { int<lower=1> J; vector[J] effect; vector<lower=0>[J] error; }
parameters { real centre; real<lower=0> spread; vector[J] z; cholesky_factor_corr[2] L; }
transformed parameters { vector[J] study = centre + spread * z; }
model {
  centre ~ normal(0, 10); spread ~ normal(0, 5); z ~ std_normal(); L ~ lkj_corr_cholesky(2);
  effect ~ normal(study, error);
}
generated quantities {
  real fixed = 2.5;
  corr_matrix[2] Omega = multiply_lower_tri_self_transpose(L);
  corr_matrix[1] alone = [[1.0]];
  vector[J] ll;
  vector[J] y_rep;
  for (j in 1:J) { ll[j] = normal_lpdf(effect[j] | study[j], error[j]); y_rep[j] = normal_rng(study[j], error[j]); }
}
"""
FAMILY = """
outcome = "estimate"
group_quantity = "study"
log_lik = "ll"
population = ["centre", "spread", "fixed", "Omega", "L"]
hidden = ["z"]
roles.group = { kind = "label", meaning = "name of the study" }
roles.estimate = { kind = "number" }
roles.standard_error = { kind = "positive" }
variants.partial_pooling = { pooling = "partial", program = "partial" }
data = { J = "J", effect = "role:estimate", error = "role:standard_error" }
dims = { study = ["group"], Omega = ["r", "c"], L = ["r", "c"], alone = ["one", "other"] }
[labels]
one = ["x"]
other = ["x"]
r = ["a", "b"]
c = ["a", "b"]
"""
SETTINGS = Sampling(seed=3, adapt_delta=0.95)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Fit:
    folder = tmp_path_factory.mktemp("fam")
    (folder / "family.toml").write_text(FAMILY)
    (folder / "partial.stan").write_text(PROGRAM)
    schools = load("eight_schools", group="school", estimate="effect", standard_error="se")
    return fit(family(str(folder), Path()), schools, sampling=SETTINGS, engine="stanli")


def changed(fit: Fit, **values: object) -> Fit:
    for name, change in values.items():
        fit.tree["posterior"][name].values[...] = change(fit.tree["posterior"][name].values)  # type: ignore[operator]
    return fit


def test_the_diagonal_of_a_correlation_matrix_and_computed_constants_fail_no_check(own: Fit) -> None:
    diagnosis = check(own)
    assert [v.name for v in diagnosis.verdicts if v.status == "fail"] == []
    names, draws = parameters(own)
    assert {"centre", "spread", "Omega[a, b]", "Omega[b, a]", "L[b, a]", "L[b, b]"} <= set(names)
    assert not {"fixed", "Omega[a, a]", "Omega[b, b]", "L[a, a]", "L[a, b]", "alone[x, x]"} & set(names)
    assert (np.ptp(draws, axis=(1, 2)) > 0).all()


@pytest.mark.parametrize("name", ["mu", "tau"])
def test_a_parameter_whose_draws_are_all_equal_is_still_a_stuck_chain(name: str) -> None:
    failed = {v.name: v for v in check(fake_fit(**{name: lambda x: 0 * x + 4})).verdicts if v.status == "fail"}
    assert failed["moving chains"].subject == name
    assert "R-hat" in failed


def test_a_vector_of_which_nothing_moves_is_a_stuck_chain() -> None:
    fit = with_variant(fake_fit(theta=lambda x: 0 * x + 1), "partial_pooling_centered")  # declares theta
    assert "moving chains" in {v.name for v in check(fit).verdicts if v.status == "fail"}


def test_a_chain_that_stands_still_by_itself_is_no_constant() -> None:
    def stuck(x: np.ndarray) -> np.ndarray:
        x = x.copy()
        x[2] = x[2, 0]
        return x

    failed = {v.name: v for v in check(fake_fit(theta=stuck)).verdicts if v.status == "fail"}
    assert failed["moving chains"].subject == "theta[A]"


def test_one_chain_is_not_believed_about_a_constant() -> None:
    fit = fake_fit(sampling=Sampling(chains=1, seed=1), mu=lambda x: 0 * x + 4)
    assert "moving chains" in {v.name for v in check(fit).verdicts if v.status == "fail"}


def test_an_infinite_constant_is_not_left_out() -> None:
    fit = fake_fit(theta=lambda x: np.where(np.arange(x.shape[-1]) == 0, np.inf, x))
    failed = {v.name: v for v in check(fit).verdicts if v.status == "fail"}
    assert failed["finite draws"].subject == "theta[A]"


def sleep() -> Dataset:
    return load("sleepstudy", group="subject", outcome="reaction_ms", predictors=["days"])


def test_a_tau_that_does_not_vary_is_no_funnel() -> None:
    short = Sampling(seed=2, warmup=200, draws=200)
    sleep_fit = fit("linear_regression", sleep(), sampling=short, engine="stanli", minutes=0)
    tau = changed(sleep_fit, tau=lambda x: x * [1, 0]).tree["posterior"]["tau"].values
    diverging = tau[..., 0] > np.quantile(tau[..., 0], 0.98)
    assert where_divergences_sit(sleep_fit, diverging) == ("tau[intercept]", "none of them in a funnel.")
    neck = tau[..., 0] <= np.quantile(tau[..., 0], 0.04)
    subject, sentence = where_divergences_sit(sleep_fit, neck)
    assert subject == "tau[intercept]"
    assert "a funnel" in sentence
    changed(sleep_fit, tau=lambda x: 0 * x)
    assert where_divergences_sit(sleep_fit, neck) == ("", "they are spread over the posterior.")
