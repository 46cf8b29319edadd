"""The figures: vectors, the same bytes twice, labels whole and apart, no warning, no display."""

from __future__ import annotations

import copy
import itertools
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from example_results import example_figures, example_results, example_svgs, example_tables
from matplotlib.lines import AxLine
from matplotlib.text import Text
from page_measures import touches_edge

from hbm_stan import plots
from hbm_stan.plots import labels as row_labels_module
from hbm_stan.plots.fonts import BASE_FAMILIES, drawable, families_for, family_of
from hbm_stan.plots.labels import LINE_CELLS, MAX_ROWS, broken, cells, excerpt, row_labels, shorten, titled
from hbm_stan.plots.layered import layered_strips
from hbm_stan.plots.save import save_svg
from hbm_stan.plots.style import MAX_HEIGHT_MM, MM_PER_INCH, PALETTE, WIDTH_MM, greek, with_unit

HOSTILE = [
    "$x$ and $y$",
    '#eval("1") [a] *b* `c` <d> @e // \\',
    "line\nbreak\tand tab",
    "a" * 120,
    "Regional Consolidated School District of the Northern Lakes and Upper Valleys (No. 17)",
    "北京市第四中学",
    "😀 Школа",
    "",
]


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    return example_figures()


def drawn(figure: Any) -> Any:
    """The matplotlib figure after layout, so that positions are final."""
    import matplotlib as mpl

    mpl.use("Agg")
    with mpl.rc_context({"text.parse_math": False}):
        drawing = copy.deepcopy(figure).draw()
        drawing.draw_without_rendering()
    return drawing


@pytest.mark.parametrize("name", ["answer", "shrinkage", "population", "new_group", "ppc", "ranks", "energy", "ess"])
def test_same_bytes_twice_and_only_vectors(figures: dict[str, Any], name: str) -> None:
    first, second = example_svgs()[name], save_svg(figures[name])
    assert first == second
    text = first.decode("utf-8")
    assert text.count("<svg ") == 1
    assert "<image" not in text
    assert "<dc:date>" not in text
    assert float(re.search(r'width="([\d.]+)pt"', text)[1]) == pytest.approx(WIDTH_MM / MM_PER_INCH * 72)


def test_a_size_and_a_path_can_be_given(figures: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "figure.svg"
    svg = save_svg(figures["ppc"], path, width_mm=80, height_mm=40)
    assert path.read_bytes() == svg
    assert b'width="226.7' in svg
    assert list(tmp_path.iterdir()) == [path]


def test_no_display_is_needed() -> None:
    code = (
        "import pandas as pd; from hbm_stan import plots;"
        "t = pd.DataFrame({'name': ['a'], 'q05': [0.0], 'q25': [1.0], 'q50': [2.0], 'q75': [3.0], 'q95': [4.0]});"
        "print(len(plots.save_svg(plots.plot_forest(t))));"
        "import matplotlib; print(matplotlib.get_backend())"
    )
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split()[1].lower() == "agg"


@pytest.mark.parametrize("n_groups", [1, 3, 60, 200])
def test_row_labels_stay_in_the_figure_and_apart(n_groups: int) -> None:
    table = example_tables(n_groups, HOSTILE[: min(n_groups, len(HOSTILE))])["shrinkage"]
    drawing = drawn(plots.plot_shrinkage(table, "points"))
    axes = drawing.axes[0]
    boxes = [t.get_window_extent() for t in axes.get_yticklabels() if t.get_text().strip()]
    assert len(boxes) >= min(n_groups, MAX_ROWS) - 1
    width, height = drawing.canvas.get_width_height()
    assert all(b.x0 >= 0 and b.y0 >= -1 and b.y1 <= height + 1 for b in boxes)
    ordered = sorted(boxes, key=lambda b: b.y0)
    assert all(low.y1 <= high.y0 + 1.5 for low, high in itertools.pairwise(ordered))
    legend = [t.get_window_extent() for t in drawing.findobj(lambda a: getattr(a, "get_text", str)() == "no pooling")]
    assert legend
    assert all(b.x1 <= width for b in legend)


def test_overlapping_labels_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_labels_module, "wrapped", lambda label, _lines: "first\nsecond\nthird")
    with pytest.raises(AssertionError):
        test_row_labels_stay_in_the_figure_and_apart(60)


def test_legend_texts_end_inside_the_figure() -> None:
    labels = ["Regional Consolidated School District of the Northern Lakes " + str(i) for i in range(8)]
    tables = example_tables(8, labels)
    for figure in (plots.plot_shrinkage(tables["shrinkage"], "points"), plots.plot_ppc(tables["ppc"], "points")):
        drawing = drawn(figure)
        width = drawing.canvas.get_width_height()[0]
        ends = [t.get_window_extent().x1 for t in drawing.findobj(Text) if t.get_visible() and t.get_text().strip()]
        assert max(ends) <= width + 1


@pytest.mark.parametrize("n_groups", [1, 8, 20, 85])
def test_rows_of_page_one_stay_in_the_figure_and_apart(n_groups: int) -> None:
    panel = example_figures(n_groups, HOSTILE[: min(n_groups, len(HOSTILE))])["answer"]
    drawing = drawn(panel)
    boxes = [t.get_window_extent() for t in drawing.axes[0].get_yticklabels() if t.get_text().strip()]
    width, height = drawing.canvas.get_width_height()
    assert all(b.x0 >= 0 and b.y0 >= 0 and b.y1 <= height for b in boxes)
    ordered = sorted(boxes, key=lambda b: b.y0)
    assert all(low.y1 <= high.y0 + 1.0 for low, high in itertools.pairwise(ordered))
    assert drawing.legends[0].get_window_extent().x1 <= width


def test_the_figure_of_page_one_fits_the_room_that_it_is_given() -> None:
    tables = example_tables(18)["shrinkage"].assign(raw_low=lambda t: t["raw"], raw_high=lambda t: t["raw"])
    panel = {"groups": tables, "average": None, "new": None, "words": "effect", "unit": "", "term": ""}
    high, low = (plots.plot_answer([panel], room_mm=mm).height_mm for mm in (205.0, 80.0))
    assert low <= 80.0 < high
    few = plots.plot_answer([panel], room_mm=40.0)
    assert any("all 18" in t.get_text() for t in few.draw().axes[0].get_yticklabels())


def test_beyond_sixty_groups_the_figure_is_an_excerpt_and_says_so() -> None:
    figure = plots.plot_shrinkage(example_tables(200)["shrinkage"], "points")
    assert "60 of 200 groups" in figure.labels.caption
    assert len(drawn(figure).axes[0].get_yticklabels()) == MAX_ROWS
    chosen = excerpt(np.arange(200.0)[::-1].tolist())
    assert (chosen[0], chosen[-1], len(set(chosen))) == (199, 0, MAX_ROWS)


def test_equal_labels_stay_two_rows() -> None:
    table = example_tables(3, ["twin", "twin", "other"])["ppc"]
    texts = [t.get_text() for t in drawn(plots.plot_ppc(table)).axes[0].get_xticklabels()]
    assert sorted(texts) == ["other", "twin", "twin"]


@pytest.mark.parametrize("beside", [0, 1, 2])
@pytest.mark.parametrize("n", [16, 20, 32, 36, 40, 41])
def test_names_below_a_strip_do_not_touch(beside: int, n: int) -> None:
    names = [f"Tjgq {i}" for i in range(n)]
    rows = pd.DataFrame({"low": [0.0, 1.0], "high": [1.0, 2.0], **dict.fromkeys(("observed", "q05", "q25"), 2.0),
                         **dict.fromkeys(("q75", "q95"), 3.0)})  # fmt: skip
    figure = drawn(
        plots.plot_ppc(
            example_tables(n, names)["ppc"],
            rows=rows if beside else None,
            left_out=(lambda axes: axes.plot([0, 1], [0, 1])) if beside > 1 else None,
        )
    )
    boxes = sorted(t.get_window_extent().extents.tolist() for t in figure.axes[0].get_xticklabels() if t.get_text())
    named = len(boxes) == n and any(t.get_text().startswith("Tjgq") for t in figure.axes[0].get_xticklabels())
    assert named == (n <= (40, 32, 20)[beside])
    if named:
        assert all(right[0] - left[2] > -0.5 for left, right in itertools.pairwise(boxes))


def test_dollar_signs_are_text() -> None:
    table = example_tables(3, ["$\\frac{x$", "$a$", "b"])["shrinkage"]
    save_svg(plots.plot_shrinkage(table))


def test_long_labels_are_wrapped_then_shortened_in_the_middle() -> None:
    few, many = row_labels(["word " * 18] * 4), row_labels(["word " * 18] * 60)
    assert few[0].count("\n") == 2
    assert "\n" not in many[0]
    assert "…" in many[0]
    assert cells(many[0]) <= LINE_CELLS
    assert shorten("start of a long label, end 17", 20).endswith("end 17")
    assert shorten("short", 20) == "short"


def test_the_unit_of_a_slope_is_shortened_before_the_title_is() -> None:
    assert titled("effect of dose", "ms per unit of dose", 40, "ms per unit") == "effect of dose (ms per unit of dose)"
    long = titled("effect of price_centered", "log odds per unit of price_centered", 44, "log odds per unit")
    assert long == "effect of price_centered (log odds per unit)"
    assert cells(titled("effect of price_centered", "log odds per unit of price_centered", 20)) <= 20


@pytest.mark.parametrize(
    ("name", "room", "shown"),
    [("μ[days]", 14, "μ[days]"), ("ρ[intercept, days]", 14, "ρ[intercept,\ndays]"),
     ("sd[item: intercept]", 14, "sd[item:\nintercept]"), ("τ[price_centered]", 16, "τ[price_\ncentered]"),
     ("β[food=Satiated]", 14, "β[food=\nSatiated]"),
     ("β[foodisplentiful]", 17, "β\n[foodisplentiful]"), ("x" * 40, 14, "xxxxxxxxx…xxxx")],
)  # fmt: skip
def test_a_name_that_is_too_long_is_broken_after_a_mark_before_it_is_cut(name: str, room: int, shown: str) -> None:
    assert broken(name, room) == shown


def test_characters_without_a_font_become_code_points(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawable("École\n№ 57") == "École № 57"
    monkeypatch.setattr("hbm_stan.plots.fonts.family_of", lambda c: None if c in "北京" else BASE_FAMILIES[0])
    assert drawable("北京 A") == "[U+5317 U+4EAC] A"


def test_fonts_are_ours_unless_a_character_needs_another() -> None:
    assert families_for(["plain text", "Школа", "μ τ"]) == list(BASE_FAMILIES)
    assert family_of("\U0010fffd") is None


def test_missing_estimates_leave_out_their_marks() -> None:
    table = example_tables(3)["shrinkage"].assign(complete_pooling=None, no_pooling=None)
    text = {t.get_text() for t in drawn(plots.plot_shrinkage(table)).findobj(lambda a: hasattr(a, "get_text"))}
    assert "no pooling" not in text
    assert not any("complete pooling" in t for t in text)


def test_heavy_tails_do_not_flatten_the_dots() -> None:
    rng = np.random.default_rng(3)
    values = rng.standard_cauchy(4000)
    quantiles = dict(
        zip(["q05", "q25", "q50", "q75", "q95"], np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95]), strict=True)
    )
    table = pd.DataFrame([{"name": "theta_new", "meaning": "value"} | quantiles])
    figure = plots.plot_new_group(pd.DataFrame({"name": "theta_new", "value": values}), table, "points")
    assert re.fullmatch(r"\d+ of 100 dots lie beyond the ends of the axis\.", figure.labels.caption)
    save_svg(figure)


def new_quantities(**values: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draws and table of predicted quantities."""
    q = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}
    rows = [{"name": n, "meaning": f"{n} of a new group"} | {k: np.quantile(v, p) for k, p in q.items()}
            for n, v in values.items()]  # fmt: skip
    draws = pd.concat([pd.DataFrame({"name": n, "value": v}) for n, v in values.items()])
    return draws, pd.DataFrame(rows)


def test_quantities_of_different_units_have_axes_of_their_own() -> None:
    rng = np.random.default_rng(4)
    draws, table = new_quantities(rate=rng.beta(20, 400, 4000), count=rng.poisson(140.0, 4000))
    table["unit"] = ["", "visitors"]
    apart = plots.plot_new_group(draws, table, shared=False)
    rate, count = drawn(apart).axes
    assert rate.get_xlim()[1] < 1
    assert count.get_xlim()[0] > 50
    texts = {t.get_text() for t in drawn(apart).findobj(lambda a: hasattr(a, "get_text"))}
    assert "count of a new group (visitors)" in texts
    together = [a.get_xlim() for a in drawn(plots.plot_new_group(draws, table, "visitors")).axes]
    assert together[0] == together[1]


def test_zero_far_away_does_not_stretch_the_axis() -> None:
    rng = np.random.default_rng(4)
    draws, table = new_quantities(a=rng.normal(8, 0.5, 4000), b=rng.normal(8, 1, 4000))
    assert drawn(plots.plot_new_group(draws, table)).axes[0].get_xlim()[0] > 3
    draws, table = new_quantities(a=rng.normal(0.5, 1, 4000))
    assert any(line.get_xdata()[0] == 0 for line in drawn(plots.plot_new_group(draws, table)).axes[0].lines) or (
        drawn(plots.plot_new_group(draws, table)).axes[0].collections
    )


def test_a_stack_of_equal_values_still_fits_a_page() -> None:
    draws, table = new_quantities(y=np.repeat([0.0, 1.0], [300, 700]), z=np.linspace(0, 50, 1000))
    figure = plots.plot_new_group(draws, table)
    assert figure.theme.getp("figure_size")[1] * MM_PER_INCH <= MAX_HEIGHT_MM
    save_svg(figure)


def stacks_of(values: np.ndarray) -> pd.DataFrame:
    from hbm_stan.plots.new_group import _dots, _frame

    return _dots("y", values, _frame([values]))


def test_values_that_lie_apart_have_blocks_of_dots_and_close_ones_stacks() -> None:
    shares = [30, 40, 25, 5]
    dots = stacks_of(np.repeat([1.0, 2.0, 3.0, 4.0], [10 * n for n in shares]))
    assert dots["x"].round().value_counts().sort_index().tolist() == shares
    assert not dots.duplicated(["x", "y"]).any()
    assert dots["y"].max() <= 4  # not 40 dots above each other
    for value, own in dots.groupby(dots["x"].round()):
        assert own.loc[own["y"] < 1, "x"].mean() == pytest.approx(value, abs=0.06)  # a row is centred at its value
        assert np.ptp(own["x"]) < 1
    close = stacks_of(np.random.default_rng(1).normal(0, 1, 4000))
    whole = close["x"] / np.diff(np.unique(close["x"])).min()
    assert np.allclose(whole, whole.round())  # in the middle of their bins
    assert close.groupby("x")["y"].apply(lambda y: sorted(y) == [k + 0.5 for k in range(len(y))]).all()


def test_blocks_wider_than_the_room_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    from hbm_stan.plots import new_group

    monkeypatch.setattr(new_group, "_FILLED", 2.5)
    with pytest.raises(AssertionError):
        test_values_that_lie_apart_have_blocks_of_dots_and_close_ones_stacks()


def test_complete_pooling_that_differs_between_groups_is_no_line() -> None:
    from hbm_stan.plots.groups import _complete, _points

    one = example_tables(6)["shrinkage"].assign(y=np.arange(6.0))
    assert "complete pooling" not in set(_points(one)["kind"])
    assert len(_complete(one, _points(one))) == 2
    several = one.assign(complete_pooling=np.arange(6.0))
    assert (_points(several)["kind"] == "complete pooling").sum() == 6
    assert not _complete(several, _points(several))
    texts = drawn(plots.plot_shrinkage(several)).findobj(lambda a: hasattr(a, "get_text"))
    assert "complete pooling" in {t.get_text() for t in texts}


def test_axes_say_what_they_show() -> None:
    tables = example_tables(3)
    assert plots.plot_shrinkage(tables["shrinkage"], "ms", "intercept").labels.x == "intercept (ms)"
    above = plots.plot_ppc(tables["ppc"], "ms", "mean").draw().axes[0]
    assert above.get_title("left") == "mean of the group (ms)"
    assert above.get_xlabel() == "groups in the order of what was observed"
    assert plots.plot_ppc(tables["ppc"]).draw().axes[0].get_title("left") == "outcome"


def test_a_predictor_of_two_values_has_two_ticks() -> None:
    x = np.linspace(0, 1, 11)
    quantiles = {k: x + i for i, k in enumerate(["q10", "q25", "q50", "q75", "q90"])}
    curves = pd.DataFrame({"panel": "A", "x": x, **quantiles})
    points = pd.DataFrame({"panel": "A", "x": [0.0, 1.0, 1.0], "y": [1.0, 2.0, 3.0], "kind": "observed"})
    ticks = [t.get_text() for t in drawn(plots.plot_curves(curves, points, "floor")).axes[0].get_xticklabels()]
    assert ticks == ["0", "1"]


def test_constant_draws_can_be_drawn() -> None:
    draws = pd.DataFrame({"parameter": "mu", "value": np.ones(100)})
    priors = pd.DataFrame({"parameter": "mu", "x": [0.0, 1.0, 2.0], "density": [0.1, 0.2, 0.1]})
    save_svg(plots.plot_population(draws, priors))
    quantity = pd.DataFrame([{"name": "y", "meaning": "m", "q05": 1, "q25": 1, "q50": 1, "q75": 1, "q95": 1}])
    save_svg(plots.plot_new_group(pd.DataFrame({"name": "y", "value": np.ones(100)}), quantity))


def test_prior_outside_the_frame_is_left_out_in_pieces() -> None:
    from hbm_stan.plots.posterior import _bars, _prior_lines

    bars = _bars("mu", np.random.default_rng(1).normal(0, 1, 4000))
    x = np.linspace(-10, 10, 401)
    spike = np.exp(-0.5 * (x / 0.1) ** 2) / (0.1 * np.sqrt(2 * np.pi))
    lines = _prior_lines(pd.DataFrame({"parameter": "mu", "x": x, "density": spike}), bars)
    assert lines["density"].max() <= 1.2 * bars["density"].max()
    assert lines["x"].between(bars["low"].min(), bars["high"].max()).all()
    assert lines["run"].nunique() == 2


def test_a_scale_parameter_starts_at_zero() -> None:
    from hbm_stan.plots.posterior import _bars

    bars = _bars("tau", np.abs(np.random.default_rng(1).normal(0, 5, 4000)))
    assert bars["low"].min() == 0
    assert float((bars["density"] * (bars["high"] - bars["low"])).sum()) == pytest.approx(1, abs=0.01)


def test_many_parameters_are_thinned_to_the_worst() -> None:
    figure = plots.plot_ess(example_tables(60)["ess"], 400)
    assert "smallest effective sample size, of 62" in figure.labels.caption


def test_figures_fit_a_page() -> None:
    for figure in example_figures(60).values():
        width, height = drawn(figure).get_size_inches()
        assert width * MM_PER_INCH == pytest.approx(WIDTH_MM)
        assert height * MM_PER_INCH <= MAX_HEIGHT_MM + 1e-6


def test_names_and_units() -> None:
    assert greek("theta[A]") == "θ[A]"
    assert greek("tau_unit") == "τ_unit"
    assert greek("slope[mu]") == "slope[mu]"
    assert with_unit("estimate", " ") == "estimate"
    assert with_unit("estimate", "points") == "estimate (points)"


def test_the_palette_differs_in_grey() -> None:
    def grey(name: str) -> float:
        red, green, blue = (int(PALETTE[name][i : i + 2], 16) for i in (1, 3, 5))
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    assert abs(grey("fill") - grey("prior")) > 40
    assert abs(grey("partial") - grey("ink")) > 40
    assert abs(grey("shade") - grey("rule")) > 40


def strips_of_equal_rows(**columns: Any) -> tuple[pd.DataFrame, dict[str, Any]]:
    """85 groups with two rows each, and the panel of them."""
    groups = pd.DataFrame(example_results(85)["shrinkage"]).assign(rows=2, **columns)
    return groups, {"groups": groups, "words": "effect", "unit": "points"}


def test_groups_with_equally_many_rows_stand_against_their_raw_estimates() -> None:
    """A number of rows that is the same for all says nothing: all points would stand above each other."""
    groups, panel = strips_of_equal_rows()
    figure = plots.plot_strips([panel], "school", "schools").draw()
    left, right = figure.axes
    assert (left.get_xlabel(), right.get_xlabel()) == ("schools in rising order", "raw estimate of the school")
    dots = next(line for line in right.lines if line.get_marker() == "o")
    assert np.array_equal(dots.get_xdata(), groups["raw"])
    assert np.array_equal(dots.get_ydata(), groups["q50"])
    equal = next(line for line in right.lines if isinstance(line, AxLine))
    assert (equal.get_slope(), equal.get_xy1()[0]) == (1.0, equal.get_xy1()[1])
    level = next(line for line in right.lines if line is not dots and line is not equal)
    assert list(level.get_ydata()) == pytest.approx([groups["q50"].mean()] * 2)
    assert figure.legends == []  # the caption says what the lines are, and there are no circles


def test_an_infinite_raw_estimate_is_not_drawn_against_the_pooled_one() -> None:
    groups = strips_of_equal_rows()[0]
    groups.loc[3, "raw"] = -np.inf
    right = plots.plot_strips([{"groups": groups, "words": "effect", "unit": ""}]).draw().axes[1]
    dots = next(line for line in right.lines if line.get_marker() == "o")
    assert len(dots.get_xdata()) == 84
    assert np.isfinite(right.get_xlim()).all()


def test_without_raw_estimates_and_differing_rows_the_order_has_the_width() -> None:
    (only,) = plots.plot_strips([strips_of_equal_rows(raw=None)[1]], "school", "schools").draw().axes
    assert only.get_position().width > 0.9


@pytest.mark.parametrize(
    ("rows", "raw", "panels"),
    [("same", True, ["schools in rising order", "raw estimate of the school"]),
     ("same", False, ["schools in rising order"]),
     ("differ", True, ["schools in rising order", "rows of the school"])],
)  # fmt: skip
def test_strips_that_a_user_may_add_to_show_the_same_panels(rows: str, raw: bool, panels: list[str]) -> None:
    groups = strips_of_equal_rows(**({} if raw else {"raw": None}))[0]
    groups = groups.assign(rows=np.arange(1, 86)) if rows == "differ" else groups
    figure = layered_strips(groups, "effect", "points", "school", "schools").draw()
    texts = [text.get_text() for text in figure.findobj(Text)]
    assert [text for text in texts if "school" in text] == panels


@pytest.mark.parametrize(
    ("unit", "three", "title"),
    [("kJ/mol", True, "outcome of a row (kJ/mol)"), ("ml/min/1.73 m^2", True, "outcome of a row"),
     ("ml/min/1.73 m^2", False, "outcome of a row (ml/min/1.73 m^2)")],
)  # fmt: skip
def test_the_title_below_the_rows_ends_before_the_next_panel(unit: str, three: bool, title: str) -> None:
    groups = pd.DataFrame(example_results()["ppc"]["groups"])
    edges = np.arange(9.0)
    rows = pd.DataFrame({"low": edges[:-1], "high": edges[1:], **dict.fromkeys(("observed", "q05", "q25"), 2.0),
                         **dict.fromkeys(("q75", "q95"), 3.0)})  # fmt: skip
    beside = (lambda axes: axes.set_xlabel("LOO-PIT of a row", loc="left")) if three else None
    figure = drawn(plots.plot_ppc(groups, unit, rows=rows, left_out=beside))
    axes = {a.get_xlabel(): a for a in figure.axes}
    assert axes[title].xaxis.label.get_window_extent().x1 < min(
        a.get_window_extent().x0 for a in figure.axes if a is not axes[title]
    )


def test_panels_of_the_population_leave_room_for_a_unit_only_where_there_is_one() -> None:
    draws = pd.DataFrame({"parameter": "mu", "value": np.linspace(0.0, 1.0, 200)})
    priors = pd.DataFrame({"parameter": "mu", "x": [0.0, 1.0], "density": [1.0, 1.0]})
    bare, named = (plots.plot_population(draws, priors, unit) for unit in ("", "points"))
    assert named.height_mm - bare.height_mm == pytest.approx(4.0)
    for figure in (bare, named):
        (axes,) = drawn(figure).axes
        assert axes.xaxis.get_tightbbox().y0 >= 0
    assert not touches_edge(save_svg(bare))
