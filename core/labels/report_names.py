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


def hidden_words(settings: Settings, project: Project, job: int, words: str) -> str:
    """What people called a region or a class, by a token: such names hold names. It is read back as paths are."""
    if not project.deidentification.enabled:
        return words
    token = path_token(load_secret(settings), words.replace("/", "_"))
    known = read_paths(settings, job)
    if token not in known:
        keep_paths(settings, job, {**known, token: words})
    return token
