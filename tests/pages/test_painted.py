"""Painted structures on the pages: frozen, trained, measured, and reviewed with the worst case first."""

import base64
import io
import json
import re
import sqlite3
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import streamlit as st
from PIL import Image

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import Snapshot, get_snapshot, list_snapshot_cases
from core.errors import NotFound
from core.evaluation.mask_looks import _key
from core.evaluation.outlines import ADDED, FILLED, MISSED, PAINTED, REFERENCE, draw_errors, draw_outlines, outline_case
from core.evaluation.records import find_evaluation, list_measured, store_painted
from core.evaluation.run import evaluate_model
from core.explain.records import keep_told
from core.images.records import Case, get_case
from core.jobs.records import list_jobs
from core.labels.case_lists import list_case_lists, list_cases_of
from core.labels.mask_store import keep_mask, read_kept_mask
from core.labels.masks import put_mask
from core.labels.records import NewLabel, add_label, new_event
from core.people.accounts import User
from core.progress import Silent
from core.projects.records import Project, add_project
from core.projects.schema import make_segmentation
from core.reviews.meetings import add_review, open_results
from core.reviews.report_sections import describe_report
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files, array_bytes
from core.training.recipe import named_recipe
from core.training.records import Model, add_epoch, add_model, add_run, get_run, list_runs
from tests.core.conftest import make_case  # noqa: F401
from tests.pages.conftest import OpenPage, plain, said

SIDE = 16


@pytest.fixture
def cells(
    connection: sqlite3.Connection,
    actor: Actor,
    anna: User,
    project: Project,
    make_case: Callable[..., Case],  # noqa: F811
) -> Project:
    """12 images and a volume with a square each, painted by Anna; on the first image nothing."""
    made = add_project(connection, name="Cells", task="segmentation", schema=make_segmentation(["cell"]), actor=actor)
    known = {"frames": 3, "spacing_mm": (1.0, 1.0), "slice_spacing_mm": 2.0}
    for at in range(13):
        pixels = np.random.default_rng(at).integers(0, 250, (3, SIDE, SIDE), np.uint8)
        case = (
            make_case(f"{at}.png", pixels=pixels[0], into=made)
            if at < 12
            else make_case("v.nii", pixels=pixels, into=made, **known)
        )
        mask = np.zeros((case.frames, SIDE, SIDE), np.uint8)
        mask[-1, 4:10, 4:10] = at > 0
        put_mask(connection, case, "cell", mask, actor, event=new_event(), reader="anna")
        value = {"structures": ["cell"] if at else []}
        add_label(connection, NewLabel(new_event(), case.id, "anna", value), actor)
    return made


@pytest.fixture
def frozen(connection: sqlite3.Connection, files: Files, cells: Project, actor: Actor) -> Snapshot:
    options: dict[str, Any] = {"ratios": (0.5, 0.2, 0.3), "actor": actor, "progress": Silent()}
    return freeze_snapshot(connection, files, cells, "first", **options)


@pytest.fixture
def painter(
    connection: sqlite3.Connection, files: Files, settings: Settings, cells: Project, frozen: Snapshot, actor: Actor
) -> Model:
    """A model whose masks are the references moved down by one pixel, by two on the last case; evaluated on test."""
    run = add_run(
        connection, project=cells.id, snapshot=frozen.id, recipe=named_recipe("unet2d"), name="paints", actor=actor
    )
    for epoch, dice in enumerate((0.4, 0.8), start=1):
        facts = {"epoch": epoch, "loss": 1 - dice, "validation_loss": 1 - dice, "dice": dice, "validation_dice": dice}
        add_epoch(connection, run.id, epoch, facts)
    made = add_model(
        connection, get_run(connection, run.id), keras_hash="0" * 64, onnx_left_out_because="a test", parameters=1000,
        file_bytes=4096, seconds=2.0, actor=actor,
        facts={"task": "segmentation", "structures": [{"name": "cell", "colour": "#56b4e9"}],
               "validation": {"dice": 0.8}},
    )  # fmt: skip
    tested = list_snapshot_cases(connection, frozen.id, split="test")
    for one in tested:
        case = get_case(connection, one.case_id)
        reference = read_kept_mask(files, one.masks[0].mask_hash, case)
        moved = np.roll(reference, 2 if one is tested[-1] else 1, axis=1)
        store_painted(connection, made, frozen.schema, case.id, [keep_mask(files, "cell", moved)], [0.9])
    evaluate_model(connection, files, settings, made.id, frozen.id, "test", actor, Silent())
    return made


def test_a_snapshot_of_masks_is_frozen_from_the_page_and_says_what_is_painted(
    open_page: OpenPage, connection: sqlite3.Connection, cells: Project
) -> None:
    app = open_page("snapshots", project=cells.id)
    app.text_input(key="snapshot_name").set_value("first")
    app.button(key="snapshot_freeze").click().run()
    assert not app.exception
    assert get_snapshot(connection, cells.id, "first").task == "segmentation"
    text = said(open_page("snapshots", project=cells.id))
    assert "cell" in text
    assert "% of all pixels" in text
    assert "<th>cases</th>" in text, "images and a volume"
    assert "the only answer" in text
    assert "On 1 case nothing is painted" in text


def test_training_is_asked_for_with_a_network_that_paints(
    open_page: OpenPage, connection: sqlite3.Connection, cells: Project, frozen: Snapshot
) -> None:
    for recipe in ("auto", "unet2d"):
        drawn = open_page("train", project=cells.id, recipe=recipe)
        assert not drawn.error
        assert drawn.segmented_control(key="recipe").value == recipe
    app = open_page("train", project=cells.id, recipe="resnet")
    assert app.segmented_control(key="recipe").options == ["auto", "unet2d"]  # unet3d is for volumes
    app.button(key="train_start").click().run()
    assert not app.exception
    (run,) = list_runs(connection, cells.id)
    assert run.recipe.network == "unet2d"


def test_a_model_shows_its_dice(open_page: OpenPage, cells: Project, painter: Model) -> None:
    for page in ("models", "train"):
        app = open_page(page, project=cells.id)
        assert not app.exception
    assert "Dice 0.800" in said(open_page("models", project=cells.id))


def test_numbers_stand_by_structure_with_n_and_interval(
    open_page: OpenPage, connection: sqlite3.Connection, cells: Project, painter: Model
) -> None:
    app = open_page("evaluate", project=cells.id)
    assert not app.exception
    text = said(app)
    dice = find_evaluation(connection, painter.id).result["per_structure"]["cell"]["dice"]
    assert f"{dice['value']:.3f}" in text
    assert f"{dice['low']:.3f} to {dice['high']:.3f}" in text
    assert "surface Dice" in text
    assert "Missed" in text
    row = plain(text).split("<tr><th>structure</th>")[1].split("cell</td>")[1].split("</tr>")[0]
    assert row.count('</small><span class="rr-whiskers rr-thin">') == row.count("<b>") > 3  # one to each number


def test_a_mask_that_the_model_contradicts_leads_to_its_review_and_becomes_a_worklist(
    connection: sqlite3.Connection, open_page: OpenPage, files: Files, cells: Project, frozen: Snapshot, painter: Model
) -> None:
    app = open_page("evaluate", project=cells.id)
    app.session_state["evaluate_tab"] = "Cases to check"
    assert "evaluate again to find out" in said(app.run())  # this model has no weights that could be asked
    assert not app.exception
    tested = list_snapshot_cases(connection, frozen.id, split="test")
    for case in tested:
        counts = np.array([[40, 30 * (case is tested[-1]), 0, 28.5 * (case is tested[-1])]])
        files.put_under("prepared", _key(painter, case), array_bytes(counts.ravel()))
    st.cache_data.clear()
    text = said(app.run())
    assert "75 % contradicted at 0.95: 30 px missing" in text
    assert f"structure=cell&amp;result=all&amp;case={tested[-1].case_id}" in text
    app.button(key="doubtful_labels_keep").click().run()
    (kept,) = list_case_lists(connection, cells.id)
    assert list_cases_of(connection, cells.id, kept.id) == [tested[-1].case_id]
    for which in ("readers", "unsure", "unlike", "twins"):
        app.session_state["doubtful_list"] = which
        app.run()
        assert not app.exception


def test_the_dice_of_groups_is_set_against_the_rest(
    connection: sqlite3.Connection, open_page: OpenPage, cells: Project, frozen: Snapshot, painter: Model
) -> None:
    for at, case in enumerate(list_snapshot_cases(connection, frozen.id, split="test")):
        known = json.dumps({"site": "ab"[at % 2]})
        connection.execute("UPDATE cases SET attributes = ? WHERE id = ?", (known, case.case_id))
    app = open_page("evaluate", project=cells.id)
    app.session_state["evaluate_tab"] = "Subgroups"
    text = said(app.run())
    assert not app.exception
    assert "site a" in text
    assert "difference to the rest" in text


def test_the_review_begins_with_the_worst_case_and_draws_both_outlines(
    open_page: OpenPage, connection: sqlite3.Connection, cells: Project, painter: Model
) -> None:
    rows = list_measured(connection, find_evaluation(connection, painter.id).id)
    app = open_page("review", project=cells.id)
    assert not app.exception
    text = said(app)
    assert f"Case {rows[0].case_id}" in text
    assert f"Dice {rows[0].dice:.3f}" in text
    assert list(app.dataframe[0].value["case"]) == [row.case_id for row in rows]
    found = re.search(r"data:image/png;base64,([A-Za-z0-9+/=]+)", text)
    assert found
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(found[1]))))
    for colour in (REFERENCE, PAINTED):
        assert (picture == colour).all(axis=-1).any()
    other = open_page("review", project=cells.id, case=rows[1].case_id)
    assert f"Case {rows[1].case_id}" in said(other)


def test_outlines_lie_around_what_is_painted() -> None:
    reference, painted = np.zeros((2, 640, 640), np.uint8)
    reference[100:200, 100:200] = 1
    painted[300:400, 300:400] = 1
    picture = np.asarray(Image.open(io.BytesIO(draw_outlines(np.zeros((640, 640), np.uint8), reference, painted))))
    line = (picture == REFERENCE).all(axis=-1)
    assert line[100, 150]
    assert line[150, 199]
    assert not line[150, 150]
    assert not line[99, 150]
    assert (picture == PAINTED).all(axis=-1)[300, 350]


def test_a_volume_is_shown_where_it_is_worst(
    connection: sqlite3.Connection, files: Files, cells: Project, painter: Model, frozen: Snapshot
) -> None:
    (volume,) = [
        one for one in list_snapshot_cases(connection, frozen.id) if get_case(connection, one.case_id).frames > 1
    ]
    mask = np.zeros((3, SIDE, SIDE), np.uint8)
    mask[1, :12] = 1
    connection.execute("DELETE FROM predicted_masks WHERE case_id = ?", (volume.case_id,))
    store_painted(connection, painter, frozen.schema, volume.case_id, [keep_mask(files, "cell", mask)], [0.9])
    asked = {"model_id": painter.id, "snapshot_id": frozen.id, "case_id": volume.case_id, "structure": "cell"}
    shown = outline_case(connection, files, **asked)
    assert (shown.frame, shown.frames) == (1, 3)
    with pytest.raises(NotFound, match="frame"):
        outline_case(connection, files, **asked, frame=3)


def test_errors_are_filled_by_their_kind_and_what_agrees_is_as_it_was() -> None:
    seen = np.full((8, 8), 100, np.uint8)
    reference, painted = np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8)
    reference[2:6, 2:5] = painted[2:6, 3:6] = 1
    drawn = np.asarray(Image.open(io.BytesIO(draw_errors(seen, reference, painted))))[40::80, 40::80]
    filled = {name: np.rint((1 - FILLED) * 100 + FILLED * np.array(of)) for name, of in (("m", MISSED), ("a", ADDED))}
    assert (drawn[2:6, 2] == filled["m"]).all()
    assert (drawn[2:6, 5] == filled["a"]).all()
    assert (drawn[2:6, 3:5] == 100).all()
    assert (drawn[:2] == 100).all()


def test_the_review_shows_errors_and_asks_once_for_the_doubt(
    open_page: OpenPage, cells: Project, painter: Model, connection: sqlite3.Connection
) -> None:
    app = open_page("review", project=cells.id, look="errors")
    assert not app.exception
    assert "Errors of cell" in said(app)
    case = next(row.case_id for row in list_measured(connection, 1) if get_case(connection, row.case_id).frames == 1)
    for _ in range(2):
        app = open_page("review", project=cells.id, look="doubt", case=case)
        assert not app.exception
    (job,) = list_jobs(connection, kinds=("explain",))
    assert job.arguments == {"model": painter.id, "case": case, "class": "cell", "method": "doubt"}


def test_a_meeting_shows_errors_and_doubt_of_painted_cases_only_when_asked_and_what_is_known_of_the_doubt(
    open_page: OpenPage, cells: Project, painter: Model, connection: sqlite3.Connection, actor: Actor
) -> None:
    review = open_results(connection, add_review(connection, cells, painter, criteria=[], actor=actor), actor=actor)
    app = open_page("meeting", project=cells.id, review=review.id, step="explanations")
    app.session_state[f"meeting_opened_{review.id}"] = True
    text = said(app.run())
    assert not app.exception
    known = sum(row.dice is not None for row in list_measured(connection, 1))
    assert f"Not known: {known} of at least 10 cases." in text
    assert "was not checked" in text
    assert 'alt=\\"Case ' in text  # the image alone
    assert "Errors of cell" not in text
    assert "missed" not in text
    assert app.button(key="meeting_map").proto.shortcut == "g"
    text = said(app.button(key="meeting_map").click().run())
    assert not app.exception
    assert "Errors of cell" in text
    assert "missed" in text
    case = next(row.case_id for row in list_measured(connection, 1) if get_case(connection, row.case_id).frames == 1)
    app.radio(key="meeting_map_case_cell").set_value(case).run()
    look = next(one for one in app.segmented_control if (one.key or "").startswith("painted_look_"))
    look.set_value("doubt").run()
    assert not app.exception
    (job,) = list_jobs(connection, kinds=("explain",))
    assert job.arguments == {"model": painter.id, "case": case, "class": "cell", "method": "doubt"}
    app.button(key="meeting_map").click().run()
    assert "Doubt" not in said(app)
    text = str(describe_report(connection, cells, review)[0])
    assert f"Not known: {known} of at least 10 cases." in text


def told_of_doubt(low: float, n: int = 60) -> dict[str, Any]:
    def one(value: float, low: float) -> dict[str, float]:
        return {"value": value, "low": low, "high": value + 0.05}

    measures = {"finds_errors": one(0.8, low), "beyond_edge": one(0.1, -0.02), "randomisation": one(0.1, 0.0),
                "stability": one(0.9, 0.8)}  # fmt: skip
    structures = {"cell": {"n_cases": n, "n_patients": n, "n_wrong": n, "measures": measures}}
    return {"n_cases": n, "split": "validation", "seconds": 3.0, "structures": structures}


def test_evidence_for_its_doubt_is_asked_for_and_stands_wherever_the_map_does(
    open_page: OpenPage, cells: Project, painter: Model, connection: sqlite3.Connection, actor: Actor
) -> None:
    app = open_page("explanations", project=cells.id, model=painter.id)
    assert not app.exception
    assert "Its doubt was not checked yet" in said(app)
    app.button(key="evidence_start").click().run()
    assert not app.exception
    (job,) = list_jobs(connection, kinds=("gather_evidence",))
    assert job.arguments == {"model": painter.id, "methods": ["doubt"], "split": "validation", "cases": 200}
    keep_told(connection, painter.id, "doubt", told_of_doubt(0.7), actor)
    text = said(open_page("explanations", project=cells.id, model=painter.id))
    assert "✓ reliable" in text
    assert "n = 60, validation" in text
    assert "0.700 to 0.850" in text
    case = next(row.case_id for row in list_measured(connection, 1) if get_case(connection, row.case_id).frames == 1)
    query = {"project": cells.id, "look": "doubt", "case": case}
    shown = said(open_page("review", **query))
    assert "✓ Reliable for this model: but it tells no more than nearness to the painted edge" in shown
    review = open_results(connection, add_review(connection, cells, painter, criteria=[], actor=actor), actor=actor)
    report = str(describe_report(connection, cells, review)[0])
    assert "area 0.80, 0.70 to 0.85 where it is wrong" in report
    keep_told(connection, painter.id, "doubt", told_of_doubt(0.45), actor)
    app = open_page("review", **query)
    assert "no higher where the model is wrong" in said(app)
    assert app.toggle[0].label == "Look at it anyway"
    text = str(describe_report(connection, cells, review)[0])
    assert "not reliable" in text
    app = open_page("meeting", project=cells.id, review=review.id, step="explanations")
    app.session_state[f"meeting_opened_{review.id}"] = True
    assert "its map of doubt, validation" in said(app.run())


def test_a_case_shows_what_a_model_painted_beside_a_reader_and_on_which_structures(
    open_page: OpenPage, connection: sqlite3.Connection, cells: Project, frozen: Snapshot, painter: Model
) -> None:
    tested = [one.case_id for one in list_snapshot_cases(connection, frozen.id, split="test") if one.masks[0].pixels]
    app = open_page("case", project=cells.id, case=tested[0])
    assert f"paints (model {painter.id})" in said(app)
    app.button(key=f"structures_{tested[0]}").click().run()
    assert not app.exception
    assert app.selectbox(key=f"structures_beside_{tested[0]}_cell").options == ["anna", "no reader"]
    assert f"Outlines of cell on case {tested[0]}" in said(app)
    unpainted = next(one.case_id for one in list_snapshot_cases(connection, frozen.id, split="train"))
    other = open_page("case", project=cells.id, case=unpainted)
    assert not [button for button in other.button if button.key == f"structures_{unpainted}"]


def test_the_doubt_of_a_volume_is_shown_frame_by_frame_from_the_most_doubtful(
    open_page: OpenPage, cells: Project, painter: Model, connection: sqlite3.Connection, files: Files
) -> None:
    case = list_measured(connection, 1)[0].case_id
    pixels = files.put_array("pixels", np.random.default_rng(0).integers(0, 255, (3, SIDE, SIDE), np.uint8))
    connection.execute("UPDATE cases SET frames = 3, pixel_hash = ? WHERE id = ?", (pixels, case))
    query = {"project": cells.id, "look": "doubt", "case": case}
    assert not open_page("review", **query).exception
    (job,) = list_jobs(connection, kinds=("explain",))
    assert job.lane == "work", "nobody waits for it"
    files.put_under("explanations", "d" * 64, array_bytes(np.full((3, SIDE, SIDE), 0.5, np.float16)))
    result = {"explanation": "d" * 64, "class": "cell", "mean_doubt": 0.5, "frame": 2}
    connection.execute("UPDATE jobs SET state = 'done', result = ? WHERE id = ?", (json.dumps(result), job.id))
    app = open_page("review", **query)
    assert not app.exception
    assert app.slider[0].value == 2
    assert f"Doubt on case {case}, frame 2" in said(app)
    assert "mean 0.500 over the volume" in said(app)
    app.slider[0].set_value(3).run()
    assert f"Doubt on case {case}, frame 3" in said(app)
