"""Ends a process that takes too long over one piece of work."""

import subprocess
import threading
import time

SECONDS_BETWEEN_LOOKS = 0.5  # so that no thread is started, or woken, for each file


class Watch:
    """Looks at a process now and then while it has something to do, and kills it once that was due."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._due: float | None = None
        self._late = False
        self._one_at_a_time, self._over = threading.Lock(), threading.Event()
        threading.Thread(target=self._look, daemon=True).start()

    def begin(self, seconds: float) -> None:
        """It has so long from now."""
        with self._one_at_a_time:
            self._due = time.monotonic() + seconds

    def end(self) -> bool:
        """It is done, and will not be killed for this any more; whether it was."""
        with self._one_at_a_time:
            self._due = None
            return self._late

    def close(self) -> None:
        """Nobody looks any more."""
        self._over.set()

    def _look(self) -> None:
        while not self._over.wait(SECONDS_BETWEEN_LOOKS):
            with self._one_at_a_time:  # never after the end: that would hit what is done next
                if self._due is not None and time.monotonic() > self._due:
                    self._late = True
                    self._process.kill()
                    return
