"""DIMSE over TLS before a real Orthanc: what comes is the same, and a certificate that does not fit is told."""

import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from pydicom import dcmread
from pynetdicom import AE

from bench.server import free_port
from core.errors import InvalidInput, Unavailable
from core.images.pacs.credentials import Credentials
from core.images.pacs.dimse import Dimse
from core.images.pacs.landing import Landing
from core.images.pacs.questions import Question
from core.images.pacs.receiver import Sockets, receiving
from core.images.pacs.records import NewPacs, Pacs
from core.images.pacs.tls import asking_context, listening_context
from dashboard.certificate import Certificate
from tests.core.images.drawn_dicom import write_series
from tests.dashboard.certificates import make_certificate
from tests.orthanc import Orthanc, running_orthanc

NAMES = "DNS:localhost,IP:127.0.0.1"


def client_for(new: NewPacs, certificate: str = "", credentials: Credentials | None = None) -> Dimse:
    return Dimse(Pacs(**vars(new)), credentials, certificate)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("theirs"), names=NAMES)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("ours"), names=NAMES)


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory, theirs: Certificate) -> Iterator[Orthanc]:
    """It asks nobody for a certificate."""
    folder = tmp_path_factory.mktemp("tls")
    with running_orthanc(folder / "orthanc", (theirs.path, theirs.key)) as made:
        write_series(folder / "series", [0.0, 1.0, 2.0], patient="4711")
        made.push(*sorted((folder / "series").iterdir()))
        assert made.count() == 3
        yield made


def test_studies_are_found_and_come_through_tls_with_their_pixels(orthanc: Orthanc, tmp_path: Path) -> None:
    client = client_for(orthanc.by_dimse(), credentials=Credentials("anna", "word"))
    assert client.test() == "Ward dimse answers by DIMSE over TLS to READROOM."
    (study,) = client.find_studies(Question(patient="4711")).studies
    (series,) = client.list_series(study.uid)
    instances = client.list_instances(study.uid, series.uid)
    landing = Landing(tmp_path / "in", b"s" * 32)
    client.fetch(study.uid, series.uid, instances, partial(landing.receiving, study.uid, series.uid))
    sent = write_series(tmp_path / "series", [0.0, 1.0, 2.0], patient="4711")
    came = [dcmread(landing.file(study.uid, series.uid, one.uid)).pixel_array.tobytes() for one in instances]
    assert sorted(came) == sorted(one.pixel_array.tobytes() for one in sent)


def test_a_certificate_that_nobody_vouches_for_is_told(orthanc: Orthanc, ours: Certificate) -> None:
    for authority in ("", str(ours.path)):
        with pytest.raises(InvalidInput, match=r"not vouched for here; name the file of its authority.*Received: 127"):
            client_for(replace(orthanc.by_dimse(), authority=authority)).test()


def test_a_certificate_of_another_host_is_told(tmp_path: Path, orthanc: Orthanc) -> None:
    elsewhere = make_certificate(tmp_path, names="DNS:elsewhere.example")
    context = listening_context(str(elsewhere.path), str(elsewhere.key))
    port = free_port()
    with (
        receiving("LABPACS", ("127.0.0.1", port), None, lambda *_: 0, tls=context),
        pytest.raises(InvalidInput, match=r"the host as the certificate does.*IP address mismatch"),
    ):
        client_for(replace(orthanc.by_dimse(port=port), authority=str(elsewhere.path))).test()


def test_who_speaks_no_tls_is_told_whichever_side_it_is(orthanc: Orthanc) -> None:
    port = free_port()
    with (
        receiving("LABPACS", ("127.0.0.1", port), None, lambda *_: 0),
        pytest.raises(Unavailable, match=r"does not answer by TLS at this port"),
    ):
        client_for(orthanc.by_dimse(port=port)).test()
    plain = NewPacs("Ward", "dimse", f"127.0.0.1:{orthanc.dicom_port}", "LABPACS")
    with pytest.raises(Unavailable, match=r"hung up before anything was said; see .* without TLS"):
        client_for(plain).test()


def test_a_server_that_asks_who_we_are_is_shown_our_certificate(
    tmp_path: Path, theirs: Certificate, ours: Certificate
) -> None:
    with running_orthanc(tmp_path / "strict", (theirs.path, theirs.key), ours.path) as strict:
        both = tmp_path / "both.pem"
        both.write_text(ours.path.read_text() + ours.key.read_text())
        assert "over TLS" in client_for(strict.by_dimse(), str(both)).test()
        with pytest.raises(Unavailable, match=r"READROOM_PACS_WARD_DIMSE_CERTIFICATE|does not answer by TLS"):
            client_for(strict.by_dimse()).test()


@pytest.mark.parametrize("what", ["authority", "certificate", "key", "pair"])
def test_a_file_that_is_none_is_told(tmp_path: Path, theirs: Certificate, ours: Certificate, what: str) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    ask = {
        "authority": lambda: asking_context(str(broken)),
        "certificate": lambda: asking_context("", str(tmp_path / "absent.pem")),
        "key": lambda: listening_context(str(theirs.path), str(broken)),
        "pair": lambda: listening_context(str(theirs.path), str(ours.key)),
    }[what]
    with pytest.raises(InvalidInput, match=r"PEM file.*Received: "):
        ask()


def send_echo(port: int, authority: Path, own: Path | None = None) -> bool:
    context = ssl.create_default_context(cafile=authority)
    if own:
        context.load_cert_chain(own)
    entity = AE(ae_title="CT1")
    entity.add_requested_context("1.2.840.10008.1.1")
    sockets = Sockets()
    association = entity.associate("127.0.0.1", port, ae_title="READROOM", tls_args=(context, "127.0.0.1"),
                                   evt_handlers=sockets.handlers())  # fmt: skip
    told = association.is_established and association.send_c_echo().get("Status") == 0
    if association.is_established:
        association.release()
    sockets.close()
    return told


def test_a_receiver_over_tls_lets_in_who_shows_a_certificate_and_waits_for_nobody_else(
    tmp_path: Path, theirs: Certificate, ours: Certificate
) -> None:
    both = tmp_path / "both.pem"
    both.write_text(theirs.path.read_text() + theirs.key.read_text())
    context = listening_context(str(ours.path), str(ours.key), str(theirs.path))
    port = free_port()
    with (
        receiving("READROOM", ("127.0.0.1", port), ["CT1"], lambda *_: 0, tls=context),
        socket.create_connection(("127.0.0.1", port)),  # calls, and says nothing
    ):
        assert send_echo(port, ours.path, both)
        assert not send_echo(port, ours.path)
