"""Radon in 919 homes of 85 counties of Minnesota; the R package rstanarm has them as log(activity + 0.1).

Run ``python data/radon/make.py``: it writes data.csv beside itself. It needs Debian's apt-get and dpkg-deb
and the Python package rdata, for the data set comes out of the Debian package of the R package rstanarm.
"""

import csv
import io
import math
import subprocess
import tempfile
import zlib
from pathlib import Path
from typing import Any

import rdata  # type: ignore[import-not-found,unused-ignore]

SPACED = [  # the counties of two or more words; the package writes them as one
    "BIG STONE", "BLUE EARTH", "CROW WING", "LAC QUI PARLE", "LAKE OF THE WOODS", "LE SUEUR", "MILLE LACS",
    "OTTER TAIL", "ST LOUIS", "YELLOW MEDICINE",
]  # fmt: skip


def from_debian(package: str, name: str) -> Any:
    """The data frame of this name in a Debian package, which is fetched and unpacked, not installed."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["apt-get", "download", package], cwd=folder, check=True, capture_output=True)
        subprocess.run(["dpkg-deb", "-x", str(next(Path(folder).glob("*.deb"))), folder], check=True)
        index = next(Path(folder).glob("usr/lib/R/*library/*/data/Rdata.rdx"))
        start, length = (int(number) for number in rdata.read_rds(index)["variables"][name])
        blob = index.with_suffix(".rdb").read_bytes()[start : start + length]
    # R keeps each object as its length (4 bytes) and the object itself, compressed.
    return rdata.read_rds(io.BytesIO(zlib.decompress(blob[4:])))


def main() -> None:
    """Recover the measured activity (one decimal) and write both conventions of its logarithm."""
    frame = from_debian("r-cran-rstanarm", "radon")
    names = {name.replace(" ", ""): name for name in SPACED}
    rows: list[list[str]] = []
    columns = [frame[name] for name in ("county", "floor", "log_radon", "log_uranium")]
    for county, floor, shifted, uranium in zip(*columns, strict=True):
        activity = round(math.exp(shifted) - 0.1, 1)  # pCi/L; 0 where none was found
        logs = [math.log(activity or 0.1), math.log(activity + 0.1), uranium]
        rows.append([names.get(county, county), str(int(floor)), *(f"{value:.6f}" for value in logs)])
    rows.sort(key=lambda row: row[0])
    rows.insert(0, ["county", "floor", "log_radon", "log_radon_shifted", "log_uranium"])
    with (Path(__file__).parent / "data.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


if __name__ == "__main__":
    main()
