"""The contract of a family: names, and functions that no density and no posterior shows; a part of its structure."""

from __future__ import annotations

import numpy as np

from hbm_stan.certificate import Truth
from hbm_stan.density import SHORT_TRAJECTORIES, short_run
from hbm_stan.engines import Sampling
from hbm_stan.errors import HbmError
from hbm_stan.model import Family
from hbm_stan.prepare import Prepared
from hbm_stan.verify import functions, names
from hbm_stan.verify.names import Claim
from hbm_stan.verify.programs import structure
from hbm_stan.verify.raw import raw_estimates

CHECKS = (
    names.parameters_exist, names.dims_match_shapes, names.rule_decides, names.priors_are_named,
    functions.derived_quantities, functions.new_groups, functions.group_integrals, functions.finer_integrals,
    functions.shrinkage, functions.groups_given_rows, raw_estimates, functions.new_rows,
)  # fmt: skip
_DRAWS, _WARMUP = 100, 200  # of each of four chains
_SHOWN = 3


def contract_faults(claim: Claim) -> list[str]:
    """What is wrong with the names and functions of a variant, one sentence each; none where nothing is."""
    with np.errstate(all="ignore"):
        return [fault for check in CHECKS for fault in check(claim)]


def trajectories(family: Family, variant: str) -> int:
    """The max_treedepth of a run for these checks.

    Groups that are sampled, not drawn afterwards, are those of ``draw_groups`` in the posterior only: such chains must
    have got there. For all else any points will do.
    """
    program = family.program(variant)
    sampled = {d.name for d in program.outputs} - {d.name for d in program.generated}
    again = family.programs.draw_groups is not None and family.groups.group_quantity in sampled
    return Sampling().max_treedepth if again else SHORT_TRAJECTORIES


def contract(family: Family, table: Prepared, variant: str) -> Truth:
    """Whether a program is what its variant is called, names exist, and functions agree with it and with each other.

    Functions are compared at the same draws of a short run.
    """
    held = structure(family, variant)
    priors = family.priors(table)
    data = family.stan_data(table, priors, variant)
    try:
        depth = trajectories(family, variant)
        draws = short_run(family, variant, data, draws=_DRAWS, warmup=_WARMUP, max_treedepth=depth)
        faults = contract_faults(
            Claim(family=family, table=table, variant=variant, priors=priors, data=data, draws=draws)
        )
    except HbmError as error:
        faults = [str(error)]
    details = [*filter(None, [held.detail]), *faults]
    more = f"; and {len(details) - _SHOWN} more" if len(details) > _SHOWN else ""
    return Truth(kind=held.kind, status="fail" if details else "pass", detail="; ".join(details[:_SHOWN]) + more)
