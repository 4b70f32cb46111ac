"""An event of the wire as a label, a mark or a stroke of whoever is signed in."""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from core.errors import InvalidInput, NotAllowed
from core.labels.marks import NewMark
from core.labels.masks import NewMaskEdit
from core.labels.records import NewLabel
from core.people.accounts import User

NewThing = NewLabel | NewMark | NewMaskEdit
SCREENS = ("label page", "review")
Types = Mapping[str, type | tuple[type, ...]]
# What an event says, and of which type each thing is; `reader` may be repeated.
NEEDED: Types = {"event": str, "type": str, "case": int, "made_at": str, "schema_version": int, "made_in": str}
OPTIONAL: Types = {"reader": str, "active_seconds": (int, float, type(None))}
# The same of each type of event; what may be missing comes second.
OF_TYPE: Mapping[str, tuple[Types, Types]] = {
    "label": (
        {},
        {
            "value": (dict, type(None)),
            "unsure": bool,
            "unusable": bool,
            "note": str,
            "confidence": (int, type(None)),
            "unusable_reason": str,
            "draft": (dict, type(None)),
        },
    ),
    "mark": ({"mark": str, "kind": str, "geometry": dict}, {"frame": int, "label": str, "deleted": bool}),
    "mask": ({"structure": str, "frames": dict}, {}),
}
WORDS = {dict: "object", type(None): "null", str: "text", int: "whole number", float: "number", bool: "true or false"}


def read_event(event: Any, user: User) -> NewThing:
    """An event as an answer of the person who is signed in.

    Raises:
        InvalidInput: something is missing, unknown or of the wrong type.
        NotAllowed: it speaks for another reader.
    """
    if not isinstance(event, dict):
        raise InvalidInput(f"An event is a JSON object. Received: {str(event)[:80]}")
    kind = event.get("type")
    needed, optional = OF_TYPE.get(kind, OF_TYPE["label"]) if isinstance(kind, str) else OF_TYPE["label"]
    _check_types(event, {**NEEDED, **needed}, {**OPTIONAL, **optional})
    if kind not in OF_TYPE or event["made_in"] not in SCREENS:
        raise InvalidInput(
            f"An event is of type {' or '.join(OF_TYPE)}, made in {' or '.join(SCREENS)}. "
            f"Received: {event['type'][:40]}, {event['made_in'][:40]}"
        )
    if event.get("reader", user.name) != user.name:
        raise NotAllowed(f"You are signed in as {user.name}; sign in as the other reader. Received: {event['reader']}")
    if not 0 < event["case"] < 1 << 63:
        raise InvalidInput(f"case in an event is the id of a case. Received: {str(event['case'])[:40]}")
    return READ[kind](event, _common(event, user))


def _check_types(event: dict[str, Any], needed: Types, optional: Types) -> None:
    for key, kinds in (*needed.items(), *optional.items()):
        if key not in event:
            if key in needed:
                raise InvalidInput(f"An event says its {key}. Received: {', '.join(sorted(event))[:200]}")
            continue
        kinds = kinds if isinstance(kinds, tuple) else (kinds,)
        if type(event[key]) not in kinds:  # `isinstance` would take True for a number
            words = " or ".join(WORDS[kind] for kind in kinds)
            raise InvalidInput(f"{key} in an event is of type {words}. Received: {str(event[key])[:80]!r}")
    unknown = set(event) - set(needed) - set(optional)
    if unknown:
        raise InvalidInput(f"An event says nothing but what it knows. Received: {', '.join(sorted(unknown))[:200]}")


def _common(event: dict[str, Any], user: User) -> dict[str, Any]:
    seconds = event.get("active_seconds")
    if isinstance(seconds, int) and abs(seconds) > 1 << 53:
        raise InvalidInput(f"active_seconds in an event is a number of seconds. Received: {str(seconds)[:40]}")
    return {
        "event": event["event"],
        "case_id": event["case"],
        "reader": user.name,
        "schema_version": event["schema_version"],
        "made_in": event["made_in"],
        "made_at": event["made_at"],
        "active_seconds": None if seconds is None else float(seconds),
    }


def _read_label(event: dict[str, Any], common: dict[str, Any]) -> NewLabel:
    return NewLabel(
        **common,
        value=event.get("value"),
        unsure=event.get("unsure", False),
        unusable=event.get("unusable", False),
        note=event.get("note", ""),
        confidence=event.get("confidence"),
        unusable_reason=event.get("unusable_reason", ""),
        draft=event.get("draft"),
    )


def _read_mark(event: dict[str, Any], common: dict[str, Any]) -> NewMark:
    return NewMark(
        **common,
        mark=event["mark"],
        kind=event["kind"],
        geometry=event["geometry"],
        frame=event.get("frame", 0),
        label=event.get("label", ""),
        deleted=event.get("deleted", False),
    )


def _read_mask(event: dict[str, Any], common: dict[str, Any]) -> NewMaskEdit:
    return NewMaskEdit(**common, structure=event["structure"], frames=dict(map(_read_frame, event["frames"].items())))


def _read_frame(told: tuple[str, Any]) -> tuple[int, bytes]:
    frame, runs = told
    if not (frame.isascii() and frame.isdigit()) or len(frame) > 9:
        raise InvalidInput(f"Frames of a mask go by their number, counted from 0. Received: {frame[:40]!r}")
    try:
        return int(frame), base64.b64decode(runs, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise InvalidInput(f"A frame of a mask is base64 of its runs. Received: {str(runs)[:40]!r}") from error


READ: Mapping[str, Callable[[dict[str, Any], dict[str, Any]], NewThing]] = {
    "label": _read_label,
    "mark": _read_mark,
    "mask": _read_mask,
}
