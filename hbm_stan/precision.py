"""Draws until means are as precise as asked for: the Monte Carlo error (MCSE) of each as a share of its sd.

The error of a mean is sd / sqrt(ESS) (Vehtari, Gelman, Simpson, Carpenter & Bürkner 2021, Bayesian Analysis 16:667), so
that a share of 0.02 is what 2,500 independent draws have. More draws are asked for as its square says, of all variants
alike, and everything is sampled anew: draws that were extended would not be those of a seed and its settings.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hbm_stan.diagnose import parameters, summarise
from hbm_stan.engines import Sampling
from hbm_stan.errors import DataError, ModelError
from hbm_stan.fit import Fit

# Shares that can be asked for: beyond them lie the sd itself and 10^6 independent draws.
FINEST, COARSEST = 0.001, 1.0
# ESS varies from run to run by some per cent: so many draws more than the square says, in rounds of at most so many.
_MARGIN, _ROUNDS = 1.15, 4
_STEP, _MOST = 100, 1_000_000  # draws of a chain are whole hundreds


@dataclass(frozen=True)
class Precision:
    """The largest MCSE of a mean as a share of its sd, and whose: ``share`` is nan where there is none."""

    share: float
    parameter: str
    variant: str

    @property
    def of(self) -> str:
        """Whose mean it is."""
        return f"{self.parameter} of {self.variant}"


@dataclass(frozen=True, kw_only=True)
class Reached:
    """Fits whose means are as precise as asked for, or how far they came and why no further (``stopped``)."""

    fits: Mapping[str, Fit]
    target: float
    precision: Precision
    sampling: Sampling
    stopped: str = ""

    @property
    def words(self) -> str:
        """In a sentence or two."""
        precision, draws = self.precision, f"{self.sampling.chains} x {self.sampling.draws:,} draws"
        if self.stopped:
            return f"MCSE {self.target:g} of the sd was not reached. {self.stopped}"
        return (
            f"Every mean has an MCSE of at most {self.target:g} of its sd, with {draws}: the largest is "
            f"{precision.share:.3g} ({precision.of}). draws = {self.sampling.draws} under [sampling] in analysis.toml "
            "has them used by the other commands."
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "target": self.target, "share": self.precision.share if math.isfinite(self.precision.share) else None,
            "parameter": self.precision.parameter, "variant": self.precision.variant, "draws": self.sampling.draws,
            "reached": not self.stopped, "stopped": self.stopped,
        }  # fmt: skip


def check_target(share: float) -> None:
    """Raise ModelError for a share of the sd that cannot be meant."""
    if isinstance(share, bool) or not isinstance(share, int | float) or not FINEST <= share <= COARSEST:
        raise ModelError(
            f"MCSE: a share of the sd from {FINEST:g} to {COARSEST:g} is needed, got {share!r}: 0.02 is 2 % of the sd."
        )


def precision_of(fits: Mapping[str, Fit]) -> Precision:
    """The least precise mean of all parameters of all fits."""
    worst = Precision(math.nan, "", "")
    for name, fit in fits.items():
        names, draws = parameters(fit)
        if not names:  # independent draws of very many groups, of which as many are held as fit
            continue
        summary = summarise(names, draws)
        shares = (summary["mcse_mean"] / summary["sd"]).to_numpy(float)
        # A mean whose error is not known is no precise one.
        shares = np.where(np.isfinite(shares), shares, np.inf)
        at = int(shares.argmax())
        if not shares[at] <= worst.share:
            worst = Precision(float(shares[at]), str(summary.index[at]), name)
    return worst


def until_precise(
    fit_with: Callable[[Sampling], Mapping[str, Fit]],
    sampling: Sampling,
    target: float,
    minutes: float,
    say: Callable[[str], None],
) -> Reached:
    """Fits of ``fit_with``, with more draws until the MCSE of every mean is at most ``target`` of its sd.

    A further round is begun where it is expected to end within ``minutes`` of sampling in all; draws that are kept
    already cost none. Raises ModelError for a target that cannot be meant.
    """
    check_target(target)
    spent, stopped, rounds = 0.0, "", 0
    fits = fit_with(sampling)
    precision = precision_of(fits)
    while not precision.share <= target:  # a share that is not known is no small one
        spent += sum(fit.seconds for fit in fits.values() if not fit.reused)
        needed = _needed(sampling, precision, target)
        if rounds == _ROUNDS:
            stopped = f"{_so_far(precision, sampling)} {_ROUNDS} rounds were made."
        else:
            stopped = _no_further(fits, sampling, precision, needed, spent, minutes)
        if stopped:
            break
        say(f"The MCSE of {precision.of} is {precision.share:.3g} of its sd: {needed:,} draws a chain")
        try:
            fits, sampling = fit_with(replace(sampling, draws=needed)), replace(sampling, draws=needed)
        except DataError as error:
            stopped = f"{_so_far(precision, sampling)} {needed:,} draws a chain cannot be had: {error}"
            break
        precision, rounds = precision_of(fits), rounds + 1
    return Reached(fits=fits, target=target, precision=precision, sampling=sampling, stopped=stopped)


def _needed(sampling: Sampling, precision: Precision, target: float) -> int:
    """Draws of a chain that the square of the shares asks for; 0 where the error is not known."""
    if not math.isfinite(precision.share):
        return 0
    return _STEP * math.ceil(_MARGIN * sampling.draws * (precision.share / target) ** 2 / _STEP)


def _no_further(
    fits: Mapping[str, Fit], sampling: Sampling, precision: Precision, needed: int, spent: float, minutes: float
) -> str:
    """Why no round with ``needed`` draws is begun; empty where one is."""
    if not needed:
        return f"The error of the mean of {precision.of} is not known: see hbm check."
    if needed > _MOST:
        return f"{_so_far(precision, sampling)} It would take {needed:,} draws a chain, and {_MOST:,} are the most."
    iterations = sampling.warmup + sampling.draws
    expected = sum(fit.seconds for fit in fits.values()) * (sampling.warmup + needed) / iterations
    if spent + expected > 60 * minutes:
        return (
            f"{_so_far(precision, sampling)} {needed:,} draws a chain would take some {max(expected / 60, 0.1):.2g} "
            f"minutes more, and {minutes:g} are allowed in all (--minutes)."
        )
    return ""


def _so_far(precision: Precision, sampling: Sampling) -> str:
    return f"With {sampling.chains} x {sampling.draws:,} draws the largest is {precision.share:.3g} ({precision.of})."
