"""What the body of a job is given."""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.jobs.records import Job
from core.progress import Progress
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files


@dataclass(frozen=True)
class JobContext:
    """Everything a body touches. `kept` lives as long as the process: the warm child keeps loaded models there."""

    connection: sqlite3.Connection
    files: Files
    settings: Settings
    job: Job
    folder: Path
    device: str
    actor: Actor
    progress: Progress
    kept: dict[str, Any] = field(default_factory=dict)


Body = Callable[[JobContext], Mapping[str, Any]]


def job_folder(settings: Settings, job_id: int) -> Path:
    """Where a job keeps its log, its events and its checkpoints."""
    return settings.home / "jobs" / str(job_id)
