"""A posterior that others computed becomes the reference of an analysis: draws or a summary from a file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hbm_stan.diagnose import summarise
from hbm_stan.errors import DiagnosticError, ModelError
from hbm_stan.fit import Job
from hbm_stan.identity import data_hash
from hbm_stan.reference.files import Posterior, Reference
from hbm_stan.reference.foreign import Draws, Summary, read_foreign
from hbm_stan.reference.foreign_summary import ASSUMED, figures
from hbm_stan.reference.long_run import CHAINS, DRAWS, MAX_AUTOCORRELATION, MAX_RHAT
from hbm_stan.reference.match import check_precision
from hbm_stan.reference.naming import Named, few, named, ours


@dataclass(frozen=True)
class Imported:
    """The reference that a file makes, and in sentences what was made of it."""

    reference: Reference
    names: Named
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "mapped": dict(self.names.names), "missing": list(self.names.missing),
            "left_over": list(self.names.left_over), "notes": list(self.notes),
        }  # fmt: skip


def import_reference(
    paths: Sequence[Path], jobs: Sequence[Job], title: str, to: Path, renamed: Mapping[str, str] | None = None
) -> Imported:
    """The reference that files hold of the posterior of these jobs, variants of one model.

    Raises ModelError for files that cannot be used, DiagnosticError where the chains in them did not converge.
    """
    where, job = ", ".join(map(str, paths)), jobs[0]
    foreign = read_foreign(paths)
    theirs = list(foreign.names) if isinstance(foreign, Draws) else [str(name) for name in foreign.table.index]
    names = named(where, theirs, ours(job), renamed or {})
    notes = _notes(names)
    if isinstance(foreign, Draws):
        table, about, method, more = _of_draws(where, foreign, names)
    else:
        table, about, method, more = _of_summary(where, foreign, names)
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()
    about = {"imported": ", ".join(path.name for path in paths), "file_sha256": digest, **about}
    dataset = job.table.dataset
    data = {
        "name": dataset.name, "rows": job.table.n_read, "file_sha256": dataset.sha256,
        "sha256": data_hash(job.family, job.variant, job.table, job.data),
    }  # fmt: skip
    posterior = Posterior(tuple(j.variant for j in jobs), table, {}, about)
    priors = job.family.prior_texts(job.variant, job.priors)
    source = f"imported from {about['imported']}"
    held = Reference(
        path=to, title=title, kind="foreign", source=source, method=method, exact=False, family=job.family.name,
        data=data, priors=priors, posteriors=(posterior,), about={"imported": about["imported"]},
    )  # fmt: skip
    check_precision(held, posterior)
    return Imported(held, names, (*notes, *more))


def _notes(names: Named) -> list[str]:
    changed = [f"{their} as {our}" for their, our in names.names.items() if their != our]
    return [
        *([f"Names mapped: {few(changed)}."] if changed else []),
        *([f"Missing in the file, and not to be compared: {few(names.missing)}."] if names.missing else []),
        *([f"Left over, for no parameter here has that name: {few(names.left_over)}."] if names.left_over else []),
    ]


def _of_draws(where: str, foreign: Draws, names: Named) -> tuple[pd.DataFrame, dict[str, Any], str, list[str]]:
    """Figures of draws with their errors, chains respected, and how they meet posteriordb's criteria."""
    from arviz_stats.base import array_stats as az

    rows = [foreign.names.index(their) for their in names.names]
    draws, labels = foreign.values[rows], list(names.names.values())
    moving = np.ptp(draws, axis=(1, 2)) > 0
    constant = [label for label, moves in zip(labels, moving, strict=True) if not moves]
    labels, draws = [label for label in labels if label not in constant], draws[moving]
    if not labels:
        raise ModelError(f"{where}: no parameter varies from draw to draw.")
    _, chains, n_draws = draws.shape
    table = summarise(labels, draws)
    with np.errstate(all="ignore"):
        correlation = float(np.abs(np.asarray(az.autocorr(draws))[..., 1].mean(axis=1)).max())
    rhat, ess = float(table["rhat"].max()), float(table[["ess_bulk", "ess_tail"]].min(axis=None))
    if rhat >= MAX_RHAT:
        raise DiagnosticError(
            f"{where}: the chains did not converge: R-hat of {table['rhat'].idxmax()} is {rhat:.4f} (allowed: below "
            f"{MAX_RHAT}). Draws like these are no reference. Are chains and draws where they belong?"
        )
    about = {"draws": chains * n_draws, "chains": chains, "largest_autocorrelation": correlation, "smallest_ess": ess}
    about |= {"largest_rhat": rhat} if np.isfinite(rhat) else {}
    notes = [f"Left out, for they never vary: {few(constant)}."] if constant else []
    method = f"{chains * n_draws:,} draws of {chains} chain{'s' if chains > 1 else ''}; errors from these draws"
    return table, about, method, [*notes, _judged(chains, n_draws, rhat, correlation, ess)]


def _judged(chains: int, n_draws: int, rhat: float, correlation: float, ess: float) -> str:
    """How draws meet the criteria of posteriordb's reference posteriors."""
    faults = [
        (chains * n_draws < CHAINS * DRAWS, f"{chains * n_draws:,} draws (posteriordb: {CHAINS * DRAWS:,})"),
        (not np.isfinite(rhat), "one chain, so that R-hat says nothing"),
        (not correlation < MAX_AUTOCORRELATION,
         f"neighbouring draws correlate by up to {correlation:.2f} (posteriordb: below {MAX_AUTOCORRELATION})"),
    ]  # fmt: skip
    shortfalls = [words for wrong, words in faults if wrong]
    figure = f"smallest ESS {ess:,.0f}" + (f", largest R-hat {rhat:.4f}" if np.isfinite(rhat) else "")
    if not shortfalls:
        return f"The draws meet posteriordb's criteria as far as a file shows them: {figure}."
    return f"The draws do not meet posteriordb's criteria: {'; '.join(shortfalls)}. Their errors count that: {figure}."


def _of_summary(where: str, summary: Summary, names: Named) -> tuple[pd.DataFrame, dict[str, Any], str, list[str]]:
    """Figures of a summary, for the parameters that are ours."""
    chosen = summary.table.loc[list(names.names)]
    table, left, assumed = figures(
        where, chosen.set_axis(pd.Index(list(names.names.values()), name="parameter"), axis=0)
    )
    without = [our for our in names.names.values() if our not in table.index]
    notes = [f"Columns not used: {few(left)}."] if left else []
    notes += [f"Without any figure: {few(without)}."] if without else []
    notes += [f"Assumed: {ASSUMED}."] if assumed else []
    return table, {}, f"a summary; {ASSUMED}" if assumed else "a summary with its own errors", notes
