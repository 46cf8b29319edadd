"""The only way of text into the template: as JSON data, cleaned, with the fonts that its characters need."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hbm_stan.errors import ModelError, TypesettingError, is_panic
from hbm_stan.notation import refuse_code
from hbm_stan.table import shorten

if TYPE_CHECKING:
    from hbm_stan.model import Family

TEMPLATE = Path(__file__).with_name("template.typ")

# Letters without a blank: longer than any hash, path or name that a reader needs whole (ours).
_LONG_WORD = re.compile(r"\S{200,}")
_LETTERS_SHOWN = 60
# A line of mathematics alone, as the template shows it.
_TRIAL = b'#math.equation(eval(sys.inputs.line, mode: "math"))'
# What the typst wheel's own fonts (Libertinus Serif, New Computer Modern, DejaVu Sans Mono) draw between them.
_EMBEDDED = (
    (0x20, 0x024F), (0x0300, 0x036F), (0x0370, 0x03FF), (0x0400, 0x045F), (0x1E00, 0x1EFF), (0x2010, 0x2027),
    (0x2030, 0x205E), (0x2190, 0x2193), (0x2200, 0x22FF),
)  # fmt: skip
_SPACES = frozenset("\t\n\v\f\r\x1c\x1d\x1e\x1f\x85\u2028\u2029")
# They reorder the text after them, in a table even the next cell: never needed in a label.
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_INVISIBLE = frozenset("\u200b\u200c\u200d\u2060\ufe0e\ufe0f\u00ad")


def escape(text: str) -> str:
    """The text with nothing in it that cannot be set: controls, lone surrogates, characters without a glyph.

    Marks such as # $ * [ ] @ stay: the template shows strings, it never reads them as markup. A character that no
    font here draws is written as its code point, so that two such labels can still be told apart.
    """
    from hbm_stan.plots.fonts import by_code_point

    return by_code_point("".join(_cleaned(c) for c in text), _drawn)


def _cleaned(character: str) -> str:
    code = ord(character)
    if character in _SPACES:
        return " "
    if code < 0x20 or 0x7F <= code < 0xA0 or character in _REORDERING:
        return ""
    return "\N{REPLACEMENT CHARACTER}" if 0xD800 <= code < 0xE000 else character


def _drawn(character: str) -> bool:
    from hbm_stan.plots.fonts import family_of

    return _embedded(ord(character)) or character in _INVISIBLE or family_of(character) is not None


def _embedded(code: int) -> bool:
    return any(low <= code <= high for low, high in _EMBEDDED)


def shortened(text: str) -> str:
    """The text with very long words cut in their middle; what is cut leaves a mark, so that labels stay apart.

    Typst breaks down over thousands of letters without a blank.
    """
    return _LONG_WORD.sub(lambda m: _cut(m[0]), text)


def _cut(word: str) -> str:
    mark = hashlib.sha256(word.encode("utf-8", "surrogatepass")).hexdigest()[:6]
    return f"{word[:_LETTERS_SHOWN]}…[{len(word):,} letters, {mark}]…{word[-_LETTERS_SHOWN // 2 :]}"


def escaped(value: Any, keep_lines: bool = False) -> Any:
    """A JSON value with every string in it escaped; programs (``text`` of a code block) keep their lines."""
    if isinstance(value, str):
        return (
            "\n".join(escape(line) for line in value.expandtabs(2).splitlines())
            if keep_lines
            else shortened(escape(value))
        )
    if isinstance(value, dict):
        program = value.get("kind") == "code"
        return {k: escaped(v, program and k == "text") for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [escaped(v) for v in value]
    return value


def _fonts(text: str) -> Any:
    """The wheel's fonts; for characters beyond them also matplotlib's and the system's."""
    import typst

    if all(_embedded(ord(c)) for c in set(text) if c != "\n"):
        return typst.Fonts(include_system_fonts=False)
    import matplotlib as mpl

    return typst.Fonts(include_system_fonts=True, font_paths=[str(Path(mpl.get_data_path()) / "fonts" / "ttf")])


def compile_pdf(view: dict[str, Any], figures: dict[str, bytes], template: Path = TEMPLATE) -> bytes:
    """The PDF of a view: the same bytes for the same view, figures and fonts.

    Raises TypesettingError with Typst's message and hints where the template cannot be set.
    """
    clean = escaped(view)
    refuse_code(mathematics(clean), "The report")
    data = json.dumps(clean, ensure_ascii=False, allow_nan=False)
    inputs = {"view": data} | {f"figure-{name}": svg.decode("utf-8") for name, svg in figures.items()}
    return compiled(str(template), template.parent, inputs, _fonts(data))


def compiled(
    template: str | bytes, root: Path, inputs: dict[str, str], fonts: Any, format: Literal["pdf", "html"] = "pdf"
) -> bytes:
    """What Typst makes of a template, a file's name or a text; its errors and its panics as TypesettingError."""
    import typst

    try:
        return bytes(typst.compile(template, root=str(root), format=format, sys_inputs=inputs, font_paths=fonts))
    except typst.TypstError as error:
        hints = " ".join(getattr(error, "hints", []) or [])
        raise TypesettingError(f"The pages could not be typeset: {error.message} {hints}".strip()) from error
    except BaseException as error:
        if not is_panic(error):
            raise
        raise TypesettingError(
            f"Typst, which sets the pages, broke down ({shorten(error)}). The draws are kept. Shorten the longest "
            "labels and texts; please report it too."
        ) from error


def mathematics(value: Any) -> Iterator[str]:
    """Every text of a view that the template reads as mathematics."""
    if isinstance(value, dict):
        yield from [value["math"]] if "math" in value else value.get("lines", ())
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from mathematics(part)


def check_mathematics(family: Family) -> None:
    """Raise ModelError where a family of the user's own writes mathematics that Typst cannot set: before any work."""
    import typst

    places = {f"the math of {v.name}": v.math for v in family.programs.variants}
    for place, lines in ({"likelihood": family.words.likelihood} | places).items():
        refuse_code(lines, f"{family.programs.folder}: {place}")
        for line in lines:
            try:
                compiled(_TRIAL, TEMPLATE.parent, {"line": line}, typst.Fonts(include_system_fonts=False))
            except TypesettingError as error:
                raise ModelError(f"{family.programs.folder}: {place}: {shorten(line)!r}: {error}") from error
