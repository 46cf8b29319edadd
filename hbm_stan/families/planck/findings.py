"""What a report shows of Planck curves only: each spectrum with its curve and bands, beside the truth where known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hbm_stan.families.planck.curve import planck_curve
from hbm_stan.families.shipped_truth import true_values
from hbm_stan.model import Evidence, Finding

if TYPE_CHECKING:
    import pandas as pd
else:
    from hbm_stan.later import pd

# Draws that bands are made of.
_CURVES = 1000
_BANDS = ("q10", "q25", "q50", "q75", "q90")


def findings(evidence: Evidence) -> Sequence[Finding]:
    """The curve of each spectrum with its 50 % and 80 % bands, beside the points and, where known, the true curve."""
    data, table = evidence.data, evidence.table
    thin = np.linspace(0, len(evidence.draws["T"]) - 1, min(_CURVES, len(evidence.draws["T"]))).astype(int)
    temperature, nu = evidence.draws["T"][thin], np.asarray(data["nu"])
    x = np.linspace(nu.max() / 80, nu.max(), 80)
    curves = []
    for j, label in enumerate(table.pooled.labels):
        q = np.quantile(planck_curve(x, temperature[:, j, None]), (0.1, 0.25, 0.5, 0.75, 0.9), axis=0)
        curves.append(pd.DataFrame({"panel": label, "x": x, **dict(zip(_BANDS, q, strict=True))}))
    panel = table.pooled.row_labels
    points = [pd.DataFrame({"panel": panel, "x": nu, "y": data["y"], "kind": "observed"})]
    truth = true_values(table, "T")
    known = [label for label in table.pooled.labels if label in truth]
    points += [
        pd.DataFrame({"panel": label, "x": x, "y": planck_curve(x, np.array(truth[label])), "kind": "truth"})
        for label in known
    ]
    sentences = ["Bands hold the curve itself, without errors, with probability 50 % and 80 %; the line is its median."]
    if known:
        bounds = np.quantile(evidence.draws["T"], (0.1, 0.9), axis=0)
        inside = sum(bounds[0, j] <= truth[g] <= bounds[1, j] for j, g in enumerate(table.pooled.labels) if g in truth)
        sentences.append(f"The true temperature lies within its 80 % interval in {inside} of {len(known)} spectra.")
    if data["truncated"]:
        low, high = np.min(data["y_lower"]), np.max(data["y_upper"])
        sentences.append(f"Fluxes below {low:g} or above {high:g} are taken as never recorded (truncated).")
    title, curve, shown = "Spectra and their Planck curves", pd.concat(curves), pd.concat(points)
    x_label, y_label = table.dataset.column("frequency"), table.dataset.column("flux")
    return [
        Finding(title=title, sentences=tuple(sentences), curves=curve, points=shown, x_label=x_label, y_label=y_label)
    ]
