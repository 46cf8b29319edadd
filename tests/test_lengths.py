"""What keeps a report short: the appendix as asked for, long tables beside the pages, diagnostics by need."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from example_results import example_results

from hbm_stan.analysis.read import read_analysis
from hbm_stan.engines import Engine
from hbm_stan.errors import ModelError
from hbm_stan.report.blocks import excerpt
from hbm_stan.report.build import report
from hbm_stan.report.sections import appendix, diagnostics
from hbm_stan.results.tables import CHECKS, GROUPS, PARAMETERS, tables_of, write_tables


def codes(results: dict[str, Any]) -> list[str]:
    return [b["text"] for b in appendix.section(results) if b["kind"] == "code"]


def test_the_short_appendix_has_the_main_program_whole_and_of_others_what_differs() -> None:
    results = example_results()
    main, *others = codes(results)
    code = {p["variant"]: p["code"] for p in results["programs"]}
    assert main == code["partial_pooling"]
    for text in others:
        shown = [line for line in text.splitlines() if line.startswith(("+", "-"))]
        assert shown or text in {"\n".join(appendix._statements(whole)) for whole in code.values()}
        for line in shown:
            there = code["partial_pooling"] if line.startswith("-") else code["complete_pooling"] + code["no_pooling"]
            assert line[1:].strip() in there


def test_a_changed_line_is_a_line_of_the_difference_and_a_comment_is_none() -> None:
    one = "data {\n  int N;\n}\nmodel {\n  mu ~ normal(0, 1); // a\n}\n"
    two = one.replace("normal(0, 1); // a", "normal(0, 2); // b")
    assert appendix._differing(one, two) == ["…", "-  mu ~ normal(0, 1);", "+  mu ~ normal(0, 2);"]
    assert appendix._differing(one, one.replace("// a", "// other")) == []


def test_the_full_appendix_has_every_program_and_none_has_no_page() -> None:
    results = example_results()
    assert codes(results | {"appendix": "full"}) == [p["code"] for p in results["programs"]]
    assert appendix.section(results | {"appendix": "none"}) == []


def test_a_program_too_long_is_named_and_the_lines_stay_within_their_number() -> None:
    results = example_results()
    for k, program in enumerate(results["programs"]):
        program["code"] = "\n".join(f"real a{k}_{i};" for i in range(120))
    shown = codes(results)
    assert sum(len(text.splitlines()) for text in shown) <= appendix.MOST_LINES
    prose = json.dumps([b for b in appendix.section(results) if b["kind"] == "prose"])
    assert "complete_pooling.stan and no_pooling.stan too much differs" in prose


def test_the_key_is_read_and_another_word_is_refused(analysis: Path) -> None:
    text = (analysis / "analysis.toml").read_text()
    assert read_analysis(analysis).appendix == "short"
    (analysis / "analysis.toml").write_text(text + '\n[report]\nappendix = "none"\n')
    assert read_analysis(analysis).appendix == "none"
    (analysis / "analysis.toml").write_text(text + "\n[report]\nappendix = 3\n")
    with pytest.raises(ModelError, match=r'appendix must be one of "full", "short", "none", found 3'):
        read_analysis(analysis)


def test_tables_stand_beside_the_report_with_every_group_and_parameter(reported: Path, stanli: Engine) -> None:
    document = report(reported, engine=stanli)
    assert document.results["report"]["tables"] == sorted([CHECKS, GROUPS, PARAMETERS])
    groups, parameters = (pd.read_csv(reported / name) for name in (GROUPS, PARAMETERS))
    assert groups["group"].tolist() == list("ABCDEFGH")
    assert groups["q50"].tolist() == pytest.approx([r["q50"] for r in document.results["shrinkage"]])
    for variant, fit in document.results["fits"].items():
        own = parameters[parameters["variant"] == variant]
        assert own["parameter"].tolist() == list(fit["parameters"])
    checks = pd.read_csv(reported / CHECKS)
    verdicts = [v for fit in document.results["fits"].values() for v in fit["verdicts"]]
    assert len(checks) == len(verdicts) + len(document.results["data"]["verdicts"])
    (reported / GROUPS).unlink()
    assert report(reported, engine=stanli).fresh
    assert (reported / GROUPS).exists()


def test_what_is_withheld_is_in_no_table(tmp_path: Path) -> None:
    write_tables(example_results(), tmp_path)
    assert (tmp_path / PARAMETERS).exists()
    held = example_results(withheld=True)
    assert set(tables_of(held)) == {CHECKS}
    assert write_tables(held, tmp_path) == [CHECKS]
    assert [p.name for p in (tmp_path / "tables").iterdir()] == ["checks.csv"]


def test_diagnostics_are_short_where_all_chains_passed_and_long_where_one_did_not() -> None:
    results = example_results()

    def captions() -> str:
        return json.dumps([b["caption"] for b in diagnostics.section(results, []) if b["kind"] == "table"])

    assert "worst value of each check" in captions()
    assert "Parameters of" not in captions()
    results["fits"]["no_pooling"]["verdicts"][8] |= {"status": "warn", "hint": "Energy mixes poorly."}
    assert "Parameters of" in captions()
    assert "Checks of each fit" in captions()
    assert "Energy mixes poorly." in json.dumps(diagnostics.section(results, []))


def test_an_excerpt_has_both_ends_and_says_how_many_are_between() -> None:
    rows = [[str(i)] for i in range(30)]
    shown = excerpt(rows, 3)
    assert [r[0] for r in shown] == ["0", "1", "2", "… 24 between them", "27", "28", "29"]
    assert excerpt(rows[:7], 3) == rows[:7]
