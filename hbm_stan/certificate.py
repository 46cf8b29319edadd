"""A certificate: which programs, by their hash, were proven against which kinds of truth, with the figures.

It is a value and a JSON file. ``verify`` makes it, a report looks its programs up in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from hbm_stan.errors import ModelError
from hbm_stan.resources import share

FORMAT = 1
FILE = "certificate.json"
Outcome = Literal["pass", "fail", "not applicable", "not run"]
# Strongest last within a line: a program that fails an early one need not be looked at further.
KINDS = (
    "structure", "log density", "pointwise", "closed form", "quadrature", "reference", "long run", "engines",
    "calibration",
)  # fmt: skip
# Without these two a program is not certified; the others count where they apply and were run.
REQUIRED = ("log density", "pointwise")


@dataclass(frozen=True, kw_only=True)
class Truth:
    """One kind of truth of one program: what was found, what is allowed, against what, in words."""

    kind: str
    status: Outcome
    value: float | None = None
    threshold: float | None = None
    detail: str = ""
    against: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ProgramProof:
    """All truths of the program of one variant. ``sha256`` is that of its text with includes inlined."""

    family: str
    variant: str
    file: str
    sha256: str
    truths: tuple[Truth, ...]

    @property
    def certified(self) -> bool:
        """Whether what is required passed and nothing failed."""
        statuses = {t.kind: t.status for t in self.truths}
        return all(statuses.get(kind) == "pass" for kind in REQUIRED) and "fail" not in statuses.values()

    def truth(self, kind: str) -> Truth:
        """The truth of a kind; "not run" where there is none."""
        return next((t for t in self.truths if t.kind == kind), Truth(kind=kind, status="not run"))


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """What ``hbm verify`` found. ``threshold`` is the largest |z| allowed among all ``comparisons`` of posteriors.

    ``date`` is YYYY-MM-DD. ``notes`` say what was not run and why.
    """

    date: str
    engine: str
    versions: Mapping[str, str]
    seed: int
    comparisons: int
    threshold: float
    programs: tuple[ProgramProof, ...]
    notes: tuple[str, ...] = ()
    path: Path | None = field(default=None, compare=False)

    @property
    def failed(self) -> tuple[ProgramProof, ...]:
        """The programs with a truth that failed."""
        return tuple(p for p in self.programs if any(t.status == "fail" for t in p.truths))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        programs = [
            {**asdict(p), "certified": p.certified, "truths": [asdict(t) for t in p.truths]} for p in self.programs
        ]
        return {
            "format": FORMAT, "date": self.date, "engine": self.engine, "versions": dict(self.versions),
            "seed": self.seed, "comparisons": self.comparisons, "threshold": self.threshold,
            "notes": list(self.notes), "programs": programs,
        }  # fmt: skip


def read_certificate(path: Path) -> Certificate:
    """The certificate in a file; ModelError where it is not one."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["format"] != FORMAT:
            raise ModelError(
                f"{path}: format {record['format']} is not known here (known: {FORMAT}). Run hbm verify again."
            )
        programs = tuple(
            ProgramProof(
                family=p["family"], variant=p["variant"], file=p["file"], sha256=p["sha256"],
                truths=tuple(Truth(**{**t, "against": tuple(t["against"])}) for t in p["truths"]),
            )
            for p in record["programs"]
        )  # fmt: skip
        _refuse_other_types(record, programs)
        return Certificate(
            date=record["date"], engine=record["engine"], versions=record["versions"], seed=record["seed"],
            comparisons=record["comparisons"], threshold=record["threshold"], programs=programs,
            notes=tuple(record["notes"]), path=path,
        )  # fmt: skip
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror or error}).") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"{path} is no certificate ({error}). `hbm verify` writes one.") from error


def _refuse_other_types(record: Mapping[str, Any], programs: tuple[ProgramProof, ...]) -> None:
    """Raise TypeError where a value is of another type than it is read as; a file may have been edited by hand."""
    texts = [record["date"], record["engine"], *record["versions"].items(), *record["notes"]]
    texts += [t for p in programs for t in (p.family, p.variant, p.file, p.sha256)]
    texts += [t for p in programs for truth in p.truths for t in (truth.kind, truth.detail, *truth.against)]
    numbers = [record["seed"], record["comparisons"], record["threshold"]]
    numbers += [n for p in programs for t in p.truths for n in (t.value, t.threshold) if n is not None]
    for value in (v for t in texts for v in (t if isinstance(t, tuple) else (t,))):
        if not isinstance(value, str):
            raise TypeError(f"{value!r} is no text")
    for value in numbers:
        if not isinstance(value, int | float):
            raise TypeError(f"{value!r} is no number")
    for status in (t.status for p in programs for t in p.truths):
        if status not in get_args(Outcome):
            raise TypeError(f"{status!r} is no outcome")


def shipped_certificate() -> Path:
    """Where the certificate of the shipped programs is."""
    return share("stan") / FILE
