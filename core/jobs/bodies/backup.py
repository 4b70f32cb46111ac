"""Backup: into the folder that `settings.toml` names."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import CoreError, InvalidInput
from core.jobs.kind import Kind

if TYPE_CHECKING:
    from core.jobs.context import JobContext

KIND = Kind(
    name="backup",
    words="Backup",
    lane="keep",
    action="administer",
    attempts_allowed=3,
    remedy="Resume it: files that were copied are not copied again.",
    mends_outside=True,
)


def run(context: "JobContext") -> Mapping[str, Any]:
    """Add a backup to the folder that `settings.toml` names."""
    from core.store.backups import back_up_home

    folder = context.settings.backup_folder
    if not folder:
        raise InvalidInput(f"Set backup_folder in settings.toml, then ask again. Received: {context.settings.home}")
    made = back_up_home(
        context.connection, context.settings, Path(folder), actor=context.actor, progress=context.progress
    )
    if made.error:
        raise CoreError(made.error)
    return {key: value for key, value in asdict(made).items() if key != "faults"}
