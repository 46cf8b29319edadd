"""The linear predictor of rows to be predicted, given the draws of a formula's model."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from hbm_stan.design import Design
from hbm_stan.encoding import IntArray, NewRows
from hbm_stan.families.terms.effects import Term, effects_of, factor_of, middle, terms_of, theta_mean
from hbm_stan.fit import Fit
from hbm_stan.integrate.elimination import scaled
from hbm_stan.likelihoods.likelihood import OWN_COLUMNS
from hbm_stan.model import Draws, StanData
from hbm_stan.new_rows.places import AVERAGE, Place
from hbm_stan.new_rows.read import Rows, refuse_not_finite
from hbm_stan.table import FloatArray


@dataclass(frozen=True)
class Predictor:
    """``eta`` of rows (S, N), and the sd that factors which are averaged over add to it (S, N), 0 where there are none.

    ``data`` are the rows as a likelihood reads them.
    """

    eta: FloatArray
    spread: FloatArray
    data: StanData


def encode(fit: Fit, rows: Rows) -> NewRows:
    """The columns of the rows, coded and centred as the fit's own."""
    assert fit.table.design is not None  # needs_of refused others
    return encode_rows(fit.table.design, rows)


def encode_rows(design: Design, rows: Rows) -> NewRows:
    """The columns of the rows, coded and centred as those of the design; raises DataError for what is not finite."""
    with np.errstate(all="ignore"):
        new_rows = design.rows(rows.values, rows.n)
    names = (*design.names, *(name for term in design.terms for name in term.names), "the offset")
    for name, column in zip(names, np.column_stack([new_rows.X, new_rows.Z, new_rows.offset]).T, strict=True):
        refuse_not_finite(rows.table, name, column)
    for columns, own in ((new_rows.beside[p], design.beside[p]) for p in new_rows.beside):
        for name, column in zip(own.names, columns.T, strict=True):
            refuse_not_finite(rows.table, name, column)
    return new_rows


def predictor(fit: Fit, draws: Draws, columns: NewRows, rows: Rows, some: slice) -> Predictor:
    """The linear predictor of some of the rows, a slice of all."""
    data = _data(fit, columns, rows, some)
    eta = middle(draws, data)
    variance = np.zeros(eta.shape)
    design = fit.table.design
    assert design is not None
    for t, (term, own) in enumerate(zip(terms_of(data), design.terms, strict=True)):
        place = rows.places[own.factor.name].of_rows(some)
        eta += _deviations(fit, t, term, place, draws, data)
        averaged = place.level == AVERAGE
        if averaged.any():
            z = term.level.columns[averaged]
            variance[:, averaged] += ((np.swapaxes(factor_of(term, draws, data), 1, 2) @ z.T) ** 2).sum(axis=1)
    return Predictor(eta, np.sqrt(variance), data)


def _data(fit: Fit, columns: NewRows, rows: Rows, some: slice) -> StanData:
    """The data of the rows in the shape of the fit's own."""
    n = len(columns.X[some])
    ones: StanData = {datum: np.ones(n) for datum in ("trials", "exposure", "se") if datum in fit.data}
    return {
        **fit.data, **ones, "N": n, "X": columns.X[some], "Z": columns.Z[some], "offset_": columns.offset[some],
        "y": np.ones(n), "level": np.ones((fit.data["T"], n), dtype=np.int64),
        **{datum: size[some] for datum, size in rows.sizes.items()},
        **{f"{OWN_COLUMNS}{name}": own[some] for name, own in columns.beside.items()},
    }  # fmt: skip


def _deviations(fit: Fit, t: int, term: Term, place: Place, draws: Draws, data: StanData) -> FloatArray:
    """What a term adds to each row of a known or new level, (S, N); 0 where it stands at the centre or is averaged."""
    z, level = term.level.columns, place.level
    deviations = np.zeros((len(next(iter(draws.values()))), len(level)))
    known = np.flatnonzero((level >= 0) & (level < place.n_known))
    if known.size:
        own = _known(term, draws, data, level[known])
        deviations[:, known] = np.einsum("snk,nk->sn", own, z[known])
    new = np.flatnonzero(level >= place.n_known)
    if new.size:
        factor = factor_of(term, draws, data)
        for j in np.unique(level[new]):
            rows = np.flatnonzero(level == j)
            rng = rng_of_level(fit, t, place.new[j - place.n_known])
            deviation = scaled(factor, rng.normal(size=(len(factor), 1, term.level.width)))[:, 0]
            deviations[:, rows] = deviation @ z[rows].T
    return deviations


def _known(term: Term, draws: Draws, data: StanData, level: IntArray) -> FloatArray:
    """Deviations of the known levels of rows, (S, N, K)."""
    if not term.pooled:
        return effects_of(term, draws)[:, level]
    return np.asarray(draws["theta"])[:, level][:, :, term.at] - theta_mean(draws, data)[:, None, term.at]


def rng_of_level(fit: Fit, term: int | str, label: str) -> np.random.Generator:
    """A generator of a new level's own: its draws are the same whatever rows stand beside it, and in which order."""
    digest = hashlib.sha256(f"{fit.variant} new level {term} {label}".encode("utf-8", "surrogatepass")).digest()
    return np.random.default_rng([fit.sampling.seed, int.from_bytes(digest[:8], "big")])
