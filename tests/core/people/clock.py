"""A clock that tests turn: everything in `core.people.sessions` that asks for the time asks this one."""

from datetime import UTC, datetime, timedelta

from core.clock import utc_text


class TurnedClock:
    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)

    def now(self, zone: object = None) -> datetime:
        return self.moment

    def fromisoformat(self, text: str) -> datetime:
        return datetime.fromisoformat(text)

    def text(self) -> str:
        return utc_text(self.moment)

    def turn(self, **by: float) -> None:
        self.moment += timedelta(**by)
