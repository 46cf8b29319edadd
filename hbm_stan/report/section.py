"""What a section of the report is: the blocks that it prints, the figures that it draws, and when it stands there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from hbm_stan.report.blocks import Block
from hbm_stan.results.collect import Findings

# What draws each figure, by its name.
Drawings = dict[str, Callable[[], Any]]


class When(Enum):
    """Which reports a section is in: every one, those whose checks passed or were waived, or the others."""

    ALWAYS = "always"
    PASSED = "passed"
    WITHHELD = "withheld"


def no_drawings(_findings: Findings, _results: dict[str, Any]) -> Drawings:
    """Of a section without a figure."""
    return {}


@dataclass(frozen=True)
class Section:
    """A section: ``blocks`` of the results and the names of all figures, ``drawings`` of the findings and the results.

    Where there is nothing to print, there are no blocks. A section reads only ``results`` and prints only what it
    reads there; a figure may show draws too, which ``findings`` hold.
    """

    blocks: Callable[[dict[str, Any], Iterable[str]], list[Block]]
    drawings: Callable[[Findings, dict[str, Any]], Drawings] = no_drawings
    when: When = When.PASSED

    def stands(self, withheld: bool) -> bool:
        """Whether it is in a report that withholds its findings, or in one that does not."""
        return self.when is When.ALWAYS or (self.when is When.WITHHELD) == withheld
