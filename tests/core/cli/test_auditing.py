"""The audit by command: a verdict with its exit code, a list, a copy that is itself on record."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from core.cli.app import app
from core.settings import Settings
from core.store.audit import Actor, add_audit, audit_head, list_audit
from core.store.database import opened


@pytest.fixture
def home(settings: Settings) -> Settings:
    with opened(settings) as connection:
        for number in range(3):
            add_audit(connection, Actor("anna", "screen", "10.0.0.7"), "flag case", f"case {number}", after=True)
        add_audit(connection, Actor("ben", "job"), "import", "project 1")
    return settings


def run(settings: Settings, *words: str, code: int = 0) -> Any:
    result = CliRunner().invoke(app, ["audit", *words, "--home", str(settings.home), "--json"])
    assert result.exit_code == code, result.output + repr(result.exception)
    return json.loads(result.stdout) if result.stdout.startswith("{") else result


def test_a_whole_chain_is_said_to_be_whole_and_the_look_is_on_record(home: Settings) -> None:
    with opened(home) as connection:
        head = audit_head(connection)
    told = run(home, "verify", "--head", head)
    assert (told["whole"], told["rows"], told["faults"], told["head"]) == (True, 4, [], head)
    with opened(home) as connection:
        assert list_audit(connection, limit=1)[0].what == "verify audit"


def test_a_broken_chain_is_exit_code_1_with_the_row_named(home: Settings) -> None:
    with opened(home) as connection:
        connection.execute("DROP TRIGGER audit_is_never_deleted")
        connection.execute("DELETE FROM audit WHERE id = 2")
    assert run(home, "verify", code=1)["faults"] == ["Row 2 is missing."]


def test_an_unknown_head_is_a_fault(home: Settings) -> None:
    assert "head that was noted" in run(home, "verify", "--head", "0" * 64, code=1)["faults"][0]


def test_a_list_can_be_narrowed(home: Settings) -> None:
    assert [row["who"] for row in run(home, "list", "--via", "job")["rows"]] == ["ben"]
    assert [row["subject"] for row in run(home, "list", "--what", "flag", "--limit", "2")["rows"]] == [
        "case 2",
        "case 1",
    ]
    assert run(home, "list", "--since", "2999-01-01")["rows"] == []
    assert len(run(home, "list", "--until", "2999-01-01")["rows"]) == 4


def test_a_day_that_is_none_is_refused(home: Settings) -> None:
    assert "Give a day" in str(run(home, "list", "--since", "yesterday", code=1).exception)


def test_an_export_is_itself_on_record(home: Settings, tmp_path: Path) -> None:
    out = tmp_path / "audit.csv"
    assert run(home, "export", "--out", str(out), "--who", "anna")["rows"] == 3
    with out.open(newline="") as stream:
        assert [row["subject"] for row in csv.DictReader(stream)] == ["case 2", "case 1", "case 0"]
    newest = run(home, "list", "--limit", "1")["rows"][0]
    assert (newest["what"], newest["detail"]) == ("export audit", {"rows": 3, "filters": {"who": "anna"}})
    assert str(tmp_path) not in json.dumps(newest["detail"])
