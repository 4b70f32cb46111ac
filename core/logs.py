"""Logs as JSON lines that turn over by size, and that hold nothing about a patient.

A line says when, how bad, which part, and what happened; a request adds its id, route template, status and
milliseconds. Never a query string, a token, a person's or patient's name, or the path of an image: who did
what stands in the audit, which is kept by other rules than a log.
"""

import json
import logging
import os
import re
import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

from core.clock import utc_text
from core.settings import Settings

LOG_BYTES, LOGS_KEPT = 5 << 20, 4
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
LEVEL_VARIABLE = "READROOM_LOG_LEVEL"
REQUEST_FIELDS = ("method", "route", "status", "ms")
# What a message of a library may hold and a log may not: the query of an address, and long random words.
QUERY = re.compile(r"\?[^\s\"']+")
TOKEN = re.compile(r"\b(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{40,}\b")

request_id: ContextVar[str] = ContextVar("request_id", default="")


class JsonLines(logging.Formatter):
    """One JSON object a record, on one line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": utc_text(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname,
            "logger": record.name,
            "message": without_secrets(record.getMessage()),
        }
        if request_id.get():
            line["request"] = request_id.get()
        line |= {key: record.__dict__[key] for key in REQUEST_FIELDS if key in record.__dict__}
        if record.exc_info and record.exc_info[1]:
            line |= _said_of(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False)


def start_log(settings: Settings, name: str, environ: Mapping[str, str] = os.environ) -> Path:
    """From now on this process writes its log to `logs/<name>.jsonl` in the home, and warnings to the terminal too.

    The file turns over at 5 MB and four older ones are kept. `READROOM_LOG_LEVEL` sets how much is written.
    """
    path = settings.home / "logs" / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=LOGS_KEPT, encoding="utf-8", delay=True)
    terminal = logging.StreamHandler()  # a start that fails is read there
    terminal.setLevel(logging.WARNING)
    wanted = environ.get(LEVEL_VARIABLE, "INFO").upper()
    handlers = (file, terminal)
    for handler in handlers:
        handler.setFormatter(JsonLines())
    level = wanted if wanted in LEVELS else "INFO"
    logging.basicConfig(level=level, handlers=handlers, force=True)
    logging.captureWarnings(True)
    return path


def take_over_loggers() -> None:
    """Libraries that print by themselves write into our log instead: their lines quote what they were reading."""
    for logger in list(logging.root.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger) and not logger.propagate:
            logger.handlers.clear()
            logger.propagate = True


def without_secrets(text: str) -> str:
    """A message without queries and without words that look like a token or a session."""
    return TOKEN.sub("[left out]", QUERY.sub("?[left out]", text))


def without_text(error: BaseException) -> str:
    """An error and what led to it as a traceback shows them, each by the lines of code it passed and by its type alone:
    its text may quote what was being read."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    lines = [without_text(before), "which led to\n"] if before is not None else []
    lines += ["Traceback (most recent call last):\n", *traceback.format_tb(error.__traceback__)]
    return "".join([*lines, f"{type(error).__name__}\n"])


def _said_of(error: BaseException) -> dict[str, object]:
    """A defect by its type and the lines of code it passed, without its text: that may quote what was being read."""
    frames = traceback.extract_tb(error.__traceback__)
    where = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
    return {"error": type(error).__name__, "where": where[-12:]}
