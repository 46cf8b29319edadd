"""Refits under other priors, from programs that are compiled once: what each does to the conclusion."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hbm_stan.attempts import fit_variants, keep
from hbm_stan.budget import Budget
from hbm_stan.compare import compare
from hbm_stan.comparison import Comparison
from hbm_stan.densities import has_log_lik
from hbm_stan.diagnose import check
from hbm_stan.diagnosis import Diagnosis
from hbm_stan.directly import Outcome, directly_in_words, directly_or_sampled
from hbm_stan.engines import PARETO_K, Engine, Progress, choose
from hbm_stan.errors import EngineError
from hbm_stan.executor import in_turn, side_by_side
from hbm_stan.fit import Fit, Job, jobs_of
from hbm_stan.sensitivity.asked import Asked
from hbm_stan.sensitivity.conclusion import Conclusion, Decision, changes, conclude, largest_move
from hbm_stan.sensitivity.rivals import Rival, matched_scale, rivals
from hbm_stan.store import FitStore

# Of every comparison under another prior, and of the one that it is held against: repairs would cost refits each.
_NO_REPAIRS = Budget(max_refits=0)
# The 90 % interval of a scale is called widened from here on.
_WIDENED = 1.5


@dataclass(frozen=True, kw_only=True)
class Row:
    """One rival: its conclusion and what it changes; ``failed`` says why nothing is concluded, where checks failed.

    ``direct`` has the Pareto k of the variants whose fits are direct draws, ``sampled`` why others are none.
    """

    rival: Rival
    conclusion: Conclusion | None
    changes: tuple[str, ...]
    largest: str
    moved: float | None
    failed: str = ""
    direct: Mapping[str, float] = field(default_factory=dict)
    sampled: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The row for JSON."""
        return {
            "label": self.rival.label, "shown": self.rival.shown,
            "priors": dict(self.rival.priors), "refitted": list(self.rival.variants),
            "warning_example": self.rival.warning, "failed": self.failed, "changes": list(self.changes),
            "largest_move": self.largest, "moved": self.moved, "direct": dict(self.direct),
            "sampled": dict(self.sampled),
            "conclusion": None if self.conclusion is None else self.conclusion.as_dict(),
        }  # fmt: skip


@dataclass(frozen=True)
class Alternatives:
    """The conclusion as it stands, one row for each rival, and sentences."""

    base: Conclusion
    rows: tuple[Row, ...]
    sentences: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The table for JSON."""
        return {
            "base": self.base.as_dict(), "rows": [r.as_dict() for r in self.rows], "sentences": list(self.sentences),
        }  # fmt: skip


@dataclass(frozen=True)
class Refits:
    """Fits under other priors by variant, the verdicts on them, and why those are no direct draws that are not."""

    fits: Mapping[str, Fit]
    diagnoses: Mapping[str, Diagnosis]
    reasons: Mapping[str, str]

    @property
    def direct(self) -> dict[str, float]:
        """The Pareto k of the fits that are direct draws, by variant."""
        return {name: float(fit.about[PARETO_K]) for name, fit in self.fits.items() if fit.direct}


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What refits of an analysis share: the engine, the fits as they stand, and who is told."""

    asked: Asked
    engine: Engine | str
    fits: Mapping[str, Fit]
    diagnoses: Mapping[str, Diagnosis]
    say: Callable[[str], None]
    progress: Callable[[str], Progress | None] | None = None

    @property
    def main(self) -> Fit:
        """The fit that is talked about."""
        return self.fits[self.asked.main_variant]

    def compared(self, fits: Mapping[str, Fit], diagnoses: Mapping[str, Diagnosis]) -> Comparison | None:
        """The comparison of the compared variants; None where there are fewer than two that can be."""
        names = [n for n in self.asked.compared if n in fits and has_log_lik(fits[n])]
        if len(names) < 2:
            return None
        return compare({n: fits[n] for n in names}, diagnoses, budget=_NO_REPAIRS)

    def refits(self, chosen: Sequence[Rival]) -> Iterator[Callable[[], Refits]]:
        """The fits of the variants of each rival, made side by side; each is called for, or for what was raised.

        They are direct draws where these can be had, else by the engine and kept in a folder of their own.
        """
        jobs: dict[str, list[Job]] = {}
        main = self.main

        def units() -> Iterator[tuple[Job, tuple[str, ...], float | None]]:
            for i, rival in enumerate(chosen, 1):
                self.say(f"{i} of {len(chosen)}: {rival.shown}")
                jobs[rival.place] = self._jobs(rival)
                for job in jobs[rival.place]:
                    # Alone, it is sampled by fit_variants, with its progress shown.
                    there = self._store(rival).has(job.variant, job.key)
                    alone = there or not side_by_side(main.sampling.chains)
                    yield job, tuple(self.asked.waived), None if alone else self.asked.minutes

        outcomes = in_turn(directly_or_sampled, units(), main.family, self.chosen_engine, main.sampling.chains)
        for rival in chosen:
            futures = [next(outcomes) for _ in rival.variants]
            yield partial(self._refits, rival, jobs.pop(rival.place), futures)

    @property
    def chosen_engine(self) -> Engine:
        """The engine itself."""
        return choose(self.engine) if isinstance(self.engine, str) else self.engine

    def _store(self, rival: Rival) -> FitStore:
        return FitStore(self.asked.store.folder / "sensitivity" / rival.place)

    def _jobs(self, rival: Rival) -> list[Job]:
        asked, priors = self.asked, {**self.asked.priors, **rival.priors}
        return jobs_of(asked.family, asked.dataset, rival.variants, priors, asked.sampling, self.chosen_engine)

    def _refits(self, rival: Rival, jobs: Sequence[Job], outcomes: Sequence[Future[Outcome]]) -> Refits:
        asked, store = self.asked, self._store(rival)
        fits, verdicts, reasons = {}, {}, {}
        for job, future in zip(jobs, outcomes, strict=True):
            one = future.result()
            if one.fit is not None and one.diagnosis is not None:
                fits[job.variant], verdicts[job.variant] = one.fit, one.diagnosis
                continue
            reasons[job.variant] = one.reason
            if one.sampled is not None:
                keep(job, one.sampled, store)
        if reasons:
            fits |= fit_variants(
                asked.family, asked.dataset, tuple(reasons), priors={**asked.priors, **rival.priors},
                sampling=asked.sampling, engine=self.chosen_engine, store=store, say=self.say, progress=self.progress,
                minutes=asked.minutes, waive=asked.waived,
            )  # fmt: skip
            verdicts |= {name: check(fits[name], asked.waived) for name in reasons}
        return Refits(fits, verdicts, reasons)


def alternatives(bench: Bench) -> Alternatives:
    """Refit the main and the compared variants under each rival, and see what becomes of the conclusion."""
    asked = bench.asked
    names = tuple(dict.fromkeys((asked.main_variant, *(n for n in asked.compared if n in bench.fits))))
    rival_priors, unvaried = rivals(bench.main, names)
    count = sum(len(r.variants) for r in rival_priors)
    bench.say(f"{len(rival_priors)} other priors, {count} refits")
    base = conclude(bench.main, bench.compared(bench.fits, bench.diagnoses), asked.prediction)
    refits = bench.refits(rival_priors)
    rows = [_row(bench, rival, base, of_rival) for rival, of_rival in zip(rival_priors, refits, strict=True)]
    return Alternatives(base, tuple(rows), tuple(_sentences(bench.main, base, rows, unvaried)))


def _row(bench: Bench, rival: Rival, base: Conclusion, refits_of: Callable[[], Refits]) -> Row:
    try:
        refits = refits_of()
    except EngineError as error:
        return Row(
            rival=rival, conclusion=None, changes=(), largest="", moved=None, failed=f"the engine failed ({error})"
        )
    fits, diagnoses = {**bench.fits, **refits.fits}, {**bench.diagnoses, **refits.diagnoses}
    if any(diagnoses[n].status == "fail" for n in rival.variants):
        failed = "; ".join(failed_checks(diagnoses[n]) for n in rival.variants if diagnoses[n].status == "fail")
        return Row(
            rival=rival,
            conclusion=None,
            changes=(),
            largest="",
            moved=None,
            failed=failed,
            direct=refits.direct,
            sampled=refits.reasons,
        )
    now = conclude(fits[bench.main.variant], bench.compared(fits, diagnoses), bench.asked.prediction)
    largest, moved = largest_move(base, now)
    return Row(
        rival=rival,
        conclusion=now,
        changes=tuple(changes(base, now)),
        largest=largest,
        moved=moved,
        failed="",
        direct=refits.direct,
        sampled=refits.reasons,
    )


def failed_checks(diagnosis: Diagnosis) -> str:
    """Which checks a fit did not pass, in words."""
    names = dict.fromkeys(v.name for v in diagnosis.failed)
    return f"{diagnosis.variant} did not pass its checks ({', '.join(names)})"


def _sentences(main: Fit, base: Conclusion, rows: list[Row], unvaried: list[str]) -> list[str]:
    """What the refits say together, which changed the conclusion, which say nothing, and what a wide prior does."""
    held = [r for r in rows if not r.failed]
    changed = [r for r in held if r.changes]
    sentences = []
    if held and not changed:
        many = f"any of {len(held)} other priors" if len(held) > 1 else "the one other prior tried"
        sentences.append(f"No conclusion changes under {many}.")
    if changed:
        sentences.append(f"A conclusion changes under {len(changed)} of {len(held)} other priors.")
    withheld = base.decision is Decision.WITHHELD
    blind = [r for r in held if r.conclusion is not None and r.conclusion.decision is Decision.WITHHELD]
    if blind and not withheld:
        sentences.append(
            f"Under {len(blind)} of them the comparison is not judged: a Pareto k is too high, and nothing is repaired "
            "under other priors."
        )
    sentences += [f"{r.rival.shown} changes {'; '.join(r.changes)}." for r in changed]
    most = max(held, key=lambda r: abs(r.moved or 0), default=None)
    if most is not None and most.moved:
        sentences.append(
            f"The mean of {most.largest} moves most under {most.rival.shown}: by {abs(most.moved):.2f} posterior sds."
        )
    sentences += [f"{r.rival.shown}: {r.failed}, so that nothing is concluded from it." for r in rows if r.failed]
    sentences += [words for r in held if r.rival.warning and (words := _widened(main, base, r))]
    sentences += _scales(main, rows)
    ks, reasons = ([v for r in rows for v in getattr(r, name).values()] for name in ("direct", "sampled"))
    sentences += directly_in_words("Fits under other priors", ks, reasons)
    if withheld:
        sentences.append(
            "The comparison is withheld here, for a Pareto k is too high and nothing is repaired under other priors; "
            "`hbm compare` repairs it as the priors stand."
        )
    if unvaried:
        given = {n: main.priors[n].text for n in unvaried}
        sentences.append(f"Not varied, having no scale: {', '.join(f'{n} = {text}' for n, text in given.items())}.")
    return sentences


def _scales(main: Fit, rows: list[Row]) -> list[str]:
    """What the scales of the named priors are taken from."""
    named = [n for r in rows if r.rival.warning for n in r.rival.priors]
    if not named:
        return []
    each = (f"{n} {matched_scale(main.priors[n]):g} ({main.priors[n].text})" for n in named)
    return [f"Scales of the named priors, matched to the median of the prior as it stands: {', '.join(each)}."]


def _widened(main: Fit, base: Conclusion, row: Row) -> str:
    """What a wide uniform prior of a scale does: with few groups the data do not bound the scale from above."""
    name = next(iter(row.rival.priors))
    before, now = base.intervals.get(name), row.conclusion.intervals.get(name) if row.conclusion else None
    if before is None or now is None:
        return ""
    ratio = (now.q95 - now.q05) / (before.q95 - before.q05)
    if ratio < _WIDENED:
        return ""
    return (
        f"{row.rival.shown} is the warning example: the 90 % interval of {name} becomes {ratio:.1f} times as wide "
        f"({before.q05:.3g} to {before.q95:.3g}; then {now.q05:.3g} to {now.q95:.3g}). "
        f"{main.table.n_groups} {main.table.noun.many} do not bound it from above, and such a prior does not either."
    )
