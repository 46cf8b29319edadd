"""Columns become the data of the programs: estimates at points of curves, the integral; default priors, raw areas."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from hbm_stan.errors import DataError
from hbm_stan.integrals import KERNELS, Integral, integral_over
from hbm_stan.later import chdtrc
from hbm_stan.model import StanData, Variant
from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior, encode_scale, to_decimals, two_digits
from hbm_stan.table import FloatArray
from hbm_stan.verdicts import Verdict

# Two points leave a curve's shape to its prior: no curvature can be seen (ours).
FEWEST_POINTS = 3
# Estimates at one point disagree beyond chance: the probability of so large a chi-square, over all points (ours).
_DISAGREE = 0.001
_NAMED = 3  # curves that a sentence names
_SCALES = ("level_sd", "slope_sd", "amplitude", "length_scale")
_UNUSED = Prior(name="", distribution="half_normal", arguments=(1.0,))  # of a slope where the mean is constant


def integral_of(table: Prepared) -> Integral:
    """The integral with its limits: those of the whole table, for a row that is left out does not move them."""
    dataset = table.dataset
    return integral_over(dataset.reading.integral, dataset.table, dataset.column("point"))


def is_linear(table: Prepared) -> bool:
    """Whether the mean of a curve is a line."""
    return integral_of(table).mean == "linear"


def prepare(table: Prepared, priors: Mapping[str, Prior]) -> StanData:
    """Stan data; where the mean is constant, the priors of slopes are not read."""
    integral = integral_of(table)
    data: StanData = {
        "N": table.n_rows, "J": table.n_groups, "group_idx": table.group_idx, "x": table["point"],
        "y": table["estimate"], "se": table["standard_error"], "limits": list(integral.limits),
        "kernel": 1 + KERNELS.index(integral.kernel), "T": int(integral.mean == "linear"),
        "prior_level": list(priors["level"].arguments),
        "prior_slope": list(priors["slope"].arguments) if "slope" in priors else [0.0, 1.0],
    }  # fmt: skip
    for name in _SCALES:
        data[f"prior_{name}_family"], data[f"prior_{name}"] = encode_scale(priors.get(name, _UNUSED))
    return data


def coords(table: Prepared) -> dict[str, tuple[str, ...]]:
    """The rise over the interval is a term of the mean where that is a line."""
    return {"trend": ("rise",) if is_linear(table) else ()}


def default_priors(table: Prepared) -> dict[str, Prior]:
    """Weakly informative on the scale of the estimates; curves turn within the interval, but not between all points."""
    y, level = table["estimate"], table.pooled.level
    low, high = integral_of(table).limits
    noise = float(np.median(table["standard_error"]))
    means = np.bincount(level, weights=y) / np.bincount(level)
    overall, within = (two_digits(max(float(np.std(v)), noise)) for v in (y, y - means[level]))
    centre = to_decimals(float(np.mean(y)), 2 - math.floor(math.log10(overall)))
    all_text, own_text = (
        f"the sd of all estimates, {overall:g}",
        f"the sd of estimates about their curve's mean {within:g}",
    )
    turn = to_decimals(math.log(0.4 * (high - low)), 2)
    rows: list[tuple[str, str, tuple[float, ...], str]] = [
        ("level", "normal", (centre, two_digits(2.5 * overall)), f"centred on their mean, 2.5 times {all_text}"),
        ("level_sd", "half_normal", (overall,), f"{all_text}: levels of {{groups}} may differ as much"),
        ("amplitude", "half_normal", (two_digits(2 * within),),
         f"twice {own_text}: what is seen of a curve that turns slowly is less than its amplitude"),
        ("length_scale", "lognormal", (turn, 0.6),
         f"median 0.4 of the interval, which is {high - low:g} wide; 95 % between an eighth and 1.3 times its width"),
    ]  # fmt: skip
    if is_linear(table):
        rows[2:2] = [
            (
                "slope",
                "normal",
                (0.0, two_digits(5 * within)),
                f"rise over the interval: 5 times {own_text}, either way",
            ),
            ("slope_sd", "half_normal", (two_digits(2 * within),), f"twice {own_text}: rises may differ as much"),
        ]
    return {
        name: Prior(name=name, distribution=distribution, arguments=arguments, reason=reason, default=True)
        for name, distribution, arguments, reason in rows
    }


def trapezoid(x: FloatArray, limits: tuple[float, float]) -> FloatArray:
    """Weights (n,) of estimates at distinct points by which their line from point to point is integrated.

    Beyond the outermost points the curve is taken as constant.
    """
    order = np.argsort(x)
    knots = np.unique(np.clip(np.concatenate([x, limits]), *limits))
    steps = np.diff(knots)
    weight = (np.concatenate([[0.0], steps]) + np.concatenate([steps, [0.0]])) / 2
    # The line through a 1 at one point and 0 at all others, at the knots.
    hats = np.array([np.interp(knots, x[order], np.eye(len(x))[k]) for k in range(len(x))])
    out = np.empty(len(x))
    out[order] = hats @ weight
    return out


def combined(x: FloatArray, y: FloatArray, se: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Distinct points, the estimates there combined by their precision, and the standard errors of these."""
    points, at = np.unique(x, return_inverse=True)
    precision = np.bincount(at, weights=se**-2.0)
    return points, np.bincount(at, weights=y / se**2) / precision, precision**-0.5


def raw(data: StanData) -> tuple[FloatArray, FloatArray]:
    """The area of each curve by the trapezoid rule, (J,), and its standard error by those of the estimates alone."""
    x, y, se = (np.asarray(data[k], dtype=float) for k in ("x", "y", "se"))
    area, error = np.empty(data["J"]), np.empty(data["J"])
    for j in range(data["J"]):
        own = np.asarray(data["group_idx"]) == j + 1
        points, mean, spread = combined(x[own], y[own], se[own])
        weight = trapezoid(points, (float(data["limits"][0]), float(data["limits"][1])))
        area[j], error[j] = weight @ mean, math.sqrt(float(weight**2 @ spread**2))
    return area, error


def _points_of(table: Prepared) -> list[FloatArray]:
    """The distinct points of each curve, sorted."""
    return [np.unique(table["point"][table.pooled.level == j]) for j in range(table.n_groups)]


def unlearnable(table: Prepared, variant: Variant) -> str:
    """Without pooling a curve needs three points (FEWEST_POINTS); one curve alone can be fitted in no other way."""
    if table.n_groups == 1:
        return "" if variant.pooling == "no" else f"there is one {table.noun.one}, and nothing to be pooled"
    few = [str(g) for g, x in zip(table.pooled.labels, _points_of(table), strict=True) if len(x) < FEWEST_POINTS]
    if variant.pooling != "no" or not few:
        return ""
    return (
        f"{_listed(few, table)} {'has' if len(few) == 1 else 'have'} fewer than {FEWEST_POINTS} points, which say "
        "nothing of a length scale of its own; partial pooling takes it from the other curves"
    )


def _listed(labels: list[str], table: Prepared) -> str:
    more = f" and {len(labels) - _NAMED} more" if len(labels) > _NAMED else ""
    one, many = table.noun.one, table.noun.many
    return f"{one if len(labels) == 1 else many} {', '.join(labels[:_NAMED])}{more}"


def check_curves(table: Prepared) -> list[Verdict]:
    """Warnings on points: too few of a curve, outside the interval, an end without points, values that disagree.

    Raises DataError where no curve has three points, or none lies in the interval.
    """
    integral, where, points = integral_of(table), table.dataset.table.where, _points_of(table)
    low, high = integral.limits
    most = max(points, key=len)
    if len(most) < FEWEST_POINTS:
        label = table.pooled.labels[[len(x) for x in points].index(len(most))]
        raise DataError(
            f"{where}: no {table.noun.one} has {FEWEST_POINTS} points or more ({label!r} has {len(most)}, which is the "
            "most): nothing says how curves turn between points. Estimate the function at more points of one."
        )
    inside = (table["point"] >= low) & (table["point"] <= high)
    if not inside.any():
        raise DataError(
            f"{where}, column {table.dataset.column('point')!r}: no point lies between {low:g} and {high:g}, which is "
            f"to be integrated over; they lie between {table['point'].min():g} and {table['point'].max():g}. Correct "
            "the limits (integral) or their unit."
        )
    return [*_few(table, points), *_outside(table, ~inside, integral), *_ends(table, points, integral), *_twice(table)]


def _few(table: Prepared, points: list[FloatArray]) -> list[Verdict]:
    few = [str(g) for g, x in zip(table.pooled.labels, points, strict=True) if len(x) < FEWEST_POINTS]
    hint = (
        f"{_listed(few, table)}: fewer than {FEWEST_POINTS} points. How such a curve turns is taken from the others; "
        "without pooling it cannot be learnt."
    )
    return [_warning("few points", float(len(few)), hint, few[0])] if few else []


def _outside(table: Prepared, outside: npt.NDArray[np.bool_], integral: Integral) -> list[Verdict]:
    n, (low, high) = int(outside.sum()), integral.limits
    hint = (
        f"{n} of {table.n_rows} rows {'lies' if n == 1 else 'lie'} outside the interval from {low:g} to {high:g}: they "
        "say how a curve runs at its end, and are not integrated over. If they should be, move the limits (integral)."
    )
    return [_warning("points outside the interval", float(n), hint)] if n else []


def _ends(table: Prepared, points: list[FloatArray], integral: Integral) -> list[Verdict]:
    """Curves with an end of the interval further from their points than any two neighbouring points are."""
    low, high = integral.limits
    beyond = [
        str(label) for label, x in zip(table.pooled.labels, points, strict=True)
        if len(x) > 1 and max(x[0] - low, high - x[-1]) > max(b - a for a, b in pairwise(x))
    ]  # fmt: skip
    hint = (
        f"{_listed(beyond, table)}: an end of the interval from {low:g} to {high:g} lies further from the points than "
        "these from each other. There the curve is extrapolated, and the interval of its integral rests on the kernel."
    )
    return [_warning("ends without points", float(len(beyond)), hint, beyond[0])] if beyond else []


def _twice(table: Prepared) -> list[Verdict]:
    """Several estimates at one point are independent ones, and combined; a warning where they disagree or are equal."""
    x, y, se = table["point"], table["estimate"], table["standard_error"]
    repeated, p, same = 0, 1.0, ""
    for j, label in enumerate(table.pooled.labels):
        own = table.pooled.level == j
        for point in np.unique(x[own]):
            here = own & (x == point)
            if (n := int(here.sum())) < 2:
                continue
            repeated += 1
            _, mean, _ = combined(x[here], y[here], se[here])
            p = min(p, float(chdtrc(n - 1, np.sum(((y[here] - mean[0]) / se[here]) ** 2))))
            if not same and len(set(zip(y[here], se[here], strict=True))) < n:
                same = f"{label} at {point:g}"
    verdicts = []
    if repeated and p * repeated < _DISAGREE:
        verdicts.append(_warning("values at one point", p, (
            f"At {repeated} point{'s' * (repeated > 1)} a {table.noun.one} has several values, and somewhere they lie "
            f"further apart than their errors explain (p = {p:.1g}): errors are too small, or something else differed."
        )))  # fmt: skip
    if same:
        verdicts.append(_warning("equal rows", float(repeated), (
            f"{same} stands in several rows with one value and one error. Each counts as a measurement of its own: if "
            "it is one that was written twice, take the others out."
        ), same))  # fmt: skip
    return verdicts


def _warning(name: str, value: float, hint: str, subject: str = "") -> Verdict:
    return Verdict(name=name, status="warn", value=value, threshold=None, hint=hint, subject=subject)
