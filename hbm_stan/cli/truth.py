"""The commands about truth: a long run becomes a reference, a fit against it, and proofs of the programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hbm_stan.cli.analysis import AnalysisArgument, fits_of, mistyped, read_settled
from hbm_stan.cli.run import (
    EngineOption,
    HereOption,
    JsonOption,
    ParameterisationOption,
    QuietOption,
    Run,
    SeedOption,
    guarded,
)  # fmt: skip

if TYPE_CHECKING:
    from hbm_stan.analysis.read import Analysis
    from hbm_stan.reference import Reference
    from hbm_stan.reference.imported import Imported

VariantOption = Annotated[list[str] | None, typer.Option("--variant", help="This variant only; may be repeated.")]
FileOption = Annotated[
    Path | None, typer.Option("--file", help="The reference file; by default ANALYSIS/reference.json.")
]


def reference(
    analysis: AnalysisArgument, engine: EngineOption = "auto", json: JsonOption = None, quiet: QuietOption = False,
    seed: SeedOption = None, parameterisation: ParameterisationOption = None, variant: VariantOption = None,
    file: FileOption = None,
    save: Annotated[bool, typer.Option("--save", help="Make a long run, and keep it as the reference.")] = False,
    imported: Annotated[
        list[Path] | None,
        typer.Option("--import", help="Draws or a summary that others made: JSON, CSV, NetCDF; repeat it for chains."),
    ] = None,
    renamed: Annotated[
        list[str] | None, typer.Option("--map", help="With --import: THEIRS=OURS, a parameter's name; may be repeated.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="With --import: in place of the reference that is there.")
    ] = False,
) -> None:  # fmt: skip
    """Show the saved reference of an analysis; with --save, make one: 10 chains, 10,000 draws without dependence.

    With --import, one is made of what others computed. Exit code 1 where draws do not meet the criteria of a reference;
    the file that was there is then kept.
    """
    run = Run(engine, json, quiet, seed)
    with guarded(run, analysis):
        from hbm_stan.cli.show_truth import show_reference
        from hbm_stan.errors import ModelError
        from hbm_stan.reference import read_reference
        from hbm_stan.reference.files import FILE

        read = read_settled(run, analysis, parameterisation)
        path = file or read.folder / FILE
        if save and imported:
            raise ModelError("--save makes a run of your own, --import takes that of others: give one of them.")
        if (renamed or replace) and not imported:
            raise ModelError("--map and --replace belong to --import FILE.")
        foreign = None
        if save:
            _save(run, read, tuple(variant or read.variants), path)
        if imported:
            foreign = _import(read, tuple(variant or [read.main_variant]), imported, path, renamed or [], replace)
        held = read_reference(path)
        show_reference(run, held, () if foreign is None else foreign.notes)
        run.write_json(_reference_as_dict(held) | ({} if foreign is None else {"import": foreign.as_dict()}))


def _reference_as_dict(held: Reference) -> dict[str, Any]:
    return {
        "file": str(held.path), "title": held.title, "kind": held.kind, "source": held.source,
        "variants": {v: {"parameters": len(p.table), **p.about} for p in held.posteriors for v in p.variants},
    }  # fmt: skip


def _save(run: Run, read: Analysis, variants: tuple[str, ...], path: Path) -> None:
    """Make long runs of these variants and write them; those of others, of the same data and priors, stay."""
    from hbm_stan.engines import choose
    from hbm_stan.files import refuse_place
    from hbm_stan.fit import jobs_of
    from hbm_stan.reference import read_reference, write_reference
    from hbm_stan.reference.long_run import joined, long_run, reference_of

    refuse_place(path, "The reference")
    held = read_reference(path) if path.exists() else None
    engine = choose(read.engine_for(run.engine))
    jobs = jobs_of(read.family, read.dataset, variants, read.priors, read.sampling, engine)
    engine.build([job.program for job in jobs], run.say)
    runs = []
    with run.sampling_progress() as progress:
        for job in jobs:
            run.say(f"{job.variant}: a long run")
            runs.append(long_run(job, run.say, progress(job.variant)))
    new_reference = reference_of(read.title or read.name, runs, path)
    write_reference(new_reference if held is None else joined(new_reference, held))


def _import(
    read: Analysis, variants: tuple[str, ...], files: list[Path], path: Path, renamed: list[str], replace: bool
) -> Imported:
    """Make the reference of what others computed, and write it; one that is there stays unless it is to be replaced."""
    from hbm_stan.engines import choose
    from hbm_stan.errors import ModelError
    from hbm_stan.files import refuse_place
    from hbm_stan.fit import jobs_of
    from hbm_stan.reference import write_reference
    from hbm_stan.reference.imported import import_reference

    pairs = [text.partition("=") for text in renamed]
    for text, (theirs, _, ours) in zip(renamed, pairs, strict=True):
        if not theirs.strip() or not ours.strip():
            raise ModelError(f"--map {text}: write THEIRS=OURS, such as --map b_Intercept=mu.")
    refuse_place(path, "The reference")
    if path.exists() and not replace:
        raise ModelError(f"{path} is there already. --replace puts this one in its place, --file names another file.")
    jobs = jobs_of(read.family, read.dataset, variants, read.priors, read.sampling, choose("stanli"))
    mapped = {theirs.strip(): ours.strip() for theirs, _, ours in pairs}
    imported = import_reference(files, jobs, read.title or read.name, path, mapped)
    write_reference(imported.reference)
    return imported


def regress(
    analysis: AnalysisArgument, engine: EngineOption = "auto", json: JsonOption = None, quiet: QuietOption = False,
    seed: SeedOption = None, parameterisation: ParameterisationOption = None, variant: VariantOption = None,
    file: FileOption = None,
) -> None:  # fmt: skip
    """Compare the fits of an analysis with its saved reference.

    Exit code 1 where a posterior moved, or where chains failed their checks and cannot say whether it did.
    """
    run = Run(engine, json, quiet, seed)
    with guarded(run, analysis):
        from hbm_stan.cli.show_truth import show_regression
        from hbm_stan.engines import choose
        from hbm_stan.fit import jobs_of
        from hbm_stan.reference import matches, read_reference
        from hbm_stan.reference import regress as compare
        from hbm_stan.reference.files import FILE

        read = read_settled(run, analysis, parameterisation)
        held = read_reference(file or read.folder / FILE)
        known = {v for p in held.posteriors for v in p.variants}
        named = tuple(variant or [v for v in read.variants if v in known] or read.variants)
        # Before anything is sampled: is it a reference of these fits at all?
        runs = choose(read.engine_for(run.engine))
        for job in jobs_of(read.family, read.dataset, named, read.priors, read.sampling, runs):
            matches(job, held)
        regression = compare(fits_of(run, read, named), held, read.waived)
        without = [v for v in read.variants if v not in known]
        show_regression(run, regression, without)
        run.write_json({**regression.as_dict(), "without_reference": without})
        if regression.moved:
            raise typer.Exit(1)


def verify(
    subject: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FAMILY...|ANALYSIS]", help="Shipped families (by default all), or an analysis."),
    ] = None,
    engine: HereOption = "auto", json: JsonOption = None, quiet: QuietOption = False, seed: SeedOption = None,
    to: Annotated[
        Path | None,
        typer.Option(help="The folder for certificate.json and .pdf; by default the analysis's, else this one."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only what needs no long sampling; writes no certificate without --to.")
    ] = False,
    agree: Annotated[bool, typer.Option("--agree", help="Both engines on every program and data set.")] = False,
    calibrate: Annotated[
        int, typer.Option("--calibrate", help="Replications of simulation-based calibration of partial pooling.", min=0)
    ] = 0,
) -> None:  # fmt: skip
    """Prove the programs against the same models in NumPy and against known posteriors; write a certificate.

    Exit code 1 where a proof failed. What cannot be proven, for want of a function of the family, is listed.
    """
    run = Run(engine, json, quiet, seed)
    with guarded(run, next(filter(None, map(mistyped, subject or [])), None)):
        from hbm_stan.cli.show_truth import show_certificate
        from hbm_stan.verify import SEED, Plan
        from hbm_stan.verify import verify as prove
        from hbm_stan.verify.certificate_pages import write_certificate
        from hbm_stan.verify.run import subjects_named

        names, analysis = subjects_named(subject or [])
        folder = _folder_for_certificate(to, analysis, quick)
        plan = Plan(
            families=names, analysis=analysis, engine=run.engine, seed=SEED if seed is None else seed, quick=quick,
            agree=agree, replications=calibrate,
        )  # fmt: skip
        with run.steps() as tick:
            certificate = prove(plan, tick)
        show_certificate(run, certificate, write_certificate(certificate, folder) if folder else ())
        run.write_json(certificate.as_dict())
        if certificate.failed:
            raise typer.Exit(1)


def _folder_for_certificate(to: Path | None, analysis: Analysis | None, quick: bool) -> Path | None:
    """Where the certificate goes; nowhere after a quick proof, which replaces a full one only if it is asked to."""
    from hbm_stan.certificate import FILE
    from hbm_stan.files import refuse_place

    if to is None and quick:
        return None
    folder = to or (analysis.folder if analysis is not None else Path())
    refuse_place(folder / FILE, "The certificate")
    return folder
