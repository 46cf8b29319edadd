"""Rows of streams become the data of the programs; default priors on the scale of the first stream."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from hbm_stan.families.joint_infection.streams import BLOOD, EGGS, STREAMS
from hbm_stan.later import logit
from hbm_stan.model import StanData
from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior, encode_scale, to_decimals, two_digits
from hbm_stan.table import FloatArray

_KIND = {stream.name: stream.kind for stream in STREAMS}
_WIDE_MU, _WIDE_ALPHA, _WIDE_THETA = 1.5, 1.5, 3.0
_LEAST = 0.5  # infected, or not, that a share is at least made of


def prepare(table: Prepared, priors: Mapping[str, Prior]) -> StanData:
    """Stan data; streams are counted from 1 in the order of ``table.parts``."""
    stream = np.asarray(table["part"], dtype=np.int64)
    kinds = np.array([_KIND[name] for name in table.parts])
    family, scale = encode_scale(priors["tau"])
    data: StanData = {
        "N": table.n_rows, "J": table.n_groups, "S": len(kinds), "E": int((kinds == EGGS).any()),
        "group_idx": table.group_idx, "stream": stream, "kind": kinds[stream - 1], "U": predictors(table),
        "y": np.asarray(table["outcome"], dtype=np.int64), "trials": np.asarray(table["trials"], dtype=np.int64),
        **{name: table[name] for name in ("examined", "sensitivity", "specificity")},
        "centered": 0, "prior_mu": list(priors["mu"].arguments), "prior_tau_family": family, "prior_tau": scale,
        "prior_theta": list(priors["theta"].arguments),
    }  # fmt: skip
    for name in ("gamma", "alpha"):
        data[f"prior_{name}"] = np.array([p.arguments for p in _of(priors, name)]).reshape(-1, 2).T
    for name in ("beta", "overdispersion"):
        encoded = [encode_scale(prior) for prior in _of(priors, name)]
        data[f"prior_{name}_family"] = np.array([code for code, _ in encoded], dtype=np.int64)
        data[f"prior_{name}"] = np.array([given for _, given in encoded]).reshape(-1, 2).T
    return data | {"L": data["prior_gamma"].shape[1]}


def _of(priors: Mapping[str, Prior], name: str) -> list[Prior]:
    return [prior for label, prior in priors.items() if label.partition("[")[0] == name]


def predictors(table: Prepared) -> FloatArray:
    """The predictors of each village, (J, L)."""
    return table.predictors["group_predictors"].by_group(table.pooled.level, table.n_groups)


def coords(table: Prepared) -> dict[str, tuple[str, ...]]:
    """The predictors, the streams but the first, and the stream of eggs where there is one."""
    eggs = tuple(name for name in table.parts if _KIND[name] == EGGS)
    names = table.predictors["group_predictors"].names
    return {"group_predictor": names, "other_stream": table.parts[1:], "egg_stream": eggs}


def default_priors(table: Prepared) -> dict[str, Prior]:
    """Weakly informative, about what the table's own streams are on average; slopes and scales may be near 0."""
    names, u = table.predictors["group_predictors"].names, predictors(table)
    means, sds = u.mean(axis=0), u.std(axis=0)
    centre, what = to_decimals(_level(table, 1), 1), _words(table.parts[0])
    wide = two_digits(_WIDE_MU * math.sqrt(1 + float(np.sum((means / sds) ** 2))))
    at_zero = "; widened, for it is where predictors are 0, not at their means" if wide > 1.1 * _WIDE_MU else ""
    given: list[tuple[str, str, tuple[float, ...], str]] = [
        ("mu", "normal", (centre, wide), f"centred on the average {what} of {{groups}}{at_zero}"),
        *((f"gamma[{name}]", "normal", (0.0, two_digits(1 / sd)),
           f"1 on the log scale for one sd of {name} ({sd:.3g}) either way: few such factors are larger than 7")
          for name, sd in zip(names, sds, strict=True)),
        ("tau", "half_normal", (1.5,), "intensities of {groups} that differ by a factor of 4.5 are ordinary"),
    ]  # fmt: skip
    for k, name in enumerate(table.parts[1:], 2):
        level = to_decimals(_level(table, k), 1)
        given.append((f"alpha[{name}]", "normal", (level, _WIDE_ALPHA), f"centred on the average {_words(name)}"))
    given += [
        (f"beta[{name}]", "half_normal", (1.0,),
         f"{name} may say nothing of the intensity (0); odds that rise by 7 where it rises by 2.7 are rare")
        for name in table.parts[1:]
    ]  # fmt: skip
    if _KIND[table.parts[0]] == EGGS:
        each = "examined" in table.dataset.columns
        why = (
            "of single people's eggs a size k of 0.04 to 2 is ordinary: counts are aggregated in few of them"
            if each
            else "counts that vary by half, beyond Poisson, are ordinary"
        )
        given.append((f"overdispersion[{table.parts[0]}]", "lognormal", (0.5, 0.6) if each else (-0.7, 0.6), why))
    given.append(("theta", "normal", (centre, _WIDE_THETA), f"no pooling: fixed and wide, about the average {what}"))
    return {
        name: Prior(name=name, distribution=kind, arguments=arguments, reason=reason, default=True)
        for name, kind, arguments, reason in given
    }


def _words(name: str) -> str:
    return {"eggs": "log egg count", "blood": "log odds of infection", "snails": "log odds of infected snails"}[name]


def _level(table: Prepared, part: int) -> float:
    """The mean over villages of the level of a stream on its own scale, half a count added."""
    own = np.asarray(table["part"]) == part
    y, trials = table["outcome"][own], table["trials"][own]
    if _KIND[table.parts[part - 1]] == EGGS:
        return float(np.mean(np.log((y + 0.5) / table["examined"][own])))
    share: Any = (y + _LEAST) / (trials + 2 * _LEAST)
    if _KIND[table.parts[part - 1]] == BLOOD:  # Rogan & Gladen (1978), inside (0, 1)
        false, true = 1 - table["specificity"][own], table["sensitivity"][own]
        end = _LEAST / (trials + 2 * _LEAST)
        share = np.clip((share - false) / (true - false), end, 1 - end)
    return float(np.mean(logit(share)))
