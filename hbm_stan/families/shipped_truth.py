"""True values of simulated data that come along, for reports that show them beside the estimates."""

from __future__ import annotations

import csv
import hashlib

from hbm_stan.prepare import Prepared
from hbm_stan.resources import share


def true_values(table: Prepared, name: str) -> dict[str, float]:
    """The true ``name`` of each group, from the truth.csv beside data that come along; nothing for other data."""
    folder = share("data") / table.dataset.name
    if not (folder / "truth.csv").is_file() or not (folder / "data.csv").is_file():
        return {}
    if hashlib.sha256((folder / "data.csv").read_bytes()).hexdigest() != table.dataset.sha256:
        return {}
    with (folder / "truth.csv").open(encoding="utf-8", newline="") as file:
        return {row["group"]: float(row["value"]) for row in csv.DictReader(file) if row["name"] == name}
