"""Near-duplicates among the cases of a snapshot: a perceptual hash nominates, a comparison of pixels confirms."""

import sqlite3
from collections import defaultdict
from collections.abc import Sequence

from core.datasets.records import Candidate
from core.images.records import get_cases
from core.images.similarity import find_near_duplicates, near_pairs
from core.progress import Progress
from core.store.files import Files


def pair_near_duplicates(
    connection: sqlite3.Connection, files: Files, candidates: Sequence[Candidate], progress: Progress
) -> list[tuple[int, int]]:
    """Pairs of positions in `candidates` that show nearly the same image, though not the same pixels.

    Only nominated cases are opened. A case is paired under each name that its pixels go by.
    """
    first_of: dict[str, int] = {}
    positions: dict[str, list[int]] = defaultdict(list)
    for at, candidate in enumerate(candidates):
        positions[candidate.pixel_hash].append(at)
        if candidate.perceptual_hash:
            first_of.setdefault(candidate.pixel_hash, at)
    pictures = list(first_of.values())
    nominated = sorted(
        {int(at) for at in near_pairs([candidates[at].perceptual_hash or "" for at in pictures]).ravel()}
    )
    cases = get_cases(connection, [candidates[pictures[at]].case_id for at in nominated])
    pixels_of = {case.id: case.pixel_hash for case in cases}
    return [
        (one, other)
        for pair in find_near_duplicates(files, cases, progress)
        for one in positions[pixels_of[pair.case_id]]
        for other in positions[pixels_of[pair.other_id]]
    ]
