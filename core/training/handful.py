"""A few cases that stand for many: chosen once by a seed, from as many different answers as there are."""

import json
from collections.abc import Sequence

import numpy as np

from core.datasets.records import SnapshotCase
from core.errors import InvalidInput


def choose_handful(cases: Sequence[SnapshotCase], count: int, seed: int) -> list[SnapshotCase]:
    """So many of the cases, fewer where there are no more; answers come in turn.

    Raises:
        InvalidInput: there are no cases.
    """
    if not cases:
        raise InvalidInput("There are no cases in this split; freeze a snapshot that has some. Received: 0 cases")
    seen: dict[str, int] = {}
    ranked: list[tuple[int, int, SnapshotCase]] = []
    for place in np.random.default_rng(seed).permutation(len(cases)):
        answer = json.dumps(cases[place].value, sort_keys=True)
        ranked.append((seen.get(answer, 0), len(ranked), cases[place]))
        seen[answer] = seen.get(answer, 0) + 1
    return [case for *_, case in sorted(ranked, key=lambda one: one[:2])[:count]]


def middle_rows(case_ids: Sequence[int]) -> list[int]:
    """Of each case, in the order in which they come, the row of its middle frame."""
    found: dict[int, list[int]] = {}
    for row, case in enumerate(case_ids):
        found.setdefault(case, []).append(row)
    return [rows[len(rows) // 2] for rows in found.values()]
