"""The secret of the home that a connection belongs to, for look-ups by what people write."""

import sqlite3
from pathlib import Path

from core.images.pseudonyms import load_secret
from core.settings import Settings
from core.store.database import home_of


def secret_of(connection: sqlite3.Connection) -> bytes | None:
    """The secret; None for a database that lies in no home, as in memory."""
    home: Path | None = home_of(connection)
    return load_secret(Settings(home=home)) if home else None
