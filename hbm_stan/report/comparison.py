"""The comparison of the variants: a new row of a known group, a new group, and how each score was found."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hbm_stan.judge import MANY_GROUPS
from hbm_stan.nouns import Noun, of_results
from hbm_stan.report.blocks import (
    Block,
    Span,
    bullets,
    capital,
    column,
    dense,
    figure,
    heading,
    math,
    number,
    prose,
    ref,
    table,
)  # fmt: skip
from hbm_stan.report.digits import DASH, counted, fixed, format_count, significant
from hbm_stan.report.front import group_count, variant_title
from hbm_stan.scores import SMALL_DIFFERENCE

# Repaired units that a table lists; more are counted.
_MOST_REPAIRS = 12
_ALT = "Differences in elpd from the best variant with their standard errors; the band below 4 is shaded."


def comparison(results: dict[str, Any], figures: Iterable[str]) -> list[Block]:
    """Expected log predictive density of the variants for each target, and what may be concluded from it."""
    made = [(results[name], name) for name in ("comparison", "group_comparison") if results.get(name)]
    if not made:
        return []
    blocks, noun = [heading("Comparison of the variants")], of_results(results)
    if len(made) > 1:
        blocks.append(
            prose(
                "Two questions, which may have different answers: how well a variant predicts another row of a known "
                f"{noun.one}, and how well all rows of a new {noun.one}."
            )
        )
    for c, name in made:
        blocks += _target(results, c, name, figures)
    return [*blocks, *_notes([c for c, _ in made], noun)]


def _target(results: dict[str, Any], c: dict[str, Any], name: str, figures: Iterable[str]) -> list[Block]:
    unit = c.get("unit", "observation")
    size = counted(c.get("n_units", c["n_observations"]), "observation") if unit != "group" else group_count(results)
    target = f"The variants are compared by how well they predict {c['target']}, over {size}"
    if c["withheld"]:
        return [*_ranking_withheld(results, c, target), *_repairs(results, c)]
    caption = [
        f"Difference in expected log predictive density of the ranked variants, over {size}. Bars are one and two of "
        "the standard errors used."
    ]
    where: list[Span] = [" (", ref(name), ")"] if name in figures else []
    return [
        prose(target, *where, "."),
        *bullets(capital(s) for s in [*c["verdict"], *c.get("notes", [])]),
        *figure(name, figures, caption, _ALT),
        _scores(results, c, unit),
        *_routes(results, c),
        *_repairs(results, c),
        *bullets([f"{variant_title(results, s['variant'])}: {s['reading']}" for s in c["scores"] if s["reading"]]),
    ]


def _scores(results: dict[str, Any], c: dict[str, Any], unit: str) -> Block:
    heads = [
        column("Variant", width="label"), number("elpd"), number("SE"), number("MCSE"), number("Diff."),
        number("SE used"), number([math("p_\"loo\"")]), number("Weight"), number("Largest k"), number("Repaired"),
    ]  # fmt: skip
    rows = [
        [
            variant_title(results, s["variant"]),
            *(fixed(s[k], 1) for k in ("elpd", "se")),
            fixed(s.get("mcse"), 2),
            *(fixed(s[k], 1) for k in ("elpd_diff", "se_diff_used", "p_loo")),
            fixed(s["weight"], 2),
            _pareto(s),
            format_count(s.get("repaired", 0)),
        ]
        for s in c["scores"]
    ]
    words = {"observation": "Leave-one-out", "group": "Leave-one-group-out"}[unit]
    return dense(table([f"{words} scores, best first."], heads, rows))


def _routes(results: dict[str, Any], c: dict[str, Any]) -> list[Block]:
    said = "; ".join(f"{variant_title(results, s['variant'])}: {s['route']}" for s in c["scores"])
    return [prose(f"How each score was found. {said}.")]


def _repairs(results: dict[str, Any], c: dict[str, Any]) -> list[Block]:
    """Each repaired unit: from which Pareto k by which route to which."""
    rows = c.get("repairs", [])
    if not rows:
        return []
    heads = [
        column("Variant", width="label"), column("Repaired", width="label"), number("k"), number("k after"),
        number("elpd"), number("elpd after"), column("Route"),
    ]  # fmt: skip
    shown = [
        [
            variant_title(results, r["variant"]), r["label"], _k(r["pareto_k"]), _k(r["pareto_k_after"]),
            fixed(r["elpd_before"], 2), fixed(r["elpd"], 2), r["route"],
        ]
        for r in rows[:_MOST_REPAIRS]
    ]  # fmt: skip
    more = f" {len(rows) - _MOST_REPAIRS} more are in results.json." if len(rows) > _MOST_REPAIRS else ""
    return [dense(table([f"Scores with a high Pareto k, and how they were repaired.{more}"], heads, shown))]


def _k(value: float | None) -> str:
    return "\N{INFINITY}" if value is None else fixed(value, 2)


def _pareto(score: dict[str, Any]) -> str:
    """The largest k: none where the score is exact, infinite where it could not be estimated."""
    if score["pareto_k_max"] is None:
        return "\N{INFINITY}" if score["pareto_k_high"] else DASH
    return fixed(score["pareto_k_max"], 2)


def _notes(made: list[dict[str, Any]], noun: Noun) -> list[Block]:
    """What the columns mean, once for both tables."""
    if all(c["withheld"] for c in made):
        return []
    said = "MCSE is the Monte Carlo error of elpd. "
    if any(s["weight"] is None for c in made for s in c["scores"]):
        said += (
            f"{DASH}: no weight, unless the best variant predicts better than each other one, and none for a variant "
            f"that is not ranked. Predict alike means an elpd difference below {SMALL_DIFFERENCE:g}. Predicts better "
            f"means more, over {MANY_GROUPS} {noun.many} at least, and not by chance: by a bootstrap over {noun.many} "
            "and by a standard error that is corrected for skewness. "
        )
    limit = fixed(made[0]["k_threshold"], 2)
    return [prose(f"{said}Pareto k is good below {limit}; r_eff is 1, as in R's loo.")]


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
