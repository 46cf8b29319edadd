"""Reference files: a known posterior as figures with their source, and a long run of one's own kept as one."""

from hbm_stan.identity import data_hash
from hbm_stan.reference.files import Posterior, Reference, read_reference, shipped, write_reference
from hbm_stan.reference.match import check_precision, matches
from hbm_stan.reference.regress import Regression, regress

__all__ = [
    "Posterior",
    "Reference",
    "Regression",
    "check_precision",
    "data_hash",
    "matches",
    "read_reference",
    "regress",
    "shipped",
    "write_reference",
]
