"""What files beside images go by in the report of an import."""

from collections.abc import Sequence

from core.images.pseudonyms import load_secret, path_token
from core.images.sealed_paths import keep_paths, read_paths
from core.images.sources import SourceFile
from core.projects.records import Project
from core.settings import Settings


def report_names(
    settings: Settings, project: Project, job: int, prefix: str, sources: Sequence[SourceFile]
) -> dict[str, str]:
    """What each file goes by in the report of a job: by tokens, as names of files name patients.

    `list_named_files` reads them back as long as paths are kept.
    """
    if not project.deidentification.enabled:
        return {file.path: prefix + file.path for file in sources}
    secret = load_secret(settings)
    names = {file.path: prefix + path_token(secret, file.path) for file in sources}
    known = {name: prefix + path for path, name in names.items()}
    keep_paths(settings, job, {**read_paths(settings, job), **known})
    return names
