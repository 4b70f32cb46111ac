"""What lies around an erased case outside its own rows: overlays, prepared arrays, job folders, logs, uploads."""

import hashlib
import json
import re
import sqlite3
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.erasing.traces import Traces
from core.images.pseudonyms import load_secret, path_token, patient_name
from core.settings import Settings
from core.store.files import Files, is_left_over
from core.store.migrating import copies_kept

ACTIVE = ("queued", "running")
LOGS = ("log.txt", "events.jsonl", "imported.json")
TABLES = (".csv", ".tsv", ".txt", ".json")
READ_BYTES = 1 << 20
CELLS = re.compile(r'[,;\t\r\n"|]+')


@dataclass(frozen=True)
class Leftovers:
    """Paths relative to the home; jobs by number. `emptied` were about the cases alone, `cleaned` name them."""

    overlays: tuple[str, ...]
    prepared: tuple[str, ...]
    logs: tuple[str, ...]
    uploads: tuple[str, ...]
    folders: tuple[str, ...]
    copies: tuple[str, ...]
    emptied: tuple[int, ...]
    cleaned: tuple[int, ...]


def find_leftovers(
    files: Files, jobs: Sequence[sqlite3.Row], traces: Traces, case_ids: set[int], *, project: int | None
) -> Leftovers:
    """Walk the jobs of a project and what they left on disk. With `project` everything of its jobs goes."""
    root = files.root
    emptied = [job for job in jobs if _is_about(job, case_ids, project)]
    gone = {job["id"] for job in emptied}
    settled = [job for job in jobs if job["id"] not in gone and job["state"] not in ACTIVE and project is None]
    keys = {json.loads(job["result"] or "{}").get("explanation") for job in emptied if job["kind"] == "explain"}
    overlays = [files.path("explanations", key) for key in keys if key]
    folders = [root / "jobs" / str(job) for job in gone] + [root / "imports" / f"{job}.reading" for job in gone]
    logs = [root / "jobs" / str(job["id"]) / name for job in settled for name in LOGS]
    logs += [root / "imports" / f"{job['id']}.reading" for job in settled] + [root / "jobs" / "warm.log"]
    idle = not any(job["state"] in ACTIVE for job in jobs)
    return Leftovers(
        overlays=_relative(root, overlays),
        # They cannot be told apart by what is in them, and are made anew from the pixels that stay.
        prepared=_relative(root, (root / "prepared").glob("*/*.npy")) + (_parts(root) if idle else ()),
        logs=_relative(root, (path for path in logs if path.is_file() and traces.named_in(_text(path)))),
        uploads=_relative(root, _uploads(root, jobs, gone, traces)),
        folders=_relative(root, [*folders, *_sealed(root, jobs)]),
        copies=_relative(root, copies_kept(Settings(home=root))),
        emptied=tuple(sorted(gone)),
        cleaned=tuple(job["id"] for job in settled if is_named_in_job(job, traces)),
    )


def _sealed(root: Path, jobs: Sequence[sqlite3.Row]) -> Iterator[Path]:
    """Original paths of what is over, and what pulls fetched and did not bring in: nobody can tell which of
    them are about what is erased."""
    for job in jobs:
        if job["state"] not in ACTIVE and job["kind"] in ("import", "predict", "pull"):
            sealed = json.loads(job["arguments"]).get("sealed")
            stems = (f"job-{job['id']}", f"left-{job['id']}", sealed)
            names = (*(f"{stem}.sealed" for stem in stems if stem), f"pull-{job['id']}")
            yield from (path for name in names if (path := root / "imports" / name).exists())


def is_named_in_job(job: sqlite3.Row, traces: Traces) -> bool:
    """Whether the row of a job gives one of the erased cases away."""
    told = (job[key] or "" for key in ("arguments", "facts", "note", "result", "error", "remedy", "traceback"))
    return traces.named_in("\n".join(told))


def _is_about(job: sqlite3.Row, case_ids: set[int], project: int | None) -> bool:
    if project is not None:
        return bool(job["project"] == project)
    return job["kind"] == "explain" and json.loads(job["arguments"]).get("case") in case_ids


def _parts(root: Path) -> tuple[str, ...]:
    """What a killed process left half-written: it may hold pixels, and nothing tells whose. An import of another
    project may be at work; what that has written waits for its name."""
    shelves = ("pixels", "thumbnails", "prepared", "explanations")
    parts = (path for shelf in shelves for path in (root / shelf).glob("*/*.part"))
    return _relative(root, (path for path in parts if is_left_over(path)))


def _uploads(root: Path, jobs: Sequence[sqlite3.Row], gone: set[int], traces: Traces) -> Iterator[Path]:
    """Left uploads that hold an erased image or a table that names one; what an active import reads stays."""
    uploads = root / "uploads"
    needed, own, secret = list[Path](), list[Path](), load_secret(Settings(home=root))
    for job in jobs:
        arguments = json.loads(job["arguments"])
        named = [Path(arguments[key]) for key in ("remove_after", "labels", "table_upload") if arguments.get(key)]
        (needed if job["state"] in ACTIVE else own if job["id"] in gone else []).extend(named)
    yield from (path for path in own if uploads in path.parents and path.exists())
    for path in sorted(uploads.rglob("*")):
        spoken_for = any(path.is_relative_to(other) for other in (*needed, *own))
        name = path.relative_to(uploads).as_posix()
        if path.is_file() and not spoken_for and _gives_away(path, name, traces, secret):
            yield path


def _gives_away(path: Path, name: str, traces: Traces, secret: bytes) -> bool:
    if traces.named_in(_with_tokens(name, secret)):
        return True
    if path.suffix.lower() in TABLES:
        return traces.named_in(_with_tokens(_text(path), secret))
    if path.suffix.lower() == ".zip":
        try:
            with zipfile.ZipFile(path) as archive:
                return traces.named_in(_with_tokens("\n".join(archive.namelist()), secret))
        except (OSError, zipfile.BadZipFile):
            return False
    return _sum(path) in traces.hashes


def _with_tokens(text: str, secret: bytes) -> str:
    """A text, and what the database calls the files and patients that its cells may name."""
    cells = {cell.strip() for cell in CELLS.split(text)} - {""}
    return "\n".join([text, *(call(secret, cell) for cell in sorted(cells) for call in (path_token, patient_name))])


def _sum(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(READ_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", errors="replace")


def _relative(root: Path, paths: Iterable[Path]) -> tuple[str, ...]:
    return tuple(sorted({path.relative_to(root).as_posix() for path in paths}))
