"""How long a run took from the click to its first step, and on what: nobody should wonder what they wait for."""

import sqlite3
import time
from datetime import datetime

import psutil

from core.training.callbacks import Quiet
from core.training.fit import Fit
from core.training.records import Run, set_run_told

BEGINNING = "beginning"  # of the things that a run tells of itself


class Beginning:
    """Seconds of each part, in the order in which they passed; the clock is the one that the run's row has."""

    def __init__(self, run: Run) -> None:
        self._passed: dict[str, float] = {}
        self._last = datetime.fromisoformat(run.created_at).timestamp()
        self._end("queue", psutil.Process().create_time())
        self.end("process")

    def end(self, part: str) -> None:
        """What was begun last ends now."""
        self._end(part, time.time())

    def _end(self, part: str, now: float) -> None:
        self._passed[part] = round(max(0.0, now - self._last), 2)
        self._last = max(self._last, now)

    def to_json(self) -> dict[str, float]:
        """Seconds by part, and `seconds` in all."""
        return {**self._passed, "seconds": round(sum(self._passed.values()), 2)}


class TellBeginning(Quiet):
    """Writes it to the run after its first step."""

    def __init__(self, connection: sqlite3.Connection, run_id: int, beginning: Beginning) -> None:
        self._connection, self._run, self._beginning = connection, run_id, beginning
        self._told = False

    def after_steps(self, fit: Fit) -> None:
        if not self._told:
            self._told = True
            self._beginning.end("first_step")
            set_run_told(self._connection, self._run, BEGINNING, self._beginning.to_json())
