"""Pull: studies of a PACS become cases, by the same way as files do."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import InvalidInput
from core.jobs.kind import Kind
from core.progress import Progress

if TYPE_CHECKING:
    from core.jobs.context import JobContext

KIND = Kind(
    name="pull",
    words="Pull from PACS",
    lane="work",
    action="import",
    attempts_allowed=3,
    remedy="Close other programs, then resume: what came is not fetched again.",
    mends_outside=True,
    opens_files=True,
)


def run(context: "JobContext") -> Mapping[str, Any]:
    """Fetch studies and import them. What became of each file is in `list_import_files`.

    Odd series wait until somebody has seen them; their files stay in the folder `remove_after` of uploads.

    Returns:
        `imported` (with `joined` and `held` of them), `skipped`, `waiting`, `failed`, `cases` (counts of files and
        cases), what `Pulled` counts, and `warnings`.
    """
    from core.images.ingest import import_paths
    from core.images.pacs.client import client_of
    from core.images.pacs.landing import forget_left, landing_of_job
    from core.images.pacs.pull import pull_studies
    from core.images.pacs.records import get_pacs
    from core.images.pseudonyms import load_secret
    from core.images.reading_children import ReadingChildren
    from core.images.records import count_files, list_import_files
    from core.images.sealed_paths import forget_expired, unseal
    from core.labels.exchange import answers_in_words
    from core.projects.records import get_project

    settings, given, job = context.settings, context.job.arguments, context.job.id
    forget_expired(settings)
    forget_left(settings)
    studies = unseal(settings, str(given["sealed"]))
    if studies is None:
        raise InvalidInput(
            f"Which studies were chosen is kept for {settings.paths_keep_days:g} days only; choose them anew. "
            f"Received: an older job"
        )
    project, pacs = get_project(context.connection, int(given["project"])), get_pacs(context.connection, given["pacs"])
    secret = load_secret(settings)
    landing = landing_of_job(settings, secret, job)
    # One that an older version queued names no folder in which anything could wait.
    kept = Path(given["remove_after"]) / "files" if given.get("remove_after") else None
    with ReadingChildren(settings, secret, project.deidentification) as reader:

        def bring_in(folder: Path, progress: Progress) -> AbstractSet[Path]:
            report = import_paths(
                context.connection,
                context.files,
                settings,
                project,
                [folder],
                table=None,
                patient_from=None,
                job=job,
                actor=context.actor,
                on_case=lambda *_: None,
                labels_of=answers_in_words,
                root=landing.folder,
                hold_back="odd" if kept else "nothing",
                reader=reader,
                progress=progress,
            )
            return report.left if report.waiting else frozenset()

        pulled = pull_studies(
            context.connection, client_of(settings, pacs), project, studies, landing, kept, bring_in, context.progress
        )
    rows = list_import_files(context.connection, job)
    counts = count_files(rows)
    counts["waiting"] = sum(row.status == "waiting" for row in rows)
    waits = f", {counts['waiting']} wait for somebody's word" if counts["waiting"] else ""
    here = f"; {pulled.known} were here already" if pulled.known else ""
    said = f"{counts['imported']} imported, {counts['skipped']} skipped, {counts['failed']} refused{waits}{here}"
    context.progress.report(1.0, said)
    return {**counts, **asdict(pulled)}
