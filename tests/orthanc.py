"""A real PACS on loopback for a module of tests: Orthanc with passwords and a list of who may call it; and a line to
it that can be cut."""

import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE

from bench.server import free_port
from core.images.pacs.credentials import Credentials
from core.images.pacs.records import OVER_TLS, NewPacs

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
START_SECONDS = 150.0
PIECE = 1 << 14
ANNA = Credentials("anna", "pass:wörd")


@dataclass(frozen=True)
class Orthanc:
    """A running Orthanc. It lets Anna in by HTTP, and by DICOM only who calls as READROOM from this machine."""

    http_port: int
    dicom_port: int
    move_port: int  # where it believes READROOM to listen
    authority: str = ""  # of its certificate, where it speaks DIMSE over TLS

    def by_web(self, *, port: int | None = None, name: str = "Ward web") -> NewPacs:
        return NewPacs(name, "dicomweb", f"http://127.0.0.1:{port or self.http_port}/dicom-web/")

    def by_dimse(self, *, port: int | None = None, name: str = "Ward dimse", move: bool = False) -> NewPacs:
        address = f"{OVER_TLS if self.authority else ''}127.0.0.1:{port or self.dicom_port}"
        return NewPacs(name, "dimse", address, "LABPACS", "READROOM", self.move_port if move else None,
                       self.authority)  # fmt: skip

    def push(self, *files: Path) -> None:
        """As a modality does: by C-STORE, in the transfer syntax of the file."""
        sets = [dcmread(file) for file in files]
        entity = AE(ae_title="READROOM")
        for one in {(str(each.SOPClassUID), str(each.file_meta.TransferSyntaxUID)) for each in sets}:
            entity.add_requested_context(*one)
        context = ssl.create_default_context(cafile=self.authority) if self.authority else None
        tls = (context, "127.0.0.1") if context else None
        association = entity.associate("127.0.0.1", self.dicom_port, ae_title="LABPACS", tls_args=tls)
        assert association.is_established
        for each in sets:
            assert association.send_c_store(each).Status == 0
        association.release()

    def count(self) -> int:
        answer = requests.get(f"http://127.0.0.1:{self.http_port}/statistics", auth=self._auth, timeout=10)
        return int(answer.json()["CountInstances"])

    @property
    def _auth(self) -> tuple[bytes, bytes]:
        return ANNA.user.encode(), ANNA.password.encode()

    def answers(self) -> bool:
        with suppress(requests.exceptions.ConnectionError):
            return requests.get(f"http://127.0.0.1:{self.http_port}/system", auth=self._auth, timeout=10).ok
        return False


@contextmanager
def running_orthanc(
    folder: Path, certificate: tuple[Path, Path] | None = None, callers: Path | None = None
) -> Iterator[Orthanc]:
    """An empty Orthanc until the block ends.

    Args:
        certificate: a certificate, which is its own authority, and its key: DIMSE is then spoken over TLS.
        callers: the authority of certificates that callers have to show; None asks for none.
    """
    program = shutil.which("Orthanc") or "/usr/sbin/Orthanc"
    if not Path(program).exists() or not PLUGIN.exists():
        pytest.skip("Orthanc with DICOMweb is absent: sudo apt-get install orthanc orthanc-dicomweb")
    made = Orthanc(free_port(), free_port(), free_port(), str(certificate[0]) if certificate else "")
    closed = {f"DicomAlwaysAllow{what}": False for what in ("Echo", "Find", "Get", "Move", "Store")}
    opened = {f"Allow{what}": True for what in ("Echo", "Find", "Get", "Move", "Store")}
    told = {
        "Name": "test", "StorageDirectory": str(folder), "IndexDirectory": str(folder), "Plugins": [str(PLUGIN)],
        "HttpPort": made.http_port, "AuthenticationEnabled": True, "RegisteredUsers": {ANNA.user: ANNA.password},
        "RemoteAccessAllowed": False, "DicomPort": made.dicom_port, "DicomAet": "LABPACS", "DicomCheckCalledAet": True,
        **closed, "DicomCheckModalityHost": True,
        "DicomModalities": {
            "readroom": {"AET": "READROOM", "Host": "127.0.0.1", "Port": made.move_port, **opened}
        },
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }  # fmt: skip
    if certificate:
        told |= {"DicomTlsEnabled": True, "DicomTlsCertificate": str(certificate[0]),
                 "DicomTlsPrivateKey": str(certificate[1]), "DicomTlsRemoteCertificateRequired": callers is not None,
                 "DicomTlsTrustedCertificates": str(callers or certificate[0])}  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "orthanc.json").write_text(json.dumps(told))
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen([program, str(folder / "orthanc.json")], stdout=log, stderr=log)
    try:
        until = time.monotonic() + START_SECONDS
        while not made.answers():
            assert process.poll() is None, (folder / "log.txt").read_text()
            assert time.monotonic() < until, (folder / "log.txt").read_text()
            time.sleep(0.05)
        yield made
    finally:
        process.kill()  # in good order it takes seconds, and nobody needs what it holds
        process.wait(START_SECONDS)


class Line:
    """A connection to a port on this machine that breaks once so many bytes have come from there."""

    def __init__(self, to: int) -> None:
        self._to, self._left = to, float("inf")
        self.carried = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_after(self, count: float) -> None:
        """From now on so many bytes come through, over all connections, and then none."""
        self._left = count

    def mend(self) -> None:
        self._left = float("inf")

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                here, _ = self._listening.accept()
                if self._left <= 0:
                    here.close()
                    continue
                there = socket.create_connection(("127.0.0.1", self._to))
                for one, other, comes in ((here, there, False), (there, here, True)):
                    threading.Thread(target=self._carry, args=(one, other, comes), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket, comes: bool) -> None:
        with suppress(OSError):
            while self._left > 0 and (piece := one.recv(PIECE)):
                if comes:
                    piece = piece[: int(min(self._left, len(piece)))]
                    self._left -= len(piece)
                    self.carried += len(piece)
                other.sendall(piece)
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextmanager
def line_to(port: int) -> Iterator[Line]:
    made = Line(port)
    yield made
    made.close()


def pixels_of(slices: Sequence[Dataset]) -> list[bytes]:
    """The stored values of data sets, for comparing."""
    return [one.pixel_array.tobytes() for one in slices]
