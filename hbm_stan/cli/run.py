"""What every command shares: options, one place that turns errors into exit codes, JSON, progress."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from hbm_stan.errors import HbmError

if TYPE_CHECKING:
    from hbm_stan.engines import Progress

EngineOption = Annotated[
    str,
    typer.Option(
        "--engine", help="auto, cmdstan or stanli; auto takes CmdStan where it is installed.", envvar="HBM_ENGINE"
    ),
]
JsonOption = Annotated[
    Path | None, typer.Option("--json", help="Write the result to this file as JSON too.", metavar="PATH")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
SeedOption = Annotated[
    int | None, typer.Option("--seed", help="Seed, instead of the analysis's own.", min=0, max=2**31 - 1)
]

# In a pipe or a file there is no edge to fold a table at.
_WIDE = None if sys.stdout.isatty() else 500
OUT = Console(highlight=False, soft_wrap=True, width=_WIDE)
ERR = Console(stderr=True, highlight=False, soft_wrap=True)


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
            from hbm_stan.report.files import write_beside

            write_beside(
                self.json_path, (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
            )

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


Progress_ = Callable[[int, int, int], None]


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Turn a user's mistake, Ctrl-C or a closed pipe into a message and an exit code."""
    try:
        yield
    except HbmError as error:
        ERR.print(f"hbm: {error}", markup=False)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        ERR.print("hbm: stopped. What was finished before is kept.", markup=False)
        raise typer.Exit(130) from None
    except BrokenPipeError:
        # The reader went away (`hbm check ... | head`): nothing is left to say, not even at shutdown.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
