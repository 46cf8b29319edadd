"""References, regressions and proofs as tables on standard output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from hbm_stan.certificate import KINDS
from hbm_stan.cli.show import plain_table, status_text

if TYPE_CHECKING:
    from pathlib import Path

    from hbm_stan.certificate import Certificate
    from hbm_stan.cli.run import Run
    from hbm_stan.reference import Reference, Regression


def show_reference(run: Run, held: Reference) -> None:
    """What a reference file holds."""
    run.show(Text(f"{held.title}\n{held.path}: {held.kind}, {held.source}. {held.method}."))
    right = ("parameters", "R-hat", "correlation", "divergences", "smallest ESS")
    table = plain_table("variant", *right, right=right)
    for posterior in held.posteriors:
        about = posterior.about
        figures = (
            f"{about['largest_rhat']:.4f}", f"{about['largest_autocorrelation']:.3f}", str(about["divergences"]),
            f"{about['smallest_ess']:,.0f}",
        ) if about else ("",) * 4  # fmt: skip
        table.add_row(", ".join(posterior.variants), str(len(posterior.table)), *figures)
    run.show(table)


def show_regression(run: Run, made: Regression) -> None:
    """How each variant agrees with the reference, and what moved."""
    table = plain_table(
        "variant", "comparisons", "largest", "allowed", "status", right=("comparisons", "largest", "allowed")
    )
    for name, agreement in made.agreements.items():
        status = "pass" if agreement.agrees else "fail"
        table.add_row(
            name,
            f"{len(agreement.table):,}",
            f"{agreement.largest:.2f}",
            f"{agreement.threshold:.2f}",
            status_text(status),
        )
    run.show(table, *(Text(note) for note in made.notes))
    for name, agreement in made.agreements.items():
        if not agreement.agrees:
            run.show(Text(f"{name}: {agreement.words}"))
    if made.moved:
        run.show(Text("A posterior moved: the data, the priors and the family are those of the reference."))


_MARKS = {"pass": "pass", "fail": "FAIL", "not applicable": "–", "not run": "not run"}
_STYLES = {"pass": "green", "fail": "bold red", "not applicable": "dim", "not run": "dim"}


def show_certificate(run: Run, made: Certificate, files: tuple[Path, Path]) -> None:
    """Family, variant and each kind of truth; what failed in words; where the certificate is."""
    table = plain_table("family", "variant", *KINDS)
    for program in made.programs:
        cells = [Text(_MARKS[t.status], style=_STYLES[t.status]) for t in map(program.truth, KINDS)]
        table.add_row(program.family, program.variant, *cells)
    run.show(table)
    for program in made.failed:
        for truth in program.truths:
            if truth.status == "fail":
                value = "" if truth.value is None or truth.threshold is None else (
                    f" {truth.value:.3g} (allowed: {truth.threshold:.3g})"
                )  # fmt: skip
                run.show(Text(f"{program.family}, {program.variant}: {truth.kind}{value}: {truth.detail}"))
    certified = sum(p.certified for p in made.programs)
    run.show(Text(f"{certified} of {len(made.programs)} programs certified, {made.comparisons:,} numbers compared."))
    run.show(*(Text(note) for note in made.notes), *(Text(str(f)) for f in files))
