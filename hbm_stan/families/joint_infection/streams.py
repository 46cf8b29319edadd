"""The three streams: their columns, and what each counts given its linear predictor.

Eggs of so many people: the sum of negative binomial counts of one mean and size is one of so many times both (Johnson,
Kemp & Kotz 2005, Univariate Discrete Distributions, section 5.5). Blood tests: Rogan & Gladen (1978), American Journal
of Epidemiology 107:71. Snails: binomial.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hbm_stan.later import betainc, expit, gammaln, log_expit, xlogy
from hbm_stan.likelihoods.rising import log_rising
from hbm_stan.model import StanData
from hbm_stan.table import FloatArray

EGGS, BLOOD, SNAILS = 1, 2, 3  # the kinds of streams, as the programs count them
_LARGEST_LOG = 600.0  # of a mean that is squared
_LARGEST_MEAN = 1e9  # Stan's poisson_rng takes expected counts up to 2^30
ROWS = ("kind", "trials", "examined", "sensitivity", "specificity")  # data of each row


@dataclass(frozen=True, kw_only=True)
class Stream:
    """A stream: its kind and name, the role of its count, of what that is out of, and of further columns it needs."""

    kind: int
    name: str
    count: str
    out_of: str
    also: tuple[str, ...] = ()
    counts: str = ""  # what is counted, in words


# The first that a table has gives the intensity its unit.
STREAMS = (
    Stream(kind=EGGS, name="eggs", count="eggs", out_of="examined", counts="eggs"),
    Stream(kind=BLOOD, name="blood", count="positive", out_of="blood_tests", also=("sensitivity", "specificity"),
           counts="positive blood tests"),
    Stream(kind=SNAILS, name="snails", count="infected", out_of="snails", counts="infected snails"),
)  # fmt: skip
BY_KIND = {stream.kind: stream for stream in STREAMS}


def of_kinds(data: StanData) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """The kinds of the rows, each with its rows (counted from 0)."""
    kind = np.asarray(data["kind"])
    for one in (EGGS, BLOOD, SNAILS):
        if (rows := np.flatnonzero(kind == one)).size:
            yield one, rows


def numbers(data: StanData, rows: Any) -> dict[str, FloatArray]:
    """What the rows were counted from, as numbers, by name of the datum; ``y`` too."""
    return {name: np.asarray(data[name], dtype=float)[rows] for name in ("y", *ROWS)}


def share_positive(eta: FloatArray, row: Mapping[str, FloatArray]) -> FloatArray:
    """The probability of a positive blood test where the log odds of an infection are eta."""
    return np.asarray(row["sensitivity"] * expit(eta) + (1 - row["specificity"]) * expit(-eta))


def size_of(row: Mapping[str, FloatArray], overdispersion: FloatArray) -> FloatArray:
    """The size of the negative binomial count of all people examined, overdispersion (S, 1)."""
    return np.asarray(row["examined"] / overdispersion**2)


def constant(kind: int, row: Mapping[str, FloatArray], overdispersion: FloatArray) -> FloatArray:
    """What log p(y) has beside ``kernel``, which does not depend on eta: (S, n) of eggs, else (n,)."""
    y, trials = row["y"], row["trials"]
    if kind == EGGS:
        size = size_of(row, overdispersion)
        rising = log_rising(size, np.broadcast_to(y, size.shape))
        return np.asarray(rising + xlogy(y, row["examined"]) - gammaln(y + 1))
    return np.asarray(gammaln(trials + 1) - gammaln(y + 1) - gammaln(trials - y + 1))


def kernel(kind: int, eta: FloatArray, row: Mapping[str, FloatArray], overdispersion: FloatArray) -> FloatArray:
    """log p(y | eta) but for ``constant``, eta (..., n)."""
    y, trials = row["y"], row["trials"]
    if kind == EGGS:
        ratio = overdispersion**2 * np.exp(np.minimum(eta, _LARGEST_LOG))  # the mean over the size
        return np.asarray(y * eta - (y + size_of(row, overdispersion)) * np.log1p(ratio))
    if kind == SNAILS:
        return np.asarray(y * log_expit(eta) + (trials - y) * log_expit(-eta))
    infected, free = log_expit(eta), log_expit(-eta)
    with np.errstate(divide="ignore"):
        log_se, log_sp = np.log(row["sensitivity"]), np.log(row["specificity"])
        missed, false = np.log1p(-row["sensitivity"]), np.log1p(-row["specificity"])
    positive, negative = np.logaddexp(log_se + infected, false + free), np.logaddexp(missed + infected, log_sp + free)
    return np.asarray(y * positive + (trials - y) * negative)


def slope_and_curvature(
    kind: int, eta: FloatArray, row: Mapping[str, FloatArray], overdispersion: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The derivative of ``kernel`` and the information on eta, which is not negative, (S, n) each.

    Of blood tests the information is the expected one: their log density need not be concave.
    """
    y, trials = row["y"], row["trials"]
    if kind == EGGS:
        ratio = overdispersion**2 * np.exp(np.minimum(eta, _LARGEST_LOG))
        whole = (y + size_of(row, overdispersion)) * ratio / (1 + ratio)
        return y - whole, whole / (1 + ratio)
    p, r = expit(eta), expit(-eta)
    if kind == SNAILS:
        return y - trials * p, trials * p * r
    q, change = share_positive(eta, row), (row["sensitivity"] + row["specificity"] - 1) * p * r
    none = np.finfo(float).tiny
    ratio = change / np.maximum(q * (1 - q), none)
    return (y - trials * q) * ratio, trials * change * ratio


def log_counts(eta: FloatArray, data: StanData, overdispersion: FloatArray) -> FloatArray:
    """log p(y_n | eta_n) of all rows, (S, N), overdispersion (S, 1)."""
    log_p = np.empty(np.broadcast_shapes(eta.shape, (len(overdispersion), 1)))
    for kind, rows in of_kinds(data):
        row = numbers(data, rows)
        log_p[:, rows] = kernel(kind, eta[:, rows], row, overdispersion) + constant(kind, row, overdispersion)
    return log_p


def draw_counts(rng: np.random.Generator, eta: FloatArray, data: StanData, overdispersion: FloatArray) -> FloatArray:
    """A count of each row, (S, N)."""
    y = np.empty(eta.shape)
    for kind, rows in of_kinds(data):
        row, own = numbers(data, rows), eta[:, rows]
        if kind == EGGS:
            spread = np.broadcast_to(size_of(row, overdispersion), own.shape)
            mean = row["examined"] * np.exp(np.minimum(own, _LARGEST_LOG))
            y[:, rows] = rng.poisson(np.minimum(mean * rng.gamma(spread, 1 / spread), _LARGEST_MEAN))
        else:
            share = share_positive(own, row) if kind == BLOOD else expit(own)
            y[:, rows] = rng.binomial(row["trials"].astype(np.int64), np.clip(share, 0, 1))
    return y


def moments(eta: FloatArray, data: StanData, overdispersion: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of each row, (S, N) each."""
    mean, variance = np.empty(eta.shape), np.empty(eta.shape)
    for kind, rows in of_kinds(data):
        row, own = numbers(data, rows), eta[:, rows]
        if kind == EGGS:
            mean[:, rows] = row["examined"] * np.exp(np.minimum(own, _LARGEST_LOG / 2))
            variance[:, rows] = mean[:, rows] + mean[:, rows] ** 2 / size_of(row, overdispersion)
        else:
            share = share_positive(own, row) if kind == BLOOD else expit(own)
            mean[:, rows], variance[:, rows] = row["trials"] * share, row["trials"] * share * (1 - share)
    return mean, variance


def below(
    kind: int, eta: FloatArray, row: Mapping[str, FloatArray], overdispersion: FloatArray
) -> FloatArray:  # fmt: skip
    """The probability of less than what was counted, and half that of as much (the mid-p value), (..., n)."""
    y, trials = row["y"], row["trials"]
    log_p = kernel(kind, eta, row, overdispersion) + constant(kind, row, overdispersion)
    if kind == EGGS:
        size = size_of(row, overdispersion)
        share = 1 / (1 + overdispersion**2 * np.exp(np.minimum(eta, _LARGEST_LOG)))
        at_most = betainc(np.broadcast_to(size, share.shape), y + 1, share)
    else:
        share = share_positive(eta, row) if kind == BLOOD else expit(eta)
        at_most = np.where(y < trials, betainc(np.maximum(trials - y, 0.5), y + 1, 1 - share), 1.0)
    return np.asarray(np.clip(at_most - np.exp(log_p) / 2, 0, 1))
