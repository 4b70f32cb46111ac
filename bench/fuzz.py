"""Damaged files, thousands of them, through a whole import: nothing may crash, hang, swallow memory or write elsewhere.

An input is told by its seed and its number alone: `python -m bench.fuzz SEED NUMBER` makes it again, says what was done
to it, and reads it in this process so that a debugger sees where it fails.
"""

import contextlib
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bench.fuzz_seeds import Seed, make_seeds
from bench.harness import Figure, Figures, Row
from bench.mutations import mutate
from bench.server import MEGABYTE
from core.errors import CoreError
from core.images.decoding import decode
from core.images.ingest import ImportReport, import_paths
from core.images.reading_children import ReadingChildren
from core.people.accounts import ensure_user
from core.progress import Silent
from core.projects.deidentification import Deidentification
from core.projects.records import Project, add_project
from core.projects.schema import make_classification
from core.settings import Settings
from core.store.audit import Actor
from core.store.database import opened, prepare_home
from core.store.files import Files

INPUTS = 20_000
SEED = 5
AT_ONCE = 250
DIGITS = 6
SECONDS_A_FILE = 5.0
MOST_MEMORY_MB = 1000  # of a process that reads images of at most so many pixels
MOST_PIXELS = 20_000_000
OUTSIDE = Path("/outside-readroom.png")  # where an archive of the seeds would like to write
SECRET = bytes(range(32))


@dataclass(frozen=True)
class Input:
    """A damaged file."""

    number: int
    seed: Seed
    content: bytes
    done: str

    @property
    def name(self) -> str:
        return f"{self.number:0{DIGITS}d}{self.seed.suffix}"


@dataclass
class Verdict:
    """What became of the inputs. Each fault names its number, so that it can be made again."""

    inputs: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    ended: list[str] = field(default_factory=list)  # they took the process that read them with them
    slow: list[str] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)  # the import itself fell over
    untold: list[str] = field(default_factory=list)  # no word on what became of them, or a refusal without a reason
    outside: list[str] = field(default_factory=list)  # files that were written where none belongs
    memory_mb: float = 0.0  # the most of a reader, or by which the importing process grew

    @property
    def faults(self) -> list[str]:
        return [*self.ended, *self.slow, *self.crashes, *self.untold, *self.outside]


def make_input(seeds: Sequence[Seed], seed: int, number: int) -> Input:
    """The damaged file of this number: the seeds take turns."""
    rng = random.Random(f"{seed} {number}")
    chosen, other = seeds[number % len(seeds)], rng.choice(seeds)
    content, done = mutate(chosen.content, rng, other.content)
    return Input(number, chosen, content, f"seed {seed} number {number}: {chosen.name}: {done}")


def fuzz(work: Path, count: int, *, seed: int = SEED, at_once: int = AT_ONCE, tell: bool = False) -> Verdict:
    """Import so many damaged files in portions, and look at everything around after each."""
    verdict, seeds = Verdict(), make_seeds()
    before = psutil.Process().memory_info().rss / MEGABYTE
    settings, project = prepare_place(work)
    with _elsewhere(work), ReadingChildren(settings, SECRET, Deidentification(), seconds=SECONDS_A_FILE) as reader:
        for start in range(0, count, at_once):
            inputs = [make_input(seeds, seed, number) for number in range(start, min(count, start + at_once))]
            portion = _import_some(settings, project, work / "in", inputs, reader, 1 + start, verdict)
            _judge(verdict, inputs, portion, work)
            verdict.memory_mb = max(verdict.memory_mb, *_memory(before))
            again = [one for one in inputs if one.done in verdict.slow]
            verdict.slow = [one for one in verdict.slow if one not in {two.done for two in again}]
            verdict.slow += [one.done for one in again if _takes_long(one, reader)]
            if tell:
                told = f"{verdict.inputs} of {count}, {len(verdict.faults)} faults, {verdict.memory_mb:.0f} MB"
                print(told, *verdict.faults[-3:], sep="\n", flush=True)
    return verdict


def prepare_place(work: Path) -> tuple[Settings, Project]:
    """A home some folders deep, with empty folders around it in which whatever is written is seen."""
    settings = Settings(home=work / "a" / "b" / "home", max_image_pixels=MOST_PIXELS)
    for folder in (settings.home, work / "here", work / "passing"):
        folder.mkdir(parents=True)
    prepare_home(settings)
    with opened(settings) as connection:
        ensure_user(connection, "bench", role="admin")
        schema = make_classification(["no", "yes"])
        actor = Actor("bench", "command line")
        return settings, add_project(connection, name="Fuzz", task="classification", schema=schema, actor=actor)


@contextlib.contextmanager
def _elsewhere(work: Path) -> Iterator[None]:
    """Work in an empty folder, with passing files in another: what is written without a place lands there."""
    before, kept = os.environ.get("TMPDIR"), tempfile.tempdir
    os.environ["TMPDIR"] = tempfile.tempdir = str(work / "passing")
    try:
        with contextlib.chdir(work / "here"):
            yield
    finally:
        tempfile.tempdir = kept
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before


def _import_some(
    settings: Settings,
    project: Project,
    folder: Path,
    inputs: Sequence[Input],
    reader: ReadingChildren,
    job: int,
    verdict: Verdict,
) -> ImportReport | None:
    folder.mkdir()
    for one in inputs:
        (folder / one.name).write_bytes(one.content)
    began = time.monotonic()
    try:
        with opened(settings) as connection:
            return import_paths(
                connection, Files(settings.home), settings, project, [folder], table=None, patient_from=None, job=job,
                actor=Actor("bench", "command line"), on_case=lambda *_: None, progress=Silent(), reader=reader,
            )  # fmt: skip
    except Exception as error:  # noqa: BLE001 (whatever it is, it is a fault)
        numbers = f"{inputs[0].number} to {inputs[-1].number}"
        verdict.crashes.append(f"numbers {numbers}: {type(error).__name__}: {error}")
        return None
    finally:
        if time.monotonic() - began > SECONDS_A_FILE * (2 + len(inputs) / 5):
            verdict.slow.append(f"numbers {inputs[0].number} to {inputs[-1].number} together")


def _judge(verdict: Verdict, inputs: Sequence[Input], report: ImportReport | None, work: Path) -> None:
    verdict.inputs += len(inputs)
    by_number = {one.number: one for one in inputs}
    seen = set()
    for row in report.files if report else ():
        one = by_number[int(row.path[:DIGITS])]  # what is behind it tells members and time points
        seen.add(one.name)
        verdict.statuses[row.status] += 1
        if "ended its reader" in row.reason:
            verdict.ended.append(one.done)
        elif "took longer than" in row.reason:
            verdict.slow.append(one.done)
        elif row.status == "failed" and not row.reason.strip():
            verdict.untold.append(one.done)
    if report:
        verdict.untold += [one.done for one in inputs if one.name not in seen]
    for one in inputs:
        path = work / "in" / one.name
        if path.read_bytes() != one.content:
            verdict.outside.append(f"{path}: {one.done}")
        path.unlink()
    strays = [path for folder in ("in", "here", "passing") for path in (work / folder).rglob("*")]
    strays += [path for path in (*work.glob("*"), *(work / "a").rglob("*")) if _is_stray(path, work)]
    strays += [OUTSIDE] if OUTSIDE.exists() else []
    verdict.outside += [f"{path} after number {inputs[-1].number}" for path in strays]
    shutil.rmtree(work / "in")


def _takes_long(one: Input, reader: ReadingChildren) -> bool:
    """Whether it does so by itself too: on a busy machine a reader may have waited for its turn."""
    began = time.monotonic()
    with contextlib.suppress(CoreError):
        reader(one.content, one.name)
    return time.monotonic() - began > SECONDS_A_FILE


def _is_stray(path: Path, work: Path) -> bool:
    home = work / "a" / "b" / "home"
    known = {work / "a", work / "in", work / "here", work / "passing", work / "a" / "b", home}
    return path not in known and home not in path.parents


def _memory(before: float) -> Iterator[float]:
    """What this process has grown by, and the most that each of its living readers ever had, in MB."""
    me = psutil.Process()
    yield me.memory_info().rss / MEGABYTE - before
    for child in me.children():
        with contextlib.suppress(OSError, StopIteration, psutil.Error):
            lines = Path(f"/proc/{child.pid}/status").read_text("ascii").splitlines()
            yield int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def measure() -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        verdict = fuzz(Path(folder), INPUTS, tell=True)
    told = ", ".join(f"{count:,} {status}" for status, count in sorted(verdict.statuses.items()))
    return [
        Figure("damaged files through an import", verdict.inputs, "", f"at least {INPUTS:,}",
               verdict.inputs >= INPUTS, f"rows of the report: {told}"),
        *(
            Figure(name, len(faults), "", "0", not faults, "; ".join(faults[:3]))
            for name, faults in {
                "that ended the process that read them": verdict.ended,
                f"that took longer than {SECONDS_A_FILE:g} s": verdict.slow,
                "imports that fell over": verdict.crashes,
                "without a word on what became of them": verdict.untold,
                "files written outside the home": verdict.outside,
            }.items()
        ),
        Figure(f"most memory of a process, images of up to {MOST_PIXELS / 1e6:g} megapixels", verdict.memory_mb, "MB",
               f"budget {MOST_MEMORY_MB} MB", verdict.memory_mb < MOST_MEMORY_MB),
    ]  # fmt: skip


def main(words: Sequence[str]) -> int:
    """Make one input again and read it here."""
    if len(words) != 2 or not all(word.isdigit() for word in words):
        print(f"Say python -m bench.fuzz SEED NUMBER. Received: {' '.join(words)}")
        return 2
    one = make_input(make_seeds(), int(words[0]), int(words[1]))
    path = Path(tempfile.gettempdir()) / one.name
    path.write_bytes(one.content)
    print(f"{one.done}\n{path}")
    try:
        settings = Settings(home=Path(tempfile.gettempdir()), max_image_pixels=MOST_PIXELS)
        print(decode(one.content, settings, SECRET, name=one.name).pixels.shape)
    except CoreError as refusal:
        print(f"refused: {refusal}")
    return 0


ROWS = [Row("fuzz", "full", measure)]

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
