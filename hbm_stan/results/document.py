"""Every number of the report, in one record: the schema is in reports/results-schema.md.

A module beside this one builds each section; here they are put together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hbm_stan.analysis.read import Analysis
from hbm_stan.engines import Sampling
from hbm_stan.fit import Fit
from hbm_stan.parameterise import Choice
from hbm_stan.predict import population_names, shrinkage_notes
from hbm_stan.results.answer import answer
from hbm_stan.results.brief import Beside, PageOne, page_one
from hbm_stan.results.caterpillars import Caterpillar, caterpillars_of
from hbm_stan.results.certified import Standing, certified, failed_proofs
from hbm_stan.results.coefficients import Coefficients, coefficients_of
from hbm_stan.results.collect import Findings
from hbm_stan.results.conditional import Effect, conditional_effects
from hbm_stan.results.data_shown import Data, data_of
from hbm_stan.results.entry import OPTIONAL, Entry, read, rows_of
from hbm_stan.results.excerpts import shrinkage_listed
from hbm_stan.results.fitted import Fitted, fitted_of
from hbm_stan.results.left_out import Calibration, Transforms
from hbm_stan.results.meanings import GivenPrior, prior_rows
from hbm_stan.results.model import Model, model_of
from hbm_stan.results.new_group import Predicted, new_group_of
from hbm_stan.results.notices import About, Notice, influential, notices
from hbm_stan.results.own import OwnSection, own_of
from hbm_stan.results.r_squared import RSquared, r_squared
from hbm_stan.results.ratios import Ratios, average_ratio
from hbm_stan.results.replicated import Replicated, Statistic, replicated_of
from hbm_stan.results.reproduction import ProgramText, command_of, program_of, versions
from hbm_stan.results.scored import Scored
from hbm_stan.results.sensitive import Sensitive
from hbm_stan.results.shares import VarianceShares, shares_of
from hbm_stan.results.shrunken import ShrinkageRow
from hbm_stan.verdicts import Status, for_json, worst

SCHEMA = 2


@dataclass(frozen=True, kw_only=True)
class EngineUsed(Entry):
    """The engine of the draws of the main variant."""

    name: str
    version: str


@dataclass(frozen=True, kw_only=True)
class Files(Entry):
    """What the report was made from, as a hash, and what was made: hashes of the pages, places of the tables."""

    inputs: str
    pdf_sha256: str
    html_sha256: str | None = field(default=None, metadata=OPTIONAL)
    tables: list[str]


@dataclass(frozen=True, kw_only=True)
class Results(Entry):
    """results.json: its fields are the keys of the file, in their order.

    ``main_variant`` is what ``shrinkage``, ``new_group`` and ``ppc`` are of; ``fits`` are by variant, ``versions`` by
    package. A section that the model or the data do not give is None, or empty. ``report`` is there once the files are.
    """

    schema: int
    analysis: str
    family: str
    title: str
    question: str
    status: Status
    withheld: bool
    answer: list[str]
    notices: list[str]
    notices_about: list[About]
    main_variant: str
    engine: EngineUsed
    settings: Sampling
    data: Data
    model: Model
    population: list[str]
    priors: list[GivenPrior]
    fits: dict[str, Fitted]
    comparison: Scored | None
    group_comparison: Scored | None
    sensitivity: Sensitive | None
    new_group: Predicted | None
    ratios: Ratios | None
    coefficients: Coefficients | None
    variance_shares: VarianceShares | None
    r_squared: RSquared | None
    conditional_effects: list[Effect]
    caterpillars: list[Caterpillar]
    shrinkage: list[ShrinkageRow]
    shrinkage_notes: list[str]
    ppc: Replicated | None
    loo_pit: Transforms | None
    calibration: Calibration | None
    prior_check: list[Statistic]
    parameterisation: Choice | None
    findings: list[OwnSection]
    versions: dict[str, str]
    programs: list[ProgramText]
    certificate: Standing
    appendix: str
    command: str
    page_one: PageOne
    report: Files | None = field(default=None, metadata=OPTIONAL)

    def for_json(self) -> dict[str, Any]:
        """The content of the file as plain values: a number that is not finite is None."""
        document: dict[str, Any] = for_json(self.as_dict())
        return document


def results(analysis: Analysis, findings: Findings) -> Results:
    """The results of an analysis, all sections but the files."""
    main, verdicts = findings.fits[analysis.main_variant], findings.verdicts
    programs = [program_of(fit) for fit in findings.fits.values()]
    proofs, beside = certified(analysis, programs), _beside(main, findings)
    told = _notices(findings, proofs)
    targets = (findings.comparison, findings.group_comparison)
    comparison, group_comparison = (None if c is None else read(Scored, c.as_dict()) for c in targets)
    return Results(
        schema=SCHEMA, analysis=analysis.name, family=analysis.family.name, title=analysis.title,
        question=analysis.question, withheld=findings.withheld, answer=answer(analysis, findings),
        status=worst([*(v for rows in verdicts.values() for v in rows), *main.table.verdicts]),
        notices=[notice.text for notice in told], notices_about=[notice.about for notice in told],
        main_variant=analysis.main_variant, engine=EngineUsed(name=main.engine, version=main.engine_version),
        settings=main.asked, data=data_of(main), model=model_of(analysis, main),
        population=population_names(main), priors=prior_rows(analysis, main),
        fits={n: fitted_of(fit, findings.diagnoses[n], verdicts[n]) for n, fit in findings.fits.items()},
        comparison=comparison, group_comparison=group_comparison, sensitivity=findings.sensitivity,
        new_group=new_group_of(findings.new_group, main) if findings.new_group else None,
        ratios=average_ratio(main, findings.diagnoses[main.variant].summary),
        coefficients=beside.coefficients, variance_shares=beside.shares, r_squared=r_squared(main),
        conditional_effects=conditional_effects(main, analysis.prediction),
        caterpillars=caterpillars_of(main, analysis.caterpillars), shrinkage=beside.shrinkage,
        shrinkage_notes=shrinkage_notes(findings.shrinkage, main.table.noun),
        ppc=replicated_of(findings.ppc, main) if findings.ppc else None,
        loo_pit=read(Transforms, findings.loo_pit.as_dict()) if findings.loo_pit else None,
        calibration=read(Calibration, findings.reliability.as_dict()) if findings.reliability else None,
        prior_check=rows_of(Statistic, findings.prior_check), parameterisation=analysis.choice,
        findings=[own_of(finding) for finding in findings.own],
        versions=versions(), programs=programs, certificate=proofs, appendix=analysis.appendix,
        command=command_of(analysis, main), page_one=page_one(analysis, findings, beside),
    )  # fmt: skip


def _beside(main: Fit, findings: Findings) -> Beside:
    """The sections that page one speaks of too."""
    return Beside(
        shrinkage=rows_of(ShrinkageRow, shrinkage_listed(findings.shrinkage)),
        coefficients=coefficients_of(main),
        shares=shares_of(main),
    )


def _notices(findings: Findings, proofs: Standing) -> list[Notice]:
    """The sentences that a reader needs before any number, each with what it is about."""
    return [
        *notices(findings),
        *(Notice(About.CERTIFICATE, text) for text in failed_proofs(proofs)),
        *(Notice(About.GROUPS, text) for text in influential(findings.sensitivity)),
    ]
