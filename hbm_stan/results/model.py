"""The model of an analysis: its family, its formula in words, and what each pooling variant assumes."""

from __future__ import annotations

from dataclasses import dataclass

from hbm_stan.analysis.read import Analysis
from hbm_stan.families.terms.variants import math_of
from hbm_stan.fit import Fit
from hbm_stan.formula import structure_in_words
from hbm_stan.results.entry import Entry
from hbm_stan.results.meanings import parameter_meanings


@dataclass(frozen=True, kw_only=True)
class ModelVariant(Entry):
    """A variant: how it pools, what it assumes in words and in mathematics (Typst), and how it is parameterised."""

    name: str
    title: str
    pooling: str
    math: list[str]
    parameterisation: str
    assumption: str


@dataclass(frozen=True, kw_only=True)
class Model(Entry):
    """The section ``model``; ``likelihood`` is Typst mathematics, ``meanings`` are those of parameters, by name."""

    title: str
    citation: str
    likelihood: list[str]
    formula: str
    words: list[str]
    quantity: str
    meanings: dict[str, str]
    variants: list[ModelVariant]


def model_of(analysis: Analysis, fit: Fit) -> Model:
    """The model of an analysis, in the words of its nouns."""
    family, fill, dataset = analysis.family, analysis.noun.fill, fit.table.dataset
    design, variants = fit.table.design, [family.variant(name) for name in analysis.variants]
    return Model(
        title=family.words.title,
        citation=family.words.citation,
        likelihood=list(family.words.likelihood),
        formula=dataset.reading.formula,
        words=structure_in_words(dataset, design) if design is not None else [],
        quantity=family.words.group_meaning,
        meanings=parameter_meanings(analysis, fit),
        variants=[
            ModelVariant(
                name=v.name,
                title=v.title,
                pooling=v.pooling,
                math=list(v.math) if design is None else math_of(v, design),
                parameterisation=fill(v.parameterisation),
                assumption=fill(v.assumption),
            )
            for v in variants
        ],
    )
