"""What only joined evidence has: the villages of highest intensity, what each stream says of them, do they agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from hbm_stan.families.joint_infection.conditional import OF_POPULATION, draw_given, has_stream
from hbm_stan.families.joint_infection.conflict import CONFLICT_P, Conflict, compared, in_words, p_in_words
from hbm_stan.families.joint_infection.streams import BLOOD, EGGS
from hbm_stan.later import expit
from hbm_stan.model import Evidence, Finding, StanData
from hbm_stan.table import FloatArray

if TYPE_CHECKING:
    import pandas as pd
else:
    from hbm_stan.later import pd

_LISTED, _NAMED = 12, 3  # villages in table and figure, in a sentence
_INTERVAL = {"q05": 0.05, "q50": 0.5, "q95": 0.95}


def scale(data: StanData) -> tuple[str, Callable[[FloatArray], FloatArray], str]:
    """On which scale a reader thinks of an intensity: that of the first stream."""
    kind = int(np.asarray(data["kind"])[np.asarray(data["stream"]) == 1][0])
    if kind == EGGS:
        return "mean egg count", np.exp, "rate"
    return ("prevalence" if kind == BLOOD else "share of infected snails"), expit, "odds"


def findings(evidence: Evidence) -> list[Finding]:
    """The villages with the highest intensity and what their streams say; agreement; predictors; slopes of streams."""
    both = compared(evidence.draws, evidence.data)
    villages = [_villages(evidence, both)] if "theta" in evidence.draws and _of_their_own(evidence) else []
    return [*villages, *([_agreement(evidence, both)] if both is not None else []), *_effects(evidence)]


def _of_their_own(evidence: Evidence) -> bool:
    return "mu" not in evidence.draws or "tau" in evidence.draws


def alone(evidence: Evidence) -> dict[str, FloatArray]:
    """theta of each village by one stream alone and the population, (draws, J) by the stream's name; nan without it."""
    data, has = evidence.data, has_stream(evidence.data)
    draws = {name: np.asarray(evidence.draws[name]) for name in OF_POPULATION if name in evidence.draws}
    by_stream = {}
    for s, name in enumerate(evidence.table.parts):
        use = np.zeros_like(has)
        use[s] = has[s]
        theta = draw_given(evidence.rng, draws, data, use)
        theta[:, ~has[s]] = np.nan
        by_stream[name] = theta
    return by_stream


def _villages(evidence: Evidence, both: Conflict | None) -> Finding:
    draws, noun = evidence.draws, evidence.table.noun
    name, back, what = scale(evidence.data)
    theta, labels = draws["theta"], np.array(evidence.table.pooled.labels)
    low, middle, high = np.quantile(back(theta), list(_INTERVAL.values()), axis=0)
    order = np.argsort(-np.median(theta, axis=0), kind="stable")[:_LISTED]
    highest = np.bincount(theta.argmax(axis=1), minlength=len(labels)) / len(theta)
    by_stream = {
        stream: np.quantile(back(own), list(_INTERVAL.values()), axis=0) for stream, own in alone(evidence).items()
    }
    columns = {noun.one: labels, "median": middle, "q05": low, "q95": high, "P(highest)": highest}
    columns |= {stream: own[1] for stream, own in by_stream.items()}
    digits = dict.fromkeys(("median", "q05", "q95", *by_stream), 1 if what == "rate" else 2)
    named = []
    for k, j in enumerate(order[:_NAMED]):
        whole = f"{_short(middle[j])}, {'90 % interval ' * (k == 0)}{_short(low[j])} to {_short(high[j])}"
        others = [f"{stream} {_short(own[1][j])}" for stream, own in by_stream.items() if np.isfinite(own[1][j])]
        named.append(
            f"{labels[j]} ({whole}; alone {', '.join(others)})" if len(by_stream) > 1 else f"{labels[j]} ({whole})"
        )
    sentence = f"The {noun.many} with the highest {name} are {', '.join(named[:-1])} and {named[-1]}."
    agree = "" if both is None else " " + _short_agreement(both, noun.many)
    beside = "Beside it, what each stream says alone, given the population and how the stream depends on the intensity."
    return Finding(
        title=f"Where the {name} is highest, and what each stream says",
        sentences=(sentence, beside), table=pd.DataFrame(columns).iloc[order],
        caption=f"The {len(order)} {noun.many} with the highest {name}: posterior median and 90 % interval of all "
        "streams together, the probability of being the highest, and the median by each stream alone.",
        digits=digits | {"P(highest)": 2}, intervals=_intervals(labels, order, (low, middle, high), by_stream),
        x_label=name, first=f"{sentence}{agree}", opens=True,
    )  # fmt: skip


def _intervals(
    labels: np.ndarray, order: np.ndarray, whole: tuple[FloatArray, ...], by_stream: dict[str, FloatArray]
) -> pd.DataFrame:
    """For the figure: label, source, low, middle and high, of all streams together and of each alone."""
    sources = {"all streams": np.stack(whole), **by_stream}
    rows = [
        {"label": str(labels[j]), "source": source, "low": own[0][j], "middle": own[1][j], "high": own[2][j]}
        for j in order for source, own in sources.items() if np.isfinite(own[1][j])
    ]  # fmt: skip
    return pd.DataFrame(rows)


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}"


def _short_agreement(both: Conflict, many: str) -> str:
    if both.p_value >= CONFLICT_P:
        return f"The streams of {many} agree within chance (p {p_in_words(both.p_value)})."
    others = " and ".join(s for k, s in enumerate(both.streams) if k != both.worst)
    return f"But {both.streams[both.worst]} and {others} do not agree (p {p_in_words(both.p_value)})."


def _agreement(evidence: Evidence, both: Conflict) -> Finding:
    """The test of each stream, and the counts that lie furthest from what the other streams predict."""
    noun, labels = evidence.table.noun, evidence.table.pooled.labels
    n = np.isfinite(both.z).sum(axis=1)
    table = pd.DataFrame({
        "stream": both.streams, noun.many: n, "mean z": np.nanmean(both.z, axis=1),
        "root mean square z": np.sqrt(np.nanmean(both.z**2, axis=1)), "p, all together": both.p_sum,
        "p, furthest": both.p_far, **({"p, along": np.nanmin(both.p_along, axis=1)} if both.p_along.size else {}),
        "furthest": [_furthest(both, k, labels) for k in range(len(both.streams))],
    })[n > 0]  # fmt: skip
    sentence = (
        f"The streams agree within chance: each count, left out and predicted from other streams of its {noun.one}, "
        f"lies where it should (p {p_in_words(both.p_value)} of all tests; below {CONFLICT_P:g} would be a conflict)."
        if both.p_value >= CONFLICT_P
        else in_words(both, evidence)
    )
    blind = (
        "A stream that is off by the same factor everywhere moves its own level and cannot be seen here, nor does it "
        f"change which {noun.many} are high; eggs that are off in many {noun.many} look like eggs that spread more."
    )
    caption = (
        "Agreement of the streams: z of each count in what the other streams predict of it (0 and a root mean square "
        "of 1 where all is well), and the probability of as large ones by chance."
    )
    digits = {"mean z": 2, "root mean square z": 2, "p, all together": 3, "p, furthest": 3, "p, along": 3}
    return Finding(
        title="Do the streams agree?", sentences=(sentence, blind), table=table, caption=caption, digits=digits
    )


def _furthest(both: Conflict, stream: int, labels: tuple[str, ...]) -> str:
    size = np.nan_to_num(np.abs(both.z[stream]), nan=-1.0)
    j = int(size.argmax())
    return f"{labels[j]} ({both.z[stream, j]:+.1f})" if size[j] >= 0 else ""


def _effects(evidence: Evidence) -> list[Finding]:
    """What one unit of each predictor does to the intensity, and how odds of the other streams rise with it."""
    draws, parts, noun = evidence.draws, evidence.table.parts, evidence.table.noun
    name, _, what = scale(evidence.data)
    predictors = evidence.table.predictors["group_predictors"]
    names = predictors.names
    steps = [f"one unit of {n}" if n not in predictors.indicators else predictors.step(n) for n in names]
    rows = [(f"{what}: {steps[k]}", draws["gamma"][:, k]) for k, n in enumerate(names) if "gamma" in draws]
    of_streams = len(parts) > 1 and "beta" in draws
    rows += [(f"odds of {s}: twice the {name}" if what == "rate" else f"odds of {s}: twice the odds",
              draws["beta"][:, k] * np.log(2)) for k, s in enumerate(parts[1:]) if of_streams]  # fmt: skip
    if not rows:
        return []
    q = np.quantile(np.exp(np.stack([own for _, own in rows], axis=1)), (0.05, 0.5, 0.95), axis=0)
    table = pd.DataFrame({"factor of": [label for label, _ in rows], "factor": q[1], "q05": q[0], "q95": q[2]})
    k = len(names) if "gamma" in draws else 0
    sentences = []
    if k:
        best = int(np.argmax(np.abs(np.log(q[1, :k]))))
        sentences.append(
            f"{predictors.step(names[best])} multiplies the {what} by {q[1, best]:.2f} (90 % interval {q[0, best]:.2f} "
            f"to {q[2, best]:.2f})."
        )
    if of_streams:
        sentences.append(
            f"Where the {name if what == 'rate' else 'odds'} of a {noun.one} doubles, "
            + " and ".join(f"the odds of {s} are {q[1, k + i]:.2f} times as high" for i, s in enumerate(parts[1:]))
            + "."
        )
    caption = "Factors of predictors and of streams: posterior median and 90 % interval."
    digits = dict.fromkeys(("factor", "q05", "q95"), 2)
    return [
        Finding(title="What moves the intensity, and what it moves", sentences=tuple(sentences), table=table,
                caption=caption, digits=digits)
    ]  # fmt: skip
