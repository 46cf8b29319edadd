"""What each parameter means, in words: of its prior, of what partial pooling derives, or of a formula's model."""

from __future__ import annotations

from dataclasses import dataclass

from hbm_stan.analysis.read import Analysis
from hbm_stan.coefficients import intercept_place, spread_place
from hbm_stan.design import Design, Term
from hbm_stan.elements import base_of, in_term, term_of, term_words
from hbm_stan.fit import Fit
from hbm_stan.likelihoods import likelihood
from hbm_stan.nouns import GROUPS, Noun, noun_of
from hbm_stan.predict import population_names
from hbm_stan.predictors import INTERCEPT
from hbm_stan.priors import PriorRow
from hbm_stan.results.entry import Entry


def levels_words(factor: str, design: Design, noun: Noun) -> str:
    """What several levels of a factor are called: ``noun.many`` of the group, else the plural of its name."""
    if factor == design.pooled.name:
        return noun.many
    own = noun_of(factor)
    return f"levels of {factor}" if own == GROUPS else own.many


def meanings(design: Design, noun: Noun) -> dict[str, str]:
    """The meaning of each population parameter, and of the fixed priors of no pooling, by name."""
    place = intercept_place(design)
    at = f", {place}" if place else ""
    texts = {f"beta[{name}]": f"common {term_words(name)}{at * (name == INTERCEPT)}" for name in design.names}
    for k, term in enumerate(design.terms):
        pooled, many = k < design.n_group_terms, levels_words(term.factor.name, design, noun)
        label = "" if pooled else f"{term.factor.name}: "
        for name in term.names:
            where = spread_place(design, term.factor.name) if name == INTERCEPT else ""
            words = f"sd of the {term_words(name)} between {many}" + (f", {where}" if where else "")
            texts[f"{'tau' if pooled else 'sd'}[{label}{name}]"] = words
            if pooled:
                texts[f"theta[{name}]"] = (
                    f"{term_words(name)} of each {noun.one} without pooling{at * (name == INTERCEPT)}"
                )
        texts |= {f"{'rho' if pooled else 'rho_other'}[{label}{pair}]": words for pair, words in _pairs(term, many)}
    return texts


def column_of(design: Design, name: str) -> str:
    """The column that an element is of: of beta, tau and theta its term, of the sds of other factors the term's own."""
    own = {f"sd[{t.factor.name}: {c}]": c for t in design.terms[design.n_group_terms :] for c in t.names}
    return own.get(name, term_of(name))


def _pairs(term: Term, many: str) -> list[tuple[str, str]]:
    """The label and the meaning of each correlation of a term."""
    if not term.correlated:
        return []
    pairs = [(term.names[m], term.names[k]) for k in range(len(term.names)) for m in range(k)]
    return [
        (f"{a}, {b}", f"correlation of the {term_words(a)} with the {term_words(b)} between {many}") for a, b in pairs
    ]


def parameter_meanings(analysis: Analysis, fit: Fit) -> dict[str, str]:
    """What parameters of a formula mean; else mu and tau where partial pooling derives them, and no prior says it.

    Of a parameter with several elements each of them too.
    """
    family = analysis.family
    if fit.table.design is not None:
        return meanings(fit.table.design, fit.table.noun)
    partial = [family.variant(v) for v in analysis.variants if family.variant(v).pooling == "partial"]
    given = {base_of(name) for variant in partial for name in variant.priors}
    derived = {
        "mu": f"mean {{term|{family.words.group_meaning}}} in the population",
        family.groups.population_scale: f"sd of the {{term|{family.words.group_meaning}}} between {analysis.noun.many}",
        **{name: analysis.noun.fill(text) for name, text in family.words.derived.items()},
    }
    without_prior = {name: text for name, text in derived.items() if partial and name not in given}
    texts = {row.name: analysis.noun.fill(row.meaning) for row in family.programs.prior_rows} | without_prior
    elements = [name for name in population_names(fit) if term_of(name) and base_of(name) in texts]
    of_elements = {name: in_term(texts[base_of(name)], term_of(name)) for name in elements}
    return {name: in_term(text) for name, text in without_prior.items()} | of_elements


@dataclass(frozen=True, kw_only=True)
class GivenPrior(Entry):
    """An entry of ``priors``: the distribution of a parameter, and why it has this one.

    ``unit`` is that of the parameter, ``variants`` those that use the prior; ``default`` says that nobody chose it.
    """

    name: str
    distribution: str
    arguments: list[float]
    text: str
    meaning: str
    unit: str
    reason: str
    default: bool
    variants: list[str]


def prior_rows(analysis: Analysis, fit: Fit) -> list[GivenPrior]:
    """The prior table: each prior that a variant uses, with its meaning, unit and reason."""
    rows = []
    by_name = {row.name: row for row in analysis.family.programs.prior_rows}
    of_formula = parameter_meanings(analysis, fit) if fit.table.design is not None else {}
    for name, prior in fit.priors.items():
        base = base_of(name)
        row = by_name[base]
        used = [v for v in analysis.variants if {base, name} & set(analysis.family.variant(v).priors)]
        if used:
            term = term_of(name)
            meaning = of_formula.get(name) or in_term(fit.table.noun.fill(row.meaning), term)
            reason = analysis.reasons.get(name) or analysis.reasons.get(base) or prior.reason
            unit = _unit(fit, row, name)
            rows.append(GivenPrior(
                name=name, distribution=prior.distribution, arguments=list(prior.arguments),
                text=prior.text, meaning=meaning, unit=unit,
                reason=reason, default=prior.default, variants=used,
            ))  # fmt: skip
    return rows


def _unit(fit: Fit, row: PriorRow, name: str) -> str:
    """The unit of a parameter: that of its column of the table, or that of the linear predictor; none of a slope's.

    What a likelihood has of its own beside the linear predictor has no unit of that.
    """
    column = term_of(name) if fit.table.design is None else column_of(fit.table.design, name)
    if column not in {"", INTERCEPT}:
        return ""
    own = likelihood(fit.family.name).own_rows if fit.family.terms else ()
    of_predictor = fit.family.terms and not fit.family.words.same_unit and row.name != "rho" and row not in own
    return fit.family.words.quantity_unit if of_predictor else fit.table.dataset.unit(row.role)
