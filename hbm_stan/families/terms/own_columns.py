"""Own parameters of a likelihood that are coefficients: their columns and priors as Stan data, and their labels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hbm_stan.families.terms.data import design_of
from hbm_stan.likelihoods.likelihood import OWN_COLUMNS
from hbm_stan.model import StanData
from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior


def column_data(table: Prepared, priors: Mapping[str, Prior]) -> StanData:
    """Of each such parameter: how many columns, ``P_<name>``, the columns, and normal(location, scale) of each."""
    data: StanData = {}
    for name, columns in design_of(table).beside.items():
        arguments = [priors[f"{name}[{column}]"].arguments for column in columns.names]
        data |= {f"P_{name}": len(arguments), f"{OWN_COLUMNS}{name}": columns.X}
        data[f"prior_{name}"] = np.array(arguments, dtype=float).reshape(len(arguments), 2)
    return data


def column_coords(table: Prepared) -> dict[str, tuple[str, ...]]:
    """The labels of their elements."""
    return {f"{name}_column": columns.names for name, columns in design_of(table).beside.items()}
