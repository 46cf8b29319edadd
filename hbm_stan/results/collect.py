"""The steps after sampling, taken together: diagnoses, comparison, prediction, shrinkage, predictive checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from hbm_stan.analysis.read import Analysis
from hbm_stan.checks import check_fits
from hbm_stan.compare import both_targets
from hbm_stan.comparison import Comparison
from hbm_stan.densities import Unit, has_log_lik
from hbm_stan.diagnosis import Diagnosis
from hbm_stan.fit import Fit
from hbm_stan.leave_one_out import check_p_loo, check_pareto_k
from hbm_stan.loo_pit import LooPit, loo_pit, why_no_pit
from hbm_stan.loo_predictive import loo_predictive
from hbm_stan.model import Finding
from hbm_stan.predict import NewGroup, findings, new_group, predicts_groups, shrinkage_table
from hbm_stan.prior_predictive import check_priors, prior_check
from hbm_stan.reliability import Reliability, reliability, why_no_reliability
from hbm_stan.replicate import PredictiveCheck, can_replicate, predictive_check
from hbm_stan.results.entry import read
from hbm_stan.results.sensitive import Sensitive
from hbm_stan.sensitivity.run import earlier_sensitivity, quick_look
from hbm_stan.sensitivity.unseen import unseen
from hbm_stan.sensitivity.unseen_words import finding_of
from hbm_stan.verdicts import Verdict


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What the steps after sampling found: diagnoses, comparison, prediction, shrinkage, predictive checks."""

    fits: Mapping[str, Fit]
    diagnoses: Mapping[str, Diagnosis]
    comparison: Comparison | None
    group_comparison: Comparison | None
    new_group: NewGroup | None
    shrinkage: pd.DataFrame
    ppc: PredictiveCheck | None
    prior_check: pd.DataFrame
    own: tuple[Finding, ...]
    withheld: bool
    sensitivity: Sensitive | None
    loo_pit: LooPit | None = None
    reliability: Reliability | None = None

    @property
    def verdicts(self) -> dict[str, list[Verdict]]:
        """All verdicts on each fit: on its draws and replicated data, its priors, and its leave-one-out."""
        rows = {name: [*d.verdicts, *check_priors(self.fits[name])] for name, d in self.diagnoses.items()}
        noun = next(iter(self.fits.values())).table.noun
        for comparison in (self.comparison, self.group_comparison):
            for name, scored in comparison.pointwise.items() if comparison else ():
                labels = comparison.labels if comparison else ()
                rows[name] += [check_pareto_k(scored, labels, noun), *check_p_loo(scored)]
        for left_out in (self.loo_pit, self.reliability):
            if left_out is not None:
                rows[left_out.variant].append(left_out.verdict())
        return rows


def find(analysis: Analysis, fits: Mapping[str, Fit], say: Callable[[str], None] | None = None) -> Findings:
    """Check, compare and predict; nothing is compared where a check failed and was not waived."""
    diagnoses = check_fits(fits, analysis.waived)
    main = fits[analysis.main_variant]
    failed = any(d.status == "fail" for d in diagnoses.values())
    compared = {name: fits[name] for name in analysis.compared if name in fits and has_log_lik(fits[name])}
    comparisons = _comparisons(analysis, compared, diagnoses, say) if len(compared) > 1 and not failed else {}
    pit, shares = (None, None) if failed else _left_out(main)
    return Findings(
        fits=fits, diagnoses=diagnoses, comparison=comparisons.get("observation"),
        group_comparison=comparisons.get("group"),
        new_group=new_group(main, analysis.prediction) if predicts_groups(main.family) else None,
        shrinkage=shrinkage_table(fits, main.variant), ppc=_replicated(diagnoses, main), prior_check=prior_check(main),
        own=(*([] if failed else _swept(analysis, main, say)), *findings(main, analysis.prediction)), withheld=failed,
        sensitivity=_sensitivity(analysis, fits, diagnoses), loo_pit=pit, reliability=shares,
    )  # fmt: skip


def _swept(analysis: Analysis, main: Fit, say: Callable[[str], None] | None) -> list[Finding]:
    """Of a family whose conclusion rests on a delta: the conclusion under each."""
    swept = unseen(main, analysis.store, say)
    return [] if swept is None else [finding_of(swept)]


def _replicated(diagnoses: Mapping[str, Diagnosis], main: Fit) -> PredictiveCheck | None:
    """The replicated data that the verdict was made from; those of the main variant where there is no verdict."""
    check = next((d.ppc for d in diagnoses.values() if d.ppc is not None), None)
    return check or (predictive_check(main) if can_replicate(main) else None)


def _left_out(main: Fit) -> tuple[LooPit | None, Reliability | None]:
    """How rows lie in what all others predict of them, and whether shares come true."""
    transforms, calibrates = not why_no_pit(main), not why_no_reliability(main)
    if not (transforms or calibrates):
        return None, None
    predictive = loo_predictive(main)
    return (
        loo_pit(main, predictive) if transforms else None,
        reliability(main, predictive) if calibrates else None,
    )


def _sensitivity(analysis: Analysis, fits: Mapping[str, Fit], diagnoses: Mapping[str, Diagnosis]) -> Sensitive | None:
    """What `hbm sensitivity` found of these fits, else what needs no refit; None without partial pooling."""
    if analysis.family.variant(analysis.main_variant).pooling != "partial":
        return None
    if any(d.status == "fail" for d in diagnoses.values()):
        return None
    return read(Sensitive, earlier_sensitivity(analysis, fits) or quick_look(analysis, fits, diagnoses).as_dict())


def _comparisons(
    analysis: Analysis, compared: Mapping[str, Fit], diagnoses: Mapping[str, Diagnosis], say: Any
) -> dict[Unit, Comparison]:
    """Both targets; a new group only where some family function can score one without a refit of every group."""
    only: Unit | None = None if analysis.family.groups.group_log_lik is not None else "observation"
    return both_targets(compared, diagnoses, only, analysis.budget, analysis.store, say)
