"""Masks out of Readroom: label maps as PNG and NIfTI, or arrays as `.npy`, with a table of what is in them.

A label map has one number for each structure, in the order of the project. Where structures lie over each other no
one map can tell it, so each gets a file of its own. Every file holds exactly the pixels that were painted. A NIfTI
tells even steps alone: of a volume whose slices are missing, shifted or unevenly apart, masks are arrays.
"""

import csv
import gzip
import io
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from core.errors import InvalidInput
from core.images.case_finder import IMAGE_ENDINGS
from core.images.decoded import DecodedImage
from core.images.grids import is_uneven
from core.images.names import is_nifti_name
from core.images.orientation import RAS_AND_LPS
from core.images.records import Case, get_case, list_case_sources
from core.labels.masks import compose_mask, list_painted, list_painters, volume_ml
from core.labels.records import find_current_label
from core.people.roles import demand_of
from core.progress import Progress, Silent, stop_if_asked
from core.projects.records import Project
from core.projects.schema import Segmentation
from core.store.audit import Actor, add_audit
from core.store.files import array_bytes, write_whole

MASK_FORMATS = ("auto", "npy")
COLUMNS = ("case", "path", "reader", "finished", "structure", "value", "file", "pixels", "volume_ml")
MOST_STRUCTURES = 255  # in the uint8 of a label map
# Of an instance that is called by its UID the last number is no ending.
FILE_ENDING = re.compile("|".join(f"{re.escape(ending)}$" for ending in IMAGE_ENDINGS), re.IGNORECASE)
NOT_IN_NAMES = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]+')  # which Windows forbids; blanks and brackets are good


@dataclass(frozen=True)
class MaskExport:
    """What was written; `notes` are sentences on what a reader of the files should know."""

    folder: Path
    files: int
    cases: int
    notes: tuple[str, ...]


def export_masks(
    connection: sqlite3.Connection,
    project: Project,
    folder: Path,
    *,
    actor: Actor,
    reader: str | None = None,
    file_format: str = "auto",
    progress: Progress | None = None,
) -> MaskExport:
    """Write the masks of a project into an empty folder, of one reader or of all, each reader in a folder.

    `auto` writes a PNG for an image and a NIfTI for a volume, called as the file that the case came from;
    `npy` writes an array `(frames, rows, columns)` of 0 and 1 for each structure, as `auto` does where the slices of a
    volume lie on no grid. A case that a reader has finished without painting anything gets an empty map, or in `npy` a
    row of the table alone.

    Raises:
        InvalidInput: the project has no structures, the format is unknown, or the folder has something in it.
        NotAllowed: the actor may not export from the project.
        Stopped: somebody asked to stop.
    """
    demand_of(connection, actor, "export", project.id)
    schema = project.schema
    if not isinstance(schema, Segmentation):
        raise InvalidInput(f"Only segmentation projects have masks. Received: {project.name}, {project.task}")
    if file_format not in MASK_FORMATS:
        raise InvalidInput(f"Masks can be exported as {', '.join(MASK_FORMATS)}. Received: {file_format}")
    if len(schema.names) > MOST_STRUCTURES and file_format == "auto":
        raise InvalidInput(
            f"A label map has at most {MOST_STRUCTURES} structures; export npy. Received: {len(schema.names)}"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidInput(f"Name a new or an empty folder for the masks. Received: {folder}")
    asked = [pair for pair in list_painters(connection, project.id) if reader in (None, pair[1])]
    rows: list[dict[str, object]] = []
    places = _Places(list_case_sources(connection, project.id))
    overlapping = uneven = 0
    for at, (case_id, painter) in enumerate(asked):
        stop_if_asked(progress or Silent())
        case = get_case(connection, case_id)
        written = list(_write_case(connection, schema, case, painter, folder, file_format, places))
        if file_format == "auto" and is_uneven(case):
            uneven += 1
        elif file_format == "auto":
            overlapping += len({row["file"] for row in written if row["file"]}) > 1
        rows += written
        (progress or Silent()).report((at + 1) / len(asked), f"{at + 1} of {len(asked)} masks")
    write_whole(folder / "masks.csv", _table(rows))
    files = {row["file"] for row in rows if row["file"]}
    told = {"reader": reader, "format": file_format, "cases": len({row["case"] for row in rows}), "files": len(files)}
    add_audit(connection, actor, "export masks", f"project {project.id}", **told)
    notes = []
    if overlapping:
        notes.append(f"In {overlapping} cases structures lie over each other; there each has a file of its own.")
    if uneven:
        notes.append(
            f"Masks of {uneven} volumes are .npy arrays (frames, rows, columns): their slices are missing, shifted or "
            f"unevenly apart, and a NIfTI would put them in wrong places. Each frame lies where its slice does."
        )
    return MaskExport(folder, len(files), len({row["case"] for row in rows}), tuple(notes))


def _write_case(
    connection: sqlite3.Connection,
    schema: Segmentation,
    case: Case,
    reader: str,
    folder: Path,
    file_format: str,
    places: "_Places",
) -> Iterator[dict[str, object]]:
    """Write what one reader painted on one case, and tell the rows of the table."""
    painted = {one.structure: one.pixels for one in list_painted(connection, case.id, reader=reader)}
    names = [name for name in schema.names if name in painted]
    stem = places.stem(case, reader)
    files: dict[str, str] = {}
    as_arrays = file_format == "npy" or is_uneven(case)
    if as_arrays:
        for name in names:
            files[name] = f"{places.of_structure(stem, name)}.npy"
            write_whole(folder / files[name], array_bytes(compose_mask(connection, case, reader, name)))
    else:
        files = _write_maps(connection, schema, case, reader, names, folder, stem, places)
    label = find_current_label(connection, case.id, reader)
    common = {"case": case.id, "path": case.source, "reader": reader, "finished": int(label is not None)}
    for name in names:
        volume = volume_ml(case, painted[name])
        yield common | {
            "structure": name,
            "value": 1 if as_arrays or _is_alone(files, name) else schema.names.index(name) + 1,
            "file": files[name],
            "pixels": painted[name],
            "volume_ml": "" if volume is None else f"{volume:.4f}",
        }
    if not names:
        yield common | {"structure": "", "value": "", "file": files.get("", ""), "pixels": 0, "volume_ml": ""}


def _is_alone(files: dict[str, str], name: str) -> bool:
    """Whether a structure has a file of its own among several."""
    return len(set(files.values())) > 1 and list(files.values()).count(files[name]) == 1


def _write_maps(
    connection: sqlite3.Connection,
    schema: Segmentation,
    case: Case,
    reader: str,
    names: Sequence[str],
    folder: Path,
    stem: str,
    places: "_Places",
) -> dict[str, str]:
    """One label map, or a mask for each structure where they overlap; the file of each structure."""
    ending = ".nii.gz" if case.frames > 1 else ".png"
    together = np.zeros((case.frames, case.rows, case.columns), np.uint8)
    for name in names:
        mask = compose_mask(connection, case, reader, name)
        if (together[mask == 1] != 0).any():
            break
        together[mask == 1] = schema.names.index(name) + 1
    else:
        write_whole(folder / f"{stem}{ending}", encode_label_map(case, together, schema))
        return dict.fromkeys(names or ("",), f"{stem}{ending}")
    files = {name: f"{places.of_structure(stem, name)}{ending}" for name in names}
    for name, file in files.items():
        write_whole(folder / file, encode_label_map(case, compose_mask(connection, case, reader, name), schema))
    return files


def encode_label_map(case: Case | DecodedImage, values: np.ndarray, schema: Segmentation) -> bytes:
    """A label map `(frames, rows, columns)` as the bytes of a PNG for an image, of a `.nii.gz` for a volume.

    Raises:
        InvalidInput: the slices of the volume lie on no grid (`is_uneven`).
    """
    if is_uneven(case):
        raise InvalidInput(
            "The slices of the volume are missing, shifted or unevenly apart, and a NIfTI would put its mask in wrong "
            f"places; take an array (.npy). Received: {case.frames} frames"
        )
    return _png(values[0], schema) if case.frames == 1 else _nifti(case, values)


def oriented_as(content: bytes, path: Path) -> bytes:
    """A `.nii.gz` of `encode_label_map` with its voxels in the order of the file that it belongs to, where that is a
    NIfTI of the same grid; else as it is. Readroom turns what it reads, and others compare voxel on voxel."""
    if not is_nifti_name(path.name):
        return content
    import nibabel

    orientations: Any = nibabel.orientations
    made: Any = nibabel.Nifti1Image.from_bytes(gzip.decompress(content))
    try:
        asked: Any = nibabel.load(path)
        turn = orientations.ornt_transform(*(orientations.io_orientation(one.affine) for one in (made, asked)))
    except (OSError, ValueError, nibabel.filebasedimages.ImageFileError):  # it was decoded, but not by these rules
        return content
    turned = made.as_reoriented(turn)
    if turned.shape != asked.shape[:3] or not np.allclose(turned.affine, asked.affine, atol=1e-3):
        return content
    return gzip.compress(turned.to_bytes(), mtime=0)


def _png(values: np.ndarray, schema: Segmentation) -> bytes:
    """A picture whose pixels are the numbers themselves; the palette shows them in the structures' colours."""
    picture = Image.fromarray(np.ascontiguousarray(values), mode="P")
    colours = [(0, 0, 0)] + [
        tuple(int(structure.colour[at : at + 2], 16) for at in (1, 3, 5)) for structure in schema.structures
    ]
    picture.putpalette([part for colour in colours for part in colour])
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def _nifti(case: Case | DecodedImage, values: np.ndarray) -> bytes:
    """NIfTI-1 with the axes (column, row, frame), and where they lie in the patient as far as that is known."""
    from nibabel.nifti1 import Nifti1Image  # slow to import, and every command would wait for it

    array = np.ascontiguousarray(values.transpose(2, 1, 0))
    made: Any = Nifti1Image
    image = made(array, None if case.affine is None else RAS_AND_LPS @ np.array(case.affine))
    image.header.set_intent("label")
    image.header.set_xyzt_units("mm" if case.spacing_mm else "unknown")
    if case.affine is not None:
        image.set_sform(image.affine, code="scanner")
        if _is_rigid(image.affine):  # else the quaternion could not tell it, and the two would contradict each other
            image.set_qform(image.affine, code="scanner")
    else:
        rows_mm, columns_mm = case.spacing_mm or (1.0, 1.0)
        image.header.set_zooms((columns_mm, rows_mm, case.slice_spacing_mm or 1.0))
    return gzip.compress(image.to_bytes(), mtime=0)  # the same masks give the same file


def _is_rigid(affine: np.ndarray) -> bool:
    """Whether the axes stand square to each other."""
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.allclose(directions.T @ directions, np.eye(3), atol=1e-4))


class _Places:
    """What the files of each case are called: as its image, so that an import finds it again, and none as another."""

    def __init__(self, sources: Iterable[str]) -> None:
        self._images = Counter(_without_ending(source).casefold() for source in sources)
        self._taken: set[str] = set()

    def stem(self, case: Case, reader: str) -> str:
        """The reader's folder and the path of the source without its ending, or with it where only that tells two
        images apart (`a.png` and `a.jpg`)."""
        own = _without_ending(case.source)
        if self._images[own.casefold()] > 1:
            own = _as_path(case.source)
        stem = f"{_safe(reader)}/{own or f'case-{case.id}'}"
        return self._take(stem if self._is_free(stem) else f"{stem}-case-{case.id}")

    def of_structure(self, stem: str, structure: str) -> str:
        """Of a structure that has a file of its own; `a_liver` may be an image as well, and then it is `a/liver`."""
        name = _safe(structure)
        usual = (f"{stem}_{name}", f"{stem}/{name}")
        numbered = (f"{stem}_{name}-{number}" for number in count(2))
        ours = (one for one in usual if one.partition("/")[2].casefold() not in self._images)
        return self._take(next(one for names in (ours, numbered) for one in names if self._is_free(one)))

    def _is_free(self, name: str) -> bool:
        return name.casefold() not in self._taken

    def _take(self, name: str) -> str:
        self._taken.add(name.casefold())
        return name


def _without_ending(source: str) -> str:
    return _as_path(FILE_ENDING.sub("", source))


def _as_path(source: str) -> str:
    """The path of an image as one inside a folder, on every file system."""
    parts = [_safe(part) for part in PurePosixPath(source.replace("\\", "/")).parts]
    return "/".join(part for part in parts if part.strip("._"))


def _safe(name: str) -> str:
    """A name that is good as the name of a file everywhere, and else what it was: masks are found again by it."""
    return NOT_IN_NAMES.sub("_", name).strip(". ") or "_"


def _table(rows: Sequence[dict[str, object]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    for row in rows:
        writer.writerow({key: _no_formula(row[key]) for key in COLUMNS})
    return text.getvalue().encode()


def _no_formula(cell: object) -> object:
    """A spreadsheet would run a path that begins with one of these."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in {"=", "+", "-", "@", "\t", "\r"} else cell
