"""Which products of columns a sum of terms stands for, by the library that expands it: R's rules of coding.

The library sees names ``v0``, ``v1`` ... and two made-up rows only: nothing of a user's reaches it.
"""

from __future__ import annotations

from collections.abc import Sequence

from hbm_stan.formula.parse import Sum

# Of each product the atoms that it is of, in the order of the term, and whether a category is without its reference.
Scope = tuple[tuple[int, bool], ...]


def scopes_of(terms: Sum, categories: Sequence[bool], *, intercept: bool = True) -> list[Scope]:
    """The products that the columns of a sum are, lower orders first; the empty one is the intercept.

    ``categories`` says of each atom whether it is a category. A category is coded without its reference where the
    terms before it span that (an intercept, a main effect), and by all of its levels where they do not.
    """
    import pandas as pd
    from formulaic import Formula
    from formulaic.parser import DefaultFormulaParser

    rows = {f"v{i}": ["a", "b"] if category else [0.0, 1.0] for i, category in enumerate(categories)}
    parser = DefaultFormulaParser(include_intercept=intercept)
    formula = Formula(terms.text or "1", _parser=parser, _ordering="degree")
    frame = pd.DataFrame(rows, index=[0, 1])
    structure = formula.get_model_matrix(frame).model_spec.structure
    scoped = [each for term in structure for each in term.scoped_terms]
    return [tuple((int(f.factor.expr.removeprefix("v")), bool(f.reduced)) for f in each.factors) for each in scoped]
