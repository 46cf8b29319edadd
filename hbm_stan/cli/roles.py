"""The words after `hbm new`: the table, and options that name columns (``--group school``), as the family has roles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hbm_stan.errors import ModelError, did_you_mean
from hbm_stan.families import family as find_family
from hbm_stan.formula.roles import GROUP, ROLES, option_of
from hbm_stan.likelihoods import likelihoods


def table_and_roles(
    arguments: Sequence[str], family: str, options: Iterable[str] = (), *, formula: bool = False
) -> tuple[str, dict[str, str]]:
    """The table, and role -> column from ``--standard-error se`` or ``--standard-error=se``, in any order.

    ``arguments`` are the words that the command did not understand itself, ``options`` those that it did. With a
    ``formula`` the only role is the group; without one and without a family, or with a likelihood, roles say one.
    """
    names = _role_names(family, formula)
    roles = {option_of(name): name for name in names}
    tables: list[str] = []
    columns: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            tables.append(word)
            continue
        option, equals, value = word.partition("=")
        option = option.replace("_", "-")
        if option not in roles:
            raise ModelError(_unknown(word, family, roles, options, formula=formula))
        if not equals and (not rest or rest[0].startswith("--")):
            raise ModelError(f"{option} needs the name of a column (of one that begins with --: {option}=--name).")
        column = value if equals else rest.pop(0)
        if columns.setdefault(roles[option], column) != column:
            raise ModelError(f"{option} is given twice: {columns[roles[option]]!r} and {column!r}.")
    return _only(tables), columns


def formula_among(arguments: Sequence[str], family: str, likelihood: str) -> tuple[str, list[str]]:
    """The formula among the words after `hbm new`, empty where there is none, and the other words."""
    formulas = [word for word in arguments if "~" in word and not word.startswith(("-", "~/"))]
    if not formulas and not family and not _names_columns(arguments):
        example = 'hbm new data.csv "y ~ x + (1 | group)" --to folder'
        raise ModelError(
            f"Neither a formula nor --family: write {example}, name columns (--group g --outcome y --predictors x), or "
            "name a family (hbm families)."
        )
    if formulas and family:
        raise ModelError("With a formula leave --family out; --likelihood names the distribution of the outcome.")
    if likelihood and family and not any(r.likelihoods for r in find_family(family).roles):
        raise ModelError("--likelihood goes with a formula, or with columns alone: leave --family out.")
    if len(formulas) > 1:
        raise ModelError(f"{formulas[1]!r} is a second formula. Write one, in quotes.")
    return next(iter(formulas), ""), [word for word in arguments if word not in formulas]


def _role_names(family: str, formula: bool) -> tuple[str, ...]:
    """The roles that columns may be named for."""
    if formula:
        return (GROUP,)
    return ROLES if not family or family in likelihoods() else tuple(r.name for r in find_family(family).roles)


def _names_columns(arguments: Sequence[str]) -> bool:
    """Whether some word is an option that names a column."""
    options = set(map(option_of, ROLES))
    return any(word.partition("=")[0].replace("_", "-") in options for word in arguments)


def family_of_limits(roles: Iterable[str], formula: str, likelihood: str) -> str:
    """The family that estimates with limits and nothing else call for; empty for other columns."""
    named = set(roles)
    alone = {"lower", "upper"} <= named and not named - {"group", "estimate", "lower", "upper"}
    return "normal_means" if alone and not formula and not likelihood else ""


def unit_role(family: str, unit: str, outcome_unit: str) -> tuple[list[str], str]:
    """The words of the role called unit, where the family has one, and the unit of the outcome."""
    if unit and family and any(r.name == "unit" for r in find_family(family).roles):
        return [f"--unit={unit}"], outcome_unit
    return [], outcome_unit or unit


def _unknown(word: str, family: str, roles: Iterable[str], options: Iterable[str], *, formula: bool) -> str:
    option = word.partition("=")[0].replace("_", "-")
    if formula and _names_columns([option]):
        return f"{option} does not go with a formula, whose columns stand in it. Name with --group what is pooled."
    if family and option == "--varying":
        return (
            f"--varying is no option of the family {family}, whose variants fix what varies. Leave --family out: the "
            "columns then say a formula, in which the slopes that --varying names vary between groups."
        )
    near = did_you_mean(option, [*roles, *options])
    hint = f" {near}" if near else ""
    return f"{word!r} is no option of hbm new.{hint} The roles of {family or 'a formula'} are {', '.join(roles)}."


def _only(tables: Sequence[str]) -> str:
    if not tables:
        raise ModelError("There is no table: hbm new DATA, where DATA is a CSV file or a dataset folder.")
    if len(tables) > 1:
        raise ModelError(
            f"{tables[1]!r} is one word too many: hbm new takes one table only, here {tables[0]!r}. "
            "A name with spaces stands in quotes."
        )
    return tables[0]


def orders(words: Iterable[str]) -> dict[str, list[str]]:
    """Column -> levels in order from ``--levels rating=poor,fair,good``."""
    order_of: dict[str, list[str]] = {}
    for word in words:
        column, equals, levels = (part.strip() for part in word.partition("="))
        named = [level.strip() for level in levels.split(",")]
        if not (column and equals and len(named) > 1):
            raise ModelError(
                f"--levels {word}: name a column and its levels in order, as in --levels rating=poor,fair,good."
            )
        if order_of.setdefault(column, named) != named:
            raise ModelError(f"--levels names two orders of {column}: {', '.join(order_of[column])} and {levels}.")
    return order_of


def references(words: Iterable[str]) -> dict[str, str]:
    """Column -> level from ``--reference arm=placebo``."""
    reference_of: dict[str, str] = {}
    for word in words:
        column, equals, level = (part.strip() for part in word.partition("="))
        if not (column and equals and level):
            raise ModelError(f"--reference {word}: name a column and a level of it, as in --reference arm=placebo.")
        if reference_of.setdefault(column, level) != level:
            raise ModelError(f"--reference names two levels of {column}: {reference_of[column]!r} and {level!r}.")
    return reference_of
