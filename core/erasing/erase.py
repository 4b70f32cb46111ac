"""The deed: rows in one transaction, then files, then the database rewritten so that nothing is left to be read.

What is still to be removed is written down in the transaction that deletes the rows. A process that dies between
the two leaves a list that the worker, or the next erasing, works off; nothing is half-erased on screen meanwhile.
"""

import logging
import os
import shutil
import sqlite3
from pathlib import Path, PurePosixPath
from typing import Any

from core.erasing.leftovers import is_named_in_job
from core.erasing.plan import ErasurePlan, plan_erasure
from core.erasing.records import (
    DATABASE,
    add_files_to_erase,
    check_references,
    clean_backups,
    clean_import_files,
    clean_job,
    count_rows,
    delete_cases,
    delete_project,
    deleting_for_good,
    drop_file_to_erase,
    empty_jobs,
    find_busy_jobs,
    has_files_to_erase,
    list_case_ids,
    list_files_to_erase,
    list_hashes_in_use,
    list_jobs_of,
    list_snapshots_hit,
    mark_snapshots,
    name_erasing,
    rewrite_database,
)
from core.errors import Conflict, InvalidInput, Unavailable
from core.images.crosswalk import forget
from core.images.refused_files import forget_refused
from core.people.roles import demand_of
from core.projects.records import get_project
from core.settings import Settings
from core.store.audit import Actor, add_audit
from core.store.database import opened, writing
from core.store.files import Files
from core.store.forcing import force_each

FILES_AT_ONCE = 200
NUMBERS_IN_AUDIT = 1000
NAMED_BY_HASH = ("pixels", "thumbnails", "models", "headers", "masks")
KIND_WORDS = {"import": "an import", "pull": "a pull from a PACS", "train": "a training", "evaluate": "an evaluation",
              "predict": "a prediction", "draft": "drafts of a model", "explain": "an explanation",
              "predict_cases": "a prediction of cases", "drift": "a drift check",
              "gather_evidence": "explanation evidence", "backup": "a backup"}  # fmt: skip

log = logging.getLogger("readroom.erasing")


def erase(connection: sqlite3.Connection, files: Files, plan: ErasurePlan, *, actor: Actor, reason: str) -> bool:
    """Erase what was planned.

    Args:
        reason: kept in the audit for ever, so it must not name what goes.

    Returns:
        Whether everything is gone. False: the rows are, and the worker removes the rest as soon as it can.

    Raises:
        NotAllowed: a case or a patient takes an administrator of the project, a project one of this Readroom.
        InvalidInput: the reason names what is erased.
        Conflict: a job uses these images, or there is something now that the plan does not name.
        NotFound: it was erased meanwhile.
    """
    if connection.in_transaction:
        raise RuntimeError("erase begins and ends transactions of its own; call it outside of one")
    demand_of(connection, actor, "administer", None if plan.extent == "project" else plan.project)
    if plan.traces.named_in(reason):
        raise InvalidInput(f"Leave names and paths out of the reason: the audit keeps it for ever. Received: {reason}")
    now = plan_erasure(connection, files, get_project(connection, plan.project), **_extent(plan))
    if now.promise != plan.promise:
        raise Conflict(f"Something was added or changed meanwhile; look again at what goes. Received: {plan.title}")
    with deleting_for_good(connection):
        _erase_rows(connection, now, actor, reason.strip())
    whole = plan.extent == "project"
    forget_refused(Settings(home=files.root), plan.project)
    forget(Settings(home=files.root), plan.project, None if whole else frozenset(now.traces.words))
    return finish_erasing(files)


def _extent(plan: ErasurePlan) -> dict[str, Any]:
    if plan.extent == "case":
        return {"case_ids": plan.case_ids}
    return {"patient": plan.confirmation} if plan.extent == "patient" else {}


def _erase_rows(connection: sqlite3.Connection, plan: ErasurePlan, actor: Actor, reason: str) -> None:
    whole = plan.extent == "project"
    with writing(connection):
        _refuse_busy(connection, plan)
        _refuse_news(connection, plan)
        add_files_to_erase(connection, plan.paths)
        name_erasing(connection, plan.case_ids)
        if not whole:
            mark_snapshots(connection, plan.case_ids, plan.traces)
            clean_import_files(connection, plan.project, plan.traces)
        _clean_jobs(connection, plan)
        clean_backups(connection, plan.traces)
        delete_cases(connection)
        if whole:
            delete_project(connection, plan.project)
        empty_jobs(connection, plan.emptied_jobs)
        check_references(connection)
        add_audit(connection, actor, f"erase {plan.extent}", f"project {plan.project}", **_told(plan), reason=reason)


def _refuse_busy(connection: sqlite3.Connection, plan: ErasurePlan) -> None:
    busy = find_busy_jobs(connection, plan.project, None if plan.extent == "project" else plan.case_ids)
    if busy:
        named = ", ".join(f"job {job} ({KIND_WORDS.get(kind, kind)})" for job, kind in busy[:5])
        raise Conflict(
            f"Wait until the work on these images has ended, or stop it on the page Jobs, then delete. "
            f"Received: {plan.title}, used by {named}"
        )


def _refuse_news(connection: sqlite3.Connection, plan: ErasurePlan) -> None:
    """What was planned a moment ago must still be all there is, now that nobody else can write."""
    patient = plan.confirmation if plan.extent == "patient" else None
    ids = plan.case_ids if plan.extent == "case" else tuple(list_case_ids(connection, plan.project, patient))
    counts = count_rows(connection, plan.case_ids)
    snapshots = [hit["id"] for hit in list_snapshots_hit(connection, plan.case_ids)]
    drawn = counts["marks"] + counts["mask_edits"]
    if (ids, counts["cases"], counts["labels"], drawn, counts["comments"], snapshots) != (
        plan.case_ids,
        len(plan.case_ids),
        plan.labels,
        plan.drawn,
        plan.comments,
        [lost.snapshot for lost in plan.snapshots],
    ):
        raise Conflict(f"Something was added or changed meanwhile; look again at what goes. Received: {plan.title}")


def _clean_jobs(connection: sqlite3.Connection, plan: ErasurePlan) -> None:
    for job in list_jobs_of(connection, plan.project):
        settled = job["state"] not in ("queued", "running")
        if settled and job["id"] not in plan.emptied_jobs and is_named_in_job(job, plan.traces):
            clean_job(connection, job, plan.traces)


def _told(plan: ErasurePlan) -> dict[str, object]:
    """What the audit keeps: numbers only."""
    return {
        "cases": len(plan.case_ids),
        "case_numbers": list(plan.case_ids[:NUMBERS_IN_AUDIT]),
        "images": plan.images,
        "labels": plan.labels,
        "drawn": plan.drawn,
        "comments": plan.comments,
        "predictions": plan.predictions,
        "snapshots": [lost.snapshot for lost in plan.snapshots],
    }


def finish_erasing(files: Files) -> bool:
    """Remove what erasing has left to remove, if anything; True when nothing is left. Safe to call at any time.

    It takes a connection of its own: a statement that its caller has open would stand in the way of rewriting.
    """
    with opened(Settings(home=files.root)) as connection:
        if not has_files_to_erase(connection):
            return True
        try:
            while some := list_files_to_erase(connection, FILES_AT_ONCE):
                _remove(connection, files.root, some)
            whole = rewrite_database(connection)
        except (
            sqlite3.OperationalError,
            Unavailable,
            OSError,
        ) as error:  # a full disk, a long lock: the next call goes on
            log.warning("Erasing is not finished yet: %s", type(error).__name__)
            return False
        if whole:
            drop_file_to_erase(connection, DATABASE)
        return whole


def _remove(connection: sqlite3.Connection, root: Path, paths: list[str]) -> None:
    """Take files away and off the list. In a write transaction: no import brings the same pixels in meanwhile."""
    with writing(connection):
        by_hash = {path: PurePosixPath(path).stem for path in paths if path.split("/", 1)[0] in NAMED_BY_HASH}
        in_use = list_hashes_in_use(connection, list(by_hash.values()))
        removed = [root / path for path in paths if by_hash.get(path) not in in_use]
        for target in removed:
            if target.is_dir():
                shutil.rmtree(target)
            else:
                target.unlink(missing_ok=True)
        # Removals must outlive a power cut: only then may they leave the list.
        force_each({target.parent for target in removed if target.parent.is_dir()}, os.O_RDONLY)
        for path in paths:
            drop_file_to_erase(connection, path)
