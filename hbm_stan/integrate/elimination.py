"""Normal coefficients of nested and crossed factors, eliminated one factor after the other.

With coefficients u = P e, e standard normal, and rows that are normal about Z u with weights w, all that is asked of e
given the rows follows from A = I + P' Z' W Z P. The coefficients of the levels of one factor are independent given
those of the factors that it lies in and of crossed ones, so that they are eliminated level by level (Schur
complements), factor after factor, and what is crossed is left, a matrix of its own size (Bates et al. 2015, Journal of
Statistical Software 67(1), section 3; Rasmussen & Williams 2006, appendix A.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hbm_stan.integrate.structure import Structure, sum_by
from hbm_stan.table import FloatArray


def forward(lower: FloatArray, x: FloatArray) -> FloatArray:
    """lower^-1 x, (..., V, C), for lower triangular matrices (..., V, V)."""
    solved = np.array(np.broadcast_to(x, (*np.broadcast_shapes(lower.shape[:-2], x.shape[:-2]), *x.shape[-2:])))
    for i in range(lower.shape[-1]):
        if i:
            solved[..., i, :] -= (lower[..., i, None, :i] @ solved[..., :i, :])[..., 0, :]
        solved[..., i, :] /= lower[..., i, i, None]
    return solved


def backward(lower: FloatArray, x: FloatArray) -> FloatArray:
    """(lower')^-1 x, (..., V, C)."""
    upper = np.swapaxes(lower, -1, -2)[..., ::-1, ::-1]
    return forward(upper, x[..., ::-1, :])[..., ::-1, :]


def turned(factor: FloatArray, x: FloatArray) -> FloatArray:
    """P' x by level: (S, L, K, C) -> (S, L, V, C) with P (S, K, V)."""
    return np.asarray(np.swapaxes(factor, 1, 2)[:, None] @ x)


def turned_crossed(s: Structure, factors: Sequence[FloatArray], x: FloatArray) -> FloatArray:
    """P' x of all crossed coefficients, (S, M, C) -> (S, M', C)."""
    parts, start = [], 0
    for level, factor in zip(s.crossed, factors[len(s.chain) :], strict=True):
        part = x[:, start : start + level.size * level.width]
        parts.append(turned(factor, part.reshape(len(x), level.size, level.width, -1)).reshape(len(x), -1, x.shape[2]))
        start += level.size * level.width
    return np.concatenate(parts, axis=1) if parts else np.zeros((len(x), 0, x.shape[2]))


@dataclass(frozen=True)
class Step:
    """A factor that was eliminated: the Cholesky factor of A by level (S, L, V, V), and its inverse times P' Z' W
    (Z of what comes after it, crossed columns, residuals), (S, L, V, C)."""

    root: FloatArray
    rest: FloatArray


@dataclass(frozen=True, kw_only=True)
class Eliminated:
    """What is left of the coefficients: log det A and residuals' sum of squares that they take up, (S, roots) each.

    ``crossed`` is as ``Step`` for all crossed coefficients together, (S, M', M') and (S, M', 1).
    """

    structure: Structure
    factors: tuple[FloatArray, ...]
    steps: tuple[Step, ...]
    crossed: Step
    log_det: FloatArray
    gain: FloatArray

    def coefficients(self, noise: Sequence[FloatArray] | None = None) -> list[FloatArray]:
        """Means of e given the rows, (S, L, V) for each factor, crossed ones last; with standard ``noise`` draws."""
        s, count = self.structure, len(self.structure.chain)
        z = None if noise is None else _side_by_side(noise[count:], len(self.gain))
        solution = backward(self.crossed.root, self.crossed.rest + (0.0 if z is None else z))[:, :, 0]
        crossed, start = [], 0
        for level, factor in zip(s.crossed, self.factors[count:], strict=True):
            size = level.size * factor.shape[2]
            crossed.append(solution[:, start : start + size].reshape(len(solution), level.size, -1))
            start += size
        values = [scaled(f, e) for f, e in zip(self.factors[count:], crossed, strict=True)]
        flat = np.concatenate([np.zeros((len(solution), 0)), *(v.reshape(len(v), -1) for v in values)], axis=1)
        chain: dict[int, FloatArray] = {}
        later: dict[int, FloatArray] = {}
        for f in reversed(range(count)):
            rest = self.steps[f].rest
            right, start = rest[..., -1].copy(), 0
            for g in range(f + 1, count):
                width = s.chain[g].width
                right -= (rest[..., start : start + width] @ later[g][:, s.parents[f][g], :, None])[..., 0]
                start += width
            if flat.shape[1]:
                right -= (rest[..., start:-1] @ flat[:, None, :, None])[..., 0]
            right += 0.0 if noise is None else noise[f]
            chain[f] = backward(self.steps[f].root, right[..., None])[..., 0]
            later[f] = scaled(self.factors[f], chain[f])
        return [*(chain[f] for f in range(count)), *crossed]

    def noise(self, rng: np.random.Generator) -> list[FloatArray]:
        """Standard normal numbers in the shape of the coefficients."""
        levels = (*self.structure.chain, *self.structure.crossed)
        return [
            rng.normal(size=(len(self.gain), level.size, factor.shape[2]))
            for level, factor in zip(levels, self.factors, strict=True)
        ]


def _side_by_side(parts: Sequence[FloatArray], draws: int) -> FloatArray:
    return np.concatenate([np.zeros((draws, 0)), *(p.reshape(draws, -1) for p in parts)], axis=1)[:, :, None]


def scaled(factor: FloatArray, e: FloatArray) -> FloatArray:
    """P e by level: (S, L, V) -> (S, L, K)."""
    return np.asarray((factor[:, None] @ e[..., None])[..., 0])


def eliminate(s: Structure, factors: Sequence[FloatArray], weight: FloatArray, gradient: FloatArray) -> Eliminated:
    """Eliminate all coefficients: P of each factor (S, K, V), weights of rows (S or 1, N), W times residuals (S, N)."""
    draws, count, total = len(gradient), len(s.chain), s.n_crossed
    blocks = [
        _by_draw(m, weight).reshape(-1, level.size, level.width, m.shape[0] // (level.size * level.width))
        for m, level in zip(s.products, s.chain, strict=True)
    ]
    right = [
        _by_draw(m, gradient).reshape(draws, level.size, level.width)
        for m, level in zip(s.columns, s.chain, strict=True)
    ]
    cc, cr = (
        _by_draw(s.crossed_products, weight).reshape(len(weight), total, total),
        _by_draw(s.crossed_columns, gradient),
    )
    log_det, gain, steps = np.zeros((draws, s.n_roots)), np.zeros((draws, s.n_roots)), []
    for f in range(count):
        step = _step(factors[f], blocks[f], right[f])
        start = 0
        for g in range(f + 1, count):
            width = s.chain[g].width
            lost = np.swapaxes(step.rest[..., start : start + width], -1, -2) @ step.rest[..., start:]
            lost = sum_by(lost, s.parents[f][g], s.chain[g].size)
            blocks[g], right[g] = blocks[g] - lost[..., :-1], right[g] - lost[..., -1]
            start += width
        if total:
            flat = step.rest[..., start:].reshape(draws, -1, total + 1)
            lost = np.swapaxes(flat[..., :-1], 1, 2) @ flat
            cc, cr = cc - lost[..., :-1], cr - lost[..., -1]
        log_det += sum_by(_log_det(step.root), s.roots[f], s.n_roots)
        gain += sum_by((step.rest[..., -1] ** 2).sum(axis=-1), s.roots[f], s.n_roots)
        steps.append(step)
    half = np.swapaxes(turned_crossed(s, factors, np.broadcast_to(cc, (draws, total, total))), 1, 2)
    full = turned_crossed(s, factors, half)
    root = np.linalg.cholesky(np.eye(full.shape[1]) + full)
    crossed = Step(root, forward(root, turned_crossed(s, factors, cr[..., None])))
    if total:
        log_det, gain = log_det + _log_det(root)[:, None], gain + (crossed.rest**2).sum(axis=(1, 2))[:, None]
    return Eliminated(
        structure=s, factors=tuple(factors), steps=tuple(steps), crossed=crossed, log_det=log_det, gain=gain
    )


def _by_draw(matrix: Any, rows: FloatArray) -> FloatArray:
    return np.asarray((matrix @ rows.T).T)


def _step(factor: FloatArray, block: FloatArray, right: FloatArray) -> Step:
    """One factor: ``block`` holds products with its own K columns first, then with the rest."""
    width = right.shape[2]
    left = turned(factor, block)
    root = np.linalg.cholesky(np.eye(factor.shape[2]) + left[..., :width] @ factor[:, None])
    residuals = turned(factor, right[..., None])
    rest = np.broadcast_to(left[..., width:], (*residuals.shape[:-1], left.shape[-1] - width))
    return Step(root, forward(root, np.concatenate([rest, residuals], axis=-1)))


def _log_det(root: FloatArray) -> FloatArray:
    return 2 * np.log(np.diagonal(root, axis1=-2, axis2=-1)).sum(axis=-1)
