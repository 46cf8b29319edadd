"""An analysis: what analysis.toml says, checked key by key."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hbm_stan.analysis.keys import (
    APPENDICES,
    SECTIONS,
    check_keys,
    list_of_texts,
    number_of,
    section_of,
    texts,
    within,
)
from hbm_stan.analysis.place import analysis_file
from hbm_stan.analysis.source import family_and_dataset
from hbm_stan.analysis.told import label_column
from hbm_stan.budget import Budget
from hbm_stan.data import Dataset
from hbm_stan.elements import base_of
from hbm_stan.engines import ENGINES, Sampling
from hbm_stan.errors import ModelError, nearest
from hbm_stan.fit import prepare_table
from hbm_stan.formula.parse import parse
from hbm_stan.model import Family
from hbm_stan.nouns import Noun, noun_of
from hbm_stan.parameterise import AUTO, Choice, named_parameterisation
from hbm_stan.prepare import LARGEST, SMALLEST
from hbm_stan.priors import parse_prior
from hbm_stan.store import FitStore
from hbm_stan.table import shorten
from hbm_stan.verdicts import CHECKS


@dataclass(frozen=True, kw_only=True)
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
    engine: str = "auto"  # that is used where a command names none
    compared: tuple[str, ...] = ()
    max_refits: int = 10  # what the repair of a high Pareto k may cost, and ...
    minutes: float = 10.0
    prediction: Mapping[str, Any] = field(default_factory=dict)
    parameterisation: str = AUTO
    choice: Choice | None = None  # how partial_pooling was settled
    waived: tuple[str, ...] = ()
    appendix: str = APPENDICES[1]  # of the report: one of APPENDICES
    caterpillars: tuple[str, ...] = ()  # factors of a formula, beside the group, whose levels are drawn
    folder: Path = Path()

    @property
    def noun(self) -> Noun:
        """What the report calls a group."""
        return noun_of(label_column(self.family, self.dataset), self.dataset.reading.group_name)

    @property
    def store(self) -> FitStore:
        """Where the draws of this analysis are kept: ``fits/`` in its folder."""
        return FitStore(self.folder / "fits")

    @property
    def budget(self) -> Budget:
        """What repairs of scores may cost, the minutes counted from now."""
        return Budget(self.max_refits, self.minutes)

    @property
    def main_variant(self) -> str:
        """The variant that predictions and shrinkage are taken from: the first with partial pooling, else the first."""
        partial = [v for v in self.variants if self.family.variant(v).pooling == "partial"]
        return partial[0] if partial else self.variants[0]

    def engine_for[E](self, asked: E) -> E | str:
        """The engine that is asked for, or that of the analysis where that is ``auto``."""
        return self.engine if asked == ENGINES[0] else asked

    def with_seed(self, seed: int | None) -> Analysis:
        """The same analysis with another seed."""
        return self if seed is None else replace(self, sampling=replace(self.sampling, seed=seed))


def read_analysis(path: str | Path) -> Analysis:
    """The analysis in a folder or in its analysis.toml; raises ModelError or DataError naming file and key."""
    file = analysis_file(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
        entries = tomllib.loads(text)
    except OSError as error:
        raise ModelError(f"{file}: cannot be read ({error.strerror or error}).") from error
    except UnicodeDecodeError as error:
        raise ModelError(f"{file} is not UTF-8 ({error.reason} at byte {error.start}). Save it as UTF-8.") from error
    except (ValueError, RecursionError) as error:
        # Windows paths: the error of tomllib speaks of hexadecimal digits.
        hint = " A backslash in double quotes begins an escape: write paths with /." if "\\" in text else ""
        raise ModelError(f"{file} is not valid TOML: {error}.{hint}") from error
    check_keys(file, entries)
    return _analysis(file, entries)


def _analysis(file: Path, entries: Mapping[str, Any]) -> Analysis:
    family, dataset = family_and_dataset(file, entries)
    variants = _variants(file, "variants", entries.get("variants"), family) or _usual(family, dataset)
    checks = section_of(file, entries, "checks", SECTIONS["checks"])
    name = file.resolve().parent.name or "analysis"
    return Analysis(
        name=name,
        family=family,
        dataset=dataset,
        variants=variants,
        title=entries.get("title", "") or name,
        question=entries.get("question", ""),
        priors=_priors(file, entries, family),
        reasons=_prior_texts(file, "reasons", entries, family),
        sampling=_sampling(file, entries),
        engine=_engine(file, entries),
        compared=_compared(file, entries, family, variants),
        **_budget(file, entries),
        prediction=_prediction(file, entries, family),
        parameterisation=_parameterisation(file, entries, family),
        waived=_waived(file, checks.get("waive", [])),
        caterpillars=_caterpillars(file, entries, dataset),
        appendix=_appendix(file, entries),
        folder=file.parent,
    )


def _usual(family: Family, dataset: Dataset) -> tuple[str, ...]:
    """The variants where none are named; the table decides where the family cannot learn each of them from any rows."""
    if family.programs.unlearnable is None:
        return family.default_variants
    return family.variants_for(prepare_table(family, dataset))


def _compared(file: Path, entries: Mapping[str, Any], family: Family, variants: Sequence[str]) -> tuple[str, ...]:
    value = section_of(file, entries, "comparison", SECTIONS["comparison"]).get("variants")
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


def _budget(file: Path, entries: Mapping[str, Any]) -> dict[str, Any]:
    """What repairs may cost: the keys of [comparison] that are there."""
    section = section_of(file, entries, "comparison", SECTIONS["comparison"])
    given = {key: section[key] for key in ("max_refits", "minutes") if key in section}
    with within(f"{file}: [comparison]"):
        Budget(**given)
    return given


def _prior_texts(file: Path, section: str, entries: Mapping[str, Any], family: Family) -> dict[str, str]:
    """Texts by parameter: the name of a row of the prior table, or ``row[term]``."""
    names = [row.name for row in family.programs.prior_rows]
    given = entries.get(section, {})
    return texts(file, section, given, [*names, *(k for k in given if base_of(k) in names)])


def _priors(file: Path, entries: Mapping[str, Any], family: Family) -> dict[str, str]:
    priors = _prior_texts(file, "priors", entries, family)
    rows = {row.name: row for row in family.programs.prior_rows}
    with within(f"{file}"):
        for name, text in priors.items():
            parse_prior(text, rows[base_of(name)], name)
    return priors


def _prediction(file: Path, entries: Mapping[str, Any], family: Family) -> dict[str, Any]:
    section = section_of(file, entries, "prediction", tuple(family.groups.prediction))
    options: dict[str, Any] = {}
    for name, value in section.items():
        where, kind = f"prediction.{name}", family.groups.prediction[name].kind
        if kind == "table":
            if not isinstance(value, dict):
                raise ModelError(f"{file}: {where} must be a table such as {{x = 1.0}}, found {shorten(repr(value))}.")
            named = {key: v for key, v in value.items() if family.terms and isinstance(v, str)}  # levels of categories
            options[name] = {k: named.get(k) or number_of(file, f"{where}.{k}", v) for k, v in value.items()}
        else:
            options[name] = number_of(file, where, value, SMALLEST if kind == "positive" else -LARGEST)
    return options


def _parameterisation(file: Path, entries: Mapping[str, Any], family: Family) -> str:
    value = str(entries.get("parameterisation", AUTO))
    with within(f"{file}: parameterisation"):
        named_parameterisation(family, value)
    return value


def _waived(file: Path, value: Any) -> tuple[str, ...]:
    names = list_of_texts(file, "checks.waive", value)
    for name in names:
        if name not in CHECKS:
            raise ModelError(f"{file}: checks.waive: there is no check {name!r}. {nearest(name, CHECKS)}")
    return tuple(names)


def _caterpillars(file: Path, entries: Mapping[str, Any], dataset: Dataset) -> tuple[str, ...]:
    """The factors of ``report.caterpillars``; raises ModelError for one that the formula has not, or the group."""
    section = section_of(file, entries, "report", SECTIONS["report"])
    names = list_of_texts(file, "report.caterpillars", section.get("caterpillars", []))
    if names and not dataset.reading.formula:
        raise ModelError(f"{file}: report.caterpillars goes with a formula, and there is none.")
    others = [f for f in parse(dataset.reading.formula).factors if f != dataset.column("group")] if names else []
    for name in names:
        if name not in others:
            known = nearest(name, others) if others else "The formula has no factor beside the group."
            raise ModelError(f"{file}: report.caterpillars: {name!r} is no factor beside the group. {known}")
    return tuple(dict.fromkeys(names))


def _appendix(file: Path, entries: Mapping[str, Any]) -> str:
    """``report.appendix``: how much of the programs the report prints; raises ModelError for another word."""
    word = section_of(file, entries, "report", SECTIONS["report"]).get("appendix", APPENDICES[1])
    if word not in APPENDICES:
        allowed = ", ".join(f'"{name}"' for name in APPENDICES)
        raise ModelError(f"{file}: report.appendix must be one of {allowed}, found {shorten(repr(word))}.")
    return str(word)


def _one_of_each(family: Family, variants: Sequence[str]) -> tuple[str, ...]:
    """The first variant of each model: parameterisations of one model are not rivals."""
    first: dict[object, str] = {}
    for name in variants:
        variant = family.variant(name)
        first.setdefault((variant.pooling, variant.math), name)
    return tuple(first.values())


def _variants(file: Path, name: str, value: Any, family: Family) -> tuple[str, ...]:
    if value is None:
        return ()
    names = list_of_texts(file, name, value)
    if not names and name == "variants":
        raise ModelError(f"{file}: variants is empty. Name one at least, or leave the key out for the defaults.")
    for variant in names:
        with within(f"{file}: {name}"):
            family.variant(variant)
        if names.count(variant) > 1:
            raise ModelError(f"{file}: {name} names {variant!r} twice.")
    return tuple(names)


def _sampling(file: Path, entries: Mapping[str, Any]) -> Sampling:
    section = section_of(file, entries, "sampling", SECTIONS["sampling"])
    with within(f"{file}"):
        return Sampling(**{name: value for name, value in section.items() if name != "engine"})


def _engine(file: Path, entries: Mapping[str, Any]) -> str:
    """``sampling.engine``; raises ModelError for one that is not known."""
    name = section_of(file, entries, "sampling", SECTIONS["sampling"]).get("engine", ENGINES[0])
    if name not in ENGINES:
        raise ModelError(f"{file}: sampling.engine: there is no engine {name!r}. {nearest(str(name), ENGINES)}")
    return str(name)
