"""Near-duplicates: nominated by the hash, confirmed by the picture."""

import io
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as run
from hypothesis import strategies as st
from PIL import Image

from core.images.perceptual import perceptual_hash
from core.images.records import Case, NewCase, insert_case
from core.images.similarity import (
    FLAT,
    find_near_duplicates,
    fingerprint,
    hamming_distances,
    near_pairs,
)
from core.images.thumbnails import thumbnail_of
from core.progress import Silent
from core.projects.records import Project
from core.store.files import Files

HASHES = st.lists(st.integers(0, 2**64 - 1), max_size=40)


def scene(seed: int) -> np.ndarray:
    """A smooth random picture of 200 x 160 px."""
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 6), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((160, 200), Image.Resampling.BICUBIC))


def recoded(picture: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def shrunk(picture: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((90, 110), Image.Resampling.BILINEAR))


def brighter(picture: np.ndarray) -> np.ndarray:
    return np.clip(picture * 0.9 + 10, 0, 255).astype(np.uint8)


def stored(connection: sqlite3.Connection, files: Files, project: Project, name: str, picture: np.ndarray) -> Case:
    pixel_hash = files.put_array("pixels", picture)
    rows, columns = picture.shape
    return insert_case(
        connection,
        NewCase(
            project.id, name, name, "none", pixel_hash, pixel_hash, perceptual_hash(picture), rows, columns, 1,
            "uint8", "MONOCHROME2", "anna",
        ),
    )  # fmt: skip


def test_a_hash_is_16_hex_digits_and_survives_small_changes() -> None:
    for seed in range(20):
        one = perceptual_hash(scene(seed))
        assert len(one) == 16
        changed = [perceptual_hash(change) for change in (recoded(scene(seed), 60), shrunk(scene(seed)))]
        assert hamming_distances(one, changed).max() <= 4
    assert hamming_distances(perceptual_hash(scene(0)), [perceptual_hash(scene(1))])[0] > 12


@given(HASHES, st.integers(0, 2**64 - 1), st.sets(st.integers(0, 63), max_size=6))
@run(max_examples=60)
def test_every_pair_within_reach_is_found_once_and_no_other(numbers: list[int], base: int, flipped: set[int]) -> None:
    numbers = [*numbers, base, base ^ sum(1 << bit for bit in flipped), base]
    expected = [
        [one, other]
        for one in range(len(numbers))
        for other in range(one + 1, len(numbers))
        if (numbers[one] ^ numbers[other]).bit_count() <= 6
    ]
    assert near_pairs([f"{number:016x}" for number in numbers]).tolist() == expected


def test_no_hashes_have_no_pairs() -> None:
    assert near_pairs([]).shape == (0, 2)
    assert near_pairs(["0" * 16]).shape == (0, 2)


def test_flat_pictures_are_not_copies_of_each_other(
    connection: sqlite3.Connection, files: Files, project: Project
) -> None:
    flat = [np.full((50, 50), grey, np.uint8) for grey in range(0, 250, 10)]
    assert {perceptual_hash(picture) for picture in flat} == {FLAT}
    assert not fingerprint(flat[3]).any()
    cases = [stored(connection, files, project, str(grey), picture) for grey, picture in enumerate(flat)]
    assert find_near_duplicates(files, cases, Silent()) == []


@pytest.mark.parametrize("with_thumbnails", [True, False])
def test_copies_are_found_and_different_pictures_are_not(
    connection: sqlite3.Connection, files: Files, project: Project, with_thumbnails: bool
) -> None:
    changes = {"recoded": recoded(scene(0), 70), "shrunk": shrunk(scene(0)), "brighter": brighter(scene(0))}
    pictures = {"original": scene(0), **changes, **{f"other {seed}": scene(seed) for seed in range(1, 30)}}
    cases = [stored(connection, files, project, name, picture) for name, picture in pictures.items()]
    cases.append(stored(connection, files, project, "same pixels", scene(0)))
    if with_thumbnails:
        for case, picture in zip(cases, [*pictures.values(), scene(0)], strict=True):
            files.put_under("thumbnails", case.pixel_hash, thumbnail_of(picture))
    found = find_near_duplicates(files, cases, Silent())
    sources = {case.id: case.source for case in cases}
    pairs = {frozenset((sources[pair.case_id], sources[pair.other_id])) for pair in found}
    originals = {"original", *changes}
    assert pairs == {frozenset((one, other)) for one in originals for other in originals if one != other}
    assert all(pair.correlation >= 0.99 for pair in found)


def test_real_x_rays_are_told_apart_and_copies_found(test_data: Path) -> None:
    paths = sorted((test_data / "cxr_pediatric_pneumonia" / "images").iterdir())[::4]
    pictures = [np.asarray(Image.open(path).convert("L")) for path in paths]
    prints = np.stack([fingerprint(picture) for picture in pictures])
    alike = np.triu(prints @ prints.T, 1)
    twins = {"person1312_bacteria_3317.jpg", "person357_virus_734.jpg", "person401_virus_797.jpg"}
    for one, other in np.argwhere(alike >= 0.99).tolist():
        assert paths[one].name in twins, (paths[one].name, paths[other].name)
    for picture in pictures[::20]:
        copy = recoded(picture, 50)
        assert hamming_distances(perceptual_hash(picture), [perceptual_hash(copy)])[0] <= 6
        assert fingerprint(picture) @ fingerprint(copy) > 0.99
