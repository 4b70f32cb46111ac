"""What a file would become, told from its first bytes, so that nothing comes in before somebody has seen it."""

from core.errors import InvalidInput
from core.images.archives import OpenArchives
from core.images.decoding import kind_of, refusal_of
from core.images.records import FileStatus
from core.images.series_report import say_what_becomes
from core.images.sources import SourceFile, cannot_read
from core.images.synthetic_mark import refuse_synthetic
from core.images.units import Unit

START_BYTES = 1 << 16
READABLE = ("PNG", "JPEG", "TIFF", "DICOM", "NIfTI", "NRRD")


def foresee(unit: Unit, archives: OpenArchives) -> tuple[FileStatus, str]:
    """`waiting` with what becomes of the unit, or `failed` with the sentence of a refusal that is certain already."""
    if unit.group is not None:
        return "waiting", say_what_becomes(unit.group)
    (file,) = unit.files
    if file.refusal:
        return "failed", file.refusal
    try:
        start = _start_of(file, archives)
        refuse_synthetic(start)
    except InvalidInput as error:
        return "failed", str(error)
    kind = kind_of(start)
    if kind not in READABLE:
        return "failed", refusal_of(start, file.source)
    if kind == "DICOM":
        return "waiting", "A DICOM file whose header says too little to tell what becomes of it."
    point = f", volume {file.time_point} of the file" if file.time_point is not None else ""
    return "waiting", f"Becomes a case ({kind}{point})."


def _start_of(file: SourceFile, archives: OpenArchives) -> bytes:
    try:
        if file.member is not None:
            return archives.start(file.location, file.member, START_BYTES)
        with file.location.open("rb") as stream:
            return stream.read(START_BYTES)
    except OSError as error:
        raise InvalidInput(cannot_read(error)) from error
