"""results.json, its description in reports/results-schema.md and the classes that it is made from agree, key by key."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass, make_dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np
import pandas as pd
import pytest
from example_results import example_results
from test_page_measures import shipped

from hbm_stan.analysis.read import Analysis, read_analysis
from hbm_stan.fit import Fit
from hbm_stan.report.build import fit_analysis, settled
from hbm_stan.results import (
    brief,
    caterpillars,
    certified,
    coefficients,
    conditional,
    data_shown,
    fitted,
    meanings,
    new_group,
    quantities,
    r_squared,
    replicated,
    reproduction,
    shares,
)
from hbm_stan.results.coefficients import of_ratio
from hbm_stan.results.collect import Findings, find
from hbm_stan.results.document import Results, results
from hbm_stan.results.entry import KEY, OPTIONAL, Entry, read, rows_of
from hbm_stan.results.fitted import Parameter
from hbm_stan.results.quantities import Quantiles
from hbm_stan.results.replicated import Statistic
from hbm_stan.results.scored import PairRow, RepairRow, Scored, ScoreRow
from hbm_stan.results.sensitive import Concluded, GroupInfluence, OtherPriors, PowerScaling
from hbm_stan.sensitivity.conclusion import Interval
from hbm_stan.sensitivity.unseen import Unseen
from hbm_stan.verdicts import Verdict, for_json

SCHEMA = (Path(__file__).parent.parent / "reports" / "results-schema.md").read_text(encoding="utf-8")
# The records that the description gives a name, and where it does they stand by that name.
NAMED: dict[str, Any] = {
    "verdict": Verdict, "parameter": Parameter, "statistic": Statistic, "quantiles": Quantiles,
    "comparison": Scored, "score": ScoreRow, "pair": PairRow, "repair": RepairRow, "power": PowerScaling,
    "alternatives": OtherPriors, "conclusion": Concluded, "influence": GroupInfluence, "interval": Interval,
    "sweep": Unseen,
}  # fmt: skip
_TOKEN = re.compile(r'"[^"]*"|\*\*\w+|[{}\[\],:]|[^"{}\[\],:*]+')


# ---- the description ------------------------------------------------------------------------------------------------


@dataclass
class Described:
    """What the description says of a value: the records that it may be, with their keys, and names of records."""

    records: list[dict[str, Described]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)


def described(text: str) -> Described:
    """The shape of a value, as `[{"name", "rows": [{"x", "y"}] or null}]`."""
    tokens = [t for t in (token.strip() for token in _TOKEN.findall(text)) if t]
    return _value(tokens)


def _value(tokens: list[str]) -> Described:
    """A value up to the next comma or closing bracket."""
    value = Described()
    while tokens and tokens[0] not in {",", "}", "]"}:
        token = tokens.pop(0)
        if token in {"{", "["}:
            inner = [_braces(tokens) if token == "{" else _value(tokens)]
            while token == "[" and tokens[0] == ",":
                tokens.pop(0)
                inner.append(_value(tokens))
            tokens.pop(0)
            value.records += [record for one in inner for record in one.records]
            value.names += [name for one in inner for name in one.names]
        elif not token.startswith('"'):
            value.names += [word for word in (w.strip() for w in re.split(r"\bor\b", token)) if word in NAMED]
    return value


def _braces(tokens: list[str]) -> Described:
    """A record, whose keys are quoted, up to its closing brace; of a mapping by other names what it maps to."""
    if not tokens[0].startswith(('"', "**")):
        while tokens.pop(0) != ":":
            pass
        return _value(tokens)
    record: dict[str, Described] = {}
    while tokens[0] != "}":
        token = tokens.pop(0)
        if token.startswith("**"):  # all keys of a record that has a name
            record |= {key: Described() for key in keys_of(NAMED[token[2:]])}
        elif token != ",":
            assert token.startswith('"'), f"{token!r} stands where a key should"
            if tokens[0] == ":":
                tokens.pop(0)
            record[token.strip('"')] = _value(tokens)
    return Described(records=[record])


def rows_of_schema(text: str) -> dict[str, Described]:
    """The keys of the document, each with the shape that its row of the table begins with."""
    rows: dict[str, Described] = {}
    for line in text.splitlines():
        if not line.startswith("| `"):
            continue
        keys, words = line.strip("| ").split(" | ", 1)
        spans = re.findall(r"`([^`]+)`", words)
        shape = next((s for s in spans if s[0] in "{[" or s in NAMED), "")
        rows |= {key: described(shape) for key in re.findall(r"`(\w+)`", keys)}
    return rows


def records_of_schema(text: str) -> dict[str, Described]:
    """The records that have a name."""
    flat = " ".join(text.split())
    return {name: described(shape) for name, shape in re.findall(r"\*\*(\w+)\*\* (?:is|are) `(\{[^`]*\})`", flat)}


# ---- the classes ----------------------------------------------------------------------------------------------------


def keys_of(kind: Any) -> dict[str, Any]:
    """The type of each field of a class by its key."""
    hints = get_type_hints(kind)
    return {f.metadata.get(KEY, f.name): hints[f.name] for f in fields(kind)}


def kinds_in(hint: Any) -> list[Any]:
    """The classes of records that a value of this type holds."""
    if is_dataclass(hint):
        return [hint]
    if get_origin(hint) is dict:
        return kinds_in(get_args(hint)[1])
    return [kind for one in get_args(hint) for kind in kinds_in(one)]


def differences(kind: Any, record: dict[str, Described], place: str) -> Iterator[str]:
    """Where a record of the description and its class do not have the same keys, at any depth."""
    keys = keys_of(kind)
    yield from (f"{place}.{key} is not described" for key in keys.keys() - record.keys())
    yield from (f"{place}.{key} is described and is not there" for key in record.keys() - keys.keys())
    for key in keys.keys() & record.keys():
        yield from of_value(keys[key], record[key], f"{place}.{key}")


def of_value(hint: Any, value: Described, place: str) -> Iterator[str]:
    """The same of what a field holds."""
    kinds = kinds_in(hint)
    by_name = [NAMED[name] for name in value.names]
    yield from (f"{place} is no {kind.__name__}" for kind in by_name if kind not in kinds)
    others = [kind for kind in kinds if kind not in by_name]
    if len(others) != len(value.records):
        yield f"{place} has {len(value.records)} records described, and {len(others)}"
        return
    for kind, record in zip(others, value.records, strict=True):
        yield from differences(kind, record, place)


def unlike(text: str, kind: Any = Results) -> list[str]:
    """Where a description and the class of the document differ."""
    problems = list(differences(kind, rows_of_schema(text), "results"))
    records = records_of_schema(text)
    problems += [f"{name} has no record" for name in NAMED.keys() - records.keys()]
    problems += [f"{name} is no record that is asked for" for name in records.keys() - NAMED.keys()]
    for name in NAMED.keys() & records.keys():
        problems += differences(NAMED[name], records[name].records[0], name)
    return sorted(problems)


def test_the_description_has_the_keys_of_the_classes_and_no_other() -> None:
    assert unlike(SCHEMA) == []


@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [
        ('"n_unseen", ', "", "results.data.n_unseen is not described"),
        ('"n_unseen", ', '"n_unseen", "n_lost", ', "results.data.n_lost is described and is not there"),
        ('{"least", "median", "most"}', '{"least", "most"}', "results.data.rows_per_group.median is not described"),
        ("| `r_squared` |", "| `r_square` |", "results.r_square is described and is not there"),
        ('"verdicts": [verdict], "rows"', '"verdicts": [score], "rows"', "results.data.verdicts is no ScoreRow"),
        ('"probability", "limit"', '"limit"', "results.page_one.numbers.probability is not described"),
        ('"rests_on": [{"group", "share"}]', '"rests_on"', "pair.rests_on has 0 records described, and 1"),
    ],
)
def test_a_description_that_differs_is_seen(right: str, wrong: str, problem: str) -> None:
    assert SCHEMA.count(right) == 1
    assert problem in unlike(SCHEMA.replace(right, wrong))


def test_a_class_with_a_field_less_or_more_is_seen() -> None:
    less = make_dataclass("Less", [(f.name, f.type) for f in fields(Results) if f.name != "ratios"])
    less.__module__ = Results.__module__
    assert unlike(SCHEMA, less) == ["results.ratios is described and is not there"]
    more = make_dataclass("More", [("odds", float)], bases=(Results,), frozen=True, kw_only=True)
    more.__module__ = Results.__module__
    assert unlike(SCHEMA, more) == ["results.odds is not described"]


# ---- documents ------------------------------------------------------------------------------------------------------


@dataclass
class Document:
    """The document of a shipped analysis, and what it is made from."""

    analysis: Analysis
    findings: Findings
    results: Results

    @property
    def main(self) -> Fit:
        """The fit that its main numbers are of."""
        return self.findings.fits[self.analysis.main_variant]


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Document]:
    """Successes of trials with coefficients and odds ratios; two crossed factors; estimates of one row a group."""
    by_name = {}
    for name, more in (("cbpp", ""), ("penicillin", '\n[report]\ncaterpillars = ["sample"]\n'), ("eight_schools", "")):
        place = shipped(name, tmp_path_factory.mktemp("documents") / name)
        file = place / "analysis.toml"
        file.write_text(file.read_text(encoding="utf-8") + more, encoding="utf-8")
        analysis = settled(read_analysis(place))
        findings = find(analysis, fit_analysis(analysis, engine="stanli"))
        by_name[name] = Document(analysis, findings, results(analysis, findings))
    return by_name


def records_in(value: Any) -> Iterator[dict[str, Any]]:
    """Every record and mapping of a document."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        yield from records_in(inner)


def out_of_order(document: dict[str, Any]) -> list[str]:
    """Records whose quantiles do not rise, ends that are the wrong way round, probabilities beyond 0 and 1."""
    problems = []
    for record in records_in(document):
        for prefix in ("", "ratio_", "new_"):
            names = sorted(k for k in record if re.fullmatch(rf"{prefix}q\d\d", k))
            values = [record[name] for name in names if record[name] is not None]
            problems += [f"{prefix}{names}: {values}"] * (values != sorted(values))
        ends = record.get("low"), record.get("high")
        problems += [f"low, high: {ends}"] * (None not in ends and ends[0] > ends[1])
        shares = {
            k: v for k, v in record.items() if re.match("p_(value|two_sided|positive|above)", k) and v is not None
        }
        problems += [f"{k}: {v}" for k, v in shares.items() if not 0 <= v <= 1]
        errors = {k: v for k, v in record.items() if k.startswith("mcse_") and v is not None}
        problems += [f"{k}: {v}" for k, v in errors.items() if v < 0]
    return problems


@pytest.mark.parametrize("name", ["cbpp", "penicillin", "eight_schools"])
def test_a_document_is_made_of_its_classes_at_every_depth(documents: dict[str, Document], name: str) -> None:
    document = documents[name].results.for_json()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    again = read(Results, document)
    assert again.for_json() == document
    assert list(document) == [key for key in keys_of(Results) if key != "report"]


def test_documents_hold_what_the_description_has(documents: dict[str, Document]) -> None:
    # Sections that are None in one of them are there in another, so that every part that is likely was made.
    whole = [one.results for one in documents.values()]
    empty = {f.name for f in fields(Results) if not any(getattr(one, f.name) for one in whole)}
    assert empty <= {"withheld", "ratios", "findings", "report", "notices", "notices_about"}


def assert_of_successes(document: Document) -> None:
    """Coefficients and ratios, parameters, shares of groups, and units, of the formula of successes."""
    cbpp, fit = document.results, document.main
    assert cbpp.coefficients is not None
    assert fit.table.design is not None
    draws = fit.draws("beta")["beta"][:, fit.table.design.names.index("period=2")]
    (row,) = [row for row in cbpp.coefficients.rows if row.name == "period=2"]
    assert (row.mean, row.sd) == pytest.approx((draws.mean(), draws.std(ddof=1)))
    levels = (0.05, 0.25, 0.5, 0.75, 0.95)
    assert (row.q05, row.q25, row.q50, row.q75, row.q95) == pytest.approx(np.quantile(draws, levels))
    assert (row.p_positive, row.indicator, row.place) == (np.mean(draws > 0), True, "")
    ratio = of_ratio(row)
    assert (ratio.q05, ratio.q50, ratio.q95) == pytest.approx(np.quantile(np.exp(draws), (0.05, 0.5, 0.95)))
    parameter = cbpp.fits[fit.variant].parameters["beta[period=2]"]
    assert (parameter.mean, parameter.sd, parameter.q05) == pytest.approx((row.mean, row.sd, row.q05))
    assert (cbpp.data.unit, cbpp.data.quantity_unit) == ("", "log odds")
    assert (cbpp.data.observed, cbpp.data.observed_unit) == ("share", "")
    assert cbpp.data.n_rows == fit.table.n_rows > cbpp.data.n_groups == fit.table.n_groups
    assert cbpp.data.groups[0].rows == fit.table.pooled.sizes[0]
    assert 0 <= cbpp.data.groups[0].mean <= 1
    assert cbpp.r_squared is not None
    assert cbpp.r_squared.known.q50 > cbpp.r_squared.new.q50


def assert_of_schools(document: Document) -> None:
    """Units, page one, programs and what is certified, of estimates of one row a group."""
    schools, fit = document.results, document.main
    assert (schools.data.unit, schools.data.quantity_unit) == ("points", "points")
    assert {row.unit for row in schools.priors} == {"points"}
    assert [(row.role, row.column, row.unit) for row in schools.data.columns] == [
        ("group", "school", ""), ("estimate", "effect", "points"), ("standard_error", "se", "points"),
    ]  # fmt: skip
    (panel,) = schools.page_one.panels
    assert panel.average is not None
    assert panel.new is not None
    assert panel.average.q50 == pytest.approx(np.median(fit.draws("mu")["mu"]))
    assert panel.new.q95 - panel.new.q05 > panel.average.q95 - panel.average.q05
    assert (panel.words, panel.unit) == (schools.page_one.numbers[0].as_dict()["words"], "points")
    for program, standing in zip(schools.programs, schools.certificate.programs, strict=True):
        assert hashlib.sha256(program.code.encode()).hexdigest() == program.sha256 == standing.sha256
        assert program.source == (fit.family.programs.folder / program.file).read_text(encoding="utf-8")
        assert not standing.failed
        assert standing.certified == standing.words.startswith("certified")


def assert_of_factors(document: Document) -> None:
    """Deviations of levels and shares of variance, of two crossed factors."""
    penicillin, fit = document.results, document.main
    (caterpillar,) = penicillin.caterpillars
    assert (caterpillar.factor, caterpillar.column, caterpillar.many) == ("sample", "intercept", "samples")
    middle = np.quantile(fit.draws("effect")["effect"], 0.5, axis=0).ravel()
    assert sorted(row.q50 for row in caterpillar.rows) == pytest.approx(sorted(middle))
    assert penicillin.variance_shares is not None
    *factors, rest = penicillin.variance_shares.rows
    assert [row.many for row in factors] == ["plates", "samples"]
    assert (rest.levels, rest.many, "many" in rest.as_dict()) == (0, None, False)
    assert sum(row.mean for row in penicillin.variance_shares.rows) == pytest.approx(1)


NUMBERS: dict[str, Callable[[Document], None]] = {
    "cbpp": assert_of_successes, "eight_schools": assert_of_schools, "penicillin": assert_of_factors,
}  # fmt: skip


def assert_right(name: str, document: Document) -> None:
    assert out_of_order(document.results.for_json()) == []
    NUMBERS[name](document)


@pytest.mark.parametrize("name", NUMBERS)
def test_records_hold_the_numbers_of_the_draws_and_their_units(documents: dict[str, Document], name: str) -> None:
    assert_right(name, documents[name])


@pytest.mark.parametrize(
    ("builder", "kind", "fields_swapped", "name"),
    [
        (coefficients, "Coefficient", ("q25", "q75"), "cbpp"),
        (coefficients, "Coefficient", ("ratio_q05", "q05"), "cbpp"),
        (fitted, "Parameter", ("mean", "sd"), "cbpp"),
        (data_shown, "Data", ("unit", "quantity_unit"), "cbpp"),
        (data_shown, "Data", ("n_rows", "n_groups"), "cbpp"),
        (data_shown, "GroupRow", ("mean", "sd"), "cbpp"),
        (conditional, "EffectRow", ("new_q05", "new_q95"), "cbpp"),
        (r_squared, "RSquared", ("known", "new"), "cbpp"),
        (new_group, "NewQuantity", ("q05", "q95"), "cbpp"),
        (replicated, "Statistic", ("low", "high"), "cbpp"),
        (quantities, "Quantiles", ("q25", "q75"), "eight_schools"),
        (brief, "Panel", ("average", "new"), "eight_schools"),
        (brief, "Panel", ("words", "unit"), "eight_schools"),
        (data_shown, "Column", ("meaning", "unit"), "eight_schools"),
        (meanings, "GivenPrior", ("text", "unit"), "eight_schools"),
        (certified, "ProgramStanding", ("certified", "failed"), "eight_schools"),
        (reproduction, "ProgramText", ("code", "source"), "eight_schools"),
        (shares, "Share", ("mean", "sd_q50"), "penicillin"),
        (caterpillars, "Caterpillar", ("factor", "column"), "penicillin"),
    ],
)
def test_two_fields_that_a_builder_swaps_are_seen(
    documents: dict[str, Document], monkeypatch: pytest.MonkeyPatch, builder: Any, kind: str,
    fields_swapped: tuple[str, str], name: str,
) -> None:  # fmt: skip
    right, (one, other) = getattr(builder, kind), fields_swapped
    monkeypatch.setattr(builder, kind, lambda **values: right(**values | {one: values[other], other: values[one]}))
    if builder is fitted:
        monkeypatch.setattr(builder, "fields", lambda _: fields(right))
    document = documents[name]
    wrong = replace(document, results=results(document.analysis, document.findings))
    assert wrong.results != document.results
    with pytest.raises(AssertionError):
        assert_right(name, wrong)


def test_the_example_of_the_tests_is_a_document() -> None:
    for options in ({}, {"withheld": True}, {"variants": ("no_pooling",)}, {"n_groups": 85}):
        document = example_results(**options)  # type: ignore[arg-type]
        assert read(Results, document).for_json() == document
        assert out_of_order(document) == []


def test_a_file_is_a_document_with_its_files(reported: Path) -> None:
    document = json.loads((reported / "results.json").read_text(encoding="utf-8"))
    again = read(Results, document)
    assert again.for_json() == document
    assert again.report is not None
    assert again.report.html_sha256 is None
    assert isinstance(again.fits["partial_pooling"].parameters["mu"], Parameter)


# ---- entries --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Inner(Entry):
    x: float
    more: float | None = field(default=None, metadata=OPTIONAL)
    words: str | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, kw_only=True)
class Outer(Entry):
    rows: list[Inner]
    by_name: dict[str, Inner]
    one: Inner | None
    title: str = field(metadata={KEY: "said"})
    ends: tuple[float, ...] = ()


def test_records_are_written_at_every_depth_and_read_again() -> None:
    outer = Outer(rows=[Inner(x=1.0)], by_name={"a": Inner(x=2.0, more=3.0)}, one=None, title="t", ends=(1.0, 2.0))
    assert outer.as_dict() == {
        "rows": [{"x": 1.0}], "by_name": {"a": {"x": 2.0, "more": 3.0}}, "one": None, "said": "t", "ends": [1.0, 2.0],
    }  # fmt: skip
    assert read(Outer, outer.as_dict()) == outer
    assert read(Outer, outer.as_dict() | {"one": {"x": 4, "words": "w"}}).one == Inner(x=4, words="w")


def test_what_could_not_be_computed_is_null_and_stays_a_key() -> None:
    written = for_json(Inner(x=np.nan, more=np.inf).as_dict())
    assert written == {"x": None, "more": None}
    again = read(Inner, written)
    assert np.isnan([again.x, again.more]).all()  # type: ignore[list-item]
    assert for_json(again.as_dict()) == written


@pytest.mark.parametrize(
    ("values", "words"), [({"x": 1.0, "y": 2.0}, "Inner has no y"), ({"more": 1.0}, "missing 1 required .* 'x'")]
)
def test_keys_that_are_no_fields_and_fields_that_are_no_keys_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        read(Inner, values)
    with pytest.raises(TypeError):
        rows_of(Inner, pd.DataFrame([values]))


def test_a_table_is_a_record_a_row() -> None:
    assert rows_of(Inner, pd.DataFrame({"x": [1.0, 2.0], "more": [0.5, 0.1]})) == [
        Inner(x=1.0, more=0.5), Inner(x=2.0, more=0.1),
    ]  # fmt: skip
    assert rows_of(Inner, pd.DataFrame()) == []
