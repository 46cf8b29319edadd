"""How often each verdict of a comparison is given, right and wrong: tables of reports/comparison.md; run by hand.

``python tests/tools/verdict_table.py [--write]`` simulates groups, scores them in closed form or by quadrature over
tau (no sampling), lets ``hbm_stan.judge`` judge them, and prints the tables, or puts them into their place in the
page. ``HBM_VERDICT_SETS`` are the numbers of data sets in a cell of each kind. It takes five minutes on one core.
"""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from functools import partial as partial_call
from pathlib import Path

import numpy as np
from scipy.optimize import brentq
from scipy.special import logsumexp

from hbm_stan import judge, weights
from hbm_stan.leave_one_out import standard_error
from hbm_stan.scores import FEW_UNITS, FEW_WIDENING

PAGE = Path(__file__).parents[2] / "reports" / "comparison.md"
MARK = "<!-- verdict_table.py: {} -->"
# Data sets in a cell: of partial and complete pooling, and of equals; a fifth of them where "better" is never said.
SETS = [int(n) for n in os.environ.get("HBM_VERDICT_SETS", "200,1000").split(",")]
SEED = 20261121
GROUPS, TAUS = (8, 20, 60), (0.0, 0.3, 1.0, 3.0)
SHAPES = ("equal", "unequal", "one huge")
ONE_ROW, ROWS, WHOLE = "one row a group", "rows of known groups", "new groups"
DESIGNS = (ONE_ROW, ROWS, WHOLE)
SHIFT, NARROW = 1.0, 0.3  # of wrong locations, in sds; the variance that is too small where 1 is right
MU_SD = 10.0  # of the prior of mu; that of tau is half-normal with the sd of the group means
# Rules that were tried beside that of hbm_stan.judge; every one asks for a lead of 4 too.
ALTERNATIVES = (
    "two standard errors over groups", "two doubled standard errors, bootstrap above 0 (the rule before)",
    "90 % of the bootstrap above 0", "98 % of the bootstrap above 0", "signs flipped at random, 5 %",
    "corrected standard error alone", "bootstrap with the worst group ten times alone", "both: the rule of hbm_stan",
)  # fmt: skip


def sizes(groups: int, shape: str, design: str) -> np.ndarray:
    """Rows of each group. With one row a group it is the precision of its estimate, in units of the noise."""
    usual, span, huge = (1.0, 4.0, 100.0) if design == ONE_ROW else (4.0, 4.0, 200.0)
    n = np.full(groups, usual)
    if shape == "unequal":
        n = usual * np.geomspace(1 / span, span, groups)
    if shape == "one huge":
        n[0] = huge
    return n if design == ONE_ROW else np.round(n)


@dataclass(frozen=True, kw_only=True)
class Left:
    """What is left out in turn: its mean and rows, the same of the rest of its group, and its group; shape (unit,)."""

    y: np.ndarray
    n: np.ndarray
    rest_y: np.ndarray
    rest_n: np.ndarray
    group: np.ndarray


def left_out(y: np.ndarray, n: np.ndarray, group: np.ndarray, by_row: bool) -> Left:
    """Rows of groups, or whole groups, left out of a table of rows; one row a group has its precision as its rows."""
    if not by_row:
        mean = np.bincount(group, weights=y) / np.bincount(group)
        return Left(y=mean, n=n, rest_y=np.zeros(n.size), rest_n=np.zeros(n.size), group=np.arange(n.size))
    rest = n[group] - 1
    total = np.bincount(group, weights=y)[group]
    return Left(y=y, n=np.ones(y.size), rest_y=(total - y) / np.maximum(rest, 1), rest_n=rest, group=group)


def complete(left: Left, mean: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Log predictive density under complete pooling, mu ~ normal(0, MU_SD), rows with sd 1; in closed form."""
    precision = n.sum() - left.n + MU_SD**-2
    centre = ((n * mean).sum() - left.n * left.y) / precision
    return normal(left.y - centre, 1 / left.n + 1 / precision)


def partial(left: Left, mean: np.ndarray, n: np.ndarray) -> np.ndarray:
    """The same under partial pooling: mu in closed form, tau by quadrature."""
    scale = float(np.std(mean, ddof=1))
    tau = np.geomspace(1e-3 * scale, 8 * scale, 40)[:, None]
    v, has = tau**2 + 1 / n, left.rest_n > 0
    own = left.group
    # Sums over groups, the own group's term replaced by that of its rest.
    w_rest = has / (tau**2 + 1 / np.maximum(left.rest_n, 1))
    s0 = (1 / v).sum(axis=1, keepdims=True) - 1 / v[:, own] + w_rest + MU_SD**-2
    s1 = (mean / v).sum(axis=1, keepdims=True) - (mean / v)[:, own] + w_rest * left.rest_y
    s2 = (mean**2 / v).sum(axis=1, keepdims=True) - (mean**2 / v)[:, own] + w_rest * left.rest_y**2
    logs = np.log(v).sum(axis=1, keepdims=True) - np.log(v)[:, own] - np.where(has, np.log(np.where(has, w_rest, 1)), 0)
    log_tau = (
        -0.5 * (logs + np.log(s0) + s2 - s1**2 / s0)
        - 0.5 * (tau / scale) ** 2
        + np.log(np.gradient(tau[:, 0]))[:, None]
    )
    log_tau -= logsumexp(log_tau, axis=0)
    shrunk = tau**2 * left.rest_n / (tau**2 * left.rest_n + 1)
    centre = shrunk * left.rest_y + (1 - shrunk) * s1 / s0
    variance = tau**2 * (1 - shrunk) + 1 / left.n + (1 - shrunk) ** 2 / s0
    return np.asarray(logsumexp(log_tau + normal(left.y - centre, variance), axis=0))


def normal(x: np.ndarray, variance: np.ndarray | float) -> np.ndarray:
    """Log density of normal(0, sqrt(variance))."""
    return -0.5 * (np.log(2 * np.pi * variance) + x**2 / variance)


Scores = tuple[np.ndarray, np.ndarray, np.ndarray | None]


def pooled(groups: int, shape: str, design: str, tau: float, rng: np.random.Generator) -> Scores:
    """Partial and complete pooling of simulated groups: pointwise scores, and the group of each unit."""
    n = sizes(groups, shape, design)
    rows = np.ones(groups, dtype=int) if design == ONE_ROW else n.astype(int)
    group = np.repeat(np.arange(groups), rows)
    noise = (1 / np.sqrt(n))[group] if design == ONE_ROW else 1.0
    y = (tau * rng.normal(size=groups))[group] + noise * rng.normal(size=group.size)
    left = left_out(y, n, group, design == ROWS)
    mean = np.bincount(group, weights=y) / rows
    return partial(left, mean, n), complete(left, mean, n), left.group


@cache
def equally_wide(groups: int, shape: str, design: str) -> float:
    """The spread that is as much too wide as NARROW is too narrow, in the sum of expected scores over units."""
    n = sizes(groups, shape, design)
    within = 0 if design == ROWS else 1 / n
    times = n if design == ROWS else 1.0

    def gap(log_wide: float) -> float:
        v = [within + spread for spread in (1.0, NARROW, np.exp(log_wide))]
        return float(np.sum(times * (np.log(v[2] / v[1]) + v[0] * (1 / v[2] - 1 / v[1]))))

    return float(np.exp(brentq(gap, 0.01, 20)))


def equals(kind: str, groups: int, shape: str, design: str, rng: np.random.Generator) -> Scores:
    """Two wrong models of equal worth: the same expected score, far apart in each unit."""
    n = sizes(groups, shape, design)
    rows = n.astype(int) if design == ROWS else np.ones(groups, dtype=int)
    group = np.repeat(np.arange(groups), rows)
    # What the models know to spread with sd 1: rows of known groups, or the means of groups beside their noise.
    within = {ONE_ROW: 1 / n, ROWS: np.zeros(group.size), WHOLE: 1 / n}[design]
    truth = within + (0.0 if design == ONE_ROW and kind.startswith("location") else 1.0)
    draw = {"normal": rng.normal, "t3": lambda size: rng.standard_t(3, size) / np.sqrt(3),
            "t5": lambda size: rng.standard_t(5, size) / np.sqrt(5 / 3)}[kind.split(", ")[1]]  # fmt: skip
    y = np.sqrt(truth) * draw(size=group.size)
    if kind.startswith("location"):
        a, b = normal(y - SHIFT, truth), normal(y + SHIFT, truth)
    elif kind.startswith("spread"):
        a, b = normal(y, within + NARROW), normal(y, within + equally_wide(groups, shape, design))
    else:
        one, another = SHIFT * rng.normal(size=(2, groups))
        a, b = normal(y - one[group], truth), normal(y - another[group], truth)
    return a, b, group


KINDS = {
    "location, normal": DESIGNS, "location, t3": DESIGNS, "spread, normal": DESIGNS, "spread, t5": DESIGNS,
    "group means, normal": (ROWS, WHOLE),
}  # fmt: skip


@cache
def signs(n: int) -> np.ndarray:
    """Random signs of n units, shape (400, n)."""
    return np.random.default_rng(SEED).choice([-1.0, 1.0], size=(400, n))


def alternatives(pair: judge.Pair, lead: np.ndarray) -> list[bool]:
    """Which of the rules that were tried say "predicts better"; ``lead`` is by group."""
    if lead.sum() < 4 or pair.bootstrap is None:
        return [False] * len(ALTERNATIVES)
    z, (low, _, below) = lead.sum() / standard_error(lead), pair.bootstrap
    flips = np.abs(signs(lead.size) @ lead)
    # Every rule on its own, without the least number of groups and what is known of complete pooling.
    corrected, sided = judge.corrected_z(lead) >= judge.STANDARD_ERRORS, judge.one_sided(lead)
    return [
        z >= 2, bool(lead.sum() >= 2 * pair.se_diff_used and low > 0), below <= 0.05, below <= 0.01,
        bool(np.mean(flips >= lead.sum()) <= 0.05), corrected, sided, pair.kind == "better",
    ]  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """Shares, in %, of data sets with each answer, and of those in which each alternative says "predicts better"."""

    kinds: Counter[str]
    wrong: int
    tried: np.ndarray
    n: int

    def rate(self, kind: str) -> float:
        return 100 * self.kinds[kind] / self.n


def cell(key: Key, stream: int) -> Cell:
    """One cell: sets that are simulated, scored and judged."""
    what, design, shape, groups = key
    rng = np.random.default_rng([SEED, stream])
    kinds: Counter[str] = Counter()
    tried, wrong = np.zeros(len(ALTERNATIVES)), 0
    same = what in KINDS
    names = ("one", "another") if same else ("partial_pooling", "complete_pooling")
    sets = SETS[same] // (1 if groups >= judge.MANY_GROUPS else 5)
    for _ in range(sets):
        a, b, group = (
            equals(what, groups, shape, design, rng) if same else pooled(groups, shape, design, float(what), rng)
        )
        first = a.sum() >= b.sum()
        lead = a - b if first else b - a
        se = standard_error(lead) * (FEW_WIDENING if lead.size < FEW_UNITS else 1)
        verdict = judge.judge(*(names if first else names[::-1]), lead, se=se, group=group if design == ROWS else None,
                            limit=first and not same)  # fmt: skip
        kinds[verdict.kind] += 1
        wrong += verdict.kind == "better" and not first
        tried += alternatives(verdict, np.bincount(group, weights=lead))
    return Cell(kinds, wrong, 100 * tried / sets, sets)


Key = tuple[str, str, str, int]  # what is simulated, what is predicted, sizes, groups


def cells() -> dict[Key, Callable[[], Cell]]:
    """Every cell, to be made."""
    keys: list[Key] = [
        (what, design, shape, groups)
        for design in DESIGNS
        for shape in SHAPES
        for groups in GROUPS
        for what in (*(f"{tau:g}" for tau in TAUS), *(kind for kind, own in KINDS.items() if design in own))
    ]
    return {key: partial_call(cell, key, stream) for stream, key in enumerate(keys)}


def tables(tallies: dict[Key, Cell]) -> str:
    """The three tables in Markdown."""
    lines = [
        "| groups | sizes | what is predicted | " + " | ".join(f"tau = {t:g}" for t in TAUS) + " |",
        "|---" * 7 + "|",
    ]
    for groups in GROUPS:
        for shape in SHAPES:
            for design in DESIGNS:
                shown = [tallies[f"{t:g}", design, shape, groups] for t in TAUS]
                rates = [f"{c.rate('better'):.1f} + {c.rate('better_here'):.1f}" for c in shown]
                lines.append(f"| {groups} | {shape} | {design} | {' | '.join(rates)} |")
    heads = [f"{g}, {s}" for g in GROUPS for s in SHAPES]
    lines += ["", "| equals | what is predicted | " + " | ".join(heads) + " |", "|---" * (2 + len(heads)) + "|"]
    for kind, own in KINDS.items():
        for design in own:
            shown = [tallies[kind, design, s, g] for g in GROUPS for s in SHAPES]
            rates = [f"{c.rate('better'):.1f} + {c.rate('better_here'):.1f}" for c in shown]
            lines.append(f"| {kind} | {design} | {' | '.join(rates)} |")
    return "\n".join([*lines, "", *_tried(tallies)])


def _tried(tallies: dict[Key, Cell]) -> list[str]:
    """The worst false rate of each rule by number of groups, and its least rate of a right verdict."""
    null = {k: c for k, c in tallies.items() if k[0] in KINDS or k[0] == "0"}
    right = [c.tried for k, c in tallies.items() if k[0] == "3" and k[3] == 20]
    lines = [
        "| rule | " + " | ".join(f"false, {g} groups" for g in GROUPS) + " | right, tau = 3, 20 groups |",
        "|---" * 5 + "|",
    ]
    for i, name in enumerate(ALTERNATIVES):
        worst = [max(c.tried[i] for k, c in null.items() if k[3] == g) for g in GROUPS]
        lines.append(f"| {name} | " + " | ".join(f"{w:.1f}" for w in worst) + f" | {min(r[i] for r in right):.1f} |")
    return lines


def main(arguments: list[str]) -> None:
    """Print the tables, or put them into their page."""
    # The weights of the bootstrap are the same for the same number of groups: they are drawn once.
    drawn = weights._bootstrap
    weights._bootstrap = cache(lambda n: list(drawn(n)))  # type: ignore[assignment]
    tallies = {}
    for key, make in cells().items():
        tallies[key] = make()
        print(*key, dict(tallies[key].kinds), file=sys.stderr, flush=True)
    page = tables(tallies)
    if "--write" not in arguments:
        print(page)
        return
    text = PAGE.read_text(encoding="utf-8")
    begin, end = (MARK.format(word) for word in ("begin", "end"))
    new, count = re.subn(f"(?s){re.escape(begin)}.*?{re.escape(end)}", lambda _: f"{begin}\n{page}\n{end}", text)
    assert count == 1, f"{PAGE} has no place for the tables"
    PAGE.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
