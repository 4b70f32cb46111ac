"""Which sentence an error of the machine gets, and that a defect gets none."""

import sqlite3

import pytest

from core.store.troubles import FAILING, FULL, find_remedy


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (sqlite3.SQLITE_FULL, FULL),
        (sqlite3.SQLITE_IOERR_SHMSIZE, FULL),
        (sqlite3.SQLITE_IOERR_READ, FAILING),
        (sqlite3.SQLITE_ERROR, None),
    ],
)
def test_the_code_decides(code: int, said: str | None) -> None:
    """A disk without a free byte refuses to open a database with SQLITE_IOERR_SHMSIZE, not with SQLITE_FULL."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    assert find_remedy(error) == said


@pytest.mark.parametrize("error", [OSError("no number"), FileNotFoundError(2, "gone"), sqlite3.OperationalError("own")])
def test_what_no_remedy_is_known_for_stays_a_defect(error: Exception) -> None:
    assert find_remedy(error) is None
