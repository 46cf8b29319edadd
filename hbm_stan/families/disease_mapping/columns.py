"""Columns become the data of the programs: cases, what was expected or tested, predictors, the map; default priors."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from hbm_stan.errors import DataError
from hbm_stan.families.disease_mapping.graph import Graph, graph_of
from hbm_stan.later import logit
from hbm_stan.model import StanData
from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior, encode_scale, to_decimals, two_digits
from hbm_stan.table import FloatArray
from hbm_stan.verdicts import Verdict

_NAMED = 5  # islands that a warning names
NEGATIVE_BINOMIAL = "negative_binomial"
LIKELIHOODS = ("poisson", NEGATIVE_BINOMIAL)  # that counts beside expected numbers may have
SPREAD = "overdispersion[counts]"


def map_of(table: Prepared) -> tuple[tuple[str, ...], Graph]:
    """The areas on the map and its graph: those of the whole table, for an area whose row is left out stays on it.

    Raises DataError for an area that is not on the map.
    """
    dataset = table.dataset
    labels = tuple(dict.fromkeys(dataset.table.labels(dataset.column("group"))))
    beside = dataset.reading.neighbours
    unknown = [label for label in table.pooled.labels if label not in set(labels)]
    if beside is None or unknown:
        what = f"{unknown[0]!r} is not on the map" if unknown else "there is no list of neighbours"
        raise DataError(f"{dataset.table.where}: {what}: a new area has no neighbours that are known.")
    return labels, graph_of(labels, beside.among(labels).pairs)


def counted(table: Prepared) -> bool:
    """Whether cases are counted beside expected numbers; else they are of those tested.

    Raises DataError unless the table has cases and one of the two.
    """
    where, roles = table.dataset.table.where, [r for r in ("expected", "tested") if r in table]
    if "count" not in table or len(roles) != 1:
        there = " and ".join(r for r in ("count", *roles) if r in table) or "none of them"
        raise DataError(
            f"{where}: name count (the cases of each area) and either expected (how many were expected) or tested (how "
            f"many were tested), under columns; found {there}."
        )
    if "tested" in table and (table["tested"] == 0).any():
        row = table.row_names[int(np.flatnonzero(table["tested"] == 0)[0])]
        raise DataError(
            f"{where}, column {table.dataset.column('tested')!r}: in {row} nobody was tested, which says nothing of a "
            "rate. Join the area with a neighbour, or take its row and its pairs out."
        )
    return "expected" in table


def overdispersed(table: Prepared) -> bool:
    """Whether counts are asked to spread more than Poisson counts."""
    return counted(table) and table.dataset.reading.likelihood == NEGATIVE_BINOMIAL


def prepare(table: Prepared, priors: Mapping[str, Prior]) -> StanData:
    """Stan data; ``place`` says where the areas with a row are on the map, counted from 1."""
    labels, graph = map_of(table)
    counts = counted(table)
    at = {label: a + 1 for a, label in enumerate(labels)}
    tested = np.zeros(table.n_rows) if counts else table["tested"]
    family, scale = encode_scale(priors["tau"])
    # Without overdispersion programs read what is there, and use none of it.
    spread_family, spread = encode_scale(priors.get(SPREAD, _SPREAD_PRIOR))
    gamma = np.array([p.arguments for name, p in priors.items() if name.partition("[")[0] == "gamma"]).reshape(-1, 2)
    return {
        "N": table.n_rows, "J": table.n_groups, "L": gamma.shape[0], "A": len(labels), "B": graph.basis.shape[1],
        "group_idx": table.group_idx, "place": np.array([at[label] for label in table.pooled.labels]),
        "U": predictors(table), "counted": int(counts), "overdispersed": int(overdispersed(table)),
        "tested": tested.astype(np.int64),
        "expected": table["expected"] if counts else tested.astype(float), "y": table["count"].astype(np.int64),
        "basis": graph.basis, "scaling": graph.scaling, "island": graph.island.astype(np.int64),
        "prior_mu": list(priors["mu"].arguments), "prior_gamma_location": gamma[:, 0],
        "prior_gamma_scale": gamma[:, 1], "prior_tau_family": family, "prior_tau": scale,
        "prior_rho": list(priors["rho"].arguments), "prior_overdispersion_family": spread_family,
        "prior_overdispersion": spread, "prior_theta": list(priors["theta"].arguments),
    }  # fmt: skip


def predictors(table: Prepared) -> FloatArray:
    """The predictors of each area, (J, L)."""
    return table.predictors["group_predictors"].by_group(table.pooled.level, table.n_groups)


def coords(table: Prepared) -> dict[str, tuple[str, ...]]:
    """The areas on the map, coordinates of the structured effects, the predictors, and what has an overdispersion."""
    labels, graph = map_of(table)
    modes = tuple(str(k + 1) for k in range(graph.basis.shape[1]))
    names = table.predictors["group_predictors"].names
    return {"area": labels, "mode": modes, "group_predictor": names, "spread": ("counts",) * overdispersed(table)}


_SPREAD_PRIOR = Prior(
    name=SPREAD, distribution="half_normal", arguments=(0.5,),
    reason="counts that vary by a half of their mean beyond Poisson are ordinary; rates of {groups} differ beside that",
    default=True,
)  # fmt: skip


def default_priors(table: Prepared) -> dict[str, Prior]:
    """Weakly informative on the log scale about the pooled rate; any share of spatial variance is as likely."""
    counts, cases = counted(table), table["count"].sum() + 0.5
    out_of = table["expected"].sum() if counts else table["tested"].sum() + 1
    centre = to_decimals(math.log(cases / out_of) if counts else float(logit(cases / out_of)), 2)
    what, names = "log rate ratio" if counts else "log odds", table.predictors["group_predictors"].names
    u = predictors(table)
    means, sds = u.mean(axis=0), u.std(axis=0)
    wide = two_digits(math.sqrt(1 + float(np.sum((means / sds) ** 2))))
    at_zero = "; widened, for it is where predictors are 0, not at their means" if wide > 1.1 else ""
    gamma = {
        f"gamma[{name}]": Prior(
            name=f"gamma[{name}]", distribution="normal", arguments=(0.0, two_digits(1 / sd)),
            reason=f"1 on the log scale for one sd of {name} ({sd:.3g}) either way: few such factors are larger than 7",
            default=True,
        )
        for name, sd in zip(names, sds, strict=True)
    }  # fmt: skip
    return {
        "mu": Prior(
            name="mu", distribution="normal", arguments=(centre, wide),
            reason=f"centred on the pooled {what}{at_zero}", default=True,
        ),
        **gamma,
        "tau": Prior(
            name="tau", distribution="half_normal", arguments=(1.0,),
            reason="rates of areas that differ by a factor of 2.7 either way are ordinary", default=True,
        ),
        "rho": Prior(
            name="rho", distribution="beta", arguments=(1.0, 1.0),
            reason="any share of spatial variance is as likely as another", default=True,
        ),
        **({SPREAD: _SPREAD_PRIOR} if overdispersed(table) else {}),
        "theta": Prior(
            name="theta", distribution="normal", arguments=(centre, 2.5),
            reason="no pooling: fixed and wide, about the pooled rate", default=True,
        ),
    }  # fmt: skip


def islands(table: Prepared) -> list[Verdict]:
    """A warning on areas without neighbours, and one on a map in several pieces."""
    labels, graph = map_of(table)
    alone = [label for label, island in zip(labels, graph.island, strict=True) if island]
    verdicts = []
    if alone:
        more = f" and {len(alone) - _NAMED} more" if len(alone) > _NAMED else ""
        one = len(alone) == 1
        hint = (
            f"{len(alone)} of {len(labels)} {table.noun.many} ha{'s' if one else 've'} no neighbours "
            f"({', '.join(alone[:_NAMED])}{more}): drawn towards the average of all, not towards neighbours. Where the "
            "list is not complete, add the missing pairs."
        )
        verdicts.append(
            Verdict(
                name="areas without neighbours",
                status="warn",
                value=float(len(alone)),
                threshold=None,
                hint=hint,
                subject=alone[0],
            )
        )
    pieces = len(set(graph.piece[~graph.island].tolist()))
    if pieces > 1:
        hint = (
            f"The map falls into {pieces} pieces beside islands: structured effects sum to zero and are scaled in each "
            "(Freni-Sterrantino et al. 2018). Is a bridge or a ferry missing in the list of neighbours?"
        )
        verdicts.append(
            Verdict(name="pieces of the map", status="warn", value=float(pieces), threshold=None, hint=hint)
        )
    return verdicts
