"""What is installed here, and what is missing; installing CmdStan with progress."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import hbm_stan
from hbm_stan.engines.install import cmdstan_version, find_cmdstan, install_cmdstan, toolchain_missing
from hbm_stan.errors import EngineError

if TYPE_CHECKING:
    from hbm_stan.cli.run import Run


def examine(engine: str) -> dict[str, str]:
    """What a run would find, line by line; raises EngineError where no engine can be used."""
    from hbm_stan.engines import choose
    from hbm_stan.resources import cache_folder, share

    missing = toolchain_missing()
    environment = {
        "hbm_stan": hbm_stan.__version__,
        "python": platform.python_version(),
        "cores": str(os.cpu_count()),
        "C++ toolchain": f"missing: {', '.join(missing)}" if missing else "found",
        "CmdStan": _cmdstan(),
        "stanli": metadata.version("stanli"),
        "Stan programs": str(share("stan")),
        "cache": str(cache_folder("fits").parent),
    }
    chosen = choose(engine)
    environment["engine"] = f"{chosen.name} {chosen.version}" + (" (auto)" if engine == "auto" else "")
    return environment


def _cmdstan() -> str:
    try:
        path = find_cmdstan()
    except EngineError as error:
        return str(error)
    return f"{cmdstan_version(path)} in {path}" if path else "not installed; `hbm install-cmdstan` does it"


def install(run: Run) -> tuple[Path, str]:
    """Install CmdStan, with a bar where somebody watches; its folder and version."""
    if not run.live:
        path = install_cmdstan(say=run.say)
        return path, cmdstan_version(path)
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from hbm_stan.cli.screen import ERR

    columns = (TextColumn("CmdStan"), BarColumn(), TextColumn("{task.percentage:3.0f} %"), TimeElapsedColumn())
    with Progress(*columns, console=ERR, transient=True) as bars:
        task = bars.add_task("install", total=1.0)
        path = install_cmdstan(say=run.say, progress=lambda share: bars.update(task, completed=share))
    return path, cmdstan_version(path)
