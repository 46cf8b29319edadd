"""Others' names of parameters become ours: theta[1] or theta.1 is the theta of the first group, mu the only mu."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hbm_stan.errors import ModelError, nearest
from hbm_stan.fit import Job
from hbm_stan.table import shorten

_BRACKETS = re.compile(r"(?P<base>[^\[\]]+)\[(?P<inside>.+)\]")
_DOTS = re.compile(r"(?P<base>.+?)(?P<inside>(\.[1-9]\d*)+)")  # CmdStan's
_SHOWN = 8


@dataclass(frozen=True)
class Ours:
    """The parameters of a variant: for each base (``theta``) the labels of its dims, none for a scalar."""

    labels: Mapping[str, tuple[tuple[str, ...], ...]]

    @property
    def names(self) -> list[str]:
        """All names, ``theta[A]``."""
        return [name for base in self.labels for name in self.of(base)]

    def of(self, base: str) -> list[str]:
        """The names of a base."""
        dims = self.labels[base]
        return [f"{base}[{', '.join(e)}]" for e in itertools.product(*dims)] if dims else [base]


def ours(job: Job) -> Ours:
    """The parameters that a fit of this job would be compared by, from its program and its labels."""
    family, lengths = job.family, job.family.coordinates(job.table)
    skipped = {"lprior", family.programs.log_lik, family.programs.y_rep, *family.programs.hidden}
    if family.variant(job.variant).pooling == "complete":
        skipped.add(family.groups.group_quantity)
    names = {d.name for d in job.program.outputs}
    labels: dict[str, tuple[tuple[str, ...], ...]] = {}
    for d in job.program.outputs:
        dims = family.programs.dims.get(d.name, ())
        raw = d.name.endswith("_raw") and d.name.removesuffix("_raw") in names
        if d.name not in skipped and not raw and len(dims) == len(d.dims) and all(dim in lengths for dim in dims):
            labels[d.name] = tuple(tuple(map(str, lengths[dim])) for dim in dims)
    return Ours({base: dims for base, dims in labels.items() if all(dims)})


@dataclass(frozen=True)
class Named:
    """Our name of each of theirs that is one of ours, what of theirs is left over, and which of ours are missing."""

    names: Mapping[str, str]
    left_over: tuple[str, ...]
    missing: tuple[str, ...]


def named(where: str, theirs: Sequence[str], known: Ours, renamed: Mapping[str, str]) -> Named:
    """The names of a file as ours; ``renamed`` maps whole names or bases. ModelError where places do not fit labels."""
    _check_renamed(where, theirs, known, renamed)
    pieces = {name: _pieces(renamed.get(name, name), renamed) for name in theirs}
    our_names: dict[str, str] = {}
    for base in known.labels:
        mine = {name: inside for name, (other, inside) in pieces.items() if other == base}
        our_names |= _of_base(where, base, mine, known)
    twice = [name for name in our_names.values() if list(our_names.values()).count(name) > 1]
    if twice:
        both = [their for their, our in our_names.items() if our == twice[0]]
        raise ModelError(
            f"{where}: {shorten(both[0])} and {shorten(both[1])} are both {twice[0]}. Rename one with --map."
        )
    if not our_names:
        raise ModelError(
            f"{where}: none of its parameters is one of this variant: found {few(theirs)}; wanted {few(known.names)}. "
            "Name them with --map THEIRS=OURS."
        )
    held = set(our_names.values())
    return Named(
        our_names, tuple(n for n in theirs if n not in our_names), tuple(n for n in known.names if n not in held)
    )  # fmt: skip


def few(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(shorten(name) for name in names[:_SHOWN]) + more


def _check_renamed(where: str, theirs: Sequence[str], known: Ours, renamed: Mapping[str, str]) -> None:
    bases = {_split(name)[0] for name in theirs} | set(theirs)
    right = [*known.labels, *known.names]
    for their, our in renamed.items():
        if their not in bases:
            raise ModelError(
                f"{where}: there is no parameter {shorten(their)!r} to map. {nearest(their, sorted(bases))}"
            )
        if our not in right and _split(our)[0] not in known.labels:
            raise ModelError(f"--map {their}={our}: there is no parameter {shorten(our)!r} here. {nearest(our, right)}")


def _split(name: str) -> tuple[str, str]:
    """Base and what is in its brackets; of CmdStan's dots the same, marked by a leading dot."""
    if match := _BRACKETS.fullmatch(name):
        return match["base"], match["inside"]
    if match := _DOTS.fullmatch(name):
        return match["base"], match["inside"]
    return name, ""


def _pieces(name: str, renamed: Mapping[str, str]) -> tuple[str, str]:
    base, inside = _split(name)
    return renamed.get(base, base), inside


def _of_base(where: str, base: str, mine: Mapping[str, str], known: Ours) -> dict[str, str]:
    """Names of one base: labels where they are ours, else places counted from 1, which must be as many as labels."""
    dims = known.labels[base]
    by_label = {_plain(name): name for name in known.of(base)}
    labelled = {their: by_label.get(_plain(f"{base}[{inside}]" if inside else base)) for their, inside in mine.items()}
    places = {their: _places(inside) for their, inside in mine.items()}
    if (
        len(known.of(base)) == 1
        and len(mine) == 1
        and (not dims or list(places.values()) in ([()], [(1,) * len(dims)]))
    ):
        return {next(iter(mine)): known.of(base)[0]}
    counted = {their: at for their, at in places.items() if at is not None and len(at) == len(dims) and at}
    if not counted or len(counted) < len(mine):
        unknown = [their for their, our in labelled.items() if our is None]
        if unknown and dims:
            raise ModelError(f"{where}: {few(unknown)} has no such label here. Labels: {few(known.of(base))}.")
        return {their: our for their, our in labelled.items() if our is not None}
    wanted = set(itertools.product(*(range(1, len(d) + 1) for d in dims)))
    fits = set(counted.values()) == wanted
    by_place = {their: _at(base, dims, at) for their, at in counted.items()} if fits else {}
    if all(labelled[their] is not None and not mine[their].startswith(".") for their in counted):
        if fits and by_place != labelled:
            raise ModelError(
                f"{where}: {base}[1] may be the label 1 or the first of {few(known.of(base))}. Write {base}.1, "
                f"{base}.2, ... for places, or name them with --map."
            )
        return {their: our for their, our in labelled.items() if our is not None}
    if not fits:
        raise ModelError(
            f"{where}: {base} has {len(counted):,} elements there and {len(wanted):,} here ({few(known.of(base))}). It "
            "is of other data, or elements are missing: then name the ones that there are by their labels."
        )
    return by_place


def _at(base: str, dims: Sequence[Sequence[str]], places: Sequence[int]) -> str:
    return f"{base}[{', '.join(d[i - 1] for d, i in zip(dims, places, strict=True))}]"


def _plain(name: str) -> str:
    """A name without blanks after its commas."""
    return re.sub(r"\s*,\s*", ",", name)


def _places(inside: str) -> tuple[int, ...] | None:
    """Places counted from 1: of ``1,2`` and ``.1.2``; None where they are labels, () where there are none."""
    pieces = inside.lstrip(".").split("." if inside.startswith(".") else ",") if inside else []
    return tuple(int(p) for p in pieces) if all(re.fullmatch(r"\s*[1-9]\d*\s*", p) for p in pieces) else None
