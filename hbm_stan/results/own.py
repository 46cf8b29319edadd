"""A section that only one family has, as plain values."""

from __future__ import annotations

from typing import Any

from hbm_stan.model import Finding

_TABLES = ("table", "curves", "points", "areas", "borders", "sweep", "intervals")
_WORDS = ("title", "caption", "x_label", "y_label")


def own_of(finding: Finding) -> dict[str, Any]:
    """An entry of ``findings``: its words, its tables, its sentences."""
    frames = {name: getattr(finding, name) for name in _TABLES}
    records = {name: None if frame is None else frame.to_dict("records") for name, frame in frames.items()}
    words = {name: getattr(finding, name) for name in _WORDS}
    return {**words, **records, "sentences": list(finding.sentences), "digits": dict(finding.digits)}
