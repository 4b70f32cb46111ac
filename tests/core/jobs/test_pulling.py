"""Studies come from a real Orthanc into a project: the same pixels, each once, whatever happens on the way."""

import sqlite3
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from bench.server import free_port
from core.errors import InvalidInput
from core.images.pacs import pull as pulling
from core.images.pacs.landing import forget_left
from core.images.pacs.records import NewPacs, Pacs, add_pacs, remove_pacs
from core.images.records import list_cases, list_import_files
from core.jobs.asking import ask_import_again, ask_pull
from core.jobs.child import HANDLERS, run_job
from core.jobs.context import job_folder
from core.jobs.records import Job, claim_job, get_job, resume_job
from core.jobs.undecided import list_waiting
from core.labels.records import NewLabel, add_label, list_labels, new_event
from core.projects.records import Project
from core.settings import Settings
from core.store.audit import Actor, list_audit
from core.store.files import Files
from tests.core.images.drawn_dicom import write_series
from tests.orthanc import ANNA, Orthanc, line_to, running_orthanc

DEPTHS = [0.0, 1.0, 2.0, 3.0, 4.0]
# Long enough not to stand in a hash or in what is encrypted by chance.
PATIENT = "PATIENT-4711"
NUMBERS = (PATIENT, "Doe^Jane", "CompressedSamples", "20200101")


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with running_orthanc(tmp_path_factory.mktemp("pacs") / "orthanc") as made:
        yield made


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory, orthanc: Orthanc) -> Path:
    """A CT of five slices and an MR image, sent to the PACS as a modality does."""
    folder = tmp_path_factory.mktemp("sent")
    write_series(folder, DEPTHS, patient=PATIENT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        orthanc.push(*sorted(folder.iterdir()), Path(str(get_testdata_file("MR_small_RLE.dcm"))))
    return folder


def studies_of(folder: Path) -> list[str]:
    mr = dcmread(str(get_testdata_file("MR_small_RLE.dcm")), stop_before_pixels=True)
    ct = dcmread(next(folder.iterdir()), stop_before_pixels=True)
    return [str(ct.StudyInstanceUID), str(mr.StudyInstanceUID)]


@pytest.fixture
def know(connection: sqlite3.Connection, settings: Settings, actor: Actor) -> Callable[[NewPacs], Pacs]:
    return lambda new: add_pacs(connection, settings, new, ANNA if new.protocol == "dicomweb" else None, actor)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulling, "WAITS_SECONDS", (0.01,))


@pytest.fixture
def do(connection: sqlite3.Connection, settings: Settings) -> Callable[[Job], Job]:
    """Do one attempt of a job, as the worker's child does."""

    def run(job: Job) -> Job:
        claimed = claim_job(connection, "work", "cpu")
        assert claimed is not None
        assert claimed.id == job.id
        job_folder(settings, job.id).mkdir(parents=True, exist_ok=True)
        run_job(settings, claimed, HANDLERS)
        return get_job(connection, job.id)

    return run


def everything_under(settings: Settings) -> dict[str, bytes]:
    found = {
        str(path.relative_to(settings.home)): path.read_bytes() for path in settings.home.rglob("*") if path.is_file()
    }
    return {name: content for name, content in found.items() if not name.endswith((".npy", ".webp"))}


@pytest.mark.parametrize("way", ["web", "get", "move"])
def test_push_find_pull_label(
    connection: sqlite3.Connection, settings: Settings, files: Files, project: Project, actor: Actor,
    orthanc: Orthanc, series: Path, know: Callable[[NewPacs], Pacs], do: Callable[[Job], Job], way: str,
) -> None:  # fmt: skip
    pacs = know(orthanc.by_web() if way == "web" else orthanc.by_dimse(move=way == "move"))
    job = do(ask_pull(connection, settings, project, pacs, studies_of(series), actor=actor))
    assert job.state == "done", job.error
    assert job.result is not None
    counts = {key: job.result[key] for key in ("studies", "fetched", "imported", "skipped", "failed", "cases", "known")}
    assert counts == {"studies": 2, "fetched": 6, "imported": 6, "skipped": 0, "failed": 0, "cases": 2, "known": 0}
    volume, image = list_cases(connection, project.id)
    slices = sorted((dcmread(path) for path in series.iterdir()), key=lambda one: one.ImagePositionPatient[2])
    expected = np.stack([one.pixel_array for one in slices])
    assert np.array_equal(files.read_array("pixels", volume.pixel_hash), expected)
    compressed = dcmread(str(get_testdata_file("MR_small_RLE.dcm")))
    assert np.array_equal(files.read_array("pixels", image.pixel_hash), compressed.pixel_array)
    add_label(connection, NewLabel(new_event(), volume.id, "anna", {"classes": ["normal"]}), actor)
    assert len(list_labels(connection, volume.id)) == 1
    # What names somebody is nowhere: not in the database, nor in a file, nor in a file's name.
    identifying = [*NUMBERS, *studies_of(series), *(str(one.SOPInstanceUID) for one in slices)]
    for name, content in everything_under(settings).items():
        assert [text for text in identifying if text.encode() in content or text in name] == [], name
    assert not list((settings.home / "imports").glob("pull-*"))
    rows = list_import_files(connection, job.id)
    assert all(row.path.count("/") == 2 and row.path.startswith("F") and row.path.endswith(".dcm") for row in rows)
    # A second time nothing comes that is here.
    again = do(ask_pull(connection, settings, project, pacs, studies_of(series), actor=actor))
    assert again.result is not None
    assert (again.result["fetched"], again.result["known"], again.result["imported"]) == (0, 6, 0)
    assert again.note == "0 imported, 0 skipped, 0 refused; 6 were here already"


@pytest.mark.parametrize("way", ["web", "get"])
def test_a_line_that_breaks_half_way_ends_in_a_sentence_and_the_job_resumes_with_what_is_missing(
    connection: sqlite3.Connection, settings: Settings, project: Project, actor: Actor, orthanc: Orthanc,
    series: Path, know: Callable[[NewPacs], Pacs], do: Callable[[Job], Job], monkeypatch: pytest.MonkeyPatch, way: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(pulling, "AT_ONCE", 1)
    port = orthanc.http_port if way == "web" else orthanc.dicom_port
    study = studies_of(series)[:1]
    with line_to(port) as line:
        pacs = know(orthanc.by_web(port=line.port) if way == "web" else orthanc.by_dimse(port=line.port))
        job = ask_pull(connection, settings, project, pacs, study, actor=actor)
        line.cut_after({"web": 6000, "get": 9000}[way])  # with what lists them; each file has about 1,500 bytes
        failed = do(job)
        assert failed.state == "failed"
        assert failed.error is not None
        assert "Ward" in failed.error
        assert "Received: " in failed.error
        told = f"{failed.error} {failed.traceback} {failed.note}"
        assert [text for text in (*NUMBERS, *study) if text in told] == []
        here = list((settings.home / "imports" / f"pull-{job.id}").rglob("*.dcm"))
        assert 0 < len(here) < 5
        assert list(list_cases(connection, project.id)) == []  # nothing is half imported
        line.mend()
        resume_job(connection, job.id, actor)
        done = do(job)
    assert done.state == "done", done.error
    assert done.result is not None
    assert done.result["fetched"] == 5 - len(here)
    (volume,) = list_cases(connection, project.id)
    assert volume.frames == 5


def test_a_server_that_is_down_and_one_that_was_removed(
    connection: sqlite3.Connection, settings: Settings, project: Project, actor: Actor, orthanc: Orthanc, series: Path,
    know: Callable[[NewPacs], Pacs], do: Callable[[Job], Job],
) -> None:  # fmt: skip
    pacs = know(orthanc.by_web(port=free_port()))
    failed = do(ask_pull(connection, settings, project, pacs, studies_of(series), actor=actor))
    assert failed.error is not None
    assert "cannot be reached" in failed.error
    assert failed.can_resume
    remove_pacs(connection, settings, pacs, actor)
    resume_job(connection, failed.id, actor)
    assert do(failed).error == f"There is no PACS {pacs.id}."


def test_what_is_odd_on_a_pacs_waits_with_its_files_until_somebody_has_seen_it(
    connection: sqlite3.Connection, settings: Settings, project: Project, actor: Actor, orthanc: Orthanc,
    know: Callable[[NewPacs], Pacs], do: Callable[[Job], Job], tmp_path: Path,
) -> None:  # fmt: skip
    (first, *_) = write_series(tmp_path / "gap", [0.0, 1.0, 2.0, 4.0, 5.0, 6.0], seed=7)
    orthanc.push(*sorted((tmp_path / "gap").iterdir()))
    study = [str(first.StudyInstanceUID)]
    job = do(ask_pull(connection, settings, project, know(orthanc.by_web()), study, actor=actor))
    assert job.result is not None, job.error
    assert (job.result["imported"], job.result["waiting"]) == (0, 6)
    assert job.note == "0 imported, 0 skipped, 0 refused, 6 wait for somebody's word"
    assert list_audit(connection, what="import")[0].detail["waiting"] == 6
    assert [one.id for one in list_waiting(connection, settings, project.id)] == [job.id]
    assert not list((settings.home / "imports").glob("pull-*"))
    with pytest.raises(InvalidInput, match="pull the same studies again"):
        ask_import_again(connection, settings, job, "failed", actor=actor)
    brought = do(ask_import_again(connection, settings, job, "waiting", actor=actor))
    assert brought.result is not None, brought.error
    assert (brought.result["imported"], brought.result["cases"]) == (6, 1)
    (volume,) = list_cases(connection, project.id)
    assert volume.frames == 6
    assert list((settings.home / "uploads").iterdir()) == []


def test_what_nobody_resumed_is_forgotten(settings: Settings) -> None:
    left = settings.home / "imports" / "pull-7" / "F0123456789abcdef"
    left.mkdir(parents=True)
    (left / "F0123456789abcdef.dcm").write_bytes(b"a name")
    assert forget_left(settings) == 0
    days = settings.paths_keep_days + 1
    assert forget_left(settings, now=left.stat().st_mtime + days * 86_400) == 1
    assert not left.parent.exists()
