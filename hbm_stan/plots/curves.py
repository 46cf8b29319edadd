"""Small multiples: a curve for each group with its bands, over the points that were observed."""

from __future__ import annotations

from typing import Any

import pandas as pd
from plotnine import (
    aes,
    element_text,
    facet_wrap,
    geom_line,
    geom_point,
    geom_ribbon,
    ggplot,
    guide_legend,
    guides,
    labs,
    scale_color_manual,
    scale_linetype_manual,
    scale_y_continuous,
    theme,
)

from hbm_stan.plots.fonts import drawable
from hbm_stan.plots.labels import shorten
from hbm_stan.plots.style import LABEL_PT, MAX_HEIGHT_MM, PALETTE, house_theme, x_scale

_COLUMNS = 4
_MOST_PANELS = 24
_FEW_VALUES = 3
_LABEL = 22  # letters of a panel's title
_BANDS = (("q10", "q90", 0.30), ("q25", "q75", 0.55))
TRUTH = "truth"


def plot_curves(curves: pd.DataFrame, points: pd.DataFrame | None, x_label: str = "", y_label: str = "") -> Any:
    """Posterior median of each curve with its 50 % and 80 % bands, observed points, and a true curve if there is one.

    Columns of curves: panel, x, q10, q25, q50, q75, q90. Columns of points: panel, x, y, kind (``observed`` is drawn as
    points, ``truth`` as a dashed line).
    """
    panels = list(dict.fromkeys(curves["panel"]))[:_MOST_PANELS]
    drawn = _of(curves, panels)
    observed, truth = (_of(points, panels, kind) for kind in ("observed", TRUTH))
    blue, ink = PALETTE["partial"], PALETTE["ink"]
    rows = -(-len(panels) // _COLUMNS)
    plot = ggplot()
    for low, high, alpha in _BANDS:
        plot = plot + geom_ribbon(aes("x", ymin=low, ymax=high), drawn, fill=blue, alpha=alpha, color="none")
    if len(observed):
        plot = plot + geom_point(aes("x", "y"), observed, size=1.1, stroke=0, color=ink, fill=ink, alpha=0.7)
    lines = [drawn.assign(y=drawn["q50"], what="posterior median")]
    lines += [truth.assign(what=TRUTH)] if len(truth) else []
    names = ["posterior median", TRUTH][: len(lines)]
    both = pd.concat([line[["panel", "x", "y", "what"]] for line in lines], ignore_index=True)
    both["what"] = pd.Categorical(both["what"], names)
    return (
        plot
        + geom_line(aes("x", "y", color="what", linetype="what"), both, size=0.6)
        + facet_wrap("panel", ncol=min(_COLUMNS, len(panels)), scales="free_y" if len(truth) else "fixed")
        + scale_color_manual(values=[blue, PALETTE["prior"]][: len(lines)])
        + scale_linetype_manual(values=["solid", "dashed"][: len(lines)])
        + guides(color=guide_legend() if len(lines) > 1 else "none", linetype="none" if len(lines) == 1 else None)
        + x_scale(**_breaks(observed))
        + scale_y_continuous(labels=lambda values: [f"{v:g}".replace("-", "−") for v in values])
        + labs(x=x_label, y=y_label)
        + house_theme(min(15.0 + 25.0 * rows, MAX_HEIGHT_MM))
        + theme(axis_text=element_text(size=LABEL_PT))
    )


def _breaks(observed: pd.DataFrame) -> dict[str, Any]:
    """A predictor of few values (0 and 1) has its ticks there."""
    values = sorted(set(observed["x"])) if len(observed) else []
    return {"breaks": values} if 0 < len(values) <= _FEW_VALUES else {}


def _of(table: pd.DataFrame | None, panels: list[Any], kind: str = "") -> pd.DataFrame:
    """The rows of these panels, titles made drawable and short, in the panels' order."""
    if table is None:
        return pd.DataFrame({"panel": [], "x": [], "y": []})
    chosen = table[table["panel"].isin(panels)]
    if kind:
        chosen = chosen[chosen["kind"] == kind]
    titles = {p: shorten(drawable(str(p)), _LABEL) for p in panels}
    order = list(dict.fromkeys(titles.values()))
    return chosen.assign(panel=pd.Categorical([titles[p] for p in chosen["panel"]], order))
