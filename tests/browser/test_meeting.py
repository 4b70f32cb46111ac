"""A whole meeting on real chest X-rays: prepared, opened, walked, signed, put into use, rolled back, learnt anew."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.jobs.records import get_job, list_jobs
from core.people.accounts import operating_system_user
from core.projects.records import Project, get_project
from core.reviews.criteria import parse_criterion
from core.reviews.decisions import NewDecision, decide_review, find_decision
from core.reviews.meetings import Review, add_review, count_test_looks, list_reviews, open_results
from core.reviews.registry import find_production, promote_model
from core.reviews.remarks import list_remarks
from core.store.audit import Actor
from core.store.database import opened
from core.training.records import Model, list_models
from dashboard.meeting_view import STEPS
from tests.browser.conftest import Reading, wait_until
from tests.browser.test_walk import assert_no_overhang
from tests.core.reviews.conftest import PASSWORD, give_password

NAME = "X-rays"
OF_EACH = 16  # patients of each class, one image of each


@pytest.fixture
def chest(reading: Reading, test_data: Path, tmp_path: Path) -> Iterator[Project]:
    """A few real X-rays, a model of one epoch in production, and a second operating point of it, measured on test."""
    _link_images(test_data / "cxr_pediatric_pneumonia", tmp_path)
    reading.readroom("project", "create", NAME, "--classes", "normal,pneumonia")
    reading.readroom("import", NAME, str(tmp_path), "--labels", str(tmp_path / "labels.csv"))
    reading.readroom("snapshot", NAME, "first", "--split", "0.5,0.25,0.25")
    reading.train(NAME, "old", epochs=1)
    user = operating_system_user()
    with opened(reading.settings) as connection:
        had = connection.execute("SELECT password FROM users WHERE name = ?", (user,)).fetchone()[0]
        give_password(connection, user)
        project = get_project(connection, NAME)
    reading.evaluate(NAME, "old", "validation", "test")
    reading.readroom("threshold", NAME, "old", "0.5", "--name", "new")
    reading.evaluate(NAME, "new")
    _put_into_production(reading, project, Actor(user, "command line"))
    yield project
    with opened(reading.settings) as connection:
        connection.execute("UPDATE users SET password = ? WHERE name = ?", (had, user))
    reading.readroom("delete", "project", NAME, "--yes")  # the other tests open the first project that they see


def _link_images(source: Path, folder: Path) -> None:
    lines, known = ["path,label,patient"], {"0": set[str](), "1": set[str]()}
    with (source / "labels.csv").open(encoding="utf-8") as table:
        for row in csv.DictReader(table):
            patients = known[row["pneumonia"]]
            if len(patients) < OF_EACH and row["patient_id"] not in patients:
                patients.add(row["patient_id"])
                (folder / row["filename"]).symlink_to((source / "images" / row["filename"]).resolve())
                label = ("normal", "pneumonia")[int(row["pneumonia"])]
                lines.append(f"{row['filename']},{label},{row['patient_id']}")
    (folder / "labels.csv").write_text("\n".join(lines), "utf-8")


def _put_into_production(reading: Reading, project: Project, actor: Actor) -> None:
    with opened(reading.settings) as connection:
        old = _model(reading, project, "old")
        review = open_results(connection, add_review(connection, project, old, criteria=[], actor=actor), actor=actor)
        approval = NewDecision("approve", "It is the first.")
        decide_review(connection, review, approval, signer=actor.name, password=PASSWORD, actor=actor)
        promote_model(connection, old, actor=actor)


def _model(reading: Reading, project: Project, name: str) -> Model:
    with opened(reading.settings) as connection:
        return next(model for model in list_models(connection, project.id) if model.name == name)


def settle(page: Page) -> None:
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')


def fill(page: Page, label: str, text: str) -> None:
    field = page.get_by_label(label, exact=True)
    field.fill(text)
    field.blur()
    settle(page)


def production(reading: Reading, project: Project) -> str:
    with opened(reading.settings) as connection:
        found = find_production(connection, project.id)
    return found.name if found else ""


@pytest.mark.timeout(300)
def test_a_meeting_from_its_preparation_to_a_signed_pdf_a_rollback_and_a_retraining(
    page: Page, reading: Reading, chest: Project
) -> None:
    # prepared: the newest model against the one in production, with a criterion that it can reach
    page.goto(f"{reading.address}/meeting?project={chest.id}&model={_model(reading, chest, 'new').id}")
    fill(page, "Acceptance criteria, one a line", "accuracy at least 0.01")
    page.get_by_role("button", name="Prepare", exact=True).click()
    page.get_by_text("Intended use and model card").wait_for()
    with opened(reading.settings) as connection:
        review = list_reviews(connection, chest.id)[0]
    assert review.criteria == (parse_criterion("accuracy at least 0.01"),)
    assert review.production == _model(reading, chest, "old").id

    # met: every step by the arrow keys, some of them on the full screen, the results opened once
    for at, step in enumerate(STEPS):
        settle(page)
        if step.key == "criteria":
            page.get_by_role("button", name="Open the test results").click()
            page.get_by_text("Limits in plain words").wait_for()
        if step.key == "threshold":
            page.get_by_text("Shown at the frozen point alone: 0.500").wait_for()
        if step.key == "comparison":
            page.get_by_text(
                re.compile("no difference beyond noise between new and old|too few cases to tell|told apart")
            ).wait_for()
        if step.key == "failures":
            _say_of_a_failure(page, reading, review)
        assert_no_overhang(page, step.key)
        if step.key == "population":
            page.keyboard.press("f")
            expect(page.get_by_test_id("stSidebar")).to_be_hidden()
        if step.key == "curves":  # two steps on by the arrows, and then back
            page.keyboard.press("Escape")
            expect(page.get_by_test_id("stSidebar")).to_be_visible()
        if step is not STEPS[-1]:
            page.keyboard.press("ArrowRight")
            expect(page).to_have_url(re.compile(f"step={STEPS[at + 1].key}"))
    with opened(reading.settings) as connection:
        assert count_test_looks(connection, review).openings_here == 1
    page.keyboard.press("ArrowLeft")
    expect(page).to_have_url(re.compile("step=discussion"))
    page.get_by_text("Is it turned?").wait_for()
    page.keyboard.press("ArrowRight")

    # decided and signed; the report; into production
    page.get_by_role("radio", name="Approve", exact=True).click()
    settle(page)
    fill(page, "Rationale", "It meets what was asked.")
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Decide and sign").click()
    page.get_by_text("Decided: approve").wait_for()
    with opened(reading.settings) as connection:
        decision = find_decision(connection, review)
    assert decision is not None
    assert [one.name for one in decision.signatures] == [operating_system_user()]
    with page.expect_download() as report:
        page.get_by_role("button", name="PDF").click()
    assert Path(report.value.path()).read_bytes().startswith(b"%PDF")
    page.get_by_role("button", name="Put into production").click()
    wait_until(lambda: production(reading, chest) == "new")

    # back to the one before by one click
    page.goto(f"{reading.address}/models?project={chest.id}")
    page.get_by_role("button", name="Registry").click()
    page.get_by_role("button", name="Roll back to old").click()
    wait_until(lambda: production(reading, chest) == "old")

    # a label is corrected by one key, and a model is to learn it
    page.goto(f"{reading.address}/review?project={chest.id}&model={review.model}&result=all&split=test")
    page.get_by_role("img", name=re.compile("Image")).wait_for()
    answers = reading.current_answers()
    for key in ("Digit1", "Digit2") * 20:  # one of the two is another answer than before
        page.keyboard.press(key)
        page.wait_for_timeout(1000)
        if reading.current_answers() != answers:
            break
    page.goto(f"{reading.address}/meeting?project={chest.id}&review={review.id}&step=decision")
    page.get_by_role("button", name="Open the test results").click()
    with reading.worker_asleep():  # what is not begun is stopped at once
        page.get_by_role("button", name="Retrain with the corrected labels").click()
        page.get_by_text(re.compile("is queued, on")).wait_for()
        with opened(reading.settings) as connection:
            asked = list_jobs(connection, kinds=("train",))[0]
        assert (asked.project, asked.arguments["evaluate"]) == (chest.id, "test")
        reading.readroom("jobs", "stop", str(asked.id))
        with opened(reading.settings) as connection:
            assert get_job(connection, asked.id).state == "stopped"


def _say_of_a_failure(page: Page, reading: Reading, review: Review) -> None:
    """The model of one epoch calls everything the same, so one of the two classes has failures."""
    if page.get_by_role("button", name="Say something on a case").is_disabled():
        page.get_by_role("radio", name="normal", exact=True).click()
        settle(page)
    page.get_by_role("button", name="Say something on a case").click()
    page.get_by_label("Remark", exact=True).fill("Is it turned?")
    page.get_by_role("button", name="Say it", exact=True).click()

    def said() -> bool:
        with opened(reading.settings) as connection:
            return [(one.text, one.step) for one in list_remarks(connection, review)] == [("Is it turned?", "failures")]

    wait_until(said)
    page.keyboard.press("Escape")
    settle(page)
