"""Posterior calibration: whether a program is right where the data at hand put the posterior."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from hbm_stan.calibrate.engine import engine_and_settings
from hbm_stan.calibrate.result import FAMILY_ERROR, Calibration
from hbm_stan.calibrate.run import N_DRAWS, REPLICATIONS, SEED, Progress, Reporter, run_setup
from hbm_stan.calibrate.scenario import Setup
from hbm_stan.calibrate.truths import refuse_incomplete
from hbm_stan.engines import Engine, Sampling
from hbm_stan.errors import ModelError
from hbm_stan.fit import Fit
from hbm_stan.mixing import ess_bulk
from hbm_stan.model import Draws
from hbm_stan.portions import spaced_places
from hbm_stan.program import Program

_PER_TRUTH = 2.0  # draws of the fit for each true value


def posterior_calibration(
    fit: Fit,
    *,
    replications: int = REPLICATIONS,
    seed: int = SEED,
    engine: Engine | str = "auto",
    program: Program | None = None,
    sampling: Sampling | None = None,
    n_draws: int = N_DRAWS,
    family_error: float = FAMILY_ERROR,
    workers: int | None = None,
    cluster: str | None = None,
    folder: Path | None = None,
    say: Reporter | None = None,
    progress: Progress | None = None,
) -> Calibration:
    """Posterior simulation-based calibration: Säilynoja et al. (2025), arXiv:2502.03279.

    Truths are draws of ``fit`` (as many, evenly spaced, as there are replications; they must be independent). From
    each an outcome of the same design is drawn, and the program is fitted to the observed and the drawn rows together:
    given both, the truth is one more draw of the posterior, so that its rank is uniform.

    The drawn rows are new rows of the known groups (and units). Where the family takes one row for each group, they
    are rows of as many new groups, drawn from the population (without pooling, from the prior); the truths of the known
    groups stay.

    Raises ModelError where the fit has too few independent draws; else as ``calibrate``.
    """
    family = fit.family
    refuse_incomplete(family, fit.variant)
    truths = spaced_draws(fit, replications)
    design = family.stan_data(fit.table, fit.priors, fit.variant)
    own = program or family.program(fit.variant)
    chosen, settings = engine_and_settings(engine, sampling, own, design)
    setup = Setup(
        family=family, variant=fit.variant, table=fit.table, priors=fit.priors, program=own, design=design,
        sampling=settings, n_draws=n_draws, seed=seed, posterior=truths,
    )  # fmt: skip
    return run_setup(
        setup, replications, _design_in_words(fit), chosen, family_error=family_error, workers=workers,
        cluster=cluster, folder=folder, say=say, progress=progress,
    )  # fmt: skip


def _design_in_words(fit: Fit) -> str:
    drawn_of = "as many new groups" if fit.family.one_row_per_group else "the same groups again"
    return (
        f"true values from the posterior of {fit.table.dataset.name}; its {fit.table.n_rows} rows and as many drawn of "
        f"{drawn_of}"
    )


def draws_for(sampling: Sampling, replications: int) -> Sampling:
    """The settings with draws enough, if they are half as good as independent ones, for so many true values."""
    enough = int(np.ceil(_PER_TRUTH * replications / sampling.chains))
    return sampling if sampling.draws >= enough else replace(sampling, draws=enough)


def spaced_draws(fit: Fit, number: int) -> Draws:
    """``number`` draws of a fit, evenly spaced over its chains; raises ModelError where it holds fewer."""
    posterior = fit.named["posterior"]
    least = np.inf
    for name in (*fit.family.programs.population, fit.family.groups.group_quantity):
        if name in posterior:
            values = np.asarray(posterior[name].values, dtype=float).reshape(*posterior[name].shape[:2], -1)
            own = np.moveaxis(values, -1, 0)[np.ptp(values, axis=(0, 1)) > 0]
            least = min([least, *map(float, ess_bulk(own))])
    if fit.n_draws < number or least < number:
        needed = int(np.ceil(fit.sampling.draws * number / min(least, fit.n_draws) * 1.2 / 100) * 100)
        raise ModelError(
            f"{fit.variant}: {number} independent draws of the posterior are needed as true values; the fit has "
            f"{min(least, fit.n_draws):.0f}. Fit with about {needed:,} draws a chain, or ask for fewer replications."
        )
    which = spaced_places(number, fit.n_draws)
    return {name: values[which] for name, values in fit.draws().items() if values.ndim}
