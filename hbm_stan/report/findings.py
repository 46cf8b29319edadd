"""The sections that a failed check withholds: groups, population, new group, predictive check, comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from hbm_stan.report import own
from hbm_stan.report.blocks import (
    Block,
    Span,
    bullets,
    capital,
    column,
    figure,
    heading,
    math,
    number,
    prose,
    ref,
    sentence,
    table,
)  # fmt: skip
from hbm_stan.report.digits import (
    DASH,
    counted,
    fixed,
    format_count,
    format_estimate,
    format_probability,
    significant,
)  # fmt: skip
from hbm_stan.report.front import SUMMARY_COLUMNS, caption_unit, meaning_of, summary_row, variant_title, with_unit
from hbm_stan.report.shrinkage import shrinkage
from hbm_stan.report.terms import new_quantities


def withheld(results: dict[str, Any]) -> list[Block]:
    """One section in the place of the findings: what is not shown, and why."""
    kept = (
        "Pooled estimates, the posterior of the population, the prediction for a new group, the predictive check and "
    )
    return [
        heading("Findings withheld"),
        prose(kept, "the comparison are left out of this report, because a check failed that was not waived."),
        *bullets(results["answer"]),
        prose("The data above and the diagnostics below hold whatever the checks say."),
    ]


def population(results: dict[str, Any], figures: Iterable[str]) -> list[Block]:
    """Posterior of the parameters that all groups share, beside their priors."""
    fitted = results["fits"][results["main_variant"]]["parameters"]
    rows = [summary_row(n, meaning_of(results, n), fitted[n]) for n in results["population"] if n in fitted]
    if not rows:
        return []
    unit = caption_unit(results, results["population"])
    about = f"{variant_title(results, results['main_variant'])}: parameters shared by the groups"
    caption = ["Posterior draws and prior density. The axes leave out the outermost 0.1 % of the draws at each end."]
    return [
        heading("The population"),
        prose(
            "Where a posterior looks like its prior, the data have said little about it",
            *([" (", ref("population"), ")."] if "population" in figures else ["."]),
        ),
        *figure("population", figures, caption, "Posterior histograms of the population parameters with their priors."),
        table([with_unit(about, unit) + "."], SUMMARY_COLUMNS, rows),
    ]


def new_group(results: dict[str, Any], figures: Iterable[str]) -> list[Block]:
    """What to expect of a group that was not seen."""
    new = results["new_group"]
    if not new:
        return []
    rows = [[*summary_row(q["name"], q["meaning"], q)[:-1], *_positive(new, q)] for q in new_quantities(results)]
    heads = [*SUMMARY_COLUMNS[:-1], *([number("P(> 0)")] if new["signed"] else [])]
    caption = [
        "A hundred equally likely values of each quantity: one dot is one in a hundred. Bars hold 50 % and 90 %."
    ]
    where: list[Span] = [" (", ref("new_group"), ")"] if "new_group" in figures else []
    unit = caption_unit(results, [q["name"] for q in new_quantities(results)])
    made = f"Prediction for a new group, from {format_count(new['n_draws'])} draws"
    return [
        heading("A new group"),
        prose(*sentence(new["note"]), " What it is and one new observation of it are predicted together", *where, "."),
        *figure(
            "new_group", figures, caption, "Quantile dotplots of the predicted value and observation of a new group."
        ),
        table([with_unit(made, unit) + "."], heads, rows),
    ]


def _positive(new: dict[str, Any], quantity: dict[str, Any]) -> list[str]:
    return [format_probability(quantity["p_positive"], new["n_draws"])] if new["signed"] else []


def predictive(results: dict[str, Any], figures: Iterable[str]) -> list[Block]:
    """Replicated data against the observed."""
    ppc = results["ppc"]
    if not ppc:
        return []
    rows = [_statistic(s) for s in ppc["statistics"]]
    what = ppc_words(results)
    caption = [f"{capital(what)} of each group as observed, and the middle 50 % and 90 % of its replications."]
    where: list[Span] = [" (", ref("ppc"), ")"] if "ppc" in figures else []
    asked = "Data replicated from the fitted model should look like the data that were observed"
    p = (
        "The p value is the share of replications with a statistic at least as large as the observed one: "
        "near 0 or 1 is a misfit."
    )
    return [
        heading("Posterior predictive check"),
        prose(asked, *where, f". {p} ", *sentence(ppc["note"] or "")),
        *figure("ppc", figures, caption, f"Observed {what} against intervals of the replicated, by group."),
        table(["Statistics of the observed and the replicated data."], _STATISTIC_HEADS, rows),
    ]


def ppc_words(results: dict[str, Any]) -> str:
    """What the predictive check shows of a group: its only outcome, or the mean (share, rate) of its rows."""
    return str(results["ppc"].get("quantity", "outcome"))


_STATISTIC_HEADS = [
    column("Statistic", width="label"), number("Observed"), number("Replicated"), number("5 %"), number("95 %"),
    number("p value"),
]  # fmt: skip


def _statistic(s: dict[str, Any]) -> list[str]:
    """A row of the predictive check; a hundredth of the interval is taken for the Monte Carlo error of its ends."""
    known = s["q05"] is not None and s["q95"] is not None
    error = (s["q95"] - s["q05"]) / 100 if known else None
    numbers = (format_estimate(s[k], error) for k in ("observed", "replicated_mean", "q05", "q95"))
    return [s["name"], *numbers, format_probability(s["p_value"])]


def comparison(results: dict[str, Any], figures: Iterable[str]) -> list[Block]:
    """Expected log predictive density of the variants, and what may be concluded from it."""
    c = results["comparison"]
    if not c:
        return []
    size = counted(c["n_observations"], "observation")
    target = f"The variants are compared by how well they predict {c['target']}, over {size}"
    if c["withheld"]:
        return [heading("Comparison of the variants"), *_ranking_withheld(results, c, target)]
    caption = [
        "Difference in expected log predictive density of the ranked variants. Bars are one and two of the "
        "standard errors used."
    ]
    where: list[Span] = [" (", ref("comparison"), ")"] if "comparison" in figures else []
    alt = "Differences in elpd from the best variant with their standard errors; the band below 4 is shaded."
    return [
        heading("Comparison of the variants"),
        prose(target, *where, "."),
        *bullets(capital(s) for s in c["verdict"]),
        *figure("comparison", figures, caption, alt),
        _scores(results, c),
        *bullets([f"{variant_title(results, s['variant'])}: {s['reading']}" for s in c["scores"] if s["reading"]]),
        *_weight_note(c),
    ]


def _scores(results: dict[str, Any], c: dict[str, Any]) -> Block:
    heads = [
        column("Variant", width="label"), number("elpd"), number("SE"), number("Diff."), number("SE used"),
        number([math("p_\"loo\"")]), number("Weight"), number("Largest k"), column("Route", width="label"),
    ]  # fmt: skip
    rows = [
        [
            variant_title(results, s["variant"]),
            *(fixed(s[k], 1) for k in ("elpd", "se", "elpd_diff", "se_diff_used", "p_loo")),
            fixed(s["weight"], 2),
            _pareto(s),
            s["route"],
        ]
        for s in c["scores"]
    ]
    return table(["Leave-one-out scores, best first."], heads, rows)


def _pareto(score: dict[str, Any]) -> str:
    """The largest k: none where the score is exact, infinite where it could not be estimated."""
    if score["pareto_k_max"] is None:
        return "\N{INFINITY}" if score["pareto_k_high"] else DASH
    return fixed(score["pareto_k_max"], 2)


def _weight_note(c: dict[str, Any]) -> list[Block]:
    if all(s["weight"] is not None for s in c["scores"]):
        return []
    return [
        prose(
            f"{DASH}: no weight where a difference is not distinguishable or a variant is not ranked. Distinguishable "
            "means an elpd difference of at least 4 and of two standard errors. Pareto k is good below "
            f"{fixed(c['k_threshold'], 2)}; r_eff is 1, as in R's loo."
        )
    ]


def _ranking_withheld(results: dict[str, Any], c: dict[str, Any], target: str) -> list[Block]:
    """How reliable each score is, in the order of the model, without the scores."""
    order = {v["name"]: i for i, v in enumerate(results["model"]["variants"])}
    scores = sorted(c["scores"], key=lambda s: order.get(s["variant"], len(order)))
    rows = [[variant_title(results, s["variant"]), _count(s), _pareto(s), s["route"]] for s in scores]
    heads = [column("Variant", width="label"), number("Too high"), number("Largest k"), column("Route")]
    reason = [s for s in c["verdict"] if "withheld" in s][:1]
    limit = f"Pareto k above {significant(c['k_threshold'])} makes a leave-one-out score unreliable"
    return [
        prose(f"{target}. The ranking is withheld. {limit}."),
        *bullets(reason),
        table(["Pareto k of each variant."], heads, rows),
    ]


def _count(score: dict[str, Any]) -> str:
    return format_count(score["pareto_k_high"])


SECTIONS: tuple[Callable[[dict[str, Any], Iterable[str]], list[Block]], ...] = (
    shrinkage, population, new_group, own.section, predictive, comparison,
)  # fmt: skip
