"""Who signs in to which PACS: in a file of the home that only its owner reads, encrypted, never in the database.

Backups do not take it along: after a restore the passwords are entered again.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.fernet import InvalidToken

from core.errors import InvalidInput
from core.images.sealed_paths import home_fernet
from core.settings import Settings
from core.store.files import write_whole

FILE = "pacs.credentials"
PURPOSE = b"pacs credentials"
VARIABLE = "READROOM_PACS_"


@dataclass(frozen=True)
class Credentials:
    """A user of a PACS; the password is in no representation of it."""

    user: str
    password: str = field(repr=False)


def keep_credentials(settings: Settings, pacs_id: int, credentials: Credentials | None) -> None:
    """Put away who signs in to a server, or take it out."""
    path = settings.home / FILE
    kept: dict[str, str] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    before = dict(kept)
    kept.pop(str(pacs_id), None)
    if credentials:
        said = json.dumps([credentials.user, credentials.password])
        kept[str(pacs_id)] = home_fernet(settings, PURPOSE).encrypt(said.encode()).decode()
    if kept != before:
        write_whole(path, json.dumps(kept).encode())


def find_credentials(
    settings: Settings, pacs_id: int, name: str, environ: Mapping[str, str] = os.environ
) -> Credentials | None:
    """Who signs in to a server; None where nobody does. What the environment says goes before what is kept.

    Raises:
        InvalidInput: what is kept cannot be read with this home's secret, or the environment has no `user:password`.
    """
    said = environ.get(variable_of(name))
    if said:
        user, colon, password = said.partition(":")
        if not colon:
            raise InvalidInput(f"{variable_of(name)} reads user:password. Received: a value without a colon")
        return Credentials(user, password)
    path = settings.home / FILE
    kept = json.loads(path.read_text("utf-8")) if path.exists() else {}
    if str(pacs_id) not in kept:
        return None
    try:
        user, password = json.loads(home_fernet(settings, PURPOSE).decrypt(kept[str(pacs_id)].encode()))
    except InvalidToken:
        raise InvalidInput(
            f"The password of {name} cannot be read with the secret of this home; enter it again. Received: {path}"
        ) from None
    return Credentials(user, password)


def variable_of(name: str) -> str:
    """The environment variable in which `user:password` of a server may stand: `READROOM_PACS_WARD_7`."""
    return VARIABLE + re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_")


def find_certificate(name: str, environ: Mapping[str, str] = os.environ) -> str:
    """The file with the certificate and the key that we show to a server over TLS, from the environment: a key is
    never copied into the home. Empty where none is shown.
    """
    return environ.get(f"{variable_of(name)}_CERTIFICATE", "")
