"""Words and columns that sections share: titles of variants, meanings, units, the summary of a quantity."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from hbm_stan.elements import base_of, term_of
from hbm_stan.nouns import of_results
from hbm_stan.portions import MOST_DRAWN
from hbm_stan.predict import Y_NEW
from hbm_stan.predictors import INTERCEPT
from hbm_stan.report.blocks import column, number, parameter
from hbm_stan.report.blocks import math as mathematics
from hbm_stan.results.digits import format_count, format_mcse, format_summary
from hbm_stan.results.terms import unit_of_terms

MU = mathematics("mu")


def variant_title(results: dict[str, Any], name: str) -> str:
    """The title of a variant, or its name as words."""
    titles = {v["name"]: v["title"] for v in results["model"]["variants"]}
    return str(titles.get(name, name.replace("_", " ")))


def in_titles(results: dict[str, Any], text: str) -> str:
    """A sentence on variants, which names them as words, with their titles as the tables have them."""
    phrases = {v["name"].replace("_", " "): _as_phrase(results, v["title"]) for v in results["model"]["variants"]}
    names = "|".join(re.escape(name) for name in sorted(phrases, key=len, reverse=True))
    if not names:
        return text

    def phrase(match: re.Match[str]) -> str:
        given = phrases[match[0].lower()]
        return given[:1].upper() + given[1:] if match[0][0].isupper() else given

    return re.sub(rf"\b(?:{names})\b", phrase, text, flags=re.IGNORECASE)


def _as_phrase(results: dict[str, Any], title: str) -> str:
    """A title to stand in a sentence: partial pooling (a scale for each school)."""
    head, comma, rest = title.partition(", ")
    rest = rest.replace("each group", f"each {of_results(results).one}")
    return head[:1].lower() + head[1:] + (f" ({rest})" if comma else "")


def all_verdicts(results: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Every verdict with what it is about: the data, or the title of a variant."""
    pairs = [("Data", v) for v in results["data"]["verdicts"]]
    for name, fit in results["fits"].items():
        pairs += [(variant_title(results, name), v) for v in fit["verdicts"]]
    return pairs


def meaning_of(results: dict[str, Any], name: str) -> str:
    """What a population parameter means: in words of its own, of its prior, or of the prior of all its elements."""
    own = results["model"].get("meanings", {})
    given = {p["name"]: p["meaning"] for p in results["priors"]}
    base, term = base_of(name), term_of(name)
    general = str(given.get(base, own.get(base, "")))
    return str(own.get(name) or given.get(name) or (f"{general}: {term}" if general and term else general))


def caption_unit(results: dict[str, Any], names: Iterable[str]) -> str:
    """The units that a table of these population parameters or new quantities names in its caption."""
    shown, data = list(names), results["data"]
    unit = unit_of_terms(data["quantity_unit"], any(term_of(n) not in {"", INTERCEPT} for n in shown))
    if not unit.strip():
        return unit
    if any(base_of(n) == "rho" for n in shown):
        unit += (
            "; correlations have no unit" if any(term_of(n) for n in shown if base_of(n) == "rho") else "; rho has none"
        )
    unit += "".join(f"; {note}" for note in _of_its_own(results, shown))
    if Y_NEW in shown and data["unit"] != data["quantity_unit"]:
        unit += f"; the new observation in {data['unit']}" if data["unit"] else "; the new observation as it is counted"
    return unit


def _of_its_own(results: dict[str, Any], shown: list[str]) -> list[str]:
    """What a likelihood of a formula has beside the linear predictor, and on which scale that is."""
    coefficients = results["coefficients"]
    if not coefficients:
        return []
    names, units = {base_of(n) for n in shown}, {p["name"]: p["unit"] for p in results["priors"]}
    shares = [f"{s['name']} in log odds of {s['what']}" for s in coefficients["shares"] if s["name"] in names]
    return [*shares, *(f"{name} has no unit" for name in shown if units.get(name) == "" and not term_of(name))]


def summary_row(name: str, meaning: str, values: dict[str, Any]) -> list[Any]:
    """Symbol, meaning, mean, sd, 5 %, 50 %, 95 % and Monte Carlo error of a quantity, with honest digits."""
    return [
        parameter(name),
        meaning,
        *format_summary(values),
        format_mcse(values.get("mcse_mean")),
    ]


SUMMARY_COLUMNS = [
    column(""), column("Meaning", width="label"), number("Mean"), number("SD"), number("5 %"), number("50 %"),
    number("95 %"), number("MCSE"),
]  # fmt: skip


def with_unit(text: str, unit: str) -> str:
    """A caption with its unit."""
    return f"{text}, in {unit}" if unit.strip() else text


def group_count(results: dict[str, Any]) -> str:
    """How many groups there are, by their noun."""
    noun, count = of_results(results), results["data"]["n_groups"]
    return f"{format_count(count)} {noun.one if count == 1 else noun.many}"


def drawn_in_words(n: int, many: str) -> str:
    """What a caption adds where a figure draws some of n groups only; empty where it draws all."""
    if n <= MOST_DRAWN:
        return ""
    return f" {format_count(MOST_DRAWN)} of the {format_count(n)} {many} are drawn, at equal distances in their order."
