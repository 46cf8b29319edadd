"""Is a reference one of this fit? The same family, data and priors, all parameters, and figures that are precise."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hbm_stan.agreement import STATISTICS
from hbm_stan.diagnose import MAX_MCSE, parameters
from hbm_stan.elements import base_of
from hbm_stan.errors import ModelError
from hbm_stan.fit import Fit, Job
from hbm_stan.identity import data_hash
from hbm_stan.reference.files import OWN, Posterior, Reference
from hbm_stan.rounding import same_number

_SHOWN = 8  # names that a sentence holds
_NEW = "Make a new one with `hbm reference ANALYSIS --save`, or go back to what it was made from."


def matches(fit: Fit | Job, reference: Reference) -> Posterior:
    """The reference's posterior of the variant of a fit, or of a job, before anything is sampled.

    Raises ModelError where the reference is of another family, of other data or priors, or has no such variant.
    """
    where = str(reference.path)
    if reference.family != fit.family.name:
        raise ModelError(f"{where} is a reference of the family {reference.family}; this fit is of {fit.family.name}.")
    posterior = reference.posterior(fit.variant)
    known = reference.data.get("sha256")
    rows = reference.data.get("rows", fit.table.n_read)
    # Rows of the file, or those that the family makes of them.
    if known is None and rows not in {fit.table.n_read, fit.table.dataset.table.n_rows}:
        raise ModelError(f"{where} is a reference of other data: of {rows} rows; here are {fit.table.n_read}. {_NEW}")
    if known is None and reference.kind == OWN:
        raise ModelError(f"{where}: data has no sha256: what it is a reference of cannot be told. {_NEW}")
    if known is not None and known != data_hash(fit.family, fit.variant, fit.table, fit.data):
        raise ModelError(
            f"{where} is a reference of other data than {fit.table.dataset.name}: {_other(fit, reference)}"
        )
    now = fit.family.prior_texts(fit.variant, fit.priors)
    before = {name: reference.priors.get(name, reference.priors.get(base_of(name))) for name in now}
    changed = [f"{n} was {b}, is {now[n]}" for n, b in before.items() if b is not None and not same_prior(b, now[n])]
    if changed:
        raise ModelError(f"{where} was made with other priors: {'; '.join(changed)}. {_NEW}")
    unsaid = [name for name, text in before.items() if text is None]
    if unsaid and reference.kind == OWN:
        raise ModelError(f"{where} does not say the prior of {', '.join(unsaid)}. {_NEW}")
    return posterior


def _other(fit: Fit | Job, reference: Reference) -> str:
    """How the data differ, as far as it is known."""
    rows, now = reference.data.get("rows", "?"), fit.table.n_read
    if reference.data.get("file_sha256") == fit.table.dataset.sha256:
        return (
            "the file is the same, byte for byte, but it is read in another way: columns, roles or numbers that the "
            f"family fixes. {_NEW}"
        )
    return f"{rows} rows then, {now} now; values, labels or numbers that the family fixes differ. {_NEW}"


def unchecked(fit: Fit, reference: Reference) -> list[str]:
    """What could not be checked, for the reference does not say it, in sentences."""
    who, notes = f"of {fit.variant}", []
    if reference.about.get("imported"):
        notes.append(
            f"The figures {who} were imported from {reference.about['imported']}: that they are of this model, these "
            "data and priors is the word of whoever imported them."
        )
    if reference.data.get("sha256") is None:
        rows = f", of {reference.data['rows']} rows," if "rows" in reference.data else ""
        notes.append(f"Data not checked {who}: the reference{rows} does not say which data its figures are of.")
    names = fit.family.prior_texts(fit.variant, fit.priors)
    unsaid = [name for name in names if not {name, base_of(name)} & set(reference.priors)]
    if unsaid:
        notes.append(f"Priors not checked {who}, for the reference does not say them: {_few(unsaid)}.")
    table = reference.posterior(fit.variant).table
    unknown = [name for name in parameters(fit)[0] if name not in table.index]
    if unknown:
        notes.append(f"Parameters not compared {who}, for the reference has no figures of them: {_few(unknown)}.")
    unknown = [s for s in STATISTICS if s not in table or table[s].isna().all()]
    if unknown:
        notes.append(f"Statistics not compared {who}, for the reference has none: {', '.join(unknown)}.")
    return notes


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def same_prior(one: str, other: str) -> bool:
    """Whether two texts are one prior: the same name, and arguments that are equal to nine digits (1e-5 and 1e-05)."""
    (name, *arguments), (other_name, *others) = (_parts(text) for text in (one, other))
    try:
        pairs = list(zip(map(float, arguments), map(float, others), strict=True))
    except ValueError:  # no numbers, or more of them
        return False
    return name == other_name and all(same_number(a, b) for a, b in pairs)


def _parts(text: str) -> list[str]:
    return re.split(r"[(,]", text.replace(" ", "").rstrip(")"))


def check_precision(reference: Reference, posterior: Posterior) -> None:
    """Raise ModelError where the reference has too few draws to see a move: MCSE of a mean above 0.05 posterior sds."""
    table = posterior.table
    if "mean" not in table or "sd" not in table:
        return
    coarse = table[table["mcse_mean"] > MAX_MCSE * table["sd"]]
    if len(coarse):
        name = coarse.index[0]
        ratio = float(coarse["mcse_mean"].iloc[0] / coarse["sd"].iloc[0])
        raise ModelError(
            f"{reference.path}: too few draws: the Monte Carlo error of the mean of {name} is {ratio:.2f} of its "
            f"sd (allowed: {MAX_MCSE}), and {len(coarse)} of {len(table)} parameters are like it. Make the reference "
            "from a longer run."
        )
