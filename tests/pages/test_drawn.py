"""A project that draws, on its screens: train, see what was drawn, how good it is, and keep some."""

import base64
import json
import re
import sqlite3
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import Snapshot
from core.evaluation.records import add_evaluation
from core.images.records import Case, NewCase, get_cases, insert_case, list_cases
from core.jobs.context import job_folder
from core.jobs.records import add_job, claim_job, finish_job, list_jobs
from core.labels.records import NewLabel, add_label
from core.people.accounts import User
from core.progress import Silent
from core.projects.records import Project, add_project
from core.projects.schema import make_generation
from core.reviews.meetings import list_reviews, open_results
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files
from core.training.advice import advise_drawing
from core.training.gap import Gap, Measured
from core.training.recipe import named_recipe
from core.training.records import Model, add_epoch, add_model, add_run, get_run, list_runs, set_run_job
from core.training.samples import ROWS_TOLD, grid_png, png_of, sample_path
from dashboard import drawing_form
from tests.pages.conftest import OpenPage, plain, said

SIDE = 16
PNG = png_of(np.full((SIDE, SIDE, 1), 90, np.uint8), {})


@pytest.fixture
def faces(connection: sqlite3.Connection, files: Files, anna: User, actor: Actor) -> Project:
    made = add_project(
        connection, name="Faces", task="generation", schema=make_generation(["normal", "pneumonia"]), actor=actor
    )
    for at in range(20):
        pixels = np.random.default_rng(at).integers(0, 255, (SIDE, SIDE)).astype(np.uint8)
        case = insert_case(
            connection,
            NewCase(
                project=made.id, source=f"{at}.png", patient=f"p{at}", patient_from="table",
                pixel_hash=files.put_array("pixels", pixels), file_hash=f"{at:064x}", perceptual_hash=None, rows=SIDE,
                columns=SIDE, channels=1, dtype="uint8", photometric="MONOCHROME2", imported_by="anna",
            ),
        )  # fmt: skip
        add_label(connection, NewLabel(f"e{at}", case.id, "anna", {"classes": [made.schema.names[at % 2]]}), actor)
    return made


@pytest.fixture
def frozen(connection: sqlite3.Connection, files: Files, faces: Project, actor: Actor) -> Snapshot:
    return freeze_snapshot(connection, files, faces, "first", actor=actor, progress=Silent())


@pytest.fixture
def drawer(connection: sqlite3.Connection, settings: Settings, faces: Project, frozen: Snapshot, actor: Actor) -> Model:
    """A model that was never trained, with the samples of two epochs and an evaluation."""
    run = add_run(connection, project=faces.id, snapshot=frozen.id, recipe=named_recipe("vae"), name="d", actor=actor)
    job = add_job(connection, "train", {"run": run.id}, project=faces.id, actor=actor)
    set_run_job(connection, run.id, job.id)
    finish_job(connection, claim_job(connection, "train", "cpu"), "done", result={})
    for epoch in (1, 2):
        add_epoch(connection, run.id, epoch, {"epoch": epoch, "loss": 2.0, "validation_loss": 2.0,
                                              "drawing_error": 1.5, "validation_drawing_error": 1.6})  # fmt: skip
        path = sample_path(job_folder(settings, job.id), epoch)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(grid_png(np.zeros((4, SIDE, SIDE, 1), np.uint8), 2, {ROWS_TOLD: "normal, pneumonia"}))
    side = Measured(1.5, 1.5, 1.4, 1.6, 20, 20)
    gap = Gap("drawing_error", side, replace(side, value=1.8), None, 0.2, 0.1, 0.3)
    advice = advise_drawing(gap, [], run.recipe, training_cases=14, parameters=1000)
    made = add_model(
        connection, get_run(connection, run.id), keras_hash="0" * 64, onnx_left_out_because="it draws", parameters=1000,
        file_bytes=4096, seconds=2.0, actor=actor,
        facts={"task": "generation", "classes": ["normal", "pneumonia"], "validation": {"drawing_error": 1.6},
               "gap": gap.to_json(), "advice": advice.to_json(),
               "calibration": {"shown": {"classes": {"normal": 7, "pneumonia": 7}, "sex": {"F": 3, "M": 0},
                                         "age": None}}},
    )  # fmt: skip
    measured = {"value": 0.25, "low": 0.1, "high": 0.4}
    case = next(iter(list_cases(connection, faces.id)))
    pair = {"place": 0, "class": "normal", "right": False, "case": case.id, "case_by_features": case.id,
            "pixel_distance": 1.25, "feature_distance": 2.0, "png": base64.b64encode(PNG).decode()}  # fmt: skip
    result: dict[str, Any] = {
        "task": "generation", "split": "test", "n_cases": 3, "n_patients": 3, "n_samples": 3, "level": 0.95, "seed": 0,
        "resamples": 2000, "fid_like_resamples": 200, "close_percentile": 1.0, "mirrored": "both", "warnings": [],
        "test_uses": 1, "classes": ["normal", "pneumonia"],
        "metrics": dict.fromkeys(("fid_like", "memorised", "class_consistency", "real_close"), measured),
        "judge": {"network": "resnet", "input_size": SIDE, "trained_on": 14},
        "pairs": [{**pair, "closest": True, "memorised": True}, {**pair, "case": 900, "closest": False,
                                                                 "memorised": False}],
    }  # fmt: skip
    add_evaluation(connection, model_id=made.id, snapshot_id=frozen.id, split="test", result=result, actor=actor)
    return made


def test_training_is_asked_for_with_a_network_that_draws(
    open_page: OpenPage, connection: sqlite3.Connection, faces: Project, frozen: Snapshot
) -> None:
    app = open_page("train", project=faces.id, recipe="diffusion")
    assert app.segmented_control(key="recipe").options == ["auto", "diffusion", "vae"]
    assert [tab.label for tab in app.tabs][:2] == ["Run", "Augmented images"]
    assert "More cases" not in {tab.label for tab in app.tabs}, "what more cases bring is not told of drawing"
    app.button(key="train_start").click().run()
    assert not app.exception
    (run,) = list_runs(connection, faces.id)
    assert run.recipe.network == "diffusion"


def test_samples_numbers_and_pairs_are_shown_and_said_to_be_synthetic(
    open_page: OpenPage, faces: Project, drawer: Model
) -> None:
    for page in ("train", "models"):
        text = said(open_page(page, project=faces.id))
        assert "samples of epoch 2" in text
        assert "Rows from above: normal, pneumonia." in text
        assert "draws clearly nearer to what it learnt from" in text
        assert "lies 20 % (95 % interval 10 % to 30 %) above the training error. Try next: more training" in text
        assert "no patient" in text
    text = said(open_page("evaluate", project=faces.id, model=drawer.id))
    for part in ("fid_like", "25.0 %", "3 images drawn", "1.25 apart", "memorised", "erased", "judged otherwise",
                 "mirrored images left-right and up-down", "(200 resamples, seed 0)"):  # fmt: skip
        assert part in text
    tile = '<b>[^<]*</b><span>[^<]*</span><span class="rr-whiskers'
    assert len(set(re.findall(f"<small>([^<]*)</small>{tile}", plain(text)))) == 4  # one to each number
    assert "answers nothing about a case" in said(open_page("review", project=faces.id))


def test_a_meeting_holds_a_model_that_draws_to_its_images(
    open_page: OpenPage, connection: sqlite3.Connection, faces: Project, drawer: Model
) -> None:
    app = open_page("meeting", project=faces.id)
    assert "memorised at most 0.01" in app.text_area(key="prepare_criteria").value
    app.button(key="prepare_do").click().run()
    assert not app.exception
    assert not app.error
    (review,) = list_reviews(connection, faces.id)
    app.session_state[f"meeting_opened_{review.id}"] = True
    open_results(connection, review, actor=Actor("anna", "screen"))
    seen = {"card": said(app)}
    while not app.button(key="meeting_next").disabled:
        app.button(key="meeting_next").click().run()
        assert not app.exception
        assert not app.error
        seen[app.query_params["step"]] = said(app)
    assert list(seen) == ["card", "population", "reference", "criteria", "numbers", "comparison", "discussion",
                          "decision"]  # fmt: skip
    assert "class consistency at least 0.8" in seen["criteria"]
    assert "its nearest training image by pixels" in seen["numbers"]
    assert not any("lowest dice" in text.lower() for text in seen.values())


def test_images_are_drawn_looked_at_and_kept_as_synthetic_cases(
    open_page: OpenPage, connection: sqlite3.Connection, settings: Settings, project: Project, cases: list[Case],
    faces: Project, drawer: Model, actor: Actor, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    app = open_page("draw", project=faces.id)
    assert app.selectbox(key=f"draw_sex_{drawer.id}").options == ["open", "F"]
    assert app.number_input(key=f"draw_age_{drawer.id}").disabled
    app.selectbox(key=f"draw_class_{drawer.id}").set_value("pneumonia")
    app.number_input(key="draw_n").set_value(2)
    app.button(key="draw_start").click().run()
    (job,) = list_jobs(connection, project=faces.id, kinds=("generate",))
    assert (job.arguments["class"], job.arguments["n"]) == ("pneumonia", 2)
    folder = job_folder(settings, job.id) / "drawn"
    folder.mkdir(parents=True)
    rows = [{"file": f"{at}.png", "place": at} for at in range(2)]
    document = {"model": "d", "model_hash": "0" * 64, "project": faces.id, "seed": 0, "images": rows,
                "wanted": {"class": "pneumonia"}}  # fmt: skip
    for row in rows:
        (folder / row["file"]).write_bytes(png_of(np.full((SIDE, SIDE, 1), 9 * row["place"], np.uint8), {}))
    (folder / "drawn.json").write_text(json.dumps(document))
    finish_job(connection, claim_job(connection, "work", "cpu"), "done", result=document)
    app = open_page("draw", project=faces.id, job=job.id)
    assert "synthetic 2" in said(app)
    assert "Here are the first" not in said(app)
    with monkeypatch.context() as patch:
        patch.setattr(drawing_form, "MOST_SHOWN", 1)
        assert "Here are the first 1 of 2." in said(open_page("draw", project=faces.id, job=job.id))
    app.pills(key=f"draw_keep_{job.id}").set_value([1])
    app.button(key="draw_keep").click().run()
    assert not app.exception
    (kept,) = [case for case in list_cases(connection, project.id) if case.synthetic]
    assert kept.synthetic["place"] == 1
    assert "synthetic" in said(open_page("cases", project=project.id))
    add_project(connection, name="Other", task="classification", schema=project.schema, actor=actor)
    app = open_page("draw", project=faces.id, job=job.id)
    assert app.selectbox(key="draw_into").value is None, "of two projects none is taken before it is chosen"
    assert app.button(key="draw_keep").disabled
    text = said(open_page("case", case=kept.id))
    assert "No patient; read by nobody" in text
    assert "Label it" not in text
    snapshots = open_page("snapshots", project=project.id)
    assert snapshots.number_input(key="snapshot_synthetic").max == 1
    assert get_cases(connection, [kept.id])[0].patient_from == "none"


def test_other_projects_draw_nothing(open_page: OpenPage, project: Project, cases: list[Case]) -> None:
    assert "asks another question" in said(open_page("draw", project=project.id))
