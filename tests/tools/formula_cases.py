"""Small designs of every kind: one to three factors, nested, crossed, one to three columns, correlated and not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.extend(str(Path(__file__).parents[1] / folder) for folder in (".", "oracles"))
from formula_data import data_of, design_of, term

N = 42


def _columns() -> dict[str, Any]:
    rng = np.random.default_rng(11)
    g = rng.permutation(np.arange(N) % 6)
    return {
        "g": g, "unit": [f"{a}.{b}" for a, b in zip(g, rng.integers(0, 3, N), strict=True)],
        "cell": [f"{a}.{b}" for a, b in zip(g, rng.integers(0, 2, N), strict=True)],
        "region": g // 2, "h": rng.integers(0, 5, N), "i": rng.integers(0, 4, N),
        "x": rng.normal(size=N), "w": rng.normal(size=N), "y": rng.normal(1, 2, N), "offset": rng.normal(size=N),
        "se": rng.uniform(0.3, 2, N), "trials": rng.integers(1, 6, N), "exposure": rng.uniform(0.5, 3, N),
    }  # fmt: skip


C = _columns()


def _rows(design: Any) -> dict[str, Any]:
    return data_of(design, C["y"], se=C["se"], trials=C["trials"], exposure=C["exposure"])


def _of(terms: Callable[[], list[Any]], **keys: Any) -> Callable[[], dict[str, Any]]:
    common = {"intercept": 1, "x": C["x"], "w": C["w"]}
    return lambda: _rows(design_of(common, terms(), N, offset=C["offset"], **keys))


def _t(name: str, correlated: bool = True, **columns: Any) -> Any:
    return term(C[name], correlated, name, **columns)


CASES: dict[str, Callable[[], dict[str, Any]]] = {
    "one factor": _of(lambda: [_t("g", intercept=1)]),
    "correlated slopes": _of(lambda: [_t("g", intercept=1, x=C["x"], w=C["w"])]),
    "uncorrelated slopes": _of(lambda: [_t("g", intercept=1), _t("g", x=C["x"])]),
    "a slope that is no common one": _of(lambda: [_t("g", intercept=1, v=C["x"] ** 2 / 4)]),
    "crossed": _of(lambda: [_t("g", intercept=1), _t("h", intercept=1)]),
    "crossed slopes": _of(lambda: [_t("g", intercept=1, x=C["x"]), _t("h", intercept=1, w=C["w"])]),
    "nested": _of(lambda: [_t("g", intercept=1), _t("unit", intercept=1)]),
    "group inside another": _of(lambda: [_t("g", intercept=1, x=C["x"]), _t("region", intercept=1)]),
    "nested and crossed": _of(
        lambda: [_t("g", intercept=1, x=C["x"]), _t("unit", intercept=1), _t("h", intercept=1, x=C["x"])]
    ),
    "three crossed": _of(lambda: [_t("g", intercept=1), _t("h", intercept=1), _t("i", x=C["x"])]),
    "two crossed inside the group": _of(
        lambda: [_t("g", intercept=1), _t("unit", intercept=1), _t("cell", intercept=1), _t("h", intercept=1)]
    ),
    "nested, the unit is pooled": _of(lambda: [_t("g", intercept=1, x=C["x"]), _t("unit", intercept=1)], group="unit"),
}  # fmt: skip
