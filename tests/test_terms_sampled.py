"""Draws of formula models, on both engines, against exact posteriors; and the priors that programs add up."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from oracle_fits import ORACLE
from oracle_posteriors import POSTERIORS
from test_terms_programs import LEFT, RIGHT, frame
from test_truth import moved

from hbm_stan.attempts import fit
from hbm_stan.data import Dataset
from hbm_stan.density import short_run
from hbm_stan.engines import Engine, Sampling
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.families import family
from hbm_stan.families.terms.population import log_prior
from hbm_stan.fit import Fit, prepare_table
from hbm_stan.leave_one_out import logo, loo
from hbm_stan.likelihoods import likelihood

SAMPLING = Sampling(draws=1000, seed=20261128)
# What the exact posteriors call the parameters that we call otherwise.
NAMES = {
    "sd_plate": "tau[intercept]", "sd_sample": "sd[sample: intercept]", "sd_batch": "tau[intercept]",
    "sd_batch:cask": "sd[batch:cask: intercept]", "sd_subject_intercept": "tau[intercept]",
    "sd_subject_days": "tau[days]", "tau": "tau[intercept]", "sd_district": "tau[intercept]",
    "sd_district:school": "sd[district:school: intercept]", "ablat10": "beta[1]", "days": "beta[1]",
    "intercept": "beta[0]",
}  # fmt: skip


def fitted(name: str, engine: Engine, **others: str) -> Fit:
    case = POSTERIORS[name]
    dataset = Dataset.from_frame(pd.read_csv(ORACLE / f"{case['data']}.csv"), formula=case["formula"], centre=False)
    model = family(case["family"])
    table = prepare_table(model, dataset)
    beta = [f"beta[{column}]" for column in table.design.names] if table.design else []
    scales = [p for p in model.priors(table) if p.partition("[")[0] in {"tau", "sd"}] + ["sigma"]
    priors = {p: f"normal({m}, {s})" for p, (m, s) in zip(beta, case["beta"], strict=True)}
    priors |= {p: f"half_normal({s})" for p, s in zip(scales, case["scales"], strict=False)}
    return fit(model, dataset, "partial_pooling", priors={**priors, **others}, sampling=SAMPLING, engine=engine)


@cache
def embedded(name: str) -> Fit:
    return fitted(name, StanliEngine())


def parameter(fit: Fit, name: str) -> np.ndarray:
    """Draws of one parameter, (chain, draw)."""
    base, _, label = NAMES.get(name, name).removesuffix("]").partition("[")
    values = fit.tree["posterior"][base]
    if label.isdigit():
        return np.asarray(values[..., int(label)])
    return np.asarray(values.sel({values.dims[-1]: label}) if label else values)


def z_of(fit: Fit, name: str) -> dict[str, float]:
    from arviz_stats.base import array_stats as az

    z = {}
    for parameter_name, (mean, sd) in POSTERIORS[name]["parameters"].items():
        x = parameter(fit, parameter_name)[None]
        z[f"mean of {parameter_name}"] = (x.mean() - mean) / float(np.ravel(az.mcse(x, method="mean"))[0])
        z[f"sd of {parameter_name}"] = (x.std(ddof=1) - sd) / float(np.ravel(az.mcse(x, method="sd"))[0])
    return z


@pytest.mark.parametrize("name", POSTERIORS)
def test_crossed_and_nested_models_have_their_exact_posterior(name: str, stanli: Engine) -> None:
    z = z_of(embedded(name), name)
    assert moved(z, 4 * len(z)) == {}


# One program, for it takes CmdStan a minute to compile; `hbm verify --agree` compares the engines on all of them.
@pytest.mark.long
def test_cmdstan_draws_from_the_same_posterior(cmdstan: Engine) -> None:
    name = "penicillin-crossed"
    z = z_of(fitted(name, cmdstan), name)
    assert moved(z, 4 * len(z)) == {}


def test_the_comparison_sees_another_prior(stanli: Engine) -> None:
    # Planted fault: the sd between samples has half of the prior's scale.
    z = z_of(
        fitted("penicillin-crossed", stanli, **{"sd[sample: intercept]": "half_normal(1.5)"}), "penicillin-crossed"
    )
    assert "mean of sd_sample" in moved(z, 4 * len(z))


@pytest.mark.parametrize("name", ["penicillin-crossed", "pastes-nested", "sleepstudy-uncorrelated"])
def test_rows_and_groups_left_out_are_the_exact_ones(name: str, stanli: Engine) -> None:
    embedded_fit, exact = embedded(name), POSTERIORS[name]
    by_group = next(iter(exact["logo"].values()))["by_group"]
    groups = logo(embedded_fit)
    assert groups is not None
    for scores, truth in ((loo(embedded_fit), exact["loo"]["pointwise"]), (groups, list(by_group.values()))):
        assert scores.elpd == pytest.approx(sum(truth), abs=4 * scores.mcse)


def test_effects_of_other_factors_count_as_parameters(stanli: Engine) -> None:
    # beta, tau, sd, sigma, 24 plates and 6 samples; a plate that is left out takes its own with it.
    embedded_fit = embedded("penicillin-crossed")
    groups = logo(embedded_fit)
    assert (loo(embedded_fit).n_parameters, groups.n_parameters if groups else 0) == (34, 10)


@pytest.mark.parametrize("variant", ["complete_pooling", "no_pooling", "partial_pooling"])
@pytest.mark.parametrize("name", ["normal", "poisson"])
def test_lprior_is_the_sum_of_all_priors_of_the_top_level(name: str, variant: str) -> None:
    model = family(name)
    table = prepare_table(model, Dataset.from_frame(frame(), formula=f"{LEFT[name]} ~ {RIGHT['three crossed']}"))
    data = model.stan_data(table, model.priors(table), variant) | {"use_likelihood": 0}
    draws = short_run(model, variant, data, draws=10, warmup=50, chains=1)
    for s in range(3):
        one = {key: values[s] for key, values in draws.items() if not (key == "beta" and "beta_shared" in draws)}
        assert draws["lprior"][s] == pytest.approx(log_prior(likelihood(name), one, data), rel=1e-9)
