"""What programs would generate, drawn in NumPy: effects of groups given the population, and rows given these.

A program that generates nothing is sooner sampled, and what nobody asks for is never made.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import numpy as np

from hbm_stan.model import Family, StanData
from hbm_stan.portions import AT_ONCE, portions
from hbm_stan.program import Program
from hbm_stan.scratch import give_back, room
from hbm_stan.table import FloatArray

# Effects of groups in one chain that are drawn at once where there are no more of them (ours).
WHOLE_CHAIN = 2**24


def draws_the_rest(family: Family) -> bool:
    """Whether a family can draw in NumPy, exactly, all that its programs generate: group effects, log_lik, y_rep."""
    given = family.programs.draw_groups is not None or family.terms
    return given and family.twin.pointwise is not None and family.twin.simulate is not None


def generates_in_numpy(family: Family, program: Program, *, as_text: bool = False) -> bool:
    """Whether a program of a small table is told to generate nothing: that takes longer than sampling.

    Not where it generates what NumPy leaves out (the values of units), unless an engine hands it over ``as_text``,
    number by number. A family of the user's gives what its programs generate: its own Python is used where it must be.
    """
    own = {family.groups.group_quantity, family.programs.log_lik, family.programs.y_rep}
    left_out = {d.name for d in program.generated if any("generate" in dim for dim in d.dims)}
    return draws_the_rest(family) and not family.source and (left_out <= own or as_text)


def rows_are_drawn(family: Family, data: StanData) -> bool:
    """Whether log_lik and y_rep are made in NumPy, from the draws and their seed, and so are never kept."""
    return draws_the_rest(family) and (family.terms or data.get("generate", 1) == 0)


def drawn_rows(family: Family, data: StanData, variables: Mapping[str, FloatArray], seed: int, name: str) -> FloatArray:
    """log_lik or y_rep, as ``name`` says, at draws of all parameters (chain, draw, ...), a chain at a time."""
    rng = np.random.default_rng([seed, 7])
    rows: FloatArray | None = None
    for chain in range(next(iter(variables.values())).shape[0]):
        draws = {own: values[chain] for own, values in variables.items()}
        if name == family.programs.log_lik:
            some = family.need("pointwise", "log_lik after sampling")(draws, data)
        else:
            some = family.need("simulate", "replicated data")(rng, draws, data)
        if rows is None:  # in place: a list of chains to be stacked would hold everything twice
            rows = np.empty((*next(iter(variables.values())).shape[:1], *some.shape), some.dtype)
        rows[chain] = some
    assert rows is not None
    return rows


def complete(
    family: Family,
    data: StanData,
    variables: Mapping[str, FloatArray],
    seed: int,
    *,
    rows: bool = True,
    n_groups: int = 0,
) -> dict[str, FloatArray]:
    """What the program left out: group effects given the population, a chain at a time; with ``rows`` these too.

    Of very many groups, where ``n_groups`` says how many, some draws of a chain at a time.
    """
    additions: dict[str, FloatArray] = {}
    rng = np.random.default_rng([seed, 1])
    theta, shape = family.groups.group_quantity, next(iter(variables.values())).shape[:2]

    def keep(name: str, chain: int, part: slice, values: FloatArray) -> None:
        # In place: a list of chains to be stacked would hold everything twice.
        if name not in additions:
            whole = (*shape, *values.shape[1:])
            additions[name] = (
                room(whole, f"the draws of {n_groups:,} groups") if n_groups else np.empty(whole, values.dtype)
            )
        additions[name][chain, part] = values
        give_back(additions[name])

    for chain, part in itertools.product(range(shape[0]), _parts_of_chain(shape[1], n_groups)):
        draws = {name: values[chain, part] for name, values in variables.items()}
        if theta not in draws:
            drawn = family.need("draw_groups", "group effects after sampling")(rng, draws, data)
            given = drawn if isinstance(drawn, Mapping) else {theta: drawn}
            draws |= given
            for name, values in given.items():
                keep(name, chain, part, values)
    if rows:
        everything = {**variables, **additions}
        names = (family.programs.log_lik, family.programs.y_rep)
        additions |= {name: drawn_rows(family, data, everything, seed, name) for name in names}
    return additions


def _parts_of_chain(draws: int, n_groups: int) -> Iterator[slice]:
    """All draws of a chain at once, as long as memory has room for several copies; else some at a time."""
    return portions(draws, n_groups, WHOLE_CHAIN if draws * n_groups <= WHOLE_CHAIN else AT_ONCE)
