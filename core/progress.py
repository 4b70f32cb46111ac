"""How engine functions speak to whoever waits: a fraction, a note, and "shall I stop?".

An engine function takes a `progress` and knows nothing of jobs or screens.
"""

from typing import Protocol

from core.errors import Stopped


class Progress(Protocol):
    """What an engine function may say and ask while it works."""

    def report(self, fraction: float, note: str, **facts: object) -> None:
        """Say how far the work is (0 to 1), in words, with further facts such as `epoch=3`."""

    def should_stop(self) -> bool:
        """Whether somebody asked the work to stop."""


class Silent:
    """Nobody waits: for tests and for scripts."""

    def report(self, fraction: float, note: str, **facts: object) -> None:
        pass

    def should_stop(self) -> bool:
        return False


class Portion:
    """A part of a larger piece of work: reports of 0 to 1 land between `start` and `end`."""

    def __init__(self, whole: Progress, start: float, end: float) -> None:
        self._whole, self._start, self._end = whole, start, end

    def report(self, fraction: float, note: str, **facts: object) -> None:
        self._whole.report(self._start + (self._end - self._start) * fraction, note, **facts)

    def should_stop(self) -> bool:
        return self._whole.should_stop()


def stop_if_asked(progress: Progress) -> None:
    """Raise `Stopped` where the work can end in good order."""
    if progress.should_stop():
        raise Stopped
