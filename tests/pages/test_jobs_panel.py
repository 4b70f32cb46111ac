"""What the job panel calls things, what it says without a worker, and that it asks before it draws."""

import re
import sqlite3

import pytest
from streamlit.testing.v1 import AppTest

from core.datasets.records import Snapshot
from core.images.records import Case
from core.jobs.kinds import KINDS
from core.jobs.records import Job, add_job
from core.jobs.worker import worker_lock_path
from core.people.accounts import User, ensure_user
from core.people.members import set_member
from core.projects.records import Project
from core.settings import Settings
from core.store.audit import Actor
from core.store.locks import take_lock
from core.training.recipe import named_recipe
from core.training.records import Model, add_model, add_run
from dashboard import run_view, session
from dashboard.jobs_panel import KIND_WORDS
from tests.pages.conftest import OpenPage, said

REMEDY = "Worker is not running: start it with {}readroom up{}, or tell an administrator"


@pytest.fixture
def job(connection: sqlite3.Connection, model: Model, project: Project, actor: Actor) -> Job:
    """A training that waits, with a note that tells something."""
    made = add_job(connection, "train", {"run": 1}, project=project.id, actor=actor)
    connection.execute("UPDATE jobs SET note = 'telling note'")
    connection.execute("UPDATE runs SET job = ?", (made.id,))
    return made


def test_every_kind_of_job_has_a_name_on_screen() -> None:
    assert set(KINDS) <= set(KIND_WORDS)
    assert all(KIND_WORDS.values())


def test_a_training_that_waits_to_go_on_says_of_which_model_it_is_and_no_duration(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, model: Model, job: Job
) -> None:
    connection.execute("UPDATE jobs SET started_at = created_at, arguments = ?", (f'{{"run": {model.run}}}',))
    shown = said(open_page("models", project=project.id))
    assert f"<b>Training of {model.name}</b> · <a" in shown
    assert "waiting · 0 %" in shown
    (line,) = re.findall(r"by \w+ · [^<]*", shown)
    assert line.count("·") == 1, "who asked and when"


def test_a_row_that_was_chosen_is_no_other_s_once_something_newer_stands_above_it(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, snapshot: Snapshot, model: Model, job: Job,
    actor: Actor,
) -> None:  # fmt: skip
    """Streamlit keeps the number of a row as long as the table is the same one, whatever stands in it by then."""

    def add(name: str) -> None:
        run = add_run(
            connection, project=project.id, snapshot=snapshot.id, recipe=named_recipe("cnn"), name=name, actor=actor
        )
        add_model(
            connection, run, keras_hash="1" * 64, onnx_left_out_because="none", parameters=5, file_bytes=4,
            facts=model.facts, seconds=1.0, actor=actor,
        )  # fmt: skip
        add_job(connection, "train", {"run": run.id}, project=project.id, actor=actor)

    add("second")
    pages = {name: open_page(name, project=project.id) for name in ("models", "jobs")}
    before = {name: page.dataframe[0].proto.id for name, page in pages.items()}
    for name, page in pages.items():
        assert page.run().dataframe[0].proto.id == before[name]
    add("third")
    for name, page in pages.items():
        assert page.run().dataframe[0].proto.id != before[name]
        assert not page.exception


def draw_part(part: str, project_id: int, job_id: int, case_id: int) -> None:
    """A page of one part, whose shell asks from its second run on, as a part that refreshes by itself is met."""
    import streamlit as st

    from core.projects.records import get_project
    from dashboard import erasing_view, jobs_panel, run_view, session

    st.session_state["runs"] = st.session_state.get("runs", 0) + 1
    if st.session_state["runs"] > 1:
        st.write("the shell speaks")
        st.stop()
    if part == "job":
        jobs_panel._watched(job_id, project_id)
    elif part == "run":
        run_view._watched(1, project_id)
    else:
        erasing_view.confirm_deletion(get_project(session.db(), project_id), patient="P0")


@pytest.mark.parametrize("part", ["job", "run", "erasing"])
@pytest.mark.parametrize("left", ["signed out", "no member"])
def test_a_part_that_refreshes_by_itself_draws_nothing_for_who_may_no_longer_see(
    settings: Settings,
    connection: sqlite3.Connection,
    open_page: OpenPage,
    project: Project,
    cases: list[Case],
    job: Job,
    part: str,
    left: str,
) -> None:
    paul = ensure_user(connection, "paul")
    session.configure(settings, lambda _: None if left == "signed out" else paul)
    app = AppTest.from_function(draw_part, args=(part, project.id, job.id, cases[0].id), default_timeout=240).run()
    shown = said(app)
    assert "the shell speaks" in shown
    assert not [word for word in ("telling note", "epoch", "P0", "signed out") if word in shown]


@pytest.mark.parametrize(("role", "pages"), [("reader", ["label"]), ("scientist", ["train", "import_images", "jobs"])])
def test_a_worker_that_does_not_run_is_said_with_the_remedy(
    settings: Settings,
    connection: sqlite3.Connection,
    open_page: OpenPage,
    project: Project,
    model: Model,
    role: str,
    pages: list[str],
) -> None:
    paul: User = ensure_user(connection, "paul")
    set_member(connection, project.id, "paul", role, actor=Actor("anna", "screen"))  # type: ignore[arg-type]
    session.configure(settings, lambda _: paul)
    for name in pages:
        app = open_page(name, project=project.id)
        assert REMEDY.format("<code>", "</code>") in said(app)
        assert (REMEDY.format("`", "`") + "." in [warning.value for warning in app.warning]) is (role != "reader")
    lock = take_lock(worker_lock_path(settings))
    assert lock is not None
    try:
        app = open_page(pages[0], project=project.id)
        assert "not running" not in said(app)
    finally:
        lock.release()


def test_a_run_says_what_became_of_the_ensemble_that_it_was_the_last_of() -> None:
    assert "the last of the ensemble a &lt; b" in run_view._say_ensemble({"ensemble": "a < b"})
    assert "The ensemble was not made: They see other windows." in run_view._say_ensemble(
        {"no_ensemble": "They see other windows."}
    )
    assert run_view._say_ensemble({}) == ""
