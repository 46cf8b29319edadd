"""One replication: truths, an outcome drawn from them, draws of the program given it, and the ranks of the truths."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hbm_stan.calibrate.scenario import Setup, scenario
from hbm_stan.elements import base_of
from hbm_stan.engines import NOT_DIRECT, Engine, EngineDraws, Sampling
from hbm_stan.errors import DataError, EngineError
from hbm_stan.generated import complete
from hbm_stan.mixing import ess_bulk
from hbm_stan.model import Draws, StanData
from hbm_stan.portions import spaced_places
from hbm_stan.prepare import Prepared
from hbm_stan.table import FloatArray

LOG_LIK, NEW_GROUP = "log likelihood", "new group"
# Draws are thinned to one in k. An AR(1) chain whose ESS is twice the number kept has a correlation of exp(-4) = 0.02
# between them.
_ESS_PER_DRAW = 2.0
_LONGEST = 16  # times the draws first asked for
_LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True)
class Quantity:
    """What is ranked: its name, the variable, and which element of it."""

    name: str
    variable: str
    element: tuple[int, ...]

    def of(self, draws: Draws) -> FloatArray:
        """Its values, one for each draw."""
        return element_of(draws[self.variable], 1, self.element)


def element_of(values: Any, leading: int, element: tuple[int, ...]) -> FloatArray:
    """One element of a variable, behind ``leading`` dimensions of chains and draws."""
    array = np.asarray(values, dtype=float)
    return np.asarray(array.reshape(*array.shape[:leading], -1)[..., _place(array.shape[leading:], element)])


def _place(shape: tuple[int, ...], element: tuple[int, ...]) -> int:
    return int(np.ravel_multi_index(element, shape)) if shape else 0


def quantities(setup: Setup, truth: Draws) -> list[Quantity]:
    """Every population parameter, the effect of the first group and what else it has, for this variant."""
    family, declared = setup.family, {d.name for d in setup.program.outputs}
    complete = family.variant(setup.variant).pooling == "complete"
    labels = family.coordinates(setup.table)
    scalars = []
    for name in dict.fromkeys([*family.programs.population, family.groups.group_quantity, *truth]):
        dims = family.programs.dims.get(name, ())
        own = bool(dims) and dims[0] in {"group", "unit"}
        known = name in truth and (name in declared or family.terms)  # what is left out is drawn afterwards
        if not known or (own and complete) or not (own or name in family.programs.population):
            continue
        for element in _elements(truth[name].shape[1:], first=own):
            words = [str(labels[d][i]) if d in labels else str(i + 1) for d, i in zip(dims, element, strict=True)]
            if not _is_constant(setup, name, words[-1:]):
                scalars.append(Quantity(f"{name}[{', '.join(words)}]" if words else name, name, element))
    return scalars


def _elements(shape: tuple[int, ...], first: bool) -> Iterator[tuple[int, ...]]:
    sizes = (1, *shape[1:]) if first else shape
    return itertools.product(*(range(n) for n in sizes))


def _is_constant(setup: Setup, name: str, term: list[str]) -> bool:
    """Whether a variant lets only other terms vary between groups (``tau[intercept]``), so that this one says nothing.

    Its tau is 0, and its coefficient is in every group that of the population.
    """
    family = setup.family
    if name not in {family.groups.population_scale, family.groups.group_quantity}:
        return False
    used = family.variant(setup.variant).priors
    own = [u for u in used if base_of(u) == family.groups.population_scale and "[" in u]
    return bool(own) and f"{family.groups.population_scale}[{', '.join(term)}]" not in own


def replicate(setup: Setup, engine: Engine, number: int) -> dict[str, Any]:
    """The record of replication ``number``, for JSON: the ranks and how sampling went, or why it was refused.

    What is refused depends on the outcome alone: given it, truth and draws are exchangeable whether or not others are
    refused, and the ranks of the rest stay uniform.
    """
    rng = np.random.default_rng([setup.seed, number])
    started = time.perf_counter()
    try:
        truth, table, data = scenario(setup, rng, number)
        seed = int(rng.integers(1, _LARGEST_SEED))
        named = quantities(setup, truth)
        draws, record = _draw(setup, engine, data, seed, named)
        record["ranks"] = _ranks(setup, rng, truth, table, data, draws, named)
    except (DataError, EngineError) as error:
        return {"replication": number, "refused": str(error)}
    return {"replication": number, **record, "seconds": round(time.perf_counter() - started, 4)}


def _draw(
    setup: Setup, engine: Engine, data: StanData, seed: int, named: list[Quantity]
) -> tuple[dict[str, FloatArray], dict[str, Any]]:
    """``setup.n_draws`` draws thinned to independence, (n_draws, ...), and what the sampler met on the way."""
    factor = 1
    while True:
        sampling = replace(setup.sampling, draws=setup.sampling.draws * factor, seed=seed)
        drawn = engine.sample(setup.program, data, sampling)
        ess = _least_ess(setup, drawn, sampling, named)
        if ess >= _ESS_PER_DRAW * setup.n_draws or factor >= _LONGEST:
            break
        factor *= 2
    stats = drawn.sample_stats
    record = {
        "divergences": int(stats["diverging"].sum()), "deepest": int(stats["reached_max_treedepth"].sum()),
        "draws": sampling.chains * sampling.draws, "ess": round(ess, 1),
        "correlated": bool(ess < _ESS_PER_DRAW * setup.n_draws), NOT_DIRECT: str(drawn.about.get(NOT_DIRECT, "")),
    }  # fmt: skip
    return _completed(setup, data, _thinned(drawn, sampling, setup.n_draws), seed), record


def _completed(setup: Setup, data: StanData, draws: dict[str, FloatArray], seed: int) -> dict[str, FloatArray]:
    """The draws with what the programs of a formula leave out: coefficients, and the log density of each row."""
    if not setup.family.terms:
        return draws
    completed = complete(setup.family, data, {name: values[None] for name, values in draws.items()}, seed)
    return draws | {name: values[0] for name, values in completed.items()}


def _thinned(drawn: EngineDraws, sampling: Sampling, n_draws: int) -> dict[str, FloatArray]:
    total = sampling.chains * sampling.draws
    which = spaced_places(n_draws, total)
    return {name: v.reshape(total, *v.shape[2:])[which] for name, v in drawn.variables.items() if v.size}


def _least_ess(setup: Setup, drawn: EngineDraws, sampling: Sampling, named: list[Quantity]) -> float:
    """The smallest bulk ESS of what is ranked (Vehtari et al. 2021); a constant has none.

    Where nothing that is ranked was sampled, all of it is drawn afterwards, each draw by itself.
    """
    series = [element_of(drawn.variables[q.variable], 2, q.element) for q in named if q.variable in drawn.variables]
    if setup.family.programs.log_lik in drawn.variables:
        series.append(np.asarray(drawn.variables[setup.family.programs.log_lik]).sum(axis=-1))
    # Without pooling a formula's common coefficients are made afterwards of those that were sampled.
    shared = np.asarray(drawn.variables.get("beta_shared", np.empty((1, 1, 0))))
    series += list(np.moveaxis(shared, -1, 0))
    if not all(np.isfinite(values).all() for values in series):
        raise EngineError("the program gave draws that are not finite")
    moving = [values for values in series if np.ptp(values) > 0]
    return float(ess_bulk(np.stack(moving)).min()) if moving else float(sampling.chains * sampling.draws)


def _ranks(
    setup: Setup, rng: np.random.Generator, truth: Draws, table: Prepared, data: StanData, draws: Draws,
    named: list[Quantity],
) -> dict[str, int]:  # fmt: skip
    """The rank of each quantity's truth among its draws, 0 .. n_draws; ties are broken at random."""
    pairs = {q.name: (float(q.of(truth)[0]), q.of(draws)) for q in named}
    family = setup.family
    if family.twin.pointwise is not None and family.programs.log_lik in draws:
        ours = float(np.sum(family.twin.pointwise(truth, data)))
        pairs[LOG_LIK] = (ours, draws[family.programs.log_lik].sum(axis=1))
    if family.variant(setup.variant).pooling == "partial":
        pairs |= _new_group(setup, rng, truth, table, data, draws)
    return {name: rank(rng, value, among) for name, (value, among) in pairs.items()}


def _new_group(
    setup: Setup, rng: np.random.Generator, truth: Draws, table: Prepared, data: StanData, draws: Draws
) -> Mapping[str, tuple[float, FloatArray]]:
    """The effect of an unseen group like the first, drawn from the true population and from that of each draw."""
    family = setup.family
    new_group = family.need("new_group", "simulation-based calibration")
    given = {name: draws[name] for name in truth if name in draws}
    ours, theirs = (np.asarray(new_group(rng, d, data, setup.variant))[:, 0] for d in (truth, given))
    dims = family.programs.dims.get(family.groups.group_quantity, ("group",))[1:]
    labels = family.coordinates(table)
    effects = {}
    for element in itertools.product(*(range(n) for n in ours.shape[1:])):
        words = [str(labels[d][i]) if d in labels else str(i + 1) for d, i in zip(dims, element, strict=True)]
        if not _is_constant(setup, family.groups.group_quantity, words):
            name = f"{NEW_GROUP}[{', '.join(words)}]" if words else NEW_GROUP
            effects[name] = (float(element_of(ours, 1, element)[0]), element_of(theirs, 1, element))
    return effects


def rank(rng: np.random.Generator, value: float, among: FloatArray) -> int:
    """How many of the draws lie below the value; of those equal to it, a random number."""
    return int(np.sum(among < value)) + int(rng.integers(0, int(np.sum(among == value)) + 1))
