"""What a sensitivity reads of an analysis and keeps beside its fits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

from hbm_stan.data import Dataset
from hbm_stan.engines import Sampling
from hbm_stan.model import Family
from hbm_stan.store import FitStore

NOTE = "sensitivity"  # the result that is kept beside the fits, for the report


class Asked(Protocol):
    """An analysis: one question, with its data, variants, priors and settings."""

    @property
    def family(self) -> Family:
        """The model family."""

    @property
    def dataset(self) -> Dataset:
        """The data, columns mapped to roles."""

    @property
    def variants(self) -> tuple[str, ...]:
        """The variants that are fitted."""

    @property
    def compared(self) -> tuple[str, ...]:
        """Those of them that are compared."""

    @property
    def main_variant(self) -> str:
        """The one that is talked about."""

    @property
    def priors(self) -> Mapping[str, str]:
        """Priors that replace defaults, by parameter."""

    @property
    def sampling(self) -> Sampling:
        """How much is drawn, and the seed."""

    @property
    def prediction(self) -> Mapping[str, Any]:
        """Options of the prediction for a new group."""

    @property
    def waived(self) -> tuple[str, ...]:
        """Checks whose failure does not withhold the conclusion."""

    def engine_for(self, asked: str) -> str:
        """The engine that is asked for, or that of the analysis where that is ``auto``."""

    @property
    def minutes(self) -> float:
        """What later attempts at a fit may take."""

    @property
    def store(self) -> FitStore:
        """Where the draws are kept."""


def note_bytes(analysis: Asked) -> bytes:
    """What is kept, whatever it is of: a report must be made again where it changed."""
    note = analysis.store.read_note(NOTE)
    return b"" if note is None else json.dumps(note, sort_keys=True).encode()
