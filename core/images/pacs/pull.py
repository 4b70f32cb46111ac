"""Studies come from a PACS one after the other: fetched, imported, and taken away again.

Killed or cut off at any moment and started again, it asks only for what is not here yet. What fails is said without
the number of a study or the name of a patient: jobs keep it.
"""

import sqlite3
import time
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from core.errors import Unavailable
from core.images.dicom_instances import NOT_PICTURES
from core.images.headers import frames_of_instances
from core.images.pacs.landing import Landing, drop_parts
from core.images.pacs.questions import Client, Instance
from core.images.pseudonyms import pseudonymous_uid
from core.progress import Portion, Progress, stop_if_asked
from core.projects.records import Project

AT_ONCE = 50  # instances asked for in one go: a stop is heard between
WAITS_SECONDS = (1.0, 5.0, 15.0)  # before a PACS that hung up is asked again
SHARE_OF_FETCHING = 0.6
PULSE_SECONDS = 0.1

Said = TypeVar("Said")
BringIn = Callable[[Path, Progress], AbstractSet[Path]]


@dataclass
class Pulled:
    """What a pull did: `known` instances were here before, `left_out` series hold no pictures, `missing` ones were
    listed and did not come."""

    studies: int = 0
    fetched: int = 0
    known: int = 0
    left_out: int = 0
    missing: int = 0
    warnings: list[str] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class _Pull:
    """What stays the same from study to study."""

    connection: sqlite3.Connection
    client: Client
    project: Project
    landing: Landing
    done: Pulled
    waits: Sequence[float]


def pull_studies(
    connection: sqlite3.Connection,
    client: Client,
    project: Project,
    studies: Sequence[str],
    landing: Landing,
    kept: Path | None,
    bring_in: BringIn,
    progress: Progress,
    *,
    waits: Sequence[float] | None = None,
) -> Pulled:
    """Bring studies into a project.

    Args:
        studies: their UIDs.
        landing: where files lie meanwhile.
        kept: the folder that takes, study by study, what waits for somebody's word; without it nothing waits.
        bring_in: imports the folder of a study; of its files it answers those that wait.
        waits: seconds before each further try after the PACS hung up; they begin anew whenever something came.

    Raises:
        Unavailable: the PACS cannot be reached, or hung up once too often; what came stays for the next attempt.
        NotAllowed: it does not let us in.
        InvalidInput: it refuses what is asked.
        Stopped: somebody asked to stop; the same.
    """
    pull = _Pull(connection, client, project, landing, Pulled(), WAITS_SECONDS if waits is None else waits)
    for at, study in enumerate(studies):
        stop_if_asked(progress)
        if landing.is_in(study):  # of an earlier attempt
            pull.done.studies += 1
            continue
        share = Portion(progress, at / len(studies), (at + 1) / len(studies))
        said = f"study {at + 1} of {len(studies)}"
        _fetch_study(pull, study, Portion(share, 0.0, SHARE_OF_FETCHING), said)
        folder = landing.study(study)
        if folder.is_dir():
            drop_parts(folder)
            waiting = bring_in(folder, Portion(share, SHARE_OF_FETCHING, 1.0))
            if waiting and kept:
                landing.keep(study, kept, waiting)
        landing.remove(study)
        pull.done.studies += 1
    landing.end()
    if pull.done.missing:
        pull.done.warnings.append(
            f"{pull.done.missing} of the listed objects did not come; the log of the PACS tells why."
        )
    return pull.done


def _fetch_study(pull: _Pull, study: str, progress: Progress, said: str) -> None:
    progress.report(0.0, f"{said}: asking what it holds")
    series = _persistently(pull, partial(pull.client.list_series, study), progress)
    pictures = [one.uid for one in series if one.modality not in NOT_PICTURES]
    pull.done.left_out += len(series) - len(pictures)
    for at, uid in enumerate(pictures):
        part = Portion(progress, at / len(pictures), (at + 1) / len(pictures))
        _fetch_series(pull, study, uid, part, f"{said}, series {at + 1} of {len(pictures)}")


def _fetch_series(pull: _Pull, study: str, series: str, progress: Progress, said: str) -> None:
    listed = _persistently(pull, partial(pull.client.list_instances, study, series), progress)
    wanted = _unknown(pull, listed)
    pull.done.known += len(listed) - len(wanted)
    left = _not_here(pull, study, series, wanted)
    done = len(wanted) - len(left)  # of an earlier attempt
    for start in range(0, len(left), AT_ONCE):
        some = left[start : start + AT_ONCE]
        _persistently(
            pull,
            partial(_fetch_some, pull, study, series, some),
            progress,
            partial(_count_here, pull, study, series, some),
        )
        pull.done.fetched += _count_here(pull, study, series, some)
        done += len(some)
        progress.report(done / len(wanted), f"{said}: {done} of {len(wanted)} images")
    pull.done.missing += len(_not_here(pull, study, series, wanted))


def _fetch_some(pull: _Pull, study: str, series: str, some: Sequence[Instance]) -> None:
    left = _not_here(pull, study, series, some)  # a part may have come before the PACS hung up
    if left:
        pull.client.fetch(study, series, left, partial(pull.landing.receiving, study, series))


def _not_here(pull: _Pull, study: str, series: str, some: Sequence[Instance]) -> list[Instance]:
    return [one for one in some if not pull.landing.file(study, series, one.uid).exists()]


def _count_here(pull: _Pull, study: str, series: str, some: Sequence[Instance]) -> int:
    return len(some) - len(_not_here(pull, study, series, some))


def _unknown(pull: _Pull, listed: Sequence[Instance]) -> list[Instance]:
    """What of a series is to come: nothing that is a case here, but for a volume, which is made of all its slices."""
    names = {one.uid: _name(pull, one.uid) for one in listed}
    frames = frames_of_instances(pull.connection, pull.project.id, list(names.values()))
    new = [one for one in listed if names[one.uid] not in frames]
    if new and any(count > 1 for count in frames.values()):
        return list(listed)
    return new


def _name(pull: _Pull, uid: str) -> str:
    """What an instance is called in the database."""
    return pseudonymous_uid(pull.landing.secret, uid) if pull.project.deidentification.enabled else uid


def _persistently(
    pull: _Pull, ask: Callable[[], Said], progress: Progress, arrived: Callable[[], int] = lambda: 0
) -> Said:
    """The answer, asked for again after a while where the PACS hung up."""
    waits = list(pull.waits)
    while True:
        stop_if_asked(progress)
        before = arrived()
        try:
            return ask()
        except Unavailable:
            if arrived() > before:
                waits = list(pull.waits)
            if not waits:
                raise
            _wait(waits.pop(0), progress)


def _wait(seconds: float, progress: Progress) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        stop_if_asked(progress)
        time.sleep(min(PULSE_SECONDS, seconds))
