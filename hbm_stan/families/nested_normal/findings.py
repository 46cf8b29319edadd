"""What nested data are analysed for: where the variation lies, and what to buy next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_stan.model import Evidence, Finding
from hbm_stan.nouns import plural
from hbm_stan.table import FloatArray

if TYPE_CHECKING:
    import pandas as pd
else:
    from hbm_stan.later import pd

_SCALES = ("tau", "tau_unit", "sigma")
_SHOWN = (0.05, 0.5, 0.95)


def findings(evidence: Evidence) -> Sequence[Finding]:
    """The split of the variance, and designs with their cost, for variants of partial pooling."""
    return (_split(evidence), _designs(evidence)) if "tau_unit" in evidence.draws else ()


def _words(evidence: Evidence) -> list[str]:
    """The columns of the group, the unit and the rows, as the user calls them."""
    return [evidence.table.dataset.column(role) for role in ("group", "unit")]


def _split(evidence: Evidence) -> Finding:
    """Where the variance lies: between groups, between units of a group, between rows of a unit."""
    group, unit = _words(evidence)
    between = {
        group: f"between {evidence.table.noun.many}",
        f"{unit} in {group}": f"between {plural(unit)} of a {evidence.table.noun.one}",
        f"row of {unit}": f"between rows of a {unit}",
    }
    parts = {f"{group}": "tau", f"{unit} in {group}": "tau_unit", f"row of {unit}": "sigma"}
    total = sum(evidence.draws[name] ** 2 for name in _SCALES)
    shares = {part: np.quantile(100 * evidence.draws[k] ** 2 / total, _SHOWN) for part, k in parts.items()}
    rows = [[part, *np.quantile(evidence.draws[k], _SHOWN), *shares[part]] for part, k in parts.items()]
    table = pd.DataFrame(rows, columns=["level", "sd 5 %", "sd", "sd 95 %", "share 5 %", "share", "share 95 %"])
    largest = max(shares, key=lambda part: float(shares[part][1]))
    low, mid, high = shares[largest]
    sentence = (
        f"Most of the variance lies {between[largest]}: {mid:.0f} % (90 % interval {low:.0f} to {high:.0f} %)."
        if mid > 50
        else f"The largest share of the variance, {mid:.0f} % (90 % interval {low:.0f} to {high:.0f} %), lies "
        f"{between[largest]}."
    )
    digits = {c: 0 if c.startswith("share") else _digits(table["sd"]) for c in table.columns[1:]}
    caption = "Standard deviation of each level and its share (%) of the variance of a row: medians and 90 % intervals."
    return Finding(title="Where the variation lies", sentences=(sentence,), table=table, caption=caption, digits=digits)


def _digits(values: Any) -> int:
    return max(0, 1 - math.floor(math.log10(max(float(np.min(values)), 1e-9))))


def _design(design: tuple[int, int], unit: str) -> str:
    units, rows = design
    return f"{units} {plural(unit) if units > 1 else unit} with {rows} row{'s' if rows > 1 else ''} each"


def _designs(evidence: Evidence) -> Finding:
    """Standard error of a group's mean against cost, for units a group and rows a unit."""
    (group, unit), data = _words(evidence), evidence.data
    costs = [float(evidence.options.get(key, 1.0)) for key in ("cost_unit", "cost_row")]
    now = (data["M"] / data["J"], data["N"] / data["M"])

    def cost(m: float, a: float) -> float:
        return m * (costs[0] + a * costs[1])

    def error(m: float, a: float) -> FloatArray:
        return np.asarray(np.sqrt(evidence.draws["tau_unit"] ** 2 / m + evidence.draws["sigma"] ** 2 / (m * a)))

    target, budget = float(np.median(error(*now))), cost(*now)
    many = [(m, a) for a in range(1, 13) for m in range(1, max(2, math.ceil(6 * now[0] * now[1])) + 1)]
    medians = {design: float(np.median(error(*design))) for design in many}
    enough = [d for d in many if medians[d] <= target * (1 + 1e-9)]
    cheapest = min(enough, key=lambda d: (cost(*d), medians[d]))
    affordable = [d for d in many if cost(*d) <= budget * (1 + 1e-9)] or [(1, 1)]
    best = min(affordable, key=lambda d: (medians[d], cost(*d)))
    split = np.quantile(np.sqrt(costs[0] / costs[1]) * evidence.draws["sigma"] / evidence.draws["tau_unit"], _SHOWN)
    m, a = max(1, round(now[0])), max(1, round(now[1]))
    shown = sorted({(m, a), (2 * m, a), (m, 2 * a), (m, 1), (2 * m, 1), cheapest, best}, key=lambda d: (cost(*d), d))
    rows = [[d[0], d[1], cost(*d), *np.quantile(error(*d), _SHOWN)] for d in shown]
    table = pd.DataFrame(
        rows, columns=[f"{plural(unit)} a {group}", f"rows a {unit}", "cost", "se 5 %", "se", "se 95 %"]
    )
    given = "" if costs != [1, 1] else " (cost_unit and cost_row of [prediction]; 1 each where not given)"
    sentences = (
        f"A {unit} costs {costs[0]:g} and a row {costs[1]:g}{given}. The present design has {now[0]:.3g} "
        f"{plural(unit)} a {group} with {now[1]:.3g} rows each, costs {budget:.3g} a {group}, and gives the "
        f"mean of a {group} with a standard error of {target:.2g}.",
        f"The cheapest design that is as precise: {_design(cheapest, unit)}, for {cost(*cheapest):.3g} a {group}. The "
        f"most precise for the present cost: {_design(best, unit)}, with a standard error of {medians[best]:.2g}.",
        f"The best number of rows of a {unit} is {split[1]:.2g} (90 % interval {split[0]:.2g} to {split[2]:.2g}; below "
        "1, one row), whatever the budget: sigma / tau_unit times the root of cost_unit / cost_row.",
    )
    digits = {**dict.fromkeys(table.columns[:3], 0), **dict.fromkeys(table.columns[3:], _digits(table["se"]))}
    caption = f"Standard error of the mean of a {group} for some designs: median and 90 % interval."
    return Finding(
        title="What to buy next: more units or more rows",
        sentences=sentences,
        table=table,
        caption=caption,
        digits=digits,
    )
