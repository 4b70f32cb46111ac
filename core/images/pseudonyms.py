"""Names that stand for patients: the same patient has the same one in this home, and nobody can compute it back."""

import hashlib
import hmac
import os
import re
import secrets
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache

from core.errors import CoreError
from core.images.names import name_parts
from core.settings import Settings

SECRET_BYTES = 32
# Endings say what a file is and nobody's name; any other may be the last part of a number or a name.
USUAL_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm", ".dicom", ".ima", ".nii", ".nii.gz", ".nrrd",
                 ".nhdr", ".mha", ".mhd", ".zip", ".csv", ".txt", ".json", ".xml")  # fmt: skip
TOKEN_PATH = re.compile(r"/?(F[0-9a-f]{16}(\.[a-z]{2,5}(\.gz)?)?/?)+")
PSEUDONYM = re.compile(r"P[0-9a-f]{16}")
DAYS_AT_LEAST, DAYS_AT_MOST = 365, 3650


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


def patient_name(secret: bytes, said: str) -> str:
    """The pseudonym of a patient as a label table or a file's name tells them; the same as from a DICOM header.

    A pseudonym stays what it is: a table that was exported here comes back unchanged.
    """
    text = said.strip()
    return text if PSEUDONYM.fullmatch(text) else pseudonym(secret, f"patient /{text}")


def pseudonymous_uid(secret: bytes, uid: str) -> str:
    """A UID in the root 2.25 (PS3.5 section B.2) that stands for another, always the same one."""
    digest = hmac.new(secret, f"uid {uid.strip()}".encode(), hashlib.sha256).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def days_of(secret: bytes, patient: str) -> int:
    """By how many days the dates of a patient are moved back: one to ten years, the same at every import."""
    digest = hmac.new(secret, f"days {patient}".encode(), hashlib.sha256).digest()
    return -(DAYS_AT_LEAST + int.from_bytes(digest[:8], "big") % (DAYS_AT_MOST - DAYS_AT_LEAST))


def path_token(secret: bytes, path: str) -> str:
    """A path with a token in place of each name: `F` and 16 hex digits, and the ending where it is a usual one.

    Names of files and folders name patients. What is a token already stays what it is.
    """
    plain = unicodedata.normalize("NFC", path.replace("\\", "/"))  # macOS writes accents as two characters
    return "/".join(part if part in ("", ".", "..") else _part_token(secret, part) for part in plain.split("/"))


def named(text: str, paths: Mapping[str, str]) -> str:
    """A sentence with the paths in place of their tokens."""
    return TOKEN_PATH.sub(lambda found: paths.get(found[0], found[0]), text)


@lru_cache(maxsize=4096)
def _part_token(secret: bytes, part: str) -> str:
    """Remembered, as the folders of a file are those of the next."""
    if TOKEN_PATH.fullmatch(part):
        return part
    stem, ending = name_parts(part)
    if ending.lower() not in USUAL_ENDINGS:
        stem, ending = part, ""
    digest = hmac.digest(secret, f"path {stem}".encode("utf-8", "surrogateescape"), "sha256").hex()
    return f"F{digest[:16]}{ending.lower()}"
