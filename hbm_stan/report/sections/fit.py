"""The section on the fit: replicated data beside the observed, what the priors expect, and rows that are left out."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import Any

from hbm_stan.histograms import is_whole
from hbm_stan.nouns import capital, of_results
from hbm_stan.report.blocks import Block, Span, column, figure, heading, number, prose, ref, sentence, table
from hbm_stan.report.section import Drawings, Section
from hbm_stan.report.sections import left_out
from hbm_stan.report.words import drawn_in_words
from hbm_stan.results.collect import Findings
from hbm_stan.results.digits import DASH, MINUS, format_estimate, format_probability, significant


def section(results: dict[str, Any], figures: Iterable[str]) -> list[Block]:
    """Replicated data against the observed, beside what the priors alone expect."""
    ppc = results["ppc"]
    if not ppc:
        return prior_alone(results)
    what, one = ppc_words(results), of_results(results).one
    caption = [f"{capital(what)} of each {one} as observed (dots), and the middle 50 % and 90 % of its replications."]
    if ppc.get("rows"):
        caption = [
            f"Rows by their value, observed (line) and replicated (bands); {what} of each {one} beside 50 % and 90 %."
        ]
    if panel := left_out.panel_words(results):
        caption = [_places(bool(ppc.get("rows")), panel, f"{what} of each {one} beside 50 % and 90 %")]
    caption[0] += drawn_in_words(results["data"]["n_groups"], of_results(results).many)
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
    return [DASH if row is None else _rough(row[k], row["observed"]) for k in ("q05", "q95")]


def _rough(value: float | None, observed: float | None) -> str:
    """What priors expect: next to nothing beside the observed is 0, and large numbers have a power of ten."""
    if value is not None and abs(value) < _NOTHING * abs(observed or 0.0):
        return "0"
    if value is not None and math.isfinite(value) and abs(value) >= _LARGE:
        return f"{value:.2e}".replace("e+0", "e").replace("e+", "e").replace("-", MINUS)
    return significant(value)


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
_NOTHING, _LARGE = 1e-3, 1e5  # of what priors expect, beside the observed and by itself (ours)
_FINEST = 5e-4  # the error of a statistic that nearly all replications have equal: three decimals (ours)
_STATISTIC_HEADS = [
    column("Statistic", width="label"), number("Observed"), number("Replicated"), number("5 %"), number("95 %"),
    number("p value"),
]  # fmt: skip


def _statistic(s: dict[str, Any]) -> list[str]:
    """A row of the predictive check; a hundredth of the interval is taken for the Monte Carlo error of its ends."""
    known = s["q05"] is not None and s["q95"] is not None
    error = ((s["q95"] - s["q05"]) / 100 or _FINEST) if known else None
    numbers = (format_estimate(s[k], error) for k in ("observed", "replicated_mean", "q05", "q95"))
    return [s["name"], *numbers, format_probability(s["p_value"])]


def drawings(findings: Findings, results: dict[str, Any]) -> Drawings:
    """The figure of the predictive check, where data were replicated."""
    from hbm_stan import plots

    drawn = left_out.drawings(results)
    if findings.ppc is None:
        return drawn
    main, groups, noun = findings.fits[results["main_variant"]], findings.ppc.groups, of_results(results)
    unit, what = results["data"]["observed_unit"], results["ppc"]["quantity"]
    rows = findings.ppc.rows
    whole = rows is not None and is_whole(main.y) and results["data"]["observed"] != "share"
    beside = left_out.panel_of(results)
    ppc = partial(plots.plot_ppc, groups, unit, what, noun.one, noun.many, rows, whole, beside)
    return {"ppc": ppc, **drawn}


SECTION = Section(section, drawings)
