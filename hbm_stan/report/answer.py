"""The answer in words, from numbers that passed their checks; and what a reader must know before any number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hbm_stan.predict import NewGroup
from hbm_stan.report.digits import format_estimate, format_probability, significant
from hbm_stan.scores import few_observations, plain

if TYPE_CHECKING:
    import pandas as pd

    from hbm_stan.fit import Fit
    from hbm_stan.report.analysis import Analysis
    from hbm_stan.report.found import Findings

# A tau below this share of the sd of the estimates is as good as none (decision-rules, pitfall 17: ours) ...
NEAR_ZERO = 0.1
# ... and is mentioned where it has at least this probability.
MENTIONED = 0.05


def answer(analysis: Analysis, found: Findings) -> list[str]:
    """Sentences for page one; where a check failed, why there is no answer."""
    if found.withheld:
        failed = [name for name, d in found.diagnoses.items() if d.status == "fail"]
        named = ", ".join(plain(name) for name in failed)
        return [f"No conclusion is drawn: {named} did not pass {'their' if len(failed) > 1 else 'its'} checks."]
    main = found.fits[analysis.main_variant]
    pooling = main.family.variant(main.variant).pooling
    unit = main.table.dataset.unit(analysis.family.outcome)
    summary = found.diagnoses[main.variant].summary
    said = []
    if pooling == "no":
        said.append(
            "Without pooling, each group is estimated by itself: there is no common answer, and none for a new group."
        )
    else:
        said.append(_average(main, summary, unit, complete=pooling == "complete"))
    if pooling == "partial":
        said += [_spread(main, summary, unit), _new(found.new_group, unit, main.n_draws)]
    if found.comparison is not None:
        warning = few_observations(found.comparison.n_observations)
        said += [s for s in found.comparison.verdict if s != warning]
    return said


def _with_unit(text: str, unit: str) -> str:
    return f"{text} {unit}".strip()


def _interval(row: pd.Series[float]) -> str:
    # Both ends with the digits that the less certain one allows.
    mcse = max(row["mcse_q05"], row["mcse_q95"])
    return f"90 % interval {format_estimate(row['q05'], mcse)} to {format_estimate(row['q95'], mcse)}"


def _average(fit: Fit, summary: pd.DataFrame, unit: str, *, complete: bool) -> str:
    mu = summary.loc["mu"]
    centre = _with_unit(format_estimate(mu["q50"], mu["mcse_q50"]), unit)
    positive = format_probability(float(np.mean(fit.draws("mu")["mu"] > 0)), fit.n_draws)
    what = "The value that all groups are assumed to share" if complete else "The average over the population of groups"
    return (
        f"{what} is about {centre} (posterior median; {_interval(mu)}); the probability that it is above "
        f"zero is {positive}."
    )


def _spread(fit: Fit, summary: pd.DataFrame, unit: str) -> str:
    """How much groups differ; an interval of a scale never holds 0, so what is near 0 is said in words."""
    tau = summary.loc["tau"]
    centre = _with_unit(format_estimate(tau["q50"], tau["mcse_q50"]), unit)
    said = f"Group values vary around that average with a standard deviation tau of about {centre} ({_interval(tau)})"
    small = NEAR_ZERO * float(np.std(fit.data["y"], ddof=1))
    near = float(np.mean(fit.draws("tau")["tau"] < small))
    if near < MENTIONED:
        return said + "."
    limit = _with_unit(significant(small, 2), unit)
    probability = format_probability(near, fit.n_draws)
    return f"{said}; tau is below {limit} with probability {probability}, so the groups may hardly differ at all."


def _new(prediction: NewGroup, unit: str, n_draws: int) -> str:
    row = prediction.quantities.loc["theta_new"]
    centre = _with_unit(format_estimate(row["q50"], row["mcse_q50"]), unit)
    positive = format_probability(row["p_positive"], n_draws)
    return (
        f"For a new group of the same kind the predictive median is {centre} ({_interval(row)}); "
        f"the probability that its value is above zero is {positive}."
    )


def notices(found: Findings) -> list[str]:
    """Waived checks, warnings of the data, and every failed check with its hint."""
    said = []
    for name, verdicts in found.verdicts.items():
        for v in verdicts:
            if v.waived:
                said.append(
                    f"{plain(name).capitalize()}: the failed check “{v.name}” was waived by the analyst. {v.hint}"
                )
            elif v.status != "pass":
                said.append(f"{plain(name).capitalize()}, {v.name}: {v.hint}")
    table = next(iter(found.fits.values())).table
    said += [v.hint for v in table.verdicts if v.status != "pass"]
    if found.comparison is not None:
        warning = few_observations(found.comparison.n_observations)
        said += [s for s in found.comparison.verdict if s == warning]
    return said
