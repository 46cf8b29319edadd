"""Is a reference one of this fit? The same family, data and priors, all parameters, and figures that are precise."""

from __future__ import annotations

import hashlib
import json
import re

from hbm_stan.diagnose import MAX_MCSE
from hbm_stan.engines import plain_data
from hbm_stan.errors import ModelError
from hbm_stan.fit import Fit, Job
from hbm_stan.model import Family, StanData
from hbm_stan.prepare import Prepared
from hbm_stan.reference.files import OWN, Posterior, Reference

_NEW = "Make a new one with `hbm reference ANALYSIS --save`, or go back to what it was made from."
_SWITCHES = ("use_likelihood", "generate")


def data_hash(family: Family, variant: str, table: Prepared, data: StanData) -> str:
    """The hash of what all posteriors are conditional on: group labels and Stan data.

    Priors, switches and what chooses a parameterisation are left out.
    """
    settings = {*_SWITCHES, *family.variant(variant).settings}
    said = {k: v for k, v in plain_data(data).items() if not k.startswith("prior_") and k not in settings}
    content = json.dumps({"groups": list(table.labels), **said}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def matches(fit: Fit | Job, reference: Reference) -> Posterior:
    """The reference's posterior of the variant of a fit, or of a job, before anything is sampled.

    Raises ModelError where the reference is of another family, of other data or priors, or has no such variant.
    """
    where = str(reference.path)
    if reference.family != fit.family.name:
        raise ModelError(f"{where} is a reference of the family {reference.family}; this fit is of {fit.family.name}.")
    posterior = reference.posterior(fit.variant)
    known = reference.data.get("sha256")
    if known is None and reference.kind == OWN:
        raise ModelError(f"{where}: data has no sha256: what it is a reference of cannot be told. {_NEW}")
    if known is not None and known != data_hash(fit.family, fit.variant, fit.table, fit.data):
        raise ModelError(
            f"{where} is a reference of other data than {fit.table.dataset.name}: {reference.data.get('rows', '?')} "
            f"rows then, {len(fit.table.group)} now; values, labels, their order or fixed numbers of the family "
            f"differ. {_NEW}"
        )
    now = fit.family.prior_texts(fit.variant, fit.priors)
    before = {name: reference.priors.get(name, reference.priors.get(name.partition("[")[0])) for name in now}
    changed = [f"{n} was {b}, is {now[n]}" for n, b in before.items() if b is not None and not _same(b, now[n])]
    if changed:
        raise ModelError(f"{where} was made with other priors: {'; '.join(changed)}. {_NEW}")
    unsaid = [name for name, text in before.items() if text is None]
    if unsaid and reference.kind == OWN:
        raise ModelError(f"{where} does not say the prior of {', '.join(unsaid)}. {_NEW}")
    return posterior


def _same(one: str, other: str) -> bool:
    """Whether two texts are one prior: the same name, and arguments that are equal as numbers (1e-5 and 1e-05)."""
    (name, *arguments), (other_name, *others) = (_parts(text) for text in (one, other))
    try:
        return name == other_name and [float(a) for a in arguments] == [float(a) for a in others]
    except ValueError:
        return False


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
