"""Direct draws of counts and successes in few groups: the population by nodes that follow it, then the groups.

For ``--engine direct`` and wherever many fits are asked for: their programs sample the coefficients of groups, and have
too many parameters for direct draws on their own densities. Tables with many groups go by nodes that stay
(``by_nodes``).
"""

from __future__ import annotations

import numpy as np

from hbm_stan.by_nodes import MOST_APART, Watched, draws_apart, draws_of, is_known, looked_at, streams_of
from hbm_stan.direct.mode import find_modes
from hbm_stan.direct.streams import MAX_DIMENSION, draw_streams
from hbm_stan.engines import EngineDraws, Progress, Sampling
from hbm_stan.engines.direct import DirectEngine
from hbm_stan.errors import NotDirectError
from hbm_stan.families.terms.nodes import nodes_follow, nodes_serve
from hbm_stan.families.terms.nodes.density import FINER, NODES
from hbm_stan.families.terms.nodes.effects import LEFT
from hbm_stan.families.terms.nodes.following import Following, rows_of_cells
from hbm_stan.families.terms.nodes.levels import GroupRows
from hbm_stan.families.terms.nodes.population import PopulationPrior
from hbm_stan.fit import Job
from hbm_stan.likelihoods import likelihood
from hbm_stan.likelihoods.likelihood import Likelihood
from hbm_stan.model import StanData

# Rows times nodes of a population: with more of them the sampler's own steps take less time (a row at a node takes some
# 20 ns, and 5,000 to 10,000 populations are looked at).
_MOST = 100_000


def draw_directly(job: Job, sampling: Sampling, progress: Progress | None = None) -> EngineDraws:
    """What the direct engine draws of a job: by nodes where these serve, else on its program's density.

    Where neither can be trusted the engine's sampler draws, or NotDirectError says why it does not.
    """
    engine, program, data, design = job.engine, job.program, job.data, job.table.design
    if not isinstance(engine, DirectEngine) or design is None or not job.family.terms or not data["use_likelihood"]:
        return engine.sample(program, data, sampling, progress)
    rows, pooling = likelihood(job.family.name), job.family.variant(job.variant).pooling
    if pooling == "no" and nodes_serve(rows, design, pooling):
        drawn = draws_apart(GroupRows.of(rows, data), data, sampling)
        return drawn or engine.sampled("a group's proposals are too few", program, data, sampling, progress)
    if not nodes_follow(rows, design, pooling):
        return engine.sample(program, data, sampling, progress)
    try:
        return _partial(rows, data, sampling, progress)
    except NotDirectError as reason:
        return engine.sampled(str(reason), program, data, sampling, progress)


def _partial(rows: Likelihood, data: StanData, sampling: Sampling, progress: Progress | None) -> EngineDraws:
    density, known = _near_mode(rows, data)
    prior, watched = density.prior, Watched(density, sampling, progress)
    if known:
        streams = streams_of(watched, prior.dimension, sampling)
    else:
        streams = draw_streams(watched, prior.dimension, sampling.chains, sampling.draws, sampling.seed)
    if streams.trouble:
        raise NotDirectError(streams.trouble)
    points = streams.points.reshape(-1, prior.dimension)
    some = points[looked_at(points)]
    apart = float(np.ptp(density.values(some) - density.by(FINER[len(prior.tau)]).values(some)))
    if not apart <= MOST_APART:
        raise NotDirectError(f"by more nodes log densities differ by {apart:.2g}, and {MOST_APART} is the limit")
    drawn = density.coefficients(np.random.default_rng([sampling.seed, 6]), points)
    if drawn.left > LEFT:
        raise NotDirectError(f"a share of {drawn.left:.3f} of a group's draws may be first proposals; {LEFT} may be")
    return draws_of(prior, density.coordinates(points), drawn, streams, apart, sampling)


def _near_mode(rows: Likelihood, data: StanData) -> tuple[Following, bool]:
    """The density in coordinates about its mode, in units of its curvature; whether the population is known well."""
    groups, shared = rows_of_cells(rows, data)
    prior = PopulationPrior.of(data)
    count = NODES[len(prior.tau)]
    if prior.dimension > MAX_DIMENSION:
        raise NotDirectError(f"{prior.dimension} parameters of the population, where 1 to {MAX_DIMENSION} can be")
    if (work := len(groups.columns) * count ** len(prior.tau)) > _MOST:
        raise NotDirectError(
            f"{len(groups.columns):,} different rows need {work:,} values a population; {_MOST:,} may be"
        )
    density = Following(groups, shared, prior, prior.middle, np.diag(prior.widths), count)
    modes = find_modes(density, np.zeros((1, prior.dimension)))
    if not modes:
        raise NotDirectError("no mode was found")
    scale = prior.widths[:, None] * np.linalg.cholesky(np.linalg.inv(modes[0].precision))
    return density.about(density.coordinates(modes[0].point[None])[0], scale), is_known(prior, scale)
