"""A figure as vector SVG, or as PNG or PDF: the same bytes for the same figure, without a display or a warning."""

from __future__ import annotations

import copy
import os
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

from hbm_stan.plots.drawing import Drawing
from hbm_stan.plots.fonts import families_for
from hbm_stan.plots.style import MM_PER_INCH

_RC: dict[str, Any] = {
    "svg.hashsalt": "hbm_stan",  # ids of clip paths from content, not from chance
    "svg.fonttype": "path",
    "text.parse_math": False,  # a label with two dollar signs is text, not mathematics
    "text.usetex": False,
    "axes.unicode_minus": True,
    "path.simplify": True,
}
_DPI = 200
# What a file says of the moment and the program that made it: left out, as equal figures are equal files.
_DATED = {"svg": ("Date", "Creator"), "png": ("Software",), "pdf": ("CreationDate", "Creator", "Producer")}


def _set_fonts(drawn: Any) -> None:
    """Give each text of a drawn figure the fonts that its characters need, and no mathematics."""
    from matplotlib.text import Text

    for text in drawn.findobj(Text):
        text.set_fontfamily(families_for([text.get_text()]))
        text.set_parse_math(False)


def _resized(figure: Any, width_mm: float | None, height_mm: float | None) -> Any:
    if isinstance(figure, Drawing):
        return replace(figure, width_mm=width_mm or figure.width_mm, height_mm=height_mm or figure.height_mm)
    from plotnine import theme

    figure = copy.deepcopy(figure)
    width, height = figure.theme.getp("figure_size")
    size = (width_mm / MM_PER_INCH if width_mm else width, height_mm / MM_PER_INCH if height_mm else height)
    return figure + theme(figure_size=size)


def save_svg(
    figure: Any, path: Path | None = None, width_mm: float | None = None, height_mm: float | None = None
) -> bytes:
    """The figure as SVG bytes, also written to ``path`` if there is one; sizes default to the figure's own."""
    content = figure_bytes(figure, "svg", width_mm, height_mm)
    if path is not None:
        part = path.with_name(path.name + ".part")
        part.write_bytes(content)
        os.replace(part, path)
    return content


def figure_bytes(figure: Any, kind: str, width_mm: float | None = None, height_mm: float | None = None) -> bytes:
    """The figure as a file of that kind: svg, png (at 200 dots per inch) or pdf."""
    import matplotlib as mpl

    if mpl.get_backend(auto_select=False) is None:
        mpl.use("Agg")
    figure = _resized(figure, width_mm, height_mm)
    out = BytesIO()
    with mpl.rc_context(_RC):
        drawn = figure.draw()
        _set_fonts(drawn)
        drawn.savefig(out, format=kind, dpi=_DPI, metadata=dict.fromkeys(_DATED[kind]))
    return out.getvalue()
