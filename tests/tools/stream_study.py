"""What each stream adds, and what a biased one does: ``nice python tests/tools/stream_study.py adds|known|conflict``.

Tables of 60 villages are simulated from known values and fitted with partial pooling and default priors on stanli (two
chains of 500 draws, of 150 under ``conflict``). ``adds``: with one, two and three of the streams, how wide the 90 %
intervals of the villages' log intensities are, how far their means are from the truth, and how many intervals hold it,
in units of the log intensity whatever stream comes first. ``conflict``: the same with all three streams of which one is
off, and how often the check of their agreement warns (p below 0.01) or fails (below 0.001), and of which stream; of the
right model that is a false alarm. ``known``: the check alone, with the population known and nothing fitted.
``--sets 40`` tables a line, five times as many of right models under ``conflict`` and ``known``; ``--only PATTERN``.
Printed as the tables of reports/streams.md. The seed was fixed before the first run.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from row_misfit import _Nowhere
from scipy.stats import rankdata

from hbm_stan.attempts import fit
from hbm_stan.data import Dataset
from hbm_stan.engines import Sampling
from hbm_stan.families import family
from hbm_stan.families.joint_infection.conflict import CONFLICT_P, STRONG_P, Conflict, compared
from hbm_stan.fit import Fit, prepare_table

SEED = 20261130
SAMPLING = Sampling(chains=2, warmup=400, draws=500, seed=SEED)
SHORT = Sampling(chains=2, warmup=250, draws=150, seed=SEED)  # of what is left out and compared
VILLAGES, FORM = 60, "partial_pooling_centered"
MU, GAMMA, TAU, CENTRE = 2.0, 0.5, 1.0, 2.0
LEVEL, SLOPE = {"eggs": CENTRE, "blood": -0.3, "snails": -2.2}, {"eggs": 1.0, "blood": 0.9, "snails": 0.7}
OVERDISPERSION, SURE, SOUND = 1.8, 0.85, 0.95
COLUMNS = {
    "eggs": {"eggs": "eggs", "examined": "examined"},
    "blood": {"positive": "positive", "blood_tests": "tests", "sensitivity": "sure", "specificity": "sound"},
    "snails": {"infected": "infected", "snails": "snails"},
}  # fmt: skip
SUBSETS = (("eggs",), ("blood",), ("snails",), ("eggs", "blood"), ("eggs", "snails"), ("blood", "snails"),
           ("eggs", "blood", "snails"))  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Bias:
    """A stream that is off in a share of the villages: by a factor of the eggs or of the odds of infected snails, or by
    false positives that nobody knows of. ``missing`` is the share of villages that lack each stream. Where
    it is ``along``, the stream is off in the villages of largest x."""

    name: str
    stream: str = ""
    share: float = 0.0
    factor: float = 1.0
    specificity: float = SOUND
    missing: float = 0.0
    along: bool = False
    priors: Mapping[str, str] = field(default_factory=dict)


KNOWN = {"overdispersion": "lognormal(0.5878, 0.1)"}  # 1.8, as counts of single people would tell
BIASES = (
    Bias(name="none"),
    Bias(name="none; a third of each stream missing", missing=1 / 3),
    Bias(name="eggs a third of what they are, everywhere", stream="eggs", share=1.0, factor=1 / 3),
    Bias(name="eggs a third of what they are, in half", stream="eggs", share=0.5, factor=1 / 3),
    Bias(name="the same, overdispersion known", stream="eggs", share=0.5, factor=1 / 3, priors=KNOWN),
    Bias(name="eggs a third of what they are, in the half of large x", stream="eggs", share=0.5, factor=1 / 3,
         along=True),
    Bias(name="eggs a tenth of what they are, in 6", stream="eggs", share=0.1, factor=0.1),
    Bias(name="blood: specificity 0.75 and not 0.95, everywhere", stream="blood", share=1.0, specificity=0.75),
    Bias(name="blood: specificity 0.75 and not 0.95, in half", stream="blood", share=0.5, specificity=0.75),
    Bias(name="blood: specificity 0.75 and not 0.95, in the half of large x", stream="blood", share=0.5,
         specificity=0.75, along=True),
    Bias(name="blood: specificity 0.5 and not 0.95, in 6", stream="blood", share=0.1, specificity=0.5),
    Bias(name="snails: odds a third, in half", stream="snails", share=0.5, factor=1 / 3),
    Bias(name="snails: odds a third, in the half of large x", stream="snails", share=0.5, factor=1 / 3, along=True),
    Bias(name="snails: odds a tenth, in 6", stream="snails", share=0.1, factor=0.1),
)  # fmt: skip


def simulate(rng: np.random.Generator, bias: Bias = BIASES[0]) -> tuple[pd.DataFrame, dict[str, float]]:
    """A table of villages in no order, and their true log intensities."""
    x = rng.normal(size=VILLAGES)
    theta = MU + GAMMA * x + TAU * rng.normal(size=VILLAGES)
    off = np.zeros(VILLAGES, dtype=bool)
    order = np.argsort(-x) if bias.along else rng.permutation(VILLAGES)
    off[order[: round(bias.share * VILLAGES)]] = True
    shift = {name: np.where(off & (bias.stream == name), np.log(bias.factor), 0.0) for name in LEVEL}
    eta = {name: LEVEL[name] + SLOPE[name] * (theta - CENTRE) + shift[name] for name in LEVEL}
    examined, tests, snails = (rng.integers(low, 2 * low, VILLAGES) for low in (30, 40, 50))
    size = examined / OVERDISPERSION**2
    p = 1 / (1 + np.exp(-eta["blood"]))
    sound = np.where(off, bias.specificity, SOUND)
    table = pd.DataFrame({
        "village": [f"v{j:02d}" for j in range(VILLAGES)], "x": x,
        "eggs": rng.poisson(rng.gamma(size, examined * np.exp(eta["eggs"]) / size)), "examined": examined,
        "positive": rng.binomial(tests, SURE * p + (1 - sound) * (1 - p)), "tests": tests, "sure": SURE, "sound": SOUND,
        "infected": rng.binomial(snails, 1 / (1 + np.exp(-eta["snails"]))), "snails": snails,
    })  # fmt: skip
    there = rng.uniform(size=(VILLAGES, 3)) >= bias.missing
    there[~there.any(axis=1), 0] = True
    for k, roles in enumerate(COLUMNS.values()):
        table.loc[~there[:, k], list(roles.values())] = np.nan
    truth = dict(zip(table["village"], theta.tolist(), strict=True))
    return table.iloc[rng.permutation(VILLAGES)].reset_index(drop=True), truth


def fitted(
    table: pd.DataFrame, streams: Sequence[str], sampling: Sampling, priors: Mapping[str, str] | None = None
) -> Fit:
    """The fit of some of the streams."""
    dataset = Dataset.from_frame(table, group="village", group_predictors=["x"], **roles_of(streams))
    with tempfile.TemporaryDirectory() as folder:
        store = _Nowhere(Path(folder))
        return fit("joint_infection", dataset, FORM, priors=priors, sampling=sampling, engine="stanli", store=store)


def measures(model: Fit, truth: Mapping[str, float], first: str) -> dict[str, float]:
    """Width and error of the villages' log intensities, coverage, and the rank correlation with the truth.

    Where the first stream is not eggs, theta is the level of that stream: a line of the log intensity.
    """
    theta = (model.draws("theta")["theta"] - LEVEL[first]) / SLOPE[first] + CENTRE
    given = np.array([truth[label] for label in model.table.pooled.labels])
    low, high = np.quantile(theta, (0.05, 0.95), axis=0)
    return {
        "width": float(np.mean(high - low)), "error": float(np.sqrt(np.mean((theta.mean(axis=0) - given) ** 2))),
        "held": float(np.mean((given >= low) & (given <= high))),
        "rank": float(np.corrcoef(rankdata(theta.mean(axis=0)), rankdata(given))[0, 1]),
    }  # fmt: skip


def adds(sets: int, only: str) -> Iterator[str]:
    """The lines of the first table."""
    yield "| streams | width of 90 % intervals | error | intervals that hold the truth | rank correlation |"
    yield "|---|---|---|---|---|"
    for streams in (s for s in SUBSETS if re.search(only, " ".join(s))):
        results = []
        for k in range(sets):
            table, theta = simulate(np.random.default_rng([SEED, k]))
            results.append(measures(fitted(table, streams, SAMPLING), theta, streams[0]))
        mean = {name: np.mean([r[name] for r in results]) for name in results[0]}
        yield (
            f"| {', '.join(streams)} | {mean['width']:.2f} | {mean['error']:.2f} | {100 * mean['held']:.1f} % | "
            f"{mean['rank']:.2f} |"
        )


def conflict(sets: int, only: str) -> Iterator[str]:
    """The lines of the second table."""
    yield "| what is off | tables | warned or failed | failed | stream that is named | width | error | held |"
    yield "|---|---|---|---|---|---|---|---|"
    for line, bias in enumerate(BIASES):
        if not re.search(only, bias.name):
            continue
        n = sets if bias.stream else 5 * sets
        results: list[dict[str, float]] = []
        both: list[Conflict] = []
        for k in range(n):
            table, theta = simulate(np.random.default_rng([SEED, line, k]), bias)
            model = fitted(table, SUBSETS[-1], SHORT, bias.priors)
            results.append(measures(model, theta, "eggs"))
            agreement = compared(model.draws(), model.data)
            assert agreement is not None
            both.append(agreement)
        mean = {name: np.mean([r[name] for r in results]) for name in results[0]}
        yield (
            f"| {bias.name} | {n} | {_rates(both)} | {mean['width']:.2f} | {mean['error']:.2f} | "
            f"{100 * mean['held']:.1f} % |"
        )


def roles_of(streams: Sequence[str]) -> dict[str, str]:
    """The columns of some of the streams by role."""
    return {role: column for name in streams for role, column in COLUMNS[name].items()}


def truth_draws(size: int, centre: float) -> dict[str, np.ndarray]:
    """Draws of the population that all are the truth; alpha is the level at the centre."""
    level = [LEVEL[name] + SLOPE[name] * (centre - CENTRE) for name in ("blood", "snails")]
    one = {
        "mu": MU, "gamma": [GAMMA], "tau": TAU, "alpha": level, "beta": [SLOPE["blood"], SLOPE["snails"]],
        "overdispersion": [OVERDISPERSION],
    }  # fmt: skip
    return {name: np.repeat(np.asarray(value, dtype=float)[None], size, axis=0) for name, value in one.items()}


def agreement(rng: np.random.Generator, bias: Bias) -> Conflict:
    """How the streams of a simulated table agree, with the population known."""
    table, _ = simulate(rng, bias)
    model = family("joint_infection")
    dataset = Dataset.from_frame(table, group="village", group_predictors=["x"], **roles_of(SUBSETS[-1]))
    read = prepare_table(model, dataset)
    data = model.stan_data(read, model.priors(read), FORM)
    both = compared(truth_draws(1, float(data["prior_mu"][0])), data)
    assert both is not None
    return both


def known(sets: int, only: str) -> Iterator[str]:
    """The lines of the table of the check alone."""
    yield "| what is off | tables | warned or failed | failed | stream that is named |"
    yield "|---|---|---|---|---|"
    for line, bias in enumerate(BIASES):
        if bias.priors or not re.search(only, bias.name):
            continue
        n = sets if bias.stream else 5 * sets
        both = [agreement(np.random.default_rng([SEED, 99, line, k]), bias) for k in range(n)]
        yield f"| {bias.name} | {n} | {_rates(both)} |"


def _rates(both: Sequence[Conflict]) -> str:
    """How often there was a warning or a failure, a failure, and of which stream."""
    p = np.array([one.p_value for one in both])
    named = Counter(one.streams[one.worst] for one in both if one.p_value < CONFLICT_P)
    words = ", ".join(f"{stream} {count}" for stream, count in named.most_common()) or "–"
    return f"{100 * np.mean(p < CONFLICT_P):.1f} % | {100 * np.mean(p < STRONG_P):.1f} % | {words}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the lines of a table as they come."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("adds", "known", "conflict"))
    parser.add_argument("--sets", type=int, default=40)
    parser.add_argument("--only", default="")
    asked = parser.parse_args(arguments)
    for line in {"adds": adds, "known": known, "conflict": conflict}[asked.what](asked.sets, asked.only):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
