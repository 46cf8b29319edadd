"""Many groups without a sampler's steps: the population by nodes and direct draws, the groups' coefficients given it.

For formulas with one grouping factor whose columns all vary between its levels, counts or successes, and tables that
are large; of very many groups of any model whose group effects are integrated out, the population by direct draws on
the program's density. Where the checks of the nodes or of the draws fail, there are none, and the sampler is run
as ever.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from hbm_stan.direct.independence import Streams
from hbm_stan.direct.mode import Density, Mode, find_modes, values_of
from hbm_stan.direct.streams import draw_streams, streams_about
from hbm_stan.engines import FIRST_LEFT, NODES_APART, NOT_DIRECT, Engine, EngineDraws, Progress, Sampling
from hbm_stan.engines.direct import DirectEngine, about_of, stats_of
from hbm_stan.errors import NotDirectError
from hbm_stan.families.terms.effects import beta_of_groups
from hbm_stan.families.terms.nodes.density import FINER, Nodes, Posterior, pilot
from hbm_stan.families.terms.nodes.effects import LEFT, Coefficients, Populations, draw_coefficients
from hbm_stan.families.terms.nodes.levels import GroupRows, find_level_modes
from hbm_stan.families.terms.nodes.population import PopulationPrior
from hbm_stan.independent import independent_stats
from hbm_stan.likelihoods import likelihood
from hbm_stan.model import Family, StanData
from hbm_stan.prepare import Prepared
from hbm_stan.program import Program
from hbm_stan.resources import cores
from hbm_stan.table import FloatArray
from hbm_stan.tree import is_by_nodes

# Nodes that stay serve where the population is known well: the sd of each log tau and of each inverse hyperbolic
# tangent of a correlation by the curvature at the mode (ours; beyond them the posterior has mass where nodes lie too
# far apart, as it has with few groups).
_KNOWN_TAU, _KNOWN_RHO = 0.25, 0.5
# The log density by nodes that stay less that by more of them, laid anew: at draws, between the largest and the
# smallest (ours; an error of 0.1 in a log density moves the mean of what it is the extreme of by 0.03 sds).
MOST_APART, _LOOKED_AT = 0.1, 12
_POINTS_OF_MIXTURE = 3500  # that a mixture is fitted to, about: for progress


def draws_by_nodes(
    family: Family, table: Prepared, data: StanData, variant: str, sampling: Sampling, progress: Progress | None = None
) -> EngineDraws | None:
    """Draws (chain, draw, ...) of the population, log prior and coefficients; None where they cannot be trusted."""
    if not is_by_nodes(family, table, variant) or not data["use_likelihood"]:
        return None
    groups = GroupRows.of(likelihood(family.name), data)
    pooled = family.variant(variant).pooling == "partial"
    if not pooled:
        return draws_apart(groups, data, sampling)
    return _partial(groups, data, sampling, progress)


def draws_directly(
    engine: Engine, program: Program, data: StanData, sampling: Sampling, progress: Progress | None = None
) -> EngineDraws:
    """Direct draws of the population of many groups or rows; where there are none, the engine's, with the reason."""
    try:
        return DirectEngine(alone=True, nearly_normal=True).sample(program, data, sampling)
    except NotDirectError as reason:
        return replace(engine.sample(program, data, sampling, progress), about={NOT_DIRECT: str(reason)})


def draws_apart(groups: GroupRows, data: StanData, sampling: Sampling) -> EngineDraws | None:
    """Draws of groups that share nothing; None where proposals of one of them cannot be trusted."""
    prior = np.asarray(data["prior_theta"], dtype=float)
    start = np.tile(prior[:, 0], (groups.n_groups, 1))
    modes = find_level_modes(groups, prior[:, 0], np.diag(prior[:, 1] ** -2.0), start)
    n = sampling.chains * sampling.draws
    populations = Populations(np.tile(prior[:, 0], (n, 1)), np.tile(np.diag(prior[:, 1]), (n, 1, 1)))
    drawn = draw_coefficients(np.random.default_rng([sampling.seed, 5]), groups, modes, populations)
    if drawn.left > LEFT:
        return None
    drawn_too = beta_of_groups({"theta": drawn.theta}, data, drawn.theta)
    variables = by_chain({"theta": drawn.theta, **drawn_too, "lprior": np.zeros(n)}, sampling)
    some = drawn_too or {"theta": drawn.theta[:, 0]}  # the energy is theirs: common coefficients, or the first group's
    return EngineDraws(variables, independent_stats(by_chain(some, sampling)), about={FIRST_LEFT: drawn.left})


def _partial(groups: GroupRows, data: StanData, sampling: Sampling, progress: Progress | None) -> EngineDraws | None:
    prior = PopulationPrior.of(data)
    centre, nodes = pilot(groups, prior)
    start = Posterior(prior, nodes, centre)
    modes = find_modes(start, np.zeros((1, prior.dimension)))
    if not modes or not is_known(prior, scale := np.linalg.cholesky(np.linalg.inv(modes[0].precision))):
        return None
    posterior = Posterior(prior, nodes, start.coordinates(modes[0].point[None])[0], scale)
    streams = streams_of(Watched(posterior, sampling, progress), prior.dimension, sampling)
    if streams.trouble:
        return None
    points = streams.points.reshape(-1, prior.dimension)
    apart = nodes_apart(groups, prior, nodes, posterior, points)
    if not apart <= MOST_APART:
        return None
    x = posterior.coordinates(points)
    beta, tau, partial = prior.split(x)
    populations = Populations(prior.mean(beta), prior.factor(tau, partial))
    drawn = draw_coefficients(np.random.default_rng([sampling.seed, 5]), groups, nodes.modes, populations)
    return None if drawn.left > LEFT else draws_of(prior, x, drawn, streams, apart, sampling)


def draws_of(
    prior: PopulationPrior, x: FloatArray, drawn: Coefficients, streams: Streams, apart: float, sampling: Sampling
) -> EngineDraws:
    """Draws of populations at coordinates (chain draw, d) and of coefficients given these, as engines give them."""
    beta, tau, partial = prior.split(x)
    population = {"beta": beta, "tau": tau, "rho": prior.rho(partial)}
    variables = {**population, "theta": drawn.theta, "lprior": prior.log_prior(x)}
    about = about_of(streams) | {NODES_APART: apart, FIRST_LEFT: drawn.left}
    return EngineDraws(by_chain(variables, sampling), stats_of(streams), about=about)


def streams_of(density: Density, dimension: int, sampling: Sampling) -> Streams:
    """Draws from a density with its mode at 0 and the curvature 1 there; by a mixture where it is not nearly normal."""
    mode = Mode(np.zeros(dimension), 0.0, np.eye(dimension))
    streams = streams_about(density, mode, sampling.chains, sampling.draws, sampling.seed)
    if not streams.trouble:
        return streams
    return draw_streams(density, dimension, sampling.chains, sampling.draws, sampling.seed)


class Watched:
    """A density that reports how many of the points it takes, about, have been asked for, on all chains together."""

    def __init__(self, density: Density, sampling: Sampling, progress: Progress | None) -> None:
        self._density, self._progress, self._taken = density, progress, 0
        self._chains = sampling.chains
        self._all = _POINTS_OF_MIXTURE + sampling.chains * sampling.draws

    def __call__(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The log density (n,) and its gradient (n, d)."""
        self._tell(points)
        return self._density(points)

    def values(self, points: FloatArray) -> FloatArray:
        """The log density alone, (n,)."""
        self._tell(points)
        return values_of(self._density, points)

    def _tell(self, points: FloatArray) -> None:
        self._taken += len(points)
        for chain in range(1, self._chains + 1) if self._progress else ():
            assert self._progress is not None
            self._progress(chain, min(self._taken, self._all - 1), self._all)


def is_known(prior: PopulationPrior, scale: FloatArray) -> bool:
    """Whether the rows say enough of the population for nodes that stay, by the curvature at the mode."""
    sd = np.sqrt((scale**2).sum(axis=1))[len(prior.beta) :]
    tau, rho = sd[: len(prior.tau)], sd[len(prior.tau) :]
    return bool((tau < _KNOWN_TAU).all() and (rho < _KNOWN_RHO).all())


def nodes_apart(
    groups: GroupRows, prior: PopulationPrior, nodes: Nodes, posterior: Posterior, points: FloatArray
) -> float:
    """How far log densities by nodes that stay, less those by more nodes laid anew, differ between draws (n, d).

    The draws with the smallest and largest value in each direction are among those that are looked at.
    """

    def difference(point: FloatArray) -> float:
        x = posterior.coordinates(point[None])
        beta, tau, partial = prior.split(x)
        factor = prior.factor(tau, partial)[0]
        anew = find_level_modes(groups, prior.mean(beta)[0], np.linalg.inv(factor @ factor.T), nodes.modes.theta)
        finer = Posterior(prior, Nodes.about(groups, anew, FINER[nodes.theta.shape[2]]), x[0])
        return float((posterior.values(point[None]) - finer.values(np.zeros((1, len(point)))))[0])

    with ThreadPoolExecutor(cores()) as pool:
        return float(np.ptp(list(pool.map(difference, points[looked_at(points)]))))


def looked_at(points: FloatArray) -> list[int]:
    """Places of a dozen draws (n, d), those with the smallest and largest value in each direction among them."""
    ends = {int(i) for column in points.T for i in (column.argmin(), column.argmax())}
    return sorted(ends | set(np.linspace(0, len(points) - 1, max(2, _LOOKED_AT - len(ends))).astype(int).tolist()))


def by_chain(variables: dict[str, FloatArray], sampling: Sampling) -> dict[str, FloatArray]:
    """Draws (chain draw, ...) as (chain, draw, ...), without what has no elements."""
    shape = (sampling.chains, sampling.draws)
    return {name: values.reshape(*shape, *values.shape[1:]) for name, values in variables.items() if values.size}
