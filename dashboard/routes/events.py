"""Where a reader's answers arrive. What is acknowledged is on disk: the answer goes out after the commit."""

import sqlite3
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from core.errors import CoreError, InvalidInput, NotAllowed, Unavailable
from core.labels.records import Label, NewLabel, add_label
from core.people.accounts import User
from core.settings import Settings
from core.store.audit import Actor
from dashboard.database import ask
from dashboard.routes.answers import PlainJson, actor_of, read_json

MOST_EVENTS = 500
SCREENS = ("label page", "review")
# What an event says, and of which type each thing is; `value` may be absent, and `reader` may be repeated.
NEEDED: dict[str, type] = {
    "event": str,
    "type": str,
    "case": int,
    "made_at": str,
    "schema_version": int,
    "made_in": str,
}
OPTIONAL: dict[str, type] = {"unsure": bool, "unusable": bool, "note": str, "reader": str}


@dataclass(frozen=True)
class Outcome:
    """What became of a batch, event by event."""

    acknowledged: list[dict[str, Any]]
    refused: list[dict[str, Any]]


def routes(settings: Settings) -> list[BaseRoute]:
    async def post_events(request: Request) -> JSONResponse:
        """Store what can be stored; 422 when any event was refused, with the reason of each."""
        events = (await read_json(request)).get("events")
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
            label = add_label(connection, read_event(event, user), actor)
        except Unavailable:  # no verdict on the answer: the browser keeps it and sends it again
            raise
        except CoreError as error:
            outcome.refused.append({"event": name, "reason": str(error)})
        else:
            outcome.acknowledged.append(_acknowledgement(label))
    return outcome


def read_event(event: Any, user: User) -> NewLabel:
    """An event of the wire as an answer of the person who is signed in.

    Raises:
        InvalidInput: something is missing, unknown or of the wrong type.
        NotAllowed: it speaks for another reader.
    """
    if not isinstance(event, dict):
        raise InvalidInput(f"An event is a JSON object. Received: {str(event)[:80]}")
    unknown = set(event) - set(NEEDED) - set(OPTIONAL) - {"value"}
    if unknown:
        raise InvalidInput(f"An event says nothing but what it knows. Received: {', '.join(sorted(unknown))}")
    for key, kind in (NEEDED | OPTIONAL).items():
        if key in event and type(event[key]) is not kind:  # `isinstance` would take True for a number
            raise InvalidInput(f"{key} in an event is of type {kind.__name__}. Received: {str(event[key])[:80]!r}")
        if key in NEEDED and key not in event:
            raise InvalidInput(f"An event says its {key}. Received: {', '.join(sorted(event))}")
    if event.get("reader", user.name) != user.name:
        raise NotAllowed(f"You are signed in as {user.name}; sign in as the other reader. Received: {event['reader']}")
    if event["type"] != "label" or event["made_in"] not in SCREENS:
        raise InvalidInput(
            f"An event is of type label, made in {' or '.join(SCREENS)}. "
            f"Received: {event['type'][:40]}, {event['made_in'][:40]}"
        )
    if not 0 < event["case"] < 1 << 63:
        raise InvalidInput(f"case in an event is the id of a case. Received: {str(event['case'])[:40]}")
    return NewLabel(
        event=event["event"],
        case_id=event["case"],
        reader=user.name,
        value=_value(event),
        unsure=event.get("unsure", False),
        unusable=event.get("unusable", False),
        note=event.get("note", ""),
        schema_version=event["schema_version"],
        made_in=event["made_in"],
        made_at=event["made_at"],
    )


def _value(event: dict[str, Any]) -> dict[str, Any] | None:
    value = event.get("value")
    if value is not None and not isinstance(value, dict):
        raise InvalidInput(f"value in an event is an object or null. Received: {str(value)[:80]}")
    return value


def _acknowledgement(label: Label) -> dict[str, Any]:
    return {"event": label.event, "label": label.id, "stored_at": label.stored_at}
