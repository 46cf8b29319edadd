"""New rows that weights cannot follow: the refit is that of all rows together, and says so; a bad one says nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import quadrature
from condition_cases import FORMULAS, ROLES, SAMPLING, dataset, fit_case, parts
from scipy.stats import norm

from hbm_stan.attempts import fit
from hbm_stan.budget import Budget
from hbm_stan.counting import counted
from hbm_stan.data import load
from hbm_stan.engines import Engine, Sampling
from hbm_stan.errors import DiagnosticError, ModelError
from hbm_stan.families import family as find_family
from hbm_stan.fit import Fit, jobs_of
from hbm_stan.mixing import ess_bulk
from hbm_stan.new_rows import refit as of_refit
from hbm_stan.new_rows.condition import Conditioned, condition, condition_on
from hbm_stan.new_rows.contrast import contrast
from hbm_stan.new_rows.new_groups import NewGroups, read_condition
from hbm_stan.new_rows.predict import predict
from hbm_stan.new_rows.refit import Means, job_with
from hbm_stan.store import FitStore

# z of means and sds: a family error of 1e-3 over 100 comparisons in this file.
LIMIT = norm.isf(1e-3 / (2 * 100))
TAU, MU = ("half_normal", (10.0,)), (8.0, 25.0)
# Far from the eight schools, and precise: the sd between schools that was learnt does not reach there.
FAR = pd.DataFrame({"school": ["X", "Y"], "effect": [95.0, -40.0], "se": [3.0, 6.0]})


@pytest.fixture
def store(tmp_path: Path) -> FitStore:
    return FitStore(tmp_path / "fits")


@pytest.fixture
def schools(stanli: Engine) -> Fit:
    roles = {"group": "school", "estimate": "effect", "standard_error": "se"}
    priors = {"tau": "half_normal(10)", "mu": "normal(8, 25)"}
    sampling = Sampling(warmup=1000, draws=2500, seed=7)
    return fit("normal_means", load("eight_schools", roles), priors=priors, sampling=sampling, engine=stanli)


def truth(new: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Means and sds of all schools together by quadrature, without any sampler."""
    y, se = (np.concatenate([old, new[c]]) for old, c in ((quadrature.Y, "effect"), (quadrature.SE, "se")))
    return quadrature.exact(*TAU, MU, y, se).summaries((*quadrature.LABELS, *new["school"]))


def off(given: Conditioned, exact: dict[str, dict[str, float]]) -> float:
    """The largest z of the means and sds of all schools and of the population, and of what the table reports."""
    posterior, worst = given.fit.tree["posterior"], 0.0
    named = {f"theta[{label}]": posterior["theta"].sel(group=label).values for label in posterior["group"].values}
    named |= {name: posterior[name].values for name in ("mu", "tau")}
    for name, chains in named.items():
        ess = min(float(ess_bulk(chains[None])[0]), chains.size)
        away = chains - chains.mean()
        spread = np.sqrt(np.mean(away**4) / np.mean(away**2) ** 2 - 1) * np.mean(away**2)
        mean, sd = exact[name]["mean"], exact[name]["sd"]
        worst = max(
            worst, abs(chains.mean() - mean) / (sd / np.sqrt(ess)), abs(chains.var() - sd**2) * np.sqrt(ess) / spread
        )
    for line in given.groups.to_dict("records"):
        one = exact[f"theta[{line['group']}]"]
        worst = max(worst, abs(line["mean"] - one["mean"]) / (one["sd"] / np.sqrt(given.fit.n_draws)) / 2)
    return float(worst)


def test_far_schools_are_repaired_to_the_quadrature_of_all(schools: Fit, store: FitStore) -> None:
    lines: list[str] = []
    given = condition(schools, FAR, store=store, say=lines.append)
    assert given.pareto_k > given.threshold  # without a repair there was no answer
    assert off(given, truth(FAR)) < LIMIT
    assert given.repaired is not None
    assert given.repaired.groups == ("X", "Y")
    assert "X" in given.repaired.moved
    assert given.notes[0].startswith("Repaired by a refit: the rows move the population too far")
    assert "the 2 new schools" in given.notes[0]
    assert any("fitting again with the 2 rows of 2 new schools" in line for line in lines)
    assert given.draws["theta"].dims == ("chain", "draw", "group")
    assert list(given.draws["group"].values) == ["X", "Y"]
    # What is predicted is of the refit, whose draws are kept and used again.
    again = predict(schools, condition=FAR, store=store, say=lines.append)
    assert "used again" in lines[-1]
    expected = again.table.set_index("school")["expected_mean"]
    assert expected["X"] == pytest.approx(given.groups["mean"][0])
    compared = contrast(schools, "school = X - school = A", condition=FAR, store=store)
    known = given.fit.tree["posterior"]["theta"]
    apart = known.sel(group="X") - known.sel(group="A")
    assert compared.table["mean"][0] == pytest.approx(float(apart.mean()))
    assert compared.conditioned is not None
    assert compared.conditioned.repaired is not None


def _twice(fit_: Fit, new: NewGroups, right: Any = job_with) -> Any:
    job = right(fit_, new)
    doubled = {k: np.concatenate([job.data[k], job.data[k][new.n_fitted :]]) for k in ("y", "se")}
    return replace(job, data={**job.data, **doubled, "J": len(doubled["y"])}, table=_longer(job.table, new))


def _longer(table: Any, new: NewGroups) -> Any:
    labels = (*table.pooled.labels, *(f"{label} again" for label in new.labels))
    pooled = replace(table.pooled, labels=labels, level=np.arange(len(labels)))
    values = {k: np.concatenate([v, v[new.n_fitted :]]) for k, v in table.values.items()}
    return replace(table, pooled=pooled, values=values)


def _swapped(fit_: Fit, new: NewGroups, right: Any = job_with) -> Any:
    job = right(fit_, new)
    labels = job.table.pooled.labels
    pooled = replace(job.table.pooled, labels=(*labels[:-2], labels[-1], labels[-2]))
    return replace(job, table=replace(job.table, pooled=pooled))


def _without(fit_: Fit, new: NewGroups, right: Any = job_with) -> Any:
    job = right(fit_, new)
    return replace(job, data={**job.data, "use_likelihood": 0})


FAULTS: dict[str, Callable[..., Any]] = {
    "rows appended twice": _twice, "labels of two groups swapped": _swapped, "rows that do not count": _without,
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_caught(
    fault: str, schools: Fit, store: FitStore, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(of_refit, "job_with", FAULTS[fault])
    given = condition(schools, FAR, store=store)
    exact = truth(FAR)
    exact |= {f"theta[{label} again]": exact[f"theta[{label}]"] for label in FAR["school"]}
    assert off(given, exact) > LIMIT


@pytest.mark.parametrize("case", [*ROLES, *(name for name in FORMULAS if name != "a log")])
def test_the_refit_is_the_model_of_all_rows(case: str, stanli: Engine) -> None:
    """For every family and likelihood its program is given what a table of all rows gives; only "a log" has columns
    (scale) that are coded by the rows that were fitted, which that of all rows does otherwise."""
    old, new = parts()
    fit_ = fit_case(case, stanli, old)
    job = job_with(fit_, read_condition(fit_.family, fit_.variant, fit_.table, new))
    family, variant, whole = dataset(case, pd.concat([old, new], ignore_index=True))
    texts = {name: prior.text for name, prior in fit_.priors.items()}
    (right,) = jobs_of(find_family(family), whole, (variant,), texts, SAMPLING, stanli)
    assert job.program.sha256 == right.program.sha256
    assert job.table.pooled.labels == right.table.pooled.labels
    assert set(job.data) == set(right.data)
    for name, value in right.data.items():
        np.testing.assert_allclose(
            np.asarray(job.data[name], float), np.asarray(value, float), rtol=1e-12, err_msg=name
        )


@pytest.mark.parametrize("case", ["poisson", "sigma_by_group", "normal, units"])
def test_what_is_drawn_is_called_the_same_by_both_ways(
    case: str, stanli: Engine, store: FitStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = parts()
    fit_ = fit_case(case, stanli, old)
    weighted = condition(fit_, new)
    assert weighted.repaired is None
    monkeypatch.setattr("hbm_stan.new_rows.weigh.LEAST_EFFECTIVE", np.inf)
    given = condition(fit_, new, store=store)
    assert given.repaired is not None
    assert set(given.draws.data_vars) == set(weighted.draws.data_vars)
    assert list(given.groups["group"]) == list(weighted.groups["group"])
    np.testing.assert_allclose(given.groups["population_mean"], weighted.groups["population_mean"], atol=0.2)
    for ours, theirs in zip(given.groups.to_dict("records"), weighted.groups.to_dict("records"), strict=True):
        error = ours["sd"] * np.sqrt(2 / 400)  # both have 400 effective draws at least, or the first says so
        assert abs(ours["mean"] - theirs["mean"]) < LIMIT * error


def test_a_repair_can_be_switched_off_and_is_not_begun_without_time(schools: Fit, store: FitStore) -> None:
    for budget, words in (
        (Budget(max_refits=0), r"nothing was to be repaired \(--max-refits 0\)"),
        (Budget(minutes=0), r"more than are left of the 0 allowed \(--minutes\)"),
    ):
        with pytest.raises(DiagnosticError, match=words):
            condition(schools, FAR, budget=budget, store=store)
    assert not store.folder.exists()
    with pytest.raises(ModelError, match="budget must be a Budget"):
        condition(schools, FAR, budget=0)  # type: ignore[arg-type]
    own = replace(schools, engine="mine")
    with pytest.raises(DiagnosticError, match="the engine mine is not one that a fit can be made with again"):
        condition(own, FAR, store=store)


def test_a_refit_that_does_not_converge_gives_words_and_no_numbers(schools: Fit, store: FitStore) -> None:
    short = replace(schools, sampling=Sampling(warmup=5, draws=20, seed=3))
    with pytest.raises(DiagnosticError, match=r"fitted again with the rows, the model failed its checks \(.*R-hat"):
        condition(short, FAR, store=store)


def test_what_was_conditioned_by_weights_is_conditioned_again_by_a_refit(schools: Fit, store: FitStore) -> None:
    near = pd.DataFrame({"school": ["W"], "effect": [12.0], "se": [9.0]})
    once = condition(schools, near)
    assert once.repaired is None
    assert once.fit.sampling.chains == 1
    twice = condition(once.fit, FAR, store=store)
    assert twice.repaired is not None
    assert twice.fit.sampling.chains == 4
    assert off(twice, truth(pd.concat([near, FAR], ignore_index=True))) < LIMIT


def test_a_bar_moves_by_groups_and_a_new_one_starts_for_the_draws(stanli: Engine) -> None:
    old, new = parts()
    bars: dict[str, list[tuple[int, int, int]]] = {}

    def start(name: str) -> Callable[[int, int, int], None]:
        return lambda *step: bars.setdefault(name, []).append(step)

    fit_ = fit_case("poisson", stanli, old)
    lines: list[str] = []
    condition_on(
        fit_, read_condition(fit_.family, fit_.variant, fit_.table, new), Means(progress=start, say=lines.append)
    )
    assert bars["weights by the new rows"] == [(1, 1, 2), (1, 2, 2)]
    assert bars["draws given the new rows"] == [(1, 1, 2), (1, 2, 2)]
    assert lines == ["partial_pooling: drawing 2 new groups given their rows"]
    list(counted(range(2), 2))  # outside nobody listens
    assert len(bars["draws given the new rows"]) == 2
