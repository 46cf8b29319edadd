"""Separation: levels or sides of a predictor with successes only, or failures only.

The likelihood then has no finite maximum (Albert & Anderson 1984, Biometrika 71:1), and the prior alone keeps the
coefficient finite.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hbm_stan.families.logistic_regression.columns import counts
from hbm_stan.families.varying_terms import effects_beyond
from hbm_stan.model import Variant
from hbm_stan.prepare import Prepared
from hbm_stan.table import FloatArray, shorten
from hbm_stan.verdicts import Verdict

_SHOWN = 3  # levels that a message names


def unlearnable(table: Prepared, variant: Variant) -> str:
    """Why slopes of groups cannot be learnt from these rows: as many effects as trials; empty where they can."""
    return effects_beyond(table, variant, int(counts(table)[1].sum()))


def separation(table: Prepared) -> list[Verdict]:
    """A warning for each predictor that separates successes from failures, or where there is nothing to separate."""
    y, trials = counts(table)
    if y.sum() in (0, trials.sum()):
        column = next(table.dataset.column(r) for r in ("outcome", "successes") if r in table)
        hint = (
            f"{column!r}: {y.sum():,.0f} of {trials.sum():,.0f} are successes. Such an outcome says on which side the "
            "log odds lie, and the priors how far."
        )
        return [Verdict(name="separation", status="warn", value=None, threshold=None, hint=hint, subject=column)]
    verdicts = []
    for predictors in table.predictors.values():
        columns = dict(zip(predictors.names, predictors.values.T, strict=True))
        for column, levels in predictors.levels.items():
            indicators = [columns.pop(f"{column}={level}") for level in levels[1:] if f"{column}={level}" in columns]
            level = np.sum([(k + 1) * values for k, values in enumerate(indicators)], axis=0).astype(int)
            verdicts += _of_category(column, levels, level, y, trials)
        for name, x in columns.items():
            verdicts += _of_number(name, x, y, trials)
    return verdicts


def _of_category(
    column: str, levels: tuple[str, ...], level: npt.NDArray[Any], y: FloatArray, trials: FloatArray
) -> list[Verdict]:
    """Of a category: its levels of successes only, or of failures only."""
    won, total = (np.bincount(level, weights=w, minlength=len(levels)) for w in (y, trials))
    alone = [k for k in range(len(levels)) if won[k] in (0, total[k])]
    if not alone:
        return []
    named = "; ".join(f"{column} = {shorten(levels[k])}: {_share(won[k], total[k])}" for k in alone[:_SHOWN])
    more = f"; and {len(alone) - _SHOWN} more levels" if len(alone) > _SHOWN else ""
    reference = " It is the level that the others are compared with." if alone == [0] else ""
    return [_verdict(column, f"{named}{more}.{reference}", len(alone))]


def _of_number(name: str, x: FloatArray, y: FloatArray, trials: FloatArray) -> list[Verdict]:
    """Of a predictor of numbers: all successes on one side of a value, and all failures on the other."""
    won, lost = x[y > 0], x[y < trials]
    if won.min() >= lost.max():
        sides = ("from", won.min(), "up to", lost.max())
    elif won.max() <= lost.min():
        sides = ("up to", won.max(), "from", lost.min())
    else:
        return []
    values = np.unique(x)
    if len(values) == 2:
        level = np.searchsorted(values, x)
        return _of_category(name, tuple(f"{v:g}" for v in values), level, y, trials)
    where, success, there, failure = sides
    sentence = f"{name}: all successes lie {where} {success:g}, all failures {there} {failure:g}."
    return [_verdict(name, sentence, 1)]


def _share(won: float, total: float) -> str:
    return f"{won:,.0f} of {total:,.0f} are successes"


def _verdict(column: str, sentence: str, count: int) -> Verdict:
    hint = (
        f"{sentence} The data say the sign of such a coefficient, and that it is large; how large, its prior says. "
        "Give that prior on purpose, and see what others change with `hbm sensitivity`."
    )
    return Verdict(name="separation", status="warn", value=count, threshold=0, hint=hint, subject=column)
