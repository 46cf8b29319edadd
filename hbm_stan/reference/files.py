"""A reference file: whose posterior it is, where its figures come from, and the figures (format: tests/reference)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hbm_stan.agreement import STATISTICS
from hbm_stan.data import Dataset, load
from hbm_stan.errors import ModelError
from hbm_stan.files import write_json
from hbm_stan.reading import KEYS
from hbm_stan.resources import refuse_no_file
from hbm_stan.table import shorten

FORMAT = 1
FILE = "reference.json"  # beside analysis.toml
OWN = "long run"  # the kind that `hbm reference --save` writes: it holds all parameters, priors and the data's hash
# The kinds of truth that a file may hold, and the word that tables use for each.
KINDS: Mapping[str, str] = {
    "closed form": "closed form", "quadrature": "quadrature", "foreign": "reference", "long run": "long run",
}  # fmt: skip
_DIGITS = 9
_TYPES: Mapping[str, type] = {
    "title": str, "kind": str, "source": str, "method": str, "exact": bool, "family": str, "data": dict,
    "posteriors": list, "priors": dict, "about": dict,
}  # fmt: skip
_KIND_WORDS: Mapping[type, str] = {str: "a text", bool: "true or false", dict: "an object", list: "a list"}
_KEYS = ("title", "kind", "source", "method", "exact", "family", "data", "posteriors")


@dataclass(frozen=True)
class Posterior:
    """The figures of one posterior and the variants that must give them.

    ``table`` is indexed by parameter (``mu``, ``theta[A]``) and has mean, sd, q05, q50, q95 as far as they are known,
    and the MCSE of each (0 where it is exact). ``sampling`` holds settings that its fit needs. ``about`` is what a long
    run says of itself: program_sha256, largest R-hat, lag-1 autocorrelation, divergences, seconds.
    """

    variants: tuple[str, ...]
    table: pd.DataFrame
    sampling: Mapping[str, Any] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def comparisons(self) -> int:
        """How many statistics are known, each of which is one comparison."""
        return int(self.table[[s for s in STATISTICS if s in self.table]].notna().to_numpy().sum())


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A reference file. ``data`` names a dataset (or a CSV beside the file), its columns and formula, or is a hash."""

    path: Path
    title: str
    kind: str
    source: str
    method: str
    exact: bool
    family: str
    data: Mapping[str, Any]
    priors: Mapping[str, str]
    posteriors: tuple[Posterior, ...]
    about: Mapping[str, Any] = field(default_factory=dict)  # engine, versions, settings of a long run

    @property
    def truth(self) -> str:
        """The kind of truth, as tables call it."""
        return KINDS[self.kind]

    def posterior(self, variant: str) -> Posterior:
        """The posterior that a variant must give; ModelError where the file has none for it."""
        for posterior in self.posteriors:
            if variant in posterior.variants:
                return posterior
        held = ", ".join(v for p in self.posteriors for v in p.variants)
        raise ModelError(
            f"{self.path}: there is no posterior of {variant!r}; it holds {held}. `hbm reference ANALYSIS --save "
            f"--variant {variant}` adds it."
        )

    def dataset(self) -> Dataset:
        """The data that the posterior is of; ModelError where the file only knows their hash."""
        reading = {key: self.data[key] for key in KEYS if key in self.data}
        if "dataset" in self.data:
            return load(str(self.data["dataset"]), **reading).with_columns(self.data["columns"])
        if "file" in self.data:
            return load(self.path.parent / str(self.data["file"]), **reading).with_columns(self.data["columns"])
        raise ModelError(f"{self.path} names no data: only a fit that is made already can be compared with it.")


def read_reference(path: str | Path) -> Reference:
    """The reference in a file; ModelError says which key or parameter is not as it should be."""
    path = Path(path)
    content = _json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ModelError(f"{path} is no reference file of format {FORMAT}: `hbm reference ANALYSIS --save` writes one.")
    missing = [key for key in _KEYS if key not in content]
    if missing:
        raise ModelError(f"{path}: these keys are missing: {', '.join(missing)}.")
    content = {"priors": {}, "about": {}, **content}
    for key, kind in _TYPES.items():
        if not isinstance(content[key], kind):
            raise ModelError(f"{path}: {key} must be {_KIND_WORDS[kind]}, found {shorten(repr(content[key]))}.")
    if content["kind"] not in KINDS:
        raise ModelError(f"{path}: kind is {content['kind']!r}; allowed: {', '.join(map(repr, KINDS))}.")
    wrong = [name for name, text in content["priors"].items() if not isinstance(text, str)]
    if wrong:
        raise ModelError(f"{path}: the prior of {wrong[0]} must be a text such as half_normal(5).")
    if not content["posteriors"]:
        raise ModelError(f"{path} holds no posterior.")
    posteriors = tuple(_posterior(path, p, content["exact"]) for p in content["posteriors"])
    return Reference(
        path=path, title=content["title"], kind=content["kind"], source=content["source"], method=content["method"],
        exact=content["exact"], family=content["family"], data=content["data"], priors=content["priors"],
        posteriors=posteriors, about=content["about"],
    )  # fmt: skip


def _json(path: Path) -> Any:
    """What a file says; numbers that are not finite are refused, which JSON does not have."""

    def refuse(word: str) -> None:
        raise ValueError(f"{word} is no number")

    refuse_no_file(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    except FileNotFoundError as error:
        raise ModelError(f"{path}: there is no reference. `hbm reference ANALYSIS --save` makes one.") from error
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not JSON ({error}); `hbm reference --save` writes references.") from error


def _posterior(path: Path, entry: Any, exact: bool) -> Posterior:
    try:
        variants = entry["variants"]
        if not (isinstance(variants, list) and variants and all(isinstance(v, str) for v in variants)):
            raise TypeError("variants must be a list of names")
        table = pd.DataFrame.from_dict(entry["parameters"], orient="index").astype(float)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: a posterior needs variants and parameters with numbers ({error}).") from error
    where = f"{path}: {', '.join(variants)}"
    table.index.name = "parameter"
    statistics = [s for s in STATISTICS if s in table]
    if table.empty or not statistics or table[statistics].isna().all(axis=1).any():
        raise ModelError(f"{where}: a parameter has none of {', '.join(STATISTICS)}.")
    for statistic in statistics:
        _check_statistic(where, table, statistic, exact)
    return Posterior(tuple(variants), table, entry.get("sampling", {}), entry.get("about", {}))


def _check_statistic(where: str, table: pd.DataFrame, statistic: str, exact: bool) -> None:
    """Raise ModelError where a known statistic has no Monte Carlo error; give exact ones an error of zero."""
    column = f"mcse_{statistic}"
    if exact:
        table[column] = 0.0
        return
    known = table[statistic].notna()
    if column not in table or table.loc[known, column].isna().any():
        raise ModelError(f'{where}: {column} is missing. Say "exact": true where there is none.')
    bad = table.index[known & ~(table[column] > 0)]
    if len(bad):
        raise ModelError(
            f"{where}: {column} of {bad[0]} is {table.loc[bad[0], column]:g}; a Monte Carlo error is above zero. Say "
            '"exact": true where there is none.'
        )


def write_reference(reference: Reference) -> None:
    """Write a reference file, all or nothing."""
    content: dict[str, Any] = {
        "format": FORMAT, "title": reference.title, "kind": reference.kind, "source": reference.source,
        "method": reference.method, "exact": reference.exact, "family": reference.family, "data": dict(reference.data),
        "priors": dict(reference.priors), "about": dict(reference.about),
        "posteriors": [_posterior_as_dict(p, reference.exact) for p in reference.posteriors],
    }  # fmt: skip
    write_json(reference.path, content, indent=1)


def _posterior_as_dict(posterior: Posterior, exact: bool) -> dict[str, Any]:
    columns = [*STATISTICS, *([] if exact else [f"mcse_{s}" for s in STATISTICS])]
    return {
        "variants": list(posterior.variants),
        **({"sampling": dict(posterior.sampling)} if posterior.sampling else {}),
        "about": dict(posterior.about),
        "parameters": {
            str(name): {c: _rounded(row[c]) for c in columns if c in row and np.isfinite(row[c])}
            for name, row in posterior.table.iterrows()
        },
    }


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def shipped(folder: Path, families: Sequence[str] = ()) -> list[Reference]:
    """The reference files of a folder, of these families (all, where none is named), by name."""
    references = []
    for path in sorted(folder.glob("*.json")):
        if json.loads(path.read_text(encoding="utf-8")).get("format") == FORMAT:  # others are single figures for tests
            reference = read_reference(path)
            if not families or reference.family in families:
                references.append(reference)
    return references
