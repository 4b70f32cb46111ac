"""A file of an import is read beside others, and its pixels, thumbnail and headers are stored before any row."""

import hashlib
from dataclasses import dataclass, replace

from core.errors import InvalidInput
from core.images.decoded import DecodedImage
from core.images.decoding import kind_of, refusal_of
from core.images.headers import NewHeader, store_headers
from core.images.looking import READABLE
from core.images.nifti import GZIP
from core.images.one_import import OneImport
from core.images.pixel_checks import Template
from core.images.reading_child import ReaderEnded
from core.images.shown import Shown, shown_of
from core.images.sources import SourceFile, read_source
from core.images.time_points import numbered
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
    """A file that was read; nothing is stored yet of a slice's pixels, and of what may have to be blacked out."""

    image: DecodedImage
    file_hash: str
    stored: StoredImage | None = None


def read_file(what: OneImport, file: SourceFile, *, is_slice: bool) -> ReadFile:
    """A file, read and stored beside others: nothing here asks the database.

    Raises:
        InvalidInput: it cannot be read, or is refused.
    """
    content = read_source(file, what.archives, what.settings)
    file_hash = hashlib.sha256(content).hexdigest()
    try:
        if not content.startswith(GZIP) and kind_of(content) not in READABLE:  # told without a reader
            raise InvalidInput(refusal_of(content, file.source))
        image, shown = what.read(content, numbered(file.source, file.time_point), shown=not is_slice)
    except InvalidInput as error:
        if not (isinstance(error, ReaderEnded) or isinstance(error.__cause__, MemoryError)):  # the machine's doing
            what.refused.fresh.add(file.path)
        raise
    if image.to_check and what.project.deidentification.apply_templates:
        return ReadFile(image, file_hash)  # something may have to be blacked out first
    if is_slice:
        store_headers(what.files, image.headers)
        return ReadFile(image, file_hash)
    return ReadFile(image, file_hash, store_image(what.files, file_hash, image, shown))


def store_image(files: Files, file_hash: str, image: DecodedImage, shown: Shown | None = None) -> StoredImage:
    """Pixels and thumbnail first: a kill before the transaction leaves files without a case, never the reverse."""
    pixel_hash = files.put_array("pixels", image.pixels)
    shown = shown or shown_of(image)
    files.put_under("thumbnails", pixel_hash, shown.thumbnail)
    headers = tuple(store_headers(files, image.headers))
    return StoredImage(image, pixel_hash, file_hash, shown.perceptual_hash, headers)


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
