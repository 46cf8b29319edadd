"""What Python users call to fit: partial pooling comes in the form that the data call for, as in a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from hbm_stan.attempts import VariantProgress, family_and_data
from hbm_stan.attempts import fit_variants as fit_as_named
from hbm_stan.data import Dataset
from hbm_stan.engines import Engine, Progress, Sampling, choose
from hbm_stan.errors import ModelError
from hbm_stan.fit import Fit, prepare_table
from hbm_stan.forms import passing_form
from hbm_stan.memory import refuse_too_large
from hbm_stan.model import Family
from hbm_stan.parameterise import AUTO, DEFAULT, Choice, choose_parameterisation, named_parameterisation
from hbm_stan.prepared import refuse_what_is_no_dataset
from hbm_stan.store import FitStore

if TYPE_CHECKING:
    import pandas as pd

# How a fit is made, beside what it is of; all other keywords of ``fit`` belong to a formula.
_HOW = ("progress", "minutes", "waive")
_SETTINGS = {field.name for field in fields(Sampling)}


def fit(
    family: Family | str,
    dataset: Dataset | pd.DataFrame,
    variant: str = DEFAULT,
    *,
    parameterisation: str = AUTO,
    priors: Mapping[str, str] | None = None,
    sampling: Sampling | None = None,
    engine: Engine | str = "auto",
    store: FitStore | None = None,
    say: Callable[[str], None] | None = None,
    progress: Progress | None = None,
    **more: Any,
) -> Fit:
    """Fit one variant of a family to a dataset whose columns are mapped to roles, or of a formula to a DataFrame.

    ``fit("y ~ x + (1 | g)", frame)`` takes ``likelihood``, ``group``, ``centre``, ``levels``, ``reference`` and
    ``weights`` (the column that says how often a row counts) too.
    ``partial_pooling`` is fitted in the form that a rule and short pilots find best for the data, or in the one that
    ``parameterisation`` names (``"centered"``); ``Fit.variant`` is its name. Other variants are fitted as named.
    ``priors`` replaces rows of the family's prior table (``{"tau": "half_cauchy(5)"}``). A fit whose program, data,
    priors, settings, seed, engine and version are known already is read from ``store`` (the user's cache folder).
    A fit with divergent transitions and no other failed check is sampled again at a smaller step, where that is
    expected to take less than ``minutes`` (0: never); ``Fit.earlier`` says so. Checks in ``waive`` need not be passed.
    Raises DataError, ModelError or EngineError.
    """
    bars: VariantProgress | None = None if progress is None else (lambda _variant: progress)
    fits = fit_variants(
        family, dataset, (variant,), parameterisation=parameterisation, priors=priors, sampling=sampling,
        engine=engine, store=store, say=say, progress=bars, **more,
    )  # fmt: skip
    return fits[variant]


def fit_variants(
    family: Family | str,
    dataset: Dataset | pd.DataFrame,
    variants: Sequence[str] | None = None,
    *,
    parameterisation: str = AUTO,
    priors: Mapping[str, str] | None = None,
    sampling: Sampling | None = None,
    engine: Engine | str = "auto",
    store: FitStore | None = None,
    say: Callable[[str], None] | None = None,
    **more: Any,
) -> dict[str, Fit]:
    """Fit several variants (by default complete, no and partial pooling) to the same data, priors and settings.

    The fits have the names that were asked for: ``fits["partial_pooling"]`` is in the form that ``fit`` would choose.
    ``minutes`` bounds the second attempts of each variant, as in ``fit``. A formula in the place of the family goes
    with a DataFrame or a Dataset, and with ``likelihood`` (by default as the outcome is), ``group`` (the factor that
    is pooled; by default the first), ``centre``, ``levels``, ``reference`` and ``weights``.
    """
    how = {name: more.pop(name) for name in _HOW if name in more}
    for name in _SETTINGS & set(more):
        raise ModelError(f"{name} is a setting of the sampler: write sampling=hbm.Sampling({name}={more[name]!r}).")
    model, data = family_and_data(family, dataset, **more)
    refuse_what_is_no_dataset(data)
    runs, settings = choose(engine) if isinstance(engine, str) else engine, sampling or Sampling()
    fit_store = store or FitStore.for_user(model.name, data.name)
    asked = tuple(variants or model.variants_for(prepare_table(model, data)))
    fits_by_name: dict[str, Fit] = {}

    def fits_of(*named: str) -> dict[str, Fit]:
        if new := [name for name in named if name not in fits_by_name]:
            fits_by_name.update(fit_as_named(
                model, data, new, priors=priors, sampling=settings, engine=runs, store=fit_store, say=say, **how
            ))  # fmt: skip
        return fits_by_name

    form = DEFAULT
    if DEFAULT in asked:
        choice = _choice(model, data, asked, parameterisation, priors, settings, fit_store, say, runs.name == "direct")
        tell = say or (lambda _text: None)
        form = passing_form(model, choice, lambda name: fits_of(name)[name], how.get("waive", ()), tell).variant
    named = [form if name == DEFAULT else name for name in asked]
    fits = fits_of(*dict.fromkeys(named))
    return {name: fits[own] for name, own in zip(asked, named, strict=True)}


def _choice(
    model: Family, data: Dataset, asked: tuple[str, ...], parameterisation: str, priors: Mapping[str, str] | None,
    sampling: Sampling, store: FitStore, say: Callable[[str], None] | None, direct: bool,
) -> Choice:  # fmt: skip
    """The variant that stands for ``partial_pooling``: named, or by a rule and pilots, which are kept."""
    named = named_parameterisation(model, parameterisation)
    if named is not None or not model.programs.pilot:
        return Choice(named or DEFAULT, "")
    refuse_too_large(model, prepare_table(model, data), asked, sampling)  # before a pilot
    choice = choose_parameterisation(
        model, data, priors=priors, seed=sampling.seed, store=store, say=say, direct=direct
    )
    if say is not None:
        say(choice.reason)
    return choice
