"""A formula's text as tokens: names, numbers, quoted levels and operators; whatever else is refused, never run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hbm_stan.errors import ModelError
from hbm_stan.table import shorten

TokenKind = Literal["name", "number", "quoted", "operator"]
# Longer, or with brackets deeper than this, nobody writes a formula (ours).
_LONGEST, _DEEPEST = 5000, 40
_WORD = re.compile(r"[^\W\d][\w.]*")
_PATTERN = re.compile(
    r"(?P<space>\s+)"
    r"|`(?P<ticked>[^`]*)`"
    r"|(?P<number>(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?)(?![\w.])"
    rf"|(?P<name>{_WORD.pattern})"
    r"""|(?P<quoted>"[^"]*"|'[^']*')"""
    r"|(?P<operator>\|\||\*\*|[-~+*/:^()|,=])"
)


@dataclass(frozen=True)
class Token:
    """A piece of a formula; ``at`` is where it begins. A name in backticks is without them, a level without quotes."""

    kind: TokenKind
    text: str
    at: int

    def is_(self, *operators: str) -> bool:
        """Whether the token is one of these operators."""
        return self.kind == "operator" and self.text in operators


def written(name: str) -> str:
    """The name of a column as a formula writes it: in backticks where it is no word."""
    return name if _WORD.fullmatch(name) else f"`{name}`"


def refuse(formula: str, wrong: str) -> ModelError:
    """The error of a formula, which it shows."""
    shown = " ".join(formula[:200].split()) + "…" * (len(formula) > 200)
    return ModelError(f"Formula {shown!r}: {wrong}")


def tokenize(formula: str) -> list[Token]:
    """The tokens of a formula, brackets balanced; raises ModelError for a character or bracket that cannot stand."""
    if len(formula) > _LONGEST:
        raise refuse(formula, f"it has {len(formula):,} characters; {_LONGEST:,} are allowed.")
    tokens: list[Token] = []
    place = 0
    while place < len(formula):
        match = _PATTERN.match(formula, place)
        if match is None:
            raise refuse(formula, _odd_character(formula, place))
        if token := _token(match):
            tokens.append(token)
        place = match.end()
    _check_brackets(formula, tokens)
    return tokens


def _token(match: re.Match[str]) -> Token | None:
    kind = match.lastgroup or ""
    for group in ("ticked", "number", "name", "quoted", "operator"):
        if match[group] is not None:
            kind = group
            break
    if kind == "ticked":
        return Token("name", match["ticked"], match.start())
    if kind == "quoted":
        return Token("quoted", match["quoted"][1:-1], match.start())
    if kind == "name":
        return Token("name", match["name"], match.start())
    if kind == "number":
        return Token("number", match["number"], match.start())
    if kind == "operator":
        return Token("operator", "^" if match["operator"] == "**" else match["operator"], match.start())
    return None


def _odd_character(formula: str, place: int) -> str:
    character = formula[place]
    rest = shorten(formula[place:])
    if character in "`\"'":
        return f"{character} is opened at {rest!r} and never closed."
    if character.isdigit():
        return f"a name may not begin with a digit, at {rest!r}. Put the name of a column in `backticks`."
    if character == "%":
        return f"%in% and other operators in per cent signs are not offered, at {rest!r}. Write a:b or a/b."
    return (
        f"{character!r} has no meaning in a formula, at {rest!r}. A formula has names of columns (in `backticks` where "
        "they are no words), numbers, + - * / : ^ ( ) | and functions of a closed list; it runs no code."
    )


def _check_brackets(formula: str, tokens: Sequence[Token]) -> None:
    """Raise ModelError for a bracket that is not closed, or never opened."""
    opened: list[Token] = []
    for token in tokens:
        if token.is_("("):
            opened.append(token)
        elif token.is_(")"):
            if not opened:
                raise refuse(formula, f"a bracket is closed at {shorten(formula[token.at :])!r} that was never opened.")
            opened.pop()
        if len(opened) > _DEEPEST:
            raise refuse(formula, f"brackets stand more than {_DEEPEST} deep.")
    if opened:
        raise refuse(formula, f"the bracket opened at {shorten(formula[opened[-1].at :])!r} is never closed.")


def split_at(tokens: Sequence[Token], *operators: str) -> list[tuple[str, list[Token]]]:
    """The pieces between these operators outside brackets, each with the operator before it (the first: "")."""
    pieces: list[tuple[str, list[Token]]] = [("", [])]
    depth = 0
    for token in tokens:
        depth += token.is_("(") - token.is_(")")
        if depth == 0 and token.is_(*operators):
            pieces.append((token.text, []))
        else:
            pieces[-1][1].append(token)
    return pieces


def closing(tokens: Sequence[Token], opening: int) -> int:
    """The place of the bracket that closes the one at ``opening``."""
    depth = 0
    for i in range(opening, len(tokens)):
        depth += tokens[i].is_("(") - tokens[i].is_(")")
        if depth == 0:
            return i
    raise ValueError("brackets were not checked")


def without_brackets(tokens: Sequence[Token]) -> list[Token]:
    """The tokens without brackets that enclose all of them."""
    inner = list(tokens)
    while inner and inner[0].is_("(") and closing(inner, 0) == len(inner) - 1:
        inner = inner[1:-1]
    return inner
