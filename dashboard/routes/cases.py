"""What the viewer must know of a case before it can show it; of labels only the reader's own."""

import sqlite3
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from core.images.records import Case, get_case
from core.labels.records import Label, find_current_label
from core.labels.sight import covered_source, may_see_others, sight_of
from core.people.accounts import User
from core.people.roles import demand
from core.projects.records import get_project
from core.settings import Settings
from dashboard.database import ask
from dashboard.routes.answers import row_id


def routes(settings: Settings) -> list[BaseRoute]:
    async def show_case(request: Request) -> JSONResponse:
        facts = await ask(settings, describe_case, row_id(request, "case"), request.user)
        return JSONResponse(facts, headers={"Cache-Control": "no-store"})

    return [Route("/api/v1/cases/{case:int}", show_case, methods=["GET"])]


def describe_case(connection: sqlite3.Connection, case_id: int, user: User) -> dict[str, Any]:
    """A case as the viewer reads it.

    Raises:
        NotFound: there is no such case.
        NotAllowed: the user is a stranger to its project.
    """
    case = get_case(connection, case_id)
    demand(connection, user, "see", case.project)
    mine = find_current_label(connection, case_id, user.name)
    project = get_project(connection, case.project)
    told = may_see_others(connection, sight_of(connection, user, project), case.id)
    return _geometry(case) | {
        "source": case.source if told else covered_source(case.id),
        "pixels": f"/api/v1/pixels/{case.pixel_hash}.npy",
        "thumbnail": f"/api/v1/thumbnails/{case.pixel_hash}.webp",
        "schema_version": project.schema_version,
        "my_label": _own(mine) if mine else None,
    }


def _geometry(case: Case) -> dict[str, Any]:
    return {
        "id": case.id,
        "project": case.project,
        "patient": case.patient,
        "rows": case.rows,
        "columns": case.columns,
        "channels": case.channels,
        "frames": case.frames,
        "dtype": case.dtype,
        "photometric": case.photometric,
        "modality": case.modality,
        "view": case.view,
        "windows": [asdict(window) for window in case.windows],
        "spacing_mm": case.spacing_mm,
        "spacing_at": case.spacing_at,
        "slice_spacing_mm": case.slice_spacing_mm,
        "affine": case.affine,
        "flagged": case.flagged,
    }


def _own(label: Label) -> dict[str, Any]:
    return {
        "event": label.event,
        "label": label.id,
        "value": label.value,
        "unsure": label.unsure,
        "unusable": label.unusable,
        "note": label.note,
        "made_at": label.made_at,
        "stored_at": label.stored_at,
    }
