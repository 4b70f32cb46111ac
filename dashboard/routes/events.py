"""Where a reader's answers, marks and strokes arrive. What is acknowledged is on disk: it goes out after the commit."""

import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from core.errors import CoreError, InvalidInput, NotFound, Unavailable
from core.evaluation.painted_drafts import with_what_became
from core.images.pixel_checks import demand_released
from core.images.records import get_case
from core.labels.marks import NewMark, add_mark
from core.labels.masks import add_mask_edit
from core.labels.records import NewLabel, add_label
from core.people.accounts import User
from core.settings import Settings
from core.store.audit import Actor
from dashboard.database import ask
from dashboard.routes.answers import PlainJson, actor_of, read_json
from dashboard.routes.reading_events import NewThing, read_event

MOST_EVENTS = 500
MOST_BYTES = 32 << 20  # masks of whole volumes; a larger one goes by PUT


@dataclass(frozen=True)
class Outcome:
    """What became of a batch, event by event."""

    acknowledged: list[dict[str, Any]]
    refused: list[dict[str, Any]]


def routes(settings: Settings) -> list[BaseRoute]:
    async def post_events(request: Request) -> JSONResponse:
        """Store what can be stored; 422 when any event was refused, with the reason of each."""
        events = (await read_json(request, MOST_BYTES)).get("events")
        if not isinstance(events, list) or not events or len(events) > MOST_EVENTS:
            raise InvalidInput(f'Send {{"events": [...]}} with 1 to {MOST_EVENTS} events. Received: {str(events)[:80]}')
        outcome = await ask(settings, store_events, request.user, events, actor_of(request))
        return PlainJson(
            {"acknowledged": outcome.acknowledged, "refused": outcome.refused}, 422 if outcome.refused else 200
        )

    return [Route("/api/v1/events", post_events, methods=["POST"])]


def store_events(connection: sqlite3.Connection, user: User, events: list[Any], actor: Actor) -> Outcome:
    """Each event in a transaction of its own, so that one that is refused holds nothing else back.

    What the reader may not label is refused like anything else, event by event: the browser puts it aside with
    the reason, where a 403 for the whole batch would have it try for ever.
    """
    outcome = Outcome([], [])
    for event in events:
        name = event.get("event") if isinstance(event, dict) else None
        name = name if isinstance(name, str) else None  # NaN could be read and not be told
        try:
            new = read_event(event, user)
            demand_open(connection, user, new.case_id)
            stored = store_one(connection, new, actor)
        except Unavailable:  # no verdict on the answer: the browser keeps it and sends it again
            raise
        except CoreError as error:
            outcome.refused.append({"event": name, "reason": str(error)})
        else:
            outcome.acknowledged.append(stored)
    return outcome


def demand_open(connection: sqlite3.Connection, user: User, case_id: int) -> None:
    """Refuse an answer on a case whose pixels somebody has to look at first; one that is gone is not."""
    with suppress(NotFound):
        demand_released(connection, user, get_case(connection, case_id))


def store_one(connection: sqlite3.Connection, new: NewThing, actor: Actor) -> dict[str, Any]:
    """Store what one event says; the answer is what its acknowledgement tells."""
    if isinstance(new, NewLabel):
        label = add_label(connection, with_what_became(connection, new), actor)
        return {"event": label.event, "label": label.id, "stored_at": label.stored_at}
    if isinstance(new, NewMark):
        mark = add_mark(connection, new, actor)
        return {"event": mark.event, "row": mark.id, "stored_at": mark.stored_at}
    edit = add_mask_edit(connection, new, actor)
    return {"event": edit.event, "edit": edit.id, "stored_at": edit.stored_at}
