"""Original paths, for whoever imports: encrypted with the home's secret, and gone after some days.

The database and the logs know a file by `path_token` only. What a job was pointed at, and what its report calls the
files, lies here, so that a report can be read and refused files tried again while that is fresh.
"""

import base64
import hashlib
import hmac
import json
import secrets
import time
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

from core.errors import InvalidInput
from core.images.pseudonyms import load_secret
from core.settings import Settings
from core.store.files import write_whole

SECONDS_PER_DAY = 86_400
SUFFIX = ".sealed"
SHORTEST_NAME = 4  # letters; shorter ones name nobody and are in every word
NAMING = ("paths", "labels", "root", "patient_from", "masks", "boxes")  # the arguments that name somebody's files


def seal(settings: Settings, value: Any, name: str | None = None) -> str:
    """Encrypt a structured value into a file of its own; the answer is the name by which it is read back."""
    name = name or secrets.token_hex(16)
    packed = zlib.compress(json.dumps(value, ensure_ascii=True).encode())
    write_whole(_path(settings, name), home_fernet(settings).encrypt(packed))
    return name


def unseal(settings: Settings, name: str) -> Any | None:
    """The value; None once it has expired, or where the secret is another."""
    try:
        token = _path(settings, name).read_bytes()
        packed = home_fernet(settings).decrypt(token, ttl=round(settings.paths_keep_days * SECONDS_PER_DAY))
    except (FileNotFoundError, InvalidToken):
        return None
    return json.loads(zlib.decompress(packed))


def forget_sealed(settings: Settings, name: str) -> None:
    """Remove what was sealed under a name, if it is there."""
    _path(settings, name).unlink(missing_ok=True)


def forget_expired(settings: Settings, now: float | None = None) -> int:
    """Remove what has expired; how many files went."""
    gone = 0
    oldest = (time.time() if now is None else now) - settings.paths_keep_days * SECONDS_PER_DAY
    for path in (settings.home / "imports").glob(f"*{SUFFIX}"):
        with suppress(FileNotFoundError):  # another process does the same
            if path.stat().st_mtime < oldest:
                path.unlink()
                gone += 1
    return gone


def seal_text(settings: Settings, text: str) -> str:
    """Encrypt a text that stays where it is written, and does not expire."""
    return home_fernet(settings).encrypt(text.encode()).decode("ascii")


def unseal_text(settings: Settings, sealed: str) -> str | None:
    """The text; None where the secret is another."""
    try:
        return home_fernet(settings).decrypt(sealed.encode("ascii")).decode()
    except InvalidToken:
        return None


# ---- what a job is pointed at


def seal_arguments(settings: Settings, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a job with everything that names a file or folder of somebody's put away."""
    named = {key: arguments[key] for key in NAMING if arguments.get(key)}
    left = {key: value for key, value in arguments.items() if key not in named}
    return {**left, "given": len(arguments.get("paths") or ()), "sealed": seal(settings, named)}


def unseal_arguments(settings: Settings, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as they were given; those that were never sealed as they are.

    Raises:
        InvalidInput: what was sealed has expired.
    """
    if "sealed" not in arguments:
        return dict(arguments)
    named = unseal(settings, str(arguments["sealed"]))
    if named is None:
        raise InvalidInput(
            f"Original paths are kept for {settings.paths_keep_days:g} days only; start the import anew. "
            f"Received: an older job"
        )
    return {**{key: value for key, value in arguments.items() if key not in ("sealed", "given")}, **named}


def unnamed(sentence: str, arguments: Mapping[str, Any]) -> str:
    """A sentence that a job's row will keep, without the paths and patterns that the job was given."""
    said = [arguments[key] for key in NAMING if arguments.get(key)]
    words = [str(word) for one in said for word in ([one] if isinstance(one, str) else one)]
    for word in sorted(words, key=len, reverse=True):
        if len(word) >= SHORTEST_NAME:
            sentence = sentence.replace(word, "what was given")
    return sentence


# ---- what a job's report calls the files


def keep_paths(settings: Settings, job: int, paths: Mapping[str, str]) -> None:
    """Remember which path each token of a job stands for."""
    seal(settings, dict(paths), f"job-{job}")


def read_paths(settings: Settings, job: int) -> dict[str, str]:
    """{token: path} of a job; empty once that has expired."""
    return dict(unseal(settings, f"job-{job}") or {})


def changed_at(settings: Settings, job: int) -> int | None:
    """When the paths of a job were last kept, in nanoseconds; None once they have expired."""
    try:
        return _path(settings, f"job-{job}").stat().st_mtime_ns
    except FileNotFoundError:
        return None


def _path(settings: Settings, name: str) -> Path:
    if not name or not set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-"):
        raise InvalidInput(f"No sealed file has such a name. Received: {name[:40]!r}")
    return settings.home / "imports" / f"{name}{SUFFIX}"


def home_fernet(settings: Settings, purpose: bytes = b"sealed paths") -> Fernet:
    """Encryption by the home's secret; each purpose has a key of its own."""
    digest = hmac.new(load_secret(settings), purpose, hashlib.sha256).digest()
    return Fernet(base64.urlsafe_b64encode(digest))
