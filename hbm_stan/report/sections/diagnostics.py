"""The section on the sampler: verdicts by variant, parameters, ranks, energy, effective sample sizes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hbm_stan.nouns import Noun, of_results
from hbm_stan.plots.fonts import drawable
from hbm_stan.plots.labels import shorten
from hbm_stan.report.blocks import (
    GREEK,
    Block,
    Span,
    bullets,
    column,
    dense,
    figure,
    heading,
    mono,
    number,
    parameter,
    prose,
    ref,
    sentence,
    status,
    table,
)  # fmt: skip
from hbm_stan.report.section import Drawings, Section, When
from hbm_stan.results.collect import Findings
from hbm_stan.results.digits import (
    DASH,
    counted,
    fixed,
    format_count,
    format_mcse,
    format_rhat,
    format_summary,
    significant,
)
from hbm_stan.results.draw_tables import energy_table, ess_table, rank_table
from hbm_stan.results.tables import CHECKS, PARAMETERS
from hbm_stan.rhat import MIN_ESS_PER_CHAIN
from hbm_stan.verdicts import OF_PARAMETERS, SAMPLING_CHECKS, check_title, figure_of

_MOST_PARAMETERS = 60
# The checks of the draws that a short table shows.
_SHORT = ("R-hat", "bulk ESS", "tail ESS", "MCSE", "divergences", "tree depth", "E-BFMI")
_MATRIX_CELLS = 20  # a label in the table of all variants; the parameter table has it in full
_RULES = {  # check -> words before the limit
    "R-hat": "below ", "bulk ESS": "at least ", "tail ESS": "at least ", "MCSE": "at most ", "E-BFMI": "at least ",
    "number of chains": "at least ", "warm-up": "at least ", "number of groups": "at least ",
    "groups of one row": "at most ", "Pareto k": "below ", "Pareto k, groups": "below ",
    "importance weights": "below ", "predictive check": "p at least ", "intraclass correlation": "p at least ",
    "LOO-PIT": "p at least ", "calibration": "p at least ",
}  # fmt: skip
# The checks whose finding a comparison tells beside its scores.
_READ_BY = {"p_loo": "comparison", "p_loo, groups": "group_comparison"}


def _number(name: str, value: float | None) -> str:
    if value is None:
        return DASH
    figure = figure_of(name)
    if figure == "rhat":
        return format_rhat(value)
    if figure == "probability":
        return f"{value:.1g}"
    if figure == "ratio":
        return fixed(value, 2)
    return format_count(value) if figure == "count" or float(value).is_integer() else significant(value)


def _limit(name: str, value: float | None) -> str:
    if value is None:
        return DASH
    return _RULES.get(name, "") + (f"{value:g}" if figure_of(name) == "rhat" else _number(name, value))


def _where(verdict: dict[str, Any], room: int = 40) -> list[Span]:
    subject = verdict["subject"]
    if verdict["name"] not in OF_PARAMETERS:
        return [shorten(subject, room)]
    name, bracket, label = subject.partition("[")
    if name.partition("_")[0] in GREEK or (bracket and len(name) == 1):
        return parameter(f"{name}[{shorten(drawable(label.removesuffix(']')), room)}]" if bracket else name)
    return [mono(shorten(drawable(subject), room))] if bracket else [shorten(subject, room)]


def verdict_table(caption: str, verdicts: list[dict[str, Any]], noun: Noun) -> Block:
    """Verdicts one below the other: name, what it is about, value, limit, result."""
    rows: list[list[Any]] = []
    for v in verdicts:
        value, limit = _number(v["name"], v["value"]), _limit(v["name"], v["threshold"])
        rows.append([check_title(v["name"], noun), _where(v), value, limit, [status(v["status"], v["waived"])]])
    heads = [column("Check", width="label"), column("About"), number("Found"), column("Limit"), column("Result")]
    if not any(v["subject"] for v in verdicts):
        heads, rows = [h for i, h in enumerate(heads) if i != 1], [[*r[:1], *r[2:]] for r in rows]
    return table([caption], heads, rows)


def _by_variant(results: dict[str, Any], titles: dict[str, str]) -> Block:
    """Checks down, variants across: value and result of each."""
    fits = results["fits"]
    verdicts: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for variant, fit in fits.items():
        for v in fit["verdicts"]:
            verdicts.setdefault(v["name"], {}).setdefault(variant, []).append(v)
    rows: list[list[Any]] = []
    for name, by_variant in verdicts.items():
        first = next(iter(by_variant.values()))[0]
        cells = [_results(name, by_variant.get(variant, [])) for variant in fits]
        rows.append([check_title(name, of_results(results)), _limit(name, first["threshold"]), *cells])
    heads = [column("Check"), column("Limit"), *(column(titles.get(v, v), width="1fr") for v in fits)]
    caption = "Checks of each fit: the worst value found, the parameter or chain it belongs to, the result."
    return table([caption], heads, rows)


def _results(name: str, verdicts: list[dict[str, Any]]) -> list[Span]:
    spans: list[Span] = []
    for v in verdicts:
        about = _where(v, _MATRIX_CELLS) if v["subject"] else []
        spans += [" " if spans else "", _number(name, v["value"]), " ", *about, " " if about else ""]
        spans.append(status(v["status"], v["waived"]))
    return spans or [DASH]


def hints(verdicts: Iterable[dict[str, Any]], noun: Noun) -> list[Block]:
    """What to do about the verdicts that did not pass."""
    open_ones = [v for v in verdicts if v["status"] != "pass" and v["hint"]]
    return bullets([[{"strong": f"{check_title(v['name'], noun)}. "}, *sentence(v["hint"])] for v in open_ones])


def chains_passed(results: dict[str, Any]) -> bool:
    """Whether all checks of the draws themselves passed: then they need a line and a table, else everything."""
    checks = (v for fit in results["fits"].values() for v in fit["verdicts"] if v["name"] in SAMPLING_CHECKS)
    return all(v["status"] == "pass" for v in checks)


def section(results: dict[str, Any], figures: Iterable[str]) -> list[Block]:
    """Everything that the verdict on page one rests on: short where the chains passed, long where they did not."""
    titles = {v["name"]: v["title"] for v in results["model"]["variants"]}
    s = results["settings"]
    direct = [fit for fit in results["fits"].values() if fit.get("direct")]
    chains = f"{counted(s['chains'], 'chain')} of {s['warmup']} warm-up iterations and {s['draws']} draws"
    if len(direct) == len(results["fits"]):
        chains = f"{counted(s['chains'], 'independent stream')} of {s['draws']} direct draws, which stand for chains"
    elif direct:
        chains += " where it was sampled, and with as many streams of direct draws where it was not"
    ran = (
        f"Each variant was run with {chains}. R-hat, effective sample sizes and Monte Carlo errors are those of "
        "Vehtari et al. (2021). "
    )
    again = [fit["attempts"] for fit in results["fits"].values() if fit.get("attempts")]
    told = _told(results, titles)
    if chains_passed(results):
        ran += "The chains of every variant passed their checks; all parameters and all checks are in "
        files: list[Span] = [mono(PARAMETERS), " and ", mono(CHECKS), "."]
        return [heading("Diagnostics"), prose(ran, *files), *bullets(again), _worst(results, titles), *told]
    blocks = [heading("Diagnostics"), prose(ran), *bullets(again), _by_variant(results, titles)]
    return [*blocks, *told, *_parameters(results, titles), *_figures(figures)]


def _told(results: dict[str, Any], titles: dict[str, str]) -> list[Block]:
    """What to do about checks that did not pass, by variant; the comparison has said what it finds of its own."""
    covered = {
        (s["variant"], check)
        for check, name in _READ_BY.items() if results.get(name)
        for s in results[name]["scores"] if s["reading"]
    }  # fmt: skip
    blocks = []
    for variant, fit in results["fits"].items():
        open_ones = [
            v for v in fit["verdicts"]
            if v["status"] != "pass" and v["hint"] and (variant, v["name"]) not in covered
        ]  # fmt: skip
        title = titles.get(variant, variant)
        blocks += bullets([
            [{"strong": f"{title}, {check_title(v['name'], of_results(results))}. "}, *sentence(v["hint"])]
            for v in open_ones
        ])  # fmt: skip
    return blocks


def _worst(results: dict[str, Any], titles: dict[str, str]) -> Block:
    """The worst value of each kind, a row for each variant."""
    shown = [n for n in _SHORT if any(v["name"] == n for fit in results["fits"].values() for v in fit["verdicts"])]
    rows = []
    for variant, fit in results["fits"].items():
        verdicts = {v["name"]: v for v in fit["verdicts"]}
        cells = [_number(n, verdicts[n]["value"]) if n in verdicts else DASH for n in shown]
        rows.append([titles.get(variant, variant), *cells])
    limits = {v["name"]: v["threshold"] for fit in results["fits"].values() for v in fit["verdicts"]}
    heads = [column("Variant", width="label"), *(number(check_title(n, of_results(results))) for n in shown)]
    allowed = "; ".join(f"{check_title(n, of_results(results))} {_limit(n, limits[n])}" for n in shown)
    return dense(table([f"The worst value of each check. Allowed: {allowed}."], heads, rows))


def _figures(figures: Iterable[str]) -> list[Block]:
    blocks: list[Block] = []
    blocks += figure(
        "ranks", figures,
        [
            "Ranks of the draws by chain. Chains that agree show no common slope; about one bin in a hundred leaves "
            "the band by chance."
        ],
        "Rank histograms of the main parameters, one line for each chain, with the expected band.",
    )  # fmt: skip
    blocks += figure(
        "energy", figures,
        [
            "Energy by chain. Where transitions are much narrower than the marginal energy, the chain explores the "
            "tails slowly."
        ],
        "Histograms of the marginal energy and of the energy transitions, one panel for each chain.",
    )  # fmt: skip
    blocks += figure(
        "ess", figures,
        ["Effective sample size, bulk (for means) and tail (for the ends of intervals)."],
        "Bulk and tail effective sample size of each parameter, with the least that is asked for as a dashed line.",
    )  # fmt: skip
    shown: list[Span] = []
    for index, block in enumerate(blocks):
        between = "" if index == 0 else " and " if index == len(blocks) - 1 else ", "
        shown += [between, ref(block["name"])]
    return [prose("The chains of the main variant are shown in ", *shown, "."), *blocks] if shown else []


def _parameters(results: dict[str, Any], titles: dict[str, str]) -> list[Block]:
    main = results["main_variant"]
    everything = results["fits"].get(main, {}).get("parameters", {})
    # The population first: what it derives, the programs have last.
    first = [n for n in results["population"] if n in everything]
    names = [*first, *(n for n in everything if n not in set(first))][:_MOST_PARAMETERS]
    if not names:
        return []
    cut = f" First {len(names)} of {format_count(len(everything))}." if len(names) < len(everything) else ""
    if results["withheld"]:
        caption, heads, row = "", [], _bare_row
    else:
        caption, heads, row = ": means, standard deviations, quantiles", _SUMMARY, _full_row
    title = f"Parameters of {titles.get(main, main).lower()}{caption}.{cut}"
    rows = [row(n, everything[n]) for n in names]
    return [table([title], [column("", width="label"), *heads, *_QUALITY], rows)]


_SUMMARY = [number("Mean"), number("SD"), number("5 %"), number("50 %"), number("95 %")]
_QUALITY = [number("MCSE"), number("R-hat"), number("Bulk ESS"), number("Tail ESS")]


def _bare_row(name: str, p: dict[str, Any]) -> list[Any]:
    """How well a parameter is known, without what is known: for reports that withhold their conclusion."""
    ess = [format_count(p.get("ess_bulk")), format_count(p.get("ess_tail"))]
    return [parameter(name), format_mcse(p.get("mcse_mean")), format_rhat(p.get("rhat")), *ess]


def _full_row(name: str, p: dict[str, Any]) -> list[Any]:
    label, *quality = _bare_row(name, p)
    return [label, *format_summary(p), *quality]


def drawings(findings: Findings, results: dict[str, Any]) -> Drawings:
    """Ranks, energy and effective sample sizes of the main variant, where a check of the draws did not pass."""
    from hbm_stan import plots

    if chains_passed(results):
        return {}
    main, summary = findings.fits[results["main_variant"]], findings.diagnoses[results["main_variant"]].summary
    return {
        "ranks": lambda: plots.plot_ranks(rank_table(main, summary)),
        **({} if main.direct else {"energy": lambda: plots.plot_energy(energy_table(main))}),
        "ess": lambda: plots.plot_ess(ess_table(summary), MIN_ESS_PER_CHAIN * main.sampling.chains),
    }


SECTION = Section(section, drawings, When.ALWAYS)
