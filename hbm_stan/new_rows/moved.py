"""How far its own rows moved a new group from the population: a table, and the same in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_stan.fit import Fit
from hbm_stan.mixing import WITH_QUARTILES
from hbm_stan.new_rows.new_groups import NewGroups
from hbm_stan.predict import terms_of
from hbm_stan.table import FloatArray

if TYPE_CHECKING:
    import pandas as pd
else:
    from hbm_stan.later import pd

# A new group's sd after its rows over that before, from which on the rows do not determine it, if its mean moved by
# less than half an sd too: they account for at most a fifth of its variance (ours).
NOT_DETERMINED, STAYED = 0.9, 0.5
# And up to which they say more of it than the population does: half the sd is three quarters of the variance (ours).
MOSTLY = 0.5
_SHOWN = 12  # sentences


def summary_of_groups(conditioned: Fit, new: NewGroups, before: FloatArray) -> pd.DataFrame:
    """A line for each new group and coefficient: rows, mean, sd and quantiles, mean and sd before its rows, and whether
    these determine it. ``before`` are draws of the same groups from the population, (S, J[, K])."""
    quantity = conditioned.family.groups.group_quantity
    after = conditioned.draws(quantity)[quantity][:, new.n_known :]
    after, drawn = (a.reshape(*a.shape[:2], -1) for a in (after, before))
    lines: list[dict[str, Any]] = []
    for j, name in enumerate(new.labels):
        for k, term in enumerate(terms_of(conditioned)):
            lines.append(_line(name, term, int(new.sizes[j]), after[:, j, k], drawn[:, j, k]))
    return pd.DataFrame(lines)


def _line(name: str, term: str, rows: int, after: FloatArray, before: FloatArray) -> dict[str, Any]:
    mean, sd = float(after.mean()), float(after.std(ddof=1))
    middle, spread = float(before.mean()), float(before.std(ddof=1))
    ratio = sd / spread if spread > 0 else float("nan")
    quantiles = np.quantile(after, list(WITH_QUARTILES.values()))
    return {
        "group": name, "term": term, "rows": rows, "mean": mean, "sd": sd,
        **dict(zip(WITH_QUARTILES, map(float, quantiles), strict=True)),
        "population_mean": middle, "population_sd": spread, "sd_ratio": ratio,
        "determined": _state(ratio, abs(mean - middle) / spread if spread > 0 else 0.0),
    }  # fmt: skip


def _state(ratio: float, shift: float) -> str:
    """mostly, partly, moved (as wide as before, elsewhere) or no."""
    if ratio <= MOSTLY:
        return "mostly"
    if ratio <= NOT_DETERMINED:
        return "partly"
    return "moved" if shift >= STAYED else "no"


_WORDS = {
    "mostly": "determined mostly by its rows",
    "partly": "narrowed by its rows",
    "moved": "moved by its rows, but no narrower than before",
    "no": "not determined",
}


def in_words(conditioned: Fit, groups: pd.DataFrame) -> Iterator[str]:
    """A sentence for each of the first lines: how much the rows moved it; and the rule of what is not determined."""
    noun, meaning = conditioned.table.noun, conditioned.family.words.group_meaning
    for line in groups.head(_SHOWN).to_dict("records"):
        what = f"{line['group']}, {line['term']}" if line["term"] else f"{meaning.capitalize()} of {line['group']}"
        rows = "its one row" if line["rows"] == 1 else f"its {line['rows']:,} rows"
        before = f"{line['population_mean']:.3g} and {line['population_sd']:.2g}"
        yield (
            f"{what}: {_WORDS[line['determined']]}. Mean {line['mean']:.3g}, sd {line['sd']:.2g} "
            f"given {rows}; before, as any new {noun.one}, {before}."
        )
    if len(groups) > _SHOWN:
        yield f"And {len(groups) - _SHOWN:,} more in the table."
    if groups["term"].nunique() > 1 and (groups["determined"] != "mostly").any():
        yield (
            f"Coefficients are judged one by one. The expected values that they add up to may be known better: look at "
            f"those of the rows of a {noun.one}."
        )
    if (groups["determined"] == "no").any():
        yield (
            f"Not determined: the sd is above {NOT_DETERMINED:g} of that of a new {noun.one} before its rows, and the "
            f"mean within {STAYED:g} of it. What is reported of it is the population."
        )
