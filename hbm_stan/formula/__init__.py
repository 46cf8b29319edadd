"""Formulas: text becomes a checked structure. Nothing in a formula is ever run; see ``parse``."""

from hbm_stan.formula.checks import check_single_trials
from hbm_stan.formula.left import LIKELIHOODS, choose_likelihood, columns_read, computed, refuse_formula, with_formula
from hbm_stan.formula.read import Structure, read_structure

__all__ = [
    "LIKELIHOODS", "Structure", "check_single_trials", "choose_likelihood", "columns_read", "computed",
    "read_structure", "refuse_formula", "with_formula",
]  # fmt: skip
