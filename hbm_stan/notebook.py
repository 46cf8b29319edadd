"""How results show themselves in a notebook: a head, sentences, and a table, with every text escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from hbm_stan.verdicts import Verdict
else:
    from hbm_stan.later import pd

MOST_ROWS = 40  # of a table; of a longer one the ends are shown (ours)
_SUMMARY = ("parameter", "mean", "sd", "5 %", "50 %", "95 %")
_VERDICT = ("check", "status", "where", "value", "limit", "what to do")


def card(head: str, lines: Iterable[str] = (), table: pd.DataFrame | None = None) -> str:
    """HTML of a result: ``head`` in bold, a paragraph for each line, the table with four significant digits."""
    parts = [f"<p><strong>{escape(head)}</strong></p>", *(f"<p>{escape(line)}</p>" for line in lines)]
    if table is not None:
        parts.append(table.to_html(float_format=_digits, border=0, max_rows=MOST_ROWS, na_rep="–", index=False))
    return "<div>" + "\n".join(parts) + "</div>"


def _digits(value: float) -> str:
    """Four significant digits, with a minus."""
    return f"{value:,.4g}".replace("-", "\N{MINUS SIGN}")


def table_of(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> pd.DataFrame:
    """A table of these columns."""
    return pd.DataFrame(list(rows), columns=list(columns))


def summary_of(draws: Mapping[str, np.ndarray[Any, Any]]) -> pd.DataFrame:
    """Mean, sd and quantiles of each variable, its draws joined (S, ...); elements are counted from 1."""
    rows = []
    for name, values in draws.items():
        for k, own in enumerate(values.reshape(len(values), -1).T):
            label = name if values.ndim == 1 else f"{name}[{k + 1}]"
            rows.append((label, own.mean(), own.std(ddof=1), *np.quantile(own, [0.05, 0.5, 0.95])))
    return table_of(_SUMMARY, rows)


def verdict_table(verdicts: Iterable[Verdict]) -> pd.DataFrame:
    """Verdicts as a table, what to do last."""
    return table_of(
        _VERDICT,
        ((v.name, v.status + ", waived" * v.waived, v.subject, v.value, v.threshold, v.hint) for v in verdicts),
    )
