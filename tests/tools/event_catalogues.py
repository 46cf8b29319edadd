"""How the interval of a population of events shrinks with their number, and what ignored selection does to it.

``python tests/tools/event_catalogues.py --out catalogues.jsonl`` simulates catalogues of 10, 50 and 200 events of one
population, beta(2, 5), and learns it from each: events that are all seen; events whose chance to be seen is 0.1 + 0.9
x^1.5 of their value x, with that known and with it ignored; and 200 samples of each event's posterior, drawn under the
prior density 2 (1 - x), with that known and with it forgotten. A line is written for each catalogue; lines that are
there are not made again. ``--table`` prints what stands there as the table of ``reports/event_population.md``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import beta, norm

from hbm_stan.data import Dataset
from hbm_stan.engines import NOT_DIRECT, Sampling, choose
from hbm_stan.families import family
from hbm_stan.fit import prepare_table

SEED, ALPHA, BETA = 20261121, 2.0, 5.0
DRAWS = 250  # of each of four streams: an interval is then known to about a twentieth of its width
MODEL, VARIANT = family("event_population"), "partial_pooling"
ERRORS, SAMPLES = (0.03, 0.15), 200
GRID = np.linspace(0, 1, 41)
FINE = np.linspace(0, 1, 20_001)[1:-1]
TRUTH = {
    "mean": ALPHA / (ALPHA + BETA),
    "sd": float(beta.std(ALPHA, BETA)),
    "above 0.5": float(beta.sf(0.5, ALPHA, BETA)),
}


def chance(x: Any) -> Any:
    """The probability that an event with the value x is seen: from 0.1 to 1."""
    return 0.1 + 0.9 * np.asarray(x) ** 1.5


@dataclass(frozen=True)
class Case:
    """What is simulated, and what of it the analysis is told; ``sizes`` are numbers of events."""

    words: str
    selected: bool
    sampled: bool
    told: bool
    sizes: tuple[int, ...] = (10, 50, 200)


CASES = {
    "all": Case("all events are seen", selected=False, sampled=False, told=True),
    "known": Case("large values are seen more, and that is known", selected=True, sampled=False, told=True),
    "ignored": Case("large values are seen more, and that is ignored", selected=True, sampled=False, told=False),
    "samples": Case("samples under a prior that is known", selected=False, sampled=True, told=True, sizes=(10, 50)),
    "forgotten": Case(
        "samples under a prior that is forgotten", selected=False, sampled=True, told=False, sizes=(10, 50)
    ),
}


def values(rng: np.random.Generator, n: int, selected: bool) -> np.ndarray:
    """Values of n events of the population, of those that are seen where some are not."""
    drawn = np.zeros(0)
    while len(drawn) < n:
        x = rng.beta(ALPHA, BETA, 4 * n)
        seen = rng.uniform(size=len(x)) < chance(x) if selected else np.ones(len(x), dtype=bool)
        drawn = np.concatenate([drawn, x[seen]])
    return drawn[:n]


def catalogue(case: Case, n: int, number: int) -> Dataset:
    """A catalogue; the same events with and without what the analysis is told."""
    rng = np.random.default_rng([SEED, n, number, case.selected, case.sampled])
    theta, error = values(rng, n, case.selected), np.exp(rng.uniform(*np.log(ERRORS), n))
    frame = pd.DataFrame({"event": np.arange(n).astype(str), "value": rng.normal(theta, error), "error": error})
    if not case.sampled:
        pairs = list(zip(GRID.tolist(), chance(GRID).tolist(), strict=True)) if case.selected and case.told else None
        return Dataset.from_frame(frame, group="event", estimate="value", standard_error="error", selection=pairs)
    rows = []
    for event in frame.itertuples():
        weight = norm.pdf(event.value, FINE, event.error) * 2 * (1 - FINE)
        x = rng.choice(FINE, size=SAMPLES, p=weight / weight.sum())
        rows.append(pd.DataFrame({"event": event.event, "value": x, "prior": 2 * (1 - x)}))
    prior = {"prior_density": "prior"} if case.told else {}
    return Dataset.from_frame(pd.concat(rows), group="event", sample="value", **prior)


def learn(dataset: Dataset, seed: int) -> dict[str, Any]:
    """Posterior mean and 90 % interval of the population's mean, sd and share above 0.5, and how they were drawn."""
    table = prepare_table(MODEL, dataset)
    data = MODEL.stan_data(table, MODEL.priors(table), VARIANT, generate=False)
    drawn = choose("direct").sample(MODEL.program(VARIANT), data, Sampling(draws=DRAWS, seed=seed))
    mu, kappa = (np.asarray(drawn.variables[name]).ravel() for name in ("mu", "kappa"))
    quantities = {
        "mean": mu,
        "sd": np.sqrt(mu * (1 - mu) / (kappa + 1)),
        "above 0.5": beta.sf(0.5, mu * kappa, (1 - mu) * kappa),
    }
    rows = {name: [float(x.mean()), *np.quantile(x, (0.05, 0.95)).tolist()] for name, x in quantities.items()}
    return {"quantities": rows, "direct": NOT_DIRECT not in drawn.about or not drawn.about[NOT_DIRECT]}


def run(out: Path, catalogues: int, only: Callable[[str], bool]) -> None:
    """Learn from all catalogues that the file lacks, the small ones of all cases first."""
    there = {(r["case"], r["n"], r["number"]) for r in read(out)} if out.exists() else set()
    jobs = [
        (name, n, number)
        for number in range(catalogues)
        for name, case in CASES.items()
        for n in case.sizes
        if only(name) and (name, n, number) not in there
    ]
    with out.open("a", encoding="utf-8") as file:
        for k, (name, n, number) in enumerate(jobs, start=1):
            learnt = learn(catalogue(CASES[name], n, number), number + 1)
            file.write(json.dumps({"case": name, "n": n, "number": number, **learnt}) + "\n")
            file.flush()
            print(f"\r{k} of {len(jobs)}", end="", file=sys.stderr)


def read(out: Path) -> list[dict[str, Any]]:
    """The lines of a file."""
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]


def table(lines: list[dict[str, Any]]) -> str:
    """The counts as a table of Markdown: bias and width with their Monte Carlo errors, and coverage."""
    head = ("case", "events", "catalogues", "quantity", "truth", "bias", "width", "width x root n", "coverage")
    rows = [head, ("---",) * len(head)]
    for name, case in CASES.items():
        for n in case.sizes:
            own = [line["quantities"] for line in lines if line["case"] == name and line["n"] == n]
            for quantity, truth in TRUTH.items() if own else ():
                mean, low, high = np.array([line[quantity] for line in own]).T
                off, width = mean - truth, high - low
                error = off.std(ddof=1) / np.sqrt(len(own))
                inside = np.mean((low <= truth) & (truth <= high))
                chances = np.sqrt(0.9 * 0.1 / len(own))
                rows.append((
                    case.words, str(n), str(len(own)), quantity, f"{truth:.3f}", f"{off.mean():+.3f} ± {error:.3f}",
                    f"{width.mean():.3f}", f"{width.mean() * np.sqrt(n):.2f}",
                    f"{100 * inside:.0f} % (90 ± {100 * chances:.0f})",
                ))  # fmt: skip
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    """Simulate, or print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("catalogues.jsonl"))
    parser.add_argument("--catalogues", type=int, default=100)
    parser.add_argument("--only", default="")
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    if given.table:
        print(table(read(given.out)))
    else:
        run(given.out, given.catalogues, lambda name: given.only in name)


if __name__ == "__main__":
    main()
