"""The whole proof: which programs, which kinds of truth, and the certificate that comes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hbm_stan.agreement import threshold
from hbm_stan.analysis.read import Analysis, read_analysis
from hbm_stan.calibrate.result import FAMILY_ERROR
from hbm_stan.certificate import KINDS, Certificate, ProgramProof, Truth
from hbm_stan.engines import Engine, choose
from hbm_stan.errors import ModelError, nearest
from hbm_stan.examples import example, few_rows, shuffled
from hbm_stan.families import families
from hbm_stan.fit import prepare_table
from hbm_stan.model import Family
from hbm_stan.prepare import Prepared
from hbm_stan.report.pages import document_date
from hbm_stan.results.reproduction import versions
from hbm_stan.verify.calibration import Course, calibration
from hbm_stan.verify.contract import contract
from hbm_stan.verify.engines import Pair, analysis_pairs, sample_pairs, shipped_pairs
from hbm_stan.verify.engines import truths as engine_truths
from hbm_stan.verify.known import Case, analysis_cases, run_cases, shipped_cases
from hbm_stan.verify.known import truths as known_truths
from hbm_stan.verify.programs import log_density, pointwise

SEED = 20261121
_POSTERIORS = ("closed form", "quadrature", "reference", "long run")
# What each function of a family is needed for.
_PROVES = {
    "log_joint": "the log density", "pointwise": "the pointwise likelihood", "simulate": "calibration",
    "prior_draws": "calibration", "new_group": "calibration",
}  # fmt: skip
Tick = Callable[[str], None]
TruthsByProgram = dict[tuple[str, str], list[Truth]]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to prove and how far.

    ``quick`` leaves out all that samples at length: known posteriors, engines, calibration. ``agree`` adds both engines
    on every program and data set, ``replications`` simulation-based calibration of each family's partial pooling.
    """

    families: tuple[str, ...] = ()
    analysis: Analysis | None = None
    engine: str = "auto"
    seed: int = SEED
    quick: bool = False
    agree: bool = False
    replications: int = 0


@dataclass(frozen=True)
class _Subject:
    family: Family
    table: Prepared


def verify(plan: Plan, tick: Tick | None = None) -> Certificate:
    """Prove the programs of a plan (all shipped families where it names none) and give the certificate.

    Raises ModelError for a family that does not come along, EngineError where an engine is asked for that is not there.
    """
    say = tick or (lambda _text: None)
    # Log densities need the embedded engine anyway; without a wish it samples too, for it compiles nothing.
    engine = choose("stanli" if plan.engine == "auto" else plan.engine)
    subjects = _subjects(plan)
    by_program = _programs(subjects, say)
    if plan.replications:
        # The certificate as a whole refuses right programs in one of a hundred cases, however many families it has.
        course = Course(plan.replications, plan.seed, engine, FAMILY_ERROR / len(subjects))
        for s in subjects:
            _add(by_program, calibration(s.family, plan.analysis, course, say))
    cases, pairs = _work(plan, subjects)
    if not plan.quick:
        _add(by_program, known_truths(run_cases(cases, engine, plan.seed, say)))
    if plan.agree:
        both: tuple[Engine, Engine] = (choose("stanli"), choose("cmdstan"))
        _add(by_program, {key: [t] for key, t in engine_truths(sample_pairs(pairs, both, plan.seed, say)).items()})
    compared = 0 if plan.quick else sum(c.posterior.comparisons for c in cases)
    proofs = tuple(_proof(s.family, v.name, by_program, plan) for s in subjects for v in s.family.programs.variants)
    return Certificate(
        date=_today(), engine=f"{engine.name} {engine.version}", versions=versions(), seed=plan.seed,
        comparisons=compared, threshold=threshold(compared), programs=proofs, notes=tuple(_notes(plan, subjects)),
    )  # fmt: skip


def _subjects(plan: Plan) -> list[_Subject]:
    if plan.analysis is not None:
        family = plan.analysis.family
        return [_Subject(family, prepare_table(family, shuffled(few_rows(plan.analysis.dataset, family))))]
    return [_Subject(*example(name)) for name in plan.families or tuple(families())]


def _work(plan: Plan, subjects: Sequence[_Subject]) -> tuple[list[Case], list[Pair]]:
    """The known posteriors and the data sets of both engines."""
    if plan.analysis is not None:
        return analysis_cases(plan.analysis), analysis_pairs(plan.analysis.name, plan.analysis)
    names = [s.family.name for s in subjects]
    return shipped_cases(names), shipped_pairs(names) if plan.agree else []


def _programs(subjects: Sequence[_Subject], say: Tick) -> TruthsByProgram:
    by_program: TruthsByProgram = {}
    for subject in subjects:
        for variant in subject.family.programs.variants:
            family, table, name = subject.family, subject.table, variant.name
            say(f"{family.name}, {name}: log density and pointwise likelihood")
            by_program[family.name, name] = [
                contract(family, table, name), log_density(family, table, name), pointwise(family, table, name),
            ]  # fmt: skip
    return by_program


def _add(by_program: TruthsByProgram, more: TruthsByProgram) -> None:
    for key, truths in more.items():
        by_program.setdefault(key, []).extend(truths)


def _proof(family: Family, variant: str, by_program: TruthsByProgram, plan: Plan) -> ProgramProof:
    program = family.program(variant)
    held = {t.kind: t for t in by_program[family.name, variant]}
    truths = tuple(held.get(kind) or _absent(kind, plan) for kind in KINDS)
    return ProgramProof(
        family=family.name, variant=variant, file=_file(family, program.path.name), sha256=program.sha256, truths=truths
    )


def _file(family: Family, name: str) -> str:
    """The program's file as the checkout has it; of a user's family, in its folder."""
    return f"{'' if family.source else 'stan/'}{family.programs.folder.name}/{name}"


def _absent(kind: str, plan: Plan) -> Truth:
    if kind in _POSTERIORS and not plan.quick:
        return Truth(kind=kind, status="not applicable", detail=f"no {kind} of this posterior is known here")
    return Truth(kind=kind, status="not run")


def _notes(plan: Plan, subjects: Sequence[_Subject]) -> list[str]:
    """What was not run, and what a family lacks, with what can still be checked."""
    notes = []
    if plan.quick:
        notes.append("Quick: posteriors were not compared with known ones.")
    if not plan.agree:
        notes.append("The two engines were not compared (--agree does it).")
    if not plan.replications:
        notes.append("No simulation-based calibration was run (--calibrate does it).")
    for subject in subjects:
        lacking = subject.family.missing(_PROVES)
        if lacking:
            notes.append(_lacking(subject.family, lacking))
    return notes


def _lacking(family: Family, lacking: Sequence[str]) -> str:
    lost = list(dict.fromkeys(_PROVES[name] for name in lacking))
    others = "".join(f"{proof}, " for proof in dict.fromkeys(_PROVES.values()) if proof not in lost)
    return (
        f"{family.name} has no {', '.join(f'{n}()' for n in lacking)}: {' and '.join(lost)} cannot be proven. What can "
        f"still be checked: {others}the structure of its programs, a long run of your own (hbm reference ANALYSIS "
        "--save, hbm regress), and both engines (--agree)."
    )


def _today() -> str:
    """The date of the certificate: SOURCE_DATE_EPOCH if it is set, else today (UTC)."""
    date = document_date(None)
    return "-".join(f"{n:02d}" for n in date[:3]) if date else datetime.now(UTC).date().isoformat()


def subjects_named(words: Sequence[str]) -> tuple[tuple[str, ...], Analysis | None]:
    """Families that come along, or one analysis by its folder; ModelError for a word that is neither."""
    places = [w for w in words if w not in families() and (Path(w).is_dir() or w.endswith(".toml"))]
    if places and len(words) > 1:
        raise ModelError(f"{places[0]}: one analysis at a time, and no family beside it.")
    if places:
        if Path(places[0]).is_dir() and not Path(places[0], "analysis.toml").exists():
            raise ModelError(
                f"{places[0]} has no analysis.toml. A family of your own is proven on data: name an analysis."
            )
        return (), read_analysis(places[0])
    for word in words:
        if word not in families():
            known = nearest(word, families())
            raise ModelError(f"There is no family {word!r}, and no folder with an analysis. {known}")
    return tuple(words), None
