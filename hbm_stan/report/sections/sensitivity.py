"""Half a page on what would have changed the answer: priors scaled, other priors, groups left out."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hbm_stan.elements import base_of, term_of
from hbm_stan.nouns import Noun, of_results
from hbm_stan.predict import Y_NEW
from hbm_stan.report.blocks import (
    Block,
    Spans,
    bullets,
    column,
    dense,
    heading,
    mono,
    number,
    parameter,
    sentence,
    table,
)
from hbm_stan.report.section import Section
from hbm_stan.results.digits import DASH, fixed
from hbm_stan.sensitivity.conclusion import element, terms
from hbm_stan.sensitivity.reading import WORDS

# Half a page holds no more; results.json has all of them.
_MOST_QUANTITIES, _MOST_PRIORS, _MOST_GROUPS, _MOST_COLUMNS = 5, 8, 3, 3
_NOT_TRIED: Spans = [
    "Other priors were not tried: ", mono("hbm sensitivity"), ", or ", mono("hbm report"), " with ",
    mono("--sensitivity"), ", fits the analysis under them.",
]  # fmt: skip


def section(results: dict[str, Any], _figures: Iterable[str]) -> list[Block]:
    """What would have changed the answer; nothing where no variant pools partially."""
    sensitivity = results.get("sensitivity")
    if not sensitivity or sensitivity["withheld"]:
        return []
    power, tried, groups = sensitivity["power"], sensitivity["alternatives"], sensitivity["influence"]
    noun = of_results(results)
    new = _New(_new_names(results), noun)
    return [
        heading("What would have changed the answer"),
        *bullets(_in_words(s, new) for s in power["sentences"]),
        *_power(power, new),
        *bullets([_in_words(s, new) for s in tried["sentences"]] if tried else [_NOT_TRIED]),
        *(_alternatives(tried, new) if tried else []),
        *bullets(_in_words(s, new) for s in groups["sentences"]),
        *_influence(groups, new),
    ]


@dataclass(frozen=True)
class _New:
    """What the new group's value is called (``theta_new``), and the noun that says what it is of."""

    names: frozenset[str]
    noun: Noun

    @property
    def pattern(self) -> re.Pattern[str]:
        """``theta_new``, ``theta_new[floor]`` in a sentence; never a part of a user's label."""
        called = [re.escape(name) for name in sorted(self.names)] or [r"(?!)"]
        return re.compile(rf"(?<!\w)(?:{'|'.join(called)})(?!\w)(?:\[([^\]]*)\])?")


def _new_names(results: dict[str, Any]) -> frozenset[str]:
    """The names of what is predicted of a new group, without its observation."""
    new_group = results["new_group"] or {"quantities": []}
    return frozenset(base_of(q["name"]) for q in new_group["quantities"]) - {Y_NEW}


def _in_words(text: str, new: _New) -> Spans:
    """A sentence, with words for the name of a new group's value."""
    what = f"a new {new.noun.one}'s value"
    return sentence(new.pattern.sub(lambda m: f"{what} ({m[1]})" if m[1] else what, text))


def _name(name: str, new: _New) -> Spans:
    if base_of(name) not in new.names:
        return parameter(name)
    term = term_of(name)
    return [f"new {new.noun.one} ({term})" if term else f"new {new.noun.one}"]


def _power(power: dict[str, Any], new: _New) -> list[Block]:
    """The quantities that depend on a prior, where one of them does in a way to think about: the sentences name all."""
    flagged = [r for r in power["readings"] if r["reading"] != "none"]
    rows = flagged[:_MOST_QUANTITIES]
    if all(r["reading"] == "both" for r in rows):
        return []
    heads = [
        column("Quantity", width="label"), column("Strongest prior"), number("to it"),
        number("to all priors"), number("to the likelihood"), column("Reading", width="label"),
    ]  # fmt: skip
    cells = [
        [
            _name(r["quantity"], new), parameter(r["prior"]) if r["prior"] else DASH,
            *(fixed(r[k], 2) for k in ("prior_value", "all_priors", "likelihood")), WORDS[r["reading"]],
        ]
        for r in rows
    ]  # fmt: skip
    cut = f" {len(rows)} of the {len(flagged)} quantities above it." if len(rows) < len(flagged) else ""
    about = (
        "Power-scaling sensitivity of quantities that depend on a prior: how fast the posterior moves as a prior, or "
        f"the likelihood, is raised to a power near 1 (limit {power['threshold']:g})."
    )
    return [table([about + cut], heads, cells)]


def _alternatives(tried: dict[str, Any], new: _New) -> list[Block]:
    """The conclusion as it stands, and under the priors that move it most, in the order that they were tried."""
    base = tried["base"]
    names = base["columns"]
    if not names or not tried["rows"]:
        return []
    own = terms(base["intervals"], names[min(1, len(names) - 1)])
    by_move = sorted(tried["rows"], key=lambda r: (not r["changes"], not r["failed"], -abs(r["moved"] or 0)))
    shown = [r for r in tried["rows"] if r in by_move[:_MOST_PRIORS]]
    heads = [
        column("Prior", width="label"), *(column(_name(n, new), "right") for n in names), number("elpd diff."),
        number("SE"), column("Conclusion"),
    ]  # fmt: skip
    cells: list[list[Any]] = [
        [_stands(own, t), *_cells(base, names, t), ""] for t in own if t in {_term(r, own) for r in shown}
    ]
    cells += [
        [sentence(r["shown"]), *_cells(r["conclusion"], names, _term(r, own)), _outcome(r)] for r in shown
    ]  # fmt: skip
    cut = (
        f" {len(shown)} of {len(tried['rows'])} priors, those that move it most."
        if len(shown) < len(tried["rows"])
        else ""
    )
    about = "Other priors, by refits: medians with 90 % intervals; elpd of new rows against the best other variant."
    term = f" Values are those of the prior's own term, else of {own[0]}." if len(own) > 1 else ""
    return [dense(table([about + term + cut], heads, cells))]


def _stands(own: list[str], term: str) -> str:
    return f"as it stands, {term}" if len(own) > 1 else "as it stands"


def _term(row: dict[str, Any], own: list[str]) -> str:
    """The term that a prior is of, else the first."""
    named = [t for t in own if t and any(term_of(name) == t for name in row["priors"])]
    return named[0] if len(named) == 1 else own[0]


def _cells(conclusion: dict[str, Any] | None, names: list[str], term: str) -> list[str]:
    if conclusion is None:
        return [DASH] * (len(names) + 2)
    shown = [_interval(conclusion["intervals"].get(element(n, term))) for n in names]
    return [*shown, fixed(conclusion["elpd_diff"], 1), fixed(conclusion["se_diff"], 1)]


def _outcome(row: dict[str, Any]) -> str:
    return "none: checks failed" if row["failed"] else "changes" if row["changes"] else "stands"


def _influence(groups: dict[str, Any], new: _New) -> list[Block]:
    """The groups that move the population most."""
    names = groups["columns"][:_MOST_COLUMNS]
    if not groups["rows"]:
        return []
    heads = [
        column("Without", width="label"),
        *(column(_name(n, new), "right") for n in names),
        column("Moves most, sd"),
    ]
    heads += [number("Pareto k"), column("From")]
    cells: list[list[Any]] = [["none", *(_interval(groups["base"][n]) for n in names), "", "", ""]]
    cells += [
        [
            r["group"], *(_interval(r["intervals"].get(n)) for n in names),
            [*parameter(r["largest_move"]), f" {fixed(r['moved'], 2)}"] if r["moves"] else DASH,
            fixed(r["pareto_k"], 2), r["route"],
        ]
        for r in groups["rows"][:_MOST_GROUPS]
    ]  # fmt: skip
    about = f"The population without one {new.noun.one}, the largest moves first: medians with 90 % intervals."
    return [dense(table([about], heads, cells))]


def _interval(summary: dict[str, float] | None) -> str:
    """Median and 90 % interval with two digits of the sd: finer ones are Monte Carlo error."""
    if summary is None or not summary["sd"]:
        return DASH
    decimals = max(1 - math.floor(math.log10(summary["sd"])), 0)
    q05, q50, q95 = (fixed(summary[k], decimals) for k in ("q05", "q50", "q95"))
    return f"{q50} ({q05} to {q95})"


SECTION = Section(section)
