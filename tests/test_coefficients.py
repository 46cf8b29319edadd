"""Common coefficients: the intercept and its sd between levels where columns are 0, from draws at their means."""

from __future__ import annotations

import numpy as np
import pytest
from formula_data import data_of, design_of, population, term

from hbm_stan.coefficients import AT_ZERO, intercept_at_zero, intercept_place, sds_at_zero

DAYS = np.tile(np.arange(10.0), 18)
SUBJECT = np.repeat(np.arange(18), 10)


def test_sleepstudy_at_day_0_is_what_lme4_says() -> None:
    """lme4 1.1.31, REML: Reaction ~ Days + (Days | Subject): intercept 251.4051, sds 24.74045 and 5.92213, their
    correlation 0.0655514; put at the mean of Days, 4.5, and back."""
    sds, rho = np.array([24.74044762, 5.92213326]), 0.065551342853
    sigma = np.outer(sds, sds) * np.array([[1, rho], [rho, 1]])
    move = np.array([[1, 4.5], [0, 1]])
    there = move @ sigma @ move.T
    tau = np.sqrt(np.diag(there))[None]
    draws = {"beta": np.array([[251.4051048485 + 4.5 * 10.4672859596, 10.4672859596]]), "tau": tau,
             "rho": np.array([[there[0, 1] / tau[0, 0] / tau[0, 1]]])}  # fmt: skip
    design = design_of({"intercept": 1, "days": DAYS}, [term(SUBJECT, name="subject", intercept=1, days=DAYS)], 180)
    here, at_zero = sds_at_zero(draws, data_of(design, np.zeros(180)), design)["subject"]
    np.testing.assert_allclose(at_zero, 24.74044762, rtol=1e-8)
    np.testing.assert_allclose(here, tau[:, 0], rtol=1e-12)
    np.testing.assert_allclose(intercept_at_zero(draws["beta"], design), 251.4051048485, rtol=1e-12)


def test_terms_without_correlations_and_of_other_factors_add_up_term_by_term() -> None:
    x, w = np.arange(8.0), np.array([1.0, 1, 4, 2, 2, 4, 1, 1])
    item = list("uvwuvwuv")
    design = design_of(
        {"intercept": 1, "x": x, "w": w},
        [
            term(list("aabbccdd"), name="g", intercept=1),
            term(item, name="h", intercept=1, x=x, correlated=False), term(item, name="h", w=w),
            term(list("kkllmmkl"), name="k", x=x),
        ], 8,
    )  # fmt: skip
    data = data_of(design, np.zeros(8))
    draws = population(np.random.default_rng(3), data, 4)
    sds = sds_at_zero(draws, data, design)
    assert set(sds) == {"h"}  # g has no slope, k has no intercept
    u0, ux, uw = (draws["sd"][:, i] for i in range(3))
    np.testing.assert_allclose(sds["h"][0], u0)
    np.testing.assert_allclose(sds["h"][1], np.sqrt(u0**2 + (3.5 * ux) ** 2 + (2.0 * uw) ** 2))


@pytest.mark.parametrize("centre", [True, False])
def test_columns_as_they_are_have_one_intercept(centre: bool) -> None:
    design = design_of(
        {"intercept": 1, "days": DAYS}, [term(SUBJECT, name="s", intercept=1, days=DAYS)], 180, centre=centre
    )
    data = data_of(design, np.zeros(180))
    draws = population(np.random.default_rng(1), data, 3)
    assert intercept_place(design) == ("at the mean of days" if centre else AT_ZERO)
    assert bool(sds_at_zero(draws, data, design)) == centre
    moved = intercept_at_zero(draws["beta"], design) - draws["beta"][:, 0]
    np.testing.assert_allclose(moved, -4.5 * draws["beta"][:, 1] * centre)


def test_an_intercept_alone_stands_nowhere_in_particular() -> None:
    design = design_of({"intercept": 1}, [term(SUBJECT, name="s", intercept=1)], 180)
    assert intercept_place(design) == ""
