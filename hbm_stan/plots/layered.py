"""The figures that a report draws directly, as plotnine objects: a user can add to them, change scales and themes.

Each has its table as ``.data``, so that further layers can name its columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from plotnine import (
    aes,
    coord_cartesian,
    element_blank,
    element_text,
    facet_wrap,
    geom_abline,
    geom_hline,
    geom_line,
    geom_linerange,
    geom_point,
    geom_rect,
    geom_ribbon,
    geom_segment,
    geom_step,
    geom_vline,
    ggplot,
    labs,
    scale_color_manual,
    scale_shape_manual,
    scale_x_continuous,
    scale_y_continuous,
    theme,
)

from hbm_stan.plots.groups import intervals
from hbm_stan.plots.labels import MAX_ROWS, row_labels, row_scale, rows_height
from hbm_stan.plots.left_out import PIT_X, PIT_Y, SHARE_X, SHARE_Y, limits
from hbm_stan.plots.posterior import _bars, _prior_lines
from hbm_stan.plots.strips import rows_differ
from hbm_stan.plots.style import LABEL_PT, PALETTE, greek, house_theme, signed, with_unit, x_scale

_KINDS = {"group": PALETTE["partial"], "average": PALETTE["ink"], "new": PALETTE["ink"]}
_SHAPES = {"group": "o", "average": "D", "new": "s"}
_LIFT, _HEIGHT_MM, _LOW_MM = 0.22, 80.0, 60.0
_MOST_NAMED = 40  # groups that are named below a strip, as in a report
_BLUE, _INK, _MUTED, _RULE, _FILL = (PALETTE[name] for name in ("partial", "ink", "muted", "rule", "fill"))


def layered_groups(table: pd.DataFrame, words: str, unit: str, many: str) -> Any:
    """Groups in order with raw estimate and intervals, then the average and a new one.

    Columns: group, kind (group, average, new), raw, raw_low, raw_high, q05, q25, q50, q75, q95.
    """
    own = table[table["kind"] == "group"].sort_values("q50", kind="stable")
    chosen = np.unique(np.linspace(0, len(own) - 1, min(len(own), MAX_ROWS)).round().astype(int))
    last = [table[table["kind"] == kind] for kind in ("new", "average")]
    rows = pd.concat([*last, own.iloc[chosen]], ignore_index=True)
    rows["y"] = [float(i) for i in range(1, len(rows) + 1)]
    labels, average = row_labels([str(g) for g in rows["group"]]), table.loc[table["kind"] == "average", "q50"]
    note = f"{len(chosen)} of {len(own)} {many} are drawn, evenly spaced in the order shown." * (len(chosen) < len(own))
    raw = rows.dropna(subset=["raw"]).assign(level=lambda t: t["y"] + _LIFT)
    kinds = [kind for kind in _KINDS if kind in set(rows["kind"])]
    rows["kind"] = pd.Categorical(rows["kind"], kinds)
    return (
        ggplot(table)
        + [geom_vline(xintercept=float(v), color=_MUTED, linetype="dashed", size=0.5) for v in average]
        + geom_segment(aes("raw_low", "level", xend="raw_high", yend="level"), raw, color=_RULE, size=0.4)
        + geom_point(aes("raw", "level"), raw, color=_MUTED, fill="white", size=1.4, stroke=0.4)
        + [layer for kind in kinds for layer in intervals(rows[rows["kind"] == kind], _KINDS[kind])]
        + geom_point(aes("q50", "y", color="kind", shape="kind"), rows, fill="white", size=1.6, stroke=0.5)
        + scale_color_manual(values=[_KINDS[k] for k in kinds], guide=None)
        + scale_shape_manual(values=[_SHAPES[k] for k in kinds], guide=None)
        + row_scale(labels)
        + x_scale()
        + labs(x=with_unit(words, unit), y="", caption=note)
        + house_theme(rows_height(labels, 20.0 if note else 14.0))
        + theme(panel_grid_major_y=element_blank(), axis_text_y=element_text(size=LABEL_PT, ha="right"))
    )


def layered_strips(table: pd.DataFrame, words: str, unit: str, one: str, many: str) -> Any:
    """All groups in rising order with their intervals and, against their number of rows, how far each was drawn.

    Where groups have equally many rows, their estimates stand against the raw ones instead, if there are some.
    Columns: group, rows, raw, q05, q25, q50, q75, q95.
    """
    order, beside = f"{many} in rising order", f"{'rows' if rows_differ(table) else 'raw estimate'} of the {one}"
    panels = [order, beside]
    ordered = table.sort_values("q50", kind="stable")
    first = ordered.assign(x=np.arange(1.0, len(ordered) + 1), panel=pd.Categorical([order] * len(table), panels))
    second = ordered.assign(panel=pd.Categorical([beside] * len(table), panels))
    return (
        ggplot(table)
        + geom_linerange(aes("x", ymin="q05", ymax="q95"), first, color=_BLUE, size=0.3)
        + geom_linerange(aes("x", ymin="q25", ymax="q75"), first, color=_BLUE, size=0.8)
        + geom_point(aes("x", "q50"), first, color=_INK, size=0.5)
        + (_moved(second) if rows_differ(table) else _against_raw(second))
        + facet_wrap("panel", nrow=1, scales="free_x")
        + scale_y_continuous(labels=signed)
        + labs(x="", y=with_unit(words, unit))
        + house_theme(_LOW_MM)
    )


def _moved(table: pd.DataFrame) -> list[Any]:
    """From the raw to the pooled estimate of each group, against its number of rows."""
    table = table.assign(x=table["rows"].astype(float))
    moved = table.dropna(subset=["raw"])
    return [
        geom_segment(aes("x", "raw", xend="x", yend="q50"), moved, color=_RULE, size=0.3),
        geom_point(aes("x", "raw"), moved, color=_MUTED, fill="white", size=1.2, stroke=0.4),
        geom_point(aes("x", "q50"), table, color=_BLUE, size=0.9),
    ]


def _against_raw(table: pd.DataFrame) -> list[Any]:
    """The pooled estimate of each group against its raw one; dashed where they are equal, dotted at their mean."""
    raw = table["raw"].astype(float)
    shown = table.assign(x=raw, mean=table["q50"].astype(float).mean())[np.isfinite(raw)]
    if shown.empty:
        return []
    low, high = max(shown["x"].min(), table["q05"].min()), min(shown["x"].max(), table["q95"].max())
    ends = pd.DataFrame({"x": [low, high], "panel": shown["panel"].iloc[[0, 0]].array})
    return [
        geom_line(aes("x", "x"), ends, color=_MUTED, linetype="dashed", size=0.5),
        geom_line(aes("x", "mean"), shown, color=_MUTED, linetype="dotted", size=0.5),
        geom_point(aes("x", "q50"), shown, color=_BLUE, size=0.9),
    ]


def layered_population(draws: pd.DataFrame, priors: pd.DataFrame, unit: str) -> Any:
    """Posterior histograms with the prior's density. Columns: parameter, value; of priors parameter, x, density."""
    names = list(dict.fromkeys(draws["parameter"]))
    bars = pd.concat([_bars(n, draws.loc[draws["parameter"] == n, "value"]) for n in names], ignore_index=True)
    lines = _prior_lines(priors, bars)
    titles = [greek(name) for name in names]
    panels = [
        part.assign(panel=pd.Categorical([greek(n) for n in part["parameter"]], titles)) for part in (bars, lines)
    ]
    return (
        ggplot(draws)
        + geom_rect(aes(xmin="low", xmax="high", ymin=0, ymax="density"), panels[0], fill=_FILL)
        + geom_line(aes("x", "density", group="run"), panels[1], color=PALETTE["prior"], linetype="dashed", size=0.6)
        + facet_wrap("panel", scales="free")
        + x_scale()
        + labs(x=unit, y="density; dashed: the prior")
        + house_theme(30.0 + 28.0 * -(-len(names) // 3))
        + theme(axis_text_y=element_blank(), panel_grid_major_y=element_blank())
    )


def layered_effect(effect: Mapping[str, Any], points: pd.DataFrame, words: str, unit: str) -> Any:
    """What is expected over a column, with bands and new observations. Columns as in ``plot_effects``."""
    rows, levels = effect["rows"], [str(level) for level in effect["levels"]]
    bands = [("q05", "q95", 0.25), ("q25", "q75", 0.45)]
    if levels:
        drawn = rows.assign(at=np.arange(float(len(rows))))
        layers: list[Any] = [
            geom_rect(aes(xmin="at-0.3", xmax="at+0.3", ymin=low, ymax=high), drawn, fill=_BLUE, alpha=alpha)
            for low, high, alpha in bands
        ]
        layers += [
            geom_segment(aes("at-0.3", "q50", xend="at+0.3", yend="q50"), drawn, color=_BLUE, size=0.7),
            scale_x_continuous(breaks=list(range(len(levels))), labels=levels),
        ]
    else:
        drawn = rows.assign(at=rows["x"].astype(float))
        layers = [
            geom_ribbon(aes("at", ymin=low, ymax=high), drawn, fill=_BLUE, alpha=alpha) for low, high, alpha in bands
        ]
        layers += [geom_line(aes("at", "q50"), drawn, color=_BLUE, size=0.7), x_scale()]
    new = drawn.dropna(subset=["new_q05", "new_q95"])
    ends = [] if levels else [geom_line(aes("at", end), new, color=_MUTED, linetype="dashed", size=0.4)
                              for end in ("new_q05", "new_q95") if len(new)]  # fmt: skip
    return (
        ggplot(rows)
        + geom_point(aes("x", "y"), points, color=_MUTED, size=0.7, alpha=0.6)
        + layers
        + ends
        + scale_y_continuous(labels=signed)
        + labs(x=with_unit(str(effect["column"]), str(effect.get("unit", ""))), y=with_unit(words, unit))
        + house_theme(_HEIGHT_MM)
    )


def layered_replicated(table: pd.DataFrame, words: str, unit: str, many: str) -> Any:
    """Each group as observed, with its replications. Columns: group, observed, q05, q25, q50, q75, q95."""
    ordered = table.sort_values("observed", kind="stable").assign(x=np.arange(1.0, len(table) + 1))
    named = len(table) <= _MOST_NAMED
    axis = {"breaks": ordered["x"].tolist(), "labels": [str(g) for g in ordered["group"]]} if named else {}
    return (
        ggplot(table)
        + geom_linerange(aes("x", ymin="q05", ymax="q95"), ordered, color=_FILL, size=0.9)
        + geom_linerange(aes("x", ymin="q25", ymax="q75"), ordered, color=_BLUE, size=1.4)
        + geom_point(aes("x", "observed"), ordered, color=_INK, shape="D", size=1.0)
        + scale_x_continuous(**axis)
        + scale_y_continuous(labels=signed)
        + labs(x=f"{many} in the order of what was observed", y=with_unit(words, unit))
        + house_theme(_HEIGHT_MM)
        + theme(axis_text_x=element_text(rotation=90 if named else 0, size=LABEL_PT))
    )


def layered_rows(table: pd.DataFrame, unit: str) -> Any:
    """How many rows have each value, observed and replicated. Columns: low, high, observed, q05, q25, q50, q75, q95."""
    ends = pd.concat([table, table.tail(1).assign(low=table["high"].iloc[-1])], ignore_index=True)
    return (
        ggplot(table)
        + geom_rect(aes(xmin="low", xmax="high", ymin="q05", ymax="q95"), fill=_BLUE, alpha=0.25)
        + geom_rect(aes(xmin="low", xmax="high", ymin="q25", ymax="q75"), fill=_BLUE, alpha=0.45)
        + geom_step(aes("low", "observed"), ends, color=_INK, size=0.6, direction="hv")
        + x_scale()
        + labs(x=with_unit("outcome of a row", unit), y="rows")
        + house_theme(_LOW_MM)
    )


def layered_transforms(table: pd.DataFrame) -> Any:
    """The ECDF of leave-one-out transforms in its band. Columns: x, low, high, band_low, band_high."""
    return (
        ggplot(table, aes("x"))
        + geom_ribbon(aes(ymin="band_low", ymax="band_high"), fill=_FILL, alpha=0.5)
        + geom_hline(yintercept=0, color=_RULE, size=0.5)
        + geom_ribbon(aes(ymin="low", ymax="high"), fill=_BLUE, alpha=0.55)
        + geom_line(aes(y="(low + high) / 2"), color=_INK, size=0.6)
        + scale_x_continuous(expand=(0.01, 0))
        + scale_y_continuous(labels=signed)
        + labs(x=PIT_X, y=PIT_Y)
        + house_theme(_LOW_MM)
    )


def layered_calibration(table: pd.DataFrame, bins: pd.DataFrame) -> Any:
    """A calibration curve in its band, over how many rows are where. Columns as in ``plot_left_out``."""
    low, high = limits(table)
    most = max(float(bins["rows"].max()), 1.0)
    inside = bins[(bins["high"] > low) & (bins["low"] < high)]
    heights = inside.assign(top=low + 0.22 * (high - low) * inside["rows"] / most)
    return (
        ggplot(table, aes("p"))
        + geom_rect(
            aes(xmin="low", xmax="high", ymin=low, ymax="top"), heights, inherit_aes=False, fill=_MUTED, alpha=0.35
        )
        + geom_ribbon(aes(ymin="low", ymax="high"), fill=_FILL, alpha=0.5)
        + geom_abline(intercept=0, slope=1, color=_RULE, size=0.5)
        + geom_line(aes(y="observed"), color=_BLUE, size=0.8)
        + coord_cartesian(xlim=(low, high), ylim=(low, high), expand=False)
        + labs(x=SHARE_X, y=SHARE_Y)
        + house_theme(_HEIGHT_MM, _HEIGHT_MM)
    )
