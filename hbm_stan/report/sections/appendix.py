"""The appendix: how to make the report again, the Stan programs, and whether they are certified."""

from __future__ import annotations

import difflib
from typing import Any

from hbm_stan.nouns import capital
from hbm_stan.report.blocks import Block, abreast, code, column, heading, mono, prose, sentence, status, table
from hbm_stan.report.words import variant_title
from hbm_stan.results.digits import format_count

# Lines of programs that the short appendix has room for, so that it stays within four pages, and those up to which the
# main one is printed with its includes (ours).
MOST_LINES, MOST_WHOLE = 180, 130


def section(results: dict[str, Any]) -> list[Block]:
    """Command, settings, versions, hashes, programs, certificate: last, so that it is found on the last page."""
    kind = results["appendix"]
    if kind == "none":
        return []
    return [
        heading("How to make this report again"),
        prose(
            "Run ",
            mono(results["command"]),
            ". Another machine gives the same numbers within their Monte Carlo errors.",
        ),
        *_parameterisation(results),
        _settings(results),
        _hashes(results),
        heading("Stan programs"),
        *(_whole(results) if kind == "full" else _short(results)),
        heading("Certificate"),
        *_certificate(results),
    ]


def _parameterisation(results: dict[str, Any]) -> list[Block]:
    """Which form of partial pooling was used, and why."""
    choice = results["parameterisation"]
    if choice is None:
        return []
    own = next((v for v in results["model"]["variants"] if v["name"] == choice["variant"]), None)
    form = f"{own['title']} is sampled in this form: {own['parameterisation']}. " if own else ""
    return [prose({"strong": "Parameterisation. "}, form, *sentence(choice["reason"]))]


def _settings(results: dict[str, Any]) -> Block:
    """Settings, and the versions of all that a number went through, side by side."""
    engine = results["engine"]
    pairs = [(k.replace("_", " "), v) for k, v in results["settings"].items()]
    pairs += [
        ("engine", f"{engine['name']} {engine['version']}"),
        ("main variant", results["main_variant"].replace("_", " ")),
    ]
    pairs += list(results["versions"].items())
    third = -(-len(pairs) // 3)
    columns = [
        [*part, *[("", "")] * (third - len(part))]
        for part in (pairs[:third], pairs[third : 2 * third], pairs[2 * third :])
    ]
    rows = [[cell for name, value in row for cell in (name, _value(value))] for row in zip(*columns, strict=True)]
    heads = [column("Setting or package"), column("Value", width="1fr")] * 3
    return abreast(table(["Settings and versions."], heads, rows), (0, 2, 4), 2)


def _value(value: Any) -> Any:
    return "" if value == "" else [mono(str(value))]


def _hashes(results: dict[str, Any]) -> Block:
    rows = [["data", results["data"]["name"], [mono(results["data"]["sha256"])]]]
    rows += [["program", p["file"], [mono(p["sha256"])]] for p in results["programs"]]
    rows += [["fit", variant_title(results, name), [mono(fit["key"])]] for name, fit in results["fits"].items()]
    heads = [column("What"), column("Name", width="1fr"), column("SHA-256 or key")]
    return table(["What the report was made from."], heads, rows)


def _whole(results: dict[str, Any]) -> list[Block]:
    """Every program with what it includes."""
    return [code(_title(results, p), p["code"]) for p in results["programs"]]


def _title(results: dict[str, Any], program: dict[str, str]) -> list[Any]:
    return [{"strong": variant_title(results, program["variant"])}, "  ", mono(program["file"])]


def _short(results: dict[str, Any]) -> list[Block]:
    """The main program, and of the others what differs, as long as there is room."""
    main = next((p for p in results["programs"] if p["variant"] == results["main_variant"]), results["programs"][0])
    text = main["code"] if len(main["code"].splitlines()) <= MOST_WHOLE else main.get("source", main["code"])
    blocks = [code(_title(results, main), text)]
    left, unprinted = MOST_LINES - len(text.splitlines()), []
    for program in results["programs"]:
        if program is main:
            continue
        own, lines = _statements(program["code"]), _differing(main["code"], program["code"])
        whole = len(own) <= len(lines)
        if min(len(own), len(lines)) > left:
            unprinted.append(program["file"])
            continue
        left -= min(len(own), len(lines))
        what: list[Any] = [f": what differs from {main['file']}, comments apart (", mono("-"), " there, ", mono("+")]
        what = [", comments apart"] if whole else [*what, " here)"]
        blocks.append(code([*_title(results, program), *what], "\n".join(own if whole else lines)))
    return [prose(*_how(main, text, unprinted)), *blocks]


def _how(main: dict[str, str], text: str, unprinted: list[str]) -> list[Any]:
    """What is printed, and where the rest is."""
    spans: list[Any] = ["The program of the answer, and what the others have in the place of its lines. "]
    if text != main["code"]:
        lines = format_count(len(main["code"].splitlines()))
        spans += ["Lines that begin with ", mono("#include"), f" stand for functions; with them it has {lines} lines. "]
    if unprinted:
        spans.append(f"Of {' and '.join(unprinted)} too much differs to be printed. ")
    where = ["results.json holds all programs whole, and ", mono('appendix = "full"'), " under ", mono("[report]")]
    return [*spans, *where, " prints them."]


def _differing(main: str, other: str) -> list[str]:
    """The lines of two programs that differ, without comments: "-" those of the first, "+" those of the other."""
    one, two = _statements(main), _statements(other)
    lines = list(difflib.unified_diff(one, two, n=0, lineterm=""))[2:]
    return ["…" if line.startswith("@@") else line for line in lines]


def _statements(text: str) -> list[str]:
    """The lines of a program without comments, and without those that have nothing else."""
    lines = (line.partition("//")[0].rstrip() for line in text.splitlines())
    return [line for line in lines if line]


def _certificate(results: dict[str, Any]) -> list[Block]:
    """For each program whether it is certified, and by what."""
    certificate = results["certificate"]
    rows = []
    for row in certificate["programs"]:
        word = status("pass", text="yes") if row["certified"] else status("fail", text="no")
        rows.append([variant_title(results, row["variant"]), [mono(row["sha256"][:12])], [word], capital(row["words"])])
    heads = [column("Program"), column("SHA-256"), column("Certified"), column("What was proven", width="1fr")]
    caption = "Whether the programs were proven: log density, likelihood, known posteriors."
    if certificate["date"]:
        caption = (
            f"What the certificate {certificate['of']} says of the programs: date {certificate['date']}, "
            f"engine {certificate['engine']}. "
            "It is looked up by the hash of the program with its includes inlined."
        )
    return [table([caption], heads, rows)]
