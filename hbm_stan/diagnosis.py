"""The verdicts on a fit, and those that are noted beside its file: read again where nothing that they rest on changed.

Verdicts are a function of the draws, the data, and our code: where a fit is read whose draws nobody has changed, the
same question has the same answer.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from hbm_stan.deferred import Deferred, Later
from hbm_stan.errors import DiagnosticError
from hbm_stan.fit import Fit, unread
from hbm_stan.fit_file import Facts, FitFile
from hbm_stan.notebook import card, verdict_table
from hbm_stan.verdicts import Status, Verdict, on_a_screen, worst

if TYPE_CHECKING:
    import pandas as pd

    from hbm_stan.replicate import PredictiveCheck


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """The verdicts on one fit, and what they were made from: the summary table (one row for each parameter), and
    replicated data, None where these were not asked for. Of verdicts that were noted these are made when they are
    asked for."""

    variant: str
    verdicts: tuple[Verdict, ...]
    summary: Later[pd.DataFrame] = Later()  # noqa: RUF009 (a descriptor: there is one for all)
    ppc: Later[PredictiveCheck | None] = Later(None)  # noqa: RUF009

    def __repr__(self) -> str:
        head = f"<Diagnosis of {self.variant}: {self.status}; {len(self.summary):,} parameters in .summary>"
        return "\n".join([head, *on_a_screen(self.verdicts)])

    def _repr_html_(self) -> str:
        head = f"{self.variant}: {self.status}; {len(self.summary):,} parameters in .summary"
        return card(head, table=verdict_table(self.verdicts))

    @property
    def status(self) -> Status:
        """The worst verdict that was not waived."""
        return worst(self.verdicts)

    @property
    def failed(self) -> list[Verdict]:
        """The checks that failed and were not waived."""
        return [v for v in self.verdicts if v.status == "fail" and not v.waived]

    def require(self) -> None:
        """Raise DiagnosticError if a check failed and was not waived."""
        if self.failed:
            failures = " ".join(f"{v.name}: {v.hint}" for v in self.failed)
            raise DiagnosticError(f"{self.variant} did not pass its checks. {failures}")


def noted(
    fit: Fit, asked: str, waive: Collection[str], modules: Collection[ModuleType], check: Callable[[Fit], Diagnosis]
) -> Diagnosis:
    """What ``check`` says of a fit, or what it said of the same draws before.

    ``asked`` names the check, ``modules`` hold its thresholds. Nothing is noted of fits that are kept nowhere, of
    those whose draws somebody has read (they may have been changed), and of families of the user's own, whose code may
    be anywhere.
    """
    file = None if fit.family.source else fit.file
    if file is None:
        return check(fit)
    question = _question(fit, asked, waive, modules)
    diagnosis = _read(file, question, unread(fit), check)
    if diagnosis is None:
        own = unread(fit)
        diagnosis = check(own)
        answer = {"verdicts": [asdict(v) for v in diagnosis.verdicts], "replicated": diagnosis.ppc is not None}
        file.note(_facts(own), question, answer)
    return diagnosis


def _read(file: FitFile, question: str, fit: Fit, check: Callable[[Fit], Diagnosis]) -> Diagnosis | None:
    """What was noted of a question; tables are made of the draws when they are asked for."""
    answer = file.answer(question)
    if answer is None:
        return None
    again = Deferred(lambda: check(fit))
    ppc = Deferred(lambda: again.value().ppc) if answer["replicated"] else None
    verdicts = tuple(Verdict(**row) for row in answer["verdicts"])
    return Diagnosis(fit.variant, verdicts, Deferred(lambda: again.value().summary), ppc)


def _question(fit: Fit, asked: str, waive: Collection[str], modules: Collection[ModuleType]) -> str:
    """A check of a fit as a hash: its name, thresholds, and what its words name of the table beside the fit's key."""
    dataset = fit.table.dataset
    words = [dataset.sha256, sorted(dataset.columns.items()), repr(dataset.reading), fit.table.noun.as_dict()]
    content = [asked, fit.variant, fit.key, sorted(waive), {m.__name__: _thresholds(m) for m in modules}, *words]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _thresholds(module: ModuleType) -> Mapping[str, Any]:
    """The numbers that stand in a module, which a notebook may set."""
    named = {name: value for name, value in vars(module).items() if name.lstrip("_").isupper()}
    return {name: value for name, value in named.items() if isinstance(value, int | float)}


def _facts(fit: Fit) -> Facts:
    sampling = fit.sampling
    return Facts(
        key=fit.key, seconds=fit.seconds, adapt_delta=sampling.adapt_delta,
        earlier=tuple(asdict(attempt) for attempt in fit.earlier), about=fit.about, independent=fit.independent,
        trouble=fit.trouble,
    )  # fmt: skip
