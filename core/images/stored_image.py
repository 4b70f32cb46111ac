"""A file of an import is read beside others, and its pixels, thumbnail and headers are stored before any row."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from core.errors import InvalidInput
from core.images.decoded import DecodedImage
from core.images.decoding import kind_of, refusal_of
from core.images.headers import NewHeader, store_headers
from core.images.looking import READABLE
from core.images.nifti import GZIP
from core.images.one_import import OneImport
from core.images.pixel_checks import Template
from core.images.reading_child import FileRead, ReaderEnded
from core.images.reading_children import ReadingChildren
from core.images.shown import Shown, shown_of
from core.images.sources import SourceFile, read_source, read_start
from core.images.synthetic_mark import refuse_synthetic
from core.images.time_points import numbered
from core.images.units import ReadUnit
from core.store.files import Files


@dataclass(frozen=True)
class StoredImage:
    """An image whose pixels and thumbnail lie in the file store."""

    image: DecodedImage
    pixel_hash: str
    file_hash: str
    perceptual_hash: str
    headers: tuple[NewHeader, ...] = ()
    template: Template | None = None  # by which the pixels were blacked out


@dataclass(frozen=True)
class ReadFile:
    """A file that was read; what may have to be blacked out is not stored yet, and of a slice only its header."""

    image: DecodedImage
    file_hash: str
    stored: StoredImage | None = None
    headers: tuple[NewHeader, ...] = ()


def read_file(what: OneImport, file: SourceFile, *, is_slice: bool) -> ReadFile:
    """A file, read and stored beside others: nothing here asks the database.

    Raises:
        InvalidInput: it cannot be read, or is refused.
    """
    children = what.reader if file.member is None and isinstance(what.reader, ReadingChildren) else None
    content = read_start(file, what.settings) if children else read_source(file, what.archives, what.settings)
    name = numbered(file.source, file.time_point)
    try:
        if not content.startswith(GZIP) and kind_of(content) not in READABLE:  # told without a reader
            raise InvalidInput(refusal_of(content, file.source))
        refuse_synthetic(content)
        if children:
            part = None if is_slice else what.files.name_part("pixels")
            read = children.read_file(file.location, name, shown=not is_slice, into=part)
        else:
            part = None
            read = FileRead(*what.read(content, name, shown=not is_slice), hashlib.sha256(content).hexdigest())
    except InvalidInput as error:
        if not (isinstance(error, ReaderEnded) or isinstance(error.__cause__, MemoryError)):  # the machine's doing
            what.refused.fresh.add(file.path)
        raise
    image, file_hash = read.image, read.file_hash
    if image.to_check and what.project.deidentification.apply_templates:
        if part:
            part.unlink()  # something may have to be blacked out first; until then they are read from there
        return ReadFile(image, file_hash)
    if is_slice:
        return ReadFile(image, file_hash, headers=tuple(store_headers(what.files, image.headers)))
    if part is None:
        return ReadFile(image, file_hash, store_image(what.files, file_hash, image, read.shown))
    what.files.adopt("pixels", read.pixel_hash, part)
    headers = store_headers(what.files, image.headers)
    return ReadFile(image, file_hash, _stored(what.files, file_hash, image, read.pixel_hash, read.shown, headers))


def store_image(files: Files, file_hash: str, image: DecodedImage, shown: Shown | None = None) -> StoredImage:
    """Pixels and thumbnail first: a kill before the transaction leaves files without a case, never the reverse."""
    pixel_hash = files.put_array("pixels", image.pixels)
    return _stored(files, file_hash, image, pixel_hash, shown, store_headers(files, image.headers))


def store_volume(files: Files, read: ReadUnit, image: DecodedImage, headers: Mapping[str, NewHeader]) -> StoredImage:
    """The same of slices put together, of which what was written on the way is not written again.

    Args:
        image: of the unit; with other pixels where something was blacked out.
        headers: of slices, by their path, that lie in the file store.
    """
    if image is not read.image:
        return store_image(files, read.file_hash, image)
    pixel_hash = read.written.put() if read.written else files.put_array("pixels", image.pixels)
    there = [headers[file.path] for file in read.taken if file.path in headers]
    if len(there) == len(image.headers):
        there = [replace(header, frame=frame) for frame, header in enumerate(there)]
    else:
        there = store_headers(files, image.headers)
    return _stored(files, read.file_hash, image, pixel_hash, None, there)


def _stored(
    files: Files, file_hash: str, image: DecodedImage, pixel_hash: str, shown: Shown | None, headers: list[NewHeader]
) -> StoredImage:
    shown = shown or shown_of(image)
    files.put_under("thumbnails", pixel_hash, shown.thumbnail)
    return StoredImage(image, pixel_hash, file_hash, shown.perceptual_hash, tuple(headers))


def still_stored(what: OneImport, stored: StoredImage) -> StoredImage:
    """The last case of these pixels may have been erased since; in a transaction nobody takes them away."""
    if _is_whole(what.files, stored):
        return stored
    again = replace(store_image(what.files, stored.file_hash, stored.image), template=stored.template)
    what.files.keep()
    return again


def _is_whole(files: Files, stored: StoredImage) -> bool:
    """Whether its files are still there: another import may have removed what no case named yet."""
    return (
        files.has("pixels", stored.pixel_hash)
        and files.has("thumbnails", stored.pixel_hash)
        and all(files.has("headers", header.header_hash) for header in stored.headers)
    )
