"""The variants of a formula's model and its prior table: the same for all likelihoods but for what is sampled."""

from __future__ import annotations

from hbm_stan.design import Design
from hbm_stan.likelihoods.likelihood import Likelihood
from hbm_stan.model import Variant
from hbm_stan.priors import SCALES, PriorRow

_LKJ = "Lewandowski, Kurowicka & Joe (2009), Journal of Multivariate Analysis 100:1989"
_GELMAN = "Gelman (2006), Bayesian Analysis 1:515"
_ETA = "eta_n = x_n^T beta + sum_t z_(n t)^T u_(t, l_t (n))"
_OTHERS = 'u_(t l) tilde "MVN"(0, Sigma_t), quad t in "others"'
_SIGMA, _SCALES = 'Sigma_t = "diag"(tau_t) Omega_t "diag"(tau_t)', 'Sigma_t = "diag"(tau_t)^2'
_OMEGA = 'Omega_t tilde "LKJ"(p(rho))'
_GROUP = 't in "group"'  # a term of the factor that is pooled
_MARGINAL = "marginal: varying coefficients integrated out, drawn afterwards"
_NONCENTERED = "non-centered: deviations{} in standard units"
_CENTERED = "centered: coefficients{} themselves"
_INTEGRATED = "; those of {groups} are integrated out, and drawn afterwards"

POPULATION = ("beta", "tau", "rho", "sd", "rho_other")
_SHARED = ("sd", "rho")  # what terms of other factors have, whatever the pooling


def variants_of(likelihood: Likelihood) -> tuple[Variant, ...]:
    """Complete, no and partial pooling; where coefficients are sampled, centered ones too."""
    own = tuple(row.name for row in likelihood.own_rows)
    marginal = likelihood.integrated
    noncentered, centered = _forms(likelihood)
    how = _MARGINAL if marginal else noncentered
    math = (_ETA, f'u_(t j) tilde "MVN"(0, Sigma_t), quad {_GROUP}', _SIGMA, _OTHERS,
            "beta tilde p(beta), quad tau tilde p(tau)", _OMEGA)  # fmt: skip
    assumption = "Coefficients of {groups} are draws from one population, whose means, sds and correlations are learnt."
    priors = ("beta", "tau", *_SHARED, *own)
    pooled = (
        Variant(name="complete_pooling", title="Complete pooling", pooling="complete",
                parameterisation=_MARGINAL if marginal else _NONCENTERED.format(""),
                assumption="All {groups} share one regression. Terms of other factors, if there are any, stay.",
                math=(_ETA, f"u_(t j) = 0, quad {_GROUP}", _OTHERS, "beta tilde p(beta)"),
                priors=("beta", *_SHARED, *own)),
        Variant(name="no_pooling", title="No pooling", pooling="no", parameterisation=how,
                assumption="{Groups} share nothing: each has coefficients of its own with fixed, wide priors. Terms of "
                           "other factors, and the coefficients of columns that do not vary between {groups}, stay."
                           + f" {likelihood.shared_words}" * bool(likelihood.shared_words),
                math=(_ETA, "theta_(j k) = beta_k + u_(j k) tilde p(theta_k)", _OTHERS),
                priors=("beta", "theta", *_SHARED, *own)),
        Variant(name="partial_pooling", title="Partial pooling", pooling="partial", parameterisation=how,
                assumption=assumption, math=math, priors=priors),
    )  # fmt: skip
    if marginal:
        return pooled
    return (
        *pooled,
        Variant(name="partial_pooling_centered", title="Partial pooling, centered", pooling="partial",
                parameterisation=centered, assumption=assumption, math=math, priors=priors,
                better="partial_pooling (non-centered)", program="partial_pooling", settings={"centered": 1}),
        Variant(name="partial_pooling_noncentered", title="Partial pooling, non-centered", pooling="partial",
                parameterisation=f"{noncentered}; the default under its full name", assumption=assumption, math=math,
                priors=priors, program="partial_pooling", settings={"centered": 0}),
    )  # fmt: skip


def math_of(variant: Variant, design: Design) -> list[str]:
    """The mathematics of a variant as a design has it: without other factors and correlations where there are none."""
    lines = {_OTHERS: _OTHERS * (len(design.terms) > design.n_group_terms)}
    if not any(term.correlated for term in design.terms):
        lines |= {_SIGMA: _SCALES, _OMEGA: ""}
    return [line for line in (lines.get(given, given) for given in variant.math) if line]


def _forms(likelihood: Likelihood) -> tuple[str, str]:
    """The non-centered and the centered form in words: of coefficients of other factors where the group's are known."""
    if likelihood.precision is None:
        return _NONCENTERED.format(""), _CENTERED.format("")
    of_others = " of other factors"
    return f"{_NONCENTERED.format(of_others)}{_INTEGRATED}", f"{_CENTERED.format(of_others)}{_INTEGRATED}"


def prior_rows_of(likelihood: Likelihood) -> tuple[PriorRow, ...]:
    """The rows of the prior table. What has the unit of eta has the outcome's where eta has none of its own."""
    role, unit = ("", f", {likelihood.eta_unit}") if likelihood.eta_unit else ("outcome", "")
    return (
        PriorRow(
            name="beta",
            distributions=("normal",),
            meaning=f"common {{term}}; an intercept's at the means of the columns{unit}",
            source="Gelman & Hill (2007)",
            role=role,
        ),
        PriorRow(
            name="tau",
            distributions=SCALES,
            meaning=f"sd of the {{term}} between {{groups}}{unit}",
            source=_GELMAN,
            role=role,
        ),
        PriorRow(
            name="sd",
            distributions=SCALES,
            meaning=f"sd of the {{term}} between levels of another factor{unit}",
            source=_GELMAN,
            role=role,
        ),
        PriorRow(name="rho", distributions=("lkj",), meaning="correlations of the coefficients of a term", source=_LKJ),
        *likelihood.own_rows,
        PriorRow(
            name="theta",
            distributions=("normal",),
            meaning=f"{{term}} of each {{group}} without pooling{unit}",
            source="fixed and wide",
            role=role,
        ),
    )
