"""Posteriors that others made: draws or a summary in a file, with its own names, checked for what can be seen."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hbm_stan.errors import ModelError
from hbm_stan.table import MAX_BYTES, FloatArray, shorten

# Fewer draws give no Monte Carlo error that could be relied on; ours.
_FEWEST = 100


@dataclass(frozen=True)
class Draws:
    """Names as in the file, and draws, shape (parameter, chain, draw)."""

    names: tuple[str, ...]
    values: FloatArray


@dataclass(frozen=True)
class Summary:
    """Statistics as the file calls them, indexed by its names of parameters; not a number where there is none."""

    table: pd.DataFrame


def read_foreign(paths: Sequence[Path]) -> Draws | Summary:
    """What is in a file, or in several with a chain each; ModelError where it is none of what is known."""
    contents = [_read(path) for path in paths]
    if len(contents) == 1:
        return contents[0]
    chains = [one for one in contents if isinstance(one, Draws)]
    if len(chains) < len(contents):
        raise ModelError(f"{paths[0]}: several files must hold draws, one chain or more each.")
    if len({one.names for one in chains}) > 1 or len({one.values.shape[2] for one in chains}) > 1:
        raise ModelError(f"{paths[0]}: the files do not hold the same parameters with as many draws each.")
    return checked(str(paths[0]), chains[0].names, np.concatenate([one.values for one in chains], axis=1))


def _read(path: Path) -> Draws | Summary:
    from hbm_stan.reference.foreign_tables import read_csv_file, read_netcdf

    name = path.name.lower()
    if name.endswith(".nc"):
        return read_netcdf(path)
    text = _text(path)
    if name.endswith((".json", ".json.zip")) or text.lstrip()[:1] in {"[", "{"}:
        return of_json(str(path), _json(path, text))
    return read_csv_file(path, text)


def _text(path: Path) -> str:
    """The text of a file, or of the only one in a zip; at most as much as a table may have."""
    try:
        if path.name.lower().endswith(".zip"):
            with zipfile.ZipFile(path) as archive:
                inside = [n for n in archive.namelist() if not n.endswith("/")]
                if len(inside) != 1:
                    raise ModelError(f"{path} holds {len(inside)} files. One is needed, such as draws.json.")
                with archive.open(inside[0]) as file:
                    raw = file.read(MAX_BYTES + 1)
        else:
            if path.exists() and not path.is_file():
                raise ModelError(f"{path} is no file.")
            with path.open("rb") as plain:
                raw = plain.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise ModelError(f"{path}: there is no such file.") from error
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise ModelError(f"{path} cannot be read ({error}).") from error
    if len(raw) > MAX_BYTES:
        raise ModelError(f"{path} holds more than {MAX_BYTES // 2**20} MiB. Thin the draws, or leave parameters out.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ModelError(f"{path} is no text in UTF-8; NetCDF ends in .nc, an archive in .zip.") from error
    if not text.strip():
        raise ModelError(f"{path} is empty.")
    return text


def _json(path: Path, text: str) -> Any:
    def refuse(word: str) -> None:
        raise ValueError(f"{word} is no number")

    try:
        return json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not JSON ({error}).") from error


def of_json(where: str, content: Any) -> Draws | Summary:
    """Draws as posteriordb has them (a list of chains, draws by parameter), or a summary in any of its usual forms."""
    if isinstance(content, dict) and isinstance(content.get("parameters"), dict):
        content = content["parameters"]
    if isinstance(content, list) and content and all(isinstance(row, dict) and row for row in content):
        if all(isinstance(v, list) for row in content for v in row.values()):
            return _chains(where, content)
        if not any(isinstance(v, list | dict) for row in content for v in row.values()):
            return _summary(where, pd.DataFrame(content))
    if isinstance(content, dict) and content:
        if all(isinstance(v, dict) for v in content.values()):
            return Summary(_numbers(where, pd.DataFrame.from_dict(content, orient="index")))
        columns = {k: v for k, v in content.items() if isinstance(v, list)}
        if "names" in columns and len({len(v) for v in columns.values()}) == 1:
            return _summary(where, pd.DataFrame(columns).rename(columns={"names": "name"}))
    raise ModelError(
        f"{where}: neither draws (a list of chains, each an object of parameter: [draws]) nor a summary (parameter: "
        "{mean, sd, ...}, or a list of such objects with a name)."
    )


def _chains(where: str, chains: Sequence[Mapping[str, list[Any]]]) -> Draws:
    names = tuple(chains[0])
    for i, chain in enumerate(chains):
        odd = sorted(set(names) ^ set(chain))
        if odd:
            raise ModelError(f"{where}: chain {i + 1} and chain 1 do not have the same parameters: {shorten(odd[0])}.")
        lengths = {len(chain[name]) for name in names} | {len(chains[0][names[0]])}
        if len(lengths) > 1:
            counts = " and ".join(f"{n:,}" for n in sorted(lengths)[:2])
            raise ModelError(f"{where}: chains of {counts} draws (chain {i + 1}). All must have as many.")
    for name in names:
        for chain in chains:
            bad = next((v for v in chain[name] if isinstance(v, bool) or not isinstance(v, int | float)), None)
            if bad is not None or None in chain[name]:
                raise ModelError(f"{where}: {shorten(name)} has a draw that is no number: {shorten(repr(bad))}.")
    return checked(where, names, np.array([[chain[name] for chain in chains] for name in names], dtype=float))


def checked(where: str, names: Sequence[str], values: FloatArray) -> Draws:
    """Draws of shape (parameter, chain, draw), if they can be used."""
    _, chains, draws = values.shape
    if chains > draws:
        raise ModelError(f"{where}: {chains:,} chains of {draws:,} draws each. Are chains and draws exchanged?")
    if chains * draws < _FEWEST:
        raise ModelError(f"{where}: {chains * draws} draws are too few for a Monte Carlo error; {_FEWEST} are needed.")
    bad = ~np.isfinite(values).all(axis=(1, 2))
    if bad.any():
        first = names[int(np.flatnonzero(bad)[0])]
        raise ModelError(
            f"{where}: {int(bad.sum())} parameters have draws that are not finite, {shorten(first)} first."
        )
    return Draws(tuple(names), values)


def _summary(where: str, table: pd.DataFrame) -> Summary:
    key = next((c for c in table.columns if str(c).lower() in NAME_COLUMNS), None)
    if key is None:
        raise ModelError(f"{where}: no column names the parameters. Call it name or parameter.")
    names = table[key].astype(str).str.strip()
    repeated = names[names.duplicated()]
    if len(repeated):
        raise ModelError(f"{where}: the parameter {shorten(repeated.iloc[0])!r} stands in more than one row.")
    return Summary(_numbers(where, table.drop(columns=[key]).set_axis(pd.Index(names), axis=0)))


NAME_COLUMNS = ("name", "names", "parameter", "variable", "param", "", "unnamed: 0", "term")
summary_of = _summary


def _numbers(where: str, table: pd.DataFrame) -> pd.DataFrame:
    """The columns as numbers; a cell that is none is not a number."""
    numbers = table.apply(lambda column: pd.to_numeric(column, errors="coerce")).astype(float)
    infinite = np.isinf(numbers.to_numpy()).any(axis=1)
    if infinite.any():
        raise ModelError(f"{where}: a figure of {shorten(numbers.index[infinite][0])} is not finite.")
    return numbers
