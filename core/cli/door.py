"""What every command shares: the home, who acts, and how the answer is printed."""

import json
import os
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from core.errors import CoreError, InvalidInput, NotFound, Unavailable
from core.images.records import Case, find_case
from core.jobs.records import Job, add_job
from core.jobs.waiting import wait_for_job
from core.people.accounts import operating_system_user
from core.people.homes import enter_home
from core.projects.records import get_project
from core.settings import PROJECT_ROOT, Settings, load_settings
from core.store.audit import Actor
from core.store.database import opened
from core.store.files import Files
from core.training.records import Model, get_model

HomeOption = Annotated[
    Path | None, typer.Option("--home", help="Where Readroom keeps everything [default: $READROOM_HOME].")
]
LARGEST = 2**63 - 1  # of the whole numbers that SQLite can look up
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]


@dataclass(frozen=True)
class Door:
    """An open home, as one command sees it."""

    settings: Settings
    connection: sqlite3.Connection
    files: Files
    actor: Actor


@contextmanager
def entered(home: Path | None) -> Iterator[Door]:
    """Open the home for one command, in the name of the operating system's user."""
    settings = load_settings(home)
    enter_home(settings)
    with opened(settings) as connection:
        yield Door(settings, connection, Files(settings.home), Actor(operating_system_user(), "command line"))


def case_named(door: Door, project_id: int, name: str) -> Case:
    """The case of this number, path or file name.

    Raises:
        NotFound: there is none.
    """
    found = find_case(door.connection, project_id, name)
    if found is None:
        raise NotFound("case", name)
    return found


def cases_named(door: Door, project_id: int, text: str) -> list[int]:
    """The numbers of cases that are named as `1,5,10-20`, or by file names.

    Raises:
        InvalidInput: a range goes from a higher to a lower number, or nothing is named.
        NotFound: there is no case of a name; whether the numbers of a range are cases is not looked up.
    """
    ids: list[int] = []
    for part in (part.strip() for part in text.split(",") if part.strip()):
        first, dash, last = part.partition("-")
        if dash and first.isdecimal() and last.isdecimal() and len(part) < 24:
            if not int(first) <= int(last) < int(first) + 1_000_000:
                raise InvalidInput(f"A range goes from a lower to a higher number. Received: {part}")
            ids += range(int(first), int(last) + 1)
        else:
            ids.append(case_named(door, project_id, part).id)
    if not ids:
        raise InvalidInput(f"Name cases by number or file name, as 1,5,10-20. Received: {text!r}")
    return ids


def model_named(door: Door, project: str, name: str) -> Model:
    """The model of this name in the project of that name.

    Raises:
        NotFound: there is no such project or model.
    """
    return get_model(door.connection, get_project(door.connection, project).id, name)


def ask_model(door: Door, kind: str, model: Model, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Queue a job about a model, wait for it as `wait_and_tell` does, and give its result."""
    asked = {"model": model.id, **arguments}
    return wait_and_tell(door, add_job(door.connection, kind, asked, project=model.project, actor=door.actor))


def answer(document: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    """Print the answer: one JSON document for programs, in which data classes are objects, a few lines for people.

    Bytes of a file's name that are no UTF-8 are told as `\\udcXX`, which JSON reads back as Python has them.
    """
    said = json.dumps(document, ensure_ascii=False, default=asdict) if as_json else text
    typer.echo(said.encode("utf-8", "backslashreplace").decode())


def estimate_text(metric: Mapping[str, Any]) -> str:
    """A number with its interval, or why it is undefined."""
    if metric["value"] is None:
        return f"undefined: {metric.get('reason', '')}"
    interval = "no interval" if metric["low"] is None else f"{metric['low']:.3f} to {metric['high']:.3f}"
    return f"{metric['value']:.3f} ({interval})"


def tell(text: str) -> None:
    """Say something to the person without touching the answer on standard output."""
    typer.echo(text, err=True)


def wait_and_tell(door: Door, job: Job) -> dict[str, Any]:
    """Wait for a job, tell its notes on standard error, and give its result.

    Raises:
        CoreError: the job failed, or was stopped and left nothing (a stopped training leaves its best weights);
            the text is its own sentence and remedy.
    """
    told: list[str] = []

    def tell_news(now: Job) -> None:
        line = f"{now.fraction:4.0%} {now.note}"
        if now.note and told[-1:] != [line]:
            told[:] = [line]
            tell(line)

    ended = wait_for_job(door.settings, job.id, tell_news)
    if ended.result is None or ended.state == "failed":
        sentence = ended.error or f"Job {ended.id} was {ended.state}."
        raise CoreError(f"{sentence} {ended.remedy or ''}".strip())
    return dict(ended.result)


def demand_place(target: Path, *, folder: bool = False) -> None:
    """Refuse a place that is taken, before the work is done that would be written there.

    Args:
        folder: files go into it.

    Raises:
        InvalidInput: a folder lies where a file shall be, or a file where a folder shall be.
    """
    if target.exists() and target.is_dir() != folder:
        raise _not_there(f"a {'file' if folder else 'folder'} has this name", target)


@contextmanager
def written_to(target: Path) -> Iterator[None]:
    """Say in a sentence why a file cannot be written where somebody asked for it, most often for a folder of its name.

    Raises:
        InvalidInput: it cannot be written there.
    """
    try:
        yield
    except (OSError, Unavailable) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(cause, OSError):
            raise
        raise _not_there(cause.strerror or str(cause), target) from error


def _not_there(why: str, target: Path) -> InvalidInput:
    return InvalidInput(f"It cannot be written there ({why}); name another place. Received: {target}")


def become(module: str, options: list[str]) -> NoReturn:
    """Turn this process into the service: this door never imports the screens, and every signal reaches them."""
    os.chdir(PROJECT_ROOT)
    os.execv(sys.executable, [sys.executable, "-m", module, *options])
