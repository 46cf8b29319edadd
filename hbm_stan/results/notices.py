"""What a reader must know before any number, each sentence with what it is about."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hbm_stan.results.collect import Findings
from hbm_stan.results.lacking import lacking
from hbm_stan.results.sensitive import Sensitive
from hbm_stan.scores import plain
from hbm_stan.verdicts import check_title


class About(StrEnum):
    """What a notice is about."""

    CHECK = "check"
    COMPARISON = "comparison"
    FAMILY = "family"
    CERTIFICATE = "certificate"
    GROUPS = "groups"


@dataclass(frozen=True)
class Notice:
    """A sentence that a reader needs before any number, and what it is about."""

    about: About
    text: str


def notices(findings: Findings) -> list[Notice]:
    """Waived checks, warnings of the data, every failed check with its hint, and what a user's family cannot do."""
    fits, compared = findings.fits, [c for c in (findings.comparison, findings.group_comparison) if c is not None]
    few = [s.text for c in compared for s in c.sentences if s.kind == "few"]
    by_topic = {About.CHECK: _of_checks(findings), About.FAMILY: lacking(fits), About.COMPARISON: few}
    return [Notice(about, text) for about, texts in by_topic.items() for text in texts]


def _of_checks(findings: Findings) -> list[str]:
    sentences, table = [], next(iter(findings.fits.values())).table
    for name, verdicts in findings.verdicts.items():
        for v in verdicts:
            if v.waived:
                sentences.append(
                    f"{plain(name).capitalize()}: the failed check “{v.name}” was waived by the analyst. {v.hint}"
                )
            elif v.status != "pass":
                sentences.append(f"{plain(name).capitalize()}, {check_title(v.name, table.noun)}: {v.hint}")
    return sentences + [v.hint for v in table.verdicts if v.status != "pass"]


def influential(sensitivity: Sensitive | None) -> list[str]:
    """What page one must say of single groups: those that move the population alone, and those not judged."""
    return [] if sensitivity is None or sensitivity.influence is None else sensitivity.influence.page_one
