"""Calibrates a program: against its priors, or against the posterior of data at hand."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hbm_stan.calibrate.crew import Record, run_all
from hbm_stan.calibrate.design import default_design
from hbm_stan.calibrate.engine import engine_and_settings
from hbm_stan.calibrate.journal import Journal
from hbm_stan.calibrate.replication import LOG_LIK
from hbm_stan.calibrate.result import FAMILY_ERROR, Calibration, verdicts_on
from hbm_stan.calibrate.scenario import Setup
from hbm_stan.calibrate.truths import refuse_incomplete
from hbm_stan.data import Dataset
from hbm_stan.engines import NOT_DIRECT, Engine, Sampling
from hbm_stan.errors import ModelError
from hbm_stan.families import family as find_family
from hbm_stan.fit import prepare_table
from hbm_stan.identity import stan_values
from hbm_stan.model import Family
from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior
from hbm_stan.program import Program, check_data
from hbm_stan.resources import cache_folder

REPLICATIONS, FEWEST, MOST = 500, 50, 100_000
N_DRAWS = 99  # draws that a truth is ranked among: ranks 0 .. 99
SEED = 20261121

Progress = Callable[[int, int], None]  # replications done, replications in all
Reporter = Callable[[str], None]


def calibrate(
    family: Family | str,
    variant: str = "partial_pooling",
    *,
    table: Prepared | Dataset | None = None,
    priors: Mapping[str, str] | None = None,
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
    """Simulation-based calibration: Talts et al. (2020), arXiv:1804.06788.

    In each replication truths are drawn from the priors and an outcome from the truths, in NumPy; the program is given
    that outcome, and each truth is ranked among ``n_draws`` independent draws: uniformly, if both describe one model.

    ``table`` gives all but the outcome. Without one it is the family's example made small, under the family's
    ``calibration`` priors; with one, the default priors and those of ``priors``. ``program`` is calibrated in place of
    the variant's own; ``engine`` "auto" is ``direct`` for programs of one or two parameters, else the embedded sampler.
    Replications are kept in ``folder`` (the user's cache): a
    second call, or one for more, goes on. ``cluster`` is the address of a Dask scheduler, or ``local``. Raises
    ModelError, DataError, EngineError or StorageError.
    """
    model = find_family(family) if isinstance(family, str) else family
    refuse_incomplete(model, model.variant(variant).name)
    prepared, rows, words = _design(model, table, priors or {})
    design, own = model.stan_data(prepared, rows, variant), program or model.program(variant)
    chosen, settings = engine_and_settings(engine, sampling, own, design)
    setup = Setup(
        family=model, variant=variant, table=prepared, priors=rows, program=own, design=design, sampling=settings,
        n_draws=n_draws, seed=seed,
    )  # fmt: skip
    return run_setup(
        setup, replications, f"true values from the priors; {words}", chosen, family_error=family_error,
        workers=workers, cluster=cluster, folder=folder, say=say, progress=progress,
    )  # fmt: skip


def _design(
    family: Family, table: Prepared | Dataset | None, priors: Mapping[str, str]
) -> tuple[Prepared, dict[str, Prior], str]:
    """The table, the priors and the design in words; without a table, those that the family has for this."""
    if table is None:
        prepared, words = default_design(family)
        return prepared, family.priors(prepared, {**family.twin.calibration, **priors}), words
    prepared = prepare_table(family, table) if isinstance(table, Dataset) else table
    words = f"{prepared.n_groups} groups, {prepared.n_rows} rows of {prepared.dataset.name}"
    return prepared, family.priors(prepared, priors), words


def run_setup(
    setup: Setup,
    replications: int,
    words: str,
    engine: Engine,
    *,
    family_error: float = FAMILY_ERROR,
    workers: int | None = None,
    cluster: str | None = None,
    folder: Path | None = None,
    say: Reporter | None = None,
    progress: Progress | None = None,
) -> Calibration:
    """Make the replications that are not kept yet, and judge all of them."""
    _refuse_numbers(replications, setup.n_draws)
    if setup.table.samples is not None:
        raise ModelError(
            f"{setup.table.dataset.table.where}: {setup.table.noun.many} are given as samples, and what is drawn from "
            "true values is an outcome, no samples. Calibrate with estimates and standard errors, by the same program."
        )
    check_data(setup.program, setup.design)
    quiet = say or (lambda _text: None)
    kind = "prior" if setup.posterior is None else "posterior"
    name = f"{setup.family.name}-{setup.variant}-{kind}"
    journal = Journal(folder or cache_folder("calibrations"), name, _parts(setup, engine))
    with journal.held(quiet):
        records = {n: r for n, r in journal.read().items() if n < replications}
        journal.repair()
        open_ones = [n for n in range(replications) if n not in records]
        if records:
            quiet(f"{name}: {len(records)} replications are kept from before, {len(open_ones)} are to be made")

        def done(record: Record) -> None:
            journal.add(record)
            records[record["replication"]] = record
            if progress is not None:
                progress(len(records), replications)

        if open_ones:
            engine.build([setup.program], quiet)
            run_all(setup, engine, open_ones, done, workers, cluster)
    return _calibration(setup, [records[n] for n in sorted(records)], replications, words, engine, family_error)


def _refuse_numbers(replications: int, n_draws: int) -> None:
    if not isinstance(replications, int) or not FEWEST <= replications <= MOST:
        raise ModelError(
            f"Calibration: replications must be a whole number from {FEWEST} to {MOST:,}, found {replications!r}. "
            "Fewer could refuse next to nothing; 500 find a posterior that is off by a quarter of its sd."
        )
    if not isinstance(n_draws, int) or not 9 <= n_draws <= 9999:
        raise ModelError(f"Calibration: draws kept of a replication must be 9 to 9999, found {n_draws!r}.")


def _parts(setup: Setup, engine: Engine) -> dict[str, Any]:
    """What the ranks depend on: programs, both those in Stan and those in NumPy, design, priors, settings, seed."""
    data = stan_values(setup.design)
    if setup.posterior is None:
        data.pop(setup.family.programs.observed, None)
    parts: dict[str, Any] = {
        "family": setup.family.name, "variant": setup.variant, "program": setup.program.sha256,
        "numpy": _sources(setup.family), "data": {"groups": list(setup.table.pooled.labels), **data},
        "priors": setup.family.prior_texts(setup.variant, setup.priors), "settings": setup.sampling.as_dict(),
        "kept": setup.n_draws, "seed": setup.seed, "engine": f"{engine.name} {engine.version}",
    }  # fmt: skip
    if setup.posterior is not None:
        digest = hashlib.sha256()
        for name in sorted(setup.posterior):
            digest.update(name.encode() + np.ascontiguousarray(setup.posterior[name]).tobytes())
        parts["posterior"] = digest.hexdigest()
    return parts


def _sources(family: Family) -> str:
    """A hash of the modules that hold the family's functions: ranks made by others are not its."""
    if family.source:
        return family.source
    names = ("prior_draws", "new_group", "latent", "simulate", "pointwise", "prepare")
    functions = [f for f in map(family.function, names) if f is not None]
    # A function for a likelihood is a partial one: what it is made of counts, not functools.
    module_names = {getattr(f, "func", f).__module__ for f in functions}
    modules = sorted(module for module in module_names if module in sys.modules)
    text = "".join(inspect.getsource(sys.modules[module]) for module in modules)
    return hashlib.sha256(text.encode()).hexdigest()


def _calibration(
    setup: Setup, records: Sequence[Record], asked: int, words: str, engine: Engine, family_error: float
) -> Calibration:
    good = [r for r in records if "ranks" in r]
    refused = {r["replication"]: r["refused"] for r in records if "refused" in r}
    if len(good) < FEWEST:
        first = next(iter(refused.values()), "")
        raise ModelError(
            f"{setup.family.name}, {setup.variant}: {len(good)} of {asked} replications can be used, {FEWEST} are "
            f"needed. The first that cannot: {first}. Choose priors under which simulated data are possible."
        )
    ranks = {name: np.array([r["ranks"][name] for r in good]) for name in good[0]["ranks"]}
    divergent, correlated = (sum(bool(r[k]) for r in good) for k in ("divergences", "correlated"))
    return Calibration(
        family=setup.family.name, variant=setup.variant, kind="prior" if setup.posterior is None else "posterior",
        of_quantity=ranks, numbers=tuple(r["replication"] for r in good),
        draws=setup.n_draws, replications=asked, refused=refused, divergent=divergent,
        verdicts=verdicts_on(ranks, setup.n_draws, refused, divergent, correlated, family_error),
        divergences=sum(r["divergences"] for r in good), deepest=sum(r["deepest"] for r in good),
        correlated=correlated, seconds=float(sum(r["seconds"] for r in good)), design=words,
        left_out=_left_out(setup, ranks), priors=setup.family.prior_texts(setup.variant, setup.priors), seed=setup.seed,
        engine=engine.name, engine_version=engine.version, program=setup.program.name,
        program_sha256=setup.program.sha256, family_error=family_error,
        # Records of before direct draws have no such key.
        not_direct=sum(bool(r.get(NOT_DIRECT)) for r in good),
    )  # fmt: skip


def _left_out(setup: Setup, ranks: Mapping[str, Any]) -> str:
    """What is not ranked here, and why."""
    pooling = setup.family.variant(setup.variant).pooling
    omissions = []
    if pooling == "complete":
        omissions.append("group effects and a new group, which are mu")
    if pooling == "no":
        omissions.append("a new group, which has its prior and nothing else")
    if LOG_LIK not in ranks:
        omissions.append("the log likelihood, for which pointwise() or log_lik is missing")
    return f"Left out: {'; '.join(omissions)}." if omissions else ""
