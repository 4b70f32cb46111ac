"""A finding, and the looks that make one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from core.settings import Settings

Group = Literal["data", "service", "machine", "images"]
GROUPS: dict[Group, str] = {
    "data": "What is kept",
    "service": "What runs",
    "machine": "This machine",
    "images": "Image decoders",
}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: what is so, and, where it does not work, how to mend it."""

    subject: str
    works: bool
    said: str
    mend: str = ""
    group: Group = "machine"


Look = Callable[[Settings], Finding]
