"""Labels become levels with an index, and the warnings that labels and group sizes call for."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from hbm_stan.cells import MISSING
from hbm_stan.errors import DataError
from hbm_stan.nouns import Noun
from hbm_stan.table import shorten
from hbm_stan.verdicts import Verdict

# Fewer groups than this leave the population scale to its prior; a convention of ours (decision-rules 4, item 4).
FEW_GROUPS = 5
# From this share of groups with one row on, group effect and residual are hard to tell apart (item 5).
MANY_SINGLES = 0.5
# Words that may be a label and often stand for a missing one.
_PERHAPS_MISSING = {"none", "missing"}
# The last row of a table as reviews and spreadsheets write it: "All", "Total (95% CI)", "Pooled estimate".
_TOTALS = {
    "all", "sum", "mean", "average", "alle", "summe", "combined", "summary", "grand total", "all studies", "all groups",
    "all sites", "all trials", "random effects model", "fixed effect model", "re model", "fe model", "somme", "suma",
    "mittelwert", "durchschnitt", "ensemble", "sum total",
}  # fmt: skip
_BEGIN_TOTALS = {
    "total", "totals", "overall", "pooled", "subtotal", "gesamt", "gesamtsumme", "insgesamt", "totale", "totaal",
}  # fmt: skip
# 00501 and 501, 7.0 and 7: what a spreadsheet makes of a number that is a name.
_ZEROS = re.compile(r"^0+(?=\d+(\.0+)?$)|(?<=\d)\.0+$", re.ASCII)


def index_levels(labels_of_rows: Sequence[str]) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """Distinct labels in order of appearance, and the 0-based group of each row."""
    position: dict[str, int] = {}
    group = np.array([position.setdefault(label, len(position)) for label in labels_of_rows], dtype=np.int64)
    return tuple(position), group


def check_labels(column: str, labels: Sequence[str], noun: Noun) -> list[Verdict]:
    """What may be wrong with the labels of groups, as verdicts."""
    return [
        *_check_order(column, labels, noun),
        *_check_missing_words(column, labels, MISSING | _PERHAPS_MISSING, noun.many),
        *_check_similar_labels(column, labels, noun.many),
    ]


def check_levels(column: str, levels: Sequence[str]) -> list[Verdict]:
    """What may be wrong with the levels of a category; words that stand for missing values are no levels."""
    return [
        *_check_missing_words(column, levels, {"missing"}, "levels"),
        *_check_similar_labels(column, levels, "levels"),
    ]


def _check_order(column: str, labels: Sequence[str], noun: Noun) -> list[Verdict]:
    """Numbers kept as text sort as 1, 10, 11, 2: an index made elsewhere from that order names the wrong groups."""
    if not all(label.isascii() and label.isdecimal() for label in labels):
        return []
    by_number = sorted(labels, key=lambda label: (len(label.lstrip("0")), label.lstrip("0")))
    if list(labels) != sorted(labels) or list(labels) == by_number:
        return []
    shown = ", ".join(shorten(label) for label in labels[:4])
    hint = (
        f"{column!r} looks numeric but is in text order: {shown}, ... Results here keep their labels; "
        f"an index counted elsewhere from 1 to J would name other {noun.many}."
    )
    return [Verdict(name="group order", status="warn", value=None, threshold=None, hint=hint, subject=column)]


def _check_missing_words(column: str, labels: Sequence[str], missing: Collection[str], what: str) -> list[Verdict]:
    """A label such as NA may be Namibia, or a missing label that another program wrote."""
    words = [label for label in labels if label.lower() in missing]
    if not words:
        return []
    hint = (
        f"{column!r} has the label {words[0]!r}, which often stands for a missing one. It is taken as the name of one "
        f"of the {what}; if it is not, give the label or take the row out."
    )
    return [Verdict(name="missing labels", status="warn", value=len(words), threshold=0, hint=hint, subject=column)]


def _check_similar_labels(column: str, labels: Sequence[str], what: str) -> list[Verdict]:
    """Labels that differ in case, spaces, the encoding of their letters or leading zeros only look like one group."""
    seen: dict[str, str] = {}
    pairs = []
    for label in labels:
        first = seen.setdefault(_folded(label), label)
        if first != label:
            pairs.append((first, label))
    if not pairs:
        return []
    one, other = (repr(shorten(label)) for label in pairs[0])
    more = f" So do {len(pairs) - 1} more pairs." if len(pairs) > 1 else ""
    hint = (
        f"The labels {one} and {other} in {column!r} differ only in case, spaces, encoding or leading zeros, and are "
        f"taken as two {what}. If they are one, give them one label.{more}"
    )
    return [Verdict(name="similar labels", status="warn", value=len(pairs), threshold=0, hint=hint, subject=column)]


def _folded(label: str) -> str:
    """The label without what people do not mean when they write it: case, spaces, encoding, zeros before a number."""
    text = " ".join(unicodedata.normalize("NFKC", label).casefold().split())
    return _ZEROS.sub("", text)


def check_total(column: str, labels_of_rows: Sequence[str], noun: Noun) -> list[Verdict]:
    """A warning where the last row is called as one that sums the others up."""
    label = labels_of_rows[-1]
    words = re.findall(r"[^\W\d_]+", label.casefold())
    if not words or not (" ".join(words) in _TOTALS or words[0] in _BEGIN_TOTALS):
        return []
    hint = (
        f"The last row is called {shorten(label)!r}. If it sums up the others, their data count twice: take it out of "
        f"the file. If it is one of the {noun.many}, nothing need be done."
    )
    return [Verdict(name="total row", status="warn", value=None, threshold=None, hint=hint, subject=column)]


def refuse_one_group(where: str, labels: Sequence[str]) -> None:
    """Raise DataError where there is one group: nothing can be pooled."""
    if len(labels) < 2:
        raise DataError(
            f"{where}: there is one group ({shorten(labels[0])!r}) only. Pooling needs at least two groups, and says "
            "little with fewer than five."
        )


def refuse_recurring_units(place: str, units: Sequence[str], groups: Sequence[str]) -> None:
    """Raise DataError where a unit stands in several groups: crossed, or labels that are used again."""
    homes: dict[str, dict[str, None]] = {}
    for unit, group in zip(units, groups, strict=True):
        homes.setdefault(unit, {})[group] = None
    recurring = [unit for unit, own_groups in homes.items() if len(own_groups) > 1]
    if not recurring:
        return
    first = list(homes[recurring[0]])
    shown = ", ".join(repr(shorten(group)) for group in first[:3]) + (", ..." if len(first) > 3 else "")
    raise DataError(
        f"{place}: the unit {shorten(recurring[0])!r} stands in {len(first)} groups ({shown}); of {len(homes)} labels "
        f"{len(recurring)} recur like that. If equal labels in two groups are two units (cask a of each batch), say "
        'unit_labels = "repeat" (hbm new --unit-labels repeat). If they are the same units in several groups, as items '
        "that all subjects answer, units and groups are crossed, not nested: this family would be too certain, and has "
        "no answer for such data."
    )


def check_group_count(n: int, noun: Noun) -> list[Verdict]:
    """A warning where the population scale has too few groups to be learnt from."""
    hint = (
        f"tau is informed by {n} {noun.many} only: its prior decides much of it. Compare several priors of tau, "
        "and consider no pooling with a common prior."
    )
    few = 1 < n < FEW_GROUPS  # of one, where a family takes it, nothing is pooled
    return [
        Verdict(
            name="number of groups",
            status="warn" if few else "pass",
            value=n,
            threshold=FEW_GROUPS,
            hint=hint if few else "",
        )
    ]


def check_single_rows(group: npt.NDArray[np.int64], n_groups: int, noun: Noun) -> list[Verdict]:
    """A warning where many groups have one row."""
    single = int(np.sum(np.bincount(group, minlength=n_groups) == 1))
    many = single >= MANY_SINGLES * n_groups
    hint = (
        f"{single} of {n_groups} {noun.many} have one observation: group effect and residual are confounded there; "
        "sigma and tau are separated only by the priors and by normality."
    )
    return [
        Verdict(
            name="groups of one row",
            status="warn" if many else "pass",
            value=single,
            threshold=MANY_SINGLES * n_groups,
            hint=hint if many else "",
        )
    ]
