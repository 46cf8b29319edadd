"""The answer in words, from numbers that passed their checks; and what a reader must know before any number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbm_stan.predict import NewGroup
from hbm_stan.report.digits import format_estimate, format_probability
from hbm_stan.scores import few_observations, plain

if TYPE_CHECKING:
    import pandas as pd

    from hbm_stan.report.analysis import Analysis
    from hbm_stan.report.results import Findings


def answer(analysis: Analysis, found: Findings) -> list[str]:
    """Sentences for page one; where a check failed, why there is no answer."""
    if found.withheld:
        failed = [name for name, d in found.diagnoses.items() if d.status == "fail"]
        named = ", ".join(plain(name) for name in failed)
        return [f"No conclusion is drawn: {named} did not pass {'their' if len(failed) > 1 else 'its'} checks."]
    main = found.fits[analysis.main_variant]
    unit = main.table.dataset.unit(analysis.family.outcome)
    summary = found.diagnoses[main.variant].summary
    said = [_population(summary, unit)] if "mu" in summary.index else []
    if "tau" in summary.index:
        said.append(_spread(summary, unit, len(main.table.labels)))
    if main.family.variant(main.variant).pooling == "partial":
        said.append(_new(found.new_group, unit, main.n_draws))
    if found.comparison is not None:
        said += [s for s in found.comparison.verdict if s != few_observations(found.comparison.n_observations)]
    return said


def _with_unit(text: str, unit: str) -> str:
    return f"{text} {unit}".strip()


def _interval(row: pd.Series[float]) -> str:
    return (
        f"90 % interval {format_estimate(row['q05'], row['mcse_q05'])} to "
        f"{format_estimate(row['q95'], row['mcse_q95'])}"
    )


def _population(summary: pd.DataFrame, unit: str) -> str:
    mu = summary.loc["mu"]
    centre = _with_unit(format_estimate(mu["q50"], mu["mcse_q50"]), unit)
    return f"The average over the population of groups is about {centre} (posterior median; {_interval(mu)})."


def _spread(summary: pd.DataFrame, unit: str, n_groups: int) -> str:
    tau = summary.loc["tau"]
    centre = _with_unit(format_estimate(tau["q50"], tau["mcse_q50"]), unit)
    return (
        f"Groups differ from each other by a standard deviation of about {centre} ({_interval(tau)}), "
        f"learnt from {n_groups} groups."
    )


def _new(prediction: NewGroup, unit: str, n_draws: int) -> str:
    row = prediction.quantities.loc["theta_new"]
    centre = _with_unit(format_estimate(row["q50"], row["mcse_q50"]), unit)
    positive = format_probability(row["p_positive"], n_draws)
    return (
        f"A new group should expect about {centre} ({_interval(row)}); the probability that its value is "
        f"above zero is {positive}."
    )


def notices(found: Findings) -> list[str]:
    """Waived checks, warnings of the data, and every failed check with its hint."""
    said = []
    for name, diagnosis in found.diagnoses.items():
        for v in diagnosis.verdicts:
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
