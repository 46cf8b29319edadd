"""What results show in a notebook."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from fake_fits import fake_fit, small_dataset

from hbm_stan.checks import check
from hbm_stan.compare import compare
from hbm_stan.engines import Sampling
from hbm_stan.fit import Fit
from hbm_stan.new_rows.contrast import Contrast
from hbm_stan.new_rows.predict import Prediction, predict
from hbm_stan.notebook import MOST_ROWS, card, summary_of
from hbm_stan.sensitivity.run import Sensitivity
from hbm_stan.store import FitStore

NASTY = "<script>alert('A & B')</script>"


class Cells(HTMLParser):
    """Tags and the cells of tables."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags, self.cells, self.text = set[str](), list[str](), ""
        self.inside = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag in {"td", "th"}:
            self.cells.append("")
        self.inside = tag in {"td", "th"}

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag not in {"td", "th"}

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.inside:
            self.cells[-1] += data


@pytest.fixture(scope="module")
def labelled_fit() -> Fit:
    return fake_fit(dataset=small_dataset(labels=("A", NASTY, "C")), sampling=Sampling(draws=500, seed=1))


def test_a_card_escapes_what_it_shows_and_keeps_long_tables_short() -> None:
    table = pd.DataFrame({NASTY: [NASTY, *"abc" * 30], "value": np.linspace(-1.23456, 2000, 91)})
    html = Cells(card(NASTY, [NASTY], table))
    assert "script" not in html.tags
    assert html.text.count(NASTY) == 4
    assert "\N{MINUS SIGN}1.235" in html.cells
    assert len(html.cells) <= 2 * (MOST_ROWS + 2)


def test_a_fit_shows_its_population_and_where_to_go_on(labelled_fit: Fit) -> None:
    html = Cells(labelled_fit._repr_html_())
    mu = labelled_fit.draws("mu")["mu"]
    at = html.cells.index("mu")
    assert html.cells[at + 1] == f"{mu.mean():.4g}".replace("-", "\N{MINUS SIGN}")
    assert html.cells[at + 3] == f"{np.quantile(mu, 0.05):.4g}".replace("-", "\N{MINUS SIGN}")
    assert "hbm.check(fit)" in html.text


def test_elements_of_a_vector_are_counted_from_one() -> None:
    draws = np.arange(12.0).reshape(4, 3)
    table = summary_of({"beta": draws, "sigma": draws[:, 0]}).set_index("parameter")
    assert list(table.index) == ["beta[1]", "beta[2]", "beta[3]", "sigma"]
    assert table.loc["beta[2]", "mean"] == draws[:, 1].mean()


def test_checks_comparisons_and_predictions_show_tables(labelled_fit: Fit, tmp_path: object) -> None:
    diagnosis = check(labelled_fit)
    html = Cells(diagnosis._repr_html_())
    assert {v.name for v in diagnosis.verdicts} <= set(html.cells)
    assert diagnosis.status in html.text
    other = fake_fit("complete_pooling", small_dataset(labels=("A", NASTY, "C")), Sampling(draws=500, seed=1))
    compared = compare({"partial_pooling": labelled_fit, "complete_pooling": other}, store=FitStore(tmp_path))  # type: ignore[arg-type]
    shown = Cells(replace(compared, withheld=False)._repr_html_())
    assert {"partial_pooling", "complete_pooling", "elpd"} <= set(shown.cells)
    assert " ".join(compared.verdict)[:60] in shown.text.replace("\n", " ")
    hidden = Cells(replace(compared, withheld=True)._repr_html_())
    assert hidden.cells.count("–") > shown.cells.count("–")
    predicted = predict(labelled_fit, grid="school = A")
    assert "expected_mean" in Cells(predicted._repr_html_()).cells
    assert isinstance(predicted, Prediction)


def test_contrasts_and_sensitivity_show_their_words() -> None:
    table = pd.DataFrame({"mean": [0.123456]})
    contrast = Contrast(
        title="arm = a - arm = b",
        scale="difference",
        table=table,
        draws=None,  # type: ignore[arg-type]
        notes=("a note",),
    )
    assert {"0.1235", "mean"} <= set(Cells(contrast._repr_html_()).cells)
    withheld = Sensitivity(variant="partial_pooling", withheld="A check failed.")
    assert "A check failed." in Cells(withheld._repr_html_()).text
    assert repr(withheld) == "<Sensitivity of partial_pooling>\nA check failed."
