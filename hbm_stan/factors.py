"""Which grouping factor matters? A formula's model against the models that lack the terms of one of its factors."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from hbm_stan.attempts import MINUTES, VariantProgress, family_and_data, fit_named
from hbm_stan.budget import Budget
from hbm_stan.checks import check_fits
from hbm_stan.compare import compare, score, unit_of, units_of
from hbm_stan.comparison import Comparison
from hbm_stan.data import Dataset
from hbm_stan.densities import Unit
from hbm_stan.design import Design, Factor, is_inside
from hbm_stan.elements import base_of
from hbm_stan.engines import Engine, Sampling, choose
from hbm_stan.errors import ComparisonError
from hbm_stan.fit import Fit, prepare_table
from hbm_stan.formula import dataset_without_factor, with_formula, without_factor
from hbm_stan.judge import Pair
from hbm_stan.model import Family
from hbm_stan.notebook import card
from hbm_stan.nouns import noun_of
from hbm_stan.parameterise import choose_parameterisation
from hbm_stan.sentences import Sentence
from hbm_stan.store import FitStore

if TYPE_CHECKING:
    import pandas as pd

WHOLE = "the whole model"
_COMPLETE = "complete_pooling"


@dataclass(frozen=True, kw_only=True)
class Reduced:
    """The model without the terms of one factor: its name in comparisons, its formula, the variant that fits it.

    The group's own terms are left out by complete pooling. ``stays`` names factors whose levels lie inside those of the
    dropped one: their effects may take up what it explained.
    """

    factor: str
    levels: int
    name: str
    formula: str
    variant: str
    stays: tuple[str, ...]

    @property
    def note(self) -> str:
        """What must be said of the factors inside it; empty where there are none."""
        if not self.stays:
            return ""
        inner = " and ".join(self.stays)
        return (
            f"Without {self.factor} the levels of {inner} stay, which lie inside its own: their effects may take up "
            f"what differs between levels of {self.factor}."
        )


@dataclass(frozen=True, kw_only=True, repr=False)
class FactorComparison:
    """The comparisons by target, each factor judged by itself: rows for all factors, new groups for the group alone."""

    formula: str
    group: str
    models: tuple[Reduced, ...]
    comparisons: Mapping[Unit, Comparison]
    fits: Mapping[str, Fit] = field(repr=False)

    def __repr__(self) -> str:
        head = f"<FactorComparison of {self.formula}: {', '.join(model.factor for model in self.models)}>"
        return "\n".join([head, *self.verdict])

    def _repr_html_(self) -> str:
        head, *lines = repr(self).splitlines()
        return card(head[1:-1], lines)

    @property
    def verdict(self) -> tuple[str, ...]:
        """A sentence for each factor and target, after the target in words; then what must be said beside."""
        sentences: list[str] = []
        for comparison in self.comparisons.values():
            sentences += [f"Target: {comparison.target}.", *comparison.verdict, *comparison.notes]
        return tuple(sentences)

    @property
    def withheld(self) -> bool:
        """Whether nothing may be said of a factor, for a high Pareto k or a rough integral."""
        return any(comparison.withheld for comparison in self.comparisons.values())

    def pair(self, factor: str, unit: Unit = "observation") -> Pair | None:
        """What the scores say of the model with that factor and without it; None where they were not compared."""
        name = next((model.name for model in self.models if model.factor == factor), "")
        return self.comparisons[unit].pair(WHOLE, name) if unit in self.comparisons else None

    def as_dict(self) -> dict[str, Any]:
        """The comparison for JSON: the models, then the comparison of each target."""
        return {
            "formula": self.formula,
            "pooled": self.group,
            "factors": [
                asdict(model) | {"variant": self.fits[model.name].variant, "note": model.note} for model in self.models
            ],
            **{unit: comparison.as_dict() for unit, comparison in self.comparisons.items()},
        }


@dataclass(frozen=True, kw_only=True)
class Models:
    """A formula's model, fitted with that variant of partial pooling, and those that lack one factor."""

    family: Family
    dataset: Dataset
    variant: str
    design: Design
    reduced: tuple[Reduced, ...]


def compare_factors(
    family: Family | str,
    dataset: Dataset | pd.DataFrame,
    variant: str = "partial_pooling",
    *,
    target: str | None = None,
    priors: Mapping[str, str] | None = None,
    sampling: Sampling | None = None,
    engine: Engine | str = "auto",
    store: FitStore | None = None,
    say: Callable[[str], None] | None = None,
    progress: VariantProgress | None = None,
    minutes: float = MINUTES,
    waive: Collection[str] = (),
    budget: Budget | None = None,
    **formula: Any,
) -> FactorComparison:
    """Fit a formula's model with partial pooling and without the terms of each grouping factor in turn; compare them.

    Rows are left out for every factor (``target="observation"``), whole groups for the factor ``group``
    (``target="group"``); by default both. The other arguments are those of ``fit_variants`` and ``compare``. Raises
    ComparisonError where there is no formula or one factor only, and DiagnosticError where a fit did not pass its
    checks.
    """
    unit = None if target is None else unit_of(target)
    models = reduced_models(*family_and_data(family, dataset, **formula), variant)
    fits = fit_models(
        models, priors=priors, sampling=sampling, engine=engine, store=store, say=say, progress=progress,
        minutes=minutes, waive=waive,
    )  # fmt: skip
    return judge_factors(models, fits, unit, waive=waive, budget=budget, store=store, say=say)


def reduced_models(family: Family, dataset: Dataset, variant: str) -> Models:
    """A formula's model with partial pooling and those without a factor, nothing sampled.

    Raises ComparisonError where there is no formula or one factor only.
    """
    where = dataset.table.where
    if not family.terms:
        raise ComparisonError(
            f"{where}: factors are compared of a formula, and the family {family.name} takes none. Whether its groups "
            "matter is what complete and partial pooling are compared for: hbm compare without --factors. Or write "
            "the model as a formula, such as y ~ x + (1 | a) + (1 | b)."
        )
    if family.variant(variant).pooling != "partial":
        raise ComparisonError(f"{where}: factors are compared with partial pooling; {variant} is another variant.")
    data = with_formula(dataset)
    design = prepare_table(family, data).design
    if design is None or len(design.factors) < 2:
        named = "" if design is None else f" ({design.pooled.name})"
        raise ComparisonError(
            f"{where}: the formula has one grouping factor only{named}. Whether it matters is what complete and "
            "partial pooling are compared for: hbm compare without --factors."
        )
    reduced = tuple(_reduced(data, design, f, variant) for f in design.factors)
    return Models(family=family, dataset=data, variant=variant, design=design, reduced=reduced)


def _reduced(dataset: Dataset, design: Design, factor: Factor, variant: str) -> Reduced:
    inside = tuple(f.name for f in design.factors if f is not factor and is_inside(f, factor))
    return Reduced(
        factor=factor.name, levels=len(factor.labels), name=f"the model without {factor.name}",
        formula=without_factor(dataset.reading.formula, factor.name),
        variant=_COMPLETE if factor.name == design.pooled.name else variant, stays=inside,
    )  # fmt: skip


def fit_models(
    models: Models,
    *,
    priors: Mapping[str, str] | None = None,
    engine: Engine | str = "auto",
    store: FitStore | None = None,
    progress: VariantProgress | None = None,
    say: Callable[[str], None] | None = None,
    forms: bool = False,
    **settings: Any,
) -> dict[str, Fit]:
    """The fits by name, the whole model first, with the settings of ``fit_variants``.

    The model without the group's terms is the variant complete_pooling; each other one has its own formula, and the
    fit that an analysis of that formula would have. With ``forms`` the parameterisation of each of these is chosen for
    itself: what suits the whole model may mix badly without a factor.
    """
    family, chosen = models.family, choose(engine) if isinstance(engine, str) else engine
    fit_store = store or FitStore.for_user(family.name, models.dataset.name)

    def fitted(name: str, data: Dataset, variant: str, place: FitStore, own: Mapping[str, str]) -> Fit:
        return fit_named(
            name, family, data, variant, say=say, progress=progress, priors=own, engine=chosen, store=place, **settings
        )

    given = priors or {}
    fits = {WHOLE: fitted(WHOLE, models.dataset, models.variant, fit_store, given)}
    for model in models.reduced:
        data, place, own, variant = models.dataset, fit_store, given, model.variant
        if model.variant != _COMPLETE:
            data = dataset_without_factor(models.dataset, model.factor)
            # In folders of their own: a store keeps few fits of a variant.
            place = FitStore(fit_store.folder / "factors" / re.sub(r"[^\w-]", "_", model.factor))
            own = priors_left(family, data, given)
            if forms:
                seed = fits[WHOLE].sampling.seed
                variant = choose_parameterisation(family, data, priors=own, seed=seed, store=place, say=say).variant
        fits[model.name] = fitted(model.name, data, variant, place, own)
    return fits


def priors_left(family: Family, dataset: Dataset, priors: Mapping[str, str]) -> dict[str, str]:
    """The chosen priors of what another model of the same data still has."""
    names = family.programs.default_priors(prepare_table(family, dataset))
    there = {*names, *(base_of(name) for name in names)}
    return {name: text for name, text in priors.items() if name in there}


def judge_factors(
    models: Models,
    fits: Mapping[str, Fit],
    unit: Unit | None = None,
    *,
    waive: Collection[str] = (),
    budget: Budget | None = None,
    store: FitStore | None = None,
    say: Callable[[str], None] | None = None,
) -> FactorComparison:
    """The comparison of the fits of ``fit_models``; of both targets, or ``unit`` only."""
    # A failed check names the model: several are of one variant.
    diagnoses = {name: replace(diagnosis, variant=name) for name, diagnosis in check_fits(fits, waive).items()}
    group = models.design.pooled.name
    comparisons: dict[Unit, Comparison] = {}
    for each in units_of(fits[WHOLE], unit):
        of = [model for model in models.reduced if each == "observation" or model.factor == group]
        chosen = {name: fits[name] for name in (WHOLE, *(model.name for model in of))}
        together = compare(chosen, diagnoses, each, budget=budget, store=store, say=say)
        comparisons[each] = _by_factor(together, fits[WHOLE], models.design, of)
    return FactorComparison(
        formula=models.dataset.reading.formula, group=group, models=models.reduced, comparisons=comparisons, fits=fits
    )


def _by_factor(together: Comparison, whole: Fit, design: Design, models: list[Reduced]) -> Comparison:
    """The comparison with a pair and a sentence for each factor in the place of those on the best model.

    Without its terms a factor is pooled completely: the rule of partial against complete pooling decides, with levels
    of that factor as the groups that a lead has to rest on.
    """
    table = whole.table
    pairs: list[Pair] = []
    sentences: list[Sentence] = []
    few: list[Sentence] = []
    for model in models:
        factor, own = table.factor(model.factor), model.factor == table.pooled.name
        comparison = score(
            {name: together.pointwise[name] for name in (WHOLE, model.name)}, together.target, unit=together.unit,
            n_observations=together.n_observations, labels=together.labels,
            group=None if together.unit == "group" else factor.level, groups=factor.labels,
            pooling={WHOLE: "partial", model.name: "complete"},
            noun=table.noun if own else noun_of(factor.columns[-1]),
        )  # fmt: skip
        pairs += comparison.pairs
        sentences += [sentence for sentence in comparison.sentences if sentence.kind in {"pair", "withheld"}]
        few = [sentence for sentence in comparison.sentences if sentence.kind == "few"]
    scores = tuple(replace(s, weight=None, weight_bma=None) for s in together.scores)
    elsewhere = _elsewhere(together, models, [factor.name for factor in design.factors])
    notes = (*together.notes, *(model.note for model in models if model.note), *elsewhere)
    return replace(together, scores=scores, pairs=tuple(pairs), sentences=(*sentences, *few), notes=notes)


def _elsewhere(together: Comparison, models: list[Reduced], factors: Sequence[str]) -> list[str]:
    """How to ask for new levels of the factors that are not the group."""
    others = [name for name in factors if name not in {model.factor for model in models}]
    if together.unit != "group" or not others:
        return []
    return [f"A new level of {' or '.join(others)} is left out where that factor is the group: group = {others[0]!r}."]
