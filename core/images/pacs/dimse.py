"""DIMSE (PS3.4, PS3.7): studies are searched with C-FIND and come by C-GET, or by C-MOVE to a port of ours."""

import logging
import socket
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE, StoragePresentationContexts, evt
from pynetdicom.association import Association
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from pynetdicom.presentation import PresentationContext, build_context, build_role

from core.errors import InvalidInput, NotAllowed, Unavailable
from core.images.pacs.credentials import Credentials, variable_of
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
from core.images.pacs.receiver import Sockets, Stored, receiving, store_handler
from core.images.pacs.records import Pacs
from core.images.pacs.tls import asking_context, greet

# It would log what is asked for and answered.
logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)

SECONDS_TO_CONNECT, SECONDS_TO_ANSWER = 5.0, 60.0
# PS3.4 section C.6.2, the study root models; PS3.4 annex A.
FIND, MOVE, GET, ECHO = (
    *(f"1.2.840.10008.5.1.4.1.2.2.{number}" for number in (1, 2, 3)),
    "1.2.840.10008.1.1",
)
OFFERED = {FIND: "C-FIND", MOVE: "C-MOVE", GET: "C-GET; enter a port for C-MOVE", ECHO: "C-ECHO"}
SUCCESS, PENDING, SOME_FAILED = 0x0000, (0xFF00, 0xFF01), 0xB000
MOST_CONTEXTS = 128  # PS3.8 section 9.3.2.2
USER_AND_PASSWORD = 2  # PS3.7 section D.3.3.7
UNCOMPRESSED = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]
# Of PS3.6 table A-1 those of still images, each for itself.
COMPRESSED = [f"1.2.840.10008.1.2.{end}" for end in (
    "1.99", "2", "4.50", "4.51", "4.57", "4.70", "4.80", "4.81", "4.90", "4.91", "4.92", "4.93", "4.201", "4.202",
    "4.203", "5",
)]  # fmt: skip
FIELDS = ("StudyInstanceUID", "StudyDate", "ModalitiesInStudy", "StudyDescription", "PatientName", "PatientID",
          "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances")  # fmt: skip


class Dimse:
    """A server by DIMSE. Who asks is told by AE title, and by user and password where there are any."""

    def __init__(self, pacs: Pacs, credentials: Credentials | None, certificate: str = "") -> None:
        self._pacs, self._credentials = pacs, credentials
        self._tls = asking_context(pacs.authority, certificate) if pacs.over_tls else None

    def test(self) -> str:
        with self._associated([build_context(ECHO)]) as association:
            status = association.send_c_echo()
        self._refuse(_code(status), "the test")
        warning = " The password crosses the network readable." if self._credentials and not self._tls else ""
        return f"{self._pacs.name} answers by {self._pacs.way} to {self._pacs.our_title}.{warning}"

    def find_studies(self, question: Question) -> Answer:
        studies: dict[str, Study] = {}
        for pattern in question.patterns:
            wanted = dict.fromkeys(FIELDS, "") | {
                "StudyDate": question.dates,
                "ModalitiesInStudy": question.modality,
                "StudyDescription": pattern,
                "PatientID": question.patient,
            }
            with closing(self._found("STUDY", wanted)) as found:
                for told in found:
                    study = _study(told)
                    if study.uid and question.fits(study):
                        studies[study.uid] = study
                    if len(studies) > MOST_STUDIES:
                        return answer_of(studies.values())
        return answer_of(studies.values())

    def list_series(self, study: str) -> list[Series]:
        wanted = {"StudyInstanceUID": check_uid(study), "SeriesInstanceUID": "", "Modality": ""}
        return [
            Series(_text(told, "SeriesInstanceUID"), _text(told, "Modality")) for told in self._found("SERIES", wanted)
        ]

    def list_instances(self, study: str, series: str) -> list[Instance]:
        wanted = {"StudyInstanceUID": check_uid(study), "SeriesInstanceUID": check_uid(series), "SOPInstanceUID": "",
                  "SOPClassUID": ""}  # fmt: skip
        found = self._found("IMAGE", wanted)
        return [Instance(_text(told, "SOPInstanceUID"), _text(told, "SOPClassUID")) for told in found]

    def fetch(self, study: str, series: str, instances: Sequence[Instance], receive: Receive) -> None:
        wanted = _keys("IMAGE", {"StudyInstanceUID": check_uid(study), "SeriesInstanceUID": check_uid(series)})
        wanted.SOPInstanceUID = [check_uid(instance.uid) for instance in instances]
        if self._pacs.move_port is None:
            self._get(wanted, instances, receive)
        else:
            self._move(wanted, instances, receive, self._pacs.move_port)

    # ---- C-GET, C-MOVE

    def _get(self, wanted: Dataset, some: Sequence[Instance], receive: Receive) -> None:
        contexts = _contexts({instance.sop_class for instance in some})
        roles = [build_role(kind, scp_role=True) for kind in {str(context.abstract_syntax) for context in contexts}]
        stored = Stored(receive, frozenset(instance.uid for instance in some))
        handlers = [(evt.EVT_C_STORE, store_handler(stored.keep))]
        with self._associated([build_context(GET), *contexts], roles, handlers) as association:
            self._followed(association.send_c_get(wanted, UID(GET)), stored)

    def _move(self, wanted: Dataset, some: Sequence[Instance], receive: Receive, port: int) -> None:
        stored = Stored(receive, frozenset(instance.uid for instance in some))
        # Whatever title the PACS sends under: what was not asked for is refused by its number.
        with (
            receiving(self._pacs.our_title, ("", port), None, stored.keep),
            self._associated([build_context(MOVE)]) as association,
        ):
            self._followed(association.send_c_move(wanted, self._pacs.our_title, UID(MOVE)), stored)

    def _followed(self, answers: Iterable[tuple[Dataset, Dataset | None]], stored: Stored) -> None:
        for status, _ in answers:
            code = _code(status)
            if code in PENDING:
                continue
            if stored.trouble:  # ours, such as a full disk, and not that of the PACS
                raise stored.trouble
            if code == SOME_FAILED:
                return
            if code == 0xA801:
                raise InvalidInput(
                    f"{self._pacs.name} does not know where {self._pacs.our_title} is; have it entered there "
                    f"with its address and port {self._pacs.move_port}, or leave the port out to use C-GET. "
                    f"Received: status {code:04X}"
                )
            self._refuse(code, "the request")

    # ---- C-FIND

    def _found(self, level: str, wanted: dict[str, str]) -> Generator[Dataset, None, None]:
        with self._associated([build_context(FIND)]) as association:
            try:
                for status, told in association.send_c_find(_keys(level, wanted), UID(FIND)):
                    code = _code(status)
                    if code not in PENDING:
                        self._refuse(code, "the question")
                    elif told is not None:
                        yield told
            except GeneratorExit:  # enough was heard; what is still on its way is not waited for
                association.abort()
                raise

    # ---- associations

    @contextmanager
    def _associated(
        self,
        contexts: list[PresentationContext],
        items: Sequence[Any] = (),
        handlers: Sequence[tuple[Any, Callable[..., Any]]] = (),
    ) -> Iterator[Association]:
        """An association (PS3.8) that is released afterwards."""
        self._refuse_silence()
        entity = AE(ae_title=self._pacs.our_title)
        entity.connection_timeout = entity.acse_timeout = SECONDS_TO_CONNECT
        entity.dimse_timeout = entity.network_timeout = SECONDS_TO_ANSWER
        entity.maximum_pdu_size = 0
        said: list[str] = []

        def hear(event: evt.Event) -> None:
            if isinstance(event.pdu, A_ASSOCIATE_RJ):
                said.append(event.pdu.reason_str)

        host, port = self._pacs.host_and_port
        sockets = Sockets()
        try:
            association = entity.associate(
                host,
                port,
                contexts=contexts,
                ae_title=self._pacs.their_title,
                ext_neg=[*items, *self._identity()],
                evt_handlers=[(evt.EVT_PDU_RECV, hear), *sockets.handlers(), *handlers],
                tls_args=(self._tls, host) if self._tls else None,
            )
            if not association.is_established:
                raise self._not_associated(association, said)
            try:
                self._demand_offer(association, str(contexts[0].abstract_syntax))
                yield association
            finally:
                if association.is_established:
                    association.release()
        finally:
            sockets.close()

    def _demand_offer(self, association: Association, service: str) -> None:
        if service not in {str(context.abstract_syntax) for context in association.accepted_contexts}:
            raise InvalidInput(
                f"{self._pacs.name} does not offer {OFFERED[service]}. Received: {self._pacs.their_title} at "
                f"{self._pacs.place}"
            )

    def _refuse_silence(self) -> None:
        """Whether anybody listens at all: pynetdicom tells that only in its log."""
        host, port = self._pacs.host_and_port
        try:
            with socket.create_connection((host, port), SECONDS_TO_CONNECT) as connected:
                if self._tls:
                    greet(self._tls, connected, self._pacs)
        except OSError as error:
            raise Unavailable(
                f"{self._pacs.name} cannot be reached; see whether it runs and its address is right. "
                f"Received: {self._pacs.place} ({error.strerror or 'no answer'})"
            ) from None

    def _identity(self) -> list[UserIdentityNegotiation]:
        if self._credentials is None:
            return []
        item = UserIdentityNegotiation()
        item.user_identity_type = USER_AND_PASSWORD
        item.primary_field = self._credentials.user.encode()
        item.secondary_field = self._credentials.password.encode()
        return [item]

    def _not_associated(self, association: Association, said: list[str]) -> Unavailable | NotAllowed:
        # To pynetdicom a refusal with the end of the connection close behind it may be an abort: what was heard counts.
        if association.is_rejected or said:
            who = f"{self._pacs.our_title} calling {self._pacs.their_title}"
            return NotAllowed(
                f"{self._pacs.name} does not let this Readroom in; have its AE title entered there, and look at both "
                f"titles and the password here. Received: {who}: {' '.join(said) or 'rejected'}"
            )
        where = f"{variable_of(self._pacs.name)}_CERTIFICATE"
        remedy = (
            f"see whether it asks for a certificate of ours, which {where} names"
            if self._tls
            else "see whether it speaks DICOM at this port, and without TLS"
        )
        return Unavailable(
            f"{self._pacs.name} hung up before anything was said; {remedy}. Received: {self._pacs.place}"
        )

    def _refuse(self, code: int | None, what: str) -> None:
        if code is None:
            raise Unavailable(
                f"{self._pacs.name} ended the connection half-way; what came whole stays. Received: a part of {what}"
            )
        if code != SUCCESS:
            raise InvalidInput(f"{self._pacs.name} refuses {what}; look at its log. Received: status {code:04X}")


def _contexts(kinds: set[str]) -> list[PresentationContext]:
    """What may come: each kind in each transfer syntax by a context of its own, so that nothing is coded anew.

    Where the PACS does not tell kinds, or there are too many, all usual ones in the plain transfer syntaxes.
    """
    if not kinds or "" in kinds or len(kinds) * (1 + len(COMPRESSED)) >= MOST_CONTEXTS:
        usual = [str(context.abstract_syntax) for context in StoragePresentationContexts]
        named = list(dict.fromkeys([*sorted(kinds - {""}), *usual]))
        return [build_context(kind, UNCOMPRESSED) for kind in named[: MOST_CONTEXTS - 1]]
    syntaxes = [UNCOMPRESSED, *([one] for one in COMPRESSED)]
    return [build_context(kind, syntax) for kind in sorted(kinds) for syntax in syntaxes]


def _keys(level: str, wanted: dict[str, str]) -> Dataset:
    """The identifier of a question (PS3.4 section C.4.1.1.3)."""
    keys = Dataset()
    keys.QueryRetrieveLevel = level
    if not "".join(wanted.values()).isascii():
        keys.SpecificCharacterSet = "ISO_IR 192"
    for name, value in wanted.items():
        setattr(keys, name, value)
    return keys


def _code(status: Dataset) -> int | None:
    """The status of an answer; None where the connection ended instead."""
    return int(status.Status) if "Status" in status else None


def _study(told: Dataset) -> Study:
    return Study(
        uid=_text(told, "StudyInstanceUID"),
        dated=_text(told, "StudyDate"),
        modalities=tuple(_texts(told, "ModalitiesInStudy")),
        description=_text(told, "StudyDescription"),
        patient_name=_text(told, "PatientName"),
        patient=_text(told, "PatientID"),
        series=_number(told, "NumberOfStudyRelatedSeries"),
        instances=_number(told, "NumberOfStudyRelatedInstances"),
    )


def _texts(told: Dataset, keyword: str) -> list[str]:
    value = told.get(keyword)
    if value is None or value == "":
        return []
    many = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    return [str(one).strip() for one in many]


def _text(told: Dataset, keyword: str) -> str:
    return next(iter(_texts(told, keyword)), "")


def _number(told: Dataset, keyword: str) -> int | None:
    text = _text(told, keyword)
    return int(text) if text.isdigit() else None
