"""A figure as vector SVG: the same bytes for the same figure, without a display, without a warning."""

from __future__ import annotations

import copy
import os
from io import BytesIO
from pathlib import Path
from typing import Any

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


def _set_fonts(drawn: Any) -> None:
    """Give each text of a drawn figure the fonts that its characters need, and no mathematics."""
    from matplotlib.text import Text

    for text in drawn.findobj(Text):
        text.set_fontfamily(families_for([text.get_text()]))
        text.set_parse_math(False)


def _resized(figure: Any, width_mm: float | None, height_mm: float | None) -> Any:
    from plotnine import theme

    figure = copy.deepcopy(figure)
    width, height = figure.theme.getp("figure_size")
    size = (width_mm / MM_PER_INCH if width_mm else width, height_mm / MM_PER_INCH if height_mm else height)
    return figure + theme(figure_size=size)


def save_svg(
    figure: Any, path: Path | None = None, width_mm: float | None = None, height_mm: float | None = None
) -> bytes:
    """The figure as SVG bytes, also written to ``path`` if there is one; sizes default to the figure's own."""
    import matplotlib as mpl

    if mpl.get_backend(auto_select=False) is None:
        mpl.use("Agg")
    figure = _resized(figure, width_mm, height_mm)
    out = BytesIO()
    with mpl.rc_context(_RC):
        drawn = figure.draw()
        _set_fonts(drawn)
        drawn.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    if path is not None:
        part = path.with_name(path.name + ".part")
        part.write_bytes(out.getvalue())
        os.replace(part, path)
    return out.getvalue()
