"""Page one: the question, the answer in words, what the checks say, and the numbers that carry the answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hbm_stan.elements import term_of
from hbm_stan.nouns import Noun, of_results
from hbm_stan.predictors import INTERCEPT
from hbm_stan.report.blocks import (
    Block,
    Spans,
    bullets,
    capital,
    column,
    math,
    number,
    parameter,
    sentence,
    status,
    table,
)
from hbm_stan.report.digits import counted, format_count, format_mcse, format_summary
from hbm_stan.report.terms import in_term, new_quantities, unit_of_terms
from hbm_stan.verdicts import check_title

_MOST_SCALARS, _MOST_NEW = 8, 4
MU = math("mu")


def variant_title(results: dict[str, Any], name: str) -> str:
    """The title of a variant, or its name as words."""
    titles = {v["name"]: v["title"] for v in results["model"]["variants"]}
    return str(titles.get(name, name.replace("_", " ")))


def all_verdicts(results: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Every verdict with what it is about: the data, or the title of a variant."""
    pairs = [("Data", v) for v in results["data"]["verdicts"]]
    for name, fit in results["fits"].items():
        pairs += [(variant_title(results, name), v) for v in fit["verdicts"]]
    return pairs


def _line(about: str, verdict: dict[str, Any], noun: Noun) -> Spans:
    hint = sentence(verdict["hint"]) if verdict["hint"] else ["no details."]
    return [status(verdict["status"], verdict["waived"]), f"  {about}, {check_title(verdict['name'], noun)}: ", *hint]


def checks(results: dict[str, Any]) -> list[Block]:
    """How many checks were made and passed, and each that did not pass, in words."""
    pairs = all_verdicts(results)
    kinds = {word: [p for p in pairs if p[1]["status"] == word] for word in ("pass", "warn", "fail")}
    failed = [p for p in kinds["fail"] if not p[1]["waived"]]
    waived = [p for p in kinds["fail"] if p[1]["waived"]]
    said = f"{len(kinds['pass'])} of {len(pairs)} checks of the data and the fits passed"
    parts = [(len(failed), "failed"), (len(waived), "failed and waived"), (len(kinds["warn"]), "with a warning")]
    rest = ", ".join(f"{count} {what}" for count, what in parts if count)
    worst = "fail" if failed else "warn" if waived or kinds["warn"] else "pass"
    head: Spans = [status(worst), f"  {said}" + (f"; {rest}." if rest else ".")]
    return [
        {"kind": "prose", "spans": head},
        *bullets([_line(*p, of_results(results)) for p in [*failed, *waived, *kinds["warn"]]]),
    ]


def _new_notices(results: dict[str, Any]) -> list[str]:
    """The notices that do not repeat the hint of a check listed above them."""
    said = [v["hint"] for _, v in all_verdicts(results) if v["status"] != "pass" and v["hint"]]
    return [n for n in results["notices"] if not any(hint in n for hint in said)]


def meaning_of(results: dict[str, Any], name: str) -> str:
    """What a population parameter means: in words of its own, of its prior, or of the prior of all its elements."""
    own = results["model"].get("meanings", {})
    given = {p["name"]: p["meaning"] for p in results["priors"]}
    base, term = name.partition("[")[0], term_of(name)
    general = str(given.get(base, own.get(base, "")))
    return str(own.get(name) or given.get(name) or (in_term(general, term) if general and term else general))


def caption_unit(results: dict[str, Any], names: Iterable[str]) -> str:
    """The units that a table of these population parameters or new quantities names in its caption."""
    shown, data = list(names), results["data"]
    unit = unit_of_terms(data["quantity_unit"], any(term_of(n) not in {"", INTERCEPT} for n in shown))
    if not unit.strip():
        return unit
    if any(n.partition("[")[0] == "rho" for n in shown):
        unit += "; correlations have no unit"
    unit += "".join(f"; {said}" for said in _of_its_own(results, shown))
    if "y_new" in shown and data["unit"] != data["quantity_unit"]:
        unit += f"; the new observation in {data['unit']}" if data["unit"] else "; the new observation as it is counted"
    return unit


def _of_its_own(results: dict[str, Any], shown: list[str]) -> list[str]:
    """What a likelihood of a formula has beside the linear predictor, and on which scale that is."""
    made = results["coefficients"]
    if not made:
        return []
    names, units = {n.partition("[")[0] for n in shown}, {p["name"]: p["unit"] for p in results["priors"]}
    shares = [f"{s['name']} in log odds of {s['what']}" for s in made["shares"] if s["name"] in names]
    return [*shares, *(f"{name} has no unit" for name in shown if units.get(name) == "" and not term_of(name))]


def _headline_names(results: dict[str, Any]) -> list[str]:
    fitted = results["fits"].get(results["main_variant"], {}).get("parameters", {})
    named = [n for n in results["population"] if n in fitted][:_MOST_SCALARS]
    return [*named, *(q["name"] for q in new_quantities(results)[:_MOST_NEW])]


def _headline_rows(results: dict[str, Any]) -> list[list[Any]]:
    fitted = results["fits"].get(results["main_variant"], {}).get("parameters", {})
    named = [n for n in results["population"] if n in fitted][:_MOST_SCALARS]
    scalars = [(n, meaning_of(results, n), fitted[n]) for n in named]
    new = new_quantities(results)[:_MOST_NEW]
    return [summary_row(n, m, p) for n, m, p in [*scalars, *((q["name"], q["meaning"], q) for q in new)]]


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


def _headline(results: dict[str, Any]) -> list[Block]:
    rows = _headline_rows(results)
    if results["withheld"] or not rows:
        return []
    about = f"{variant_title(results, results['main_variant'])}: posterior means, standard deviations and quantiles"
    caption = [
        with_unit(about, caption_unit(results, _headline_names(results)))
        + ". MCSE is the Monte Carlo standard error of the mean."
    ]
    return [table(caption, SUMMARY_COLUMNS, rows)]


def _meta(results: dict[str, Any]) -> list[str]:
    data, settings, engine = results["data"], results["settings"], results["engine"]
    chains = counted(settings["chains"], "chain")
    return [
        f"{data['title'] or data['name']}: {counted(data['n_rows'], 'row')} in {group_count(results)}",
        f"{engine['name']} {engine['version']}, {chains} of {settings['draws']} draws, seed {settings['seed']}",
        *_parameterisation(results),
    ]


def group_count(results: dict[str, Any]) -> str:
    """How many groups there are, by their noun."""
    noun, count = of_results(results), results["data"]["n_groups"]
    return f"{format_count(count)} {noun.one if count == 1 else noun.many}"


def _parameterisation(results: dict[str, Any]) -> list[str]:
    """The form in which the main variant was sampled; the section on the model says why."""
    main = next((v for v in results["model"]["variants"] if v["name"] == results["main_variant"]), None)
    if main is None or main["pooling"] != "partial" or not main["parameterisation"]:
        return []
    return [f"Parameterisation: {main['parameterisation'].replace(': ', '; ')}"]


def page(results: dict[str, Any]) -> dict[str, Any]:
    """The parts of page one."""
    return {
        "headings": {
            "answer": "The conclusion is withheld" if results["withheld"] else "Answer",
            "checks": "Checks",
            "notices": "Before reading the numbers",
        },
        "meta": _meta(results),
        "question": [" ".join(results["question"].split())] if results["question"].strip() else [],
        "answer": [sentence(capital(s)) for s in results["answer"]],
        "checks": checks(results),
        "notices": bullets(_new_notices(results)),
        "headline": _headline(results),
    }
