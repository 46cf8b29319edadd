"""How another Python is started: with this one's program, and never with modules of the current folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

# -P: with -c and -m Python would look for json.py and the like in the current folder, which holds data of anybody's.
PYTHON = (sys.executable, "-P")


def environment(**more: str) -> Mapping[str, str]:
    """The environment of a Python that finds the modules that this one finds, but for the current folder's."""
    # An empty entry is the current folder: what a notebook and a prompt have.
    return {**os.environ, **more, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
