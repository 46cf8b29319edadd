"""analysis.toml: what is read, and a sentence with file and key for everything that is wrong in it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from hbm_stan.analysis.read import Analysis, _one_of_each, read_analysis
from hbm_stan.engines import Sampling
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.errors import HbmError, ModelError
from hbm_stan.families import family
from hbm_stan.report.build import fit_analysis, report

TABLE = "school,effect,se\nA,28,15\nB,8,10\nC,-3,16\nD,7,11\nE,-1,9\n"
TEXT = """\
title = "Coaching"
question = "Does it help?"
family = "normal_means"
data = "schools.csv"
variants = ["complete_pooling", "no_pooling", "partial_pooling"]

[columns]
group = "school"
estimate = "effect"
standard_error = "se"

[priors]
tau = "half_cauchy(5)"

[reasons]
tau = "as in the book"

[sampling]
engine = "direct"
draws = 500
seed = 3

[comparison]
variants = ["complete_pooling", "partial_pooling"]

[prediction]
standard_error = 12.0

[checks]
waive = ["tail ESS"]
"""
LEAST = """\
family = "normal_means"
data = "schools.csv"
columns = {group = "school", estimate = "effect", standard_error = "se"}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An analysis folder with its table."""
    path = tmp_path / "coaching"
    path.mkdir()
    (path / "schools.csv").write_text(TABLE)
    return path


def analysis(folder: Path, text: str = TEXT, *changes: tuple[str, str]) -> Analysis:
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "analysis.toml").write_bytes(text.encode())
    return read_analysis(folder)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(HbmError) as caught:
        analysis(folder, text)
    assert caught.value.exit_code == 2
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 900
    assert str(folder / "analysis.toml") in message
    return message


def test_every_key_is_read(folder: Path) -> None:
    read = analysis(folder)
    assert (read.name, read.title, read.question) == ("coaching", "Coaching", "Does it help?")
    assert read.variants == ("complete_pooling", "no_pooling", "partial_pooling")
    assert read.compared == ("complete_pooling", "partial_pooling")
    assert (read.priors, read.reasons) == ({"tau": "half_cauchy(5)"}, {"tau": "as in the book"})
    assert read.sampling == Sampling(draws=500, seed=3)
    assert (read.prediction, read.waived, read.main_variant) == (
        {"standard_error": 12.0},
        ("tail ESS",),
        "partial_pooling",
    )
    assert (read.engine, read.engine_for("auto"), read.engine_for("stanli")) == ("direct", "direct", "stanli")
    assert read.with_seed(0).sampling.seed == 0
    assert read.with_seed(None) is read


def test_what_is_not_said_has_a_default(folder: Path) -> None:
    read = analysis(folder, LEAST)
    assert (read.title, read.question, read.sampling) == ("coaching", "", Sampling())
    assert read.compared == read.variants == ("complete_pooling", "no_pooling", "partial_pooling")
    assert (read.prediction, read.waived, read.parameterisation, read.engine) == ({}, (), "auto", "auto")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        # unknown keys, at each level
        ("title =", "titel =", ("unknown key 'titel'", "Did you mean 'title'?")),
        ("[sampling]", "[samplings]", ("unknown key 'samplings'", "Did you mean 'sampling'?")),
        ("group =", "groups =", ("unknown key 'groups' in [columns]", "Did you mean 'group'?")),
        ("tau =", "tua =", ("unknown key 'tua' in [priors]", "Did you mean 'tau'?")),
        ('tau = "as', 'ta = "as', ("unknown key 'ta' in [reasons]", "Did you mean 'tau'?")),
        ('"as in the book"', "3", ("[reasons] tau must be a text, found 3",)),
        ('"direct"', '"dirct"', ("sampling.engine: there is no engine 'dirct'", "Did you mean 'direct'?")),
        ('"direct"', "3", ("sampling.engine: there is no engine 3", "'stanli'")),
        ("draws =", "iter =", ("unknown key 'iter' in [sampling]", "'warmup'")),
        ("[comparison]\nvariants", "[comparison]\nvariant", ("'variant' in [comparison]", "'variants'")),
        ("standard_error = 12", "se = 12", ("unknown key 'se' in [prediction]", "'standard_error'")),
        ("waive =", "waived =", ("unknown key 'waived' in [checks]", "Did you mean 'waive'?")),
        # keys in a wrong place
        ("title =", "seed = 3\ntitle =", ("unknown key 'seed'", "It belongs in [sampling]")),
        ("draws = 500", "question = 'why'", ("unknown key 'question' in [sampling]", "above the first [section]")),
        ("draws = 500", "waive = []", ("unknown key 'waive' in [sampling]", "It belongs in [checks]")),
        # missing keys
        ('family = "normal_means"\n', "", ("the key 'family' is missing",)),
        ('data = "schools.csv"\n', "", ("the key 'data' is missing",)),
        ("[columns]", "[checks.x]", ("the key 'columns' is missing",)),
        # wrong types
        ('"Coaching"', "3", ("title must be a text", "found 3")),
        ('"Coaching"', "2020-01-01", ("title must be a text", "found")),
        ('"Does it help?"', '["a", "b"]', ("question must be a text",)),
        ('"normal_means"', "['normal_means']", ("family must be a text",)),
        ('"schools.csv"', "{path = 'x'}", ("data must be a text",)),
        ("[priors]", "[[priors]]", ("priors must be a table",)),
        ('= ["complete_pooling", "no_pooling", "partial_pooling"]', '= "x"', ("variants must be a list of texts",)),
        ('"no_pooling", ', "3, ", ("variants must be a list of texts", "3")),
        ('group = "school"', "group = 1", ("[columns] group must be a text, found 1",)),
        ('"half_cauchy(5)"', "5", ("[priors] tau must be a text, found 5",)),
        ('["tail ESS"]', '"tail ESS"', ("checks.waive must be a list of texts",)),
        # unknown names
        ('"normal_means"', '"normal_mean"', ("no family 'normal_mean'", "Did you mean 'normal_means'?")),
        ('"no_pooling", ', '"none_pooling", ', ("variants", "no variant 'none_pooling'", "Did you mean 'no_pooling'?")),
        ('"no_pooling", ', '"partial_pooling", ', ("variants", "'partial_pooling'", "twice")),
        ('["complete_pooling", "part', '["complete", "part', ("comparison.variants", "no variant 'complete'")),
        ('g", "partial_pooling"]\n\n[p', 'g", "partial_pooling_centered"]\n\n[p', ("comparison", "not among variants")),
        ('["complete_pooling", "partial_pooling"]', '["complete_pooling"]', ("comparison.variants", "two variants")),
        ('["complete_pooling", "partial_pooling"]', "[]", ("comparison.variants", "two variants")),
        ('["complete_pooling", "no_pooling", "partial_pooling"]', "[]", ("variants", "empty")),
        ('"tail ESS"', '"tail-ESS"', ("checks.waive", "no check 'tail-ESS'", "Did you mean 'tail ESS'?")),
        ('"half_cauchy(5)"', '"half_cauchy(-5)"', ("Prior of tau", "above zero", "'-5'")),
        ('"half_cauchy(5)"', '"half_couchy(5)"', ("Prior of tau", "Did you mean 'half_cauchy'?")),
        ('"half_cauchy(5)"', '""', ("Prior of tau", "is not understood")),
        # columns
        ('"effect"', '"effct"', ("[columns]", "schools.csv", "'effct'", "'estimate'", "Did you mean 'effect'?")),
        ('"se"', '"effect"', ("[columns]", "'effect'", "2 roles")),
        ('standard_error = "se"\n', "", ("[columns]", "'standard_error'", "'school', 'effect', 'se'")),
        # sampling
        ("seed = 3", "seed = -3", ("seed", "-3")),
        ("seed = 3", "seed = 99999999999999999999", ("seed", "2147483647")),
        ("seed = 3", "seed = true", ("seed", "True")),
        ("seed = 3", "seed = 3.0", ("seed", "whole number")),
        ("seed = 3", 'seed = "3"', ("seed", "'3'")),
        ("draws = 500", "draws = 0", ("draws", "0")),
        ("draws = 500", "adapt_delta = 1.0", ("adapt_delta", "1.0")),
        ("draws = 500", "adapt_delta = nan", ("adapt_delta", "nan")),
        ("draws = 500", "adapt_delta = true", ("adapt_delta", "True")),
        ("draws = 500", "chains = 0", ("chains", "0")),
        ("draws = 500", "warmup = -1", ("warmup", "-1")),
        ("draws = 500", "max_treedepth = 99", ("max_treedepth", "99")),
        # prediction
        ("= 12.0", "= 0", ("prediction.standard_error", "above zero", "0")),
        ("= 12.0", "= -1.5", ("prediction.standard_error", "-1.5")),
        ("= 12.0", "= inf", ("prediction.standard_error", "inf")),
        ("= 12.0", "= nan", ("prediction.standard_error", "nan")),
        ("= 12.0", "= true", ("prediction.standard_error", "True")),
        ("= 12.0", '= "12"', ("prediction.standard_error", "'12'")),
        ("= 12.0", "= 1" + "0" * 400, ("prediction.standard_error",)),
        # data
        ('"schools.csv"', '"school.csv"', ("data", "school.csv: no such file or folder")),
        ('"schools.csv"', '""', ("data", "empty")),
        ('"schools.csv"', '"."', ("data", "needs a data.csv", "schools.csv")),
        ('"schools.csv"', '"https://example.org/schools.csv"', ("data", "https://example.org/schools.csv", "Download")),
        ('"schools.csv"', "'C:\\data\\schools.csv'", ("data", "no such file")),
        # no TOML
        ('"schools.csv"', '"C:\\users\\schools.csv"', ("not valid TOML", "line 4", "backslash")),
        ('"Coaching"', "Coaching", ("not valid TOML", "line 1")),
        ('"Coaching"', '"Coaching', ("not valid TOML", "line 1")),
        ("question =", "title =", ("not valid TOML", "line 2")),
        ("[priors]", "[columns]", ("not valid TOML", "line 12")),
        ("= 12.0", "= " + "9" * 5000, ("not valid TOML",)),
        ("= 12.0", "= " + "[" * 5000, ("not valid TOML",)),
    ],
)  # fmt: skip
def test_a_mistake_is_refused_in_words(folder: Path, old: str, new: str, words: tuple[str, ...]) -> None:
    assert old in TEXT
    message = refusal(folder, TEXT.replace(old, new, 1))
    for word in words:
        assert word in message, message


@pytest.mark.parametrize("content", ["é".encode("latin-1"), TEXT.encode("utf-16"), b"\0\1\2"])
def test_bytes_that_are_no_toml_are_refused_in_words(folder: Path, content: bytes) -> None:
    (folder / "analysis.toml").write_bytes(content)
    with pytest.raises(ModelError, match=r"analysis\.toml is not (UTF-8|valid TOML)"):
        read_analysis(folder)


@pytest.mark.parametrize("encode", [lambda t: "\ufeff" + t, lambda t: t.replace("\n", "\r\n"), lambda t: t.rstrip()])
def test_marks_and_line_ends_of_other_systems(folder: Path, encode: Any) -> None:
    assert analysis(folder, encode(TEXT)).sampling.seed == 3


@pytest.mark.parametrize("way", ["folder", "slash", "file", "relative", "text"])
def test_an_analysis_is_named_by_folder_or_file(folder: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    analysis(folder)
    monkeypatch.chdir(folder.parent)
    named = {
        "folder": folder,
        "slash": f"{folder}/",
        "file": folder / "analysis.toml",
        "relative": Path("coaching"),
        "text": "coaching/analysis.toml",
    }[way]
    read = read_analysis(named)
    assert (read.name, read.folder.resolve()) == ("coaching", folder)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gone", ("there is no analysis here", "hbm new")),
        ("", ("there is no analysis here", "hbm new")),
        ("analysis.toml/more", ("there is no analysis here",)),
        ("x" * 5000, ("there is no analysis here",)),
        ("a\0b", ("there is no analysis here",)),
        ("schools.csv", ("schools.csv is a table", "hbm new")),
        ("second.toml", ("analysis.toml", "a folder of its own")),
    ],
)
def test_what_is_no_analysis_is_refused_in_words(folder: Path, name: str, words: tuple[str, ...]) -> None:
    (folder / "second.toml").write_text(TEXT)
    where = folder / name if name else folder / "empty"
    where.mkdir() if not name else None
    with pytest.raises(ModelError) as caught:
        read_analysis(where)
    for word in words:
        assert word in str(caught.value)


def test_an_unreadable_analysis_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    analysis(folder)
    if os.geteuid() == 0:  # root may read everything

        def refuse(*_args: Any, **_kwargs: Any) -> Any:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "read_text", refuse)
    (folder / "analysis.toml").chmod(0)
    with pytest.raises(ModelError, match=r"analysis\.toml: cannot be read \(Permission denied\)"):
        read_analysis(folder)


# Where the data are


def test_the_data_are_looked_for_beside_the_file_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = folder.parent / "elsewhere"
    elsewhere.mkdir()
    shutil.move(folder / "schools.csv", elsewhere / "schools.csv")
    monkeypatch.chdir(elsewhere)
    assert str(folder / "schools.csv") in refusal(folder, TEXT)


def test_a_shipped_dataset_is_known_by_its_name_everywhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder.parent / "eight_schools").mkdir()
    monkeypatch.chdir(folder.parent)
    read = analysis(folder, TEXT, ("schools.csv", "eight_schools"))
    assert read.dataset.title
    (folder / "eight_schools").mkdir()
    (folder / "eight_schools" / "data.csv").write_text(TABLE)
    assert not read_analysis(folder).dataset.title


@pytest.mark.parametrize(
    "path", ["my tables/schools 1.csv", "my tables\\\\schools 1.csv", "./my tables/schools 1.csv", "~/x.csv"]
)
def test_paths_with_spaces_of_other_systems_and_of_home(
    folder: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(folder))
    (folder / "my tables").mkdir()
    shutil.copy(folder / "schools.csv", folder / "my tables" / "schools 1.csv")
    shutil.copy(folder / "schools.csv", folder / "x.csv")
    assert analysis(folder, TEXT, ("schools.csv", path)).dataset.table.n_rows == 5


# Text that means something to other programs comes through whole


@pytest.mark.parametrize(
    "text",
    ['He said "yes"', "# not a comment", "$x$ and *y* and [z] and {w}", "a\nb\n\nc", "\\alpha \\ @ref <b> `code`",
     "é 日本 🙂", "\t\x01\x7f", " ", "x" * 3000],
)  # fmt: skip
def test_any_title_and_question_are_kept(folder: Path, text: str) -> None:
    quoted = json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
    read = analysis(folder, TEXT, ('"Coaching"', quoted), ('"Does it help?"', quoted))
    assert (read.title, read.question) == (text, text)


def test_a_report_in_an_odd_folder_with_an_odd_title(tmp_path: Path) -> None:
    folder = tmp_path / "été à la # $HOME [1]"
    folder.mkdir()
    (folder / "schools.csv").write_text(TABLE.replace("A,", '"#$*[ ""A""\nnew",'))
    odd = json.dumps('# "$x$" *b* [c] \\ @d <e>\n\nf', ensure_ascii=False)
    analysis(folder, TEXT, ('"Coaching"', odd), ('"Does it help?"', odd), ('[checks]\nwaive = ["tail ESS"]', ""))
    document = report(folder, engine=StanliEngine())
    assert document.pdf.read_bytes().startswith(b"%PDF")
    assert json.loads(document.json.read_text())["data"]["rows"][0]["school"] == '#$*[ "A"\nnew'


def test_draws_are_kept_beside_the_file(folder: Path) -> None:
    read = analysis(folder)
    fit_analysis(read, ("complete_pooling",), engine=StanliEngine())
    assert len(list((folder / "fits").glob("complete_pooling-*.nc"))) == 1


def test_the_engine_of_the_analysis_fits_where_none_is_asked_for(folder: Path) -> None:
    read = analysis(folder)
    assert fit_analysis(read, ("complete_pooling",))["complete_pooling"].engine == "direct"
    assert fit_analysis(read, ("complete_pooling",), engine="stanli")["complete_pooling"].engine == "stanli"


def test_models_are_compared_and_parameterisations_are_not() -> None:
    model = family("linear_regression")
    names = ("partial_pooling_intercept", "partial_pooling", "partial_pooling_centered", "no_pooling")
    assert _one_of_each(model, names) == ("partial_pooling_intercept", "partial_pooling", "no_pooling")
