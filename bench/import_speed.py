"""How quickly images come in, beside a plain loop over the same files on one core, and what an import takes of memory.

The loop does what every import has to do and nothing else: read, decode, de-identify, hash, and a thumbnail of each
case. It looks at no header first, stores nothing and asks no database. The same loop on each core with its share of the
cases says what the machine has to give. All find the files in the memory of the system, and take turns.
"""

import hashlib
import io
import multiprocessing
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import psutil
import pydicom
from PIL import Image
from playwright.sync_api import Browser
from pydicom.pixels.processing import apply_modality_lut, apply_windowing

from bench.chromium import chromium, new_context, sign_in_link
from bench.ct_corpus import single_images, volumes, write_corpus
from bench.harness import Figure, Figures, Row, test_data
from bench.loop import run_command
from bench.server import MEGABYTE, Running, percentile, running
from bench.viewer import ON_CPU, PROBE
from core.errors import InvalidInput
from core.images.archives import OpenArchives
from core.images.attempts import Attempts
from core.images.decoding import decode, kind_of
from core.images.deidentify import deidentify, header_bytes
from core.images.ingest import ImportReport, import_paths
from core.images.pseudonyms import load_secret
from core.images.reading_children import ReadingChildren
from core.images.render import to_uint8
from core.images.sources import SourceFile, list_sources, read_source
from core.images.thumbnails import LONGEST_SIDE_PX, QUALITY, thumbnail_of
from core.images.units import Unit, find_units
from core.people.accounts import ensure_user
from core.progress import Silent
from core.projects.deidentification import Deidentification
from core.projects.records import add_project, get_project
from core.projects.schema import make_classification
from core.settings import Settings
from core.store.audit import Actor
from core.store.database import opened, prepare_home
from core.store.files import Files

FILES, VOLUMES, SLICES = 1000, 5, 200
TURNS = 3
SHARED = ("dicom_misc_pydicom", "dicom_broken", "dicom_phi_burned_in", "dicom_series", "nifti_misc", "hippocampus_msd",
          "cxr_pediatric_pneumonia", "bccd_blood_cells")  # fmt: skip
LEAST_RATIO, LEAST_AGAIN = 1.5, 10
MOST_MS_TO_DEIDENTIFY = 10
DEEP, OPENINGS, MOST_MS_TO_OPEN = 600, 3, 2000
# 100,000 headers with a few pixels each. What is known of a file (its token, its place, its row of the report) grows
# with their number, here in the worst case of a series for each: 1 kB, as what is told of single images is held once,
# and nothing of a header is left once its series is known. An image of 512x512 itself has half a million bytes.
FEW, MANY, TINY_SIDE = 10_000, 100_000, 16
MOST_MEMORY_MB, MOST_BYTES_A_FILE = 1500, 2000
SECONDS_BETWEEN_LOOKS = 0.5

ACTOR = Actor("bench", "command line")
SECRET = bytes(32)
Seen = tuple[np.ndarray, Callable[[], bytes]]  # pixels, and what makes their thumbnail


def measure() -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        write_corpus(work / "images", single_images(FILES), seed=1)
        write_corpus(work / "volumes", volumes(VOLUMES, SLICES), seed=2)
        shared = [test_data() / name for name in SHARED]
        return [
            *measure_rates(work, f"{FILES:,} CT images of 512x512", [work / "images"]),
            *measure_rates(work, f"{VOLUMES} CT volumes of {SLICES} slices", [work / "volumes"]),
            *measure_rates(work, "the shared data", [path for path in shared if path.exists()]),
            *measure_deidentification([work / "images", *(path for path in shared if path.exists())]),
            *measure_opening(work),
        ]


# ---- rates


@dataclass
class Times:
    """Seconds of each turn."""

    plain: list[float] = field(default_factory=list)
    split: list[float] = field(default_factory=list)
    same: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    again: list[float] = field(default_factory=list)


def measure_rates(work: Path, name: str, paths: Sequence[Path]) -> Figures:
    """Import and loop in turns, each import into a home of its own, and then the same folder once more."""
    times = Times()
    settings = Settings(home=work / "plain")
    units = units_of(paths, settings)
    count = sum(len(unit.files) for unit in units)
    for turn in range(TURNS):
        times.plain.append(_timed(lambda: plain_loop(units, settings)))
        times.split.append(_timed(lambda: split_loop(units, settings)))
        times.same.append(_timed(lambda: same_loop(units, settings)))
        with tempfile.TemporaryDirectory(dir=work) as folder:
            home = Settings(home=Path(folder) / "home")
            project = prepare_project(home)
            times.first.append(_timed(lambda: import_once(home, project, paths, job=1)))  # noqa: B023
            again: list[ImportReport] = []
            times.again.append(_timed(lambda: again.append(import_once(home, project, paths, job=2))))  # noqa: B023
            if again[0].imported:
                raise SystemExit(f"{again[0].imported} files of {name} came in again at turn {turn + 1}.")
    same = [loop / ours for loop, ours in zip(times.same, times.first, strict=True)]
    most = [plain / split for plain, split in zip(times.plain, times.split, strict=True)]
    ratios = [plain / ours for plain, ours in zip(times.plain, times.first, strict=True)]
    faster = [ours / again for ours, again in zip(times.first, times.again, strict=True)]
    plain, ratio, less = count / statistics.median(times.plain), statistics.median(ratios), statistics.median(faster)
    return [
        Figure(f"{name}: import", count / statistics.median(times.first), "files/s", f"plain loop {plain:.0f} files/s"),
        Figure(f"{name}: ratio", ratio, "", f"at least {LEAST_RATIO}", ratio >= LEAST_RATIO, _range(ratios)),
        Figure(f"{name}: ratio of the plain loop on all cores", statistics.median(most), "", "it stores nothing", None,
               _range(most)),
        Figure(f"{name}: ratio to our own functions in a loop", statistics.median(same), "", "", None, _range(same)),
        Figure(f"{name}: the same folder again", less, "times faster", f"at least {LEAST_AGAIN}",
               less >= LEAST_AGAIN, _range(faster)),
    ]  # fmt: skip


def plain_loop(units: Sequence[Unit], settings: Settings) -> int:
    """As a script does it: read, decode, de-identify and hash each file, a thumbnail for each case; how many came."""
    return _loop(units, settings, _read_plainly)


def split_loop(units: Sequence[Unit], settings: Settings) -> None:
    """The plain loop once on each core, with its share of the files: what the machine has to give at most."""
    processes, cores = multiprocessing.get_context("fork"), os.cpu_count() or 1
    singles = [unit for unit in units if len(unit.files) == 1]
    deep = [unit for unit in units if len(unit.files) > 1]
    shares = [
        [*singles[at::cores], *(replace(unit, files=unit.files[at::cores]) for unit in deep)] for at in range(cores)
    ]
    loops = [processes.Process(target=plain_loop, args=(share, settings)) for share in shares]
    for loop in loops:
        loop.start()
    for loop in loops:
        loop.join()
        if loop.exitcode:
            raise SystemExit(f"A plain loop ended with {loop.exitcode}.")


def same_loop(units: Sequence[Unit], settings: Settings) -> int:
    """The same with the functions of an import, which were made quicker for it: what is left is the work beside it."""
    return _loop(units, settings, _read_as_we_do)


def _loop(units: Sequence[Unit], settings: Settings, read: Callable[[bytes, SourceFile], Seen]) -> int:
    count = 0
    with OpenArchives(settings) as archives:
        for unit in units:
            thumbnail = None
            for at, file in enumerate(unit.files):
                try:
                    content = read_source(file, archives, settings)
                    hashlib.sha256(content).hexdigest()
                    pixels, thumbnail_now = read(content, file)
                except Exception:  # noqa: BLE001 (broken files are among them)
                    continue
                hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()
                count += 1
                if at <= len(unit.files) // 2:
                    thumbnail = thumbnail_now
            if thumbnail is not None:
                thumbnail()
    return count


def _read_plainly(content: bytes, file: SourceFile) -> Seen:
    """With pydicom and Pillow as they are; the de-identification is ours, and volumes of other kinds are read as we
    do."""
    if kind_of(content) in ("PNG", "JPEG", "TIFF"):
        return _opened_plainly(content)
    if kind_of(content) != "DICOM":
        return _read_as_we_do(content, file)
    dataset = pydicom.dcmread(io.BytesIO(content), force=True)
    pixels = apply_modality_lut(dataset.pixel_array, dataset)
    if pixels.dtype == np.float64:
        pixels = pixels.astype(np.int16)
    header_bytes(deidentify(dataset, Deidentification(), SECRET).dataset)

    def thumbnail() -> bytes:
        frame = pixels[len(pixels) // 2] if int(dataset.get("NumberOfFrames") or 1) > 1 else pixels
        if frame.ndim == 2:
            shown = apply_windowing(frame, dataset).astype(np.float32)
            frame = np.rint(255 * (shown - shown.min()) / max(float(np.ptp(shown)), 1e-6))
        return _shrunk(Image.fromarray(frame.astype(np.uint8)))

    return pixels, thumbnail


def _opened_plainly(content: bytes) -> Seen:
    with Image.open(io.BytesIO(content)) as picture:
        pixels = np.asarray(picture)
    return pixels, lambda: _shrunk(Image.fromarray(pixels))


def _shrunk(picture: Image.Image) -> bytes:
    picture.thumbnail((LONGEST_SIDE_PX, LONGEST_SIDE_PX), reducing_gap=2.0)
    stream = io.BytesIO()
    picture.save(stream, "WEBP", quality=QUALITY)
    return stream.getvalue()


def _read_as_we_do(content: bytes, file: SourceFile) -> Seen:
    image = decode(content, Settings(home=Path()), SECRET, name=file.source, options=Deidentification())
    return image.pixels, lambda: thumbnail_of(to_uint8(image.picture, image.photometric, image.windows))


def units_of(paths: Sequence[Path], settings: Settings) -> list[Unit]:
    """Which files are one case, so that the loop makes as many thumbnails as the import; this is not timed."""
    with tempfile.TemporaryDirectory() as folder, OpenArchives(settings) as archives:
        sources = list_sources(paths, settings)
        units = find_units(sources, archives, settings, Attempts(Path(folder) / "note"), Silent(), {})
    return [unit for unit in units if not any(_is_left_out(file) for file in unit.files)]


def _is_left_out(file: SourceFile) -> bool:
    return file.is_system or file.refusal is not None


def prepare_project(settings: Settings) -> int:
    prepare_home(settings)
    with opened(settings) as connection:
        ensure_user(connection, ACTOR.name, role="admin")
        schema = make_classification(["no", "yes"])
        return add_project(connection, name="CT", task="classification", schema=schema, actor=ACTOR).id


def import_once(settings: Settings, project_id: int, paths: Sequence[Path], *, job: int) -> ImportReport:
    """As the job does it, its reading children and all."""
    with opened(settings) as connection:
        project = get_project(connection, project_id)
        secret = load_secret(settings)
        with ReadingChildren(settings, secret, project.deidentification) as reader:
            return import_paths(
                connection, Files(settings.home), settings, project, paths, table=None, patient_from=None, job=job,
                actor=ACTOR, on_case=lambda *_: None, progress=Silent(), reader=reader,
            )  # fmt: skip


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _range(values: Sequence[float]) -> str:
    return f"{len(values)} turns, {min(values):.2f} to {max(values):.2f}"


# ---- de-identification


def measure_deidentification(paths: Sequence[Path]) -> Figures:
    """From a parsed data set to the bytes of the clean header, for each DICOM file by itself."""
    options = Deidentification()
    times = []
    for content in _dicom_files(paths):
        try:
            dataset = pydicom.dcmread(io.BytesIO(content), force=True)
            began = time.perf_counter()
            header_bytes(deidentify(dataset, options, SECRET).dataset)
            times.append(1000 * (time.perf_counter() - began))
        except Exception:  # noqa: BLE001 (broken files are among them: their refusal is no de-identification)
            continue
    return [
        Figure(f"de-identification of a file, {words}", value, "ms", f"budget {MOST_MS_TO_DEIDENTIFY} ms",
               value < MOST_MS_TO_DEIDENTIFY, f"n = {len(times):,}, {min(times):.1f} to {max(times):.1f} ms")
        for words, value in (("median", statistics.median(times)), ("95th percentile", percentile(times, 0.95)))
    ]  # fmt: skip


def _dicom_files(paths: Sequence[Path]) -> Iterator[bytes]:
    settings = Settings(home=Path())
    with OpenArchives(settings) as archives:
        for file in list_sources(paths, settings):
            try:
                content = read_source(file, archives, settings)
            except InvalidInput:
                continue
            if kind_of(content) == "DICOM":
                yield content


# ---- a deep volume in the viewer


def measure_opening(work: Path) -> Figures:
    """A volume that was just imported, from its address to its first slice, each time in a browser that has nothing."""
    write_corpus(work / "deep", volumes(1, DEEP), seed=3)
    home = work / "deep home"
    run_command(home, "project", "create", "deep", "--task", "classification", "--classes", "no,yes")
    began = time.monotonic()
    report = run_command(home, "import", "deep", str(work / "deep"))
    seconds = time.monotonic() - began
    if report["cases"] != 1:
        raise SystemExit(f"{DEEP} slices became {report['cases']} cases, not one.")
    with running(home) as server, chromium() as browser:
        times = [_open_once(browser, server) for _ in range(OPENINGS)]
    middle = statistics.median(times)
    return [
        Figure(f"volume of 512x512x{DEEP}: import by the command line", seconds, "s"),
        Figure(f"volume of 512x512x{DEEP}: label page from its address to the first slice, median", middle, "ms",
               f"budget {MOST_MS_TO_OPEN} ms", middle < MOST_MS_TO_OPEN, _range(times)),
    ]  # fmt: skip


def _open_once(browser: Browser, server: Running) -> float:
    context = new_context(browser, PROBE, ON_CPU)
    page = context.new_page()
    page.goto(sign_in_link(server.address, server.settings, "bench"))
    page.get_by_role("heading", name="Projects").wait_for()
    page.goto(f"{server.address}/label?project=1&worklist=all")
    page.evaluate("bench.until(() => bench.paints.length)")
    took = float(page.evaluate("bench.paints[0].at"))
    context.close()
    return took


# ---- memory


@dataclass
class Watched:
    """The largest sum of the memory of this process and its children."""

    most_mb: float = 0.0


def measure_memory() -> Figures:
    """An import of 100,000 files beside one of a tenth of them."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        few, few_seconds = _memory_of(work / "few", FEW)
        many, many_seconds = _memory_of(work / "many", MANY)
    a_file = (many - few) * MEGABYTE / (MANY - FEW)
    return [
        Figure(f"memory of an import of {MANY:,} files, children and all", many, "MB", f"budget {MOST_MEMORY_MB} MB",
               many < MOST_MEMORY_MB, f"{FEW:,} files: {few:.0f} MB"),
        Figure("growth for each further file", a_file, "bytes", f"budget {MOST_BYTES_A_FILE:,} bytes",
               a_file < MOST_BYTES_A_FILE),
        Figure(f"rate of {MANY:,} small files", MANY / many_seconds, "files/s", "", None,
               f"{FEW:,} files: {FEW / few_seconds:.0f} files/s"),
    ]  # fmt: skip


def _memory_of(work: Path, count: int) -> tuple[float, float]:
    """MB at most, and seconds, of an import by the command line in processes of its own."""
    write_corpus(work / "in", single_images(count), side=TINY_SIDE)
    home = work / "home"
    run_command(home, "project", "create", "many", "--task", "classification", "--classes", "no,yes")
    began = time.monotonic()
    with _watched() as watched:
        report = run_command(home, "import", "many", str(work / "in"))
    if report["imported"] != count:
        raise SystemExit(f"{report['imported']:,} of {count:,} files came in.")
    return watched.most_mb, time.monotonic() - began


@contextmanager
def _watched() -> Iterator[Watched]:
    """Looks twice a second at the processes that are started from here meanwhile."""
    watched, over = Watched(), threading.Event()

    def look() -> None:
        here = psutil.Process()
        while not over.wait(SECONDS_BETWEEN_LOOKS):
            total = 0
            for child in here.children(recursive=True):
                try:
                    total += child.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            watched.most_mb = max(watched.most_mb, total / MEGABYTE)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield watched
    finally:
        over.set()
        thread.join()


ROWS = [Row("import_speed", "quick", measure), Row("import_memory", "full", measure_memory)]
