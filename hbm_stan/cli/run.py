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
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from hbm_stan.errors import HbmError, nearest

if TYPE_CHECKING:
    from hbm_stan.engines import Progress

EngineOption = Annotated[
    str,
    typer.Option(
        "--engine", help="auto, cmdstan or stanli; auto takes CmdStan where it is installed.", envvar="HBM_ENGINE"
    ),
]
# As the option of every command, but for what auto means.
HereOption = Annotated[
    str,
    typer.Option("--engine", help="auto, cmdstan or stanli; auto is the embedded stanli here.", envvar="HBM_ENGINE"),
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


class _Screen(Console):
    """A console that goes on in silence where its reader went away (`| head`): files and exit codes still count."""

    def on_broken_pipe(self) -> None:
        """Print no more."""
        self.quiet = True
        _silence(self.file)


# In a pipe or a file there is no edge to fold a table at.
_WIDE = None if sys.stdout is not None and sys.stdout.isatty() else 500
# A label such as :smile: is a label.
OUT = _Screen(highlight=False, soft_wrap=True, emoji=False, width=_WIDE)
ERR = _Screen(stderr=True, highlight=False, soft_wrap=True, emoji=False)


def _silence(stream: IO[str]) -> None:
    """Send what a stream still holds to nowhere, so that Python does not fail on it when it ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@dataclass
class Run:
    """One call of a command: how it talks, and where its JSON goes."""

    engine: str = "auto"
    json_path: Path | None = None
    quiet: bool = False
    seed: int | None = None
    live: bool = field(init=False)

    def __post_init__(self) -> None:
        # Progress is for people: a pipe or a log gets results and errors only.
        self.live = ERR.is_terminal and not self.quiet

    def say(self, text: str) -> None:
        """A line of progress, where somebody watches."""
        if self.live:
            ERR.print(text, style="dim", markup=False)

    def show(self, *things: Any) -> None:
        """Results on standard output, unless quiet."""
        if not self.quiet:
            for thing in things:
                OUT.print(thing, markup=False)

    def write_json(self, value: Any) -> None:
        """The result as JSON, where it was asked for."""
        if self.json_path is not None:
            from hbm_stan.report.files import write_json

            write_json(self.json_path, value, indent=2)

    @contextlib.contextmanager
    def sampling_progress(self) -> Iterator[Callable[[str], Progress | None]]:
        """Progress bars, one for each variant; none where nobody watches."""
        if not self.live:
            yield lambda _variant: None
            return
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

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
        """A line that says what is being done, where somebody watches."""
        if not self.live:
            yield lambda _text: None
            return
        with ERR.status("") as status:
            yield lambda text: status.update(f"[dim]{escape(text)}[/dim]")


Progress_ = Callable[[int, int, int], None]


@contextlib.contextmanager
def guarded(run: Run) -> Iterator[None]:
    """Refuse what could not end well before the work; turn an error or Ctrl-C into a message and an exit code."""
    try:
        _check_options(run)
        yield
    except HbmError as error:
        raise typer.Exit(_said(str(error), error.exit_code)) from None
    except KeyboardInterrupt:
        raise typer.Exit(_said("stopped. What was finished before is kept.", 130)) from None
    except MemoryError:
        raise typer.Exit(_said("the memory of this machine is not enough. Ask for fewer draws.", 3)) from None
    except OSError as error:
        raise typer.Exit(_said(_system(error), 3)) from None
    except Exception as error:
        if isinstance(error, typer.Exit):
            raise
        # A defect of ours: never the exit code of a failed check.
        ERR.print(traceback.format_exc(), markup=False)
        raise typer.Exit(_said("this is a defect of hbm_stan; please report it with the lines above.", 3)) from None


def _check_options(run: Run) -> None:
    from hbm_stan.engines import ENGINES

    if run.engine not in ENGINES:
        raise HbmError(f"--engine (or HBM_ENGINE): there is no engine {run.engine!r}. {nearest(run.engine, ENGINES)}")
    said = os.environ.get("SOURCE_DATE_EPOCH", "").strip()
    if said and not said.isdigit():
        # Some libraries read it when they are imported, and fail in their own way.
        raise HbmError(f"SOURCE_DATE_EPOCH must be a whole number of seconds since 1970, got {said!r}.")
    if run.json_path is not None:
        from hbm_stan.report.files import refuse_place

        refuse_place(run.json_path, "--json")


def _said(text: str, code: int) -> int:
    ERR.print(f"hbm: {text}", markup=False)
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
    except OSError as error:
        _silence(sys.stdout)
        sys.exit(_said(_system(error), 3))
