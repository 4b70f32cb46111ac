"""Cases, pixels, thumbnails and maps as the viewer fetches them."""

import io
import json
import os
import sqlite3

import numpy as np
import pytest
from PIL import ExifTags, Image
from starlette.testclient import TestClient

from core.images.records import Case, NewCase, Window, insert_case
from core.images.thumbnails import make_thumbnail
from core.labels.records import NewLabel, add_label, new_event
from core.people.accounts import User, ensure_user
from core.projects.records import Project
from core.store.audit import Actor
from core.store.files import Files, array_bytes


def test_a_case_tells_its_geometry_and_where_its_pixels_are(client: TestClient, case: Case) -> None:
    told = client.get(f"/api/v1/cases/{case.id}").json()
    assert told["pixels"] == f"/api/v1/pixels/{case.pixel_hash}.npy"
    assert told["thumbnail"] == f"/api/v1/thumbnails/{case.pixel_hash}.webp"
    assert told["windows"] == [{"name": "first", "centre": 2000.0, "width": 3000.0}]
    assert (told["rows"], told["columns"], told["spacing_mm"], told["spacing_at"]) == (48, 64, [0.2, 0.1], "detector")
    assert told["my_label"] is None
    assert told["same_patient"] == []


def test_a_curve_is_told_and_seen_in_the_thumbnail(
    client: TestClient, case: Case, connection: sqlite3.Connection, files: Files
) -> None:
    whiter = [[100, 255], [100, 0], [3900, 255]]
    windows = [["NORMAL", 2050, 4100, whiter], ["softer", 2000, 900, "sigmoid"], ["plain", 2000, 900]]
    with connection:
        connection.execute("UPDATE cases SET windows = ? WHERE id = ?", (json.dumps(windows), case.id))
    told = client.get(f"/api/v1/cases/{case.id}").json()["windows"]
    assert told == [
        {"name": "NORMAL", "centre": 2050, "width": 4100, "curve": whiter},
        {"name": "softer", "centre": 2000, "width": 900, "curve": "sigmoid"},
        {"name": "plain", "centre": 2000, "width": 900},
    ]
    files.path("thumbnails", case.pixel_hash).unlink(missing_ok=True)
    answer = client.get(f"/api/v1/thumbnails/{case.pixel_hash}.webp")
    pixels = files.read_array("pixels", case.pixel_hash)
    curved = Window("", 2050, 4100, ((100, 255), (100, 0), (3900, 255)))
    assert answer.content == make_thumbnail(pixels, case.photometric, [curved])
    assert answer.content != make_thumbnail(pixels, case.photometric, [Window("", 2050, 4100)])


def test_a_thumbnail_of_a_drawn_image_that_is_made_anew_is_marked_again(
    client: TestClient, case: Case, connection: sqlite3.Connection, files: Files
) -> None:
    connection.execute("DROP TRIGGER synthetic_stays_synthetic")  # as if it had been drawn
    marks = []
    for synthetic in (None, '{"model": "vae 1", "class": "normal"}'):
        connection.execute("UPDATE cases SET synthetic = ? WHERE id = ?", (synthetic, case.id))
        files.path("thumbnails", case.pixel_hash).unlink(missing_ok=True)
        picture = client.get(f"/api/v1/thumbnails/{case.pixel_hash}.webp").content
        marks.append(Image.open(io.BytesIO(picture)).getexif().get(ExifTags.Base.ImageDescription))
    assert marks == [None, "synthetic: drawn by a model, no patient"]


def test_a_reader_sees_no_label_but_their_own(client: TestClient, case: Case, connection: sqlite3.Connection) -> None:
    ensure_user(connection, "ben", role="admin")
    for reader, name in (("ben", "pneumonia"), ("anna", "normal")):
        new = NewLabel(new_event(), case.id, reader, {"classes": [name]})
        add_label(connection, new, Actor(reader, "screen"))
    told = client.get(f"/api/v1/cases/{case.id}")
    assert told.json()["my_label"]["value"] == {"classes": ["normal"]}
    assert "pneumonia" not in told.text  # that ben has answered is told, since nobody is blind here; what, is not
    assert [one["reader"] for one in told.json()["others"]] == ["ben"]


def test_pixels_arrive_as_they_are_stored_and_are_kept_for_ever(client: TestClient, case: Case, files: Files) -> None:
    answer = client.get(f"/api/v1/pixels/{case.pixel_hash}.npy", headers={"Accept-Encoding": "gzip"})
    assert np.array_equal(np.load(io.BytesIO(answer.content)), files.read_array("pixels", case.pixel_hash))
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert answer.headers["content-encoding"] == "identity"
    assert answer.headers["etag"] == f'"{case.pixel_hash}"'
    again = client.get(f"/api/v1/pixels/{case.pixel_hash}.npy", headers={"If-None-Match": f'"{case.pixel_hash}"'})
    assert (again.status_code, again.content) == (304, b"")


def test_pixels_that_belong_to_no_case_are_not_given_out(client: TestClient, case: Case, files: Files) -> None:
    loose = files.put_array("pixels", np.zeros((3, 3), np.uint8))
    assert client.get(f"/api/v1/pixels/{loose}.npy").status_code == 404


def test_pixels_that_were_altered_on_disk_are_not_given_out(client: TestClient, case: Case, files: Files) -> None:
    files.path("pixels", case.pixel_hash).write_bytes(b"altered")
    answer = client.get(f"/api/v1/pixels/{case.pixel_hash}.npy")
    assert answer.status_code == 500
    assert "backup" in answer.json()["reason"]


def test_a_thumbnail_that_is_missing_is_made(client: TestClient, case: Case, files: Files) -> None:
    assert not files.has("thumbnails", case.pixel_hash)
    answer = client.get(f"/api/v1/thumbnails/{case.pixel_hash}.webp")
    assert answer.headers["content-type"] == "image/webp"
    assert Image.open(io.BytesIO(answer.content)).size == (64, 48)
    assert files.has("thumbnails", case.pixel_hash)
    assert client.get(f"/api/v1/thumbnails/{case.pixel_hash}.webp").content == answer.content


# ---- volumes


@pytest.fixture
def volume(connection: sqlite3.Connection, files: Files, project: Project) -> Case:
    """Nine frames of 6 x 7 pixels."""
    pixels = np.random.default_rng(5).integers(0, 4000, (9, 6, 7)).astype(np.int16)
    new = NewCase(
        project=project.id, source="scan.nii.gz", patient="p", patient_from="none",
        pixel_hash=files.put_array("pixels", pixels), file_hash="0" * 64, perceptual_hash=None,
        frames=9, rows=6, columns=7, channels=1, dtype="int16", photometric="MONOCHROME2", imported_by="anna",
        spacing_mm=(0.5, 0.5), spacing_at="patient", slice_spacing_mm=2.5,
        affine=((0.5, 0, 0, -10), (0, 0.5, 0, -20), (0, 0, 2.5, 30), (0, 0, 0, 1)),
    )  # fmt: skip
    return insert_case(connection, new)


def test_a_volume_tells_how_it_lies_in_the_patient(client: TestClient, volume: Case, case: Case) -> None:
    told = client.get(f"/api/v1/cases/{volume.id}").json()
    assert (told["frames"], told["rows"], told["columns"], told["slice_spacing_mm"]) == (9, 6, 7, 2.5)
    assert told["affine"] == [[0.5, 0, 0, -10], [0, 0.5, 0, -20], [0, 0, 2.5, 30], [0, 0, 0, 1]]
    flat = client.get(f"/api/v1/cases/{case.id}").json()
    assert (flat["frames"], flat["slice_spacing_mm"], flat["affine"]) == (1, None, None)
    assert (told["patient"], flat["patient"]) == (None, case.patient)  # that nobody knows it is no name


@pytest.mark.parametrize(
    ("said", "told"),
    [("R\\F", {"row": "R", "column": "F"}), ("portrait", None), ("L\\R", None), ("", None)],
)
def test_a_projection_tells_where_its_rows_and_columns_lead(
    client: TestClient, case: Case, connection: sqlite3.Connection, said: str, told: dict[str, str] | None
) -> None:
    connection.execute(
        "UPDATE cases SET attributes = json_object('patient_orientation', ?) WHERE id = ?", (said, case.id)
    )
    answer = client.get(f"/api/v1/cases/{case.id}").json()
    assert (answer["affine"], answer["orientation"]) == (None, told)


def test_each_frame_comes_alone_and_is_kept_for_ever(client: TestClient, volume: Case, files: Files) -> None:
    pixels = files.read_array("pixels", volume.pixel_hash)
    address = f"/api/v1/pixels/{volume.pixel_hash}.npy"
    for frame in range(9):
        answer = client.get(address, params={"frame": frame}, headers={"Accept-Encoding": "gzip"})
        assert np.array_equal(np.load(io.BytesIO(answer.content)), pixels[frame])
        assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
        assert answer.headers["content-encoding"] == "identity"
        assert answer.headers["etag"] == f'"{volume.pixel_hash}-{frame}"'
    again = client.get(address, params={"frame": 3}, headers={"If-None-Match": f'"{volume.pixel_hash}-3"'})
    assert (again.status_code, again.content) == (304, b"")
    other = client.get(address, params={"frame": 4}, headers={"If-None-Match": f'"{volume.pixel_hash}-3"'})
    assert other.status_code == 200


def test_a_whole_volume_comes_too(client: TestClient, volume: Case, files: Files) -> None:
    answer = client.get(f"/api/v1/pixels/{volume.pixel_hash}.npy", headers={"Accept-Encoding": "gzip"})
    assert np.array_equal(np.load(io.BytesIO(answer.content)), files.read_array("pixels", volume.pixel_hash))
    assert (answer.headers["content-encoding"], answer.headers["etag"]) == ("identity", f'"{volume.pixel_hash}"')
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"


def test_an_image_has_one_frame(client: TestClient, case: Case, files: Files) -> None:
    answer = client.get(f"/api/v1/pixels/{case.pixel_hash}.npy?frame=0")
    assert np.array_equal(np.load(io.BytesIO(answer.content)), files.read_array("pixels", case.pixel_hash))
    assert client.get(f"/api/v1/pixels/{case.pixel_hash}.npy?frame=1").status_code == 404


@pytest.mark.parametrize(
    ("frame", "status"),
    [("9", 404), ("99999", 404), ("-1", 422), ("one", 422), ("", 422), ("٣", 422), ("9" * 5000, 422)],
)
def test_a_frame_that_is_not_there_is_said_so(client: TestClient, volume: Case, frame: str, status: int) -> None:
    answer = client.get(f"/api/v1/pixels/{volume.pixel_hash}.npy", params={"frame": frame})
    assert answer.status_code == status
    assert "frame" in answer.json()["reason"]


def test_a_volume_that_was_altered_on_disk_is_not_given_out_in_parts(
    client: TestClient, volume: Case, files: Files
) -> None:
    address, path = f"/api/v1/pixels/{volume.pixel_hash}.npy", files.path("pixels", volume.pixel_hash)
    assert client.get(address, params={"frame": 0}).status_code == 200
    path.write_bytes(path.read_bytes()[:-2] + b"!!")
    os.utime(path, ns=(1, 1))
    for params in ({"frame": "0"}, {}):
        answer = client.get(address, params=params)
        assert answer.status_code == 500
        assert "backup" in answer.json()["reason"]


def test_a_volumes_missing_thumbnail_shows_its_middle_frame(client: TestClient, volume: Case, files: Files) -> None:
    answer = client.get(f"/api/v1/thumbnails/{volume.pixel_hash}.webp")
    assert answer.content == make_thumbnail(files.read_array("pixels", volume.pixel_hash)[4], "MONOCHROME2")


def test_a_map_is_given_out_by_its_key(client: TestClient, files: Files) -> None:
    files.put_under("explanations", "ab" * 32, array_bytes(np.ones((7, 7), np.float32)))
    answer = client.get(f"/api/v1/explanations/{'ab' * 32}.npy")
    assert np.load(io.BytesIO(answer.content)).shape == (7, 7)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/cases/999",
        f"/api/v1/cases/{1 << 64}",
        "/api/v1/cases/one",
        f"/api/v1/pixels/{'0' * 64}.npy",
        "/api/v1/pixels/short.npy",
        f"/api/v1/thumbnails/{'0' * 64}.webp",
        f"/api/v1/explanations/{'0' * 64}.npy",
        "/api/v1/explanations/..%2Fsecret.npy",
        "/api/v1/jobs/999",
        f"/api/v1/jobs/{1 << 64}",
        "/api/v1/models/999/model.keras",
        "/api/v1/models/999/model.onnx",
        "/api/v1/nonsense",
        "/assets/viewer/nothing.js",
    ],
)
def test_what_is_not_there_is_404(client: TestClient, anna: User, path: str) -> None:
    assert client.get(path).status_code == 404
