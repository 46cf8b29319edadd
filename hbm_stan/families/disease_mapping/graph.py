"""The graph of a map: its connected pieces, the scaling factor of each, and a basis of the structured effects.

Riebler, Sorbye, Simpson & Rue (2016), Statistical Methods in Medical Research 25:1145, section 3.2 (scaling); Morris et
al. (2019), Spatial and Spatio-temporal Epidemiology 31:100301; Freni-Sterrantino, Ventrucci & Rue (2018), Spatial and
Spatio-temporal Epidemiology 26:25 (several pieces, islands).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from hbm_stan.errors import DataError
from hbm_stan.later import sparse
from hbm_stan.table import FloatArray

IntArray = npt.NDArray[np.int64]
# The basis has as many numbers as areas squared: beyond this it takes gigabytes and minutes (ours).
MOST_AREAS = 3000
_DECIMALS = 12  # of the basis: what eigenvectors leave beyond is rounding, and differs between processors


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A map of A areas: pairs of neighbours (E, 2) and the connected ``piece`` of each area, both counted from 0.

    ``scaling`` (A,) is the geometric mean of the variances of the structured effects in the piece of each area, 1 for
    ``island`` (A,), those without neighbours. ``basis`` (A, B) times standard normals gives structured effects of unit
    precision that sum to zero in each piece; B is the number of areas less that of pieces.
    """

    edges: IntArray
    piece: IntArray
    scaling: FloatArray
    island: npt.NDArray[np.bool_]
    basis: FloatArray


@lru_cache(maxsize=16)
def graph_of(labels: tuple[str, ...], pairs: tuple[tuple[str, str], ...]) -> Graph:
    """The graph of these areas; raises DataError for more areas than the basis can be held of."""
    if len(labels) > MOST_AREAS:
        raise DataError(
            f"A map of {len(labels):,} areas: at most {MOST_AREAS:,} can be held, for the structured effects take the "
            "square of that. Join areas, or analyse parts of the map."
        )
    from scipy.sparse.csgraph import connected_components

    place = {label: i for i, label in enumerate(labels)}
    edges = np.array([(place[a], place[b]) for a, b in pairs], dtype=np.int64).reshape(-1, 2)
    laplacian = laplacian_of(edges, len(labels))
    n_pieces, piece = connected_components(laplacian, directed=False)
    scaling, columns = np.ones(len(labels)), []
    for k in range(n_pieces):
        own = np.flatnonzero(piece == k)
        if len(own) > 1:
            part = laplacian[own][:, own]
            scaling[own] = scaling_factor(part)
            column = np.zeros((len(labels), len(own) - 1))
            column[own] = _basis(part.toarray())
            columns.append(column)
    basis = np.hstack(columns) if columns else np.zeros((len(labels), 0))
    island = np.bincount(piece)[piece] == 1
    return Graph(edges=edges, piece=piece.astype(np.int64), scaling=scaling, island=island, basis=basis)


def laplacian_of(edges: IntArray, n: int) -> Any:
    """The precision matrix of an intrinsic autoregression: numbers of neighbours less the adjacency, sparse (n, n)."""
    a, b = edges.T
    ones = np.ones(len(edges))
    adjacency = sparse.csc_array((np.tile(ones, 2), (np.r_[a, b], np.r_[b, a])), shape=(n, n))
    return sparse.csc_array(sparse.diags_array(adjacency.sum(axis=0)) - adjacency)


def scaling_factor(laplacian: Any) -> float:
    """The geometric mean of the variances of effects that sum to zero over one connected piece.

    With the first area taken as 0 the rest has a sparse inverse; taking means off rows and columns of that leaves the
    generalised inverse under the constraint (Rue & Held 2005, Gaussian Markov Random Fields, section 3.2).
    """
    from scipy.sparse.linalg import splu

    n = laplacian.shape[0]
    inverse = np.zeros((n, n))
    inverse[1:, 1:] = splu(laplacian[1:, 1:].tocsc()).solve(np.eye(n - 1))
    variances = np.diagonal(inverse) - 2 * inverse.mean(axis=1) + inverse.mean()
    return float(np.exp(np.mean(np.log(variances))))


def _basis(laplacian: FloatArray) -> FloatArray:
    """Eigenvectors over roots of their eigenvalues, without the constant one: (n, n - 1), smooth ones first.

    In these coordinates low frequencies, of which counts say most, and high ones, of which they say least, stand apart.
    """
    values, vectors = np.linalg.eigh(laplacian)
    largest = np.abs(vectors).argmax(axis=0)
    signs = np.sign(vectors[largest, np.arange(len(values))])
    return np.asarray(np.round((vectors * signs)[:, 1:] / np.sqrt(values[1:]), _DECIMALS))
