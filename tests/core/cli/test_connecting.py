"""`readroom pacs`: a PACS is added, tested, searched, and studies come from there, by commands."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.cli.app import app
from core.errors import CoreError
from tests.core.cli.conftest import run_in
from tests.core.images.drawn_dicom import write_series
from tests.orthanc import ANNA, Orthanc, running_orthanc

PATIENT = "PATIENT-4711"


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    folder = tmp_path_factory.mktemp("pacs")
    with running_orthanc(folder / "orthanc") as made:
        write_series(folder / "one", [0.0, 1.0], patient=PATIENT)
        write_series(folder / "two", [0.0], seed=1, patient=PATIENT)
        made.push(*sorted((folder / "one").iterdir()), *sorted((folder / "two").iterdir()))
        yield made


@pytest.fixture
def home(tmp_path: Path, orthanc: Orthanc, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    run_in(home, "project", "create", "Chest", "--classes", "a,b")
    monkeypatch.setenv("READROOM_PACS_PASSWORD", ANNA.password)
    address = f"http://127.0.0.1:{orthanc.http_port}/dicom-web"
    run_in(home, "pacs", "add", "Ward", "--url", address, "--user", ANNA.user)
    return home


def test_a_search_names_studies_and_a_pull_of_it_brings_them_in(home: Path) -> None:
    assert run_in(home, "pacs", "test", "Ward")["answers"] is True
    found = run_in(home, "pacs", "find", "Ward", "--modality", "ct", "--since", "2020-01-01")["studies"]
    assert isinstance(found, list)
    assert sorted(study["instances"] for study in found) == [1, 2]
    assert {study["patient"] for study in found} == {PATIENT}
    one = next(study["uid"] for study in found if study["instances"] == 2)
    done = run_in(home, "pacs", "pull", "Chest", "Ward", one)
    assert (done["fetched"], done["imported"], done["cases"], done["failed"]) == (2, 2, 1, 0)
    rest = run_in(home, "pacs", "pull", "Chest", "Ward", "--patient", PATIENT)
    assert (rest["studies"], rest["fetched"], rest["known"], rest["imported"]) == (2, 1, 2, 1)
    # Jobs ran in processes of their own, with logs: those, too, name nobody.
    named = [study["uid"] for study in found] + [PATIENT, "Doe^Jane", ANNA.password]
    kept = [path for path in home.rglob("*") if path.is_file() and path.suffix not in (".npy", ".webp")]
    assert any(path.name == "log.txt" for path in kept)
    assert [path for path in kept if any(text.encode() in path.read_bytes() for text in named)] == []


def test_a_wrong_password_is_refused_until_another_is_given(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("READROOM_PACS_PASSWORD", "wrong")
    run_in(home, "pacs", "password", "Ward", "--user", ANNA.user)
    with pytest.raises(CoreError, match="refuses the user or the password"):
        run_in(home, "pacs", "find", "Ward")
    monkeypatch.setenv("READROOM_PACS_WARD", f"{ANNA.user}:{ANNA.password}")
    assert run_in(home, "pacs", "test", "Ward")["answers"] is True


def test_what_is_listed_holds_no_password(home: Path, orthanc: Orthanc) -> None:
    where = f"127.0.0.1:{orthanc.dicom_port}"
    run_in(home, "pacs", "add", "Old", "--host", where, "--their-title", "LABPACS")
    assert "answers by DIMSE to READROOM" in str(run_in(home, "pacs", "test", "Old")["said"])
    listed = run_in(home, "pacs", "list")
    assert [one["name"] for one in listed["pacs"]] == ["Old", "Ward"]  # type: ignore[union-attr, index]
    assert ANNA.password not in json.dumps(listed)
    run_in(home, "pacs", "add", "New", "--host", where, "--their-title", "LABPACS", "--tls")
    with pytest.raises(CoreError, match="does not answer by TLS"):
        run_in(home, "pacs", "test", "New")
    assert "DIMSE over TLS 127.0.0.1" in CliRunner().invoke(app, ["pacs", "list", "--home", str(home)]).output
    run_in(home, "pacs", "remove", "New")
    run_in(home, "pacs", "remove", "Old")
    with pytest.raises(CoreError, match="There is no PACS Old"):
        run_in(home, "pacs", "test", "Old")


@pytest.mark.parametrize(
    "words",
    [("add", "X"), ("add", "X", "--url", "https://a", "--host", "a:1"), ("pull", "Chest", "Ward"),
     ("pull", "Chest", "Ward", "1.2", "--modality", "CT"), ("add", "X", "--url", "https://a", "--tls")],
)  # fmt: skip
def test_words_that_do_not_fit_together_are_a_wrong_call(home: Path, words: tuple[str, ...]) -> None:
    assert CliRunner().invoke(app, ["pacs", *words, "--home", str(home)]).exit_code == 2


def test_a_day_that_is_none_is_said_to_be(home: Path) -> None:
    with pytest.raises(CoreError, match="such as 2026-01-31"):
        run_in(home, "pacs", "find", "Ward", "--since", "yesterday")
