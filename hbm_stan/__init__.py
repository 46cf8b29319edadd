"""hbm_stan: complete, no and partial pooling of grouped data with Stan, checked, compared and reported.

The public names are loaded when they are first used, so that importing the package costs next to nothing.
"""

import os
import sys

# For ``python -m hbm_stan`` Python looks into the current folder first, which holds data of anybody's, for json.py and
# the like. It is left out unless we are in it; a __future__ import above would itself be looked for there.
_AS_MODULE = sys.argv[:1] == ["-m"] and ["-m", "hbm_stan"] in (sys.orig_argv[i : i + 2] for i in range(1, 9))
if _AS_MODULE and sys.path[0] != os.path.dirname(os.path.dirname(__file__)):
    del sys.path[0]

from importlib import import_module  # noqa: E402
from types import ModuleType  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

if TYPE_CHECKING:
    from hbm_stan import plot as plot
    from hbm_stan.analysis.read import Analysis as Analysis
    from hbm_stan.analysis.read import read_analysis as read_analysis
    from hbm_stan.automatic import fit as fit
    from hbm_stan.automatic import fit_variants as fit_variants
    from hbm_stan.bandit.decision import decide as decide
    from hbm_stan.bandit.thompson import Bandit as Bandit
    from hbm_stan.budget import Budget as Budget
    from hbm_stan.calibrate import calibrate as calibrate
    from hbm_stan.checks import check as check
    from hbm_stan.compare import compare as compare
    from hbm_stan.comparison import Comparison as Comparison
    from hbm_stan.data import Dataset as Dataset
    from hbm_stan.data import load as load
    from hbm_stan.diagnosis import Diagnosis as Diagnosis
    from hbm_stan.engines import Sampling as Sampling
    from hbm_stan.errors import HbmError as HbmError
    from hbm_stan.executor import on_cluster as on_cluster
    from hbm_stan.factors import compare_factors as compare_factors
    from hbm_stan.families import families as families
    from hbm_stan.fit import Fit as Fit
    from hbm_stan.ladder import compare_likelihoods as compare_likelihoods
    from hbm_stan.new_rows.condition import Conditioned as Conditioned
    from hbm_stan.new_rows.condition import condition as condition
    from hbm_stan.new_rows.contrast import Contrast as Contrast
    from hbm_stan.new_rows.contrast import contrast as contrast
    from hbm_stan.new_rows.predict import Prediction as Prediction
    from hbm_stan.new_rows.predict import predict as predict
    from hbm_stan.predict import new_group as new_group
    from hbm_stan.predict import shrinkage_table as shrinkage_table
    from hbm_stan.report.build import report as report
    from hbm_stan.sensitivity.run import sensitivity as sensitivity
    from hbm_stan.verify import verify as verify

__version__ = "0.1.0"

# Public name -> the module that holds it.
_HOMES = {
    "Analysis": "analysis.read",
    "Bandit": "bandit.thompson",
    "Budget": "budget",
    "Comparison": "comparison",
    "Conditioned": "new_rows.condition",
    "Contrast": "new_rows.contrast",
    "Dataset": "data",
    "Diagnosis": "diagnosis",
    "Fit": "fit",
    "HbmError": "errors",
    "Prediction": "new_rows.predict",
    "Sampling": "engines",
    "calibrate": "calibrate",
    "check": "checks",
    "compare": "compare",
    "compare_factors": "factors",
    "compare_likelihoods": "ladder",
    "condition": "new_rows.condition",
    "contrast": "new_rows.contrast",
    "decide": "bandit.decision",
    "families": "families",
    "fit": "automatic",
    "fit_variants": "automatic",
    "load": "data",
    "new_group": "predict",
    "on_cluster": "executor",
    "predict": "new_rows.predict",
    "read_analysis": "analysis.read",
    "report": "report.build",
    "sensitivity": "sensitivity.run",
    "shrinkage_table": "predict",
    "verify": "verify",
}

# Public modules: their names are used with theirs, hbm.plot.forest(fit).
_ROOMS = ("plot",)


class _Package(ModuleType):
    """Keeps ``hbm_stan.fit`` the function: importing the module of the same name would bind the module there."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    setattr(sys.modules[__name__], name, value)
    return value


__all__ = sorted([*_HOMES, *_ROOMS])  # noqa: PLE0605 (the names stand in one place)


def __dir__() -> list[str]:
    return list(__all__)


sys.modules[__name__].__class__ = _Package
