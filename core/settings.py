"""One settings object, read once at the doors (server, worker, child, command line) and passed on."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

from platformdirs import user_data_path

from core.errors import InvalidInput

PROJECT_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Settings:
    """Where things lie and how much is too much. `settings.toml` in the home overrides a default."""

    home: Path
    max_image_pixels: int = 200_000_000  # beyond this an image is taken for a decompression bomb
    max_upload_bytes: int = 64 << 30  # of one upload, which goes to disk piece by piece
    max_unpacked_bytes: int = 64 << 30  # of one zip, of which one file at a time is unpacked
    max_unpacked_files: int = 200_000  # of one zip
    max_compression_ratio: int = 200  # of a zip and of each file in it; images stay below 30, not so painted masks
    onnx_memory_bytes: int = 6 << 30  # an export that needs more is left out, and the reason kept
    session_hours: int = 12  # then everybody signs in again
    session_idle_minutes: int = 60  # without a click or a key for so long, a person is signed out
    explain_idle_seconds: int = 600  # after this the warm child gives its memory back
    heartbeat_seconds: float = 60.0  # a child silent for longer is taken for hung
    sign_ins_per_minute: int = 60  # tries from one address, which may be a whole ward's
    uploads_per_minute: int = 30  # begun by one person; each takes any number of files
    upload_pieces_at_once: int = 16  # of one person; a browser sends four
    upload_bytes_per_second: int = 200 << 20  # of one person, over half a minute
    table_bytes_per_minute: int = 128 << 20  # of one person: tables and snapshots, which wait in memory for their page
    paths_keep_days: float = 14.0  # original paths of an import, encrypted, for its report and for trying again
    prepared_keep_days: float = 14.0  # images prepared for training and not used for longer are removed
    backup_folder: str = ""  # where the worker puts a backup each night, outside the home; empty: nowhere
    backup_hour: int = 2  # by the clock on the wall, 0 to 23
    backup_keep_days: int = 7  # every backup of so many days is kept,
    backup_keep_weeks: int = 4  # then the last of each week,
    backup_keep_months: int = 12  # then the last of each month

    @property
    def database_path(self) -> Path:
        return self.home / "readroom.db"


def default_home(environ: Mapping[str, str] = os.environ) -> Path:
    """`$READROOM_HOME`, or the platform's folder for user data."""
    given = environ.get("READROOM_HOME")
    return Path(given).expanduser() if given else user_data_path("readroom", appauthor=False)


def load_settings(home: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings of a home, with what its `settings.toml` says.

    Raises:
        InvalidInput: the file is not TOML, or has an unknown key or a value of another type.
    """
    settings = Settings(home=(home or default_home(environ)).expanduser().absolute())
    path = settings.home / "settings.toml"
    if not path.exists():
        return settings
    try:
        given = tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"Mend {path}, it is not valid TOML: {error}") from error
    known = {field.name for field in fields(Settings)} - {"home"}
    for key, value in given.items():
        if key not in known:
            raise InvalidInput(f"{path} may set {', '.join(sorted(known))}. Received: {key}")
        wanted = _wanted(key, value)
        if wanted:
            raise InvalidInput(f"{key} in {path} must be {wanted}. Received: {value!r}")
    return replace(settings, **given)


def _wanted(key: str, value: object) -> str:
    """What a value should have been, or nothing where it is fine."""
    if key == "backup_folder":
        fine = value == "" or (isinstance(value, str) and Path(value).is_absolute())
        return "" if fine else "the full path of a folder, in quotation marks"
    if key == "backup_hour":
        return "" if type(value) is int and 0 <= value <= 23 else "a whole number from 0 to 23"
    if key in ("backup_keep_weeks", "backup_keep_months"):
        return "" if type(value) is int and value >= 0 else "a whole number, zero or more"
    fine = isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0
    return "" if fine else "a number above zero"
