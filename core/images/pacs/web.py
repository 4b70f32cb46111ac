"""DICOMweb (PS3.18): studies are searched with QIDO-RS and fetched with WADO-RS.

A client of our own, since a library would hold each file in memory, parsed; here its bytes go to disk as they come.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, BinaryIO
from urllib.parse import quote, urlencode

import requests
from requests.auth import HTTPBasicAuth

from core.errors import CoreError, InvalidInput, NotAllowed, Unavailable
from core.images.pacs.credentials import Credentials
from core.images.pacs.questions import (
    MOST_STUDIES,
    Answer,
    Instance,
    Question,
    Receive,
    Series,
    Study,
    answer_of,
    check_uid,
)
from core.images.pacs.records import Pacs

JSON = "application/dicom+json"
# Files as they are stored there, whatever their transfer syntax: the importer decodes them itself.
FILE = 'multipart/related; type="application/dicom"; transfer-syntax=*'
SECONDS_TO_CONNECT, SECONDS_TO_ANSWER = 5.0, 60.0
AT_ONCE = 4  # files; one after the other, the way there and back would take most of the time
READ_BYTES = 1 << 16
LONGEST_HEAD, LONGEST_TAIL = 16 << 10, 1 << 10
BOUNDARY = re.compile(r'boundary="?([^";]+)"?', re.IGNORECASE)
TAGS = {
    "StudyInstanceUID": "0020000D", "SeriesInstanceUID": "0020000E", "SOPInstanceUID": "00080018",
    "SOPClassUID": "00080016", "StudyDate": "00080020", "Modality": "00080060", "ModalitiesInStudy": "00080061",
    "StudyDescription": "00081030", "PatientName": "00100010", "PatientID": "00100020",
    "NumberOfStudyRelatedSeries": "00201206", "NumberOfStudyRelatedInstances": "00201208",
}  # fmt: skip
SHOWN = ("ModalitiesInStudy", "StudyDescription", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances")


class DicomWeb:
    """A server by DICOMweb, with the credentials of whoever signs in there."""

    def __init__(self, pacs: Pacs, credentials: Credentials | None) -> None:
        self._pacs = pacs
        self._root = pacs.address.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy, and no password of a .netrc, that nobody named here
        self._session.verify = pacs.authority or True
        if credentials:
            # As UTF-8, where the library would take letters beyond Latin-1 for an error.
            self._session.auth = HTTPBasicAuth(credentials.user.encode(), credentials.password.encode())

    def test(self) -> str:
        self._asked("studies", [("limit", "1")])
        sent_readable = self._session.auth and self._root.startswith("http:")
        warning = " The password crosses the network readable; use an https address." if sent_readable else ""
        return f"{self._pacs.name} answers by DICOMweb.{warning}"

    def find_studies(self, question: Question) -> Answer:
        studies, more = [], False
        for pattern in question.patterns:
            wanted = [
                ("ModalitiesInStudy", question.modality),
                ("StudyDate", question.dates),
                ("StudyDescription", pattern),
                ("PatientID", question.patient),
            ]
            asked = [(name, value) for name, value in wanted if value]
            asked += [("includefield", TAGS[name]) for name in SHOWN]
            rows = self._asked("studies", [*asked, ("limit", str(MOST_STUDIES + 1))])
            studies += [study for study in map(_study, rows) if study.uid and question.fits(study)]
            more = more or len(rows) > MOST_STUDIES
        return answer_of(studies, more=more)

    def list_series(self, study: str) -> list[Series]:
        rows = self._asked(f"studies/{check_uid(study)}/series", [("includefield", TAGS["Modality"])])
        return [Series(_text(row, "SeriesInstanceUID"), _text(row, "Modality")) for row in rows]

    def list_instances(self, study: str, series: str) -> list[Instance]:
        rows = self._asked(f"studies/{check_uid(study)}/series/{check_uid(series)}/instances")
        return [Instance(_text(row, "SOPInstanceUID"), _text(row, "SOPClassUID")) for row in rows]

    def fetch(self, study: str, series: str, instances: Sequence[Instance], receive: Receive) -> None:
        def fetch_one(instance: Instance) -> None:
            path = f"studies/{check_uid(study)}/series/{check_uid(series)}/instances/{check_uid(instance.uid)}"
            with self._answering(path, accept=FILE) as answer:
                if answer.status_code == 404:
                    return
                with receive(instance.uid) as stream:
                    _copy_file(answer, stream, self._pacs)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            waiting = [pool.submit(fetch_one, instance) for instance in instances]
            try:
                for one in waiting:
                    one.result()
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _asked(self, path: str, query: Sequence[tuple[str, str]] = ()) -> list[dict[str, Any]]:
        with self._answering(path, query) as answer:
            if answer.status_code == 204:
                return []
            if answer.status_code == 404:
                raise self._no_dicomweb("404")
            try:
                rows = answer.json()
            except requests.exceptions.JSONDecodeError:
                raise self._no_dicomweb(answer.headers.get("Content-Type", "no JSON")) from None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self._no_dicomweb("JSON of another form")
        return rows

    @contextmanager
    def _answering(
        self, path: str, query: Sequence[tuple[str, str]] = (), *, accept: str = JSON
    ) -> Iterator[requests.Response]:
        """The answer to a question. Errors are told anew: those of the library quote addresses with UIDs in them."""
        # Orthanc takes an escaped * or ^ for the letters themselves.
        text = urlencode(query, safe="*^-", quote_via=quote)
        url = f"{self._root}/{path}{'?' if text else ''}{text}"
        try:
            with self._session.get(
                url,
                headers={"Accept": accept},
                stream=True,
                allow_redirects=False,  # the password is for this address only
                timeout=(SECONDS_TO_CONNECT, SECONDS_TO_ANSWER),
            ) as answer:
                self._refuse_status(answer.status_code)
                yield answer
        except CoreError:
            raise
        except requests.exceptions.SSLError:
            raise InvalidInput(
                f"The certificate of {self._pacs.name} is not vouched for here; name the file of its authority. "
                f"Received: {self._root}"
            ) from None
        except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError):
            raise _cut(self._pacs) from None
        except requests.exceptions.Timeout:
            raise Unavailable(
                f"{self._pacs.name} does not answer in time; see whether it runs. Received: {self._root}"
            ) from None
        except requests.exceptions.ConnectionError as error:
            if "aborted" in str(error) or "Read" in str(error):  # it was there, and hung up
                raise _cut(self._pacs) from None
            raise Unavailable(
                f"{self._pacs.name} cannot be reached; see whether it runs and its address is right. "
                f"Received: {self._root}"
            ) from None
        except requests.exceptions.RequestException as error:
            raise InvalidInput(
                f"{self._pacs.name} cannot be asked; look at its address. "
                f"Received: {self._root} ({type(error).__name__})"
            ) from None

    def _refuse_status(self, status: int) -> None:
        if status in (401, 403):
            raise NotAllowed(
                f"{self._pacs.name} refuses the user or the password; an administrator enters them anew. "
                f"Received: status {status}"
            )
        if 300 <= status < 400:
            raise InvalidInput(
                f"{self._pacs.name} sends elsewhere; enter the address that it leads to. Received: status {status}"
            )
        if status >= 500:
            raise Unavailable(f"{self._pacs.name} has a fault; try again later. Received: status {status}")
        if status >= 400 and status != 404:
            raise InvalidInput(f"{self._pacs.name} does not take this question. Received: status {status}")

    def _no_dicomweb(self, what: str) -> InvalidInput:
        return InvalidInput(
            f"There is no DICOMweb at the address of {self._pacs.name}; it often ends in /dicom-web. "
            f"Received: {self._root} ({what})"
        )


def _cut(pacs: Pacs) -> Unavailable:
    return Unavailable(f"{pacs.name} ended the connection half-way; what came whole stays. Received: a part of a file")


def _copy_file(answer: requests.Response, stream: BinaryIO, pacs: Pacs) -> None:
    """The only part of a multipart answer (RFC 2387) as it comes, or the answer itself where it is the file."""
    chunks = answer.iter_content(READ_BYTES)
    found = BOUNDARY.search(answer.headers.get("Content-Type", ""))
    if found is None:
        for chunk in chunks:
            stream.write(chunk)
        return
    stream.write(_after_head(chunks, pacs))
    for chunk in chunks:
        stream.write(chunk)
    size = stream.tell()
    stream.seek(max(0, size - LONGEST_TAIL))
    tail = stream.read()
    at = tail.rfind(b"\r\n--" + found[1].encode())
    if at < 0:  # what lacks its end was cut off
        raise _cut(pacs)
    stream.truncate(size - len(tail) + at)


def _after_head(chunks: Iterable[bytes], pacs: Pacs) -> bytes:
    """What was read already of the part's content."""
    begun = b""
    for chunk in chunks:
        begun += chunk
        head, end, rest = begun.partition(b"\r\n\r\n")
        if end:
            return rest
        if len(head) > LONGEST_HEAD:
            raise InvalidInput(f"{pacs.name} sends no file where one was asked for. Received: a head without end")
    raise _cut(pacs)


def _study(row: dict[str, Any]) -> Study:
    return Study(
        uid=_text(row, "StudyInstanceUID"),
        dated=_text(row, "StudyDate"),
        modalities=tuple(_values(row, "ModalitiesInStudy")),
        description=_text(row, "StudyDescription"),
        patient_name=_text(row, "PatientName"),
        patient=_text(row, "PatientID"),
        series=_number(row, "NumberOfStudyRelatedSeries"),
        instances=_number(row, "NumberOfStudyRelatedInstances"),
    )


def _values(row: dict[str, Any], keyword: str) -> list[str]:
    """The values of an attribute in the DICOM JSON model (PS3.18 annex F)."""
    told = row.get(TAGS[keyword])
    values = told.get("Value") if isinstance(told, dict) else None
    named = [next(iter(one.values()), "") if isinstance(one, dict) else one for one in values or () if one is not None]
    return [str(one) for one in named]


def _text(row: dict[str, Any], keyword: str) -> str:
    return next(iter(_values(row, keyword)), "")


def _number(row: dict[str, Any], keyword: str) -> int | None:
    text = _text(row, keyword)
    return int(text) if text.isdigit() else None
