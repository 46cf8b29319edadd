"""Measures of the pages of a PDF: where text stands and how large it is, how full a page is, what touches what."""

from __future__ import annotations

import ctypes
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

POINT = 72 / 25.4  # of a millimetre
LEFT, RIGHT, TOP, BOTTOM = 25 * POINT, 595.28 - 25 * POINT, 841.89 - 21 * POINT, 21 * POINT
SMALLEST = 7.5
SCALE = 2.0  # pixels a point
_IN_A_WORD = 2  # letters that are so near in the text are beside each other on the page


@dataclass(frozen=True)
class Letter:
    """A letter on a page: its box in points from the lower left corner, its size, its font, and what it is."""

    text: str
    box: tuple[float, float, float, float]
    size: float
    font: str


@dataclass(frozen=True)
class Page:
    """The letters of a page, its pixels from above (True is ink), the boxes of its figures, and its text."""

    number: int
    letters: tuple[Letter, ...]
    ink: np.ndarray
    text: str

    @property
    def body(self) -> list[Letter]:
        """The letters between head and foot."""
        return [a for a in self.letters if a.box[1] >= BOTTOM - 1 and a.box[3] <= TOP + 1]


def pages_of(pdf: Path | bytes) -> list[Page]:
    """All pages, measured."""
    import pypdfium2 as pdfium

    document = pdfium.PdfDocument(pdf)
    return [_page(document[k], k + 1) for k in range(len(document))]


def _page(page: Any, number: int) -> Page:
    text = page.get_textpage()
    letters = [a for k in range(text.count_chars()) if (a := _letter(text, k)) is not None]
    pixels = np.asarray(page.render(scale=SCALE, grayscale=True).to_numpy()).reshape(
        int(np.ceil(page.get_height() * SCALE)), -1
    )
    return Page(number, tuple(letters), pixels < 250, text.get_text_range())


def _letter(text: Any, k: int) -> Letter | None:
    from pypdfium2 import raw

    written = text.get_text_range(k, 1)
    if not written.strip():
        return None
    box = text.get_charbox(k, loose=False)
    buffer, flags = ctypes.create_string_buffer(128), ctypes.c_int()
    raw.FPDFText_GetFontInfo(text, k, buffer, 128, flags)
    return Letter(written, box, raw.FPDFText_GetFontSize(text, k), buffer.value.decode("utf-8", "replace"))


def fullness(page: Page) -> float:
    """How far down the page its ink reaches, as a share of the height between the margins."""
    top, bottom = (int((841.89 - y) * SCALE) for y in (TOP, BOTTOM))
    rows = np.flatnonzero(page.ink[top : bottom - 1].any(axis=1))
    return 0.0 if not rows.size else float((rows[-1] + 1) / (bottom - top))


def outside(page: Page, slack: float = 1.5) -> list[Letter]:
    """Letters that stand outside the margins, beside head and foot, which stand above and below."""
    return [a for a in page.letters if a.box[0] < LEFT - slack or a.box[2] > RIGHT + slack]


def ink_outside(page: Page) -> int:
    """Pixels of ink to the left and right of the margins."""
    left, right = int((LEFT - 2) * SCALE), int((RIGHT + 2) * SCALE)
    return int(page.ink[:, :left].sum() + page.ink[:, right:].sum())


def small(page: Page) -> list[Letter]:
    """Letters below the smallest size; what mathematics sets above and below a letter is not counted."""
    return [a for a in page.letters if a.size < SMALLEST - 0.01 and "Math" not in a.font]


def overlapping(page: Page) -> list[tuple[str, str]]:
    """Pairs of letters of which one stands on the other: a third of the smaller one's area and more.

    Letters that follow each other in a word may: f and i, Q and u.
    """
    letters = [a for a in page.letters if "Math" not in a.font]
    boxes = np.array([a.box for a in letters]).reshape(-1, 4)
    pairs = []
    for i, j in _neighbours(boxes, np.argsort(boxes[:, 0])):
        width = min(boxes[i, 2], boxes[j, 2]) - max(boxes[i, 0], boxes[j, 0])
        height = min(boxes[i, 3], boxes[j, 3]) - max(boxes[i, 1], boxes[j, 1])
        if width <= 0 or height <= 0 or abs(i - j) <= _IN_A_WORD:
            continue
        areas = [(boxes[k, 2] - boxes[k, 0]) * (boxes[k, 3] - boxes[k, 1]) for k in (i, j)]
        if width * height > min(areas) / 3:
            pairs.append((letters[i].text, letters[j].text))
    return pairs


def _neighbours(boxes: np.ndarray, order: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of letters whose boxes share some of the width."""
    pairs, open_ones = [], list[int]()
    for i in order:
        open_ones = [j for j in open_ones if boxes[j, 2] > boxes[i, 0]]
        pairs += [(int(i), j) for j in open_ones]
        open_ones.append(int(i))
    return pairs


def figures(pages: Sequence[Page]) -> dict[int, tuple[int, int]]:
    """Figure -> the page where it is first mentioned, and the page of its caption."""
    captions, mentions = dict[int, int](), dict[int, int]()
    for page in pages:
        flat = " ".join(page.text.split())
        for match in re.finditer(r"Figure\s(\d+)(\.?)", flat):
            place = captions if match[2] and flat[match.end() : match.end() + 1] == " " else mentions
            place.setdefault(int(match[1]), page.number)
    return {k: (mentions.get(k, at), at) for k, at in captions.items()}


def far_figures(pages: Sequence[Page]) -> list[int]:
    """Figures that stand neither on the page of their first mention nor on the next."""
    return [k for k, (mention, at) in figures(pages).items() if not 0 <= at - mention <= 1]


def place_of(pages: Sequence[Page], words: str) -> float:
    """How many pages stand before these words: 4.25 where they begin a quarter down the fifth page."""
    flat = words.replace(" ", "")
    for page in pages:
        written = "".join(a.text for a in page.letters)
        at = written.find(flat)
        if at >= 0:
            letters = [a for a in page.letters for _ in a.text]
            return page.number - 1 + (TOP - letters[at].box[3]) / (TOP - BOTTOM)
    raise AssertionError(f"{words!r} stands on no page")


def page_of(pages: Sequence[Page], words: str) -> int | None:
    """The first page that has these words."""
    return next((p.number for p in pages if words in " ".join(p.text.split())), None)


def touches_edge(svg: bytes, margin: int = 1) -> bool:
    """Whether a figure has ink at its edge: something is cut there."""
    import typst
    from PIL import Image

    source = '#set page(width: auto, height: auto, margin: 0pt)\n#image(bytes(sys.inputs.svg), format: "svg")'
    png = typst.compile(source.encode(), format="png", ppi=144, sys_inputs={"svg": svg.decode()})
    ink = np.asarray(Image.open(io.BytesIO(png)).convert("L")) < 200
    edges = (ink[:margin], ink[-margin:], ink[:, :margin], ink[:, -margin:])
    return any(bool(edge.any()) for edge in edges)
