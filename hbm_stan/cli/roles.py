"""Options that name columns: ``--group school``; which there are depends on the family."""

from __future__ import annotations

from collections.abc import Sequence

from hbm_stan.errors import ModelError, nearest
from hbm_stan.families import family as find_family


def role_options(arguments: Sequence[str], family: str) -> dict[str, str]:
    """Roles and columns from the options that are left over: ``--standard-error se`` or ``--standard-error=se``."""
    roles = [r.name for r in find_family(family).roles]
    columns: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        option = rest.pop(0)
        name, equals, value = option.removeprefix("--").partition("=")
        role = name.replace("-", "_")
        if not option.startswith("--") or role not in roles:
            offered = ", ".join(f"--{r.replace('_', '-')}" for r in roles)
            raise ModelError(f"{option!r} is no option here. {nearest(role, roles)} The roles of {family}: {offered}.")
        if not equals:
            if not rest:
                raise ModelError(f"--{name} needs the name of a column.")
            value = rest.pop(0)
        columns[role] = value
    return columns
