"""Do both engines draw from the same posterior, for every program, on every data set?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from hbm_stan.agreement import Agreement, compare_draws
from hbm_stan.analysis.read import Analysis
from hbm_stan.certificate import Truth
from hbm_stan.data import Dataset
from hbm_stan.diagnose import parameters
from hbm_stan.engines import Engine
from hbm_stan.errors import HbmError
from hbm_stan.examples import analyses, few_rows, irregular, smallest_analysis
from hbm_stan.fit import Fit
from hbm_stan.model import Family
from hbm_stan.verdicts import Verdict
from hbm_stan.verify.known import SAMPLING, fit_checked

_DRAWS = 1000  # of each of four chains: CmdStan writes every one of them, with all rows, as text
_NOT_FINITE = "finite draws"  # the check


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One program with data and priors that both engines are to sample."""

    title: str
    family: Family
    variant: str
    dataset: Dataset
    priors: Mapping[str, str]


def shipped_pairs(families: Sequence[str]) -> list[Pair]:
    """Every variant of every shipped analysis; variants that none of them uses, on the family's small example."""
    pairs: list[Pair] = []
    for name, analysis in analyses().items():
        if analysis.family.name in families:
            pairs += analysis_pairs(name, analysis)
    for family in families:
        small = smallest_analysis(family)
        used = {p.variant for p in pairs if p.family.name == family}
        rest = [v.name for v in small.family.programs.variants if v.name not in used]
        dataset = irregular(few_rows(small.dataset, small.family), small.family)
        pairs += [
            Pair(title=f"{small.name}, a part", family=small.family, variant=v, dataset=dataset, priors={})
            for v in rest
        ]
    return pairs


def analysis_pairs(name: str, analysis: Analysis) -> list[Pair]:
    """The variants of an analysis."""
    return [
        Pair(title=name, family=analysis.family, variant=v, dataset=analysis.dataset, priors=analysis.priors)
        for v in analysis.variants
    ]


@dataclass(frozen=True)
class Sampled:
    """How the draws of both engines agree; ``problem`` where chains failed their checks, ``failed`` where none came."""

    pair: Pair
    agreement: Agreement | None = None
    problem: str = ""
    failed: str = ""


def sample_pairs(
    pairs: Sequence[Pair], engines: tuple[Engine, Engine], seed: int, tick: Callable[[str], None]
) -> list[Sampled]:
    """Both engines on every pair, with different seeds: the same random numbers would hide a difference."""
    for engine in engines:
        engine.build([p.family.program(p.variant) for p in pairs], tick)
    done = []
    for pair in pairs:
        tick(f"both engines: {pair.family.name}, {pair.variant}: {pair.title}")
        done.append(_sample(pair, engines, seed))
    n = sum(len(s.agreement.table) for s in done if s.agreement is not None)
    return [replace(s, agreement=s.agreement.among(n)) if s.agreement is not None else s for s in done]


def _sample(pair: Pair, engines: tuple[Engine, Engine], seed: int) -> Sampled:
    fits: list[Fit] = []
    failed: list[tuple[str, Verdict]] = []
    for i, engine in enumerate(engines):
        settings = replace(SAMPLING, draws=_DRAWS, seed=(seed + 100 + i) % 2**31)
        try:
            fit, bad = fit_checked(pair.family, pair.dataset, pair.variant, pair.priors, settings, engine)
        except HbmError as error:
            return Sampled(pair, failed=f"{pair.title}: {engine.name}: {error}")
        fits.append(fit)
        failed += [(fit.engine, verdict) for verdict in bad]
    if failed:
        name, verdict = next((one for one in failed if one[1].name == _NOT_FINITE), failed[0])
        if verdict.name == _NOT_FINITE:  # no chain that is longer mends that
            return Sampled(pair, failed=f"{pair.title}: {name}: {verdict.hint}")
        return Sampled(pair, problem=f"{pair.title}: {verdict.name} fails on {name}, so nothing is compared")
    (names, draws), (theirs, others) = (parameters(f) for f in fits)
    if sorted(names) != sorted(theirs):
        apart = ", ".join(sorted(set(names) ^ set(theirs)))
        return Sampled(pair, failed=f"{pair.title}: parameters of one engine only: {apart}")
    # What is drawn after CmdStan stands behind what it writes.
    place = {name: i for i, name in enumerate(theirs)}
    return Sampled(pair, compare_draws(names, draws, others[[place[name] for name in names]]))


def truths(sampled: Sequence[Sampled]) -> dict[tuple[str, str], Truth]:
    """Whether the engines agree, for each (family, variant)."""
    by_program: dict[tuple[str, str], list[Sampled]] = {}
    for one in sampled:
        by_program.setdefault((one.pair.family.name, one.pair.variant), []).append(one)
    return {key: _truth(members) for key, members in by_program.items()}


def _truth(members: Sequence[Sampled]) -> Truth:
    compared = [(m.pair.title, m.agreement) for m in members if m.agreement is not None]
    wrong = [m.failed for m in members if m.failed] + [f"{t}: {a.words}" for t, a in compared if not a.agrees]
    unsampled = [m.problem for m in members if m.problem]
    largest = max((a.largest for _, a in compared), default=None)
    threshold = next((a.threshold for _, a in compared), None)
    if wrong:
        return Truth(kind="engines", status="fail", value=largest, threshold=threshold, detail="; ".join(wrong))
    if not compared:
        return Truth(kind="engines", status="not applicable", detail="; ".join(unsampled))
    extent = f"{len(compared)} data sets, {sum(len(a.table) for _, a in compared):,} comparisons"
    return Truth(
        kind="engines", status="pass", value=largest, threshold=threshold, detail="; ".join([extent, *unsampled])
    )
