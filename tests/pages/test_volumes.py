"""Volumes among the cases: every page draws, and what networks cannot do yet is said."""

import json
import sqlite3
from dataclasses import replace

import numpy as np
import pytest

from core.images.records import Case, NewCase, insert_case
from core.jobs.records import list_jobs
from core.labels.records import NewLabel, add_label, new_event
from core.projects.records import Project
from core.store.audit import Actor
from core.store.files import Files, array_bytes
from core.training.records import Model
from dashboard import places
from tests.pages.conftest import OpenPage, said


@pytest.fixture
def volume(connection: sqlite3.Connection, files: Files, project: Project, cases: list[Case], actor: Actor) -> Case:
    """Five answered frames of known orientation beside the 24 images."""
    pixels = np.random.default_rng(1).integers(-1000, 1000, (5, 16, 20)).astype(np.int16)
    given = NewCase(
        project=project.id, source="scan.nii.gz", patient="P0", patient_from="table",
        pixel_hash=files.put_array("pixels", pixels), file_hash="0" * 64, perceptual_hash=None, frames=5, rows=16,
        columns=20, channels=1, dtype="int16", photometric="MONOCHROME2", imported_by="anna", spacing_mm=(0.75, 0.5),
        spacing_at="patient", slice_spacing_mm=3.0,
        affine=((0.5, 0, 0, 0), (0, 0.75, 0, 0), (0, 0, 3, 0), (0, 0, 0, 1)),
    )  # fmt: skip
    case = insert_case(connection, given)
    answer = NewLabel(new_event(), case.id, "anna", {"classes": [project.schema.names[0]]})
    add_label(connection, answer, actor)
    return case


@pytest.mark.parametrize("name", [place.name for place in places.PLACES if place.where == "the project"])
def test_every_page_of_a_project_with_a_volume_draws(
    open_page: OpenPage, project: Project, model: Model, volume: Case, name: str
) -> None:
    query = {"case": volume.id} if name in ("case", "label", "review") else {}
    app = open_page(name, project=project.id, **query)
    assert not app.exception
    assert not app.error


def test_a_case_tells_its_frames_and_how_it_lies(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, volume: Case
) -> None:
    text = said(open_page("case", project=project.id, case=volume.id))
    assert "<dt>Frames</dt><dd>5</dd>" in text
    assert "0.75 × 0.5 mm at patient, 3 mm between frames" in text
    assert "<dt>Orientation</dt><dd>known</dd>" in text
    plain = {key: getattr(volume, key) for key in NewCase.__dataclass_fields__}
    lost = insert_case(
        connection, replace(NewCase(**plain), source="b.nii", affine=None, spacing_mm=None, slice_spacing_mm=None)
    )
    text = said(open_page("case", project=project.id, case=lost.id))
    assert "not known: px only" in text
    assert "not known: no letters" in text
    gappy = insert_case(connection, replace(NewCase(**plain), source="c.dcm", slice_spacing_mm=None))
    text = said(open_page("case", project=project.id, case=gappy.id))
    assert "0.75 × 0.5 mm at patient, frames unevenly apart" in text


def test_a_volume_is_explained_side_by_side_frame_by_frame(
    open_page: OpenPage, connection: sqlite3.Connection, files: Files, project: Project, model: Model, volume: Case
) -> None:
    see_volumes = dict(model.facts, input={"depth": 4, "size": 16, "channels": 1, "resize": "stretch",
                                           "spacing_mm": None, "window": "as stored"})  # fmt: skip
    connection.execute("UPDATE models SET facts = ? WHERE id = ?", (json.dumps(see_volumes), model.id))
    query = {"project": project.id, "case": volume.id, "beside": "on", "left_method": "layer_cam",
             "right_method": "occlusion", "result": "all"}  # fmt: skip
    assert not open_page("review", **query).exception
    jobs = list_jobs(connection, kinds=("explain",))
    assert {(job.arguments["method"], job.lane) for job in jobs} == {("layer_cam", "explain"), ("occlusion", "work")}
    files.put_under("explanations", "e" * 64, array_bytes(np.full((5, 16, 20), 0.5, np.float32)))
    for job in jobs:
        result = {"explanation": "e" * 64, **job.arguments, "probabilities": {}}
        connection.execute("UPDATE jobs SET state = 'done', result = ? WHERE id = ?", (json.dumps(result), job.id))
    app = open_page("review", **query)
    assert not app.exception
    assert said(app).count("data:image/png;base64") == 2
    assert "through the middle row" in said(app)
    before = said(app)
    app.slider[0].set_value(1).run()
    assert not app.exception
    assert said(app) != before, "another frame is another picture"
