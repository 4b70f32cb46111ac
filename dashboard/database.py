"""Database work of routes: in a thread, so that the event loop never waits for a disk."""

import sqlite3
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from anyio import CapacityLimiter, to_thread

from core.people.passwords import SUMS_AT_ONCE
from core.settings import Settings
from core.store.database import opened
from core.store.troubles import troubles_named

P = ParamSpec("P")
T = TypeVar("T")
_TURNS = CapacityLimiter(SUMS_AT_ONCE)


async def ask(
    settings: Settings, question: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """`await ask(settings, get_case, 7)` runs `get_case(connection, 7)` with a connection of the thread it runs in.

    Opening one costs 0.4 ms; a connection shared between threads would cost acknowledged rows.
    """

    return await _ask(None, settings, question, *args, **kwargs)


async def ask_in_turn(
    settings: Settings, question: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """`ask` for what makes sums of passwords: whoever waits for them holds no thread that others need."""
    return await _ask(_TURNS, settings, question, *args, **kwargs)


async def _ask(
    turns: CapacityLimiter | None,
    settings: Settings,
    question: Callable[Concatenate[sqlite3.Connection, P], T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    def work() -> T:
        with troubles_named(), opened(settings) as connection:
            return question(connection, *args, **kwargs)

    return await to_thread.run_sync(work, limiter=turns)
