"""This fit against the saved reference: did a posterior move?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from hbm_stan.agreement import Agreement, compare_with_reference
from hbm_stan.diagnose import check, parameters
from hbm_stan.errors import ModelError
from hbm_stan.fit import Fit
from hbm_stan.reference.files import OWN, Posterior, Reference
from hbm_stan.reference.match import check_precision, matches, unchecked


@dataclass(frozen=True)
class Regression:
    """How the fits agree with a reference, by variant.

    ``notes`` says what changed since the reference was made, ``unchecked`` what it does not say and was taken on trust.
    """

    reference: Reference
    agreements: Mapping[str, Agreement]
    notes: tuple[str, ...]
    unchecked: tuple[str, ...] = ()

    @property
    def moved(self) -> bool:
        """Whether a posterior moved by more than chance explains."""
        return not all(a.agrees for a in self.agreements.values())

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "reference": str(self.reference.path),
            "status": "moved" if self.moved else "agrees",
            "notes": list(self.notes),
            "not_checked": list(self.unchecked),
            "variants": {name: _as_dict(a) for name, a in self.agreements.items()},
        }


def _as_dict(agreement: Agreement) -> dict[str, Any]:
    # A z that is not finite has no place in JSON: it is shown as absent.
    moved = agreement.moved.astype(object).where(agreement.moved.map(pd.notna), None)
    return {
        "comparisons": len(agreement.table), "threshold": agreement.threshold,
        "largest_z": agreement.largest if pd.notna(agreement.largest) else None,
        "moved": moved.to_dict("records"),
    }  # fmt: skip


def regress(fits: Mapping[str, Fit], reference: Reference, waive: tuple[str, ...] = ()) -> Regression:
    """Compare each fit with the reference's posterior of its variant; the threshold counts all comparisons together.

    Raises ModelError where the reference is not one of these fits or too coarse, DiagnosticError where chains did not
    converge: draws that cannot be trusted say nothing about a posterior.
    """
    posteriors = {name: matches(fit, reference) for name, fit in fits.items()}
    for name, posterior in posteriors.items():
        check_precision(reference, posterior)
        _same_parameters(fits[name], posterior, reference)
    for fit in fits.values():
        check(fit, waive).require()
    n = sum(p.comparisons for p in posteriors.values())
    agreements = {
        name: compare_with_reference(*parameters(fit), posteriors[name].table, n) for name, fit in fits.items()
    }
    trusted = dict.fromkeys(note for fit in fits.values() for note in unchecked(fit, reference))
    return Regression(reference, agreements, tuple(_notes(fits, reference)), tuple(trusted))


def _same_parameters(fit: Fit, posterior: Posterior, reference: Reference) -> None:
    """Raise ModelError where the reference has a parameter that the fit lacks or, a long run, lacks one of the fit."""
    ours, theirs = parameters(fit)[0], set(posterior.table.index)
    for names, lacking, where in (
        (sorted(theirs - set(ours)), True, f"{fit.variant} does not have"),
        ([name for name in ours if name not in theirs], reference.kind == OWN, f"{fit.variant} has and it lacks"),
    ):
        if names and lacking:
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            raise ModelError(f"{reference.path}: parameters differ: {where} {', '.join(names[:5])}{more}.")


def _notes(fits: Mapping[str, Fit], reference: Reference) -> list[str]:
    notes = []
    for name, fit in fits.items():
        then = reference.posterior(name).about.get("program_sha256")
        if then is not None and then != fit.program_sha256:
            notes.append(f"The program of {name} changed since the reference was made.")
    engine = next(iter(fits.values()))
    now = f"{engine.engine} {engine.engine_version}"
    if reference.about.get("engine") not in {None, now}:
        notes.append(f"The reference was made by {reference.about['engine']}, this fit by {now}.")
    return notes
