"""What a sweep over delta says in words, and its table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from hbm_stan.missingness import FORMS_IN_WORDS, SELECTION
from hbm_stan.model import Finding
from hbm_stan.sensitivity.tipping import Row, Tips
from hbm_stan.sensitivity.unseen import Unseen

if TYPE_CHECKING:
    import pandas as pd
else:
    from hbm_stan.later import pd

TITLE = "From which delta on the conclusion changes"
_OTHER = {"above": "below", "below": "above"}


def sentences(swept: Unseen) -> tuple[str, ...]:
    """The answer, what else is said at which delta, the prior of delta, and that no row tells it."""
    texts = [_answer(swept)]
    if swept.over_prior is not None:
        over = swept.over_prior
        texts.append(
            f"Over delta ~ {swept.prior} it is {_interval(swept, over)}, above {_n(swept.threshold)} with probability "
            f"{over.p_above:.2f}; rows do not update that prior."
        )
    elif swept.prior:
        texts.append(f"Over delta ~ {swept.prior} nothing is said: a fit under one of its deltas failed its checks.")
    texts.append(f"All else here is said at delta = {_n(swept.main)}: {FORMS_IN_WORDS[swept.form]}{_whose(swept)}.")
    texts.append(
        "Delta is assumed. No row tells it"
        + (", but through the outcome being normal, which no row tells either." if swept.form == SELECTION else ".")
    )
    if swept.tips.stopped:
        texts.append("Fits at some deltas failed their checks; beyond these nothing is known of the conclusion.")
    return tuple(texts)


def _answer(swept: Unseen) -> str:
    base = next(row for row in swept.rows if row.delta == 0)
    if base.side == "unknown":
        return "At delta = 0, where missing outcomes are like those that were seen, the fit failed its checks."
    side = f"on neither side of {_n(swept.threshold)}" if base.side == "open" else f"{base.side} {_n(swept.threshold)}"
    start = f"If missing outcomes are like seen ones (delta = 0), {_named(swept)} is {_interval(swept, base)}: {side}"
    return f"{start}; {_until(swept, base)}."


def _until(swept: Unseen, base: Row) -> str:
    """How far the conclusion holds, on both sides of delta = 0."""
    tips = swept.tips
    ends = [end for end in (_tip(swept, tips, down=True), _tip(swept, tips, down=False)) if end]
    known = [row.delta for row in swept.rows if row.side != "unknown"]
    tried = f"{_n(min(known))} to {_n(max(known))}"
    if not ends:
        return f"so at every delta tried, {tried}" + (", as far as fits passed" if tips.stopped else "")
    if base.side == "open":
        return f"a conclusion is drawn {' and '.join(ends)} (tried: {tried})"
    return f"that conclusion no longer holds {' and '.join(ends)} (tried: {tried})"


def _tip(swept: Unseen, tips: Tips, *, down: bool) -> str:
    delta, gap = (tips.below, tips.gap_below) if down else (tips.above, tips.gap_above)
    if not math.isfinite(delta):
        return ""
    where = f"from delta = {_n(delta)} {'downwards' if down else 'upwards'}"
    apart = f"{_n(abs(gap))} {swept.unit}".strip() + (" below" if gap < 0 else " above")
    return f"{where}, where unseen outcomes{_whose(swept)} lie {apart} seen ones"


def _whose(swept: Unseen) -> str:
    return f" (of {swept.rows_text})" if swept.rows_text else ""


def _named(swept: Unseen) -> str:
    return f"the {swept.name}" if " = " not in swept.name else _in_words(swept)


def _in_words(swept: Unseen) -> str:
    """The conclusion's name as words: arm = drug less arm = placebo."""
    return swept.name.replace(" - ", " less ")


def _interval(swept: Unseen, row: Row) -> str:
    return f"{_n(row.q50)} {swept.unit}".strip() + f" (90 % interval {_n(row.q05)} to {_n(row.q95)})"


def _n(value: float) -> str:
    return f"{0.0 if abs(value) < 1e-12 else value:.3g}"


def table_of(swept: Unseen) -> pd.DataFrame:
    """A row for each delta: how far unseen outcomes lie from seen ones, the estimate, and the conclusion."""
    threshold = _n(swept.threshold)
    words = {"above": f"above {threshold}", "below": f"below {threshold}", "open": "open", "unknown": "checks failed"}
    rows: list[dict[str, Any]] = []
    for row in swept.rows:
        gap = {"unseen less seen": row.gap} if swept.form == SELECTION else {}
        star = "*" if row.delta == swept.main else ""
        rows.append({
            "delta": row.delta, **gap, "median": row.q50, "q05": row.q05, "q95": row.q95,
            f"P(above {threshold})": row.p_above, "conclusion": words[row.side] + star,
        })  # fmt: skip
    return pd.DataFrame(rows)


def finding_of(swept: Unseen) -> Finding:
    """The sweep as a section of a report, with its table and its figure."""
    table = table_of(swept)
    decimals = _decimals(swept)
    digits = dict.fromkeys(("median", "q05", "q95", "unseen less seen"), decimals)
    digits |= {name: 3 for name in table if name.startswith("P(")}
    first, *rest = sentences(swept)
    over = rest[:1] if swept.prior else []
    page_one = " ".join([first, *over, f"All else here is at delta = {_n(swept.main)}."])
    what = f"{_named(swept)} over all rows, seen or not" if " = " in swept.name else _named(swept)
    drawn = pd.DataFrame([
        {"delta": row.delta, "q05": row.q05, "q50": row.q50, "q95": row.q95} for row in swept.rows if row.n_draws
    ])  # fmt: skip
    tips = [tip for tip in (swept.tips.below, swept.tips.above) if math.isfinite(tip)]
    drawn = drawn.assign(threshold=swept.threshold, main=swept.main, tips=[tips] * len(drawn))
    shift = "delta: shift of unseen outcomes" + (f" ({swept.unit})" if swept.unit else "")
    form = "delta: probits of being unseen per unit" if swept.form == SELECTION else shift
    return Finding(
        title=TITLE, sentences=(first, *rest), table=table, digits=digits, sweep=drawn, first=page_one,
        caption=f"By delta, {what}: posterior median and 90 % interval. The star marks the delta of all else here.",
        x_label=form, y_label=f"{_in_words(swept)} ({swept.unit})" if swept.unit else _in_words(swept),
    )  # fmt: skip


def _decimals(swept: Unseen) -> int:
    """Two digits of the width of the interval at delta = 0."""
    widths = [row.q95 - row.q05 for row in swept.rows if row.n_draws and row.q95 > row.q05]
    return max(1 - math.floor(math.log10(min(widths))), 0) if widths else 2
