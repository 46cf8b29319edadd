"""Where Stan programs, data sets, analyses and known posteriors are: in the checkout, or inside the package (wheel)."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def share(kind: str) -> Path:
    """The folder of ``kind`` (stan, data, reports, reference): the wheel's copy, else the checkout's."""
    packed = _PACKAGE / "_share" / kind
    if packed.is_dir():
        return packed
    return _PACKAGE.parent / ("tests/reference" if kind == "reference" else kind)


def cache_folder(kind: str) -> Path:
    """The user's cache folder for ``kind`` ("programs", "fits"); HBM_CACHE moves it."""
    import os

    import platformdirs

    root = os.environ.get("HBM_CACHE")
    folder = (Path(root) if root else Path(platformdirs.user_cache_dir("hbm_stan"))) / kind
    folder.mkdir(parents=True, exist_ok=True)
    return folder
