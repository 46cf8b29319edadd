"""Figures: ``plot_x(table)`` draws a table and computes nothing statistical; ``save_svg`` writes vectors.

A function's module is imported when it is first asked for: some need plotnine, which a report seldom does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hbm_stan.plots.answer import plot_answer
    from hbm_stan.plots.calibration import plot_calibration
    from hbm_stan.plots.checks import plot_energy, plot_ess, plot_ranks
    from hbm_stan.plots.curves import plot_curves
    from hbm_stan.plots.effects import plot_effects
    from hbm_stan.plots.forest import plot_forest
    from hbm_stan.plots.groups import plot_caterpillar, plot_shrinkage
    from hbm_stan.plots.left_out import plot_left_out
    from hbm_stan.plots.maps import plot_map
    from hbm_stan.plots.new_group import plot_new_group
    from hbm_stan.plots.posterior import plot_population
    from hbm_stan.plots.save import figure_bytes, save_svg
    from hbm_stan.plots.sources import plot_sources
    from hbm_stan.plots.strips import plot_ppc, plot_strips
    from hbm_stan.plots.style import PALETTE
    from hbm_stan.plots.tipping import plot_tipping

_HOMES = {
    "answer": ("plot_answer",), "calibration": ("plot_calibration",),
    "checks": ("plot_energy", "plot_ess", "plot_ranks"), "curves": ("plot_curves",), "effects": ("plot_effects",),
    "forest": ("plot_forest",), "groups": ("plot_caterpillar", "plot_shrinkage"), "left_out": ("plot_left_out",),
    "maps": ("plot_map",),
    "new_group": ("plot_new_group",),
    "posterior": ("plot_population",), "save": ("figure_bytes", "save_svg"),
    "sources": ("plot_sources",), "strips": ("plot_ppc", "plot_strips"),
    "style": ("PALETTE",), "tipping": ("plot_tipping",),
}  # fmt: skip
_MODULES = {name: f"hbm_stan.plots.{module}" for module, names in _HOMES.items() for name in names}

__all__ = [
    "PALETTE",
    "figure_bytes",
    "plot_answer",
    "plot_calibration",
    "plot_caterpillar",
    "plot_curves",
    "plot_effects",
    "plot_energy",
    "plot_ess",
    "plot_forest",
    "plot_left_out",
    "plot_map",
    "plot_new_group",
    "plot_population",
    "plot_ppc",
    "plot_ranks",
    "plot_shrinkage",
    "plot_sources",
    "plot_strips",
    "plot_tipping",
    "save_svg",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
