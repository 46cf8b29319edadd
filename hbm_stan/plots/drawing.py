"""A figure that matplotlib draws directly, for what has several panels side by side over the same rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hbm_stan.plots.fonts import BASE_FAMILIES
from hbm_stan.plots.style import MM_PER_INCH, PALETTE, TEXT_PT, WIDTH_MM, signed

# What the theme of the other figures has: ink, thin grey rules, 8 pt.
STYLE: dict[str, Any] = {
    "font.family": list(BASE_FAMILIES), "font.size": TEXT_PT, "text.color": PALETTE["ink"],
    "axes.labelcolor": PALETTE["ink"], "axes.labelsize": TEXT_PT, "axes.titlesize": TEXT_PT,
    "axes.edgecolor": PALETTE["rule"], "axes.linewidth": 0.5, "axes.spines.top": False, "axes.spines.right": False,
    "axes.spines.left": False, "xtick.color": PALETTE["rule"], "xtick.labelcolor": PALETTE["ink"],
    "ytick.color": PALETTE["rule"], "ytick.labelcolor": PALETTE["ink"], "xtick.labelsize": TEXT_PT,
    "ytick.labelsize": TEXT_PT, "xtick.major.width": 0.5, "ytick.major.width": 0.5, "xtick.major.size": 2.5,
    "ytick.major.size": 0, "axes.grid": True, "axes.axisbelow": True, "grid.color": PALETTE["shade"],
    "grid.linewidth": 0.5, "legend.frameon": False, "legend.fontsize": TEXT_PT,
}  # fmt: skip


@dataclass(frozen=True)
class Drawing:
    """What is painted on an empty matplotlib figure, and its size in millimetres."""

    paint: Callable[[Any], None]
    height_mm: float
    width_mm: float = WIDTH_MM

    def draw(self) -> Any:
        """The matplotlib figure, painted."""
        import matplotlib as mpl
        from matplotlib.figure import Figure

        with mpl.rc_context(STYLE):
            figure = Figure(figsize=(self.width_mm / MM_PER_INCH, self.height_mm / MM_PER_INCH))
            self.paint(figure)
        return figure


def number_axis(axes: Any, title: str, *, log: bool = False, ticks: int = 6) -> None:
    """The horizontal axis of numbers: so many ticks at most, written as everywhere, and its title."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    if log:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: signed([value])[0]))
    axes.set_xlabel(title, loc="left")


def value_axis(axes: Any, title: str) -> None:
    """The vertical axis of numbers: few ticks, written as everywhere, and its title, which stands above the panel."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: signed([value])[0]))
    axes.set_title(title, loc="left", pad=3)
