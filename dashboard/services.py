"""The processes that `readroom up` keeps running: started, heard, started again, ended."""

import os
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import CoreError
from core.jobs.launchers.local import ask_to_end, is_alive, kill_group, started_at
from core.settings import PROJECT_ROOT

HEALTH_SECONDS = 90.0  # a cold disk reads Streamlit for half a minute
GOODBYE_SECONDS = 15.0
DEATHS_ALLOWED, WITHIN_SECONDS = 5, 60.0
LOG_BYTES = 5 << 20
LOG_TAIL_BYTES = 2000


@dataclass
class Service:
    """One process with its log. `deaths` holds when it ended by itself, newest last."""

    name: str
    command: Sequence[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    deaths: deque[float] = field(default_factory=deque)

    def start(self) -> None:
        """Start the process in a session of its own: Ctrl-C reaches `up` alone, which ends it in order."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.turn_log_over()
        with self.log.open("ab") as stream:
            self.process = subprocess.Popen(
                self.command,
                cwd=PROJECT_ROOT,
                env=service_environment(),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        self.started = started_at(self.process.pid)

    def turn_log_over(self) -> None:
        """Keep the log small while the process runs: one older part stays beside it.

        The process goes on writing into the file that it was given, always at its end, so that the file is copied
        and emptied, not renamed; a line of just that moment may be lost.
        """
        with suppress(OSError):  # not there yet; or no room for the copy, and then nothing is thrown away
            if self.log.stat().st_size > LOG_BYTES:
                shutil.copyfile(self.log, self.log.with_suffix(".old.log"))
                os.truncate(self.log, 0)

    def has_died(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def start_again(self) -> None:
        """Start the process anew after it ended by itself.

        Raises:
            CoreError: it did so again and again; the text ends in what its log says last.
        """
        now = time.monotonic()
        self.deaths.append(now)
        while now - self.deaths[0] > WITHIN_SECONDS:
            self.deaths.popleft()
        if len(self.deaths) >= DEATHS_ALLOWED:
            raise CoreError(
                f"The {self.name} ended {len(self.deaths)} times within a minute. "
                f"Mend what its log names ({self.log}). Received: {self.last_words()}"
            )
        self.start()

    def last_words(self) -> str:
        """The end of the log."""
        with self.log.open("rb") as stream:
            stream.seek(max(0, self.log.stat().st_size - LOG_TAIL_BYTES))
            return stream.read().decode("utf-8", errors="replace").strip() or "an empty log"

    def stop(self) -> None:
        """SIGTERM, a while to end in good order, SIGKILL."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(GOODBYE_SECONDS)
        except subprocess.TimeoutExpired:
            kill_group(self.process.pid, self.started)
            self.process.wait()


def module_command(module: str, *options: str) -> list[str]:
    """How a module of ours is run by the Python that runs us."""
    return [sys.executable, "-m", module, *options]


def service_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Our own modules are found from any folder, and logs are written at once."""
    paths = [str(PROJECT_ROOT), *filter(None, [environ.get("PYTHONPATH")])]
    return {**environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}


def end_leftovers(leftovers: Sequence[tuple[int, float]]) -> None:
    """End the services of an `up` that was killed and could not end them itself."""
    for pid, started in leftovers:
        if not is_alive(pid, started):
            continue
        ask_to_end(pid)
        until = time.monotonic() + GOODBYE_SECONDS
        while is_alive(pid, started) and time.monotonic() < until:
            time.sleep(0.1)
        if is_alive(pid, started):
            kill_group(pid, started)
