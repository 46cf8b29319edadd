"""How often is a prior called in conflict with data that it was made for? ``python tests/tools/prior_conflict.py``.

For each family: its small design (as for calibration), true values drawn from the family's calibration priors, an
outcome drawn from them, and default priors computed anew from that table, as `hbm new` does. Partial pooling is fitted
on stanli, and power-scaling is read. Each line is one set: the quantities in conflict as the sensitivities alone would
have it (prior and likelihood both at 0.05 or more), those in conflict as they are read, and those with a strong prior.
Then the share of sets that have any, by family. The seeds were fixed before the first run.

``python tests/tools/prior_conflict.py 20 planck pumps`` runs so many sets (20 unless told) of some families. The exit
code is 1 where more than one in twenty sets of a family is read as a conflict.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd

from hbm_stan.attempts import fit
from hbm_stan.calibrate.design import default_design
from hbm_stan.calibrate.truths import draw_truths
from hbm_stan.data import Dataset
from hbm_stan.engines import Sampling
from hbm_stan.errors import HbmError
from hbm_stan.families import families
from hbm_stan.model import Family
from hbm_stan.sensitivity.power import power_scaling
from hbm_stan.sensitivity.reading import THRESHOLD

SEED, VARIANT, MOST = 20261128, "partial_pooling", 1 / 20
SAMPLING = {"warmup": 300, "draws": 500}


def simulated(model: Family, number: int) -> Dataset:
    """A table of the family's small design with an outcome drawn from its calibration priors."""
    rng = np.random.default_rng([SEED, number, *map(ord, model.name)])
    table, _ = default_design(model)
    priors = model.priors(table, model.twin.calibration)
    design = model.stan_data(table, priors, VARIANT)
    truth = draw_truths(rng, model, VARIANT, priors, design)
    y = np.asarray(model.need("simulate", "a simulated set")(rng, truth, design)[0])
    source = table.dataset
    frame = pd.DataFrame({name: source.table.column(name) for name in source.table.names})
    whole = np.issubdtype(np.asarray(design[model.programs.observed]).dtype, np.integer)
    frame[source.column(model.outcome(table))] = y.astype(int) if whole else y
    return Dataset.from_frame(frame, source.columns)


def flagged(model: Family, number: int) -> dict[str, list[str]]:
    """The quantities of one set by what is said of them: by the sensitivities alone, and as they are read."""
    sampling = Sampling(seed=number + 1, **SAMPLING)  # and no second attempt: nothing is concluded from it
    simulated_fit = fit(model, simulated(model, number), VARIANT, sampling=sampling, engine="stanli", minutes=0)
    readings = power_scaling(simulated_fit).readings
    prior = readings[["prior_value", "all_priors"]].max(axis=1)
    alone = (prior >= THRESHOLD) & (readings["likelihood"] >= THRESHOLD)
    read = {word: readings["reading"] == word for word in ("conflict", "strong prior")}
    return {word: list(readings["quantity"][rows]) for word, rows in {"sensitivities alone": alone, **read}.items()}


def measure(model: Family, sets: int) -> dict[str, float]:
    """The shares of sets in which anything is said; sets whose outcome the family refuses are drawn and not counted."""
    counts: dict[str, int] = {}
    done = 0
    for number in range(sets):
        try:
            flags = flagged(model, number)
        except HbmError as error:
            print(f"{model.name} {number}: refused ({error})", flush=True)
            continue
        done += 1
        for word, quantities in flags.items():
            counts[word] = counts.get(word, 0) + bool(quantities)
        line = "; ".join(f"{word}: {', '.join(quantities) or '-'}" for word, quantities in flags.items())
        print(f"{model.name} {number}: {line}", flush=True)
    return {"sets": done} | {word: n / max(done, 1) for word, n in counts.items()}


def main() -> None:
    """Print the table."""
    sets = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    shares = {n: measure(m, sets) for n, m in families().items() if not sys.argv[2:] or n in sys.argv[2:]}
    for name, row in shares.items():
        print(f"| {name} | {row.pop('sets'):g} | {' | '.join(f'{share:.0%}' for share in row.values())} |")
    sys.exit(any(row["conflict"] > MOST for row in shares.values()))


if __name__ == "__main__":
    main()
