"""The sections that a failed check withholds: groups, population, new group, predictive check, comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from hbm_stan.nouns import of_results
from hbm_stan.report import caterpillars, coefficients, own, ratios, sensitivity, shares
from hbm_stan.report.blocks import (
    Block,
    Span,
    bullets,
    capital,
    column,
    figure,
    heading,
    number,
    prose,
    ref,
    sentence,
    table,
)  # fmt: skip
from hbm_stan.report.comparison import comparison
from hbm_stan.report.digits import (
    DASH,
    format_count,
    format_estimate,
    format_probability,
)  # fmt: skip
from hbm_stan.report.front import SUMMARY_COLUMNS, caption_unit, meaning_of, summary_row, variant_title, with_unit
from hbm_stan.report.shrinkage import shrinkage
from hbm_stan.report.terms import new_quantities
from hbm_stan.verdicts import PREDICTIVE_CHECK


def withheld(results: dict[str, Any], figures: Iterable[str]) -> list[Block]:
    """One section in the place of the findings: what is not shown, and why; replicated data, where these failed."""
    misfit = any(
        v["name"] == PREDICTIVE_CHECK and v["status"] == "fail" and not v["waived"]
        for fit in results["fits"].values()
        for v in fit["verdicts"]
    )
    kept = "Pooled estimates, the posterior of the population, the prediction for a new "
    kept += of_results(results).one
    kept += " and " if misfit else ", the predictive check and "
    return [
        heading("Findings withheld"),
        prose(kept, "the comparison are left out of this report, because a check failed that was not waived."),
        *bullets(results["answer"]),
        prose("The data above and the diagnostics below hold whatever the checks say."),
        *(predictive(results, figures) if misfit else []),
    ]


def population(results: dict[str, Any], figures: Iterable[str]) -> list[Block]:
    """Posterior of the parameters that all groups share, beside their priors."""
    fitted = results["fits"][results["main_variant"]]["parameters"]
    rows = [summary_row(n, meaning_of(results, n), fitted[n]) for n in results["population"] if n in fitted]
    if not rows:
        return []
    unit = caption_unit(results, results["population"])
    about = f"{variant_title(results, results['main_variant'])}: parameters shared by the {of_results(results).many}"
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
    heads = [*SUMMARY_COLUMNS[:-1], *([number("P(> 0)")] if _signed(new) else [])]
    caption = [
        "A hundred equally likely values of each quantity: one dot is one in a hundred. Bars hold 50 % and 90 %."
    ]
    where: list[Span] = [" (", ref("new_group"), ")"] if "new_group" in figures else []
    unit, one = caption_unit(results, [q["name"] for q in new_quantities(results)]), of_results(results).one
    made = f"Prediction for a new {one}, from {format_count(new['n_draws'])} draws"
    return [
        heading(f"A new {one}"),
        prose(*sentence(new["note"]), " What it is and one new observation of it are predicted together", *where, "."),
        *figure(
            "new_group", figures, caption, f"Quantile dotplots of the predicted value and observation of a new {one}."
        ),
        table([with_unit(made, unit) + "."], heads, rows),
    ]


def _signed(new: dict[str, Any]) -> bool:
    """Whether the side of zero says something of any of the quantities."""
    return any(q["sign"] for q in new["quantities"])


def _positive(new: dict[str, Any], quantity: dict[str, Any]) -> list[str]:
    if not _signed(new):
        return []
    return [format_probability(quantity["p_positive"], new["n_draws"]) if quantity["sign"] else DASH]


def predictive(results: dict[str, Any], figures: Iterable[str]) -> list[Block]:
    """Replicated data against the observed."""
    ppc = results["ppc"]
    if not ppc:
        return []
    rows = [_statistic(s) for s in ppc["statistics"]]
    what, one = ppc_words(results), of_results(results).one
    caption = [f"{capital(what)} of each {one} as observed, and the middle 50 % and 90 % of its replications."]
    where: list[Span] = [" (", ref("ppc"), ")"] if "ppc" in figures else []
    asked = "Data replicated from the fitted model should look like the data that were observed"
    p = (
        "The p value is the share of replications with a statistic at least as large as the observed one: "
        "near 0 or 1 is a misfit."
    )
    return [
        heading("Posterior predictive check"),
        prose(asked, *where, f". {p} ", *sentence(ppc["note"] or "")),
        *figure("ppc", figures, caption, f"Observed {what} against intervals of the replicated, by {one}."),
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


SECTIONS: tuple[Callable[[dict[str, Any], Iterable[str]], list[Block]], ...] = (
    coefficients.section, shares.section, shrinkage, caterpillars.section, ratios.section, population, new_group,
    own.section, predictive, comparison, sensitivity.section,
)  # fmt: skip
