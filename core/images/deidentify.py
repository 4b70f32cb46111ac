"""De-identification before anything is stored: PS3.15 Annex E, Basic Profile, by a list of what is kept.

What the list (`profile/kept.csv`) does not name is removed at every depth: private attributes, curves, overlays,
and whatever a later edition of the standard adds. What it names stays only when its value is of the kind it should
be. References are to DICOM PS3.15 (2026c).
"""

import io
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from pydicom import dcmwrite
from pydicom.datadict import dictionary_description, dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element, write_file_meta_info
from pydicom.uid import UID, ExplicitVRLittleEndian

from core.images.decoded import Change
from core.images.deidentify_alike import Alike, Charset, Cleaned, Notes, charset_of, key_of
from core.images.deidentify_profile import Kept, basic_actions, kept_attributes
from core.images.deidentify_values import Patient, Unfit, clean_value
from core.images.pseudonyms import days_of, patient_name, pseudonym
from core.projects.deidentification import Deidentification

DEEPEST = 16  # sequences in sequences; no object of the standard comes near
PIXELS = {0x7FE00001, 0x7FE00002, 0x7FE00003, 0x7FE00008, 0x7FE00009, 0x7FE00010}
IMPLEMENTATION = "2.25.197526436803418203447935713542219746305"  # ours, drawn once
PIXELS_CLEANED = ("113101", "Clean Pixel Data Option")
MODIFIED_DATES = ("113107", "Retain Longitudinal Temporal Information Modified Dates Option")
# PS3.16 CID 7050, in the words of the table of codes.
METHODS = {
    "clean_descriptors": ("113105", "Clean Descriptors Option"),
    "shift_dates": MODIFIED_DATES,
    "retain_patient": ("113108", "Retain Patient Characteristics Option"),
    "retain_device": ("113109", "Retain Device Identity Option"),
}
# Type 2 of the patient, study and series (PS3.3): other objects that refer to this one need them to be there.
NEEDED = (0x00080020, 0x00080030, 0x00080050, 0x00080090, 0x00100010, 0x00100020, 0x00100030, 0x00100040, 0x00200010)
SAID = (0x00120062, 0x00120063, 0x00120064, 0x00280303)  # of what was done
BASIC = ("113100", "Basic Application Confidentiality Profile")


@dataclass(frozen=True)
class Deidentified:
    """A data set without pixels that may be stored, and what became of each attribute."""

    dataset: Dataset
    changes: tuple[Change, ...]
    patient: str | None = None  # the pseudonym
    number: str | None = None  # that of the number alone, where the header also names its issuer
    crosswalk: str | None = None  # a sealed line that says whose it is, where the project keeps such


@dataclass
class _Walk:
    options: Deidentification
    patient: Patient
    alike: Alike | None = None
    found: Notes = field(default_factory=Counter)

    def note(self, path: str, tag: int, done: str, rule: str) -> None:
        self.found[(path, name_of(tag), done, rule)] += 1

    def note_all(self, notes: Notes) -> None:
        for note, times in notes.items():
            self.found[note] = self.found.get(note, 0) + times


def deidentify(dataset: Dataset, options: Deidentification, secret: bytes, alike: Alike | None = None) -> Deidentified:
    """A new data set with only what may stay; the given one is left as it is.

    The same patient, study, series and instance get the same pseudonyms from the same secret. Dates move by a number
    of days that is the patient's own, so that intervals stay.

    Args:
        alike: what was made of files before, which makes those of one series cheap. The outcome is the same without.
    """
    key = patient_key(dataset)
    name = pseudonym(secret, key) if key else None
    patient = Patient(secret, name, days_of(secret, key) if key and options.shift_dates else None)
    if alike is not None:
        alike.begin(options, secret)
    walk = _Walk(options, patient, alike)
    clean = _walked(dataset, walk, "", 0)
    for tag in NEEDED:
        if tag not in clean:
            clean.add_new(tag, dictionary_VR(tag), "")
    clean.PatientName = clean.PatientID = name or ""
    _say_what_was_done(clean, options, alike, moved=patient.days is not None)
    clean.file_meta = _file_meta(clean)
    clean.preamble = bytes(128)
    _note_meta(dataset, walk)
    told = None
    if options.crosswalk_key and key and name:
        from core.images.crosswalk import sealed_entry  # brings ciphers along, which few projects need

        told = sealed_entry(options.crosswalk_key, name, key)
    return Deidentified(clean, _changes_of(tuple(walk.found.items())), name, _number(dataset, secret), told)


def left_as_it_is(dataset: Dataset) -> Deidentified:
    """A data set without its pixels and otherwise unchanged: for projects that an administrator has excepted."""
    clean = Dataset()
    for tag in dataset.keys():  # noqa: SIM118 (a Dataset iterates over its elements)
        if int(tag) not in PIXELS:
            clean[tag] = dataset.get_item(tag)
    clean.file_meta = _file_meta(clean)
    clean.preamble = bytes(128)
    number = str(dataset.get("PatientID") or "").strip()
    change = Change("", "", "kept", "the project imports without de-identification")
    return Deidentified(clean, (change,), number or str(dataset.get("StudyInstanceUID") or "").strip() or None)


def patient_key(dataset: Dataset) -> str | None:
    """What tells the patient: his number, else the study, as images of one study show one patient."""
    number = str(dataset.get("PatientID") or "").strip()
    if number:
        return f"patient {str(dataset.get('IssuerOfPatientID') or '').strip()}/{number}"
    study = str(dataset.get("StudyInstanceUID") or "").strip()
    return f"study {study}" if study else None


def _number(dataset: Dataset, secret: bytes) -> str | None:
    """What a label table, which tells no issuers, calls the patient of a header that tells one (decision 021)."""
    number, issuer = (str(dataset.get(word) or "").strip() for word in ("PatientID", "IssuerOfPatientID"))
    return patient_name(secret, number) if number and issuer else None


@lru_cache(maxsize=256)
def _changes_of(found: tuple[tuple[tuple[str, str, str, str], int], ...]) -> tuple[Change, ...]:
    """The same for most files of a series."""
    changes = (Change(*told, times) for told, times in found)
    return tuple(sorted(changes, key=lambda change: change.path))


def header_bytes(dataset: Dataset, alike: Alike | None = None) -> bytes:
    """A de-identified data set as a file: explicit little endian, an empty preamble, our own file meta.

    Args:
        alike: with which it was de-identified.
    """
    whole = "SOPClassUID" in dataset and "SOPInstanceUID" in dataset
    if alike is not None and whole and dataset.SOPClassUID and dataset.SOPInstanceUID:  # else it is refused below
        return _header_of_pieces(dataset, alike)
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, implicit_vr=False, little_endian=True, enforce_file_format=whole)
    return buffer.getvalue()


def _header_of_pieces(dataset: Dataset, alike: Alike) -> bytes:
    """As `dcmwrite` writes it (PS3.10 section 7.1), from elements that are written once."""
    pieces = [bytes(128), b"DICM", _meta_bytes(str(dataset.SOPClassUID), str(dataset.SOPInstanceUID))]
    for tag in sorted(dataset.keys(), key=int):  # of tags themselves each comparison is a call
        if tag.element == 0:  # the length of a group, which is retired (PS3.5 section 7.2)
            continue
        element = dataset[tag]
        piece = alike.written.get(id(element))
        if not piece:
            buffer = DicomBytesIO()
            buffer.is_implicit_VR, buffer.is_little_endian = False, True
            write_data_element(buffer, element)
            written = buffer.getvalue()
            if piece is not None:
                alike.written[id(element)] = written
            piece = written
        pieces.append(piece)
    return b"".join(pieces)


def _meta_bytes(sop_class: str, sop_instance: str) -> bytes:
    """Group 0002, which says nothing but the object's two UIDs: what is around them is written once."""
    before, between, after = _meta_around(sop_class)
    instance = sop_instance.encode("ascii")
    instance += bytes(len(instance) % 2)  # to an even length, by a zero (PS3.5 section 9.1)
    length = len(between) + 2 + len(instance) + len(after)
    return before + struct.pack("<I", length) + between + struct.pack("<H", len(instance)) + instance + after


@lru_cache(maxsize=64)
def _meta_around(sop_class: str) -> tuple[bytes, bytes, bytes]:
    """The bytes up to the group's length, from there to the length of the instance's UID, and behind that UID."""
    meta = Dataset()
    meta.SOPClassUID, meta.SOPInstanceUID = sop_class, "9"
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_file_meta_info(buffer, _file_meta(meta), enforce_standard=True)
    written = buffer.getvalue()
    at = written.index(b"\x02\x00\x03\x00UI") + 6  # Media Storage SOP Instance UID
    return written[:8], written[12:at], written[at + 4 :]


@lru_cache(maxsize=4096)
def name_of(tag: int) -> str:
    """The standard's name of an attribute; a private one has none that could be trusted."""
    return dictionary_description(tag) if not (tag >> 16) % 2 and dictionary_has_tag(tag) else ""


# ---- the walk


def _walked(dataset: Dataset, walk: _Walk, above: str, depth: int) -> Dataset:
    clean = Dataset()
    kept_by_tag = kept_attributes()
    charset = charset_of(dataset) if depth == 0 else None
    for tag in sorted(dataset.keys(), key=int):  # of tags themselves each comparison is a call
        number = int(tag)
        kept = kept_by_tag.get(number)
        path = f"{above}({number >> 16:04X},{number & 0xFFFF:04X})"
        refusal = _refusal(number, kept, walk, depth)
        if kept is None or refusal:
            if (number >> 16) % 2:  # one line a private group: their numbers mean nothing to anybody else
                path = f"{above}({number >> 16:04X},xxxx)"
            _left_out(clean, walk, path, number, depth, refusal)
            continue
        if depth == 0 and walk.alike is not None:
            _clean_as_before(clean, dataset, number, kept, walk, walk.alike, path, charset)
        else:
            _clean_into(clean, dataset, number, kept, walk, path, depth)
    return clean


def _clean_into(clean: Dataset, dataset: Dataset, number: int, kept: Kept, walk: _Walk, path: str, depth: int) -> None:
    try:
        clean.add(_element(dataset, number, kept, walk, path, depth))
    except Unfit as unfit:
        _left_out(clean, walk, path, number, depth, str(unfit))


def _clean_as_before(
    clean: Dataset,
    dataset: Dataset,
    number: int,
    kept: Kept,
    walk: _Walk,
    alike: Alike,
    path: str,
    charset: Charset,
) -> None:
    key = key_of(dataset, number, kept, walk.patient, charset)
    if key is None:
        _clean_into(clean, dataset, number, kept, walk, path, 0)
        return
    cleaned = alike.find(key)
    if cleaned is None:
        one, apart = _Walk(walk.options, walk.patient), Dataset()
        _clean_into(apart, dataset, number, kept, one, path, 0)
        cleaned = Cleaned(apart.get(number), one.found)
        alike.add(key, cleaned)
    if cleaned.element is not None:
        clean.add(cleaned.element)
    walk.note_all(cleaned.notes)


def _left_out(clean: Dataset, walk: _Walk, path: str, tag: int, depth: int, rule: str) -> None:
    needed = depth == 0 and tag in NEEDED
    if needed:
        clean.add_new(tag, dictionary_VR(tag), "")
    walk.note(path, tag, "emptied" if needed else "removed", rule)


def _refusal(tag: int, kept: Kept | None, walk: _Walk, depth: int) -> str:
    """Why an attribute must not stay, whatever its value; empty where it may."""
    group = tag >> 16
    if kept is not None:
        if kept.option and not getattr(walk.options, kept.option):
            return f"Table E.1-1: {basic_actions().get(tag, 'not in it')}; the project does not keep it"
        if kept.option == "keep_times" and walk.patient.days is None:  # times alone are part of no option (E.3.6)
            return f"Table E.1-1: {basic_actions().get(tag, 'not in it')}; times stay beside moved dates alone"
        return "" if depth == 0 or kept.anywhere else "not kept inside a sequence"
    if group % 2:
        return "Table E.1-1: X, private"
    if group & 0xFF00 == 0x5000:
        return "Table E.1-1: X, curve"
    if group & 0xFF00 == 0x6000:
        return "Table E.1-1: X, overlay"
    if tag in PIXELS:
        return "the pixels are stored apart from the header"
    action = basic_actions().get(tag)
    return f"Table E.1-1: {action}" if action else "not on the list of what is kept"


def _element(dataset: Dataset, tag: int, kept: Kept, walk: _Walk, path: str, depth: int) -> DataElement:
    raw = dataset.get_item(tag)
    said = raw.VR if isinstance(raw, (RawDataElement, DataElement)) else None
    if said not in (None, "UN") and said not in kept.vrs and said not in (" or ".join(sorted(kept.vrs)),):
        raise Unfit("another value representation than the standard's")
    try:
        element = dataset[tag]
    except (ValueError, TypeError, OverflowError, NotImplementedError) as error:
        raise Unfit("not readable as what it should be") from error
    if kept.check == "sequence":
        return _sequence(element, kept, walk, path, depth)
    if element.VR not in kept.vrs:
        raise Unfit("another value representation than the standard's")
    try:
        cleaned = clean_value(kept, element, walk.patient)
        new = DataElement(tag, element.VR, cleaned.value)
    except (ValueError, TypeError, OverflowError) as error:
        raise Unfit("not readable as what it should be") from error
    walk.note(path, tag, cleaned.done, cleaned.rule or kept.reason)
    return new


def _sequence(element: DataElement, kept: Kept, walk: _Walk, path: str, depth: int) -> DataElement:
    if element.VR != "SQ":
        raise Unfit("another value representation than the standard's")
    if depth >= DEEPEST:
        raise Unfit("deeper than any object of the standard")
    items = [_walked(item, walk, f"{path} > ", depth + 1) for item in element.value]
    walk.note(path, kept.tag, "kept", kept.reason)
    return DataElement(kept.tag, "SQ", items)


# ---- what is added


def _say_what_was_done(clean: Dataset, options: Deidentification, alike: Alike | None, *, moved: bool) -> None:
    """(0012,0062) to (0012,0064) and (0028,0303), whatever the file said of itself before (PS3.15 E.3.6).

    Args:
        moved: its dates are; they are removed, and so are its times, where the project or the file has it so.
    """
    if alike is not None and moved in alike.said:
        for element in alike.said[moved]:
            clean.add(element)
        return
    codes = [BASIC, *(code for option, code in METHODS.items() if getattr(options, option))]
    if not moved:
        codes = [code for code in codes if code != MODIFIED_DATES]
    clean.PatientIdentityRemoved = "YES"
    clean.DeidentificationMethod = [meaning for _, meaning in codes]
    clean.DeidentificationMethodCodeSequence = [_code(*code) for code in codes]
    clean.LongitudinalTemporalInformationModified = "MODIFIED" if moved else "REMOVED"
    if alike is not None:
        alike.say(moved, [clean[tag] for tag in SAID])


def say_pixels_cleaned(clean: Dataset) -> None:
    """Add to a de-identified data set that a person has blacked out what was burned in."""
    clean.BurnedInAnnotation = "NO"
    clean.DeidentificationMethod = [*_listed(clean.get("DeidentificationMethod")), PIXELS_CLEANED[1]]
    clean.DeidentificationMethodCodeSequence = [
        *(clean.get("DeidentificationMethodCodeSequence") or []),
        _code(*PIXELS_CLEANED),
    ]


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item


def _file_meta(clean: Dataset) -> FileMetaDataset:
    """Group 0002 anew: nothing of it says who sent the file or what wrote it before (PS3.10 section 7.1)."""
    meta = FileMetaDataset()
    if "SOPClassUID" in clean and "SOPInstanceUID" in clean:
        meta.MediaStorageSOPClassUID = clean.SOPClassUID
        meta.MediaStorageSOPInstanceUID = clean.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION)
    meta.ImplementationVersionName = "READROOM"
    return meta


def _note_meta(dataset: Dataset, walk: _Walk) -> None:
    meta = getattr(dataset, "file_meta", None)
    walk.note_all(_meta_notes(tuple(meta.keys()) if meta else ()))
    if any(getattr(dataset, "preamble", None) or b""):
        walk.found[("(preamble)", "Preamble", "removed", "it may hold a picture or a name of its own")] += 1


@lru_cache(maxsize=256)
def _meta_notes(tags: tuple[int, ...]) -> Notes:
    """What is noted of a group 0002 of these elements and of what is added: the same for most files of an import."""
    rules = [(tag, "replaced", "the file's own group is written anew") for tag in tags]
    rules += [(tag, "added", "says what was done") for tag in SAID]
    return Counter((f"({tag >> 16:04X},{tag & 0xFFFF:04X})", name_of(tag), done, rule) for tag, done, rule in rules)


def _listed(value: Any) -> Sequence[str]:
    return [] if not value else [value] if isinstance(value, str) else list(value)
