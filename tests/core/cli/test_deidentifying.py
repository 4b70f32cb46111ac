"""The commands about what is kept of headers, and about the way back from a pseudonym."""

from pathlib import Path

import pytest

from core.errors import CoreError
from core.images.crosswalk import note, sealed_entry
from core.projects.records import get_project
from core.settings import Settings
from core.store.audit import list_audit
from core.store.database import opened
from tests.core.cli.conftest import run_in


@pytest.fixture
def home(tmp_path: Path) -> Path:
    run_in(tmp_path / "home", "project", "create", "Chest", "--classes", "a,b")
    return tmp_path / "home"


def test_the_choices_are_shown_and_changed(home: Path) -> None:
    told = run_in(home, "project", "deidentification", "Chest")["deidentification"]
    assert isinstance(told, dict)
    assert told["enabled"] is True
    assert told["retain_device"] is False
    changed = run_in(
        home, "project", "deidentification", "Chest", "--set", "retain_device=on", "--set", "keep_times=off"
    )
    assert changed["deidentification"] == {**told, "retain_device": True, "keep_times": False}
    with pytest.raises(CoreError, match="on or off"):
        run_in(home, "project", "deidentification", "Chest", "--set", "retain_device=perhaps")


def test_without_de_identification_only_by_name_and_audited(home: Path) -> None:
    run_in(home, "project", "create", "Open", "--classes", "a,b", "--without-deidentification")
    told = run_in(home, "project", "deidentification", "Open")["deidentification"]
    assert isinstance(told, dict)
    assert told["enabled"] is False
    with opened(Settings(home=home)) as connection:
        assert len(list_audit(connection, what="turn off de-identification")) == 1


def test_the_crosswalk_by_passphrase(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("READROOM_CROSSWALK_PASSPHRASE", "a long enough passphrase")
    run_in(home, "crosswalk", "on", "Chest")
    with opened(Settings(home=home)) as connection:
        key = get_project(connection, "Chest").deidentification.crosswalk_key
    note(Settings(home=home), 1, sealed_entry(key, "P0123456789abcdef", "patient /4711"))
    shown = run_in(home, "crosswalk", "show", "Chest", "--pseudonym", "P0123456789abcdef")
    assert shown["original"] == "patient /4711"
    run_in(home, "crosswalk", "off", "Chest")
    with pytest.raises(CoreError, match="no crosswalk"):
        run_in(home, "crosswalk", "show", "Chest", "--pseudonym", "P0123456789abcdef")
