"""What an import keeps in memory of each of its files."""

import gc
import json
import pathlib
import sqlite3
import tracemalloc
from pathlib import Path

import pytest

from bench.ct_corpus import single_images, write_corpus
from core.images import stored_files
from core.images.dicom_start import Survey
from core.images.reading_pipe import survey_of, told_of_survey
from core.images.series import Instance
from core.images.sources import list_sources
from core.images.stored_files import StoredFiles
from core.progress import Silent
from core.settings import Settings
from core.store.files import Files
from tests.core.images.conftest import Import

FEW, MANY = 50, 250
MOST_BYTES = 2000  # of each further file, its token that is remembered among them


class Weighing(Silent):
    """Weighs what is there at the end of an import, when nothing of it is gone yet."""

    def __init__(self) -> None:
        self.bytes = 0

    def report(self, fraction: float, note: str, **facts: object) -> None:
        if fraction == 1.0:
            gc.collect()
            # Names of path parts are kept by Python itself, in a table that grows by leaps.
            kept = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(False, pathlib.__file__)])
            self.bytes = sum(one.size for one in kept.statistics("filename"))


def test_a_further_file_takes_little_memory_though_it_is_a_series_of_its_own(run: Import, tmp_path: Path) -> None:
    weights = []
    for count in (FEW, FEW, MANY):  # what the first brings along, modules among it, is not of its files
        folder = tmp_path / f"{len(weights)}"
        write_corpus(folder, single_images(count), side=4, seed=len(weights))
        weighing = Weighing()
        tracemalloc.start()
        try:
            report = run(folder, hold_back="all", progress=weighing)
        finally:
            tracemalloc.stop()
        assert report.waiting == count
        weights.append(weighing.bytes)
    assert (weights[2] - weights[1]) / (MANY - FEW) < MOST_BYTES


def test_files_of_a_folder_share_what_it_is_called(tmp_path: Path, settings: Settings) -> None:
    write_corpus(tmp_path / "in", single_images(2), side=4)
    first, second = list_sources([tmp_path / "in"], settings)
    assert first.folder is second.folder
    assert first.path is first.source
    assert first.location == tmp_path / "in" / "000" / "000000.dcm"


def test_what_headers_say_alike_is_held_once_and_as_it_was_said() -> None:
    first = Instance("", "1", "1", "1", 512, 512, orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0), keys=(("echo", "80 ms"),))
    other = Instance("", "1", "1", "2", 512, 512, orientation=(1.0, 0.0, 0.0, 0.0, 1.0, -0.0), keys=first.keys)
    told = [through_the_pipe(one) for one in (first, other, first)]
    assert [repr(one) for one in told] == [repr(one) for one in (first, other, first)]
    assert isinstance(told[0], Instance)
    assert isinstance(told[2], Instance)
    assert told[0].orientation is told[2].orientation
    assert told[0].keys is told[2].keys


def through_the_pipe(seen: Survey) -> Survey:
    return survey_of(json.loads(json.dumps(told_of_survey(seen))))


def test_the_note_of_stored_files_is_read_in_pieces(
    connection: sqlite3.Connection, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_files, "AT_ONCE", 2)
    stored = StoredFiles(files, job=1)
    for number in range(5):
        stored.files.put_bytes("headers", bytes([number]))
    stored.files.keep()
    assert stored.finish(connection) == 5, "no case names them"
    assert not list((files.root / "headers").rglob("*.dcm"))
