"""The table of PACS that studies may be asked from. Who signs in there stands outside the database (`credentials`)."""

import re
import sqlite3
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit

from core.clock import utc_now
from core.errors import Conflict, InvalidInput, NotFound
from core.images.pacs.credentials import Credentials, keep_credentials
from core.people.roles import demand_of
from core.settings import Settings
from core.store.audit import Actor, add_audit
from core.store.database import writing

Protocol = Literal["dicomweb", "dimse"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
PROTOCOL_WORDS = {"dicomweb": "DICOMweb", "dimse": "DIMSE"}
OVER_TLS = "dicom-tls://"  # before the address, as https:// is; by this name IANA lists the port 2762
LONGEST_NAME = 40
OUR_TITLE = "READROOM"
TITLE = re.compile(r"[!-\[\]-~]([ -\[\]-~]{0,14}[!-\[\]-~])?")  # PS3.5 section 6.2, AE, without spaces around it
HOST_AND_PORT = re.compile(r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")
PORTS = range(1, 65536)


@dataclass(frozen=True)
class NewPacs:
    """A server about to be known."""

    name: str
    protocol: Protocol
    address: str  # DICOMweb: the URL above /studies; DIMSE: host:port, over TLS dicom-tls://host:port
    their_title: str = ""  # DIMSE: the AE title of the server,
    our_title: str = OUR_TITLE  # and by which it knows us
    move_port: int | None = None  # DIMSE: studies come by C-MOVE to this port of ours; otherwise by C-GET
    authority: str = ""  # the file of the authority that vouches for the server, beside the usual ones

    @property
    def over_tls(self) -> bool:
        """Whether DIMSE is spoken through TLS."""
        return self.protocol == "dimse" and self.address.startswith(OVER_TLS)

    @property
    def place(self) -> str:
        """The address without the word that says that it is over TLS."""
        return self.address.removeprefix(OVER_TLS) if self.protocol == "dimse" else self.address

    @property
    def way(self) -> str:
        """How it is spoken to, in words."""
        return f"{PROTOCOL_WORDS[self.protocol]}{' over TLS' if self.over_tls else ''}"


@dataclass(frozen=True)
class Pacs(NewPacs):
    """A server that is known here."""

    id: int = 0
    made_by: str = ""
    made_at: str = ""

    @property
    def host_and_port(self) -> tuple[str, int]:
        """Where a DIMSE server listens."""
        host, _, port = self.place.rpartition(":")
        return host.strip("[]"), int(port)


def check_pacs(new: NewPacs) -> None:
    """Refuse what could not be spoken to.

    Raises:
        InvalidInput: the sentence says what is wrong.
    """
    if not new.name.strip() or len(new.name) > LONGEST_NAME or not new.name.isprintable():
        raise InvalidInput(f"Name the PACS in at most {LONGEST_NAME} characters. Received: {new.name!r}")
    if new.protocol == "dicomweb":
        _check_url(new.address)
        _check_authority(new, needs="an https address", is_there=new.address.startswith("https:"))
        return
    if new.protocol != "dimse":
        raise InvalidInput(f"A PACS speaks {' or '.join(PROTOCOLS)}. Received: {new.protocol}")
    _check_authority(new, needs="DIMSE over TLS", is_there=new.over_tls)
    found = HOST_AND_PORT.fullmatch(new.place)
    if not found or int(found["port"]) not in PORTS:
        raise InvalidInput(f"Give host and port, such as pacs.example:104. Received: {new.address}")
    for whose, title in (("of the PACS", new.their_title), ("of this Readroom", new.our_title)):
        if not TITLE.fullmatch(title):
            raise InvalidInput(f"The AE title {whose} has 1 to 16 letters, without backslash. Received: {title!r}")
    if new.move_port is not None and new.move_port not in PORTS:
        raise InvalidInput(f"The port for C-MOVE is a number from 1 to 65535. Received: {new.move_port}")
    if new.move_port is not None and new.over_tls:
        raise InvalidInput(
            f"Over TLS studies come by C-GET, through the connection that we open; leave the port for C-MOVE out. "
            f"Received: port {new.move_port}"
        )


def _check_authority(new: NewPacs, *, needs: str, is_there: bool) -> None:
    if new.authority and not is_there:
        raise InvalidInput(f"An authority vouches for a certificate: it needs {needs}. Received: {new.address}")
    if new.authority and not Path(new.authority).is_file():
        raise InvalidInput(f"The authority is a PEM file on this machine. Received: {new.authority}")


def _check_url(address: str) -> None:
    try:
        parts = urlsplit(address)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) in PORTS
    except ValueError:
        fine = False
    if not fine or parts.query or parts.fragment:
        raise InvalidInput(f"Give an address such as https://pacs.example/dicom-web. Received: {address}")
    if parts.username or parts.password:
        # The address is kept in the database and shown; and this sentence is too.
        raise InvalidInput("Leave name and password out of the address; they have fields of their own. Received: both")


def add_pacs(
    connection: sqlite3.Connection, settings: Settings, new: NewPacs, credentials: Credentials | None, actor: Actor
) -> Pacs:
    """Know a server from now on.

    Raises:
        NotAllowed: the actor does not administer this Readroom.
        InvalidInput: it could not be spoken to.
        Conflict: there is one of this name.
    """
    check_pacs(new)
    row = {**asdict(new), "name": new.name.strip(), "made_by": actor.name, "made_at": utc_now()}
    with writing(connection):
        demand_of(connection, actor, "administer", None)
        if find_pacs(connection, row["name"]):
            raise Conflict(f"There is a PACS of this name already; choose another. Received: {row['name']}")
        cursor = connection.execute(
            f"INSERT INTO pacs ({', '.join(row)}) VALUES ({', '.join(':' + key for key in row)})", row
        )
        made = get_pacs(connection, int(cursor.lastrowid or 0))
        keep_credentials(settings, made.id, credentials)
        add_audit(connection, actor, "add pacs", f"pacs {made.id}", name=made.name, protocol=made.protocol,
                  address=made.address, signs_in=credentials is not None)  # fmt: skip
        return made


def change_credentials(
    connection: sqlite3.Connection, settings: Settings, pacs: Pacs, credentials: Credentials | None, actor: Actor
) -> None:
    """Sign in to a server as somebody else, or as nobody.

    Raises:
        NotAllowed: the actor does not administer this Readroom.
    """
    with writing(connection):
        demand_of(connection, actor, "administer", None)
        keep_credentials(settings, pacs.id, credentials)
        add_audit(connection, actor, "change pacs", f"pacs {pacs.id}", signs_in=credentials is not None)


def remove_pacs(connection: sqlite3.Connection, settings: Settings, pacs: Pacs, actor: Actor) -> None:
    """Forget a server and who signs in there; what came from it stays.

    Raises:
        NotAllowed: the actor does not administer this Readroom.
    """
    with writing(connection):
        demand_of(connection, actor, "administer", None)
        connection.execute("DELETE FROM pacs WHERE id = ?", (pacs.id,))
        keep_credentials(settings, pacs.id, None)
        add_audit(connection, actor, "remove pacs", f"pacs {pacs.id}", name=pacs.name)


def get_pacs(connection: sqlite3.Connection, name_or_id: str | int) -> Pacs:
    """A server by its name or number.

    Raises:
        NotFound: there is none.
    """
    found = find_pacs(connection, name_or_id)
    if found is None:
        raise NotFound("PACS", name_or_id)
    return found


def find_pacs(connection: sqlite3.Connection, name_or_id: str | int) -> Pacs | None:
    """A server by its name or number, or None."""
    column = "id" if isinstance(name_or_id, int) else "name"
    row = connection.execute(f"SELECT * FROM pacs WHERE {column} = ?", (name_or_id,)).fetchone()
    return Pacs(**dict(row)) if row else None


def list_pacs(connection: sqlite3.Connection) -> list[Pacs]:
    """All servers by name."""
    return [Pacs(**dict(row)) for row in connection.execute("SELECT * FROM pacs ORDER BY name")]
