"""Where a project says so, a reader is told nothing of what others, or a model, say before their own answer."""

import sqlite3
from collections.abc import Callable, Iterator

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from core.errors import CoreError
from core.images.records import Case
from core.labels.case_lists import add_case_list
from core.labels.records import NewLabel, add_label, new_event
from core.labels.worklist import Worklist, list_case_ids
from core.people.accounts import ensure_user
from core.people.members import set_member
from core.people.sessions import issue_token, redeem_token
from core.projects.records import Project, change_project
from core.reviews.comments import add_comment
from core.settings import Settings
from core.store.audit import Actor
from core.training.records import Model
from dashboard import session
from dashboard.middleware import cookie_name
from dashboard.routes.answers import answer_refusal
from dashboard.server import make_middleware, make_routes
from tests.pages.conftest import run_page, said

COOKIE = cookie_name(8501)
SECRET = "a spiculated mass, surely"


@pytest.fixture
def blind(connection: sqlite3.Connection, project: Project, cases: list[Case], model: Model, actor: Actor) -> Project:
    """Anna has answered every case and said something of the first; Ben is a reader, Rita a reviewer."""
    for name, role in (("ben", "reader"), ("rita", "reviewer")):
        ensure_user(connection, name)
        set_member(connection, project.id, name, role, actor=actor)  # type: ignore[arg-type]
    add_comment(connection, cases[0].id, SECRET, actor=actor)
    return change_project(
        connection, project, description="", intended_use="", digit_advances=True, blind_first=True, actor=actor
    )


@pytest.fixture
def open_as(settings: Settings, connection: sqlite3.Connection) -> Iterator[Callable[..., AppTest]]:
    def open_it(who: str, name: str, **query: object) -> AppTest:
        user = ensure_user(connection, who)
        session.configure(settings, lambda _: user)
        return run_page(name, **query)

    yield open_it
    session._Process.settings = session._Process.identify = None


def as_table(app: AppTest) -> AppTest:
    app.session_state["view"] = "table"
    app.run()
    assert not app.exception
    return app


def answer(connection: sqlite3.Connection, case: Case, reader: str) -> None:
    add_label(connection, NewLabel(new_event(), case.id, reader, {"classes": ["pneumonia"]}), Actor(reader, "screen"))


def test_a_case_is_bare_until_the_reader_has_answered_it(
    open_as: Callable[..., AppTest], connection: sqlite3.Connection, blind: Project, cases: list[Case], model: Model
) -> None:
    told = ("<b>anna</b>", SECRET, "Reference:")
    before = said(open_as("ben", "case", case=cases[0].id))
    assert "answer first" in before
    assert not [word for word in told if word in before]
    for_rita = said(open_as("rita", "case", case=cases[0].id))
    assert not [word for word in told if word not in for_rita]
    answer(connection, cases[0], "ben")
    after = said(open_as("ben", "case", case=cases[0].id))
    assert not [word for word in told if word not in after]
    assert model.name not in after  # what a model says is for those who may open test results, answered or not
    assert SECRET not in said(open_as("ben", "case", case=cases[1].id))


def test_the_list_of_cases_tells_only_of_answered_ones(
    open_as: Callable[..., AppTest], connection: sqlite3.Connection, blind: Project, cases: list[Case]
) -> None:
    answer(connection, cases[0], "ben")
    app = as_table(open_as("ben", "cases", project=blind.id))
    table = app.dataframe[0].value
    assert "predicted" not in table
    rows = {row["file"]: (row["reference"], row["answers"]) for row in table.to_dict("records")}
    assert rows.pop(cases[0].source)[1] == 2
    assert {answers for _, answers in rows.values()} == {0}
    assert len({reference for reference, _ in rows.values()}) == 1  # the sign for none, at every one of them


def test_where_a_file_lay_tells_a_blind_reader_nothing(
    open_as: Callable[..., AppTest], connection: sqlite3.Connection, blind: Project, cases: list[Case]
) -> None:
    connection.execute("UPDATE cases SET source = 'bacterial/' || source")
    answer(connection, cases[0], "ben")
    grid = said(open_as("ben", "cases", project=blind.id))
    assert "bacterial/film-0.png" in grid
    assert grid.count("bacterial/") == grid.count("bacterial/film-0.png")
    assert f"case {cases[1].id}<" in grid
    table = as_table(open_as("ben", "cases", project=blind.id)).dataframe[0].value
    assert [name for name in table["file"] if "bacterial" in name] == ["bacterial/film-0.png"]
    assert "bacterial" in said(open_as("ben", "case", case=cases[0].id))
    assert "bacterial" not in said(open_as("ben", "case", case=cases[1].id))
    assert "bacterial" in said(open_as("rita", "case", case=cases[1].id))


def test_what_a_table_says_of_a_case_tells_a_blind_reader_nothing(
    open_as: Callable[..., AppTest], connection: sqlite3.Connection, blind: Project, cases: list[Case]
) -> None:
    """Attributes, the given split and a patient's name: any of them may be named after the finding."""
    connection.execute("UPDATE cases SET patient = 'bacterial-' || patient, given_split = 'bacterial-split'")
    connection.execute("""UPDATE cases SET attributes = '{"finding":"bacterial"}'""")
    connection.execute("UPDATE case_attributes SET name = 'finding', value = 'bacterial'")
    answer(connection, cases[0], "ben")
    assert "bacterial" not in said(open_as("ben", "case", case=cases[1].id))
    for who, number in (("ben", 0), ("rita", 1)):
        shown = said(open_as(who, "case", case=cases[number].id))
        for word in ("bacterial-split", f"bacterial-{cases[number].patient}", "finding"):
            assert word in shown
    app = as_table(open_as("ben", "cases", project=blind.id, attribute="finding"))
    assert "finding" not in said(app), "an attribute is not offered to filter by, whatever the address says"
    patients = list(app.dataframe[0].value["patient"])
    assert [name for name in patients if "bacterial" in name] == [f"bacterial-{cases[0].patient}"]
    assert "finding" in said(open_as("rita", "cases", project=blind.id))


def test_a_pseudonym_is_shown_to_a_blind_reader(
    open_as: Callable[..., AppTest], connection: sqlite3.Connection, blind: Project, cases: list[Case]
) -> None:
    connection.execute("UPDATE cases SET patient = 'P0123456789abcdef', patient_from = 'dicom'")
    assert "P0123456789abcdef" in said(open_as("ben", "case", case=cases[1].id))


@pytest.mark.parametrize("query", [{"label": "normal"}, {"label": "pneumonia"}, {"reader": "anna"}])
def test_a_filter_by_what_others_said_finds_only_answered_cases(
    open_as: Callable[..., AppTest],
    connection: sqlite3.Connection,
    blind: Project,
    cases: list[Case],
    query: dict[str, str],
) -> None:
    answer(connection, cases[2], "ben")
    app = as_table(open_as("ben", "cases", project=blind.id, **query))
    shown = set(app.dataframe[0].value["file"]) if app.dataframe else set()
    if "reader" in query:  # another reader is not even offered, so the address is not listened to
        assert len(shown) == len(cases)
    else:
        assert shown <= {cases[2].source}


def test_the_label_page_filters_by_what_others_said_only_what_is_answered(
    open_as: Callable[..., AppTest], connection: sqlite3.Connection, blind: Project, cases: list[Case]
) -> None:
    answer(connection, cases[2], "ben")
    found = set()
    for label in ("normal", "pneumonia"):
        app = open_as("ben", "label", project=blind.id, worklist="all", label=label)
        assert not app.exception
        found |= set(app.session_state["label:list"][1])
    assert found <= {cases[2].id}


def test_a_model_in_the_address_filters_nothing_for_a_reader(
    open_as: Callable[..., AppTest], blind: Project, cases: list[Case], model: Model
) -> None:
    app = as_table(open_as("ben", "cases", project=blind.id, model=model.id, result="wrong"))
    assert len(app.dataframe[0].value) == len(cases)
    assert model.name not in said(app)


@pytest.mark.parametrize("name", ["review", "evaluate", "models", "snapshots", "train", "jobs"])
def test_pages_about_models_are_shut(open_as: Callable[..., AppTest], blind: Project, model: Model, name: str) -> None:
    shown = said(open_as("ben", name, project=blind.id, model=model.id))
    assert "not open to you" in shown
    assert model.name not in shown


def test_that_others_disagree_is_not_told(connection: sqlite3.Connection, blind: Project, cases: list[Case]) -> None:
    for case in cases[:4]:
        answer(connection, case, "rita")  # Anna said normal of the first two
    answer(connection, cases[0], "ben")
    from core.labels.sight import sight_of

    def disagreements(who: str) -> list[int]:
        sight = sight_of(connection, ensure_user(connection, who), blind)
        return list_case_ids(connection, blind, Worklist("disagreements"), who, sight=sight)

    assert disagreements("rita") == [cases[0].id, cases[1].id]
    assert disagreements("ben") == [cases[0].id]


def test_no_route_tells_a_reader_anything(
    settings: Settings, connection: sqlite3.Connection, blind: Project, cases: list[Case], model: Model
) -> None:
    app = Starlette(
        routes=make_routes(settings, COOKIE),
        middleware=make_middleware(settings, "127.0.0.1", COOKIE, frozenset()),
        exception_handlers={CoreError: answer_refusal},  # type: ignore[dict-item]
    )
    with TestClient(app, base_url="http://127.0.0.1:8501") as client:
        token = issue_token(connection, ensure_user(connection, "ben"))
        client.cookies.set(COOKIE, redeem_token(connection, token, hours=1))
        for answered in (False, True):
            told = client.get(f"/api/v1/cases/{cases[0].id}")
            assert told.status_code == 200
            assert "anna" not in told.text
            assert (told.json()["my_label"] is not None) == answered
            assert told.json()["source"] == (cases[0].source if answered else f"case {cases[0].id}")
            assert told.json()["patient"] == (cases[0].patient if answered else f"case {cases[0].id}")
            asked = {"model": model.id, "case": cases[0].id, "class": "normal"}
            assert client.post("/api/v1/explanations", json=asked).status_code == 403
            answer(connection, cases[0], "ben")


def test_without_the_rule_a_reader_sees_others_and_still_no_model(
    open_as: Callable[..., AppTest],
    connection: sqlite3.Connection,
    blind: Project,
    cases: list[Case],
    model: Model,
    actor: Actor,
) -> None:
    texts = {"description": "", "intended_use": "", "digit_advances": True}
    change_project(connection, blind, **texts, blind_first=False, actor=actor)  # type: ignore[arg-type]
    shown = said(open_as("ben", "case", case=cases[0].id))
    assert "<b>anna</b>" in shown
    assert SECRET in shown
    assert model.name not in shown


def test_the_name_of_a_list_that_another_kept_tells_a_blind_reader_nothing(
    open_as: Callable[..., AppTest], connection: sqlite3.Connection, blind: Project, cases: list[Case], actor: Actor
) -> None:
    kept = add_case_list(connection, blind, "pneumonia that the model missed", [cases[0].id], actor=actor)
    add_case_list(connection, blind, "for Tuesday", [cases[1].id], actor=Actor("ben", "screen"))

    def offered(who: str) -> list[str]:
        return list(open_as(who, "label", project=blind.id, worklist="review").selectbox(key="label_list").options)

    assert offered("ben") == ["for Tuesday (1)", f"List {kept.id} of {kept.made_at[:10]} (1)"]
    assert offered("rita") == ["for Tuesday (1)", "pneumonia that the model missed (1)"]
