"""A made-up certificate of every shipped program with its real hash, with figures of the size of real ones."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hbm_stan.certificate import KINDS, Certificate, ProgramProof, Truth
from hbm_stan.families import families

# kind -> threshold, how many different truths there are, which variants it applies to (a part of their names)
_KNOWN: Mapping[str, tuple[float, int, str]] = {
    "closed form": (5.21, 3, "complete"), "quadrature": (5.21, 2, "partial"), "reference": (5.21, 2, "partial_pooling"),
    "long run": (5.21, 2, ""), "engines": (5.47, 0, ""),
}  # fmt: skip
_VERSIONS = {
    "python": "3.13.9", "hbm-stan": "0.1.0", "arviz": "1.3.0", "arviz-stats": "1.3.0", "cmdstanpy": "1.3.0",
    "numpy": "2.5.5", "pandas": "2.3.3", "plotnine": "0.15.1", "scipy": "1.17.0", "stanli": "0.24.0",
    "typst": "0.14.4", "xarray": "2025.11.0",
}  # fmt: skip


def _share(*words: str) -> float:
    """A number between 0 and 1 that is always the same for these words."""
    return int(hashlib.sha256(" ".join(words).encode()).hexdigest()[:8], 16) / 16**8


def _truth(kind: str, family: str, variant: str) -> Truth:
    share = _share(kind, family, variant)
    always = {
        "structure": Truth(kind=kind, status="pass"),
        "log density": Truth(
            kind=kind,
            status="pass",
            value=4e-14 * share,
            threshold=1e-9,
            detail="6 sets of priors and switches, 10 points each",
        ),
        "pointwise": Truth(
            kind=kind, status="pass", value=9e-15 * share, threshold=1e-9, detail="4,000 values, and their sums"
        ),
    }
    if kind in always:
        return always[kind]
    if kind == "calibration":
        detail = "500 replications, 6 quantities, the worst ECDF mu"
        default = variant == "partial_pooling"
        return (
            Truth(kind=kind, status="pass", value=0.02 + 0.04 * share, threshold=0.0741, detail=detail)
            if default
            else Truth(kind=kind, status="not run")
        )
    threshold, truths, part = _KNOWN[kind]
    if not variant.startswith(part):
        return Truth(kind=kind, status="not applicable", detail=f"no {kind} of this posterior is known here")
    against = tuple(f"{family}, {kind} {i + 1}" for i in range(truths))
    return Truth(kind=kind, status="pass", value=2.5 + 2 * share, threshold=threshold, detail="", against=against)


def example_certificate(names: Sequence[str] = (), **changes: Any) -> Certificate:
    """Every program of these families (all, where none is named) passes; calibration of some was not run."""
    chosen = {n: f for n, f in families().items() if not names or n in names}
    programs = tuple(
        ProgramProof(family=name, variant=v.name, file=f"stan/{name}/{family.program(v.name).path.name}",
                     sha256=family.program(v.name).sha256, truths=tuple(_truth(kind, name, v.name) for kind in KINDS))
        for name, family in chosen.items() for v in family.programs.variants
    )  # fmt: skip
    certificate = Certificate(
        date="2026-11-20",
        engine="stanli 0.24.0",
        versions=_VERSIONS,
        seed=20261121,
        comparisons=5312,
        threshold=5.21,
        programs=programs,
    )
    return replace(certificate, **changes)


def with_truth(certificate: Certificate, family: str, variant: str, truth: Truth) -> Certificate:
    """The certificate with another truth of that kind for one program."""
    programs = tuple(
        replace(p, truths=tuple(truth if t.kind == truth.kind else t for t in p.truths))
        if (p.family, p.variant) == (family, variant) else p
        for p in certificate.programs
    )  # fmt: skip
    return replace(certificate, programs=programs)
