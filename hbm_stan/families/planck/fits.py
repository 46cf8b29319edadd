"""What least squares says of each spectrum: raw temperatures, how well they are known, which form that calls for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hbm_stan.families.planck.curve import planck_curve
from hbm_stan.model import Draws, StanData
from hbm_stan.table import FloatArray


def index(data: StanData) -> Any:
    """The group of each row, counted from 0."""
    return np.asarray(data["group_idx"]) - 1


def rule(data: StanData) -> tuple[str, str]:
    """Centered, unless most temperatures are known no better than they differ."""
    known = np.asarray(data["T_information"]) > 0
    error = np.where(known, _residual(data) / np.sqrt(np.where(known, data["T_information"], 1)), np.inf)
    spread = float(np.std(np.log(np.asarray(data["T_fit"])[known]))) if known.any() else 0.0
    share = float(np.mean(~(error < spread)))
    if share > 0.5:
        return "partial_pooling_noncentered", f"{share:.0%} of spectra give T no better than temperatures differ"
    return "partial_pooling", f"{1 - share:.0%} of spectra give T better than temperatures differ"


def raw(data: StanData) -> tuple[FloatArray, FloatArray]:
    """T of each group by least squares; its standard error from the curvature and the residuals of all groups."""
    known = np.asarray(data["T_information"]) > 0
    estimate = np.where(known, data["T_fit"], np.nan)
    sigma = _residual(data)
    with np.errstate(divide="ignore"):
        return estimate, np.where(known, estimate * sigma / np.sqrt(data["T_information"]), np.nan)


def _residual(data: StanData) -> float:
    """Residual sd of the least squares fits, all groups together; nan where there are no more rows than groups."""
    known = np.asarray(data["T_information"]) > 0
    residual = (
        np.asarray(data["y"]) - planck_curve(np.asarray(data["nu"]), np.asarray(data["T_fit"])[index(data)])
    ) ** 2
    rows = known[index(data)]
    freedom = int(rows.sum() - known.sum())
    return math.sqrt(residual[rows].sum() / freedom) if freedom > 0 else math.nan


def shrinkage_factor(draws: Draws, data: StanData) -> FloatArray | None:
    """Weight of the population near the fit: precision of T in it over that and the curvature's; 1 without a fit."""
    if "tau" not in draws:
        return None
    information = np.asarray(data["T_information"]) / np.asarray(data["T_fit"]) ** 2
    precision = draws["tau"][:, None] ** -2.0
    return np.asarray(precision / (precision + information / draws["sigma"][:, None] ** 2))
