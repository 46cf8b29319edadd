"""Scores that PSIS cannot give: more draws, moment matching, exact refits, folds; what is left is named."""

from hbm_stan.repair.ladder import repaired
from hbm_stan.repair.refits import refit_without

__all__ = ["refit_without", "repaired"]
