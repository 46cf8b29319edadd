"""Whether a likelihood integrates a table's coefficients out, or samples them: too many may be crossed."""

from __future__ import annotations

from hbm_stan.data import Dataset
from hbm_stan.families import families
from hbm_stan.families.terms.blocks import MOST_CROSSED, too_many
from hbm_stan.formula.parse import parse
from hbm_stan.likelihoods import likelihood
from hbm_stan.prepared import prepared_for


def of_size(dataset: Dataset, name: str, why: str = "") -> tuple[str, str]:
    """The likelihood, or the same one with coefficients sampled where too many are crossed to be integrated out."""
    sampled = likelihood(name).many_crossed
    few = len(parse(dataset.reading.formula).bars) < 2 or dataset.table.n_rows <= MOST_CROSSED
    if not sampled or few:
        return name, why
    design = prepared_for(dataset, families()[name]).design
    reason = too_many(design) if design is not None else ""
    return (sampled, f"{why}; coefficients are sampled: {reason}") if reason else (name, why)
