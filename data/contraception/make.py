"""Use of contraception by 1934 women in 60 districts of Bangladesh, as in the R package mlmRev.

Run ``python data/contraception/make.py``: it writes data.csv beside itself. It needs Debian's apt-get and dpkg-deb
and the Python package rdata, for the data set comes out of the Debian package of the R package mlmRev.
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
    """Write use and the predictors, with the derived age and 0/1 columns."""
    frame = from_debian("r-cran-mlmrev", "Contraception")
    header = ["woman", "district", "use", "age_centered", "age10", "age10_squared", "urban"]
    rows: list[list[object]] = [[*header, "livch", "livch1", "livch2", "livch3plus"]]
    columns = [frame[name] for name in ("woman", "district", "use", "age", "urban", "livch")]
    for woman, district, use, age, urban, livch in zip(*columns, strict=True):
        ages = [float(age), round(float(age) / 10, 6), f"{(float(age) / 10) ** 2:.6f}"]
        dummies = [int(livch == level) for level in ("1", "2", "3+")]
        rows.append([int(woman), f"D{int(district):02d}", int(use == "Y"), *ages, int(urban == "Y"), livch, *dummies])
    with (Path(__file__).parent / "data.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


if __name__ == "__main__":
    main()
