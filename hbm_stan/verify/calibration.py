"""Simulation-based calibration as one kind of truth among the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hbm_stan.analysis.read import Analysis
from hbm_stan.calibrate import calibrate
from hbm_stan.certificate import Truth
from hbm_stan.engines import Engine
from hbm_stan.errors import HbmError
from hbm_stan.fit import prepare_table
from hbm_stan.later import ndtri
from hbm_stan.model import Family

_LEAST_P = 1e-300  # smaller ones are zero in double precision


@dataclass(frozen=True)
class Course:
    """How a family is calibrated: replications, seed, engine, and its share of the certificate's error."""

    replications: int
    seed: int
    engine: Engine
    family_error: float


def calibration(
    family: Family, analysis: Analysis | None, course: Course, say: Callable[[str], None]
) -> dict[tuple[str, str], list[Truth]]:
    """The calibration of a family's partial pooling, on its own small design or that of an analysis."""
    partial = [name for name in family.default_variants if family.variant(name).pooling == "partial"]
    truths = {}
    for variant in partial[:1]:
        say(f"{family.name}, {variant}: {course.replications} replications")
        truths[family.name, variant] = [_truth(family, variant, analysis, course)]
    return truths


def _truth(family: Family, variant: str, analysis: Analysis | None, course: Course) -> Truth:
    lacking = family.missing(("prior_draws", "new_group", "simulate", "pointwise"))
    if lacking:
        functions = ", ".join(f"{n}()" for n in lacking)
        return Truth(kind="calibration", status="not applicable", detail=f"the family has no {functions}")
    table = None if analysis is None else prepare_table(family, analysis.dataset)
    priors = None if analysis is None else analysis.priors
    try:
        calibrated = calibrate(
            family, variant, table=table, priors=priors, replications=course.replications, seed=course.seed,
            engine=course.engine, family_error=course.family_error,
        )  # fmt: skip
    except HbmError as error:
        return Truth(kind="calibration", status="fail", detail=str(error))
    extent = (
        f"{calibrated.completed} replications, {len(calibrated.of_quantity)} quantities, the farthest "
        f"{calibrated.worst.subject}"
    )
    failed = calibrated.status == "fail"
    detail = f"{calibrated.sentence} {extent}" if failed else extent
    return Truth(
        kind="calibration",
        status="fail" if failed else "pass",
        value=_as_z(calibrated.worst.value),
        threshold=_as_z(calibrated.error),
        detail=detail,
    )


def _as_z(p: float | None) -> float | None:
    """A p-value as the normal deviate that it stands for, two-sided: like the other figures, larger is worse."""
    return None if p is None else -float(ndtri(max(p, _LEAST_P) / 2))
