"""What only a population of events has: where new events lie, the curve of the population, what share of it is seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_stan.families.event_population.density import log_seen, shapes
from hbm_stan.families.event_population.nodes import chance_of
from hbm_stan.families.event_population.trust import effective_samples
from hbm_stan.later import beta
from hbm_stan.model import Draws, Evidence, Finding
from hbm_stan.table import FloatArray

if TYPE_CHECKING:
    import pandas as pd
else:
    from hbm_stan.later import pd

ABOVE = 0.5  # the value that a new event is asked to lie above, where [prediction] names none
_LISTED = (0.1, 0.25, 0.5, 0.75, 0.9)
_CURVE = np.linspace(0.005, 0.995, 199)
_DRAWS = 1000  # of the population for a curve (ours)
_BANDS = (0.1, 0.25, 0.5, 0.75, 0.9)


def findings(evidence: Evidence) -> list[Finding]:
    """The population and a new event; nothing without a population."""
    return [_population(evidence)] if "kappa" in evidence.draws else []


def _interval(values: FloatArray) -> tuple[float, float, float]:
    low, middle, high = np.quantile(values, (0.05, 0.5, 0.95))
    return float(low), float(middle), float(high)


def _above(draws: Draws, x: float) -> FloatArray:
    """The probability that a new event of the population lies above x, at each draw (S,)."""
    return np.asarray(beta.sf(x, *shapes(draws)))


def _population(evidence: Evidence) -> Finding:
    noun, draws = evidence.table.noun, evidence.draws
    at = float(evidence.options.get("above", ABOVE))
    above = _above(draws, at)
    low, _, high = _interval(above)
    whole = f"Of all {noun.many}, seen or not, a" if evidence.data["G"] else "A"
    first = (
        f"{whole} new {noun.one} lies above {at:g} with a probability of {above.mean():.2f} (90 % interval of the "
        f"share of the population that does: {low:.2f} to {high:.2f})."
    )
    mean, sd = _interval(draws["mu"]), _interval(draws["tau"])
    shape = (
        f"The population has the mean {mean[1]:.2f} ({mean[0]:.2f} to {mean[2]:.2f}) and the sd {sd[1]:.2f} "
        f"({sd[0]:.2f} to {sd[2]:.2f})."
    )
    listed = sorted({*_LISTED, at})
    shares = np.stack([_above(draws, x) for x in listed])
    q05, q95 = np.quantile(shares, (0.05, 0.95), axis=1)
    table = pd.DataFrame({"above": listed, "probability": shares.mean(axis=1), "q05": q05, "q95": q95})
    digits = {"above": 3, "probability": 3, "q05": 3, "q95": 3}
    curves, points = _curves(evidence)
    return Finding(
        title=f"The population of {noun.many}", sentences=(first, shape, *_seen(evidence), *_samples(evidence)),
        table=table, digits=digits, curves=curves, points=points, x_label="value", y_label="density",
        caption=f"The probability that a new {noun.one} of the population lies above a value, and the 90 % interval of "
        "the share of the population that does.",
        first=first,
    )  # fmt: skip


def _seen(evidence: Evidence) -> list[str]:
    """What share of the population is seen, and what the answer is of."""
    data, noun = evidence.data, evidence.table.noun
    selection = evidence.table.dataset.reading.selection
    if selection is None:
        return [
            f"All {noun.many} of the population are taken to be equally likely to be seen: no detection probability is "
            "given."
        ]
    low, middle, high = _interval(np.exp(log_seen(evidence.draws, data)))
    listed = Path(selection.path).name or "the selection"
    how = (
        "its value decides, whatever the error of its estimate"
        if not data["sampled"]
        else "the data decide that its samples are of"
    )
    return [
        f"About {100 * middle:.0f} % of the population ({100 * low:.0f} to {100 * high:.0f} %) would be seen by the "
        f"detection probabilities of {listed}; the answer is of all of it, "
        f"not of those seen. Whether a {noun.one} is seen, {how}."
    ]  # fmt: skip


def _samples(evidence: Evidence) -> list[str]:
    if not evidence.data["sampled"]:
        return []
    every = np.linspace(0, len(evidence.draws["mu"]) - 1, 100).astype(int)
    some = {name: np.asarray(evidence.draws[name])[every] for name in ("mu", "kappa")}
    typical = np.median(effective_samples(some, evidence.data), axis=0)
    j, noun = int(np.argmin(typical)), evidence.table.noun
    return [
        f"Weighted to the population, the samples of each {noun.one} are worth {typical.min():,.0f} to "
        f"{typical.max():,.0f} independent ones; fewest of {evidence.table.pooled.labels[j]}."
    ]


def _curves(evidence: Evidence) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The density of the population, and of those of it that are seen, with bands; the estimates as points below."""
    data = evidence.data
    every = np.linspace(0, len(evidence.draws["mu"]) - 1, min(_DRAWS, len(evidence.draws["mu"]))).astype(int)
    some: dict[str, Any] = {name: np.asarray(evidence.draws[name])[every] for name in ("mu", "kappa")}
    a, b = (shape[:, None] for shape in shapes(some))
    density = beta.pdf(_CURVE, a, b)
    panels, chance = {"population": density}, chance_of(data)
    if chance is not None:
        panels[f"{evidence.table.noun.many} that are seen"] = (
            density * chance(_CURVE) / np.exp(log_seen(some, data))[:, None]
        )
    frames = [
        pd.DataFrame({"panel": panel, "x": _CURVE} | {
            f"q{round(100 * p):02d}": q for p, q in zip(_BANDS, np.quantile(values, _BANDS, axis=0), strict=True)
        })
        for panel, values in panels.items()
    ]  # fmt: skip
    y = np.asarray(data["y"])
    points = pd.DataFrame({"panel": list(panels)[-1], "x": np.clip(y, 0, 1), "y": 0.0, "kind": "observed"})
    return pd.concat(frames, ignore_index=True), points
