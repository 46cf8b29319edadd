"""Writes the closed forms and quadratures among tests/reference/*.json.

``python tests/tools/make_references.py [NAME ...]`` is run by hand; tests compare what is written with what this
computes. The figures computed by others (kind "foreign") are carried as they are and are not written here.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.extend(str(Path(__file__).parents[1] / folder) for folder in (".", "oracles"))
REFERENCE = Path(__file__).parents[1] / "reference"
Reference = dict[str, Any]


def text(reference: Reference) -> str:
    """The reference as JSON: a line for each key, and for each parameter."""
    lines = []
    for key, value in reference.items():
        if key != "posteriors":
            lines.append(f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}")
            continue
        blocks = []
        for posterior in value:
            rest = [f"      {json.dumps(k)}: {json.dumps(v)}" for k, v in posterior.items() if k != "parameters"]
            rows = [
                f"        {json.dumps(name, ensure_ascii=False)}: {json.dumps(short(row))}"
                for name, row in posterior["parameters"].items()
            ]
            rest.append('      "parameters": {\n' + ",\n".join(rows) + "\n      }")
            blocks.append("    {\n" + ",\n".join(rest) + "\n    }")
        lines.append('  "posteriors": [\n' + ",\n".join(blocks) + "\n  ]")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def short(row: dict[str, float]) -> dict[str, float]:
    return {statistic: float(f"{value:.9g}") for statistic, value in row.items()}


def main(names: list[str]) -> None:
    import known_curves  # noqa: F401  registers its builders, as the next do
    import known_events  # noqa: F401
    import known_formulas  # noqa: F401
    import known_maps  # noqa: F401
    import known_missing  # noqa: F401
    import known_ordered  # noqa: F401
    import known_regressions  # noqa: F401
    import known_streams  # noqa: F401
    from known_posteriors import BUILDERS
    from known_quadratures import TABLES

    for name, table in TABLES.items():
        table().to_csv(REFERENCE / "data" / name, index=False, lineterminator="\n")
    for name, build in BUILDERS.items():
        if not names or name in names:
            (REFERENCE / f"{name}.json").write_text(text(build()), encoding="utf-8")
            print(name, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
