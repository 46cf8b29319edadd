"""Default priors of a formula's model: weakly informative, on the scale of the data, for columns in the middle of them.

Columns are centred, so that the intercept is the linear predictor at their means. A column that is not (``centre =
false``, or no intercept) has its zero elsewhere, and what stands there has a wider prior.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hbm_stan.design import Design, Term
from hbm_stan.families.terms.data import names_of
from hbm_stan.families.varying_terms import carried
from hbm_stan.later import logit
from hbm_stan.predictors import INTERCEPT
from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior, to_decimals, two_digits
from hbm_stan.table import FloatArray

# Without pooling a coefficient has the prior of the common one, so many times as wide (ours).
_WIDER = 2.0


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The middle of the outcome on the scale of the linear predictor; the sd of the intercept's prior there, and how
    much levels may differ; what a column of sd one may do at most; all in ``words``. ``thresholds`` says that these
    stand in the place of a common intercept."""

    centre: float
    wide: float
    between: float
    slope: float
    words: Mapping[str, str]  # of centre, wide, between, slope; in units of the outcome, of its scale too
    thresholds: bool = False


def default_priors(design: Design, scale: Scale) -> dict[str, Prior]:
    """A Prior for each coefficient and sd, by name; the likelihood's own parameters have theirs elsewhere."""
    names = names_of(design)
    priors = _common(design, scale)
    for row, terms, labels in (
        ("tau", design.terms[: design.n_group_terms], names.tau),
        ("sd", design.terms[design.n_group_terms :], names.sd),
    ):
        columns = [(term, k) for term in terms for k in range(len(term.names))]
        for (term, k), label in zip(columns, labels, strict=True):
            priors[f"{row}[{label}]"] = _between(f"{row}[{label}]", term, k, scale)
    for term in design.terms[: design.n_group_terms]:
        for k, name in enumerate(term.names):
            priors[f"theta[{name}]"] = _of_group(name, priors, term.columns[:, k], scale)
    if names.rho or names.rho_other:
        reason = "weak: correlations near -1 and 1 are a little less likely than others"
        priors["rho"] = Prior(name="rho", distribution="lkj", arguments=(2.0,), reason=reason, default=True)
    return priors


def _sd(column: FloatArray) -> float:
    return float(np.std(column)) or float(np.abs(column).max()) or 1.0


def _common(design: Design, scale: Scale) -> dict[str, Prior]:
    """The priors of the common coefficients."""
    priors: dict[str, Prior] = {}
    has_intercept = INTERCEPT in design.names or scale.thresholds
    slopes = [k for k, name in enumerate(design.names) if name != INTERCEPT]
    offsets = np.array([design.X[:, k].mean() / _sd(design.X[:, k]) for k in slopes])
    for k, name in enumerate(design.names):
        if name == INTERCEPT:
            reach = math.sqrt(scale.wide**2 + scale.slope**2 * float(np.sum(offsets**2)))
            far = reach > 1.01 * scale.wide
            reason = f"{scale.words['centre']}, {scale.words['wide']}"
            reason += "; wider, for it stands where columns are 0, not at their means" if far else ""
            priors[f"beta[{name}]"] = _normal(f"beta[{name}]", scale.centre, reach, reason)
            continue
        sd, reason = _sd(design.X[:, k]), f"centred on no effect, {scale.words['slope']}"
        reach = scale.slope
        if not has_intercept:
            reach = math.hypot(scale.slope, scale.centre)
            reason += "; wider, for without an intercept the columns make up the whole outcome"
        reason = f"{reason}, for one sd of {name} ({sd:.3g})"
        priors[f"beta[{name}]"] = _normal(f"beta[{name}]", 0.0, reach / sd, reason)
    return priors


def _between(label: str, term: Term, k: int, scale: Scale) -> Prior:
    """The prior of the sd of a coefficient between levels."""
    name, column = term.names[k], term.columns[:, k]
    if name != INTERCEPT:
        sd = _sd(column)
        reason = f"{scale.words['between']}, for one sd of {name} ({sd:.3g})"
        return Prior(
            name=label,
            distribution="half_normal",
            arguments=(two_digits(scale.between / sd),),
            reason=reason,
            default=True,
        )
    others = [term.columns[:, i] for i in range(len(term.names)) if i != k]
    offsets = np.array([c.mean() / _sd(c) for c in others])
    spread = scale.between * math.sqrt(1 + float(np.sum(carried(offsets))))
    reason = scale.words["between"] + ("; wider, where columns are 0" if spread > 1.01 * scale.between else "")
    return Prior(name=label, distribution="half_normal", arguments=(two_digits(spread),), reason=reason, default=True)


def _of_group(name: str, priors: Mapping[str, Prior], column: FloatArray, scale: Scale) -> Prior:
    """The fixed prior of a coefficient of each group without pooling."""
    common = priors.get(f"beta[{name}]")
    if scale.thresholds and name == INTERCEPT:
        reason = f"no pooling: fixed and wide, {_WIDER:g} times {scale.words['wide']}, about thresholds that are shared"
        return _normal(f"theta[{name}]", 0.0, _WIDER * scale.wide, reason)
    where, wide = common.arguments if common else (0.0, scale.slope / _sd(column))
    reason = f"no pooling: fixed and wide, {_WIDER:g} times that of " + (
        f"beta[{name}]" if common else "a common coefficient"
    )
    return _normal(f"theta[{name}]", where, _WIDER * wide, reason)


def _normal(label: str, location: float, scale: float, reason: str) -> Prior:
    return Prior(
        name=label, distribution="normal", arguments=(location, two_digits(scale)), reason=reason, default=True
    )


def _centre(value: float, scale: float) -> float:
    """To a hundredth of the scale: rounded by its own size, a centre of 1012.4 would become 1000."""
    return to_decimals(value, 2 - math.floor(math.log10(scale)))


def of_outcome(centre: float, s: float, words: str, centre_words: str) -> Scale:
    """In units of the outcome, whose scale is s."""
    return Scale(
        centre=_centre(centre, s), wide=2.5 * s, between=s, slope=2.5 * s,
        words={"scale": words, "centre": centre_words, "wide": f"2.5 times {words}",
               "slope": f"2.5 times {words} either way", "between": f"{words}: levels may differ that much"},
    )  # fmt: skip


def residual_prior(scale: Scale) -> dict[str, Prior]:
    """That of the residual scale of outcomes whose own scale is that of ``of_outcome``."""
    reason = f"{scale.words['scale']}: columns and levels may explain nothing"
    return {
        "sigma": Prior(
            name="sigma", distribution="half_normal", arguments=(scale.between,), reason=reason, default=True
        )
    }


def _of_logs(centre: float, wide: float, words: Mapping[str, str]) -> Scale:
    return Scale(centre=to_decimals(centre, 2), wide=wide, between=1.0, slope=2.5, words=words)


_IN_LOG_ODDS = {
    "wide": "1.5 in log odds either way",
    "slope": "2.5 in log odds either way: few are larger",
    "between": "1 in log odds: shares of 27 % to 73 % about a half are ordinary, much more a surprise",
}


def scale_of_successes(table: Prepared, design: Design) -> Scale:
    """Log odds: 1.5 about the pooled ones, 2.5 for an sd of a column, 1 between levels."""
    y, trials = table["outcome"], table["trials"]
    centre = float(logit((y.sum() + 0.5) / (trials.sum() + 1))) - float(np.average(design.offset, weights=trials))
    return _of_logs(centre, 1.5, {"centre": "centred on the pooled log odds", **_IN_LOG_ODDS})


def scale_of_shares(table: Prepared, design: Design) -> Scale:
    """Log odds, as of successes, about those of the mean share."""
    centre = float(logit(np.mean(table["outcome"]))) - float(design.offset.mean())
    return _of_logs(centre, 1.5, {"centre": "centred on the log odds of the mean share", **_IN_LOG_ODDS})


def scale_of_categories(_table: Prepared, _design: Design) -> Scale:
    """Log odds of a higher category, as of successes, about thresholds."""
    words = {"centre": "centred on the thresholds", **_IN_LOG_ODDS}
    return Scale(centre=0.0, wide=1.5, between=1.0, slope=2.5, words=words, thresholds=True)


def scale_of_counts(table: Prepared, design: Design) -> Scale:
    """Log rates: 2.5 about the pooled one and for an sd of a column, 1 between levels."""
    expected = table["exposure"] * np.exp(design.offset)
    centre = math.log((float(table["outcome"].sum()) + 0.5) / float(expected.sum()))
    return _of_logs(centre, 2.5, {
        "centre": "centred on the pooled log rate", "wide": "2.5 in log rate, a factor of 12, either way",
        "slope": "2.5 in log rate, a factor of 12, either way: few are larger",
        "between": "1 in log rate: rates that differ by a factor of 2.7 are ordinary, much more a surprise",
    })  # fmt: skip


def scale_of_amounts(table: Prepared, design: Design) -> Scale:
    """Log means: 2.5 about that of all rows and for an sd of a column, 1 between levels."""
    centre = float(np.log(np.mean(table["outcome"] * np.exp(-design.offset))))
    return _of_logs(centre, 2.5, {
        "centre": "centred on the log of the mean", "wide": "2.5 in logs, a factor of 12, either way",
        "slope": "2.5 in logs, a factor of 12, either way: few are larger",
        "between": "1 in logs: means that differ by a factor of 2.7 are ordinary, much more a surprise",
    })  # fmt: skip
