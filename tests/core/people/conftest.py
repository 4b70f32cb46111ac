"""People, the doors they come by, and a clock that tests turn."""

import pytest

from core.people import sessions
from core.store.audit import Actor
from tests.core.people.clock import TurnedClock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> TurnedClock:
    made = TurnedClock()
    monkeypatch.setattr(sessions, "datetime", made)
    monkeypatch.setattr(sessions, "utc_now", made.text)
    return made


@pytest.fixture
def shell() -> Actor:
    """Whoever runs commands on the home."""
    return Actor("root", "command line")
