"""What sampling a table will take, in words, before anything is sampled: coefficients, memory, time."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hbm_stan.design import Design
from hbm_stan.engines import Sampling
from hbm_stan.memory import MAX_BYTES, bytes_needed, draws_of_rows, held_draws, n_predictors, scratch_bytes
from hbm_stan.model import Family
from hbm_stan.portions import VERY_MANY_ROWS
from hbm_stan.prepare import Prepared
from hbm_stan.resources import cores
from hbm_stan.scratch import place
from hbm_stan.tree import is_by_nodes, is_large

# From so many sampled coefficients on a fit may take minutes, and what it takes is said (ours).
MANY_COEFFICIENTS = 1000
# Seconds of a gradient for each row and column of a term and the common ones, on the embedded engine: 0.6 ms of 73,421
# normal rows, two terms and two common columns, two chains at once (measured), and half as much again for others; and
# gradients of an iteration, warm-up included (27 measured there, with trees of 15 or 31).
_SECONDS, _GRADIENTS = 3e-9, 31
_FEWEST_DRAWS = 10
# Seconds of a core for each row of very many groups and each variant, and how much longer counts take: estimates of
# 300,000 groups took 163 s, of 1,000,000 555 s; 400,000 rows of shares 670 s, half of it for replicated rows.
_SECONDS_OF_ROW, _OF_COUNTS = 2e-4, 2.8
# And of normal rows in fewer groups, of which nothing of all draws is held: for each row and each group of a variant,
# and for each number that is worked out of rows (tests/benches/bench_growth.py --rows); as much again for each of their
# predictors (--regression: with one, 140 s of a core for three variants of 1,000,000 rows).
_SECONDS_OF_NORMAL_ROW, _SECONDS_OF_GROUP, _SECONDS_OF_VALUE = 1e-5, 3e-3, 3e-8


def outlook(family: Family, table: Prepared, variants: Sequence[str], sampling: Sampling) -> tuple[str, ...]:
    """Sentences on a large model of a formula, and on very many groups of another; none where it is small."""
    if table.design is None:
        return many_groups(family, table, variants, sampling)
    coefficients = sum(term.size for term in table.design.terms)
    if coefficients < MANY_COEFFICIENTS:
        return ()
    memory = _memory(family, table, variants, sampling)
    if any(is_by_nodes(family, table, variant) for variant in variants):
        how = f"{coefficients:,} coefficients are integrated out by nodes, and drawn afterwards, where these pass their"
        return f"{how} checks; else they are sampled.", memory, f"If so: {_time(table, variants, sampling)}"
    took = [_coefficients(family, table.design, coefficients), memory]
    return (*took, _time(table, variants, sampling)) if family.programs.pilot else tuple(took)


def many_groups(family: Family, table: Prepared, variants: Sequence[str], sampling: Sampling) -> tuple[str, ...]:
    """Where some draws of very many groups are held: how many, and what a report takes of memory, disk and time."""
    held = min((held_draws(family, table, variant, sampling) for variant in variants), default=sampling.draws)
    if table.design is not None:
        return ()
    if held == sampling.draws:
        return _many_rows(family, table, variants, sampling)
    return (
        f"Of {table.n_groups:,} {table.noun.many} {sampling.chains * held:,} of {sampling.chains * sampling.draws:,} "
        f"draws are held. {_takes(family, table, variants, sampling, _seconds(family, table, sampling.chains * held))}",
    )


def _seconds(family: Family, table: Prepared, draws: int) -> float:
    """Seconds of a core for each variant: log densities of rows are held, or made of so many draws when asked for."""
    if family.twin.some_rows is None:
        return _SECONDS_OF_ROW * table.n_rows * (_OF_COUNTS if family.discrete else 1)
    of_row = _SECONDS_OF_NORMAL_ROW + _SECONDS_OF_VALUE * draws
    return of_row * (1 + n_predictors(table)) * table.n_rows + _SECONDS_OF_GROUP * table.n_groups


def _takes(family: Family, table: Prepared, variants: Sequence[str], sampling: Sampling, seconds: float) -> str:
    """What a report of these variants takes, where each takes so many seconds."""
    memory, disk = bytes_needed(family, table, variants, sampling), scratch_bytes(family, table, variants, sampling)
    beside = f", {_gib(disk)} of the disk in {place()} for a while" if disk else ""
    n = len(variants)
    minutes = math.ceil(seconds * n / 60)
    return (
        f"A report of {n} variant{'s' * (n != 1)} takes about {_gib(memory)} of memory (the limit is "
        f"{_gib(MAX_BYTES)}){beside}, and some {minutes} minute{'s' * (minutes != 1)} of a core."
    )


def _many_rows(family: Family, table: Prepared, variants: Sequence[str], sampling: Sampling) -> tuple[str, ...]:
    """Where some draws stand for all in scores of very many rows: how many, and what a report takes."""
    chains = sampling.chains
    some = draws_of_rows(table.n_rows, chains, sampling.draws)
    if table.n_rows <= VERY_MANY_ROWS or not is_large(family, table):
        return ()
    which = ""
    if some < sampling.draws:
        which = (
            f"Scores and replications of {table.n_rows:,} rows are made of {chains * some:,} of "
            f"{chains * sampling.draws:,} draws. "
        )
    return (which + _takes(family, table, variants, sampling, _seconds(family, table, chains * some)),)


def _coefficients(family: Family, design: Design, every: int) -> str:
    """How many coefficients are sampled, how many integrated out."""
    if not family.programs.pilot:
        return f"{every:,} coefficients are integrated out, and drawn afterwards."
    if family.programs.draw_groups is None:
        return f"{every:,} coefficients are sampled."
    own = sum(term.size for term in design.terms[: design.n_group_terms])
    pooled = design.pooled.name
    return f"{every - own:,} coefficients are sampled, and {own:,} of {pooled} integrated out and drawn afterwards."


def _memory(family: Family, table: Prepared, variants: Sequence[str], sampling: Sampling) -> str:
    """What draws take, and how many fit where all do not."""
    needed = bytes_needed(family, table, variants, sampling)
    rows = "" if is_large(family, table) else f", and log densities and replications of {table.n_rows:,} rows"
    need = (
        f"{sampling.chains} chains of {sampling.draws:,} draws of {len(variants)} variants need {_gib(needed)} of "
        f"memory for coefficients{rows}; the limit is {_gib(MAX_BYTES)}"
    )
    if needed <= MAX_BYTES:
        return f"{need}."
    main = variants[-1:]
    fits = [int(sampling.draws * MAX_BYTES / bytes_needed(family, table, some, sampling)) for some in (variants, main)]
    if fits[1] < _FEWEST_DRAWS:
        return f"{need}: these are too many rows and levels. Leave a factor out, or combine levels that have few rows."
    return (
        f"{need}, so that this is refused: {fits[0]:,} draws a chain fit, or {fits[1]:,} of {main[0]} alone (draws and "
        "variants in analysis.toml)."
    )


def _time(table: Prepared, variants: Sequence[str], sampling: Sampling) -> str:
    """About how long sampling takes on this machine."""
    design = table.design
    columns = 0 if design is None else design.Z.shape[1] + design.X.shape[1]
    iterations = (sampling.warmup + sampling.draws) * -(-sampling.chains // min(sampling.chains, cores()))
    minutes = len(variants) * iterations * _GRADIENTS * _SECONDS * table.n_rows * columns / 60
    return f"Sampling takes about {minutes:.0f} minutes here." if minutes >= 1 else "Sampling takes a minute at most."


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"
