"""A formula's text becomes its parts: outcome, common terms, bars, offsets. Knows no table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hbm_stan.errors import ModelError, nearest
from hbm_stan.formula.arithmetic import arguments, read_expression, refuse_unknown_function
from hbm_stan.formula.expression import Column, Node
from hbm_stan.formula.tokens import Token, closing, refuse, split_at, tokenize, without_brackets
from hbm_stan.table import shorten

# brms's words on the left side -> the role of what they name.
ADDITIONS = {"trials": "trials", "rate": "exposure", "se": "standard_error"}


@dataclass(frozen=True)
class Category:
    """A column that is a category because the formula says so, with its reference where that is named."""

    name: str
    reference: str = ""

    def __str__(self) -> str:
        return f"C({self.name})" if not self.reference else f"C({self.name}, {self.reference!r})"


Atom = Node | Category


@dataclass(frozen=True)
class Sum:
    """Terms joined by + : * - / ^, with ``v0``, ``v1`` ... in the place of what stands between operators."""

    text: str
    atoms: tuple[Atom, ...]


@dataclass(frozen=True)
class Bar:
    """What varies between the levels of factors: ``(columns | factors)``; a factor is the columns that cross in it."""

    text: str
    columns: Sum
    factors: tuple[tuple[str, ...], ...]
    correlated: bool


@dataclass(frozen=True, kw_only=True)
class Formula:
    """A formula in its parts. ``additions`` are roles of the left side: trials, exposure, standard_error."""

    text: str
    outcome: Node
    additions: Mapping[str, Node]
    common: Sum
    bars: tuple[Bar, ...]
    offsets: tuple[Node, ...] = field(default=())

    @property
    def factors(self) -> tuple[str, ...]:
        """The names of the grouping factors, each once, as ``a`` or ``a:b``."""
        return tuple(dict.fromkeys(":".join(parts) for bar in self.bars for parts in bar.factors))


def parse(text: str) -> Formula:
    """The parts of a formula; raises ModelError, in words, for what cannot be read. Nothing in it is ever run."""
    formula = text.strip()
    sides = split_at(tokenize(formula), "~")
    if len(sides) != 2 or not sides[0][1] or not sides[1][1]:
        raise refuse(formula, "it needs an outcome, one ~ and terms, as in y ~ x + (1 | group).")
    outcome, additions = _left(formula, sides[0][1])
    common, bars, offsets = _right(formula, sides[1][1])
    if not bars:
        raise refuse(
            formula,
            "no grouping factor: nothing varies. Add a term such as (1 | group), with the column of the groups.",
        )
    return Formula(text=formula, outcome=outcome, additions=additions, common=common, bars=bars, offsets=offsets)


def parse_columns(text: str) -> Sum:
    """The common terms of ``~ x + z``, the formula of a likelihood's own parameter, which has nothing else."""
    formula = text.strip()
    sides = split_at(tokenize(formula), "~")
    if len(sides) != 2 or sides[0][1] or not sides[1][1]:
        raise refuse(formula, "it needs one ~ and columns after it, with nothing before, as in ~ x + z.")
    common, bars, offsets = _right(formula, sides[1][1])
    if bars or offsets:
        what = bars[0].text if bars else f"offset({offsets[0]})"
        raise refuse(formula, f"{what} has no place here: only columns that all rows share, as in ~ x + z.")
    return common


def _left(formula: str, tokens: Sequence[Token]) -> tuple[Node, dict[str, Node]]:
    """The outcome, and what its likelihood needs beside it."""
    if tokens[0].text == "cbind":
        raise refuse(formula, "cbind() is not read here. Write successes | trials(n) with a column of trials.")
    pieces = split_at(tokens, "|", "||")
    if len(pieces) > 2:
        raise refuse(
            formula, "the left side has more than one bar. Join what follows it with +: y | se(s) + trials(n)."
        )
    additions: dict[str, Node] = {}
    for _, piece in split_at(pieces[1][1], "+") if len(pieces) == 2 else []:
        role, node = _addition(formula, piece)
        if role in additions:
            raise refuse(formula, f"{role} stands twice on the left side.")
        additions[role] = node
    return read_expression(formula, pieces[0][1]), additions


def _addition(formula: str, tokens: Sequence[Token]) -> tuple[str, Node]:
    """The role of ``trials(n)`` and what it names."""
    name = tokens[0].text if tokens else ""
    if name not in ADDITIONS:
        raise refuse(formula, f"{name!r} after the bar of the left side. {nearest(name, ADDITIONS)}")
    if len(tokens) < 4 or not tokens[1].is_("(") or closing(tokens, 1) != len(tokens) - 1:
        raise refuse(formula, f"{name} needs one column in brackets, as in {name}(n).")
    inside = arguments(tokens[2:-1])
    if len(inside) > 1:
        raise refuse(formula, f"{name}() takes one column only.")
    return ADDITIONS[name], read_expression(formula, inside[0])


def _right(formula: str, tokens: Sequence[Token]) -> tuple[Sum, tuple[Bar, ...], tuple[Node, ...]]:
    """The common terms, the bars and the offsets of the right side."""
    common: list[Token] = []
    bars: list[Bar] = []
    offsets: list[Node] = []
    for sign, piece in split_at(tokens, "+", "-"):
        first = piece[0] if piece else None
        special = first is not None and (_is_bar(piece) or _is_call(piece, "offset"))
        if special and sign == "-":
            raise refuse(formula, f"{_text(formula, piece)} cannot be taken away with a minus. Leave it out.")
        if special and _is_bar(piece):
            bars.append(_bar(formula, piece))
        elif special:
            offsets.append(read_expression(formula, piece[2:-1]))
        else:
            _refuse_bare_bar(formula, piece)
            common += [Token("operator", sign, 0)] * bool(sign and (common or sign == "-")) + piece
            if sign and not piece:
                raise refuse(formula, f"nothing follows a {sign!r}.")
    return read_sum(formula, common), tuple(bars), tuple(offsets)


def _is_call(tokens: Sequence[Token], name: str) -> bool:
    called = len(tokens) > 3 and tokens[0].text == name and tokens[1].is_("(")
    return called and closing(tokens, 1) == len(tokens) - 1


def _is_bar(tokens: Sequence[Token]) -> bool:
    """Whether the tokens are one pair of brackets with a bar in it."""
    enclosed = bool(tokens) and tokens[0].is_("(") and closing(tokens, 0) == len(tokens) - 1
    return enclosed and len(split_at(without_brackets(tokens), "|", "||")) > 1


def _refuse_bare_bar(formula: str, tokens: Sequence[Token]) -> None:
    if any(token.is_("|", "||") for token in tokens):
        raise refuse(formula, "a bar must stand in brackets of its own, joined with +, as in x + (1 | group).")


def _text(formula: str, tokens: Sequence[Token]) -> str:
    """The tokens as they stand in the formula."""
    end = tokens[-1]
    return formula[tokens[0].at : end.at + len(end.text)]


def _bar(formula: str, tokens: Sequence[Token]) -> Bar:
    text = _text(formula, tokens)
    pieces = split_at(without_brackets(tokens), "|", "||")
    if len(pieces) > 2:
        raise refuse(formula, f"{text} has two bars. Give each factor a term of its own: (1 | a) + (1 | b).")
    columns, factor = pieces[0][1], pieces[1][1]
    if not columns:
        raise refuse(formula, f"nothing varies in {text}. For an intercept that varies write (1 | group).")
    if not factor:
        raise refuse(formula, f"a bar without a factor: {text}. After the bar stands the column of the groups.")
    return Bar(text, read_sum(formula, columns), _factors(formula, text, factor), pieces[1][0] == "|")


def _factors(formula: str, text: str, tokens: Sequence[Token]) -> tuple[tuple[str, ...], ...]:
    """The factors after a bar: ``a``, ``a:b``, and of ``a/b`` both ``a`` and ``a:b``; a sum is each of them."""
    factors: list[tuple[str, ...]] = []
    for sign, piece in split_at(without_brackets(tokens), "+", "-", "*", "^"):
        if sign not in {"", "+"}:
            raise refuse(formula, f"{sign!r} after the bar of {text}. Write a term for each factor: (1 | a) + (1 | b).")
        steps = [_crossed(formula, text, step) for _, step in split_at(piece, "/")]
        factors += [tuple(name for step in steps[: i + 1] for name in step) for i in range(len(steps))]
    for parts in factors:
        if len(set(parts)) < len(parts):
            raise refuse(formula, f"{text}: a factor is nested in itself.")
    return tuple(dict.fromkeys(factors))


def _crossed(formula: str, text: str, tokens: Sequence[Token]) -> tuple[str, ...]:
    """The columns of ``a:b``."""
    names = []
    for _, piece in split_at(tokens, ":"):
        if len(piece) != 1 or piece[0].kind != "name":
            shown = shorten(_text(formula, piece)) if piece else "nothing"
            raise refuse(
                formula,
                f"after the bar of {text} stands {shown!r}, where the name of a column is expected. A grouping factor "
                "is a column of labels, always read as a category.",
            )
        names.append(piece[0].text)
    return tuple(names)


def read_sum(formula: str, tokens: Sequence[Token]) -> Sum:
    """Common terms with each atom (a column, a call) named ``v0``, ``v1`` ...; equal atoms have one name."""
    atoms: dict[tuple[type, str], tuple[str, Atom]] = {}
    pieces: list[str] = []
    place = 0
    operand = True  # whether a column is expected next
    while place < len(tokens):
        token, end = tokens[place], place + 1
        if token.kind == "operator":
            operand = _after_operator(formula, token, tokens[place - 1] if place else None, operand)
            pieces.append("**" if token.text == "^" else token.text)
        else:
            if not operand:
                raise refuse(formula, f"an operator is missing before {token.text!r}.")
            operand = False
            after_power = bool(pieces) and pieces[-1] == "**"
            if token.kind == "number":
                pieces.append(_whole_number(formula, token, after_power))
            else:
                called = token.kind == "name" and end < len(tokens) and tokens[end].is_("(")
                end = closing(tokens, end) + 1 if called else end
                atom = _atom(formula, tokens[place:end])
                pieces.append(atoms.setdefault((type(atom), str(atom)), (f"v{len(atoms)}", atom))[0])
        place = end
    if operand and pieces:
        raise refuse(formula, f"nothing follows {tokens[-1].text!r}.")
    return Sum(" ".join(pieces), tuple(atom for _, atom in atoms.values()))


def _after_operator(formula: str, token: Token, before: Token | None, operand: bool) -> bool:
    """Whether a column is expected after this operator; raises ModelError where the operator cannot stand."""
    if token.is_("(") and operand:
        return True
    if token.is_(")") and not operand:
        return False
    sign = token.is_("+", "-") and (before is None or before.is_("("))
    if token.is_("+", "-", "*", "/", ":", "^") and (sign or not operand):
        return True
    if token.is_("("):
        raise refuse(formula, "an operator is missing before a bracket.")
    where = "at the beginning" if before is None else f"after {before.text!r}"
    raise refuse(formula, f"{token.text!r} cannot stand {where}.")


def _whole_number(formula: str, token: Token, after_power: bool) -> str:
    if after_power and token.text.isdigit() and 1 <= int(token.text) <= 9:
        return token.text
    if not after_power and token.text in {"0", "1"}:
        return token.text
    raise refuse(
        formula,
        f"the number {token.text} is no term. 1 is the intercept, 0 takes it away; to compute with a column write "
        "I(2 * x).",
    )


def _atom(formula: str, tokens: Sequence[Token]) -> Atom:
    """A column, a category C(x), or an expression of the closed list of functions."""
    first = tokens[0]
    if first.kind == "quoted":
        raise refuse(formula, f"the quoted text {first.text!r} is no term. Names of columns go in `backticks`.")
    if len(tokens) == 1:
        return Column(first.text)
    refuse_unknown_function(formula, first.text)
    if first.text == "offset":
        raise refuse(formula, "offset() is a term of its own, joined with +.")
    return _category(formula, tokens) if first.text == "C" else read_expression(formula, tokens)


def _category(formula: str, tokens: Sequence[Token]) -> Category:
    """``C(arm)``, ``C(arm, "placebo")`` or ``C(arm, ref = "placebo")``."""
    column, *rest = arguments(tokens[2:-1])
    if len(column) != 1 or column[0].kind != "name" or len(rest) > 1:
        raise _unreadable_category(formula)
    if not rest:
        return Category(column[0].text)
    reference = rest[0][2:] if len(rest[0]) == 3 and rest[0][0].text == "ref" and rest[0][1].is_("=") else rest[0]
    if len(reference) != 1 or reference[0].kind not in {"quoted", "number"}:
        raise _unreadable_category(formula)
    return Category(column[0].text, reference[0].text)


def _unreadable_category(formula: str) -> ModelError:
    return refuse(formula, 'C() takes a column and the level to compare with, as in C(arm) or C(arm, ref = "placebo").')
