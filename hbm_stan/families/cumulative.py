"""Ordered categories, with the common and varying coefficients of a formula and thresholds in the intercept's place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from hbm_stan.families.terms.data import counted_cells, design_of
from hbm_stan.families.terms.effects import draw_level, pooling_of, shared_columns, terms_of, theta_mean
from hbm_stan.families.terms.family import Parts, family_of
from hbm_stan.families.terms.priors import Scale, scale_of_categories
from hbm_stan.later import expit, pd
from hbm_stan.likelihoods.cumulative import LIKELIHOOD, category_shares
from hbm_stan.model import Draws, Evidence, Finding, StanData
from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior
from hbm_stan.table import FloatArray


def _categories(table: Prepared) -> tuple[str, ...]:
    return table.ordered[table.dataset.column("outcome")]


def _outcome(table: Prepared, priors: Mapping[str, Prior]) -> StanData:
    y = table["outcome"]
    return {
        **counted_cells(table, priors, y)[0], "y": y.astype(np.int64), "categories": len(_categories(table)),
        "prior_threshold": priors["threshold"].arguments[0],
    }  # fmt: skip


def _own_priors(_scale: Scale) -> dict[str, Prior]:
    reason = (
        "of the shares of the categories where the linear predictor is 0, at the means of centred columns: all sets of "
        "shares are as likely"
    )
    return {
        "threshold": Prior(name="threshold", distribution="dirichlet", arguments=(1.0,), reason=reason, default=True)
    }


def _coords(table: Prepared) -> dict[str, tuple[str, ...]]:
    """A threshold is called by the categories that it lies between."""
    names = _categories(table)
    return {"cut": tuple(f"{below}|{above}" for below, above in pairwise(names))}


def shares_at_means(draws: Draws, data: StanData, theta: FloatArray) -> FloatArray:
    """The probability of each category, (S, K), in a group with the coefficients ``theta`` (S, KG).

    At the means of all columns, without an offset, in levels of other factors that deviate by 0.
    """
    shared, own = shared_columns(data), theta.shape[1]
    eta = theta @ np.asarray(data["Z"], dtype=float)[:, :own].mean(axis=0)
    if len(shared):
        beta = draws["beta_shared"] if "beta_shared" in draws else np.asarray(draws["beta"])[:, shared]
        eta = eta + beta @ np.asarray(data["X"], dtype=float)[:, shared].mean(axis=0)
    return category_shares(eta[:, None], {"threshold": np.asarray(draws["threshold"])[:, None]})[:, 0]


def findings(evidence: Evidence) -> Sequence[Finding]:
    """The share of each category at the means of the columns: in an average group, and in a new one where groups are
    draws from a population; and what thresholds are."""
    draws, data, noun = evidence.draws, evidence.data, evidence.table.noun
    pooling = pooling_of(draws)
    average = np.asarray(draws["theta"]).mean(axis=1) if pooling == "no" else theta_mean(draws, data)
    shares = {f"average {noun.one}": shares_at_means(draws, data, average)}
    if pooling == "partial":
        new = average.copy()
        for term in (term for term in terms_of(data) if term.pooled):
            new[:, term.at] += draw_level(evidence.rng, term, draws, data, 1)[:, 0]
        shares[f"new {noun.one}"] = shares_at_means(draws, data, new)
    names = _categories(evidence.table)
    rows = np.bincount(np.asarray(data["y"]), minlength=len(names) + 1)[1:] / data["N"]
    table = pd.DataFrame({
        "in": [who for who in shares for _ in names], "category": [*names] * len(shares),
        "share of rows": [*rows] * len(shares),
        **{key: np.concatenate([of(s) for s in shares.values()]) for key, of in _SUMMARIES.items()},
    })  # fmt: skip
    caption = "Shares of the categories at the means of the columns: posterior means and 90 % intervals."
    digits = dict.fromkeys(("share of rows", *_SUMMARIES), 3)
    return [
        Finding(
            title="Shares of the categories",
            sentences=tuple(_words(evidence, names)),
            table=table,
            caption=caption,
            digits=digits,
        )
    ]


_SUMMARIES: dict[str, Callable[[FloatArray], FloatArray]] = {
    "mean": lambda shares: shares.mean(axis=0), "q05": lambda shares: np.quantile(shares, 0.05, axis=0),
    "q95": lambda shares: np.quantile(shares, 0.95, axis=0),
}  # fmt: skip


def _words(evidence: Evidence, names: Sequence[str]) -> list[str]:
    """What thresholds are, with the first one, what odds ratios are, and why a new group is uncertain."""
    first = np.asarray(evidence.draws["threshold"])[:, 0]
    one, many, design = evidence.table.noun.one, evidence.table.noun.many, design_of(evidence.table)
    where = " at the means of the columns" if design.means.any() else " where all columns are 0" * bool(design.names)
    sentences = [
        f"A threshold is the log odds of a category below it rather than above it, in an average {one}{where}: that "
        f"between {names[0]} and {names[1]} is about {np.median(first):.2f}, so that "
        f"{100 * np.median(expit(first)):.1f} % of such rows are {names[0]}.",
        "An odds ratio of a column multiplies the odds of a higher category, wherever higher begins: it is taken to be "
        "the same at every threshold (proportional odds).",
    ]
    if pooling_of(evidence.draws) == "partial":
        sentences.append(
            f"Shares in a new {one} are uncertain because {many} differ, too; their means are what to expect over many "
            f"{many}."
        )
    return sentences


FAMILY = family_of(
    LIKELIHOOD,
    Parts(
        outcome=_outcome,
        scale=scale_of_categories,
        own_priors=_own_priors,
        coords=_coords,
        findings=findings,
        calibration={
            "beta": "normal(0, 1)", "tau": "half_normal(1)", "theta": "normal(0, 1.5)", "threshold": "dirichlet(4)",
        },
    ),
)  # fmt: skip
