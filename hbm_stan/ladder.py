"""Which likelihood do the rows call for? One formula with each likelihood that its outcome can have, side by side."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from hbm_stan.attempts import MINUTES, VariantProgress, family_and_data, fit_named
from hbm_stan.budget import Budget
from hbm_stan.checks import check
from hbm_stan.compare import both_targets, unit_of
from hbm_stan.comparison import Comparison
from hbm_stan.data import Dataset
from hbm_stan.densities import Unit
from hbm_stan.diagnosis import Diagnosis
from hbm_stan.engines import Engine, Sampling, choose
from hbm_stan.errors import ComparisonError, DataError
from hbm_stan.factors import priors_left
from hbm_stan.families import families
from hbm_stan.families.crossed import of_size
from hbm_stan.fit import Fit, prepare_table
from hbm_stan.formula import columns_read
from hbm_stan.judge import Pair
from hbm_stan.likelihoods import likelihoods
from hbm_stan.model import Family
from hbm_stan.notebook import card
from hbm_stan.nouns import capital
from hbm_stan.parameterise import DEFAULT, choose_parameterisation
from hbm_stan.store import FitStore
from hbm_stan.verdicts import PREDICTIVE_CHECK

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Rung:
    """A likelihood of the outcome: its name, its name in comparisons, and its family."""

    likelihood: str
    name: str
    family: Family
    dataset: Dataset


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """The likelihoods that an outcome can have, and why others of its kind are left out."""

    dataset: Dataset
    rungs: tuple[Rung, ...]
    left_out: tuple[str, ...]
    unit: str = ""  # of the linear predictor of the likelihood that the analysis has, on whose scale its priors are


@dataclass(frozen=True, kw_only=True, repr=False)
class LikelihoodComparison:
    """The comparisons by target, and what each likelihood's replicated rows say of it."""

    formula: str
    ladder: Ladder
    comparisons: Mapping[Unit, Comparison]
    diagnoses: Mapping[str, Diagnosis] = field(repr=False)
    fits: Mapping[str, Fit] = field(repr=False)

    def __repr__(self) -> str:
        head = f"<LikelihoodComparison of {self.formula}: {', '.join(r.likelihood for r in self.ladder.rungs)}>"
        return "\n".join([head, *self.verdict])

    def _repr_html_(self) -> str:
        head, *lines = repr(self).splitlines()
        return card(head[1:-1], lines)

    @property
    def rows(self) -> tuple[str, ...]:
        """What replicated rows say of each likelihood."""
        sentences = []
        for name, diagnosis in self.diagnoses.items():
            verdict = next((v for v in diagnosis.verdicts if v.name == PREDICTIVE_CHECK), None)
            if verdict is not None:
                words = "its rows are what it expects" if verdict.status == "pass" else verdict.hint
                sentences.append(f"{capital(name)}: {words.rstrip('.')}.")
        return tuple(sentences)

    @property
    def extra_zeros(self) -> tuple[str, ...]:
        """Whether a share of extra zeros is needed: the best likelihood without one against the best that has one.

        Of rows that are left out where those are compared; nothing where no ranking may be read.
        """
        known, comparison = likelihoods(), self.comparisons.get("observation") or next(iter(self.comparisons.values()))
        having = {rung.name: known[rung.likelihood].counts is not None for rung in self.ladder.rungs}
        ranked = [] if comparison.withheld else [score.variant for score in comparison.scores if score.ranked]
        best = {has: next((name for name in ranked if having[name] == has), "") for has in (False, True)}
        pair = comparison.pair(best[False], best[True])
        return () if pair is None else (_of_extra_zeros(pair, without=best[False]),)

    @property
    def verdict(self) -> tuple[str, ...]:
        """What rows say of each likelihood, then a sentence for each target, after the target in words."""
        sentences = [*self.rows, *self.ladder.left_out]
        for comparison in self.comparisons.values():
            sentences += [f"Target: {comparison.target}.", *comparison.verdict, *comparison.notes]
        return (*sentences, *self.extra_zeros)

    @property
    def withheld(self) -> bool:
        """Whether nothing may be said of a likelihood, for a high Pareto k or a rough integral."""
        return any(comparison.withheld for comparison in self.comparisons.values())

    def as_dict(self) -> dict[str, Any]:
        """The comparison for JSON: the likelihoods, what their rows say, then the comparison of each target."""
        return {
            "formula": self.formula,
            "likelihoods": [
                {"likelihood": r.likelihood, "name": r.name, "variant": self.fits[r.name].variant}
                for r in self.ladder.rungs
            ],
            "rows": list(self.rows),
            "extra_zeros": list(self.extra_zeros),
            "left_out": list(self.ladder.left_out),
            **{unit: comparison.as_dict() for unit, comparison in self.comparisons.items()},
        }


def _of_extra_zeros(pair: Pair, *, without: str) -> str:
    """What the best likelihood without extra zeros and the best with them say together."""
    numbers = f"elpd difference {pair.elpd_diff:.1f}"
    if pair.kind == "alike":
        other = pair.other if pair.better == without else pair.better
        return f"A share of extra zeros is not needed: {without} predicts as well as {other} ({numbers})."
    if pair.kind == "not_told_apart":
        return f"These data do not tell whether a share of extra zeros is needed ({numbers})."
    needed = "not needed" if pair.better == without else "needed"
    return f"A share of extra zeros is {needed}: {pair.better} predicts better than {pair.other} ({numbers})."


def compare_likelihoods(
    family: Family | str,
    dataset: Dataset | pd.DataFrame,
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
) -> LikelihoodComparison:
    """Fit a formula with partial pooling and each likelihood of its outcome, and compare them.

    Both targets, or ``target`` alone. The other arguments are those of ``fit_variants`` and ``compare``. That rows are
    not what a likelihood expects withholds nothing here: it is what is asked, and it is said. Raises ComparisonError
    where there is no formula or one likelihood only, and DiagnosticError where a fit did not pass its other checks.
    """
    unit = None if target is None else unit_of(target)
    ladder = ladder_of(*family_and_data(family, dataset, **formula))
    fits = fit_ladder(
        ladder, priors=priors, sampling=sampling, engine=engine, store=store, say=say, progress=progress,
        minutes=minutes, waive=waive,
    )  # fmt: skip
    return judge_ladder(ladder, fits, unit, waive=waive, budget=budget, store=store, say=say)


def ladder_of(family: Family, dataset: Dataset) -> Ladder:
    """The likelihoods that the outcome of a formula can have; raises ComparisonError where there is one only."""
    where = dataset.table.where
    if not family.terms:
        raise ComparisonError(
            f"{where}: likelihoods are compared of a formula, and the family {family.name} takes none. Write the model "
            "as a formula, such as y ~ x + (1 | group)."
        )
    known, every = likelihoods(), families()
    kind = known[family.name].ladder
    rungs, left_out = [], []
    for name, likelihood in known.items():
        if likelihood.ladder != kind or likelihood.sampled:  # the same one in the other form
            continue
        data, model = _read_for(every[name], dataset), f"the model of {likelihood.rows_words}"
        try:
            form = of_size(data, name)[0]
            prepare_table(every[form], data)
        except DataError as error:
            left_out.append(f"{capital(model)} is left out: {error}")
            continue
        rungs.append(Rung(likelihood=form, name=model, family=every[form], dataset=data))
    if len(rungs) < 2:
        why = "".join(f" {reason}" for reason in left_out)
        raise ComparisonError(f"{where}: this outcome can have one likelihood only ({family.name}).{why}")
    return Ladder(dataset=dataset, rungs=tuple(rungs), left_out=tuple(left_out), unit=known[family.name].eta_unit)


def _read_for(family: Family, dataset: Dataset) -> Dataset:
    """The dataset without the formulas of parameters that this family has not, and the levels that only they read."""
    narrowed = replace(dataset, reading=dataset.reading.only_beside(family.own_formulas))
    if narrowed.reading == dataset.reading:
        return dataset
    read = columns_read(narrowed)
    levels = {column: order for column, order in narrowed.reading.levels.items() if column in read}
    return replace(narrowed, reading=replace(narrowed.reading, levels=levels))


def fit_ladder(
    ladder: Ladder,
    *,
    priors: Mapping[str, str] | None = None,
    engine: Engine | str = "auto",
    store: FitStore | None = None,
    progress: VariantProgress | None = None,
    say: Callable[[str], None] | None = None,
    sampling: Sampling | None = None,
    **settings: Any,
) -> dict[str, Fit]:
    """The fits by name, each in the parameterisation that its pilots choose, with the settings of ``fit_variants``."""
    chosen = choose(engine) if isinstance(engine, str) else engine
    tell = say or (lambda _text: None)
    fits = {}
    for rung in ladder.rungs:
        family, data = rung.family, rung.dataset
        place = store or FitStore.for_user(family.name, data.name)
        same_scale = likelihoods()[rung.likelihood].eta_unit == ladder.unit
        if priors and not same_scale:
            tell(f"{capital(rung.name)}: its default priors, for coefficients are on another scale")
        own, seed = priors_left(family, data, (priors or {}) if same_scale else {}), (sampling or Sampling()).seed
        variant = DEFAULT
        if family.programs.pilot:
            variant = choose_parameterisation(family, data, priors=own, seed=seed, store=place, say=tell).variant
        fits[rung.name] = fit_named(
            rung.name, family, data, variant, say=say, progress=progress, priors=own, sampling=sampling,
            engine=chosen, store=FitStore(place.folder / "likelihoods" / rung.likelihood), **settings,
        )  # fmt: skip
    return fits


def judge_ladder(
    ladder: Ladder,
    fits: Mapping[str, Fit],
    unit: Unit | None = None,
    *,
    waive: Collection[str] = (),
    budget: Budget | None = None,
    store: FitStore | None = None,
    say: Callable[[str], None] | None = None,
) -> LikelihoodComparison:
    """The comparison of the fits of ``fit_ladder``; of both targets, or ``unit`` only."""
    allowed = {*waive, PREDICTIVE_CHECK}
    diagnoses = {name: replace(check(fit, allowed, model=True), variant=name) for name, fit in fits.items()}
    comparisons = both_targets(fits, diagnoses, unit, budget, store, say)
    return LikelihoodComparison(
        formula=ladder.dataset.reading.formula, ladder=ladder, comparisons=comparisons, diagnoses=diagnoses, fits=fits
    )
