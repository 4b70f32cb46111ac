"""The receiver of a home: `python -m core.jobs.receiving --home DIR --project N ...`, a process of its own.

Modalities and PACS send to it by C-STORE. What comes in waits in the home's folder `spool` until its study is quiet,
and is then imported by an ordinary job, in which odd series wait for somebody's word. A file counts as received once
it is on disk: the sender is told so only then, and a kill in between makes it send again.
"""

import argparse
import logging
import shutil
import signal
import sqlite3
import ssl
import sys
import threading
from pathlib import Path
from types import FrameType

from core.errors import CoreError, InvalidInput, Unavailable
from core.images.pacs.landing import Landing, drop_parts
from core.images.pacs.receiver import Spool, receiving
from core.images.pacs.records import OUR_TITLE, TITLE
from core.images.pacs.tls import listening_context
from core.images.pseudonyms import load_secret
from core.jobs.asking import ask_import
from core.jobs.records import Job, uploads_asked_for
from core.jobs.undecided import RECEIVED, new_upload, uploads_folder
from core.logs import start_log
from core.people.accounts import operating_system_user
from core.people.homes import enter_home
from core.projects.records import Project, get_project
from core.settings import Settings, load_settings
from core.store.audit import Actor, add_audit
from core.store.database import opened, writing
from core.store.locks import take_lock

LOOK_SECONDS = 0.5
QUIET_SECONDS = 30.0
PORT = 11112  # registered for DICOM

log = logging.getLogger("readroom.receiving")


def main(arguments: list[str] | None = None) -> int:
    """Receive until Ctrl-C or SIGTERM; a refusal is its sentence on standard error and exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m core.jobs.receiving", description=__doc__)
    parser.add_argument("--home", type=Path, default=None)
    parser.add_argument("--project", type=int, required=True)
    parser.add_argument("--from", dest="callers", action="append", required=True)
    parser.add_argument("--title", default=OUR_TITLE)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--quiet", type=float, default=QUIET_SECONDS)
    for name in ("--tls-cert", "--tls-key", "--tls-authority"):
        parser.add_argument(name, default="")
    given = parser.parse_args(arguments)
    stopping = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    try:
        settings = load_settings(given.home)
        enter_home(settings)
        start_log(settings, "receiver")
        for title in (given.title, *given.callers):
            if not TITLE.fullmatch(title):
                raise InvalidInput(f"An AE title has 1 to 16 letters, without backslash. Received: {title!r}")
        tls = listening_context(given.tls_cert, given.tls_key, given.tls_authority) if given.tls_cert else None
        address = (given.host, given.port)
        receive(settings, given.project, given.callers, given.title, address, given.quiet, stopping, tls)
    except CoreError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def receive(
    settings: Settings,
    project_id: int,
    callers: list[str],
    title: str,
    address: tuple[str, int],
    quiet_seconds: float,
    stopping: threading.Event,
    tls: ssl.SSLContext | None = None,
) -> None:
    """Let modalities send into a project until `stopping` is set.

    Raises:
        NotFound: there is no such project.
        InvalidInput: the port cannot be listened on, or another receiver fills the spool of this project.
    """
    actor = Actor(operating_system_user(), "command line")
    spool = Spool(Landing(settings.home / "spool" / str(project_id), load_secret(settings)))
    lock = take_lock(settings.home / "spool" / f"{project_id}.lock")
    if lock is None:
        raise InvalidInput(f"A receiver runs for this project already; end that one first. Received: {project_id}")
    try:
        with opened(settings) as connection:
            project = get_project(connection, project_id)
            queue_left(connection, settings, project, actor)
            with receiving(title, address, callers, spool.keep, tls=tls) as server:
                add_audit(connection, actor, "receive", f"project {project.id}", title=title, callers=callers,
                          port=address[1], tls=tls is not None)  # fmt: skip
                place = f"{address[0] or 'every address'}, port {address[1]}{', over TLS' if tls else ''}"
                _tell(f"{title} listens on {place}, for {', '.join(callers)}.")
                while not stopping.wait(LOOK_SECONDS):
                    for study in spool.quiet(quiet_seconds, connected=bool(server.active_associations)):
                        _queue_or_wait(connection, settings, project, spool, study, actor)
    finally:
        lock.release()


def _queue_or_wait(
    connection: sqlite3.Connection, settings: Settings, project: Project, spool: Spool, study: Path, actor: Actor
) -> None:
    try:
        job = queue_study(connection, settings, project, study, actor)
    except Unavailable as error:  # a full disk or a held database: the study stays where it is
        log.warning("A study waits in the spool: %s", error)
        return
    spool.forget(study)
    _tell(f"A study came in; job {job.id} imports it.")


def queue_study(connection: sqlite3.Connection, settings: Settings, project: Project, study: Path, actor: Actor) -> Job:
    """Hand a study of the spool to an import: its folder is moved, and the job is there, or neither."""
    upload = new_upload(settings, RECEIVED, project.id)
    drop_parts(study)  # of a receiver that was killed; its sender was never told that they came
    moved = upload / "files" / study.name  # under the study's name: an image has the same path as when it is pulled
    try:
        with writing(connection):
            job = _ask(connection, settings, project, upload, actor)
            moved.parent.mkdir(parents=True, mode=0o700)
            study.replace(moved)
    except Exception:
        # A full disk is told by the commit, after the move; `queue_left` sees to what has no place in the spool again.
        if moved.exists() and not study.exists():
            moved.replace(study)
        if not moved.exists():
            shutil.rmtree(upload, ignore_errors=True)
        raise
    return job


def queue_left(connection: sqlite3.Connection, settings: Settings, project: Project, actor: Actor) -> list[Job]:
    """Studies that a kill took out of the spool without a job get one."""
    known = uploads_asked_for(connection)
    left = sorted(path.parent for path in uploads_folder(settings).glob(f"{RECEIVED}{project.id}-*/files"))
    return [_ask(connection, settings, project, path, actor) for path in left if str(path) not in known]


def _ask(connection: sqlite3.Connection, settings: Settings, project: Project, upload: Path, actor: Actor) -> Job:
    # Nobody looks on while a modality sends: what is odd waits until somebody has seen it.
    return ask_import(
        connection, settings, project, [str(upload / "files")], remove_after=str(upload), hold_back="odd", actor=actor
    )


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
