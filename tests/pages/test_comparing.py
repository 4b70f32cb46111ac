"""Compare: two models that answer several labels, label by label."""

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import Snapshot, list_snapshot_cases
from core.evaluation.records import add_evaluation, find_evaluation, find_predictions, store_predictions
from core.images.records import NewCase, insert_case
from core.labels.case_lists import list_case_lists, list_cases_of
from core.labels.records import NewLabel, add_label, new_event
from core.people.accounts import User
from core.progress import Silent
from core.projects.records import add_project
from core.projects.schema import make_classification
from core.store.audit import Actor
from core.store.files import Files
from core.tasks.classification import encode_targets, measure
from core.training.recipe import named_recipe
from core.training.records import Model, add_model, add_run, get_run
from tests.core.reviews.other_tasks import Measured, add_twin, measured_bodies, measured_masks, measured_numbers
from tests.pages.conftest import OpenPage, said

NAMES = ("mass", "nodule")
SCHEMA = make_classification(NAMES, multi_label=True)
ANSWERS: tuple[list[str], ...] = ([], ["mass"], ["nodule"], ["mass", "nodule"])


@pytest.fixture
def several(
    request: pytest.FixtureRequest, connection: sqlite3.Connection, files: Files, anna: User, actor: Actor
) -> Snapshot:
    """48 patients of whom 40 are test cases; every second one has each label, where a test gives no other answers."""
    answers: tuple[list[str], ...] = getattr(request, "param", ANSWERS)
    project = add_project(connection, name="Findings", task="classification", schema=SCHEMA, actor=actor)
    for number in range(48):
        pixels = np.random.default_rng(number).integers(0, 255, (16, 20)).astype(np.uint8)
        pixel_hash = files.put_array("pixels", pixels)
        new = NewCase(
            project=project.id, source=f"film-{number}.png", patient=f"P{number}", patient_from="table",
            pixel_hash=pixel_hash, file_hash=pixel_hash, perceptual_hash=None, rows=16, columns=20, channels=1,
            dtype="uint8", photometric="MONOCHROME2", imported_by="anna",
            given_split="train" if number < 4 else "validation" if number < 8 else "test",
        )  # fmt: skip
        case = insert_case(connection, new)
        add_label(
            connection, NewLabel(new_event(), case.id, "anna", {"classes": answers[number % len(answers)]}), actor
        )
    return freeze_snapshot(connection, files, project, "first", use_given_split=True, actor=actor, progress=Silent())


@pytest.fixture
def add_answers(connection: sqlite3.Connection, several: Snapshot, actor: Actor) -> Callable[[str, list[int]], Model]:
    """A model that is wrong about a mass in these of the test cases, and right in all else."""

    def add(name: str, wrong: list[int]) -> Model:
        run = add_run(
            connection, project=several.project, snapshot=several.id, recipe=named_recipe("cnn"), name=name, actor=actor
        )
        model = add_model(
            connection, get_run(connection, run.id), keras_hash="0" * 64, onnx_left_out_because="none", parameters=10,
            file_bytes=10, facts={"classes": list(NAMES), "multi_label": True}, seconds=2.0, actor=actor,
        )  # fmt: skip
        tested = list_snapshot_cases(connection, several.id, split="test")
        targets = encode_targets(SCHEMA, [case.value for case in tested]).astype(int)
        scores = targets * 0.8 + 0.1
        scores[wrong, 0] = 1 - scores[wrong, 0]
        answers = {case.case_id: row.tolist() for case, row in zip(tested, scores, strict=True)}
        store_predictions(connection, model, SCHEMA, answers)
        told = measure(SCHEMA, targets, scores, [case.patient for case in tested], {}, seed=0)
        result = {"task": "classification", "split": "test", "warnings": [], "test_uses": 1, **told}
        add_evaluation(connection, model_id=model.id, snapshot_id=several.id, split="test", result=result, actor=actor)
        return model

    return add


def test_several_labels_are_compared_one_by_one_and_lead_to_the_cases_that_changed(
    connection: sqlite3.Connection,
    open_page: OpenPage,
    several: Snapshot,
    add_answers: Callable[[str, list[int]], Model],
) -> None:
    add_answers("old", [0, 1, 2, 3, 4, 5])
    model = add_answers("new", [5, 6])
    app = open_page("evaluate", project=several.project, model=model.id)
    app.session_state["evaluate_tab"] = "Compare"
    text = said(app.run())
    assert not app.exception
    assert "by the mean over labels" in text
    assert "Label by label" in text
    assert "F1, macro" in text
    assert "Newly right: 5" in text
    assert "<td>5 / 1, p = 0.219</td>" in text
    app.pills(key="changed_label").set_value("nodule")
    text = said(app.run())
    assert not app.exception
    assert "Newly right: 0" in text
    app.pills(key="changed_label").set_value("mass")
    app.run()
    app.button(key="newly_wrong_keep").click().run()
    (kept,) = list_case_lists(connection, several.project)
    tested = list_snapshot_cases(connection, several.id, split="test")
    assert list_cases_of(connection, several.project, kept.id) == [tested[6].case_id]


def test_several_models_are_compared_at_once_and_one_of_them_in_detail(
    open_page: OpenPage, several: Snapshot, add_answers: Callable[[str, list[int]], Model]
) -> None:
    worst, old = add_answers("worst", list(range(12))), add_answers("old", [0, 1, 2])
    model = add_answers("new", [5])
    app = open_page("evaluate", project=several.project, model=model.id)
    app.session_state["evaluate_tab"] = "Compare"
    app.run()
    app.multiselect(key="compare_with").set_value([worst.id, old.id])
    text = said(app.run())
    assert not app.exception
    assert "2 comparisons" in text
    assert "97.5 % interval" in text
    assert "Newly right: 11" in text
    app.segmented_control(key="compare_detail").set_value(old.id)
    text = said(app.run())
    assert not app.exception
    assert "Newly right: 3" in text
    app.multiselect(key="compare_with").set_value([])
    assert "Choose a model or several" in said(app.run())
    assert not app.exception


def test_seed_noise_is_known_as_soon_as_a_third_seed_was_evaluated(
    connection: sqlite3.Connection, open_page: OpenPage, several: Snapshot,
    add_answers: Callable[[str, list[int]], Model], actor: Actor,
) -> None:  # fmt: skip
    """A comparison is kept for minutes, and a training that is there may be evaluated meanwhile."""
    third = add_answers("third", [0, 9])
    add_answers("second", [0, 1, 2])
    model = add_answers("first", [5])
    with connection:
        connection.execute("UPDATE runs SET recipe = json_set(recipe, '$.seed', id)")
    evaluated = find_evaluation(connection, third.id)
    answers = find_predictions(
        connection, third.id, [case.case_id for case in list_snapshot_cases(connection, several.id)]
    )
    assert evaluated is not None
    with connection:
        connection.execute("DELETE FROM evaluations WHERE model = ?", (third.id,))
        connection.execute("DELETE FROM predictions WHERE model = ?", (third.id,))

    def compared() -> str:
        app = open_page("evaluate", project=several.project, model=model.id)
        app.session_state["evaluate_tab"] = "Compare"
        return said(app.run())

    assert "Seed noise unknown" in compared()
    store_predictions(connection, third, SCHEMA, answers)
    add_evaluation(
        connection, model_id=third.id, snapshot_id=several.id, split="test", result=evaluated.result, actor=actor
    )
    text = compared()
    assert "Seed noise unknown" not in text
    assert "with seed noise from 3 trainings" in text


def test_the_synthetic_images_that_each_model_learnt_from_are_told(
    open_page: OpenPage, several: Snapshot, add_answers: Callable[[str, list[int]], Model],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Their effect on the real test set is read off this page, and beside it which model had how many."""
    counts = iter([0, 3] * 9)  # of the first and the second model of each comparison
    monkeypatch.setattr("core.evaluation.comparison.set_of_synthetic", lambda _, ids: set(ids[: next(counts)]))
    plain, other = add_answers("plain", [0, 1]), add_answers("other", [2])
    model = add_answers("grown", [0])
    app = open_page("evaluate", project=several.project, model=model.id)
    app.session_state["evaluate_tab"] = "Compare"
    app.run()
    app.multiselect(key="compare_with").set_value([plain.id, other.id])
    text = said(app.run())
    assert not app.exception
    assert "Synthetic images learnt from: plain 0, grown 3." in text
    assert "synthetic in training" in text
    assert "<td>40</td><td>0</td>" in text


@pytest.mark.parametrize(
    ("several", "none_is_told_apart"),
    [((["mass"], *[[]] * 47), True), ((["mass"], *[[], ["nodule"]] * 24), False)],
    indirect=["several"],
)
def test_what_no_test_case_shows_has_no_verdict_and_is_said_to_be_undefined(
    open_page: OpenPage,
    several: Snapshot,
    none_is_told_apart: bool,
    add_answers: Callable[[str, list[int]], Model],
) -> None:
    worst, old = add_answers("worst", list(range(12))), add_answers("old", [0, 1, 2])
    model = add_answers("new", [5])
    text = said(open_page("evaluate", project=several.project, model=model.id, compare_with=f"{old.id},{worst.id}"))
    why = "One of the classes has no case here, or every case."
    assert f"undefined: {why}" in text  # the row of the mass
    assert ("no difference beyond noise" in text) is not none_is_told_apart
    assert (f"<td>undefined<br><small>{why}</small></td>" in text) is none_is_told_apart
    assert (f"their difference is undefined: {why}" in text) is none_is_told_apart


def test_the_address_chooses_the_models_and_opens_the_comparison(
    open_page: OpenPage, several: Snapshot, add_answers: Callable[[str, list[int]], Model]
) -> None:
    worst, old = add_answers("worst", list(range(12))), add_answers("old", [0, 1, 2])
    add_answers("newest of the others", [7])
    model = add_answers("new", [5])
    at = {"project": several.project, "model": model.id}
    app = open_page("evaluate", **at, compare_with=f"{old.id},{worst.id}")
    assert not app.exception
    assert app.multiselect(key="compare_with").value == [old.id, worst.id]
    assert "2 comparisons" in said(app)
    app.multiselect(key="compare_with").set_value([worst.id]).run()
    assert app.query_params["compare_with"] == str(worst.id)
    app.query_params["compare_with"] = str(old.id)  # "back" in the browser
    assert app.run().multiselect(key="compare_with").value == [old.id]
    app.switch_page("../pages/review.py").run()
    app.switch_page("../pages/evaluate.py")
    for key, value in {**at, "compare_with": old.id}.items():
        app.query_params[key] = str(value)
    assert app.run().multiselect(key="compare_with").value == [old.id], "come back to from a case"
    app.session_state["evaluate_tab"] = "Curves"
    assert not app.run().multiselect, "another tab may be opened all the same"
    app = open_page("evaluate", **at, compare_with=f"{model.id},{old.id},9999")
    assert not app.exception
    assert app.multiselect(key="compare_with").value == [old.id]
    assert f"numbered {model.id}, 9999" in app.warning[0].value
    assert not open_page("evaluate", **at).multiselect  # without the address the first tab is open


@pytest.mark.parametrize(
    ("make", "worse", "row"),
    [
        (measured_numbers, 4.0, "<td>8 / 0, p = 0.008</td><td>better</td>"),
        (measured_bodies, 4.0, "body weight"),
        (measured_masks, 0.0, "<td>0 / 0, p = 1.000</td><td>no difference beyond noise</td>"),
    ],
)
def test_numbers_and_structures_are_compared_with_several_models_and_one_of_them_in_detail(
    open_page: OpenPage, connection: sqlite3.Connection, files: Files, actor: Actor,
    make: Callable[..., Measured], worse: float, row: str,
) -> None:  # fmt: skip
    found = make(connection, files, actor)
    before, after = (add_twin(connection, found.model, name, actor, worse) for name in ("before", "after"))
    at = {"project": found.project.id, "model": found.model.id}
    app = open_page("evaluate", **at, compare_with=f"{before.id},{after.id}")
    text = said(app)
    assert not app.exception
    assert row in text
    assert f"{4 if make is measured_bodies else 2} comparisons" in text
    assert "Seed noise unknown" in text
    assert "is better than before" in text or worse == 0
    assert f"Newly better: {8 if worse else 0}" in text
    app.segmented_control(key="compare_detail").set_value(after.id).run()
    assert not app.exception
    assert "quick less after" in said(app)
    if make is measured_bodies:
        app.pills(key="changed_part").set_value("body weight").run()
        assert "8.00 → 4.00" in said(app)
        assert not app.exception
    if worse:
        app.button(key="newly_better_keep").click().run()
        (kept,) = list_case_lists(connection, found.project.id)
        assert len(list_cases_of(connection, found.project.id, kept.id)) == 8


def test_an_interval_is_written_with_to_on_every_screen() -> None:
    """A dash between two numbers reads as a minus where one of them can be below zero."""
    root = Path(__file__).resolve().parents[2]
    for path in [*(root / "dashboard").rglob("*.py"), *(root / "pages").glob("*.py")]:
        assert not re.search(r"[}\d]–[{\d]", path.read_text("utf-8")), path.name
