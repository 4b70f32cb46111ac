"""What to read next, and how far the reading is."""

import sqlite3
from collections.abc import Callable

import pytest

from core.errors import InvalidInput
from core.images.records import Case, set_flag
from core.labels.records import Label
from core.labels.worklist import LabelProgress, Worklist, label_progress, list_case_ids
from core.projects.records import Project, add_project
from core.store.audit import Actor


@pytest.fixture
def cases(
    connection: sqlite3.Connection, make_case: Callable[..., Case], answer: Callable[..., Label], actor: Actor,
    project: Project,
) -> list[Case]:  # fmt: skip
    """0: anna and ben agree, 1: they differ, 2: anna withdrew, 3: ben says unusable and anna normal, 4: flagged."""
    other = add_project(connection, name="Other", task="classification", schema=project.schema, actor=actor)
    answer(make_case("elsewhere.png", into=other), "normal")
    made = [make_case(f"{at}.png") for at in range(5)]
    answer(made[0], "normal")
    answer(made[0], "normal", reader="ben")
    answer(made[1], "normal")
    answer(made[1], "pneumonia", reader="ben")
    answer(made[2], "normal")
    answer(made[2])
    answer(made[3], "normal")
    answer(made[3], unusable=True, reader="ben")
    set_flag(connection, made[4].id, True, actor)
    return made


@pytest.mark.parametrize(
    ("kind", "reader", "expected"),
    [
        ("all", "anna", [0, 1, 2, 3, 4]),
        ("unlabelled", "anna", [2, 4]),
        ("unlabelled", "ben", [2, 4]),
        ("unlabelled", "nobody", [0, 1, 2, 3, 4]),
        ("mine", "anna", [0, 1, 3]),
        ("mine", "nobody", []),
        ("flagged", "anna", [4]),
        ("disagreements", "anna", [1, 3]),
    ],
)
def test_each_worklist_holds_its_cases(
    connection: sqlite3.Connection, project: Project, cases: list[Case], kind: str, reader: str, expected: list[int]
) -> None:
    ids = list_case_ids(connection, project, Worklist(kind), reader)
    assert ids == [cases[at].id for at in expected]


def test_progress_counts_mine_anyones_and_the_reference(
    connection: sqlite3.Connection, project: Project, cases: list[Case]
) -> None:
    assert label_progress(connection, project, "anna") == LabelProgress(5, 3, 3, 1)
    assert label_progress(connection, project, "nobody").mine == 0


def test_an_unknown_worklist_is_refused() -> None:
    with pytest.raises(InvalidInput, match="Received: 'some'"):
        Worklist("some")
