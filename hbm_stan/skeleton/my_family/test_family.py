"""Tests of my_family: each program against the same model in family.py. Run them with pytest on this folder.

They use the table of analysis.toml and the embedded engine, so that they need no compiler.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from hbm_stan import read_analysis
from hbm_stan.model import Draws, StanData
from hbm_stan.testing import (
    assert_contract,
    assert_data,
    assert_log_density,
    assert_one_data_block,
    assert_pointwise,
    assert_replications,
)

ANALYSIS = read_analysis(Path(__file__).parent)
FAMILY, DATA = ANALYSIS.family, ANALYSIS.dataset
VARIANTS = [variant.name for variant in FAMILY.programs.variants]


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_log_density_of_the_program_is_log_joint(variant: str) -> None:
    """A prior scale that is wrong, a term that is missing, a Jacobian that is forgotten: all show here."""
    assert_log_density(FAMILY, DATA, variant)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_log_density_follows_other_priors(variant: str) -> None:
    """Priors are data: programs and log_joint read the same ones."""
    assert_log_density(FAMILY, DATA, variant, {"mu": "normal(0.3, 2)", "tau": "half_normal(0.7)"})


@pytest.mark.parametrize("variant", VARIANTS)
def test_log_lik_is_pointwise(variant: str) -> None:
    """The comparison is made of log_lik: a constant that is left out changes it."""
    assert_pointwise(FAMILY, DATA, variant)


@pytest.mark.parametrize("variant", VARIANTS)
def test_replicated_rows_are_those_of_simulate(variant: str) -> None:
    """The predictive check is made of y_rep, the prediction for a new group of simulate."""
    assert_replications(FAMILY, DATA, variant)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_data_are_what_the_program_reads(variant: str) -> None:
    """prepare() and the data block agree in names, types, sizes and bounds."""
    assert_data(FAMILY, DATA, variant)


@pytest.mark.parametrize("variant", VARIANTS)
def test_names_and_functions_keep_the_contract(variant: str) -> None:
    """Names exist in the programs; new_group, raw and the others agree with the programs and with each other."""
    assert_contract(FAMILY, DATA, variant)


def test_all_programs_have_one_data_block() -> None:
    """A diff between two programs shows what is pooled, and nothing else."""
    assert_one_data_block(FAMILY)


def test_the_tests_can_fail() -> None:
    """A planted fault: a log_joint that forgets a part of the density must be caught."""

    right = FAMILY.need("log_joint", "this test")

    def wrong(params: Draws, data: StanData, variant: str) -> float:
        return 0.9 * float(right(params, data, variant))

    with pytest.raises(AssertionError, match="not one constant"):
        assert_log_density(FAMILY.with_fields(log_joint=wrong), DATA, "partial_pooling")
