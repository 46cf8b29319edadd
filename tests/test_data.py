"""Datasets: folders, source.toml, shipped names, roles, and the label's way from the CSV to results.json."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hbm_stan.analysis.read import Analysis
from hbm_stan.attempts import fit_variants
from hbm_stan.data import ColumnInfo, Dataset, load
from hbm_stan.engines import Sampling
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.errors import DataError
from hbm_stan.families import family
from hbm_stan.fit import Fit, prepare_table
from hbm_stan.named import NamedTree
from hbm_stan.predictors import read_predictors
from hbm_stan.results.collect import find
from hbm_stan.results.document import results
from hbm_stan.store import FitRecord, FitStore

ROLES = {"group": "school", "estimate": "effect", "standard_error": "se"}
TABLE = "school,effect,se\nA,28,15\nB,8,10\nC,-3,16\n"
SHA = hashlib.sha256(TABLE.encode()).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dataset folder."""
    path = tmp_path / "schools"
    path.mkdir()
    (path / "data.csv").write_text(TABLE)
    return path


def source(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    (folder / "source.toml").write_bytes(text.encode(encoding))
    return folder


def test_a_folder_brings_its_provenance(folder: Path) -> None:
    source(
        folder,
        f'title = "Schools"\r\ncitation = "Rubin (1981)"\nlicence = "none"\nsha256 = "{SHA.upper()}"\nrows = 3\n'
        '[columns.effect]\nmeaning = "effect"\nunit = "points"\n',
        "utf-8-sig",
    )
    dataset = load(folder, ROLES)
    assert (dataset.name, dataset.title, dataset.source, dataset.sha256) == ("schools", "Schools", "Rubin (1981)", SHA)
    assert dataset.info == {"effect": ColumnInfo("effect", "points")}
    assert (dataset.unit("estimate"), dataset.unit("group"), dataset.meaning("school")) == ("points", "", "school")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f'sha256 = "{"0" * 64}"', ("sha256", SHA, "line ends", "Restore data.csv")),
        ("sha256 = 3", ("sha256", "must be a text", "found 3")),
        ('titel = "x"', ("unknown key 'titel'", "Did you mean 'title'?")),
        ("title = 3", ("title", "must be a text", "found 3")),
        ("rows = 4", ("rows", "4", "has 3")),
        ('rows = "3"', ("rows", "must be a whole number", "'3'")),
        ("rows = true", ("rows", "must be a whole number")),
        ("columns = 3", ("columns", "must be a table", "found 3")),
        ('[columns]\neffect = "points"', ("columns.effect", "must be a table", "'points'")),
        ('[columns.effct]\nunit = "points"', ("'effct'", "no column", "Did you mean 'effect'?")),
        ('[columns.effect]\nunits = "points"', ("unknown key 'units'", "columns.effect", "Did you mean 'unit'?")),
        ("[columns.effect]\nunit = 3", ("columns.effect.unit", "must be a text", "found 3")),
        ("title = Schools", ("not valid TOML", "line 1")),
        ("title = 'Schools", ("not valid TOML",)),
    ],
)
def test_a_wrong_source_is_refused_in_words(folder: Path, text: str, words: tuple[str, ...]) -> None:
    with pytest.raises(DataError) as caught:
        load(source(folder, text))
    message = str(caught.value)
    assert "source.toml" in message
    assert "\n" not in message
    for word in words:
        assert word in message, message


def test_a_source_in_another_encoding_is_refused_in_words(folder: Path) -> None:
    with pytest.raises(DataError, match=r"source\.toml .*UTF-8"):
        load(source(folder, 'title = "é"', "latin-1"))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: p / "none.csv", ("none.csv", "no such file or folder", "eight_schools")),
        (lambda p: p / "no" / "where.csv", ("where.csv", "no such file or folder")),
        (lambda p: p, ("needs a data.csv", "other.csv")),
        (lambda p: p / ("x" * 5000), ("no such file or folder",)),
        (lambda p: str(p / "a\0b"), ("no such file or folder",)),
        (lambda _: "eight_school", ("no such file or folder", "Did you mean 'eight_schools'?")),
        (lambda _: "", ("need a name",)),
    ],
)
def test_a_missing_place_is_named(tmp_path: Path, make: Callable[[Path], Any], words: tuple[str, ...]) -> None:
    (tmp_path / "other.csv").write_text(TABLE)
    with pytest.raises(DataError) as caught:
        load(make(tmp_path), ROLES)
    for word in words:
        assert word in str(caught.value)


def test_a_shipped_dataset_is_known_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load("eight_schools", ROLES).table.n_rows == 8


def test_a_data_csv_that_is_a_folder_is_named(folder: Path) -> None:
    (folder / "data.csv").unlink()
    (folder / "data.csv").mkdir()
    with pytest.raises(DataError, match=r"data\.csv is no file \(a pipe, a device or a folder\)"):
        load(folder)


def test_links_that_go_round_are_no_file(tmp_path: Path) -> None:
    os.symlink(tmp_path / "b", tmp_path / "a")
    os.symlink(tmp_path / "a", tmp_path / "b")
    with pytest.raises(DataError, match="no such file or folder"):
        load(tmp_path / "a")


@pytest.mark.parametrize(
    ("roles", "words"),
    [
        ({"group": "schol"}, ("no column 'schol' for the role 'group'", "Did you mean 'school'?")),
        ({"estimate": "EFFECT"}, ("no column 'EFFECT' for the role 'estimate'", "effect")),
        ({"standard_error": ""}, ("no column ''",)),
        ({"standard_error": "effect"}, ("'effect'", "2 roles", "estimate, standard_error")),
        ({"standard_eror": "se"}, ("no role 'standard_eror'", "Did you mean 'standard_error'?")),
    ],
)
def test_a_wrong_role_is_refused_in_words(folder: Path, roles: dict[str, str], words: tuple[str, ...]) -> None:
    with pytest.raises(DataError) as caught:
        prepare_table(family("normal_means"), load(folder, {**ROLES, **roles}))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("role", list(ROLES))
def test_a_missing_role_is_named_with_the_columns_there_are(folder: Path, role: str) -> None:
    roles = {name: column for name, column in ROLES.items() if name != role}
    with pytest.raises(DataError, match=rf"role '{role}'.*'school', 'effect', 'se'"):
        prepare_table(family("normal_means"), load(folder, roles))


def test_a_table_of_a_thousand_columns_gets_a_short_message(tmp_path: Path) -> None:
    names = [f"column_{i}" for i in range(1000)]
    (tmp_path / "wide.csv").write_text(",".join(names) + "\n" + ",".join("1" * 1000) + "\n")
    for roles in (ROLES, {"group": "column_1", "estimate": "column_2"}):
        with pytest.raises(DataError) as caught:
            prepare_table(family("normal_means"), load(tmp_path / "wide.csv", roles))
        assert len(str(caught.value)) < 900


def test_the_same_data_have_the_same_hash() -> None:
    frame = pd.DataFrame({"school": ["A", "B"], "effect": [1.0, 2.0], "se": [1.0, 1.0]})
    assert Dataset.from_frame(frame).sha256 == Dataset.from_frame(frame.copy()).sha256
    assert Dataset.from_frame(frame).sha256 != Dataset.from_frame(frame.assign(effect=[1.0, 2.5])).sha256


# Any label, from the CSV to results.json.

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=10)
N_GROUPS = 12


@pytest.fixture(scope="module")
def fits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Fit]:
    """Fits of some groups, sampled once; the examples change their labels only."""
    path = tmp_path_factory.mktemp("fits") / "data.csv"
    path.write_text("school,effect,se\n" + "".join(f"{i},{i},10\n" for i in range(N_GROUPS)))
    return fit_variants(
        "normal_means", load(path, ROLES), ["partial_pooling"], sampling=Sampling(warmup=150, draws=50),
        engine=StanliEngine(), store=FitStore(path.parent / "fits"),
    )  # fmt: skip


def relabelled(fit: Fit, dataset: Dataset, store: FitStore) -> Fit:
    """The fit with the labels of another dataset, after a round through the store's file."""
    table = prepare_table(fit.family, dataset)
    tree = fit.tree.map_over_datasets(
        lambda d: d.assign_coords(group=list(table.pooled.labels)) if "group" in d.coords else d
    )
    store.write(fit.variant, FitRecord(named=NamedTree.of(tree), parts={}, key="0" * 64, seconds=0.0))
    stored = store.read(fit.variant, "0" * 64)
    assert stored is not None
    return dataclasses.replace(fit, table=table, named=stored.named)


@given(
    st.lists(TEXT, min_size=N_GROUPS, max_size=N_GROUPS, unique_by=str.strip).filter(lambda ls: all(map(str.strip, ls)))
)
@settings(max_examples=10, deadline=None)
def test_any_label_survives_from_the_csv_to_results_json(
    tmp_path_factory: pytest.TempPathFactory, fits: dict[str, Fit], labels: list[str]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "labels"
    folder.mkdir(exist_ok=True)
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(
        [ROLES.values(), *((label, i, 10) for i, label in enumerate(labels))]
    )
    (folder / "data.csv").write_bytes(text.getvalue().encode())
    dataset = load(folder / "data.csv", ROLES)
    store = FitStore(folder / "fits")
    store.folder.mkdir(exist_ok=True)
    main = relabelled(fits["partial_pooling"], dataset, store)
    analysis = Analysis(
        name="labels", family=main.family, dataset=dataset, variants=("partial_pooling",), sampling=main.sampling
    )
    contents = results(analysis, find(analysis, {"partial_pooling": main})).for_json()
    read = json.loads(json.dumps(contents, ensure_ascii=False, allow_nan=False).encode())
    wanted = [label.strip() for label in labels]
    assert [row[ROLES["group"]] for row in read["data"]["rows"]] == wanted
    assert [row["group"] for row in read["shrinkage"]] == wanted
    assert [row["group"] for row in read["ppc"]["groups"]] == wanted
    assert {f"theta[{label}]" for label in wanted} <= set(read["fits"]["partial_pooling"]["parameters"])


def test_a_coefficient_is_of_one_unit_more_or_of_a_level_instead_of_another() -> None:
    frame = pd.DataFrame(
        {"tap": ["no", "yes", "no", "yes"], "water_km": [1.0, 2.0, 0.5, 3.0], "y": [1.0, 2.0, 3.0, 4.0]}
    )
    dataset = Dataset.from_frame(frame.assign(village=list("abcd")), group="village", outcome="y")
    predictors = read_predictors(dataset, ["water_km", "tap"])
    steps = [predictors.step(name) for name in predictors.names]
    assert steps == ["One unit more of water_km", "tap = yes instead of no"]
