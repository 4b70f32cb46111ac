"""Whole masks out and in, and who may see whose."""

import base64
import io
import sqlite3

import numpy as np
import pytest
from starlette.testclient import TestClient

from core.images.records import Case
from core.labels.masks import compose_mask, put_mask
from core.labels.records import NewLabel, add_label, new_event
from core.labels.runs import encode_runs
from core.people.accounts import User
from core.people.members import set_member
from core.people.sessions import issue_token, redeem_token
from core.projects.records import Project, change_project
from core.store.audit import Actor
from core.store.files import array_bytes
from tests.dashboard.conftest import COOKIE

ANNA = Actor("anna", "screen")


@pytest.fixture
def path(volume: Case) -> str:
    return f"/api/v1/cases/{volume.id}/masks/liver"


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, (3, 4, 5), np.uint8)


def sign_in(client: TestClient, connection: sqlite3.Connection, user: User) -> None:
    client.cookies.clear()
    client.cookies.set(COOKIE, redeem_token(connection, issue_token(connection, user), hours=1))


@pytest.mark.parametrize("dtype", [np.uint8, np.bool_])
def test_an_array_that_is_put_is_got_bit_for_bit(client: TestClient, path: str, dtype: type) -> None:
    mask = noise()
    receipt = client.put(path, content=array_bytes(mask.astype(dtype)))
    assert receipt.status_code == 200
    got = client.get(path, params={"format": "npy"})
    assert got.headers["content-type"] == "application/octet-stream"
    assert got.headers["cache-control"] == "no-store"
    assert got.headers["content-encoding"] == "identity"
    array = np.load(io.BytesIO(got.content))
    assert (array.dtype, array.tobytes()) == (np.uint8, mask.tobytes())
    assert client.get(path, headers={"accept": "application/octet-stream"}).content == got.content
    told = client.get(path).json()
    assert {key: told[key] for key in ("rows", "columns", "frames_total", "reader", "edit")} == {
        "rows": 4, "columns": 5, "frames_total": 3, "reader": "anna", "edit": receipt.json()["edit"],
    }  # fmt: skip


def test_nothing_painted_is_no_frames_and_an_array_of_zeros(client: TestClient, path: str) -> None:
    assert client.get(path).json()["frames"] == {}
    assert not np.load(io.BytesIO(client.get(path, params={"format": "npy"}).content)).any()


def test_an_unchanged_mask_is_not_sent_again(client: TestClient, path: str) -> None:
    client.put(path, content=array_bytes(noise()))
    etag = client.get(path).headers["etag"]
    assert client.get(path, headers={"if-none-match": etag}).status_code == 304
    client.put(path, content=array_bytes(noise(1)))
    assert client.get(path, headers={"if-none-match": etag}).status_code == 200


def test_a_put_that_is_sent_twice_is_one_edit(client: TestClient, path: str, connection: sqlite3.Connection) -> None:
    first, second = (client.put(path, params={"event": "e1"}, content=array_bytes(noise())).json() for _ in range(2))
    assert first == second
    assert client.put(path, params={"event": "e1"}, content=array_bytes(noise(1))).status_code == 409
    assert connection.execute("SELECT count(*) FROM mask_edits").fetchone()[0] == 1


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (array_bytes(np.zeros((3, 4, 6), np.uint8)), "has the size (3, 4, 5). Received: (3, 4, 6)"),
        (array_bytes(np.zeros((4, 5), np.uint8)), "has the size (3, 4, 5)"),
        (array_bytes(np.zeros((3, 4, 5), np.float32)), "uint8 or bool. Received: float32"),
        (array_bytes(np.full((3, 4, 5), 2, np.uint8)), "0 and 1"),
        (b"", ".npy file"),
        (b"not an array", ".npy file"),
        (array_bytes(noise())[:-1], ".npy file"),
        (array_bytes(noise()) + b"x", "ends with its array"),
        (array_bytes(np.array([{}], object).astype(str)), "uint8 or bool"),
        (b"\x93NUMPY\x01\x00v\x00{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999, 9), }", ".npy file"),
    ],
)
def test_a_body_that_is_no_mask_of_this_case_is_refused_and_nothing_stored(
    client: TestClient, path: str, connection: sqlite3.Connection, body: bytes, sentence: str
) -> None:
    answer = client.put(path, content=body)
    assert answer.status_code == 422
    assert sentence in answer.json()["reason"]
    assert connection.execute("SELECT count(*) FROM mask_edits").fetchone()[0] == 0


def test_a_pickle_is_never_opened(client: TestClient, path: str) -> None:
    stream = io.BytesIO()
    np.save(stream, np.array([print], object), allow_pickle=True)
    assert client.put(path, content=stream.getvalue()).status_code == 422


@pytest.mark.parametrize("structure", ["spleen", "%2e%2e", "x" * 5000])
def test_an_unknown_structure_is_not_found_and_cannot_be_painted(
    client: TestClient, volume: Case, structure: str
) -> None:
    path = f"/api/v1/cases/{volume.id}/masks/{structure}"
    assert client.get(path).status_code == 404
    assert client.put(path, content=array_bytes(noise())).status_code in (404, 422)
    assert client.get("/api/v1/cases/999/masks/liver").status_code == 404
    assert client.get(f"/api/v1/cases/{volume.id}/masks/liver", params={"format": "dcm"}).status_code == 422


def test_a_reader_who_is_to_answer_first_sees_nobody_else_s_masks_or_marks(
    stranger: TestClient, connection: sqlite3.Connection, volume: Case, path: str, painted: Project, ben: User
) -> None:
    put_mask(connection, volume, "liver", noise(), ANNA, event=new_event())
    set_member(connection, painted.id, "ben", "reader", actor=ANNA)
    sign_in(stranger, connection, ben)
    case = f"/api/v1/cases/{volume.id}"
    assert stranger.get(path, params={"reader": "anna"}).status_code == 200  # not blind: everybody's are open
    assert stranger.get(case).json()["others"][0]["masks"] == ["liver"]
    change_project(
        connection, painted, description="", intended_use="", digit_advances=True, blind_first=True, actor=ANNA
    )
    for address in (path, f"{case}/marks"):
        answer = stranger.get(address, params={"reader": "anna"})
        assert answer.status_code == 403
        assert "readers answer first" in answer.json()["reason"]
        assert stranger.get(address).status_code == 200
    assert stranger.get(path).json()["frames"] == {}
    assert stranger.get(case).json()["others"] == []
    answered = NewLabel(new_event(), volume.id, "ben", {"structures": []})
    add_label(connection, answered, Actor("ben", "screen"))
    told = stranger.get(path, params={"reader": "anna"}).json()
    assert len(told["frames"]) == 3
    assert stranger.get(case).json()["others"][0]["reader"] == "anna"


def test_whose_mask_is_the_reference_is_told(
    stranger: TestClient, connection: sqlite3.Connection, volume: Case, painted: Project, ben: User
) -> None:
    put_mask(connection, volume, "liver", noise(), ANNA, event=new_event())
    set_member(connection, painted.id, "ben", "reader", actor=ANNA)
    sign_in(stranger, connection, ben)

    def told() -> bool:
        return bool(stranger.get(f"/api/v1/cases/{volume.id}").json()["others"][0]["is_reference"])

    assert not told()  # painted, but she has not said that she is done
    add_label(connection, NewLabel(new_event(), volume.id, "anna", {"structures": ["liver"]}), ANNA)
    assert told()


def test_nobody_puts_a_mask_in_another_s_name_without_being_allowed_to(
    stranger: TestClient, connection: sqlite3.Connection, volume: Case, path: str, painted: Project, ben: User
) -> None:
    set_member(connection, painted.id, "ben", "reader", actor=ANNA)
    sign_in(stranger, connection, ben)
    body = array_bytes(noise())
    assert stranger.put(path, params={"reader": "anna"}, content=body).status_code == 403
    assert stranger.put(path, content=body).status_code == 200
    set_member(connection, painted.id, "ben", "reviewer", actor=ANNA)
    assert stranger.put(path, params={"reader": "anna"}, content=body).status_code == 200
    assert (compose_mask(connection, volume, "anna", "liver") == noise()).all()
    row = connection.execute("SELECT entered_by FROM mask_edits ORDER BY id DESC").fetchone()
    assert row["entered_by"] == "ben"
    assert stranger.put(path, params={"reader": "nobody"}, content=body).status_code == 404


def test_the_frames_of_the_browser_and_the_array_are_one_mask(client: TestClient, path: str, volume: Case) -> None:
    mask = noise(3)
    client.put(path, content=array_bytes(mask))
    frames = client.get(path).json()["frames"]
    assert {key: base64.b64decode(runs) for key, runs in frames.items()} == {
        str(at): encode_runs(mask[at]) for at in range(3)
    }
