"""Each of a report's figures of a fit as a plotnine object: ``hbm.plot.forest(fit) + theme(...)``.

``.data`` of each is its table, the same as that of the report. A function takes a Fit, or several by variant as
``hbm.fit_variants`` gives them: then the figure is of the first with partial pooling. Raises ModelError, or
ComparisonError where rows cannot be left out, for a figure that a fit has not.
"""

from hbm_stan.plot.answers import (
    caterpillar,
    coefficients,
    conditional_effects,
    curves,
    forest,
    new_group,
    population,
    shrinkage,
)
from hbm_stan.plot.checks import calibration, energy, ess, loo_pit, ranks, replicated, rows

__all__ = [
    "calibration", "caterpillar", "coefficients", "conditional_effects", "curves", "energy", "ess", "forest", "loo_pit",
    "new_group", "population", "ranks", "replicated", "rows", "shrinkage",
]  # fmt: skip
