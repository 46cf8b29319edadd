"""The command ``hbm calibrate``: simulation-based calibration of a family's program or of an analysis."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hbm_stan.cli.analysis import mistyped
from hbm_stan.cli.run import CalibrationEngineOption, ClusterOption, JsonOption, QuietOption, Run, SeedOption, guarded

if TYPE_CHECKING:
    from hbm_stan.analysis.read import Analysis
    from hbm_stan.calibrate import Calibration
    from hbm_stan.model import Family

_KINDS = ("png", "svg", "pdf")


def calibrate(
    target: Annotated[
        str, typer.Argument(metavar="FAMILY|ANALYSIS", help="A model family, or an analysis: its table, its priors.")
    ],
    variant: Annotated[
        str | None, typer.Option(help="The variant; by default partial_pooling.", show_default=False)
    ] = None,
    replications: Annotated[int, typer.Option(help="Simulated data sets, each fitted once.")] = 500,
    posterior: Annotated[
        bool, typer.Option("--posterior", help="Of an analysis: true values from its posterior, not from its priors.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw the ranks into this file: .png, .svg or .pdf.", metavar="PATH")
    ] = None,
    cluster: ClusterOption = None,
    engine: CalibrationEngineOption = "auto", json: JsonOption = None, quiet: QuietOption = False,
    seed: SeedOption = None,
) -> None:  # fmt: skip
    """Simulate data from known values, fit them, and rank the known values. Exit code 1 if ranks are not uniform.

    Replications are kept: the same command, or one with more of them, goes on where the last one stopped.
    """
    run = Run(engine, json, quiet, seed)
    with guarded(run, mistyped(target)):
        _check_plot(plot)
        with _bar(run) as progress:
            calibration = _calibration(
                run, target, variant, posterior, progress, replications=replications, cluster=cluster
            )
        _show(run, calibration)
        if plot is not None:
            _draw(calibration, plot)
        run.write_json(calibration.as_dict())
        if calibration.status == "fail":
            raise typer.Exit(1)


def _calibration(
    run: Run, target: str, variant: str | None, posterior: bool, progress: Callable[[int, int], None] | None,
    **settings: Any,
) -> Calibration:  # fmt: skip
    from hbm_stan.analysis.read import read_analysis
    from hbm_stan.calibrate import calibrate as calibrate_program
    from hbm_stan.calibrate.run import SEED
    from hbm_stan.errors import ModelError
    from hbm_stan.families import family as find_family

    shared: dict[str, Any] = {**settings, "engine": run.engine, "say": run.say, "progress": progress}
    if not _is_analysis(target):
        if posterior:
            raise ModelError(f"{target}: --posterior needs the data of an analysis; name its folder.")
        seed = SEED if run.seed is None else run.seed
        family = find_family(target)
        return calibrate_program(family, variant or _partial(family), seed=seed, **shared)
    read = read_analysis(target).with_seed(run.seed)
    named = read.family.variant(variant).name if variant else read.main_variant
    if posterior:
        return _posterior(run, read, named, shared)
    return calibrate_program(
        read.family, named, table=read.dataset, priors=read.priors, seed=read.sampling.seed, **shared
    )


def _partial(family: Family) -> str:
    """The default variant of partial pooling, whatever the family calls it; the first variant where there is none."""
    names = family.default_variants
    return next((n for n in names if family.variant(n).pooling == "partial"), names[0])


def _is_analysis(target: str) -> bool:
    """Whether a word is an analysis: a family's name is one only with a path before it."""
    from hbm_stan.families import is_place, shipped

    if not is_place(target) and shipped(target) is not None:
        return False
    return os.path.isfile(target) or os.path.isfile(os.path.join(target, "analysis.toml"))


def _posterior(run: Run, read: Analysis, variant: str, shared: dict[str, Any]) -> Calibration:
    """Fit the observed data, with draws enough for the true values, and calibrate from there."""
    from hbm_stan.attempts import fit
    from hbm_stan.calibrate import posterior_calibration
    from hbm_stan.calibrate.posterior import draws_for

    sampling = draws_for(read.sampling, shared["replications"])
    store = read.store if sampling == read.sampling else None
    observed_fit = fit(
        read.family, read.dataset, variant, priors=read.priors, sampling=sampling, store=store, say=run.say,
        engine="stanli" if run.engine == "auto" else run.engine,
    )  # fmt: skip
    return posterior_calibration(observed_fit, seed=read.sampling.seed, **shared)


def _check_plot(plot: Path | None) -> None:
    """Refuse, before the work, a figure that could not be written."""
    from hbm_stan.errors import HbmError

    if plot is None:
        return
    if plot.suffix.lower().removeprefix(".") not in _KINDS:
        raise HbmError(f"--plot {plot}: the name must end in .png, .svg or .pdf.")
    if os.path.isdir(plot) or not os.access(plot.parent, os.W_OK):
        raise HbmError(f"--plot {plot} cannot be written: it is a folder, or its folder is missing or protected.")


def _draw(calibration: Calibration, plot: Path) -> None:
    from hbm_stan.files import write_beside
    from hbm_stan.plots import figure_bytes, plot_calibration

    statuses = {row["quantity"]: row["status"] for row in calibration.rows}
    write_beside(
        plot, figure_bytes(plot_calibration(calibration.curves, statuses), plot.suffix.lower().removeprefix("."))
    )


@contextlib.contextmanager
def _bar(run: Run) -> Iterator[Callable[[int, int], None] | None]:
    """A bar of the replications done on a terminal, and in a log a line for each tenth of them."""
    if not run.live:
        yield lambda done, total: run.say(f"replications: {done} of {total}") if done % -(-total // 10) == 0 else None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from hbm_stan.cli.screen import ERR

    columns = (TextColumn("replications"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=ERR, transient=True) as bars:
        task = bars.add_task("", total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


def _show(run: Run, calibration: Calibration) -> None:
    from rich.text import Text

    from hbm_stan.cli.show import plain_table, status_text

    table = plain_table("quantity", "mean rank", "spread", "p", "status", right=("mean rank", "spread", "p"))
    for row in calibration.rows:
        values = (f"{row['mean_rank']:.3f}", f"{row['spread']:.2f}", f"{row['p']:.2g}")
        table.add_row(Text(row["quantity"]), *values, status_text(row["status"]))
    run.show(
        Text(f"{calibration.family}, {calibration.variant}: {calibration.design}"), table, Text(calibration.sentence)
    )
    run.show(
        Text(
            f"Uniform ranks have mean 0.5 and spread 1; p below {calibration.error:.2g} refuses. "
            f"{calibration.left_out}".strip()
        )
    )
    for v in calibration.verdicts:
        if v.status != "pass":
            count = f" ({v.value:.0f} of {calibration.replications})" if not v.subject else ""
            run.show(Text(f"{v.subject or v.name}: ") + status_text(v.status) + Text(f"{count}. {v.hint.rstrip('.')}."))
    if calibration.not_direct:
        run.show(
            Text(f"{calibration.not_direct} of {calibration.replications} were sampled: direct draws could not be had.")
        )
    run.show(
        Text(
            f"Engine: {calibration.engine} {calibration.engine_version}; "
            f"{calibration.seconds:.0f} seconds of computing in all"
        )
    )
