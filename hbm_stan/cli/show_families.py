"""The families on one screen, or one of them with all that an analysis can say of it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.text import Text

from hbm_stan.elements import in_term
from hbm_stan.nouns import GROUPS

if TYPE_CHECKING:
    from hbm_stan.cli.run import Run
    from hbm_stan.model import Family

_WIDTH = 80  # columns of the narrowest usual terminal
_INDENT = 21


def show_families(run: Run, families: Mapping[str, Family]) -> None:
    """Each family with its title, then the names of the likelihoods of formulas."""
    for family in families.values():
        if not family.terms:
            run.show(Text(_lines(family.name, family.words.title)))
    named = ", ".join(family.name for family in families.values() if family.terms)
    run.show(Text(_lines("(a formula)", f"y ~ x + (1 | group), with a likelihood for its rows: {named}")))
    run.show(Text("More of one: hbm families NAME. To begin: hbm new DATA --family NAME --to FOLDER"))


def show_family(run: Run, family: Family) -> None:
    """One family: citation, roles of columns, variants, priors, options of prediction."""
    run.show(Text(f"{family.name}: {family.words.title}", style="bold"), Text(family.words.citation or "(no citation)"))
    for kind, rows in families_as_dict({family.name: family})[family.name].items():
        if isinstance(rows, dict) and rows:
            run.show(Text(kind, style="bold"), *(Text(_lines(f"  {name}", words)) for name, words in rows.items()))


def _lines(name: str, words: str) -> str:
    """A name, and words beside it, folded; a long name has a line of its own where words do not fit beside it."""
    if len(name) >= _INDENT and len(whole := f"{name}  {words}") < _WIDTH:
        return whole
    indent = " " * _INDENT
    beside = textwrap.fill(words, _WIDTH - 1, initial_indent=indent, subsequent_indent=indent)
    return f"{name:<{_INDENT}}{beside[_INDENT:]}" if len(name) < _INDENT else f"{name}\n{beside}"


def families_as_dict(families: Mapping[str, Family]) -> dict[str, Any]:
    """The families for --json."""
    return {
        f.name: {
            "title": f.words.title,
            "citation": f.words.citation,
            "roles": {r.name: r.meaning + (" (optional)" if r.optional else "") for r in f.roles},
            "variants": {v.name: GROUPS.fill(v.in_words) for v in f.programs.variants},
            "prediction": {name: o.meaning for name, o in f.groups.prediction.items()},
            "priors": {
                row.name: f"{GROUPS.fill(in_term(row.meaning))} ({', '.join(row.distributions)})"
                for row in f.programs.prior_rows
            },
        }
        for f in families.values()
    }
