"""An analysis: what analysis.toml says, checked key by key."""

from __future__ import annotations

import contextlib
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from hbm_stan.data import Dataset, load
from hbm_stan.diagnose import CHECKS
from hbm_stan.engines import Sampling
from hbm_stan.errors import DataError, HbmError, ModelError, nearest
from hbm_stan.families import family as find_family
from hbm_stan.model import Family
from hbm_stan.prepare import LARGEST, SMALLEST, check_mapping
from hbm_stan.priors import parse_prior
from hbm_stan.resources import share
from hbm_stan.store import FitStore
from hbm_stan.table import shorten

_TEXT, _TEXTS, _TABLE = "a text", "a list of texts", "a table"
_KEYS = {
    "title": _TEXT, "question": _TEXT, "family": _TEXT, "data": _TEXT, "variants": _TEXTS, "columns": _TABLE,
    "priors": _TABLE, "reasons": _TABLE, "sampling": _TABLE, "comparison": _TABLE, "prediction": _TABLE,
    "checks": _TABLE,
}  # fmt: skip
_REQUIRED = ("family", "data", "columns")
_SECTIONS: Mapping[str, tuple[str, ...]] = {
    "sampling": tuple(f.name for f in fields(Sampling)), "comparison": ("variants",), "prediction": ("standard_error",),
    "checks": ("waive",),
}  # fmt: skip


@dataclass(frozen=True)
class Analysis:
    """One question: a family, a dataset with its columns mapped to roles, variants, priors and settings."""

    name: str
    family: Family
    dataset: Dataset
    variants: tuple[str, ...]
    title: str = ""
    question: str = ""
    priors: Mapping[str, str] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)  # of the priors, for the report
    sampling: Sampling = field(default_factory=Sampling)
    compared: tuple[str, ...] = ()
    standard_error: float | None = None
    waived: tuple[str, ...] = ()
    folder: Path = Path()

    @property
    def store(self) -> FitStore:
        """Where the draws of this analysis are kept: ``fits/`` in its folder."""
        return FitStore(self.folder / "fits")

    @property
    def main_variant(self) -> str:
        """The variant that predictions and shrinkage are taken from: the first with partial pooling, else the first."""
        partial = [v for v in self.variants if self.family.variant(v).pooling == "partial"]
        return partial[0] if partial else self.variants[0]

    def with_seed(self, seed: int | None) -> Analysis:
        """The same analysis with another seed."""
        return self if seed is None else replace(self, sampling=replace(self.sampling, seed=seed))


def read_analysis(path: str | Path) -> Analysis:
    """The analysis in a folder or in its analysis.toml; raises ModelError or DataError naming file and key."""
    file = _file(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
        said = tomllib.loads(text)
    except OSError as error:
        raise ModelError(f"{file}: cannot be read ({error.strerror or error}).") from error
    except UnicodeDecodeError as error:
        raise ModelError(f"{file} is not UTF-8 ({error.reason} at byte {error.start}). Save it as UTF-8.") from error
    except (ValueError, RecursionError) as error:
        # Windows paths: the error of tomllib speaks of hexadecimal digits.
        hint = " A backslash in double quotes begins an escape: write paths with /." if "\\" in text else ""
        raise ModelError(f"{file} is not valid TOML: {error}.{hint}") from error
    _check_keys(file, said)
    return _analysis(file, said)


def _file(path: str | Path) -> Path:
    """The analysis.toml that a path names. Results stand beside it, so that a folder holds one analysis."""
    given = Path(path)
    file = given / "analysis.toml" if os.path.isdir(given) else given
    if not os.path.isfile(file):
        raise ModelError(
            f"{path}: there is no analysis here. Name a folder with an analysis.toml, or make one with `hbm new`."
        )
    if file.suffix.lower() in {".csv", ".tsv", ".txt"}:
        raise ModelError(f"{path} is a table, not an analysis. Make an analysis of it with `hbm new {path}`.")
    if file.name != "analysis.toml":
        raise ModelError(
            f"{path}: an analysis is a file analysis.toml in a folder of its own: the report is written beside it. "
            "Move this file into a new folder under that name."
        )
    return file


@contextlib.contextmanager
def _within(where: str) -> Iterator[None]:
    """Put the place in analysis.toml before the message of an error."""
    try:
        yield
    except HbmError as error:
        raise type(error)(f"{where}: {error}") from error


def _analysis(file: Path, said: Mapping[str, Any]) -> Analysis:
    with _within(f"{file}"):
        family = find_family(said["family"])
    dataset = _dataset(file, said, family)
    variants = _variants(file, "variants", said.get("variants"), family) or family.default_variants
    prediction, checks = (_section(file, said, name, _SECTIONS[name]) for name in ("prediction", "checks"))
    name = file.resolve().parent.name or "analysis"
    return Analysis(
        name=name,
        family=family,
        dataset=dataset,
        variants=variants,
        title=said.get("title", "") or name,
        question=said.get("question", ""),
        priors=_priors(file, said, family),
        reasons=_texts(file, "reasons", said.get("reasons", {}), [r.name for r in family.prior_rows]),
        sampling=_sampling(file, said),
        compared=_compared(file, said, family, variants),
        standard_error=_positive(file, "prediction.standard_error", prediction.get("standard_error")),
        waived=_waived(file, checks.get("waive", [])),
        folder=file.parent,
    )


def _dataset(file: Path, said: Mapping[str, Any], family: Family) -> Dataset:
    columns = _texts(file, "columns", said["columns"], [r.name for r in family.roles])
    place = _data_path(file, said["data"])
    if not os.path.isfile(place):
        with _within(f"{file}: data"):
            dataset = load(place)
    else:
        dataset = load(place)
    with _within(f"{file}: [columns]"):
        dataset = dataset.with_columns(columns)
        check_mapping(dataset, family.roles)
    return dataset


def _compared(file: Path, said: Mapping[str, Any], family: Family, variants: Sequence[str]) -> tuple[str, ...]:
    value = _section(file, said, "comparison", _SECTIONS["comparison"]).get("variants")
    if value is None:
        return _one_of_each(family, variants)
    compared = _variants(file, "comparison.variants", value, family)
    for name in compared:
        if name not in variants:
            raise ModelError(f"{file}: comparison.variants names {name!r}, which is not among variants; change both.")
    if len(compared) < min(2, len(variants)):
        raise ModelError(
            f"{file}: comparison.variants must name two variants at least, found {value!r}. Leave the key out to "
            "compare one variant of each pooling."
        )
    return compared


def _priors(file: Path, said: Mapping[str, Any], family: Family) -> dict[str, str]:
    priors = _texts(file, "priors", said.get("priors", {}), [r.name for r in family.prior_rows])
    with _within(f"{file}"):
        for row in family.prior_rows:
            if row.name in priors:
                parse_prior(priors[row.name], row)
    return priors


def _waived(file: Path, value: Any) -> tuple[str, ...]:
    names = _list_of_texts(file, "checks.waive", value)
    for name in names:
        if name not in CHECKS:
            raise ModelError(f"{file}: checks.waive: there is no check {name!r}. {nearest(name, CHECKS)}")
    return tuple(names)


def _one_of_each(family: Family, variants: Sequence[str]) -> tuple[str, ...]:
    """The first variant of each pooling: parameterisations of one model are not rivals."""
    first: dict[str, str] = {}
    for name in variants:
        first.setdefault(family.variant(name).pooling, name)
    return tuple(first.values())


def _check_keys(file: Path, said: Mapping[str, Any]) -> None:
    kinds = {_TEXT: str, _TEXTS: list, _TABLE: dict}
    for key, value in said.items():
        if key not in _KEYS:
            raise ModelError(f"{file}: unknown key {shorten(key)!r}. {_home(key) or nearest(key, _KEYS)}")
        if not isinstance(value, kinds[_KEYS[key]]):
            raise ModelError(f"{file}: {key} must be {_KEYS[key]}, found {shorten(repr(value))}.")
    for key in _REQUIRED:
        if key not in said:
            raise ModelError(f"{file}: the key {key!r} is missing. A commented example is written by `hbm new`.")


def _home(key: str) -> str:
    """Where a key belongs that stands in a wrong place."""
    if key in _KEYS:
        return "It belongs above the first [section]."
    return next((f"It belongs in [{name}]." for name, keys in _SECTIONS.items() if key in keys), "")


def _data_path(file: Path, data: str) -> Path:
    """A path seen from the file's folder, never from where the command is given; else a shipped dataset's name."""
    if not data.strip():
        raise DataError(f"{file}: data is empty. Name a CSV file or a dataset folder, as seen from this file.")
    if "://" in data:
        raise DataError(f"{file}: data is {data!r}. Download the file, and name it as seen from this file.")
    beside = file.parent / os.path.expanduser(data)
    if os.path.exists(beside):
        return beside
    if "\\" in data and os.path.exists(file.parent / data.replace("\\", "/")):
        return file.parent / data.replace("\\", "/")
    shipped = share("data") / data
    return shipped if len(Path(data).parts) == 1 and os.path.isdir(shipped) else beside


def _section(file: Path, said: Mapping[str, Any], name: str, allowed: Sequence[str]) -> Mapping[str, Any]:
    section = said.get(name, {})
    for key in section:
        if key not in allowed:
            raise ModelError(f"{file}: unknown key {key!r} in [{name}]. {_home(key) or nearest(key, allowed)}")
    return dict(section)


def _texts(file: Path, name: str, section: Mapping[str, Any], allowed: Sequence[str]) -> dict[str, str]:
    _section(file, {name: section}, name, allowed)
    for key, value in section.items():
        if not isinstance(value, str):
            raise ModelError(f"{file}: [{name}] {key} must be a text, found {value!r}.")
    return dict(section)


def _list_of_texts(file: Path, name: str, value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise ModelError(f"{file}: {name} must be a list of texts, found {shorten(repr(value))}.")
    return value


def _variants(file: Path, name: str, value: Any, family: Family) -> tuple[str, ...]:
    if value is None:
        return ()
    names = _list_of_texts(file, name, value)
    if not names and name == "variants":
        raise ModelError(f"{file}: variants is empty. Name one at least, or leave the key out for the defaults.")
    for variant in names:
        with _within(f"{file}: {name}"):
            family.variant(variant)
        if names.count(variant) > 1:
            raise ModelError(f"{file}: {name} names {variant!r} twice.")
    return tuple(names)


def _positive(file: Path, name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not SMALLEST <= value <= LARGEST:
        raise ModelError(f"{file}: {name} must be a finite number above zero, found {shorten(repr(value))}.")
    return float(value)


def _sampling(file: Path, said: Mapping[str, Any]) -> Sampling:
    section = _section(file, said, "sampling", _SECTIONS["sampling"])
    with _within(f"{file}"):
        return Sampling(**section)
