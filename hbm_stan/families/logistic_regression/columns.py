"""Columns become the data of the programs, rows with equal predictors added up; default priors in log odds."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from hbm_stan.errors import DataError
from hbm_stan.families.logistic_regression.estimates import choose_centered
from hbm_stan.families.varying_terms import carried, design, not_carried
from hbm_stan.later import logit
from hbm_stan.model import StanData
from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior, encode_scale, to_decimals, two_digits
from hbm_stan.table import FloatArray


def counts(table: Prepared) -> tuple[FloatArray, FloatArray]:
    """Successes and trials of each row; raises DataError unless exactly one of the two forms is there."""
    where, roles = table.dataset.table.where, [r for r in ("outcome", "successes", "trials") if r in table]
    if roles == ["outcome"]:
        return table["outcome"], np.ones(table.n_rows)
    if roles != ["successes", "trials"]:
        roles_text = f"found {' and '.join(roles)}" if roles else "found neither"
        raise DataError(
            f"{where}: name either outcome (a column of 0 and 1), or both successes and trials (two columns of "
            f"counts), under columns; {roles_text}."
        )
    if (table["trials"] == 0).any():
        row = table.row_names[int(np.flatnonzero(table["trials"] == 0)[0])]
        raise DataError(
            f"{where}, column {table.dataset.column('trials')!r}: {row} has 0 trials, which say nothing about a "
            "probability. Take the row out."
        )
    return table["successes"], table["trials"]


def of_row(priors: Mapping[str, Prior], row: str) -> list[Prior]:
    """The priors of a row of the prior table, term by term."""
    return [prior for name, prior in priors.items() if name.partition("[")[0] == row]


def prepare(table: Prepared, priors: Mapping[str, Prior]) -> StanData:
    """Stan data; rows of a group with equal predictors are one cell of the likelihood."""
    (y, trials), (_, above, matrix, u) = counts(table), design(table)
    cells = np.column_stack([table.pooled.level, matrix])
    _, row, cell = np.unique(cells, axis=0, return_index=True, return_inverse=True)
    scales = [encode_scale(prior) for prior in of_row(priors, "tau")]
    data: StanData = {
        "N": len(y), "J": table.n_groups, "K": matrix.shape[1], "L": len(above), "M": len(row),
        "group_idx": table.group_idx, "X": matrix, "U": u,
        "trials": trials.astype(np.int64), "y": y.astype(np.int64), "cell_row": row + 1,
        "cell_trials": np.bincount(cell.ravel(), weights=trials).astype(np.int64),
        "cell_y": np.bincount(cell.ravel(), weights=y).astype(np.int64),
        "prior_tau_family": [code for code, _ in scales], "prior_tau": [list(arguments) for _, arguments in scales],
        "prior_rho": priors["rho"].arguments[0] if "rho" in priors else 1.0,
    }  # fmt: skip
    for name in ("mu", "gamma", "theta"):
        arguments = np.array([prior.arguments for prior in of_row(priors, name)]).reshape(-1, 2)
        data[f"prior_{name}_location"], data[f"prior_{name}_scale"] = arguments.T
    data["centered"] = choose_centered(data)
    return data


def default_priors(table: Prepared) -> dict[str, Prior]:
    """Weakly informative in log odds: 1.5 for the intercept at the means of the predictors, 2.5 for an sd of one."""
    (y, trials), (terms, above, x, u) = counts(table), design(table)
    centre = to_decimals(float(logit((y.sum() + 0.5) / (trials.sum() + 1))), 2)
    means, sds = (np.concatenate([f(x[:, 1:], axis=0), f(u, axis=0)]) for f in (np.mean, np.std))
    offsets = (means / sds)[: len(terms) - 1]
    off = (means / sds) ** 2  # what a slope's prior adds to the intercept's where its predictor is zero
    wide, spread = math.sqrt(1.5**2 + 2.5**2 * off.sum()), math.sqrt(1 + carried(offsets).sum())
    at_zero = "; widened, for it is the intercept at predictors of zero, not at their means" if wide > 1.6 else ""
    rows = [
        ("intercept", centre, two_digits(wide), spread),
        *((n, 0.0, 2.5 / s, 1 / s) for n, s in zip(terms[1:], sds, strict=False)),
    ]
    mu, tau, theta = {}, {}, {}
    for k, (name, location, scale, between) in enumerate(rows):
        sd = "" if k == 0 else f" for one sd of {name} ({sds[k - 1]:.3g})"
        reason = (
            f"centred on the pooled log odds{at_zero}" if k == 0 else f"2.5 in log odds{sd} either way: few are larger"
        )
        mu[f"mu[{name}]"] = _normal(f"mu[{name}]", location, scale, reason)
        where = sd or (at_zero if spread > 1.1 else "") + not_carried(terms[1:], offsets)
        reason = f"1 in log odds{where}: shares of 27 % to 73 % about a half are ordinary, much more a surprise"
        tau[f"tau[{name}]"] = Prior(
            name=f"tau[{name}]",
            distribution="half_normal",
            arguments=(two_digits(between),),
            reason=reason,
            default=True,
        )
        theta[f"theta[{name}]"] = _normal(f"theta[{name}]", location, 2 * scale, "no pooling: fixed, twice that of mu")
    gamma = {
        f"gamma[{n}]": _normal(f"gamma[{n}]", 0.0, 2.5 / s, f"2.5 in log odds for one sd of {n} ({s:.3g}) either way")
        for n, s in zip(above, sds[len(terms) - 1 :], strict=True)
    }
    reason = "weakly against correlations near -1 and 1, which few {groups} cannot rule out"
    rho = (
        {"rho": Prior(name="rho", distribution="lkj", arguments=(2.0,), reason=reason, default=True)}
        if len(terms) > 1
        else {}
    )
    return {**mu, **gamma, **tau, **rho, **theta}


def _normal(name: str, location: float, scale: float, reason: str) -> Prior:
    return Prior(name=name, distribution="normal", arguments=(location, two_digits(scale)), reason=reason, default=True)
