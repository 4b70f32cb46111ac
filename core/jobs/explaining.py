"""Asking for explanations, and for the evidence that they can be trusted."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from core.errors import InvalidInput
from core.explain.methods import DOUBT, is_quick, method_named
from core.explain.verdict import CASES_NEEDED, CASES_OF_DOUBT
from core.images.records import get_case
from core.jobs.kind import Lane
from core.jobs.records import Job, add_job
from core.store.audit import Actor
from core.tasks import task_module
from core.training.records import Model, get_model
from core.training.stored import sees_volumes


def ask_explanation(connection: sqlite3.Connection, arguments: Mapping[str, Any], *, project: int, actor: Actor) -> Job:
    """Queue what `core.explain.run.explain_case` answers: quick methods for the warm process, slow ones beside it, so
    that whoever looks at other cases does not wait behind them; with `scores` how good that map is, beside it too.

    Raises:
        InvalidInput: there is no such method, or scores are asked for of a map of doubt.
        NotFound: there is no such model or case.
        NotAllowed: the actor may not know what models say here.
    """
    method = arguments["method"]
    if method == DOUBT:
        if arguments.get("scores"):
            raise InvalidInput(
                "Scores are of a map of one answer for a whole image; whether doubt can be trusted is told by its "
                "evidence. Received: doubt"
            )
        quick = get_case(connection, arguments["case"]).frames == 1
    else:
        chosen = method_named(method)
        quick = is_quick(chosen, volumes=True) or (  # whatever the model sees
            is_quick(chosen, volumes=False) and not sees_volumes(get_model(connection, None, arguments["model"]))
        )
    lane: Lane = "explain" if quick and not arguments.get("scores") else "work"
    return add_job(connection, "explain", arguments, lane=lane, project=project, actor=actor)


def ask_evidence(
    connection: sqlite3.Connection,
    model: Model,
    methods: Sequence[str],
    *,
    split: str = "validation",
    cases: int | None = None,
    actor: Actor,
) -> Job:
    """Queue what `core.explain.evidence.gather_evidence` answers, of a model that paints
    `core.evaluation.doubt_maps.gather_doubt_maps`.

    Raises:
        InvalidInput: there is no such method, or none of this kind of model.
        NotAllowed: the actor may not train here.
    """
    paints = task_module(model.task).PAINTS
    if paints:
        if list(methods) not in ([], [DOUBT]):
            raise InvalidInput(
                f"Of a model that paints its own map of doubt is judged; leave the method out. "
                f"Received: {', '.join(methods)}"
            )
        chosen = [DOUBT]
    else:
        chosen = [method_named(name).name for name in methods]
    wanted = cases or (CASES_OF_DOUBT if paints else CASES_NEEDED)
    arguments = {"model": model.id, "methods": chosen, "split": split, "cases": wanted}
    return add_job(connection, "gather_evidence", arguments, project=model.project, actor=actor)
