"""What the viewer must know of a case before it can show it; what others said only where the reader may see it."""

import sqlite3
from collections import Counter
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from core.evaluation.painted_drafts import Offered, list_offered
from core.images.orientation import split_letters
from core.images.pixel_checks import demand_released
from core.images.records import Case, get_case, list_same_patient
from core.labels.marks import Mark, list_marks
from core.labels.masks import last_painted_at, list_painted
from core.labels.records import Label, current_labels, find_current_label, find_reference
from core.labels.sight import covered_patient, covered_source, may_see_others, sight_of
from core.people.accounts import User
from core.people.roles import demand
from core.projects.records import Project, get_project
from core.settings import Settings
from dashboard.database import ask
from dashboard.routes.answers import row_id
from dashboard.routes.masks import demand_sight


def routes(settings: Settings) -> list[BaseRoute]:
    async def show_case(request: Request) -> JSONResponse:
        facts = await ask(settings, describe_case, row_id(request, "case"), request.user)
        return JSONResponse(facts, headers={"Cache-Control": "no-store"})

    async def show_marks(request: Request) -> JSONResponse:
        asked = (row_id(request, "case"), request.query_params.get("reader"))
        marks = await ask(settings, find_marks, *asked, request.user)
        return JSONResponse({"marks": marks}, headers={"Cache-Control": "no-store"})

    return [
        Route("/api/v1/cases/{case:int}", show_case, methods=["GET"]),
        Route("/api/v1/cases/{case:int}/marks", show_marks, methods=["GET"]),
    ]


def describe_case(connection: sqlite3.Connection, case_id: int, user: User) -> dict[str, Any]:
    """A case as the viewer reads it.

    Raises:
        NotFound: there is no such case.
        NotAllowed: the user is a stranger to its project.
    """
    case = get_case(connection, case_id)
    demand(connection, user, "see", case.project)
    demand_released(connection, user, case)
    mine = find_current_label(connection, case_id, user.name)
    project = get_project(connection, case.project)
    told = may_see_others(connection, sight_of(connection, user, project), case.id)
    return _geometry(case) | {
        "reader": user.name,  # whose answer and marks these are: in one browser another may have signed in meanwhile
        "source": case.source if told else covered_source(case.id),
        "patient": _patient(case) if told else covered_patient(case.id, case.patient, case.patient_from),
        "pixels": f"/api/v1/pixels/{case.pixel_hash}.npy",
        "thumbnail": f"/api/v1/thumbnails/{case.pixel_hash}.webp",
        "same_patient": list_same_patient(connection, case),  # of this project: whoever sees one sees them all
        "schema_version": project.schema_version,
        "my_label": _own(mine) if mine else None,
        "marks": [_mark(mark) for mark in list_marks(connection, case.id, user.name)],
        "masks": [painted.structure for painted in list_painted(connection, case.id, reader=user.name)],
        "painted_at": last_painted_at(connection, case.id, user.name),
        "others": [
            *(_others(connection, project, case.id, user.name) if told else []),
            *(_painted_by_model(offered) for offered in list_offered(connection, user, project, case)),
        ],
    }


def find_marks(connection: sqlite3.Connection, case_id: int, reader: str | None, user: User) -> list[dict[str, Any]]:
    """The marks of one reader on a case, the user's own where none is named.

    Raises:
        NotFound: there is no such case.
        NotAllowed: the user is a stranger to its project, or is to answer first.
    """
    case = get_case(connection, case_id)
    demand(connection, user, "see", case.project)
    demand_released(connection, user, case)
    demand_sight(connection, user, get_project(connection, case.project), case.id, reader)
    return [_mark(mark) for mark in list_marks(connection, case.id, reader or user.name)]


def _others(connection: sqlite3.Connection, project: Project, case_id: int, name: str) -> list[dict[str, Any]]:
    """Which other readers have painted or drawn what could be laid over the image, or answered where none is blind."""
    masks: dict[str, list[str]] = {}
    for painted in list_painted(connection, case_id):
        masks.setdefault(painted.reader, []).append(painted.structure)
    drawn = Counter(mark.reader for mark in list_marks(connection, case_id))
    current = current_labels(connection, case_id)
    answered = {} if project.blind_first else {label.reader: label.stored_at for label in current}
    reference = find_reference(connection, case_id)
    counted = {label.reader for label in current if reference and label.id in reference.label_ids}
    readers = sorted({*masks, *drawn, *answered} - {name})
    return [
        {
            "reader": reader,
            "masks": masks.get(reader, []),
            "is_reference": reader in masks and reader in counted,
            "marks": drawn[reader],
            "answered_at": answered.get(reader),
        }
        for reader in readers
    ]


def _painted_by_model(offered: Offered) -> dict[str, Any]:
    """A model in the place of a reader: it is looked at and taken over like one, and is none."""
    return {
        "reader": offered.title,
        "masks": offered.painted,
        "is_reference": False,
        "marks": 0,
        "answered_at": None,
    }


def _patient(case: Case) -> str | None:
    """A patient of its own, where nothing told, has no name."""
    return None if case.patient_from == "none" else case.patient


def _geometry(case: Case) -> dict[str, Any]:
    return {
        "id": case.id,
        "project": case.project,
        "rows": case.rows,
        "columns": case.columns,
        "channels": case.channels,
        "frames": case.frames,
        "dtype": case.dtype,
        "photometric": case.photometric,
        "modality": case.modality,
        "view": case.view,
        "windows": [window.to_json() for window in case.windows],
        "spacing_mm": case.spacing_mm,
        "spacing_at": case.spacing_at,
        "slice_spacing_mm": case.slice_spacing_mm,
        "affine": case.affine,
        "orientation": _orientation(case),
        "flagged": case.flagged,
        "synthetic": case.synthetic is not None,
    }


def _orientation(case: Case) -> dict[str, str] | None:
    """Where the rows and columns of a projection lead; a table may have an attribute of this name that is none."""
    found = split_letters(case.attributes.get("patient_orientation", ""))
    return {"row": found[0], "column": found[1]} if found else None


def _own(label: Label) -> dict[str, Any]:
    return {
        "event": label.event,
        "label": label.id,
        "value": label.value,
        "unsure": label.unsure,
        "unusable": label.unusable,
        "note": label.note,
        "confidence": label.confidence,
        "unusable_reason": label.unusable_reason,
        "active_seconds": label.active_seconds,
        "draft": label.draft,
        "made_at": label.made_at,
        "stored_at": label.stored_at,
    }


def _mark(mark: Mark) -> dict[str, Any]:
    return {
        "mark": mark.mark,
        "kind": mark.kind,
        "frame": mark.frame,
        "geometry": mark.geometry,
        "label": mark.label,
        "reader": mark.reader,
        "event": mark.event,
        "made_at": mark.made_at,
        "stored_at": mark.stored_at,
    }
