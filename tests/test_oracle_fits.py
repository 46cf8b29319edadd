"""Published maxima of mixed models by lme4, glmmTMB, ordinal and metafor are maxima of our densities over coefficients.

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
from oracle_fits import FITS, ORACLE, Published, complaints, published

from hbm_stan.families.terms import closed_form, effects, factors
from hbm_stan.integrate import elimination

DISAGREEMENTS: dict[str, dict[str, str]] = json.loads((ORACLE / "disagreements.json").read_text())
LEFT_ASIDE: dict[str, str] = json.loads((ORACLE / "left_aside.json").read_text())


@pytest.mark.parametrize("name", FITS)
def test_a_published_maximum_is_ours_to_four_digits(name: str) -> None:
    assert complaints(published(name)) == set(DISAGREEMENTS.get(name, {}))


def test_every_published_fit_is_tried_or_left_aside_with_its_reason() -> None:
    assert len(FITS) == 81
    assert len(LEFT_ASIDE) == 5
    assert not set(FITS) & set(LEFT_ASIDE)
    assert set(DISAGREEMENTS) <= set(FITS)
    assert all(reason for reasons in (LEFT_ASIDE, *DISAGREEMENTS.values()) for reason in reasons.values())


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
        made = step(*parts)
        rest = made.rest.copy()
        rest[..., :-1] = 0.0
        return replace(made, rest=rest)

    monkeypatch.setattr(elimination, "_step", alone)
    return given


def _variance_for_sd(given: Published, monkeypatch: pytest.MonkeyPatch) -> Published:
    factor = effects.factor_of
    monkeypatch.setattr(factors, "factor_of", lambda *a: factor(*a) @ factor(*a))
    return given


def _sigma_for_variance(given: Published, monkeypatch: pytest.MonkeyPatch) -> Published:
    made = closed_form.Problem.precision
    monkeypatch.setattr(closed_form.Problem, "precision", property(lambda self: np.sqrt(made.fget(self))))  # type: ignore[attr-defined]
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
    "a reference level other than the published": ("cake-additive-ML", data_changed(X=lambda x: x[:, [0, 2, 1, 3]])),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_model_is_seen(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, plant = FAULTS[fault]
    assert complaints(plant(published(name), monkeypatch))
