"""From a pseudonym back to the patient's number: only where an administrator has turned it on, with a passphrase.

Imports add to it without the passphrase, by a public key; reading takes the private one, which lies encrypted with
the passphrase. All of it is in the home's folder `crosswalk`, outside the database and its backups.
"""

import base64
import hashlib
import json
import os
import secrets
import shutil
import sqlite3
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.errors import Conflict, InvalidInput, NotFound
from core.people.roles import demand_of
from core.projects.records import Project, set_deidentification
from core.settings import Settings
from core.store.audit import Actor, add_audit
from core.store.database import writing
from core.store.files import write_whole

SHORTEST_PASSPHRASE = 12
SCRYPT = {"n": 1 << 15, "r": 8, "p": 1}  # 32 MB and a tenth of a second a try
SCRYPT_MEMORY = 128 << 20


@dataclass(frozen=True)
class _Key:
    """What stands in `key.json`: the private key as a Fernet token under scrypt of the passphrase."""

    public: str
    private: str
    salt: str
    n: int
    r: int
    p: int


def turn_on(
    connection: sqlite3.Connection, settings: Settings, project: Project, passphrase: str, actor: Actor
) -> Project:
    """Keep, from the next import on, whose pseudonym is whose.

    Raises:
        NotAllowed: the actor does not administer this Readroom.
        InvalidInput: the passphrase is too short.
        Conflict: it is on already.
    """
    demand_of(connection, actor, "administer", None)
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise InvalidInput(
            f"A passphrase has at least {SHORTEST_PASSPHRASE} characters. Received: {len(passphrase)} characters"
        )
    folder = _folder(settings, project.id)
    if (folder / "key.json").exists():
        raise Conflict(f"The crosswalk is on already; turn it off to begin anew. Received: project {project.id}")
    private, salt = X25519PrivateKey.generate(), secrets.token_bytes(16)
    token = _by_passphrase(passphrase, salt, **SCRYPT).encrypt(private.private_bytes_raw())
    public = base64.b64encode(private.public_key().public_bytes_raw()).decode()
    key = _Key(public, token.decode(), base64.b64encode(salt).decode(), **SCRYPT)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with writing(connection):
        write_whole(folder / "key.json", json.dumps(asdict(key)).encode())
        add_audit(connection, actor, "turn on crosswalk", f"project {project.id}")
        return set_deidentification(connection, project, replace(project.deidentification, crosswalk_key=public), actor)


def turn_off(connection: sqlite3.Connection, settings: Settings, project: Project, actor: Actor) -> Project:
    """Forget whose pseudonym is whose, for ever.

    Raises:
        NotAllowed: the actor does not administer this Readroom.
        NotFound: it is not on.
    """
    demand_of(connection, actor, "administer", None)
    folder = _folder(settings, project.id)
    if not folder.exists():
        raise NotFound("crosswalk of project", project.id)
    with writing(connection):
        add_audit(connection, actor, "turn off crosswalk", f"project {project.id}")
        after = set_deidentification(connection, project, replace(project.deidentification, crosswalk_key=""), actor)
    shutil.rmtree(folder)
    return after


def sealed_entry(public_key: str, pseudonym: str, original: str) -> str:
    """A line for the crosswalk that only the holder of the passphrase can read."""
    once = X25519PrivateKey.generate()
    shared = once.exchange(X25519PublicKey.from_public_bytes(base64.b64decode(public_key)))
    token = _by_exchange(shared).encrypt(original.encode())
    with_key = base64.b64encode(once.public_key().public_bytes_raw()).decode()
    return json.dumps({"pseudonym": pseudonym, "with": with_key, "token": token.decode()})


def note(settings: Settings, project: int, line: str) -> None:
    """Add a sealed entry, unless its pseudonym has one."""
    folder = _folder(settings, project)
    if not (folder / "key.json").exists():  # it was turned off meanwhile
        return
    pseudonym = json.loads(line)["pseudonym"]
    path = folder / "entries.jsonl"
    if path.exists() and _find(path, pseudonym) is not None:
        return
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(line.encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())


def show(
    connection: sqlite3.Connection, settings: Settings, project: Project, pseudonym: str, passphrase: str, actor: Actor
) -> str:
    """The patient's number behind a pseudonym. Who asked for which is written into the audit before the answer.

    Raises:
        NotAllowed: the actor does not administer this Readroom.
        NotFound: the crosswalk is not on, or has no such pseudonym.
        InvalidInput: the passphrase is another.
    """
    demand_of(connection, actor, "administer", None)
    folder = _folder(settings, project.id)
    if not (folder / "key.json").exists():
        raise NotFound("crosswalk of project", project.id)
    key = _Key(**json.loads((folder / "key.json").read_text("utf-8")))
    add_audit(connection, actor, "ask crosswalk", f"project {project.id}", pseudonym=pseudonym)
    try:
        fernet = _by_passphrase(passphrase, base64.b64decode(key.salt), n=key.n, r=key.r, p=key.p)
        private = X25519PrivateKey.from_private_bytes(fernet.decrypt(key.private.encode()))
    except InvalidToken as error:
        raise InvalidInput("This is not the passphrase of the crosswalk. Received: another one") from error
    path = folder / "entries.jsonl"
    entry = _find(path, pseudonym) if path.exists() else None
    if entry is None:
        raise NotFound("pseudonym in the crosswalk", pseudonym)
    shared = private.exchange(X25519PublicKey.from_public_bytes(base64.b64decode(entry["with"])))
    return _by_exchange(shared).decrypt(entry["token"].encode()).decode()


def forget(settings: Settings, project: int, pseudonyms: frozenset[str] | None = None) -> None:
    """Take patients out who are erased; without names, the whole crosswalk of a project."""
    folder = _folder(settings, project)
    path = folder / "entries.jsonl"
    if pseudonyms is None:
        shutil.rmtree(folder, ignore_errors=True)
    elif path.exists():
        lines = path.read_text("utf-8").splitlines()
        kept = [line for line in lines if json.loads(line)["pseudonym"] not in pseudonyms]
        write_whole(path, "".join(f"{line}\n" for line in kept).encode())


def _find(path: Path, pseudonym: str) -> dict[str, str] | None:
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            if pseudonym in line:
                entry: dict[str, str] = json.loads(line)
                if entry["pseudonym"] == pseudonym:
                    return entry
    return None


def _folder(settings: Settings, project: int) -> Path:
    return settings.home / "crosswalk" / str(project)


def _by_passphrase(passphrase: str, salt: bytes, *, n: int, r: int, p: int) -> Fernet:
    key = hashlib.scrypt(passphrase.encode(), salt=salt, n=n, r=r, p=p, maxmem=SCRYPT_MEMORY, dklen=32)
    return Fernet(base64.urlsafe_b64encode(key))


def _by_exchange(shared: bytes) -> Fernet:
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"readroom crosswalk").derive(shared)
    return Fernet(base64.urlsafe_b64encode(key))
