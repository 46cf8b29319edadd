"""Columns become checked arrays with their group labels, and the warnings that the data themselves call for.

The only place that turns labels into 1-based indices.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from hbm_stan.data import Dataset, listed
from hbm_stan.errors import DataError, nearest
from hbm_stan.table import FloatArray, shorten
from hbm_stan.verdicts import Verdict

RoleKind = Literal["label", "number", "positive", "predictor", "group_predictor"]

# Fewer groups than this leave the population scale to its prior; a convention of ours (decision-rules 4, item 4).
FEW_GROUPS = 5
# From this share of groups with one row on, group effect and residual are hard to tell apart (item 5).
MANY_SINGLES = 0.5
# Numbers beyond these cannot be squared and added up in double precision.
LARGEST, SMALLEST = 1e100, 1e-100
# sd(x)/sd(y) beyond which priors on slopes live on a scale that nobody meant (item 7).
UNSCALED = 100.0
# What programs write where a label is missing.
_MISSING_WORDS = {"na", "n/a", "#n/a", "nan", "null", "none", "<na>", "nat", "missing"}


@dataclass(frozen=True)
class Role:
    """A part that a column plays for a family: its name, what values are allowed, what it means."""

    name: str
    kind: RoleKind
    meaning: str


@dataclass(frozen=True)
class Prepared:
    """Checked columns by role: ``labels`` of the groups in order of appearance, the 0-based ``group`` of each row,
    and ``values`` of each numeric role, shape (rows,)."""

    dataset: Dataset
    labels: tuple[str, ...]
    group: npt.NDArray[np.int64]
    values: Mapping[str, FloatArray]
    verdicts: tuple[Verdict, ...]

    @property
    def group_idx(self) -> npt.NDArray[np.int64]:
        """The group of each row as Stan counts: from 1, shape (rows,)."""
        return self.group + 1

    def __getitem__(self, role: str) -> FloatArray:
        return self.values[role]


def prepare(dataset: Dataset, roles: Sequence[Role], *, one_row_per_group: bool, known_residual: bool) -> Prepared:
    """The columns that the roles ask for, checked; raises DataError naming file, column, row or group."""
    check_mapping(dataset, roles)
    label_role = next(r for r in roles if r.kind == "label")
    labels_of_rows = dataset.table.labels(dataset.columns[label_role.name])
    labels, group = _index(labels_of_rows)
    if one_row_per_group:
        _refuse_repeated_groups(dataset, label_role, labels_of_rows)
    values = {r.name: _values(dataset, r) for r in roles if r.kind != "label"}
    if len(labels) < 2:
        raise DataError(
            f"{dataset.table.where}: there is one group ({shorten(labels[0])!r}) only. Pooling needs at least "
            "two groups, and says little with fewer than five."
        )
    verdicts = [
        *_check_labels(dataset.columns[label_role.name], labels),
        *_check_missing_words(dataset.columns[label_role.name], labels),
        *_check_similar_labels(dataset.columns[label_role.name], labels),
        *_check_group_count(len(labels)),
        *([] if known_residual else _check_single_rows(group, len(labels))),
        *_check_predictors(roles, values, group),
    ]
    return Prepared(dataset, labels, group, values, tuple(verdicts))


def check_mapping(dataset: Dataset, roles: Sequence[Role]) -> None:
    """Raise DataError unless each role has a column of its own, and there is that column."""
    names = [r.name for r in roles]
    for role in dataset.columns:
        if role not in names:
            raise DataError(f"Columns: there is no role {role!r}. {nearest(role, names)}")
    for r in roles:
        if r.name not in dataset.columns:
            raise DataError(
                f"{dataset.table.where}: no column is named for the role {r.name!r} ({r.meaning}). "
                f"{listed(dataset.table)}"
            )
    dataset.with_columns(dataset.columns)
    for column, n in Counter(dataset.columns.values()).items():
        if n > 1:
            twice = [role for role, other in dataset.columns.items() if other == column]
            raise DataError(
                f"{dataset.table.where}: the column {column!r} is named for {n} roles ({', '.join(twice)}). "
                "Each role needs a column of its own."
            )


def _index(labels_of_rows: Sequence[str]) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """Distinct labels in order of appearance, and the 0-based group of each row."""
    position: dict[str, int] = {}
    group = np.array([position.setdefault(label, len(position)) for label in labels_of_rows], dtype=np.int64)
    return tuple(position), group


def _refuse_repeated_groups(dataset: Dataset, role: Role, labels: Sequence[str]) -> None:
    counts = Counter(labels)
    repeated = [label for label, n in counts.items() if n > 1]
    if not repeated:
        return
    label = repeated[0]
    rows = [i for i, other in enumerate(labels) if other == label]
    more = f" {len(repeated) - 1:,} more groups are repeated too." if len(repeated) > 1 else ""
    raise DataError(
        f"{dataset.table.where}, column {dataset.columns[role.name]!r}: the group {shorten(label)!r} stands in "
        f"{len(rows):,} rows ({dataset.table.rows(rows)}). This family takes one estimate for each group: "
        f"combine them into one row, or give them different labels.{more}"
    )


def _values(dataset: Dataset, role: Role) -> FloatArray:
    column = dataset.columns[role.name]
    values = dataset.table.numbers(column)
    positive = role.kind == "positive"
    if positive:
        _refuse(dataset, role, values <= 0, "must be above zero; found", "")
    extreme = (np.abs(values) > LARGEST) | (positive & (values < SMALLEST))
    _refuse(dataset, role, extreme, "out of the range that can be computed with;", " Change the unit.")
    return values


def _refuse(dataset: Dataset, role: Role, bad: npt.NDArray[np.bool_], wrong: str, advice: str) -> None:
    if bad.any():
        column = dataset.columns[role.name]
        places = dataset.table.rows([int(i) for i in np.flatnonzero(bad)], column)
        raise DataError(f"{dataset.table.where}, column {column!r} ({role.meaning}): {wrong} {places}.{advice}")


def _check_labels(column: str, labels: Sequence[str]) -> list[Verdict]:
    """Numbers kept as text sort as 1, 10, 11, 2: an index made elsewhere from that order names the wrong groups."""
    if not all(label.isascii() and label.isdecimal() for label in labels):
        return []
    by_number = sorted(labels, key=lambda label: (len(label.lstrip("0")), label.lstrip("0")))
    if list(labels) != sorted(labels) or list(labels) == by_number:
        return []
    shown = ", ".join(shorten(label) for label in labels[:4])
    hint = (
        f"{column!r} looks numeric but is in text order: {shown}, ... Results here keep their labels; "
        "an index counted elsewhere from 1 to J would name other groups."
    )
    return [Verdict("group order", "warn", None, None, hint, column)]


def _check_missing_words(column: str, labels: Sequence[str]) -> list[Verdict]:
    """A label such as NA may be Namibia, or a missing label that another program wrote."""
    words = [label for label in labels if label.lower() in _MISSING_WORDS]
    if not words:
        return []
    hint = (
        f"{column!r} has the label {words[0]!r}, which often stands for a missing one. It is taken as the name of a "
        "group; if it is not, give the label or take the row out."
    )
    return [Verdict("missing labels", "warn", len(words), 0, hint, column)]


def _check_similar_labels(column: str, labels: Sequence[str]) -> list[Verdict]:
    """Labels that differ in case, spaces or the encoding of their letters only look like one group."""
    seen: dict[str, str] = {}
    pairs = []
    for label in labels:
        first = seen.setdefault(" ".join(unicodedata.normalize("NFKC", label).casefold().split()), label)
        if first != label:
            pairs.append((first, label))
    if not pairs:
        return []
    one, other = (repr(shorten(label)) for label in pairs[0])
    more = f" So do {len(pairs) - 1} more pairs." if len(pairs) > 1 else ""
    hint = (
        f"The labels {one} and {other} in {column!r} differ only in case, spaces or encoding, and are taken as two "
        f"groups. If they are one, give them one label.{more}"
    )
    return [Verdict("similar labels", "warn", len(pairs), 0, hint, column)]


def _check_group_count(n: int) -> list[Verdict]:
    hint = (
        f"tau is informed by {n} groups only: its prior decides much of it. Compare several priors of tau, "
        "and consider no pooling with a common prior."
    )
    few = n < FEW_GROUPS
    return [Verdict("number of groups", "warn" if few else "pass", n, FEW_GROUPS, hint if few else "")]


def _check_single_rows(group: npt.NDArray[np.int64], n_groups: int) -> list[Verdict]:
    single = int(np.sum(np.bincount(group, minlength=n_groups) == 1))
    many = single >= MANY_SINGLES * n_groups
    hint = (
        f"{single} of {n_groups} groups have one observation: group effect and residual are confounded there; "
        "sigma and tau are separated only by the priors and by normality."
    )
    return [
        Verdict("groups of one row", "warn" if many else "pass", single, MANY_SINGLES * n_groups, hint if many else "")
    ]


def _check_predictors(
    roles: Sequence[Role], values: Mapping[str, FloatArray], group: npt.NDArray[np.int64]
) -> list[Verdict]:
    verdicts = []
    for role in (r for r in roles if r.kind in {"predictor", "group_predictor"}):
        x = values[role.name]
        if np.ptp(x) == 0:
            hint = f"{role.name} has the same value in every row: its coefficient cannot be told from the intercept."
            verdicts.append(Verdict("constant predictor", "fail", float(x[0]), None, hint, role.name))
            continue
        if role.kind == "predictor" and _constant_in_groups(x, group):
            hint = (
                f"{role.name} does not vary within any group: it is collinear with the group effects. "
                "Name it as a group predictor."
            )
            verdicts.append(Verdict("collinear predictor", "warn", None, None, hint, role.name))
        spread = float(np.std(values["outcome"], ddof=1)) if "outcome" in values else 0.0
        ratio = float(np.std(x, ddof=1)) / spread if spread > 0 else 1.0
        if not 1 / UNSCALED <= ratio <= UNSCALED:
            hint = f"sd({role.name})/sd(outcome) = {ratio:.3g}: priors of slopes are on the raw scale. Change the unit."
            verdicts.append(Verdict("unscaled predictor", "warn", ratio, UNSCALED, hint, role.name))
    return verdicts


def _constant_in_groups(x: FloatArray, group: npt.NDArray[np.int64]) -> bool:
    sizes = np.bincount(group)
    means = np.bincount(group, weights=x) / sizes
    return bool(np.any(sizes > 1) and np.allclose(x, means[group]))
