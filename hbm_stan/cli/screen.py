"""Standard output and standard error as Rich writes on them; imported with the first line that is shown."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import IO

from rich.console import Console


class _Screen(Console):
    """A console that goes on in silence where its reader went away (`| head`): files and exit codes still count."""

    def on_broken_pipe(self) -> None:
        """Print no more."""
        self.quiet = True
        silence(self.file)


def silence(stream: IO[str]) -> None:
    """Send what a stream still holds to nowhere, so that Python does not fail on it when it ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


# In a pipe or a file there is no edge to fold a table at.
_WIDE = None if sys.stdout is not None and sys.stdout.isatty() else 500
# A label such as :smile: is a label.
OUT = _Screen(highlight=False, soft_wrap=True, emoji=False, width=_WIDE)
ERR = _Screen(stderr=True, highlight=False, soft_wrap=True, emoji=False)
