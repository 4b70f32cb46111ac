"""Numbers of rows that are never given twice, also after the row that bore one was erased."""

import sqlite3
from typing import Literal

Numbered = Literal["runs", "models", "snapshots"]


def next_number(connection: sqlite3.Connection, table: Numbered) -> int:
    """The number of the next row; inside the transaction that adds it. A number below would be refused by a trigger."""
    (number,) = connection.execute(
        f"""SELECT 1 + max(coalesce((SELECT max(id) FROM {table}), 0),
                           coalesce((SELECT number FROM kept_numbers WHERE numbered = ?), 0))""",
        (table,),
    ).fetchone()
    return int(number)
