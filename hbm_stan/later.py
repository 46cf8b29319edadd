"""Names of libraries that take long to import: such a library is imported when a name of it is first used.

``from hbm_stan.later import beta`` is ``from scipy.stats import beta`` for whoever calls ``beta.logpdf(x)``, but costs
nothing where nobody does: listing families and checking a table need neither SciPy nor pandas nor xarray.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_MODULES = {
    "pd": "pandas", "sparse": "scipy.sparse", "xr": "xarray", "filelock": "filelock",
    "metadata": "importlib.metadata", "statistics": "statistics", "tempfile": "tempfile",
}  # fmt: skip
_SCIPY = {
    "interpolate": ("BarycentricInterpolator", "PchipInterpolator"),
    "linalg": ("solve_triangular",),
    "optimize": ("isotonic_regression", "minimize"),
    "special": (
        "bdtrc", "betainc", "betaincc", "betainccinv", "betaincinv", "betaln", "chdtr", "chdtrc", "chdtri",
        "digamma", "erf", "expit", "fdtr", "gammainc", "gammaincc", "gammainccinv", "gammaln", "log_expit", "log_ndtr",
        "logit", "logsumexp", "ndtr", "ndtri", "poch", "stdtr", "stdtrit", "wrightomega", "xlog1py", "xlogy",
    ),
    "stats": ("beta", "binom", "gamma", "poisson", "rankdata"),
}  # fmt: skip
_HOMES = {name: f"scipy.{part}" for part, names in _SCIPY.items() for name in names}


class _Later:
    """Stands for a module, or for a function or distribution of one, until something is asked of it."""

    def __init__(self, module: str, name: str = "") -> None:
        self._module, self._name = module, name
        self._object: Any = None

    def _target(self) -> Any:
        if self._object is None:
            module = import_module(self._module)
            self._object = getattr(module, self._name) if self._name else module
        return self._object

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._target(), attribute)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self._target()(*arguments, **options)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return _Later(_MODULES[name])
    if name in _HOMES:
        return _Later(_HOMES[name], name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; list it there with its library")
