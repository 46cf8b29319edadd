"""Page one of a certificate: what was proven, what failed or was not run, families by kinds of truth."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from hbm_stan.agreement import FAMILY_ERROR
from hbm_stan.certificate import FILE, KINDS, REQUIRED, Certificate, ProgramProof, Truth
from hbm_stan.report.blocks import Block, Span, Spans, bullets, column, dense, status, table
from hbm_stan.results.digits import DASH, counted, format_count, significant

_SHOWN_FAILURES = 12
_NAMED_FAMILIES = 3  # in a sentence; Table 1 has a line of each
_LONGEST_DETAIL = 300
NOT_APPLICABLE = "n/a"
# Where these do not apply, something is lacking; the others apply wherever such a truth is known.
_REASONED = (*REQUIRED, "engines", "calibration")
MEANING = {
    "structure": "The program is what it is called: complete pooling has no group effects, no pooling shares nothing, "
    "partial pooling has a population scale; names and functions of the family agree with it.",
    "log density": "At random points it is the log density of the same model in NumPy plus one constant, with and "
    "without the likelihood. Figure: relative spread of that constant.",
    "pointwise": "The log likelihood of each row, and its sum, are NumPy's. Figure: largest relative difference.",
    "closed form": "The posterior is known by a formula. Figure, here and below: largest |z| of all numbers compared.",
    "quadrature": "The posterior was integrated numerically, without sampling.",
    "reference": "The posterior was computed by others, with programs of their own.",
    "long run": "The posterior is that of a much longer run of the same program: it shows that nothing has moved, not "
    "that the model is right.",
    "engines": "Both engines draw from the same posterior.",
    "calibration": "Over many simulated data sets, the ranks of the true values among the draws are uniform.",
}


def front(certificate: Certificate) -> dict[str, Any]:
    """The parts of page one."""
    return {
        "headings": {
            "answer": "What was proven",
            "checks": "Families and kinds of truth",
            "notices": "What failed, and what was not run",
        },
        "meta": _meta(certificate),
        "question": [],
        "answer": [[sentence] for sentence in _proven(certificate)],
        "checks": [_overview(certificate), _meanings(certificate)],
        "notices": _notices(certificate),
    }


def _meta(certificate: Certificate) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in certificate.versions.items())
    compared = counted(certificate.comparisons, "number") + " compared with known posteriors"
    limit = f", threshold |z| = {figure_text(certificate.threshold)}" if certificate.comparisons else ""
    return [
        f"Date of the proof: {certificate.date}. Engine: {certificate.engine}. Seed: {certificate.seed}. "
        f"{compared}{limit}.",
        f"Versions: {versions or 'not noted'}.",
    ]


def _proven(certificate: Certificate) -> list[str]:
    """How many programs are certified and what that is; what the comparisons and their threshold are."""
    good, total = sum(p.certified for p in certificate.programs), len(certificate.programs)
    certified = (
        f"{good} of {counted(total, 'program')} {'is' if good == 1 else 'are'} certified: the log density and the "
        "likelihood of each row are those of the same model written a second time in NumPy, and nothing else that was "
        "checked failed."
    )
    if not certificate.comparisons:
        return [certified, "No posterior was compared with a known one in this run."]
    return [
        certified,
        "Where the posterior is known by a formula, by quadrature, from others or from a long run, the mean, the sd "
        f"and three quantiles ({_together('5 %')}, {_together('50 %')}, {_together('95 %')}) of its parameters were "
        "compared with those of the draws, in units of Monte Carlo error: "
        f"{counted(certificate.comparisons, 'number')}. Were all programs right, one of these or more would exceed "
        f"|z| = {figure_text(certificate.threshold)} by chance in at most one of "
        f"{format_count(round(1 / FAMILY_ERROR))} such certificates.",
    ]


def by_family(certificate: Certificate) -> dict[str, list[ProgramProof]]:
    """The programs of each family, in the order of the certificate."""
    proofs: dict[str, list[ProgramProof]] = {}
    for proof in certificate.programs:
        proofs.setdefault(proof.family, []).append(proof)
    return proofs


def _overview(certificate: Certificate) -> Block:
    groups = by_family(certificate)
    rows = [_overview_row(name, proofs) for name, proofs in groups.items()]
    if len(groups) > 1:
        rows.append(_overview_row("all families", certificate.programs))
    heads = [column("Family"), column("Certified"), *map(kind_column, KINDS)]
    caption = (
        "How many programs passed, of those that this truth applies to, and the worst figure among them. "
        f"{NOT_APPLICABLE}: it applies to none of them."
    )
    return dense(table([caption], heads, rows))


def kind_column(kind: str) -> dict[str, Any]:
    """The column of a kind of truth; structure has no figures and is as narrow as its head."""
    return column(kind, width="auto" if kind == "structure" else "1fr")


def _overview_row(name: str, proofs: Sequence[ProgramProof]) -> list[Any]:
    good = sum(p.certified for p in proofs)
    certified = status("pass" if good == len(proofs) else "fail", text=f"{good}/{len(proofs)}")
    return [name, [certified], *(_overview_cell([p.truth(kind) for p in proofs]) for kind in KINDS)]


def _overview_cell(truths: Sequence[Truth]) -> Spans:
    count = Counter(t.status for t in truths)
    applies = len(truths) - count["not applicable"]
    if not applies:
        return [NOT_APPLICABLE]
    if count["not run"] == applies:
        return [not_run()]
    worst = _worst(truths)
    spans: Spans = [f"{count['pass']}/{applies}"]
    spans += [f", {figure_text(worst.value)}"] if worst is not None else []
    spans += [" ", status("fail", text=_together(f"{count['fail']} FAIL"))] if count["fail"] else []
    return spans  # those that were not run are named below the table


def _together(text: str) -> str:
    """The text kept on one line."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def not_run() -> Span:
    """The words of a truth that was not looked at."""
    return status("warn", text=_together("not run"))


def _worst(truths: Sequence[Truth]) -> Truth | None:
    """The truth with the largest figure; one that is no number before all others."""
    known = [t for t in truths if t.value is not None]
    return max(known, key=lambda t: math.inf if math.isnan(t.value or 0.0) else t.value or 0.0, default=None)


def figure_text(value: float | None) -> str:
    """A rounding error by its power of ten, any other number with three digits."""
    if value is None:
        return ""
    return significant(value, 1 if abs(value) < 1e-4 else 3)


def limits_of(certificate: Certificate) -> dict[str, list[str]]:
    """The different thresholds of each kind, as they are printed."""
    by_kind: dict[str, list[str]] = {}
    for kind in KINDS:
        limits = {p.truth(kind).threshold for p in certificate.programs}
        by_kind[kind] = list(dict.fromkeys(figure_text(v) for v in sorted(v for v in limits if v is not None)))
    return by_kind


def _meanings(certificate: Certificate) -> Block:
    limits, rows = limits_of(certificate), []
    for kind in KINDS:
        against = {source for p in certificate.programs for source in p.truth(kind).against}
        # They grow with how many numbers were compared at once.
        ends = list(dict.fromkeys((limits[kind][0], limits[kind][-1]))) if limits[kind] else [DASH]
        rows.append([kind, MEANING[kind], " to ".join(ends), str(len(against) or DASH)])
    heads = [
        column("Kind"), column("What it means", width="1fr"), column("Allowed", "right"), column("Truths", "right"),
    ]  # fmt: skip
    caption = (
        "What each kind of truth means, what its figure may be at most, and against how many different truths "
        "programs were held. z is a difference in units of its Monte Carlo error."
    )
    return dense(table([caption], heads, rows))


def _notices(certificate: Certificate) -> list[Block]:
    failures = [(p, t) for p in certificate.programs for t in p.truths if t.status == "fail"]
    sentences: list[Spans] = [_failure(p, t) for p, t in failures[:_SHOWN_FAILURES]]
    if len(failures) > _SHOWN_FAILURES:
        more = counted(len(failures) - _SHOWN_FAILURES, "more failure")
        sentences.append([status("fail", text=more), ": see the table of programs."])
    if not failures:
        sentences.append(["Nothing failed."])
    sentences += _skipped(certificate)
    for kind in _REASONED:
        sentences += _inapplicable(certificate, kind)
    return bullets([*sentences, *([note] for note in certificate.notes)])


def _failure(proof: ProgramProof, truth: Truth) -> Spans:
    figure = figure_text(truth.value)
    figure += f", allowed {figure_text(truth.threshold) or DASH}" if figure else ""
    words = ". ".join(filter(None, [figure, _cut(truth.detail)])) or "no details"
    return [status("fail", text="FAIL"), f"  {proof.family}, {proof.variant}, {truth.kind}: {words}"]


def _cut(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _LONGEST_DETAIL else f"{flat[:_LONGEST_DETAIL]}… (the rest is in {FILE})"


def _skipped(certificate: Certificate) -> list[Spans]:
    """What was not run, kinds that the same programs lack together."""
    kinds_not_run: dict[str, list[str]] = {}
    for kind in KINDS:
        programs = [p for p in certificate.programs if p.truth(kind).status == "not run"]
        if programs:
            kinds_not_run.setdefault(_named(programs, len(certificate.programs)), []).append(kind)
    return [[not_run(), f"  {', '.join(kinds)}: {named}."] for named, kinds in kinds_not_run.items()]


def _inapplicable(certificate: Certificate, kind: str) -> list[Spans]:
    """Why a kind that could apply everywhere does not: the first reason, and how many others there are."""
    reasons: dict[str, list[ProgramProof]] = {}
    for proof in certificate.programs:
        truth = proof.truth(kind)
        if truth.status == "not applicable":
            reasons.setdefault(_cut(truth.detail) or "no reason is noted", []).append(proof)
    if not reasons:
        return []
    (first, proofs), *others = reasons.items()
    more = f"; {counted(len(others), 'more reason')} in {FILE}" if others else ""
    return [[f"{NOT_APPLICABLE}  {kind}: {_named(proofs, len(certificate.programs))} ({first}){more}."]]


def _named(proofs: Sequence[ProgramProof], total: int) -> str:
    """Which programs, in few words; how many of each family Table 1 has."""
    if len(proofs) == total:
        return "all programs" if total > 1 else "the program"
    if len(proofs) <= 2:
        return ", ".join(f"{p.family} {p.variant}" for p in proofs)
    count = Counter(p.family for p in proofs)
    named = ", ".join(f"{name} {k}" for name, k in list(count.items())[:_NAMED_FAMILIES])
    others = len(count) - _NAMED_FAMILIES
    more = f" and those of {others} more families" if others > 1 else " and those of one more family" if others else ""
    return f"{len(proofs)} of {total} programs ({named}{more if others > 0 else ''})"
