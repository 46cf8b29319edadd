"""What a family is: a frozen value with its programs, the model a second time in NumPy, its groups and its words.

Everywhere in it S is the number of draws, N of rows, J of groups, K of terms (coefficients of a group) where there are
several. Draws always have the draw as first dimension, also where it is one. The group quantity ``theta`` has the shape
(S, J) or, with terms, (S, J, K); ``mu`` and ``tau``, its mean and sd in the population, (S,) or (S, K).
"""

from hbm_stan.model.family import PARTS, Family, place_of
from hbm_stan.model.groups import GivenRows, Groups, Option, Parts, PartSize
from hbm_stan.model.programs import Draws, Pooling, Programs, StanData, Variant
from hbm_stan.model.twin import Twin
from hbm_stan.model.words import Estimand, Evidence, Finding, Words

__all__ = [
    "PARTS",
    "Draws",
    "Estimand",
    "Evidence",
    "Family",
    "Finding",
    "GivenRows",
    "Groups",
    "Option",
    "PartSize",
    "Parts",
    "Pooling",
    "Programs",
    "StanData",
    "Twin",
    "Variant",
    "Words",
    "place_of",
]  # fmt: skip
