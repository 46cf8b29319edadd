"""Who fits the cases: a module for each, what it runs on and which structures it has."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench_peers.cases import Case

HERE = Path(__file__).parent
ALL = ("normal_means", "beta_binomial", "slopes", "slopes_logistic", "crossed", "planck")
DIRECT = ("normal_means", "beta_binomial", "slopes", "slopes_logistic", "crossed")
MIXED_MODELS = ("slopes", "slopes_logistic", "crossed")
MOST_ROWS = 1_000_000  # no table of a case has as many
# What measurements of all sides depend on.
SHARED = ("cases.py", "tables.py", "measured.py", "worker.py")


@dataclass(frozen=True)
class Side:
    """``module`` has ``run(case, form, seed, **options)``; what ``needs`` packages runs on the peers' Python."""

    name: str
    module: str
    options: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    structures: tuple[str, ...] = ALL
    files: tuple[str, ...] = ()
    ours: bool = False
    draws: bool = True  # else point estimates
    r_package: str = ""
    rows: int = MOST_ROWS  # larger tables are not tried

    def form_of(self, case: Case) -> str:
        """The form in which this side writes the effects of a case; empty where it has no choice, or chooses itself."""
        return case.form if self.draws and not self.ours else ""

    def takes(self, case: Case) -> bool:
        """Whether it has a model of the case and memory for its table."""
        return case.structure in self.structures and (self.rows >= MOST_ROWS or len(case.read()) <= self.rows)

    def state(self) -> str:
        """A hash of the code of the bench that its measurements depend on."""
        parts = [*SHARED, f"{self.module}.py", *self.files]
        return hashlib.sha256(b"".join((HERE / name).read_bytes() for name in parts)).hexdigest()[:16]


PROGRAMS = tuple(f"textbook/{name}.stan" for name in ALL)
SIDES = {side.name: side for side in (
    Side("hbm_stan, stanli", "ours", {"engine": "stanli"}, ours=True),
    Side("hbm_stan, CmdStan", "ours", {"engine": "cmdstan"}, ours=True),
    Side("hbm_stan, direct", "ours", {"engine": "direct"}, structures=DIRECT, ours=True),
    Side("textbook, CmdStan", "by_textbook", files=PROGRAMS),
    Side("PyMC, nutpie", "by_pymc", {"sampler": "nutpie"}, ("pymc", "nutpie", "numba"), files=("pymc_models.py",)),
    Side("PyMC", "by_pymc", {"sampler": "pymc"}, ("pymc", "nutpie"), files=("pymc_models.py",)),
    Side("NumPyro", "by_numpyro", needs=("numpyro", "jax")),
    Side("Bambi, nutpie", "by_bambi", needs=("bambi", "nutpie"), structures=("crossed",), files=("by_pymc.py",)),
    Side("statsmodels", "by_statsmodels", needs=("statsmodels",), structures=("slopes", "crossed"), draws=False,
         rows=5000),  # its design is dense: of InstEval's size 2.4 GB, several times
    Side("lme4", "by_r", {"package": "lme4"}, structures=MIXED_MODELS, files=("mixed_models.R",), draws=False,
         r_package="lme4"),
    Side("glmmTMB", "by_r", {"package": "glmmTMB"}, structures=MIXED_MODELS, files=("mixed_models.R",), draws=False,
         r_package="glmmTMB"),
)}  # fmt: skip
