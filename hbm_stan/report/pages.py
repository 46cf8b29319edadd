"""results.json -> report.pdf: a view of display strings, laid out by one Typst template."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hbm_stan.errors import HbmError
from hbm_stan.files import write_beside
from hbm_stan.report.typeset import compile_pdf
from hbm_stan.report.view import view_of


def document_date(timestamp: int | None) -> list[int] | None:
    """Year, month, ..., second of the document's date; None (no date in the file) where none is asked for."""
    if timestamp is None:
        epoch = os.environ.get("SOURCE_DATE_EPOCH", "").strip()
        if not epoch:
            return None
        if not epoch.isdigit():
            raise HbmError(f"SOURCE_DATE_EPOCH must be a whole number of seconds since 1970, got {epoch!r}.")
        timestamp = int(epoch)
    return list(datetime.fromtimestamp(timestamp, UTC).timetuple()[:6])


def write_html(results: dict[str, Any], figures: dict[str, bytes], path: Path) -> str:
    """Write the same report as one HTML file, whole or not at all; its sha256."""
    from hbm_stan.report.web import compile_html

    view = view_of(results, figures)
    html = compile_html(view, {name: figures[name] for name in view["figures"]})
    write_beside(path, html)
    return hashlib.sha256(html).hexdigest()


def write_pdf(results: dict[str, Any], figures: dict[str, bytes], path: Path, *, timestamp: int | None = None) -> str:
    """Write the report of a results dict with these figures (name -> SVG), whole or not at all; its sha256.

    The file holds no clock time: its date is ``timestamp``, else SOURCE_DATE_EPOCH, else there is none.
    """
    view = view_of(results, figures) | {"date": document_date(timestamp)}
    pdf = compile_pdf(view, {name: figures[name] for name in view["figures"]})
    write_beside(path, pdf)
    # Of the bytes that were made: another process may have written the file since.
    return hashlib.sha256(pdf).hexdigest()
