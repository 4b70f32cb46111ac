"""Cells of tables that go out and may come back: what a stranger wrote must not run in somebody's spreadsheet.

A path, a patient, a reader's name, a note: any of them may begin like a formula. Such a cell goes out behind an
apostrophe, which a spreadsheet takes for "this is text", and comes back without it, to the last byte.
"""

import re

FORMULA_STARTS = "=+-@\t\r"
NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?")


def guard(text: str) -> str:
    """A cell that a spreadsheet takes for text; a plain number stays one, also below zero."""
    if text[:1] and text[0] in FORMULA_STARTS + "'" and not NUMBER.fullmatch(text):
        return f"'{text}"
    return text


def unguard(cell: str) -> str:
    """The text of a cell that `guard` made; any other cell as it stands."""
    return cell[1:] if cell[:1] == "'" and cell[1:2] and cell[1] in FORMULA_STARTS + "'" else cell
