"""A project from PneumoniaMNIST: 5,856 real chest X-rays of children at 28 x 28 px, with the published split.

Yang et al., MedMNIST v2, Scientific Data 2023; images of Kermany et al., Cell 2018. Both CC BY 4.0.
"""

import hashlib
import os
import sqlite3
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import find_snapshot
from core.errors import CoreError, InvalidInput
from core.images.ingest import import_paths
from core.images.label_table import Answer, TableRow
from core.images.records import Case
from core.labels.exchange import add_table_labels
from core.people.accounts import ensure_user
from core.progress import Portion, Progress, Silent
from core.projects.records import Project, ReferenceRule, add_project, list_projects
from core.projects.schema import make_classification
from core.settings import Settings
from core.store.audit import Actor
from core.store.database import opened, prepare_home, writing
from core.store.files import Files

NAME = "PneumoniaMNIST"
CLASSES = ("normal", "pneumonia")
READER = "MedMNIST (published labels)"
SNAPSHOT = "published split"
SPLITS = {"train": "train", "val": "validation", "test": "test"}  # the file's words and ours
LEAK_REASON = (
    "The split is the one MedMNIST published, kept so that results can be compared with published ones. It names no "
    "patients, so that images of one child may be in two splits, and a few images occur twice."
)
ADDRESS = "https://zenodo.org/records/10519652/files/pneumoniamnist.npz?download=1"
MD5 = "28209eda62fecd6e6a2d98b1501bb15f"  # as medmnist/info.py gives it
LARGEST_BYTES = 64 << 20
PLACE_VARIABLE, TEST_DATA_VARIABLE = "READROOM_PNEUMONIAMNIST", "READROOM_TEST_DATA"

Arrays = dict[str, np.ndarray]


def build_pneumoniamnist(
    settings: Settings, actor: Actor, *, path: Path | None = None, progress: Progress | None = None
) -> Project:
    """The project with its published labels and split, made where it is not there yet.

    Raises:
        CoreError: the data are not on this machine and could not be downloaded; the text says where to put them.
    """
    told = progress or Silent()
    prepare_home(settings)
    files = Files(settings.home)
    with opened(settings) as connection:
        found = [project for project in list_projects(connection) if project.name == NAME]
        if found and find_snapshot(connection, found[0].id, SNAPSHOT):
            return found[0]
        arrays = read_arrays(path or find_file(os.environ) or download(settings))
        project = found[0] if found else _add_project(connection, actor)
        _import(connection, files, settings, project, arrays, actor, Portion(told, 0.0, 0.8))
        freeze_snapshot(
            connection,
            files,
            project,
            SNAPSHOT,
            use_given_split=True,
            allow_leaks=LEAK_REASON,
            actor=actor,
            progress=Portion(told, 0.8, 1.0),
        )
    return project


def find_file(environ: Mapping[str, str], user_home: Path | None = None) -> Path | None:
    """The data where they may lie: `$READROOM_PNEUMONIAMNIST`, the test data, the folder of the medmnist package.

    Raises:
        InvalidInput: the variable names a file that is not there.
    """
    given = environ.get(PLACE_VARIABLE)
    if given:
        if not Path(given).is_file():
            raise InvalidInput(f"{PLACE_VARIABLE} must name pneumoniamnist.npz. Received: {given}")
        return Path(given)
    places = [(user_home or Path.home()) / ".medmnist" / "pneumoniamnist.npz"]
    if environ.get(TEST_DATA_VARIABLE):
        places += sorted((Path(environ[TEST_DATA_VARIABLE]) / "medmnist_pneumonia").glob("*.npz"))
    return next((place for place in places if place.is_file()), None)


def download(settings: Settings, fetch: Callable[[str], bytes] | None = None) -> Path:
    """Fetch the official file into the home and check it.

    Raises:
        CoreError: it could not be had.
    """
    target = settings.home / "downloads" / "pneumoniamnist.npz"
    if target.is_file():
        return target
    try:
        content = (fetch or _fetch)(ADDRESS)
    except OSError as error:
        raise CoreError(
            f"PneumoniaMNIST could not be downloaded. Put pneumoniamnist.npz into ~/.medmnist, or name the file in "
            f"{PLACE_VARIABLE}, and try again. Received: {error}"
        ) from error
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != MD5:
        raise CoreError(f"The downloaded PneumoniaMNIST is not the published file; try again. Received: md5 {found}")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return target


def read_arrays(path: Path) -> Arrays:
    """`train_images` (n, 28, 28), `train_labels` (n,), and likewise `val` and `test`.

    Raises:
        InvalidInput: the file is not a PneumoniaMNIST archive.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: np.asarray(archive[name]) for split in SPLITS for name in _names(split)}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InvalidInput(f"Name the npz file of PneumoniaMNIST. Received: {path} ({error})") from error
    for split in SPLITS:
        images, labels = (arrays[name] for name in _names(split))
        labels = arrays[_names(split)[1]] = labels.reshape(len(labels), -1)[:, 0]
        if images.ndim != 3 or images.dtype != np.uint8 or len(images) != len(labels) or not set(labels) <= {0, 1}:
            raise InvalidInput(f"Name the npz file of PneumoniaMNIST. Received: {path} with {images.shape} in {split}")
    return arrays


def _names(split: str) -> tuple[str, str]:
    return f"{split}_images", f"{split}_labels"


def _fetch(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=30) as answer:
        return bytes(answer.read(LARGEST_BYTES))


def _add_project(connection: sqlite3.Connection, actor: Actor) -> Project:
    with writing(connection):
        ensure_user(connection, READER, kind="imported")
        return add_project(
            connection,
            name=NAME,
            task="classification",
            schema=make_classification(CLASSES),
            description="Chest X-rays of children at 28 x 28 px (MedMNIST v2, CC BY 4.0), with their published labels.",
            intended_use="To compare with published results. Not for patients.",
            reference_rule=ReferenceRule("reader", READER),
            actor=actor,
        )


def _import(
    connection: sqlite3.Connection,
    files: Files,
    settings: Settings,
    project: Project,
    arrays: Arrays,
    actor: Actor,
    progress: Progress,
) -> None:
    """Write the images as PNG into a passing folder and import them with labels and split."""
    rows: dict[str, TableRow] = {}

    def add_labels(connection: sqlite3.Connection, case: Case, row: TableRow | None) -> None:
        add_table_labels(connection, project, case, row, actor)

    with tempfile.TemporaryDirectory() as place:
        for split, ours in SPLITS.items():
            (Path(place) / split).mkdir()
            images, labels = (arrays[name] for name in _names(split))
            for number, (image, label) in enumerate(zip(images, labels, strict=True)):
                source = f"{split}/{number:04d}.png"
                Image.fromarray(image).save(Path(place) / source)
                answer = Answer(CLASSES[int(label)], READER)
                rows[source] = TableRow(source, split=ours, answers=(answer,))  # type: ignore[arg-type]
        import_paths(
            connection,
            files,
            settings,
            project,
            [Path(place)],
            table=rows,
            patient_from=None,
            job=-project.id,  # no job imports these; a number of its own lets a cut-off import go on
            actor=actor,
            on_case=add_labels,
            progress=progress,
        )
