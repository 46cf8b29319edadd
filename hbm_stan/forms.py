"""A form of partial pooling that its pilot chose and whose draws fail gives way to another form of the same model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from hbm_stan.diagnose import check
from hbm_stan.errors import EngineError
from hbm_stan.fit import Fit
from hbm_stan.model import Family
from hbm_stan.parameterise import Choice, Pilot, form_in_words, worth

# Checks that more draws would pass, and by what factor a form must not be worse that is tried where they alone failed:
# a pilot of 200 draws is wrong by a factor of two or three now and then, not by ten (ours).
_TOO_FEW, _HOPELESS = {"bulk ESS", "tail ESS", "MCSE"}, 10


def passing_form(
    family: Family, choice: Choice, fit_with: Callable[[str], Fit], waive: Collection[str], say: Callable[[str], None]
) -> Choice:
    """The choice or, where draws of its form fail their checks and those of another form pass, that one.

    ``fit_with`` fits a variant, and keeps it: what is tried here is not sampled again. Where no form passes the choice
    stands, and its failed checks are told.
    """
    others = sorted((p for p in choice.pilots if p.variant != choice.variant), key=worth, reverse=True)
    failed = _failed(fit_with(choice.variant), waive) if others else []
    checks = ", ".join(failed)
    for other in _worth_trying(choice, others, failed):
        say(f"{choice.variant} failed its checks ({checks}): trying {other.variant}, another form of the same model")
        try:
            passes = not _failed(fit_with(other.variant), waive)
        except EngineError:
            continue
        if passes:
            one, two = (form_in_words(family, name) for name in (choice.variant, other.variant))
            reason = (
                f"Draws in the {one} form failed their checks ({checks}), those in the {two} form passed and are used. "
                "It is the same model."
            )
            return replace(choice, variant=other.variant, reason=f"{choice.reason} {reason}")
    return choice


def _worth_trying(choice: Choice, others: Sequence[Pilot], failed: Collection[str]) -> Sequence[Pilot]:
    """The forms that may pass what the choice failed: where its draws are only too few, none that gives far fewer."""
    if not set(failed) <= _TOO_FEW:
        return others
    best = next((worth(p) for p in choice.pilots if p.variant == choice.variant), 0.0)
    return [p for p in others if failed and _HOPELESS * worth(p) >= best]


def _failed(fit: Fit, waive: Collection[str]) -> list[str]:
    """The names of the checks that a fit failed; none where it passed."""
    return [v.name for v in check(fit, waive).failed]
