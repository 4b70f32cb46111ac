"""Damaged files through a whole import; `python -m bench fuzz` is the long form.

A failure names seed and number of its input: `python -m bench.fuzz SEED NUMBER` makes it again and reads it.
"""

from pathlib import Path

import pytest

from bench.fuzz import MOST_MEMORY_MB, Verdict, fuzz, make_input
from bench.fuzz_seeds import Seed, make_seeds
from core.errors import InvalidInput
from core.images import reading_child
from core.images.decoding import decode
from core.settings import Settings

INPUTS = 500


@pytest.fixture(scope="module")
def seeds() -> list[Seed]:
    return make_seeds()


@pytest.fixture(scope="module")
def verdict(tmp_path_factory: pytest.TempPathFactory) -> Verdict:
    return fuzz(tmp_path_factory.mktemp("fuzz"), INPUTS)


def test_no_damaged_file_ends_its_reader_hangs_or_makes_the_import_fall_over(verdict: Verdict) -> None:
    assert verdict.ended == []
    assert verdict.slow == []
    assert verdict.crashes == []


def test_it_is_said_of_every_damaged_file_what_became_of_it(verdict: Verdict) -> None:
    assert verdict.inputs == INPUTS
    assert verdict.untold == []


def test_nothing_is_written_outside_the_home(verdict: Verdict) -> None:
    assert verdict.outside == []


def test_no_damaged_file_takes_more_memory_than_is_stated(verdict: Verdict) -> None:
    assert 50 < verdict.memory_mb < MOST_MEMORY_MB


def test_some_damaged_files_come_in_and_some_are_refused(verdict: Verdict) -> None:
    """Else the damage would be too small to find anything, or too great to get past the first check."""
    assert verdict.statuses["failed"] > INPUTS / 10
    assert verdict.statuses["imported"] > INPUTS / 10


def test_every_seed_is_read_whole(seeds: list[Seed], settings: Settings) -> None:
    for seed in seeds:
        if seed.suffix != ".zip":
            name = f"whole{seed.suffix}{'#1' if seed.name == 'nifti of times' else ''}"
            assert decode(seed.content, settings, bytes(32), name=name).pixels.size, seed.name


def test_a_number_makes_the_same_input_again(seeds: list[Seed]) -> None:
    again = make_seeds()
    for number in range(0, INPUTS, 7):
        assert make_input(seeds, 3, number) == make_input(again, 3, number)


def test_what_ends_its_reader_or_writes_elsewhere_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge itself: a reader that dies of one file and writes for another."""

    def read(self: object, location: Path, name: str, *, shown: bool = False, into: Path | None = None) -> None:
        Path("stray.txt").write_text("written without a place")
        raise InvalidInput("Reading this file ended its reader, as damaged files may; export it again.")

    monkeypatch.setattr(reading_child.ReadingChild, "read_file", read)
    found = fuzz(tmp_path / "work", 8)
    assert len(found.ended) >= 4  # the others are refused by their first bytes, before a reader sees them
    assert all(one.startswith("seed 5 number ") for one in found.ended)
    assert any("stray.txt" in one for one in found.outside)
