"""Commands side by side: how many at once, what is said where one fails, and that nothing outlives the call."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from processes import Child, until

from hbm_stan.engines.chains import Task, cores, run_chains, run_together
from hbm_stan.engines.stopping import orderly_stop
from hbm_stan.engines.words import in_program, last_words
from hbm_stan.errors import EngineError
from hbm_stan.program import Program

PROGRAM = Program("toy", Path("/where/toy.stan"), "parameters {\n  real mu;\n}\nmodel {\n  mu ~ normal(0, -1);\n}\n")
needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc")


def shell(name: str, script: str, folder: Path | None = None) -> Task:
    return Task(name, ["sh", "-c", script], folder)


def quiet(_task: Task, _line: str) -> None:
    pass


def test_what_ended_is_given_in_the_order_of_ending(tmp_path: Path) -> None:
    # The first ends when the second is gone: a process that has ended, but was not seen to, still takes signal 0.
    two = tmp_path / "two"
    wait = f"while [ ! -e {two} ] || kill -0 $(cat {two}) 2> /dev/null; do sleep 0.01; done"
    told = f"echo $$ > {two}.new; mv {two}.new {two}; echo two"
    ended = run_together([shell("1", wait), shell("2", told)], quiet, at_once=2)
    assert [(e.task.name, e.code, e.lines) for e in ended] == [("2", 0, ("two",)), ("1", 0, ())]


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_no_more_run_at_once_than_allowed(at_once: int) -> None:
    running, most = set[str](), []

    def listen(task: Task, line: str) -> None:
        (running.add if line.strip() == "begin" else running.discard)(task.name)
        most.append(len(running))

    tasks = [shell(str(i), "echo begin; sleep 0.15; echo end") for i in range(5)]
    assert len(run_together(tasks, listen, at_once)) == 5
    assert max(most) == at_once


def test_as_many_run_as_there_are_cores() -> None:
    assert cores() == len(os.sched_getaffinity(0))


def test_the_first_failure_ends_the_others() -> None:
    started = time.monotonic()
    ended = run_together([shell("1", "sleep 60"), shell("2", "exit 3"), shell("3", "sleep 60")], quiet, at_once=2)
    assert [(e.task.name, e.code) for e in ended] == [("2", 3)]
    assert time.monotonic() - started < 5


def test_an_error_of_the_listener_ends_all_and_is_raised() -> None:
    def listen(_task: Task, _line: str) -> None:
        raise LookupError("the caller's own")

    with pytest.raises(LookupError, match="the caller's own"):
        run_together([shell("1", "echo x; sleep 60"), shell("2", "sleep 60")], listen, at_once=2)


@pytest.mark.parametrize(("content", "words"), [(None, "No such file"), ("", "Exec format error")])
def test_a_command_that_cannot_be_started(tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / "model"
    if content is not None:
        path.write_text(content)
        path.chmod(0o755)
    with pytest.raises(EngineError, match=f"model cannot be started .{words}"):
        run_together([Task("1", [str(path)])], quiet)


def test_it_works_outside_the_main_thread() -> None:
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.extend(e.code for e in run_together([shell("1", "exit 0")], quiet)))
    thread.start()
    thread.join()
    assert codes == [0]


def test_the_callers_signal_handlers_are_put_back() -> None:
    def own(_number: int, _frame: object) -> None: ...

    before = signal.signal(signal.SIGTERM, own)
    try:
        run_together([shell("1", "exit 0")], quiet)
        assert signal.getsignal(signal.SIGTERM) is own
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_only_the_first_signal_interrupts() -> None:
    with orderly_stop():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        # Now processes are ended and folders removed: a second Ctrl-C must not stop that half-way.
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_progress_is_the_chains_own() -> None:
    seen: list[tuple[int, int, int]] = []
    lines = "echo 'Iteration:    1 / 2000 [  0%]  (Warmup)'; echo 'Iteration: 2000 / 2000 [100%]  (Sampling)'"
    run_chains(PROGRAM, [shell("1", lines), shell("2", lines)], lambda *values: seen.append(values))
    assert sorted(seen) == [(1, 1, 2000), (1, 2000, 2000), (2, 1, 2000), (2, 2000, 2000)]


def test_a_chain_that_fails_is_an_error_in_stans_words_with_the_line() -> None:
    script = (
        "echo 'method = sample (Default)'; echo '  sample'; echo '    num_samples = 1000 (Default)'; echo;"
        "for i in 1 2 3; do echo 'Rejecting initial value:';"
        "echo '  Error evaluating the log probability at the initial value.';"
        "echo \"Exception: normal_lpdf: Scale is -$i (in '/x y/0/model.stan', line 5, column 2 to column 20)\"; done;"
        "echo 'Initialization between (-2, 2) failed after 100 attempts.'; exit 70"
    )
    with pytest.raises(EngineError) as error:
        run_chains(PROGRAM, [shell("1", script)], None)
    assert str(error.value).splitlines() == [
        "/where/toy.stan: chain 1 of 1 ended with exit code 70. Stan says:",
        "Rejecting initial value:",
        "  Error evaluating the log probability at the initial value.",
        "Exception: normal_lpdf: Scale is -3 (in 'toy.stan', line 5, column 2 to column 20)",
        "Initialization between (-2, 2) failed after 100 attempts.",
        "Line 5: mu ~ normal(0, -1);",
    ]


def test_a_chain_killed_from_outside_is_an_error() -> None:
    with pytest.raises(EngineError, match="chain 2 of 2 was ended by SIGKILL, as Linux does where memory runs out"):
        run_chains(PROGRAM, [shell("1", "sleep 60"), shell("2", "kill -9 $$")], None, at_once=2)
    with pytest.raises(EngineError, match=r"was ended by SIGSEGV\. Stan says:\n\(nothing\)"):
        run_chains(PROGRAM, [shell("1", "kill -SEGV $$")], None)


def test_the_words_of_a_chatty_chain_are_few() -> None:
    assert len(last_words([f"word{'s' * i}!" for i in range(1000)]).splitlines()) == 8
    assert last_words(["Informational 1", "rejected at 2.5e-7", "rejected at -3", "end."]) == "\n".join(
        ["Informational 1", "rejected at -3", "end."]
    )


def test_lines_of_a_program_with_includes_are_named_in_its_own_file(tmp_path: Path) -> None:
    (tmp_path / "lib.stanfunctions").write_text("real f(real x) {\n  return x;\n}\n")
    path = tmp_path / "own.stan"
    path.write_text("functions {\n  #include lib.stanfunctions\n}\nparameters {\n  real mu;\n}\n")
    program = Program.read(path)
    message = in_program("Exception: no (in '/tmp/a/0/model.stan', line 7, column 2 to column 5)", program)
    assert message.splitlines() == [
        "Exception: no (in 'own.stan', line 7, column 2 to column 5)",
        "Line 7 with the included files counted in (own.stan, line 5): real mu;",
    ]
    assert "Line 3 with the included files counted in: return x;" in in_program("in 'string', line 3", program)
    assert in_program("in 'string', line 99", program).endswith(f"Line 99 is not in {path}.")


# A parent of two sleeping commands; what it prints says how the call ended.
PARENT = """
import sys
from hbm_stan.engines.chains import Task, run_together
try:
    run_together([Task(n, ["sh", "-c", sys.argv[1]]) for n in "12"], lambda *_: None, at_once=2)
except KeyboardInterrupt:
    print("interrupted")
"""


@needs_proc
@pytest.mark.parametrize("group", [False, True], ids=["parent only", "whole group"])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_ends_all_at_once(name: str, group: bool) -> None:
    child = Child(["-c", PARENT, "sleep 60 & sleep 60"])
    until(lambda: len(child.descendants("sleep\0" + "60")) == 4, child)
    child.send(getattr(signal, name), group=group)
    started = time.monotonic()
    code, out, err = child.end()
    assert (code, out, err) == (0, "interrupted\n", "")
    assert time.monotonic() - started < 3
    assert child.descendants() == []


def test_a_signal_that_another_thread_gets_is_heard_too() -> None:
    def listen(_task: Task, _line: str) -> None:
        time.sleep(0.3)  # the main thread sleeps by now
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_together([shell("1", "echo; sleep 60")], listen)
    assert time.monotonic() - started < 3


@needs_proc
def test_an_impatient_second_signal_leaves_nothing_either() -> None:
    child = Child(["-c", PARENT, "trap '' TERM INT; sleep 60"])
    until(lambda: len(child.descendants("sleep\0" + "60")) == 2, child)
    for _ in range(5):
        child.send(signal.SIGINT)
    code, _, _ = child.end()
    until(lambda: child.descendants() == [], patience=2)
    assert code in (0, -signal.SIGINT)


@needs_proc
def test_kill_9_of_the_parent_ends_a_chain_at_its_next_line() -> None:
    child = Child(["-c", PARENT, "while true; do echo x; sleep 0.05; done"])
    until(lambda: len(child.descendants("while true")) == 2, child)
    child.send(signal.SIGKILL)
    child.end()
    until(lambda: child.descendants() == [], patience=5)


@needs_proc
def test_ignored_signals_stay_ignored() -> None:
    # As under nohup, and as in a job that a script starts in the background.
    ignoring = "import signal\nfor n in (signal.SIGHUP, signal.SIGINT): signal.signal(n, signal.SIG_IGN)\n"
    child = Child(["-c", ignoring + PARENT, "sleep 60"])
    until(lambda: len(child.descendants("sleep\0" + "60")) == 2, child)
    child.send(signal.SIGHUP)
    child.send(signal.SIGINT)
    time.sleep(0.3)
    assert child.process.poll() is None
    child.send(signal.SIGTERM)
    assert child.end()[1] == "interrupted\n"
    assert child.descendants() == []
