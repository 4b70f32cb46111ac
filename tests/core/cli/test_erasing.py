"""`readroom delete`: it says what would go, and erases only when told --yes."""

import json
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from core.cli.app import app, main
from core.images.records import Case, list_cases
from core.projects.records import Project, list_projects
from core.settings import Settings
from core.store.audit import list_audit

Delete = Callable[..., Any]


@pytest.fixture
def delete(settings: Settings) -> Delete:
    """`delete("patient", "Chest", "p1")` runs the command; the answer is its exit code and JSON document."""

    def run(*words: str) -> tuple[int, dict[str, Any]]:
        result = CliRunner().invoke(app, ["delete", *words, "--home", str(settings.home), "--json"])
        return result.exit_code, json.loads(result.stdout)

    return run


@pytest.fixture
def cases(make_case: Callable[..., Case], answer: Callable[..., Any]) -> list[Case]:
    made = [make_case(f"{name}-{at}.png", patient=name) for name in ("p1", "p2") for at in range(2)]
    for case in made:
        answer(case, "normal")
    return made


def test_without_yes_it_tells_what_would_go_and_changes_nothing(
    connection: sqlite3.Connection, project: Project, cases: list[Case], delete: Delete
) -> None:
    code, told = delete("patient", "Chest", "p1")
    assert (code, told["erased"], told["labels"], told["case_ids"]) == (1, False, 2, [cases[0].id, cases[1].id])
    assert told["goes"][0] == "2 cases of 1 patient"
    assert any("Backups" in line for line in told["stays"])
    assert len(list(list_cases(connection, project.id))) == 4


def test_the_refusal_says_what_to_add(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], settings: Settings, cases: list[Case]
) -> None:
    monkeypatch.setattr("sys.argv", ["readroom", "delete", "project", "Chest", "--home", str(settings.home)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    said = capsys.readouterr()
    assert said.err.strip() == "Nothing was erased yet; say --yes to erase it. Received: project Chest"
    assert "4 cases of 2 patients" in said.out


def test_with_yes_a_patient_goes_and_the_reason_is_kept(
    connection: sqlite3.Connection, project: Project, cases: list[Case], delete: Delete
) -> None:
    code, told = delete("patient", "Chest", "p1", "--yes", "--reason", "asked for by letter")
    assert (code, told["erased"], told["complete"]) == (0, True, True)
    assert {case.patient for case in list_cases(connection, project.id)} == {"p2"}
    row = list_audit(connection, what="erase patient")[0]
    assert (row.via, row.detail["reason"]) == ("command line", "asked for by letter")


def test_a_case_goes_by_its_file_name(
    connection: sqlite3.Connection, project: Project, cases: list[Case], delete: Delete
) -> None:
    assert delete("case", "Chest", "p2-1.png", "--yes")[0] == 0
    assert [case.id for case in list_cases(connection, project.id)] == [case.id for case in cases[:3]]


def test_a_project_goes(connection: sqlite3.Connection, cases: list[Case], delete: Delete) -> None:
    assert delete("project", "Chest", "--yes")[0] == 0
    assert list_projects(connection) == []
