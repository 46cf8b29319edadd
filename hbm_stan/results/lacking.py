"""What a user's own family leaves undone, and which function or variable would do it: one sentence."""

from __future__ import annotations

from collections.abc import Mapping

from hbm_stan.densities import has_log_lik
from hbm_stan.fit import Fit
from hbm_stan.model import Family
from hbm_stan.replicate import can_replicate


def lacking(fits: Mapping[str, Fit]) -> list[str]:
    """One sentence on what could not be done and what each needs; none for the families that come along."""
    first = next(iter(fits.values()))
    family, one, many = first.family, first.table.noun.one, first.table.noun.many
    programs, quantity = family.programs, family.groups.group_quantity
    if not family.source:
        return []
    by_refits = not family.missing(("new_group", "pointwise"))  # dear, and offered by `hbm compare`
    gaps = [
        *_by_functions(family, f"a prediction for a new {one}", ("new_row", "new_group", "simulate")),
        *_by_functions(family, "a prior predictive check", ("prior_draws", "new_group", "simulate")),
        *_by_functions(family, f"raw estimates of the {many}", ("raw",)),
        *_by_functions(family, f"a comparison on new {many}", () if by_refits else ("group_log_lik",)),
        *_by_functions(family, "a proof that the programs have the density that is meant", ("log_joint",)),
        *_by_variable(fits, "a comparison", programs.log_lik, [n for n, f in fits.items() if not has_log_lik(f)]),
        *_by_variable(
            fits, "a posterior predictive check", programs.y_rep, [n for n, f in fits.items() if not can_replicate(f)]
        ),
        *_by_variable(
            fits, f"estimates of the {many}", quantity,
            [n for n, f in fits.items() if f.pooling != "complete" and quantity not in f.named["posterior"]],
        ),
    ]  # fmt: skip
    return [f"{family.name} is the analyst's own family. What it could not give: {'; '.join(gaps)}."] if gaps else []


def _by_functions(family: Family, what: str, functions: tuple[str, ...]) -> list[str]:
    missing = [f"{name}()" for name in family.missing(functions)]
    return [f"{what} (needs {_listed(missing)})"] if missing else []


def _by_variable(fits: Mapping[str, Fit], what: str, variable: str, without: list[str]) -> list[str]:
    if not without:
        return []
    where = "the Stan programs" if len(without) == len(fits) else _listed([f"{name}.stan" for name in without])
    return [f"{what} (needs {variable} in {where})"]


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
