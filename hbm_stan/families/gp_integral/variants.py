"""The variants of integrals of curves: one curve for all, curves that share nothing, and a population of curves."""

from __future__ import annotations

from hbm_stan.model import Variant
from hbm_stan.priors import SCALES, PriorRow

_RASMUSSEN = "Rasmussen & Williams (2006), section 2.2"
# An upper end of a scale would need a bound in the programs.
_OPEN = tuple(name for name in SCALES if name != "uniform")


def _row(name: str, distributions: tuple[str, ...], meaning: str, role: str) -> PriorRow:
    return PriorRow(name=name, distributions=distributions, meaning=meaning, source=_RASMUSSEN, role=role)


PRIOR_ROWS = (
    _row("level", ("normal",), "mean level of the curves; without pooling of each, else of the one curve", "estimate"),
    _row("level_sd", _OPEN, "sd of the levels of {groups}", "estimate"),
    _row("slope", ("normal",), "rise of the mean of a curve over the interval, where it is a line", "estimate"),
    _row("slope_sd", _OPEN, "sd of the rises of {groups}", "estimate"),
    _row("amplitude", _OPEN, "sd of a curve about its mean; without pooling of each {group}'s", "estimate"),
    _row("length_scale", _OPEN, "distance over which a curve turns; without pooling of each {group}'s", "point"),
)
_AREA = 'theta_j = integral_a^b f_j (x) dif x, quad f_j tilde "GP"(ell_j + s_j z, eta^2 k(lambda))'
_MARGINAL = "marginal: curves integrated out, drawn afterwards with their integrals"

VARIANTS = (
    Variant(
        name="complete_pooling", title="Complete pooling", pooling="complete", parameterisation=_MARGINAL,
        assumption="All {groups} are measurements of one and the same curve; they differ by their errors only.",
        math=('theta_j = integral_a^b f(x) dif x, quad f tilde "GP"(ell + s z, eta^2 k(lambda))',
              "ell tilde p(ell), quad s tilde p(s), quad eta tilde p(eta), quad lambda tilde p(lambda)"),
        priors=("level", "slope", "amplitude", "length_scale"),
    ),
    Variant(
        name="no_pooling", title="No pooling", pooling="no", parameterisation=_MARGINAL,
        assumption="{Groups} share nothing; each has a level, an amplitude and a length scale of its own with fixed "
        "priors.",
        math=('theta_j = integral_a^b f_j (x) dif x, quad f_j tilde "GP"(ell_j + s_j z, eta_j^2 k(lambda_j))',
              "ell_j tilde p(ell), quad s_j tilde p(s), quad eta_j tilde p(eta), quad lambda_j tilde p(lambda)"),
        priors=("level", "slope", "amplitude", "length_scale"),
    ),
    Variant(
        name="partial_pooling", title="Partial pooling", pooling="partial", parameterisation=_MARGINAL,
        assumption="{Groups} are draws from one population of curves, whose level, amplitude and length scale are "
        "learnt from all of them.",
        math=(_AREA, 'ell_j tilde "normal"(ell, omega), quad s_j tilde "normal"(s, psi)',
              "ell tilde p(ell), quad omega tilde p(omega), quad s tilde p(s), quad psi tilde p(psi)",
              "eta tilde p(eta), quad lambda tilde p(lambda)"),
        priors=("level", "level_sd", "slope", "slope_sd", "amplitude", "length_scale"),
    ),
)  # fmt: skip
