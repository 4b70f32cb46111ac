"""Names that stand for patients: the same patient has the same one in this home, and nobody can compute it back."""

import hashlib
import hmac
import os
import secrets
from contextlib import suppress

from core.errors import CoreError
from core.settings import Settings

SECRET_BYTES = 32


def load_secret(settings: Settings) -> bytes:
    """The home's secret, made on first need. Whoever has it can test guesses, so only the owner may read it."""
    path = settings.home / "secret.key"
    if not path.exists():
        part = path.with_name(f"secret.{os.getpid()}.{secrets.token_hex(4)}.part")
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(secrets.token_bytes(SECRET_BYTES))
                stream.flush()
                os.fsync(stream.fileno())
            with suppress(FileExistsError):  # another process made it just now, and a link never replaces
                os.link(part, path)
        finally:
            part.unlink()
    secret = path.read_bytes()
    if len(secret) != SECRET_BYTES:
        raise CoreError(f"{path} was altered; restore it from a backup. Received: {len(secret)} bytes")
    return secret


def pseudonym(secret: bytes, text: str) -> str:
    """`P` and 16 hex digits: an HMAC-SHA256, cut to 64 bits."""
    return "P" + hmac.new(secret, text.encode("utf-8"), hashlib.sha256).hexdigest()[:16]
