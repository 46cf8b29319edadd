"""Formulas: text becomes a checked structure. Nothing in a formula is ever run; see ``parse``."""

from hbm_stan.formula.checks import check_single_trials
from hbm_stan.formula.left import (
    columns_read,
    computed,
    refuse_formula,
    with_formula,
)
from hbm_stan.formula.read import Structure, read_structure
from hbm_stan.formula.reduce import dataset_without_factor, without_factor
from hbm_stan.formula.words import model_in_words, structure_in_words

__all__ = [
    "Structure",
    "check_single_trials",
    "columns_read",
    "computed",
    "dataset_without_factor",
    "model_in_words",
    "read_structure",
    "refuse_formula",
    "structure_in_words",
    "with_formula",
    "without_factor",
]  # fmt: skip
