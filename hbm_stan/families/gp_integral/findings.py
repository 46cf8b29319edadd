"""What only curves have in a report: each with its bands, its integral beside the trapezoid rule, its next point."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hbm_stan.families.gp_integral.columns import raw
from hbm_stan.families.gp_integral.curves import curves, hyper, is_one_curve, limits_of
from hbm_stan.families.gp_integral.next_point import NextPoint, given_rows_at, next_points
from hbm_stan.families.shipped_truth import true_values
from hbm_stan.integrals import KERNELS
from hbm_stan.model import Evidence, Finding
from hbm_stan.table import FloatArray

if TYPE_CHECKING:
    import pandas as pd
else:
    from hbm_stan.later import pd

_CURVES, _POINTS = 1000, 81  # draws that bands are made of; points that they are drawn at
_BANDS = {"q10": 0.1, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q90": 0.9}
_NAMES = {"squared_exponential": "squared exponential", "matern_32": "Matérn 3/2", "matern_52": "Matérn 5/2"}


def findings(evidence: Evidence) -> list[Finding]:
    """The curves with their integrals, and where the next point of each would help most."""
    if "theta" not in evidence.draws:
        return []
    asked = evidence.options.get("next_standard_error")
    best = next_points(evidence.draws, evidence.data, None if asked is None else float(asked))
    integrals, where = _integrals(evidence), _next(evidence, best)
    return [replace(integrals, first=f"{integrals.first} {where.sentences[0]}"), where]


def _labels(evidence: Evidence) -> list[str]:
    """The names of the curves; with complete pooling there is one."""
    labels = [str(label) for label in evidence.table.pooled.labels]
    return [f"all {evidence.table.noun.many}"] if is_one_curve(evidence.draws) else labels


def _integrals(evidence: Evidence) -> Finding:
    """Curves with bands over the estimates, and a table of integrals beside those of the trapezoid rule."""
    data, table, theta = evidence.data, evidence.table, np.asarray(evidence.draws["theta"])
    low, high = limits_of(data)
    x_label, y_label = table.dataset.column("point"), table.dataset.column("estimate")
    x_unit, y_unit = table.dataset.unit("point"), table.dataset.unit("estimate")
    kernel = _NAMES[KERNELS[int(data["kernel"]) - 1]]
    area, error = raw(data)
    truth, labels = true_values(table, "theta"), [str(label) for label in table.pooled.labels]
    q05, q95 = np.quantile(theta, (0.05, 0.95), axis=0)
    rows = pd.DataFrame({
        table.noun.one: labels, "points": np.bincount(np.asarray(data["group_idx"]) - 1),
        "integral": theta.mean(axis=0), "sd": theta.std(axis=0, ddof=1), "q05": q05, "q95": q95, "trapezoid": area,
        "its se": error,
        **({"truth": [truth.get(label, np.nan) for label in labels]} if truth else {}),
    })  # fmt: skip
    sentences = [
        f"Each curve of {y_label} over {x_label} is a Gaussian process ({kernel} kernel) about "
        f"{'a line' if data['T'] else 'a constant'}; its integral from {low:g} to {high:g} follows from their joint "
        "normal distribution, draw by draw, and is no sum over a grid.",
        "The standard error of the trapezoid rule has the errors of the estimates only, and not what the rule misses "
        "between points.",
    ]
    known = [(labels.index(label), value) for label, value in truth.items() if label in labels]
    if known:
        inside = sum(q05[j] <= value <= q95[j] for j, value in known)
        sentences.append(f"The true integral lies within its 90 % interval in {inside} of {len(known)} curves.")
    digits = dict.fromkeys(("integral", "sd", "q05", "q95", "trapezoid", "its se", "truth"), 2)
    return Finding(
        title=f"Integrals from {low:g} to {high:g}", sentences=tuple(sentences), table=rows, curves=_bands(evidence),
        points=_observed(evidence), x_label=f"{x_label} ({x_unit})" if x_unit else x_label,
        y_label=f"{y_label} ({y_unit})" if y_unit else y_label, digits=digits,
        caption="Posterior mean, sd and 90 % interval of each integral, beside the trapezoid rule.",
        first=_in_one(evidence, q05, q95),
    )  # fmt: skip


def _in_one(evidence: Evidence, q05: FloatArray, q95: FloatArray) -> str:
    """The widest and the narrowest interval, for page one."""
    labels, width = _labels(evidence), q95 - q05
    low, high = limits_of(evidence.data)
    between = f"Integrals from {low:g} to {high:g}"
    if len(labels) == 1:
        return f"{between}: that of {labels[0]} lies between {q05[0]:.4g} and {q95[0]:.4g} with a probability of 90 %."
    a, b = int(np.argmin(width)), int(np.argmax(width))
    return (
        f"{between} are known best for {labels[a]} ({q05[a]:.4g} to {q95[a]:.4g} with a probability of 90 %) and least "
        f"for {labels[b]} ({q05[b]:.4g} to {q95[b]:.4g})."
    )


def _bands(evidence: Evidence) -> pd.DataFrame:
    """Quantiles of each curve, point by point, at the limits and at its outermost points."""
    data, draws = evidence.data, evidence.draws
    ends = [*limits_of(data), np.min(data["x"]), np.max(data["x"])]
    x = np.linspace(min(ends), max(ends), _POINTS)
    size = len(draws["theta"])
    thin = np.linspace(0, size - 1, min(_CURVES, size)).astype(int)
    parts = []
    for (j, rows), label in zip(curves(draws, data), _labels(evidence), strict=True):
        mean, variance, _ = given_rows_at(hyper(draws, data, j).some(thin), data, rows, x)
        q = np.quantile(evidence.rng.normal(mean, np.sqrt(variance)), list(_BANDS.values()), axis=0)
        parts.append(pd.DataFrame({"panel": label, "x": x, **dict(zip(_BANDS, q, strict=True))}))
    return pd.concat(parts, ignore_index=True)


def _observed(evidence: Evidence) -> pd.DataFrame:
    labels = _labels(evidence)
    panel = labels * evidence.table.n_rows if len(labels) == 1 else evidence.table.pooled.row_labels
    return pd.DataFrame({"panel": panel, "x": evidence.data["x"], "y": evidence.data["y"], "kind": "observed"})


def _next(evidence: Evidence, best: list[NextPoint]) -> Finding:
    """Where one more estimate of each curve would narrow its integral most."""
    labels, column = _labels(evidence), evidence.table.dataset.column("point")
    rows = pd.DataFrame({
        evidence.table.noun.one: labels, f"next {column}": [b.point for b in best],
        "se of it": [b.standard_error for b in best], "sd now": [b.now for b in best],
        "sd after": [b.after for b in best], "less by %": [100 * (1 - b.after / b.now) if b.now else 0.0 for b in best],
    })  # fmt: skip
    # What is gained of the sum of variances: one estimate is to be had, of any curve.
    k = int(np.argmax([b.now**2 - b.after**2 for b in best]))
    most = best[k]
    first = (
        f"One more estimate would help most for {labels[k]} at {column} = {most.point:.3g}: with a standard error of "
        f"{most.standard_error:.3g} it is expected to bring the sd of that integral from {most.now:.3g} to "
        f"{most.after:.3g}."
    )
    second = (
        "This is the expected reduction of the variance given amplitude and length scale as they are known now; what a "
        "new estimate would teach of these is not counted."
    )
    return Finding(
        title="Where to put the next point", sentences=(first, second), table=rows,
        caption="The point at which one more estimate of a curve, as exact as its middle one unless [prediction] says "
        "next_standard_error, is expected to leave the smallest sd of its integral.",
        digits={f"next {column}": 3, "se of it": 2, "sd now": 2, "sd after": 2, "less by %": 0},
    )  # fmt: skip
