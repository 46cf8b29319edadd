"""Programs against known posteriors: fits of the data that a reference names, compared in Monte Carlo errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from hbm_stan.agreement import Agreement, compare_with_reference
from hbm_stan.analysis.read import Analysis
from hbm_stan.attempts import fit_anew
from hbm_stan.certificate import Truth
from hbm_stan.data import Dataset
from hbm_stan.diagnose import check, parameters
from hbm_stan.engines import Engine, Sampling, writes_text
from hbm_stan.errors import HbmError
from hbm_stan.examples import analyses, shuffled, shuffled_places
from hbm_stan.families import family as find_family
from hbm_stan.fit import Fit, jobs_of
from hbm_stan.model import Family
from hbm_stan.reference import Posterior, Reference, check_precision, matches, read_reference, shipped
from hbm_stan.reference.files import FILE
from hbm_stan.resources import share
from hbm_stan.table import FloatArray
from hbm_stan.tree import is_large
from hbm_stan.verdicts import Verdict

# Four chains of 2,500: the error of a mean is about a hundredth of its sd. A smaller step than the default costs little
# where posteriors are small, and a divergence would withhold the proof.
SAMPLING = Sampling(draws=2500, adapt_delta=0.95)
# What longer chains mend. Whether a right program's chains fail one of these by little depends on the processor, whose
# last bits set chains apart; so they are drawn once more, this many times as long, before a proof is given up.
_LENGTH_CHECKS = ("R-hat", "bulk ESS", "tail ESS")
_LONGER = 4


@dataclass(frozen=True, kw_only=True)
class Case:
    """One fit to be compared: a posterior of a reference, the variant that must give it, and its data and priors."""

    reference: Reference
    posterior: Posterior
    variant: str
    family: Family
    dataset: Dataset
    priors: Mapping[str, str]

    @property
    def sampling(self) -> Sampling:
        """The settings of the fit: those that the posterior asks for in place of the usual ones."""
        return replace(SAMPLING, **self.posterior.sampling)


def shipped_cases(families: Sequence[str]) -> list[Case]:
    """Every posterior of every shipped reference of these families, and the long runs of the shipped analyses."""
    cases = []
    for reference in shipped(share("reference"), families):
        model = find_family(reference.family)
        dataset = reference.dataset()
        cases += _cases(reference, model, dataset, reference.priors)
    for analysis in analyses().values():
        if analysis.family.name in families:
            cases += analysis_cases(analysis)
    return cases


def analysis_cases(analysis: Analysis) -> list[Case]:
    """The posteriors of the long run that stands beside an analysis; none where there is no reference.json."""
    path = analysis.folder / FILE
    if not path.exists():
        return []
    return _cases(read_reference(path), analysis.family, analysis.dataset, analysis.priors)


def _cases(reference: Reference, family: Family, dataset: Dataset, priors: Mapping[str, str]) -> list[Case]:
    return [
        Case(reference=reference, posterior=p, variant=v, family=family, dataset=dataset, priors=priors)
        for p in reference.posteriors
        for v in p.variants
    ]


@dataclass(frozen=True)
class Compared:
    """A case with what came out: the agreement, or why there is none."""

    case: Case
    agreement: Agreement | None
    problem: str = ""

    @property
    def words(self) -> str:
        """One line on this case."""
        if self.agreement is None:
            return f"{self.case.reference.title}: {self.problem}"
        if self.agreement.agrees:
            return f"{self.case.reference.title}: largest of {len(self.agreement.table):,} {self.agreement.largest:.2f}"
        return f"{self.case.reference.title}: {self.agreement.words}"


def compare_case(case: Case, engine: Engine, seed: int, n: int) -> Compared:
    """Fit a case and compare; ``n`` counts the comparisons of the whole proof."""
    try:
        check_precision(case.reference, case.posterior)
        settings = replace(case.sampling, seed=seed)
        job = jobs_of(case.family, case.dataset, (case.variant,), case.priors, settings, engine)[0]
        matches(job, case.reference)
        # Rows are shuffled: tables sorted by group hide a wrong order.
        fit, failed = fit_checked(case.family, shuffled(case.dataset), case.variant, case.priors, settings, engine)
        if failed:
            length = f"{fit.sampling.draws:,} draws each"
            return Compared(
                case, None, f"the chains, of {length}, failed their checks ({failed[0].name}: {failed[0].hint})"
            )
        return Compared(case, compare_with_reference(*as_read(fit), case.posterior.table, n))
    except HbmError as error:
        return Compared(case, None, str(error))


def as_read(fit: Fit) -> tuple[list[str], FloatArray]:
    """Parameters of a fit of shuffled rows; those of rows by the numbers that their rows have in the table as read."""
    names, draws = parameters(fit)
    of_rows = {n for n, v in fit.named["posterior"].items() if v.dims[2:] == ("observation",)}
    places = shuffled_places(fit.table.n_rows)
    where = {f"{name}[{i}]": f"{name}[{place + 1}]" for name in of_rows for i, place in enumerate(places, start=1)}
    return [where.get(name, name) for name in names], draws


def fit_checked(
    family: Family, dataset: Dataset, variant: str, priors: Mapping[str, str], sampling: Sampling, engine: Engine
) -> tuple[Fit, list[Verdict]]:
    """A fit and the checks that it failed; four times as long where the first failed by its length alone."""
    fit = fit_once(family, dataset, variant, priors, sampling, engine)
    failed = check(fit).failed
    if failed and {v.name for v in failed} <= set(_LENGTH_CHECKS):
        longer = replace(sampling, warmup=_LONGER * sampling.warmup, draws=_LONGER * sampling.draws)
        fit = fit_once(family, dataset, variant, priors, longer, engine)
        failed = check(fit).failed
    return fit, failed


def fit_once(
    family: Family, dataset: Dataset, variant: str, priors: Mapping[str, str], sampling: Sampling, engine: Engine
) -> Fit:
    """A fit of its own, kept nowhere: a proof is made of fresh draws, and of all that the program itself generates.

    Not where an engine would write it as text: then the agreement of engines holds NumPy's draws against the program's.
    """
    job = jobs_of(family, dataset, (variant,), priors, sampling, engine)[0]
    own = not writes_text(engine) and not is_large(family, job.table)
    return fit_anew(replace(job, data={**job.data, "generate": 1}) if own else job)


def truths(compared: Sequence[Compared]) -> dict[tuple[str, str], list[Truth]]:
    """The truths of each (family, variant): one for each kind, of all its cases together."""
    groups: dict[tuple[str, str, str], list[Compared]] = {}
    for one in compared:
        groups.setdefault((one.case.family.name, one.case.variant, one.case.reference.truth), []).append(one)
    by_program: dict[tuple[str, str], list[Truth]] = {}
    for (family, variant, kind), members in groups.items():
        by_program.setdefault((family, variant), []).append(_truth(kind, members))
    return by_program


def _truth(kind: str, members: Sequence[Compared]) -> Truth:
    agreements = [m.agreement for m in members if m.agreement is not None]
    bad = [m for m in members if m.agreement is None or not m.agreement.agrees]
    values = [a.largest for a in agreements]
    detail = "; ".join(m.words for m in (bad or members))
    against = tuple(f"{m.case.reference.title} ({m.case.reference.source})" for m in members)
    value = max(values) if values else None
    threshold = agreements[0].threshold if agreements else None
    return Truth(
        kind=kind, status="fail" if bad else "pass", value=value, threshold=threshold, detail=detail, against=against
    )


def run_cases(cases: Sequence[Case], engine: Engine, seed: int, tick: Callable[[str], None]) -> list[Compared]:
    """All cases, one after the other (their chains run side by side); programs are built together first."""
    engine.build([c.family.program(c.variant) for c in cases], tick)
    n = sum(c.posterior.comparisons for c in cases)
    done = []
    for case in cases:
        tick(f"{case.family.name}, {case.variant}: {case.reference.title}")
        done.append(compare_case(case, engine, seed, n))
    return done
