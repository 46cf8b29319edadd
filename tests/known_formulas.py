"""Posteriors of formulas in closed form: with known scales all coefficients are normal, crossed factors too."""

from __future__ import annotations

import gaussian_quadrature as gaussian
import numpy as np
from known_posteriors import KNOWN, Reference, builds, frame, indicators, known, reference


@builds("penicillin-crossed_known_scales")
def _() -> Reference:
    given, (sigma, tau, sd) = frame("penicillin"), (0.55, 0.85, 2.0)
    y, se = given["diameter_mm"].to_numpy(float), np.full(len(given), sigma)
    plates, own = indicators(given["plate"])
    samples, other = indicators(given["sample"])
    n, m, one = len(plates), len(samples), np.ones((len(y), 1))
    unit = np.eye(1 + n + m)
    effect = {f"effect[sample: {s}, intercept]": unit[1 + n + k] for k, s in enumerate(samples)}
    theta = {f"theta[{p}, intercept]": unit[0] + unit[1 + j] for j, p in enumerate(plates)}
    partial = gaussian.given_scales(
        np.hstack([one, own, other]), y, se, np.array([20.0] + [0.0] * (n + m)),
        np.array([10.0] + [tau] * n + [sd] * m), {"beta[intercept]": unit[0], **theta, **effect},
    )  # fmt: skip
    kept = np.r_[0, 1 + n : 1 + n + m]
    complete = gaussian.given_scales(
        np.hstack([one, other]), y, se, np.array([20.0] + [0.0] * m), np.array([10.0] + [sd] * m),
        {"beta[intercept]": unit[0][kept], **{name: row[kept] for name, row in effect.items()}},
    )  # fmt: skip
    alone = {f"theta[{p}, intercept]": unit[1 + j][1:] for j, p in enumerate(plates)}
    mean = np.r_[np.full(n, 1 / n), np.zeros(m)]
    no = gaussian.given_scales(
        np.hstack([own, other]), y, se, np.array([20.0] * n + [0.0] * m), np.array([20.0] * n + [sd] * m),
        {"beta[intercept]": mean, **alone, **{name: row[1:] for name, row in effect.items()}},
    )  # fmt: skip
    priors = {"beta": "normal(20, 10)", "theta": "normal(20, 20)", "tau": known(tau), "sd": known(sd)}
    return reference(
        "Penicillin, plates crossed with samples, known scales", "closed form", f"all is normal given scales. {KNOWN}",
        "normal", "penicillin", {}, {**priors, "sigma": known(sigma)},
        [(["complete_pooling"], complete), (["no_pooling"], no), (["partial_pooling"], partial)],
        formula="diameter_mm ~ 1 + (1 | plate) + (1 | sample)",
    )  # fmt: skip


@builds("bcg-latitude_known_scale")
def _() -> Reference:
    given, tau = frame("bcg"), 0.3
    y, se = given["log_risk_ratio"].to_numpy(float), given["standard_error"].to_numpy(float)
    trials, own = indicators(given["trial_name"])
    x = np.column_stack([np.ones(len(y)), given["latitude"].to_numpy(float)])
    n, unit = len(trials), np.eye(2 + len(trials))
    beta = {"beta[intercept]": unit[0], "beta[latitude]": unit[1]}
    theta = {f"theta[{t}, intercept]": unit[0] + unit[2 + j] for j, t in enumerate(trials)}
    partial = gaussian.given_scales(
        np.hstack([x, own]), y, se, np.zeros(2 + n), np.array([1.0, 0.1] + [tau] * n), {**beta, **theta}
    )
    complete = gaussian.given_scales(
        x, y, se, np.zeros(2), np.array([1.0, 0.1]), {name: row[:2] for name, row in beta.items()}
    )
    alone = {f"theta[{t}, intercept]": unit[2 + j][1:] for j, t in enumerate(trials)}
    no = gaussian.given_scales(
        np.hstack([x[:, 1:], own]), y, se, np.zeros(1 + n), np.array([0.1] + [2.0] * n),
        {"beta[intercept]": np.r_[0.0, np.full(n, 1 / n)], "beta[latitude]": unit[1][1:], **alone},
    )  # fmt: skip
    return reference(
        "BCG vaccine by latitude, known scale", "closed form", f"all is normal given tau = {tau:g}. {KNOWN}",
        "estimates", "bcg", {},
        {"beta[intercept]": "normal(0, 1)", "beta[latitude]": "normal(0, 0.1)", "theta": "normal(0, 2)",
         "tau": known(tau)},
        [(["complete_pooling"], complete), (["no_pooling"], no), (["partial_pooling"], partial)],
        formula="log_risk_ratio | se(standard_error) ~ latitude + (1 | trial_name)", centre=False,
    )  # fmt: skip
