"""How well chains mix: R-hat, effective sample sizes and Monte Carlo errors, of thousands of parameters at once.

Rank-normalised split R-hat, bulk and tail effective sample size and Monte Carlo standard errors of Vehtari et al.
(2021, 10.1214/20-BA1221), the numbers that ArviZ gives for each parameter by itself. Draws have shape (parameter,
chain, draw) throughout, results (parameter,); what cannot be computed is nan: of fewer than four draws, of draws that
are nan, and R-hat of one chain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hbm_stan.later import betaincinv
from hbm_stan.normal_quantile import normal_quantile
from hbm_stan.portions import portions
from hbm_stan.scratch import give_back
from hbm_stan.table import FloatArray

# Quantiles that summaries report; tail ESS is the smaller of the two at the ends.
QUANTILES = {"q05": 0.05, "q50": 0.5, "q95": 0.95}
WITH_QUARTILES = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}
# What draws have without being chains.
_PLAIN = {"mean", "sd", *QUANTILES}
# Fewer draws of a chain have no split halves to compare.
_LEAST_DRAWS = 4
# Numbers of draws that are worked on together: half a megabyte an array, which stays near the processor, whatever the
# number of parameters (measured: 16 MB take 1.4 times as long).
_BLOCK = 64_000
# Blom (1958): ranks become normal scores through (rank - 3/8) / (n + 1/4).
_BLOM = 3 / 8
# Draws that differ by less are one constant, to ArviZ: its chains have all their draws.
_CONSTANT = 1e-15
# One standard deviation to either side of a normal mean.
_ONE_SD = (0.1586553, 0.8413447)
# Pairs of lags that are looked at before all are: more than most chains need.
_FEW_PAIRS = 6


def diagnosed(draws: FloatArray) -> dict[str, FloatArray]:
    """What verdicts are made of: mean, sd, the error of the mean, bulk and tail ESS (that of both ends too), R-hat."""
    with np.errstate(all="ignore"):
        return _in_blocks(lambda block, _: _diagnosis(block), draws)


def summarised(
    draws: FloatArray, diagnostics: bool = True, known: Mapping[str, FloatArray] | None = None
) -> dict[str, FloatArray]:
    """Mean, sd and quantiles with their Monte Carlo errors, and where asked bulk and tail ESS and R-hat.

    ``known`` is what ``diagnosed`` gave of the same draws: it is not worked out again.
    """
    figures = diagnosed(draws) if known is None and diagnostics else known

    def summary(block: FloatArray, some: slice) -> dict[str, FloatArray]:
        own = _of_means(block, _split(block)) if figures is None else {n: v[some] for n, v in figures.items()}
        return _summary(block, own)

    with np.errstate(all="ignore"):
        return _in_blocks(summary, draws)


def ess_mean(draws: FloatArray) -> FloatArray:
    """Effective sample size of the mean."""
    return _alone(draws, lambda block: _ess(_split(block)))


def ess_bulk(draws: FloatArray) -> FloatArray:
    """Effective sample size of rank-normalised draws."""
    return _alone(draws, lambda block: _ess(_normal_scores(_split(block))))


def ess_spread(draws: FloatArray) -> FloatArray:
    """Effective sample size of rank-normalised distances from the median, of which R-hat looks at the means too.

    Half-chain by half-chain, added up: that half-chains differ makes it no smaller.
    """

    def within(block: FloatArray) -> FloatArray:
        halves = _split(block)
        scores = _Ranking.of(halves).folded().scores((-1, 1, halves.shape[2]))
        return np.asarray(_ess(scores).reshape(halves.shape[:2]).sum(axis=1))

    return _alone(draws, within)


def ebfmi(energy: FloatArray) -> FloatArray:
    """The energy Bayesian fraction of missing information of each chain, (chain,); energy (chain, draw).

    The mean squared change of the energy over its variance: Betancourt (2016), arXiv:1604.00695, eq. 15. It is not
    finite where the energy does not move.
    """
    with np.errstate(all="ignore"):
        return np.asarray(np.mean(np.diff(energy, axis=1) ** 2, axis=1) / np.var(energy, axis=1, ddof=1))


def mcse_mean(draws: FloatArray) -> FloatArray:
    """The Monte Carlo standard error of the mean."""
    return _alone(draws, lambda block: block.std(axis=(1, 2), ddof=1) / np.sqrt(_ess(_split(block))))


def _alone(draws: FloatArray, figure: Callable[[FloatArray], FloatArray]) -> FloatArray:
    if not len(draws):
        return np.empty(0)
    with np.errstate(all="ignore"):
        return _in_blocks(lambda block, _: {"figure": figure(block)}, np.asarray(draws, dtype=float))["figure"]


def _in_blocks(work: Callable[[FloatArray, slice], dict[str, FloatArray]], draws: FloatArray) -> dict[str, FloatArray]:
    """What a function of some parameters' draws and their places gives, of all parameters."""
    parts = []
    for some in portions(len(draws), draws[0].size, _BLOCK):
        block = draws[some]
        unknown = np.isnan(block).any(axis=(1, 2)) | (block.shape[2] < _LEAST_DRAWS)
        part = work(block, some)
        parts.append({name: v if name in _PLAIN else np.where(unknown, np.nan, v) for name, v in part.items()})
        give_back(draws)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _diagnosis(draws: FloatArray) -> dict[str, FloatArray]:
    halves = _split(draws)
    ranking = _Ranking.of(halves)
    # Of an odd number of draws halves leave out the one in the middle.
    flat = ranking.ordered if halves.size == draws.size else np.sort(draws.reshape(len(draws), -1), axis=1)
    figures = _of_means(draws, halves)
    for name in ("q05", "q95"):
        figures[f"ess_{name}"] = _ess_below(draws, np.quantile(flat, QUANTILES[name], axis=1))
    scores = ranking.scores(halves.shape)
    figures["ess_bulk"] = _ess(scores)
    figures["ess_tail"] = np.where(figures["ess_q95"] < figures["ess_q05"], figures["ess_q95"], figures["ess_q05"])
    figures["rhat"] = _rhat(scores, ranking) if draws.shape[1] > 1 else np.full(len(draws), np.nan)
    return figures


def _summary(draws: FloatArray, given: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """The columns of a summary, where ``_of_means`` or ``_diagnosis`` is given."""
    flat = np.sort(draws.reshape(len(draws), -1), axis=1)
    statistics = {name: given[name] for name in ("mean", "sd", "mcse_mean")}
    statistics["mcse_sd"] = _mcse_sd(draws, given["mean"])
    quantiles = np.quantile(flat, list(QUANTILES.values()), axis=1)
    for (name, prob), quantile in zip(QUANTILES.items(), quantiles, strict=True):
        known = given.get(f"ess_{name}")
        ess = _ess_below(draws, quantile) if known is None else known
        statistics |= {name: quantile, f"mcse_{name}": _mcse_quantile(flat, ess, prob)}
    return statistics | {name: given[name] for name in ("ess_bulk", "ess_tail", "rhat") if name in given}


def _of_means(draws: FloatArray, halves: FloatArray) -> dict[str, FloatArray]:
    mean, sd = draws.mean(axis=(1, 2)), draws.std(axis=(1, 2), ddof=1)
    return {"mean": mean, "sd": sd, "mcse_mean": sd / np.sqrt(_ess(halves))}


def _ess_below(draws: FloatArray, quantile: FloatArray) -> FloatArray:
    """Effective sample size of the share of draws up to a quantile."""
    return _ess(_split((draws <= quantile[:, None, None]).astype(float)))


def _split(draws: FloatArray) -> FloatArray:
    """Each chain as its first and its second half; of an odd number the draw in the middle is left out."""
    half = draws.shape[2] // 2
    return np.concatenate([draws[:, :, :half], draws[:, :, draws.shape[2] - half :]], axis=1)


class _Ranking(NamedTuple):
    """The draws of each parameter in ascending order, (parameter, all draws), and the place that each comes from."""

    ordered: FloatArray
    order: npt.NDArray[np.intp]

    @classmethod
    def of(cls, draws: FloatArray) -> _Ranking:
        """That of draws of chains together."""
        flat = draws.reshape(len(draws), -1)
        order = np.argsort(flat, axis=1)
        return cls(np.take_along_axis(flat, order, axis=1), order)

    def folded(self) -> _Ranking:
        """That of the distances from the median: they fall, then rise, which a stable sort is quick with."""
        size = self.ordered.shape[1]
        median = self.ordered[:, [(size - 1) // 2, size // 2]].mean(axis=1, keepdims=True)
        distances = np.abs(self.ordered - median)
        order = np.argsort(distances, axis=1, kind="stable")
        return _Ranking(*(np.take_along_axis(values, order, axis=1) for values in (distances, self.order)))

    def scores(self, shape: tuple[int, ...]) -> FloatArray:
        """Normal scores of the ranks, in the order of the draws."""
        flat = self.ordered
        size = flat.shape[1]
        # Ranks of ties are means: whole or half numbers, whose scores are worked out once for all parameters.
        scores = _blom(size)
        first = np.full(flat.shape, True)  # of equal draws
        first[:, 1:] = flat[:, 1:] != flat[:, :-1]
        twice = np.tile(np.arange(2, 2 * size + 1, 2), (len(flat), 1))
        for row in np.flatnonzero(~first.all(axis=1)):
            begin = np.flatnonzero(first[row])
            end = np.append(begin[1:], size)
            twice[row] = np.repeat(begin + 1 + end, end - begin)
        normal_scores = np.empty(flat.shape)
        np.put_along_axis(normal_scores, self.order, scores[twice - 2], axis=1)
        return normal_scores.reshape(shape)


@lru_cache(8)
def _blom(size: int) -> FloatArray:
    """The normal scores of the ranks 1, 1.5, 2 ... of so many draws."""
    halves = np.arange(2, 2 * size + 1) / 2
    return normal_quantile((halves - _BLOM) / (size - 2 * _BLOM + 1))


def _normal_scores(draws: FloatArray) -> FloatArray:
    return _Ranking.of(draws).scores(draws.shape)


def _rhat(scores: FloatArray, ranking: _Ranking) -> FloatArray:
    """The larger one of rank-normalised draws, and of their distances from the median."""
    bulk, tail = _plain_rhat(scores), _plain_rhat(ranking.folded().scores(scores.shape))
    return np.where(tail > bulk, tail, bulk)


def _plain_rhat(chains: FloatArray) -> FloatArray:
    n = chains.shape[2]
    between = n * chains.mean(axis=2).var(axis=1, ddof=1)
    within = chains.var(axis=2, ddof=1).mean(axis=1)
    return np.asarray(np.sqrt((between / within + n - 1) / n))


def _ess(chains: FloatArray) -> FloatArray:
    """Effective sample size by Geyer's initial monotone sequence of sums of neighbouring autocorrelations."""
    n_chains, n = chains.shape[1:]
    if n < _LEAST_DRAWS // 2:
        return np.full(len(chains), np.nan)
    means = chains.mean(axis=2, keepdims=True)
    centred = chains - means
    between = means[:, :, 0].var(axis=1, ddof=1) if n_chains > 1 else np.zeros(len(chains))
    pairs = max(1, (n - 1) // 2)  # the last lag is that of the pair before the end, as in ArviZ
    few = min(pairs, _FEW_PAIRS)
    tau, ended = _time(_first_autocovariances(centred, 2 * few), between, n)
    slow = ~ended
    if slow.any() and few < pairs:
        tau[slow] = _time(_autocovariances(centred[slow])[:, : 2 * pairs], between[slow], n)[0]
    size = n_chains * n
    ess = size / np.maximum(tau, 1 / np.log10(size))
    constant = chains.max(axis=(1, 2)) - chains.min(axis=(1, 2)) < _CONSTANT
    return np.asarray(np.where(constant, size, ess))


def _time(covariance: FloatArray, between: FloatArray, n: int) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """The autocorrelation time from the first lags, and whether the sequence ended within these."""
    variance = covariance[:, 0] * n / (n - 1)
    total = variance * (n - 1) / n + between
    correlation = 1 - (variance[:, None] - covariance) / total[:, None]
    correlation[:, 0] = 1
    even, sums = correlation[:, ::2], correlation[:, ::2] + correlation[:, 1::2]
    negative = ~(sums > 0)
    ended = negative.any(axis=1)
    last = np.where(ended, negative.argmax(axis=1), sums.shape[1] - 1)[:, None]
    before = np.arange(sums.shape[1]) < last
    tau = -1 + 2 * np.where(before, np.minimum.accumulate(sums, axis=1), 0).sum(axis=1)
    own, at_last = (np.take_along_axis(values, last, axis=1)[:, 0] for values in (even, sums))
    tau += np.where((own > 0) | (at_last >= 0), own, 0)
    return np.where(np.isnan(sums[:, 0]), np.nan, tau), ended  # infinite draws have no covariance


def _first_autocovariances(centred: FloatArray, lags: int) -> FloatArray:
    """Of the first lags, the mean over chains, (parameter, lag): most chains need no others."""
    n_chains, n = centred.shape[1:]
    sums = [np.einsum("pcn,pcn->p", centred[:, :, lag:], centred[:, :, : n - lag]) for lag in range(lags)]
    return np.asarray(np.stack(sums, axis=1) / (n_chains * n))


def _autocovariances(centred: FloatArray) -> FloatArray:
    """Of each lag, the mean over chains, (parameter, lag)."""
    n = centred.shape[2]
    length = 2 ** (2 * n - 1).bit_length()  # NumPy's own: to import SciPy's takes longer than most of these
    waves = np.fft.rfft(centred, n=length, axis=2)
    power = (waves.real**2 + waves.imag**2).mean(axis=1)
    return np.asarray(np.fft.irfft(power, n=length, axis=1)[:, :n] / n)


def _mcse_sd(draws: FloatArray, mean: FloatArray) -> FloatArray:
    square = (draws - mean[:, None, None]) ** 2
    variance = square.mean(axis=(1, 2))
    of_variance = ((square**2).mean(axis=(1, 2)) - variance**2) / _ess(_split(square))
    return np.asarray(np.sqrt(of_variance / variance / 4))


def _mcse_quantile(flat: FloatArray, ess: FloatArray, prob: float) -> FloatArray:
    """Half the distance of the order statistics that one standard error of the share below leads to."""
    size = flat.shape[1]
    low, high = (betaincinv(ess * prob + 1, ess * (1 - prob) + 1, p) * size - 1 for p in _ONE_SD)
    first = np.floor(np.fmax(low, 0)).astype(int)
    second = np.ceil(np.fmin(high, size - 1)).astype(int)
    below, above = (np.take_along_axis(flat, place[:, None], axis=1)[:, 0] for place in (first, second))
    return (above - below) / 2
