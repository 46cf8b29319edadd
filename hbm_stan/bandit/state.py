"""What is kept from one day to the next: the counts of all arms, which are retired, and the priors of the first day.

A JSON file with a version and the hash of its content, written beside and renamed: it is whole or it is the old one.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from hbm_stan.bandit.arms import Arms
from hbm_stan.errors import DataError, nearest
from hbm_stan.files import write_json
from hbm_stan.resources import refuse_no_file
from hbm_stan.table import shorten

VERSION = 1
KIND = "hbm_stan decide"
_SHOWN, _SHOWN_GONE = 5, 50  # how many arms a message names; of arms that are retired
_LARGEST = 256 * 2**20  # bytes of a state file: more is none


@dataclass(frozen=True, kw_only=True)
class State:
    """Counts of all arms so far, in the order in which they came, and what was chosen on the first day.

    ``priors`` are texts by name, ``columns`` the columns of tables by role, ``retired`` arms out of play, ``tables``
    the hashes of the tables that were added.
    """

    labels: tuple[str, ...]
    successes: tuple[int, ...]
    trials: tuple[int, ...]
    priors: Mapping[str, str]
    columns: Mapping[str, str]
    retired: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()


@dataclass(frozen=True)
class Day:
    """A state after a table, and in words what the table did to it."""

    state: State
    notes: tuple[str, ...]


def first_day(arms: Arms, priors: Mapping[str, str], columns: Mapping[str, str]) -> State:
    """The state that a first table gives."""
    return State(
        labels=arms.labels, successes=_whole(arms.hits), trials=_whole(arms.trials), priors=dict(priors),
        columns=dict(columns), tables=(arms.sha256,),
    )  # fmt: skip


def next_day(state: State, arms: Arms, *, totals: bool = False, again: bool = False) -> Day:
    """Yesterday's state with a table of today: new results, which are added, or totals since the first day.

    An arm that is not in a table of results had none; one that is not in a table of totals is gone and retired. A
    retired arm that stands in the table is in play again. DataError where the table is of other arms, was added
    already (unless ``again``), or has totals that fell.
    """
    if not set(arms.labels) & set(state.labels):
        raise DataError(
            f"{arms.where}: none of its arms ({_named(arms.labels)}) is among those of the state "
            f"({_named(state.labels)}). Name the state file of these arms. If all of them are new, put a known "
            "one into the table too, with 0 trials."
        )
    if arms.sha256 in state.tables and not (totals or again):
        raise DataError(
            f"{arms.where}: a table with exactly this content is in the state already, and its results would count "
            "twice. Leave the table out to decide on what is in the state; --again adds it if the results are new; "
            "--totals takes a table of all results since the beginning."
        )
    day = _with_totals(state, arms) if totals else _with_results(state, arms)
    retired, known = set(state.retired), set(state.labels)
    back = [label for label in arms.labels if label in retired]
    new = [label for label in arms.labels if label not in known]
    notes = [f"In play again: {_named(back)}."] if back else []
    notes += [f"New arms: {_named(new)}."] if new else []
    still = tuple(label for label in day.state.retired if label not in set(back))
    return Day(replace(day.state, retired=still, tables=(*state.tables, arms.sha256)), (*day.notes, *notes))


def retire(state: State, names: Sequence[str]) -> State:
    """The state without these arms in play; their counts stay. DataError for a name that no arm has."""
    for name in names:
        if name not in state.labels:
            raise DataError(f"--retire: there is no arm {shorten(name)!r}. {nearest(name, state.labels)}")
    return replace(state, retired=tuple(dict.fromkeys([*state.retired, *names])))


def _with_results(state: State, arms: Arms) -> Day:
    counts = dict(zip(state.labels, zip(state.successes, state.trials, strict=True), strict=True))
    for label, y, n in zip(arms.labels, _whole(arms.hits), _whole(arms.trials), strict=True):
        before = counts.get(label, (0, 0))
        counts[label] = before[0] + y, before[1] + n
    silent = _absent(state, arms)
    notes = [f"{int(arms.trials.sum()):,} new trials are added to {sum(state.trials):,} of before."]
    if silent:
        notes.append(f"Not in the table, without new results, and still in play: {_named(silent)}.")
    return Day(_counted(state, counts), tuple(notes))


def _with_totals(state: State, arms: Arms) -> Day:
    counts = dict(zip(state.labels, zip(state.successes, state.trials, strict=True), strict=True))
    for label, y, n in zip(arms.labels, _whole(arms.hits), _whole(arms.trials), strict=True):
        before = counts.get(label, (0, 0))
        if y < before[0] or n - y < before[1] - before[0]:
            raise DataError(
                f"{arms.where}: {shorten(label)!r} has {y:,} successes of {n:,} trials, and had {before[0]:,} of "
                f"{before[1]:,} before. Totals do not fall: if the table has new results only, leave --totals out."
            )
        counts[label] = y, n
    gone = _absent(state, arms)
    notes = [f"{sum(n for _, n in counts.values()) - sum(state.trials):,} trials are new since before."]
    if gone:
        notes.append(
            f"Not in the table, and so retired: {_named(gone, _SHOWN_GONE)}. What they taught of the others stays."
        )
    return Day(replace(_counted(state, counts), retired=(*state.retired, *gone)), tuple(notes))


def _absent(state: State, arms: Arms) -> list[str]:
    """The arms in play that the table does not have."""
    there = {*arms.labels, *state.retired}
    return [label for label in state.labels if label not in there]


def _counted(state: State, counts: Mapping[str, tuple[int, int]]) -> State:
    successes, trials = zip(*counts.values(), strict=True)
    return replace(state, labels=tuple(counts), successes=successes, trials=trials)


def _whole(counts: Any) -> tuple[int, ...]:
    return tuple(int(c) for c in counts)


def _named(labels: Sequence[str], most: int = _SHOWN) -> str:
    shown = ", ".join(repr(shorten(label)) for label in labels[:most])
    return shown + (f" and {len(labels) - most:,} more" if len(labels) > most else "")


def write_state(path: Path, state: State, before: bytes | None) -> None:
    """Replace the state file, all or nothing; DataError where it is not what it was when it was read (``before``)."""
    there = path.read_bytes() if os.path.exists(path) else None
    if there != before:
        raise DataError(
            f"{path} was changed by another call meanwhile. Nothing is written; call again, and both will count."
        )
    content = _plain(state)
    write_json(path, {"kind": KIND, "version": VERSION, "sha256": _digest(content), "state": content}, indent=1)


def read_state(path: Path) -> tuple[State, bytes]:
    """The state in a file, and the file's bytes; DataError where it is none, of another version, or damaged."""
    refuse_no_file(path)
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from error
    again = "Restore a copy of it, or begin anew: name another state file, with a table of all results so far."
    try:
        whole = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: the state file is damaged, it is not valid JSON. {again}") from error
    if not isinstance(whole, dict) or whole.get("kind") != KIND:
        raise DataError(f"{path} is no state file of `hbm decide`. Name one, or a file that is not there yet.")
    if whole.get("version") != VERSION:
        raise DataError(
            f"{path} is a state file of version {shorten(whole.get('version'))!s}; this hbm_stan reads version "
            f"{VERSION}. Use the hbm_stan that wrote it, or begin anew: name another state file, with a table of all "
            "results so far."
        )
    if _digest(whole.get("state")) != whole.get("sha256"):
        raise DataError(
            f"{path}: the state file is damaged, or was changed by hand: its content is not what its hash says. {again}"
        )
    return _state_of(whole["state"]), raw


def _plain(state: State) -> dict[str, Any]:
    """The state as JSON has it: a row for each arm."""
    content = asdict(state)
    arms = zip(content.pop("labels"), content.pop("successes"), content.pop("trials"), strict=True)
    rows = [{"arm": label, "successes": y, "trials": n} for label, y, n in arms]
    return {"arms": rows, **{k: list(v) if isinstance(v, tuple) else v for k, v in content.items()}}


def _state_of(content: Mapping[str, Any]) -> State:
    rows = content["arms"]
    return State(
        labels=tuple(row["arm"] for row in rows), successes=tuple(row["successes"] for row in rows),
        trials=tuple(row["trials"] for row in rows), priors=content["priors"], columns=content["columns"],
        retired=tuple(content["retired"]), tables=tuple(content["tables"]),
    )  # fmt: skip


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
