"""Would the answer be another with other priors, or with one group less? Three looks at one analysis."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hbm_stan import __version__
from hbm_stan.attempts import fit_variants
from hbm_stan.checks import check_fits
from hbm_stan.diagnosis import Diagnosis
from hbm_stan.engines import Engine, Progress, choose
from hbm_stan.errors import ModelError
from hbm_stan.fit import Fit
from hbm_stan.notebook import card
from hbm_stan.repair.refits import keep_note
from hbm_stan.sensitivity.alternatives import Alternatives, Bench, alternatives, failed_checks
from hbm_stan.sensitivity.asked import NOTE, Asked
from hbm_stan.sensitivity.influence import Influence, influence
from hbm_stan.sensitivity.power import Power, power_scaling
from hbm_stan.sensitivity.unseen import Unseen, unseen
from hbm_stan.sensitivity.unseen_words import sentences as in_words
from hbm_stan.verdicts import for_json

# Groups that are refitted at most, where the weights that leave them out fail.
REFITS = 10


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """Power-scaling, other priors and the influence of groups; ``withheld`` says why there is nothing of it."""

    variant: str
    power: Power | None = None
    alternatives: Alternatives | None = None
    influence: Influence | None = None
    unseen: Unseen | None = None  # of a family whose conclusion rests on a delta
    withheld: str = ""

    def __repr__(self) -> str:
        return "\n".join([f"<Sensitivity of {self.variant}>", *self.sentences])

    def _repr_html_(self) -> str:
        return card(f"Sensitivity of {self.variant}", self.sentences)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was found, in words."""
        parts = (self.power, self.alternatives, self.influence)
        sentences = tuple(s for part in parts if part is not None for s in part.sentences)
        swept = () if self.unseen is None else in_words(self.unseen)
        return (self.withheld,) if self.withheld else (*swept, *sentences)

    def as_dict(self) -> dict[str, Any]:
        """Everything for JSON; a part that was not run is None."""
        parts = {name: getattr(self, name) for name in ("power", "alternatives", "influence", "unseen")}
        content = {
            "variant": self.variant, "withheld": self.withheld, "sentences": list(self.sentences),
            **{name: None if part is None else part.as_dict() for name, part in parts.items()},
        }  # fmt: skip
        plain: dict[str, Any] = for_json(content)
        return plain


def sensitivity(
    analysis: Asked,
    *,
    engine: Engine | str = "auto",
    quick: bool = False,
    refit_groups: int | None = None,
    say: Callable[[str], None] | None = None,
    progress: Callable[[str], Progress | None] | None = None,
) -> Sensitivity:
    """How the answer of an analysis depends on its priors and on single groups.

    ``analysis`` is what ``read_analysis`` gives. ``quick`` leaves out what needs refits: other priors, and groups whose
    weights fail (``refit_groups`` of them at most; by default 10, and none where the family can give no weights, for
    then every group needs a refit). The whole result is kept beside the fits, where the report finds it. Raises
    ModelError where no variant pools partially; where a fit failed its checks nothing is concluded, and ``withheld``
    says so.
    """
    require_partial(analysis)
    tell = say or (lambda _text: None)
    chosen = choose(analysis.engine_for(engine)) if isinstance(engine, str) else engine
    names = tuple(dict.fromkeys((analysis.main_variant, *analysis.compared)))
    fits = fit_variants(
        analysis.family, analysis.dataset, names, priors=analysis.priors, sampling=analysis.sampling, engine=chosen,
        store=analysis.store, say=tell, progress=progress, minutes=analysis.minutes, waive=analysis.waived,
    )  # fmt: skip
    diagnoses = check_fits(fits, analysis.waived)
    weighs = analysis.family.groups.group_log_lik is not None
    allowed = (REFITS if weighs else 0) if refit_groups is None else refit_groups
    first_look = quick_look(analysis, fits, diagnoses, 0 if quick else allowed, tell)
    if quick or first_look.withheld:
        return first_look
    swept = unseen(fits[analysis.main_variant], analysis.store, tell)
    tried = alternatives(
        Bench(asked=analysis, engine=chosen, fits=fits, diagnoses=diagnoses, say=tell, progress=progress)
    )
    whole = Sensitivity(
        variant=first_look.variant, power=first_look.power, alternatives=tried, influence=first_look.influence,
        unseen=swept,
    )  # fmt: skip
    keep_note(analysis.store, NOTE, {"key": _key(analysis, fits), "result": whole.as_dict()}, tell)
    return whole


def quick_look(
    analysis: Asked,
    fits: Mapping[str, Fit],
    diagnoses: Mapping[str, Diagnosis],
    refit_groups: int = 0,
    say: Callable[[str], None] | None = None,
) -> Sensitivity:
    """Power-scaling and the influence of groups, from the draws that are there; nothing where a check failed."""
    main = fits[analysis.main_variant]
    failed = [failed_checks(d) for d in diagnoses.values() if d.status == "fail"]
    if failed:
        return Sensitivity(
            variant=main.variant, withheld=f"Nothing is concluded: {'; '.join(failed)}. See `hbm check`."
        )
    moved = influence(main, refit_groups, say, analysis.waived)
    return Sensitivity(variant=main.variant, power=power_scaling(main, analysis.prediction), influence=moved)


def require_partial(analysis: Asked) -> None:
    """Raise ModelError where the analysis fits no variant of partial pooling."""
    if analysis.family.variant(analysis.main_variant).pooling != "partial":
        raise ModelError(
            "Sensitivity is asked of a variant with partial pooling, and the analysis has none: its variants are "
            f"{', '.join(analysis.variants)}. Add partial_pooling to variants in analysis.toml."
        )


def earlier_sensitivity(analysis: Asked, fits: Mapping[str, Fit]) -> dict[str, Any] | None:
    """The whole result that an earlier run kept of the same fits, as plain values; None where there is none."""
    note = analysis.store.read_note(NOTE)
    if note is None or note.get("key") != _key(analysis, fits):
        return None
    result: dict[str, Any] = note["result"]
    return result


def _key(analysis: Asked, fits: Mapping[str, Fit]) -> str:
    names = sorted({analysis.main_variant, *(n for n in analysis.compared if n in fits)})
    key_parts = [
        _own_code(), analysis.main_variant, [fits[n].key for n in names], sorted(analysis.compared),
        sorted(analysis.waived), sorted(map(str, analysis.prediction.items())),
        str(fits[analysis.main_variant].table.noun),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(key_parts).encode()).hexdigest()


@cache
def _own_code() -> str:
    """The version and the hash of these modules: what other code found is not taken for what this would find."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return __version__ + hashlib.sha256(b"\0".join(p.read_bytes() for p in files)).hexdigest()
