"""A job and the Fit that it gives: everything that draws depend on, and draws with names."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_stan.data import Dataset
from hbm_stan.deferred import Later, is_pending
from hbm_stan.engines import ENGINES, PARETO_K, Engine, Sampling, writes_text
from hbm_stan.fit_file import Facts, FitFile
from hbm_stan.generated import generates_in_numpy
from hbm_stan.identity import data_in_order, model_in_words
from hbm_stan.memory import draws_of_rows, refuse_too_large
from hbm_stan.model import Family, StanData
from hbm_stan.named import NamedTree
from hbm_stan.notebook import card, summary_of
from hbm_stan.portions import portions
from hbm_stan.prepare import Prepared
from hbm_stan.prepared import prepared_for, refuse_what_is_no_dataset
from hbm_stan.priors import Prior
from hbm_stan.program import Program, check_data
from hbm_stan.scratch import give_back
from hbm_stan.table import FloatArray
from hbm_stan.tree import is_large, posterior_draws, thinned

if TYPE_CHECKING:
    import xarray as xr
else:
    from hbm_stan.later import xr

Reporter = Callable[[str], None]


@dataclass(frozen=True)
class Attempt:
    """An attempt at a fit that failed by its step alone: its adapt_delta, how it failed in words, its seconds."""

    adapt_delta: float
    failed: str
    seconds: float


@dataclass(frozen=True, kw_only=True, repr=False)
class Fit:
    """Draws of one variant with all that made them. ``named`` has ArviZ's groups and dims, ``tree`` is ArviZ's own."""

    family: Family
    variant: str
    table: Prepared
    data: StanData
    priors: Mapping[str, Prior]
    sampling: Sampling
    engine: str
    engine_version: str
    named: Later[NamedTree] = Later()  # noqa: RUF009 (a descriptor: there is one for all)
    key: str
    program_sha256: str
    seconds: float
    reused: bool
    reason: str
    earlier: tuple[Attempt, ...] = ()  # attempts at a larger step that failed; ``sampling`` is that of the last
    stopped: str = ""  # why no smaller step was tried, where one was called for
    every: NamedTree | None = None  # all draws of the population, where ``named`` holds only some: very many groups
    read_from: FitFile | None = None  # the file of these draws

    def __repr__(self) -> str:
        draws = f"{self.sampling.chains} x {self.sampling.draws} draws by {self.engine} {self.engine_version}"
        return f"<Fit {self.family.name}, {self.variant}: {self.table.n_groups} groups, {draws}>"

    def _repr_html_(self) -> str:
        note = "Of the population. hbm.check(fit) says whether these draws can be trusted."
        return card(repr(self)[1:-1], [note], summary_of(self.draws(*self.family.programs.population)))

    @cached_property
    def tree(self) -> xr.DataTree:
        """The draws as a tree of xarray, which ArviZ takes; no draws are copied."""
        return self.named.as_xarray()

    def __getstate__(self) -> dict[str, Any]:
        """What travels: the tree is made again of ``named``, and would double the draws."""
        return {name: value for name, value in vars(self).items() if name != "tree"}

    @property
    def asked(self) -> Sampling:
        """The settings that were asked for; ``sampling`` are those of the draws, whose step may be smaller."""
        return replace(self.sampling, adapt_delta=self.earlier[0].adapt_delta) if self.earlier else self.sampling

    @property
    def n_draws(self) -> int:
        """Draws in all chains together."""
        return math.prod(self.shape)

    @property
    def shape(self) -> tuple[int, int]:
        """Chains and draws of each in ``named``."""
        draws = self.sampling.draws if self.every is None else self.named["sample_stats"].sizes["draw"]
        return self.sampling.chains, draws

    @property
    def chains(self) -> NamedTree:
        """All draws that were sampled: what checks of the sampler are made of."""
        return self.named if self.every is None else self.every

    def draws(self, *names: str) -> dict[str, np.ndarray[Any, Any]]:
        """Posterior draws of these variables (those that the variant has), chains joined: (draw, ...)."""
        posterior = self.named["posterior"]
        return posterior_draws(posterior, names or list(posterior))

    def rng(self, purpose: str) -> np.random.Generator:
        """A generator fixed by the seed, the variant and the purpose: the same report twice."""
        return np.random.default_rng([self.sampling.seed, zlib.crc32(f"{self.variant} {purpose}".encode())])

    @property
    def independent(self) -> bool:
        """Whether the draws are independent ones of a posterior that is known: no sampler took a step."""
        if self.facts is not None:
            return self.facts.independent
        return not self.direct and not np.asarray(self.chains["sample_stats"]["n_steps"].values).any()

    @property
    def trouble(self) -> bool:
        """Whether any step diverged or ended at the largest depth, or the energy of a chain does not move."""
        if self.facts is not None:
            return self.facts.trouble
        stats = self.chains["sample_stats"]
        ended = any(np.asarray(stats[name].values).any() for name in ("diverging", "reached_max_treedepth"))
        return ended or not (np.ptp(np.asarray(stats["energy"].values), axis=1) > 0).all()

    @property
    def file(self) -> FitFile | None:
        """The file of a fit whose draws nobody has read yet, so that they are what stands there; else None."""
        return self.read_from if is_pending(self, "named") else None

    @property
    def facts(self) -> Facts | None:
        """What was noted of the draws in that file, if it was."""
        return None if self.file is None else self.file.facts

    @property
    def divergences(self) -> int | None:
        """Divergent transitions of all chains; None of direct draws, which have none to count."""
        return None if self.direct else int(np.sum(self.chains["sample_stats"]["diverging"].values))

    @property
    def about(self) -> dict[str, float | str]:
        """What importance weights say of direct draws, or why draws that were to be direct are a sampler's."""
        return dict(self.chains["sample_stats"].attrs if self.facts is None else self.facts.about)

    @property
    def direct(self) -> bool:
        """Whether the draws are direct ones, by importance weights: no sampler took a step."""
        return PARETO_K in self.about

    @property
    def rows_on_request(self) -> bool:
        """Whether log densities and replications of rows are worked out when asked for, as the table is large."""
        return is_large(self.family, self.table)

    @property
    def of_rows(self) -> Fit:
        """The fit with the draws that single rows are scored and replicated from: of very many rows some of all.

        They are at equal distances; ``every`` still has all.
        """
        some = self.row_draws
        return self if some == self.shape[1] else replace(self, named=thinned(self.named, some), every=self.chains)

    @property
    def row_draws(self) -> int:
        """The draws of each chain that ``of_rows`` has."""
        chains, draws = self.shape
        return draws_of_rows(self.table.n_rows, chains, draws) if self.rows_on_request else draws

    @cached_property
    def settled_data(self) -> StanData:
        """The data with what all rows say together worked out once, where the family can: see ``Twin.some_rows``."""
        some_rows = self.family.twin.some_rows
        return self.data if some_rows is None else some_rows(self.data, slice(None))

    def blocks(self, values: int) -> Iterator[tuple[slice, dict[str, FloatArray]]]:
        """The draws block by block, with their places: as many as make at most 2^22 numbers of ``values`` a draw."""
        draws = self.draws()
        for part in portions(self.n_draws, values):
            yield part, {name: some[part] for name, some in draws.items()}
            give_back(*draws.values())

    @property
    def pooling(self) -> str:
        """What the variant assumes: complete, no or partial."""
        return self.family.variant(self.variant).pooling

    @property
    def y(self) -> FloatArray:
        """The observed outcome, shape (rows,)."""
        return np.asarray(self.data[self.family.programs.observed], dtype=float)


@dataclass(frozen=True, kw_only=True)
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

    @cached_property
    def parts(self) -> dict[str, Any]:
        """What the key is made of, in words that a message can use."""
        model = model_in_words(self.family, self.variant, self.program, self.priors, self.data)
        return {
            "program": model.pop("program"), "data": data_in_order(self.family, self.table, self.data), **model,
            "settings": self.sampling.as_dict(), "engine": f"{self.engine.name} {self.engine.version}",
        }  # fmt: skip

    @cached_property
    def key(self) -> str:
        """The content of the job as a hash."""
        return hashlib.sha256(json.dumps(self.parts, sort_keys=True).encode()).hexdigest()


def prepare_table(family: Family, dataset: Dataset) -> Prepared:
    """The dataset's columns, checked for what the family's roles ask, and for what only the family can see."""
    table = prepared_for(dataset, family)
    own = family.check_table(table) if family.check_table is not None else ()
    return replace(table, verdicts=(*table.verdicts, *own), notes=(*table.notes, *family.left_out(table)))


def jobs_of(
    family: Family, dataset: Dataset, variants: Sequence[str] | None, priors: Mapping[str, str] | None,
    sampling: Sampling, engine: Engine,
) -> list[Job]:  # fmt: skip
    """The fits that these variants ask for (None: one of each pooling), data and priors checked, nothing sampled."""
    refuse_what_is_no_dataset(dataset)
    table = prepare_table(family, dataset)
    chosen = family.priors(table, priors)
    names = variants or family.variants_for(table)
    refuse_too_large(family, table, names, sampling)
    for name in names:
        family.refuse_unlearnable(table, name)
    return [job_of(family, name, table, chosen, sampling, engine) for name in names]


def job_of(
    family: Family, variant: str, table: Prepared, priors: Mapping[str, Prior], sampling: Sampling, engine: Engine,
    settle: Callable[[StanData], StanData] | None = None,
) -> Job:  # fmt: skip
    """The job of one variant of a table that was checked; ``settle`` changes its data, which are checked after it."""
    program = family.program(variant)
    # What a user's engine draws is what is wanted: all of it.
    ours = engine.name in ENGINES and generates_in_numpy(family, program, as_text=writes_text(engine))
    later = is_large(family, table) or ours
    data = family.stan_data(table, priors, variant, generate=not later)
    data = data if settle is None else settle(data)
    check_data(program, data)
    return Job(
        family=family, variant=variant, table=table, priors=priors, sampling=sampling, engine=engine, program=program,
        data=data,
    )  # fmt: skip


def unread(fit: Fit) -> Fit:
    """The same fit for whom only looks at its draws: ``file`` of the first stays what it is."""
    return copy.copy(fit)
