"""Point estimates of R's lme4 and glmmTMB, where Rscript and the package are there."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from bench_peers.cases import Case
from bench_peers.measured import Measured

SCRIPT = Path(__file__).parent / "mixed_models.R"


def lacking(package: str) -> str:
    """What is not there: Rscript, the package, or nothing."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        return "Rscript"
    done = subprocess.run([rscript, "-e", f"library({package})"], capture_output=True, check=False)
    return f"R's {package}" if done.returncode else ""


def run(case: Case, form: str, seed: int, package: str = "lme4") -> Measured:
    """Estimates of the coefficients, without draws; the seconds are those of the fit, as R has them."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "table.csv"
        case.read().to_csv(table, index=False)
        command = ["Rscript", str(SCRIPT), package, case.structure, str(table)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip() or "R stopped without a word")
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    seconds, number = float(lines.pop("seconds")), lines.pop("version").strip()
    estimates = {name: float(value) for name, value in lines.items()}
    if case.structure == "crossed":
        estimates = {"beta": estimates["beta[0]"]}
    return Measured(seconds, seconds, estimates=estimates, about={"versions": f"{package} {number}"})
