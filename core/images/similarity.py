"""Pictures that look alike: a 64-bit perceptual hash nominates, a comparison of pixels confirms."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from core.images.decoded import Pixels
from core.images.frames import read_picture
from core.images.perceptual import SEEN_SIDE, seen_small
from core.images.records import Case
from core.images.render import to_uint8
from core.progress import Progress, stop_if_asked
from core.store.files import Files

MOST_BITS_APART = 6
# Measured on cxr_pediatric_pneumonia (957 pictures) and PneumoniaMNIST (5,827): no two different pictures come above
# 0.964 within 6 bits (0.971 within 10), so both sets have no near-duplicate beside their byte-identical files. Of
# altered copies this finds all that were re-encoded (quality 20), resized, brightened, given noise or a gamma of 0.8,
# or cropped by 1 %, and 92 % of those turned by 1 degree; beyond (crops of 2 %, 3 degrees) it does not reach.
LEAST_CORRELATION = 0.98
PAIRS_AT_ONCE = 10_000
FLAT = "0" * 16
Pairs = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class NearDuplicate:
    """Two cases that show the same picture, though not the same pixels."""

    case_id: int
    other_id: int
    bits_apart: int  # of 64
    correlation: float  # of the two pictures at 32 x 32 px


def hamming_distances(one: str, hashes: Sequence[str]) -> Pixels:
    """Bits in which a hash differs from each of many, as uint8."""
    return np.asarray(np.bitwise_count(_numbers(hashes) ^ np.uint64(int(one, 16))))


def near_pairs(hashes: Sequence[str], *, bits: int = MOST_BITS_APART) -> Pairs:
    """Index pairs (n, 2) of all hashes at most `bits` apart, each pair once, sorted.

    Cut into `bits + 1` bands, two such hashes must agree in one of them (pigeonhole),
    so only hashes that share a band are compared.
    """
    numbers = _numbers(hashes)
    found = [np.empty((0, 2), np.int64)]
    for band in _bands(bits + 1):
        found += list(_pairs_in_band(numbers, band, bits))
    return np.unique(np.concatenate(found), axis=0)


def fingerprint(seen: Pixels) -> Pixels:
    """A picture at 32 x 32 px with mean 0 and length 1, as float32 of 1024; a flat picture is all 0."""
    small = seen_small(seen).astype(np.float32).ravel()
    small -= small.mean()
    length = float(np.linalg.norm(small))
    return small / np.float32(length) if length > 1e-3 else np.zeros_like(small)


def find_near_duplicates(files: Files, cases: Sequence[Case], progress: Progress) -> list[NearDuplicate]:
    """Pairs of cases whose pixels differ but whose pictures are the same: re-encoded, resized, brightened.

    Cases of equal pixels are left out (they are linked by their pixel hash already): one stands for all.
    """
    first_of: dict[str, Case] = {}
    for case in cases:
        if case.perceptual_hash and case.perceptual_hash != FLAT:  # flat pictures have nothing to compare
            first_of.setdefault(case.pixel_hash, case)
    pictures = list(first_of.values())
    hashes = [case.perceptual_hash or "" for case in pictures]
    pairs = near_pairs(hashes)
    nominated, at = np.unique(pairs, return_inverse=True)
    prints = _fingerprints(files, [pictures[index] for index in nominated.tolist()], progress)
    correlations = _correlations(prints, at.reshape(-1, 2))
    found = []
    for which in np.flatnonzero(correlations >= LEAST_CORRELATION).tolist():
        one, other = pairs[which].tolist()
        apart = (int(hashes[one], 16) ^ int(hashes[other], 16)).bit_count()
        found.append(NearDuplicate(pictures[one].id, pictures[other].id, apart, round(float(correlations[which]), 4)))
    return found


def _fingerprints(files: Files, pictures: Sequence[Case], progress: Progress) -> Pixels:
    prints = np.zeros((len(pictures), SEEN_SIDE * SEEN_SIDE), np.float16)  # 2 kB a picture
    for done, case in enumerate(pictures):
        if done % 50 == 0:
            stop_if_asked(progress)
            progress.report(done / len(pictures), f"comparing pictures, {done} of {len(pictures)}")
        prints[done] = fingerprint(seen_picture(files, case))
    return prints


def seen_picture(files: Files, case: Case) -> Pixels:
    """The picture as its thumbnail shows it, which at 32 x 32 px is the same (correlation above 0.999)."""
    if files.has("thumbnails", case.pixel_hash):
        with Image.open(files.path("thumbnails", case.pixel_hash)) as thumbnail:
            return np.asarray(thumbnail.convert("L"))
    return to_uint8(read_picture(files, case), case.photometric, case.windows)


def _correlations(prints: Pixels, at: Pairs) -> Pixels:
    found = np.zeros(len(at), np.float32)
    for start in range(0, len(at), PAIRS_AT_ONCE):
        one, other = (prints[at[start : start + PAIRS_AT_ONCE, side]].astype(np.float32) for side in (0, 1))
        found[start : start + PAIRS_AT_ONCE] = np.einsum("ij,ij->i", one, other)
    return found


def _numbers(hashes: Sequence[str]) -> np.ndarray[Any, np.dtype[np.uint64]]:
    return np.array([int(text, 16) for text in hashes], np.uint64)


def _bands(count: int) -> list[np.uint64]:
    """Masks that share out the 64 bits. Neighbouring terms go to different bands, as they vary together."""
    return [np.uint64(sum(1 << bit for bit in range(band, 64, count))) for band in range(count)]


def _pairs_in_band(numbers: np.ndarray[Any, np.dtype[np.uint64]], band: np.uint64, bits: int) -> Iterator[Pairs]:
    """Pairs that agree in the band and are near: each hash with those after it in its bucket, step by step."""
    keys = numbers & band
    order = np.argsort(keys, kind="stable")
    keys, values = keys[order], numbers[order]
    still = np.arange(len(order) - 1)  # positions that have a neighbour `step` further in their bucket
    step = 1
    while still.size:
        still = still[still + step < len(order)]
        still = still[keys[still] == keys[still + step]]
        near = still[np.bitwise_count(values[still] ^ values[still + step]) <= bits]
        if near.size:
            yield np.sort(np.stack([order[near], order[near + step]], axis=1), axis=1)
        step += 1
