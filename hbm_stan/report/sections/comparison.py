"""The comparison of the variants: a new row of a known group, a new group, and how each score was found."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hbm_stan.judge import MANY_GROUPS
from hbm_stan.nouns import Noun, capital, of_results
from hbm_stan.report.blocks import Block, bullets, column, dense, heading, math, number, prose, table
from hbm_stan.report.section import Section
from hbm_stan.report.words import group_count, in_titles, variant_title
from hbm_stan.results.digits import DASH, counted, fixed, format_count, significant
from hbm_stan.scores import SMALL_DIFFERENCE

# Repaired units that are named; more are counted.
_MOST_REPAIRS = 3


def section(results: dict[str, Any], _figures: Iterable[str]) -> list[Block]:
    """Expected log predictive density of the variants for each target, and what may be concluded from it."""
    comparisons = [(results[name], name) for name in ("comparison", "group_comparison") if results.get(name)]
    if not comparisons:
        return []
    blocks, noun = [heading("Comparison of the variants")], of_results(results)
    for c, _ in comparisons:
        blocks += _target(results, c)
    ranked = [c for c, _ in comparisons if not c["withheld"]]
    return [
        *blocks,
        *_scores(results, ranked),
        *_repairs([c for c, _ in comparisons]),
        *_notes(ranked, noun),
    ]


def _target(results: dict[str, Any], c: dict[str, Any]) -> list[Block]:
    unit = c.get("unit", "observation")
    size = counted(c.get("n_units", c["n_observations"]), "observation") if unit != "group" else group_count(results)
    target = f"The variants are compared by how well they predict {c['target']}, over {size}"
    if c["withheld"]:
        return _ranking_withheld(results, c, target)
    readings = [f"{variant_title(results, s['variant'])}: {s['reading']}" for s in c["scores"] if s["reading"]]
    told = [in_titles(results, s) for s in [*c["verdict"], *c.get("notes", [])]]
    return [prose(f"{target}."), *bullets(capital(s) for s in [*told, *readings])]


_WORDS = {"observation": "Leave-one-out scores", "group": "Leave-one-group-out scores"}


def _scores(results: dict[str, Any], comparisons: list[dict[str, Any]]) -> list[Block]:
    """The scores for all targets, one below the other, best first."""
    if not comparisons:
        return []
    heads = [
        column("Variant", width="label"), number("elpd"), number("SE"), number("MCSE"), number("Diff."),
        number("SE used"), number([math("p_\"loo\"")]), number("Weight"), number("Largest k"), number("Repaired"),
    ]  # fmt: skip
    rows: list[Any] = []
    for c in comparisons:
        rows += [[[{"strong": _WORDS[c.get("unit", "observation")]}]]] if len(comparisons) > 1 else []
        rows += [_score(results, s) for s in c["scores"]]
    what = "Scores of predictions" if len(comparisons) > 1 else _WORDS[comparisons[0].get("unit", "observation")]
    return [dense(table([f"{what}, best first. {_routes(results, comparisons)}"], heads, rows))]


def _score(results: dict[str, Any], s: dict[str, Any]) -> list[str]:
    return [
        variant_title(results, s["variant"]),
        *(fixed(s[k], 1) for k in ("elpd", "se")),
        fixed(s.get("mcse"), 2),
        *(fixed(s[k], 1) for k in ("elpd_diff", "se_diff_used", "p_loo")),
        fixed(s["weight"], 2),
        _pareto(s),
        format_count(s.get("repaired", 0)),
    ]


def _routes(results: dict[str, Any], comparisons: list[dict[str, Any]]) -> str:
    """How each score was found: routes with the variants that took them."""
    variants: dict[str, list[str]] = {}
    words: dict[str, str] = {}
    for c in comparisons:
        for s in c["scores"]:
            words[s["route_kind"]] = s["route"]
            variants.setdefault(s["route_kind"], []).append(variant_title(results, s["variant"]))
    parts = [f"{', '.join(dict.fromkeys(names))}: {words[kind]}" for kind, names in variants.items()]
    return f"How they were found. {'; '.join(parts)}."


def _repairs(comparisons: list[dict[str, Any]]) -> list[Block]:
    """How many scores had a high Pareto k and were repaired, by which routes; the first of them by name."""
    rows = [r for c in comparisons for r in c.get("repairs", [])]
    if not rows:
        return []
    shown = [f"{r['label']} of {r['variant'].replace('_', ' ')}, k {_k(r['pareto_k'])} to {_k(r['pareto_k_after'])} by "
             f"{r['route']}" for r in rows[:_MOST_REPAIRS]]  # fmt: skip
    more = f" and {len(rows) - _MOST_REPAIRS} more" if len(rows) > _MOST_REPAIRS else ""
    clause = f"{counted(len(rows), 'score')} with a high Pareto k {'was' if len(rows) == 1 else 'were'} repaired"
    return [prose(f"{clause}: {'; '.join(shown)}{more}. results.json has the scores before and after.")]


def _k(value: float | None) -> str:
    return "\N{INFINITY}" if value is None else fixed(value, 2)


def _pareto(score: dict[str, Any]) -> str:
    """The largest k: none where the score is exact, infinite where it could not be estimated."""
    if score["pareto_k_max"] is None:
        return "\N{INFINITY}" if score["pareto_k_high"] else DASH
    return fixed(score["pareto_k_max"], 2)


def _notes(comparisons: list[dict[str, Any]], noun: Noun) -> list[Block]:
    """What the columns mean, once for both tables."""
    if not comparisons:
        return []
    notes = "MCSE is the Monte Carlo error of elpd. "
    if any(s["weight"] is None for c in comparisons for s in c["scores"]):
        notes += (
            f"{DASH}: no weight, unless the best variant predicts better than each other one. Predict alike: a "
            f"difference below {SMALL_DIFFERENCE:g}. Predicts better: more, over {MANY_GROUPS} {noun.many} at least, "
            f"and not by chance (a bootstrap over {noun.many}, a standard error corrected for skewness). "
        )
    limit = fixed(comparisons[0]["k_threshold"], 2)
    return [prose(f"{notes}Pareto k is good below {limit}; r_eff is 1, as in R's loo.")]


def _ranking_withheld(results: dict[str, Any], c: dict[str, Any], target: str) -> list[Block]:
    """How reliable each score is, in the order of the model, without the scores."""
    order = {v["name"]: i for i, v in enumerate(results["model"]["variants"])}
    scores = sorted(c["scores"], key=lambda s: order.get(s["variant"], len(order)))
    rows = [
        [variant_title(results, s["variant"]), format_count(s["pareto_k_high"]), _pareto(s), s["route"]] for s in scores
    ]
    heads = [column("Variant", width="label"), number("Too high"), number("Largest k"), column("Route")]
    reason = [*c.get("withheld_because", []), *c.get("notes", [])]
    limit = f"Pareto k above {significant(c['k_threshold'])} makes a leave-one-out score unreliable"
    return [
        prose(f"{target}. The ranking is withheld. {limit}."),
        *bullets(reason),
        table(["Pareto k of each variant."], heads, rows),
    ]


SECTION = Section(section)
