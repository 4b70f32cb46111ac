"""What the model that a project has chosen would answer: for readers, and only where they may see it."""

import sqlite3
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from core.errors import NotFound
from core.evaluation.drafts import find_draft
from core.images.pixel_checks import demand_released
from core.images.records import get_case
from core.people.accounts import User
from core.people.roles import demand
from core.projects.records import get_project
from core.settings import Settings
from dashboard.database import ask
from dashboard.routes.answers import row_id


def routes(settings: Settings) -> list[BaseRoute]:
    async def show_draft(request: Request) -> JSONResponse:
        draft = await ask(settings, describe_draft, row_id(request, "case"), request.user)
        return JSONResponse(draft, headers={"Cache-Control": "no-store"})

    return [Route("/api/v1/cases/{case:int}/draft", show_draft, methods=["GET"])]


def describe_draft(connection: sqlite3.Connection, case_id: int, user: User) -> dict[str, Any]:
    """The draft of a case as the viewer reads it.

    Raises:
        NotFound: there is no such case, or no draft that this user may see now; which of these is not told.
        NotAllowed: the user may not label in its project.
    """
    case = get_case(connection, case_id)
    demand(connection, user, "label", case.project)
    demand_released(connection, user, case)
    draft = find_draft(connection, get_project(connection, case.project), case, user.name)
    if draft is None:
        raise NotFound("draft of case", case_id)
    return {"model": draft.model.name, "model_id": draft.model.id, "value": draft.value, "scores": draft.scores}
