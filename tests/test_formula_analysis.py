"""A formula from `hbm new` to a fit: what is written reads back as the same model, and Python gives the same jobs."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from spy import Spy

from hbm_stan.analysis.new import new_analysis
from hbm_stan.analysis.read import read_analysis
from hbm_stan.engines import Sampling
from hbm_stan.errors import DataError, HbmError, ModelError
from hbm_stan.families import family
from hbm_stan.families.choose import of_formula
from hbm_stan.fit import jobs_of, prepare_table

RNG = np.random.default_rng(3)
N = 48
FRAME = pd.DataFrame({
    "rt": np.exp(RNG.normal(6, 0.3, N)).round(3),
    "days": np.arange(N) % 8 + 1,
    "arm": ["placebo", "drug", "dose"] * 16,
    "subject": [f"s{i // 8}" for i in range(N)],
    "word": [f"w{i % 4}" for i in range(N)],
    "solved": RNG.choice(["yes", "no"], N),
    "tested": RNG.integers(5, 9, N),
    "calls": RNG.poisson(3, N),
    "hours": RNG.uniform(1, 3, N).round(2),
    "se": RNG.uniform(0.1, 0.4, N).round(3),
})  # fmt: skip
FRAME["infected"] = FRAME["tested"] // 2


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "words.csv"
    FRAME.to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    ("formula", "likelihood", "group"),
    [
        ("log(rt) ~ days * arm + (1 + days | subject) + (1 | word)", "normal", ""),
        ("log(rt) ~ days + (1 | subject/word)", "normal", "subject"),
        ("log(rt) | se(se) ~ days + (1 | word) + (1 | subject)", "estimates", "subject"),
        ("solved ~ arm + (1 | subject) + (1 | word)", "binomial", ""),
        ("infected | trials(tested) ~ arm + (1 | subject)", "binomial", ""),
        ("calls ~ arm + (1 | subject) + offset(log(hours))", "poisson", ""),
        ("calls | rate(hours) ~ arm + (1 | word) + (1 | subject)", "poisson", "word"),
    ],
)
def test_what_is_written_is_the_model_that_was_asked(
    formula: str, likelihood: str, group: str, table: Path, tmp_path: Path
) -> None:
    columns = {"group": group} if group else {}
    new = new_analysis(
        str(table), "", columns, tmp_path / "a", formula=formula,
        reference={"arm": "drug"} if "arm" in formula else None,
    )  # fmt: skip
    settings = tomllib.loads(new.path.read_text())
    assert (settings["formula"], settings["likelihood"], settings["centre"]) == (formula, likelihood, True)
    assert "columns" not in settings
    assert new.notes[0].startswith(f"Model: {formula.partition(' ')[0]}, likelihood {likelihood} (")
    written = read_analysis(new.path.parent)
    assert written.family.name == likelihood
    jobs = jobs_of(written.family, written.dataset, written.variants, written.priors, written.sampling, Spy())
    named = {"reference": {"arm": "drug"}} if "arm" in formula else {}
    chosen, dataset = of_formula(formula, FRAME, group=group, **named)
    plain = jobs_of(family(chosen), dataset, written.variants, None, Sampling(), Spy())
    for one, other in zip(jobs, plain, strict=True):
        assert one.data.keys() == other.data.keys()
        for name, value in one.data.items():
            np.testing.assert_allclose(np.asarray(other.data[name], float), value, rtol=1e-6, atol=1e-9, err_msg=name)


def test_a_short_analysis_is_enough(table: Path, tmp_path: Path) -> None:
    folder = tmp_path / "short"
    folder.mkdir()
    text = 'formula = "log(rt) ~ days + (1 | subject)"\ndata = "../words.csv"\n'
    (folder / "analysis.toml").write_text(text)
    read = read_analysis(folder)
    assert (read.family.name, read.dataset.columns["group"]) == ("normal", "subject")
    for added, words in (
        ('likelihood = "poison"', r"no likelihood 'poison'. Did you mean 'poisson'"),
        ('group = "subjct"', r"'subjct' is no grouping factor of the formula. Did you mean 'subject'"),
        ('[columns]\noutcome = "days"', "outcome"),
    ):
        (folder / "analysis.toml").write_text(f"{text}{added}\n")
        with pytest.raises(HbmError, match=words):
            read_analysis(folder).family.name  # noqa: B018


def test_the_likelihood_may_be_named(table: Path, tmp_path: Path) -> None:
    new = new_analysis(str(table), "normal", {}, tmp_path / "n", formula="calls ~ days + (1 | subject)")
    assert new.notes[0] == "Model: calls, likelihood normal (as asked)."
    with pytest.raises(ModelError, match=r"goes with the likelihood negative_binomial or poisson or .*, not normal"):
        new_analysis(str(table), "normal", {}, tmp_path / "m", formula="calls | rate(hours) ~ (1 | subject)")


def test_warnings_and_refusals_come_before_sampling(table: Path, tmp_path: Path) -> None:
    new = new_analysis(str(table), "", {}, tmp_path / "w", formula="log(rt) ~ arm + (days | subject)")
    assert any("days varies by subject and has no common coefficient" in warning for warning in new.warnings)
    with pytest.raises(HbmError, match=r"no column 'dayz'.*Did you mean 'days'"):
        new_analysis(str(table), "", {}, tmp_path / "x", formula="log(rt) ~ dayz + (1 | subject)")
    assert not (tmp_path / "x").exists()


def test_rows_left_out_keep_their_centre_in_refits(table: Path) -> None:
    chosen, dataset = of_formula("log(rt) ~ days + (1 + days | subject) + (1 | word)", FRAME)
    model = family(chosen)
    whole = prepare_table(model, dataset)
    left = whole.without(range(8))
    data, part = (model.stan_data(t, model.priors(whole), "partial_pooling") for t in (whole, left))
    np.testing.assert_array_equal(part["X"], data["X"][8:])
    np.testing.assert_array_equal(part["Z"], data["Z"][8:])
    assert part["J"] == data["J"] - 1


def zeros_frame(seed: int = 4) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    g, x = np.repeat(np.arange(8), 12), rng.normal(size=96)
    y = rng.poisson(np.exp(1.0 + rng.normal(0, 0.4, 8)[g])) * (rng.uniform(size=96) > 0.35)
    return pd.DataFrame({"g": [f"g{j}" for j in g], "x": x, "y": y, "none": 0, "some": y + 1})


def test_the_share_of_extra_zeros_has_a_formula_of_its_own(tmp_path: Path) -> None:
    table = tmp_path / "zeros.csv"
    zeros_frame().to_csv(table, index=False)
    formula, name = "y ~ x + (1 | g)", "zero_inflated_poisson"
    new = new_analysis(str(table), name, {}, tmp_path / "a", formula=formula, zi="~ x")
    text = new.path.read_text()
    assert 'zi = "~ x"  # log odds of an extra zero' in text
    assert '"zi[intercept]" = "normal(-1, 1.5)"' in text
    assert "an extra zero has probability 0.02 to 0.87" in text
    assert any("zi depends on: intercept, x" in note for note in new.notes)
    read = read_analysis(tmp_path / "a")
    assert read.dataset.reading.zi == "~ x"
    constant = new_analysis(str(table), name, {}, tmp_path / "b", formula=formula)
    assert 'zi = "~ 1"' in constant.path.read_text()
    assert any("The same for all rows: zi" in note for note in constant.notes)
    with pytest.raises(DataError, match=r"zi = '~ x' goes with the likelihood .*zero_inflated_poisson, not poisson"):
        new_analysis(str(table), "poisson", {}, tmp_path / "c", formula=formula, zi="~ x")


@pytest.mark.parametrize(("outcome", "words"), [("none", "every count is 0"), ("some", "no count is 0")])
def test_a_share_that_nothing_tells_is_refused(outcome: str, words: str, tmp_path: Path) -> None:
    table = tmp_path / "zeros.csv"
    zeros_frame().to_csv(table, index=False)
    with pytest.raises(DataError, match=words):
        new_analysis(str(table), "zero_inflated_poisson", {}, tmp_path / "a", formula=f"{outcome} ~ x + (1 | g)")
