"""What a fit is keyed by, and the tree of draws in ArviZ's shape."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import arviz as az
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from spy import Spy

from hbm_stan.attempts import fit, fit_variants
from hbm_stan.data import Dataset
from hbm_stan.engines import Engine, Sampling
from hbm_stan.errors import DataError, HbmError
from hbm_stan.families.normal_means import FAMILY
from hbm_stan.fit import Fit, Job, jobs_of
from hbm_stan.model import Family
from hbm_stan.store import FitStore

VARIANTS = tuple(v.name for v in FAMILY.programs.variants)
SCHOOLS = pd.DataFrame(
    {
        "school": list("ABCDEFGH"),
        "effect": [28.0, 8, -3, 7, -1, 1, 18, 12],
        "se": [15.0, 10, 16, 11, 9, 11, 10, 18],
        "note": ["x"] * 8,
    }
)
COLUMNS = {"group": "school", "estimate": "effect", "standard_error": "se"}
PRIORS = {"mu": "normal(0, 5)", "tau": "half_cauchy(5)", "theta": "normal(0, 50)"}
SAMPLING = Sampling(chains=2, warmup=100, draws=50, seed=3)


def dataset(**changes: Any) -> Dataset:
    return Dataset.from_frame(SCHOOLS.assign(**changes), COLUMNS)


def with_cell(column: str, row: int, value: Any) -> Dataset:
    return dataset(**{column: [*SCHOOLS[column][:row], value, *SCHOOLS[column][row + 1 :]]})


def job(variant: str = "partial_pooling", **changes: Any) -> Job:
    """A job, with one thing changed."""
    arguments = {
        "family": FAMILY, "dataset": dataset(), "variants": [variant], "priors": PRIORS, "sampling": SAMPLING,
        "engine": Spy(),
    }  # fmt: skip
    return jobs_of(**{**arguments, **changes})[0]


# The key


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_same_job_has_the_same_key(variant: str) -> None:
    key = job(variant).key
    assert key == job(variant).key
    assert len(key) == 64
    # Another spelling of the same, a column that plays no part, another name of the data: nothing that Stan sees.
    assert key == job(variant, priors={**PRIORS, "mu": " NORMAL( 0.0,5e0 )"}).key
    assert key == job(variant, dataset=dataset(note=["y"] * 8)).key
    assert key == job(variant, dataset=Dataset.from_frame(SCHOOLS[SCHOOLS.columns[::-1]], COLUMNS, name="other")).key
    assert key == job(variant, sampling=replace(SAMPLING, adapt_delta=0.90)).key


def test_variants_have_keys_of_their_own() -> None:
    assert len({job(variant).key for variant in VARIANTS}) == len(VARIANTS)


CHANGES: dict[str, Callable[[], dict[str, Any]]] = {
    "a cell's last digit": lambda: {"dataset": with_cell("effect", 2, -3.0000000000000004)},
    "a standard error": lambda: {"dataset": with_cell("se", 7, 18.5)},
    "a label": lambda: {"dataset": with_cell("school", 0, "a")},
    "a row less": lambda: {"dataset": Dataset.from_frame(SCHOOLS[:7], COLUMNS)},
    "the order of the groups": lambda: {"dataset": Dataset.from_frame(SCHOOLS[::-1], COLUMNS)},
    "chains": lambda: {"sampling": replace(SAMPLING, chains=3)},
    "warmup": lambda: {"sampling": replace(SAMPLING, warmup=101)},
    "draws": lambda: {"sampling": replace(SAMPLING, draws=51)},
    "adapt_delta": lambda: {"sampling": replace(SAMPLING, adapt_delta=0.91)},
    "max_treedepth": lambda: {"sampling": replace(SAMPLING, max_treedepth=11)},
    "seed": lambda: {"sampling": replace(SAMPLING, seed=4)},
    "engine": lambda: {"engine": Spy(name="other")},
    "its version": lambda: {"engine": Spy(version="1.1")},
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("variant", ["complete_pooling", "no_pooling", "partial_pooling"])
def test_every_part_changes_the_key_of_every_variant(variant: str, change: str) -> None:
    assert job(variant, **CHANGES[change]()).key != job(variant).key


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mu", "normal(0, 6)"),
        ("mu", "normal(1, 5)"),
        ("mu", "normal(0, 5.0000000000000009)"),  # its text is the same: it shows six digits
        ("mu", "normal(1e-9, 5)"),
        ("tau", "half_normal(5)"),
        ("tau", "half_student_t(1, 5)"),  # the same distribution, another program
        ("tau", "half_student_t(4, 5)"),
        ("tau", "uniform(0, 5)"),
        ("tau", "half_cauchy(5.0000001)"),
        ("theta", "normal(0, 50.0000001)"),
    ],
)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_prior_changes_the_key_where_it_is_used_only(variant: str, name: str, text: str) -> None:
    changed = job(variant, priors={**PRIORS, name: text}).key != job(variant).key
    assert changed == (name in FAMILY.variant(variant).priors)


def test_a_default_prior_that_the_data_move_is_part_of_the_key() -> None:
    assert job(priors=None).key != job().key
    scaled = job(priors=None, dataset=dataset(effect=SCHOOLS["effect"] * 2))
    assert scaled.parts["priors"] != job(priors=None).parts["priors"]


def test_a_prior_that_the_program_reads_counts_even_if_the_variant_does_not_name_it(tmp_path: Path) -> None:
    forgetful = FAMILY.with_fields(variants=tuple(replace(v, priors=()) for v in FAMILY.programs.variants))
    changed = {**PRIORS, "tau": "half_cauchy(6)"}
    assert job(family=forgetful).key != job(family=forgetful, priors=changed).key
    assert job("no_pooling", family=forgetful).key == job("no_pooling", family=forgetful, priors=changed).key


@pytest.fixture
def own_family(tmp_path: Path) -> Family:
    """The family with its programs in a folder of their own, where they can be changed."""
    for source in FAMILY.programs.folder.glob("*.stan"):
        (tmp_path / source.name).write_text(source.read_text())
    (tmp_path / "scale_prior.stanfunctions").write_text(
        (FAMILY.programs.folder.parent / "lib" / "scale_prior.stanfunctions").read_text()
    )
    return FAMILY.with_fields(folder=tmp_path)


@pytest.mark.parametrize(
    ("file", "variants"),
    [
        ("partial_pooling.stan", {"partial_pooling"}),
        ("scale_prior.stanfunctions", {v for v in VARIANTS if v.startswith("partial")}),
    ],
)
def test_a_changed_program_or_included_file_changes_the_keys_it_is_part_of(
    own_family: Family, file: str, variants: set[str]
) -> None:
    before = {v: job(v, family=own_family).key for v in VARIANTS}
    assert before == {v: job(v).key for v in VARIANTS}  # where the programs are does not matter
    path = own_family.programs.folder / file
    path.write_text(path.read_text() + "// changed\n")
    after = {v: job(v, family=own_family).key for v in VARIANTS}
    assert {v for v in VARIANTS if before[v] != after[v]} == variants


def test_the_parts_can_be_stored_and_say_all_that_differs() -> None:
    parts = job(dataset=with_cell("school", 0, 'q"uo\nte')).parts
    assert json.loads(json.dumps(parts)) == parts
    assert list(parts) == ["program", "data", "priors", "prior values", "settings", "engine"]


# Reuse, in a notebook's way


def test_a_second_fit_samples_nothing_and_is_the_same(tmp_path: Path) -> None:
    spy, log = Spy(), list[str]()
    store = FitStore(tmp_path)
    first, second = (fit(FAMILY, dataset(), sampling=SAMPLING, engine=spy, store=store, say=log.append) for _ in "12")
    assert spy.sampled == spy.built == ["partial_pooling"]
    assert (first.reused, first.reason) == (False, "no earlier draws")
    assert (second.reused, second.reason) == (True, "nothing changed")
    assert log == [
        "partial_pooling: sampling (no earlier draws)",
        "partial_pooling: draws kept from an earlier run are used again",
    ]
    xr.testing.assert_identical(first.tree, second.tree)
    assert (first.key, first.seconds, first.n_draws) == (second.key, second.seconds, second.n_draws)
    for name, values in first.draws().items():
        assert values.tobytes() == second.draws()[name].tobytes()


def test_fits_of_a_notebook_are_kept_in_the_cache(cache: Path) -> None:
    spy = Spy()
    for _ in range(2):
        fit(FAMILY, dataset(), sampling=SAMPLING, engine=spy)
    assert spy.sampled == ["partial_pooling"]
    assert len(list((cache / "fits" / "normal_means" / "data").glob("*.nc"))) == 1


def test_only_what_is_missing_is_built_and_sampled(tmp_path: Path) -> None:
    spy, store = Spy(), FitStore(tmp_path)
    fit(FAMILY, dataset(), "no_pooling", sampling=SAMPLING, engine=spy, store=store)
    fits = fit_variants(FAMILY, dataset(), sampling=SAMPLING, engine=spy, store=store)
    assert list(fits) == ["complete_pooling", "no_pooling", "partial_pooling"]
    assert spy.sampled == spy.built == ["no_pooling", "complete_pooling", "partial_pooling"]


def test_the_reason_of_a_new_fit_is_kept_with_it(tmp_path: Path) -> None:
    spy, store = Spy(), FitStore(tmp_path)
    fit(FAMILY, dataset(), priors=PRIORS, sampling=SAMPLING, engine=spy, store=store)
    again = fit(
        FAMILY, dataset(), priors={**PRIORS, "tau": "half_normal(5)"}, sampling=SAMPLING, engine=spy, store=store
    )
    assert again.reason == "the prior of tau changed from half_cauchy(5) to half_normal(5)"
    back = fit(FAMILY, dataset(), priors=PRIORS, sampling=SAMPLING, engine=spy, store=store)
    assert back.reused


def test_too_many_draws_are_refused_before_sampling() -> None:
    spy = Spy()
    with pytest.raises(DataError, match="would need about"):
        fit(FAMILY, dataset(), sampling=Sampling(chains=64, draws=1_000_000), engine=spy)
    assert spy.sampled == spy.built == []


def test_an_engine_that_fails_leaves_no_fit(tmp_path: Path) -> None:
    class Failing(Spy):
        def sample(self, *_args: Any, **_kwargs: Any) -> Any:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(FAMILY, dataset(), sampling=SAMPLING, engine=Failing(), store=FitStore(tmp_path))
    assert [p for p in tmp_path.iterdir() if p.suffix != ".lock"] == []


# The tree


@pytest.fixture
def real(engine: Engine, tmp_path: Path) -> Callable[[str], Fit]:
    """Fits by a real engine; odd labels."""
    labels = ["Zoë", "a\nb", 'the "best"', "it's", "[x], (y)", "日本", "🙂", "H"]
    store = FitStore(tmp_path)

    def make(variant: str) -> Fit:
        return fit(
            FAMILY, dataset(school=labels), variant, priors=PRIORS, engine=engine, store=store,
            sampling=Sampling(chains=4, warmup=500, draws=500, seed=1),
        )  # fmt: skip

    return make


@pytest.mark.parametrize("variant", ["complete_pooling", "no_pooling", "partial_pooling"])
def test_the_tree_has_arvizs_groups_dims_and_labels(real: Callable[[str], Fit], variant: str) -> None:
    fit = real(variant)
    tree, labels = fit.tree, list(fit.table.pooled.labels)
    assert set(tree.children) == {
        "posterior", "posterior_predictive", "log_likelihood", "sample_stats", "observed_data", "constant_data",
    }  # fmt: skip
    population = {"complete_pooling": {"mu"}, "no_pooling": set[str](), "partial_pooling": {"mu", "tau"}}[variant]
    # Beside these a program may have parameters of its own, such as tau_raw.
    assert set(tree["posterior"].data_vars) & {"mu", "tau", "theta", "lprior"} == {*population, "theta", "lprior"}
    assert not {"y_rep", "log_lik"} & set(tree["posterior"].data_vars)
    for group, name in (("posterior", "theta"), ("posterior_predictive", "y"), ("log_likelihood", "y")):
        values = tree[group][name]
        assert values.dims == ("chain", "draw", "group")
        assert values.shape == (4, 500, 8)
        assert [str(v) for v in values["group"].values] == labels
        assert list(values["chain"].values) == [0, 1, 2, 3]
        assert list(values["draw"].values) == list(range(500))
    assert tree["posterior"]["lprior"].dims == ("chain", "draw")
    assert tree["observed_data"]["y"].dims == ("group",)
    assert list(tree["observed_data"]["y"].values) == list(SCHOOLS["effect"])
    assert list(tree["constant_data"]["se"].values) == list(SCHOOLS["se"])
    stats = tree["sample_stats"]
    assert {n: stats[n].dtype.kind for n in ("diverging", "reached_max_treedepth", "tree_depth", "n_steps", "lp")} == {
        "diverging": "b", "reached_max_treedepth": "b", "tree_depth": "i", "n_steps": "i", "lp": "f",
    }  # fmt: skip


def test_values_stand_at_their_own_labels(real: Callable[[str], Fit]) -> None:
    # Without pooling a group's mean is its estimate, shrunk by a known factor: exact, so order can be seen.
    posterior = real("no_pooling").tree["posterior"].to_dataset()
    se = SCHOOLS["se"].to_numpy()
    variance = 1 / (1 / se**2 + 1 / 50**2)
    expected = variance * SCHOOLS["effect"].to_numpy() / se**2
    error = np.sqrt(variance / 1000)  # 2,000 draws; NUTS on independent normals is not half as good as that
    assert (np.abs(posterior["theta"].mean(("chain", "draw")).values - expected) < 5 * error).all()


def test_it_comes_back_from_disk_as_it_was(real: Callable[[str], Fit]) -> None:
    first, second = real("partial_pooling"), real("partial_pooling")
    assert (first.reused, second.reused) == (False, True)
    xr.testing.assert_identical(first.tree, second.tree)
    for node in first.tree.subtree:
        for name, variable in node.variables.items():
            got = second.tree[node.path].variables[name]
            assert (got.dtype, got.values.tobytes()) == (variable.dtype, variable.values.tobytes()), name


@pytest.mark.filterwarnings("ignore:Estimated shape parameter of Pareto")
def test_arviz_works_on_it(real: Callable[[str], Fit]) -> None:
    tree = real("partial_pooling").tree
    summary = az.summary(tree, var_names=["mu", "tau", "theta"])
    assert len(summary) == 10
    assert any("日本" in str(name) for name in summary.index)
    assert float(az.ess(tree)["mu"]) > 100
    loo = az.loo(tree, var_name="y")
    assert loo.n_data_points == 8
    assert np.isfinite(loo.elpd)
    assert az.extract(tree, group="posterior")["theta"].shape[0] == 8


def test_draws_and_population_come_out_joined(real: Callable[[str], Fit]) -> None:
    fit = real("partial_pooling")
    shapes = {k: v.shape for k, v in fit.draws("mu", "tau", "theta").items()}
    assert shapes == {"mu": (2000,), "tau": (2000,), "theta": (2000, 8)}
    theta = fit.tree["posterior"]["theta"].values
    assert (fit.draws("theta")["theta"] == theta.reshape(2000, 8)).all()
    assert set(fit.draws("tau", "nothing")) <= {"tau"}


def test_an_unknown_variant_is_refused_by_name() -> None:
    with pytest.raises(HbmError, match="partial_pooling"):
        fit(FAMILY, dataset(), "partial_poling", engine=Spy())
