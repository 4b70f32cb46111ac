"""Asking for an explanation: the one there is, or a job that makes it.

A job's row is the memory of what was asked: the same question finds the job that answered it.
"""

import sqlite3
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from core.errors import InvalidInput
from core.evaluation.drafts import model_classes
from core.explain.marked import marks_with_area
from core.explain.methods import method_named
from core.explain.records import find_evidence
from core.explain.shelf import scores_key
from core.images.pixel_checks import demand_released
from core.images.records import get_case
from core.jobs.explaining import ask_explanation
from core.jobs.records import Job, find_job
from core.people.accounts import User
from core.people.roles import demand
from core.projects.records import Project, get_project
from core.projects.schema import Classification, Regression
from core.settings import Settings
from core.store.audit import Actor
from core.store.database import writing
from core.store.files import Files
from core.tasks.regression import output_names
from core.training.records import Model, get_model
from dashboard.database import ask
from dashboard.routes.answers import actor_of, read_json
from dashboard.routes.jobs import describe_job


def routes(settings: Settings) -> list[BaseRoute]:
    files = Files(settings.home)

    async def post_explanation(request: Request) -> JSONResponse:
        """200 with the map's address and what is known of it, or 202 with the job to wait for."""
        asked = await read_json(request, 4096)
        job = await ask(settings, find_or_ask, files, request.user, asked, actor_of(request))
        if job.state == "done":
            return JSONResponse(await ask(settings, describe_explanation, job))
        return JSONResponse(describe_job(settings, job), 202)

    return [Route("/api/v1/explanations", post_explanation, methods=["POST"])]


def find_or_ask(connection: sqlite3.Connection, files: Files, user: User, asked: dict[str, Any], actor: Actor) -> Job:
    """The job that answers or will answer this; queued now where nobody asked before, or where it failed.

    Raises:
        NotFound: there is no such model or case.
        NotAllowed: the user may not know what models say about this case.
        InvalidInput: model and case belong to different projects, or the class or method is unknown.
    """
    arguments, project = _checked(connection, user, asked)
    with writing(connection):  # two who ask at once share one job
        job = find_job(connection, "explain", arguments)
        if job and (job.state != "done" or _is_kept(connection, files, job)):
            return job
        return ask_explanation(connection, arguments, project=project, actor=actor)


def describe_explanation(connection: sqlite3.Connection, job: Job) -> dict[str, Any]:
    """What the job found, with the address of the map; evidence that was gathered since replaces its own check."""
    result = dict(job.result or {})
    evidence = find_evidence(connection, job.arguments["model"]).get(job.arguments["method"])
    if evidence:
        result["check"] = evidence.check
    return result | {"job": job.id, "url": f"/api/v1/explanations/{result['explanation']}.npy"}


def _is_kept(connection: sqlite3.Connection, files: Files, job: Job) -> bool:
    """Whether the map is there still; its numbers are those of the marks of today."""
    result = job.result or {}
    if not files.has("explanations", str(result.get("explanation"))):
        return False
    if not job.arguments.get("scores"):
        return True
    marks = marks_with_area(connection, job.arguments["case"])
    return bool(result["scores"]["key"] == scores_key(result["explanation"], marks))


def _checked(connection: sqlite3.Connection, user: User, asked: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """The arguments of the job, and the project they belong to."""
    for key, kind in {"model": int, "case": int, "class": str}.items():
        if type(asked.get(key)) is not kind:
            raise InvalidInput(f"Name a model and a case by number, and a class. Received: {str(asked)[:120]}")
    if max(asked["model"], asked["case"]) >= 1 << 63:
        raise InvalidInput(f"Name a model and a case by number. Received: {asked['model']}, {asked['case']}")
    method = method_named(asked.get("method", "grad_cam"))
    case, model = get_case(connection, asked["case"]), get_model(connection, None, asked["model"])
    for project in (case.project, model.project):
        demand(connection, user, "open test results", project)
    demand_released(connection, user, case)
    if case.project != model.project:
        raise InvalidInput(f"Model and case belong to different projects. Received: {model.name} and case {case.id}")
    project = get_project(connection, case.project)
    return {
        "model": model.id,
        "case": case.id,
        "class": _name_of(connection, project, model, asked["class"]),
        "method": method.name,
        **({"scores": True} if asked.get("scores") is True else {}),
    }, case.project


def _name_of(connection: sqlite3.Connection, project: Project, model: Model, name: str) -> str:
    """What a model itself calls the class or the quantity that is asked for by the name of today."""
    if isinstance(project.schema, Regression) and name in output_names(project.schema):
        learnt = [one["target"] for one in (model.facts, *model.facts.get("further", ()))]
        return str(learnt[output_names(project.schema).index(name)])
    if not isinstance(project.schema, Classification) or name not in project.schema.names:
        raise InvalidInput(f"This project has no such class or quantity. Received: {name[:80]}")
    # A model goes on calling a class what it was called when it learned it.
    own = dict(zip(model_classes(connection, project, model), model.facts.get("classes", ()), strict=True))
    return str(own.get(name, name))
