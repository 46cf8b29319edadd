"""What the report says of probabilities: a group like the average is not the average over groups; curves by group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_stan.errors import ModelError
from hbm_stan.families import usual_row, varying_terms
from hbm_stan.families.logistic_regression.density import factor_of, mean_of
from hbm_stan.later import expit
from hbm_stan.model import Evidence, Finding, StanData
from hbm_stan.table import FloatArray

if TYPE_CHECKING:
    import pandas as pd
else:
    from hbm_stan.later import pd

_PANELS, _GRID = 8, 41  # of the curves: most groups, points of each
_BINS = 6  # of the observed shares in a panel, where there are more values of the predictor
_NODES = 41  # of the average over groups, one integral for each draw
_QUANTILES = {"q10": 0.1, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q90": 0.9}


def new_row(data: StanData, options: Mapping[str, Any]) -> tuple[StanData, str]:
    """One row of a new group: predictors and trials of the options, else the usual row and one trial."""
    design, row_text = usual_row.new_row(data, options)
    trials = float(options.get("trials", 1))
    if not 1 <= trials < 2**31 or trials != int(trials):
        raise ModelError(f"prediction.trials must be a whole number above zero, found {trials:g}.")
    one = np.ones(1, dtype=np.int64)
    what = "outcome, 0 or 1," if trials == 1 else f"successes out of {int(trials):,} trials"
    return {**design, "y": 0 * one, "trials": int(trials) * one}, f"{what} of {row_text}"


def findings(evidence: Evidence) -> list[Finding]:
    """Probabilities of an average group, over groups and of a new group; curves against the first predictor."""
    probabilities = [_probabilities(evidence)] if "tau" in evidence.draws else []
    return [
        *probabilities,
        *varying_terms.explained(evidence),
        *([_curves(evidence)] if evidence.data["K"] > 1 else []),
    ]


def _probabilities(evidence: Evidence) -> Finding:
    named = {"coords": varying_terms.coords(evidence.table), "levels": evidence.table.levels}
    design, stands = usual_row.row_of(evidence.data, {**evidence.options, **named})
    mean = mean_of(evidence.draws, design)[:, 0] @ design["X"][0]
    sd = np.sqrt(((design["X"] @ factor_of(evidence.draws))[:, 0] ** 2).sum(axis=1))
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    over = expit(mean[:, None] + sd[:, None] * nodes) @ (weights / weights.sum())
    noun = evidence.table.noun
    rows = {
        f"average {noun.one}": expit(mean),
        f"averaged over {noun.many}": over,
        f"a new {noun.one}": expit(mean + sd * evidence.rng.normal(size=len(sd))),
    }
    table = pd.DataFrame({
        "probability of": list(rows), "mean": [p.mean() for p in rows.values()],
        "q05": [np.quantile(p, 0.05) for p in rows.values()], "q95": [np.quantile(p, 0.95) for p in rows.values()],
    })  # fmt: skip
    low, high = table.loc[2, ["q05", "q95"]]
    at = ", ".join(stands)
    over_all = f"averaged over the {noun.many} of the population it is {table.loc[1, 'mean']:.3f}."
    average = (
        f"{'At ' + at + ', the' if at else 'The'} average {noun.one}, whose coefficients are the population's means, "
        f"has a success probability of {table.loc[0, 'mean']:.3f}; {over_all}"
    )
    # Page one has the average group beside this, by its median.
    first = (
        f"Averaged over the {noun.many} of the population, the success probability{' at ' * bool(at)}{at} is about "
        f"{table.loc[1, 'mean']:.3f}."
    )
    sentences = (
        f"{average} The two differ because the curve from log odds to probability is bent: the first describes one "
        f"{noun.one} in the middle, the second what to expect over many {noun.many}.",
        f"A single new {noun.one} has a success probability between {low:.3f} and {high:.3f} with probability 0.9.",
    )
    caption = "Success probability at the chosen predictors: posterior mean and 90 % interval."
    digits = {"mean": 3, "q05": 3, "q95": 3}
    return Finding(
        title=f"Success probability: the average {noun.one}, and the average over {noun.many}", sentences=sentences,
        table=table, caption=caption, digits=digits, first=first,
    )  # fmt: skip


def _curves(evidence: Evidence) -> Finding:
    """Probability against the first predictor in the largest groups, other predictors at the group's means."""
    data, table = evidence.data, evidence.table
    x, trials, name = np.asarray(data["X"]), np.asarray(data["trials"]), varying_terms.design(table)[0][1]
    size = np.bincount(table.pooled.level, weights=trials, minlength=data["J"])
    shown = np.sort(np.argsort(-size, kind="stable")[:_PANELS])
    grid = np.linspace(x[:, 1].min(), x[:, 1].max(), _GRID)
    squares = [k for k in range(2, data["K"]) if np.allclose(x[:, k], x[:, 1] ** 2)]  # a square moves with its root
    curves, points = [], []
    for j in shown:
        own = table.pooled.level == j
        at = np.tile(np.average(x[own], axis=0, weights=trials[own]), (_GRID, 1))
        at[:, 1] = grid
        at[:, squares] = grid[:, None] ** 2
        bands = np.quantile(expit(evidence.draws["theta"][:, j] @ at.T), list(_QUANTILES.values()), axis=0)
        label = table.pooled.labels[j]
        curves.append(pd.DataFrame({"panel": label, "x": grid, **dict(zip(_QUANTILES, bands, strict=True))}))
        shares = _shares(x[own, 1], np.asarray(data["y"])[own], trials[own])
        points.append(shares.assign(panel=label, kind="observed"))
    some = f" Shown are the {len(shown)} {table.noun.many} with the most trials." if len(shown) < data["J"] else ""
    unit = table.dataset.unit_of(name)
    x_label = f"{table.dataset.meaning(name)} ({unit})" if unit else table.dataset.meaning(name)
    others = ", the other predictors at its means; the observed shares are as they are" if data["K"] > 2 else ""
    sentence = (
        f"Success probability against {name} in each {table.noun.one}{others}. Bands are 50 % and 80 % intervals. "
        f"Observed shares are taken together in at most {_BINS} ranges of {name}.{some}"
    )
    return Finding(
        title=f"Success probability against {name}", sentences=(sentence,), curves=pd.concat(curves, ignore_index=True),
        points=pd.concat(points, ignore_index=True), x_label=x_label, y_label="success probability",
    )  # fmt: skip


def _shares(x: FloatArray, y: FloatArray, trials: FloatArray) -> pd.DataFrame:
    """Observed shares at the mean of x in ranges that hold about as many rows each."""
    values, place = np.unique(x, return_inverse=True)
    if len(values) > _BINS:
        edges = np.quantile(x, np.linspace(0, 1, _BINS + 1)[1:-1])
        place = np.searchsorted(edges, x, side="right")
    total = np.bincount(place, weights=trials)
    used = total > 0
    shares = np.bincount(place, weights=y)[used] / total[used]
    return pd.DataFrame({"x": np.bincount(place, weights=trials * x)[used] / total[used], "y": shares})
