"""A real Orthanc is asked by both protocols: what it answers is the same, and what goes wrong is said in words."""

import io
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from pydicom import dcmread
from pynetdicom import AE, evt

from bench.server import free_port
from core.errors import CoreError, InvalidInput, NotAllowed, Unavailable
from core.images.pacs.credentials import Credentials
from core.images.pacs.dimse import Dimse
from core.images.pacs.landing import Landing
from core.images.pacs.questions import Client, Instance, Question
from core.images.pacs.receiver import Sockets
from core.images.pacs.records import NewPacs, Pacs
from core.images.pacs.web import DicomWeb
from tests.core.images.pacs.conftest import Ward
from tests.orthanc import ANNA, line_to

SECRET = b"s" * 32
WAYS = ("web", "get", "move")


def client_for(new: NewPacs, credentials: Credentials | None = ANNA) -> Client:
    pacs = Pacs(**vars(new))
    return DicomWeb(pacs, credentials) if pacs.protocol == "dicomweb" else Dimse(pacs, None)


@pytest.fixture
def at(ward: Ward) -> Callable[..., NewPacs]:
    """`at("get")` is the ward's PACS by C-GET."""

    def by(way: str, **options: Any) -> NewPacs:
        return ward.orthanc.by_web(**options) if way == "web" else ward.orthanc.by_dimse(move=way == "move", **options)

    return by


@pytest.fixture(autouse=True)
def _pydicom_is_quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pydicom")
        yield


@pytest.mark.parametrize("way", ["web", "get"])
def test_it_answers(at: Callable[..., NewPacs], way: str) -> None:
    assert "answers by" in client_for(at(way)).test()


@pytest.mark.parametrize("way", ["web", "get"])
def test_studies_are_found_by_modality_date_description_and_patient(
    at: Callable[..., NewPacs], ward: Ward, way: str
) -> None:
    client = client_for(at(way))
    everything = client.find_studies(Question())
    assert len(everything.studies) == 4
    assert not everything.more
    dates = [study.dated for study in everything.studies]
    assert dates == sorted(dates, reverse=True)
    mine = ward.slices[0].StudyInstanceUID
    for question in (
        Question(since=date(2020, 1, 1), until=date(2020, 1, 1)),
        Question(description="thorax"),
        Question(modality="CT", description="Thorax", patient="4711"),
    ):
        (study,) = client.find_studies(question).studies
        assert (study.uid, study.patient_name, study.patient) == (mine, "Doe^Jane", "4711")
        assert (study.modalities, study.series, study.instances) == (("CT",), 1, 5)
        assert (study.dated, study.description) == ("20200101", "CT Thorax nativ")
    assert len(client.find_studies(Question(modality="CT")).studies) == 2
    assert client.find_studies(Question(modality="US")).studies == ()
    assert client.find_studies(Question(until=date(1950, 1, 1))).studies == ()
    assert client.find_studies(Question(patient="471")).studies == ()


@pytest.mark.parametrize("way", ["web", "get"])
def test_more_studies_than_somebody_reads_are_said_to_be_more(
    at: Callable[..., NewPacs], monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    for module in ("questions", "web", "dimse"):
        monkeypatch.setattr(f"core.images.pacs.{module}.MOST_STUDIES", 2)
    found = client_for(at(way)).find_studies(Question())
    assert (len(found.studies), found.more) == (2, True)


@pytest.mark.parametrize("way", WAYS)
def test_a_series_comes_with_its_pixels_unchanged(
    at: Callable[..., NewPacs], ward: Ward, tmp_path: Path, way: str
) -> None:
    client, landing = client_for(at(way)), Landing(tmp_path, SECRET)
    for expected in (ward.slices, ward.images[1:]):
        study = str(expected[0].StudyInstanceUID)
        (series,) = client.list_series(study)
        assert series.modality == expected[0].Modality
        instances = client.list_instances(study, series.uid)
        assert {one.uid for one in instances} == {str(one.SOPInstanceUID) for one in expected}
        assert {one.sop_class for one in instances} == {str(expected[0].SOPClassUID)}
        client.fetch(study, series.uid, instances, partial(landing.receiving, study, series.uid))
        for one in expected:
            came = dcmread(landing.file(study, series.uid, str(one.SOPInstanceUID)))
            assert came.pixel_array.tobytes() == one.pixel_array.tobytes()
            assert came.file_meta.TransferSyntaxUID == one.file_meta.TransferSyntaxUID  # nothing was coded anew
    assert not list(tmp_path.rglob("*.part"))


def test_kinds_that_a_pacs_does_not_tell_come_all_the_same(ward: Ward, tmp_path: Path) -> None:
    one = ward.images[1]  # compressed there, and so coded anew
    study, series, uid = str(one.StudyInstanceUID), str(one.SeriesInstanceUID), str(one.SOPInstanceUID)
    landing = Landing(tmp_path, SECRET)
    client_for(ward.orthanc.by_dimse()).fetch(study, series, [Instance(uid)], partial(landing.receiving, study, series))
    assert dcmread(landing.file(study, series, uid)).pixel_array.tobytes() == one.pixel_array.tobytes()


def refusal(do: Callable[[], object]) -> CoreError:
    with pytest.raises(CoreError) as caught:
        do()
    assert "Received: " in str(caught.value)
    assert "pass:w" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("way", ["web", "get"])
def test_a_server_that_is_down_is_said_to_be(at: Callable[..., NewPacs], way: str) -> None:
    said = refusal(client_for(at(way, port=free_port())).test)
    assert isinstance(said, Unavailable)
    assert "Ward" in str(said)
    assert "cannot be reached; see whether it runs" in str(said)


@pytest.mark.parametrize("credentials", [None, Credentials("anna", "wrong"), Credentials("ben", ANNA.password)])
def test_a_wrong_password_is_said_to_be(at: Callable[..., NewPacs], credentials: Credentials | None) -> None:
    said = refusal(lambda: client_for(at("web"), credentials).find_studies(Question(patient="4711")))
    assert isinstance(said, NotAllowed)
    assert "refuses the user or the password" in str(said)
    assert "4711" not in str(said)


@pytest.mark.parametrize("wrong", [{"our_title": "STRANGER"}, {"their_title": "OTHERPACS"}])
def test_a_title_that_is_not_known_there_is_named(at: Callable[..., NewPacs], wrong: dict[str, str]) -> None:
    said = refusal(client_for(replace(at("get"), **wrong)).test)
    assert isinstance(said, NotAllowed)
    assert next(iter(wrong.values())) in str(said)


def test_a_password_goes_with_a_call_by_dimse_where_there_is_one() -> None:
    """Orthanc asks for none; this server does (PS3.7 section D.3.3.7)."""
    entity, port = AE(ae_title="LABPACS"), free_port()
    entity.add_supported_context("1.2.840.10008.1.1")

    def known(event: evt.Event) -> tuple[bool, None]:
        return (event.primary_field, event.secondary_field) == (ANNA.user.encode(), ANNA.password.encode()), None

    sockets = Sockets()
    handlers = [(evt.EVT_USER_ID, known), (evt.EVT_C_ECHO, lambda event: 0), *sockets.handlers()]
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    assert server is not None
    pacs = Pacs("Ward", "dimse", f"127.0.0.1:{port}", "LABPACS")
    assert "crosses the network readable" in Dimse(pacs, ANNA).test()
    said = refusal(Dimse(pacs, Credentials("anna", "wrong")).test)
    assert isinstance(said, NotAllowed)
    server.shutdown()
    sockets.close()


def test_a_password_that_crosses_readable_is_warned_of(at: Callable[..., NewPacs]) -> None:
    assert "readable" in client_for(at("web")).test()


def test_an_address_without_dicomweb_is_said_to_be_none(ward: Ward) -> None:
    root = f"http://127.0.0.1:{ward.orthanc.http_port}"
    for address in (f"{root}/nothing", f"{root}/app"):
        assert "There is no DICOMweb" in str(refusal(client_for(NewPacs("W", "dicomweb", address)).test))


def test_a_web_server_is_no_dicom_port(ward: Ward) -> None:
    new = ward.orthanc.by_dimse(port=ward.orthanc.http_port)
    assert isinstance(refusal(client_for(new).test), Unavailable)


def test_a_port_that_is_taken_is_named_before_anything_moves(ward: Ward, tmp_path: Path) -> None:
    new = replace(ward.orthanc.by_dimse(), move_port=ward.orthanc.http_port)
    one = ward.slices[0]
    study, series = str(one.StudyInstanceUID), str(one.SeriesInstanceUID)
    client, landing = client_for(new), Landing(tmp_path, SECRET)
    instances = client.list_instances(study, series)
    said = refusal(lambda: client.fetch(study, series, instances, partial(landing.receiving, study, series)))
    assert "choose another port" in str(said)


def test_a_title_that_the_pacs_cannot_find_is_said_to_be_entered_there(ward: Ward, tmp_path: Path) -> None:
    """Orthanc knows READROOM at another port: nothing arrives, and that is said."""
    new = replace(ward.orthanc.by_dimse(), move_port=free_port())
    one = ward.slices[0]
    study, series = str(one.StudyInstanceUID), str(one.SeriesInstanceUID)
    client, landing = client_for(new), Landing(tmp_path, SECRET)
    instances = client.list_instances(study, series)
    refusal(lambda: client.fetch(study, series, instances, partial(landing.receiving, study, series)))
    assert not list(tmp_path.rglob("*.dcm"))


@pytest.mark.parametrize("way", ["web", "get"])
def test_a_line_that_breaks_half_way_is_said_and_what_came_whole_stays(
    at: Callable[..., NewPacs], ward: Ward, tmp_path: Path, way: str
) -> None:
    one = ward.slices[0]
    study, series = str(one.StudyInstanceUID), str(one.SeriesInstanceUID)
    landing = Landing(tmp_path, SECRET)
    port = ward.orthanc.http_port if way == "web" else ward.orthanc.dicom_port
    with line_to(port) as line:
        client = client_for(at(way, port=line.port))
        instances = client.list_instances(study, series)
        line.cut_after(4500)  # each file has about 1,500 bytes
        said = refusal(lambda: client.fetch(study, series, instances, partial(landing.receiving, study, series)))
        assert isinstance(said, Unavailable)
        assert study not in str(said)
        assert series not in str(said)
        came = list(tmp_path.rglob("*.dcm"))
        assert 0 < len(came) < 5
        assert all(len(dcmread(path).PixelData) == 640 for path in came)
        assert not list(tmp_path.rglob("*.part"))
        line.mend()
        client.fetch(study, series, instances, partial(landing.receiving, study, series))
        assert len(list(tmp_path.rglob("*.dcm"))) == 5


def test_no_redirect_takes_the_password_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def get(self: requests.Session, url: str, **options: object) -> requests.Response:
        asked.append((url, options["allow_redirects"]))
        answer = requests.Response()
        answer.status_code = 302
        answer.raw = io.BytesIO()
        answer.headers["Location"] = "http://elsewhere.example/"
        return answer

    monkeypatch.setattr(requests.Session, "get", get)
    said = refusal(client_for(NewPacs("W", "dicomweb", "https://pacs.example/dicom-web")).test)
    assert "sends elsewhere" in str(said)
    assert asked == [("https://pacs.example/dicom-web/studies?limit=1", False)]


def test_a_uid_that_is_a_path_is_refused() -> None:
    client = client_for(NewPacs("W", "dicomweb", "https://pacs.example"))
    with pytest.raises(InvalidInput, match="digits and dots"):
        client.list_series("../../system")
