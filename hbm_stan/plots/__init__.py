"""Figures: ``plot_x(table)`` draws a table and computes nothing statistical; ``save_svg`` writes vectors."""

from hbm_stan.plots.answer import plot_answer
from hbm_stan.plots.calibration import plot_calibration
from hbm_stan.plots.checks import plot_energy, plot_ess, plot_ranks
from hbm_stan.plots.curves import plot_curves
from hbm_stan.plots.effects import plot_effects
from hbm_stan.plots.forest import plot_forest
from hbm_stan.plots.groups import plot_caterpillar, plot_ppc, plot_shrinkage
from hbm_stan.plots.posterior import plot_new_group, plot_population
from hbm_stan.plots.save import figure_bytes, save_svg
from hbm_stan.plots.strips import plot_replicated, plot_strips
from hbm_stan.plots.style import PALETTE

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
    "plot_new_group",
    "plot_population",
    "plot_ppc",
    "plot_ranks",
    "plot_replicated",
    "plot_shrinkage",
    "plot_strips",
    "save_svg",
]
