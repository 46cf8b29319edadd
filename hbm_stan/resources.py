"""Where the Stan programs and data sets are: at the top of a checkout, inside the package in a wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def share(kind: str) -> Path:
    """The folder of ``kind`` ("stan" or "data"): the wheel's copy if there is one, else the checkout's."""
    packed = _PACKAGE / "_share" / kind
    return packed if packed.is_dir() else _PACKAGE.parent / kind


def cache_folder(kind: str) -> Path:
    """The user's cache folder for ``kind`` ("programs", "fits"); HBM_CACHE moves it."""
    import os

    import platformdirs

    root = os.environ.get("HBM_CACHE")
    folder = (Path(root) if root else Path(platformdirs.user_cache_dir("hbm_stan"))) / kind
    folder.mkdir(parents=True, exist_ok=True)
    return folder
