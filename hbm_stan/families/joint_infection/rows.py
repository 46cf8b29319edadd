"""Rows that nobody has observed: a count of one stream in a village, known or new."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from hbm_stan.errors import DataError
from hbm_stan.families.joint_infection.streams import BLOOD, BY_KIND, EGGS, ROWS
from hbm_stan.families.joint_infection.unfold import PART
from hbm_stan.families.usual_row import group_predictors_of
from hbm_stan.model import Parts, PartSize, StanData
from hbm_stan.table import FloatArray

IntArray = npt.NDArray[np.int64]


def _kind_of(data: StanData, stream: int) -> int:
    """The kind of a stream, which is counted from 1."""
    return int(np.asarray(data["kind"])[np.asarray(data["stream"]) == stream][0])


def sizes(data: StanData) -> dict[str, PartSize]:
    """What a row of a stream is out of, by role: where it usually is, and whether it is a whole number."""
    known: dict[str, PartSize] = {}
    for stream in sorted(set(np.asarray(data["stream"]).tolist())):
        kind = _kind_of(data, stream)
        own = np.asarray(data["stream"]) == stream
        count = np.asarray(data["examined" if kind == EGGS else "trials"], dtype=float)[own]
        middle = float(np.median(count))
        known[BY_KIND[kind].out_of] = PartSize(middle if kind == EGGS else float(round(middle)), kind != EGGS)
        for role in BY_KIND[kind].also:
            known[role] = PartSize(float(np.median(np.asarray(data[role])[own])), False)
    return known


def of_part(data: StanData, part: IntArray, given: Mapping[str, FloatArray], where: str) -> StanData:
    """The data of rows that each are of a stream (counted from 0), with what they are out of by role.

    Raises DataError for tests that are right by more than always, or no better than chance.
    """
    n = len(part)
    kind = np.array([_kind_of(data, int(k) + 1) for k in part], dtype=np.int64)
    rows: StanData = {"stream": part + 1, "kind": kind, "trials": np.zeros(n, dtype=np.int64)}
    rows |= {name: np.ones(n) for name in ("examined", "sensitivity", "specificity")}
    for one in set(kind.tolist()):
        own, stream = kind == one, BY_KIND[one]
        if stream.out_of in given:
            rows["examined" if one == EGGS else "trials"][own] = given[stream.out_of][own]
        for role in stream.also:
            rows[role][own] = given[role][own]
    blood = kind == BLOOD
    wrong = blood & ((rows["sensitivity"] > 1) | (rows["specificity"] > 1))
    wrong |= blood & (rows["sensitivity"] + rows["specificity"] <= 1)
    if wrong.any():
        i = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"{where}: sensitivity {rows['sensitivity'][i]:g} and specificity {rows['specificity'][i]:g}: each is a "
            "probability, and both must add up to more than 1."
        )
    return rows


PARTS = Parts(column=PART, sizes=sizes, data=of_part, by_row=("stream", *ROWS))


def new_row(data: StanData, options: Mapping[str, Any]) -> tuple[StanData, str]:
    """A count of the first stream in a new village, out of as many as the options say or as in the middle village."""
    u, places = group_predictors_of(data, options)
    kind = _kind_of(data, 1)
    usual_sizes = {role: one.usual for role, one in sizes(data).items()}
    out_of = BY_KIND[kind].out_of
    size = float(options.get("out_of", usual_sizes[out_of]))
    size = size if kind == EGGS else float(max(round(size), 1))
    given = {role: np.array([value]) for role, value in {**usual_sizes, out_of: size}.items()}
    one = np.ones(1, dtype=np.int64)
    design = {**data, **of_part(data, 0 * one, given, "the new row"), "N": 1, "J": 1, "group_idx": one, "y": 0 * one,
              "U": u[None]}  # fmt: skip
    what = f"{BY_KIND[kind].counts} in a new {{group}}, {size:g} {'examined' if kind == EGGS else 'tested'}"
    return design, what + (f": {', '.join(places)}" if places else "")
