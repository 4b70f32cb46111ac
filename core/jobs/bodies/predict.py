"""Prediction: what a model says of files that need not be imported."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.jobs.kind import Kind

if TYPE_CHECKING:
    from core.jobs.context import JobContext

KIND = Kind(
    name="predict",
    words="Prediction",
    lane="work",
    action="open test results",
    attempts_allowed=3,
    remedy="Predict fewer files at a time, or close other programs, then resume.",
)


def run(context: "JobContext") -> Mapping[str, Any]:
    """Predict files that need not be imported."""
    from core.evaluation.predict_files import predict_files
    from core.training.records import get_model

    given = context.job.arguments
    model = get_model(context.connection, None, int(given["model"]))
    paths = [Path(path) for path in given["paths"]]
    return predict_files(context.files, context.settings, model, paths, context.progress)
