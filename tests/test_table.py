"""Reading tables: files as people save them give the right numbers, or one sentence that names the place."""

from __future__ import annotations

import codecs
import csv
import decimal
import io
import os
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hbm_stan import table as table_module
from hbm_stan.data import Dataset, load
from hbm_stan.errors import DataError
from hbm_stan.families import family
from hbm_stan.fit import prepare_table
from hbm_stan.prepare import Prepared
from hbm_stan.table import Table, read_csv

STORE = Path(__file__).parent / "bad_csv"
COLUMNS = {"group": "school", "estimate": "effect", "standard_error": "se"}
HEADER = "school,effect,se\n"

# File of the store -> what its message must say.
BAD = {
    "header_only": ("has a header but no rows",),
    "one_group": ("one group ('A') only", "at least two groups"),
    "missing_value": ("'effect'", "no value in line 3, line 4", "fill them in or take them out"),
    "infinite_value": ("'effect'", "line 3: '-Infinity'", "finite"),
    "too_large_for_a_float": ("'effect'", "line 3: '1e400'", "finite"),
    "unusably_large": ("'effect'", "line 3: '1e200'", "Change the unit"),
    "unusably_small_error": ("'se'", "line 3: '1e-200'", "Change the unit"),
    "negative_error": ("'se'", "above zero", "line 3: '-10'"),
    "zero_error": ("'se'", "above zero", "line 3: '0'"),
    "error_rounded_to_zero": ("'se'", "above zero", "line 3: '1e-400'"),
    "text_in_number": ("'effect'", "line 3: 'eight', line 4: 'n.s.'", "A number is needed"),
    "percent": ("'effect'", "line 2: '28 %', line 3: '8 %'", "A number is needed"),
    "underscore": ("line 2: '1_000'", "A number is needed"),
    "hexadecimal": ("line 2: '0x10'", "A number is needed"),
    "foreign_digits": ("line 2: '١٢'", "digits 0 to 9"),
    "quoted_decimal_comma": ("line 2: '28,5'", "decimal point"),
    "quoted_thousands": ("line 2: '1,280'", "without thousands separators"),
    "thousands_and_decimals": ("line 2: '1.280,5'", "without thousands separators"),
    "points_among_commas": ("'effect'", "line 2: '1.280'", "decimal commas", "without thousands separators"),
    "thousands_or_decimals": ("'effect'", "line 2: '1,280'", "without thousands separators"),
    "repeated_group": ("'school'", "the group 'A' stands in 2 rows (line 2, line 4)", "combine them"),
    "missing_column": ("no column 'se' for the role 'standard_error'", "'stderr'"),
    "repeated_column": ("'effect' appears more than once", "unique"),
    "no_header": ("no column 'school'", "'28'"),
    "no_header_repeated": ("'1' appears more than once", "first line must name the columns"),
    "spaces_between": ("no column 'school'", "one column only", "semicolons"),
    "too_few_cells": ("line 3", "2 cells", "3 columns"),
    "too_many_cells": ("line 3", "4 cells", "3 columns", "double quotes"),
    "row_names_without_header": ("line 2", "4 cells", "3 columns", "row names"),
    "unclosed_quote": ("line 3", "a quote is opened and not closed"),
    "quote_in_quotes": ("line 3", "a quote", "twice"),
    "empty_label": ("'school'", "no label in line 3"),
    "comment_above": ("line 2", "3 cells", "'# from the paper'"),
    "web_page": ("has a header but no rows",),
}


def prepared(path: Path) -> Prepared:
    return prepare_table(family("normal_means"), load(path, COLUMNS))


def write(folder: Path, content: str | bytes, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def one_paragraph(error: BaseException) -> str:
    message = str(error)
    assert "\n" not in message, message
    assert len(message) < 900, message
    return message


def test_every_file_of_the_store_is_expected() -> None:
    assert {p.stem for p in STORE.glob("*.csv")} == set(BAD)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_in_words(name: str) -> None:
    path = STORE / f"{name}.csv"
    with pytest.raises(DataError) as caught:
        prepared(path)
    message = one_paragraph(caught.value)
    assert str(path) in message
    for words in BAD[name]:
        assert words in message, message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\n \r\n\n", "empty"),
        (codecs.BOM_UTF8, "empty"),
        (codecs.BOM_UTF16_LE, "empty"),
        (codecs.BOM_UTF16_LE + HEADER.encode("utf-16-le") + b"x", "UTF-16"),
        (HEADER.encode("utf-16-le"), "zero bytes"),
        (bytes(range(256)) * 40, "zero bytes"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" * 9, "zero bytes"),
        (b"PK\x03\x04\x14\0\x06\0" + bytes(99), "zero bytes"),
        (HEADER.encode() + b"A\0,28,15\n", "zero bytes"),
        (HEADER.encode() + b"A,28,15\n\x81,8,10\n", "line 3: the byte 0x81"),
        (codecs.BOM_UTF8 + HEADER.encode() + b"A,28,15\n\xe9,8,10\n", "line 3"),
        (HEADER.encode() + b"A" * 200_000 + b",28,15\n", "line 2"),
        (b'"school,effect,se\n' + b"A,28,15\n" * 30_000, "line 1"),
    ],
    ids=lambda v: repr(v[:12]) if isinstance(v, bytes) else None,
)
def test_bytes_that_are_no_table_are_refused_in_words(tmp_path: Path, content: bytes, words: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(DataError, match=r"table\.csv") as caught:
        prepared(path)
    assert words in one_paragraph(caught.value)


@pytest.mark.parametrize(
    ("content", "labels", "note"),
    [
        ((HEADER + "é,28,15\nü,8,10\n").encode(), "éü", ""),
        ((HEADER + "é,28,15\nü,8,10\n").encode("latin-1"), "éü", "Windows-1252"),
        (codecs.BOM_UTF8 + (HEADER + "é,28,15\nü,8,10\n").encode(), "éü", ""),
        ((HEADER + "é,28,15\nü,8,10\n").encode("utf-16"), "éü", "UTF-16"),
        (codecs.BOM_UTF16_BE + (HEADER + "é,28,15\nü,8,10\n").encode("utf-16-be"), "éü", "UTF-16"),
        ((HEADER + "é,28,15\nü,8,10\n").encode("utf-32"), "éü", "UTF-32"),
        ((HEADER + "A,28,15\nB,8,10\n").replace("\n", "\r\n"), "AB", ""),
        ((HEADER + "A,28,15\nB,8,10\n").replace("\n", "\r"), "AB", ""),
        (HEADER + "A,28,15\nB,8,10", "AB", ""),
        ("school;effect;se\nA;28,0;15\nB;8;10,0\n", "AB", "semicolons"),
        ("school\teffect\tse\nA\t28\t15\nB\t8\t10\n", "AB", "tabs"),
        ("school|effect|se\nA|28|15\nB|8|10\n", "AB", "bars"),
        ("sep=;\nschool;effect;se\nA;28;15\nB;8;10\n", "AB", "semicolons"),
        ('"sep=;"\r\nschool;effect;se\r\nA;28;15\r\nB;8;10\r\n', "AB", "semicolons"),
        ("SEP=,\nschool,effect,se\nA,28,15\nB,8,10\n", "AB", ""),
        ("sep=^\nschool^effect^se\nA^28^15\nB^8^10\n", "AB", "'^'"),
        ("\n\nschool;effect;se\n\nA;28;15\n\n\nB;8;10\n\n", "AB", "semicolons"),
        (" school , effect , se \nA, 28 ,15\nB,8,10\n", "AB", ""),
        ('school, effect, se\n"A", "28", "15"\n "B", "8", "10"\n', "AB", ""),
        ("school,effect,se,,\nA,28,15,,\nB,8,10,,\n", "AB", ""),
        ("school,effect,se,,\nA,28,15\nB,8,10,\n", "AB", ""),
        ("school,effect,se\nA,28,15,\nB,8,10,,\n,,\n", "AB", ""),
        ("x,school,effect,se\n,A,28,15\n,B,8,10\n", "AB", ""),
        ("school,effect,se\nA,+28,15.\nB,8e0,1E1\n", "AB", ""),
        ("school,effect,se\nA,\u00a028,15\nB,8,10\u2009\n", "AB", ""),
        ("school;effect;se\n1,5;28;15\n2,5;8;10\n", ["1,5", "2,5"], "semicolons"),
    ],
)
def test_tables_as_people_save_them_are_read(
    tmp_path: Path, content: str | bytes, labels: str | list[str], note: str
) -> None:
    table = prepared(write(tmp_path, content))
    assert table.pooled.labels == tuple(labels)
    assert table["estimate"].tolist() == [28, 8]
    assert table["standard_error"].tolist() == [15, 10]
    notes = " ".join(table.dataset.table.notes)
    assert note in notes
    assert bool(note) == bool(notes)


@pytest.mark.parametrize(
    "label",
    ['the "best"', "#1", "$x$", "*a*", "[a]", "a\nb", "a\r\nb", "a,b", "a;b", "a\tb", "'a'", '"', "a\\b", "{a}",
     "\u200e", "-", "?", ".", "=1+1", "@x", "<b>", "a\x0bb", "a\x85b", "a\u2028b", "NaT", "<NA>", "A ﬁ",
     "日本", "🙂", "e\u0301"],
)  # fmt: skip
def test_any_label_is_kept_as_it_is(tmp_path: Path, label: str) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([COLUMNS.values(), (label, 28, 15), ("other", 8, 10)])
    assert prepared(write(tmp_path, text.getvalue())).pooled.labels == (label, "other")


@pytest.mark.parametrize("written", ["−3", "-3", " -3 ", "-3.0", "-3e0", "-.3e1", "-30E-1"])
def test_minus_three_is_read_however_it_is_written(tmp_path: Path, written: str) -> None:
    assert prepared(write(tmp_path, f"{HEADER}A,{written},15\nB,8,10\n"))["estimate"][0] == -3


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (("1,5", "2,25"), [1.5, 2.25]),
        (("1,234", "0,5"), [1.234, 0.5]),
        (("-1,5e3", "2"), [-1500, 2]),
        (("−1,5", "2"), [-1.5, 2]),
    ],
)
def test_decimal_commas_are_read_where_they_are_certain(
    tmp_path: Path, cells: tuple[str, str], numbers: list[float]
) -> None:
    path = write(tmp_path, "school;effect;se\n" + "".join(f"{g};{c};1\n" for g, c in zip("AB", cells, strict=True)))
    assert prepared(path)["estimate"].tolist() == numbers


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    path = write(tmp_path, 'sep=;\n\nschool;effect;se\n\n"a\nb";28;15\n\nB;x;10\n')
    with pytest.raises(DataError, match="line 8: 'x'"):
        prepared(path)


def test_many_bad_rows_are_counted_not_listed(tmp_path: Path) -> None:
    rows = "".join(f"g{i},{'x' * 300},1\n" for i in range(1000))
    with pytest.raises(DataError, match=r"line 2: 'x+…', .* and 995 more") as caught:
        prepared(write(tmp_path, HEADER + rows))
    one_paragraph(caught.value)


def test_a_huge_label_does_not_flood_a_message(tmp_path: Path) -> None:
    label = "g" * 50_000
    with pytest.raises(DataError, match="stands in 2 rows") as caught:
        prepared(write(tmp_path, f"{HEADER}{label},1,1\n{label},1,1\nB,1,1\n"))
    one_paragraph(caught.value)


@pytest.mark.parametrize("distinct", [1000, 1_000_000])
def test_a_million_rows_take_seconds_and_bounded_memory(tmp_path: Path, distinct: int) -> None:
    n = 1_000_000
    path = write(tmp_path, HEADER + "".join(f"g{i % distinct},{i % 7},1\n" for i in range(n)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if distinct < n:
        with pytest.raises(DataError, match=r"the group 'g0' stands in 1,000 rows .*999 more groups"):
            prepared(path)
    else:
        assert len(prepared(path).pooled.labels) == n
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 1500  # MiB


def test_a_file_too_large_to_hold_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_module, "MAX_BYTES", 1000)
    with pytest.raises(DataError, match="larger than"):
        prepared(write(tmp_path, HEADER + "A,1,1\n" * 300))


def test_an_unreadable_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, HEADER)
    if os.geteuid() == 0:  # root may read everything

        def refuse(*_args: Any, **_kwargs: Any) -> Any:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "open", refuse)
    path.chmod(0)
    with pytest.raises(DataError, match=r"table\.csv: cannot be read \(Permission denied\)"):
        prepared(path)


# DataFrames


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"school": list("ABC"), "effect": [28.0, 8.0, -3.0], "se": [15.0, 10.0, 16.0], **columns})


def from_frame(table: Any, **roles: Any) -> Prepared:
    return prepare_table(family("normal_means"), Dataset.from_frame(table, roles or COLUMNS))


def multi() -> pd.DataFrame:
    return frame().set_axis(pd.MultiIndex.from_product([["x"], ["school", "effect", "se"]]), axis=1)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (frame(effect=[1.0, np.nan, 3.0]), "'effect': no value in row 2"),
        (frame(effect=[1.0, None, 3.0]), "'effect': no value in row 2"),
        (frame(effect=pd.array([1, pd.NA, 3], dtype="Int64")), "'effect': no value in row 2"),
        (frame(effect=pd.Series([1, None, 3], dtype=object)), "'effect': no value in row 2"),
        (frame(effect=[1, decimal.Decimal("NaN"), 3]), "'effect': no value in row 2"),
        (frame(effect=[1.0, np.inf, 3.0]), "row 2: 'inf'"),
        (frame(effect=[True, False, True]), "row 1: 'True'"),
        (frame(effect=pd.array([True, False, True], dtype="boolean")), "row 1: 'True'"),
        (frame(effect=[1, "2", "x"]), "row 3: 'x'"),
        (frame(effect=[1 + 2j, 2, 3]), "row 1: '(1+2j)'"),
        (frame(effect=pd.to_datetime(["2020-01-01"] * 3)), "not a number"),
        (frame(se=["1", "one", "3"]), "'se'"),
        (frame(se=[1, -2, 3]), "row 2: '-2'"),
        (frame(school=["A", None, "C"]), "'school': no label in row 2"),
        (frame(school=["A", np.nan, "C"]), "'school': no label in row 2"),
        (frame(school=["A", np.float32("nan"), "C"]), "'school': no label in row 2"),
        (frame(school=pd.array(["A", pd.NA, "C"], dtype="string")), "'school': no label in row 2"),
        (frame(school=pd.to_datetime(["2020-01-01", None, "2021-01-01"])), "'school': no label in row 2"),
        (frame(school=["A", "b\0", "C"]), "row 2"),
        (frame(school=["A", "b\ud800", "C"]), "row 2"),
        (frame(school=list("ABA")), "the group 'A' stands in 2 rows (row 1, row 3)"),
        (frame().iloc[:0], "no rows"),
        (pd.DataFrame(), "no columns"),
        (pd.DataFrame(index=[1, 2]), "no columns"),
        (multi(), "MultiIndex"),
        (frame().set_index("school"), "reset_index()"),
        (pd.concat([frame(), frame()], axis=1), "'school' appears more than once"),
        (frame().set_axis([1, "1", "se"], axis=1), "'1' appears more than once"),
        ({"school": ["A"]}, "A pandas DataFrame is needed, found dict"),
        (np.zeros((3, 3)), "A pandas DataFrame is needed, found ndarray"),
        (None, "A pandas DataFrame is needed, found NoneType"),
    ],
)
def test_a_bad_frame_is_refused_in_words(table: Any, words: str) -> None:
    with pytest.raises(DataError) as caught:
        from_frame(table)
    message = one_paragraph(caught.value)
    assert "DataFrame" in message
    assert words in message


@pytest.mark.parametrize(
    "table",
    [
        frame(),
        frame(effect=["28", " 8 ", "−3"]),
        frame(effect=[28, "8", -3.0]),
        frame(effect=[decimal.Decimal("28"), np.float32(8), np.int8(-3)]),
        frame(effect=pd.array([28, 8, -3], dtype="Int64"), se=pd.array([15, 10, 16], dtype="Float64")),
        frame(effect=pd.Categorical([28, 8, -3])),
        frame(school=pd.Categorical(list("ABC"))),
        frame(school=pd.Categorical(list("ABC"), categories=list("DCBA"))),
        frame(school=pd.array(list("ABC"), dtype="string")),
        frame(school=[b"A", b"B", b"C"]),
        frame(school=[" A", "B ", "C"]),
        frame().set_index(pd.Index([7, 7, 7])),
        frame(effect=pd.arrays.SparseArray([28.0, 8.0, -3.0])),
    ],
)
def test_frames_of_any_type_are_read(table: pd.DataFrame) -> None:
    read = from_frame(table)
    assert read.pooled.labels == ("A", "B", "C")
    assert read["estimate"].tolist() == [28, 8, -3]
    assert read["standard_error"].tolist() == [15, 10, 16]


def test_columns_may_have_names_that_are_no_text() -> None:
    read = from_frame(frame().set_axis([0, 1, 2], axis=1), group=0, estimate=1, standard_error="2")
    assert read.dataset.columns == {"group": "0", "estimate": "1", "standard_error": "2"}


@pytest.mark.parametrize(
    ("labels", "read"),
    [([1, 2, 3], "123"), ([1.0, 2.0, 3.5], ["1", "2", "3.5"]), ([True, False, "x"], ["True", "False", "x"])],
)
def test_labels_that_are_no_text_become_text(labels: list[Any], read: str | list[str]) -> None:
    assert from_frame(frame(school=labels)).pooled.labels == tuple(read)


# Properties

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)


@given(
    st.lists(TEXT, min_size=2, max_size=8, unique_by=str.strip),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["\n", "\r\n"]),
)
@settings(max_examples=150, deadline=None)
def test_any_labels_come_back_from_any_csv(
    tmp_path_factory: pytest.TempPathFactory, labels: list[str], delimiter: str, end: str
) -> None:
    labels = [label for label in labels if label.strip()]
    text = io.StringIO(newline="")
    rows = [("school", "x"), *((label, 1) for label in labels)]
    csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(rows)
    path = write(tmp_path_factory.getbasetemp(), text.getvalue(), "labels.csv")
    if labels:
        assert read_csv(path)[0].labels("school") == [label.strip() for label in labels]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5), st.booleans())
@settings(max_examples=150, deadline=None)
def test_any_numbers_come_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, values: list[float], comma: bool
) -> None:
    cells = [repr(v).replace(".", ",") if comma else repr(v) for v in values]
    text = "school;x;clear\n" + "".join(f"g{i};{cell};{'0,5' if comma else '0.5'}\n" for i, cell in enumerate(cells))
    read = read_csv(write(tmp_path_factory.getbasetemp(), text, "numbers.csv"))[0].numbers("x")
    assert read.tolist() == values


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_table_or_a_message(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = write(tmp_path_factory.getbasetemp(), content, "bytes.csv")
    try:
        table, _ = read_csv(path)
    except DataError as error:
        one_paragraph(error)
    else:
        assert isinstance(table, Table)
        assert table.n_rows > 0
