"""Writes a new analysis.toml with every default spelled out and explained."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hbm_stan.analysis.assumptions import likelihood_lines, missing_lines
from hbm_stan.analysis.told import Told, missing, with_unit
from hbm_stan.data import Dataset, load
from hbm_stan.elements import base_of, in_term
from hbm_stan.engines import Sampling
from hbm_stan.errors import ModelError
from hbm_stan.estimates import level_of
from hbm_stan.families import family as find_family
from hbm_stan.families.choose import choose_likelihood
from hbm_stan.files import write_beside
from hbm_stan.fit import prepare_table
from hbm_stan.formula import model_in_words, with_formula
from hbm_stan.formula.roles import COUNT, read_columns
from hbm_stan.integrals import integral_over
from hbm_stan.likelihoods import likelihoods
from hbm_stan.model import Family
from hbm_stan.nouns import Noun
from hbm_stan.outlines import split_place
from hbm_stan.outlook import outlook
from hbm_stan.prepare import LIST_KINDS, Prepared, Role
from hbm_stan.priors import DISTRIBUTIONS, Prior, PriorRow
from hbm_stan.reading import make_reading
from hbm_stan.verdicts import CHECKS, Verdict

_EXAMPLE = {"positive": "10.0", "number": "0.0", "table": "{ name = 0.0 }"}
_SAMPLING_NOTES = {
    "chains": "four at least: R-hat compares chains",
    "warmup": "iterations of adaptation for each chain, thrown away",
    "draws": "draws kept of each chain",
    "adapt_delta": "target acceptance; nearer to 1 means smaller steps and fewer divergences",
    "max_treedepth": "longest trajectory is 2^this steps",
    "seed": "same seed, engine and machine: same draws",
}

_UNTOLD = Told()


@dataclass(frozen=True)
class New:
    """A new analysis.toml, and what to know of the table: what was decided, the warnings, what was not told."""

    path: Path
    notes: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    missing: tuple[str, ...] = ()

    @property
    def warnings(self) -> list[str]:
        """What to look at before anything is fitted, in sentences."""
        return [v.hint for v in self.verdicts if v.status != "pass"]

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        verdicts = [v.as_dict() for v in self.verdicts]
        remarks = {"notes": list(self.notes), "verdicts": verdicts, "missing": list(self.missing)}
        return {"analysis": str(self.path), **remarks}


def new_analysis(
    data: str, family_name: str, columns: Mapping[str, Any], to: Path, *,
    force: bool = False, seed: int | None = None, told: Told = _UNTOLD, **reading: Any,
) -> New:  # fmt: skip
    """Write ``to``/analysis.toml for a table; the table is read and checked first, so that the file works at once.

    ``reading`` says how to read it, as for ``load``: ``reference={"arm": "placebo"}``; ``told``
    is what the table cannot say. With a ``formula`` among the former ``family_name`` is a likelihood, or empty;
    without both, the columns by role say the formula: outcome, predictors, varying.
    """
    data, to = os.path.expanduser(data), Path(os.path.expanduser(to))
    target = to / "analysis.toml"
    if os.path.lexists(target) and not force:
        raise ModelError(f"{target} is there already. Name another folder with --to, or overwrite it with --force.")
    for above in (to, *to.parents):
        if os.path.isfile(above):
            raise ModelError(f"{above} is a file. Name a folder with --to; it is made where there is none.")
    reading = {**reading, "group_name": told.group_name}
    dataset, likelihood, why = _read(data, family_name, columns, reading)
    family = find_family(likelihood)
    table = prepare_table(family, with_unit(dataset, family, told.unit))
    family.programs.prepare(table, family.priors(table))  # refuses what no model could take, such as 0 trials
    name = family.name if not family.source else _own_place(family_name, to)
    text = _text(family, name, _place(data, to), table.dataset.title or Path(data).stem, table, seed, told, to)
    try:
        content = text.encode()
    except UnicodeEncodeError as error:
        raise ModelError(f"{data!r}: a name that is not UTF-8 cannot be written down. Rename it.") from error
    write_beside(target, content)
    model = [] if table.design is None else model_in_words(table.dataset, table.design, family.name, why)
    if table.design is not None and not reading.get("formula"):
        model.insert(0, f"These columns say the formula {table.dataset.reading.formula}")
    size = outlook(family, table, family.variants_for(table), _sampling(seed))
    notes = (*table.dataset.table.notes, *model, *size, *table.notes)
    return New(target, notes, table.verdicts, tuple(missing(table, family, told)))


def _read(data: str, family: str, columns: Mapping[str, Any], reading: Mapping[str, Any]) -> tuple[Dataset, str, str]:
    """The dataset, and its family and why it is that one: of a formula the likelihood that its outcome calls for.

    Columns by role without a family, or with a likelihood, say a formula.
    """
    if family and not reading.get("formula") and family not in likelihoods():
        return load(data, columns, **reading), family, "as asked"
    if reading.get("formula"):
        dataset = with_formula(load(data, **reading), str(columns.get("group", "")))
        return dataset, *choose_likelihood(dataset, family)
    of_limits = {key: reading[key] for key in ("log_scale", "level") if key in reading}
    dataset = read_columns(load(data, columns, **of_limits))
    dataset = with_formula(dataset.read_as(make_reading(**{**reading, "formula": dataset.reading.formula})))
    return dataset, *choose_likelihood(dataset, family, counts=COUNT in columns)


def _own_place(given: str, to: Path) -> str:
    """The folder of a user's own family as seen from the new one, marked as a place where it is one word."""
    place = _place(os.path.expanduser(given), to)
    return place if "/" in place or place.startswith(".") else f"./{place}"


def _place(data: str, to: Path) -> str:
    """The data as seen from the new folder; the name of a shipped dataset stays."""
    if not os.path.exists(data):
        return data
    # Links in the folders are resolved, for ``..`` climbs out of where a link leads; the file itself may be a link.
    path = os.path.join(os.path.realpath(os.path.dirname(os.path.abspath(data))), os.path.basename(data.rstrip("/\\")))
    try:
        return os.path.relpath(path, os.path.realpath(to)).replace(os.sep, "/")
    except ValueError:  # on another drive of Windows
        return path


def _text(
    family: Family, name: str, place: str, title: str, table: Prepared, seed: int | None, told: Told, to: Path
) -> str:  # fmt: skip
    priors = family.priors(table)
    variants = f"variants = [{', '.join(_quoted(v) for v in family.variants_for(table))}]"
    lines = [
        "# An analysis for hbm_stan. `hbm report` on this folder fits, checks, compares and writes report.pdf.",
        f"# Every key is optional but for {_needed(table)}; what stands here are the defaults for these data.",
        "",
        f"title = {_quoted(title)}",
        *_told_lines(told),
        *_model_lines(family, name, table),
        f"data = {_quoted(place)}  # a CSV or a dataset folder, seen from this file",
        *_reading_lines(table.dataset, to),
        "",
        "# What is fitted. The first variant with partial pooling gives the predictions.",
        *(f"# {note}" for note in family.left_out(table)),
        variants,
        'parameterisation = "auto"  # of partial_pooling: auto chooses from the data and a pilot; or a name, below',
        *(f"#   {v.name}: {table.noun.fill(v.in_words)}" for v in family.programs.variants),
        "",
        *_columns_section(family, table),
        *_level_lines(table),
        "[priors]",
        *(line for row in family.programs.prior_rows for line in _prior_lines(row, priors, table.noun)),
        "",
        "[reasons]  # why each prior; the report prints them. Change them with the priors.",
        *(f"{_key(n)} = {_quoted(f'Computed from these data: {p.reason}')}" for n, p in priors.items()),
        "",
        "[sampling]",
        *(f"{name} = {value}  # {_SAMPLING_NOTES[name]}" for name, value in _sampling(seed).as_dict().items()),
        'engine = "auto"  # or cmdstan, stanli, direct; auto takes CmdStan where it is installed, --engine another',
        "\n[comparison]",
        f"{variants}  # compared on leave-one-out and, where groups have several rows, leave-one-group-out",
        "max_refits = 10  # exact refits for each variant and target, where Pareto k stays high",
        "minutes = 10  # what these repairs may take in all; and later attempts at a fit, with a smaller step",
        "\n[prediction]",
        *(f"# {name} = {_EXAMPLE[o.kind]}  # {o.meaning}" for name, o in family.groups.prediction.items()),
        "\n[checks]",
        "# Names of failed checks that must not withhold the conclusion; the report says so on page one. Checks are:",
        f"# {', '.join(CHECKS)}.",
        "waive = []",
        "",
    ]
    return "\n".join(lines)


def _needed(table: Prepared) -> str:
    return "formula and data" if table.design else "family, data and columns"


def _model_lines(family: Family, name: str, table: Prepared) -> list[str]:
    """The family or, of one with terms, the formula and what belongs to it."""
    if table.design is None:
        return [f"family = {_quoted(name)}  # {family.words.title}", *likelihood_lines(family.roles, table.dataset)]
    reading = table.dataset.reading
    return [
        f"formula = {_quoted(reading.formula)}",
        f"likelihood = {_quoted(name)}  # {family.words.title}",
        *(
            f"{row.name} = {_quoted(reading.beside.get(row.name, '~ 1'))}  # {row.meaning}"
            for row in family.programs.prior_rows
            if row.name in family.own_formulas
        ),
        f"group = {_quoted(table.design.pooled.name)}  # the factor whose pooling is asked",
        f"centre = {str(reading.centre).lower()}  # columns are centred at their means; false takes them as they are",
    ]


def _told_lines(told: Told) -> list[str]:
    """What only the analyst can tell; a comment where a key may be left out and nothing was told."""
    optional = {
        "group_name": (told.group_name, "what the report calls a group: child, or: child, children"),
        "unit": (told.unit, "of the outcome, where the dataset does not say it"),
    }
    return [
        f"question = {_quoted(told.question)}  # what you want to know, in words: it opens the report",
        *(f"{'' if text else '# '}{key} = {_quoted(text)}  # {what}" for key, (text, what) in optional.items()),
    ]


def _prior_lines(row: PriorRow, priors: Mapping[str, Prior], noun: Noun) -> list[str]:
    offered = ", ".join(f"{d}({', '.join(DISTRIBUTIONS[d].arguments)})" for d in row.distributions)
    own = [name for name in priors if base_of(name) == row.name]
    if not own:
        return []
    return [
        f"# {noun.fill(in_term(row.meaning))}.",
        f"# Offered: {offered}. Source: {row.source}.",
        *(f"{_key(name)} = {_quoted(priors[name].text)}" for name in own),
    ]


def _key(name: str) -> str:
    """A key of TOML: a name with a term in brackets stands in quotes."""
    return name if name.isidentifier() and name.isascii() else _quoted(name)


def _columns_section(family: Family, table: Prepared) -> list[str]:
    """Columns by role; a formula names them itself."""
    if table.design is not None:
        return []
    return ["[columns]  # role = column", *(_column_line(r, table.dataset) for r in family.roles), ""]


def _column_line(role: Role, dataset: Dataset) -> str:
    columns = dataset.listed(role.name)
    if not columns:
        return f"# {role.name} = {'[...]' if role.kind in LIST_KINDS else '...'}  # {role.meaning} (not used)"
    value = f"[{', '.join(map(_quoted, columns))}]" if role.kind in LIST_KINDS else _quoted(columns[0])
    return f"{role.name} = {value}  # {role.meaning}"


def _reading_lines(dataset: Dataset, to: Path) -> list[str]:
    """How the table is read where it cannot say so itself, where there is anything to say."""
    reading, lines = dataset.reading, []
    if reading.log_scale:
        lines.append("log_scale = true  # estimates are ratios: their logs are analysed, answers are ratios")
    if reading.log_scale or reading.level is not None:
        lines.append(f"level = {level_of(reading):g}  # what the limits of the estimates hold")
    if reading.weights:
        lines.append(f"weights = {_quoted(reading.weights)}  # how many times each row counts")
    if reading.unit_labels:
        lines.append(
            f"unit_labels = {_quoted(reading.unit_labels)}  # equal labels of units in two groups are two units"
        )
    if reading.neighbours is not None:
        path, named = split_place(reading.neighbours.path)
        beside = _place(path, to) + (f"#{named}" if named else "")
        what = "two areas side by side in each row" if reading.neighbours.outlines is None else "outlines of areas"
        lines.append(f"neighbours = {_quoted(beside)}  # {what}, seen from this file")
    if (seen := reading.selection) is not None:
        lines.append(f"selection = {_quoted(_place(seen.path, to))}  # a value and its chance to be seen in each row")
    if reading.integral is not None or dataset.column("point"):
        lines.append(integral_over(reading.integral, dataset.table, dataset.column("point")).line)
    return lines


def _level_lines(table: Prepared) -> list[str]:
    """The levels of categories and of an ordered outcome, where there are any, and what is assumed of missing ones."""
    every = {**table.ordered, **table.levels}
    if not every:
        return missing_lines(table)
    head = "[levels]  # of categories, in order: the first is what the others are compared with"
    comments = dict.fromkeys(table.ordered, "  # the outcome, the lowest first")
    return [
        head, *(f"{_key(c)} = [{', '.join(map(_quoted, own))}]{comments.get(c, '')}" for c, own in every.items()), "",
        *missing_lines(table),
    ]  # fmt: skip


def _sampling(seed: int | None) -> Sampling:
    return Sampling() if seed is None else Sampling(seed=seed)


def _quoted(text: str) -> str:
    # A JSON string is a TOML basic string, but for DEL, which TOML wants escaped too.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
