"""The processes that `readroom up` keeps running, and what they print."""

import sys
import time
from pathlib import Path

import pytest

from dashboard import services
from dashboard.services import Service

PATIENCE_SECONDS = 150
CHATTER = """
import time
for number in range(100000):
    print(f"line {number:06}", flush=True)
    time.sleep(0.002)
"""


def test_a_log_turns_over_while_its_process_goes_on_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "LOG_BYTES", 600)
    service = Service("chatter", [sys.executable, "-c", CHATTER], tmp_path / "logs" / "chatter.log")
    old = service.log.with_suffix(".old.log")
    service.start()
    try:
        until = time.monotonic() + PATIENCE_SECONDS
        while not (old.exists() and "line 0002" in old.read_text() and service.log.stat().st_size > 100):
            assert time.monotonic() < until, "it never turned over twice"
            service.turn_log_over()
            time.sleep(0.01)
    finally:
        service.stop()
    assert old.stat().st_size < 10_000
    text = service.log.read_bytes()
    assert b"\0" not in text, "the process writes at the end of the file, wherever that is"
    assert text.startswith(b"line ")


def test_a_log_that_is_not_there_or_small_is_left(tmp_path: Path) -> None:
    service = Service("quiet", [], tmp_path / "quiet.log")
    service.turn_log_over()
    service.log.write_text("a line")
    service.turn_log_over()
    assert [path.name for path in tmp_path.iterdir()] == ["quiet.log"]
