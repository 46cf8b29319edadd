"""Reaction times of 18 subjects over ten days of short sleep, as in the R package lme4.

Run ``python data/sleepstudy/make.py``: it writes data.csv beside itself. It needs Debian's apt-get and dpkg-deb
and the Python package rdata, for the data set comes out of the Debian package of the R package lme4.
"""

import csv
import io
import subprocess
import tempfile
import zlib
from pathlib import Path
from typing import Any

import rdata  # type: ignore[import-not-found,unused-ignore]


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
    """Write the reaction times, the subject numbers as labels."""
    frame = from_debian("r-cran-lme4", "sleepstudy")
    rows: list[list[object]] = [["subject", "days", "reaction_ms"]]
    for subject, days, reaction in zip(frame["Subject"], frame["Days"], frame["Reaction"], strict=True):
        rows.append([f"S{subject}", int(days), float(reaction)])
    with (Path(__file__).parent / "data.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


if __name__ == "__main__":
    main()
