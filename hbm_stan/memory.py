"""What draws take of memory and disk, how many of each group are held, and what is refused before it is sampled."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence

from hbm_stan.engines import Sampling
from hbm_stan.errors import DataError
from hbm_stan.generated import generates_in_numpy
from hbm_stan.model import Family
from hbm_stan.portions import VERY_MANY_ROWS
from hbm_stan.prepare import Prepared
from hbm_stan.scratch import IN_MEMORY, place
from hbm_stan.tree import is_by_nodes, is_large

# Memory for draws: more is not to be had on a usual machine (ours).
MAX_BYTES = 4 * 2**30
# What making, writing or reading needs beyond the draws, as a share of one fit: measured 0.32 with 10,000 groups.
MORE_TO_MAKE = 0.4
# And of a large table, whose rows are not among its draws: their log densities, and effects that are being summarised.
MORE_OF_LARGE = 2.5
# The same of families whose groups are drawn in blocks, with the blocks; and of each group its label, its data and its
# lines in tables of summaries (measured with estimates of 100,000, 300,000 and 1,000,000 groups).
MORE_IN_BLOCKS, EACH_GROUP = 1.5 * 2**30, 1500
# And of each row that needs no log density of its own: its cells, what is made of them, and its scores (10,000,000 rows
# take 2.9 GiB in all).
EACH_ROW = 200
# And of each of its predictors: cells, columns, and lists for an engine (1,000,000 rows with one take 1.2 GiB in all,
# 3,000,000 2.1 GiB).
EACH_VALUE = 270
# The log densities of the rows of a large table, which a comparison holds on the disk for a while (ours).
MAX_ROW_BYTES = 16 * 2**30
# Memory for the group effects of one fit of a large table, and draws of all chains that are held of them in any case:
# they are independent given the population, so that the mean of 400 is good to a twentieth of an sd (ours).
MAX_GROUP_BYTES, LEAST_HELD = 2**29, 400
# Numbers that are worked out of single rows, of very many: log densities at draws, and replications (ours: 4,000 draws
# of 50,000 rows, a quarter of a minute of a core for each variant).
MAX_ROW_VALUES = 2 * 10**8


def held_bytes(family: Family, table: Prepared, variant: str, sampling: Sampling) -> int:
    """The bytes of all draws of one fit in memory: what its program gives, and what is drawn after it."""
    rows = set() if is_large(family, table) else {family.programs.log_lik, family.programs.y_rep}
    sampled = _sampled(family, table, variant)
    later = 0 if disk_bytes(family, table, variant, sampling) else _later_bytes(family, table, variant, sampling, rows)
    return 8 * sampling.chains * sampling.draws * _values(family, table, sampled) + later


def disk_bytes(family: Family, table: Prepared, variant: str, sampling: Sampling) -> int:
    """The bytes of group effects of one fit that lie in a temporary file: what is too much for memory."""
    size = _later_bytes(family, table, variant, sampling, set()) if _in_blocks(family, table) else 0
    arrays = 1 + len(_own_scales(family, table, variant))
    return size if size > 8 * IN_MEMORY * arrays else 0


def _in_blocks(family: Family, table: Prepared) -> bool:
    """Whether group effects are drawn some draws at a time where they are many: those of formulas are not."""
    return is_large(family, table) and not family.terms


def _later_bytes(family: Family, table: Prepared, variant: str, sampling: Sampling, rows: set[str]) -> int:
    """The bytes of what is drawn after sampling; what all groups share is held once, where it is known."""
    names = (_later(family) | rows) - _sampled(family, table, variant)
    if _is_known(family, table, variant):
        shared = family.variant(variant).pooling == "complete"
        names = names - {family.groups.group_quantity} if shared else names | _own_scales(family, table, variant)
    return 8 * sampling.chains * held_draws(family, table, variant, sampling) * _values(family, table, names)


def _own_scales(family: Family, table: Prepared, variant: str) -> set[str]:
    """What groups have beside their value where all of it is drawn without a sampler."""
    alone = _is_known(family, table, variant) and family.variant(variant).pooling == "no"
    return set(family.programs.own_scales) if alone else set()


def _is_known(family: Family, table: Prepared, variant: str) -> bool:
    """Whether the posterior of a large table is a known one, so that nothing is sampled."""
    known = is_large(family, table) and family.programs.independent is not None
    return known and family.variant(variant).pooling != "partial"


def held_draws(family: Family, table: Prepared, variant: str, sampling: Sampling) -> int:
    """The draws of each chain that are held of group effects: all of them, or of very many groups as many as fit.

    Fewer are held only where effects are drawn after sampling, given the population, of which all draws are kept.
    """
    programs = family.programs
    if not is_large(family, table) or programs.draw_groups is None or is_by_nodes(family, table, variant):
        return sampling.draws
    sampled = _sampled(family, table, variant)
    later = _later(family) - sampled
    if not later or _values(family, table, sampled) >= table.n_groups:  # a program that samples groups is kept as it is
        return sampling.draws
    fit = MAX_GROUP_BYTES // (8 * sampling.chains * max(1, _values(family, table, later)))
    return min(sampling.draws, max(fit, math.ceil(LEAST_HELD / sampling.chains)))


def draws_of_rows(rows: int, chains: int, draws: int) -> int:
    """The draws of each chain that stand for so many in what is made of single rows: of very many rows not all."""
    if rows <= VERY_MANY_ROWS:
        return draws
    return min(draws, max(MAX_ROW_VALUES // (chains * rows), math.ceil(LEAST_HELD / chains)))


def _later(family: Family) -> set[str]:
    """What is drawn after sampling, where the program leaves it out: effects of groups and of other levels."""
    return {family.groups.group_quantity, "effect"}


def stored_bytes(family: Family, table: Prepared, variant: str, sampling: Sampling) -> int:
    """The bytes of one fit as it is kept: of a large table what was sampled, else all but what is made of its rows."""
    if not is_large(family, table):
        later = generates_in_numpy(family, family.program(variant))
        of_rows = {family.programs.log_lik, family.programs.y_rep} if later else set()
        rows = 8 * sampling.chains * sampling.draws * _values(family, table, of_rows)
        return held_bytes(family, table, variant, sampling) - rows
    return 8 * sampling.chains * sampling.draws * _values(family, table, _sampled(family, table, variant))


def _sampled(family: Family, table: Prepared, variant: str) -> set[str]:
    """What the program of a variant gives: of a large table one with that switch generates nothing."""
    program = family.program(variant)
    if _is_known(family, table, variant):
        return set()
    if is_by_nodes(family, table, variant):
        return {"beta", "tau", "rho", "lprior", family.groups.group_quantity}
    switched = is_large(family, table) and "generate" in {d.name for d in program.block("data")}
    generated = {d.name for d in program.generated} if switched else set()
    return {d.name for d in program.outputs} - generated


def _values(family: Family, table: Prepared, given: set[str]) -> int:
    """The numbers of a draw of these variables; those without dims are a number each, and do not count."""
    lengths = {dim: len(labels) for dim, labels in family.coordinates(table).items()}
    shapes = [dims for name, dims in family.programs.dims.items() if name in given]
    values = sum(math.prod(lengths.get(d, 1) for d in dims) for dims in shapes)
    if "sampled" in given:  # what a program has in the place of the coefficients of a formula, and is kept beside them
        of_groups = 0 if family.programs.draw_groups is not None else lengths["group"] * lengths["term"]
        values += of_groups + lengths["other_effect"]
    return values


def bytes_needed(family: Family, table: Prepared, variants: Sequence[str], sampling: Sampling) -> float:
    """The bytes that the draws of all these variants take in memory, with what making one of them takes beside."""
    sizes = [held_bytes(family, table, variant, sampling) for variant in variants]
    if _in_blocks(family, table):
        of_rows = EACH_GROUP / 2 if family.twin.some_rows is None else EACH_ROW + EACH_VALUE * n_predictors(table)
        each = EACH_GROUP / 2 * table.n_groups + of_rows * table.n_rows
        return sum(sizes) + max(sizes, default=0) + MORE_IN_BLOCKS + each
    return sum(sizes) + (MORE_OF_LARGE if is_large(family, table) else MORE_TO_MAKE) * max(sizes, default=0)


def n_predictors(table: Prepared) -> int:
    """The columns of predictors that rows have beside their outcome, of a family with roles."""
    return sum(len(role.names) for role in table.predictors.values())


def scratch_bytes(family: Family, table: Prepared, variants: Sequence[str], sampling: Sampling) -> int:
    """The bytes of temporary files: group effects of all these variants, and log densities of rows in two forms."""
    rows = row_bytes(family, table, variants, sampling) if is_large(family, table) else 0
    effects = sum(disk_bytes(family, table, variant, sampling) for variant in variants)
    return effects + (2 * rows if rows > 8 * IN_MEMORY else 0)


def row_bytes(family: Family, table: Prepared, variants: Sequence[str], sampling: Sampling) -> int:
    """The bytes of log densities of all rows in one form; none where a large table's are had a block of rows at a
    time."""
    if is_large(family, table) and family.twin.some_rows is not None:
        return 0
    held = max((held_draws(family, table, variant, sampling) for variant in variants), default=0)
    some = draws_of_rows(table.n_rows, sampling.chains, held) if is_large(family, table) else held
    return 8 * sampling.chains * some * table.n_rows


def refuse_too_large(family: Family, table: Prepared, variants: Sequence[str], sampling: Sampling) -> None:
    """Raise DataError where the fits of these variants would need more memory, or more of the disk, than they may."""
    n_draws = sampling.chains * sampling.draws
    needed = bytes_needed(family, table, variants, sampling)
    what = f"{table.n_groups:,} groups in {table.n_rows:,} rows with {n_draws:,} draws"
    where = f"{table.dataset.table.where}: {what} of {', '.join(variants)}"
    if needed > MAX_BYTES:
        raise DataError(
            f"{where} would need {_against(needed, MAX_BYTES, 'of memory')}. Ask for fewer draws or variants"
            f"{_alone(family, table, variants, sampling)}, or combine groups."
        )
    if (rows := row_bytes(family, table, variants, sampling)) > MAX_ROW_BYTES:
        raise DataError(
            f"{where} would need {_against(rows, MAX_ROW_BYTES, 'of the disk for log densities of rows')}. Ask for "
            "fewer draws."
        )
    size = scratch_bytes(family, table, variants, sampling)
    if size and size > (free := shutil.disk_usage(place()).free):
        raise DataError(
            f"{where} would need {_against(size, free, f'of the disk in {place()}')}. Free some space, name another "
            "folder in the environment variable TMPDIR, or ask for fewer variants."
        )


def _alone(family: Family, table: Prepared, variants: Sequence[str], sampling: Sampling) -> str:
    """Which of several variants fits by itself, the last first, for that is what is asked."""
    for variant in reversed(variants if len(variants) > 1 else ()):
        if (needed := bytes_needed(family, table, (variant,), sampling)) <= MAX_BYTES:
            return f" ({variant} alone needs {needed / 2**30:.2f} GiB)"
    return ""


def _against(needed: float, most: int, what: str) -> str:
    """Rounded up and down: what is refused is above the limit in print too."""
    gib, limit = math.ceil(100 * needed / 2**30) / 100, math.floor(100 * most / 2**30) / 100
    return f"about {gib:,.2f} GiB {what}; the limit is {limit:.2f} GiB"
