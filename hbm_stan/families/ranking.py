"""Which rate is highest: a section of the report for families whose groups are alternatives to choose between."""

from __future__ import annotations

import numpy as np

from hbm_stan.model import Evidence, Finding

# Beyond so many groups hardly any has a chance worth printing of being the best one.
_MOST_RANKED = 200
_RANKED_ROWS = 15  # of the table of the best


def which_is_highest(evidence: Evidence) -> list[Finding]:
    """Which rate is highest: the probability of each group, and what choosing it loses on average."""
    theta, labels, noun = evidence.draws["theta"], evidence.table.pooled.labels, evidence.table.noun
    if ("mu" in evidence.draws and "kappa" not in evidence.draws) or not 2 <= len(labels) <= _MOST_RANKED:
        return []
    highest = theta.max(axis=1)
    import pandas as pd

    table = pd.DataFrame({
        "group": labels,
        "rate": theta.mean(axis=0),
        "P(highest)": np.bincount(theta.argmax(axis=1), minlength=len(labels)) / len(theta),
        "expected loss": (highest[:, None] - theta).mean(axis=0),
    }).sort_values("expected loss", kind="stable").reset_index(drop=True)  # fmt: skip
    best, likeliest = table.iloc[0], table.loc[table["P(highest)"].idxmax()]
    loss, decimals = float(best["expected loss"]), 4
    first = (
        f"Where a high rate is good, {best['group']} is the one to choose: on average its rate lies "
        f"{loss:.{decimals}f} below the highest of the {len(labels)}."
    )
    sentences = [
        f"{first} No other {noun.one} has a smaller expected loss. The probability that its rate is the highest is "
        f"{best['P(highest)']:.2f}.",
        f"The expected loss counts by how much another {noun.one} is better, the probability of the highest rate only "
        "whether one is. Where a low rate is the good one, neither is what to choose by.",
    ]
    if likeliest["group"] != best["group"]:
        likely = f"{likeliest['group']} has the highest rate with probability {likeliest['P(highest)']:.2f}."
        sentences.insert(1, likely)
    caption = f"The {min(_RANKED_ROWS, len(table))} {noun.many} with the smallest expected loss, with their mean rates."
    shown = table.head(_RANKED_ROWS).rename(columns={"group": noun.one})
    digits = {"rate": decimals, "P(highest)": 2, "expected loss": decimals}
    return [
        Finding(
            title="Which rate is highest",
            sentences=tuple(sentences),
            table=shown,
            caption=caption,
            digits=digits,
            first=first,
        )
    ]
