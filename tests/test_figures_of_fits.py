"""``hbm.plot``: each figure is a plotnine object with the report's table, takes layers and themes, or says why not."""

from __future__ import annotations

import itertools
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from page_measures import pages_of, touches_edge
from plotnine import aes, geom_point, ggplot, theme, theme_bw
from test_page_measures import shipped

import hbm_stan as hbm
from hbm_stan import plots
from hbm_stan.analysis.read import Analysis, read_analysis
from hbm_stan.engines import Engine
from hbm_stan.fit import Fit
from hbm_stan.plots.left_out import paint_transforms
from hbm_stan.plots.save import save_svg
from hbm_stan.report.build import fit_analysis, report, settled
from hbm_stan.results.coefficients import Coefficients, forest_table
from hbm_stan.results.entry import read

QUANTILES = ["q05", "q25", "q50", "q75", "q95"]


class Reported:
    """A report of a shipped analysis, its results, and its fits."""

    def __init__(self, name: str, folder: Path, engine: Engine, more: str = "") -> None:
        place = shipped(name, folder / name)
        text = (place / "analysis.toml").read_text(encoding="utf-8")
        (place / "analysis.toml").write_text(text + more, encoding="utf-8")
        self.results: dict[str, Any] = report(place, engine=engine).results
        assert not self.results["withheld"]
        self.pdf = place / "report.pdf"
        self.analysis: Analysis = settled(read_analysis(place))
        self.fits: dict[str, Fit] = fit_analysis(self.analysis, engine=engine)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reported")


@pytest.fixture(scope="module")
def engine_for_all() -> Engine:
    from hbm_stan.engines import choose

    return choose("stanli")


@pytest.fixture(scope="module")
def cbpp(folder: Path, engine_for_all: Engine) -> Reported:
    """Successes of trials in a formula: coefficients, effects, transforms and calibration."""
    return Reported("cbpp", folder, engine_for_all)


@pytest.fixture(scope="module")
def penicillin(folder: Path, engine_for_all: Engine) -> Reported:
    """Numbers with two crossed factors and 24 groups, of which the other factor is drawn too."""
    return Reported("penicillin", folder, engine_for_all, '\n[report]\ncaterpillars = ["sample"]\n')


def same(figure: Any, records: Any, columns: list[str] | None = None) -> None:
    """The figure's table is that of the report, and it can be drawn."""
    assert isinstance(figure, ggplot)
    expected = pd.DataFrame(records)
    names = columns or list(expected.columns)
    shown = figure.data[names].reset_index(drop=True).astype(object).where(lambda t: t.notna(), None)
    wanted = expected[names].reset_index(drop=True).astype(object).where(lambda t: t.notna(), None)
    pd.testing.assert_frame_equal(shown, wanted, check_dtype=False)
    changed = figure + theme(figure_size=(4, 3)) + theme_bw()
    assert changed.draw() is not None


def test_groups_are_those_of_page_one(cbpp: Reported, penicillin: Reported) -> None:
    for own in (cbpp, penicillin):
        figure, (panel, *_) = hbm.plot.forest(own.fits), own.results["page_one"]["panels"]
        table = figure.data
        for kind in ("average", "new"):
            row = table[table["kind"] == kind].iloc[0]
            assert [row[q] for q in QUANTILES] == pytest.approx([panel[kind][q] for q in QUANTILES])
        groups = table[table["kind"] == "group"].set_index("group")
        for row in own.results["shrinkage"]:
            back = 1 / (1 + np.exp(-row["q50"])) if own is cbpp else row["q50"]
            assert groups.loc[row["group"], "q50"] == pytest.approx(back)
        assert panel["words"] in figure.labels.x
        assert figure.draw() is not None
    one = hbm.plot.forest(cbpp.fits[cbpp.results["main_variant"]])
    pd.testing.assert_frame_equal(one.data, hbm.plot.forest(cbpp.fits).data)


def test_coefficients_and_effects_are_those_of_the_report(cbpp: Reported) -> None:
    figure = hbm.plot.coefficients(cbpp.fits)
    same(figure, forest_table(read(Coefficients, cbpp.results["coefficients"]).slopes))
    (effect, *_) = cbpp.results["conditional_effects"]
    same(hbm.plot.conditional_effects(cbpp.fits, effect["column"]), effect["rows"], ["x", *QUANTILES])


@pytest.mark.parametrize("which", ["cbpp", "penicillin"])
def test_what_is_of_all_fits_is_that_of_the_report(which: str, request: pytest.FixtureRequest) -> None:
    own: Reported = request.getfixturevalue(which)
    results, fits = own.results, own.fits
    same(hbm.plot.shrinkage(fits), results["shrinkage"])
    same(hbm.plot.replicated(fits), results["ppc"]["groups"])
    same(hbm.plot.rows(fits), results["ppc"]["rows"])
    same(hbm.plot.loo_pit(fits), results["loo_pit"]["curve"])
    quantities = {q["name"]: q for q in results["new_group"]["quantities"]}
    new = hbm.plot.new_group(fits, own.analysis.prediction)
    assert new.data["name"].iloc[-1] in quantities
    for _, row in new.data.iterrows():
        assert [row[q] for q in QUANTILES] == pytest.approx([quantities[row["name"]][q] for q in QUANTILES])
    parameters = results["fits"][results["main_variant"]]["parameters"]
    population = hbm.plot.population(fits)
    for name, draws in population.data.groupby("parameter"):
        assert draws["value"].mean() == pytest.approx(parameters[str(name)]["mean"])
    ess = hbm.plot.ess(fits).data
    assert ess[ess["kind"] == "bulk"].set_index("parameter")["ess"].to_dict() == pytest.approx(
        {name: row["ess_bulk"] for name, row in parameters.items()}
    )
    ranks, energy = hbm.plot.ranks(fits), hbm.plot.energy(fits)
    assert ranks.data.groupby("parameter")["count"].sum().nunique() == 1
    assert energy.data.groupby(["chain", "kind"])["value"].count().min() == 999
    for figure in (new, population, hbm.plot.ess(fits), ranks, energy):
        assert isinstance(figure, ggplot)
        assert (figure + theme(figure_size=(4, 3))).draw() is not None


def test_calibration_and_levels_are_those_of_the_report(cbpp: Reported, penicillin: Reported) -> None:
    same(hbm.plot.calibration(cbpp.fits), cbpp.results["calibration"]["curve"])
    assert penicillin.results["calibration"] is None
    same(hbm.plot.caterpillar(penicillin.fits, "sample"), penicillin.results["caterpillars"][0]["rows"])


def test_curves_are_those_of_the_family(folder: Path, engine_for_all: Engine) -> None:
    own = Reported("contraception", folder, engine_for_all)
    sections = [f for f in own.results["findings"] if f["curves"]]
    same(hbm.plot.curves(own.fits, 1, own.analysis.prediction), sections[0]["curves"])
    same(hbm.plot.calibration(own.fits), own.results["calibration"]["curve"])
    assert own.results["loo_pit"] is None


def test_a_layer_names_the_columns_of_the_table(cbpp: Reported) -> None:
    figure = hbm.plot.loo_pit(cbpp.fits) + geom_point(aes("x", "low"), size=0.5)
    assert figure.draw() is not None
    assert figure.labels.y == "ECDF less expected"


def test_the_pages_say_what_rows_left_out_show(cbpp: Reported) -> None:
    text = " ".join(" ".join(p.text.split()) for p in pages_of(cbpp.pdf))
    for key in ("loo_pit", "calibration"):
        assert " ".join(cbpp.results[key]["sentences"]) in text
    names = {v["name"] for v in cbpp.results["fits"][cbpp.results["main_variant"]]["verdicts"]}
    assert {"LOO-PIT", "calibration"} <= names


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda own: hbm.plot.energy([own.fits]), "A figure is of a fit, or of fits by variant"),
        (lambda own: hbm.plot.caterpillar(own.fits, "herd"), "no factor beside the group"),
        (lambda own: hbm.plot.conditional_effects(own.fits, "perod"), "Did you mean 'period'"),
        (lambda own: hbm.plot.curves(own.fits), "beta_binomial_rows draws no sets of curves"),
        (lambda own: hbm.plot.forest(own.fits, "size"), "there is no 'size'"),
        (lambda own: hbm.plot.shrinkage(own.fits["complete_pooling"]), "has no such figure"),
    ],
)
def test_a_figure_that_a_fit_has_not_is_an_error_in_words(cbpp: Reported, call: Any, message: str) -> None:
    with pytest.raises(hbm.HbmError, match=message):
        call(cbpp)


def test_all_names_stand_in_the_readme() -> None:
    text = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    assert [name for name in hbm.plot.__all__ if f"`{name}`" not in text] == []
    assert all(getattr(hbm.plot, name).__doc__ for name in hbm.plot.__all__)


@pytest.mark.parametrize("many", ["subjects", "Regional Consolidated School Districts of the Northern Lakes"])
def test_three_panels_of_replicated_data_stay_in_their_figure(many: str) -> None:
    """Nothing is cut, whatever groups are called, and no panel has words of another one over it."""
    rng = np.random.default_rng(1)
    groups = pd.DataFrame({"group": [f"{many} {j}" for j in range(18)], "observed": rng.normal(size=18)})
    groups = groups.assign(**{q: groups["observed"] + k for k, q in enumerate(QUANTILES)})
    rows = pd.DataFrame({"low": range(5), "high": range(1, 6), "observed": 3.0} | dict.fromkeys(QUANTILES, 3.0))
    x = np.linspace(0, 1, 101)
    curve = pd.DataFrame({"x": x, "low": 0.0, "high": 0.01, "band_low": -0.1, "band_high": 0.1})
    figure = plots.plot_ppc(groups, "ms", "mean", "subject", many, rows, False, partial(paint_transforms, curve=curve))
    assert not touches_edge(save_svg(figure))
    drawing = figure.draw()
    drawing.draw_without_rendering()
    titles = [(a.get_title("left"), a.get_xlabel()) for a in drawing.axes]
    assert ("ECDF less expected", "LOO-PIT of a row") in titles
    boxes = sorted((a.xaxis.label.get_window_extent() for a in drawing.axes), key=lambda b: b.x0)
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))
    assert boxes[-1].x1 <= drawing.bbox.x1


def test_both_figures_of_rows_left_out_stay_in_their_figure(cbpp: Reported) -> None:
    tables = [pd.DataFrame(cbpp.results["loo_pit"]["curve"])]
    tables += [pd.DataFrame(cbpp.results["calibration"][key]) for key in ("curve", "bins")]
    figure = plots.plot_left_out(*tables)
    assert not touches_edge(save_svg(figure))
    words = [(a.get_title("left"), a.get_xlabel()) for a in figure.draw().axes]
    assert words == [
        ("ECDF less expected", "probability of less than was observed"),
        ("share that happened", "predicted from all other rows"),
    ]
