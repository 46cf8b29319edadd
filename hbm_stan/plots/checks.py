"""Figures of the sampler's checks: ranks by chain, energy, effective sample size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from plotnine import (
    aes,
    element_blank,
    element_text,
    facet_wrap,
    geom_hline,
    geom_point,
    geom_rect,
    geom_ribbon,
    geom_step,
    geom_vline,
    ggplot,
    labs,
    scale_color_manual,
    scale_fill_manual,
    scale_linetype_manual,
    scale_shape_manual,
    scale_x_continuous,
    scale_y_continuous,
    theme,
)

from hbm_stan.plots.fonts import drawable
from hbm_stan.plots.labels import row_labels, row_scale, rows_height, shorten
from hbm_stan.plots.style import CHAIN_COLOURS, CHAIN_LINES, LABEL_PT, PALETTE, greek, house_theme, x_scale

_ENERGY_BINS = 30
_ESS_ROWS = 20  # with ranks and energy they fill one page
_LINE_CELLS = 82  # letters of 8 pt across the figure


def _chain_scales(chains: list[str]) -> list[Any]:
    repeat = range(len(chains))
    return [
        scale_color_manual(values=[CHAIN_COLOURS[i % len(CHAIN_COLOURS)] for i in repeat]),
        scale_linetype_manual(values=[CHAIN_LINES[i % len(CHAIN_LINES)] for i in repeat]),
    ]


def _panels(names: list[Any]) -> list[str]:
    """Titles of panels side by side, short enough for their share of the width."""
    room = max(_LINE_CELLS // max(len(names), 1) - 3, 8)
    return [shorten(drawable(greek(str(name))), room) for name in names]


def _steps(table: pd.DataFrame) -> pd.DataFrame:
    """The last bin of each chain once more, so that its step has a right end."""
    last = table[table["bin"] == table["bin"].max()].assign(bin=lambda t: t["bin"] + 1)
    return pd.concat([table, last], ignore_index=True).sort_values(["panel", "chain", "bin"])


def plot_ranks(table: pd.DataFrame) -> Any:
    """Rank histograms of the chains, one line a chain (Vehtari et al. 2021, figure 3), over the expected band.

    Columns: parameter, chain, bin (0, 1, ...), count, expected, low, high.
    """
    names = list(dict.fromkeys(table["parameter"]))
    panels = _panels(names)
    chains = [f"chain {c}" for c in dict.fromkeys(table["chain"])]
    table = table.assign(
        panel=pd.Categorical([panels[names.index(n)] for n in table["parameter"]], list(dict.fromkeys(panels))),
        chain=pd.Categorical([f"chain {c}" for c in table["chain"]], chains),
    )
    steps = _steps(table)
    bands = steps.drop_duplicates(["panel", "bin"])
    return (
        ggplot(table, aes("bin", "count"))
        + geom_ribbon(aes(ymin="low", ymax="high"), bands, fill=PALETTE["shade"], outline_type="none")
        + geom_step(aes(y="expected"), bands, color=PALETTE["rule"], size=0.5)
        + geom_step(aes(color="chain", linetype="chain"), steps, size=0.6, direction="hv")
        + facet_wrap("panel", nrow=1)
        + _chain_scales(chains)
        + scale_y_continuous(expand=(0.04, 0))
        + scale_x_continuous(expand=(0, 0), breaks=[])
        + labs(x="rank of the draw among all chains, lowest left", y="draws in the bin")
        + house_theme(52.0)
        + theme(panel_grid_major_x=element_blank())
    )


def _energy_bars(table: pd.DataFrame) -> pd.DataFrame:
    values = table["value"].to_numpy(dtype=float)
    low, high = np.quantile(values[np.isfinite(values)], (0.001, 0.999))
    edges = np.linspace(low, high if high > low else low + 1.0, _ENERGY_BINS + 1)
    parts = []
    for (chain, kind), part in table.groupby(["chain", "kind"], sort=False, observed=True):
        heights = np.histogram(part["value"].to_numpy(dtype=float), edges)[0] / (len(part) * np.diff(edges))
        parts.append(
            pd.DataFrame({"chain": chain, "kind": kind, "low": edges[:-1], "high": edges[1:], "density": heights})
        )
    return pd.concat(parts, ignore_index=True)


def plot_energy(table: pd.DataFrame) -> Any:
    """Marginal energy against energy transitions, chain by chain (Betancourt 2016, arXiv:1604.00695).

    Columns: chain, kind ("marginal" or "transition"), value; both kinds centred on zero.
    """
    bars = _energy_bars(table)
    chains = list(dict.fromkeys(bars["chain"]))
    bars["panel"] = pd.Categorical([f"chain {c}" for c in bars["chain"]], [f"chain {c}" for c in chains])
    marginal = bars[bars["kind"] == "marginal"].assign(what="marginal energy")
    steps = bars[bars["kind"] == "transition"].assign(what="energy transition")
    columns = min(len(chains), 4)
    return (
        ggplot()
        + geom_rect(aes(xmin="low", xmax="high", ymin=0, ymax="density", fill="what"), marginal)
        + geom_step(aes("low", "density", color="what"), steps, size=0.6)
        + facet_wrap("panel", ncol=columns)
        + scale_fill_manual(values=[PALETTE["fill"]])
        + scale_color_manual(values=[PALETTE["no_pooling"]])
        + x_scale()
        + scale_y_continuous(expand=(0, 0, 0.05, 0))
        + labs(x="energy, centred on its mean", y="density")
        + house_theme(min(180.0, 17.0 + 30.0 * -(-len(chains) // columns)))
        + theme(axis_text_y=element_blank(), panel_grid_major_y=element_blank())
    )


def _lowest(table: pd.DataFrame) -> tuple[list[Any], str]:
    """The parameters to draw: all in their order, or the ones with the smallest effective sample size."""
    names = list(dict.fromkeys(table["parameter"]))
    if len(names) <= _ESS_ROWS:
        return names[::-1], ""
    smallest = table.groupby("parameter")["ess"].min().sort_values(kind="stable")
    note = f"The {_ESS_ROWS} parameters with the smallest effective sample size, of {len(names)}."
    return list(smallest.index[:_ESS_ROWS])[::-1], note


def plot_ess(table: pd.DataFrame, threshold: float) -> Any:
    """Bulk and tail effective sample size of each parameter against the least that is asked for.

    Columns: parameter, kind ("bulk" or "tail"), ess.
    """
    table = table.assign(ess=pd.to_numeric(table["ess"], errors="coerce").astype(float)).dropna(subset=["ess"])
    names, note = _lowest(table)
    shown = table[table["parameter"].isin(names)].copy()
    shown["y"] = [float(names.index(n) + 1) for n in shown["parameter"]]
    shown["kind"] = pd.Categorical(shown["kind"], ["bulk", "tail"])
    labels = row_labels([greek(str(n)) for n in names])
    line = pd.DataFrame({"x": [float(threshold)]})
    return (
        ggplot(table, aes("ess", "y"))
        + geom_hline(aes(yintercept="y"), shown, color=PALETTE["shade"], size=0.4)
        + geom_vline(aes(xintercept="x"), line, color=PALETTE["fail"], linetype="dashed", size=0.5)
        + geom_point(aes(color="kind", shape="kind"), shown, size=1.8, fill="white", stroke=0.5)
        + scale_color_manual(values=[PALETTE["partial"], PALETTE["ink"]])
        + scale_shape_manual(values=["o", "D"])
        + x_scale(limits=(0, None), expand=(0, 0, 0.03, 0))
        + row_scale(labels)
        + labs(x="effective sample size; dashed: the least that is asked for", y="", caption=note)
        + house_theme(rows_height(labels, 22.0, 4.2))
        + theme(panel_grid_major_y=element_blank(), axis_text_y=element_text(size=LABEL_PT, ha="right"))
    )
