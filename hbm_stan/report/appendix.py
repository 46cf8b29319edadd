"""The appendix: how to make the report again, the complete Stan programs, and whether they are certified."""

from __future__ import annotations

from typing import Any

from hbm_stan.report.blocks import Block, capital, code, column, heading, mono, prose, status, table
from hbm_stan.report.front import variant_title


def section(results: dict[str, Any]) -> list[Block]:
    """Command, settings, versions, hashes, programs, certificate: last, so that it is found on the last page."""
    return [
        heading("How to make this report again"),
        prose(
            "Run ",
            mono(results["command"]),
            ". Another machine gives the same numbers within their Monte Carlo errors.",
        ),
        _settings(results),
        _versions(results),
        _hashes(results),
        heading("Stan programs"),
        *_programs(results),
        heading("Certificate"),
        *_certificate(results),
    ]


def _pairs(caption: str, heads: tuple[str, str], pairs: list[tuple[str, Any]]) -> Block:
    """Pairs of a name and a value, two pairs a row."""
    half = -(-len(pairs) // 2)
    right = [*pairs[half:], *([("", "")] * (2 * half - len(pairs)))]
    rows = [[a, _value(b), "", c, _value(d)] for (a, b), (c, d) in zip(pairs[:half], right, strict=True)]
    one = [column(heads[0], width="1fr"), column(heads[1], width="1fr")]
    return table([caption], [*one, column("", width="18pt"), *one], rows)


def _value(value: Any) -> Any:
    return "" if value == "" else [mono(str(value))]


def _settings(results: dict[str, Any]) -> Block:
    pairs = [(k.replace("_", " "), v) for k, v in results["settings"].items()]
    engine = results["engine"]
    pairs += [("engine", f"{engine['name']} {engine['version']}"), ("main variant", results["main_variant"])]
    return _pairs("Settings.", ("Setting", "Value"), pairs)


def _versions(results: dict[str, Any]) -> Block:
    return _pairs("Versions.", ("Package or tool", "Version"), list(results["versions"].items()))


def _hashes(results: dict[str, Any]) -> Block:
    rows = [["data", results["data"]["name"], [mono(results["data"]["sha256"])]]]
    rows += [["program", p["file"], [mono(p["sha256"])]] for p in results["programs"]]
    rows += [["fit", variant_title(results, name), [mono(fit["key"])]] for name, fit in results["fits"].items()]
    heads = [column("What"), column("Name", width="1fr"), column("SHA-256 or key")]
    return table(["What the report was made from."], heads, rows)


def _programs(results: dict[str, Any]) -> list[Block]:
    return [
        code([{"strong": variant_title(results, p["variant"])}, "  ", mono(p["file"])], p["code"])
        for p in results["programs"]
    ]


def _certificate(results: dict[str, Any]) -> list[Block]:
    """For each program whether it is certified, and by what."""
    said = results["certificate"]
    rows = []
    for row in said["programs"]:
        word = status("pass", text="yes") if row["certified"] else status("fail", text="no")
        rows.append([variant_title(results, row["variant"]), [mono(row["sha256"][:12])], [word], capital(row["words"])])
    heads = [column("Program"), column("SHA-256"), column("Certified"), column("What was proven", width="1fr")]
    caption = "Whether the programs were proven: log density, likelihood, known posteriors."
    if said["date"]:
        caption = (
            f"What the certificate {said['of']} says of the programs: date {said['date']}, engine {said['engine']}. "
            "It is looked up by the hash of the program with its includes inlined."
        )
    return [table([caption], heads, rows)]
