"""A form of partial pooling that its pilot chose and whose draws fail gives way to another form of the same model."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from hbm_stan.diagnose import check
from hbm_stan.errors import EngineError
from hbm_stan.fit import Fit
from hbm_stan.model import Family
from hbm_stan.parameterise import Choice, form_in_words, worth


def passing_form(
    family: Family, choice: Choice, fit_with: Callable[[str], Fit], waive: Collection[str], say: Callable[[str], None]
) -> Choice:
    """The choice or, where draws of its form fail their checks and those of another form pass, that one.

    ``fit_with`` fits a variant, and keeps it: what is tried here is not sampled again. Where no form passes the choice
    stands, and its failed checks are told.
    """
    others = sorted((p for p in choice.pilots if p.variant != choice.variant), key=worth, reverse=True)
    failed = _failed(fit_with(choice.variant), waive) if others else ""
    for other in others if failed else ():
        say(f"{choice.variant} failed its checks ({failed}): trying {other.variant}, another form of the same model")
        try:
            passes = not _failed(fit_with(other.variant), waive)
        except EngineError:
            continue
        if passes:
            one, two = (form_in_words(family, name) for name in (choice.variant, other.variant))
            reason = (
                f"Draws in the {one} form failed their checks ({failed}), those in the {two} form passed and are used. "
                "It is the same model."
            )
            return replace(choice, variant=other.variant, reason=f"{choice.reason} {reason}")
    return choice


def _failed(fit: Fit, waive: Collection[str]) -> str:
    """The names of the checks that a fit failed; empty where it passed."""
    return ", ".join(v.name for v in check(fit, waive).failed)
