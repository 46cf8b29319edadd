"""One palette and one theme for every figure and for the report; colours are named by what they mean."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

# Okabe and Ito (2008), "Color universal design": told apart with any colour vision. In grey print the
# meaning is carried a second time, by shape, line type or a word.
PALETTE: dict[str, str] = {
    "ink": "#1f2328",
    "muted": "#5c6670",
    "rule": "#b9c0c7",
    "shade": "#eef1f4",
    "partial": "#0072b2",
    "no_pooling": "#d55e00",
    "complete": "#5c6670",
    "prior": "#d55e00",
    "fill": "#a8cbe3",
    "pass": "#1a6e3c",
    "warn": "#9a5b00",
    "fail": "#b3261e",
}
CHAIN_COLOURS = ("#0072b2", "#d55e00", "#3f4650", "#b06a9b", "#009e73", "#a67c00")
CHAIN_LINES = ("solid", "dashed", "dotted", "dashdot")

WIDTH_MM = 160.0  # text width of the A4 page: a figure is set at its natural size, so 8 pt stays 8 pt
MAX_HEIGHT_MM = 205.0  # what a page has room for beside a caption of four lines
TEXT_PT = 8
LABEL_PT = 7.5  # of the labels of rows and of notes: nothing on a page is smaller
MM_PER_INCH = 25.4

GREEK = {
    "mu": "μ", "tau": "τ", "theta": "θ", "sigma": "σ", "alpha": "α", "beta": "β", "phi": "φ", "lambda": "λ",
    "kappa": "κ", "rho": "ρ", "gamma": "γ", "eta": "η",
}  # fmt: skip


def with_unit(title: str, unit: str) -> str:
    """An axis title with its unit in brackets."""
    return f"{title} ({unit})" if unit.strip() else title


def greek(name: str) -> str:
    """A name with its leading Greek word as a letter: ``theta[A]`` -> ``θ[A]``, ``tau_unit`` -> ``τ_unit``."""
    head, bracket, rest = name.partition("[")
    word, under, below = head.partition("_")
    return GREEK.get(word, word) + under + below + bracket + rest


def signed(values: Iterable[float]) -> list[str]:
    """Axis numbers with a minus sign instead of a hyphen."""
    return [format(v, ".10g" if 1e-4 <= abs(v) < 1e7 or v == 0 else ".3g").replace("-", "−") for v in values]


def x_scale(**settings: Any) -> Any:
    """The horizontal axis of numbers."""
    from plotnine import scale_x_continuous

    return scale_x_continuous(labels=signed, **settings)


def house_theme(height_mm: float, width_mm: float = WIDTH_MM) -> Any:
    """The theme of all figures at a size in millimetres."""
    from plotnine import element_blank, element_line, element_rect, element_text, theme, theme_minimal

    from hbm_stan.plots.fonts import BASE_FAMILIES

    ink, muted = PALETTE["ink"], PALETTE["muted"]
    return theme_minimal(base_size=TEXT_PT, base_family=BASE_FAMILIES[0]) + theme(
        figure_size=(width_mm / MM_PER_INCH, height_mm / MM_PER_INCH),
        text=element_text(color=ink, size=TEXT_PT),
        axis_text=element_text(color=ink, size=TEXT_PT),
        axis_title=element_text(color=ink, size=TEXT_PT),
        strip_text=element_text(color=ink, size=TEXT_PT, ha="left"),
        strip_background=element_blank(),
        strip_text_x=element_text(margin={"t": 2, "b": 3, "units": "pt"}),
        panel_grid_minor=element_blank(),
        panel_grid_major=element_line(color=PALETTE["shade"], size=0.5),
        panel_spacing=0.03,
        axis_line_x=element_line(color=PALETTE["rule"], size=0.5),
        axis_ticks_major_x=element_line(color=PALETTE["rule"], size=0.5),
        plot_background=element_rect(fill="white", color="none"),
        plot_caption=element_text(color=muted, size=LABEL_PT, ha="left"),
        plot_margin=0.005,
        legend_position="top",
        legend_justification="left",
        legend_title=element_blank(),
        legend_text=element_text(color=ink, size=TEXT_PT),
        legend_key=element_blank(),
        legend_margin=0,
        legend_box_margin=0,
        legend_box_spacing=0.01,
        legend_key_spacing_x=8,
    )
