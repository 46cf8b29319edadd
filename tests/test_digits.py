"""Numbers of every magnitude as a person would write them: no rows of zeros, no thirty digits."""

from __future__ import annotations

import numpy as np
import pytest

from hbm_stan.results import digits

MAGNITUDES = range(-30, 31)


def value_of(text: str) -> float:
    return float(text.replace(digits.MINUS, "-"))


@pytest.mark.parametrize("power", MAGNITUDES)
@pytest.mark.parametrize("relative", [1e-9, 1e-4, 0.02, 0.4, 3.0, 100.0, 1e4])
@pytest.mark.parametrize("mantissa", [1.0, -3.4567, 9.99999])
def test_an_estimate_is_short_and_right_at_every_magnitude(power: int, relative: float, mantissa: float) -> None:
    value = mantissa * 10.0**power
    mcse = abs(value) * relative
    text = digits.format_estimate(value, mcse)
    assert len(text) <= 13, text
    assert text.strip("0.") or len(text) <= 7, text  # "0.00000" at most
    unit = 10.0 ** -digits.decimals_for(mcse)
    assert abs(value_of(text) - value) <= max(0.51 * unit, 0.51e-5 * abs(value))
    if relative <= 0.02:
        assert value_of(text) != 0


@pytest.mark.parametrize(
    ("value", "mcse", "shown"),
    [
        (1e-14, 1e-12, "0"), (0.0, 1e-12, "0"), (-1e-14, 1e-12, "0"), (3e-12, 1e-14, "3.00e−12"), (0.003, 0.05, "0.0"),
        (1.23456e30, 1e27, "1.235e30"), (-4.5e-9, 1e-10, "−4.5e−9"), (5.0, 40.0, "0"), (0.00012, 1e-6, "0.000120"),
        (12.0, 1e-30, "12.0000"),
    ],
)  # fmt: skip
def test_numbers_near_zero_and_very_large_ones(value: float, mcse: float, shown: str) -> None:
    assert digits.format_estimate(value, mcse) == shown


@pytest.mark.parametrize("power", MAGNITUDES)
def test_a_column_of_any_magnitude_is_told_apart(power: int) -> None:
    values = (np.array([1.23456789, 2.3456789, -3.456789]) * 10.0**power).tolist()
    shown = digits.format_column(values)
    assert len(set(shown)) == 3
    assert max(map(len, shown)) <= 12
    for value, text in zip(values, shown, strict=True):
        assert value_of(text) == pytest.approx(value, rel=2e-3)


def test_a_summary_of_tiny_numbers_has_no_row_of_zeros() -> None:
    row = {"mean": 2.5e-13, "sd": 1.1e-13, "q05": 0.9e-13, "q50": 2.4e-13, "q95": 4.4e-13}
    shown = digits.format_summary(row | {f"mcse_{k}": 2e-15 for k in row})
    assert shown == ["2.50e−13", "1.10e−13", "9.0e−14", "2.40e−13", "4.40e−13"]
