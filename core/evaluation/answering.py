"""A model asked about many cases, some of them at a time; what it says of those is kept before the next are asked."""

import sqlite3
from collections.abc import Sequence

from core.evaluation.predictor import open_predictor, score_cases
from core.evaluation.records import store_predictions
from core.progress import Portion, Progress, stop_if_asked
from core.store.files import Files
from core.tasks import task_module
from core.training.records import Model

CASES_AT_ONCE = 256


def answer_cases(
    connection: sqlite3.Connection, files: Files, model: Model, case_ids: Sequence[int], progress: Progress
) -> None:
    """Let a model answer cases that it has not answered, and keep its scores, or what it paints.

    Raises:
        Stopped: somebody asked to stop; what was found until then is kept.
    """
    if task_module(model.task).PAINTS:
        from core.evaluation.painting import paint_cases  # it brings along what reads and writes mask files

        paint_cases(connection, files, model, case_ids, progress)
        return
    if not case_ids:
        return
    predictor = open_predictor(files, model)
    for start in range(0, len(case_ids), CASES_AT_ONCE):
        stop_if_asked(progress)
        some = case_ids[start : start + CASES_AT_ONCE]
        part = Portion(progress, start / len(case_ids), (start + len(some)) / len(case_ids))
        scores = score_cases(connection, files, predictor, some, part)
        store_predictions(connection, model, predictor.schema, dict(zip(some, scores.tolist(), strict=True)))
