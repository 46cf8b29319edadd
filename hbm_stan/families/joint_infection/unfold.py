"""A table with a row a village becomes one with a row for each stream that a village has; what cannot be is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from hbm_stan.errors import DataError
from hbm_stan.families.joint_infection.streams import BLOOD, EGGS, STREAMS, Stream
from hbm_stan.prepare import Prepared
from hbm_stan.table import FloatArray
from hbm_stan.verdicts import Verdict

PART = "stream"  # the column of rows that are predicted
# A stream's level and slope are learnt from villages that have another stream too; with fewer the priors decide (ours).
_FEW_TOGETHER = 5
_SURE = "Sensitivity and specificity of 1 say that every test is right."


def unfold(table: Prepared) -> Prepared:
    """The rows of a village's streams, in the order of the table; ``parts`` are the names of the streams.

    Raises DataError that names columns and rows for cells that do not go together, and for villages and streams without
    a count.
    """
    streams = given(table)
    _refuse_name(table)
    there = [_present(table, stream) for stream in streams]
    for stream, rows in zip(streams, there, strict=True):
        _refuse_counts(table, stream, rows)
    _refuse_without(table, streams, there)
    blood = next((k for k, stream in enumerate(streams) if stream.kind == BLOOD), None)
    if blood is not None:
        refuse_tests(table, there[blood])
    row, part = np.nonzero(np.column_stack(there))
    values: dict[str, FloatArray] = {"part": np.asarray(part + 1.0), **_of_rows(table, streams, row, part)}
    predictors = {role: replace(p, values=p.values[row]) for role, p in table.predictors.items()}
    return replace(
        table, pooled=table.pooled.of_rows(row), values=values, predictors=predictors,
        parts=tuple(stream.name for stream in streams),
    )  # fmt: skip


def given(table: Prepared) -> list[Stream]:
    """The streams that have columns; DataError where there is none, or a column of one is lacking."""
    where, streams = table.dataset.table.where, []
    for stream in STREAMS:
        roles = (stream.count, *(() if stream.kind == EGGS else (stream.out_of,)), *stream.also)
        named = [role for role in (*roles, stream.out_of) if role in table]
        lacking = [role for role in roles if role not in table]
        if named and lacking:
            hint = f" {_SURE}" if stream.kind == BLOOD else ""
            raise DataError(
                f"{where}: the stream of {stream.name} needs columns for {' and '.join(roles)}; found none for "
                f"{' and '.join(lacking)}. Name them under columns, or leave the stream out.{hint}"
            )
        streams += [stream] if named else []
    if not streams:
        raise DataError(
            f"{where}: no stream is named. Under columns, name at least one of eggs (with examined), positive (with "
            "blood_tests, sensitivity and specificity), and infected (with snails)."
        )
    return streams


def _refuse_name(table: Prepared) -> None:
    if PART in [column for role in table.predictors for column in table.dataset.listed(role)]:
        raise DataError(
            f"{table.dataset.table.where}: a predictor may not be called {PART!r}, by which rows that are predicted "
            "say what is counted. Rename the column."
        )


def _present(table: Prepared, stream: Stream) -> npt.NDArray[np.bool_]:
    """Which rows have the stream, (rows,); DataError where one of its cells is empty and another is not."""
    roles = [role for role in (stream.count, stream.out_of, *stream.also) if role in table]
    there = {role: np.isfinite(table[role]) for role in roles}
    count = there[stream.count]
    for role in roles[1:]:
        # What the test is like may be told where nobody was tested.
        off = count & ~there[role] if role in stream.also else count != there[role]
        if off.any():
            row = int(np.flatnonzero(off)[0])
            empty, full = (stream.count, role) if there[role][row] else (role, stream.count)
            column, beside = (table.dataset.column(name) for name in (empty, full))
            raise DataError(
                f"{table.dataset.table.where}, column {column!r}: no value in {_rows(table, off)}, where "
                f"{beside!r} has one. All cells of a stream of a {table.noun.one} are there, or all are empty."
            )
    return np.asarray(count)


def _refuse_counts(table: Prepared, stream: Stream, there: npt.NDArray[np.bool_]) -> None:
    """Raise DataError where nothing was tested, and for a stream that no village has."""
    where, noun = table.dataset.table.where, table.noun
    if not there.any():
        raise DataError(
            f"{where}, column {table.dataset.column(stream.count)!r}: the stream of {stream.name} has no value in any "
            f"row. Take its columns out of the analysis."
        )
    if stream.kind == EGGS:
        return
    none = there & (table[stream.out_of] == 0)
    if none.any():
        raise DataError(
            f"{where}, column {table.dataset.column(stream.out_of)!r}: 0 tested in {_rows(table, none)}, which says "
            f"nothing. Leave all cells of the stream of that {noun.one} empty."
        )


def _refuse_without(table: Prepared, streams: Sequence[Stream], there: list[npt.NDArray[np.bool_]]) -> None:
    """Raise DataError for villages that no stream has a count of."""
    none = ~np.logical_or.reduce(there)
    if none.any():
        label = table.pooled.row_labels[int(np.flatnonzero(none)[0])]
        names = " nor ".join(stream.name for stream in streams)
        raise DataError(
            f"{table.dataset.table.where}: {label!r} has no stream, neither {names}: {_rows(table, none)}. Take the "
            f"row out; `hbm predict` says what its predictors let expect of such a {table.noun.one}."
        )


def refuse_tests(table: Prepared, there: npt.NDArray[np.bool_]) -> None:
    """Raise DataError for tests that are right by more than always, or no better than chance."""
    sure, sound = table["sensitivity"], table["specificity"]
    for role in ("sensitivity", "specificity"):
        above = there & (table[role] > 1)
        if above.any():
            percent = " Write 0.92 for 92 %." if (table[role][above] <= 100).all() else ""
            raise DataError(
                f"{table.dataset.table.where}, column {table.dataset.column(role)!r}: a {role} is a probability, at "
                f"most 1; found {_rows(table, above, table.dataset.column(role))}.{percent}"
            )
    useless = there & (sure + sound <= 1)
    if useless.any():
        row = int(np.flatnonzero(useless)[0])
        raise DataError(
            f"{table.dataset.table.where}: sensitivity {sure[row]:g} and specificity {sound[row]:g} add up to "
            f"{sure[row] + sound[row]:g} in {_rows(table, useless)}: such a test is positive as often, or more often, "
            "in people who are not infected. Above 1 is needed; are the columns swapped, or is one of them 1 less its "
            "value?"
        )


def _of_rows(
    table: Prepared, streams: Sequence[Stream], row: npt.NDArray[np.int64], part: npt.NDArray[np.int64]
) -> dict[str, FloatArray]:
    """The count of each row of a stream, and what it is out of."""
    ones = np.ones(len(row))
    values = {"outcome": 0 * ones, "trials": 0 * ones}
    values |= {name: ones.copy() for name in ("examined", "sensitivity", "specificity")}
    for k, stream in enumerate(streams):
        own = part == k
        at = row[own]
        values["outcome"][own] = table[stream.count][at]
        values["examined" if stream.kind == EGGS else "trials"][own] = (
            table[stream.out_of][at] if stream.out_of in table else 1.0
        )
        for role in stream.also:
            values[role][own] = table[role][at]
    return values


def _rows(table: Prepared, which: npt.NDArray[np.bool_], column: str = "") -> str:
    return table.dataset.table.rows([int(i) for i in np.flatnonzero(which)], column)


def check_streams(table: Prepared) -> list[Verdict]:
    """A warning on a stream that few villages have beside another: nothing ties it to the intensity there."""
    part, noun = np.asarray(table["part"], dtype=np.int64) - 1, table.noun
    has = np.zeros((table.n_groups, len(table.parts)), dtype=bool)
    has[table.pooled.level, part] = True
    several = has.sum(axis=1) > 1
    verdicts = []
    for k, name in enumerate(table.parts if len(table.parts) > 1 else ()):
        together = int((has[:, k] & several).sum())
        if together < _FEW_TOGETHER:
            hint = (
                f"{together} {noun.one if together == 1 else noun.many} {'has' if together == 1 else 'have'} "
                f"{name} beside another stream: how {name} depend on the intensity rests on priors, and on the "
                f"assumption that {noun.many} with and without are alike."
            )
            verdicts.append(
                Verdict(
                    name="streams seen together",
                    status="warn",
                    value=float(together),
                    threshold=float(_FEW_TOGETHER),
                    hint=hint,
                    subject=name,
                )
            )
    return verdicts
