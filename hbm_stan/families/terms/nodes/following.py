"""The posterior of a population with the coefficients of its groups integrated out by nodes that follow it.

For few groups, whose rows do not say how far they spread: for each population nodes are laid about the mode of each
group given it (Pinheiro & Bates 1995, Journal of Computational and Graphical Statistics 4:12, section 2.4). Columns
that do not vary between groups move the rows of all; their coefficients are coordinates as those of others are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from hbm_stan.families.terms.effects import shared_columns
from hbm_stan.families.terms.nodes.density import features_of, in_features, laid_about, slopes_of
from hbm_stan.families.terms.nodes.effects import (
    LEFT,
    MOVES,
    WIDE,
    Coefficients,
    Populations,
    Proposed,
    Shape,
    left_after,
    move,
)
from hbm_stan.families.terms.nodes.levels import GroupRows, Modes, find_level_modes
from hbm_stan.families.terms.nodes.population import PopulationPrior
from hbm_stan.integrate.structure import IntArray
from hbm_stan.likelihoods.likelihood import Likelihood
from hbm_stan.model import StanData
from hbm_stan.resources import cores
from hbm_stan.table import FloatArray

_ARRIVED = 0.1  # sds of a group's coefficients: nodes need not lie at the mode itself
_AT_ONCE = 20_000  # rows times populations at a time: what a processor holds near (measured)


@dataclass(frozen=True, kw_only=True)
class Shared:
    """Common columns that do not vary between groups: rows (N, P') and their places among all common columns."""

    columns: FloatArray
    places: IntArray


def rows_of_cells(likelihood: Likelihood, data: StanData) -> tuple[GroupRows, Shared]:
    """The cells of data, rows alike in all but their outcome, in the order of groups."""
    cells = np.asarray(data["cell_row"], dtype=np.int64) - 1
    level = np.asarray(data["level"]).reshape(data["T"], -1)[:, cells]
    summed = {name.removeprefix("cell_"): values for name, values in data.items() if name.startswith("cell_")}
    some = {**data, **summed, "level": level, "N": len(cells)}
    some |= {name: np.asarray(data[name])[cells] for name in ("X", "Z", "offset_")}
    groups, places = GroupRows.of(likelihood, some), shared_columns(data)
    order = np.argsort(level[0], kind="stable")
    columns = np.asarray(some["X"], dtype=float).reshape(len(cells), -1)[order][:, places]
    return groups, Shared(columns=columns, places=places)


@dataclass(frozen=True, kw_only=True)
class _Laid:
    """Nodes about the modes given each of n populations: log integrals (n, J), shares of nodes in them (n, J, M)."""

    groups: GroupRows
    modes: Modes
    theta: FloatArray
    integral: FloatArray
    shares: FloatArray


class Following:
    """The log posterior density of a population at coordinates (n, d), with its gradient, by ``count`` nodes in each
    direction. Coordinates are those of ``PopulationPrior`` about ``centre`` in units of ``scale``, (d, d)."""

    def __init__(
        self, groups: GroupRows, shared: Shared, prior: PopulationPrior, centre: FloatArray, scale: FloatArray,
        count: int,
    ) -> None:  # fmt: skip
        self._groups, self._shared, self.prior, self._count = groups, shared, prior, count
        self._centre, self._scale = centre, scale

    def about(self, centre: FloatArray, scale: FloatArray) -> Following:
        """The same density in other coordinates."""
        return Following(self._groups, self._shared, self.prior, centre, scale, self._count)

    def by(self, count: int) -> Following:
        """The same density by another number of nodes."""
        return Following(self._groups, self._shared, self.prior, self._centre, self._scale, count)

    def coordinates(self, points: FloatArray) -> FloatArray:
        """The coordinates of the prior at points (n, d)."""
        return self._centre + points @ self._scale.T

    def __call__(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The log density (n,), minus infinity where rounding leaves none, and its gradient (n, d)."""
        x = self.coordinates(points)
        values, slopes = np.full(len(x), -np.inf), np.zeros(x.shape)

        def fill(part: IntArray, laid: _Laid) -> None:
            values[part], slopes[part] = self._value(x[part], laid), self._slopes(x[part], laid)

        self._in_pieces(x, fill)
        return values, slopes @ self._scale

    def values(self, points: FloatArray) -> FloatArray:
        """The log density alone, (n,): slopes of shared columns take as long as it does."""
        x = self.coordinates(points)
        values = np.full(len(x), -np.inf)

        def fill(part: IntArray, laid: _Laid) -> None:
            values[part] = self._value(x[part], laid)

        self._in_pieces(x, fill)
        return values

    def _in_pieces(self, x: FloatArray, fill: Callable[[IntArray, _Laid], None]) -> None:
        places = np.flatnonzero(self.prior.is_population(x))
        number = math.ceil(len(places) * len(self._groups.columns) / _AT_ONCE)

        def lay(part: IntArray) -> None:
            with np.errstate(all="ignore"):  # what is no number is far from all rows
                fill(part, self._laid(x[part]))

        with ThreadPoolExecutor(cores()) as pool:
            list(pool.map(lay, np.array_split(places, number) if len(places) else ()))

    def _value(self, x: FloatArray, laid: _Laid) -> FloatArray:
        return np.asarray(laid.integral.sum(axis=1) + self.prior.log_density(x))

    def _slopes(self, x: FloatArray, laid: _Laid) -> FloatArray:
        mean = self._populations(x).mean
        # Counted from the mean: of groups that hardly differ, squares of coefficients would leave nothing but rounding.
        along = np.einsum("njm,njmf->nf", laid.shares, features_of(laid.theta - mean[:, None, None]))
        slopes = slopes_of(self.prior, x, along, laid.groups.n_groups, mean)
        slopes[:, self._shared.places] += self._slopes_of_shared(laid)
        return slopes

    def _modes(self, x: FloatArray, populations: Populations) -> tuple[GroupRows, Modes]:
        """The rows with what shared columns add to them, and the modes of groups, given each population."""
        beta, groups = x[:, self._shared.places], self._groups
        groups = replace(groups, offset=groups.offset + beta @ self._shared.columns.T)
        start = np.repeat(populations.mean[:, None], groups.n_groups, axis=1)
        return groups, find_level_modes(groups, populations.mean, populations.precision, start, _ARRIVED)

    def _laid(self, x: FloatArray) -> _Laid:
        populations = self._populations(x)
        groups, modes = self._modes(x, populations)
        theta, log_rows = laid_about(groups, modes, self._count)
        weights, constant = in_features(np.zeros_like(populations.mean), populations.factor)
        terms = log_rows + np.einsum("njmf,nf->njm", features_of(theta - populations.mean[:, None, None]), weights)
        top = terms.max(axis=2, keepdims=True)
        np.exp(np.subtract(terms, top, out=terms), out=terms)
        total = terms.sum(axis=2, keepdims=True)
        integral = (np.log(total) + top)[..., 0] + constant[:, None]
        return _Laid(groups=groups, modes=modes, theta=theta, integral=integral, shares=terms / total)

    def _slopes_of_shared(self, laid: _Laid) -> FloatArray:
        """Derivatives by the coefficients of shared columns, (n, P'): the expected scores of rows times these."""
        if not len(self._shared.places):
            return np.zeros((len(laid.integral), 0))
        rows = self._groups
        score = np.zeros((len(laid.integral), len(rows.columns)))
        for m in range(laid.theta.shape[2]):
            of_rows = rows.likelihood.score(laid.groups.eta(laid.theta[:, :, m]), rows.rows, {})
            score += np.repeat(laid.shares[:, :, m], rows.sizes, axis=1) * of_rows
        return np.asarray(score @ self._shared.columns)

    def _populations(self, x: FloatArray) -> Populations:
        beta, tau, partial = self.prior.split(x)
        return Populations(self.prior.mean(beta), self.prior.factor(tau, partial))

    def coefficients(self, rng: np.random.Generator, points: FloatArray) -> Coefficients:
        """The coefficients of all groups given their rows and the population at each point (S, d).

        Each draw's proposals lie about the modes given its own population, and their weights are known, not relative:
        the integrals are. As many follow as leave less than ``LEFT`` of first ones, or all that there may be.
        """
        x, size = self.coordinates(points), len(self.prior.tau)
        theta = np.empty((len(x), self._groups.n_groups, size))
        weights = np.empty(theta.shape[:2])
        number = max(1, math.ceil(len(x) * len(self._groups.columns) / _AT_ONCE))
        pieces = np.array_split(np.arange(len(x)), number)
        streams = [own.spawn(2) for own in rng.spawn(number)]  # the same in however many threads

        def begin(i: int) -> None:
            laid, given = self._laid(x[pieces[i]]), self._populations(x[pieces[i]])
            about = _proposals(laid.modes)
            theta[pieces[i]], began = move(streams[i][0], laid.groups, about, given, None, MOVES[0])
            weights[pieces[i]] = began - _constants(about, given) - laid.integral

        def go_on(i: int) -> None:
            given = self._populations(x[pieces[i]])  # integrals are known by now: no nodes are laid
            groups, modes = self._modes(x[pieces[i]], given)
            about = _proposals(modes)
            theta[pieces[i]], _ = move(streams[i][1], groups, about, given, theta[pieces[i]], moves - MOVES[0])

        with ThreadPoolExecutor(cores()) as pool:
            list(pool.map(begin, range(number)))
            left = {moves: float(left_after(weights, moves).max()) for moves in MOVES}
            moves = next((moves for moves in MOVES if left[moves] <= LEFT), MOVES[-1])
            if moves > MOVES[0]:
                list(pool.map(go_on, range(number)))
        return Coefficients(theta, left[moves])


def _proposals(modes: Modes) -> Proposed:
    return Proposed(modes.theta, Shape.of(modes.precision, WIDE))


def _constants(about: Proposed, populations: Populations) -> FloatArray:
    """What the log weights of ``move`` lack that differs between draws and groups, (S, J) or (S, 1)."""
    factors = (about.shape.root, populations.factor)
    of_root, of_population = (np.log(np.diagonal(matrix, axis1=-2, axis2=-1)).sum(axis=-1) for matrix in factors)
    return np.asarray(of_root + of_population[:, None])
