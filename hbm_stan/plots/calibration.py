"""The figure of a calibration: the ECDF of ranks less that of uniform ones, with its simultaneous envelope."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
from plotnine import (
    aes,
    facet_wrap,
    geom_hline,
    geom_ribbon,
    geom_step,
    ggplot,
    labs,
    scale_color_manual,
    scale_linetype_manual,
    scale_x_continuous,
    scale_y_continuous,
    theme,
)

from hbm_stan.plots.fonts import drawable
from hbm_stan.plots.labels import shorten
from hbm_stan.plots.style import MAX_HEIGHT_MM, PALETTE, greek, house_theme

_COLUMNS, _TITLE_CELLS = 3, 30  # panels side by side, and letters of 8 pt that a title has room for
_PANEL_MM, _BESIDE_MM = 36.0, 20.0
# Beyond this a panel is too low to be read: the quantities that lie farthest out are drawn.
_MOST = _COLUMNS * int((MAX_HEIGHT_MM - _BESIDE_MM) / _PANEL_MM)
_KINDS = ("inside the envelope", "outside the envelope")


def plot_calibration(table: pd.DataFrame, statuses: Mapping[str, str]) -> Any:
    """ECDF difference of each quantity's ranks (Säilynoja, Bürkner & Vehtari 2022, figure 2), one panel each.

    Columns: quantity, x (0 to 1), difference, low, high (the envelope, less x). ``statuses``: quantity -> pass or fail;
    those that fail are drawn first.
    """
    names = sorted(dict.fromkeys(table["quantity"]), key=lambda name: statuses.get(str(name)) != "fail")
    note = f"{_MOST} of {len(names)} quantities." if len(names) > _MOST else ""
    names = names[:_MOST]
    titles = _titles([str(name) for name in names])
    shown = table[table["quantity"].isin(names)].assign(
        panel=lambda t: pd.Categorical([titles[str(q)] for q in t["quantity"]], [titles[str(n)] for n in names]),
        kind=lambda t: pd.Categorical([_KINDS[statuses.get(str(q)) == "fail"] for q in t["quantity"]], _KINDS),
    )
    rows = math.ceil(len(names) / _COLUMNS)
    return (
        ggplot(shown, aes("x"))
        + geom_ribbon(aes(ymin="low", ymax="high"), fill=PALETTE["fill"], alpha=0.5, outline_type="none")
        + geom_hline(yintercept=0, color=PALETTE["rule"], size=0.5)
        + geom_step(aes(y="difference", color="kind", linetype="kind"), size=0.7, direction="hv")
        + facet_wrap("panel", ncol=min(_COLUMNS, len(names)))
        + scale_color_manual(values=dict(zip(_KINDS, (PALETTE["ink"], PALETTE["fail"]), strict=True)))
        + scale_linetype_manual(values=dict(zip(_KINDS, ("solid", "dashed"), strict=True)))
        + scale_x_continuous(expand=(0.01, 0), breaks=[0, 0.25, 0.5, 0.75, 1], labels=["0", "¼", "½", "¾", "1"])
        + scale_y_continuous(labels=lambda values: [f"{v:.2g}".replace("-", "−") for v in values])
        + labs(x="share of the draws that are below the true value", y="ECDF less uniform", caption=note)
        + house_theme(min(MAX_HEIGHT_MM, _BESIDE_MM + _PANEL_MM * rows))
        + theme(panel_spacing=0.04)
    )


def _titles(names: list[str]) -> dict[str, str]:
    """A title for each panel, short enough for its width and no two alike."""
    titles: dict[str, str] = {}
    for name in names:
        short = shorten(drawable(greek(name)), _TITLE_CELLS)
        title, n = short, 1
        while title in titles.values():
            n += 1
            title = f"{shorten(short, _TITLE_CELLS - 4)} ({n})"
        titles[name] = title
    return titles
