"""The choice of a parameterisation: the rule, the pilots, the cache, and what an analyst asks for by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hbm_stan.data import Dataset
from hbm_stan.engines import EngineDraws, Sampling
from hbm_stan.errors import EngineError, ModelError
from hbm_stan.families import family
from hbm_stan.model import Family
from hbm_stan.parameterise import AUTO, choose_parameterisation, named_parameterisation, settle
from hbm_stan.store import FitStore

FORMS = ("partial_pooling_centered", "partial_pooling_noncentered")


class PilotEngine:
    """Returns made pilots: the share of divergent draws and the autocorrelation of each form."""

    name, version = "made", "1"

    def __init__(self, divergent: dict[str, float], correlation: dict[str, float], broken: str = "") -> None:
        self.divergent, self.correlation, self.broken = divergent, correlation, broken
        self.ran: list[str] = []

    def build(self, programs: Any, say: Any) -> None:
        """Nothing to compile."""

    def sample(self, program: Any, data: Any, sampling: Sampling, progress: Any = None) -> EngineDraws:
        """AR(1) draws of mu, tau and theta."""
        self.ran.append(program.name)
        if program.name == self.broken:
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
        stats = {"diverging": diverging, "n_steps": np.full(shape, 7.0)}
        return EngineDraws({"mu": draws[..., 0], "tau": draws[..., 1], "theta": draws[..., 2:]}, stats)


def dataset() -> Dataset:
    frame = pd.DataFrame({"g": list("abcdef"), "y": np.arange(6.0), "s": 1.0})
    return Dataset.from_frame(frame, group="g", estimate="y", standard_error="s")


def two_forms(rule: str = FORMS[1]) -> Family:
    """Normal means without its marginal form, so that there is something to choose."""
    return replace(family("normal_means"), pilot=FORMS, rule=lambda _data: (rule, "The groups are noisy."))


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
    assert [p.variant for p in choice.pilots] == list(FORMS)


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


def test_where_all_forms_diverge_the_one_with_fewest_is_taken(store: FitStore) -> None:
    assert choose(PilotEngine({FORMS[0]: 0.02, FORMS[1]: 0.2}, {}), store).variant == FORMS[0]


def test_a_form_that_cannot_start_is_no_candidate(store: FitStore) -> None:
    assert choose(PilotEngine({}, {}, broken=FORMS[1]), store).variant == FORMS[0]


def test_the_choice_is_kept_and_made_again_when_the_data_change(store: FitStore) -> None:
    engine = PilotEngine({}, {})
    first = choose(engine, store)
    assert choose(engine, store) == first
    assert len(engine.ran) == 2
    frame = pd.DataFrame({"g": list("abcdef"), "y": np.arange(6.0) + 1, "s": 1.0})
    other = Dataset.from_frame(frame, group="g", estimate="y", standard_error="s")
    choose_parameterisation(two_forms(), other, store=store, engine=engine)
    assert len(engine.ran) == 4
    for note in store.folder.glob("parameterisation-*.json"):
        note.write_text("{")
    assert choose(engine, store).variant == first.variant
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
    with pytest.raises(ModelError, match="Did you mean 'partial_pooling_centered'"):
        named_parameterisation(model, "centred")


def test_settling_puts_the_choice_in_the_place_of_the_default() -> None:
    variants = ("complete_pooling", "partial_pooling", "partial_pooling_centered")
    assert settle(variants, "partial_pooling_centered") == ("complete_pooling", "partial_pooling_centered")
    assert settle(variants, "partial_pooling") == variants
