"""CLAIM 2024 and TRIPOD+AI: which of their items a report tells of, and which it does not.

The items stand in `checklists/`, in our words and with the source's DOI; each names what in Readroom tells of it.
That something is told does not say that it is told well: whoever publishes reads the checklists themselves.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).with_name("checklists")
NOT_REPORTED = "not reported"


@dataclass(frozen=True)
class Item:
    """One item of a checklist; `told_by` is a key of what a report knows, "" where Readroom knows nothing of it."""

    number: str
    section: str
    item: str
    told_by: str


@dataclass(frozen=True)
class Checklist:
    """A reporting guideline."""

    name: str
    source: str
    doi: str
    items: tuple[Item, ...]


@cache
def load_checklists() -> tuple[Checklist, ...]:
    """All that there are, by file name."""
    told = [json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))]
    return tuple(
        Checklist(one["name"], one["source"], one["doi"], tuple(Item(**item) for item in one["items"])) for one in told
    )


def cover(checklist: Checklist, told: Mapping[str, str]) -> list[tuple[Item, str]]:
    """Each item with what is told of it.

    Args:
        told: by the keys of the items; "" where a project has left it out.
    """
    return [(item, told.get(item.told_by, "") or NOT_REPORTED) for item in checklist.items]
