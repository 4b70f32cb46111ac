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
    max_upload_bytes: int = 4 << 30
    max_unpacked_bytes: int = 16 << 30  # of one zip
    max_unpacked_files: int = 200_000  # of one zip
    max_compression_ratio: int = 200  # of one zip member; medical images stay below 30
    onnx_memory_bytes: int = 6 << 30  # an export that needs more is left out, and the reason kept
    session_hours: int = 12
    explain_idle_seconds: int = 600  # after this the warm child gives its memory back
    heartbeat_seconds: float = 60.0  # a child silent for longer is taken for hung

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
    known = {field.name: field.type for field in fields(Settings) if field.name != "home"}
    for key, value in given.items():
        if key not in known:
            raise InvalidInput(f"{path} may set {', '.join(sorted(known))}. Received: {key}")
        if not isinstance(value, (int, float)) or isinstance(value, bool) or value <= 0:
            raise InvalidInput(f"{key} in {path} must be a number above zero. Received: {value!r}")
    return replace(settings, **given)
