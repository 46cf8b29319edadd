"""What a calibration found: ranks, verdicts and what was met on the way, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_stan.envelope import IntArray, envelope, p_value
from hbm_stan.later import pd
from hbm_stan.verdicts import Status, Verdict, worst

if TYPE_CHECKING:
    import pandas

# The probability that a right program is refused, over all quantities together: once in a hundred calibrations.
FAMILY_ERROR = 0.01
UNIFORM, REFUSED, DIVERGENCES, THINNING = "uniform ranks", "refused replications", "divergences", "thinning"
_HALF, _TWELFTH = 0.5, 1 / 12  # mean and variance of a uniform variable
_MOST_WORDS = 3  # reasons of refusals that are shown


@dataclass(frozen=True, kw_only=True, repr=False)
class Calibration:
    """Simulation-based calibration of one program.

    ``of_quantity``: the ranks of each quantity in all replications that were completed, whose ``numbers`` these are,
    whole numbers 0 .. ``draws``. ``verdicts``: "uniform ranks" for each quantity (value: its p-value; threshold:
    ``family_error`` over the number of quantities), then one each on what was refused, diverged, and could not be
    thinned to independence.
    """

    family: str
    variant: str
    kind: str  # prior or posterior: where the true values are drawn from
    of_quantity: Mapping[str, IntArray]
    numbers: tuple[int, ...]
    draws: int
    verdicts: tuple[Verdict, ...]
    replications: int
    refused: Mapping[int, str]
    divergent: int
    divergences: int
    deepest: int
    correlated: int
    seconds: float
    design: str
    left_out: str
    priors: Mapping[str, str]
    seed: int
    engine: str
    engine_version: str
    program: str
    program_sha256: str
    family_error: float = FAMILY_ERROR
    not_direct: int = 0  # replications that were to be drawn directly, and were sampled

    def __repr__(self) -> str:
        return f"<Calibration {self.family}, {self.variant}: {self.completed} replications, {self.status}>"

    @cached_property
    def ranks(self) -> pandas.DataFrame:
        """A row for each replication that was completed, by its number, and a column for each quantity."""
        return pd.DataFrame(dict(self.of_quantity), index=pd.Index(self.numbers))

    @property
    def completed(self) -> int:
        """How many replications were completed."""
        return len(self.numbers)

    @property
    def status(self) -> Status:
        """fail where the ranks of a quantity are not uniform; warn where something else asks for a look."""
        return worst(self.verdicts)

    @property
    def error(self) -> float:
        """The share of the family error that one quantity has."""
        return self.family_error / max(len(self.of_quantity), 1)

    @property
    def worst(self) -> Verdict:
        """The verdict on the quantity whose ranks are the least like uniform ones: the smallest p."""
        uniform = (v for v in self.verdicts if v.name == UNIFORM)
        return min(uniform, key=lambda v: 1.0 if v.value is None else v.value)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """quantity, mean_rank (of 0 .. 1; 0.5 if uniform), spread (variance over the uniform's), p, status of each."""
        rows = []
        for v in self.verdicts:
            if v.name == UNIFORM:
                u = self._unit(v.subject)
                rows.append({"quantity": v.subject, "mean_rank": float(u.mean()), "spread": float(u.var() / _TWELFTH),
                             "p": v.value, "status": v.status})  # fmt: skip
        return rows

    @property
    def table(self) -> pandas.DataFrame:
        """The ``rows`` as a table."""
        return pd.DataFrame(self.rows, columns=["quantity", "mean_rank", "spread", "p", "status"])

    @property
    def curves(self) -> pandas.DataFrame:
        """For the figure: quantity, x, difference (ECDF of ranks less x), low and high (the envelope less x)."""
        band = envelope(self.completed, self.draws, self.error)
        ends = (np.zeros(1), np.zeros(1))
        parts = []
        for name, ranks in self.of_quantity.items():
            below = np.searchsorted(np.sort(ranks), np.arange(1, self.draws + 1), side="left")
            columns = {
                "difference": below / self.completed - band.points,
                "low": band.low - band.points,
                "high": band.high - band.points,
            }
            frame = {k: np.concatenate([ends[0], v, ends[1]]) for k, v in columns.items()}
            x = np.concatenate([[0.0], band.points, [1.0]])
            parts.append(pd.DataFrame({"quantity": name, "x": x, **frame}))
        return pd.concat(parts, ignore_index=True)

    def _unit(self, name: str) -> Any:
        return (self.of_quantity[name] + _HALF) / (self.draws + 1)

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        n, q = self.completed, len(self.of_quantity)
        bad = [v.subject for v in self.verdicts if v.status == "fail"]
        extent = f"{n} replications, {q} quantities, {100 * (1 - self.family_error):g} % envelope over all of them"
        if bad:
            return f"NOT calibrated: the ranks of {', '.join(bad)} are not uniform ({extent})."
        return f"Calibrated: the ranks of all quantities are uniform as far as {extent} can tell."

    def as_dict(self) -> dict[str, Any]:
        """The calibration for JSON."""
        same = (
            "family", "variant", "kind", "draws", "replications", "divergent", "divergences", "deepest", "correlated",
            "design", "left_out", "seed", "engine", "engine_version", "program", "program_sha256", "family_error",
            "not_direct",
        )  # fmt: skip
        return {
            "status": self.status,
            "sentence": self.sentence,
            **{name: getattr(self, name) for name in same},
            "seconds": round(self.seconds, 2),
            "completed": self.completed,
            "refused": {str(number): why for number, why in self.refused.items()},
            "priors": dict(self.priors),
            "table": self.rows,
            "verdicts": [v.as_dict() for v in self.verdicts],
            "ranks": {name: ranks.tolist() for name, ranks in self.of_quantity.items()},
        }


def verdicts_on(
    of_quantity: Mapping[str, IntArray], draws: int, refused: Mapping[int, str], divergent: int, correlated: int,
    family_error: float,
) -> tuple[Verdict, ...]:  # fmt: skip
    """One verdict for each quantity, and one on each thing that was met on the way."""
    error = family_error / max(len(of_quantity), 1)
    verdicts = []
    for name, ranks in of_quantity.items():
        p = p_value(ranks, draws)
        hint = "" if p > error else _shape(ranks, draws)
        verdicts.append(
            Verdict(
                name=UNIFORM,
                status="pass" if p > error else "fail",
                value=p,
                threshold=error,
                hint=hint,
                subject=name,
            )
        )
    reasons = list(dict.fromkeys(why.split("\n")[0] for why in refused.values()))[:_MOST_WORDS]
    why = "; ".join(reasons)
    rest = (
        (REFUSED, len(refused), f"Their outcome could not be used, so they say nothing: {why}"),
        (DIVERGENCES, divergent, "Replications with divergent transitions: their draws may miss a part of the "
         "posterior. A higher adapt_delta or another parameterisation helps."),
        (THINNING, correlated, "Replications whose draws stayed correlated after 16 times the draws: their ranks are "
         "a little too often at the ends."),
    )  # fmt: skip
    verdicts += [
        Verdict(name=name, status="warn" if n else "pass", value=float(n), threshold=0.0, hint=hint if n else "")
        for name, n, hint in rest
    ]
    return tuple(verdicts)


def _shape(ranks: Any, draws: int) -> str:
    """What ranks that are not uniform say: Talts et al. (2020), section 4.2."""
    u = (ranks + _HALF) / (draws + 1)
    shift = (u.mean() - _HALF) / np.sqrt(_TWELFTH / len(u))
    # The variance of a squared deviation of a uniform variable is 1/180.
    spread = (((u - _HALF) ** 2).mean() - _TWELFTH) / np.sqrt(1 / 180 / len(u))
    if abs(shift) >= abs(spread):
        return f"The program's draws are too {'small' if shift > 0 else 'large'}: truths lie " + (
            "above them" if shift > 0 else "below them"
        )
    return (
        "The program's posterior is too narrow: truths lie too often in its tails"
        if spread > 0
        else "The program's posterior is too wide: truths lie too often in its middle"
    )
