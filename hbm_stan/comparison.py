"""A comparison as a value: scores, what is said of pairs and in sentences, and how it shows itself and becomes JSON."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from hbm_stan.densities import Unit
from hbm_stan.judge import Pair
from hbm_stan.leave_one_out import LeftOut, Repair
from hbm_stan.notebook import card, table_of
from hbm_stan.nouns import GROUPS, Noun
from hbm_stan.scores import Score
from hbm_stan.sentences import Sentence, units_of
from hbm_stan.verdicts import for_json

_ROWS = 12  # scores that a notebook shows (ours)


@dataclass(frozen=True, kw_only=True, repr=False)
class Comparison:
    """Scores, best first, and the verdict on pairs; ``withheld`` where it may not be read as a ranking.

    ``pairs`` are the best ranked variant with each other one, then partial with complete pooling where neither is the
    best; ``sentences`` are those of the verdict. ``unit`` is what is left out: an observation or a group; ``labels``
    are the names of the units. ``notes`` are what must be said beside the verdict; ``noun`` is what a group is called.
    """

    target: str
    n_observations: int
    scores: tuple[Score, ...]
    pairs: tuple[Pair, ...]
    sentences: tuple[Sentence, ...]
    withheld: bool
    k_threshold: float
    pointwise: Mapping[str, LeftOut] = field(repr=False)
    unit: Unit = "observation"
    labels: Sequence[str] = field(default=(), repr=False)
    notes: tuple[str, ...] = ()
    noun: Noun = GROUPS

    def __repr__(self) -> str:
        ranking = ", ranking withheld" if self.withheld else ""
        head = f"<Comparison of {len(self.scores)} variants, {self.n_units:,} {self.units} left out{ranking}>"
        words = textwrap.wrap(" ".join([*self.verdict, *self.notes]), 110, max_lines=6, placeholder=" …")
        return "\n".join([head, *(self._line(s) for s in self.scores[:_ROWS]), *words])

    def _repr_html_(self) -> str:
        hidden = (math.nan, math.nan)
        rows = [
            (s.variant, s.elpd, s.se, s.p_loo, *((s.elpd_diff, s.se_diff_used) if self._told(s) else hidden))
            for s in self.scores
        ]
        head = f"{len(self.scores)} variants, {self.n_units:,} {self.units} left out"
        columns = ("variant", "elpd", "SE", "p_loo", "difference", "its SE")
        return card(head, [*self.verdict, *self.notes], table_of(columns, rows))

    def _told(self, score: Score) -> bool:
        """Whether the score's difference may be shown."""
        return not self.withheld and score.ranked

    def _line(self, score: Score) -> str:
        diff = "" if not self._told(score) else f", difference {score.elpd_diff:.1f} (SE {score.se_diff:.1f})"
        return f"  {score.variant:<28} elpd {score.elpd:.1f} (SE {score.se:.1f}){diff}"

    @property
    def units(self) -> str:
        """What is left out, in words: observations, or the groups by their noun."""
        return units_of(self.unit, self.noun)

    @property
    def n_units(self) -> int:
        """How many observations or groups are left out in turn."""
        return next(iter(self.pointwise.values())).elpd_i.size

    @property
    def verdict(self) -> tuple[str, ...]:
        """The verdict in words."""
        return tuple(s.text for s in self.sentences)

    def pair(self, one: str, another: str) -> Pair | None:
        """What is said of two variants, in whichever order; None where they were not set against each other."""
        return next((p for p in self.pairs if {p.better, p.other} == {one, another}), None)

    @property
    def repairs(self) -> list[dict[str, Any]]:
        """One row for each repaired unit: by which route, and from what to what."""
        return [
            {"variant": name, "label": self.labels[i] if self.labels else str(i + 1), **_with_words(repair)}
            for name, left_out in self.pointwise.items()
            for i, repair in left_out.repairs.items()
        ]

    def as_dict(self) -> dict[str, Any]:
        """The comparison for JSON; where the ranking is withheld, without the differences that would rank."""
        hidden: dict[str, Any] = {}
        if self.withheld:
            hidden = dict.fromkeys(("elpd_diff", "se_diff", "se_diff_used", "mcse_diff", "bootstrap"))
        return {
            "unit": self.unit,
            "target": self.target,
            "n_observations": self.n_observations,
            "n_units": self.n_units,
            "scores": [
                for_json(_with_words(s)) | hidden | {"ranked": s.ranked and not self.withheld} for s in self.scores
            ],
            "repairs": [for_json(row) for row in self.repairs],
            "verdict": list(self.verdict),
            "pairs": [pair.as_dict() for pair in self.pairs],
            "withheld_because": [s.text for s in self.sentences if s.kind == "withheld"],
            "notes": list(self.notes),
            "withheld": self.withheld,
            "k_threshold": self.k_threshold,
        }


def _with_words(record: Score | Repair) -> dict[str, Any]:
    """The fields of a score or a repair, its route in words and, for code, which it is."""
    return asdict(record) | {"route": record.route.words, "route_kind": record.route.value}
