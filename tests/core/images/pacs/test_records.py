"""Which PACS are known: checked when they are added, and their passwords are nowhere but in one private file."""

import sqlite3
import stat
from collections.abc import Callable

import pytest

from core.errors import Conflict, InvalidInput, NotAllowed, NotFound
from core.images.pacs.credentials import FILE, Credentials, find_credentials, variable_of
from core.images.pacs.questions import Question, Study, check_uid
from core.images.pacs.records import (
    NewPacs,
    Pacs,
    add_pacs,
    change_credentials,
    check_pacs,
    get_pacs,
    list_pacs,
    remove_pacs,
)
from core.people.accounts import ensure_user
from core.settings import Settings
from core.store.audit import Actor, list_audit

WEB = NewPacs("Ward 7", "dicomweb", "https://pacs.example/dicom-web")
DIMSE = NewPacs("Old", "dimse", "pacs.example:104", "PACS", "READROOM")
BEN = Credentials("ben", "a secret word")
Add = Callable[..., Pacs]


@pytest.fixture
def add(connection: sqlite3.Connection, settings: Settings, actor: Actor) -> Add:
    return lambda new=WEB, credentials=BEN: add_pacs(connection, settings, new, credentials, actor)


def test_it_is_found_by_name_and_number(
    connection: sqlite3.Connection, settings: Settings, actor: Actor, add: Add
) -> None:
    made, other = add(), add(DIMSE, None)
    assert get_pacs(connection, "Ward 7") == get_pacs(connection, made.id) == made
    assert list_pacs(connection) == [other, made]
    assert other.host_and_port == ("pacs.example", 104)
    assert (made.way, other.way) == ("DICOMweb", "DIMSE")
    secure = add(NewPacs("New", "dimse", "dicom-tls://pacs.example:2762", "PACS"), None)
    assert (secure.way, secure.host_and_port) == ("DIMSE over TLS", ("pacs.example", 2762))
    remove_pacs(connection, settings, secure, actor)
    with pytest.raises(NotFound, match="There is no PACS Nowhere"):
        get_pacs(connection, "Nowhere")
    with pytest.raises(Conflict, match="of this name"):
        add()


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (NewPacs("", "dicomweb", "https://a"), "Name the PACS"),
        (NewPacs("W", "dicomweb", "pacs.example"), "such as https://"),
        (NewPacs("W", "dicomweb", "ftp://pacs.example"), "such as https://"),
        (NewPacs("W", "dicomweb", "https://pacs.example/?q=1"), "such as https://"),
        (NewPacs("W", "dicomweb", "https://[pacs"), "such as https://"),
        (NewPacs("W", "dicomweb", "https://ben:word@pacs.example"), "fields of their own"),
        (NewPacs("W", "dicomweb", "https://a", authority="/nowhere.pem"), "PEM file"),
        (NewPacs("W", "dimse", "pacs.example", "PACS"), "host and port"),
        (NewPacs("W", "dimse", "pacs.example:99999", "PACS"), "host and port"),
        (NewPacs("W", "dimse", "pacs.example:104", ""), "of the PACS has 1 to 16"),
        (NewPacs("W", "dimse", "pacs.example:104", "A\\B"), "of the PACS has 1 to 16"),
        (NewPacs("W", "dimse", "pacs.example:104", "PACS", "SEVENTEEN_LETTERS"), "of this Readroom"),
        (NewPacs("W", "dimse", "pacs.example:104", "PACS", move_port=0), "C-MOVE"),
        (NewPacs("W", "dicomweb", "http://a", authority="/etc/hosts"), "needs an https address"),
        (NewPacs("W", "dimse", "pacs.example:104", "PACS", authority="/etc/hosts"), "needs DIMSE over TLS"),
        (NewPacs("W", "dimse", "dicom-tls://pacs.example:2762", "PACS", authority="/nowhere.pem"), "PEM file"),
        (NewPacs("W", "dimse", "dicom-tls://pacs.example", "PACS"), "host and port"),
        (NewPacs("W", "dimse", "dicom-tls://pacs.example:2762", "PACS", move_port=104), "come by C-GET"),
        (NewPacs("W", "hl7", "pacs.example:104"), "dicomweb or dimse"),  # type: ignore[arg-type]
    ],
)
def test_what_could_not_be_spoken_to_is_refused(new: NewPacs, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        check_pacs(new)
    assert "Received: " in str(caught.value)
    assert "ben" not in str(caught.value)


def test_the_password_is_in_one_private_file_that_does_not_show_it(
    connection: sqlite3.Connection, settings: Settings, add: Add, actor: Actor
) -> None:
    made = add()
    assert find_credentials(settings, made.id, made.name, {}) == BEN
    path = settings.home / FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b"secret word" not in path.read_bytes()
    assert "secret word" not in "\n".join(connection.iterdump())
    assert "secret" not in repr(BEN)
    change_credentials(connection, settings, made, Credentials("eve", "other"), actor)
    assert find_credentials(settings, made.id, made.name, {}) == Credentials("eve", "other")
    (row,) = list_audit(connection, what="change pacs")
    assert row.detail == {"signs_in": True}
    remove_pacs(connection, settings, made, actor)
    assert find_credentials(settings, made.id, made.name, {}) is None
    assert path.read_text() == "{}"


def test_a_number_is_never_given_again(
    connection: sqlite3.Connection, settings: Settings, add: Add, actor: Actor
) -> None:
    made = add()
    remove_pacs(connection, settings, made, actor)
    assert add().id == made.id + 1


def test_the_environment_goes_before_what_is_kept(settings: Settings, add: Add) -> None:
    made = add()
    assert variable_of(made.name) == "READROOM_PACS_WARD_7"
    said = {"READROOM_PACS_WARD_7": "eve:with:colon"}
    assert find_credentials(settings, made.id, made.name, said) == Credentials("eve", "with:colon")
    with pytest.raises(InvalidInput, match="user:password") as caught:
        find_credentials(settings, made.id, made.name, {"READROOM_PACS_WARD_7": "word"})
    assert "word" not in str(caught.value).replace("password", "")


def test_another_secret_asks_for_the_password_anew(settings: Settings, add: Add) -> None:
    made = add()
    (settings.home / "secret.key").write_bytes(b"x" * 32)
    with pytest.raises(InvalidInput, match="enter it again"):
        find_credentials(settings, made.id, made.name, {})


def test_only_an_administrator_makes_one_known(connection: sqlite3.Connection, settings: Settings) -> None:
    ensure_user(connection, "ben")
    with pytest.raises(NotAllowed):
        add_pacs(connection, settings, WEB, BEN, Actor("ben", "screen"))
    assert list_pacs(connection) == []
    assert not (settings.home / FILE).exists()


# ---- questions


def test_a_question_keeps_the_patient_to_itself() -> None:
    assert "4711" not in repr(Question(patient="4711"))
    assert "Doe" not in repr(Study("1.2", patient_name="Doe^Jane", patient="4711", description="Doe"))


@pytest.mark.parametrize(
    "given", [{"modality": "C T\\"}, {"description": "a\\b"}, {"patient": "x" * 65}, {"description": "\n"}]
)
def test_a_question_that_means_something_else_on_the_line_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match="Received: "):
        Question(**given)  # type: ignore[arg-type]


def test_a_uid_is_digits_and_dots() -> None:
    assert check_uid("1.2.840") == "1.2.840"
    for wrong in ("", "1.2/3", "x", "1" * 65, "1.2?limit=1"):
        with pytest.raises(InvalidInput, match="digits and dots"):
            check_uid(wrong)
