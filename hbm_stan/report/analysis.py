"""An analysis: what analysis.toml says, checked key by key."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from hbm_stan.data import Dataset, load
from hbm_stan.engines import Sampling
from hbm_stan.errors import ModelError, nearest
from hbm_stan.families import family as find_family
from hbm_stan.model import Family
from hbm_stan.store import FitStore

_TEXT, _TEXTS, _TABLE = "a text", "a list of texts", "a table"
_KEYS = {
    "title": _TEXT, "question": _TEXT, "family": _TEXT, "data": _TEXT, "variants": _TEXTS, "columns": _TABLE,
    "priors": _TABLE, "sampling": _TABLE, "comparison": _TABLE, "prediction": _TABLE, "checks": _TABLE,
}  # fmt: skip
_REQUIRED = ("family", "data", "columns")


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
    file = Path(path)
    file = file / "analysis.toml" if file.is_dir() else file
    if not file.is_file():
        raise ModelError(
            f"{path}: there is no analysis here. Name a folder with an analysis.toml, or make one with `hbm new`."
        )
    try:
        said = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{file} is not valid TOML: {error}.") from error
    _check_keys(file, said)
    return _analysis(file, said)


def _analysis(file: Path, said: Mapping[str, Any]) -> Analysis:
    family = find_family(said["family"])
    columns = _texts(file, "columns", said["columns"], [r.name for r in family.roles])
    dataset = load(_data_path(file, said["data"]), columns)
    variants = _variants(file, "variants", said.get("variants"), family) or family.default_variants
    comparison = _section(file, said, "comparison", ("variants",))
    compared = _variants(file, "comparison.variants", comparison.get("variants"), family)
    for name in compared:
        if name not in variants:
            raise ModelError(f"{file}: comparison.variants names {name!r}, which is not among variants.")
    prediction = _section(file, said, "prediction", ("standard_error",))
    checks = _section(file, said, "checks", ("waive",))
    name = file.resolve().parent.name if file.name == "analysis.toml" else file.stem
    return Analysis(
        name=name,
        family=family,
        dataset=dataset,
        variants=variants,
        title=said.get("title", "") or name,
        question=said.get("question", ""),
        priors=_texts(file, "priors", said.get("priors", {}), [r.name for r in family.prior_rows]),
        sampling=_sampling(file, said),
        compared=compared or _one_of_each(family, variants),
        standard_error=_positive(file, "prediction.standard_error", prediction.get("standard_error")),
        waived=tuple(_list_of_texts(file, "checks.waive", checks.get("waive", []))),
        folder=file.parent,
    )


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
            raise ModelError(f"{file}: unknown key {key!r}. {nearest(key, _KEYS)}")
        if not isinstance(value, kinds[_KEYS[key]]):
            raise ModelError(f"{file}: {key} must be {_KEYS[key]}, found {value!r}.")
    for key in _REQUIRED:
        if key not in said:
            raise ModelError(f"{file}: the key {key!r} is missing. A commented example is written by `hbm new`.")


def _data_path(file: Path, data: str) -> str | Path:
    """A path beside the file; else the name of a shipped dataset, which ``load`` knows."""
    beside = file.parent / data
    return beside if beside.exists() or len(Path(data).parts) > 1 else data


def _section(file: Path, said: Mapping[str, Any], name: str, allowed: Sequence[str]) -> Mapping[str, Any]:
    section = said.get(name, {})
    for key in section:
        if key not in allowed:
            raise ModelError(f"{file}: unknown key {key!r} in [{name}]. {nearest(key, allowed)}")
    return dict(section)


def _texts(file: Path, name: str, section: Mapping[str, Any], allowed: Sequence[str]) -> dict[str, str]:
    _section(file, {name: section}, name, allowed)
    for key, value in section.items():
        if not isinstance(value, str):
            raise ModelError(f"{file}: [{name}] {key} must be a text, found {value!r}.")
    return dict(section)


def _list_of_texts(file: Path, name: str, value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise ModelError(f"{file}: {name} must be a list of texts, found {value!r}.")
    return value


def _variants(file: Path, name: str, value: Any, family: Family) -> tuple[str, ...]:
    names = tuple(_list_of_texts(file, name, value or []))
    if len(set(names)) != len(names):
        raise ModelError(f"{file}: {name} names a variant twice.")
    return tuple(family.variant(v).name for v in names)


def _positive(file: Path, name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ModelError(f"{file}: {name} must be a number above zero, found {value!r}.")
    return float(value)


def _sampling(file: Path, said: Mapping[str, Any]) -> Sampling:
    section = _section(file, said, "sampling", [f.name for f in fields(Sampling)])
    try:
        return Sampling(**section)
    except ModelError as error:
        raise ModelError(f"{file}: {error}") from error
