"""Where areas are drawn: at their coordinates, or so that steps along the graph are distances on the page.

Stress majorisation: Gansner, Koren & North (2005), Graph Drawing, Lecture Notes in Computer Science 3383:239.
"""

from __future__ import annotations

import numpy as np

from hbm_stan.families.disease_mapping.graph import Graph, IntArray
from hbm_stan.table import FloatArray

_STEPS = 200
_APART = 1.5  # between pieces, in steps along the graph


def layout(graph: Graph) -> FloatArray:
    """East and north of each area, (A, 2): each piece by itself, the largest on the left, islands in a row below."""
    order = np.argsort(-np.bincount(graph.piece), kind="stable")
    at, east = np.zeros((len(graph.piece), 2)), 0.0
    for piece in order:
        own = np.flatnonzero(graph.piece == piece)
        if len(own) == 1:
            continue
        place = _of_piece(graph, own)
        at[own] = place - place.min(axis=0) + [east, 0.0]
        east += float(np.ptp(place[:, 0])) + _APART
    islands = np.flatnonzero(graph.island)
    at[islands] = np.column_stack([_APART * np.arange(len(islands)), np.full(len(islands), -_APART)])
    return at


def _of_piece(graph: Graph, own: IntArray) -> FloatArray:
    """Places of the areas of one connected piece, (n, 2), from classical scaling of their steps along the graph."""
    from scipy import sparse
    from scipy.sparse.csgraph import shortest_path

    n = len(own)
    inside = np.searchsorted(own, graph.edges[np.isin(graph.edges[:, 0], own)])
    adjacency = sparse.csr_array((np.ones(len(inside)), inside.T), shape=(n, n))
    steps = shortest_path(adjacency, directed=False, unweighted=True)
    centred = steps**2 - (steps**2).mean(axis=0) - (steps**2).mean(axis=1)[:, None] + (steps**2).mean()
    values, vectors = np.linalg.eigh(-centred / 2)
    signs = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(n)])
    # The longest direction stands upright: maps are drawn side by side.
    place = (vectors * signs * np.sqrt(np.maximum(values, 0)))[:, [-2, -1]]
    place = place + 1e-3 * np.column_stack([np.cos(np.arange(n)), np.sin(np.arange(n))])  # areas alike must part
    weight = np.where(steps > 0, 1 / np.maximum(steps, 1) ** 2, 0.0)
    inverse = np.linalg.pinv(np.diag(weight.sum(axis=1)) - weight)
    for _ in range(_STEPS):
        apart = np.linalg.norm(place[:, None] - place[None], axis=2)
        pull = -weight * steps / np.where(apart > 0, apart, np.inf)
        place = inverse @ ((pull - np.diag(pull.sum(axis=1))) @ place)
    return np.asarray(place)
