"""The Import page: look first, accept, try again, throw away; masks and boxes; the watched folder."""

import csv
import io
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.delta_generator import DeltaGenerator

from core.errors import InvalidInput
from core.images.ingest import import_paths
from core.images.pacs.records import NewPacs, add_pacs
from core.images.records import list_cases, list_import_files, record_import_file, set_flag
from core.images.sealed_paths import forget_sealed, unseal, unseal_arguments
from core.images.watched_folders import list_watched
from core.jobs.asking import ask_import, ask_import_again, ask_pull, ask_pull_again
from core.jobs.records import Job, claim_job, finish_job, get_job, list_jobs
from core.people.accounts import User
from core.progress import Silent
from core.projects.records import Project, add_project
from core.projects.schema import make_segmentation
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files
from tests.core.images.test_dicom_series import a_series
from tests.core.images.test_import_doctor import EVEN, GAP, picture
from tests.pages.conftest import OpenPage, said


@pytest.fixture
def imported(
    connection: sqlite3.Connection, files: Files, settings: Settings, project: Project, anna: User, tmp_path: Path
) -> Job:
    """An import in which one series waits, one came in, and one file was refused."""
    folder = tmp_path / "in"
    a_series(folder / "odd <b>", GAP, SeriesInstanceUID="1.1")
    a_series(folder / "even", EVEN, SeriesInstanceUID="1.2")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n-")
    actor = Actor(anna.name, "screen")
    ask_import(connection, settings, project, [str(folder)], hold_back="odd", actor=actor)
    job = claim_job(connection, "work", "cpu")
    assert job
    report = import_paths(connection, files, settings, project, [folder], table=None, patient_from=None, job=job.id,
                          actor=actor, on_case=lambda *_: None, progress=Silent(), hold_back="odd")  # fmt: skip
    result = {"imported": report.imported, "skipped": 0, "failed": report.failed, "waiting": report.waiting}
    finish_job(connection, job, "done", result=result)
    return job


def test_what_is_odd_is_shown_and_brought_in_by_a_click(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, imported: Job
) -> None:
    app = open_page("import_images", project=project.id, job=imported.id)
    assert not app.exception
    assert "Slice 5 is missing between z = 6 and 10 mm." in said(app)
    assert "odd &lt;b&gt;" in said(app), "a folder's name is no markup"
    assert app.button(key=f"accept_go_{imported.id}").label == "Bring in 7 files"
    app.button(key=f"accept_go_{imported.id}").click().run()
    job = list_jobs(connection, kinds=("import",), limit=1)[0]
    assert job.arguments["again"] == {"job": imported.id, "status": "waiting", "left_out": []}
    assert "hold_back" not in job.arguments


def test_what_a_modality_sent_and_waits_is_said_on_the_page_until_somebody_decides(
    open_page: OpenPage, connection: sqlite3.Connection, settings: Settings, project: Project, anna: User
) -> None:
    folder = settings.home / "uploads" / f"received-{project.id}-0123456789abcdef"
    a_series(folder / "files" / "F1", GAP)
    given = {"hold_back": "odd", "remove_after": str(folder)}
    ask_import(connection, settings, project, [str(folder / "files")], **given, actor=Actor(anna.name, "screen"))
    job = claim_job(connection, "work", "cpu")
    assert job
    import_paths(connection, Files(settings.home), settings, project, [folder / "files"], table=None, job=job.id,
                 patient_from=None, actor=Actor(anna.name, "screen"), on_case=lambda *_: None, progress=Silent(),
                 hold_back="odd")  # fmt: skip
    finish_job(connection, job, "done", result={"imported": 0, "skipped": 0, "failed": 0, "waiting": 7})
    for page in ("import_images", "pacs"):
        assert "7 files wait for somebody" in said(open_page(page, project=project.id))
    app = open_page("import_images", project=project.id, job=job.id)
    assert "What waits stays on the server until somebody decides." in said(app)
    app.button(key=f"throw_away_{job.id}").click().run()
    assert not folder.exists()
    assert "files wait for somebody" not in said(open_page("import_images", project=project.id))


def test_a_kept_part_and_the_whole_volume_lead_to_each_other(
    open_page: OpenPage, connection: sqlite3.Connection, files: Files, settings: Settings, project: Project,
    actor: Actor, tmp_path: Path,
) -> None:  # fmt: skip
    slices = a_series(tmp_path / "in", EVEN)
    last = sorted((tmp_path / "in").iterdir())[-1]
    content = last.read_bytes()
    last.unlink()
    for job in (1, 2):
        import_paths(connection, files, settings, project, [tmp_path / "in"], table=None, patient_from=None, job=job,
                     actor=actor, on_case=lambda *_: None, progress=Silent())  # fmt: skip
        if job == 1:
            (part,) = list_cases(connection, project.id)
            set_flag(connection, part.id, True, actor)  # something is said of it
            last.write_bytes(content)
    part, whole = list_cases(connection, project.id)
    assert (part.frames, whole.frames) == (len(slices) - 1, len(slices))
    told = said(open_page("case", case=part.id))
    assert f">case {whole.id}</a>, which has {whole.frames} slices, these {part.frames} among them." in told
    told = said(open_page("case", case=whole.id))
    assert f"{part.frames} of these {whole.frames} slices came in before, as <a href=" in told
    assert f">case {part.id}</a>" in told


def test_a_series_without_its_tick_stays_out(open_page: OpenPage, project: Project, imported: Job) -> None:
    app = open_page("import_images", project=project.id, job=imported.id)
    app.checkbox[0].uncheck().run()
    assert app.button(key=f"accept_go_{imported.id}").disabled


def test_the_files_are_found_by_status_and_words_and_the_refused_tried_again(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, imported: Job
) -> None:
    app = open_page("import_images", project=project.id, job=imported.id)
    shown = app.segmented_control(key=f"report_{imported.id}")
    assert shown.options == ["refused (1)", "waiting (7)", "joined (5)"]
    assert "broken.png" in said(app)
    shown.set_value([]).run()
    app.text_input(key=f"report_find_{imported.id}").set_value("even/003").run()
    assert "even/003.dcm" in said(app)
    assert "even/004.dcm" not in said(app)
    app.button(key=f"again_{imported.id}").click().run()
    job = list_jobs(connection, kinds=("import",), limit=1)[0]
    assert job.arguments["again"]["status"] == "failed"
    assert len([row for row in list_import_files(connection, imported.id) if row.status == "failed"]) == 1


def test_the_table_to_take_along_has_what_the_filters_leave(
    open_page: OpenPage, project: Project, imported: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered: dict[str, Callable[[], str]] = {}

    def offer(self: DeltaGenerator, label: str, data: Callable[[], str], **more: Any) -> bool:
        offered[more["key"]] = data
        return False

    def rows() -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(offered[f"report_csv_{imported.id}"]())))

    monkeypatch.setattr(DeltaGenerator, "download_button", offer)
    app = open_page("import_images", project=project.id, job=imported.id)
    (refused,) = rows()  # the refused are shown at first
    assert (refused["file"], refused["what"]) == ("broken.png", "refused")
    assert "Received: " in refused["reason"]
    app.segmented_control(key=f"report_{imported.id}").set_value(["waiting"]).run()
    assert {row["file"].split("/")[0] for row in rows()} == {"odd <b>"}
    app.segmented_control(key=f"report_{imported.id}").set_value([]).run()
    assert len(rows()) == 13
    app.text_input(key=f"report_find_{imported.id}").set_value("even/003").run()
    assert [row["file"] for row in rows()] == ["even/003.dcm"]


def test_masks_alone_come_in_on_screen_under_a_readers_name(
    open_page: OpenPage, connection: sqlite3.Connection, anna: User, tmp_path: Path
) -> None:
    project = add_project(connection, name="Hip", task="segmentation", schema=make_segmentation(["front", "back"]),
                          actor=Actor(anna.name, "screen"))  # fmt: skip
    picture(tmp_path / "masks" / "a.png", 1)
    app = open_page("import_images", project=project.id)
    app.segmented_control(key="import_where").set_value("server").run()
    app.text_input(key="import_path").set_value(str(tmp_path / "masks")).run()
    app.segmented_control(key="import_kinds").set_value(["masks"]).run()
    app.text_input(key="import_reader").set_value("ben").run()
    app.text_input(key="import_mask_values").set_value("1=back,2=").run()
    assert "import_look" not in [button.key for button in app.button]
    app.button(key="import_start").click().run()
    assert not app.exception
    (job,) = list_jobs(connection, kinds=("import",))
    assert (job.arguments["given"], job.arguments["mask_values"], job.arguments["reader"]) == (0, "1=back,2=", "ben")


def test_to_look_first_is_a_button_beside_import(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, tmp_path: Path
) -> None:
    picture(tmp_path / "in" / "a.png", 1)
    (tmp_path / "in" / "notes.txt").write_text("no table")
    app = open_page("import_images", project=project.id)
    app.segmented_control(key="import_where").set_value("server").run()
    app.text_input(key="import_path").set_value(str(tmp_path / "in")).run()
    app.button(key="import_look").click().run()
    (job,) = list_jobs(connection, kinds=("import",))
    assert job.arguments["hold_back"] == "all"


def test_a_time_point_is_named_beside_the_files(
    open_page: OpenPage, connection: sqlite3.Connection, settings: Settings, project: Project, tmp_path: Path
) -> None:
    picture(tmp_path / "in" / "a.png", 1)
    app = open_page("import_images", project=project.id)
    app.segmented_control(key="import_where").set_value("server").run()
    app.text_input(key="import_path").set_value(str(tmp_path / "in")).run()
    assert app.number_input(key="import_time_point").value is None
    app.number_input(key="import_time_point").set_value(2).run()
    app.button(key="import_start").click().run()
    assert not app.exception
    (job,) = list_jobs(connection, kinds=("import",))
    assert unseal_arguments(settings, job.arguments)["volume"] == 2


def test_of_a_pull_the_refused_are_not_tried_again_but_the_studies_pulled(
    open_page: OpenPage, connection: sqlite3.Connection, settings: Settings, project: Project, anna: User
) -> None:
    actor = Actor(anna.name, "screen")
    pacs = add_pacs(connection, settings, NewPacs("Radiology", "dicomweb", "http://pacs/"), None, actor)
    ask_pull(connection, settings, project, pacs, ["1.2.3"], actor=actor)
    job = claim_job(connection, "work", "cpu")
    assert job
    record_import_file(connection, job.id, "a.dcm", "failed", None, "It is damaged. Received: 3 bytes")
    finish_job(connection, job, "done", result={"imported": 0, "skipped": 0, "failed": 1})
    app = open_page("pacs", project=project.id, job=job.id)
    assert not app.exception
    assert f"again_{job.id}" not in [button.key for button in app.button]
    assert "only the PACS has it" in said(app)
    app.button(key=f"pull_again_{job.id}").click().run()
    new, old = list_jobs(connection, kinds=("pull",))
    assert (old.id, new.arguments["pacs"]) == (job.id, pacs.id)
    assert unseal(settings, new.arguments["sealed"]) == ["1.2.3"]
    with pytest.raises(InvalidInput, match="pull the same studies again"):
        ask_import_again(connection, settings, job, "failed", actor=actor)
    with pytest.raises(InvalidInput, match="Name a pull that is over"):
        ask_pull_again(connection, settings, new, actor=actor)
    forget_sealed(settings, job.arguments["sealed"])
    with pytest.raises(InvalidInput, match="14 days only"):
        ask_pull_again(connection, settings, get_job(connection, job.id), actor=actor)


def test_an_administrator_has_a_folder_watched_and_sees_that_nobody_looks(
    open_page: OpenPage, connection: sqlite3.Connection, settings: Settings, project: Project, tmp_path: Path
) -> None:
    app = open_page("import_images", project=project.id)
    app.text_input(key="watched_folder").set_value("/nowhere/at/all")
    app.button(key="watched_save").click().run()
    assert "full path of a folder" in app.error[0].value
    (tmp_path / "incoming").mkdir()
    app.text_input(key="watched_folder").set_value(str(tmp_path / "incoming"))
    app.number_input(key="watched_every").set_value(5)
    app.button(key="watched_save").click().run()
    (watched,) = list_watched(connection, settings)
    assert (watched.folder, watched.every_seconds) == (tmp_path / "incoming", 5)
    assert "The worker is not running, so nobody looks." in said(app)
    app.button(key="watched_stop").click().run()
    assert not list_watched(connection, settings)
