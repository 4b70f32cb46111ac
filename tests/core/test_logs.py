"""The log: JSON lines that turn over by size and leave out what a log may not hold."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core import logs
from core.logs import JsonLines, request_id, start_log, take_over_loggers, without_secrets
from core.settings import PROJECT_ROOT, Settings

TOKEN = "vK3x9Qz_a7Lm2Np4Rt6Yw8Bd1Fh5Jk0Sg3Uc7Xe9Zi2"


@pytest.fixture
def log_file(settings: Settings) -> Iterator[Path]:
    root = logging.getLogger()
    kept, level = list(root.handlers), root.level
    yield start_log(settings, "web", {})
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = kept
    root.setLevel(level)
    logging.captureWarnings(False)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_a_line_says_when_how_bad_which_part_and_what(log_file: Path) -> None:
    kept = request_id.set("abc123")
    logging.getLogger("readroom.web").warning(
        "Something\nhappened", extra={"route": "/api/v1/jobs", "status": 503, "ms": 2.5}
    )
    request_id.reset(kept)
    (line,) = lines(log_file)
    assert line["time"].endswith("Z")
    del line["time"]
    assert line == {
        "level": "WARNING", "logger": "readroom.web", "message": "Something\nhappened", "request": "abc123",
        "route": "/api/v1/jobs", "status": 503, "ms": 2.5,
    }  # fmt: skip


def test_a_defect_is_told_by_type_and_place_never_by_its_text(log_file: Path) -> None:
    try:
        raise ValueError("patient Miller, born 1950")
    except ValueError as error:
        logging.getLogger("readroom.web").error("A page broke", exc_info=error)
    (line,) = lines(log_file)
    assert line["error"] == "ValueError"
    assert line["where"][-1].startswith("test_logs.py:")
    assert "Miller" not in log_file.read_text("utf-8")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"GET /sign-in?token={TOKEN}&next=/label 200", "GET /sign-in?[left out] 200"),
        (f"session {TOKEN} began", "session [left out] began"),
        ("Job 12, attempt 1: it ran out of memory", "Job 12, attempt 1: it ran out of memory"),
    ],
)
def test_queries_and_tokens_are_left_out(text: str, said: str) -> None:
    assert without_secrets(text) == said


def test_the_file_turns_over_by_size(log_file: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setattr(logs, "LOG_BYTES", 2000)
    path = start_log(settings, "web", {})
    for number in range(100):
        logging.getLogger("readroom.web").info("line %d", number)
    files = sorted(path.parent.glob("web.jsonl*"))
    assert len(files) == 1 + logs.LOGS_KEPT
    assert all(file.stat().st_size <= 2000 for file in files)
    assert lines(path)[-1]["message"] == "line 99"


@pytest.mark.parametrize(("said", "level"), [("debug", 10), ("WARNING", 30), ("nonsense", 20), ("", 20)])
def test_the_environment_sets_how_much_is_written(log_file: Path, settings: Settings, said: str, level: int) -> None:
    start_log(settings, "web", {logs.LEVEL_VARIABLE: said})
    assert logging.getLogger().level == level


def test_a_library_that_prints_by_itself_writes_into_our_log(log_file: Path) -> None:
    theirs = logging.getLogger("somebody.elses.library")
    theirs.propagate = False
    theirs.addHandler(logging.StreamHandler())
    take_over_loggers()
    theirs.error("patient list?name=Miller could not be read")
    assert lines(log_file)[-1]["message"] == "patient list?[left out] could not be read"
    assert theirs.handlers == []


def test_every_line_is_json_even_of_what_python_warns_about() -> None:
    formatted = JsonLines().format(logging.makeLogRecord({"msg": "%s", "args": ("ünï",), "levelname": "WARNING"}))
    assert json.loads(formatted)["message"] == "ünï"


def test_the_worker_writes_its_log_into_the_home(settings: Settings) -> None:
    words = [sys.executable, "-m", "core.jobs.worker", "--home", str(settings.home)]
    process = subprocess.Popen(words, cwd=PROJECT_ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    path = settings.home / "logs" / "worker.jsonl"
    try:
        for _ in range(1500):
            if path.exists() and path.stat().st_size:
                break
            try:
                process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
    finally:
        process.terminate()
        process.wait(150)
    assert lines(path)[0]["message"].startswith("Serving")
