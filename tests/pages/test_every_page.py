"""Every page draws: on an empty home, on a small project, at addresses that lead nowhere."""

import re
import sqlite3

import pytest
from streamlit.testing.v1 import AppTest

from core.images.records import Case
from core.projects.records import Project, add_project
from core.projects.schema import LabelSchema, Regression, Task, make_segmentation
from core.store.audit import Actor
from core.training.auto import AUTO
from core.training.networks import networks_of
from core.training.records import Model
from dashboard import places, session
from dashboard.recipe_form import NAMES as RECIPES
from tests.pages.conftest import OpenPage, said

NAMES = [place.name for place in places.PLACES]
OF_A_PROJECT = [place.name for place in places.PLACES if place.where == "the project" and place.name != "case"]
NEEDS_A_TASK_THAT_TRAINS = ("snapshots", "train", "models", "evaluate", "explanations", "review", "meeting")
TRAINED = ("regression", "segmentation")  # beside classification


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_home_says_what_to_do_next(open_page: OpenPage, name: str) -> None:
    app = open_page(name)
    assert not app.exception
    text = said(app)
    if name in OF_A_PROJECT:
        assert "No project is open" in text
        assert "Open or create a project" in text
    elif name == "projects":
        assert "Your first project" in text


@pytest.mark.parametrize("name", NAMES)
def test_a_project_without_images_names_the_next_step(open_page: OpenPage, project: Project, name: str) -> None:
    app = open_page(name, project=project.id)
    assert not app.exception
    if name in ("cases", "label", "snapshots"):
        assert "Import images" in said(app)
    if name in ("models", "predict", "evaluate", "explanations", "review", "meeting"):
        assert "Train a model" in said(app)


@pytest.mark.parametrize("name", NAMES)
def test_a_small_project_draws(
    open_page: OpenPage, project: Project, cases: list[Case], model: Model, name: str
) -> None:
    query = {"case": cases[0].id} if name == "case" else {}
    app = open_page(name, project=project.id, **query)
    assert not app.exception
    assert not app.error
    assert "Signed in as <b>anna</b>" in said(app)
    assert_has_one_heading(app, places.BY_NAME[name], project)


def assert_has_one_heading(app: AppTest, place: places.Place, project: Project) -> None:
    """The same line on every page, before anything else: its name, its project, at most one sentence."""
    headings = [element.proto.body for element in app.main if "<h1>" in getattr(element.proto, "body", "")]
    assert len(headings) == 1
    name, of, said_of_it = re.fullmatch(
        r'<header class="rr-head"><h1>(.*?)</h1>(?:<span .*?>(.*?)</span>)?(?:<p>(.*?)</p>)?</header>', headings[0]
    ).groups()  # type: ignore[union-attr]
    assert re.fullmatch(r"Case \d+" if place.name == "case" else re.escape(place.title), name)
    assert of == (project.name if place.where == "the project" else None)
    assert len(said_of_it or "") < 115, "two lines at 1280"


@pytest.mark.parametrize("recipe", [AUTO, *(name for name in networks_of("classification") if name != "cnn3d")])
def test_every_recipe_draws(
    open_page: OpenPage, project: Project, cases: list[Case], model: Model, recipe: str
) -> None:
    app = open_page("train", project=project.id, recipe=recipe)
    assert not app.exception
    assert not app.error
    assert app.segmented_control(key="recipe").value == recipe
    assert f"{recipe} · {RECIPES[recipe]}" in said(app)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("wrong", ["999", "-1", "99999999999999999999999"])
def test_wrong_ids_in_the_address_are_met_with_words(
    open_page: OpenPage, project: Project, model: Model, name: str, wrong: str
) -> None:
    ids = dict.fromkeys(("case", "model", "snapshot", "run", "job", "split", "label", "page", "result"), wrong)
    assert not open_page(name, project=project.id, **ids).exception


@pytest.mark.parametrize("name", OF_A_PROJECT)
def test_a_project_that_is_not_there_is_named(open_page: OpenPage, project: Project, name: str) -> None:
    app = open_page(name, project=999)
    assert not app.exception
    assert "There is no project 999" in said(app)


OTHER_TASKS: dict[Task, LabelSchema] = {
    "segmentation": make_segmentation(["liver", "lesion"]),
    "regression": Regression("age", "years", 0, 120),
}


@pytest.mark.parametrize("task", OTHER_TASKS)
@pytest.mark.parametrize("name", OF_A_PROJECT)
def test_another_task_is_at_home_or_met_politely(
    open_page: OpenPage, connection: sqlite3.Connection, actor: Actor, name: str, task: Task
) -> None:
    other = add_project(connection, name=task, task=task, schema=OTHER_TASKS[task], actor=actor)
    app = open_page(name, project=other.id)
    assert not app.exception
    refused = name in NEEDS_A_TASK_THAT_TRAINS and task not in TRAINED
    assert (f"{task.capitalize()} is not here yet" in said(app)) == refused


def test_nobody_signed_in_sees_nothing(open_page: OpenPage, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session._Process, "identify", staticmethod(lambda connection: None))
    text = said(open_page("cases", project=project.id))
    assert "signed out" in text
    assert project.name not in text
