"""A stored image becomes a case, with its labels and the record of its files, within the caller's transaction."""

from collections.abc import Sequence

from core.errors import CoreError, InvalidInput, some_of
from core.images.crosswalk import note
from core.images.headers import add_headers, count_instances, list_headers
from core.images.import_report import NAMED_AT_MOST, OPPOSITE_LABELS, SAME_PIXELS
from core.images.label_table import TableRow
from core.images.nifti import TIME_POINT
from core.images.one_import import OneImport
from core.images.pixel_checks import hold
from core.images.records import (
    Case,
    FileStatus,
    ImportedFile,
    NewCase,
    PatientFrom,
    find_same_pixels,
    find_same_pixels_before,
    find_same_source,
    find_synthetic,
    get_case,
    has_patient,
    insert_case,
    is_mentioned,
)
from core.images.series import STACK
from core.images.sources import SourceFile
from core.images.stored_image import StoredImage
from core.images.superseding import give_way
from core.images.units import Unit


def keep(what: OneImport, unit: Unit, taken: Sequence[SourceFile], stored: StoredImage) -> list[ImportedFile]:
    """The case, its labels and the record of its files; the caller holds the transaction."""

    def recorded(status: FileStatus, case: Case, reason: str) -> list[ImportedFile]:
        return [
            what.record(unit, file, status, case.id, _joined(case, frame, len(taken), reason if frame == 1 else ""))
            for frame, file in enumerate(taken, 1)
        ]

    row = row_of(what, unit, taken)
    source = taken[0].source
    same = find_same_pixels(what.connection, what.project.id, stored.pixel_hash)
    blacked = find_same_pixels_before(what.connection, what.project.id, stored.pixel_hash)
    real = [case for case in (*same, *blacked) if case.synthetic is None]
    own = next((case for case in real if _is_own(what, case, source, stored)), None)
    if own is not None:
        if what.on_skipped:
            what.on_skipped(what.connection, own, row)
        known = "same source" if own.source == source else "same series"
        reason = f"Already there as case {own.id}: {known} and same pixels.{kept_as_it_was(own, row)}"
        return recorded("skipped", own, reason)
    _refuse_drawn(what, stored)
    parts = _parts_of(what, stored)
    others = [case for case in find_same_source(what.connection, what.project.id, source) if case not in parts]
    case = insert_case(what.connection, _new_case(what, source, stored, row))
    add_headers(what.connection, case.id, stored.headers)
    if stored.image.crosswalk:
        note(what.settings, what.project.id, stored.image.crosswalk)
    reasons = [*stored.image.oddities, *_on_issuer(case, stored, row)]
    status: FileStatus = "joined" if len(taken) > 1 else "imported"
    if stored.image.to_check:
        check = hold(what.connection, case, stored.image.to_check, stored.image.device, stored.template)
        status = "held" if check.state == "held" else status
        said = "Blacked out by the template of its device." if stored.template else "Held for a check of its pixels."
        reasons.append(f"{said} {stored.image.to_check}")
    what.on_case(what.connection, case, row)
    reasons += [_on_same_pixels(what, case, same)] if same else []
    if others:
        reasons.append(f"Another image came under this name before: case {_ids(others)}.")
    kept = [part for part in parts if is_mentioned(what.connection, part)]
    for part in parts:
        if part not in kept:
            give_way(what.connection, what.files, part, case, what.actor)
            reasons.append(f"Replaces case {part.id}, which had {part.frames} of these slices and nothing said of it.")
    if kept:
        reasons.append(
            f"Fewer of these slices came in before, as case {_ids(kept)}, which stays with all that is said of it: "
            f"delete it on its page once nobody needs it."
        )
    return recorded(status, case, " ".join(reasons))


def _refuse_drawn(what: OneImport, stored: StoredImage) -> None:
    """A drawn image that was saved anew no longer says what it is; its pixels do (`core.images.synthetic_mark`).

    Raises:
        InvalidInput: a model drew these pixels, into any project of the home or into a folder.
    """
    drawn = find_synthetic(what.connection, stored.pixel_hash)
    if drawn is None and stored.pixel_hash not in what.drawn:
        return
    # Of another project no case is named: whoever imports here may not be a member there.
    known = f"those of case {drawn.id}" if drawn and drawn.project == what.project.id else "those of a drawn image"
    raise InvalidInput(
        f"A model drew this image, whatever the file says: its pixels are {known}. It is no case to be read or tested "
        f"on; to learn from drawn images, let `readroom generate` keep them with `--into PROJECT`. "
        f"Received: an image with the pixels of a synthetic one"
    )


def _joined(case: Case, frame: int, frames: int, reason: str) -> str:
    if frames == 1:
        return reason
    return f"Joined into case {case.id}, frame {frame} of {frames}.{' ' if reason else ''}{reason}"


def _is_own(what: OneImport, case: Case, source: str, stored: StoredImage) -> bool:
    """Whether a case of the same pixels is this image, come in before: by its name, or as the instances of a series."""
    if what.names.same(case.source, source):
        return True
    instances = [header.sop_uid for header in stored.headers]
    return (
        len(instances) > 1
        and all(instances)
        and instances == [header.sop_uid for header in list_headers(what.connection, case.id)]
    )


def _parts_of(what: OneImport, stored: StoredImage) -> list[Case]:
    """Volumes that were made of some of these instances while the others could not be read."""
    instances = [header.sop_uid for header in stored.headers]
    if len(instances) < 2 or not all(instances):
        return []
    counts = count_instances(what.connection, what.project.id, instances)
    cases = [get_case(what.connection, case_id) for case_id in counts]
    return [case for case in cases if counts[case.id] == case.frames < len(instances)]


def row_of(what: OneImport, unit: Unit, taken: Sequence[SourceFile]) -> TableRow | None:
    """What the table says of one of the files, or of the folder of a volume."""
    rows = _rows_of(what, unit, taken)
    told = {(row.labels, row.patient, row.split) for row in rows}
    if len(told) > 1:
        raise InvalidInput(
            f"The table says different things of the slices of one volume; name its folder once. "
            f"Received: {some_of([str(row.labels or row.patient or row.split) for row in rows], NAMED_AT_MOST)}"
        )
    return rows[0] if rows else None


def said_of_table(what: OneImport, unit: Unit, taken: Sequence[SourceFile], error: CoreError) -> str:
    """Why what the table says is refused, by the lines that say it: the report is kept, and a cell may hold a name."""
    sentence, received, _ = str(error).partition(" Received: ")
    rows = _rows_of(what, unit, taken)
    if not what.project.deidentification.enabled or not received or not rows:
        return str(error)
    lines = [str(line) for line in sorted({line for row in rows for line in row.lines})]
    where = f"{'line' if len(lines) == 1 else 'lines'} {some_of(lines, NAMED_AT_MOST)} of " if lines else ""
    return f"{sentence} Received: {where}the label table"


def _rows_of(what: OneImport, unit: Unit, taken: Sequence[SourceFile]) -> list[TableRow]:
    names = [file.source for file in taken]
    return [what.rows[name] for name in ([*names, unit.folder] if len(unit.files) > 1 else names) if name in what.rows]


def kept_as_it_was(case: Case, row: TableRow | None) -> str:
    """What a later table says otherwise of a case that is there: labels are added, the case itself stays."""
    said = ((row.patient, case.patient, "patient"), (row.split, case.given_split, "split")) if row else ()
    return "".join(
        f" Its {name} stays {old or 'unknown'}; the table says {new}." for new, old, name in said if new and new != old
    )


def _new_case(what: OneImport, source: str, stored: StoredImage, row: TableRow | None) -> NewCase:
    image = stored.image
    picture = image.picture
    patient, patient_from = _patient(what, source, stored, row)
    return NewCase(
        project=what.project.id,
        source=source,
        patient=patient,
        patient_from=patient_from,
        pixel_hash=stored.pixel_hash,
        file_hash=stored.file_hash,
        perceptual_hash=stored.perceptual_hash,
        frames=image.frames,
        rows=picture.shape[0],
        columns=picture.shape[1],
        channels=1 if picture.ndim == 2 else picture.shape[2],
        dtype=str(picture.dtype),
        photometric=image.photometric,
        imported_by=what.actor.name,
        modality=image.modality,
        view=image.view,
        spacing_mm=image.spacing_mm,
        spacing_at=image.spacing_at,
        slice_spacing_mm=image.slice_spacing_mm,
        affine=image.affine,
        windows=image.windows,
        attributes={**image.attributes, **(row.attributes if row else {})},
        given_split=row.split if row else None,
    )


def _patient(what: OneImport, source: str, stored: StoredImage, row: TableRow | None) -> tuple[str, PatientFrom]:
    """The table's word goes before the header's, the header's before the file name's."""
    number = stored.image.patient_number
    if number and stored.image.patient and (row is None or row.patient in (None, "", number)):
        return _of_one_number(what, stored.image.patient, number, bool(row and row.patient))
    if row and row.patient:
        return row.patient, "table"
    if stored.image.patient:
        return stored.image.patient, "dicom"
    found = what.pattern.search(what.names.real(source)) if what.pattern else None
    matched = (found[1] if found.re.groups else found[0]) if found else None
    if matched:
        return what.names.patient(matched), "pattern"
    # Where nothing tells, each picture is its own patient; copies of one picture are then one. What is one of several
    # volumes of a file is of the same patient as the others.
    is_part = TIME_POINT in stored.image.attributes or STACK in stored.image.attributes
    alone = stored.file_hash if is_part else stored.pixel_hash
    return f"case:{alone[:16]}", "none"


def _of_one_number(what: OneImport, header: str, number: str, by_table: bool) -> tuple[str, PatientFrom]:
    """A header with an issuer, and a table that means the same number or says nothing: whichever of the two names the
    project has already, so that no patient gets a second one (decision 021)."""
    first, other = (number, header) if by_table else (header, number)
    here, there = (has_patient(what.connection, what.project.id, name) for name in (first, other))
    name = other if there and not here else first
    return name, "table" if name == number else "dicom"


def _on_issuer(case: Case, stored: StoredImage, row: TableRow | None) -> list[str]:
    """A name that is not the one that this file alone would have got is no secret."""
    asked = row.patient if row and row.patient else stored.image.patient
    if not stored.image.patient_number or case.patient == asked or not asked:
        return []
    if case.patient == stored.image.patient:
        return [
            "Its patient keeps the name by number and issuer that is there already, not that of the table's number."
        ]
    return ["Its patient is the one that a table named by this number alone; the issuer in the header is passed over."]


def _on_same_pixels(what: OneImport, case: Case, same: Sequence[Case]) -> str:
    """Which cases show the same pixels, and what they contradict this one in: all are looked at, a few are named."""
    sentences = [f"{SAME_PIXELS}{_ids(same)}."]
    strangers = [(other, _whose(other)) for other in same if other.patient != case.patient]
    if strangers:
        sentences.append(f"The patient differs: {_whose(case)} here, {_there(strangers, same)}.")
    answers = _answers(what, [case, *same])  # mine read back too: "Normal" of a table is "normal" of an older case
    mine = answers[case.id]
    opposite = [(other, ", ".join(said)) for other in same if (said := answers[other.id]) and set(said) != set(mine)]
    if mine and opposite:
        sentences.append(f"{OPPOSITE_LABELS[1:]}{', '.join(mine)} here, {_there(opposite, same)}.")
    return " ".join(sentences)


def _whose(case: Case) -> str:
    return "not known" if case.patient_from == "none" else case.patient


def _there(differing: Sequence[tuple[Case, str]], same: Sequence[Case]) -> str:
    """What is said of the cases that differ, and which of those of the same pixels they are."""
    words = some_of(list(dict.fromkeys(said for _, said in differing)), NAMED_AT_MOST, between=" or ")
    if len(same) == 1:
        return f"{words} there"
    return f"{words} in {len(differing)} of those {len(same)}: case {_ids([case for case, _ in differing])}"


def _answers(what: OneImport, cases: Sequence[Case]) -> dict[int, list[str]]:
    """What is said of each case: the stored answers where the caller can tell them, else this table's."""
    if what.labels_of:
        stored = what.labels_of(what.connection, cases)
        return {case.id: list(stored.get(case.id, ())) for case in cases}
    told = {case.id: row.labels for case in cases if (row := what.rows.get(case.source))}
    return {case.id: [said for said in [told.get(case.id)] if said] for case in cases}


def _ids(cases: Sequence[Case]) -> str:
    return some_of([f"{case.id} ({case.source})" for case in cases], NAMED_AT_MOST)
