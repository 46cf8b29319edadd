"""Which parameterisation of partial pooling? A rule from the data, confirmed by a short pilot of each form.

Papaspiliopoulos, Roberts & Sköld (2007), Statistical Science 22:59: the centered form is good where the data inform
each group well against the population's spread, the non-centered where they do not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import numpy as np

from hbm_stan.data import Dataset
from hbm_stan.engines import Engine, EngineDraws, Sampling, choose, plain_data
from hbm_stan.errors import EngineError
from hbm_stan.fit import prepare_table
from hbm_stan.model import Family, Variant
from hbm_stan.store import FitStore

AUTO = "auto"
DEFAULT = "partial_pooling"
# Long enough to adapt and to see a funnel, short beside a fit.
PILOT = Sampling(chains=2, warmup=300, draws=300)
# More divergences than this share of the draws disqualify a form, unless all have them.
_MOST_DIVERGENCES = 0.005
# The rule is overruled where another form is better by this factor: the pilot's own noise is smaller.
_BETTER = 1.25


@dataclass(frozen=True)
class Pilot:
    """What a pilot of one form showed: share of divergent transitions, smallest bulk ESS per gradient."""

    variant: str
    divergences: float
    ess_per_gradient: float


@dataclass(frozen=True)
class Choice:
    """The variant that stands for ``partial_pooling``, why, and the pilots that confirmed it."""

    variant: str
    reason: str
    pilots: tuple[Pilot, ...] = ()


def named_parameterisation(family: Family, name: str) -> str | None:
    """The variant that a parameterisation names: None for auto, ``centered`` for partial_pooling_centered.

    Raises ModelError for one that the family does not have.
    """
    if name == AUTO:
        return None
    known = {v.name for v in family.variants}
    return family.variant(name if name in known else f"{DEFAULT}_{name}").name


def choose_parameterisation(
    family: Family,
    dataset: Dataset,
    *,
    priors: Mapping[str, str] | None = None,
    seed: int = 1,
    store: FitStore | None = None,
    engine: Engine | None = None,
    say: Callable[[str], None] | None = None,
) -> Choice:
    """The form of partial pooling for these data; a pilot that ran before is read from the store.

    The pilot runs on the embedded engine, which compiles nothing: how well a form mixes does not depend on the engine.
    """
    if not family.pilot:
        words = family.variant(DEFAULT).parameterisation
        if family.source:
            return Choice(DEFAULT, f"As the family has it ({words}).")
        return Choice(
            DEFAULT, f"The default form of this family ({words}); it has no rival that is ever the better one."
        )
    table = prepare_table(family, dataset)
    chosen = family.priors(table, priors)
    by_rule, reason = family.rule(family.prepare(table, chosen)) if family.rule else (family.pilot[0], "")
    kept = store or FitStore.for_user(family.name, dataset.name)
    data = {name: family.stan_data(table, chosen, name, generate=False) for name in family.pilot}
    key = _key(family, data, seed)
    if (before := kept.read_note(key)) is not None:
        return Choice(before["variant"], before["reason"], tuple(Pilot(**p) for p in before["pilots"]))
    runs = engine or choose("stanli")
    settings = Sampling(PILOT.chains, PILOT.warmup, PILOT.draws, PILOT.adapt_delta, PILOT.max_treedepth, seed)
    pilots = []
    for name in family.pilot:
        if say:
            say(f"{name}: a short pilot")
        try:
            drawn = runs.sample(family.program(name), data[name], settings)
        except EngineError:
            # A form that cannot even start with these data is no candidate; the fit itself would say why.
            continue
        pilots.append(_judge(family, name, drawn))
    best = _best(pilots, by_rule)
    choice = Choice(best, _in_words(family, reason, by_rule, best, pilots), tuple(pilots))
    kept.write_note(key, asdict(choice))
    return choice


def _key(family: Family, data: Mapping[str, Mapping[str, object]], seed: int) -> str:
    parts = {name: [family.program(name).sha256, plain_data(data[name])] for name in data}
    return "parameterisation-" + hashlib.sha256(json.dumps([parts, seed], sort_keys=True).encode()).hexdigest()[:16]


def _judge(family: Family, name: str, drawn: EngineDraws) -> Pilot:
    from arviz_stats.base import array_stats as az

    names = [n for n in (*family.population, family.group_quantity) if drawn.variables.get(n, np.empty(0)).size]
    shape = drawn.sample_stats["diverging"].shape
    draws = np.concatenate([np.moveaxis(drawn.variables[n].reshape(*shape, -1), 2, 0) for n in names])
    with np.errstate(all="ignore"):
        ess = np.nan_to_num(np.asarray(az.ess(draws, method="bulk")))
    gradients = float(drawn.sample_stats["n_steps"].sum())
    return Pilot(name, float(drawn.sample_stats["diverging"].mean()), float(ess.min()) / gradients)


def _best(pilots: list[Pilot], by_rule: str) -> str:
    """Divergences first, then ESS per gradient; the rule's form unless another is clearly better."""
    fine = [p for p in pilots if p.divergences <= _MOST_DIVERGENCES]
    if not fine:
        return min(pilots, key=lambda p: p.divergences).variant if pilots else by_rule
    top = max(fine, key=lambda p: p.ess_per_gradient)
    own = next((p for p in fine if p.variant == by_rule), None)
    keep = own is not None and own.ess_per_gradient * _BETTER >= top.ess_per_gradient
    return by_rule if keep else top.variant


def _in_words(family: Family, reason: str, by_rule: str, best: str, pilots: list[Pilot]) -> str:
    shown = "; ".join(
        f"{_form(family.variant(p.variant))}: {1000 * p.ess_per_gradient:.1f} effective draws per 1,000 gradients, "
        f"{100 * p.divergences:.1f} % divergent"
        for p in pilots
    )
    verdict = "confirms it" if best == by_rule else f"overrules it: {_form(family.variant(best))} is used"
    return f"{reason.rstrip('.')}. A short pilot {verdict} ({shown})." if shown else reason


def _form(variant: Variant) -> str:
    return variant.parameterisation.partition(":")[0]


def settle(variants: tuple[str, ...], choice: str) -> tuple[str, ...]:
    """The variants with the choice in the place of ``partial_pooling``; nothing twice."""
    return tuple(dict.fromkeys(choice if name == DEFAULT else name for name in variants))
