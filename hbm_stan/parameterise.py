"""Which parameterisation of partial pooling? A rule from the data, confirmed by a short pilot of each form.

Papaspiliopoulos, Roberts & Sköld (2007), Statistical Science 22:59: the centered form is good where the data inform
each group well against the population's spread, the non-centered where they do not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from hbm_stan.data import Dataset
from hbm_stan.engines import Engine, EngineDraws, Sampling, choose
from hbm_stan.errors import EngineError, ModelError, did_you_mean
from hbm_stan.fit import prepare_table
from hbm_stan.identity import stan_values
from hbm_stan.mixing import ess_bulk
from hbm_stan.model import Family, StanData
from hbm_stan.prepare import Prepared
from hbm_stan.store import FitStore
from hbm_stan.tree import is_by_following_nodes, is_by_nodes

AUTO = "auto"
DEFAULT = "partial_pooling"
# 150 iterations are the shortest warm-up in which Stan adapts both step and metric; with 100, forms that are good look
# three times worse than they are. A form then costs 6.25 % of the iterations of a usual fit.
PILOT = Sampling(chains=2, warmup=150, draws=100)
# Where the rule would be overruled while the two best are close, each of these runs one chain more: with three forms
# that makes a quarter of the iterations of a usual fit, the most there is.
_AGAIN = 1
_SHALLOW = 3  # trees of this depth are always allowed
# Closer than this is close: the ratio of two such pilots varies by about 1.5 from seed to seed.
_CLOSE = 2.0
# The rule is overruled where another form is better by this factor.
_BETTER = 1.25
# More divergences than this share of the draws disqualify a form, unless all have them.
_MOST_DIVERGENCES = 0.005
# So many of the smallest effective sizes are averaged: the smallest alone varies half as much again.
_LOWEST = 3


@dataclass(frozen=True)
class Pilot:
    """What pilots of one form showed: share of divergent transitions, effective draws per gradient.

    Of the effective draws (bulk) of the population parameters and group effects, the geometric mean of the three
    lowest.
    """

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

    Raises ModelError for one that the family does not have; another model than ``partial_pooling`` is none.
    """
    if name == AUTO:
        return None
    known = _forms(family)
    if name in known:
        return name
    short = {v.removeprefix(f"{DEFAULT}_"): v for v in known}
    if name in short:
        return short[name]
    near = did_you_mean(name, (AUTO, *short))
    hint = f"{near} " if near else ""
    raise ModelError(
        f"{family.name}: there is no parameterisation {name!r}. {hint}Allowed: {', '.join(map(repr, (AUTO, *short)))}."
    )


def _forms(family: Family) -> tuple[str, ...]:
    """The variants that are ``partial_pooling`` in one form or another: the same model, not merely partial pooling."""
    partial = {v.name: v for v in family.programs.variants if v.pooling == "partial"}
    math = partial[DEFAULT].math if DEFAULT in partial and not family.source else None
    return tuple(name for name, v in partial.items() if math is None or v.math == math)


def choose_parameterisation(
    family: Family,
    dataset: Dataset,
    *,
    priors: Mapping[str, str] | None = None,
    seed: int = 1,
    store: FitStore | None = None,
    engine: Engine | None = None,
    say: Callable[[str], None] | None = None,
    table: Prepared | None = None,
    direct: bool = False,
) -> Choice:
    """The form of partial pooling for these data; pilots that ran before are read from the store.

    ``table`` is the dataset prepared for the family, where that is at hand. Pilots run on the embedded engine, which
    compiles nothing: how well a form mixes does not depend on the engine. ``direct`` says that direct draws are tried
    first: what they need no program for has no pilot.
    """
    programs, table = family.programs, table or prepare_table(family, dataset)
    if not programs.pilot:
        return _without_rival(family, table)
    family.refuse_unlearnable(table, DEFAULT)
    chosen = family.priors(table, priors)
    by_rule, reason = programs.rule(programs.prepare(table, chosen)) if programs.rule else (programs.pilot[0], "")
    if is_by_nodes(family, table, by_rule) or (direct and is_by_following_nodes(family, table, by_rule)):
        how = "No pilot is needed: coefficients of {groups} are integrated out by nodes, where these pass their checks."
        return Choice(by_rule, table.noun.fill(f"{reason} {how}".strip()))
    data = _distinct(
        family, {v: family.stan_data(table, chosen, v, generate=False) for v in (by_rule, *programs.pilot)}
    )
    fit_store = store or FitStore.for_user(family.name, dataset.name)
    runs = engine or choose("stanli")
    key = _key(family, data, seed, runs)
    pilots = _read(fit_store.read_note(key), data)
    if pilots is None:
        fit_store.refuse_unwritable(0)
        pilots = _pilots(family, data, replace(PILOT, seed=seed), runs, say or (lambda _text: None))
        if pilots:  # where none can run there is nothing to keep
            fit_store.write_note(key, {"pilots": [asdict(p) for p in pilots]})
    best = _best(pilots, by_rule)
    return Choice(best, _in_words(family, table.noun.fill(reason), by_rule, best, pilots), tuple(pilots))


def _without_rival(family: Family, table: Prepared) -> Choice:
    """The form of a family that has one."""
    words = table.noun.fill(family.variant(DEFAULT).parameterisation)
    if family.source:
        return Choice(DEFAULT, f"As the family has it ({words}).")
    return Choice(DEFAULT, f"The default form of this family ({words}); it has no rival that is ever the better one.")


def _distinct(family: Family, data: Mapping[str, StanData]) -> dict[str, StanData]:
    """Without forms that are another under a second name, the first of them kept."""
    names_by_program: dict[str, str] = {}
    for name, values in data.items():
        names_by_program.setdefault(
            json.dumps([family.program(name).sha256, stan_values(values)], sort_keys=True), name
        )
    return {name: data[name] for name in names_by_program.values()}


def _key(family: Family, data: Mapping[str, StanData], seed: int, engine: Engine) -> str:
    """The content of the pilots as a hash: what is kept is what would be found now."""
    parts = {name: [family.program(name).sha256, stan_values(data[name])] for name in data}
    how = [PILOT.as_dict(), _AGAIN, _CLOSE, _LOWEST, _MOST_DIVERGENCES, seed, f"{engine.name} {engine.version}"]
    return "parameterisation-" + hashlib.sha256(json.dumps([parts, how], sort_keys=True).encode()).hexdigest()[:16]


def _read(note: Mapping[str, Any] | None, data: Mapping[str, StanData]) -> list[Pilot] | None:
    """The pilots of a note, or None where it is not one of ours or not whole."""
    try:
        pilots = [Pilot(str(p["variant"]), float(p["divergences"]), float(p["ess_per_gradient"]))
                  for p in (note or {})["pilots"]]  # fmt: skip
    except (KeyError, TypeError, ValueError):
        return None
    return pilots if pilots and {p.variant for p in pilots} <= set(data) else None


def _pilots(
    family: Family, data: Mapping[str, StanData], settings: Sampling, engine: Engine, say: Callable[[str], None]
) -> list[Pilot]:
    """A pilot of each form, the rule's first; where they would overrule the rule by little, the best two again."""
    drawn: dict[str, list[EngineDraws]] = {}
    depth = settings.max_treedepth
    for name in data:
        say(f"{name}: a short pilot")
        try:
            drawn[name] = [engine.sample(family.program(name), data[name], replace(settings, max_treedepth=depth))]
        except EngineError:
            # A form that cannot even start with these data is no candidate; the fit itself would say why.
            continue
        # A form that needs longer trees than the longest of another is not the better one: no need to let them grow.
        depth = min(depth, max(_SHALLOW, int(drawn[name][0].sample_stats["tree_depth"].max())))
    pilots = {name: _judge(family, name, runs) for name, runs in drawn.items()}
    fine = sorted(_fine(list(pilots.values())), key=lambda p: -p.ess_per_gradient)[:2]
    overruled = _best(list(pilots.values()), next(iter(data))) != next(iter(data))
    if overruled and len(fine) == 2 and fine[0].ess_per_gradient < _CLOSE * fine[1].ess_per_gradient:
        again = replace(settings, chains=_AGAIN, seed=(settings.seed + 1) % 2**31, max_treedepth=depth)
        for pilot in fine:
            say(f"{pilot.variant}: another pilot, for two forms are close")
            try:
                drawn[pilot.variant].append(engine.sample(family.program(pilot.variant), data[pilot.variant], again))
            except EngineError:
                continue
            pilots[pilot.variant] = _judge(family, pilot.variant, drawn[pilot.variant])
    return list(pilots.values())


def _judge(family: Family, name: str, drawn: Sequence[EngineDraws]) -> Pilot:
    """Divergences and effective draws of all runs of a form together."""
    divergences = np.concatenate([d.sample_stats["diverging"].ravel() for d in drawn])
    gradients = sum(float(d.sample_stats["n_steps"].sum()) for d in drawn)
    effective = sum(_effective(family, d) for d in drawn)
    return Pilot(name, float(divergences.mean()), effective / gradients)


def _effective(family: Family, drawn: EngineDraws) -> float:
    """Effective draws (bulk) of the worst parameters: the geometric mean of the lowest."""
    known = (*family.programs.population, family.groups.group_quantity)
    names = [n for n in known if drawn.variables.get(n, np.empty(0)).size]
    shape = drawn.sample_stats["diverging"].shape
    draws = np.concatenate([np.moveaxis(drawn.variables[n].reshape(*shape, -1), 2, 0) for n in names])
    moves = draws.reshape(len(draws), -1)
    draws = draws[moves.min(axis=1) < moves.max(axis=1)]  # tau of a term that does not vary is 0 in all draws
    if not len(draws):
        return 0.0
    ess = np.nan_to_num(ess_bulk(draws))
    return float(np.exp(np.log(np.maximum(np.sort(ess)[:_LOWEST], 1e-9)).mean()))


def _fine(pilots: Sequence[Pilot]) -> list[Pilot]:
    return [p for p in pilots if p.divergences <= _MOST_DIVERGENCES]


def _best(pilots: Sequence[Pilot], by_rule: str) -> str:
    """Divergences first, then ESS per gradient; the rule's form unless another is clearly better."""
    fine = _fine(pilots)
    if not fine:
        return min(pilots, key=lambda p: p.divergences).variant if pilots else by_rule
    top = max(fine, key=worth)
    own = next((p for p in fine if p.variant == by_rule), None)
    keep = own is not None and worth(own) * _BETTER >= worth(top)
    return by_rule if keep else top.variant


def worth(pilot: Pilot) -> float:
    """Effective draws per gradient; a divergence of a pilot's 200 draws means some twenty in a fit, and costs half."""
    return pilot.ess_per_gradient / (_CLOSE if pilot.divergences > 0 else 1.0)


def _in_words(family: Family, reason: str, by_rule: str, best: str, pilots: Sequence[Pilot]) -> str:
    """The rule's reason, what the pilots say to it, and their figures."""
    opening = f"{reason.rstrip('.')}. " if reason else ""
    if not pilots:
        return f"{opening}No pilot could be run with these data: {form_in_words(family, by_rule)} is unconfirmed."
    shown = "; ".join(
        f"{form_in_words(family, p.variant)}: {1000 * p.ess_per_gradient:.2g} effective draws per 1,000 gradients, "
        f"{100 * p.divergences:.1f} % divergent"
        for p in pilots
    )
    used = form_in_words(family, best)
    verdict = (
        f"finds {used} best" if not reason else "confirms it" if best == by_rule else f"overrules it: {used} is used"
    )
    if len(pilots) == 1:
        verdict = f"could be run of {form_in_words(family, pilots[0].variant)} only"
    return f"{opening}A short pilot {verdict} ({shown})."


def form_in_words(family: Family, name: str) -> str:
    """The form of a variant in a word: centered, non-centered."""
    return family.variant(name).parameterisation.partition(":")[0]


def settle(variants: tuple[str, ...], choice: str) -> tuple[str, ...]:
    """The variants with the choice in the place of ``partial_pooling``; nothing twice."""
    return tuple(dict.fromkeys(choice if name == DEFAULT else name for name in variants))
