"""What a trial asks for: the mean over all rows, seen or not, and how far it lies apart between two levels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hbm_stan.families.missing_outcomes.columns import assumed, at_level, indicator
from hbm_stan.families.missing_outcomes.density import fitted, shift
from hbm_stan.families.totals import row_index
from hbm_stan.later import ndtr
from hbm_stan.model import Draws, Estimand, Evidence, Finding, StanData
from hbm_stan.portions import portions
from hbm_stan.table import FloatArray

if TYPE_CHECKING:
    import pandas as pd
else:
    from hbm_stan.later import pd

ALL = "mean over all rows"


def rows_of(data: StanData) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """(1, x) of all rows, those that were seen first, (n, K), and the group of each, counted from 0."""
    x = np.vstack([data["X"], np.asarray(data["X_unseen"], dtype=float).reshape(-1, data["K"])])
    return x, np.concatenate([row_index(data), np.asarray(data["group_idx_unseen"], dtype=np.int64) - 1])


def mean_over(draws: Draws, data: StanData, x: FloatArray, delta: FloatArray) -> FloatArray:
    """The mean of the expected outcome of all rows with these predictors, in their own groups, (S,); delta (S,).

    In a selection model it is that of the regression, which is of all rows. In a pattern mixture the regression is of
    rows that are seen, and others are shifted: by delta times the probability of being unseen.
    """
    _, group = rows_of(data)
    share = np.bincount(group, minlength=data["J"]) / len(group)
    mean = draws["theta"] @ share + draws["beta"] @ x[:, 1:].mean(axis=0)
    if data["selection"]:
        return np.asarray(mean)
    reach = x @ np.asarray(data["reach"], dtype=float)
    return np.asarray(mean + delta * _mean_unseen(draws, x, reach))


def _mean_unseen(draws: Draws, x: FloatArray, weight: FloatArray) -> FloatArray:
    """The mean over rows of their weight times the probability of being unseen without selection, (S,)."""
    mean = np.empty(len(draws["eta"]))
    for part in portions(len(mean), len(x)):
        mean[part] = ndtr(draws["eta"][part] @ x.T) @ weight / len(x)
    return mean


def gap(draws: Draws, data: StanData, delta: FloatArray) -> FloatArray:
    """How far unseen outcomes lie from seen ones of rows like them, (S,): the mean over rows that delta is of."""
    if not data["selection"]:
        return delta
    x, group = rows_of(data)
    own = np.flatnonzero(x @ np.asarray(data["reach"], dtype=float) > 0)
    apart = np.empty(len(delta))
    for part in portions(len(delta), len(own)):
        some = {name: draws[name][part] for name in ("theta", "beta", "eta", "sigma")}
        mean = fitted(some["theta"][:, group[own]], some, x[own])
        seen, unseen = shift(some, data, x[own], mean)
        apart[part] = (unseen - seen).mean(axis=1)
    return apart


def estimand(evidence: Evidence, delta: FloatArray | None = None) -> Estimand:
    """Draws of what the conclusion is about, of its parts, and of how far unseen outcomes lie from seen ones.

    ``delta`` (S,) takes the place of that of the data in a pattern mixture, where draws do not depend on it. A part is
    the mean over all rows of the table if all were at one level, each in its own group and else as it is.
    """
    draws, data, table = evidence.draws, evidence.data, evidence.table
    given = np.full(len(draws["sigma"]), float(data["delta"])) if delta is None else delta
    x, _ = rows_of(data)
    sides = assumed(table).sides
    if sides is None:
        whole = mean_over(draws, data, x, given)
        return Estimand(name=ALL, values=whole, parts={}, gap=gap(draws, data, given))
    parts = {
        f"{column} = {level}": mean_over(draws, data, at_level(x, table, column, level), given)
        for column, level in sides
    }
    first, second = parts.values()
    return Estimand(name=" - ".join(parts), values=first - second, parts=parts, gap=gap(draws, data, given))


def findings(evidence: Evidence) -> list[Finding]:
    """Who was seen: rows, those without an outcome, and the mean of the others, by the levels that are compared."""
    data, table = evidence.data, evidence.table
    x, _ = rows_of(data)
    sides = assumed(table).sides
    settings = {f"{c} = {v}": indicator(table, c, v, "contrast") for c, v in sides} if sides else {}
    whole = {"all rows": np.eye(x.shape[1])[0]}
    y, n = np.asarray(data["y"]), data["N"]
    rows = []
    for name, coefficients in {**settings, **whole}.items():
        inside = x @ coefficients > 0
        seen = inside[:n]
        rows.append({
            "rows": name, "in all": int(inside.sum()), "unseen": int(inside[n:].sum()),
            "share unseen, %": 100 * float(inside[n:].sum() / inside.sum()), "mean seen": float(y[seen].mean()),
        })  # fmt: skip
    total = rows[-1]
    among = ", ".join(f"{r['share unseen, %']:.0f} % where {r['rows']}" for r in rows[:-1])
    share = f"{total['share unseen, %']:.0f} %" + (f"; {among}" if among else "")
    sentence = f"The outcome of {total['unseen']} of {total['in all']} rows is missing ({share})."
    digits = {"share unseen, %": 1, "mean seen": 2}
    caption = "Rows, those whose outcome is missing, and the mean of the outcomes that were seen."
    return [
        Finding(title="Who was not seen", sentences=(sentence,), table=pd.DataFrame(rows), caption=caption,
                digits=digits),
    ]  # fmt: skip
