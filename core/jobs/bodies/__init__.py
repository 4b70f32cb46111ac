"""The kinds of background work, one file each, found by listing this folder.

A new kind is a copy of a file: its `KIND` says what the queue must know, and `run` does the work in a process of its
own. The web process lists kinds too, so a file imports what is heavy inside `run`. The work itself is a function in
its own room that takes a `progress` and knows nothing of jobs.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

from core.jobs.kind import Kind

if TYPE_CHECKING:
    from core.jobs.context import JobContext  # a job is asked for by its kind


class BodyFile(Protocol):
    """What stands in each file."""

    KIND: Kind

    def run(self, context: "JobContext") -> Mapping[str, Any]:
        """Do the work; what is returned is the job's result."""


def _find_bodies() -> dict[str, BodyFile]:
    files = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    return {file.KIND.name: cast(BodyFile, file) for file in files}


BODIES = _find_bodies()
