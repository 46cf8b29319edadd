"""Integrals of curves: noisy estimates at points with known errors, a Gaussian process over each curve, its integral.

Written from Rasmussen & Williams (2006), Gaussian Processes for Machine Learning, chapters 2, 4 and 5, and O'Hagan
(1991), Bayes-Hermite quadrature, Journal of Statistical Planning and Inference 29:245, not from the Stan programs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hbm_stan.families.gp_integral.columns import check_curves, coords, default_priors, prepare, raw, unlearnable
from hbm_stan.families.gp_integral.curves import draw_curves
from hbm_stan.families.gp_integral.density import latent, log_joint, prior_draws, simulate, support, transformed
from hbm_stan.families.gp_integral.evidence import exact_loo, prior_group_log_lik
from hbm_stan.families.gp_integral.findings import findings
from hbm_stan.families.gp_integral.left_out import (
    given_rows,
    group_log_lik,
    group_loo_log_lik,
    loo_log_lik,
    loo_rep,
    pointwise,
    settle,
    shrinkage_factor,
)
from hbm_stan.families.gp_integral.new_curves import curve_at, new_group
from hbm_stan.families.gp_integral.variants import PRIOR_ROWS, VARIANTS
from hbm_stan.model import Family, Groups, Option, Programs, StanData, Twin, Words
from hbm_stan.prepare import Role
from hbm_stan.resources import share


def _new_row(data: StanData, options: Mapping[str, Any]) -> tuple[StanData, str]:
    """One estimate of a new curve, at the point and with the error of the options, or of the data's middle."""
    x = float(options.get("point", np.mean(data["limits"])))
    se = float(options.get("standard_error", np.median(data["se"])))
    design = {**data, "N": 1, "J": 1, "group_idx": np.array([1]), "x": np.array([x]), "y": np.zeros(1),
              "se": np.array([se])}  # fmt: skip
    return design, f"estimate of a new {{group}} at {x:g}, measured with standard error {se:.3g}"


_ERROR = "An estimate without error cannot be: where it was not estimated, take half the last digit that is written."
_BY_GROUP = (
    "theta",
    *(f"{n}_group{raw_}" for n in ("amplitude", "length_scale") for raw_ in ("", "_raw")),
    "level_group",
)

FAMILY = Family(
    name="gp_integral",
    roles=(
        Role(name="group", kind="label", meaning="name of the curve"),
        Role(name="point", kind="number", meaning="where the function was estimated, such as lambda", integrated=True),
        Role(name="estimate", kind="number", meaning="estimate of the function there, such as dU/dlambda"),
        Role(name="standard_error", kind="positive", meaning="standard error of the estimate, taken as known",
             optional=True, instead=(("variance",), ("lower", "upper")), advice=_ERROR),
        Role(name="variance", kind="positive", meaning="variance of the estimate, instead of its standard error",
             optional=True, advice=_ERROR),
        Role(name="lower", kind="number",
             meaning="lower limit of the estimate, with upper instead of its standard error", optional=True),
        Role(name="upper", kind="number", meaning="upper limit of the estimate", optional=True),
    ),
    outcomes=("estimate",), known_residual=True, check_table=check_curves,
    programs=Programs(
        variants=VARIANTS, prior_rows=PRIOR_ROWS,
        dims={
            **dict.fromkeys(_BY_GROUP, ("group",)), "slope_group": ("group",), "slope": ("trend",),
            "slope_sd": ("trend",), "slope_sd_raw": ("trend",), "f": ("observation",), "y_rep": ("observation",),
            "log_lik": ("observation",),
        },
        population=("mu", "tau", "level_sd", "slope", "slope_sd", "amplitude", "length_scale"),
        folder=share("stan") / "gp_integral", prepare=prepare, default_priors=default_priors, coords=coords,
        unlearnable=unlearnable, draw_groups=draw_curves,
    ),
    twin=Twin(
        calibration={
            "level": "normal(20, 8)", "level_sd": "gamma(4, 0.5)", "slope": "normal(-20, 5)",
            "slope_sd": "gamma(4, 0.5)", "amplitude": "gamma(6, 0.8)", "length_scale": "lognormal(-1, 0.4)",
        },
        log_joint=log_joint, support=support, transformed=transformed, prior_draws=prior_draws, simulate=simulate,
        latent=latent, pointwise=pointwise,
    ),
    groups=Groups(
        prediction={
            "point": Option("of an estimate of a new curve; by default the middle of the interval", "number"),
            "standard_error": Option("of an estimate of a new curve; by default the median of the data"),
            "next_standard_error": Option("of one more estimate, whose place is sought; by default a curve's median",
                                          of_row=False),
        },
        new_group=new_group, new_row=_new_row, raw=raw, shrinkage_factor=shrinkage_factor, group_log_lik=group_log_lik,
        group_loo_log_lik=group_loo_log_lik, loo_log_lik=loo_log_lik, given_rows=given_rows, settle=settle,
        row_data={"point": "x"}, expected_of_rows=lambda draws, _data: draws["f"], curve_at=curve_at,
        loo_rep=loo_rep, exact_loo=exact_loo, prior_group_log_lik=prior_group_log_lik,
    ),
    words=Words(
        title="Integrals of curves: a Gaussian process over estimates",
        citation="Rasmussen and Williams (2006), Gaussian Processes for Machine Learning; O'Hagan (1991), Journal of "
        "Statistical Planning and Inference 29:245.",
        likelihood=('y_n tilde "normal"(f_(j[n]) (x_n), "se"_n), quad n = 1, dots, N',), group_meaning="integral",
        findings=findings,
    ),
)  # fmt: skip
