"""The folder of backups: generations that each name what they need, files that they share, and what is kept how long.

    OUT/files/<shelf>/<2>/<sha256>                        each file once, under the hash of its content
    OUT/generations/<time>/readroom.db, secret.key, settings.toml, manifest.json

The manifest is written last: a generation without one was cut short and counts for nothing.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from core.errors import CoreError
from core.settings import Settings
from core.store.files import Shelf

FORMAT = 1
# Prepared training images are left out: they are made anew from the pixels.
SHELVES: tuple[Shelf, ...] = ("pixels", "models", "thumbnails", "explanations", "headers", "masks")
HOME_FILES = ("readroom.db", "secret.key", "settings.toml")
MANIFEST = "manifest.json"
NAME_FORMAT = "%Y-%m-%dT%H-%M-%S-%fZ"
# A step of the clock larger than this is taken for a fault of the clock, and nothing is removed in its name.
PLAUSIBLE_GAP = timedelta(days=60)
PLAUSIBLE_AHEAD = timedelta(days=1)


@dataclass(frozen=True)
class StoredFile:
    """A file of the home: `name` is its place on the shelf, `sha256` its content's hash and its name in the backup."""

    shelf: Shelf
    name: str
    sha256: str
    size: int

    def __post_init__(self) -> None:
        if self.shelf not in SHELVES or not all(_is_hash(text) for text in (self.name, self.sha256)) or self.size < 0:
            raise ValueError(f"not a stored file: {self}")

    @property
    def key(self) -> tuple[str, str]:
        """What a backup stores it under."""
        return self.shelf, self.sha256


@dataclass(frozen=True)
class Manifest:
    """What a generation holds. `faults` are sentences about what the home lacked; without any it is complete."""

    number: int
    made_at: str
    files: tuple[StoredFile, ...]
    home_files: dict[str, dict[str, Any]]  # readroom.db, secret.key, settings.toml: size and sha256
    audit_head: str
    rows: dict[str, int]
    steps: tuple[str, ...]
    versions: dict[str, str]
    faults: tuple[str, ...]
    format: int = FORMAT

    @property
    def is_complete(self) -> bool:
        return not self.faults


@dataclass(frozen=True)
class Generation:
    """One finished backup in a folder of backups."""

    folder: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def at(self) -> datetime:
        """When it was made, by the clock of that moment."""
        return datetime.fromisoformat(self.manifest.made_at)


def generation_name(moment: datetime) -> str:
    """The name of a generation made at this moment; it is a name on every file system."""
    return moment.astimezone(UTC).strftime(NAME_FORMAT)


def file_path(out: Path, key: tuple[str, str]) -> Path:
    """Where a folder of backups keeps a file."""
    shelf, sha256 = key
    return out / "files" / shelf / sha256[:2] / sha256


def generations_folder(out: Path) -> Path:
    return out / "generations"


def manifest_text(manifest: Manifest) -> str:
    """The manifest as JSON, one line for each file."""
    told = asdict(manifest)
    files = told.pop("files")
    lines = ",\n".join(f"  {json.dumps(file)}" for file in files)
    return f'{json.dumps(told, indent=1)[:-2]},\n "files": [\n{lines}\n ]\n}}\n'


def read_manifest(folder: Path, *, shared: dict[tuple[Any, ...], StoredFile] | None = None) -> Manifest:
    """The manifest of a generation.

    Args:
        shared: files of manifests read before; generations name mostly the same ones, and 25 of 200,000 each would
            otherwise fill the memory.

    Raises:
        FileNotFoundError: it has none, so it was never finished.
        CoreError: it cannot be read, or was written by a newer Readroom.
    """
    content = (folder / MANIFEST).read_bytes()
    try:
        told = json.loads(content.decode())
        if told["format"] > FORMAT:
            raise CoreError(f"This backup was made by a newer Readroom; update Readroom first. Received: {folder}")
        if datetime.fromisoformat(told["made_at"]).tzinfo is None:
            raise ValueError("its time has no zone")
        if not isinstance(told["number"], int) or not _is_hash(told["home_files"]["readroom.db"]["sha256"]):
            raise ValueError("it does not say which backup it is, or of which database")
        return Manifest(
            **{
                **told,
                "files": tuple(_stored_file(file, {} if shared is None else shared) for file in told["files"]),
                "steps": tuple(told["steps"]),
                "faults": tuple(told["faults"]),
            }
        )
    except (ValueError, KeyError, TypeError) as error:
        raise CoreError(
            f"The manifest of this backup is damaged; choose another with --generation. Received: {folder / MANIFEST} "
            f"({error})"
        ) from error


def list_generations(out: Path) -> tuple[list[Generation], list[str]]:
    """The finished generations, newest first, and a sentence for each one whose manifest cannot be used."""
    found, faults, shared = list[Generation](), list[str](), dict[tuple[Any, ...], StoredFile]()
    for folder in sorted(generations_folder(out).glob("*")):
        try:
            found.append(Generation(folder, read_manifest(folder, shared=shared)))
        except (FileNotFoundError, NotADirectoryError):
            continue  # cut short
        except (CoreError, OSError) as error:
            faults.append(str(error))
    # By number, not by name: the clock may have been wrong.
    return sorted(found, key=lambda one: (one.manifest.number, one.name), reverse=True), faults


def choose_kept(generations: Sequence[Generation], now: datetime, settings: Settings) -> set[str]:
    """The names of those to keep: all of the last days, then one a week, then one a month.

    The newest, and the newest complete one, always stay. Where the clock cannot be right, all stay.
    """
    ordered = sorted(generations, key=lambda one: one.manifest.number, reverse=True)
    if len(ordered) < 2 or abs(now - ordered[1].at) > PLAUSIBLE_GAP:
        return {one.name for one in ordered}
    kept = {ordered[0].name, *(one.name for one in [one for one in ordered if one.manifest.is_complete][:1])}
    weeks, months = set[tuple[int, int]](), set[tuple[int, int]]()
    # A complete one stands for its week or month before one that is not.
    for one, at in sorted(_believable(ordered, now), key=lambda told: not told[0].manifest.is_complete):
        age, week, month = now - at, at.isocalendar()[:2], (at.year, at.month)
        if age < timedelta(days=settings.backup_keep_days):
            kept.add(one.name)
        if age < timedelta(weeks=settings.backup_keep_weeks) and week not in weeks:
            kept.add(one.name)
        if age < timedelta(days=31 * settings.backup_keep_months) and month not in months:
            kept.add(one.name)
        weeks.add(week)
        months.add(month)
    return kept


def _believable(ordered: Iterable[Generation], now: datetime) -> list[tuple[Generation, datetime]]:
    """Each with its time; one from the future was made before those that followed it."""
    told, last = list[tuple[Generation, datetime]](), now
    for one in ordered:
        last = one.at if one.at <= now + PLAUSIBLE_AHEAD else last
        told.append((one, last))
    return told


def _stored_file(told: dict[str, Any], shared: dict[tuple[Any, ...], StoredFile]) -> StoredFile:
    key = (told["shelf"], told["name"], told["sha256"], told["size"])
    found = shared.get(key)
    if found is None:
        found = shared[key] = StoredFile(*key)
    return found


def _is_hash(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")
