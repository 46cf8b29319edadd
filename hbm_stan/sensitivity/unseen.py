"""Does the conclusion survive missing outcomes that differ from those that were seen, and from which delta on not?

No row tells delta. It is swept, and the conclusion looked at under each (a tipping-point analysis: Yan, Lee & Li 2009,
Journal of Biopharmaceutical Statistics 19:1085). A prior over delta mixes what is concluded under each, and is not
updated: what rows say of delta rests on the outcome being normal (Kenward 1998, Statistics in Medicine 17:2723).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from hbm_stan import __version__
from hbm_stan.attempts import fit_anew
from hbm_stan.diagnose import check
from hbm_stan.engines import choose
from hbm_stan.errors import DataError, EngineError
from hbm_stan.executor import in_turn
from hbm_stan.families.missing_outcomes.columns import assumed, default_sweep, delta_prior
from hbm_stan.fit import Fit, Job
from hbm_stan.later import ndtri
from hbm_stan.missingness import Missingness
from hbm_stan.model import Estimand, Evidence
from hbm_stan.program import check_data
from hbm_stan.repair.refits import keep_note, note_of, without_draws
from hbm_stan.sensitivity.tipping import Row, Tips, row_of, tips_of
from hbm_stan.store import FitStore
from hbm_stan.table import FloatArray

NOTE = "missing-outcomes"  # what is kept beside the fits, for the report
# Fits over which a prior of delta is spread where delta is in the density: slices of equal probability (ours).
SLICES = 11
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Unseen:
    """The conclusion by delta: a row for each that was tried, where it tips, and over the prior of delta.

    ``main`` is the delta of the fit that all else is said of.
    """

    name: str
    variant: str
    form: str
    rows_text: str
    unit: str
    threshold: float
    main: float
    rows: tuple[Row, ...]
    tips: Tips
    prior: str = ""
    over_prior: Row | None = None

    def as_dict(self) -> dict[str, Any]:
        """Everything for JSON."""
        return asdict(self)

    @classmethod
    def of_dict(cls, content: Mapping[str, Any]) -> Unseen:
        """What ``as_dict`` gave."""
        over = content["over_prior"]
        nested = {
            "rows": tuple(Row(**row) for row in content["rows"]), "tips": Tips(**content["tips"]),
            "over_prior": None if over is None else Row(**over),
        }  # fmt: skip
        return cls(**{**content, **nested})


def unseen(main: Fit, store: FitStore, say: Say | None = None) -> Unseen | None:
    """The conclusion under each delta, from draws of the fit or, where delta is in the density, by refits.

    None for a family whose conclusion rests on no delta. A result that is kept beside the fits is used again.
    """
    if main.family.words.estimand is None:
        return None
    tell = say or (lambda _text: None)
    key = _key(main)
    if (note := note_of(store, NOTE, key)) is not None:
        return Unseen.of_dict(note["result"])
    result = _swept(main, tell)
    keep_note(store, NOTE, {"key": key, "result": result.as_dict()}, tell)
    return result


def _swept(main: Fit, say: Say) -> Unseen:
    assumption, prior = assumed(main.table), delta_prior(main.table)
    deltas = sorted({*(assumption.sweep or default_sweep(main.table)), 0.0, assumption.delta})
    nodes = [] if prior is None else _nodes(*prior.arguments)
    by_delta = _estimands(main, [*deltas, *nodes] if assumption.selects else deltas, say)
    rows = tuple(row_of(delta, by_delta[delta], assumption.threshold) for delta in deltas)
    over = None
    if prior is not None:
        whole = _mixture(by_delta, nodes) if assumption.selects else _over_prior(main, *prior.arguments)
        over = None if whole is None else row_of(float(prior.arguments[0]), whole, assumption.threshold)
    name = next(e.name for e in by_delta.values() if e is not None)
    return Unseen(
        name=name, variant=main.variant, form=assumption.form, rows_text=assumption.rows,
        unit=main.table.dataset.unit("outcome"), threshold=assumption.threshold, main=assumption.delta, rows=rows,
        tips=tips_of(rows, assumption.threshold), prior="" if prior is None else prior.text, over_prior=over,
    )  # fmt: skip


def _nodes(location: float, scale: float) -> list[float]:
    """The middles of slices of equal probability, moved apart so that their sd is that of the prior."""
    z = np.asarray(ndtri((np.arange(SLICES) + 0.5) / SLICES))
    return [float(f"{v:.9g}") for v in location + scale * z / np.std(z)]


def _estimands(main: Fit, deltas: Sequence[float], say: Say) -> dict[float, Estimand | None]:
    """What the conclusion is about under each delta; None where a refit failed its checks."""
    assumption = assumed(main.table)
    if not assumption.selects:
        return {delta: _estimand(main, np.full(main.n_draws, delta)) for delta in deltas}
    todo = list(dict.fromkeys(deltas))
    others = [delta for delta in todo if delta != assumption.delta]
    bare = without_draws(main)

    def units() -> Iterator[tuple[Fit, Missingness]]:
        for k, delta in enumerate(todo):
            if delta != assumption.delta:
                say(f"delta = {delta:.3g}: fitting ({k + 1} of {len(todo)})")
                yield bare, replace(assumption, delta=delta)

    by_delta: dict[float, Estimand | None] = {}
    refits = in_turn(refitted, units(), main.family, main.engine, main.sampling.chains)
    for delta, future in zip(others, refits, strict=True):
        by_delta[delta], trouble = future.result()
        if trouble:
            say(f"delta = {delta:.3g}: {trouble}")
    return {delta: _estimand(main) if delta == assumption.delta else by_delta[delta] for delta in todo}


def refitted(main: Fit, assumption: Missingness) -> tuple[Estimand | None, str]:
    """What the conclusion is about under another delta, by a refit, or why there is none; ``main`` needs no draws."""
    try:
        fit = fit_anew(job_under(main, assumption))
    except EngineError as error:
        return None, str(error)
    failed = [v.name for v in check(fit).failed]
    return (None, f"checks failed ({', '.join(failed)})") if failed else (_estimand(fit), "")


def job_under(main: Fit, assumption: Missingness) -> Job:
    """The job of a fit under another delta: the same rows, priors, settings and engine, parameters alone."""
    dataset = main.table.dataset
    table = replace(main.table, dataset=replace(dataset, reading=replace(dataset.reading, missing=assumption)))
    program, data = (
        main.family.program(main.variant), main.family.stan_data(table, main.priors, main.variant, generate=False)
    )  # fmt: skip
    check_data(program, data)
    return Job(
        family=main.family, variant=main.variant, table=table, priors=main.priors, sampling=main.asked,
        engine=choose(main.engine), program=program, data=data,
    )  # fmt: skip


def _estimand(fit: Fit, delta: FloatArray | None = None) -> Estimand:
    estimand = fit.family.words.estimand
    if estimand is None:
        raise DataError(f"{fit.family.name}: its conclusions rest on no delta.")
    evidence = Evidence(
        variant=fit.variant, draws=fit.draws(), data=fit.data, table=fit.table, options={}, rng=fit.rng("delta")
    )
    return estimand(evidence, delta)


def _over_prior(main: Fit, location: float, scale: float) -> Estimand:
    """With a delta from its prior beside each draw: draws do not depend on it."""
    return _estimand(main, main.rng("prior of delta").normal(location, scale, main.n_draws))


def _mixture(by_delta: Mapping[float, Estimand | None], nodes: Sequence[float]) -> Estimand | None:
    """All draws under deltas of equal probability together; None where one of the fits failed."""
    several = [by_delta[node] for node in nodes]
    whole = [e for e in several if e is not None]
    if len(whole) < len(several):
        return None
    return Estimand(
        name=whole[0].name, values=np.concatenate([e.values for e in whole]),
        parts={name: np.concatenate([e.parts[name] for e in whole]) for name in whole[0].parts},
        gap=np.concatenate([e.gap for e in whole]),
    )  # fmt: skip


def _key(main: Fit) -> str:
    content = [_own_code(), main.key, main.variant, asdict(assumed(main.table)), main.table.dataset.unit("outcome")]
    return hashlib.sha256(json.dumps(content, default=str).encode()).hexdigest()


@cache
def _own_code() -> str:
    """The version and the hash of what makes the result."""
    folder = Path(__file__).parents[1]
    files = [*sorted((folder / "families" / "missing_outcomes").glob("*.py")), Path(__file__),
             Path(__file__).with_name("tipping.py")]  # fmt: skip
    return __version__ + hashlib.sha256(b"\0".join(p.read_bytes() for p in files)).hexdigest()
