"""A family, a variant, data and settings become a Fit: draws with names, kept by their content and used again."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from hbm_stan.data import Dataset
from hbm_stan.engines import Engine, EngineDraws, Progress, Sampling, choose, plain_data
from hbm_stan.errors import DataError
from hbm_stan.families import family as find_family
from hbm_stan.model import Family, StanData, posterior_draws
from hbm_stan.prepare import Prepared, prepare
from hbm_stan.priors import Prior
from hbm_stan.program import Program, check_data
from hbm_stan.store import FitStore, Kept
from hbm_stan.table import FloatArray
from hbm_stan.tree import draws_tree

# Draws kept of one fit: beyond this the tree would not fit into the memory of a usual machine.
MAX_KEPT_BYTES = 4 * 2**30
# From here on group effects, log_lik and y_rep are drawn in NumPy after sampling: a program draws them at every
# iteration and writes them out as text, which takes longer than sampling does.
MANY_ROWS, MANY_GROUPS = 5000, 1000

Reporter = Callable[[str], None]


@dataclass(frozen=True, repr=False)
class Fit:
    """Draws of one variant with all that made them. ``tree`` has ArviZ's groups and dims."""

    family: Family
    variant: str
    table: Prepared
    data: StanData
    priors: Mapping[str, Prior]
    sampling: Sampling
    engine: str
    engine_version: str
    tree: xr.DataTree
    key: str
    program_sha256: str
    seconds: float
    reused: bool
    reason: str

    def __repr__(self) -> str:
        made = f"{self.sampling.chains} x {self.sampling.draws} draws by {self.engine} {self.engine_version}"
        return f"<Fit {self.family.name}, {self.variant}: {len(self.table.labels)} groups, {made}>"

    @property
    def n_draws(self) -> int:
        """Draws in all chains together."""
        return self.sampling.chains * self.sampling.draws

    def draws(self, *names: str) -> dict[str, np.ndarray[Any, Any]]:
        """Posterior draws of these variables (those that the variant has), chains joined: (draw, ...)."""
        posterior = self.tree["posterior"].to_dataset()
        return posterior_draws(posterior, names or [str(name) for name in posterior.data_vars])

    @property
    def pooling(self) -> str:
        """What the variant assumes: complete, no or partial."""
        return self.family.variant(self.variant).pooling

    @property
    def y(self) -> FloatArray:
        """The observed outcome, shape (rows,)."""
        return np.asarray(self.data[self.family.observed], dtype=float)


@dataclass(frozen=True)
class Job:
    """One fit to be made: everything that its draws depend on, and the key made of it."""

    family: Family
    variant: str
    table: Prepared
    priors: Mapping[str, Prior]
    sampling: Sampling
    engine: Engine
    program: Program
    data: StanData

    @property
    def parts(self) -> dict[str, Any]:
        """What the key is made of, in words that a message can use.

        The same programs run under every prior, so all priors are data; those that this program does not read, and
        that its variant does not name, are left out: they change nothing here.
        """
        data = plain_data(self.data)
        priors = {k for k in data if k.startswith("prior_")}
        return {
            "program": self.program.sha256,
            "data": {"groups": list(self.table.labels), **{k: v for k, v in data.items() if k not in priors}},
            "priors": self.family.prior_texts(self.variant, self.priors),
            # Texts are rounded and may leave out what prepare() makes of them: the numbers decide.
            "prior values": {k: v for k, v in data.items() if k in priors and _reads(self.program, k)},
            "settings": self.sampling.as_dict(),
            "engine": f"{self.engine.name} {self.engine.version}",
            **self._own(),
        }

    def _own(self) -> dict[str, Any]:
        """Of a user's own family: how the draws are named, and its code where that draws what the program left out."""
        family = self.family
        if not family.source:
            return {}
        names = {"dims": {k: list(v) for k, v in family.dims.items()}, "log_lik": family.log_lik, "y_rep": family.y_rep}
        return {"names": names, "family": family.source if self.data.get("generate") == 0 else ""}

    @property
    def key(self) -> str:
        """The content of the job as a hash."""
        return hashlib.sha256(json.dumps(self.parts, sort_keys=True).encode()).hexdigest()


def _reads(program: Program, name: str) -> bool:
    """Whether a program does anything with a datum but declare it; a mention in a comment counts, to be safe."""
    return len(re.findall(rf"\b{name}\b", program.code)) > 1


def prepare_table(family: Family, dataset: Dataset) -> Prepared:
    """The dataset's columns, checked for what the family's roles ask."""
    return prepare(
        dataset, family.roles, one_row_per_group=family.one_row_per_group, known_residual=family.known_residual
    )


def fit(
    family: Family | str,
    dataset: Dataset,
    variant: str = "partial_pooling",
    *,
    priors: Mapping[str, str] | None = None,
    sampling: Sampling | None = None,
    engine: Engine | str = "auto",
    store: FitStore | None = None,
    say: Reporter | None = None,
    progress: Progress | None = None,
) -> Fit:
    """Fit one variant of a family to a dataset whose columns are mapped to roles.

    ``priors`` replaces rows of the family's prior table (``{"tau": "half_cauchy(5)"}``). A fit whose program, data,
    priors, settings, seed, engine and version are known already is read from ``store`` (the user's cache folder).
    Raises DataError, ModelError or EngineError.
    """
    fits = fit_variants(
        family, dataset, (variant,), priors=priors, sampling=sampling, engine=engine, store=store, say=say,
        progress=None if progress is None else (lambda _variant: progress),
    )  # fmt: skip
    return fits[variant]


def fit_variants(
    family: Family | str,
    dataset: Dataset,
    variants: Sequence[str] | None = None,
    *,
    priors: Mapping[str, str] | None = None,
    sampling: Sampling | None = None,
    engine: Engine | str = "auto",
    store: FitStore | None = None,
    say: Reporter | None = None,
    progress: Callable[[str], Progress | None] | None = None,
) -> dict[str, Fit]:
    """Fit several variants (by default complete, no and partial pooling) to the same data, priors and settings."""
    model = find_family(family) if isinstance(family, str) else family
    chosen = choose(engine) if isinstance(engine, str) else engine
    jobs = jobs_of(model, dataset, variants or model.default_variants, priors, sampling or Sampling(), chosen)
    kept = store or FitStore.for_user(model.name, dataset.name)
    quiet = say or (lambda _text: None)
    chosen.build([job.program for job in jobs if not kept.has(job.variant, job.key)], quiet)
    return {
        job.variant: run_job(job, kept, quiet, progress(job.variant) if progress is not None else None) for job in jobs
    }


def jobs_of(
    family: Family,
    dataset: Dataset,
    variants: Sequence[str],
    priors: Mapping[str, str] | None,
    sampling: Sampling,
    engine: Engine,
) -> list[Job]:
    """The fits that these variants ask for, data and priors checked, nothing sampled yet."""
    if not isinstance(dataset, Dataset):
        found = type(dataset).__name__
        raise DataError(
            f"A Dataset is needed, got {found}: use hbm_stan.load(path, ...) or Dataset.from_frame(frame, ...)."
        )
    table = prepare_table(family, dataset)
    chosen = family.priors(table, priors)
    return [_job(family, name, table, chosen, sampling, engine) for name in variants]


def _job(
    family: Family, variant: str, table: Prepared, priors: Mapping[str, Prior], sampling: Sampling, engine: Engine
) -> Job:
    program = family.program(variant)
    data = family.stan_data(table, priors, variant, generate=not _is_large(family, table))
    check_data(program, data)
    lengths = {dim: len(labels) for dim, labels in family.coordinates(table).items()}
    values = sum(math.prod(lengths.get(d, 1) for d in dims) for dims in family.dims.values())
    size = sampling.chains * sampling.draws * 8 * values
    if size > MAX_KEPT_BYTES:
        raise DataError(
            f"{table.dataset.table.where}: {len(table.labels):,} groups in {len(table.group):,} rows with "
            f"{sampling.chains * sampling.draws:,} draws "
            f"would need about {size / 2**30:,.0f} GiB of memory; the limit is {MAX_KEPT_BYTES / 2**30:.0f} GiB. "
            "Ask for fewer draws, or combine groups."
        )
    return Job(family, variant, table, priors, sampling, engine, program, data)


def _is_large(family: Family, table: Prepared) -> bool:
    """Whether group effects, log_lik and y_rep are drawn after sampling; the family must know how."""
    many = len(table.group) > MANY_ROWS or len(table.labels) > MANY_GROUPS
    return many and family.draw_groups is not None and family.pointwise is not None and family.simulate is not None


def run_job(job: Job, store: FitStore, say: Reporter, progress: Progress | None = None) -> Fit:
    """The fit of a job: read from the store where it is kept, else sampled and kept."""
    kept = store.read(job.variant, job.key)
    if kept is None:
        with store.lock(job.variant, say):
            kept = store.read(job.variant, job.key)  # another process may have made it while we waited
            if kept is None:
                return _sample(job, store, say, progress)
    say(f"{job.variant}: draws kept from an earlier run are used again")
    return _fit(job, kept, reused=True, reason="nothing changed")


def _sample(job: Job, store: FitStore, say: Reporter, progress: Progress | None) -> Fit:
    reason = store.why(job.variant, job.key, job.parts)
    say(f"{job.variant}: sampling ({reason})")
    started = time.perf_counter()
    draws = job.engine.sample(job.program, job.data, job.sampling, progress)
    seconds = time.perf_counter() - started
    tree = draws_tree(job.family, job.table, job.data, draws, job.sampling.seed)
    kept = Kept(tree, job.parts, job.key, seconds)
    store.write(job.variant, kept)
    return _fit(job, kept, reused=False, reason=reason)


def fit_of_draws(job: Job, drawn: EngineDraws, sampling: Sampling) -> Fit:
    """A Fit of parameters alone, kept nowhere: for proofs and long runs, which need no log_lik and no y_rep."""
    tree = draws_tree(job.family, job.table, job.data, drawn, sampling.seed, rows=False)
    return _fit(replace(job, sampling=sampling), Kept(tree, {}, job.key, 0.0), reused=False, reason="not kept")


def _fit(job: Job, kept: Kept, *, reused: bool, reason: str) -> Fit:
    return Fit(
        job.family, job.variant, job.table, job.data, job.priors, job.sampling, job.engine.name, job.engine.version,
        kept.tree, job.key, job.program.sha256, kept.seconds, reused, reason,
    )  # fmt: skip


def term_of(name: str) -> str:
    """The label in a name's brackets: ``mu[floor]`` -> ``floor``; empty where there is none."""
    return name.partition("[")[2].removesuffix("]")


def element_names(name: str, variable: Any) -> list[str]:
    """The name of each element of a variable in C order: ``mu``, ``theta[A]``, ``theta[A, floor]``."""
    labels = [_labels(variable, dim) for dim in variable.dims[2:]]
    return [f"{name}[{', '.join(element)}]" if element else name for element in itertools.product(*labels)]


def _labels(variable: Any, dim: str) -> list[str]:
    return (
        [str(c) for c in variable.coords[dim].values]
        if dim in variable.coords
        else list(map(str, range(1, variable.sizes[dim] + 1)))
    )
