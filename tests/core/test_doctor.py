import re
import shutil
from pathlib import Path

import pytest

from core.doctor import examine, examine_gpu
from core.settings import Settings


def test_a_healthy_home_has_findings_that_say_something(settings: Settings) -> None:
    findings = {finding.subject: finding for finding in examine(settings)}
    assert findings["home"].works
    assert findings["database"].said.startswith("whole")
    assert all(finding.said for finding in findings.values())


def test_a_worker_that_does_not_run_is_said_with_the_remedy(settings: Settings) -> None:
    finding = next(finding for finding in examine(settings) if finding.subject == "worker")
    assert not finding.works
    assert "readroom up" in finding.said


def test_a_home_that_others_can_read_is_said(settings: Settings) -> None:
    settings.home.chmod(0o755)
    finding = next(finding for finding in examine(settings) if finding.subject == "home")
    assert not finding.works
    assert "chmod 700" in finding.said


def test_a_broken_database_is_said(settings: Settings) -> None:
    settings.database_path.write_bytes(b"SQLite format 3\x00" + b"rubbish" * 200)
    finding = next(finding for finding in examine(settings) if finding.subject == "database")
    assert not finding.works
    assert "restore a backup" in finding.said


def test_a_home_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    findings = {finding.subject: finding for finding in examine(Settings(home=tmp_path / "file" / "home"))}
    assert not findings["home"].works
    assert not findings["database"].works


def test_a_trial_says_device_and_speed() -> None:
    finding = examine_gpu(steps=1)
    assert finding.works, finding.said
    assert re.fullmatch(r"(cpu|gpu:\d+) .+: 1 steps, \d+ images/s", finding.said)


def test_a_trial_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", shutil.which("false"))
    finding = examine_gpu(steps=1)
    assert (finding.works, finding.said) == (False, "1 steps could not be trained: no message")
