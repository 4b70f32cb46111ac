"""The process that reads files: the same images come out, and its death costs one file."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from core.errors import InvalidInput
from core.images.decoding import decode
from core.images.reading_child import ReadingChild
from core.projects.deidentification import Deidentification
from core.settings import Settings

SECRET = b"s" * 32


@pytest.fixture
def reader(settings: Settings) -> Iterator[ReadingChild]:
    with ReadingChild(settings, SECRET, Deidentification()) as child:
        yield child


def process_of(reader: ReadingChild) -> int:
    return reader._started().pid


@pytest.mark.parametrize("name", ["693_J2KR.dcm", "emri_small.dcm", "US1_J2KI.dcm"])
def test_the_child_reads_what_the_parent_would(
    name: str, reader: ReadingChild, settings: Settings, test_data: Path
) -> None:
    content = (test_data / "dicom_misc_pydicom" / name).read_bytes()
    here, there = decode(content, settings, SECRET), reader(content, name)
    np.testing.assert_array_equal(there.pixels, here.pixels)
    assert there.pixels.dtype == here.pixels.dtype
    for field in fields(here):
        if field.name != "pixels":
            assert getattr(there, field.name) == getattr(here, field.name), field.name


def test_refusals_come_back_as_sentences_and_the_child_goes_on(reader: ReadingChild, test_data: Path) -> None:
    first = process_of(reader)
    for content, said in ((b"", "empty"), (b"hello", "a text file"), (b"\x89PNG\r\n\x1a\nxx", "no pixels")):
        with pytest.raises(InvalidInput, match=said):
            reader(content, "a.png")
    assert process_of(reader) == first


def test_a_child_that_dies_costs_one_file(reader: ReadingChild, test_data: Path) -> None:
    content = (test_data / "dicom_misc_pydicom" / "SC_rgb.dcm").read_bytes()
    reader(content, "a")
    first = process_of(reader)
    os.kill(first, signal.SIGSTOP)  # so that it dies while it has the file
    threading.Timer(0.3, os.kill, (first, signal.SIGKILL)).start()
    with pytest.raises(InvalidInput, match="ended its reader"):
        reader(content, "a")
    assert reader(content, "a").pixels.shape == (100, 100, 3)
    assert process_of(reader) != first


def test_a_child_that_hangs_is_ended(settings: Settings, test_data: Path) -> None:
    content = (test_data / "dicom_misc_pydicom" / "SC_rgb.dcm").read_bytes()
    with ReadingChild(settings, SECRET, Deidentification(), seconds=30) as reader:
        reader(content, "a")
        reader._seconds = 0.5
        os.kill(process_of(reader), signal.SIGSTOP)
        begun = time.monotonic()
        with pytest.raises(InvalidInput, match=r"longer than 0\.5 seconds"):
            reader(content, "a")
        assert time.monotonic() - begun < 10


def test_nothing_is_left_running(settings: Settings) -> None:
    with ReadingChild(settings, SECRET, Deidentification()) as reader:
        process = reader._started()
    assert process.poll() is not None
