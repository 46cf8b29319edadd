"""What only a map has: where rates are raised and how surely, which share of the differences is spatial; raw rates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_stan.families.alike import alike_rates
from hbm_stan.families.disease_mapping.columns import map_of
from hbm_stan.families.disease_mapping.density import size_of
from hbm_stan.families.disease_mapping.effects import row_of_areas
from hbm_stan.families.disease_mapping.layout import layout
from hbm_stan.families.disease_mapping.spread import spread_findings
from hbm_stan.families.usual_row import group_predictors_of
from hbm_stan.later import expit, logit
from hbm_stan.model import Evidence, Finding, StanData
from hbm_stan.outlines import Outlines
from hbm_stan.table import FloatArray

if TYPE_CHECKING:
    import pandas as pd
else:
    from hbm_stan.later import pd

_SURE = 0.95  # from this probability on an excess is called one (ours)
_LISTED, _NAMED = 10, 3  # areas in the table, in a sentence


def scale(data: StanData) -> tuple[str, Callable[[FloatArray], FloatArray], str]:
    """On which scale a reader thinks: rate ratios beside expected numbers, or the share of those tested."""
    return ("rate ratio", np.exp, "rate") if data["counted"] else ("prevalence", expit, "odds")


def raw(data: StanData) -> tuple[FloatArray, FloatArray]:
    """theta of each area by its own count, (J,), and the standard error; nan where a logarithm has none."""
    row = row_of_areas(data)
    y, size = np.asarray(data["y"], dtype=float)[row], size_of(data)[row]
    rest = np.full(len(y), np.inf) if data["counted"] else size - y
    known = (y > 0) & (rest > 0)
    y, rest = np.where(known, y, np.nan), np.where(known, rest, np.nan)
    return np.log(y / size) if data["counted"] else np.log(y / rest), np.sqrt(1 / y + 1 / rest)


def alike(data: StanData) -> tuple[float, float] | None:
    """The chi-square test of the rates of areas, whether they differ less than chance alone leaves."""
    others = {name: value for name, value in data.items() if name != "trials"}
    size = {"exposure": size_of(data)} if data["counted"] else {"trials": size_of(data)}
    return None if data["L"] else alike_rates({**others, **size})


def new_row(data: StanData, options: Mapping[str, Any]) -> tuple[StanData, str]:
    """Cases in an area that is nowhere on the map: expected or tested as the options say, or as the median area."""
    u, places = group_predictors_of(data, options)
    key = "expected" if data["counted"] else "tested"
    size = float(options.get(key, np.median(size_of(data))))
    size = size if data["counted"] else float(max(round(size), 1))
    one = np.ones(1, dtype=np.int64)
    design = {
        **data, "N": 1, "J": 1, "group_idx": one, "place": 0 * one, "y": 0 * one, "U": u[None],
        "expected": size * np.ones(1), "tested": np.array([0 if data["counted"] else int(size)]),
    }  # fmt: skip
    what = f"cases in a new {{group}} without known neighbours, {size:g} {key}"
    return design, what + (f": {', '.join(places)}" if places else "")


def findings(evidence: Evidence) -> list[Finding]:
    """The map, what predictors of areas do, and how much counts spread beside that."""
    return [*([_map(evidence)] if "theta" in evidence.draws else []), *_effects(evidence), *spread_findings(evidence)]


def _map(evidence: Evidence) -> Finding:
    data, draws, noun = evidence.data, evidence.draws, evidence.table.noun
    row = row_of_areas(data)
    y, size = np.asarray(data["y"], dtype=float)[row], size_of(data)[row]
    name, back, _ = scale(data)
    level = 1.0 if data["counted"] else float(y.sum() / size.sum())
    excess = np.mean(draws["theta"] > (0.0 if data["counted"] else float(logit(level))), axis=0)
    q05, smoothed, q95 = np.quantile(back(draws["theta"]), (0.05, 0.5, 0.95), axis=0)
    labels = np.array(evidence.table.pooled.labels)
    order = np.argsort(-excess, kind="stable")
    sure = [str(labels[j]) for j in order if excess[j] >= _SURE]
    whose = f"above {'1' if data['counted'] else f'the overall {level:.3g}'}"
    more = f" and {len(sure) - _NAMED} more" if len(sure) > _NAMED else ""
    first = (
        f"In {len(sure)} of {len(labels)} {noun.many} the {name} is {whose} with a probability of at least {_SURE:g}"
        + (f" ({', '.join(map(noun.named, sure[:_NAMED]))}{more})." if sure else ".")
    )
    spatial = _spatial(evidence)
    table = pd.DataFrame({
        noun.one: labels, "cases": y.astype(int), ("expected" if data["counted"] else "tested"): size,
        f"raw {name}": y / size, "median": smoothed, "q05": q05, "q95": q95, "P(excess)": excess,
    }).iloc[order[:_LISTED]]  # fmt: skip
    digits = {f"raw {name}": 2, "median": 2, "q05": 2, "q95": 2, "P(excess)": 3}
    areas, borders, drawn = _drawn(evidence, y / size, smoothed, excess, size)
    outlines = _outlines(evidence)
    rings = None if outlines is None else outlines.drawn(areas["area"].tolist())
    return Finding(
        title=f"The map: raw and smoothed {name}s", sentences=(first, *spatial, drawn), table=table,
        caption=f"The {min(_LISTED, len(labels))} {noun.many} with the highest probability of a {name} {whose}: "
        "posterior median and 90 % interval.",
        digits=digits, areas=areas, borders=borders, outlines=rings, x_label=name, y_label=f"probability {whose}",
        first=" ".join([first, *spatial[:1]]),
    )  # fmt: skip


def _spatial(evidence: Evidence) -> list[str]:
    """The share of the variance between areas that is spatial, with its interval; nothing without space."""
    if "rho" not in evidence.draws:
        return []
    low, middle, high = np.quantile(evidence.draws["rho"], (0.05, 0.5, 0.95))
    isolated = int(np.sum(evidence.data["island"]))
    noun, beyond = evidence.table.noun, " beyond their predictors" if evidence.data["L"] else ""
    sentences = [
        f"Of the variance between {noun.many}{beyond}, about {100 * middle:.0f} % is spatial, shared with neighbours "
        f"(90 % interval {100 * low:.0f} to {100 * high:.0f} %)."
    ]
    if isolated:
        sentences.append(
            f"{isolated} {noun.one if isolated == 1 else noun.many} without neighbours "
            f"{'has' if isolated == 1 else 'have'} no spatial part: drawn towards the average of all."
        )
    return sentences


def _drawn(
    evidence: Evidence, raw_rate: FloatArray, smoothed: FloatArray, excess: FloatArray, size: FloatArray
) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """The areas with their places, the borders between them, and how they are drawn in words."""
    table = evidence.table
    labels, graph = map_of(table)
    given = "east" in table and "north" in table and table.n_groups == len(labels)
    place = np.asarray(evidence.data["place"]) - 1
    outlines = _outlines(evidence)
    if given:
        at = np.empty((len(labels), 2))
        at[place[table.pooled.level]] = np.column_stack([table["east"], table["north"]])
        words = "Each point is where its area lies"
    else:
        at = layout(graph)
        words = "The table has no places (east, north): points are laid out so that neighbours lie near"
    areas = pd.DataFrame({
        "area": table.pooled.labels, "east": at[place, 0], "north": at[place, 1], "raw": raw_rate, "smoothed": smoothed,
        "excess": excess, "size": size,
    })  # fmt: skip
    a, b = at[graph.edges[:, 0]], at[graph.edges[:, 1]]
    borders = pd.DataFrame({"east": a[:, 0], "north": a[:, 1], "to_east": b[:, 0], "to_north": b[:, 1]})
    if outlines is not None:
        return areas, borders, "Areas are neighbours where their outlines touch."
    what = "expected" if evidence.data["counted"] else "tested"
    larger = f", and larger points had more {what}" if np.ptp(size) else ""
    return areas, borders, f"{words}; lines join neighbours{larger}."


def _outlines(evidence: Evidence) -> Outlines | None:
    """The outlines of areas, where a file of them says which are neighbours."""
    beside = evidence.table.dataset.reading.neighbours
    return None if beside is None else beside.outlines


def _effects(evidence: Evidence) -> list[Finding]:
    """What one unit of each predictor does to the rate or the odds."""
    draws, predictors = evidence.draws, evidence.table.predictors["group_predictors"]
    names = predictors.names
    if "gamma" not in draws or not names:
        return []
    _, _, what = scale(evidence.data)
    q = np.quantile(np.exp(draws["gamma"]), (0.05, 0.5, 0.95), axis=0)
    table = pd.DataFrame({
        "predictor": names, f"{what} ratio": q[1], "q05": q[0], "q95": q[2],
        "P(above 1)": np.mean(draws["gamma"] > 0, axis=0),
    })  # fmt: skip
    k = int(np.argmax(np.abs(np.mean(draws["gamma"], axis=0)) / np.std(draws["gamma"], axis=0)))
    sentence = (
        f"{predictors.step(names[k])} multiplies the {what} by {q[1, k]:.2f} (90 % interval {q[0, k]:.2f} to "
        f"{q[2, k]:.2f}), neighbours and other {evidence.table.noun.many} being as they are."
    )
    caption = f"Factor by which one unit of a predictor multiplies the {what}: posterior median and 90 % interval."
    digits = dict.fromkeys((f"{what} ratio", "q05", "q95"), 3) | {"P(above 1)": 3}
    return [
        Finding(title="What predictors of areas do", sentences=(sentence,), table=table, caption=caption, digits=digits)
    ]
