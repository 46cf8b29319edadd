"""Published maxima of mixed models by lme4, glmmTMB, ordinal, metafor, MixedModels.jl are maxima of our densities.

Exact for normal rows (with the common coefficients integrated too where the fit is REML), by quadrature with lme4's
number of nodes, and by Laplace's method for one node.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from formula_data import UnitNoise
from oracle_fits import DIGITS, FITS, ORACLE, Published, complaints, published

from hbm_stan.families.terms import closed_form, effects, factors
from hbm_stan.integrate import elimination
from hbm_stan.likelihoods import likelihood

DISAGREEMENTS: dict[str, dict[str, str]] = json.loads((ORACLE / "disagreements.json").read_text())
LEFT_ASIDE: dict[str, str] = json.loads((ORACLE / "left_aside.json").read_text())


@pytest.mark.parametrize("name", FITS)
def test_a_published_maximum_is_ours_to_four_digits(name: str) -> None:
    assert complaints(published(name)) == set(DISAGREEMENTS.get(name, {}))


def test_every_published_fit_is_tried_or_left_aside_with_its_reason() -> None:
    assert len(FITS) == 163
    assert len(LEFT_ASIDE) == 5
    assert not set(FITS) & set(LEFT_ASIDE)
    assert set(DISAGREEMENTS) <= set(FITS)
    assert all(reason for reasons in (LEFT_ASIDE, *DISAGREEMENTS.values()) for reason in reasons.values())


FIRST_GROUPS = [name for name, fit in FITS.items() if "first_group" in fit]


def first_group(given: Published) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the first group's coefficients given the rows, common coefficients and scales."""
    size = 1 + sum(k * count for k, count in zip(given.data["K"], given.data["L"], strict=True))
    beta, scales = (np.tile(x, (size, 1)) for x in (given.coefficients, given.scales))
    drawn = closed_form.draw_groups(
        likelihood("normal"), UnitNoise(), given.draws(beta, scales), given.data  # type: ignore[arg-type]
    )  # fmt: skip
    theta = drawn["theta"][:, given.design.pooled.labels.index("0")]
    return theta[0], (theta[1:] - theta[0]).T @ (theta[1:] - theta[0])


def first_group_differs(given: Published) -> bool:
    return any(
        not np.allclose(ours, np.array(theirs).reshape(ours.shape), rtol=DIGITS, atol=1e-12)
        for ours, theirs in zip(first_group(given), given.fit["first_group"].values(), strict=True)
    )


@pytest.mark.parametrize("name", FIRST_GROUPS)
def test_a_group_is_shrunk_as_published_to_four_digits(name: str) -> None:
    assert not first_group_differs(published(name))


def test_a_group_of_every_data_set_is_held() -> None:
    assert len(FIRST_GROUPS) == 24
    assert {FITS[name]["rows"]["set"] for name in FIRST_GROUPS} == set(range(12))


def data_changed(**changes: Callable[[Any], Any]) -> Callable[[Published, pytest.MonkeyPatch], Published]:
    """A fault in the data of a model."""
    return lambda given, _: replace(given, data={**given.data, **{k: f(given.data[k]) for k, f in changes.items()}})


def _second_shifted(level: np.ndarray) -> np.ndarray:
    return np.vstack([level[:1], np.roll(level[1:], 1, axis=1)])


def _merged(level: np.ndarray) -> np.ndarray:
    """The levels of the second factor counted anew in each level of the first."""
    merged = level.copy()
    for outer in np.unique(level[0]):
        own = level[0] == outer
        merged[1, own] = np.unique(level[1, own], return_inverse=True)[1] + 1
    return merged


def _no_schur(given: Published, monkeypatch: pytest.MonkeyPatch) -> Published:
    """What eliminating a factor takes off those that come after it is forgotten."""
    step = elimination._step

    def alone(*parts: np.ndarray) -> elimination.Step:
        right = step(*parts)
        rest = right.rest.copy()
        rest[..., :-1] = 0.0
        return replace(right, rest=rest)

    monkeypatch.setattr(elimination, "_step", alone)
    return given


def _variance_for_sd(given: Published, monkeypatch: pytest.MonkeyPatch) -> Published:
    factor = effects.factor_of
    monkeypatch.setattr(factors, "factor_of", lambda *a: factor(*a) @ factor(*a))
    return given


def _sigma_for_variance(given: Published, monkeypatch: pytest.MonkeyPatch) -> Published:
    precision = closed_form.Problem.precision
    monkeypatch.setattr(closed_form.Problem, "precision", property(lambda self: np.sqrt(precision.fget(self))))  # type: ignore[attr-defined]
    return given


def _transposed(given: Published, monkeypatch: pytest.MonkeyPatch) -> Published:
    """The sds of the columns the wrong way round about the correlation."""
    factor = effects.factor_of
    monkeypatch.setattr(factors, "factor_of", lambda *a: np.ascontiguousarray(factor(*a)[:, ::-1, ::-1]))
    return given


def _interaction_moved(x: np.ndarray) -> np.ndarray:
    return np.hstack([x[:, :-2], x[:, -1:], x[:, -2:-1]])


FAULTS: dict[str, tuple[str, Callable[[Published, pytest.MonkeyPatch], Published]]] = {
    "levels of the second factor shifted": ("scotssec-crossed-null-ML", data_changed(level=_second_shifted)),
    "nested levels merged": ("pastes-nested-ML", data_changed(level=_merged)),
    "Schur's term dropped": ("penicillin-crossed-ML", _no_schur),
    "Schur's term of a nested factor dropped": ("pastes-nested-REML", _no_schur),
    "Schur's term dropped in Laplace's method": ("guimmun-nested-laplace", _no_schur),
    "columns of a correlation swapped": ("sleepstudy-correlated-ML", _transposed),
    "offset forgotten": ("mmmec-poisson-offset-laplace", data_changed(offset_=np.zeros_like)),
    "exposure forgotten": ("mmmec-poisson-region-agq25", data_changed(exposure=np.ones_like)),
    "extra zeros of the other sites": (
        "salamanders-zip-laplace", data_changed(X_zi=lambda x: x * np.array([1.0, -1.0]))),
    "overdispersion for its square": ("owls-zinb-laplace", lambda given, _: replace(
        given, fit={**given.fit, "own": {"overdispersion": given.fit["own"]["overdispersion"] ** 2}})),
    "the highest category first": ("wine-clmm-laplace", data_changed(y=lambda y: 6 - y)),
    "variance for sd": ("bacteria-agq25", _variance_for_sd),
    "standard error for variance": ("bcg-ablat-ML", _sigma_for_variance),
    "interactions in each other's place": ("hsb82-slopes-as-outcomes-REML", data_changed(X=_interaction_moved)),
    "a variance for a standard error": ("pymare-moderate_k20-two-ML", data_changed(se=np.square)),
    "sds of independent slopes in each other's place": ("statsmodels-ml_irf_8", data_changed(Z=lambda z: z[:, ::-1])),
    "columns centred without an intercept": ("statsmodels-ml_drf_4", data_changed(X=lambda x: x - x.mean(axis=0))),
    "slopes by pair in each other's place": ("sas-blocks-pairs-REML", data_changed(X=_interaction_moved)),
    "trials one row late": ("cbpp-laplace", data_changed(trials=lambda n: np.maximum(np.roll(n, 1), 12))),
    "a reference level other than the published": ("cake-additive-ML", data_changed(X=lambda x: x[:, [0, 2, 1, 3]])),
}  # fmt: skip


OF_FIRST_GROUPS: dict[str, Callable[[Published, pytest.MonkeyPatch], Published]] = {
    "columns of a correlation swapped": _transposed,
    "variance for sd": _variance_for_sd,
    "sigma for its square": lambda given, _: replace(
        given, fit={**given.fit, "residual_sd": given.fit["residual_sd"] ** 2}),
    "rows of the next group": data_changed(level=lambda level: level % level.max() + 1),
}  # fmt: skip


@pytest.mark.parametrize("fault", OF_FIRST_GROUPS)
def test_a_fault_in_shrinkage_is_seen(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert first_group_differs(OF_FIRST_GROUPS[fault](published("statsmodels-reml_drf_11"), monkeypatch))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_model_is_seen(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, plant = FAULTS[fault]
    assert complaints(plant(published(name), monkeypatch))
