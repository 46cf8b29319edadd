"""Events measured with error, and the population behind them: a beta distribution of values in (0, 1).

Written from Loredo (2004), AIP Conference Proceedings 735:195, Mandel, Farr & Gair (2019), MNRAS 486:1086, and Vitale,
Gerosa, Farr & Taylor (2020), arXiv:2007.05579, not from the Stan programs.
"""

from __future__ import annotations

from hbm_stan.families.alike import alike_estimates
from hbm_stan.families.event_population.columns import default_priors, prepare, unlearnable
from hbm_stan.families.event_population.density import (
    draw_groups,
    exact_loo,
    finer_group_log_lik,
    group_log_lik,
    log_joint,
    new_group,
    new_row,
    pointwise,
    prior_draws,
    prior_group_log_lik,
    raw,
    simulate,
    support,
    transformed,
)
from hbm_stan.families.event_population.findings import findings
from hbm_stan.families.event_population.trust import check_draws
from hbm_stan.model import Family, Groups, Option, Programs, Twin, Variant, Words
from hbm_stan.prepare import Role
from hbm_stan.priors import SCALES, PriorRow
from hbm_stan.resources import share

_SOURCE = "Gelman et al. (2013), section 5.3"
_VARIANTS = (
    Variant(
        name="complete_pooling", title="Complete pooling", pooling="complete", parameterisation="mu itself",
        assumption="All {groups} have one value; their estimates differ by error only.",
        math=("theta_j = mu", "mu tilde p(mu)"), priors=("mu",),
    ),
    Variant(
        name="no_pooling", title="No pooling", pooling="no", parameterisation="theta itself",
        assumption="{Groups} share nothing; each has its own value under a fixed prior, that of seen {groups}.",
        math=("theta_j tilde p(theta)",), priors=("theta",),
    ),
    Variant(
        name="partial_pooling", title="Partial pooling", pooling="partial",
        parameterisation="marginal: {group} values integrated out, drawn afterwards",
        assumption="{Groups} are draws from one population, a beta distribution that is learnt from all of them.",
        math=(
            'theta_j tilde "beta"(alpha, beta), quad alpha = mu kappa, quad beta = (1 - mu) kappa',
            "mu tilde p(mu), quad kappa tilde p(kappa)",
            "tau = sqrt(mu (1 - mu) \\/ (kappa + 1))",
            'p("seen") = integral P("seen" | x) "beta"(x | alpha, beta) dif x',
        ),
        priors=("mu", "kappa"),
    ),
)  # fmt: skip

FAMILY = Family(
    name="event_population",
    roles=(
        Role(name="group", kind="label", meaning="name of the event", selection=True),
        Role(name="estimate", kind="number", optional=True,
             meaning="estimate of the event's value, which lies between 0 and 1, with a normal error"),
        Role(name="standard_error", kind="positive", meaning="standard error of the estimate, taken as known",
             optional=True, advice="An estimate without error is no measurement: give its error, or take the row out."),
        Role(name="sample", kind="number", optional=True, instead=(("estimate", "standard_error"),),
             meaning="a sample of the event's posterior, a row each, instead of an estimate"),
        Role(name="prior_density", kind="positive", optional=True,
             meaning="density, at the sample, of the prior it was drawn under; else uniform on (0, 1)"),
    ),
    outcomes=("estimate", "sample"),
    one_row_per_group=True,
    known_residual=True,
    check_draws=check_draws,
    programs=Programs(
        folder=share("stan") / "event_population",
        variants=_VARIANTS,
        prior_rows=(
            PriorRow(name="mu", distributions=("beta",), source=_SOURCE,
                     meaning="mean of the population; with complete pooling the value of all {groups}"),
            PriorRow(name="kappa", distributions=SCALES, source=_SOURCE,
                     meaning="concentration of the population, alpha + beta: large where {groups} are alike"),
            PriorRow(name="theta", distributions=("beta",), meaning="value of each {group} without pooling",
                     source="fixed"),
        ),
        dims={"theta": ("group",), "y_rep": ("group",), "log_lik": ("group",)},
        population=("mu", "tau", "kappa", "alpha", "beta"),
        prepare=prepare, default_priors=default_priors, draw_groups=draw_groups, unlearnable=unlearnable,
    ),
    twin=Twin(
        log_joint=log_joint, support=support, transformed=transformed, prior_draws=prior_draws, simulate=simulate,
        pointwise=pointwise, mean_of_rows=lambda draws, _data: draws["theta"],
        calibration={"mu": "beta(3, 3)", "kappa": "lognormal(2, 0.7)", "theta": "beta(2, 2)"},
    ),
    groups=Groups(
        prediction={
            "standard_error": Option("of the estimate of a new event; by default the median of the data"),
            "above": Option("the value that the report asks of a new event to lie above; 0.5 by default", of_row=False),
        },
        new_group=new_group, new_row=new_row, raw=raw, group_log_lik=group_log_lik,
        less_alike=lambda data: None if data["sampled"] else alike_estimates(data),
        finer_group_log_lik=finer_group_log_lik, prior_group_log_lik=prior_group_log_lik, exact_loo=exact_loo,
    ),
    words=Words(
        title="Populations of events: values in (0, 1), seen or not",
        citation="Loredo (2004); Mandel, Farr & Gair (2019), MNRAS 486:1086; Vitale et al. (2020), arXiv:2007.05579.",
        likelihood=(
            'y_j tilde "normal"(theta_j, "se"_j), quad j = 1, dots, J',
            'p("samples of" j | alpha, beta) prop 1/S_j sum_s "beta"(x_(j s) | alpha, beta) \\/ pi(x_(j s))',
        ),
        replicated="Each replication draws new {groups} from the population, of those that are seen where there are "
        "detection probabilities, measured as the known ones are; of {groups} with samples it is the mean of these.",
        derived={
            "alpha": "first shape of the population, the mean times the concentration",
            "beta": "second shape of the population, the rest of the concentration",
        },
        signed=False, findings=findings,
    ),
)  # fmt: skip
