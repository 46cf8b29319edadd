"""Stan's own words, with the name that the user gave the program and the line that they point at."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence

from hbm_stan.program import Program

_WORDS = 8  # lines of Stan's own words in a message
# What CmdStan prints at every start: its settings, the time of one gradient, blank lines.
_NOISE = re.compile(r"^\s*(Iteration:|Gradient evaluation|1000 transitions|Adjust your|\w+( = .*)?$|$)")
_NUMBER = re.compile(r"[-+]?\d[\d.]*(e[-+]?\d+)?")
# CmdStan names the file that was compiled, which is a copy; stanli calls the program 'string'.
_FILE = re.compile(r"'(?:[^'\n]*/model\.stan|string)', line (\d+)")


def last_words(lines: Sequence[str]) -> str:
    """The last lines of a chain that say something; of lines that differ in numbers only, the last."""
    by_pattern: dict[str, str] = {}
    for line in reversed(lines):
        if not _NOISE.match(line):
            by_pattern.setdefault(_NUMBER.sub("0", line), line)
    return "\n".join(list(by_pattern.values())[:_WORDS][::-1]) or "(nothing)"


def in_program(words: str, program: Program) -> str:
    """Stan's words about ``program``: its own file name in place of the copy's, and the lines they name, quoted."""
    numbers = dict.fromkeys(int(n) for n in _FILE.findall(words))
    named = _FILE.sub(lambda m: f"'{program.path.name}', line {m[1]}", words).strip()
    if "-----" in named:  # the Stan compiler quotes the place itself
        numbers = {}
    return "\n".join([named, *(_quoted(program, n) for n in numbers)])


def _quoted(program: Program, number: int) -> str:
    """A line of the program; where files are included into it, its number in the program's own file too."""
    lines = program.code.splitlines()
    if not 1 <= number <= len(lines):
        return f"Line {number} is not in {program.path}."
    own = lines
    with contextlib.suppress(OSError, UnicodeDecodeError):
        own = program.path.read_text(encoding="utf-8-sig").splitlines()
    same = [i for i, line in enumerate(own, start=1) if line == lines[number - 1]]
    where = f"Line {number}"
    if own != lines:
        where += " with the included files counted in"
        where += f" ({program.path.name}, line {same[0]})" if len(same) == 1 else ""
    return f"{where}: {lines[number - 1].strip()}"
