"""The command ``hbm decide``: which arm next."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hbm_stan.cli.run import EngineOption, JsonOption, QuietOption, Run, SeedOption, guarded
from hbm_stan.errors import HbmError

if TYPE_CHECKING:
    from hbm_stan.bandit.decision import Decision
    from hbm_stan.bandit.state import State
    from hbm_stan.verdicts import Verdict

ArmsArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[ARMS]", help="A CSV (or a dataset folder) with a row for each arm; with --state it may be left out.",
        show_default=False,
    ),
]  # fmt: skip
ArmOption = Annotated[str, typer.Option("--arm", help="The column of the arms' names; arm by default.")]
SuccessesOption = Annotated[str, typer.Option("--successes", help="The column of successes; successes by default.")]
TrialsOption = Annotated[str, typer.Option("--trials", help="The column of trials; trials by default.")]
BatchOption = Annotated[int, typer.Option("--batch", help="Share out so many trials at once.", min=1, max=10**5)]
StateOption = Annotated[
    Path | None,
    typer.Option("--state", help="Go on from this file, and bring it up to date; made where it is not there."),
]
TotalsOption = Annotated[
    bool, typer.Option("--totals", help="With --state: the table has all results since the beginning, not new ones.")
]
AgainOption = Annotated[
    bool, typer.Option("--again", help="With --state: count a table that equals an earlier one; its results are new.")
]
RetireOption = Annotated[
    list[str] | None, typer.Option("--retire", metavar="ARM", help="Take this arm out of play; repeatable.")
]
PriorOption = Annotated[
    list[str] | None,
    typer.Option("--prior", metavar="NAME=PRIOR", help='Of mu or kappa: "kappa=lognormal(5, 1)"; repeatable.'),
]
_ROWS = 20  # of the table on a terminal
_MANY = 1000  # arms: from here on it takes more than a second


def decide(
    arms: ArmsArgument = None, arm: ArmOption = "", successes: SuccessesOption = "", trials: TrialsOption = "",
    batch: BatchOption = 1, state: StateOption = None, totals: TotalsOption = False, again: AgainOption = False,
    retire: RetireOption = None, prior: PriorOption = None, engine: EngineOption = "auto", json: JsonOption = None,
    quiet: QuietOption = False, seed: SeedOption = None,
) -> None:  # fmt: skip
    """Say which arm to try next: successes of trials of each arm, rates drawn from one population.

    With it the chance of each arm to be the best, and what stopping now would lose. A success is what is wanted: the
    arm with the highest rate is the best. With --state, the table has new results, which are added to those of before.
    """
    run = Run(engine, json, quiet, seed)
    with guarded(run):
        before = _refuse_call(arms, state, run.json_path, totals=totals, again=again)
        if arms is not None:
            from hbm_stan.resources import find_data

            find_data(arms)  # a mistyped path is said before the libraries are imported
        from hbm_stan.bandit.decision import decide as make_decision
        from hbm_stan.bandit.state import read_state, write_state

        old, raw = read_state(state) if state is not None and before else (None, None)
        named = {"arm": arm, "successes": successes, "trials": trials}
        now, notes = _today(
            old, arms, {k: v for k, v in named.items() if v}, _priors(prior), totals=totals, again=again
        )
        now = _retired(now, retire)
        if len(now.labels) >= _MANY:
            run.say(f"drawing the rates of {len(now.labels):,} arms")
        decision = make_decision(_bandit(now, seed or 0), batch)
        run.write_json({**_as_dict(decision, now, notes), "seed": seed or 0, "batch": batch})
        if state is not None and now != old:
            write_state(state, now, raw)
            notes = (*notes, f"{state} {'is brought up to date' if before else 'is begun: a new state'}.")
        _show(run, decision, now, notes)


def _refuse_call(arms: str | None, state: Path | None, json_path: Path | None, *, totals: bool, again: bool) -> bool:
    """Refuse options that do not go together, and a state that could not be written; whether there is a state."""
    there = state is not None and os.path.exists(state)
    if state is not None:
        from hbm_stan.files import refuse_missing_folder, refuse_place

        refuse_missing_folder(state, "--state")
        refuse_place(state, "--state", "a state file")
        if json_path is not None and os.path.realpath(json_path) == os.path.realpath(state):
            raise HbmError(f"--json and --state both name {state}. Give each a file of its own.")
    if arms is None and not there:
        missing = f"there is no file {state}" if state is not None else "there is no --state"
        raise HbmError(f"A table of arms is needed, as {missing}: hbm decide ARMS.csv")
    if state is None and (totals or again):
        raise HbmError(f"--{'totals' if totals else 'again'} says how a table goes with a --state; there is none.")
    return there


def _today(
    old: State | None, path: str | None, named: dict[str, str], priors: dict[str, str], *, totals: bool, again: bool
) -> tuple[State, tuple[str, ...]]:
    """The state after today's table, and in words what was done and what may be wrong with the arms."""
    from hbm_stan.bandit.arms import COLUMNS, check_arms, read_arms
    from hbm_stan.bandit.state import first_day, next_day
    from hbm_stan.bandit.thompson import choose_priors

    if old is not None and priors:
        raise HbmError("--prior: the priors of a state are those of its first day. Begin another state to change them.")
    columns = {**COLUMNS, **(old.columns if old is not None else {}), **named}
    verdicts: tuple[Verdict, ...] = ()
    notes: tuple[str, ...] = ()
    if path is None:
        assert old is not None
        now = old
    else:
        table = read_arms(path, columns)
        verdicts = table.verdicts
        if old is None:
            chosen = choose_priors(float(table.hits.sum()), float(table.trials.sum()), priors)
            now = first_day(table, {name: p.text for name, p in chosen.items()}, columns)
        else:
            day = next_day(old, table, totals=totals, again=again)
            now, notes = replace(day.state, columns=columns), day.notes
    warned = [v.hint for v in (*verdicts, *check_arms(columns["arm"], now.labels)) if v.status == "warn"]
    return now, (*notes, *(f"Warning: {hint}" for hint in warned))


def _priors(texts: Iterable[str] | None) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts or ()]
    for name, equals, prior in pairs:
        if not (name.strip() and equals and prior.strip()):
            raise HbmError(f"--prior {name}{equals}{prior}: write NAME=PRIOR, such as kappa=lognormal(5, 1).")
    return {name.strip(): prior.strip() for name, _, prior in pairs}


def _retired(now: State, names: list[str] | None) -> State:
    from hbm_stan.bandit.state import retire

    return retire(now, names) if names else now


def _bandit(now: State, seed: int) -> Any:
    """The arms of a state. The same state and seed decide alike; other counts draw anew."""
    from hbm_stan.bandit.thompson import Bandit

    counts = zlib.crc32(repr((now.labels, now.successes, now.trials, now.retired)).encode("utf-8", "backslashreplace"))
    bandit = Bandit(now.labels, now.successes, now.trials, priors=now.priors, seed=[seed, counts])
    for label in now.retired:
        bandit.retire(label)
    return bandit


def _as_dict(decision: Decision, now: State, notes: Iterable[str]) -> dict[str, Any]:
    leader = decision.rows()[0]
    return {
        "next": {label: n for label, n in decision.next.items() if n},
        "stop": {k: leader[k] for k in ("arm", "mean", "q05", "q95", "p_best", "p_best_mcse", "loss", "loss_mcse")},
        "arms": decision.rows(), "new_arm": dict(decision.new_arm), "population": dict(decision.population),
        "priors": dict(now.priors), "retired": list(now.retired), "draws": decision.draws, "notes": list(notes),
    }  # fmt: skip


def _show(run: Run, decision: Decision, now: State, notes: Iterable[str]) -> None:
    """The decision in sentences, and a row for each arm."""
    from rich.text import Text

    from hbm_stan.cli.show import plain_table
    from hbm_stan.results.digits import format_estimate, format_probability, significant

    rows, n = decision.rows(), decision.draws
    # What matters most stands first: a narrow terminal cuts columns off.
    numbers = ["next", "rate", "90 %", "P(best)", "loss", "successes", "trials"]
    table = plain_table("arm", *numbers, right=numbers)
    shown = [row for i, row in enumerate(rows) if i < _ROWS or row["next"]][: 2 * _ROWS]
    for row in shown:
        table.add_row(
            Text(row["arm"]), f"{row['next']:,}" if row["next"] else "", significant(row["mean"]),
            f"{significant(row['q05'])} to {significant(row['q95'])}", format_probability(row["p_best"], n),
            format_estimate(row["loss"], row["loss_mcse"]), f"{row['successes']:,}", f"{row['trials']:,}",
        )  # fmt: skip
    rest = len(rows) - len(shown)
    more = [f"{rest:,} more {'arm stands' if rest == 1 else 'arms stand'} in --json PATH."] if rest else []
    run.show(*(Text(text) for text in _sentences(decision)), table, *(Text(text) for text in more))
    priors = ", ".join(f"{name} ~ {text}" for name, text in now.priors.items())
    run.show(
        Text(
            "Rate: expected rate. P(best): probability of the highest rate. Loss: how far below the best on average. "
            f"By {n:,} joint draws of all rates; priors {priors}."
        )
    )
    run.show(*(Text(note) for note in notes))


def _sentences(decision: Decision) -> list[str]:
    from hbm_stan.results.digits import format_estimate, format_probability, significant

    rows, new, n = decision.rows(), decision.new_arm, decision.draws
    best = rows[0]
    chosen = sorted(((k, label) for label, k in decision.next.items() if k), key=lambda pair: -pair[0])
    total = sum(k for k, _ in chosen)
    how = "drawn by Thompson sampling: each arm with its chance to be the best"
    if total == 1:
        first = f"Next: {chosen[0][1]} ({how})."
    else:
        first = f"The next {total:,} trials go to {len(chosen):,} arms, as in the column next ({how})."
    likeliest = max(rows, key=lambda row: row["p_best"])
    other = ""
    if likeliest["arm"] != best["arm"]:
        p = format_probability(likeliest["p_best"], n)
        other = f" {likeliest['arm']} is the best more often ({p}), but loses more where it is not."
    return [
        first,
        f"If you stop now, keep {best['arm']}: its rate is {significant(best['mean'])} (90 %: "
        f"{significant(best['q05'])} to {significant(best['q95'])}). It is the best of {len(rows):,} with probability "
        f"{format_probability(best['p_best'], n)}, and lies {format_estimate(best['loss'], best['loss_mcse'])} below "
        f"the best on average: the expected loss of stopping now.{other}",
        f"An arm that was never tried has an expected rate of {significant(new['mean'])} (90 %: "
        f"{significant(new['q05'])} to {significant(new['q95'])}), and is better than {best['arm']} with probability "
        f"{format_probability(new['p_above_leader'], n)}, than all with {format_probability(new['p_above_all'], n)}.",
    ]
