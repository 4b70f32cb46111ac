"""Files on their way in: whole, inside their folder, within the limits."""

import errno
import os
import sqlite3
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import pytest
from starlette.testclient import TestClient

from core.errors import InvalidInput, NotAllowed, NotFound
from core.jobs import abandoned
from core.jobs.records import add_job, request_stop
from core.people.accounts import User
from core.settings import Settings
from core.store.audit import Actor
from dashboard.routes import uploads
from dashboard.routes.uploads import safe_path

PATH = "/api/v1/uploads"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, max_upload_bytes=1000, max_unpacked_files=3)


@pytest.fixture
def token(client: TestClient) -> str:
    answer = client.post(PATH)
    assert answer.status_code == 201
    return str(answer.json()["upload"])


def folder(settings: Settings, token: str) -> Path:
    return settings.home / "uploads" / token / "files"


def test_a_folder_arrives_with_its_paths(client: TestClient, settings: Settings, token: str) -> None:
    for name, content in (("a.png", b"one"), ("deep/er/ü b.png", b"two")):
        answer = client.put(f"{PATH}/{token}/{name}", content=content)
        assert (answer.status_code, answer.json()) == (200, {"size": 3})
    assert (folder(settings, token) / "deep/er/ü b.png").read_bytes() == b"two"


def test_a_path_arrives_in_a_header_so_that_no_address_names_a_file(
    client: TestClient, settings: Settings, token: str
) -> None:
    headers = {"Readroom-Path": "deep%2F%C3%BC%20b.png"}
    assert client.put(f"{PATH}/{token}?offset=0", content=b"two", headers=headers).status_code == 200
    assert (folder(settings, token) / "deep/ü b.png").read_bytes() == b"two"
    escape = {"Readroom-Path": "..%2F..%2Fsecret.key"}
    assert client.put(f"{PATH}/{token}?offset=0", content=b"x", headers=escape).status_code == 422
    assert client.put(f"{PATH}/{token}?offset=0", content=b"x").status_code == 422


def test_a_file_arrives_in_pieces_and_goes_on_where_it_was_cut_off(
    client: TestClient, settings: Settings, token: str
) -> None:
    assert client.put(f"{PATH}/{token}/a.zip", content=b"12345").status_code == 200
    late = client.put(f"{PATH}/{token}/a.zip?offset=9", content=b"0")
    assert (late.status_code, late.json()["size"]) == (409, 5)
    assert client.put(f"{PATH}/{token}/a.zip?offset=3", content=b"45").status_code == 409
    assert client.put(f"{PATH}/{token}/a.zip?offset=5", content=b"6789").json() == {"size": 9}
    assert (folder(settings, token) / "a.zip").read_bytes() == b"123456789"


def test_a_file_that_is_sent_anew_replaces_the_first_and_counts_once(
    client: TestClient, settings: Settings, token: str
) -> None:
    for _ in range(5):
        assert client.put(f"{PATH}/{token}/a.png", content=b"x" * 600).status_code == 200
    assert (folder(settings, token) / "a.png").stat().st_size == 600


def test_more_than_the_limit_is_refused(client: TestClient, token: str) -> None:
    answer = client.put(f"{PATH}/{token}/a.png", content=b"x" * 1001)
    assert answer.status_code == 413
    assert "path on the server" in answer.json()["reason"]


def test_more_files_than_the_limit_are_refused(client: TestClient, token: str) -> None:
    statuses = [client.put(f"{PATH}/{token}/{number}.png", content=b"x").status_code for number in range(4)]
    assert statuses == [200, 200, 200, 413]


@pytest.mark.parametrize("query", ["offset=-1", "offset=x", "offset=%C2%B2"])
def test_an_offset_is_a_number(client: TestClient, token: str, query: str) -> None:
    assert client.put(f"{PATH}/{token}/a.png?{query}", content=b"x").status_code == 422


def test_a_file_cannot_be_a_folder_too(client: TestClient, token: str) -> None:
    assert client.put(f"{PATH}/{token}/a", content=b"x").status_code == 200
    assert client.put(f"{PATH}/{token}/a/b", content=b"x").status_code == 422


@pytest.mark.parametrize(
    "path",
    ["..", "../a", "a/../../b", ".", "", "/", "C:/a", "a\0b", "a\nb", "x" * 300, "/".join("a" * 40)],
    ids=repr,
)
def test_no_path_leads_out_of_its_folder(path: str) -> None:
    with pytest.raises(InvalidInput):
        safe_path(path)


@pytest.mark.parametrize(("given", "kept"), [("/etc/passwd", "etc/passwd"), ("a\\b", "a/b"), ("a//b", "a/b")])
def test_a_path_stays_inside(given: str, kept: str) -> None:
    assert safe_path(given).as_posix() == kept


def test_an_unknown_upload_is_404(client: TestClient) -> None:
    assert client.put(f"{PATH}/nonsense/a.png", content=b"x").status_code == 404
    assert client.put(f"{PATH}/..%2F..%2Fx/a.png", content=b"x").status_code == 404


def test_nobody_adds_to_anothers_upload(settings: Settings) -> None:
    held = uploads.Uploads(settings)
    upload = held.begin(User(1, "anna", "person", "reader"))
    with pytest.raises(NotAllowed):
        held.get(upload.token, User(2, "ben", "person", "reader"))


def test_an_upload_can_be_thrown_away(client: TestClient, settings: Settings, token: str) -> None:
    client.put(f"{PATH}/{token}/a.png", content=b"x")
    assert client.delete(f"{PATH}/{token}").status_code == 204
    assert not folder(settings, token).parent.exists()
    assert client.put(f"{PATH}/{token}/a.png", content=b"x").status_code == 404


def test_what_nobody_imported_is_removed_after_two_days(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    held = uploads.Uploads(settings)
    upload = held.begin(User(1, "anna", "person", "reader"))
    held.remove_abandoned()
    assert upload.folder.exists()
    monkeypatch.setattr(abandoned, "ABANDONED_SECONDS", -1)
    held.remove_abandoned()
    assert not upload.folder.exists()


def test_an_upload_that_is_still_being_sent_is_not_abandoned_however_long_ago_it_began(
    client: TestClient, settings: Settings, token: str
) -> None:
    os.utime(folder(settings, token).parent, (0, 0))
    assert client.put(f"{PATH}/{token}/a.png", content=b"x").status_code == 200
    assert client.post(PATH).status_code == 201  # looks for abandoned ones
    assert client.put(f"{PATH}/{token}/b.png", content=b"x").status_code == 200


def test_what_an_import_still_reads_is_never_abandoned(
    settings: Settings, connection: sqlite3.Connection, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = uploads.Uploads(settings)
    images, table = (held.begin(User(1, "anna", "person", "reader")).folder for _ in range(2))
    given = {"remove_after": str(images.parent), "labels": str(table.parent / "labels.csv")}
    job = add_job(connection, "import", given, actor=actor)
    monkeypatch.setattr(abandoned, "ABANDONED_SECONDS", -1)
    held.remove_abandoned()
    assert (images.exists(), table.exists()) == (True, True)
    request_stop(connection, job.id, actor)
    held.begin(User(1, "anna", "person", "reader"))
    assert (images.exists(), table.exists()) == (False, False)


class FullDisk:
    """A file on a disk without room."""

    def write(self, content: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        pass


@pytest.mark.parametrize("step", ["open", "write"])
def test_a_full_disk_is_said_and_the_piece_can_be_sent_again(
    client: TestClient, token: str, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    with monkeypatch.context() as patch:
        disk = FullDisk()
        patch.setattr(Path, "open", lambda *_: disk.write(b"") if step == "open" else disk)
        answer = client.put(f"{PATH}/{token}/a.png", content=b"one")
    assert answer.status_code == 503
    assert "full; make room" in answer.json()["reason"]
    assert client.put(f"{PATH}/{token}/a.png", content=b"one").json() == {"size": 3}


def test_two_pieces_of_one_file_never_arrive_at_once(
    client: TestClient, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sent again after a cut: both would take the first one's size off what this upload may hold."""
    address, early, real = f"{PATH}/{token}/a.png?offset=0", list[Any](), uploads.Uploads.append
    client.put(address, content=b"x" * 900)

    def append(self: uploads.Uploads, upload: uploads.Upload, target: Path, offset: int) -> IO[bytes]:
        if not early:
            early.append(None)
            early[0] = client.put(address, content=b"x" * 900)
        return real(self, upload, target, offset)

    monkeypatch.setattr(uploads.Uploads, "append", append)
    assert client.put(address, content=b"x" * 900).status_code == 200
    assert (early[0].status_code, early[0].json()["size"], early[0].headers["retry-after"]) == (409, 900, "1")
    assert client.put(f"{PATH}/{token}/b.png", content=b"x" * 101).status_code == 413


def test_an_upload_goes_on_after_the_process_was_started_anew(
    client: TestClient, settings: Settings, token: str
) -> None:
    client.put(f"{PATH}/{token}/a/x.png?offset=0", content=b"12345")
    assert client.get(f"{PATH}/{token}").json() == {"files": {"a/x.png": 5}}
    after = uploads.Uploads(settings)
    found = after.get(token, User(1, "anna", "person", "reader"))
    assert (after.list_sizes(found), found.stored_bytes) == ({"a/x.png": 5}, 5), "what came before counts"
    with pytest.raises(NotAllowed):
        after.get(token, User(2, "ben", "person", "reader"))
    with pytest.raises(NotFound):
        uploads.Uploads(settings).get("../" + token, User(1, "anna", "person", "reader"))


def test_what_the_server_has_no_room_for_is_refused_before_a_byte_is_sent(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.post(PATH, json={"bytes": 999}).status_code == 201
    refused = client.post(PATH, json={"bytes": 1001})
    assert (refused.status_code, "in parts" in refused.json()["reason"]) == (413, True)
    monkeypatch.setattr("dashboard.routes.uploads.shutil.disk_usage", lambda _: SimpleNamespace(free=5))
    refused = client.post(PATH, json={"bytes": 900})
    assert (refused.status_code, "no room" in refused.json()["reason"]) == (413, True)
    assert client.post(PATH, content=b"[1]").status_code == 422
