"""Outlines of areas from GeoJSON: who touches whom, what is drawn, and files that are none."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_cli import hbm

from hbm_stan.data import Dataset
from hbm_stan.errors import DataError
from hbm_stan.families import family
from hbm_stan.fit import prepare_table
from hbm_stan.neighbours import make_neighbours
from hbm_stan.outlines import read_outlines
from hbm_stan.plots import plot_map, save_svg

SEED = 20261130
SIDE = 4
Ring = list[list[float]]


def corners() -> dict[tuple[int, int], list[float]]:
    """Corners of a grid whose inner ones are moved, in degrees."""
    rng = np.random.default_rng(SEED)
    inside = range(1, SIDE)
    return {
        (i, j): [5 + 0.3 * i + (i in inside) * rng.normal(0, 0.05), 50 + 0.2 * j + (j in inside) * rng.normal(0, 0.03)]
        for i in range(SIDE + 1)
        for j in range(SIDE + 1)
    }


def ring(i: int, j: int) -> Ring:
    at = corners()
    return [at[i, j], at[i + 1, j], at[i + 1, j + 1], at[i, j + 1], at[i, j]]


def feature(name: Any, geometry: Any, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": {"district": name, **properties}, "geometry": geometry}


def polygon(*rings: Ring) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


ISLE = [[[7.4, 50.0], [7.6, 50.0], [7.6, 50.1], [7.4, 50.0]]]
FEATURES = [
    *(feature(f"D{i}{j}", polygon(ring(i, j)), code=str(7 * i + j)) for i in range(SIDE) for j in range(SIDE)),
    feature("Isle", {"type": "MultiPolygon", "coordinates": [ISLE, [[[7.5, 50.2], [7.6, 50.2], [7.6, 50.3],
                                                                     [7.5, 50.2]]]]}, code="99"),
]  # fmt: skip


def written(tmp_path: Path, features: Any = None, name: str = "areas.geojson") -> str:
    content = {"type": "FeatureCollection", "features": FEATURES if features is None else features}
    (tmp_path / name).write_text(json.dumps(content))
    return str(tmp_path / name)


def by_hand() -> set[frozenset[str]]:
    """Areas of the grid that share a border or a corner."""
    cells = [(i, j) for i in range(SIDE) for j in range(SIDE)]
    return {
        frozenset({f"D{a[0]}{a[1]}", f"D{b[0]}{b[1]}"})
        for a, b in combinations(cells, 2)
        if max(abs(a[0] - b[0]), abs(a[1] - b[1])) == 1
    }


def pairs(given: Any) -> set[frozenset[str]]:
    beside = make_neighbours(given)
    assert beside is not None
    assert len(beside.pairs) == len({frozenset(pair) for pair in beside.pairs})
    return {frozenset(pair) for pair in beside.pairs}


def test_areas_that_touch_are_neighbours(tmp_path: Path) -> None:
    assert pairs(written(tmp_path) + "#district") == by_hand()
    rng = np.random.default_rng(SEED)
    shuffled = [dict(FEATURES[i]) for i in rng.permutation(len(FEATURES))]
    # Rings may begin anywhere and run either way round.
    for f in shuffled:
        if f["geometry"]["type"] == "Polygon":
            open_ring = f["geometry"]["coordinates"][0][:-1]
            turned = [*open_ring[2:], *open_ring[:2]][::-1]
            f["geometry"] = polygon([*turned, turned[0]])
    assert pairs(written(tmp_path, shuffled) + "#district") == by_hand()


def test_a_moved_corner_parts_areas(tmp_path: Path) -> None:
    """A planted fault: a border that is not shared is no border."""
    moved = json.loads(json.dumps(FEATURES))
    moved[0]["geometry"]["coordinates"] = [[[x - 1e-6, y] for x, y in ring(0, 0)]]
    assert pairs(written(tmp_path, moved) + "#district") == {p for p in by_hand() if "D00" not in p}


def test_parts_and_features_of_one_name_are_one_area(tmp_path: Path) -> None:
    joined = [feature("Isle" if f["properties"]["district"] == "D33" else f["properties"]["district"], f["geometry"])
              for f in FEATURES]  # fmt: skip
    expected = {frozenset("Isle" if a == "D33" else a for a in pair) for pair in by_hand()}
    assert pairs(written(tmp_path, joined) + "#district") == expected


def test_which_property_names_areas(tmp_path: Path) -> None:
    named = [{**f, "properties": {**f["properties"], "Name": f["properties"]["district"]}} for f in FEATURES]
    assert pairs(written(tmp_path, named)) == by_hand()
    by_id = [{**f, "id": f["properties"]["district"]} for f in FEATURES]
    assert pairs(written(tmp_path, by_id)) == by_hand()
    only = [{**f, "properties": {"district": f["properties"]["district"], "land": "x"}} for f in FEATURES]
    assert pairs(written(tmp_path, only)) == by_hand()
    codes = pairs(written(tmp_path) + "#code")
    assert frozenset({"0", "1"}) in codes  # D00 and D01


ONE = FEATURES[:1]


@pytest.mark.parametrize(
    ("features", "place", "words"),
    [
        (None, "", "which property names the areas? Write it behind the file"),
        (None, "#distrikt", "no feature has a property 'distrikt'. Did you mean 'district'?"),
        ([feature("", polygon(ring(0, 0)))], "#district", "feature 1: its 'district' is '', no name"),
        ([feature(None, polygon(ring(0, 0)))], "#district", "feature 1: its 'district' is None, no name"),
        ([*ONE, feature("P", {"type": "Point", "coordinates": [1, 2]})], "#district", "feature 2 (P): an outline is a"),
        (
            [*ONE, feature("P", None)],
            "#district",
            "feature 2 (P): an outline is a Polygon or a MultiPolygon; found Non",
        ),
        ([*ONE, feature("P", polygon([[0, 0], [1, 1]]))], "#district", "no rings of at least four points"),
        ([*ONE, feature("P", polygon([[0, 0], [1, "x"], [2, 2], [0, 0]]))], "#district", "no rings of at least four"),
        ([*ONE, feature("P", {"type": "Polygon"})], "#district", "no rings of at least four points"),
        ([], "", "a GeoJSON FeatureCollection with a feature for each area is needed"),
        ("none", "", "a GeoJSON FeatureCollection with a feature for each area is needed"),
    ],
)
def test_what_is_no_map_is_refused_in_words(tmp_path: Path, features: Any, place: str, words: str) -> None:
    with pytest.raises(DataError) as error:
        make_neighbours(written(tmp_path, features) + place)
    assert words in str(error.value)
    assert "areas.geojson" in str(error.value)


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\x00", b"[1, 2]", b'"text"', b"", b"[" * 100_000])
def test_a_file_that_is_no_geojson_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "areas.geojson").write_bytes(content)
    with pytest.raises(DataError, match=r"areas\.geojson: (no GeoJSON|a GeoJSON FeatureCollection)"):
        make_neighbours(tmp_path / "areas.geojson")
    with pytest.raises(DataError, match=r"nowhere\.geojson: cannot be read"):
        make_neighbours(tmp_path / "nowhere.geojson")


def table(n: int = len(FEATURES)) -> pd.DataFrame:
    rng = np.random.default_rng(SEED)
    labels = [f["properties"]["district"] for f in FEATURES][:n]
    expected = rng.uniform(3, 20, n)
    frame = pd.DataFrame({"district": labels, "cases": rng.poisson(expected), "expected": expected})
    return frame.sample(frac=1, random_state=1).reset_index(drop=True)


def dataset(frame: pd.DataFrame, neighbours: Any) -> Dataset:
    return Dataset.from_frame(frame, group="district", count="cases", expected="expected", neighbours=neighbours)


def data_of(given: Dataset) -> dict[str, Any]:
    model = family("disease_mapping")
    read = prepare_table(model, given)
    return model.stan_data(read, model.priors(read, None), "partial_pooling")


def test_outlines_and_pairs_are_the_same_map(tmp_path: Path) -> None:
    outlined = dataset(table(), written(tmp_path) + "#district")
    listed = dataset(table(), [tuple(sorted(pair)) for pair in by_hand()])
    one, other = data_of(outlined), data_of(listed)
    for name in ("scaling", "island", "place", "y"):
        np.testing.assert_array_equal(one[name], other[name])
    np.testing.assert_allclose(one["basis"] @ one["basis"].T, other["basis"] @ other["basis"].T, atol=1e-9)


def test_areas_without_a_row_are_named_and_misspelt_ones_refused(tmp_path: Path) -> None:
    place = written(tmp_path) + "#district"
    fewer = prepare_table(family("disease_mapping"), dataset(table(10), place))
    assert any("without a row, and so not on the map: D22, D23, D30 and 4 more" in note for note in fewer.notes)
    assert len(data_of(dataset(table(10), place))["scaling"]) == 10
    wrong = table().replace({"district": {"Isle": "Isles"}})
    with pytest.raises(DataError, match=r"the area 'Isles' has no outline. Did you mean 'Isle'"):
        data_of(dataset(wrong, place))


def test_drawn_outlines_keep_shared_borders_and_the_shape_of_the_land(tmp_path: Path) -> None:
    outlines = read_outlines(written(tmp_path) + "#district")
    labels = list(outlines.rings)
    drawn = outlines.drawn(labels)
    shared = {tuple(p) for p in drawn["D00"][0].tolist()} & {tuple(p) for p in drawn["D01"][0].tolist()}
    assert len(shared) == 2
    points = np.concatenate([r for rings in drawn.values() for r in rings])
    every = np.concatenate([r for rings in outlines.rings.values() for r in rings])
    # A degree to the east is shorter than one to the north by the cosine of the latitude.
    ratio = np.ptp(points[:, 0]) / np.ptp(points[:, 1]) / (np.ptp(every[:, 0]) / np.ptp(every[:, 1]))
    assert ratio == pytest.approx(np.cos(np.deg2rad(every[:, 1].mean())), rel=2e-3)
    metres = [feature("a", polygon([[0, 0], [1e5, 0], [1e5, 3e5], [0, 0]]))]
    flat = read_outlines(written(tmp_path, metres)).drawn(["a"])["a"][0]
    assert np.ptp(flat, axis=0).tolist() == pytest.approx([1e5, 3e5])


def test_outlines_of_many_points_are_thinned(tmp_path: Path) -> None:
    turn = np.linspace(0, 2 * np.pi, 100_001)
    circle = np.column_stack([np.cos(turn), np.sin(turn)]).tolist()
    drawn = read_outlines(written(tmp_path, [feature("a", polygon(circle))])).drawn(["a"])["a"][0]
    assert len(drawn) < 6_100  # four quarters of 1,500 steps
    assert np.abs(np.hypot(*(drawn / drawn.max(axis=0)).T) - 1).max() < 2 / 1500


def test_a_map_of_outlines_is_drawn(tmp_path: Path) -> None:
    hole = [[[0.2, 0.2], [0.8, 0.2], [0.8, 0.8], [0.2, 0.2]]]
    features = [feature("a", polygon([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]], *hole)), feature("b", polygon(hole[0]))]
    outlines = read_outlines(written(tmp_path, features)).drawn(["a", "b"])
    areas = pd.DataFrame({
        "area": ["a", "b"], "east": [0.0, 1], "north": [0.0, 1], "raw": [0.0, 2.0], "smoothed": [0.5, 1.5],
        "excess": [0.1, 0.9], "size": [1.0, 2.0],
    })  # fmt: skip
    borders = pd.DataFrame({"east": [0.0], "north": [0.0], "to_east": [1.0], "to_north": [1.0]})
    svg = save_svg(plot_map(areas, borders, "rate", "chance", outlines))
    assert svg.startswith(b"<?xml")
    assert svg != save_svg(plot_map(areas, borders, "rate", "chance"))


def test_a_map_goes_from_geojson_to_a_report(tmp_path: Path, stanli: Any) -> None:
    table().to_csv(tmp_path / "districts.csv", index=False)
    place = written(tmp_path) + "#district"
    words = ("new", tmp_path / "districts.csv", "--family", "disease_mapping", "--group", "district", "--count")
    done = hbm(*words, "cases", "--expected", "expected", "--neighbours", place, "--to", tmp_path / "map")
    assert done.exit_code == 0, done.output
    text = (tmp_path / "map" / "analysis.toml").read_text()
    assert 'neighbours = "../areas.geojson#district"  # outlines of areas' in text
    report = hbm("report", tmp_path / "map", "--engine", "stanli", "--quiet")
    assert (tmp_path / "map" / "report.pdf").read_bytes().startswith(b"%PDF"), report.output
    results = json.loads((tmp_path / "map" / "results.json").read_text())
    assert any("where their outlines touch" in s for f in results["findings"] for s in f["sentences"])
