"""The choice of a parameterisation: the rule, the pilots, the cache, and what an analyst asks for by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from hbm_stan.cli.app import app
from hbm_stan.data import Dataset
from hbm_stan.engines import Engine, EngineDraws, Sampling
from hbm_stan.errors import EngineError, ModelError
from hbm_stan.families import family
from hbm_stan.model import Family
from hbm_stan.parameterise import AUTO, PILOT, choose_parameterisation, named_parameterisation, settle
from hbm_stan.store import FitStore

FORMS = ("partial_pooling_centered", "partial_pooling_noncentered")


class PilotEngine:
    """Returns made pilots: the share of divergent draws and the autocorrelation of each form."""

    name = "made"

    def __init__(
        self, divergent: dict[str, float], correlation: dict[str, float], broken: tuple[str, ...] = (), depth: int = 3
    ) -> None:
        self.divergent, self.correlation, self.broken, self.depth = divergent, correlation, broken, depth
        self.version = "1"
        self.ran: list[str] = []
        self.settings: list[Sampling] = []

    def build(self, programs: Any, say: Any) -> None:
        """Nothing to compile."""

    def sample(self, program: Any, data: Any, sampling: Sampling, progress: Any = None) -> EngineDraws:
        """AR(1) draws of mu, tau and theta."""
        self.ran.append(program.name)
        self.settings.append(sampling)
        if program.name in self.broken:
            raise EngineError("it cannot start")
        rng = np.random.default_rng(len(self.ran))
        shape = (sampling.chains, sampling.draws)
        rho = self.correlation.get(program.name, 0.0)
        noise = rng.normal(size=(*shape, data["J"] + 2))
        draws = noise.copy()
        for t in range(1, shape[1]):
            draws[:, t] = rho * draws[:, t - 1] + np.sqrt(1 - rho**2) * noise[:, t]
        diverging = np.zeros(shape)
        diverging.flat[: round(self.divergent.get(program.name, 0) * diverging.size)] = 1
        stats = {"diverging": diverging, "n_steps": np.full(shape, 7.0), "tree_depth": np.full(shape, self.depth)}
        return EngineDraws({"mu": draws[..., 0], "tau": draws[..., 1], "theta": draws[..., 2:]}, stats)


def dataset() -> Dataset:
    frame = pd.DataFrame({"g": list("abcdef"), "y": np.arange(6.0), "s": 1.0})
    return Dataset.from_frame(frame, group="g", estimate="y", standard_error="s")


def two_forms(rule: str = FORMS[1]) -> Family:
    """Normal means without its marginal form, so that there is something to choose."""
    return family("normal_means").with_fields(pilot=FORMS, rule=lambda _data: (rule, "The groups are noisy."))


def choose(engine: PilotEngine, store: FitStore, rule: str = FORMS[1]) -> Any:
    return choose_parameterisation(two_forms(rule), dataset(), store=store, engine=engine)


@pytest.fixture
def store(tmp_path: Any) -> FitStore:
    return FitStore(tmp_path)


def test_a_pilot_confirms_the_rule(store: FitStore) -> None:
    choice = choose(PilotEngine({}, {}), store)
    assert choice.variant == FORMS[1]
    assert choice.reason.startswith("The groups are noisy. A short pilot confirms it (")
    assert "effective draws per 1,000 gradients" in choice.reason
    assert [p.variant for p in choice.pilots] == [FORMS[1], FORMS[0]]  # the rule's form first


@pytest.mark.parametrize("rule", FORMS)
def test_a_form_that_mixes_much_worse_is_not_taken(store: FitStore, rule: str) -> None:
    choice = choose(PilotEngine({}, {FORMS[1]: 0.95}), store, rule)
    assert choice.variant == FORMS[0]
    assert ("overrules" in choice.reason) == (rule == FORMS[1])


@pytest.mark.parametrize("rule", FORMS)
def test_divergences_count_before_speed(store: FitStore, rule: str) -> None:
    choice = choose(PilotEngine({FORMS[0]: 0.05}, {FORMS[1]: 0.9}), store, rule)
    assert choice.variant == FORMS[1]
    assert "5.0 % divergent" in choice.reason


@pytest.mark.parametrize(("slower", "taken"), [(0.2, 1), (0.9, 0)])
def test_a_single_divergence_costs_half_of_the_speed(store: FitStore, slower: float, taken: int) -> None:
    # One of 200 draws means some twenty in a fit: a form a little faster is not worth them, one five times as fast is.
    choice = choose(PilotEngine({FORMS[0]: 0.005}, {FORMS[1]: slower}), store, FORMS[0])
    assert choice.variant == FORMS[taken]


def test_where_all_forms_diverge_the_one_with_fewest_is_taken(store: FitStore) -> None:
    assert choose(PilotEngine({FORMS[0]: 0.02, FORMS[1]: 0.2}, {}), store).variant == FORMS[0]


def test_a_form_that_cannot_start_is_no_candidate(store: FitStore) -> None:
    assert choose(PilotEngine({}, {}, broken=FORMS[1:]), store).variant == FORMS[0]


def test_where_no_form_can_start_the_rule_stands_unconfirmed_and_nothing_is_kept(store: FitStore) -> None:
    engine = PilotEngine({}, {}, broken=FORMS)
    choice = choose(engine, store)
    assert (choice.variant, choice.pilots) == (FORMS[1], ())
    assert choice.reason.startswith("The groups are noisy. No pilot could be run")
    choose(engine, store)
    assert len(engine.ran) == 4


def test_without_a_rule_the_pilot_alone_decides(store: FitStore) -> None:
    model = two_forms().with_fields(rule=None)
    choice = choose_parameterisation(model, dataset(), store=store, engine=PilotEngine({}, {FORMS[0]: 0.95}))
    assert choice.variant == FORMS[1]
    assert choice.reason.startswith("A short pilot finds non-centered best (")


def test_a_form_under_two_names_has_one_pilot(store: FitStore) -> None:
    engine = PilotEngine({}, {FORMS[0]: 0.5})
    twice = two_forms("partial_pooling").with_fields(pilot=("partial_pooling", "partial_pooling", FORMS[0]))
    choose_parameterisation(twice, dataset(), store=store, engine=engine)
    assert engine.ran == ["partial_pooling", FORMS[0]]


def test_close_forms_that_the_rule_is_against_run_again_with_another_seed(store: FitStore) -> None:
    far = PilotEngine({}, {FORMS[1]: 0.95})
    choose(far, FitStore(store.folder / "far"))
    assert far.ran == [FORMS[1], FORMS[0]]  # the rule's form first
    close = PilotEngine({}, {FORMS[1]: 0.2})
    choose(close, store)
    assert sorted(close.ran) == sorted(FORMS * 2)
    assert len({s.seed for s in close.settings}) == 2
    agreed = PilotEngine({}, {FORMS[0]: 0.2})
    choose(agreed, FitStore(store.folder / "agreed"))
    assert agreed.ran == [FORMS[1], FORMS[0]]


def test_pilots_take_at_most_a_quarter_of_the_iterations_of_a_fit() -> None:
    usual = Sampling()
    iterations = PILOT.warmup + PILOT.draws
    three = 3 * PILOT.chains * iterations + 2 * iterations
    assert three <= usual.chains * (usual.warmup + usual.draws) / 4


def test_the_trees_of_a_rival_grow_no_longer_than_those_before(store: FitStore) -> None:
    engine = PilotEngine({}, {}, depth=5)
    choose(engine, store)
    assert [s.max_treedepth for s in engine.settings[:2]] == [10, 5]


def test_the_choice_is_kept_and_made_again_when_the_data_change(store: FitStore) -> None:
    engine = PilotEngine({}, {})
    first = choose(engine, store)
    assert choose(engine, store) == first
    assert len(engine.ran) == 2
    frame = pd.DataFrame({"g": list("abcdef"), "y": np.arange(6.0) + 1, "s": 1.0})
    other = Dataset.from_frame(frame, group="g", estimate="y", standard_error="s")
    choose_parameterisation(two_forms(), other, store=store, engine=engine)
    assert len(engine.ran) == 4
    for i, damage in enumerate(("{", "[]", '{"pilots": []}', '{"pilots": [{"variant": "partial_pooling"}]}'), start=1):
        for note in store.folder.glob("parameterisation-*.json"):
            note.write_text(damage)
        assert choose(engine, store).variant == first.variant
        assert len(engine.ran) == 4 + 2 * i, damage


def test_what_is_kept_is_of_one_seed_and_one_version_of_the_engine_and_of_no_rule(store: FitStore) -> None:
    engine = PilotEngine({}, {FORMS[1]: 0.95})
    assert choose(engine, store).variant == FORMS[0]
    choose_parameterisation(two_forms(), dataset(), store=store, engine=engine, seed=2)
    assert len(engine.ran) == 4
    engine.version = "2"
    choose(engine, store)
    assert len(engine.ran) == 6
    reworded = two_forms().with_fields(rule=lambda _data: (FORMS[1], "In other words."))
    choice = choose_parameterisation(reworded, dataset(), store=store, engine=engine)
    assert choice.reason.startswith("In other words. A short pilot overrules it: centered is used (")
    assert len(engine.ran) == 6


def test_a_family_with_a_marginal_form_needs_no_pilot(store: FitStore) -> None:
    engine = PilotEngine({}, {})
    choice = choose_parameterisation(family("normal_means"), dataset(), store=store, engine=engine)
    assert (choice.variant, engine.ran) == ("partial_pooling", [])
    assert "no rival" in choice.reason


def test_parameterisations_have_names() -> None:
    model = family("normal_means")
    assert named_parameterisation(model, AUTO) is None
    assert named_parameterisation(model, "centered") == "partial_pooling_centered"
    assert named_parameterisation(model, "partial_pooling_noncentered") == "partial_pooling_noncentered"
    with pytest.raises(ModelError, match=r"Did you mean 'centered'. Allowed: 'auto', 'partial_pooling', 'centered', "):
        named_parameterisation(model, "centred")


@pytest.mark.parametrize("name", ["no_pooling", "complete_pooling", "partial_pooling_intercept", "intercept", ""])
def test_another_model_is_no_parameterisation(name: str) -> None:
    with pytest.raises(ModelError, match=r"there is no parameterisation .* 'by_term'"):
        named_parameterisation(family("logistic_regression"), name)


def test_settling_puts_the_choice_in_the_place_of_the_default() -> None:
    variants = ("complete_pooling", "partial_pooling", "partial_pooling_centered")
    assert settle(variants, "partial_pooling_centered") == ("complete_pooling", "partial_pooling_centered")
    assert settle(variants, "partial_pooling") == variants


def shop_rows(rows: int) -> pd.DataFrame:
    """20 groups of so many rows whose intercepts and slopes differ by 0.6 and 0.3."""
    rng = np.random.default_rng(20261121)
    group = np.repeat(np.arange(20), rows)
    a, b = rng.normal(0.3, 0.6, 20), rng.normal(-0.5, 0.3, 20)
    x = rng.integers(-10, 10, size=group.size, endpoint=True) / 5
    y = rng.binomial(1, 1 / (1 + np.exp(-(a[group] + b[group] * x))))
    return pd.DataFrame({"g": [f"g{j:02d}" for j in group], "x": x, "y": y})


@pytest.mark.parametrize(("rows", "form"), [(3, "partial_pooling"), (300, "partial_pooling_centered")])
def test_rule_and_pilot_agree_at_both_ends(rows: int, form: str, store: FitStore, stanli: Engine) -> None:
    model = family("logistic_regression")
    data = Dataset.from_frame(shop_rows(rows), group="g", outcome="y", predictors=["x"])
    choice = choose_parameterisation(model, data, store=store, engine=stanli)
    assert choice.variant == form
    assert "A short pilot confirms it (" in choice.reason
    ess = {p.variant: p.ess_per_gradient for p in choice.pilots}
    assert max(ess, key=lambda name: ess[name]) == form


@pytest.fixture
def shops(tmp_path: Path) -> Path:
    """A small analysis whose family has forms to choose from."""
    shop_rows(5).to_csv(tmp_path / "data.csv", index=False)
    text = (
        'title = "Shops"\nquestion = "Which?"\nfamily = "logistic_regression"\ndata = "data.csv"\n'
        'variants = ["partial_pooling"]\n'
        '[columns]\ngroup = "g"\noutcome = "y"\npredictors = ["x"]\n[sampling]\nwarmup = 150\ndraws = 50\nseed = 1\n'
    )
    (tmp_path / "analysis.toml").write_text(text)
    return tmp_path


def test_the_command_line_takes_a_parameterisation(shops: Path, stanli: Engine) -> None:
    def hbm(*words: str) -> Any:
        command = ["fit", str(shops), "--engine", stanli.name, *words]
        return CliRunner().invoke(app, command, catch_exceptions=False)

    for name, variant in (
        ("centered", "partial_pooling_centered"),
        ("partial_pooling_by_term", "partial_pooling_by_term"),
        ("auto", "partial_pooling"),
    ):
        done = hbm("--parameterisation", name, "--json", str(shops / "out.json"))
        assert done.exit_code == 0, done.output
        assert set(json.loads((shops / "out.json").read_text())) == {variant}
        assert bool(list((shops / "fits").glob("parameterisation-*.json"))) == (name == "auto")
    done = hbm("--parameterisation", "nonsense")
    assert done.exit_code == 2
    for name in ("nonsense", "auto", "centered", "noncentered", "by_term"):
        assert repr(name) in done.output
