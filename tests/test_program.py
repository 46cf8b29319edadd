"""Stan programs as text: what check_data lets pass and what it refuses, includes, comments, blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hbm_stan.errors import DataError, HbmError, ModelError
from hbm_stan.program import Declaration, Program, check_data

MEANS = "int<lower=1> J; vector[J] y; vector<lower=0>[J] se;"
GOOD: dict[str, Any] = {"J": 3, "y": np.zeros(3), "se": np.ones(3)}
INDEX = "int<lower=1> J; int<lower=1> K; array[J] int<lower=1, upper=K> idx;"
MATRIX = "int N; int K; matrix[N, K] X;"


def program(folder: Path, data: str, before: str = "", after: str = "") -> Program:
    return write(
        folder, f"{before}\ndata {{\n{data}\n}}\n{after}\nparameters {{ real mu; }}\nmodel {{ mu ~ normal(0, 1); }}\n"
    )


def write(folder: Path, code: str, name: str = "prog.stan", **dirs: Any) -> Program:
    path = folder / name
    path.write_bytes(code.encode())
    return Program.read(path, **dirs)


def refusal(function: Any, *arguments: Any) -> str:
    with pytest.raises(HbmError) as caught:
        function(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 700
    return message


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"se": None}, "lack 'se' (vector); they have J, y"),
        ({"Y": 1.0}, "data key 'Y' is not in the program"),
        ({"sse": 1.0}, "Did you mean 'se'?"),
        ({"y": np.zeros(4)}, "'y' has shape (4,); the program says (J) = (3,)"),
        ({"y": 0.0}, "'y' has shape ()"),
        ({"y": np.zeros((3, 1))}, "'y' has shape (3, 1)"),
        ({"y": [0.0, np.nan, 1.0]}, "'y' must be finite; element 2 is nan"),
        ({"y": [0.0, 1.0, -np.inf]}, "'y' must be finite; element 3 is -inf"),
        ({"y": [0.0, None, 1.0]}, "numbers are needed"),
        ({"y": ["a", "b", "c"]}, "numbers are needed"),
        ({"y": [[1.0, 2.0], [3.0]]}, "rows of different length"),
        ({"y": [True, False, True]}, "numbers are needed"),
        ({"y": np.zeros(3, dtype=complex)}, "numbers are needed"),
        ({"se": [1.0, -1.0, 1.0]}, "'se' must be at least 0; element 2 is -1.0"),
        ({"J": 0, "y": [], "se": []}, "'J' must be at least 1; it is 0"),
        ({"J": 3.5}, "'J' must hold integers; it is 3.5"),
        ({"J": 3.0}, "'J' must hold integers (write 3, not 3.0); it is 3.0"),
        ({"J": np.nan}, "'J' must hold integers; it is nan"),
        ({"J": True}, "numbers are needed"),
        ({"J": "3"}, "numbers are needed"),
        ({"J": 2**31}, "'J' must be at most 2147483647"),
        ({"J": 2**70}, "'J'"),
    ],
)
def test_a_planted_fault_in_the_data_is_found(tmp_path: Path, fault: dict[str, Any], words: str) -> None:
    data = {name: value for name, value in {**GOOD, **fault}.items() if value is not None}
    message = refusal(check_data, program(tmp_path, MEANS), data)
    assert words in message, message
    assert message.startswith("prog: ")


@pytest.mark.parametrize(
    ("declared", "data", "words"),
    [
        (INDEX, {"J": 3, "K": 2, "idx": [1, 2, 3]}, "'idx' must be at most K = 2; element 3 is 3"),
        (INDEX, {"J": 3, "K": 2, "idx": [0, 1, 2]}, "'idx' must be at least 1; element 1 is 0"),
        (INDEX, {"J": 3, "K": 2, "idx": [1.0, 2.0, 1.5]}, "'idx' must hold integers; element 3 is 1.5"),
        (MATRIX, {"N": 3, "K": 2, "X": np.zeros((2, 3))}, "(N, K) = (3, 2)"),
        (MATRIX, {"N": 2, "K": 2, "X": [[0, 1], [2, np.nan]]}, "element 2, 2 is nan"),
        ("int J; array[2] vector[J] z;", {"J": 3, "z": np.zeros((3, 2))}, "(2, J) = (2, 3)"),
        ("int N; vector[2 * (N + 1) - 1] z;", {"N": 1, "z": [1.0]}, "= (3,)"),
        ("int N; int<lower=1, upper=N + 1> z;", {"N": 1, "z": 3}, "at most N + 1 = 2; it is 3"),
        ("int N; vector[N / 2] z;", {"N": 5, "z": [1.0]}, "(N / 2) = (2,)"),
        ("row_vector<lower=0, upper=1>[2] z;", {"z": [0.5, 1.5]}, "at most 1; element 2 is 1.5"),
        ("int K; cov_matrix[K] S;", {"K": 2, "S": np.eye(3)}, "= (2, 2)"),
        ("vector[2] lb; vector<lower=lb>[2] z;", {"lb": [0.0, 1.0], "z": [1.0, 0.5]}, "at least lb; element 2 is 0.5"),
        ("real a, b;", {"a": 1.0}, "lack 'b'"),
        ("array[2, 3] matrix[4, 5] z;", {"z": np.zeros((2, 3, 5, 4))}, "= (2, 3, 4, 5)"),
        ("", {"N": 1}, "has no data"),
    ],
)
def test_shapes_and_bounds_of_any_declaration(tmp_path: Path, declared: str, data: dict[str, Any], words: str) -> None:
    assert words in refusal(check_data, program(tmp_path, declared), data)


@pytest.mark.parametrize(
    ("declared", "data"),
    [
        (MEANS, GOOD),
        (INDEX, {"J": 3, "K": 2, "idx": np.array([1, 2, 1])}),
        (MATRIX, {"N": 3, "K": 2, "X": np.zeros((3, 2))}),
        (MATRIX, {"N": 3, "K": 0, "X": np.zeros((3, 0))}),
        (MATRIX, {"N": 0, "K": 2, "X": []}),
        ("int J; array[2] vector[J] z;", {"J": 3, "z": np.zeros((2, 3))}),
        ("int<lower=0>N;vector[N]y;", {"N": 1, "y": [1.0]}),
        ("array[0] int none;", {"none": []}),
        ("int K; cov_matrix[K] S;", {"K": 2, "S": np.eye(2)}),
        ("cholesky_factor_cov[3, 2] L;", {"L": np.zeros((3, 2))}),
        ("int N; vector[N / 2] z;", {"N": 5, "z": [1.0, 2.0]}),
        (
            "array[2] int d; array[d[1], d[2]] real x; vector[max(d)] v;",
            {"d": [1, 2], "x": [[1.0, 2.0]], "v": [1.0, 2.0]},
        ),
        ("int N; vector[N] lb; vector<lower=lb>[2] z;", {"N": 3, "lb": [0.0, 1.0, 2.0], "z": [1.0, 0.5]}),
        ("int N; real<lower=(N > 2 ? 0 : 1), upper=2> y;", {"N": 2, "y": 0.5}),
        ("vector<offset=1, multiplier=2>[2] y;", {"y": [1.0, 0.5]}),
        (
            "simplex[2] z; complex c; tuple(int, array[2] real) t; array[3] tuple(int, int) u;",
            {"z": [0.5, 0.5], "c": 1 + 2j, "t": (1, [2.0, 3.0]), "u": [(1, 2)] * 3},
        ),
        ("real a, b;", {"a": 1.0, "b": 2}),
        ("vector[2] z;", {"z": (1, 2)}),
        ("real<lower=0> a;", {"a": np.float32(1)}),
    ],
)
def test_right_data_pass(tmp_path: Path, declared: str, data: dict[str, Any]) -> None:
    check_data(program(tmp_path, declared), data)


@pytest.mark.parametrize(
    "declared", ["int N; real y[N];", "this is no stan;", "real<lower=0 y;", "vector[3 y;", "int 1x;", "int;"]
)
def test_what_is_no_declaration_is_shown(tmp_path: Path, declared: str) -> None:
    message = refusal(program(tmp_path, declared).block, "data")
    assert "is not understood" in message
    assert "array[N] real" in message


@pytest.mark.parametrize(
    ("before", "declared", "after"),
    [
        ("// data { int M; }\n/* data { real q; } */", "int N; // int M; }\n/* real z; { */ vector[N] y; // end {", ""),
        ('functions { void f() { print("// { data {"); } }', "int N; vector[N] y;", ""),
        ('functions { void f() { print("/*"); } }', "int N; vector[N] y;", 'transformed data { print("*/ }"); }'),
        ("functions { real f(data vector x) { return x[1]; } }", "int N;\nvector[N]\n  y;", ""),
        ("", "int N; vector[N] y;", "transformed data { int Q = 1; { real z; } }"),
        ("", "int N; // ends with a quote \"\n vector[N] y;", ""),
        ("/* don't */ // it's", "int N; vector[N] y;", ""),
    ],
)  # fmt: skip
def test_comments_strings_and_other_blocks_do_not_count(tmp_path: Path, before: str, declared: str, after: str) -> None:
    parsed = program(tmp_path, declared, before, after)
    assert parsed.block("data") == (
        Declaration(name="N", type="int"),
        Declaration(name="y", type="vector", dims=("N",)),
    )
    assert [d.name for d in parsed.block("parameters")] == ["mu"]


def test_a_block_may_be_missing_or_stand_close(tmp_path: Path) -> None:
    assert write(tmp_path, "parameters { real x; } model { }").block("data") == ()
    assert write(tmp_path, "data{int N;}transformed data{real q;}parameters{real x;}").block("data") == (
        Declaration(name="N", type="int"),
    )
    check_data(write(tmp_path, "parameters { real x; } model { }"), {})


def test_a_block_that_is_not_closed_is_named(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, "data { int N; ").block, "data")
    assert "'data'" in message
    assert "prog" in message


@pytest.mark.parametrize("code", ["\ufeffdata { int N; }", "data {\r\n  int N; // one\r\n}\r\n"])
def test_marks_and_line_ends_of_other_systems(tmp_path: Path, code: str) -> None:
    assert write(tmp_path, code).block("data") == (Declaration(name="N", type="int"),)


# Includes


@pytest.mark.parametrize(
    "line",
    [
        "#include a.stan",
        "  #include a.stan",
        '#include "a.stan"',
        "#include <a.stan>",
        "#include a.stan // why",
        "#include\ta.stan  ",
    ],
)
def test_an_include_is_inlined_however_it_is_written(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.stan").write_text("real f() { return 1; }\n")
    parsed = program(tmp_path, "int N;", f"functions {{\n{line}\n}}")
    assert "real f() { return 1; }" in parsed.code
    assert "#include" not in parsed.code
    (tmp_path / "a.stan").write_text("real f() { return 2; }\n")
    assert Program.read(parsed.path).sha256 != parsed.sha256


def test_includes_nest_and_are_searched_in_the_library(tmp_path: Path) -> None:
    library = tmp_path / "lib"
    library.mkdir()
    (library / "a.stan").write_text("#include b.stan\n")
    (library / "b.stan").write_text("real g() { return 2; }")
    parsed = write(tmp_path, "functions {\n#include a.stan\n}\ndata { int N; }", include_dirs=(library,))
    assert parsed.code == "functions {\nreal g() { return 2; }\n}\ndata { int N; }"


@pytest.mark.parametrize(
    "line",
    ["// #include gone.stan", "/*\n#include gone.stan\n*/", 'functions { void f() { print("#include gone.stan"); } }'],
)
def test_an_include_in_a_comment_or_a_string_is_none(tmp_path: Path, line: str) -> None:
    assert line in program(tmp_path, "int N;", line).code


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"prog.stan": "#include prog.stan"}, ("includes itself", "prog.stan")),
        (
            {"prog.stan": "#include a.stan", "a.stan": "#include b.stan", "b.stan": "#include a.stan"},
            ("includes itself", "prog.stan -> a.stan -> b.stan"),
        ),
        ({"prog.stan": "#include s/a.stan", "s/a.stan": "#include s/../s/a.stan"}, ("includes itself", "a.stan")),
        ({"prog.stan": "int N;\n#include gone.stan"}, ("'gone.stan'", "prog.stan", "not in any of")),
        ({"prog.stan": "#include a.stan", "a.stan": "#include gone.stan"}, ("'gone.stan'", "a.stan")),
        ({"prog.stan": "#include sub", "sub/a.stan": ""}, ("'sub'",)),
    ],
)  # fmt: skip
def test_an_include_that_cannot_be_is_refused(tmp_path: Path, files: dict[str, str], words: tuple[str, ...]) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    message = refusal(Program.read, tmp_path / "prog.stan")
    for word in words:
        assert word in message


@pytest.mark.parametrize("make", ["missing", "folder", "latin"])
def test_a_program_that_cannot_be_read_is_named(tmp_path: Path, make: str) -> None:
    path = tmp_path / "prog.stan"
    if make == "folder":
        path.mkdir()
    if make == "latin":
        path.write_bytes("// é\n".encode("latin-1"))
    with pytest.raises(ModelError, match=r"prog\.stan: the Stan program cannot be read"):
        Program.read(path)


def test_a_wrong_key_and_a_wrong_value_are_data_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        check_data(program(tmp_path, MEANS), {**GOOD, "Z": 1})
