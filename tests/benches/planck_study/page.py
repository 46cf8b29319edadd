"""The page of the study, ``reports/planck_study.md``, and its figures: from the results that are there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from planck_study import cities, truncation
from planck_study.figures import scores_figure, single_point_figure
from planck_study.models import MODELS
from planck_study.runs import PARTS, Rows, result
from planck_study.single_point import WAYS, point, posteriors, summary
from planck_study.spectra import KINDS

ROOT = Path(__file__).parents[3]
RIVALS = ("isolated networks", "hypernetwork", "tied heads")
METHODS = (*MODELS, *RIVALS)
ENOUGH = 10  # collections that a verdict has to rest on


def gathered(folder: Path, part: str, collections: int) -> pd.DataFrame:
    """All rows of a part with the number of their collection; empty where none has been run."""
    rows: Rows = []
    for number in range(1, collections + 1):
        rows += [{**row, "collection": number} for row in result(folder, part, number) or []]
    return pd.DataFrame(rows)


def spread(values: pd.Series, digits: int = 2) -> str:
    """Mean and sd over collections, as a cell."""
    values = values.dropna()
    if values.empty:
        return "–"
    number = f"{values.mean():.{digits}f}"
    return number if len(values) == 1 else f"{number} ± {values.std():.{digits}f}"


def table(header: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [header, ["---"] * len(header), *rows])


def over_kinds(scores: pd.DataFrame, about: pd.DataFrame, where: str) -> str:
    """All measures by method: of each collection the mean over its six sets, then mean and sd over collections."""
    rows = []
    own = scores[scores["where"] == where]
    for method in present(scores):
        each = own[own["method"] == method].groupby("collection")[["rmse", "coverage", "width", "log_score"]].mean()
        seconds = about.reindex(columns=["method", "cpu"]).query("method == @method")[
            "cpu"
        ]  # of all threads: other work on the machine does not count
        cells = [
            spread(each["rmse"]),
            spread(100 * each["coverage"], 0),
            spread(each["width"]),
            spread(each["log_score"]),
        ]
        rows.append([method, *cells, spread(seconds, 0)])
    return table(["", "RMSE", "coverage, %", "width", "log score", "CPU seconds"], rows)


def by_kind(scores: pd.DataFrame, measure: str, where: str, digits: int = 2, unit: float = 1.0) -> str:
    """One measure by method and kind of set, mean and sd over collections."""
    rows = []
    for method in present(scores):
        own = scores[(scores["method"] == method) & (scores["where"] == where)]
        rows.append([method, *(spread(unit * own[own["kind"] == kind][measure], digits) for kind in KINDS)])
    return table(["", *KINDS], rows)


def present(scores: pd.DataFrame) -> list[str]:
    """The methods that have results, in the order of the page."""
    return [m for m in METHODS if m in set(scores["method"])]


def truncation_table(rows: pd.DataFrame) -> str:
    """Bias and coverage of temperatures by group, with and without the truncated likelihood."""
    cells = []
    for way, words in (("truncated", "truncated likelihood"), ("plain", "without it")):
        own = rows[rows["way"] == way]
        parts = [own[own["group"] == name] for name in truncation.GROUPS]
        cells.append([
            words, *(spread(100 * p["bias"], 1) for p in parts),
            *(f"{100 * np.average(p['coverage'], weights=p['spectra']):.0f}" for p in parts),
            spread(own.groupby("collection")["sigma"].first()),
        ])  # fmt: skip
    names = list(truncation.GROUPS)
    return table(["", *(f"bias, {n}, %" for n in names), *(f"coverage, {n}, %" for n in names), "sigma"], cells)


def cities_table(rows: pd.DataFrame) -> str:
    """Log loss above that of the truth, in thousandths."""
    columns = [*cities.GROUPS, cities.NEW]
    cells = []
    for method in cities.CITIES_MODELS:
        own = rows[rows["method"] == method]
        if not own.empty:
            cells.append([method, *(spread(1000 * own[c], 1) for c in columns), spread(own["cpu"], 0)])
    return table(["", *columns, "CPU seconds"], cells)


def single_point_table(rows: list[dict[str, Any]]) -> str:
    """What the single point says of its temperature by what is known of its error."""
    cells = [
        [WAYS[r["way"]], f"{r['median']:.2f}", f"{r['low']:.2f} to {r['high']:.2f}", f"{r['widest']:.1f}"] for r in rows
    ]
    return table(["", "T, median", "80 %", "widest band of the curve"], cells)


def paired(scores: pd.DataFrame, ours: str, other: str, measure: str, where: str) -> tuple[int, int]:
    """In how many collections, and of how many, one method is better than another in the mean over kinds."""
    own = scores[scores["where"] == where].pivot_table(index="collection", columns="method", values=measure)
    if not {ours, other} <= set(own.columns):
        return 0, 0
    both = own[[ours, other]].dropna()
    better = both[ours] > both[other] if measure == "log_score" else both[ours] < both[other]
    return int(better.sum()), len(both)


def fits_line(about: pd.DataFrame) -> str:
    """How many fits have an R-hat above 1.01 or divergent transitions, by model."""
    words = []
    for method, own in about.dropna(subset=["rhat"]).groupby("method", sort=False):
        words.append(
            f"{method} {int((own['rhat'] > 1.01).sum())} and {int((own['divergent'] > 0).sum())} (largest R-hat "
            f"{own['rhat'].max():.3f}, at most {int(own['divergent'].max())} divergent)"
        )
    return f"Of {about['collection'].nunique()} fits each, R-hat above 1.01 and any divergent transition: " + "; ".join(
        words
    )


def body(folder: Path, collections: int, weights: dict[str, Any]) -> str:
    """All tables, with how many collections each is of."""
    parts = {part: gathered(folder, part, collections) for part in PARTS}
    both = pd.concat([parts["models"], parts["rivals"]], ignore_index=True)
    numbers = {name: int(frame["collection"].nunique()) if len(frame) else 0 for name, frame in parts.items()}
    blocks = [
        "Simulated collections that have been run, of "
        f"{collections}: " + ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in numbers.items()) + "."
    ]
    if len(both):
        scores, about = both[both["kind"].notna()], both[both["kind"].isna()]
        blocks += [fits_line(about)] if "rhat" in about else []
        blocks += [lead(scores), law_and_pooling(scores)]
        for where in ("inside", "outside"):
            blocks += [f"### {where.capitalize()} the range of the points", over_kinds(scores, about, where)]
        for measure, words, unit, digits in (
            ("rmse", "RMSE", 1.0, 2), ("coverage", "Coverage of the 80 % band, %", 100.0, 0),
            ("log_score", "Log score", 1.0, 2),
        ):  # fmt: skip
            for where in ("inside", "outside"):
                blocks += [f"### {words}, {where}, by kind of set", by_kind(scores, measure, where, digits, unit)]
    blocks += ["### A single point at high frequency", single_point_table(summary(weights))]
    if len(parts["truncation"]):
        blocks += ["### Truncated spectra", truncation_table(parts["truncation"])]
    towns = pd.concat([parts["cities"], parts["cities_network"]], ignore_index=True)
    if len(towns):
        blocks += ["### Purchases in cities: log loss above the least possible, in thousandths", cities_table(towns)]
    return "\n\n".join(blocks)


def law_and_pooling(scores: pd.DataFrame) -> str:
    """What the law gives and what pooling gives: no and partial pooling of the wrong law and of the right one."""
    rows = []
    for pooling in ("no pooling", "partial pooling"):
        cells = []
        for measure, where in (
            ("rmse", "inside"),
            ("rmse", "outside"),
            ("log_score", "inside"),
            ("log_score", "outside"),
        ):
            for method in (f"{pooling}, wrong law", pooling):
                own = scores[(scores["method"] == method) & (scores["where"] == where)]
                # The single low point is left out: no method can know its curve, and its errors are those of all.
                cells.append(spread(own[own["kind"] != "single low"].groupby("collection")[measure].mean()))
        rows.append([pooling, *cells])
    header = [
        f"{m} {w}, {law}"
        for m in ("RMSE", "log score")
        for w in ("inside", "outside")
        for law in ("wrong law", "right")
    ]
    return "Pooling and the law, over all sets but the single low point:\n\n" + table(["", *header], rows)


def lead(scores: pd.DataFrame) -> str:
    """How often partial pooling of the right law and of the wrong one is better than each other method."""
    lines = []
    for ours in ("partial pooling", "partial pooling, wrong law"):
        cells = []
        for other in present(scores):
            if other != ours:
                counts = [
                    paired(scores, ours, other, m, w) for m in ("rmse", "log_score") for w in ("inside", "outside")
                ]
                cells.append([other, *(f"{a} of {b}" for a, b in counts)])
        lines.append(f"Collections in which {ours} is better than\n\n" + table(
            ["", "RMSE inside", "RMSE outside", "log score inside", "log score outside"], cells))  # fmt: skip
    return "\n\n".join(lines)


def verdict(scores: pd.DataFrame) -> str:
    """What wins where: by kind of set the best mean log score, a sentence each for inside and outside."""
    number = int(scores["collection"].nunique()) if len(scores) else 0
    networks = [m for m in RIVALS if m in present(scores)] if number else []
    if not networks:
        return "No verdict: the networks have not been run on any collection yet."
    sentences = []
    for where in ("inside", "outside"):
        own = scores[scores["where"] == where]
        complete = own.groupby("collection")["method"].nunique() == own["method"].nunique()  # all methods have been run
        own = own[own["collection"].isin(complete.index[complete])]
        means = own.pivot_table(index="kind", columns="method", values="log_score")
        winners: dict[str, list[str]] = {}
        for kind in KINDS:
            winners.setdefault(str(means.loc[kind].idxmax()), []).append(kind)
        rival = max(networks, key=lambda m: means[m].mean())
        better, of = paired(own, "partial pooling", rival, "log_score", where)
        sentences.append(
            f"{where.capitalize()} the range of its points a set is predicted best (log score) by "
            + ", ".join(f"{method} ({', '.join(kinds)})" for method, kinds in winners.items())
            + f"; the best of the networks, {rival}, is worse than partial pooling in {better} of {of} collections."
        )
        number = of
    few = f"Collections: {number} only, too few for a verdict. " if number < ENOUGH else ""
    return few + " ".join(sentences)


def between(text: str, name: str, block: str) -> str:
    """The text with a block in the place of what stands between its marks."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, rest = text.split(begin)
    return f"{before}{begin}\n\n{block}\n\n{end}{rest.split(end)[1]}"


def write(folder: Path, collections: int, say: Callable[[str], None], root: Path = ROOT) -> None:
    """Put verdict and tables between their marks in ``reports/planck_study.md``, and draw the figures beside it."""
    path, weights = root / "reports" / "planck_study.md", posteriors()
    both = pd.concat([gathered(folder, p, collections) for p in ("models", "rivals")], ignore_index=True)
    scores = both[both["kind"].notna()] if len(both) else both
    text = between(path.read_text(encoding="utf-8"), "verdict", verdict(scores))
    path.write_text(between(text, "tables", body(folder, collections, weights)), encoding="utf-8")
    pictures = root / "reports" / "sample"
    single_point_figure(weights, point(), pictures / "planck_study-single_point.png")
    if len(scores):
        scores_figure(scores, present(scores), pictures / "planck_study-scores.png")
    say(f"wrote {path} and its figures in {pictures}")
