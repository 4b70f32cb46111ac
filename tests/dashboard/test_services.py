"""The processes that `readroom up` keeps running, and what they print."""

import sys
import time
from pathlib import Path

import pytest

from dashboard import services
from dashboard.services import Service

PATIENCE_SECONDS = 150
CHATTER = """
import sys, time
from pathlib import Path
number = 0
while True:
    while number < int(Path(sys.argv[1]).read_text() or 0):
        print(f"line {number:06}", flush=True)
        number += 1
    time.sleep(0.002)
"""


def test_a_log_turns_over_while_its_process_goes_on_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "LOG_BYTES", 600)
    wanted = tmp_path / "wanted"
    wanted.write_text("0")
    service = Service("chatter", [sys.executable, "-c", CHATTER, str(wanted)], tmp_path / "logs" / "chatter.log")

    def hear(first: int, after: int) -> str:
        """All that it writes from its line `first` on, until it has written `after` lines."""
        expected = "".join(f"line {number:06}\n" for number in range(first, after))
        wanted.write_text(str(after))
        until = time.monotonic() + PATIENCE_SECONDS
        while service.log.read_text() != expected:
            assert time.monotonic() < until, (
                f"it writes at the end of the file, wherever that is: {service.log.read_bytes()!r}"
            )
            time.sleep(0.01)
        return expected

    service.start()
    try:
        hear(0, 40)
        service.turn_log_over()
        hear(0, 60)  # 480 bytes were small, 720 are not
        service.turn_log_over()
        second = hear(60, 120)
        service.turn_log_over()
        hear(120, 130)
        assert service.log.with_suffix(".old.log").read_text() == second
    finally:
        service.stop()


def test_a_log_that_is_not_there_or_small_is_left(tmp_path: Path) -> None:
    service = Service("quiet", [], tmp_path / "quiet.log")
    service.turn_log_over()
    service.log.write_text("a line")
    service.turn_log_over()
    assert [path.name for path in tmp_path.iterdir()] == ["quiet.log"]
