"""What is computed of draws, by one measure for all sides, and whether posteriors agree within Monte Carlo error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench_peers.cases import POSITIVE
from hbm_stan.mixing import ess_bulk, summarised

# So many combined Monte Carlo standard errors may lie between means and between sds.
MOST_MCSE = 5.0
# Gelman et al. (2013), Bayesian Data Analysis, section 11.4; chains that are only slow show few effective draws.
MOST_RHAT = 1.1
# Effects of so many groups are held against one another, besides the population.
COMPARED_GROUPS = 50
Figures = dict[str, list[float]]  # mean, sd and their Monte Carlo standard errors, by quantity


def columns(values: np.ndarray, name: str) -> dict[str, np.ndarray]:
    """The elements of (chain, draw, ...) by name; ``theta[3,1]`` counts from 0."""
    if values.ndim == 2:
        return {name: values}
    places = np.ndindex(*values.shape[2:])
    return {f"{name}[{','.join(map(str, at))}]": values[(slice(None), slice(None), *at)] for at in places}


def figures_of(name: str, values: np.ndarray) -> tuple[Figures, float]:
    """Mean, sd and their errors of each element, of its logarithm where it is above zero, and the largest R-hat."""
    elements = columns(np.log(values) if name in POSITIVE else values, name)
    if not elements:
        return {}, 1.0
    of = summarised(np.stack([*elements.values()]))
    rows = np.column_stack([of[key] for key in ("mean", "sd", "mcse_mean", "mcse_sd")])
    return dict(zip(elements, rows.tolist(), strict=True)), float(np.max(of["rhat"]))


def smallest_ess(name: str, values: np.ndarray) -> tuple[float, str]:
    """The smallest bulk ESS of the elements, with the name of that element."""
    flat = np.moveaxis(values.reshape(*values.shape[:2], -1), 2, 0)
    ess = ess_bulk(flat)
    worst = int(np.argmin(ess))
    place = np.unravel_index(worst, values.shape[2:]) if values.ndim > 2 else ()
    return float(ess[worst]), name + (f"[{','.join(str(int(k)) for k in place)}]" if place else "")


def computed(folder: Path) -> dict[str, Any]:
    """Of draws that a worker left: the smallest bulk ESS and whose, the largest R-hat, figures for ``distance``."""
    ess, figures, rhat = [], {}, 1.0
    for path in sorted(folder.glob("*.npy")):
        kind, name = path.stem.split("-", 1)
        values = np.load(path, mmap_mode="r")
        if not np.isfinite(values).all():
            return {"failed": f"draws of {name} are not finite"}
        ess.append(smallest_ess(name, values))
        some, largest = figures_of(name, values if kind == "population" else values[:, :, :COMPARED_GROUPS])
        figures |= some
        rhat = max(rhat, largest)
    least, whose = min(ess)
    return {"ess": least, "ess_of": whose, "rhat": rhat, "figures": figures}


def pooled(rounds: Sequence[Figures]) -> Figures:
    """The figures of several rounds together: means of means and sds, errors of these."""
    of = {}
    for name in rounds[0]:
        rows = np.array([figures[name] for figures in rounds])
        errors = np.sqrt(np.square(rows[:, 2:]).sum(axis=0)) / len(rows)
        of[name] = [*rows[:, :2].mean(axis=0).tolist(), *errors.tolist()]
    return of


@dataclass(frozen=True)
class Distance:
    """The largest distance of two posteriors in Monte Carlo standard errors, and of what."""

    mcse: float
    what: str


def mcse_apart(gap: float, error: float) -> float:
    """A gap in units of its error; infinite where either is no number, for that is no agreement."""
    if not (np.isfinite(gap) and np.isfinite(error)):
        return float("inf")
    return 0.0 if gap == 0 else float(abs(gap) / error) if error > 0 else float("inf")


def distance(one: Figures, other: Figures) -> Distance:
    """How far two posteriors lie apart; infinitely where they have not the same quantities."""
    if one.keys() != other.keys():
        return Distance(float("inf"), f"not the same quantities: {', '.join(sorted(one.keys() ^ other.keys()))}")
    farthest = Distance(0.0, "nothing")
    for name, (mean, sd, mean_error, sd_error) in one.items():
        other_mean, other_sd, other_mean_error, other_sd_error = other[name]
        for what, gap, error in (
            (f"mean of {name}", mean - other_mean, np.hypot(mean_error, other_mean_error)),
            (f"sd of {name}", sd - other_sd, np.hypot(sd_error, other_sd_error)),
        ):
            apart = mcse_apart(gap, error)
            if apart > farthest.mcse:
                farthest = Distance(apart, what)
    return farthest


def void(posteriors: Mapping[str, Figures], rhats: Mapping[str, float]) -> dict[str, str]:
    """The sides whose posterior does not count, with the reason; the others agree.

    A side that lies too far from at least half of the others is void, so that one wrong posterior of many leaves the
    rest, and of two that differ neither counts.
    """
    reasons = {
        name: f"chains disagree, R-hat {rhat:.2f}" for name, rhat in rhats.items() if not rhat <= MOST_RHAT
    }  # fmt: skip
    mixed = {name: figures for name, figures in posteriors.items() if name not in reasons}
    for name, figures in mixed.items():
        others = {other: distance(figures, theirs) for other, theirs in mixed.items() if other != name}
        far = {other: apart for other, apart in others.items() if apart.mcse > MOST_MCSE}
        if far and 2 * len(far) >= len(others):
            other, apart = max(far.items(), key=lambda item: item[1].mcse)
            reasons[name] = f"posterior unlike {other}'s: {apart.what}, {apart.mcse:.1f} MCSE apart"
    return reasons
