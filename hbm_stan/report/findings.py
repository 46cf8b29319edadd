"""The sections that a failed check withholds: groups, population, new group, predictive check, comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from hbm_stan.elements import base_of
from hbm_stan.nouns import of_results
from hbm_stan.report import caterpillars, coefficients, conditional, left_out, own, ratios, sensitivity, shares
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
    format_estimate,
    format_probability,
    significant,
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
    sections = "Pooled estimates, the posterior of the population, the prediction for a new "
    sections += of_results(results).one
    sections += " and " if misfit else ", the predictive check and "
    return [
        heading("Findings withheld"),
        prose(sections, "the comparison are left out of this report, because a check failed that was not waived."),
        *bullets(results["answer"]),
        prose("The data above and the diagnostics below hold whatever the checks say."),
        *(predictive(results, figures) if misfit else prior_alone(results)),
    ]


def population(results: dict[str, Any], figures: Iterable[str]) -> list[Block]:
    """Posterior of the parameters that all groups share, and what to expect of a group that was not seen."""
    fitted = results["fits"][results["main_variant"]]["parameters"]
    noun, new = of_results(results), new_quantities(results)
    # The common coefficients of a formula have a table of their own.
    own = "beta" if results["coefficients"] else ""
    shared = [n for n in results["population"] if n in fitted and base_of(n) != own]
    rows = [summary_row(n, meaning_of(results, n), fitted[n]) for n in shared]
    rows += [summary_row(q["name"], q["meaning"], q) for q in new]
    if not rows:
        return []
    what = [f"the {noun.many} share"] * bool(shared) + [f"a new {noun.one}"] * bool(new)
    about = f"{variant_title(results, results['main_variant'])}: what {', and '.join(what)}"
    unit = caption_unit(results, [*shared, *(q["name"] for q in new)])
    title = f"The population and a new {noun.one}" if new else "The population"
    return [
        heading(title),
        *(prose(*_of_new(results, figures)) for _ in new[:1]),
        *figure("new_group", figures, [_DOTS], f"Quantile dotplots of a new {noun.one}."),
        table(
            [with_unit(about, unit) + ". MCSE is the Monte Carlo standard error of the mean."], SUMMARY_COLUMNS, rows
        ),
    ]


_DOTS = "A hundred equally likely values of each quantity: one dot is one in a hundred. Bars hold 50 % and 90 %."


def _of_new(results: dict[str, Any], figures: Iterable[str]) -> list[Span]:
    """Where a new group comes from, where it is drawn, and on which side of zero it lies how surely."""
    new = results["new_group"]
    where = next((name for name in ("new_group", "answer") if name in figures), None)
    spans = [*sentence(new["note"]), *([" It is drawn in ", ref(where), "."] if where else [])]
    signs = [q for q in new_quantities(results) if q["sign"]]
    if signs:
        parts = [f"{format_probability(q['p_positive'], new['n_draws'])} that of the {q['meaning']}" for q in signs]
        spans.append(f" The probability of a value above zero: {', '.join(parts)}.")
    return spans


def predictive(results: dict[str, Any], figures: Iterable[str]) -> list[Block]:
    """Replicated data against the observed, beside what the priors alone expect."""
    ppc = results["ppc"]
    if not ppc:
        return prior_alone(results)
    what, one = ppc_words(results), of_results(results).one
    caption = [f"{capital(what)} of each {one} as observed (points), and the middle 50 % and 90 % of its replications."]
    if ppc.get("rows"):
        caption = [
            f"Rows by their value, observed (line) and replicated (bands); {what} of each {one} beside 50 % and 90 %."
        ]
    if panel := left_out.panel_words(results):
        caption = [_places(bool(ppc.get("rows")), panel, f"{what} of each {one} beside 50 % and 90 %")]
    where: list[Span] = [" (", ref("ppc"), ")"] if "ppc" in figures else []
    asked = "Data replicated from the fitted model should look like the data that were observed"
    p = (
        "The p value is the share of replications with a statistic at least as large as the observed one: "
        "near 0 or 1 is a misfit."
    )
    priors = {r["kind"]: r for r in results["prior_check"]}
    prior = " Data from the priors alone should hold what was observed, and little that is absurd." if priors else ""
    heads = [*_STATISTIC_HEADS, *([number("Priors 5 %"), number("95 %")] if priors else [])]
    rows = [[*_statistic(s), *(_prior(priors.get(s["kind"])) if priors else [])] for s in ppc["statistics"]]
    return [
        heading("Fit"),
        prose(asked, *where, f". {p} ", *sentence(ppc["note"] or ""), prior, *left_out.sentences(results, figures)),
        *figure("ppc", figures, caption, f"Observed {what} against intervals of the replicated, by {one}."),
        table([_STATISTICS], heads, rows) | {"whole": len(rows) <= _UNDIVIDED},
        *left_out.both(results, figures),
    ]


def _places(rows: bool, panel: str, groups: str) -> str:
    """The caption of replicated data where rows that are left out stand beside them."""
    first = "Left: rows by their value, observed (line) and replicated (bands). Middle" if rows else "Left"
    return f"{first}: {panel} Right: {groups}."


def _prior(row: dict[str, Any] | None) -> list[str]:
    return [DASH if row is None else significant(row[k]) for k in ("q05", "q95")]


def prior_alone(results: dict[str, Any]) -> list[Block]:
    """What the priors alone expect of such data, where no data are replicated."""
    rows = results["prior_check"]
    if not rows:
        return []
    intro = (
        "Data drawn from the priors alone should hold what was observed, and little that is absurd: the observed "
        "statistic is set beside its 5 % and 95 % quantiles in data sets drawn from the priors."
    )
    shown = [[r["name"], significant(r["observed"]), *_prior(r)] for r in rows]
    heads = [column("Statistic", width="label"), number("Observed"), number("5 %"), number("95 %")]
    return [heading("Prior predictive check"), prose(intro), table(["What the priors expect."], heads, shown)]


def ppc_words(results: dict[str, Any]) -> str:
    """What the predictive check shows of a group: its only outcome, or the mean (share, rate) of its rows."""
    return str(results["ppc"].get("quantity", "outcome"))


_STATISTICS = "Statistics of the observed data, of replicated data, and of data from the priors alone."
_UNDIVIDED = 5  # statistics that stand on one page; more, as of counts, would leave a page half empty (ours)
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
    coefficients.section, conditional.section, shrinkage, caterpillars.section, ratios.section, population,
    shares.section, own.section, predictive, comparison, sensitivity.section,
)  # fmt: skip
