"""The contract of a family, for every family and variant found: programs, log density, pointwise likelihood, words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from hbm_stan.data import load
from hbm_stan.engines import Sampling
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.families import families
from hbm_stan.fit import prepare_table
from hbm_stan.model import Family
from hbm_stan.program import Program, check_data
from hbm_stan.resources import share

BROKEN = Path(__file__).parent / "broken"
# One dataset that each family can be tried on, with its columns.
EXAMPLES = {"normal_means": ("eight_schools", {"group": "school", "estimate": "effect", "standard_error": "se"})}
CASES = [(f, v.name) for f in families().values() for v in f.variants]
IDS = [f"{f.name}-{v}" for f, v in CASES]
# Every prior family of tau, so that each branch of the program meets its twin in NumPy.
TAU_PRIORS = ("half_normal(7)", "half_cauchy(5)", "half_student_t(4, 6)", "uniform(0, 80)")
# Relative spread of (engine's log density - log_joint): rounding error is near 1e-14; a wrong prior scale gave 0.2.
SPREAD = 1e-9
N_POINTS = 25


def stan_data(family: Family, priors: dict[str, str] | None = None, use_likelihood: int = 1) -> dict[str, Any]:
    name, columns = EXAMPLES[family.name]
    table = prepare_table(family, load(name, columns))
    return {**family.prepare(table, family.priors(table, priors)), "use_likelihood": use_likelihood}


def log_jacobian(family: Family, data: dict[str, Any], params: dict[str, Any]) -> float:
    """log |d constrained / d unconstrained| of the bounded parameters: Stan's own transforms, from its manual."""
    total = 0.0
    for name, (low, high) in family.support(data).items():
        if name in params:
            x = params[name]
            total += np.log(x - low) if np.isinf(high) else np.log(x - low) + np.log(high - x) - np.log(high - low)
    return total


def random_point(program: Program, data: dict[str, Any], family: Family, rng: np.random.Generator) -> dict[str, Any]:
    point: dict[str, Any] = {}
    for d in program.block("parameters"):
        low, high = family.support(data).get(d.name, (-np.inf, np.inf))
        size = None if not d.dims else int(data[d.dims[0]])
        x = rng.normal(0, 3, size) if np.isinf(low) else np.exp(rng.normal(1, 1, size))
        point[d.name] = np.minimum(x, high * 0.99) if np.isfinite(high) else x
    return point


def spread(program: Program, family: Family, variant: str, data: dict[str, Any]) -> float:
    """How far the engine's log density minus log_joint is from one constant, over random points."""
    model = StanliEngine().model(program, data)
    rng = np.random.default_rng(1)
    differences, size = [], 0.0
    for _ in range(N_POINTS):
        params = random_point(program, data, family, rng)
        q = model.unconstrain({k: np.asarray(v).tolist() for k, v in params.items()})
        params |= family.transformed(params, data)
        if "log_tau" in params:  # the planted fault without a Jacobian
            params["tau"] = np.exp(params["log_tau"])
            params["tau_raw"] = params["tau"] / data["prior_tau"][0]
        engine_says, _ = model.log_prob_grad(q)
        ours = family.log_joint(params, data, variant) + log_jacobian(family, data, params)
        differences.append(engine_says - ours)
        size = max(size, abs(ours))
    return float(np.ptp(differences)) / size


@pytest.mark.parametrize(("family", "variant"), CASES, ids=IDS)
@pytest.mark.parametrize("use_likelihood", [0, 1])
@pytest.mark.parametrize("tau", TAU_PRIORS)
def test_log_density_equals_log_joint(family: Family, variant: str, use_likelihood: int, tau: str) -> None:
    data = stan_data(family, {"mu": "normal(1, 5)", "tau": tau, "theta": "normal(2, 40)"}, use_likelihood)
    assert spread(family.program(variant), family, variant, data) < SPREAD


@pytest.mark.parametrize(("family", "variant"), CASES, ids=IDS)
def test_pointwise_likelihood_and_lprior_equal_numpy(family: Family, variant: str) -> None:
    data = stan_data(family)
    drawn = StanliEngine().sample(family.program(variant), data, Sampling(chains=2, warmup=200, draws=50, seed=3))
    flat = {k: v.reshape(-1, *v.shape[2:]) for k, v in drawn.variables.items()}
    np.testing.assert_allclose(flat["log_lik"], family.pointwise(flat, data), rtol=1e-9)
    # With the likelihood off, what is left of log_joint is the top-level prior plus the population's density.
    off = {**data, "use_likelihood": 0}
    for i in range(5):
        point = {k: v[i] for k, v in flat.items()}
        assert flat["lprior"][i] == pytest.approx(family.log_joint(point, off, variant) - group_part(point, variant))


def group_part(point: dict[str, Any], variant: str) -> float:
    """The density of the group values in the population, which is no top-level prior."""
    if variant == "partial_pooling_centered":
        return float(stats.norm.logpdf(point["theta"], point["mu"], point["tau"]).sum())
    if variant == "partial_pooling_noncentered":
        return float(stats.norm.logpdf(point["theta_raw"]).sum())
    return 0.0


@pytest.mark.parametrize("family", families().values(), ids=families())
def test_all_variants_share_one_data_block_byte_for_byte(family: Family) -> None:
    blocks = {re.search(r"^data \{\n.*?^\}", family.program(v.name).code, re.S | re.M)[0] for v in family.variants}  # type: ignore[index]
    assert len(blocks) == 1


@pytest.mark.parametrize("family", families().values(), ids=families())
def test_the_prepared_data_are_what_the_programs_ask_for(family: Family) -> None:
    for v in family.variants:
        check_data(family.program(v.name), stan_data(family))


@pytest.mark.parametrize(("family", "variant"), CASES, ids=IDS)
def test_programs_are_short_commented_and_declare_what_they_pool(family: Family, variant: str) -> None:
    text = (family.folder / f"{variant}.stan").read_text()
    assert len(text.splitlines()) <= 80
    assert text.startswith("//")
    assert "// Pooling:" in text
    assert "// Parameterisation:" in text
    for line in text.splitlines():
        if re.match(r"\s+(int|real|vector|array|matrix)\b[^(]*;", line):
            assert "//" in line, f"{variant}: no meaning and unit at {line.strip()!r}"
    faults = structure_faults(family.variant(variant).pooling, family.program(variant))
    assert faults == []


def structure_faults(pooling: str, program: Program) -> list[str]:
    """Whether a program is what it is called: decision-rules, pitfall 16."""
    parameters = program.block("parameters")
    by_group = [d.name for d in parameters if "J" in d.dims]
    scalars = [d.name for d in parameters if not d.dims]
    if pooling == "complete" and by_group:
        return [f"complete pooling has group effects: {by_group}"]
    if pooling == "no" and [s for s in scalars if s.startswith(("tau", "sigma", "mu"))]:
        return [f"no pooling shares {scalars} between groups"]
    if pooling == "partial" and not {"tau", "tau_raw"} & set(scalars):
        return ["partial pooling has no population scale"]
    return []


@pytest.mark.parametrize("family", families().values(), ids=families())
def test_simulate_and_new_group_have_the_population_s_moments(family: Family) -> None:
    rng = np.random.default_rng(5)
    size = 200_000
    population = {"mu": np.full(size, 3.0), "tau": np.full(size, 2.0), "theta": np.zeros((size, 2))}
    theta = family.new_group(rng, population, stan_data(family), "partial_pooling")
    y = family.simulate(rng, {"theta": theta}, {"se": 1.5})
    for values, sd in ((theta, 2.0), (y, 2.5)):
        assert np.mean(values) == pytest.approx(3.0, abs=5 * sd / np.sqrt(size))
        assert np.std(values) == pytest.approx(sd, abs=5 * sd / np.sqrt(2 * size))
    complete = family.new_group(
        rng, {"mu": population["mu"], "theta": population["theta"]}, stan_data(family), "complete_pooling"
    )
    assert np.all(complete == 3.0)


@pytest.mark.parametrize("family", families().values(), ids=families())
def test_group_log_lik_is_the_integral_over_theta(family: Family) -> None:
    data = stan_data(family)
    mu, tau = np.array([2.0, -1.0]), np.array([4.0, 9.0])
    ours = family.group_log_lik({"mu": mu, "tau": tau}, data)
    grid = np.linspace(-200, 200, 40_001)
    for s in range(2):
        for j in range(3):
            density = stats.norm.pdf(grid, mu[s], tau[s]) * stats.norm.pdf(data["y"][j], grid, data["se"][j])
            assert ours[s, j] == pytest.approx(np.log(np.trapezoid(density, grid)), abs=1e-8)


# Each planted fault: the program, the variant that it pretends to be, and the check that must catch it.
FAULTS = {
    "sd_for_variance": "partial_pooling",
    "missing_jacobian": "partial_pooling_noncentered",
    "shifted_index": "partial_pooling_centered",
    "wrong_prior_scale": "partial_pooling",
    "missing_likelihood_term": "no_pooling",
}


@pytest.mark.parametrize("name", FAULTS)
def test_log_density_catches_planted_faults(name: str) -> None:
    family = families()["normal_means"]
    program = Program.read(BROKEN / f"{name}.stan", (share("stan") / "lib",))
    assert spread(program, family, FAULTS[name], stan_data(family, {"tau": "half_cauchy(5)"})) > 1e-4


def test_pointwise_catches_a_log_lik_that_omits_a_term() -> None:
    family = families()["normal_means"]
    program = Program.read(BROKEN / "log_lik_without_constant.stan", (share("stan") / "lib",))
    data = stan_data(family)
    assert spread(program, family, "no_pooling", data) < SPREAD  # the log density alone does not see it
    drawn = StanliEngine().sample(program, data, Sampling(chains=1, warmup=50, draws=10, seed=1))
    flat = {k: v.reshape(-1, *v.shape[2:]) for k, v in drawn.variables.items()}
    assert not np.allclose(flat["log_lik"], family.pointwise(flat, data))


@pytest.mark.parametrize(("name", "pooling"), [("shared_scale", "no"), ("pools_a_subset", "complete")])
def test_structure_catches_programs_that_are_not_what_they_are_called(name: str, pooling: str) -> None:
    assert structure_faults(pooling, Program.read(BROKEN / f"{name}.stan"))
