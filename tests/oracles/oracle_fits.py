"""Maximum likelihood from our own densities: whether a published maximum is one, by a Newton step from it.

``fits/fits.json`` are fits of published analyses by lme4, nlme, glmmTMB and metafor on R (versions stand there), data
beside it, from Debian's packages of R: lme4 Arabidopsis, cake, VerbAgg; MASS bacteria; nlme Oats, Oxide, Pixel,
ergoStool; mlmRev Chem97, guImmun, Hsb82, Mmmec, ScotsSec, Contraception; metadat dat.bcg, dat.konstantopoulos2011,
dat.nielweise2007, dat.raudenbush1985; glmmTMB Salamanders; lme4 Dyestuff, Dyestuff2, Pastes, Penicillin, sleepstudy.
``fits/fits_of_likelihoods.R`` made those of gamma, beta and beta-binomial rows, of counts with extra zeros and of
ordered categories, of R's Indometh, CO2, ChickWeight, state.x77, UCBAdmissions, nlme Gasoline, MASS OME, lme4 cbpp and
VerbAgg (100 persons), ordinal wine and soup, and glmmTMB Owls (Roulin & Bersier 2007, Animal Behaviour 74:1099; Zuur,
Ieno, Walker, Saveliev & Smith 2009, Mixed Effects Models and Extensions in Ecology with R).

``fits/peers.json`` are figures that other programs test themselves with. statsmodels (BSD-3, its tests of mixed
models): lme4's answers on 12 simulated data sets, with the mean and covariance of the first group's coefficients given
its rows. PyMARE (MIT, tests/data/metafor_reference.json): metafor 4.6.0 on four designs. SASmixed's vignette "lme for
SAS PROC MIXED users" (D. Bates, with lme4 of 2004): data of Littell, Milliken, Stroup & Wolfinger 1996, SAS System for
Mixed Models; correlations, printed there with three digits, are those of lme4 1.1.31 that round to them.
MixedModels.jl (MIT, test/pls.jl and test/pirls.jl): log likelihoods at maxima of lme4 1.1.31 (grouse ticks of Elston,
Moss, Boulinier, Arrowsmith & Lambin 2001, Parasitology 122:563, in lme4), and Goldstein's counts. ``digits`` are those
that a log likelihood is printed with.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from formula_data import data_of

from hbm_stan.data import Dataset
from hbm_stan.design import Design
from hbm_stan.families.terms import closed_form, integrals
from hbm_stan.families.terms.density import own_of
from hbm_stan.families.terms.effects import middle, terms_of
from hbm_stan.families.terms.factors import groupings, in_order
from hbm_stan.formula.parse import parse
from hbm_stan.formula.read import left_values, read_structure
from hbm_stan.integrate import Integrand, log_laplace
from hbm_stan.integrate.structure import structure
from hbm_stan.likelihoods import likelihood
from hbm_stan.likelihoods.likelihood import Likelihood
from hbm_stan.ordered import read_ordered

ORACLE = Path(__file__).parent / "fits"
FITS: dict[str, dict[str, Any]] = {
    fit["id"]: fit for name in ("fits", "peers") for fit in json.loads((ORACLE / f"{name}.json").read_text())
}
# Steps of differences: in standard errors of a coefficient, in logs of a scale or transformed correlations.
STEP, LOG_STEP = 0.02, 0.005
# Four significant digits. Two programs for the same mixed model that is not normal (lme4's glmer, glmmTMB) are up to
# 0.004 standard errors apart. Log likelihoods of closed forms and by quadrature agree to eight digits, those by the
# method of Laplace, whose modes lme4 finds to about 1e-7, to six.
DIGITS, MIXED_ERRORS, EXACT, LAPLACE = 5e-4, 0.004, 1e-8, 1e-6
CURVE = 1e-5  # a step of differences in eta
ZERO = 1e-4  # a scale below so much of the residual one is at its bound


@dataclass(frozen=True)
class Published:
    """A published maximum in our parameters: coefficients of centred columns, logs of scales, correlations."""

    design: Design
    data: dict[str, Any]
    fit: dict[str, Any]

    @property
    def coefficients(self) -> np.ndarray:
        """Common coefficients at the means of the columns; where only the last one is published, the best with it.

        Coefficients of the likelihood's own columns follow them, or thresholds, which move as an intercept would.
        """
        beta = np.array([value for value, _ in self.fit["fixed"].values()])
        if len(beta) < self.data["P"]:
            return self._with_others(beta[-1])
        if "threshold" in self.fit:
            thresholds = np.array([value for value, _ in self.fit["threshold"].values()])
            return np.append(beta, thresholds - self.design.means @ beta)
        beta[0] += self.design.means @ beta
        for own in self.design.beside.values():
            zi = np.array([value for value, _ in self.fit["zi"].values()])
            zi[0] += own.means @ zi
            beta = np.append(beta, zi)
        return beta

    def _with_others(self, last: float) -> np.ndarray:
        """By Newton's method from one log odds for all, given the last coefficient and the scales."""
        beta = np.append(np.zeros(self.data["P"] - 1), last)
        beta[0] = np.log(self.data["y"].sum() / (self.data["trials"] - self.data["y"]).sum())
        free = np.ones(len(beta) - 1)

        def f(steps: np.ndarray) -> np.ndarray:
            moved = beta + np.column_stack([steps, np.zeros(len(steps))])
            return self.log_likelihood(moved, np.tile(self.scales, (len(moved), 1)))

        for _ in range(30):
            _, first, second = derivatives(f, STEP * free)
            move = -np.linalg.solve(second, first) * STEP
            beta[:-1] += move / max(1.0, float(np.abs(move).max()))
            if np.abs(move).max() < 1e-6:
                break
        return beta

    @property
    def errors(self) -> np.ndarray:
        """Their standard errors, those of the last one for all where only that is published."""
        errors = np.array([se for _, se in self.fit["fixed"].values()])
        own = [se for _, se in self.own_vector.values()]
        return np.append(np.resize(errors, self.data["P"]), own)

    @property
    def own_vector(self) -> dict[str, tuple[float, float]]:
        """What is published of an own parameter that is a vector, with standard errors; empty where there is none."""
        return next((self.fit[v.row.name] for v in likelihood(self.fit["family"]).vectors), {})

    @property
    def scales(self) -> np.ndarray:
        """Logs of the sds, term by term, correlations as atanh, the log of the likelihood's own scale."""
        sds = [sd for term in self.fit["terms"] for sd in term["sd"]]
        rhos = [term["rho"] for term in self.fit["terms"] if term["rho"] is not None]
        own = self.fit.get("own") or ({"sigma": self.fit["residual_sd"]} if self.fit["family"] == "normal" else {})
        return np.concatenate([np.log(np.maximum(sds, 1e-12)), np.arctanh(rhos), np.log(list(own.values()))])

    def draws(self, beta: np.ndarray, scales: np.ndarray) -> dict[str, Any]:
        """Draws of a program from coefficients (S, P) and scales (S, d)."""
        terms, sds = terms_of(self.data), int(sum(self.data["K"]))
        sd, own, pair = np.exp(scales[:, :sds]), self.data["KG"], sds
        p = self.data["P"]
        draws = {"beta": beta[:, :p], "tau": sd[:, :own], "sd": sd[:, own:]}
        draws |= {vector.row.name: beta[:, p:] for vector in likelihood(self.fit["family"]).vectors}
        for name, pooled in (("rho", True), ("rho_other", False)):
            count = sum(term.n_pairs for term in terms if term.pooled == pooled)
            draws[name] = np.tanh(scales[:, pair : pair + count])
            pair += count
        draws |= {
            row.name: np.full(len(scales), self.fit[row.name]) if row.may_be_fixed else np.exp(scales[:, -1])
            for row in likelihood(self.fit["family"]).own
        }
        return {name: values for name, values in draws.items() if values.size}

    def log_likelihood(self, beta: np.ndarray, scales: np.ndarray) -> np.ndarray:
        """log p(rows), varying coefficients integrated out by the method of the fit, (S,)."""
        draws, model = self.draws(beta, scales), likelihood(self.fit["family"])
        method, _, nodes = self.fit["method"].partition(" ")
        if model.precision is not None:
            return closed_form.log_marginal(model, draws, self.data)
        if method == "quadrature":
            every = partial(_always, int(nodes))
            return integrals.by_quadrature(model, draws, self.data, every).sum(axis=1)
        chain, crossed = in_order(groupings(terms_of(self.data)))
        root = np.zeros(self.data["N"], dtype=int)
        layout = structure([g.level for g in chain], [g.level for g in crossed], root, 1)
        factors = [g.factor(draws, self.data) for g in (*chain, *crossed)]
        model = replace(model, weight=partial(_curvature, model))
        given = Integrand(model, self.data, own_of(model, draws), middle(draws, self.data))
        return log_laplace(layout, factors, given)[:, 0] + model.constant(self.data).sum()


def _curvature(model: Likelihood, eta: np.ndarray, rows: Any, own: Any) -> np.ndarray:
    """Minus the second derivative of a row, also where it is below 0: what programs take for the method of Laplace."""
    up, down = (model.score(eta + step, rows, own) for step in (CURVE, -CURVE))
    return np.asarray((down - up) / (2 * CURVE))


def _always(count: int, _size: int) -> int:
    return count


def published(name: str) -> Published:
    """A fit of ``fits.json`` with its data as our formula reads them."""
    fit = FITS[name]
    path = next(ORACLE.glob(f"{fit['data']}.csv*"))
    frame = pd.read_csv(path)
    for column, value in fit.get("rows", {}).items():
        frame = frame[frame[column] == value].reset_index(drop=True)
    if "without" in fit:
        frame = frame[frame.groupby("study")["events"].transform("sum") > 0].reset_index(drop=True)
    # Sds of varying intercepts are published where columns are 0; without slopes they are the same everywhere.
    slopes = any(len(term["sd"]) > 1 for term in fit["terms"]) or "||" in fit["formula"] or "0 +" in fit["formula"]
    dataset = Dataset.from_frame(frame, formula=fit["formula"], levels=fit["levels"], centre=not slopes,
                                 zi=fit.get("zi_formula", ""))  # fmt: skip
    known, model = fit["family"] != "normal", likelihood(fit["family"])
    formula = parse(fit["formula"])
    ordered = [str(formula.outcome)] if model.roles[0].kind == "ordered" else []
    design = read_structure(dataset, model.own_formulas, ordered, known_residual=known).design
    given = next((left_values(dataset, node) for node in formula.additions.values()), np.ones(len(frame)))
    rows = dict.fromkeys(("se", "trials", "exposure"), given)
    rows |= {f"X_{name}": own.X for name, own in design.beside.items()}
    if ordered:
        categories = read_ordered(dataset, *ordered)
        return Published(
            design, data_of(design, categories.values, **rows, categories=len(categories.categories)), fit
        )  # fmt: skip
    return Published(design, data_of(design, left_values(dataset, formula.outcome), **rows), fit)


def derivatives(f: Any, steps: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """f, its gradient and its second derivatives at 0, in units of ``steps``; f takes (S, n) at once."""
    n = len(steps)
    unit = np.eye(n)
    pairs = [(i, j) for i in range(n) for j in range(i)]
    both = np.array([unit[i] + unit[j] for i, j in pairs]).reshape(len(pairs), n)
    values = f(np.concatenate([np.zeros((1, n)), unit, -unit, both, -both]) * steps)
    at, up, down = values[0], values[1 : n + 1], values[n + 1 : 2 * n + 1]
    plus, minus = np.split(values[2 * n + 1 :], 2)
    second = np.diag(up + down - 2 * at)
    for (i, j), a, b in zip(pairs, plus, minus, strict=True):
        second[i, j] = second[j, i] = (a + b - up[i] - down[i] - up[j] - down[j] + 2 * at) / 2
    return float(at), (up - down) / 2, second


def restricted(given: Published, scales: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The restricted log likelihood at scales (S, d), and the best coefficients (S, P): exact, as it is quadratic."""
    start, steps = given.coefficients, given.errors
    values, best = [], []
    for one in scales:
        at, first, second = derivatives(
            lambda beta, one=one: given.log_likelihood(start + beta, np.tile(one, (len(beta), 1))), steps
        )
        move = -np.linalg.solve(second, first)
        log_det = np.linalg.slogdet(-second / np.outer(steps, steps))[1]
        values.append(at + first @ move / 2 + (len(start) * np.log(2 * np.pi) - log_det) / 2)
        best.append(start + steps * move)
    log_likelihoods = np.array(values)
    if given.fit["fitted_with"].startswith("metafor"):  # its restricted likelihood has |X'X|, lme4's has not
        x = given.data["X"]
        log_likelihoods = log_likelihoods + np.linalg.slogdet(x.T @ x)[1] / 2
    return log_likelihoods, np.array(best)


@dataclass(frozen=True)
class Move:
    """A Newton step from a published maximum: of coefficients and of scales, and how far the log likelihood is off."""

    coefficients: np.ndarray
    scales: np.ndarray
    log_likelihood: float
    peak: bool  # whether second derivatives are those of a maximum


def newton_move(given: Published) -> Move:
    """What one Newton step moves; scales at their bound of 0 stay where they are."""
    beta, scales, errors = given.coefficients, given.scales, given.errors
    free = np.flatnonzero(~at_bound(given))

    def at(steps: np.ndarray) -> np.ndarray:
        moved = np.tile(scales, (len(steps), 1))
        moved[:, free] += steps
        return moved

    if given.fit["method"] == "REML":
        f, first, second = derivatives(lambda steps: restricted(given, at(steps))[0], np.full(len(free), LOG_STEP))
        best = restricted(given, scales[None])[1][0]
        steps = -np.linalg.solve(second, first) * LOG_STEP
        return Move(best - beta, steps, f - (given.fit["logLik"] or f), bool((np.linalg.eigvalsh(second) < 0).all()))
    sizes = np.concatenate([STEP * errors, np.full(len(free), LOG_STEP)])
    n = len(beta)
    f, first, second = derivatives(lambda x: given.log_likelihood(beta + x[:, :n], at(x[:, n:])), sizes)
    steps = -np.linalg.solve(second, first) * sizes
    return Move(steps[:n], steps[n:], f - (given.fit["logLik"] or f), bool((np.linalg.eigvalsh(second) < 0).all()))


def at_bound(given: Published) -> np.ndarray:
    """Which scales are 0."""
    unit = given.fit["residual_sd"] or 1.0
    sds = int(sum(given.data["K"]))
    return np.array([i < sds and np.exp(x) < ZERO * unit for i, x in enumerate(given.scales)])


def bound_rises(given: Published) -> bool:
    """Whether the log likelihood rises from a bound: a scale of 0 would then be no maximum."""
    unit = given.fit["residual_sd"] or float(np.min(given.data["se"]))
    for i in np.flatnonzero(at_bound(given)):
        away = given.scales.copy()
        away[i] = np.log(0.1 * unit)
        values = [_profile(given, scales) for scales in (away, given.scales)]
        if values[0] > values[1]:
            return True
    return False


def _profile(given: Published, scales: np.ndarray) -> float:
    if given.fit["method"] == "REML":
        return float(restricted(given, scales[None])[0][0])
    return float(given.log_likelihood(given.coefficients[None], scales[None])[0])


def complaints(given: Published) -> set[str]:
    """What of a published maximum is none of ours: coefficients, scales, log likelihood."""
    move, mixed = newton_move(given), likelihood(given.fit["family"]).precision is None
    published_only = slice(-len(given.fit["fixed"]) - len(given.own_vector), None)
    allowed = np.maximum(DIGITS * np.abs(given.coefficients), (MIXED_ERRORS if mixed else 0.0) * given.errors)
    parts = set()
    if not (np.abs(move.coefficients) <= allowed)[published_only].all():
        parts.add("coefficients")
    if not (np.abs(move.scales) <= DIGITS).all() or not move.peak or bound_rises(given):
        parts.add("scales")
    if given.fit["logLik"] is not None and not abs(move.log_likelihood) <= log_likelihood_error(given.fit):
        parts.add("log likelihood")
    return parts


def log_likelihood_error(fit: dict[str, Any]) -> float:
    """How far a log likelihood may be from the published one: as its method tells, or half a unit of its last digit."""
    size = abs(fit["logLik"])
    method = LAPLACE if fit["method"].startswith("Laplace") else EXACT
    last_digit = 10.0 ** (np.floor(np.log10(size)) + 1 - fit["digits"]) if "digits" in fit else 0.0
    return float(max(method * size, last_digit / 2))
