"""What every command shares: options, one place that turns errors into exit codes, JSON, progress."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from hbm_stan.errors import HbmError, is_panic, nearest

if TYPE_CHECKING:
    from hbm_stan.engines import Progress

EngineOption = Annotated[
    str,
    typer.Option(
        "--engine",
        help="auto, cmdstan, stanli or direct; auto takes CmdStan where it is installed.",
        envvar="HBM_ENGINE",
    ),
]
# As the option of every command, but for what auto means.
HereOption = Annotated[
    str,
    typer.Option(
        "--engine", help="auto, cmdstan, stanli or direct; auto is the embedded stanli here.", envvar="HBM_ENGINE"
    ),
]
CalibrationEngineOption = Annotated[
    str,
    typer.Option(
        "--engine",
        help="auto, cmdstan, stanli or direct; auto is direct for programs of one or two parameters, else stanli.",
        envvar="HBM_ENGINE",
    ),
]
JsonOption = Annotated[
    Path | None, typer.Option("--json", help="Write the result to this file as JSON too.", metavar="PATH")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
ParameterisationOption = Annotated[
    str | None,
    typer.Option(
        "--parameterisation", help="Of partial pooling: auto, centered, noncentered, ... or the name of a form."
    ),
]
SeedOption = Annotated[
    int | None, typer.Option("--seed", help="Seed, instead of the analysis's own.", min=0, max=2**31 - 1)
]

ClusterOption = Annotated[
    str | None,
    typer.Option(
        "--cluster", help="Work on a Dask cluster: its scheduler's tcp://HOST:PORT, or local.", metavar="ADDRESS"
    ),
]


@dataclass
class Run:
    """One call of a command: how it talks, and where its JSON goes."""

    engine: str = "auto"
    json_path: Path | None = None
    quiet: bool = False
    seed: int | None = None
    live: bool = field(init=False)

    def __post_init__(self) -> None:
        self.live = not self.quiet and sys.stderr is not None and sys.stderr.isatty()

    def say(self, text: str) -> None:
        """A line for each step on standard error, for a terminal and for a log; none where quiet."""
        if self.live:
            from hbm_stan.cli.screen import ERR

            ERR.print(text, style="dim", markup=False)
        elif not self.quiet:
            on_error(text)

    def show(self, *things: Any) -> None:
        """Results on standard output, unless quiet."""
        if not self.quiet:
            from hbm_stan.cli.screen import OUT

            for thing in things:
                OUT.print(thing, markup=False)

    def write_json(self, value: Any) -> None:
        """The result as JSON, where it was asked for."""
        if self.json_path is not None:
            from hbm_stan.files import write_json

            write_json(self.json_path, value, indent=2)

    @contextlib.contextmanager
    def sampling_progress(self) -> Iterator[Callable[[str], Progress | None]]:
        """Progress bars, one for each variant, on a terminal."""
        if not self.live:
            yield lambda _variant: None
            return
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        from hbm_stan.cli.screen import ERR

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=ERR, transient=True) as bars:

            def start(variant: str) -> Progress_:
                done: dict[int, int] = {}
                task = bars.add_task(variant, total=None)

                def update(chain: int, iteration: int, total: int) -> None:
                    done[chain] = iteration
                    bars.update(task, completed=sum(done.values()) / len(done), total=total)

                return update

            yield start

    @contextlib.contextmanager
    def steps(self) -> Iterator[Callable[[str], None]]:
        """What is being done: a line that changes on a terminal, a line for each step in a log."""
        if not self.live:
            yield self.say
            return
        from rich.markup import escape

        from hbm_stan.cli.screen import ERR

        with ERR.status("") as status:
            yield lambda text: status.update(f"[dim]{escape(text)}[/dim]")


Progress_ = Callable[[int, int, int], None]


@contextlib.contextmanager
def guarded(run: Run, analysis: Path | str | None = None) -> Iterator[None]:
    """Refuse what could not end well before the work; turn an error or Ctrl-C into a message and an exit code."""
    try:
        _check_options(run)
        if analysis is not None:
            from hbm_stan.analysis.place import analysis_file, refuse_no_data

            refuse_no_data(analysis_file(analysis))  # a mistyped path is said before the libraries are imported
        with _programs_named(run):
            yield
    except HbmError as error:
        raise typer.Exit(_report_exit(str(error), error.exit_code)) from None
    except KeyboardInterrupt:
        raise typer.Exit(_report_exit("stopped. What was finished before is kept.", 130)) from None
    except MemoryError:
        raise typer.Exit(_report_exit("the memory of this machine is not enough. Ask for fewer draws.", 3)) from None
    except OSError as error:
        raise typer.Exit(_report_exit(_system(error), 3)) from None
    except BaseException as error:
        if is_panic(error):
            words = f"a library broke down ({error}). What was finished before is kept; please report it."
            raise typer.Exit(_report_exit(words, 3)) from None
        if isinstance(error, typer.Exit) or not isinstance(error, Exception):
            raise
        # A defect of ours: never the exit code of a failed check.
        on_error(traceback.format_exc())
        raise typer.Exit(
            _report_exit("this is a defect of hbm_stan; please report it with the lines above.", 3)
        ) from None


@contextlib.contextmanager
def working_on(cluster: str | None) -> Iterator[None]:
    """Have the fits of a command made by a cluster, where one was named."""
    if cluster is None:  # a start is not to wait for what is not asked
        yield
        return
    from hbm_stan.executor import on_cluster

    with on_cluster(cluster):
        yield


@contextlib.contextmanager
def _programs_named(run: Run) -> Iterator[None]:
    """Say which program of the user's own, a family.py, is about to be run; each once."""
    import logging

    from hbm_stan.errors import PROGRAMS

    class Teller(logging.Handler):
        """Shows what the library logs before it runs a program."""

        messages: ClassVar[set[str]] = set()

        def emit(self, record: logging.LogRecord) -> None:
            if (text := record.getMessage()) not in self.messages:
                self.messages.add(text)
                run.say(text)

    log, teller = logging.getLogger(PROGRAMS), Teller()
    before = log.level
    log.addHandler(teller)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(teller)
        log.setLevel(before)


def _check_options(run: Run) -> None:
    from hbm_stan.engines import ENGINES

    if run.engine not in ENGINES:
        raise HbmError(f"--engine (or HBM_ENGINE): there is no engine {run.engine!r}. {nearest(run.engine, ENGINES)}")
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "").strip()
    if epoch and not epoch.isdigit():
        # Some libraries read it when they are imported, and fail in their own way.
        raise HbmError(f"SOURCE_DATE_EPOCH must be a whole number of seconds since 1970, got {epoch!r}.")
    if run.json_path is not None:
        from hbm_stan.files import refuse_place

        refuse_place(run.json_path, "--json")


def on_error(text: str) -> None:
    """A line on standard error; one that nobody can read is no error."""
    with contextlib.suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)


def _report_exit(text: str, code: int) -> int:
    on_error(f"hbm: {text}")
    return code


def _system(error: OSError) -> str:
    name = f"{error.filename}: " if error.filename else ""
    return f"{name}{error.strerror or error}."


def run_app(app: Callable[[], None]) -> None:
    """Run the command line on streams of any encoding; a standard output that takes nothing more is exit code 3."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(_report_exit("stopped.", 130))
    except OSError as error:
        from hbm_stan.cli.screen import silence

        silence(sys.stdout)
        sys.exit(_report_exit(_system(error), 3))
